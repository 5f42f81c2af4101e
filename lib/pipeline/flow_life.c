/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of entries by peer, how entries end, and the sweep that looks at each of them. */
#include "flow_int.h"

#define SWEEP_TICKS 20 /* the whole table in two seconds */
#define FOLD_PASSES 30 /* each entry's row is brought up to date once a minute */
#define SWEEP_AHEAD 8

/* --- lists ------------------------------------------------------------------------------- */

/* A link names an entry and which of its two places on lists it means; 0 ends a list. */
static uint32_t
link_of(const struct sl_worker *w, const struct sl_flow *f, enum sl_flow_side side)
{
	return 2 * sl_flow_at(w->flows, f) + side + 1;
}

static struct sl_flow *
link_get(const struct sl_worker *w, uint32_t link, enum sl_flow_side *side)
{
	*side = (link - 1) & 1;
	return sl_flow_get(w->flows, (link - 1) / 2);
}

void
sl_flow_link(struct sl_worker *w, struct sl_flow *f, enum sl_flow_side side, struct sl_peer *p)
{
	uint32_t link = link_of(w, f, side);
	enum sl_flow_side next_side;
	struct sl_flow *next;

	f->listed[side] = p->id + 1;
	f->prev[side] = 0;
	f->next[side] = p->flow_head;
	if (p->flow_head != 0) {
		next = link_get(w, p->flow_head, &next_side);
		next->prev[next_side] = link;
	}
	p->flow_head = link;
	p->n_flows += side == SL_FLOW_MAIN;
}

void
sl_flow_unlink(struct sl_worker *w, struct sl_flow *f, enum sl_flow_side side)
{
	struct sl_flow *other;
	enum sl_flow_side s;
	struct sl_peer *p;

	if (f->listed[side] == 0)
		return;
	p = sl_peer_get(w->dp->peers, f->listed[side] - 1);
	if (p != NULL)
		p->n_flows -= side == SL_FLOW_MAIN;
	if (f->prev[side] != 0) {
		other = link_get(w, f->prev[side], &s);
		other->next[s] = f->next[side];
	} else if (p != NULL) {
		p->flow_head = f->next[side];
	}
	if (f->next[side] != 0) {
		other = link_get(w, f->next[side], &s);
		other->prev[s] = f->prev[side];
	}
	f->listed[side] = 0;
	f->next[side] = 0;
	f->prev[side] = 0;
}

static bool
lives_here(const struct sl_worker *w, const struct sl_peer *p, const struct sl_peer *here)
{
	if (p == NULL || p == here)
		return p != NULL;
	return sl_peer_home(p) == w->id && !atomic_load_explicit(&p->gone, memory_order_relaxed);
}

/** Its interface, if both of its ends may be peers; else NULL. */
static inline const struct sl_iface_view *
between_peers(const struct sl_worker *w, const struct sl_flow *f)
{
	const struct sl_iface_view *view;

	if ((f->flags & SL_FLOW_FROM_TUNNEL) == 0)
		return NULL;
	view = sl_root_iface(w->root, f->key.iface);
	return view == NULL || sl_likely(view->isolation) ? NULL : view; /* nearly all are */
}

struct sl_peer *
sl_flow_other_peer(struct sl_worker *w, const struct sl_flow *f)
{
	const struct sl_iface_view *view = between_peers(w, f);
	uint32_t id;

	if (view == NULL)
		return NULL;
	id = sl_iface_peer(view, f->key.version, sl_flow_dst(f));
	return id != f->peer_id ? sl_peer_get(w->dp->peers, id) : NULL;
}

void
sl_flow_link_peers(struct sl_worker *w, struct sl_flow *f, const struct sl_peer *here)
{
	struct sl_peer *p = sl_peer_get(w->dp->peers, f->peer_id);

	if (f->listed[SL_FLOW_MAIN] == 0 && lives_here(w, p, here))
		sl_flow_link(w, f, SL_FLOW_MAIN, p);
	if (sl_likely(between_peers(w, f) == NULL))
		return;
	p = sl_flow_other_peer(w, f);
	if (f->listed[SL_FLOW_OTHER] == 0 && lives_here(w, p, here))
		sl_flow_link(w, f, SL_FLOW_OTHER, p);
}

/* --- ends -------------------------------------------------------------------------------- */

void
sl_flow_evicted(void *ctx, struct sl_flow *f, unsigned reason)
{
	struct sl_worker *w = ctx;

	sl_note_end(w, f, reason);
	sl_flow_unlink(w, f, SL_FLOW_MAIN);
	sl_flow_unlink(w, f, SL_FLOW_OTHER);
}

void
sl_flow_end(struct sl_worker *w, struct sl_flow *f, unsigned reason)
{
	sl_flow_evicted(w, f, reason);
	sl_flow_del(w->flows, f);
}

void
sl_flow_peer_gone(struct sl_worker *w, struct sl_peer *p)
{
	enum sl_flow_side side;

	sl_flow_import(w);
	p->flows_came = 0;
	while (p->flow_head != 0)
		sl_flow_end(w, link_get(w, p->flow_head, &side), SL_RR_PEER_GONE);
}

void
sl_flow_purge(struct sl_worker *w)
{
	struct sl_flow *f;
	uint32_t at;

	if (w->flows == NULL)
		return;
	if (w->root != NULL)
		sl_flow_import(w);
	for (at = 0; at < sl_flow_top(w->flows); at++) {
		f = sl_flow_get(w->flows, at);
		if (!f->used)
			continue;
		sl_note_end(w, f, SL_RR_SHUTDOWN);
		sl_flow_del(w->flows, f);
	}
}

void
sl_flow_reset(const struct sl_worker *w, struct sl_flow *f)
{
	f->flags &= (uint8_t)~SL_FLOW_ALLOW_NOTED;
	f->start_ns = w->now_ns;
	memset(f->packets, 0, sizeof(f->packets));
	memset(f->bytes, 0, sizeof(f->bytes));
	f->folded_packets = 0;
	f->folded_bytes = 0;
}

/* --- sweep ------------------------------------------------------------------------------- */

static void
visit(struct sl_worker *w, struct sl_flow *f, uint32_t at)
{
	unsigned reason = sl_flow_expired(f, w->tick);

	if (reason != 0) {
		sl_flow_end(w, f, reason);
		return;
	}
	if (f->unnoted != 0 && w->tick - f->noted_tick >= SL_SECOND_TICKS)
		sl_note_denied(w, f);
	if ((at + w->sweep.pass) % FOLD_PASSES == 0)
		sl_note_fold(w, f, 0);
}

static void
sweep(struct sl_worker *w)
{
	uint32_t top = sl_flow_top(w->flows), ticks = SL_MIN(w->tick - w->sweep.tick, SWEEP_TICKS);
	uint32_t n = (uint32_t)((uint64_t)top * ticks / SWEEP_TICKS) + 1;
	struct sl_flow *f;

	w->sweep.tick = w->tick;
	for (; n > 0 && top > 0; n--) {
		if (w->sweep.at >= top) {
			w->sweep.at = 0;
			w->sweep.pass++;
		}
		if (w->sweep.at + SWEEP_AHEAD < top)
			rte_prefetch0(&sl_flow_get(w->flows, w->sweep.at + SWEEP_AHEAD)->last_tick);
		f = sl_flow_get(w->flows, w->sweep.at);
		if (f->used)
			visit(w, f, w->sweep.at);
		w->sweep.at++;
	}
}

void
sl_flow_tick(struct sl_worker *w)
{
	if (w->flows == NULL)
		return;
	sl_flow_import(w);
	sweep(w);
	sl_agg_poll(w->agg);
}
