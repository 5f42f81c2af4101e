/* SPDX-License-Identifier: BSD-3-Clause */
#include "metrics_http.h"

#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "sl_prom.h"

#define LIFE_S 10  /* of a connection, answer included */
#define LINGER_S 2 /* until the other side has read it */
#define BACKLOG 16

enum state {
	HEAD,	 /* until it is whole */
	WAITING, /* for the text */
	ENDING,	 /* the answer is being written; what comes is thrown away */
};

struct conn {
	struct sl_scrape *s;
	struct bufferevent *bev;
	struct event *timer;
	enum state state;
	TAILQ_ENTRY(conn) link; /* oldest first */
};

struct sl_scrape {
	struct event_base *base;
	struct evconnlistener *listener;
	void (*ask)(void *ctx);
	void *ctx;
	unsigned n;
	TAILQ_HEAD(, conn) conns;
};

static void
conn_free(struct conn *c)
{
	TAILQ_REMOVE(&c->s->conns, c, link);
	c->s->n--;
	if (c->timer != NULL)
		event_free(c->timer);
	bufferevent_free(c->bev);
	free(c);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_free(arg);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	conn_free(arg);
}

/** All is written: the other side reads it, and ends the connection. */
static void
on_written(struct bufferevent *bev, void *arg)
{
	struct timeval tv = {.tv_sec = LINGER_S};
	struct conn *c = arg;

	if (c->state != ENDING)
		return;
	shutdown(bufferevent_getfd(bev), SHUT_WR);
	event_add(c->timer, &tv);
}

static const char *
status_text(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	default:
		return "Bad Request";
	}
}

/** @param text NULL: a line that tells the status */
static void
answer(struct conn *c, unsigned status, struct evbuffer *text)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);
	const char *what = status_text(status);
	size_t len = text != NULL ? evbuffer_get_length(text) : strlen(what) + 1;

	c->state = ENDING;
	evbuffer_add_printf(out,
			    "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
			    "%sCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
			    "Connection: close\r\n\r\n",
			    status, what, text != NULL ? SL_PROM_TYPE : "text/plain", len,
			    status == 405 ? "Allow: GET\r\n" : "");
	if (text == NULL)
		evbuffer_add_printf(out, "%s\n", what);
	else
		evbuffer_add_buffer_reference(out, text);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t have = SL_MIN(evbuffer_get_length(in), (size_t)SL_SCRAPE_HEAD_MAX);
	struct conn *c = arg;
	unsigned status;

	if (c->state == HEAD) {
		status = sl_scrape_judge((const char *)evbuffer_pullup(in, (ev_ssize_t)have), have);
		if (status == 0)
			return;
		c->state = WAITING;
		if (status == 200)
			c->s->ask(c->s->ctx);
		else
			answer(c, status, NULL);
	}
	evbuffer_drain(in, evbuffer_get_length(in));
}

/** The oldest that has not asked yet gives way. @return is there room? */
static bool
make_room(struct sl_scrape *s)
{
	struct conn *c;

	if (s->n < SL_SCRAPE_CONNS)
		return true;
	TAILQ_FOREACH (c, &s->conns, link)
		if (c->state == HEAD)
			break;
	if (c != NULL)
		conn_free(c);
	return c != NULL;
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct timeval tv = {.tv_sec = LIFE_S};
	struct sl_scrape *s = arg;
	struct bufferevent *bev = NULL;
	struct conn *c = NULL;

	(void)l;
	(void)sa;
	(void)len;
	if (make_room(s)) {
		bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
		c = calloc(1, sizeof(*c));
	}
	if (bev == NULL || c == NULL) {
		free(c);
		if (bev != NULL)
			bufferevent_free(bev);
		else
			evutil_closesocket(fd);
		return;
	}
	*c = (struct conn){.s = s, .bev = bev, .timer = evtimer_new(s->base, on_late, c)};
	TAILQ_INSERT_TAIL(&s->conns, c, link);
	s->n++;
	if (c->timer == NULL || event_add(c->timer, &tv) != 0) {
		conn_free(c);
		return;
	}
	bufferevent_setwatermark(bev, EV_READ, 0, SL_SCRAPE_HEAD_MAX);
	bufferevent_setcb(bev, on_read, on_written, on_event, c);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

void
sl_scrape_answer(struct sl_scrape *s, struct evbuffer *text)
{
	struct conn *c;

	TAILQ_FOREACH (c, &s->conns, link)
		if (c->state == WAITING)
			answer(c, text != NULL ? 200 : 503, text);
}

struct sl_scrape *
sl_scrape_new(struct event_base *base, const struct sl_endpoint *at, void (*ask)(void *ctx),
	      void *ctx, struct sl_error *e)
{
	unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
	struct sl_scrape *s = calloc(1, sizeof(*s));
	struct sockaddr_storage sa;
	socklen_t len = sl_endpoint_sockaddr(at, &sa);
	char text[SL_ENDPOINT_STR];

	if (s == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the metrics' listener");
		return NULL;
	}
	*s = (struct sl_scrape){.base = base, .ask = ask, .ctx = ctx};
	TAILQ_INIT(&s->conns);
	s->listener = evconnlistener_new_bind(base, on_accept, s, flags, BACKLOG,
					      (struct sockaddr *)&sa, (int)len);
	if (s->listener != NULL)
		return s;
	sl_fail(e, errno != 0 ? -errno : -EINVAL, "socket", "/metrics/listen",
		"cannot listen on %s: %s", sl_endpoint_str(at, text), strerror(errno));
	sl_hint(e, "another address or port with metrics.listen");
	free(s);
	return NULL;
}

void
sl_scrape_free(struct sl_scrape *s)
{
	struct conn *c;

	if (s == NULL)
		return;
	while ((c = TAILQ_FIRST(&s->conns)) != NULL)
		conn_free(c);
	evconnlistener_free(s->listener);
	free(s);
}
