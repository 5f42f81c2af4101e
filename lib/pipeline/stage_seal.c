/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sealing (WireGuard paper 5.4.6): packets of a burst are grouped by peer; what a peer's packets
 * have in common (keys, next hop, header template) is found once, nonces are taken with one
 * fetch_add per group, and all groups go to the cipher together.
 */
#include "send_int.h"

#include <rte_ip.h>

#define HDR4 (SL_IP4_HDR + SL_UDP_HDR + SL_WIRE_DATA_HDR)
#define HDR6 (SL_IP6_HDR + SL_UDP_HDR + SL_WIRE_DATA_HDR)
#define OVERHEAD (SL_WIRE_DATA_HDR + SL_AEAD_TAG)

enum udp_csum { UDP_CSUM_NONE, UDP_CSUM_OFFLOAD, UDP_CSUM_SOFTWARE };

/** What the packets of one peer in this burst have in common. */
struct run {
	struct sl_peer *peer;
	struct sl_keypair *kp;
	const struct sl_peer_way *way;
	uint64_t bytes; /* sent: UDP payload */
	unsigned packets, data;
};

/** The burst on its way to the cipher. */
struct burst {
	unsigned n;
	uint8_t udp_csum[SL_BURST];
	struct rte_mbuf *m[SL_BURST];
	struct sl_aead_job job[SL_BURST];
};

/**
 * Group by peer, keeping the order within a peer.
 * @param[out] sorted the same packets, group by group
 * @param[out] len packets of each group
 * @return groups
 */
static unsigned
group_by_peer(struct rte_mbuf **m, unsigned n, struct rte_mbuf *sorted[], uint8_t len[])
{
	uint8_t map[2 * SL_BURST], group[SL_BURST], at[SL_BURST];
	uint32_t id, ids[SL_BURST];
	unsigned i, slot, groups = 0;

	memset(map, 0xff, sizeof(map));
	for (i = 0; i < n; i++) {
		id = sl_meta(m[i])->peer_id;
		slot = id * UINT32_C(0x9e3779b1) >> 26;
		while (map[slot] != 0xff && ids[map[slot]] != id)
			slot = (slot + 1) % SL_ARRAY_SIZE(map);
		if (map[slot] == 0xff) {
			ids[groups] = id;
			len[groups] = 0;
			map[slot] = (uint8_t)groups++;
		}
		group[i] = map[slot];
		len[group[i]]++;
	}
	for (i = 0, slot = 0; i < groups; slot += len[i++])
		at[i] = (uint8_t)slot;
	for (i = 0; i < n; i++)
		sorted[at[group[i]]++] = m[i];
	return groups;
}

/** The address that the peer last spoke to while we have it, else one that the route tells. */
static bool
choose_source(const struct sl_root *r, const struct sl_nh_copy *hop, struct sl_outer *o)
{
	const struct sl_att *att = sl_root_att(r, hop->att);
	const struct sl_ip *ip;

	if (o->src.family == o->dst.family && sl_source_is_ours(r, att, o->src.family, o->src.b))
		return true;
	ip = att != NULL ? sl_source_pick(att, o->dst.family, o->dst.b) : NULL;
	if (ip != NULL)
		o->src = *ip;
	return ip != NULL;
}

static uint8_t
udp_csum_of(const struct sl_worker *w, const struct sl_iface_view *f, uint8_t version,
	    uint16_t port)
{
	bool offload = port < SL_PORT_MAX && w->tx[port].csum_udp;

	if (version == 4 && (f->outer_udp_csum == SL_UDP_CSUM_ZERO ||
			     (f->outer_udp_csum == SL_UDP_CSUM_AUTO && !offload)))
		return UDP_CSUM_NONE;
	return offload ? UDP_CSUM_OFFLOAD : UDP_CSUM_SOFTWARE;
}

/** Sum of the template's words that no packet changes; RFC 1071. */
static uint32_t
constant_sum(uint8_t *ip)
{
	uint32_t sum = 0;
	unsigned i;

	ip[1] = 0;
	memset(ip + 2, 0, 2);
	memset(ip + 10, 0, 2);
	for (i = 0; i < SL_IP4_HDR; i += 2)
		sum += sl_load_be16(ip + i);
	return sum;
}

/** D31: is a new handshake due? */
static void
ask_if_old(struct sl_worker *w, const struct run *r, uint64_t age_ns)
{
	if ((r->kp->initiator && age_ns >= SL_WG_REKEY_AFTER_S * SL_NS_PER_S) ||
	    atomic_load_explicit(&r->kp->send_counter, memory_order_relaxed) >=
		    SL_WG_REKEY_AFTER_MESSAGES)
		sl_peer_ask(w, r->peer);
}

/** Route to the endpoint, source, checksum, template. @return SL_DROP_NONE or why not */
static enum sl_drop
find_way(struct sl_worker *w, struct sl_peer *p, const struct sl_iface_view *f)
{
	struct sl_peer_way *way = &p->way;
	struct sl_peer_path path = p->path; /* we are its writer */
	struct sl_outer *o = &path.outer;
	struct sl_nh_copy hop;
	unsigned overhead;

	way->root_generation = 0;
	if (o->dst.family == 0)
		return SL_DROP_NO_ENDPOINT;
	way->nh = sl_lpm_lookup(sl_underlay(w->root, o->dst.family), o->dst.b);
	if (way->nh >= SL_NH_MAX)
		return SL_DROP_NO_ROUTE;
	way->nh_seq = sl_nh_seq(w->dp->nhs, way->nh); /* before it is read */
	sl_nh_read(w->dp->nhs, way->nh, &hop);
	if ((hop.type != SL_NH_HOST && hop.type != SL_NH_GLEAN) || !choose_source(w->root, &hop, o))
		return SL_DROP_NO_ROUTE;
	o->sport = f->listen_port;
	overhead = sl_outer_len(o->dst.family) + OVERHEAD;
	way->limit = hop.mtu > overhead ? (uint16_t)SL_MIN(f->mtu, hop.mtu - overhead) : 0;
	way->version = o->dst.family;
	way->udp_csum = udp_csum_of(w, f, o->dst.family, hop.port);
	sl_outer_write(way->hdr, o, 0, 0);
	way->sum = way->version == 4 ? constant_sum(way->hdr) : 0;
	way->root_generation = w->root->generation;
	return SL_DROP_NONE;
}

static inline bool
way_is_good(const struct sl_worker *w, const struct sl_peer_way *way)
{
	return way->root_generation == w->root->generation &&
	       way->nh_seq == sl_nh_seq(w->dp->nhs, way->nh);
}

/** @return SL_DROP_NONE, with r->kp NULL when the packets are to wait for keys; else why not */
static enum sl_drop
start_run(struct sl_worker *w, struct run *r, struct rte_mbuf *first)
{
	const struct sl_iface_view *f = sl_pkt_iface(w, first);
	uint64_t age_ns;

	r->bytes = 0;
	r->packets = 0;
	r->data = 0;
	r->peer = sl_peer_get(w->dp->peers, sl_meta(first)->peer_id);
	if (r->peer == NULL || f == NULL || r->peer->iface_id != f->id ||
	    !sl_peer_is_up(w, r->peer))
		return SL_DROP_PEER_DOWN;
	r->kp = atomic_load_explicit(&r->peer->current, memory_order_acquire);
	if (!sl_keypair_may_seal(w, r->kp, &age_ns)) {
		r->kp = NULL;
		return SL_DROP_NONE;
	}
	ask_if_old(w, r, age_ns);
	r->way = &r->peer->way;
	if (sl_likely(way_is_good(w, r->way))) /* roots and next hops last for seconds */
		return SL_DROP_NONE;
	return find_way(w, r->peer, f);
}

static bool
is_keepalive(struct rte_mbuf *m)
{
	return sl_meta(m)->total_len == 0;
}

/** The keys ended since stage encap: data waits for new ones, a keepalive has no use any more. */
static void
wait_for_keys(struct sl_worker *w, struct sl_peer *p, struct rte_mbuf **m, unsigned n,
	      struct sl_vec out[])
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (!is_keepalive(m[i])) {
			sl_park_add(w, p, m[i]);
			continue;
		}
		sl_peer_ask(w, p);
		sl_vec_drop(&out[SL_NODE_DROP], m[i], SL_DROP_LOCAL_CONSUMED);
	}
}

/** Larger than the way to this endpoint takes: fragments come back to this stage. */
static void
too_big(struct sl_worker *w, struct rte_mbuf *m, uint32_t limit, struct sl_vec *in,
	struct sl_vec out[])
{
	struct rte_mbuf *frag[SL_FRAG_MAX];
	unsigned i, n;

	if ((sl_meta(m)->flags & SL_PKT_DF) != 0) {
		sl_meta(m)->icmp_mtu = limit;
		sl_vec_icmp(out, m, SL_DROP_MTU);
		return;
	}
	n = sl_frag4(w, m, (uint16_t)limit, frag);
	if (n == 0)
		sl_vec_add(&out[SL_NODE_DROP], m);
	for (i = 0; i < n; i++)
		sl_vec_add(in, frag[i]);
}

static bool
has_room(const struct rte_mbuf *m, unsigned text)
{
	return m->data_off >= HDR6 + SL_L2_MAX &&
	       (unsigned)m->data_off + text + SL_AEAD_TAG <= m->buf_len;
}

/** Move a packet that came without room around it. @return NULL, and m dropped, if impossible */
static struct rte_mbuf *
move(struct sl_worker *w, struct rte_mbuf *m, unsigned text, struct sl_vec out[])
{
	struct rte_mbuf *to = rte_pktmbuf_alloc(w->pool);

	if (to == NULL) {
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_NO_MBUF);
		return NULL;
	}
	if (!has_room(to, text)) {
		rte_pktmbuf_free(to);
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_HEADROOM);
		return NULL;
	}
	memcpy(rte_pktmbuf_mtod(to, uint8_t *), rte_pktmbuf_mtod(m, const uint8_t *),
	       sl_meta(m)->total_len);
	*sl_meta(to) = *sl_meta(m);
	rte_pktmbuf_free(m);
	return to;
}

/** Sort out what cannot be sealed, before nonces are taken. @return packets left in m[] */
static unsigned
fit(struct sl_worker *w, const struct run *r, struct rte_mbuf **m, unsigned n, struct sl_vec *in,
    struct sl_vec out[])
{
	unsigned i, text, left = 0;
	struct rte_mbuf *p;

	for (i = 0; i < n; i++) {
		p = m[i];
		if (sl_unlikely(sl_meta(p)->total_len > r->way->limit)) {
			too_big(w, p, r->way->limit, in, out);
			continue;
		}
		text = sl_wire_padded(sl_meta(p)->total_len, r->way->limit);
		if (sl_unlikely(!has_room(p, text)))
			p = move(w, p, text, out);
		if (p != NULL)
			m[left++] = p;
	}
	return left;
}

static inline uint8_t
inner_tos(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? ip[1] : (uint8_t)(ip[0] << 4 | ip[1] >> 4);
}

static inline void
write_hdr4(uint8_t *h, const struct sl_peer_way *way, uint8_t tos, unsigned payload)
{
	uint32_t sum = way->sum + tos + SL_IP4_HDR + SL_UDP_HDR + payload;

	memcpy(h, way->hdr, SL_IP4_HDR + SL_UDP_HDR);
	h[1] = tos;
	sl_store_be16(h + 2, (uint16_t)(SL_IP4_HDR + SL_UDP_HDR + payload));
	sum = (sum >> 16) + (sum & 0xffff);
	sum += sum >> 16;
	sl_store_be16(h + 10, (uint16_t)~sum);
	sl_store_be16(h + SL_IP4_HDR + 4, (uint16_t)(SL_UDP_HDR + payload));
}

static inline void
write_hdr6(uint8_t *h, const struct sl_peer_way *way, uint8_t tos, unsigned payload)
{
	memcpy(h, way->hdr, SL_IP6_HDR + SL_UDP_HDR);
	h[0] = 0x60 | tos >> 4;
	h[1] = (uint8_t)(tos << 4);
	sl_store_be16(h + 4, (uint16_t)(SL_UDP_HDR + payload));
	sl_store_be16(h + SL_IP6_HDR + 4, (uint16_t)(SL_UDP_HDR + payload));
}

static inline void
write_message_hdr(uint8_t *h, const struct sl_keypair *kp, uint64_t counter)
{
	sl_store_le32(h, SL_WIRE_DATA);
	sl_store_le32(h + 4, kp->remote_index);
	sl_store_le64(h + 8, counter);
}

/** Headers, padding and the cipher's job of one packet. */
static inline void
write_packet(struct run *r, struct rte_mbuf *m, uint64_t counter, struct sl_aead_job *job)
{
	const struct sl_peer_way *way = r->way;
	struct sl_meta *meta = sl_meta(m);
	uint8_t *text = rte_pktmbuf_mtod(m, uint8_t *);
	unsigned len = meta->total_len, padded = sl_wire_padded(len, way->limit), hdr;
	uint8_t tos = len == 0 ? 0 : sl_ecn_encap(inner_tos(text));

	memset(text + len, 0, padded - len);
	if (way->version == 4) {
		hdr = HDR4;
		write_hdr4(text - hdr, way, tos, padded + OVERHEAD);
	} else {
		hdr = HDR6;
		write_hdr6(text - hdr, way, tos, padded + OVERHEAD);
	}
	write_message_hdr(text - SL_WIRE_DATA_HDR, r->kp, counter);
	m->data_off = (uint16_t)(m->data_off - hdr);
	m->data_len = (uint16_t)(hdr + padded + SL_AEAD_TAG);
	m->pkt_len = m->data_len;
	meta->version = way->version;
	meta->flags = SL_PKT_LOCAL_ORIGIN;
	meta->iface_id = 0;
	meta->nh = way->nh;
	job->key = r->kp->send_key;
	job->counter = counter;
	job->data = text;
	job->len = padded;
	r->packets++;
	r->data += len != 0;
	r->bytes += padded + OVERHEAD;
}

static inline void
set_tick(_Atomic uint32_t *word, uint32_t tick)
{
	if (atomic_load_explicit(word, memory_order_relaxed) != tick)
		atomic_store_explicit(word, tick, memory_order_relaxed);
}

/** Counters as wg shows them, and what hs's timers look at (D33). */
static void
account(struct sl_worker *w, const struct run *r)
{
	struct sl_peer *p = r->peer;
	struct sl_peer_tx *t = &p->tx[w->id];

	atomic_store_explicit(&t->packets,
			      atomic_load_explicit(&t->packets, memory_order_relaxed) + r->packets,
			      memory_order_relaxed);
	atomic_store_explicit(&t->bytes,
			      atomic_load_explicit(&t->bytes, memory_order_relaxed) + r->bytes,
			      memory_order_relaxed);
	set_tick(&p->tick_any_tx, w->tick);
	set_tick(&p->unanswered_rx, 0);
	if (r->data == 0)
		return;
	set_tick(&p->tick_data_tx, w->tick);
	if (atomic_load_explicit(&p->unacked_tx, memory_order_relaxed) == 0) {
		atomic_store_explicit(&p->unacked_tx, w->tick, memory_order_relaxed);
		sl_worker_raise(w, p, SL_PEER_EV_TIMER);
	}
	w->delta.stage[SL_STATS_PRE_ENCRYPT].passed += r->data;
}

/** All packets of one peer in this burst, up to the cipher. */
static void
add_run(struct sl_worker *w, struct burst *b, struct rte_mbuf **m, unsigned n, struct sl_vec *in,
	struct sl_vec out[])
{
	struct run r;
	enum sl_drop why = start_run(w, &r, m[0]);
	unsigned i, sealed;
	uint64_t counter;

	if (sl_unlikely(why != SL_DROP_NONE)) {
		for (i = 0; i < n; i++)
			if (why == SL_DROP_NO_ENDPOINT)
				sl_vec_icmp(out, m[i], why);
			else
				sl_vec_drop(&out[SL_NODE_DROP], m[i], why);
		return;
	}
	if (sl_unlikely(r.kp == NULL)) {
		wait_for_keys(w, r.peer, m, n, out);
		return;
	}
	n = fit(w, &r, m, n, in, out);
	counter = atomic_fetch_add_explicit(&r.kp->send_counter, n, memory_order_relaxed);
	sealed = n;
	if (sl_unlikely(counter > SL_WG_REJECT_AFTER_MESSAGES - SL_BURST))
		sealed = counter >= SL_WG_REJECT_AFTER_MESSAGES
				 ? 0
				 : (unsigned)SL_MIN(n, SL_WG_REJECT_AFTER_MESSAGES - counter);
	for (i = 0; i < sealed; i++, b->n++) {
		b->m[b->n] = m[i];
		b->udp_csum[b->n] = r.way->udp_csum;
		write_packet(&r, m[i], counter + i, &b->job[b->n]);
	}
	wait_for_keys(w, r.peer, m + sealed, n - sealed, out);
	if (sealed != 0)
		account(w, &r);
}

/** UDP checksum of a sealed packet; the field is 0 now. */
static void
write_udp_csum(struct rte_mbuf *m, bool offload)
{
	struct sl_ip_info info = {.version = sl_meta(m)->version, .proto = SL_PROTO_UDP};
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *), *udp;
	unsigned hdr = info.version == 4 ? SL_IP4_HDR : SL_IP6_HDR;
	uint16_t csum;

	udp = ip + hdr;
	info.src = sl_pkt_src(m);
	info.dst = sl_pkt_dst(m);
	if (offload) {
		m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM |
			       (info.version == 4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6);
		m->l3_len = hdr;
		csum = info.version == 4
			       ? rte_ipv4_phdr_cksum((const struct rte_ipv4_hdr *)ip, m->ol_flags)
			       : rte_ipv6_phdr_cksum((const struct rte_ipv6_hdr *)ip, m->ol_flags);
	} else {
		csum = sl_l4_csum(&info, udp, m->data_len - hdr, 6);
	}
	memcpy(udp + 6, &csum, sizeof(csum));
}

static void
seal_burst(struct sl_worker *w, struct rte_mbuf **m, unsigned n, struct sl_vec *in,
	   struct sl_vec out[])
{
	struct rte_mbuf *sorted[SL_BURST];
	uint8_t len[SL_BURST];
	struct burst b;
	unsigned i, at, groups;

	b.n = 0;
	groups = group_by_peer(m, n, sorted, len);
	for (i = 0, at = 0; i < groups; at += len[i++])
		add_run(w, &b, sorted + at, len[i], in, out);
	sl_aead_seal(w->aead, b.job, b.n);
	for (i = 0; i < b.n; i++) {
		if (b.udp_csum[i] != UDP_CSUM_NONE)
			write_udp_csum(b.m[i], b.udp_csum[i] == UDP_CSUM_OFFLOAD);
		sl_vec_add(&out[SL_NODE_REWRITE], b.m[i]);
	}
}

void
sl_stage_seal(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	unsigned i, n;

	for (i = 0; i < in->n; i += n) {
		n = SL_MIN(in->n - i, (unsigned)SL_BURST);
		seal_burst(w, &in->m[i], n, in, out);
	}
	in->n = 0;
}

void
sl_seal_keepalive(struct sl_worker *w, struct sl_peer *p)
{
	struct rte_mbuf *m = sl_graph_room(w) != 0 ? rte_pktmbuf_alloc(w->pool) : NULL;
	struct sl_meta *meta;

	if (m == NULL) {
		sl_stats_drop(&w->delta, SL_DROP_NO_MBUF, 1);
		return;
	}
	meta = sl_meta(m);
	memset(meta, 0, sizeof(*meta));
	meta->peer_id = p->id;
	meta->iface_id = p->iface_id;
	meta->flags = SL_PKT_LOCAL_ORIGIN | SL_PKT_DF;
	sl_vec_add(&w->v[SL_NODE_SEAL], m);
}
