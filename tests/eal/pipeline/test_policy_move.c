/* SPDX-License-Identifier: BSD-3-Clause */
/* Two workers under enforce: flows go with their peer, flows between peers need two homes. Lcores
 * take turns in any order. */
#include "eal_main.h"
#include "gw_fixture.h"
#include "pol_fixture.h"

#include "flow_int.h"

#define DOC                                                                                        \
	"{'version': 1, 'zones': {}, 'targets': {}, 'roles': {'user': {'members': "                \
	"['peer:peer1']}},"                                                                        \
	" 'rules': [{'id': 1, 'role': 'user', 'to': ['10.20.0.9/32', '10.8.0.3/32'],"              \
	"            'protocol': 'any', 'action': 'allow'}]}"
#define FLOWS 300
#define PEER1 "10.8.0.2"
#define PEER2 "10.8.0.3"

static struct gw *g;
static struct pol pol;
static struct gw_session s[3]; /* of peers 1 and 2 */
static uint32_t dice;

static unsigned
chance(unsigned n)
{
	dice = dice * 1664525 + 1013904223;
	return (dice >> 16) % n;
}

static int
begin(unsigned home1, unsigned home2)
{
	unsigned i;

	dice = 1;
	g = gw_new(&(struct gw_conf){.workers = 2});
	g->iface[1].isolation = false;
	g->root.authz.deflt = SL_MODE_ENFORCE;
	g->root.authz.logging = true;
	g->peer[1]->home = (uint16_t)home1;
	g->peer[2]->home = (uint16_t)home2;
	for (i = 1; i <= 2; i++) {
		gw_session_current(g, i, (uint8_t)i, &s[i]);
		gw_endpoint(g, i, GW_CLIENT, GW_CLIENT_PORT);
	}
	pol_init(&pol);
	pol_load(&pol, &g->root, DOC);
	gw_poll(g);
	return 0;
}

static int
setup_same(void **state)
{
	return begin(0, 0);
}

static int
setup_apart(void **state)
{
	return begin(0, 1);
}

static int
teardown(void **state)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		sl_flow_purge(g->dp->worker[i]);
		pol_law(g->dp->worker[i]);
	}
	gw_free(g);
	pol_free(&pol);
	return 0;
}

static uint64_t
seen(enum sl_rec_type t)
{
	return pol_seen(g->dp->worker[0], t) + pol_seen(g->dp->worker[1], t);
}

static uint64_t
lost(void)
{
	return g->dp->worker[0]->stats->lcore.flow_handover_lost +
	       g->dp->worker[1]->stats->lcore.flow_handover_lost;
}

static void
send(unsigned peer, const char *src, const char *dst, uint16_t sport, uint16_t dport)
{
	static struct gw_pkt inner, frame;

	gw_udp(&inner, src, dst, sport, dport, (const uint8_t *)"text", 4);
	if (peer != 0) {
		gw_data(&frame, &s[peer], s[peer].counter++, &inner);
		gw_in(g, GW_OUTSIDE, chance(2), &frame);
	} else {
		gw_eth(&inner, gw_mac[GW_INSIDE], 0);
		gw_in(g, GW_INSIDE, chance(2), &inner);
	}
}

static unsigned
out(unsigned port)
{
	static struct gw_pkt p;
	unsigned n = 0;

	while (gw_out(g, port, &p))
		n++;
	return n;
}

static void
move(unsigned peer)
{
	unsigned home = g->peer[peer]->home;
	struct sl_wk_msg msg = {.type = SL_WK_REHOME_OUT,
				.peer_id = peer,
				.home = (uint16_t)(1 - home)};
	struct sl_wk_ack ack[8];

	assert_true(sl_mbox_put(g->dp->worker[home]->from_hs, &msg));
	while (g->peer[peer]->home == home)
		sl_worker_poll(g->dp->worker[chance(2)], g->now_ns);
	while (sl_mbox_get(g->dp->worker[home]->to_hs, ack, 8) == 8)
		;
}

static void
turns(unsigned n)
{
	while (n-- > 0)
		sl_worker_poll(g->dp->worker[chance(2)], g->now_ns);
}

/* Nothing but what is dropped for good reasons here: nothing. */
static void
no_drops(void)
{
	unsigned r;

	for (r = 1; r < SL_DROP_MAX; r++)
		if (r != SL_DROP_LOCAL_CONSUMED && gw_drops(g, r) != 0)
			fail_msg("%s: %lu", sl_drop_text(r), (unsigned long)gw_drops(g, r));
}

static uint64_t
ended_packets(uint64_t *ends)
{
	static struct sl_rec r[4096];
	uint64_t gone, packets = 0;
	unsigned i, k, n;

	*ends = 0;
	for (i = 0; i < 2; i++) {
		n = pol_records(g->dp->worker[i], r, SL_ARRAY_SIZE(r), &gone);
		assert_int_equal(gone, 0);
		for (k = 0; k < n; k++) {
			if (r[k].type != SL_REC_END)
				continue;
			packets += r[k].packets[0] + r[k].packets[1];
			++*ends;
		}
	}
	return packets;
}

/* UDP flows whose replies only pass because the flow is known. */
static void
flows_move(void **state)
{
	unsigned i, k, sent = FLOWS, got = 0, moves = 0;
	uint64_t ends, packets;

	for (i = 0; i < FLOWS; i++) {
		send(1, PEER1, GW_SERVER4, (uint16_t)(1000 + i), 53);
		turns(4);
	}
	gw_poll(g);
	got = out(GW_INSIDE);
	assert_int_equal(got, FLOWS);
	for (i = 0; i < 3000; i++) {
		for (k = chance(8); k > 0; k--, sent++) {
			if (chance(2) != 0)
				send(0, GW_SERVER4, PEER1, 53, (uint16_t)(1000 + chance(FLOWS)));
			else
				send(1, PEER1, GW_SERVER4, (uint16_t)(1000 + chance(FLOWS)), 53);
		}
		turns(chance(4));
		if (chance(10) == 0) {
			move(1);
			moves++;
		}
		if (chance(20) == 0)
			g->now_ns += 50 * SL_NS_PER_MS;
		got += out(GW_INSIDE) + out(GW_OUTSIDE);
	}
	gw_poll(g);
	got += out(GW_INSIDE) + out(GW_OUTSIDE);
	assert_true(moves > 100);
	no_drops();
	assert_int_equal(got, sent);
	assert_int_equal(lost(), 0);
	gw_later(g, SL_NS_PER_S); /* all are where their peer is */
	assert_int_equal(sl_flow_count(g->dp->worker[g->peer[1]->home]->flows), FLOWS);
	assert_int_equal(g->peer[1]->n_flows, FLOWS);
	assert_int_equal(sl_flow_count(g->dp->worker[1 - g->peer[1]->home]->flows), 0);
	assert_int_equal(seen(SL_REC_ALLOW), FLOWS);
	assert_int_equal(seen(SL_REC_END), 0);
	sl_flow_purge(g->dp->worker[0]);
	sl_flow_purge(g->dp->worker[1]);
	packets = ended_packets(&ends);
	assert_int_equal(ends, FLOWS);
	assert_int_equal(packets, sent); /* counters went with them */
}

/* A piece of a UDP packet; the first one shows its ports. */
static void
send_piece(unsigned peer, const char *src, const char *dst, uint16_t id, unsigned off, bool more)
{
	static struct gw_pkt inner, frame;
	uint8_t piece[80] = {0};

	if (off == 0 && peer != 0) {
		sl_store_be16(piece, 1000);
		sl_store_be16(piece + 2, 53);
	} else if (off == 0) {
		sl_store_be16(piece, 53);
		sl_store_be16(piece + 2, 1000);
	}
	if (off == 0)
		sl_store_be16(piece + 4, 4 * sizeof(piece));
	gw_ip(&inner, src, dst, 17, piece, sizeof(piece));
	sl_store_be16(inner.b + 4, id);
	sl_store_be16(inner.b + 6, (uint16_t)(off / 8 | (more ? 0x2000 : 0)));
	gw_fix4(&inner);
	if (peer != 0) {
		gw_data(&frame, &s[peer], s[peer].counter++, &inner);
		gw_in(g, GW_OUTSIDE, chance(2), &frame);
	} else {
		gw_eth(&inner, gw_mac[GW_INSIDE], 0);
		gw_in(g, GW_INSIDE, chance(2), &inner);
	}
}

/* Pieces of packets in both directions, with moves between any two of them: each is judged as its
 * first one was, and those of a packet that has no right stay out. */
static void
fragments_move(void **state)
{
	unsigned i, k, sent = 0, got = 0, orphans = 0;

	for (i = 0; i < 300; i++) {
		bool up = chance(2) != 0;

		if (i % 5 == 4) { /* nobody saw its begin */
			send_piece(1, PEER1, GW_SERVER4, (uint16_t)(5000 + i), 80, true);
			orphans++;
		}
		for (k = 0; k < 4; k++, sent++) {
			if (up || i == 0)
				send_piece(1, PEER1, GW_SERVER4, (uint16_t)i, 80 * k, k < 3);
			else
				send_piece(0, GW_SERVER4, PEER1, (uint16_t)i, 80 * k, k < 3);
			turns(k == 0 ? 30 : chance(3)); /* the first one comes first */
			if (chance(2) == 0)
				move(1);
		}
		turns(8);
		got += out(GW_INSIDE) + out(GW_OUTSIDE);
		if (chance(20) == 0)
			g->now_ns += 50 * SL_NS_PER_MS;
	}
	gw_poll(g);
	got += out(GW_INSIDE) + out(GW_OUTSIDE);
	assert_int_equal(gw_drops(g, SL_DROP_FRAG_ORPHAN), orphans);
	assert_int_equal(got, sent);
	assert_int_equal(lost(), 0);
	pol_revoke(&pol, &g->root, 1, "user");
	send_piece(1, PEER1, GW_SERVER4, 299, 320, false); /* not by a verdict that is gone */
	gw_poll(g);
	assert_int_equal(out(GW_INSIDE), 0);
}

/* Denied packets are told where they were, or where the flow has gone. */
static void
held_back_moves(void **state)
{
	unsigned i, sent = 0;

	for (i = 0; i < 200; i++, sent++) {
		send(1, PEER1, "10.20.0.77", 1000, 53);
		turns(3);
		if (i % 7 == 0)
			move(1);
	}
	gw_poll(g);
	gw_later(g, 1100 * SL_NS_PER_MS);
	gw_later(g, 2100 * SL_NS_PER_MS);
	gw_later(g, 12 * SL_NS_PER_S);
	assert_int_equal(gw_drops(g, SL_DROP_DENIED), sent);
	assert_int_equal(seen(SL_REC_DENY), sent);
}

/* Without buffers to carry them flows end here, are counted, and begin anew. */
static void
flows_are_lost(void **state)
{
	static struct rte_mbuf *all[GW_POOL + 1];
	uint64_t ends;
	unsigned i, n = 0;

	for (i = 0; i < 20; i++)
		send(1, PEER1, GW_SERVER4, (uint16_t)(1000 + i), 53);
	gw_poll(g);
	assert_int_equal(out(GW_INSIDE), 20);
	while ((all[n] = rte_pktmbuf_alloc(g->pool)) != NULL)
		n++;
	move(1);
	while (n > 0)
		rte_pktmbuf_free(all[--n]);
	gw_poll(g);
	assert_int_equal(lost(), 20);
	assert_int_equal(ended_packets(&ends), 20);
	assert_int_equal(ends, 20);
	assert_int_equal(sl_flow_count(g->dp->worker[0]->flows), 0);
	assert_int_equal(g->peer[1]->flow_head, 0);
	assert_int_equal(g->peer[1]->n_flows, 0);
	for (i = 0; i < 20; i++)
		send(1, PEER1, GW_SERVER4, (uint16_t)(1000 + i), 53);
	gw_poll(g);
	assert_int_equal(out(GW_INSIDE), 20);
	assert_int_equal(sl_flow_count(g->dp->worker[1]->flows), 20);
}

/* A peer that goes after it has moved takes along what came with it. */
static void
moves_then_goes(void **state)
{
	struct sl_wk_msg gone = {.type = SL_WK_PEER_GONE, .peer_id = 1};
	uint64_t ends;
	unsigned i;

	for (i = 0; i < 20; i++)
		send(1, PEER1, GW_SERVER4, (uint16_t)(1000 + i), 53);
	gw_poll(g);
	assert_int_equal(out(GW_INSIDE), 20);
	move(1);
	atomic_store(&g->peer[1]->gone, 1);
	assert_true(sl_mbox_put(g->dp->worker[1]->from_hs, &gone));
	gw_poll(g);
	assert_int_equal(ended_packets(&ends), 20);
	assert_int_equal(ends, 20);
	assert_int_equal(sl_flow_count(g->dp->worker[1]->flows), 0);
	assert_int_equal(g->peer[1]->flow_head, 0);
	assert_int_equal(g->peer[1]->n_flows, 0);
}

/* --- between peers ----------------------------------------------------------------------- */

static uint64_t
misses(void)
{
	return g->dp->worker[0]->stats->stage[SL_STATS_POST_DECRYPT].policy_misses +
	       g->dp->worker[1]->stats->stage[SL_STATS_POST_DECRYPT].policy_misses;
}

static void
between_peers(void **state)
{
	struct sl_rec r;

	send(2, PEER2, PEER1, 53, 1000); /* nobody asked */
	gw_poll(g);
	assert_int_equal(out(GW_OUTSIDE), 0);
	assert_int_equal(gw_drops(g, SL_DROP_NO_ROLE), 1);
	gw_later(g, 13 * SL_NS_PER_S);
	send(1, PEER1, PEER2, 1000, 53);
	gw_poll(g);
	assert_int_equal(out(GW_OUTSIDE), 1);
	send(2, PEER2, PEER1, 53, 1000);
	gw_poll(g);
	assert_int_equal(out(GW_OUTSIDE), 1);
	assert_int_equal(misses(), 2); /* judged once a flow */
	assert_int_equal(seen(SL_REC_ALLOW), 1);
	pol_law(g->dp->worker[0]);
	pol_revoke(&pol, &g->root, 1, "user");
	send(2, PEER2, PEER1, 53, 1000);
	gw_poll(g);
	assert_int_equal(out(GW_OUTSIDE), 0);
	assert_int_equal(gw_drops(g, SL_DROP_NO_ROLE), 2);
	send(1, PEER1, PEER2, 1000, 53);
	gw_poll(g);
	assert_int_equal(out(GW_OUTSIDE), 0);
	assert_int_equal(gw_drops(g, SL_DROP_NO_ROLE), 3);
	sl_flow_purge(g->dp->worker[0]);
	sl_flow_purge(g->dp->worker[1]);
	assert_int_equal(seen(SL_REC_DENY), 3);
	assert_int_equal(seen(SL_REC_END), 1);
	r = pol_one(g->dp->worker[0], SL_REC_END);
	assert_int_equal(r.reason, SL_RR_REVOKED);
	assert_int_equal(r.packets[0], 1);
	assert_int_equal(r.packets[1], 1);
}

/* The mode between peers is the receiver's of the flow, for replies too. */
static void
mode_between_peers(void **state)
{
	struct sl_prefix p;

	assert_int_equal(sl_prefix_parse(PEER2 "/32", &p), 0);
	assert_int_equal(sl_lpm_set(&g->root.authz.mode4, &g->root.authz.mode4, p.ip.b, 32,
				    SL_MODE_OBSERVE, &g->garbage),
			 0);
	pol_revoke(&pol, &g->root, 1, "user");
	send(1, PEER1, PEER2, 1000, 53); /* denied, but observed */
	gw_poll(g);
	assert_int_equal(out(GW_OUTSIDE), 1);
	send(2, PEER2, PEER1, 53, 1000);
	gw_poll(g);
	assert_int_equal(out(GW_OUTSIDE), 1);
	no_drops();
	sl_flow_purge(g->dp->worker[0]);
	sl_flow_purge(g->dp->worker[1]);
	assert_int_equal(seen(SL_REC_WOULD_DENY), 2);
	sl_lpm_free(&g->root.authz.mode4);
	sl_lpm_init(&g->root.authz.mode4, 32);
}

/* Both move, in any order, with packets on their way. */
static void
peers_move(void **state)
{
	unsigned i, k, sent = 50, got;

	for (i = 0; i < 50; i++)
		send(1, PEER1, PEER2, (uint16_t)(1000 + i), 53);
	gw_poll(g);
	got = out(GW_OUTSIDE);
	assert_int_equal(got, 50);
	for (i = 0; i < 4000; i++) {
		for (k = chance(6); k > 0; k--, sent++) {
			if (chance(2) != 0)
				send(2, PEER2, PEER1, 53, (uint16_t)(1000 + chance(50)));
			else
				send(1, PEER1, PEER2, (uint16_t)(1000 + chance(50)), 53);
		}
		turns(chance(4));
		if (chance(8) == 0)
			move(1 + chance(2));
		if (chance(20) == 0)
			g->now_ns += 50 * SL_NS_PER_MS;
		got += out(GW_OUTSIDE);
	}
	gw_poll(g);
	got += out(GW_OUTSIDE);
	no_drops();
	assert_int_equal(got, sent);
	assert_int_equal(lost(), 0);
	assert_int_equal(seen(SL_REC_ALLOW), 50);
	assert_int_equal(seen(SL_REC_END), 0);
	sl_flow_purge(g->dp->worker[0]);
	sl_flow_purge(g->dp->worker[1]);
	assert_int_equal(seen(SL_REC_END), 50);
}

/* Forged and repeated messages are told, by peer, without addresses. */
static void
sessions_are_told(void **state)
{
	static struct gw_pkt inner, frame;
	struct sl_worker *w = g->dp->worker[0];
	struct sl_rec r[64];
	uint64_t gone;
	unsigned i, n;

	gw_udp(&inner, PEER1, GW_SERVER4, 1000, 53, (const uint8_t *)"text", 4);
	gw_data(&frame, &s[1], s[1].counter++, &inner);
	for (i = 0; i < 5; i++) /* in one burst, and in another one */
		gw_in(g, GW_OUTSIDE, 0, &frame);
	gw_poll(g);
	gw_in(g, GW_OUTSIDE, 0, &frame);
	frame.b[frame.len - 1] ^= 1;
	sl_store_le64(frame.b + 14 + 28 + 8, 7777);
	for (i = 0; i < 3; i++)
		gw_in(g, GW_OUTSIDE, 0, &frame);
	gw_poll(g);
	assert_int_equal(out(GW_INSIDE), 1);
	assert_int_equal(gw_drops(g, SL_DROP_REPLAY), 5);
	assert_int_equal(gw_drops(g, SL_DROP_AUTH_FAIL), 3);
	assert_int_equal(seen(SL_REC_REPLAY), 5);
	assert_int_equal(seen(SL_REC_DECRYPT), 3);
	n = pol_records(w, r, SL_ARRAY_SIZE(r), &gone);
	for (i = 0; i < n; i++) {
		if (r[i].type != SL_REC_DECRYPT && r[i].type != SL_REC_REPLAY)
			continue;
		assert_int_equal(r[i].peer_id, 1);
		assert_int_equal(r[i].iface, 1);
		assert_int_equal(r[i].version, 0);
		assert_int_equal(sl_load_le64(r[i].src) | sl_load_le64(r[i].dst), 0);
	}
	assert_int_equal(pol_count(r, n, SL_REC_DECRYPT), 1);
}

/* --- what control sees ------------------------------------------------------------------------ */

/** A window from a worker, in so many of its polls. @return rows */
static unsigned
look(unsigned worker, uint32_t at, unsigned polls)
{
	struct sl_worker *w = g->dp->worker[worker];
	unsigned i;

	sl_flow_view_ask(w->view, &(struct sl_flow_ask){.at = at, .peer_id = SL_FLOW_ANY_PEER});
	for (i = 0; i < polls; i++) {
		assert_false(sl_flow_view_here(w->view));
		assert_true(sl_worker_poll(w, g->now_ns) > 0); /* it does not sleep meanwhile */
	}
	assert_true(sl_flow_view_here(w->view));
	return w->view->n;
}

/* A flow between two workers' peers is seen where it is judged, and goes with that peer. */
static void
flows_are_shown(void **state)
{
	const struct sl_flow_view *v = g->dp->worker[0]->view;
	unsigned i;

	assert_int_equal(look(0, 0, 1), 0);
	assert_true(v->end);
	send(1, PEER1, PEER2, 1000, 53);
	send(1, PEER1, GW_SERVER4, 2000, 53);
	gw_poll(g);
	send(0, GW_SERVER4, PEER1, 53, 2000);
	gw_poll(g);
	assert_int_equal(look(0, 0, 1), 2);
	assert_int_equal(look(1, 0, 1), 0); /* has the way for replies alone */
	assert_int_equal(sl_flow_count(g->dp->worker[1]->flows), 1);
	for (i = 0; i < 2; i++) {
		const struct sl_flow *f = &v->row[i];

		assert_int_equal(f->peer_id, 1);
		assert_int_equal(f->packets[0], 1);
		assert_int_equal(f->packets[1], sl_flow_sport(f) == 2000);
		assert_int_equal(f->bytes[0], 32);
		assert_int_equal(sl_flow_dport(f), 53);
		assert_int_equal(f->rule_id, 1);
	}
	move(1);
	gw_poll(g);
	assert_int_equal(look(0, 0, 1), 0);
	assert_int_equal(look(1, 0, 1), 2);
	out(GW_OUTSIDE);
	out(GW_INSIDE);
}

/* One poll looks at so many places, and a full window ends the look. */
static void
looks_are_short(void **state)
{
	struct sl_worker *w = g->dp->worker[0];
	const unsigned n = 4 * SL_FLOW_VIEW_ROWS, step = SL_FLOW_VIEW_STEP;
	struct sl_flow_key k;
	struct sl_flow *f;
	unsigned i;

	for (i = 0; i < n; i++) {
		uint8_t src[4] = {10, 8, 0, 2}, dst[4] = {10, 30, (uint8_t)(i >> 8), (uint8_t)i};

		sl_flow_key_make(&k, 4, SL_PROTO_UDP, 1, src, dst, 1000, 53);
		f = sl_flow_add(w->flows, &k, sl_flow_hash(w->flows, &k), w->tick, NULL, NULL);
		assert_non_null(f);
		f->flags = SL_FLOW_ALLOW | (i < n / 2 ? SL_FLOW_QUIET : 0);
	}
	assert_int_equal(look(0, 0, (n / 2 + SL_FLOW_VIEW_ROWS) / step), SL_FLOW_VIEW_ROWS);
	assert_false(w->view->end);
	assert_int_equal(w->view->next, n / 2 + SL_FLOW_VIEW_ROWS);
	assert_int_equal(look(0, w->view->next, SL_FLOW_VIEW_ROWS / step), SL_FLOW_VIEW_ROWS);
	assert_true(w->view->end);
	assert_int_equal(w->view->count, n);
	for (i = 0; i < n; i++)
		sl_flow_del(w->flows, sl_flow_get(w->flows, i));
}

#define SAME(t) cmocka_unit_test_setup_teardown(t, setup_same, teardown)
#define APART(t)                                                                                   \
	{                                                                                          \
#t " apart", t, setup_apart, teardown, NULL                                        \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SAME(flows_move),	SAME(fragments_move),	  SAME(held_back_moves),
		SAME(flows_are_lost),	SAME(moves_then_goes),	  SAME(between_peers),
		APART(between_peers),	SAME(mode_between_peers), APART(mode_between_peers),
		SAME(peers_move),	APART(peers_move),	  SAME(sessions_are_told),
		APART(flows_are_shown), SAME(looks_are_short),
	};

	eal_start("test_policy_move");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
