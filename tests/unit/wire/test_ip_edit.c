/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "exact.h"

static void
csum_oracle(void **state)
{
	uint8_t buf[2100];
	unsigned n, len, off, cut;
	uint32_t sum;
	uint16_t c;

	srand(5);
	for (n = 0; n < 20000; n++) {
		len = (unsigned)rand() % (n % 10 ? 130 : 2000);
		off = (unsigned)rand() % 17;
		for (cut = 0; cut < len; cut++)
			buf[off + cut] = n % 7 == 0 ? 0xff : n % 7 == 1 ? 0 : (uint8_t)rand();
		c = sl_csum_finish(sl_csum_add(buf + off, len, 0));
		assert_int_equal(__builtin_bswap16(c), naive_csum(buf + off, len, 0));
		/* the same in two parts, the first of even length */
		cut = len > 0 ? (unsigned)rand() % len & ~1u : 0;
		sum = sl_csum_add(buf + off, cut, 0);
		assert_true(sum <= 0xffff);
		c = sl_csum_finish(sl_csum_add(buf + off + cut, len - cut, sum));
		assert_int_equal(__builtin_bswap16(c), naive_csum(buf + off, len, 0));
	}
	/* RFC 1071 section 3: the words 0001 f203 f4f5 f6f7 sum to ddf2 */
	unhex("0001f203f4f5f6f7", buf);
	assert_int_equal(__builtin_bswap16((uint16_t)sl_csum_add(buf, 8, 0)), 0xddf2);
}

static void
csum_replace(void **state)
{
	uint8_t buf[40];
	uint16_t before, after, c;
	unsigned n, i, at;

	/* RFC 1624 section 4: checksum dd2f, word 5555 -> 3285 gives 0000, not ffff */
	unhex("dd2f", buf);
	sl_csum_replace16(buf, __builtin_bswap16(0x5555), __builtin_bswap16(0x3285));
	assert_hex(buf, "0000");
	srand(6);
	for (n = 0; n < 50000; n++) {
		for (i = 0; i < sizeof(buf); i++)
			buf[i] = n % 3 == 0 ? (uint8_t) - (rand() & 1) : (uint8_t)rand();
		buf[1] |= 1; /* a real header is never all zero */
		buf[10] = buf[11] = 0;
		c = naive_csum(buf, sizeof(buf), 0);
		sl_store_be16(buf + 10, c);
		at = (unsigned)rand() % 20 * 2;
		if (at == 10 || at == 0)
			continue;
		memcpy(&before, buf + at, 2);
		after = n % 5 == 0 ? 0 : n % 5 == 1 ? 0xffff : (uint16_t)rand();
		memcpy(buf + at, &after, 2);
		sl_csum_replace16(buf + 10, before, after);
		assert_int_equal(naive_csum(buf, sizeof(buf), 0), 0);
	}
}

static void
l4_csum(void **state)
{
	static const struct {
		const char *hex;
		unsigned csum_off;
	} pkt[] = {
		{PKT_UDP4, 6},	    {PKT_UDP4_ODD, 6}, {PKT_TCP4, 16}, {PKT_SYN4, 16},
		{PKT_SYN4_ODD, 16}, {PKT_SYNACK6, 16}, {PKT_OPT4, 6},  {PKT_PING4, 2},
		{PKT_PING6, 2},	    {PKT_UDP6, 6},     {PKT_EXT6, 6},  {PKT_NS, 2},
		{PKT_NA, 2},	    {PKT_DAD, 2},      {PKT_ERR4, 2},  {PKT_ERR6, 2},
	};
	struct sl_ip_info i;
	struct exact e;
	unsigned n, bit;
	uint16_t c;

	for (n = 0; n < SL_ARRAY_SIZE(pkt); n++) {
		e = exact_good(pkt[n].hex, &i);
		assert_true(sl_l4_csum_ok(e.p, &i));
		c = sl_l4_csum(&i, e.p + i.l4_off, (size_t)i.total_len - i.l4_off, pkt[n].csum_off);
		assert_memory_equal(&c, e.p + i.l4_off + pkt[n].csum_off, 2);
		for (bit = i.l4_off * 8u; bit < e.len * 8; bit++) {
			if (i.proto == 17 && (bit / 8 == i.l4_off + 4u || bit / 8 == i.l4_off + 5u))
				continue; /* the UDP length: checked by the parser */
			e.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(sl_l4_csum_ok(e.p, &i));
			e.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		free(e.p);
	}
	/* UDP without checksum is right in IPv4 only */
	e = exact_good(PKT_UDP4, &i);
	e.p[26] = e.p[27] = 0;
	assert_true(sl_l4_csum_ok(e.p, &i));
	free(e.p);
	e = exact_good(PKT_UDP6, &i);
	e.p[46] = e.p[47] = 0;
	assert_false(sl_l4_csum_ok(e.p, &i));
	/* where the sum comes out as 0 it is sent as ffff, and understood */
	fix_l4(e.p, &i, 6);
	c = sl_load_be16(e.p + 46);
	sl_store_be16(e.p + 40, (uint16_t)(sl_load_be16(e.p + 40) + c -
					   (sl_load_be16(e.p + 40) + c > 0xffff ? 0xffff : 0)));
	c = sl_l4_csum(&i, e.p + 40, e.len - 40, 6);
	assert_int_equal(c, 0xffff);
	memcpy(e.p + 46, &c, 2);
	assert_true(sl_l4_csum_ok(e.p, &i));
	free(e.p);
	/* padding behind the UDP length is not summed; fragments and others have no answer */
	e = exact_good(PKT_UDP4, &i);
	i.proto = 99;
	assert_false(sl_l4_csum_ok(e.p, &i));
	free(e.p);
	e = exact_good(PKT_FRAG4_1, &i);
	assert_false(sl_l4_csum_ok(e.p, &i));
	free(e.p);
}

static void
ttl_and_ecn(void **state)
{
	struct sl_ip_info i;
	struct exact e;
	unsigned n, ttl, tos, ecn;

	for (n = 0; n < 2; n++) {
		e = exact_hex(n ? PKT_UDP6 : PKT_UDP4);
		for (ttl = 255; ttl > 1; ttl--) {
			e.p[n ? 7 : 8] = (uint8_t)ttl;
			if (!n)
				fix_ip4(e.p);
			sl_ip_ttl_dec(e.p, n ? 6 : 4);
			assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE);
			assert_int_equal(i.ttl, ttl - 1);
		}
		for (tos = 0; tos < 256; tos++) {
			for (ecn = 0; ecn < 4; ecn++) {
				if (n) {
					e.p[0] = (uint8_t)(0x60 | tos >> 4);
					e.p[1] = (uint8_t)(tos << 4 | 1);
				} else {
					e.p[1] = (uint8_t)tos;
					fix_ip4(e.p);
				}
				sl_ip_set_ecn(e.p, n ? 6 : 4, (uint8_t)ecn);
				assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE);
				assert_int_equal(i.tos, (tos & ~3u) | ecn);
				assert_int_equal(e.p[1] & 1, n ? 1 : ecn & 1);
			}
		}
		free(e.p);
	}
}

static void
rfc6040(void **state)
{
	enum { NOT = 0, ECT1 = 1, ECT0 = 2, CE = 3 };
	/* RFC 6040 figure 4, line by line */
	static const struct {
		int inner, outer, result;
	} fig4[] = {
		{NOT, NOT, NOT},   {NOT, ECT0, NOT},   {NOT, ECT1, NOT},   {NOT, CE, -1},
		{ECT0, NOT, ECT0}, {ECT0, ECT0, ECT0}, {ECT0, ECT1, ECT1}, {ECT0, CE, CE},
		{ECT1, NOT, ECT1}, {ECT1, ECT0, ECT1}, {ECT1, ECT1, ECT1}, {ECT1, CE, CE},
		{CE, NOT, CE},	   {CE, ECT0, CE},     {CE, ECT1, CE},	   {CE, CE, CE},
	};
	unsigned n;

	for (n = 0; n < SL_ARRAY_SIZE(fig4); n++)
		assert_int_equal(sl_ecn_decap((uint8_t)(0xb8 | fig4[n].inner),
					      (uint8_t)(0x24 | fig4[n].outer)),
				 fig4[n].result);
	for (n = 0; n < 256; n++)
		assert_int_equal(sl_ecn_encap((uint8_t)n), n & 3);
}

static void
mss(void **state)
{
	static const struct {
		const char *hex;
		unsigned at; /* of the value in the packet */
		uint16_t value;
	} syn[] = {{PKT_SYN4, 42, 1460}, {PKT_SYN4_ODD, 43, 1460}, {PKT_SYNACK6, 62, 1440}};
	struct sl_ip_info i;
	struct exact e, before;
	unsigned n, want;

	for (n = 0; n < SL_ARRAY_SIZE(syn); n++) {
		for (want = 1; want < 1600; want += 3) {
			e = exact_good(syn[n].hex, &i);
			before = exact_copy(e.p, e.len);
			assert_int_equal(sl_load_be16(e.p + syn[n].at), syn[n].value);
			assert_int_equal(sl_tcp_mss_clamp(e.p, &i, (uint16_t)want),
					 want < syn[n].value);
			assert_int_equal(sl_load_be16(e.p + syn[n].at), SL_MIN(want, syn[n].value));
			assert_true(sl_l4_csum_ok(e.p, &i));
			if (want >= syn[n].value)
				assert_memory_equal(e.p, before.p, e.len);
			free(before.p);
			free(e.p);
		}
	}
	/* not a SYN, not TCP, a fragment: untouched */
	e = exact_good(PKT_SYN4, &i);
	e.p[33] = 0x10;
	assert_false(sl_tcp_mss_clamp(e.p, &i, 500));
	e.p[33] = 0x02;
	i.more_frags = true;
	assert_false(sl_tcp_mss_clamp(e.p, &i, 500));
	free(e.p);
	e = exact_good(PKT_UDP4, &i);
	assert_false(sl_tcp_mss_clamp(e.p, &i, 500));
	free(e.p);
}

static void
mss_odd_options(void **state)
{
	/* 20 bytes of options: hostile or strange ones must neither loop nor be read beyond */
	static const struct {
		const char *options;
		bool changed;
	} opt[] = {
		{"0101010101010101010101010101010101010101", false},
		{"0000000000000000000000000000000002040fff", false}, /* behind the end */
		{"020405b4020405b4000000000000000000000000", true},  /* twice */
		{"0200000000000000000000000000000000000000", false},
		{"0201000000000000000000000000000000000000", false},
		{"020305b400000000000000000000000000000000", false},
		{"0214ffffffffffffffffffffffffffffffffffff", false},
		{"020605b400000000000000000000000000000000", false},
		{"08ff0000000000000000000000000000020405b4", false},
		{"010101010101010101010101010101010101ffff", false},
		{"01010101010101010101010101010101010101ff", false},
		{"0101010101010101010101010101010101010204", false},
		{"01010101010101010101010101010101010204ff", false},
		{"01010101010101010101010101010101020405b4", true},
	};
	struct sl_ip_info i;
	struct exact e, before;
	unsigned n;

	for (n = 0; n < SL_ARRAY_SIZE(opt); n++) {
		e = exact_good(PKT_SYN4, &i);
		unhex(opt[n].options, e.p + 40);
		fix_l4(e.p, &i, 16);
		before = exact_copy(e.p, e.len);
		assert_int_equal(sl_tcp_mss_clamp(e.p, &i, 1000), opt[n].changed);
		assert_true(sl_l4_csum_ok(e.p, &i));
		if (!opt[n].changed)
			assert_memory_equal(e.p, before.p, e.len);
		free(before.p);
		free(e.p);
	}
}

static void
outer(void **state)
{
	struct sl_outer o = {.sport = 51820, .dport = 51821};
	uint8_t p[48], want[48];

	assert_int_equal(sl_ip_parse("198.51.100.1", &o.src), 0);
	assert_int_equal(sl_ip_parse("203.0.113.5", &o.dst), 0);
	memset(p, 0xee, sizeof(p));
	assert_int_equal(sl_outer_write(p, &o, 2, 148), 28);
	assert_int_equal(sl_outer_len(4), unhex(PKT_OUTER4, want));
	assert_memory_equal(p, want, 28);
	assert_int_equal(sl_ip_parse("2001:db8::a", &o.src), 0);
	assert_int_equal(sl_ip_parse("2001:db8::b", &o.dst), 0);
	memset(p, 0xee, sizeof(p));
	assert_int_equal(sl_outer_write(p, &o, 1, 148), 48);
	assert_int_equal(sl_outer_len(6), unhex(PKT_OUTER6, want));
	assert_memory_equal(p, want, 48);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csum_oracle),	   cmocka_unit_test(csum_replace),
		cmocka_unit_test(l4_csum),	   cmocka_unit_test(ttl_and_ecn),
		cmocka_unit_test(rfc6040),	   cmocka_unit_test(mss),
		cmocka_unit_test(mss_odd_options), cmocka_unit_test(outer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
