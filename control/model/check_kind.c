/* SPDX-License-Identifier: BSD-3-Clause */
/* What an object's fields and its id say of each other. */
#include <stdio.h>

#include "model_int.h"

#define PORT_REFUSED 443

/** At the field. */
static int
not_the_id(struct model_check *c, const char *field)
{
	sl_json_fail_at(&c->at, field, "id_mismatch", "\"%s\" differs from what the id says",
			field);
	sl_hint(c->at.e, "change the one or the other");
	return -EINVAL;
}

/** Does the id consist of two fields? */
static int
check_two(struct model_check *c, const char *id, const char *first, char between,
	  const char *second, const json_t *body)
{
	const char *a = sl_json_text(body, first), *b = sl_json_text(body, second);
	size_t n = strlen(a);

	if (strncmp(id, a, n) != 0 || id[n] != between)
		return not_the_id(c, first);
	return strcmp(id + n + 1, b) == 0 ? 0 : not_the_id(c, second);
}

static int
check_port(struct model_check *c, const json_t *body)
{
	if (json_integer_value(json_object_get(body, "listen_port")) != PORT_REFUSED)
		return 0;
	sl_json_fail_at(&c->at, "listen_port", "port_443",
			"UDP port 443 is not available to tunnels");
	sl_hint(c->at.e, "choose another port, for example 51820");
	return -EINVAL;
}

int
model_also_interface(struct model_check *c, const char *id, json_t *body)
{
	if (json_is_true(json_object_get(body, "snat"))) {
		sl_json_fail_at(&c->at, "snat", "not_supported",
				"gateways do not translate source addresses yet");
		sl_hint(c->at.e, "leave it out, and give each gateway a client_pool that servers "
				 "route to it");
		return -EINVAL;
	}
	return check_port(c, body);
}

int
model_also_gateway_interface(struct model_check *c, const char *id, json_t *body)
{
	int rc = check_two(c, id, "gateway", ':', "interface", body);

	return rc == 0 ? check_port(c, body) : rc;
}

int
model_also_peer(struct model_check *c, const char *id, json_t *body)
{
	const char *old = sl_json_text(body, "old_key");
	bool until = json_object_get(body, "old_key_until") != NULL;

	if (old[0] == '\0' && until)
		return sl_json_fail_at(&c->at, "old_key", "field_missing",
				       "\"old_key\" is missing beside old_key_until");
	if (old[0] != '\0' && !until)
		return sl_json_fail_at(&c->at, "old_key_until", "field_missing",
				       "\"old_key_until\" is missing beside old_key");
	if (strcmp(old, sl_json_text(body, "public_key")) == 0)
		return sl_json_fail_at(&c->at, "old_key", "value_duplicate",
				       "the old key is the present one");
	return 0;
}

int
model_also_rule(struct model_check *c, const char *id, json_t *body)
{
	const char *role = sl_json_text(body, "role"), *slash = strchr(id, '/');
	char number[24];

	if (strncmp(id, role, strlen(role)) != 0 || id[strlen(role)] != '/')
		return not_the_id(c, "role");
	snprintf(number, sizeof(number), "%lld",
		 (long long)json_integer_value(json_object_get(body, "id")));
	return strcmp(slash + 1, number) == 0 ? 0 : not_the_id(c, "id");
}

/** "*" is for sources that no tunnel owns; a member that names an interface names this one. */
int
model_also_role_map(struct model_check *c, const char *id, json_t *body)
{
	const char *member = sl_json_text(body, "member"), *iface = sl_json_text(body, "interface");
	const char *at = strrchr(member, '@');
	int rc = check_two(c, id, "role", ':', "member", body);

	if (rc < 0)
		return rc;
	if (strcmp(iface, "*") != 0 && !model_is_interface(iface))
		return sl_json_fail_at(&c->at, "interface", "interface_invalid",
				       "\"%.40s\" cannot name an interface", iface);
	if (at != NULL && strcmp(at + 1, iface) != 0) {
		sl_json_fail_at(&c->at, "interface", "interface_mismatch",
				"the member is of interface %.15s", at + 1);
		sl_hint(c->at.e, "write \"interface\": \"%.15s\"", at + 1);
		return -EINVAL;
	}
	if (strcmp(iface, "*") == 0 && strncmp(member, "peer:", 5) == 0) {
		sl_json_fail_at(&c->at, "interface", "interface_invalid",
				"a peer belongs to one interface; * is for prefixes that no tunnel "
				"owns");
		sl_hint(c->at.e, "name the interface of the peer");
		return -EINVAL;
	}
	return model_check_member(c, body);
}

/** Every prefix of the pool holds at least one of what it gives. */
int
model_also_pool(struct model_check *c, const char *id, json_t *body)
{
	json_int_t len = json_integer_value(json_object_get(body, "prefix_len"));
	struct sl_prefix p;
	json_t *v;
	size_t i;

	json_array_foreach (json_object_get(body, "prefixes"), i, v) {
		if (sl_prefix_parse(json_string_value(v), &p) < 0 ||
		    (len >= p.len && len <= (json_int_t)sl_ip_bytes(&p.ip) * 8))
			continue;
		return sl_json_fail_at(&c->at, "prefix_len", "field_range",
				       "no prefix of length %lld fits in %.60s", (long long)len,
				       json_string_value(v));
	}
	return 0;
}

static int
only(struct model_check *c, json_t *body, const char *needed, const char *const fields[], size_t n)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json_object_get(body, needed) == NULL)
		return sl_json_fail_at(&c->at, needed, "field_missing", "\"%s\" is missing",
				       needed);
	json_object_foreach (body, key, v) {
		for (i = 0; i < n && strcmp(fields[i], key) != 0; i++)
			;
		if (i < n || strcmp(key, needed) == 0 ||
		    model_field(model_kind(SL_KIND_MIGRATION)->fields, key) == NULL)
			continue;
		return sl_json_fail_at(&c->at, key, "field_unknown",
				       "\"%s\" is not of this object, but of the other form", key);
	}
	return 0;
}

int
model_also_migration(struct model_check *c, const char *id, json_t *body)
{
	static const char *const deployment[] = {"major"};
	static const char *const target[] = {"since", "distribute", "baseline", "history"};

	if (strcmp(id, "deployment") == 0)
		return only(c, body, "phase", deployment, SL_ARRAY_SIZE(deployment));
	return only(c, body, "state", target, SL_ARRAY_SIZE(target));
}
