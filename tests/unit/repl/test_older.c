/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway of the schema before: what it is sent is what it knows, its sum is that of what it was
 * sent, and a gateway and data stores of today beside it are sent all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

/* --- a field that restricts --------------------------------------------------------------------
 *
 * There is none yet: a peer's `subject` is taken for one while this is set. */

static bool restricted;

enum sl_older __real_sl_object_older(enum sl_kind k, const json_t *body, unsigned schema,
				     json_t **out);
enum sl_older __wrap_sl_object_older(enum sl_kind k, const json_t *body, unsigned schema,
				     json_t **out);
bool __real_sl_kind_is_newer(enum sl_kind k, unsigned schema);
bool __wrap_sl_kind_is_newer(enum sl_kind k, unsigned schema);

enum sl_older
__wrap_sl_object_older(enum sl_kind k, const json_t *body, unsigned schema, json_t **out)
{
	if (restricted && k == SL_KIND_PEER && json_object_get(body, "subject")) {
		*out = NULL;
		return SL_OLDER_WITHHELD;
	}
	return __real_sl_object_older(k, body, schema, out);
}

bool
__wrap_sl_kind_is_newer(enum sl_kind k, unsigned schema)
{
	return (restricted && k == SL_KIND_PEER) || __real_sl_kind_is_newer(k, schema);
}

/* --- two gateways ------------------------------------------------------------------------------
 */

struct pair {
	struct event_base *base;
	struct node n;
	struct owner old, today; /* gw-a, gw-b */
};

static void
dial(struct pair *p, struct owner *o)
{
	owner_dial(o, p->base, o == &p->old ? "gw-a" : "gw-b", false, &p->n.port, 1);
}

static void
pair_new(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	restricted = false;
	p->base = loop_new();
	p->n.conf.heartbeat_s = 1;
	node_new(&p->n, p->base, SL_STORE_PRIMARY);
	fill(&p->n);
	owner_init(&p->old);
	owner_init(&p->today);
	p->old.schemas = (struct sl_repl_schemas){1, 1};
	dial(p, &p->old);
	dial(p, &p->today);
}

/** Neither was ever sent anything that did not fit. */
static void
pair_free(struct pair *p)
{
	struct sl_sub_info a, b;

	sl_sub_info(p->old.sub, &a);
	sl_sub_info(p->today.sub, &b);
	assert_string_equal(a.last_error, "");
	assert_string_equal(b.last_error, "");
	assert_int_equal(p->old.broken + p->today.broken + p->today.wrong, 0);
	owner_hang_up(&p->old);
	owner_hang_up(&p->today);
	node_free(&p->n);
	owner_free(&p->old);
	owner_free(&p->today);
	loop_free(p->base);
}

/** Does it hold all that the store has for gw-a, without what a reader of schema 1 does not know?
 * The rule once more, by hand. */
static bool
holds_older(const struct pair *p)
{
	const struct sl_replica *all = sl_publisher_replica(p->n.pub);
	struct sl_replica *want = sl_replica_new();
	struct sl_hash_sum a, b;
	bool equal;

	for (int k = 0; k < SL_KIND_N; k++) {
		struct sl_replica_cursor c = {0};
		struct sl_replica_obj o;

		while (sl_replica_next(all, (enum sl_kind)k, &c, &o)) {
			json_t *body = sl_replica_body(all, o.kind, o.id);
			bool there = sl_kind_scope(o.kind) == SL_SCOPE_GATEWAYS ||
				     (sl_kind_scope(o.kind) == SL_SCOPE_INTERFACE &&
				      strcmp(o.scope, "wg0") == 0) ||
				     strcmp(o.scope, "gw-a") == 0;

			if (o.kind == SL_KIND_TARGET)
				json_object_del(body, "withdrawn");
			if (o.kind == SL_KIND_RULE && json_is_string(json_object_get(body, "log")))
				json_object_del(body, "log");
			if (restricted && o.kind == SL_KIND_PEER &&
			    json_object_get(body, "subject"))
				there = false;
			if (there)
				sl_replica_put(want, o.kind, o.id, o.rev, body);
			json_decref(body);
		}
	}
	sl_replica_sum(want, &a);
	sl_replica_sum(p->old.replica, &b);
	equal = sl_hash_equal(&a, &b) && sl_replica_count(want) == sl_replica_count(p->old.replica);
	sl_replica_free(want);
	return equal;
}

#define EQUAL(p)                                                                                   \
	UNTIL(p, (p)->old.up && (p)->today.up && holds_older(p) &&                                 \
			 owner_equals(&(p)->today, &(p)->n, "gw-b"))

/** A heartbeat came in, and no sum was wrong. */
static void
beat(struct pair *p)
{
	unsigned a = p->old.heartbeats, b = p->today.heartbeats;

	UNTIL(p, p->old.heartbeats > a && p->today.heartbeats > b);
	EQUAL(p);
}

static bool
row_hashes(void *ctx, const struct sl_subscriber_info *i)
{
	unsigned *ok = ctx;

	*ok += i->hash_ok && i->connected && i->acked_seq == i->sent_seq;
	return true;
}

/** Do the sums that they acked last agree, as the publisher sees it? */
static bool
hashes_ok(const struct pair *p)
{
	unsigned ok = 0;

	sl_publisher_walk(p->n.pub, row_hashes, &ok);
	return ok == 2;
}

static void
put_target(struct pair *p, const char *name, const char *addr)
{
	put(&p->n, SL_KIND_TARGET, name, json_pack("{s:[s]}", "addresses", addr));
}

static void
ledger(struct pair *p, const char *target, const char *state)
{
	char id[80];

	snprintf(id, sizeof(id), "target:%s", target);
	put(&p->n, SL_KIND_MIGRATION, id,
	    json_pack("{s:s, s:s}", "state", state, "since", "2026-11-20T09:00:00Z"));
}

static void
put_rule(struct pair *p, const char *log)
{
	put(&p->n, SL_KIND_ROLE, "staff", json_pack("{s:i}", "id", 1));
	put(&p->n, SL_KIND_RULE, "staff/1",
	    json_pack("{s:i, s:s, s:[s], s:s, s:s, s:s}", "id", 1, "role", "staff", "to", "*",
		      "protocol", "any", "action", "allow", "log", log));
}

static const char *
text_of(const struct owner *o, enum sl_kind k, const char *id)
{
	struct sl_replica_obj t;

	assert_true(sl_replica_get(o->replica, k, id, &t));
	return t.text;
}

static const char *
target_text(const struct owner *o, const char *name)
{
	return text_of(o, SL_KIND_TARGET, name);
}

/* --- snapshot, live, log ----------------------------------------------------------------------
 */

static void
test_all_ways(void **state)
{
	struct pair p;

	pair_new(&p);
	put_target(&p, "db", "10.20.0.10/32");
	ledger(&p, "db", "vpn");
	EQUAL(&p); /* live, or in the snapshot */
	assert_string_equal(target_text(&p.today, "db"),
			    "{\"addresses\":[\"10.20.0.10/32\"],\"withdrawn\":true}");
	assert_string_equal(target_text(&p.old, "db"), "{\"addresses\":[\"10.20.0.10/32\"]}");
	put_rule(&p, "sample:1/10");
	EQUAL(&p);
	assert_non_null(strstr(text_of(&p.today, SL_KIND_RULE, "staff/1"), "sample:1/10"));
	assert_null(strstr(text_of(&p.old, SL_KIND_RULE, "staff/1"), "log"));
	ledger(&p, "db", "pilot");
	put_target(&p, "web", "10.20.0.20/32");
	ledger(&p, "web", "vpn");
	EQUAL(&p);
	beat(&p);
	UNTIL(&p, hashes_ok(&p));
	owner_hang_up(&p.old);
	owner_hang_up(&p.today);
	ledger(&p, "db", "vpn");
	put_peer(&p.n, 700, "wg0");
	dial(&p, &p.old); /* from the log */
	dial(&p, &p.today);
	EQUAL(&p);
	beat(&p);
	assert_int_equal(p.old.snapshots, 1);
	assert_int_equal(p.today.snapshots, 1);
	sl_sub_resync(p.old.sub, "resync"); /* all anew */
	UNTIL(&p, p.old.snapshots == 2);
	EQUAL(&p);
	beat(&p);
	UNTIL(&p, hashes_ok(&p));
	assert_int_equal(p.old.wrong, 0);
	pair_free(&p);
}

/** Targets leave and enter with the gateway's own record. */
static void
test_scope(void **state)
{
	static const char *const wg0[] = {"wg0", NULL}, *const both[] = {"wg0", "wg1", NULL};
	struct pair p;

	pair_new(&p);
	put_target(&p, "db", "10.20.0.10/32");
	ledger(&p, "db", "vpn");
	EQUAL(&p);
	put_gateway(&p.n, "gw-a", wg0, false);
	UNTIL(&p, sl_replica_count(p.old.replica) == 1);
	ledger(&p, "db", "pilot");
	ledger(&p, "db", "vpn");
	put_gateway(&p.n, "gw-a", wg0, true);
	put_gateway(&p.n, "gw-b", both, false);
	put_gateway(&p.n, "gw-b", both, true);
	EQUAL(&p);
	beat(&p);
	assert_int_equal(p.old.snapshots, 1);
	assert_int_equal(p.old.wrong, 0);
	pair_free(&p);
}

/** Whoever changes its schema is sent what it has in the other form, once. */
static void
test_change_of_schema(void **state)
{
	struct pair p;

	pair_new(&p);
	put_target(&p, "db", "10.20.0.10/32");
	ledger(&p, "db", "vpn");
	EQUAL(&p);
	owner_hang_up(&p.old);
	p.old.schemas = (struct sl_repl_schemas){1, 2};
	dial(&p, &p.old);
	UNTIL(&p, p.old.snapshots == 2 && owner_equals(&p.old, &p.n, "gw-a"));
	assert_string_equal(p.old.reason, "schema");
	owner_hang_up(&p.old);
	dial(&p, &p.old); /* the same again: nothing is sent */
	UNTIL(&p, p.old.up && owner_equals(&p.old, &p.n, "gw-a"));
	assert_int_equal(p.old.snapshots, 2);
	/* back: to a source that does not know the later one */
	owner_hang_up(&p.old);
	p.old.schemas = (struct sl_repl_schemas){1, 1};
	dial(&p, &p.old);
	UNTIL(&p, p.old.snapshots == 3);
	assert_string_equal(p.old.reason, "schema");
	EQUAL(&p);
	beat(&p);
	pair_free(&p);
}

/* --- what is withheld -------------------------------------------------------------------------
 */

static void
put_subject(struct pair *p, unsigned i, const char *subject)
{
	json_t *body = peer_body(i, "wg0");
	char id[32];

	snprintf(id, sizeof(id), "p-%u", i);
	if (subject)
		json_object_set_new(body, "subject", json_string(subject));
	put(&p->n, SL_KIND_PEER, id, body);
}

/** An object with a field that restricts it is none of an older reader's: it never had it, or it
 * goes, and comes back without the field. */
static void
test_withheld(void **state)
{
	struct sl_replica_obj o;
	struct pair p;

	pair_new(&p);
	restricted = true;
	put_subject(&p, 800, "u-1");
	put_subject(&p, 801, NULL);
	EQUAL(&p);
	put_subject(&p, 801, "u-2"); /* goes */
	EQUAL(&p);
	assert_false(sl_replica_get(p.old.replica, SL_KIND_PEER, "p-801", &o));
	beat(&p);
	put_subject(&p, 800, NULL); /* comes */
	EQUAL(&p);
	assert_true(sl_replica_get(p.old.replica, SL_KIND_PEER, "p-800", &o));
	put_subject(&p, 800, "u-3");
	put_subject(&p, 801, "u-4");
	del(&p.n, SL_KIND_PEER, "p-801"); /* what it never had */
	EQUAL(&p);
	beat(&p);
	assert_int_equal(p.old.wrong, 0);
	owner_hang_up(&p.old);
	put_subject(&p, 800, "u-5");
	put_subject(&p, 802, "u-6");
	dial(&p, &p.old); /* from the log: a del more does no harm */
	EQUAL(&p);
	beat(&p);
	assert_int_equal(p.old.snapshots, 1);
	sl_sub_resync(p.old.sub, "resync");
	UNTIL(&p, p.old.snapshots == 2);
	EQUAL(&p);
	beat(&p);
	pair_free(&p);
}

/* --- trees ------------------------------------------------------------------------------------
 */

static bool
follows(const struct node *f, const struct node *p)
{
	struct sl_hash_sum x, y;

	sl_store_sum(f->store, &x);
	sl_store_sum(p->store, &y);
	return sl_store_head(f->store) == sl_store_head(p->store) && sl_hash_equal(&x, &y);
}

/** A data store of the schema before keeps the log as it is, so its chain and sum hold, and hands
 * on what it does not know itself: a gateway of today behind it misses nothing. */
static void
test_older_follower(void **state)
{
	struct node f = {0};
	struct owner behind;
	struct pair p;

	pair_new(&p);
	f.conf.heartbeat_s = 1;
	f.conf.schemas = (struct sl_repl_schemas){1, 1};
	node_new(&f, p.base, SL_STORE_FOLLOWER);
	node_follow(&f, "ds-1", p.n.port);
	owner_init(&behind);
	owner_dial(&behind, p.base, "gw-a", false, &f.port, 1);
	owner_hang_up(&p.old);
	put_target(&p, "db", "10.20.0.10/32");
	ledger(&p, "db", "vpn");
	UNTIL(&p, follows(&f, &p.n) && behind.up && owner_equals(&behind, &p.n, "gw-a"));
	assert_non_null(strstr(target_text(&behind, "db"), "withdrawn"));
	assert_int_equal(behind.pos.schema, 1);
	ledger(&p, "db", "pilot");
	ledger(&p, "db", "vpn");
	UNTIL(&p, follows(&f, &p.n) && owner_equals(&behind, &p.n, "gw-a"));
	/* to the primary and back: the schema is another each time */
	owner_hang_up(&behind);
	owner_dial(&behind, p.base, "gw-a", false, &p.n.port, 1);
	UNTIL(&p, behind.snapshots == 2);
	UNTIL(&p, behind.up && owner_equals(&behind, &p.n, "gw-a"));
	assert_string_equal(behind.reason, "schema");
	assert_int_equal(behind.wrong + behind.broken, 0);
	owner_hang_up(&behind);
	owner_free(&behind);
	node_free(&f);
	dial(&p, &p.old);
	EQUAL(&p);
	pair_free(&p);
}

/** A data store of today serves both forms, as the primary does. */
static void
test_follower(void **state)
{
	struct node f = {0};
	struct pair p;

	pair_new(&p);
	f.conf.heartbeat_s = 1;
	node_new(&f, p.base, SL_STORE_FOLLOWER);
	node_follow(&f, "ds-1", p.n.port);
	put_target(&p, "db", "10.20.0.10/32");
	ledger(&p, "db", "vpn");
	EQUAL(&p);
	UNTIL(&p, follows(&f, &p.n));
	owner_hang_up(&p.old);
	owner_dial(&p.old, p.base, "gw-a", false, &f.port, 1);
	ledger(&p, "db", "pilot");
	ledger(&p, "db", "vpn");
	put_peer(&p.n, 700, "wg0");
	EQUAL(&p);
	beat(&p);
	assert_int_equal(p.old.snapshots, 1); /* from the same place on */
	assert_int_equal(p.old.wrong, 0);
	owner_hang_up(&p.old);
	dial(&p, &p.old);
	EQUAL(&p);
	node_free(&f);
	pair_free(&p);
}

/* --- random -----------------------------------------------------------------------------------
 */

static void
change(struct pair *p, unsigned r)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	static const char *const addr[] = {"10.20.0.1/32", "10.20.0.2/32", "10.20.0.3/32",
					   "10.20.0.4/32"};
	static const char *const states[] = {"vpn", "pilot", "observed"};
	unsigned at = r / 16 % 4;

	switch (r % 16) {
	case 0:
		put_gateway(&p->n, "gw-a", (const char *const[]){"wg0", NULL}, r & 256);
		put_gateway(&p->n, "gw-a", (const char *const[]){"wg0", NULL}, true);
		break;
	case 1:
	case 2:
		put_subject(p, 900 + at, r & 256 ? "u" : NULL);
		break;
	case 3:
	case 4:
		put_target(p, names[at], addr[r / 64 % 4]);
		break;
	case 5:
		owner_hang_up(r & 256 ? &p->old : &p->today);
		break;
	case 6:
	case 7:
		if (!p->old.sub)
			dial(p, &p->old);
		if (!p->today.sub)
			dial(p, &p->today);
		break;
	case 8:
		turn(p->base, 5);
		break;
	default:
		ledger(p, names[at], states[r / 64 % 3]);
		break;
	}
}

static void
test_random(void **state)
{
	struct pair p;

	pair_new(&p);
	restricted = true;
	srand(5);
	for (unsigned i = 0; i < 4; i++)
		put_target(&p, (const char *const[]){"a", "b", "c", "d"}[i], "10.20.0.9/32");
	for (unsigned i = 0; i < 60; i++) {
		for (unsigned k = 0; k < 12; k++)
			change(&p, (unsigned)rand() >> 4);
		if (!p.old.sub)
			dial(&p, &p.old);
		if (!p.today.sub)
			dial(&p, &p.today);
		EQUAL(&p);
	}
	beat(&p);
	UNTIL(&p, hashes_ok(&p));
	pair_free(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_ways),	 cmocka_unit_test(test_scope),
		cmocka_unit_test(test_change_of_schema), cmocka_unit_test(test_withheld),
		cmocka_unit_test(test_older_follower),	 cmocka_unit_test(test_follower),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
