/* SPDX-License-Identifier: BSD-3-Clause */
/* Inner addresses: given when a peer is made or later, released. */
#include <stdio.h>

#include "change.h"
#include "object.h"
#include "page.h"
#include "sl_alloc.h"

/* --- making one, with addresses --------------------------------------------------------------- */

/** A stock client: an address at each gateway that has a pool. */
static int
as_client(struct sl_store_txn *t, const char *iface, json_t *body, struct sl_error *e)
{
	json_t *addresses = json_object_get(body, "addresses");

	if (addresses == NULL) {
		addresses = json_object();
		json_object_set_new(body, "addresses", addresses);
	}
	return sl_alloc_client(t, iface, addresses, e);
}

/** An agent: a network of its own. It sends from its one address there, unless it routes for the
 * whole network. */
static int
as_agent(struct sl_store_txn *t, const char *iface, json_t *body, struct sl_prefix *out,
	 bool *in_vpn, struct sl_error *e)
{
	struct sl_prefix net, own;
	char text[SL_PREFIX_STR];
	int rc = sl_alloc_agent(t, SL_ALLOC_AGENTS, iface, &net, in_vpn, e);

	if (rc == 0)
		rc = sl_alloc_host(&net, SL_ALLOC_AGENT_HOST, &own.ip, e);
	if (rc != 0)
		return rc;
	own.len = own.ip.family == 6 ? 128 : 32;
	if (json_is_true(json_object_get(body, "subnet_router")))
		own = net;
	json_object_set_new(body, "allowed_ips", json_pack("[s]", sl_prefix_str(&own, text)));
	*out = net;
	return 0;
}

/** With a gateway's address in it the network lies in the zone of agents' networks. */
static int
warn_of_zone(struct sl_call *c, const struct sl_prefix *net)
{
	char text[SL_PREFIX_STR];
	json_t *list =
		json_pack("[o]", json_sprintf("%s lies in no zone of type vpn until a gateway "
					      "of the interface has an index",
					      sl_prefix_str(net, text)));

	return json_object_set_new(c->out, "warnings", list);
}

static int
create_with(struct sl_call *c, bool agent, struct sl_error *e)
{
	const char *name = json_string_value(json_object_get(c->body, "name"));
	const char *iface = json_string_value(json_object_get(c->body, "interface"));
	struct sl_store_txn *t = change_begin(c, e);
	struct sl_prefix net;
	bool in_vpn = true;
	json_t *body;
	int rc;

	if (t == NULL)
		return e->err;
	body = object_body(c, &peer_kind);
	rc = agent ? as_agent(t, iface, body, &net, &in_vpn, e) : as_client(t, iface, body, e);
	if (rc == 0)
		rc = object_store(t, &peer_kind, name, SL_REV_NONE, body, e);
	if (rc == 0 && agent)
		rc = sl_alloc_gateways(t, iface, &net, name, e);
	json_decref(body);
	rc = change_end(c, t, rc, e);
	if (rc != 0 || c->done)
		return rc;
	object_location(c, &peer_kind, name);
	rc = page_one(c, 201, SL_KIND_PEER, name, "peer", NULL, e);
	return rc == 0 && !in_vpn ? warn_of_zone(c, &net) : rc;
}

int
sl_op_create_peer(struct sl_call *c, struct sl_error *e)
{
	const char *how = c->q[SL_Q_ALLOCATE];

	if (how == NULL)
		return object_create(c, &peer_kind, e);
	if (strcmp(how, "client") == 0)
		return create_with(c, false, e);
	if (strcmp(how, "agent") == 0)
		return create_with(c, true, e);
	return sl_fail(e, -EINVAL, "param_invalid", "?allocate", "client or agent");
}

/* --- allocations ------------------------------------------------------------------------------ */

int
sl_op_list_allocations(struct sl_call *c, struct sl_error *e)
{
	return page_list(c, SL_KIND_ALLOCATION, NULL, NULL, e);
}

/** For a peer that is there: at the gateways where it has none yet. */
static int
more_addresses(struct sl_store_txn *t, const char *name, struct sl_error *e)
{
	json_t *was = NULL, *body;
	uint64_t rev;
	int rc;

	if (sl_store_txn_get(t, SL_KIND_PEER, name, &rev, &was) != 0)
		return sl_fail(e, -ENOENT, "not_found", "/peer", "there is no peer \"%.63s\"",
			       name);
	body = json_deep_copy(was);
	json_decref(was);
	rc = as_client(t, json_string_value(json_object_get(body, "interface")), body, e);
	if (rc == 0)
		rc = object_store(t, &peer_kind, name, rev, body, e);
	json_decref(body);
	return rc;
}

int
sl_op_create_allocation(struct sl_call *c, struct sl_error *e)
{
	const char *name = json_string_value(json_object_get(c->body, "peer"));
	struct sl_store_txn *t = change_begin(c, e);
	int rc;

	if (t == NULL)
		return e->err;
	rc = change_end(c, t, more_addresses(t, name, e), e);
	return rc != 0 || c->done ? rc : page_one(c, 201, SL_KIND_PEER, name, "peer", NULL, e);
}

/** Take the address of an allocation out of the peer's list at its gateway. */
static void
drop_address(json_t *peer, const char *id)
{
	const char *c1 = strchr(id, ':'), *c2 = c1 != NULL ? strchr(c1 + 1, ':') : NULL;
	char gateway[SL_OBJ_ID];
	json_t *list, *v;
	struct sl_prefix p;
	struct sl_ip ip;
	size_t i;

	if (c2 == NULL || sl_ip_parse(c2 + 1, &ip) != 0)
		return;
	snprintf(gateway, sizeof(gateway), "%.*s", (int)(c1 - id), id);
	list = json_object_get(json_object_get(peer, "addresses"), gateway);
	json_array_foreach (list, i, v) {
		if (sl_prefix_parse(json_string_value(v), &p) != 0 || !sl_ip_equal(&p.ip, &ip))
			continue;
		json_array_remove(list, i);
		break;
	}
	if (list != NULL && json_array_size(list) == 0)
		json_object_del(json_object_get(peer, "addresses"), gateway);
}

static int
release(struct sl_call *c, struct sl_store_txn *t, struct sl_error *e)
{
	json_t *allocation = NULL, *was = NULL, *body;
	const char *name;
	uint64_t rev;
	int rc = 0;

	if (sl_store_txn_get(t, SL_KIND_ALLOCATION, c->arg[0], NULL, &allocation) != 0)
		return sl_call_not_found("allocation", c->arg[0], e);
	name = json_string_value(json_object_get(allocation, "peer"));
	if (sl_store_txn_get(t, SL_KIND_PEER, name, &rev, &was) == 0) {
		body = json_deep_copy(was);
		drop_address(body, c->arg[0]);
		rc = object_store(t, &peer_kind, name, rev, body, e);
		json_decref(body);
	}
	if (rc == 0 && sl_store_txn_get(t, SL_KIND_ALLOCATION, c->arg[0], NULL, NULL) == 0) {
		rc = sl_fail(e, -EBUSY, "referenced", "",
			     "the gateway has it in the network of peer \"%.63s\"", name);
		sl_hint(e, "it goes with the last peer that has an address in that network");
	}
	json_decref(was);
	json_decref(allocation);
	return rc;
}

int
sl_op_delete_allocation(struct sl_call *c, struct sl_error *e)
{
	struct sl_store_txn *t = change_begin(c, e);
	int rc;

	if (t == NULL)
		return e->err;
	rc = change_end(c, t, release(c, t, e), e);
	if (rc == 0 && !c->done)
		c->status = 204;
	return rc;
}
