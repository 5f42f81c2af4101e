/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_agg.h"

#include <emmintrin.h>
#include <stddef.h>

#define PLACES 8

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

/** A row: one line, as new flows of many keys touch many of them. */
struct sl_agg_line {
	uint8_t src[4], dst[4]; /* the first bytes */
	uint64_t key[2]; /* from peer_id on; in place of the padding `why`, 8 bits, and ... */
	uint32_t flows;
	uint32_t rule_id, role_id;
	uint32_t lasted; /* ... the upper 16 bits of this: last_ns - first_ns */
	uint64_t packets, bytes;
	uint64_t first_ns;
} SL_ALIGNED(SL_CACHE_LINE);
_Static_assert(sizeof(struct sl_agg_line) == SL_CACHE_LINE, "one line");

#define KEY_BITS 40 /* of key[1]: interface, protocol, version, flags */
#define KEY_MASK ((UINT64_C(1) << KEY_BITS) - 1)
#define LASTED_MAX ((UINT64_C(1) << 48) - 1) /* three days: control collects once a second */
_Static_assert(offsetof(struct sl_agg_key, peer_id) == 32 &&
		       offsetof(struct sl_agg_key, pad) == 40 + KEY_BITS / 8,
	       "two words, but for the padding");

/** Of all but IPv4. */
struct sl_agg_rest {
	uint8_t src[12], dst[12];
};

static unsigned
buckets_for(unsigned rows)
{
	return SL_MAX(rows / PLACES, 1U);
}

size_t
sl_agg_table_size(unsigned rows)
{
	return sizeof(struct sl_agg_table) + buckets_for(rows) * sizeof(struct sl_agg_bucket) +
	       (rows - rows / 4) * (sizeof(struct sl_agg_line) + sizeof(struct sl_agg_rest));
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
		t->line = (struct sl_agg_line *)(t->bucket + t->mask + 1);
		t->rest = (struct sl_agg_rest *)(t->line + t->max);
	}
	sl_hash_key_init(&a->hash, hash_key);
}

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

static inline void
key_words(uint64_t w[2], const struct sl_agg_key *k)
{
	memcpy(w, &k->peer_id, 2 * sizeof(w[0]));
}

static inline bool
same_key(const struct sl_agg_table *t, uint32_t number, const struct sl_agg_key *k)
{
	const struct sl_agg_line *r = &t->line[number];
	uint64_t w[2];

	key_words(w, k);
	if (((r->key[0] ^ w[0]) | ((r->key[1] ^ w[1]) & KEY_MASK)) != 0 ||
	    memcmp(r->src, k->src, 4) != 0 || memcmp(r->dst, k->dst, 4) != 0)
		return false;
	return k->version == 4 || (memcmp(t->rest[number].src, k->src + 4, 12) == 0 &&
				   memcmp(t->rest[number].dst, k->dst + 4, 12) == 0);
}

/** The key's row, or NULL and the bucket with a free place where it belongs; there always is one.
 */
static inline struct sl_agg_line *
find(struct sl_agg_table *t, const struct sl_agg_key *k, uint32_t hash, struct sl_agg_bucket **b)
{
	for (uint32_t at = hash & t->mask;; at = (at + 1) & t->mask) {
		unsigned mine;

		*b = &t->bucket[at];
		for (mine = those(*b, signature(hash, k->flags)); mine != 0; mine &= mine - 1) {
			uint32_t number = (*b)->number[__builtin_ctz(mine)];

			if (sl_likely(same_key(t, number, k))) /* a signature has 15 bits */
				return &t->line[number];
		}
		if (sl_likely(those(*b, 0) != 0)) /* at most three quarters are taken */
			return NULL;
	}
}

void
sl_agg_prefetch_row(const struct sl_agg *a, uint32_t hash, uint8_t flags)
{
	struct sl_agg_table *t = sl_agg_active(a);
	const struct sl_agg_bucket *b = &t->bucket[hash & t->mask];
	unsigned mine = those(b, signature(hash, flags));

	if (mine != 0)
		sl_prefetch(&t->line[b->number[__builtin_ctz(mine)]]);
}

void
sl_agg_add(struct sl_agg *a, const struct sl_agg_key *k, uint32_t rule_id, uint32_t role_id,
	   unsigned why, unsigned flows, uint64_t packets, uint64_t bytes, uint64_t now_ns)
{
	sl_agg_add_hashed(a, k, sl_agg_hash(a, k), rule_id, role_id, why, flows, packets, bytes,
			  now_ns);
}

/** The next row is this key's: what identifies it. */
static inline struct sl_agg_line *
begin(struct sl_agg_table *t, const struct sl_agg_key *k, uint32_t hash, struct sl_agg_bucket *b)
{
	unsigned place = (unsigned)__builtin_ctz(those(b, 0));
	struct sl_agg_line *r = &t->line[t->used];

	b->sig[place] = signature(hash, k->flags);
	b->number[place] = t->used;
	memcpy(r->src, k->src, 4);
	memcpy(r->dst, k->dst, 4);
	if (k->version != 4) {
		memcpy(t->rest[t->used].src, k->src + 4, 12);
		memcpy(t->rest[t->used].dst, k->dst + 4, 12);
	}
	t->used++;
	return r;
}

void
sl_agg_add_hashed(struct sl_agg *a, const struct sl_agg_key *k, uint32_t hash, uint32_t rule_id,
		  uint32_t role_id, unsigned why, unsigned flows, uint64_t packets, uint64_t bytes,
		  uint64_t now_ns)
{
	struct sl_agg_table *t = sl_agg_active(a);
	struct sl_agg_bucket *b;
	struct sl_agg_line *r = find(t, k, hash, &b);
	uint64_t lasted = 0, key[2];

	key_words(key, k);
	if (r != NULL) {
		if (flows == 0) { /* more of what began before: who begins says why */
			rule_id = r->rule_id;
			role_id = r->role_id;
			why = (unsigned)(r->key[1] >> KEY_BITS) & 0xff;
		}
		flows += r->flows;
		packets += r->packets;
		bytes += r->bytes;
		lasted = SL_MIN(now_ns - r->first_ns, LASTED_MAX);
	} else if (sl_likely(t->used < t->max)) {
		r = begin(t, k, hash, b);
		r->key[0] = key[0];
		r->first_ns = now_ns;
	} else {
		t->lost += flows;
		return;
	}
	r->flows = flows;
	r->rule_id = rule_id;
	r->role_id = role_id;
	r->packets = packets;
	r->bytes = bytes;
	r->lasted = (uint32_t)lasted;
	r->key[1] = key[1] | (uint64_t)why << KEY_BITS | lasted >> 32 << 48;
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
sl_agg_row_get(const struct sl_agg_table *t, uint32_t i, struct sl_agg_row *out)
{
	const struct sl_agg_line *r = &t->line[i];
	uint64_t w[2] = {r->key[0], r->key[1] & KEY_MASK};

	*out = (struct sl_agg_row){.flows = r->flows,
				   .rule_id = r->rule_id,
				   .role_id = r->role_id,
				   .why = r->key[1] >> KEY_BITS & 0xff,
				   .packets = r->packets,
				   .bytes = r->bytes,
				   .first_ns = r->first_ns};
	out->last_ns = r->first_ns + (r->lasted | r->key[1] >> 48 << 32);
	memcpy(&out->key.peer_id, w, sizeof(w));
	memcpy(out->key.src, r->src, 4);
	memcpy(out->key.dst, r->dst, 4);
	if (out->key.version == 4)
		return;
	memcpy(out->key.src + 4, t->rest[i].src, 12);
	memcpy(out->key.dst + 4, t->rest[i].dst, 12);
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
