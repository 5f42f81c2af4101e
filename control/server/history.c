/* SPDX-License-Identifier: BSD-3-Clause */
#include "history.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_log.h"

#define DIFF_MAX (256 << 10) /* bytes of a diff that is kept with its bodies */

int
history_init(struct sl_store *s, struct sl_error *e)
{
	return sl_store_table(s,
			      "CREATE TABLE IF NOT EXISTS rest_audit(n INTEGER PRIMARY KEY "
			      "AUTOINCREMENT, at INTEGER NOT NULL, actor TEXT NOT NULL, source "
			      "TEXT NOT NULL, operation TEXT NOT NULL, path TEXT NOT NULL, "
			      "request_id TEXT NOT NULL, outcome TEXT NOT NULL, seq INTEGER, diff "
			      "TEXT NOT NULL)",
			      e);
}

static void
clean_body(const char *kind, json_t *body)
{
	if (body == NULL)
		return;
	if (strcmp(kind, "token") == 0)
		json_object_del(body, "hash");
	if (strcmp(kind, "policy_text") == 0)
		json_object_del(body, "text");
}

void
history_clean(json_t *diff)
{
	json_t *op;
	size_t i;

	json_array_foreach (diff, i, op) {
		const char *kind = json_string_value(json_object_get(op, "kind"));

		clean_body(kind != NULL ? kind : "", json_object_get(op, "obj"));
		clean_body(kind != NULL ? kind : "", json_object_get(op, "was"));
	}
}

/** Of a large change: which objects, without what they hold (the log has that). */
static void
names_alone(json_t *diff)
{
	json_t *op;
	size_t i;

	json_array_foreach (diff, i, op) {
		json_object_del(op, "obj");
		json_object_del(op, "was");
	}
}

static int
insert(struct sl_call *c, const char *outcome, uint64_t seq, const char *diff)
{
	bool done = seq > 0; /* else its path is whatever somebody sent */
	const char *uri = done ? evhttp_request_get_uri(c->req) : c->op->path;
	char from[SL_IP_STR];
	sqlite3_stmt *st = NULL;
	int rc;

	if (sqlite3_prepare_v2(sl_store_db(c->store),
			       "INSERT INTO rest_audit(at, actor, source, operation, path, "
			       "request_id, outcome, seq, diff) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, "
			       "?8, ?9)",
			       -1, &st, NULL) != SQLITE_OK)
		return -EIO;
	sqlite3_bind_int64(st, 1, (sqlite3_int64)sl_rest_wall_ns());
	sqlite3_bind_text(st, 2, c->who.name, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, sl_call_from(c, from), -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, c->op->id, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 5, uri, (int)strcspn(uri, "?"), SQLITE_STATIC);
	sqlite3_bind_text(st, 6, c->id, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 7, outcome, -1, SQLITE_STATIC);
	if (seq > 0)
		sqlite3_bind_int64(st, 8, (sqlite3_int64)seq);
	sqlite3_bind_text(st, 9, diff, -1, SQLITE_STATIC);
	rc = sqlite3_step(st) == SQLITE_DONE ? 0 : -EIO;
	sqlite3_finalize(st);
	return rc;
}

int
history_add(struct sl_call *c, json_t *diff, struct sl_error *e)
{
	uint64_t seq = sl_store_head(c->store);
	char *text;
	int rc;

	if (json_array_size(diff) > 0)
		seq++; /* what the commit will make of it */
	text = json_dumps(diff, JSON_COMPACT);
	if (text != NULL && strlen(text) > DIFF_MAX) {
		free(text);
		names_alone(diff);
		text = json_dumps(diff, JSON_COMPACT);
	}
	if (text == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the audit");
	rc = insert(c, "done", seq, text);
	free(text);
	return rc == 0 ? 0
		       : sl_fail(e, rc, "store_io", "", "the audit cannot be written: %s",
				 sqlite3_errmsg(sl_store_db(c->store)));
}

void
history_refused(struct sl_call *c)
{
	if (sl_store_role(c->store) != SL_STORE_PRIMARY)
		return;
	if (insert(c, "forbidden", 0, "[]") != 0)
		sl_log(SL_LOG_WARN, "rest", "%s: the audit cannot be written: %s", c->id,
		       sqlite3_errmsg(sl_store_db(c->store)));
}

void
history_prune(struct sl_store *s)
{
	char sql[128];

	snprintf(sql, sizeof(sql),
		 "DELETE FROM rest_audit WHERE n <= (SELECT max(n) FROM rest_audit) - %d",
		 HISTORY_ROWS);
	if (sqlite3_exec(sl_store_db(s), sql, NULL, NULL, NULL) != SQLITE_OK)
		sl_log(SL_LOG_WARN, "rest", "the audit could not be tidied: %s",
		       sqlite3_errmsg(sl_store_db(s)));
}

static json_t *
row(sqlite3_stmt *st)
{
	char at[SL_TIME_STR];
	json_t *o = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o?}", "n",
			      (json_int_t)sqlite3_column_int64(st, 0), "at",
			      sl_time_str((uint64_t)sqlite3_column_int64(st, 1), at), "actor",
			      (const char *)sqlite3_column_text(st, 2), "source",
			      (const char *)sqlite3_column_text(st, 3), "operation",
			      (const char *)sqlite3_column_text(st, 4), "path",
			      (const char *)sqlite3_column_text(st, 5), "request_id",
			      (const char *)sqlite3_column_text(st, 6), "outcome",
			      (const char *)sqlite3_column_text(st, 7), "diff",
			      json_loads((const char *)sqlite3_column_text(st, 9), 0, NULL));

	if (o != NULL && sqlite3_column_type(st, 8) == SQLITE_INTEGER)
		json_object_set_new(o, "seq", json_integer(sqlite3_column_int64(st, 8)));
	return o;
}

int
history_list(struct sl_store *s, uint64_t after, const char *actor, unsigned limit, json_t **rows,
	     uint64_t *next, struct sl_error *e)
{
	sqlite3_stmt *st = NULL;
	int rc;

	*next = 0;
	if (sl_store_role(s) == SL_STORE_FOLLOWER) { /* it takes no changes */
		*rows = json_array();
		return 0;
	}
	if (sqlite3_prepare_v2(sl_store_db(s),
			       "SELECT n, at, actor, source, operation, path, request_id, outcome, "
			       "seq, diff FROM rest_audit WHERE n > ?1 AND (?2 IS NULL OR actor = "
			       "?2) ORDER BY n LIMIT ?3",
			       -1, &st, NULL) != SQLITE_OK)
		return sl_fail(e, -EIO, "store_io", "", "the audit cannot be read");
	sqlite3_bind_int64(st, 1, (sqlite3_int64)after);
	sqlite3_bind_text(st, 2, actor, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)limit + 1);
	*rows = json_array();
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		if (json_array_size(*rows) == limit) {
			*next = (uint64_t)json_integer_value(
				json_object_get(json_array_get(*rows, limit - 1), "n"));
			break;
		}
		json_array_append_new(*rows, row(st));
	}
	sqlite3_finalize(st);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return 0;
	json_decref(*rows);
	*rows = NULL;
	return sl_fail(e, -EIO, "store_io", "", "the audit cannot be read");
}
