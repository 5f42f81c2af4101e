/* SPDX-License-Identifier: BSD-3-Clause */
#include "body_schema.h"

#include <stdio.h>

static int check(const json_t *page, const json_t *schema, const json_t *v, struct sl_error *e);

static const json_t *
schema_of(const json_t *page, const char *name)
{
	return json_object_get(json_object_get(json_object_get(page, "components"), "schemas"),
			       name);
}

static bool
has_type(const json_t *v, const char *type)
{
	if (strcmp(type, "integer") == 0)
		return json_is_integer(v);
	if (strcmp(type, "string") == 0)
		return json_is_string(v);
	if (strcmp(type, "boolean") == 0)
		return json_is_boolean(v);
	if (strcmp(type, "array") == 0)
		return json_is_array(v);
	if (strcmp(type, "null") == 0)
		return json_is_null(v);
	return json_is_object(v);
}

static int
range(struct sl_error *e, const char *what, json_int_t got, const json_t *lo, const json_t *hi)
{
	if (json_is_integer(lo) && json_is_integer(hi) && json_equal(lo, hi) &&
	    got != json_integer_value(lo))
		return sl_fail(e, -EINVAL, "field_range", "", "%s is %lld, not %lld", what,
			       (long long)json_integer_value(lo), (long long)got);
	if (json_is_integer(lo) && got < json_integer_value(lo))
		return sl_fail(e, -EINVAL, "field_range", "", "%s is at least %lld", what,
			       (long long)json_integer_value(lo));
	if (json_is_integer(hi) && got > json_integer_value(hi))
		return sl_fail(e, -EINVAL, "field_range", "", "%s is at most %lld", what,
			       (long long)json_integer_value(hi));
	return 0;
}

static int
check_enum(const json_t *words, const json_t *v, struct sl_error *e)
{
	char list[200] = "";
	size_t i, n = 0;
	json_t *w;

	json_array_foreach ((json_t *)words, i, w) {
		const char *comma = i ? ", " : "";

		if (json_equal(w, v))
			return 0;
		n += (size_t)(json_is_integer(w) ? snprintf(list + n, sizeof(list) - n,
							    "%s%" JSON_INTEGER_FORMAT, comma,
							    json_integer_value(w))
						 : snprintf(list + n, sizeof(list) - n, "%s%s",
							    comma, json_string_value(w)));
		n = SL_MIN(n, sizeof(list) - 1);
	}
	return sl_fail(e, -EINVAL, "enum_invalid", "", "one of: %s", list);
}

static int
check_object(const json_t *page, const json_t *schema, const json_t *v, struct sl_error *e)
{
	const json_t *props = json_object_get(schema, "properties");
	const json_t *more = json_object_get(schema, "additionalProperties");
	json_t *required = json_object_get(schema, "required");
	const char *name;
	json_t *child;
	size_t i;
	int rc;

	json_array_foreach (required, i, child) {
		if (json_object_get(v, json_string_value(child)) == NULL) {
			sl_fail(e, -EINVAL, "field_missing", "", "the field \"%s\" is needed",
				json_string_value(child));
			sl_error_under(e, "/%s", json_string_value(child));
			return -EINVAL;
		}
	}
	json_object_foreach ((json_t *)v, name, child) {
		const json_t *s = json_object_get(props, name);

		if (s == NULL && json_is_object(more))
			s = more;
		if (s == NULL && !json_is_false(more))
			continue;
		rc = s != NULL ? check(page, s, child, e)
			       : sl_fail(e, -EINVAL, "field_unknown", "",
					 "the field is not known here");
		if (rc != 0) {
			sl_error_under(e, "/%.60s", name);
			return rc;
		}
	}
	return 0;
}

static int
check_array(const json_t *page, const json_t *schema, const json_t *v, struct sl_error *e)
{
	const json_t *items = json_object_get(schema, "items");
	json_t *child;
	size_t i;
	int rc = range(e, "the number of items", (json_int_t)json_array_size(v),
		       json_object_get(schema, "minItems"), json_object_get(schema, "maxItems"));

	json_array_foreach ((json_t *)v, i, child) {
		if (rc == 0 && items != NULL) {
			rc = check(page, items, child, e);
			if (rc != 0)
				sl_error_under(e, "/%zu", i);
		}
	}
	return rc;
}

/** One of them must fit; else the first one's error is told. */
static int
check_any(const json_t *page, const json_t *any, const json_t *v, struct sl_error *e)
{
	struct sl_error other;
	json_t *s;
	size_t i;
	int first = 0;

	json_array_foreach ((json_t *)any, i, s) {
		int rc = check(page, s, v, i == 0 ? e : &other);

		if (rc == 0)
			return 0;
		if (i == 0)
			first = rc;
	}
	return first;
}

static int
check_type(const json_t *page, const json_t *schema, const char *type, const json_t *v,
	   struct sl_error *e)
{
	if (!has_type(v, type))
		return sl_fail(e, -EINVAL, "field_type", "", "the value is to be %s %s",
			       strchr("aio", type[0]) != NULL ? "an" : "a", type);
	if (json_is_object(v))
		return check_object(page, schema, v, e);
	if (json_is_array(v))
		return check_array(page, schema, v, e);
	if (json_is_integer(v))
		return range(e, "the value", json_integer_value(v),
			     json_object_get(schema, "minimum"),
			     json_object_get(schema, "maximum"));
	if (json_is_string(v))
		return range(e, "the length", (json_int_t)json_string_length(v),
			     json_object_get(schema, "minLength"),
			     json_object_get(schema, "maxLength"));
	return 0;
}

static int
check(const json_t *page, const json_t *schema, const json_t *v, struct sl_error *e)
{
	const char *ref = json_string_value(json_object_get(schema, "$ref"));
	const char *type = json_string_value(json_object_get(schema, "type"));
	const json_t *any = json_object_get(schema, "anyOf");
	const json_t *words = json_object_get(schema, "enum");
	int rc;

	if (ref != NULL)
		return check(page, schema_of(page, strrchr(ref, '/') + 1), v, e);
	if (any != NULL)
		return check_any(page, any, v, e);
	rc = type != NULL ? check_type(page, schema, type, v, e) : 0;
	return rc == 0 && words != NULL ? check_enum(words, v, e) : rc;
}

int
sl_body_check(const json_t *page, const char *name, const json_t *body, struct sl_error *e)
{
	return check(page, schema_of(page, name), body, e);
}
