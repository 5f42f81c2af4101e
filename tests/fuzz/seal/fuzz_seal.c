/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records of an audit file that somebody may have written anew, a line each, the last one also as a
 * checkpoint that was kept: without the key no seal is believed; what is taken fits its chain.
 */
#include <sodium.h>
#include <stdlib.h>

#include "sl_seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok)
{
	if (!ok)
		__builtin_trap();
}

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
