/* SPDX-License-Identifier: BSD-3-Clause */
/* role.*: roles and who has them. */
#include <stdio.h>

#include "rpc_int.h"
#include "sl_gw_policy.h"
#include "sl_log.h"

int
ctl_role_check(struct sl_ctl *ctl, const char *name, struct sl_error *e)
{
	const struct sl_policy *p = sl_gw_policy(ctl->gw);

	for (unsigned i = 0; p && i < p->n_roles; i++)
		if (strcmp(p->roles[i].name, name) == 0)
			return 0;
	sl_fail(e, -ENOENT, "role_unknown", "/role", "the policy in force has no role \"%.63s\"",
		name);
	sl_hint(e, "role.list names them");
	return -ENOENT;
}

/* --- roles ----------------------------------------------------------------------------------- */

static json_t *
role_json(struct sl_ctl *ctl, const struct sl_policy *policy, const struct sl_pol_role *r)
{
	unsigned rules = 0;
	json_t *o;

	for (unsigned i = 0; i < policy->n_rules; i++)
		rules += strcmp(policy->rules[i].role, r->name) == 0;
	o = json_pack("{s:s, s:I, s:i, s:i, s:i}", "role", r->name, "id", (json_int_t)r->id,
		      "members", (int)r->n_members, "members_beside",
		      (int)sl_gw_members_beside(ctl->gw, r->name), "rules", (int)rules);
	if (o && r->desc)
		json_object_set_new(o, "description", json_string(r->desc));
	return o;
}

int
sl_rpc_h_role_list(void *user, const struct sl_rpc_caller *caller, const struct sl_rpc_role_list *p,
		   json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	const struct sl_policy *policy = sl_gw_policy(ctl->gw);
	struct ctl_page page;

	(void)caller;
	(void)e;
	ctl_page_init(&page, p->has_after, p->after, p->has_limit, p->limit);
	for (unsigned i = 0; policy && i < policy->n_roles && !page.more; i++)
		if (ctl_page_takes(&page))
			json_array_append_new(page.list, role_json(ctl, policy, &policy->roles[i]));
	return ctl_page_answer(&page, "roles", result);
}

/* --- members --------------------------------------------------------------------------------- */

struct members {
	struct sl_ctl *ctl;
	const char *role; /* NULL: all */
	struct ctl_page page;
};

static bool
add_member(void *ctx, const char *role, const struct sl_pol_member *m, enum sl_gw_giver giver)
{
	static const char *const source[] = {"static", "idp", "dynamic"};
	struct members *all = ctx;
	enum sl_gw_member_state state;
	json_t *o;

	if ((all->role && strcmp(role, all->role) != 0) || !ctl_page_takes(&all->page))
		return !all->page.more;
	state = sl_gw_member_state(all->ctl->gw, role, m);
	o = json_pack("{s:s, s:o, s:s, s:s, s:b, s:b, s:b}", "role", role, "member",
		      sl_gw_member_text(m), "source", source[m->source], "state",
		      sl_gw_member_state_text(state), "active",
		      (int)(state == SL_MEMBER_ACTIVE || state == SL_MEMBER_STALE), "beside",
		      (int)(giver == SL_GIVER_CALL), "control", (int)(giver == SL_GIVER_CONTROL));
	if (o && m->provider[0])
		json_object_set_new(o, "provider", json_string(m->provider));
	if (o && m->detail)
		json_object_set_new(o, "detail", json_string(m->detail));
	if (o && m->expires_ns)
		json_object_set_new(o, "expires", ctl_time(m->expires_ns));
	json_array_append_new(all->page.list, o);
	return true;
}

int
sl_rpc_h_role_members(void *user, const struct sl_rpc_caller *caller,
		      const struct sl_rpc_role_members *p, json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct members all = {.ctl = ctl, .role = p->has_role ? p->role : NULL};

	(void)caller;
	if (p->has_role && ctl_role_check(ctl, p->role, e))
		return -ENOENT;
	ctl_page_init(&all.page, p->has_after, p->after, p->has_limit, p->limit);
	sl_gw_member_walk(ctl->gw, add_member, &all);
	return ctl_page_answer(&all.page, "members", result);
}

/* --- changes --------------------------------------------------------------------------------- */

/** Peer or prefix, of an interface or not. */
static int
holder(const char *peer, const struct sl_prefix *prefix, const char *iface, struct sl_pol_member *m,
       struct sl_error *e)
{
	*m = (struct sl_pol_member){.source = SL_SOURCE_DYNAMIC};
	if (!(peer && peer[0]) == !prefix) {
		sl_fail(e, -EINVAL, "param_conflict", "",
			"exactly one of peer and prefix is given");
		return -EINVAL;
	}
	if (iface && strcmp(iface, "*") != 0)
		snprintf(m->place.iface, sizeof(m->place.iface), "%s", iface);
	if (prefix)
		m->place.prefix = *prefix;
	else
		snprintf(m->peer, sizeof(m->peer), "%s", peer);
	return 0;
}

struct change {
	struct sl_rpc_later *later; /* NULL: the caller waits */
	struct sl_gw *gw;
	bool add;
	char principal[64], role[SL_POL_NAME];
};

static json_t *
change_done(const struct change *c)
{
	sl_log(SL_LOG_NOTICE, "audit", "role.member.%s by %s: role %s", c->add ? "add" : "remove",
	       c->principal, c->role);
	return json_pack("{s:I}", "generation", (json_int_t)sl_gw_generation(c->gw));
}

static void
changed(void *ctx, int rc, const struct sl_error *e)
{
	struct change *c = ctx;

	sl_rpc_answer(c->later, rc, rc == 0 ? change_done(c) : NULL, e);
	free(c);
}

/** @return as a handler */
static int
change(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, bool add, const char *role,
       const struct sl_pol_member *m, json_t **result, struct sl_error *e)
{
	struct change one = {.gw = ctl->gw, .add = add}, *c;
	struct sl_rpc_later *later;
	int rc = sl_gw_check_managed(ctl->gw, NULL, e);

	if (rc)
		return rc;
	later = sl_rpc_later(caller);
	snprintf(one.principal, sizeof(one.principal), "%s", caller->principal);
	snprintf(one.role, sizeof(one.role), "%s", role);
	if (!later) {
		rc = add ? sl_gw_member_add(ctl->gw, role, m, e)
			 : sl_gw_member_del(ctl->gw, role, m, e);
		return rc ? rc : ctl_answer(result, change_done(&one));
	}
	one.later = later;
	c = malloc(sizeof(*c));
	if (c)
		*c = one;
	rc = c ? sl_gw_member_change(ctl->gw, add, role, m, changed, c, e)
	       : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	if (rc) {
		sl_rpc_answer(later, rc, NULL, e);
		free(c);
	}
	return SL_RPC_LATER;
}

int
sl_rpc_h_role_member_add(void *user, const struct sl_rpc_caller *caller,
			 const struct sl_rpc_role_member_add *p, json_t **result,
			 struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct sl_pol_member m;
	int rc = holder(p->peer, p->has_prefix ? &p->prefix : NULL, p->interface, &m, e);

	if (rc)
		return rc;
	if (p->has_expires && sl_time_parse(p->expires, &m.expires_ns)) {
		sl_fail(e, -EINVAL, "time_invalid", "/expires", "\"%.40s\" is no time", p->expires);
		sl_hint(e, "RFC 3339 in UTC: 2027-01-31T18:00:00Z");
		return -EINVAL;
	}
	if (p->has_user && !p->has_provider)
		return sl_fail(e, -EINVAL, "param_missing", "/provider",
			       "a user needs the provider that knows it");
	if (p->has_provider) {
		m.source = SL_SOURCE_IDP;
		snprintf(m.provider, sizeof(m.provider), "%s", p->provider);
	}
	m.detail = (char *)(uintptr_t)(p->has_provider ? p->user : p->reason);
	return change(ctl, caller, true, p->role, &m, result, e);
}

int
sl_rpc_h_role_member_remove(void *user, const struct sl_rpc_caller *caller,
			    const struct sl_rpc_role_member_remove *p, json_t **result,
			    struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct sl_pol_member m;
	int rc = holder(p->peer, p->has_prefix ? &p->prefix : NULL, p->interface, &m, e);

	return rc ? rc : change(ctl, caller, false, p->role, &m, result, e);
}
