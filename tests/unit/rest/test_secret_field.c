/* SPDX-License-Identifier: BSD-3-Clause */
/* Private keys in bodies: names, lines of WireGuard files, depths; and what looks like one and is
 * none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "secret_field.h"

static int
json(const char *text, struct sl_error *e)
{
	json_t *v = json_loads(text, JSON_DECODE_ANY, NULL);
	int rc;

	assert_non_null(v);
	*e = (struct sl_error){0};
	rc = sl_secret_field_check(v, e);
	json_decref(v);
	return rc;
}

static void
test_refused(void **state)
{
	static const char *const bad[] = {
		"{\"private_key\": 1}",	     "{\"PrivateKey\": \"\"}",
		"{\"private-key\": null}",   "{\"PSK\": []}",
		"{\"preshared_key\": {}}",   "{\"a\": [{\"psk\": 1}]}",
		"\"PrivateKey = x\"",	     "[\"PresharedKey=x\"]",
		"\"a\\nprivatekey\\t= x\"",  "{\"p\\u0073k\": 1}",
		"{\"secret key\": 1}",	     "\"{\\\"psk\\\": 1}\"",
		"{\"shared_secret\": \"\"}",
	};
	struct sl_error e;

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		if (json(bad[i], &e) != -EPERM)
			fail_msg("%s was taken", bad[i]);
		assert_string_equal(e.reason, "secret_field");
	}
	assert_int_equal(json("{\"a\": [0, {\"psk\": \"zzzz\"}]}", &e), -EPERM);
	assert_string_equal(e.path, "/a/1/psk");
	assert_null(strstr(e.message, "zzzz"));
}

static void
test_taken(void **state)
{
	static const char *const good[] = {
		"{\"psk_ref\": \"a\"}",
		"{\"public_key\": \"x\"}",
		"\"my private key is lost\"",
		"\"the psk\"",
		"{\"description\": \"psk_ref=a\"}",
		"\"privatekeys=1\"",
		"\"xpsk=1\"",
		"{\"keys\": [\"private\"]}",
	};
	struct sl_error e;

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(good); i++) {
		if (json(good[i], &e) != 0)
			fail_msg("%s was refused", good[i]);
	}
}

static void
test_deep(void **state)
{
	char text[2000];
	struct sl_error e;

	(void)state;
	memset(text, '[', 500);
	memset(text + 500, ']', 500);
	text[1000] = '\0';
	assert_int_equal(json(text, &e), -EINVAL);
	assert_string_equal(e.reason, "json_too_deep");
}

static void
test_text(void **state)
{
	static const char text[] = "// PrivateKey = x\n{}", none[] = "// PrivateKey\0= x";
	struct sl_error e;

	(void)state;
	assert_int_equal(sl_secret_text_check(text, sizeof(text) - 1, &e), -EPERM);
	assert_int_equal(sl_secret_text_check(none, sizeof(none) - 1, &e), 0);
	assert_int_equal(sl_secret_text_check("psk", 3, &e), 0);
	assert_int_equal(sl_secret_text_check("psk=", 4, &e), -EPERM);
	assert_int_equal(sl_secret_text_check("", 0, &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_deep),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
