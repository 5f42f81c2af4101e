/* SPDX-License-Identifier: BSD-3-Clause */
/* Medians: of all rounds, and of those in which the CPU had its full speed. */
#include <stdlib.h>

#include "bench.h"

static int
compare(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/** Of every `step`th value of a column. @param room for n values */
static double
median(const float *v, unsigned step, const float *probe, unsigned n, bool full, float *room)
{
	unsigned i, k = 0;

	for (i = 0; i < n; i++)
		if (!full || bench_speed_is_full(probe[i]))
			room[k++] = v[i * step];
	if (k == 0)
		return 0;
	qsort(room, k, sizeof(*room), compare);
	return (double)room[k / 2];
}

static struct bench_result
result_of(const struct bench_case *c, bool full, float *room)
{
	return (struct bench_result){
		.rounds = full ? bench_case_full(c) : c->n,
		.cycles = median(c->cycles, 1, c->probe, c->n, full, room),
		.aead = median(c->aead, 1, c->probe, c->n, full, room),
		.ratio = median(c->ratio, 1, c->probe, c->n, full, room),
	};
}

static void
finish_stages(struct bench_case *c, float *room)
{
	unsigned i, n_full = 0;

	for (i = 0; i < c->n_profile; i++)
		n_full += bench_speed_is_full(c->profile_probe[i]);
	c->stages_full = n_full >= BENCH_FULL_MIN;
	for (i = 0; i < BENCH_COLUMNS; i++)
		c->stage[i] = median(&c->profile[i], BENCH_COLUMNS, c->profile_probe, c->n_profile,
				     c->stages_full, room);
}

int
bench_case_finish(struct bench_case *c, struct sl_error *e)
{
	float *room = calloc(SL_MAX(c->n, c->n_profile) + 1, sizeof(*room));

	if (!room)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for medians");
	c->all = result_of(c, false, room);
	c->full = result_of(c, true, room);
	finish_stages(c, room);
	free(room);
	return 0;
}
