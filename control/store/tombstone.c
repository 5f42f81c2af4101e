/* SPDX-License-Identifier: BSD-3-Clause */
/* Tombstones: what was deleted, so that an older copy does not bring it back. */
#include "store_int.h"

#define TOMB_DAYS 120
#define TOMB_MAX 1000000

bool
store_tombstone_kind(enum sl_kind k, const json_t *body)
{
	const char *action;

	switch (k) {
	case SL_KIND_PEER:
	case SL_KIND_ROLE_MAP:
	case SL_KIND_TOKEN:
		return true;
	case SL_KIND_RULE: /* without its deny more is allowed, but no one's access comes back */
		action = json_string_value(json_object_get(body, "action"));
		return action != NULL && strcmp(action, "allow") == 0;
	default:
		return false;
	}
}

int
store_tombstone_put(struct sl_store *s, const struct sl_tombstone *t, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(s, ST_TOMB_PUT);

	if (st == NULL)
		return store_run(s, st, e);
	store_bind_text(st, 1, sl_kind_name(t->kind));
	store_bind_text(st, 2, t->id);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)t->rev);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)t->epoch_number);
	sqlite3_bind_int64(st, 5, (sqlite3_int64)t->seq);
	sqlite3_bind_int64(st, 6, (sqlite3_int64)t->wall_ns);
	return store_run(s, st, e);
}

int
store_tombstone_clear(struct sl_store *s, enum sl_kind k, const char *id, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(s, ST_TOMB_DEL);

	if (st != NULL) {
		store_bind_text(st, 1, sl_kind_name(k));
		store_bind_text(st, 2, id);
	}
	return store_run(s, st, e);
}

uint64_t
store_tombstone_rev(struct sl_store *s, enum sl_kind k, const char *id)
{
	sqlite3_stmt *st = store_stmt(s, ST_TOMB_GET);
	uint64_t rev = 0;

	if (st == NULL)
		return 0;
	store_bind_text(st, 1, sl_kind_name(k));
	store_bind_text(st, 2, id);
	if (sqlite3_step(st) == SQLITE_ROW)
		rev = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return rev;
}

bool
sl_store_revoked(struct sl_store *s, const char *id)
{
	sqlite3_stmt *st = store_stmt(s, ST_TOMB_GET);
	int rc;

	if (st == NULL)
		return true;
	store_bind_text(st, 1, sl_kind_name(SL_KIND_CRL));
	store_bind_text(st, 2, id);
	rc = sqlite3_step(st);
	sqlite3_reset(st);
	/* not there, and nothing else, says that it is not revoked */
	return rc != SQLITE_DONE || sl_store_get(s, SL_KIND_CRL, id, NULL, NULL) != -ENOENT;
}

int
store_tombstone_trim(struct sl_store *s, struct sl_error *e)
{
	const uint64_t age_ns = TOMB_DAYS * UINT64_C(86400) * 1000000000;
	uint64_t now = store_now(s);
	sqlite3_stmt *st = store_stmt(s, ST_TOMB_TRIM_AGE);
	int rc;

	if (st != NULL)
		sqlite3_bind_int64(st, 1, now > age_ns ? (sqlite3_int64)(now - age_ns) : 0);
	rc = store_run(s, st, e);
	if (rc < 0)
		return rc;
	st = store_stmt(s, ST_TOMB_TRIM_COUNT);
	if (st != NULL)
		sqlite3_bind_int64(st, 1, TOMB_MAX);
	return store_run(s, st, e);
}

static void
read_tombstone(sqlite3_stmt *st, struct sl_tombstone *t)
{
	store_column(st, 1, t->id, sizeof(t->id));
	t->rev = (uint64_t)sqlite3_column_int64(st, 2);
	t->epoch_number = (uint64_t)sqlite3_column_int64(st, 3);
	t->seq = (uint64_t)sqlite3_column_int64(st, 4);
	t->wall_ns = (uint64_t)sqlite3_column_int64(st, 5);
}

static int
visit(struct sl_store *s, const char *sql, bool (*fn)(void *ctx, const struct sl_tombstone *t),
      void *ctx, struct sl_error *e)
{
	sqlite3_stmt *st = NULL;
	struct sl_tombstone t;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (rc != SQLITE_OK)
		return store_sql_error(s->db, rc, "read", e);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		if (sl_kind_parse((const char *)sqlite3_column_text(st, 0), &t.kind) < 0)
			continue; /* of a newer program */
		read_tombstone(st, &t);
		if (!fn(ctx, &t))
			break;
	}
	rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store_sql_error(s->db, rc, "read", e);
	sqlite3_finalize(st);
	return rc;
}

int
sl_store_tombstones(struct sl_store *s, bool (*fn)(void *ctx, const struct sl_tombstone *t),
		    void *ctx, struct sl_error *e)
{
	return visit(s,
		     "SELECT kind, id, rev, epoch, seq, wall_ns FROM tombstone "
		     "ORDER BY kind, id",
		     fn, ctx, e);
}

int
sl_store_blocked(struct sl_store *s, bool (*fn)(void *ctx, const struct sl_tombstone *t), void *ctx,
		 struct sl_error *e)
{
	/* a rule that denies today may come back, whatever its id stood for */
	return visit(s,
		     "SELECT t.kind, t.id, o.rev, t.epoch, t.seq, t.wall_ns FROM tombstone t "
		     "JOIN object o ON o.kind = t.kind AND o.id = t.id AND o.rev <= t.rev "
		     "WHERE t.kind IN ('peer', 'role_map', 'rule') AND "
		     "t.epoch < (SELECT epoch_number FROM state) AND (t.kind <> 'rule' OR "
		     "instr(o.body, '\"action\":\"allow\"') > 0) ORDER BY t.kind, t.id",
		     fn, ctx, e);
}
