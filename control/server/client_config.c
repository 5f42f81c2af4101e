/* SPDX-License-Identifier: BSD-3-Clause */
#include "client_config.h"

#include <stdio.h>
#include <stdlib.h>

#include "migration.h"
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
put_list(FILE *f, const char *name, const json_t *list)
{
	json_t *v;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	fprintf(f, "%s = ", name);
	json_array_foreach ((json_t *)list, i, v) {
		fprintf(f, "%s%s", i > 0 ? ", " : "", json_string_value(v));
	}
	fputc('\n', f);
}

/** Every value was checked when it was put: none has a line break. */
static char *
file_text(const struct configs *x, const json_t *gi, const json_t *addresses)
{
	const json_t *keepalive = json_object_get(x->peer, "keepalive_s");
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	fprintf(f, "# %s at %s\n[Interface]\n# PrivateKey = (yours: it stays with you)\n", x->name,
		sl_json_text(gi, "gateway"));
	put_list(f, "Address", addresses);
	if (x->mtu != 0)
		fprintf(f, "MTU = %" JSON_INTEGER_FORMAT "\n", x->mtu);
	fprintf(f, "\n[Peer]\n");
	if (sl_json_text(gi, "public_key")[0] != '\0')
		fprintf(f, "PublicKey = %s\n", sl_json_text(gi, "public_key"));
	else
		fprintf(f, "# PublicKey = (the gateway has not told its key yet)\n");
	if (sl_json_text(gi, "endpoint")[0] != '\0')
		fprintf(f, "Endpoint = %s\n", sl_json_text(gi, "endpoint"));
	put_list(f, "AllowedIPs", x->routes);
	fprintf(f, "PersistentKeepalive = %d\n",
		json_is_integer(keepalive) ? (int)json_integer_value(keepalive) : KEEPALIVE_S);
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

static void
add_config(struct configs *x, const json_t *gi)
{
	json_t *addresses = addresses_at(x, sl_json_text(gi, "gateway")), *o;
	char *text = file_text(x, gi, addresses);

	o = json_pack("{s:s, s:s, s:o, s:O, s:s}", "gateway", sl_json_text(gi, "gateway"),
		      "interface", sl_json_text(gi, "interface"), "addresses", addresses,
		      "allowed_ips", x->routes, "text", text != NULL ? text : "");
	free(text);
	if (o != NULL && sl_json_text(gi, "endpoint")[0] != '\0')
		json_object_set(o, "endpoint", json_object_get(gi, "endpoint"));
	if (o != NULL && sl_json_text(gi, "public_key")[0] != '\0')
		json_object_set(o, "public_key", json_object_get(gi, "public_key"));
	json_array_append_new(x->list, o);
}

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
	       json_t **out, struct sl_error *e)
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
	if (rc == 0) {
		*out = x.list;
		return 0;
	}
	json_decref(x.list);
	return rc;
}
