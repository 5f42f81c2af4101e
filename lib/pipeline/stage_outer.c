/* SPDX-License-Identifier: BSD-3-Clause */
/* Outer IP packets of the gateway itself (handshakes): underlay route, source address. */
#include "send_int.h"

#define UDP_CSUM_OFF 6
#define ICMP6_CSUM_OFF 2

static bool
is_link_local6(const uint8_t *ip)
{
	return ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80;
}

const struct sl_ip *
sl_source_pick(const struct sl_att *att, uint8_t version, const uint8_t *dst)
{
	struct sl_ip to = version == 4 ? sl_ip_v4(dst) : sl_ip_v6(dst);
	bool local = version == 6 && is_link_local6(dst);
	const struct sl_ip *ip, *first = NULL;
	unsigned i;

	for (i = 0; i < att->n_addrs; i++) {
		ip = &att->addr[i].ip;
		if (ip->family != version || (version == 6 && is_link_local6(ip->b) != local))
			continue;
		if (sl_prefix_contains(&att->addr[i], &to))
			return ip;
		if (first == NULL)
			first = ip;
	}
	return first;
}

bool
sl_source_is_ours(const struct sl_root *r, const struct sl_att *first, uint8_t version,
		  const uint8_t *ip)
{
	unsigned i;

	if (first != NULL && sl_att_owns(first, version, ip))
		return true;
	for (i = 0; i < r->n_atts; i++)
		if (r->att[i] != NULL && sl_att_owns(r->att[i], version, ip))
			return true;
	return false;
}

static bool
is_zero(const uint8_t *p, unsigned n)
{
	uint8_t any = 0;
	unsigned i;

	for (i = 0; i < n; i++)
		any |= p[i];
	return any == 0;
}

static void
fix_ip4_csum(uint8_t *ip)
{
	uint16_t csum;

	memset(ip + 10, 0, 2);
	csum = sl_csum_finish(sl_csum_add(ip, (ip[0] & 15) * 4U, 0));
	memcpy(ip + 10, &csum, sizeof(csum));
}

/** The transport checksum covers the addresses; UDP over IPv4 may go without. */
static void
fix_l4_csum(uint8_t *ip, const struct sl_ip_info *info)
{
	unsigned len = info->total_len - info->l4_off, off;
	uint8_t *l4 = ip + info->l4_off;
	uint16_t csum;

	if (info->proto == SL_PROTO_UDP && (info->version == 6 || !is_zero(l4 + UDP_CSUM_OFF, 2)))
		off = UDP_CSUM_OFF;
	else if (info->proto == SL_PROTO_ICMP6 && info->version == 6)
		off = ICMP6_CSUM_OFF;
	else
		return;
	csum = sl_l4_csum(info, l4, len, off);
	memcpy(l4 + off, &csum, sizeof(csum));
}

/** Fill in a source that its maker left open, or that is no longer ours. @return false if the
 * gateway has none to give */
static bool
fill_source(struct sl_worker *w, struct rte_mbuf *m, const struct sl_ip_info *info)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	unsigned n = info->version == 4 ? 4 : 16;
	const struct sl_att *att;
	const struct sl_ip *src;
	struct sl_nh_copy hop;

	sl_nh_read(w->dp->nhs, sl_meta(m)->nh, &hop);
	att = hop.type == SL_NH_HOST || hop.type == SL_NH_GLEAN ? sl_root_att(w->root, hop.att)
								: NULL;
	if (sl_source_is_ours(w->root, att, info->version, info->src)) {
		if (info->version == 6 && info->proto == SL_PROTO_UDP &&
		    is_zero(ip + info->l4_off + UDP_CSUM_OFF, 2))
			fix_l4_csum(ip, info);
		return true;
	}
	src = att != NULL ? sl_source_pick(att, info->version, info->dst) : NULL;
	if (src == NULL)
		return false;
	memcpy(ip + (info->src - ip), src->b, n);
	if (info->version == 4)
		fix_ip4_csum(ip);
	fix_l4_csum(ip, info);
	return true;
}

/** Headers that the gateway wrote itself: their source may still be open, so the strict parser of
 * foreign packets is not for them. */
static bool
read_headers(struct rte_mbuf *m, struct sl_ip_info *info)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	bool v4;

	if (m->data_len < SL_IP4_HDR)
		return false;
	v4 = ip[0] >> 4 == 4;
	if (!v4 && (ip[0] >> 4 != 6 || m->data_len < SL_IP6_HDR))
		return false;
	memset(info, 0, sizeof(*info));
	info->version = v4 ? 4 : 6;
	info->proto = v4 ? ip[9] : ip[6];
	info->l4_off = v4 ? (uint16_t)((ip[0] & 15) * 4) : SL_IP6_HDR;
	info->total_len = v4 ? sl_load_be16(ip + 2) : (uint16_t)(SL_IP6_HDR + sl_load_be16(ip + 4));
	info->src = ip + (v4 ? 12 : 8);
	info->dst = ip + (v4 ? 16 : 24);
	return info->total_len <= m->data_len && info->l4_off + SL_UDP_HDR <= info->total_len;
}

static void
outer(struct sl_worker *w, struct rte_mbuf *m, struct sl_vec out[])
{
	struct sl_meta *meta = sl_meta(m);
	struct sl_ip_info info;

	if (!read_headers(m, &info)) {
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_IP_HEADER);
		return;
	}
	meta->version = info.version;
	meta->flags = SL_PKT_LOCAL_ORIGIN;
	meta->iface_id = 0;
	meta->peer_id = SL_PEER_ID_NONE;
	meta->nh = sl_lpm_lookup(sl_underlay(w->root, info.version), info.dst);
	if (meta->nh == SL_NH_ID_NONE || !fill_source(w, m, &info))
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_NO_ROUTE);
	else
		sl_vec_add(&out[SL_NODE_REWRITE], m);
}

void
sl_stage_outer(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	unsigned i;

	for (i = 0; i < in->n; i++)
		outer(w, in->m[i], out);
	in->n = 0;
}
