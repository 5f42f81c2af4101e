/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node lies at the lowest level at which its time and the wheel's differ in no higher group of
 * six bits, in the slot that its group of that level names. So every node of a level fires before
 * every node of the level above, and the wheel moves into a slot above level 0 only by emptying it
 * downwards. The top level alone wraps around; nodes are clamped so that they never reach the slot
 * that the wheel itself is in.
 */
#include "sl_timers.h"

#define BITS 6
#define MASK (SL_WHEEL_SLOTS - 1)
#define TOP (SL_WHEEL_LEVELS - 1)
#define RANGE_MS ((uint64_t)MASK << (BITS * TOP))

_Static_assert(SL_WHEEL_SLOTS == 1 << BITS, "a group of bits names a slot");

static unsigned
level_of(const struct sl_wheel *w, uint64_t when_ms)
{
	unsigned level = (63 - (unsigned)__builtin_clzll((when_ms ^ w->now_ms) | MASK)) / BITS;

	return level > TOP ? TOP : level;
}

static unsigned
slot_of(uint64_t when_ms, unsigned level)
{
	return (unsigned)(when_ms >> (BITS * level)) & MASK;
}

static void
put(struct sl_wheel *w, struct sl_wheel_node *n)
{
	unsigned level = level_of(w, n->when_ms), slot = slot_of(n->when_ms, level);
	struct sl_wheel_node **head = &w->slot[level][slot];

	n->next = *head;
	n->pprev = head;
	if (n->next)
		n->next->pprev = &n->next;
	*head = n;
	w->occupied[level] |= UINT64_C(1) << slot;
}

/* First occupied slot in time order: its level, slot and first millisecond. */
static bool
first(const struct sl_wheel *w, unsigned *level, unsigned *slot, uint64_t *start_ms)
{
	for (unsigned l = 0; l < SL_WHEEL_LEVELS; l++) {
		unsigned here = slot_of(w->now_ms, l), ahead;
		uint64_t m = w->occupied[l];

		if (!m)
			continue;
		m = here ? m >> here | m << (SL_WHEEL_SLOTS - here) : m;
		ahead = (unsigned)__builtin_ctzll(m);
		*level = l;
		*slot = (here + ahead) & MASK;
		*start_ms = ((w->now_ms >> (BITS * l)) + ahead) << (BITS * l);
		return true;
	}
	return false;
}

static void
cascade(struct sl_wheel *w, unsigned level, unsigned slot)
{
	struct sl_wheel_node *n = w->slot[level][slot], *next;

	w->slot[level][slot] = NULL;
	w->occupied[level] &= ~(UINT64_C(1) << slot);
	for (; n; n = next) {
		next = n->next;
		put(w, n);
	}
}

void
sl_wheel_init(struct sl_wheel *w, uint64_t now_ns)
{
	memset(w, 0, sizeof(*w));
	w->now_ms = now_ns / SL_NS_PER_MS;
}

void
sl_wheel_arm(struct sl_wheel *w, struct sl_wheel_node *n, uint64_t when_ns)
{
	uint64_t ms = when_ns / SL_NS_PER_MS + (when_ns % SL_NS_PER_MS != 0);

	sl_wheel_cancel(w, n);
	ms = SL_MAX(ms, w->now_ms);
	n->when_ms = SL_MIN(ms, w->now_ms + RANGE_MS);
	put(w, n);
}

void
sl_wheel_cancel(struct sl_wheel *w, struct sl_wheel_node *n)
{
	unsigned level, slot;

	if (!n->pprev)
		return;
	*n->pprev = n->next;
	if (n->next)
		n->next->pprev = n->pprev;
	n->next = NULL;
	n->pprev = NULL;
	/* the wheel never passes a node, so its place is still what put() computed */
	level = level_of(w, n->when_ms);
	slot = slot_of(n->when_ms, level);
	if (!w->slot[level][slot])
		w->occupied[level] &= ~(UINT64_C(1) << slot);
}

struct sl_wheel_node *
sl_wheel_pop(struct sl_wheel *w, uint64_t now_ns)
{
	uint64_t target = now_ns / SL_NS_PER_MS, start;
	struct sl_wheel_node *n;
	unsigned level, slot;

	while (first(w, &level, &slot, &start) && start <= target) {
		w->now_ms = SL_MAX(w->now_ms, start);
		if (level == 0) {
			n = w->slot[0][slot];
			sl_wheel_cancel(w, n);
			return n;
		}
		cascade(w, level, slot);
	}
	w->now_ms = SL_MAX(w->now_ms, target);
	return NULL;
}

uint64_t
sl_wheel_next_ns(const struct sl_wheel *w)
{
	unsigned level, slot;
	uint64_t start;

	return first(w, &level, &slot, &start) ? start * SL_NS_PER_MS : UINT64_MAX;
}
