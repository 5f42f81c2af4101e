/* SPDX-License-Identifier: BSD-3-Clause */
/* The key of a node that signs its seals: a file with the seed in hex. */
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sl_file.h"
#include "sl_seal.h"
#include "sl_secret.h"

_Static_assert(crypto_sign_PUBLICKEYBYTES == 32 && crypto_sign_SECRETKEYBYTES == 64 &&
		       crypto_sign_SEEDBYTES == SL_KEY_LEN,
	       "Ed25519");

static int
key_error(const char *file, int err, struct sl_error *e)
{
	sl_fail(e, -err, "seal_key", "", "%.200s: %s", file, strerror(err));
	sl_hint(e, "its directory must be there and be ours");
	return -err;
}

static int
write_seed(int fd, uint32_t owner, uint32_t group)
{
	char text[SL_KEY_HEX_LEN + 2];
	uint8_t seed[SL_KEY_LEN];
	int rc;

	randombytes_buf(seed, sizeof(seed));
	sl_key_to_hex(seed, text);
	text[SL_KEY_HEX_LEN] = '\n';
	rc = -sl_file_put(fd, text, SL_KEY_HEX_LEN + 1);
	if (rc == 0 && owner != UINT32_MAX && geteuid() != owner && fchown(fd, owner, group) != 0)
		rc = errno;
	sl_wipe(text, sizeof(text));
	sl_wipe(seed, sizeof(seed));
	return rc;
}

/** It has its name once it is whole: a crash leaves none, and nobody else reads half of it.
 * @param[out] made false: another was faster */
static int
make(const char *file, uint32_t owner, uint32_t group, bool *made, struct sl_error *e)
{
	char next[PATH_MAX];
	int fd, rc;

	snprintf(next, sizeof(next), "%s.XXXXXX", file);
	fd = mkostemp(next, O_CLOEXEC); /* 0600 */
	if (fd < 0)
		return key_error(file, errno, e);
	rc = write_seed(fd, owner, group);
	close(fd);
	*made = rc == 0 && link(next, file) == 0;
	if (rc == 0 && !*made && errno != EEXIST)
		rc = errno;
	unlink(next);
	return rc != 0 ? key_error(file, rc, e) : 0;
}

static int
check_file(const char *file, int fd, struct sl_error *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return key_error(file, errno, e);
	if (S_ISREG(st.st_mode) && (st.st_mode & 077) == 0)
		return 0;
	sl_fail(e, -EPERM, "seal_key_mode", "", "%.200s: others may read it, or it is no file",
		file);
	sl_hint(e, "chmod 600 %.150s", file);
	return -EPERM;
}

static int
read_seed(const char *file, int fd, uint8_t seed[SL_KEY_LEN], struct sl_error *e)
{
	char text[SL_KEY_HEX_LEN + 8] = "";
	ssize_t n = read(fd, text, sizeof(text) - 1);
	int rc;

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	rc = sl_key_from_hex(text, seed);
	sl_wipe(text, sizeof(text));
	if (rc == 0)
		return 0;
	sl_fail(e, -EINVAL, "seal_key_invalid", "", "%.200s does not hold 64 hex digits", file);
	sl_hint(e, "bring the right file back, or move it away: then a new key is made, and who "
		   "verifies names both");
	return -EINVAL;
}

static int
open_key(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/** Closes fd. */
static int
take_key(const char *file, int fd, struct sl_seal_key *out, struct sl_error *e)
{
	uint8_t seed[SL_KEY_LEN];
	int rc = check_file(file, fd, e);

	if (rc == 0)
		rc = read_seed(file, fd, seed, e);
	close(fd);
	if (rc == 0) {
		crypto_sign_seed_keypair(out->public, out->secret, seed);
		sodium_bin2base64(out->text, sizeof(out->text), out->public, sizeof(out->public),
				  sodium_base64_VARIANT_ORIGINAL);
	}
	sl_wipe(seed, sizeof(seed));
	return rc;
}

int
sl_seal_key_load(const char *file, uint32_t owner, uint32_t group, struct sl_seal_key *out,
		 struct sl_error *e)
{
	int fd = open_key(file), rc;

	sl_wipe(out, sizeof(*out));
	if (fd == -ENOENT) {
		rc = make(file, owner, group, &out->made, e);
		if (rc != 0)
			return rc;
		fd = open_key(file);
	}
	return fd < 0 ? key_error(file, -fd, e) : take_key(file, fd, out, e);
}

int
sl_seal_key_read(const char *file, struct sl_seal_key *out, struct sl_error *e)
{
	int fd = open_key(file);

	sl_wipe(out, sizeof(*out));
	if (fd >= 0)
		return take_key(file, fd, out, e);
	key_error(file, -fd, e);
	if (fd == -ENOENT)
		sl_hint(e, "whoever signs makes it; name the public key with --key");
	return fd;
}

void
sl_seal_key_wipe(struct sl_seal_key *k)
{
	sl_wipe(k, sizeof(*k));
}

static bool
parse(const char *text, uint8_t out[32])
{
	size_t n = 0;

	return sodium_base642bin(out, 32, text, strlen(text), "\r\n ", &n, NULL,
				 sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       n == 32;
}

int
sl_seal_key_public(const char *text, uint8_t out[32], struct sl_error *e)
{
	char line[128] = "";
	FILE *f;

	if (parse(text, out))
		return 0;
	f = fopen(text, "re");
	if (f != NULL) {
		if (fgets(line, sizeof(line), f) == NULL)
			line[0] = '\0';
		fclose(f);
	}
	if (line[0] != '\0' && parse(line, out))
		return 0;
	sl_fail(e, -EINVAL, "seal_key_invalid", "", "%.200s: no public key, and no file with one",
		text);
	sl_hint(e, "44 characters of base64, as `sluicectl audit` of the gateway or `sluicectl "
		   "--control URL audit key` shows");
	return -EINVAL;
}
