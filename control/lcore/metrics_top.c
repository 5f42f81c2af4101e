/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics_top.h"

#include <errno.h>
#include <stdlib.h>

int
metrics_top_init(struct metrics_top *t, unsigned max)
{
	*t = (struct metrics_top){.v = malloc(SL_MAX(max, 1U) * sizeof(*t->v)), .max = max};
	return t->v != NULL ? 0 : -ENOMEM;
}

void
metrics_top_clear(struct metrics_top *t)
{
	free(t->v);
	*t = (struct metrics_top){0};
}

static void
add(struct metrics_top *t, const struct metrics_pick *p)
{
	unsigned i = t->n++;

	for (; i > 0 && t->v[(i - 1) / 2].bytes > p->bytes; i = (i - 1) / 2)
		t->v[i] = t->v[(i - 1) / 2];
	t->v[i] = *p;
}

static void
replace_first(struct metrics_top *t, const struct metrics_pick *p)
{
	unsigned i = 0, k;

	for (; (k = 2 * i + 1) < t->n; i = k) {
		k += k + 1 < t->n && t->v[k + 1].bytes < t->v[k].bytes;
		if (t->v[k].bytes >= p->bytes)
			break;
		t->v[i] = t->v[k];
	}
	t->v[i] = *p;
}

void
metrics_top_offer(struct metrics_top *t, const struct metrics_pick *p)
{
	if (t->n < t->max)
		add(t, p);
	else if (t->n > 0 && p->bytes > t->v[0].bytes)
		replace_first(t, p);
}
