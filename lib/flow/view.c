/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_flow_view.h"
#include "table_int.h"

#define AHEAD 4 /* entries that are fetched early */

static void
fetch(const struct sl_flow_table *t, uint32_t at)
{
	const struct sl_flow *f = &t->entry[at];

	if (at >= t->fresh)
		return;
	sl_prefetch(f);
	sl_prefetch(f->packets);
	sl_prefetch(&f->folded_packets);
}

static bool
is_wanted(const struct sl_flow *f, const struct sl_flow_ask *ask, uint32_t tick)
{
	return f->used && !(f->flags & SL_FLOW_QUIET) &&
	       (ask->peer_id == SL_FLOW_ANY_PEER || f->peer_id == ask->peer_id) &&
	       (ask->iface == 0 || f->key.iface == ask->iface) && !sl_flow_expired(f, tick);
}

static void
give_back(struct sl_flow_view *v, const struct sl_flow_table *t, uint32_t tick, uint64_t now_ns)
{
	v->end = v->next >= t->fresh;
	v->tick = tick;
	v->now_ns = now_ns;
	v->count = t->count;
	v->max = t->max;
	atomic_store_explicit(&v->answered, v->serial, memory_order_release);
}

void
sl_flow_view_step(struct sl_flow_view *v, struct sl_flow_table *t, uint32_t tick, uint64_t now_ns)
{
	uint32_t asked = atomic_load_explicit(&v->asked, memory_order_relaxed), places;

	if (v->serial != asked) {
		v->serial = asked;
		v->next = v->ask.at;
		v->n = 0;
	}
	for (uint32_t i = 0; i < AHEAD; i++)
		fetch(t, v->next + i);
	for (places = SL_FLOW_VIEW_STEP;
	     places > 0 && v->next < t->fresh && v->n < SL_FLOW_VIEW_ROWS; places--) {
		const struct sl_flow *f = &t->entry[v->next];

		fetch(t, v->next + AHEAD);
		if (is_wanted(f, &v->ask, tick)) {
			v->at[v->n] = v->next;
			v->row[v->n++] = *f;
		}
		v->next++;
	}
	if (v->n == SL_FLOW_VIEW_ROWS || v->next >= t->fresh ||
	    v->next - v->ask.at >= SL_FLOW_VIEW_PLACES)
		give_back(v, t, tick, now_ns);
}
