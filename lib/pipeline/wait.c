/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that wait for a neighbour: at most 8 a next hop, at most 3 s. A next hop of a connected
 * network (glean) stands for many neighbours: there an entry is one destination address.
 *
 * A sender that scans such a network makes an entry an address. So that it hurts nobody but itself,
 * it gets a quarter of the entries at most, and when all are taken, the first entry of a sender
 * that has none goes before the oldest of those that do. A sender is a peer, or the gateway itself
 * in one network. */
#include "send_int.h"

#define WAIT_TICKS (3 * SL_NS_PER_S / SL_TICK_NS)
#define TELL_TICKS (SL_NS_PER_S / SL_TICK_NS)

static struct sl_ip
destination(struct rte_mbuf *m)
{
	return sl_meta(m)->version == 4 ? sl_ip_v4(sl_pkt_dst(m)) : sl_ip_v6(sl_pkt_dst(m));
}

/** Whose packet it is: a number that no two senders share. */
static uint32_t
sender_of(struct rte_mbuf *m)
{
	const struct sl_meta *meta = sl_meta(m);

	return meta->peer_id != SL_PEER_ID_NONE ? meta->peer_id : SL_PEER_MAX + meta->iface_id;
}

static void
drop_first(struct sl_worker *w, struct sl_wait *e)
{
	sl_drop_now(w, e->m[0], SL_DROP_NEIGH_WAIT);
	e->n--;
	memmove(e->m, e->m + 1, e->n * sizeof(e->m[0]));
}

static void
clear(struct sl_worker *w, struct sl_wait *e)
{
	while (e->n > 0)
		drop_first(w, e);
	w->n_wait--;
}

/** The entry of (next hop, network, destination of a glean), or a free one, or NULL. */
static struct sl_wait *
find(struct sl_worker *w, struct rte_mbuf *m, bool glean, const struct sl_ip *ip)
{
	struct sl_wait *e, *empty = NULL, *oldest = NULL;
	const uint32_t nh = sl_meta(m)->nh, sender = sender_of(m);
	unsigned i, share = 0;

	for (i = 0; i < SL_WAIT_MAX; i++) {
		e = &w->wait[i];
		if (e->n == 0) {
			empty = empty != NULL ? empty : e;
			continue;
		}
		if (e->nh == nh && e->iface_id == sl_meta(m)->iface_id && e->glean == glean &&
		    (!glean || sl_ip_equal(&e->ip, ip)))
			return e;
		share += e->sender == sender;
		if (oldest == NULL || (int32_t)(e->tick - oldest->tick) < 0)
			oldest = e;
	}
	/* the gateway's own handshakes after a restart are many, and nobody else's */
	if (share >= SL_WAIT_SHARE && sender != SL_PEER_MAX)
		return NULL;
	if (empty != NULL || share != 0)
		return empty;
	clear(w, oldest);
	return oldest;
}

/** The neighbour of a host is control's already; of a glean only we know which one is meant. */
static void
tell(struct sl_worker *w, struct sl_wait *e)
{
	struct sl_ctl_event ev = {.type = SL_EV_NEIGH_WANT, .att = e->att, .ip = e->ip};

	e->told = w->tick;
	if (e->glean)
		sl_worker_tell(w, &ev);
}

static void
start_entry(struct sl_worker *w, struct sl_wait *e, struct rte_mbuf *m,
	    const struct sl_nh_copy *hop, const struct sl_ip *ip)
{
	if (w->n_wait++ == 0)
		w->wait_root_generation = w->root->generation;
	e->nh = sl_meta(m)->nh;
	e->sender = sender_of(m);
	e->att = hop->att;
	e->iface_id = sl_meta(m)->iface_id;
	e->glean = hop->type == SL_NH_GLEAN;
	e->ip = *ip;
	e->tick = w->tick;
	tell(w, e);
}

/** Forget the first `n` packets. */
static void
shift(struct sl_worker *w, struct sl_wait *e, unsigned n)
{
	e->n = (uint16_t)(e->n - n);
	memmove(e->m, e->m + n, e->n * sizeof(e->m[0]));
	if (e->n != 0)
		return;
	e->nh = SL_NH_ID_NONE;
	w->n_wait--;
}

void
sl_wait_add(struct sl_worker *w, struct rte_mbuf *m, const struct sl_nh_copy *hop)
{
	struct sl_ip ip = destination(m);
	struct sl_wait *e;

	e = find(w, m, hop->type == SL_NH_GLEAN, &ip);
	if (e == NULL) {
		sl_drop_now(w, m, SL_DROP_NEIGH_WAIT);
		return;
	}
	if (e->n == 0)
		start_entry(w, e, m, hop, &ip);
	if (e->n == SL_WAIT_PKTS)
		drop_first(w, e);
	e->m[e->n++] = m;
}

/** Next hop of a waiting packet in today's tables. */
static uint32_t
route_again(struct sl_worker *w, const struct sl_wait *e, struct rte_mbuf *m)
{
	uint8_t version = sl_meta(m)->version;
	const struct sl_iface_view *f;

	if (e->iface_id == 0)
		return sl_lpm_lookup(sl_underlay(w->root, version), sl_pkt_dst(m));
	f = sl_root_iface(w->root, e->iface_id);
	return f == NULL ? SL_NH_ID_NONE
			 : sl_lpm_lookup(sl_iface_routes(f, version), sl_pkt_dst(m));
}

/** Send all packets of an entry on; stage rewrite knows what to do with a next hop that failed. */
static void
release(struct sl_worker *w, struct sl_wait *e)
{
	unsigned i;

	for (i = 0; i < e->n; i++)
		sl_vec_add(&w->v[SL_NODE_REWRITE], e->m[i]);
	shift(w, e, e->n);
}

/** The root changed: let go the packets whose way did. */
static void
reroute(struct sl_worker *w, struct sl_wait *e)
{
	unsigned i, n = e->n, kept = 0;
	uint32_t nh;

	for (i = 0; i < n; i++) {
		nh = route_again(w, e, e->m[i]);
		if (nh == e->nh) {
			e->m[kept++] = e->m[i];
			continue;
		}
		sl_meta(e->m[i])->nh = nh;
		sl_vec_add(&w->v[SL_NODE_REWRITE], e->m[i]);
	}
	e->n = (uint16_t)kept;
	if (kept == 0)
		shift(w, e, 0);
}

static bool
is_settled(struct sl_worker *w, const struct sl_wait *e)
{
	struct sl_nh_copy hop;

	if (e->glean)
		return false;
	sl_nh_read(w->dp->nhs, e->nh, &hop);
	return hop.type != SL_NH_HOST || hop.state != SL_NH_INCOMPLETE;
}

static void
sweep_entry(struct sl_worker *w, struct sl_wait *e, bool new_root)
{
	if (new_root)
		reroute(w, e);
	if (e->n == 0)
		return;
	if (is_settled(w, e)) {
		release(w, e);
	} else if (sl_tick_reached(w->tick, e->tick + WAIT_TICKS)) {
		while (e->n > 0) {
			sl_drop_now(w, e->m[0], SL_DROP_NEIGH_WAIT);
			shift(w, e, 1);
		}
	} else if (sl_tick_reached(w->tick, e->told + TELL_TICKS)) {
		tell(w, e);
	}
}

void
sl_wait_sweep(struct sl_worker *w)
{
	bool new_root = w->wait_root_generation != w->root->generation;
	unsigned i, before = w->v[SL_NODE_REWRITE].n;

	for (i = 0; i < SL_WAIT_MAX && w->n_wait > 0; i++) {
		if (w->v[SL_NODE_REWRITE].n - before > SL_BURST - SL_WAIT_PKTS)
			return; /* a burst at a time; the rest at the next poll */
		if (w->wait[i].n != 0)
			sweep_entry(w, &w->wait[i], new_root);
	}
	w->wait_root_generation = w->root->generation;
}

void
sl_wait_purge(struct sl_worker *w)
{
	struct sl_wait *e;
	unsigned i;

	for (i = 0; i < SL_WAIT_MAX; i++) {
		e = &w->wait[i];
		while (e->n > 0) {
			rte_pktmbuf_free(e->m[0]);
			shift(w, e, 1);
		}
	}
}
