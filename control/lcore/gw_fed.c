/* SPDX-License-Identifier: BSD-3-Clause */
/* Members that the control plane gives, in memory only. Those of one transaction with a new policy
 * wait for it (staged), so that both come into force with one root. */
#include <stdio.h>
#include <stdlib.h>

#include "gw_policy.h"

static uint64_t
fed_hash(const struct sl_gw *gw, const char *role, const struct sl_pol_member *m)
{
	uint8_t in[2 * SL_POL_NAME + SL_POL_IFACE + 18] = {0};
	size_t n = strnlen(role, SL_POL_NAME - 1) + 1;

	memcpy(in, role, n - 1);
	if (m->peer[0] != '\0') {
		memcpy(in + n, m->peer, strnlen(m->peer, SL_POL_NAME));
		n += SL_POL_NAME;
	} else {
		in[n] = m->place.prefix.ip.family;
		in[n + 1] = m->place.prefix.len;
		memcpy(in + n + 2, m->place.prefix.ip.b, 16);
		n += 18;
	}
	memcpy(in + n, m->place.iface, strnlen(m->place.iface, SL_POL_IFACE));
	return sl_siphash(gw->hash_key, in, n + SL_POL_IFACE);
}

/* What a peer's own object gives (static) and what a mapping gives stand beside each other. */
static bool
same_origin(const struct sl_pol_member *a, const struct sl_pol_member *b)
{
	return (a->source == SL_SOURCE_STATIC) == (b->source == SL_SOURCE_STATIC);
}

/* Of two with one key, the one in that state. */
static struct gw_fed *
find(const struct sl_gw *gw, const char *role, const struct sl_pol_member *m,
     enum gw_fed_state state)
{
	const struct gw_fed_list *l = &gw->policy->fed;
	struct gw_link *k;
	struct gw_fed *f;

	if (l->by_key.bucket == NULL)
		return NULL;
	k = gw_hash_find(&l->by_key, fed_hash(gw, role, m));
	for (; k != NULL; k = gw_hash_next(k)) {
		f = SL_CONTAINER_OF(k, struct gw_fed, link);
		if (f->state == state && strcmp(f->role, role) == 0 && gw_same_holder(&f->m, m) &&
		    same_origin(&f->m, m))
			return f;
	}
	return NULL;
}

static bool
same(const struct sl_pol_member *a, const struct sl_pol_member *b)
{
	return a->expires_ns == b->expires_ns && a->source == b->source &&
	       strcmp(a->provider, b->provider) == 0;
}

/* --- the list -------------------------------------------------------------------------------- */

static int
list_add(struct sl_gw *gw, const char *role, const struct sl_pol_member *m, enum gw_fed_state state,
	 struct gw_fed **out)
{
	struct gw_fed_list *l = &gw->policy->fed;
	unsigned cap = l->cap != 0 ? l->cap * 2 : 64;
	struct gw_fed **grown, *f;

	if (l->by_key.bucket == NULL && gw_hash_init(&l->by_key, gw->conf.peers_max) != 0)
		return -ENOMEM;
	if (l->n == l->cap) {
		grown = realloc(l->v, cap * sizeof(struct gw_fed *));
		if (grown == NULL)
			return -ENOMEM;
		l->v = grown;
		l->cap = cap;
	}
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	snprintf(f->role, sizeof(f->role), "%s", role);
	f->m = *m;
	f->m.detail = NULL;
	f->state = state;
	f->at = l->n;
	l->v[l->n++] = f;
	l->n_prefixes += m->peer[0] == '\0';
	l->n_staged += state == GW_FED_COMING;
	gw_hash_add(&l->by_key, &f->link, fed_hash(gw, role, m));
	*out = f;
	return 0;
}

/* The members that a job is about to put into force: those that it has entered already. */
static void
job_forget(struct sl_gw *gw, const struct gw_fed *f)
{
	struct gw_fed_list *l = &gw->policy->fed;
	struct gw_job *j = gw->policy->job;
	const struct gw_fed *last = l->v[l->n - 1];
	int role;

	if (j == NULL || j->who == NULL || j->phase != GW_FINISH || f->at >= j->next_fed)
		return;
	role = gw_policy_role(j->doc->policy, f->role);
	if (role >= 0 && gw_fed_counts(f, j))
		gw_who_dyn_del(gw, j->who, &j->when, (uint16_t)role, &f->m, true);
	if (last->at < j->next_fed) {
		j->next_fed--;
		return;
	}
	role = gw_policy_role(j->doc->policy, last->role); /* it moves to where the job has been */
	if (role >= 0 && gw_fed_counts(last, j) &&
	    gw_who_dyn_add(gw, j->who, &j->when, (uint16_t)role, &last->m, true) != 0)
		j->rc = gw_no_memory(&j->e);
}

static void
list_del(struct sl_gw *gw, struct gw_fed *f)
{
	struct gw_fed_list *l = &gw->policy->fed;

	job_forget(gw, f);
	gw_hash_del(&l->by_key, &f->link);
	l->v[f->at] = l->v[--l->n];
	l->v[f->at]->at = f->at;
	l->n_prefixes -= f->m.peer[0] == '\0';
	l->n_staged -= f->state != GW_FED_HERE;
	free(f);
}

/* --- in force --------------------------------------------------------------------------------- */

static int
enter(struct sl_gw *gw, const struct gw_fed *f)
{
	struct gw_policy *p = gw->policy;
	int role = gw_policy_role(sl_gw_policy(gw), f->role);
	struct gw_when when;

	if (role < 0 || p->who == NULL)
		return 0;
	gw_policy_when(gw, &when);
	gw->dirty = true;
	return gw_who_dyn_add(gw, p->who, &when, (uint16_t)role, &f->m, true);
}

static int
leave(struct sl_gw *gw, const struct gw_fed *f)
{
	struct gw_policy *p = gw->policy;
	int role = gw_policy_role(sl_gw_policy(gw), f->role), rc;
	struct gw_when when;

	if (role < 0 || p->who == NULL)
		return 0;
	gw_policy_when(gw, &when);
	gw->dirty = true;
	rc = gw_who_dyn_del(gw, p->who, &when, (uint16_t)role, &f->m, true);
	return rc == -ENOENT ? 0 : rc;
}

bool
gw_fed_counts(const struct gw_fed *f, const struct gw_job *j)
{
	return f->state != (j->load.staged ? GW_FED_LEAVING : GW_FED_COMING);
}

/* --- changes -------------------------------------------------------------------------------------
 */

static int
check(struct sl_gw *gw, const struct sl_pol_member *m, bool is_new, struct sl_error *e)
{
	const struct gw_iface *f;
	struct sl_policy_limits l;
	char text[SL_PREFIX_STR];

	if (m->peer[0] != '\0')
		return 0;
	gw_policy_limits(gw, &l);
	if (is_new && gw_policy_prefixes(gw) >= l.prefixes) {
		sl_fail(e, -ENOSPC, "limit_prefixes", "/member",
			"the limit of %u prefixes is reached", l.prefixes);
		sl_hint(e, "remove members, or raise policy.prefixes in the configuration");
		return -ENOSPC;
	}
	f = m->place.iface[0] == '\0' ? gw_any_overlaps(gw, &m->place.prefix) : NULL;
	if (f == NULL)
		return 0;
	sl_fail(e, -EINVAL, "any_interface_is_tunnel", "/member", "%s overlaps AllowedIPs of %s",
		sl_prefix_str(&m->place.prefix, text), f->name);
	sl_hint(e, "name the interface: %s@%s", text, f->name);
	return -EINVAL;
}

static int
put_staged(struct sl_gw *gw, const char *role, const struct sl_pol_member *m, struct sl_error *e)
{
	struct gw_fed *coming = find(gw, role, m, GW_FED_COMING);
	struct gw_fed *here = find(gw, role, m, GW_FED_HERE), *f;
	int rc = check(gw, m, coming == NULL && here == NULL, e);

	if (rc != 0)
		return rc;
	if (coming != NULL)
		list_del(gw, coming);
	if (here != NULL && same(&here->m, m))
		return 0;
	if (list_add(gw, role, m, GW_FED_COMING, &f) != 0)
		return gw_no_memory(e);
	if (here != NULL) {
		here->state = GW_FED_LEAVING;
		gw->policy->fed.n_staged++;
	}
	return 0;
}

int
sl_gw_fed_put(struct sl_gw *gw, const char *role, const struct sl_pol_member *m, bool staged,
	      struct sl_error *e)
{
	struct gw_fed *was, *f;
	int rc;

	if (staged)
		return put_staged(gw, role, m, e);
	was = find(gw, role, m, GW_FED_HERE);
	if (was != NULL && same(&was->m, m))
		return 0;
	rc = check(gw, m, was == NULL, e);
	if (rc != 0)
		return rc;
	if (list_add(gw, role, m, GW_FED_HERE, &f) != 0)
		return gw_no_memory(e);
	sl_gw_begin(gw); /* readers see the one or the other, never neither */
	rc = was != NULL ? leave(gw, was) : 0;
	if (rc == 0)
		rc = enter(gw, f);
	if (rc == 0 && was != NULL) {
		list_del(gw, was);
	} else if (rc != 0) {
		list_del(gw, f);
		if (was != NULL)
			enter(gw, was);
		rc = gw_no_memory(e);
	}
	sl_gw_commit(gw);
	return rc;
}

int
sl_gw_fed_del(struct sl_gw *gw, const char *role, const struct sl_pol_member *m, bool staged)
{
	struct gw_fed *f = find(gw, role, m, GW_FED_HERE);
	struct gw_fed *coming = find(gw, role, m, GW_FED_COMING);
	int rc;

	if (coming != NULL)
		list_del(gw, coming);
	if (f == NULL)
		return coming != NULL ? 0 : -ENOENT;
	if (staged) {
		f->state = GW_FED_LEAVING;
		gw->policy->fed.n_staged++;
		return 0;
	}
	sl_gw_begin(gw);
	rc = leave(gw, f);
	if (rc == 0)
		list_del(gw, f);
	sl_gw_commit(gw);
	return rc;
}

/* From the end: what moves into a gap has been looked at. */
void
gw_fed_settle(struct sl_gw *gw)
{
	struct gw_fed_list *l = &gw->policy->fed;
	unsigned i;

	for (i = l->n; i-- > 0 && l->n_staged > 0;) {
		struct gw_fed *f = l->v[i];

		if (f->state == GW_FED_LEAVING) {
			list_del(gw, f);
		} else if (f->state == GW_FED_COMING) {
			f->state = GW_FED_HERE;
			l->n_staged--;
		}
	}
}

void
sl_gw_fed_cancel(struct sl_gw *gw)
{
	struct gw_fed_list *l = &gw->policy->fed;
	unsigned i;

	for (i = l->n; i-- > 0 && l->n_staged > 0;) {
		struct gw_fed *f = l->v[i];

		if (f->state == GW_FED_COMING) {
			list_del(gw, f);
		} else if (f->state == GW_FED_LEAVING) {
			f->state = GW_FED_HERE;
			l->n_staged--;
		}
	}
}

bool
sl_gw_fed_find(struct sl_gw *gw, const char *role, const struct sl_pol_member *m,
	       struct sl_pol_member *out)
{
	const struct gw_fed *f = find(gw, role, m, GW_FED_HERE);

	if (f != NULL)
		*out = f->m;
	return f != NULL;
}

unsigned
sl_gw_fed_count(struct sl_gw *gw)
{
	return gw->policy->fed.n;
}

void
gw_fed_free(struct sl_gw *gw)
{
	struct gw_fed_list *l = &gw->policy->fed;

	while (l->n > 0)
		free(l->v[--l->n]);
	free(l->v);
	gw_hash_free(&l->by_key);
	*l = (struct gw_fed_list){0};
}

/* --- providers -----------------------------------------------------------------------------------
 */

static int
down_cmp(const struct gw_idp *a, const struct sl_gw_provider *v, unsigned n)
{
	unsigned i;

	if (a->n_down != n)
		return 1;
	for (i = 0; i < n; i++)
		if (strcmp(a->down[i].name, v[i].name) != 0 ||
		    a->down[i].since_ns != v[i].since_wall_ns)
			return 1;
	return 0;
}

int
sl_gw_providers_set(struct sl_gw *gw, const struct sl_gw_provider *down, unsigned n,
		    uint64_t all_since_wall_ns, uint64_t grace_ns)
{
	struct gw_policy *p = gw->policy;
	struct gw_idp *idp = &p->idp;
	struct gw_idp_down *v;
	unsigned i;

	if (down_cmp(idp, down, n) == 0 && idp->all_since_ns == all_since_wall_ns &&
	    idp->grace_ns == grace_ns)
		return 0;
	v = calloc(n + 1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		snprintf(v[i].name, sizeof(v[i].name), "%s", down[i].name);
		v[i].since_ns = down[i].since_wall_ns;
	}
	free(idp->down);
	*idp = (struct gw_idp){.all_since_ns = all_since_wall_ns,
			       .down = v,
			       .n_down = n,
			       .grace_ns = grace_ns};
	if (p->who != NULL)
		gw_who_rescan(p->who);
	return 0;
}
