/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway has what its record says, at each moment, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define WG0 ((const char *const[]){"wg0", NULL})
#define WG1 ((const char *const[]){"wg1", NULL})
#define BOTH ((const char *const[]){"wg0", "wg1", NULL})
#define NONE ((const char *const[]){NULL})

struct trio {
	struct event_base *base;
	struct node n;
	struct owner a, b, all; /* gw-a, gw-b, a data store */
};

static void
trio_new(struct trio *t)
{
	memset(t, 0, sizeof(*t));
	t->base = loop_new();
	node_new(&t->n, t->base, SL_STORE_PRIMARY);
	fill(&t->n);
	owner_init(&t->a);
	owner_init(&t->b);
	owner_init(&t->all);
}

static void
dial(struct trio *t)
{
	owner_dial(&t->a, t->base, "gw-a", false, &t->n.port, 1);
	owner_dial(&t->b, t->base, "gw-b", false, &t->n.port, 1);
	owner_dial(&t->all, t->base, "ds-1", true, &t->n.port, 1);
}

static void
hang_up(struct trio *t)
{
	owner_hang_up(&t->a);
	owner_hang_up(&t->b);
	owner_hang_up(&t->all);
}

static bool
equal(struct trio *t)
{
	return t->a.up && t->b.up && t->all.up && owner_equals(&t->a, &t->n, "gw-a") &&
	       owner_equals(&t->b, &t->n, "gw-b") && owner_equals(&t->all, &t->n, NULL);
}

static void
trio_free(struct trio *t)
{
	assert_int_equal(t->a.wrong + t->a.broken, 0);
	assert_int_equal(t->b.wrong + t->b.broken, 0);
	assert_int_equal(t->all.wrong + t->all.broken, 0);
	hang_up(t);
	node_free(&t->n);
	owner_free(&t->a);
	owner_free(&t->b);
	owner_free(&t->all);
	loop_free(t->base);
}

static bool
has(const struct owner *o, enum sl_kind k, const char *id)
{
	struct sl_replica_obj obj;

	return sl_replica_get(o->replica, k, id, &obj);
}

static void
test_what_goes_where(void **state)
{
	struct trio t;

	trio_new(&t);
	dial(&t);
	UNTIL(&t, equal(&t));
	assert_true(has(&t.a, SL_KIND_PEER, "p-1"));
	assert_false(has(&t.a, SL_KIND_PEER, "p-3")); /* wg1 */
	assert_true(has(&t.b, SL_KIND_PEER, "p-3"));
	assert_false(has(&t.a, SL_KIND_GATEWAY, "gw-b"));
	assert_true(has(&t.a, SL_KIND_PROVIDER, "corp"));
	assert_false(has(&t.b, SL_KIND_SETTING, "log_days"));
	assert_true(has(&t.all, SL_KIND_SETTING, "log_days"));
	put(&t.n, SL_KIND_SETTING, "log_days", json_pack("{s:i}", "value", 31));
	put(&t.n, SL_KIND_PROVIDER, "corp", json_pack("{s:s}", "state", "down"));
	put(&t.n, SL_KIND_GATEWAY_INTERFACE, "gw-a:wg0",
	    json_pack("{s:s, s:s, s:s}", "gateway", "gw-a", "interface", "wg0", "endpoint",
		      "192.0.2.1:51820"));
	UNTIL(&t, equal(&t));
	assert_true(has(&t.a, SL_KIND_GATEWAY_INTERFACE, "gw-a:wg0"));
	assert_false(has(&t.b, SL_KIND_GATEWAY_INTERFACE, "gw-a:wg0"));
	trio_free(&t);
}

/** A peer moves to another interface, live and while the gateway is away. */
static void
test_peer_moves(void **state)
{
	struct trio t;

	trio_new(&t);
	dial(&t);
	UNTIL(&t, equal(&t));
	put_peer(&t.n, 1, "wg1");
	UNTIL(&t, equal(&t) && !has(&t.a, SL_KIND_PEER, "p-1"));
	assert_true(has(&t.b, SL_KIND_PEER, "p-1"));
	put_peer(&t.n, 1, "wg0");
	UNTIL(&t, equal(&t) && has(&t.a, SL_KIND_PEER, "p-1"));
	hang_up(&t);
	put_peer(&t.n, 1, "wg1");
	put_peer(&t.n, 3, "wg0");
	put_peer(&t.n, 4, "wg1");
	put_peer(&t.n, 4, "wg0");
	dial(&t);
	UNTIL(&t, equal(&t));
	assert_false(has(&t.a, SL_KIND_PEER, "p-1"));
	assert_true(has(&t.a, SL_KIND_PEER, "p-3"));
	assert_true(has(&t.a, SL_KIND_PEER, "p-4"));
	assert_int_equal(t.a.snapshots, 1);
	assert_int_equal(t.b.snapshots, 1);
	trio_free(&t);
}

/** The record changes while it listens: puts and dels come with that very transaction. */
static void
test_record_live(void **state)
{
	struct trio t;
	uint64_t seq;

	trio_new(&t);
	dial(&t);
	UNTIL(&t, equal(&t));
	seq = put_gateway(&t.n, "gw-a", BOTH, true);
	UNTIL(&t, t.a.pos.seq == seq);
	assert_true(has(&t.a, SL_KIND_PEER, "p-3"));
	UNTIL(&t, equal(&t)); /* the others too */
	put_peer(&t.n, 90, "wg1");
	UNTIL(&t, equal(&t) && has(&t.a, SL_KIND_PEER, "p-90"));
	seq = put_gateway(&t.n, "gw-a", WG1, true);
	UNTIL(&t, t.a.pos.seq == seq);
	assert_false(has(&t.a, SL_KIND_PEER, "p-1"));
	UNTIL(&t, equal(&t)); /* the others too */
	seq = put_gateway(&t.n, "gw-a", NONE, true);
	UNTIL(&t, t.a.pos.seq == seq);
	assert_int_equal(sl_replica_count_kind(t.a.replica, SL_KIND_PEER), 0);
	assert_true(has(&t.a, SL_KIND_PROVIDER, "corp"));
	assert_int_equal(t.a.snapshots, 1);
	trio_free(&t);
}

/** One that is not enabled is sent its record alone; one without a record nothing. */
static void
test_disabled(void **state)
{
	struct trio t;
	uint64_t seq;

	trio_new(&t);
	dial(&t);
	UNTIL(&t, equal(&t));
	seq = put_gateway(&t.n, "gw-a", WG0, false);
	UNTIL(&t, t.a.pos.seq == seq);
	assert_int_equal(sl_replica_count(t.a.replica), 1);
	put_peer(&t.n, 91, "wg0");
	seq = put_gateway(&t.n, "gw-a", WG0, true);
	UNTIL(&t, t.a.pos.seq == seq);
	UNTIL(&t, equal(&t)); /* the others too */
	assert_true(has(&t.a, SL_KIND_PEER, "p-91"));
	seq = del(&t.n, SL_KIND_GATEWAY, "gw-a");
	UNTIL(&t, t.a.pos.seq == seq);
	assert_int_equal(sl_replica_count(t.a.replica), 0);
	hang_up(&t);
	owner_free(&t.a);
	owner_init(&t.a);
	dial(&t);
	UNTIL(&t, t.a.snapshots == 1 && equal(&t));
	assert_int_equal(sl_replica_count(t.a.replica), 0);
	seq = put_gateway(&t.n, "gw-a", WG0, true);
	UNTIL(&t, t.a.pos.seq == seq);
	UNTIL(&t, equal(&t)); /* the others too */
	trio_free(&t);
}

/** The record changed while it was away: nothing is guessed, a snapshot comes. */
static void
record_away(bool restart)
{
	struct trio t;

	trio_new(&t);
	dial(&t);
	UNTIL(&t, equal(&t));
	hang_up(&t);
	put_gateway(&t.n, "gw-a", BOTH, true);
	put_peer(&t.n, 92, "wg0");
	if (restart) { /* then only the log knows */
		node_stop(&t.n);
		node_start(&t.n);
	}
	dial(&t);
	UNTIL(&t, equal(&t));
	assert_int_equal(t.a.snapshots, 2);
	assert_string_equal(t.a.reason, "scope_changed");
	assert_int_equal(t.b.snapshots, 1);
	assert_int_equal(t.all.snapshots, 1);
	trio_free(&t);
}

static void
test_record_away(void **state)
{
	record_away(false);
}

static void
test_record_away_restart(void **state)
{
	record_away(true);
}

static void
put_changed(struct sl_store_txn *x, unsigned i, int keepalive)
{
	json_t *body = peer_body(i, "wg1");
	struct sl_error e;
	char id[32];

	json_object_set_new(body, "keepalive_s", json_integer(keepalive));
	snprintf(id, sizeof(id), "p-%u", i);
	assert_int_equal(sl_store_put(x, SL_KIND_PEER, id, SL_REV_ANY, body, &e), 0);
	json_decref(body);
}

/** Thousands of objects enter and leave with one change of the record. */
static void
record_large(unsigned peers, size_t outbox_max, unsigned snapshots)
{
	struct trio t;
	struct sl_error e;
	struct sl_store_txn *x;
	uint64_t seq;

	trio_new(&t);
	node_stop(&t.n);
	t.n.conf.outbox_max = outbox_max;
	node_start(&t.n);
	x = sl_store_begin(t.n.store, "test", "test", &e);
	for (unsigned i = 5000 - peers; i < 5000; i++) {
		json_t *body = peer_body(i, "wg1");
		char id[32];

		snprintf(id, sizeof(id), "p-%u", i);
		assert_int_equal(sl_store_put(x, SL_KIND_PEER, id, SL_REV_NONE, body, &e), 0);
		json_decref(body);
	}
	assert_int_equal(sl_store_commit(x, &seq, &e), 0);
	dial(&t);
	UNTIL(&t, equal(&t));
	/* with changes of what enters, before and behind it in the same transaction */
	x = sl_store_begin(t.n.store, "test", "test", &e);
	put_changed(x, 2001, 7);
	put_changed(x, 4001, 7);
	{
		json_t *record = json_pack("{s:[s, s]}", "interfaces", "wg0", "wg1");

		assert_int_equal(sl_store_put(x, SL_KIND_GATEWAY, "gw-a", SL_REV_ANY, record, &e),
				 0);
		json_decref(record);
	}
	put_changed(x, 2002, 8);
	put_changed(x, 4002, 8);
	assert_int_equal(sl_store_commit(x, &seq, &e), 0);
	sl_publisher_kick(t.n.pub);
	UNTIL(&t, t.a.pos.seq == seq);
	UNTIL(&t, equal(&t)); /* the others too */
	assert_true(has(&t.a, SL_KIND_PEER, "p-4999"));
	put_gateway(&t.n, "gw-a", WG0, true);
	UNTIL(&t, equal(&t));
	assert_false(has(&t.a, SL_KIND_PEER, "p-4999"));
	assert_int_equal(t.a.snapshots, snapshots);
	trio_free(&t);
}

static void
test_record_large(void **state)
{
	record_large(1500, 0, 1);
}

/** What is more than an outbox holds, or would take the loop for long, comes as a snapshot, and
 * leaves so. */
static void
test_record_larger(void **state)
{
	record_large(1500, 150000, 3);
	record_large(3000, 0, 3);
}

/** In one transaction. */
static void
put_thousand(struct trio *t, unsigned keepalive)
{
	struct sl_error e;
	struct sl_store_txn *x = sl_store_begin(t->n.store, "test", "test", &e);

	for (unsigned i = 0; i < 1000; i++) {
		json_t *body = peer_body(2000 + i, i % 2 ? "wg0" : "wg1");
		char id[32];

		json_object_set_new(body, "keepalive_s", json_integer(keepalive));
		snprintf(id, sizeof(id), "p-%u", 2000 + i);
		assert_int_equal(sl_store_put(x, SL_KIND_PEER, id, SL_REV_ANY, body, &e), 0);
		json_decref(body);
	}
	assert_int_equal(sl_store_commit(x, NULL, &e), 0);
}

/** Large rows for those who were away, also where the server began after them; they go, and the
 * server ends, while such a row is made ready. */
static void
test_large_past(void **state)
{
	struct trio t;

	trio_new(&t);
	dial(&t);
	UNTIL(&t, equal(&t));
	for (unsigned round = 0; round < 4; round++) {
		hang_up(&t);
		put_thousand(&t, 2 * round + 1);
		put_peer(&t.n, 93 + round, "wg0");
		put_thousand(&t, 2 * round + 2);
		if (round % 2) {
			node_stop(&t.n);
			node_start(&t.n);
		}
		for (unsigned i = 0; i < 6; i++) { /* as far as it gets */
			dial(&t);
			turn(t.base, 3 * i);
			hang_up(&t);
		}
		dial(&t);
		if (round == 2) {
			turn(t.base, 10);
			node_stop(&t.n);
			node_start(&t.n);
		}
		UNTIL(&t, equal(&t));
	}
	assert_int_equal(t.a.snapshots, 1);
	assert_int_equal(t.b.snapshots, 1);
	assert_int_equal(t.all.snapshots, 1);
	trio_free(&t);
}

/** A large row is made ready on a thread; what is committed, who subscribes and who leaves
 * meanwhile finds one state after the other. */
static void
test_large_row(void **state)
{
	struct trio t;

	trio_new(&t);
	dial(&t);
	UNTIL(&t, equal(&t));
	for (unsigned round = 0; round < 4; round++) {
		put_thousand(&t, round + 1);
		sl_publisher_kick(t.n.pub);
		if (round == 1)
			turn(t.base, 0); /* it is given away */
		put_peer(&t.n, 93 + round, "wg0");
		if (round == 2) { /* one leaves and comes back while it is made ready */
			owner_hang_up(&t.b);
			turn(t.base, 0);
			owner_dial(&t.b, t.base, "gw-b", false, &t.n.port, 1);
		}
		if (round == 3)
			put_gateway(&t.n, "gw-a", BOTH, true);
		UNTIL(&t, equal(&t));
	}
	assert_int_equal(t.b.snapshots, 1);
	assert_int_equal(t.all.snapshots, 1);
	trio_free(&t);
}

/** The server ends while a row is made ready, and while another state is loaded. */
static void
test_end_meanwhile(void **state)
{
	struct sl_store_txn *x;
	struct sl_error e;
	struct trio t;

	trio_new(&t);
	for (unsigned reload = 0; reload < 2; reload++) {
		x = sl_store_begin(t.n.store, "test", "test", &e);
		for (unsigned i = 0; i < 1000; i++) {
			json_t *body = peer_body(2000 + 1000 * reload + i, "wg0");
			char id[32];

			snprintf(id, sizeof(id), "p-%u", 2000 + 1000 * reload + i);
			assert_int_equal(sl_store_put(x, SL_KIND_PEER, id, SL_REV_ANY, body, &e),
					 0);
			json_decref(body);
		}
		assert_int_equal(sl_store_commit(x, NULL, &e), 0);
		if (reload)
			assert_int_equal(sl_publisher_reload(t.n.pub, &e), 0);
		sl_publisher_kick(t.n.pub);
		event_base_loop(t.base, EVLOOP_NONBLOCK);
		node_stop(&t.n);
		node_start(&t.n);
	}
	dial(&t);
	UNTIL(&t, equal(&t));
	trio_free(&t);
}

/** Changes at random, with and without a connection, one op or several in a transaction. */
static void
test_random(void **state)
{
	struct trio t;
	unsigned seed = getenv("SL_SEED") ? (unsigned)atoi(getenv("SL_SEED")) : 20261126;

	trio_new(&t);
	print_message("seed %u (SL_SEED)\n", seed);
	for (unsigned round = 0; round < 40; round++) {
		bool away = rand_r(&seed) % 3 == 0;

		if (away && t.a.sub)
			hang_up(&t);
		else if (!t.a.sub)
			dial(&t);
		for (unsigned i = rand_r(&seed) % 8; i > 0; i--) {
			struct sl_error e;
			struct sl_store_txn *x = sl_store_begin(t.n.store, "test", "test", &e);
			uint64_t seq;

			for (unsigned k = rand_r(&seed) % 4 + 1; k > 0; k--) {
				unsigned at = rand_r(&seed) % 30 + 1;
				const char *gw = rand_r(&seed) % 2 ? "gw-a" : "gw-b";
				char id[32];
				json_t *body = NULL;
				enum sl_kind kind = SL_KIND_PEER;

				snprintf(id, sizeof(id), "p-%u", at);
				if (rand_r(&seed) % 8 == 0) {
					kind = SL_KIND_GATEWAY;
					snprintf(id, sizeof(id), "%s", gw);
					body = json_pack("{s:b}", "enabled",
							 (int)(rand_r(&seed) % 5 != 0));
					json_object_set_new(body, "interfaces",
							    rand_r(&seed) % 2
								    ? json_pack("[s]",
										rand_r(&seed) % 2
											? "wg0"
											: "wg1")
								    : json_pack("[s, s]", "wg0",
										"wg1"));
				} else if (rand_r(&seed) % 4) {
					body = peer_body(at, rand_r(&seed) % 2 ? "wg0" : "wg1");
					json_object_set_new(body, "keepalive_s",
							    json_integer(rand_r(&seed) % 9));
				}
				if (body)
					assert_int_equal(sl_store_put(x, kind, id, SL_REV_ANY, body,
								      &e),
							 0);
				else
					sl_store_del(x, kind, id, SL_REV_ANY, &e);
				json_decref(body);
			}
			assert_int_equal(sl_store_commit(x, &seq, &e), 0);
			sl_publisher_kick(t.n.pub);
			if (rand_r(&seed) % 3 == 0)
				turn(t.base, rand_r(&seed) % 5 + 1);
		}
		if (!away)
			UNTIL(&t, equal(&t));
		if (rand_r(&seed) % 10 == 0) {
			node_stop(&t.n);
			node_start(&t.n);
		}
	}
	trio_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_goes_where), cmocka_unit_test(test_peer_moves),
		cmocka_unit_test(test_record_live),	cmocka_unit_test(test_disabled),
		cmocka_unit_test(test_record_away),	cmocka_unit_test(test_record_away_restart),
		cmocka_unit_test(test_record_large),	cmocka_unit_test(test_record_larger),
		cmocka_unit_test(test_large_past),	cmocka_unit_test(test_large_row),
		cmocka_unit_test(test_end_meanwhile),	cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
