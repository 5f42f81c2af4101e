/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop body of a data lcore: what it takes in, the graph, housekeeping, accounting. */
#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "flow_int.h"

/* The longest way of a packet is three passes (an ICMP error about a packet that left a tunnel and
 * goes back into one); more is a loop in the graph. */
#define RUN_PASSES 8

typedef void (*stage_fn)(struct sl_worker *, struct sl_vec *, struct sl_vec *);

/* One indirect call per vector, not per packet. */
static const stage_fn stage[SL_NODE_MAX] = {
	[SL_NODE_CLASSIFY] = sl_stage_classify,
	[SL_NODE_REASS] = sl_stage_reass,
	[SL_NODE_HS] = sl_stage_hs,
	[SL_NODE_HOST] = sl_stage_host,
	[SL_NODE_OPEN] = sl_stage_open,
	[SL_NODE_INNER] = sl_stage_inner,
	[SL_NODE_INSIDE] = sl_stage_inside,
	[SL_NODE_AUTHZ] = sl_stage_authz,
	[SL_NODE_FORWARD] = sl_stage_forward,
	[SL_NODE_LOCAL] = sl_stage_local,
	[SL_NODE_ICMP] = sl_stage_icmp,
	[SL_NODE_ROUTE] = sl_stage_route,
	[SL_NODE_ENCAP] = sl_stage_encap,
	[SL_NODE_SEAL] = sl_stage_seal,
	[SL_NODE_OUTER] = sl_stage_outer,
	[SL_NODE_REWRITE] = sl_stage_rewrite,
	[SL_NODE_TX] = sl_stage_tx,
	[SL_NODE_STEER] = sl_stage_steer,
	[SL_NODE_DROP] = sl_stage_drop,
};

/* Where a packet from a ring goes on. */
static const uint8_t node_of_next[] = {
	[SL_NEXT_CLASSIFY] = SL_NODE_CLASSIFY, [SL_NEXT_OPEN] = SL_NODE_OPEN,
	[SL_NEXT_INNER] = SL_NODE_INNER,       [SL_NEXT_SEAL] = SL_NODE_ENCAP,
	[SL_NEXT_INSIDE] = SL_NODE_INSIDE,     [SL_NEXT_OUTER] = SL_NODE_OUTER,
	[SL_NEXT_ROUTE] = SL_NODE_ROUTE,       [SL_NEXT_L2] = SL_NODE_TX,
};

static void
run_stage(struct sl_worker *w, unsigned n)
{
	struct sl_prof *prof = w->prof;
	uint64_t begin;

	if (sl_likely(prof == NULL)) { /* set by the bench alone */
		stage[n](w, &w->v[n], w->v);
		return;
	}
	prof->packets[n] += w->v[n].n;
	begin = rte_rdtsc();
	stage[n](w, &w->v[n], w->v);
	prof->cycles[n] += rte_rdtsc() - begin;
}

/* All stages once, in order. @return false if there was nothing to do */
static bool
run_pass(struct sl_worker *w)
{
	bool any = false;
	unsigned n;

	for (n = 0; n < SL_NODE_MAX; n++) {
		if (w->v[n].n == 0)
			continue;
		any = true;
		run_stage(w, n);
	}
	return any;
}

/* Packets that still go round after the last pass end as if their TTL had. */
static void
run_give_up(struct sl_worker *w)
{
	unsigned n, i;

	for (n = 0; n < SL_NODE_DROP; n++) {
		struct sl_vec *v = &w->v[n];

		for (i = 0; i < v->n; i++)
			sl_meta(v->m[i])->drop = SL_DROP_TTL;
		sl_stage_drop(w, v, w->v);
	}
}

static void
flush_tx(struct sl_worker *w)
{
	struct sl_prof *prof = w->prof;
	uint64_t begin = prof != NULL ? rte_rdtsc() : 0;

	sl_tx_flush(w);
	if (prof != NULL)
		prof->cycles[SL_NODE_TX] += rte_rdtsc() - begin;
	if (w->v[SL_NODE_DROP].n != 0)
		sl_stage_drop(w, &w->v[SL_NODE_DROP], w->v);
}

/* Peers whose keypair was confirmed in this run: what is parked for them can go. The flush runs the
 * graph again, hence not from within a stage. */
static void
flush_confirmed(struct sl_worker *w)
{
	while (w->n_flush > 0) {
		struct sl_peer *p = sl_peer_get(w->dp->peers, w->flush[--w->n_flush]);

		if (p != NULL)
			sl_park_flush(w, p);
	}
}

static void
run(struct sl_worker *w)
{
	unsigned pass = 0;

	while (run_pass(w)) {
		if (sl_unlikely(++pass == RUN_PASSES)) { /* a loop, see RUN_PASSES */
			run_give_up(w);
			break;
		}
	}
	flush_tx(w);
	if (sl_unlikely(w->n_flush > 0)) /* once a session */
		flush_confirmed(w);
}

void
sl_worker_run(struct sl_worker *w)
{
	run(w);
	sl_stats_flush(w->stats, &w->delta);
}

static void
take_messages(struct sl_worker *w)
{
	struct sl_wk_msg msg[SL_WK_MESSAGES];
	unsigned i, n;

	if (sl_unlikely(!sl_home_answered(w))) /* hs is far behind */
		return;
	n = sl_mbox_get(w->from_hs, msg, SL_WK_MESSAGES);
	if (sl_likely(n == 0)) /* a few messages per peer and minute */
		return;
	for (i = 0; i < n; i++)
		sl_home_message(w, &msg[i]);
	w->busy += n;
	run(w);
}

/* Put up to `room` packets of a ring on their nodes. */
static unsigned
take_ring(struct sl_worker *w, struct rte_ring *r, unsigned room)
{
	struct rte_mbuf *m[SL_BURST];
	unsigned i, n = rte_ring_sc_dequeue_burst(r, (void **)m, room, NULL);

	for (i = 0; i < n; i++)
		rte_prefetch0(sl_meta(m[i]));
	for (i = 0; i < n; i++) {
		unsigned next = sl_meta(m[i])->next;

		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
		if (sl_unlikely(next == SL_NEXT_CLASSIFY)) /* packets of a replay only */
			m[i]->port = sl_meta(m[i])->port;
		if (sl_unlikely(sl_meta_is_quiet(sl_meta(m[i])))) /* isolation is off */
			sl_vec_add(&w->v[SL_NODE_AUTHZ], m[i]);
		else if (sl_likely(next < SL_ARRAY_SIZE(node_of_next))) /* all senders are ours */
			sl_vec_add(&w->v[node_of_next[next]], m[i]);
		else
			rte_pktmbuf_free(m[i]);
	}
	if (n != 0) /* CLASSIFY, which fills OPEN as well, has not run yet */
		w->opens_by_ring = w->v[SL_NODE_OPEN].n;
	return n;
}

static unsigned
take_rxq(struct sl_worker *w, const struct sl_rxq *q, unsigned room)
{
	struct sl_vec *v = &w->v[SL_NODE_CLASSIFY];
	struct rte_mbuf **m = &v->m[v->n];
	unsigned i, n;

	n = rte_eth_rx_burst(q->ethdev, q->queue, m, (uint16_t)room);
	for (i = 0; i < n; i++) {
		m[i]->port = q->port;
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
		rte_prefetch0(sl_meta(m[i]));
	}
	v->n += n;
	return n;
}

/* A run takes at most a burst in all (SL_VEC_MAX counts on that); half a burst more is waited for
 * before it starts, because small bursts cost most of a packet's time. */
static unsigned
make_room(struct sl_worker *w, unsigned pending)
{
	if (pending <= SL_BURST / 2)
		return pending;
	run(w);
	return 0;
}

static unsigned
take_rings(struct sl_worker *w, struct rte_ring *const r[], unsigned n_rings, unsigned pending)
{
	unsigned i, n;

	for (i = 0; i < n_rings; i++) {
		if (r[i] == NULL)
			continue;
		pending = make_room(w, pending);
		n = take_ring(w, r[i], SL_BURST - pending);
		w->busy += n;
		pending += n;
	}
	return pending;
}

static unsigned
take_ports(struct sl_worker *w, unsigned pending)
{
	struct sl_prof *prof = w->prof;
	uint64_t begin;
	unsigned i, n;

	for (i = 0; i < w->n_rxq; i++) {
		pending = make_room(w, pending);
		begin = prof != NULL ? rte_rdtsc() : 0;
		n = take_rxq(w, &w->rxq[i], SL_BURST - pending);
		if (prof != NULL && n != 0)
			prof->rx_cycles += rte_rdtsc() - begin;
		w->busy += n;
		pending += n;
	}
	return pending;
}

/* Once a tick, and for the wait list in each poll. */
static void
housekeeping(struct sl_worker *w)
{
	if (sl_unlikely(w->n_wait > 0)) { /* neighbours are resolved before traffic, but for the
					     first packets */
		sl_wait_sweep(w);
		run(w);
	}
	if (sl_likely(w->run_tick == w->tick)) /* ten times a second */
		return;
	w->run_tick = w->tick;
	sl_park_sweep(w);
	sl_reass_sweep(w);
	sl_flow_tick(w);
	run(w);
	sl_stats_flush(w->stats, &w->delta); /* what idle polls counted */
	sl_rehome_balance(w);
}

/* Control looks at the flow table: some places of it, then other things go on. What is on its way
 * here is part of it. */
static void
show_flows(struct sl_worker *w)
{
	sl_flow_import(w);
	sl_flow_view_step(w->view, w->flows, w->tick, w->now_ns);
	w->busy++;
}

/* Time from the begin of the poll, when the packets were taken, to their transmission. */
static void
account(struct sl_worker *w, unsigned packets, uint64_t cycles)
{
	uint64_t ns = (cycles * w->dp->ns_per_cycle_q24) >> 24;
	unsigned s;

	w->delta.lcore.busy_polls++;
	w->delta.lcore.busy_cycles += cycles;
	if (packets == 0)
		return;
	for (s = 0; s < SL_STATS_STAGES; s++) {
		struct sl_stats_stage_counts *row = &w->delta.stage[s];

		row->latency_sum_ns += ns * row->total; /* flushed once a poll */
		row->latency_count += row->total;
	}
	w->delta.lcore.latency_sum_ns += ns * packets;
	sl_hist_record(&w->stats->latency, ns, packets);
}

static unsigned
take_packets(struct sl_worker *w)
{
	unsigned pending, before = w->busy;

	pending = take_rings(w, w->inject, SL_ARRAY_SIZE(w->inject), 0);
	pending = take_rings(w, w->steer_in, w->dp->n_lcores, pending);
	pending = take_rings(w, w->tx_in, w->dp->n_lcores, pending);
	pending = take_ports(w, pending);
	if (pending > 0)
		run(w);
	return w->busy - before;
}

unsigned
sl_worker_poll(struct sl_worker *w, uint64_t now_ns)
{
	uint64_t begin = rte_rdtsc();
	unsigned packets;

	w->now_ns = now_ns;
	w->tick = sl_tick_of(now_ns);
	w->root = atomic_load_explicit(&w->dp->root, memory_order_acquire);
	w->busy = 0;
	w->logging = w->root != NULL && w->root->authz.logging;
	w->delta.lcore.polls++;
	if (sl_likely(w->poll_tsc != 0)) /* all polls but the first */
		w->delta.lcore.total_cycles += begin - w->poll_tsc;
	w->poll_tsc = begin;
	if (sl_unlikely(w->root == NULL)) /* before control's first publication */
		return 0;
	take_messages(w);
	housekeeping(w);
	packets = take_packets(w);
	if (sl_unlikely(w->view != NULL && sl_flow_view_lent(w->view))) /* somebody asks */
		show_flows(w);
	if (w->busy > 0) {
		account(w, packets, rte_rdtsc() - begin);
		sl_stats_flush(w->stats, &w->delta);
	}
	return w->busy;
}
