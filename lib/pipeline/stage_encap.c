/* SPDX-License-Identifier: BSD-3-Clause */
/* Judged plaintext for a peer: everything before the cipher. A packet is changed only when it goes
 * on to be sealed: what is parked comes here again. */
#include "send_int.h"

/** Load what the burst will need; the misses of different peers overlap. */
static void
gather(struct sl_worker *w, struct rte_mbuf **m, unsigned n, struct sl_peer *peer[])
{
	struct sl_keypair *kp;
	unsigned i;

	for (i = 0; i < n; i++) {
		peer[i] = sl_peer_get(w->dp->peers, sl_meta(m[i])->peer_id);
		rte_prefetch0(peer[i]);
	}
	for (i = 0; i < n; i++) {
		if (peer[i] == NULL || (i > 0 && peer[i] == peer[i - 1]))
			continue;
		kp = atomic_load_explicit(&peer[i]->current, memory_order_acquire);
		rte_prefetch0(&peer[i]->tick_data_tx);
		rte_prefetch0(&peer[i]->way);
		rte_prefetch0(&peer[i]->tx[w->id]);
		rte_prefetch0(kp);
		if (kp == NULL)
			continue;
		rte_prefetch0(kp->send_key);
		rte_prefetch0(&kp->send_counter);
	}
}

static bool
may_seal(struct sl_worker *w, struct sl_peer *p)
{
	uint64_t age_ns;

	return sl_keypair_may_seal(w, atomic_load_explicit(&p->current, memory_order_acquire),
				   &age_ns);
}

/** No usable keypair: the packet waits for the handshake, if there is anybody to talk to. */
static void
wait_for_keys(struct sl_worker *w, struct rte_mbuf *m, struct sl_peer *p, struct sl_vec out[])
{
	if (p->path.outer.dst.family == 0)
		sl_vec_icmp(out, m, SL_DROP_NO_ENDPOINT);
	else
		sl_park_add(w, p, m);
}

/** IPv4 without DF, larger than the tunnel's MTU: fragments are sealed one by one. */
static void
fragment(struct sl_worker *w, struct rte_mbuf *m, uint16_t mtu, struct sl_vec out[])
{
	struct rte_mbuf *frag[SL_FRAG_MAX];
	unsigned i, n;

	n = sl_frag4(w, m, mtu, frag);
	if (n == 0)
		sl_vec_add(&out[SL_NODE_DROP], m);
	for (i = 0; i < n; i++)
		sl_vec_add(&out[SL_NODE_SEAL], frag[i]);
}

/** Make it ready: TTL (a packet from a tunnel has paid already), MSS, size. */
static void
prepare(struct sl_worker *w, struct rte_mbuf *m, const struct sl_iface_view *f, struct sl_vec out[])
{
	const struct sl_meta *meta = sl_meta(m);

	if ((meta->flags & (SL_PKT_LOCAL_ORIGIN | SL_PKT_FROM_TUNNEL)) == 0)
		sl_pkt_ttl_dec(m);
	if (f->mss_clamp)
		sl_pkt_mss_clamp(w, m, f->mtu);
	if (sl_unlikely(meta->total_len > f->mtu))
		fragment(w, m, f->mtu, out);
	else
		sl_vec_add(&out[SL_NODE_SEAL], m);
}

static void
encap(struct sl_worker *w, struct rte_mbuf *m, struct sl_peer *p, struct sl_vec out[])
{
	struct sl_meta *meta = sl_meta(m);
	const struct sl_iface_view *f = sl_pkt_iface(w, m);

	if (sl_unlikely(p == NULL || f == NULL || p->iface_id != f->id || !sl_peer_is_up(w, p)))
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_PEER_DOWN);
	else if (sl_unlikely(sl_peer_home(p) != w->id)) /* it moved while the packet was here */
		sl_vec_to_peer(w, out, m, p);
	else if (sl_unlikely(meta->total_len > f->mtu && (meta->flags & SL_PKT_DF) != 0)) {
		meta->icmp_mtu = f->mtu;
		sl_vec_icmp(out, m, SL_DROP_MTU);
	} else if (sl_unlikely(!may_seal(w, p)))
		wait_for_keys(w, m, p, out);
	else
		prepare(w, m, f, out);
}

void
sl_stage_encap(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	struct sl_peer *peer[SL_BURST];
	unsigned i, k, n;

	for (i = 0; i < in->n; i += n) {
		n = SL_MIN(in->n - i, (unsigned)SL_BURST);
		gather(w, &in->m[i], n, peer);
		for (k = 0; k < n; k++)
			encap(w, in->m[i + k], peer[k], out);
	}
	in->n = 0;
}
