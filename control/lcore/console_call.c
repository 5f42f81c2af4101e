/* SPDX-License-Identifier: BSD-3-Clause */
/* What a command asks and shows: calls, one after the other, each as many pages as it has. Nothing
 * waits for an answer: the loop goes on, and what is typed behind the command is read when it is
 * done. */
#include <stdlib.h>

#include "console_int.h"
#include "table.h"

#define PAGES_MAX 16

struct console_step {
	struct console_step *next;
	char method[64];
	json_t *params;
	json_int_t after; /* of the page; 0: the first */
	unsigned pages;	  /* that were shown */
};

/** A long result is turned into text beside the loop. */
struct console_view {
	struct sl_rpc_work work;
	struct sl_console *c; /* NULL: it has gone */
	char method[64];
	json_t *result;
	char *text;
};

static const struct sl_rpc_caller caller = {.via = SL_RPC_VIA_CONSOLE,
					    .principal = "console",
					    .who = &sl_service_local};

static void go_on(struct sl_console *c);

/* --- at once ---------------------------------------------------------------------------------- */

static json_t *
ask(struct sl_console *c, const char *method, json_t *params, struct sl_error *e)
{
	json_t *result;
	int rc = sl_rpc_call(c->rpc, &caller, method, params, &result, e);

	json_decref(params);
	return rc ? NULL : result;
}

json_t *
console_try(struct sl_console *c, const char *method, json_t *params)
{
	struct sl_error e;

	return ask(c, method, params, &e);
}

json_t *
console_ask(struct sl_console *c, const char *method, json_t *params)
{
	struct sl_error e;
	json_t *result = ask(c, method, params, &e);

	if (!result)
		console_error(c, &e);
	return result;
}

/* --- results ---------------------------------------------------------------------------------- */

static void
step_free(struct console_step *s)
{
	json_decref(s->params);
	free(s);
}

static void
pop(struct sl_console *c)
{
	struct console_step *s = c->steps;

	c->steps = s->next;
	step_free(s);
}

static void
drop_steps(struct sl_console *c)
{
	while (c->steps)
		pop(c);
}

/** A page is shown: another one follows, or the next step. */
static void
shown(struct sl_console *c, json_int_t next)
{
	struct console_step *s = c->steps;

	s->after = next;
	if (next && ++s->pages < PAGES_MAX)
		return;
	if (next)
		console_write(c, "there are more: sluicectl shows them all\n");
	pop(c);
}

static void
show(struct sl_console *c, const char *text, json_int_t next)
{
	console_write(c, text ? text : "error: no memory\n");
	shown(c, next);
}

static json_int_t
next_of(const json_t *result)
{
	return json_integer_value(json_object_get(result, "next"));
}

static void
view_run(struct sl_rpc_work *w)
{
	struct console_view *v = SL_CONTAINER_OF(w, struct console_view, work);

	v->text = sl_view_text(v->method, v->result, true);
}

static void
view_done(struct sl_rpc_work *w)
{
	struct console_view *v = SL_CONTAINER_OF(w, struct console_view, work);
	struct sl_console *c = v->c;

	if (c) {
		c->view = NULL;
		show(c, v->text, next_of(v->result));
	}
	free(v->text);
	json_decref(v->result);
	free(v);
	if (c)
		go_on(c);
}

/** @return true if a helper makes the text, of the result that it takes over */
static bool
view_beside(struct sl_console *c, json_t *result)
{
	struct console_view *v = sl_rpc_is_long(result) ? calloc(1, sizeof(*v)) : NULL;

	if (!v)
		return false;
	*v = (struct console_view){.work = {.run = view_run, .done = view_done},
				   .c = c,
				   .result = result};
	memcpy(v->method, c->steps->method, sizeof(v->method));
	if (!sl_rpc_give(c->rpc, &v->work)) {
		free(v);
		return false;
	}
	c->view = v;
	return true;
}

static void
answered(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	struct sl_console *c = ctx;
	bool later = c->waits != NULL;
	char *text;

	c->waits = NULL;
	if (rc) {
		console_error(c, e);
		drop_steps(c); /* what follows builds on it */
	} else if (!view_beside(c, result)) {
		text = sl_view_text(c->steps->method, result, true);
		show(c, text, next_of(result));
		free(text);
		json_decref(result);
	}
	if (later)
		go_on(c);
}

/* --- steps ------------------------------------------------------------------------------------ */

/** Until a step waits, or none is left. */
static void
take_steps(struct sl_console *c)
{
	while (c->steps && !c->waits && !c->view) {
		struct console_step *s = c->steps;
		json_t *params = json_copy(s->params);

		if (s->after)
			json_object_set_new(params, "after", json_integer(s->after));
		/* a short call is answered before the return, and its step is gone then */
		c->waits = sl_rpc_call_start(c->rpc, &caller, s->method, params, answered, c);
		json_decref(params);
	}
}

/** A step that waited is done. */
static void
go_on(struct sl_console *c)
{
	take_steps(c);
	console_resume(c);
}

bool
console_waits(const struct sl_console *c)
{
	return c->waits || c->view;
}

void
console_show(struct sl_console *c, const char *method, json_t *params)
{
	struct console_step *s = c->refused ? NULL : calloc(1, sizeof(*s)), **end;

	if (!s) {
		if (!c->refused)
			console_write(c, "error: no memory\n");
		json_decref(params);
		return;
	}
	snprintf(s->method, sizeof(s->method), "%s", method);
	s->params = params;
	for (end = &c->steps; *end; end = &(*end)->next)
		;
	*end = s;
}

void
console_run(struct sl_console *c, const struct console_command *k, const struct console_args *a)
{
	/* lines that a terminal sent at once are not held */
	c->refused = console_waits(c) && !k->always;
	if (c->refused) {
		console_write(c, "error: the command before is still under way (busy)\n");
		return;
	}
	k->run(c, a);
	if (!console_waits(c))
		take_steps(c);
	console_hold(c);
}

void
console_calls_end(struct sl_console *c)
{
	if (c->waits)
		sl_rpc_line_cancel(c->waits);
	if (c->view)
		c->view->c = NULL;
	drop_steps(c);
}
