/* SPDX-License-Identifier: BSD-3-Clause */
/* evidence.*, policy.would_deny, policy.replay, policy.suggest. A question scans many rows: it is
 * cut into slices between which the loop goes on, and its rows are kept for a minute, so that its
 * pages are those of one answer. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "evidence_query.h"
#include "evidence_rows.h"
#include "evidence_suggest.h"
#include "rpc_int.h"
#include "rpc_queue.h"
#include "sl_crypto.h"
#include "sl_gw_policy.h"
#include "sl_log.h"
#include "sl_policy_doc.h"

#define WINDOW_S (14 * EV_DAY_S)
#define SLICE 256	       /* judgements between two looks at the clock */
#define SLICE_NS (2 * 1000000) /* of one turn of the loop */
#define HASH_SLICE (64 * 1024) /* bytes of a document, 0.2 ms */
#define KEEP_NS (60 * SL_NS_PER_S)
#define QUEUE_MAX 8

enum kind { Q_DENY, Q_REPLAY, Q_SUGGEST, Q_LIST, Q_READY, Q_SLICED };

struct question {
	struct ctl_asked asked;
	enum kind kind;
	uint8_t key[32];    /* equal: the same question */
	ctl_ready_fn ready; /* answers instead */
	void *ready_ctx;
	struct ctl_sliced sliced; /* of another file: steps and answers */
	/* of a replay: its document until the candidate has it */
	struct sl_gw_policy_load doc;
	size_t hashed; /* bytes of it that are in the key */
	bool begun;    /* the candidate has it */
	bool of_kept;  /* it is the kept question: its next page answers */
	uint64_t window_s;
	struct sl_gw_candidate *cand;
	struct ev_scan *scan;
	uint64_t made_ns;
	uint64_t after;
	unsigned limit;
	uint64_t min_flows;
	struct ev_rows *rows;
	bool scanned, sorted;
	struct ev_suggest *suggest;
	json_t *head; /* the answer without its rows, for further pages */
};

struct ctl_questions {
	struct ctl_queue queue;
	struct question *kept; /* answered; for its further pages */
};

static void
question_free(struct question *q)
{
	if (q == NULL)
		return;
	ev_suggest_free(q->suggest);
	ev_rows_free(q->rows);
	ev_scan_free(q->scan);
	sl_gw_candidate_free(q->cand);
	json_decref(q->head);
	free(q->doc.given);
	free(q);
}

static struct question *
question_new(enum kind kind, bool has_after, int64_t after, bool has_limit, int64_t limit,
	     struct sl_error *e)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	q->kind = kind;
	q->after = has_after ? (uint64_t)after : 0;
	q->limit = has_limit ? (unsigned)limit : CTL_PAGE;
	return q;
}

/* --- what to look at -----------------------------------------------------------------------------
 */

int
ctl_resolve(struct sl_ctl *ctl, const char *name, const char *path, struct sl_gw_mode_prefix **list,
	    unsigned *n, struct sl_error *e)
{
	const struct sl_policy *p = sl_gw_policy(ctl->gw);
	const struct sl_pol_target *t = NULL;
	struct sl_gw_mode_prefix *more;
	char text[SL_PREFIX_STR];
	struct sl_prefix one;
	unsigned i, k;

	for (i = 0; p != NULL && i < p->n_targets && t == NULL; i++)
		if (strcmp(p->targets[i].name, name) == 0)
			t = &p->targets[i];
	if (t == NULL && sl_prefix_parse(name, &one) == 0 && sl_prefix_mask(&one)) {
		sl_fail(e, -EINVAL, "prefix_host_bits", path,
			"bits behind the prefix length are set");
		sl_hint(e, "%s", sl_prefix_str(&one, text));
		return -EINVAL;
	}
	if (t == NULL && sl_prefix_parse(name, &one) != 0) {
		sl_fail(e, -ENOENT, "target_unknown", path,
			"\"%.64s\" is neither a target of the policy in force nor a prefix", name);
		sl_hint(e, "target.list names them");
		return -ENOENT;
	}
	k = t != NULL ? t->n_addrs : 1;
	more = realloc(*list, (*n + k) * sizeof(*more));
	if (more == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	*list = more;
	for (i = 0; i < k; i++) {
		struct sl_gw_mode_prefix *m = &more[*n];

		*m = (struct sl_gw_mode_prefix){.prefix = t != NULL ? t->addrs[i].prefix : one};
		if (t != NULL)
			snprintf(m->target, sizeof(m->target), "%s", t->name);
		++*n;
	}
	return 0;
}

/** Prefixes of a question: of its target, or as they are given; none: everything. */
static int
places(struct sl_ctl *ctl, const char *target, const struct sl_schema_array *prefixes,
       struct sl_prefix **to, unsigned *n, struct sl_error *e)
{
	struct sl_gw_mode_prefix *list = NULL;
	unsigned i;
	int rc = 0;

	*to = NULL;
	*n = 0;
	if (target != NULL && prefixes->n > 0)
		return sl_fail(e, -EINVAL, "param_conflict", "",
			       "a target or prefixes are given, not both");
	if (target != NULL)
		rc = ctl_resolve(ctl, target, "/target", &list, n, e);
	if (rc == 0) {
		*n = target != NULL ? *n : prefixes->n;
		*to = calloc(*n + 1, sizeof(**to));
		rc = *to != NULL ? 0 : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	}
	for (i = 0; rc == 0 && i < *n; i++)
		(*to)[i] = target != NULL ? list[i].prefix
					  : ((const struct sl_prefix *)prefixes->v)[i];
	free(list);
	return rc;
}

static int
evidence_of(struct sl_ctl *ctl, struct sl_error *e)
{
	if (ctl->evidence != NULL)
		return 0;
	sl_fail(e, -EBUSY, "no_evidence", "", "this gateway keeps no evidence");
	return -EBUSY;
}

/* --- parts of answers ----------------------------------------------------------------------------
 */

json_t *
ctl_coverage(const struct sl_coverage *c)
{
	json_t *o = json_pack("{s:I, s:I, s:f, s:I}", "window_s", (json_int_t)c->window_s,
			      "covered_s", (json_int_t)c->covered_s, "covered_ratio",
			      c->window_s > 0 ? (double)c->covered_s / (double)c->window_s : 0.0,
			      "lost", (json_int_t)c->lost);

	if (o != NULL && c->newest_gap_wall_s > 0)
		json_object_set_new(o, "newest_gap",
				    json_integer((json_int_t)c->newest_gap_wall_s));
	return o;
}

static const char *
why_text(const struct question *q, const struct ev_flow *f)
{
	return sl_why_text(q->kind == Q_REPLAY && f->allow ? f->cand_why : f->why);
}

static json_t *
row_json(const struct sl_ctl *ctl, const struct question *q, const struct ev_flow *f)
{
	char proto[8], rule[SL_POL_NAME + 16];
	struct sl_ip src, dst;
	json_t *o;

	ev_flow_ip(f, false, &src);
	ev_flow_ip(f, true, &dst);
	o = json_pack("{s:s, s:s, s:s, s:o, s:o, s:s}", "interface",
		      ev_flow_iface(ctl->evidence, f), "peer", ev_flow_peer(ctl->evidence, f),
		      "from", f->flags & SL_AGG_FROM_TUNNEL ? "tunnel" : "inside", "src",
		      ctl_ip(&src), "dst", ctl_ip(&dst), "protocol", sl_proto_str(f->proto, proto));
	if (o == NULL)
		return NULL;
	if (f->sport != 0)
		json_object_set_new(o, "sport", json_integer(f->sport));
	if (f->proto == 6 || f->proto == 17)
		json_object_set_new(o, "port", json_integer(f->dport));
	if (q->kind == Q_REPLAY)
		json_object_set_new(o, "change",
				    json_string(f->allow ? "newly_denied" : "newly_allowed"));
	if (q->kind == Q_LIST) {
		json_object_set_new(o, "then", json_string(f->was_allowed ? "allow" : "deny"));
		json_object_set_new(o, "now",
				    json_string(!f->here   ? "gone"
						: f->allow ? "allow"
							   : "deny"));
		json_object_set_new(o, "enforced", json_boolean(f->was_enforced));
		json_object_set_new(o, "midstream", json_boolean(f->flags & SL_AGG_MIDSTREAM));
	}
	json_object_set_new(o, "why", json_string(why_text(q, f)));
	if (f->why == SL_WHY_RULE && f->here && !(q->kind == Q_REPLAY && f->allow)) {
		snprintf(rule, sizeof(rule), "%s/%u", ev_scan_role(q->scan, f->role), f->rule);
		json_object_set_new(o, "rule", json_string(rule));
	}
	json_object_set_new(o, "flows", json_integer((json_int_t)ev_flow_count(f)));
	json_object_set_new(o, "packets", json_integer((json_int_t)f->packets));
	json_object_set_new(o, "bytes", json_integer((json_int_t)f->bytes));
	json_object_set_new(o, "first", json_integer((json_int_t)(f->first_ns / SL_NS_PER_S)));
	json_object_set_new(o, "last", json_integer((json_int_t)(f->last_ns / SL_NS_PER_S)));
	return o;
}

/** The asked page of the rows, and `next` if there are more. */
static void
put_rows(const struct sl_ctl *ctl, const struct question *q, json_t *o)
{
	json_t *rows = json_array();
	unsigned n;
	struct ev_flow *const *row = ev_rows_get(q->rows, &n);
	uint64_t end = SL_MIN(q->after + q->limit, (uint64_t)n), i;

	for (i = q->after; i < end; i++)
		json_array_append_new(rows, row_json(ctl, q, row[i]));
	json_object_set_new(o, "rows", rows);
	if (end < n)
		json_object_set_new(o, "next", json_integer((json_int_t)end));
}

/* --- finishing -----------------------------------------------------------------------------------
 */

static bool
changed(const struct ev_flow *f)
{
	return f->here && f->allow != f->cand_allow;
}

static bool
is_none(const struct ev_flow *f)
{
	(void)f;
	return false;
}

static bool
is_any(const struct ev_flow *f)
{
	(void)f;
	return true;
}

static bool
is_denied(const struct ev_flow *f)
{
	return ev_flow_denied(f);
}

static bool
is_gone(const struct ev_flow *f)
{
	return !f->here;
}

static bool
is_midstream(const struct ev_flow *f)
{
	return f->here && f->flags & SL_AGG_MIDSTREAM;
}

static bool
is_newly_denied(const struct ev_flow *f)
{
	return changed(f) && f->allow;
}

static bool
is_newly_allowed(const struct ev_flow *f)
{
	return changed(f) && !f->allow;
}

static bool
is_unchanged(const struct ev_flow *f)
{
	return f->here && !changed(f);
}

/** What is picked and counted; the answers name the totals by their places. */
static const struct ev_rows_conf wishes[] = {
	[Q_DENY] = {is_denied, {is_denied, is_gone, is_midstream}, 3},
	[Q_REPLAY] = {changed, {is_newly_denied, is_newly_allowed, is_unchanged, is_gone}, 4},
	[Q_SUGGEST] = {is_denied, {is_denied}, 1},
	[Q_LIST] = {is_any, {is_any}, 1},
	[Q_READY] = {is_none, {is_denied}, 1},
};

static json_t *
answer_denied(const struct question *q)
{
	const struct sl_coverage *c = ev_scan_coverage(q->scan);
	const struct ev_total *denied = ev_rows_total(q->rows, 0);

	return json_pack("{s:I, s:i, s:i, s:I, s:I, s:b, s:I, s:I, s:o}", "flows",
			 (json_int_t)denied->flows, "rows_total", (int)denied->rows, "peers",
			 (int)denied->peers, "packets", (json_int_t)denied->packets, "bytes",
			 (json_int_t)denied->bytes, "ready",
			 denied->flows == 0 && c->covered_s >= c->window_s && c->lost == 0,
			 "gone_flows", (json_int_t)ev_rows_total(q->rows, 1)->flows,
			 "midstream_flows", (json_int_t)ev_rows_total(q->rows, 2)->flows,
			 "coverage", ctl_coverage(c));
}

static json_t *
total_json(const struct ev_total *t)
{
	return json_pack("{s:I, s:i, s:i}", "flows", (json_int_t)t->flows, "peers", (int)t->peers,
			 "rows", (int)t->rows);
}

static json_t *
answer_replay(const struct question *q)
{
	return json_pack("{s:I, s:o, s:o, s:I, s:I, s:o}", "version",
			 (json_int_t)sl_gw_candidate_policy(q->cand)->version, "newly_denied",
			 total_json(ev_rows_total(q->rows, 0)), "newly_allowed",
			 total_json(ev_rows_total(q->rows, 1)), "unchanged_flows",
			 (json_int_t)ev_rows_total(q->rows, 2)->flows, "gone_flows",
			 (json_int_t)ev_rows_total(q->rows, 3)->flows, "coverage",
			 ctl_coverage(ev_scan_coverage(q->scan)));
}

static int
begin_suggest(struct sl_ctl *ctl, struct question *q, struct sl_error *e)
{
	struct ev_suggest_conf c = {.gw = ctl->gw,
				    .ev = ctl->evidence,
				    .scan = q->scan,
				    .min_flows = q->min_flows};
	struct sl_gw_policy_info info;
	struct ev_flow *const *row;
	unsigned n;

	c.document = sl_gw_policy_canonical(ctl->gw, &c.document_len);
	sl_gw_policy_info(ctl->gw, &info);
	c.rules_cap = info.use.rules_cap > 0 ? info.use.rules_cap : SL_POL_RULES;
	row = ev_rows_get(q->rows, &n);
	q->suggest = ev_suggest_new(&c, row, n, e);
	return q->suggest != NULL ? 0 : e->err;
}

static void
end_suggest(struct question *q, struct sl_error *e)
{
	q->head = ev_suggest_result(q->suggest, e);
	if (q->head == NULL)
		return;
	json_object_set_new(q->head, "flows",
			    json_integer((json_int_t)ev_rows_total(q->rows, 0)->flows));
	json_object_set_new(q->head, "coverage", ctl_coverage(ev_scan_coverage(q->scan)));
}

static json_t *
answer_list(const struct question *q)
{
	return json_pack("{s:i, s:o}", "rows_total", (int)ev_rows_total(q->rows, 0)->rows,
			 "coverage", ctl_coverage(ev_scan_coverage(q->scan)));
}

static json_t *
head_of(const struct question *q)
{
	switch (q->kind) {
	case Q_DENY:
		return answer_denied(q);
	case Q_REPLAY:
		return answer_replay(q);
	default:
		return answer_list(q);
	}
}

/** A page of the answer; its totals are made once. */
static json_t *
answer(struct sl_ctl *ctl, struct question *q)
{
	json_t *o;

	if (q->head == NULL)
		q->head = head_of(q);
	o = q->head != NULL ? json_copy(q->head) : NULL;
	if (o != NULL && q->kind != Q_SUGGEST)
		put_rows(ctl, q, o);
	return o;
}

/* --- asking --------------------------------------------------------------------------------------
 */

static void
keep(struct sl_ctl *ctl, struct question *q)
{
	struct ctl_questions *all = ctl->questions;

	question_free(all->kept);
	sl_gw_candidate_free(q->cand); /* it has judged */
	q->cand = NULL;
	q->made_ns = ctl->mono_ns(ctl->clock_ctx);
	all->kept = q;
}

/** A step of what comes after the rows. */
static bool
step_suggest(struct sl_ctl *ctl, struct question *q, struct sl_error *e)
{
	if (q->suggest == NULL)
		return begin_suggest(ctl, q, e) != 0;
	if (!ev_suggest_step(q->suggest, SLICE))
		return false;
	end_suggest(q, e);
	return true;
}

static bool
step_rows(struct sl_ctl *ctl, struct question *q, struct sl_error *e)
{
	if (!q->scanned) {
		q->scanned = ev_scan_step(q->scan, SLICE);
		if (!q->scanned)
			return false;
		q->rows = ev_scan_failed(q->scan)
				  ? NULL
				  : ev_rows_new(ctl->evidence, q->scan, &wishes[q->kind]);
	}
	if (q->rows != NULL)
		return ev_rows_step(q->rows, SLICE);
	sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	return true;
}

static bool
is_kept(const struct sl_ctl *ctl, const struct question *q)
{
	const struct ctl_questions *all = ctl->questions;

	return all != NULL && all->kept != NULL && q->after > 0 &&
	       memcmp(all->kept->key, q->key, sizeof(q->key)) == 0;
}

/** Which document is it? Then it is compiled, unless it was replayed already. @return as step() */
static bool
step_document(struct sl_ctl *ctl, struct question *q, struct sl_error *e)
{
	const struct ev_filter f = {.window_s = q->window_s};
	size_t n = q->doc.given != NULL ? SL_MIN(q->doc.len - q->hashed, (size_t)HASH_SLICE) : 0;

	if (n > 0) {
		sl_blake2s_2(q->key, q->key, sizeof(q->key), q->doc.given + q->hashed, n);
		q->hashed += n;
		return false;
	}
	q->begun = true;
	q->of_kept = is_kept(ctl, q);
	if (q->of_kept)
		return true;
	q->cand = sl_gw_candidate_begin(ctl->gw, &q->doc, e);
	if (q->cand == NULL)
		return true;
	q->doc.given = NULL;
	q->scan = ev_scan_new(ctl->evidence, &f, q->cand);
	return q->scan == NULL ? sl_fail(e, -ENOMEM, "no_memory", "", "no memory") : false;
}

/** One step of a question. @return true when it is done or has failed: `e` says so then */
static bool
step(struct sl_ctl *ctl, struct question *q, struct sl_error *e)
{
	const struct sl_error *failed = NULL;

	if (q->kind == Q_SLICED)
		return q->sliced.step(q->sliced.ctx, SLICE, e);
	if (q->kind == Q_REPLAY && !q->begun)
		return step_document(ctl, q, e);
	if (q->cand != NULL && !sl_gw_candidate_step(q->cand))
		return false;
	if (q->cand != NULL)
		failed = sl_gw_candidate_error(q->cand);
	if (failed != NULL) {
		*e = *failed;
		return true;
	}
	if (!q->sorted)
		q->sorted = step_rows(ctl, q, e);
	if (!q->sorted || e->err != 0 || q->kind != Q_SUGGEST)
		return q->sorted;
	return step_suggest(ctl, q, e);
}

/** The helper is at work for it: there is nothing to do in this turn. */
static bool
waits(struct question *q)
{
	return (q->cand != NULL && !sl_gw_candidate_step(q->cand)) ||
	       (q->suggest != NULL && ev_suggest_waits(q->suggest) &&
		!ev_suggest_step(q->suggest, 0));
}

/** Done: the answer, and the rows are kept if there are more pages. @return rc of `e` */
static int
finish(struct sl_ctl *ctl, struct question *q, json_t **result, struct sl_error *e)
{
	struct question *kept = q->of_kept ? ((struct ctl_questions *)ctl->questions)->kept : NULL;

	if (kept != NULL) {
		kept->after = q->after;
		kept->limit = q->limit;
	}
	*result = e->err == 0 ? answer(ctl, kept != NULL ? kept : q) : NULL;
	if (e->err == 0 && *result == NULL)
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	if (kept == NULL && *result != NULL && json_object_get(*result, "next") != NULL)
		keep(ctl, q);
	else
		question_free(q);
	return e->err;
}

static struct ctl_questions *
questions(struct sl_ctl *ctl)
{
	if (ctl->questions == NULL)
		ctl->questions = calloc(1, sizeof(struct ctl_questions));
	return ctl->questions;
}

/** It comes to nothing. */
static void
cancel(struct ctl_asked *asked, const struct sl_error *e)
{
	struct question *q = (struct question *)asked;

	if (q->ready != NULL)
		q->ready(q->ready_ctx, e->err, e, NULL);
	else if (q->kind == Q_SLICED)
		q->sliced.done(q->sliced.ctx, e);
	else
		sl_rpc_answer(asked->later, e->err, NULL, e);
	question_free(q);
}

static int
room(struct sl_ctl *ctl, struct sl_error *e)
{
	struct ctl_questions *all = questions(ctl);

	if (all != NULL)
		ctl_queue_drop_unwanted(&all->queue, cancel);
	if (all != NULL && all->queue.n < QUEUE_MAX)
		return 0;
	sl_fail(e, -EBUSY, "busy", "", "%u questions are under way", QUEUE_MAX);
	return -EBUSY;
}

int
ctl_ask_ready(struct sl_ctl *ctl, struct sl_rpc_later *later, const struct ev_filter *f,
	      ctl_ready_fn done, void *ctx, struct sl_error *e)
{
	struct question *q = NULL;
	int rc = room(ctl, e);

	if (rc == 0)
		q = question_new(Q_READY, false, 0, false, 0, e);
	if (q != NULL)
		q->scan = ev_scan_new(ctl->evidence, f, NULL);
	if (q == NULL || q->scan == NULL) {
		question_free(q);
		return rc != 0 ? rc : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	}
	q->asked.later = later;
	q->ready = done;
	q->ready_ctx = ctx;
	ctl_queue_push(&((struct ctl_questions *)ctl->questions)->queue, &q->asked);
	return 0;
}

int
ctl_ask_sliced(struct sl_ctl *ctl, struct sl_rpc_later *later, const struct ctl_sliced *s,
	       struct sl_error *e)
{
	struct question *q = NULL;
	int rc = room(ctl, e);

	if (rc == 0)
		q = question_new(Q_SLICED, false, 0, false, 0, e);
	if (q == NULL)
		return rc != 0 ? rc : -ENOMEM;
	q->asked.later = later;
	q->sliced = *s;
	ctl_queue_add(&((struct ctl_questions *)ctl->questions)->queue, &q->asked);
	return 0;
}

static void
finish_ready(struct question *q, const struct sl_error *e)
{
	const struct sl_coverage *c = ev_scan_coverage(q->scan);
	struct ctl_ready r = {.cov = *c};

	if (e->err == 0) {
		r.denied = ev_rows_total(q->rows, 0)->flows;
		r.ready = r.denied == 0 && c->covered_s >= c->window_s && c->lost == 0;
	}
	q->ready(q->ready_ctx, e->err, e, &r);
	question_free(q);
}

/** Take over a question with its filter, and answer now or later. @return as a handler */
static int
ask(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, struct question *q,
    const struct ev_filter *f, json_t **result, struct sl_error *e)
{
	struct ctl_questions *all = questions(ctl);
	int rc;

	if (q->kind != Q_REPLAY && is_kept(ctl, q)) {
		q->of_kept = true;
		*e = (struct sl_error){0};
		return finish(ctl, q, result, e);
	}
	rc = room(ctl, e);
	if (rc) {
		question_free(q);
		return rc;
	}
	if (q->kind != Q_REPLAY)
		q->scan = ev_scan_new(ctl->evidence, f, NULL);
	if (q->kind != Q_REPLAY && q->scan == NULL) {
		question_free(q);
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	}
	q->asked.later = sl_rpc_later(caller);
	if (q->asked.later == NULL) {
		*e = (struct sl_error){0};
		while (!step(ctl, q, e)) {
			if (q->cand != NULL)
				sl_gw_candidate_wait(q->cand);
			if (q->suggest != NULL)
				ev_suggest_wait(q->suggest);
		}
		return finish(ctl, q, result, e);
	}
	ctl_queue_add(&all->queue, &q->asked);
	return SL_RPC_LATER;
}

void
ctl_questions_poll(struct sl_ctl *ctl)
{
	struct ctl_questions *all = ctl->questions;
	uint64_t now = ctl->mono_ns(ctl->clock_ctx), begin = now;
	struct sl_rpc_later *later;
	struct sl_error e = {0};
	struct question *q;
	bool done = false;
	json_t *o;
	int rc;

	if (all != NULL && all->kept != NULL && now - all->kept->made_ns > KEEP_NS) {
		question_free(all->kept);
		all->kept = NULL;
	}
	if (all != NULL)
		ctl_queue_drop_unwanted(&all->queue, cancel);
	q = all != NULL ? (struct question *)all->queue.first : NULL;
	while (q != NULL && !done && now - begin < SLICE_NS && !waits(q)) {
		done = step(ctl, q, &e);
		now = ctl->mono_ns(ctl->clock_ctx);
	}
	if (!done)
		return;
	ctl_queue_take(&all->queue);
	if (q->ready != NULL) {
		finish_ready(q, &e);
		return;
	}
	if (q->kind == Q_SLICED) {
		q->sliced.done(q->sliced.ctx, &e);
		question_free(q);
		return;
	}
	later = q->asked.later;
	rc = finish(ctl, q, &o, &e);
	sl_rpc_answer(later, rc, o, &e);
}

void
ctl_questions_free(struct sl_ctl *ctl)
{
	struct ctl_questions *all = ctl->questions;

	if (all == NULL)
		return;
	ctl_queue_end(&all->queue, cancel);
	question_free(all->kept);
	free(all);
	ctl->questions = NULL;
}

/** What makes two questions the same, but for a document. */
static void
question_key(struct question *q, const struct ev_filter *f)
{
	uint64_t head[2] = {(uint64_t)q->kind, f->window_s};
	uint8_t *key = q->key;

	sl_blake2s(key, sizeof(q->key), head, sizeof(head), NULL, 0);
	for (unsigned i = 0; i < f->n_to; i++) {
		uint8_t p[17];

		memcpy(p, f->to[i].ip.b, 16);
		p[16] = f->to[i].len;
		sl_blake2s_2(key, key, sizeof(q->key), p, sizeof(p));
	}
	if (f->peer != NULL)
		sl_blake2s_2(key, key, sizeof(q->key), f->peer, strlen(f->peer));
}

/** A file is the same as long as nobody has written it. */
static void
file_key(struct question *q, const char *file)
{
	struct stat st = {0};
	uint64_t id[5];

	(void)stat(file, &st); /* who reads it tells what is wrong with it */
	id[0] = st.st_dev;
	id[1] = st.st_ino;
	id[2] = (uint64_t)st.st_size;
	id[3] = (uint64_t)st.st_mtim.tv_sec;
	id[4] = (uint64_t)st.st_mtim.tv_nsec;
	sl_blake2s_2(q->key, q->key, sizeof(q->key), id, sizeof(id));
	sl_blake2s_2(q->key, q->key, sizeof(q->key), file, strlen(file));
}

/* --- methods -------------------------------------------------------------------------------------
 */

/** Ask about the flows to a target or prefixes. Takes `q` over; NULL: no memory, `e` says so. */
static int
ask_about(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, struct question *q,
	  struct ev_filter *f, const char *target, const struct sl_schema_array *prefixes,
	  json_t **result, struct sl_error *e)
{
	struct sl_prefix *to = NULL;
	int rc = q != NULL ? evidence_of(ctl, e) : -ENOMEM;

	if (rc == 0)
		rc = places(ctl, target, prefixes, &to, &f->n_to, e);
	if (rc) {
		question_free(q);
		return rc;
	}
	f->to = to;
	question_key(q, f);
	rc = ask(ctl, caller, q, f, result, e);
	free(to);
	return rc;
}

int
sl_rpc_h_policy_would_deny(void *user, const struct sl_rpc_caller *caller,
			   const struct sl_rpc_policy_would_deny *p, json_t **result,
			   struct sl_error *e)
{
	struct ev_filter f = {.window_s = p->has_window_s ? (uint64_t)p->window_s : WINDOW_S};

	return ask_about(user, caller,
			 question_new(Q_DENY, p->has_after, p->after, p->has_limit, p->limit, e),
			 &f, p->target, &p->prefixes, result, e);
}

int
sl_rpc_h_policy_suggest(void *user, const struct sl_rpc_caller *caller,
			const struct sl_rpc_policy_suggest *p, json_t **result, struct sl_error *e)
{
	struct ev_filter f = {.window_s = p->has_window_s ? (uint64_t)p->window_s : WINDOW_S};
	struct question *q = question_new(Q_SUGGEST, false, 0, false, 0, e);

	if (q != NULL)
		q->min_flows = p->has_min_flows ? (uint64_t)p->min_flows : 1;
	return ask_about(user, caller, q, &f, p->target, &p->prefixes, result, e);
}

int
sl_rpc_h_evidence_list(void *user, const struct sl_rpc_caller *caller,
		       const struct sl_rpc_evidence_list *p, json_t **result, struct sl_error *e)
{
	struct ev_filter f = {.window_s =
				      p->has_window_s ? (uint64_t)p->window_s : SL_EVIDENCE_KEEP_S,
			      .peer = p->peer};

	return ask_about(user, caller,
			 question_new(Q_LIST, p->has_after, p->after, p->has_limit, p->limit, e),
			 &f, p->target, &(const struct sl_schema_array){0}, result, e);
}

int
sl_rpc_h_policy_replay(void *user, const struct sl_rpc_caller *caller,
		       const struct sl_rpc_policy_replay *p, json_t **result, struct sl_error *e)
{
	struct ev_filter f = {.window_s = p->has_window_s ? (uint64_t)p->window_s : WINDOW_S};
	struct ctl_source s = CTL_SOURCE_OF(p);
	struct sl_gw_policy_load doc = {0};
	struct sl_ctl *ctl = user;
	struct question *q;
	int rc = evidence_of(ctl, e);

	if (rc == 0)
		rc = ctl_take_document(ctl, caller, &s, &doc, result, e);
	if (rc)
		return rc < 0 ? rc : 0;
	q = question_new(Q_REPLAY, p->has_after, p->after, p->has_limit, p->limit, e);
	if (q == NULL) {
		free(doc.given);
		return -ENOMEM;
	}
	q->doc = doc;
	q->window_s = f.window_s;
	question_key(q, &f);
	if (doc.file != NULL)
		file_key(q, doc.file);
	return ask(ctl, caller, q, &f, result, e);
}

int
sl_rpc_h_evidence_status(void *user, const struct sl_rpc_caller *caller, const void *p,
			 json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct sl_coverage day, all;
	struct ev_status s;
	json_t *o;
	int rc = evidence_of(ctl, e);

	(void)caller;
	(void)p;
	if (rc)
		return rc;
	ev_status(ctl->evidence, &s);
	sl_evidence_coverage(ctl->evidence, EV_DAY_S, &day);
	sl_evidence_coverage(ctl->evidence, SL_EVIDENCE_KEEP_S, &all);
	o = json_pack("{s:i, s:i, s:i, s:i, s:b, s:o, s:o}", "rows", (int)s.rows, "rows_max",
		      (int)s.rows_max, "peers", (int)s.peers, "lcores", (int)s.lcores, "kept",
		      s.kept && !s.save_failed, "day", ctl_coverage(&day), "month",
		      ctl_coverage(&all));
	if (o != NULL && s.newest_ns > 0) {
		json_object_set_new(o, "oldest",
				    json_integer((json_int_t)(s.oldest_ns / SL_NS_PER_S)));
		json_object_set_new(o, "newest",
				    json_integer((json_int_t)(s.newest_ns / SL_NS_PER_S)));
	}
	if (o != NULL && s.saved_age_s != UINT64_MAX)
		json_object_set_new(o, "saved_age_s", json_integer((json_int_t)s.saved_age_s));
	return ctl_answer(result, o);
}

/* A clearing that is being written. */
struct clearing {
	struct sl_rpc_later *later;
	unsigned rows;
};

static json_t *
clearing_json(unsigned rows)
{
	return json_pack("{s:i}", "rows", (int)rows);
}

static void
cleared(void *ctx)
{
	struct clearing *c = ctx;

	sl_rpc_answer(c->later, 0, clearing_json(c->rows), NULL);
	free(c);
}

int
sl_rpc_h_evidence_clear(void *user, const struct sl_rpc_caller *caller, const void *p,
			json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct ev_status s;
	struct sl_rpc_later *later;
	struct clearing *c;
	int rc = evidence_of(ctl, e);

	(void)p;
	if (rc)
		return rc;
	c = malloc(sizeof(*c));
	if (!c)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	ev_status(ctl->evidence, &s);
	later = sl_rpc_later(caller);
	*c = (struct clearing){.later = later, .rows = s.rows};
	rc = sl_evidence_clear(ctl->evidence, later ? cleared : NULL, c, e);
	if (rc == 0) {
		sl_log(SL_LOG_NOTICE, "audit", "evidence.clear by %s: %u rows", caller->principal,
		       s.rows);
		ctl_event(ctl, caller, "evidence-cleared", clearing_json(s.rows));
	}
	if (rc || !later)
		free(c);
	if (!later)
		return rc ? rc : ctl_answer(result, clearing_json(s.rows));
	if (rc)
		sl_rpc_answer(later, rc, NULL, e);
	return SL_RPC_LATER;
}
