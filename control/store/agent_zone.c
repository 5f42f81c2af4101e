/* SPDX-License-Identifier: BSD-3-Clause */
/* The zone of agents' networks: what gateways have addresses in for an agent is behind tunnels,
 * whatever wider networks of the document say. The zone is an object beside those of the document
 * and follows in the same transaction, whoever changes agents, gateways or the document. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_json.h"
#include "sl_policy_agents.h"
#include "store_int.h"

/* --- networks that agents have ---------------------------------------------------------------- */

struct agents {
	struct sl_store *s;
	json_t *beside; /* interface -> those that share a gateway with it */
	struct sl_pol_place *v;
	unsigned n, cap;
	int rc;
};

static void
add(struct agents *w, const struct sl_prefix *net, const char *iface)
{
	unsigned cap = w->cap > 0 ? 2 * w->cap : 64;
	struct sl_pol_place *v;

	if (w->n == w->cap) {
		v = realloc(w->v, cap * sizeof(*v));
		if (v == NULL) {
			w->rc = -ENOMEM;
			return;
		}
		w->v = v;
		w->cap = cap;
	}
	v = &w->v[w->n++];
	*v = (struct sl_pol_place){.prefix = *net};
	snprintf(v->iface, sizeof(v->iface), "%s", iface);
}

/** An address that an allocation gave to the gateway stands in an agent's network. From the other
 * interfaces of a gateway its addresses are looked at too. */
static void
add_network(struct agents *w, const char *id, const char *iface, const char *address)
{
	char name[SL_OBJ_ID], text[SL_IP_STR];
	struct sl_prefix net;
	const char *other;
	json_t *v;

	if (sl_prefix_parse(address, &net) != 0)
		return;
	snprintf(name, sizeof(name), "%.100s:%s", id, sl_ip_str(&net.ip, text));
	if (sl_store_get(w->s, SL_KIND_ALLOCATION, name, NULL, NULL) != 0)
		return;
	sl_prefix_mask(&net);
	add(w, &net, iface);
	json_object_foreach (json_object_get(w->beside, iface), other, v)
		if (w->rc == 0)
			add(w, &net, other);
}

static bool
gateway_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	json_t *body = json_loadb(text, len, 0, NULL), *v;
	const char *iface = sl_json_text(body, "interface");
	struct agents *w = ctx;
	size_t i;

	json_array_foreach (json_object_get(body, "addresses"), i, v)
		if (w->rc == 0)
			add_network(w, id, iface, json_string_value(v));
	json_decref(body);
	return w->rc == 0;
}

/** @param[out] out its `v` is to be freed, whatever comes */
static int
find_networks(struct sl_store *s, struct agents *out, struct sl_error *e)
{
	int rc;

	*out = (struct agents){.s = s};
	rc = store_neighbours(s, &out->beside, e);
	if (rc == 0)
		rc = sl_store_walk(s, SL_KIND_GATEWAY_INTERFACE, "", gateway_row, out, e);
	json_decref(out->beside);
	return rc == 0 && out->rc < 0 ? store_no_memory(e) : rc;
}

/* --- the zone --------------------------------------------------------------------------------- */

static json_t *
body_of(const struct sl_pol_zone *z)
{
	json_t *list = json_array();
	char text[SL_PREFIX_STR];

	for (unsigned i = 0; i < z->n_nets; i++)
		json_array_append_new(list,
				      json_sprintf("%s@%s", sl_prefix_str(&z->nets[i].prefix, text),
						   z->nets[i].iface));
	return json_pack("{s:I, s:s, s:o, s:s}", "id", (json_int_t)z->id, "type", "vpn", "networks",
			 list, "default_policy", "deny");
}

static int
write_zone(struct sl_store_txn *t, const struct sl_pol_zone *z, struct sl_error *e)
{
	json_t *body;
	int rc;

	if (z->n_nets == 0) {
		rc = sl_store_get(t->s, SL_KIND_ZONE, SL_POL_AGENT_ZONE, NULL, NULL);
		return rc == 0 ? sl_store_del(t, SL_KIND_ZONE, SL_POL_AGENT_ZONE, SL_REV_ANY, e)
			       : 0;
	}
	body = body_of(z);
	rc = body != NULL ? sl_store_put(t, SL_KIND_ZONE, SL_POL_AGENT_ZONE, SL_REV_ANY, body, e)
			  : store_no_memory(e);
	json_decref(body);
	return rc;
}

/** Networks that lie where they lay before are passed over: a document that was there is not
 * refused for them, for it cannot be mended here. */
static int
new_ones_fit(struct sl_store *s, const struct sl_policy *p, const struct agents *a,
	     struct sl_error *e)
{
	json_t *body = NULL, *listed = json_object(), *v;
	char text[SL_PREFIX_STR + sizeof(a->v->iface)], prefix[SL_PREFIX_STR];
	int rc = listed != NULL ? 0 : store_no_memory(e);
	size_t i;

	sl_store_get(s, SL_KIND_ZONE, SL_POL_AGENT_ZONE, NULL, &body);
	json_array_foreach (json_object_get(body, "networks"), i, v)
		json_object_set_new(listed, json_string_value(v), json_true());
	for (unsigned k = 0; rc == 0 && k < a->n; k++) {
		snprintf(text, sizeof(text), "%s@%s", sl_prefix_str(&a->v[k].prefix, prefix),
			 a->v[k].iface);
		if (json_object_get(listed, text) == NULL)
			rc = sl_policy_agents_fit(p, &a->v[k], 1, e);
	}
	json_decref(listed);
	json_decref(body);
	return rc;
}

int
store_agent_zone(struct sl_store_txn *t, const struct sl_policy *p, struct sl_error *e)
{
	struct sl_pol_zone z = {0};
	struct agents a;
	int rc = find_networks(t->s, &a, e);

	if (rc == 0 && p != NULL && t->zones)
		rc = sl_policy_agents_fit(p, a.v, a.n, e);
	else if (rc == 0 && p != NULL && t->places)
		rc = new_ones_fit(t->s, p, &a, e);
	if (rc == 0 && p != NULL)
		rc = sl_policy_agent_zone(p, a.v, a.n, &z) == 0 ? 0 : store_no_memory(e);
	if (rc == 0)
		rc = write_zone(t, &z, e);
	free(z.nets);
	free(a.v);
	return rc;
}

int
store_agents_fit(struct sl_store *s, const struct sl_policy *p, struct sl_error *e)
{
	struct agents a;
	int rc = find_networks(s, &a, e);

	rc = rc == 0 ? sl_policy_agents_fit(p, a.v, a.n, e) : rc;
	free(a.v);
	return rc;
}

int
sl_store_add_agents(struct sl_store *s, struct sl_policy *p, struct sl_error *e)
{
	struct agents a;
	int rc = sl_policy_no_agent_zone(p, e);

	if (rc < 0)
		return rc;
	rc = find_networks(s, &a, e);
	if (rc == 0 && sl_policy_add_agents(p, a.v, a.n) != 0)
		rc = store_no_memory(e);
	free(a.v);
	return rc;
}

/** A document of a program before may have a zone of that name, which is its author's. */
static int
check_name(struct sl_store *s, struct sl_error *e)
{
	uint32_t version = sl_store_policy_version(s);
	json_t *body = NULL, *doc;
	const char *text;
	char id[16];
	bool taken;

	snprintf(id, sizeof(id), "%u", version);
	if (sl_store_get(s, SL_KIND_ZONE, SL_POL_AGENT_ZONE, NULL, NULL) != 0 ||
	    sl_store_get(s, SL_KIND_POLICY_TEXT, id, NULL, &body) != 0)
		return 0;
	text = json_string_value(json_object_get(body, "text"));
	doc = text != NULL ? json_loads(text, 0, NULL) : NULL;
	taken = json_object_get(json_object_get(doc, "zones"), SL_POL_AGENT_ZONE) != NULL;
	json_decref(doc);
	json_decref(body);
	if (!taken)
		return 0;
	sl_fail(e, -EINVAL, "zone_reserved", "/zones/" SL_POL_AGENT_ZONE,
		"version %u of the policy document has a zone of the name that the control plane "
		"gives to the networks of agents",
		version);
	sl_hint(e, "start the program from before the update, put the document with another name "
		   "for this zone, then update");
	return -EINVAL;
}

int
sl_store_place_agents(struct sl_store *s, struct sl_error *e)
{
	struct sl_store_txn *t = NULL;
	int rc = check_name(s, e);

	if (rc == 0)
		t = sl_store_begin(s, "store", "networks of agents", e);
	if (t == NULL)
		return e->err;
	t->agents = true;
	return sl_store_commit(t, NULL, e);
}
