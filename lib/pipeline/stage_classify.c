/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From frames to what they are: outer WireGuard datagrams, traffic for the gateway itself,
 * plaintext for a peer. A frame is one of three things only: to an own address of its attachment,
 * neighbour discovery, or to be forwarded into an interface whose inside is attached here.
 */
#include "send_int.h"

#define VLAN_ID_MASK 0xfff
#define ND_FIRST 133 /* router solicitation; 137 is redirect (RFC 4861) */
#define ND_LAST 137

struct classify {
	struct sl_worker *w;
	struct sl_vec *out;
	uint32_t memo_key; /* port and VLAN of the last frame, whose attachment stands beside it */
	const struct sl_att *memo_att;
	uint64_t bytes;
	/* Plaintext, gathered so that the lookups of a burst overlap; it goes on in the order in
	 * which it came, whatever its IP version. What the parser found stays until the burst is
	 * through: whoever copies it at once, several fields in one word, waits for the stores of
	 * the single fields. */
	unsigned n_plain;
	struct rte_mbuf *plain[SL_BURST];
	const struct sl_att *att[SL_BURST];
	struct sl_ip_info info[SL_BURST];
};

/* An Ethernet header taken apart. */
struct l2 {
	const struct sl_att *att;
	unsigned len;
	uint16_t type;
	bool group; /* broadcast or multicast destination */
};

/* --- plaintext to be forwarded ----------------------------------------------------------- */

static const struct sl_iface_view *
att_iface(const struct sl_root *root, const struct sl_att *att, unsigned k)
{
	const struct sl_iface_view *f;

	if (k >= att->n_ifaces)
		return NULL;
	f = sl_root_iface(root, att->iface[k]);
	return f != NULL && f->up ? f : NULL;
}

static bool
in_own_network(const struct sl_iface_view *f, uint8_t version, const uint8_t *dst)
{
	struct sl_ip ip = {.family = version};
	unsigned i;

	memcpy(ip.b, dst, version == 4 ? 4 : 16);
	for (i = 0; i < f->n_addrs; i++)
		if (sl_prefix_contains(&f->addr[i], &ip))
			return true;
	return false;
}

static void
plain_to_peer(struct sl_worker *w, struct rte_mbuf *m, const struct sl_iface_view *f,
	      uint32_t peer_id, struct sl_vec out[])
{
	struct sl_meta *meta = sl_meta(m);
	const struct sl_peer *p;

	meta->iface_id = f->id;
	meta->peer_id = peer_id;
	if (w->dp->n_workers == 1 && w->owner) { /* the only home there is */
		sl_vec_add(&out[SL_NODE_INSIDE], m);
		return;
	}
	p = sl_peer_get(w->dp->peers, peer_id);
	if (sl_unlikely(p == NULL)) { /* removed since this root was made */
		meta->peer_id = SL_PEER_ID_NONE;
		sl_vec_add(&out[SL_NODE_INSIDE], m);
	} else if (w->owner && sl_peer_home(p) == w->id) {
		sl_vec_add(&out[SL_NODE_INSIDE], m);
	} else {
		sl_vec_steer(w, out, m, sl_peer_home(p), SL_NEXT_INSIDE);
	}
}

/* Interfaces behind the first of an attachment; then addresses that no peer has but that belong to
 * a tunnel network: INSIDE answers or drops those. */
static void
plain_other(struct sl_worker *w, struct rte_mbuf *m, const struct sl_att *att, const uint8_t *dst,
	    struct sl_vec out[])
{
	struct sl_meta *meta = sl_meta(m);
	const struct sl_iface_view *f;
	unsigned k;

	for (k = 0; k < att->n_ifaces; k++) {
		uint32_t peer;

		f = att_iface(w->root, att, k);
		if (f == NULL)
			continue;
		peer = sl_iface_peer(f, meta->version, dst);
		if (peer != SL_LPM_NONE && !sl_iface_owns(f, meta->version, dst)) {
			plain_to_peer(w, m, f, peer, out);
			return;
		}
	}
	for (k = 0; k < att->n_ifaces; k++) {
		f = att_iface(w->root, att, k);
		if (f != NULL && in_own_network(f, meta->version, dst)) {
			meta->iface_id = f->id;
			sl_vec_add(&out[SL_NODE_INSIDE], m);
			return;
		}
	}
	sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_NOT_TUNNEL);
}

static void
plain_flush(struct classify *c)
{
	const struct sl_iface_view *f[SL_BURST];
	const unsigned n = c->n_plain;
	uint32_t peer[SL_BURST];
	struct sl_lookup look;
	uint8_t version;
	unsigned i;

	sl_lookup_begin(&look, peer, n);
	for (i = 0; i < n; i++) {
		version = c->info[i].version;
		sl_meta_from_ip(sl_meta(c->plain[i]), &c->info[i]);
		f[i] = att_iface(c->w->root, c->att[i], 0);
		if (f[i] != NULL)
			sl_lookup_add(&look, sl_iface_peers(f[i], version), version, c->info[i].dst,
				      i);
	}
	sl_lookup_run(&look);
	for (i = 0; i < n; i++) {
		version = c->info[i].version;
		/* A peer's AllowedIPs may well hold the gateway's own addresses: they go first. */
		if (sl_likely(peer[i] != SL_LPM_NONE && /* most traffic is for peers */
			      !sl_iface_owns(f[i], version, c->info[i].dst)))
			plain_to_peer(c->w, c->plain[i], f[i], peer[i], c->out);
		else
			plain_other(c->w, c->plain[i], c->att[i], c->info[i].dst, c->out);
	}
	c->n_plain = 0;
}

/* Its headers stand in c->info[c->n_plain]. */
static void
plain_add(struct classify *c, struct rte_mbuf *m, const struct sl_att *att)
{
	c->plain[c->n_plain] = m;
	c->att[c->n_plain] = att;
	if (++c->n_plain == SL_BURST)
		plain_flush(c);
}

/* --- layer 2 ----------------------------------------------------------------------------- */

static const struct sl_att *
find_att(const struct sl_root *root, unsigned port, uint16_t vlan)
{
	const struct sl_port_view *v;
	unsigned i;

	if (port >= SL_PORT_MAX || !root->port[port].present)
		return NULL;
	v = &root->port[port];
	for (i = 0; i < v->n_att; i++) {
		const struct sl_att *att = sl_root_att(root, v->att[i]);

		if (att != NULL && att->vlan == vlan)
			return att;
	}
	return NULL;
}

static const struct sl_att *
att_of(struct classify *c, unsigned port, uint16_t vlan)
{
	uint32_t key = port << 16 | vlan;

	if (sl_unlikely(key != c->memo_key)) { /* a burst is of one port, mostly of one VLAN */
		c->memo_key = key;
		c->memo_att = find_att(c->w->root, port, vlan);
	}
	return c->memo_att;
}

static bool
mac_is(const uint8_t *a, const uint8_t *b)
{
	return ((sl_load_le32(a) ^ sl_load_le32(b)) |
		(uint32_t)(sl_load_be16(a + 4) ^ sl_load_be16(b + 4))) == 0;
}

/* Multicast is welcome for ARP and, to IPv6 groups, for ND. */
static bool
group_is_wanted(const uint8_t *eth, uint16_t type)
{
	return type == SL_ETHERTYPE_ARP ||
	       (type == SL_ETHERTYPE_IP6 && eth[0] == 0x33 && eth[1] == 0x33);
}

static enum sl_drop
parse_l2(struct classify *c, const struct rte_mbuf *m, struct l2 *l2)
{
	const uint64_t stripped_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	const bool stripped = (m->ol_flags & stripped_flags) == stripped_flags;
	const uint8_t *eth = rte_pktmbuf_mtod(m, const uint8_t *);
	uint16_t vlan = 0;

	if (m->data_len < SL_ETH_HDR)
		return SL_DROP_L2_TRUNCATED;
	l2->len = SL_ETH_HDR;
	l2->type = sl_load_be16(eth + 12);
	if (l2->type == SL_ETHERTYPE_VLAN) {
		if (m->data_len < SL_L2_MAX)
			return SL_DROP_L2_TRUNCATED;
		if (sl_unlikely(stripped)) /* a tag in a tag: the inner one leads nowhere */
			return SL_DROP_L2_ETHERTYPE;
		vlan = sl_load_be16(eth + 14) & VLAN_ID_MASK;
		l2->len = SL_L2_MAX;
		l2->type = sl_load_be16(eth + 16);
	} else if (stripped) {
		vlan = m->vlan_tci & VLAN_ID_MASK;
	}
	if (l2->type != SL_ETHERTYPE_IP4 && l2->type != SL_ETHERTYPE_IP6 &&
	    l2->type != SL_ETHERTYPE_ARP)
		return SL_DROP_L2_ETHERTYPE;
	l2->att = att_of(c, m->port, vlan);
	if (l2->att == NULL)
		return SL_DROP_L2_VLAN;
	l2->group = eth[0] & 1;
	if (l2->group ? !group_is_wanted(eth, l2->type) : !mac_is(eth, l2->att->mac))
		return SL_DROP_L2_NOT_MINE;
	return SL_DROP_NONE;
}

/* --- layer 3 ----------------------------------------------------------------------------- */

/* Cut Ethernet padding, and the header in front. */
static void
to_l3(struct rte_mbuf *m, unsigned l2_len, unsigned ip_len)
{
	m->data_off = (uint16_t)(m->data_off + l2_len);
	m->data_len = (uint16_t)ip_len;
	m->pkt_len = ip_len;
}

/* For the HOST stage: data stays at the Ethernet header. */
static void
to_host(struct classify *c, struct rte_mbuf *m, const struct l2 *l2, const struct sl_ip_info *info)
{
	sl_meta_from_ip(sl_meta(m), info);
	m->data_len = (uint16_t)(l2->len + info->total_len);
	m->pkt_len = m->data_len;
	sl_vec_add(&c->out[SL_NODE_HOST], m);
}

static bool
is_nd(const uint8_t *ip, const struct sl_ip_info *info)
{
	if (info->proto != SL_PROTO_ICMP6 || info->version != 6 || sl_ip_is_frag(info))
		return false;
	return ip[info->l4_off] >= ND_FIRST && ip[info->l4_off] <= ND_LAST;
}

/* To an own address of the attachment. */
static void
classify_own(struct classify *c, struct rte_mbuf *m, const struct l2 *l2,
	     const struct sl_ip_info *info)
{
	struct sl_meta *meta = sl_meta(m);

	if (info->proto != SL_PROTO_UDP) {
		to_host(c, m, l2, info);
		return;
	}
	meta->iface_id = c->w->root->iface_by_udp_port[info->dport];
	if (sl_unlikely(info->frag_off != 0)) { /* which port, its first fragment knows */
		sl_meta_from_ip(meta, info);
		to_l3(m, l2->len, info->total_len);
		sl_vec_add(&c->out[SL_NODE_REASS], m);
	} else if (meta->iface_id == 0) {
		to_host(c, m, l2, info);
	} else if (sl_unlikely(info->more_frags)) { /* tunnels avoid outer fragments */
		sl_meta_from_ip(meta, info);
		to_l3(m, l2->len, info->total_len);
		sl_vec_add(&c->out[SL_NODE_REASS], m);
	} else {
		to_l3(m, l2->len, info->total_len);
		sl_classify_wireguard(c->w, m, info, c->out);
	}
}

static enum sl_drop
classify_ip(struct classify *c, struct rte_mbuf *m, const struct l2 *l2)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, l2->len);
	struct sl_meta *meta = sl_meta(m);
	struct sl_ip_info *info = &c->info[c->n_plain];
	enum sl_drop why;

	why = sl_ip_parse_packet(ip, (size_t)(m->data_len - l2->len),
				 !(meta->flags & SL_PKT_IP_CSUM_OK), info);
	if (sl_unlikely(why != SL_DROP_NONE)) /* broken packets do not get this far */
		return why;
	if (sl_unlikely(info->version != (l2->type == SL_ETHERTYPE_IP4 ? 4 : 6))) /* never honest */
		return SL_DROP_IP_HEADER;
	if (sl_unlikely(l2->group)) { /* rare beside data */
		if (!is_nd(ip, info))
			return SL_DROP_L2_NOT_MINE;
		to_host(c, m, l2, info);
	} else if (sl_unlikely(sl_ip_has_no_source(info))) { /* never honest */
		return SL_DROP_IP_HEADER;
	} else if (sl_att_owns(l2->att, info->version, info->dst)) {
		classify_own(c, m, l2, info);
	} else if (sl_unlikely(info->dst[0] == 0xfe && (info->dst[1] & 0xc0) == 0x80 && /* seldom */
			       is_nd(ip, info))) {
		to_host(c, m, l2, info); /* to our link-local address */
	} else {
		to_l3(m, l2->len, info->total_len);
		plain_add(c, m, l2->att);
	}
	return SL_DROP_NONE;
}

/* What the NIC says of the checksums. */
static uint8_t
nic_flags(uint64_t ol_flags)
{
	uint8_t flags = 0;

	if ((ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		flags |= SL_PKT_IP_CSUM_OK;
	if ((ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		flags |= SL_PKT_L4_CSUM_OK;
	return flags;
}

static void
classify_frame(struct classify *c, struct rte_mbuf *m)
{
	struct sl_meta *meta = sl_meta(m);
	enum sl_drop why;
	struct l2 l2;

	*meta = (struct sl_meta){.flags = nic_flags(m->ol_flags),
				 .port = m->port,
				 .peer_id = SL_PEER_ID_NONE};
	c->bytes += m->pkt_len;
	if (sl_unlikely(m->nb_segs != 1) && /* scattered frames: jumbo in small buffers */
	    rte_pktmbuf_linearize(m) != 0) {
		sl_vec_drop(&c->out[SL_NODE_DROP], m, SL_DROP_CHAINED);
		return;
	}
	why = parse_l2(c, m, &l2);
	if (sl_likely(why == SL_DROP_NONE)) { /* a switch sends us our own frames only */
		meta->att = l2.att->id;
		if (l2.group)
			meta->flags |= SL_PKT_L2_MCAST;
		if (sl_unlikely(l2.type == SL_ETHERTYPE_ARP)) /* a few a minute */
			sl_vec_add(&c->out[SL_NODE_HOST], m);
		else
			why = classify_ip(c, m, &l2);
	}
	if (sl_unlikely(why != SL_DROP_NONE)) /* as above */
		sl_vec_drop(&c->out[SL_NODE_DROP], m, why);
}

void
sl_stage_classify(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	struct sl_stats_stage_counts *row = &w->delta.stage[SL_STATS_RX_EARLY];
	const unsigned n = in->n, before = out[SL_NODE_DROP].n;
	struct classify c;
	unsigned i, dropped;

	c.w = w;
	c.out = out;
	c.memo_key = UINT32_MAX;
	c.memo_att = NULL;
	c.bytes = 0;
	c.n_plain = 0;
	for (i = 0; i < n; i++)
		classify_frame(&c, in->m[i]);
	plain_flush(&c);
	in->n = 0;
	w->delta.lcore.rx_packets += n;
	w->delta.lcore.rx_bytes += c.bytes;
	row->total += n;
	dropped = out[SL_NODE_DROP].n - before;
	row->passed += n - dropped;
	row->dropped += dropped;
}
