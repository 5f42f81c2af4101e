/* SPDX-License-Identifier: BSD-3-Clause */
/* Publisher and subscriber end to end: what a subscription gets, and that it stays equal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "pub_int.h"
#include "sl_base.h"

struct pair {
	struct event_base *base;
	struct node n;
	struct owner o;
};

static void
pair_new(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	p->base = loop_new();
	node_new(&p->n, p->base, SL_STORE_PRIMARY);
	fill(&p->n);
	owner_init(&p->o);
}

static void
pair_free(struct pair *p)
{
	assert_int_equal(p->o.wrong + p->o.broken, 0);
	owner_hang_up(&p->o);
	node_free(&p->n);
	owner_free(&p->o);
	loop_free(p->base);
}

static void
dial(struct pair *p)
{
	owner_dial(&p->o, p->base, "gw-a", false, &p->n.port, 1);
}

/** Subscribed and equal. */
static void
arrive(struct pair *p)
{
	UNTIL(p, p->o.up && owner_equals(&p->o, &p->n, "gw-a"));
}

static void
test_new_then_live(void **state)
{
	struct pair p;
	uint64_t seq;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	assert_int_equal(p.o.snapshots, 1);
	assert_string_equal(p.o.reason, "new");
	seq = put_peer(&p.n, 50, "wg0");
	UNTIL(&p, p.o.pos.seq == seq);
	assert_true(owner_equals(&p.o, &p.n, "gw-a"));
	seq = del(&p.n, SL_KIND_PEER, "p-50");
	UNTIL(&p, p.o.pos.seq == seq);
	assert_true(owner_equals(&p.o, &p.n, "gw-a"));
	assert_int_equal(p.o.txns, 2);
	UNTIL(&p, row_of(&p.n, "gw-a").i.acked_seq == seq);
	assert_true(row_of(&p.n, "gw-a").i.connected);
	assert_true(row_of(&p.n, "gw-a").i.hash_ok);
	assert_false(row_of(&p.n, "gw-a").i.follower);
	assert_int_equal(row_of(&p.n, "gw-a").i.snapshots, 1);
	owner_hang_up(&p.o);
	UNTIL(&p, !row_of(&p.n, "gw-a").i.connected);
	pair_free(&p);
}

static void
test_resume(void **state)
{
	struct pair p;
	uint64_t seq;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	owner_hang_up(&p.o);
	for (unsigned i = 60; i < 80; i++)
		seq = put_peer(&p.n, i, i & 1 ? "wg0" : "wg1");
	dial(&p);
	UNTIL(&p, p.o.pos.seq == seq);
	assert_true(owner_equals(&p.o, &p.n, "gw-a"));
	assert_int_equal(p.o.snapshots, 1);
	assert_int_equal(p.o.txns, 10);
	pair_free(&p);
}

/** What a heartbeat told counts: the log up to there may go. */
static void
test_resume_at_head(void **state)
{
	struct pair p;
	struct sl_error e;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	for (unsigned i = 0; i < 20; i++)
		put_peer(&p.n, 100 + i, "wg1"); /* not of its scope */
	p.n.conf.heartbeat_s = 1;
	node_stop(&p.n);
	node_start(&p.n);
	UNTIL(&p, p.o.up && p.o.head == sl_store_head(p.n.store));
	assert_int_equal(p.o.snapshots, 1);
	assert_int_equal(p.o.txns, 0);
	UNTIL(&p, row_of(&p.n, "gw-a").i.acked_seq == p.o.head);
	turn(p.base, 1100); /* a row must be older than 0 s */
	assert_true(sl_store_compact(p.n.store, 0, 0, UINT64_MAX, &e) > 0);
	node_stop(&p.n);
	node_start(&p.n);
	UNTIL(&p, p.o.ups == 3);
	put_peer(&p.n, 200, "wg0");
	UNTIL(&p, p.o.txns == 1);
	assert_int_equal(p.o.snapshots, 1);
	assert_true(owner_equals(&p.o, &p.n, "gw-a"));
	pair_free(&p);
}

static void
test_compacted(void **state)
{
	struct pair p;
	struct sl_error e;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	owner_hang_up(&p.o);
	put_peer(&p.n, 60, "wg0");
	put_peer(&p.n, 61, "wg0");
	turn(p.base, 1100); /* a row must be older than 0 s */
	assert_true(sl_store_compact(p.n.store, 0, 0, sl_publisher_keep_from(p.n.pub), &e) > 0);
	dial(&p);
	arrive(&p);
	assert_int_equal(p.o.snapshots, 2);
	assert_string_equal(p.o.reason, "compacted");
	pair_free(&p);
}

/** Another process gives the store a new epoch while they are connected. */
static void
test_epoch_changed(void **state)
{
	struct pair p;
	struct sl_error e;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	assert_int_equal(sl_store_new_epoch(p.n.writer, "test", &e), 0);
	UNTIL(&p, p.o.pos.epoch.number == 2);
	assert_string_equal(p.o.reason, "epoch_changed");
	assert_int_equal(p.o.downs, 0);
	put_peer(&p.n, 60, "wg0");
	UNTIL(&p, p.o.txns == 1);
	assert_true(owner_equals(&p.o, &p.n, "gw-a"));
	pair_free(&p);
}

/** Commits of other processes are published without a word from them. */
static void
test_other_process(void **state)
{
	struct pair p;
	struct sl_error e;
	struct sl_store_txn *t;
	json_t *body = peer_body(70, "wg0");
	uint64_t seq;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	t = sl_store_begin(p.n.writer, "other", "other", &e);
	assert_int_equal(sl_store_put(t, SL_KIND_PEER, "p-70", SL_REV_NONE, body, &e), 0);
	assert_int_equal(sl_store_commit(t, &seq, &e), 0);
	json_decref(body);
	UNTIL(&p, p.o.pos.seq == seq);
	assert_true(owner_equals(&p.o, &p.n, "gw-a"));
	pair_free(&p);
}

/** A file put back behind our back: who has seen more makes the primary begin a new epoch. */
static void
seq_ahead_or_diverged(const char *reason, uint64_t seq, const char *chain)
{
	struct pair p;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	owner_hang_up(&p.o);
	p.o.pos.seq += seq;
	if (chain)
		snprintf(p.o.pos.chain, sizeof(p.o.pos.chain), "%s", chain);
	dial(&p);
	UNTIL(&p, p.o.pos.epoch.number == 2 && p.n.rewinds == 1);
	assert_string_equal(p.o.reason, reason);
	assert_true(owner_equals(&p.o, &p.n, "gw-a"));
	pair_free(&p);
}

static void
test_seq_ahead(void **state)
{
	seq_ahead_or_diverged("seq_ahead", 1000, NULL);
}

static void
test_diverged(void **state)
{
	seq_ahead_or_diverged(
		"diverged", 0,
		"b2b:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
}

/** While somebody else changes the store the loop does not wait for it. */
static void
test_rewind_waits(void **state)
{
	struct sl_store_txn *t;
	struct sl_sub_info info;
	struct sl_error e;
	struct pair p;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	owner_hang_up(&p.o);
	p.o.pos.seq += 1000;
	t = sl_store_begin(p.n.writer, "test", "test", &e);
	assert_non_null(t);
	dial(&p);
	for (unsigned i = 0; i < 2; i++) { /* the second time it is on its way */
		owner_hang_up(&p.o);
		dial(&p);
		UNTIL(&p, (sl_sub_info(p.o.sub, &info), strstr(info.last_error, "new epoch")));
	}
	assert_int_equal(p.n.rewinds, 0);
	sl_store_abort(t);
	UNTIL(&p, p.o.pos.epoch.number == 2 && p.n.rewinds == 1);
	assert_string_equal(p.o.reason, "seq_ahead");
	/* its next one has no such reason any more */
	owner_hang_up(&p.o);
	assert_int_equal(sl_store_new_epoch(p.n.writer, "test", &e), 0);
	dial(&p);
	UNTIL(&p, p.o.pos.epoch.number == 3);
	assert_string_equal(p.o.reason, "epoch_changed");
	pair_free(&p);
}

/** One that claims to be ahead again and again does not cause an epoch each time. */
static void
test_rewind_limit(void **state)
{
	struct pair p;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	for (unsigned i = 0; i < 3; i++) {
		owner_hang_up(&p.o);
		p.o.pos.seq += 1000;
		dial(&p);
		if (i == 0)
			UNTIL(&p, p.n.rewinds == 1 && p.o.pos.epoch.number == 2);
		turn(p.base, 400);
	}
	assert_int_equal(p.n.rewinds, 1);
	assert_int_equal(p.o.pos.epoch.number, 2);
	/* a minute later: not because of the same one, but of another */
	p.n.pub->rewind_mono_ns = 0;
	owner_hang_up(&p.o);
	dial(&p);
	turn(p.base, 400);
	assert_int_equal(p.n.rewinds, 1);
	owner_hang_up(&p.o);
	owner_dial(&p.o, p.base, "gw-b", false, &p.n.port, 1);
	UNTIL(&p, p.n.rewinds == 2);
	pair_free(&p);
}

/** A lower epoch, or the same number with another id, is not taken unless somebody confirms. */
static void
test_lower_epoch(void **state)
{
	struct pair p;
	char id[33];

	pair_new(&p);
	dial(&p);
	arrive(&p);
	memcpy(id, p.o.pos.epoch.id, sizeof(id));
	for (unsigned number = 1; number <= 2; number++) {
		owner_hang_up(&p.o);
		p.o.pos.epoch.number = number;
		memcpy(p.o.pos.epoch.id, "00112233445566778899aabbccddeeff", 33);
		dial(&p);
		turn(p.base, 300);
		assert_false(p.o.up);
		assert_int_equal(p.o.snapshots, 1);
		assert_int_equal(p.n.rewinds, 0);
	}
	owner_hang_up(&p.o);
	p.o.pos.epoch.number = 1;
	p.o.any_epoch = true;
	dial(&p);
	UNTIL(&p, p.o.snapshots == 2);
	assert_string_equal(p.o.pos.epoch.id, id);
	pair_free(&p);
}

/** A bit has flipped here: one snapshot mends it. If it does not, no more of them. */
static void
test_hash_mismatch(void **state)
{
	struct pair p;

	p.n.conf = (struct sl_publisher_conf){0};
	pair_new(&p);
	node_stop(&p.n);
	p.n.conf.heartbeat_s = 1;
	node_start(&p.n);
	dial(&p);
	arrive(&p);
	p.o.false_sum = true;
	UNTIL(&p, p.o.snapshots == 2);
	assert_string_equal(p.o.reason, "hash_mismatch");
	arrive(&p);
	p.o.false_sum = true;
	UNTIL(&p, strcmp(row_of(&p.n, "gw-a").i.nack_code, "hash_mismatch") == 0);
	assert_false(row_of(&p.n, "gw-a").i.hash_ok);
	turn(p.base, 2200);
	assert_int_equal(p.o.snapshots, 2);
	assert_int_equal(p.o.downs, 0);
	pair_free(&p);
}

/** A transaction and a snapshot larger than a line come in parts and are one. */
static void
test_parts(void **state)
{
	struct pair p;
	struct sl_error e;
	struct sl_store_txn *t;
	uint64_t seq;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	t = sl_store_begin(p.n.store, "test", "test", &e);
	for (unsigned i = 1000; i < 3000; i++) {
		json_t *body = peer_body(i, "wg0");
		char id[32];

		snprintf(id, sizeof(id), "p-%u", i);
		assert_int_equal(sl_store_put(t, SL_KIND_PEER, id, SL_REV_NONE, body, &e), 0);
		json_decref(body);
	}
	assert_int_equal(sl_store_commit(t, &seq, &e), 0);
	sl_publisher_kick(p.n.pub);
	UNTIL(&p, p.o.pos.seq == seq);
	assert_int_equal(p.o.txns, 1);
	assert_true(owner_equals(&p.o, &p.n, "gw-a"));
	sl_sub_resync(p.o.sub, "resync");
	UNTIL(&p, p.o.snapshots == 2);
	assert_string_equal(p.o.reason, "resync");
	assert_true(p.o.parts > 4);
	assert_true(owner_equals(&p.o, &p.n, "gw-a"));
	pair_free(&p);
}

/** A transaction that no outbox holds is not sent again and again: a snapshot is. */
static void
test_too_large(void **state)
{
	struct pair p;

	pair_new(&p);
	node_stop(&p.n);
	p.n.conf.outbox_max = 100000;
	node_start(&p.n);
	dial(&p);
	arrive(&p);
	for (unsigned live = 0; live < 2; live++) {
		struct sl_error e;
		struct sl_store_txn *t = sl_store_begin(p.n.store, "test", "test", &e);
		uint64_t seq;

		for (unsigned i = 1000; i < 3000; i++) {
			json_t *body = peer_body(i, "wg0");
			char id[32];

			json_object_set_new(body, "keepalive_s", json_integer(live));
			snprintf(id, sizeof(id), "p-%u", i);
			assert_int_equal(sl_store_put(t, SL_KIND_PEER, id, SL_REV_ANY, body, &e),
					 0);
			json_decref(body);
		}
		assert_int_equal(sl_store_commit(t, &seq, &e), 0);
		if (live) {
			sl_publisher_kick(p.n.pub);
		} else { /* while it was away */
			owner_hang_up(&p.o);
			dial(&p);
		}
		UNTIL(&p, p.o.up && owner_equals(&p.o, &p.n, "gw-a"));
		assert_int_equal(p.o.snapshots, 2 + live);
		assert_int_equal(p.o.txns, 0);
		assert_string_equal(p.o.reason, "resync");
	}
	assert_int_equal(p.o.downs, 0);
	put_peer(&p.n, 70, "wg0");
	UNTIL(&p, p.o.txns == 1);
	pair_free(&p);
}

/** Sizes around that of a part: nothing is lost between one line and two. */
static void
test_part_boundary(void **state)
{
	struct pair p;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	/* 60 ops that are together as large as a part, a little more, a little less */
	for (unsigned len = 790; len < 870; len++) {
		struct sl_error e;
		struct sl_store_txn *t = sl_store_begin(p.n.store, "test", "test", &e);
		uint64_t seq;
		char text[1100];

		memset(text, 'x', sizeof(text));
		for (unsigned i = 0; i < 60; i++) {
			json_t *body = peer_body(1000 + i, "wg0");
			char id[32];

			text[len] = '\0';
			json_object_set_new(body, "description", json_string(text));
			snprintf(id, sizeof(id), "p-%u", 1000 + i);
			assert_int_equal(sl_store_put(t, SL_KIND_PEER, id, SL_REV_ANY, body, &e),
					 0);
			json_decref(body);
		}
		assert_int_equal(sl_store_commit(t, &seq, &e), 0);
		sl_publisher_kick(p.n.pub);
		UNTIL(&p, p.o.pos.seq == seq);
		assert_true(owner_equals(&p.o, &p.n, "gw-a"));
	}
	pair_free(&p);
}

/** An owner that takes its time gets one thing after another. */
static void
test_owner_takes_time(void **state)
{
	struct pair p;

	pair_new(&p);
	p.o.defer = true;
	dial(&p);
	UNTIL(&p, p.o.waiting); /* begin */
	turn(p.base, 50);
	assert_int_equal(p.o.parts, 0);
	owner_go(&p.o);
	UNTIL(&p, p.o.parts == 1);
	assert_int_equal(p.o.snapshots, 0);
	owner_go(&p.o);
	UNTIL(&p, p.o.snapshots == 1);
	for (unsigned i = 0; i < 5; i++)
		put_peer(&p.n, 60 + i, "wg0");
	turn(p.base, 50);
	assert_int_equal(p.o.txns, 0);
	owner_go(&p.o);
	for (unsigned i = 1; i <= 5; i++) {
		UNTIL(&p, p.o.waiting && p.o.txns == i);
		turn(p.base, 20);
		assert_int_equal(p.o.txns, i);
		owner_go(&p.o);
	}
	assert_true(owner_equals(&p.o, &p.n, "gw-a"));
	pair_free(&p);
}

/** The connection goes while the owner is at work. */
static void
test_gone_at_work(void **state)
{
	struct pair p;

	pair_new(&p);
	p.o.defer = true;
	dial(&p);
	UNTIL(&p, p.o.waiting);
	owner_go(&p.o);
	UNTIL(&p, p.o.parts == 1);
	node_stop(&p.n);
	/* it does not read while its owner works; writing shows that nobody is there */
	for (unsigned i = 0; i < 5000 && p.o.downs == 0; i++) {
		sl_sub_call(p.o.sub, "stats.report", json_pack("{s:s, s:[]}", "boot", "b", "peers"),
			    NULL, NULL);
		turn(p.base, 1);
	}
	node_start(&p.n);
	turn(p.base, 600); /* it has dialled again, and waits for its owner */
	assert_int_equal(p.o.aborts, 0);
	p.o.defer = false;
	owner_go(&p.o);
	assert_int_equal(p.o.aborts, 1);
	arrive(&p);
	/* the same at a transaction: it is done, and not asked for again */
	p.o.defer = true;
	put_peer(&p.n, 60, "wg0");
	UNTIL(&p, p.o.waiting);
	node_stop(&p.n);
	turn(p.base, 50);
	p.o.defer = false;
	owner_go(&p.o);
	node_start(&p.n);
	UNTIL(&p, p.o.up);
	arrive(&p);
	assert_int_equal(p.o.txns, 1);
	assert_int_equal(p.o.snapshots, 1);
	pair_free(&p);
}

/** Who does not keep up is disconnected, and resumes. */
static void
test_slow(void **state)
{
	struct pair p;
	unsigned connects;
	struct sl_sub_info info;

	pair_new(&p);
	node_stop(&p.n);
	p.n.conf.outbox_max = 300000;
	node_start(&p.n);
	dial(&p);
	arrive(&p);
	sl_sub_info(p.o.sub, &info);
	connects = (unsigned)info.connects;
	p.o.defer = true;
	/* what fills the outbox must first fill the sockets' buffers */
	for (unsigned k = 0; k < 150 && row_of(&p.n, "gw-a").i.connected; k++) {
		struct sl_error e;
		struct sl_store_txn *t = sl_store_begin(p.n.store, "test", "test", &e);
		uint64_t seq;

		for (unsigned i = 0; i < 1000; i++) {
			json_t *body = peer_body(1000 + i, "wg0");
			char id[32];

			json_object_set_new(body, "keepalive_s", json_integer(k));
			snprintf(id, sizeof(id), "p-%u", 1000 + i);
			assert_int_equal(sl_store_put(t, SL_KIND_PEER, id, SL_REV_ANY, body, &e),
					 0);
			json_decref(body);
		}
		assert_int_equal(sl_store_commit(t, &seq, &e), 0);
		sl_publisher_kick(p.n.pub);
		turn(p.base, 5);
	}
	assert_false(row_of(&p.n, "gw-a").i.connected);
	p.o.defer = false;
	if (p.o.waiting)
		owner_go(&p.o);
	UNTIL(&p, p.o.up && owner_equals(&p.o, &p.n, "gw-a"));
	sl_sub_info(p.o.sub, &info);
	assert_true(info.connects > connects);
	assert_int_equal(p.o.snapshots, 1);
	pair_free(&p);
}

/** One that does not take its snapshot does not keep the others from theirs for long. */
static void
test_stalled(void **state)
{
	struct pair p;
	struct owner second;
	struct sl_sub_info info;
	struct sl_error e;
	struct sl_store_txn *t;
	char text[1001];
	uint64_t seq;

	pair_new(&p);
	node_stop(&p.n);
	p.n.conf.snapshots_max = p.n.conf.snapshot_stall_s = p.n.conf.heartbeat_s = 1;
	node_start(&p.n);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	t = sl_store_begin(p.n.store, "test", "test", &e);
	for (unsigned i = 1000; i < 7000; i++) { /* more than sockets hold */
		json_t *body = peer_body(i, "wg0");
		char id[32];

		json_object_set_new(body, "description", json_string(text));
		snprintf(id, sizeof(id), "p-%u", i);
		assert_int_equal(sl_store_put(t, SL_KIND_PEER, id, SL_REV_NONE, body, &e), 0);
		json_decref(body);
	}
	assert_int_equal(sl_store_commit(t, &seq, &e), 0);
	p.o.defer = true;
	dial(&p);
	UNTIL(&p, p.o.waiting);
	assert_int_equal(sl_publisher_keep_from(p.n.pub), seq + 1);
	owner_init(&second);
	owner_dial(&second, p.base, "gw-b", false, &p.n.port, 1);
	UNTIL(&p, second.up);
	turn(p.base, 900);
	sl_sub_info(second.sub, &info);
	assert_int_equal(info.snapshots, 0); /* it waits its turn */
	UNTIL(&p, second.snapshots == 1);
	sl_sub_info(second.sub, &info);
	assert_true(info.heartbeats > 0); /* and hears that the source lives */
	assert_int_equal(second.wrong + second.broken, 0);
	assert_true(owner_equals(&second, &p.n, "gw-b"));
	p.o.defer = false;
	owner_go(&p.o);
	UNTIL(&p, p.o.up && owner_equals(&p.o, &p.n, "gw-a"));
	assert_int_equal(p.o.aborts, 1);
	owner_hang_up(&second);
	owner_free(&second);
	pair_free(&p);
}

struct waited {
	bool called, all;
	char reason[64];
	uint64_t acked;
};

static void
on_waited(void *ctx, bool all, json_t *missing)
{
	struct waited *w = ctx;
	const json_t *first = json_array_get(missing, 0);

	w->called = true;
	w->all = all;
	if (first)
		snprintf(w->reason, sizeof(w->reason), "%s",
			 json_string_value(json_object_get(first, "reason")));
}

/** A refused policy: the source sees it, the stream goes on; a wait tells who lacks it. */
static void
test_nack_and_wait(void **state)
{
	static const char *const both[] = {"gw-a", "gw-b"}, *const one[] = {"gw-a"};
	struct waited w = {0}, w2 = {0}, w3 = {0};
	struct pair p;
	uint64_t seq;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	sl_publisher_wait(p.n.pub, put_peer(&p.n, 59, "wg0"), one, 1, 4000, on_waited, &w3);
	UNTIL(&p, w3.called);
	assert_true(w3.all);
	sl_fail(&p.o.refuse_txn, -EINVAL, "acl_compile", "/ops/0/obj", "ports 90-80");
	seq = put_peer(&p.n, 60, "wg0");
	sl_publisher_wait(p.n.pub, seq, one, 1, 300, on_waited, &w);
	UNTIL(&p, w.called);
	assert_false(w.all);
	assert_string_equal(w.reason, "acl_compile");
	assert_string_equal(row_of(&p.n, "gw-a").i.nack_code, "acl_compile");
	assert_string_equal(row_of(&p.n, "gw-a").i.nack_path, "/ops/0/obj");
	assert_string_equal(row_of(&p.n, "gw-a").i.nack_message, "ports 90-80");
	assert_int_equal(p.o.downs, 0);
	p.o.refuse_txn.err = 0;
	seq = put_peer(&p.n, 61, "wg0");
	sl_publisher_wait(p.n.pub, seq, one, 1, 4000, on_waited, &w2);
	UNTIL(&p, w2.called);
	assert_true(w2.all);
	assert_string_equal(row_of(&p.n, "gw-a").i.nack_code, "");
	assert_true(owner_equals(&p.o, &p.n, "gw-a"));
	/* what does not concern it is live as soon as it is published */
	memset(&w, 0, sizeof(w));
	sl_publisher_wait(p.n.pub, put_peer(&p.n, 62, "wg1"), one, 1, 4000, on_waited, &w);
	UNTIL(&p, w.called);
	assert_true(w.all);
	/* one of two is not there; by name, and as one of all */
	memset(&w, 0, sizeof(w));
	memset(&w2, 0, sizeof(w2));
	sl_publisher_wait(p.n.pub, seq, both, 2, 100, on_waited, &w);
	sl_publisher_wait(p.n.pub, seq, NULL, 0, 100, on_waited, &w2);
	UNTIL(&p, w.called && w2.called);
	assert_false(w.all);
	assert_false(w2.all);
	assert_string_equal(w.reason, "not_connected");
	put_gateway(&p.n, "gw-b", (const char *const[]){"wg0", NULL}, false);
	memset(&w, 0, sizeof(w));
	sl_publisher_wait(p.n.pub, seq, NULL, 0, 4000, on_waited, &w);
	UNTIL(&p, w.called);
	assert_true(w.all);
	/* a wait that nobody wants any more */
	memset(&w, 0, sizeof(w));
	sl_publisher_wait_cancel(sl_publisher_wait(p.n.pub, seq + 5, NULL, 0, 10, on_waited, &w));
	turn(p.base, 50);
	assert_false(w.called);
	pair_free(&p);
}

/** Sources in order: one that does not answer, then one that does. */
static void
test_second_source(void **state)
{
	struct pair p;
	struct sl_sub_info info;
	uint16_t ports[2];

	pair_new(&p);
	ports[0] = 1; /* nobody */
	ports[1] = p.n.port;
	owner_dial(&p.o, p.base, "gw-a", false, ports, 2);
	arrive(&p);
	sl_sub_info(p.o.sub, &info);
	assert_true(info.up);
	assert_int_equal(info.source, 1);
	assert_string_equal(info.primary, "https://primary.example:7443");
	pair_free(&p);
}

/** The same name twice: the later connection has it. */
static void
test_replaced(void **state)
{
	struct pair p;
	struct owner second;

	pair_new(&p);
	dial(&p);
	arrive(&p);
	owner_init(&second);
	owner_dial(&second, p.base, "gw-a", false, &p.n.port, 1);
	UNTIL(&p, second.up && p.o.downs == 1);
	assert_string_equal(p.o.down_reason, "replaced");
	owner_hang_up(&second);
	owner_free(&second);
	pair_free(&p);
}

/** Whose token is revoked must log in again: there it is seen. That it was made is no news. */
static void
test_credential(void **state)
{
	struct pair p;

	pair_new(&p);
	put_gateway(&p.n, "gateway1ab", (const char *const[]){"wg0", NULL}, true);
	owner_dial(&p.o, p.base, "gateway1ab", false, &p.n.port, 1);
	UNTIL(&p, p.o.up && owner_equals(&p.o, &p.n, "gateway1ab"));
	put(&p.n, SL_KIND_TOKEN, "gateway1ab",
	    json_pack("{s:s, s:[s], s:s}", "hash",
		      "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "roles",
		      "gateway", "bound", "gateway1ab"));
	put(&p.n, SL_KIND_CRL, "token:gateway1xy", json_pack("{s:s}", "reason", "lost"));
	put(&p.n, SL_KIND_CRL, "cert:1f", json_pack("{s:s}", "reason", "lost"));
	turn(p.base, 100);
	assert_int_equal(p.o.downs, 0);
	put(&p.n, SL_KIND_CRL, "token:gateway1ab", json_pack("{s:s}", "reason", "lost"));
	UNTIL(&p, p.o.downs == 1);
	assert_string_equal(p.o.down_reason, "credential_changed");
	UNTIL(&p, p.o.up); /* the test's logins know no revocation */
	pair_free(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_then_live),  cmocka_unit_test(test_resume),
		cmocka_unit_test(test_resume_at_head), cmocka_unit_test(test_compacted),
		cmocka_unit_test(test_epoch_changed),  cmocka_unit_test(test_other_process),
		cmocka_unit_test(test_seq_ahead),      cmocka_unit_test(test_diverged),
		cmocka_unit_test(test_rewind_waits),   cmocka_unit_test(test_rewind_limit),
		cmocka_unit_test(test_lower_epoch),    cmocka_unit_test(test_hash_mismatch),
		cmocka_unit_test(test_parts),	       cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_part_boundary),  cmocka_unit_test(test_owner_takes_time),
		cmocka_unit_test(test_gone_at_work),   cmocka_unit_test(test_slow),
		cmocka_unit_test(test_stalled),	       cmocka_unit_test(test_nack_and_wait),
		cmocka_unit_test(test_second_source),  cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_credential),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
