/* SPDX-License-Identifier: BSD-3-Clause */
/* Is a store whole? The file, the chain of its log, the sum of its objects. */
#include <stdio.h>

#include "store_int.h"

static int
corrupt(struct sl_error *e, const char *fmt, uint64_t n)
{
	sl_fail(e, -EBADMSG, "store_corrupt", "", fmt, n);
	sl_hint(e, "sluice-control restore FILE puts a backup in its place");
	return -EBADMSG;
}

static int
check_integrity(sqlite3 *db, struct sl_error *e)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &st, NULL);
	const char *text;

	if (rc != SQLITE_OK)
		return store_sql_error(db, rc, "verify", e);
	rc = sqlite3_step(st);
	text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (text != NULL && strcmp(text, "ok") == 0)
		rc = 0;
	else if (text != NULL)
		rc = sl_fail(e, -EBADMSG, "store_corrupt", "", "%.250s", text);
	else
		rc = store_sql_error(db, rc, "verify", e);
	sqlite3_finalize(st);
	return rc;
}

struct chain {
	char chain[SL_CHAIN_STR];
	uint64_t last, rows, bad; /* bad: seq of the first row that does not fit */
};

static bool
chain_row(void *ctx, uint64_t seq, const char *chain, const char *text, size_t len)
{
	json_t *row = json_loadb(text, len, 0, NULL);
	struct chain *c = ctx;
	uint64_t prev = (uint64_t)json_integer_value(json_object_get(row, "prev"));
	bool ok = row != NULL && prev == c->last && seq > prev &&
		  (uint64_t)json_integer_value(json_object_get(row, "seq")) == seq;

	/* after a snapshot that told no chain, the first one is believed */
	if (ok && c->chain[0] == '\0' && c->last != 0)
		snprintf(c->chain, sizeof(c->chain), "%s", chain);
	else
		ok = ok && sl_chain_next(c->chain, row) == 0 && strcmp(c->chain, chain) == 0;
	json_decref(row);
	c->last = seq;
	c->rows++;
	if (!ok)
		c->bad = seq;
	return ok;
}

static int
check_log(struct sl_store *s, const struct store_state *st, struct sl_store_report *out,
	  struct sl_error *e)
{
	struct chain c = {.last = st->base_seq};
	int rc;

	snprintf(c.chain, sizeof(c.chain), "%s", st->base_chain);
	rc = sl_store_log_walk(s, 0, chain_row, &c, e);
	if (rc < 0)
		return rc;
	if (c.bad != 0)
		return corrupt(e, "the log's chain breaks at seq %" PRIu64, c.bad);
	if (c.last != st->head || strcmp(c.chain, st->chain) != 0)
		return corrupt(e, "the log ends at seq %" PRIu64 ", not at its head", c.last);
	out->log_rows = c.rows;
	out->oldest = st->base_seq + 1;
	return 0;
}

static int
check_sum(struct sl_store *s, const struct store_state *st, struct sl_store_report *out,
	  struct sl_error *e)
{
	struct sl_hash_sum sum = {0};
	sqlite3_stmt *q = NULL;
	uint8_t h[SL_HASH_LEN];
	enum sl_kind k;
	int rc = sqlite3_prepare_v2(s->db, "SELECT kind, id, body FROM object", -1, &q, NULL);

	if (rc != SQLITE_OK)
		return store_sql_error(s->db, rc, "verify", e);
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		if (sl_kind_parse((const char *)sqlite3_column_text(q, 0), &k) < 0)
			break;
		sl_object_hash(k, (const char *)sqlite3_column_text(q, 1),
			       (const char *)sqlite3_column_text(q, 2),
			       (size_t)sqlite3_column_bytes(q, 2), h);
		sl_hash_add(&sum, h);
		out->objects++;
	}
	if (rc == SQLITE_ROW)
		rc = corrupt(e, "object %" PRIu64 " is of no known kind", out->objects + 1);
	else if (rc != SQLITE_DONE)
		rc = store_sql_error(s->db, rc, "verify", e);
	else if (memcmp(&sum, &st->sum, sizeof(sum)) != 0)
		rc = corrupt(e, "the sum of the %" PRIu64 " objects is not the one kept",
			     out->objects);
	else
		rc = 0;
	sqlite3_finalize(q);
	return rc;
}

int
store_verify(struct sl_store *s, struct sl_store_report *out, struct sl_error *e)
{
	struct store_state st;
	int rc = check_integrity(s->db, e);

	*out = (struct sl_store_report){0};
	if (rc == 0)
		rc = store_exec(s->db, "BEGIN", e);
	if (rc < 0)
		return rc;
	rc = store_state_get(s, &st, e);
	if (rc == 0)
		rc = check_log(s, &st, out, e);
	if (rc == 0)
		rc = check_sum(s, &st, out, e);
	store_exec(s->db, "ROLLBACK", NULL);
	out->role = st.role;
	out->epoch = st.epoch;
	out->head = st.head;
	return rc;
}

int
sl_store_verify(const char *path, struct sl_store_report *out, struct sl_error *e)
{
	struct sl_store *s = sl_store_open(path, SL_STORE_READ, e);
	int rc;

	if (s == NULL)
		return e != NULL ? e->err : -EIO;
	rc = store_verify(s, out, e);
	sl_store_close(s);
	return rc;
}
