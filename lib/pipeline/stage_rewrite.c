/* SPDX-License-Identifier: BSD-3-Clause */
/* The next hop is known: put the L2 header before the packet, or let it wait for its neighbour. */
#include "send_int.h"

static inline void
prepend_l2(struct rte_mbuf *m, const struct sl_nh_copy *hop)
{
	uint16_t type = sl_meta(m)->version == 4 ? SL_ETHERTYPE_IP4 : SL_ETHERTYPE_IP6;
	uint8_t *p;

	m->data_off = (uint16_t)(m->data_off - hop->l2_len);
	m->data_len = (uint16_t)(m->data_len + hop->l2_len);
	m->pkt_len += hop->l2_len;
	p = rte_pktmbuf_mtod(m, uint8_t *);
	if (hop->l2_len == SL_ETH_HDR) {
		memcpy(p, hop->l2, SL_ETH_HDR - 2);
		sl_store_be16(p + SL_ETH_HDR - 2, type);
	} else {
		memcpy(p, hop->l2, SL_L2_MAX - 2);
		sl_store_be16(p + SL_L2_MAX - 2, type);
	}
	if (m->ol_flags & RTE_MBUF_F_TX_UDP_CKSUM)
		m->l2_len = hop->l2_len;
}

/** A sender behind a tunnel is told; of its own packets the gateway just counts the end. */
static void
unreachable(struct rte_mbuf *m, enum sl_drop reason, struct sl_vec out[])
{
	if ((sl_meta(m)->flags & SL_PKT_FROM_TUNNEL) != 0)
		sl_vec_icmp(out, m, reason);
	else
		sl_vec_drop(&out[SL_NODE_DROP], m, reason);
}

static void
rewrite(struct sl_worker *w, struct rte_mbuf *m, const struct sl_nh_copy *hop, struct sl_vec out[])
{
	if (sl_likely(hop->type == SL_NH_HOST && hop->state == SL_NH_USABLE)) {
		if (sl_unlikely(m->data_off < hop->l2_len)) {
			sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_HEADROOM);
			return;
		}
		prepend_l2(m, hop);
		sl_meta(m)->port = hop->port;
		sl_vec_add(&out[SL_NODE_TX], m);
	} else if (hop->type == SL_NH_GLEAN ||
		   (hop->type == SL_NH_HOST && hop->state == SL_NH_INCOMPLETE)) {
		sl_wait_add(w, m, hop);
	} else if (hop->type == SL_NH_HOST) {
		unreachable(m, SL_DROP_NEIGH_FAILED, out);
	} else if (hop->type == SL_NH_BLACKHOLE) {
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_NO_ROUTE);
	} else {
		unreachable(m, SL_DROP_NO_ROUTE, out);
	}
}

void
sl_stage_rewrite(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	uint32_t last = SL_NH_ID_NONE;
	struct sl_nh_copy hop = {0};
	struct sl_meta *meta;
	unsigned i;

	for (i = 0; i < in->n; i++) {
		meta = sl_meta(in->m[i]);
		if (meta->nh != last) {
			last = meta->nh;
			sl_nh_read(w->dp->nhs, last, &hop);
			if (hop.type == SL_NH_HOST) /* also one that fails: somebody wants it */
				sl_nh_touch(w->dp->nhs, last, w->tick);
		}
		rewrite(w, in->m[i], &hop, out);
	}
	in->n = 0;
}
