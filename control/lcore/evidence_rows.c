/* SPDX-License-Identifier: BSD-3-Clause */
/* Picking and counting take one look at each flow. Sorting is a merge sort from the bottom up that
 * can stop after any row: runs of a few rows first, then merges of pairs of runs. */
#include "evidence_rows.h"

#include <stdlib.h>

#include "evidence_int.h"

#define RUN 32
#define PICK_SHARE 8 /* flows looked at that cost as much as a row moved */

struct ev_rows {
	struct sl_evidence *ev;
	struct ev_rows_conf c;
	struct ev_flow *flow;
	unsigned n_flows, picked;
	struct ev_total total[EV_TOTALS_MAX];
	uint8_t *seen; /* by name: a bit for each total */
	struct ev_flow **row, **other;
	unsigned n;
	unsigned sorted;		 /* rows in runs */
	unsigned width, pair, a, b, out; /* of the merge: where the pair begins, places in it */
};

struct ev_rows *
ev_rows_new(struct sl_evidence *ev, struct ev_scan *s, const struct ev_rows_conf *c)
{
	struct ev_rows *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->ev = ev;
	r->c = *c;
	r->width = RUN;
	r->b = RUN;
	r->flow = ev_scan_flows(s, &r->n_flows);
	r->row = malloc(((size_t)r->n_flows + 1) * sizeof(*r->row));
	r->other = malloc(((size_t)r->n_flows + 1) * sizeof(*r->other));
	r->seen = calloc(ev->n_who + 1, 1); /* the scan has met no other names */
	if (r->row != NULL && r->other != NULL && r->seen != NULL)
		return r;
	ev_rows_free(r);
	return NULL;
}

void
ev_rows_free(struct ev_rows *r)
{
	if (r == NULL)
		return;
	free(r->row);
	free(r->other);
	free(r->seen);
	free(r);
}

/* --- picking -------------------------------------------------------------------------------------
 */

static void
count(struct ev_rows *r, unsigned i, const struct ev_flow *f)
{
	struct ev_total *t = &r->total[i];
	uint8_t bit = (uint8_t)(1U << i);

	t->rows++;
	t->flows += ev_flow_count(f);
	t->packets += f->packets;
	t->bytes += f->bytes;
	t->peers += !(r->seen[f->who] & bit);
	r->seen[f->who] |= bit;
}

static bool
pick(struct ev_rows *r, unsigned budget)
{
	unsigned end = SL_MIN(r->n_flows - r->picked, budget) + r->picked, i;

	for (; r->picked < end; r->picked++) {
		struct ev_flow *f = &r->flow[r->picked];

		if (r->c.takes(f))
			r->row[r->n++] = f;
		for (i = 0; i < r->c.n_totals; i++)
			if (r->c.total[i](f))
				count(r, i, f);
	}
	return r->picked == r->n_flows;
}

/* --- sorting -------------------------------------------------------------------------------------
 */

static bool
sort_runs(struct ev_rows *r, unsigned budget)
{
	unsigned end = SL_MIN(r->n - r->sorted, budget) + r->sorted;

	for (; r->sorted < end; r->sorted = SL_MIN(r->sorted + RUN, r->n))
		qsort_r(r->row + r->sorted, SL_MIN(RUN, r->n - r->sorted), sizeof(*r->row),
			ev_flow_cmp, r->ev);
	return r->sorted == r->n;
}

static void
next_pair(struct ev_rows *r)
{
	struct ev_flow **t = r->row;

	r->pair += 2 * r->width;
	if (r->pair >= r->n) {
		r->row = r->other;
		r->other = t;
		r->width *= 2;
		r->pair = 0;
	}
	r->a = r->out = r->pair;
	r->b = SL_MIN(r->pair + r->width, r->n);
}

static bool
merge(struct ev_rows *r, unsigned budget)
{
	while (r->width < r->n) {
		unsigned mid = SL_MIN(r->pair + r->width, r->n);
		unsigned end = SL_MIN(r->pair + 2 * r->width, r->n);

		for (; r->out < end; budget--) {
			bool first = r->a < mid &&
				     (r->b >= end ||
				      ev_flow_cmp(&r->row[r->a], &r->row[r->b], r->ev) <= 0);

			if (budget == 0)
				return false;
			r->other[r->out++] = first ? r->row[r->a++] : r->row[r->b++];
		}
		next_pair(r);
	}
	return true;
}

bool
ev_rows_step(struct ev_rows *r, unsigned budget)
{
	if (r->picked < r->n_flows)
		return pick(r, budget * PICK_SHARE) && r->n == 0;
	if (r->sorted < r->n)
		return sort_runs(r, budget / 4 + 1) && r->width >= r->n;
	return merge(r, budget);
}

struct ev_flow *const *
ev_rows_get(const struct ev_rows *r, unsigned *n)
{
	*n = r->n;
	return r->row;
}

const struct ev_total *
ev_rows_total(const struct ev_rows *r, unsigned i)
{
	return &r->total[i];
}
