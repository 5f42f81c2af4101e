/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes as they are made (server-sent events): from the loop's side, who waits for them. */
#include <event2/http.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "events.h"
#include "sl_log.h"
#include "sl_token.h"
#include "stream.h"

#define LOOK_MS 100 /* at the head of the log */
#define PING_NS (15 * 1000000000ULL)

struct listener {
	struct sl_rest *rest;
	struct stream *s; /* NULL: nobody listens any more */
	struct sl_task task;
	bool busy;    /* the helper has it */
	bool waiting; /* all is told; more may be put */
	struct events_reader reader;
	uint64_t put_ns; /* something was */
	char *text;
	size_t len;
	int rc;
	struct sl_error e;
	TAILQ_ENTRY(listener) link;
};

/** Of a server. */
struct events {
	struct sl_rest *rest;
	struct event *timer;   /* is on where there is anybody */
	struct events_log log; /* the helper's */
	TAILQ_HEAD(, listener) all;
};

static void
listener_free(struct listener *l)
{
	free(l->text);
	free(l);
}

/* --- pieces ----------------------------------------------------------------------------------- */

static void
read_piece(struct sl_task *t)
{
	struct listener *l = SL_CONTAINER_OF(t, struct listener, task);

	l->rc = events_read(&l->rest->events->log, l->rest->helper_store, &l->reader, STREAM_PIECE,
			    &l->text, &l->len, &l->e);
}

static void
put_piece(struct sl_task *t)
{
	struct listener *l = SL_CONTAINER_OF(t, struct listener, task);
	char *text = l->text;

	l->busy = false;
	l->text = NULL;
	if (l->s == NULL) {
		free(text);
		listener_free(l);
	} else if (l->rc != 0) {
		sl_log(SL_LOG_WARN, "rest", "events end: %s", l->e.message);
		stream_cut(l->s);
	} else if (l->len > 0) {
		l->put_ns = sl_rest_mono_ns();
		stream_put(l->s, text, l->len);
	} else {
		free(text);
		l->waiting = true;
	}
}

static void
look(struct listener *l)
{
	l->waiting = false;
	l->busy = true;
	l->task = (struct sl_task){.run = read_piece, .done = put_piece};
	sl_tasks_give(l->rest->helper, &l->task);
}

static void
more(struct stream *s, void *ctx)
{
	struct listener *l = ctx;

	l->s = s;
	look(l);
}

static void
gone(void *ctx)
{
	struct listener *l = ctx;

	TAILQ_REMOVE(&l->rest->events->all, l, link);
	l->s = NULL;
	if (!l->busy || l->rest->helper == NULL)
		listener_free(l);
}

static const struct stream_ops ops = {
	.type = "text/event-stream", .each = 4, .all = 64, .more = more, .gone = gone};

/* --- time ------------------------------------------------------------------------------------- */

/** A comment, so that those between notice no silence, and we whether it is there still. */
static void
ping(struct listener *l, uint64_t now)
{
	char *text;

	if (!stream_may_go_on(l->s))
		return;
	text = strdup(": ping\n\n");
	if (text == NULL)
		return;
	l->waiting = false;
	l->put_ns = now;
	stream_put(l->s, text, strlen(text));
}

static void
look_again(struct events *v)
{
	struct timeval tv = {.tv_usec = LOOK_MS * 1000};

	if (!TAILQ_EMPTY(&v->all) && event_add(v->timer, &tv) != 0)
		sl_log(SL_LOG_WARN, "rest", "no memory: events stand still");
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct events *v = arg;
	uint64_t head = sl_store_head(v->rest->c.store), now = sl_rest_mono_ns();
	struct listener *l, *next;
	struct sl_epoch epoch;

	sl_store_epoch(v->rest->c.store, &epoch);
	for (l = TAILQ_FIRST(&v->all); l != NULL; l = next) {
		next = TAILQ_NEXT(l, link); /* whoever is cut off goes later */
		if (!l->waiting)
			continue;
		if (l->reader.seq == head && l->reader.epoch == epoch.number) {
			if (now - l->put_ns >= PING_NS)
				ping(l, now);
		} else if (stream_may_go_on(l->s)) {
			look(l);
		}
	}
	look_again(v);
}

/* --- begin and end ---------------------------------------------------------------------------- */

static struct events *
events_of(struct sl_rest *r)
{
	struct events *v = r->events;

	if (v != NULL)
		return v;
	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return NULL;
	v->rest = r;
	v->timer = evtimer_new(r->c.base, on_time, v);
	if (v->timer == NULL) {
		free(v);
		return NULL;
	}
	TAILQ_INIT(&v->all);
	r->events = v;
	return v;
}

void
events_free(struct events *v)
{
	if (v == NULL)
		return;
	event_free(v->timer);
	events_log_clear(&v->log);
	free(v);
}

/** The kinds whose objects the caller may get. */
static uint32_t
kinds_of(const struct sl_call *c)
{
	uint32_t kinds = 0;

	for (unsigned i = 0; i < sl_rest_n_ops; i++) {
		int kind = events_kind_of(sl_rest_ops[i].id);

		if (kind >= 0 && sl_service_may(&c->who, c->rest->roles[i]))
			kinds |= 1u << kind;
	}
	return kinds;
}

static int
start(struct events *v, struct sl_call *c, struct listener *l, struct sl_error *e)
{
	int rc;

	l->rest = c->rest;
	l->reader.kinds = kinds_of(c);
	l->put_ns = sl_rest_mono_ns();
	rc = events_resume(&l->reader,
			   evhttp_find_header(evhttp_request_get_input_headers(c->req),
					      "Last-Event-ID"),
			   e);
	if (rc == 0)
		rc = stream_answer(c, &ops, l, e);
	if (rc != 0)
		return rc;
	TAILQ_INSERT_TAIL(&v->all, l, link);
	if (!evtimer_pending(v->timer, NULL))
		look_again(v);
	return 0;
}

int
sl_op_stream_events(struct sl_call *c, struct sl_error *e)
{
	struct events *v = events_of(c->rest);
	struct listener *l = v != NULL ? calloc(1, sizeof(*l)) : NULL;
	int rc;

	if (l == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for events");
	rc = start(v, c, l, e);
	if (rc != 0)
		listener_free(l);
	return rc;
}
