/* SPDX-License-Identifier: BSD-3-Clause */
/* Token buckets: burst, rate, separate principals, bounded memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_rate.h"

#define MS 1000000ULL

static void
test_burst_and_rate(void **state)
{
	struct sl_rate *r = sl_rate_new(50, 100, 16);
	uint64_t now = 1000 * MS;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(sl_rate_take_ns(r, "a", now), 0);
	assert_int_equal(sl_rate_take_ns(r, "a", now), 20 * MS);
	assert_int_equal(sl_rate_take_ns(r, "b", now), 0);
	assert_int_equal(sl_rate_take_ns(r, "a", now + 19 * MS), 1 * MS);
	assert_int_equal(sl_rate_take_ns(r, "a", now + 20 * MS), 0);
	assert_int_not_equal(sl_rate_take_ns(r, "a", now + 20 * MS), 0);
	for (unsigned ms = 1; ms <= 10000; ms++) /* as fast as it can for ten seconds */
		n += sl_rate_take_ns(r, "a", now + (20 + ms) * MS) == 0;
	assert_in_range(n, 499, 501);
	/* idle time is saved up to the burst, not beyond */
	now += 3600 * 1000 * MS;
	for (n = 0; sl_rate_take_ns(r, "a", now) == 0; n++)
		;
	assert_int_equal(n, 100);
	/* what was large is paid for, even beyond the burst */
	now += 3600 * 1000 * MS;
	assert_int_equal(sl_rate_take_ns(r, "a", now), 0);
	sl_rate_charge(r, "a", 1024);
	assert_int_equal(sl_rate_take_ns(r, "a", now), (1 + 1024 + 1 - 100) * 20 * MS);
	assert_int_equal(sl_rate_take_ns(r, "b", now), 0);
	sl_rate_free(r);
}

static void
test_many(void **state)
{
	struct sl_rate *r = sl_rate_new(50, 100, 64);
	char name[200];

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "token:%u", i);
		assert_int_equal(sl_rate_take_ns(r, name, i * MS), 0);
	}
	memset(name, 'x', sizeof(name) - 1); /* longer than a key */
	name[sizeof(name) - 1] = '\0';
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(sl_rate_take_ns(r, name, 1), 0);
	assert_int_not_equal(sl_rate_take_ns(r, name, 1), 0);
	sl_rate_free(r);
}

static uint64_t
fnv(const char *s)
{
	uint64_t h = 1469598103934665603ULL;

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 1099511628211ULL;
	return h;
}

/* Whoever knows where a key lies could push another out: nobody does, as with a known hash. */
static void
test_chosen_keys(void **state)
{
	const unsigned places = 4096, chosen = 64;
	struct sl_rate *r = sl_rate_new(50, 100, places);
	uint64_t now = 1000 * MS;
	unsigned found = 0, left = 0;
	char name[40];

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(sl_rate_take_ns(r, "victim", now), 0);
	for (unsigned i = 0; found < chosen; i++) {
		snprintf(name, sizeof(name), "2001:db8::%x:%x", i >> 16, i & 0xffff);
		if (fnv(name) % places != fnv("victim") % places)
			continue;
		found++;
		for (unsigned n = 0; n < 100; n++)
			assert_int_equal(sl_rate_take_ns(r, name, now), 0);
	}
	while (sl_rate_take_ns(r, "victim", now) == 0)
		left++;
	assert_int_equal(left, 50);
	sl_rate_free(r);
}

/* More names than there are places: who is at the limit stays there, and who keeps to it is served
 * all the time. */
static void
test_flood(void **state)
{
	struct sl_rate *r = sl_rate_new(50, 100, 64);
	uint64_t now = 1000 * MS;
	unsigned served = 0;
	char name[40];

	(void)state;
	while (sl_rate_take_ns(r, "greedy", now) == 0)
		;
	for (unsigned i = 0; i < 1000 * 100; i++, now += i % 100 == 0 ? MS : 0) {
		snprintf(name, sizeof(name), "ip:%u", i);
		assert_int_equal(sl_rate_take_ns(r, name, now), 0);
		served += sl_rate_take_ns(r, "greedy", now) == 0;
		if (i % 2000 == 0) /* every 20 ms */
			assert_int_equal(sl_rate_take_ns(r, "modest", now), 0);
	}
	assert_in_range(served, 49, 51); /* in one second */
	sl_rate_charge(r, "greedy", 1024);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "more:%u", i);
		sl_rate_take_ns(r, name, now);
	}
	assert_in_range(sl_rate_take_ns(r, "greedy", now), 1024 * 20 * MS, 1026 * 20 * MS);
	sl_rate_free(r);
}

/* What is charged to one who was forgotten meanwhile counts all the same. */
static void
test_charge_forgotten(void **state)
{
	struct sl_rate *r = sl_rate_new(50, 100, 8);
	uint64_t now = 1000 * MS;

	(void)state;
	assert_int_equal(sl_rate_take_ns(r, "a", now), 0);
	sl_rate_charge(r, "b", 200);
	assert_int_equal(sl_rate_take_ns(r, "b", now), 101 * 20 * MS);
	assert_int_equal(sl_rate_take_ns(r, "a", now), 0);
	sl_rate_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_and_rate),	 cmocka_unit_test(test_many),
		cmocka_unit_test(test_chosen_keys),	 cmocka_unit_test(test_flood),
		cmocka_unit_test(test_charge_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
