/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "exact.h"

static const char *const good[] = {
	PKT_UDP4,    PKT_UDP4_ODD, PKT_TCP4, PKT_SYN4, PKT_SYN4_ODD, PKT_SYNACK6, PKT_OPT4,
	PKT_PING4,   PKT_PING6,	   PKT_UDP6, PKT_EXT6, PKT_FRAG4_1,  PKT_FRAG4_2, PKT_FRAG6_1,
	PKT_FRAG6_2, PKT_AH6,	   PKT_NS,   PKT_NA,   PKT_DAD,	     PKT_ERR4,	  PKT_ERR6,
};

static void
fields4(void **state)
{
	struct sl_ip_info i;
	struct exact e = exact_good(PKT_UDP4, &i);

	assert_int_equal(i.version, 4);
	assert_int_equal(i.proto, 17);
	assert_int_equal(i.tos, 0xb9);
	assert_int_equal(i.ttl, 61);
	assert_int_equal(i.l4_off, 20);
	assert_int_equal(i.total_len, e.len);
	assert_int_equal(i.frag_off, 0);
	assert_false(i.more_frags);
	assert_true(i.dont_frag);
	assert_int_equal(i.frag_id, 0x1234);
	assert_ptr_equal(i.src, e.p + 12);
	assert_ptr_equal(i.dst, e.p + 16);
	assert_int_equal(i.sport, 4000);
	assert_int_equal(i.dport, 53);
	free(e.p);
	e = exact_good(PKT_OPT4, &i);
	assert_int_equal(i.l4_off, 24);
	assert_int_equal(i.dport, 2);
	assert_false(i.dont_frag);
	free(e.p);
	e = exact_good(PKT_SYN4, &i);
	assert_int_equal(i.sport, 50000);
	assert_int_equal(i.dport, 443);
	free(e.p);
	e = exact_good(PKT_PING4, &i);
	assert_int_equal(i.sport, 0);
	assert_int_equal(i.dport, 0);
	free(e.p);
}

static void
fields6(void **state)
{
	struct sl_ip_info i;
	struct exact e = exact_good(PKT_UDP6, &i);

	assert_int_equal(i.version, 6);
	assert_int_equal(i.proto, 17);
	assert_int_equal(i.tos, 0xb9);
	assert_int_equal(i.ttl, 61);
	assert_int_equal(i.l4_off, 40);
	assert_int_equal(i.total_len, e.len);
	assert_true(i.dont_frag);
	assert_false(sl_ip_is_frag(&i));
	assert_ptr_equal(i.src, e.p + 8);
	assert_ptr_equal(i.dst, e.p + 24);
	assert_int_equal(i.sport, 4000);
	assert_int_equal(i.dport, 53);
	free(e.p);
	e = exact_good(PKT_EXT6, &i); /* hop-by-hop 8, destination 16, routing 24 */
	assert_int_equal(i.proto, 17);
	assert_int_equal(i.l4_off, 40 + 8 + 16 + 24);
	assert_int_equal(i.dport, 53);
	free(e.p);
	e = exact_good(PKT_AH6, &i);
	assert_int_equal(i.proto, 17);
	assert_int_equal(i.l4_off, 40 + 24);
	assert_int_equal(i.sport, 4000);
	free(e.p);
}

static void
fragments(void **state)
{
	static const char *const pkt[2][2] = {{PKT_FRAG4_1, PKT_FRAG4_2},
					      {PKT_FRAG6_1, PKT_FRAG6_2}};
	struct sl_ip_info i;
	struct exact e;
	unsigned v6;

	for (v6 = 0; v6 < 2; v6++) {
		e = exact_good(pkt[v6][0], &i);
		assert_true(sl_ip_is_frag(&i) && i.more_frags);
		assert_int_equal(i.frag_off, 0);
		assert_int_equal(i.frag_id, v6 ? 0xdeadbeef : 0x77);
		assert_int_equal(i.proto, 17);
		assert_int_equal(i.dport, 53);
		free(e.p);
		e = exact_good(pkt[v6][1], &i);
		assert_true(sl_ip_is_frag(&i) && !i.more_frags);
		assert_int_equal(i.frag_off, 24);
		assert_int_equal(i.frag_id, v6 ? 0xdeadbeef : 0x77);
		assert_int_equal(i.proto, 17);
		assert_int_equal(i.l4_off, v6 ? 48 : 20);
		assert_int_equal(i.dport, 0);
		free(e.p);
	}
}

/** Every packet cut at every length, and with bytes behind its end. */
static void
truncated(void **state)
{
	struct sl_ip_info whole, i;
	struct exact e, cut;
	uint8_t longer[300] = {0};
	unsigned n;
	size_t len;

	for (n = 0; n < SL_ARRAY_SIZE(good); n++) {
		e = exact_good(good[n], &whole);
		for (len = 0; len < e.len; len++) {
			cut = exact_copy(e.p, len);
			assert_int_equal(exact_parse(&cut, &i), SL_DROP_IP_TRUNCATED);
			free(cut.p);
		}
		memcpy(longer, e.p, e.len);
		assert_int_equal(sl_ip_parse_packet(longer, sizeof(longer), true, &i),
				 SL_DROP_NONE);
		assert_int_equal(i.total_len, e.len);
		assert_int_equal(i.l4_off, whole.l4_off);
		free(e.p);
	}
}

/** Every packet shortened together with its length field: the upper headers must be whole. */
static void
shortened(void **state)
{
	struct sl_ip_info whole, i;
	enum sl_drop d, want;
	struct exact e, cut;
	unsigned n, l4;
	size_t len;

	for (n = 0; n < SL_ARRAY_SIZE(good); n++) {
		e = exact_good(good[n], &whole);
		for (len = whole.version == 4 ? whole.l4_off : 40; len < e.len; len++) {
			cut = exact_copy(e.p, len);
			if (whole.version == 4) {
				sl_store_be16(cut.p + 2, (uint16_t)len);
				fix_ip4(cut.p);
			} else {
				sl_store_be16(cut.p + 4, (uint16_t)(len - 40));
			}
			l4 = whole.proto == 6 ? (e.p[whole.l4_off + 12] >> 4) * 4u : 8;
			if (whole.proto == 17 && !sl_ip_is_frag(&whole))
				l4 = sl_load_be16(e.p + whole.l4_off + 4);
			d = exact_parse(&cut, &i);
			if (len < whole.l4_off)
				want = SL_DROP_V6_EXT;
			else if (whole.frag_off == 0 && len < whole.l4_off + l4)
				want = SL_DROP_L4_TRUNCATED;
			else
				want = SL_DROP_NONE;
			assert_int_equal(d, want);
			free(cut.p);
		}
		free(e.p);
	}
}

/** The packet `hex` with the byte at `at` set and the IPv4 checksum mended. */
static enum sl_drop
with_byte(const char *hex, unsigned at, uint8_t v)
{
	struct exact e = exact_hex(hex);
	struct sl_ip_info i;
	enum sl_drop d;

	e.p[at] = v;
	if (e.p[0] >> 4 == 4 && (e.p[0] & 15) >= 5 && (e.p[0] & 15) * 4u <= e.len)
		fix_ip4(e.p);
	d = exact_parse(&e, &i);
	free(e.p);
	return d;
}

/** Every bit of the header counts in its checksum, unless the NIC has checked it. */
static void
bad_checksum(const char *hex)
{
	struct exact e = exact_hex(hex);
	struct sl_ip_info i;
	unsigned v;

	for (v = 8; v < (e.p[0] & 15) * 32u; v++) {
		if (v / 8 == 2 || v / 8 == 3)
			continue;
		e.p[v / 8] ^= (uint8_t)(1 << v % 8);
		assert_int_equal(exact_parse(&e, &i), SL_DROP_IP_CHECKSUM);
		assert_int_not_equal(sl_ip_parse_packet(e.p, e.len, false, &i),
				     SL_DROP_IP_CHECKSUM);
		e.p[v / 8] ^= (uint8_t)(1 << v % 8);
	}
	free(e.p);
}

static void
bad_headers(void **state)
{
	struct sl_ip_info i;
	unsigned v;

	assert_int_equal(sl_ip_parse_packet(NULL, 0, true, &i), SL_DROP_IP_TRUNCATED);
	for (v = 0; v < 16; v++) {
		if (v != 4 && v != 6)
			assert_int_equal(with_byte(PKT_UDP4, 0, (uint8_t)(v << 4 | 5)),
					 SL_DROP_IP_HEADER);
	}
	for (v = 0; v < 5; v++)
		assert_int_equal(with_byte(PKT_UDP4, 0, (uint8_t)(0x40 | v)), SL_DROP_IP_HEADER);
	assert_int_equal(with_byte(PKT_UDP4, 3, 19), SL_DROP_IP_HEADER);
	assert_int_equal(with_byte(PKT_UDP4, 3, 0), SL_DROP_IP_HEADER);
	assert_int_equal(with_byte(PKT_UDP4, 3, 0xff), SL_DROP_IP_TRUNCATED);
	assert_int_equal(with_byte(PKT_OPT4, 3, 23), SL_DROP_IP_HEADER);
	assert_int_equal(with_byte(PKT_UDP6, 4, 1), SL_DROP_IP_TRUNCATED);
	/* UDP length below 8, beyond the packet; TCP header length below 20, beyond the packet */
	assert_int_equal(with_byte(PKT_UDP4, 25, 7), SL_DROP_L4_TRUNCATED);
	assert_int_equal(with_byte(PKT_UDP4, 25, 22), SL_DROP_L4_TRUNCATED);
	assert_int_equal(with_byte(PKT_UDP4, 25, 20), SL_DROP_NONE);
	assert_int_equal(with_byte(PKT_TCP4, 32, 0x40), SL_DROP_L4_TRUNCATED);
	assert_int_equal(with_byte(PKT_TCP4, 32, 0xf0), SL_DROP_L4_TRUNCATED);
	assert_int_equal(with_byte(PKT_FRAG4_1, 25, 7), SL_DROP_L4_TRUNCATED);
	/* the other family's ICMP is only a number */
	assert_int_equal(with_byte(PKT_UDP4, 9, 58), SL_DROP_NONE);
	assert_int_equal(with_byte(PKT_UDP6, 6, 1), SL_DROP_NONE);
	bad_checksum(PKT_UDP4);
	bad_checksum(PKT_OPT4); /* its options, too */
}

static void
sources(void **state)
{
	static const struct {
		uint8_t first;
		enum sl_drop d;
	} v4[] = {
		{0, SL_DROP_IP_HEADER},	  {1, SL_DROP_NONE},	    {126, SL_DROP_NONE},
		{127, SL_DROP_IP_HEADER}, {128, SL_DROP_NONE},	    {223, SL_DROP_NONE},
		{224, SL_DROP_IP_HEADER}, {239, SL_DROP_IP_HEADER}, {240, SL_DROP_NONE},
	};
	struct sl_ip_info i;
	struct exact e;
	unsigned n;

	for (n = 0; n < SL_ARRAY_SIZE(v4); n++)
		assert_int_equal(with_byte(PKT_UDP4, 12, v4[n].first), v4[n].d);
	e = exact_hex(PKT_UDP4);
	memset(e.p + 12, 0xff, 4);
	fix_ip4(e.p);
	assert_int_equal(exact_parse(&e, &i), SL_DROP_IP_HEADER);
	memset(e.p + 12, 0, 4);
	fix_ip4(e.p);
	assert_int_equal(exact_parse(&e, &i), SL_DROP_IP_HEADER);
	free(e.p);
	assert_int_equal(with_byte(PKT_UDP6, 8, 0xff), SL_DROP_IP_HEADER);
	e = exact_hex(PKT_UDP6);
	memset(e.p + 8, 0, 16);
	assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE); /* :: is left to the caller */
	e.p[23] = 1;
	assert_int_equal(exact_parse(&e, &i), SL_DROP_IP_HEADER);
	e.p[23] = 2;
	assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE);
	memset(e.p + 24, 0, 16);
	assert_int_equal(exact_parse(&e, &i), SL_DROP_IP_HEADER);
	e.p[39] = 1;
	assert_int_equal(exact_parse(&e, &i), SL_DROP_IP_HEADER);
	e.p[39] = 2;
	assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE);
	free(e.p);
	assert_int_equal(with_byte(PKT_UDP4, 16, 127), SL_DROP_IP_HEADER);
	assert_int_equal(with_byte(PKT_UDP4, 16, 0), SL_DROP_IP_HEADER);
	assert_int_equal(with_byte(PKT_UDP4, 16, 224), SL_DROP_NONE);
	assert_int_equal(with_byte(PKT_UDP4, 16, 255), SL_DROP_NONE);
	assert_int_equal(with_byte(PKT_UDP6, 24, 0xff), SL_DROP_NONE);
}

static void
too_far_fragments(void **state)
{
	/* 65,528 + 24 bytes would end beyond the largest packet */
	assert_int_equal(with_byte(PKT_FRAG4_2, 6, 0x1f), SL_DROP_NONE);
	struct exact e = exact_hex(PKT_FRAG4_2);
	struct sl_ip_info i;

	sl_store_be16(e.p + 6, 0x1fff);
	fix_ip4(e.p);
	assert_int_equal(exact_parse(&e, &i), SL_DROP_IP_HEADER);
	sl_store_be16(e.p + 6, 0x1ffc);
	fix_ip4(e.p);
	assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE);
	assert_int_equal(i.frag_off, 65504);
	free(e.p);
	e = exact_hex(PKT_FRAG6_2);
	sl_store_be16(e.p + 42, 0xfff8);
	assert_int_equal(exact_parse(&e, &i), SL_DROP_IP_HEADER);
	sl_store_be16(e.p + 42, 0xffe0);
	assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE);
	assert_int_equal(i.frag_off, 65504);
	free(e.p);
}

/** IPv6 with the given chain of 8-byte extension headers before UDP.
 * @param more more fragments follow */
static enum sl_drop
chain_of(const uint8_t *types, unsigned n, bool more, struct sl_ip_info *i)
{
	uint8_t p[40 + 20 * 8 + 8] = {0x60};
	struct exact e;
	enum sl_drop d;
	unsigned k;

	sl_store_be16(p + 4, (uint16_t)(n * 8 + 8));
	p[6] = n > 0 ? types[0] : 17;
	p[8] = 0x20;
	p[24] = 0x20;
	for (k = 0; k < n; k++) {
		p[40 + k * 8] = k + 1 < n ? types[k + 1] : 17;
		p[40 + k * 8 + 3] = more && types[k] == 44;
	}
	sl_store_be16(p + 40 + n * 8 + 4, 8);
	e = exact_copy(p, 40 + n * 8 + 8);
	d = exact_parse(&e, i);
	free(e.p);
	return d;
}

static enum sl_drop
chain(const uint8_t *types, unsigned n, struct sl_ip_info *i)
{
	return chain_of(types, n, false, i);
}

static enum sl_drop
first_fragment(const uint8_t *types, unsigned n, struct sl_ip_info *i)
{
	return chain_of(types, n, true, i);
}

/** IPv4 with these options before UDP. */
static enum sl_drop
options(const uint8_t *opt, unsigned n)
{
	uint8_t p[60 + 8] = {[8] = 64, 17, [12] = 10, 1, 1, 1, 10, 2, 2, 2};
	unsigned hdr = 20 + (n + 3) / 4 * 4;
	struct sl_ip_info i;
	struct exact e;
	enum sl_drop d;

	p[0] = (uint8_t)(0x40 | hdr / 4);
	sl_store_be16(p + 2, (uint16_t)(hdr + 8));
	memcpy(p + 20, opt, n);
	sl_store_be16(p + hdr + 4, 8);
	e = exact_copy(p, hdr + 8);
	fix_ip4(e.p);
	d = exact_parse(&e, &i);
	if (d == SL_DROP_NONE)
		assert_int_equal(i.l4_off, hdr);
	free(e.p);
	return d;
}

static void
options_of_ipv4(void **state)
{
	static const struct {
		uint8_t n, opt[40];
		enum sl_drop want;
	} cases[] = {
		{0, {0}, SL_DROP_NONE},
		{4, {1, 1, 1, 0}, SL_DROP_NONE},
		{4, {148, 4, 0, 0}, SL_DROP_NONE},		     /* router alert */
		{12, {7, 11, 4}, SL_DROP_NONE},			     /* record route */
		{40, {68, 40, 5}, SL_DROP_NONE},		     /* timestamp, all room */
		{8, {131, 7, 4, 10, 3, 3, 3, 0}, SL_DROP_IP_HEADER}, /* loose source route */
		{8, {1, 137, 7, 4, 10, 3, 3, 3}, SL_DROP_IP_HEADER}, /* strict */
		{8, {131, 7, 8, 10, 3, 3, 3, 0}, SL_DROP_IP_HEADER}, /* at its end */
		{12, {148, 4, 0, 0, 131, 7, 4, 10, 3, 3, 3}, SL_DROP_IP_HEADER}, /* the second */
		{8, {0, 131, 7, 4, 10, 3, 3, 3}, SL_DROP_NONE},	   /* behind the end */
		{12, {148, 9, 0, 0, 131, 7, 4, 10}, SL_DROP_NONE}, /* inside another */
		{4, {148, 5, 0, 0}, SL_DROP_IP_HEADER},		   /* longer than there is */
		{4, {1, 1, 1, 148}, SL_DROP_IP_HEADER},		   /* without its length */
		{4, {148, 0, 0, 0}, SL_DROP_IP_HEADER},
		{4, {148, 1, 0, 0}, SL_DROP_IP_HEADER},
		{4, {1, 1, 1, 131}, SL_DROP_IP_HEADER},
	};

	for (unsigned k = 0; k < SL_ARRAY_SIZE(cases); k++)
		if (options(cases[k].opt, cases[k].n) != cases[k].want)
			fail_msg("case %u", k);
}

static void
extension_chains(void **state)
{
	static const uint8_t dest[10] = {60, 60, 60, 60, 60, 60, 60, 60, 60, 60};
	struct sl_ip_info i;
	unsigned n;

	for (n = 0; n <= 10; n++) {
		assert_int_equal(chain(dest, n, &i), n <= 8 ? SL_DROP_NONE : SL_DROP_V6_EXT);
		if (n <= 8) {
			assert_int_equal(i.proto, 17);
			assert_int_equal(i.l4_off, 40 + n * 8);
		}
	}
	assert_int_equal(chain((uint8_t[]){0, 60, 43, 44, 60}, 5, &i), SL_DROP_NONE);
	assert_false(sl_ip_is_frag(&i)); /* an atomic fragment */
	assert_int_equal(chain((uint8_t[]){0, 0}, 2, &i), SL_DROP_V6_EXT);
	assert_int_equal(chain((uint8_t[]){60, 0}, 2, &i), SL_DROP_V6_EXT);
	assert_int_equal(chain((uint8_t[]){44, 44}, 2, &i), SL_DROP_V6_EXT);
	assert_int_equal(chain((uint8_t[]){51}, 1, &i), SL_DROP_V6_EXT); /* AH of 8 bytes */
	/* no next header, ESP and unknown headers end the chain */
	assert_int_equal(chain((uint8_t[]){60, 59}, 2, &i), SL_DROP_NONE);
	assert_int_equal(i.proto, 59);
	assert_int_equal(chain((uint8_t[]){60, 50, 60}, 3, &i), SL_DROP_NONE);
	assert_int_equal(i.proto, 50);
	/* routing header: source routing with segments left, whatever its type */
	for (n = 0; n < 256; n++) {
		struct exact e = exact_hex(PKT_EXT6);

		e.p[40 + 24 + 2] = (uint8_t)n;
		assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE);
		e.p[40 + 24 + 3] = 1;
		assert_int_equal(exact_parse(&e, &i), SL_DROP_V6_EXT);
		free(e.p);
	}
	/* a first fragment shows its transport header behind the fragment header at once: a later
	 * one, which does not say what it overlaps, could write over ports */
	assert_int_equal(chain((uint8_t[]){44, 60}, 2, &i), SL_DROP_NONE); /* all of it is here */
	assert_int_equal(first_fragment((uint8_t[]){60, 44}, 2, &i), SL_DROP_NONE);
	assert_int_equal(first_fragment((uint8_t[]){44, 60}, 2, &i), SL_DROP_V6_EXT);
	assert_int_equal(first_fragment((uint8_t[]){44, 43}, 2, &i), SL_DROP_V6_EXT);
	/* an extension header that claims to be longer than the packet */
	assert_int_equal(with_byte(PKT_EXT6, 41, 200), SL_DROP_V6_EXT);
	/* a non-first fragment ends the walk: what follows is data */
	struct exact e = exact_hex(PKT_FRAG6_2);
	e.p[40] = 60;
	assert_int_equal(exact_parse(&e, &i), SL_DROP_NONE);
	assert_int_equal(i.proto, 60);
	assert_int_equal(i.l4_off, 48);
	free(e.p);
}

/** Random damage: whatever the parser accepts must be safe for all that works on its answer. */
static void
mutations(void **state)
{
	uint8_t out[SL_ICMP_ERROR_MAX], work[300];
	struct sl_ip own4 = sl_ip_v4((uint8_t[]){192, 0, 2, 1}), own6 = {.family = 6, .b = {0x20}};
	struct sl_neigh_msg m;
	struct sl_ip_info i;
	struct exact e, c;
	unsigned n, k, accepted = 0;

	srand(3);
	for (n = 0; n < 200000; n++) {
		e = exact_hex(good[(unsigned)rand() % SL_ARRAY_SIZE(good)]);
		for (k = (unsigned)rand() % 4; k > 0; k--)
			e.p[(unsigned)rand() % (rand() & 1 ? SL_MIN(e.len, 60) : e.len)] =
				(uint8_t)rand();
		if (sl_ip_parse_packet(e.p, e.len, false, &i) == SL_DROP_NONE) {
			accepted++;
			assert_true(i.total_len <= e.len && i.l4_off <= i.total_len);
			assert_true(e.len <= sizeof(work));
			memcpy(work, e.p, e.len);
			sl_l4_csum_ok(e.p, &i);
			k = sl_icmp_error(out, e.p, &i, (enum sl_icmp_kind)(n % 6), 1280,
					  i.version == 4 ? &own4 : &own6);
			assert_true(k <= (i.version == 4 ? 576 : 1280));
			sl_nd_parse(e.p, e.len, &i, &m);
			assert_memory_equal(work, e.p, e.len);
			sl_tcp_mss_clamp(e.p, &i, 1000);
			sl_icmp_echo_reply(e.p, &i);
			sl_ip_ttl_dec(e.p, i.version);
			sl_ip_set_ecn(e.p, i.version, 3);
		}
		c = exact_copy(e.p, (unsigned)rand() % (e.len + 1));
		sl_ip_parse_packet(c.p, c.len, true, &i);
		free(c.p);
		free(e.p);
	}
	assert_true(accepted > 20000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields4),	    cmocka_unit_test(fields6),
		cmocka_unit_test(fragments),	    cmocka_unit_test(truncated),
		cmocka_unit_test(shortened),	    cmocka_unit_test(bad_headers),
		cmocka_unit_test(sources),	    cmocka_unit_test(too_far_fragments),
		cmocka_unit_test(extension_chains), cmocka_unit_test(mutations),
		cmocka_unit_test(options_of_ipv4),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
