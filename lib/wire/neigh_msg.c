/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_ip.h"

#define ND_HDR 24 /* NS or NA without options */
#define NS_TYPE 135
#define NA_TYPE 136
#define OPT_SOURCE_MAC 1
#define OPT_TARGET_MAC 2
#define NA_ROUTER 0x80
#define NA_SOLICITED 0x40
#define NA_OVERRIDE 0x20

static const uint8_t none6[16];
static const uint8_t solicited_prefix[13] = {0xff, 0x02, [11] = 1, [12] = 0xff};

/** @return true if one station can have this MAC. */
static bool
is_station(const uint8_t mac[6])
{
	static const uint8_t none[6];

	return !(mac[0] & 1) && memcmp(mac, none, 6) != 0;
}

bool
sl_arp_parse(const uint8_t *p, size_t len, struct sl_neigh_msg *out)
{
	static const uint8_t ethernet_ip4[6] = {0, 1, 8, 0, 6, 4}, none[4];
	uint16_t op;
	bool probe;

	if (len < SL_ARP_LEN || memcmp(p, ethernet_ip4, sizeof(ethernet_ip4)) != 0)
		return false;
	op = sl_load_be16(p + 6);
	if ((op != 1 && op != 2) || !is_station(p + 8))
		return false;
	probe = op == 1 && memcmp(p + 14, none, 4) == 0;
	if (!probe && (p[14] == 0 || p[14] == 127 || p[14] >= 224))
		return false;
	memset(out, 0, sizeof(*out));
	out->request = op == 1;
	out->reply = op == 2;
	out->has_mac = true;
	out->dad = probe;
	out->override = out->reply;
	out->solicited = out->reply && memcmp(p + 14, p + 24, 4) != 0;
	out->sender = sl_ip_v4(p + 14);
	out->target = sl_ip_v4(p + 24);
	memcpy(out->mac, p + 8, 6);
	return true;
}

/**
 * Walk the options of an NS or NA; `wanted` is the type that carries the MAC.
 * @return false if an option is malformed
 */
static bool
parse_options(const uint8_t *o, size_t len, uint8_t wanted, struct sl_neigh_msg *out)
{
	size_t n;

	for (; len > 0; o += n, len -= n) {
		n = len < 8 ? 0 : o[1] * 8u;
		if (n == 0 || n > len)
			return false;
		if (o[0] != wanted || out->has_mac)
			continue;
		if (n != 8 || !is_station(o + 2))
			return false;
		out->has_mac = true;
		memcpy(out->mac, o + 2, 6);
	}
	return true;
}

bool
sl_nd_parse(const uint8_t *pkt, size_t len, const struct sl_ip_info *info, struct sl_neigh_msg *out)
{
	const uint8_t *nd = pkt + SL_IP6_HDR;
	bool ns;

	/* no extension header: a fragment header is forbidden (RFC 6980), others have no use here
	 */
	if (info->version != 6 || info->proto != SL_PROTO_ICMP6 || info->l4_off != SL_IP6_HDR ||
	    info->total_len > len || info->total_len < SL_IP6_HDR + ND_HDR)
		return false;
	if ((nd[0] != NS_TYPE && nd[0] != NA_TYPE) || nd[1] != 0 || info->ttl != 255 ||
	    nd[8] == 0xff || !sl_l4_csum_ok(pkt, info))
		return false;
	ns = nd[0] == NS_TYPE;
	memset(out, 0, sizeof(*out));
	if (!parse_options(nd + ND_HDR, (size_t)info->total_len - SL_IP6_HDR - ND_HDR,
			   ns ? OPT_SOURCE_MAC : OPT_TARGET_MAC, out))
		return false;
	out->request = ns;
	out->reply = !ns;
	out->dad = ns && memcmp(info->src, none6, 16) == 0;
	out->override = !ns && (nd[4] & NA_OVERRIDE);
	out->solicited = !ns && (nd[4] & NA_SOLICITED);
	out->target = sl_ip_v6(nd + 8);
	out->sender = ns ? sl_ip_v6(info->src) : out->target;
	if (out->dad)
		return !out->has_mac && memcmp(info->dst, solicited_prefix, 13) == 0;
	if (memcmp(info->src, none6, 16) == 0)
		return false;
	return !(out->solicited && info->dst[0] == 0xff);
}

void
sl_arp_write(uint8_t *p, bool reply, const uint8_t smac[6], const uint8_t sip[4],
	     const uint8_t tmac[6], const uint8_t tip[4])
{
	sl_store_be16(p, 1);
	sl_store_be16(p + 2, SL_ETHERTYPE_IP4);
	p[4] = 6;
	p[5] = 4;
	sl_store_be16(p + 6, reply ? 2 : 1);
	memcpy(p + 8, smac, 6);
	memcpy(p + 14, sip, 4);
	if (tmac != NULL)
		memcpy(p + 18, tmac, 6);
	else
		memset(p + 18, 0, 6);
	memcpy(p + 24, tip, 4);
}

/** The default destination: solicited-node group of an NS, all nodes of an NA. */
static void
default_dst(uint8_t *out, bool advert, const uint8_t target[16])
{
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};
	uint8_t mac[6];

	if (advert)
		memcpy(out, all_nodes, 16);
	else
		sl_nd_solicited_node(target, out, mac);
}

unsigned
sl_nd_write(uint8_t *p, bool advert, const uint8_t mac[6], const uint8_t src[16],
	    const uint8_t *dst, const uint8_t target[16], bool solicited)
{
	unsigned nd_len = memcmp(src, none6, 16) == 0 ? ND_HDR : ND_HDR + 8;
	struct sl_ip_info info = {.version = 6, .proto = SL_PROTO_ICMP6};
	uint8_t *nd = p + SL_IP6_HDR;
	uint16_t sum;

	sl_store_be32(p, 0x60000000u);
	sl_store_be16(p + 4, (uint16_t)nd_len);
	p[6] = SL_PROTO_ICMP6;
	p[7] = 255;
	memcpy(p + 8, src, 16);
	if (dst != NULL)
		memcpy(p + 24, dst, 16);
	else
		default_dst(p + 24, advert, target);
	memset(nd, 0, 8);
	nd[0] = advert ? NA_TYPE : NS_TYPE;
	if (advert)
		nd[4] = NA_ROUTER | NA_OVERRIDE | (solicited ? NA_SOLICITED : 0);
	memcpy(nd + 8, target, 16);
	if (nd_len > ND_HDR) {
		nd[24] = advert ? OPT_TARGET_MAC : OPT_SOURCE_MAC;
		nd[25] = 1;
		memcpy(nd + 26, mac, 6);
	}
	info.src = p + 8;
	info.dst = p + 24;
	sum = sl_l4_csum(&info, nd, nd_len, 2);
	memcpy(nd + 2, &sum, 2);
	return SL_IP6_HDR + nd_len;
}

void
sl_nd_solicited_node(const uint8_t ip[16], uint8_t group[16], uint8_t mac[6])
{
	uint8_t low[3];

	memcpy(low, ip + 13, 3); /* group may be ip */
	memcpy(group, solicited_prefix, 13);
	memcpy(group + 13, low, 3);
	mac[0] = 0x33;
	mac[1] = 0x33;
	mac[2] = 0xff;
	memcpy(mac + 3, low, 3);
}

void
sl_ip6_link_local(const uint8_t mac[6], uint8_t out[16])
{
	memset(out, 0, 16);
	out[0] = 0xfe;
	out[1] = 0x80;
	out[8] = mac[0] ^ 2;
	out[9] = mac[1];
	out[10] = mac[2];
	out[11] = 0xff;
	out[12] = 0xfe;
	out[13] = mac[3];
	out[14] = mac[4];
	out[15] = mac[5];
}
