/* SPDX-License-Identifier: BSD-3-Clause */
/* A policy that is not in force, for questions: compiled here and now, judged by plain scans. */
#include <stdlib.h>

#include "gw_policy.h"

struct sl_gw_candidate {
	struct sl_gw *gw;
	struct gw_job *job;
	const struct sl_identity *id;
};

void
sl_gw_candidate_free(struct sl_gw_candidate *c)
{
	if (c == NULL)
		return;
	gw_job_free(c->job);
	free(c);
}

static int
make_identity(struct sl_gw_candidate *c)
{
	struct gw_job *j = c->job;
	struct sl_who_garbage *old = NULL;

	while (!gw_job_catch_up(c->gw, j, UINT_MAX))
		;
	if (j->rc != 0)
		return j->rc;
	c->id = sl_who_publish(j->who->b, 2, &old);
	sl_who_garbage_free(old);
	return c->id != NULL ? 0 : gw_no_memory(&j->e);
}

static void
make(struct sl_gw_candidate *c, const char *text, size_t len)
{
	struct gw_job *j = c->job;

	j->no_acl = true;
	j->doc->text = malloc(len + 1);
	if (j->doc->text == NULL) {
		j->rc = gw_no_memory(&j->e);
		return;
	}
	memcpy(j->doc->text, text, len);
	j->doc->text[len] = '\0';
	j->doc->len = len;
	gw_job_build(&j->task);
	while (j->rc == 0 && !gw_job_resolve(c->gw, j, UINT_MAX))
		;
	if (j->rc == 0 && j->load.run_tests)
		gw_job_test(&j->task);
	if (j->rc == 0)
		j->rc = make_identity(c);
}

struct sl_gw_candidate *
sl_gw_candidate_new(struct sl_gw *gw, const char *text, size_t len, bool run_tests,
		    struct sl_error *e)
{
	struct sl_gw_candidate *c = calloc(1, sizeof(*c));

	if (c != NULL)
		c->job = gw_job_new(gw, GW_JOB_LOAD);
	if (c == NULL || c->job == NULL) {
		free(c);
		gw_no_memory(e);
		return NULL;
	}
	c->gw = gw;
	c->job->load.run_tests = run_tests;
	make(c, text, len);
	if (c->job->rc == 0)
		return c;
	*e = c->job->e;
	sl_gw_candidate_free(c);
	return NULL;
}

const struct sl_policy *
sl_gw_candidate_policy(const struct sl_gw_candidate *c)
{
	return c->job->doc->policy;
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
