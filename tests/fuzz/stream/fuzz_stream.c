/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A source that says anything: the first line of the input answers repl.subscribe, each later one
 * is {"method", "params"} of a notification, "go" lets an owner that was asked go on, "down" breaks
 * the connection. The owner (tests/unit/repl/owner.c) sees that it is never given a snapshot inside
 * a snapshot, nothing that goes back within an epoch, and never a lower epoch.
 */
#include <stdlib.h>

#include "../../unit/repl/owner.h"
#include "../require.h"
#include "sl_log.h"
#include "sub_int.h"

/* The client, as far as the subscriber sees it. */
struct sl_rpc_client {
	struct sl_rpc_client_conf conf;
	sl_rpc_answered answered;
	void *ctx;
};

static struct sl_rpc_client *client;

struct sl_rpc_client *
sl_rpc_client_new(const struct sl_rpc_client_conf *c, struct sl_error *e)
{
	client = calloc(1, sizeof(*client));
	client->conf = *c;
	return client;
}

void
sl_rpc_client_free(struct sl_rpc_client *c)
{
	free(c);
	client = NULL;
}

struct sl_rpc_line_size
sl_rpc_client_line(const struct sl_rpc_client *c)
{
	return (struct sl_rpc_line_size){1, 1};
}

int
sl_rpc_client_call(struct sl_rpc_client *c, const char *method, json_t *params,
		   sl_rpc_answered done, void *ctx)
{
	require(params);
	json_decref(params);
	if (done) {
		c->answered = done;
		c->ctx = ctx;
	}
	return 0;
}

void
sl_rpc_client_pause(struct sl_rpc_client *c, bool pause)
{
}

static void
quiet(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
}

static void
answer(json_t *result)
{
	sl_rpc_answered done = client->answered;

	client->answered = NULL;
	if (done)
		done(client->ctx, 0, result, NULL);
}

static void
one(struct owner *o, const char *line, size_t len)
{
	struct sl_error down;
	json_t *v;

	if (len == 2 && memcmp(line, "go", 2) == 0) {
		if (o->waiting)
			owner_go(o);
	} else if (len == 4 && memcmp(line, "down", 4) == 0 && client) {
		sl_fail(&down, -EPIPE, "closed", "", "closed");
		client->conf.down(client->conf.ctx, &down);
	} else if (client) {
		v = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
		if (v && client->answered)
			answer(v);
		else if (json_string_value(json_object_get(v, "method")))
			client->conf.notify(client->conf.ctx,
					    json_string_value(json_object_get(v, "method")),
					    json_object_get(v, "params"));
		json_decref(v);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_base *base;
	struct sl_sub_source source = {.host = "127.0.0.1", .port = 1};
	struct owner o;
	struct sl_sub_conf c = {.sources = &source,
				.n_sources = 1,
				.node = "gw-a",
				.program = "fuzz",
				.ops = &owner_ops,
				.ctx = &o};
	struct sl_error e;
	size_t at = 1;

	if (!base) {
		base = event_base_new();
		sl_log_set_sink(quiet, NULL);
	}
	if (size < 2)
		return 0;
	c.base = base;
	owner_init(&o);
	o.defer = data[0] & 1;
	o.sub = sl_sub_new(&c, &e);
	event_base_loop(base, EVLOOP_NONBLOCK);
	require(client);
	client->conf.up(client->conf.ctx);
	while (at < size) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = end ? (size_t)(end - data) - at : size - at;

		one(&o, (const char *)data + at, len);
		event_base_loop(base, EVLOOP_NONBLOCK); /* what is due at once */
		if (client && o.sub->phase == SUB_DIAL)
			client->conf.up(client->conf.ctx);
		at += len + 1;
	}
	sl_sub_free(o.sub);
	require(!o.broken);
	owner_free(&o);
	return 0;
}
