/* SPDX-License-Identifier: BSD-3-Clause */
#include "bad_link.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
conn_free(struct bad_conn *c)
{
	LIST_REMOVE(c, next);
	bufferevent_free(c->near);
	bufferevent_free(c->far);
	free(c->held);
	free(c);
}

static void
on_end(struct bufferevent *b, short what, void *ctx)
{
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		conn_free(ctx);
}

static void
from_near(struct bufferevent *b, void *ctx)
{
	struct bad_conn *c = ctx;

	bufferevent_write_buffer(c->far, bufferevent_get_input(b));
}

static void
send_line(struct bad_conn *c, const char *line)
{
	bufferevent_write(c->near, line, strlen(line));
	bufferevent_write(c->near, "\n", 1);
}

static bool
happens(struct bad_link *l, unsigned *count)
{
	bool yes = (unsigned)rand_r(&l->seed) % 1000 < l->per_mille;

	*count += yes;
	return yes;
}

/** @return false: the connection has ended. @param line taken over */
static bool
pass(struct bad_conn *c, char *line)
{
	struct bad_link *l = c->link;
	bool notice = strstr(line, "\"method\"") != NULL;

	l->lines++;
	if (happens(l, &l->cut)) {
		/* at once: what is freed writes no more */
		send(bufferevent_getfd(c->near), line, (size_t)rand_r(&l->seed) % strlen(line),
		     MSG_NOSIGNAL | MSG_DONTWAIT);
		free(line);
		conn_free(c);
		return false;
	}
	if (notice && c->held == NULL && happens(l, &l->swapped)) {
		c->held = line;
		return true;
	}
	if (!notice || !happens(l, &l->lost))
		send_line(c, line);
	if (notice && happens(l, &l->twice))
		send_line(c, line);
	free(line);
	if (c->held != NULL)
		send_line(c, c->held);
	free(c->held);
	c->held = NULL;
	return true;
}

static void
from_far(struct bufferevent *b, void *ctx)
{
	struct bad_conn *c = ctx;
	char *line;

	for (;;) {
		line = evbuffer_readln(bufferevent_get_input(b), NULL, EVBUFFER_EOL_LF);
		if (line == NULL || !pass(c, line))
			return;
	}
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int len,
	  void *ctx)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct bad_link *l = ctx;
	struct bad_conn *c = calloc(1, sizeof(*c));

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(l->to);
	c->link = l;
	c->near = bufferevent_socket_new(l->base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->far = bufferevent_socket_new(l->base, -1, BEV_OPT_CLOSE_ON_FREE);
	LIST_INSERT_HEAD(&l->conns, c, next);
	bufferevent_setcb(c->near, from_near, NULL, on_end, c);
	bufferevent_setcb(c->far, from_far, NULL, on_end, c);
	bufferevent_enable(c->near, EV_READ | EV_WRITE);
	bufferevent_enable(c->far, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(c->far, (struct sockaddr *)&a, sizeof(a)) < 0)
		conn_free(c);
}

void
bad_link_open(struct bad_link *l, struct event_base *base, uint16_t to, unsigned seed)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);

	memset(l, 0, sizeof(*l));
	LIST_INIT(&l->conns);
	l->base = base;
	l->to = to;
	l->seed = seed;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	l->listener = evconnlistener_new_bind(base, on_accept, l, LEV_OPT_CLOSE_ON_FREE, 16,
					      (struct sockaddr *)&a, sizeof(a));
	assert_non_null(l->listener);
	assert_int_equal(getsockname(evconnlistener_get_fd(l->listener), (struct sockaddr *)&a,
				     &len),
			 0);
	l->port = ntohs(a.sin_port);
}

void
bad_link_cut(struct bad_link *l)
{
	while (!LIST_EMPTY(&l->conns))
		conn_free(LIST_FIRST(&l->conns));
}

void
bad_link_close(struct bad_link *l)
{
	bad_link_cut(l);
	evconnlistener_free(l->listener);
}
