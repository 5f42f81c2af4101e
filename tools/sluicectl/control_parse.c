/* SPDX-License-Identifier: BSD-3-Clause */
/* Words of a command line as path, query and body of an operation. */
#include <stdio.h>
#include <stdlib.h>

#include "control.h"

const struct op *
op_find(const char *id)
{
	for (unsigned i = 0; i < n_ops; i++)
		if (strcmp(ops[i].id, id) == 0)
			return &ops[i];
	return NULL;
}

/** Fields are written with '_', and as well with '-'. @param n length of the name as given */
static const struct op_field *
field_find(const struct op *op, const char *name, size_t n)
{
	for (unsigned i = 0; i < op->n_fields; i++) {
		const char *f = op->fields[i].name;
		size_t k = 0;

		while (k < n && f[k] && (f[k] == name[k] || (f[k] == '_' && name[k] == '-')))
			k++;
		if (k == n && !f[k])
			return &op->fields[i];
	}
	return NULL;
}

static json_t *
list_value(const char *text)
{
	json_t *list = json_array();
	const char *at = text;

	while (*at) {
		size_t n = strcspn(at, ",");

		if (n)
			json_array_append_new(list, json_stringn(at, n));
		at += n + (at[n] == ',');
	}
	return list;
}

static json_t *
flag_value(const char *text)
{
	static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false",
										    "off", "0"};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(yes); i++) {
		if (strcmp(text, yes[i]) == 0)
			return json_true();
		if (strcmp(text, no[i]) == 0)
			return json_false();
	}
	return NULL;
}

static json_t *
number_value(const char *text)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	return *text && !*end && !errno ? json_integer(v) : NULL;
}

static json_t *
value_of(const struct op_field *f, const char *text)
{
	switch (f->type) {
	case OP_NUMBER:
		return number_value(text);
	case OP_FLAG:
		return flag_value(text);
	case OP_LIST:
		return list_value(text);
	case OP_JSON:
		return json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	default:
		return json_string(text);
	}
}

static const char *
type_name(enum op_type t)
{
	static const char *const names[] = {[OP_TEXT] = "text",
					    [OP_NUMBER] = "a number",
					    [OP_FLAG] = "yes or no",
					    [OP_LIST] = "values with commas between",
					    [OP_JSON] = "JSON"};

	return names[t];
}

static int
set(struct control_request *q, const struct op_field *f, const char *text, struct sl_error *e)
{
	json_t *to = f->where == OP_IN_PATH    ? q->path
		     : f->where == OP_IN_QUERY ? q->query
					       : q->body;
	json_t *value = value_of(f, text);

	if (!value) {
		sl_fail(e, -EINVAL, "usage", "", "%s=%.80s: %s is wanted", f->name, text,
			type_name(f->type));
		return -EINVAL;
	}
	if (f->where == OP_IN_BODY)
		return json_object_set_new(to, f->name, value);
	if (f->type == OP_FLAG)
		text = json_is_true(value) ? "true" : "false";
	json_decref(value);
	return json_object_set_new(to, f->name, json_string(text));
}

/** NAME=VALUE, or --NAME[=VALUE]; the value of an option without one is yes. */
static const struct op_field *
pair(const struct op *op, const char *arg, const char **value)
{
	const char *name = arg + (strncmp(arg, "--", 2) == 0 ? 2 : 0);
	size_t n = strcspn(name, "=");

	*value = name[n] ? name + n + 1 : "yes";
	return name[n] || name != arg ? field_find(op, name, n) : NULL;
}

/** if-version=N, also as an option: of what the change was made. @return what stands behind '=',
 * NULL: it is something else, or nothing that this operation takes */
static const char *
if_version(const struct op *op, const char *arg)
{
	static const char name[] = "if-version=";

	arg += strncmp(arg, "--", 2) == 0 ? 2 : 0;
	if (!op->if_match)
		return NULL;
	for (size_t i = 0; name[i]; i++, arg++)
		if (*arg != name[i] && !(name[i] == '-' && *arg == '_'))
			return NULL;
	return arg;
}

static int
set_if_version(struct control_request *q, const char *text, struct sl_error *e)
{
	size_t n = strlen(text);

	if (n == 0 || n > 20 || strspn(text, "0123456789") != n)
		return sl_fail(e, -EINVAL, "usage", "", "if-version=%.40s: a number is wanted",
			       text);
	snprintf(q->if_match, sizeof(q->if_match), "\"%s\"", text);
	return 0;
}

static int
set_pair(struct control_request *q, const char *arg, struct sl_error *e)
{
	const char *value;
	const struct op_field *f = pair(q->op, arg, &value);

	if (f)
		return set(q, f, value, e);
	value = if_version(q->op, arg);
	if (value)
		return set_if_version(q, value, e);
	sl_fail(e, -EINVAL, "usage", "", "%s takes no \"%.80s\"", q->op->id, arg);
	sl_hint(e, "sluicectl --control URL help %s", q->op->id);
	return -EINVAL;
}

int
control_read_file(struct control_request *q, const char *path, struct sl_error *e)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	size_t size = 0;
	int failed;
	ssize_t n;

	if (!f)
		return sl_fail(e, -EINVAL, "file", "", "%.200s: %s", path, strerror(errno));
	n = getdelim(&q->text, &size, 0, f);
	failed = ferror(f) ? errno : 0;
	if (f != stdin)
		fclose(f);
	if (failed)
		return sl_fail(e, -EINVAL, "file", "", "%.200s: %s", path, strerror(failed));
	if (n <= 0)
		return sl_fail(e, -EINVAL, "file", "", "%.200s is empty", path);
	return 0;
}

static int
check_missing(const struct control_request *q, struct sl_error *e)
{
	for (unsigned i = 0; i < q->op->n_fields; i++) {
		const struct op_field *f = &q->op->fields[i];
		json_t *in = f->where == OP_IN_PATH    ? q->path
			     : f->where == OP_IN_QUERY ? q->query
						       : q->body;

		if (!f->required || json_object_get(in, f->name) ||
		    (f->where == OP_IN_BODY && q->text))
			continue;
		sl_fail(e, -EINVAL, "usage", "", "%s: %s=%s is missing", q->op->id, f->name,
			type_name(f->type));
		sl_hint(e, "sluicectl --control URL help %s", q->op->id);
		return -EINVAL;
	}
	return 0;
}

int
control_parse(struct control_request *q, const struct op *op, const struct control_verb *v,
	      int argc, char **argv, struct sl_error *e)
{
	const char *value;
	int i = 0, rc = 0;

	*q = (struct control_request){.op = op,
				      .path = json_object(),
				      .query = json_object(),
				      .body = json_object()};
	if (v && v->file) {
		if (argc < 1)
			return sl_fail(e, -EINVAL, "usage", "", "%s: a file is missing", v->words);
		rc = control_read_file(q, argv[0], e);
		argc--;
		argv++;
	}
	for (; v && rc == 0 && i < argc && i < 3 && v->args[i] && !pair(op, argv[i], &value) &&
	       !if_version(op, argv[i]);
	     i++)
		rc = set(q, field_find(op, v->args[i], strlen(v->args[i])), argv[i], e);
	for (; rc == 0 && i < argc; i++)
		rc = set_pair(q, argv[i], e);
	if (rc == 0 && v && v->fixed)
		rc = set_pair(q, v->fixed, e);
	return rc ? rc : check_missing(q, e);
}

void
control_request_free(struct control_request *q)
{
	json_decref(q->path);
	json_decref(q->query);
	json_decref(q->body);
	free(q->text);
}
