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
/* Of the fastest batch. The clock alone makes 1.2, which ratios do not feel; with a neighbour the
 * same work takes 1.5 to 3 times as long as without one at the same clock. */
#define FULL_WITHIN 1.25f
#define LOOK_AGAIN_NS (2 * SL_NS_PER_MS)

static float fastest = 1e9f;

/** The compiler is to do each step. */
#define KEEP(x) __asm__ volatile("" : "+r"(x))

float
bench_speed_probe(void)
{
	uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, begin;
	unsigned i;

	begin = rte_rdtsc_precise();  /* what waits for memory is none of its time */
	for (i = 0; i < STEPS; i++) { /* more than a core does in a cycle, none waits for another */
		a++, b++, c++, d++, e++, f++;
		KEEP(a);
		KEEP(b);
		KEEP(c);
		KEEP(d);
		KEEP(e);
		KEEP(f);
	}
	return (float)(rte_rdtsc() - begin);
}

void
bench_speed_note(float mean)
{
	fastest = SL_MIN(fastest, mean);
}

float
bench_speed_fastest(void)
{
	return fastest;
}

bool
bench_speed_is_full(float mean)
{
	return mean <= fastest * FULL_WITHIN;
}

static float
probe_now(void)
{
	float sum = 0;
	unsigned i;

	for (i = 0; i < BENCH_PROBES; i++)
		sum += bench_speed_probe();
	return sum / BENCH_PROBES;
}

bool
bench_speed_wait(uint64_t end)
{
	const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};

	while (rte_rdtsc() < end) {
		if (bench_speed_is_full(probe_now()))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}
