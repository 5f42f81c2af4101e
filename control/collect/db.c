/* SPDX-License-Identifier: BSD-3-Clause */
#include "db.h"

#include <stdarg.h>

int
db_failed(sqlite3 *db, struct sl_error *e)
{
	int full = sqlite3_errcode(db) == SQLITE_FULL;

	if (sqlite3_errcode(db) == SQLITE_BUSY)
		return sl_fail(e, -EBUSY, "store_busy", "", "the store is being written: later");
	sl_fail(e, -EIO, full ? "store_full" : "store_io", "", "the store: %.200s",
		sqlite3_errmsg(db));
	if (full)
		sl_hint(e, "make room on the disk of the state directory");
	return -EIO;
}

int
db_exec(sqlite3 *db, const char *sql, struct sl_error *e)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_failed(db, e);
}

sqlite3_stmt *
db_prepare(sqlite3 *db, const char *sql, struct sl_error *e)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
		db_failed(db, e);
	return st;
}

int
db_run(sqlite3_stmt *st, const char *types, ...)
{
	va_list ap;
	int rc;

	sqlite3_reset(st);
	va_start(ap, types);
	for (int i = 0; types[i]; i++) {
		if (types[i] == 't')
			sqlite3_bind_text(st, i + 1, va_arg(ap, const char *), -1,
					  SQLITE_TRANSIENT);
		else
			sqlite3_bind_int64(st, i + 1, va_arg(ap, int64_t));
	}
	va_end(ap);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		return 1;
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -EIO;
}

const char *
db_text(sqlite3_stmt *st, int col)
{
	const char *s = (const char *)sqlite3_column_text(st, col);

	return s ? s : "";
}

int
db_begin(sqlite3 *db, bool *mine, struct sl_error *e)
{
	*mine = sqlite3_get_autocommit(db);
	return *mine ? db_exec(db, "BEGIN IMMEDIATE", e) : 0;
}

int
db_end(sqlite3 *db, bool mine, int rc, struct sl_error *e)
{
	if (!mine)
		return rc;
	if (rc == 0 && db_exec(db, "COMMIT", e) == 0)
		return 0;
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return rc ? rc : -EIO;
}
