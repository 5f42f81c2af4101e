/* SPDX-License-Identifier: BSD-3-Clause */
/* policy.status, policy.show, target.list, zone.list. */
#include <stdio.h>

#include "rpc_int.h"
#include "sl_gw_policy.h"

#define PIECE 32768 /* bytes of text in one string */
#define PIECES 16

/* --- texts ----------------------------------------------------------------------------------- */

json_t *
ctl_time(uint64_t wall_ns)
{
	char text[32];

	return json_string(sl_time_str(wall_ns, text));
}

json_t *
ctl_place(const struct sl_pol_place *p)
{
	char text[SL_PREFIX_STR];

	sl_prefix_str(&p->prefix, text);
	return p->iface[0] ? json_sprintf("%s@%s", text, p->iface) : json_string(text);
}

static json_t *
places(const struct sl_pol_place *p, unsigned n)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, ctl_place(&p[i]));
	return list;
}

static void
set_text(json_t *o, const char *name, const char *text)
{
	if (text && text[0])
		json_object_set_new(o, name, json_string(text));
}

/* --- status ---------------------------------------------------------------------------------- */

static json_t *
limit_json(unsigned used, unsigned cap, unsigned max)
{
	return json_pack("{s:i, s:i, s:i}", "used", (int)used, "capacity", (int)cap, "max",
			 (int)max);
}

int
sl_rpc_h_policy_status(void *user, const struct sl_rpc_caller *caller, const void *p,
		       json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	const struct sl_policy *policy = sl_gw_policy(ctl->gw);
	struct sl_gw_policy_info i;
	unsigned n_lints;
	json_t *o;

	(void)caller;
	(void)p;
	(void)e;
	sl_gw_policy_info(ctl->gw, &i);
	sl_gw_policy_lints(ctl->gw, &n_lints);
	o = json_pack("{s:b, s:b, s:I, s:I, s:I, s:s, s:f, s:f, s:i, s:I, s:I, s:I, s:i, s:i, s:i, "
		      "s:{s:o, s:o, s:o}}",
		      "loaded", (int)i.loaded, "compiling", (int)i.compiling, "version",
		      (json_int_t)i.version, "generation", (json_int_t)i.generation,
		      "identity_generation", (json_int_t)i.identity_generation, "origin", i.origin,
		      "compile_ms", (double)i.compile_ns / 1e6, "publish_ms",
		      (double)i.publish_ns / 1e6, "rules", policy ? (int)policy->n_rules : 0,
		      "entries_v4", (json_int_t)i.entries4, "entries_v6", (json_int_t)i.entries6,
		      "tables_bytes", (json_int_t)i.acl_bytes, "tests", (int)i.tests, "lints",
		      (int)n_lints, "members_beside", (int)i.dynamic, "limits", "prefixes",
		      limit_json(i.use.prefixes, i.use.prefixes_cap, i.prefixes_max), "roles",
		      limit_json(i.use.roles, i.use.roles_cap, i.roles_max), "rules_per_role",
		      limit_json(i.use.rules_max, i.use.rules_cap, i.use.rules_cap));
	if (o && i.loaded)
		json_object_set_new(o, "loaded_at", ctl_time(i.loaded_wall_ns));
	if (o && i.next_change_ns)
		json_object_set_new(o, "next_change", ctl_time(i.next_change_ns));
	set_text(o, "last_error", i.last_error);
	set_text(o, "problem", i.broken);
	return ctl_answer(result, o);
}

/* --- show ------------------------------------------------------------------------------------ */

static json_t *
rule_to(const struct sl_pol_rule *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->n_to; i++) {
		const struct sl_pol_to *t = &r->to[i];
		bool again = t->any && i > 0 && r->to[i - 1].any;

		if (t->target[0])
			json_array_append_new(list, json_string(t->target));
		else if (t->any && !again) /* "*" is two prefixes */
			json_array_append_new(list, json_string("*"));
		else if (!t->any)
			json_array_append_new(list, ctl_place(&t->place));
	}
	return list;
}

static json_t *
rule_ports(const struct sl_pol_rule *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->n_ports; i++) {
		const struct sl_pol_ports *p = &r->ports[i];

		json_array_append_new(list, p->lo == p->hi ? json_sprintf("%u", p->lo)
							   : json_sprintf("%u-%u", p->lo, p->hi));
	}
	return list;
}

static json_t *
rule_flags(const struct sl_pol_rule *r, uint64_t now_ns)
{
	json_t *list = json_array();

	if (r->bidirectional)
		json_array_append_new(list, json_string("bidirectional"));
	if (r->log > 1)
		json_array_append_new(list, json_sprintf("sample:1/%u", r->log));
	else if (r->log)
		json_array_append_new(list, json_string("log"));
	if (!r->enabled)
		json_array_append_new(list, json_string("off"));
	if (r->not_before_ns > now_ns)
		json_array_append_new(list, json_string("not_yet"));
	if (r->expires_ns && r->expires_ns <= now_ns)
		json_array_append_new(list, json_string("over"));
	return list;
}

static json_t *
rule_json(const struct sl_pol_rule *r, uint64_t now_ns)
{
	char proto[8];
	json_t *o = json_pack("{s:o, s:s, s:i, s:o, s:o, s:s, s:o, s:o}", "rule",
			      json_sprintf("%s/%u", r->role, r->id), "action",
			      r->allow ? "allow" : "deny", "priority", (int)r->priority, "src",
			      ctl_prefixes(r->src, r->n_src), "to", rule_to(r), "protocol",
			      sl_proto_str(r->proto, proto), "ports", rule_ports(r), "flags",
			      rule_flags(r, now_ns));

	if (o && r->expires_ns)
		json_object_set_new(o, "expires", ctl_time(r->expires_ns));
	set_text(o, "description", r->desc);
	return o;
}

static int
show_rules(struct sl_ctl *ctl, const struct sl_rpc_policy_show *p, json_t **result,
	   struct sl_error *e)
{
	const struct sl_policy *policy = sl_gw_policy(ctl->gw);
	uint64_t now = sl_gw_wall_ns(ctl->gw);
	struct ctl_page page;

	if (p->has_role && ctl_role_check(ctl, p->role, e))
		return -ENOENT;
	ctl_page_init(&page, p->has_after, p->after, p->has_limit, p->limit);
	for (unsigned i = 0; policy && i < policy->n_rules && !page.more; i++) {
		const struct sl_pol_rule *r = &policy->rules[i];

		if ((!p->has_role || strcmp(r->role, p->role) == 0) && ctl_page_takes(&page))
			json_array_append_new(page.list, rule_json(r, now));
	}
	return ctl_page_answer(&page, "rules", result);
}

/** Begin of the piece that byte `at` falls into: no character is cut. */
static size_t
whole(const char *text, size_t len, size_t at)
{
	at = SL_MIN(at, len);
	while (at > 0 && at < len && (text[at] & 0xc0) == 0x80)
		at--;
	return at;
}

static int
show_text(const struct sl_rpc_policy_show *p, const char *text, size_t len, json_t **result)
{
	uint64_t after = (uint64_t)p->after, limit = p->has_limit ? (uint64_t)p->limit : PIECES;
	json_t *list = json_array(), *o;
	uint64_t i;

	for (i = after; i < after + limit && i * PIECE < len; i++) {
		size_t from = whole(text, len, i * PIECE), to = whole(text, len, (i + 1) * PIECE);

		json_array_append_new(list, json_stringn(text + from, to - from));
	}
	o = json_pack("{s:o}", "text", list);
	if (o && i * PIECE < len)
		json_object_set_new(o, "next", json_integer((json_int_t)i));
	return ctl_answer(result, o);
}

int
sl_rpc_h_policy_show(void *user, const struct sl_rpc_caller *caller,
		     const struct sl_rpc_policy_show *p, json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	const char *text;
	size_t len;

	(void)caller;
	if (p->part == 0)
		return show_rules(ctl, p, result, e);
	text = p->part == 1 ? sl_gw_policy_text(ctl->gw, &len)
			    : sl_gw_policy_canonical(ctl->gw, &len);
	return show_text(p, text, len, result);
}

/* --- targets and zones ----------------------------------------------------------------------- */

/** The mode that a target's addresses have; "mixed" if not all the same. */
static const char *
target_mode(struct sl_ctl *ctl, const struct sl_pol_target *t)
{
	enum sl_authz_mode first = SL_MODE_OBSERVE;

	for (unsigned i = 0; i < t->n_addrs; i++) {
		enum sl_authz_mode m = sl_gw_mode_of(ctl->gw, &t->addrs[i].prefix.ip);

		if (i == 0)
			first = m;
		if (m != first)
			return "mixed";
	}
	return first == SL_MODE_ENFORCE ? "enforce" : "observe";
}

int
sl_rpc_h_target_list(void *user, const struct sl_rpc_caller *caller,
		     const struct sl_rpc_target_list *p, json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	const struct sl_policy *policy = sl_gw_policy(ctl->gw);
	struct ctl_page page;
	json_t *o;

	(void)caller;
	(void)e;
	ctl_page_init(&page, p->has_after, p->after, p->has_limit, p->limit);
	for (unsigned i = 0; policy && i < policy->n_targets && !page.more; i++) {
		const struct sl_pol_target *t = &policy->targets[i];

		if (!ctl_page_takes(&page))
			continue;
		o = json_pack("{s:s, s:o, s:s}", "target", t->name, "addresses",
			      places(t->addrs, t->n_addrs), "mode", target_mode(ctl, t));
		set_text(o, "description", t->desc);
		if (t->withdrawn)
			json_object_set_new(o, "withdrawn", json_true());
		json_array_append_new(page.list, o);
	}
	return ctl_page_answer(&page, "targets", result);
}

int
sl_rpc_h_zone_list(void *user, const struct sl_rpc_caller *caller, const struct sl_rpc_zone_list *p,
		   json_t **result, struct sl_error *e)
{
	static const char *const type[] = {"internal", "vpn", "external"};
	struct sl_ctl *ctl = user;
	const struct sl_policy *policy = sl_gw_policy(ctl->gw);
	struct ctl_page page;

	(void)caller;
	(void)e;
	ctl_page_init(&page, p->has_after, p->after, p->has_limit, p->limit);
	for (unsigned i = 0; policy && i < policy->n_zones && !page.more; i++) {
		const struct sl_pol_zone *z = &policy->zones[i];

		if (ctl_page_takes(&page))
			json_array_append_new(page.list,
					      json_pack("{s:s, s:I, s:s, s:o, s:s}", "zone",
							z->name, "id", (json_int_t)z->id, "type",
							type[z->type], "networks",
							places(z->nets, z->n_nets),
							"default_policy",
							z->allow ? "allow" : "deny"));
	}
	return ctl_page_answer(&page, "zones", result);
}
