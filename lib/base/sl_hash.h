/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A keyed hash for tables whose keys outsiders choose: a few 64-bit words to 64 bits.
 *
 * The sum is NH of UMAC (Black, Halevi, Krawczyk, Krovetz, Rogaway, 1999) over words of 64 bits:
 * two different inputs of one length agree in it with a probability of 2^-64 for whoever does not
 * know the key. One more keyed product folds it. Not a MAC: its values must not be shown to
 * outsiders.
 *
 * Pure; any thread.
 */
#ifndef SL_HASH_H
#define SL_HASH_H

#include "sl_base.h"

#define SL_HASH_WORDS 6 /* at most; even */

struct sl_hash_key {
	uint64_t k[SL_HASH_WORDS + 2];
};

static inline uint64_t
sl_hash_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/** Draw the words of the key from 128 random bits. */
static inline void
sl_hash_key_init(struct sl_hash_key *key, const uint64_t seed[2])
{
	uint64_t z, at = seed[0];

	for (unsigned i = 0; i < SL_ARRAY_SIZE(key->k); i++) {
		at += UINT64_C(0x9e3779b97f4a7c15);
		z = at ^ (i % 2 ? seed[1] : ~seed[1]);
		z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
		key->k[i] = z ^ z >> 31 ^ seed[1];
	}
	key->k[SL_HASH_WORDS] |= 1;
	key->k[SL_HASH_WORDS + 1] |= 1;
}

/** @param n words, at most SL_HASH_WORDS, a constant for each use */
static inline uint64_t
sl_hash(const struct sl_hash_key *key, const void *words, unsigned n)
{
	unsigned __int128 sum = 0;
	uint64_t w[SL_HASH_WORDS] = {0};

	memcpy(w, words, n * sizeof(w[0]));
	for (unsigned i = 0; i < n; i += 2)
		sum += (unsigned __int128)(w[i] + key->k[i]) * (w[i + 1] + key->k[i + 1]);
	return sl_hash_fold((uint64_t)sum ^ key->k[SL_HASH_WORDS],
			    (uint64_t)(sum >> 64) + key->k[SL_HASH_WORDS + 1]);
}

#endif
