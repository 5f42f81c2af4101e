/* SPDX-License-Identifier: BSD-3-Clause */
/* A policy that is not in force, for questions: compiled on the helper as a load is, but for the
 * tables of the data path; judged by plain scans. */
#include <stdlib.h>

#include "gw_policy.h"

#define RESOLVE_BATCH 2000 /* peers looked up in one turn */
#define DYN_BATCH 256
#define RERUNS_MAX 5

enum stage { BUILD, RESOLVE, TEST, CATCH_UP, READY, FAILED };

struct sl_gw_candidate {
	struct gw_task task; /* to free it */
	struct sl_gw_candidate *next;
	struct sl_gw *gw;
	struct gw_job *job;
	enum stage stage;
	const struct sl_identity *id;
	uint64_t versions; /* of the identity */
};

/* --- life ----------------------------------------------------------------------------------------
 */

static void
release(struct sl_gw_candidate *c)
{
	gw_job_free(c->job);
	free(c);
}

static void
release_task(struct gw_task *t)
{
	release(SL_CONTAINER_OF(t, struct sl_gw_candidate, task));
}

void
sl_gw_candidate_free(struct sl_gw_candidate *c)
{
	struct gw_policy *p = c != NULL ? c->gw->policy : NULL;
	struct sl_gw_candidate **at;

	if (c == NULL)
		return;
	for (at = &p->candidates; *at != c; at = &(*at)->next)
		;
	*at = c->next;
	c->task.run = release_task; /* behind what the helper may still do for it */
	c->task.detached = true;
	gw_helper_give(p->helper, &c->task);
}

static void
give(struct sl_gw_candidate *c, enum stage stage, void (*run)(struct gw_task *t))
{
	c->stage = stage;
	c->job->task.run = run;
	gw_helper_give(c->gw->policy->helper, &c->job->task);
}

/** Whose time it is about: all that ends is reckoned as if that were now. */
static void
look_from(struct gw_job *j)
{
	if (j->load.at_wall_ns == 0)
		return;
	j->when.wall_to_mono_ns += j->load.at_wall_ns - j->when.wall_ns;
	j->when.wall_ns = j->load.at_wall_ns;
}

struct sl_gw_candidate *
sl_gw_candidate_begin(struct sl_gw *gw, const struct sl_gw_policy_load *l, struct sl_error *e)
{
	struct sl_gw_candidate *c;

	if (gw_policy_need_helper(gw, e) != 0)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c != NULL)
		c->job = gw_job_new(gw, GW_JOB_LOAD);
	if (c == NULL || c->job == NULL || gw_job_mark(gw, c->job) != 0 ||
	    !gw_job_take_document(gw, c->job, l)) {
		if (c != NULL)
			release(c);
		gw_no_memory(e);
		return NULL;
	}
	c->gw = gw;
	c->job->no_acl = true;
	c->job->load.run_tests = l->run_tests;
	c->job->load.lenient = l->lenient;
	c->job->load.at_wall_ns = l->at_wall_ns;
	look_from(c->job);
	c->next = gw->policy->candidates;
	gw->policy->candidates = c;
	give(c, BUILD, gw_job_build);
	return c;
}

/* --- steps ---------------------------------------------------------------------------------------
 */

/* As too_late() of a load. */
static bool
begins_anew(struct sl_gw_candidate *c)
{
	struct gw_job *j = c->job;

	if (j->rc != 0 || j->iface_epoch == c->gw->policy->iface_epoch)
		return false;
	if (j->reruns++ < RERUNS_MAX && gw_job_snapshot(c->gw, j) == 0) {
		j->next_peer = j->next_any = j->next_dyn = 0;
		j->n_touch = 0;
		look_from(j);
		give(c, BUILD, gw_job_build);
		return true;
	}
	j->rc = sl_fail(&j->e, -EBUSY, "policy_busy", "",
			"interfaces come and go too quickly to compile a policy");
	return false;
}

/* Those who came meanwhile, and a version of the identity that knows them. */
static bool
catch_up(struct sl_gw_candidate *c)
{
	struct gw_job *j = c->job;
	struct sl_who_garbage *old = NULL;

	if (!gw_job_catch_up(c->gw, j, DYN_BATCH))
		return false;
	if (j->rc != 0)
		return true;
	c->id = sl_who_publish(j->who->b, ++c->versions + 1, &old); /* tests had the first */
	sl_who_garbage_free(old);
	j->rc = c->id != NULL ? 0 : gw_no_memory(&j->e);
	return true;
}

static void
resolve(struct sl_gw_candidate *c)
{
	struct gw_job *j = c->job;

	if (!gw_job_resolve(c->gw, j, RESOLVE_BATCH))
		return;
	if (j->rc == 0 && j->load.run_tests)
		give(c, TEST, gw_job_test);
	else
		c->stage = CATCH_UP;
}

static bool
on_helper(const struct sl_gw_candidate *c)
{
	return c->stage == BUILD || c->stage == TEST;
}

bool
sl_gw_candidate_step(struct sl_gw_candidate *c)
{
	struct gw_job *j = c->job;

	if (on_helper(c) && !gw_task_done(&j->task))
		return false;
	if (c->stage < READY && begins_anew(c))
		return false;
	if (c->stage < READY && j->rc != 0)
		c->stage = FAILED;
	if (c->stage == BUILD)
		c->stage = RESOLVE;
	if (c->stage == RESOLVE)
		resolve(c);
	else if (c->stage == TEST)
		c->stage = CATCH_UP;
	else if (c->stage == CATCH_UP && catch_up(c))
		c->stage = j->rc == 0 ? READY : FAILED;
	else if (c->stage == READY && j->n_touch > 0 && catch_up(c) && j->rc != 0)
		c->stage = FAILED;
	return c->stage >= READY;
}

const struct sl_error *
sl_gw_candidate_error(const struct sl_gw_candidate *c)
{
	return c->stage == FAILED ? &c->job->e : NULL;
}

void
sl_gw_candidate_wait(struct sl_gw_candidate *c)
{
	do
		if (on_helper(c))
			gw_helper_wait(c->gw->policy->helper, &c->job->task);
	while (!sl_gw_candidate_step(c));
}

void
gw_candidates_peer(struct sl_gw *gw, const struct gw_peer *p, bool there)
{
	struct sl_gw_candidate *c;

	for (c = gw->policy->candidates; c != NULL; c = c->next)
		if (c->stage != BUILD && c->stage != FAILED)
			gw_job_touch(c->job, p, there);
}

struct sl_gw_candidate *
sl_gw_candidate_new(struct sl_gw *gw, const char *text, size_t len, bool run_tests,
		    struct sl_error *e)
{
	const struct sl_gw_policy_load l = {.text = text, .len = len, .run_tests = run_tests};
	struct sl_gw_candidate *c = sl_gw_candidate_begin(gw, &l, e);

	if (c == NULL)
		return NULL;
	sl_gw_candidate_wait(c);
	if (c->stage == READY)
		return c;
	*e = c->job->e;
	sl_gw_candidate_free(c);
	return NULL;
}

/* --- judging -------------------------------------------------------------------------------------
 */

const struct sl_policy *
sl_gw_candidate_policy(const struct sl_gw_candidate *c)
{
	return c->job->doc->policy;
}

struct sl_gw *
gw_candidate_tables(const struct sl_gw_candidate *c, const struct sl_polset **set,
		    const struct sl_identity **who)
{
	*set = c->job->tables->set;
	*who = c->id;
	return c->gw;
}

static uint16_t
lowest_role(const struct sl_class *a, const struct sl_class *b)
{
	uint16_t lo = SL_POL_NONE16;

	if (a != NULL && a->n > 0)
		lo = SL_MIN(lo, a->role[0].role);
	if (b != NULL && b->n > 0)
		lo = SL_MIN(lo, b->role[0].role);
	return lo;
}

void
sl_gw_candidate_judge(const struct sl_gw_candidate *c, const struct sl_judge_flow *f,
		      struct sl_judgement *out)
{
	const struct sl_polset *set = c->job->tables->set;
	struct sl_polset_query q = {.flow = f->f,
				    .from_inside = f->from_inside,
				    .tick = sl_tick_of(gw_mono_ns(c->gw))};
	struct sl_polset_answer a;

	q.src_class = sl_identity_prefix(c->id, f->f.iface, f->f.version, f->f.src);
	q.peer_class = sl_identity_peer(c->id, f->peer_id);
	sl_polset_eval(set, &q, &a, NULL, 0, NULL);
	*out = (struct sl_judgement){
		.allow = a.allow, .why = a.why, .zone = a.zone, .target = a.target, .rule = a.rule};
	out->role = a.rule != SL_POL_NONE
			    ? set->rules[a.rule].role
			    : lowest_role(q.src_class, f->from_inside ? NULL : q.peer_class);
	out->src_stamp = q.src_class != NULL ? q.src_class->stamp : 0;
	out->peer_stamp = q.peer_class != NULL ? q.peer_class->stamp : 0;
}
