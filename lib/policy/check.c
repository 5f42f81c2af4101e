/* SPDX-License-Identifier: BSD-3-Clause */
/* Is the whole model sound? Zones, targets and roles here, rules and tests in check_rule.c. */
#include <stdlib.h>

#include "model_int.h"

static int
cmp_net(const void *a, const void *b)
{
	return pol_cmp_place(a, b);
}

static int
cmp_member(const void *a, const void *b)
{
	const struct sl_pol_member *x = a, *y = b;
	int d = strcmp(x->peer, y->peer);

	if (d != 0)
		return d;
	return x->peer[0] != '\0' ? strcmp(x->place.iface, y->place.iface)
				  : pol_cmp_place(&x->place, &y->place);
}

/* --- zones ------------------------------------------------------------------------------------ */

/** Sort `n` names at a stride; no two may be the same. */
static int
check_names(struct pol_check *c, struct pol_ref *refs, const char *first, size_t stride, size_t n,
	    const char *kind)
{
	const struct pol_ref *twin;
	int rc;

	for (size_t i = 0; i < n; i++) {
		const char *name = first + i * stride;

		refs[i] = (struct pol_ref){.p = name, .at = (uint32_t)i};
		rc = pol_check_name(c, name, pol_at(c, "/%s/%.63s", kind, name));
		if (rc < 0)
			return rc;
	}
	twin = pol_sort(refs, n, pol_cmp_name);
	if (twin == NULL)
		return 0;
	return sl_fail(c->e, -EEXIST, "name_invalid",
		       pol_at(c, "/%s/%s", kind, (const char *)twin->p), "\"%s\" stands twice",
		       (const char *)twin->p);
}

/** One id twice, among `n` of `refs`. */
static int
check_ids(struct pol_check *c, size_t n, const char *kind, const char *reason,
	  const char *(*name)(const struct sl_policy *p, uint32_t at))
{
	const struct pol_ref *twin = pol_sort(c->scratch, n, pol_cmp_id);

	if (twin == NULL)
		return 0;
	sl_fail(c->e, -EEXIST, reason, pol_at(c, "/%s/%s/id", kind, name(c->p, twin->at)),
		"id %u belongs to \"%s\" already", *(const uint32_t *)twin->p,
		name(c->p, twin[-1].at));
	sl_hint(c->e, "each of the %s has an id of its own", kind);
	return -EEXIST;
}

static const char *
zone_name(const struct sl_policy *p, uint32_t at)
{
	return p->zones[at].name;
}

static int
check_zone_ids(struct pol_check *c)
{
	for (unsigned i = 0; i < c->p->n_zones; i++)
		c->scratch[i] = (struct pol_ref){.p = &c->p->zones[i].id, .at = i};
	return check_ids(c, c->p->n_zones, "zones", "zone_id_duplicate", zone_name);
}

/** Zones may lie inside each other, but no network belongs to two. */
static int
check_zones(struct pol_check *c)
{
	const struct sl_policy *p = c->p;
	const struct pol_ref *twin;
	size_t n = 0;
	int rc;

	rc = check_names(c, c->scratch, p->n_zones > 0 ? p->zones[0].name : NULL,
			 sizeof(p->zones[0]), p->n_zones, "zones");
	if (rc == 0)
		rc = check_zone_ids(c);
	for (unsigned i = 0; rc == 0 && i < p->n_zones; i++) {
		const struct sl_pol_zone *z = &p->zones[i];

		for (unsigned k = 0; rc == 0 && k < z->n_nets; k++) {
			c->scratch[n++] = (struct pol_ref){.p = &z->nets[k], .at = i, .sub = k};
			rc = pol_check_place(c, &z->nets[k],
					     pol_at(c, "/zones/%s/networks/%u", z->name, k));
		}
	}
	if (rc < 0)
		return rc;
	twin = pol_sort(c->scratch, n, cmp_net);
	if (twin == NULL)
		return 0;
	sl_fail(c->e, -EEXIST, "zone_overlap",
		pol_at(c, "/zones/%s/networks/%u", p->zones[twin->at].name, twin->sub),
		"the same network stands in zone \"%s\" already", p->zones[twin[-1].at].name);
	sl_hint(c->e, "a network belongs to one zone; a smaller one inside it may be another zone");
	return -EEXIST;
}

/* --- targets ---------------------------------------------------------------------------------- */

static int
check_targets(struct pol_check *c)
{
	const struct sl_policy *p = c->p;
	int rc;

	rc = check_names(c, c->targets, p->n_targets > 0 ? p->targets[0].name : NULL,
			 sizeof(p->targets[0]), p->n_targets, "targets");
	for (unsigned i = 0; rc == 0 && i < p->n_targets; i++) {
		const struct sl_pol_target *t = &p->targets[i];

		if (t->n_addrs == 0) {
			sl_fail(c->e, -EINVAL, "target_empty",
				pol_at(c, "/targets/%s/addresses", t->name),
				"target \"%s\" has no address", t->name);
			sl_hint(c->e, "give it one, or take it away");
			return -EINVAL;
		}
		for (unsigned k = 0; rc == 0 && k < t->n_addrs; k++)
			rc = pol_check_place(c, &t->addrs[k],
					     pol_at(c, "/targets/%s/addresses/%u", t->name, k));
	}
	return rc;
}

/* --- roles ------------------------------------------------------------------------------------ */

static const char *
role_name(const struct sl_policy *p, uint32_t at)
{
	return p->roles[at].name;
}

/** Ids that are written must differ; the others get the lowest free ones, in order. */
static int
check_role_ids(struct pol_check *c)
{
	struct sl_policy *p = c->p;
	size_t n = 0, used = 0;
	uint32_t next = 1;
	int rc;

	for (unsigned i = 0; i < p->n_roles; i++) {
		if (p->roles[i].id > SL_POL_ID_MAX)
			return sl_fail(c->e, -EINVAL, "role_id_invalid",
				       pol_at(c, "/roles/%s/id", p->roles[i].name),
				       "an id is 1 to %d", SL_POL_ID_MAX);
		if (p->roles[i].id != 0)
			c->scratch[n++] = (struct pol_ref){.p = &p->roles[i].id, .at = i};
	}
	rc = check_ids(c, n, "roles", "role_id_duplicate", role_name);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < p->n_roles; i++) {
		if (p->roles[i].id != 0)
			continue;
		for (; used < n && *(const uint32_t *)c->scratch[used].p <= next; used++)
			next += *(const uint32_t *)c->scratch[used].p == next;
		p->roles[i].id = next++;
	}
	return 0;
}

static int
check_member(struct pol_check *c, const struct sl_pol_role *r, unsigned k)
{
	const struct sl_pol_member *m = &r->members[k];
	int rc;

	pol_at(c, "/roles/%s/members/%u", r->name, k);
	if (m->peer[0] != '\0') {
		rc = pol_check_peer(c, m->peer, c->path);
		if (rc == 0)
			rc = pol_check_iface(c, m->place.iface, c->path);
	} else {
		rc = pol_check_place(c, &m->place, c->path);
	}
	if (rc < 0)
		return rc;
	return pol_check_expires(c, m->expires_ns,
				 pol_at(c, "/roles/%s/members/%u/expires", r->name, k));
}

static int
check_members(struct pol_check *c, const struct sl_pol_role *r, size_t *prefixes)
{
	const struct pol_ref *twin;
	int rc;

	for (unsigned k = 0; k < r->n_members; k++) {
		c->scratch[k] = (struct pol_ref){.p = &r->members[k], .at = k};
		rc = check_member(c, r, k);
		if (rc < 0)
			return rc;
		*prefixes += r->members[k].peer[0] == '\0';
		if (*prefixes <= c->cap.prefixes_cap)
			continue;
		sl_fail(c->e, -ENOSPC, "limit_prefixes",
			pol_at(c, "/roles/%s/members/%u", r->name, k),
			"the roles have more than %u prefixes", c->cap.prefixes_cap);
		sl_hint(c->e, "one prefix may stand for many addresses; peer:NAME does not count");
		return -ENOSPC;
	}
	twin = pol_sort(c->scratch, r->n_members, cmp_member);
	if (twin == NULL)
		return 0;
	sl_fail(c->e, -EEXIST, "member_duplicate",
		pol_at(c, "/roles/%s/members/%u", r->name, twin->at),
		"the same member stands at place %u already", twin[-1].at);
	sl_hint(c->e, "take one of them away");
	return -EEXIST;
}

static int
check_roles(struct pol_check *c)
{
	const struct sl_policy *p = c->p;
	size_t prefixes = 0;
	int rc;

	if (p->n_roles > c->cap.roles_cap) {
		sl_fail(c->e, -ENOSPC, "limit_roles", "/roles",
			"%u roles are more than the limit of %u", p->n_roles, c->cap.roles_cap);
		sl_hint(c->e, "one role may have many members and rules; join those that may do "
			      "the same");
		return -ENOSPC;
	}
	rc = check_names(c, c->roles, p->n_roles > 0 ? p->roles[0].name : NULL, sizeof(p->roles[0]),
			 p->n_roles, "roles");
	if (rc == 0)
		rc = check_role_ids(c);
	for (unsigned i = 0; rc == 0 && i < p->n_roles; i++)
		rc = check_members(c, &p->roles[i], &prefixes);
	return rc;
}

/* --- all -------------------------------------------------------------------------------------- */

/** The longest list that is ever sorted. */
static size_t
scratch_size(const struct sl_policy *p)
{
	size_t nets = 0, most = SL_MAX(p->n_zones, p->n_roles);

	for (unsigned i = 0; i < p->n_zones; i++)
		nets += p->zones[i].n_nets;
	most = SL_MAX(SL_MAX(most, nets), p->n_rules);
	for (unsigned i = 0; i < p->n_roles; i++)
		most = SL_MAX(most, p->roles[i].n_members);
	return most;
}

int
sl_policy_check(struct sl_policy *p, const struct sl_policy_limits *limits, uint64_t now_ns,
		struct sl_error *e)
{
	struct pol_check c = {.p = p, .now_ns = now_ns, .e = e};
	int rc;

	sl_policy_use(p, limits, &c.cap);
	c.roles = calloc(p->n_roles + 1, sizeof(*c.roles));
	c.targets = calloc(p->n_targets + 1, sizeof(*c.targets));
	c.scratch = calloc(scratch_size(p) + 1, sizeof(*c.scratch));
	rc = c.roles != NULL && c.targets != NULL && c.scratch != NULL ? 0 : pol_no_memory(e);
	if (rc == 0)
		rc = check_zones(&c);
	if (rc == 0)
		rc = check_targets(&c);
	if (rc == 0)
		rc = check_roles(&c);
	if (rc == 0)
		rc = pol_check_rules(&c);
	if (rc == 0)
		rc = pol_check_tests(&c);
	free(c.roles);
	free(c.targets);
	free(c.scratch);
	return rc;
}
