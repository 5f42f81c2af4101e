/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks at commit, of what no object tells by itself: the policy as a whole, the number of role
 * maps, pools against zones, prefixes of interfaces that share a gateway. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_json.h"
#include "sl_policy_agents.h"
#include "store_int.h"

/* --- role maps -------------------------------------------------------------------------------- */

static bool
count_members(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	json_t *body = json_loadb(text, len, 0, NULL), *m;
	size_t *n = ctx, i;
	const char *s;

	json_array_foreach (json_object_get(body, "members"), i, m) {
		s = json_string_value(m);
		*n += s != NULL ? strncmp(s, "peer:", 5) != 0
				: json_object_get(m, "prefix") != NULL;
	}
	json_decref(body);
	return true;
}

static int
check_maps(struct sl_store_txn *t, struct sl_error *e)
{
	const size_t max = SL_POL_PREFIXES * SL_POL_GROW_MAX;
	sqlite3_stmt *st = store_stmt(t->s, ST_MAPS);
	size_t n = 0;
	int rc;

	if (st == NULL)
		return store_run(t->s, st, e);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = (size_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	rc = sl_store_walk(t->s, SL_KIND_ROLE, "", count_members, &n, e);
	if (rc < 0 || n <= max)
		return rc;
	sl_fail(e, -E2BIG, "limit_prefixes", "/role_map",
		"%zu prefixes would have roles; gateways take %zu", n, max);
	sl_hint(e, "map peers instead of prefixes, or larger prefixes");
	return -E2BIG;
}

/* --- pools and zones -------------------------------------------------------------------------- */

/** Does the internal network hold all that agents' networks are given from? Then it is a wide one,
 * in which theirs lie as smaller ones; otherwise it names part of the pool, as servers' own. */
static bool
holds_all(const struct sl_pol_place *net, const struct sl_prefix *from, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (from[i].len < net->prefix.len || !sl_prefix_contains(&net->prefix, &from[i].ip))
			return false;
	}
	return n > 0;
}

int
store_check_zone(const struct sl_policy *p, const char *iface, const struct sl_prefix *x,
		 const struct sl_prefix *from, unsigned n_from, const char *path,
		 struct sl_error *e)
{
	const struct sl_pol_place *net = NULL;
	const struct sl_pol_zone *z = sl_policy_zone_of(p, iface, x, &net);
	char text[SL_PREFIX_STR];

	if (z == NULL || z->type != SL_ZONE_INTERNAL || holds_all(net, from, n_from))
		z = sl_policy_internal_inside(p, iface, x);
	if (z == NULL)
		return 0;
	sl_fail(e, -EINVAL, "pool_in_internal_zone", path,
		"addresses of %s would lie in the internal zone \"%s\"", sl_prefix_str(x, text),
		z->name);
	sl_hint(e, "add %s to the networks of a zone of type vpn: the longer prefix wins", text);
	return -EINVAL;
}

struct pools {
	const struct sl_policy *p;
	struct sl_error *e;
	int rc;
};

static bool
pool_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	bool agents = k == SL_KIND_POOL;
	const char *field = agents ? "prefixes" : "client_pool", *iface;
	json_t *body = json_loadb(text, len, 0, NULL), *list = json_object_get(body, field), *v;
	struct sl_prefix *x = calloc(json_array_size(list) + 1, sizeof(*x));
	char path[SL_OBJ_ID + 64];
	struct pools *w = ctx;
	unsigned n = 0;
	size_t i;

	w->rc = x != NULL ? 0 : store_no_memory(w->e);
	json_array_foreach (list, i, v)
		n += x != NULL && sl_prefix_parse(json_string_value(v), &x[n]) == 0;
	iface = sl_json_text(body, "interface");
	for (i = 0; w->rc == 0 && i < n; i++) {
		snprintf(path, sizeof(path), "/%s/%s/%s/%zu", sl_kind_name(k), id, field, i);
		w->rc = store_check_zone(w->p, iface, &x[i], x, agents ? n : 0, path, w->e);
	}
	free(x);
	json_decref(body);
	return w->rc == 0;
}

static int
check_pools(struct sl_store *s, const struct sl_policy *p, struct sl_error *e)
{
	struct pools w = {p, e, 0};
	int rc;

	if (p == NULL)
		return 0;
	rc = sl_store_walk(s, SL_KIND_POOL, "", pool_row, &w, e);
	if (rc == 0 && w.rc == 0)
		rc = sl_store_walk(s, SL_KIND_GATEWAY_INTERFACE, "", pool_row, &w, e);
	return rc < 0 ? rc : w.rc;
}

int
sl_store_policy_fits(struct sl_store *s, const struct sl_policy *p, struct sl_error *e)
{
	int rc = check_pools(s, p, e);

	return rc == 0 ? store_agents_fit(s, p, e) : rc;
}

/* --- interfaces that share a gateway ---------------------------------------------------------- */

static bool
add_neighbours(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text,
	       size_t len)
{
	json_t *body = json_loadb(text, len, 0, NULL), *list = json_object_get(body, "interfaces");
	json_t *of = ctx, *a, *b, *set;
	size_t i, j;

	json_array_foreach (list, i, a) {
		json_array_foreach (list, j, b) {
			if (i == j)
				continue;
			set = json_object_get(of, json_string_value(a));
			if (set == NULL) {
				set = json_object();
				json_object_set_new(of, json_string_value(a), set);
			}
			json_object_set_new(set, json_string_value(b), json_true());
		}
	}
	json_decref(body);
	return true;
}

struct overlap {
	struct sl_store *s;
	const char *other; /* interface */
	enum sl_kind kind; /* who has the prefix */
	const char *id;
	struct sl_error *e;
};

static int
overlaps(struct overlap *o, sqlite3_stmt *st, const char *iface, const struct sl_prefix *p,
	 const char *path)
{
	char text[SL_PREFIX_STR], at[SL_OBJ_ID + 80];
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW) {
		snprintf(at, sizeof(at), "/%s/%s%s", sl_kind_name(o->kind), o->id, path);
		sl_fail(o->e, -EEXIST, "prefix_overlap", at,
			"%s overlaps one of %s \"%.80s\" of %s, and a gateway serves both",
			sl_prefix_str(p, text), (const char *)sqlite3_column_text(st, 0),
			(const char *)sqlite3_column_text(st, 1), o->other);
		sl_hint(o->e, "if the two are separate networks: setting separate_interfaces = "
			      "true");
		rc = -EEXIST;
	} else {
		rc = rc == SQLITE_DONE ? 0 : store_sql_error(o->s->db, rc, "read", o->e);
	}
	sqlite3_reset(st);
	return rc;
}

static int
check_overlap(void *ctx, const char *iface, const char *gateway, const struct sl_prefix *p,
	      const char *path)
{
	struct overlap *o = ctx;
	struct sl_prefix up = *p;
	uint8_t lo[17], hi[17];
	struct sl_ip last = store_net_last(p);
	sqlite3_stmt *st = store_stmt(o->s, ST_NET_INSIDE);
	int rc;

	if (st == NULL)
		return store_run(o->s, st, o->e);
	store_net_key(&p->ip, lo);
	store_net_key(&last, hi);
	store_bind_text(st, 1, o->other);
	sqlite3_bind_blob(st, 2, lo, sizeof(lo), SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, hi, sizeof(hi), SQLITE_STATIC);
	rc = overlaps(o, st, iface, p, path);
	while (rc == 0 && up.len > 0) {
		up.len--;
		sl_prefix_mask(&up);
		store_net_key(&up.ip, lo);
		st = store_stmt(o->s, ST_NET_AT);
		if (st == NULL)
			return store_run(o->s, st, o->e);
		store_bind_text(st, 1, o->other);
		sqlite3_bind_blob(st, 2, lo, sizeof(lo), SQLITE_STATIC);
		sqlite3_bind_int(st, 3, up.len);
		rc = overlaps(o, st, iface, p, path);
	}
	return rc;
}

/** One peer against all interfaces beside its own. */
static int
check_peer(struct sl_store *s, const json_t *of, const char *id, const json_t *body,
	   struct sl_error *e)
{
	const char *iface = json_string_value(json_object_get(body, "interface")), *other;
	struct overlap o = {s, NULL, SL_KIND_PEER, id, e};
	struct store_index_ops ops = {.net = check_overlap, .ctx = &o};
	json_t *v;
	int rc = 0;

	json_object_foreach (json_object_get(of, iface), other, v) {
		o.other = other;
		rc = store_index_walk(SL_KIND_PEER, id, body, &ops);
		if (rc < 0)
			break;
	}
	return rc;
}

struct all_peers {
	struct sl_store *s;
	const json_t *of;
	struct sl_error *e;
	int rc;
};

static bool
peer_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct all_peers *w = ctx;
	json_t *body = json_loadb(text, len, 0, NULL);

	w->rc = check_peer(w->s, w->of, id, body, w->e);
	json_decref(body);
	return w->rc == 0;
}

static bool
separate(struct sl_store *s)
{
	json_t *body = NULL;
	bool yes = false;

	if (sl_store_get(s, SL_KIND_SETTING, "separate_interfaces", NULL, &body) == 0)
		yes = json_is_true(json_object_get(body, "value"));
	json_decref(body);
	return yes;
}

/** A gateway whose interfaces are not those that it had. */
static bool
serves_others(const struct store_op *op)
{
	json_t *was;
	bool same;

	if (op->kind != SL_KIND_GATEWAY || op->body == NULL)
		return false;
	was = op->was != NULL ? json_loads(op->was, 0, NULL) : NULL;
	same = json_equal(json_object_get(was, "interfaces"),
			  json_object_get(op->body, "interfaces"));
	json_decref(was);
	return !same;
}

int
store_neighbours(struct sl_store *s, json_t **out, struct sl_error *e)
{
	*out = json_object();
	if (*out == NULL)
		return store_no_memory(e);
	return separate(s) ? 0 : sl_store_walk(s, SL_KIND_GATEWAY, "", add_neighbours, *out, e);
}

static int
check_nets(struct sl_store_txn *t, struct sl_error *e)
{
	json_t *of = NULL;
	struct all_peers w = {t->s, NULL, e, 0};
	bool gateways = false;
	int rc = store_neighbours(t->s, &of, e);

	w.of = of;
	for (size_t i = 0; i < t->n_ops; i++)
		gateways |= serves_others(&t->ops[i]);
	if (rc == 0 && json_object_size(w.of) > 0) {
		if (gateways) /* other interfaces may have come together */
			rc = sl_store_walk(t->s, SL_KIND_PEER, "", peer_row, &w, e);
		for (size_t i = 0; rc == 0 && w.rc == 0 && !gateways && i < t->n_ops; i++)
			if (t->ops[i].kind == SL_KIND_PEER && t->ops[i].body != NULL)
				w.rc = check_peer(t->s, w.of, t->ops[i].id, t->ops[i].body, e);
	}
	json_decref(of);
	return rc < 0 ? rc : w.rc;
}

int
store_check(struct sl_store_txn *t, struct sl_error *e)
{
	bool policy = t->policy && !t->policy_checked;
	struct sl_policy *own = NULL;
	const struct sl_policy *p = t->model;
	int rc = 0;

	if (policy)
		rc = store_policy_model(t->s, &own, e);
	else if ((t->pools || t->agents) && p == NULL)
		rc = store_policy_zones(t->s, &own, e);
	p = own != NULL ? own : p;
	if (rc == 0 && t->pools)
		rc = check_pools(t->s, p, e);
	if (rc == 0 && t->maps)
		rc = check_maps(t, e);
	if (rc == 0 && t->nets)
		rc = check_nets(t, e);
	for (size_t i = 0; t->agents && i < t->n_ops; i++)
		t->places |= serves_others(&t->ops[i]);
	if (rc == 0 && t->agents)
		rc = store_agent_zone(t, p, e);
	sl_policy_free(own);
	return rc;
}
