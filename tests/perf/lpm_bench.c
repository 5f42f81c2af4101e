/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Longest-prefix match: cycles per lookup, time to build and memory of sl_lpm beside rte_lpm,
 * rte_fib and rte_fib6, which also check each other's answers.
 *
 *	lpm_bench [EAL options] [-- PREFIXES...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_lpm.h>
#include <rte_malloc.h>

#include "sl_lpm.h"

#define KEYS_MAX (1u << 16)
#define KEYS_HOT 1024
#define BURST 32
#define PASSES 8
#define COLD_BURSTS 512
#define OTHER_WORK (2u << 20) /* bytes that push the tables out of L1 and L2 */
#define TBL8_V4 (1u << 16)
#define TBL8_V6 (1u << 18)

struct entry {
	uint8_t addr[16];
	uint8_t len;
	uint32_t value;
};

/** The prefixes and the addresses to look up. */
struct set {
	unsigned bits;
	unsigned n;
	struct entry *e;
	uint8_t (*key)[16];
	uint32_t *key4; /* host order, as rte_lpm wants it */
	uint32_t *want;
};

static uint64_t seed = 1;

static uint64_t
next_random(void)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void
random_bytes(uint8_t *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)next_random();
}

/* IPv4: half /24, a quarter /32, the rest /16 to /28. IPv6: three quarters /64, a quarter /128. */
static unsigned
random_len(unsigned bits)
{
	unsigned r = next_random() % 4;

	if (bits == 128)
		return r == 0 ? 128 : 64;
	return r == 0 ? 32 : r == 1 ? 16 + (unsigned)(next_random() % 13) : 24;
}

static void
clear_host_bits(uint8_t *addr, unsigned bits, unsigned len)
{
	for (unsigned i = len; i < bits; i++)
		addr[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

static void
key_make(const struct set *s, uint8_t *key)
{
	const struct entry *e = &s->e[next_random() % s->n];

	random_bytes(key, 16);
	if (next_random() % 5 == 0)
		return; /* most likely a miss */
	for (unsigned i = 0; i < e->len; i++) {
		key[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
		key[i / 8] |= e->addr[i / 8] & (0x80 >> i % 8);
	}
}

static void
set_make(struct set *s, unsigned bits, unsigned n)
{
	s->bits = bits;
	s->n = n;
	s->e = calloc(n, sizeof(*s->e));
	s->key = calloc(KEYS_MAX, sizeof(*s->key));
	s->key4 = calloc(KEYS_MAX, sizeof(*s->key4));
	s->want = calloc(KEYS_MAX, sizeof(*s->want));
	if (s->e == NULL || s->key == NULL || s->key4 == NULL || s->want == NULL)
		exit(1);
	for (unsigned i = 0; i < n; i++) {
		random_bytes(s->e[i].addr, 16);
		s->e[i].len = (uint8_t)random_len(bits);
		clear_host_bits(s->e[i].addr, 128, s->e[i].len);
		s->e[i].value = i & 0xffffff;
	}
	for (unsigned i = 0; i < KEYS_MAX; i++) {
		key_make(s, s->key[i]);
		s->key4[i] = sl_load_be32(s->key[i]);
	}
}

static void
set_free(struct set *s)
{
	free(s->e);
	free(s->key);
	free(s->key4);
	free(s->want);
}

/** One way to look up; fills out[] for keys at .. at + BURST. */
typedef void (*burst_fn)(const struct set *s, const void *table, unsigned at, uint32_t *out);

static void
sl_single(const struct set *s, const void *table, unsigned at, uint32_t *out)
{
	for (unsigned i = 0; i < BURST; i++)
		out[i] = sl_lpm_lookup(table, s->key[at + i]);
}

static void
sl_burst(const struct set *s, const void *table, unsigned at, uint32_t *out)
{
	const struct sl_lpm *t[BURST];
	const uint8_t *key[BURST];

	for (unsigned i = 0; i < BURST; i++) {
		t[i] = table;
		key[i] = s->key[at + i];
	}
	sl_lpm_lookup_burst(t, key, out, BURST);
}

static void
lpm_single(const struct set *s, const void *table, unsigned at, uint32_t *out)
{
	for (unsigned i = 0; i < BURST; i++) {
		if (rte_lpm_lookup((struct rte_lpm *)(uintptr_t)table, s->key4[at + i], &out[i]))
			out[i] = SL_LPM_NONE;
	}
}

static void
lpm_bulk(const struct set *s, const void *table, unsigned at, uint32_t *out)
{
	rte_lpm_lookup_bulk(table, &s->key4[at], out, BURST);
	for (unsigned i = 0; i < BURST; i++)
		out[i] = out[i] & RTE_LPM_LOOKUP_SUCCESS ? out[i] & 0xffffff : SL_LPM_NONE;
}

static void
fib_bulk(const struct set *s, const void *table, unsigned at, uint32_t *out)
{
	uint64_t hop[BURST];

	rte_fib_lookup_bulk((struct rte_fib *)(uintptr_t)table, (uint32_t *)(uintptr_t)&s->key4[at],
			    hop, BURST);
	for (unsigned i = 0; i < BURST; i++)
		out[i] = (uint32_t)hop[i];
}

static void
fib6_bulk(const struct set *s, const void *table, unsigned at, uint32_t *out)
{
	uint64_t hop[BURST];

	rte_fib6_lookup_bulk((struct rte_fib6 *)(uintptr_t)table, &s->key[at], hop, BURST);
	for (unsigned i = 0; i < BURST; i++)
		out[i] = (uint32_t)hop[i];
}

static double
measure(const struct set *s, const void *table, burst_fn fn, unsigned n_keys)
{
	uint64_t best = UINT64_MAX, t;
	uint32_t out[BURST], sink = 0;

	for (unsigned pass = 0; pass < PASSES; pass++) {
		t = rte_rdtsc_precise();
		for (unsigned round = 0; round < KEYS_MAX / n_keys; round++) {
			for (unsigned at = 0; at < n_keys; at += BURST) {
				fn(s, table, at, out);
				sink += out[0];
			}
		}
		t = rte_rdtsc_precise() - t;
		best = SL_MIN(best, t);
	}
	__asm__ volatile("" : : "r"(sink));
	return (double)best / KEYS_MAX;
}

/* As in a loop that does other work between two bursts. */
static double
measure_cold(const struct set *s, const void *table, burst_fn fn)
{
	static uint8_t other[OTHER_WORK];
	uint64_t sum = 0, t;
	uint32_t out[BURST], sink = 0;

	for (unsigned k = 0; k < COLD_BURSTS; k++) {
		for (unsigned i = 0; i < OTHER_WORK; i += SL_CACHE_LINE)
			sink += other[i]++;
		for (unsigned i = 0; i < BURST; i++) /* packets in hand: their addresses are warm */
			sink += s->key4[k * BURST + i] + s->key[k * BURST + i][0];
		t = rte_rdtsc_precise();
		fn(s, table, k * BURST, out);
		sum += rte_rdtsc_precise() - t;
		sink += out[0];
	}
	__asm__ volatile("" : : "r"(sink));
	return (double)sum / (COLD_BURSTS * BURST);
}

static unsigned
differences(const struct set *s, const void *table, burst_fn fn)
{
	uint32_t out[BURST];
	unsigned bad = 0;

	for (unsigned at = 0; at < KEYS_MAX; at += BURST) {
		fn(s, table, at, out);
		for (unsigned i = 0; i < BURST; i++)
			bad += out[i] != s->want[at + i];
	}
	return bad;
}

static void
report(const struct set *s, const char *name, const void *table, burst_fn fn, double build_ms,
       double mib, unsigned failed)
{
	printf("%-22s %7u %8.1f %8.1f %8.1f %10.1f %9.2f %8u %8u\n", name, s->n,
	       measure(s, table, fn, KEYS_HOT), measure(s, table, fn, KEYS_MAX),
	       measure_cold(s, table, fn), build_ms, mib, failed, differences(s, table, fn));
}

static double
ms_since(uint64_t t)
{
	return (double)(rte_rdtsc() - t) * 1e3 / (double)rte_get_tsc_hz();
}

/* Each prefix published by itself, with the old nodes freed at once. */
static double
sl_publish_each_ms(const struct set *s)
{
	struct sl_lpm_garbage g = {0};
	struct sl_lpm t;
	uint64_t start = rte_rdtsc();
	double ms;

	sl_lpm_init(&t, s->bits);
	for (unsigned i = 0; i < s->n; i++) {
		if (sl_lpm_set(&t, &t, s->e[i].addr, s->e[i].len, s->e[i].value, &g) != 0)
			exit(1);
		sl_lpm_garbage_free(&g);
	}
	ms = ms_since(start);
	sl_lpm_free(&t);
	return ms;
}

static void
run_sl(struct set *s)
{
	struct sl_lpm_garbage g = {0};
	struct sl_lpm t;
	uint64_t start = rte_rdtsc();
	double ms, mib;

	sl_lpm_init(&t, s->bits);
	for (unsigned i = 0; i < s->n; i++) {
		if (sl_lpm_set(&t, &t, s->e[i].addr, s->e[i].len, s->e[i].value, &g) != 0)
			exit(1);
	}
	ms = ms_since(start);
	mib = (double)sl_lpm_bytes(&t) / (1 << 20);
	for (unsigned i = 0; i < KEYS_MAX; i++)
		s->want[i] = sl_lpm_match(&t, s->key[i], NULL);
	report(s, s->bits == 32 ? "sl_lpm v4 single" : "sl_lpm v6 single", &t, sl_single, ms, mib,
	       0);
	report(s, s->bits == 32 ? "sl_lpm v4 burst 32" : "sl_lpm v6 burst 32", &t, sl_burst, ms,
	       mib, 0);
	printf("%-22s %7u %26s %10.1f\n", "  publish each prefix", s->n, "", sl_publish_each_ms(s));
	sl_lpm_garbage_free(&g);
	sl_lpm_free(&t);
}

static double
heap_mib(void)
{
	struct rte_malloc_socket_stats st;

	if (rte_malloc_get_socket_stats(0, &st) != 0)
		return 0;
	return (double)st.heap_allocsz_bytes / (1 << 20);
}

static void
run_rte_lpm(const struct set *s)
{
	struct rte_lpm_config c = {.max_rules = s->n + 16, .number_tbl8s = TBL8_V4};
	double before = heap_mib(), ms;
	struct rte_lpm *t = rte_lpm_create("bench", SOCKET_ID_ANY, &c);
	uint64_t start = rte_rdtsc();
	unsigned failed = 0;

	if (t == NULL) {
		printf("rte_lpm: no memory\n");
		return;
	}
	for (unsigned i = 0; i < s->n; i++)
		failed +=
			rte_lpm_add(t, sl_load_be32(s->e[i].addr), s->e[i].len, s->e[i].value) != 0;
	ms = ms_since(start);
	report(s, "rte_lpm single", t, lpm_single, ms, heap_mib() - before, failed);
	report(s, "rte_lpm bulk 32", t, lpm_bulk, ms, heap_mib() - before, failed);
	rte_lpm_free(t);
}

static void
run_rte_fib(const struct set *s)
{
	struct rte_fib_conf c = {.type = RTE_FIB_DIR24_8,
				 .default_nh = SL_LPM_NONE >> 1,
				 .max_routes = (int)s->n + 16,
				 .dir24_8 = {.nh_sz = RTE_FIB_DIR24_8_4B, .num_tbl8 = TBL8_V4 - 1}};
	double before = heap_mib(), ms;
	struct rte_fib *t = rte_fib_create("bench", SOCKET_ID_ANY, &c);
	uint64_t start = rte_rdtsc();
	unsigned failed = 0;

	if (t == NULL) {
		printf("rte_fib: no memory\n");
		return;
	}
	for (unsigned i = 0; i < s->n; i++)
		failed +=
			rte_fib_add(t, sl_load_be32(s->e[i].addr), s->e[i].len, s->e[i].value) != 0;
	ms = ms_since(start);
	report(s, "rte_fib bulk 32", t, fib_bulk, ms, heap_mib() - before, failed);
	rte_fib_free(t);
}

static void
run_rte_fib6(const struct set *s)
{
	struct rte_fib6_conf c = {.type = RTE_FIB6_TRIE,
				  .default_nh = SL_LPM_NONE >> 1,
				  .max_routes = (int)s->n + 16,
				  .trie = {.nh_sz = RTE_FIB6_TRIE_4B, .num_tbl8 = TBL8_V6}};
	double before = heap_mib(), ms;
	struct rte_fib6 *t = rte_fib6_create("bench", SOCKET_ID_ANY, &c);
	uint64_t start = rte_rdtsc();
	unsigned failed = 0;

	if (t == NULL) {
		printf("rte_fib6: no memory\n");
		return;
	}
	for (unsigned i = 0; i < s->n; i++)
		failed += rte_fib6_add(t, s->e[i].addr, s->e[i].len, s->e[i].value) != 0;
	ms = ms_since(start);
	report(s, "rte_fib6 bulk 32", t, fib6_bulk, ms, heap_mib() - before, failed);
	rte_fib6_free(t);
}

static void
none_as(struct set *s, uint32_t from, uint32_t to)
{
	for (unsigned i = 0; i < KEYS_MAX; i++) {
		if (s->want[i] == from)
			s->want[i] = to;
	}
}

static void
run(unsigned n)
{
	struct set s;

	set_make(&s, 32, n);
	run_sl(&s);
	run_rte_lpm(&s);
	none_as(&s, SL_LPM_NONE, SL_LPM_NONE >> 1); /* what a fib says for no route */
	run_rte_fib(&s);
	set_free(&s);
	set_make(&s, 128, n);
	run_sl(&s);
	none_as(&s, SL_LPM_NONE, SL_LPM_NONE >> 1);
	run_rte_fib6(&s);
	set_free(&s);
}

int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);

	if (used < 0)
		return 1;
	printf("cycles per lookup over %u and %u addresses, and with other work between the bursts;"
	       "\nwrong: answers unlike sl_lpm's\n",
	       KEYS_HOT, KEYS_MAX);
	printf("%-22s %7s %8s %8s %8s %10s %9s %8s %8s\n", "table", "prefix", "hot", "all", "cold",
	       "build ms", "MiB", "refused", "wrong");
	for (int i = used + 1; i < argc; i++)
		run((unsigned)strtoul(argv[i], NULL, 10));
	if (argc - used <= 1) {
		run(1000);
		run(10000);
		run(100000);
	}
	return 0;
}
