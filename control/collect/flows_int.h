/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Inside of the flow aggregates. */
#ifndef SL_FLOWS_INT_H
#define SL_FLOWS_INT_H

#include "sl_flows.h"

enum { FQ_NEXT, FQ_OLD_BOOTS, FQ_SET_NEXT, FQ_FOLD, FQ_GAP, FQ_COVER, FQ_N };

/* of a gateway */
#define FLOWS_GAPS_MAX 1000
#define FLOWS_COVERS_MAX 20000
#define FLOWS_LOST_MAX (1LL << 40) /* of one gap: sums stay numbers */

enum flows_table { FLOWS_GAP, FLOWS_COVER, FLOWS_TABLES };

struct sl_flows {
	sqlite3 *db;
	sqlite3_stmt *st[FQ_N];
	uint64_t rows; /* at most so many are there */
	uint64_t max;
	json_t *counted[FLOWS_TABLES]; /* gateway -> at most so many are there */
};

/** Is the address that is not the peer's one that is asked for? */
bool flows_lies_in(const struct sl_flows_filter *q, const struct sl_flow_row *r);
/** A row of the gateway was put: make room where there are too many now. */
int flows_bound(struct sl_flows *f, enum flows_table which, const char *gateway,
		struct sl_error *e);
/** What was put is taken back: count anew. */
void flows_bound_forget(struct sl_flows *f);

#endif
