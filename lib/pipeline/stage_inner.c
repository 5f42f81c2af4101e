/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decrypted packets: inner header, padding, and whether this peer may use this source at all. These
 * checks hold in every authz mode.
 */
#include "send_int.h"

#define FIRST_FRAG_L4_MIN 20 /* bytes of transport header that a first fragment must show (D40) */

/* Packets of one IP version whose source is to be looked up. */
struct inner {
	uint8_t version;
	unsigned n;
	struct rte_mbuf *m[SL_BURST];
	const struct sl_iface_view *f[SL_BURST];
	struct sl_ip_info info[SL_BURST];
};

/* --- opened at another worker ------------------------------------------------------------ */

/* The bookkeeping that the owner of the keypair left to the home (D26). @return false if the packet
 * ends or goes on elsewhere */
static bool
settle(struct sl_worker *w, struct rte_mbuf *m, struct sl_vec out[])
{
	struct sl_meta *meta = sl_meta(m);
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	struct sl_rx_run run = {.packets = 1};

	run.peer = sl_peer_get(w->dp->peers, meta->peer_id);
	if (run.peer == NULL || !sl_peer_is_up(w, run.peer)) {
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_PEER_DOWN);
		return false;
	}
	if (sl_peer_home(run.peer) != w->id) { /* it moved on */
		sl_vec_steer(w, out, m, sl_peer_home(run.peer), SL_NEXT_INNER);
		return false;
	}
	run.kp = sl_session_lookup(w->dp->sessions, meta->index);
	run.bytes = m->data_len + SL_WIRE_DATA_MIN;
	run.data = m->data_len > 0;
	run.outer = (const uint8_t *)m->buf_addr + meta->outer_off;
	run.udp = data - SL_WIRE_DATA_HDR - SL_UDP_HDR;
	sl_home_received(w, &run);
	sl_rehome_steered(w, run.peer, meta->from);
	if (run.data)
		return true;
	sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_LOCAL_CONSUMED);
	return false;
}

/* --- header ------------------------------------------------------------------------------ */

/* The parser's reasons name outer packets. */
static enum sl_drop
inner_reason(enum sl_drop why, const struct sl_ip_info *info)
{
	switch (why) {
	case SL_DROP_IP_TRUNCATED:
		return SL_DROP_INNER_LENGTH;
	case SL_DROP_IP_HEADER:
	case SL_DROP_IP_CHECKSUM:
		return SL_DROP_INNER_HEADER;
	case SL_DROP_L4_TRUNCATED:
		return info->more_frags ? SL_DROP_FRAG_SHORT : why;
	default:
		return why;
	}
}

static enum sl_drop
parse(struct rte_mbuf *m, struct sl_ip_info *info)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	const unsigned version = p[0] >> 4;
	enum sl_drop why;

	if (sl_unlikely(version != 4 && version != 6)) /* a client would have to be broken */
		return SL_DROP_INNER_VERSION;
	why = sl_ip_parse_packet(p, m->data_len, true, info);
	if (sl_unlikely(why != SL_DROP_NONE)) /* as above */
		return inner_reason(why, info);
	if (sl_unlikely(sl_ip_has_no_source(info))) /* as above */
		return SL_DROP_INNER_HEADER;
	if (sl_unlikely(info->more_frags && info->frag_off == 0 && /* hides ports from policy */
			info->total_len - info->l4_off < FIRST_FRAG_L4_MIN))
		return SL_DROP_FRAG_SHORT;
	m->data_len = info->total_len; /* padding */
	m->pkt_len = info->total_len;
	return SL_DROP_NONE;
}

/* --- source, nesting, ECN ---------------------------------------------------------------- */

/* A tunnel to the gateway itself inside a tunnel would go round. */
static bool
is_nested(const struct sl_root *root, const struct sl_ip_info *info)
{
	unsigned i;

	if (info->proto != SL_PROTO_UDP || info->dport == 0 ||
	    root->iface_by_udp_port[info->dport] == 0)
		return false;
	for (i = 0; i < root->n_atts; i++)
		if (root->att[i] != NULL && sl_att_owns(root->att[i], info->version, info->dst))
			return true;
	return false;
}

/* RFC 6040: what the outer network said about congestion. @return false to drop */
static bool
merge_ecn(struct rte_mbuf *m, struct sl_ip_info *info, uint8_t outer_tos)
{
	int ecn;

	if (sl_likely((outer_tos & 3) == 0)) /* not ECN-capable: nothing to carry over */
		return true;
	ecn = sl_ecn_decap(info->tos, outer_tos);
	if (ecn < 0)
		return false;
	if (ecn != (info->tos & 3)) {
		sl_ip_set_ecn(rte_pktmbuf_mtod(m, uint8_t *), info->version, (uint8_t)ecn);
		info->tos = (uint8_t)((info->tos & ~3) | ecn);
	}
	return true;
}

/* The gateway's addresses in the tunnel and on the inside, where servers would take the packet for
 * one of the gateway. */
static bool
is_own_source(const struct sl_worker *w, const struct sl_iface_view *f,
	      const struct sl_ip_info *info)
{
	const struct sl_att *att = sl_root_att(w->root, f->inside_att);

	return sl_iface_owns(f, info->version, info->src) ||
	       (att != NULL && sl_att_owns(att, info->version, info->src));
}

static enum sl_drop
check(const struct sl_worker *w, struct inner *b, unsigned i, uint32_t owner)
{
	struct sl_meta *meta = sl_meta(b->m[i]);
	struct sl_ip_info *info = &b->info[i];

	if (sl_unlikely(owner != meta->peer_id || /* honest peers use their own addresses */
			is_own_source(w, b->f[i], info)))
		return SL_DROP_SPOOFED_SOURCE;
	if (sl_unlikely(is_nested(w->root, info))) /* misconfigured clients */
		return SL_DROP_NESTED_TUNNEL;
	if (sl_unlikely(!merge_ecn(b->m[i], info, meta->outer_tos))) /* broken networks */
		return SL_DROP_ECN_CE;
	sl_meta_from_ip(meta, info);
	return SL_DROP_NONE;
}

static bool
is_known(const struct sl_worker *w, const struct sl_peer *p, const struct sl_ip_info *info)
{
	if (sl_unlikely(p->source.root_generation != w->root->generation)) /* a new one */
		return false;
	return info->version == 4 ? memcmp(p->source.v4, info->src, 4) == 0
				  : memcmp(p->source6, info->src, 16) == 0;
}

static void
know(const struct sl_worker *w, struct sl_peer *p, const struct sl_ip_info *info)
{
	if (p->source.root_generation != w->root->generation) {
		p->source = (struct sl_peer_source){.root_generation = w->root->generation};
		memset(p->source6, 0, sizeof(p->source6));
	}
	if (info->version == 4)
		memcpy(p->source.v4, info->src, 4);
	else
		memcpy(p->source6, info->src, 16);
}

/** Whose AllowedIPs hold the sources: most peers have one address, and it was asked before. */
static void
find_owners(struct sl_worker *w, const struct inner *b, uint32_t owner[])
{
	struct sl_peer *p[SL_BURST];
	struct sl_lookup look;
	uint32_t asked = 0;
	unsigned i;

	sl_lookup_begin(&look, owner, b->n);
	for (i = 0; i < b->n; i++) {
		uint32_t id = sl_meta(b->m[i])->peer_id;

		p[i] = sl_peer_get(w->dp->peers, id);
		if (sl_likely(p[i] != NULL && is_known(w, p[i], &b->info[i]))) { /* see above */
			owner[i] = id;
			continue;
		}
		asked |= UINT32_C(1) << i;
		sl_lookup_add(&look, sl_iface_peers(b->f[i], b->version), b->version,
			      b->info[i].src, i);
	}
	if (sl_likely(asked == 0))
		return;
	sl_lookup_run(&look);
	for (; asked != 0; asked &= asked - 1) {
		i = (unsigned)__builtin_ctz(asked);
		if (p[i] != NULL && owner[i] == p[i]->id)
			know(w, p[i], &b->info[i]);
	}
}

static void
flush(struct sl_worker *w, struct inner *b, struct sl_vec out[])
{
	uint32_t owner[SL_BURST];
	enum sl_drop why;
	unsigned i;

	find_owners(w, b, owner);
	for (i = 0; i < b->n; i++) {
		why = check(w, b, i, owner[i]);
		if (sl_likely(why == SL_DROP_NONE)) /* see check() */
			sl_vec_add(&out[SL_NODE_AUTHZ], b->m[i]);
		else
			sl_vec_drop(&out[SL_NODE_DROP], b->m[i], why);
	}
	b->n = 0;
}

static enum sl_drop
add(struct sl_worker *w, struct inner *b4, struct inner *b6, struct rte_mbuf *m,
    struct sl_vec out[])
{
	const struct sl_iface_view *f = sl_root_iface(w->root, sl_meta(m)->iface_id);
	const bool v6 = rte_pktmbuf_mtod(m, const uint8_t *)[0] >> 4 == 6;
	struct inner *b = v6 ? b6 : b4;
	enum sl_drop why;

	if (sl_unlikely(f == NULL || !f->up)) /* being removed */
		return SL_DROP_PEER_DOWN;
	why = parse(m, &b->info[b->n]);
	if (sl_unlikely(why != SL_DROP_NONE)) /* see parse() */
		return why;
	b->m[b->n] = m;
	b->f[b->n] = f;
	if (++b->n == SL_BURST)
		flush(w, b, out);
	return SL_DROP_NONE;
}

void
sl_stage_inner(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	struct inner b4, b6;
	enum sl_drop why;
	unsigned i;

	b4.version = 4;
	b4.n = 0;
	b6.version = 6;
	b6.n = 0;
	for (i = 0; i < in->n; i++) {
		struct rte_mbuf *m = in->m[i];

		if (sl_unlikely(sl_meta(m)->next == SL_NEXT_INNER) && /* the peer moved lately */
		    !settle(w, m, out))
			continue;
		why = add(w, &b4, &b6, m, out);
		if (sl_unlikely(why != SL_DROP_NONE)) /* see add() */
			sl_vec_drop(&out[SL_NODE_DROP], m, why);
	}
	if (b4.n > 0)
		flush(w, &b4, out);
	if (b6.n > 0)
		flush(w, &b6, out);
	in->n = 0;
}
