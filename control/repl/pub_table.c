/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of subscribers, and those who wait until a change has arrived everywhere. */
#include <stdio.h>
#include <stdlib.h>

#include "pub_int.h"

#define RELAYED_SILENT_NS (35 * SL_NS_PER_S) /* statistics come every 10 s */

struct sl_publisher_wait {
	struct sl_publisher_wait *next;
	struct sl_publisher *p;
	uint64_t seq;
	char (*gateways)[SL_BOUND_NAME]; /* NULL: every enabled one */
	unsigned n;
	char blocker[SL_BOUND_NAME]; /* who lacked it last: looked at first */
	struct event *timer;
	void (*done)(void *ctx, bool all, json_t *missing);
	void *ctx;
};

struct pub_row *
pub_row_get(struct sl_publisher *p, const char *node, const char *via)
{
	struct pub_row *r;

	for (r = p->rows; r; r = r->next) {
		if (strcmp(r->node, node) == 0) {
			snprintf(r->via, sizeof(r->via), "%s", via);
			return r;
		}
	}
	if (p->n_rows >= PUB_NODES_MAX)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	snprintf(r->node, sizeof(r->node), "%s", node);
	snprintf(r->via, sizeof(r->via), "%s", via);
	r->i.hash_ok = true;
	r->next = p->rows;
	p->rows = r;
	p->n_rows++;
	return r;
}

void
pub_rows_forget(struct sl_publisher *p)
{
	for (struct pub_row *r = p->rows; r; r = r->next)
		r->i.acked_seq = r->i.serving_seq = 0;
}

void
pub_rows_free(struct sl_publisher *p)
{
	while (p->rows) {
		struct pub_row *r = p->rows;

		p->rows = r->next;
		free(r);
	}
}

static struct pub_row *
row_find(const struct sl_publisher *p, const char *node)
{
	struct pub_row *r = p->rows;

	while (r && strcmp(r->node, node) != 0)
		r = r->next;
	return r;
}

bool
pub_row_is_here(const struct sl_publisher *p, const char *node)
{
	const struct pub_row *r = row_find(p, node);

	return r && r->stream && r->stream->phase != PUB_DROPPED;
}

static bool
is_connected(const struct sl_publisher *p, const struct pub_row *r)
{
	const struct pub_row *via;

	if (r->stream)
		return r->stream->phase != PUB_DROPPED;
	via = r->via[0] ? row_find(p, r->via) : NULL;
	return via && via->stream && r->heard_mono_ns &&
	       sl_clock_mono_ns() - r->heard_mono_ns < RELAYED_SILENT_NS;
}

void
sl_publisher_walk(const struct sl_publisher *p,
		  bool (*fn)(void *ctx, const struct sl_subscriber_info *i), void *ctx)
{
	for (const struct pub_row *r = p->rows; r; r = r->next) {
		struct sl_subscriber_info i = r->i;

		i.node = r->node;
		i.via = r->stream ? "" : r->via;
		i.connected = is_connected(p, r);
		if (r->stream) {
			i.sent_seq = i.head = r->stream->sent_seq;
			i.outbox = sl_rpc_conn_queued(r->stream->conn);
		}
		if (!fn(ctx, &i))
			return;
	}
}

/* --- waiting ---------------------------------------------------------------------------------- */

/** Why a gateway has not applied it yet; NULL: it has. */
static const char *
lacks(struct sl_publisher *p, const char *gateway, uint64_t seq)
{
	const struct pub_row *r = row_find(p, gateway);
	uint64_t scope_seq;

	if (!r || !is_connected(p, r))
		return "not_connected";
	if (r->i.nack_code[0] && r->i.serving_seq < seq)
		return r->i.nack_code;
	if (r->i.acked_seq >= seq)
		return NULL;
	/* what is later than its last transaction does not concern it */
	if (r->stream)
		scope_seq = r->stream->phase == PUB_LIVE && !r->stream->owed ? r->stream->sent_seq
									     : UINT64_MAX;
	else
		scope_seq = SL_MAX(pub_scope_seq(p, gateway), p->load_seq);
	return p->seq >= seq && r->i.acked_seq >= scope_seq ? NULL : "not_acked";
}

static void
note_missing(struct sl_publisher *p, json_t *missing, const char *gateway, uint64_t seq)
{
	const char *why = lacks(p, gateway, seq);
	const struct pub_row *r = row_find(p, gateway);

	if (why)
		json_array_append_new(missing,
				      json_pack("{s:s, s:I, s:s}", "gateway", gateway, "acked",
						(json_int_t)(r ? r->i.acked_seq : 0), "reason",
						why));
}

static json_t *
missing_of(struct sl_publisher_wait *w)
{
	json_t *missing = json_array();
	struct sl_replica_cursor c = {0};
	struct sl_replica_obj o;

	for (unsigned i = 0; i < w->n; i++)
		note_missing(w->p, missing, w->gateways[i], w->seq);
	while (!w->gateways && sl_replica_next(w->p->replica, SL_KIND_GATEWAY, &c, &o)) {
		json_t *body = sl_replica_body(w->p->replica, SL_KIND_GATEWAY, o.id);

		if (!json_is_false(json_object_get(body, "enabled")))
			note_missing(w->p, missing, o.id, w->seq);
		json_decref(body);
	}
	return missing;
}

static void
wait_end(struct sl_publisher_wait *w, json_t *missing)
{
	void (*done)(void *ctx, bool all, json_t *missing) = w->done;
	void *ctx = w->ctx;

	sl_publisher_wait_cancel(w);
	done(ctx, json_array_size(missing) == 0, missing);
	json_decref(missing);
}

/** @return true if it has ended */
static bool
wait_check(struct sl_publisher_wait *w)
{
	json_t *missing;

	if (w->p->seq < w->seq || (w->blocker[0] && lacks(w->p, w->blocker, w->seq)))
		return false;
	missing = missing_of(w);
	if (json_array_size(missing)) {
		const json_t *first = json_array_get(missing, 0);

		snprintf(w->blocker, sizeof(w->blocker), "%s",
			 json_string_value(json_object_get(first, "gateway")));
		json_decref(missing);
		return false;
	}
	wait_end(w, missing);
	return true;
}

void
pub_waits_check(struct sl_publisher *p)
{
	for (struct sl_publisher_wait *w = p->waits; w;) {
		/* its end may change the list */
		w = wait_check(w) ? p->waits : w->next;
	}
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct sl_publisher_wait *w = arg;

	wait_end(w, missing_of(w));
}

/** Look at once, but not from within sl_publisher_wait(). */
static void
wait_begin(struct sl_publisher_wait *w, unsigned timeout_ms)
{
	struct timeval tv = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};

	evtimer_add(w->timer, &tv);
	pub_wake(w->p);
}

struct sl_publisher_wait *
sl_publisher_wait(struct sl_publisher *p, uint64_t seq, const char *const *gateways,
		  unsigned n_gateways, unsigned timeout_ms,
		  void (*done)(void *ctx, bool all, json_t *missing), void *ctx)
{
	struct sl_publisher_wait *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->p = p;
	w->seq = seq;
	w->done = done;
	w->ctx = ctx;
	w->timer = evtimer_new(p->conf.base, on_timeout, w);
	if (gateways)
		w->gateways = calloc(n_gateways + 1, sizeof(w->gateways[0]));
	if (!w->timer || (gateways && !w->gateways)) {
		if (w->timer)
			event_free(w->timer);
		free(w->gateways);
		free(w);
		return NULL;
	}
	for (; gateways && w->n < n_gateways; w->n++)
		snprintf(w->gateways[w->n], sizeof(w->gateways[0]), "%s", gateways[w->n]);
	w->next = p->waits;
	p->waits = w;
	wait_begin(w, timeout_ms);
	return w;
}

void
sl_publisher_wait_cancel(struct sl_publisher_wait *w)
{
	struct sl_publisher_wait **at;

	if (!w)
		return;
	for (at = &w->p->waits; *at && *at != w; at = &(*at)->next)
		;
	if (*at)
		*at = w->next;
	event_free(w->timer);
	free(w->gateways);
	free(w);
}

void
pub_waits_free(struct sl_publisher *p)
{
	while (p->waits)
		sl_publisher_wait_cancel(p->waits);
}
