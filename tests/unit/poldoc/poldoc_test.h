/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Documents as texts; ' stands for " so that they read well in C. */
#ifndef POLDOC_TEST_H
#define POLDOC_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_policy_doc.h"

#define NOW UINT64_C(1800000000000000000) /* 2027-01-15T08:00:00Z */

/** In a block of just its length, so that reading beyond it is found. */
static inline int
parse_text(const char *text, struct sl_policy **p, struct sl_error *e)
{
	size_t n = strlen(text);
	char *t = malloc(n + 1);
	int rc;

	for (size_t i = 0; i < n; i++)
		t[i] = text[i] == '\'' ? '"' : text[i];
	t = realloc(t, n > 0 ? n : 1);
	memset(e, 0, sizeof(*e));
	*p = NULL;
	rc = sl_policy_doc_parse(t, n, p, e);
	free(t);
	assert_int_equal(rc == 0, *p != NULL);
	assert_int_equal(rc, e->err);
	return rc;
}

/** Parsed and, if it can be, checked. */
static inline int
load_text(const char *text, struct sl_policy **p, struct sl_error *e)
{
	int rc = parse_text(text, p, e);

	return rc < 0 ? rc : sl_policy_check(*p, NULL, NOW, e);
}

static inline struct sl_policy *
good(const char *text)
{
	struct sl_policy *p;
	struct sl_error e;

	if (load_text(text, &p, &e) < 0)
		fail_msg("%s %s: %s", e.reason, e.path, e.message);
	return p;
}

/** A page or example of docs/, with a zero behind it. */
static inline char *
read_doc(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = malloc(1 << 16);

	assert_non_null(f);
	*len = fread(text, 1, (1 << 16) - 1, f);
	fclose(f);
	assert_in_range(*len, 100, (1 << 16) - 2);
	text[*len] = '\0';
	return text;
}

#endif
