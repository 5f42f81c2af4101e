/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_stats.h"

static struct sl_stats_lcore lcore[3];
static struct sl_stats_delta delta[3];
static struct sl_stats_snap snap, sum, before, after;
static struct sl_stats_rates rates;
static struct sl_hist hist, hist2;

static uint64_t
next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static int
clear(void **state)
{
	memset(lcore, 0, sizeof(lcore));
	memset(delta, 0, sizeof(delta));
	memset(&snap, 0, sizeof(snap));
	memset(&sum, 0, sizeof(sum));
	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	memset(&hist, 0, sizeof(hist));
	memset(&hist2, 0, sizeof(hist2));
	return 0;
}

static void
test_layout(void **state)
{
	assert_int_equal(sizeof(struct sl_stats_lcore) % SL_CACHE_LINE, 0);
	assert_int_equal(offsetof(struct sl_stats_lcore, latency) % SL_CACHE_LINE, 0);
	assert_int_equal(sizeof(struct sl_stats_stage_counts), 9 * sizeof(uint64_t));
	assert_string_equal(sl_stats_stage_text(SL_STATS_RX_EARLY), "rx_early");
	assert_string_equal(sl_stats_stage_text(SL_STATS_POST_DECRYPT), "post_decrypt");
	assert_string_equal(sl_stats_stage_text(SL_STATS_PRE_ENCRYPT), "pre_encrypt");
	assert_string_equal(sl_stats_stage_text(SL_STATS_STAGES), "invalid");
}

static void
test_flush(void **state)
{
	static const struct sl_stats_delta zero;
	struct sl_stats_delta *d = &delta[0];

	for (unsigned round = 1; round <= 3; round++) {
		d->lcore.rx_packets += 32;
		d->lcore.busy_cycles += 1000;
		d->stage[SL_STATS_RX_EARLY].total += 32;
		d->stage[SL_STATS_RX_EARLY].passed += 30;
		d->stage[SL_STATS_POST_DECRYPT].decrypt_success += 29;
		d->stage[SL_STATS_PRE_ENCRYPT].latency_count += 1;
		sl_stats_drop(d, SL_DROP_REPLAY, 1);
		sl_stats_drop(d, SL_DROP_REPLAY, 2);
		sl_stats_drop(d, SL_DROP_MAX - 1, 5);
		sl_stats_drop(d, SL_DROP_TTL, 0);
		sl_stats_flush(&lcore[0], d);
		assert_memory_equal(d, &zero, sizeof(zero));
		sl_stats_flush(&lcore[0], d);
		sl_stats_read(&lcore[0], &snap);
		assert_int_equal(snap.lcore.rx_packets, 32 * round);
		assert_int_equal(snap.lcore.busy_cycles, 1000 * round);
		assert_int_equal(snap.lcore.tx_packets, 0);
		assert_int_equal(snap.stage[SL_STATS_RX_EARLY].total, 32 * round);
		assert_int_equal(snap.stage[SL_STATS_RX_EARLY].passed, 30 * round);
		assert_int_equal(snap.stage[SL_STATS_POST_DECRYPT].decrypt_success, 29 * round);
		assert_int_equal(snap.stage[SL_STATS_PRE_ENCRYPT].latency_count, round);
		assert_int_equal(snap.drops[SL_DROP_REPLAY], 3 * round);
		assert_int_equal(snap.drops[SL_DROP_MAX - 1], 5 * round);
		assert_int_equal(snap.drops[SL_DROP_TTL], 0);
	}
}

/* Every reason is flushed to its own counter. */
static void
test_all_drops(void **state)
{
	for (unsigned i = 0; i < SL_DROP_MAX; i++)
		sl_stats_drop(&delta[0], (enum sl_drop)i, i + 1);
	sl_stats_flush(&lcore[0], &delta[0]);
	sl_stats_read(&lcore[0], &snap);
	for (unsigned i = 0; i < SL_DROP_MAX; i++)
		assert_int_equal(snap.drops[i], i + 1);
}

static void
test_sum(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		delta[i].lcore.tx_bytes = 100 * (i + 1);
		delta[i].stage[SL_STATS_PRE_ENCRYPT].policy_hits = i + 1;
		sl_stats_drop(&delta[i], SL_DROP_MTU, i + 1);
		sl_stats_latency(&lcore[i], &delta[i], SL_STATS_RX_EARLY, 10 * (i + 1), 2);
		sl_stats_flush(&lcore[i], &delta[i]);
		sl_stats_read(&lcore[i], &snap);
		snap.time_ns = 50 - i;
		sl_stats_sum(&sum, &snap);
	}
	assert_int_equal(sum.time_ns, 50);
	assert_int_equal(sum.lcore.tx_bytes, 600);
	assert_int_equal(sum.stage[SL_STATS_PRE_ENCRYPT].policy_hits, 6);
	assert_int_equal(sum.drops[SL_DROP_MTU], 6);
	assert_int_equal(sum.stage[SL_STATS_RX_EARLY].latency_sum_ns, 120);
	assert_int_equal(sum.stage[SL_STATS_RX_EARLY].latency_count, 6);
	assert_int_equal(sl_hist_count(&sum.latency), 6);
}

static void
test_rates(void **state)
{
	before.time_ns = UINT64_C(7000000000);
	after.time_ns = UINT64_C(9000000000);
	before.lcore.rx_packets = 1000;
	after.lcore.rx_packets = 5000;
	after.lcore.tx_bytes = 2500;
	before.lcore.busy_cycles = 100;
	after.lcore.busy_cycles = 350;
	before.lcore.total_cycles = 1000;
	after.lcore.total_cycles = 2000;
	after.stage[SL_STATS_POST_DECRYPT].total = 10;
	before.drops[SL_DROP_REPLAY] = 5;
	after.drops[SL_DROP_REPLAY] = 9;
	after.drops[SL_DROP_LOCAL_CONSUMED] = 100;
	before.drops[SL_DROP_TTL] = 50; /* restarted in between */
	after.drops[SL_DROP_TTL] = 4;
	before.stage[0].latency_count = 7;
	before.stage[0].latency_sum_ns = 70;
	after.stage[0].latency_count = 9;
	after.stage[0].latency_sum_ns = 100;
	before.latency.n[3] = 1000;
	after.latency.n[3] = 1000;
	after.latency.n[15] = 2;
	sl_stats_rates(&before, &after, &rates);
	assert_true(rates.seconds == 2.0);
	assert_true(rates.rx_pps == 2000.0);
	assert_true(rates.tx_bps == 10000.0);
	assert_true(rates.utilization_pct == 25.0);
	assert_true(rates.stage_pps[SL_STATS_POST_DECRYPT] == 5.0);
	assert_true(rates.drops_pps[SL_DROP_REPLAY] == 2.0);
	assert_true(rates.drops_pps[SL_DROP_LOCAL_CONSUMED] == 50.0);
	assert_true(rates.drop_pps == 4.0);
	assert_int_equal(rates.latency.count, 2);
	assert_int_equal(rates.latency.avg_ns, 15);
	assert_int_equal(rates.latency.p50_ns, 15);
	assert_int_equal(rates.latency.p99_ns, 15);
	assert_true(sl_stats_utilization_pct(&after) == 17.5);

	after.time_ns = before.time_ns;
	sl_stats_rates(&before, &after, &rates);
	assert_true(rates.rx_pps == 0 && rates.seconds == 0);
	memset(&snap, 0, sizeof(snap));
	assert_true(sl_stats_utilization_pct(&snap) == 0);
}

/* Buckets: in order, without gaps, and no wider than 1/16 of their values. */
static void
test_buckets(void **state)
{
	uint64_t low = 0;
	unsigned bucket = 0;

	for (uint64_t v = 0; v < 1 << 20; v++) {
		unsigned b = sl_hist_bucket(v);

		if (b != bucket) {
			assert_int_equal(b, bucket + 1);
			bucket = b;
			low = v;
		}
		assert_true((v - low) * 16 <= v);
	}
	for (unsigned bit = 20; bit < SL_HIST_MAX_BITS; bit++)
		assert_int_equal(sl_hist_bucket((UINT64_C(1) << bit) - 1) + 1,
				 sl_hist_bucket(UINT64_C(1) << bit));
	assert_int_equal(sl_hist_bucket((UINT64_C(1) << SL_HIST_MAX_BITS) - 1),
			 SL_HIST_BUCKETS - 1);
	assert_int_equal(sl_hist_bucket(UINT64_C(1) << SL_HIST_MAX_BITS), SL_HIST_BUCKETS - 1);
	assert_int_equal(sl_hist_bucket(UINT64_MAX), SL_HIST_BUCKETS - 1);
}

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
assert_near(uint64_t got, uint64_t want)
{
	uint64_t off = got > want ? got - want : want - got;

	assert_true(off * 16 <= want);
}

#define VALUES 20000

/* shape: 0 uniform and small, 1 log-uniform, 2 all equal, 3 few outliers, 4 a single one */
static unsigned
draw(uint64_t *v, unsigned shape, uint64_t *seed)
{
	unsigned n = shape == 4 ? 1 : VALUES;

	for (unsigned i = 0; i < n; i++) {
		uint64_t r = next_random(seed);

		if (shape == 0)
			v[i] = r % 5000;
		else if (shape == 1)
			v[i] = (r >> 24) >> next_random(seed) % 40;
		else if (shape == 2)
			v[i] = 777;
		else
			v[i] = r % 100 == 0 ? 1000000 + r % 1000000 : 200 + r % 100;
	}
	return n;
}

static void
test_quantiles(void **state)
{
	static const unsigned per_million[] = {1,      10000,  250000, 500000,
					       950000, 990000, 999000, 1000000};
	static uint64_t v[VALUES];
	uint64_t seed = 1;

	assert_int_equal(sl_hist_quantile(&hist, 500000), 0);
	for (unsigned shape = 0; shape < 5; shape++) {
		unsigned n = draw(v, shape, &seed);

		clear(NULL);
		for (unsigned i = 0; i < n; i++)
			sl_hist_record(i % 2 ? &hist : &hist2, v[i], 1);
		sl_hist_merge(&hist, &hist2);
		assert_int_equal(sl_hist_count(&hist), n);
		qsort(v, n, sizeof(v[0]), by_value);
		for (unsigned i = 0; i < SL_ARRAY_SIZE(per_million); i++) {
			uint64_t rank = ((uint64_t)n * per_million[i] + 999999) / 1000000;

			assert_near(sl_hist_quantile(&hist, per_million[i]), v[rank - 1]);
		}
		for (uint64_t bound = 1; bound < UINT64_C(1) << 38; bound *= 2) {
			unsigned k = 0;

			while (k < n && v[k] < bound)
				k++;
			assert_int_equal(sl_hist_below(&hist, bound), k);
		}
	}
}

static void
test_latency(void **state)
{
	struct sl_stats_latency l;

	for (unsigned i = 1; i <= 100; i++)
		sl_stats_latency(&lcore[0], &delta[0], SL_STATS_POST_DECRYPT, i * 1000, 10);
	sl_stats_flush(&lcore[0], &delta[0]);
	sl_stats_read(&lcore[0], &snap);
	sl_stats_latency_of(&snap, &l);
	assert_int_equal(l.count, 1000);
	assert_int_equal(l.avg_ns, 50500);
	assert_int_equal(snap.lcore.latency_sum_ns, 50500000);
	assert_near(l.p50_ns, 50000);
	assert_near(l.p95_ns, 95000);
	assert_near(l.p99_ns, 99000);
	memset(&snap, 0, sizeof(snap));
	sl_stats_latency_of(&snap, &l);
	assert_int_equal(l.count + l.avg_ns + l.p99_ns, 0);
}

#define ROUNDS 20000

static void *
write_bursts(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		delta[0].lcore.rx_packets += 3;
		sl_stats_drop(&delta[0], SL_DROP_TTL, 2);
		sl_stats_flush(&lcore[0], &delta[0]);
	}
	return NULL;
}

/* A reader beside the writer sees counters that only grow, and in the end all of them. */
static void
test_reader_beside_writer(void **state)
{
	uint64_t packets = 0, drops = 0;
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, write_bursts, NULL), 0);
	for (unsigned i = 0; i < 500; i++) {
		sl_stats_read(&lcore[0], &snap);
		assert_true(snap.lcore.rx_packets >= packets && snap.lcore.rx_packets % 3 == 0);
		assert_true(snap.drops[SL_DROP_TTL] >= drops);
		packets = snap.lcore.rx_packets;
		drops = snap.drops[SL_DROP_TTL];
	}
	pthread_join(t, NULL);
	sl_stats_read(&lcore[0], &snap);
	assert_int_equal(snap.lcore.rx_packets, 3 * ROUNDS);
	assert_int_equal(snap.drops[SL_DROP_TTL], 2 * ROUNDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_layout, clear),
		cmocka_unit_test_setup(test_flush, clear),
		cmocka_unit_test_setup(test_all_drops, clear),
		cmocka_unit_test_setup(test_sum, clear),
		cmocka_unit_test_setup(test_rates, clear),
		cmocka_unit_test_setup(test_buckets, clear),
		cmocka_unit_test_setup(test_quantiles, clear),
		cmocka_unit_test_setup(test_latency, clear),
		cmocka_unit_test_setup(test_reader_beside_writer, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
