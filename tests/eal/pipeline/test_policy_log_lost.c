/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets that want their records kept: while records are lost nobody reaches them, in either
 * direction and in flows under way too; others pass, and all pass where modes only observe. */
#include "pol_tx.h"

#include "flow_int.h"

static struct fx *x;
static struct pol pol;

static const struct fx_spec up = {.src = "10.7.0.2", .dst = "10.0.0.10"};
static const struct fx_spec up6 = {.src = "fd00:7::2", .dst = "fd00:a::10"};
static const struct fx_spec down = {.src = "10.0.0.10",
				    .dst = "10.7.0.2",
				    .sport = 6000,
				    .dport = 5000};
static const struct fx_spec other = {.src = "10.7.0.2", .dst = "10.9.0.80"};

static void
require(struct sl_lpm *t, const char *addr, unsigned len)
{
	struct sl_ip ip = fx_ip(addr);
	struct sl_lpm_garbage g = {0};

	assert_int_equal(sl_lpm_set(t, t, ip.b, len, 0, &g), 0);
	sl_lpm_garbage_free(&g);
}

static void
lose(bool on)
{
	atomic_store_explicit(&x->w->dp->losing_records, on, memory_order_relaxed);
}

static int
setup(void **state)
{
	x = pol_begin(&pol);
	pol_load(&pol, x->root,
		 "{'version': 1, 'zones': {}, 'targets': {'db': {'addresses': ['10.0.0.10/32', "
		 "'fd00:a::10/128']}, 'web': {'addresses': ['10.9.0.80/32']}}, 'roles': {'user': "
		 "{'members': ['peer:peer1', 'peer:peer2']}}, 'rules': [{'id': 1, 'role': 'user', "
		 "'to': ['*'], 'protocol': 'any', 'action': 'allow', 'bidirectional': true}]}");
	sl_lpm_init(&x->root->authz.required4, 32);
	sl_lpm_init(&x->root->authz.required6, 128);
	require(&x->root->authz.required4, "10.0.0.10", 32);
	require(&x->root->authz.required6, "fd00:a::10", 128);
	return 0;
}

static int
teardown(void **state)
{
	lose(false);
	sl_lpm_free(&x->root->authz.required4);
	sl_lpm_free(&x->root->authz.required6);
	x->root->authz.required4.root = x->root->authz.required6.root = NULL;
	pol_end(&pol, x);
	return 0;
}

static bool
send_up(const struct fx_spec *s)
{
	return pol_from_tunnel(x, fx_tunnel(x, s, 1));
}

static bool
send_down(const struct fx_spec *s)
{
	return pol_from_inside(x, fx_inside(x, s, 1));
}

static void
refused(bool passed)
{
	assert_false(passed);
	pol_dropped(x, SL_DROP_LOG_LOST, 1);
}

/** All packets pass, whatever the flag says. */
static void
all_pass(void)
{
	assert_true(send_up(&up));
	assert_true(send_up(&up6));
	assert_true(send_down(&down));
	assert_true(send_up(&other));
}

static void
flows_under_way(void **state)
{
	struct sl_rec r;

	all_pass();
	lose(true);
	pol_law(x->w);
	refused(send_up(&up));
	r = pol_one(x->w, SL_REC_DENY);
	assert_int_equal(r.reason, SL_RR_LOG_LOST);
	assert_int_equal(r.flags & SL_RF_ENFORCED, SL_RF_ENFORCED);
	refused(send_down(&down));
	refused(send_up(&up6));
	assert_true(send_up(&other));
	lose(false);
	all_pass();
}

static void
new_flows(void **state)
{
	lose(true);
	refused(send_up(&up));
	refused(send_up(&up6));
	refused(send_down(&(struct fx_spec){.src = "10.0.0.10", .dst = "10.7.0.2", .sport = 7}));
	assert_true(send_up(&other));
	lose(false);
	all_pass();
}

static void
observed(void **state)
{
	struct sl_rec r;

	x->root->authz.deflt = SL_MODE_OBSERVE;
	lose(true);
	assert_true(send_up(&up));
	r = pol_one(x->w, SL_REC_WOULD_DENY);
	assert_int_equal(r.reason, SL_RR_LOG_LOST);
	assert_int_equal(r.flags & SL_RF_ENFORCED, 0);
	all_pass();
}

static void
panic(void **state)
{
	x->root->authz.panic_observe = true;
	lose(true);
	all_pass();
	x->root->authz.panic_observe = false;
	refused(send_up(&up));
}

static uint64_t
counts_of(enum sl_rec_type t, unsigned *n)
{
	static struct sl_rec r[256];
	uint64_t lost, sum = 0;
	unsigned i, all = pol_records(x->w, r, SL_ARRAY_SIZE(r), &lost);

	*n = pol_count(r, all, t);
	for (i = 0; i < all; i++) {
		if (r[i].type != t)
			continue;
		sum += r[i].count;
		assert_int_equal(r[i].reason, SL_RR_LOG_LOST);
		assert_int_equal(r[i].flags & SL_RF_ALLOW, 0);
		assert_int_equal(r[i].dport, 6000);
		assert_memory_equal(r[i].src, fx_ip("10.7.0.2").b, 4);
	}
	return sum;
}

/* As of denies one a flow and second, lest the records of what is dropped keep the sinks full. */
static void
held_back(void **state)
{
	unsigned i, n;

	assert_true(send_up(&up));
	lose(true);
	for (i = 0; i < 50; i++) {
		assert_false(send_up(&up));
		assert_false(send_down(&down));
	}
	pol_dropped(x, SL_DROP_LOG_LOST, 100);
	assert_int_equal(counts_of(SL_REC_DENY, &n), 1);
	assert_int_equal(n, 1);
	fx_time(x, x->w->now_ns + 1100 * SL_NS_PER_MS);
	refused(send_up(&up));
	assert_int_equal(counts_of(SL_REC_DENY, &n), 100);
	assert_int_equal(n, 1);
	for (i = 0; i < 7; i++)
		refused(send_up(&up));
	x->root->authz.deflt = SL_MODE_OBSERVE; /* what was dropped is told as dropped */
	assert_true(send_up(&up));
	assert_int_equal(pol_seen(x->w, SL_REC_DENY), 108);
	assert_int_equal(counts_of(SL_REC_DENY, &n), 7);
	assert_int_equal(n, 1);
	lose(false);
	all_pass();
	fx_time(x, x->w->now_ns + 1100 * SL_NS_PER_MS);
	sl_flow_purge(x->w);
	assert_int_equal(counts_of(SL_REC_WOULD_DENY, &n), 1);
	assert_int_equal(n, 1);
	assert_int_equal(pol_seen(x->w, SL_REC_DENY), 108);
	assert_int_equal(pol_seen(x->w, SL_REC_WOULD_DENY), 1);
	pol_law(x->w);
}

/** Nothing is lost, and nothing written either. */
static void
logging_off(void **state)
{
	x->root->authz.logging = false;
	refused(send_up(&up));
	refused(send_down(&down));
	assert_true(send_up(&other));
	x->root->authz.logging = true;
	all_pass();
}

/** Off, the flag of the drain means nothing. */
static void
nobody_asks(void **state)
{
	sl_lpm_free(&x->root->authz.required4);
	sl_lpm_free(&x->root->authz.required6);
	sl_lpm_init(&x->root->authz.required4, 32);
	sl_lpm_init(&x->root->authz.required6, 128);
	lose(true);
	all_pass();
	assert_int_equal(pol_seen(x->w, SL_REC_DENY), 0);
}

/** Between peers the target is the receiver: of its replies the sender. */
static void
between_peers(void **state)
{
	static const struct fx_spec there = {.src = "10.7.0.2", .dst = "10.7.0.3"};
	static const struct fx_spec back = {.src = "10.7.0.3",
					    .dst = "10.7.0.2",
					    .sport = 6000,
					    .dport = 5000};

	x->f1->isolation = false;
	require(&x->root->authz.required4, "10.7.0.3", 32);
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &there, 1));
	rte_pktmbuf_free(fx_frame(x, 0));
	lose(true);
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &there, 1));
	pol_dropped(x, SL_DROP_LOG_LOST, 1);
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &back, 2));
	pol_dropped(x, SL_DROP_LOG_LOST, 1);
	fx_run(x, SL_NODE_AUTHZ,
	       fx_tunnel(x, &(struct fx_spec){.src = "10.7.0.3", .dst = "10.7.0.2", .sport = 9},
			 2)); /* what it begins itself */
	rte_pktmbuf_free(fx_frame(x, 0));
	pol_dropped(x, SL_DROP_LOG_LOST, 0);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(flows_under_way), CASE(new_flows),	  CASE(observed),    CASE(held_back),
		CASE(panic),	       CASE(logging_off), CASE(nobody_asks), CASE(between_peers),
	};

	eal_start("test_policy_log_lost");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
