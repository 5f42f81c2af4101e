/* SPDX-License-Identifier: BSD-3-Clause */
/* Snapshots: one moment of the store, in parts, as fast as the other side takes them. */
#include "pub_int.h"
#include "sl_log.h"

void
pub_snapshot_close(struct pub_stream *s)
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
	pub_snapshot_close(s);
	pub_past_drop(s);
	s->phase = PUB_WAIT;
	s->reason = reason;
	s->turn = ++s->p->next_turn;
	pub_wake(s->p);
}

/** Does somebody wait longer? */
static bool
is_my_turn(const struct pub_stream *s)
{
	if (s->p->n_snapshots >= s->p->conf.snapshots_max || s->p->feed || s->p->prep)
		return false;
	PUB_EACH (o, s->p) {
		if (o->phase == PUB_WAIT && o->turn < s->turn)
			return false;
	}
	return true;
}

/** Open it, and bring the replica to the same seq: then the sums are those of the snapshot. */
void
pub_snapshot_begin(struct pub_stream *s)
{
	struct sl_publisher *p = s->p;
	struct sl_error e;

	if (!is_my_turn(s))
		return;
	s->snap = sl_store_snap_open(p->conf.store, &e);
	if (!s->snap) {
		sl_log(SL_LOG_ERR, "repl", "no snapshot for %s: %s", s->node, e.message);
		pub_stream_drop(s, e.reason, e.message);
		return;
	}
	p->n_snapshots++;
	sl_store_snap_pos(s->snap, &s->snap_epoch, &s->snap_seq, s->snap_chain);
	pub_feed(p, s->snap_seq, 0);
	if (p->prep) { /* of a large row: then again */
		pub_snapshot_close(s);
		return;
	}
	if (p->broken || p->seq != s->snap_seq || strcmp(s->snap_epoch.id, p->epoch.id) != 0) {
		p->broken = true; /* the store was replaced: loaded anew at once, then again */
		pub_snapshot_close(s);
		return;
	}
	if (!s->scope.all && pub_scope_read(p, &s->scope)) {
		pub_snapshot_close(s);
		pub_stream_drop(s, "no_memory", "no memory");
		return;
	}
	pub_scope_sum(p, &s->scope, s->view, &s->snap_sum, &s->snap_count);
	s->snap_part = 0;
	s->snap_given = 0;
	s->snap_moved_ns = sl_clock_mono_ns();
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
	s->snap_moved_ns = sl_clock_mono_ns();
	pub_stream_send(s, &t);
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
snapshot_put(struct pub_stream *s, enum sl_kind k, const char *id, uint64_t rev, const char *text,
	     size_t len)
{
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

static bool
snapshot_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct pub_stream *s = ctx;
	struct pub_seen seen;
	bool more = true;

	if (!snapshot_has(s, k, id, rev, text, len))
		return true;
	if (s->view == PUB_STORED)
		return snapshot_put(s, k, id, rev, text, len);
	s->part.failed |= pub_see_text(s->p, k, id, text, len, &seen) != 0;
	if (seen.there)
		more = snapshot_put(s, k, id, rev, seen.text, seen.len);
	pub_seen_free(&seen);
	return more;
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
	s->row->i.snapshots_by[sl_snap_reason_of(s->reason)]++;
	s->phase = PUB_CATCH_UP;
	pub_snapshot_close(s);
}

bool
pub_snapshot_pump(struct pub_stream *s, uint64_t end_ns)
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
