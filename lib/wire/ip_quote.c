/* SPDX-License-Identifier: BSD-3-Clause */
/* The begin of a packet as an ICMP error quotes it: cut off anywhere behind its first 8 bytes. */
#include "sl_ip.h"

#define EXT_MAX 8
#define EXT_HOP 0
#define EXT_ROUTING 43
#define EXT_FRAGMENT 44
#define EXT_DEST 60
#define L4_MIN 8 /* RFC 792: what a quote holds of the upper header */

static bool
is_ext(uint8_t type)
{
	return type == EXT_HOP || type == EXT_ROUTING || type == EXT_FRAGMENT || type == EXT_DEST;
}

/** @return false for a later fragment or a header that is cut off */
static bool
skip_ext(const uint8_t *p, size_t len, struct sl_ip_info *o)
{
	unsigned count, n;
	const uint8_t *e;

	for (count = 0; is_ext(o->proto); count++) {
		if (count == EXT_MAX || (size_t)o->l4_off + 8 > len)
			return false;
		e = p + o->l4_off;
		n = o->proto == EXT_FRAGMENT ? 8 : (e[1] + 1u) * 8;
		if (o->proto == EXT_FRAGMENT && (sl_load_be16(e + 2) & 0xfff8) != 0)
			return false;
		if (o->l4_off + n > len)
			return false;
		o->proto = e[0];
		o->l4_off = (uint16_t)(o->l4_off + n);
	}
	return true;
}

static bool
quote4(const uint8_t *p, size_t len, struct sl_ip_info *o)
{
	if (len < SL_IP4_HDR)
		return false;
	o->l4_off = (uint16_t)((p[0] & 0xf) * 4);
	o->proto = p[9];
	o->src = p + 12;
	o->dst = p + 16;
	return o->l4_off >= SL_IP4_HDR && (sl_load_be16(p + 6) & 0x1fff) == 0;
}

static bool
quote6(const uint8_t *p, size_t len, struct sl_ip_info *o)
{
	if (len < SL_IP6_HDR)
		return false;
	o->l4_off = SL_IP6_HDR;
	o->proto = p[6];
	o->src = p + 8;
	o->dst = p + 24;
	return skip_ext(p, len, o);
}

bool
sl_ip_parse_quote(const uint8_t *p, size_t len, struct sl_ip_info *out)
{
	memset(out, 0, sizeof(*out));
	if (len == 0 || len > UINT16_MAX)
		return false;
	out->version = p[0] >> 4;
	if (!(out->version == 4 ? quote4(p, len, out) : out->version == 6 && quote6(p, len, out)) ||
	    (size_t)out->l4_off + L4_MIN > len)
		return false;
	if (out->proto == SL_PROTO_TCP || out->proto == SL_PROTO_UDP) {
		out->sport = sl_load_be16(p + out->l4_off);
		out->dport = sl_load_be16(p + out->l4_off + 2);
	}
	return true;
}
