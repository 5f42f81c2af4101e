/* SPDX-License-Identifier: BSD-3-Clause */
/* Policy documents, as an administrator or a control plane hands them in. What is accepted must
 * come back from its own canonical form, and be compiled and tested without harm. */
#include <stdlib.h>

#include "../require.h"
#include "sl_policy_doc.h"

#define NOW UINT64_C(1800000000000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint16_t
iface_id(void *ctx, const char *name)
{
	(void)ctx;
	return name[0] == 'w' ? 1 : 0;
}

static void
note(void *ctx, const char *code, const char *path, const char *text)
{
	require(code[0] != '\0' && path[0] == '/' && text[0] != '\0');
	++*(unsigned *)ctx;
}

static void
use(const struct sl_policy *p)
{
	struct sl_polset_env penv = {.generation = 1, .wall_ns = NOW, .iface_id = iface_id};
	struct sl_policy_test_env tenv = {.now_ns = NOW, .iface = iface_id};
	struct sl_policy_use u;
	struct sl_error e = {0};
	struct sl_polset *s;
	unsigned n = 0;

	sl_policy_use(p, NULL, &u);
	require(u.prefixes <= u.prefixes_cap && u.roles <= u.roles_cap &&
		u.rules_max <= u.rules_cap);
	sl_policy_lint(p, NOW, note, &n);
	require(sl_policy_next_change(p, NOW) == 0 || sl_policy_next_change(p, NOW) > NOW);
	s = sl_polset_compile(p, &penv, &e);
	require(s != NULL || e.err != 0);
	if (s != NULL)
		sl_policy_doc_test(p, s, &tenv, &n, &e);
	sl_polset_free(s);
}

/** @return the canonical text */
static char *
canonical(const struct sl_policy *p)
{
	json_t *v = sl_policy_doc_emit(p);
	char *text;

	require(v != NULL);
	text = json_dumps(v, JSON_SORT_KEYS);
	json_decref(v);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_policy *p = NULL, *again = NULL;
	struct sl_error e = {0};
	char *first, *second;

	if (sl_policy_doc_parse((const char *)data, size, &p, &e) < 0) {
		require(p == NULL && e.err != 0 && e.reason[0] != '\0' && e.message[0] != '\0');
		return 0;
	}
	if (sl_policy_check(p, NULL, NOW, &e) == 0) {
		use(p);
		first = canonical(p);
		require(sl_policy_doc_parse(first, strlen(first), &again, &e) >= 0);
		second = canonical(again);
		require(strcmp(first, second) == 0 && sl_policy_check(again, NULL, NOW, &e) >= 0);
		sl_policy_free(again);
		free(first);
		free(second);
	}
	sl_policy_free(p);
	return 0;
}
