/* SPDX-License-Identifier: BSD-3-Clause */
/* Bad links: a primary, a follower and two gateways, one behind each, with lines lost, twice,
 * out of order and cut, while objects change, programs start again and epochs begin. Whatever
 * happens, a gateway holds at each moment what its scope held at the seq that it names, and at the
 * end of all trouble everybody has everything. What a scope held is told from the store's rows by a
 * rule of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bad_link.h"
#include "fixture.h"

#define SEQS 20000
#define ROUNDS 8
#define STEPS 80

enum { GW_A, GW_B, GATEWAYS };

static const char *const gateway[GATEWAYS] = {"gw-a", "gw-b"};

struct world {
	struct event_base *base;
	struct node primary, follower;
	struct owner o[GATEWAYS]; /* gw-a at the primary, gw-b at the follower */
	struct bad_link link[GATEWAYS], trunk;
	struct sl_hash_sum sums[GATEWAYS][SEQS]; /* what each scope held at each seq */
	unsigned seed, states;
};

static struct world w;

static unsigned
any(unsigned n)
{
	return (unsigned)rand_r(&w.seed) % n;
}

/* --- what a scope holds ----------------------------------------------------------------------- */

struct tally {
	const char *gateway;
	json_t *record;
	struct sl_hash_sum *sum;
};

static bool
serves(const json_t *record, const char *iface)
{
	json_t *list = json_object_get(record, "interfaces"), *v;
	size_t i;

	json_array_foreach (list, i, v) {
		if (strcmp(json_string_value(v), iface) == 0)
			return true;
	}
	return false;
}

static bool
is_in_scope(const struct tally *t, enum sl_kind k, const char *id, const json_t *body)
{
	if (k == SL_KIND_GATEWAY)
		return strcmp(id, t->gateway) == 0;
	if (t->record == NULL || json_is_false(json_object_get(t->record, "enabled")))
		return false;
	if (k == SL_KIND_INTERFACE)
		return serves(t->record, id);
	if (k == SL_KIND_PEER)
		return serves(t->record, json_string_value(json_object_get(body, "interface")));
	return k == SL_KIND_PROVIDER; /* settings go to no gateway */
}

static bool
add_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct tally *t = ctx;
	json_t *body = json_loadb(text, len, 0, NULL);
	uint8_t h[SL_HASH_LEN];
	char *canon;
	size_t n;

	if (is_in_scope(t, k, id, body)) {
		canon = sl_canon(body, &n);
		sl_object_hash(k, id, canon, n, h);
		sl_hash_add(t->sum, h);
		free(canon);
	}
	json_decref(body);
	return true;
}

/** After each commit. */
static void
note(uint64_t seq)
{
	static const enum sl_kind kinds[] = {SL_KIND_GATEWAY, SL_KIND_INTERFACE, SL_KIND_PEER,
					     SL_KIND_PROVIDER, SL_KIND_SETTING};
	struct sl_error e;

	assert_true(seq < SEQS);
	for (unsigned g = 0; g < GATEWAYS; g++) {
		struct tally t = {.gateway = gateway[g], .sum = &w.sums[g][seq]};

		*t.sum = (struct sl_hash_sum){0};
		sl_store_get(w.primary.store, SL_KIND_GATEWAY, gateway[g], NULL, &t.record);
		for (unsigned i = 0; i < SL_ARRAY_SIZE(kinds); i++)
			assert_int_equal(sl_store_walk(w.primary.store, kinds[i], "", add_row, &t,
						       &e),
					 0);
		json_decref(t.record);
	}
}

/** A gateway has a new state. */
static void
check_state(struct owner *o, const char *why)
{
	unsigned g = (unsigned)(uintptr_t)o->ctx;
	struct sl_hash_sum sum;

	sl_replica_sum(o->replica, &sum);
	assert_true(o->pos.seq < SEQS);
	if (!sl_hash_equal(&sum, &w.sums[g][o->pos.seq]))
		fail_msg("%s after %s is not what it was at seq %llu", gateway[g], why,
			 (unsigned long long)o->pos.seq);
	w.states++;
}

/* --- changes ---------------------------------------------------------------------------------- */

static void
change_gateway(struct sl_store_txn *t)
{
	json_t *body = json_pack("{s:b, s:[s]}", "enabled", (int)(any(6) != 0), "interfaces",
				 any(2) ? "wg0" : "wg1");
	struct sl_error e;

	if (any(2))
		json_object_set_new(body, "interfaces", json_pack("[s, s]", "wg0", "wg1"));
	assert_int_equal(sl_store_put(t, SL_KIND_GATEWAY, gateway[any(2)], SL_REV_ANY, body, &e),
			 0);
	json_decref(body);
}

static void
change_peer(struct sl_store_txn *t)
{
	unsigned i = 1 + any(40);
	struct sl_error e;
	json_t *body;
	char id[16];

	snprintf(id, sizeof(id), "p-%u", i);
	if (any(3) == 0) {
		sl_store_del(t, SL_KIND_PEER, id, SL_REV_ANY, &e); /* it may not be there */
		return;
	}
	body = peer_body(i, any(2) ? "wg0" : "wg1");
	json_object_set_new(body, "keepalive_s", json_integer(any(100)));
	assert_int_equal(sl_store_put(t, SL_KIND_PEER, id, SL_REV_ANY, body, &e), 0);
	json_decref(body);
}

static void
change_other(struct sl_store_txn *t)
{
	bool setting = any(2) == 0;
	json_t *body = setting ? json_pack("{s:i}", "value", (int)any(100))
			       : json_pack("{s:s}", "state", any(2) ? "up" : "down");
	struct sl_error e;

	assert_int_equal(sl_store_put(t, setting ? SL_KIND_SETTING : SL_KIND_PROVIDER,
				      setting ? "log_days" : "corp", SL_REV_ANY, body, &e),
			 0);
	json_decref(body);
}

static void
change(void)
{
	struct sl_error e;
	struct sl_store_txn *t = sl_store_begin(w.primary.store, "test", "test", &e);
	uint64_t seq = 0;

	assert_non_null(t);
	for (unsigned n = 1 + any(4); n > 0; n--) {
		if (any(10) == 0)
			change_gateway(t);
		else if (any(8) == 0)
			change_other(t);
		else
			change_peer(t);
	}
	assert_int_equal(sl_store_commit(t, &seq, &e), 0);
	note(seq);
	sl_publisher_kick(w.primary.pub);
}

/* --- trouble ---------------------------------------------------------------------------------- */

static void
dial(unsigned g)
{
	if (w.o[g].sub != NULL)
		owner_hang_up(&w.o[g]);
	owner_dial(&w.o[g], w.base, gateway[g], false, &w.link[g].port, 1);
}

static void
restart_follower(void)
{
	node_stop(&w.follower);
	node_start(&w.follower);
	node_follow(&w.follower, "f", w.trunk.port);
}

static void
trouble(void)
{
	struct sl_error e;

	switch (any(60)) {
	case 0:
		restart_follower();
		break;
	case 1:
		node_stop(&w.primary);
		node_start(&w.primary);
		break;
	case 2:
		sl_sub_resync(w.o[any(2)].sub, "resync");
		break;
	case 3:
		sl_store_compact(w.primary.store, 0, 0, sl_publisher_keep_from(w.primary.pub), &e);
		break;
	case 4:
	case 5:
	case 6:
	case 7:
		dial(any(2));
		break;
	default:
		break;
	}
}

static void
set_links(unsigned per_mille)
{
	w.trunk.per_mille = per_mille;
	for (unsigned g = 0; g < GATEWAYS; g++)
		w.link[g].per_mille = per_mille;
}

/** Everybody equal, the follower's store too. */
static bool
all_equal(void)
{
	struct sl_hash_sum a, b;

	sl_store_sum(w.primary.store, &a);
	sl_store_sum(w.follower.store, &b);
	if (!sl_hash_equal(&a, &b) ||
	    sl_store_head(w.primary.store) != sl_store_head(w.follower.store))
		return false;
	return w.o[GW_A].up && w.o[GW_B].up && owner_equals(&w.o[GW_A], &w.primary, "gw-a") &&
	       owner_equals(&w.o[GW_B], &w.primary, "gw-b");
}

/** The links are good again; those that have waited long between their tries dial anew. */
static void
settle(void)
{
	set_links(0);
	bad_link_cut(&w.trunk);
	restart_follower();
	for (unsigned g = 0; g < GATEWAYS; g++) {
		bad_link_cut(&w.link[g]);
		dial(g);
	}
	UNTIL(&w, all_equal());
}

/* --- the test --------------------------------------------------------------------------------- */

static void
world_new(void)
{
	w.base = loop_new();
	w.primary.conf.heartbeat_s = w.follower.conf.heartbeat_s = 1;
	node_new(&w.primary, w.base, SL_STORE_PRIMARY);
	node_new(&w.follower, w.base, SL_STORE_FOLLOWER);
	fill(&w.primary);
	note(sl_store_head(w.primary.store));
	bad_link_open(&w.trunk, w.base, w.primary.port, any(1000));
	bad_link_open(&w.link[GW_A], w.base, w.primary.port, any(1000));
	bad_link_open(&w.link[GW_B], w.base, w.follower.port, any(1000));
	node_follow(&w.follower, "f", w.trunk.port);
	for (unsigned g = 0; g < GATEWAYS; g++) {
		owner_init(&w.o[g]);
		w.o[g].state = check_state;
		w.o[g].ctx = (void *)(uintptr_t)g;
		dial(g);
	}
	UNTIL(&w, all_equal());
}

static void
world_free(void)
{
	for (unsigned g = 0; g < GATEWAYS; g++)
		owner_hang_up(&w.o[g]);
	node_free(&w.follower);
	node_free(&w.primary);
	bad_link_close(&w.trunk);
	for (unsigned g = 0; g < GATEWAYS; g++) {
		bad_link_close(&w.link[g]);
		owner_free(&w.o[g]);
	}
	loop_free(w.base);
}

static void
tell(const char *who, const struct bad_link *l, struct bad_link *all)
{
	print_message("%s: %u lines: %u lost, %u twice, %u swapped, %u cut\n", who, l->lines,
		      l->lost, l->twice, l->swapped, l->cut);
	all->lost += l->lost;
	all->twice += l->twice;
	all->swapped += l->swapped;
	all->cut += l->cut;
}

static void
test_faults(void **state)
{
	struct bad_link all = {0};
	struct sl_error e;

	w.seed = getenv("SL_SEED") ? (unsigned)atoi(getenv("SL_SEED")) : 20261126;
	print_message("seed %u (SL_SEED)\n", w.seed);
	world_new();
	for (unsigned round = 0; round < ROUNDS; round++) {
		set_links(round % 2 ? 15 : 60);
		for (unsigned step = 0; step < STEPS; step++) {
			change();
			trouble();
			if (any(3))
				turn(w.base, any(6));
		}
		if (round % 4 == 3)
			assert_int_equal(sl_store_new_epoch(w.primary.writer, "test", &e), 0);
		settle();
	}
	tell("the follower", &w.trunk, &all);
	for (unsigned g = 0; g < GATEWAYS; g++) {
		tell(gateway[g], &w.link[g], &all);
		print_message("%u transactions, %u snapshots\n", w.o[g].txns, w.o[g].snapshots);
		assert_int_equal(w.o[g].wrong + w.o[g].broken, 0);
	}
	assert_true(all.lost > 0 && all.twice > 0 && all.swapped > 0 && all.cut > 0);
	assert_true(w.states > 100);
	world_free();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
