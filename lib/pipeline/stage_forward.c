/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A judged packet from a tunnel: to the gateway itself, to another peer (isolation), or by the
 * interface's routes to the inside. What goes to the inside does so by one next hop as long as the
 * root is the same: its flow keeps it (stage authz), and none of the tables is asked again. Nor are
 * they for the first packet of a flow where another one went to the same place (way.h).
 */
#include "way.h"

struct view {
	bool asks; /* for some packet the tables are to be asked */
	const struct sl_iface_view *f[SL_BURST];
	const struct sl_att *att[SL_BURST]; /* the inside of f, or NULL; these are of those alone */
	uint32_t peer[SL_BURST];	    /* whose AllowedIPs hold the destination */
	uint32_t nh[SL_BURST];
	uint32_t other; /* bit i: AllowedIPs of another interface on the same inside */
};

struct hop_cache {
	uint32_t id;
	struct sl_nh_copy hop;
};

static inline bool
is_addr(uint8_t version, const uint8_t *x, const uint8_t *y)
{
	return version == 4 ? memcmp(x, y, 4) == 0 : memcmp(x, y, 16) == 0;
}

/** Where the next packets of its flow go. What stands at its place may be another one by now. */
static void
keep_way(struct sl_worker *w, struct rte_mbuf *m, uint32_t nh)
{
	const struct sl_meta *meta = sl_meta(m);
	const uint8_t *src = sl_pkt_src(m), *dst = sl_pkt_dst(m);
	struct sl_flow *f;
	bool from_b;

	if (nh > UINT16_MAX)
		return;
	f = sl_flow_get(w->flows, meta->flow - 1);
	from_b = is_addr(meta->version, f->key.a, dst);
	if (!f->used || f->key.iface != meta->iface_id || f->key.version != meta->version ||
	    !is_addr(meta->version, from_b ? f->key.a : f->key.b, dst) ||
	    !is_addr(meta->version, from_b ? f->key.b : f->key.a, src))
		return;
	f->note &= (uint8_t)~SL_FLOW_WAY_B;
	f->note |= from_b ? SL_FLOW_WAY_B : 0;
	f->nh = (uint16_t)nh;
	f->way_gen = (uint32_t)w->root->generation;
}

/** @return true if its flow knows the way, or another one of late that went there */
static inline bool
knows_way(struct sl_worker *w, struct rte_mbuf *m)
{
	struct sl_meta *meta = sl_meta(m);

	if (sl_likely(meta->nh != 0)) /* all but the first ones */
		return true;
	meta->nh = sl_way_get(w, meta->version, meta->iface_id, sl_pkt_dst(m));
	if (meta->nh == 0)
		return false;
	if (meta->flow != 0)
		keep_way(w, m, meta->nh);
	return true;
}

static void
find_peers_and_routes(struct sl_worker *w, struct rte_mbuf **m, unsigned n, struct view *v)
{
	struct sl_lookup peer, route;
	const struct sl_iface_view *f;
	const uint8_t *dst;
	uint8_t version;
	unsigned i;

	v->asks = false;
	sl_ways_of_root(w);
	sl_lookup_begin(&peer, v->peer, n);
	sl_lookup_begin(&route, v->nh, n);
	for (i = 0; i < n; i++) {
		v->f[i] = f = sl_pkt_iface(w, m[i]);
		v->att[i] = NULL;
		if (f == NULL || sl_likely(knows_way(w, m[i])))
			continue;
		v->asks = true;
		v->att[i] = sl_root_att(w->root, f->inside_att);
		version = sl_meta(m[i])->version;
		dst = sl_pkt_dst(m[i]);
		sl_lookup_add(&peer, sl_iface_peers(f, version), version, dst, i);
		sl_lookup_add(&route, sl_iface_routes(f, version), version, dst, i);
	}
	if (sl_likely(!v->asks)) /* see above */
		return;
	sl_lookup_run(&peer);
	sl_lookup_run(&route);
}

/** AllowedIPs of the other interfaces that share the inside attachment. */
static void
find_others(struct sl_worker *w, struct rte_mbuf **m, unsigned n, struct view *v)
{
	const struct sl_iface_view *other;
	uint32_t found[SL_BURST];
	struct sl_lookup look;
	unsigned i, k, ifaces = 0;
	uint8_t version;

	v->other = 0;
	if (sl_likely(!v->asks)) /* as above */
		return;
	for (i = 0; i < n; i++)
		if (v->att[i] != NULL)
			ifaces = SL_MAX(ifaces, v->att[i]->n_ifaces);
	for (k = 0; k < ifaces && ifaces > 1; k++) {
		sl_lookup_begin(&look, found, n);
		for (i = 0; i < n; i++) {
			if (v->att[i] == NULL || k >= v->att[i]->n_ifaces)
				continue;
			other = sl_root_iface(w->root, v->att[i]->iface[k]);
			version = sl_meta(m[i])->version;
			if (other != NULL && other != v->f[i])
				sl_lookup_add(&look, sl_iface_peers(other, version), version,
					      sl_pkt_dst(m[i]), i);
		}
		sl_lookup_run(&look);
		for (i = 0; i < n; i++)
			v->other |= (uint32_t)(found[i] != SL_LPM_NONE) << i;
	}
}

/** Isolation is off: to another peer of the same interface, which was judged at the sender. */
static bool
to_peer(struct sl_worker *w, struct rte_mbuf *m, uint32_t peer_id, struct sl_vec out[])
{
	struct sl_peer *p = sl_peer_get(w->dp->peers, peer_id);

	if (p == NULL) {
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_PEER_DOWN);
		return false;
	}
	if (sl_meta(m)->ttl <= 1) {
		sl_vec_icmp(out, m, SL_DROP_TTL);
		return false;
	}
	sl_pkt_ttl_dec(m);
	sl_meta(m)->peer_id = peer_id;
	sl_vec_to_peer(w, out, m, p);
	return true;
}

/** IPv4 without DF, larger than the next hop's MTU. */
static bool
fragment(struct sl_worker *w, struct rte_mbuf *m, uint16_t mtu, struct sl_vec out[])
{
	struct rte_mbuf *frag[SL_FRAG_MAX];
	unsigned i, n;

	n = sl_frag4(w, m, mtu, frag);
	if (n == 0) {
		sl_vec_add(&out[SL_NODE_DROP], m);
		return false;
	}
	for (i = 0; i < n; i++)
		sl_vec_add(&out[SL_NODE_REWRITE], frag[i]);
	return true;
}

/** Destinations that no router forwards (RFC 1812 5.3.7, RFC 4291 2.4): groups and link-local
 * addresses. A default route must not carry them on. Loopback does not pass the parser. */
static bool
is_confined(uint8_t version, const uint8_t *dst)
{
	if (version == 4)
		return dst[0] >= 224 || (dst[0] == 169 && dst[1] == 254);
	return dst[0] == 0xff || (dst[0] == 0xfe && (dst[1] & 0xc0) == 0x80);
}

/** By a next hop, whatever state it is in now. */
static bool
to_inside(struct sl_worker *w, struct rte_mbuf *m, const struct sl_iface_view *f, uint32_t nh,
	  struct hop_cache *c, struct sl_vec out[])
{
	struct sl_meta *meta = sl_meta(m);

	if (nh != c->id) {
		sl_nh_read(w->dp->nhs, nh, &c->hop);
		c->id = nh;
	}
	if (sl_unlikely(c->hop.type != SL_NH_HOST && c->hop.type != SL_NH_GLEAN)) {
		if (c->hop.type == SL_NH_BLACKHOLE) /* silent by intent */
			sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_NO_ROUTE);
		else
			sl_vec_icmp(out, m, SL_DROP_NO_ROUTE);
		return false;
	}
	if (sl_unlikely(meta->ttl <= 1)) {
		sl_vec_icmp(out, m, SL_DROP_TTL);
		return false;
	}
	if (sl_unlikely(meta->total_len > c->hop.mtu && (meta->flags & SL_PKT_DF) != 0)) {
		meta->icmp_mtu = c->hop.mtu; /* IPv6 always has the flag */
		sl_vec_icmp(out, m, SL_DROP_MTU);
		return false;
	}
	sl_pkt_ttl_dec(m);
	if (f->mss_clamp)
		sl_pkt_mss_clamp(w, m, f->mtu);
	meta->nh = nh;
	if (sl_unlikely(meta->total_len > c->hop.mtu))
		return fragment(w, m, c->hop.mtu, out);
	sl_vec_add(&out[SL_NODE_REWRITE], m);
	return true;
}

/** The tables were asked. @return true if the packet went on */
static bool
find_way(struct sl_worker *w, struct rte_mbuf *m, const struct view *v, unsigned i,
	 struct hop_cache *c, struct sl_vec out[])
{
	const struct sl_iface_view *f = v->f[i];
	uint8_t version = sl_meta(m)->version;

	if (sl_unlikely(f == NULL)) { /* only while the root changes */
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_NO_ROUTE);
		return false;
	}
	if (sl_iface_owns(f, version, sl_pkt_dst(m)) ||
	    (v->att[i] != NULL && sl_att_owns(v->att[i], version, sl_pkt_dst(m)))) {
		sl_vec_add(&out[SL_NODE_LOCAL], m);
		return true;
	}
	if ((v->peer[i] != SL_LPM_NONE && f->isolation) || v->other >> i & 1) {
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_ISOLATION);
		return false;
	}
	if (v->peer[i] != SL_LPM_NONE)
		return to_peer(w, m, v->peer[i], out);
	if (is_confined(version, sl_pkt_dst(m))) {
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_NO_ROUTE);
		return false;
	}
	sl_way_put(w, m, f, v->att[i], v->nh[i]);
	if (sl_meta(m)->flow != 0)
		keep_way(w, m, v->nh[i]);
	return to_inside(w, m, f, v->nh[i], c, out);
}

/** @return true if the packet went on */
static inline bool
leave(struct sl_worker *w, struct rte_mbuf *m, const struct view *v, unsigned i,
      struct hop_cache *c, struct sl_vec out[])
{
	if (sl_likely(sl_meta(m)->nh != 0 && v->f[i] != NULL)) /* see find_peers_and_routes() */
		return to_inside(w, m, v->f[i], sl_meta(m)->nh, c, out);
	return find_way(w, m, v, i, c, out);
}

void
sl_stage_forward(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	struct hop_cache c = {.id = SL_NH_ID_NONE}; /* all zero: no route */
	unsigned i, k, n, passed = 0;
	struct view v;

	for (i = 0; i < in->n; i += n) {
		n = SL_MIN(in->n - i, (unsigned)SL_BURST);
		find_peers_and_routes(w, &in->m[i], n, &v);
		find_others(w, &in->m[i], n, &v);
		for (k = 0; k < n; k++)
			passed += leave(w, in->m[i + k], &v, k, &c, out);
	}
	w->delta.stage[SL_STATS_POST_DECRYPT].passed += passed;
	in->n = 0;
}
