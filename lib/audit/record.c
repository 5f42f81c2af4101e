/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_record.h"

#define MORE (UINT64_C(1) << 48) /* in word 5: the second line is in use */
#define WRITING(n) (2 * (n) + 1)
#define WHOLE(n) (2 * (n) + 2)

static uint64_t
relaxed(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

size_t
sl_rec_ring_size(unsigned slots)
{
	return sizeof(struct sl_rec_ring) + (size_t)slots * 2 * sizeof(struct sl_rec_line);
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
sl_rec_write(struct sl_rec_ring *r, const uint64_t word[SL_REC_WORDS],
	     const struct sl_rec_more *more)
{
	_Atomic uint64_t *recorded = &r->counts.recorded[word[3] & 0xff];
	uint64_t n = relaxed(&r->head), more_bit = more ? MORE : 0, m[SL_REC_WORDS_MORE];
	struct sl_rec_line *first = &r->line[n & r->mask], *second = first + r->mask + 1;

	sl_rec_expect(r, 1, false);
	atomic_store_explicit(&first->seq, WRITING(n), memory_order_relaxed);
	/* each store below is a release: whoever reads its value finds WRITING(n) or newer */
#pragma GCC unroll 7
	for (unsigned i = 0; i < SL_REC_WORDS; i++)
		atomic_store_explicit(&first->word[i], i == 5 ? word[i] | more_bit : word[i],
				      memory_order_release);
	if (more) {
		memcpy(m, more, sizeof(m));
		for (unsigned i = 0; i < SL_REC_WORDS_MORE; i++)
			atomic_store_explicit(&second->word[i], m[i], memory_order_release);
	}
	atomic_store_explicit(recorded, relaxed(recorded) + (uint32_t)word[6],
			      memory_order_release);
	atomic_store_explicit(&first->seq, WHOLE(n), memory_order_release);
	atomic_store_explicit(&r->head, n + 1, memory_order_release);
}

/** @return false if the second line would hold nothing but zeros */
static bool
fill_more(struct sl_rec_more *m, const struct sl_rec *s)
{
	static const struct sl_rec_more none;

	memcpy(m->src, s->src + 4, sizeof(m->src));
	memcpy(m->dst, s->dst + 4, sizeof(m->dst));
	memcpy(m->packets, s->packets, sizeof(m->packets));
	memcpy(m->bytes, s->bytes, sizeof(m->bytes));
	return memcmp(m, &none, sizeof(none)) != 0;
}

void
sl_rec_commit(struct sl_rec_ring *r, struct sl_rec *s)
{
	uint64_t word[SL_REC_WORDS];
	struct sl_rec_more more;

	s->pad = 0;
	word[0] = s->mono_ns;
	memcpy(&word[1], s->src, 4);
	memcpy((uint8_t *)&word[1] + 4, s->dst, 4);
	memcpy(&word[2], &s->sport, (SL_REC_WORDS - 2) * sizeof(word[0]));
	sl_rec_write(r, word, fill_more(&more, s) ? &more : NULL);
}

static void
unpack(struct sl_rec *out, uint64_t n, const uint64_t word[SL_REC_WORDS],
       const uint64_t more[SL_REC_WORDS_MORE])
{
	struct sl_rec_more m;

	memset(out, 0, sizeof(*out));
	memcpy(&m, more, sizeof(m));
	atomic_store_explicit(&out->seq, WHOLE(n), memory_order_relaxed);
	out->mono_ns = word[0];
	memcpy(out->src, &word[1], 4);
	memcpy(out->src + 4, m.src, sizeof(m.src));
	memcpy(out->dst, (const uint8_t *)&word[1] + 4, 4);
	memcpy(out->dst + 4, m.dst, sizeof(m.dst));
	memcpy(&out->sport, &word[2], (SL_REC_WORDS - 2) * sizeof(word[0]));
	out->pad = 0;
	memcpy(out->packets, m.packets, sizeof(m.packets));
	memcpy(out->bytes, m.bytes, sizeof(m.bytes));
}

/** @return false if the slot no longer holds record n */
static bool
copy_slot(const struct sl_rec_ring *r, uint64_t n, struct sl_rec *out)
{
	const struct sl_rec_line *first = &r->line[n & r->mask], *second = first + r->mask + 1;
	uint64_t word[SL_REC_WORDS], more[SL_REC_WORDS_MORE] = {0};

	if (atomic_load_explicit(&first->seq, memory_order_acquire) != WHOLE(n))
		return false;
	for (unsigned i = 0; i < SL_REC_WORDS; i++)
		word[i] = atomic_load_explicit(&first->word[i], memory_order_acquire);
	for (unsigned i = 0; i < SL_REC_WORDS_MORE && (word[5] & MORE) != 0; i++)
		more[i] = atomic_load_explicit(&second->word[i], memory_order_acquire);
	if (relaxed(&first->seq) != WHOLE(n))
		return false;
	unpack(out, n, word, more);
	return true;
}

/* What it writes in a turn belongs together: sl_rec_look(). */
static void
begin_turn(struct sl_rec_ring *r)
{
	/* no store of the turn comes before it; no fence, which ThreadSanitizer does not know */
	atomic_fetch_add_explicit(&r->turn, 1, memory_order_acq_rel);
}

static void
end_turn(struct sl_rec_ring *r)
{
	uint32_t turn = atomic_load_explicit(&r->turn, memory_order_relaxed);

	atomic_store_explicit(&r->turn, turn + 1, memory_order_release);
}

unsigned
sl_rec_take(struct sl_rec_ring *r, struct sl_rec *out, unsigned max, uint64_t *lost)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	uint64_t slots = (uint64_t)r->mask + 1, n = relaxed(&r->tail);
	unsigned taken = 0;

	*lost = 0;
	begin_turn(r);
	if (head - n > slots) {
		*lost = head - n - slots;
		n = head - slots;
	}
	for (; n != head && taken < max; n++) {
		if (!copy_slot(r, n, &out[taken])) {
			++*lost;
			continue;
		}
		sl_rec_count(&r->taken[out[taken].type], out[taken].count);
		taken++;
	}
	atomic_store_explicit(&r->tail, n, memory_order_relaxed);
	end_turn(r);
	return taken;
}

bool
sl_rec_settle(struct sl_rec_ring *r)
{
	uint64_t recorded[SL_REC_TYPES], n = relaxed(&r->tail);

	if (atomic_load_explicit(&r->head, memory_order_acquire) != n)
		return false;
	for (unsigned i = 0; i < SL_REC_TYPES; i++)
		recorded[i] = atomic_load_explicit(&r->counts.recorded[i], memory_order_acquire);
	/* had record n, or a later one, been counted above, its slot would show it here */
	if (relaxed(&r->line[n & r->mask].seq) >= WRITING(n))
		return false;
	begin_turn(r);
	for (unsigned i = 0; i < SL_REC_TYPES; i++)
		atomic_store_explicit(&r->overwritten[i], recorded[i] - relaxed(&r->taken[i]),
				      memory_order_relaxed);
	end_turn(r);
	return true;
}

unsigned
sl_rec_used_ppm(const struct sl_rec_ring *r)
{
	uint64_t slots = (uint64_t)r->mask + 1;
	uint64_t tail = relaxed(&r->tail); /* before head, which is never behind it then */
	uint64_t used = atomic_load_explicit(&r->head, memory_order_acquire) - tail;

	return (unsigned)(SL_MIN(used, slots) * 1000000 / slots);
}

/* --- a look from beside ---------------------------------------------------------------------- */

#define LOOKS 64

/** Type and count of record n. @return false if the slot no longer holds it */
static bool
peek(const struct sl_rec_ring *r, uint64_t n, unsigned *type, uint32_t *count)
{
	const struct sl_rec_line *l = &r->line[n & r->mask];

	if (atomic_load_explicit(&l->seq, memory_order_acquire) != WHOLE(n))
		return false;
	*type = atomic_load_explicit(&l->word[3], memory_order_acquire) & 0xff;
	*count = (uint32_t)atomic_load_explicit(&l->word[6], memory_order_acquire);
	return atomic_load_explicit(&l->seq, memory_order_acquire) == WHOLE(n) &&
	       *type < SL_REC_TYPES;
}

static void
look_once(const struct sl_rec_ring *r, struct sl_rec_look *out)
{
	uint64_t n = atomic_load_explicit(&r->tail, memory_order_acquire), head;
	uint64_t slots = (uint64_t)r->mask + 1;
	unsigned type;
	uint32_t count;

	/* each read before the turn is looked at once more, so none is relaxed */
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < SL_REC_TYPES; i++) {
		out->taken[i] = atomic_load_explicit(&r->taken[i], memory_order_acquire);
		out->overwritten[i] =
			atomic_load_explicit(&r->overwritten[i], memory_order_acquire);
	}
	head = atomic_load_explicit(&r->head, memory_order_acquire);
	if (head - n > slots)
		n = head - slots;
	for (; n != head; n++) {
		if (peek(r, n, &type, &count))
			out->in_ring[type] += count;
	}
}

bool
sl_rec_look(const struct sl_rec_ring *r, struct sl_rec_look *out)
{
	uint32_t turn;

	for (unsigned i = 0; i < LOOKS; i++) {
		turn = atomic_load_explicit(&r->turn, memory_order_acquire);
		look_once(r, out);
		if (turn % 2 == 0 && turn == atomic_load_explicit(&r->turn, memory_order_relaxed))
			return true;
	}
	return false;
}
