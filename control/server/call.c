/* SPDX-License-Identifier: BSD-3-Clause */
/* One request's answer. */
#include "call.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "call_int.h"
#include "kept.h"
#include "problem.h"
#include "resume.h"
#include "stream.h"
#include "sl_log.h"
#include "sl_secret.h"

int
sl_call_answer(struct sl_call *c, int status, json_t *v, struct sl_error *e)
{
	if (v == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the answer");
	json_decref(c->out);
	c->out = v;
	c->status = status;
	return 0;
}

int
sl_call_not_primary(const struct sl_call *c, const char *what, struct sl_error *e)
{
	const char *primary = sl_store_primary(c->store);

	sl_fail(e, -EROFS, "not_primary", "", "the primary alone keeps %s", what);
	if (primary != NULL && primary[0] != '\0')
		sl_hint(e, "ask the primary at %.180s", primary);
	return -EROFS;
}

int
sl_call_not_found(const char *what, const char *name, struct sl_error *e)
{
	return sl_fail(e, -ENOENT, "not_found", "", "there is no %s \"%.120s\"", what, name);
}

bool
sl_call_dry_run(const struct sl_call *c)
{
	return c->q_int[SL_Q_DRY_RUN] != 0;
}

uint64_t
sl_call_if_rev(const struct sl_call *c)
{
	if (c->none_match)
		return SL_REV_NONE;
	return c->has_if_match && !c->if_any ? c->if_rev : SL_REV_ANY;
}

#define WIDE                                                                                       \
	(SL_SR_BIT(SL_SR_ADMIN) | SL_SR_BIT(SL_SR_OPERATOR) | SL_SR_BIT(SL_SR_APPROVER) |          \
	 SL_SR_BIT(SL_SR_AUDITOR) | SL_SR_BIT(SL_SR_VIEWER))

bool
sl_call_is_scoped(const struct sl_call *c, enum sl_service_role r)
{
	return (c->who.roles & SL_SR_BIT(r)) != 0 && (c->who.roles & WIDE) == 0;
}

int
sl_call_own(const struct sl_call *c, enum sl_service_role r, const char *name, struct sl_error *e)
{
	if (!sl_call_is_scoped(c, r) || strcmp(c->who.bound, name) == 0)
		return 0;
	return sl_call_not_found(sl_service_role_name(r), name, e);
}

/* --- headers ---------------------------------------------------------------------------------- */

static void
header(struct sl_call *c, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(c->req), name, value);
}

static void
header_number(struct sl_call *c, const char *name, const char *format, uint64_t v)
{
	char text[40];

	snprintf(text, sizeof(text), format, v);
	header(c, name, text);
}

static void
common_headers(struct sl_call *c)
{
	header(c, "X-Request-Id", c->id);
	header(c, "Cache-Control", "no-store");
	header(c, "X-Content-Type-Options", "nosniff");
	header(c, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
	header_number(c, "X-Sluice-Seq", "%" PRIu64,
		      c->seq ? c->seq : sl_store_head(c->rest->c.store));
	if (c->etag != 0)
		header_number(c, "ETag", "\"%" PRIu64 "\"", c->etag);
	if (c->location[0] != '\0')
		header(c, "Location", c->location);
}

/** A follower refuses for its role: NULL where it is another reason, or the primary is unknown. */
static const char *
primary_for(const struct sl_call *c, const struct sl_error *e)
{
	const char *primary = sl_store_primary(c->rest->c.store);

	if (strcmp(e->reason, "readonly") != 0 && strcmp(e->reason, "not_primary") != 0)
		return NULL;
	return primary != NULL && primary[0] != '\0' ? primary : NULL;
}

/** What a client should do about it. */
static void
problem_headers(struct sl_call *c, int status, const struct sl_error *e)
{
	const char *primary = primary_for(c, e);
	char link[256];

	if (status == 401) {
		header(c, "WWW-Authenticate", "Bearer realm=\"sluice-control\"");
		header(c, "WWW-Authenticate", "Basic realm=\"sluice-control\"");
	}
	if (strcmp(e->reason, "login_delayed") == 0)
		header_number(c, "Retry-After", "%" PRIu64,
			      (sl_rest_login_wait_ms(c->rest, &c->from) + 999) / 1000);
	else if (status == 429 || status == 503)
		header_number(c, "Retry-After", "%" PRIu64, 1 + e->retry_after_ms / 1000);
	if (status == 405)
		header(c, "Allow", c->location);
	if (primary != NULL) {
		snprintf(link, sizeof(link), "<%s>; rel=\"primary\"", primary);
		header(c, "Link", link);
	}
}

/* --- sending ---------------------------------------------------------------------------------- */

static void
to_problem(struct sl_call *c, int rc, const struct sl_error *e)
{
	const char *primary = primary_for(c, e);
	char instance[256];

	c->status = problem_status(rc, e);
	if (c->status == 500)
		sl_log(SL_LOG_ERR, "rest", "%s: %s [%s]", c->id, e->message, e->reason);
	snprintf(instance, sizeof(instance), "%.*s", (int)strcspn(c->uri, "?"), c->uri);
	problem_headers(c, c->status, e);
	c->location[0] = '\0';
	c->etag = 0;
	json_decref(c->out);
	c->out = problem_json(c->status, e, instance, c->id, primary);
	c->out_type = "application/problem+json";
	free(c->out_text);
	c->out_text = NULL;
	c->out_static = NULL;
	c->rest->stats.problems++;
}

static void
free_text(const void *data, size_t len, void *extra)
{
	sl_wipe(extra, len); /* it may hold a token that is shown once */
	free(extra);
}

static void
add_body(struct sl_call *c, struct evbuffer *buf)
{
	if (c->out_static != NULL) {
		evbuffer_add_reference(buf, c->out_static, c->out_len, NULL, NULL);
		return;
	}
	if (c->out_text == NULL && c->out != NULL) {
		c->out_text = json_dumps(c->out, JSON_COMPACT);
		c->out_len = c->out_text != NULL ? strlen(c->out_text) : 0;
	}
	if (c->out_text != NULL &&
	    evbuffer_add_reference(buf, c->out_text, c->out_len, free_text, c->out_text) == 0)
		c->out_text = NULL; /* the buffer's now */
}

static void
transmit(struct sl_call *c)
{
	struct evbuffer *buf = c->stream == NULL ? evbuffer_new() : NULL;
	struct stream *s = c->stream;
	bool body = c->out != NULL || c->out_text != NULL || c->out_static != NULL || s != NULL;

	if (c->status == 0)
		c->status = 200;
	common_headers(c);
	if (body)
		header(c, "Content-Type", c->out_type != NULL ? c->out_type : "application/json");
	if (body && buf != NULL)
		add_body(c, buf);
	if (c->status >= 400 || s != NULL)
		header(c, "Connection", "close");
	c->stream = NULL;
	if (s != NULL) {
		stream_begin(s, c->req, c->status, problem_title(c->status));
		return;
	}
	evhttp_send_reply(c->req, c->status, problem_title(c->status), buf);
	if (buf != NULL)
		evbuffer_free(buf);
}

const char *
sl_call_from(const struct sl_call *c, char text[SL_IP_STR])
{
	if (sl_service_peers_alone(c->who.roles))
		return "-";
	return sl_ip_str(&c->from, text);
}

static void
log_it(const struct sl_call *c)
{
	char from[SL_IP_STR];

	sl_log(c->op != NULL && sl_rest_op_changes(c->op) ? SL_LOG_INFO : SL_LOG_DEBUG, "rest",
	       "%s %s %s from %s: %d, %" PRIu64 " us", c->id, c->op != NULL ? c->op->id : "-",
	       c->who.name[0] != '\0' ? c->who.name : "-", sl_call_from(c, from), c->status,
	       (sl_rest_mono_ns() - c->begun_ns) / 1000);
}

void
call_free(struct sl_call *c)
{
	struct sl_tasks *helper = c->rest->helper;

	if (c->after != NULL && helper != NULL) {
		sl_tasks_give(helper, c->after);
	} else if (c->after != NULL) { /* the server ends */
		c->after->run(c->after);
		c->after->done(c->after);
	}
	if (c->timer != NULL)
		event_free(c->timer);
	json_decref(c->body);
	json_decref(c->out);
	json_decref(c->row);
	json_decref(c->connected);
	if (c->stream != NULL)
		stream_free(c->stream);
	free(c->out_text);
	free(c);
}

void
call_publish(struct sl_call *c)
{
	if (c->changed && c->rest->c.publisher != NULL)
		sl_publisher_kick(c->rest->c.publisher);
	c->changed = false;
}

static void
call_end(struct sl_call *c, int rc, const struct sl_error *e)
{
	if (c->req == NULL) { /* nobody waits for it */
		sl_log(SL_LOG_NOTICE, "rest", "%s: %s of before the restart: %s", c->uri, c->op->id,
		       rc < 0 ? e->message : "done");
	} else {
		if (rc < 0)
			to_problem(c, rc, e);
		transmit(c);
		rest_counts_answer(&c->rest->counts, c->op, c->status,
				   sl_rest_mono_ns() - c->begun_ns);
	}
	call_publish(c);
	log_it(c);
	call_free(c);
}

static void
kept_run(struct sl_task *t)
{
	kept_store(SL_CONTAINER_OF(t, struct sl_call, task));
}

static void
kept_done(struct sl_task *t)
{
	struct sl_call *c = SL_CONTAINER_OF(t, struct sl_call, task);

	sl_call_finish(c, c->rc, &c->e);
}

void
sl_call_finish(struct sl_call *c, int rc, const struct sl_error *e)
{
	struct sl_rest *r = c->rest;

	if (rc == 0 && !c->kept && r->writer != NULL && kept_wanted(c)) {
		c->kept = true;
		c->rc = rc;
		c->e = *e;
		c->store = r->writer_store;
		c->task = (struct sl_task){.run = kept_run, .done = kept_done};
		sl_tasks_give(r->writer, &c->task);
		return;
	}
	TAILQ_REMOVE(&r->waiting, c, link);
	if (rc < 0 && c->part > 0)
		resume_later(r);
	call_end(c, rc, e);
}
