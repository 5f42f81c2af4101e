/* SPDX-License-Identifier: BSD-3-Clause */
/* The wheel against a plain array that is searched for its earliest entry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sl_timers.h"

#define NODES 300
#define OPS 100000
#define MS SL_NS_PER_MS
#define DAY_MS UINT64_C(86400000)
#define SURE_MS (12 * DAY_MS) /* times nearer than this are kept exactly */

static struct sl_wheel wheel;
static struct sl_wheel_node node[NODES];
/* oracle: when each node is due, UINT64_MAX when not armed; far ones may fire early */
static uint64_t due_ms[NODES], early_ms[NODES];
static uint64_t now_ns, seed = 88172645463325252u;

static uint64_t
rnd(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static uint64_t
random_delta(void)
{
	switch (rnd(6)) {
	case 0:
		return 0;
	case 1:
		return rnd(70 * MS);
	case 2:
		return rnd(5000 * MS);
	case 3:
		return rnd(600000 * MS);
	case 4:
		return rnd(DAY_MS * MS);
	default:
		return rnd(30 * DAY_MS * MS);
	}
}

static uint64_t
earliest(void)
{
	uint64_t min = UINT64_MAX;

	for (unsigned i = 0; i < NODES; i++)
		min = SL_MIN(min, due_ms[i]);
	return min;
}

static void
arm(unsigned i)
{
	uint64_t when = now_ns + random_delta(), now_ms = now_ns / MS, ms;

	if (rnd(8) == 0)
		when = now_ns - SL_MIN(now_ns, random_delta()); /* past */
	ms = (when + MS - 1) / MS;
	due_ms[i] = SL_MAX(ms, now_ms);
	early_ms[i] = SL_MIN(due_ms[i], now_ms + SURE_MS);
	sl_wheel_arm(&wheel, &node[i], when);
	assert_non_null(node[i].pprev);
}

/* Advance to `to` and compare what fires: all that is due, nothing else, in order. */
static void
advance(uint64_t to)
{
	uint64_t last = 0, target = to / MS;
	struct sl_wheel_node *n;

	now_ns = to;
	while ((n = sl_wheel_pop(&wheel, to))) {
		unsigned i = (unsigned)(n - node);

		assert_null(n->pprev);
		assert_true(due_ms[i] != UINT64_MAX);
		assert_true(early_ms[i] <= target);
		assert_true(n->when_ms >= last);
		if (due_ms[i] == early_ms[i])
			assert_int_equal(n->when_ms, due_ms[i]);
		last = n->when_ms;
		due_ms[i] = UINT64_MAX;
	}
	assert_true(earliest() > target);
}

static void
check_next(void)
{
	uint64_t next = sl_wheel_next_ns(&wheel), want = earliest();

	if (want == UINT64_MAX) {
		assert_true(next == UINT64_MAX);
		return;
	}
	assert_true(next <= want * MS);
}

static void
test_random(void **state)
{
	memset(due_ms, 0xff, sizeof(due_ms));
	now_ns = UINT64_C(1700000000123456789);
	sl_wheel_init(&wheel, now_ns);
	for (unsigned op = 0; op < OPS; op++) {
		unsigned i = (unsigned)rnd(NODES);

		switch (rnd(10)) {
		case 0:
		case 1:
			sl_wheel_cancel(&wheel, &node[i]);
			due_ms[i] = UINT64_MAX;
			break;
		case 2:
			advance(now_ns + random_delta() / (1 + rnd(1000)));
			break;
		case 3:
			check_next();
			if (earliest() != UINT64_MAX && sl_wheel_next_ns(&wheel) > now_ns)
				advance(sl_wheel_next_ns(&wheel));
			break;
		default:
			arm(i);
		}
	}
	check_next();
	advance(now_ns + 31 * DAY_MS * MS);
	assert_true(sl_wheel_next_ns(&wheel) == UINT64_MAX);
	for (unsigned l = 0; l < SL_WHEEL_LEVELS; l++)
		assert_int_equal(wheel.occupied[l], 0);
}

/* Sleeping until sl_wheel_next_ns() again and again reaches every node, never past its time. */
static void
test_sleep_until_next(void **state)
{
	unsigned wakes = 0, fired = 0;

	memset(due_ms, 0xff, sizeof(due_ms));
	now_ns = (UINT64_C(1) << 30) * MS - 5 * MS; /* the top level wraps at once */
	sl_wheel_init(&wheel, now_ns);
	for (unsigned i = 0; i < NODES; i++) {
		due_ms[i] = now_ns / MS + 1 + rnd(i < 250 ? 600000 : SURE_MS);
		sl_wheel_arm(&wheel, &node[i], due_ms[i] * MS);
	}
	while (sl_wheel_next_ns(&wheel) != UINT64_MAX) {
		struct sl_wheel_node *n;

		assert_true(sl_wheel_next_ns(&wheel) <= earliest() * MS);
		now_ns = sl_wheel_next_ns(&wheel);
		wakes++;
		assert_null(sl_wheel_pop(&wheel, now_ns - 1));
		while ((n = sl_wheel_pop(&wheel, now_ns))) {
			assert_int_equal(due_ms[n - node] * MS, now_ns);
			due_ms[n - node] = UINT64_MAX;
			fired++;
		}
	}
	assert_int_equal(fired, NODES);
	assert_true(wakes < NODES * SL_WHEEL_LEVELS);
}

static void
test_edges(void **state)
{
	struct sl_wheel_node a = {0}, b = {0};

	sl_wheel_init(&wheel, 1000 * MS + 7);
	assert_true(sl_wheel_next_ns(&wheel) == UINT64_MAX);
	assert_null(sl_wheel_pop(&wheel, 1000 * MS + 7));
	sl_wheel_cancel(&wheel, &a); /* not armed: nothing happens */
	sl_wheel_arm(&wheel, &a, 0); /* past: fires at once */
	assert_ptr_equal(sl_wheel_pop(&wheel, 1000 * MS + 7), &a);
	sl_wheel_arm(&wheel, &a, 1001 * MS + 1); /* never before its time */
	assert_null(sl_wheel_pop(&wheel, 1001 * MS + 1));
	assert_null(sl_wheel_pop(&wheel, 1002 * MS - 1));
	assert_ptr_equal(sl_wheel_pop(&wheel, 1002 * MS), &a);
	sl_wheel_arm(&wheel, &a, UINT64_MAX); /* clamped */
	assert_true(sl_wheel_next_ns(&wheel) < (1002 + 13 * DAY_MS) * MS);
	sl_wheel_arm(&wheel, &a, 2000 * MS); /* arming again moves */
	sl_wheel_arm(&wheel, &b, 2000 * MS);
	assert_null(sl_wheel_pop(&wheel, 1999 * MS));
	sl_wheel_cancel(&wheel, &a);
	assert_null(sl_wheel_pop(&wheel, 1500 * MS)); /* a clock that goes back is harmless */
	assert_ptr_equal(sl_wheel_pop(&wheel, 5000 * MS), &b);
	assert_null(sl_wheel_pop(&wheel, 5000 * MS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_sleep_until_next),
		cmocka_unit_test(test_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
