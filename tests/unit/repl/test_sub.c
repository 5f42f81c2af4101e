/* SPDX-License-Identifier: BSD-3-Clause */
/* The subscriber against a source that says what the test wants: what does not fit is never
 * applied, and the next subscription tells where it stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "sl_schema_control.h"
#include "sub_int.h"

#define ID1 "11111111111111111111111111111111"
#define ID2 "22222222222222222222222222222222"
#define CHAIN(d) "b2b:" d d d d d d d d
#define C1 CHAIN("00000001")
#define C2 CHAIN("00000002")
#define C3 CHAIN("00000003")

struct script {
	struct event_base *base;
	struct node n; /* its store is not published: only port and server */
	struct owner o;
	struct sl_rpc_conn *conn;
	unsigned asked, acks, nacks;
	json_t *answer;	   /* to repl.subscribe */
	uint32_t retry_ms; /* refused, until then; 0: it is not */
	json_t *ask, *ack, *nack;
};

static json_t *
epoch_json(unsigned number, const char *id)
{
	return json_pack("{s:i, s:s, s:s, s:i}", "number", (int)number, "id", id, "parent_id", "",
			 "parent_seq", 0);
}

static json_t *
answer(const char *mode, unsigned number, const char *id, unsigned head)
{
	return json_pack("{s:s, s:i, s:s, s:s, s:o, s:i, s:i, s:i}", "sub", "r-1", "schema", 1,
			 "mode", mode, "reason", "new", "epoch", epoch_json(number, id), "from",
			 (int)head + 1, "head", (int)head, "heartbeat_s", 10);
}

static int
h_subscribe(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	    struct sl_error *e)
{
	const struct sl_rpc_repl_subscribe *q = params;
	struct script *s = user;

	s->conn = caller->conn;
	s->asked++;
	json_decref(s->ask);
	s->ask = json_pack("{s:I, s:s, s:s, s:s}", "seq", (json_int_t)(q->has_seq ? q->seq : 0),
			   "chain", q->has_chain ? q->chain : "", "why", q->has_why ? q->why : "",
			   "hash", q->has_hash ? q->hash : "");
	if (s->retry_ms) {
		sl_fail(e, -EBUSY, "rate_limited", "", "too often");
		e->retry_after_ms = s->retry_ms;
		return -EBUSY;
	}
	*result = json_incref(s->answer);
	return 0;
}

static int
h_ack(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
      struct sl_error *e)
{
	const struct sl_rpc_repl_ack *q = params;
	struct script *s = user;

	s->acks++;
	json_decref(s->ack);
	s->ack = json_pack("{s:I}", "seq", (json_int_t)q->seq);
	return 0;
}

static int
h_nack(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
       struct sl_error *e)
{
	const struct sl_rpc_repl_nack *q = params;
	struct script *s = user;

	s->nacks++;
	json_decref(s->nack);
	s->nack = json_pack("{s:I, s:s}", "seq", (json_int_t)q->seq, "code", q->code);
	return 0;
}

static int
login(void *ctx, const char *token, const struct sl_ip *from, struct sl_rpc_login *out)
{
	memset(out, 0, sizeof(*out));
	out->who.roles = SL_SR_BIT(SL_SR_GATEWAY);
	snprintf(out->who.bound, sizeof(out->who.bound), "gw-a");
	return 0;
}

static void
script_new(struct script *s)
{
	struct sl_rpc_auth auth = {.token = login};
	struct sl_endpoint at;
	struct sl_error e;
	char text[32];

	memset(s, 0, sizeof(*s));
	s->base = loop_new();
	node_new(&s->n, s->base, SL_STORE_PRIMARY); /* for a free port */
	node_stop(&s->n);
	s->n.rpc = sl_rpc_new(&sl_control_schema, s);
	assert_int_equal(sl_rpc_bind_to(s->n.rpc, "repl.subscribe", h_subscribe, s), 0);
	assert_int_equal(sl_rpc_bind_to(s->n.rpc, "repl.ack", h_ack, s), 0);
	assert_int_equal(sl_rpc_bind_to(s->n.rpc, "repl.nack", h_nack, s), 0);
	sl_rpc_set_state(s->n.rpc, SL_RPC_RUNNING);
	s->n.server = sl_rpc_server_new(s->base, s->n.rpc);
	snprintf(text, sizeof(text), "127.0.0.1:%u", s->n.port);
	assert_int_equal(sl_endpoint_parse(text, &at), 0);
	assert_int_equal(sl_rpc_server_tls(s->n.server, &at, NULL, &auth, NULL, &e), 0);
	owner_init(&s->o);
	s->answer = answer("snapshot", 1, ID1, 1);
	owner_dial(&s->o, s->base, "gw-a", false, &s->n.port, 1);
	UNTIL(s, s->asked == 1);
}

static void
script_free(struct script *s)
{
	char cmd[160];

	owner_hang_up(&s->o);
	owner_free(&s->o);
	sl_rpc_server_free(s->n.server);
	sl_rpc_free(s->n.rpc);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", s->n.dir);
	assert_int_equal(system(cmd), 0);
	json_decref(s->answer);
	json_decref(s->ask);
	json_decref(s->ack);
	json_decref(s->nack);
	loop_free(s->base);
}

static void
say(struct script *s, const char *method, json_t *params)
{
	assert_non_null(params);
	assert_int_equal(sl_rpc_conn_notify(s->conn, method, params), 0);
}

static const char *
sum_of(const struct sl_replica *r)
{
	static char text[SL_HASH_STR];
	struct sl_hash_sum sum;

	sl_replica_sum(r, &sum);
	return sl_hash_str(&sum, text);
}

/** Peers 1..n as a list of objects, and the sum that they have. */
static json_t *
objects(unsigned n, char sum[SL_HASH_STR])
{
	struct sl_replica *r = sl_replica_new();
	json_t *list = json_array();

	for (unsigned i = 1; i <= n; i++) {
		json_t *body = peer_body(i, "wg0");
		char id[32];

		snprintf(id, sizeof(id), "p-%u", i);
		sl_replica_put(r, SL_KIND_PEER, id, i, body);
		json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:o}", "kind", "peer", "id",
						      id, "rev", (int)i, "obj", body));
	}
	snprintf(sum, SL_HASH_STR, "%s", sum_of(r));
	sl_replica_free(r);
	return list;
}

static void
say_snapshot(struct script *s, unsigned number, const char *id, unsigned seq, unsigned n)
{
	char sum[SL_HASH_STR];
	json_t *list = objects(n, sum);

	say(s, "repl.snapshot",
	    json_pack("{s:s, s:o, s:i, s:i, s:b, s:o, s:i, s:s, s:s}", "sub", "r-1", "epoch",
		      epoch_json(number, id), "seq", (int)seq, "part", 1, "last", 1, "objects",
		      list, "count", (int)n, "hash", sum, "chain", C1));
}

static json_t *
txn(unsigned prev, unsigned seq, const char *chain)
{
	json_t *body = peer_body(100 + seq, "wg0");
	char id[32];

	snprintf(id, sizeof(id), "p-%u", 100 + seq);
	return json_pack("{s:s, s:{s:i, s:s}, s:i, s:i, s:s, s:[{s:s, s:s, s:s, s:i, s:o}]}", "sub",
			 "r-1", "epoch", "number", 1, "id", ID1, "prev", (int)prev, "seq", (int)seq,
			 "chain", chain, "ops", "op", "put", "kind", "peer", "id", id, "rev", 1,
			 "obj", body);
}

static json_t *
beat(const struct script *s, unsigned head, unsigned scope_seq)
{
	return json_pack("{s:s, s:{s:i, s:s}, s:i, s:i, s:s, s:s, s:s}", "sub", "r-1", "epoch",
			 "number", 1, "id", ID1, "head", (int)head, "scope_seq", (int)scope_seq,
			 "hash", sum_of(s->o.replica), "chain", C3, "now", "2026-11-26T10:00:00Z");
}

/** Snapshot of two objects at seq 1: the begin of most tests. */
static void
begin(struct script *s)
{
	script_new(s);
	say_snapshot(s, 1, ID1, 1, 2);
	UNTIL(s, s->o.snapshots == 1 && s->acks == 1);
	json_decref(s->answer);
	s->answer = answer("resume", 1, ID1, 1);
}

static long
ask_seq(const struct script *s)
{
	return (long)json_integer_value(json_object_get(s->ask, "seq"));
}

static const char *
ask_text(const struct script *s, const char *what)
{
	return json_string_value(json_object_get(s->ask, what));
}

static void
test_follows(void **state)
{
	struct script s;

	begin(&s);
	say(&s, "repl.txn", txn(1, 4, C2));
	UNTIL(&s, s.o.txns == 1 && s.acks == 2);
	assert_int_equal(json_integer_value(json_object_get(s.ack, "seq")), 4);
	/* once more: ignored, and the stream goes on */
	say(&s, "repl.txn", txn(1, 4, C2));
	say(&s, "repl.txn", txn(4, 5, C3));
	UNTIL(&s, s.o.txns == 2);
	assert_int_equal(s.o.downs, 0);
	assert_int_equal(s.o.pos.seq, 5);
	/* of another subscription */
	{
		json_t *t = txn(5, 6, C2);

		json_object_set_new(t, "sub", json_string("r-0"));
		say(&s, "repl.txn", t);
	}
	turn(s.base, 50);
	assert_int_equal(s.o.txns, 2);
	assert_int_equal(s.o.downs, 0);
	script_free(&s);
}

/** What does not follow ends the connection; the next one asks from where we stand. */
static void
desyncs(struct script *s, const char *method, json_t *params)
{
	unsigned asked = s->asked, txns = s->o.txns, snapshots = s->o.snapshots;

	say(s, method, params);
	UNTIL(s, s->o.downs == 1);
	assert_string_equal(s->o.down_reason, "desync");
	UNTIL(s, s->asked == asked + 1);
	assert_int_equal(ask_seq(s), s->o.pos.seq);
	assert_string_equal(ask_text(s, "chain"), s->o.pos.chain);
	assert_string_equal(ask_text(s, "hash"), sum_of(s->o.replica));
	assert_int_equal(s->o.txns, txns);
	assert_int_equal(s->o.snapshots, snapshots);
	assert_int_equal(s->o.wrong + s->o.broken, 0);
}

static void
test_desync(void **state)
{
	for (unsigned i = 0; i < 12; i++) {
		struct script s;
		json_t *t = NULL;
		const char *method = "repl.txn";

		begin(&s);
		say(&s, "repl.txn", txn(1, 4, C2));
		UNTIL(&s, s.o.txns == 1);
		switch (i) {
		case 0: /* a gap */
			t = txn(5, 6, C3);
			break;
		case 1: /* back */
			t = txn(1, 3, C3);
			break;
		case 2: /* the same seq, other content */
			t = txn(1, 4, C3);
			break;
		case 3: /* follows, but does not grow */
			t = txn(4, 4, C3);
			break;
		case 4: /* another epoch */
			t = txn(4, 5, C3);
			json_object_set_new(json_object_get(t, "epoch"), "id", json_string(ID2));
			break;
		case 5: /* a part that was not begun */
			t = txn(4, 5, C3);
			json_object_set_new(t, "part", json_integer(2));
			break;
		case 6: /* no ops */
			t = txn(4, 5, C3);
			json_object_set_new(t, "ops", json_integer(2));
			break;
		case 7: /* a heartbeat that knows of a transaction that we do not */
			method = "repl.heartbeat";
			t = beat(&s, 9, 5);
			break;
		case 8:
			method = "repl.heartbeat";
			t = beat(&s, 9, 4);
			json_object_set_new(t, "hash", json_string("b2b:zz"));
			break;
		case 9: /* a snapshot that goes back within the epoch */
			method = "repl.snapshot";
			t = json_pack("{s:s, s:o, s:i, s:i, s:b, s:[]}", "sub", "r-1", "epoch",
				      epoch_json(1, ID1), "seq", 3, "part", 1, "last", 0,
				      "objects");
			break;
		case 10: /* one that begins in the middle */
			method = "repl.snapshot";
			t = json_pack("{s:s, s:o, s:i, s:i, s:b, s:[]}", "sub", "r-1", "epoch",
				      epoch_json(1, ID1), "seq", 9, "part", 2, "last", 0,
				      "objects");
			break;
		case 11: /* one that nobody can read */
			method = "repl.snapshot";
			t = json_pack("{s:s, s:i}", "sub", "r-1", "seq", 9);
			break;
		}
		desyncs(&s, method, t);
		script_free(&s);
	}
}

/** Parts of a transaction: none is applied before the last is there. */
static void
test_txn_parts(void **state)
{
	struct script s;

	begin(&s);
	for (unsigned i = 1; i <= 3; i++) {
		json_t *t = txn(1, 4, C2);

		json_object_set_new(t, "part", json_integer(i));
		json_object_set_new(t, "last", json_boolean(i == 3));
		json_object_set_new(json_array_get(json_object_get(t, "ops"), 0), "id",
				    json_string(i == 1	 ? "p-a"
						: i == 2 ? "p-b"
							 : "p-c"));
		say(&s, "repl.txn", t);
		turn(s.base, 20);
		assert_int_equal(s.o.txns, i == 3);
	}
	assert_int_equal(sl_replica_count(s.o.replica), 5);
	/* a whole one in the middle of another's parts */
	{
		json_t *t = txn(4, 5, C3);

		json_object_set_new(t, "part", json_integer(1));
		json_object_set_new(t, "last", json_false());
		say(&s, "repl.txn", t);
	}
	desyncs(&s, "repl.txn", txn(4, 5, C3));
	script_free(&s);
}

static json_t *
part(unsigned number, unsigned seq, bool last, json_t *list)
{
	return json_pack("{s:s, s:o, s:i, s:i, s:b, s:o}", "sub", "r-1", "epoch",
			 epoch_json(1, ID1), "seq", (int)seq, "part", (int)number, "last",
			 (int)last, "objects", list);
}

/** More than anybody has is not taken, and not looked at again at once; what is there stays. */
static void
too_large(struct script *s)
{
	UNTIL(s, s->o.downs == 1);
	assert_string_equal(s->o.down_reason, "too_large");
	UNTIL(s, s->nacks == 1);
	assert_string_equal(json_string_value(json_object_get(s->nack, "code")), "too_large");
	assert_int_equal(json_integer_value(json_object_get(s->nack, "seq")), 9);
	turn(s->base, 800); /* at first it dials again after 0.2 s */
	assert_int_equal(s->asked, 1);
	assert_int_equal(s->o.pos.seq, 1);
	assert_int_equal(sl_replica_count(s->o.replica), 2);
	assert_int_equal(s->o.wrong + s->o.broken, 0);
	script_free(s);
}

/** So many things that are none. */
static json_t *
many(unsigned n)
{
	json_t *list = json_array(), *nothing = json_true();

	while (n-- > 0)
		json_array_append(list, nothing);
	json_decref(nothing);
	return list;
}

static void
test_endless_txn(void **state)
{
	struct script s;

	begin(&s);
	for (unsigned i = 1; i <= 3; i++) {
		json_t *t = txn(1, 9, C2);

		json_object_set_new(t, "part", json_integer(i));
		json_object_set_new(t, "last", json_false());
		json_object_set_new(t, "ops", many(900000));
		say(&s, "repl.txn", t);
	}
	too_large(&s);
}

static void
test_endless_snapshot(void **state)
{
	struct script s;

	begin(&s);
	for (unsigned i = 1; i <= 4; i++) {
		say(&s, "repl.snapshot", part(i, 9, false, many(600000)));
		if (i < 4)
			UNTIL(&s, s.o.parts == 1 + i);
	}
	UNTIL(&s, s.o.downs == 1);
	assert_int_equal(s.o.parts, 4);
	assert_int_equal(s.o.aborts, 1);
	too_large(&s);
}

/** What anybody may have is far from the bounds, in bytes too. */
static void
test_bounds(void **state)
{
	const struct sub_bounds *b = sub_snapshot_bounds(false);
	struct sub_came c = {0};
	struct sl_error e;

	assert_int_equal(sub_came_add(&c, b, 80 << 20, 232000, &e), 0);
	assert_true(b->bytes > 4 * c.bytes && b->items > 4 * c.items);
	assert_int_equal(sub_came_add(&c, b, b->bytes - c.bytes, 0, &e), 0);
	assert_int_equal(sub_came_add(&c, b, 1, 0, &e), -EBADMSG);
	assert_string_equal(e.reason, "too_large");
	assert_true(sub_snapshot_bounds(true)->bytes > b->bytes);
	c = (struct sub_came){0};
	assert_int_equal(sub_came_add(&c, sub_txn_bounds(), 8 << 20, 1 << 20, &e), 0);
	assert_int_equal(sub_came_add(&c, sub_txn_bounds(), 24 << 20, 0, &e), 0);
	assert_int_equal(sub_came_add(&c, sub_txn_bounds(), 1, 0, &e), -EBADMSG);
}

/** Parts of a snapshot that do not fit: what was begun is given up, the old state stays. */
static void
test_snapshot_parts(void **state)
{
	char sum[SL_HASH_STR];

	for (unsigned i = 0; i < 4; i++) {
		struct script s;

		begin(&s);
		say(&s, "repl.snapshot", part(1, 9, false, objects(3, sum)));
		UNTIL(&s, s.o.parts == 2);
		if (i == 0)
			desyncs(&s, "repl.snapshot", part(3, 9, false, json_array()));
		else if (i == 1)
			desyncs(&s, "repl.snapshot", part(2, 10, false, json_array()));
		else if (i == 2)
			desyncs(&s, "repl.txn", txn(1, 10, C2));
		else
			desyncs(&s, "repl.snapshot", part(2, 9, true, json_array())); /* no hash */
		assert_int_equal(s.o.aborts, 1);
		assert_int_equal(sl_replica_count(s.o.replica), 2);
		script_free(&s);
	}
}

/** A snapshot that is not what it claims: refused, told, and not asked for again at once. */
static void
test_snapshot_false(void **state)
{
	struct script s;
	char sum[SL_HASH_STR];
	json_t *t;

	begin(&s);
	t = part(1, 9, true, objects(3, sum));
	json_object_set_new(t, "count", json_integer(3));
	json_object_set_new(t, "hash", json_string(CHAIN("0badbad0")));
	json_object_set_new(t, "chain", json_string(C2));
	say(&s, "repl.snapshot", t);
	UNTIL(&s, s.o.downs == 1 && s.nacks == 1);
	assert_string_equal(json_string_value(json_object_get(s.nack, "code")), "hash_mismatch");
	assert_int_equal(s.o.aborts, 1);
	assert_int_equal(s.o.pos.seq, 1);
	turn(s.base, 1000);
	assert_int_equal(s.asked, 1);
	script_free(&s);
}

/** A new snapshot in the middle of the stream, of a later epoch. */
static void
test_snapshot_unasked(void **state)
{
	struct script s;

	begin(&s);
	say_snapshot(&s, 2, ID2, 1, 5);
	UNTIL(&s, s.o.snapshots == 2);
	assert_int_equal(s.o.pos.epoch.number, 2);
	assert_int_equal(s.o.downs, 0);
	/* and one of the former epoch is not taken any more */
	say_snapshot(&s, 1, ID1, 100, 2);
	UNTIL(&s, s.o.downs == 1);
	assert_string_equal(s.o.down_reason, "epoch_refused");
	assert_int_equal(s.o.snapshots, 2);
	script_free(&s);
}

/** An id belongs to one number: ours under a higher one could lead back within an epoch. */
static void
test_epoch_renumbered(void **state)
{
	struct script s;

	begin(&s);
	say(&s, "repl.txn", txn(1, 4, C2));
	UNTIL(&s, s.o.txns == 1);
	say_snapshot(&s, 2, ID1, 3, 5);
	UNTIL(&s, s.o.downs == 1);
	assert_string_equal(s.o.down_reason, "epoch_refused");
	assert_int_equal(s.o.snapshots, 1);
	assert_int_equal(s.o.broken, 0);
	script_free(&s);
}

/** A snapshot takes the place of a transaction whose parts have not all come. */
static void
test_snapshot_between_parts(void **state)
{
	struct script s;
	json_t *t;

	begin(&s);
	t = txn(1, 4, C2);
	json_object_set_new(t, "part", json_integer(1));
	json_object_set_new(t, "last", json_false());
	say(&s, "repl.txn", t);
	say_snapshot(&s, 1, ID1, 5, 3);
	UNTIL(&s, s.o.snapshots == 2);
	say(&s, "repl.txn", txn(5, 6, C2));
	UNTIL(&s, s.o.txns == 1);
	assert_int_equal(s.o.pos.seq, 6);
	assert_int_equal(s.o.downs, 0);
	script_free(&s);
}

/** What a heartbeat told is where we stand; the next prev is that of the subscription. */
static void
test_heartbeat_head(void **state)
{
	struct script s;

	begin(&s);
	say(&s, "repl.heartbeat", beat(&s, 7, 1));
	UNTIL(&s, s.o.heartbeats == 1);
	UNTIL(&s, json_integer_value(json_object_get(s.ack, "seq")) == 7);
	say(&s, "repl.txn", txn(1, 8, C2));
	UNTIL(&s, s.o.txns == 1);
	say(&s, "repl.heartbeat", beat(&s, 12, 8));
	UNTIL(&s, s.o.heartbeats == 2);
	json_decref(s.answer);
	s.answer = answer("resume", 1, ID1, 12);
	sl_rpc_conn_close(s.conn, NULL);
	UNTIL(&s, s.asked == 2);
	assert_int_equal(ask_seq(&s), 12);
	assert_string_equal(ask_text(&s, "chain"), C3);
	say(&s, "repl.heartbeat", beat(&s, 15, 12));
	UNTIL(&s, s.o.heartbeats == 3);
	say(&s, "repl.txn", txn(12, 16, C2));
	UNTIL(&s, s.o.txns == 2);
	assert_int_equal(s.o.pos.seq, 16);
	assert_int_equal(s.o.downs, 1);
	script_free(&s);
}

/** A follower that has less than we: its answer changes nothing here. */
static void
test_behind(void **state)
{
	struct script s;

	begin(&s);
	json_decref(s.answer);
	s.answer = answer("behind", 1, ID1, 0);
	sl_rpc_conn_close(s.conn, NULL);
	UNTIL(&s, s.asked >= 3);
	assert_int_equal(s.o.ups, 1);
	assert_int_equal(s.o.pos.seq, 1);
	assert_int_equal(s.o.snapshots, 1);
	script_free(&s);
}

/** The pause between rounds grows. */
static void
test_backoff(void **state)
{
	struct script s;

	script_new(&s);
	json_decref(s.answer);
	s.answer = answer("behind", 1, ID1, 0);
	sl_rpc_conn_close(s.conn, NULL);
	turn(s.base, 3000);
	/* 0.1-0.2 + 0.2-0.4 + 0.4-0.8 + 0.8-1.6 s ... */
	assert_in_range(s.asked, 3, 6);
	script_free(&s);
}

/** A source that says when to come back is not asked before. */
static void
test_told_to_wait(void **state)
{
	struct script s;
	unsigned asked;

	script_new(&s);
	s.retry_ms = 1000;
	sl_rpc_conn_close(s.conn, NULL);
	asked = s.asked;
	UNTIL(&s, s.asked == asked + 1);
	turn(s.base, 900); /* without that it would have come back three times */
	assert_int_equal(s.asked, asked + 1);
	s.retry_ms = 0;
	UNTIL(&s, s.asked == asked + 2);
	script_free(&s);
}

/** A source that sends what was not asked for is left, before anything of it is taken. */
static void
test_other_schema(void **state)
{
	struct script s;
	struct sl_sub_info i;

	begin(&s);
	json_object_set_new(s.answer, "schema", json_integer(7));
	sl_rpc_conn_close(s.conn, NULL);
	UNTIL(&s, s.asked >= 3);
	assert_false(s.o.up);
	assert_int_equal(s.o.snapshots, 1);
	sl_sub_info(s.o.sub, &i);
	assert_memory_equal(i.last_error, "schema_unsupported", 18);
	script_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_schema),
		cmocka_unit_test(test_follows),
		cmocka_unit_test(test_desync),
		cmocka_unit_test(test_txn_parts),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_endless_txn),
		cmocka_unit_test(test_endless_snapshot),
		cmocka_unit_test(test_snapshot_parts),
		cmocka_unit_test(test_snapshot_false),
		cmocka_unit_test(test_snapshot_unasked),
		cmocka_unit_test(test_epoch_renumbered),
		cmocka_unit_test(test_snapshot_between_parts),
		cmocka_unit_test(test_heartbeat_head),
		cmocka_unit_test(test_behind),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_told_to_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
