/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "polset_int.h"

static void
where_init(struct sl_polset_where *w)
{
	for (unsigned fam = 0; fam < 2; fam++) {
		sl_lpm_init(&w->zone[fam], fam ? 128 : 32);
		sl_lpm_init(&w->target[fam], fam ? 128 : 32);
	}
}

static void
where_clear(struct sl_polset_where *w)
{
	for (unsigned fam = 0; fam < 2; fam++) {
		sl_lpm_free(&w->zone[fam]);
		sl_lpm_free(&w->target[fam]);
	}
}

/* Which interface a place is in: 0: any. @return false: one that is not here */
static bool
place_iface(const struct sl_pol_place *place, const struct sl_polset_env *env, uint16_t *iface)
{
	*iface = 0;
	if (place->iface[0] == 0)
		return true;
	*iface = env->iface_id(env->ctx, place->iface);
	return *iface != 0;
}

/* Add the places of one interface; a prefix that is there already stays with its first owner. */
static int
places_add(struct sl_lpm table[2], const struct sl_pol_place *places, unsigned n, uint32_t value,
	   uint16_t of_iface, const struct sl_polset_env *env, struct sl_lpm_garbage *g)
{
	uint16_t iface;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < n; i++) {
		const struct sl_prefix *p = &places[i].prefix;
		struct sl_lpm *t = &table[p->ip.family == 6];

		if (!place_iface(&places[i], env, &iface) || iface != of_iface ||
		    sl_lpm_get(t, p->ip.b, p->len) != SL_LPM_NONE)
			continue;
		rc = sl_lpm_set(t, t, p->ip.b, p->len, value, g);
	}
	return rc;
}

static int
zones_add(struct sl_polset_where *w, const struct sl_policy *p, const struct sl_polset_env *env,
	  uint16_t iface, struct sl_lpm_garbage *g)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < p->n_zones; i++)
		rc = places_add(w->zone, p->zones[i].nets, p->zones[i].n_nets, i, iface, env, g);
	return rc;
}

static int
targets_add(struct sl_polset_where *w, const struct sl_policy *p, const struct sl_polset_env *env,
	    uint16_t iface, bool withdrawn, struct sl_lpm_garbage *g)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < p->n_targets; i++) {
		if (p->targets[i].withdrawn == withdrawn)
			rc = places_add(w->target, p->targets[i].addrs, p->targets[i].n_addrs, i,
					iface, env, g);
	}
	return rc;
}

/* Where prefixes are equal: targets that are reached go before those that are withdrawn, an
 * interface's own places before those of all interfaces. */
static int
where_fill(struct sl_polset_where *w, const struct sl_policy *p, const struct sl_polset_env *env,
	   uint16_t iface)
{
	struct sl_lpm_garbage g = {0};
	bool own = iface != 0;
	int rc = own ? zones_add(w, p, env, iface, &g) : 0;

	rc = rc != 0 ? rc : zones_add(w, p, env, 0, &g);
	for (unsigned withdrawn = 0; withdrawn < 2; withdrawn++) {
		if (rc == 0 && own)
			rc = targets_add(w, p, env, iface, withdrawn, &g);
		rc = rc != 0 ? rc : targets_add(w, p, env, 0, withdrawn, &g);
	}
	sl_lpm_garbage_free(&g);
	return rc;
}

static int
where_of_iface(struct sl_polset *s, const struct sl_policy *p, const struct sl_polset_env *env,
	       uint16_t iface)
{
	struct sl_polset_where *w = malloc(sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	where_init(w);
	s->where[iface] = w;
	return where_fill(w, p, env, iface);
}

static void
note_ifaces(uint8_t *named, unsigned *n, const struct sl_pol_place *places, unsigned n_places,
	    const struct sl_polset_env *env)
{
	uint16_t iface;

	for (unsigned i = 0; i < n_places; i++) {
		if (!place_iface(&places[i], env, &iface) || iface == 0)
			continue;
		named[iface] = 1;
		*n = SL_MAX(*n, iface + 1u);
	}
}

int
polset_where_make(struct sl_polset *s, const struct sl_policy *p, const struct sl_polset_env *env)
{
	uint8_t *named = calloc(UINT16_MAX + 1, 1);
	unsigned n = 0;
	int rc;

	where_init(&s->common);
	if (named == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < p->n_zones; i++)
		note_ifaces(named, &n, p->zones[i].nets, p->zones[i].n_nets, env);
	for (unsigned i = 0; i < p->n_targets; i++)
		note_ifaces(named, &n, p->targets[i].addrs, p->targets[i].n_addrs, env);
	rc = where_fill(&s->common, p, env, 0);
	if (rc == 0 && n > 0) {
		s->where = calloc(n, sizeof(struct sl_polset_where *));
		if (s->where == NULL)
			rc = -ENOMEM;
		else
			s->n_where = (uint16_t)SL_MIN(n, (unsigned)UINT16_MAX);
	}
	for (unsigned i = 1; rc == 0 && i < s->n_where; i++) {
		if (named[i])
			rc = where_of_iface(s, p, env, (uint16_t)i);
	}
	free(named);
	return rc;
}

void
polset_where_free(struct sl_polset *s)
{
	where_clear(&s->common);
	for (unsigned i = 0; i < s->n_where; i++) {
		if (s->where[i] == NULL)
			continue;
		where_clear(s->where[i]);
		free(s->where[i]);
	}
	free(s->where);
}
