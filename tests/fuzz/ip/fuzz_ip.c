/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any IP packet or ARP message, and all that the gateway does with one it has accepted. Where a
 * checksum guards the way, the packet is also tried with the right one.
 */
#include <stdlib.h>

#include "../require.h"
#include "sl_ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct sl_ip own4 = {.family = 4, .b = {192, 0, 2, 1}};
static const struct sl_ip own6 = {.family = 6, .b = {0x20, 1, 0xd, 0xb8, [15] = 1}};

/** An own copy, since the functions edit in place; info is that of the copy. */
static uint8_t *
copy_of(const uint8_t *p, size_t len, struct sl_ip_info *info)
{
	uint8_t *c = malloc(len);

	require(c != NULL);
	memcpy(c, p, len);
	require(sl_ip_parse_packet(c, len, false, info) == SL_DROP_NONE);
	return c;
}

static void
check_info(const uint8_t *p, size_t len, const struct sl_ip_info *i)
{
	unsigned addr = i->version == 4 ? 4 : 16;

	require(i->version == 4 || i->version == 6);
	require(i->total_len <= len && i->l4_off <= i->total_len);
	require(i->l4_off >= (i->version == 4 ? SL_IP4_HDR : SL_IP6_HDR));
	require(i->src >= p && i->dst + addr <= p + i->l4_off);
	require(i->frag_off + (i->total_len - i->l4_off) <= UINT16_MAX);
	if (i->sport != 0 || i->dport != 0)
		require(i->l4_off + 8 <= i->total_len && i->frag_off == 0);
}

/** @return offset of the checksum that the gateway looks at, 0 for none */
static unsigned
csum_offset(const struct sl_ip_info *i)
{
	if (sl_ip_is_frag(i))
		return 0;
	return i->proto == SL_PROTO_UDP						? 6
	       : i->proto == SL_PROTO_TCP					? 16
	       : i->proto == (i->version == 4 ? SL_PROTO_ICMP : SL_PROTO_ICMP6) ? 2
										: 0;
}

static void
mend(uint8_t *p, const struct sl_ip_info *i)
{
	unsigned at = csum_offset(i);
	size_t n = (size_t)i->total_len - i->l4_off;
	uint16_t c;

	if (at == 0)
		return;
	if (i->proto == SL_PROTO_UDP)
		n = sl_load_be16(p + i->l4_off + 4);
	c = sl_l4_csum(i, p + i->l4_off, n, at);
	memcpy(p + i->l4_off + at, &c, 2);
	require(sl_l4_csum_ok(p, i));
}

static void
try_clamp(const uint8_t *data, size_t size)
{
	struct sl_ip_info i;
	uint8_t *p = copy_of(data, size, &i);

	mend(p, &i);
	if (sl_tcp_mss_clamp(p, &i, 1200)) {
		require(sl_l4_csum_ok(p, &i));
		require(!sl_tcp_mss_clamp(p, &i, 1200));
	}
	free(p);
}

static void
try_echo(const uint8_t *data, size_t size, bool mended)
{
	struct sl_ip_info i, r;
	uint8_t *p = copy_of(data, size, &i);

	if (mended)
		mend(p, &i);
	if (sl_icmp_echo_reply(p, &i)) {
		require(sl_ip_parse_packet(p, size, true, &r) == SL_DROP_NONE);
		require(r.ttl == 64 && sl_l4_csum_ok(p, &r));
		require(!sl_icmp_echo_reply(p, &r));
	}
	free(p);
}

static void
try_error(const uint8_t *data, const struct sl_ip_info *i)
{
	static const enum sl_icmp_kind kinds[] = {
		SL_ICMP_TIME_EXCEEDED, SL_ICMP_NET_UNREACH, SL_ICMP_HOST_UNREACH,
		SL_ICMP_PORT_UNREACH,  SL_ICMP_ADMIN,	    SL_ICMP_TOO_BIG,
	};
	const struct sl_ip *own = i->version == 4 ? &own4 : &own6;
	uint8_t *out = malloc(SL_ICMP_ERROR_MAX), *again = malloc(SL_ICMP_ERROR_MAX);
	struct sl_ip_info r;
	unsigned k, n;

	require(out != NULL && again != NULL);
	for (k = 0; k < SL_ARRAY_SIZE(kinds); k++) {
		n = sl_icmp_error(out, data, i, kinds[k], 1280, own);
		if (n == 0)
			continue;
		require(n <= (i->version == 4 ? 576 : 1280));
		require(sl_ip_parse_packet(out, n, true, &r) == SL_DROP_NONE);
		require(r.total_len == n && sl_l4_csum_ok(out, &r));
		require(sl_icmp_error(again, out, &r, kinds[k], 1280, own) == 0);
	}
	free(again);
	free(out);
}

static void
try_nd(const uint8_t *data, size_t size, bool mended)
{
	struct sl_neigh_msg m;
	struct sl_ip_info i;
	uint8_t *p = copy_of(data, size, &i);

	if (mended)
		mend(p, &i);
	if (sl_nd_parse(p, size, &i, &m)) {
		require(m.request != m.reply && m.target.family == 6 && m.sender.family == 6);
		require(!m.has_mac || !(m.mac[0] & 1));
	}
	free(p);
}

static void
try_edits(const uint8_t *data, size_t size)
{
	struct sl_ip_info i, r;
	uint8_t *p = copy_of(data, size, &i);
	bool good = sl_ip_parse_packet(p, size, true, &r) == SL_DROP_NONE;

	if (i.ttl > 1)
		sl_ip_ttl_dec(p, i.version);
	sl_ip_set_ecn(p, i.version, i.tos >> 6);
	if (good) {
		require(sl_ip_parse_packet(p, size, true, &r) == SL_DROP_NONE);
		require((r.tos & 3) == i.tos >> 6 && r.tos >> 2 == i.tos >> 2);
	}
	free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_neigh_msg m;
	struct sl_ip_info i;

	if (sl_arp_parse(data, size, &m))
		require(m.request != m.reply && m.has_mac && m.sender.family == 4);
	if (sl_ip_parse_quote(data, size, &i))
		require(i.l4_off + 8u <= size && i.src > data && i.dst < data + size);
	sl_ip_parse_packet(data, size, true, &i);
	if (sl_ip_parse_packet(data, size, false, &i) != SL_DROP_NONE)
		return 0;
	check_info(data, size, &i);
	sl_l4_csum_ok(data, &i);
	try_clamp(data, size);
	try_echo(data, size, false);
	try_echo(data, size, true);
	try_error(data, &i);
	try_nd(data, size, false);
	try_nd(data, size, true);
	try_edits(data, size);
	return 0;
}
