/* SPDX-License-Identifier: BSD-3-Clause */
/* The audit as a file: lines of JSON, piece by piece, as fast as the client takes them. */
#include <stdlib.h>

#include "sl_log.h"
#include "sl_trail.h"
#include "stream.h"

struct export
{
	struct sl_rest *rest;
	struct stream *s; /* NULL: nobody waits for it any more */
	struct sl_task task;
	bool busy; /* the helper has it */
	struct sl_trail_place since, until;
	bool has_since, has_until, ranged;
	struct sl_trail_range range;
	char *text;
	size_t len;
	int rc;
	struct sl_error e;
};

static void
export_free(struct export *x)
{
	free(x->text);
	free(x);
}

static void
read_piece(struct sl_task *t)
{
	struct export *x = SL_CONTAINER_OF(t, struct export, task);
	struct sl_store *s = x->rest->helper_store;

	if (!x->ranged)
		x->rc = sl_trail_range(s, x->has_since ? &x->since : NULL,
				       x->has_until ? &x->until : NULL, &x->range, &x->e);
	x->ranged = true;
	if (x->rc == 0)
		x->rc = sl_trail_lines(s, &x->range, STREAM_PIECE, &x->text, &x->len, &x->e);
}

static void
put_piece(struct sl_task *t)
{
	struct export *x = SL_CONTAINER_OF(t, struct export, task);
	char *text = x->text;

	x->busy = false;
	x->text = NULL;
	if (x->s == NULL) {
		free(text);
		export_free(x);
	} else if (x->rc != 0) {
		sl_log(SL_LOG_WARN, "rest", "an export of the audit ends early: %s", x->e.message);
		stream_cut(x->s);
	} else if (x->len > 0) {
		stream_put(x->s, text, x->len);
	} else {
		free(text);
		stream_end(x->s);
	}
}

static void
more(struct stream *s, void *ctx)
{
	struct export *x = ctx;

	x->s = s;
	if (x->ranged && x->range.end) {
		stream_end(s);
		return;
	}
	x->busy = true;
	x->task = (struct sl_task){.run = read_piece, .done = put_piece};
	sl_tasks_give(x->rest->helper, &x->task);
}

static void
gone(void *ctx)
{
	struct export *x = ctx;

	x->s = NULL;
	if (!x->busy || x->rest->helper == NULL)
		export_free(x);
}

static const struct stream_ops ops = {
	.type = "application/x-ndjson", .each = 2, .all = 8, .more = more, .gone = gone};

/** A row's number, or a time. */
static int
read_place(const char *text, const char *name, struct sl_trail_place *out, bool *there,
	   struct sl_error *e)
{
	char *end;

	*there = text != NULL;
	if (text == NULL)
		return 0;
	*out = (struct sl_trail_place){.value = strtoull(text, &end, 10)};
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0')
		return 0;
	out->is_time = sl_time_parse(text, &out->value) == 0;
	return out->is_time ? 0
			    : sl_fail(e, -EINVAL, "param_invalid", name,
				      "the number of a row, or a time such as "
				      "2026-11-20T17:00:00Z");
}

int
sl_op_export_audit(struct sl_call *c, struct sl_error *e)
{
	struct export *x;
	int rc;

	if (c->rest->writer == NULL)
		return sl_call_not_primary(c, "an audit", e);
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the export");
	x->rest = c->rest;
	rc = read_place(c->q[SL_Q_SINCE], "?since", &x->since, &x->has_since, e);
	if (rc == 0)
		rc = read_place(c->q[SL_Q_UNTIL], "?until", &x->until, &x->has_until, e);
	if (rc == 0 && x->until.is_time)
		x->until.value++; /* the first row behind it is the first that is left out */
	if (rc == 0)
		rc = stream_answer(c, &ops, x, e);
	if (rc != 0)
		export_free(x);
	return rc;
}
