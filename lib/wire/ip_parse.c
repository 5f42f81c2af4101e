/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_ip.h"

#define EXT_MAX 8 /* extension headers of one packet */
#define EXT_HOP 0
#define EXT_ROUTING 43
#define EXT_FRAGMENT 44
#define EXT_AUTH 51
#define EXT_DEST 60
#define TCP_HDR 20
#define ICMP_HDR 8
#define OPT_END 0
#define OPT_NOP 1
#define OPT_LOOSE_ROUTE 131
#define OPT_STRICT_ROUTE 137

/**
 * Header of TCP, UDP or ICMP behind the IP headers; `room` = bytes from there to the end.
 * @return SL_DROP_NONE or SL_DROP_L4_TRUNCATED
 */
static enum sl_drop
parse_l4(const uint8_t *l4, size_t room, struct sl_ip_info *o)
{
	unsigned need;

	switch (o->proto) {
	case SL_PROTO_TCP:
		need = room < TCP_HDR ? TCP_HDR : (unsigned)(l4[12] >> 4) * 4;
		if (room < TCP_HDR || need < TCP_HDR || (need > room && !o->more_frags))
			return SL_DROP_L4_TRUNCATED;
		break;
	case SL_PROTO_UDP:
		need = room < SL_UDP_HDR ? SL_UDP_HDR : sl_load_be16(l4 + 4);
		if (room < SL_UDP_HDR || need < SL_UDP_HDR || (need > room && !o->more_frags))
			return SL_DROP_L4_TRUNCATED;
		break;
	case SL_PROTO_ICMP:
	case SL_PROTO_ICMP6:
		if ((o->proto == SL_PROTO_ICMP) != (o->version == 4))
			return SL_DROP_NONE; /* the other family's: only a number here */
		return room < ICMP_HDR ? SL_DROP_L4_TRUNCATED : SL_DROP_NONE;
	default:
		return SL_DROP_NONE;
	}
	o->sport = sl_load_be16(l4);
	o->dport = sl_load_be16(l4 + 2);
	return SL_DROP_NONE;
}

/** Common end: the fragment must not reach beyond the largest packet, then the upper header. */
static enum sl_drop
finish(const uint8_t *p, struct sl_ip_info *o)
{
	size_t room = (size_t)o->total_len - o->l4_off;

	if (o->frag_off + room > UINT16_MAX)
		return SL_DROP_IP_HEADER;
	return o->frag_off != 0 ? SL_DROP_NONE : parse_l4(p + o->l4_off, room, o);
}

/** Forbidden on any wire (RFC 1122 3.2.1.3): from 0/8, 127/8, multicast, broadcast; to 0/8, 127/8.
 */
static bool
bad_addresses4(const uint8_t *src, const uint8_t *dst)
{
	return src[0] == 0 || src[0] == 127 || (src[0] & 0xf0) == 0xe0 ||
	       sl_load_be32(src) == UINT32_MAX || dst[0] == 0 || dst[0] == 127;
}

/** RFC 1071 sum of a whole header, of which each bit counts: by words, most have five. */
static bool
header_sums_up(const uint8_t *p, unsigned len)
{
	uint64_t sum = (uint64_t)sl_load_le32(p) + sl_load_le32(p + 4) + sl_load_le32(p + 8) +
		       sl_load_le32(p + 12) + sl_load_le32(p + 16);

	for (unsigned i = SL_IP4_HDR; i < len; i += 4)
		sum += sl_load_le32(p + i);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	return (sum & UINT16_MAX) + (sum >> 16) == UINT16_MAX;
}

/** @return true if the options are cut, or one is a source route (RFC 7126 4.3, 4.4): such a packet
 * goes on from its destination to where policy was not asked */
static bool
bad_options4(const uint8_t *p, unsigned hdr_len)
{
	unsigned at = SL_IP4_HDR, n;

	for (; at < hdr_len && p[at] != OPT_END; at += n) {
		n = p[at] == OPT_NOP ? 1 : at + 1 < hdr_len ? p[at + 1] : 0;
		if (n == 0 || (n == 1 && p[at] != OPT_NOP) || at + n > hdr_len ||
		    p[at] == OPT_LOOSE_ROUTE || p[at] == OPT_STRICT_ROUTE)
			return true;
	}
	return false;
}

static enum sl_drop
parse4(const uint8_t *p, size_t len, bool check_csum, struct sl_ip_info *o)
{
	uint16_t frag;

	if (len < SL_IP4_HDR)
		return SL_DROP_IP_TRUNCATED;
	o->l4_off = (uint16_t)((p[0] & 0xf) * 4);
	o->total_len = sl_load_be16(p + 2);
	if (o->l4_off < SL_IP4_HDR || o->total_len < o->l4_off)
		return SL_DROP_IP_HEADER;
	if (o->total_len > len)
		return SL_DROP_IP_TRUNCATED;
	if (check_csum && !header_sums_up(p, o->l4_off))
		return SL_DROP_IP_CHECKSUM;
	o->src = p + 12;
	o->dst = p + 16;
	if (bad_addresses4(o->src, o->dst) ||
	    (sl_unlikely(o->l4_off > SL_IP4_HDR) && bad_options4(p, o->l4_off))) /* never honest */
		return SL_DROP_IP_HEADER;
	frag = sl_load_be16(p + 6);
	o->tos = p[1];
	o->ttl = p[8];
	o->proto = p[9];
	o->frag_id = sl_load_be16(p + 4);
	o->dont_frag = frag & 0x4000;
	o->more_frags = frag & 0x2000;
	o->frag_off = (uint16_t)(frag << 3);
	return finish(p, o);
}

/** Forbidden on any wire (RFC 4291 2.5, 2.7): from multicast, ::1; to ::1, ::. The source :: is
 * left to the caller: duplicate address detection has it. */
static bool
bad_addresses6(const uint8_t *src, const uint8_t *dst)
{
	static const uint8_t loopback[16] = {[15] = 1}, none[16];

	return src[0] == 0xff || memcmp(src, loopback, 16) == 0 || memcmp(dst, loopback, 16) == 0 ||
	       memcmp(dst, none, 16) == 0;
}

/** @return length of the extension header at `e`, or 0 if it is cut or may not stand here. */
static unsigned
ext_length(const uint8_t *e, size_t room, uint8_t type, bool first, struct sl_ip_info *o)
{
	unsigned n;

	if (room < 8)
		return 0;
	n = type == EXT_AUTH ? (e[1] + 2u) * 4 : type == EXT_FRAGMENT ? 8 : (e[1] + 1u) * 8;
	if (n > room || (type == EXT_AUTH && n < 12))
		return 0;
	if (type == EXT_HOP && !first) /* RFC 8200 4.1 */
		return 0;
	if (type == EXT_ROUTING && e[3] != 0) /* it goes on from its destination, as above */
		return 0;
	if (type == EXT_FRAGMENT) {
		o->frag_off = sl_load_be16(e + 2) & 0xfff8;
		o->more_frags = e[3] & 1;
		o->frag_id = sl_load_be32(e + 4);
	}
	return n;
}

static bool
is_ext(uint8_t type)
{
	return type == EXT_HOP || type == EXT_ROUTING || type == EXT_FRAGMENT || type == EXT_AUTH ||
	       type == EXT_DEST;
}

/** Walk the extension headers (RFC 8200 4); in a non-first fragment they end at its header. */
static enum sl_drop
parse_ext(const uint8_t *p, struct sl_ip_info *o)
{
	bool had_fragment = false;
	unsigned count, n;
	uint8_t type;

	for (count = 0; is_ext(o->proto) && o->frag_off == 0; count++) {
		type = o->proto;
		if (count == EXT_MAX || (type == EXT_FRAGMENT && had_fragment))
			return SL_DROP_V6_EXT;
		/* later fragments could overlap what is judged now, and do not show it */
		if (had_fragment && o->more_frags)
			return SL_DROP_V6_EXT;
		n = ext_length(p + o->l4_off, (size_t)o->total_len - o->l4_off, type, count == 0,
			       o);
		if (n == 0)
			return SL_DROP_V6_EXT;
		had_fragment |= type == EXT_FRAGMENT;
		o->proto = p[o->l4_off];
		o->l4_off = (uint16_t)(o->l4_off + n);
	}
	return finish(p, o);
}

static enum sl_drop
parse6(const uint8_t *p, size_t len, struct sl_ip_info *o)
{
	size_t total;

	if (len < SL_IP6_HDR)
		return SL_DROP_IP_TRUNCATED;
	total = SL_IP6_HDR + (size_t)sl_load_be16(p + 4);
	if (total > len)
		return SL_DROP_IP_TRUNCATED;
	o->src = p + 8;
	o->dst = p + 24;
	if (total > UINT16_MAX || bad_addresses6(o->src, o->dst))
		return SL_DROP_IP_HEADER;
	o->total_len = (uint16_t)total;
	o->l4_off = SL_IP6_HDR;
	o->tos = (uint8_t)(p[0] << 4 | p[1] >> 4);
	o->proto = p[6];
	o->ttl = p[7];
	o->dont_frag = true;
	return parse_ext(p, o);
}

enum sl_drop
sl_ip_parse_packet(const uint8_t *p, size_t len, bool check_csum, struct sl_ip_info *out)
{
	memset(out, 0, sizeof(*out));
	if (len == 0)
		return SL_DROP_IP_TRUNCATED;
	out->version = p[0] >> 4;
	if (out->version == 4)
		return parse4(p, len, check_csum, out);
	if (out->version == 6)
		return parse6(p, len, out);
	return SL_DROP_IP_HEADER;
}
