/* SPDX-License-Identifier: BSD-3-Clause */
/* Life of a model, and questions about the whole of it. */
#include <stdlib.h>

#include "sl_policy.h"

struct sl_policy *
sl_policy_new(void)
{
	return calloc(1, sizeof(struct sl_policy));
}

void
sl_policy_free(struct sl_policy *p)
{
	unsigned i, k;

	if (p == NULL)
		return;
	for (i = 0; i < p->n_zones; i++)
		free(p->zones[i].nets);
	for (i = 0; i < p->n_targets; i++) {
		free(p->targets[i].desc);
		free(p->targets[i].addrs);
	}
	for (i = 0; i < p->n_roles; i++) {
		for (k = 0; k < p->roles[i].n_members; k++)
			free(p->roles[i].members[k].detail);
		free(p->roles[i].members);
		free(p->roles[i].desc);
	}
	for (i = 0; i < p->n_rules; i++) {
		free(p->rules[i].src);
		free(p->rules[i].to);
		free(p->rules[i].ports);
		free(p->rules[i].desc);
	}
	for (i = 0; i < p->n_tests; i++) {
		free(p->tests[i].name);
		free(p->tests[i].roles);
	}
	free(p->zones);
	free(p->targets);
	free(p->roles);
	free(p->rules);
	free(p->tests);
	free(p);
}

/** Most rules that one role has; by the cross references of a checked model. */
static unsigned
rules_max(const struct sl_policy *p)
{
	unsigned *n, max = 0;

	n = calloc(p->n_roles + 1, sizeof(*n));
	if (n == NULL)
		return p->n_rules;
	for (unsigned i = 0; i < p->n_rules; i++) {
		unsigned *of = &n[SL_MIN(p->rules[i].role_at, p->n_roles)];

		(*of)++;
		max = SL_MAX(max, *of);
	}
	free(n);
	return max;
}

void
sl_policy_use(const struct sl_policy *p, const struct sl_policy_limits *limits,
	      struct sl_policy_use *out)
{
	static const struct sl_policy_limits none;
	const struct sl_policy_limits *l = limits != NULL ? limits : &none;

	*out = (struct sl_policy_use){
		.prefixes_cap = l->prefixes != 0 ? l->prefixes : SL_POL_PREFIXES * SL_POL_GROW_MAX,
		.roles_cap = l->roles != 0 ? l->roles : SL_POL_ROLES * SL_POL_GROW_MAX,
		.rules_cap = l->rules_per_role != 0 ? SL_MIN(l->rules_per_role, SL_POL_RULES_MAX)
						    : SL_POL_RULES,
		.roles = p->n_roles,
		.rules_max = rules_max(p),
	};
	for (unsigned i = 0; i < p->n_roles; i++) {
		for (unsigned k = 0; k < p->roles[i].n_members; k++)
			out->prefixes += p->roles[i].members[k].peer[0] == '\0';
	}
}

uint64_t
sl_policy_next_change(const struct sl_policy *p, uint64_t now_ns)
{
	uint64_t next = 0;

	for (unsigned i = 0; i < p->n_rules; i++) {
		const uint64_t t[2] = {p->rules[i].not_before_ns, p->rules[i].expires_ns};

		for (unsigned k = 0; k < 2 && p->rules[i].enabled; k++) {
			if (t[k] > now_ns && (next == 0 || t[k] < next))
				next = t[k];
		}
	}
	return next;
}

const char *
sl_why_text(unsigned why)
{
	static const char *const text[] = {
		[SL_WHY_RULE] = "rule",		  [SL_WHY_ZONE_DEFAULT] = "zone_default",
		[SL_WHY_NO_ROLE] = "no_role",	  [SL_WHY_MAP_ERROR] = "map_error",
		[SL_WHY_WITHDRAWN] = "withdrawn",
	};

	return why < SL_ARRAY_SIZE(text) ? text[why] : "map_error";
}
