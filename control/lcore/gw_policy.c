/* SPDX-License-Identifier: BSD-3-Clause */
/* The policy in force, and how another one takes its place. */
#include <stdio.h>
#include <stdlib.h>

#include "gw_policy.h"

#define RESOLVE_BATCH 2000 /* peers looked up in one turn */
#define DYN_BATCH 256
#define RECORD_MEMBERS 64 /* in one record; lists of records are not longer */
#define RERUNS_MAX 5
#define RETRY_NS (1 * SL_NS_PER_S)
#define CAPACITY_NS (60 * SL_NS_PER_S)

void
gw_policy_when(struct sl_gw *gw, struct gw_when *out)
{
	out->wall_ns = gw_wall_ns(gw);
	out->wall_to_mono_ns = out->wall_ns - gw_mono_ns(gw);
	out->idp = &gw->policy->idp;
}

void
gw_policy_limits(struct sl_gw *gw, struct sl_policy_limits *out)
{
	unsigned start = gw->conf.policy_prefixes != 0 ? gw->conf.policy_prefixes : SL_POL_PREFIXES;

	*out = (struct sl_policy_limits){.prefixes = start * SL_POL_GROW_MAX,
					 .roles = SL_POL_ROLES * SL_POL_GROW_MAX,
					 .rules_per_role = gw->conf.policy_rules != 0
								   ? gw->conf.policy_rules
								   : SL_POL_RULES};
}

unsigned
gw_policy_prefixes(const struct sl_gw *gw)
{
	const struct gw_policy *p = gw->policy;

	return (p->doc != NULL ? p->doc->n_prefixes : 0) + p->n_dyn_prefixes + p->fed.n_prefixes;
}

void
gw_policy_event(struct sl_gw *gw, const char *action, const char *outcome, json_t *fields)
{
	char *text = fields != NULL ? json_dumps(fields, JSON_COMPACT) : NULL;

	sl_log(strcmp(outcome, "failure") == 0 ? SL_LOG_WARN : SL_LOG_INFO, "policy", "%s: %.400s",
	       action, text != NULL ? text : "");
	free(text);
	sl_gw_event(gw, action, outcome, fields);
}

/* --- freeing what was in force ------------------------------------------------------------------
 */

static void
free_tables_task(struct gw_task *t)
{
	gw_rules_free(SL_CONTAINER_OF(t, struct gw_rules, task));
}

static void
free_who_task(struct gw_task *t)
{
	gw_who_free(SL_CONTAINER_OF(t, struct gw_who, task));
}

static void
free_doc_task(struct gw_task *t)
{
	gw_doc_free(SL_CONTAINER_OF(t, struct gw_doc, task));
}

static void
give_detached(struct sl_gw *gw, struct gw_task *t, void (*run)(struct gw_task *t))
{
	t->run = run;
	t->detached = true;
	gw_helper_give(gw->policy->helper, t);
}

static void
tables_unread(struct sl_gw *gw, struct gw_later *l)
{
	give_detached(gw, &SL_CONTAINER_OF(l, struct gw_rules, later)->task, free_tables_task);
}

static void
who_unread(struct sl_gw *gw, struct gw_later *l)
{
	give_detached(gw, &SL_CONTAINER_OF(l, struct gw_who, later)->task, free_who_task);
}

static void
retire_tables(struct sl_gw *gw, struct gw_rules *t)
{
	if (t == NULL)
		return;
	t->later.fn = tables_unread;
	gw_later_retire(gw, &t->later);
}

static void
retire_who(struct sl_gw *gw, struct gw_who *w)
{
	if (w == NULL)
		return;
	w->later.fn = who_unread;
	gw_later_retire(gw, &w->later);
}

/* --- versions of the identity --------------------------------------------------------------------
 */

struct old_version {
	struct gw_later later;
	struct sl_who_garbage *garbage;
};

static void
version_unread(struct sl_gw *gw, struct gw_later *l)
{
	struct old_version *v = SL_CONTAINER_OF(l, struct old_version, later);

	sl_who_garbage_free(v->garbage);
	free(v);
}

int
gw_who_publish(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;
	const struct sl_identity *id;
	struct old_version *v;

	if (p->who == NULL || !p->who->dirty)
		return 0;
	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	id = sl_who_publish(p->who->b, p->identity_generation + 1, &v->garbage);
	if (id == NULL) {
		free(v);
		return -ENOMEM;
	}
	p->identity_generation++;
	p->view.who = id;
	p->who->dirty = false;
	v->later.fn = version_unread;
	gw_later_retire(gw, &v->later);
	return 0;
}

/* --- publishing --------------------------------------------------------------------------------
 */

static void
grow(struct sl_gw *gw, const char *what, unsigned *cap, unsigned used, unsigned max)
{
	unsigned old = *cap;

	while (*cap < max && (uint64_t)used * 100 > (uint64_t)*cap * 80)
		*cap = SL_MIN(*cap * 2, max);
	if (*cap == old)
		return;
	gw_policy_event(gw, "capacity_grown", "success",
			json_pack("{ss,si,si,si}", "what", what, "used", (int)used, "from",
				  (int)old, "to", (int)*cap));
	sl_log(SL_LOG_WARN, "policy", "%u %s are more than 80 %% of %u: the capacity is %u now",
	       used, what, old, *cap);
}

static void
check_capacity(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;
	struct sl_policy_limits l;

	gw_policy_limits(gw, &l);
	grow(gw, "prefixes", &p->cap_prefixes, gw_policy_prefixes(gw), l.prefixes);
	grow(gw, "roles", &p->cap_roles, p->doc != NULL ? p->doc->policy->n_roles : 0, l.roles);
}

/* What the interfaces' ids mean is told anew: ids of interfaces that went are free. */
static void
ids_are_fresh(struct sl_gw *gw)
{
	unsigned i;

	for (i = 0; i < SL_IFACE_MAX; i++)
		gw->iface_rest[i].policy = false;
}

static void
install(struct sl_gw *gw, struct gw_job *j)
{
	struct gw_policy *p = gw->policy;

	sl_gw_begin(gw);
	retire_tables(gw, p->tables);
	p->tables = j->tables;
	j->tables = NULL;
	if (j->who != NULL) {
		retire_who(gw, p->who);
		p->who = j->who;
		j->who = NULL;
		if (p->idp.all_since_ns != 0 || p->idp.n_down > 0)
			gw_who_rescan(p->who);
	}
	if (j->load.staged)
		gw_fed_settle(gw);
	if (j->kind == GW_JOB_LOAD) {
		if (p->doc != NULL)
			give_detached(gw, &p->doc->task, free_doc_task);
		p->doc = j->doc;
		j->doc = NULL;
		gw_role_ids_take(gw, j);
		snprintf(p->origin, sizeof(p->origin), "%s", j->load.origin);
		p->loaded_wall_ns = gw_wall_ns(gw);
		p->last_error[0] = '\0';
		p->broken[0] = '\0';
	}
	if (gw->drain != NULL && sl_drain_policy(gw->drain, p->tables->set) != 0)
		sl_log(SL_LOG_WARN, "policy", "no memory for names in records");
	p->view.set = p->tables->set;
	p->view.acl = p->tables->acl;
	if (p->iface_epoch == j->iface_epoch)
		ids_are_fresh(gw);
	gw->dirty = true;
	sl_gw_commit(gw);
}

static void
tell_done(struct sl_gw *gw, struct gw_job *j)
{
	struct gw_policy *p = gw->policy;
	const struct gw_doc *doc = j->load.dry_run ? j->doc : p->doc;
	const struct gw_rules *t = j->load.dry_run ? j->tables : p->tables;
	struct sl_gw_policy_result r = {
		.generation = j->load.dry_run ? 0 : j->generation,
		.compile_ns = j->compile_ns,
		.publish_ns = j->load.dry_run ? sl_clock_mono_ns() - j->begin_ns : p->publish_ns,
		.tests = j->n_tests,
	};

	if (j->rc == 0) {
		r.policy = doc->policy;
		r.set = t->set;
		r.n_lints = doc->n_lints;
		r.lints = doc->lints;
	}
	if (j->load.again && p->doc != NULL)
		gw_doc_tests_result(gw, j->rc == 0 ? NULL : &j->e);
	if (j->load.done != NULL)
		j->load.done(j->load.ctx, j->rc, &j->e, j->rc == 0 ? &r : NULL);
}

static void
count_refusal(struct gw_policy *p, const char *reason)
{
	struct sl_gw_refusals *r = p->refusals, *last = r + GW_REFUSALS_MAX - 1;

	while (r < last && r->n != 0 && strcmp(r->reason, reason) != 0)
		r++;
	if (r->n++ == 0)
		snprintf(r->reason, sizeof(r->reason), "%s", r < last ? reason : "other");
}

static void
finish_load(struct sl_gw *gw, struct gw_job *j)
{
	struct gw_policy *p = gw->policy;

	if (j->rc == 0 && !j->load.dry_run)
		j->rc = gw_job_keep(j); /* the last that can fail */
	if (j->rc == 0 && !j->load.dry_run) {
		install(gw, j);
		p->compile_ns = j->compile_ns;
		p->publish_ns = sl_clock_mono_ns() - j->begin_ns;
		gw_dyn_prune(gw);
		check_capacity(gw);
		gw_policy_event(gw, "policy_loaded", "success",
				json_pack("{sI,sI,ss,si}", "version",
					  (json_int_t)p->doc->policy->version, "generation",
					  (json_int_t)j->generation, "origin", p->origin, "rules",
					  (int)p->doc->policy->n_rules));
	} else if (!j->load.dry_run) {
		count_refusal(p, j->e.reason);
		snprintf(p->last_error, sizeof(p->last_error), "%.80s%s%.180s (%.39s)", j->e.path,
			 j->e.path[0] != '\0' ? ": " : "", j->e.message, j->e.reason);
		gw_policy_event(gw, "policy_rejected", "failure",
				json_pack("{ss,ss,ss}", "reason", j->e.reason, "path", j->e.path,
					  "origin", j->load.origin));
	}
}

static void
end_load(struct sl_gw *gw, struct gw_job *j)
{
	tell_done(gw, j);
	/* a document is large: the helper frees it */
	if (j->doc != NULL)
		give_detached(gw, &j->doc->task, free_doc_task);
	j->doc = NULL;
}

static void
finish_again(struct sl_gw *gw, struct gw_job *j)
{
	struct gw_policy *p = gw->policy;

	if (j->rc == 0) {
		install(gw, j);
		return;
	}
	sl_log(SL_LOG_ERR, "policy", "the rules of this time cannot be made: %s (%s)", j->e.message,
	       j->e.reason);
	p->rules_due = true;
	p->all_due |= j->kind == GW_JOB_ALL;
	p->retry_ns = gw_mono_ns(gw) + RETRY_NS;
}

/* --- the steps of a job --------------------------------------------------------------------------
 */

static void
give(struct sl_gw *gw, struct gw_job *j, enum gw_phase phase, void (*run)(struct gw_task *t))
{
	j->phase = phase;
	j->task.run = run;
	gw_helper_give(gw->policy->helper, &j->task);
}

/* Interfaces came or went since the job looked: ids of rules and members may mean others. */
static bool
too_late(struct sl_gw *gw, struct gw_job *j)
{
	if (j->rc != 0 || j->iface_epoch == gw->policy->iface_epoch)
		return false;
	if (j->reruns++ < RERUNS_MAX && gw_job_snapshot(gw, j) == 0) {
		j->next_peer = 0;
		j->next_any = 0;
		j->next_dyn = 0;
		j->next_fed = 0;
		j->n_touch = 0;
		give(gw, j, GW_BUILD, gw_job_build);
		return true;
	}
	j->rc = sl_fail(&j->e, -EBUSY, "policy_busy", "",
			"interfaces come and go too quickly to compile a policy");
	return false;
}

static bool
on_helper(const struct gw_job *j)
{
	return j->phase == GW_BUILD || j->phase == GW_TEST || j->phase == GW_SYNC;
}

static bool
wants_helper(const struct gw_job *j)
{
	return j->load.run_tests || j->state_dir != NULL;
}

static void
built(struct sl_gw *gw, struct gw_job *j)
{
	if (too_late(gw, j))
		return;
	j->phase = j->rc != 0 || j->kind == GW_JOB_RULES ? GW_FINISH : GW_RESOLVE;
}

static void
resolve(struct sl_gw *gw, struct gw_job *j)
{
	if (too_late(gw, j) || !gw_job_resolve(gw, j, RESOLVE_BATCH))
		return;
	if (j->rc == 0 && wants_helper(j))
		give(gw, j, GW_TEST, gw_job_test);
	else
		j->phase = GW_FINISH;
}

static void
end(struct sl_gw *gw, struct gw_job *j)
{
	if (j->kind == GW_JOB_LOAD)
		end_load(gw, j);
	if (j->kind == GW_JOB_CLEAR && j->load.done != NULL)
		j->load.done(j->load.ctx, 0, &j->e, NULL);
	if (j->who != NULL)
		give_detached(gw, &j->who->task, free_who_task);
	if (j->tables != NULL)
		give_detached(gw, &j->tables->task, free_tables_task);
	j->who = NULL;
	j->tables = NULL;
	gw_job_free(j);
}

/* @return true when the job is done with */
static bool
finish(struct sl_gw *gw, struct gw_job *j)
{
	if (too_late(gw, j))
		return false;
	if (j->rc == 0 && j->kind != GW_JOB_RULES && !gw_job_catch_up(gw, j, DYN_BATCH))
		return false;
	if (j->kind == GW_JOB_LOAD)
		finish_load(gw, j);
	else
		finish_again(gw, j);
	if (j->rc == 0 && j->state_dir != NULL) {
		give(gw, j, GW_SYNC, gw_job_sync);
		return false;
	}
	end(gw, j);
	return true;
}

static void start_waiting(struct sl_gw *gw);

/* @return true if something was done */
static bool
step(struct sl_gw *gw)
{
	struct gw_job *j = gw->policy->job;

	if (j == NULL)
		return false;
	if (on_helper(j) && !gw_task_done(&j->task))
		return false;
	if (j->phase == GW_BUILD) {
		built(gw, j);
	} else if (j->phase == GW_RESOLVE) {
		resolve(gw, j);
	} else if (j->phase == GW_TEST) {
		j->phase = GW_FINISH;
	} else if (j->phase == GW_SYNC) {
		gw->policy->job = NULL;
		end(gw, j);
		start_waiting(gw);
	} else if (finish(gw, j)) {
		gw->policy->job = NULL;
		start_waiting(gw);
	}
	return true;
}

static void
start(struct sl_gw *gw, struct gw_job *j)
{
	gw->policy->job = j;
	give(gw, j, GW_BUILD, gw_job_build);
}

static void
start_waiting(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;
	struct gw_job *j = p->waiting;

	p->waiting = NULL;
	if (j == NULL)
		return;
	if (gw_job_snapshot(gw, j) != 0)
		j->rc = gw_no_memory(&j->e);
	p->job = j;
	if (j->rc == 0)
		give(gw, j, GW_BUILD, gw_job_build);
	else
		j->phase = GW_FINISH;
}

/* Until no job is left. */
static void
finish_all(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;

	while (p->job != NULL) {
		if (on_helper(p->job))
			gw_helper_wait(p->helper, &p->job->task);
		step(gw);
	}
}

/* --- loading ------------------------------------------------------------------------------------
 */

static int
check_version(struct sl_gw *gw, uint32_t wanted, struct sl_error *e)
{
	const struct gw_doc *doc = gw->policy->doc;
	uint32_t version = doc != NULL ? doc->policy->version : 0;

	if (wanted == 0 || wanted == version)
		return 0;
	sl_fail(e, -EBUSY, "version_mismatch", "/if_version", "version %u is in force, not %u",
		version, wanted);
	sl_hint(e, "look at what was loaded since (policy.show)");
	return -EBUSY;
}

static int
check_load(struct sl_gw *gw, const struct sl_gw_policy_load *l, struct sl_error *e)
{
	struct gw_policy *p = gw->policy;

	if (p->waiting != NULL || (p->job != NULL && p->job->kind == GW_JOB_LOAD)) {
		sl_fail(e, -EBUSY, "policy_busy", "", "another policy is being compiled");
		sl_hint(e, "try again when policy.status says that it is done");
		return -EBUSY;
	}
	return check_version(gw, l->if_version, e);
}

static struct gw_job *
load_job(struct sl_gw *gw, const struct sl_gw_policy_load *l)
{
	struct gw_job *j = gw_job_new(gw, GW_JOB_LOAD);

	if (j == NULL)
		return NULL;
	j->load = *l;
	if (l->keep && !l->dry_run && gw->state_dir != NULL)
		j->state_dir = strdup(gw->state_dir);
	if ((j->state_dir != NULL || gw->state_dir == NULL || !l->keep || l->dry_run) &&
	    gw_job_take_document(gw, j, l))
		return j;
	gw_job_free(j);
	return NULL;
}

/* The thread is made when it is first needed: after the change of user. */
int
gw_policy_need_helper(struct sl_gw *gw, struct sl_error *e)
{
	struct gw_policy *p = gw->policy;

	if (p->helper != NULL || gw->conf.lockstep)
		return 0;
	p->helper = gw_helper_new(gw->conf.helper_cpus, gw->conf.n_helper_cpus, e);
	return p->helper != NULL ? 0 : -ENOMEM;
}

static int
load(struct sl_gw *gw, const struct sl_gw_policy_load *l, bool here, struct sl_error *e)
{
	struct gw_policy *p = gw->policy;
	int rc = check_load(gw, l, e);
	struct gw_job *j;

	if (rc != 0)
		return rc;
	rc = here ? 0 : gw_policy_need_helper(gw, e);
	if (rc != 0)
		return rc;
	j = load_job(gw, l);
	if (j == NULL)
		return gw_no_memory(e);
	if (p->job == NULL)
		start(gw, j);
	else
		p->waiting = j;
	if (l->wait || gw->conf.lockstep)
		finish_all(gw);
	return 0;
}

int
sl_gw_policy_load(struct sl_gw *gw, const struct sl_gw_policy_load *l, struct sl_error *e)
{
	return load(gw, l, false, e);
}

/* --- without a policy
 * ----------------------------------------------------------------------------
 */

static bool
enforces(struct sl_gw *gw)
{
	struct sl_gw_mode m;
	unsigned i;

	sl_gw_mode_get(gw, &m);
	for (i = 0; i < m.n_prefixes; i++)
		if (m.prefixes[i].mode == SL_MODE_ENFORCE)
			return true;
	return m.deflt == SL_MODE_ENFORCE;
}

static int
check_clear(struct sl_gw *gw, const struct sl_gw_policy_clear *c, struct sl_error *e)
{
	const struct gw_policy *p = gw->policy;
	int rc;

	if (p->job != NULL || p->waiting != NULL || p->calls != NULL || p->write != NULL) {
		sl_fail(e, -EBUSY, "policy_busy", "",
			"the policy or its members are being changed");
		sl_hint(e, "try again when policy.status says that it is done");
		return -EBUSY;
	}
	rc = check_version(gw, c->if_version, e);
	if (rc != 0 || c->force || p->doc == NULL || !enforces(gw))
		return rc;
	sl_fail(e, -EPERM, "mode_enforced", "/force",
		"a mode enforces: without a policy nothing is allowed there");
	sl_hint(e, "set the modes to observe first, or say force");
	return -EPERM;
}

static void
uninstall(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;

	sl_gw_begin(gw);
	retire_tables(gw, p->tables);
	retire_who(gw, p->who);
	if (p->doc != NULL)
		give_detached(gw, &p->doc->task, free_doc_task);
	p->tables = NULL;
	p->who = NULL;
	p->doc = NULL;
	p->view = (struct sl_policy_view){0};
	p->rules_due = p->all_due = false;
	p->loaded_wall_ns = p->compile_ns = p->publish_ns = 0;
	p->origin[0] = p->last_error[0] = p->broken[0] = '\0';
	gw_dyn_clear(gw);
	ids_are_fresh(gw);
	gw->dirty = true;
	sl_gw_commit(gw);
}

static struct gw_job *
clear_job(const struct sl_gw *gw, const struct sl_gw_policy_clear *c)
{
	struct gw_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->kind = GW_JOB_CLEAR;
	j->load.done = c->done;
	j->load.ctx = c->ctx;
	if (gw->state_dir == NULL || (j->state_dir = strdup(gw->state_dir)) != NULL)
		return j;
	gw_job_free(j);
	return NULL;
}

int
sl_gw_policy_clear(struct sl_gw *gw, const struct sl_gw_policy_clear *c, struct sl_error *e)
{
	struct gw_policy *p = gw->policy;
	uint32_t version = p->doc != NULL ? p->doc->policy->version : 0;
	int rc = check_clear(gw, c, e);
	struct gw_job *j;

	rc = rc != 0 ? rc : gw_policy_need_helper(gw, e);
	if (rc != 0)
		return rc;
	j = clear_job(gw, c);
	rc = j != NULL ? gw_job_forget_kept(gw, e) : gw_no_memory(e);
	if (rc != 0) {
		gw_job_free(j);
		return rc;
	}
	uninstall(gw);
	gw_policy_event(gw, "policy_cleared", "success",
			json_pack("{sI}", "version", (json_int_t)version));
	if (j->state_dir == NULL) {
		end(gw, j);
		return 0;
	}
	p->job = j;
	give(gw, j, GW_SYNC, gw_job_sync);
	if (c->wait || gw->conf.lockstep)
		finish_all(gw);
	return 0;
}

/* --- at a start ----------------------------------------------------------------------------------
 */

struct boot {
	int rc;
	struct sl_error *e;
};

static void
boot_done(void *ctx, int rc, const struct sl_error *e, const struct sl_gw_policy_result *r)
{
	struct boot *b = ctx;

	b->rc = rc;
	if (rc != 0)
		*b->e = *e;
}

/* No tests, and what is over is no error: neither time nor a peer that is gone may keep a gateway
 * from starting. */
static int
boot_text(struct sl_gw *gw, const char *text, size_t len, const char *origin, struct sl_error *e)
{
	struct boot b = {.e = e};
	struct sl_gw_policy_load l = {.text = text,
				      .len = len,
				      .origin = origin,
				      .lenient = true,
				      .wait = true,
				      .done = boot_done,
				      .ctx = &b};
	int rc = load(gw, &l, true, e);

	return rc != 0 ? rc : b.rc;
}

static void
state_broken(struct sl_gw *gw, const struct sl_error *e)
{
	struct gw_policy *p = gw->policy;

	snprintf(p->broken, sizeof(p->broken),
		 "the policy of the last run is not in force, so what is enforced is denied: "
		 "%.60s/policy.json: %.50s: %.60s (%.39s)",
		 gw->state_dir, e->path, e->message, e->reason);
	sl_log(SL_LOG_ERR, "policy",
	       "%s; remedy: sluicectl policy load FILE, or remove the file: "
	       "then the policy.file of the configuration is loaded at the next start",
	       p->broken);
}

int
sl_gw_policy_boot(struct sl_gw *gw, const char *file, struct sl_error *e)
{
	struct sl_error inner = {0};
	char *text = NULL;
	size_t len;
	int rc = -ENOENT;

	if (gw->state_dir != NULL)
		rc = gw_file_read(gw->state_dir, "policy.json", SL_POLICY_DOC_MAX, &text, &len,
				  &inner);
	if (rc != -ENOENT) {
		if (rc == 0)
			rc = boot_text(gw, text, len, "state", &inner);
		free(text);
		if (rc != 0)
			state_broken(gw, &inner);
		else
			gw_doc_tests_at_start(gw);
		return 0;
	}
	if (file == NULL || file[0] == '\0')
		return 0;
	rc = sl_gw_policy_read(file, &text, &len, e);
	if (rc != 0)
		return rc;
	rc = boot_text(gw, text, len, "file", e);
	free(text);
	if (rc == 0)
		gw_doc_tests_at_start(gw);
	return rc;
}

/* --- what comes and goes -------------------------------------------------------------------------
 */

void
gw_policy_peer(struct sl_gw *gw, const struct gw_peer *peer, bool there)
{
	struct gw_policy *p = gw->policy;
	struct gw_job *j = p->job;
	struct gw_when when;

	gw_policy_when(gw, &when);
	if (p->who != NULL) {
		if (gw_who_peer(p->who, &when, peer->p->id, peer->iface->name, peer->p->name,
				there) != 0)
			p->all_due = true; /* no memory: all anew */
		gw->dirty |= p->who->dirty;
	}
	if (j != NULL && j->kind != GW_JOB_RULES && j->phase != GW_BUILD)
		gw_job_touch(j, peer, there);
	gw_candidates_peer(gw, peer, there);
}

void
gw_policy_iface(struct sl_gw *gw, const struct gw_iface *f, bool there)
{
	struct gw_policy *p = gw->policy;
	struct gw_when when;

	p->iface_epoch++;
	if (p->who == NULL)
		return;
	gw_policy_when(gw, &when);
	if (gw_who_iface(p->who, &when, f->id, f->name, there) != 0)
		p->all_due = true;
	gw->dirty = true;
	if (!p->doc->names_ifaces)
		return;
	p->rules_due = true;
	gw->iface_rest[f->id].policy = !there;
}

void
gw_policy_wall_step(struct sl_gw *gw)
{
	gw->policy->all_due = gw->policy->doc != NULL;
}

/* --- turns ---------------------------------------------------------------------------------------
 */

/* Rules begin or end, interfaces came, the clock stepped. */
static void
compile_again(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;
	uint64_t next = p->tables != NULL ? p->tables->set->next_change_ns : 0;
	struct sl_error e;
	struct gw_job *j;

	if (p->job != NULL || p->doc == NULL || gw_mono_ns(gw) < p->retry_ns)
		return;
	if (!p->rules_due && !p->all_due && (next == 0 || gw_wall_ns(gw) < next))
		return;
	if (gw_policy_need_helper(gw, &e) != 0)
		return;
	j = gw_job_new(gw, p->all_due ? GW_JOB_ALL : GW_JOB_RULES);
	if (j == NULL)
		return;
	p->rules_due = p->all_due = false;
	start(gw, j);
	if (gw->conf.lockstep)
		finish_all(gw);
}

/** As many records as it takes to name each of them. */
static void
tell_turned(struct sl_gw *gw, const json_t *turned)
{
	size_t n = json_array_size(turned), i = 0;

	while (i < n) {
		json_t *some = json_array();
		size_t end = SL_MIN(i + RECORD_MEMBERS, n);

		for (; i < end; i++)
			json_array_append(some, json_array_get(turned, i));
		gw_policy_event(gw, "members_expired", "success",
				json_pack("{s:I, s:o}", "count", (json_int_t)json_array_size(some),
					  "members", some));
	}
}

static unsigned
expire(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;
	struct gw_when when;
	json_t *turned;
	unsigned n;

	if (p->who == NULL)
		return 0;
	gw_policy_when(gw, &when);
	turned = json_array();
	sl_gw_begin(gw);
	n = gw_who_expire(gw, p->who, &when, turned);
	if (n > 0) {
		gw->dirty = true;
		tell_turned(gw, turned);
		gw_dyn_prune(gw);
	}
	json_decref(turned);
	sl_gw_commit(gw);
	return n;
}

unsigned
gw_policy_poll(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;
	uint64_t now = gw_mono_ns(gw);
	unsigned done = step(gw);

	gw_dyn_poll(gw);
	gw_role_ids_poll(gw);
	gw_doc_tests_poll(gw);
	compile_again(gw);
	done += expire(gw);
	if (now - p->capacity_ns >= CAPACITY_NS) {
		p->capacity_ns = now;
		check_capacity(gw);
	}
	return done;
}

/* --- life ----------------------------------------------------------------------------------------
 */

int
gw_policy_init(struct sl_gw *gw, struct sl_error *e)
{
	static _Atomic unsigned made;
	struct gw_policy *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return gw_no_memory(e);
	gw->policy = p;
	snprintf(p->acl_prefix, sizeof(p->acl_prefix), "sl%x",
		 atomic_fetch_add_explicit(&made, 1, memory_order_relaxed));
	p->cap_prefixes =
		gw->conf.policy_prefixes != 0 ? gw->conf.policy_prefixes : SL_POL_PREFIXES;
	p->cap_roles = SL_POL_ROLES;
	p->capacity_ns = gw_mono_ns(gw);
	gw_job_forget_staged(gw);
	gw_dyn_load(gw);
	gw_role_ids_load(gw);
	return 0;
}

void
gw_policy_stop(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;
	struct gw_job *jobs[2] = {p->job, p->waiting};
	unsigned i;

	gw_doc_tests_stop(gw);
	gw_helper_free(p->helper);
	p->helper = NULL;
	p->job = p->waiting = NULL;
	gw_dyn_stop(gw);
	gw_role_ids_stop(gw);
	for (i = 0; i < 2; i++) {
		struct gw_job *j = jobs[i];

		if (j == NULL)
			continue;
		if (j->phase == GW_SYNC) {
			end(gw, j); /* it is in force */
			continue;
		}
		sl_fail(&j->e, -ECANCELED, "stopping", "", "the gateway ends");
		if (j->load.done != NULL)
			j->load.done(j->load.ctx, -ECANCELED, &j->e, NULL);
		gw_job_free(j);
	}
}

void
gw_policy_free(struct sl_gw *gw)
{
	struct gw_policy *p = gw->policy;

	if (p == NULL)
		return;
	gw_policy_stop(gw);
	gw_rules_free(p->tables);
	gw_who_free(p->who);
	gw_doc_free(p->doc);
	gw_dyn_free(gw);
	gw_fed_free(gw);
	gw_role_ids_free(gw);
	free(p->idp.down);
	free(p);
	gw->policy = NULL;
}
