/* SPDX-License-Identifier: BSD-3-Clause */
/* The state directory and who may use it. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.h"

static void
join(char out[CONTROL_PATH], const struct control_paths *p, const char *name)
{
	snprintf(out, CONTROL_PATH, "%s/%s", p->dir, name);
}

int
control_paths_of(const char *dir, struct control_paths *out, struct sl_error *e)
{
	int n = snprintf(out->dir, sizeof(out->dir), "%s", dir != NULL ? dir : CONTROL_STATE_DIR);
	int rc = n < CONTROL_DIR ? 0 : -ENAMETOOLONG;

	if (rc == 0) {
		join(out->store, out, "store.db");
		join(out->pepper, out, "pepper");
		join(out->ca, out, "ca");
		join(out->tls, out, "tls");
		join(out->tls_ca, out, "tls/ca.pem");
		join(out->tls_cert, out, "tls/control.pem");
		join(out->tls_key, out, "tls/control.key");
		join(out->lock, out, "lock");
		return 0;
	}
	return sl_fail(e, rc, "path_too_long", "", "the state directory's name is too long");
}

static int
dir_error(const char *dir, int err, struct sl_error *e)
{
	return sl_fail(e, -err, "state_io", "", "%.200s: %s", dir, strerror(err));
}

int
control_state_check(const struct control_paths *p, bool make, struct sl_error *e)
{
	struct stat st;

	if (make && mkdir(p->dir, 0700) < 0 && errno != EEXIST) {
		dir_error(p->dir, errno, e);
		sl_hint(e, "the directory above it must be there and be ours");
		return e->err;
	}
	if (lstat(p->dir, &st) < 0 && errno == ENOENT) {
		sl_fail(e, -ENOENT, "state_missing", "", "%.200s is not there", p->dir);
		sl_hint(e, "sluice-control init makes it; --state-dir names another place");
		return -ENOENT;
	}
	if (lstat(p->dir, &st) < 0)
		return dir_error(p->dir, errno, e);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
		sl_fail(e, -EPERM, "state_foreign", "", "%.200s is no directory of this user",
			p->dir);
		sl_hint(e, "run sluice-control as the user that owns it");
		return -EPERM;
	}
	if ((st.st_mode & 077) == 0)
		return 0;
	sl_fail(e, -EPERM, "state_mode", "", "%.200s: others may look into it (mode %03o)", p->dir,
		(unsigned)st.st_mode & 0777);
	sl_hint(e, "chmod 700 %.150s", p->dir);
	return -EPERM;
}

int
control_lock(const struct control_paths *p, struct sl_error *e)
{
	int fd = open(p->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return dir_error(p->lock, errno, e);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	close(fd);
	sl_fail(e, -EBUSY, "control_running", "", "a sluice-control runs on %.200s", p->dir);
	sl_hint(e, "stop it first: systemctl stop sluice-control");
	return -EBUSY;
}

void
control_node_name(char out[64])
{
	char host[65] = "";
	size_t n = 0;

	gethostname(host, sizeof(host) - 1);
	for (const char *c = host; *c != '\0' && *c != '.' && n < 63; c++) {
		char l = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;

		if ((l >= 'a' && l <= 'z') || (l >= '0' && l <= '9') || (l == '-' && n > 0))
			out[n++] = l;
	}
	while (n > 0 && out[n - 1] == '-')
		n--;
	out[n] = '\0';
	if (n == 0)
		snprintf(out, 64, "control");
}
