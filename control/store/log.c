/* SPDX-License-Identifier: BSD-3-Clause */
/* The log of transactions: rows in, rows out, old rows dropped. */
#include <stdlib.h>

#include "store_int.h"

json_t *
store_log_covered(const json_t *txn)
{
	static const char *const members[] = {"prev",		"seq", "ts", "actor", "cause",
					      "policy_version", "ops"};
	json_t *out = json_object(), *v;

	for (unsigned i = 0; out != NULL && i < SL_ARRAY_SIZE(members); i++) {
		v = json_object_get(txn, members[i]);
		if (v != NULL && json_object_set(out, members[i], v) < 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

int
store_log_append(struct sl_store *s, uint64_t seq, uint64_t wall_ns, const char *chain,
		 const char *text, size_t len, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(s, ST_LOG_PUT);
	int rc;

	if (st == NULL)
		return store_sql_error(s->db, sqlite3_errcode(s->db), "log", e);
	sqlite3_bind_int64(st, 1, (sqlite3_int64)seq);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)(wall_ns / 1000000000));
	store_bind_text(st, 3, chain);
	sqlite3_bind_text64(st, 4, text, len, SQLITE_STATIC, SQLITE_UTF8);
	rc = store_run(s, st, e);
	sqlite3_clear_bindings(st);
	return rc;
}

int
sl_store_log_walk(struct sl_store *s, uint64_t from, sl_store_log_text fn, void *ctx,
		  struct sl_error *e)
{
	static const char sql[] = "SELECT seq, chain, txn FROM log WHERE seq >= ?1 ORDER BY seq";
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (rc != SQLITE_OK)
		return store_sql_error(s->db, rc, "log", e);
	sqlite3_bind_int64(st, 1, (sqlite3_int64)from);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		if (!fn(ctx, (uint64_t)sqlite3_column_int64(st, 0),
			(const char *)sqlite3_column_text(st, 1),
			(const char *)sqlite3_column_text(st, 2),
			(size_t)sqlite3_column_bytes(st, 2)))
			break;
	rc = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : store_sql_error(s->db, rc, "log", e);
	sqlite3_finalize(st);
	return rc;
}

struct reading {
	sl_store_log_row fn;
	void *ctx;
	int rc;
};

static bool
read_row(void *ctx, uint64_t seq, const char *chain, const char *text, size_t len)
{
	struct reading *r = ctx;
	json_t *txn = json_loadb(text, len, 0, NULL);
	bool more;

	if (txn == NULL || json_object_set_new(txn, "chain", json_string(chain)) < 0) {
		json_decref(txn);
		r->rc = -EBADMSG;
		return false;
	}
	more = r->fn(r->ctx, seq, txn);
	json_decref(txn);
	return more;
}

int
sl_store_log_read(struct sl_store *s, uint64_t from, sl_store_log_row fn, void *ctx,
		  struct sl_error *e)
{
	struct reading r = {fn, ctx, 0};
	int rc = sl_store_log_walk(s, from, read_row, &r, e);

	if (r.rc < 0)
		return sl_fail(e, r.rc, "store_corrupt", "", "a row of the log is no JSON");
	return rc < 0 ? rc : 0;
}

/* --- compaction ------------------------------------------------------------------------------- */

/** The newest row that may go: it and all before it are older than the age and beyond the count. */
static int
compact_to(struct sl_store *s, const struct store_state *st, uint64_t age_s, uint64_t rows,
	   uint64_t keep_from, uint64_t *to)
{
	static const char sql[] = "SELECT max(seq) FROM log WHERE wall_s < ?1 AND seq <= ?2";
	uint64_t now_s = store_now(s) / 1000000000, last = st->head > rows ? st->head - rows : 0;
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);

	*to = 0;
	if (keep_from > 0 && keep_from - 1 < last)
		last = keep_from - 1;
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_bind_int64(q, 1, now_s > age_s ? (sqlite3_int64)(now_s - age_s) : 0);
	sqlite3_bind_int64(q, 2, (sqlite3_int64)last);
	rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		*to = (uint64_t)sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int64_t
drop_rows(struct sl_store *s, struct store_state *st, uint64_t to, struct sl_error *e)
{
	sqlite3_stmt *q = NULL;
	int64_t n;
	int rc;

	if (to <= st->base_seq)
		return 0;
	rc = sl_store_chain(s, to, st->base_chain);
	if (rc < 0)
		return sl_fail(e, rc, "store_io", "", "the log cannot be read");
	st->base_seq = to;
	sqlite3_prepare_v2(s->db, "DELETE FROM log WHERE seq <= ?1", -1, &q, NULL);
	if (q != NULL)
		sqlite3_bind_int64(q, 1, (sqlite3_int64)to);
	rc = store_run(s, q, e);
	sqlite3_finalize(q);
	n = sqlite3_changes64(s->db);
	if (rc == 0)
		rc = store_state_set(s, st, e);
	return rc < 0 ? rc : n;
}

int64_t
sl_store_compact(struct sl_store *s, uint64_t age_s, uint64_t rows, uint64_t keep_from,
		 struct sl_error *e)
{
	struct store_state st;
	uint64_t to = 0;
	int64_t n = store_do(s, ST_BEGIN, e);
	int rc;

	if (n < 0)
		return n;
	n = store_state_get(s, &st, e);
	if (n == 0) {
		rc = compact_to(s, &st, age_s, rows, keep_from, &to);
		n = rc == SQLITE_OK ? drop_rows(s, &st, to, e)
				    : store_sql_error(s->db, rc, "compact", e);
	}
	if (n >= 0)
		n = store_tombstone_trim(s, e) < 0 ? -EIO : n;
	if (n >= 0 && (rc = store_do(s, ST_COMMIT, e)) < 0)
		n = rc;
	if (n < 0)
		store_do(s, ST_ROLLBACK, NULL);
	return n;
}
