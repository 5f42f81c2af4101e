/* SPDX-License-Identifier: BSD-3-Clause */
/* From a model to its document: what is left out is what the parser takes for granted. */
#include <stdio.h>

#include "doc_int.h"

/** Set a key; a missing value or memory spoils the whole, as json_object_set_new() does. */
static void
set(json_t *o, bool *ok, const char *key, json_t *v)
{
	*ok &= json_object_set_new(o, key, v) == 0;
}

static void
set_text(json_t *o, bool *ok, const char *key, const char *s)
{
	if (s != NULL && s[0] != '\0')
		set(o, ok, key, json_string(s));
}

static void
set_time(json_t *o, bool *ok, const char *key, uint64_t ns)
{
	char buf[32];

	if (ns != 0)
		set(o, ok, key, json_string(sl_time_str(ns, buf)));
}

static void
push(json_t *a, bool *ok, json_t *v)
{
	*ok &= json_array_append_new(a, v) == 0;
}

/** @return the object or array, or NULL if something in it is missing */
static json_t *
whole(json_t *v, bool ok)
{
	if (ok)
		return v;
	json_decref(v);
	return NULL;
}

static json_t *
emit_prefix(const struct sl_prefix *p)
{
	char buf[SL_PREFIX_STR];

	return json_string(sl_prefix_str(p, buf));
}

static json_t *
emit_place(const struct sl_pol_place *p, bool always_iface)
{
	const char *iface = p->iface[0] != '\0' ? p->iface : "*";
	char buf[SL_PREFIX_STR];

	sl_prefix_str(&p->prefix, buf);
	if (p->iface[0] == '\0' && !always_iface)
		return json_string(buf);
	return json_sprintf("%s@%s", buf, iface);
}

static json_t *
emit_places(const struct sl_pol_place *p, unsigned n)
{
	json_t *a = json_array();
	bool ok = a != NULL;

	for (unsigned i = 0; i < n; i++)
		push(a, &ok, emit_place(&p[i], false));
	return whole(a, ok);
}

static json_t *
emit_proto(unsigned proto)
{
	char buf[8];
	const char *s = sl_proto_str(proto, buf);

	return s == buf ? json_integer(proto) : json_string(s);
}

static json_t *
emit_action(bool allow)
{
	return json_string(allow ? "allow" : "deny");
}

/* --- zones, targets, roles -------------------------------------------------------------------- */

static json_t *
emit_zone(const struct sl_pol_zone *z)
{
	static const char *const type[] = {"internal", "vpn", "external"};
	json_t *o = json_object();
	bool ok = o != NULL;

	set(o, &ok, "id", json_integer(z->id));
	set(o, &ok, "type", json_string(type[z->type]));
	set(o, &ok, "networks", emit_places(z->nets, z->n_nets));
	set(o, &ok, "default_policy", emit_action(z->allow));
	return whole(o, ok);
}

static json_t *
emit_target(const struct sl_pol_target *t)
{
	json_t *o = json_object();
	bool ok = o != NULL;

	set(o, &ok, "addresses", emit_places(t->addrs, t->n_addrs));
	set_text(o, &ok, "description", t->desc);
	if (t->withdrawn)
		set(o, &ok, "withdrawn", json_true());
	return whole(o, ok);
}

static json_t *
emit_source(const struct sl_pol_member *m)
{
	static const char *const type[] = {"static", "idp", "dynamic"};
	static const char *const detail[] = {"file", "user", "reason"};
	json_t *o = json_object();
	bool ok = o != NULL;

	set(o, &ok, "type", json_string(type[m->source]));
	set_text(o, &ok, "provider", m->provider);
	if (m->detail != NULL)
		set(o, &ok, detail[m->source], json_string(m->detail));
	return whole(o, ok);
}

static json_t *
emit_member(const struct sl_pol_member *m)
{
	bool plain = m->expires_ns == 0 && m->source == SL_SOURCE_STATIC && m->detail == NULL;
	json_t *o;
	bool ok;

	if (plain && m->peer[0] == '\0')
		return emit_place(&m->place, true);
	if (plain && m->place.iface[0] == '\0' && strchr(m->peer, '@') == NULL)
		return json_sprintf("peer:%s", m->peer);
	if (plain)
		return json_sprintf("peer:%s@%s", m->peer,
				    m->place.iface[0] != '\0' ? m->place.iface : "*");
	o = json_object();
	ok = o != NULL;
	if (m->peer[0] != '\0') {
		set(o, &ok, "peer", json_string(m->peer));
		set_text(o, &ok, "interface", m->place.iface);
	} else {
		set(o, &ok, "prefix", emit_place(&m->place, true));
	}
	set_time(o, &ok, "expires", m->expires_ns);
	if (m->source != SL_SOURCE_STATIC || m->detail != NULL)
		set(o, &ok, "source", emit_source(m));
	return whole(o, ok);
}

static json_t *
emit_role(const struct sl_pol_role *r)
{
	json_t *o = json_object(), *a = json_array();
	bool ok = o != NULL && a != NULL;

	if (r->id != 0)
		set(o, &ok, "id", json_integer(r->id));
	set_text(o, &ok, "description", r->desc);
	if (r->on_idp_down == SL_IDP_DENY)
		set(o, &ok, "on_idp_down", json_string("deny"));
	for (unsigned i = 0; i < r->n_members; i++)
		push(a, &ok, emit_member(&r->members[i]));
	set(o, &ok, "members", a);
	return whole(o, ok);
}

/* --- rules ------------------------------------------------------------------------------------ */

static json_t *
emit_src(const struct sl_pol_rule *r)
{
	json_t *a = json_array();
	bool ok = a != NULL;

	for (unsigned i = 0; i < r->n_src; i++)
		push(a, &ok, emit_prefix(&r->src[i]));
	return whole(a, ok);
}

static json_t *
emit_to(const struct sl_pol_rule *r)
{
	json_t *a = json_array();
	bool ok = a != NULL;

	for (unsigned i = 0; i < r->n_to; i++) {
		const struct sl_pol_to *t = &r->to[i];

		push(a, &ok,
		     t->any		    ? json_string("*")
		     : t->target[0] != '\0' ? json_string(t->target)
					    : emit_place(&t->place, false));
	}
	return whole(a, ok);
}

static json_t *
emit_ports(const struct sl_pol_rule *r)
{
	json_t *a = json_array();
	bool ok = a != NULL;

	for (unsigned i = 0; i < r->n_ports; i++) {
		const struct sl_pol_ports *p = &r->ports[i];

		push(a, &ok,
		     p->lo == p->hi ? json_integer(p->lo) : json_sprintf("%u-%u", p->lo, p->hi));
	}
	return whole(a, ok);
}

static json_t *
emit_rule(const struct sl_pol_rule *r)
{
	json_t *o = json_object();
	bool ok = o != NULL;

	set(o, &ok, "id", json_integer(r->id));
	set(o, &ok, "role", json_string(r->role));
	if (r->n_src > 0)
		set(o, &ok, "src", emit_src(r));
	set(o, &ok, "to", emit_to(r));
	set(o, &ok, "protocol", emit_proto(r->proto));
	if (r->n_ports > 0)
		set(o, &ok, "ports", emit_ports(r));
	set(o, &ok, "action", emit_action(r->allow));
	if (r->priority != SL_POL_PRIORITY)
		set(o, &ok, "priority", json_integer(r->priority));
	if (r->bidirectional)
		set(o, &ok, "bidirectional", json_true());
	if (r->log != 1)
		set(o, &ok, "log",
		    r->log == 0 ? json_false() : json_sprintf("sample:1/%u", r->log));
	if (!r->enabled)
		set(o, &ok, "enabled", json_false());
	set_time(o, &ok, "not_before", r->not_before_ns);
	set_time(o, &ok, "expires", r->expires_ns);
	set_text(o, &ok, "description", r->desc);
	return whole(o, ok);
}

/* --- tests ------------------------------------------------------------------------------------ */

/** The end that is a peer's. */
static json_t *
emit_peer(const struct sl_pol_test *t)
{
	json_t *o = json_object(), *a = t->n_roles > 0 ? json_array() : NULL;
	bool ok = o != NULL;
	char buf[SL_IP_STR];

	set_text(o, &ok, "peer", t->peer);
	for (unsigned i = 0; i < t->n_roles; i++)
		push(a, &ok, json_string(t->roles[i]));
	if (t->n_roles > 0)
		set(o, &ok, "roles", a);
	if (t->from.family != 0)
		set(o, &ok, "address", json_string(sl_ip_str(&t->from, buf)));
	if (t->inside.family == 0)
		set_text(o, &ok, "interface", t->iface);
	return whole(o, ok);
}

static json_t *
emit_inside(const struct sl_pol_test *t)
{
	json_t *o = json_object();
	bool ok = o != NULL;
	char buf[SL_IP_STR];

	set(o, &ok, "inside", json_string(sl_ip_str(&t->inside, buf)));
	if (t->sport != 0)
		set(o, &ok, "port", json_integer(t->sport));
	set_text(o, &ok, "interface", t->iface);
	return whole(o, ok);
}

static json_t *
emit_test_to(const struct sl_pol_test *t)
{
	char buf[SL_IP_STR];

	if (t->inside.family != 0)
		return emit_peer(t);
	return json_string(t->to_target[0] != '\0' ? t->to_target : sl_ip_str(&t->to, buf));
}

static json_t *
emit_test(const struct sl_pol_test *t)
{
	json_t *o = json_object();
	bool ok = o != NULL;

	set_text(o, &ok, "name", t->name);
	set(o, &ok, "from", t->inside.family != 0 ? emit_inside(t) : emit_peer(t));
	set(o, &ok, "to", emit_test_to(t));
	set(o, &ok, "protocol", emit_proto(t->proto));
	if (t->port != 0)
		set(o, &ok, "port", json_integer(t->port));
	set(o, &ok, "expect", emit_action(t->expect_allow));
	if (t->rule_role[0] != '\0')
		set(o, &ok, "rule", json_sprintf("%s/%u", t->rule_role, t->rule_id));
	return whole(o, ok);
}

/* --- all -------------------------------------------------------------------------------------- */

json_t *
sl_policy_doc_emit(const struct sl_policy *p)
{
	json_t *o = json_object(), *zones = json_object(), *targets = json_object();
	json_t *roles = json_object(), *rules = json_array(), *tests = json_array();
	bool ok = true;

	for (unsigned i = 0; i < p->n_zones; i++)
		set(zones, &ok, p->zones[i].name, emit_zone(&p->zones[i]));
	for (unsigned i = 0; i < p->n_targets; i++)
		set(targets, &ok, p->targets[i].name, emit_target(&p->targets[i]));
	for (unsigned i = 0; i < p->n_roles; i++)
		set(roles, &ok, p->roles[i].name, emit_role(&p->roles[i]));
	for (unsigned i = 0; i < p->n_rules; i++)
		push(rules, &ok, emit_rule(&p->rules[i]));
	for (unsigned i = 0; i < p->n_tests; i++)
		push(tests, &ok, emit_test(&p->tests[i]));
	set(o, &ok, "version", json_integer(p->version));
	set(o, &ok, "zones", zones);
	set(o, &ok, "targets", targets);
	set(o, &ok, "roles", roles);
	set(o, &ok, "rules", rules);
	set(o, &ok, "tests", tests);
	return whole(o, ok);
}
