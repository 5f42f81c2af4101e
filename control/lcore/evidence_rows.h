/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The rows of an answer: picked from the flows of a scan, counted and put in order, in steps.
 * Control's thread; the scan must outlive them.
 */
#ifndef SL_EVIDENCE_ROWS_H
#define SL_EVIDENCE_ROWS_H

#include "evidence_query.h"

#define EV_TOTALS_MAX 4

typedef bool (*ev_takes_fn)(const struct ev_flow *f);

struct ev_total {
	uint64_t flows, packets, bytes;
	unsigned rows, peers;
};

/** What is wanted of the flows. */
struct ev_rows_conf {
	ev_takes_fn takes; /* which become rows */
	ev_takes_fn total[EV_TOTALS_MAX];
	unsigned n_totals;
};

struct ev_rows;

/** @param s done. @return NULL without memory */
struct ev_rows *ev_rows_new(struct sl_evidence *ev, struct ev_scan *s,
			    const struct ev_rows_conf *c);
void ev_rows_free(struct ev_rows *r);
/** Go on, about `budget` rows. @return true when it is done */
bool ev_rows_step(struct ev_rows *r, unsigned budget);
/** In the order of ev_flow_cmp(). */
struct ev_flow *const *ev_rows_get(const struct ev_rows *r, unsigned *n);
/** By place in the wishes. */
const struct ev_total *ev_rows_total(const struct ev_rows *r, unsigned i);

#endif
