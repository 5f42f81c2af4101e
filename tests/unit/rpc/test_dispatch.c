/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls in process: binding, states, who may, what errors look like, the audit trail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_log.h"
#include "sl_schema_gateway.h"

static const struct sl_rpc_caller local = {SL_RPC_VIA_UNIX, "uid:0", &sl_service_local};
static const struct sl_rpc_caller console = {SL_RPC_VIA_CONSOLE, "console", &sl_service_local};
static const struct sl_rpc_caller config = {SL_RPC_VIA_CONFIG, "config", &sl_service_local};
static const struct sl_rpc_caller far = {SL_RPC_VIA_TCP, "tcp:loopback", &sl_service_local};

struct probe {
	struct sl_rpc *rpc;
	unsigned calls;
	char log[1024];
};

static void
sink(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	struct probe *p = ctx;
	size_t n = strlen(p->log);

	snprintf(p->log + n, sizeof(p->log) - n, "%d %s: %s\n", (int)level, topic, text);
}

static int
setup(void **state)
{
	struct probe *p = calloc(1, sizeof(*p));

	p->rpc = sl_rpc_new(&sl_gateway_schema, p);
	assert_non_null(p->rpc);
	assert_ptr_equal(sl_rpc_user(p->rpc), p);
	sl_log_set_sink(sink, p);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct probe *p = *state;

	sl_log_set_sink(NULL, NULL);
	sl_rpc_free(p->rpc);
	free(p);
	return 0;
}

static int
count(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
      struct sl_error *e)
{
	struct probe *p = user;

	p->calls++;
	*result = json_pack("{s:s}", "by", caller->principal);
	return 0;
}

static int
count_only(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	   struct sl_error *e)
{
	((struct probe *)user)->calls++;
	return 0;
}

static int
refuse(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
       struct sl_error *e)
{
	*result = json_object(); /* a result beside an error is let go */
	return sl_fail(e, -EEXIST, "exists", "/public_key", "it is there");
}

static int
refuse_silently(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
		struct sl_error *e)
{
	return -EIO;
}

static void
test_bind(void **state)
{
	struct probe *p = *state;

	assert_int_equal(sl_rpc_bind(p->rpc, "rpc.nothing", count), -ENOENT);
	assert_int_equal(sl_rpc_bind(p->rpc, "rpc.ping", count), 0);
	assert_int_equal(sl_rpc_bind(p->rpc, "rpc.ping", count), -EEXIST);
}

static void
test_call(void **state)
{
	struct probe *p = *state;
	struct sl_error e;
	json_t *result;

	sl_rpc_bind(p->rpc, "rpc.ping", count);
	sl_rpc_bind(p->rpc, "rpc.hello", count_only);
	sl_rpc_bind(p->rpc, "peer.add", refuse);
	sl_rpc_bind(p->rpc, "drops.get", refuse_silently);
	assert_int_equal(sl_rpc_call(p->rpc, &console, "rpc.ping", NULL, &result, &e), 0);
	assert_string_equal(json_string_value(json_object_get(result, "by")), "console");
	json_decref(result);
	/* no result is an empty object */
	assert_int_equal(sl_rpc_call(p->rpc, &console, "rpc.hello", NULL, &result, &e), 0);
	assert_true(json_is_object(result) && json_object_size(result) == 0);
	json_decref(result);
	assert_int_equal(p->calls, 2);
	/* known to the schema, bound to nothing; not known at all */
	assert_int_equal(sl_rpc_call(p->rpc, &console, "rpc.methods", NULL, &result, &e), -ENOSYS);
	assert_int_equal(sl_rpc_call(p->rpc, &console, "rpc.x", NULL, &result, &e), -ENOSYS);
	assert_string_equal(e.reason, "method_unknown");
	assert_null(result);
	assert_int_equal(sl_rpc_call(p->rpc, &console, "drops.get", NULL, &result, &e), -EIO);
	assert_string_equal(e.reason, "internal");
	assert_null(result);
}

static void
test_handler_error(void **state)
{
	struct probe *p = *state;
	json_t *result, *params;
	struct sl_error e;

	sl_rpc_bind(p->rpc, "peer.add", refuse);
	params = json_pack("{s:s, s:s}", "interface", "wg0", "public_key",
			   "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=");
	assert_int_equal(sl_rpc_call(p->rpc, &console, "peer.add", params, &result, &e), -EEXIST);
	assert_string_equal(e.reason, "exists");
	assert_string_equal(e.path, "/public_key");
	assert_null(result);
	/* wrong parameters never reach the handler */
	json_object_del(params, "interface");
	assert_int_equal(sl_rpc_call(p->rpc, &console, "peer.add", params, &result, &e), -EINVAL);
	assert_string_equal(e.reason, "param_missing");
	json_decref(params);
}

static void
test_state(void **state)
{
	struct probe *p = *state;
	struct sl_error e;
	json_t *result;

	sl_rpc_bind(p->rpc, "sys.shutdown", count);
	assert_int_equal(sl_rpc_call(p->rpc, &console, "sys.shutdown", NULL, &result, &e), -EBUSY);
	assert_string_equal(e.reason, "invalid_state");
	sl_rpc_set_state(p->rpc, SL_RPC_RUNNING);
	assert_int_equal(sl_rpc_call(p->rpc, &console, "sys.shutdown", NULL, &result, &e), 0);
	json_decref(result);
	assert_int_equal(p->calls, 1);
}

/* D6: from afar nobody touches what is local, and the attempt leaves a trace. */
static void
test_local_only(void **state)
{
	const struct sl_rpc_caller *may[] = {&local, &console, &config};
	struct probe *p = *state;
	struct sl_error e;
	json_t *result, *params = json_pack("{s:s}", "default", "observe");

	sl_rpc_bind(p->rpc, "authz.mode.set", count);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(may); i++) {
		assert_int_equal(sl_rpc_call(p->rpc, may[i], "authz.mode.set", params, &result, &e),
				 0);
		json_decref(result);
	}
	assert_int_equal(p->calls, 3);
	assert_string_equal(p->log, "");
	assert_int_equal(sl_rpc_call(p->rpc, &far, "authz.mode.set", params, &result, &e), -EPERM);
	assert_string_equal(e.reason, "local_only_setting");
	assert_int_equal(p->calls, 3);
	assert_string_equal(
		p->log, "2 audit: authz.mode.set by tcp:loopback refused: local_only_setting\n");
	json_decref(params);
}

static void
test_local_only_parameter(void **state)
{
	struct probe *p = *state;
	struct sl_error e;
	json_t *result;
	json_t *params = json_pack("{s:s, s:s}", "interface", "wg0", "private_key_file", "/k");

	sl_rpc_bind(p->rpc, "interface.set", count);
	assert_int_equal(sl_rpc_call(p->rpc, &far, "interface.set", params, &result, &e), -EPERM);
	assert_int_equal(p->calls, 0);
	assert_string_equal(p->log,
			    "2 audit: interface.set private_key_file by tcp:loopback refused: "
			    "local_only_setting\n");
	json_decref(params);
}

/* --- the trail of changes -----------------------------------------------------------------------
 */

static unsigned n_before, n_done;
static char done_text[200];

static json_t *
say_before(void *user, const char *method, const json_t *params)
{
	assert_string_equal(method, "peer.add");
	n_before++;
	return json_string("as it was");
}

static void
say_done(void *user, const struct sl_rpc_change *c, int rc, const struct sl_error *e)
{
	n_done++;
	snprintf(done_text, sizeof(done_text), "%s %s %s %s %d %s", c->method, c->principal,
		 json_string_value(json_object_get(c->params, "interface")),
		 json_string_value(c->before), rc, rc ? e->reason : "");
}

static void
refused(void *user, const struct sl_rpc_caller *caller, const char *method, const char *reason)
{
	snprintf(done_text, sizeof(done_text), "%s %s %s", method, caller->principal, reason);
}

static void
test_trail(void **state)
{
	static const struct sl_rpc_trail trail = {say_before, say_done};
	static const struct sl_principal viewer = {.name = "uid:7",
						   .roles = SL_SR_BIT(SL_SR_VIEWER)};
	const struct sl_rpc_caller looks = {SL_RPC_VIA_UNIX, "uid:7", &viewer};
	json_t *params = json_pack("{s:s, s:s}", "interface", "wg0", "public_key",
				   "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=");
	struct probe *p = *state;
	struct sl_error e;
	json_t *result;

	sl_rpc_set_trail(p->rpc, &trail);
	sl_rpc_on_refusal(p->rpc, refused);
	sl_rpc_bind(p->rpc, "peer.add", refuse);
	sl_rpc_bind(p->rpc, "peer.get", count);
	assert_int_equal(sl_rpc_call(p->rpc, &console, "peer.add", params, &result, &e), -EEXIST);
	assert_int_equal(n_done, 1);
	assert_string_equal(done_text, "peer.add console wg0 as it was -17 exists");
	/* not of a file's calls, nor of a call that changes nothing */
	assert_int_equal(sl_rpc_call(p->rpc, &config, "peer.add", params, &result, &e), -EEXIST);
	json_object_set_new(params, "peer", json_string("alice"));
	json_object_del(params, "public_key");
	assert_int_equal(sl_rpc_call(p->rpc, &console, "peer.get", params, &result, &e), 0);
	json_decref(result);
	/* nor of what was no call: wrong parameters, the wrong role */
	assert_int_equal(sl_rpc_call(p->rpc, &console, "peer.add", params, &result, &e), -EINVAL);
	assert_int_equal(n_before, 1);
	assert_int_equal(sl_rpc_call(p->rpc, &looks, "peer.add", params, &result, &e), -EPERM);
	assert_string_equal(done_text, "peer.add uid:7 forbidden");
	assert_int_equal(n_done, 1);
	json_decref(params);
}

/* Whatever is for those who may change something says whether it does. */
static void
test_trail_of_all(void **state)
{
	static const char *const own[] = {"authz.mode.confirm", "authz.mode.set",
					  "config.save",	"control.epoch.accept",
					  "control.resync",	"control.tombstone.confirm",
					  "evidence.clear",	"log.enabled.set",
					  "log.required.set",	"policy.replay",
					  "policy.simulate",	"policy.suggest",
					  "policy.validate"};
	const struct sl_schema_method *m;
	unsigned k = 0;

	for (m = sl_schema_gateway; m < sl_schema_gateway + sl_schema_gateway_n; m++) {
		bool changes = strcmp(m->role, "admin") == 0 || strcmp(m->role, "operator") == 0;

		if (changes && !m->record) {
			assert_true(k < SL_ARRAY_SIZE(own));
			assert_string_equal(m->name, own[k++]);
		}
		assert_true(changes || !m->record);
	}
	assert_int_equal(k, SL_ARRAY_SIZE(own));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_call, setup, teardown),
		cmocka_unit_test_setup_teardown(test_handler_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_local_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_local_only_parameter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trail, setup, teardown),
		cmocka_unit_test(test_trail_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
