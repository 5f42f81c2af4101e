/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gw.h"
#include "sl_file.h"

static int
fail_errno(struct sl_error *e, const char *reason, const char *what, const char *path)
{
	int err = errno;

	sl_fail(e, -err, reason, "", "%s %s: %s", what, path, strerror(err));
	sl_hint(e, "check that the directory exists and is writable, and that there is space");
	return -err;
}

int
gw_dir_make(const char *dir, struct sl_error *e)
{
	struct stat st;

	if (mkdir(dir, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return fail_errno(e, "state_dir", "cannot make the directory", dir);
	if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	return sl_fail(e, -ENOTDIR, "state_dir", "", "%s is not a directory", dir);
}

int
gw_file_stage(const char *dir, const char *name, const char *text, size_t len, struct sl_error *e)
{
	char tmp[4096];
	int rc = sl_file_stage(dir, name, text, len);

	if (rc == 0)
		return 0;
	snprintf(tmp, sizeof(tmp), "%s/%s.new", dir, name);
	errno = -rc;
	return fail_errno(e, "state_write", "cannot write", tmp);
}

int
gw_file_replace(const char *dir, const char *name, struct sl_error *e)
{
	char path[4096], tmp[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(tmp, sizeof(tmp), "%s/%s.new", dir, name);
	if (rename(tmp, path) == 0)
		return 0;
	fail_errno(e, "state_write", "cannot replace", path);
	return -EIO;
}

int
gw_file_sync_dir(const char *dir, struct sl_error *e)
{
	int rc = sl_file_sync_dir(dir);

	if (rc == 0)
		return 0;
	errno = -rc;
	fail_errno(e, "state_write", "cannot write", dir);
	return -EIO;
}

void
gw_file_unstage(const char *dir, const char *name)
{
	char tmp[4096];

	snprintf(tmp, sizeof(tmp), "%s/%s.new", dir, name);
	unlink(tmp);
}

int
gw_file_remove(const char *dir, const char *name, struct sl_error *e)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	fail_errno(e, "state_write", "cannot remove", path);
	return -EIO;
}

int
gw_file_write(const char *dir, const char *name, const char *text, size_t len, struct sl_error *e)
{
	int rc = gw_file_stage(dir, name, text, len, e);

	if (rc == 0)
		rc = gw_file_replace(dir, name, e);
	return rc == 0 ? gw_file_sync_dir(dir, e) : rc;
}

int
gw_file_add(const char *dir, const char *name, const char *text, size_t len, struct sl_error *e)
{
	char path[4096];
	off_t end;
	int fd, rc;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(e, "state_write", "cannot add to", path);
	end = lseek(fd, 0, SEEK_END);
	rc = end < 0 ? -errno : sl_file_put(fd, text, len);
	if (rc < 0) {
		errno = -rc;
		fail_errno(e, "state_write", "cannot add to", path);
		if (end >= 0 && ftruncate(fd, end) != 0)
			sl_log(SL_LOG_ERR, "state", "%s ends in a piece of an entry", path);
		close(fd);
		return -EIO;
	}
	close(fd);
	return end == 0 ? gw_file_sync_dir(dir, e) : 0; /* it may be new */
}

int
gw_file_read(const char *dir, const char *name, size_t max, char **text, size_t *len,
	     struct sl_error *e)
{
	char path[4096];
	struct stat st;
	int fd, rc = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return fail_errno(e, "state_read", "cannot read", path);
	*text = NULL;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size > max)
		rc = sl_fail(e, -EINVAL, "state_invalid", "",
			     "%s is not a file of at most %zu bytes", path, max);
	if (rc == 0)
		*text = malloc((size_t)st.st_size + 1);
	if (rc == 0 && *text == NULL)
		rc = gw_no_memory(e);
	for (*len = 0; rc == 0 && *len < (size_t)st.st_size; *len += (size_t)n) {
		n = read(fd, *text + *len, (size_t)st.st_size - *len);
		if (n == 0)
			break;
		if (n < 0)
			rc = fail_errno(e, "state_read", "cannot read", path);
		n = SL_MAX(n, 0);
	}
	close(fd);
	if (rc != 0)
		free(*text);
	else
		(*text)[*len] = '\0';
	return rc;
}
