/* SPDX-License-Identifier: BSD-3-Clause */
/* A server's bytes, as they reach the client: it comes up, takes what it knows and goes down once,
 * whatever they are. Dialling is played: the other end of a socket pair is fed. */
#include <event2/buffer.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../require.h"
#include "client_int.h"
#include "sl_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct event_base *base;
static int far_end = -1;
static struct sl_rpc_client *client;
static unsigned downs, owed;
static bool free_within;

int
client_check(const struct sl_rpc_client_conf *conf, struct sl_error *e)
{
	(void)conf;
	(void)e;
	return 0;
}

void
client_dial(struct sl_rpc_client *c)
{
	int sv[2];

	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == 0);
	far_end = sv[1];
	c->bev = bufferevent_socket_new(base, sv[0],
					BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	client_callbacks(c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	client_connected(c);
}

void
client_dial_failed(struct sl_rpc_client *c)
{
	(void)c;
	require(!"nothing is dialled");
}

void
client_hang_up(struct sl_rpc_client *c)
{
	if (c->bev)
		bufferevent_free(c->bev);
	c->bev = NULL;
}

static void
let_go(void)
{
	sl_rpc_client_free(client);
	client = NULL;
}

static void
on_answer(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	(void)ctx;
	require(owed-- > 0 && (rc == 0) == (result != NULL) && (rc == 0 || e));
}

static void
on_up(void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < 3; i++)
		owed += sl_rpc_client_call(client, "rpc.ping", NULL, on_answer, NULL) == 0;
}

static void
on_notify(void *ctx, const char *method, json_t *params)
{
	(void)ctx;
	(void)params;
	if (method[0] == 'f') {
		free_within = true;
		let_go();
	} else if (method[0] == 'p') {
		sl_rpc_client_pause(client, true);
		sl_rpc_client_pause(client, false);
	}
}

static void
on_down(void *ctx, const struct sl_error *e)
{
	(void)ctx;
	/* who still waited was told before */
	require(downs++ == 0 && owed == 0 && e->err);
}

static void
quiet(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	(void)ctx;
	(void)level;
	(void)topic;
	(void)text;
}

static void
turn(void)
{
	char away[4096];

	for (unsigned i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	while (far_end >= 0 && recv(far_end, away, sizeof(away), 0) > 0)
		;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_rpc_client_conf conf = {.host = "127.0.0.1",
					  .port = 1,
					  .token = "slt_x",
					  .line_max = 1024,
					  .up = on_up,
					  .notify = on_notify,
					  .down = on_down};
	size_t step = size ? data[0] % 64 * 8 + 1 : 1;
	struct sl_error e;

	if (!base) {
		sl_log_set_sink(quiet, NULL);
		base = event_base_new();
	}
	downs = owed = 0;
	free_within = false;
	conf.base = base;
	client = sl_rpc_client_new(&conf, &e);
	turn();
	for (size_t at = 1; at < size && !downs && client; at += step) {
		if (send(far_end, data + at, SL_MIN(step, size - at), MSG_NOSIGNAL) < 0)
			break;
		turn();
	}
	close(far_end);
	far_end = -1;
	turn();
	require(free_within || downs == 1); /* a closed connection is told */
	let_go();
	turn();
	return 0;
}
