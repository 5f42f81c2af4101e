/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "session_util.h"

#define MANY (1U << 20)

static uint32_t
encode_slot(const struct sl_session_table *t, uint32_t owner, uint32_t slot, uint32_t gen)
{
	return sl_index_encode(t,
			       (struct sl_index){.owner = owner, .slot = slot, .generation = gen});
}

static void
decode_undoes_encode(void **state)
{
	uint64_t rnd = 1;

	for (uint64_t seed = 0; seed < 4; seed++) {
		struct sl_session_table *t = table_seeded(1, 16, false, seed);

		for (unsigned n = 0; n < MANY / 4; n++) {
			uint64_t r = next_random(&rnd);
			struct sl_index i = {.owner = r % SL_OWNER_MAX,
					     .slot = (r >> 8) % (1U << SL_INDEX_SLOT_BITS),
					     .generation = (r >> 40) % (1U << SL_INDEX_GEN_BITS)};
			struct sl_index b = sl_index_decode(t, sl_index_encode(t, i));

			assert_int_equal(b.owner, i.owner);
			assert_int_equal(b.slot, i.slot);
			assert_int_equal(b.generation, i.generation);
			assert_int_equal(sl_index_encode(t, sl_index_decode(t, (uint32_t)r)),
					 (uint32_t)r);
		}
		sl_session_free(t);
	}
}

static void
every_corner_comes_back(void **state)
{
	static const uint32_t corner[] = {0,	      1,	  31,	      32,
					  UINT32_MAX, 0x80000000, 0x0000ffff, 0xffff0000};
	struct sl_session_table *t = table_seeded(1, 16, false, 9);

	for (unsigned i = 0; i < SL_ARRAY_SIZE(corner); i++)
		assert_int_equal(sl_index_encode(t, sl_index_decode(t, corner[i])), corner[i]);
	sl_session_free(t);
}

static int
cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static unsigned
distinct(uint32_t *v, unsigned n)
{
	unsigned i, d = n > 0;

	qsort(v, n, sizeof(*v), cmp_u32);
	for (i = 1; i < n; i++)
		d += v[i] != v[i - 1];
	return d;
}

static void
a_million_slots_have_a_million_indexes(void **state)
{
	struct sl_session_table *t = table_seeded(1, 16, false, 3);
	uint32_t *v = malloc(MANY * sizeof(*v));

	for (uint32_t i = 0; i < MANY; i++)
		v[i] = encode_slot(t, 5, i, 7);
	assert_int_equal(distinct(v, MANY), MANY);
	free(v);
	sl_session_free(t);
}

/**
 * Neighbours in `field` must not look like neighbours: each output bit changes half of the time,
 * and no difference comes up more often than among random numbers.
 */
static void
check_unrelated(uint64_t seed, uint32_t d_owner, uint32_t d_slot, uint32_t d_gen)
{
	enum { N = 60000 };
	struct sl_session_table *t = table_seeded(1, 16, false, seed);
	uint32_t *diff = malloc(N * sizeof(*diff)), *sub = malloc(N * sizeof(*sub));
	unsigned flips[32] = {0}, byte[4][256] = {{0}};
	uint64_t rnd = seed + 77;

	for (uint32_t i = 0; i < N; i++) {
		uint64_t r = next_random(&rnd);
		uint32_t owner = r % (SL_OWNER_MAX - 1), gen = (r >> 32) % 31;
		uint32_t a = encode_slot(t, owner, i, gen);
		uint32_t b = encode_slot(t, owner + d_owner, i + d_slot, gen + d_gen);

		diff[i] = a ^ b;
		sub[i] = b - a;
		for (unsigned k = 0; k < 32; k++)
			flips[k] += diff[i] >> k & 1;
		for (unsigned k = 0; k < 4; k++)
			byte[k][a >> 8 * k & 255]++;
	}
	for (unsigned k = 0; k < 32; k++) /* 6 sigma of a fair coin: 735 */
		assert_in_range(flips[k], N / 2 - 735, N / 2 + 735);
	for (unsigned k = 0; k < 4; k++) {
		double chi2 = 0, want = N / 256.0;

		for (unsigned j = 0; j < 256; j++)
			chi2 += (byte[k][j] - want) * (byte[k][j] - want) / want;
		assert_true(chi2 < 255 + 6 * 22.6); /* 255 degrees of freedom, 6 sigma */
	}
	/* 60,000 random 32-bit numbers hold 0.4 equal pairs */
	assert_true(distinct(diff, N) >= N - 8);
	assert_true(distinct(sub, N) >= N - 8);
	free(diff);
	free(sub);
	sl_session_free(t);
}

static void
neighbours_look_unrelated(void **state)
{
	for (uint64_t seed = 10; seed < 14; seed++) {
		check_unrelated(seed, 0, 1, 0);
		check_unrelated(seed, 0, 0, 1);
		check_unrelated(seed, 1, 0, 0);
		check_unrelated(seed, 0, 1024, 0);
	}
}

static void
another_key_gives_other_indexes(void **state)
{
	struct sl_session_table *a = table_seeded(1, 16, false, 1);
	struct sl_session_table *b = table_seeded(1, 16, false, 2);
	unsigned same = 0;

	for (uint32_t i = 0; i < 10000; i++)
		same += encode_slot(a, 0, i, 0) == encode_slot(b, 0, i, 0);
	assert_true(same < 3);
	sl_session_free(a);
	sl_session_free(b);
}

static void
prints_the_cost(void **state)
{
	enum { N = 4000000 };
	struct sl_session_table *t = table_seeded(1, 16, false, 5);
	uint32_t x = 1;
	uint64_t t0, t1, t2, sum = 0;

	t0 = sl_clock_mono_ns();
	for (uint32_t i = 0; i < N; i++)
		sum += sl_index_decode(t, i * 2654435761U).slot;
	t1 = sl_clock_mono_ns();
	for (uint32_t i = 0; i < N; i++)
		x = sl_index_decode(t, x).slot + i; /* each waits for the one before */
	t2 = sl_clock_mono_ns();
	print_message("decode: %.1f ns in a burst, %.1f ns alone (%llu)\n", (double)(t1 - t0) / N,
		      (double)(t2 - t1) / N, (unsigned long long)(sum + x) & 1);
	assert_true(t1 - t0 < (uint64_t)N * 1000); /* a slow or sanitized build, but not absurd */
	sl_session_free(t);
}

/** Lookups in random order among `n` keypairs, in bursts as the data path does them. */
static double
lookup_ns(unsigned n)
{
	enum { ROUNDS = 1000000 };
	struct sl_session_table *t = table_seeded(2, 1U << 19, false, 5);
	uint32_t *index = malloc(n * sizeof(*index));
	struct sl_noise_keys k = {0};
	uint64_t rnd = 3, t0, t1;
	unsigned found = 0;

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(sl_session_reserve(t, i % 2, i, &index[i]), 0);
		assert_non_null(sl_session_publish(t, index[i], NULL, 1, &k, SL_NS_PER_S));
	}
	t0 = sl_clock_mono_ns();
	for (unsigned i = 0; i < ROUNDS; i++)
		found += sl_session_lookup(t, index[next_random(&rnd) % n]) != NULL;
	t1 = sl_clock_mono_ns();
	assert_int_equal(found, ROUNDS);
	free(index);
	sl_session_free(t);
	return (double)(t1 - t0) / ROUNDS;
}

static void
prints_the_cost_of_lookup(void **state)
{
	print_message(
		"lookup: %.1f ns among 1 keypair, %.1f ns among 1,000, %.1f ns among 20,000\n",
		lookup_ns(1), lookup_ns(1000), lookup_ns(20000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decode_undoes_encode),
		cmocka_unit_test(every_corner_comes_back),
		cmocka_unit_test(a_million_slots_have_a_million_indexes),
		cmocka_unit_test(neighbours_look_unrelated),
		cmocka_unit_test(another_key_gives_other_indexes),
		cmocka_unit_test(prints_the_cost),
		cmocka_unit_test(prints_the_cost_of_lookup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
