/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers for people: what a gateway, or whoever named something, put into them does nothing to the
 * terminal and makes no lines of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "control.h"

/** @return malloc'ed */
static char *
shown(const char *answer)
{
	struct rest_answer a = {.json = json_loads(answer, 0, NULL)};
	FILE *real = stdout;
	char *text = NULL;
	size_t size;

	assert_non_null(a.json);
	stdout = open_memstream(&text, &size);
	assert_int_equal(control_tell(&a, false), 0);
	fclose(stdout);
	stdout = real;
	json_decref(a.json);
	return text;
}

static void
harmless(const char *text, unsigned lines)
{
	unsigned n = 0;

	for (const char *s = text; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		n += c == '\n';
		if ((c < 0x20 && c != '\n') || c == 0x7f ||
		    (c == 0xc2 && (unsigned char)s[1] < 0xa0))
			fail_msg("a control character is shown: %s", text);
	}
	assert_int_equal(n, lines);
}

static void
controls(void **state)
{
	char *text;

	(void)state;
	text = shown(
		"{\"gateway\": \"gw-a\", \"nack\": {\"message\": \"\\u001b]0;x\\u0007\\u009b2J\"}, "
		"\"version\": \"1\\u001b[2Jok\\nsecond\", \"c\\u001b[31m\": [\"a\\u0085b\", 7], "
		"\"rows\": [{\"a\": \"\\u007f\\u001b[1A\"}]}");
	harmless(text, 7);
	assert_non_null(strstr(text, "1?[2Jok?second"));
	assert_non_null(strstr(text, "a?b,7"));
	free(text);
	text = shown("{\"items\": [{\"name\": \"x\\u001b[A\", \"why\": \"\\u009d0;t\\u009c\"}, "
		     "{\"name\": \"y\\r\\nz\"}]}");
	harmless(text, 3);
	free(text);
	/* what is no control character stays */
	text = shown("{\"name\": \"G\\u00fc\\u00e4 \\u00a0\\u6771\\u4eac\"}");
	assert_string_equal(text, "name  G\u00fc\u00e4 \u00a0\u6771\u4eac\n");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(controls)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
