/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What the tests of the flow table share. */
#ifndef FLOW_TEST_H
#define FLOW_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_flow.h"
#include "sl_record.h"

static inline uint32_t
rnd(uint64_t *seed, uint32_t n)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

/** In memory of exactly the size that the module asks for. */
static inline struct sl_flow_table *
table_new(unsigned max, uint64_t seed)
{
	const uint64_t key[2] = {seed, ~seed * 77};
	void *mem = NULL;

	assert_int_equal(posix_memalign(&mem, SL_CACHE_LINE, sl_flow_table_size(max)), 0);
	memset(mem, 0, sl_flow_table_size(max));
	return sl_flow_table_init(mem, max, key);
}

/** Key number i of a family of similar ones. @return true if its first argument is side b */
static inline bool
key_number(struct sl_flow_key *k, unsigned i, uint8_t proto)
{
	uint8_t src[16] = {10, 7, (uint8_t)(i >> 8), (uint8_t)i}, dst[16] = {10, 20, 0, 10};

	if (i % 3)
		return sl_flow_key_make(k, 4, proto, 1, src, dst, (uint16_t)(40000 + i), 443);
	src[0] = 0xfd;
	dst[0] = 0xfc;
	return sl_flow_key_make(k, 6, proto, (uint16_t)(i % 2), src, dst, 5, (uint16_t)i);
}

#endif
