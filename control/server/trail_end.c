/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the audit ends, and whether it is ours to there. Whoever may write to the database can put
 * rows behind the last one, or take chains away: before the next row goes behind them, that is
 * told.
 */
#include <inttypes.h>

#include "trail_int.h"

#define LOOK 10000 /* rows that claim to be signed, from the newest on */

/** @param fn returns true to stop. @return 0, or as trail_error() */
static int
each_row(struct sl_store *s, const char *sql, uint64_t arg, bool (*fn)(void *ctx, const json_t *),
	 void *ctx, struct sl_error *e)
{
	sqlite3_stmt *st = NULL;
	bool done = false;
	int step = SQLITE_ERROR;

	if (sqlite3_prepare_v2(sl_store_db(s), sql, -1, &st, NULL) == SQLITE_OK) {
		sqlite3_bind_int64(st, 1, (sqlite3_int64)arg);
		while (!done && (step = sqlite3_step(st)) == SQLITE_ROW) {
			json_t *row = trail_row(st);

			done = fn(ctx, row);
			json_decref(row);
		}
	}
	sqlite3_finalize(st);
	return done || step == SQLITE_DONE ? 0 : trail_error(s, "read", e);
}

struct look {
	const struct sl_seal_key *key;
	struct sl_seal_chain at; /* n is 0: none was found */
	unsigned n;
};

static bool
signed_by_us(void *ctx, const json_t *row)
{
	struct look *l = ctx;

	return sl_seal_ours(row, l->key, &l->at) || ++l->n >= LOOK;
}

static bool
ends_to_follow(void *ctx, const json_t *row)
{
	struct look *l = ctx;

	return !sl_seal_follows(&l->at, row);
}

/** The newest one that names a chain at all; it may be of another node, or of a key that is lost.
 */
static bool
has_chain(void *ctx, const json_t *row)
{
	struct look *l = ctx;
	struct sl_seal_view w;

	sl_seal_view(row, &w);
	if (sl_seal_hash_parse(w.chain, l->at.hash))
		l->at.n = w.n;
	return l->at.n > 0 || ++l->n >= LOOK;
}

static int
number(struct sl_store *s, const char *sql, uint64_t arg, uint64_t *out, struct sl_error *e)
{
	sqlite3_stmt *st = NULL;
	int rc;

	sqlite3_prepare_v2(sl_store_db(s), sql, -1, &st, NULL);
	sqlite3_bind_int64(st, 1, (sqlite3_int64)arg);
	rc = sqlite3_step(st) == SQLITE_ROW ? 0 : trail_error(s, "read", e);
	*out = rc == 0 ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	return rc;
}

/** No row is ours: a chain begins, behind all that is there. */
static int
begin_behind(struct sl_store *s, const struct sl_seal_key *key, struct trail_end *out,
	     struct sl_error *e)
{
	struct look l = {.key = key};
	int rc = each_row(s,
			  "SELECT " TRAIL_COLUMNS " FROM rest_audit WHERE n > ?1 AND chain IS NOT "
			  "NULL ORDER BY n DESC",
			  0, has_chain, &l, e);

	out->at = l.at;
	out->say.again = l.at.n == 0 && !key->made;
	sl_seal_chain_name(&out->at);
	return rc;
}

/** What is behind `at`, up to the newest: unsigned rows that fit, then what does not. */
static int
tell_behind(struct sl_store *s, uint64_t ours, uint64_t newest, struct trail_end *out,
	    struct sl_error *e)
{
	if (ours > 0 && out->at.n > ours) {
		out->say.unsealed_from = ours + 1;
		out->say.unsealed_to = out->at.n;
	}
	if (newest == out->at.n)
		return 0;
	out->say.to = newest;
	return number(s, "SELECT min(n) FROM rest_audit WHERE n > ?1", out->at.n,
		      &out->say.loose_from, e);
}

static int
no_number(uint64_t newest, struct sl_error *e)
{
	sl_fail(e, -EBADMSG, "audit_broken", "",
		"row %" PRIu64 " of the audit has the highest number there is, and is not ours",
		newest);
	sl_hint(e, "remove it: sqlite3 store.db 'DELETE FROM rest_audit WHERE n = %" PRIu64 "'",
		newest);
	return -EBADMSG;
}

int
trail_end(struct sl_store *s, const struct sl_seal_key *key, struct trail_end *out,
	  struct sl_error *e)
{
	struct look l = {.key = key};
	uint64_t newest = 0, ours;
	int rc = number(s, "SELECT coalesce(max(n), ?1) FROM rest_audit", 0, &newest, e);

	*out = (struct trail_end){.say = {.why = "start"}};
	if (rc == 0)
		rc = each_row(s,
			      "SELECT " TRAIL_COLUMNS " FROM rest_audit WHERE n > ?1 AND seal IS "
			      "NOT NULL ORDER BY n DESC",
			      0, signed_by_us, &l, e);
	if (rc != 0)
		return rc;
	ours = l.at.n;
	out->at = l.at;
	out->ours = ours > 0 && ours == newest;
	if (out->ours)
		return 0;
	if (newest >= INT64_MAX)
		return no_number(newest, e);
	if (ours == 0) {
		rc = begin_behind(s, key, out, e);
	} else {
		rc = each_row(s, "SELECT " TRAIL_COLUMNS " FROM rest_audit WHERE n > ?1 ORDER BY n",
			      ours, ends_to_follow, &l, e);
		out->at = l.at;
	}
	if (rc == 0)
		rc = tell_behind(s, ours, newest, out, e);
	out->at.n = newest;
	return rc;
}
