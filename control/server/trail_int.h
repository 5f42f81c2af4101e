/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The table of the audit, for those who write and who read it. */
#ifndef SL_TRAIL_INT_H
#define SL_TRAIL_INT_H

#include <sqlite3.h>

#include "sl_trail.h"

#define TRAIL_COLUMNS                                                                              \
	"n, at, actor, source, operation, path, request_id, outcome, seq, diff, chain, seal, "     \
	"signature, count"

int trail_error(struct sl_store *s, const char *what, struct sl_error *e);
/** A row as it is told: of a statement of TRAIL_COLUMNS. NULL: it holds no JSON, or no memory. */
json_t *trail_row(sqlite3_stmt *st);

/** What is no row any more is told as one that fits nothing, rather than left out. */
json_t *trail_row_or_number(sqlite3_stmt *st);

/** Behind what the next row goes (trail_end.c). */
struct trail_end {
	bool ours;		 /* the newest row is signed by our key, as it stands */
	struct sl_seal_chain at; /* the last row that fits; n: of the newest one, whatever it is */
	struct sl_seal_say say;	 /* else: what must be said before anything goes behind it */
};
/** @return 0, -EIO, -EBUSY */
int trail_end(struct sl_store *s, const struct sl_seal_key *key, struct trail_end *out,
	      struct sl_error *e);

#endif
