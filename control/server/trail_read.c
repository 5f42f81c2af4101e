/* SPDX-License-Identifier: BSD-3-Clause */
/* The audit, read: pages of it, where its chain stands, whether it is whole. */
#include <inttypes.h>
#include <stdio.h>

#include "sl_json.h"
#include "trail_int.h"

int
trail_error(struct sl_store *s, const char *what, struct sl_error *e)
{
	bool busy = sqlite3_errcode(sl_store_db(s)) == SQLITE_BUSY;

	return sl_fail(e, busy ? -EBUSY : -EIO, busy ? "store_busy" : "store_io", "",
		       "the audit cannot be %s: %s", what, sqlite3_errmsg(sl_store_db(s)));
}

static const char *
text(sqlite3_stmt *st, int at)
{
	return (const char *)sqlite3_column_text(st, at);
}

json_t *
trail_row(sqlite3_stmt *st)
{
	static const char *const more[] = {"chain", "seal", "signature"};
	char at[SL_TIME_STR];
	json_t *diff = json_loads(text(st, 9), 0, NULL);
	json_t *o =
		json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "n",
			  (json_int_t)sqlite3_column_int64(st, 0), "at",
			  sl_time_str((uint64_t)sqlite3_column_int64(st, 1), at), "actor",
			  text(st, 2), "source", text(st, 3), "operation", text(st, 4), "path",
			  text(st, 5), "request_id", text(st, 6), "outcome", text(st, 7), "diff",
			  diff != NULL ? diff : json_array()); /* of a row that was changed */

	if (o != NULL && sqlite3_column_type(st, 8) == SQLITE_INTEGER)
		json_object_set_new(o, "seq", json_integer(sqlite3_column_int64(st, 8)));
	if (o != NULL && sqlite3_column_type(st, 13) == SQLITE_INTEGER)
		json_object_set_new(o, "count", json_integer(sqlite3_column_int64(st, 13)));
	for (int i = 0; o != NULL && i < 3; i++) {
		if (sqlite3_column_type(st, 10 + i) == SQLITE_TEXT)
			json_object_set_new(o, more[i],
					    i == 1 ? json_loads(text(st, 11), 0, NULL)
						   : json_string(text(st, 10 + i)));
	}
	return o;
}

json_t *
trail_row_or_number(sqlite3_stmt *st)
{
	json_t *o = trail_row(st);

	return o != NULL ? o : json_pack("{s:I}", "n", (json_int_t)sqlite3_column_int64(st, 0));
}

int
sl_trail_list(struct sl_store *s, uint64_t after, const char *actor, unsigned limit, json_t **rows,
	      uint64_t *next, struct sl_error *e)
{
	sqlite3_stmt *st = NULL;
	int rc;

	*next = 0;
	*rows = json_array();
	if (sl_store_role(s) == SL_STORE_FOLLOWER) /* it takes no changes */
		return 0;
	sqlite3_prepare_v2(sl_store_db(s),
			   "SELECT " TRAIL_COLUMNS " FROM rest_audit WHERE n > ?1 AND (?2 IS NULL "
			   "OR actor = ?2) ORDER BY n LIMIT ?3",
			   -1, &st, NULL);
	sqlite3_bind_int64(st, 1, (sqlite3_int64)after);
	sqlite3_bind_text(st, 2, actor, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)limit + 1);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		if (json_array_size(*rows) == limit) {
			*next = (uint64_t)json_integer_value(
				json_object_get(json_array_get(*rows, limit - 1), "n"));
			break;
		}
		json_array_append_new(*rows, trail_row_or_number(st));
	}
	sqlite3_finalize(st);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return 0;
	json_decref(*rows);
	*rows = NULL;
	return trail_error(s, "read", e);
}

/* --- the chain -------------------------------------------------------------------------------- */

int
sl_trail_head(struct sl_store *s, struct sl_seal_chain *out, struct sl_error *e)
{
	static const char sql[] =
		"SELECT n, chain, (SELECT seal FROM rest_audit WHERE seal IS NOT NULL ORDER BY n "
		"DESC LIMIT 1) FROM rest_audit WHERE chain IS NOT NULL ORDER BY n DESC LIMIT 1";
	sqlite3_stmt *st = NULL;
	json_t *seal;
	bool hash;
	int rc;

	*out = (struct sl_seal_chain){.n = 0};
	sqlite3_prepare_v2(sl_store_db(s), sql, -1, &st, NULL);
	rc = sqlite3_step(st);
	if (rc != SQLITE_ROW) {
		sqlite3_finalize(st);
		return rc == SQLITE_DONE
			       ? sl_fail(e, -ENOENT, "not_found", "", "the audit has no chain yet")
			       : trail_error(s, "read", e);
	}
	out->n = (uint64_t)sqlite3_column_int64(st, 0);
	hash = sl_seal_hash_parse(text(st, 1), out->hash);
	seal = text(st, 2) != NULL ? json_loads(text(st, 2), 0, NULL) : NULL;
	snprintf(out->id, sizeof(out->id), "%s", sl_json_text(seal, "id"));
	json_decref(seal);
	sqlite3_finalize(st);
	if (hash)
		return 0;
	sl_fail(e, -EBADMSG, "audit_broken", "", "row %" PRIu64 "'s chain is no hash", out->n);
	sl_hint(e, "somebody changed it: see audit verify. The next change goes on behind it");
	return -EBADMSG;
}

int
sl_trail_verify(struct sl_store *s, struct sl_seal_check *v, struct sl_seal_report *out,
		struct sl_error *e)
{
	sqlite3_stmt *st = NULL;
	char place[32];
	int rc = 0, step;

	*out = (struct sl_seal_report){0};
	if (sl_store_role(s) == SL_STORE_FOLLOWER) {
		sl_fail(e, -EROFS, "not_primary", "", "the primary alone keeps an audit");
		sl_hint(e, "ask %s", sl_store_primary(s));
		return -EROFS;
	}
	if (sqlite3_prepare_v2(sl_store_db(s),
			       "SELECT " TRAIL_COLUMNS " FROM rest_audit ORDER BY n", -1, &st,
			       NULL) == SQLITE_ERROR) { /* no such column */
		sl_fail(e, -EBADMSG, "audit_no_chain", "",
			"the audit has no chain yet, or is of an older program");
		sl_hint(e, "sluice-control run adds what is missing");
		return -EBADMSG;
	}
	while ((step = sqlite3_step(st)) == SQLITE_ROW && rc == 0) {
		json_t *row = trail_row_or_number(st);

		snprintf(place, sizeof(place), "row %lld", (long long)sqlite3_column_int64(st, 0));
		rc = row != NULL ? sl_seal_check_record(v, place, row, e) : -ENOMEM;
		json_decref(row);
	}
	sqlite3_finalize(st);
	if (rc == 0 && step != SQLITE_DONE)
		return trail_error(s, "read", e);
	return rc == 0 ? sl_seal_check_end(v, out, e) : rc;
}
