/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects that need no more than what all have in common. */
#include "object.h"
#include "page.h"
#include "settings.h"
#include "sl_alloc.h"
#include "sl_env.h"
#include "sl_json.h"

/* OPS_RW(peer, peers, Peer kind): handlers of one kind, all alike */
#define OPS(one, many, kind_, what_, collection_, after_)                                          \
	static const struct object_kind one##_kind = {kind_, what_, collection_, after_};          \
	CHANGE(one)
#define CHANGE(one)                                                                                \
	int sl_op_create_##one(struct sl_call *c, struct sl_error *e)                              \
	{                                                                                          \
		return object_create(c, &one##_kind, e);                                           \
	}                                                                                          \
	int sl_op_put_##one(struct sl_call *c, struct sl_error *e)                                 \
	{                                                                                          \
		return object_put(c, &one##_kind, e);                                              \
	}                                                                                          \
	int sl_op_delete_##one(struct sl_call *c, struct sl_error *e)                              \
	{                                                                                          \
		return object_delete(c, &one##_kind, e);                                           \
	}
#define READ(one, many)                                                                            \
	int sl_op_list_##many(struct sl_call *c, struct sl_error *e)                               \
	{                                                                                          \
		return page_list(c, one##_kind.kind, NULL, one##_kind.show, e);                    \
	}                                                                                          \
	int sl_op_get_##one(struct sl_call *c, struct sl_error *e)                                 \
	{                                                                                          \
		return object_get(c, &one##_kind, e);                                              \
	}
#define PATCH(one)                                                                                 \
	int sl_op_patch_##one(struct sl_call *c, struct sl_error *e)                               \
	{                                                                                          \
		return object_patch(c, &one##_kind, e);                                            \
	}

OPS(interface, interfaces, SL_KIND_INTERFACE, "interface", "interfaces", NULL)
READ(interface, interfaces)
PATCH(interface)
OPS(provider, providers, SL_KIND_PROVIDER, "provider", "providers", NULL)
READ(provider, providers)
OPS(pool, pools, SL_KIND_POOL, "pool", "pools", NULL)
READ(pool, pools)
OPS(gateway, gateways, SL_KIND_GATEWAY, "gateway", "gateways", NULL)
PATCH(gateway)
OPS(gateway_interface, gateway_interfaces, SL_KIND_GATEWAY_INTERFACE, "gateway interface",
    "gateway-interfaces", sl_alloc_join)
PATCH(gateway_interface)

/* --- a role map shows whether it holds -------------------------------------------------------- */

/** By its own time and this server's clock; its ETag stays what it is. */
static json_t *
show_role_map(struct sl_call *c, const char *id, uint64_t rev, json_t *body)
{
	const char *expires = sl_json_text(body, "expires_at");
	json_t *o = page_object(id, rev, body);
	uint64_t until;
	bool over = expires[0] != '\0' && sl_time_parse(expires, &until) == 0 &&
		    until <= sl_clock_wall_ns();

	if (o != NULL)
		json_object_set_new(o, "state", json_string(over ? "expired" : "active"));
	return o;
}

static const struct object_kind role_map_kind = {SL_KIND_ROLE_MAP, "role map", "role-maps", NULL,
						 show_role_map,	   "state"};
CHANGE(role_map)
READ(role_map, role_maps)

/* --- a setting is there before it is stored --------------------------------------------------- */

static json_t *
show_setting(struct sl_call *c, const char *id, uint64_t rev, json_t *body)
{
	return sl_setting_show(id, rev, json_object_get(body, "value"));
}

static const struct object_kind setting_kind = {SL_KIND_SETTING, "setting", "settings", NULL,
						show_setting};

int
sl_op_list_settings(struct sl_call *c, struct sl_error *e)
{
	return page_list_names(c, SL_KIND_SETTING, sl_setting_name, show_setting, e);
}

int
sl_op_get_setting(struct sl_call *c, struct sl_error *e)
{
	if (sl_setting_known(c->arg[0]) &&
	    sl_store_get(c->store, SL_KIND_SETTING, c->arg[0], NULL, NULL) == -ENOENT)
		return sl_call_answer(c, 200, sl_setting_show(c->arg[0], 0, NULL), e);
	return object_get(c, &setting_kind, e);
}

int
sl_op_put_setting(struct sl_call *c, struct sl_error *e)
{
	int rc = sl_setting_check(c->arg[0], json_object_get(c->body, "value"), e);

	/* as they were answered */
	json_object_del(c->body, "default");
	json_object_del(c->body, "set");
	return rc == 0 ? object_put(c, &setting_kind, e) : rc;
}

int
sl_op_delete_setting(struct sl_call *c, struct sl_error *e)
{
	return object_delete(c, &setting_kind, e);
}

/* --- what was revoked ------------------------------------------------------------------------- */

static const struct object_kind revocation_kind = {SL_KIND_CRL, "revocation", "revocations"};
READ(revocation, revocations)

int
sl_op_put_revocation(struct sl_call *c, struct sl_error *e)
{
	if (strncmp(c->arg[0], "token:", 6) != 0)
		return object_put(c, &revocation_kind, e);
	sl_fail(e, -EINVAL, "delete_token", "", "a token is revoked by DELETE /tokens/ID");
	sl_hint(e, "here certificates are revoked: cert:SERIAL");
	return -EINVAL;
}

/* --- a gateway sees itself alone -------------------------------------------------------------- */

static bool
own_gateway(struct sl_call *c, const char *id, const json_t *body)
{
	return !sl_call_is_scoped(c, SL_SR_GATEWAY) || strcmp(id, c->who.bound) == 0;
}

int
sl_op_list_gateways(struct sl_call *c, struct sl_error *e)
{
	return page_list(c, SL_KIND_GATEWAY, own_gateway, NULL, e);
}

int
sl_op_get_gateway(struct sl_call *c, struct sl_error *e)
{
	int rc = sl_call_own(c, SL_SR_GATEWAY, c->arg[0], e);

	return rc != 0 ? rc : object_get(c, &gateway_kind, e);
}

static bool
wanted_interface(struct sl_call *c, const char *id, const json_t *body)
{
	const char *gateway = json_string_value(json_object_get(body, "gateway"));

	if (gateway == NULL)
		return false;
	if (sl_call_is_scoped(c, SL_SR_GATEWAY) && strcmp(gateway, c->who.bound) != 0)
		return false;
	return c->q[SL_Q_GATEWAY] == NULL || strcmp(gateway, c->q[SL_Q_GATEWAY]) == 0;
}

int
sl_op_list_gateway_interfaces(struct sl_call *c, struct sl_error *e)
{
	return page_list(c, SL_KIND_GATEWAY_INTERFACE, wanted_interface, NULL, e);
}

int
sl_op_get_gateway_interface(struct sl_call *c, struct sl_error *e)
{
	char gateway[SL_OBJ_ID];
	size_t n = strcspn(c->arg[0], ":");
	int rc;

	if (n >= sizeof(gateway))
		return sl_call_not_found("gateway interface", c->arg[0], e);
	memcpy(gateway, c->arg[0], n);
	gateway[n] = '\0';
	rc = sl_call_own(c, SL_SR_GATEWAY, gateway, e);
	return rc != 0 ? rc : object_get(c, &gateway_interface_kind, e);
}
