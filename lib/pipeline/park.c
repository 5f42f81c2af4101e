/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that wait at their home for a handshake (D34): a queue per peer, and a ring of the peers
 * that have one. */
#include "flow_int.h"

#define PARK_TICKS (5 * SL_NS_PER_S / SL_TICK_NS)

static void
ring_add(struct sl_worker *w, struct sl_peer *p)
{
	struct sl_peer *head = w->parking;

	p->in_park_list = 1;
	if (head == NULL) {
		p->park_next = p;
		p->park_prev = p;
		w->parking = p;
		return;
	}
	p->park_next = head;
	p->park_prev = head->park_prev;
	head->park_prev->park_next = p;
	head->park_prev = p;
}

static void
ring_del(struct sl_worker *w, struct sl_peer *p)
{
	p->in_park_list = 0;
	p->park_prev->park_next = p->park_next;
	p->park_next->park_prev = p->park_prev;
	if (w->parking == p)
		w->parking = p->park_next != p ? p->park_next : NULL;
	p->park_next = NULL;
	p->park_prev = NULL;
}

/** Take the oldest packet; there is one. */
static struct rte_mbuf *
take(struct sl_worker *w, struct sl_peer *p)
{
	struct rte_mbuf *m = p->park_head;

	p->park_head = sl_meta(m)->chain;
	p->park_count--;
	w->n_parked--;
	if (p->park_count == 0) {
		p->park_tail = NULL;
		ring_del(w, p);
	}
	return m;
}

void
sl_park_add(struct sl_worker *w, struct sl_peer *p, struct rte_mbuf *m)
{
	struct sl_meta *meta = sl_meta(m);

	sl_peer_ask(w, p);
	if (p->park_count == SL_PARK_MAX || (w->n_parked >= w->parked_max && p->park_count != 0))
		sl_drop_now(w, take(w, p), SL_DROP_PARK_FULL);
	if (w->n_parked >= w->parked_max) { /* all room is taken by other peers */
		sl_drop_now(w, m, SL_DROP_PARK_FULL);
		return;
	}
	meta->chain = NULL;
	meta->since_tick = w->tick;
	if (p->park_tail != NULL)
		sl_meta(p->park_tail)->chain = m;
	else
		p->park_head = m;
	p->park_tail = m;
	p->park_count++;
	w->n_parked++;
	if (!p->in_park_list)
		ring_add(w, p);
}

void
sl_park_flush(struct sl_worker *w, struct sl_peer *p)
{
	unsigned i, n, left = p->park_count; /* what is parked anew meanwhile stays */

	while (left > 0 && p->park_count > 0) {
		n = SL_MIN(SL_MIN(left, (unsigned)SL_BURST), p->park_count);
		for (i = 0; i < n; i++)
			sl_vec_add(&w->v[SL_NODE_ENCAP], take(w, p));
		left -= n;
		sl_worker_run(w);
	}
}

void
sl_park_drop(struct sl_worker *w, struct sl_peer *p, enum sl_drop reason)
{
	while (p->park_count > 0)
		sl_drop_now(w, take(w, p), reason);
}

/*
 * In this order: nothing is parked here and the flows are on their way, then the other worker is
 * home, then it gets the packets. So it finds the flows and an empty queue that is its own, and
 * none of the packets comes back.
 */
void
sl_park_move(struct sl_worker *w, struct sl_peer *p, unsigned to)
{
	struct rte_ring *ring = to < SL_WORKER_MAX ? w->steer_out[to] : NULL;
	struct rte_mbuf *m[SL_PARK_MAX];
	unsigned i, n = 0, sent = 0;

	while (p->park_count > 0) {
		m[n] = take(w, p);
		sl_meta(m[n++])->next = SL_NEXT_SEAL;
	}
	sl_rehome_leave(w, p);
	sl_flow_export(w, p, to);
	atomic_store_explicit(&p->home, (uint16_t)to, memory_order_release);
	if (ring != NULL)
		sent = rte_ring_sp_enqueue_burst(ring, (void **)m, n, NULL);
	w->delta.lcore.steered_packets += sent;
	for (i = sent; i < n; i++)
		sl_drop_now(w, m[i], SL_DROP_STEER_FULL);
}

static bool
timed_out(const struct sl_worker *w, const struct sl_peer *p)
{
	return sl_tick_reached(w->tick, sl_meta(p->park_head)->since_tick + PARK_TICKS);
}

void
sl_park_sweep(struct sl_worker *w)
{
	struct sl_peer *p, *next, *last;
	bool end = w->parking == NULL;

	last = end ? NULL : w->parking->park_prev;
	for (p = w->parking; !end; p = next) {
		next = p->park_next;
		end = p == last;
		while (p->park_count > 0 && timed_out(w, p))
			sl_drop_now(w, take(w, p), SL_DROP_PARK_TIMEOUT);
	}
}

static void
purge_vectors(struct sl_worker *w)
{
	unsigned i, k;

	for (i = 0; i < SL_NODE_MAX; i++) {
		for (k = 0; k < w->v[i].n; k++)
			rte_pktmbuf_free(w->v[i].m[k]);
		w->v[i].n = 0;
	}
	for (i = 0; i < SL_PORT_MAX; i++) {
		for (k = 0; k < w->tx[i].n; k++)
			rte_pktmbuf_free(w->tx[i].buf[k]);
		w->tx[i].n = 0;
	}
}

void
sl_worker_purge(struct sl_worker *w)
{
	struct sl_peer *p;

	while ((p = w->parking) != NULL)
		while (p->park_count > 0)
			rte_pktmbuf_free(take(w, p));
	sl_wait_purge(w);
	purge_vectors(w);
	sl_flow_purge(w);
}
