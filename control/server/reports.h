/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The tables of what gateways report, by one handle of the store: each thread has its own.
 */
#ifndef SL_REPORTS_H
#define SL_REPORTS_H

#include "sl_flows.h"
#include "sl_sessions.h"
#include "sl_store.h"
#include "sl_trend.h"

struct sl_reports {
	struct sl_store *store;
	struct sl_sessions *sessions;
	struct sl_flows *flows;
	struct sl_trend *trend;
	json_t *memo; /* what was counted at memo_seq */
	uint64_t memo_seq;
};

/** @return NULL with store_io or no_memory */
struct sl_reports *sl_reports_new(struct sl_store *s, struct sl_error *e);
void sl_reports_free(struct sl_reports *r); /* NULL allowed */
/** An object for what is dear to count in the store; empty after each change of it. Borrowed. */
json_t *sl_reports_memo(struct sl_reports *r);

#endif
