/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What the tests of records and aggregates share. */
#ifndef AUDIT_TEST_H
#define AUDIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_agg.h"
#include "sl_record.h"

static inline uint64_t
rnd64(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline uint32_t
rnd(uint64_t *seed, uint32_t n)
{
	return (uint32_t)(rnd64(seed) >> 32) % n;
}

/** Zeroed memory of exactly this size. */
static inline void *
lines(size_t bytes)
{
	void *mem = NULL;

	assert_int_equal(posix_memalign(&mem, SL_CACHE_LINE, bytes), 0);
	return memset(mem, 0, bytes);
}

static inline struct sl_rec_ring *
ring_new(unsigned slots)
{
	struct sl_rec_ring *r = lines(sl_rec_ring_size(slots));

	sl_rec_ring_init(r, slots);
	return r;
}

static inline uint64_t
number(const struct sl_rec *r)
{
	return atomic_load_explicit(&r->seq, memory_order_relaxed) / 2 - 1;
}

static inline uint64_t
load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

/** Record number n: every byte depends on n, by a rule that check_record() knows; each third one is
 * as a verdict on an IPv4 flow is. */
static inline void
fill_record(struct sl_rec *s, uint64_t n)
{
	uint64_t seed = n;

	for (size_t i = sizeof(s->seq); i < offsetof(struct sl_rec, bytes) + sizeof(s->bytes);
	     i += 8) {
		uint64_t w = rnd64(&seed);

		memcpy((char *)s + i, &w, 8);
	}
	s->type = (uint8_t)(n % SL_REC_TYPES);
	s->count = (uint32_t)(n % 5);
	s->pad = 0;
	if (n % 3 != 0)
		return;
	memset(s->src + 4, 0, sizeof(s->src) - 4);
	memset(s->dst + 4, 0, sizeof(s->dst) - 4);
	memset(s->packets, 0, sizeof(s->packets));
	memset(s->bytes, 0, sizeof(s->bytes));
}

static inline bool
check_record(const struct sl_rec *s)
{
	struct sl_rec want;

	memset(&want, 0, sizeof(want));
	fill_record(&want, number(s));
	return memcmp((const char *)s + sizeof(s->seq), (const char *)&want + sizeof(s->seq),
		      sizeof(want) - sizeof(s->seq)) == 0;
}

#endif
