/* SPDX-License-Identifier: BSD-3-Clause */
/* Decrypted packets: version, lengths, source, nesting, fragments, ECN. */
#include "eal_main.h"
#include "gw_fixture.h"

static int
setup(void **state)
{
	*state = gw_new(&(struct gw_conf){0});
	return 0;
}

static int
teardown(void **state)
{
	gw_free(*state);
	return 0;
}

static struct gw_session session;

static void
open_session(struct gw *g)
{
	gw_session_current(g, 1, 1, &session);
}

/* Seal whatever bytes as the next packet of peer 1, with an outer TOS. */
static void
frame_of(struct gw_pkt *frame, const struct gw_pkt *inner, uint8_t outer_tos)
{
	gw_data(frame, &session, session.counter++, inner);
	if (outer_tos == 0)
		return;
	gw_pull(frame, 14);
	frame->b[1] = outer_tos;
	gw_fix4(frame);
	gw_eth(frame, gw_mac[GW_OUTSIDE], 0);
}

static void
drop(struct gw *g, const struct gw_pkt *inner, enum sl_drop reason)
{
	struct gw_pkt frame;

	frame_of(&frame, inner, 0);
	gw_expect_drop(g, GW_OUTSIDE, &frame, reason);
}

static void
pass(struct gw *g, const struct gw_pkt *inner, uint8_t outer_tos, struct gw_pkt *out)
{
	struct gw_pkt frame;

	frame_of(&frame, inner, outer_tos);
	gw_in(g, GW_OUTSIDE, 0, &frame);
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, out));
	gw_pull(out, 14);
}

static void
test_version(void **state)
{
	struct gw_pkt inner;
	unsigned v;

	open_session(*state);
	for (v = 0; v < 16; v++) {
		gw_inner(&inner, 20);
		inner.b[0] = (uint8_t)(v << 4 | 5);
		if (v != 4 && v != 6)
			drop(*state, &inner, SL_DROP_INNER_VERSION);
	}
}

static void
test_length(void **state)
{
	struct gw_pkt inner, out;

	open_session(*state);
	gw_inner(&inner, 100);
	inner.len = 96; /* shorter than its header says, also after padding */
	drop(*state, &inner, SL_DROP_INNER_LENGTH);
	gw_inner(&inner, 100);
	inner.len = 16;
	drop(*state, &inner, SL_DROP_INNER_LENGTH);
	gw_udp(&inner, GW_INNER6, GW_SERVER6, 1, 2, "0123456789", 10);
	inner.len = 32;
	drop(*state, &inner, SL_DROP_INNER_LENGTH);
	gw_inner(&inner, 100);
	inner.b[2] = 0;
	inner.b[3] = 19; /* total length below the header's */
	gw_fix4(&inner);
	drop(*state, &inner, SL_DROP_INNER_HEADER);
	gw_inner(&inner, 100);
	inner.b[10] ^= 1;
	drop(*state, &inner, SL_DROP_INNER_HEADER);
	gw_udp(&inner, "::", GW_SERVER6, 1, 2, "x", 1);
	drop(*state, &inner, SL_DROP_INNER_HEADER);
	gw_ip(&inner, GW_INNER4, GW_SERVER4, 17, "abc", 3);
	drop(*state, &inner, SL_DROP_L4_TRUNCATED);
	/* more padding than 16 is still only padding */
	gw_inner(&inner, 100);
	gw_pad(&inner, 200);
	pass(*state, &inner, 0, &out);
	assert_int_equal(out.len, 128);
}

static void
test_source(void **state)
{
	static const char *const bad[] = {"10.8.0.3", "10.8.0.4",  "10.8.0.1", "10.9.0.2",
					  "8.8.8.8",  "10.8.51.1", "10.20.0.9"};
	static const char *const good[] = {"10.8.0.2", "10.8.50.1", "10.8.50.255"};
	struct gw_pkt inner, out;
	unsigned i;

	open_session(*state);
	for (i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		gw_udp(&inner, bad[i], GW_SERVER4, 1, 2, "x", 1);
		drop(*state, &inner, SL_DROP_SPOOFED_SOURCE);
	}
	for (i = 0; i < SL_ARRAY_SIZE(good); i++) {
		gw_udp(&inner, good[i], GW_SERVER4, 1, 2, "x", 1);
		pass(*state, &inner, 0, &out);
	}
	gw_udp(&inner, "fd00:8::3", GW_SERVER6, 1, 2, "x", 1);
	drop(*state, &inner, SL_DROP_SPOOFED_SOURCE);
	gw_udp(&inner, "fd00:8::2", GW_SERVER6, 1, 2, "x", 1);
	pass(*state, &inner, 0, &out);
}

static void
give(struct gw *g, const char *prefix, unsigned len, uint32_t peer)
{
	struct sl_iface_view *f = &g->iface[1];
	struct sl_ip ip;

	assert_int_equal(sl_ip_parse(prefix, &ip), 0);
	assert_int_equal(ip.family == 4
				 ? sl_lpm_set(&f->peers4, &f->peers4, ip.b, len, peer, &g->garbage)
				 : sl_lpm_set(&f->peers6, &f->peers6, ip.b, len, peer, &g->garbage),
			 0);
	sl_lpm_seal(&g->garbage);
	g->root.generation++;
}

/* What is remembered of a source ends with the AllowedIPs that it was found in. */
static void
test_source_moves(void **state)
{
	static const char *const src[] = {"10.8.50.1", "fd00:8::2"};
	static const char *const dst[] = {GW_SERVER4, GW_SERVER6};
	static const unsigned len[] = {24, 128};
	struct gw_pkt inner, out;
	struct gw *g = *state;
	unsigned i, k;

	g->root.generation = 1;
	open_session(g);
	for (i = 0; i < 2; i++) {
		for (k = 0; k < 3; k++) {
			gw_udp(&inner, src[i], dst[i], 1, 2, "x", 1);
			pass(g, &inner, 0, &out);
			gw_udp(&inner, "10.8.0.2", GW_SERVER4, 1, 2, "x", 1);
			pass(g, &inner, 0, &out);
			gw_udp(&inner, "fd00:8::3", GW_SERVER6, 1, 2, "x", 1);
			drop(g, &inner, SL_DROP_SPOOFED_SOURCE);
			gw_udp(&inner, src[i], dst[i], 1, 2, "x", 1);
			pass(g, &inner, 0, &out);
			give(g, src[i], len[i], 2);
			drop(g, &inner, SL_DROP_SPOOFED_SOURCE);
			drop(g, &inner, SL_DROP_SPOOFED_SOURCE);
			give(g, src[i], len[i], 1);
		}
	}
}

/* A peer whose AllowedIPs hold the gateway's own address still cannot speak for it. */
static void
test_own_source(void **state)
{
	struct gw *g = *state;
	const uint8_t net[4] = {10, 8, 0, 0}, inside[4] = {10, 20, 0, 0};
	struct gw_pkt inner, out;

	open_session(g);
	assert_int_equal(sl_lpm_set(&g->iface[1].peers4, &g->iface[1].peers4, net, 24, 1,
				    &g->garbage),
			 0);
	sl_lpm_seal(&g->garbage);
	gw_udp(&inner, "10.8.0.1", GW_SERVER4, 1, 2, "x", 1);
	drop(g, &inner, SL_DROP_SPOOFED_SOURCE);
	/* nor the gateway's address on the inside, for a site that has that network too */
	assert_int_equal(sl_lpm_set(&g->iface[1].peers4, &g->iface[1].peers4, inside, 29, 1,
				    &g->garbage),
			 0);
	sl_lpm_seal(&g->garbage);
	gw_udp(&inner, "10.20.0.1", GW_SERVER4, 1, 2, "x", 1);
	drop(g, &inner, SL_DROP_SPOOFED_SOURCE);
	gw_udp(&inner, "10.20.0.5", GW_SERVER4, 1, 2, "x", 1);
	pass(g, &inner, 0, &out);
	gw_udp(&inner, "10.8.0.77", GW_SERVER4, 1, 2, "x", 1);
	pass(g, &inner, 0, &out);
}

static void
test_nested(void **state)
{
	struct gw_pkt inner, out;

	open_session(*state);
	gw_udp(&inner, GW_INNER4, GW_OUT4, 9, 51820, "x", 1);
	drop(*state, &inner, SL_DROP_NESTED_TUNNEL);
	gw_udp(&inner, GW_INNER4, "10.20.0.1", 9, 51821, "x", 1);
	drop(*state, &inner, SL_DROP_NESTED_TUNNEL);
	gw_udp(&inner, GW_INNER6, GW_OUT6, 9, 51820, "x", 1);
	drop(*state, &inner, SL_DROP_NESTED_TUNNEL);
	gw_udp(&inner, GW_INNER4, GW_SERVER4, 51820, 51820, "x", 1); /* somebody else's tunnel */
	pass(*state, &inner, 0, &out);
}

/* RFC 6040 figure 4: rows inner, columns outer; 9 = dropped. */
static void
test_ecn(void **state)
{
	static const uint8_t want[4][4] = {
		{0, 0, 0, 9}, /* Not-ECT */
		{1, 1, 1, 3}, /* ECT(1) */
		{2, 1, 2, 3}, /* ECT(0) */
		{3, 3, 3, 3}, /* CE */
	};
	struct gw_pkt inner, frame, out;
	unsigned in, outer;

	open_session(*state);
	for (in = 0; in < 4; in++) {
		for (outer = 0; outer < 4; outer++) {
			gw_inner(&inner, 30);
			inner.b[1] = (uint8_t)(0xb8 | in);
			gw_fix4(&inner);
			if (want[in][outer] == 9) {
				frame_of(&frame, &inner, (uint8_t)outer);
				gw_expect_drop(*state, GW_OUTSIDE, &frame, SL_DROP_ECN_CE);
				continue;
			}
			pass(*state, &inner, (uint8_t)outer, &out);
			assert_int_equal(out.b[1], 0xb8 | want[in][outer]);
			assert_int_equal(gw_csum(out.b, 20, 0), 0);
		}
	}
	gw_udp(&inner, GW_INNER6, GW_SERVER6, 1, 2, "x", 1);
	inner.b[1] |= 0x20; /* ECT(0) */
	pass(*state, &inner, 3, &out);
	assert_int_equal((out.b[1] >> 4) & 3, 3);
}

static void
fragment4(struct gw_pkt *p, unsigned l4, unsigned off, bool more)
{
	static uint8_t text[2048];

	memset(text, 0, sizeof(text));
	if (off == 0)
		memcpy(text, "\x10\x00\x20\x00\x0f\xff\0\0", 8);
	gw_ip(p, GW_INNER4, GW_SERVER4, 17, text, l4);
	p->b[4] = 7;
	p->b[6] = (uint8_t)((more ? 0x20 : 0) | (off / 8) >> 8);
	p->b[7] = (uint8_t)(off / 8);
	gw_fix4(p);
}

static void
test_first_fragment(void **state)
{
	struct gw_pkt inner, out;
	uint8_t v6[64] = {17, 0, 0, 1, 0, 0, 0, 9};

	open_session(*state);
	fragment4(&inner, 16, 0, true);
	drop(*state, &inner, SL_DROP_FRAG_SHORT);
	fragment4(&inner, 7, 0, true); /* cuts the UDP header itself */
	drop(*state, &inner, SL_DROP_FRAG_SHORT);
	fragment4(&inner, 24, 0, true);
	pass(*state, &inner, 0, &out);
	fragment4(&inner, 8, 24, false);
	pass(*state, &inner, 0, &out);
	assert_int_equal(out.len, 28);
	gw_ip(&inner, GW_INNER6, GW_SERVER6, 44, v6, 8 + 16);
	drop(*state, &inner, SL_DROP_FRAG_SHORT);
	gw_ip(&inner, GW_INNER6, GW_SERVER6, 44, v6, 8 + 4);
	drop(*state, &inner, SL_DROP_FRAG_SHORT);
}

static void
test_v6_ext(void **state)
{
	uint8_t ext[9 * 8] = {0};
	struct gw_pkt inner;
	unsigned i;

	open_session(*state);
	for (i = 0; i < 9; i++)
		ext[8 * i] = i == 8 ? 59 : 60;
	gw_ip(&inner, GW_INNER6, GW_SERVER6, 60, ext, sizeof(ext));
	drop(*state, &inner, SL_DROP_V6_EXT);
}

/* A full burst of both versions, in order within each. */
static void
test_burst(void **state)
{
	struct gw *g = *state;
	unsigned i, seen[2] = {0, 0};
	struct gw_pkt inner, frame, out;

	open_session(g);
	for (i = 0; i < 64; i++) {
		uint8_t n = (uint8_t)i;

		gw_udp(&inner, i & 1 ? GW_INNER6 : GW_INNER4, i & 1 ? GW_SERVER6 : GW_SERVER4, 1, 2,
		       &n, 1);
		frame_of(&frame, &inner, 0);
		gw_in(g, GW_OUTSIDE, 0, &frame);
	}
	gw_poll(g);
	for (i = 0; gw_out(g, GW_INSIDE, &out); i++) {
		unsigned v6 = out.b[14] >> 4 == 6;
		uint8_t n = out.b[out.len - 1];

		assert_int_equal(n & 1, v6);
		assert_int_equal(n, seen[v6] * 2 + v6);
		seen[v6]++;
	}
	assert_int_equal(i, 64);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_version),	 CASE(test_length),	    CASE(test_source),
		CASE(test_source_moves), CASE(test_own_source),	    CASE(test_nested),
		CASE(test_ecn),		 CASE(test_first_fragment), CASE(test_v6_ext),
		CASE(test_burst),
	};

	eal_start("test_pipeline_rx_inner");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
