/* SPDX-License-Identifier: BSD-3-Clause */
/* Service roles: words, and who may call what on both surfaces. The lists here are written by hand:
 * whoever gives a method another role changes it in two places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sl_log.h"
#include "sl_schema_common.h"

#define BIT SL_SR_BIT
#define VIEWERS                                                                                    \
	(BIT(SL_SR_VIEWER) | BIT(SL_SR_AUDITOR) | BIT(SL_SR_APPROVER) | BIT(SL_SR_OPERATOR) |      \
	 BIT(SL_SR_ADMIN))
#define OPERATORS (BIT(SL_SR_OPERATOR) | BIT(SL_SR_ADMIN))
#define STREAM (BIT(SL_SR_GATEWAY) | BIT(SL_SR_FOLLOWER))

static const char *const all[] = {"auth.whoami", "rpc.ping"};
static const char *const open[] = {"auth.login", "rpc.hello"};
static const char *const gateway_operator[] = {"authz.mode.confirm", "authz.mode.set",
					       "log.enabled.set",    "log.required.set",
					       "peer.kick",	     "policy.replay",
					       "control.resync",     "policy.simulate",
					       "policy.suggest",     "policy.validate",
					       "sys.log_level.set"};
static const char *const gateway_admin[] = {
	"config.load",	 "control.epoch.accept", "control.tombstone.confirm",
	"config.save",	 "evidence.clear",	 "interface.remove",
	"interface.set", "neighbour.remove",	 "neighbour.set",
	"peer.add",	 "peer.remove",		 "peer.set",
	"policy.clear",	 "policy.load",		 "role.member.add",
	"route.add",	 "route.remove",	 "role.member.remove",
	"sys.shutdown"};
static const char *const control_stream[] = {"repl.subscribe",	 "repl.ack",	 "repl.nack",
					     "gateway.register", "stats.report", "log.push"};

static unsigned called;

static bool
in(const char *name, const char *const *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

#define IN(name, list) in(name, list, SL_ARRAY_SIZE(list))

static uint16_t
wanted(const struct sl_schema *s, const char *name)
{
	if (IN(name, all) || IN(name, open))
		return SL_SR_ALL;
	if (s == &sl_control_schema)
		return IN(name, control_stream) ? STREAM : 0;
	if (IN(name, gateway_admin))
		return BIT(SL_SR_ADMIN);
	return IN(name, gateway_operator) ? OPERATORS : VIEWERS;
}

static int
handler(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	struct sl_error *e)
{
	called++;
	return 0;
}

static void
quiet(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
}

/** Is the call let through? Wrong parameters come after that question. */
static bool
may(struct sl_rpc *rpc, const struct sl_schema_method *m, const struct sl_principal *who)
{
	struct sl_rpc_caller caller = {SL_RPC_VIA_UNIX, "test", who};
	json_t *params = json_loads(m->example, 0, NULL), *result;
	struct sl_error e;
	unsigned before = called;
	int rc = sl_rpc_call(rpc, &caller, m->name, params, &result, &e);

	json_decref(result);
	json_decref(params);
	if (rc == 0)
		return true;
	assert_int_equal(rc, -EPERM);
	assert_int_equal(called, before);
	assert_string_equal(e.reason, who ? "forbidden" : "unauthenticated");
	return false;
}

static void
matrix_of(const struct sl_schema *s)
{
	struct sl_rpc *rpc = sl_rpc_new(s, NULL);
	unsigned wrong = 0;

	for (unsigned i = 0; i < s->n; i++)
		assert_int_equal(sl_rpc_bind(rpc, s->methods[i].name, handler), 0);
	sl_rpc_set_state(rpc, SL_RPC_RUNNING);
	for (unsigned i = 0; i < s->n; i++) {
		const struct sl_schema_method *m = &s->methods[i];
		uint16_t want = wanted(s, m->name);

		for (unsigned r = 0; r < SL_SR_N; r++) {
			struct sl_principal who = {.name = "x", .roles = BIT(r)};
			bool got = may(rpc, m, &who);

			if (got == ((want & BIT(r)) != 0))
				continue;
			print_error("%s %s: %s is %s\n", s->id, m->name, sl_service_role_name(r),
				    got ? "let through" : "refused");
			wrong++;
		}
		if (may(rpc, m, NULL) != IN(m->name, open)) {
			print_error("%s %s: a stranger\n", s->id, m->name);
			wrong++;
		}
		assert_false(may(rpc, m, &(struct sl_principal){.name = "nothing"}) &&
			     !IN(m->name, open));
	}
	sl_rpc_free(rpc);
	assert_int_equal(wrong, 0);
}

static void
test_matrix(void **state)
{
	sl_log_set_sink(quiet, NULL);
	matrix_of(&sl_gateway_schema);
	matrix_of(&sl_control_schema);
	sl_log_set_sink(NULL, NULL);
}

/* What the generator made of the words is what the parser makes of them. */
static void
test_generated(void **state)
{
	const struct sl_schema *const both[] = {&sl_gateway_schema, &sl_control_schema};

	for (unsigned k = 0; k < 2; k++) {
		for (unsigned i = 0; i < both[k]->n; i++) {
			const struct sl_schema_method *m = &both[k]->methods[i];
			uint16_t roles;
			bool open_to_all;

			assert_int_equal(sl_service_roles_parse(m->role, &roles, &open_to_all), 0);
			assert_int_equal(roles, m->roles);
			assert_int_equal(open_to_all, m->open);
		}
	}
}

static void
test_words(void **state)
{
	static const struct {
		const char *words;
		uint16_t roles;
		bool open;
	} good[] = {
		{"viewer", VIEWERS, false},
		{"operator", OPERATORS, false},
		{"admin", BIT(SL_SR_ADMIN), false},
		{"approver", BIT(SL_SR_APPROVER), false},
		{"gateway follower", STREAM, false},
		{"peer admin", BIT(SL_SR_PEER) | BIT(SL_SR_ADMIN), false},
		{"any", SL_SR_ALL, false},
		{"open", SL_SR_ALL, true},
	};
	static const char *const bad[] = {"",		" ",   "admins",
					  "Admin",	"adm", "viewer,operator",
					  "viewer root"};
	enum sl_service_role r;
	uint16_t roles = 0x55;
	bool is_open = true;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(good); i++) {
		assert_int_equal(sl_service_roles_parse(good[i].words, &roles, &is_open), 0);
		assert_int_equal(roles, good[i].roles);
		assert_int_equal(is_open, good[i].open);
	}
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_int_equal(sl_service_roles_parse(bad[i], &roles, &is_open), -EINVAL);
	for (unsigned i = 0; i < SL_SR_N; i++) {
		assert_int_equal(sl_service_role_parse(sl_service_role_name(i), &r), 0);
		assert_int_equal(r, i);
	}
	assert_null(sl_service_role_name(SL_SR_N));
	assert_int_equal(sl_service_role_parse("any", &r), -EINVAL);
}

/* Nothing is allowed by leaving something out, and nobody gives away more than they have. */
static void
test_default_deny(void **state)
{
	struct sl_principal none = {.name = "x"}, all_bits = {.roles = 0xffff};
	struct sl_principal op = {.roles = BIT(SL_SR_OPERATOR) | BIT(SL_SR_VIEWER)};
	struct sl_principal admin = {.roles = BIT(SL_SR_ADMIN)};
	struct sl_principal auditor = {.roles = BIT(SL_SR_AUDITOR)};
	struct sl_principal gateway = {.roles = BIT(SL_SR_GATEWAY)};

	assert_false(sl_service_may(NULL, SL_SR_ALL));
	assert_false(sl_service_may(&none, SL_SR_ALL));
	assert_false(sl_service_may(&all_bits, 0));
	assert_false(sl_service_may(&all_bits, (uint16_t)~SL_SR_ALL));
	assert_true(sl_service_may(&sl_service_local, BIT(SL_SR_ADMIN)));
	assert_true(sl_service_may_grant(&op, BIT(SL_SR_VIEWER)));
	assert_true(sl_service_may_grant(&op, op.roles));
	assert_false(sl_service_may_grant(&op, BIT(SL_SR_ADMIN)));
	assert_false(sl_service_may_grant(&op, BIT(SL_SR_VIEWER) | BIT(SL_SR_ADMIN)));
	assert_false(sl_service_may_grant(&op, BIT(SL_SR_GATEWAY)));
	assert_false(sl_service_may_grant(&op, BIT(SL_SR_AUDITOR)));
	assert_true(sl_service_may_grant(&op, BIT(SL_SR_PEER)));
	assert_true(sl_service_may_grant(&admin, SL_SR_ALL));
	assert_true(sl_service_may_grant(&auditor, BIT(SL_SR_VIEWER)));
	assert_false(sl_service_may_grant(&auditor, BIT(SL_SR_OPERATOR)));
	assert_false(sl_service_may_grant(&gateway, BIT(SL_SR_VIEWER)));
	assert_false(sl_service_may_grant(&op, 0));
	assert_false(sl_service_may_grant(NULL, BIT(SL_SR_VIEWER)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_generated),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_default_deny),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
