/* SPDX-License-Identifier: BSD-3-Clause */
/* Who has which role here: members by holder (a peer's name, or a prefix of an interface). Of
 * several members that give one holder the same role, the one that lasts longest holds. */
#include <stdio.h>
#include <stdlib.h>

#include "gw_policy.h"

#define EXPIRE_BATCH 256
#define SCAN_BATCH 20000

static uint64_t
holder_hash(const struct gw_who *w, const struct sl_pol_member *m)
{
	uint8_t in[2 * SL_POL_IFACE + 20] = {0};
	size_t n;

	if (m->peer[0] != '\0')
		return sl_siphash(w->key, m->peer, strnlen(m->peer, SL_POL_NAME));
	in[0] = m->place.prefix.ip.family;
	in[1] = m->place.prefix.len;
	memcpy(in + 2, m->place.prefix.ip.b, 16);
	n = strnlen(m->place.iface, SL_POL_IFACE);
	memcpy(in + 18, m->place.iface, n);
	return sl_siphash(w->key, in, 18 + n);
}

static uint64_t
name_hash(const struct gw_who *w, const char *name)
{
	return sl_siphash(w->key, name, strnlen(name, SL_POL_NAME));
}

bool
gw_same_holder(const struct sl_pol_member *a, const struct sl_pol_member *b)
{
	if (strcmp(a->peer, b->peer) != 0 || strcmp(a->place.iface, b->place.iface) != 0)
		return false;
	return a->peer[0] != '\0' || sl_prefix_equal(&a->place.prefix, &b->place.prefix);
}

/* Does the member speak of this peer? */
static bool
means_peer(const struct sl_pol_member *m, const char *iface, const char *name)
{
	return m->peer[0] != '\0' && strcmp(m->peer, name) == 0 &&
	       (m->place.iface[0] == '\0' || strcmp(m->place.iface, iface) == 0);
}

static uint32_t
tick_of(const struct gw_when *when, uint64_t wall_ns)
{
	uint64_t left;

	if (wall_ns == 0)
		return 0;
	left = wall_ns > when->wall_ns ? wall_ns - when->wall_ns : 0;
	left = SL_MIN(left, (uint64_t)INT32_MAX * SL_TICK_NS);
	return sl_tick_of(when->wall_ns - when->wall_to_mono_ns + left);
}

/* Was the provider down when the member expired (or is it, and it will)? */
static bool
provider_down(const struct gw_idp *idp, const struct sl_pol_member *m)
{
	unsigned i;

	if (idp == NULL || m->source != SL_SOURCE_IDP || m->expires_ns == 0)
		return false;
	if (idp->all_since_ns != 0 && m->expires_ns >= idp->all_since_ns)
		return true;
	for (i = 0; i < idp->n_down; i++)
		if (strcmp(idp->down[i].name, m->provider) == 0)
			return m->expires_ns >= idp->down[i].since_ns;
	return false;
}

/* When it ends. @return true if that is not what it was */
static bool
reckon(const struct gw_who *w, const struct gw_when *when, struct gw_member *m)
{
	uint64_t until = m->m->expires_ns;
	bool stale = false, over, changed;

	if (!w->strict[m->role] && provider_down(when->idp, m->m)) {
		stale = until <= when->wall_ns;
		until = when->idp->grace_ns != 0 ? until + when->idp->grace_ns : 0;
	}
	over = until != 0 && until <= when->wall_ns;
	changed = m->until_ns != until || m->stale != stale || m->over != over;
	m->until_ns = until;
	m->stale = stale;
	m->over = over;
	return changed;
}

/* The next time at which reckon() may say something else; 0: none. */
static uint64_t
next_look(const struct gw_member *m)
{
	if (m->over)
		return 0;
	return m->stale || m->until_ns == m->m->expires_ns ? m->until_ns : m->m->expires_ns;
}

static bool
is_better(const struct gw_member *a, const struct gw_member *b)
{
	if (a->stale != b->stale)
		return b->stale;
	return b->until_ns != 0 && (a->until_ns == 0 || a->until_ns > b->until_ns);
}

/* What holds of one role for one holder now: enter the best member of the chain, or none. */
static int
settle(struct gw_who *w, const struct gw_when *when, const struct gw_member *best, uint16_t role,
       struct sl_who_member *h)
{
	int rc;

	h->role = (struct sl_class_role){.role = role};
	w->dirty = true;
	if (best == NULL) {
		rc = sl_who_del(w->b, h);
		return rc == -ENOENT ? 0 : rc;
	}
	h->role.source = (uint8_t)best->m->source;
	h->role.stale = best->stale;
	h->role.expires_tick = tick_of(when, best->until_ns);
	return sl_who_add(w->b, h);
}

static int
settle_peer(struct gw_who *w, const struct gw_when *when, uint16_t role, uint32_t id,
	    const char *iface, const char *name)
{
	struct sl_who_member h = {.is_peer = true, .peer_id = id};
	struct gw_link *l = gw_hash_find(&w->holders, name_hash(w, name));
	const struct gw_member *m, *best = NULL;

	for (; l != NULL; l = gw_hash_next(l)) {
		m = SL_CONTAINER_OF(l, struct gw_member, link);
		if (m->role == role && !m->over && means_peer(m->m, iface, name) &&
		    (best == NULL || is_better(m, best)))
			best = m;
	}
	return settle(w, when, best, role, &h);
}

static int
settle_prefix(struct gw_who *w, const struct gw_when *when, uint16_t role, uint16_t iface_id,
	      const struct sl_pol_member *of)
{
	struct sl_who_member h = {.iface = iface_id, .prefix = of->place.prefix};
	struct gw_link *l = gw_hash_find(&w->holders, holder_hash(w, of));
	const struct gw_member *m, *best = NULL;

	for (; l != NULL; l = gw_hash_next(l)) {
		m = SL_CONTAINER_OF(l, struct gw_member, link);
		if (m->role == role && !m->over && !m->barred && gw_same_holder(m->m, of) &&
		    (best == NULL || is_better(m, best)))
			best = m;
	}
	return settle(w, when, best, role, &h);
}

/* One role of the holder of `of`, wherever the gateway knows that holder. */
static int
settle_holder(struct sl_gw *gw, struct gw_who *w, const struct gw_when *when, uint16_t role,
	      const struct sl_pol_member *of)
{
	struct gw_iface *f;
	struct gw_peer *p;
	unsigned i;
	int rc = 0;

	if (of->peer[0] == '\0') {
		f = of->place.iface[0] != '\0' ? gw_iface_by_name(gw, of->place.iface) : NULL;
		if (of->place.iface[0] != '\0' && f == NULL)
			return 0;
		return settle_prefix(w, when, role, f != NULL ? f->id : 0, of);
	}
	for (i = 1; rc == 0 && i < gw->n_ifaces; i++) {
		f = gw->iface[i];
		if (f == NULL ||
		    (of->place.iface[0] != '\0' && strcmp(of->place.iface, f->name) != 0))
			continue;
		p = gw_peer_by_name(gw, f, of->peer);
		if (p != NULL)
			rc = settle_peer(w, when, role, p->p->id, f->name, of->peer);
	}
	return rc;
}

/* --- making ------------------------------------------------------------------------------------
 */

static void
next_expiry(struct gw_who *w, const struct gw_member *m)
{
	uint64_t at = next_look(m);

	if (at != 0 && (w->next_expiry_ns == 0 || at < w->next_expiry_ns))
		w->next_expiry_ns = at;
}

static int
enter_doc(struct gw_who *w, struct gw_member *m, const struct gw_when *when,
	  gw_iface_id_fn iface_id, void *ctx)
{
	uint16_t id;

	gw_hash_add(&w->holders, &m->link, holder_hash(w, m->m));
	reckon(w, when, m);
	if (m->over)
		return 0;
	next_expiry(w, m);
	if (m->m->peer[0] != '\0')
		return 0;
	id = m->m->place.iface[0] != '\0' ? iface_id(ctx, m->m->place.iface) : 0;
	if (m->m->place.iface[0] != '\0' && id == 0)
		return 0;
	return settle_prefix(w, when, m->role, id, m->m);
}

int
gw_who_fail(struct sl_error *e, int rc, const char *path)
{
	if (rc == -ENOSPC)
		return sl_fail(e, rc, "limit_roles", path, "a holder would have more than %u roles",
			       SL_CLASS_ROLES_MAX);
	if (rc == -EINVAL)
		return sl_fail(e, rc, "prefix_invalid", path, "no prefix that can have a role");
	return gw_no_memory(e);
}

struct gw_who *
gw_who_new(const struct sl_policy *p, const uint8_t key[16], unsigned n_ifaces, unsigned beside,
	   const struct gw_when *when, gw_iface_id_fn iface_id, void *ctx, struct sl_error *e)
{
	const struct gw_when clocks = {.wall_ns = when->wall_ns,
				       .wall_to_mono_ns = when->wall_to_mono_ns};
	struct gw_who *w = calloc(1, sizeof(*w));
	unsigned r, i, n = 0, at = 0;
	char path[160] = "";
	int rc = 0;

	if (w == NULL) {
		gw_no_memory(e);
		return NULL;
	}
	memcpy(w->key, key, sizeof(w->key));
	for (r = 0; r < p->n_roles; r++)
		n += p->roles[r].n_members;
	w->b = sl_who_new();
	w->doc = calloc(n + 1, sizeof(*w->doc));
	w->strict = calloc(p->n_roles + 1, sizeof(*w->strict));
	if (w->b == NULL || w->doc == NULL || w->strict == NULL ||
	    gw_hash_init(&w->holders, SL_MAX(n + beside, 1024U)) != 0 ||
	    sl_who_ifaces(w->b, n_ifaces) != 0)
		rc = -ENOMEM;
	for (r = 0; rc == 0 && r < p->n_roles; r++)
		w->strict[r] = p->roles[r].on_idp_down == SL_IDP_DENY;
	for (r = 0; rc == 0 && r < p->n_roles; r++) {
		for (i = 0; rc == 0 && i < p->roles[r].n_members; i++, at++) {
			w->doc[at].m = &p->roles[r].members[i];
			w->doc[at].role = (uint16_t)r;
			w->n_doc = at + 1;
			rc = enter_doc(w, &w->doc[at], &clocks, iface_id, ctx);
			if (rc != 0)
				snprintf(path, sizeof(path), "/roles/%s/members/%u",
					 p->roles[r].name, i);
		}
	}
	w->dirty = true;
	if (rc == 0)
		return w;
	gw_who_fail(e, rc, path);
	gw_who_free(w);
	return NULL;
}

static void
dyn_free(struct gw_member *m)
{
	free((void *)(uintptr_t)m->m);
	free(m);
}

void
gw_who_free(struct gw_who *w)
{
	unsigned i;

	if (w == NULL)
		return;
	for (i = 0; i < w->n_dyn; i++)
		dyn_free(w->dyn[i]);
	sl_who_free(w->b);
	gw_hash_free(&w->holders);
	free(w->doc);
	free(w->dyn);
	free(w->strict);
	free(w);
}

bool
gw_who_met(void *ctx, const struct sl_pol_member *of)
{
	const struct gw_who *w = ctx;
	struct gw_link *l = gw_hash_find(&w->holders, holder_hash(w, of));

	for (; l != NULL; l = gw_hash_next(l)) {
		const struct gw_member *m = SL_CONTAINER_OF(l, struct gw_member, link);

		if (m->met && gw_same_holder(m->m, of))
			return true;
	}
	return false;
}

/* --- changes -------------------------------------------------------------------------------------
 */

int
gw_who_peer(struct gw_who *w, const struct gw_when *when, uint32_t id, const char *iface,
	    const char *name, bool there)
{
	struct gw_link *l = gw_hash_find(&w->holders, name_hash(w, name));
	struct sl_who_member h = {.is_peer = true, .peer_id = id};
	struct gw_member *m;
	int rc = 0;

	for (; l != NULL && rc == 0; l = gw_hash_next(l)) {
		m = SL_CONTAINER_OF(l, struct gw_member, link);
		if (!means_peer(m->m, iface, name))
			continue;
		m->met |= there;
		if (there)
			rc = settle_peer(w, when, m->role, id, iface, name);
		else
			rc = settle(w, when, NULL, m->role, &h);
	}
	return rc;
}

static int
member_iface(struct gw_who *w, const struct gw_when *when, const struct gw_member *m, uint16_t id,
	     const char *iface, bool there)
{
	struct sl_who_member h = {.iface = id, .prefix = m->m->place.prefix};

	if (m->m->peer[0] != '\0' || m->m->place.iface[0] == '\0' ||
	    strcmp(m->m->place.iface, iface) != 0)
		return 0;
	return there ? settle_prefix(w, when, m->role, id, m->m)
		     : settle(w, when, NULL, m->role, &h);
}

int
gw_who_iface(struct gw_who *w, const struct gw_when *when, uint16_t id, const char *iface,
	     bool there)
{
	int rc = there ? sl_who_ifaces(w->b, id + 1U) : 0;
	unsigned i;

	w->dirty = true;
	for (i = 0; rc == 0 && i < w->n_doc; i++)
		rc = member_iface(w, when, &w->doc[i], id, iface, there);
	for (i = 0; rc == 0 && i < w->n_dyn; i++)
		rc = member_iface(w, when, w->dyn[i], id, iface, there);
	return rc;
}

static int
dyn_room(struct gw_who *w)
{
	unsigned cap = w->cap_dyn != 0 ? w->cap_dyn * 2 : 16;
	struct gw_member **grown;

	if (w->n_dyn < w->cap_dyn)
		return 0;
	grown = realloc(w->dyn, cap * sizeof(struct gw_member *));
	if (grown == NULL)
		return -ENOMEM;
	w->dyn = grown;
	w->cap_dyn = cap;
	return 0;
}

static bool
is_any(const struct sl_pol_member *m)
{
	return m->peer[0] == '\0' && m->place.iface[0] == '\0';
}

static void
tell_barred(const struct gw_member *m, const struct gw_iface *f)
{
	char text[SL_PREFIX_STR];

	sl_log(SL_LOG_ERR, "policy",
	       "member %s@* gives no role: a tunnel of %s owns a part of it "
	       "(any_interface_is_tunnel); name the interface: %s@%s",
	       sl_prefix_str(&m->m->place.prefix, text), f->name, text, f->name);
}

/* Before it is entered: whoever gave it may not have known who owns what now. */
static void
look_for_tunnels(struct sl_gw *gw, struct gw_member *m)
{
	const struct gw_iface *f =
		is_any(m->m) && !m->over ? gw_any_overlaps(gw, &m->m->place.prefix) : NULL;

	if (f != NULL && !m->barred)
		tell_barred(m, f);
	m->barred = f != NULL;
}

int
gw_who_dyn_add(struct sl_gw *gw, struct gw_who *w, const struct gw_when *when, uint16_t role,
	       const struct sl_pol_member *m, bool fed)
{
	struct sl_pol_member *copy = malloc(sizeof(*copy));
	struct gw_member *n = calloc(1, sizeof(*n));
	int rc;

	if (copy == NULL || n == NULL || dyn_room(w) != 0) {
		free(copy);
		free(n);
		return -ENOMEM;
	}
	*copy = *m;
	copy->detail = NULL; /* stays with the gateway's own list */
	n->m = copy;
	n->role = role;
	n->dynamic = true;
	n->fed = fed;
	reckon(w, when, n);
	look_for_tunnels(gw, n);
	gw_hash_add(&w->holders, &n->link, holder_hash(w, copy));
	n->at = w->n_dyn;
	w->dyn[w->n_dyn++] = n;
	next_expiry(w, n);
	rc = settle_holder(gw, w, when, role, copy);
	if (rc == 0)
		return 0;
	w->n_dyn--;
	gw_hash_del(&w->holders, &n->link);
	settle_holder(gw, w, when, role, m);
	dyn_free(n);
	return rc;
}

static struct gw_member *
find_dyn(const struct gw_who *w, uint16_t role, const struct sl_pol_member *m, bool fed)
{
	struct gw_link *l = gw_hash_find(&w->holders, holder_hash(w, m));
	struct gw_member *n;

	for (; l != NULL; l = gw_hash_next(l)) {
		n = SL_CONTAINER_OF(l, struct gw_member, link);
		if (n->dynamic && n->fed == fed && n->role == role && gw_same_holder(n->m, m) &&
		    (!fed || n->m->source == m->source))
			return n;
	}
	return NULL;
}

int
gw_who_dyn_del(struct sl_gw *gw, struct gw_who *w, const struct gw_when *when, uint16_t role,
	       const struct sl_pol_member *m, bool fed)
{
	struct gw_member *n = find_dyn(w, role, m, fed);
	int rc;

	if (n == NULL)
		return -ENOENT;
	gw_hash_del(&w->holders, &n->link);
	rc = settle_holder(gw, w, when, role, n->m);
	if (rc != 0) { /* no memory to take it out: it stays as it was */
		gw_hash_add(&w->holders, &n->link, holder_hash(w, n->m));
		return rc;
	}
	w->dyn[n->at] = w->dyn[--w->n_dyn];
	w->dyn[n->at]->at = n->at;
	dyn_free(n);
	if (w->scan != 0) { /* one may have moved behind the scan: look at all again */
		w->scan = 0;
		w->next_expiry_ns = 1;
	}
	return 0;
}

int
gw_who_bar(struct gw_who *w, const struct gw_when *when, struct gw_member *m,
	   const struct gw_iface *f)
{
	m->barred = true;
	tell_barred(m, f);
	return settle_prefix(w, when, m->role, 0, m->m);
}

/* --- time ----------------------------------------------------------------------------------------
 */

static struct gw_member *
member_at(struct gw_who *w, unsigned i)
{
	return i < w->n_doc ? &w->doc[i] : w->dyn[i - w->n_doc];
}

void
gw_who_rescan(struct gw_who *w)
{
	w->scan_all = true;
	w->scan = 0;
	w->next_expiry_ns = 1;
}

/* Look at one member. @return true if its holder's roles changed */
static bool
look(struct sl_gw *gw, struct gw_who *w, const struct gw_when *when, struct gw_member *m)
{
	struct gw_member before = *m;
	uint64_t at;
	bool changed = reckon(w, when, m);

	if (before.over && !m->over)
		look_for_tunnels(gw, m);
	if (changed && settle_holder(gw, w, when, m->role, m->m) != 0) {
		m->until_ns = before.until_ns; /* its tick ends it on the data path; tried again */
		m->stale = before.stale;
		m->over = before.over;
		m->barred = before.barred;
		w->scan_next_ns = 1;
	}
	at = next_look(m);
	if (at != 0 && (w->scan_next_ns == 0 || at < w->scan_next_ns))
		w->scan_next_ns = at;
	return changed;
}

json_t *
sl_gw_member_text(const struct sl_pol_member *m)
{
	char text[SL_PREFIX_STR];

	if (m->peer[0] != '\0' && m->place.iface[0] != '\0')
		return json_sprintf("peer:%s@%s", m->peer, m->place.iface);
	if (m->peer[0] != '\0')
		return json_sprintf("peer:%s", m->peer);
	return json_sprintf("%s@%s", sl_prefix_str(&m->place.prefix, text),
			    m->place.iface[0] != '\0' ? m->place.iface : "*");
}

static enum sl_gw_member_state
state_of(const struct gw_member *m)
{
	return m->over ? SL_MEMBER_EXPIRED : m->stale ? SL_MEMBER_STALE : SL_MEMBER_ACTIVE;
}

const char *
sl_gw_member_state_text(enum sl_gw_member_state s)
{
	static const char *const text[] = {"active", "stale", "pending", "expired"};

	return text[s];
}

enum sl_gw_member_state
sl_gw_member_state(struct sl_gw *gw, const char *role, const struct sl_pol_member *m)
{
	const struct sl_policy *p = sl_gw_policy(gw);
	const struct gw_who *w = gw->policy->who;
	struct gw_member now = {.m = m};
	struct gw_when when;
	unsigned r = 0;

	gw_policy_when(gw, &when);
	while (p != NULL && r < p->n_roles && strcmp(p->roles[r].name, role) != 0)
		r++;
	if (p == NULL || w == NULL || r == p->n_roles)
		return m->expires_ns != 0 && m->expires_ns <= when.wall_ns ? SL_MEMBER_EXPIRED
									   : SL_MEMBER_PENDING;
	now.role = (uint16_t)r;
	reckon(w, &when, &now);
	return now.over || sl_gw_member_here(gw, m) ? state_of(&now) : SL_MEMBER_PENDING;
}

static void
tell_turned(struct sl_gw *gw, const struct gw_member *m, json_t *turned)
{
	const struct sl_policy *p = sl_gw_policy(gw);

	if (p != NULL && m->role < p->n_roles)
		json_array_append_new(turned,
				      json_pack("{s:s, s:o, s:s}", "role", p->roles[m->role].name,
						"member", sl_gw_member_text(m->m), "state",
						sl_gw_member_state_text(state_of(m))));
}

unsigned
gw_who_expire(struct sl_gw *gw, struct gw_who *w, const struct gw_when *when, json_t *turned)
{
	unsigned done = 0, looked = 0, n = w->n_doc + w->n_dyn;
	struct gw_member *m;
	enum sl_gw_member_state was;

	if (w->scan == 0 && (w->next_expiry_ns == 0 || w->next_expiry_ns > when->wall_ns))
		return 0;
	if (w->scan == 0)
		w->scan_next_ns = 0;
	for (; w->scan < n && done < EXPIRE_BATCH && looked < SCAN_BATCH; w->scan++, looked++) {
		m = member_at(w, w->scan);
		if (m->m->expires_ns == 0 || (m->over && !w->scan_all))
			continue;
		was = state_of(m);
		done += look(gw, w, when, m);
		if (state_of(m) != was)
			tell_turned(gw, m, turned);
	}
	if (w->scan >= n) {
		w->scan = 0;
		w->scan_all = false;
		w->next_expiry_ns = w->scan_next_ns;
	}
	return done;
}
