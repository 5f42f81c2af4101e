/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The live flows of all workers, one after the other, through their windows (sl_flow_view.h).
 * Control's thread; one walk at a time, for each worker has one window. A walk that is given up
 * needs no end: the next one waits until the window is back.
 */
#ifndef SL_FLOW_WALK_H
#define SL_FLOW_WALK_H

#include "sl_pipeline.h"

enum flow_step {
	FLOW_WAITS, /* the window is at its worker */
	FLOW_ROW,
	FLOW_END,
};

struct flow_walk {
	const struct sl_dp *dp;
	unsigned worker;	/* that is asked */
	struct sl_flow_ask ask; /* what comes next */
	bool asked;		/* the window is ours, or at the worker for us */
	uint32_t i;		/* rows of the window that were taken */
	uint32_t windows;	/* that were taken whole */
	uint32_t flows[SL_WORKER_MAX], max[SL_WORKER_MAX]; /* of the workers that are done */
};

/** @param cursor 0, or what flow_walk_cursor() was */
static inline void
flow_walk_begin(struct flow_walk *w, const struct sl_dp *dp, uint64_t cursor, uint32_t peer_id,
		uint16_t iface)
{
	*w = (struct flow_walk){.dp = dp,
				.worker = (unsigned)SL_MIN(cursor >> 32, (uint64_t)dp->n_workers),
				.ask = {.at = (uint32_t)cursor,
					.peer_id = peer_id,
					.iface = iface}};
}

/** The window that is asked; its tick and clock are those of the row at hand. */
static inline const struct sl_flow_view *
flow_walk_view(const struct flow_walk *w)
{
	return w->dp->worker[w->worker]->view;
}

/** Where to go on behind the row at hand. */
static inline uint64_t
flow_walk_cursor(const struct flow_walk *w)
{
	return (uint64_t)w->worker << 32 | (flow_walk_view(w)->at[w->i - 1] + 1);
}

/** The next row, valid until the next call. @return FLOW_WAITS: call again in a while */
enum flow_step flow_walk_next(struct flow_walk *w, const struct sl_flow **row);

#endif
