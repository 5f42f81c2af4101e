/* SPDX-License-Identifier: BSD-3-Clause */
/* Gateways' addresses in the networks of agents. An allocation object says for whom a gateway has
 * one, so that the address goes when the last peer of the network does.
 */
#include <stdio.h>

#include "alloc_int.h"

/* --- given ------------------------------------------------------------------------------------ */

static bool
has(const json_t *list, const char *text)
{
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)list, i, v)
		if (strcmp(json_string_value(v), text) == 0)
			return true;
	return false;
}

/** @param net with the gateway's address */
static int
add_address(struct sl_store_txn *t, const char *id, json_t *body, const struct sl_prefix *net,
	    struct sl_error *e)
{
	json_t *list = json_object_get(body, "addresses");
	char text[SL_PREFIX_STR];

	if (list == NULL) {
		list = json_array();
		json_object_set_new(body, "addresses", list);
	}
	if (has(list, sl_prefix_str(net, text)))
		return 0;
	if (json_array_append_new(list, json_string(text)) != 0)
		return store_no_memory(e);
	return sl_store_put(t, SL_KIND_GATEWAY_INTERFACE, id, SL_REV_ANY, body, e);
}

static int
put_allocation(struct sl_store_txn *t, const char *id, const char *peer, struct sl_error *e)
{
	json_t *o = json_pack("{s:s}", "peer", peer);
	int rc = o != NULL ? sl_store_put(t, SL_KIND_ALLOCATION, id, SL_REV_ANY, o, e)
			   : store_no_memory(e);

	json_decref(o);
	return rc;
}

static int
give(struct sl_store_txn *t, const char *id, const struct sl_prefix *net, const char *peer,
     struct sl_error *e)
{
	char text[SL_IP_STR], name[SL_OBJ_ID];
	struct sl_prefix own = *net;
	json_t *body = NULL;
	int rc = sl_store_get(t->s, SL_KIND_GATEWAY_INTERFACE, id, NULL, &body);
	json_int_t k = json_integer_value(json_object_get(body, "index"));

	if (rc < 0 || k == 0) {
		json_decref(body);
		return 0;
	}
	rc = k != SL_ALLOC_AGENT_HOST
		     ? sl_alloc_host(net, (unsigned)k, &own.ip, e)
		     : sl_fail(e, -EINVAL, "host_outside", "/index", "number %d is the agent's own",
			       SL_ALLOC_AGENT_HOST);
	if (rc == 0)
		rc = add_address(t, id, body, &own, e);
	snprintf(name, sizeof(name), "%.100s:%s", id, sl_ip_str(&own.ip, text));
	if (rc == 0 && sl_store_get(t->s, SL_KIND_ALLOCATION, name, NULL, NULL) == -ENOENT) {
		t->agents = true; /* somebody may have written the address before */
		rc = put_allocation(t, name, peer, e);
	}
	if (rc < 0 && strcmp(e->reason, "field_range") == 0)
		sl_hint(e, "each agent takes an address of the gateway's interface: give further "
			   "agents an interface of their own");
	if (rc < 0)
		sl_error_under(e, "/gateway_interface/%s", id);
	json_decref(body);
	return rc;
}

int
sl_alloc_gateways(struct sl_store_txn *t, const char *iface, const struct sl_prefix *net,
		  const char *peer, struct sl_error *e)
{
	json_t *ids = alloc_gateways(t->s, iface, e), *v;
	size_t i;
	int rc = ids != NULL ? 0 : -EIO;

	json_array_foreach (ids, i, v)
		if (rc == 0)
			rc = give(t, json_string_value(v), net, peer, e);
	json_decref(ids);
	return rc;
}

/** Who has an address in the network: the peer itself (`own`), or another one. @return 1, 0 */
static int
who_is_in(struct sl_store *s, const char *iface, const struct sl_prefix *net, const char *peer,
	  bool own, char other[SL_OBJ_ID], struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(s, ST_NET_PEER_IN);
	struct sl_prefix masked = *net;
	struct sl_ip last;
	uint8_t lo[17], hi[17];
	int rc;

	if (st == NULL)
		return store_run(s, st, e);
	sl_prefix_mask(&masked);
	last = store_net_last(&masked);
	store_net_key(&masked.ip, lo);
	store_net_key(&last, hi);
	store_bind_text(st, 1, iface);
	sqlite3_bind_blob(st, 2, lo, sizeof(lo), SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, hi, sizeof(hi), SQLITE_STATIC);
	store_bind_text(st, 4, peer);
	sqlite3_bind_int(st, 5, own);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		store_column(st, 0, other, SL_OBJ_ID);
	sqlite3_reset(st);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : store_sql_error(s->db, rc, "read", e);
}

/** What another gateway has for agents, in `body`, this one (`id`) gets too. */
static int
join_networks(struct sl_store_txn *t, const char *id, const char *other, const json_t *body,
	      struct sl_error *e)
{
	char name[SL_OBJ_ID], text[SL_IP_STR];
	json_t *allocation, *v;
	struct sl_prefix net;
	size_t i;
	int rc = 0;

	json_array_foreach (json_object_get(body, "addresses"), i, v) {
		if (rc < 0 || sl_prefix_parse(json_string_value(v), &net) != 0)
			continue;
		snprintf(name, sizeof(name), "%.100s:%s", other, sl_ip_str(&net.ip, text));
		allocation = NULL;
		if (sl_store_get(t->s, SL_KIND_ALLOCATION, name, NULL, &allocation) != 0)
			continue;
		sl_prefix_mask(&net);
		rc = give(t, id, &net, json_string_value(json_object_get(allocation, "peer")), e);
		json_decref(allocation);
	}
	return rc;
}

/** The first gateway with an index: agents were made when none had an address to give them. Where
 * others have come into such a network, it is nobody's plan any more. */
static int
join_agents(struct sl_store_txn *t, const char *id, const char *iface, struct sl_error *e)
{
	json_t *nets = json_object(), *peer;
	char other[SL_OBJ_ID];
	struct sl_prefix net;
	const char *text;
	int rc = nets != NULL ? alloc_agents(t->s, iface, nets, e) : store_no_memory(e);

	json_object_foreach (nets, text, peer) {
		if (rc < 0 || sl_prefix_parse(text, &net) != 0)
			continue;
		rc = who_is_in(t->s, iface, &net, json_string_value(peer), false, other, e);
		if (rc == 0)
			rc = give(t, id, &net, json_string_value(peer), e);
	}
	json_decref(nets);
	return SL_MIN(rc, 0);
}

static bool
has_index(struct sl_store *s, const char *id)
{
	json_t *body = NULL;
	bool yes = sl_store_get(s, SL_KIND_GATEWAY_INTERFACE, id, NULL, &body) == 0 &&
		   json_object_get(body, "index") != NULL;

	json_decref(body);
	return yes;
}

bool
alloc_has_index(struct sl_store *s, const char *iface, struct sl_error *e)
{
	json_t *ids = alloc_gateways(s, iface, e), *v;
	bool yes = false;
	size_t i;

	json_array_foreach (ids, i, v)
		yes |= has_index(s, json_string_value(v));
	json_decref(ids);
	return yes;
}

int
sl_alloc_join(struct sl_store_txn *t, const char *id, struct sl_error *e)
{
	const char *iface = has_index(t->s, id) ? strchr(id, ':') : NULL;
	json_t *ids = iface != NULL ? alloc_gateways(t->s, iface + 1, e) : NULL, *v, *body;
	bool first = true;
	size_t i;
	int rc = ids != NULL ? 0 : -EIO;

	if (iface == NULL)
		return 0;
	json_array_foreach (ids, i, v) {
		if (rc < 0 || strcmp(json_string_value(v), id) == 0)
			continue;
		body = NULL;
		if (sl_store_get(t->s, SL_KIND_GATEWAY_INTERFACE, json_string_value(v), NULL,
				 &body) == 0)
			rc = join_networks(t, id, json_string_value(v), body, e);
		first &= json_object_get(body, "index") == NULL;
		json_decref(body);
	}
	json_decref(ids);
	return rc == 0 && first ? join_agents(t, id, iface + 1, e) : rc;
}

/* --- taken back ------------------------------------------------------------------------------- */

/** "GATEWAY:INTERFACE:ADDRESS". @param gi "GATEWAY:INTERFACE" */
static int
split(const char *id, char gi[SL_OBJ_ID], const char **iface, struct sl_ip *ip)
{
	const char *c1 = strchr(id, ':'), *c2 = c1 != NULL ? strchr(c1 + 1, ':') : NULL;

	if (c2 == NULL || sl_ip_parse(c2 + 1, ip) != 0)
		return -EINVAL;
	snprintf(gi, SL_OBJ_ID, "%.*s", (int)(c2 - id), id);
	*iface = gi + (c1 + 1 - id);
	return 0;
}

/** Where in its list an interface of a gateway has the address, and its network. @return -1 */
static int
find_address(const json_t *body, const struct sl_ip *ip, struct sl_prefix *net)
{
	const json_t *list = json_object_get(body, "addresses");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (sl_prefix_parse(json_string_value(json_array_get(list, i)), net) == 0 &&
		    sl_ip_equal(&net->ip, ip))
			return (int)i;
	return -1;
}

/** Nobody is left in the network: the gateway needs no address there. */
static int
drop_address(struct sl_store_txn *t, const char *gi, json_t *body, int at, struct sl_error *e)
{
	if (at < 0)
		return 0;
	json_array_remove(json_object_get(body, "addresses"), (size_t)at);
	return sl_store_put(t, SL_KIND_GATEWAY_INTERFACE, gi, SL_REV_ANY, body, e);
}

int
alloc_release(struct sl_store_txn *t, const char *id, const char *peer, bool stays,
	      struct sl_error *e)
{
	char gi[SL_OBJ_ID], other[SL_OBJ_ID];
	const char *iface = "";
	struct sl_prefix net;
	json_t *body = NULL;
	struct sl_ip ip;
	int at = -1, rc = 0;

	if (split(id, gi, &iface, &ip) == 0 &&
	    sl_store_get(t->s, SL_KIND_GATEWAY_INTERFACE, gi, NULL, &body) == 0)
		at = find_address(body, &ip, &net);
	if (at >= 0 && stays)
		rc = who_is_in(t->s, iface, &net, peer, true, other, e);
	if (rc > 0) { /* still its own */
		json_decref(body);
		return 0;
	}
	if (at >= 0 && rc == 0)
		rc = who_is_in(t->s, iface, &net, peer, false, other, e);
	if (rc > 0) {
		rc = put_allocation(t, id, other, e);
	} else if (rc == 0) {
		rc = drop_address(t, gi, body, at, e);
		if (rc == 0)
			rc = sl_store_del(t, SL_KIND_ALLOCATION, id, SL_REV_ANY, e);
	}
	json_decref(body);
	return rc;
}

int
alloc_leave(struct sl_store_txn *t, const char *peer, struct sl_error *e)
{
	json_t *kept = json_object(), *v;
	const char *id;
	void *tmp;
	int rc = kept != NULL ? alloc_kept(t->s, peer, kept, e) : store_no_memory(e);

	json_object_foreach_safe(kept, tmp, id, v) if (rc == 0) rc =
		alloc_release(t, id, peer, false, e);
	json_decref(kept);
	return rc;
}
