/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "exact.h"

static const uint8_t mac1[6] = {2, 0, 0, 0, 0, 1}, mac2[6] = {2, 0, 0, 0, 0, 2};

static struct sl_ip
ip(const char *s)
{
	struct sl_ip a;

	assert_int_equal(sl_ip_parse(s, &a), 0);
	return a;
}

static void
assert_ip(const struct sl_ip *a, const char *s)
{
	char buf[SL_IP_STR];

	assert_string_equal(sl_ip_str(a, buf), s);
}

static void
arp_fields(void **state)
{
	struct exact e = exact_hex(PKT_ARP_REQ);
	struct sl_neigh_msg m;

	assert_true(sl_arp_parse(e.p, e.len, &m));
	assert_true(m.request && !m.reply && m.has_mac && !m.dad && !m.override && !m.solicited);
	assert_ip(&m.sender, "192.0.2.1");
	assert_ip(&m.target, "192.0.2.2");
	assert_memory_equal(m.mac, mac1, 6);
	memset(e.p + 14, 0, 4);
	assert_true(sl_arp_parse(e.p, e.len, &m));
	assert_true(m.dad && m.request);
	free(e.p);
	e = exact_hex(PKT_ARP_REP);
	assert_true(sl_arp_parse(e.p, e.len, &m));
	assert_true(!m.request && m.reply && m.has_mac && m.override && m.solicited);
	assert_ip(&m.sender, "192.0.2.2");
	assert_memory_equal(m.mac, mac2, 6);
	memcpy(e.p + 24, e.p + 14, 4); /* gratuitous */
	assert_true(sl_arp_parse(e.p, e.len, &m));
	assert_true(m.reply && !m.solicited);
	free(e.p);
}

static void
arp_rejects(void **state)
{
	static const struct {
		unsigned at;
		uint8_t v;
	} bad[] = {
		{0, 1}, {1, 6}, {2, 0x86}, {3, 6},    {4, 8},	 {5, 16},   {6, 1},  {7, 0},
		{7, 3}, {7, 9}, {8, 3},	   {14, 224}, {14, 255}, {14, 127}, {14, 0},
	};
	struct sl_neigh_msg m;
	struct exact e, cut;
	unsigned n, k;
	uint8_t keep;

	for (k = 0; k < 2; k++) {
		e = exact_hex(k ? PKT_ARP_REP : PKT_ARP_REQ);
		for (n = 0; n < e.len; n++) {
			cut = exact_copy(e.p, n);
			assert_false(sl_arp_parse(cut.p, cut.len, &m));
			free(cut.p);
		}
		for (n = 0; n < SL_ARRAY_SIZE(bad); n++) {
			keep = e.p[bad[n].at];
			e.p[bad[n].at] = bad[n].v;
			assert_false(sl_arp_parse(e.p, e.len, &m));
			e.p[bad[n].at] = keep;
		}
		memset(e.p + 8, 0, 6);
		assert_false(sl_arp_parse(e.p, e.len, &m));
		free(e.p);
	}
	/* a reply from 0.0.0.0 is no probe */
	e = exact_hex(PKT_ARP_REP);
	memset(e.p + 14, 0, 4);
	assert_false(sl_arp_parse(e.p, e.len, &m));
	free(e.p);
}

static void
arp_written(void **state)
{
	struct sl_ip a = ip("192.0.2.1"), b = ip("192.0.2.2");
	uint8_t p[SL_ARP_LEN], want[SL_ARP_LEN];

	sl_arp_write(p, false, mac1, a.b, NULL, b.b);
	assert_int_equal(unhex(PKT_ARP_REQ, want), SL_ARP_LEN);
	assert_memory_equal(p, want, SL_ARP_LEN);
	sl_arp_write(p, true, mac2, b.b, mac1, a.b);
	unhex(PKT_ARP_REP, want);
	assert_memory_equal(p, want, SL_ARP_LEN);
}

static bool
nd(const struct exact *e, struct sl_neigh_msg *m)
{
	struct sl_ip_info i;

	return exact_parse(e, &i) == SL_DROP_NONE && sl_nd_parse(e->p, e->len, &i, m);
}

static void
nd_fields(void **state)
{
	struct exact e = exact_hex(PKT_NS);
	struct sl_neigh_msg m;

	assert_true(nd(&e, &m));
	assert_true(m.request && !m.reply && m.has_mac && !m.dad && !m.override && !m.solicited);
	assert_ip(&m.sender, "2001:db8::1");
	assert_ip(&m.target, "2001:db8::2");
	assert_memory_equal(m.mac, mac1, 6);
	free(e.p);
	e = exact_hex(PKT_NA);
	assert_true(nd(&e, &m));
	assert_true(!m.request && m.reply && m.has_mac && m.override && m.solicited);
	assert_ip(&m.sender, "2001:db8::2");
	assert_ip(&m.target, "2001:db8::2");
	assert_memory_equal(m.mac, mac2, 6);
	free(e.p);
	e = exact_hex(PKT_NA_ALL);
	assert_true(nd(&e, &m));
	assert_true(m.reply && !m.solicited);
	free(e.p);
	e = exact_hex(PKT_DAD);
	assert_true(nd(&e, &m));
	assert_true(m.request && m.dad && !m.has_mac);
	assert_ip(&m.sender, "::");
	free(e.p);
}

/** Change a byte, mend the checksum, and say whether it is still a message. */
static bool
nd_with(const char *hex, unsigned at, uint8_t v)
{
	struct exact e = exact_hex(hex);
	struct sl_neigh_msg m;
	struct sl_ip_info i;
	bool ok;

	e.p[at] = v;
	assert_int_equal(sl_ip_parse_packet(e.p, e.len, false, &i), SL_DROP_NONE);
	fix_l4(e.p, &i, 2);
	ok = nd(&e, &m);
	free(e.p);
	return ok;
}

static void
nd_rejects(void **state)
{
	struct sl_neigh_msg m;
	struct sl_ip_info i;
	struct exact e;
	unsigned n;

	assert_true(nd_with(PKT_NS, 7, 255));
	assert_false(nd_with(PKT_NS, 7, 254));	 /* came through a router */
	assert_false(nd_with(PKT_NS, 40, 134));	 /* another type */
	assert_false(nd_with(PKT_NS, 41, 1));	 /* code */
	assert_false(nd_with(PKT_NS, 48, 0xff)); /* multicast target */
	assert_false(nd_with(PKT_NS, 65, 0));	 /* option length 0, or beyond the end */
	assert_false(nd_with(PKT_NS, 65, 2));
	assert_false(nd_with(PKT_NS, 66, 0x33)); /* multicast MAC */
	assert_true(nd_with(PKT_NS, 64, 99));	 /* an unknown option is skipped */
	assert_false(nd_with(PKT_NA, 24, 0xff)); /* solicited, but to multicast */
	assert_false(nd_with(PKT_NA_ALL, 44, 0x40));
	assert_false(nd_with(PKT_DAD, 24, 0x20)); /* DAD not to a solicited-node group */
	assert_false(nd_with(PKT_DAD, 35, 0));
	e = exact_hex(PKT_NS); /* DAD with a MAC */
	memset(e.p + 8, 0, 16);
	assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE);
	fix_l4(e.p, &i, 2);
	assert_false(nd(&e, &m));
	free(e.p);
	e = exact_hex(PKT_NA); /* an NA from :: */
	memset(e.p + 8, 0, 16);
	assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE);
	fix_l4(e.p, &i, 2);
	assert_false(nd(&e, &m));
	free(e.p);
	e = exact_hex(PKT_NS); /* checksum */
	for (n = 40 * 8; n < e.len * 8; n++) {
		e.p[n / 8] ^= (uint8_t)(1 << n % 8);
		assert_false(nd(&e, &m));
		e.p[n / 8] ^= (uint8_t)(1 << n % 8);
	}
	free(e.p);
	/* another protocol or version, behind an extension header */
	e = exact_good(PKT_PING6, &i);
	assert_false(sl_nd_parse(e.p, e.len, &i, &m));
	free(e.p);
	e = exact_good(PKT_UDP4, &i);
	assert_false(sl_nd_parse(e.p, e.len, &i, &m));
	free(e.p);
	e = exact_good(PKT_NS, &i);
	i.l4_off = 48;
	assert_false(sl_nd_parse(e.p, e.len, &i, &m));
	i.l4_off = 40;
	assert_false(sl_nd_parse(e.p, e.len - 1, &i, &m));
	free(e.p);
}

/** Shortened with its length field: only whole options make a message. */
static void
nd_shortened(void **state)
{
	struct sl_neigh_msg m;
	struct sl_ip_info i;
	struct exact e, cut;
	size_t len;

	e = exact_hex(PKT_NS);
	for (len = 48; len <= e.len; len++) {
		cut = exact_copy(e.p, len);
		sl_store_be16(cut.p + 4, (uint16_t)(len - 40));
		assert_int_equal(exact_parse(&cut, &i), SL_DROP_NONE);
		fix_l4(cut.p, &i, 2);
		assert_int_equal(nd(&cut, &m), len == 64 || len == 72);
		free(cut.p);
	}
	free(e.p);
}

static void
nd_written(void **state)
{
	struct sl_ip a = ip("2001:db8::1"), b = ip("2001:db8::2"), none = ip("::");
	uint8_t p[SL_NS_LEN], want[SL_NS_LEN];

	assert_int_equal(sl_nd_write(p, false, mac1, a.b, NULL, b.b, false), unhex(PKT_NS, want));
	assert_memory_equal(p, want, SL_NS_LEN);
	assert_int_equal(sl_nd_write(p, true, mac2, b.b, a.b, b.b, true), unhex(PKT_NA, want));
	assert_memory_equal(p, want, SL_NS_LEN);
	assert_int_equal(sl_nd_write(p, true, mac2, b.b, NULL, b.b, false),
			 unhex(PKT_NA_ALL, want));
	assert_memory_equal(p, want, SL_NS_LEN);
	assert_int_equal(sl_nd_write(p, false, mac2, none.b, NULL, b.b, false),
			 unhex(PKT_DAD, want));
	assert_memory_equal(p, want, SL_NS_LEN - 8);
	/* a unicast probe of a known neighbour */
	assert_int_equal(sl_nd_write(p, false, mac1, a.b, b.b, b.b, false), SL_NS_LEN);
	assert_memory_equal(p + 24, b.b, 16);
}

static void
addresses(void **state)
{
	struct sl_ip a = ip("2001:db8::1234:5678"), g = ip("::");
	uint8_t mac[6];

	sl_nd_solicited_node(a.b, g.b, mac);
	assert_ip(&g, "ff02::1:ff34:5678");
	assert_hex(mac, "3333ff345678");
	/* RFC 4291 appendix A: 34-56-78-9A-BC-DE becomes ...36-56-78-FF-FE-9A-BC-DE */
	sl_ip6_link_local((const uint8_t[]){0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde}, g.b);
	assert_ip(&g, "fe80::3656:78ff:fe9a:bcde");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_fields),  cmocka_unit_test(arp_rejects),
		cmocka_unit_test(arp_written), cmocka_unit_test(nd_fields),
		cmocka_unit_test(nd_rejects),  cmocka_unit_test(nd_shortened),
		cmocka_unit_test(nd_written),  cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
