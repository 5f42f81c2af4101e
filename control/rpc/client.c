/* SPDX-License-Identifier: BSD-3-Clause */
/* The client: from dialling to the end. Addresses are in client_dial.c. */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>

#include "client_int.h"
#include "line.h"
#include "sl_env.h"
#include "sl_secret.h"
#include "sl_json.h"

#define CONNECT_S 5
#define IDLE_S 35
#define QUIET_S 60 /* the server must hear of us, too */
#define LINE_MAX (1024UL * 1024)
#define QUEUE_MAX (8UL * 1024 * 1024)
#define VALUES_MAX (1UL << 20) /* of JSON in a line */
#define LINES_PER_TURN 32

struct waiting {
	struct waiting *next;
	json_int_t id;
	sl_rpc_answered done;
	void *ctx;
};

/* --- life ------------------------------------------------------------------------------------- */

static void
destroy(struct sl_rpc_client *c)
{
	client_hang_up(c);
	while (c->waiting) {
		struct waiting *w = c->waiting;

		c->waiting = w->next;
		free(w);
	}
	if (c->kick)
		event_free(c->kick);
	if (c->timer)
		event_free(c->timer);
	if (c->token)
		sl_wipe(c->token, strlen(c->token));
	free(c->token);
	free(c->name);
	free(c->host);
	free(c);
}

/** The callbacks may free the client: then it ends when the last of them has returned. */
static void
enter(struct sl_rpc_client *c)
{
	c->depth++;
}

/** @return false: it is gone */
static bool
leave(struct sl_rpc_client *c)
{
	if (--c->depth > 0 || !c->freed)
		return !c->freed;
	destroy(c);
	return false;
}

void
sl_rpc_client_free(struct sl_rpc_client *c)
{
	if (!c)
		return;
	c->freed = true;
	if (c->depth == 0)
		destroy(c);
}

/** The next one that waits for an answer, or the one with that id. */
static struct waiting *
take_waiting(struct sl_rpc_client *c, const json_int_t *id)
{
	struct waiting **at = &c->waiting, *w;

	while (*at && id && (*at)->id != *id)
		at = &(*at)->next;
	w = *at;
	if (!w)
		return NULL;
	*at = w->next;
	if (!w->next)
		c->waiting_end = at;
	return w;
}

void
client_down(struct sl_rpc_client *c, const struct sl_error *why)
{
	struct sl_error e = *why, closed = *why;
	struct waiting *w;

	if (c->state == CLIENT_DOWN)
		return;
	c->state = CLIENT_DOWN;
	client_hang_up(c);
	event_del(c->timer);
	closed.err = -EPIPE;
	enter(c);
	while (!c->freed && (w = take_waiting(c, NULL)) != NULL) {
		if (w->done)
			w->done(w->ctx, -EPIPE, NULL, &closed);
		free(w);
	}
	if (!c->freed && c->conf.down)
		c->conf.down(c->conf.ctx, &e);
	leave(c);
}

void
client_fail(struct sl_rpc_client *c, int err, const char *reason, const char *what)
{
	struct sl_error e;

	sl_fail(&e, err, reason, "", "%s:%u: %s", c->host, c->conf.port, what);
	client_down(c, &e);
}

/* --- sending ---------------------------------------------------------------------------------- */

static int
send_line(struct sl_rpc_client *c, json_t *o, bool secret)
{
	char *line = o ? json_dumps(o, JSON_COMPACT) : NULL;
	size_t len = line ? strlen(line) : 0;
	int rc = -ENOMEM;

	if (line) {
		rc = bufferevent_write(c->bev, line, len) || bufferevent_write(c->bev, "\n", 1)
			     ? -ENOMEM
			     : 0;
		if (secret)
			sl_wipe(line, len);
	}
	free(line);
	c->sent_ns = sl_clock_mono_ns();
	return rc;
}

/** @param params borrowed */
static int
call(struct sl_rpc_client *c, const char *method, json_t *params, bool secret, sl_rpc_answered done,
     void *ctx)
{
	struct waiting *w = done ? calloc(1, sizeof(*w)) : NULL;
	json_t *o;
	int rc;

	if (done && !w)
		return -ENOMEM;
	o = json_pack("{s:s, s:s, s:O*}", "jsonrpc", "2.0", "method", method, "params", params);
	if (w) {
		*w = (struct waiting){.id = ++c->last_id, .done = done, .ctx = ctx};
		json_object_set_new(o, "id", json_integer(w->id));
	}
	rc = send_line(c, o, secret);
	json_decref(o);
	if (rc) {
		free(w);
	} else if (w) {
		*c->waiting_end = w;
		c->waiting_end = &w->next;
	}
	return rc;
}

int
sl_rpc_client_call(struct sl_rpc_client *c, const char *method, json_t *params,
		   sl_rpc_answered done, void *ctx)
{
	int rc;

	if (c->state != CLIENT_UP)
		rc = -ENOTCONN;
	else if (sl_rpc_client_queued(c) > c->conf.queue_max)
		rc = -ENOBUFS;
	else
		rc = call(c, method, params, false, done, ctx);
	json_decref(params);
	return rc;
}

size_t
sl_rpc_client_queued(const struct sl_rpc_client *c)
{
	return c->bev ? evbuffer_get_length(bufferevent_get_output(c->bev)) : 0;
}

/* --- what comes ------------------------------------------------------------------------------- */

static int
errno_of(json_int_t code)
{
	switch (code) {
	case -32601:
		return -ENOSYS;
	case -32603:
		return -EREMOTEIO;
	case -32001:
		return -EACCES;
	case -32002:
		return -EPERM;
	case -32003:
		return -ENOENT;
	case -32004:
		return -EBUSY;
	case -32005:
		return -EEXIST;
	case -32006:
		return -ENOSPC;
	case -32007:
		return -EIO;
	case -32008:
		return -EAGAIN;
	case -32009:
		return -ETIMEDOUT;
	default:
		return -EINVAL;
	}
}

static void
read_error(const json_t *err, struct sl_error *e)
{
	const json_t *data = json_object_get(err, "data");

	sl_fail(e, errno_of(json_integer_value(json_object_get(err, "code"))),
		sl_json_text(data, "reason"), sl_json_text(data, "path"), "%s",
		sl_json_text(err, "message"));
	sl_hint(e, "%s", sl_json_text(data, "hint"));
	e->retry_after_ms = (uint32_t)json_integer_value(json_object_get(data, "retry_after_ms"));
}

static void
on_response(struct sl_rpc_client *c, json_t *o)
{
	json_t *err = json_object_get(o, "error"), *result = json_object_get(o, "result");
	json_int_t id = json_integer_value(json_object_get(o, "id"));
	struct sl_error e = {0};
	struct waiting *w;

	if (err)
		read_error(err, &e);
	if (err && json_is_null(json_object_get(o, "id"))) {
		client_down(c, &e); /* the server's last word */
		return;
	}
	/* before the question is taken off: whoever asked hears of the end */
	w = !err == !result ? NULL : take_waiting(c, &id);
	if (!w) {
		client_fail(c, -EPROTO, "protocol", "an answer to no question, or none in it");
		return;
	}
	if (w->done)
		w->done(w->ctx, e.err, result, &e);
	free(w);
}

static void
on_message(struct sl_rpc_client *c, const char *line, size_t len)
{
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *method = json_string_value(json_object_get(o, "method"));

	if (!json_is_object(o))
		client_fail(c, -EPROTO, "protocol", "a line that is no JSON-RPC 2.0");
	else if (!method)
		on_response(c, o);
	else if (json_object_get(o, "id"))
		client_fail(c, -EPROTO, "protocol", "the server asks questions");
	else if (c->state == CLIENT_UP && c->conf.notify)
		c->conf.notify(c->conf.ctx, method, json_object_get(o, "params"));
	json_decref(o);
}

/** @return false: the client is gone, or down */
static bool
take_lines(struct sl_rpc_client *c, unsigned max)
{
	bool alive = true;
	size_t len;

	enter(c);
	for (unsigned i = 0; i < max && !c->paused && !c->freed && c->state != CLIENT_DOWN; i++) {
		struct evbuffer *in = bufferevent_get_input(c->bev);
		ssize_t n = rpc_line_length(in, &c->scanned);
		char *line;

		if ((n < 0 ? evbuffer_get_length(in) : (size_t)n) > c->conf.line_max) {
			client_fail(c, -EPROTO, "protocol", "a line is too long");
			break;
		}
		line = rpc_line_take(in, &c->scanned, false, &len);
		if (!line)
			break;
		c->line = (struct sl_rpc_line_size){len, sl_json_values_max(line, len)};
		if (c->line.values > VALUES_MAX)
			client_fail(c, -EPROTO, "protocol", "a line has too many values");
		else
			on_message(c, line, len);
		free(line);
	}
	alive = c->state != CLIENT_DOWN;
	return leave(c) && alive;
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct sl_rpc_client *c = arg;

	c->heard_ns = sl_clock_mono_ns();
	if (take_lines(c, LINES_PER_TURN) && !c->paused &&
	    rpc_line_length(bufferevent_get_input(bev), &c->scanned) >= 0)
		bufferevent_trigger(bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct sl_rpc_client *c = arg;
	char why[160];

	if (what & BEV_EVENT_CONNECTED) {
		client_connected(c);
		return;
	}
	if (c->state == CLIENT_DIALLING) {
		client_dial_failed(c);
		return;
	}
	if ((what & BEV_EVENT_EOF) && !take_lines(c, UINT32_MAX))
		return;
	if (c->conf.tls && sl_tls_why(bev, why, sizeof(why))[0])
		client_fail(c, -EPIPE, "tls", why);
	else if (c->conf.tls && c->state != CLIENT_UP)
		client_fail(c, -EPIPE, "closed",
			    "the connection was closed before the login (a certificate that it "
			    "does not believe?)");
	else
		client_fail(c, -EPIPE, "closed", "the connection was closed");
}

void
client_callbacks(struct sl_rpc_client *c)
{
	bufferevent_setcb(c->bev, on_read, NULL, on_event, c);
}

struct sl_rpc_line_size
sl_rpc_client_line(const struct sl_rpc_client *c)
{
	return c->line;
}

void
sl_rpc_client_pause(struct sl_rpc_client *c, bool pause)
{
	if (c->paused == pause || c->state == CLIENT_DOWN)
		return;
	c->paused = pause;
	c->heard_ns = sl_clock_mono_ns();
	if (!c->bev)
		return;
	if (pause) {
		bufferevent_disable(c->bev, EV_READ);
		return;
	}
	bufferevent_enable(c->bev, EV_READ);
	bufferevent_trigger(c->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

/* --- login, silence --------------------------------------------------------------------------- */

static void
pong(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	(void)rc;
	(void)result;
	(void)e;
	((struct sl_rpc_client *)ctx)->pinging = false;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sl_rpc_client *c = arg;
	uint64_t now = sl_clock_mono_ns(), quiet = (now - c->heard_ns) / SL_NS_PER_S;

	(void)fd;
	(void)what;
	if (c->state != CLIENT_UP) {
		client_fail(c, -ETIMEDOUT, "timeout",
			    c->state == CLIENT_LOGIN ? "no answer to the login" : "no connection");
		return;
	}
	if (c->paused)
		return;
	if (quiet >= c->conf.idle_s) {
		client_fail(c, -ETIMEDOUT, "idle", "nothing came for too long");
		return;
	}
	if (!c->pinging &&
	    (quiet >= c->conf.idle_s / 3 || (now - c->sent_ns) / SL_NS_PER_S >= QUIET_S))
		c->pinging = call(c, "rpc.ping", NULL, false, pong, c) == 0;
}

static void
logged_in(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	struct sl_rpc_client *c = ctx;
	struct timeval tick = {.tv_sec = SL_MAX(c->conf.idle_s / 6, 1u)};

	(void)result;
	if (c->state == CLIENT_DOWN) /* it is what down tells */
		return;
	if (rc) {
		client_down(c, e);
		return;
	}
	c->state = CLIENT_UP;
	event_del(c->timer);
	event_add(c->timer, &tick);
	if (c->conf.up)
		c->conf.up(c->conf.ctx);
}

void
client_connected(struct sl_rpc_client *c)
{
	json_t *params = NULL;
	int rc;

	if (c->conf.tls && !sl_tls_agreed(c->bev)) {
		client_fail(c, -EPROTO, "tls", "it speaks another protocol (ALPN)");
		return;
	}
	c->state = CLIENT_LOGIN;
	c->heard_ns = sl_clock_mono_ns();
	if (c->token)
		params = json_pack("{s:s, s:s*}", "token", c->token, "client", c->name);
	rc = call(c, c->token ? "auth.login" : "auth.whoami", params, true, logged_in, c);
	if (c->token) {
		const char *s = json_string_value(json_object_get(params, "token"));

		if (s)
			sl_wipe((char *)s, strlen(s));
		sl_wipe(c->token, strlen(c->token));
	}
	json_decref(params);
	if (rc)
		client_fail(c, rc, "no_memory", "no memory");
}

static void
on_kick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	client_dial(arg);
}

static bool
set_up(struct sl_rpc_client *c)
{
	const struct sl_rpc_client_conf *conf = &c->conf;
	struct timeval tv = {.tv_sec = conf->connect_s};

	c->host = strdup(conf->host);
	c->token = conf->token ? strdup(conf->token) : NULL;
	c->name = conf->name ? strdup(conf->name) : NULL;
	c->kick = event_new(conf->base, -1, 0, on_kick, c);
	c->timer = event_new(conf->base, -1, EV_PERSIST, on_timer, c);
	if (!c->host || !c->token != !conf->token || !c->name != !conf->name || !c->kick ||
	    !c->timer)
		return false;
	c->conf.host = c->conf.token = c->conf.name = NULL;
	event_add(c->timer, &tv);
	event_active(c->kick, EV_TIMEOUT, 0);
	return true;
}

struct sl_rpc_client *
sl_rpc_client_new(const struct sl_rpc_client_conf *conf, struct sl_error *e)
{
	struct sl_rpc_client *c;

	if (client_check(conf, e))
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c) {
		c->conf = *conf;
		c->waiting_end = &c->waiting;
		c->conf.connect_s = conf->connect_s ? conf->connect_s : CONNECT_S;
		c->conf.idle_s = conf->idle_s ? conf->idle_s : IDLE_S;
		c->conf.line_max = conf->line_max ? conf->line_max : LINE_MAX;
		c->conf.queue_max = conf->queue_max ? conf->queue_max : QUEUE_MAX;
		if (set_up(c))
			return c;
		destroy(c);
	}
	sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	return NULL;
}
