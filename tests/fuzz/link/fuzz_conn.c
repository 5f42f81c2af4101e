/* SPDX-License-Identifier: BSD-3-Clause */
/* A stranger's bytes on a connection of the stream: cut in pieces, before and after a login, until
 * the end. No handler but those of open methods ever sees a caller that has not logged in, what is
 * answered is one JSON object a line, and little is kept of a stranger. */
#include <event2/buffer.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../require.h"
#include "conn_int.h"
#include "sl_log.h"
#include "sl_schema_control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HELD_MAX (48 * 1024)

static int
handler(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	struct sl_error *e)
{
	const struct sl_schema_method *m = user;

	(void)params;
	(void)result;
	require(m->open || caller->who);
	require(m->open || sl_service_may(caller->who, m->roles));
	if (m->n_params > 3)
		return sl_fail(e, -EBUSY, "busy", "/x", "not now");
	sl_rpc_conn_notify(caller->conn, "repl.heartbeat", NULL);
	if (m->n_params == 3) {
		sl_fail(e, -EPERM, "enough", "", "that was it");
		sl_rpc_conn_close(caller->conn, e);
	}
	return 0;
}

static int
on_token(void *ctx, const char *token, const struct sl_ip *from, struct sl_rpc_login *out)
{
	(void)ctx;
	(void)from;
	if (token[0] != 'g')
		return -EACCES;
	out->who = (struct sl_principal){"token:g", SL_SR_BIT(SL_SR_GATEWAY), "gw-1"};
	return 0;
}

static void
quiet(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	(void)ctx;
	(void)level;
	(void)topic;
	(void)text;
}

static struct event_base *base;
static struct sl_rpc *rpc;
static struct sl_rpc_server *server;

static void
set_up(void)
{
	sl_log_set_sink(quiet, NULL);
	base = event_base_new();
	rpc = sl_rpc_new(&sl_control_schema, NULL);
	for (unsigned i = 0; i < sl_control_schema.n; i++) {
		const struct sl_schema_method *m = &sl_control_schema.methods[i];

		if (strncmp(m->name, "auth.", 5) != 0)
			sl_rpc_bind_to(rpc, m->name, handler, (void *)(uintptr_t)m);
	}
	sl_rpc_set_state(rpc, SL_RPC_RUNNING);
	server = sl_rpc_server_new(base, rpc);
}

static void
check_object(const json_t *o)
{
	require(json_is_object(o) && json_object_get(o, "jsonrpc"));
}

/** Take what has been answered; each line is an answer, a batch of them, or a notification. */
static void
take(int fd, struct evbuffer *got)
{
	json_t *o, *item;
	char *line;
	size_t i;

	while (evbuffer_read(got, fd, 65536) > 0)
		;
	while ((line = evbuffer_readln(got, NULL, EVBUFFER_EOL_LF)) != NULL) {
		o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		if (json_is_array(o)) {
			json_array_foreach (o, i, item)
				check_object(item);
		} else {
			check_object(o);
		}
		json_decref(o);
		free(line);
	}
}

static void
turn(int fd, struct evbuffer *got)
{
	for (unsigned i = 0; i < 4; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	take(fd, got);
	for (struct sl_rpc_conn *c = server->conns; c; c = c->next) {
		require(c->caller.who ||
			evbuffer_get_length(bufferevent_get_input(c->bev)) <= HELD_MAX);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_listener l = {.via = SL_RPC_VIA_TCP, .login = true, .auth = {.token = on_token}};
	struct sl_ip ip = {.family = 4, .b = {192, 0, 2, 1}};
	struct evbuffer *got = evbuffer_new();
	size_t step;
	int sv[2];

	if (!base)
		set_up();
	memset(&server->throttle, 0, sizeof(server->throttle));
	l.server = server;
	l.limits = (struct sl_rpc_limits){.line_max = 2048,
					  .line_max_stranger = 512,
					  .values_max = 64,
					  .connections = 2,
					  .per_source = 2,
					  .login_s = 5,
					  .idle_s = 5,
					  .pause = 512,
					  .queue_max = 4096};
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == 0);
	rpc_conn_new(&l, sv[0], &ip, NULL);
	step = size ? data[0] % 64 * 8 + 1 : 1;
	for (size_t at = 1; at < size; at += step) {
		if (send(sv[1], data + at, SL_MIN(step, size - at), MSG_NOSIGNAL) < 0)
			break;
		turn(sv[1], got);
	}
	shutdown(sv[1], SHUT_WR);
	turn(sv[1], got);
	close(sv[1]);
	turn(sv[1], got);
	while (server->conns)
		rpc_conn_free(server->conns);
	evbuffer_free(got);
	return 0;
}
