/* SPDX-License-Identifier: BSD-3-Clause */
/* Inner addresses of clients: the next free one of a gateway's pool, or one that is asked for. */
#include <stdio.h>
#include <stdlib.h>

#include "change.h"
#include "object.h"
#include "page.h"

#define LOOK_MAX 65536 /* addresses of a prefix that are looked at */

static const struct object_kind allocation_kind = {SL_KIND_ALLOCATION, "allocation", "allocations"};

int
sl_op_list_allocations(struct sl_call *c, struct sl_error *e)
{
	return page_list(c, SL_KIND_ALLOCATION, NULL, NULL, e);
}

struct want {
	struct sl_call *c;
	struct sl_store_txn *t;
	const char *gateway, *iface, *peer;
	struct sl_ip ip;
};

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "";
}

static void
allocation_id(const struct want *w, const struct sl_ip *ip, char id[SL_OBJ_ID])
{
	char text[SL_IP_STR];

	snprintf(id, SL_OBJ_ID, "%s:%s:%s", w->gateway, w->iface, sl_ip_str(ip, text));
}

/** Neither given out nor held by a peer or by the gateway itself. */
static bool
is_free(const struct want *w, const struct sl_ip *ip)
{
	char id[SL_OBJ_ID], value[SL_OBJ_ID + SL_PREFIX_STR], text[SL_PREFIX_STR];
	struct sl_prefix p = {.ip = *ip, .len = ip->family == 6 ? 128 : 32};
	struct sl_store *s = w->c->rest->c.store;

	allocation_id(w, ip, id);
	if (sl_store_get(s, SL_KIND_ALLOCATION, id, NULL, NULL) == 0)
		return false;
	sl_prefix_str(&p, text);
	snprintf(value, sizeof(value), "%s:%s/%s", w->gateway, w->iface, text);
	if (sl_store_unique(s, "prefix", value, id) == 0)
		return false;
	snprintf(value, sizeof(value), "%s/%s", w->iface, text);
	return sl_store_unique(s, "prefix", value, id) != 0;
}

static struct sl_ip
plus(const struct sl_ip *base, unsigned n)
{
	struct sl_ip ip = *base;
	unsigned at = sl_ip_bytes(base);

	while (n > 0 && at > 0) {
		unsigned sum = ip.b[--at] + (n & 0xff);

		ip.b[at] = (uint8_t)sum;
		n = (n >> 8) + (sum >> 8);
	}
	return ip;
}

/** The first free address of a prefix; of IPv4 neither its first nor its last one. */
static bool
first_free(struct want *w, const struct sl_prefix *p)
{
	unsigned bits = 8 * sl_ip_bytes(&p->ip) - p->len;
	unsigned n = bits >= 16 ? LOOK_MAX : 1u << bits;
	unsigned skip = bits > 1 ? 1 : 0, end = p->ip.family == 4 && bits > 1 && bits < 16 ? 1 : 0;

	for (unsigned i = skip; i < n - end; i++) {
		struct sl_ip ip = plus(&p->ip, i);

		if (is_free(w, &ip)) {
			w->ip = ip;
			return true;
		}
	}
	return false;
}

static int
choose(struct want *w, const json_t *gi, struct sl_error *e)
{
	const json_t *pool = json_object_get(gi, "client_pool");
	struct sl_prefix p;
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)pool, i, v) {
		if (sl_prefix_parse(json_string_value(v), &p) == 0 && first_free(w, &p))
			return 0;
	}
	sl_fail(e, -ENOSPC, json_array_size(pool) > 0 ? "pool_exhausted" : "pool_empty", "",
		"the client_pool of %s:%s has no free address", w->gateway, w->iface);
	sl_hint(e, "add a prefix to its client_pool, or remove peers that are gone");
	return -ENOSPC;
}

/** One that is asked for lies in the pool. */
static int
take(struct want *w, const json_t *gi, const char *address, struct sl_error *e)
{
	const json_t *pool = json_object_get(gi, "client_pool");
	struct sl_prefix p;
	json_t *v;
	size_t i;

	if (sl_ip_parse(address, &w->ip) != 0)
		return sl_fail(e, -EINVAL, "ip_invalid", "/address", "\"%.46s\" is no address",
			       address);
	json_array_foreach ((json_t *)pool, i, v) {
		if (sl_prefix_parse(json_string_value(v), &p) == 0 &&
		    sl_prefix_contains(&p, &w->ip))
			return is_free(w, &w->ip) ? 0
						  : sl_fail(e, -EEXIST, "exists", "/address",
							    "%.46s is given out already", address);
	}
	return sl_fail(e, -EINVAL, "pool_foreign", "/address",
		       "%.46s does not lie in the client_pool of %s:%s", address, w->gateway,
		       w->iface);
}

/** The peer has it from now on. */
static int
give(struct want *w, struct sl_error *e)
{
	struct sl_prefix p = {.ip = w->ip, .len = w->ip.family == 6 ? 128 : 32};
	json_t *peer = NULL, *body, *addresses, *list;
	char text[SL_PREFIX_STR];
	uint64_t rev;
	int rc;

	if (sl_store_txn_get(w->t, SL_KIND_PEER, w->peer, &rev, &peer) != 0)
		return sl_call_not_found("peer", w->peer, e);
	body = json_deep_copy(peer);
	json_decref(peer);
	if (strcmp(text_of(body, "interface"), w->iface) != 0) {
		json_decref(body);
		return sl_fail(e, -EINVAL, "interface_mismatch", "/peer",
			       "the peer does not belong to interface %s", w->iface);
	}
	addresses = json_object_get(body, "addresses");
	if (addresses == NULL) {
		addresses = json_object();
		json_object_set_new(body, "addresses", addresses);
	}
	list = json_object_get(addresses, w->gateway);
	if (list == NULL) {
		list = json_array();
		json_object_set_new(addresses, w->gateway, list);
	}
	json_array_append_new(list, json_string(sl_prefix_str(&p, text)));
	rc = sl_store_put(w->t, SL_KIND_PEER, w->peer, rev, body, e);
	json_decref(body);
	return rc;
}

static int
allocate(struct want *w, char id[SL_OBJ_ID], struct sl_error *e)
{
	const char *address = json_string_value(json_object_get(w->c->body, "address"));
	json_t *gi = NULL, *body;
	int rc;

	snprintf(id, SL_OBJ_ID, "%s:%s", w->gateway, w->iface);
	if (sl_store_txn_get(w->t, SL_KIND_GATEWAY_INTERFACE, id, NULL, &gi) != 0)
		return sl_call_not_found("gateway interface", id, e);
	rc = address != NULL ? take(w, gi, address, e) : choose(w, gi, e);
	json_decref(gi);
	if (rc == 0)
		rc = give(w, e);
	if (rc != 0)
		return rc;
	allocation_id(w, &w->ip, id);
	body = json_pack("{s:s}", "peer", w->peer);
	rc = sl_store_put(w->t, SL_KIND_ALLOCATION, id, SL_REV_NONE, body, e);
	json_decref(body);
	return rc;
}

int
sl_op_create_allocation(struct sl_call *c, struct sl_error *e)
{
	struct want w = {.c = c,
			 .t = change_begin(c, e),
			 .gateway = text_of(c->body, "gateway"),
			 .iface = text_of(c->body, "interface"),
			 .peer = text_of(c->body, "peer")};
	char id[SL_OBJ_ID];
	int rc;

	if (w.t == NULL)
		return e->err;
	rc = change_end(c, w.t, allocate(&w, id, e), e);
	if (rc != 0 || c->done)
		return rc;
	object_location(c, &allocation_kind, id);
	return page_one(c, 201, SL_KIND_ALLOCATION, id, "allocation", e);
}

/* --- release ---------------------------------------------------------------------------------- */

/** Take the address out of the peer's list at this gateway. */
static int
take_back(struct sl_store_txn *t, const char *id, const char *peer, struct sl_error *e)
{
	const char *c1 = strchr(id, ':'), *c2 = c1 != NULL ? strchr(c1 + 1, ':') : NULL;
	json_t *was = NULL, *body, *list, *v;
	struct sl_prefix p;
	struct sl_ip ip;
	char gateway[SL_OBJ_ID];
	uint64_t rev;
	size_t i;
	int rc = 0;

	if (c2 == NULL || sl_ip_parse(c2 + 1, &ip) != 0 ||
	    sl_store_txn_get(t, SL_KIND_PEER, peer, &rev, &was) != 0)
		return 0;
	body = json_deep_copy(was);
	json_decref(was);
	snprintf(gateway, sizeof(gateway), "%.*s", (int)(c1 - id), id);
	list = json_object_get(json_object_get(body, "addresses"), gateway);
	json_array_foreach (list, i, v) {
		if (sl_prefix_parse(json_string_value(v), &p) != 0 || !sl_ip_equal(&p.ip, &ip))
			continue;
		json_array_remove(list, i);
		if (json_array_size(list) == 0)
			json_object_del(json_object_get(body, "addresses"), gateway);
		rc = sl_store_put(t, SL_KIND_PEER, peer, rev, body, e);
		break;
	}
	json_decref(body);
	return rc;
}

int
sl_op_delete_allocation(struct sl_call *c, struct sl_error *e)
{
	struct sl_store_txn *t = change_begin(c, e);
	json_t *body = NULL;
	int rc;

	if (t == NULL)
		return e->err;
	if (sl_store_txn_get(t, SL_KIND_ALLOCATION, c->arg[0], NULL, &body) != 0)
		rc = sl_call_not_found("allocation", c->arg[0], e);
	else
		rc = sl_store_del(t, SL_KIND_ALLOCATION, c->arg[0], sl_call_if_rev(c), e);
	if (rc == 0)
		rc = take_back(t, c->arg[0], text_of(body, "peer"), e);
	json_decref(body);
	rc = change_end(c, t, rc, e);
	if (rc == 0 && !c->done)
		c->status = 204;
	return rc;
}
