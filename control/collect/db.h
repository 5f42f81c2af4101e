/* SPDX-License-Identifier: BSD-3-Clause */
/** @file SQLite in few words, for the tables of control/collect: prepared once, bound by type. */
#ifndef SL_COLLECT_DB_H
#define SL_COLLECT_DB_H

#include <sqlite3.h>

#include "sl_error.h"

/** @return -EIO with store_io and SQLite's own words */
int db_failed(sqlite3 *db, struct sl_error *e);
int db_exec(sqlite3 *db, const char *sql, struct sl_error *e);
sqlite3_stmt *db_prepare(sqlite3 *db, const char *sql, struct sl_error *e);
/**
 * Reset, bind and step once. Types: 't' const char * (NULL: null), 'i' int64_t.
 * @return 1: a row is there, 0: done, -EIO
 */
int db_run(sqlite3_stmt *st, const char *types, ...);
/** The columns' text, "" for null. */
const char *db_text(sqlite3_stmt *st, int col);
/** BEGIN IMMEDIATE, unless a transaction is open: *mine tells whether commit is ours. */
int db_begin(sqlite3 *db, bool *mine, struct sl_error *e);
/** COMMIT or, after an error, ROLLBACK; only if it is `mine`. @return rc, or -EIO */
int db_end(sqlite3 *db, bool mine, int rc, struct sl_error *e);

#endif
