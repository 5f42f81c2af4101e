/* SPDX-License-Identifier: BSD-3-Clause */
/* Outer fragments to the gateway: put together within bounds, else counted. */
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

/* Bytes [off, off + n) of the IP payload of `whole` as one frame. */
static void
fragment(struct gw_pkt *out, const struct gw_pkt *whole, uint16_t id, unsigned off, unsigned n)
{
	const bool v6 = whole->b[0] >> 4 == 6;
	const unsigned head = v6 ? 40 : 20, total = whole->len - head;
	const unsigned field = off | (off + n < total ? (v6 ? 1 : 0) : 0);

	memcpy(out->b, whole->b, head);
	out->len = head;
	if (v6) {
		uint8_t ext[8] = {17, 0, (uint8_t)(field >> 8), (uint8_t)field,
				  0,  0, (uint8_t)(id >> 8),	(uint8_t)id};

		out->b[4] = (uint8_t)((n + 8) >> 8);
		out->b[5] = (uint8_t)(n + 8);
		out->b[6] = 44;
		memcpy(out->b + 40, ext, 8);
		out->len += 8;
	} else {
		out->b[2] = (uint8_t)((20 + n) >> 8);
		out->b[3] = (uint8_t)(20 + n);
		out->b[4] = (uint8_t)(id >> 8);
		out->b[5] = (uint8_t)id;
		out->b[6] = (uint8_t)((off / 8) >> 8 | (off + n < total ? 0x20 : 0));
		out->b[7] = (uint8_t)(off / 8);
		gw_fix4(out);
	}
	memcpy(out->b + out->len, whole->b + head + off, n);
	out->len += n;
	gw_eth(out, gw_mac[GW_OUTSIDE], 0);
}

/* Cut into pieces of `size`, in the order of arrival given by `step` (1, or -1 for backwards). */
static void
send_cut(struct gw *g, const struct gw_pkt *whole, uint16_t id, unsigned size, int step)
{
	const unsigned total = whole->len - (whole->b[0] >> 4 == 6 ? 40 : 20);
	const int n = (int)((total + size - 1) / size);
	struct gw_pkt f;
	int i;

	for (i = step > 0 ? 0 : n - 1; i >= 0 && i < n; i += step) {
		unsigned off = (unsigned)i * size;

		fragment(&f, whole, id, off, SL_MIN(size, total - off));
		gw_pad(&f, f.len < 60 ? 60 - f.len : 0);
		gw_in(g, GW_OUTSIDE, 0, &f);
	}
	gw_poll(g);
}

static void
datagram(struct gw_pkt *p, const struct gw_session *s, uint64_t counter, bool v6, unsigned n)
{
	struct gw_pkt inner, msg;

	gw_inner(&inner, n);
	gw_seal(&msg, s, counter, &inner);
	gw_udp(p, v6 ? GW_CLIENT6 : GW_CLIENT, v6 ? GW_OUT6 : GW_OUT4, 7, 51820, msg.b, msg.len);
}

static void
test_data(void **state)
{
	struct gw *g = *state;
	struct gw_pkt whole, out;
	struct gw_session s;
	uint64_t counter = 0;
	unsigned v6, size;
	int step;

	gw_session_current(g, 1, 1, &s);
	for (v6 = 0; v6 < 2; v6++) {
		for (size = 304; size < 1400; size += 488) {
			for (step = -1; step < 2; step += 2) {
				datagram(&whole, &s, counter++, v6, 1300);
				send_cut(g, &whole, (uint16_t)(100 + counter), size, step);
				assert_true(gw_out(g, GW_INSIDE, &out));
				assert_int_equal(out.len, 14 + 28 + 1300);
			}
		}
	}
	assert_int_equal(gw_all_drops(g), 0);
	assert_int_equal(g->peer[1]->rx_packets, counter);
	/* the endpoint is read from the headers of the whole */
	assert_int_equal(g->peer[1]->path.outer.dport, 7);
	assert_int_equal(g->peer[1]->path.outer.dst.family, 6);
}

static void
test_handshake(void **state)
{
	struct gw *g = *state;
	uint8_t b[148] = {1};
	struct rte_mbuf *m;
	struct gw_pkt whole;
	unsigned v6;

	for (v6 = 0; v6 < 2; v6++) {
		gw_udp(&whole, v6 ? GW_CLIENT6 : GW_CLIENT, v6 ? GW_OUT6 : GW_OUT4, 7, 51820, b,
		       148);
		send_cut(g, &whole, 9, 64, 1);
		m = gw_lane(g, 0, 2);
		assert_non_null(m);
		assert_int_equal(m->pkt_len, (v6 ? 40u : 20u) + 8 + 148);
		assert_int_equal(sl_meta(m)->l4_off, v6 ? 40 : 20);
		rte_pktmbuf_free(m);
		whole.b[whole.len - 1] ^= 1;
		send_cut(g, &whole, 10, 64, 1);
		assert_null(gw_lane(g, 0, 2));
		assert_int_equal(gw_drops(g, SL_DROP_L4_CHECKSUM), v6 + 1);
	}
}

static void
test_no_listener(void **state)
{
	struct gw *g = *state;
	struct gw_pkt whole, f;
	uint8_t b[400] = {0};

	gw_udp(&whole, GW_CLIENT, GW_OUT4, 7, 99, b, sizeof(b));
	fragment(&f, &whole, 1, 0, 200); /* the first one knows its port */
	gw_expect_drop(g, GW_OUTSIDE, &f, SL_DROP_FRAG_OUTER);
	gw_udp(&whole, GW_CLIENT, GW_OUT4, 7, 51820, b, sizeof(b));
	send_cut(g, &whole, 2, 200, 1);
	assert_int_equal(gw_drops(g, SL_DROP_NOT_WIREGUARD), 1);
}

static void
test_timeout(void **state)
{
	struct gw *g = *state;
	struct gw_pkt whole, f, out;
	struct gw_session s;

	gw_session_current(g, 1, 1, &s);
	datagram(&whole, &s, 0, false, 1000);
	fragment(&f, &whole, 5, 0, 504);
	gw_in(g, GW_OUTSIDE, 0, &f);
	gw_poll(g);
	gw_later(g, SL_NS_PER_S - SL_TICK_NS);
	assert_int_equal(gw_all_drops(g), 0);
	gw_later(g, 2 * SL_TICK_NS);
	gw_later(g, SL_TICK_NS);
	assert_int_equal(gw_drops(g, SL_DROP_FRAG_OUTER), 1);
	fragment(&f, &whole, 5, 504, whole.len - 20 - 504); /* too late */
	gw_in(g, GW_OUTSIDE, 0, &f);
	gw_poll(g);
	gw_later(g, 2 * SL_NS_PER_S);
	gw_later(g, SL_TICK_NS);
	assert_int_equal(gw_drops(g, SL_DROP_FRAG_OUTER), 2);
	assert_false(gw_out(g, GW_INSIDE, &out));
}

/* First fragments of many datagrams whose rest never comes: bounded, and every buffer comes back.
 */
static void
test_flood(void **state)
{
	struct gw *g = *state;
	struct gw_pkt whole, f, out;
	struct gw_session s;
	unsigned i;

	gw_session_current(g, 1, 1, &s);
	datagram(&whole, &s, 0, false, 1000);
	for (i = 0; i < 4000; i++) {
		fragment(&f, &whole, (uint16_t)i, 0, 504);
		gw_in(g, GW_OUTSIDE, 0, &f);
		if (i % 32 == 31)
			gw_poll(g);
	}
	gw_poll(g);
	assert_true(rte_mempool_avail_count(g->pool) >= GW_POOL - GW_POOL / 8);
	for (i = 0; i < 60; i++)
		gw_later(g, SL_TICK_NS);
	assert_int_equal(gw_drops(g, SL_DROP_FRAG_OUTER), 4000);
	send_cut(g, &whole, 7, 504, 1);
	assert_true(gw_out(g, GW_INSIDE, &out));
}

/* Datagrams of which eight pieces came and the first one did not: the buffers of the ports are not
 * for them. */
static void
test_flood_of_pieces(void **state)
{
	struct gw *g = *state;
	struct gw_pkt whole, f, out;
	struct gw_session s;
	unsigned i, k;

	gw_session_current(g, 1, 1, &s);
	datagram(&whole, &s, 0, false, 1000);
	for (i = 0; i < 500; i++) {
		for (k = 1; k < 8; k++) {
			fragment(&f, &whole, (uint16_t)i, k * 64, 64);
			gw_in(g, GW_OUTSIDE, 0, &f);
		}
		if (i % 4 == 3)
			gw_poll(g);
	}
	assert_true(rte_mempool_avail_count(g->pool) >= GW_POOL - GW_POOL / 8);
	for (i = 0; i < 60; i++)
		gw_later(g, SL_TICK_NS);
	assert_int_equal(gw_drops(g, SL_DROP_FRAG_OUTER), 500 * 7);
	assert_int_equal(rte_mempool_avail_count(g->pool), GW_POOL);
	for (i = 0; i < 300; i++) { /* what was put together is not counted for ever */
		datagram(&whole, &s, i, false, 1000);
		send_cut(g, &whole, (uint16_t)(1000 + i), 304, 1);
		assert_true(gw_out(g, GW_INSIDE, &out));
	}
}

static void
test_odd(void **state)
{
	struct gw *g = *state;
	uint8_t ext[32] = {44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 1};
	struct gw_pkt whole, f;
	struct gw_session s;

	/* an extension header before the fragment header */
	ext[16 + 2] = 51820 >> 8;
	ext[16 + 3] = 51820 & 0xff;
	ext[16 + 5] = 40;
	gw_ip(&f, GW_CLIENT6, GW_OUT6, 60, ext, 32);
	gw_eth(&f, gw_mac[0], 0);
	gw_expect_drop(g, GW_OUTSIDE, &f, SL_DROP_FRAG_OUTER);
	/* larger than a buffer when whole */
	gw_session_current(g, 1, 1, &s);
	datagram(&whole, &s, 0, false, 4000);
	send_cut(g, &whole, 3, 1400, 1);
	assert_int_equal(gw_drops(g, SL_DROP_CHAINED), 1);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_data),    CASE(test_handshake), CASE(test_no_listener),
		CASE(test_timeout), CASE(test_flood),	  CASE(test_flood_of_pieces),
		CASE(test_odd),
	};

	eal_start("test_pipeline_rx_reass");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
