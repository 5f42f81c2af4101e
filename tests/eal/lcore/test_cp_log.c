/* SPDX-License-Identifier: BSD-3-Clause */
/* Flow aggregates on their way up: each once, and which time they cover, with and without flows. */
#include "cp_fixture.h"
#include "sl_agg.h"
#include "sl_evidence.h"

#define TABLE 2048
#define EVERY 10 /* stats_s of the fixture */
#define LAG 3
#define BIG 1200 /* rows: more than two calls take */

static struct sl_agg agg;
static void *mem[2];

static int
setup(void **state)
{
	static const uint64_t key[2] = {1, 2};
	struct sl_evidence_conf c = {.agg = {&agg}, .n_agg = 1, .lockstep = true};

	if (cx_setup(state) != 0)
		return 1;
	for (unsigned k = 0; k < 2; k++) {
		mem[k] = aligned_alloc(64, sl_agg_table_size(TABLE));
		memset(mem[k], 0, sl_agg_table_size(TABLE));
	}
	sl_agg_init(&agg, mem[0], mem[1], TABLE, key);
	c.gw = cx.f->gw;
	cx.evidence = sl_evidence_new(&c, &cx.f->e);
	assert_non_null(cx.evidence);
	cx_stop();
	cx_start();
	cx_snapshot(1, CX_BASE);
	cx_acked();
	json_array_clear(cx.calls);
	cx.cp->up = true;
	return 0;
}

static int
teardown(void **state)
{
	cx_stop();
	sl_evidence_free(cx.evidence);
	cx.evidence = NULL;
	free(mem[0]);
	free(mem[1]);
	return cx_teardown(state);
}

static void
pass(unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		sl_agg_poll(&agg);
		sl_evidence_poll(cx.evidence);
		cx_advance(1);
	}
}

static void
see(unsigned port)
{
	struct sl_gw_peer_info alice;
	struct sl_agg_key k = {.src = {10, 7, 0, 2},
			       .dst = {10, 20, 0, 10},
			       .dport = (uint16_t)port,
			       .iface = 1,
			       .proto = 6,
			       .version = 4,
			       .flags = SL_AGG_FROM_TUNNEL};

	assert_true(cx_peer("alice", &alice));
	k.peer_id = alice.id;
	sl_agg_add(&agg, &k, 0, 0, SL_WHY_NO_ROLE, 1, 2, 200, cx.f->now_ns);
}

/* --- what was told ------------------------------------------------------------------------------
 */

struct told {
	unsigned calls, rows;
	uint64_t from_ns, until_ns; /* of what is covered at a stretch */
};

static uint64_t
time_of(const json_t *params, const char *name)
{
	const char *text = json_string_value(json_object_get(params, name));
	uint64_t ns = 0;

	if (text != NULL)
		assert_int_equal(sl_time_parse(text, &ns), 0);
	return ns;
}

/** The calls since the last look; each covers what comes right after the one before. */
static void
look(struct told *t)
{
	uint64_t from, to;
	json_t *call, *params;
	size_t i;

	json_array_foreach (cx.calls, i, call) {
		params = json_object_get(call, "params");
		if (strcmp(json_string_value(json_object_get(call, "method")), "log.push") != 0)
			continue;
		t->calls++;
		t->rows += (unsigned)json_array_size(json_object_get(params, "rows"));
		from = time_of(params, "from");
		to = time_of(params, "to");
		assert_true((from == 0) == (to == 0));
		if (from == 0)
			continue;
		assert_true(to >= from);
		if (t->from_ns == 0)
			t->from_ns = from;
		else /* texts have microseconds */
			assert_in_range(from + S / 1000 - t->until_ns, 0, S / 500);
		t->until_ns = to;
	}
	json_array_clear(cx.calls);
}

static unsigned
covered_s(const struct told *t)
{
	return (unsigned)((t->until_ns - t->from_ns + S / 2) / S);
}

/* --- tests --------------------------------------------------------------------------------------
 */

/** Nobody sends anything: that is told, and is no gap. */
static void
test_idle(void **state)
{
	struct told t = {0};

	(void)state;
	pass(100);
	look(&t);
	assert_in_range(t.calls, 100 / EVERY - 1, 100 / EVERY + 1);
	assert_int_equal(t.rows, 0);
	assert_in_range(covered_s(&t), 100 - LAG - EVERY - 1, 100 - LAG);
	assert_in_range(cx.f->wall_ns - t.until_ns, LAG * S, (LAG + EVERY + 1) * S);
}

/** A short flow in a long time covers all of that time. */
static void
test_flow(void **state)
{
	struct told t = {0};

	(void)state;
	pass(50);
	see(22);
	pass(50);
	look(&t);
	assert_int_equal(t.rows, 1);
	assert_in_range(covered_s(&t), 100 - LAG - EVERY - 1, 100 - LAG);
}

/** Away for a while: what was kept meanwhile is told, and covers it. */
static void
test_refused(void **state)
{
	struct told t = {0};
	uint64_t until;

	(void)state;
	pass(30);
	look(&t);
	until = t.until_ns;
	cx.call_answer = -EAGAIN;
	pass(60);
	json_array_clear(cx.calls); /* in vain */
	see(443);
	cx.call_answer = 0;
	pass(20);
	look(&t); /* the next begins where the last answered one ended */
	assert_int_equal(t.rows, 1);
	assert_true(t.until_ns > until + 60 * S);
}

/** More than a call takes: only the last one says that this was all. */
static void
test_backlog(void **state)
{
	struct told t = {0};
	unsigned with = 0;
	json_t *call;
	size_t i;

	(void)state;
	cx.call_answer = -EAGAIN;
	for (unsigned n = 1; n <= BIG; n++)
		see(n);
	pass(10);
	json_array_clear(cx.calls);
	cx.call_answer = 0;
	pass(6);
	json_array_foreach (cx.calls, i, call)
		with += json_object_get(json_object_get(call, "params"), "from") != NULL;
	look(&t);
	assert_int_equal(t.rows, BIG);
	assert_in_range(t.calls, 3, 4);
	assert_in_range(with, 1, t.calls - 2);
}

/** The wall clock leaps: the hour that nobody lived through is not covered. */
static void
test_wall_step(void **state)
{
	struct told t = {0}, after = {0};

	(void)state;
	pass(40);
	look(&t);
	cx.f->wall_ns += 3600 * S;
	pass(40);
	look(&after);
	assert_in_range(covered_s(&t) + covered_s(&after), 80 - LAG - EVERY - 1, 80 - LAG);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backlog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wall_step, setup, teardown),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
