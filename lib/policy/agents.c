/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "model_int.h"
#include "sl_policy_agents.h"

static bool
is_agents(const struct sl_pol_zone *z)
{
	return strcmp(z->name, SL_POL_AGENT_ZONE) == 0;
}

static bool
is_own(const struct sl_pol_place *net, const char *iface)
{
	return net->iface[0] != '\0' && strcmp(net->iface, iface) == 0;
}

/** May the interface's packets meet it? */
static bool
is_seen(const struct sl_pol_place *net, const char *iface)
{
	return net->iface[0] == '\0' || strcmp(net->iface, iface) == 0;
}

const struct sl_pol_zone *
sl_policy_zone_of(const struct sl_policy *p, const char *iface, const struct sl_prefix *x,
		  const struct sl_pol_place **net)
{
	const struct sl_pol_zone *best = NULL;
	int best_len = -1;

	for (unsigned i = 0; i < p->n_zones; i++) {
		const struct sl_pol_zone *z = &p->zones[i];

		for (unsigned k = 0; !is_agents(z) && k < z->n_nets; k++) {
			const struct sl_pol_place *n = &z->nets[k];
			int len = 2 * n->prefix.len + is_own(n, iface);

			if (!is_seen(n, iface) || n->prefix.len > x->len ||
			    !sl_prefix_contains(&n->prefix, &x->ip) || len <= best_len)
				continue;
			best = z;
			best_len = len;
			if (net != NULL)
				*net = n;
		}
	}
	return best;
}

const struct sl_pol_zone *
sl_policy_internal_inside(const struct sl_policy *p, const char *iface, const struct sl_prefix *x)
{
	for (unsigned i = 0; i < p->n_zones; i++) {
		const struct sl_pol_zone *z = &p->zones[i];

		if (z->type != SL_ZONE_INTERNAL || is_agents(z))
			continue;
		for (unsigned k = 0; k < z->n_nets; k++) {
			const struct sl_pol_place *n = &z->nets[k];

			if (is_seen(n, iface) && sl_prefix_contains(x, &n->prefix.ip) &&
			    (n->prefix.len > x->len ||
			     (n->prefix.len == x->len && is_own(n, iface))))
				return z;
		}
	}
	return NULL;
}

/* --- the zone --------------------------------------------------------------------------------- */

static bool
is_needed(const struct sl_policy *p, const struct sl_pol_place *x)
{
	const struct sl_pol_place *net = NULL;
	const struct sl_pol_zone *z = sl_policy_zone_of(p, x->iface, &x->prefix, &net);

	if (z == NULL)
		return true;
	return z->type != SL_ZONE_VPN && pol_cmp_place(net, x) != 0;
}

static bool
id_taken(const struct sl_policy *p, uint32_t id)
{
	for (unsigned i = 0; i < p->n_zones; i++) {
		if (p->zones[i].id == id && !is_agents(&p->zones[i]))
			return true;
	}
	return false;
}

static int
cmp_place(const void *a, const void *b)
{
	return pol_cmp_place(a, b);
}

int
sl_policy_agent_zone(const struct sl_policy *p, const struct sl_pol_place *nets, unsigned n,
		     struct sl_pol_zone *out)
{
	struct sl_pol_place *v = calloc(n + 1, sizeof(*v)), x, last = {0};
	unsigned kept = 0;

	*out = (struct sl_pol_zone){.id = SL_POL_ID_MAX,
				    .name = SL_POL_AGENT_ZONE,
				    .type = SL_ZONE_VPN,
				    .nets = v};
	if (v == NULL)
		return -ENOMEM;
	while (id_taken(p, out->id))
		out->id--;
	if (n > 0)
		memcpy(v, nets, n * sizeof(*v));
	qsort(v, n, sizeof(*v), cmp_place);
	for (unsigned i = 0; i < n; i++) {
		x = v[i];
		if (pol_cmp_place(&x, &last) != 0 && is_needed(p, &x))
			v[kept++] = x;
		last = x;
	}
	out->n_nets = kept;
	return 0;
}

int
sl_policy_add_agents(struct sl_policy *p, const struct sl_pol_place *nets, unsigned n)
{
	struct sl_pol_zone z, *grown;
	int rc;

	for (unsigned i = 0; i < p->n_zones; i++) {
		if (is_agents(&p->zones[i]))
			return 0;
	}
	rc = sl_policy_agent_zone(p, nets, n, &z);
	if (rc == 0 && z.n_nets > 0) {
		grown = realloc(p->zones, (p->n_zones + 1) * sizeof(*grown));
		if (grown != NULL) {
			p->zones = grown;
			p->zones[p->n_zones++] = z;
			return 0;
		}
		rc = -ENOMEM;
	}
	free(z.nets);
	return rc;
}

/* --- checks ----------------------------------------------------------------------------------- */

int
sl_policy_no_agent_zone(const struct sl_policy *p, struct sl_error *e)
{
	for (unsigned i = 0; i < p->n_zones; i++) {
		if (!is_agents(&p->zones[i]))
			continue;
		sl_fail(e, -EINVAL, "zone_reserved", "/zones/" SL_POL_AGENT_ZONE,
			"the control plane makes this zone of the networks that agents have");
		sl_hint(e, "leave it out, or give a zone of your own another name");
		return -EINVAL;
	}
	return 0;
}

int
sl_policy_agents_fit(const struct sl_policy *p, const struct sl_pol_place *nets, unsigned n,
		     struct sl_error *e)
{
	char text[SL_PREFIX_STR], path[SL_POL_NAME + 32];

	for (unsigned i = 0; i < n; i++) {
		const struct sl_pol_zone *z =
			sl_policy_internal_inside(p, nets[i].iface, &nets[i].prefix);

		if (z == NULL)
			continue;
		snprintf(path, sizeof(path), "/zones/%s/networks", z->name);
		sl_fail(e, -EINVAL, "pool_in_internal_zone", path,
			"%s is the network of an agent of %s, and some of it would be internal",
			sl_prefix_str(&nets[i].prefix, text), nets[i].iface);
		sl_hint(e, "take it out of the zone, or delete the agent first");
		return -EINVAL;
	}
	return 0;
}
