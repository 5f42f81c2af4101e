/* SPDX-License-Identifier: BSD-3-Clause */
/* Handshake times by target: buckets, quantiles against a sort, a new policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "sl_rtt.h"

static struct sl_rtt r;

static void
buckets(void **state)
{
	(void)state;
	for (uint64_t us = 1; us < UINT64_C(1) << 27; us += us / 7 + 1) {
		unsigned b = sl_rtt_bucket(us);
		uint64_t low = b < 2 ? 0 : (UINT64_C(1) << (b / 2)) * (b % 2 ? 3 : 2) / 2;

		assert_in_range(b, 0, SL_RTT_BUCKETS - 1);
		assert_true(us >= low);
		if (b > 2 && b < SL_RTT_BUCKETS - 1)
			assert_true(us < low + (UINT64_C(1) << (b / 2)) / 2 + 1);
	}
	assert_int_equal(sl_rtt_bucket(UINT64_MAX), SL_RTT_BUCKETS - 1);
	assert_int_equal(sl_rtt_bucket(0), 0);
}

static int
cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
quantiles(void **state)
{
	static const unsigned per_million[] = {0, 500000, 950000, 990000, 1000000};
	uint64_t n[SL_RTT_BUCKETS] = {0}, v[1001];
	unsigned seed = 20261126;

	(void)state;
	for (unsigned i = 0; i < 1001; i++) {
		v[i] = 4 + rand_r(&seed) % (1u << (3 + rand_r(&seed) % 20));
		sl_rtt_add(&r, 7, 3, v[i]);
	}
	qsort(v, 1001, sizeof(v[0]), cmp);
	assert_true(sl_rtt_merge(n, &r, 7, 3));
	assert_int_equal(sl_rtt_count(n), 1001);
	for (unsigned q = 0; q < SL_ARRAY_SIZE(per_million); q++) {
		uint64_t exact =
			v[SL_MAX((uint64_t)1001 * per_million[q] / 1000000, (uint64_t)1) - 1];
		uint64_t got = sl_rtt_quantile(n, per_million[q]);

		/* a bucket is half an octave: its middle is at most a third away */
		if (got * 3 < exact * 2 || got * 2 > exact * 3)
			fail_msg("%u per million: %llu, exactly %llu", per_million[q],
				 (unsigned long long)got, (unsigned long long)exact);
	}
}

static void
another_policy(void **state)
{
	uint64_t n[SL_RTT_BUCKETS] = {0};

	(void)state;
	sl_rtt_add(&r, 8, 0, 100);
	sl_rtt_add(&r, 8, SL_RTT_TARGETS, 100); /* beyond: nowhere */
	assert_false(sl_rtt_merge(n, &r, 7, 3));
	assert_true(sl_rtt_merge(n, &r, 8, 3));
	assert_int_equal(sl_rtt_count(n), 0);
	assert_int_equal(sl_rtt_quantile(n, 500000), 0);
	assert_true(sl_rtt_merge(n, &r, 8, 0));
	assert_true(sl_rtt_merge(n, &r, 8, 0)); /* of two workers */
	assert_int_equal(sl_rtt_count(n), 2);
	assert_false(sl_rtt_merge(n, &r, 8, SL_RTT_TARGETS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(buckets), cmocka_unit_test(quantiles),
					   cmocka_unit_test(another_policy)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
