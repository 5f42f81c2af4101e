/* SPDX-License-Identifier: BSD-3-Clause */
/* Token buckets: the share of a lcore, one second's worth at once, apart by type and role. */
#include "audit_test.h"

static unsigned
burst(struct sl_rec_buckets *b, enum sl_rec_type t, unsigned role, uint32_t tick, unsigned tries)
{
	unsigned n = 0;

	while (tries--)
		n += sl_rec_token(b, t, role, tick);
	return n;
}

static void
one_second_at_once(void **state)
{
	static const uint32_t starts[] = {0, 1, 7, 1u << 31, UINT32_MAX - 1, UINT32_MAX};
	static const unsigned shares[] = {1, 7, 250, 333, 1000};
	struct sl_rec_buckets *b = malloc(sizeof(*b));

	for (unsigned i = 0; i < SL_ARRAY_SIZE(starts); i++)
		for (unsigned k = 0; k < SL_ARRAY_SIZE(shares); k++) {
			unsigned per_s = shares[k];
			uint32_t tick = starts[i];

			sl_rec_buckets_init(b, per_s);
			assert_int_equal(burst(b, SL_REC_DENY, 5, tick, 3000), per_s);
			/* half a second gives half of it, at the tick's resolution */
			tick += 5;
			assert_int_equal(burst(b, SL_REC_DENY, 5, tick, 3000), per_s / 2);
			tick += 10;
			assert_int_equal(burst(b, SL_REC_DENY, 5, tick, 3000), per_s);
			tick += 1000000;
			assert_int_equal(burst(b, SL_REC_DENY, 5, tick, 3000), per_s);
		}
	free(b);
}

/** Over any long time the rate is exact, in whatever pieces. */
static void
exact_rate(void **state)
{
	struct sl_rec_buckets *b = malloc(sizeof(*b));
	uint32_t tick = UINT32_MAX - 500; /* wraps on the way */
	unsigned got;

	sl_rec_buckets_init(b, 333);
	got = burst(b, SL_REC_ALLOW, 1, tick, 1000);
	for (unsigned i = 0; i < 1000; i++) {
		tick++;
		got += burst(b, SL_REC_ALLOW, 1, tick, 50);
	}
	assert_int_equal(got, 333 + 33300);
	free(b);
}

static void
apart(void **state)
{
	struct sl_rec_buckets *b = malloc(sizeof(*b));

	sl_rec_buckets_init(b, 10);
	for (unsigned t = 0; t < SL_REC_TYPES; t++)
		for (unsigned role = 0; role < SL_REC_BUCKETS; role++)
			assert_int_equal(burst(b, t, role, 100, 12), 10);
	/* what has no role, or one beyond the table, shares the last one */
	assert_int_equal(burst(b, SL_REC_DENY, UINT16_MAX, 100, 12), 0);
	assert_int_equal(burst(b, SL_REC_DENY, UINT16_MAX, 105, 12), 5);
	assert_int_equal(burst(b, SL_REC_DENY, SL_REC_BUCKETS, 105, 12), 0);
	assert_int_equal(burst(b, SL_REC_DENY, SL_REC_BUCKETS - 1, 105, 12), 0);
	assert_int_equal(burst(b, SL_REC_DENY, SL_REC_BUCKETS - 2, 105, 12), 5);
	free(b);
}

static void
never_nothing(void **state)
{
	struct sl_rec_buckets *b = malloc(sizeof(*b));

	sl_rec_buckets_init(b, 0);
	assert_int_equal(burst(b, SL_REC_END, 0, 50, 9), 1);
	assert_int_equal(burst(b, SL_REC_END, 0, 59, 9), 0);
	assert_int_equal(burst(b, SL_REC_END, 0, 69, 9), 1);
	free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_second_at_once),
		cmocka_unit_test(exact_rate),
		cmocka_unit_test(apart),
		cmocka_unit_test(never_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
