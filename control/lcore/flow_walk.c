/* SPDX-License-Identifier: BSD-3-Clause */
#include "flow_walk.h"

/** Its rows are taken: on to the next places, or to the next worker. */
static void
go_on(struct flow_walk *w, const struct sl_flow_view *v)
{
	w->asked = false;
	w->windows++;
	w->ask.at = v->next;
	if (!v->end)
		return;
	w->flows[w->worker] = v->count;
	w->max[w->worker] = v->max;
	w->worker++;
	w->ask.at = 0;
}

enum flow_step
flow_walk_next(struct flow_walk *w, const struct sl_flow **row)
{
	struct sl_flow_view *v;

	while (w->worker < w->dp->n_workers) {
		v = w->dp->worker[w->worker]->view;
		if (!sl_flow_view_here(v))
			return FLOW_WAITS;
		if (!w->asked) {
			sl_flow_view_ask(v, &w->ask);
			w->asked = true;
			w->i = 0;
			return FLOW_WAITS;
		}
		if (w->i < v->n) {
			*row = &v->row[w->i++];
			return FLOW_ROW;
		}
		go_on(w, v);
	}
	return FLOW_END;
}
