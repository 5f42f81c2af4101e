/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaving.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_json.h"
#include "sl_log.h"
#include "sl_rest_int.h"
#include "sl_rest_ops.h"

#define DAY_S 86400

int
leaving_init(struct sl_store *s, struct sl_error *e)
{
	return sl_store_table(
		s,
		"CREATE TABLE IF NOT EXISTS rest_leaving(gateway TEXT PRIMARY KEY, rev INTEGER NOT "
		"NULL, at INTEGER NOT NULL, request TEXT NOT NULL, uri TEXT NOT NULL, body TEXT "
		"NOT NULL, key TEXT, actor TEXT NOT NULL, source TEXT NOT NULL, gone TEXT NOT "
		"NULL, done INTEGER NOT NULL) WITHOUT ROWID",
		e);
}

static int
failed(struct sl_store *s, struct sl_error *e)
{
	return sl_fail(e, -EIO, "store_io", "", "what leaves cannot be noted or read: %.150s",
		       sqlite3_errmsg(sl_store_db(s)));
}

/** @param text of ?1, NULL: there is none */
static sqlite3_stmt *
prepare(struct sl_store *s, const char *sql, const char *text)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(sl_store_db(s), sql, -1, &st, NULL) != SQLITE_OK)
		return NULL;
	if (text != NULL)
		sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
	return st;
}

/** Step to its end. */
static int
run(struct sl_store *s, sqlite3_stmt *st, struct sl_error *e)
{
	int rc = st != NULL && sqlite3_step(st) == SQLITE_DONE ? 0 : failed(s, e);

	sqlite3_finalize(st);
	return rc;
}

int
leaving_get(struct sl_store *s, const char *gateway, struct leaving *out, struct sl_error *e)
{
	sqlite3_stmt *st =
		prepare(s, "SELECT rev, done, gone FROM rest_leaving WHERE gateway = ?1", gateway);
	int rc = st != NULL ? sqlite3_step(st) : SQLITE_ERROR;

	*out = (struct leaving){0};
	if (rc == SQLITE_ROW)
		*out = (struct leaving){
			.rev = (uint64_t)sqlite3_column_int64(st, 0),
			.done = sqlite3_column_int(st, 1),
			.gone = json_loads((const char *)sqlite3_column_text(st, 2), 0, NULL),
		};
	sqlite3_finalize(st);
	if (rc == SQLITE_ROW)
		return 0;
	return rc == SQLITE_DONE ? -ENOENT : failed(s, e);
}

/** What is kept of a request, and where it came from. */
struct asked {
	const char *gateway, *request, *uri, *body, *key, *actor, *source;
	size_t body_len;
	uint64_t rev;
};

static int
enter(struct sl_store *s, const struct asked *a, const char *gone, struct sl_error *e)
{
	sqlite3_stmt *st = prepare(s,
				   "INSERT OR REPLACE INTO rest_leaving VALUES(?1, ?2, ?3, ?4, ?5, "
				   "?6, ?7, ?8, ?9, ?10, 0)",
				   a->gateway);
	const char *const texts[] = {a->request, a->uri,    a->body, a->key,
				     a->actor,	 a->source, gone};

	if (st != NULL) {
		sqlite3_bind_int64(st, 2, (sqlite3_int64)a->rev);
		sqlite3_bind_int64(st, 3, (sqlite3_int64)(sl_rest_wall_ns() / 1000000000));
		for (int i = 0; i < (int)SL_ARRAY_SIZE(texts); i++)
			sqlite3_bind_text(st, 4 + i, texts[i],
					  texts[i] == a->body ? (int)a->body_len : -1,
					  SQLITE_STATIC);
	}
	return run(s, st, e);
}

int
leaving_begin(struct sl_call *c, uint64_t rev, struct sl_error *e)
{
	char from[SL_IP_STR];
	struct asked a = {.gateway = c->arg[0],
			  .request = c->id,
			  .uri = c->uri,
			  .body = c->text,
			  .body_len = c->text_len,
			  .key = c->key,
			  .actor = c->who.name,
			  .source = sl_call_from(c, from),
			  .rev = rev};

	return enter(c->store, &a, "{}", e);
}

/** Of the answer so far this data store has only the part that all objects tell. */
static char *
gone_before(const char *gateway, const char *body)
{
	json_t *asked = json_loads(body, 0, NULL);
	json_t *gone =
		json_pack("{s:s, s:I}", "gateway", gateway, "certificates",
			  (json_int_t)json_array_size(json_object_get(asked, "certificates")));
	char *text = json_dumps(gone, JSON_COMPACT);

	json_decref(gone);
	json_decref(asked);
	return text;
}

int
leaving_enter(struct sl_store *s, const json_t *row, struct sl_error *e)
{
	struct asked a = {.gateway = sl_json_text(row, "gateway"),
			  .request = sl_json_text(row, "request"),
			  .uri = sl_json_text(row, "uri"),
			  .body = sl_json_text(row, "body"),
			  .key = json_string_value(json_object_get(row, "key")),
			  .actor = sl_json_text(row, "actor"),
			  .source = "-",
			  .rev = (uint64_t)json_integer_value(json_object_get(row, "rev"))};
	char *gone = gone_before(a.gateway, a.body);
	int rc;

	a.body_len = strlen(a.body);
	rc = gone != NULL ? enter(s, &a, gone, e)
			  : sl_fail(e, -ENOMEM, "no_memory", "", "no memory for what leaves");
	free(gone);
	return rc;
}

int
leaving_note(struct sl_call *c, const json_t *gone, bool done, struct sl_error *e)
{
	sqlite3_stmt *st =
		prepare(c->store, "UPDATE rest_leaving SET gone = ?2, done = ?3 WHERE gateway = ?1",
			c->arg[0]);
	char *text = json_dumps(gone, JSON_COMPACT);
	int rc;

	if (st != NULL) {
		sqlite3_bind_text(st, 2, text, -1, SQLITE_STATIC);
		sqlite3_bind_int(st, 3, done);
	}
	rc = run(c->store, st, e);
	free(text);
	return rc;
}

const struct sl_rest_op *
leaving_op(const struct sl_target *t, const char *gateway, const char *arg[2])
{
	unsigned allowed;
	const struct sl_rest_op *op = sl_rest_route(t, SL_METHOD_POST, arg, &allowed);

	return op != NULL && op->handler == sl_op_decommission_gateway &&
			       strcmp(arg[0], gateway) == 0
		       ? op
		       : NULL;
}

void
leaving_drop(struct sl_store *s, const char *gateway)
{
	struct sl_error e = {0};

	if (run(s, prepare(s, "DELETE FROM rest_leaving WHERE gateway = ?1", gateway), &e) != 0)
		sl_log(SL_LOG_WARN, "rest", "%s: %s", gateway, e.message);
}

json_t *
leaving_show(struct sl_store *s, const char *gateway)
{
	sqlite3_stmt *st = prepare(s,
				   "SELECT at, actor, gone FROM rest_leaving WHERE gateway = ?1 "
				   "AND NOT done",
				   gateway);
	char since[SL_TIME_STR];
	json_t *o = NULL;

	if (st != NULL && sqlite3_step(st) == SQLITE_ROW)
		o = json_pack("{s:s, s:s, s:o}", "since",
			      sl_time_str((uint64_t)sqlite3_column_int64(st, 0) * 1000000000,
					  since),
			      "by", (const char *)sqlite3_column_text(st, 1), "gone",
			      json_loads((const char *)sqlite3_column_text(st, 2), 0, NULL));
	sqlite3_finalize(st);
	return o;
}

int
leaving_walk(struct sl_store *s, void (*fn)(void *ctx, json_t *row), void *ctx, struct sl_error *e)
{
	static const char *const names[] = {"gateway", "request", "uri",   "body",
					    "key",     "actor",	  "source"};
	sqlite3_stmt *st = prepare(s,
				   "SELECT gateway, request, uri, body, key, actor, source, rev "
				   "FROM rest_leaving WHERE NOT done",
				   NULL);
	int rc = SQLITE_ERROR;

	while (st != NULL && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		json_t *row = json_pack("{s:I}", "rev", (json_int_t)sqlite3_column_int64(st, 7));

		for (int i = 0; i < (int)SL_ARRAY_SIZE(names); i++)
			if (sqlite3_column_type(st, i) != SQLITE_NULL)
				json_object_set_new(
					row, names[i],
					json_string((const char *)sqlite3_column_text(st, i)));
		fn(ctx, row);
		json_decref(row);
	}
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? 0 : failed(s, e);
}

void
leaving_prune(struct sl_store *s, uint64_t wall_ns)
{
	sqlite3_stmt *st = prepare(s, "DELETE FROM rest_leaving WHERE done AND at <= ?1", NULL);
	struct sl_error e = {0};

	if (st != NULL)
		sqlite3_bind_int64(st, 1, (sqlite3_int64)(wall_ns / 1000000000) - DAY_S);
	if (run(s, st, &e) != 0)
		sl_log(SL_LOG_WARN, "rest", "%s", e.message);
}
