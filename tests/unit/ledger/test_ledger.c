/* SPDX-License-Identifier: BSD-3-Clause */
/* The ledger: which steps there are, what closes each gate, what gateways alone can set; trends
 * that make the baseline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_ledger.h"

#define NOW "2026-11-26T12:00:00Z"

static struct sl_trend_mean calm = {.samples = 100,
				    .packets = 1000000,
				    .drops = 10,
				    .drop_rate = 1e-5,
				    .p50 = 20000,
				    .p95 = 40000,
				    .p99 = 90000};
static struct sl_ledger_gateway gw[2];
static struct sl_ledger_facts f;

/** Everything as it should be. */
static int
setup(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		gw[i] = (struct sl_ledger_gateway){.name = i ? "gw2" : "gw1",
						   .registered = true,
						   .endpoint = true,
						   .connected = true,
						   .logging = true,
						   .observe_all = true,
						   .target_enforced = true,
						   .push_age_s = 10};
	f = (struct sl_ledger_facts){.gateway = gw,
				     .n_gateways = 2,
				     .peers = 3,
				     .in_policy = true,
				     .flows = 100,
				     .window_s = 86400,
				     .covered_s = 86400,
				     .baseline = &calm,
				     .now = &calm,
				     .major = 1,
				     .major_done = 1};
	return 0;
}

static json_t *
entry(const char *state)
{
	return json_pack("{s:s, s:s}", "state", state, "since", NOW);
}

static void
whole_way(void **state)
{
	json_t *e = entry("vpn");
	struct sl_error err = {0};

	(void)state;
	gw[0].target_enforced = false;
	assert_int_equal(sl_ledger_move(e, SL_LEDGER_PILOT, &f, false, "token:a", "go", NOW, &err),
			 0);
	assert_true(sl_ledger_is_wg(sl_ledger_state(e)));
	assert_int_equal(sl_ledger_move(e, SL_LEDGER_OBSERVED, &f, false, "token:a", NULL, NOW,
					&err),
			 0);
	assert_non_null(json_object_get(e, "baseline"));
	/* one gateway does not enforce: nothing changes; both: it follows; back: it follows */
	assert_false(sl_ledger_derive(e, &f, NOW));
	gw[0].target_enforced = true;
	assert_true(sl_ledger_derive(e, &f, NOW));
	assert_int_equal(sl_ledger_state(e), SL_LEDGER_ENFORCED);
	assert_int_equal(sl_ledger_move(e, SL_LEDGER_DONE, &f, false, "token:a", NULL, NOW, &err),
			 0);
	/* after a restart of the server one gateway has not told its modes yet */
	gw[1].target_enforced = gw[1].mode_told = false;
	assert_false(sl_ledger_derive(e, &f, NOW));
	assert_int_equal(sl_ledger_state(e), SL_LEDGER_DONE);
	gw[1].mode_told = true;
	assert_true(sl_ledger_derive(e, &f, NOW));
	assert_int_equal(sl_ledger_state(e), SL_LEDGER_OBSERVED);
	assert_int_equal(sl_ledger_withdraw(e, "token:a", "trouble", NOW), 0);
	assert_int_equal(sl_ledger_state(e), SL_LEDGER_VPN);
	assert_int_equal(sl_ledger_withdraw(e, "token:a", NULL, NOW), -EALREADY);
	assert_int_equal(json_array_size(json_object_get(e, "history")),
			 6); /* nothing of it is forgotten */
	assert_null(json_object_get(e, "baseline"));
	json_decref(e);
}

static void
steps(void **state)
{
	static const char *const names[] = {"vpn", "pilot", "observed", "enforced", "done"};
	static const char allowed[5][5] = {"01000", "00100", "00000", "00001", "00000"};
	enum sl_ledger_state to;

	(void)state;
	for (int a = 0; a < 5; a++)
		for (int b = 0; b < 5; b++) {
			json_t *e = entry(names[a]), *was = json_deep_copy(e);
			struct sl_error err = {0};
			int rc;

			assert_int_equal(sl_ledger_state_parse(names[b], &to), 0);
			rc = sl_ledger_move(e, to, &f, true, "x", NULL, NOW, &err);
			assert_int_equal(rc == 0, allowed[a][b] == '1');
			if (rc) {
				assert_string_equal(err.reason, "step_unknown");
				assert_true(err.hint[0] != 0);
				assert_true(json_equal(e, was));
			}
			json_decref(e);
			json_decref(was);
		}
}

/** Each fact that is not as it should be closes just the gates that look at it. */
static void
gates(void **state)
{
	static struct sl_trend_mean lossy;
	static const char *const closed[][2] = {
		/* pilot */
		{"gateway_registered", "p"},
		{"gateway_endpoint", "p"},
		{"gateway_connected", "p"},
		{"target_in_policy", "p"},
		{"distributed", "p"},
		/* observed */
		{"logging_on", "o"},
		{"logs_flowing", "o"},
		{"logs_flowing", "o"},
		{"flows_seen", "o"},
		/* enforced */
		{"would_deny_zero", "e"},
		{"window_covered", "e"},
		{"nothing_lost", "e"},
		{"no_worse", "e"},
		{"no_worse", "e"},
		/* done */
		{"enforced", "d"},
	};

	(void)state;
	lossy = calm;
	lossy.drop_rate = 0.01;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(closed); i++) {
		enum sl_ledger_state to = closed[i][1][0] == 'p'   ? SL_LEDGER_PILOT
					  : closed[i][1][0] == 'o' ? SL_LEDGER_OBSERVED
					  : closed[i][1][0] == 'e' ? SL_LEDGER_ENFORCED
								   : SL_LEDGER_DONE;
		struct sl_gate g[SL_GATES_MAX];
		unsigned n, shut = 0;

		setup(NULL);
		assert_true(sl_gates_ok(g, sl_ledger_gates(to, &f, g)));
		switch (i) {
		case 0:
			gw[1].registered = false;
			break;
		case 1:
			gw[0].endpoint = false;
			break;
		case 2:
			gw[1].connected = false;
			break;
		case 3:
			f.in_policy = false;
			break;
		case 4:
			f.peers = 0;
			break;
		case 5:
			gw[1].logging = false;
			break;
		case 6:
			gw[0].push_age_s = -1;
			break;
		case 7:
			gw[0].push_age_s = 121;
			break;
		case 8:
			f.flows = 0;
			break;
		case 9:
			f.would_deny = 1;
			break;
		case 10:
			f.covered_s = 86399;
			break;
		case 11:
			f.lost = 1;
			break;
		case 12:
			f.now = &lossy;
			break;
		case 13:
			f.baseline = NULL;
			break;
		default:
			gw[1].target_enforced = false;
			break;
		}
		n = sl_ledger_gates(to, &f, g);
		for (unsigned k = 0; k < n; k++) {
			shut += !g[k].ok;
			if (!g[k].ok)
				assert_string_equal(g[k].name, closed[i][0]);
		}
		assert_int_equal(shut, 1);
	}
}

static void
force_is_told(void **state)
{
	json_t *e = entry("vpn"), *was;
	struct sl_error err = {0};

	(void)state;
	f.peers = 0;
	was = json_deep_copy(e);
	assert_int_equal(sl_ledger_move(e, SL_LEDGER_PILOT, &f, false, "token:a", NULL, NOW, &err),
			 -EBUSY);
	assert_string_equal(err.reason, "gate_closed");
	assert_true(strstr(err.message, "distributed") != NULL);
	assert_true(json_equal(e, was));
	assert_int_equal(sl_ledger_move(e, SL_LEDGER_PILOT, &f, true, "token:a", NULL, NOW, &err),
			 0);
	assert_true(json_is_true(
		json_object_get(json_array_get(json_object_get(e, "history"), 0), "forced")));
	json_decref(e);
	json_decref(was);
}

static void
deployment(void **state)
{
	struct sl_gate g[SL_GATES_MAX];

	(void)state;
	assert_true(sl_gates_ok(g, sl_ledger_phase_gates(SL_PHASE_BASE, &f, g)));
	f.distributed = 1; /* no route may be switched before the base stands */
	assert_false(sl_gates_ok(g, sl_ledger_phase_gates(SL_PHASE_BASE, &f, g)));
	f.distributed = 0;
	gw[0].observe_all = false;
	assert_false(sl_gates_ok(g, sl_ledger_phase_gates(SL_PHASE_BASE, &f, g)));
	f.n_gateways = 0;
	assert_false(sl_gates_ok(g, sl_ledger_phase_gates(SL_PHASE_BASE, &f, g)));
	assert_true(sl_gates_ok(g, sl_ledger_phase_gates(SL_PHASE_COMPLETE, &f, g)));
	f.major = 2;
	assert_false(sl_gates_ok(g, sl_ledger_phase_gates(SL_PHASE_COMPLETE, &f, g)));
	f.major = f.major_done = 0;
	assert_false(sl_gates_ok(g, sl_ledger_phase_gates(SL_PHASE_COMPLETE, &f, g)));
}

/** Numbers without end, of a gateway that means harm, make no sum of all gateways fail. */
static void
endless_trends(void **state)
{
	struct sl_trend_mean m;
	struct sl_error e;
	struct sl_trend *t;
	sqlite3 *db;
	json_t *v;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	t = sl_trend_new(db, &e);
	assert_non_null(t);
	for (int i = 0; i < 20; i++) {
		json_int_t n = i % 4 == 3 ? -INT64_MAX : INT64_MAX;
		json_t *s =
			json_pack("{s:I, s:{s:I}, s:{s:f, s:f, s:f}, s:{s:{s:f, s:f, s:f, s:I}}}",
				  "packets", n, "drops", "tx_full", n, "latency_ns", "p50", 1e308,
				  "p95", -1e308, "p99", 1e308, "tcp_rtt_ms", "db", "p50", 1e308,
				  "p95", 1e308, "p99", 1e308, "n", INT64_MAX);

		assert_int_equal(sl_trend_report(t, "gw1", i % 2 ? "b1" : "b2", s,
						 1800000000 + 100 * i, &e),
				 0);
		json_decref(s);
	}
	assert_int_equal(sl_trend_mean(t, NULL, "db", 1799999000, 1800009000, &m, &e), 0);
	assert_int_equal(m.samples, 20);
	assert_true(m.packets > 1ULL << 40 && m.packets < 1ULL << 50);
	assert_true(m.drop_rate >= 0 && m.rtt_samples > 0 && m.p95 == 0);
	v = sl_trend_json(&m); /* whole numbers */
	assert_true(json_integer_value(json_object_get(v, "p50_ns")) > 0);
	assert_true(json_integer_value(json_object_get(v, "rtt_p99_us")) > 0);
	json_decref(v);
	sl_trend_free(t);
	sqlite3_close(db);
}

static void
trends(void **state)
{
	struct sl_trend_mean m, back;
	struct sl_error e;
	char why[100];
	sqlite3 *db;
	struct sl_trend *t;
	json_t *v;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	t = sl_trend_new(db, &e);
	assert_non_null(t);
	for (int i = 0; i < 100; i++) {
		json_t *s = json_pack(
			"{s:i, s:{s:i, s:i, s:i}, s:{s:i, s:i, s:i}, s:{s:{s:f, s:f, s:f, s:i}}}",
			"packets", 1000 * (i % 50 + 1), "drops", "tx_full", i % 50 + 1, "denied",
			500, "local_consumed", 900, "latency_ns", "p50", 1000, "p95", 2000, "p99",
			3000, "tcp_rtt_ms", "db", "p50", 1.5, "p95", 2.5, "p99", 4.0, "n", 3);

		assert_int_equal(sl_trend_report(t, "gw1", i < 50 ? "b1" : "b2", s,
						 1800000000 + 10 * i, &e),
				 0); /* a restart in between */
		json_decref(s);
	}
	assert_int_equal(sl_trend_report(t, "gw1", "b2", NULL, 1800001100, &e),
			 0); /* nothing is known: nothing breaks */
	assert_int_equal(sl_trend_mean(t, NULL, "db", 1799999000, 1800001000, &m, &e), 0);
	assert_int_equal(m.packets, 100000);
	assert_int_equal(m.drops, 100); /* what policy denied is no loss */
	assert_true(m.p95 == 2000 && m.rtt_p50 == 1.5 && m.rtt_samples == 300);
	v = sl_trend_json(&m);
	assert_int_equal(sl_trend_parse(v, &back), 0);
	assert_true(back.drop_rate == m.drop_rate && back.rtt_p99 == m.rtt_p99);
	json_decref(v);
	assert_true(sl_trend_no_worse(&m, &back, why, sizeof(why)));
	back.rtt_p95 = 6;
	assert_false(sl_trend_no_worse(&m, &back, why, sizeof(why)));
	assert_true(strstr(why, "p95 ms") != NULL);
	back = m;
	back.p99 = 30000;
	assert_false(sl_trend_no_worse(&m, &back, why, sizeof(why)));
	back.samples = 0;
	assert_false(sl_trend_no_worse(&m, &back, why, sizeof(why)));
	sl_trend_free(t);
	sqlite3_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(whole_way, setup),
		cmocka_unit_test_setup(steps, setup),
		cmocka_unit_test_setup(gates, setup),
		cmocka_unit_test_setup(force_is_told, setup),
		cmocka_unit_test_setup(deployment, setup),
		cmocka_unit_test(trends),
		cmocka_unit_test(endless_trends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
