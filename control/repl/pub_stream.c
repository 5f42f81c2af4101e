/* SPDX-License-Identifier: BSD-3-Clause */
/* One subscription: a snapshot pulled from the store as fast as the other side takes it, rows of
 * the log after it, then what is fed as it comes. */
#include <stdio.h>
#include <stdlib.h>

#include "pub_int.h"
#include "sl_log.h"

static void
send_text(struct pub_stream *s, struct wire_text *t)
{
	int rc = t->failed ? -ENOMEM : sl_rpc_conn_send(s->conn, t->p, t->len);

	wire_free(t);
	if (rc == -ENOBUFS)
		pub_stream_drop(s, NULL, "it does not take what it is sent");
	else if (rc)
		pub_stream_drop(s, "no_memory", "no memory");
}

/* --- transactions ----------------------------------------------------------------------------- */

char *
pub_op_text(enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len, bool left)
{
	struct wire_text t = {0};

	wire_addf(&t, "{\"op\":\"%s\",\"kind\":\"%s\",\"id\":", text ? "put" : "del",
		  sl_kind_name(k));
	wire_string(&t, id);
	wire_addf(&t, ",\"rev\":%llu%s", (unsigned long long)rev, left ? ",\"left\":true" : "");
	if (text) {
		wire_add(&t, ",\"obj\":", 7);
		wire_add(&t, text, len);
	}
	wire_add(&t, "}", 1);
	if (t.failed) {
		wire_free(&t);
		return NULL;
	}
	return t.p;
}

/** What stands before the ops: who, when, why; `part` 0: the only one. */
static void
lines_head(struct wire_text *t, const struct sl_publisher *p, json_t *txn, unsigned part)
{
	json_t *epoch = wire_epoch_json(&p->epoch), *v;
	const char *key;

	wire_add(t, "\"epoch\":", 8);
	wire_json(t, epoch);
	json_decref(epoch);
	json_object_foreach (txn, key, v) {
		if (strcmp(key, "ops") == 0 || strcmp(key, "prev") == 0 ||
		    strcmp(key, "epoch") == 0)
			continue;
		wire_add(t, ",", 1);
		wire_string(t, key);
		wire_add(t, ":", 1);
		wire_json(t, v);
	}
	if (!json_object_get(txn, "seq"))
		t->failed = true;
	if (part)
		wire_addf(t, ",\"part\":%u", part);
	wire_add(t, ",\"ops\":[", 8);
}

static struct wire_text *
lines_more(struct pub_lines *l)
{
	struct wire_text *v = realloc(l->v, (l->n + 1) * sizeof(*v));

	if (!v)
		return NULL;
	l->v = v;
	memset(&v[l->n], 0, sizeof(*v));
	return &v[l->n++];
}

int
pub_lines_make(struct pub_lines *l, const struct sl_publisher *p, json_t *txn, uint64_t seq,
	       char *const *ops, unsigned n_ops)
{
	size_t all = 0;
	unsigned i = 0;
	bool parts;

	for (unsigned j = 0; j < n_ops; j++)
		all += strlen(ops[j]) + 1;
	parts = all > PUB_PART_BYTES;
	do {
		struct wire_text *t = lines_more(l);
		size_t start;

		if (!t)
			goto no_memory;
		lines_head(t, p, txn, parts ? l->n : 0);
		start = t->len;
		for (; i < n_ops; i++) {
			size_t len = strlen(ops[i]);

			if (parts && t->len > start && t->len - start + len > PUB_PART_BYTES)
				break;
			if (t->len > start)
				wire_add(t, ",", 1);
			wire_add(t, ops[i], len);
		}
		wire_add(t, "]", 1);
		if (parts)
			wire_addf(t, ",\"last\":%s", i == n_ops ? "true" : "false");
		wire_add(t, "}}", 2);
		if (t->failed)
			goto no_memory;
	} while (i < n_ops);
	return 0;
no_memory:
	pub_lines_free(l);
	return -ENOMEM;
}

void
pub_lines_free(struct pub_lines *l)
{
	for (unsigned i = 0; i < l->n; i++)
		wire_free(&l->v[i]);
	free(l->v);
	l->v = NULL;
	l->n = 0;
}

void
pub_stream_txn(struct pub_stream *s, const struct pub_lines *l, uint64_t seq)
{
	for (unsigned i = 0; i < l->n && s->phase != PUB_DROPPED; i++) {
		struct wire_text t = {0};

		wire_addf(&t,
			  "{\"jsonrpc\":\"2.0\",\"method\":\"repl.txn\",\"params\":{\"sub\":\"%s\","
			  "\"prev\":%llu,",
			  s->name, (unsigned long long)s->sent_seq);
		wire_add(&t, l->v[i].p, l->v[i].len);
		send_text(s, &t);
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
	if (s->phase == PUB_LIVE) {
		pub_scope_sum(p, &s->scope, &sum, &count);
		wire_addf(&t, ",\"scope_seq\":%llu,\"hash\":\"%s\",\"chain\":\"%s\"",
			  (unsigned long long)s->sent_seq, sl_hash_str(&sum, hash), p->chain);
	}
	wire_add(&t, "}}", 2);
	send_text(s, &t);
}

/* --- snapshots -------------------------------------------------------------------------------- */

static void
snapshot_close(struct pub_stream *s)
{
	if (!s->snap)
		return;
	sl_store_snap_close(s->snap);
	s->snap = NULL;
	s->p->n_snapshots--;
	wire_free(&s->part);
	s->part_objects = 0;
	pub_wake(s->p); /* whose turn it is now */
}

void
pub_stream_snapshot(struct pub_stream *s, const char *reason)
{
	if (s->phase == PUB_DROPPED)
		return;
	snapshot_close(s);
	s->phase = PUB_WAIT;
	s->reason = reason;
	s->turn = ++s->p->next_turn;
	pub_wake(s->p);
}

/** Does somebody wait longer? */
static bool
is_my_turn(const struct pub_stream *s)
{
	if (s->p->n_snapshots >= s->p->conf.snapshots_max)
		return false;
	PUB_EACH (o, s->p) {
		if (o->phase == PUB_WAIT && o->turn < s->turn)
			return false;
	}
	return true;
}

/** Open it, and bring the replica to the same seq: then the sums are those of the snapshot. */
static void
snapshot_begin(struct pub_stream *s)
{
	struct sl_publisher *p = s->p;
	struct sl_error e;

	s->snap = sl_store_snap_open(p->conf.store, &e);
	if (!s->snap) {
		sl_log(SL_LOG_ERR, "repl", "no snapshot for %s: %s", s->node, e.message);
		pub_stream_drop(s, e.reason, e.message);
		return;
	}
	p->n_snapshots++;
	sl_store_snap_pos(s->snap, &s->snap_epoch, &s->snap_seq, s->snap_chain);
	pub_feed(p, s->snap_seq, 0);
	if (p->broken || p->seq != s->snap_seq || strcmp(s->snap_epoch.id, p->epoch.id) != 0) {
		p->broken = true; /* the store was replaced: loaded anew at once, then again */
		snapshot_close(s);
		return;
	}
	if (!s->scope.all && pub_scope_read(p, &s->scope)) {
		snapshot_close(s);
		pub_stream_drop(s, "no_memory", "no memory");
		return;
	}
	pub_scope_sum(p, &s->scope, &s->snap_sum, &s->snap_count);
	s->snap_part = 0;
	s->snap_given = 0;
	s->phase = PUB_SNAPSHOT;
}

static void
snapshot_flush(struct pub_stream *s, bool last)
{
	json_t *epoch = sl_epoch_json(&s->snap_epoch);
	struct wire_text t = {0};
	char hash[SL_HASH_STR];

	wire_addf(&t,
		  "{\"jsonrpc\":\"2.0\",\"method\":\"repl.snapshot\",\"params\":{\"sub\":\"%s\","
		  "\"seq\":%llu,\"part\":%u,\"last\":%s,\"epoch\":",
		  s->name, (unsigned long long)s->snap_seq, ++s->snap_part,
		  last ? "true" : "false");
	wire_json(&t, epoch);
	json_decref(epoch);
	if (s->snap_part == 1)
		wire_addf(&t, ",\"reason\":\"%s\"", s->reason);
	if (s->snap_part == 1 || last)
		wire_addf(&t, ",\"chain\":\"%s\"", s->snap_chain);
	if (last)
		wire_addf(&t, ",\"count\":%llu,\"hash\":\"%s\"", (unsigned long long)s->snap_count,
			  sl_hash_str(&s->snap_sum, hash));
	wire_add(&t, ",\"objects\":[", 12);
	if (s->part.len)
		wire_add(&t, s->part.p, s->part.len);
	wire_add(&t, "]}}", 3);
	t.failed |= s->part.failed;
	s->part.len = 0;
	s->part_objects = 0;
	send_text(s, &t);
}

/** Is a row of the snapshot in scope? The replica knows, unless the object changed since. */
static bool
snapshot_has(struct pub_stream *s, enum sl_kind k, const char *id, uint64_t rev, const char *text,
	     size_t len)
{
	struct sl_publisher *p = s->p;
	struct sl_replica_obj o;
	char scope[SL_OBJ_SCOPE];
	json_t *body;
	int rc;

	if (s->scope.all)
		return true;
	if (sl_kind_scope(k) == SL_SCOPE_STORES)
		return false;
	if (sl_kind_scope(k) == SL_SCOPE_GATEWAYS)
		return pub_scope_has(&s->scope, pub_bucket_of(p, k, ""));
	if (sl_replica_get(p->replica, k, id, &o) && o.rev == rev)
		return pub_scope_has(&s->scope, pub_bucket_of(p, k, o.scope));
	body = json_loadb(text, len, 0, NULL);
	rc = body ? sl_object_scope(k, id, body, scope) : -ENOMEM;
	json_decref(body);
	if (rc)
		s->part.failed = true;
	return rc == 0 && pub_scope_has(&s->scope, pub_bucket_of(p, k, scope));
}

static bool
snapshot_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct pub_stream *s = ctx;

	if (!snapshot_has(s, k, id, rev, text, len))
		return true;
	if (s->part.len && s->part.len + len + SL_OBJ_ID + 64 > PUB_PART_BYTES) {
		snapshot_flush(s, false);
		if (s->phase == PUB_DROPPED)
			return false;
	}
	if (s->part_objects++)
		wire_add(&s->part, ",", 1);
	wire_addf(&s->part, "{\"kind\":\"%s\",\"id\":", sl_kind_name(k));
	wire_string(&s->part, id);
	wire_addf(&s->part, ",\"rev\":%llu,\"obj\":", (unsigned long long)rev);
	wire_add(&s->part, text, len);
	wire_add(&s->part, "}", 1);
	s->snap_given++;
	return true;
}

static void
snapshot_end(struct pub_stream *s)
{
	if (s->snap_given !=
	    s->snap_count) { /* not what the replica holds: never send a false sum */
		sl_log(SL_LOG_ERR, "repl", "snapshot for %s: %llu objects, %llu expected", s->node,
		       (unsigned long long)s->snap_given, (unsigned long long)s->snap_count);
		s->p->broken = true;
		pub_stream_drop(s, "internal", "the snapshot is not what it should be");
		return;
	}
	snapshot_flush(s, true);
	if (s->phase == PUB_DROPPED)
		return;
	s->sent_seq = s->at = s->snap_seq;
	s->row->i.snapshots++;
	s->phase = PUB_CATCH_UP;
	snapshot_close(s);
}

static bool
snapshot_pump(struct pub_stream *s, uint64_t end_ns)
{
	while (sl_rpc_conn_queued(s->conn) <= PUB_QUEUE_LOW) {
		int n = sl_store_snap_next(s->snap, 64, snapshot_row, s);

		if (s->phase == PUB_DROPPED)
			return false;
		if (n < 0) {
			pub_stream_drop(s, "store_io", "the snapshot cannot be read");
			return false;
		}
		if (n == 0) {
			snapshot_end(s);
			return true;
		}
		if (sl_clock_mono_ns() >= end_ns)
			return true;
	}
	return false;
}

/* --- rows of the log -------------------------------------------------------------------------- */

struct catch_up {
	struct pub_stream *s;
	uint64_t end_ns;
};

static bool
has_named(struct pub_stream *s, enum sl_kind k, const char *scope)
{
	struct pub_bucket *b = pub_bucket_of(s->p, k, scope ? scope : "");

	return b && pub_scope_has(&s->scope, b);
}

/** The text of a past op for this scope; NULL: nothing of it is. */
static char *
past_op(struct pub_stream *s, const json_t *o, bool *failed)
{
	const char *scope = json_string_value(json_object_get(o, "scope"));
	const char *was = json_string_value(json_object_get(o, "was"));
	const char *id = json_string_value(json_object_get(o, "id"));
	const char *kind = json_string_value(json_object_get(o, "kind"));
	const char *what = json_string_value(json_object_get(o, "op"));
	uint64_t rev = (uint64_t)json_integer_value(json_object_get(o, "rev"));
	const json_t *body = json_object_get(o, "obj");
	char *text = NULL, *out = NULL;
	enum sl_kind k;

	if (s->scope.all) {
		out = json_dumps(o, JSON_COMPACT);
		*failed |= !out;
		return out;
	}
	if (!id || !kind || !what || sl_kind_parse(kind, &k) < 0) {
		*failed = true;
		return NULL;
	}
	if (has_named(s, k, scope)) {
		bool put = strcmp(what, "put") == 0;

		text = put ? json_dumps(body, JSON_COMPACT) : NULL;
		if (!put || text)
			out = pub_op_text(k, id, rev, text, text ? strlen(text) : 0, false);
	} else if (was && has_named(s, k, was)) {
		out = pub_op_text(k, id, rev, NULL, 0, true);
	} else {
		return NULL;
	}
	free(text);
	*failed |= !out;
	return out;
}

static bool
past_row(void *ctx, uint64_t seq, json_t *txn)
{
	struct catch_up *c = ctx;
	struct pub_stream *s = c->s;
	json_t *ops = json_object_get(txn, "ops");
	struct pub_lines lines = {0};
	bool failed = seq != s->at + 1;
	char **texts;
	unsigned n = 0;

	if (seq > s->p->seq)
		return false;
	texts = calloc(json_array_size(ops) + 1, sizeof(*texts));
	for (size_t i = 0; texts && i < json_array_size(ops); i++) {
		texts[n] = past_op(s, json_array_get(ops, i), &failed);
		n += texts[n] != NULL;
	}
	failed |= !texts;
	if (!failed && (n || s->scope.all))
		failed = pub_lines_make(&lines, s->p, txn, seq, texts, n) != 0;
	if (failed)
		pub_stream_drop(s, "internal", "a row of the log cannot be sent");
	else if (lines.n)
		pub_stream_txn(s, &lines, seq);
	for (unsigned i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
	pub_lines_free(&lines);
	s->at = seq;
	return s->phase == PUB_CATCH_UP && sl_rpc_conn_queued(s->conn) <= PUB_QUEUE_LOW &&
	       sl_clock_mono_ns() < c->end_ns;
}

/** Looks for a change of the gateway's own record. */
static bool
scan_row(void *ctx, uint64_t seq, json_t *txn)
{
	struct catch_up *c = ctx;
	struct pub_stream *s = c->s;
	const json_t *o;
	size_t i;

	if (seq > s->p->load_seq)
		return false;
	json_array_foreach (json_object_get(txn, "ops"), i, o) {
		const char *kind = json_string_value(json_object_get(o, "kind"));
		const char *id = json_string_value(json_object_get(o, "id"));

		if (kind && id && strcmp(kind, sl_kind_name(SL_KIND_GATEWAY)) == 0 &&
		    strcmp(id, s->node) == 0) {
			pub_stream_snapshot(s, "scope_changed");
			return false;
		}
	}
	s->scan_at = seq;
	return sl_clock_mono_ns() < c->end_ns;
}

/** Did its scope change after the row that it has seen last? */
static bool
scope_changed(struct pub_stream *s)
{
	struct pub_bucket *b;

	if (s->scope.all)
		return false;
	b = pub_bucket(s->p, SL_SCOPE_GATEWAY, s->node);
	return b && b->record_seq > s->at;
}

static bool
log_pump(struct pub_stream *s, uint64_t end_ns)
{
	struct catch_up c = {.s = s, .end_ns = end_ns};
	bool scan = s->phase == PUB_SCAN;
	uint64_t to = scan ? s->p->load_seq : s->p->seq, from = scan ? s->scan_at : s->at;
	struct sl_error e;
	int rc = 0;

	if (scope_changed(s)) {
		pub_stream_snapshot(s, "scope_changed");
		return true;
	}
	if (from < to)
		rc = sl_store_log_read(s->p->conf.store, from + 1, scan ? scan_row : past_row, &c,
				       &e);
	if (s->phase == PUB_DROPPED || s->phase == PUB_WAIT)
		return s->phase == PUB_WAIT;
	if (rc < 0) {
		pub_stream_drop(s, e.reason, e.message);
		return false;
	}
	if (from < to && (scan ? s->scan_at : s->at) == from) { /* compacted meanwhile */
		pub_stream_snapshot(s, "compacted");
		return true;
	}
	if ((scan ? s->scan_at : s->at) < to)
		return scan || sl_rpc_conn_queued(s->conn) <= PUB_QUEUE_LOW;
	s->phase = scan ? PUB_CATCH_UP : PUB_LIVE;
	if (!scan) {
		pub_stream_beat(s);
		pub_waits_check(s->p);
	}
	return scan;
}

void
pub_stream_resume(struct pub_stream *s, uint64_t seq)
{
	s->sent_seq = s->at = s->scan_at = seq;
	s->phase = s->scope.all || seq >= s->p->load_seq ? PUB_CATCH_UP : PUB_SCAN;
	pub_wake(s->p);
}

bool
pub_stream_pump(struct pub_stream *s, uint64_t end_ns)
{
	switch (s->phase) {
	case PUB_WAIT:
		if (!is_my_turn(s))
			return false;
		snapshot_begin(s);
		return s->phase == PUB_SNAPSHOT;
	case PUB_SNAPSHOT:
		return snapshot_pump(s, end_ns);
	case PUB_SCAN:
	case PUB_CATCH_UP:
		return log_pump(s, end_ns);
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
	snapshot_close(s);
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
	snapshot_close(s);
	s->phase = PUB_DROPPED;
	if (reason)
		sl_fail(&e, -EPIPE, reason, "", "%s", message);
	sl_rpc_conn_close(s->conn, reason ? &e : NULL);
}
