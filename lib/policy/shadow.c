/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules that can never cast their role's vote: one that stands before them (lower priority number,
 * at equal numbers DENY, then the order of the document) matches whatever they match. Only whole
 * rules are compared with whole rules: several that cover one together are not found.
 */
#include <stdio.h>
#include <stdlib.h>

#include "model_int.h"

#define SHADOW_BUDGET (16U << 20) /* comparisons of two addresses or rules: about 0.1 s */

struct shadow {
	struct pol_linter *l;
	const struct sl_pol_rule **order;
	unsigned budget;
};

/** Order inside a role, roles apart. */
static int
cmp_order(const void *a, const void *b)
{
	const struct sl_pol_rule *x = *(const struct sl_pol_rule *const *)a;
	const struct sl_pol_rule *y = *(const struct sl_pol_rule *const *)b;

	if (x->role_at != y->role_at)
		return x->role_at < y->role_at ? -1 : 1;
	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	if (x->allow != y->allow)
		return x->allow ? 1 : -1;
	return x < y ? -1 : x > y; /* both in rules[] */
}

static bool
spend(struct shadow *s)
{
	if (s->budget == 0)
		return false;
	s->budget--;
	return true;
}

static bool
prefix_within(const struct sl_prefix *in, const struct sl_prefix *out)
{
	return out->len <= in->len && sl_prefix_contains(out, &in->ip);
}

/** Is a place of some family covered by what `a` may reach? */
static bool
to_covers_place(struct shadow *s, const struct sl_pol_rule *a, const struct sl_pol_place *place)
{
	for (unsigned k = 0; k < a->n_to; k++) {
		const struct sl_pol_to *t = &a->to[k];
		const struct sl_pol_place *of = &t->place;
		unsigned n = 1;

		if (t->any)
			return true;
		if (t->target[0] != '\0') {
			of = s->l->p->targets[t->target_at].addrs;
			n = s->l->p->targets[t->target_at].n_addrs;
		}
		for (unsigned i = 0; i < n; i++) {
			if (!spend(s))
				return false;
			if (prefix_within(&place->prefix, &of[i].prefix) &&
			    (of[i].iface[0] == '\0' || strcmp(of[i].iface, place->iface) == 0))
				return true;
		}
	}
	return false;
}

static bool
any_in_all(struct shadow *s, const struct sl_pol_rule *a, uint8_t family)
{
	struct sl_pol_place all = {.prefix = {.ip = {.family = family}}};

	return to_covers_place(s, a, &all);
}

/** Does `a` reach whatever of a family `t` (of another rule) reaches? */
static bool
to_covers(struct shadow *s, const struct sl_pol_rule *a, const struct sl_pol_to *t, uint8_t family)
{
	const struct sl_pol_target *target;

	if (t->any)
		return any_in_all(s, a, family);
	if (t->target[0] == '\0')
		return t->place.prefix.ip.family != family || to_covers_place(s, a, &t->place);
	for (unsigned k = 0; k < a->n_to; k++) {
		if (a->to[k].target[0] != '\0' && a->to[k].target_at == t->target_at)
			return true;
	}
	target = &s->l->p->targets[t->target_at];
	for (unsigned i = 0; i < target->n_addrs; i++) {
		if (target->addrs[i].prefix.ip.family == family &&
		    !to_covers_place(s, a, &target->addrs[i]))
			return false;
	}
	return true;
}

static bool
src_covers(struct shadow *s, const struct sl_pol_rule *a, const struct sl_prefix *src)
{
	for (unsigned k = 0; k < a->n_src; k++) {
		if (!spend(s))
			return false;
		if (prefix_within(src, &a->src[k]))
			return true;
	}
	return a->n_src == 0;
}

/** Addresses of one family; a side without any of it matches nothing there. */
static bool
addresses_cover(struct shadow *s, const struct sl_pol_rule *a, const struct sl_pol_rule *b,
		uint8_t family)
{
	const struct sl_prefix all = {.ip = {.family = family}};

	if (!pol_src_has(b, family) || !pol_to_has(s->l->p, b, family))
		return true;
	if (b->n_src == 0 && !src_covers(s, a, &all))
		return false;
	for (unsigned k = 0; k < b->n_src; k++) {
		if (b->src[k].ip.family == family && !src_covers(s, a, &b->src[k]))
			return false;
	}
	for (unsigned k = 0; k < b->n_to; k++) {
		if (!to_covers(s, a, &b->to[k], family))
			return false;
	}
	return true;
}

static bool
ports_cover(struct shadow *s, const struct sl_pol_rule *a, const struct sl_pol_rule *b)
{
	unsigned i, k;

	if (a->n_ports == 0 || (a->proto != 6 && a->proto != 17))
		return true;
	for (i = 0; i < b->n_ports; i++) {
		for (k = 0; k < a->n_ports && spend(s); k++) {
			if (a->ports[k].lo <= b->ports[i].lo && a->ports[k].hi >= b->ports[i].hi)
				break;
		}
		if (k == a->n_ports || s->budget == 0)
			return false;
	}
	return b->n_ports > 0;
}

/** Does `a` hold whenever `b` does, from now on? */
static bool
time_covers(const struct sl_pol_rule *a, const struct sl_pol_rule *b, uint64_t now_ns)
{
	if (a->not_before_ns > SL_MAX(b->not_before_ns, now_ns))
		return false;
	return a->expires_ns == 0 || (b->expires_ns != 0 && a->expires_ns >= b->expires_ns);
}

static bool
covers(struct shadow *s, const struct sl_pol_rule *a, const struct sl_pol_rule *b)
{
	if (a->proto != SL_POL_PROTO_ANY && a->proto != b->proto)
		return false;
	if (b->bidirectional && !a->bidirectional) /* mirrored, it still speaks */
		return false;
	return time_covers(a, b, s->l->now_ns) && ports_cover(s, a, b) &&
	       addresses_cover(s, a, b, 4) && addresses_cover(s, a, b, 6);
}

static void
report(struct shadow *s, const struct sl_pol_rule *a, const struct sl_pol_rule *b)
{
	char path[32];

	snprintf(path, sizeof(path), "/rules/%u", (unsigned)(b - s->l->p->rules));
	pol_lint(s->l, "rule_shadowed", path,
		 "%s/%u never decides: %s/%u (priority %u, %s) stands before it and matches "
		 "whatever it matches",
		 b->role, b->id, a->role, a->id, a->priority, a->allow ? "allow" : "deny");
}

static void
look(struct shadow *s, unsigned n)
{
	unsigned first = 0;

	for (unsigned i = 1; i < n; i++) {
		if (s->order[i]->role_at != s->order[first]->role_at)
			first = i;
		for (unsigned k = first; k < i && spend(s); k++) {
			if (!covers(s, s->order[k], s->order[i]))
				continue;
			report(s, s->order[k], s->order[i]);
			break;
		}
	}
}

void
pol_lint_shadow(struct pol_linter *l)
{
	struct shadow s = {.l = l, .budget = SHADOW_BUDGET};
	unsigned n = 0;

	s.order = calloc(l->p->n_rules + 1, sizeof(*s.order));
	for (unsigned i = 0; s.order != NULL && i < l->p->n_rules; i++) {
		if (!pol_rule_ended(&l->p->rules[i], l->now_ns))
			s.order[n++] = &l->p->rules[i];
	}
	if (s.order != NULL) {
		qsort(s.order, n, sizeof(*s.order), cmp_order);
		look(&s, n);
	}
	if (s.order == NULL || s.budget == 0)
		pol_lint(l, "shadow_unchecked", "/rules",
			 "there are too many rules and addresses to find every shadowed rule");
	free(s.order);
}
