/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Inside of the flow aggregates. */
#ifndef SL_FLOWS_INT_H
#define SL_FLOWS_INT_H

#include "sl_flows.h"

enum { FQ_NEXT, FQ_OLD_BOOTS, FQ_SET_NEXT, FQ_FOLD, FQ_GAP, FQ_COVER, FQ_N };

struct sl_flows {
	sqlite3 *db;
	sqlite3_stmt *st[FQ_N];
	uint64_t rows; /* at most so many are there */
	uint64_t max;
};

#endif
