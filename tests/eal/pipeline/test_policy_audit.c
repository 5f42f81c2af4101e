/* SPDX-License-Identifier: BSD-3-Clause */
/* Records and aggregates under load: what is told adds up to what happened. */
#include "pol_tx.h"

#include <stdlib.h>

#include "flow_int.h"

#define DOC                                                                                        \
	"{'version': 1, 'zones': {}, 'targets': {}, 'roles': {'user': {'members': "                \
	"['peer:peer1']},"                                                                         \
	"   'other': {'members': ['peer:peer2']}},"                                                \
	" 'rules': [{'id': 11, 'role': 'user', 'to': ['10.9.1.0/24'], 'protocol': 'any',"          \
	"            'action': 'allow'},"                                                          \
	"           {'id': 12, 'role': 'other', 'to': ['10.9.2.0/24'], 'protocol': 'udp',"         \
	"            'action': 'deny', 'log': false}]}"
#define DENIES 1000000

static struct fx *x;
static struct pol pol;

static int
setup(void **state)
{
	x = pol_begin(&pol);
	pol_load(&pol, x->root, DOC);
	return 0;
}

static int
teardown(void **state)
{
	pol_end(&pol, x);
	return 0;
}

/* A packet of peer 1 whose addresses and ports are written over. */
static struct rte_mbuf *
packet(uint32_t dst, uint16_t sport, uint16_t dport)
{
	static const struct fx_spec s = {.src = "10.7.0.2", .dst = "10.9.1.1", .len = 28};
	struct rte_mbuf *m = fx_tunnel(x, &s, 1);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);

	sl_store_be32(p + 16, dst);
	sl_store_be16(p + 10, 0);
	sl_store_be16(p + 10, fx_csum(p, 20, NULL, 0));
	sl_meta(m)->sport = sport;
	sl_meta(m)->dport = dport;
	sl_store_be16(p + 20, sport);
	sl_store_be16(p + 22, dport);
	return m;
}

static unsigned
frames(void)
{
	struct rte_mbuf *m;
	unsigned n = 0;

	while ((m = fx_frame(x, 1)) != NULL) {
		n++;
		rte_pktmbuf_free(m);
	}
	return n;
}

/* A scan of a million packets, most of them flows of their own, beside an allowed flow: that one
 * loses nothing, and every denied packet is told or accounted for. */
static void
a_million_denies(void **state)
{
	struct sl_rec_counts *c = &x->w->records->counts;
	static struct sl_rec r[512];
	uint64_t lost, told = 0, gaps = 0;
	unsigned i, k, sent = 0, good = 0, got = 0, n;

	while (sent < DENIES) {
		for (i = 0; i < 31; i++, sent++)
			sl_vec_add(&x->w->v[SL_NODE_AUTHZ],
				   packet(UINT32_C(0x0a000000) + sent % 60000, 1000,
					  (uint16_t)(sent / 60000 % 3)));
		sl_vec_add(&x->w->v[SL_NODE_AUTHZ], packet(UINT32_C(0x0a090101), 5000, 6000));
		good++;
		sl_worker_run(x->w);
		got += frames();
		if (good % 64 == 0) { /* 20,000 denies a tick, and a drain that sleeps at times */
			fx_time(x, x->w->now_ns + SL_TICK_NS);
			sl_flow_tick(x->w);
		}
		if (good % 1024 < 900)
			continue;
		n = pol_records(x->w, r, SL_ARRAY_SIZE(r), &lost);
		gaps += lost;
		for (k = 0; k < n; k++)
			told += r[k].type == SL_REC_DENY ? r[k].count : 0;
	}
	assert_int_equal(got, good);
	assert_int_equal(fx_drops(x, SL_DROP_DENIED), sent);
	sl_flow_purge(x->w);
	assert_int_equal(c->seen[SL_REC_DENY], sent);
	assert_int_equal(c->seen[SL_REC_ALLOW], 1);
	pol_law(x->w);
	assert_true(c->suppressed[SL_REC_DENY] > 0);
	assert_true(told > 0 && told <= c->recorded[SL_REC_DENY]);
	assert_int_equal(c->not_selected[SL_REC_DENY], 0);
	print_message("%u denies: %lu recorded, %lu suppressed, %lu overwritten\n", sent,
		      (unsigned long)c->recorded[SL_REC_DENY],
		      (unsigned long)c->suppressed[SL_REC_DENY],
		      (unsigned long)x->w->records->overwritten[SL_REC_DENY]);
}

/* --- aggregates -------------------------------------------------------------------------- */

#define HOSTS 4
#define PORTS 3

struct naive {
	uint64_t flows, packets, bytes;
};

/* by host, port, kind: allowed, denied while observed, denied while enforced */
static struct naive want[HOSTS][PORTS][3], have[HOSTS][PORTS][3];
static uint32_t rule[3];

static void
collect(void)
{
	struct sl_agg *a = x->w->agg;
	struct sl_agg_table *t = sl_agg_resting(a);
	unsigned i, host, port, kind;
	struct sl_agg_row row, *r = &row;

	if (t == NULL)
		return;
	assert_int_equal(t->lost, 0);
	for (i = 0; i < t->used; i++) {
		sl_agg_row_get(t, i, r);
		host = r->key.dst[3];
		port = r->key.dport;
		assert_true(host < HOSTS && port < PORTS);
		assert_int_equal(r->key.sport, 0);
		assert_int_equal(r->key.peer_id, 1);
		assert_true(r->key.flags & SL_AGG_FROM_TUNNEL);
		kind = r->key.flags & SL_AGG_ALLOW ? 0 : r->key.flags & SL_AGG_ENFORCED ? 2 : 1;
		have[host][port][kind].flows += r->flows;
		have[host][port][kind].packets += r->packets;
		have[host][port][kind].bytes += r->bytes;
		rule[kind] = r->rule_id;
		assert_true(r->first_ns <= r->last_ns);
	}
	sl_agg_turn(a);
}

/* Random packets of short and long flows, modes that change, a collector that comes at times. */
static void
aggregates_are_exact(void **state)
{
	static bool alive[HOSTS][PORTS][4], enforced[HOSTS][PORTS][4];
	uint32_t dice = 1;
	unsigned i, host, port, sport, kind, b;
	bool enforce = false;

	x->w->logging = false; /* nor does it matter */
	for (i = 0; i < 60000; i++) {
		dice = dice * 1664525 + 1013904223;
		host = dice >> 28 & 3;
		port = (dice >> 20 & 15) % PORTS;
		sport = dice >> 16 & 3;
		b = host & 1;
		if (i % 5000 == 0)
			enforce = !enforce;
		x->root->authz.deflt = enforce ? SL_MODE_ENFORCE : SL_MODE_OBSERVE;
		kind = b ? 0 : enforce ? 2 : 1;
		want[host][port][kind].packets++;
		want[host][port][kind].bytes += 28;
		/* a denied flow that is cut, or let go, is another one */
		if (!alive[host][port][sport] || (!b && enforced[host][port][sport] != enforce))
			want[host][port][kind].flows++;
		alive[host][port][sport] = true;
		enforced[host][port][sport] = enforce;
		sl_vec_add(&x->w->v[SL_NODE_AUTHZ],
			   packet(UINT32_C(0x0a090000) | b << 8 | host, (uint16_t)(100 + sport),
				  (uint16_t)port));
		if (i % 16 != 15 && i % 5000 != 4999)
			continue;
		sl_worker_run(x->w);
		frames();
		fx_time(x, x->w->now_ns + 20 * SL_NS_PER_MS);
		if (i % 80 == 79)
			sl_flow_tick(x->w);
		if (i % 4000 == 3999)
			collect();
	}
	sl_flow_purge(x->w);
	sl_agg_poll(x->w->agg);
	collect();
	sl_agg_poll(x->w->agg);
	collect();
	sl_agg_poll(x->w->agg);
	collect();
	assert_memory_equal(have, want, sizeof(want));
	assert_int_equal(rule[0], 11);
	assert_int_equal(rule[1], 0);
	fx_drops(x, SL_DROP_DENIED);
}

/* A flow of hours is in the evidence before it ends. */
static void
long_flows_are_folded(void **state)
{
	uint64_t packets = 0;
	struct sl_agg_table *t;
	struct sl_agg_row row;
	unsigned i, k;

	for (i = 0; i < 700; i++) {
		sl_vec_add(&x->w->v[SL_NODE_AUTHZ], packet(UINT32_C(0x0a090101), 5000, 2));
		sl_worker_run(x->w);
		frames();
		fx_time(x, x->w->now_ns + SL_TICK_NS);
		sl_flow_tick(x->w);
	}
	t = x->w->agg->table[0];
	for (k = 0; k < t->used; k++) {
		sl_agg_row_get(t, k, &row);
		packets += row.packets;
	}
	assert_in_range(packets, 30, 699);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_million_denies),
		CASE(aggregates_are_exact),
		CASE(long_flows_are_folded),
	};

	eal_start("test_policy_audit");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
