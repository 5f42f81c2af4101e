/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The CPU of a virtual machine is not always a whole one: what a neighbour runs on the other thread
 * of its core takes half of it. A fixed piece of work, which reads no memory, tells how much of it
 * is ours.
 */
#include <rte_cycles.h>
#include <time.h>

#include "bench.h"

#define STEPS 800
/* Of the fastest probe. The clock alone moves by an eighth to both sides, which ratios do not feel;
 * with a neighbour the same work takes 1.5 to 3 times as long. */
#define FULL_WITHIN 1.25f
#define LOOK_AGAIN_NS (2 * SL_NS_PER_MS)

static float fastest = 1e9f;

/** The compiler is to do each step. */
#define KEEP(x) __asm__ volatile("" : "+r"(x))

float
bench_speed_probe(void)
{
	uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, begin = rte_rdtsc();
	unsigned i;
	float took;

	for (i = 0; i < STEPS; i++) { /* more than a core does in a cycle, none waits for another */
		a++, b++, c++, d++, e++, f++;
		KEEP(a);
		KEEP(b);
		KEEP(c);
		KEEP(d);
		KEEP(e);
		KEEP(f);
	}
	took = (float)(rte_rdtsc() - begin);
	fastest = SL_MIN(fastest, took);
	return took;
}

float
bench_speed_fastest(void)
{
	return fastest;
}

bool
bench_speed_is_full(float slowest)
{
	return slowest <= fastest * FULL_WITHIN;
}

bool
bench_speed_wait(uint64_t end)
{
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};

	while (rte_rdtsc() < end) {
		if (bench_speed_is_full(bench_speed_probe()))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}
