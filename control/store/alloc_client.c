/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses of stock clients: one of each gateway's own pool. */
#include <stdio.h>

#include "alloc_int.h"

struct finding {
	const char *iface;
	json_t *ids;
};

static bool
add_id(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	const char *colon = strchr(id, ':');
	struct finding *f = ctx;

	if (colon != NULL && strcmp(colon + 1, f->iface) == 0)
		json_array_append_new(f->ids, json_string(id));
	return true;
}

json_t *
alloc_gateways(struct sl_store *s, const char *iface, struct sl_error *e)
{
	struct finding f = {iface, json_array()};

	if (f.ids == NULL) {
		store_no_memory(e);
		return NULL;
	}
	if (sl_store_walk(s, SL_KIND_GATEWAY_INTERFACE, "", add_id, &f, e) == 0)
		return f.ids;
	json_decref(f.ids);
	return NULL;
}

/* --- one pool --------------------------------------------------------------------------------- */

struct pool {
	struct sl_store *s;
	const char *gateway, *iface;
	uint8_t family;
	uint8_t len;		  /* of the pool */
	alloc_int128 first, last; /* what it may give */
};

static void
bind_range(const struct pool *p, sqlite3_stmt *st, alloc_int128 from, uint8_t lo[17],
	   uint8_t hi[17])
{
	struct sl_ip a = alloc_ip(p->family, from), b = alloc_ip(p->family, p->last);

	store_net_key(&a, lo);
	store_net_key(&b, hi);
	store_bind_text(st, 1, p->iface);
	sqlite3_bind_blob(st, 2, lo, 17, SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, hi, 17, SQLITE_STATIC);
	store_bind_text(st, 4, p->gateway);
}

static void
read_row(const struct pool *p, sqlite3_stmt *st, alloc_int128 *first, alloc_int128 *last)
{
	struct sl_prefix x = {.ip.family = p->family};
	const uint8_t *key = sqlite3_column_blob(st, 0);
	struct sl_ip end;

	memcpy(x.ip.b, key + 1, sl_ip_bytes(&x.ip));
	x.len = (uint8_t)sqlite3_column_int(st, 1);
	end = store_net_last(&x);
	*first = alloc_value(&x.ip);
	*last = alloc_value(&end);
}

/** Does a network of somebody, smaller than the pool, hold the address? @return 1: then `past` is
 * what follows it */
static int
is_inside(const struct pool *p, alloc_int128 at, alloc_int128 *past, struct sl_error *e)
{
	struct sl_prefix x = {.ip = alloc_ip(p->family, at)};
	uint8_t key[17];
	struct sl_ip end;
	int rc = SQLITE_DONE;

	for (unsigned len = sl_ip_bytes(&x.ip) * 8 - 1; len > p->len && rc == SQLITE_DONE; len--) {
		sqlite3_stmt *st = store_stmt(p->s, ST_NET_AT_GATEWAY);

		if (st == NULL)
			return store_run(p->s, st, e);
		x.len = (uint8_t)len;
		sl_prefix_mask(&x);
		store_net_key(&x.ip, key);
		store_bind_text(st, 1, p->iface);
		sqlite3_bind_blob(st, 2, key, sizeof(key), SQLITE_STATIC);
		sqlite3_bind_int(st, 3, x.len);
		store_bind_text(st, 4, p->gateway);
		rc = sqlite3_step(st);
		sqlite3_reset(st);
	}
	if (rc != SQLITE_ROW)
		return rc == SQLITE_DONE ? 0 : store_sql_error(p->s->db, rc, "read", e);
	end = store_net_last(&x);
	*past = alloc_value(&end) + 1;
	return 1;
}

/** From `from` on, what no row that begins in the pool holds. @return 1 found, 0 none */
static int
gap(const struct pool *p, alloc_int128 *from, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(p->s, ST_NET_RANGE);
	alloc_int128 lo, hi;
	uint8_t a[17], b[17];
	int rc;

	if (st == NULL)
		return store_run(p->s, st, e);
	bind_range(p, st, *from, a, b);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		read_row(p, st, &lo, &hi);
		if (*from < lo)
			break;
		*from = *from > hi ? *from : hi + 1;
	}
	sqlite3_reset(st);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return store_sql_error(p->s->db, rc, "read", e);
	return *from <= p->last;
}

/** The first address from `from` on that nobody of this gateway has. @return 1 found, 0 none */
static int
first_free(const struct pool *p, alloc_int128 from, alloc_int128 *out, struct sl_error *e)
{
	int rc;

	while ((rc = gap(p, &from, e)) > 0) {
		rc = is_inside(p, from, &from, e);
		if (rc <= 0)
			break;
	}
	if (rc == 0 && from > p->last)
		return 0;
	*out = from;
	return rc < 0 ? rc : 1;
}

/** After the highest one given; then from the beginning. */
static int
next_free(const struct pool *p, alloc_int128 *out, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(p->s, ST_NET_LAST);
	alloc_int128 from = p->first, lo, hi;
	uint8_t a[17], b[17];
	int rc;

	if (st == NULL)
		return store_run(p->s, st, e);
	bind_range(p, st, p->first, a, b);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		read_row(p, st, &lo, &hi);
		from = hi + 1;
	}
	sqlite3_reset(st);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return store_sql_error(p->s->db, rc, "read", e);
	rc = from <= p->last ? first_free(p, from, out, e) : 0;
	return rc == 0 && from > p->first ? first_free(p, p->first, out, e) : rc;
}

/** Of IPv4 neither the network's address nor its broadcast is given. */
static void
limits(struct pool *p, const struct sl_prefix *x)
{
	struct sl_ip last = store_net_last(x);
	unsigned bits = sl_ip_bytes(&x->ip) * 8 - x->len;

	p->family = x->ip.family;
	p->len = x->len;
	p->first = alloc_value(&x->ip) + (bits > 1 ? 1 : 0);
	p->last = alloc_value(&last) - (bits > 1 && p->family == 4 ? 1 : 0);
}

/* --- each gateway ----------------------------------------------------------------------------- */

static int
one_gateway(struct sl_store_txn *t, const char *id, const json_t *body, json_t *addresses,
	    struct sl_error *e)
{
	const json_t *list = json_object_get(body, "client_pool");
	struct pool p = {t->s,
			 json_string_value(json_object_get(body, "gateway")),
			 json_string_value(json_object_get(body, "interface")),
			 0,
			 0,
			 0};
	char text[SL_PREFIX_STR];
	struct sl_prefix x;
	alloc_int128 v;
	json_t *pool;
	size_t i;
	int rc = 0;

	if (json_array_size(list) == 0 || json_object_get(addresses, p.gateway) != NULL)
		return 0;
	json_array_foreach ((json_t *)(uintptr_t)list, i, pool) {
		if (sl_prefix_parse(json_string_value(pool), &x) < 0)
			continue;
		limits(&p, &x);
		rc = next_free(&p, &v, e);
		if (rc != 0)
			break;
	}
	if (rc < 0)
		return rc;
	if (rc == 0) {
		snprintf(text, sizeof(text), "%zu", json_array_size(list));
		sl_fail(e, -ENOSPC, "pool_exhausted", "", "every address of %s pools is given",
			text);
		sl_error_under(e, "/gateway_interface/%.100s/client_pool", id);
		sl_hint(e, "add a prefix to client_pool, and route it to the gateway");
		return -ENOSPC;
	}
	x = (struct sl_prefix){.ip = alloc_ip(p.family, v), .len = p.family == 4 ? 32 : 128};
	return json_object_set_new(addresses, p.gateway,
				   json_pack("[s]", sl_prefix_str(&x, text))) == 0
		       ? 0
		       : store_no_memory(e);
}

int
sl_alloc_client(struct sl_store_txn *t, const char *iface, json_t *addresses, struct sl_error *e)
{
	json_t *ids = alloc_gateways(t->s, iface, e), *v, *body;
	size_t i;
	int rc = ids != NULL ? 0 : -EIO;

	json_array_foreach (ids, i, v) {
		body = NULL;
		if (rc == 0)
			rc = sl_store_get(t->s, SL_KIND_GATEWAY_INTERFACE, json_string_value(v),
					  NULL, &body);
		if (rc == 0)
			rc = one_gateway(t, json_string_value(v), body, addresses, e);
		json_decref(body);
	}
	json_decref(ids);
	return rc;
}

/* --- allocation objects ----------------------------------------------------------------------- */

int
alloc_kept(struct sl_store *s, const char *peer, json_t *out, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(s, ST_REF_OF_KIND);
	int rc;

	if (st == NULL)
		return store_run(s, st, e);
	store_bind_text(st, 1, "peer");
	store_bind_text(st, 2, peer);
	store_bind_text(st, 3, "allocation");
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		json_object_set_new(out, (const char *)sqlite3_column_text(st, 0), json_true());
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : store_sql_error(s->db, rc, "read", e);
}

/** Those that its addresses say: single addresses of gateways' pools. */
static int
put_said(struct sl_store_txn *t, const char *peer, const json_t *body, json_t *kept,
	 struct sl_error *e)
{
	const char *iface = json_string_value(json_object_get(body, "interface")), *gw;
	json_t *list, *v, *o = json_pack("{s:s}", "peer", peer);
	char id[SL_OBJ_ID], text[SL_IP_STR];
	struct sl_prefix x;
	size_t i;
	int rc = o != NULL ? 0 : store_no_memory(e);

	json_object_foreach (json_object_get(body, "addresses"), gw, list) {
		json_array_foreach (list, i, v) {
			if (rc < 0 || sl_prefix_parse(json_string_value(v), &x) < 0 ||
			    x.len != sl_ip_bytes(&x.ip) * 8)
				continue;
			snprintf(id, sizeof(id), "%.64s:%.15s:%s", gw, iface,
				 sl_ip_str(&x.ip, text));
			json_object_del(kept, id);
			rc = sl_store_put(t, SL_KIND_ALLOCATION, id, SL_REV_ANY, o, e);
		}
	}
	json_decref(o);
	return rc;
}

int
sl_alloc_keep(struct sl_store_txn *t, const char *peer, struct sl_error *e)
{
	json_t *kept = json_object(), *body = NULL, *v;
	const char *id;
	void *tmp;
	int rc = kept != NULL ? alloc_kept(t->s, peer, kept, e) : store_no_memory(e);

	if (rc == 0 && sl_store_get(t->s, SL_KIND_PEER, peer, NULL, &body) < 0)
		rc = sl_fail(e, -ENOENT, "not_found", "", "there is no peer \"%.100s\"", peer);
	if (rc == 0)
		rc = put_said(t, peer, body, kept, e);
	json_object_foreach_safe(kept, tmp, id, v) if (rc == 0) rc =
		alloc_release(t, id, peer, true, e);
	json_decref(kept);
	json_decref(body);
	return rc;
}
