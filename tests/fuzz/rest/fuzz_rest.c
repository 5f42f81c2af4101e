/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A request as a stranger sends it: its head, what is read from it, then its body. What is found in
 * a head must lie in it; what a target was cut into must be text of its own buffer, and written
 * again (encoded) must be cut into the same.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../require.h"
#include "body_schema.h"
#include "head.h"
#include "secret_field.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
encode(char *to, const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += (size_t)sprintf(to + n, "%%%02X", (uint8_t)*s); /* lint: allow */
	return n;
}

static void
check_target(const char *text)
{
	static struct sl_target a, b;
	static char again[4 * SL_TARGET_MAX + 64];
	struct sl_error e = {0};
	size_t n = 0;

	if (sl_target_parse(text, &a, &e) != 0) {
		require(e.reason[0] != '\0');
		return;
	}
	require(a.n_segs <= SL_TARGET_SEGS && a.n_query <= SL_TARGET_QUERY);
	if (a.n_segs == 0)
		again[n++] = '/';
	for (unsigned i = 0; i < a.n_segs; i++) {
		require(a.seg[i] > a.buf && a.seg[i] < a.buf + sizeof(a.buf));
		again[n++] = '/';
		n += encode(again + n, a.seg[i]);
	}
	for (unsigned i = 0; i < a.n_query; i++) {
		again[n++] = i == 0 ? '?' : '&';
		n += encode(again + n, a.query[i].name);
		again[n++] = '=';
		n += encode(again + n, a.query[i].value);
	}
	again[n] = '\0';
	if (n > SL_TARGET_MAX)
		return;
	require(sl_target_parse(again, &b, &e) == 0);
	require(a.n_segs == b.n_segs && a.n_query == b.n_query);
	for (unsigned i = 0; i < a.n_segs; i++)
		require(strcmp(a.seg[i], b.seg[i]) == 0);
	for (unsigned i = 0; i < a.n_query; i++)
		require(strcmp(a.query[i].value, b.query[i].value) == 0);
}

static void
check_head(const char *data, size_t len)
{
	static const char *const names[] = {"Authorization", "Content-Length", "Host", "If-Match"};
	char method[8], target[SL_TARGET_MAX + 1], value[256], out[SL_CREDENTIAL_MAX];
	struct sl_error e = {0};
	uint64_t rev;
	bool any;

	if (sl_head_check(data, len, &e) == 0)
		require(sl_head_line(data, len, method, target, sizeof(target)) != -EINVAL);
	else
		require(e.reason[0] != '\0');
	if (sl_head_line(data, len, method, target, sizeof(target)) == 0)
		check_target(target);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(names); i++) {
		int n = sl_head_get(data, len, names[i], value, sizeof(value));

		if (n < 0)
			continue;
		require((size_t)n < sizeof(value) && strlen(value) == (size_t)n);
		if (sl_head_credential(value, out, &e) == 0)
			require(strlen(out) < SL_CREDENTIAL_MAX);
		if (sl_head_host(value, out, sizeof(out)) == 0)
			require(out[0] != '\0' && strchr(out, ']') == NULL);
		sl_head_etag(value, &rev, &any);
	}
}

static const char page_text[] =
	"{\"components\": {\"schemas\": {\"A\": {\"type\": \"object\", \"required\": [\"a\"], "
	"\"additionalProperties\": false, \"properties\": {\"a\": {\"type\": \"integer\", "
	"\"minimum\": 1}, \"b\": {\"type\": \"array\", \"maxItems\": 3, \"items\": {\"$ref\": "
	"\"#/components/schemas/A\"}}, \"c\": {\"anyOf\": [{\"type\": \"string\", \"maxLength\": "
	"4}, "
	"{\"type\": \"null\"}]}, \"d\": {\"type\": \"string\", \"enum\": [\"x\", \"y\"]}}}}}}";

static void
check_body(const char *data, size_t len)
{
	static json_t *page;
	json_t *v = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
	struct sl_error e = {0};
	int text = sl_secret_text_check(data, len, &e);

	if (page == NULL)
		page = json_loads(page_text, 0, NULL);
	require(text == 0 || text == -EPERM);
	if (v != NULL) {
		sl_secret_field_check(v, &e);
		sl_body_check(page, "A", v, &e);
	}
	json_decref(v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	size_t head = sl_head_len(p, size);
	char *text = strndup(p, size);

	require(head <= size);
	check_target(text);
	free(text);
	check_head(p, head > 0 ? head : size);
	check_body(p + head, size - head);
	return 0;
}
