/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "exact.h"

static struct sl_ip
ip(const char *s)
{
	struct sl_ip a;

	assert_int_equal(sl_ip_parse(s, &a), 0);
	return a;
}

/** sl_icmp_error() into a buffer of exactly the promised room. */
static struct exact
error_of(const struct exact *e, const struct sl_ip_info *i, enum sl_icmp_kind kind, const char *src)
{
	struct exact out = {.p = malloc(SL_ICMP_ERROR_MAX)};
	struct sl_ip own = ip(src);

	out.len = sl_icmp_error(out.p, e->p, i, kind, 1280, &own);
	return out;
}

static void
too_big(void **state)
{
	uint8_t want[200];
	struct sl_ip_info i;
	struct exact e = exact_good(PKT_UDP4, &i), out;

	out = error_of(&e, &i, SL_ICMP_TOO_BIG, "192.0.2.1");
	assert_int_equal(out.len, unhex(PKT_ERR4, want));
	assert_memory_equal(out.p, want, out.len);
	free(out.p);
	free(e.p);
	e = exact_good(PKT_UDP6, &i);
	out = error_of(&e, &i, SL_ICMP_TOO_BIG, "2001:db8:1::1");
	assert_int_equal(out.len, unhex(PKT_ERR6, want));
	assert_memory_equal(out.p, want, out.len);
	free(out.p);
	free(e.p);
}

static void
kinds(void **state)
{
	static const uint8_t codes[2][6][2] = {
		{[SL_ICMP_TIME_EXCEEDED] = {11, 0},
		 [SL_ICMP_NET_UNREACH] = {3, 0},
		 [SL_ICMP_HOST_UNREACH] = {3, 1},
		 [SL_ICMP_PORT_UNREACH] = {3, 3},
		 [SL_ICMP_ADMIN] = {3, 13},
		 [SL_ICMP_TOO_BIG] = {3, 4}},
		{[SL_ICMP_TIME_EXCEEDED] = {3, 0},
		 [SL_ICMP_NET_UNREACH] = {1, 0},
		 [SL_ICMP_HOST_UNREACH] = {1, 3},
		 [SL_ICMP_PORT_UNREACH] = {1, 4},
		 [SL_ICMP_ADMIN] = {1, 1},
		 [SL_ICMP_TOO_BIG] = {2, 0}},
	};
	struct sl_ip_info i, made;
	struct exact e, out, cut;
	unsigned v6, k;

	for (v6 = 0; v6 < 2; v6++) {
		for (k = 0; k < 6; k++) {
			e = exact_good(v6 ? PKT_EXT6 : PKT_TCP4, &i);
			out = error_of(&e, &i, (enum sl_icmp_kind)k,
				       v6 ? "2001:db8:1::1" : "192.0.2.1");
			cut = exact_copy(out.p, out.len);
			assert_int_equal(exact_parse(&cut, &made), SL_DROP_NONE);
			assert_int_equal(made.total_len, out.len);
			assert_int_equal(made.ttl, 64);
			assert_true(sl_l4_csum_ok(cut.p, &made));
			assert_memory_equal(cut.p + made.l4_off, codes[v6][k], 2);
			assert_int_equal(sl_load_be32(cut.p + made.l4_off + 4),
					 k == SL_ICMP_TOO_BIG ? 1280 : 0);
			assert_memory_equal(made.dst, i.src, v6 ? 16 : 4);
			assert_memory_equal(cut.p + made.l4_off + 8, e.p, e.len);
			/* no error about an error */
			free(out.p);
			out = error_of(&cut, &made, SL_ICMP_TIME_EXCEEDED,
				       v6 ? "2001:db8:1::1" : "192.0.2.1");
			assert_int_equal(out.len, 0);
			free(out.p);
			free(cut.p);
			free(e.p);
		}
	}
}

/** A UDP packet of `len` bytes in all, without L4 checksum. */
static struct exact
big(unsigned len, bool v6, struct sl_ip_info *i)
{
	struct exact e = {.p = calloc(1, len), .len = len};
	unsigned k;

	unhex(v6 ? PKT_UDP6 : PKT_UDP4, e.p);
	for (k = v6 ? 48 : 28; k < len; k++)
		e.p[k] = (uint8_t)k;
	sl_store_be16(e.p + (v6 ? 4 : 2), (uint16_t)(v6 ? len - 40 : len));
	sl_store_be16(e.p + (v6 ? 44 : 24), (uint16_t)(v6 ? len - 40 : len - 20));
	if (!v6)
		fix_ip4(e.p);
	assert_int_equal(exact_parse(&e, i), SL_DROP_NONE);
	return e;
}

static void
quote_length(void **state)
{
	struct sl_ip_info i, made;
	struct exact e, out;
	unsigned len, v6, max, head;

	for (v6 = 0; v6 < 2; v6++) {
		max = v6 ? 1280 : 576;
		head = v6 ? 48 : 28;
		for (len = 64; len<1500; len += len> max - head - 20 && len < max ? 1 : 19) {
			e = big(len, v6, &i);
			out = error_of(&e, &i, SL_ICMP_ADMIN, v6 ? "2001:db8:1::1" : "192.0.2.1");
			assert_int_equal(out.len, SL_MIN(len + head, max));
			assert_memory_equal(out.p + head, e.p, out.len - head);
			assert_int_equal(sl_ip_parse_packet(out.p, out.len, true, &made),
					 SL_DROP_NONE);
			assert_true(sl_l4_csum_ok(out.p, &made));
			free(out.p);
			free(e.p);
		}
	}
}

/** @return true if a packet with this source and destination may be answered by an error */
static bool
answered(const char *src, const char *dst)
{
	struct sl_ip s = ip(src), d = ip(dst);
	bool v6 = s.family == 6;
	struct exact e, out;
	struct sl_ip_info i;
	unsigned n = v6 ? 16 : 4;
	size_t len;

	e = exact_good(v6 ? PKT_UDP6 : PKT_UDP4, &i);
	memcpy(e.p + (v6 ? 8 : 12), s.b, n);
	memcpy(e.p + (v6 ? 24 : 16), d.b, n);
	out = error_of(&e, &i, SL_ICMP_NET_UNREACH, v6 ? "2001:db8:1::1" : "192.0.2.1");
	len = out.len;
	free(out.p);
	free(e.p);
	return len != 0;
}

static void
forbidden(void **state)
{
	struct sl_ip_info i;
	struct exact e, out;
	unsigned type;

	assert_true(answered("10.7.0.2", "192.0.2.9"));
	assert_false(answered("0.0.0.0", "192.0.2.9"));
	assert_false(answered("127.0.0.1", "192.0.2.9"));
	assert_false(answered("224.0.0.1", "192.0.2.9"));
	assert_false(answered("255.255.255.255", "192.0.2.9"));
	assert_false(answered("10.7.0.2", "224.0.0.5"));
	assert_false(answered("10.7.0.2", "255.255.255.255"));
	assert_false(answered("10.7.0.2", "127.0.0.1"));
	assert_false(answered("2001:db8::2", "::1"));
	assert_false(answered("::1", "2001:db8::2"));
	assert_true(answered("2001:db8::2", "2001:db8::9"));
	assert_false(answered("::", "2001:db8::9"));
	assert_false(answered("ff02::1", "2001:db8::9"));
	assert_false(answered("2001:db8::2", "ff02::1"));
	/* the own address is of the other family */
	e = exact_good(PKT_UDP4, &i);
	out = error_of(&e, &i, SL_ICMP_ADMIN, "2001:db8::1");
	assert_int_equal(out.len, 0);
	free(out.p);
	free(e.p);
	/* first fragments are answered, others are not */
	e = exact_good(PKT_FRAG4_1, &i);
	out = error_of(&e, &i, SL_ICMP_ADMIN, "192.0.2.1");
	assert_int_equal(out.len, 28 + e.len);
	free(out.p);
	free(e.p);
	e = exact_good(PKT_FRAG4_2, &i);
	out = error_of(&e, &i, SL_ICMP_ADMIN, "192.0.2.1");
	assert_int_equal(out.len, 0);
	free(out.p);
	free(e.p);
	e = exact_good(PKT_FRAG6_2, &i);
	out = error_of(&e, &i, SL_ICMP_ADMIN, "2001:db8:1::1");
	assert_int_equal(out.len, 0);
	free(out.p);
	free(e.p);
	/* each ICMP type: queries are answered, errors (and ICMPv6 redirects) are not */
	for (type = 0; type < 256; type++) {
		e = exact_good(PKT_PING4, &i);
		e.p[20] = (uint8_t)type;
		out = error_of(&e, &i, SL_ICMP_ADMIN, "192.0.2.1");
		assert_int_equal(out.len == 0,
				 type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
		free(out.p);
		free(e.p);
		e = exact_good(PKT_PING6, &i);
		e.p[40] = (uint8_t)type;
		out = error_of(&e, &i, SL_ICMP_ADMIN, "2001:db8:1::1");
		assert_int_equal(out.len == 0, type < 128 || type == 137);
		free(out.p);
		free(e.p);
	}
}

static void
echo(void **state)
{
	struct sl_ip_info i, r;
	struct exact e, before;
	unsigned v6, l4;

	for (v6 = 0; v6 < 2; v6++) {
		e = exact_good(v6 ? PKT_PING6 : PKT_PING4, &i);
		before = exact_copy(e.p, e.len);
		l4 = i.l4_off;
		assert_true(sl_icmp_echo_reply(e.p, &i));
		assert_int_equal(exact_parse(&e, &r), SL_DROP_NONE);
		assert_true(sl_l4_csum_ok(e.p, &r));
		assert_int_equal(e.p[l4], v6 ? 129 : 0);
		assert_int_equal(r.ttl, 64);
		assert_int_equal(r.tos, i.tos);
		assert_memory_equal(r.src, before.p + (v6 ? 24 : 16), v6 ? 16 : 4);
		assert_memory_equal(r.dst, before.p + (v6 ? 8 : 12), v6 ? 16 : 4);
		assert_memory_equal(e.p + l4 + 4, before.p + l4 + 4, e.len - l4 - 4);
		/* a reply is not answered */
		assert_false(sl_icmp_echo_reply(e.p, &r));
		free(before.p);
		free(e.p);
	}
}

/** Damage of one byte of a ping (with its checksum mended, or not) must leave it unanswered. */
static void
no_echo(const char *hex, unsigned at, uint8_t v, bool mend)
{
	struct sl_ip_info i;
	struct exact e = exact_hex(hex), before;

	e.p[at] = v;
	assert_int_equal(sl_ip_parse_packet(e.p, e.len, false, &i), SL_DROP_NONE);
	if (mend)
		fix_l4(e.p, &i, 2);
	before = exact_copy(e.p, e.len);
	assert_false(sl_icmp_echo_reply(e.p, &i));
	assert_memory_equal(e.p, before.p, e.len);
	free(before.p);
	free(e.p);
}

static void
echo_rejects(void **state)
{
	struct sl_ip_info i;
	struct exact e;

	no_echo(PKT_PING4, 21, 1, true);     /* code */
	no_echo(PKT_PING4, 20, 13, true);    /* timestamp */
	no_echo(PKT_PING4, 30, 0x55, false); /* checksum */
	no_echo(PKT_PING4, 16, 224, true);   /* to multicast */
	no_echo(PKT_PING4, 6, 0x20, true);   /* a fragment */
	no_echo(PKT_PING4, 9, 58, false);    /* the other family's protocol */
	no_echo(PKT_PING6, 41, 1, true);
	no_echo(PKT_PING6, 40, 127, true);
	no_echo(PKT_PING6, 50, 0x55, false);
	no_echo(PKT_PING6, 24, 0xff, true);
	no_echo(PKT_UDP4, 1, 0, false);
	/* options stay, and the header checksum holds over them */
	e = exact_hex(PKT_OPT4);
	e.p = realloc(e.p, 32);
	e.len = 32;
	memset(e.p + 24, 0, 8);
	e.p[24] = 8;
	e.p[9] = 1;
	e.p[3] = 32;
	fix_ip4(e.p);
	assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE);
	fix_l4(e.p, &i, 2);
	assert_true(sl_icmp_echo_reply(e.p, &i));
	assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE);
	assert_true(sl_l4_csum_ok(e.p, &i));
	free(e.p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_big),	cmocka_unit_test(kinds),
		cmocka_unit_test(quote_length), cmocka_unit_test(forbidden),
		cmocka_unit_test(echo),		cmocka_unit_test(echo_rejects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
