/* SPDX-License-Identifier: BSD-3-Clause */
/* Every example of the schema runs, and its result has exactly the members that the schema
 * documents, of the documented types, down to the leaves. */
#include "rpc_fixture.h"

static const char *const types[] = {
	[SL_T_STRING] = "string", [SL_T_INTEGER] = "integer", [SL_T_BOOLEAN] = "boolean",
	[SL_T_ARRAY] = "array",	  [SL_T_OBJECT] = "object",   [SL_T_NUMBER] = "number",
};

static bool
has_type(const json_t *v, enum sl_schema_type t)
{
	switch (t) {
	case SL_T_STRING:
		return json_is_string(v);
	case SL_T_INTEGER:
		return json_is_integer(v);
	case SL_T_NUMBER:
		return json_is_number(v);
	case SL_T_BOOLEAN:
		return json_is_boolean(v);
	case SL_T_ARRAY:
		return json_is_array(v);
	default:
		return json_is_object(v);
	}
}

static unsigned rows; /* of lists that were looked at */

static void check_object(const char *at, const struct sl_schema_field *f, unsigned n,
			 const json_t *v);

static void
check_value(const char *at, const struct sl_schema_field *f, const json_t *v)
{
	if (!has_type(v, f->type))
		fail_msg("%s is no %s", at, types[f->type]);
	if (f->type == SL_T_OBJECT && f->n_fields)
		check_object(at, f->fields, f->n_fields, v);
	for (size_t i = 0; f->type == SL_T_ARRAY && i < json_array_size(v); i++) {
		char item[200];

		snprintf(item, sizeof(item), "%s[%zu]", at, i);
		check_value(item, f->fields, json_array_get(v, i));
		rows++;
	}
}

static void
check_object(const char *at, const struct sl_schema_field *f, unsigned n, const json_t *v)
{
	const char *key;
	json_t *item;
	char path[200];

	for (unsigned i = 0; i < n; i++) {
		item = json_object_get(v, f[i].name);
		snprintf(path, sizeof(path), "%s.%s", at, f[i].name);
		if (item)
			check_value(path, &f[i], item);
		else if (!f[i].optional)
			fail_msg("%s is missing", path);
	}
	json_object_foreach ((json_t *)(uintptr_t)v, key, item) {
		unsigned i = 0;

		while (i < n && strcmp(f[i].name, key))
			i++;
		if (i == n)
			fail_msg("%s.%s is not documented", at, key);
	}
}

static void
run_example(struct rx *r, const struct sl_schema_method *m)
{
	json_t *result = rx_call(r, m->name, m->example);

	check_object(m->name, m->result, m->n_result, result);
	json_decref(result);
	fx_turn(&r->fx);
	r->fx.now_ns += S;
}

static bool
removes(const char *name)
{
	return strstr(name, ".remove") != NULL;
}

static void
test_examples(void **state)
{
	static struct rx r;

	rx_init(&r);
	/* twice, so that lists hold what the examples of the first round made */
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < sl_schema_gateway_n; i++) {
			const struct sl_schema_method *m = &sl_schema_gateway[i];

			if (m->example_runs && !removes(m->name) &&
			    (round == 0 || strcmp(m->name, "peer.add") != 0))
				run_example(&r, m);
		}
	}
	assert_true(rows > 300);
	for (unsigned i = 0; i < sl_schema_gateway_n; i++)
		if (sl_schema_gateway[i].example_runs && removes(sl_schema_gateway[i].name))
			run_example(&r, &sl_schema_gateway[i]);
	rx_fini(&r);
}

/* They need a policy that has the role. */
static void
run_members(struct rx *r)
{
	static const char *const methods[] = {
		"role.member.add",   "role.members",	"role.list",	     "target.list",
		"zone.list",	     "policy.show",	"policy.status",     "policy.lint",
		"policy.explain",    "policy.test",	"policy.would_deny", "policy.replay",
		"policy.suggest",    "policy.simulate", "evidence.list",     "evidence.status",
		"role.member.remove"};

	rx_do(r, "policy.load",
	      "{\"text\":\"{\\\"version\\\":1,\\\"zones\\\":{\\\"in\\\":{\\\"id\\\":1,\\\"type\\\":"
	      "\\\"internal\\\",\\\"networks\\\":[\\\"10.20.0.0/24\\\"]}},\\\"targets\\\":{"
	      "\\\"db\\\":{\\\"addresses\\\":[\\\"10.20.0.10/32\\\"],\\\"description\\\":"
	      "\\\"d\\\"}},\\\"roles\\\":{\\\"engineer\\\":{\\\"description\\\":\\\"e\\\","
	      "\\\"members\\\":[{\\\"peer\\\":\\\"alice\\\",\\\"expires\\\":\\\"2030-01-01\\\"}]},"
	      "\\\"idle\\\":{}},\\\"rules\\\":[{\\\"id\\\":1,\\\"role\\\":\\\"engineer\\\","
	      "\\\"to\\\":[\\\"db\\\",\\\"*\\\"],\\\"protocol\\\":\\\"tcp\\\",\\\"ports\\\":"
	      "[443],\\\"action\\\":\\\"allow\\\",\\\"expires\\\":\\\"2030-01-01\\\","
	      "\\\"description\\\":\\\"r\\\"}]}\"}");
	rx_see(r, "10.20.0.10", 443, 3); /* allowed, denied, and denied on purpose */
	rx_see(r, "10.20.0.10", 22, 2);
	rx_see(r, "10.20.0.11", 23, 1);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(methods); i++)
		run_example(r, sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, methods[i]));
}

static char *answer;

static void
answered(void *ctx, char *text)
{
	answer = text;
}

/* Workers are asked: the test plays one that has a flow. */
static void
run_flows(struct rx *r)
{
	static const char *const methods[] = {"flow.list", "flow.count"};
	struct sl_worker *w = r->fx.dp->worker[0];
	struct sl_flow_key k = {.a = {10, 7, 0, 2}, .b = {10, 20, 0, 10}, .proto = 6, .version = 4};
	struct sl_flow *f = sl_flow_add(w->flows, &k, sl_flow_hash(w->flows, &k),
					sl_tick_of(r->fx.now_ns), NULL, NULL);

	f->flags = SL_FLOW_FROM_TUNNEL | SL_FLOW_ALLOW;
	f->deadline_tick = 1;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(methods); i++) {
		const struct sl_schema_method *m =
			sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, methods[i]);
		char line[80];
		json_t *o;

		snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"}",
			 m->name);
		answer = NULL;
		sl_rpc_line_start(r->rpc, &rx_unix, line, strlen(line), answered, NULL);
		for (unsigned n = 0; answer == NULL && n < 100; n++) {
			sl_ctl_poll(&r->ctl);
			for (unsigned id = 0; id < r->fx.dp->n_workers; id++) {
				w = r->fx.dp->worker[id];
				if (sl_flow_view_lent(w->view))
					sl_flow_view_step(w->view, w->flows,
							  sl_tick_of(r->fx.now_ns), r->fx.now_ns);
			}
		}
		assert_non_null(answer);
		o = json_loads(answer, 0, NULL);
		rows = 0;
		check_object(m->name, m->result, m->n_result, json_object_get(o, "result"));
		assert_true(rows > 0);
		json_decref(o);
		free(answer);
	}
}

/* Those whose examples do not run here by themselves. */
static void
test_others(void **state)
{
	static const char *const methods[] = {"config.save", "config.load", "sys.shutdown"};
	char file[] = "/tmp/sl-examples-XXXXXX", params[100];
	static struct rx r;
	int fd = mkstemp(file);

	assert_true(fd >= 0);
	close(fd);
	unlink(file); /* config.save replaces its own files only */
	rx_init(&r);
	run_members(&r);
	run_flows(&r);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(methods); i++) {
		const struct sl_schema_method *m =
			sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, methods[i]);
		json_t *result;

		assert_false(m->example_runs);
		snprintf(params, sizeof(params), "{\"file\":\"%s\"}", file);
		result = rx_call(&r, m->name, m->n_params ? params : NULL);
		check_object(m->name, m->result, m->n_result, result);
		json_decref(result);
	}
	assert_true(r.quit);
	for (unsigned i = 0; i < sl_schema_gateway_n; i++) {
		const char *name = sl_schema_gateway[i].name;

		assert_true(sl_schema_gateway[i].example_runs ||
			    strncmp(name, "role.member.", 12) == 0 ||
			    strncmp(name, "control.", 8) == 0 || /* lcore_cp_*, tests/control */
			    strncmp(name, "flow.", 5) == 0 ||	 /* run_flows() */
			    strcmp(name, "authz.mode.confirm") == 0 ||
			    strcmp(name, "auth.login") == 0 || /* tests/unit/rpc */
			    strcmp(name, methods[0]) == 0 || strcmp(name, methods[1]) == 0 ||
			    strcmp(name, methods[2]) == 0);
	}
	rx_fini(&r);
	unlink(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_others),
	};

	fx_start("test_rpc_examples");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
