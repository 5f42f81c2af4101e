/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading objects, one, many, or all of one moment. */
#include <stdio.h>
#include <stdlib.h>

#include "store_int.h"

int
store_object_get(struct sl_store *s, enum sl_kind k, const char *id, uint64_t *rev, char **text,
		 size_t *len, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(s, ST_GET);
	int rc;

	if (st == NULL)
		return store_sql_error(s->db, sqlite3_errcode(s->db), "read", e);
	store_bind_text(st, 1, sl_kind_name(k));
	store_bind_text(st, 2, id);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		*rev = (uint64_t)sqlite3_column_int64(st, 0);
		*text = strdup((const char *)sqlite3_column_text(st, 1));
		*len = (size_t)sqlite3_column_bytes(st, 1);
		rc = *text != NULL ? 0 : store_no_memory(e);
	} else {
		rc = rc == SQLITE_DONE ? -ENOENT : store_sql_error(s->db, rc, "read", e);
	}
	sqlite3_reset(st);
	return rc;
}

int
sl_store_get(struct sl_store *s, enum sl_kind k, const char *id, uint64_t *rev, json_t **body)
{
	char *text = NULL;
	uint64_t r = 0;
	size_t len = 0;
	int rc = store_object_get(s, k, id, &r, &text, &len, NULL);

	if (rc < 0)
		return rc;
	if (rev != NULL)
		*rev = r;
	if (body != NULL) {
		*body = json_loadb(text, len, 0, NULL);
		rc = *body != NULL ? 0 : -ENOMEM;
	}
	free(text);
	return rc;
}

/** A walk's own statement: its callback may walk too. */
static int
walk_once(struct sl_store *s, enum sl_kind k, const char *after, sl_store_row fn, void *ctx,
	  struct sl_error *e)
{
	static const char sql[] =
		"SELECT id, rev, body FROM object WHERE kind = ?1 AND id > ?2 ORDER BY id";
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (rc != SQLITE_OK)
		return store_sql_error(s->db, rc, "read", e);
	store_bind_text(st, 1, sl_kind_name(k));
	store_bind_text(st, 2, after);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		if (!fn(ctx, k, (const char *)sqlite3_column_text(st, 0),
			(uint64_t)sqlite3_column_int64(st, 1),
			(const char *)sqlite3_column_text(st, 2),
			(size_t)sqlite3_column_bytes(st, 2)))
			break;
	}
	rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store_sql_error(s->db, rc, "read", e);
	sqlite3_finalize(st);
	return rc;
}

int
sl_store_walk(struct sl_store *s, enum sl_kind k, const char *after, sl_store_row fn, void *ctx,
	      struct sl_error *e)
{
	return walk_once(s, k, after, fn, ctx, e);
}

int
sl_store_txn_walk(struct sl_store_txn *t, enum sl_kind k, const char *after, sl_store_row fn,
		  void *ctx, struct sl_error *e)
{
	return walk_once(t->s, k, after, fn, ctx, e);
}

int
sl_store_txn_get(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t *rev,
		 json_t **body)
{
	return sl_store_get(t->s, k, id, rev, body);
}

uint64_t
sl_store_count(struct sl_store *s, enum sl_kind k)
{
	sqlite3_stmt *st = store_stmt(s, ST_COUNT);
	uint64_t n = 0;

	if (st == NULL)
		return 0;
	store_bind_text(st, 1, sl_kind_name(k));
	if (sqlite3_step(st) == SQLITE_ROW)
		n = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return n;
}

/* --- who holds a value ------------------------------------------------------------------------ */

/** "INTERFACE/PREFIX" or "GATEWAY:INTERFACE/PREFIX". */
static int
who_has_prefix(struct sl_store *s, const char *value, char id[SL_OBJ_ID])
{
	const char *slash = strchr(value, '/'), *colon = strchr(value, ':');
	char gateway[SL_OBJ_SCOPE] = "", iface[SL_OBJ_SCOPE];
	sqlite3_stmt *st = store_stmt(s, ST_NET_SAME);
	struct sl_prefix p;
	uint8_t key[17];
	int rc = -ENOENT;

	if (slash == NULL || sl_prefix_parse(slash + 1, &p) < 0 || st == NULL)
		return -ENOENT;
	if (colon != NULL && colon < slash)
		snprintf(gateway, sizeof(gateway), "%.*s", (int)(colon - value), value);
	else
		colon = value - 1;
	snprintf(iface, sizeof(iface), "%.*s", (int)(slash - colon - 1), colon + 1);
	store_net_key(&p.ip, key);
	store_bind_text(st, 1, iface);
	sqlite3_bind_blob(st, 2, key, sizeof(key), SQLITE_STATIC);
	sqlite3_bind_int(st, 3, p.len);
	while (rc == -ENOENT && sqlite3_step(st) == SQLITE_ROW) {
		if (strcmp((const char *)sqlite3_column_text(st, 0), gateway) != 0 ||
		    strcmp((const char *)sqlite3_column_text(st, 1), "allocation") == 0)
			continue;
		store_column(st, 2, id, SL_OBJ_ID);
		rc = 0;
	}
	sqlite3_reset(st);
	return rc;
}

int
sl_store_unique(struct sl_store *s, const char *what, const char *value, char id[SL_OBJ_ID])
{
	sqlite3_stmt *st;
	int rc = -ENOENT;

	if (strcmp(what, "prefix") == 0)
		return who_has_prefix(s, value, id);
	st = store_stmt(s, ST_UNIQUE_GET);
	if (st == NULL)
		return -ENOENT;
	store_bind_text(st, 1, what);
	store_bind_text(st, 2, value);
	if (sqlite3_step(st) == SQLITE_ROW) {
		store_column(st, 1, id, SL_OBJ_ID);
		rc = 0;
	}
	sqlite3_reset(st);
	return rc;
}

/** @return 0 with its id, -ENOENT */
static int
peer_of_prefix(struct sl_store *s, const char *iface, const struct sl_prefix *p, char id[SL_OBJ_ID])
{
	sqlite3_stmt *st = store_stmt(s, ST_NET_SAME);
	uint8_t key[17];
	int rc = -ENOENT;

	if (st == NULL)
		return -ENOENT;
	store_net_key(&p->ip, key);
	store_bind_text(st, 1, iface);
	sqlite3_bind_blob(st, 2, key, sizeof(key), SQLITE_STATIC);
	sqlite3_bind_int(st, 3, p->len);
	while (rc != 0 && sqlite3_step(st) == SQLITE_ROW) {
		if (strcmp((const char *)sqlite3_column_text(st, 1), "peer") != 0)
			continue;
		store_column(st, 2, id, SL_OBJ_ID);
		rc = 0;
	}
	sqlite3_reset(st);
	return rc;
}

int
sl_store_peer_at(struct sl_store *s, const char *iface, const struct sl_ip *ip, char id[SL_OBJ_ID])
{
	unsigned bits = sl_ip_bytes(ip) * 8;
	int rc = -ENOENT;

	for (unsigned n = 0; n <= bits && rc != 0; n++) {
		struct sl_prefix p = {.ip = *ip, .len = (uint8_t)(bits - n)};

		sl_prefix_mask(&p);
		rc = peer_of_prefix(s, iface, &p, id);
	}
	return rc;
}

/* --- snapshots -------------------------------------------------------------------------------- */

struct sl_store_snap {
	sqlite3 *db;
	sqlite3_stmt *st;
	struct store_state state;
	bool ended;
};

static int
snap_begin(struct sl_store_snap *p, struct sl_error *e)
{
	struct sl_store view = {.db = p->db};
	int rc = store_exec(p->db, "BEGIN", e);

	if (rc == 0) /* the first read fixes the moment */
		rc = store_state_get(&view, &p->state, e);
	store_stmts_free(&view);
	if (rc == 0 &&
	    sqlite3_prepare_v2(p->db, "SELECT kind, id, rev, body FROM object ORDER BY kind, id",
			       -1, &p->st, NULL) != SQLITE_OK)
		rc = store_sql_error(p->db, sqlite3_errcode(p->db), "snapshot", e);
	return rc;
}

struct sl_store_snap *
sl_store_snap_open(struct sl_store *s, struct sl_error *e)
{
	struct sl_store_snap *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL) {
		store_no_memory(e);
		return NULL;
	}
	rc = store_connect(s->path, SQLITE_OPEN_READWRITE, &p->db, e);
	if (rc == 0)
		rc = store_exec(p->db, "PRAGMA query_only = ON", e);
	if (rc == 0)
		rc = snap_begin(p, e);
	if (rc == 0)
		return p;
	sl_store_snap_close(p);
	return NULL;
}

void
sl_store_snap_pos(const struct sl_store_snap *p, struct sl_epoch *epoch, uint64_t *seq,
		  char chain[SL_CHAIN_STR])
{
	*epoch = p->state.epoch;
	*seq = p->state.head;
	snprintf(chain, SL_CHAIN_STR, "%s", p->state.chain);
}

int
sl_store_snap_next(struct sl_store_snap *p, unsigned max, sl_store_row fn, void *ctx)
{
	unsigned n = 0;
	enum sl_kind k;
	int rc = SQLITE_ROW;

	while (n < max && !p->ended && (rc = sqlite3_step(p->st)) == SQLITE_ROW) {
		if (sl_kind_parse((const char *)sqlite3_column_text(p->st, 0), &k) < 0)
			return -EBADMSG;
		n++;
		if (!fn(ctx, k, (const char *)sqlite3_column_text(p->st, 1),
			(uint64_t)sqlite3_column_int64(p->st, 2),
			(const char *)sqlite3_column_text(p->st, 3),
			(size_t)sqlite3_column_bytes(p->st, 3)))
			break;
	}
	if (rc == SQLITE_DONE)
		p->ended = true;
	else if (rc != SQLITE_ROW)
		return store_sql_error(p->db, rc, "snapshot", NULL);
	return (int)n;
}

void
sl_store_snap_close(struct sl_store_snap *p)
{
	if (p == NULL)
		return;
	sqlite3_finalize(p->st);
	sqlite3_close(p->db);
	free(p);
}
