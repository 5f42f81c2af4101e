/* SPDX-License-Identifier: BSD-3-Clause */
#include "client_config.h"

#include <stdio.h>
#include <stdlib.h>

#include "migration.h"
#include "sl_alloc.h"
#include "sl_json.h"

#define KEEPALIVE_S 25

/* --- routes ----------------------------------------------------------------------------------- */

struct routes {
	struct sl_store *s;
	const char *name;
	const json_t *peer;
	bool migrating;
	json_t *list;
};

static bool
by_tunnel(const struct routes *r, const char *target)
{
	uint64_t rev;
	json_t *entry = migration_entry(r->s, target, &rev);
	bool yes = rev == 0 ? !r->migrating : migration_distributes(entry, r->name, r->peer);

	json_decref(entry);
	return yes;
}

/** Places are written PREFIX or PREFIX@INTERFACE; a bare address is a whole one. */
static void
add_route(json_t *list, const char *place)
{
	char text[64], canon[SL_PREFIX_STR];
	struct sl_prefix p;
	json_t *v;
	size_t i;

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(place, "@"), place);
	if (sl_prefix_parse(text, &p) != 0)
		return;
	sl_prefix_str(&p, canon);
	json_array_foreach (list, i, v) {
		if (strcmp(json_string_value(v), canon) == 0)
			return;
	}
	json_array_append_new(list, json_string(canon));
}

static bool
each_target(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct routes *r = ctx;
	json_t *body, *v;
	size_t i;

	if (!by_tunnel(r, id))
		return true;
	body = json_loadb(text, len, 0, NULL);
	json_array_foreach (json_object_get(body, "addresses"), i, v) {
		add_route(r->list, json_string_value(v));
	}
	json_decref(body);
	return true;
}

json_t *
client_routes(struct sl_store *s, const char *name, const json_t *peer, struct sl_error *e)
{
	struct routes r = {.s = s, .name = name, .peer = peer, .list = json_array()};

	r.migrating = sl_store_get(s, SL_KIND_MIGRATION, "deployment", NULL, NULL) == 0;
	if (r.list != NULL && sl_store_walk(s, SL_KIND_TARGET, "", each_target, &r, e) == 0)
		return r.list;
	json_decref(r.list);
	return NULL;
}

/* --- configs ---------------------------------------------------------------------------------- */

struct configs {
	struct sl_store *s;
	const char *name, *gateway; /* gateway: the wanted one, NULL: all */
	const json_t *peer, *routes;
	json_int_t mtu; /* of the interface, 0: the usual one */
	json_t *list;
	json_t *agent; /* its address, in an array; NULL: a stock client */
};

static bool
is_enabled(struct sl_store *s, const char *gateway)
{
	json_t *body = NULL;
	bool yes = sl_store_get(s, SL_KIND_GATEWAY, gateway, NULL, &body) == 0 &&
		   !json_is_false(json_object_get(body, "enabled"));

	json_decref(body);
	return yes;
}

static void
put_list(FILE *f, const char *name, const json_t *list, const char *none)
{
	json_t *v;
	size_t i;

	if (json_array_size(list) == 0) {
		fprintf(f, "# %s = (%s)\n", name, none);
		return;
	}
	fprintf(f, "%s = ", name);
	json_array_foreach ((json_t *)list, i, v) {
		fprintf(f, "%s%s", i > 0 ? ", " : "", json_string_value(v));
	}
	fputc('\n', f);
}

/** Every value was checked when it was put: none has a line break. */
static void
put_interface(FILE *f, const struct configs *x, const char *gateway, const json_t *addresses)
{
	fprintf(f, "# %s%s%s\n[Interface]\n# PrivateKey = (yours: it stays with you)\n", x->name,
		gateway[0] != '\0' ? " at " : "", gateway);
	put_list(f, "Address", addresses, "you have none at this gateway yet");
	if (x->mtu != 0)
		fprintf(f, "MTU = %" JSON_INTEGER_FORMAT "\n", x->mtu);
}

static void
put_gateway(FILE *f, const struct configs *x, const json_t *gi, const json_t *routes)
{
	const json_t *keepalive = json_object_get(x->peer, "keepalive_s");

	fprintf(f, "\n[Peer]\n");
	if (sl_json_text(gi, "public_key")[0] != '\0')
		fprintf(f, "PublicKey = %s\n", sl_json_text(gi, "public_key"));
	else
		fprintf(f, "# PublicKey = (the gateway has not told its key yet)\n");
	if (sl_json_text(gi, "endpoint")[0] != '\0')
		fprintf(f, "Endpoint = %s\n", sl_json_text(gi, "endpoint"));
	put_list(f, "AllowedIPs", routes, "no target is for you yet");
	fprintf(f, "PersistentKeepalive = %d\n",
		json_is_integer(keepalive) ? (int)json_integer_value(keepalive) : KEEPALIVE_S);
}

static char *
file_text(const struct configs *x, const json_t *gi, const json_t *addresses, const json_t *routes)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	put_interface(f, x, sl_json_text(gi, "gateway"), addresses);
	put_gateway(f, x, gi, routes);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static json_t *
addresses_at(const struct configs *x, const char *gateway)
{
	json_t *own = json_object_get(json_object_get(x->peer, "addresses"), gateway);
	json_t *list = json_copy(json_object_get(x->peer, "allowed_ips"));

	if (list == NULL)
		list = json_array();
	if (json_is_array(own))
		json_array_extend(list, own);
	return list;
}

/* --- agents ----------------------------------------------------------------------------------- */

static bool
holds_peer(const struct configs *x, const struct sl_prefix *net, struct sl_prefix *at)
{
	json_t *v;
	size_t i;

	json_array_foreach (json_object_get(x->peer, "allowed_ips"), i, v)
		if (sl_prefix_parse(json_string_value(v), at) == 0 &&
		    at->ip.family == net->ip.family && sl_prefix_overlaps(net, at))
			return true;
	return false;
}

/** Where the gateway was given an address in the peer's network. @param[out] own it, in its network
 * @param[out] at the peer's prefix */
static bool
agent_network(const struct configs *x, const json_t *gi, struct sl_prefix *own,
	      struct sl_prefix *at)
{
	char id[SL_OBJ_ID], text[SL_IP_STR];
	json_t *v;
	size_t i;

	json_array_foreach (json_object_get(gi, "addresses"), i, v) {
		if (sl_prefix_parse(json_string_value(v), own) != 0 || !holds_peer(x, own, at))
			continue;
		snprintf(id, sizeof(id), "%.63s:%.15s:%s", sl_json_text(gi, "gateway"),
			 sl_json_text(gi, "interface"), sl_ip_str(&own->ip, text));
		if (sl_store_get(x->s, SL_KIND_ALLOCATION, id, NULL, NULL) == 0)
			return true;
	}
	return false;
}

/** An agent has one interface for all gateways, and reaches each at its address there. */
static void
as_agent(struct configs *x, const struct sl_prefix *own, const struct sl_prefix *at,
	 json_t **addresses, json_t **routes)
{
	struct sl_prefix host = *own, net = *own;
	unsigned bits = own->ip.family == 6 ? 128 : 32;
	char text[SL_PREFIX_STR];
	struct sl_error e;

	host.len = (uint8_t)bits;
	sl_prefix_mask(&net);
	if (at->len == bits)
		net.ip = at->ip;
	else /* it routes for the whole network */
		sl_alloc_host(&net, SL_ALLOC_AGENT_HOST, &net.ip, &e);
	*addresses = json_pack("[s]", sl_prefix_str(&net, text));
	*routes = json_pack("[s]", sl_prefix_str(&host, text));
	json_decref(x->agent);
	x->agent = json_incref(*addresses);
}

static void
add_config(struct configs *x, const json_t *gi)
{
	json_t *addresses, *routes, *o;
	struct sl_prefix own, at;
	char *text;

	if (agent_network(x, gi, &own, &at)) {
		as_agent(x, &own, &at, &addresses, &routes);
	} else {
		addresses = addresses_at(x, sl_json_text(gi, "gateway"));
		routes = json_incref((json_t *)x->routes);
	}
	text = file_text(x, gi, addresses, routes);
	o = json_pack("{s:s, s:s, s:o, s:o, s:s}", "gateway", sl_json_text(gi, "gateway"),
		      "interface", sl_json_text(gi, "interface"), "addresses", addresses,
		      "allowed_ips", routes, "text", text != NULL ? text : "");
	free(text);
	if (o != NULL && sl_json_text(gi, "endpoint")[0] != '\0')
		json_object_set(o, "endpoint", json_object_get(gi, "endpoint"));
	if (o != NULL && sl_json_text(gi, "public_key")[0] != '\0')
		json_object_set(o, "public_key", json_object_get(gi, "public_key"));
	json_array_append_new(x->list, o);
}

/** The one file of an agent; gateways that nobody can dial yet come with a later one. */
static json_t *
agent_text(const struct configs *x)
{
	char *text = NULL;
	json_t *out, *o;
	size_t len, i;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	put_interface(f, x, "", x->agent);
	json_array_foreach (x->list, i, o)
		if (sl_json_text(o, "public_key")[0] != '\0' &&
		    sl_json_text(o, "endpoint")[0] != '\0')
			put_gateway(f, x, o, json_object_get(o, "allowed_ips"));
	out = fclose(f) == 0 ? json_string(text) : NULL;
	free(text);
	return out;
}

/* --- all -------------------------------------------------------------------------------------- */

static bool
each_gateway_interface(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text,
		       size_t len)
{
	struct configs *x = ctx;
	json_t *gi = json_loadb(text, len, 0, NULL);
	const char *gateway = sl_json_text(gi, "gateway");

	if (strcmp(sl_json_text(gi, "interface"), sl_json_text(x->peer, "interface")) == 0 &&
	    (x->gateway == NULL || strcmp(x->gateway, gateway) == 0) && is_enabled(x->s, gateway))
		add_config(x, gi);
	json_decref(gi);
	return true;
}

static json_int_t
mtu_of(struct sl_store *s, const char *iface)
{
	json_t *body = NULL;
	json_int_t mtu = 0;

	if (sl_store_get(s, SL_KIND_INTERFACE, iface, NULL, &body) == 0)
		mtu = json_integer_value(json_object_get(body, "mtu"));
	json_decref(body);
	return mtu;
}

int
client_configs(struct sl_store *s, const char *name, const json_t *peer, const char *gateway,
	       json_t **out, json_t **text, struct sl_error *e)
{
	struct configs x = {.s = s, .name = name, .gateway = gateway, .peer = peer};
	json_t *routes = client_routes(s, name, peer, e);
	int rc;

	if (routes == NULL)
		return sl_fail(e, -EIO, "store_io", "", "the targets cannot be read");
	x.routes = routes;
	x.mtu = mtu_of(s, sl_json_text(peer, "interface"));
	x.list = json_array();
	rc = sl_store_walk(s, SL_KIND_GATEWAY_INTERFACE, "", each_gateway_interface, &x, e);
	json_decref(routes);
	*text = rc == 0 && x.agent != NULL ? agent_text(&x) : NULL;
	json_decref(x.agent);
	if (rc == 0) {
		*out = x.list;
		return 0;
	}
	json_decref(x.list);
	return rc;
}
