/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets for the gateway's own inner addresses: echo is answered, the rest is told or ends. */
#include "send_int.h"

#define ICMP_ECHO_REQUEST 8
#define ICMP6_ECHO_REQUEST 128

static bool
is_icmp(const struct sl_meta *meta)
{
	return meta->proto == (meta->version == 4 ? SL_PROTO_ICMP : SL_PROTO_ICMP6);
}

static bool
is_echo_request(struct rte_mbuf *m)
{
	const struct sl_meta *meta = sl_meta(m);
	uint8_t type = rte_pktmbuf_mtod(m, const uint8_t *)[meta->l4_off];

	return type == (meta->version == 4 ? ICMP_ECHO_REQUEST : ICMP6_ECHO_REQUEST);
}

/** Back where it came from: to the peer, or by the interface's routes. */
static void
send_back(struct sl_worker *w, struct rte_mbuf *m, struct sl_vec out[])
{
	struct sl_meta *meta = sl_meta(m);
	bool from_tunnel = (meta->flags & SL_PKT_FROM_TUNNEL) != 0;
	struct sl_peer *p;

	meta->flags = (uint8_t)((meta->flags & SL_PKT_DF) | SL_PKT_LOCAL_ORIGIN);
	meta->ttl = 64;
	if (!from_tunnel) {
		sl_vec_add(&out[SL_NODE_ROUTE], m);
		return;
	}
	p = sl_peer_get(w->dp->peers, meta->peer_id);
	if (p == NULL)
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_PEER_DOWN);
	else
		sl_vec_to_peer(w, out, m, p);
}

static void
echo(struct sl_worker *w, struct rte_mbuf *m, struct sl_vec out[])
{
	struct sl_ip_info info;

	if ((sl_meta(m)->flags & SL_PKT_FRAG) !=
	    0) { /* the gateway reassembles nothing for itself */
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_NO_LISTENER);
		return;
	}
	if (!sl_worker_may_answer(w)) {
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_RATE_LOCAL);
		return;
	}
	sl_meta_to_ip(m, &info);
	if (sl_icmp_echo_reply(rte_pktmbuf_mtod(m, uint8_t *), &info))
		send_back(w, m, out);
	else
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_L4_CHECKSUM);
}

/** WireGuard to one of the gateway's own ports, in a tunnel of the gateway. */
static bool
is_nested(struct sl_worker *w, const struct sl_meta *meta)
{
	return meta->proto == SL_PROTO_UDP && (meta->flags & SL_PKT_FROM_TUNNEL) != 0 &&
	       w->root->iface_by_udp_port[meta->dport] != 0;
}

void
sl_stage_local(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	const struct sl_meta *meta;
	struct rte_mbuf *m;
	unsigned i;

	for (i = 0; i < in->n; i++) {
		m = in->m[i];
		meta = sl_meta(m);
		if (is_icmp(meta) && meta->frag_off == 0 && is_echo_request(m))
			echo(w, m, out);
		else if (is_icmp(meta)) /* errors and replies: nobody waits for them */
			sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_LOCAL_CONSUMED);
		else if (is_nested(w, meta))
			sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_NESTED_TUNNEL);
		else if (meta->proto == SL_PROTO_UDP || meta->proto == SL_PROTO_TCP)
			sl_vec_icmp(out, m, SL_DROP_NO_LISTENER);
		else
			sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_NO_LISTENER);
	}
	in->n = 0;
}
