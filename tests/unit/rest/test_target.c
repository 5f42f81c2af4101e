/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets of requests: pieces, decoding, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_rest_int.h"
#include "sl_rest_ops.h"
#include "target.h"

static void
test_pieces(void **state)
{
	struct sl_target t;
	struct sl_error e;

	(void)state;
	assert_int_equal(sl_target_parse("/api/v1/role-maps/a:10.7.0.0%2F24@wg0?x=1&y=a+b%26&z", &t,
					 &e),
			 0);
	assert_int_equal(t.n_segs, 4);
	assert_string_equal(t.seg[3], "a:10.7.0.0/24@wg0");
	assert_int_equal(t.n_query, 3);
	assert_string_equal(t.query[0].value, "1");
	assert_string_equal(t.query[1].value, "a b&");
	assert_string_equal(t.query[2].name, "z");
	assert_string_equal(t.query[2].value, "");
	assert_int_equal(sl_target_parse("/", &t, &e), 0);
	assert_int_equal(t.n_segs, 0);
	assert_int_equal(sl_target_parse("/a?", &t, &e), 0);
	assert_int_equal(t.n_query, 0);
	assert_int_equal(sl_target_parse("/a+b", &t, &e), 0);
	assert_string_equal(t.seg[0], "a+b"); /* a blank only in a query */
}

static void
test_refused(void **state)
{
	static const char *const bad[] = {
		"",	  "a",	    "https://x/a", "//a",      "/a//b",	     "/a/",
		"/.",	  "/a/..",  "/%2e%2e/a",   "/a%",      "/a%2",	     "/a%zz",
		"/a%00",  "/a%0a",  "/a%7f",	   "/a b",     "/a#b",	     "/a\x01",
		"/a\xc3", "/a?b=%", "/a?=x",	   "/a?b&b=1", "/a?b=1&b=2", "/1/2/3/4/5/6/7/8/9",
	};
	char longest[SL_TARGET_MAX + 2];
	struct sl_target t;
	struct sl_error e;

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		e = (struct sl_error){0};
		if (sl_target_parse(bad[i], &t, &e) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_string_equal(e.reason, "uri_invalid");
	}
	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[SL_TARGET_MAX] = '\0';
	assert_int_equal(sl_target_parse(longest, &t, &e), 0);
	longest[SL_TARGET_MAX] = 'a';
	longest[SL_TARGET_MAX + 1] = '\0';
	assert_int_equal(sl_target_parse(longest, &t, &e), -E2BIG);
}

static const struct sl_rest_op *
route(const char *path, enum sl_rest_method m, const char *arg[2], unsigned *allowed)
{
	static struct sl_target t;

	assert_int_equal(sl_target_parse(path, &t, NULL), 0);
	return sl_rest_route(&t, m, arg, allowed);
}

static void
test_route(void **state)
{
	const struct sl_rest_op *op;
	const char *arg[2];
	unsigned allowed;

	(void)state;
	op = route("/api/v1/peers/alice/config", SL_METHOD_GET, arg, &allowed);
	assert_string_equal(op->id, "getPeerConfig");
	assert_string_equal(arg[0], "alice");
	op = route("/api/v1/rules/staff/7", SL_METHOD_GET, arg, &allowed);
	assert_string_equal(op->id, "getRule");
	assert_string_equal(arg[1], "7");
	op = route("/api/v1/policy/versions", SL_METHOD_GET, arg, &allowed);
	assert_string_equal(op->id, "listPolicyVersions");
	assert_null(route("/api/v1/peers/alice/config/x", SL_METHOD_GET, arg, &allowed));
	assert_int_equal(allowed, 0);
	assert_null(route("/api/v1/policy", SL_METHOD_DELETE, arg, &allowed));
	assert_int_equal(allowed, 1u << SL_METHOD_GET | 1u << SL_METHOD_PUT);
	assert_null(route("/api/v2/policy", SL_METHOD_GET, arg, &allowed));
	assert_null(route("/api/v1", SL_METHOD_GET, arg, &allowed));
	assert_null(route("/policy", SL_METHOD_GET, arg, &allowed));
	assert_null(route("/", SL_METHOD_GET, arg, &allowed));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
