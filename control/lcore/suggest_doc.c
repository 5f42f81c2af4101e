/* SPDX-License-Identifier: BSD-3-Clause */
/* Suggested rules as parts of a document, and the document in force with them. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "evidence_int.h"
#include "gw.h"
#include "sl_policy_agents.h"
#include "sl_policy_doc.h"
#include "suggest_int.h"

#define LEFT_MAX 256
#define LAST_PRIORITY 255

/* --- roles ---------------------------------------------------------------------------------------
 */

void
sg_begin(struct sg *s)
{
	const struct sl_policy *p = s->policy;
	unsigned i;

	for (i = 0; p != NULL && i < p->n_zones; i++)
		s->zone_allows |= p->zones[i].allow;
}

void
sg_end(struct sg *s)
{
	unsigned i;

	for (i = 0; i < s->n_roles; i++) {
		json_decref(s->role[i].members);
		json_decref(s->role[i].known);
		json_decref(s->role[i].sources[0]);
		json_decref(s->role[i].sources[1]);
	}
	free(s->role);
	json_decref(s->left_out);
}

static bool
role_taken(const struct sg *s, const char *name)
{
	const struct sl_policy *p = s->policy;
	unsigned i;

	for (i = 0; p != NULL && i < p->n_roles; i++)
		if (strcmp(p->roles[i].name, name) == 0)
			return true;
	for (i = 0; i < s->n_roles; i++)
		if (strcmp(s->role[i].name, name) == 0)
			return true;
	return false;
}

/* "observed-WHO", with what a name may not hold replaced, and a number if it is taken. */
static void
role_name(const struct sg *s, const char *who, char name[SL_POL_NAME])
{
	char base[SL_POL_NAME];
	unsigned i;

	snprintf(base, sizeof(base), "observed-%.46s", who); /* room for a number */
	for (i = 0; base[i] != '\0'; i++)
		if (!isalnum((unsigned char)base[i]) && strchr("_.-", base[i]) == NULL)
			base[i] = '-';
	snprintf(name, SL_POL_NAME, "%s", base);
	for (i = 2; role_taken(s, name) && i < 1000000; i++)
		snprintf(name, SL_POL_NAME, "%.55s-%u", base, i);
}

/* A peer's name that a member can be written with. */
static bool
name_fits(const char *name)
{
	unsigned i;

	for (i = 0; name[i] != '\0'; i++)
		if (!isalnum((unsigned char)name[i]) && (i == 0 || strchr("_.-", name[i]) == NULL))
			return false;
	return i > 0;
}

static void
list_add(struct sg_role *r, json_t *list, const char *text)
{
	if (json_object_get(r->known, text) != NULL)
		return;
	json_object_set_new(r->known, text, json_true());
	json_array_append_new(list, json_string(text));
}

/* Who is to have it: the peer, or where that would say more than was seen its source alone. */
static void
add_member(struct sg *s, struct sg_role *r, const struct ev_flow *f)
{
	const char *peer = ev_flow_peer(s->c.ev, f), *iface = ev_flow_iface(s->c.ev, f);
	char text[SL_PREFIX_STR], member[SL_PREFIX_STR + 96];
	struct sl_prefix p;

	ev_flow_ip(f, false, &p.ip);
	p.len = f->version == 4 ? 32 : 128;
	list_add(r, r->sources[f->version == 6], sl_prefix_str(&p, text));
	if (!r->inside && !s->zone_allows && name_fits(peer))
		snprintf(member, sizeof(member), "peer:%s@%s", peer, iface);
	else
		snprintf(member, sizeof(member), "%s@%s", text, iface);
	list_add(r, r->members, member);
}

int
sg_new_role(struct sg *s, const struct ev_flow *f)
{
	bool inside = !(f->flags & SL_AGG_FROM_TUNNEL);
	unsigned n = s->policy != NULL ? s->policy->n_roles : 0, i;
	char who[64];
	struct sg_role *r;
	struct sl_ip src;

	/* it would stop the mirrored rules of peers from deciding alone */
	if (inside && s->zone_allows)
		return SG_NONE;
	ev_flow_ip(f, false, &src);
	for (i = 0; i < s->n_roles; i++) {
		r = &s->role[i];
		if (r->inside != inside || (inside && !sl_ip_equal(&r->src, &src)) ||
		    (!inside && r->who != f->who))
			continue;
		add_member(s, r, f);
		return (int)(n + i);
	}
	if (n + s->n_roles >= SL_POL_ROLES * SL_POL_GROW_MAX)
		return SG_FULL;
	if (s->n_roles == s->cap_roles) {
		unsigned cap = s->cap_roles > 0 ? 2 * s->cap_roles : 16;

		r = realloc(s->role, cap * sizeof(*r));
		if (r == NULL)
			return -ENOMEM;
		s->role = r;
		s->cap_roles = cap;
	}
	r = &s->role[s->n_roles];
	*r = (struct sg_role){.who = f->who, .inside = inside, .src = src};
	if (inside)
		sl_ip_str(&src, who);
	role_name(s, inside ? who : ev_flow_peer(s->c.ev, f), r->name);
	r->members = json_array();
	r->known = json_object();
	r->sources[0] = json_array();
	r->sources[1] = json_array();
	s->n_roles++;
	add_member(s, r, f);
	return (int)(n + i);
}

static const char *
role_text(const struct sg *s, int role)
{
	unsigned n = s->policy != NULL ? s->policy->n_roles : 0;

	return (unsigned)role < n ? s->policy->roles[role].name : s->role[(unsigned)role - n].name;
}

/* --- what is left out ----------------------------------------------------------------------------
 */

void
sg_leave(struct sg *s, const struct ev_flow *f, const char *reason)
{
	char src[SL_IP_STR], dst[SL_IP_STR], proto[8], rule[96];
	struct sl_ip a, b;
	json_t *o;

	if (json_array_size(s->left_out) >= LEFT_MAX)
		return;
	ev_flow_ip(f, false, &a);
	ev_flow_ip(f, true, &b);
	o = json_pack("{ss,ss,ss,ss,ss,ss,sI}", "reason", reason, "interface",
		      ev_flow_iface(s->c.ev, f), "peer", ev_flow_peer(s->c.ev, f), "src",
		      sl_ip_str(&a, src), "dst", sl_ip_str(&b, dst), "protocol",
		      sl_proto_str(f->proto, proto), "flows", (json_int_t)ev_flow_count(f));
	if (f->proto == 6 || f->proto == 17)
		json_object_set_new(o, "port", json_integer(f->dport));
	if (f->why == SL_WHY_RULE) {
		snprintf(rule, sizeof(rule), "%s/%u", ev_scan_role(s->c.scan, f->role), f->rule);
		json_object_set_new(o, "rule", json_string(rule));
	}
	json_array_append_new(s->left_out, o);
}

static void
leave_rule(struct sg *s, const struct sg_item *it)
{
	char proto[8];

	if (json_array_size(s->left_out) >= LEFT_MAX)
		return;
	json_array_append_new(s->left_out,
			      json_pack("{ss,ss,ss,ss,ss,sI}", "reason", "limit_rules", "role",
					role_text(s, it->role), "src", it->src, "dst", it->dst,
					"protocol", sl_proto_str(it->proto, proto), "flows",
					(json_int_t)it->flows));
}

/* --- rules ---------------------------------------------------------------------------------------
 */

static json_t *
split(const char *list)
{
	json_t *out = json_array();
	const char *end;

	for (; *list != '\0'; list = *end == ',' ? end + 1 : end) {
		end = list + strcspn(list, ",");
		json_array_append_new(out, json_stringn(list, (size_t)(end - list)));
	}
	return out;
}

/* Numbers where they are single, texts where they are ranges. */
static json_t *
ports_json(const char *list)
{
	json_t *out = split(list), *v;
	size_t i;

	json_array_foreach (out, i, v) {
		const char *text = json_string_value(v);

		if (strchr(text, '-') == NULL)
			json_array_set_new(out, i, json_integer(strtol(text, NULL, 10)));
	}
	return out;
}

/* Text of one address of a target as a rule would name it; "" if it is more than one address, or
 * of other interfaces too. */
static void
place_text(const struct sg *s, const struct sl_pol_place *p, char *text, size_t size)
{
	char prefix[SL_PREFIX_STR];
	bool single = p->prefix.len == (p->prefix.ip.family == 4 ? 32 : 128);

	text[0] = '\0';
	if (!single || (s->many_ifaces && p->iface[0] == '\0'))
		return;
	snprintf(text, size, "%s%s%s", sl_prefix_str(&p->prefix, prefix), s->many_ifaces ? "@" : "",
		 s->many_ifaces ? p->iface : "");
}

static int
list_find(const json_t *list, const char *text)
{
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)list, i, v)
		if (strcmp(json_string_value(v), text) == 0)
			return (int)i;
	return -1;
}

/* Put the names of targets for their addresses, where all of them stand in the list. */
static void
name_targets(const struct sg *s, json_t *to)
{
	const struct sl_policy *p = s->policy;
	char text[SL_PREFIX_STR + SL_POL_IFACE + 1];
	unsigned i, k;

	for (i = 0; p != NULL && i < p->n_targets; i++) {
		const struct sl_pol_target *t = &p->targets[i];
		bool all = t->n_addrs > 0;

		for (k = 0; all && k < t->n_addrs; k++) {
			place_text(s, &t->addrs[k], text, sizeof(text));
			all = text[0] != '\0' && list_find(to, text) >= 0;
		}
		if (!all)
			continue;
		for (k = 0; k < t->n_addrs; k++) {
			place_text(s, &t->addrs[k], text, sizeof(text));
			if (list_find(to, text) >= 0)
				json_array_remove(to, (size_t)list_find(to, text));
		}
		json_array_append_new(to, json_string(t->name));
	}
}

/* Rules of a role in the document, and the highest id of one. */
struct use {
	bool counted;
	unsigned n;
	json_int_t last;
};

static void
count_rules(json_t *rules, const char *role, struct use *u)
{
	json_t *r;
	size_t i;

	if (u->counted)
		return;
	u->counted = true;
	json_array_foreach (rules, i, r) {
		if (strcmp(json_string_value(json_object_get(r, "role")), role) != 0)
			continue;
		u->n++;
		u->last = SL_MAX(u->last, json_integer_value(json_object_get(r, "id")));
	}
}

/* A free id: behind the highest, or in a gap where there is nothing behind. */
static json_int_t
free_id(json_t *rules, const char *role, json_int_t last)
{
	json_int_t id = last + 1, other;
	json_t *r;
	size_t i;

	if (id <= SL_POL_ID_MAX)
		return id;
	for (id = 1;; id++) {
		bool taken = false;

		json_array_foreach (rules, i, r) {
			other = json_integer_value(json_object_get(r, "id"));
			taken |= other == id &&
				 strcmp(json_string_value(json_object_get(r, "role")), role) == 0;
		}
		if (!taken)
			return id;
	}
}

/* Of the first element of the product that the rule is. */
static json_t *
test_of(const struct sg *s, const struct sg_item *it, json_int_t id)
{
	char name[256], rule[96], buf[8], src[64], dst[64], iface[SL_POL_IFACE];
	const char *proto = sl_proto_str(it->proto, buf), *at = strchr(it->dst, '@');
	json_t *t;

	snprintf(src, sizeof(src), "%.*s", (int)strcspn(it->src, "/,"), it->src);
	snprintf(dst, sizeof(dst), "%.*s", (int)strcspn(it->dst, "/,"), it->dst);
	snprintf(iface, sizeof(iface), "%.*s", at != NULL ? (int)strcspn(at + 1, ",") : 15,
		 at != NULL ? at + 1 : it->iface);
	snprintf(rule, sizeof(rule), "%s/%lld", role_text(s, it->role), (long long)id);
	snprintf(name, sizeof(name), "observed: %s to %s, %s%s%s", src, dst, proto,
		 it->ports[0] != '\0' ? " " : "", it->ports);
	t = json_pack("{ss,s:{s:[s],ss,ss},ss,ss,ss,ss}", "name", name, "from", "roles",
		      role_text(s, it->role), "address", src, "interface", iface, "to", dst,
		      "protocol", proto, "expect", "allow", "rule", rule);
	if (it->ports[0] != '\0')
		json_object_set_new(t, "port", json_integer(strtol(it->ports, NULL, 10)));
	return t;
}

static json_t *
rule_of(const struct sg *s, const struct sg_item *it, json_int_t id)
{
	json_t *to = split(it->dst), *r;
	char proto[8], text[96];

	name_targets(s, to);
	snprintf(text, sizeof(text), "observed: %llu flow%s of %u peer%s",
		 (unsigned long long)it->flows, it->flows == 1 ? "" : "s", it->n_who,
		 it->n_who == 1 ? "" : "s");
	r = json_pack("{sI,ss,so,so,ss}", "id", id, "role", role_text(s, it->role), "src",
		      split(it->src), "to", to, "protocol", sl_proto_str(it->proto, proto));
	if (it->ports[0] != '\0')
		json_object_set_new(r, "ports", ports_json(it->ports));
	json_object_set_new(r, "action", json_string("allow"));
	json_object_set_new(r, "description", json_string(text));
	return r;
}

static json_t *
with_evidence(const struct sg *s, const struct sg_item *it, json_t *rule)
{
	unsigned n = s->policy != NULL ? s->policy->n_roles : 0;
	json_t *o = json_deep_copy(rule);

	if (it->ports[0] != '\0')
		json_object_set_new(o, "ports", split(it->ports));

	json_object_set_new(o, "new_role", json_boolean((unsigned)it->role >= n));
	json_object_set_new(o, "evidence",
			    json_pack("{sI,si,sI,sI}", "flows", (json_int_t)it->flows, "peers",
				      (int)it->n_who, "first",
				      (json_int_t)(it->first_ns / SL_NS_PER_S), "last",
				      (json_int_t)(it->last_ns / SL_NS_PER_S)));
	return o;
}

/* --- the document --------------------------------------------------------------------------------
 */

static json_t *
member_of(json_t *doc, const char *name, bool is_array)
{
	json_t *v = json_object_get(doc, name);

	if (v == NULL) {
		v = is_array ? json_array() : json_object();
		json_object_set_new(doc, name, v);
	}
	return v;
}

/* One who had no role did not enjoy what zones allow by default; nor shall this one. */
static void
close_zones(struct sg *s, const struct sg_role *role, json_t *rules)
{
	const struct sl_policy *p = s->policy;
	char text[SL_PREFIX_STR + SL_POL_IFACE + 1], prefix[SL_PREFIX_STR];
	struct use u = {0};
	unsigned v, i, k;

	count_rules(rules, role->name, &u);
	for (v = 0; v < 2; v++) {
		json_t *to = json_array();

		for (i = 0; i < p->n_zones; i++) {
			const struct sl_pol_zone *z = &p->zones[i];

			for (k = 0; z->allow && k < z->n_nets; k++) {
				const struct sl_pol_place *n = &z->nets[k];

				if (n->prefix.ip.family != (v ? 6 : 4))
					continue;
				snprintf(text, sizeof(text), "%s%s%s",
					 sl_prefix_str(&n->prefix, prefix), n->iface[0] ? "@" : "",
					 n->iface);
				json_array_append_new(to, json_string(text));
			}
		}
		if (json_array_size(to) == 0 || json_array_size(role->sources[v]) == 0) {
			json_decref(to);
			continue;
		}
		json_array_append_new(rules,
				      json_pack("{sI,ss,sO,so,ss,ss,si,ss}", "id", ++u.last, "role",
						role->name, "src", role->sources[v], "to", to,
						"protocol", "any", "action", "deny", "priority",
						LAST_PRIORITY, "description",
						"nothing else in zones that allow by default"));
	}
}

static void
add_roles(struct sg *s, json_t *doc)
{
	json_t *roles = member_of(doc, "roles", false);
	unsigned i;

	for (i = 0; i < s->n_roles; i++)
		json_object_set_new(roles, s->role[i].name,
				    json_pack("{ss,sO}", "description",
					      "suggested from observed flows", "members",
					      s->role[i].members));
	for (i = 0; s->zone_allows && i < s->n_roles; i++)
		close_zones(s, &s->role[i], member_of(doc, "rules", true));
}

static json_t *
document_now(const struct sg *s)
{
	json_t *doc;

	if (s->c.document == NULL)
		return json_pack("{si}", "version", 1);
	doc = json_loadb(s->c.document, s->c.document_len, 0, NULL);
	if (s->c.gw->n_managed > 0) /* its control plane makes that one */
		json_object_del(json_object_get(doc, "zones"), SL_POL_AGENT_ZONE);
	if (doc != NULL)
		json_object_set_new(
			doc, "version",
			json_integer(json_integer_value(json_object_get(doc, "version")) + 1));
	return doc;
}

json_t *
sg_document(struct sg *s)
{
	json_t *doc = document_now(s), *rules, *tests, *out_rules = json_array(),
	       *out_tests = json_array(), *out;
	unsigned n_roles = s->n_roles + (s->policy != NULL ? s->policy->n_roles : 0), i;
	struct use *use = calloc(n_roles + 1, sizeof(*use)), *u;
	json_int_t id;
	char *text;

	if (doc == NULL || use == NULL)
		goto fail;
	add_roles(s, doc);
	rules = member_of(doc, "rules", true);
	tests = member_of(doc, "tests", true);
	for (i = 0; i < s->n; i++) {
		const struct sg_item *it = &s->item[i];
		const char *role = role_text(s, it->role);
		json_t *rule, *test;

		u = &use[it->role];
		count_rules(rules, role, u);
		if (u->n >= s->c.rules_cap) {
			leave_rule(s, it);
			continue;
		}
		id = free_id(rules, role, u->last);
		u->n++;
		u->last = SL_MAX(u->last, id);
		rule = rule_of(s, it, id);
		test = test_of(s, it, id);
		json_array_append_new(out_rules, with_evidence(s, it, rule));
		json_array_append(out_tests, test);
		json_array_append_new(rules, rule);
		json_array_append_new(tests, test);
	}
	text = json_dumps(doc, JSON_INDENT(2));
	if (text == NULL)
		goto fail;
	out = json_pack("{so,so,sO,ss}", "rules", out_rules, "tests", out_tests, "left_out",
			s->left_out, "candidate", text);
	free(text);
	free(use);
	json_decref(doc);
	return out;
fail:
	free(use);
	json_decref(doc);
	json_decref(out_rules);
	json_decref(out_tests);
	return NULL;
}
