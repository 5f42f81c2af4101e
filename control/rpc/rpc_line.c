/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of JSON-RPC 2.0: read, carried out, answered. A line that is long, and an answer that is,
 * would hold up the loop while they are parsed and written: a helper does that where there is one.
 * What it has nobody else touches, but for parts of answers that others keep and nobody changes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "dispatch_int.h"

#define BATCH_MAX 256
#define VALUES_MAX 8192
#define DEPTH_MAX 32
#define INTEGER_MAX (1LL << 53) /* beyond, other languages' numbers are not exact */
#define LONG (32 * 1024)	/* bytes that are read or written in half a millisecond */
#define VALUE_BYTES 16		/* what a value costs beyond the bytes of its text */

/** What a line may hold beyond being JSON. */
struct limits {
	unsigned values, values_left;
	bool too_large, inexact;
};

/** A line whose answers are being collected. */
struct sl_rpc_line {
	struct sl_rpc *rpc; /* NULL: it is gone */
	struct sl_rpc_line *next, **pprev;
	const struct sl_rpc_caller *caller; /* until it is carried out */
	sl_rpc_line_done done;
	void *ctx;
	json_t *answers; /* in the order of the requests; null: none */
	unsigned open;	 /* answers that will come later, and the reading of the line itself */
	bool batch, cancelled;
	sl_rpc_call_done call_done; /* not NULL: it is one call in process */
	int rc;
	struct sl_error e; /* of that call */
	bool wait;	   /* for everything */
	bool unread;	   /* a helper reads it */
	/* the helper's while it reads or writes */
	struct sl_rpc_work work;
	char *text; /* that is read; then the answer */
	size_t len;
	json_t *in;
	int error_at;
	struct limits lim;
};

static void
line_free(struct sl_rpc_line *l)
{
	if (l->rpc) {
		*l->pprev = l->next;
		if (l->next)
			l->next->pprev = l->pprev;
	}
	json_decref(l->answers);
	json_decref(l->in);
	free(l->text);
	free(l);
}

void
rpc_lines_leave(struct sl_rpc *r)
{
	for (struct sl_rpc_line *l = r->lines; l; l = l->next)
		l->rpc = NULL;
}

bool
sl_rpc_give(struct sl_rpc *r, struct sl_rpc_work *w)
{
	return r->give && r->give(r->give_ctx, w);
}

static bool
give(struct sl_rpc_line *l, void (*run)(struct sl_rpc_work *w), void (*done)(struct sl_rpc_work *w))
{
	l->work = (struct sl_rpc_work){.run = run, .done = done};
	return l->rpc && !l->wait && sl_rpc_give(l->rpc, &l->work);
}

/* --- answers --------------------------------------------------------------------------------- */

/** The answers to a line as text; NULL when there is none. */
static char *
answers_text(const struct sl_rpc_line *l)
{
	json_t *all = json_array(), *item;
	char *text = NULL;
	size_t i;

	json_array_foreach (l->answers, i, item) {
		if (!json_is_null(item))
			json_array_append(all, item);
	}
	if (json_array_size(all) > 0)
		text = json_dumps(l->batch ? all : json_array_get(all, 0), JSON_COMPACT);
	json_decref(all);
	return text;
}

/** Take what a value costs to write from `left`. @return false: it is not enough */
static bool
takes_less(const json_t *v, size_t *left)
{
	size_t cost = VALUE_BYTES + json_string_length(v), i;
	const char *key;
	json_t *item;

	if (cost > *left)
		return false;
	*left -= cost;
	json_object_foreach ((json_t *)(uintptr_t)v, key, item) {
		if (!takes_less(item, left))
			return false;
	}
	json_array_foreach (v, i, item) {
		if (!takes_less(item, left))
			return false;
	}
	return true;
}

bool
sl_rpc_is_long(const json_t *v)
{
	size_t left = LONG;

	return !takes_less(v, &left);
}

static void
write_run(struct sl_rpc_work *w)
{
	struct sl_rpc_line *l = SL_CONTAINER_OF(w, struct sl_rpc_line, work);

	l->text = answers_text(l);
	json_decref(l->answers);
	l->answers = NULL;
}

/** Nobody wants them, but to free them takes its time too. */
static void
drop_run(struct sl_rpc_work *w)
{
	struct sl_rpc_line *l = SL_CONTAINER_OF(w, struct sl_rpc_line, work);

	json_decref(l->answers);
	l->answers = NULL;
}

static void
answer(struct sl_rpc_line *l)
{
	char *text = l->text;

	l->text = NULL;
	if (l->cancelled)
		free(text);
	else if (l->call_done)
		l->call_done(l->ctx, l->rc, json_incref(json_array_get(l->answers, 0)), &l->e);
	else
		l->done(l->ctx, text);
	line_free(l);
}

static void
write_done(struct sl_rpc_work *w)
{
	answer(SL_CONTAINER_OF(w, struct sl_rpc_line, work));
}

/** One answer less to wait for. @return true if all is done */
static bool
line_closes(struct sl_rpc_line *l)
{
	if (--l->open > 0)
		return false;
	if ((!l->call_done || l->cancelled) && sl_rpc_is_long(l->answers) &&
	    give(l, l->cancelled ? drop_run : write_run, write_done))
		return false;
	if (!l->cancelled && !l->call_done)
		l->text = answers_text(l);
	answer(l);
	return true;
}

/** What a call in process came to. */
static void
keep_result(struct sl_rpc_line *l, int rc, json_t *result, const struct sl_error *e)
{
	l->rc = rc;
	if (rc) {
		l->e = *e;
		json_decref(result);
		return;
	}
	json_array_append_new(l->answers, result);
}

struct sl_rpc_later *
sl_rpc_later(const struct sl_rpc_caller *caller)
{
	struct sl_rpc_ask *ask = caller->ask;
	struct sl_rpc_later *l = ask ? calloc(1, sizeof(*l)) : NULL;

	if (!l)
		return NULL;
	l->line = ask->line;
	l->id = json_incref(ask->id);
	l->at = ask->at;
	l->ask = ask;
	l->change = ask->change;
	ask->change = NULL;
	ask->later = l;
	ask->line->open++;
	return l;
}

void
sl_rpc_answer(struct sl_rpc_later *l, int rc, json_t *result, const struct sl_error *e)
{
	json_t *made;

	if (!rc && !result)
		result = json_object();
	rpc_change_end(l->line->rpc, l->change, rc, e);
	if (l->line->call_done)
		keep_result(l->line, rc, result, e);
	else if ((made = rpc_call_answer(l->id, rc, result, e)) != NULL)
		json_array_set_new(l->line->answers, l->at, made);
	line_closes(l->line);
	if (l->ask)
		l->ask->later = NULL; /* answered in the call */
	sl_schema_free(l->arena);
	free(l->decoded);
	json_decref(l->params);
	json_decref(l->id);
	free(l);
}

bool
sl_rpc_wanted(const struct sl_rpc_later *l)
{
	return !l->line->cancelled;
}

/* --- lines ----------------------------------------------------------------------------------- */

static void
check_limits(json_t *v, unsigned depth, struct limits *l)
{
	const char *key;
	json_t *item;
	size_t i;

	if (depth > DEPTH_MAX || l->values_left == 0) {
		l->too_large = true;
		return;
	}
	l->values_left--;
	if (json_is_integer(v) &&
	    (json_integer_value(v) > INTEGER_MAX || json_integer_value(v) < -INTEGER_MAX))
		l->inexact = true;
	json_object_foreach (v, key, item) {
		if (l->too_large)
			return;
		check_limits(item, depth + 1, l);
	}
	json_array_foreach (v, i, item) {
		if (l->too_large)
			return;
		check_limits(item, depth + 1, l);
	}
}

/** Any thread: make of a text what is to be carried out, or learn what is wrong with it. */
static void
read_text(struct sl_rpc_line *l, const char *text, size_t len)
{
	json_error_t je;

	l->in = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	l->error_at = je.position;
	check_limits(l->in, 1, &l->lim);
	if (!l->lim.too_large && !l->lim.inexact)
		return;
	json_decref(l->in);
	l->in = NULL;
}

/** Carry a request out and keep its answer, or the place for it. */
static void
line_request(struct sl_rpc_line *l, json_t *req)
{
	struct sl_rpc_ask ask = {.line = l, .at = json_array_size(l->answers)};
	json_t *made;

	json_array_append_new(l->answers, json_null());
	made = rpc_request(l->rpc, l->caller, req, l->wait ? NULL : &ask);
	if (made)
		json_array_set_new(l->answers, ask.at, made);
}

static void
line_error(struct sl_rpc_line *l, int code, const char *reason, const char *text)
{
	json_array_append_new(l->answers, rpc_simple_error(json_null(), code, reason, text));
}

static void
line_batch(struct sl_rpc_line *l, json_t *batch)
{
	json_t *item;
	size_t i;

	if (json_array_size(batch) == 0 || json_array_size(batch) > BATCH_MAX) {
		line_error(l, RPC_CODE_REQUEST, "invalid_request", "a batch has 1 to 256 requests");
		return;
	}
	l->batch = true;
	json_array_foreach (batch, i, item)
		line_request(l, item);
}

/** Carry out what was read. */
static void
line_carry_out(struct sl_rpc_line *l)
{
	json_t *in = l->in;
	char text[64];

	l->in = NULL;
	if (l->lim.too_large) {
		snprintf(text, sizeof(text), "more than %u values or %u levels", l->lim.values,
			 DEPTH_MAX);
		line_error(l, RPC_CODE_REQUEST, "too_large", text);
	} else if (l->lim.inexact) {
		line_error(l, RPC_CODE_PARSE, "parse", "an integer is beyond 2^53");
	} else if (!in) {
		/* jansson's text may quote the input, which may hold what must not be repeated */
		snprintf(text, sizeof(text), "not JSON, at byte %d", l->error_at);
		line_error(l, RPC_CODE_PARSE, "parse", text);
	} else if (json_is_array(in)) {
		line_batch(l, in);
	} else {
		line_request(l, in);
	}
	json_decref(in);
}

static void
read_run(struct sl_rpc_work *w)
{
	struct sl_rpc_line *l = SL_CONTAINER_OF(w, struct sl_rpc_line, work);

	read_text(l, l->text, l->len);
	free(l->text);
	l->text = NULL;
}

static void
read_done(struct sl_rpc_work *w)
{
	struct sl_rpc_line *l = SL_CONTAINER_OF(w, struct sl_rpc_line, work);

	l->unread = false;
	if (l->rpc && !l->cancelled)
		line_carry_out(l);
	line_closes(l);
}

/** @return true if a helper reads it */
static bool
read_beside(struct sl_rpc_line *l, const char *line, size_t len)
{
	l->text = malloc(len);
	if (!l->text)
		return false;
	memcpy(l->text, line, len);
	l->len = len;
	l->unread = give(l, read_run, read_done);
	if (!l->unread) {
		free(l->text);
		l->text = NULL;
	}
	return l->unread;
}

static struct sl_rpc_line *
line_new(struct sl_rpc *r, const struct sl_rpc_caller *caller, bool wait, sl_rpc_line_done done,
	 void *ctx)
{
	struct sl_rpc_line *l = calloc(1, sizeof(*l));
	unsigned values = caller->values_max ? caller->values_max : VALUES_MAX;

	if (!l)
		return NULL;
	*l = (struct sl_rpc_line){.rpc = r,
				  .next = r->lines,
				  .pprev = &r->lines,
				  .caller = caller,
				  .done = done,
				  .ctx = ctx,
				  .answers = json_array(),
				  .open = 1,
				  .wait = wait,
				  .lim = {.values = values, .values_left = values}};
	if (r->lines)
		r->lines->pprev = &l->next;
	r->lines = l;
	return l;
}

static struct sl_rpc_line *
line_start(struct sl_rpc *r, const struct sl_rpc_caller *caller, const char *line, size_t len,
	   bool wait, sl_rpc_line_done done, void *ctx)
{
	struct sl_rpc_line *l = line_new(r, caller, wait, done, ctx);

	if (!l) {
		done(ctx, NULL);
		return NULL;
	}
	if (len > LONG && read_beside(l, line, len))
		return l;
	read_text(l, line, len);
	line_carry_out(l);
	return line_closes(l) ? NULL : l;
}

struct sl_rpc_line *
sl_rpc_line_start(struct sl_rpc *r, const struct sl_rpc_caller *caller, const char *line,
		  size_t len, sl_rpc_line_done done, void *ctx)
{
	return line_start(r, caller, line, len, false, done, ctx);
}

void
sl_rpc_line_cancel(struct sl_rpc_line *l)
{
	l->cancelled = true;
}

struct sl_rpc_line *
sl_rpc_call_start(struct sl_rpc *r, const struct sl_rpc_caller *caller, const char *method,
		  json_t *params, sl_rpc_call_done done, void *ctx)
{
	struct sl_rpc_line *l = line_new(r, caller, false, NULL, ctx);
	struct sl_rpc_ask ask = {.line = l};
	struct sl_rpc_caller asking = *caller;
	json_t *result = NULL;
	struct sl_error e;
	int rc;

	if (!l) {
		sl_fail(&e, -ENOMEM, "no_memory", "", "no memory");
		done(ctx, -ENOMEM, NULL, &e);
		return NULL;
	}
	l->call_done = done;
	asking.ask = &ask;
	rc = sl_rpc_call(r, &asking, method, params, &result, &e);
	if (rc != SL_RPC_LATER)
		keep_result(l, rc, result, &e);
	return line_closes(l) ? NULL : l;
}

bool
sl_rpc_line_unread(const struct sl_rpc_line *l)
{
	return l->unread;
}

static void
keep_answer(void *ctx, char *text)
{
	*(char **)ctx = text;
}

char *
sl_rpc_line(struct sl_rpc *r, const struct sl_rpc_caller *caller, const char *line, size_t len)
{
	char *text = NULL;

	line_start(r, caller, line, len, true, keep_answer, &text);
	return text;
}
