/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_ip.h"

#define ICMP_HDR 8
#define ERROR_MAX4 576
#define TOS_CONTROL 0xc0 /* precedence 6 of ICMP errors, RFC 1812 4.3.2.5 */
#define ECHO_REPLY4 0
#define ECHO_REQUEST4 8
#define ECHO_REQUEST6 128
#define ECHO_REPLY6 129
#define REDIRECT6 137

static const uint8_t codes4[][2] = {
	[SL_ICMP_TIME_EXCEEDED] = {11, 0}, [SL_ICMP_NET_UNREACH] = {3, 0},
	[SL_ICMP_HOST_UNREACH] = {3, 1},   [SL_ICMP_PORT_UNREACH] = {3, 3},
	[SL_ICMP_ADMIN] = {3, 13},	   [SL_ICMP_TOO_BIG] = {3, 4},
};

static const uint8_t codes6[][2] = {
	[SL_ICMP_TIME_EXCEEDED] = {3, 0}, [SL_ICMP_NET_UNREACH] = {1, 0},
	[SL_ICMP_HOST_UNREACH] = {1, 3},  [SL_ICMP_PORT_UNREACH] = {1, 4},
	[SL_ICMP_ADMIN] = {1, 1},	  [SL_ICMP_TOO_BIG] = {2, 0},
};

/** @return true if the address names one host: not 0/8, 127/8, multicast, class E, broadcast. */
static bool
is_host4(const uint8_t *a)
{
	return a[0] != 0 && a[0] != 127 && a[0] < 224;
}

/** @return true if the address names one host: not multicast, ::1, :: */
static bool
is_host6(const uint8_t *a)
{
	static const uint8_t zeros[15];

	return a[0] != 0xff && (memcmp(a, zeros, 15) != 0 || a[15] > 1);
}

static bool
is_host(uint8_t version, const uint8_t *a)
{
	return version == 4 ? is_host4(a) : is_host6(a);
}

/** @return true if the packet is an ICMP error itself, or an ICMPv6 redirect. */
static bool
is_error(const uint8_t *pkt, const struct sl_ip_info *i)
{
	uint8_t type;

	if (i->proto != (i->version == 4 ? SL_PROTO_ICMP : SL_PROTO_ICMP6))
		return false;
	type = pkt[i->l4_off];
	if (i->version == 6)
		return type < 128 || type == REDIRECT6;
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static void
write_ip4(uint8_t *p, unsigned total, const uint8_t *src, const uint8_t *dst)
{
	uint16_t sum;

	p[0] = 0x45;
	p[1] = TOS_CONTROL;
	sl_store_be16(p + 2, (uint16_t)total);
	sl_store_be32(p + 4, 0x4000);
	p[8] = 64;
	p[9] = SL_PROTO_ICMP;
	sl_store_be16(p + 10, 0);
	memcpy(p + 12, src, 4);
	memcpy(p + 16, dst, 4);
	sum = sl_csum_finish(sl_csum_add(p, SL_IP4_HDR, 0));
	memcpy(p + 10, &sum, 2);
}

static void
write_ip6(uint8_t *p, unsigned total, const uint8_t *src, const uint8_t *dst)
{
	sl_store_be32(p, 0x60000000u);
	sl_store_be16(p + 4, (uint16_t)(total - SL_IP6_HDR));
	p[6] = SL_PROTO_ICMP6;
	p[7] = 64;
	memcpy(p + 8, src, 16);
	memcpy(p + 24, dst, 16);
}

unsigned
sl_icmp_error(uint8_t *out, const uint8_t *orig, const struct sl_ip_info *info,
	      enum sl_icmp_kind kind, uint16_t mtu, const struct sl_ip *src)
{
	bool v4 = info->version == 4;
	unsigned hdr = v4 ? SL_IP4_HDR : SL_IP6_HDR, max = v4 ? ERROR_MAX4 : SL_ICMP_ERROR_MAX;
	unsigned quote = SL_MIN(info->total_len, max - hdr - ICMP_HDR);
	const uint8_t *code = v4 ? codes4[kind] : codes6[kind];
	struct sl_ip_info made = {.version = info->version};
	uint8_t *icmp = out + hdr;
	uint16_t sum;

	if (src->family != info->version || info->frag_off != 0 || is_error(orig, info) ||
	    !is_host(info->version, info->src) || !is_host(info->version, info->dst))
		return 0;
	if (v4)
		write_ip4(out, hdr + ICMP_HDR + quote, src->b, info->src);
	else
		write_ip6(out, hdr + ICMP_HDR + quote, src->b, info->src);
	icmp[0] = code[0];
	icmp[1] = code[1];
	memset(icmp + 2, 0, ICMP_HDR - 2);
	if (kind == SL_ICMP_TOO_BIG) /* v4: the lower half of the word (RFC 1191), v6: all of it */
		sl_store_be32(icmp + 4, mtu);
	memcpy(icmp + ICMP_HDR, orig, quote);
	made.proto = v4 ? SL_PROTO_ICMP : SL_PROTO_ICMP6;
	made.src = src->b;
	made.dst = info->src;
	sum = sl_l4_csum(&made, icmp, ICMP_HDR + quote, 2);
	memcpy(icmp + 2, &sum, 2);
	return hdr + ICMP_HDR + quote;
}

static void
swap_bytes(uint8_t *a, uint8_t *b, unsigned n)
{
	uint8_t t[16];

	memcpy(t, a, n);
	memcpy(a, b, n);
	memcpy(b, t, n);
}

bool
sl_icmp_echo_reply(uint8_t *pkt, const struct sl_ip_info *info)
{
	bool v4 = info->version == 4;
	uint8_t *icmp = pkt + info->l4_off;
	uint16_t sum;

	if (sl_ip_is_frag(info) || info->proto != (v4 ? SL_PROTO_ICMP : SL_PROTO_ICMP6) ||
	    icmp[0] != (v4 ? ECHO_REQUEST4 : ECHO_REQUEST6) || icmp[1] != 0)
		return false;
	if (!is_host(info->version, info->src) || !is_host(info->version, info->dst) ||
	    (!v4 && info->l4_off != SL_IP6_HDR) || !sl_l4_csum_ok(pkt, info))
		return false;
	if (v4) {
		swap_bytes(pkt + 12, pkt + 16, 4);
		pkt[8] = 64;
		sl_store_be16(pkt + 10, 0);
		sum = sl_csum_finish(sl_csum_add(pkt, info->l4_off, 0));
		memcpy(pkt + 10, &sum, 2);
	} else {
		swap_bytes(pkt + 8, pkt + 24, 16);
		pkt[7] = 64;
	}
	icmp[0] = v4 ? ECHO_REPLY4 : ECHO_REPLY6;
	/* in full: the incremental way gives 0 for a message of nothing but zeros, which is wrong
	 */
	sum = sl_l4_csum(info, icmp, (size_t)info->total_len - info->l4_off, 2);
	memcpy(icmp + 2, &sum, 2);
	return true;
}
