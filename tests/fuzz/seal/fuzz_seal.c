/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records of an audit file that somebody may have written anew, a line each, the last one also as a
 * checkpoint that was kept: without the key no seal is believed; what is taken fits its chain.
 * 'P' and the file where a sink notes its place: what is taken can be gone on from, and is written
 * again as it was. 'E' and what stands in a file behind a record of ours, as a start finds it: the
 * last record of ours stays that one, and what goes on behind it fits.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../require.h"
#include "file_end.h"
#include "sl_seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(struct sl_seal_check *v, const uint8_t *line, size_t len)
{
	json_t *o = json_loadb((const char *)line, len, JSON_REJECT_DUPLICATES, NULL);
	struct sl_seal_view w;
	struct sl_error e;

	if (!json_is_object(o)) {
		json_decref(o);
		return;
	}
	sl_seal_view(o, &w);
	if (sl_seal_check_record(v, "line", o, &e) == 0 && w.chain != NULL)
		require(w.n > 0 && (w.seal == NULL || w.signature != NULL));
	sl_seal_check_keep(v, o);
	json_decref(o);
}

static void
check_place(const uint8_t *data, size_t size)
{
	int fd = memfd_create("place", MFD_CLOEXEC), rc;
	struct sl_seal_chain c, again = {0};
	char file[32];
	json_t *o;

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
	rc = sl_seal_place_read(file, &c);
	require(rc == 0 || rc == -EINVAL);
	if (rc == 0) {
		require(c.n > 0 && c.n <= INT64_MAX && strlen(c.id) == SL_SEAL_ID_STR - 1);
		o = sl_seal_place_json(&c);
		require(o != NULL);
		require(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
		require(json_dumpfd(o, fd, 0) == 0 && sl_seal_place_read(file, &again) == 0);
		require(c.n == again.n && strcmp(c.id, again.id) == 0 &&
			memcmp(c.hash, again.hash, sizeof(c.hash)) == 0);
		json_decref(o);
	}
	close(fd);
}

/** One line, always the same. @param[out] at where it stands */
static char *
line_of_ours(struct sl_seal_key *key, struct sl_seal_chain *at)
{
	static const uint8_t seed[32] = {7};
	static const struct sl_seal_say say = {.why = "start"};
	json_t *o = json_pack("{s:{}}", "sluice");
	char *text;

	crypto_sign_seed_keypair(key->public, key->secret, seed);
	sodium_bin2base64(key->text, sizeof(key->text), key->public, sizeof(key->public),
			  sodium_base64_VARIANT_ORIGINAL);
	*at = (struct sl_seal_chain){.id = "00112233445566778899aabbccddeeff"};
	require(sl_seal_add(at, o, &say, key) == 0);
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	require(text != NULL);
	return text;
}

static void
end_of_file(const uint8_t *data, size_t size)
{
	static struct sl_seal_chain at;
	static struct sl_seal_key key;
	static char *line;
	static int fd = -1;
	struct file_end end;

	if (fd < 0) {
		line = line_of_ours(&key, &at);
		fd = memfd_create("audit", MFD_CLOEXEC);
		require(fd >= 0);
	}
	require(ftruncate(fd, 0) == 0 && pwrite(fd, line, strlen(line), 0) > 0 &&
		pwrite(fd, "\n", 1, (off_t)strlen(line)) == 1 &&
		pwrite(fd, data, size, (off_t)strlen(line) + 1) == (ssize_t)size);
	file_end_read(fd, &key, &at, &end);
	require(end.whole <= strlen(line) + 1 + size && end.whole > strlen(line));
	require(end.ours.n == 1 && memcmp(end.ours.hash, at.hash, sizeof(at.hash)) == 0);
	require(end.at.n >= 1 && strcmp(end.at.id, at.id) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t nobodys[1][32] = {{3, 1, 4, 1, 5, 9, 2, 6}};
	struct sl_seal_check_conf c = {.numbered = size > 0 && (data[0] & 1)};
	struct sl_seal_report r;
	struct sl_seal_check *v;
	size_t at = 1, n;
	struct sl_error e;

	if (size == 0 || sodium_init() < 0)
		return 0;
	if (data[0] == 'P') {
		check_place(data + 1, size - 1);
		return 0;
	}
	if (data[0] == 'E') {
		end_of_file(data + 1, size - 1);
		return 0;
	}
	if (data[0] & 2) {
		c.keys = nobodys;
		c.n_keys = 1;
	}
	v = sl_seal_check_new(&c);
	require(v != NULL);
	while (at < size) {
		const uint8_t *nl = memchr(data + at, '\n', size - at);

		n = nl != NULL ? (size_t)(nl - data) - at : size - at;
		check(v, data + at, n);
		at += n + 1;
	}
	sl_seal_check_end(v, &r, &e);
	require(r.seals <= r.records && r.unsigned_n <= r.records);
	require(c.n_keys == 0 || r.seals == 0);
	sl_seal_check_free(v);
	return 0;
}
