/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
sl_file_put(int fd, const void *data, size_t len)
{
	const char *at = data;
	ssize_t n;

	while (len > 0) {
		n = write(fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0 ? 0 : -errno;
}

int
sl_file_sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = fsync(fd) == 0 ? 0 : -errno;
	close(fd);
	return rc;
}

int
sl_file_sync_parent(const char *path)
{
	char copy[PATH_MAX];

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return -ENAMETOOLONG;
	return sl_file_sync_dir(dirname(copy));
}

static int
name_of(char out[PATH_MAX], const char *dir, const char *name, const char *ending)
{
	int n = snprintf(out, PATH_MAX, "%s/%s%s", dir, name, ending);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int
sl_file_stage(const char *dir, const char *name, const void *data, size_t len)
{
	char tmp[PATH_MAX];
	int rc = name_of(tmp, dir, name, ".new"), fd;

	if (rc < 0)
		return rc;
	unlink(tmp); /* of a write that was cut short, perhaps by another user */
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	rc = sl_file_put(fd, data, len);
	close(fd);
	if (rc < 0)
		unlink(tmp);
	return rc;
}

int
sl_file_write(const char *dir, const char *name, const void *data, size_t len)
{
	char path[PATH_MAX], tmp[PATH_MAX];
	int rc = sl_file_stage(dir, name, data, len);

	if (rc < 0)
		return rc;
	name_of(path, dir, name, "");
	name_of(tmp, dir, name, ".new");
	if (rename(tmp, path) == 0)
		return sl_file_sync_dir(dir);
	rc = -errno;
	unlink(tmp);
	return rc;
}
