/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_replay.h"
#include "sl_wire.h"

#define W UINT64_C(8129) /* the greatest counter and 8,128 before it */
#define REJECT SL_WG_REJECT_AFTER_MESSAGES

static struct sl_replay r;

static void
expect(uint64_t counter, bool ok)
{
	assert_int_equal(sl_replay_check(&r, counter), ok);
	assert_int_equal(sl_replay_commit(&r, counter), ok);
	assert_false(sl_replay_check(&r, counter));
}

static void
fresh(void)
{
	memset(&r, 0, sizeof(r));
}

static void
mixed(void **state)
{
	static const struct {
		uint64_t counter;
		bool ok;
	} steps[] = {
		{0, true},
		{1, true},
		{1, false},
		{9, true},
		{8, true},
		{7, true},
		{7, false},
		{W, true},
		{W - 1, true},
		{W - 1, false},
		{W - 2, true},
		{2, true},
		{2, false},
		{W + 16, true},
		{3, false},
		{W + 16, false},
		{4 * W, true},
		{4 * W - (W - 1), true},
		{10, false},
		{4 * W - W, false},
		{4 * W - (W + 1), false},
		{4 * W - (W - 2), true},
		{4 * W + 1 - W, false},
		{0, false},
		{REJECT, false},
		{REJECT - 1, true},
		{REJECT, false},
		{REJECT - 1, false},
		{REJECT - 2, true},
		{REJECT + 1, false},
		{REJECT + 2, false},
		{REJECT - 2, false},
		{REJECT - 3, true},
		{0, false},
		{UINT64_MAX, false},
	};
	unsigned i;

	assert_true(REJECT == UINT64_C(0xffffffffffffdfff));
	fresh();
	for (i = 0; i < SL_ARRAY_SIZE(steps); i++)
		expect(steps[i].counter, steps[i].ok);
}

static void
up(uint64_t from, uint64_t to)
{
	for (; from <= to; from++)
		expect(from, true);
}

static void
down(uint64_t from, uint64_t to)
{
	for (; from > to; from--)
		expect(from, true);
	expect(to, true);
}

static void
edges(void **state)
{
	fresh();
	up(1, W - 1);
	expect(0, true);
	expect(0, false);
	fresh();
	up(2, W);
	expect(1, true);
	expect(0, false);
	fresh();
	down(W - 1, 0);
	fresh();
	down(W, 1);
	expect(0, false);
	fresh();
	down(W - 1, 1);
	expect(W, true);
	expect(0, false);
	fresh();
	down(W - 1, 1);
	expect(0, true);
	expect(W, true);
}

static void
distances(void **state)
{
	static const uint64_t bases[] = {8192,	    8193, 8255, 8256, 20000, UINT64_C(1) << 32,
					 REJECT - 1};
	unsigned i, back;

	/* every distance behind the greatest counter, at different places inside a word */
	for (i = 0; i < SL_ARRAY_SIZE(bases); i++) {
		fresh();
		expect(bases[i], true);
		for (back = 1; back < 8192; back++)
			expect(bases[i] - back, back <= 8128);
	}
}

static void
jumps(void **state)
{
	uint64_t at, jump;

	/* after a jump of any size no counter inside the window may look used but the ones that are
	 */
	for (jump = 8000; jump < 8400; jump++) {
		fresh();
		for (at = 0; at < 300; at++)
			sl_replay_commit(&r, at);
		expect(299 + jump, true);
		for (at = 0; at <= 8129; at++)
			assert_int_equal(sl_replay_check(&r, 299 + jump - at),
					 at != 0 && at <= 8128 && 299 + jump - at > 299);
	}
}

/* A naive model: one byte for each counter that was ever accepted. */
#define MODEL 200000

static void
against_model(void **state)
{
	static uint8_t seen[MODEL];
	uint64_t base, c, top;
	unsigned round, i;
	bool any, ok;

	srand(1);
	for (round = 0; round < 12; round++) {
		fresh();
		memset(seen, 0, sizeof(seen));
		base = round % 3 == 0	? 0
		       : round % 3 == 1 ? (UINT64_C(1) << 40) - 77
					: REJECT - MODEL / 2;
		top = 0;
		any = false;
		for (i = 0; i < 300000; i++) {
			switch (rand() % 8) {
			case 0:
				c = top + (unsigned)rand() % 3;
				break;
			case 1:
				c = top + (unsigned)rand() % (rand() % 100 == 0 ? 20000 : 40);
				break;
			case 2:
				c = top > 8192 ? top - 8120 - (unsigned)rand() % 20 : 0;
				break;
			case 3:
				c = (unsigned)rand() % MODEL;
				break;
			default:
				c = top > 9000 ? top - (unsigned)rand() % 9000
					       : (unsigned)rand() % 9000;
			}
			if (c >= MODEL || base + c < base)
				continue;
			ok = base + c < REJECT && !seen[c] && (!any || c + 8128 >= top);
			assert_int_equal(sl_replay_check(&r, base + c), ok);
			if (rand() % 4 == 0)
				continue; /* its tag did not match */
			assert_int_equal(sl_replay_commit(&r, base + c), ok);
			if (ok) {
				seen[c] = 1;
				top = any ? SL_MAX(top, c) : c;
				any = true;
			}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mixed),	 cmocka_unit_test(edges),
		cmocka_unit_test(distances),	 cmocka_unit_test(jumps),
		cmocka_unit_test(against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
