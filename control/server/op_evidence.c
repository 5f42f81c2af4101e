/* SPDX-License-Identifier: BSD-3-Clause */
/* What policy would have done to the traffic of all gateways. */
#include <stdio.h>
#include <stdlib.h>

#include "call.h"
#include "collector.h"
#include "evidence.h"

#define DAY_S 86400
#define ROWS 200

static bool
has_reports(struct sl_call *c, struct sl_error *e)
{
	if (c->reports == NULL)
		sl_call_not_primary(c, "what gateways report", e);
	return c->reports != NULL;
}

/** The answer with its window and what is missing in it. */
static int
answer(struct sl_call *c, json_t *o, const struct evidence_question *q, struct sl_error *e)
{
	json_t *gaps;

	if (o == NULL)
		return e->err != 0 ? e->err : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	gaps = evidence_gaps(c->reports, q->since_s, e);
	if (gaps == NULL) {
		json_decref(o);
		return e->err;
	}
	json_object_set_new(o, "window_s", json_integer(sl_collector_now_s() - q->since_s));
	json_object_set_new(o, "gaps", gaps);
	return sl_call_answer(c, 200, o, e);
}

static int64_t
since(int64_t window_s)
{
	return sl_collector_now_s() - (window_s > 0 ? window_s : DAY_S);
}

int
sl_op_get_would_deny(struct sl_call *c, struct sl_error *e)
{
	struct evidence_question q = {.peer = c->q[SL_Q_PEER], .rows_max = ROWS};
	json_t *prefixes = NULL;
	int rc;

	if (!has_reports(c, e))
		return e->err;
	if (c->q[SL_Q_LIMIT] != NULL)
		q.rows_max = (unsigned)c->q_int[SL_Q_LIMIT];
	q.since_s = since(c->q[SL_Q_WINDOW_S] != NULL ? c->q_int[SL_Q_WINDOW_S] : 0);
	rc = evidence_where(c->store, c->q[SL_Q_TARGET], &prefixes, e);
	q.prefixes = prefixes;
	e->err = 0;
	rc = rc != 0 ? rc : answer(c, evidence_denied(c->reports, &q, e), &q, e);
	json_decref(prefixes);
	return rc;
}

/** Of a body: {target, window_s}. */
static int
read_body(struct sl_call *c, struct evidence_question *q, json_t **prefixes, struct sl_error *e)
{
	q->since_s = since(json_integer_value(json_object_get(c->body, "window_s")));
	q->rows_max = ROWS;
	return evidence_where(c->store, json_string_value(json_object_get(c->body, "target")),
			      prefixes, e);
}

int
sl_op_replay_policy(struct sl_call *c, struct sl_error *e)
{
	struct evidence_question q = {0};
	json_t *prefixes = NULL, *o;
	char *text;
	int rc;

	if (!has_reports(c, e))
		return e->err;
	rc = read_body(c, &q, &prefixes, e);
	q.prefixes = prefixes;
	text = json_dumps(json_object_get(c->body, "policy"), JSON_COMPACT);
	if (rc == 0 && text == NULL)
		rc = sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	if (rc == 0) {
		e->err = 0;
		o = evidence_replay(c->reports, &q, text, strlen(text), e);
		if (o == NULL && e->err != 0)
			sl_error_under(e, "/policy");
		rc = answer(c, o, &q, e);
	}
	free(text);
	json_decref(prefixes);
	return rc;
}

int
sl_op_suggest_policy(struct sl_call *c, struct sl_error *e)
{
	json_int_t min = json_integer_value(json_object_get(c->body, "min_flows"));
	struct evidence_question q = {0};
	json_t *prefixes = NULL;
	int rc;

	if (!has_reports(c, e))
		return e->err;
	rc = read_body(c, &q, &prefixes, e);
	q.prefixes = prefixes;
	e->err = 0;
	rc = rc != 0 ? rc
		     : answer(c, evidence_suggest(c->reports, &q, (uint64_t)SL_MAX(min, 0), e), &q,
			      e);
	json_decref(prefixes);
	return rc;
}
