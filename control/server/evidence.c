/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to the flow aggregates of all gateways. */
#include "evidence.h"

#include <stdio.h>
#include <stdlib.h>

#include "collector.h"
#include "migration.h"
#include "policy_text.h"
#include "sl_env.h"
#include "sl_flow_suggest.h"

#define RULES_CAP 32

/** A walk over rows, each judged by one or two policies. */
struct walk {
	struct judge *now, *candidate; /* candidate NULL: none */
	int (*row)(struct walk *w, const struct sl_flow_row *r, const struct sl_simulated *now,
		   const struct sl_simulated *candidate);
	unsigned rows_max;
	json_t *out, *more; /* lists */
	uint64_t flows, denied, allowed, unchanged;
	struct sl_suggest *suggest;
	struct sl_error *e;
	int rc;
};

/** The policy in force; NULL without an error: there is none, so all is denied. */
static struct judge *
judge_in_force(struct sl_store *s, struct sl_error *e)
{
	uint64_t version = sl_store_policy_version(s);
	struct judge *j = NULL;
	json_t *body = NULL;
	const char *text;

	e->err = 0;
	if (version == 0)
		return NULL;
	if (policy_text(s, version, &body, &text, e) == 0)
		j = judge_new(s, text, strlen(text), sl_clock_wall_ns(), true, e);
	json_decref(body);
	return j;
}

/** @return 1 judged, 0 the peer is gone, negative errno */
static int
judge_row(struct judge *j, const struct sl_flow_row *r, struct sl_simulated *x, struct sl_error *e)
{
	struct judge_subject who = {.peer = r->peer[0] != '\0' ? r->peer : NULL,
				    .iface = r->interface,
				    .from = r->src,
				    .from_inside = r->from_inside};
	int rc;

	memset(x, 0, sizeof(*x));
	if (j == NULL)
		return 1;
	rc = judge_flow(j, &who, &r->dst, r->proto, 0, r->port, x, e);
	free(x->made);
	x->made = NULL;
	if (rc == -ENOENT || (rc != 0 && strcmp(e->reason, "interface_unknown") == 0))
		return 0;
	return rc != 0 ? rc : 1;
}

static bool
each_row(void *ctx, const struct sl_flow_row *r)
{
	struct walk *w = ctx;
	/* a trace of up to all roles: too large for the stack twice */
	struct sl_simulated *x = calloc(2, sizeof(*x));
	int rc;

	if (x == NULL) {
		w->rc = -ENOMEM;
		return false;
	}
	rc = r->midstream ? 0 : judge_row(w->now, r, &x[0], w->e);
	if (rc == 1 && w->candidate != NULL)
		rc = judge_row(w->candidate, r, &x[1], w->e);
	if (rc == 1)
		rc = w->row(w, r, &x[0], &x[1]);
	free(x);
	w->rc = SL_MIN(rc, 0);
	return w->rc == 0;
}

int
evidence_where(struct sl_store *s, const char *where, json_t **out, struct sl_error *e)
{
	char canon[SL_PREFIX_STR];
	struct sl_prefix p;

	*out = json_array();
	if (where == NULL || where[0] == '\0')
		return 0;
	if (sl_prefix_parse(where, &p) == 0)
		return json_array_append_new(*out, json_string(sl_prefix_str(&p, canon)));
	json_decref(*out);
	*out = migration_prefixes(s, where);
	if (json_array_size(*out) > 0)
		return 0;
	return sl_fail(e, -ENOENT, "not_found", "", "there is no target \"%.120s\"", where);
}

unsigned
evidence_prefixes(const json_t *list, struct sl_prefix out[EVIDENCE_PREFIXES])
{
	unsigned n = 0;
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)list, i, v)
		if (n < EVIDENCE_PREFIXES && sl_prefix_parse(json_string_value(v), &out[n]) == 0)
			n++;
	return n;
}

static int
walk(struct walk *w, struct sl_reports *r, const struct evidence_question *q)
{
	struct sl_prefix to[EVIDENCE_PREFIXES];
	struct sl_flows_filter f = {.since_s = q->since_s, .to = to, .peer = q->peer};
	int rc;

	f.n_to = evidence_prefixes(q->prefixes, to);
	rc = sl_flows_walk(r->flows, &f, each_row, w, w->e);
	return rc != 0 ? rc : w->rc;
}

/* --- rows as JSON ----------------------------------------------------------------------------- */

static json_t *
row_json(const struct walk *w, const struct sl_flow_row *r, const struct sl_simulated *x)
{
	const struct sl_polset *set = w->now != NULL ? judge_set(w->now) : NULL;
	char src[SL_IP_STR], dst[SL_IP_STR], first[SL_TIME_STR], last[SL_TIME_STR];
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:I, s:I, s:I, s:s, s:s}",
			      "gateway", r->gateway, "interface", r->interface, "from",
			      r->from_inside ? "inside" : "tunnel", "src", sl_ip_str(&r->src, src),
			      "dst", sl_ip_str(&r->dst, dst), "protocol", r->proto, "port", r->port,
			      "why", sl_why_text(set != NULL ? x->a.why : SL_WHY_NO_ROLE), "flows",
			      (json_int_t)r->flows, "packets", (json_int_t)r->packets, "bytes",
			      (json_int_t)r->bytes, "first",
			      sl_time_str((uint64_t)r->first_s * 1000000000, first), "last",
			      sl_time_str((uint64_t)r->last_s * 1000000000, last));

	if (o != NULL && r->peer[0] != '\0')
		json_object_set_new(o, "peer", json_string(r->peer));
	if (o != NULL)
		json_object_set_new(o, "then", json_string(r->would ? "allow" : "deny"));
	if (o != NULL && r->reason[0] != '\0')
		json_object_set_new(o, "reason", json_string(r->reason));
	if (o != NULL && set != NULL && x->a.rule != SL_POL_NONE)
		json_object_set_new(o, "rule",
				    json_sprintf("%s/%u",
						 set->roles[set->rules[x->a.rule].role].name,
						 set->rules[x->a.rule].id));
	return o;
}

static int
list_row(struct walk *w, json_t *list, const struct sl_flow_row *r, const struct sl_simulated *x)
{
	if (json_array_size(list) >= w->rows_max)
		return 0;
	return json_array_append_new(list, row_json(w, r, x)) != 0 ? -ENOMEM : 0;
}

static int
denied_row(struct walk *w, const struct sl_flow_row *r, const struct sl_simulated *now,
	   const struct sl_simulated *candidate)
{
	w->flows += r->flows;
	if (now->a.allow)
		return 0;
	w->denied += r->flows;
	return w->out != NULL ? list_row(w, w->out, r, now) : 0;
}

static int
replay_row(struct walk *w, const struct sl_flow_row *r, const struct sl_simulated *now,
	   const struct sl_simulated *candidate)
{
	if (now->a.allow == candidate->a.allow) {
		w->unchanged += r->flows;
		return 0;
	}
	if (now->a.allow) {
		w->denied += r->flows;
		return list_row(w, w->out, r, now);
	}
	w->allowed += r->flows;
	return list_row(w, w->more, r, now);
}

/** A role of the subject, for a rule to hang on: the first one of its peer, else of its source. */
static const char *
role_of(const struct walk *w, const struct sl_simulated *x)
{
	const struct sl_class *c = x->q.peer_class != NULL && x->q.peer_class->n > 0
					   ? x->q.peer_class
					   : x->q.src_class;

	return w->now != NULL && c != NULL && c->n > 0
		       ? judge_set(w->now)->roles[c->role[0].role].name
		       : "";
}

static int
suggest_row(struct walk *w, const struct sl_flow_row *r, const struct sl_simulated *now,
	    const struct sl_simulated *candidate)
{
	struct sl_suggest_flow f = {.role = role_of(w, now),
				    .peer = r->peer,
				    .interface = r->interface,
				    .src = r->src,
				    .dst = r->dst,
				    .proto = r->proto,
				    .port = r->port,
				    .from_inside = r->from_inside,
				    .flows = r->flows};

	if (now->a.allow)
		return 0;
	if (w->now != NULL && now->a.why == SL_WHY_WITHDRAWN) /* no rule would help */
		return sl_suggest_leave(w->suggest, &f, "withdrawn");
	if (w->now != NULL && now->a.rule != SL_POL_NONE) /* a rule denies it on purpose */
		return sl_suggest_leave(w->suggest, &f, "denied");
	return sl_suggest_add(w->suggest, &f);
}

/* --- questions -------------------------------------------------------------------------------- */

int
evidence_count(struct sl_reports *r, const json_t *prefixes, int64_t since_s,
	       struct evidence_sum *out, struct sl_error *e)
{
	struct evidence_question q = {.prefixes = prefixes, .since_s = since_s};
	struct walk w = {.row = denied_row, .e = e};
	int rc;

	*out = (struct evidence_sum){0};
	w.now = judge_in_force(r->store, e);
	if (w.now == NULL && e->err != 0)
		return e->err;
	rc = walk(&w, r, &q);
	judge_free(w.now);
	*out = (struct evidence_sum){.flows = w.flows, .denied = w.denied};
	return rc;
}

json_t *
evidence_denied(struct sl_reports *r, const struct evidence_question *q, struct sl_error *e)
{
	struct walk w = {.row = denied_row, .rows_max = q->rows_max, .out = json_array(), .e = e};
	json_t *o = NULL;

	w.now = judge_in_force(r->store, e);
	if ((w.now != NULL || e->err == 0) && walk(&w, r, q) == 0)
		o = json_pack("{s:I, s:I, s:O}", "flows", (json_int_t)w.flows, "denied",
			      (json_int_t)w.denied, "rows", w.out);
	json_decref(w.out);
	judge_free(w.now);
	return o;
}

json_t *
evidence_replay(struct sl_reports *r, const struct evidence_question *q, const char *candidate,
		size_t len, struct sl_error *e)
{
	struct walk w = {.row = replay_row,
			 .rows_max = q->rows_max,
			 .out = json_array(),
			 .more = json_array(),
			 .e = e};
	json_t *o = NULL;

	w.candidate = judge_new(r->store, candidate, len, sl_clock_wall_ns(), false, e);
	if (w.candidate != NULL)
		w.now = judge_in_force(r->store, e);
	if (w.candidate != NULL && (w.now != NULL || e->err == 0) && walk(&w, r, q) == 0)
		o = json_pack("{s:{s:I, s:O}, s:{s:I, s:O}, s:I}", "newly_denied", "flows",
			      (json_int_t)w.denied, "rows", w.out, "newly_allowed", "flows",
			      (json_int_t)w.allowed, "rows", w.more, "unchanged",
			      (json_int_t)w.unchanged);
	json_decref(w.out);
	json_decref(w.more);
	judge_free(w.now);
	judge_free(w.candidate);
	return o;
}

json_t *
evidence_suggest(struct sl_reports *r, const struct evidence_question *q, uint64_t min_flows,
		 struct sl_error *e)
{
	struct walk w = {.row = suggest_row, .e = e};
	json_t *o = NULL, *doc;

	w.now = judge_in_force(r->store, e);
	if (w.now == NULL && e->err != 0)
		return NULL;
	doc = w.now != NULL ? judge_doc(w.now) : NULL;
	w.suggest = sl_suggest_new(doc, RULES_CAP, min_flows);
	if (w.suggest != NULL && walk(&w, r, q) == 0)
		o = sl_suggest_done(w.suggest);
	sl_suggest_free(w.suggest);
	json_decref(doc);
	judge_free(w.now);
	return o;
}

static bool
each_gateway(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	json_t *body = json_loadb(text, len, 0, NULL);

	if (!json_is_false(json_object_get(body, "enabled")))
		json_array_append_new(ctx, json_string(id));
	json_decref(body);
	return true;
}

json_t *
evidence_gaps(struct sl_reports *r, int64_t since_s, struct sl_error *e)
{
	json_t *names = json_array(), *gaps = NULL;

	if (sl_store_walk(r->store, SL_KIND_GATEWAY, "", each_gateway, names, e) == 0)
		gaps = sl_flows_gaps(r->flows, names, since_s, sl_collector_now_s(), e);
	json_decref(names);
	return gaps;
}
