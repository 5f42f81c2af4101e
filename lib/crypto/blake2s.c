/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_crypto.h"

#include <errno.h>

#include <blake2.h>
#include <sodium.h>

#define HMAC_BLOCK 64

int
sl_crypto_init(void)
{
	uint8_t out[SL_HASH_LEN];

	if (sodium_init() < 0)
		return -ENOSYS;
	/* libb2 picks its implementation at the first call: make that now, with one thread */
	sl_blake2s(out, sizeof(out), NULL, 0, NULL, 0);
	return 0;
}

void
sl_blake2s(void *out, size_t out_len, const void *in, size_t in_len, const void *key,
	   size_t key_len)
{
	blake2s_state s;

	if (key_len > 0)
		blake2s_init_key(&s, out_len, key, key_len);
	else
		blake2s_init(&s, out_len);
	blake2s_update(&s, in, in_len);
	blake2s_final(&s, out, out_len);
	sl_wipe(&s, sizeof(s));
}

void
sl_blake2s_2(uint8_t out[SL_HASH_LEN], const void *a, size_t a_len, const void *b, size_t b_len)
{
	blake2s_state s;

	blake2s_init(&s, SL_HASH_LEN);
	blake2s_update(&s, a, a_len);
	blake2s_update(&s, b, b_len);
	blake2s_final(&s, out, SL_HASH_LEN);
	sl_wipe(&s, sizeof(s));
}

/** HMAC of a || b with a key of at most one block. */
static void
hmac_2(uint8_t out[SL_HASH_LEN], const void *key, size_t key_len, const void *a, size_t a_len,
       const void *b, size_t b_len)
{
	uint8_t pad[HMAC_BLOCK] = {0}, inner[SL_HASH_LEN];
	blake2s_state s;
	unsigned i;

	if (key_len > 0)
		memcpy(pad, key, key_len);
	for (i = 0; i < HMAC_BLOCK; i++)
		pad[i] ^= 0x36;
	blake2s_init(&s, SL_HASH_LEN);
	blake2s_update(&s, pad, HMAC_BLOCK);
	blake2s_update(&s, a, a_len);
	blake2s_update(&s, b, b_len);
	blake2s_final(&s, inner, SL_HASH_LEN);
	for (i = 0; i < HMAC_BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	sl_blake2s_2(out, pad, HMAC_BLOCK, inner, SL_HASH_LEN);
	sl_wipe(&s, sizeof(s));
	sl_wipe(pad, sizeof(pad));
	sl_wipe(inner, sizeof(inner));
}

void
sl_hmac(uint8_t out[SL_HASH_LEN], const void *key, size_t key_len, const void *in, size_t in_len)
{
	uint8_t short_key[SL_HASH_LEN];

	if (key_len <= HMAC_BLOCK) {
		hmac_2(out, key, key_len, in, in_len, NULL, 0);
		return;
	}
	sl_blake2s(short_key, sizeof(short_key), key, key_len, NULL, 0);
	hmac_2(out, short_key, sizeof(short_key), in, in_len, NULL, 0);
	sl_wipe(short_key, sizeof(short_key));
}

void
sl_kdf(const uint8_t key[SL_HASH_LEN], const void *in, size_t in_len, uint8_t t1[SL_HASH_LEN],
       uint8_t t2[SL_HASH_LEN], uint8_t t3[SL_HASH_LEN])
{
	uint8_t *const out[3] = {t1, t2, t3};
	uint8_t t0[SL_HASH_LEN], t[SL_HASH_LEN], i;

	/* outputs may lie on `key` or `in`: neither is read after t0 */
	hmac_2(t0, key, SL_HASH_LEN, in, in_len, NULL, 0);
	for (i = 0; i < 3 && (i == 0 || out[i] != NULL || out[2] != NULL); i++) {
		const uint8_t n = i + 1;

		hmac_2(t, t0, SL_HASH_LEN, t, i == 0 ? 0 : SL_HASH_LEN, &n, 1);
		if (out[i] != NULL)
			memcpy(out[i], t, SL_HASH_LEN);
	}
	sl_wipe(t0, sizeof(t0));
	sl_wipe(t, sizeof(t));
}
