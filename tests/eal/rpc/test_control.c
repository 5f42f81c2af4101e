/* SPDX-License-Identifier: BSD-3-Clause */
/* control.* over a link that the test plays, and the flow aggregates that it sends up: each once,
 * whatever is lost on the way. */
#include "evidence_int.h" /* before libevent, which has an EV_WRITE of its own */

#include "cp.h"
#include "rpc_fixture.h"
#include "rpc_int.h"

static struct rx r;
static struct sl_config_cp config;
static json_t *pushed; /* params of each log.push */
static int answer;     /* rc of what is pushed next */
static bool silent;    /* no answer at all */
static bool resynced;

static int
call(struct sl_cp *cp, const char *method, json_t *params, sl_rpc_answered done)
{
	json_t *result = NULL;

	if (strcmp(method, "log.push") == 0) {
		json_array_append(pushed, params);
		result = json_pack("{s:I}", "acked",
				   json_integer_value(json_object_get(params, "first")) +
					   (json_int_t)json_array_size(
						   json_object_get(params, "rows")) -
					   1);
	}
	json_decref(params);
	if (done != NULL && !(silent && result != NULL))
		done(cp, result != NULL ? answer : 0, result, &(struct sl_error){.reason = "busy"});
	json_decref(result);
	return 0;
}

static void
resync(struct sl_cp *cp)
{
	resynced = true;
}

static int
setup(void **state)
{
	static char *interfaces[] = {(char *)(uintptr_t) "wg0"};
	static struct sl_config_source source = {"cp.example.net", 7444};
	struct sl_cp_conf c = {.gw = NULL, .boot_id = "b00t"};

	rx_init(&r);
	config = (struct sl_config_cp){.name = (char *)(uintptr_t) "gw-1",
				       .sources = &source,
				       .n_sources = 1,
				       .interfaces = interfaces,
				       .n_interfaces = 1,
				       .boot_wait_s = 3,
				       .idp_grace_h = 24,
				       .control_stale_after_h = 24,
				       .stats_s = 3600};
	c.gw = r.fx.gw;
	c.config = &config;
	c.evidence = r.evidence;
	r.ctl.cp = cp_new_bare(&c, &r.e);
	assert_non_null(r.ctl.cp);
	r.ctl.cp->call = call;
	r.ctl.cp->resync = resync;
	sl_cp_poll(r.ctl.cp);
	cp_sub_ops.state(r.ctl.cp, true, 0, NULL);
	sl_cp_poll(r.ctl.cp);
	pushed = json_array();
	answer = 0;
	silent = false;
	return 0;
}

static int
teardown(void **state)
{
	sl_ctl_end_control(&r.ctl);
	json_decref(pushed);
	rx_fini(&r);
	return 0;
}

static void
pass(unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		rx_pass(&r, 1);
		sl_cp_poll(r.ctl.cp);
		fx_turn(&r.fx);
	}
}

static json_int_t
field(unsigned push, const char *name)
{
	return json_integer_value(json_object_get(json_array_get(pushed, push), name));
}

static json_t *
rows(unsigned push)
{
	return json_object_get(json_array_get(pushed, push), "rows");
}

/* --- aggregates ----------------------------------------------------------------------------------
 */

static void
test_push(void **state)
{
	json_t *row;

	rx_see(&r, "10.20.0.10", 5432, 3);
	pass(3);
	assert_int_equal(json_array_size(pushed), 1);
	assert_int_equal(field(0, "first"), 0);
	assert_int_equal(field(0, "lost_before"), 0);
	assert_int_equal(json_array_size(rows(0)), 1);
	row = json_array_get(rows(0), 0);
	assert_string_equal(json_string_value(json_object_get(row, "peer")), "alice");
	assert_string_equal(json_string_value(json_object_get(row, "interface")), "wg0");
	assert_string_equal(json_string_value(json_object_get(row, "src")), "10.7.0.2");
	assert_string_equal(json_string_value(json_object_get(row, "dst")), "10.20.0.10");
	assert_string_equal(json_string_value(json_object_get(row, "from")), "tunnel");
	assert_string_equal(json_string_value(json_object_get(row, "would")), "deny");
	assert_string_equal(json_string_value(json_object_get(row, "verdict")), "allow");
	assert_int_equal(json_integer_value(json_object_get(row, "port")), 5432);
	assert_int_equal(json_integer_value(json_object_get(row, "flows")), 3);
	/* what is new of the same flows, under the next number */
	rx_see(&r, "10.20.0.10", 5432, 2);
	pass(3);
	assert_int_equal(json_array_size(pushed), 2);
	assert_int_equal(field(1, "first"), 1);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(rows(1), 0), "flows")),
			 2);
	pass(5);
	assert_int_equal(json_array_size(pushed), 2);
}

/* Not taken: the same numbers again, with what came meanwhile. */
static void
test_push_again(void **state)
{
	unsigned n, i;

	answer = -EBUSY;
	rx_see(&r, "10.20.0.10", 80, 1);
	pass(3);
	n = (unsigned)json_array_size(pushed);
	assert_in_range(n, 2, 4); /* every 5 s of those 16 */
	for (i = 0; i < n; i++) {
		assert_int_equal(field(i, "first"), 0);
		assert_int_equal(json_array_size(rows(i)), 1);
	}
	rx_see(&r, "10.20.0.10", 81, 1);
	answer = 0;
	pass(3);
	n = (unsigned)json_array_size(pushed);
	assert_int_equal(field(n - 1, "first"), 0);
	assert_int_equal(json_array_size(rows(n - 1)), 2);
}

/* The connection ends before the answer comes. */
static void
test_push_unanswered(void **state)
{
	silent = true;
	rx_see(&r, "10.20.0.10", 80, 1);
	pass(3);
	cp_sub_ops.state(r.ctl.cp, false, 0, &(struct sl_error){.reason = "closed"});
	pass(2);
	silent = false;
	cp_sub_ops.state(r.ctl.cp, true, 0, NULL);
	pass(3);
	assert_int_equal(json_array_size(pushed), 2);
	assert_int_equal(field(1, "first"), 0);
	assert_int_equal(json_array_size(rows(1)), 1);
}

/* Longer away than the buffer lasts: the oldest go, and that is told once. */
static void
test_push_lost(void **state)
{
	struct sl_evidence_row row = {.key = {.version = 4, .iface = 1}};
	unsigned waiting, i;
	uint64_t lost, got = 0;

	cp_sub_ops.state(r.ctl.cp, false, 0, &(struct sl_error){.reason = "closed"});
	for (i = 0; i < 16384 + 100; i++)
		r.evidence->tap(r.evidence->tap_ctx, &row, 0);
	r.evidence->tap(r.evidence->tap_ctx, NULL, 7);
	cp_log_info(r.ctl.cp, &waiting, &lost);
	assert_int_equal(waiting, 16384);
	assert_int_equal(lost, 100);
	cp_sub_ops.state(r.ctl.cp, true, 0, NULL);
	pass(50);
	assert_int_equal(field(0, "first"), 100);
	assert_int_equal(field(0, "lost_before"), 100);
	assert_int_equal(field(0, "lost_flows"), 7);
	assert_int_equal(field(1, "lost_before"), 0);
	assert_int_equal(field(1, "lost_flows"), 0);
	for (i = 0; i < json_array_size(pushed); i++) {
		assert_int_equal(field(i, "first"), 100 + got);
		got += json_array_size(rows(i));
	}
	assert_int_equal(got, 16384);
	cp_log_info(r.ctl.cp, &waiting, &lost);
	assert_int_equal(waiting, 0);
}

/* --- control.* -----------------------------------------------------------------------------------
 */

static void
test_methods(void **state)
{
	json_t *o = rx_call(&r, "control.status", "{}");

	assert_true(json_is_true(json_object_get(o, "managed")));
	assert_true(json_is_true(json_object_get(o, "connected")));
	assert_string_equal(json_string_value(json_object_get(o, "source")), "cp.example.net:7444");
	json_decref(o);
	rx_do(&r, "control.resync", "{}");
	assert_true(resynced);
	o = rx_call(&r, "control.tombstones", "{}");
	rx_is(o, "{\"tombstones\":[],\"total\":0}");
	json_decref(o);
	rx_refused(&r, "control.tombstone.confirm", "{\"kind\":\"peer\",\"id\":\"bob\"}", -ENOENT,
		   "tombstone_unknown", "/id");
	rx_refused(&r, "control.epoch.accept", "{\"id\":\"11111111111111111111111111111111\"}",
		   -ENOENT, "epoch_unknown", "/id");
	rx_refused(&r, "peer.remove", "{\"interface\":\"wg0\",\"peer\":\"alice\"}", -EBUSY,
		   "managed_by_control", "/interface");
}

static void
keep_answer(void *ctx, char *text)
{
	free(*(char **)ctx);
	*(char **)ctx = text;
}

/** Let the link take an epoch that it refused. @return malloc'ed answer, NULL: none yet */
static char *
accept_epoch(char **told)
{
	static const char line[] = "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": "
				   "\"control.epoch.accept\", \"params\": {\"id\": "
				   "\"11111111111111111111111111111111\"}}";
	struct sl_epoch e = {.number = 4, .id = "11111111111111111111111111111111"};

	r.ctl.cp->accepted = (struct sl_epoch){0}; /* of the time before */
	r.ctl.cp->seen = (struct sl_epoch){.number = 5, .id = "22222222222222222222222222222222"};
	assert_int_equal(cp_sub_ops.epoch(r.ctl.cp, &e, &r.e), -EPERM);
	assert_non_null(sl_rpc_line_start(r.rpc, &rx_unix, line, strlen(line), keep_answer, told));
	return *told;
}

/* Who lets an epoch in is answered when the disk has it, or will not take it. */
static void
test_epoch_accepted(void **state)
{
	char *told = NULL;

	assert_null(accept_epoch(&told));
	ctl_accepted_poll(&r.ctl);
	assert_non_null(told);
	assert_non_null(strstr(told, "\"result\""));
	free(told);
	told = NULL;
	r.ctl.cp->state_dir = strdup("/nonexistent");
	assert_null(accept_epoch(&told));
	while (told == NULL) {
		ctl_accepted_poll(&r.ctl);
		fx_turn(&r.fx);
	}
	assert_null(strstr(told, "\"result\""));
	assert_non_null(strstr(told, "/nonexistent"));
	free(told);
}

/* From afar nobody lets anything back in. */
static void
test_local_only(void **state)
{
	static const char *const methods[] = {"control.tombstone.confirm", "control.epoch.accept"};
	json_t *params = json_object(), *result;
	unsigned i;

	for (i = 0; i < SL_ARRAY_SIZE(methods); i++) {
		assert_int_equal(sl_rpc_call(r.rpc, &rx_tcp, methods[i], params, &result, &r.e),
				 -EPERM);
		assert_string_equal(r.e.reason, "local_only_setting");
	}
	json_decref(params);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_push),	 T(test_push_again), T(test_push_unanswered), T(test_push_lost),
		T(test_methods), T(test_local_only), T(test_epoch_accepted),
	};

	fx_start("test_rpc_control");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
