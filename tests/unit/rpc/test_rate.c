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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_and_rate),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
