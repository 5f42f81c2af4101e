/* SPDX-License-Identifier: BSD-3-Clause */
/* From a request that may be answered to its answer: on the loop where that is short, else on the
 * thread that changes the store, or on the one that reads. */
#include <event2/buffer.h>
#include <stdlib.h>

#include "call_int.h"
#include "history.h"
#include "kept.h"

#define TRY_MS 20
#define AT_SEQ_TRIES 250	      /* 5 s */
#define STORE_TRIES 100		      /* 2 s */
#define WRITER_NS (5 * 1000000000ULL) /* what has waited so long for the store waits no more */
#define BODY_HERE (64 << 10)	      /* a larger body is read on a thread */

/** The body, if it was not read before, and the handler, unless this was answered before. */
static int
work(struct sl_call *c, struct sl_error *e)
{
	bool hit = false;
	int rc = c->body_read ? 0 : request_body(c, e);

	c->body_read = true;
	if (rc == 0 && c->part == 0)
		rc = kept_find(c, &hit, e);
	if (rc != 0 || hit)
		return rc;
	rc = c->op->handler(c, e);
	if (rc == 0) {
		c->status = c->status != 0 ? c->status : 200;
		kept_store(c);
		c->kept = true;
	}
	return rc;
}

/* --- threads ---------------------------------------------------------------------------------- */

static struct sl_call *
call_of(struct sl_task *t)
{
	return SL_CONTAINER_OF(t, struct sl_call, task);
}

static int
give(struct sl_call *c, struct sl_tasks *to, void (*run)(struct sl_task *t),
     void (*done)(struct sl_task *t))
{
	c->task.run = run;
	c->task.done = done;
	sl_tasks_give(to, &c->task);
	return SL_CALL_LATER;
}

/** What was large to read is as large to write and to free: nothing of it is left to the loop. */
static void
settle(struct sl_call *c)
{
	struct evbuffer *in = c->req != NULL ? evhttp_request_get_input_buffer(c->req) : NULL;

	if (c->out != NULL) {
		c->out_text = json_dumps(c->out, JSON_COMPACT);
		c->out_len = c->out_text != NULL ? strlen(c->out_text) : 0;
		json_decref(c->out);
		c->out = NULL;
	}
	json_decref(c->body);
	c->body = NULL;
	c->text = "";
	if (in != NULL)
		evbuffer_drain(in, evbuffer_get_length(in));
}

static void
work_run(struct sl_task *t)
{
	struct sl_call *c = call_of(t);

	c->rc = work(c, &c->e);
	if (c->rc <= 0)
		settle(c);
}

static void work_done(struct sl_task *t);

/** Whoever holds the store's write lock has held it for all that time: others waited before. */
static void
write_run(struct sl_task *t)
{
	struct sl_call *c = call_of(t);

	if (c->part > 0 || sl_rest_mono_ns() - c->begun_ns < WRITER_NS)
		work_run(t);
	else
		c->rc = sl_fail(&c->e, -EBUSY, "store_busy", "",
				"the store was not free to be changed for 5 s");
}

static int
to_writer(struct sl_call *c, void (*run)(struct sl_task *t))
{
	c->store = c->rest->writer_store;
	c->reports = c->rest->writer_reports;
	return give(c, c->rest->writer, run, work_done);
}

static int
to_helper(struct sl_call *c)
{
	c->store = c->rest->helper_store;
	c->reports = c->rest->helper_reports;
	return give(c, c->rest->helper, work_run, work_done);
}

static void
body_run(struct sl_task *t)
{
	struct sl_call *c = call_of(t);

	c->rc = request_body(c, &c->e);
	c->body_read = true;
}

/** What it waited for may have taken long: a login that was revoked meanwhile changes nothing. From
 * here on requests are done in the order in which they were given, a revocation among them. */
static bool
may_go_on(struct sl_call *c, struct sl_error *e)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(c->req);

	if (c->who.name[0] == '\0' || /* it needed none */
	    sl_rest_login_still(c->rest,
				conn != NULL ? evhttp_connection_get_bufferevent(conn) : NULL,
				&c->who, &c->from))
		return true;
	sl_fail(e, -EACCES, "login_ended", "", "the login ended while the request waited");
	return false;
}

static int
go_on(struct sl_call *c, struct sl_error *e)
{
	return may_go_on(c, e) ? stage_begin(c, e) : e->err;
}

static void
work_done(struct sl_task *t)
{
	struct sl_call *c = call_of(t);
	struct sl_rest *r = c->rest;

	if (c->rc == SL_CALL_WRITER && !may_go_on(c, &c->e))
		c->rc = c->e.err;
	if (c->rc <= 0) {
		c->store = r->c.store;
		c->reports = NULL;
		sl_call_finish(c, c->rc, &c->e);
		return;
	}
	c->part++;
	call_publish(c);
	if (c->rc == SL_CALL_WRITER)
		to_writer(c, write_run);
	else
		sl_tasks_give(c->store == r->writer_store ? r->writer : r->helper, t);
}

static void
body_done(struct sl_task *t)
{
	struct sl_call *c = call_of(t);
	int rc = c->rc;

	if (rc == 0)
		rc = go_on(c, &c->e);
	if (rc != SL_CALL_LATER) /* else a thread has it, rc and all */
		sl_call_finish(c, rc, &c->e);
}

static void
refused_run(struct sl_task *t)
{
	history_refused(call_of(t));
}

int
stage_refused(struct sl_call *c, int rc, struct sl_error *e)
{
	struct sl_rest *r = c->rest;

	if (r->writer == NULL) /* a follower's audit is empty */
		return rc;
	c->rc = rc;
	c->e = *e;
	return to_writer(c, refused_run);
}

/* --- the loop --------------------------------------------------------------------------------- */

static bool
has_seq(const struct sl_call *c)
{
	return c->q[SL_Q_AT_SEQ] == NULL ||
	       sl_store_head(c->store) >= (uint64_t)c->q_int[SL_Q_AT_SEQ];
}

static void
try_again(evutil_socket_t fd, short what, void *arg)
{
	struct sl_call *c = arg;
	struct sl_error e = {0};
	int rc = go_on(c, &e);

	if (rc != SL_CALL_LATER)
		sl_call_finish(c, rc, &e);
}

/** In a moment. @return SL_CALL_LATER, -ENOMEM */
static int
wait(struct sl_call *c, struct sl_error *e)
{
	struct timeval tv = {.tv_usec = TRY_MS * 1000};

	c->tries++;
	if (c->timer == NULL)
		c->timer = evtimer_new(c->rest->c.base, try_again, c);
	if (c->timer == NULL || event_add(c->timer, &tv) != 0)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the wait");
	return SL_CALL_LATER;
}

static enum sl_rest_place
place_of(const struct sl_call *c)
{
	/* on a follower nothing is changed */
	return c->op->runs == SL_RUNS_WRITER && c->rest->writer == NULL ? SL_RUNS_LOOP
									: c->op->runs;
}

/** A change that needs what only the loop has: where the store is not free, nothing was done yet.
 */
static int
work_here(struct sl_call *c, struct sl_error *e)
{
	int rc = work(c, e);

	if (rc == SL_CALL_HELPER || rc == SL_CALL_WRITER) {
		c->part++;
		return rc == SL_CALL_HELPER ? to_helper(c) : to_writer(c, write_run);
	}
	if (rc != -EBUSY || strcmp(e->reason, "store_busy") != 0 || c->tries >= STORE_TRIES)
		return rc;
	return wait(c, e);
}

/** Is the same request, by its Idempotency-Key, on its way already? */
static bool
has_twin(const struct sl_call *c)
{
	const struct sl_call *o;

	TAILQ_FOREACH (o, &c->rest->waiting, link) {
		if (o != c && o->begun && c->key != NULL && o->key != NULL &&
		    strcmp(o->key, c->key) == 0 && strcmp(o->who.name, c->who.name) == 0)
			return true;
	}
	return false;
}

void
stage_resume(struct sl_call *c)
{
	c->begun = true;
	to_writer(c, write_run);
}

int
stage_begin(struct sl_call *c, struct sl_error *e)
{
	enum sl_rest_place place = place_of(c);
	struct sl_rest *r = c->rest;

	if (!has_seq(c))
		return c->tries < AT_SEQ_TRIES
			       ? wait(c, e)
			       : sl_fail(e, -EAGAIN, "behind", "?at_seq",
					 "this server has not received that seq yet");
	if (has_twin(c)) /* its answer is this one's */
		return wait(c, e);
	c->begun = true;
	if (place == SL_RUNS_HELPER)
		return to_helper(c);
	if (!c->body_read && c->text_len > BODY_HERE)
		return give(c, r->helper, body_run, body_done);
	if (place == SL_RUNS_LOOP)
		return work_here(c, e);
	return to_writer(c, write_run);
}
