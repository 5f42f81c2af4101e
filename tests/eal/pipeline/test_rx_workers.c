/* SPDX-License-Identifier: BSD-3-Clause */
/* Several data lcores: steering by owner and home, io lcores, rings of frames, moved peers. */
#include "eal_main.h"
#include "gw_fixture.h"

static int
setup(void **state)
{
	*state = gw_new(&(struct gw_conf){.workers = 2});
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

static uint64_t
steered(const struct gw *g, unsigned worker)
{
	return g->dp->worker[worker]->stats->lcore.steered_packets;
}

static uint64_t
opened(const struct gw *g, unsigned worker)
{
	return g->dp->worker[worker]->stats->stage[SL_STATS_POST_DECRYPT].decrypt_success;
}

static void
test_open_at_owner(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, out;
	struct gw_session s;
	unsigned queue, i;

	g->peer[1]->home = 1;
	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 100);
	for (queue = 0; queue < 2; queue++) {
		for (i = 0; i < 10; i++) {
			gw_data(&p, &s, s.counter++, &inner);
			gw_in(g, GW_OUTSIDE, queue, &p);
		}
		gw_poll(g);
		for (i = 0; i < 10; i++)
			assert_true(gw_out(g, GW_INSIDE, &out));
	}
	assert_int_equal(opened(g, 0), 0);
	assert_int_equal(opened(g, 1), 20);
	assert_int_equal(steered(g, 0), 10);
	assert_int_equal(steered(g, 1), 0);
	assert_int_equal(g->peer[1]->rx_packets, 20);
	assert_int_equal(gw_all_drops(g), 0);
	s.index ^= 1;
	gw_data(&p, &s, 0, &inner);
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_WG_INDEX);
}

static void
test_inside_at_home(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, out;
	struct gw_session s;
	uint64_t counter;
	unsigned queue;

	g->peer[1]->home = 1;
	gw_session_current(g, 1, 1, &s);
	gw_endpoint(g, 1, GW_CLIENT, GW_CLIENT_PORT);
	for (queue = 0; queue < 2; queue++) {
		gw_udp(&p, GW_SERVER4, GW_INNER4, 1, 2, "x", 1);
		gw_eth(&p, gw_mac[GW_INSIDE], 0);
		gw_in(g, GW_INSIDE, queue, &p);
		gw_poll(g);
		assert_true(gw_out(g, GW_OUTSIDE, &out));
		assert_true(gw_open(&inner, &s, out.b + 42, out.len - 42, &counter));
		assert_int_equal(counter, queue);
	}
	assert_int_equal(steered(g, 0), 1);
	/* an address that no peer has is answered where it came in */
	gw_udp(&p, GW_SERVER4, "10.8.0.99", 1, 2, "x", 1);
	gw_eth(&p, gw_mac[GW_INSIDE], 0);
	gw_in(g, GW_INSIDE, 0, &p);
	gw_poll(g);
	assert_int_equal(g->dp->worker[0]->stats->drops[SL_DROP_NO_PEER], 1);
	assert_true(gw_out(g, GW_INSIDE, &out));
	/* the peer has just been removed */
	atomic_store(&g->dp->peers->slot[1], NULL);
	gw_udp(&p, GW_SERVER4, GW_INNER4, 1, 2, "x", 1);
	gw_eth(&p, gw_mac[GW_INSIDE], 0);
	gw_in(g, GW_INSIDE, 0, &p);
	gw_poll(g);
	assert_int_equal(g->dp->worker[0]->stats->drops[SL_DROP_NO_PEER], 2);
	assert_true(gw_out(g, GW_INSIDE, &out));
	atomic_store(&g->dp->peers->slot[1], g->peer[1]);
}

/* Two owners in one burst: each gets its packets in order. */
static void
test_two_owners(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, out;
	unsigned i, seen[2] = {0, 0};
	struct gw_session s[2];

	g->peer[2]->home = 1;
	gw_session_current(g, 1, 1, &s[0]);
	gw_session_current(g, 2, 2, &s[1]);
	for (i = 0; i < 32; i++) {
		unsigned k = (i / 2) & 1;
		uint8_t n = (uint8_t)i;

		gw_udp(&inner, k ? "10.8.0.3" : "10.8.0.2", GW_SERVER4, 1, 2, &n, 1);
		gw_data(&p, &s[k], s[k].counter++, &inner);
		gw_in(g, GW_OUTSIDE, 0, &p);
	}
	gw_poll(g);
	for (i = 0; gw_out(g, GW_INSIDE, &out); i++) {
		unsigned k = out.b[14 + 15] - 2, n = out.b[14 + 28];

		assert_int_equal((n / 2) & 1, k);
		assert_int_equal(n / 4 * 2 + n % 2, seen[k]++);
	}
	assert_int_equal(i, 32);
	assert_int_equal(opened(g, 0), 16);
	assert_int_equal(opened(g, 1), 16);
}

static void
test_io(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, out;
	struct gw_session s[2];
	uint64_t counter;
	unsigned k;

	assert_false(g->dp->worker[2]->owner);
	g->peer[2]->home = 1;
	gw_session_current(g, 1, 1, &s[0]);
	gw_session_current(g, 2, 2, &s[1]);
	gw_endpoint(g, 1, GW_CLIENT, GW_CLIENT_PORT);
	gw_endpoint(g, 2, GW_CLIENT, GW_CLIENT_PORT);
	for (k = 0; k < 2; k++) {
		gw_udp(&inner, k ? "10.8.0.3" : "10.8.0.2", GW_SERVER4, 1, 2, "x", 1);
		gw_data(&p, &s[k], 0, &inner);
		gw_in(g, GW_OUTSIDE, 2, &p);
		gw_poll(g);
		assert_true(gw_out(g, GW_INSIDE, &out));
		gw_udp(&p, GW_SERVER4, k ? "10.8.0.3" : "10.8.0.2", 2, 1, "y", 1);
		gw_eth(&p, gw_mac[GW_INSIDE], 0);
		gw_in(g, GW_INSIDE, 2, &p);
		gw_poll(g);
		assert_true(gw_out(g, GW_OUTSIDE, &out));
		assert_true(gw_open(&inner, &s[k], out.b + 42, out.len - 42, &counter));
		assert_int_equal(opened(g, k), 1);
	}
	assert_int_equal(opened(g, 2), 0);
	assert_int_equal(steered(g, 2), 4);
	gw_echo(&p, GW_CLIENT, GW_OUT4, 20); /* what is for nobody else it answers itself */
	gw_eth(&p, gw_mac[GW_OUTSIDE], 0);
	gw_in(g, GW_OUTSIDE, 2, &p);
	gw_poll(g);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	assert_int_equal(gw_all_drops(g), 0);
}

/* A worker without a transmit queue of its own gives its frames to one that has. */
static void
test_tx_via(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, out;
	struct gw_session s;
	unsigned i;

	assert_int_equal(sl_worker_set_tx(g->dp->worker[0], GW_INSIDE, g->ethdev[GW_INSIDE], 0, 1,
					  false, false),
			 0);
	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 100);
	for (i = 0; i < 20; i++) {
		gw_data(&p, &s, i, &inner);
		gw_in(g, GW_OUTSIDE, 0, &p);
	}
	gw_poll(g);
	assert_int_equal(rte_ring_count(g->tx[GW_INSIDE][0]), 0);
	assert_int_equal(rte_ring_count(g->tx[GW_INSIDE][1]), 20);
	assert_int_equal(g->dp->worker[1]->stats->lcore.tx_packets, 20);
	while (gw_out(g, GW_INSIDE, &out))
		;
	assert_int_equal(sl_worker_set_tx(g->dp->worker[0], SL_PORT_MAX, 0, 0, -1, 0, 0), -EINVAL);
	assert_int_equal(sl_worker_set_tx(g->dp->worker[0], 0, 0, 0, 2, 0, 0), -EINVAL);
	assert_int_equal(sl_worker_set_tx(g->dp->worker[0], 0, 0, 0, 0, 0, 0), -EINVAL);
}

static void
test_steer_full(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, out;
	struct gw_session s;
	unsigned i, n;

	g->peer[1]->home = 1;
	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 10);
	for (i = 0; i < 1200; i++) {
		gw_data(&p, &s, i, &inner);
		gw_in(g, GW_OUTSIDE, 0, &p);
		if (i % 32 == 31) /* the owner sleeps */
			sl_worker_poll(g->dp->worker[0], g->now_ns);
	}
	for (i = 0; i < 10; i++)
		sl_worker_poll(g->dp->worker[0], g->now_ns);
	assert_int_equal(gw_drops(g, SL_DROP_STEER_FULL), 1200 - 1024);
	for (n = 0, i = 0; i < 40; i++) {
		gw_poll(g);
		while (gw_out(g, GW_INSIDE, &out))
			n++;
	}
	assert_int_equal(n, 1024);
}

/* The peer moved: the old owner opens, the new home keeps the books. */
static void
test_moved_peer(void **state)
{
	struct gw *g = *state;
	struct sl_peer *peer = g->peer[1];
	struct gw_pkt p, inner, out, nothing = {.len = 0};
	struct gw_session s;

	peer->home = 0;
	gw_session(g, 1, false, 1, &s); /* owned by worker 0, unconfirmed */
	peer->home = 1;
	atomic_store(&peer->unacked_tx, 7);
	gw_data(&p, &s, 0, &nothing);
	gw_in(g, GW_OUTSIDE, 0, &p);
	gw_poll(g);
	assert_int_equal(gw_drops(g, SL_DROP_LOCAL_CONSUMED), 1);
	assert_int_equal(gw_keypair(g, &s)->confirmed, 1);
	assert_ptr_equal(peer->current, gw_keypair(g, &s));
	assert_int_equal(peer->rx_packets, 1);
	assert_int_equal(peer->rx_bytes, 32);
	assert_int_equal(peer->unacked_tx, 0);
	assert_int_equal(peer->path.outer.dport, GW_CLIENT_PORT);
	assert_int_equal(peer->unanswered_rx, 0);

	gw_inner(&inner, 40);
	gw_data(&p, &s, 1, &inner);
	gw_in(g, GW_OUTSIDE, 1, &p); /* to the owner, and back to the home */
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
	assert_int_equal(peer->rx_packets, 2);
	assert_int_equal(peer->rx_bytes, 32 + 112);
	assert_true(peer->unanswered_rx != 0);
	assert_int_equal(opened(g, 0), 2);
	assert_int_equal(opened(g, 1), 0);
	/* it goes while a packet is on its way */
	gw_data(&p, &s, 2, &inner);
	gw_in(g, GW_OUTSIDE, 0, &p);
	sl_worker_poll(g->dp->worker[0], g->now_ns);
	atomic_store(&peer->gone, 1);
	sl_worker_poll(g->dp->worker[1], g->now_ns);
	assert_int_equal(gw_drops(g, SL_DROP_PEER_DOWN), 1);
	atomic_store(&peer->gone, 0);
	/* it moves back while a packet is on its way */
	gw_data(&p, &s, 3, &inner);
	gw_in(g, GW_OUTSIDE, 0, &p);
	sl_worker_poll(g->dp->worker[0], g->now_ns);
	peer->home = 0;
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
	assert_int_equal(peer->rx_packets, 3);
}

static void
test_rehome_out(void **state)
{
	struct gw *g = *state;
	struct sl_peer *peer = g->peer[1];
	struct sl_wk_msg msg = {.type = SL_WK_REHOME_OUT, .peer_id = 1, .home = 1};
	struct gw_pkt p, inner, out;
	struct sl_wk_ack ack;
	struct gw_session s;
	uint64_t counter;
	unsigned i, n = 0;

	gw_endpoint(g, 1, GW_CLIENT, GW_CLIENT_PORT);
	for (i = 0; i < 5; i++) {
		gw_udp(&p, GW_SERVER4, GW_INNER4, 1, 2, "x", 1);
		gw_eth(&p, gw_mac[GW_INSIDE], 0);
		gw_in(g, GW_INSIDE, 0, &p);
	}
	gw_poll(g);
	assert_int_equal(peer->park_count, 5);
	while (sl_mbox_get(g->dp->worker[0]->to_hs, &ack, 1) == 1)
		;
	assert_true(sl_mbox_put(g->dp->worker[0]->from_hs, &msg));
	sl_worker_poll(g->dp->worker[0], g->now_ns);
	assert_int_equal(sl_mbox_get(g->dp->worker[0]->to_hs, &ack, 1), 1);
	assert_int_equal(ack.type, SL_ACK_REHOMED);
	assert_int_equal(peer->park_count, 0);
	assert_int_equal(peer->home, 1);
	gw_session_current(g, 1, 1, &s);
	gw_poll(g);
	while (gw_out(g, GW_OUTSIDE, &out)) {
		assert_true(gw_open(&inner, &s, out.b + 42, out.len - 42, &counter));
		n++;
	}
	assert_int_equal(n, 5);
}

/* Packets of hs and control: each kind to its node, nonsense freed. */
static void
test_inject(void **state)
{
	struct gw *g = *state;
	struct sl_worker *w = g->dp->worker[0];
	struct rte_mbuf *m;
	struct gw_pkt p, out;

	gw_udp(&p, GW_OUT4, GW_CLIENT, 51820, 7, "handshake", 9);
	m = gw_mbuf(g, &p);
	memset(sl_meta(m), 0, sizeof(struct sl_meta));
	sl_meta(m)->next = SL_NEXT_OUTER;
	sl_meta(m)->version = 4;
	sl_meta(m)->total_len = (uint16_t)p.len;
	sl_meta(m)->peer_id = SL_PEER_ID_NONE;
	sl_meta(m)->flags = SL_PKT_LOCAL_ORIGIN;
	assert_int_equal(rte_ring_sp_enqueue(w->inject[0], m), 0);
	gw_poll(g);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	assert_memory_equal(out.b, gw_neighbour_mac[GW_OUTSIDE], 6);
	assert_memory_equal(out.b + 14, p.b, p.len);

	gw_eth(&p, gw_mac[0], 0);
	m = gw_mbuf(g, &p);
	sl_meta(m)->next = SL_NEXT_L2;
	sl_meta(m)->port = GW_INSIDE;
	assert_int_equal(rte_ring_sp_enqueue(w->inject[1], m), 0);
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));

	gw_echo(&p, GW_CLIENT, GW_OUT4, 1);
	gw_eth(&p, gw_mac[0], 0);
	m = gw_mbuf(g, &p);
	sl_meta(m)->next = SL_NEXT_CLASSIFY;
	sl_meta(m)->port = GW_OUTSIDE;
	assert_int_equal(rte_ring_sp_enqueue(w->inject[1], m), 0);
	gw_poll(g);
	assert_true(gw_out(g, GW_OUTSIDE, &out));

	m = gw_mbuf(g, &p);
	sl_meta(m)->next = 99;
	assert_int_equal(rte_ring_sp_enqueue(w->inject[1], m), 0);
	gw_poll(g);
}

/* The port does not take what the worker has: counted, freed. */
static void
test_tx_full(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, out;
	struct gw_session s;
	unsigned i, n;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 10);
	for (i = 0; i < 1100; i++) {
		gw_data(&p, &s, i, &inner);
		gw_in(g, GW_OUTSIDE, 0, &p);
		if (i % 32 == 31)
			gw_poll(g);
	}
	gw_poll(g);
	for (n = 0; gw_out(g, GW_INSIDE, &out); n++)
		;
	assert_int_equal(n + gw_drops(g, SL_DROP_TX_FULL), 1100);
	assert_true(gw_drops(g, SL_DROP_TX_FULL) > 0);
}

/* The poll goes on with packets that wait for a neighbour. */
static void
test_neighbour_wait(void **state)
{
	struct gw *g = *state;
	const struct sl_ip server = {.family = 4, .b = {10, 20, 0, 9}};
	uint32_t nh = sl_lpm_lookup(&g->iface[1].routes4, server.b);
	struct gw_pkt p, inner, out;
	struct gw_session s;

	gw_session_current(g, 1, 1, &s);
	sl_nh_write(g->dp->nhs, nh, SL_NH_HOST, SL_NH_INCOMPLETE, &g->att[2], &server, NULL);
	gw_inner(&inner, 10);
	gw_data(&p, &s, 0, &inner);
	gw_in(g, GW_OUTSIDE, 0, &p);
	gw_poll(g);
	assert_false(gw_out(g, GW_INSIDE, &out));
	assert_int_equal(gw_all_drops(g), 0);
	sl_nh_write(g->dp->nhs, nh, SL_NH_HOST, SL_NH_USABLE, &g->att[2], &server,
		    gw_neighbour_mac[GW_INSIDE]);
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
	assert_memory_equal(out.b, gw_neighbour_mac[GW_INSIDE], 6);
}

/* Cycles per stage, for the bench. */
static void
test_prof(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, inner, out;
	struct sl_prof prof = {.rx_cycles = 0};
	struct gw_session s;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 10);
	gw_data(&p, &s, 0, &inner);
	gw_in(g, GW_OUTSIDE, 0, &p);
	g->dp->worker[0]->prof = &prof;
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
	assert_int_equal(prof.packets[SL_NODE_CLASSIFY], 1);
	assert_int_equal(prof.packets[SL_NODE_OPEN], 1);
	assert_int_equal(prof.packets[SL_NODE_TX], 1);
	assert_int_equal(prof.packets[SL_NODE_DROP], 0);
	assert_true(prof.cycles[SL_NODE_OPEN] > 0 && prof.rx_cycles > 0);
}

/* Nothing moves before control has published a root. */
static void
test_no_root(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, out;

	atomic_store(&g->dp->root, NULL);
	gw_echo(&p, GW_CLIENT, GW_OUT4, 1);
	gw_eth(&p, gw_mac[0], 0);
	gw_in(g, GW_OUTSIDE, 0, &p);
	gw_poll(g);
	assert_false(gw_out(g, GW_OUTSIDE, &out));
	atomic_store(&g->dp->root, &g->root);
	gw_poll(g);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
}

static void
test_conf(void **state)
{
	struct gw *g = *state;
	struct sl_dp_conf c = {.name = "conf",
			       .n_workers = 0,
			       .pool = g->pool,
			       .sessions = g->sessions,
			       .rcu = g->rcu,
			       .aead = SL_AEAD_SODIUM,
			       .pool_size = GW_POOL,
			       .flows_max = 1024,
			       .agg_rows = 64};
	struct sl_rxq q = {0};
	struct sl_error e = {0};
	struct sl_dp *dp;
	unsigned i;

	assert_null(sl_dp_new(&c, &e));
	assert_int_equal(e.err, -EINVAL);
	assert_string_equal(e.reason, "workers_invalid");
	c.n_workers = SL_WORKER_MAX;
	c.n_io = 1;
	assert_null(sl_dp_new(&c, &e));
	assert_int_equal(e.err, -EINVAL);
	c.n_workers = 3;
	dp = sl_dp_new(&c, &e);
	assert_non_null(dp);
	assert_int_equal(dp->n_lcores, 4);
	assert_null(sl_dp_new(&c, &e)); /* the same instance again */
	assert_true(e.err < 0);
	for (i = 0; i < SL_RXQ_MAX; i++)
		assert_int_equal(sl_worker_add_rxq(dp->worker[0], &q), 0);
	assert_int_equal(sl_worker_add_rxq(dp->worker[0], &q), -ENOSPC);
	assert_null(dp->worker[3]->steer_in[0]); /* nobody steers to an io lcore */
	assert_non_null(dp->worker[3]->steer_out[2]);
	sl_dp_free(dp);
	sl_dp_free(NULL);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_open_at_owner),
		CASE(test_inside_at_home),
		CASE(test_two_owners),
		cmocka_unit_test_setup_teardown(test_io, setup_io, teardown),
		CASE(test_tx_via),
		CASE(test_steer_full),
		CASE(test_moved_peer),
		CASE(test_rehome_out),
		CASE(test_inject),
		CASE(test_tx_full),
		CASE(test_neighbour_wait),
		CASE(test_prof),
		CASE(test_no_root),
		CASE(test_conf),
	};

	eal_start("test_pipeline_rx_workers");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
