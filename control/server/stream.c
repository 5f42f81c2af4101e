/* SPDX-License-Identifier: BSD-3-Clause */
#include "stream.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http_struct.h>
#include <stdlib.h>

#include "door.h"
#include "sl_log.h"

#define STALL_S 30 /* a client takes a piece in that time */

struct stream {
	struct sl_rest *rest;
	const struct stream_ops *ops;
	void *ctx;
	struct evhttp_request *req; /* NULL: it has not begun */
	struct sl_principal who;
	struct sl_ip from;
	int status; /* of the head, which goes with the first piece ... */
	const char *title;
	bool begun;   /* ... and has */
	bool sending; /* a piece is on its way */
	bool cut;     /* its connection ends */
	TAILQ_ENTRY(stream) link;
};

static struct bufferevent *
bev_of(const struct stream *s)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(s->req);

	return evcon != NULL ? evhttp_connection_get_bufferevent(evcon) : NULL;
}

/* --- begin ------------------------------------------------------------------------------------ */

/** Is there room for another one? */
static int
check_room(const struct sl_call *c, const struct stream_ops *ops, struct sl_error *e)
{
	unsigned each = 0, all = 0;
	const struct stream *o;

	TAILQ_FOREACH (o, &c->rest->streams, link) {
		all += o->ops == ops;
		each += o->ops == ops && strcmp(o->who.name, c->who.name) == 0;
	}
	if (each < ops->each && all < ops->all)
		return 0;
	sl_fail(e, -EAGAIN, "streams_busy", "", "%s",
		each < ops->each ? "too many of these answers are on their way"
				 : "too many of these answers are on their way to you");
	sl_hint(e, "at a time %u of one principal, %u together", ops->each, ops->all);
	return -EAGAIN;
}

int
stream_answer(struct sl_call *c, const struct stream_ops *ops, void *ctx, struct sl_error *e)
{
	struct stream *s;
	int rc = check_room(c, ops, e);

	if (rc != 0)
		return rc;
	if (c->req->major == 1 && c->req->minor == 0) /* whose answers end with the connection */
		return sl_fail(e, -EINVAL, "version_unknown", "",
			       "only HTTP/1.1 tells whether all of this answer came");
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the answer");
	s->rest = c->rest;
	s->ops = ops;
	s->ctx = ctx;
	s->who = c->who;
	s->from = c->from;
	TAILQ_INSERT_TAIL(&c->rest->streams, s, link);
	c->stream = s;
	c->out_type = ops->type;
	return 0;
}

/** The connection ends. evhttp frees the request with it, unless it gave it up before. */
static void
on_close(struct evhttp_connection *evcon, void *arg)
{
	struct stream *s = arg;

	if (evhttp_request_get_connection(s->req) == NULL)
		evhttp_send_reply_end(s->req);
	s->req = NULL;
	stream_free(s);
}

void
stream_begin(struct stream *s, struct evhttp_request *req, int status, const char *title)
{
	struct timeval tv = {.tv_sec = STALL_S};
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);

	s->req = req;
	if (evcon == NULL) { /* the client has gone */
		on_close(NULL, s);
		return;
	}
	evhttp_connection_set_closecb(evcon, on_close, s);
	bufferevent_set_timeouts(bev_of(s), NULL, &tv);
	door_expect_progress(bev_of(s), STALL_S);
	s->status = status;
	s->title = title;
	s->ops->more(s, s->ctx);
}

/* --- pieces ----------------------------------------------------------------------------------- */

static void
finish(struct stream *s)
{
	struct evhttp_request *req = s->req;

	evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
	if (s->begun)
		evhttp_send_reply_end(req);
	else
		evhttp_send_reply(req, s->status, s->title, NULL);
	s->req = NULL;
	stream_free(s);
}

static void
taken(struct evhttp_connection *evcon, void *arg)
{
	struct stream *s = arg;

	if (!s->sending || evbuffer_get_length(bufferevent_get_output(bev_of(s))) > 0)
		return; /* told of what was before it */
	s->sending = false;
	if (stream_may_go_on(s)) {
		door_expect_progress(bev_of(s), STALL_S);
		s->ops->more(s, s->ctx);
	}
}

static void
free_text(const void *data, size_t len, void *extra)
{
	free(extra);
}

void
stream_put(struct stream *s, char *text, size_t len)
{
	struct evbuffer *buf = evbuffer_new();

	if (s->cut || buf == NULL || evbuffer_add_reference(buf, text, len, free_text, text) != 0) {
		free(text);
		stream_cut(s);
	} else {
		s->sending = true;
		door_expect_progress(bev_of(s), STALL_S);
		/* a head that leaves alone is told as if it were what comes behind it */
		if (!s->begun)
			evhttp_send_reply_start(s->req, s->status, s->title);
		s->begun = true;
		evhttp_send_reply_chunk_with_cb(s->req, buf, taken, s);
	}
	if (buf != NULL)
		evbuffer_free(buf);
}

void
stream_end(struct stream *s)
{
	if (!s->cut)
		finish(s);
}

void
stream_cut(struct stream *s)
{
	struct bufferevent *bev = bev_of(s);

	if (!s->cut && bev != NULL)
		door_cut(bev);
	s->cut = true;
}

bool
stream_may_go_on(struct stream *s)
{
	if (s->cut || s->sending)
		return false;
	if (sl_rest_login_still(s->rest, bev_of(s), &s->who, &s->from))
		return true;
	sl_log(SL_LOG_NOTICE, "rest", "%s: the login ended while an answer was on its way",
	       s->who.name);
	stream_cut(s);
	return false;
}

/* --- end -------------------------------------------------------------------------------------- */

void
stream_free(struct stream *s)
{
	TAILQ_REMOVE(&s->rest->streams, s, link);
	s->ops->gone(s->ctx);
	free(s);
}

/** Requests end with the server's connections. */
void
stream_free_all(struct sl_rest *r)
{
	struct stream *s;

	while ((s = TAILQ_FIRST(&r->streams)) != NULL) {
		struct evhttp_connection *evcon =
			s->req != NULL ? evhttp_request_get_connection(s->req) : NULL;

		if (evcon != NULL)
			evhttp_connection_set_closecb(evcon, NULL, NULL);
		stream_free(s);
	}
}
