/* SPDX-License-Identifier: BSD-3-Clause */
/* The job that makes tables of a document: what runs on the helper, and what control adds to it. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "gw_policy.h"
#include "sl_policy_agents.h"

#define POLICY_FILE "policy.json"

/* --- pieces --------------------------------------------------------------------------------------
 */

void
gw_doc_free(struct gw_doc *d)
{
	if (d == NULL)
		return;
	sl_policy_free(d->policy);
	json_decref(d->lints);
	free(d->text);
	free(d->canonical);
	free(d);
}

void
gw_rules_free(struct gw_rules *t)
{
	if (t == NULL)
		return;
	sl_acl_free(t->acl);
	sl_polset_free(t->set);
	free(t);
}

void
gw_job_free(struct gw_job *j)
{
	if (j == NULL)
		return;
	if (j->kind == GW_JOB_LOAD)
		gw_doc_free(j->doc);
	gw_rules_free(j->tables);
	gw_who_free(j->who);
	if (j->staged)
		gw_file_unstage(j->state_dir, POLICY_FILE);
	free(j->ifaces);
	free(j->test_peers);
	free(j->touch);
	free(j->marks);
	free(j->agents);
	free(j->role_ids);
	free(j->state_dir);
	free(j->file);
	free(j);
}

static int
copy_agents(struct gw_job *j, const struct sl_policy *p)
{
	const struct sl_pol_zone *z;
	unsigned i;

	for (i = 0; i < p->n_zones; i++) {
		z = &p->zones[i];
		if (strcmp(z->name, SL_POL_AGENT_ZONE) != 0 || z->n_nets == 0)
			continue;
		j->agents = calloc(z->n_nets, sizeof(*j->agents));
		if (j->agents == NULL)
			return -ENOMEM;
		memcpy(j->agents, z->nets, z->n_nets * sizeof(*j->agents));
		j->n_agents = z->n_nets;
	}
	return 0;
}

int
gw_job_mark(struct sl_gw *gw, struct gw_job *j)
{
	const struct sl_policy *p = gw->policy->doc != NULL ? gw->policy->doc->policy : NULL;
	unsigned i;

	if (p == NULL || gw->n_managed == 0)
		return 0;
	j->marks = calloc(p->n_targets + 1, sizeof(*j->marks));
	if (j->marks == NULL)
		return -ENOMEM;
	for (i = 0; i < p->n_targets; i++)
		if (p->targets[i].withdrawn)
			memcpy(j->marks[j->n_marks++], p->targets[i].name, SL_POL_NAME);
	return copy_agents(j, p);
}

static int
copy_text(struct gw_doc *d, const char *text)
{
	d->text = malloc(d->len + 1);
	if (d->text == NULL)
		return -ENOMEM;
	memcpy(d->text, text, d->len);
	d->text[d->len] = '\0';
	return 0;
}

bool
gw_job_take_document(struct sl_gw *gw, struct gw_job *j, const struct sl_gw_policy_load *l)
{
	const struct gw_doc *now = gw->policy->doc;
	struct gw_doc *d = j->doc;

	if (l->again) {
		j->again = now->text;
		d->len = now->len;
		return true;
	}
	d->len = l->len;
	if (l->file != NULL) {
		j->file = strdup(l->file);
		return j->file != NULL;
	}
	if (l->given != NULL) {
		d->text = l->given;
		return true;
	}
	return copy_text(d, l->text) == 0;
}

static int
by_iface_name(const void *a, const void *b)
{
	return strcmp(((const struct gw_iface_name *)a)->name,
		      ((const struct gw_iface_name *)b)->name);
}

static uint16_t
snapshot_iface(void *ctx, const char *name)
{
	const struct gw_job *j = ctx;
	struct gw_iface_name key;
	const struct gw_iface_name *found;

	snprintf(key.name, sizeof(key.name), "%s", name);
	found = bsearch(&key, j->ifaces, j->n_ifaces, sizeof(key), by_iface_name);
	return found != NULL ? found->id : 0;
}

int
gw_job_snapshot(struct sl_gw *gw, struct gw_job *j)
{
	struct gw_policy *p = gw->policy;
	unsigned i;

	free(j->ifaces);
	j->n_ifaces = 0;
	j->n_iface_ids = gw->n_ifaces;
	j->iface_epoch = p->iface_epoch;
	j->ifaces = calloc(gw->n_ifaces + 1, sizeof(*j->ifaces));
	if (j->ifaces == NULL)
		return -ENOMEM;
	for (i = 1; i < gw->n_ifaces; i++) {
		struct gw_iface_name *n = &j->ifaces[j->n_ifaces];

		if (gw->iface[i] == NULL)
			continue;
		snprintf(n->name, sizeof(n->name), "%s", gw->iface[i]->name);
		n->id = gw->iface[i]->id;
		j->n_ifaces++;
	}
	qsort(j->ifaces, j->n_ifaces, sizeof(*j->ifaces), by_iface_name);
	j->n_beside = p->n_dyn + p->fed.n;
	if (gw->n_managed > 0) /* each peer may come with a role */
		j->n_beside = SL_MAX(j->n_beside, gw->conf.peers_max);
	gw_policy_when(gw, &j->when);
	j->generation = ++p->generation;
	return 0;
}

struct gw_job *
gw_job_new(struct sl_gw *gw, enum gw_job_kind kind)
{
	struct gw_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->kind = kind;
	memcpy(j->key, gw->hash_key, sizeof(j->key));
	memcpy(j->acl_prefix, gw->policy->acl_prefix, sizeof(j->acl_prefix));
	gw_policy_limits(gw, &j->limits);
	j->begin_ns = sl_clock_mono_ns();
	if (kind == GW_JOB_LOAD)
		j->doc = calloc(1, sizeof(*j->doc));
	else
		j->doc = gw->policy->doc;
	if (j->doc != NULL && gw_job_snapshot(gw, j) == 0 &&
	    (kind != GW_JOB_LOAD || gw_job_know_roles(gw, j) == 0))
		return j;
	gw_job_free(j);
	return NULL;
}

/* --- on the helper: documents -------------------------------------------------------------------
 */

static void
add_lint(void *ctx, const char *code, const char *path, const char *text)
{
	struct gw_doc *d = ctx;

	if (d->n_lints++ < GW_LINTS_MAX)
		json_array_append_new(d->lints, json_pack("{ss,ss,ss}", "code", code, "path", path,
							  "text", text));
}

/* At a start what is over is no error: it ended while the gateway was away. */
static void
lint_over(struct gw_doc *d, uint64_t now_ns)
{
	const struct sl_policy *p = d->policy;
	char path[160], when[32];
	unsigned r, i;

	for (r = 0; r < p->n_roles; r++) {
		for (i = 0; i < p->roles[r].n_members; i++) {
			uint64_t end = p->roles[r].members[i].expires_ns;

			if (end == 0 || end > now_ns)
				continue;
			snprintf(path, sizeof(path), "/roles/%s/members/%u", p->roles[r].name, i);
			add_lint(d, "expired", path, sl_time_str(end, when));
		}
	}
	for (i = 0; i < p->n_rules; i++) {
		if (p->rules[i].expires_ns == 0 || p->rules[i].expires_ns > now_ns)
			continue;
		snprintf(path, sizeof(path), "/rules/%u", i);
		add_lint(d, "expired", path, sl_time_str(p->rules[i].expires_ns, when));
	}
}

static bool
names_iface(const struct sl_pol_place *p, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (p[i].iface[0] != '\0')
			return true;
	return false;
}

static void
look_at(struct gw_doc *d)
{
	const struct sl_policy *p = d->policy;
	unsigned i, k;

	for (i = 0; i < p->n_zones; i++)
		d->names_ifaces |= names_iface(p->zones[i].nets, p->zones[i].n_nets);
	for (i = 0; i < p->n_targets; i++)
		d->names_ifaces |= names_iface(p->targets[i].addrs, p->targets[i].n_addrs);
	for (i = 0; i < p->n_rules; i++)
		for (k = 0; k < p->rules[i].n_to; k++)
			d->names_ifaces |= names_iface(&p->rules[i].to[k].place, 1);
	for (i = 0; i < p->n_roles; i++)
		for (k = 0; k < p->roles[i].n_members; k++)
			d->n_prefixes += p->roles[i].members[k].peer[0] == '\0';
}

static int
by_mark(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
withdraw(const struct gw_job *j, struct sl_policy *p)
{
	unsigned i;

	if (j->n_marks > 1)
		qsort(j->marks, j->n_marks, sizeof(*j->marks), by_mark);
	for (i = 0; j->n_marks > 0 && i < p->n_targets; i++)
		p->targets[i].withdrawn |= bsearch(p->targets[i].name, j->marks, j->n_marks,
						   sizeof(*j->marks), by_mark) != NULL;
}

static int
read_document(struct gw_job *j)
{
	struct gw_doc *d = j->doc;
	json_t *emitted;
	int rc = 0;

	if (j->file != NULL)
		rc = sl_gw_policy_read(j->file, &d->text, &d->len, &j->e);
	if (j->again != NULL && copy_text(d, j->again) != 0)
		rc = gw_no_memory(&j->e);
	if (rc == 0)
		rc = sl_policy_doc_parse(d->text, d->len, &d->policy, &j->e);
	if (rc == 0)
		rc = sl_policy_keep_role_ids(d->policy, j->role_ids, j->n_role_ids, &j->e);
	if (rc == 0)
		rc = sl_policy_check(d->policy, &j->limits, j->load.lenient ? 0 : j->when.wall_ns,
				     &j->e);
	if (rc == 0 && !j->no_acl)
		rc = gw_job_learn_roles(j);
	if (rc != 0)
		return rc;
	withdraw(j, d->policy);
	if (sl_policy_add_agents(d->policy, j->agents, j->n_agents) != 0)
		return gw_no_memory(&j->e);
	look_at(d);
	d->lints = json_array();
	sl_policy_lint(d->policy, j->when.wall_ns, add_lint, d);
	if (j->load.lenient)
		lint_over(d, j->when.wall_ns);
	if (j->no_acl)
		return 0;
	emitted = sl_policy_doc_emit(d->policy);
	d->canonical = emitted != NULL ? json_dumps(emitted, JSON_INDENT(1)) : NULL;
	json_decref(emitted);
	if (d->canonical == NULL)
		return gw_no_memory(&j->e);
	d->canonical_len = strlen(d->canonical);
	return 0;
}

/* --- on the helper: tables -----------------------------------------------------------------------
 */

static int
compile(struct gw_job *j)
{
	struct sl_polset_env env = {.generation = j->generation,
				    .wall_ns = j->when.wall_ns,
				    .wall_to_mono_ns = j->when.wall_to_mono_ns,
				    .iface_id = snapshot_iface,
				    .ctx = j};
	struct gw_rules *t = calloc(1, sizeof(*t));

	gw_rules_free(j->tables); /* of a run that came too late */
	j->tables = t;
	if (t == NULL)
		return gw_no_memory(&j->e);
	t->set = sl_polset_compile(j->doc->policy, &env, &j->e);
	if (t->set == NULL)
		return j->e.err != 0 ? j->e.err : -ENOMEM;
	if (j->no_acl)
		return 0;
	t->acl = sl_acl_build(t->set, j->acl_prefix, &j->e);
	return t->acl != NULL ? 0 : j->e.err != 0 ? j->e.err : -ENOMEM;
}

static int
by_test_name(const void *a, const void *b)
{
	return strcmp(((const struct gw_test_peer *)a)->name,
		      ((const struct gw_test_peer *)b)->name);
}

/* The peers that tests name, for control to look up. */
static int
list_test_peers(struct gw_job *j)
{
	const struct sl_policy *p = j->doc->policy;
	unsigned i, n = 0;

	free(j->test_peers);
	j->n_test_peers = 0;
	j->test_peers = calloc(p->n_tests + 1, sizeof(*j->test_peers));
	if (j->test_peers == NULL)
		return gw_no_memory(&j->e);
	for (i = 0; i < p->n_tests; i++)
		if (p->tests[i].peer[0] != '\0')
			snprintf(j->test_peers[n++].name, SL_POL_NAME, "%s", p->tests[i].peer);
	if (n > 1)
		qsort(j->test_peers, n, sizeof(*j->test_peers), by_test_name);
	for (i = 0; i < n; i++)
		if (i == 0 || by_test_name(&j->test_peers[i], &j->test_peers[i - 1]) != 0)
			j->test_peers[j->n_test_peers++] = j->test_peers[i];
	return 0;
}

void
gw_job_build(struct gw_task *t)
{
	struct gw_job *j = SL_CONTAINER_OF(t, struct gw_job, task);
	uint64_t begin = sl_clock_mono_ns();

	j->rc = j->doc->policy == NULL ? read_document(j) : 0;
	if (j->rc == 0)
		j->rc = compile(j);
	if (j->rc == 0 && j->kind != GW_JOB_RULES) {
		gw_who_free(j->who);
		j->who = gw_who_new(j->doc->policy, j->key, j->n_iface_ids, j->n_beside, &j->when,
				    snapshot_iface, j, &j->e);
		j->rc = j->who != NULL ? 0 : j->e.err;
	}
	if (j->rc == 0 && j->load.run_tests)
		j->rc = list_test_peers(j);
	j->compile_ns += sl_clock_mono_ns() - begin;
}

/* --- on the helper: tests
 * -------------------------------------------------------------------------
 */

struct test_env {
	struct gw_job *j;
	const struct sl_identity *id;
};

static const struct sl_class *
test_source(void *ctx, uint16_t iface, const struct sl_ip *ip)
{
	struct test_env *t = ctx;

	return sl_identity_prefix(t->id, iface, ip->family, ip->b);
}

static bool
test_peer(void *ctx, const char *name, struct sl_polset_query *q)
{
	struct test_env *t = ctx;
	struct gw_test_peer key, *p;
	const struct sl_ip *own;

	snprintf(key.name, sizeof(key.name), "%s", name);
	p = bsearch(&key, t->j->test_peers, t->j->n_test_peers, sizeof(key), by_test_name);
	if (p == NULL || !p->known)
		return false;
	q->flow.iface = p->iface;
	q->peer_class = sl_identity_peer(t->id, p->id);
	own = &p->address[q->flow.version == 6];
	q->flow.src = own->family != 0 ? own->b : NULL;
	if (own->family != 0)
		q->src_class = sl_identity_prefix(t->id, p->iface, own->family, own->b);
	return true;
}

static uint16_t
test_iface(void *ctx, const char *name)
{
	return snapshot_iface(((struct test_env *)ctx)->j, name);
}

static int
run_tests(struct gw_job *j)
{
	struct sl_who_garbage *old = NULL;
	struct test_env ctx = {.j = j};
	struct sl_policy_test_env env = {.peer = test_peer,
					 .source = test_source,
					 .iface = test_iface,
					 .ctx = &ctx,
					 .now_ns = j->when.wall_ns};

	ctx.id = sl_who_publish(j->who->b, 1, &old);
	sl_who_garbage_free(old); /* nobody has read what was before */
	if (ctx.id == NULL)
		return gw_no_memory(&j->e);
	return sl_policy_doc_test(j->doc->policy, j->tables->set, &env, &j->n_tests, &j->e);
}

void
gw_job_test(struct gw_task *t)
{
	struct gw_job *j = SL_CONTAINER_OF(t, struct gw_job, task);
	uint64_t begin = sl_clock_mono_ns();

	if (j->load.run_tests) /* somebody asks; at a start nobody does */
		sl_policy_lint_peers(j->doc->policy, j->when.wall_ns, gw_who_met, j->who, add_lint,
				     j->doc);
	j->rc = j->load.run_tests ? run_tests(j) : 0;
	if (j->rc == 0 && j->state_dir != NULL) {
		j->rc = gw_file_stage(j->state_dir, POLICY_FILE, j->doc->text, j->doc->len, &j->e);
		j->staged = j->rc == 0;
	}
	j->compile_ns += sl_clock_mono_ns() - begin;
}

void
gw_job_sync(struct gw_task *t)
{
	struct gw_job *j = SL_CONTAINER_OF(t, struct gw_job, task);
	struct sl_error e;

	if (gw_file_sync_dir(j->state_dir, &e) != 0)
		sl_log(SL_LOG_ERR, "policy", "a power failure may undo the change: %s", e.message);
}

int
gw_job_keep(struct gw_job *j)
{
	int rc = j->staged ? gw_file_replace(j->state_dir, POLICY_FILE, &j->e) : 0;

	j->staged &= rc != 0;
	return rc;
}

int
gw_job_forget_kept(struct sl_gw *gw, struct sl_error *e)
{
	return gw->state_dir != NULL ? gw_file_remove(gw->state_dir, POLICY_FILE, e) : 0;
}

void
gw_job_forget_staged(struct sl_gw *gw)
{
	if (gw->state_dir != NULL)
		gw_file_unstage(gw->state_dir, POLICY_FILE);
}

/* --- on control ----------------------------------------------------------------------------------
 */

static void
note_test_peer(struct gw_job *j, const struct gw_peer *p)
{
	struct gw_test_peer key, *t;
	unsigned i;

	if (j->n_test_peers == 0)
		return;
	snprintf(key.name, sizeof(key.name), "%s", p->p->name);
	t = bsearch(&key, j->test_peers, j->n_test_peers, sizeof(key), by_test_name);
	if (t == NULL || t->known)
		return;
	t->known = true;
	t->id = p->p->id;
	t->iface = p->iface_id;
	for (i = p->n_allowed; i-- > 0;)
		t->address[gw_fam(&p->allowed[i].ip)] = p->allowed[i].ip;
}

static void
any_is_tunnel(struct gw_job *j, const struct gw_member *m, const struct gw_iface *f)
{
	const struct sl_pol_role *r = &j->doc->policy->roles[m->role];
	char path[160], text[SL_PREFIX_STR];

	snprintf(path, sizeof(path), "/roles/%s/members/%td", r->name, m->m - r->members);
	sl_prefix_str(&m->m->place.prefix, text);
	j->rc = sl_fail(&j->e, -EINVAL, "any_interface_is_tunnel", path,
			"%s overlaps AllowedIPs of %s", text, f->name);
	sl_hint(&j->e, "name the interface: %s@%s", text, f->name);
}

/* A document that is new says so; in one that was in force a member whose time was over may have
 * come back with the clock, and AllowedIPs may have been given meanwhile: it alone gives nothing.
 */
static void
bar(struct gw_job *j, struct gw_member *m, const struct gw_iface *f)
{
	int rc;

	if (j->kind == GW_JOB_LOAD && (!j->load.lenient || m->m->expires_ns == 0)) {
		any_is_tunnel(j, m, f);
		return;
	}
	rc = gw_who_bar(j->who, &j->when, m, f);
	if (rc != 0)
		j->rc = gw_who_fail(&j->e, rc, "");
}

/* Prefixes for "*" may overlap no tunnel of this gateway. */
static unsigned
check_any(struct sl_gw *gw, struct gw_job *j, unsigned budget)
{
	struct gw_who *w = j->who;
	const struct gw_iface *f;

	if (j->next_any == 0)
		j->allowed_epoch = gw->policy->allowed_epoch;
	for (; budget > 0 && j->rc == 0 && j->next_any < w->n_doc; j->next_any++, budget--) {
		struct gw_member *m = &w->doc[j->next_any];

		if (m->m->peer[0] != '\0' || m->m->place.iface[0] != '\0' || m->over || m->barred)
			continue;
		f = gw_any_overlaps(gw, &m->m->place.prefix);
		if (f != NULL)
			bar(j, m, f);
	}
	return budget;
}

bool
gw_job_resolve(struct sl_gw *gw, struct gw_job *j, unsigned budget)
{
	struct sl_peer *dp;
	struct gw_peer *p;
	int rc;

	budget = check_any(gw, j, budget);
	for (; budget > 0 && j->rc == 0 && j->next_peer < gw->next_id; j->next_peer++, budget--) {
		dp = sl_peer_get(gw->dp->peers, j->next_peer);
		p = dp != NULL ? dp->ctl_priv : NULL;
		if (p == NULL || p->iface == NULL)
			continue;
		note_test_peer(j, p);
		rc = gw_who_peer(j->who, &j->when, dp->id, p->iface->name, dp->name, true);
		if (rc != 0)
			j->rc = gw_who_fail(&j->e, rc, "");
	}
	return j->rc != 0 || (j->next_any >= j->who->n_doc && j->next_peer >= gw->next_id);
}

static void
catch_dyn(struct sl_gw *gw, struct gw_job *j, const struct gw_dyn *d)
{
	int role = gw_policy_role(j->doc->policy, d->role), rc;

	if (gw_dyn_is_tunnels(gw, d)) /* gw_dyn_prune() tells */
		return;
	rc = role < 0 ? 0 : gw_who_dyn_add(gw, j->who, &j->when, (uint16_t)role, &d->m, false);
	if (rc != 0)
		j->rc = gw_who_fail(&j->e, rc, "");
}

static void
catch_fed(struct sl_gw *gw, struct gw_job *j, const struct gw_fed *f)
{
	int role = gw_fed_counts(f, j) ? gw_policy_role(j->doc->policy, f->role) : -1, rc;

	rc = role < 0 ? 0 : gw_who_dyn_add(gw, j->who, &j->when, (uint16_t)role, &f->m, true);
	if (rc != 0)
		j->rc = gw_who_fail(&j->e, rc, "");
}

static bool
has_any(const struct gw_who *w)
{
	static const struct sl_prefix v4 = {.ip = {.family = 4}}, v6 = {.ip = {.family = 6}};

	return sl_who_any_overlaps(w->b, &v4) || sl_who_any_overlaps(w->b, &v6);
}

void
gw_job_touch(struct gw_job *j, const struct gw_peer *p, bool there)
{
	unsigned cap = j->cap_touch != 0 ? j->cap_touch * 2 : 64;
	struct gw_touch *t;

	if (j->n_touch == j->cap_touch) {
		t = realloc(j->touch, cap * sizeof(*t));
		if (t == NULL) {
			j->iface_epoch--; /* it begins anew */
			return;
		}
		j->touch = t;
		j->cap_touch = cap;
	}
	t = &j->touch[j->n_touch++];
	*t = (struct gw_touch){.id = p->p->id, .there = there};
	snprintf(t->iface, sizeof(t->iface), "%s", p->iface->name);
	snprintf(t->name, sizeof(t->name), "%s", p->p->name);
}

bool
gw_job_catch_up(struct sl_gw *gw, struct gw_job *j, unsigned budget)
{
	struct gw_policy *p = gw->policy;
	const struct gw_touch *t;
	unsigned i;
	int rc;

	for (i = 0; i < j->n_touch && j->rc == 0; i++) {
		t = &j->touch[i];
		rc = gw_who_peer(j->who, &j->when, t->id, t->iface, t->name, t->there);
		if (rc != 0)
			j->rc = gw_who_fail(&j->e, rc, "");
	}
	j->n_touch = 0;
	if (j->rc == 0 && j->allowed_epoch != p->allowed_epoch && has_any(j->who)) {
		j->next_any = 0; /* rare, and all at once: others may come every turn */
		check_any(gw, j, UINT_MAX);
	}
	for (; budget > 0 && j->rc == 0 && j->next_dyn < p->n_dyn; j->next_dyn++, budget--)
		catch_dyn(gw, j, p->dyn[j->next_dyn]);
	for (; budget > 0 && j->rc == 0 && j->next_fed < p->fed.n; j->next_fed++, budget--)
		catch_fed(gw, j, p->fed.v[j->next_fed]);
	return j->rc != 0 || (j->next_dyn >= p->n_dyn && j->next_fed >= p->fed.n);
}
