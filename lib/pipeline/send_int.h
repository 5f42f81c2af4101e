/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the stages of the way out share: lookups of a whole burst, sources of the gateway's own
 * packets, fragments, asking for handshakes. Private to lib/pipeline.
 */
#ifndef SL_SEND_INT_H
#define SL_SEND_INT_H

#include "pipeline_int.h"
#include "sl_lookup.h"

_Static_assert(SL_LOOKUP_BURST >= SL_BURST, "a burst is looked up at once");

#define SL_FRAG_MAX 32 /* fragments that one packet may make */
#define SL_TCP_SYN 0x02
#define SL_TCP_FLAGS_OFF 13

/* --- frag.c ---------------------------------------------------------------------------------- */

/**
 * Cut an IPv4 packet (data at its header, meta filled) into fragments of at most `mtu` bytes
 * (RFC 791 3.2): the first one is `m` itself, the others are copies with its meta.
 * @return number of fragments; 0: none was made, `m` is unchanged and meta.drop says why (NO_MBUF,
 * or MTU where no fragment fits)
 */
unsigned sl_frag4(struct sl_worker *w, struct rte_mbuf *m, uint16_t mtu,
		  struct rte_mbuf *frag[SL_FRAG_MAX]);

/* --- stage_outer.c --------------------------------------------------------------------------- */

/**
 * The gateway's own address on an attachment for a packet to `dst`: the one whose network holds
 * it, else the first one; an IPv6 link-local address only for a link-local destination.
 * @return NULL when there is none of this family
 */
const struct sl_ip *sl_source_pick(const struct sl_att *att, uint8_t version, const uint8_t *dst);

/** Is this one of the gateway's own outer addresses? `first` (may be NULL) is where it likely is.
 */
bool sl_source_is_ours(const struct sl_root *r, const struct sl_att *first, uint8_t version,
		       const uint8_t *ip);

/* --- wait.c ---------------------------------------------------------------------------------- */

/** Keep a packet whose next hop is unresolved; `hop` is a copy of meta.nh. */
void sl_wait_add(struct sl_worker *w, struct rte_mbuf *m, const struct sl_nh_copy *hop);
/** Free all that waits. */
void sl_wait_purge(struct sl_worker *w);

/* --- small helpers --------------------------------------------------------------------------- */

/**
 * Packets that the graph can still take: whoever makes new ones asks first, so that no vector
 * overflows even if all packets met in one. Counts those in work twice at worst.
 */
static inline unsigned
sl_graph_room(const struct sl_worker *w)
{
	unsigned i, n = 0;

	for (i = 0; i < SL_NODE_MAX; i++)
		n += w->v[i].n;
	return n < SL_VEC_MAX ? SL_VEC_MAX - n : 0;
}

/** Count and free a packet that stands in no vector. */
static inline void
sl_drop_now(struct sl_worker *w, struct rte_mbuf *m, enum sl_drop reason)
{
	bool from_tunnel = (sl_meta(m)->flags & SL_PKT_FROM_TUNNEL) != 0;

	sl_stats_drop(&w->delta, reason, 1);
	w->delta.stage[from_tunnel ? SL_STATS_POST_DECRYPT : SL_STATS_PRE_ENCRYPT].dropped++;
	rte_pktmbuf_free(m);
}

/** To the ICMP exit: the sender may be told of it, then the packet drops under the reason. */
static inline void
sl_vec_icmp(struct sl_vec out[], struct rte_mbuf *m, enum sl_drop reason)
{
	sl_meta(m)->drop = (uint8_t)reason;
	sl_vec_add(&out[SL_NODE_ICMP], m);
}

/** Judged plaintext for a peer: seal it here, or at its home. */
static inline void
sl_vec_to_peer(struct sl_worker *w, struct sl_vec out[], struct rte_mbuf *m,
	       const struct sl_peer *p)
{
	unsigned home = sl_peer_home(p);

	if (sl_likely(home == w->id)) /* what arrives elsewhere was steered before */
		sl_vec_add(&out[SL_NODE_ENCAP], m);
	else if (home < w->dp->n_workers)
		sl_vec_steer(w, out, m, home, SL_NEXT_SEAL);
	else
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_PEER_DOWN);
}

static inline const uint8_t *
sl_pkt_src(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, const uint8_t *) + (sl_meta(m)->version == 4 ? 12 : 8);
}

static inline const uint8_t *
sl_pkt_dst(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, const uint8_t *) + (sl_meta(m)->version == 4 ? 16 : 24);
}

/** Interface of a packet, NULL when it is gone or down. */
static inline const struct sl_iface_view *
sl_pkt_iface(const struct sl_worker *w, struct rte_mbuf *m)
{
	const struct sl_iface_view *f = sl_root_iface(w->root, sl_meta(m)->iface_id);

	return f != NULL && f->up ? f : NULL;
}

static inline const struct sl_lpm *
sl_iface_routes(const struct sl_iface_view *f, uint8_t version)
{
	return version == 4 ? &f->routes4 : &f->routes6;
}

static inline const struct sl_lpm *
sl_underlay(const struct sl_root *r, uint8_t version)
{
	return version == 4 ? &r->underlay4 : &r->underlay6;
}

/** D31: may this keypair seal now? `age_ns` is out, for the caller's other questions. */
static inline bool
sl_keypair_may_seal(const struct sl_worker *w, struct sl_keypair *kp, uint64_t *age_ns)
{
	if (kp == NULL)
		return false;
	*age_ns = sl_keypair_age_ns(w, kp);
	if (!kp->initiator && !atomic_load_explicit(&kp->confirmed, memory_order_relaxed))
		return false;
	return *age_ns < SL_WG_REJECT_AFTER_S * SL_NS_PER_S &&
	       atomic_load_explicit(&kp->send_counter, memory_order_relaxed) <
		       SL_WG_REJECT_AFTER_MESSAGES;
}

/** Ask hs for a handshake with a peer, once a tick at most: hs may clear the event at once. */
static inline void
sl_peer_ask(struct sl_worker *w, struct sl_peer *p)
{
	if (p->ask_tick == w->tick)
		return;
	p->ask_tick = w->tick;
	sl_worker_raise(w, p, SL_PEER_EV_WANT_HS);
}

/** Lower the MSS of a TCP SYN to what fits a tunnel of this MTU. */
static inline void
sl_pkt_mss_clamp(struct sl_worker *w, struct rte_mbuf *m, uint16_t mtu)
{
	const struct sl_meta *meta = sl_meta(m);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	struct sl_ip_info info;

	if (meta->proto != SL_PROTO_TCP || (meta->flags & SL_PKT_FRAG) != 0 ||
	    (p[meta->l4_off + SL_TCP_FLAGS_OFF] & SL_TCP_SYN) == 0)
		return;
	sl_meta_to_ip(m, &info);
	if (sl_tcp_mss_clamp(p, &info, (uint16_t)(mtu - (meta->version == 4 ? 40 : 60))))
		w->delta.lcore.mss_clamped++;
}

static inline void
sl_pkt_ttl_dec(struct rte_mbuf *m)
{
	struct sl_meta *meta = sl_meta(m);

	sl_ip_ttl_dec(rte_pktmbuf_mtod(m, uint8_t *), meta->version);
	meta->ttl--;
}

#endif
