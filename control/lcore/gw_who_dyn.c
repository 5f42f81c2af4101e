/* SPDX-License-Identifier: BSD-3-Clause */
/* Members beside the document: given by an identity provider or by a call, kept in a file of the
 * state directory. They outlive loads whose document still has their role. */
#include <stdio.h>
#include <stdlib.h>

#include "gw_policy.h"

#define MEMBERS_FILE "members.json"
#define MEMBERS_VERSION 1
#define CALLS_MAX 64 /* of one write */
#define RETRY_NS (1 * SL_NS_PER_S)
#define MEMBERS_FILE_MAX (64U << 20)

static const char *const source_text[] = {"static", "idp", "dynamic"};

static void settle(struct sl_gw *gw);

/* --- the list -------------------------------------------------------------------------------- */

static bool
is_prefix(const struct gw_dyn *d)
{
	return d->m.peer[0] == '\0';
}

static void
dyn_drop(struct gw_dyn *d)
{
	if (d == NULL || --d->refs > 0)
		return;
	free(d->m.detail);
	free(d);
}

static int
dyn_new(const char *role, const struct sl_pol_member *m, struct gw_dyn **out)
{
	struct gw_dyn *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -ENOMEM;
	snprintf(d->role, sizeof(d->role), "%s", role);
	d->refs = 1;
	d->m = *m;
	d->m.detail = m->detail != NULL ? strdup(m->detail) : NULL;
	if (m->detail != NULL && d->m.detail == NULL) {
		free(d);
		return -ENOMEM;
	}
	*out = d;
	return 0;
}

static int
list_add(struct gw_policy *p, struct gw_dyn *d)
{
	unsigned cap = p->cap_dyn != 0 ? p->cap_dyn * 2 : 16;
	struct gw_dyn **grown;

	if (p->n_dyn == p->cap_dyn) {
		grown = realloc(p->dyn, cap * sizeof(struct gw_dyn *));
		if (grown == NULL)
			return -ENOMEM;
		p->dyn = grown;
		p->cap_dyn = cap;
	}
	p->dyn[p->n_dyn++] = d;
	p->n_dyn_prefixes += is_prefix(d);
	return 0;
}

/* Order is kept: a job that catches up counts on it. @return the one that was there */
static struct gw_dyn *
list_del(struct gw_policy *p, unsigned at)
{
	struct gw_dyn *d = p->dyn[at];

	memmove(&p->dyn[at], &p->dyn[at + 1], (p->n_dyn - at - 1) * sizeof(struct gw_dyn *));
	p->n_dyn--;
	p->n_dyn_prefixes -= is_prefix(d);
	return d;
}

static unsigned
find_in(struct gw_dyn *const *v, unsigned n, const char *role, const struct sl_pol_member *m)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (strcmp(v[i]->role, role) == 0 && gw_same_holder(&v[i]->m, m))
			break;
	return i;
}

static unsigned
list_find(const struct gw_policy *p, const char *role, const struct sl_pol_member *m)
{
	return find_in(p->dyn, p->n_dyn, role, m);
}

/* --- the file ----------------------------------------------------------------------------------
 */

static json_t *
member_json(const struct gw_dyn *d)
{
	json_t *o = json_pack("{ss,ss,sI}", "role", d->role, "source", source_text[d->m.source],
			      "expires_ns", (json_int_t)d->m.expires_ns);
	char text[SL_PREFIX_STR];

	if (d->m.place.iface[0] != '\0')
		json_object_set_new(o, "interface", json_string(d->m.place.iface));
	if (is_prefix(d))
		json_object_set_new(o, "prefix",
				    json_string(sl_prefix_str(&d->m.place.prefix, text)));
	else
		json_object_set_new(o, "peer", json_string(d->m.peer));
	if (d->m.provider[0] != '\0')
		json_object_set_new(o, "provider", json_string(d->m.provider));
	if (d->m.detail != NULL)
		json_object_set_new(o, "detail", json_string(d->m.detail));
	return o;
}

/* Any thread. */
static int
write_list(const char *dir, struct gw_dyn *const *v, unsigned n, struct sl_error *e)
{
	json_t *list = json_array(), *root;
	char *text;
	unsigned i;
	int rc;

	for (i = 0; i < n; i++)
		json_array_append_new(list, member_json(v[i]));
	root = json_pack("{si,so}", "version", MEMBERS_VERSION, "members", list);
	text = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(root);
	if (text == NULL)
		return gw_no_memory(e);
	rc = gw_file_write(dir, MEMBERS_FILE, text, strlen(text), e);
	free(text);
	return rc;
}

static int
save(struct sl_gw *gw, struct sl_error *e)
{
	struct gw_policy *p = gw->policy;

	return gw->state_dir != NULL ? write_list(gw->state_dir, p->dyn, p->n_dyn, e) : 0;
}

static int
parse_source(const char *text, enum sl_pol_source *out)
{
	unsigned i;

	for (i = 0; i < SL_ARRAY_SIZE(source_text); i++) {
		if (strcmp(text, source_text[i]) == 0) {
			*out = (enum sl_pol_source)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int
decode_one(struct gw_policy *p, const json_t *o)
{
	const char *role, *source, *iface = "", *prefix = NULL, *peer = NULL, *provider = "";
	struct sl_pol_member m = {0};
	const char *detail = NULL;
	json_int_t expires;
	struct gw_dyn *d;

	if (json_unpack((json_t *)(uintptr_t)o, "{ss,ss,sI,s?s,s?s,s?s,s?s,s?s!}", "role", &role,
			"source", &source, "expires_ns", &expires, "interface", &iface, "prefix",
			&prefix, "peer", &peer, "provider", &provider, "detail", &detail) != 0 ||
	    parse_source(source, &m.source) != 0 || (prefix == NULL) == (peer == NULL) ||
	    strlen(role) >= sizeof(d->role) || strlen(iface) >= sizeof(m.place.iface) ||
	    strlen(provider) >= sizeof(m.provider))
		return -EINVAL;
	if (prefix != NULL &&
	    (sl_prefix_parse(prefix, &m.place.prefix) != 0 || sl_prefix_mask(&m.place.prefix)))
		return -EINVAL;
	if (peer != NULL && (peer[0] == '\0' || strlen(peer) >= sizeof(m.peer)))
		return -EINVAL;
	snprintf(m.peer, sizeof(m.peer), "%s", peer != NULL ? peer : "");
	snprintf(m.place.iface, sizeof(m.place.iface), "%s", iface);
	snprintf(m.provider, sizeof(m.provider), "%s", provider);
	m.detail = (char *)(uintptr_t)detail;
	m.expires_ns = (uint64_t)expires;
	if (dyn_new(role, &m, &d) != 0)
		return -ENOMEM;
	if (list_add(p, d) == 0)
		return 0;
	dyn_drop(d);
	return -ENOMEM;
}

static int
decode(struct gw_policy *p, const char *text, size_t len)
{
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL), *list, *item;
	int version, rc = -EINVAL;
	size_t i;

	if (root != NULL &&
	    json_unpack(root, "{si,so!}", "version", &version, "members", &list) == 0 &&
	    version == MEMBERS_VERSION && json_is_array(list)) {
		rc = 0;
		json_array_foreach (list, i, item) {
			rc = decode_one(p, item);
			if (rc != 0)
				break;
		}
	}
	json_decref(root);
	return rc;
}

void
gw_dyn_load(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;
	struct sl_error e = {0};
	char from[4096], to[4096];
	char *text;
	size_t len;
	int rc;

	if (gw->state_dir == NULL)
		return;
	rc = gw_file_read(gw->state_dir, MEMBERS_FILE, MEMBERS_FILE_MAX, &text, &len, &e);
	if (rc == -ENOENT)
		return;
	if (rc == 0) {
		rc = decode(p, text, len);
		free(text);
	}
	if (rc == 0)
		return;
	gw_dyn_free(gw);
	snprintf(from, sizeof(from), "%s/%s", gw->state_dir, MEMBERS_FILE);
	snprintf(to, sizeof(to), "%s/%s.broken", gw->state_dir, MEMBERS_FILE);
	if (rename(from, to) != 0)
		snprintf(to, sizeof(to), "%s", from);
	snprintf(p->broken, sizeof(p->broken),
		 "members given beside the document are lost: %.160s is no list of members", to);
	sl_log(SL_LOG_ERR, "policy", "%s; give them again (role.member.add)", p->broken);
}

void
gw_dyn_free(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;

	while (p->n_dyn > 0)
		dyn_drop(p->dyn[--p->n_dyn]);
	free(p->dyn);
	p->dyn = NULL;
	p->cap_dyn = p->n_dyn_prefixes = 0;
}

/* --- changes -------------------------------------------------------------------------------------
 */

int
gw_policy_role(const struct sl_policy *p, const char *name)
{
	unsigned i;

	for (i = 0; p != NULL && i < p->n_roles; i++)
		if (strcmp(p->roles[i].name, name) == 0)
			return (int)i;
	return -1;
}

static int
check_role(struct sl_gw *gw, const char *role, struct sl_error *e)
{
	const struct sl_policy *p = sl_gw_policy(gw);
	int at = gw_policy_role(p, role);

	if (at >= 0)
		return at;
	sl_fail(e, -ENOENT, "role_unknown", "/role", "the policy in force has no role \"%.63s\"",
		role);
	sl_hint(e, p == NULL ? "load a policy first" : "role.list names them");
	return -ENOENT;
}

static int
check_peer(struct sl_gw *gw, const struct sl_pol_member *m, struct sl_error *e)
{
	struct gw_iface *f;
	unsigned i;

	for (i = 1; i < gw->n_ifaces; i++) {
		f = gw->iface[i];
		if (f == NULL ||
		    (m->place.iface[0] != '\0' && strcmp(m->place.iface, f->name) != 0))
			continue;
		if (gw_peer_by_name(gw, f, m->peer) != NULL)
			return 0;
	}
	sl_fail(e, -ENOENT, "peer_unknown", "/peer", "no peer \"%.63s\"%s%s", m->peer,
		m->place.iface[0] != '\0' ? " of " : "", m->place.iface);
	sl_hint(e, "peer.list names them");
	return -ENOENT;
}

/* "*" gives a role to sources that no tunnel owns (D2). */
const struct gw_iface *
gw_any_overlaps(struct sl_gw *gw, const struct sl_prefix *p)
{
	struct gw_iface *f;
	unsigned i;

	for (i = 1; i < gw->n_ifaces; i++) {
		f = gw->iface[i];
		if (f != NULL &&
		    sl_lpm_overlaps(&f->table[GW_T_PEERS][gw_fam(&p->ip)], p->ip.b, p->len))
			return f;
	}
	return NULL;
}

bool
gw_any_member(const struct sl_gw *gw, const struct sl_prefix *p)
{
	const struct gw_who *w = gw->policy != NULL ? gw->policy->who : NULL;

	return w != NULL && sl_who_any_overlaps(w->b, p);
}

bool
gw_dyn_is_tunnels(struct sl_gw *gw, const struct gw_dyn *d)
{
	return is_prefix(d) && d->m.place.iface[0] == '\0' &&
	       gw_any_overlaps(gw, &d->m.place.prefix) != NULL;
}

static int
check_any(struct sl_gw *gw, const struct sl_pol_member *m, struct sl_error *e)
{
	const struct gw_iface *f = gw_any_overlaps(gw, &m->place.prefix);
	char text[SL_PREFIX_STR];

	if (f == NULL)
		return 0;
	sl_prefix_str(&m->place.prefix, text);
	sl_fail(e, -EINVAL, "any_interface_is_tunnel", "/prefix", "%s overlaps AllowedIPs of %s",
		text, f->name);
	sl_hint(e, "name the interface: %s@%s", text, f->name);
	return -EINVAL;
}

static int
check_prefix(struct sl_gw *gw, const struct sl_pol_member *m, struct sl_error *e)
{
	int rc = gw_prefix_check(&m->place.prefix, "prefix", "/prefix", e);

	if (rc != 0)
		return rc;
	if (m->place.iface[0] == '\0')
		return check_any(gw, m, e);
	return gw_iface_of(gw, m->place.iface, e) != NULL ? 0 : -ENOENT;
}

static int
check_room(struct sl_gw *gw, const struct sl_pol_member *m, bool is_new, struct sl_error *e)
{
	struct sl_policy_limits l;

	gw_policy_limits(gw, &l);
	if (!is_new || m->peer[0] != '\0' || gw_policy_prefixes(gw) < l.prefixes)
		return 0;
	sl_fail(e, -ENOSPC, "limit_prefixes", "/prefix", "the limit of %u prefixes is reached",
		l.prefixes);
	sl_hint(e, "remove members, or raise policy.prefixes in the configuration");
	return -ENOSPC;
}

static int
check(struct sl_gw *gw, const struct sl_pol_member *m, bool is_new, struct sl_error *e)
{
	int rc = m->peer[0] != '\0' ? check_peer(gw, m, e) : check_prefix(gw, m, e);

	if (rc == 0 && m->expires_ns != 0 && m->expires_ns <= gw_wall_ns(gw)) {
		rc = sl_fail(e, -EINVAL, "expired", "/expires", "the time is over already");
		sl_hint(e, "give a time to come, or leave it out");
	}
	return rc == 0 ? check_room(gw, m, is_new, e) : rc;
}

/* Into the members in force, and into those that a job is about to put in their place. */
static int
enter(struct sl_gw *gw, const struct gw_dyn *d)
{
	struct gw_policy *p = gw->policy;
	int role = gw_policy_role(sl_gw_policy(gw), d->role);
	struct gw_when when;

	gw_policy_when(gw, &when);
	if (role < 0 || p->who == NULL)
		return 0;
	gw->dirty = true;
	return gw_who_dyn_add(gw, p->who, &when, (uint16_t)role, &d->m, false);
}

static int
leave(struct sl_gw *gw, unsigned at)
{
	struct gw_policy *p = gw->policy;
	struct gw_job *j = p->job;
	struct gw_dyn *d = p->dyn[at];
	struct gw_when when;
	int role, rc = 0;

	gw_policy_when(gw, &when);
	role = gw_policy_role(sl_gw_policy(gw), d->role);
	if (role >= 0 && p->who != NULL)
		rc = gw_who_dyn_del(gw, p->who, &when, (uint16_t)role, &d->m, false);
	if (rc != 0 && rc != -ENOENT)
		return rc;
	gw->dirty = true;
	if (j != NULL && j->who != NULL && j->phase == GW_FINISH && at < j->next_dyn) {
		role = gw_policy_role(j->doc->policy, d->role);
		if (role >= 0)
			gw_who_dyn_del(gw, j->who, &when, (uint16_t)role, &d->m, false);
		j->next_dyn--;
	}
	return 0;
}

/** @param why NULL: somebody asked for it */
static void
member_event(struct sl_gw *gw, const char *action, const char *role, const struct sl_pol_member *m,
	     const char *why)
{
	char text[SL_PREFIX_STR];

	gw_policy_event(gw, action, "success",
			json_pack("{ss,ss,ss,ss,ss*}", "role", role, "holder",
				  m->peer[0] != '\0' ? m->peer
						     : sl_prefix_str(&m->place.prefix, text),
				  "interface", m->place.iface, "source", source_text[m->source],
				  "why", why));
}

/* @param write: the file too; else it has the change already */
static int
add_now(struct sl_gw *gw, const char *role, const struct sl_pol_member *m, bool write,
	struct sl_error *e)
{
	struct gw_policy *p = gw->policy;
	unsigned at = list_find(p, role, m);
	struct gw_dyn *d, *old = NULL;
	int rc = check_role(gw, role, e);

	if (rc < 0)
		return rc;
	rc = check(gw, m, at == p->n_dyn, e);
	if (rc != 0)
		return rc;
	if (dyn_new(role, m, &d) != 0)
		return gw_no_memory(e);
	sl_gw_begin(gw);
	if (at < p->n_dyn && leave(gw, at) == 0)
		old = list_del(p, at);
	rc = at < p->n_dyn && old == NULL ? -ENOMEM : list_add(p, d);
	if (rc != 0) {
		dyn_drop(d);
		gw_no_memory(e);
	} else {
		rc = write ? save(gw, e) : 0;
		if (rc == 0 && enter(gw, d) != 0)
			rc = gw_no_memory(e);
		if (rc != 0)
			dyn_drop(list_del(p, p->n_dyn - 1));
	}
	if (rc != 0 && old != NULL && list_add(p, old) == 0) {
		enter(gw, old);
		old = NULL;
	}
	dyn_drop(old);
	sl_gw_commit(gw);
	if (rc == 0)
		member_event(gw, "member_added", role, m, NULL);
	return rc;
}

static int
del_now(struct sl_gw *gw, const char *role, const struct sl_pol_member *m, bool write,
	struct sl_error *e)
{
	struct gw_policy *p = gw->policy;
	unsigned at = list_find(p, role, m);
	int rc;

	if (at == p->n_dyn) {
		sl_fail(e, -ENOENT, "not_found", m->peer[0] != '\0' ? "/peer" : "/prefix",
			"role \"%.63s\" has no such member beside the document", role);
		sl_hint(e, "members of the document go with a new document; role.members tells "
			   "which are which");
		return -ENOENT;
	}
	sl_gw_begin(gw);
	rc = leave(gw, at);
	if (rc != 0)
		rc = gw_no_memory(e);
	else
		dyn_drop(list_del(p, at));
	sl_gw_commit(gw);
	if (rc == 0)
		member_event(gw, "member_removed", role, m, NULL);
	if (rc == 0 && write)
		rc = save(gw, e); /* it is out; a file that still has it would bring it back */
	p->dyn_stale |= rc != 0;
	return rc;
}

/* "*" for what a tunnel owns now: peers came while no policy was in force. */
static void
tell_any(struct sl_gw *gw, const struct gw_dyn *d)
{
	struct gw_policy *p = gw->policy;
	char text[SL_PREFIX_STR];

	snprintf(
		p->broken, sizeof(p->broken),
		"the member %s@* of role %s was given beside the document and is removed: a tunnel "
		"owns part of it (any_interface_is_tunnel)",
		sl_prefix_str(&d->m.place.prefix, text), d->role);
	sl_log(SL_LOG_ERR, "policy", "%s", p->broken);
}

static const char *
why_not(struct sl_gw *gw, const struct gw_dyn *d, const struct sl_policy *doc, uint64_t now)
{
	if (d->m.expires_ns != 0 && d->m.expires_ns <= now)
		return "expired";
	if (doc == NULL)
		return NULL;
	if (gw_policy_role(doc, d->role) < 0)
		return "role_gone";
	return gw_dyn_is_tunnels(gw, d) ? "any_interface_is_tunnel" : NULL;
}

static void
save_stale(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;
	struct sl_error e = {0};

	if (!p->dyn_stale)
		return;
	p->dyn_stale = save(gw, &e) != 0;
	if (p->dyn_stale)
		sl_log(SL_LOG_ERR, "policy", "%s", e.message);
}

void
gw_dyn_clear(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;

	p->dyn_stale |= p->n_dyn > 0;
	while (p->n_dyn > 0)
		dyn_drop(list_del(p, p->n_dyn - 1));
	if (p->helper == NULL)
		save_stale(gw); /* else with the next turn, on the helper */
}

void
gw_dyn_prune(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;
	const struct sl_policy *doc = sl_gw_policy(gw);
	uint64_t now = gw_wall_ns(gw);
	bool changed = false;
	const char *why;
	struct gw_dyn *d;
	unsigned i = 0;

	while (i < p->n_dyn) {
		d = p->dyn[i];
		why = why_not(gw, d, doc, now);
		if (why == NULL) {
			i++;
			continue;
		}
		member_event(gw, "member_removed", d->role, &d->m, why);
		if (strcmp(why, "any_interface_is_tunnel") == 0)
			tell_any(gw, d);
		if (leave(gw, i) != 0)
			break;
		dyn_drop(list_del(p, i));
		changed = true;
	}
	p->dyn_stale |= changed;
	if (p->helper == NULL)
		save_stale(gw); /* else with the next turn, on the helper */
}

/* --- changes whose file is written on the helper
 * --------------------------------------------------
 */

int
sl_gw_member_add(struct sl_gw *gw, const char *role, const struct sl_pol_member *m,
		 struct sl_error *e)
{
	settle(gw);
	return add_now(gw, role, m, true, e);
}

int
sl_gw_member_del(struct sl_gw *gw, const char *role, const struct sl_pol_member *m,
		 struct sl_error *e)
{
	settle(gw);
	return del_now(gw, role, m, true, e);
}

int
sl_gw_member_change(struct sl_gw *gw, bool add, const char *role, const struct sl_pol_member *m,
		    sl_gw_member_done done, void *ctx, struct sl_error *e)
{
	struct gw_policy *p = gw->policy;
	struct gw_dyn_call *c, **end;
	int rc = add ? check_role(gw, role, e) : 0;

	rc = rc < 0 ? rc : add ? check(gw, m, list_find(p, role, m) == p->n_dyn, e) : 0;
	if (rc == 0)
		rc = gw_policy_need_helper(gw, e);
	if (rc != 0)
		return rc;
	c = calloc(1, sizeof(*c));
	if (c == NULL || dyn_new(role, m, &c->d) != 0) {
		free(c);
		return gw_no_memory(e);
	}
	c->add = add;
	c->done = done;
	c->ctx = ctx;
	for (end = &p->calls; *end != NULL; end = &(*end)->next)
		;
	*end = c;
	if (p->helper == NULL)
		settle(gw);
	return 0;
}

static void
write_task(struct gw_task *t)
{
	struct gw_dyn_write *w = SL_CONTAINER_OF(t, struct gw_dyn_write, task);

	w->rc = write_list(w->dir, w->v, w->n, &w->e);
}

/* The list as it shall be. @return false: nothing of the file changes */
static bool
project(struct gw_dyn_write *w, const struct gw_dyn_call *c)
{
	unsigned at = find_in(w->v, w->n, c->d->role, &c->d->m);

	if (!c->add && at == w->n)
		return false;
	if (c->add && at == w->n) {
		w->v[w->n++] = c->d;
	} else if (c->add) {
		w->v[at] = c->d;
	} else {
		memmove(&w->v[at], &w->v[at + 1], (w->n - at - 1) * sizeof(w->v[0]));
		w->n--;
	}
	return true;
}

/* Take calls that wait, and give the list that they make to the helper. */
static void
begin_write(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;
	bool changed = p->dyn_stale && gw_mono_ns(gw) >= p->dyn_retry_ns;
	struct gw_dyn_write *w;
	struct gw_dyn_call **end;
	unsigned i, k;

	if (p->write != NULL || (p->calls == NULL && !changed))
		return;
	w = calloc(1, sizeof(*w));
	if (w != NULL)
		w->v = malloc((p->n_dyn + CALLS_MAX) * sizeof(w->v[0]));
	if (w == NULL || w->v == NULL) {
		free(w);
		return; /* in the next turn */
	}
	if (p->n_dyn > 0)
		memcpy(w->v, p->dyn, p->n_dyn * sizeof(w->v[0]));
	w->n = p->n_dyn;
	w->calls = p->calls;
	for (end = &w->calls, k = 0; *end != NULL && k < CALLS_MAX; end = &(*end)->next, k++)
		changed |= project(w, *end);
	p->calls = *end;
	*end = NULL;
	for (i = 0; i < w->n; i++)
		w->v[i]->refs++;
	w->dir = gw->state_dir;
	w->task.run = write_task;
	p->write = w;
	if (changed && w->dir != NULL) {
		p->dyn_stale = false;
		gw_helper_give(p->helper, &w->task);
	} else {
		atomic_store_explicit(&w->task.done, true, memory_order_relaxed);
	}
}

/* It is on the disk: in force. What cannot be is taken out of the file again. */
static void
apply(struct sl_gw *gw, struct gw_dyn_write *w)
{
	struct gw_dyn_call *c;

	sl_gw_begin(gw);
	for (c = w->calls; c != NULL; c = c->next) {
		c->rc = c->add ? add_now(gw, c->d->role, &c->d->m, false, &c->e)
			       : del_now(gw, c->d->role, &c->d->m, false, &c->e);
		gw->policy->dyn_stale |= c->rc != 0 && (c->add || c->rc != -ENOENT);
	}
	sl_gw_commit(gw);
}

static void
answer(struct gw_dyn_call *c, int rc, const struct sl_error *e)
{
	struct gw_dyn_call *next;

	for (; c != NULL; c = next) {
		next = c->next;
		if (rc != 0) {
			c->rc = rc;
			c->e = *e;
		}
		c->done(c->ctx, c->rc, &c->e);
		dyn_drop(c->d);
		free(c);
	}
}

static void
end_write(struct sl_gw *gw, bool stopping)
{
	struct gw_policy *p = gw->policy;
	struct gw_dyn_write *w = p->write;
	unsigned i;

	p->write = NULL;
	if (w->rc != 0) {
		p->dyn_stale = true; /* what is on the disk may be the new list */
		p->dyn_retry_ns = gw_mono_ns(gw) + RETRY_NS;
		sl_log(SL_LOG_ERR, "policy", "%s", w->e.message);
	} else if (!stopping) {
		apply(gw, w);
	}
	answer(w->calls, w->rc, &w->e);
	for (i = 0; i < w->n; i++)
		dyn_drop(w->v[i]);
	free(w->v);
	free(w);
}

void
gw_dyn_poll(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;

	if (p->write != NULL && gw_task_done(&p->write->task))
		end_write(gw, false);
	begin_write(gw);
}

static void
settle(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;

	while (p->write != NULL || p->calls != NULL) {
		begin_write(gw);
		if (p->write == NULL)
			return; /* no memory: the next turn */
		if (!gw_task_done(&p->write->task))
			gw_helper_wait(p->helper, &p->write->task);
		end_write(gw, false);
	}
}

void
gw_dyn_stop(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;
	bool written = p->write != NULL && p->write->calls != NULL && p->write->rc == 0;
	struct gw_dyn_call *waiting = p->calls;
	struct sl_error e;

	p->calls = NULL;
	sl_fail(&e, -ECANCELED, "stopping", "", "the gateway ends");
	if (p->write != NULL)
		end_write(gw, true); /* in force at the next start */
	answer(waiting, -ECANCELED, &e);
	if (!written)
		save_stale(gw);
}

unsigned
sl_gw_members_beside(struct sl_gw *gw, const char *role)
{
	const struct gw_policy *p = gw->policy;
	unsigned i, n = 0;

	for (i = 0; i < p->n_dyn; i++)
		n += strcmp(p->dyn[i]->role, role) == 0;
	return n;
}

bool
sl_gw_member_here(struct sl_gw *gw, const struct sl_pol_member *m)
{
	if (m->peer[0] != '\0')
		return check_peer(gw, m, NULL) == 0;
	return m->place.iface[0] == '\0' || gw_iface_by_name(gw, m->place.iface) != NULL;
}

void
sl_gw_member_walk(struct sl_gw *gw,
		  bool (*fn)(void *ctx, const char *role, const struct sl_pol_member *m,
			     enum sl_gw_giver giver),
		  void *ctx)
{
	const struct sl_policy *p = sl_gw_policy(gw);
	const struct gw_policy *own = gw->policy;
	const struct gw_fed *f;
	unsigned r, i;

	for (r = 0; p != NULL && r < p->n_roles; r++) {
		for (i = 0; i < p->roles[r].n_members; i++)
			if (!fn(ctx, p->roles[r].name, &p->roles[r].members[i], SL_GIVER_DOCUMENT))
				return;
		for (i = 0; i < own->n_dyn; i++)
			if (strcmp(own->dyn[i]->role, p->roles[r].name) == 0 &&
			    !fn(ctx, p->roles[r].name, &own->dyn[i]->m, SL_GIVER_CALL))
				return;
	}
	for (i = 0; p != NULL && i < own->fed.n; i++) {
		f = own->fed.v[i];
		if (f->state != GW_FED_COMING && !fn(ctx, f->role, &f->m, SL_GIVER_CONTROL))
			return;
	}
}
