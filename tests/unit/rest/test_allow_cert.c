/* SPDX-License-Identifier: BSD-3-Clause */
/* Which certificates may call, and as what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "allow_cert.h"

static uint16_t
roles(const struct sl_allow_cert *a, const char *cn, const char *kind, const char *name)
{
	struct sl_tls_id id = {0};
	struct sl_principal who;

	snprintf(id.cn, sizeof(id.cn), "%s", cn);
	snprintf(id.kind, sizeof(id.kind), "%s", kind);
	snprintf(id.name, sizeof(id.name), "%s", name);
	return sl_allow_cert_find(a, &id, &who) == 0 ? who.roles : 0;
}

static void
test_find(void **state)
{
	struct sl_error e;
	struct sl_allow_cert *a = sl_allow_cert_new(
		"alice=admin; bob=viewer,operator;gateway/gw-2=viewer;follower-x=follower", &e);
	struct sl_tls_id id = {.cn = "alice", .kind = "operator", .name = "alice"};
	struct sl_principal who;

	(void)state;
	assert_non_null(a);
	assert_int_equal(roles(a, "alice", "", ""), SL_SR_BIT(SL_SR_ADMIN));
	assert_int_equal(roles(a, "alice", "operator", "alice"), SL_SR_BIT(SL_SR_ADMIN));
	assert_int_equal(roles(a, "bob", "", ""),
			 SL_SR_BIT(SL_SR_VIEWER) | SL_SR_BIT(SL_SR_OPERATOR));
	assert_int_equal(roles(a, "carol", "", ""), 0);
	assert_int_equal(roles(a, "", "", ""), 0);
	/* the name of a component is no person's */
	assert_int_equal(roles(a, "alice", "gateway", "alice"), SL_SR_BIT(SL_SR_GATEWAY));
	assert_int_equal(roles(a, "alice", "agent", "alice"), SL_SR_BIT(SL_SR_AGENT));
	assert_int_equal(roles(a, "cp2", "control", "cp2"), SL_SR_BIT(SL_SR_FOLLOWER));
	assert_int_equal(roles(a, "x", "admin", "x"), 0);
	assert_int_equal(roles(a, "x", "operator", "x"), 0);
	assert_int_equal(roles(a, "gw-2", "gateway", "gw-2"), SL_SR_BIT(SL_SR_VIEWER));
	assert_int_equal(sl_allow_cert_find(a, &id, &who), 0);
	assert_string_equal(who.name, "cert:alice");
	assert_string_equal(who.bound, "alice");
	sl_allow_cert_free(a);
}

static const char *
name_of(const struct sl_allow_cert *a, const char *cn, const char *kind, const char *name)
{
	static struct sl_principal who;
	struct sl_tls_id id = {0};

	snprintf(id.cn, sizeof(id.cn), "%s", cn);
	snprintf(id.kind, sizeof(id.kind), "%s", kind);
	snprintf(id.name, sizeof(id.name), "%s", name);
	assert_int_equal(sl_allow_cert_find(a, &id, &who), 0);
	return who.name;
}

/* Two of one name are two, in records, limits and idempotency keys. */
static void
test_names(void **state)
{
	const char *longest = "a23456789012345678901234567890123456789012345678901234567890123";
	struct sl_error e;
	struct sl_allow_cert *a =
		sl_allow_cert_new("alice=admin;gateway/alice=viewer;abcdefghijklmno/x=viewer", &e);
	char want[SL_PRINCIPAL_NAME];

	(void)state;
	assert_non_null(a);
	assert_string_equal(name_of(a, "alice", "", ""), "cert:alice");
	assert_string_equal(name_of(a, "alice", "operator", "alice"), "cert:alice");
	assert_string_equal(name_of(a, "alice", "gateway", "alice"), "cert:gateway/alice");
	assert_string_equal(name_of(a, "alice", "agent", "alice"), "cert:agent/alice");
	assert_string_equal(name_of(a, "alice", "control", "alice"), "cert:control/alice");
	assert_string_equal(name_of(a, "", "abcdefghijklmno", "x"), "cert:abcdefghijklmno/x");
	snprintf(want, sizeof(want), "cert:control/%s", longest);
	assert_string_equal(name_of(a, "", "control", longest), want);
	/* a person's common name is not taken for a component's */
	assert_int_equal(roles(a, "gateway/alice", "", ""), 0);
	assert_int_equal(roles(a, "gateway/alice", "operator", "alice"), 0);
	sl_allow_cert_free(a);
}

static void
test_parse(void **state)
{
	static const char *const bad[] = {"x", "=admin", "x=", "x=root", "x=admin;y", "x=any"};
	struct sl_allow_cert *a;
	struct sl_error e;

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		assert_null(sl_allow_cert_new(bad[i], &e));
		assert_string_equal(e.reason, "allow_cert_invalid");
		assert_int_not_equal(e.hint[0], 0);
	}
	a = sl_allow_cert_new(NULL, &e);
	assert_non_null(a);
	assert_int_equal(roles(a, "alice", "", ""), 0);
	sl_allow_cert_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
