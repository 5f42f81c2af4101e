/* SPDX-License-Identifier: BSD-3-Clause */
/* What --json writes: one value on standard output, the answer or else why there is none. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sl_json.h"
#include "sluicectl.h"

static bool given; /* an answer is there: an error that comes yet is told on standard error alone */

int
answer_json(const json_t *v)
{
	size_t how = JSON_INDENT(2) | JSON_ENCODE_ANY;
	char *text;

	if (isatty(STDOUT_FILENO)) /* which obeys some characters beyond ASCII */
		how |= JSON_ENSURE_ASCII;
	text = v ? json_dumps(v, how) : NULL;

	puts(text ? text : "{}");
	free(text);
	given = true;
	return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
}

json_t *
answer_error(const struct sl_error *e)
{
	json_t *o = json_object();

	json_object_set_new(o, "reason", sl_json_clean(e->reason));
	json_object_set_new(o, "message", sl_json_clean(e->message));
	if (e->path[0])
		json_object_set_new(o, "path", sl_json_clean(e->path));
	if (e->hint[0])
		json_object_set_new(o, "hint", sl_json_clean(e->hint));
	if (e->retry_after_ms)
		json_object_set_new(o, "retry_after_ms", json_integer(e->retry_after_ms));
	return o;
}

void
answer_failed(const struct sl_error *e)
{
	json_t *o = given ? NULL : json_object();

	if (!o)
		return;
	json_object_set_new(o, "error", answer_error(e));
	answer_json(o);
	json_decref(o);
}
