/* SPDX-License-Identifier: BSD-3-Clause */
#include "args.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_MAX 64

static const struct sl_schema_field *
find(const struct sl_schema_field *fields, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static int
unknown(const struct sl_schema_field *fields, unsigned n, const char *key, struct sl_error *e)
{
	char all[190] = "", path[KEY_MAX + 8];
	size_t len = 0;

	for (unsigned i = 0; i < n && len < sizeof(all); i++)
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? ", " : "",
					fields[i].name);
	snprintf(path, sizeof(path), "/%.40s", key);
	sl_fail(e, -EINVAL, "param_unknown", path, "unknown parameter \"%.40s\"", key);
	if (n)
		sl_hint(e, "known are: %s", all);
	else
		sl_hint(e, "it has no parameters");
	return -EINVAL;
}

static int
wrong(const char *key, const char *value, const char *want, struct sl_error *e)
{
	char path[KEY_MAX + 8];

	snprintf(path, sizeof(path), "/%.40s", key);
	return sl_fail(e, -EINVAL, "param_type", path, "%.40s: \"%.60s\" is not %s", key, value,
		       want);
}

static json_t *
boolean_of(const char *s)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(yes); i++) {
		if (strcmp(s, yes[i]) == 0)
			return json_true();
		if (strcmp(s, no[i]) == 0)
			return json_false();
	}
	return NULL;
}

static json_t *
integer_of(const char *s)
{
	long long v;
	char *end;

	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno || end == s || *end || *s == ' ')
		return NULL;
	return json_integer(v);
}

static json_t *value_of(const struct sl_schema_field *f, const char *value, const char **want);

/** "a,b,c" or a JSON array. */
static json_t *
list_of(const struct sl_schema_field *f, const char *value, const char **want)
{
	json_t *list, *item;
	char *copy, *save = NULL;

	*want = "a list";
	if (value[0] == '[') {
		list = json_loads(value, JSON_REJECT_DUPLICATES, NULL);
		return list;
	}
	copy = strdup(value);
	list = copy ? json_array() : NULL;
	for (char *t = list ? strtok_r(copy, ", ", &save) : NULL; t;
	     t = strtok_r(NULL, ", ", &save)) {
		item = value_of(&f->fields[0], t, want);
		if (!item) {
			json_decref(list);
			list = NULL;
			break;
		}
		json_array_append_new(list, item);
	}
	free(copy);
	return list;
}

static json_t *
value_of(const struct sl_schema_field *f, const char *value, const char **want)
{
	json_t *o;

	switch (f->type) {
	case SL_T_INTEGER:
		*want = "a number";
		return integer_of(value);
	case SL_T_BOOLEAN:
		*want = "true or false";
		return boolean_of(value);
	case SL_T_ARRAY:
		return list_of(f, value, want);
	case SL_T_OBJECT:
		*want = "JSON; its members can be given alone, as NAME.MEMBER=VALUE";
		o = json_loads(value, JSON_REJECT_DUPLICATES, NULL);
		if (o && !json_is_object(o)) {
			json_decref(o);
			o = NULL;
		}
		return o;
	default:
		*want = "UTF-8 text";
		return json_string(value);
	}
}

int
sl_args_set(json_t *params, const struct sl_schema_method *m, const char *key, const char *value,
	    struct sl_error *e)
{
	const struct sl_schema_field *f, *fields = m->params;
	unsigned n = m->n_params;
	char name[KEY_MAX], *member, *at = name;
	const char *want = "";
	json_t *v, *o;

	snprintf(name, sizeof(name), "%s", key);
	for (char *p = name; *p; p++)
		if (*p == '-')
			*p = '_';
	member = strchr(name, '.');
	if (member) {
		*member++ = 0;
		f = find(fields, n, name);
		if (!f || f->type != SL_T_OBJECT)
			return unknown(fields, n, key, e);
		o = json_object_get(params, name);
		if (!o) {
			o = json_object();
			json_object_set_new(params, name, o);
		}
		params = o;
		fields = f->fields;
		n = f->n_fields;
		at = member;
	}
	f = find(fields, n, at);
	if (!f)
		return unknown(fields, n, key, e);
	if (json_object_get(params, at))
		return sl_fail(e, -EINVAL, "param_twice", "", "%.40s is given twice", key);
	v = value_of(f, value, &want);
	if (!v)
		return wrong(key, value, want, e);
	return json_object_set_new(params, at, v)
		       ? sl_fail(e, -ENOMEM, "no_memory", "", "no memory")
		       : 0;
}

int
sl_args_parse(json_t *params, const struct sl_schema_method *m, const char *text,
	      struct sl_error *e)
{
	const char *eq = strchr(text, '=');
	char key[KEY_MAX];

	if (!eq || eq == text || (size_t)(eq - text) >= sizeof(key)) {
		sl_fail(e, -EINVAL, "usage", "", "\"%.60s\" is not of the form KEY=VALUE", text);
		sl_hint(e, "for example interface=wg0");
		return -EINVAL;
	}
	snprintf(key, sizeof(key), "%.*s", (int)(eq - text), text);
	return sl_args_set(params, m, key, eq + 1, e);
}
