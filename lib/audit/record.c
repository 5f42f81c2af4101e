/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_record.h"

#define WORDS SL_ARRAY_SIZE(((struct sl_rec_slot *)0)->word)
#define WRITING(n) (2 * (n) + 1)
#define WHOLE(n) (2 * (n) + 2)

static uint64_t
relaxed(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

/** Add to a counter that only the caller writes. */
static void
count(_Atomic uint64_t *p, uint64_t n)
{
	atomic_store_explicit(p, relaxed(p) + n, memory_order_relaxed);
}

size_t
sl_rec_ring_size(unsigned slots)
{
	return sizeof(struct sl_rec_ring) + (size_t)slots * sizeof(struct sl_rec_slot);
}

void
sl_rec_ring_init(struct sl_rec_ring *r, unsigned slots)
{
	r->mask = slots - 1;
}

struct sl_rec *
sl_rec_begin(struct sl_rec_ring *r)
{
	memset((char *)&r->stage + sizeof(r->stage.seq), 0,
	       sizeof(r->stage) - sizeof(r->stage.seq));
	return &r->stage;
}

void
sl_rec_expect(struct sl_rec_ring *r, unsigned n)
{
	struct sl_rec_slot *slot = &r->slot[(relaxed(&r->head) + n) & r->mask];

	sl_prefetch(slot);
	sl_prefetch((char *)slot + SL_CACHE_LINE);
}

void
sl_rec_commit(struct sl_rec_ring *r, struct sl_rec *s)
{
	const uint64_t *w = (const uint64_t *)(const void *)s + 1; /* all but seq */
	_Atomic uint64_t *recorded = &r->counts.recorded[s->type];
	uint64_t n = relaxed(&r->head);
	struct sl_rec_slot *slot = &r->slot[n & r->mask];

	sl_rec_expect(r, 1);
	atomic_store_explicit(&slot->seq, WRITING(n), memory_order_relaxed);
	/* each store below is a release: whoever reads its value finds WRITING(n) or newer */
	for (unsigned i = 0; i < WORDS; i++)
		atomic_store_explicit(&slot->word[i], w[i], memory_order_release);
	atomic_store_explicit(recorded, relaxed(recorded) + s->count, memory_order_release);
	atomic_store_explicit(&slot->seq, WHOLE(n), memory_order_release);
	atomic_store_explicit(&r->head, n + 1, memory_order_release);
}

void
sl_rec_seen(struct sl_rec_ring *r, enum sl_rec_type t, uint64_t n)
{
	count(&r->counts.seen[t], n);
}

void
sl_rec_suppressed(struct sl_rec_ring *r, enum sl_rec_type t, uint64_t n)
{
	count(&r->counts.suppressed[t], n);
}

void
sl_rec_not_selected(struct sl_rec_ring *r, enum sl_rec_type t, uint64_t n)
{
	count(&r->counts.not_selected[t], n);
}

/** @return false if the slot no longer holds record n */
static bool
copy_slot(const struct sl_rec_slot *slot, uint64_t n, struct sl_rec *out)
{
	uint64_t w[WORDS];

	if (atomic_load_explicit(&slot->seq, memory_order_acquire) != WHOLE(n))
		return false;
	for (unsigned i = 0; i < WORDS; i++)
		w[i] = atomic_load_explicit(&slot->word[i], memory_order_acquire);
	if (relaxed(&slot->seq) != WHOLE(n))
		return false;
	memcpy((char *)out + sizeof(out->seq), w, sizeof(w));
	atomic_store_explicit(&out->seq, WHOLE(n), memory_order_relaxed);
	return true;
}

unsigned
sl_rec_take(struct sl_rec_ring *r, struct sl_rec *out, unsigned max, uint64_t *lost)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	uint64_t slots = (uint64_t)r->mask + 1, n = r->tail;
	unsigned taken = 0;

	*lost = 0;
	if (head - n > slots) {
		*lost = head - n - slots;
		n = head - slots;
	}
	for (; n != head && taken < max; n++) {
		if (!copy_slot(&r->slot[n & r->mask], n, &out[taken])) {
			++*lost;
			continue;
		}
		count(&r->taken[out[taken].type], out[taken].count);
		taken++;
	}
	r->tail = n;
	return taken;
}

bool
sl_rec_settle(struct sl_rec_ring *r)
{
	uint64_t recorded[SL_REC_TYPES], n = r->tail;

	if (atomic_load_explicit(&r->head, memory_order_acquire) != n)
		return false;
	for (unsigned i = 0; i < SL_REC_TYPES; i++)
		recorded[i] = atomic_load_explicit(&r->counts.recorded[i], memory_order_acquire);
	/* had record n, or a later one, been counted above, its slot would show it here */
	if (relaxed(&r->slot[n & r->mask].seq) >= WRITING(n))
		return false;
	for (unsigned i = 0; i < SL_REC_TYPES; i++)
		atomic_store_explicit(&r->overwritten[i], recorded[i] - relaxed(&r->taken[i]),
				      memory_order_relaxed);
	return true;
}

unsigned
sl_rec_used_ppm(const struct sl_rec_ring *r)
{
	uint64_t slots = (uint64_t)r->mask + 1;
	uint64_t used = atomic_load_explicit(&r->head, memory_order_acquire) - r->tail;

	return (unsigned)(SL_MIN(used, slots) * 1000000 / slots);
}
