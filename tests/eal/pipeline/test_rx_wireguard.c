/* SPDX-License-Identifier: BSD-3-Clause */
/* WireGuard messages up to the plaintext: kinds and lanes, keypairs, replay, tags. */
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

/* A UDP payload of the client to our listen port. */
static void
message(struct gw_pkt *p, const void *payload, unsigned n)
{
	gw_udp(p, GW_CLIENT, GW_OUT4, GW_CLIENT_PORT, 51820, payload, n);
	gw_eth(p, gw_mac[GW_OUTSIDE], 0);
}

static void
drop(void **state, struct gw_pkt *p, enum sl_drop reason)
{
	gw_expect_drop(*state, GW_OUTSIDE, p, reason);
}

/* --- types 1 to 3 ------------------------------------------------------------------------ */

static const unsigned length_of[5] = {0, 148, 92, 64, 0};

static void
test_lengths(void **state)
{
	uint8_t b[200] = {0};
	struct gw_pkt p;
	unsigned type, n;

	for (type = 1; type <= 3; type++) {
		for (n = 4; n < 160; n++) {
			b[0] = (uint8_t)type;
			message(&p, b, n);
			if (n != length_of[type])
				drop(state, &p, SL_DROP_WG_LENGTH);
		}
	}
	for (n = 4; n < 32; n++) {
		b[0] = 4;
		message(&p, b, n);
		drop(state, &p, SL_DROP_WG_LENGTH);
	}
	for (n = 0; n < 4; n++) {
		message(&p, b, n);
		drop(state, &p, SL_DROP_NOT_WIREGUARD);
	}
	b[0] = 5;
	message(&p, b, 148);
	drop(state, &p, SL_DROP_NOT_WIREGUARD);
	b[0] = 4;
	b[2] = 1; /* reserved bytes are zero */
	message(&p, b, 148);
	drop(state, &p, SL_DROP_NOT_WIREGUARD);
}

static void
expect_lane(struct gw *g, const struct gw_pkt *p, unsigned lane, unsigned payload)
{
	const struct sl_meta *meta;
	struct rte_mbuf *m;
	unsigned i;

	gw_in(g, GW_OUTSIDE, 0, p);
	gw_poll(g);
	for (i = 0; i < SL_HS_LANES; i++) {
		m = gw_lane(g, 0, i);
		if (i != lane) {
			assert_null(m);
			continue;
		}
		assert_non_null(m);
		meta = sl_meta(m);
		assert_int_equal(meta->att, 1);
		assert_int_equal(meta->iface_id, 1);
		assert_int_equal(meta->counter, g->now_ns);
		assert_int_equal(m->pkt_len, meta->l4_off + 8u + payload);
		assert_memory_equal(rte_pktmbuf_mtod(m, void *), p->b + 14, m->pkt_len);
		rte_pktmbuf_free(m);
	}
}

static void
test_lanes(void **state)
{
	struct gw *g = *state;
	struct gw_session s;
	uint8_t b[148] = {1};
	uint32_t pending;
	struct gw_pkt p;

	message(&p, b, 148);
	expect_lane(g, &p, 2, 148);
	b[140] = 1; /* mac2 */
	message(&p, b, 148);
	gw_pad(&p, 9);
	expect_lane(g, &p, 1, 148);
	gw_udp(&p, GW_CLIENT6, GW_OUT6, GW_CLIENT_PORT, 51820, b, 148);
	gw_eth(&p, gw_mac[GW_OUTSIDE], 0);
	expect_lane(g, &p, 1, 148);

	assert_int_equal(sl_session_reserve(g->sessions, 0, 1, &pending), 0);
	memset(b, 0, sizeof(b));
	b[0] = 2;
	memcpy(b + 8, &pending, 4);
	message(&p, b, 92);
	expect_lane(g, &p, 0, 92);
	memset(b, 0, sizeof(b));
	b[0] = 3;
	memcpy(b + 4, &pending, 4);
	message(&p, b, 64);
	expect_lane(g, &p, 0, 64);

	gw_session(g, 1, false, 1, &s); /* live: a cookie may answer our response */
	memcpy(b + 4, &s.index, 4);
	message(&p, b, 64);
	expect_lane(g, &p, 0, 64);
	memset(b, 0, sizeof(b));
	b[0] = 2;
	memcpy(b + 8, &s.index, 4);
	message(&p, b, 92);
	drop(state, &p, SL_DROP_HS_NO_STATE);
	b[8] ^= 0x55;
	message(&p, b, 92);
	drop(state, &p, SL_DROP_WG_INDEX);
	b[0] = 3;
	message(&p, b, 64);
	drop(state, &p, SL_DROP_WG_INDEX);
	assert_int_equal(gw_all_drops(g), 3);
}

static void
test_handshake_checksum(void **state)
{
	struct gw *g = *state;
	uint8_t b[148] = {1};
	struct rte_mbuf *m;
	struct gw_pkt p;

	message(&p, b, 148);
	p.b[14 + 28 + 50] ^= 1;
	drop(state, &p, SL_DROP_L4_CHECKSUM);
	p.b[14 + 26] = 0; /* no checksum: correct for IPv4 */
	p.b[14 + 27] = 0;
	expect_lane(g, &p, 2, 148);
	message(&p, b, 148);
	p.b[14 + 28 + 50] ^= 1;
	m = gw_mbuf(g, &p);
	m->ol_flags = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	gw_in_mbuf(g, GW_OUTSIDE, 0, m);
	gw_poll(g);
	m = gw_lane(g, 0, 2);
	assert_non_null(m);
	rte_pktmbuf_free(m);
}

static void
test_lane_full(void **state)
{
	struct gw *g = *state;
	uint8_t b[148] = {1};
	struct rte_mbuf *m;
	struct gw_pkt p;
	unsigned n, kept = 0;

	message(&p, b, 148);
	for (n = 0; n < 1400; n++) {
		gw_in(g, GW_OUTSIDE, 0, &p);
		if (n % 32 == 31)
			gw_poll(g);
	}
	gw_poll(g);
	while ((m = gw_lane(g, 0, 2)) != NULL) {
		rte_pktmbuf_free(m);
		kept++;
	}
	assert_int_equal(kept, 1024);
	assert_int_equal(gw_drops(g, SL_DROP_HS_LANE_FULL), 1400 - 1024);
}

/* --- type 4 ------------------------------------------------------------------------------ */

static void
expect_passed(struct gw *g, const struct gw_pkt *frame, const struct gw_pkt *inner)
{
	struct gw_pkt out;

	gw_in(g, GW_OUTSIDE, 0, frame);
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
	assert_int_equal(out.len, 14 + inner->len);
	assert_memory_equal(out.b, gw_neighbour_mac[GW_INSIDE], 6);
	/* all but TTL and header checksum is as it was */
	assert_memory_equal(out.b + 14 + 20, inner->b + 20, inner->len - 20);
}

static void
test_sizes(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner;
	struct gw_session s;
	unsigned n;

	gw_session_current(g, 1, 1, &s);
	for (n = 0; n <= 1392; n += n < 40 ? 1 : 13) {
		gw_inner(&inner, n);
		gw_data(&p, &s, s.counter++, &inner);
		expect_passed(g, &p, &inner);
	}
	assert_int_equal(gw_all_drops(g), 0);
}

static void
test_outer_v6(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, msg;
	struct gw_session s;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 333);
	gw_seal(&msg, &s, 0, &inner);
	gw_udp(&p, GW_CLIENT6, GW_OUT6, 5, 51820, msg.b, msg.len);
	gw_eth(&p, gw_mac[GW_OUTSIDE], 0);
	expect_passed(g, &p, &inner);
}

static void
test_truncated(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, msg;
	struct gw_session s;
	unsigned n;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 100);
	gw_seal(&msg, &s, 0, &inner);
	for (n = 4; n < msg.len; n++) { /* with outer lengths that fit */
		message(&p, msg.b, n);
		drop(state, &p, n < 32 ? SL_DROP_WG_LENGTH : SL_DROP_AUTH_FAIL);
	}
	message(&p, msg.b, msg.len);
	expect_passed(g, &p, &inner); /* the failures have not moved the window */
	assert_int_equal(g->peer[1]->auth_failures, msg.len - 32);
}

static void
test_flipped(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, msg;
	struct gw_session s;
	unsigned n;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 20);
	gw_seal(&msg, &s, 5, &inner);
	for (n = 8; n < msg.len; n++) {
		msg.b[n] ^= (uint8_t)(1 << n % 8);
		message(&p, msg.b, msg.len);
		/* the top byte of the counter may exceed the limit of the key */
		drop(state, &p, SL_DROP_AUTH_FAIL);
		msg.b[n] ^= (uint8_t)(1 << n % 8);
	}
	message(&p, msg.b, msg.len);
	expect_passed(g, &p, &inner);
}

static void
test_index(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner;
	struct gw_session s, other;
	uint32_t pending;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 20);
	other = s;
	other.index ^= 1;
	gw_data(&p, &other, 0, &inner);
	drop(state, &p, SL_DROP_WG_INDEX);
	assert_int_equal(sl_session_reserve(g->sessions, 0, 1, &pending), 0);
	other.index = pending;
	gw_data(&p, &other, 0, &inner);
	drop(state, &p, SL_DROP_WG_INDEX);
	gw_session_current(g, 3, 3, &other); /* of wg2, sent to wg1's port */
	gw_data(&p, &other, 0, &inner);
	drop(state, &p, SL_DROP_WRONG_INTERFACE);
}

/* Counters of one packet each, in order, with the verdict: 8,128 behind the greatest is the last
 * one accepted. */
static void
test_replay(void **state)
{
	static const struct {
		uint64_t counter;
		bool fresh;
	} seq[] = {{0, true},	  {1, true},	 {1, false},	 {64, true},   {8127, true},
		   {8127, false}, {3, true},	 {8128, true},	 {8191, true}, {62, false},
		   {63, true},	  {20000, true}, {11871, false}, {11872, true}};
	struct gw *g = *state;
	struct gw_pkt p, inner;
	struct gw_session s;
	uint64_t replays = 0;
	unsigned i;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 64);
	for (i = 0; i < SL_ARRAY_SIZE(seq); i++) {
		gw_data(&p, &s, seq[i].counter, &inner);
		if (seq[i].fresh) {
			expect_passed(g, &p, &inner);
			continue;
		}
		drop(state, &p, SL_DROP_REPLAY);
		assert_int_equal(g->peer[1]->replays, ++replays);
	}
}

/* The same packet twice in one burst: both pass the check before the cipher. */
static void
test_replay_in_burst(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, out;
	struct gw_session s;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 64);
	gw_data(&p, &s, 7, &inner);
	gw_in(g, GW_OUTSIDE, 0, &p);
	gw_in(g, GW_OUTSIDE, 0, &p);
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
	assert_false(gw_out(g, GW_INSIDE, &out));
	assert_int_equal(gw_drops(g, SL_DROP_REPLAY), 1);
	assert_int_equal(g->peer[1]->replays, 1);
	assert_int_equal(g->peer[1]->rx_packets, 1);
}

static void
test_limits(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner;
	struct gw_session s;
	uint64_t limit = SL_WG_REJECT_AFTER_MESSAGES;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 64);
	gw_data(&p, &s, limit - 1, &inner);
	expect_passed(g, &p, &inner);
	gw_data(&p, &s, limit, &inner);
	drop(state, &p, SL_DROP_KEYPAIR_EXPIRED);
	gw_data(&p, &s, UINT64_MAX, &inner);
	drop(state, &p, SL_DROP_KEYPAIR_EXPIRED);
	gw_data(&p, &s, limit - 2, &inner);
	expect_passed(g, &p, &inner);
	gw_later(g, 180 * SL_NS_PER_S - 1);
	gw_data(&p, &s, limit - 3, &inner);
	expect_passed(g, &p, &inner);
	gw_later(g, 1);
	gw_data(&p, &s, limit - 4, &inner);
	drop(state, &p, SL_DROP_KEYPAIR_EXPIRED);
}

/* hs derives a key a moment after this poll's clock was read. */
static void
test_born_ahead(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner;
	struct gw_session s;

	g->now_ns += 1000;
	gw_session_current(g, 1, 1, &s);
	g->now_ns -= 1000;
	gw_inner(&inner, 64);
	gw_data(&p, &s, 0, &inner);
	expect_passed(g, &p, &inner);
}

static void
test_peer_down(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner;
	struct gw_session s;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 64);
	gw_data(&p, &s, 0, &inner);
	atomic_store(&g->peer[1]->enabled, 0);
	drop(state, &p, SL_DROP_PEER_DOWN);
	atomic_store(&g->peer[1]->enabled, 1);
	atomic_store(&g->peer[1]->gone, 1);
	drop(state, &p, SL_DROP_PEER_DOWN);
	atomic_store(&g->peer[1]->gone, 0);
	atomic_store(&g->peer[1]->expires_tick, sl_tick_of(g->now_ns));
	drop(state, &p, SL_DROP_PEER_DOWN);
	atomic_store(&g->peer[1]->expires_tick, sl_tick_of(g->now_ns) + 1);
	expect_passed(g, &p, &inner);
	g->iface[1].up = false;
	gw_data(&p, &s, 1, &inner);
	drop(state, &p, SL_DROP_PEER_DOWN);
}

/* Packets of several peers, good and bad ones, mixed in one burst. */
static void
test_mixed_burst(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, out;
	struct gw_session s[3];
	unsigned i, good = 0;

	gw_session_current(g, 1, 1, &s[1]);
	gw_session_current(g, 2, 2, &s[2]);
	for (i = 0; i < 32; i++) {
		unsigned k = 1 + (i / 3) % 2;

		gw_udp(&inner, k == 1 ? "10.8.0.2" : "10.8.0.3", GW_SERVER4, 1, (uint16_t)i, "data",
		       4);
		gw_data(&p, &s[k], i, &inner);
		if (i % 5 == 4)
			p.b[p.len - 1] ^= 1;
		else
			good++;
		gw_in(g, GW_OUTSIDE, 0, &p);
	}
	gw_poll(g);
	for (i = 0; gw_out(g, GW_INSIDE, &out); i++)
		;
	assert_int_equal(i, good);
	assert_int_equal(gw_drops(g, SL_DROP_AUTH_FAIL), 32 - good);
	assert_int_equal(g->peer[1]->rx_packets + g->peer[2]->rx_packets, good);
	assert_int_equal(g->peer[1]->auth_failures + g->peer[2]->auth_failures, 32 - good);
}

static void
test_rows(void **state)
{
	struct gw *g = *state;
	const struct sl_stats_stage_counts *row =
		&g->dp->worker[0]->stats->stage[SL_STATS_POST_DECRYPT];
	struct gw_pkt p, inner = {.len = 0};
	struct gw_session s;

	gw_session_current(g, 1, 1, &s);
	gw_data(&p, &s, 0, &inner); /* a keepalive */
	drop(state, &p, SL_DROP_LOCAL_CONSUMED);
	gw_inner(&inner, 10);
	gw_data(&p, &s, 1, &inner);
	expect_passed(g, &p, &inner);
	drop(state, &p, SL_DROP_REPLAY);
	gw_data(&p, &s, 2, &inner);
	p.b[p.len - 1] ^= 1;
	drop(state, &p, SL_DROP_AUTH_FAIL);
	assert_int_equal(row->total, 4);
	assert_int_equal(row->passed, 1);
	assert_int_equal(row->dropped, 2);
	assert_int_equal(row->decrypt_success, 2);
	assert_int_equal(row->decrypt_failure, 1);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_lengths),	CASE(test_lanes),
		CASE(test_lane_full),	CASE(test_handshake_checksum),
		CASE(test_sizes),	CASE(test_outer_v6),
		CASE(test_truncated),	CASE(test_flipped),
		CASE(test_index),	CASE(test_replay),
		CASE(test_limits),	CASE(test_replay_in_burst),
		CASE(test_born_ahead),	CASE(test_peer_down),
		CASE(test_mixed_burst), CASE(test_rows),
	};

	eal_start("test_pipeline_rx_wireguard");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
