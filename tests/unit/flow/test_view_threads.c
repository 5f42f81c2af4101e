/* SPDX-License-Identifier: BSD-3-Clause */
/* The window between two threads: the worker changes its table all the time, control makes passes;
 * flows that stay are in each of them once, and every row is whole. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "flow_test.h"
#include "sl_flow_view.h"

#define MAX 4096
#define STAYING 1000
#define PASSES 200
#define TICK 1000

static struct sl_flow_view *view;
static struct sl_flow_table *table;
static atomic_bool stop;

static struct sl_flow *
put(unsigned i)
{
	struct sl_flow_key k;
	struct sl_flow *f;

	key_number(&k, i, 17);
	f = sl_flow_add(table, &k, sl_flow_hash(table, &k), TICK, NULL, NULL);
	assert_non_null(f);
	f->flags = SL_FLOW_ALLOW;
	f->packets[0] = f->packets[1] = 1;
	f->start_ns = i;
	f->bytes[0] = ~(uint64_t)i;
	return f;
}

static void *
worker(void *arg)
{
	uint32_t others[512];
	unsigned i, number = STAYING;

	for (i = 0; i < SL_ARRAY_SIZE(others); i++)
		others[i] = sl_flow_at(table, put(number++));
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		unsigned k = number % SL_ARRAY_SIZE(others);

		sl_flow_del(table, sl_flow_get(table, others[k]));
		others[k] = sl_flow_at(table, put(STAYING + number++ % 50000));
		sl_flow_get(table, number % STAYING)->packets[0]++;
		if (sl_flow_view_lent(view))
			sl_flow_view_step(view, table, TICK, number);
		else
			sched_yield();
	}
	return NULL;
}

static void
pass(void)
{
	struct sl_flow_ask ask = {.peer_id = SL_FLOW_ANY_PEER};
	unsigned seen[STAYING] = {0}, i;

	do {
		sl_flow_view_ask(view, &ask);
		while (!sl_flow_view_here(view))
			sched_yield();
		for (i = 0; i < view->n; i++) {
			const struct sl_flow *f = &view->row[i];

			assert_true(f->used && f->bytes[0] == ~f->start_ns);
			if (f->start_ns < STAYING)
				seen[f->start_ns]++;
		}
		ask.at = view->next;
	} while (!view->end);
	for (i = 0; i < STAYING; i++)
		assert_int_equal(seen[i], 1);
}

static void
passes_between_threads(void **state)
{
	void *mem = NULL;
	pthread_t thread;
	unsigned i;

	assert_int_equal(posix_memalign(&mem, SL_CACHE_LINE, sizeof(*view)), 0);
	view = memset(mem, 0, sizeof(*view));
	table = table_new(MAX, 3);
	for (i = 0; i < STAYING; i++)
		put(i);
	assert_int_equal(pthread_create(&thread, NULL, worker, NULL), 0);
	for (i = 0; i < PASSES; i++)
		pass();
	atomic_store_explicit(&stop, true, memory_order_relaxed);
	pthread_join(thread, NULL);
	free(view);
	free(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(passes_between_threads)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
