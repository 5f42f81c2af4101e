/* SPDX-License-Identifier: BSD-3-Clause */
#include "resume.h"

#include <stdlib.h>

#include "call_int.h"
#include "leaving.h"
#include "sl_json.h"
#include "sl_log.h"

#define AGAIN_S 5

static bool
is_worked_on(const struct sl_rest *r, const struct sl_rest_op *op, const char *gateway)
{
	const struct sl_call *c;

	TAILQ_FOREACH (c, &r->waiting, link) {
		if (c->begun && c->op == op && strcmp(c->arg[0], gateway) == 0)
			return true;
	}
	return false;
}

/** As it came, as far as its parts after the first need it. Nobody looks at its roles again, so
 * that it must be what it was written for. */
static int
read_row(struct sl_call *c, json_t *row, struct sl_error *e)
{
	int rc;

	c->row = json_incref(row);
	c->uri = sl_json_text(row, "uri");
	c->text = sl_json_text(row, "body");
	c->text_len = strlen(c->text);
	c->key = json_string_value(json_object_get(row, "key"));
	c->body = json_loadb(c->text, c->text_len, 0, NULL);
	c->body_read = true;
	c->part = 1;
	c->on_rev = (uint64_t)json_integer_value(json_object_get(row, "rev"));
	snprintf(c->id, sizeof(c->id), "%s", sl_json_text(row, "request"));
	snprintf(c->who.name, sizeof(c->who.name), "%s", sl_json_text(row, "actor"));
	(void)sl_ip_parse(sl_json_text(row, "source"), &c->from);
	rc = sl_target_parse(c->uri, &c->target, e);
	if (rc == 0)
		c->op = leaving_op(&c->target, sl_json_text(row, "gateway"), c->arg);
	return rc == 0 && c->op == NULL ? sl_fail(e, -EINVAL, "not_found", "",
						  "\"%.150s\" does not take it out", c->uri)
					: rc;
}

/** What can never go on is not looked at again. */
static void
drop(struct sl_rest *r, const json_t *row, const struct sl_error *why)
{
	sl_log(SL_LOG_WARN, "rest", "gateway %s is not taken out further: %s",
	       sl_json_text(row, "gateway"), why->message);
	leaving_drop(r->c.store, sl_json_text(row, "gateway"));
}

static void
each(void *ctx, json_t *row)
{
	struct sl_rest *r = ctx;
	struct sl_call *c = calloc(1, sizeof(*c));
	struct sl_error e = {0};

	if (c == NULL)
		return;
	c->rest = r;
	c->begun_ns = sl_rest_mono_ns();
	if (read_row(c, row, &e) != 0)
		drop(r, row, &e);
	if (c->op == NULL || is_worked_on(r, c->op, sl_json_text(row, "gateway"))) {
		call_free(c);
		return;
	}
	sl_log(SL_LOG_NOTICE, "rest", "gateway %s is taken out further, as %s said",
	       sl_json_text(row, "gateway"), c->who.name);
	TAILQ_INSERT_TAIL(&r->waiting, c, link);
	stage_resume(c);
}

void
resume_now(struct sl_rest *r)
{
	struct sl_error e = {0};

	if (r->writer != NULL && leaving_walk(r->c.store, each, r, &e) != 0)
		sl_log(SL_LOG_WARN, "rest", "%s", e.message);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	resume_now(arg);
}

void
resume_later(struct sl_rest *r)
{
	struct timeval tv = {.tv_sec = AGAIN_S};

	if (r->resume == NULL)
		r->resume = evtimer_new(r->c.base, on_time, r);
	if (r->resume == NULL || event_add(r->resume, &tv) != 0)
		sl_log(SL_LOG_WARN, "rest", "no memory: what is not done goes on after a restart");
}
