/* SPDX-License-Identifier: BSD-3-Clause */
/* When a home asks hs for another one: where a peer's packets come in, and load. hs is not here;
 * its side of the messages is played. */
#include "eal_main.h"
#include "gw_fixture.h"

#define SECOND (SL_NS_PER_S / SL_TICK_NS)
#define CYCLES UINT64_C(1000000000000) /* far more than the tests themselves take */

static int
setup(void **state)
{
	*state = gw_new(&(struct gw_conf){.workers = 2});
	return 0;
}

static int
setup3(void **state)
{
	*state = gw_new(&(struct gw_conf){.workers = 3});
	return 0;
}

static int
setup_io(void **state)
{
	*state = gw_new(&(struct gw_conf){.workers = 2, .io = 1});
	return 0;
}

static int
teardown(void **state)
{
	gw_free(*state);
	return 0;
}

static const char *const inner_of[GW_PEERS] = {NULL, "10.8.0.2", "10.8.0.3"};

static void
make_frame(struct gw_pkt *p, unsigned peer, struct gw_session *s)
{
	struct gw_pkt inner;

	gw_udp(&inner, inner_of[peer], GW_SERVER4, 1, 2, "x", 1);
	gw_data(p, s, s->counter++, &inner);
}

static void
drain(struct gw *g, unsigned want)
{
	struct gw_pkt out;
	unsigned n;

	gw_poll(g);
	for (n = 0; gw_out(g, GW_INSIDE, &out); n++)
		;
	assert_int_equal(n, want);
}

/* n[q] packets at queue q. */
static void
feed(struct gw *g, unsigned peer, struct gw_session *s, const unsigned n[3])
{
	struct gw_pkt p;
	unsigned q, i;

	for (q = 0; q < g->lcores; q++) {
		for (i = 0; i < n[q]; i++) {
			make_frame(&p, peer, s);
			gw_in(g, GW_OUTSIDE, q, &p);
		}
		drain(g, n[q]);
	}
}

/* The same in each of some ticks. */
static void
flow(struct gw *g, struct gw_session *s, unsigned ticks, unsigned q0, unsigned q1, unsigned q2)
{
	const unsigned n[3] = {q0, q1, q2};

	while (ticks-- > 0) {
		gw_later(g, SL_TICK_NS);
		feed(g, 1, s, n);
	}
}

/* @return true if the peer's home asked since the last time; a hint comes with it */
static bool
asked(struct gw *g, unsigned peer)
{
	uint32_t events = atomic_exchange(&g->peer[peer]->events, 0);
	static unsigned hints[GW_PEERS + 1];
	struct sl_wk_ack ack[16];
	unsigned i, k, n;

	for (i = 0; i < g->lcores; i++)
		while ((n = sl_mbox_get(g->dp->worker[i]->to_hs, ack, SL_ARRAY_SIZE(ack))) != 0)
			for (k = 0; k < n; k++)
				hints[ack[k].peer_id] += ack[k].type == SL_ACK_HINT;
	assert_int_equal(hints[peer] != 0, events != 0);
	hints[peer] = 0;
	return (events & SL_PEER_EV_REHOME) != 0;
}

static unsigned
wish(const struct gw *g, unsigned peer)
{
	return atomic_load(&g->peer[peer]->wish);
}

static void
rehome(struct gw *g, unsigned peer, unsigned to)
{
	struct sl_wk_msg msg = {.type = SL_WK_REHOME_OUT, .peer_id = peer, .home = (uint16_t)to};

	assert_true(sl_mbox_put(g->dp->worker[g->peer[peer]->home]->from_hs, &msg));
	gw_poll(g);
	assert_int_equal(g->peer[peer]->home, to);
	(void)asked(g, peer);
}

/* --- way --------------------------------------------------------------------------------- */

static void
test_other_queue(void **state)
{
	struct gw *g = *state;
	struct gw_session s;

	gw_session_current(g, 1, 1, &s);
	flow(g, &s, SECOND, 0, 8, 0);
	assert_false(asked(g, 1)); /* not before the second is over */
	flow(g, &s, 1, 0, 8, 0);
	assert_true(asked(g, 1));
	assert_int_equal(wish(g, 1), 1);
	/* hs refuses: no more for 10 s */
	flow(g, &s, 10 * SECOND - 1, 0, 8, 0);
	assert_false(asked(g, 1));
	flow(g, &s, SECOND + 1, 0, 8, 0);
	assert_true(asked(g, 1));
}

static void
test_own_queue(void **state)
{
	struct gw *g = *state;
	struct gw_session s;

	g->peer[1]->home = 1;
	gw_session_current(g, 1, 1, &s);
	flow(g, &s, 3 * SECOND, 0, 20, 0);
	assert_false(asked(g, 1));
	flow(g, &s, 3 * SECOND, 10, 10, 0); /* half is not more than half */
	assert_false(asked(g, 1));
	flow(g, &s, 2 * SECOND, 11, 10, 0);
	assert_true(asked(g, 1));
	assert_int_equal(wish(g, 1), 0);
}

static void
test_few_packets(void **state)
{
	struct gw *g = *state;
	struct gw_session s;
	unsigned i;

	gw_session_current(g, 1, 1, &s);
	flow(g, &s, 3 * SECOND, 0, 6, 0);
	assert_false(asked(g, 1));
	/* many at once, and long after them a few: that is no second of traffic */
	flow(g, &s, 1, 0, 150, 0);
	for (i = 0; i < 3; i++) {
		gw_later(g, 2 * SL_NS_PER_S);
		flow(g, &s, 1, 0, 1, 0);
	}
	assert_false(asked(g, 1));
}

/* Three workers: the one that brings most is found, whoever comes first. */
static void
test_most_from(void **state)
{
	struct gw *g = *state;
	struct gw_session s;

	gw_session_current(g, 1, 1, &s);
	flow(g, &s, 3 * SECOND, 4, 8, 8); /* nobody brings more than half */
	assert_false(asked(g, 1));
	flow(g, &s, 3 * SECOND, 0, 8, 11);
	assert_true(asked(g, 1));
	assert_int_equal(wish(g, 1), 2);
}

/* An io lcore hands over to any home: no reason to move. */
static void
test_io(void **state)
{
	struct gw *g = *state;
	struct gw_session s;

	gw_session_current(g, 1, 1, &s);
	flow(g, &s, 3 * SECOND, 0, 0, 20);
	assert_false(asked(g, 1));
	flow(g, &s, 3 * SECOND, 0, 10, 10);
	assert_false(asked(g, 1));
	flow(g, &s, 2 * SECOND, 0, 12, 10);
	assert_true(asked(g, 1));
	assert_int_equal(wish(g, 1), 1);
}

/* Not within 10 s of a move, and then by what comes after it. */
static void
test_after_move(void **state)
{
	struct gw *g = *state;
	struct gw_session s, fresh;

	gw_session_current(g, 1, 1, &s);
	flow(g, &s, SECOND + 1, 0, 8, 0);
	assert_true(asked(g, 1));
	rehome(g, 1, 1);
	gw_session_current(g, 1, 2, &fresh);
	flow(g, &fresh, 10 * SECOND - 1, 8, 0, 0); /* it comes in at worker 0 again */
	assert_false(asked(g, 1));
	flow(g, &fresh, SECOND + 1, 8, 0, 0);
	assert_true(asked(g, 1));
	assert_int_equal(wish(g, 1), 0);
	/* the same after a move that a handshake was the reason of */
	rehome(g, 1, 0);
	gw_later(g, SL_NS_PER_S);
	rehome(g, 1, 1);
	flow(g, &fresh, 9 * SECOND, 8, 0, 0);
	assert_false(asked(g, 1));
}

/* Keypairs of the old home: what came in at the new one and was only opened there is at home. */
static void
test_old_keypair(void **state)
{
	struct gw *g = *state;
	struct gw_session s;

	g->peer[1]->home = 1;
	gw_session_current(g, 1, 1, &s); /* owned by worker 1 */
	rehome(g, 1, 0);
	gw_later(g, 11 * SL_NS_PER_S);
	flow(g, &s, 3 * SECOND, 20, 0, 0);
	assert_false(asked(g, 1));
	flow(g, &s, 3 * SECOND, 10, 10, 0);
	assert_false(asked(g, 1));
	flow(g, &s, 2 * SECOND, 10, 11, 0); /* came in where it is opened */
	assert_true(asked(g, 1));
	assert_int_equal(wish(g, 1), 1);
}

/* What is not authentic, or comes twice, moves nobody. */
static void
test_forged(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, good;
	struct gw_session s;
	unsigned tick, i;

	gw_session_current(g, 1, 1, &s);
	for (tick = 0; tick < 3 * SECOND; tick++) {
		flow(g, &s, 1, 10, 0, 0);
		make_frame(&good, 1, &s);
		for (i = 0; i < 32; i++) {
			p = good;
			if (i % 2 != 0)
				p.b[p.len - 1] ^= 1;
			gw_in(g, GW_OUTSIDE, 1, &p);
		}
		drain(g, 1);
	}
	assert_false(asked(g, 1));
	assert_int_equal(gw_drops(g, SL_DROP_AUTH_FAIL), 3 * SECOND * 16);
	assert_int_equal(gw_drops(g, SL_DROP_REPLAY), 3 * SECOND * 15);
}

/* In one burst of the owner, packets of two peers from a ring and from its own queue. */
static void
test_mixed_burst(void **state)
{
	struct gw *g = *state;
	struct gw_session s[2];
	unsigned tick, i, q;
	struct gw_pkt p;

	gw_session_current(g, 1, 1, &s[0]);
	gw_session_current(g, 2, 2, &s[1]);
	for (tick = 0; tick < SECOND + 1; tick++) {
		gw_later(g, SL_TICK_NS);
		for (i = 0; i < 16; i++) {
			for (q = 0; q < 2; q++) { /* peer 1: 12 of 16 at queue 1; peer 2: 4 */
				make_frame(&p, q + 1, &s[q]);
				gw_in(g, GW_OUTSIDE, (i < 4) == (q == 1), &p);
			}
		}
		sl_worker_poll(g->dp->worker[1], g->now_ns); /* then the owner finds both */
		drain(g, 32);
	}
	assert_int_equal(wish(g, 1), 1);
	assert_true(atomic_load(&g->peer[1]->events) & SL_PEER_EV_REHOME);
	assert_false(atomic_load(&g->peer[2]->events) & SL_PEER_EV_REHOME);
}

/* --- load -------------------------------------------------------------------------------- */

/* A second of traffic at worker 0 for both peers, with these shares of busy cycles. */
static void
loaded_second(struct gw *g, struct gw_session s[2], unsigned n1, unsigned n2, unsigned busy0,
	      unsigned busy1)
{
	const unsigned pct[2] = {busy0, busy1};
	unsigned tick, i;

	for (tick = 0; tick < SECOND; tick++) {
		gw_later(g, SL_TICK_NS);
		feed(g, 1, &s[0], (const unsigned[3]){n1});
		feed(g, 2, &s[1], (const unsigned[3]){n2});
		for (i = 0; i < 2; i++) {
			struct sl_stats_lcore_counts *c = &g->dp->worker[i]->stats->lcore;

			c->busy_cycles += CYCLES / 100 * pct[i];
			c->total_cycles += CYCLES;
		}
	}
}

static void
loaded(struct gw *g, struct gw_session s[2], unsigned seconds, unsigned n1, unsigned n2,
       unsigned busy0, unsigned busy1)
{
	while (seconds-- > 0)
		loaded_second(g, s, n1, n2, busy0, busy1);
}

static void
load_begin(struct gw *g, struct gw_session s[2])
{
	gw_session_current(g, 1, 1, &s[0]);
	gw_session_current(g, 2, 2, &s[1]);
	loaded(g, s, 2, 10, 10, 0, 0);
	assert_false(asked(g, 1));
	assert_false(asked(g, 2));
}

static void
test_load(void **state)
{
	struct gw *g = *state;
	struct gw_session s[2];

	load_begin(g, s);
	loaded(g, s, 3, 20, 14, 90, 40); /* 1.38 x mean */
	assert_false(asked(g, 1));
	assert_false(asked(g, 2));
	loaded(g, s, 3, 20, 14, 49, 1); /* idle for more than half of the time */
	assert_false(asked(g, 1));
	assert_false(asked(g, 2));
	loaded(g, s, 3, 20, 14, 90, 20); /* 1.63 x mean */
	assert_false(asked(g, 1));	 /* more than half of the work would go with it */
	(void)asked(g, 2);
	assert_int_equal(wish(g, 2), SL_PEER_WISH_AWAY);
	assert_in_range(g->dp->worker[0]->stats->busy_ppm, 880000, 910000);
	assert_in_range(g->dp->worker[1]->stats->busy_ppm, 190000, 210000);
}

/* One peer in three seconds, each at most once in ten. */
static void
test_load_pace(void **state)
{
	struct gw *g = *state;
	struct gw_session s[2];
	unsigned i, n[2] = {0, 0};
	bool last[2];

	load_begin(g, s);
	for (i = 0; i < 20; i++) {
		loaded(g, s, 1, 15, 15, 100, 10);
		last[0] = asked(g, 1);
		last[1] = asked(g, 2);
		assert_false(last[0] && last[1]);
		n[0] += last[0];
		n[1] += last[1];
	}
	assert_int_equal(n[0], 2);
	assert_int_equal(n[1], 2);
}

/* It would only take the trouble with it. */
static void
test_load_of_one(void **state)
{
	struct gw *g = *state;
	struct gw_session s[2];

	load_begin(g, s);
	loaded(g, s, 5, 30, 0, 100, 10);
	assert_false(asked(g, 1));
	assert_false(asked(g, 2));
	assert_int_equal(g->dp->worker[0]->stats->main_peer, 1 + 1);
	loaded(g, s, 3, 7, 7, 0, 0);
	assert_int_equal(g->dp->worker[0]->stats->main_peer, 0);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_other_queue),
		CASE(test_own_queue),
		CASE(test_few_packets),
		cmocka_unit_test_setup_teardown(test_most_from, setup3, teardown),
		cmocka_unit_test_setup_teardown(test_io, setup_io, teardown),
		CASE(test_after_move),
		CASE(test_old_keypair),
		CASE(test_forged),
		CASE(test_mixed_burst),
		CASE(test_load),
		CASE(test_load_pace),
		CASE(test_load_of_one),
	};

	eal_start("test_pipeline_rx_rehome");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
