/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The inside of the flow table: one block of header, buckets and entries. */
#ifndef SL_FLOW_TABLE_INT_H
#define SL_FLOW_TABLE_INT_H

#include "sl_flow.h"

/** Eight places of entries and what of their hashes the bucket does not say. */
struct sl_flow_bucket {
	uint16_t sig[SL_FLOW_BUCKET];
	uint32_t at[SL_FLOW_BUCKET];
	uint8_t used; /* a bit a place */
	uint8_t pad[3];
	uint32_t spilled; /* entries of which it is the first bucket, and which are in the second */
	uint8_t pad2[8];
} SL_ALIGNED(SL_CACHE_LINE);
_Static_assert(sizeof(struct sl_flow_bucket) == SL_CACHE_LINE, "one line");

static inline struct sl_flow_bucket *
first_bucket(const struct sl_flow_table *t, uint32_t hash)
{
	return &t->bucket[hash & t->mask];
}

/** Another one, spread by all bits of the hash. */
static inline struct sl_flow_bucket *
second_bucket(const struct sl_flow_table *t, uint32_t hash)
{
	uint32_t other = (uint32_t)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & t->mask;

	return &t->bucket[other == (hash & t->mask) ? (other ^ 1) & t->mask : other];
}

static inline uint16_t
signature(uint32_t hash)
{
	return (uint16_t)(hash >> 16);
}

#endif
