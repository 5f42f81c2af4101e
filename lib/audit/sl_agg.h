/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Flow aggregates: what was seen, as the evidence on which an engineer enforces. Folded from flow
 * entries in a table a data lcore, independent of logging, sampling and rate limits.
 *
 * Each lcore has two tables. Its worker adds to the active one; control asks for the other side by
 * storing `wish`, the worker swaps in its housekeeping and stores `active`, then control reads and
 * clears the resting one. Nothing waits. A full table counts what it could not take as lost.
 */
#ifndef SL_AGG_H
#define SL_AGG_H

#include <stdatomic.h>
#include <stddef.h>

#include "sl_base.h"
#include "sl_hash.h"

#define SL_AGG_EPHEMERAL 32768 /* source ports from here on fold into 0 */

enum sl_agg_flags {
	SL_AGG_FROM_TUNNEL = 1, /* the initiator is the peer */
	SL_AGG_ALLOW = 2,	/* what policy said at the time */
	SL_AGG_ENFORCED = 4,
	SL_AGG_MIDSTREAM = 8, /* kept out of would-deny and suggest */
};

struct sl_agg_key {
	uint8_t src[16], dst[16]; /* of the initiator's direction; IPv4 in the first 4 bytes */
	uint32_t peer_id;
	uint16_t sport; /* 0 if ephemeral or initiated by the peer */
	uint16_t dport;
	uint16_t iface;
	uint8_t proto, version;
	uint8_t flags;	/* enum sl_agg_flags */
	uint8_t pad[3]; /* zero */
};
_Static_assert(sizeof(struct sl_agg_key) == 48, "no padding between");

/** What sl_agg_row_get() tells. */
struct sl_agg_row {
	struct sl_agg_key key;
	uint32_t flows;		   /* begun here; 0 where only later packets were folded */
	uint32_t rule_id, role_id; /* of the last that began: ids of the document; 0: none */
	uint32_t why;		   /* and how: enum sl_why of the policy */
	uint64_t packets, bytes;
	uint64_t first_ns, last_ns; /* monotonic */
};

/** Rows stand in the order in which they began: the next one is known before its key is. A row is a
 * cache line, and so is a bucket. */
struct sl_agg_table {
	uint32_t used, max;
	uint32_t mask; /* of buckets */
	uint32_t pad;
	uint64_t lost; /* flows that found no row since the last clear */
	struct sl_agg_bucket *bucket;
	struct sl_agg_line *line; /* [used], room for `max`: the rows, but for the rest of ... */
	struct sl_agg_rest *rest; /* ... addresses that are longer than IPv4's */
} SL_ALIGNED(SL_CACHE_LINE);

struct sl_agg {
	_Atomic uint32_t wish, active; /* w: control, worker; 0 or 1 */
	struct sl_agg_table *table[2];
	struct sl_hash_key hash;
};

/** @param rows a power of two, at least 4; there is room for three quarters. Memory is the
 * caller's: zeroed, cache-aligned, sl_agg_table_size(rows) bytes each */
size_t sl_agg_table_size(unsigned rows);
void sl_agg_init(struct sl_agg *a, void *mem0, void *mem1, unsigned rows,
		 const uint64_t hash_key[2]);

#define SL_AGG_KEY_WORDS (sizeof(struct sl_agg_key) / sizeof(uint64_t))
_Static_assert(SL_AGG_KEY_WORDS <= SL_HASH_WORDS, "hashed whole");
_Static_assert(offsetof(struct sl_agg_key, flags) == (SL_AGG_KEY_WORDS - 1) * 8 + 4,
	       "all below is hashed");

/** Of all of a key but its flags, never 0. */
static inline uint32_t
sl_agg_hash(const struct sl_agg *a, const struct sl_agg_key *k)
{
	uint64_t w[SL_AGG_KEY_WORDS];
	uint32_t h;

	memcpy(w, k, sizeof(w));
	w[SL_AGG_KEY_WORDS - 1] &= UINT32_MAX; /* a flow's flags change */
	h = (uint32_t)sl_hash(&a->hash, w, SL_AGG_KEY_WORDS);
	return h != 0 ? h : 1;
}

static inline struct sl_agg_table *
sl_agg_active(const struct sl_agg *a)
{
	return a->table[atomic_load_explicit(&a->active, memory_order_relaxed) & 1];
}

/** Worker: bring into the cache what leads to the rows of this hash. */
static inline void
sl_agg_prefetch(const struct sl_agg *a, uint32_t hash)
{
	const struct sl_agg_table *t = sl_agg_active(a);

	sl_prefetch((const char *)t->bucket + (size_t)(hash & t->mask) * SL_CACHE_LINE);
}

/** Worker, a little later: and the row of a key with these flags, if it has one. */
void sl_agg_prefetch_row(const struct sl_agg *a, uint32_t hash, uint8_t flags);
/** Worker: bring the n-th new row from now on into the cache, 0 for the next one. */
static inline void
sl_agg_expect(const struct sl_agg *a, unsigned n)
{
	const struct sl_agg_table *t = sl_agg_active(a);

	if (sl_likely(t->used + n < t->max))
		sl_prefetch((const char *)t->line + (size_t)(t->used + n) * SL_CACHE_LINE);
}

/** Worker: fold. @param flows 1 at the begin of a flow, 0 for later packets and bytes (which take a
 * row of their own where the tables were swapped since the begin) */
void sl_agg_add(struct sl_agg *a, const struct sl_agg_key *k, uint32_t rule_id, uint32_t role_id,
		unsigned why, unsigned flows, uint64_t packets, uint64_t bytes, uint64_t now_ns);
/** The same, with the hash at hand. */
void sl_agg_add_hashed(struct sl_agg *a, const struct sl_agg_key *k, uint32_t hash,
		       uint32_t rule_id, uint32_t role_id, unsigned why, unsigned flows,
		       uint64_t packets, uint64_t bytes, uint64_t now_ns);
/** Worker, once a tick: swap when control wishes. */
void sl_agg_poll(struct sl_agg *a);

/** Control: the resting table when the worker has swapped since the wish, else NULL. */
struct sl_agg_table *sl_agg_resting(struct sl_agg *a);
/** Control: a row of the resting table. @param i below t->used */
void sl_agg_row_get(const struct sl_agg_table *t, uint32_t i, struct sl_agg_row *out);
/** Control: clear the resting table and wish for the other one. Nothing while none rests. */
void sl_agg_turn(struct sl_agg *a);

#endif
