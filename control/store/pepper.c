/* SPDX-License-Identifier: BSD-3-Clause */
/* The pepper: without this file nobody can make a hash that the store takes for a token's. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sl_file.h"
#include "sl_secret.h"
#include "sl_token.h"
#include "store_int.h"

static int
file_error(const char *file, int err, struct sl_error *e)
{
	sl_fail(e, -err, "file", "", "%.200s: %s", file, strerror(err));
	if (err == ENOENT)
		sl_hint(e, "sluice-control init makes it; a follower has a copy of the primary's");
	return -err;
}

static int
make(const char *file, struct sl_error *e)
{
	char text[SL_KEY_HEX_LEN + 2];
	struct sl_pepper p;
	int fd, rc;

	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return file_error(file, errno, e);
	randombytes_buf(p.key, sizeof(p.key));
	sl_key_to_hex(p.key, text);
	text[SL_KEY_HEX_LEN] = '\n';
	rc = sl_file_put(fd, text, SL_KEY_HEX_LEN + 1);
	if (rc < 0)
		file_error(file, -rc, e);
	close(fd);
	sl_wipe(text, sizeof(text));
	sl_wipe(&p, sizeof(p));
	if (rc < 0)
		unlink(file);
	return rc;
}

int
sl_pepper_load(const char *file, bool create, struct sl_pepper *out, struct sl_error *e)
{
	char text[SL_KEY_HEX_LEN + 8] = "";
	ssize_t n = 0;
	int fd, rc = store_file_check(file, e);

	sl_wipe(out, sizeof(*out));
	if (rc == -ENOENT && create)
		rc = make(file, e);
	else if (rc == -ENOENT)
		rc = file_error(file, ENOENT, e);
	if (rc < 0)
		return rc;
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return file_error(file, errno, e);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	rc = sl_key_from_hex(text, out->key);
	sl_wipe(text, sizeof(text));
	if (rc == 0)
		return 0;
	sl_fail(e, -EINVAL, "pepper_invalid", "", "%.200s does not hold 64 hex digits", file);
	sl_hint(e, "bring the right file back: with another one no token is known any more");
	return -EINVAL;
}
