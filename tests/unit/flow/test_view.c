/* SPDX-License-Identifier: BSD-3-Clause */
/* The window through which control sees the table: all flows, each once, whatever happens
 * meanwhile, and never more than a few places in one step. */
#include "flow_test.h"
#include "sl_flow_view.h"

#define TICK 1000
#define LIVING 3000

static struct sl_flow_view *view;
static struct sl_flow_table *table;
static unsigned steps; /* of the last pass */

static int
setup(void **state)
{
	void *mem = NULL;

	assert_int_equal(posix_memalign(&mem, SL_CACHE_LINE, sizeof(*view)), 0);
	view = memset(mem, 0, sizeof(*view));
	table = table_new(8192, 7);
	return 0;
}

static int
teardown(void **state)
{
	free(view);
	free(table);
	return 0;
}

/** Flow number i, allowed and answered. Its start tells who it is. */
static struct sl_flow *
put(unsigned i, uint32_t tick)
{
	struct sl_flow_key k;
	struct sl_flow *f;

	key_number(&k, i, 17);
	f = sl_flow_add(table, &k, sl_flow_hash(table, &k), tick, NULL, NULL);
	assert_non_null(f);
	f->flags = SL_FLOW_ALLOW;
	f->packets[0] = f->packets[1] = 1;
	f->start_ns = i;
	f->peer_id = i % 5;
	return f;
}

/** What happens between two steps. */
typedef void (*between_fn)(unsigned step);

/** One pass. @return how many rows; seen[start_ns] counts each */
static unsigned
pass(const struct sl_flow_ask *first, unsigned *seen, unsigned n_seen, between_fn between)
{
	struct sl_flow_ask ask = *first;
	unsigned rows = 0;

	memset(seen, 0, n_seen * sizeof(*seen));
	steps = 0;
	do {
		uint32_t before = ask.at, i;

		assert_true(sl_flow_view_here(view));
		assert_false(sl_flow_view_lent(view));
		sl_flow_view_ask(view, &ask);
		while (sl_flow_view_lent(view)) {
			assert_false(sl_flow_view_here(view));
			sl_flow_view_step(view, table, TICK, 77);
			assert_true(view->next - before <= SL_FLOW_VIEW_STEP);
			before = view->next;
			steps++;
			if (between != NULL)
				between(steps);
		}
		assert_true(view->n <= SL_FLOW_VIEW_ROWS);
		for (i = 0; i < view->n; i++) {
			assert_true(view->row[i].start_ns < n_seen);
			seen[view->row[i].start_ns]++;
			assert_true(view->at[i] >= ask.at && view->at[i] < view->next);
			assert_true(i == 0 || view->at[i] > view->at[i - 1]);
		}
		rows += view->n;
		ask.at = view->next;
	} while (!view->end);
	return rows;
}

static const struct sl_flow_ask all = {.peer_id = SL_FLOW_ANY_PEER};
static unsigned seen[100000];

static void
is_the_table(void **state)
{
	unsigned i;

	assert_int_equal(pass(&all, seen, 1, NULL), 0);
	assert_int_equal(view->max, 8192);
	for (i = 0; i < LIVING; i++)
		put(i, TICK);
	for (i = 0; i < LIVING; i += 3)
		sl_flow_del(table, sl_flow_get(table, i));
	assert_int_equal(pass(&all, seen, LIVING, NULL), LIVING - LIVING / 3);
	for (i = 0; i < LIVING; i++)
		assert_int_equal(seen[i], i % 3 != 0);
	assert_int_equal(view->count, sl_flow_count(table));
	assert_int_equal(view->tick, TICK);
	assert_int_equal(view->now_ns, 77);
	/* as many as a window holds, and one more */
	for (i = 0; i < LIVING; i++)
		if (i % 3 != 0 && i > SL_FLOW_VIEW_ROWS)
			sl_flow_del(table, sl_flow_get(table, i));
	for (i = sl_flow_count(table); i < SL_FLOW_VIEW_ROWS; i++)
		put(LIVING + i, TICK);
	assert_int_equal(pass(&all, seen, 2 * LIVING, NULL), SL_FLOW_VIEW_ROWS);
	put(0, TICK);
	assert_int_equal(pass(&all, seen, 2 * LIVING, NULL), SL_FLOW_VIEW_ROWS + 1);
}

/* A step looks at so many places, also where nothing is wanted. */
static void
steps_are_short(void **state)
{
	struct sl_flow_ask ask = {.peer_id = 99};
	unsigned i;

	for (i = 0; i < 8192; i++)
		put(i, TICK);
	assert_int_equal(pass(&ask, seen, 1, NULL), 0);
	assert_int_equal(steps, 8192 / SL_FLOW_VIEW_STEP);
	assert_int_equal(pass(&all, seen, 8192, NULL), 8192);
	assert_int_equal(steps, 8192 / SL_FLOW_VIEW_STEP);
	ask = (struct sl_flow_ask){.at = 8192, .peer_id = SL_FLOW_ANY_PEER};
	assert_int_equal(pass(&ask, seen, 1, NULL), 0);
	ask.at = UINT32_MAX;
	assert_int_equal(pass(&ask, seen, 1, NULL), 0);
}

/* However large the table, and however few are wanted: control hears of the worker. */
static void
gives_back_in_time(void **state)
{
	const unsigned n = 2 * SL_FLOW_VIEW_PLACES + 100, windows = 3;
	struct sl_flow_ask ask = {.peer_id = 99};

	free(table);
	table = table_new(4 * SL_FLOW_VIEW_PLACES, 7);
	for (unsigned i = 0; i < n; i++) {
		uint8_t src[16] = {10, 7, (uint8_t)(i >> 8), (uint8_t)i}, dst[16] = {10, 20};
		struct sl_flow_key k;

		sl_flow_key_make(&k, 4, 17, 1, src, dst, (uint16_t)(i >> 16), 443);
		assert_non_null(sl_flow_add(table, &k, sl_flow_hash(table, &k), TICK, NULL, NULL));
	}
	sl_flow_get(table, n - 1)->peer_id = 99;
	for (unsigned i = 1; i <= windows; i++) {
		sl_flow_view_ask(view, &ask);
		for (steps = 0; sl_flow_view_lent(view); steps++)
			sl_flow_view_step(view, table, TICK, 77);
		assert_true(steps <= SL_FLOW_VIEW_PLACES / SL_FLOW_VIEW_STEP);
		assert_int_equal(view->end, i == windows);
		assert_int_equal(view->n, i == windows);
		ask.at = view->next;
	}
}

static void
leaves_out(void **state)
{
	struct sl_flow_ask ask = {.peer_id = 3};
	unsigned i;

	for (i = 0; i < 100; i++)
		put(i, TICK);
	sl_flow_get(table, 1)->flags |= SL_FLOW_QUIET;
	sl_flow_get(table, 2)->last_tick = TICK - SL_FLOW_IDLE_UDP;
	sl_flow_get(table, 4)->last_tick = TICK - SL_FLOW_IDLE_UDP + 1;
	assert_int_equal(pass(&all, seen, 100, NULL), 98);
	assert_int_equal(seen[1] + seen[2], 0);
	assert_int_equal(pass(&ask, seen, 100, NULL), 20);
	for (i = 0; i < 100; i++)
		assert_int_equal(seen[i], i % 5 == 3);
	ask = (struct sl_flow_ask){.peer_id = SL_FLOW_ANY_PEER, .iface = 1};
	pass(&ask, seen, 100, NULL);
	for (i = 0; i < 100; i++)
		assert_int_equal(seen[i],
				 i != 1 && i != 2 && sl_flow_get(table, i)->key.iface == 1);
}

/* Others come and go while the pass is made. */
static uint64_t seed;
static uint32_t others[2000];
static unsigned n_others, next_number;

static void
busy(unsigned step)
{
	unsigned i;

	for (i = 0; i < 40; i++) {
		if (n_others == SL_ARRAY_SIZE(others) || (n_others > 0 && rnd(&seed, 2))) {
			unsigned k = rnd(&seed, n_others);

			sl_flow_del(table, sl_flow_get(table, others[k]));
			others[k] = others[--n_others];
		} else if (next_number < SL_ARRAY_SIZE(seen)) {
			others[n_others++] = sl_flow_at(table, put(next_number++, TICK));
		}
	}
}

static void
living_flows_are_in_it(void **state)
{
	unsigned round, i;

	seed = 5;
	n_others = 0;
	next_number = LIVING;
	for (i = 0; i < LIVING; i++) { /* among places that others have */
		put(i, TICK);
		busy(0);
	}
	for (round = 0; round < 3; round++) {
		pass(&all, seen, SL_ARRAY_SIZE(seen), busy);
		for (i = 0; i < LIVING; i++)
			assert_int_equal(seen[i], 1);
		for (; i < SL_ARRAY_SIZE(seen); i++)
			assert_true(seen[i] <= 1);
	}
	assert_true(next_number > LIVING + 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(is_the_table, setup, teardown),
		cmocka_unit_test_setup_teardown(steps_are_short, setup, teardown),
		cmocka_unit_test_setup_teardown(gives_back_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_out, setup, teardown),
		cmocka_unit_test_setup_teardown(living_flows_are_in_it, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
