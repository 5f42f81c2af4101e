/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The keyed permutation of receiver indexes: four rounds of a balanced Feistel network (Luby,
 * Rackoff) on 16-bit halves. The round function multiplies two keyed terms that both hold the half
 * and folds the 128-bit product, so that neighbours look unrelated without the 512 bits of key.
 */
#ifndef SL_SESSION_INDEX_H
#define SL_SESSION_INDEX_H

#include "sl_base.h"

#define SL_PERM_ROUNDS 4

struct sl_perm {
	uint64_t a[SL_PERM_ROUNDS], b[SL_PERM_ROUNDS];
};

static inline uint32_t
sl_perm_mix(const struct sl_perm *p, unsigned round, uint32_t half)
{
	unsigned __int128 m =
		(unsigned __int128)(p->a[round] ^ half) * (p->b[round] ^ (uint64_t)half << 24);
	uint64_t folded = (uint64_t)(m >> 64) ^ (uint64_t)m;

	return (uint32_t)(folded >> 24) & 0xffff;
}

static inline uint32_t
sl_perm_encode(const struct sl_perm *p, uint32_t x)
{
	uint32_t l = x >> 16, r = x & 0xffff, t;
	unsigned i;

	for (i = 0; i < SL_PERM_ROUNDS; i++) {
		t = l ^ sl_perm_mix(p, i, r);
		l = r;
		r = t;
	}
	return l << 16 | r;
}

static inline uint32_t
sl_perm_decode(const struct sl_perm *p, uint32_t x)
{
	uint32_t l = x >> 16, r = x & 0xffff, t;
	unsigned i;

	for (i = SL_PERM_ROUNDS; i-- > 0;) {
		t = r ^ sl_perm_mix(p, i, l);
		r = l;
		l = t;
	}
	return l << 16 | r;
}

#endif
