/* SPDX-License-Identifier: BSD-3-Clause */
/* Data stores that follow: a tree of four levels, what is said upstream, what happens when a source
 * goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "fixture.h"

struct tree {
	struct event_base *base;
	struct node p, f1, f2;
	struct owner a, b; /* gw-a at f2, gw-b at f1 */
};

static void
tree_new(struct tree *t)
{
	memset(t, 0, sizeof(*t));
	t->base = loop_new();
	t->p.conf.heartbeat_s = t->f1.conf.heartbeat_s = t->f2.conf.heartbeat_s = 1;
	node_new(&t->p, t->base, SL_STORE_PRIMARY);
	fill(&t->p);
	node_new(&t->f1, t->base, SL_STORE_FOLLOWER);
	node_follow(&t->f1, "ds-1", t->p.port);
	node_new(&t->f2, t->base, SL_STORE_FOLLOWER);
	node_follow(&t->f2, "ds-2", t->f1.port);
	owner_init(&t->a);
	owner_init(&t->b);
	owner_dial(&t->a, t->base, "gw-a", false, &t->f2.port, 1);
	owner_dial(&t->b, t->base, "gw-b", false, &t->f1.port, 1);
}

static bool
follows(struct node *n, struct node *p)
{
	struct sl_epoch a, b;
	struct sl_hash_sum x, y;

	sl_store_epoch(n->store, &a);
	sl_store_epoch(p->store, &b);
	sl_store_sum(n->store, &x);
	sl_store_sum(p->store, &y);
	return strcmp(a.id, b.id) == 0 && sl_store_head(n->store) == sl_store_head(p->store) &&
	       sl_hash_equal(&x, &y);
}

static bool
equal(struct tree *t)
{
	return follows(&t->f1, &t->p) && follows(&t->f2, &t->p) && t->a.up && t->b.up &&
	       owner_equals(&t->a, &t->p, "gw-a") && owner_equals(&t->b, &t->p, "gw-b");
}

static void
tree_free(struct tree *t)
{
	assert_int_equal(t->a.wrong + t->a.broken, 0);
	assert_int_equal(t->b.wrong + t->b.broken, 0);
	owner_hang_up(&t->a);
	owner_hang_up(&t->b);
	owner_free(&t->a);
	owner_free(&t->b);
	node_free(&t->f2);
	node_free(&t->f1);
	node_free(&t->p);
	loop_free(t->base);
}

static bool
acked(const struct node *n, const char *name, uint64_t seq)
{
	struct find f = row_of(n, name);

	return f.found && f.i.acked_seq >= seq;
}

static void
test_tree(void **state)
{
	struct tree t;
	struct sl_error e;
	uint64_t seq;

	tree_new(&t);
	UNTIL(&t, equal(&t));
	for (unsigned i = 0; i < 10; i++)
		seq = put_peer(&t.p, 70 + i, "wg0");
	UNTIL(&t, equal(&t));
	/* the primary knows who has what, and through whom */
	UNTIL(&t, acked(&t.p, "gw-a", seq) && acked(&t.p, "gw-b", seq) && acked(&t.p, "ds-2", seq));
	assert_string_equal(row_of(&t.p, "gw-a").via, "ds-1");
	assert_string_equal(row_of(&t.p, "gw-b").via, "ds-1");
	assert_string_equal(row_of(&t.p, "ds-1").via, "");
	assert_true(row_of(&t.p, "ds-1").i.follower);
	assert_string_equal(row_of(&t.f1, "gw-a").via, "ds-2");
	assert_true(row_of(&t.p, "gw-a").i.connected);
	/* a follower is written by its source alone, and says where the primary is */
	assert_null(sl_store_begin(t.f2.store, "x", "x", &e));
	assert_string_equal(e.reason, "readonly");
	assert_non_null(strstr(e.hint, "https://primary.example:7443"));
	tree_free(&t);
}

static void
on_waited(void *ctx, bool all, json_t *missing)
{
	*(int *)ctx = all ? 1 : -1;
}

/** "Is it live everywhere?" asked at the primary, of gateways that are not its own. */
static void
test_wait(void **state)
{
	struct tree t;
	int done = 0;

	tree_new(&t);
	UNTIL(&t, equal(&t));
	UNTIL(&t, acked(&t.p, "gw-a", 1) && acked(&t.p, "gw-b", 1));
	sl_publisher_wait(t.p.pub, put_peer(&t.p, 70, "wg0"), NULL, 0, 4000, on_waited, &done);
	UNTIL(&t, done);
	assert_int_equal(done, 1);
	/* of no concern to gw-a */
	done = 0;
	sl_publisher_wait(t.p.pub, put_peer(&t.p, 71, "wg1"), NULL, 0, 4000, on_waited, &done);
	UNTIL(&t, done);
	assert_int_equal(done, 1);
	tree_free(&t);
}

/** A source in which our epoch's id has another number is in no epoch that we know of. */
static void
test_epoch_renumbered(void **state)
{
	struct sl_epoch epoch;
	uint64_t head;
	struct tree t;
	sqlite3 *db;

	tree_new(&t);
	UNTIL(&t, equal(&t));
	head = sl_store_head(t.f1.store);
	node_stop(&t.p);
	assert_int_equal(sqlite3_open(t.p.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE state SET epoch_number = 9", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	node_start(&t.p);
	put_peer(&t.p, 74, "wg0");
	turn(t.base, 1500);
	sl_store_epoch(t.f1.store, &epoch);
	assert_int_equal(epoch.number, 1);
	assert_int_equal(sl_store_head(t.f1.store), head);
	tree_free(&t);
}

/** Restore, promotion: a new epoch goes through the tree. */
static void
test_epochs(void **state)
{
	struct sl_sub_info info;
	struct tree t;
	struct sl_error e;

	tree_new(&t);
	UNTIL(&t, equal(&t));
	assert_int_equal(sl_store_new_epoch(t.p.writer, "test", &e), 0);
	put_peer(&t.p, 72, "wg0");
	UNTIL(&t, equal(&t));
	assert_int_equal(t.a.pos.epoch.number, 2);
	/* the first follower becomes the primary, the second and the gateways go on with it */
	owner_hang_up(&t.b);
	node_stop(&t.p);
	node_stop(&t.f1);
	{
		struct sl_store *s = sl_store_open(t.f1.path, SL_STORE_WRITE, &e);

		assert_int_equal(sl_store_promote(s, &e), 0);
		sl_store_close(s);
	}
	node_start(&t.f1);
	put_peer(&t.f1, 73, "wg0");
	UNTIL(&t, follows(&t.f2, &t.f1) && owner_equals(&t.a, &t.f1, "gw-a"));
	assert_int_equal(t.a.pos.epoch.number, 3);
	/* the former primary comes back: who has seen the later epoch does not go back to it */
	node_start(&t.p);
	owner_hang_up(&t.a);
	owner_dial(&t.a, t.base, "gw-a", false, &t.p.port, 1);
	turn(t.base, 500);
	assert_false(t.a.up);
	assert_int_equal(t.a.pos.epoch.number, 3);
	sl_sub_info(t.a.sub, &info);
	assert_int_equal(info.refused.number, 2);
	assert_non_null(strstr(info.last_error, "epoch_refused"));
	/* unless somebody says so */
	t.a.any_epoch = true;
	UNTIL(&t, t.a.up && owner_equals(&t.a, &t.p, "gw-a"));
	assert_int_equal(t.a.pos.epoch.number, 2);
	sl_sub_info(t.a.sub, &info);
	assert_int_equal(info.refused.number, 0);
	tree_free(&t);
}

/** A source in an epoch before ours is followed when somebody says so, and all that follows it. */
static void
test_confirmed(void **state)
{
	struct sl_epoch former, later;
	struct sl_sub_info info;
	struct tree t;
	struct sl_error e;
	char cmd[400], copy[128];

	tree_new(&t);
	UNTIL(&t, equal(&t));
	snprintf(copy, sizeof(copy), "%s.former", t.p.path);
	assert_int_equal(sl_store_backup(t.p.path, copy, &e), 0);
	sl_store_epoch(t.p.store, &former);
	assert_int_equal(sl_store_new_epoch(t.p.writer, "test", &e), 0);
	put_peer(&t.p, 72, "wg0");
	UNTIL(&t, equal(&t));
	sl_store_epoch(t.f1.store, &later);
	node_stop(&t.p);
	snprintf(cmd, sizeof(cmd), "rm -f %s-*; mv %s %s", t.p.path, copy, t.p.path);
	assert_int_equal(system(cmd), 0);
	node_start(&t.p);
	do {
		turn(t.base, 1);
		sl_follower_info(t.f1.follower, &info);
	} while (!info.refused.number);
	assert_string_equal(info.refused.id, former.id);
	t.f1.confirmed = later.id; /* not that one */
	turn(t.base, 1000);
	assert_false(follows(&t.f1, &t.p));
	t.f1.confirmed = former.id;
	UNTIL(&t, follows(&t.f1, &t.p));
	sl_follower_info(t.f1.follower, &info);
	assert_int_equal(info.refused.number, 0);
	put_peer(&t.p, 73, "wg0");
	UNTIL(&t, follows(&t.f1, &t.p));
	/* what follows the follower judges by itself */
	assert_false(follows(&t.f2, &t.p));
	t.f2.confirmed = former.id;
	t.a.any_epoch = t.b.any_epoch = true;
	UNTIL(&t, equal(&t));
	tree_free(&t);
}

/** A primary that was away: everybody goes on where they were. */
static void
test_primary_away(void **state)
{
	struct tree t;
	unsigned a, b;

	tree_new(&t);
	UNTIL(&t, equal(&t));
	a = t.a.snapshots;
	b = t.b.snapshots;
	node_stop(&t.p);
	turn(t.base, 300);
	assert_true(t.a.up);
	/* a gateway that starts now gets what is there from a follower */
	owner_hang_up(&t.a);
	owner_free(&t.a);
	owner_init(&t.a);
	owner_dial(&t.a, t.base, "gw-a", false, &t.f2.port, 1);
	UNTIL(&t, t.a.up && owner_equals(&t.a, &t.f1, "gw-a"));
	node_start(&t.p);
	put_peer(&t.p, 74, "wg0");
	UNTIL(&t, equal(&t));
	assert_int_equal(t.a.snapshots, a);
	assert_int_equal(t.b.snapshots, b);
	tree_free(&t);
}

/* --- calls ------------------------------------------------------------------------------------ */

struct called {
	bool done;
	int rc;
	char reason[40];
	json_t *result;
};

static void
on_called(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	struct called *c = ctx;

	c->done = true;
	c->rc = rc;
	snprintf(c->reason, sizeof(c->reason), "%s", rc ? e->reason : "");
	json_decref(c->result);
	c->result = rc ? NULL : json_incref(result);
}

static json_t *
register_params(void)
{
	return json_pack("{s:s, s:s, s:[]}", "boot", "b1", "version", "0.1.0", "interfaces");
}

static json_t *
log_params(void)
{
	return json_pack("{s:s, s:i, s:[]}", "boot", "b1", "first", 1, "rows");
}

static void
test_upstream(void **state)
{
	struct tree t;
	struct called c = {0};

	tree_new(&t);
	UNTIL(&t, equal(&t));
	assert_int_equal(sl_sub_call(t.a.sub, "gateway.register", register_params(), on_called, &c),
			 0);
	UNTIL(&t, c.done);
	assert_int_equal(c.rc, 0);
	assert_int_equal(json_integer_value(json_object_get(c.result, "seq")), 9);
	assert_string_equal(t.p.method, "gateway.register");
	assert_string_equal(t.p.about, "gw-a"); /* as the follower authenticated it */
	assert_string_equal(json_string_value(json_object_get(t.p.params, "boot")), "b1");
	memset(&c.done, 0, sizeof(c.done));
	sl_sub_call(t.a.sub, "log.push", log_params(), on_called, &c);
	UNTIL(&t, c.done);
	assert_int_equal(json_integer_value(json_object_get(c.result, "acked")), 7);
	sl_sub_call(t.b.sub, "stats.report", json_pack("{s:s, s:[]}", "boot", "b2", "peers"), NULL,
		    NULL);
	UNTIL(&t, strcmp(t.p.method, "stats.report") == 0);
	assert_string_equal(t.p.about, "gw-b");
	json_decref(c.result);
	tree_free(&t);
}

static void
test_upstream_away(void **state)
{
	struct tree t;
	struct called c = {0};

	tree_new(&t);
	UNTIL(&t, equal(&t));
	node_stop(&t.p);
	turn(t.base, 100);
	sl_sub_call(t.b.sub, "gateway.register", register_params(), on_called, &c);
	UNTIL(&t, c.done);
	assert_string_equal(c.reason, "primary_unreachable");
	c.done = false;
	sl_sub_call(t.b.sub, "log.push", log_params(), on_called, &c);
	UNTIL(&t, c.done);
	assert_string_equal(c.reason, "busy");
	c.done = false;
	sl_sub_call(t.b.sub, "stats.report", json_pack("{s:s, s:[]}", "boot", "b2", "peers"),
		    on_called, &c);
	UNTIL(&t, c.done);
	assert_int_equal(c.rc, 0);
	/* through two followers the reason is the same */
	c.done = false;
	sl_sub_call(t.a.sub, "gateway.register", register_params(), on_called, &c);
	UNTIL(&t, c.done);
	assert_string_equal(c.reason, "primary_unreachable");
	/* acks that were not heard are told again */
	node_start(&t.p);
	UNTIL(&t, acked(&t.p, "gw-b", t.b.pos.seq) && acked(&t.p, "gw-a", t.a.pos.seq));
	tree_free(&t);
}

/** The source goes while calls wait for it. */
static void
test_upstream_lost(void **state)
{
	struct tree t;
	struct called c = {0};

	tree_new(&t);
	UNTIL(&t, equal(&t));
	sl_sub_call(t.b.sub, "gateway.register", register_params(), on_called, &c);
	for (unsigned i = 0; i < 50 && t.p.calls == 0 && !c.done; i++)
		event_base_loop(t.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	node_stop(&t.p);
	UNTIL(&t, c.done);
	assert_true(c.rc == 0 || strcmp(c.reason, "primary_unreachable") == 0);
	json_decref(c.result);
	node_start(&t.p);
	tree_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_epoch_renumbered),
		cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_confirmed),
		cmocka_unit_test(test_primary_away),
		cmocka_unit_test(test_upstream),
		cmocka_unit_test(test_upstream_away),
		cmocka_unit_test(test_upstream_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
