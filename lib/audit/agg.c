/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_agg.h"

#define KEY_WORDS (sizeof(struct sl_agg_key) / sizeof(uint64_t))
_Static_assert(KEY_WORDS <= SL_HASH_WORDS, "hashed whole");

size_t
sl_agg_table_size(unsigned rows)
{
	return sizeof(struct sl_agg_table) + (size_t)rows * sizeof(struct sl_agg_row);
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

static uint32_t
first_place(const struct sl_agg *a, const struct sl_agg_table *t, const struct sl_agg_key *k)
{
	return (uint32_t)sl_hash(&a->hash, k, KEY_WORDS) & t->mask;
}

void
sl_agg_prefetch(const struct sl_agg *a, const struct sl_agg_key *k)
{
	const struct sl_agg_table *t = active(a);
	const struct sl_agg_row *r = &t->row[first_place(a, t, k)];

	sl_prefetch(r);
	sl_prefetch(&r->last_ns); /* a row lies on two lines */
}

/** The key's row or the free one where it belongs; there always is a free one. */
static struct sl_agg_row *
place(const struct sl_agg *a, struct sl_agg_table *t, const struct sl_agg_key *k)
{
	uint32_t at = first_place(a, t, k);

	while (t->row[at].used && memcmp(&t->row[at].key, k, sizeof(*k)) != 0)
		at = (at + 1) & t->mask;
	return &t->row[at];
}

void
sl_agg_add(struct sl_agg *a, const struct sl_agg_key *k, uint32_t rule_id, uint32_t role_id,
	   unsigned flows, uint64_t packets, uint64_t bytes, uint64_t now_ns)
{
	struct sl_agg_table *t = active(a);
	struct sl_agg_row *r = place(a, t, k);

	if (!r->used) {
		if (t->used == t->max) {
			t->lost += flows;
			return;
		}
		t->used++;
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
		memset(t->row, 0, ((size_t)t->mask + 1) * sizeof(t->row[0]));
	t->used = 0;
	t->lost = 0;
	atomic_store_explicit(&a->wish, 1 - atomic_load_explicit(&a->wish, memory_order_relaxed),
			      memory_order_release);
}
