/* SPDX-License-Identifier: BSD-3-Clause */
/* The plan of agents: a network for each. */
#include <stdio.h>
#include <stdlib.h>

#include "alloc_int.h"
#include "sl_policy_agents.h"

#define DEFAULT_N 254	  /* 10.1.0.0/24 ... 10.254.0.0/24 */
#define TRIES_MAX 1000000 /* of networks that are looked at, in pools without end */

/* --- arithmetic of addresses ------------------------------------------------------------------ */

alloc_int128
alloc_value(const struct sl_ip *ip)
{
	alloc_int128 v = 0;

	for (unsigned i = 0; i < sl_ip_bytes(ip); i++)
		v = v << 8 | ip->b[i];
	return v;
}

struct sl_ip
alloc_ip(uint8_t family, alloc_int128 v)
{
	struct sl_ip ip = {.family = family};

	for (int i = (int)sl_ip_bytes(&ip) - 1; i >= 0; i--, v >>= 8)
		ip.b[i] = (uint8_t)v;
	return ip;
}

int
sl_alloc_host(const struct sl_prefix *net, unsigned k, struct sl_ip *out, struct sl_error *e)
{
	unsigned bits = sl_ip_bytes(&net->ip) * 8 - net->len;
	char text[SL_PREFIX_STR];

	/* neither the network's own address nor IPv4's broadcast */
	if (k == 0 || bits == 0 ||
	    (bits < 32 && k >= (1U << bits) - (net->ip.family == 4 ? 1 : 0))) {
		sl_fail(e, -EINVAL, "host_outside", "", "%s has no address number %u",
			sl_prefix_str(net, text), k);
		sl_hint(e, "an agent's network has a length of at most 24 (IPv6: 120)");
		return -EINVAL;
	}
	*out = alloc_ip(net->ip.family, alloc_value(&net->ip) + k);
	return 0;
}

/* --- the pool of agents ----------------------------------------------------------------------- */

struct plan {
	struct sl_prefix *prefixes, *reserved;
	unsigned n, n_reserved;
	uint8_t len;
};

static int
read_list(const json_t *list, struct sl_prefix **out, unsigned *n, struct sl_error *e)
{
	json_t *v;
	size_t i;

	*out = calloc(json_array_size(list) + 1, sizeof(**out));
	if (*out == NULL)
		return store_no_memory(e);
	json_array_foreach ((json_t *)(uintptr_t)list, i, v)
		if (sl_prefix_parse(json_string_value(v), &(*out)[*n]) == 0)
			(*n)++;
	return 0;
}

static int
default_plan(struct plan *p, struct sl_error *e)
{
	p->prefixes = calloc(DEFAULT_N, sizeof(*p->prefixes));
	if (p->prefixes == NULL)
		return store_no_memory(e);
	for (unsigned i = 0; i < DEFAULT_N; i++)
		p->prefixes[i] = (struct sl_prefix){
			.ip = sl_ip_v4((const uint8_t[]){10, (uint8_t)(i + 1), 0, 0}), .len = 24};
	p->n = DEFAULT_N;
	p->len = 24;
	return 0;
}

static int
read_plan(struct sl_store *s, const char *pool, struct plan *p, struct sl_error *e)
{
	json_t *body = NULL;
	int rc = sl_store_get(s, SL_KIND_POOL, pool, NULL, &body);

	if (rc == -ENOENT && strcmp(pool, SL_ALLOC_AGENTS) == 0)
		return default_plan(p, e);
	if (rc < 0) {
		sl_fail(e, -EINVAL, "pool_unknown", "/pool", "there is no pool \"%.60s\"", pool);
		sl_hint(e, "make it, or use \"%s\"", SL_ALLOC_AGENTS);
		return -EINVAL;
	}
	p->len = (uint8_t)json_integer_value(json_object_get(body, "prefix_len"));
	rc = read_list(json_object_get(body, "prefixes"), &p->prefixes, &p->n, e);
	if (rc == 0)
		rc = read_list(json_object_get(body, "reserved"), &p->reserved, &p->n_reserved, e);
	json_decref(body);
	return rc;
}

static bool
is_reserved(const struct plan *p, const struct sl_prefix *x)
{
	for (unsigned i = 0; i < p->n_reserved; i++)
		if (sl_prefix_overlaps(&p->reserved[i], x))
			return true;
	return false;
}

/** Step a lookup that gives a row or none. @return 1, 0 or negative errno */
static int
any_row(struct sl_store *s, sqlite3_stmt *st, struct sl_error *e)
{
	int rc = sqlite3_step(st);

	rc = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : store_sql_error(s->db, rc, "read", e);
	sqlite3_reset(st);
	return rc;
}

/** Has a peer something in it or around it? One that routes everything (/0) is around nothing. */
static int
is_taken(struct sl_store *s, const char *iface, const struct sl_prefix *x, struct sl_error *e)
{
	struct sl_ip last = store_net_last(x);
	struct sl_prefix up = *x;
	uint8_t lo[17], hi[17];
	sqlite3_stmt *st = store_stmt(s, ST_NET_PEER_INSIDE);
	int rc;

	if (st == NULL)
		return store_run(s, st, e);
	store_net_key(&x->ip, lo);
	store_net_key(&last, hi);
	store_bind_text(st, 1, iface);
	sqlite3_bind_blob(st, 2, lo, sizeof(lo), SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, hi, sizeof(hi), SQLITE_STATIC);
	rc = any_row(s, st, e);
	while (rc == 0 && up.len > 1) {
		up.len--;
		sl_prefix_mask(&up);
		store_net_key(&up.ip, lo);
		st = store_stmt(s, ST_NET_PEER_AT);
		if (st == NULL)
			return store_run(s, st, e);
		store_bind_text(st, 1, iface);
		sqlite3_bind_blob(st, 2, lo, sizeof(lo), SQLITE_STATIC);
		sqlite3_bind_int(st, 3, up.len);
		rc = any_row(s, st, e);
	}
	return rc;
}

static int
exhausted(const struct plan *p, const char *pool, struct sl_error *e)
{
	sl_fail(e, -ENOSPC, "pool_exhausted", "/pool",
		"pool \"%.40s\" has given every network of length %u in its %u prefixes", pool,
		p->len, p->n);
	if (p->prefixes[0].len == p->len)
		sl_hint(e,
			"put pool \"%.40s\" with wider prefixes: 10.1.0.0/16 ... 10.254.0.0/16 "
			"and prefix_len 24 go on with 10.1.1.0/24",
			pool);
	else
		sl_hint(e, "add prefixes to pool \"%.40s\"", pool);
	return -ENOSPC;
}

/** Breadth first: the first network of each prefix, then the second ones. @return 1 found */
static int
find_network(struct sl_store *s, const struct plan *p, const char *iface, struct sl_prefix *out,
	     struct sl_error *e)
{
	unsigned tries = 0;
	bool more = true;
	int rc;

	for (uint64_t level = 0; more && tries < TRIES_MAX; level++) {
		more = false;
		for (unsigned i = 0; i < p->n; i++) {
			const struct sl_prefix *in = &p->prefixes[i];
			unsigned bits = sl_ip_bytes(&in->ip) * 8, wide = p->len - in->len;

			if (wide < 64 && level >> wide != 0)
				continue;
			more = true;
			tries++;
			*out = (struct sl_prefix){.ip = alloc_ip(in->ip.family,
								 alloc_value(&in->ip) +
									 ((alloc_int128)level
									  << (bits - p->len))),
						  .len = p->len};
			if (is_reserved(p, out))
				continue;
			rc = is_taken(s, iface, out, e);
			if (rc <= 0)
				return rc < 0 ? rc : 1;
		}
	}
	return 0;
}

/** Does a network keep clear of internal zones? With a gateway's address in it, it comes into the
 * zone of agents' networks. @param[out] in_vpn then, or already, it lies in a zone of type vpn */
static int
check_zone(struct sl_store *s, const struct plan *p, const char *iface, const struct sl_prefix *net,
	   bool *in_vpn, struct sl_error *e)
{
	bool placed = alloc_has_index(s, iface, e);
	const struct sl_pol_zone *z;
	struct sl_policy *policy;
	int rc = store_policy_zones(s, &policy, e);

	*in_vpn = placed; /* without one, a document that comes later says what it is */
	if (rc == 0 && policy != NULL) {
		z = sl_policy_zone_of(policy, iface, net, NULL);
		*in_vpn = placed || (z != NULL && z->type == SL_ZONE_VPN);
		rc = store_check_zone(policy, iface, net, p->prefixes, placed ? p->n : 0, "/pool",
				      e);
	}
	sl_policy_free(policy);
	return rc;
}

int
sl_alloc_agent(struct sl_store_txn *t, const char *pool, const char *iface, struct sl_prefix *out,
	       bool *in_vpn, struct sl_error *e)
{
	struct plan p = {0};
	int rc = read_plan(t->s, pool, &p, e);

	if (rc == 0)
		rc = find_network(t->s, &p, iface, out, e);
	if (rc == 0)
		rc = exhausted(&p, pool, e);
	if (rc > 0) /* the default pool is nobody's object: it is checked when it gives */
		rc = check_zone(t->s, &p, iface, out, in_vpn, e);
	free(p.prefixes);
	free(p.reserved);
	return rc;
}

/* --- agents that are there -------------------------------------------------------------------- */

static bool
routes(struct sl_store *s, const char *peer)
{
	json_t *body = NULL;
	bool yes = sl_store_get(s, SL_KIND_PEER, peer, NULL, &body) == 0 &&
		   json_is_true(json_object_get(body, "subnet_router"));

	json_decref(body);
	return yes;
}

/** A prefix of a peer as the plan gives it: its number in a network, or all of one that it routes
 * for. @param[in,out] x then that network */
static bool
is_agents(struct sl_store *s, const struct plan *p, const char *peer, struct sl_prefix *x)
{
	struct sl_prefix net = {.ip = x->ip, .len = p->len};
	struct sl_error e;
	struct sl_ip own;
	bool yes;

	sl_prefix_mask(&net);
	if (x->len == p->len)
		yes = routes(s, peer);
	else
		yes = x->len == sl_ip_bytes(&x->ip) * 8 &&
		      sl_alloc_host(&net, SL_ALLOC_AGENT_HOST, &own, &e) == 0 &&
		      sl_ip_equal(&own, &x->ip);
	*x = net;
	return yes;
}

static int
agents_in(struct sl_store *s, const struct plan *p, const char *iface, const struct sl_prefix *in,
	  json_t *out, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(s, ST_NET_PEERS);
	struct sl_ip last = store_net_last(in);
	uint8_t lo[17], hi[17];
	char text[SL_PREFIX_STR];
	int rc;

	if (st == NULL)
		return store_run(s, st, e);
	store_net_key(&in->ip, lo);
	store_net_key(&last, hi);
	store_bind_text(st, 1, iface);
	sqlite3_bind_blob(st, 2, lo, sizeof(lo), SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, hi, sizeof(hi), SQLITE_STATIC);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const uint8_t *key = sqlite3_column_blob(st, 0);
		const char *peer = (const char *)sqlite3_column_text(st, 2);
		struct sl_prefix x = {.ip.family = in->ip.family,
				      .len = (uint8_t)sqlite3_column_int(st, 1)};

		memcpy(x.ip.b, key + 1, sl_ip_bytes(&x.ip));
		if (is_agents(s, p, peer, &x))
			json_object_set_new(out, sl_prefix_str(&x, text), json_string(peer));
	}
	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : store_sql_error(s->db, rc, "read", e);
}

int
alloc_agents(struct sl_store *s, const char *iface, json_t *out, struct sl_error *e)
{
	struct plan p = {0};
	int rc = read_plan(s, SL_ALLOC_AGENTS, &p, e);

	for (unsigned i = 0; rc == 0 && i < p.n; i++)
		rc = agents_in(s, &p, iface, &p.prefixes[i], out, e);
	free(p.prefixes);
	free(p.reserved);
	return rc;
}
