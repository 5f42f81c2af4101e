/* SPDX-License-Identifier: BSD-3-Clause */
/* Versions of objects: the highest that both know is sent; who has none in common is told whom to
 * update. The order of an upgrade, played through: control plane, follower, gateways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define N(v) v, sizeof(v) / sizeof((v)[0])

static void
test_pick(void **state)
{
	static const int64_t one[] = {1}, two[] = {1, 2}, odd[] = {3, 1, 7}, late[] = {5, 6};
	const struct sl_repl_schemas first = {1, 1}, both = {1, 2}, last = {2, 3};
	struct sl_error e = {0};

	assert_int_equal(sl_repl_schema_pick("gw-a", N(one), first, &e), 1);
	assert_int_equal(sl_repl_schema_pick("gw-a", N(one), both, &e), 1);
	assert_int_equal(sl_repl_schema_pick("gw-a", N(two), first, &e), 1);
	assert_int_equal(sl_repl_schema_pick("gw-a", N(two), both, &e), 2);
	assert_int_equal(sl_repl_schema_pick("gw-a", N(two), last, &e), 2);
	assert_int_equal(sl_repl_schema_pick("gw-a", N(odd), last, &e), 3);
	assert_int_equal(sl_repl_schema_pick("gw-a", N(one), last, &e), 0);
	assert_string_equal(e.reason, "schema_unsupported");
	assert_non_null(strstr(e.hint, "update gw-a"));
	assert_int_equal(sl_repl_schema_pick("gw-a", N(late), last, &e), 0);
	assert_non_null(strstr(e.hint, "update this control plane"));
	assert_int_equal(sl_repl_schema_pick("gw-a", NULL, 0, last, &e), 0);
}

/* --- two ends ----------------------------------------------------------------------------------
 */

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
	owner_hang_up(&p->o);
	node_free(&p->n);
	owner_free(&p->o);
	loop_free(p->base);
}

static void
serve(struct pair *p, unsigned oldest, unsigned newest)
{
	node_stop(&p->n);
	p->n.conf.schemas = (struct sl_repl_schemas){oldest, newest};
	node_start(&p->n);
}

static void
run(struct pair *p, unsigned oldest, unsigned newest)
{
	if (p->o.sub != NULL)
		owner_hang_up(&p->o);
	p->o.schemas = (struct sl_repl_schemas){oldest, newest};
	owner_dial(&p->o, p->base, "gw-a", false, &p->n.port, 1);
}

static bool
row_schema(void *ctx, const struct sl_subscriber_info *i)
{
	unsigned *schema = ctx;

	if (strcmp(i->node, "gw-a") == 0 && i->connected)
		*schema = i->schema;
	return true;
}

static unsigned
sent(const struct pair *p)
{
	unsigned schema = 0;

	sl_publisher_walk(p->n.pub, row_schema, &schema);
	return schema;
}

static bool
is_refused(const struct pair *p)
{
	struct sl_sub_info i;

	sl_sub_info(p->o.sub, &i);
	return strncmp(i.last_error, "schema_unsupported", 18) == 0;
}

#define SERVED(p) UNTIL(p, (p)->o.up &&owner_equals(&(p)->o, &(p)->n, "gw-a"))

/** The control plane first, then the gateway; at each step it is served, by what both know. */
static void
test_upgrade(void **state)
{
	struct pair p;

	pair_new(&p);
	serve(&p, 1, 1);
	run(&p, 1, 1);
	SERVED(&p);
	assert_int_equal(sent(&p), 1);
	serve(&p, 1, 2);
	UNTIL(&p, p.o.downs > 0);
	SERVED(&p);
	assert_int_equal(sent(&p), 1);
	run(&p, 1, 2);
	SERVED(&p);
	assert_int_equal(sent(&p), 2);
	put_peer(&p.n, 900, "wg0");
	SERVED(&p);
	serve(&p, 2, 3);
	UNTIL(&p, p.o.downs > 1);
	SERVED(&p);
	assert_int_equal(sent(&p), 2);
	pair_free(&p);
}

/** A gateway two versions behind is not served; updated, it is. What it has, it keeps. */
static void
test_too_old(void **state)
{
	struct pair p;
	uint64_t had;

	pair_new(&p);
	serve(&p, 1, 2);
	run(&p, 1, 1);
	SERVED(&p);
	had = p.o.pos.seq;
	serve(&p, 2, 3);
	UNTIL(&p, is_refused(&p));
	put_peer(&p.n, 901, "wg0");
	turn(p.base, 100);
	assert_false(p.o.up);
	assert_int_equal(p.o.pos.seq, had);
	run(&p, 1, 2);
	SERVED(&p);
	assert_int_equal(sent(&p), 2);
	pair_free(&p);
}

/** A gateway that was updated before its control plane waits for it. */
static void
test_too_new(void **state)
{
	struct pair p;

	pair_new(&p);
	serve(&p, 1, 1);
	run(&p, 2, 3);
	UNTIL(&p, is_refused(&p));
	assert_false(p.o.up);
	serve(&p, 1, 2);
	SERVED(&p);
	assert_int_equal(sent(&p), 2);
	pair_free(&p);
}

/** A gateway that was updated before its control plane is served the former schema, and all anew in
 * its own once the control plane is updated. */
static void
test_gateway_first(void **state)
{
	struct pair p;

	pair_new(&p);
	serve(&p, 1, 1);
	run(&p, 1, 2);
	SERVED(&p);
	assert_int_equal(sent(&p), 1);
	assert_int_equal(p.o.snapshots, 1);
	serve(&p, 1, 2);
	UNTIL(&p, p.o.snapshots == 2);
	SERVED(&p);
	assert_string_equal(p.o.reason, "schema");
	assert_int_equal(sent(&p), 2);
	put_peer(&p.n, 902, "wg0");
	SERVED(&p);
	assert_int_equal(p.o.wrong + p.o.broken, 0);
	pair_free(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pick),	      cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_too_old),	      cmocka_unit_test(test_too_new),
		cmocka_unit_test(test_gateway_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
