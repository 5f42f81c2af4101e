/* SPDX-License-Identifier: BSD-3-Clause */
/* What each kind of object says about others: whom it refers to, which values are its alone, which
 * prefixes it has. The index tables hold just this and can be made anew from the objects. */
#include <stdio.h>

#include "store_int.h"
#include "sl_json.h"

static int
ref(const struct store_index_ops *o, enum sl_kind to, const char *id, unsigned flags,
    const char *path)
{
	return o->ref != NULL && id[0] != '\0' ? o->ref(o->ctx, to, id, flags, path) : 0;
}

static int
unique(const struct store_index_ops *o, const char *what, const char *scope, const char *value,
       const char *path)
{
	char both[256];

	if (o->unique == NULL || value[0] == '\0')
		return 0;
	snprintf(both, sizeof(both), "%s/%s", scope, value);
	return o->unique(o->ctx, what, both, path);
}

/** @param host the address alone, not the network that it stands in */
static int
net(const struct store_index_ops *o, const char *iface, const char *gateway, const char *text,
    bool host, const char *path)
{
	struct sl_prefix p;

	if (o->net == NULL || sl_prefix_parse(text, &p) < 0)
		return 0;
	if (host)
		p.len = p.ip.family == 4 ? 32 : 128;
	return o->net(o->ctx, iface, gateway, &p, path);
}

static int
nets(const struct store_index_ops *o, const char *iface, const char *gateway, const json_t *list,
     bool host, const char *field)
{
	char path[160];
	json_t *v;
	size_t i;
	int rc;

	json_array_foreach ((json_t *)(uintptr_t)list, i, v) {
		snprintf(path, sizeof(path), "%s/%zu", field, i);
		rc = net(o, iface, gateway, json_string_value(v) ?: "", host, path);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int
refs(const struct store_index_ops *o, enum sl_kind to, const json_t *list, unsigned flags,
     const char *field)
{
	char path[80];
	json_t *v;
	size_t i;
	int rc;

	json_array_foreach ((json_t *)(uintptr_t)list, i, v) {
		snprintf(path, sizeof(path), "%s/%zu", field, i);
		rc = ref(o, to, json_string_value(v) ?: "", flags, path);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* --- kinds ------------------------------------------------------------------------------------ */

static int
gateway(const char *id, const json_t *b, const struct store_index_ops *o)
{
	return refs(o, SL_KIND_INTERFACE, json_object_get(b, "interfaces"),
		    REF_MUST_EXIST | REF_RESTRICT, "/interfaces");
}

static int
gateway_interface(const char *id, const json_t *b, const struct store_index_ops *o)
{
	const char *gw = sl_json_text(b, "gateway"), *iface = sl_json_text(b, "interface");
	json_t *index = json_object_get(b, "index");
	char k[24] = "";
	int rc = ref(o, SL_KIND_GATEWAY, gw, REF_MUST_EXIST | REF_CASCADE, "/gateway");

	if (json_is_integer(index))
		snprintf(k, sizeof(k), "%" JSON_INTEGER_FORMAT, json_integer_value(index));
	if (rc == 0)
		rc = ref(o, SL_KIND_INTERFACE, iface, REF_MUST_EXIST | REF_RESTRICT, "/interface");
	if (rc == 0)
		rc = unique(o, "peer_key", iface, sl_json_text(b, "public_key"), "/public_key");
	if (rc == 0)
		rc = unique(o, "index", iface, k, "/index");
	if (rc == 0)
		rc = nets(o, iface, gw, json_object_get(b, "addresses"), true, "/addresses");
	return rc;
}

static int
peer_addresses(const json_t *b, const char *iface, const struct store_index_ops *o)
{
	char path[100];
	const char *gw;
	json_t *list;
	int rc = 0;

	json_object_foreach (json_object_get(b, "addresses"), gw, list) {
		snprintf(path, sizeof(path), "/addresses/%s", gw);
		rc = ref(o, SL_KIND_GATEWAY, gw, REF_MUST_EXIST | REF_ADDRESSES, path);
		if (rc == 0)
			rc = nets(o, iface, gw, list, false, path);
		if (rc != 0)
			break;
	}
	return rc;
}

static int
peer(const char *id, const json_t *b, const struct store_index_ops *o)
{
	const char *iface = sl_json_text(b, "interface");
	int rc = ref(o, SL_KIND_INTERFACE, iface, REF_MUST_EXIST | REF_RESTRICT, "/interface");

	if (rc == 0)
		rc = refs(o, SL_KIND_ROLE, json_object_get(b, "roles"),
			  REF_MUST_EXIST | REF_RESTRICT, "/roles");
	if (rc == 0)
		rc = unique(o, "peer_key", iface, sl_json_text(b, "public_key"), "/public_key");
	if (rc == 0 && strcmp(sl_json_text(b, "old_key"), sl_json_text(b, "public_key")) != 0)
		rc = unique(o, "peer_key", iface, sl_json_text(b, "old_key"), "/old_key");
	if (rc == 0)
		rc = nets(o, iface, "", json_object_get(b, "allowed_ips"), false, "/allowed_ips");
	return rc == 0 ? peer_addresses(b, iface, o) : rc;
}

static int
rule(const char *id, const json_t *b, const struct store_index_ops *o)
{
	json_t *to = json_object_get(b, "to"), *v;
	struct sl_prefix p;
	char path[40];
	const char *s, *at;
	char name[64];
	size_t i;
	int rc = ref(o, SL_KIND_ROLE, sl_json_text(b, "role"), REF_MUST_EXIST | REF_RESTRICT,
		     "/role");

	json_array_foreach (to, i, v) {
		s = json_string_value(v) ?: "*";
		at = strchr(s, '@');
		snprintf(name, sizeof(name), "%.*s", at != NULL ? (int)(at - s) : 63, s);
		if (rc != 0 || strcmp(s, "*") == 0 || sl_prefix_parse(name, &p) == 0)
			continue;
		snprintf(path, sizeof(path), "/to/%zu", i);
		rc = ref(o, SL_KIND_TARGET, s, REF_MUST_EXIST | REF_RESTRICT, path);
	}
	return rc;
}

static int
role_map(const char *id, const json_t *b, const struct store_index_ops *o)
{
	const char *member = sl_json_text(b, "member"), *iface = sl_json_text(b, "interface"), *at;
	const json_t *source = json_object_get(b, "source");
	char name[SL_OBJ_ID] = "";
	int rc = ref(o, SL_KIND_ROLE, sl_json_text(b, "role"), REF_MUST_EXIST | REF_RESTRICT,
		     "/role");

	if (rc == 0 && strcmp(iface, "*") != 0)
		rc = ref(o, SL_KIND_INTERFACE, iface, REF_MUST_EXIST | REF_RESTRICT, "/interface");
	if (strncmp(member, "peer:", 5) == 0) {
		at = strrchr(member, '@');
		snprintf(name, sizeof(name), "%.*s", at != NULL ? (int)(at - member) - 5 : 120,
			 member + 5);
	}
	/* whoever gets the name of a deleted peer must not get its roles */
	if (rc == 0)
		rc = ref(o, SL_KIND_PEER, name, REF_MUST_EXIST | REF_CASCADE, "/member");
	if (rc == 0)
		rc = ref(o, SL_KIND_PROVIDER, sl_json_text(source, "provider"), REF_RESTRICT,
			 "/source/provider");
	return rc;
}

static int
token(const char *id, const json_t *b, const struct store_index_ops *o)
{
	const char *bound = sl_json_text(b, "bound"), *name;
	json_t *v;
	size_t i;
	int rc = 0;

	json_array_foreach (json_object_get(b, "roles"), i, v) {
		name = json_string_value(v) ?: "";
		if (rc == 0 && strcmp(name, "gateway") == 0)
			rc = ref(o, SL_KIND_GATEWAY, bound, REF_CASCADE, "/bound");
		if (rc == 0 && (strcmp(name, "peer") == 0 || strcmp(name, "agent") == 0))
			rc = ref(o, SL_KIND_PEER, bound, REF_CASCADE, "/bound");
	}
	return rc;
}

/** "GATEWAY:INTERFACE:ADDRESS"; an IPv6 address has colons too. */
static int
allocation(const char *id, const json_t *b, const struct store_index_ops *o)
{
	const char *c1 = strchr(id, ':'), *c2 = c1 != NULL ? strchr(c1 + 1, ':') : NULL;
	char gw[SL_OBJ_SCOPE], iface[SL_OBJ_SCOPE];
	int rc;

	if (c2 == NULL) /* of a source that writes other ids */
		return 0;
	snprintf(gw, sizeof(gw), "%.*s", (int)(c1 - id), id);
	snprintf(iface, sizeof(iface), "%.*s", (int)(c2 - c1 - 1), c1 + 1);
	rc = ref(o, SL_KIND_PEER, sl_json_text(b, "peer"), REF_MUST_EXIST | REF_CASCADE, "/peer");
	if (rc == 0)
		rc = ref(o, SL_KIND_GATEWAY, gw, REF_MUST_EXIST | REF_CASCADE, "");
	return rc == 0 ? net(o, iface, gw, c2 + 1, true, "") : rc;
}

static int
migration(const char *id, const json_t *b, const struct store_index_ops *o)
{
	if (strncmp(id, "target:", 7) != 0)
		return 0;
	return ref(o, SL_KIND_TARGET, id + 7, REF_MUST_EXIST | REF_RESTRICT, "");
}

int
store_index_walk(enum sl_kind k, const char *id, const json_t *body,
		 const struct store_index_ops *ops)
{
	static int (*const of[SL_KIND_N])(const char *, const json_t *,
					  const struct store_index_ops *) = {
		[SL_KIND_GATEWAY] = gateway,
		[SL_KIND_GATEWAY_INTERFACE] = gateway_interface,
		[SL_KIND_PEER] = peer,
		[SL_KIND_RULE] = rule,
		[SL_KIND_ROLE_MAP] = role_map,
		[SL_KIND_TOKEN] = token,
		[SL_KIND_ALLOCATION] = allocation,
		[SL_KIND_MIGRATION] = migration,
	};

	return of[k] != NULL ? of[k](id, body, ops) : 0;
}
