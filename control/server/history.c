/* SPDX-License-Identifier: BSD-3-Clause */
#include "history.h"

#include <stdio.h>

#include "sl_log.h"
#include "sl_trail.h"

#define PATH_ROOM (SL_TARGET_MAX + 1)
#define ASKED_ROOM 256	/* of a refused path: the longest name there is fits */
#define TOKEN_ID_LEN 14 /* "slt_" and the id; what stands behind it is the secret */

static struct sl_trail_row
row_of(struct sl_call *c, const char *outcome, json_t *diff, char from[SL_IP_STR])
{
	return (struct sl_trail_row){.actor = c->who.name,
				     .source = sl_call_from(c, from),
				     .operation = c->op->id,
				     .path = c->op->path,
				     .request_id = c->id,
				     .outcome = outcome,
				     .diff = diff};
}

int
history_add(struct sl_call *c, json_t *diff, struct sl_error *e)
{
	char from[SL_IP_STR], path[PATH_ROOM];
	struct sl_trail_row row = row_of(c, "done", diff, from);

	snprintf(path, sizeof(path), "%.*s", (int)strcspn(c->uri, "?"), c->uri);
	row.path = path;
	row.seq = sl_store_head(c->store);
	if (json_array_size(diff) > 0)
		row.seq++; /* what the commit will make of it */
	return sl_trail_add(c->store, c->rest->c.seal_key, &row, e);
}

/** The path as it was asked, in printable ASCII (sl_target_parse() took it), but for a token that
 * somebody wrote instead of its id; a longer one is cut and ends in "...". */
static void
asked(const char *uri, char out[ASKED_ROOM])
{
	size_t n = 0, len = strcspn(uri, "?"), at = 0;

	for (; at < len && n < ASKED_ROOM - 4; at++) {
		out[n++] = uri[at];
		if (at + 1 >= TOKEN_ID_LEN && strncmp(uri + at + 1 - TOKEN_ID_LEN, "slt_", 4) == 0)
			at += strcspn(uri + at + 1, "/?");
	}
	snprintf(out + n, ASKED_ROOM - n, "%s", at < len ? "..." : "");
}

void
history_refused(struct sl_call *c)
{
	char from[SL_IP_STR], path[ASKED_ROOM];
	json_t *none = json_array();
	struct sl_trail_row row = row_of(c, "forbidden", none, from);
	struct sl_error e = {0};

	asked(c->uri, path);
	row.path = path;
	if (sl_store_role(c->store) == SL_STORE_PRIMARY && none != NULL &&
	    sl_trail_note(c->store, c->rest->c.seal_key, &row, &e) != 0)
		sl_log(SL_LOG_WARN, "rest", "%s: %s", c->id, e.message);
	json_decref(none);
}
