/* SPDX-License-Identifier: BSD-3-Clause */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "lines.h"

static struct {
	struct event_base *base;
	struct bufferevent *bev;
	void (*fn)(void *ctx, json_t *cmd);
	void *ctx;
} in;

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *b = bufferevent_get_input(bev);
	char *line;

	while ((line = evbuffer_readln(b, NULL, EVBUFFER_EOL_LF))) {
		json_t *cmd = json_loads(line, 0, NULL);

		if (cmd)
			in.fn(in.ctx, cmd);
		json_decref(cmd);
		free(line);
	}
}

static void
on_end(struct bufferevent *bev, short what, void *arg)
{
	event_base_loopbreak(in.base);
}

void
lines_start(struct event_base *base, void (*fn)(void *ctx, json_t *cmd), void *ctx)
{
	fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
	in.base = base;
	in.fn = fn;
	in.ctx = ctx;
	in.bev = bufferevent_socket_new(base, 0, 0);
	bufferevent_setcb(in.bev, on_read, NULL, on_end, NULL);
	bufferevent_enable(in.bev, EV_READ);
}

void
lines_stop(void)
{
	bufferevent_free(in.bev);
}

void
lines_say(json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);

	printf("%s\n", text);
	fflush(stdout);
	free(text);
	json_decref(o);
}
