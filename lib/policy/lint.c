/* SPDX-License-Identifier: BSD-3-Clause */
/* What a sound document probably does not mean. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "model_int.h"

void
pol_lint(struct pol_linter *l, const char *code, const char *path, const char *fmt, ...)
{
	char text[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	l->fn(l->ctx, code, path, text);
}

bool
pol_rule_ended(const struct sl_pol_rule *r, uint64_t now_ns)
{
	return !r->enabled || (r->expires_ns != 0 && r->expires_ns <= now_ns);
}

static bool
has_any_to(const struct sl_pol_rule *r)
{
	for (unsigned k = 0; k < r->n_to; k++) {
		if (r->to[k].any)
			return true;
	}
	return false;
}

/** No source named, or all of a family. */
static bool
has_any_src(const struct sl_pol_rule *r)
{
	for (unsigned k = 0; k < r->n_src; k++) {
		if (r->src[k].len == 0)
			return true;
	}
	return r->n_src == 0;
}

static bool
has_ports(const struct sl_pol_rule *r)
{
	return r->proto == 6 || r->proto == 17;
}

static void
lint_rule(struct pol_linter *l, unsigned i)
{
	const struct sl_pol_rule *r = &l->p->rules[i];
	char path[64];

	if (r->n_ports > 0 && !has_ports(r)) {
		snprintf(path, sizeof(path), "/rules/%u/ports", i);
		pol_lint(l, "ports_ignored", path,
			 "%s/%u: protocol %u has no ports; they are ignored", r->role, r->id,
			 r->proto);
	}
	if (pol_rule_ended(r, l->now_ns) || !r->allow)
		return;
	if (has_any_src(r) && has_any_to(r) && r->n_ports == 0 &&
	    (has_ports(r) || r->proto == SL_POL_PROTO_ANY)) {
		snprintf(path, sizeof(path), "/rules/%u", i);
		pol_lint(l, "allow_any_any", path,
			 "%s/%u allows any source of the role to any destination at any port",
			 r->role, r->id);
	}
	if (r->bidirectional) {
		snprintf(path, sizeof(path), "/rules/%u/bidirectional", i);
		pol_lint(l, "bidir_opens_peer", path,
			 "%s/%u also lets its destinations open flows to the peers of the role; "
			 "replies need no bidirectional rule",
			 r->role, r->id);
	}
}

static bool
has_ended(const struct sl_pol_member *m, uint64_t now_ns)
{
	return m->expires_ns != 0 && m->expires_ns <= now_ns;
}

static bool
has_live_member(const struct sl_pol_role *r, uint64_t now_ns)
{
	for (unsigned k = 0; k < r->n_members; k++) {
		if (!has_ended(&r->members[k], now_ns))
			return true;
	}
	return false;
}

static void
lint_role(struct pol_linter *l, unsigned i, bool has_rule)
{
	const struct sl_pol_role *r = &l->p->roles[i];
	char path[SL_POL_NAME + 16];

	snprintf(path, sizeof(path), "/roles/%s", r->name);
	if (!has_live_member(r, l->now_ns))
		pol_lint(l, "role_without_members", path, "nobody has role \"%s\" by this document",
			 r->name);
	if (!has_rule)
		pol_lint(l, "role_without_rules", path,
			 "no rule that is in force speaks of role \"%s\"; it casts no vote",
			 r->name);
}

/** Mark the roles with rules and the targets that rules name. */
static void
mark_used(const struct pol_linter *l, bool *role, bool *target)
{
	for (unsigned i = 0; i < l->p->n_rules; i++) {
		const struct sl_pol_rule *r = &l->p->rules[i];

		role[r->role_at] |= !pol_rule_ended(r, l->now_ns);
		for (unsigned k = 0; k < r->n_to; k++) {
			if (r->to[k].target[0] != '\0')
				target[r->to[k].target_at] = true;
		}
	}
}

static void
lint_zones(struct pol_linter *l)
{
	char path[SL_POL_NAME + 32];

	for (unsigned i = 0; i < l->p->n_zones; i++) {
		const struct sl_pol_zone *z = &l->p->zones[i];

		if (!z->allow)
			continue;
		snprintf(path, sizeof(path), "/zones/%s/default_policy", z->name);
		pol_lint(l, "zone_default_allow", path,
			 "whoever has any role reaches all of zone \"%s\" where no rule says "
			 "otherwise",
			 z->name);
	}
}

void
sl_policy_lint(const struct sl_policy *p, uint64_t now_ns, sl_policy_lint_fn fn, void *ctx)
{
	struct pol_linter l = {.p = p, .now_ns = now_ns, .fn = fn, .ctx = ctx};
	bool *role = calloc(p->n_roles + 1, sizeof(*role));
	bool *target = calloc(p->n_targets + 1, sizeof(*target));
	char path[SL_POL_NAME + 16];

	lint_zones(&l);
	if (role != NULL && target != NULL) {
		mark_used(&l, role, target);
		for (unsigned i = 0; i < p->n_targets; i++) {
			snprintf(path, sizeof(path), "/targets/%s", p->targets[i].name);
			if (!target[i])
				pol_lint(&l, "target_unused", path, "no rule names target \"%s\"",
					 p->targets[i].name);
		}
		for (unsigned i = 0; i < p->n_roles; i++)
			lint_role(&l, i, role[i]);
	}
	for (unsigned i = 0; i < p->n_rules; i++)
		lint_rule(&l, i);
	pol_lint_shadow(&l);
	free(role);
	free(target);
}

static void
lint_peer(struct pol_linter *l, const struct sl_pol_role *r, unsigned i)
{
	const struct sl_pol_member *m = &r->members[i];
	bool in = m->place.iface[0] != '\0';
	char path[SL_POL_NAME + 40];

	snprintf(path, sizeof(path), "/roles/%s/members/%u", r->name, i);
	pol_lint(l, "peer_unknown", path,
		 "there is no peer \"%s\"%s%s: nobody has role \"%s\" by this until there is one",
		 m->peer, in ? " in " : "", m->place.iface, r->name);
}

void
sl_policy_lint_peers(const struct sl_policy *p, uint64_t now_ns, sl_policy_peer_fn known,
		     void *known_ctx, sl_policy_lint_fn fn, void *ctx)
{
	struct pol_linter l = {.p = p, .now_ns = now_ns, .fn = fn, .ctx = ctx};

	for (unsigned r = 0; r < p->n_roles; r++) {
		for (unsigned i = 0; i < p->roles[r].n_members; i++) {
			const struct sl_pol_member *m = &p->roles[r].members[i];

			if (m->peer[0] != '\0' && !has_ended(m, now_ns) && !known(known_ctx, m))
				lint_peer(&l, &p->roles[r], i);
		}
	}
}
