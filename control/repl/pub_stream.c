/* SPDX-License-Identifier: BSD-3-Clause */
/* One subscription: its begin and end, what is sent to it live, its turns. */
#include <stdio.h>
#include <stdlib.h>

#include "pub_int.h"
#include "sl_log.h"

void
pub_stream_send(struct pub_stream *s, struct wire_text *t)
{
	int rc = t->failed ? -ENOMEM : sl_rpc_conn_send(s->conn, t->p, t->len);

	wire_free(t);
	if (rc == -ENOBUFS)
		pub_stream_drop(s, NULL, "it does not take what it is sent");
	else if (rc)
		pub_stream_drop(s, "no_memory", "no memory");
}

void
pub_stream_txn(struct pub_stream *s, const struct pub_lines *l, uint64_t seq)
{
	size_t all = 0;

	for (unsigned i = 0; i < l->n; i++)
		all += l->v[i].len;
	if (all > s->p->conf.outbox_max) { /* pulled as fast as it is taken */
		pub_stream_snapshot(s, "resync");
		return;
	}
	for (unsigned i = 0; i < l->n && s->phase != PUB_DROPPED; i++) {
		struct wire_text t = {0};

		wire_addf(&t,
			  "{\"jsonrpc\":\"2.0\",\"method\":\"repl.txn\",\"params\":{\"sub\":\"%s\","
			  "\"prev\":%llu,",
			  s->name, (unsigned long long)s->sent_seq);
		wire_add(&t, l->v[i].p, l->v[i].len);
		pub_stream_send(s, &t);
	}
	s->sent_seq = seq;
	if (s->phase == PUB_LIVE && sl_rpc_conn_queued(s->conn) > s->p->conf.outbox_max) {
		sl_log(SL_LOG_NOTICE, "repl", "%s does not keep up: disconnected", s->node);
		pub_stream_drop(s, NULL, NULL);
	}
}

/* --- heartbeats ------------------------------------------------------------------------------- */

void
pub_stream_beat(struct pub_stream *s)
{
	struct sl_publisher *p = s->p;
	char now[SL_TIME_STR], hash[SL_HASH_STR];
	struct wire_text t = {0};
	struct sl_hash_sum sum;
	json_t *epoch;
	uint64_t count;

	if (s->phase == PUB_DROPPED)
		return;
	if (s->phase == PUB_SNAPSHOT &&
	    sl_clock_mono_ns() - s->snap_moved_ns > p->conf.snapshot_stall_s * SL_NS_PER_S) {
		sl_log(SL_LOG_NOTICE, "repl", "%s does not take its snapshot: disconnected",
		       s->node);
		pub_stream_drop(s, NULL, NULL);
		return;
	}
	s->beat_due = sl_rpc_conn_queued(s->conn) > PUB_QUEUE_LOW;
	if (s->beat_due) /* one of them, when it has taken what waits */
		return;
	epoch = wire_epoch_json(&p->epoch);
	wire_addf(&t,
		  "{\"jsonrpc\":\"2.0\",\"method\":\"repl.heartbeat\",\"params\":{\"sub\":\"%s\","
		  "\"head\":%llu,\"now\":\"%s\",\"epoch\":",
		  s->name, (unsigned long long)p->seq, sl_time_str(sl_clock_wall_ns(), now));
	wire_json(&t, epoch);
	json_decref(epoch);
	if (s->phase == PUB_LIVE && !s->owed && !p->loading) {
		pub_scope_sum(p, &s->scope, s->view, &sum, &count);
		wire_addf(&t, ",\"scope_seq\":%llu,\"hash\":\"%s\",\"chain\":\"%s\"",
			  (unsigned long long)s->sent_seq, sl_hash_str(&sum, hash), p->chain);
	}
	wire_add(&t, "}}", 2);
	pub_stream_send(s, &t);
}

bool
pub_stream_pump(struct pub_stream *s, uint64_t end_ns)
{
	switch (s->phase) {
	case PUB_WAIT:
		pub_snapshot_begin(s);
		return s->phase == PUB_SNAPSHOT;
	case PUB_SNAPSHOT:
		return pub_snapshot_pump(s, end_ns);
	case PUB_SCAN:
	case PUB_CATCH_UP:
		return pub_log_pump(s, end_ns);
	default:
		return false;
	}
}

/* --- life ------------------------------------------------------------------------------------- */

static void
on_drained(struct sl_rpc_watch *w, struct sl_rpc_conn *c)
{
	struct pub_stream *s = SL_CONTAINER_OF(w, struct pub_stream, watch);

	if (s->beat_due)
		pub_stream_beat(s);
	pub_wake(s->p);
}

static void
stream_unlink(struct pub_stream *s)
{
	pub_snapshot_close(s);
	pub_past_drop(s);
	TAILQ_REMOVE(&s->p->streams, s, link);
	s->p->n_streams--;
	if (s->row && s->row->stream == s) {
		s->row->stream = NULL;
		s->row->i.connected = false;
		s->row->i.sent_seq = s->sent_seq;
	}
	pub_scope_free(&s->scope);
	free(s->ops);
	free(s);
}

static void
on_closed(struct sl_rpc_watch *w, struct sl_rpc_conn *c)
{
	stream_unlink(SL_CONTAINER_OF(w, struct pub_stream, watch));
}

struct pub_stream *
pub_stream_new(struct sl_publisher *p, const struct sl_rpc_caller *caller, const char *node,
	       bool all)
{
	struct pub_row *row = pub_row_get(p, node, "");
	struct pub_stream *s = row ? calloc(1, sizeof(*s)) : NULL;

	if (!s)
		return NULL;
	s->p = p;
	s->conn = caller->conn;
	s->scope.all = all;
	snprintf(s->name, sizeof(s->name), "r-%llu", (unsigned long long)++p->next_name);
	snprintf(s->node, sizeof(s->node), "%s", node);
	snprintf(s->scope.node, sizeof(s->scope.node), "%s", node);
	snprintf(s->principal, sizeof(s->principal), "%s", caller->principal);
	if (!all && pub_scope_read(p, &s->scope)) {
		free(s);
		return NULL;
	}
	if (row->stream) {
		sl_log(SL_LOG_INFO, "repl", "%s subscribes anew: its former connection goes", node);
		if (row->stream->conn == s->conn)
			pub_stream_free(row->stream);
		else
			pub_stream_drop(row->stream, "replaced", "it connected anew");
	}
	s->row = row;
	row->stream = s;
	row->i.connected = true;
	row->i.follower = all;
	row->i.connected_wall_ns = sl_clock_wall_ns();
	s->watch.drained = on_drained;
	s->watch.closed = on_closed;
	s->watch.low = PUB_QUEUE_LOW;
	sl_rpc_conn_watch(s->conn, &s->watch);
	TAILQ_INSERT_TAIL(&p->streams, s, link);
	p->n_streams++;
	return s;
}

void
pub_stream_free(struct pub_stream *s)
{
	sl_rpc_conn_unwatch(s->conn, &s->watch);
	stream_unlink(s);
}

void
pub_stream_drop(struct pub_stream *s, const char *reason, const char *message)
{
	struct sl_error e = {0};

	if (s->phase == PUB_DROPPED)
		return;
	pub_snapshot_close(s);
	pub_past_drop(s);
	s->phase = PUB_DROPPED;
	if (reason)
		sl_fail(&e, -EPIPE, reason, "", "%s", message);
	sl_rpc_conn_close(s->conn, reason ? &e : NULL);
}
