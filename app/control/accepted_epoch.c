/* SPDX-License-Identifier: BSD-3-Clause */
#include "accepted_epoch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_NAME "epoch-accepted"
#define FILE_PATH (CONTROL_PATH + 32)

static int
failed(const char *path, struct sl_error *e)
{
	return sl_fail(e, -EIO, "state_io", "", "%.200s: %s", path, strerror(errno));
}

static int
sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

int
accepted_epoch_write(const struct control_paths *p, const struct accepted_epoch *a,
		     struct sl_error *e)
{
	char path[FILE_PATH], tmp[FILE_PATH];
	FILE *f;
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "%s/" FILE_NAME, p->dir);
	snprintf(tmp, sizeof(tmp), "%s/" FILE_NAME ".new", p->dir);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f == NULL) {
		if (fd >= 0)
			close(fd);
		return failed(tmp, e);
	}
	ok = fprintf(f, "%s %s %s %s\n", a->id, a->from, a->by, a->at) > 0 && fflush(f) == 0 &&
	     fsync(fd) == 0;
	ok = fclose(f) == 0 && ok;
	if (!ok || rename(tmp, path) != 0 || sync_dir(p->dir) != 0) {
		failed(path, e);
		unlink(tmp);
		return e->err;
	}
	return 0;
}

bool
accepted_epoch_read(const struct control_paths *p, struct accepted_epoch *out)
{
	char path[FILE_PATH];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/" FILE_NAME, p->dir);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	ok = fscanf(f, "%32s %32s %31s %39s", out->id, out->from, out->by, out->at) == 4;
	fclose(f);
	return ok;
}
