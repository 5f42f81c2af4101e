/* SPDX-License-Identifier: BSD-3-Clause */
/* The index tables: checked before an object is written, written with it. */
#include <stdio.h>

#include "store_int.h"

struct who {
	struct sl_store *s;
	enum sl_kind kind;
	const char *id;
	struct sl_error *e;
};

void
store_net_key(const struct sl_ip *ip, uint8_t key[17])
{
	memset(key, 0, 17);
	key[0] = ip->family;
	memcpy(key + 1, ip->b, sl_ip_bytes(ip));
}

struct sl_ip
store_net_last(const struct sl_prefix *p)
{
	struct sl_ip ip = p->ip;

	for (unsigned bit = p->len; bit < 8 * sl_ip_bytes(&ip); bit++)
		ip.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return ip;
}

static bool
is_me(const struct who *w, sqlite3_stmt *st, int kind_at)
{
	return strcmp((const char *)sqlite3_column_text(st, kind_at), sl_kind_name(w->kind)) == 0 &&
	       strcmp((const char *)sqlite3_column_text(st, kind_at + 1), w->id) == 0;
}

/* --- checks ----------------------------------------------------------------------------------- */

int
store_no_such(enum sl_kind k, const char *id, const char *path, struct sl_error *e)
{
	sl_fail(e, -EINVAL, "reference_unknown", path, "there is no %s \"%.100s\"", sl_kind_name(k),
		id);
	sl_hint(e, "make the %s first, or correct the name", sl_kind_name(k));
	return -EINVAL;
}

static int
check_ref(void *ctx, enum sl_kind to, const char *to_id, unsigned flags, const char *path)
{
	struct who *w = ctx;
	sqlite3_stmt *st;
	int rc;

	if ((flags & REF_MUST_EXIST) == 0)
		return 0;
	st = store_stmt(w->s, ST_GET);
	if (st == NULL)
		return store_run(w->s, st, w->e);
	store_bind_text(st, 1, sl_kind_name(to));
	store_bind_text(st, 2, to_id);
	rc = sqlite3_step(st);
	sqlite3_reset(st);
	if (rc == SQLITE_ROW)
		return 0;
	if (rc != SQLITE_DONE)
		return store_sql_error(w->s->db, rc, "read", w->e);
	return store_no_such(to, to_id, path, w->e);
}

static int
check_unique(void *ctx, const char *what, const char *value, const char *path)
{
	struct who *w = ctx;
	sqlite3_stmt *st = store_stmt(w->s, ST_UNIQUE_GET);
	int rc;

	if (st == NULL)
		return store_run(w->s, st, w->e);
	store_bind_text(st, 1, what);
	store_bind_text(st, 2, value);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW && !is_me(w, st, 0)) {
		sl_fail(w->e, -EEXIST, strcmp(what, "peer_key") == 0 ? "key_taken" : "index_taken",
			path, "%s \"%.100s\" of this interface has the same value",
			(const char *)sqlite3_column_text(st, 0),
			(const char *)sqlite3_column_text(st, 1));
		sl_hint(w->e, "each %s of an interface has its own",
			strcmp(what, "peer_key") == 0 ? "key" : "index");
		rc = -EEXIST;
	} else {
		rc = rc == SQLITE_ROW || rc == SQLITE_DONE
			     ? 0
			     : store_sql_error(w->s->db, rc, "read", w->e);
	}
	sqlite3_reset(st);
	return rc;
}

/** The same prefix of the same interface, at a gateway that both have. An allocation and the peer
 * that it is for say the same. */
static bool
same_place(const struct who *w, sqlite3_stmt *st, const char *gateway)
{
	const char *its = (const char *)sqlite3_column_text(st, 0);
	const char *kind = (const char *)sqlite3_column_text(st, 1);
	bool its_allocation = strcmp(kind, "allocation") == 0;

	if (its[0] != '\0' && gateway[0] != '\0' && strcmp(its, gateway) != 0)
		return false;
	if (its_allocation != (w->kind == SL_KIND_ALLOCATION))
		return false;
	return !is_me(w, st, 1);
}

static int
check_net(void *ctx, const char *iface, const char *gateway, const struct sl_prefix *p,
	  const char *path)
{
	struct who *w = ctx;
	sqlite3_stmt *st = store_stmt(w->s, ST_NET_SAME);
	char text[SL_PREFIX_STR];
	uint8_t key[17];
	int rc;

	if (st == NULL)
		return store_run(w->s, st, w->e);
	store_net_key(&p->ip, key);
	store_bind_text(st, 1, iface);
	sqlite3_bind_blob(st, 2, key, sizeof(key), SQLITE_STATIC);
	sqlite3_bind_int(st, 3, p->len);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		if (same_place(w, st, gateway))
			break;
	if (rc == SQLITE_ROW) {
		sl_fail(w->e, -EEXIST, "prefix_taken", path, "%s of %s belongs to %s \"%.100s\"",
			sl_prefix_str(p, text), iface, (const char *)sqlite3_column_text(st, 1),
			(const char *)sqlite3_column_text(st, 2));
		sl_hint(w->e, "an address of an interface leads to one peer; choose another");
		rc = -EEXIST;
	} else {
		rc = rc == SQLITE_DONE ? 0 : store_sql_error(w->s->db, rc, "read", w->e);
	}
	sqlite3_reset(st);
	return rc;
}

int
store_index_check(struct sl_store *s, enum sl_kind k, const char *id, const json_t *body,
		  struct sl_error *e)
{
	struct who w = {s, k, id, e};
	struct store_index_ops ops = {check_ref, check_unique, check_net, &w};

	return store_index_walk(k, id, body, &ops);
}

/* --- writes ----------------------------------------------------------------------------------- */

static int
put_ref(void *ctx, enum sl_kind to, const char *to_id, unsigned flags, const char *path)
{
	struct who *w = ctx;
	sqlite3_stmt *st = store_stmt(w->s, ST_REF_PUT);

	if (st != NULL) {
		store_bind_text(st, 1, sl_kind_name(to));
		store_bind_text(st, 2, to_id);
		store_bind_text(st, 3, sl_kind_name(w->kind));
		store_bind_text(st, 4, w->id);
		sqlite3_bind_int(st, 5, (int)flags);
		store_bind_text(st, 6, path);
	}
	return store_run(w->s, st, w->e);
}

static int
put_unique(void *ctx, const char *what, const char *value, const char *path)
{
	struct who *w = ctx;
	sqlite3_stmt *st = store_stmt(w->s, ST_UNIQUE_PUT);

	if (st != NULL) {
		store_bind_text(st, 1, what);
		store_bind_text(st, 2, value);
		store_bind_text(st, 3, sl_kind_name(w->kind));
		store_bind_text(st, 4, w->id);
	}
	return store_run(w->s, st, w->e);
}

static int
put_net(void *ctx, const char *iface, const char *gateway, const struct sl_prefix *p,
	const char *path)
{
	struct who *w = ctx;
	sqlite3_stmt *st = store_stmt(w->s, ST_NET_PUT);
	uint8_t key[17];

	if (st != NULL) {
		store_net_key(&p->ip, key);
		store_bind_text(st, 1, iface);
		sqlite3_bind_blob(st, 2, key, sizeof(key), SQLITE_STATIC);
		sqlite3_bind_int(st, 3, p->len);
		store_bind_text(st, 4, gateway);
		store_bind_text(st, 5, sl_kind_name(w->kind));
		store_bind_text(st, 6, w->id);
		store_bind_text(st, 7, path);
	}
	return store_run(w->s, st, w->e);
}

int
store_index_put(struct sl_store *s, enum sl_kind k, const char *id, const json_t *body,
		struct sl_error *e)
{
	struct who w = {s, k, id, e};
	struct store_index_ops ops = {put_ref, put_unique, put_net, &w};

	if (k == SL_KIND_RULE) /* there are many of them: store_rule_referrer() looks at them */
		return 0;
	return store_index_walk(k, id, body, &ops);
}

int
store_index_del(struct sl_store *s, enum sl_kind k, const char *id, struct sl_error *e)
{
	static const enum stmt of[] = {ST_REF_DEL, ST_UNIQUE_DEL, ST_NET_DEL};
	/* a rule of a store from before has references, no more */
	unsigned n = k == SL_KIND_RULE ? 1 : SL_ARRAY_SIZE(of);
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < n; i++) {
		sqlite3_stmt *st = store_stmt(s, of[i]);

		if (st != NULL) {
			store_bind_text(st, 1, sl_kind_name(k));
			store_bind_text(st, 2, id);
		}
		rc = store_run(s, st, e);
	}
	return rc;
}
