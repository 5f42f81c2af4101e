/* SPDX-License-Identifier: BSD-3-Clause */
/* What reception leaves in the peer's words: endpoint, ticks, events, counters, the current
 * keypair; and the messages of hs. */
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

static const struct gw_pkt keepalive = {.len = 0};

static void
receive(struct gw *g, const struct gw_session *s, uint64_t counter, const struct gw_pkt *inner)
{
	struct gw_pkt p;

	gw_data(&p, s, counter, inner);
	gw_in(g, GW_OUTSIDE, 0, &p);
	gw_poll(g);
}

static void
receive_data(struct gw *g, const struct gw_session *s, uint64_t counter)
{
	struct gw_pkt inner, out;

	gw_inner(&inner, 40);
	receive(g, s, counter, &inner);
	assert_true(gw_out(g, GW_INSIDE, &out));
}

/* Events that hs would take now; the number of hints comes with them. */
static uint32_t
take_events(struct gw *g, unsigned peer, unsigned *hints)
{
	struct sl_wk_ack ack;

	for (*hints = 0; sl_mbox_get(g->dp->worker[0]->to_hs, &ack, 1) == 1; ++*hints) {
		assert_int_equal(ack.type, SL_ACK_HINT);
		assert_int_equal(ack.peer_id, peer);
	}
	return atomic_exchange(&g->peer[peer]->events, 0);
}

/* --- reception --------------------------------------------------------------------------- */

static void
test_counters(void **state)
{
	struct gw *g = *state;
	struct sl_peer *p = g->peer[1];
	struct gw_session s;

	gw_session_current(g, 1, 1, &s);
	receive_data(g, &s, 0); /* 20 + 8 + 40 = 68, padded 80, and 32 */
	assert_int_equal(p->rx_packets, 1);
	assert_int_equal(p->rx_bytes, 112);
	receive(g, &s, 1, &keepalive);
	assert_int_equal(p->rx_packets, 2);
	assert_int_equal(p->rx_bytes, 144);
	receive(g, &s, 1, &keepalive);
	assert_int_equal(p->rx_packets, 2);
	assert_int_equal(gw_drops(g, SL_DROP_LOCAL_CONSUMED), 1);
}

static void
test_ticks(void **state)
{
	struct gw *g = *state;
	struct sl_peer *p = g->peer[1];
	uint32_t t0 = sl_tick_of(g->now_ns);
	struct gw_session s;
	unsigned hints;

	gw_session_current(g, 1, 1, &s);
	atomic_store(&p->unacked_tx, 5);
	receive(g, &s, 0, &keepalive); /* answers what we sent, asks for nothing */
	assert_int_equal(p->tick_any_rx, t0);
	assert_int_equal(p->tick_data_rx, 0);
	assert_int_equal(p->unanswered_rx, 0);
	assert_int_equal(p->unacked_tx, 0);
	assert_int_equal(take_events(g, 1, &hints), 0);

	receive_data(g, &s, 1);
	assert_int_equal(p->tick_data_rx, t0);
	assert_int_equal(p->unanswered_rx, t0);
	assert_int_equal(take_events(g, 1, &hints), SL_PEER_EV_TIMER);
	assert_int_equal(hints, 1);

	gw_later(g, 3 * SL_TICK_NS);
	receive_data(g, &s, 2); /* the timer runs already */
	assert_int_equal(p->tick_data_rx, t0 + 3);
	assert_int_equal(p->tick_any_rx, t0 + 3);
	assert_int_equal(p->unanswered_rx, t0);
	assert_int_equal(take_events(g, 1, &hints), 0);
}

/* Paper 6.2: the initiator renews what it receives with, in time before 180 s; once a tick. */
static void
test_rekey(void **state)
{
	struct gw *g = *state;
	struct gw_session ours, theirs;
	unsigned hints;

	gw_session(g, 1, true, 1, &ours);
	gw_session(g, 2, false, 2, &theirs);
	gw_later(g, 165 * SL_NS_PER_S - SL_TICK_NS);
	receive(g, &ours, 0, &keepalive);
	assert_false(take_events(g, 1, &hints) & SL_PEER_EV_WANT_HS);
	gw_later(g, SL_TICK_NS);
	receive(g, &ours, 1, &keepalive);
	assert_true(take_events(g, 1, &hints) & SL_PEER_EV_WANT_HS);
	receive(g, &ours, 2, &keepalive);
	assert_int_equal(take_events(g, 1, &hints), 0);
	receive(g, &theirs, 0, &keepalive);
	assert_false(take_events(g, 2, &hints) & SL_PEER_EV_WANT_HS);
}

static void
expect_path(struct gw *g, const char *dst, uint16_t dport, const char *src, uint16_t sport)
{
	struct sl_peer_path path;
	struct sl_ip ip;

	sl_peer_path_read(g->peer[1], &path);
	sl_ip_parse(dst, &ip);
	assert_true(sl_ip_equal(&path.outer.dst, &ip));
	assert_int_equal(path.outer.dport, dport);
	sl_ip_parse(src, &ip);
	assert_true(sl_ip_equal(&path.outer.src, &ip));
	assert_int_equal(path.outer.sport, sport);
}

static void
from(struct gw *g, const struct gw_session *s, uint64_t counter, const char *src, uint16_t port,
     const char *dst, bool broken)
{
	struct gw_pkt p, msg;
	unsigned vlan = strcmp(dst, "203.0.113.1") == 0 ? GW_VLAN : 0;

	gw_seal(&msg, s, counter, &keepalive);
	if (broken)
		msg.b[20] ^= 1;
	gw_udp(&p, src, dst, port, 51820, msg.b, msg.len);
	gw_eth(&p, gw_mac[GW_OUTSIDE], (uint16_t)vlan);
	gw_in(g, GW_OUTSIDE, 0, &p);
}

static void
test_roaming(void **state)
{
	struct gw *g = *state;
	struct gw_session s;

	gw_session_current(g, 1, 1, &s);
	from(g, &s, 0, GW_CLIENT, 1111, GW_OUT4, false);
	gw_poll(g);
	expect_path(g, GW_CLIENT, 1111, GW_OUT4, 51820);
	from(g, &s, 1, GW_CLIENT, 1112, GW_OUT4, false);
	gw_poll(g);
	expect_path(g, GW_CLIENT, 1112, GW_OUT4, 51820);
	from(g, &s, 2, "192.0.2.8", 1112, GW_OUT4, false);
	gw_poll(g);
	expect_path(g, "192.0.2.8", 1112, GW_OUT4, 51820);
	from(g, &s, 3, GW_CLIENT6, 1112, GW_OUT6, false);
	gw_poll(g);
	expect_path(g, GW_CLIENT6, 1112, GW_OUT6, 51820);
	from(g, &s, 4, GW_CLIENT, 1, "203.0.113.1", false); /* to another address of ours */
	gw_poll(g);
	expect_path(g, GW_CLIENT, 1, "203.0.113.1", 51820);
	/* neither forged nor repeated packets move it */
	from(g, &s, 5, "192.0.2.66", 6, GW_OUT4, true);
	from(g, &s, 4, "192.0.2.66", 6, GW_OUT4, false);
	gw_poll(g);
	expect_path(g, GW_CLIENT, 1, "203.0.113.1", 51820);
	/* the last good one of a burst does */
	from(g, &s, 6, "192.0.2.20", 20, GW_OUT4, false);
	from(g, &s, 7, "192.0.2.21", 21, GW_OUT4, false);
	from(g, &s, 8, "192.0.2.66", 66, GW_OUT4, true);
	gw_poll(g);
	expect_path(g, "192.0.2.21", 21, GW_OUT4, 51820);
	assert_int_equal(gw_drops(g, SL_DROP_AUTH_FAIL), 2);
}

/* The reply goes where the peer went, from the address that it used. */
static void
test_reply_follows(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, out, inner;
	struct gw_session s;
	uint64_t counter;

	gw_session_current(g, 1, 1, &s);
	from(g, &s, 0, "192.0.2.99", 999, GW_OUT4, false);
	gw_udp(&p, GW_SERVER4, GW_INNER4, 1, 2, "x", 1);
	gw_eth(&p, gw_mac[GW_INSIDE], 0);
	gw_in(g, GW_INSIDE, 0, &p);
	gw_poll(g);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	assert_memory_equal(out.b + 14 + 12, "\xc6\x33\x64\x01\xc0\x00\x02\x63", 8);
	assert_memory_equal(out.b + 14 + 20, "\xca\x6c\x03\xe7", 4);
	assert_true(gw_open(&inner, &s, out.b + 42, out.len - 42, &counter));
}

/* --- confirmation ------------------------------------------------------------------------ */

static void
test_confirm(void **state)
{
	struct gw *g = *state;
	struct sl_peer *p = g->peer[1];
	struct gw_session first, second;
	struct gw_pkt pkt;
	unsigned hints;

	gw_session(g, 1, false, 1, &first);
	gw_data(&pkt, &first, 0, &keepalive);
	pkt.b[pkt.len - 1] ^= 1; /* only an authentic packet confirms */
	gw_in(g, GW_OUTSIDE, 0, &pkt);
	gw_poll(g);
	assert_null(p->current);
	assert_int_equal(gw_keypair(g, &first)->confirmed, 0);
	receive(g, &first, 0, &keepalive);
	assert_ptr_equal(p->current, gw_keypair(g, &first));
	assert_int_equal(gw_keypair(g, &first)->confirmed, 1);
	assert_int_equal(take_events(g, 1, &hints), SL_PEER_EV_CONFIRMED);

	gw_later(g, SL_NS_PER_S);
	gw_session(g, 1, false, 2, &second);
	receive(g, &first, 1, &keepalive); /* the next one waits for its own packet */
	assert_ptr_equal(p->current, gw_keypair(g, &first));
	receive(g, &second, 0, &keepalive);
	assert_ptr_equal(p->current, gw_keypair(g, &second));
	receive(g, &first, 2, &keepalive); /* late packets of the old one are welcome */
	assert_ptr_equal(p->current, gw_keypair(g, &second));
	assert_int_equal(p->rx_packets, 4);
}

/* An unconfirmed keypair that is older than the current one does not replace it. */
static void
test_confirm_late(void **state)
{
	struct gw *g = *state;
	struct gw_session old, new;

	gw_session(g, 1, false, 1, &old);
	gw_later(g, SL_NS_PER_S);
	gw_session_current(g, 1, 2, &new);
	receive(g, &old, 0, &keepalive);
	assert_int_equal(gw_keypair(g, &old)->confirmed, 1);
	assert_ptr_equal(g->peer[1]->current, gw_keypair(g, &new));
}

static void
park(struct gw *g, unsigned n)
{
	struct gw_pkt p;
	unsigned i;

	for (i = 0; i < n; i++) {
		gw_udp(&p, GW_SERVER4, GW_INNER4, (uint16_t)i, 2, "x", 1);
		gw_eth(&p, gw_mac[GW_INSIDE], 0);
		gw_in(g, GW_INSIDE, 0, &p);
		if (i % 32 == 31)
			gw_poll(g);
	}
	gw_poll(g);
}

/* Parked packets go out in their order as soon as the peer confirms. */
static void
test_confirm_flushes(void **state)
{
	struct gw *g = *state;
	struct gw_pkt out, inner;
	struct gw_session s;
	uint64_t counter;
	unsigned i;

	gw_endpoint(g, 1, GW_CLIENT, GW_CLIENT_PORT);
	park(g, 100);
	assert_int_equal(g->peer[1]->park_count, 100);
	gw_session(g, 1, false, 1, &s);
	receive(g, &s, 0, &keepalive);
	for (i = 0; i < 100; i++) {
		assert_true(gw_out(g, GW_OUTSIDE, &out));
		assert_true(gw_open(&inner, &s, out.b + 42, out.len - 42, &counter));
		assert_int_equal(counter, i);
		assert_int_equal(inner.b[20] << 8 | inner.b[21], i);
	}
	assert_false(gw_out(g, GW_OUTSIDE, &out));
}

/* --- messages of hs ---------------------------------------------------------------------- */

static void
post(struct gw *g, const struct sl_wk_msg *msg)
{
	assert_true(sl_mbox_put(g->dp->worker[0]->from_hs, msg));
	gw_poll(g);
}

static void
expect_answer(struct gw *g, enum sl_wk_ack_type type, uint32_t index)
{
	struct sl_wk_ack ack;

	do /* hints may be in between */
		assert_int_equal(sl_mbox_get(g->dp->worker[0]->to_hs, &ack, 1), 1);
	while (ack.type == SL_ACK_HINT);
	assert_int_equal(ack.type, type);
	assert_int_equal(ack.peer_id, 1);
	assert_int_equal(ack.index, index);
	assert_int_equal(ack.worker, 0);
}

static void
test_install_initiator(void **state)
{
	struct gw *g = *state;
	struct gw_pkt out, inner;
	struct gw_session s, t;
	uint64_t counter;

	gw_endpoint(g, 1, GW_CLIENT, GW_CLIENT_PORT);
	gw_session(g, 1, true, 1, &s);
	atomic_store(&g->peer[1]->unacked_tx, 9);
	post(g, &(struct sl_wk_msg){.type = SL_WK_INSTALL, .peer_id = 1, .index = s.index});
	assert_ptr_equal(g->peer[1]->current, gw_keypair(g, &s));
	assert_int_equal(g->peer[1]->unacked_tx, 0);
	assert_true(gw_out(g, GW_OUTSIDE, &out)); /* nothing is parked: a keepalive */
	assert_true(gw_open(&inner, &s, out.b + 42, out.len - 42, &counter));
	assert_int_equal(inner.len, 0);
	assert_int_equal(g->peer[1]->unacked_tx, 0);
	/* with something parked there is none */
	atomic_store(&g->peer[1]->current, NULL);
	park(g, 2);
	gw_later(g, SL_NS_PER_S);
	gw_session(g, 1, true, 2, &t);
	post(g, &(struct sl_wk_msg){.type = SL_WK_INSTALL, .peer_id = 1, .index = t.index});
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	assert_true(gw_open(&inner, &t, out.b + 42, out.len - 42, &counter));
	assert_true(inner.len > 0);
	assert_false(gw_out(g, GW_OUTSIDE, &out));
}

static void
test_install_responder(void **state)
{
	struct gw *g = *state;
	struct gw_session s;
	struct gw_pkt out;

	gw_endpoint(g, 1, GW_CLIENT, GW_CLIENT_PORT);
	gw_session(g, 1, false, 1, &s);
	atomic_store(&g->peer[1]->unanswered_rx, 9); /* hs answers: the next data counts anew */
	post(g, &(struct sl_wk_msg){.type = SL_WK_INSTALL, .peer_id = 1, .index = s.index});
	assert_null(g->peer[1]->current);
	assert_int_equal(g->peer[1]->unanswered_rx, 0);
	assert_false(gw_out(g, GW_OUTSIDE, &out));
	/* a message about an index that is gone */
	post(g, &(struct sl_wk_msg){.type = SL_WK_INSTALL, .peer_id = 1, .index = s.index ^ 1});
	assert_null(g->peer[1]->current);
}

static void
test_retire(void **state)
{
	struct gw *g = *state;
	struct gw_session old, new;

	gw_session(g, 1, false, 1, &old);
	gw_session_current(g, 1, 2, &new);
	post(g, &(struct sl_wk_msg){.type = SL_WK_RETIRE, .peer_id = 1, .index = old.index});
	expect_answer(g, SL_ACK_RETIRED, old.index);
	assert_ptr_equal(g->peer[1]->current, gw_keypair(g, &new));
	sl_session_unpublish(g->sessions, gw_keypair(g, &new));
	post(g, &(struct sl_wk_msg){.type = SL_WK_RETIRE, .peer_id = 1, .index = new.index});
	expect_answer(g, SL_ACK_RETIRED, new.index);
	assert_null(g->peer[1]->current);
}

static void
test_keepalive_and_path(void **state)
{
	struct gw *g = *state;
	struct sl_wk_msg path = {.type = SL_WK_PATH, .peer_id = 1};
	struct gw_pkt out, inner;
	struct gw_session s;
	uint64_t counter;

	gw_session_current(g, 1, 1, &s);
	path.outer.dst = (struct sl_ip){.family = 4, .b = {192, 0, 2, 50}};
	path.outer.dport = 5050;
	post(g, &path); /* unknown own address: only when it is forced */
	assert_int_equal(g->peer[1]->path.outer.dst.family, 0);
	path.force_path = 1;
	post(g, &path);
	assert_int_equal(g->peer[1]->path.outer.dport, 5050);
	path.outer.src = (struct sl_ip){.family = 4, .b = {198, 51, 100, 1}};
	path.outer.sport = 51820;
	path.outer.dport = 5051;
	path.force_path = 0;
	post(g, &path);
	expect_path(g, "192.0.2.50", 5051, GW_OUT4, 51820);
	post(g, &(struct sl_wk_msg){.type = SL_WK_KEEPALIVE, .peer_id = 1});
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	assert_true(gw_open(&inner, &s, out.b + 42, out.len - 42, &counter));
	assert_int_equal(inner.len, 0);
}

static void
test_drop_parked(void **state)
{
	struct gw *g = *state;

	gw_endpoint(g, 1, GW_CLIENT, GW_CLIENT_PORT);
	park(g, 3);
	post(g, &(struct sl_wk_msg){.type = SL_WK_DROP_PARKED, .peer_id = 1});
	gw_later(g, SL_TICK_NS);
	assert_int_equal(gw_drops(g, SL_DROP_PARK_TIMEOUT), 3);
	assert_int_equal(g->peer[1]->park_count, 0);
}

static void
test_peer_gone(void **state)
{
	struct gw *g = *state;
	struct gw_session s;

	gw_endpoint(g, 1, GW_CLIENT, GW_CLIENT_PORT);
	park(g, 3);
	gw_session_current(g, 1, 1, &s);
	post(g, &(struct sl_wk_msg){.type = SL_WK_PEER_GONE, .peer_id = 1});
	expect_answer(g, SL_ACK_PEER_GONE, 0);
	gw_later(g, SL_TICK_NS);
	assert_int_equal(gw_drops(g, SL_DROP_PEER_DOWN), 3);
	assert_null(g->peer[1]->current);
	atomic_store(&g->dp->peers->slot[1], NULL); /* a peer that has left: still an answer */
	post(g, &(struct sl_wk_msg){.type = SL_WK_PEER_GONE, .peer_id = 1});
	expect_answer(g, SL_ACK_PEER_GONE, 0);
}

/* hs does not listen: events stay in the peer, answers are never lost, messages wait. */
static void
test_deaf_hs(void **state)
{
	struct gw *g = *state;
	struct sl_worker *w = g->dp->worker[0];
	struct sl_wk_ack ack;
	unsigned i, n;

	for (i = 0; i < 2000; i++) {
		atomic_store(&g->peer[1]->events, 0);
		sl_worker_raise(w, g->peer[1], SL_PEER_EV_TIMER);
	}
	n = sl_mbox_count(w->to_hs);
	assert_int_equal(n, 1024);
	for (i = 0; i < 100; i++)
		assert_true(sl_mbox_put(w->from_hs,
					&(struct sl_wk_msg){.type = SL_WK_RETIRE, .peer_id = 2}));
	for (i = 0; i < 20; i++)
		gw_poll(g);
	assert_int_equal(sl_mbox_count(w->from_hs), 100 - SL_WK_MESSAGES);
	while (sl_mbox_get(w->to_hs, &ack, 1) == 1)
		;
	for (i = 0; i < 20; i++)
		gw_poll(g);
	for (n = 0; sl_mbox_get(w->to_hs, &ack, 1) == 1; n++)
		assert_int_equal(ack.type, SL_ACK_RETIRED);
	assert_int_equal(n, 100);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_counters),
		CASE(test_ticks),
		CASE(test_rekey),
		CASE(test_roaming),
		CASE(test_reply_follows),
		CASE(test_confirm),
		CASE(test_confirm_late),
		CASE(test_confirm_flushes),
		CASE(test_install_initiator),
		CASE(test_install_responder),
		CASE(test_retire),
		CASE(test_keepalive_and_path),
		CASE(test_drop_parked),
		CASE(test_peer_gone),
		CASE(test_deaf_hs),
	};

	eal_start("test_pipeline_rx_home");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
