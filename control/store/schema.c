/* SPDX-License-Identifier: BSD-3-Clause */
/* The layout of the database file, and how an older one becomes today's. */
#include <stdio.h>

#include "store_int.h"

/* What a step says is never changed once it was released: a new layout is a new step. */
static const char layout_1[] =
	"CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), role TEXT NOT NULL,"
	" epoch_number INTEGER NOT NULL, epoch_id TEXT NOT NULL, parent_id TEXT NOT NULL,"
	" parent_seq INTEGER NOT NULL, base_seq INTEGER NOT NULL, base_chain TEXT NOT NULL,"
	" head INTEGER NOT NULL, chain TEXT NOT NULL, sum BLOB NOT NULL,"
	" primary_url TEXT NOT NULL);"
	"CREATE TABLE object (kind TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL,"
	" body TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;"
	/* values that only one object may have */
	"CREATE TABLE uniq (what TEXT NOT NULL, value TEXT NOT NULL, kind TEXT NOT NULL,"
	" id TEXT NOT NULL, PRIMARY KEY (what, value)) WITHOUT ROWID;"
	"CREATE INDEX uniq_of ON uniq (kind, id);"
	/* who refers to whom */
	"CREATE TABLE ref (to_kind TEXT NOT NULL, to_id TEXT NOT NULL, kind TEXT NOT NULL,"
	" id TEXT NOT NULL, flags INTEGER NOT NULL, path TEXT NOT NULL,"
	" PRIMARY KEY (to_kind, to_id, kind, id)) WITHOUT ROWID;"
	"CREATE INDEX ref_of ON ref (kind, id);"
	/* prefixes of peers and gateways, by address */
	"CREATE TABLE net (iface TEXT NOT NULL, ip BLOB NOT NULL, len INTEGER NOT NULL,"
	" gateway TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, path TEXT NOT NULL,"
	" PRIMARY KEY (iface, ip, len, gateway, kind, id)) WITHOUT ROWID;"
	"CREATE INDEX net_of ON net (kind, id);"
	"CREATE TABLE log (seq INTEGER PRIMARY KEY, wall_s INTEGER NOT NULL, chain TEXT NOT NULL,"
	" txn TEXT NOT NULL);"
	"CREATE TABLE tombstone (kind TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL,"
	" epoch INTEGER NOT NULL, seq INTEGER NOT NULL, wall_ns INTEGER NOT NULL,"
	" PRIMARY KEY (kind, id)) WITHOUT ROWID;"
	"CREATE INDEX tombstone_age ON tombstone (wall_ns);"
	/* beside the log: never replicated */
	"CREATE TABLE token_used (id TEXT PRIMARY KEY, wall_s INTEGER NOT NULL) WITHOUT ROWID;";

/* The tables are those of 1. Objects may have fields of schema 2, which a program that knows layout
 * 1 alone would lose with the next document: it must not open this. */
static const char layout_2[] = "";

const struct store_step store_steps[] = {
	{1, layout_1},
	{2, layout_2},
};
const unsigned store_n_steps = SL_ARRAY_SIZE(store_steps);

#define READABLE 1 /* the oldest layout with the tables of today */

static int
pragma_int(sqlite3 *db, const char *sql, int *out, struct sl_error *e)
{
	const char *name = sqlite3_db_filename(db, "main");
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc != SQLITE_OK)
		return store_sql_error(db, rc, name, e);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int(st, 0);
	rc = rc == SQLITE_ROW ? 0 : store_sql_error(db, rc, name, e);
	sqlite3_finalize(st);
	return rc;
}

int
store_schema_version(sqlite3 *db, int *out, struct sl_error *e)
{
	int app = 0, rc = pragma_int(db, "PRAGMA application_id", &app, e);

	if (rc < 0)
		return rc;
	if (app != STORE_APPLICATION) {
		sl_fail(e, -EPROTO, "store_foreign", "",
			"the file is a database, but not one of sluice-control");
		sl_hint(e, "name another state directory with --state-dir");
		return -EPROTO;
	}
	return pragma_int(db, "PRAGMA user_version", out, e);
}

static int
too_new(int is, int newest, struct sl_error *e)
{
	sl_fail(e, -EPROTO, "store_schema_newer", "",
		"the store has layout %d; this program knows %d", is, newest);
	sl_hint(e,
		"run the newer sluice-control that wrote it, or restore the copy beside it: "
		"store.db.schema-%d",
		newest);
	return -EPROTO;
}

int
store_schema_read(sqlite3 *db, int newest, struct sl_error *e)
{
	int is = 0, rc = store_schema_version(db, &is, e);

	if (rc < 0 || (is >= READABLE && is <= newest))
		return rc;
	if (is > newest)
		return too_new(is, newest, e);
	sl_fail(e, -EPROTO, "store_schema_older", "", "the store has layout %d, not %d", is,
		newest);
	sl_hint(e, "sluice-control run brings it up to date and keeps a copy");
	return -EPROTO;
}

static int
step_to(sqlite3 *db, const struct store_step *step, struct sl_error *e)
{
	char sql[64];
	int rc = store_exec(db, step->sql, e);

	if (rc < 0)
		return rc;
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", step->to);
	return store_exec(db, sql, e);
}

/** What was there before, for whoever must go back. */
static int
keep_copy(sqlite3 *db, const char *path, int version, struct sl_error *e)
{
	char to[STORE_PATH + 32];
	int rc;

	snprintf(to, sizeof(to), "%s.schema-%d", path, version);
	rc = store_copy(db, to, e);
	if (rc == -EEXIST)
		sl_hint(e, "a copy of an earlier migration is there: move it away");
	return rc;
}

int
store_migrate(sqlite3 *db, const char *path, const struct store_step *steps, unsigned n,
	      struct sl_error *e)
{
	int newest = steps[n - 1].to, is = 0, rc = store_schema_version(db, &is, e);

	if (rc < 0 || is == newest)
		return rc;
	if (is > newest)
		return too_new(is, newest, e);
	if (is > 0) {
		rc = keep_copy(db, path, is, e);
		if (rc < 0)
			return rc;
	}
	rc = store_exec(db, "BEGIN EXCLUSIVE", e);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; rc == 0 && i < n; i++)
		if (steps[i].to > is)
			rc = step_to(db, &steps[i], e);
	if (rc == 0)
		rc = store_exec(db, "COMMIT", e);
	if (rc < 0)
		store_exec(db, "ROLLBACK", NULL);
	return rc;
}
