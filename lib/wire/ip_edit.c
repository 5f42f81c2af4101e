/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_ip.h"

static inline uint16_t
load_raw16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t
add_carry(uint64_t sum, uint64_t v)
{
	sum += v;
	return sum + (sum < v);
}

/*
 * Sums are taken over words as they lie in memory: the one's complement sum does not mind the byte
 * order as long as the result is stored the way the words were read (RFC 1071 section 2B).
 */
uint32_t
sl_csum_add(const void *p, size_t len, uint32_t sum)
{
	uint64_t a = sum, b = 0, c = 0, d = 0;
	const uint8_t *q = p;

	for (; len >= 32; len -= 32, q += 32) {
		a = add_carry(a, sl_load_le64(q));
		b = add_carry(b, sl_load_le64(q + 8));
		c = add_carry(c, sl_load_le64(q + 16));
		d = add_carry(d, sl_load_le64(q + 24));
	}
	for (; len >= 8; len -= 8, q += 8)
		a = add_carry(a, sl_load_le64(q));
	for (; len >= 2; len -= 2, q += 2)
		b = add_carry(b, load_raw16(q));
	if (len > 0)
		b = add_carry(b, *q);
	a = add_carry(add_carry(a, b), add_carry(c, d));
	a = (a & UINT32_MAX) + (a >> 32);
	a = (a & UINT16_MAX) + (a >> 16 & UINT16_MAX) + (a >> 32);
	a = (a & UINT16_MAX) + (a >> 16);
	return (uint32_t)((a & UINT16_MAX) + (a >> 16));
}

uint16_t
sl_csum_finish(uint32_t sum)
{
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)~sum;
}

void
sl_csum_replace16(uint8_t csum[2], uint16_t from_be, uint16_t to_be)
{
	uint32_t sum = (uint16_t)~load_raw16(csum);
	uint16_t v;

	v = sl_csum_finish(sum + (uint16_t)~from_be + to_be);
	memcpy(csum, &v, sizeof(v));
}

/** Sum of the pseudo header (RFC 768, RFC 8200 8.1); ICMP of IPv4 has none. */
static uint32_t
pseudo_sum(const struct sl_ip_info *ip, size_t l4_len)
{
	unsigned n = ip->version == 4 ? 4 : 16;
	uint8_t tail[4];
	uint32_t sum;

	if (ip->version == 4 && ip->proto == SL_PROTO_ICMP)
		return 0;
	sum = sl_csum_add(ip->src, n, 0);
	sum = sl_csum_add(ip->dst, n, sum);
	sl_store_be16(tail, ip->proto);
	sl_store_be16(tail + 2, (uint16_t)l4_len);
	return sl_csum_add(tail, sizeof(tail), sum);
}

uint16_t
sl_l4_csum(const struct sl_ip_info *ip, const uint8_t *l4, size_t l4_len, size_t csum_off)
{
	uint32_t sum = pseudo_sum(ip, l4_len);
	uint16_t v;

	sum = sl_csum_add(l4, csum_off, sum);
	sum = sl_csum_add(l4 + csum_off + 2, l4_len - csum_off - 2, sum);
	v = sl_csum_finish(sum);
	return v == 0 && ip->proto == SL_PROTO_UDP ? UINT16_MAX : v;
}

bool
sl_l4_csum_ok(const uint8_t *pkt, const struct sl_ip_info *ip)
{
	const uint8_t *l4 = pkt + ip->l4_off;
	size_t n = (size_t)ip->total_len - ip->l4_off;

	if (sl_ip_is_frag(ip))
		return false;
	if (ip->proto == SL_PROTO_UDP) {
		if (load_raw16(l4 + 6) == 0)
			return ip->version == 4;
		n = sl_load_be16(l4 + 4);
	} else if (ip->proto != SL_PROTO_TCP &&
		   ip->proto != (ip->version == 4 ? SL_PROTO_ICMP : SL_PROTO_ICMP6)) {
		return false;
	}
	return sl_csum_add(l4, n, pseudo_sum(ip, n)) == UINT16_MAX;
}

/** Change the byte at `at` of an IPv4 header, with its checksum. The word is changed in a register:
 * reading one back of which half has just been written would wait for the store. */
static void
set_byte4(uint8_t *pkt, unsigned at, uint8_t v)
{
	uint16_t before = load_raw16(pkt + (at & ~1u)), after;

	after = (at & 1) == 0 ? (uint16_t)((before & 0xff00) | v)
			      : (uint16_t)((before & 0xff) | v << 8);
	memcpy(pkt + (at & ~1u), &after, sizeof(after));
	sl_csum_replace16(pkt + 10, before, after);
}

void
sl_ip_ttl_dec(uint8_t *pkt, uint8_t version)
{
	if (version == 4)
		set_byte4(pkt, 8, (uint8_t)(pkt[8] - 1));
	else
		pkt[7]--;
}

void
sl_ip_set_ecn(uint8_t *pkt, uint8_t version, uint8_t ecn)
{
	if (version == 4)
		set_byte4(pkt, 1, (uint8_t)((pkt[1] & ~3) | (ecn & 3)));
	else
		pkt[1] = (uint8_t)((pkt[1] & ~0x30) | (ecn & 3) << 4);
}

int
sl_ecn_decap(uint8_t inner_tos, uint8_t outer_tos)
{
	/* RFC 6040 figure 4; columns: outer Not-ECT, ECT(1), ECT(0), CE */
	static const int8_t table[4][4] = {
		[0] = {0, 0, 0, -1},
		[1] = {1, 1, 1, 3},
		[2] = {2, 1, 2, 3},
		[3] = {3, 3, 3, 3},
	};

	return table[inner_tos & 3][outer_tos & 3];
}

/** Lower one MSS option at `at` of the TCP header, which may lie at an odd place. */
static bool
clamp_option(uint8_t *tcp, unsigned at, uint16_t mss)
{
	uint16_t before, after;

	if (sl_load_be16(tcp + at) <= mss)
		return false;
	before = load_raw16(tcp + at);
	sl_store_be16(tcp + at, mss);
	after = load_raw16(tcp + at);
	if (at & 1) {
		before = __builtin_bswap16(before);
		after = __builtin_bswap16(after);
	}
	sl_csum_replace16(tcp + 16, before, after);
	return true;
}

bool
sl_tcp_mss_clamp(uint8_t *pkt, const struct sl_ip_info *ip, uint16_t mss)
{
	uint8_t *tcp = pkt + ip->l4_off;
	unsigned at, end, n;
	bool changed = false;

	if (ip->proto != SL_PROTO_TCP || sl_ip_is_frag(ip) || !(tcp[13] & 0x02))
		return false;
	end = (unsigned)(tcp[12] >> 4) * 4; /* inside the packet: it was parsed */
	for (at = 20; at < end && tcp[at] != 0; at += n) {
		n = tcp[at] == 1 ? 1 : at + 1 < end ? tcp[at + 1] : 0;
		if (n == 0 || at + n > end || (tcp[at] != 1 && n < 2))
			break;
		if (tcp[at] == 2 && n == 4)
			changed |= clamp_option(tcp, at + 2, mss);
	}
	return changed;
}

unsigned
sl_outer_write(uint8_t *p, const struct sl_outer *o, uint8_t tos, uint16_t payload_len)
{
	uint16_t udp_len = (uint16_t)(SL_UDP_HDR + payload_len), sum;
	unsigned hdr = sl_outer_len(o->src.family) - SL_UDP_HDR;

	if (o->src.family == 4) {
		p[0] = 0x45;
		p[1] = tos;
		sl_store_be16(p + 2, (uint16_t)(SL_IP4_HDR + udp_len));
		sl_store_be32(p + 4, 0x4000); /* id 0, DF (RFC 6864) */
		p[8] = 64;
		p[9] = SL_PROTO_UDP;
		sl_store_be16(p + 10, 0);
		memcpy(p + 12, o->src.b, 4);
		memcpy(p + 16, o->dst.b, 4);
		sum = sl_csum_finish(sl_csum_add(p, SL_IP4_HDR, 0));
		memcpy(p + 10, &sum, 2);
	} else {
		sl_store_be32(p, 0x60000000u | (uint32_t)tos << 20);
		sl_store_be16(p + 4, udp_len);
		p[6] = SL_PROTO_UDP;
		p[7] = 64;
		memcpy(p + 8, o->src.b, 16);
		memcpy(p + 24, o->dst.b, 16);
	}
	sl_store_be16(p + hdr, o->sport);
	sl_store_be16(p + hdr + 2, o->dport);
	sl_store_be16(p + hdr + 4, udp_len);
	sl_store_be16(p + hdr + 6, 0);
	return hdr + SL_UDP_HDR;
}
