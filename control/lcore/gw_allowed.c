/* SPDX-License-Identifier: BSD-3-Clause */
/* AllowedIPs: the trie of the interface is the truth about who owns a prefix; a peer's own list is
 * kept sorted beside it. A peer that loses prefixes to another has its list filtered by the trie
 * once, at the end of the change, whatever their number. */
#include <stdio.h>
#include <stdlib.h>

#include "gw_policy.h"

#define LIST_FIELDS (SL_PF_ALLOWED_IPS | SL_PF_ALLOWED_ADD | SL_PF_ALLOWED_DEL)

static const char *
item_path(char path[40], unsigned i)
{
	snprintf(path, 40, "/allowed_ips/%u", i);
	return path;
}

static int
check_conflict(struct sl_gw *gw, const struct gw_iface *f, const struct gw_peer *p,
	       const struct sl_gw_peer_spec *s, unsigned i, struct sl_error *e)
{
	uint32_t id = gw_lpm_get(f->table[GW_T_PEERS], &s->allowed[i]);
	char text[SL_PREFIX_STR], path[40], own[SL_KEY_B64_LEN + 1];
	const struct sl_peer *other;

	if (id == SL_LPM_NONE || (p != NULL && id == p->p->id))
		return 0;
	other = sl_peer_get(gw->dp->peers, id);
	sl_key_to_base64(s->public_key.b, own);
	sl_fail(e, -EEXIST, "allowed_conflict", item_path(path, i),
		"%s belongs to peer \"%s\" of %s already and cannot go to peer \"%s\" too",
		sl_prefix_str(&s->allowed[i], text), other->name, f->name,
		p != NULL				    ? p->p->name
		: s->fields & SL_PF_NAME && s->name != NULL ? s->name
							    : own);
	sl_hint(e, "a prefix belongs to one peer of an interface; remove it from one of the two");
	return -EEXIST;
}

/* A role for "*" is for sources that no tunnel owns; it would become the peer's. */
static int
check_any(const struct sl_gw *gw, const struct gw_iface *f, const struct sl_prefix *p,
	  const char *path, struct sl_error *e)
{
	char text[SL_PREFIX_STR];

	if (!gw_any_member(gw, p))
		return 0;
	sl_fail(e, -EINVAL, "any_member_overlap", path,
		"%s overlaps a role's member PREFIX@*, which is for sources that no tunnel owns",
		sl_prefix_str(p, text));
	sl_hint(e, "name an interface in the policy in force first: PREFIX@%s", f->name);
	return -EINVAL;
}

int
gw_allowed_check(struct sl_gw *gw, const struct gw_iface *f, const struct gw_peer *p,
		 const struct sl_gw_peer_spec *s, struct sl_error *e)
{
	uint32_t lists = s->fields & LIST_FIELDS;
	char path[40];
	unsigned i;
	int rc = 0;

	if (lists == 0)
		return 0;
	if (lists & (lists - 1))
		return sl_fail(e, -EINVAL, "allowed_fields", "/allowed_ips",
			       "the list can replace, be added or be removed, not two of these");
	if (s->n_allowed > GW_PREFIXES_MAX)
		return sl_fail(e, -ENOSPC, "limit_allowed_ips", "/allowed_ips",
			       "%u prefixes, at most %u are possible", s->n_allowed,
			       GW_PREFIXES_MAX);
	for (i = 0; rc == 0 && i < s->n_allowed; i++) {
		rc = gw_prefix_check(&s->allowed[i], "allowed", item_path(path, i), e);
		if (rc != 0 || lists == SL_PF_ALLOWED_DEL)
			continue;
		if (s->strict_allowed)
			rc = check_conflict(gw, f, p, s, i, e);
		if (rc == 0)
			rc = gw_check_shared_prefix(gw, f, &s->allowed[i], path, e);
		if (rc == 0)
			rc = check_any(gw, f, &s->allowed[i], path, e);
	}
	return rc;
}

/* One change of a list: what goes, what comes, what the list is afterwards. */
struct edit {
	struct sl_prefix *given, *del, *add, *after;
	uint32_t *was; /* former owners of add[] */
	unsigned n_given, n_del, n_add, n_after;
};

static void
edit_free(struct edit *d)
{
	free(d->given);
	free(d->del);
	free(d->add);
	free(d->after);
	free(d->was);
}

/* Walk the old and the given list, both sorted, side by side. */
static void
edit_merge(struct edit *d, const struct gw_peer *p, uint32_t mode)
{
	unsigned i = 0, k = 0;
	int c;

	while (i < p->n_allowed || k < d->n_given) {
		if (i == p->n_allowed)
			c = 1;
		else if (k == d->n_given)
			c = -1;
		else
			c = gw_prefix_cmp(&p->allowed[i], &d->given[k]);
		if (c < 0 && mode == SL_PF_ALLOWED_IPS)
			d->del[d->n_del++] = p->allowed[i];
		else if (c < 0)
			d->after[d->n_after++] = p->allowed[i];
		else if (c > 0 && mode != SL_PF_ALLOWED_DEL)
			d->after[d->n_after++] = d->add[d->n_add++] = d->given[k];
		else if (c == 0 && mode == SL_PF_ALLOWED_DEL)
			d->del[d->n_del++] = d->given[k];
		else if (c == 0)
			d->after[d->n_after++] = d->given[k];
		i += c <= 0;
		k += c >= 0;
	}
}

static int
edit_prepare(struct edit *d, const struct gw_peer *p, const struct sl_gw_peer_spec *s)
{
	size_t n;

	if (gw_prefix_sorted(s->allowed, s->n_allowed, &d->given, &d->n_given) != 0)
		return -ENOMEM;
	n = p->n_allowed + d->n_given + 1;
	d->del = malloc(n * sizeof(*d->del));
	d->add = malloc((d->n_given + 1) * sizeof(*d->add));
	d->after = malloc(n * sizeof(*d->after));
	d->was = malloc((d->n_given + 1) * sizeof(*d->was));
	if (d->del == NULL || d->add == NULL || d->after == NULL || d->was == NULL)
		return -ENOMEM;
	edit_merge(d, p, s->fields & LIST_FIELDS);
	return 0;
}

static int
edit_tables(struct sl_gw *gw, struct gw_peer *p, struct edit *d)
{
	struct sl_lpm *pair = p->iface->table[GW_T_PEERS];
	unsigned n_del = 0, n_add = 0;
	int rc = 0;

	for (; rc == 0 && n_del < d->n_del; n_del += rc == 0)
		rc = gw_lpm_del(gw, pair, &d->del[n_del]);
	for (; rc == 0 && n_add < d->n_add; n_add += rc == 0) {
		d->was[n_add] = gw_lpm_get(pair, &d->add[n_add]);
		rc = gw_lpm_set(gw, pair, &d->add[n_add], p->p->id);
	}
	if (rc == 0)
		return 0;
	while (n_add-- > 0) {
		if (d->was[n_add] == SL_LPM_NONE)
			gw_lpm_del(gw, pair, &d->add[n_add]);
		else
			gw_lpm_set(gw, pair, &d->add[n_add], d->was[n_add]);
	}
	while (n_del-- > 0)
		gw_lpm_set(gw, pair, &d->del[n_del], p->p->id);
	return rc;
}

/* Drop from the list of a peer what it does not own any more. */
static void
filter(struct gw_peer *p)
{
	const struct sl_lpm *pair = p->iface->table[GW_T_PEERS];
	unsigned i, k = 0;

	for (i = 0; i < p->n_allowed; i++) {
		if (gw_lpm_get(pair, &p->allowed[i]) == p->p->id)
			p->allowed[k++] = p->allowed[i];
	}
	p->n_allowed = k;
	p->touched = false;
}

static void
filter_losers(struct sl_gw *gw, const struct edit *d)
{
	struct gw_peer *losers = NULL, *q;
	unsigned i;

	for (i = 0; i < d->n_add; i++) {
		if (d->was[i] == SL_LPM_NONE)
			continue;
		q = sl_peer_get(gw->dp->peers, d->was[i])->ctl_priv;
		if (q->touched)
			continue;
		q->touched = true;
		q->next_touched = losers;
		losers = q;
	}
	for (q = losers; q != NULL; q = q->next_touched)
		filter(q);
}

int
gw_allowed_apply(struct sl_gw *gw, struct gw_peer *p, const struct sl_gw_peer_spec *s,
		 struct sl_error *e)
{
	struct edit d = {0};
	int rc;

	if ((s->fields & LIST_FIELDS) == 0)
		return 0;
	rc = edit_prepare(&d, p, s);
	if (rc == 0)
		rc = edit_tables(gw, p, &d);
	if (rc != 0) {
		edit_free(&d);
		return gw_no_memory(e);
	}
	if (d.n_del + d.n_add > 0) {
		free(p->allowed);
		p->allowed = d.after;
		p->n_allowed = d.n_after;
		d.after = NULL;
		filter_losers(gw, &d);
		gw->policy->allowed_epoch += d.n_add > 0;
		gw_iface_dirty(gw, p->iface);
	}
	edit_free(&d);
	return 0;
}

int
gw_allowed_clear(struct sl_gw *gw, struct gw_peer *p, struct sl_error *e)
{
	struct sl_gw_peer_spec none = {.fields = SL_PF_ALLOWED_IPS};

	return gw_allowed_apply(gw, p, &none, e);
}
