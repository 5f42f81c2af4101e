/* SPDX-License-Identifier: BSD-3-Clause */
/* Heads of requests, credentials, hosts, entity tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "head.h"

#define HEAD "PUT /api/v1/policy?x=1 HTTP/1.1\r\nHost: a\r\nauthorization:  Bearer x \r\nX:\r\n\r\n"

static const char *
checked(const char *head)
{
	static struct sl_error e;

	e = (struct sl_error){0};
	return sl_head_check(head, strlen(head), &e) == 0 ? "" : e.reason;
}

static void
test_form(void **state)
{
	static const char *const good[] = {
		HEAD,
		"GET / HTTP/1.0\n\n",
		"POST /a?b HTTP/1.1\r\nContent-Length: 12\r\n\r\n",
		"GET / HTTP/1.1\r\nX: a\tb\xc3\xa4\r\n\r\n",
		"GET / HTTP/1.1\r\nnot yet: whole", /* only the first line counts */
	};
	static const char *const bad[][2] = {
		{"\r\n\r\n", "request_invalid"},
		{"GET /\r\n\r\n", "request_invalid"},
		{"GET  HTTP/1.1\r\n\r\n", "request_invalid"},
		{"GET /a\tb HTTP/1.1\r\n\r\n", "request_invalid"},
		{"GET / HTTP/1.1 \r\n\r\n", "version_unknown"},
		{"GET / HTTP/1.2\r\n\r\n", "version_unknown"},
		{"HEAD / HTTP/1.1\r\n\r\n", "method_unknown"},
		{"GETS / HTTP/1.1\r\n", "method_unknown"},
		{"GET / HTTP/1.1\r\nX\r\n\r\n", "request_invalid"},
		{"GET / HTTP/1.1\r\n: x\r\n\r\n", "request_invalid"},
		{"GET / HTTP/1.1\r\nX : x\r\n\r\n", "request_invalid"},
		{"GET / HTTP/1.1\r\nX: x\r\n y\r\n\r\n", "request_invalid"},
		{"GET / HTTP/1.1\r\nX: x\ry\r\n\r\n", "request_invalid"},
		{"PUT / HTTP/1.1\r\nContent-Length:\r\n\r\n", "request_invalid"},
		{"PUT / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", "request_invalid"},
		{"PUT / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n",
		 "request_invalid"},
		{"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "length_required"},
		{"PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\n",
		 "request_invalid"},
	};
	struct sl_error e;

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(good); i++)
		assert_string_equal(checked(good[i]), "");
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_string_equal(checked(bad[i][0]), bad[i][1]);
	assert_int_equal(sl_head_check("GET / HTTP/1.1\r\nX: \0\r\n\r\n", 24, &e), -EINVAL);
}

static void
test_head(void **state)
{
	char method[8], target[32], value[32];

	(void)state;
	assert_int_equal(sl_head_len(HEAD "body", sizeof(HEAD) + 3), sizeof(HEAD) - 1);
	for (size_t n = 0; n < sizeof(HEAD) - 1; n++)
		assert_int_equal(sl_head_len(HEAD, n), 0);
	assert_int_equal(sl_head_len("a\n\nb", 4), 3);
	assert_int_equal(sl_head_line(HEAD, sizeof(HEAD) - 1, method, target, sizeof(target)), 0);
	assert_string_equal(method, "PUT");
	assert_string_equal(target, "/api/v1/policy?x=1");
	assert_int_equal(sl_head_line(HEAD, sizeof(HEAD) - 1, method, target, 18), -E2BIG);
	assert_int_equal(sl_head_line("PUT /\r\n\r\n", 9, method, target, 18), -EINVAL);
	assert_int_equal(sl_head_line("PROPFIND / HTTP/1.1\n\n", 21, method, target, 18), -EINVAL);
	assert_int_equal(sl_head_get(HEAD, sizeof(HEAD) - 1, "Authorization", value, 32), 8);
	assert_string_equal(value, "Bearer x");
	assert_int_equal(sl_head_get(HEAD, sizeof(HEAD) - 1, "X", value, 32), 0);
	assert_int_equal(sl_head_get(HEAD, sizeof(HEAD) - 1, "PUT /api/v1/policy?x=1 HTTP/1.1",
				     value, 32),
			 -ENOENT);
	assert_int_equal(sl_head_get(HEAD, sizeof(HEAD) - 1, "Authorization", value, 8), -E2BIG);
	assert_int_equal(sl_head_get("G / H\na: 1\nA: 2\n\n", 17, "a", value, 8), -EEXIST);
}

static void
test_credential(void **state)
{
	char out[SL_CREDENTIAL_MAX], big[400];
	struct sl_error e;

	(void)state;
	assert_int_equal(sl_head_credential("Bearer slt_a_b", out, &e), 0);
	assert_string_equal(out, "slt_a_b");
	assert_int_equal(sl_head_credential("bearer  slt_a_b", out, &e), 0);
	assert_string_equal(out, "slt_a_b");
	assert_int_equal(sl_head_credential("Basic dXNlcjpwYXNz", out, &e), 0);
	assert_string_equal(out, "slt_user_pass");
	assert_int_equal(sl_head_credential("Basic dXNlcjpwYTpzcw==", out, &e), 0);
	assert_string_equal(out, "slt_user_pa:ss");
	assert_int_equal(sl_head_credential("Basic dXNlcg==", out, &e), -EACCES);
	assert_int_equal(sl_head_credential("Basic a*b", out, &e), -EACCES);
	assert_int_equal(sl_head_credential("Basic AHh4Ong=", out, &e), -EACCES); /* a zero byte */
	assert_int_equal(sl_head_credential("Digest x", out, &e), -EACCES);
	assert_int_equal(sl_head_credential("", out, &e), -EACCES);
	for (unsigned k = 0; k < 2; k++) {
		snprintf(big, sizeof(big), "%s", k ? "Basic " : "Bearer ");
		memset(big + strlen(big), 'Q', 300);
		big[310] = '\0';
		assert_int_equal(sl_head_credential(big, out, &e), -EACCES);
	}
	assert_string_equal(e.reason, "auth_invalid");
}

static void
test_host(void **state)
{
	static const struct {
		const char *value, *host; /* NULL: refused */
	} t[] = {{"a.example", "a.example"},
		 {"A.Example:7443", "a.example"},
		 {"a.", "a"},
		 {"10.0.0.1:1", "10.0.0.1"},
		 {"[::1]:7443", "::1"},
		 {"[::1]", "::1"},
		 {"[::1", NULL},
		 {"[::1]x", NULL},
		 {"::1", NULL},
		 {"", NULL},
		 {":1", NULL},
		 {".", NULL},
		 {"aaaaaaaaaaaaaaaaaaaa", NULL}};
	char out[16];

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(t); i++) {
		assert_int_equal(sl_head_host(t[i].value, out, sizeof(out)),
				 t[i].host ? 0 : -EINVAL);
		if (t[i].host)
			assert_string_equal(out, t[i].host);
	}
}

static void
test_etag(void **state)
{
	static const char *const bad[] = {"",	    "12",  "\"\"",   "\"12", "12\"",
					  "\"1x\"", "W/1", "\"-1\"", "**",   "\"1\",\"2\""};
	uint64_t rev;
	bool any;

	(void)state;
	assert_int_equal(sl_head_etag("\"4294967297\"", &rev, &any), 0);
	assert_true(rev == 4294967297 && !any);
	assert_int_equal(sl_head_etag("W/\"7\"", &rev, &any), 0);
	assert_true(rev == 7 && !any);
	assert_int_equal(sl_head_etag("*", &rev, &any), 0);
	assert_true(any);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_int_equal(sl_head_etag(bad[i], &rev, &any), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),	   cmocka_unit_test(test_form),
		cmocka_unit_test(test_credential), cmocka_unit_test(test_host),
		cmocka_unit_test(test_etag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
