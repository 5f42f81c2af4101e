/* SPDX-License-Identifier: BSD-3-Clause */
/* Text and names that both ends of the stream write. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire.h"

static bool
reserve(struct wire_text *t, size_t more)
{
	size_t cap = t->cap ? t->cap : 1024;
	char *p;

	if (t->failed)
		return false;
	while (cap < t->len + more + 1)
		cap *= 2;
	if (cap == t->cap)
		return true;
	p = realloc(t->p, cap);
	if (!p) {
		t->failed = true;
		return false;
	}
	t->p = p;
	t->cap = cap;
	return true;
}

void
wire_add(struct wire_text *t, const char *s, size_t len)
{
	if (!reserve(t, len))
		return;
	memcpy(t->p + t->len, s, len);
	t->len += len;
	t->p[t->len] = '\0';
}

void
wire_addf(struct wire_text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !reserve(t, (size_t)n))
		return;
	va_start(ap, fmt);
	vsnprintf(t->p + t->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

void
wire_json(struct wire_text *t, const json_t *v)
{
	char *s = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

	if (!s) {
		t->failed = true;
		return;
	}
	wire_add(t, s, strlen(s));
	free(s);
}

void
wire_string(struct wire_text *t, const char *s)
{
	json_t *v = json_string(s);

	if (v)
		wire_json(t, v);
	else
		t->failed = true;
	json_decref(v);
}

void
wire_free(struct wire_text *t)
{
	free(t->p);
	memset(t, 0, sizeof(*t));
}

int
wire_epoch(const json_t *v, uint64_t *number, char id[33])
{
	const json_t *n = json_object_get(v, "number"), *i = json_object_get(v, "id");

	if (!json_is_integer(n) || json_integer_value(n) < 0 || !json_is_string(i) ||
	    json_string_length(i) != 32)
		return -EINVAL;
	*number = (uint64_t)json_integer_value(n);
	memcpy(id, json_string_value(i), 33);
	return 0;
}

json_t *
wire_epoch_json(const struct sl_epoch *e)
{
	return json_pack("{s:I, s:s}", "number", (json_int_t)e->number, "id", e->id);
}
