/* SPDX-License-Identifier: BSD-3-Clause */
#include "settings.h"

#include <stdio.h>

#include "sl_flows.h"
#include "sl_sessions.h"

struct setting {
	const char *name;
	bool is_bool;
	int64_t min, max, deflt;
};

/* in the order of their names, as lists have them */
static const struct setting known[] = {
	{"flow_days", .min = 1, .max = 3650, .deflt = SL_FLOWS_DAYS},
	{"log_days", .min = 1, .max = 3650, .deflt = 7},
	{"log_rows", .min = 1000, .max = 10000000, .deflt = 100000},
	{"separate_interfaces", .is_bool = true},
	{"session_days", .min = 1, .max = 3650, .deflt = 400},
	{"session_idle_s", .min = 60, .max = 86400, .deflt = SL_SESSION_IDLE_S},
};

static const struct setting *
find(const char *name)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(known); i++)
		if (strcmp(known[i].name, name) == 0)
			return &known[i];
	return NULL;
}

static int
unknown(const char *name, struct sl_error *e)
{
	char list[200] = "";
	size_t n = 0;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(known) && n < sizeof(list); i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i > 0 ? ", " : "",
				      known[i].name);
	sl_fail(e, -EINVAL, "setting_unknown", "", "there is no setting \"%.63s\"", name);
	sl_hint(e, "known are %s", list);
	return -EINVAL;
}

int
sl_setting_check(const char *name, const json_t *value, struct sl_error *e)
{
	const struct setting *s = find(name);
	json_int_t v = json_integer_value(value);

	if (s == NULL)
		return unknown(name, e);
	if (s->is_bool ? !json_is_boolean(value) : !json_is_integer(value))
		return sl_fail(e, -EINVAL, "setting_type", "/value", "%s is %s", name,
			       s->is_bool ? "true or false" : "a whole number");
	if (!s->is_bool && (v < s->min || v > s->max))
		return sl_fail(e, -EINVAL, "setting_range", "/value", "%s is %lld to %lld", name,
			       (long long)s->min, (long long)s->max);
	return 0;
}

int64_t
sl_setting_get(struct sl_store *s, const char *name)
{
	const struct setting *is = find(name);
	json_t *body = NULL, *v;
	int64_t out = is->deflt;

	/* an older program took any value */
	if (sl_store_get(s, SL_KIND_SETTING, name, NULL, &body) == 0) {
		v = json_object_get(body, "value");
		if (sl_setting_check(name, v, NULL) == 0)
			out = json_integer_value(v);
	}
	json_decref(body);
	return out;
}

const char *
sl_setting_name(unsigned i)
{
	return i < SL_ARRAY_SIZE(known) ? known[i].name : NULL;
}

bool
sl_setting_known(const char *name)
{
	return find(name) != NULL;
}

json_t *
sl_setting_show(const char *name, uint64_t rev, json_t *stored)
{
	const struct setting *is = find(name);
	bool set = stored != NULL && (is == NULL || sl_setting_check(name, stored, NULL) == 0);
	json_t *deflt = NULL, *o;

	if (is != NULL)
		deflt = is->is_bool ? json_boolean(is->deflt != 0) : json_integer(is->deflt);
	o = json_pack("{s:s, s:I, s:O*, s:O*, s:b}", "name", name, "rev", (json_int_t)rev, "value",
		      set ? stored : deflt, "default", deflt, "set", set);
	json_decref(deflt);
	return o;
}
