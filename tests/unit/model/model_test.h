/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of objects share. */
#ifndef MODEL_TEST_H
#define MODEL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_object.h"

#define KEY "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
#define KEY2 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="

/** JSON with ' for ". */
static inline json_t *
json_of(const char *text)
{
	char *copy = strdup(text);
	json_error_t e;
	json_t *v;

	for (char *p = copy; *p != '\0'; p++)
		*p = *p == '\'' ? '"' : *p;
	v = json_loads(copy, JSON_DECODE_ANY, &e);
	if (v == NULL)
		fail_msg("%s: %s", copy, e.text);
	free(copy);
	return v;
}

#endif
