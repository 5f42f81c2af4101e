/* SPDX-License-Identifier: BSD-3-Clause */
/* policy.lint: what was found as the policy was loaded and, if it is asked for, the rules that
 * decided nothing of what is kept. These are kept for a minute, so that pages are those of one
 * answer. */
#include <stdio.h>
#include <stdlib.h>

#include "evidence_unmatched.h"
#include "rpc_int.h"
#include "rpc_queue.h"
#include "sl_gw_policy.h"

#define WINDOW_S SL_EVIDENCE_KEEP_S
#define NAMED_MAX 1000
#define KEEP_NS (60 * SL_NS_PER_S)

/** What the evidence told. */
struct lints {
	uint64_t generation; /* of the policy */
	uint64_t made_ns;
	json_t *named; /* lints */
	json_t *told;  /* `unmatched` of the answer */
};

struct lint_question {
	struct sl_ctl *ctl;
	struct sl_rpc_later *later; /* NULL: the caller waits */
	struct ctl_page page;
	struct ev_unmatched *u;
	unsigned at;   /* rules that were looked at */
	unsigned n;    /* of them: decided nothing */
	json_t *named; /* those, as lints; the first NAMED_MAX */
};

static void
lints_free(struct lints *l)
{
	if (!l)
		return;
	json_decref(l->named);
	json_decref(l->told);
	free(l);
}

void
ctl_lints_free(struct sl_ctl *ctl)
{
	lints_free(ctl->lints);
	ctl->lints = NULL;
}

static void
question_free(struct lint_question *q)
{
	ev_unmatched_free(q->u);
	json_decref(q->named);
	json_decref(q->page.list);
	free(q);
}

static uint64_t
generation_of(struct sl_ctl *ctl)
{
	struct sl_gw_policy_info i;

	sl_gw_policy_info(ctl->gw, &i);
	return i.loaded ? i.generation : 0;
}

/* --- the answer ------------------------------------------------------------------------------- */

static void
page_add(struct ctl_page *page, json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (ctl_page_takes(page))
			json_array_append(page->list, item);
	}
}

/** @param l NULL: the evidence was not asked. Takes the page's list. @return as a handler */
static int
answer(struct sl_ctl *ctl, struct ctl_page *page, const struct lints *l, json_t **result)
{
	unsigned n;
	int rc;

	page_add(page, sl_gw_policy_lints(ctl->gw, &n));
	if (l)
		page_add(page, l->named);
	rc = ctl_page_answer(page, "lints", result);
	page->list = NULL;
	if (rc == 0 && l)
		json_object_set(*result, "unmatched", l->told);
	return rc;
}

/** Why nothing can be said; NULL: something can. */
static json_t *
untold(struct sl_ctl *ctl, const struct sl_coverage *c)
{
	const char *reason = !ctl->evidence ? "no_evidence"
			     : c->lost	    ? "flows_lost"
					    : "not_covered";
	json_t *text;

	if (ctl->evidence && ev_unmatched_covers(c))
		return NULL;
	if (!ctl->evidence)
		text = json_string("this gateway keeps no evidence: nothing can be said about "
				   "rules that decided nothing");
	else if (c->lost)
		text = json_sprintf("%llu flows of the last %u days were not kept: any rule may "
				    "have decided them",
				    (unsigned long long)c->lost, WINDOW_S / 86400);
	else
		text = json_sprintf("the evidence covers %.1f of the last %u days: too little to "
				    "name rules that decided nothing",
				    (double)c->covered_s / 86400, WINDOW_S / 86400);
	return json_pack("{s:b, s:s, s:o}", "known", 0, "reason", reason, "text", text);
}

/** It was in force all the time, and is. */
static bool
is_settled(const struct sl_pol_rule *r, uint64_t now_ns)
{
	uint64_t from = now_ns - WINDOW_S * SL_NS_PER_S;

	return r->enabled && (r->expires_ns == 0 || r->expires_ns > now_ns) &&
	       (r->not_before_ns == 0 || r->not_before_ns <= from);
}

static json_t *
name_rule(const struct sl_pol_rule *r, unsigned i)
{
	return json_pack("{s:s, s:o, s:o}", "code", "rule_never_matched", "path",
			 json_sprintf("/rules/%u", i), "text",
			 json_sprintf("%s/%u decided no flow of the last %u days", r->role, r->id,
				      WINDOW_S / 86400));
}

/** Name some of the rules that decided nothing. @return true: all are named */
static bool
name_some(struct lint_question *q, unsigned budget)
{
	const struct sl_policy *p = sl_gw_policy(q->ctl->gw);
	uint64_t now = sl_gw_wall_ns(q->ctl->gw);
	unsigned n = p ? p->n_rules : 0, end = SL_MIN(q->at + budget, n);

	for (; q->at < end; q->at++) {
		const struct sl_pol_rule *r = &p->rules[q->at];

		if (!ev_unmatched_is(q->u, q->at) || !is_settled(r, now))
			continue;
		if (q->n++ < NAMED_MAX)
			json_array_append_new(q->named, name_rule(r, q->at));
	}
	return q->at >= n;
}

/** @param q NULL: what is covered tells that it need not be asked. @return NULL without memory */
static struct lints *
lints_new(struct sl_ctl *ctl, const struct lint_question *q, const struct sl_coverage *c)
{
	struct lints *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->generation = generation_of(ctl);
	l->made_ns = ctl->mono_ns(ctl->clock_ctx);
	l->told = untold(ctl, c);
	l->named = q && !l->told ? json_incref(q->named) : json_array();
	if (!l->told && q)
		l->told = json_pack("{s:b, s:i}", "known", 1, "rules", (int)q->n);
	if (l->told && ctl->evidence)
		json_object_set_new(l->told, "coverage", ctl_coverage(c));
	if (l->named && l->told)
		return l;
	lints_free(l);
	return NULL;
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool
step(void *ctx, unsigned budget, struct sl_error *e)
{
	struct lint_question *q = ctx;

	if (!ev_unmatched_step(q->u, budget))
		return false;
	if (!ev_unmatched_failed(q->u))
		return name_some(q, budget);
	sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	return true;
}

/** @return as a handler */
static int
finish(struct lint_question *q, json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = q->ctl;
	struct sl_coverage c;
	struct lints *l;

	if (ev_unmatched_generation(q->u) != generation_of(ctl)) {
		sl_fail(e, -EBUSY, "busy", "", "another policy comes into force right now");
		sl_hint(e, "ask again");
		return -EBUSY;
	}
	/* as it is now: rows may have gone meanwhile */
	sl_evidence_coverage(ctl->evidence, WINDOW_S, &c);
	l = lints_new(ctl, q, &c);
	if (!l)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	ctl_lints_free(ctl);
	ctl->lints = l;
	return answer(ctl, &q->page, l, result);
}

static void
done(void *ctx, const struct sl_error *failed)
{
	struct lint_question *q = ctx;
	struct sl_error e = *failed;
	json_t *result = NULL;
	int rc = e.err ? e.err : finish(q, &result, &e);

	sl_rpc_answer(q->later, rc, result, &e);
	question_free(q);
}

/** Takes `q` over. @return as a handler */
static int
ask(struct lint_question *q, const struct sl_rpc_caller *caller, json_t **result,
    struct sl_error *e)
{
	const struct ctl_sliced s = {.step = step, .done = done, .ctx = q};
	int rc = 0;

	q->later = sl_rpc_later(caller);
	if (q->later) {
		rc = ctl_ask_sliced(q->ctl, q->later, &s, e);
		if (rc) {
			sl_rpc_answer(q->later, rc, NULL, e);
			question_free(q);
		}
		return SL_RPC_LATER;
	}
	*e = (struct sl_error){0};
	while (!step(q, UINT16_MAX, e))
		;
	rc = e->err ? e->err : finish(q, result, e);
	question_free(q);
	return rc;
}

/** The first page found them a short while ago. */
static struct lints *
kept(struct sl_ctl *ctl, const struct ctl_page *page)
{
	struct lints *l = ctl->lints;
	uint64_t now = ctl->mono_ns(ctl->clock_ctx);

	if (l && (now - l->made_ns > KEEP_NS || l->generation != generation_of(ctl)))
		ctl_lints_free(ctl);
	return page->after > 0 ? ctl->lints : NULL;
}

/** Rules that decided nothing as well. Takes the page's list. @return as a handler */
static int
lint_unmatched(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, struct ctl_page *page,
	       json_t **result, struct sl_error *e)
{
	struct lints *l = kept(ctl, page);
	struct sl_coverage c = {.window_s = WINDOW_S};
	struct lint_question *q;
	int rc;

	if (l)
		return answer(ctl, page, l, result);
	if (ctl->evidence)
		sl_evidence_coverage(ctl->evidence, WINDOW_S, &c);
	if (!ctl->evidence || !ev_unmatched_covers(&c)) {
		l = lints_new(ctl, NULL, &c);
		rc = l ? answer(ctl, page, l, result)
		       : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		lints_free(l);
		return rc;
	}
	q = calloc(1, sizeof(*q));
	if (!q)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	*q = (struct lint_question){.ctl = ctl,
				    .page = *page,
				    .u = ev_unmatched_new(ctl->evidence, WINDOW_S),
				    .named = json_array()};
	page->list = NULL;
	if (q->u && q->named)
		return ask(q, caller, result, e);
	question_free(q);
	return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
}

int
sl_rpc_h_policy_lint(void *user, const struct sl_rpc_caller *caller,
		     const struct sl_rpc_policy_lint *p, json_t **result, struct sl_error *e)
{
	struct ctl_page page;
	int rc;

	ctl_page_init(&page, p->has_after, p->after, p->has_limit, p->limit);
	if (p->has_unmatched && p->unmatched)
		rc = lint_unmatched(user, caller, &page, result, e);
	else
		rc = answer(user, &page, NULL, result);
	json_decref(page.list);
	return rc;
}
