/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flow table: cycles per hit and miss in bursts of 32, to add and delete, and to sweep, with a
 * thousand to a million entries looked up at random. Best of several passes.
 *
 *	flow_bench [ENTRIES...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <x86intrin.h>

#include "sl_flow.h"

#define BURST 32
#define BURSTS 4096
#define PASSES 8
#define TICK 100

static uint64_t seed = 1;

static uint32_t
next_random(void)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) >> 32);
}

static void
key_number(struct sl_flow_key *k, uint32_t i)
{
	const uint8_t src[4] = {10, (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8)};
	const uint8_t dst[4] = {10, 200, 0, (uint8_t)i};

	sl_flow_key_make(k, 4, 6, 1, src, dst, (uint16_t)(32768 + (i & 0xfff)), 443);
}

/** Cycles per packet: make the keys, hash, find, and write the counters as the data path does. */
static double
find_cycles(struct sl_flow_table *t, uint32_t from, uint32_t n, unsigned *found)
{
	struct sl_flow_key k[BURST];
	struct sl_flow *out[BURST];
	uint32_t hash[BURST], at[BURST];
	uint64_t cycles = 0, start;

	for (unsigned b = 0; b < BURSTS; b++) {
		for (unsigned i = 0; i < BURST; i++)
			at[i] = from + next_random() % n;
		start = __rdtsc();
		for (unsigned i = 0; i < BURST; i++) {
			key_number(&k[i], at[i]);
			hash[i] = sl_flow_hash(t, &k[i]);
			sl_flow_prefetch(t, hash[i]);
		}
		sl_flow_find_burst(t, k, hash, out, BURST);
		for (unsigned i = 0; i < BURST; i++)
			if (out[i]) {
				out[i]->last_tick = TICK;
				out[i]->packets[0]++;
				out[i]->bytes[0] += 100;
				++*found;
			}
		cycles += __rdtsc() - start;
	}
	return (double)cycles / BURSTS / BURST;
}

static double
add_cycles(struct sl_flow_table *t, uint32_t from, uint32_t n)
{
	uint64_t start = __rdtsc();

	for (uint32_t i = from; i < from + n; i++) {
		struct sl_flow_key k;
		struct sl_flow *f;

		key_number(&k, i);
		f = sl_flow_add(t, &k, sl_flow_hash(t, &k), TICK, NULL, NULL);
		if (f)
			f->flags = SL_FLOW_ALLOW;
	}
	return (double)(__rdtsc() - start) / n;
}

static double
del_cycles(struct sl_flow_table *t, uint32_t n)
{
	uint64_t start = __rdtsc();

	for (uint32_t i = 0; i < n; i++) {
		struct sl_flow_key k;
		struct sl_flow *f;

		key_number(&k, i);
		f = sl_flow_find(t, &k, sl_flow_hash(t, &k));
		if (f)
			sl_flow_del(t, f);
	}
	return (double)(__rdtsc() - start) / n;
}

static double
sweep_cycles(struct sl_flow_table *t, uint32_t n)
{
	uint64_t start = __rdtsc();

	for (uint32_t i = 0; i < n; i += 64)
		sl_flow_sweep(t, TICK, 64, NULL, NULL);
	return (double)(__rdtsc() - start) / n;
}

static void
measure(uint32_t n)
{
	const uint64_t hash_key[2] = {next_random(), next_random()};
	double best[6] = {1e9, 1e9, 1e9, 1e9, 1e9, 1e9};
	void *mem = NULL;
	struct sl_flow_table *t;

	if (posix_memalign(&mem, SL_CACHE_LINE, sl_flow_table_size(n)))
		return;
	memset(mem, 0, sl_flow_table_size(n));
	t = sl_flow_table_init(mem, n, hash_key);
	for (unsigned pass = 0; pass < PASSES; pass++) {
		unsigned hits = 0, misses = 0;
		double now[6] = {add_cycles(t, 0, n), find_cycles(t, 0, n, &hits),
				 find_cycles(t, n, n, &misses), sweep_cycles(t, n),
				 add_cycles(t, n, 1000)};

		if (hits != BURSTS * BURST || misses || sl_flow_count(t) != n) {
			fprintf(stderr, "flow_bench: %u hits, %u misses, %u entries: wrong\n", hits,
				misses, sl_flow_count(t));
			break;
		}
		now[5] = del_cycles(t, n);
		for (unsigned i = 0; i < 6; i++)
			best[i] = SL_MIN(best[i], now[i]);
	}
	printf("%9u  %6.1f MiB  hit %6.1f  miss %6.1f  add %6.1f  find+del %6.1f  sweep %5.1f  "
	       "add to full %7.1f\n",
	       n, (double)sl_flow_table_size(n) / (1 << 20), best[1], best[2], best[0], best[5],
	       best[3], best[4]);
	free(mem);
}

int
main(int argc, char **argv)
{
	puts("  entries        memory  cycles");
	for (int i = 1; i < argc; i++)
		measure((uint32_t)strtoul(argv[i], NULL, 10));
	if (argc == 1) {
		measure(1000);
		measure(64000);
		measure(1000000);
	}
	return 0;
}
