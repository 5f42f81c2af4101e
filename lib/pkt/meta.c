/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_pkt.h"

void
sl_meta_from_ip(struct sl_meta *meta, const struct sl_ip_info *info)
{
	uint8_t flags = meta->flags & (uint8_t) ~(SL_PKT_FRAG | SL_PKT_MORE_FRAGS | SL_PKT_DF);

	if (sl_ip_is_frag(info))
		flags |= SL_PKT_FRAG;
	if (info->more_frags)
		flags |= SL_PKT_MORE_FRAGS;
	if (info->dont_frag)
		flags |= SL_PKT_DF;
	meta->flags = flags;
	meta->version = info->version;
	meta->proto = info->proto;
	meta->ttl = info->ttl;
	meta->tos = info->tos;
	meta->l4_off = info->l4_off;
	meta->total_len = info->total_len;
	meta->sport = info->sport;
	meta->dport = info->dport;
	meta->frag_off = info->frag_off;
	meta->frag_id = info->frag_id;
}

void
sl_meta_to_ip(struct rte_mbuf *m, struct sl_ip_info *info)
{
	const struct sl_meta *meta = sl_meta(m);
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);

	info->version = meta->version;
	info->proto = meta->proto;
	info->tos = meta->tos;
	info->ttl = meta->ttl;
	info->l4_off = meta->l4_off;
	info->total_len = meta->total_len;
	info->frag_off = meta->frag_off;
	info->more_frags = (meta->flags & SL_PKT_MORE_FRAGS) != 0;
	info->dont_frag = (meta->flags & SL_PKT_DF) != 0;
	info->frag_id = meta->frag_id;
	info->src = p + (meta->version == 4 ? 12 : 8);
	info->dst = p + (meta->version == 4 ? 16 : 24);
	info->sport = meta->sport;
	info->dport = meta->dport;
}
