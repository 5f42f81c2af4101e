/* SPDX-License-Identifier: BSD-3-Clause */
/* What people change leaves a record: who, from where, which call, how it was before and after; so
 * does each login from afar, and the number of those that were refused.
 * What a control plane or a configuration file sets does not: that is recorded where it is changed.
 */
#include <stdio.h>

#include "rpc_int.h"
#include "sl_gw_policy.h"
#include "sl_rpc_server.h"

#define TEXT_MAX 256U /* bytes of a text in a record */

static json_t *
peer_state(struct sl_ctl *ctl, const json_t *params)
{
	const char *iface = json_string_value(json_object_get(params, "interface"));
	const char *peer = json_string_value(json_object_get(params, "peer"));
	struct sl_gw_peer_info i;
	struct sl_pubkey key;
	struct sl_error e;

	if (peer == NULL)
		peer = json_string_value(json_object_get(params, "public_key"));
	if (sl_gw_peer_lookup(ctl->gw, iface, peer, &key, &e) != 0 ||
	    sl_gw_peer_info(ctl->gw, iface, &key, &i) != 0)
		return NULL;
	return ctl_peer_settings(&i);
}

static json_t *
iface_state(struct sl_ctl *ctl, const json_t *params)
{
	const char *name = json_string_value(json_object_get(params, "interface"));
	struct sl_gw_iface_info i;

	return sl_gw_iface_find(ctl->gw, name, &i) ? ctl_iface_settings(&i) : NULL;
}

static json_t *
policy_state(struct sl_ctl *ctl)
{
	struct sl_gw_policy_info i;

	sl_gw_policy_info(ctl->gw, &i);
	if (!i.loaded)
		return NULL;
	return json_pack("{s:I, s:I}", "version", (json_int_t)i.version, "generation",
			 (json_int_t)i.generation);
}

/** What a call may change and its parameters do not say. */
static json_t *
state_of(void *user, const char *method, const json_t *params)
{
	if (strncmp(method, "peer.", 5) == 0)
		return peer_state(user, params);
	if (strncmp(method, "interface.", 10) == 0)
		return iface_state(user, params);
	return strncmp(method, "policy.", 7) == 0 ? policy_state(user) : NULL;
}

/** A copy fit for a record: documents and long lists are told by their size. */
static json_t *
shorten(const json_t *v)
{
	json_t *o = json_object(), *item, *copy;
	const char *key;

	json_object_foreach ((json_t *)(uintptr_t)v, key, item) {
		if (json_string_length(item) > TEXT_MAX)
			copy = json_sprintf("(%zu bytes)", json_string_length(item));
		else if (json_array_size(item) > CTL_RECORD_ITEMS)
			copy = json_sprintf("(%zu items)", json_array_size(item));
		else
			copy = json_incref(item);
		json_object_set_new(o, key, copy);
	}
	return o;
}

/** Leave what differs. */
static void
differences(json_t *a, json_t *b)
{
	const char *key;
	json_t *item;
	void *tmp;

	json_object_foreach_safe(a, tmp, key, item)
	{
		if (!json_equal(item, json_object_get(b, key)))
			continue;
		json_object_del(b, key);
		json_object_del(a, key);
	}
}

static void
set_state(json_t *o, const char *name, json_t *state)
{
	if (json_object_size(state) > 0)
		json_object_set_new(o, name, shorten(state));
	json_decref(state);
}

/** Where peers are found is in no record. */
static json_t *
params_of(const struct sl_rpc_change *c)
{
	json_t *o = shorten(c->params);

	if (json_object_get(o, "endpoint") != NULL)
		json_object_set_new(o, "endpoint", json_string("(not recorded)"));
	return o;
}

static void
set_from(json_t *o, const struct sl_ip *from)
{
	if (from->family != 0)
		json_object_set_new(o, "from", ctl_ip(from));
}

/** The action: role.member.add is role-member-add. */
static void
action_of(const char *method, char *out, size_t room)
{
	snprintf(out, room, "%s", method);
	for (; *out != '\0'; out++)
		if (*out == '.' || *out == '_')
			*out = '-';
}

/** Does it only ask, or bring a part of what is to come? */
static bool
is_idle(const struct sl_rpc_change *c)
{
	if (json_is_true(json_object_get(c->params, "dry_run")))
		return true;
	return json_object_get(c->params, "part") != NULL &&
	       !json_is_true(json_object_get(c->params, "last"));
}

static void
done(void *user, const struct sl_rpc_change *c, int rc, const struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	json_t *o, *before, *after;
	char action[64];

	if (is_idle(c))
		return;
	o = json_pack("{s:s, s:s, s:o}", "method", c->method, "principal", c->principal, "params",
		      params_of(c));
	set_from(o, &c->from);
	if (rc == 0) {
		before = json_deep_copy(c->before);
		after = state_of(ctl, c->method, c->params);
		differences(before, after);
		set_state(o, "before", before);
		set_state(o, "after", after);
	} else {
		json_object_set_new(o, "reason", json_string(e->reason));
	}
	action_of(c->method, action, sizeof(action));
	sl_gw_event(ctl->gw, action, rc == 0 ? "success" : "failure", o);
}

static void
refused(void *user, const struct sl_rpc_caller *caller, const char *method, const char *reason)
{
	struct sl_ctl *ctl = user;
	bool local = strcmp(reason, "local_only_setting") == 0;
	json_t *o = json_pack("{s:s, s:s, s:s}", "method", method, "principal", caller->principal,
			      "reason", reason);

	if (caller->conn != NULL)
		set_from(o, sl_rpc_conn_from(caller->conn));
	sl_gw_event(ctl->gw, local ? "local-only-refused" : "role-refused", "failure", o);
}

static void
logged_in(void *user, struct sl_rpc_conn *c)
{
	const struct sl_principal *who = sl_rpc_conn_caller(c)->who;
	const struct sl_tls_id *id = sl_rpc_conn_id(c);
	struct sl_ctl *ctl = user;
	json_t *roles = json_array(), *o;

	for (unsigned r = 0; r < SL_SR_N; r++)
		if (who->roles & SL_SR_BIT(r))
			json_array_append_new(roles, json_string(sl_service_role_name(r)));
	o = json_pack("{s:s, s:o}", "principal", who->name, "roles", roles);
	set_from(o, sl_rpc_conn_from(c));
	if (id != NULL)
		json_object_set_new(o, "certificate", json_string(id->serial));
	sl_gw_event(ctl->gw, "user-login", "success", o);
}

/** Of logins that fail the number is told, and nothing that a stranger wrote. */
static void
login_refused(void *user, const char *source, uint64_t n)
{
	struct sl_ctl *ctl = user;

	sl_gw_event(ctl->gw, "user-login", "failure",
		    json_pack("{s:s, s:I}", "from", source, "count", (json_int_t)n));
}

int
sl_ctl_watch_logins(struct sl_ctl *ctl, struct sl_rpc_server *server)
{
	const struct sl_rpc_logins to = {.in = logged_in, .refused = login_refused, .ctx = ctl};

	return sl_rpc_server_on_login(server, &to);
}

void
ctl_trail_begin(struct sl_rpc *rpc)
{
	static const struct sl_rpc_trail trail = {.before = state_of, .done = done};

	sl_rpc_set_trail(rpc, &trail);
	sl_rpc_on_refusal(rpc, refused);
}
