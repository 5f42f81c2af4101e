/* SPDX-License-Identifier: BSD-3-Clause */
#include <emmintrin.h>

#include "sl_record.h"
#include "table_int.h"

#define BURST 32
#define AHEAD 4 /* entries that the hand fetches early */
#define SPILL 6 /* entries from which on a bucket lets others go to their second one */
#define PROTO_TCP 6

/** Buckets for half-full tables: a power of two. */
static uint32_t
buckets_for(unsigned max)
{
	uint32_t n = 2;

	while (n < max / (SL_FLOW_BUCKET / 2) && n < UINT32_C(1) << 31)
		n *= 2;
	return n;
}

size_t
sl_flow_table_size(unsigned max)
{
	return sizeof(struct sl_flow_table) + buckets_for(max) * sizeof(struct sl_flow_bucket) +
	       max * (sizeof(struct sl_flow) + sizeof(uint32_t));
}

struct sl_flow_table *
sl_flow_table_init(void *mem, unsigned max, const uint64_t hash_key[2])
{
	struct sl_flow_table *t = mem;

	t->mask = buckets_for(max) - 1;
	t->bucket = (struct sl_flow_bucket *)(t + 1);
	t->entry = (struct sl_flow *)(t->bucket + t->mask + 1);
	t->freed = (uint32_t *)(t->entry + max);
	t->max = max;
	sl_hash_key_init(&t->key, hash_key);
	return t;
}

void
sl_flow_prefetch(const struct sl_flow_table *t, uint32_t hash)
{
	sl_prefetch(first_bucket(t, hash));
}

/** @return a bit for each place in use whose signature is this */
static inline unsigned
matches(const struct sl_flow_bucket *b, uint16_t sig)
{
	__m128i same = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)b->sig),
				       _mm_set1_epi16((short)sig));

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(same, _mm_setzero_si128())) & b->used;
}

/** @param found bits of the places to look at */
static inline struct sl_flow *
look(struct sl_flow_table *t, const struct sl_flow_bucket *b, const struct sl_flow_key *k,
     unsigned found)
{
	for (; found; found &= found - 1) {
		struct sl_flow *f = &t->entry[b->at[__builtin_ctz(found)]];

		if (sl_likely(sl_flow_key_is(&f->key, k))) /* a signature has 16 bits */
			return f;
	}
	return NULL;
}

static struct sl_flow *
look_second(struct sl_flow_table *t, const struct sl_flow_key *k, uint32_t hash)
{
	const struct sl_flow_bucket *b = second_bucket(t, hash);

	return look(t, b, k, matches(b, signature(hash)));
}

/** @param found bits of the places to look at in the first bucket */
static inline struct sl_flow *
look_both(struct sl_flow_table *t, const struct sl_flow_key *k, uint32_t hash, unsigned found)
{
	const struct sl_flow_bucket *b = first_bucket(t, hash);
	struct sl_flow *f = look(t, b, k, found);

	if (sl_unlikely(!f && b->spilled)) /* a table that is nearly full */
		f = look_second(t, k, hash);
	return f;
}

struct sl_flow *
sl_flow_find(struct sl_flow_table *t, const struct sl_flow_key *k, uint32_t hash)
{
	return look_both(t, k, hash, matches(first_bucket(t, hash), signature(hash)));
}

static void
find_some(struct sl_flow_table *t, const struct sl_flow_key k[], const uint32_t hash[],
	  struct sl_flow *out[], unsigned n)
{
	unsigned found[BURST];

	for (unsigned i = 0; i < n; i++) {
		const struct sl_flow_bucket *b = first_bucket(t, hash[i]);
		const struct sl_flow *f;

		found[i] = matches(b, signature(hash[i]));
		if (!found[i]) {
			if (b->spilled)
				sl_prefetch(second_bucket(t, hash[i]));
			continue;
		}
		f = &t->entry[b->at[__builtin_ctz(found[i])]];
		sl_prefetch(f);
		sl_prefetch(f->packets); /* the caller counts there */
	}
	for (unsigned i = 0; i < n; i++)
		out[i] = look_both(t, &k[i], hash[i], found[i]);
}

void
sl_flow_find_burst(struct sl_flow_table *t, const struct sl_flow_key k[], const uint32_t hash[],
		   struct sl_flow *out[], unsigned n)
{
	for (unsigned i = 0; i < n; i += BURST)
		find_some(t, k + i, hash + i, out + i, SL_MIN(n - i, (unsigned)BURST));
}

/** @return true if the entry was there */
static bool
unlink_place(struct sl_flow_bucket *b, uint32_t at)
{
	for (unsigned used = b->used; used; used &= used - 1) {
		unsigned i = (unsigned)__builtin_ctz(used);

		if (b->at[i] == at) {
			b->used &= (uint8_t) ~(1u << i);
			return true;
		}
	}
	return false;
}

void
sl_flow_del(struct sl_flow_table *t, struct sl_flow *f)
{
	struct sl_flow_bucket *first = first_bucket(t, f->hash);
	uint32_t at = sl_flow_at(t, f), left = t->count - 1;

	if (!unlink_place(first, at)) {
		unlink_place(second_bucket(t, f->hash), at);
		first->spilled--;
	}
	f->used = 0;
	t->freed[t->n_freed++] = at;
	__atomic_store_n(&t->count, left, __ATOMIC_RELAXED);
	if (left == 0) { /* as new: nobody need look at what were its entries */
		t->fresh = 0;
		t->n_freed = 0;
	}
}

static bool
timed_out(const struct sl_flow *f, uint32_t tick)
{
	return (int32_t)(tick - f->last_tick) >= (int32_t)sl_flow_idle(f);
}

static void
end_flow(struct sl_flow_table *t, struct sl_flow *f, unsigned reason, sl_flow_end_fn end, void *ctx)
{
	if (end)
		end(ctx, f, reason);
	sl_flow_del(t, f);
}

static unsigned
timeout_reason(const struct sl_flow *f)
{
	bool shut = f->key.proto == PROTO_TCP && sl_flow_passes(f) &&
		    sl_flow_idle(f) == SL_FLOW_IDLE_CLOSED;

	return shut ? SL_RR_CLOSED : SL_RR_IDLE;
}

enum rank { RANK_NONE, RANK_UNANSWERED, RANK_DENIED, RANK_TIMED_OUT };

/** The entry that may be taken away, of those looked at so far. */
struct victim {
	struct sl_flow *f;
	uint32_t age;
	enum rank rank;
	bool timed_out;
};

/** What speaks for taking it away. Of this tick's entries the packets may not be counted yet. */
static enum rank
rank_of(const struct sl_flow *f, int32_t age)
{
	if (!(f->flags & SL_FLOW_ALLOW))
		return RANK_DENIED;
	return age > 0 && (f->packets[0] == 0 || f->packets[1] == 0) ? RANK_UNANSWERED : RANK_NONE;
}

/** The higher rank is better, then the older entry. @return true: there is no better */
static bool
consider(struct victim *v, struct sl_flow *f, uint32_t tick)
{
	int32_t age = (int32_t)(tick - f->last_tick);
	enum rank rank;

	if (timed_out(f, tick)) {
		*v = (struct victim){.f = f, .rank = RANK_TIMED_OUT, .timed_out = true};
		return true;
	}
	rank = rank_of(f, age);
	if (rank > v->rank || (rank != RANK_NONE && rank == v->rank && age > (int32_t)v->age))
		*v = (struct victim){.f = f, .age = (uint32_t)age, .rank = rank};
	return false;
}

static void
consider_bucket(struct sl_flow_table *t, const struct sl_flow_bucket *b, struct victim *v,
		uint32_t tick)
{
	for (unsigned i = 0; i < SL_FLOW_BUCKET && !v->timed_out; i++)
		if (b->used & 1u << i)
			consider(v, &t->entry[b->at[i]], tick);
}

/** The next entry under the hand, or NULL if it is free. */
static struct sl_flow *
hand_next(struct sl_flow_table *t)
{
	struct sl_flow *f;

	if (t->hand >= t->fresh)
		t->hand = 0;
	if (t->hand + AHEAD < t->fresh) {
		sl_prefetch(&t->entry[t->hand + AHEAD]);
		sl_prefetch(&t->entry[t->hand + AHEAD].last_tick);
	}
	f = &t->entry[t->hand++];
	return f->used ? f : NULL;
}

/** @param least rank of what may go. @return false if there is none */
static bool
make_room(struct sl_flow_table *t, uint32_t hash, bool full, uint32_t tick, enum rank least,
	  sl_flow_end_fn end, void *ctx)
{
	struct victim v = {0};

	consider_bucket(t, first_bucket(t, hash), &v, tick);
	if (!v.timed_out)
		consider_bucket(t, second_bucket(t, hash), &v, tick);
	for (unsigned i = 0; full && i < SL_FLOW_LOOK && !v.timed_out; i++) {
		struct sl_flow *f = hand_next(t);

		if (f)
			consider(&v, f, tick);
	}
	if (v.rank < least)
		return false;
	end_flow(t, v.f, v.timed_out ? timeout_reason(v.f) : SL_RR_EVICTED, end, ctx);
	return true;
}

/** A key's first bucket; from SPILL entries on the emptier of the two. NULL if both are full. */
static struct sl_flow_bucket *
bucket_with_room(const struct sl_flow_table *t, uint32_t hash)
{
	struct sl_flow_bucket *b = first_bucket(t, hash), *other;

	if (sl_likely(__builtin_popcount(b->used) < SPILL)) /* four when the table is full */
		return b;
	other = second_bucket(t, hash);
	if (__builtin_popcount(other->used) < __builtin_popcount(b->used))
		b = other;
	return b->used == 0xff ? NULL : b;
}

static struct sl_flow *
take_free(struct sl_flow_table *t)
{
	return &t->entry[t->n_freed > 0 ? t->freed[--t->n_freed] : t->fresh++];
}

unsigned
sl_flow_expired(const struct sl_flow *f, uint32_t tick)
{
	return timed_out(f, tick) ? timeout_reason(f) : 0;
}

static inline struct sl_flow *
add(struct sl_flow_table *t, const struct sl_flow_key *k, uint32_t hash, uint32_t tick,
    enum rank least, sl_flow_end_fn end, void *ctx)
{
	struct sl_flow_bucket *b = bucket_with_room(t, hash);
	struct sl_flow *f;
	unsigned i;

	if (sl_unlikely(!b || t->count == t->max)) { /* the table is sized for its load */
		if (!make_room(t, hash, b != NULL, tick, least, end, ctx))
			return NULL;
		b = bucket_with_room(t, hash);
	}
	f = take_free(t);
	memset(f, 0, sizeof(*f));
	f->key = *k;
	f->hash = hash;
	f->last_tick = tick;
	f->used = 1;
	i = (unsigned)__builtin_ctz(~(unsigned)b->used);
	b->sig[i] = signature(hash);
	b->at[i] = sl_flow_at(t, f);
	b->used |= (uint8_t)(1u << i);
	if (sl_unlikely(b != first_bucket(t, hash))) /* see bucket_with_room() */
		first_bucket(t, hash)->spilled++;
	__atomic_store_n(&t->count, t->count + 1, __ATOMIC_RELAXED);
	return f;
}

struct sl_flow *
sl_flow_add(struct sl_flow_table *t, const struct sl_flow_key *k, uint32_t hash, uint32_t tick,
	    sl_flow_end_fn end, void *ctx)
{
	return add(t, k, hash, tick, RANK_UNANSWERED, end, ctx);
}

struct sl_flow *
sl_flow_add_denied(struct sl_flow_table *t, const struct sl_flow_key *k, uint32_t hash,
		   uint32_t tick, sl_flow_end_fn end, void *ctx)
{
	return add(t, k, hash, tick, RANK_DENIED, end, ctx);
}

void
sl_flow_sweep(struct sl_flow_table *t, uint32_t tick, unsigned budget, sl_flow_end_fn end,
	      void *ctx)
{
	budget = SL_MIN(budget, t->fresh);
	while (budget-- && t->count) {
		struct sl_flow *f = hand_next(t);

		if (f && timed_out(f, tick))
			end_flow(t, f, timeout_reason(f), end, ctx);
	}
}

uint32_t
sl_flow_top(const struct sl_flow_table *t)
{
	return t->fresh;
}

unsigned
sl_flow_count(const struct sl_flow_table *t)
{
	return __atomic_load_n(&t->count, __ATOMIC_RELAXED);
}

unsigned
sl_flow_max(const struct sl_flow_table *t)
{
	return t->max;
}
