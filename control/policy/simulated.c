/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_simulated.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a subject of roles ----------------------------------------------------------------------- */

static bool
is_named(const char *role, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], role) == 0)
			return true;
	return false;
}

static bool
is_role(const struct sl_polset *s, const char *name)
{
	for (unsigned r = 0; r < s->n_roles; r++)
		if (strcmp(s->roles[r].name, name) == 0)
			return true;
	return false;
}

int
sl_simulated_roles(struct sl_simulated *x, const char *const *names, size_t n, const char *path,
		   struct sl_error *e)
{
	char at[64];

	for (size_t i = 0; i < n; i++) {
		if (is_role(x->set, names[i]))
			continue;
		snprintf(at, sizeof(at), "%.40s/%zu", path, i);
		return sl_fail(e, -EINVAL, "role_unknown", at, "the policy has no role \"%.60s\"",
			       names[i]);
	}
	x->made = calloc(1, sizeof(*x->made) + n * sizeof(x->made->role[0]));
	if (x->made == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory to judge the policy");
	for (unsigned r = 0; r < x->set->n_roles; r++) /* ascending, each once */
		if (is_named(x->set->roles[r].name, names, n))
			x->made->role[x->made->n++].role = (uint16_t)r;
	if (x->q.from_inside)
		x->q.peer_class = x->made->n > 0 ? x->made : NULL;
	else
		x->q.src_class = x->made->n > 0 ? x->made : NULL;
	return 0;
}

void
sl_simulated_judge(struct sl_simulated *x)
{
	sl_polset_eval(x->set, &x->q, &x->a, x->trace, SL_CLASS_ROLES_MAX, &x->n_trace);
}

/* --- the answer ------------------------------------------------------------------------------- */

static json_t *
rule_name(const struct sl_polset *set, uint32_t rule)
{
	return json_sprintf("%s/%u", set->roles[set->rules[rule].role].name, set->rules[rule].id);
}

/** Is this role one that the subject has through its peer? */
static bool
through_peer(const struct sl_simulated *x, uint16_t role)
{
	const struct sl_class *c = x->q.peer_class;

	for (unsigned i = 0; c != NULL && i < c->n; i++)
		if (c->role[i].role == role)
			return true;
	return false;
}

static json_t *
trace(const struct sl_simulated *x)
{
	const struct sl_polset_entry *entries = x->set->entries[x->q.flow.version == 6];
	json_t *list = json_array(), *o;

	for (unsigned i = 0; i < x->n_trace; i++) {
		const struct sl_trace_role *r = &x->trace[i];
		bool votes = r->entry != SL_POL_NONE;

		o = json_pack("{s:s, s:s, s:s}", "role", x->set->roles[r->role].name, "through",
			      through_peer(x, r->role) ? "peer" : "source", "vote",
			      !votes			? "none"
			      : entries[r->entry].allow ? "allow"
							: "deny");
		if (o != NULL && votes)
			json_object_set_new(o, "rule", rule_name(x->set, entries[r->entry].rule));
		json_array_append_new(list, o);
	}
	return list;
}

static void
put_ip(json_t *o, const char *name, const struct sl_ip *ip)
{
	char text[SL_IP_STR];

	if (ip->family != 0)
		json_object_set_new(o, name, json_string(sl_ip_str(ip, text)));
}

json_t *
sl_simulated_json(const struct sl_simulated *x, uint64_t version, uint64_t wall_ns)
{
	const struct sl_polset *set = x->set;
	char at[32];
	json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:o}", "verdict", x->a.allow ? "allow" : "deny",
			      "why", sl_why_text(x->a.why), "policy_version", (json_int_t)version,
			      "at", sl_time_str(wall_ns, at), "trace", trace(x));

	if (o == NULL)
		return NULL;
	if (x->a.rule != SL_POL_NONE)
		json_object_set_new(o, "rule", rule_name(set, x->a.rule));
	if (x->a.zone != SL_POL_NONE16)
		json_object_set_new(o, "zone", json_string(set->zones[x->a.zone].name));
	if (x->a.target != SL_POL_NONE16)
		json_object_set_new(o, "target", json_string(set->targets[x->a.target].name));
	put_ip(o, "src", &x->src);
	put_ip(o, "dst", &x->dst);
	return o;
}
