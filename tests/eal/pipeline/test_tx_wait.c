/* SPDX-License-Identifier: BSD-3-Clause */
/* What waits: packets for a handshake, packets for a neighbour; and transmission. */
#include "tx_fixture.h"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include "send_int.h"

static const struct fx_spec to_peer1 = {.src = "10.0.0.10", .dst = "10.7.0.2"};

static int
setup(void **state)
{
	*state = fx_new(2);
	return 0;
}

static int
teardown(void **state)
{
	fx_free(*state);
	return 0;
}

static void
send_inside(struct fx *x, unsigned peer, uint16_t len)
{
	struct fx_spec spec = {.src = "10.0.0.10",
			       .dst = peer == 1 ? "10.7.0.2" : "10.7.0.3",
			       .len = len};

	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &spec, peer));
}

static unsigned
hints(struct fx *x)
{
	struct sl_wk_ack a;
	unsigned n = 0;

	while (sl_mbox_get(x->w->to_hs, &a, 1) == 1)
		n += a.type == SL_ACK_HINT;
	return n;
}

/* --- parking --------------------------------------------------------------------------------- */

static void
parked_in_order_oldest_out(void **state)
{
	struct fx *x = *state;
	struct sl_peer *p = x->peer[1];
	struct sl_keypair *kp = p->current;
	struct fx_sealed s;
	unsigned i;

	p->current = NULL;
	for (i = 0; i < 150; i++)
		send_inside(x, 1, (uint16_t)(60 + i));
	assert_int_equal(p->park_count, SL_PARK_MAX);
	assert_int_equal(x->w->n_parked, SL_PARK_MAX);
	assert_int_equal(fx_drops(x, SL_DROP_PARK_FULL), 22);
	assert_int_equal(hints(x), 1); /* one ask */
	assert_int_equal(p->events, SL_PEER_EV_WANT_HS);
	p->current = kp;
	sl_park_flush(x->w, p);
	for (i = 22; i < 150; i++) {
		fx_open(x, fx_frame(x, 0), 1, &s);
		assert_int_equal(s.counter, i - 22);
		assert_int_equal(sl_load_be16(s.plain + 2), 60 + i);
	}
	assert_int_equal(p->park_count, 0);
	assert_int_equal(x->w->n_parked, 0);
	assert_null(x->w->parking);
	assert_null(p->park_head);
	assert_null(p->park_tail);
}

static void
asks_again_but_not_always(void **state)
{
	struct fx *x = *state;
	unsigned i;

	x->peer[1]->current = NULL;
	for (i = 0; i < 50; i++) {
		send_inside(x, 1, 100);
		x->peer[1]->events = 0; /* hs takes it at once */
	}
	assert_int_equal(hints(x), 1);
	fx_time(x, x->w->now_ns + SL_TICK_NS);
	send_inside(x, 1, 100);
	assert_int_equal(hints(x), 1);
	sl_park_drop(x->w, x->peer[1], SL_DROP_PEER_DOWN);
	assert_int_equal(fx_drops(x, SL_DROP_PEER_DOWN), 51);
}

static void
all_parked_packets_are_bounded(void **state)
{
	struct fx *x = *state;
	unsigned i;

	x->w->parked_max = 50;
	x->peer[1]->current = NULL;
	x->peer[2]->current = NULL;
	for (i = 0; i < 60; i++)
		send_inside(x, 1, (uint16_t)(100 + i));
	assert_int_equal(x->w->n_parked, 50);
	assert_int_equal(fx_drops(x, SL_DROP_PARK_FULL), 10);
	/* the oldest of its own made room; another peer's first one finds none */
	assert_int_equal(sl_meta(x->peer[1]->park_head)->total_len, 110);
	send_inside(x, 2, 100);
	assert_int_equal(x->peer[2]->park_count, 0);
	assert_int_equal(x->peer[1]->park_count, 50);
	assert_int_equal(fx_drops(x, SL_DROP_PARK_FULL), 1);
	sl_park_drop(x->w, x->peer[1], SL_DROP_PARK_TIMEOUT);
	assert_int_equal(fx_drops(x, SL_DROP_PARK_TIMEOUT), 50);
}

static void
parked_for_five_seconds(void **state)
{
	struct fx *x = *state;
	uint64_t t0 = x->w->now_ns;

	x->peer[1]->current = NULL;
	x->peer[2]->current = NULL;
	send_inside(x, 1, 100);
	fx_time(x, t0 + 2 * SL_NS_PER_S);
	send_inside(x, 1, 101);
	send_inside(x, 2, 102);
	fx_time(x, t0 + 4900 * SL_NS_PER_MS);
	sl_park_sweep(x->w);
	assert_int_equal(x->w->n_parked, 3);
	fx_time(x, t0 + 5 * SL_NS_PER_S); /* each one has its own time */
	sl_park_sweep(x->w);
	assert_int_equal(fx_drops(x, SL_DROP_PARK_TIMEOUT), 1);
	assert_int_equal(x->peer[1]->park_count, 1);
	assert_int_equal(x->peer[2]->park_count, 1);
	fx_time(x, t0 + 7 * SL_NS_PER_S);
	sl_park_sweep(x->w);
	assert_int_equal(fx_drops(x, SL_DROP_PARK_TIMEOUT), 2);
	assert_null(x->w->parking);
	sl_park_sweep(x->w);
}

/** The new keypair is refused too: everything is parked again, in order, and the flush ends. */
static void
flush_without_keys(void **state)
{
	struct fx *x = *state;
	struct sl_keypair *kp = x->peer[1]->current;
	struct fx_sealed s;
	unsigned i;

	x->peer[1]->current = NULL;
	for (i = 0; i < 100; i++)
		send_inside(x, 1, (uint16_t)(60 + i));
	sl_park_flush(x->w, x->peer[1]);
	assert_int_equal(x->peer[1]->park_count, 100);
	x->peer[1]->current = kp;
	sl_park_flush(x->w, x->peer[1]);
	for (i = 0; i < 100; i++) {
		fx_open(x, fx_frame(x, 0), 1, &s);
		assert_int_equal(sl_load_be16(s.plain + 2), 60 + i);
		assert_int_equal(s.plain[8], 63);
	}
}

static void
parked_packets_move_house(void **state)
{
	struct fx *x = *state;
	struct rte_ring *r = x->dp->worker[1]->steer_in[0];
	unsigned i;
	void *m = NULL;

	x->peer[1]->current = NULL;
	for (i = 0; i < 10; i++)
		send_inside(x, 1, (uint16_t)(60 + i));
	sl_park_move(x->w, x->peer[1], 1);
	assert_int_equal(x->peer[1]->home, 1);
	assert_int_equal(x->w->n_parked, 0);
	for (i = 0; i < 10; i++) {
		assert_int_equal(rte_ring_sc_dequeue(r, &m), 0);
		assert_int_equal(sl_meta(m)->next, SL_NEXT_SEAL);
		assert_int_equal(sl_meta(m)->total_len, 60 + i);
		rte_pktmbuf_free(m);
	}
	while (rte_ring_sp_enqueue(r, x) == 0) /* full */
		;
	x->peer[1]->home = 0;
	send_inside(x, 1, 100);
	sl_park_move(x->w, x->peer[1], 1);
	assert_int_equal(fx_drops(x, SL_DROP_STEER_FULL), 1);
	while (rte_ring_sc_dequeue(r, &m) == 0)
		;
}

/** A keepalive and the order to move in one turn: what is home alone may touch is done before. */
static void
sealed_before_the_move(void **state)
{
	struct sl_wk_msg msg = {.type = SL_WK_KEEPALIVE, .peer_id = 1, .home = 1};
	struct fx *x = *state;
	struct fx_sealed s;

	sl_home_message(x->w, &msg);
	assert_int_equal(x->w->v[SL_NODE_SEAL].n, 1);
	msg.type = SL_WK_REHOME_OUT;
	sl_home_message(x->w, &msg);
	assert_int_equal(x->peer[1]->home, 1);
	assert_int_equal(x->w->v[SL_NODE_SEAL].n, 0);
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(s.len, 0);
}

/** Many parking peers: the ring of them survives any order of leaving. */
static void
ring_of_parking_peers(void **state)
{
	struct fx *x = *state;
	unsigned round, i;

	for (round = 0; round < 6; round++) {
		static const uint8_t order[6][3] = {{1, 2, 3}, {1, 3, 2}, {2, 1, 3},
						    {2, 3, 1}, {3, 1, 2}, {3, 2, 1}};

		for (i = 1; i <= 3; i++)
			sl_park_add(x->w, x->peer[i], fx_inside(x, &to_peer1, i));
		for (i = 0; i < 3; i++)
			sl_park_drop(x->w, x->peer[order[round][i]], SL_DROP_PARK_TIMEOUT);
		assert_null(x->w->parking);
		assert_int_equal(x->w->n_parked, 0);
		assert_int_equal(fx_drops(x, SL_DROP_PARK_TIMEOUT), 3);
	}
}

static void
no_endpoint_is_told(void **state)
{
	struct fx *x = *state;
	struct sl_ip_info info;
	struct rte_mbuf *m;
	const uint8_t *p;

	fx_endpoint(x, 1, NULL, NULL);
	x->peer[1]->current = NULL;
	send_inside(x, 1, 100);
	assert_int_equal(fx_drops(x, SL_DROP_NO_ENDPOINT), 1);
	m = fx_frame(x, 1);
	assert_non_null(m);
	p = fx_plain(m, &info);
	assert_int_equal(sl_load_be16(p + 20), 0x0301);
	rte_pktmbuf_free(m);
	assert_int_equal(x->peer[1]->events, 0); /* nobody to shake hands with */
	sl_seal_keepalive(x->w, x->peer[1]);
	sl_worker_run(x->w);
	assert_int_equal(fx_drops(x, SL_DROP_LOCAL_CONSUMED), 1);
}

/** Keys but no endpoint, as an operator may make it. */
static void
keys_without_endpoint(void **state)
{
	struct fx *x = *state;

	fx_endpoint(x, 1, NULL, NULL);
	send_inside(x, 1, 100);
	assert_int_equal(fx_drops(x, SL_DROP_NO_ENDPOINT), 1);
	rte_pktmbuf_free(fx_frame(x, 1));
	sl_seal_keepalive(x->w, x->peer[1]);
	sl_worker_run(x->w);
	assert_int_equal(fx_drops(x, SL_DROP_NO_ENDPOINT), 1);
	assert_int_equal(x->kp[1]->send_counter, 0);
}

/* --- neighbours ------------------------------------------------------------------------------ */

static void
to_glean_from(struct fx *x, uint32_t peer, const char *dst, uint16_t len)
{
	struct fx_spec spec = {.src = "10.7.0.2", .dst = dst, .len = len};

	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &spec, peer));
}

static void
to_glean(struct fx *x, const char *dst, uint16_t len)
{
	to_glean_from(x, 1, dst, len);
}

static unsigned
wants(struct fx *x, unsigned att, const char *ip)
{
	struct sl_ip want = fx_ip(ip);
	struct sl_ctl_event ev;
	unsigned n = 0;

	while (sl_mbox_get(x->w->to_ctl, &ev, 1) == 1) {
		assert_int_equal(ev.type, SL_EV_NEIGH_WANT);
		assert_int_equal(ev.att, att);
		assert_true(sl_ip_equal(&ev.ip, &want));
		n++;
	}
	return n;
}

static void
glean_waits_and_goes(void **state)
{
	struct fx *x = *state;
	struct sl_ip_info info;
	struct rte_mbuf *m;
	unsigned i;

	for (i = 0; i < 11; i++)
		to_glean(x, "10.0.0.77", (uint16_t)(100 + i));
	assert_int_equal(x->w->n_wait, 1);
	assert_int_equal(wants(x, 1, "10.0.0.77"), 1);
	assert_int_equal(fx_drops(x, SL_DROP_NEIGH_WAIT), 3); /* the oldest */
	sl_wait_sweep(x->w);
	sl_worker_run(x->w);
	fx_quiet(x);
	/* a new root without that neighbour changes nothing */
	fx_publish(x);
	sl_wait_sweep(x->w);
	sl_worker_run(x->w);
	fx_quiet(x);
	fx_lpm(&x->f1->routes4, "10.0.0.77/32", FX_NH_RESOLVED);
	sl_wait_sweep(x->w); /* not yet published */
	assert_int_equal(x->w->n_wait, 1);
	fx_publish(x);
	sl_wait_sweep(x->w);
	assert_int_equal(x->w->n_wait, 0);
	sl_worker_run(x->w);
	for (i = 3; i < 11; i++) {
		m = fx_frame(x, 1);
		assert_non_null(m);
		fx_plain(m, &info);
		assert_int_equal(info.total_len, 100 + i);
		assert_int_equal(info.ttl, 63);
		rte_pktmbuf_free(m);
	}
}

static void
underlay_glean(void **state)
{
	struct fx *x = *state;
	struct sl_ip ip = fx_ip("198.18.0.50");
	struct fx_sealed s;

	fx_endpoint(x, 1, NULL, "198.18.0.50"); /* on the wan's own network */
	send_inside(x, 1, 100);
	assert_int_equal(wants(x, 0, "198.18.0.50"), 1);
	sl_nh_write(x->dp->nhs, FX_NH_RESOLVED, SL_NH_HOST, SL_NH_USABLE, x->wan, &ip,
		    (const uint8_t *)FX_MAC_ROUTER);
	fx_lpm(&x->root->underlay4, "198.18.0.50/32", FX_NH_RESOLVED);
	fx_publish(x);
	sl_wait_sweep(x->w);
	sl_worker_run(x->w);
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(x->w->n_wait, 0);
}

static void
told_again_each_second_then_dropped(void **state)
{
	struct fx *x = *state;
	uint64_t t0 = x->w->now_ns;
	unsigned ms, told = 0;

	to_glean(x, "10.0.0.77", 100);
	for (ms = 0; ms <= 2900; ms += 50) {
		fx_time(x, t0 + ms * SL_NS_PER_MS);
		sl_wait_sweep(x->w);
		told += wants(x, 1, "10.0.0.77");
	}
	assert_int_equal(told, 3);
	assert_int_equal(x->w->n_wait, 1);
	fx_time(x, t0 + 3 * SL_NS_PER_S);
	sl_wait_sweep(x->w);
	assert_int_equal(fx_drops(x, SL_DROP_NEIGH_WAIT), 1);
	assert_int_equal(x->w->n_wait, 0);
}

static void
host_becomes_usable_or_fails(void **state)
{
	struct fx *x = *state;
	struct sl_ip ip = fx_ip("10.0.0.69");
	struct fx_sealed s;
	struct rte_mbuf *m;

	to_glean(x, "10.69.0.1", 100);
	to_glean(x, "10.69.0.2", 100); /* one next hop: one entry */
	assert_int_equal(x->w->n_wait, 1);
	assert_int_equal(x->dp->nhs->nh[FX_NH_INCOMPLETE].used_tick, x->w->tick);
	sl_nh_write(x->dp->nhs, FX_NH_INCOMPLETE, SL_NH_HOST, SL_NH_USABLE, x->inside, &ip,
		    (const uint8_t *)FX_MAC_SERVER);
	sl_wait_sweep(x->w);
	sl_worker_run(x->w);
	while ((m = fx_frame(x, 1)) != NULL)
		rte_pktmbuf_free(m);
	assert_int_equal(x->w->n_wait, 0);
	sl_nh_write(x->dp->nhs, FX_NH_INCOMPLETE, SL_NH_HOST, SL_NH_INCOMPLETE, x->inside, &ip,
		    NULL);
	to_glean(x, "10.69.0.1", 100);
	sl_nh_write(x->dp->nhs, FX_NH_INCOMPLETE, SL_NH_HOST, SL_NH_FAILED, x->inside, &ip, NULL);
	sl_wait_sweep(x->w);
	sl_worker_run(x->w);
	assert_int_equal(fx_drops(x, SL_DROP_NEIGH_FAILED), 1);
	fx_open(x, fx_frame(x, 0), 1, &s); /* and the sender is told */
	assert_int_equal(sl_load_be16(s.plain + 20), 0x0301);
	assert_int_equal(x->w->n_wait, 0);
}

static void
route_goes_away_while_waiting(void **state)
{
	struct fx *x = *state;
	struct fx_sealed s;

	to_glean(x, "10.0.0.77", 100);
	fx_lpm_del(&x->f1->routes4, "10.0.0.0/24");
	fx_publish(x);
	sl_wait_sweep(x->w);
	sl_worker_run(x->w);
	assert_int_equal(fx_drops(x, SL_DROP_NO_ROUTE), 1);
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(x->w->n_wait, 0);
}

/** More neighbours than entries, and a sweep that lets a burst at a time go. */
static void
wait_list_is_bounded(void **state)
{
	struct fx *x = *state;
	unsigned i, k, sweeps = 0, got = 0;
	struct sl_ctl_event ev;
	struct rte_mbuf *m;
	char dst[32];

	for (i = 0; i < SL_WAIT_MAX + 6; i++) {
		snprintf(dst, sizeof(dst), "10.0.0.%u", 100 + i);
		for (k = 0; k < 8; k++)
			to_glean_from(x, 1 + i % 4, dst, 100);
	}
	assert_int_equal(x->w->n_wait, SL_WAIT_MAX);
	assert_int_equal(fx_drops(x, SL_DROP_NEIGH_WAIT), 6 * 8);
	while (sl_mbox_get(x->w->to_ctl, &ev, 1) == 1)
		;
	fx_lpm(&x->f1->routes4, "10.0.0.0/24", FX_NH_RESOLVED);
	fx_publish(x);
	while (x->w->n_wait > 0) {
		sl_wait_sweep(x->w);
		assert_true(x->w->v[SL_NODE_REWRITE].n <= SL_BURST);
		sl_worker_run(x->w);
		sweeps++;
	}
	assert_int_equal(sweeps, SL_WAIT_MAX * SL_WAIT_PKTS / SL_BURST);
	while ((m = fx_frame(x, 1)) != NULL) {
		got++;
		rte_pktmbuf_free(m);
	}
	assert_int_equal(got, SL_WAIT_MAX * SL_WAIT_PKTS);
}

static bool
waits_for(struct fx *x, const char *ip)
{
	struct sl_ip want = fx_ip(ip);
	unsigned i;

	for (i = 0; i < SL_WAIT_MAX; i++)
		if (x->w->wait[i].n != 0 && sl_ip_equal(&x->w->wait[i].ip, &want))
			return true;
	return false;
}

/** Peers that scan the network behind the gateway do not keep others from their neighbours. */
static void
a_scan_hurts_itself_alone(void **state)
{
	struct fx *x = *state;
	struct sl_ctl_event ev;
	unsigned i, peer;
	char dst[32];

	for (i = 0; i < 100; i++) {
		snprintf(dst, sizeof(dst), "10.0.0.%u", 100 + i);
		to_glean_from(x, 1, dst, 100);
	}
	assert_int_equal(x->w->n_wait, SL_WAIT_SHARE);
	assert_int_equal(fx_drops(x, SL_DROP_NEIGH_WAIT), 100 - SL_WAIT_SHARE);
	for (peer = 2; peer < 12; peer++) /* many of them together */
		for (i = 0; i < SL_WAIT_SHARE; i++) {
			snprintf(dst, sizeof(dst), "10.0.0.%u", 20 + peer * SL_WAIT_SHARE + i);
			to_glean_from(x, peer, dst, 100);
		}
	assert_int_equal(x->w->n_wait, SL_WAIT_MAX);
	while (sl_mbox_get(x->w->to_ctl, &ev, 1) == 1)
		;
	to_glean_from(x, 50, "10.0.0.11", 100);
	assert_int_equal(wants(x, 1, "10.0.0.11"), 1);
	to_glean_from(x, 50, "10.0.0.12", 100); /* it has one */
	assert_true(waits_for(x, "10.0.0.11"));
	assert_false(waits_for(x, "10.0.0.12"));
	/* the gateway's own messages to the other side find room as well */
	fx_endpoint(x, 1, NULL, "198.18.0.50");
	send_inside(x, 1, 100);
	assert_int_equal(x->w->n_wait, SL_WAIT_MAX);
	fx_time(x, x->w->now_ns + 3 * SL_NS_PER_S);
	sl_wait_sweep(x->w);
	assert_int_equal(x->w->n_wait, 0);
	fx_drops(x, SL_DROP_NEIGH_WAIT);
}

static void
shutdown_frees_what_waits(void **state)
{
	struct fx *x = *state;

	to_glean(x, "10.0.0.77", 100);
	to_glean(x, "10.0.0.78", 100);
	x->peer[1]->current = NULL;
	send_inside(x, 1, 100);
	send_inside(x, 1, 100);
	x->peer[2]->current = NULL;
	send_inside(x, 2, 100);
	sl_vec_add(&x->w->v[SL_NODE_ROUTE], fx_inside(x, &to_peer1, 1));
	x->w->tx[0].buf[x->w->tx[0].n++] = fx_inside(x, &to_peer1, 1);
	sl_worker_purge(x->w);
	assert_int_equal(x->w->n_parked + x->w->n_wait, 0);
}

/* --- transmission ---------------------------------------------------------------------------- */

static void
port_down(void **state)
{
	struct fx *x = *state;

	x->w->tx[0].present = false;
	send_inside(x, 1, 100);
	assert_int_equal(fx_drops(x, SL_DROP_PORT_DOWN), 1);
}

static void
ring_full(void **state)
{
	struct fx *x = *state;
	struct rte_ring *r = sl_mbox_ring_new("fx_small", 10, -1);
	unsigned i;
	void *m = NULL;

	x->w->tx[0].via = r;
	for (i = 0; i < 30; i++)
		sl_vec_add(&x->w->v[SL_NODE_INSIDE], fx_inside(x, &to_peer1, 1));
	sl_worker_run(x->w);
	assert_int_equal(fx_drops(x, SL_DROP_TX_FULL), 20);
	assert_int_equal(x->w->stats->lcore.tx_packets, 0); /* its owner counts them */
	for (i = 0; i < 10; i++) {
		assert_int_equal(rte_ring_sc_dequeue(r, &m), 0);
		assert_int_equal(sl_meta(m)->next, SL_NEXT_L2);
		assert_int_equal(sl_meta(m)->port, 0);
		rte_pktmbuf_free(m);
	}
	rte_ring_free(r);
}

/** A real port: more than its queue takes, in a run of more than one transmit burst. */
static void
queue_full(void **state)
{
	struct fx *x = *state;
	struct rte_ring *r = rte_ring_create("fx_eth", 128, SOCKET_ID_ANY,
					     RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	struct rte_eth_conf conf = {0};
	int port = rte_eth_from_rings("fx_eth", &r, 1, &r, 1, SOCKET_ID_ANY);
	unsigned i, n = 0;
	uint64_t bytes = 0;
	void *m = NULL;

	assert_true(port >= 0);
	assert_int_equal(rte_eth_dev_configure((uint16_t)port, 1, 1, &conf), 0);
	assert_int_equal(rte_eth_rx_queue_setup((uint16_t)port, 0, 64, SOCKET_ID_ANY, NULL,
						x->pool),
			 0);
	assert_int_equal(rte_eth_tx_queue_setup((uint16_t)port, 0, 64, SOCKET_ID_ANY, NULL), 0);
	assert_int_equal(rte_eth_dev_start((uint16_t)port), 0);
	x->w->tx[0].via = NULL;
	x->w->tx[0].ethdev = (uint16_t)port;
	for (i = 0; i < 150; i++)
		sl_vec_add(&x->w->v[SL_NODE_INSIDE], fx_inside(x, &to_peer1, 1));
	sl_worker_run(x->w);
	while (rte_ring_sc_dequeue(r, &m) == 0) {
		bytes += ((struct rte_mbuf *)m)->pkt_len;
		n++;
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n, 128);
	assert_int_equal(fx_drops(x, SL_DROP_TX_FULL), 22);
	assert_int_equal(x->w->stats->lcore.tx_packets, 128);
	assert_int_equal(x->w->stats->lcore.tx_bytes, bytes);
	rte_eth_dev_stop((uint16_t)port);
	rte_eth_dev_close((uint16_t)port);
	rte_ring_free(r);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(parked_in_order_oldest_out),
		T(asks_again_but_not_always),
		T(all_parked_packets_are_bounded),
		T(parked_for_five_seconds),
		T(flush_without_keys),
		T(parked_packets_move_house),
		T(sealed_before_the_move),
		T(ring_of_parking_peers),
		T(no_endpoint_is_told),
		T(keys_without_endpoint),
		T(glean_waits_and_goes),
		T(underlay_glean),
		T(told_again_each_second_then_dropped),
		T(host_becomes_usable_or_fails),
		T(route_goes_away_while_waiting),
		T(wait_list_is_bounded),
		T(a_scan_hurts_itself_alone),
		T(shutdown_frees_what_waits),
		T(port_down),
		T(ring_full),
		T(queue_full),
	};

	eal_start("test_tx_wait");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
