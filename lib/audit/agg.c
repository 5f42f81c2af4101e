/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_agg.h"

#include <emmintrin.h>
#include <stddef.h>

#define PLACES 8
#define KEY_WORDS (sizeof(struct sl_agg_key) / sizeof(uint64_t))
_Static_assert(KEY_WORDS <= SL_HASH_WORDS, "hashed whole");

/**
 * Where the rows of keys are: the number of a row and the signature of its key, 0 if the place is
 * free. A full bucket goes on in the next one.
 */
struct sl_agg_bucket {
	uint16_t sig[PLACES];
	uint32_t number[PLACES];
	uint8_t pad[16];
} SL_ALIGNED(SL_CACHE_LINE);
_Static_assert(sizeof(struct sl_agg_bucket) == SL_CACHE_LINE, "one line");

static unsigned
buckets_for(unsigned rows)
{
	return SL_MAX(rows / PLACES, 1U);
}

size_t
sl_agg_table_size(unsigned rows)
{
	return sizeof(struct sl_agg_table) + buckets_for(rows) * sizeof(struct sl_agg_bucket) +
	       (rows - rows / 4) * sizeof(struct sl_agg_row);
}

void
sl_agg_init(struct sl_agg *a, void *mem0, void *mem1, unsigned rows, const uint64_t hash_key[2])
{
	atomic_init(&a->wish, 0);
	atomic_init(&a->active, 0);
	a->table[0] = mem0;
	a->table[1] = mem1;
	for (unsigned i = 0; i < 2; i++) {
		struct sl_agg_table *t = a->table[i];

		t->max = rows - rows / 4;
		t->mask = buckets_for(rows) - 1;
		t->bucket = (struct sl_agg_bucket *)(t + 1);
		t->row = (struct sl_agg_row *)(t->bucket + t->mask + 1);
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

static inline uint16_t
signature(uint32_t hash, uint8_t flags)
{
	return (uint16_t)((hash >> 16) + flags * 0x9e38U) | 1;
}

/** @return a bit for each place of the bucket that has this signature */
static inline unsigned
those(const struct sl_agg_bucket *b, uint16_t sig)
{
	__m128i same = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)b->sig),
				       _mm_set1_epi16((short)sig));

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(same, _mm_setzero_si128()));
}

static inline bool
same_key(const struct sl_agg_key *x, const struct sl_agg_key *y)
{
	uint64_t a[KEY_WORDS], b[KEY_WORDS], differ = 0;

	memcpy(a, x, sizeof(a));
	memcpy(b, y, sizeof(b));
	for (unsigned i = 0; i < KEY_WORDS; i++)
		differ |= a[i] ^ b[i];
	return differ == 0;
}

/** The key's row, or NULL and the bucket with a free place where it belongs; there always is one.
 */
static inline struct sl_agg_row *
find(struct sl_agg_table *t, const struct sl_agg_key *k, uint32_t hash, struct sl_agg_bucket **b)
{
	for (uint32_t at = hash & t->mask;; at = (at + 1) & t->mask) {
		unsigned mine;

		*b = &t->bucket[at];
		for (mine = those(*b, signature(hash, k->flags)); mine != 0; mine &= mine - 1) {
			struct sl_agg_row *r = &t->row[(*b)->number[__builtin_ctz(mine)]];

			if (sl_likely(same_key(&r->key, k))) /* a signature has 15 bits */
				return r;
		}
		if (sl_likely(those(*b, 0) != 0)) /* at most three quarters are taken */
			return NULL;
	}
}

static void
fetch(struct sl_agg_table *t, uint32_t number)
{
	sl_prefetch(&t->row[number]);
	sl_prefetch(&t->row[number].last_ns); /* a row lies on two lines */
}

void
sl_agg_prefetch(const struct sl_agg *a, uint32_t hash)
{
	struct sl_agg_table *t = active(a);

	sl_prefetch(&t->bucket[hash & t->mask]);
}

void
sl_agg_prefetch_row(const struct sl_agg *a, uint32_t hash, uint8_t flags)
{
	struct sl_agg_table *t = active(a);
	const struct sl_agg_bucket *b = &t->bucket[hash & t->mask];
	unsigned mine = those(b, signature(hash, flags));

	if (mine != 0)
		fetch(t, b->number[__builtin_ctz(mine)]);
}

void
sl_agg_expect(const struct sl_agg *a, unsigned n)
{
	struct sl_agg_table *t = active(a);

	if (sl_likely(t->used + n < t->max))
		fetch(t, t->used + n);
}

void
sl_agg_add(struct sl_agg *a, const struct sl_agg_key *k, uint32_t rule_id, uint32_t role_id,
	   unsigned why, unsigned flows, uint64_t packets, uint64_t bytes, uint64_t now_ns)
{
	sl_agg_add_hashed(a, k, sl_agg_hash(a, k), rule_id, role_id, why, flows, packets, bytes,
			  now_ns);
}

void
sl_agg_add_hashed(struct sl_agg *a, const struct sl_agg_key *k, uint32_t hash, uint32_t rule_id,
		  uint32_t role_id, unsigned why, unsigned flows, uint64_t packets, uint64_t bytes,
		  uint64_t now_ns)
{
	struct sl_agg_table *t = active(a);
	struct sl_agg_bucket *b;
	struct sl_agg_row *r = find(t, k, hash, &b);
	unsigned place;

	if (r == NULL) {
		if (t->used == t->max) {
			t->lost += flows;
			return;
		}
		place = (unsigned)__builtin_ctz(those(b, 0));
		b->sig[place] = signature(hash, k->flags);
		b->number[place] = t->used;
		r = &t->row[t->used++];
		*r = (struct sl_agg_row){.key = *k, .first_ns = now_ns};
	}
	r->flows += flows;
	r->rule_id = rule_id;
	r->role_id = role_id;
	r->why = why;
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
		memset(t->bucket, 0, ((size_t)t->mask + 1) * sizeof(*t->bucket));
	t->used = 0;
	t->lost = 0;
	atomic_store_explicit(&a->wish, 1 - atomic_load_explicit(&a->wish, memory_order_relaxed),
			      memory_order_release);
}
