/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_agg.h"

#include <stddef.h>

#define KEY_WORDS (sizeof(struct sl_agg_key) / sizeof(uint64_t))
_Static_assert(KEY_WORDS <= SL_HASH_WORDS, "hashed whole");

size_t
sl_agg_table_size(unsigned rows)
{
	size_t n = sizeof(struct sl_agg_table) + (size_t)rows * (sizeof(struct sl_agg_row) + 1);

	return (n + SL_CACHE_LINE - 1) & ~(size_t)(SL_CACHE_LINE - 1);
}

void
sl_agg_init(struct sl_agg *a, void *mem0, void *mem1, unsigned rows, const uint64_t hash_key[2])
{
	atomic_init(&a->wish, 0);
	atomic_init(&a->active, 0);
	a->table[0] = mem0;
	a->table[1] = mem1;
	for (unsigned i = 0; i < 2; i++) {
		a->table[i]->mask = rows - 1;
		a->table[i]->max = rows - rows / 4;
	}
	sl_hash_key_init(&a->hash, hash_key);
}

static struct sl_agg_table *
active(const struct sl_agg *a)
{
	return a->table[atomic_load_explicit(&a->active, memory_order_relaxed) & 1];
}

uint32_t
sl_agg_hash(const struct sl_agg *a, const struct sl_agg_key *k)
{
	uint64_t w[KEY_WORDS];
	uint32_t h;

	memcpy(w, k, sizeof(w));
	w[KEY_WORDS - 1] &= UINT32_MAX; /* a flow's flags change */
	h = (uint32_t)sl_hash(&a->hash, w, KEY_WORDS);
	return h != 0 ? h : 1;
}
_Static_assert(offsetof(struct sl_agg_key, flags) == (KEY_WORDS - 1) * 8 + 4,
	       "all below is hashed");

/** A byte a row: 0 free, else of the hash of its key. A search reads these, which lie close. */
static uint8_t *
marks(struct sl_agg_table *t)
{
	return (uint8_t *)&t->row[t->mask + 1];
}

static inline uint8_t
mark_of(uint32_t hash)
{
	return (uint8_t)(hash >> 24 | 1);
}

/** The key's row or the free one where it belongs; there always is a free one. */
static inline uint32_t
place(struct sl_agg_table *t, const struct sl_agg_key *k, uint32_t hash)
{
	const uint8_t *m = marks(t), mine = mark_of(hash);
	uint32_t at = (hash + k->flags) & t->mask;

	while (m[at] != 0 && (m[at] != mine || memcmp(&t->row[at].key, k, sizeof(*k)) != 0))
		at = (at + 1) & t->mask;
	return at;
}

void
sl_agg_prefetch(const struct sl_agg *a, const struct sl_agg_key *k, uint32_t hash)
{
	struct sl_agg_table *t = active(a);
	const uint8_t *m = marks(t), mine = mark_of(hash);
	uint32_t at = (hash + k->flags) & t->mask;

	while (m[at] != 0 && m[at] != mine)
		at = (at + 1) & t->mask;
	sl_prefetch(&t->row[at]);
	sl_prefetch(&t->row[at].last_ns); /* a row lies on two lines */
}

void
sl_agg_add(struct sl_agg *a, const struct sl_agg_key *k, uint32_t rule_id, uint32_t role_id,
	   unsigned flows, uint64_t packets, uint64_t bytes, uint64_t now_ns)
{
	sl_agg_add_hashed(a, k, sl_agg_hash(a, k), rule_id, role_id, flows, packets, bytes, now_ns);
}

void
sl_agg_add_hashed(struct sl_agg *a, const struct sl_agg_key *k, uint32_t hash, uint32_t rule_id,
		  uint32_t role_id, unsigned flows, uint64_t packets, uint64_t bytes,
		  uint64_t now_ns)
{
	struct sl_agg_table *t = active(a);
	uint32_t at = place(t, k, hash);
	struct sl_agg_row *r = &t->row[at];

	if (!r->used) {
		if (t->used == t->max) {
			t->lost += flows;
			return;
		}
		t->used++;
		marks(t)[at] = mark_of(hash);
		*r = (struct sl_agg_row){.key = *k, .used = 1, .first_ns = now_ns};
	}
	r->flows += flows;
	r->rule_id = rule_id;
	r->role_id = role_id;
	r->packets += packets;
	r->bytes += bytes;
	r->last_ns = now_ns;
}

void
sl_agg_poll(struct sl_agg *a)
{
	uint32_t wish = atomic_load_explicit(&a->wish, memory_order_acquire);

	if (wish != atomic_load_explicit(&a->active, memory_order_relaxed))
		atomic_store_explicit(&a->active, wish, memory_order_release);
}

struct sl_agg_table *
sl_agg_resting(struct sl_agg *a)
{
	uint32_t wish = atomic_load_explicit(&a->wish, memory_order_relaxed);

	if (atomic_load_explicit(&a->active, memory_order_acquire) != wish)
		return NULL;
	return a->table[1 - wish];
}

void
sl_agg_turn(struct sl_agg *a)
{
	struct sl_agg_table *t = sl_agg_resting(a);

	if (!t)
		return;
	if (t->used)
		memset(t->row, 0, ((size_t)t->mask + 1) * (sizeof(t->row[0]) + 1));
	t->used = 0;
	t->lost = 0;
	atomic_store_explicit(&a->wish, 1 - atomic_load_explicit(&a->wish, memory_order_relaxed),
			      memory_order_release);
}
