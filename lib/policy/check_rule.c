/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules and tests of a model, and what they refer to. */
#include <stdlib.h>

#include "model_int.h"

enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ICMPV6 = 58 };

static int
cmp_rule(const void *a, const void *b)
{
	const struct sl_pol_rule *x = a, *y = b;

	if (x->role_at != y->role_at)
		return x->role_at < y->role_at ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int
unknown(struct pol_check *c, const char *what, const char *name, const char *path)
{
	bool role = strcmp(what, "role") == 0;

	sl_fail(c->e, -ENOENT, role ? "role_unknown" : "target_unknown", path,
		"the document has no %s \"%.63s\"", what, name);
	sl_hint(c->e, role ? "names of roles stand under \"roles\""
			   : "names of targets stand under \"targets\"; else write a prefix, or "
			     "\"*\" for any");
	return -ENOENT;
}

static int
check_to(struct pol_check *c, unsigned i)
{
	struct sl_pol_rule *r = &c->p->rules[i];
	int rc;

	if (r->n_to == 0) {
		sl_fail(c->e, -EINVAL, "target_empty", pol_at(c, "/rules/%u/to", i),
			"a rule needs a destination");
		sl_hint(c->e, "name targets or prefixes; \"*\" is any");
		return -EINVAL;
	}
	for (unsigned k = 0; k < r->n_to; k++) {
		struct sl_pol_to *t = &r->to[k];

		pol_at(c, "/rules/%u/to/%u", i, k);
		if (t->any)
			continue;
		if (t->target[0] == '\0') {
			rc = pol_check_place(c, &t->place, c->path);
			if (rc < 0)
				return rc;
			continue;
		}
		t->target_at = pol_find(c->targets, c->p->n_targets, t->target);
		if (t->target_at == UINT32_MAX)
			return unknown(c, "target", t->target, c->path);
	}
	return 0;
}

bool
pol_to_has(const struct sl_policy *p, const struct sl_pol_rule *r, uint8_t family)
{
	for (unsigned k = 0; k < r->n_to; k++) {
		const struct sl_pol_to *t = &r->to[k];

		if (t->any || (t->target[0] == '\0' && t->place.prefix.ip.family == family))
			return true;
		if (t->target[0] == '\0')
			continue;
		for (unsigned a = 0; a < p->targets[t->target_at].n_addrs; a++) {
			if (p->targets[t->target_at].addrs[a].prefix.ip.family == family)
				return true;
		}
	}
	return false;
}

bool
pol_src_has(const struct sl_pol_rule *r, uint8_t family)
{
	for (unsigned k = 0; k < r->n_src; k++) {
		if (r->src[k].ip.family == family)
			return true;
	}
	return r->n_src == 0;
}

static int
different_families(struct pol_check *c, unsigned i)
{
	sl_fail(c->e, -EINVAL, "family_mismatch", pol_at(c, "/rules/%u/src", i),
		"sources and destinations are of different families, so that nothing can match");
	sl_hint(c->e, "src and to need addresses of the same IP version");
	return -EINVAL;
}

/** No packet has a source of one family and a destination of the other, nor ICMP of the other. */
static int
check_family(struct pol_check *c, unsigned i)
{
	const struct sl_pol_rule *r = &c->p->rules[i];
	bool v4 = pol_src_has(r, 4) && pol_to_has(c->p, r, 4);
	bool v6 = pol_src_has(r, 6) && pol_to_has(c->p, r, 6);

	if (!v4 && !v6)
		return different_families(c, i);
	if ((v4 || r->proto != PROTO_ICMP) && (v6 || r->proto != PROTO_ICMPV6))
		return 0;
	sl_fail(c->e, -EINVAL, "family_mismatch", pol_at(c, "/rules/%u/protocol", i),
		"the rule has only IPv%d addresses, which %s does not use", v4 ? 4 : 6,
		v4 ? "icmpv6" : "icmp");
	sl_hint(c->e, "write %s", v4 ? "icmp" : "icmpv6");
	return -EINVAL;
}

static int
check_ports(struct pol_check *c, unsigned i)
{
	const struct sl_pol_rule *r = &c->p->rules[i];

	if (r->n_ports > 0 && r->proto == SL_POL_PROTO_ANY) {
		sl_fail(c->e, -EINVAL, "ports_need_tcp_or_udp", pol_at(c, "/rules/%u/ports", i),
			"protocol any and ports do not go together");
		sl_hint(c->e, "write a rule for tcp and one for udp");
		return -EINVAL;
	}
	for (unsigned k = 0; k < r->n_ports; k++) {
		if (r->ports[k].lo > r->ports[k].hi)
			return sl_fail(c->e, -EINVAL, "ports_inverted",
				       pol_at(c, "/rules/%u/ports/%u", i, k),
				       "the range begins at %u, behind its end %u", r->ports[k].lo,
				       r->ports[k].hi);
	}
	return 0;
}

static int
check_times(struct pol_check *c, unsigned i)
{
	const struct sl_pol_rule *r = &c->p->rules[i];

	if (r->not_before_ns != 0 && r->expires_ns != 0 && r->not_before_ns >= r->expires_ns) {
		sl_fail(c->e, -EINVAL, "time_range", pol_at(c, "/rules/%u/not_before", i),
			"the rule ends before it begins");
		sl_hint(c->e, "give an earlier not_before or a later expires");
		return -EINVAL;
	}
	return pol_check_expires(c, r->expires_ns, pol_at(c, "/rules/%u/expires", i));
}

static int
check_rule(struct pol_check *c, unsigned i)
{
	struct sl_pol_rule *r = &c->p->rules[i];
	int rc = 0;

	if (r->id == 0 || r->id > SL_POL_ID_MAX)
		return sl_fail(c->e, -EINVAL, "rule_id_invalid", pol_at(c, "/rules/%u/id", i),
			       "an id is 1 to %d", SL_POL_ID_MAX);
	r->role_at = pol_find(c->roles, c->p->n_roles, r->role);
	if (r->role_at == UINT32_MAX)
		return unknown(c, "role", r->role, pol_at(c, "/rules/%u/role", i));
	for (unsigned k = 0; rc == 0 && k < r->n_src; k++)
		rc = pol_check_prefix(c, &r->src[k], pol_at(c, "/rules/%u/src/%u", i, k));
	if (rc == 0)
		rc = check_to(c, i);
	if (rc == 0 && r->proto > SL_POL_PROTO_ANY)
		rc = sl_fail(c->e, -EINVAL, "protocol_invalid", pol_at(c, "/rules/%u/protocol", i),
			     "a protocol is 0 to 255");
	if (rc == 0)
		rc = check_ports(c, i);
	if (rc == 0)
		rc = check_family(c, i);
	return rc == 0 ? check_times(c, i) : rc;
}

static int
check_rule_ids(struct pol_check *c)
{
	const struct pol_ref *twin;
	const struct sl_pol_rule *r;

	for (unsigned i = 0; i < c->p->n_rules; i++)
		c->scratch[i] = (struct pol_ref){.p = &c->p->rules[i], .at = i};
	twin = pol_sort(c->scratch, c->p->n_rules, cmp_rule);
	if (twin == NULL)
		return 0;
	r = twin->p;
	sl_fail(c->e, -EEXIST, "rule_id_duplicate", pol_at(c, "/rules/%u/id", twin->at),
		"%s/%u is the rule at place %u already", r->role, r->id, twin[-1].at);
	sl_hint(c->e, "each rule of a role has an id of its own; other roles may use the same");
	return -EEXIST;
}

/** Rules of a role as they are written: a list of ports, or bidirectional, is one. */
static int
check_rule_count(struct pol_check *c)
{
	unsigned *n = calloc(c->p->n_roles + 1, sizeof(*n));
	int rc = 0;

	if (n == NULL)
		return pol_no_memory(c->e);
	for (unsigned i = 0; rc == 0 && i < c->p->n_rules; i++) {
		const struct sl_pol_rule *r = &c->p->rules[i];

		if (++n[r->role_at] <= c->cap.rules_cap)
			continue;
		rc = sl_fail(c->e, -ENOSPC, "limit_rules", pol_at(c, "/rules/%u", i),
			     "role \"%s\" has more than %u rules", r->role, c->cap.rules_cap);
		sl_hint(c->e,
			"one rule may have many targets and ports; the limit can be set up "
			"to %d",
			SL_POL_RULES_MAX);
	}
	free(n);
	return rc;
}

int
pol_check_rules(struct pol_check *c)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < c->p->n_rules; i++)
		rc = check_rule(c, i);
	if (rc == 0)
		rc = check_rule_ids(c);
	return rc == 0 ? check_rule_count(c) : rc;
}

/* --- tests ------------------------------------------------------------------------------------ */

static int
cmp_rule_ref(const void *key, const void *ref)
{
	return cmp_rule(key, ((const struct pol_ref *)ref)->p);
}

/** The rule that a test expects to decide; check_rule_ids() left the rules sorted. */
static int
check_test_rule(struct pol_check *c, unsigned i)
{
	const struct sl_pol_test *t = &c->p->tests[i];
	struct sl_pol_rule key = {.id = t->rule_id};

	if (t->rule_role[0] == '\0')
		return 0;
	pol_at(c, "/tests/%u/rule", i);
	key.role_at = pol_find(c->roles, c->p->n_roles, t->rule_role);
	if (key.role_at == UINT32_MAX)
		return unknown(c, "role", t->rule_role, c->path);
	if (bsearch(&key, c->scratch, c->p->n_rules, sizeof(*c->scratch), cmp_rule_ref) != NULL)
		return 0;
	sl_fail(c->e, -ENOENT, "rule_unknown", c->path, "the document has no rule %s/%u",
		t->rule_role, t->rule_id);
	sl_hint(c->e, "a rule is written ROLE/ID; leave \"rule\" out for any");
	return -ENOENT;
}

static int
check_test(struct pol_check *c, unsigned i)
{
	const struct sl_pol_test *t = &c->p->tests[i];
	const char *tunnel = t->inside.family != 0 ? "to" : "from"; /* where that end stands */
	int rc = 0;

	if (t->peer[0] != '\0')
		rc = pol_check_peer(c, t->peer, pol_at(c, "/tests/%u/%s/peer", i, tunnel));
	if (rc == 0)
		rc = pol_check_iface(c, t->iface, pol_at(c, "/tests/%u/from/interface", i));
	for (unsigned k = 0; rc == 0 && k < t->n_roles; k++) {
		if (pol_find(c->roles, c->p->n_roles, t->roles[k]) == UINT32_MAX)
			rc = unknown(c, "role", t->roles[k],
				     pol_at(c, "/tests/%u/%s/roles/%u", i, tunnel, k));
	}
	if (rc == 0 && t->to_target[0] != '\0' &&
	    pol_find(c->targets, c->p->n_targets, t->to_target) == UINT32_MAX)
		rc = unknown(c, "target", t->to_target, pol_at(c, "/tests/%u/to", i));
	return rc == 0 ? check_test_rule(c, i) : rc;
}

int
pol_check_tests(struct pol_check *c)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < c->p->n_tests; i++)
		rc = check_test(c, i);
	return rc;
}
