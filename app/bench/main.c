/* SPDX-License-Identifier: BSD-3-Clause */
/* sluice-bench: what the data path costs beside its cipher. */
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "policy.h"
#include "sl_assembly.h"
#include "sl_crypto.h"

#define POOL_MBUFS 4095
#define MBUF_ROOM 2176 /* as the gateway's */
#define MEMORY_MB 256
#define CASES_MAX 512
#define PASSES 6     /* over all cases: what disturbs, disturbs all alike */
#define PROFILE_OF 5 /* each fifth part of the time goes to the stages */
#define WAIT_SLICE_S 0.1

struct bench {
	struct bench_options o;
	struct rte_mempool *pool;
	struct bench_world *world[BENCH_LIST_MAX];
	struct bench_policy *policy;
	struct bench_case c[CASES_MAX];
	unsigned n;
};

/** The CPU to run on: as wished, or the last one allowed. */
static int
choose_cpu(const struct bench_options *o, unsigned *cpu, struct sl_error *e)
{
	unsigned i, wish = o->cpu ? (unsigned)atoi(o->cpu) : CPU_SETSIZE;
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	*cpu = CPU_SETSIZE;
	for (i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set) && (!o->cpu || i == wish))
			*cpu = i;
	if (*cpu < CPU_SETSIZE)
		return 0;
	return sl_fail(e, -EINVAL, "cpu_invalid", "--cpu", "this process may not run on CPU %u",
		       wish);
}

static int
start_eal(struct bench_options *o, struct sl_error *e)
{
	char lcores[32], prefix[64];
	struct sl_eal_wish w = {.prefix = prefix,
				.lcores = lcores,
				.hugepages = o->no_huge ? SL_HUGE_OFF : SL_HUGE_AUTO,
				.memory_mb = MEMORY_MB};
	unsigned cpu;
	bool huge;
	int rc = choose_cpu(o, &cpu, e);

	if (rc)
		return rc;
	snprintf(lcores, sizeof(lcores), "0@%u", cpu);
	snprintf(prefix, sizeof(prefix), "sluice-bench-%ld", (long)getpid());
	rc = sl_crypto_init();
	if (rc)
		return sl_fail(e, rc, "crypto_failed", "", "libsodium does not start");
	rc = sl_eal_start(&w, &huge, e);
	o->no_huge = !huge;
	return rc;
}

/** Of one path, size and world: with and without policy and logging. */
static void
add_cases(struct bench *b, enum bench_path path, unsigned size, struct bench_world *world)
{
	const struct bench_options *o = &b->o;
	unsigned mode, log;

	for (mode = 0; mode < o->n_policies; mode++)
		for (log = 0; log < o->n_logging && b->n < CASES_MAX; log++)
			b->c[b->n++] = (struct bench_case){.path = path,
							   .inner_bytes = size,
							   .world = world,
							   .policy = b->policy,
							   .mode = o->policy[mode],
							   .logging = o->logging[log]};
}

static int
make_cases(struct bench *b, struct sl_error *e)
{
	const struct bench_options *o = &b->o;
	unsigned path, size, peers;

	b->pool = sl_pkt_pool_new("bench", POOL_MBUFS, MBUF_ROOM, SOCKET_ID_ANY);
	if (!b->pool)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no packet buffers: %s",
			       rte_strerror(rte_errno));
	for (peers = 0; peers < o->n_peers; peers++) {
		b->world[peers] =
			bench_world_new(o->peers[peers], o->outer, !o->no_huge, b->pool, e);
		if (!b->world[peers])
			return e->err;
	}
	b->policy = bench_policy_new(e);
	if (!b->policy)
		return e->err;
	for (path = 0; path < BENCH_PATHS; path++)
		for (size = 0; size < o->n_sizes && o->path[path]; size++)
			for (peers = 0; peers < o->n_peers; peers++)
				add_cases(b, path, o->size[size], b->world[peers]);
	return 0;
}

static int
measure_case(struct bench_case *c, double seconds, struct sl_error *e)
{
	int rc = bench_case_prepare(c, e);

	if (rc == 0)
		rc = bench_case_run(c, seconds - seconds / PROFILE_OF, e);
	return rc ? rc : bench_case_profile(c, seconds / PROFILE_OF, e);
}

/** Go on with the cases that had few rounds at full speed, when the CPU has it. */
static int
wait_full(struct bench *b, struct sl_error *e)
{
	uint64_t end = rte_rdtsc() + (uint64_t)(b->o.wait_full * (double)rte_get_tsc_hz());
	bool lacks = true;
	unsigned i;
	int rc = 0;

	while (lacks && rc == 0) {
		lacks = false;
		for (i = 0; i < b->n && rc == 0; i++) {
			if (bench_case_full(&b->c[i]) >= BENCH_FULL_MIN)
				continue;
			if (!bench_speed_wait(end))
				return 0;
			lacks = true;
			rc = measure_case(&b->c[i], WAIT_SLICE_S, e);
		}
	}
	return rc;
}

static int
measure(struct bench *b, struct sl_error *e)
{
	double slice = b->o.seconds / PASSES / b->n;
	unsigned pass, i;
	int rc = 0;

	for (i = 0; i < b->n && rc == 0; i++) {
		rc = bench_case_prepare(&b->c[i], e);
		rc = rc ? rc : bench_case_check(&b->c[i], e);
	}
	for (pass = 0; pass < PASSES; pass++)
		for (i = 0; i < b->n && rc == 0; i++)
			rc = measure_case(&b->c[i], slice, e);
	if (rc == 0 && b->o.wait_full > 0)
		rc = wait_full(b, e);
	for (i = 0; i < b->n && rc == 0; i++)
		rc = bench_case_finish(&b->c[i], e);
	return rc;
}

static void
free_all(struct bench *b)
{
	unsigned i;

	for (i = 0; i < b->n; i++) {
		free(b->c[i].aead);
		free(b->c[i].cycles);
		free(b->c[i].ratio);
		free(b->c[i].probe);
		free(b->c[i].profile);
		free(b->c[i].profile_probe);
	}
	for (i = 0; i < b->o.n_peers; i++)
		bench_world_free(b->world[i]);
	bench_policy_free(b->policy);
	rte_mempool_free(b->pool);
}

static int
run(struct bench *b, struct sl_error *e)
{
	int rc = start_eal(&b->o, e);

	if (rc)
		return rc;
	rc = make_cases(b, e);
	if (rc == 0)
		rc = measure(b, e);
	if (rc == 0)
		bench_print(b->c, b->n, &b->o);
	if (rc == 0 && b->o.json)
		rc = bench_write_json(b->o.json, b->c, b->n, e);
	free_all(b);
	rte_eal_cleanup();
	return rc;
}

int
main(int argc, char **argv)
{
	static struct bench b;
	struct sl_error e = {0};
	int rc = bench_options_parse(argc, argv, &b.o);

	if (rc)
		return rc == 1 ? EXIT_SUCCESS : rc;
	rc = run(&b, &e);
	if (rc) {
		fprintf(stderr, "sluice-bench: error: %s%s%s [%s]\n", e.path, e.path[0] ? ": " : "",
			e.message, e.reason);
		if (e.hint[0])
			fprintf(stderr, "sluice-bench: remedy: %s\n", e.hint);
	}
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
