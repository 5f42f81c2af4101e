/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers of the control plane for people. */
#include <stdio.h>
#include <stdlib.h>

#include "control.h"
#include "sl_json.h"
#include "sl_text.h"

#define COLUMNS_MAX 10
#define CELL_MAX 40

/** An object in a list is told by what it is: "peer/alice". */
static char *
id_of(const json_t *v)
{
	const char *kind = sl_json_text(v, "kind"), *id = sl_json_text(v, "id");
	char *text = NULL;

	if (!kind[0] || !id[0])
		return json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	return asprintf(&text, "%s/%s", kind, id) < 0 ? NULL : text;
}

static char *
cell(const json_t *v)
{
	char *text = NULL;
	size_t size, i;
	json_t *item;
	FILE *f;

	if (json_is_string(v))
		return strdup(json_string_value(v));
	if (json_is_object(v))
		return id_of(v);
	if (!json_is_array(v))
		return json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	f = open_memstream(&text, &size);
	if (!f)
		return NULL;
	json_array_foreach (v, i, item) {
		char *one = cell(item);

		fprintf(f, "%s%s", i ? "," : "", one ? one : "");
		free(one);
	}
	fclose(f);
	return text;
}

/** What has no place in a table: it is deep, or long and for programs. */
static bool
is_left_out(const char *key, const json_t *v)
{
	static const char *const names[] = {"description", "chain", "seal", "signature",
					    "request_id"};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(names); i++)
		if (strcmp(key, names[i]) == 0)
			return true;
	return json_is_object(v);
}

/** Columns of a table: members of the first rows, in the order of the answer; what is left out
 * comes with show or --json. */
static unsigned
columns_of(const json_t *rows, const char *names[COLUMNS_MAX])
{
	unsigned n = 0;
	const char *key;
	json_t *row, *v;
	size_t i;

	json_array_foreach (rows, i, row) {
		if (i == 50)
			break;
		json_object_foreach (row, key, v) {
			unsigned k = 0;

			while (k < n && strcmp(names[k], key) != 0)
				k++;
			if (k == n && n < COLUMNS_MAX && !is_left_out(key, v))
				names[n++] = key;
		}
	}
	return n;
}

/** A cell and the gap behind it, or the end of the line. Gateways have their say in what the
 * control plane answers: nothing of it steers a terminal. */
static void
put(const char *text, size_t width, bool last)
{
	sl_text_put(stdout, text);
	printf("%*s%s", last ? 0 : (int)(width - SL_MIN(strlen(text), width)), "",
	       last ? "\n" : "  ");
}

static void
table(const json_t *rows)
{
	const char *names[COLUMNS_MAX];
	unsigned n = columns_of(rows, names);
	size_t width[COLUMNS_MAX], i;
	json_t *row;

	for (unsigned k = 0; k < n; k++)
		width[k] = strlen(names[k]);
	json_array_foreach (rows, i, row)
		for (unsigned k = 0; k < n; k++) {
			char *text = cell(json_object_get(row, names[k]));

			width[k] =
				SL_MAX(width[k], SL_MIN(text ? strlen(text) : 0, (size_t)CELL_MAX));
			free(text);
		}
	for (unsigned k = 0; k < n; k++)
		put(names[k], width[k], k + 1 == n);
	json_array_foreach (rows, i, row)
		for (unsigned k = 0; k < n; k++) {
			json_t *v = json_object_get(row, names[k]);
			char *text = v ? cell(v) : NULL;

			put(text ? text : "-", width[k], k + 1 == n);
			free(text);
		}
}

static void
object(const json_t *o)
{
	const char *key;
	size_t width = 0;
	json_t *v;

	json_object_foreach ((json_t *)o, key, v)
		width = SL_MAX(width, strlen(key));
	json_object_foreach ((json_t *)o, key, v) {
		bool rows = json_is_array(v) && json_is_object(json_array_get(v, 0));
		char *text = rows ? NULL : cell(v);

		if (rows) {
			sl_text_put(stdout, key);
			puts(":");
			table(v);
		} else {
			put(key, width, false);
			put(text ? text : "", 0, true);
		}
		free(text);
	}
}

/** For people: lists as tables, objects as lines. */
static void
show(const struct rest_answer *a)
{
	const json_t *items = json_object_get(a->json, "items");

	if (json_is_array(items) && json_array_size(items) == 0)
		puts("none");
	else if (json_is_array(items))
		table(items);
	else if (json_is_object(a->json))
		object(a->json);
	else if (a->text && a->text[0])
		puts(a->text);
}

int
control_tell(const struct rest_answer *a, bool json)
{
	json_t *text = !a->json && a->text ? json_string(a->text) : NULL;
	int rc;

	if (!json)
		show(a);
	rc = json ? answer_json(a->json ? a->json : text) : fflush(stdout) ? EXIT_FAILED : EXIT_OK;
	json_decref(text);
	return rc;
}
