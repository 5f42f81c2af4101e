/* SPDX-License-Identifier: BSD-3-Clause */
/* Who was connected, how much went through, which peers nobody uses. */
#include <stdio.h>
#include <stdlib.h>

#include "call.h"
#include "collector.h"
#include "page.h"
#include "settings.h"
#include "sl_json.h"

#define DAY_S 86400
#define LIMIT 100

struct listing {
	json_t *items;
	size_t limit;
	int64_t last;
	bool more;
};

static void
set_time(json_t *o, const char *name, int64_t s)
{
	char text[SL_TIME_STR];

	if (s != 0)
		json_object_set_new(o, name,
				    json_string(sl_time_str((uint64_t)s * 1000000000, text)));
}

/** "a,b" as a list. */
static json_t *
names(const char *list)
{
	json_t *out = json_array();

	while (*list != '\0') {
		size_t n = strcspn(list, ",");

		json_array_append_new(out, json_stringn(list, n));
		list += n + (list[n] == ',');
	}
	return out;
}

static json_t *
session_json(const struct sl_session *v)
{
	json_t *o = json_pack("{s:I, s:s, s:s, s:I, s:I, s:o}", "id", (json_int_t)v->id, "peer",
			      v->peer, "state", sl_session_state_name(v->state), "rx",
			      (json_int_t)v->rx, "tx", (json_int_t)v->tx, "gateways",
			      names(v->gateways));
	set_time(o, "started", v->started_s);
	set_time(o, "last_data", v->last_s);
	set_time(o, "ended", v->ended_s);
	if (o != NULL && v->country[0] != '\0')
		json_object_set_new(o, "country", json_string(v->country));
	if (o != NULL && v->asn != 0)
		json_object_set_new(o, "asn", json_integer(v->asn));
	return o;
}

static bool
each_session(void *ctx, const struct sl_session *v)
{
	struct listing *l = ctx;

	if (json_array_size(l->items) == l->limit) {
		l->more = true;
		return false;
	}
	l->last = v->id;
	return json_array_append_new(l->items, session_json(v)) == 0;
}

int
sl_op_list_sessions(struct sl_call *c, struct sl_error *e)
{
	struct sl_session_filter f = {.peer = c->q[SL_Q_PEER],
				      .open = c->q[SL_Q_OPEN] != NULL && c->q_int[SL_Q_OPEN] != 0};
	struct listing l = {.items = json_array(), .limit = LIMIT};
	json_t *o;
	int rc;

	if (c->reports == NULL) {
		json_decref(l.items);
		return sl_call_not_primary(c, "what gateways report", e);
	}
	if (c->q[SL_Q_LIMIT] != NULL)
		l.limit = (size_t)c->q_int[SL_Q_LIMIT];
	if (c->q[SL_Q_AFTER] != NULL)
		f.before_id = strtoll(c->q[SL_Q_AFTER], NULL, 10);
	rc = sl_sessions_walk(c->reports->sessions, &f, sl_collector_now_s(), each_session, &l, e);
	if (rc != 0) {
		json_decref(l.items);
		return rc;
	}
	o = json_pack("{s:o}", "items", l.items);
	if (o != NULL && l.more)
		json_object_set_new(o, "next", json_sprintf("%lld", (long long)l.last));
	return sl_call_answer(c, 200, o, e);
}

/* --- usage ------------------------------------------------------------------------------------ */

static bool
each_hour(void *ctx, int64_t hour_s, uint64_t rx, uint64_t tx)
{
	json_t *o = json_pack("{s:I, s:I}", "rx", (json_int_t)rx, "tx", (json_int_t)tx);

	set_time(o, "hour", hour_s);
	return json_array_append_new(ctx, o) == 0;
}

int
sl_op_get_peer_usage(struct sl_call *c, struct sl_error *e)
{
	int64_t now = sl_collector_now_s();
	int64_t days = c->q[SL_Q_DAYS] != NULL ? c->q_int[SL_Q_DAYS] : 7;
	json_t *hours;
	int rc = sl_call_own(c, SL_SR_PEER, c->arg[0], e);

	if (rc != 0)
		return rc;
	if (c->reports == NULL)
		return sl_call_not_primary(c, "what gateways report", e);
	hours = json_array();
	rc = sl_sessions_usage(c->reports->sessions, c->arg[0], now - days * DAY_S, now + 1,
			       each_hour, hours, e);
	if (rc != 0) {
		json_decref(hours);
		return rc;
	}
	return sl_call_answer(c, 200, json_pack("{s:s, s:o}", "peer", c->arg[0], "items", hours),
			      e);
}

/* --- a peer as each gateway told of it -------------------------------------------------------- */

struct serving {
	struct sl_call *c;
	const char *interface; /* the peer's */
	json_t *out;
	int64_t now_s, idle_s;
	int rc;
	struct sl_error *e;
};

static const char *
state_at(const struct serving *w, const struct sl_peer_at *at)
{
	if (!at->told)
		return "never";
	if (at->gateway_s + SL_SESSION_SILENT_S <= w->now_s)
		return "unknown";
	return at->data_s + w->idle_s > w->now_s ? "active" : "idle";
}

static json_t *
at_json(const struct serving *w, const char *gateway, const struct sl_peer_at *at)
{
	json_t *o = json_pack("{s:s, s:s, s:I, s:I}", "gateway", gateway, "state", state_at(w, at),
			      "rx", (json_int_t)at->rx, "tx", (json_int_t)at->tx);

	set_time(o, "last_data", at->data_s);
	set_time(o, "last_handshake", at->handshake_s);
	set_time(o, "told", at->gateway_s);
	return o;
}

static bool
serves(const json_t *gateway, const char *interface)
{
	const json_t *v;
	size_t i;

	json_array_foreach (json_object_get(gateway, "interfaces"), i, v)
		if (strcmp(json_string_value(v), interface) == 0)
			return true;
	return false;
}

static bool
each_gateway(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct serving *w = ctx;
	json_t *body = json_loadb(text, len, 0, NULL);
	struct sl_peer_at at;

	if (serves(body, w->interface)) {
		w->rc = sl_sessions_at(w->c->reports->sessions, id, w->c->arg[0], &at, w->e);
		if (w->rc == 0 && json_array_append_new(w->out, at_json(w, id, &at)) != 0)
			w->rc = sl_fail(w->e, -ENOMEM, "no_memory", "", "no memory");
	}
	json_decref(body);
	return w->rc == 0;
}

/** The newest one. */
static bool
first_session(void *ctx, const struct sl_session *v)
{
	json_object_set_new(ctx, "session", session_json(v));
	return false;
}

static json_t *
peer_stats(struct serving *w, struct sl_error *e)
{
	struct sl_sessions *sessions = w->c->reports->sessions;
	struct sl_session_filter f = {.peer = w->c->arg[0]};
	json_t *o = json_pack("{s:s, s:O}", "peer", w->c->arg[0], "gateways", w->out);
	int64_t data, handshake;
	int rc;

	sl_sessions_seen(sessions, w->c->arg[0], &data, &handshake);
	set_time(o, "last_data", data);
	set_time(o, "last_handshake", handshake);
	rc = sl_sessions_walk(sessions, &f, w->now_s, first_session, o, e);
	if (rc == 0)
		rc = sl_store_walk(w->c->store, SL_KIND_GATEWAY, "", each_gateway, w, e);
	if (rc == 0 && w->rc == 0)
		return o;
	json_decref(o);
	return NULL;
}

int
sl_op_get_peer_stats(struct sl_call *c, struct sl_error *e)
{
	struct serving w = {.c = c, .now_s = sl_collector_now_s(), .e = e};
	json_t *body = NULL, *o;
	int rc = sl_call_own(c, SL_SR_PEER, c->arg[0], e);

	if (rc != 0)
		return rc;
	if (c->reports == NULL)
		return sl_call_not_primary(c, "what gateways report", e);
	if (sl_store_get(c->store, SL_KIND_PEER, c->arg[0], NULL, &body) != 0)
		return sl_call_not_found("peer", c->arg[0], e);
	w.interface = sl_json_text(body, "interface");
	w.idle_s = sl_setting_get(c->store, "session_idle_s");
	w.out = json_array();
	e->err = 0;
	o = peer_stats(&w, e);
	rc = o == NULL && e->err != 0 ? e->err : sl_call_answer(c, 200, o, e);
	json_decref(w.out);
	json_decref(body);
	return rc;
}

/* --- unused peers ----------------------------------------------------------------------------- */

static int64_t
seen(struct sl_call *c, const char *peer, int64_t *handshake)
{
	int64_t data;

	sl_sessions_seen(c->reports->sessions, peer, &data, handshake);
	return data;
}

static bool
is_unused(struct sl_call *c, const char *id, const json_t *body)
{
	int64_t days = c->q[SL_Q_DAYS] != NULL ? c->q_int[SL_Q_DAYS] : 90, handshake;
	int64_t last = seen(c, id, &handshake);

	/* one that never came is unused since it is known here, not since ever */
	if (last == 0)
		last = sl_sessions_known(c->reports->sessions, id);
	return last != 0 && last < sl_collector_now_s() - days * DAY_S;
}

static json_t *
show_unused(struct sl_call *c, const char *id, uint64_t rev, json_t *body)
{
	json_t *o = json_pack("{s:s}", "peer", id);
	int64_t handshake, data = seen(c, id, &handshake);

	set_time(o, "last_data", data);
	set_time(o, "last_handshake", handshake);
	return o;
}

int
sl_op_list_unused_peers(struct sl_call *c, struct sl_error *e)
{
	if (c->reports == NULL)
		return sl_call_not_primary(c, "what gateways report", e);
	return page_list(c, SL_KIND_PEER, is_unused, show_unused, e);
}
