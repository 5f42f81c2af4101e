/* SPDX-License-Identifier: BSD-3-Clause */
#include "token_uses.h"

#include "sl_log.h"
#include "sl_token.h"

#define END_MS 500 /* of a process that is to end */

static void
write_them(struct token_uses *u, json_t *uses)
{
	struct sl_error e = {0};

	if (sl_token_write_uses(u->writer_store, uses, &e) < 0)
		sl_log(SL_LOG_DEBUG, "store", "when tokens were used is not written: %s",
		       e.message);
}

static void
write_run(struct sl_task *t)
{
	struct token_uses *u = SL_CONTAINER_OF(t, struct token_uses, task);

	write_them(u, u->uses);
}

static void
write_done(struct sl_task *t)
{
	struct token_uses *u = SL_CONTAINER_OF(t, struct token_uses, task);

	json_decref(u->uses);
	u->uses = NULL;
}

void
token_uses_write(struct token_uses *u)
{
	if (u->writer == NULL || u->uses != NULL)
		return;
	u->uses = sl_token_uses(u->store);
	if (u->uses == NULL)
		return;
	u->task = (struct sl_task){.run = write_run, .done = write_done};
	sl_tasks_give(u->writer, &u->task);
}

void
token_uses_end(struct token_uses *u)
{
	json_t *rest = u->writer != NULL ? sl_token_uses(u->store) : NULL;

	if (u->writer_store != NULL)
		sl_store_set_patience(u->writer_store, END_MS);
	if (u->uses != NULL) /* to write it twice does no harm */
		write_them(u, u->uses);
	if (rest != NULL)
		write_them(u, rest);
	json_decref(u->uses);
	json_decref(rest);
	u->uses = NULL;
}
