/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may ask the publisher for what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

struct ask {
	struct event_base *base;
	struct node n;
	struct sl_rpc_client *client;
	bool up, down, done;
	int rc;
	char reason[40], path[160];
	uint32_t retry_ms;
	json_t *result;
};

static void
on_up(void *ctx)
{
	((struct ask *)ctx)->up = true;
}

static void
on_notify(void *ctx, const char *method, json_t *params)
{
}

static void
on_down(void *ctx, const struct sl_error *e)
{
	((struct ask *)ctx)->down = true;
}

static void
on_answer(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	struct ask *a = ctx;

	a->done = true;
	a->rc = rc;
	snprintf(a->reason, sizeof(a->reason), "%s", rc ? e->reason : "");
	snprintf(a->path, sizeof(a->path), "%s", rc ? e->path : "");
	a->retry_ms = rc ? e->retry_after_ms : 0;
	json_decref(a->result);
	a->result = rc ? NULL : json_incref(result);
}

static int
ask_new(void **state)
{
	struct ask *a = calloc(1, sizeof(*a));

	a->base = loop_new();
	node_new(&a->n, a->base, SL_STORE_PRIMARY);
	fill(&a->n);
	*state = a;
	return 0;
}

static int
ask_free(void **state)
{
	struct ask *a = *state;

	if (a->client)
		sl_rpc_client_free(a->client);
	json_decref(a->result);
	node_free(&a->n);
	loop_free(a->base);
	free(a);
	return 0;
}

static void
log_in(struct ask *a, const char *token)
{
	struct sl_rpc_client_conf c = {.base = a->base,
				       .host = "127.0.0.1",
				       .port = a->n.port,
				       .token = token,
				       .name = "test",
				       .up = on_up,
				       .notify = on_notify,
				       .down = on_down,
				       .ctx = a};
	struct sl_error e;

	if (a->client)
		sl_rpc_client_free(a->client);
	a->up = a->down = false;
	a->client = sl_rpc_client_new(&c, &e);
	assert_non_null(a->client);
	UNTIL(a, a->up);
}

static const char *
call(struct ask *a, const char *method, json_t *params)
{
	assert_non_null(params);
	a->done = false;
	assert_int_equal(sl_rpc_client_call(a->client, method, params, on_answer, a), 0);
	UNTIL(a, a->done);
	return a->reason;
}

static json_t *
subscribe(const char *node, const char *scope)
{
	return json_pack("{s:s, s:s, s:[i]}", "node", node, "scope", scope, "schema", 1);
}

static void
test_roles(void **state)
{
	static const char *const other[] = {"admin",  "operator", "approver", "auditor",
					    "viewer", "agent",	  "peer"};
	struct ask *a = *state;

	log_in(a, "gateway:gw-a");
	assert_string_equal(call(a, "repl.subscribe", subscribe("gw-b", "gateway")),
			    "node_foreign");
	assert_string_equal(call(a, "repl.subscribe", subscribe("gw-a", "all")), "scope_forbidden");
	assert_string_equal(call(a, "repl.subscribe", subscribe("gw-a", "gateway")), "");
	log_in(a, "follower:ds-1");
	assert_string_equal(call(a, "repl.subscribe", subscribe("ds-1", "gateway")),
			    "scope_forbidden");
	assert_string_equal(call(a, "repl.subscribe", subscribe("gw-a", "gateway")),
			    "node_foreign");
	assert_string_equal(call(a, "repl.subscribe", subscribe("ds-1", "all")), "");
	for (unsigned i = 0; i < SL_ARRAY_SIZE(other); i++) {
		char token[40];

		snprintf(token, sizeof(token), "%s:gw-a", other[i]);
		log_in(a, token);
		assert_string_equal(call(a, "repl.subscribe", subscribe("gw-a", "gateway")),
				    "forbidden");
		assert_string_equal(call(a, "stats.report",
					 json_pack("{s:s, s:[]}", "boot", "b", "peers")),
				    "forbidden");
	}
}

/** A gateway speaks of itself; a follower of those behind it. */
static void
test_speaks_for(void **state)
{
	struct ask *a = *state;

	log_in(a, "gateway:gw-a");
	assert_string_equal(call(a, "repl.ack", json_pack("{s:s, s:i}", "node", "gw-b", "seq", 1)),
			    "node_foreign");
	assert_string_equal(a->path, "/node");
	assert_string_equal(call(a, "stats.report",
				 json_pack("{s:s, s:s, s:[]}", "node", "gw-b", "boot", "b",
					   "peers")),
			    "node_foreign");
	assert_string_equal(call(a, "gateway.register",
				 json_pack("{s:s, s:s, s:s, s:[]}", "node", "gw-b", "boot", "b",
					   "version", "1", "interfaces")),
			    "node_foreign");
	assert_string_equal(call(a, "log.push",
				 json_pack("{s:s, s:s, s:i, s:[]}", "node", "gw-b", "boot", "b",
					   "first", 1, "rows")),
			    "node_foreign");
	assert_int_equal(a->n.calls, 0);
	assert_string_equal(call(a, "log.push",
				 json_pack("{s:s, s:s, s:i, s:[]}", "node", "gw-a", "boot", "b",
					   "first", 1, "rows")),
			    "");
	log_in(a, "follower:ds-1");
	assert_string_equal(call(a, "log.push",
				 json_pack("{s:s, s:s, s:i, s:[]}", "node", "gw-b", "boot", "b",
					   "first", 1, "rows")),
			    "");
	assert_string_equal(a->n.about, "gw-b");
}

static bool
note_gw_b(void *ctx, const struct sl_subscriber_info *i)
{
	if (strcmp(i->node, "gw-b") == 0)
		*(struct sl_subscriber_info *)ctx = *i;
	return true;
}

/** A gateway behind a data store tells what it reads when it registers, at each connection. */
static void
test_schema_of_relayed(void **state)
{
	static const struct {
		int oldest, newest;
		unsigned want;
	} reads[] = {{1, 1, 1}, {1, 2, 2}, {2, 9, 2}, {8, 9, 0}};
	struct ask *a = *state;
	json_t *q;

	log_in(a, "follower:ds-1");
	assert_string_equal(call(a, "repl.subscribe", subscribe("ds-1", "all")), "");
	for (unsigned k = 0; k < SL_ARRAY_SIZE(reads); k++) {
		struct sl_subscriber_info i = {0};

		q = json_pack("{s:s, s:s, s:s, s:[], s:[ii]}", "node", "gw-b", "boot", "b",
			      "version", "1", "interfaces", "schema", reads[k].oldest,
			      reads[k].newest);
		assert_string_equal(call(a, "gateway.register", q), "");
		sl_publisher_walk(a->n.pub, note_gw_b, &i);
		assert_true(i.connected);
		assert_int_equal(i.schema, reads[k].want);
	}
}

static void
test_bad_asks(void **state)
{
	struct ask *a = *state;
	json_t *q;

	log_in(a, "gateway:gw-a");
	q = subscribe("gw-a", "gateway");
	json_object_set_new(q, "schema", json_pack("[i]", 99));
	assert_string_equal(call(a, "repl.subscribe", q), "schema_unsupported");
	q = subscribe("gw-a", "gateway");
	json_object_set_new(q, "epoch", json_pack("{s:i, s:s}", "number", 1, "id", "short"));
	assert_string_equal(call(a, "repl.subscribe", q), "epoch_invalid");
	q = subscribe("gw-a", "gateway");
	json_object_set_new(q, "epoch", json_string("1"));
	assert_string_equal(call(a, "repl.subscribe", q), "epoch_invalid");
	/* twice on one connection: the later one counts */
	assert_string_equal(call(a, "repl.subscribe", subscribe("gw-a", "gateway")), "");
	assert_string_equal(call(a, "repl.subscribe", subscribe("gw-a", "gateway")), "");
	assert_string_equal(json_string_value(json_object_get(a->result, "mode")), "snapshot");
	turn(a->base, 50);
	assert_false(a->down);
}

/** Snapshots for one that asks again and again are no more than a few; others get theirs. */
static void
test_too_often(void **state)
{
	struct ask *a = *state;
	unsigned n = 0;

	log_in(a, "gateway:gw-a");
	while (strcmp(call(a, "repl.subscribe", subscribe("gw-a", "gateway")), "") == 0)
		assert_in_range(++n, 1, 20);
	assert_in_range(n, 10, 20);
	assert_string_equal(a->reason, "rate_limited");
	assert_in_range(a->retry_ms, 1, 5000);
	log_in(a, "gateway:gw-b");
	assert_string_equal(call(a, "repl.subscribe", subscribe("gw-b", "gateway")), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_roles, ask_new, ask_free),
		cmocka_unit_test_setup_teardown(test_speaks_for, ask_new, ask_free),
		cmocka_unit_test_setup_teardown(test_schema_of_relayed, ask_new, ask_free),
		cmocka_unit_test_setup_teardown(test_bad_asks, ask_new, ask_free),
		cmocka_unit_test_setup_teardown(test_too_often, ask_new, ask_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
