/* SPDX-License-Identifier: BSD-3-Clause */
/* Canonical JSON. Strings are written as RFC 8785 does (\b \t \n \f \r, other control characters as
 * \u00xx), keys are sorted by their bytes; so it is also what Python's json.dumps() writes with
 * sort_keys, ensure_ascii=False and separators (",", ":"). */
#include <stdio.h>
#include <stdlib.h>

#include "sl_object.h"

#define DEPTH_MAX 64
#define KEYS_ON_STACK 32

struct out {
	char *p;
	size_t n, cap;
};

struct member {
	const char *key;
	const json_t *value;
};

static bool write_value(struct out *o, const json_t *v, unsigned depth);

static bool
put(struct out *o, const char *s, size_t n)
{
	size_t cap = o->cap;
	char *p;

	if (o->n + n + 1 > cap) {
		while (o->n + n + 1 > cap)
			cap = cap < 256 ? 256 : cap * 2;
		p = realloc(o->p, cap);
		if (p == NULL)
			return false;
		o->p = p;
		o->cap = cap;
	}
	memcpy(o->p + o->n, s, n);
	o->n += n;
	return true;
}

static bool
put_escape(struct out *o, unsigned char c)
{
	static const char letters[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
				       ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
	char text[8] = {'\\', letters[c]};

	if (letters[c] != '\0')
		return put(o, text, 2);
	snprintf(text, sizeof(text), "\\u%04x", c);
	return put(o, text, 6);
}

static bool
write_string(struct out *o, const char *s, size_t n)
{
	size_t from = 0;

	if (!put(o, "\"", 1))
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		if (!put(o, s + from, i - from) || !put_escape(o, c))
			return false;
		from = i + 1;
	}
	return put(o, s + from, n - from) && put(o, "\"", 1);
}

static int
cmp_member(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static bool
write_members(struct out *o, const struct member *m, size_t n, unsigned depth)
{
	for (size_t i = 0; i < n; i++) {
		if ((i > 0 && !put(o, ",", 1)) || !write_string(o, m[i].key, strlen(m[i].key)) ||
		    !put(o, ":", 1) || !write_value(o, m[i].value, depth))
			return false;
	}
	return true;
}

static bool
write_object(struct out *o, const json_t *v, unsigned depth)
{
	struct member some[KEYS_ON_STACK], *m = some;
	size_t n = json_object_size(v), i = 0;
	const char *key;
	json_t *value;
	bool ok;

	if (n > KEYS_ON_STACK)
		m = calloc(n, sizeof(*m));
	if (m == NULL)
		return false;
	json_object_foreach ((json_t *)v, key, value)
		m[i++] = (struct member){key, value};
	qsort(m, n, sizeof(*m), cmp_member);
	ok = put(o, "{", 1) && write_members(o, m, n, depth) && put(o, "}", 1);
	if (m != some)
		free(m);
	return ok;
}

static bool
write_array(struct out *o, const json_t *v, unsigned depth)
{
	size_t n = json_array_size(v);

	if (!put(o, "[", 1))
		return false;
	for (size_t i = 0; i < n; i++) {
		if ((i > 0 && !put(o, ",", 1)) || !write_value(o, json_array_get(v, i), depth))
			return false;
	}
	return put(o, "]", 1);
}

static bool
write_integer(struct out *o, const json_t *v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(v));

	return put(o, text, (size_t)n);
}

static bool
write_value(struct out *o, const json_t *v, unsigned depth)
{
	if (v == NULL || depth == DEPTH_MAX)
		return false;
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return write_object(o, v, depth + 1);
	case JSON_ARRAY:
		return write_array(o, v, depth + 1);
	case JSON_STRING:
		return write_string(o, json_string_value(v), json_string_length(v));
	case JSON_INTEGER:
		return write_integer(o, v);
	case JSON_TRUE:
		return put(o, "true", 4);
	case JSON_FALSE:
		return put(o, "false", 5);
	case JSON_NULL:
		return put(o, "null", 4);
	default:
		return false;
	}
}

char *
sl_canon(const json_t *v, size_t *len)
{
	struct out o = {0};

	if (!write_value(&o, v, 0)) {
		free(o.p);
		return NULL;
	}
	o.p[o.n] = '\0';
	if (len != NULL)
		*len = o.n;
	return o.p;
}
