/* SPDX-License-Identifier: BSD-3-Clause */
/* Tell the sender why its packet ends here (meta.drop), then drop it under that reason. */
#include "send_int.h"

/** @return false if this reason is not told to anybody */
static bool
kind_of(uint8_t reason, enum sl_icmp_kind *kind)
{
	switch (reason) {
	case SL_DROP_TTL:
		*kind = SL_ICMP_TIME_EXCEEDED;
		return true;
	case SL_DROP_MTU:
		*kind = SL_ICMP_TOO_BIG;
		return true;
	case SL_DROP_NO_ROUTE:
		*kind = SL_ICMP_NET_UNREACH;
		return true;
	case SL_DROP_NO_PEER:
	case SL_DROP_NO_ENDPOINT:
	case SL_DROP_NEIGH_FAILED:
		*kind = SL_ICMP_HOST_UNREACH;
		return true;
	case SL_DROP_NO_LISTENER:
		*kind = SL_ICMP_PORT_UNREACH;
		return true;
	case SL_DROP_TARGET_WITHDRAWN:
		*kind = SL_ICMP_ADMIN;
		return true;
	default:
		return false;
	}
}

/** An own inner address for a packet to `dst`: of the network that holds it, else the first. */
static const struct sl_ip *
inner_source(const struct sl_iface_view *f, uint8_t version, const uint8_t *dst)
{
	struct sl_ip to = version == 4 ? sl_ip_v4(dst) : sl_ip_v6(dst);
	const struct sl_ip *first = NULL;
	unsigned i;

	for (i = 0; i < f->n_addrs; i++) {
		if (f->addr[i].ip.family != version)
			continue;
		if (sl_prefix_contains(&f->addr[i], &to))
			return &f->addr[i].ip;
		if (first == NULL)
			first = &f->addr[i].ip;
	}
	return first;
}

/** Source of the error: the address that was asked, else one on the side of the sender. */
static bool
error_source(struct sl_worker *w, struct rte_mbuf *m, const struct sl_iface_view *f,
	     struct sl_ip *out)
{
	const struct sl_meta *meta = sl_meta(m);
	bool from_tunnel = (meta->flags & SL_PKT_FROM_TUNNEL) != 0;
	const struct sl_att *att;
	const struct sl_ip *ip = NULL;
	const uint8_t *to = sl_pkt_src(m);

	if (meta->drop == SL_DROP_NO_LISTENER) {
		*out = meta->version == 4 ? sl_ip_v4(sl_pkt_dst(m)) : sl_ip_v6(sl_pkt_dst(m));
		return true;
	}
	att = sl_root_att(w->root, from_tunnel ? f->inside_att : meta->att);
	if (from_tunnel)
		ip = inner_source(f, meta->version, to);
	if (ip == NULL && att != NULL)
		ip = sl_source_pick(att, meta->version, to);
	if (ip == NULL)
		ip = inner_source(f, meta->version, to);
	if (ip != NULL)
		*out = *ip;
	return ip != NULL;
}

/** A new packet with the error that answers `m`, or NULL. */
static struct rte_mbuf *
build(struct sl_worker *w, struct rte_mbuf *m, enum sl_icmp_kind kind, const struct sl_ip *src)
{
	struct sl_meta *meta = sl_meta(m), *em;
	struct sl_ip_info info;
	struct rte_mbuf *e;
	unsigned len = 0;

	e = rte_pktmbuf_alloc(w->pool);
	if (e == NULL) {
		sl_stats_drop(&w->delta, SL_DROP_NO_MBUF, 1);
		return NULL;
	}
	sl_meta_to_ip(m, &info);
	if (rte_pktmbuf_tailroom(e) >= SL_ICMP_ERROR_MAX + SL_TAILROOM)
		len = sl_icmp_error(rte_pktmbuf_mtod(e, uint8_t *),
				    rte_pktmbuf_mtod(m, const uint8_t *), &info, kind,
				    (uint16_t)meta->icmp_mtu, src);
	if (len == 0 ||
	    sl_ip_parse_packet(rte_pktmbuf_mtod(e, uint8_t *), len, false, &info) != SL_DROP_NONE) {
		rte_pktmbuf_free(e);
		return NULL;
	}
	e->data_len = (uint16_t)len;
	e->pkt_len = len;
	em = sl_meta(e);
	memset(em, 0, sizeof(*em));
	sl_meta_from_ip(em, &info);
	em->flags |= SL_PKT_LOCAL_ORIGIN;
	em->iface_id = meta->iface_id;
	em->att = meta->att;
	em->peer_id = SL_PEER_ID_NONE;
	return e;
}

/** To the peer whose AllowedIPs hold the sender (meta.peer_id may already be the receiver's). */
static void
send_to_tunnel(struct sl_worker *w, struct rte_mbuf *e, const struct sl_iface_view *f,
	       struct sl_vec out[])
{
	uint32_t id = sl_iface_peer(f, sl_meta(e)->version, sl_pkt_dst(e));
	struct sl_peer *p = sl_peer_get(w->dp->peers, id);

	sl_meta(e)->peer_id = id;
	if (p == NULL)
		sl_vec_drop(&out[SL_NODE_DROP], e, SL_DROP_PEER_DOWN);
	else
		sl_vec_to_peer(w, out, e, p);
}

static void
answer(struct sl_worker *w, struct rte_mbuf *m, struct sl_vec out[])
{
	const struct sl_iface_view *f = sl_root_iface(w->root, sl_meta(m)->iface_id);
	enum sl_icmp_kind kind;
	struct sl_ip src;
	struct rte_mbuf *e;

	if (f == NULL || (sl_meta(m)->flags & (SL_PKT_LOCAL_ORIGIN | SL_PKT_L2_MCAST)) != 0 ||
	    !kind_of(sl_meta(m)->drop, &kind) || !error_source(w, m, f, &src) ||
	    sl_graph_room(w) == 0)
		return;
	if (!sl_worker_may_answer(w)) { /* the answer is suppressed, not the packet */
		sl_stats_drop(&w->delta, SL_DROP_RATE_LOCAL, 1);
		return;
	}
	e = build(w, m, kind, &src);
	if (e == NULL)
		return;
	if ((sl_meta(m)->flags & SL_PKT_FROM_TUNNEL) != 0)
		send_to_tunnel(w, e, f, out);
	else
		sl_vec_add(&out[SL_NODE_ROUTE], e);
}

void
sl_stage_icmp(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	unsigned i;

	for (i = 0; i < in->n; i++) {
		answer(w, in->m[i], out);
		sl_vec_add(&out[SL_NODE_DROP], in->m[i]);
	}
	in->n = 0;
}
