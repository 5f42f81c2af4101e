/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection: lines in, answers and notifications out. */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn_int.h"
#include "line.h"
#include "sl_env.h"
#include "sl_log.h"
#include "sl_secret.h"

#define LINES_PER_TURN 16
#define DRAIN_MAX_BYTES (16UL * 1024 * 1024)
#define DRAIN_STRANGER_BYTES (64UL * 1024)
#define LINGER_S 2 /* for a client to read why it is being closed */
#define STRANGER_VALUES 256

static size_t
line_max(const struct sl_rpc_conn *c)
{
	return c->caller.who ? c->from->limits.line_max : c->from->limits.line_max_stranger;
}

void
rpc_conn_free(struct sl_rpc_conn *c)
{
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
	c->from->n_conns--;
	c->closing = true;
	if (c->line)
		sl_rpc_line_cancel(c->line);
	while (c->watches) {
		struct sl_rpc_watch *w = c->watches;

		c->watches = w->next;
		w->closed(w, c);
	}
	event_free(c->timer);
	bufferevent_free(c->bev);
	free(c);
}

static void
set_timer(struct sl_rpc_conn *c, int64_t s)
{
	struct timeval tv = {.tv_sec = s};

	event_add(c->timer, &tv);
}

/** One last line (NULL: none), and the end. */
static void
finish(struct sl_rpc_conn *c, const char *line)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	if (c->closing)
		return;
	if (line)
		bufferevent_write(c->bev, line, strlen(line));
	if (c->line && sl_rpc_line_unread(c->line)) { /* who may not any more begins nothing */
		sl_rpc_line_cancel(c->line);
		c->line = NULL;
	}
	c->closing = true;
	evbuffer_drain(in, evbuffer_get_length(in));
	if (c->deaf)
		bufferevent_enable(c->bev, EV_READ);
	set_timer(c, line ? LINGER_S : 0);
}

void
sl_rpc_conn_close(struct sl_rpc_conn *c, const struct sl_error *why)
{
	json_t *text = NULL;
	char *line = NULL;

	if (why && !c->closing) {
		text = json_pack("{s:s, s:n, s:{s:i, s:s, s:{s:s}}}", "jsonrpc", "2.0", "id",
				 "error", "code", -32600, "message", why->message, "data", "reason",
				 why->reason);
		line = text ? json_dumps(text, JSON_COMPACT) : NULL;
		json_decref(text);
	}
	if (line)
		bufferevent_write(c->bev, line, strlen(line));
	free(line);
	finish(c, line ? "\n" : NULL);
}

static void
line_too_long(struct sl_rpc_conn *c)
{
	struct sl_error e;
	size_t max = line_max(c);

	sl_fail(&e, -EINVAL, "line_too_long", "", "a line is longer than %zu %s%s",
		max % 1048576 ? max / 1024 : max / 1048576, max % 1048576 ? "KiB" : "MiB",
		c->caller.who ? "" : " before the login");
	sl_rpc_conn_close(c, &e);
}

/** Watches learn when the queue has become short again. */
static void
note_queue(struct sl_rpc_conn *c)
{
	size_t queued = sl_rpc_conn_queued(c);

	for (struct sl_rpc_watch *w = c->watches; w; w = w->next)
		w->above |= queued > w->low;
}

/** Nothing more is read; what TLS has read already is in the input by now. A high watermark would
 * leave bytes with TLS, and nothing wakes us for those. */
static void
go_deaf(struct sl_rpc_conn *c)
{
	c->deaf = true;
	bufferevent_disable(c->bev, EV_READ);
}

static void
listen_again(struct sl_rpc_conn *c)
{
	if (c->deaf && !c->ended)
		bufferevent_enable(c->bev, EV_READ);
	c->deaf = false;
}

static void
free_text(const void *data, size_t len, void *extra)
{
	(void)data;
	(void)len;
	free(extra);
}

/** Takes `answer` over: a long one is not copied. */
static void
write_answer(struct sl_rpc_conn *c, char *answer)
{
	struct evbuffer *line = evbuffer_new();

	if (!line || evbuffer_add_reference(line, answer, strlen(answer), free_text, answer)) {
		free(answer);
		answer = NULL;
	}
	if (answer && evbuffer_add(line, "\n", 1) == 0)
		bufferevent_write_buffer(c->bev, line);
	if (line)
		evbuffer_free(line);
}

/** An answer, at once or later. */
static void
on_answer(void *ctx, char *answer)
{
	struct sl_rpc_conn *c = ctx;

	c->line = NULL;
	if (answer && !c->closing) {
		write_answer(c, answer);
		note_queue(c);
	} else {
		free(answer);
	}
	if (!c->answering && !c->closing) /* go on with what has come meanwhile */
		bufferevent_trigger(c->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

/** Handle one whole line. @return false when the connection was freed */
static bool
handle_line(struct sl_rpc_conn *c, const char *line, size_t len)
{
	if (len == 0 || (len == 1 && line[0] == '\r'))
		return true;
	if (line[0] != '{' && line[0] != '[') {
		rpc_conn_free(c); /* another protocol: not a word */
		return false;
	}
	if (len > line_max(c)) {
		line_too_long(c);
		return true;
	}
	c->answering = true;
	c->line = sl_rpc_line_start(c->from->server->rpc, &c->caller, line, len, on_answer, c);
	c->answering = false;
	return true;
}

static ssize_t
line_length(struct sl_rpc_conn *c)
{
	return rpc_line_length(bufferevent_get_input(c->bev), &c->scanned);
}

/** Does a connection speak another protocol? Known from its first byte. */
static bool
is_foreign(struct evbuffer *in)
{
	unsigned char first;

	return evbuffer_copyout(in, &first, 1) == 1 && !memchr("{[\n\r", first, 4);
}

static void
throw_away(struct sl_rpc_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	c->drained += evbuffer_get_length(in);
	evbuffer_drain(in, evbuffer_get_length(in));
	if (c->drained > (c->caller.who ? DRAIN_MAX_BYTES : DRAIN_STRANGER_BYTES))
		rpc_conn_free(c);
}

/** Some lines have been handled: what now? */
static void
after_lines(struct sl_rpc_conn *c)
{
	size_t waiting = evbuffer_get_length(bufferevent_get_input(c->bev));

	if (c->closing)
		return;
	if (c->paused || (c->line && waiting > line_max(c))) {
		go_deaf(c);
		return;
	}
	if (c->line)
		return;
	listen_again(c);
	if (line_length(c) >= 0)
		bufferevent_trigger(c->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
	else if (waiting > line_max(c))
		line_too_long(c);
	else if (c->ended && sl_rpc_conn_queued(c) == 0)
		rpc_conn_free(c);
}

/** Go on with what has arrived. */
static void
on_read(struct bufferevent *bev, void *arg)
{
	struct sl_rpc_conn *c = arg;
	size_t len;

	if (c->closing) {
		throw_away(c);
		return;
	}
	if (!c->line && is_foreign(bufferevent_get_input(bev))) {
		rpc_conn_free(c);
		return;
	}
	for (unsigned i = 0; i < LINES_PER_TURN && !c->paused && !c->line && !c->closing; i++) {
		bool stranger = !c->caller.who, alive;
		char *line = rpc_line_take(bufferevent_get_input(bev), &c->scanned, stranger, &len);

		if (!line)
			break;
		alive = handle_line(c, line, len);
		if (stranger)
			sl_wipe(line, len);
		free(line);
		if (!alive)
			return;
		c->paused = sl_rpc_conn_queued(c) > c->from->limits.pause;
	}
	after_lines(c);
}

static void
tell_drained(struct sl_rpc_conn *c)
{
	size_t queued = sl_rpc_conn_queued(c);
	struct sl_rpc_watch *next;

	for (struct sl_rpc_watch *w = c->watches; w; w = next) {
		next = w->next;
		if (!w->above || queued > w->low)
			continue;
		w->above = false;
		if (w->drained)
			w->drained(w, c);
		queued = sl_rpc_conn_queued(c);
	}
}

/** Much of what waited, or all of it, is written. */
static void
on_write(struct bufferevent *bev, void *arg)
{
	struct sl_rpc_conn *c = arg;
	size_t queued = sl_rpc_conn_queued(c);

	if (c->closing) {
		if (queued == 0 && c->from->tls)
			sl_tls_bye(bev);
		if (queued == 0)
			shutdown(bufferevent_getfd(bev), SHUT_WR);
		return;
	}
	tell_drained(c);
	if (c->closing)
		return;
	if (c->paused && sl_rpc_conn_queued(c) <= c->from->limits.pause / 2) {
		c->paused = false;
		if (!c->line)
			listen_again(c);
	}
	if (!c->paused && !c->line && line_length(c) >= 0)
		bufferevent_trigger(bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
	else if (c->ended && !c->line && line_length(c) < 0 && sl_rpc_conn_queued(c) == 0)
		rpc_conn_free(c);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct sl_rpc_conn *c = arg;
	bool more;

	if (what & BEV_EVENT_CONNECTED) { /* TLS */
		c->ready = true;
		rpc_login_certificate(c);
		return;
	}
	if (!c->ready)
		sl_tls_failed(&c->from->server->tls_failures, bev, &c->ip, "rpc");
	more = c->line || line_length(c) >= 0 || sl_rpc_conn_queued(c) > 0;
	if (!(what & BEV_EVENT_EOF) || c->closing || !more) {
		rpc_conn_free(c); /* an error, idle for too long, or nothing left to answer */
		return;
	}
	c->ended = true;
	bufferevent_trigger(bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sl_rpc_conn *c = arg;
	struct sl_error e = {0};

	(void)fd;
	(void)what;
	if (c->closing || !c->ready) {
		c->from->server->stats.login_timeouts += !c->closing;
		if (!c->ready)
			sl_tls_failed(&c->from->server->tls_failures, c->bev, &c->ip, "rpc");
		rpc_conn_free(c);
		return;
	}
	if (c->caller.who) {
		sl_fail(&e, -EPERM, "login_expired", "", "the login of %s has expired",
			c->who.name);
		sl_log(SL_LOG_NOTICE, "audit", "login of %s from %s has expired", c->who.name,
		       c->label);
	} else {
		c->from->server->stats.login_timeouts++;
		sl_fail(&e, -EPERM, "login_timeout", "", "no login within %u s",
			c->from->limits.login_s);
	}
	sl_rpc_conn_close(c, &e);
}

static void
be_somebody(struct sl_rpc_conn *c, const struct sl_principal *who)
{
	c->who = *who;
	c->caller.who = &c->who;
	c->caller.principal = c->who.name;
	c->checked = c->from->server->rechecks;
	c->caller.values_max = c->from->limits.values_max;
}

void
rpc_conn_login(struct sl_rpc_conn *c, const struct sl_rpc_login *login)
{
	int64_t now_s = (int64_t)(sl_clock_wall_ns() / SL_NS_PER_S);

	c->from->server->stats.logins++;
	be_somebody(c, &login->who);
	event_del(c->timer);
	if (login->until_s)
		set_timer(c, SL_MAX(login->until_s - now_s, (int64_t)0));
	rpc_tell_login(c);
}

static bool
conn_open(struct sl_rpc_conn *c, evutil_socket_t fd)
{
	struct event_base *base = c->from->server->base;

	c->timer = evtimer_new(base, on_timer, c);
	if (!c->timer)
		close(fd);
	else if (c->from->tls)
		c->bev = sl_tls_accept(c->from->tls, base, fd);
	else if (!(c->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE)))
		close(fd);
	if (c->bev)
		return true;
	if (c->timer)
		event_free(c->timer);
	return false;
}

void
rpc_conn_new(struct rpc_listener *l, evutil_socket_t fd, const struct sl_ip *ip,
	     const struct sl_principal *who)
{
	struct timeval idle = {.tv_sec = l->limits.idle_s};
	struct sl_rpc_conn *c = calloc(1, sizeof(*c));
	char text[SL_IP_STR];

	if (!c) {
		close(fd);
		return;
	}
	c->from = l;
	if (!conn_open(c, fd)) {
		free(c);
		return;
	}
	c->ip = *ip;
	c->ready = !l->tls;
	snprintf(c->label, sizeof(c->label), "%s:%s", l->tls ? "tls" : "tcp", sl_ip_str(ip, text));
	c->caller = (struct sl_rpc_caller){.via = l->via,
					   .principal = c->label,
					   .conn = c,
					   .rate = l->rate,
					   .values_max = STRANGER_VALUES};
	if (who)
		be_somebody(c, who);
	c->next = l->server->conns;
	c->pprev = &l->server->conns;
	if (c->next)
		c->next->pprev = &c->next;
	l->server->conns = c;
	l->n_conns++;
	if (!who)
		set_timer(c, l->limits.login_s);
	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
	/* on_write comes from here down, not only when all is written */
	bufferevent_setwatermark(c->bev, EV_WRITE, l->limits.pause / 2, 0);
	bufferevent_set_timeouts(c->bev, &idle, &idle);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

void
rpc_conn_last_answer(struct sl_rpc_conn *c)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	if (c->from->tls) {
		sl_tls_bye(c->bev);
		return;
	}
	/* a bufferevent keeps the front of its output to itself while the loop runs */
	evbuffer_unfreeze(out, 1);
	if (evbuffer_get_length(out) && evbuffer_write(out, bufferevent_getfd(c->bev)) < 0)
		sl_log(SL_LOG_DEBUG, "rpc", "a last answer was not taken");
}

/* --- for handlers ----------------------------------------------------------------------------- */

size_t
sl_rpc_conn_queued(const struct sl_rpc_conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

int
sl_rpc_conn_send(struct sl_rpc_conn *c, const char *line, size_t len)
{
	if (c->closing)
		return -EPIPE;
	if (sl_rpc_conn_queued(c) + len > c->from->limits.queue_max)
		return -ENOBUFS;
	if (bufferevent_write(c->bev, line, len) || bufferevent_write(c->bev, "\n", 1)) {
		finish(c, NULL); /* half a line may be there */
		return -ENOMEM;
	}
	note_queue(c);
	return 0;
}

int
sl_rpc_conn_notify(struct sl_rpc_conn *c, const char *method, json_t *params)
{
	json_t *o =
		json_pack("{s:s, s:s, s:o*}", "jsonrpc", "2.0", "method", method, "params", params);
	char *line = o ? json_dumps(o, JSON_COMPACT) : NULL;
	int rc = line ? sl_rpc_conn_send(c, line, strlen(line)) : -ENOMEM;

	free(line);
	json_decref(o);
	return rc;
}

const struct sl_ip *
sl_rpc_conn_from(const struct sl_rpc_conn *c)
{
	return &c->ip;
}

const struct sl_rpc_caller *
sl_rpc_conn_caller(const struct sl_rpc_conn *c)
{
	return &c->caller;
}

const struct sl_tls_id *
sl_rpc_conn_id(const struct sl_rpc_conn *c)
{
	return c->has_id ? &c->id : NULL;
}

void
sl_rpc_conn_watch(struct sl_rpc_conn *c, struct sl_rpc_watch *w)
{
	size_t low = c->from->limits.pause / 2;

	w->above = sl_rpc_conn_queued(c) > w->low;
	w->next = c->watches;
	c->watches = w;
	for (; w; w = w->next)
		low = SL_MAX(low, w->low);
	bufferevent_setwatermark(c->bev, EV_WRITE, low, 0);
}

void
sl_rpc_conn_unwatch(struct sl_rpc_conn *c, struct sl_rpc_watch *w)
{
	for (struct sl_rpc_watch **at = &c->watches; *at; at = &(*at)->next) {
		if (*at == w) {
			*at = w->next;
			return;
		}
	}
}
