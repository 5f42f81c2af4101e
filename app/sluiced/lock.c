/* SPDX-License-Identifier: BSD-3-Clause */
/* One gateway of a name on a host (S2-12): an advisory lock that ends with the process. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sluiced.h"

#define LOCK_DIR "/run/lock"

int
sluiced_lock(const char *run_dir, const char *instance, struct sl_error *e)
{
	char path[256], pid[32] = "";
	int fd, err;
	ssize_t n;

	(void)run_dir; /* the lock must not depend on what the file says: the name alone decides */
	snprintf(path, sizeof(path), "%s/sluice-%s.lock", LOCK_DIR, instance);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		err = -errno;
		sl_fail(e, err, "lock_failed", "", "%s: %s", path, strerror(-err));
		sl_hint(e, "run as root");
		return err;
	}
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
