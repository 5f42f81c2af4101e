/* SPDX-License-Identifier: BSD-3-Clause */
/* One gateway of a name on a host (S2-12): an advisory lock that ends with the process. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sluiced.h"

/** A directory in which only root (or who runs us) can put files: a lock in a place that everybody
 * may write to, as /run/lock, can be taken by anybody. */
static int
lock_dir(const char *dir, struct sl_error *e)
{
	struct stat st;

	if (mkdir(dir, 0755) && errno != EEXIST) {
		int err = errno;

		sl_fail(e, -err, "lock_failed", "", "%s: %s", dir, strerror(err));
		sl_hint(e, "run as root");
		return -err;
	}
	if (lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) &&
	    (st.st_uid == 0 || st.st_uid == geteuid()) && (st.st_mode & 022) == 0)
		return 0;
	sl_fail(e, -EPERM, "lock_failed", "", "%s must be a directory that only root can write to",
		dir);
	sl_hint(e, "chown root: %s && chmod 755 %s", dir, dir);
	return -EPERM;
}

/** Our own plain file: neither a link to another one nor somebody else's. */
static int
lock_open(const char *path, struct sl_error *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;
	int err = errno;

	if (fd < 0) {
		sl_fail(e, -err, "lock_failed", "", "%s: %s", path, strerror(err));
		if (err == EACCES)
			sl_hint(e, "run as root");
		return -err;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	    st.st_uid == geteuid())
		return fd;
	close(fd);
	return sl_fail(e, -EPERM, "lock_failed", "", "%s is not the gateway's file", path);
}

int
sluiced_lock(const char *dir, const char *instance, struct sl_error *e)
{
	char path[256], pid[32] = "";
	int fd, err = lock_dir(dir, e);
	ssize_t n;

	if (err)
		return err;
	/* no instance has a name that begins with a dot, so this is no other one's directory */
	snprintf(path, sizeof(path), "%s/.%s.lock", dir, instance);
	fd = lock_open(path, e);
	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
		if (ftruncate(fd, 0) || write(fd, pid, (size_t)n) != n) {
			err = -errno;
			close(fd);
			return sl_fail(e, err, "lock_failed", "", "%s: %s", path, strerror(-err));
		}
		return fd;
	}
	n = read(fd, pid, sizeof(pid) - 1);
	close(fd);
	pid[n > 0 ? n : 0] = 0;
	pid[strcspn(pid, "\n")] = 0;
	sl_fail(e, -EEXIST, "instance_running", "/instance",
		"gateway instance \"%s\" runs on this host already (pid %s)", instance,
		pid[0] ? pid : "unknown");
	sl_hint(e, "stop it first, or start this one under another name: --instance NAME");
	return -EEXIST;
}
