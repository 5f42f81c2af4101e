/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The table of the audit, for those who write and who read it. */
#ifndef SL_TRAIL_INT_H
#define SL_TRAIL_INT_H

#include <sqlite3.h>

#include "sl_trail.h"

#define TRAIL_COLUMNS                                                                              \
	"n, at, actor, source, operation, path, request_id, outcome, seq, diff, chain, seal, "     \
	"signature"

int trail_error(struct sl_store *s, const char *what, struct sl_error *e);
/** Where the newest row stands. @param[out] chained, sealed has it a chain, is it a seal; n is 0
 * without rows. @return 0 or -EIO */
struct trail_last {
	struct sl_seal_chain at; /* id: of the newest seal */
	uint64_t n;		 /* of the newest row, chained or not */
	bool sealed;
};
int trail_last(struct sl_store *s, struct trail_last *out, struct sl_error *e);
/** A row as it is told: of a statement of TRAIL_COLUMNS. NULL: it holds no JSON, or no memory. */
json_t *trail_row(sqlite3_stmt *st);

#endif
