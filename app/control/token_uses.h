/* SPDX-License-Identifier: BSD-3-Clause */
/** @file When tokens were used: noted by logins on the loop, written by the thread that writes. */
#ifndef SL_CONTROL_TOKEN_USES_H
#define SL_CONTROL_TOKEN_USES_H

#include <jansson.h>

#include "sl_store.h"
#include "sl_tasks.h"

struct token_uses {
	struct sl_store *store;	 /* the loop's, with which logins are checked */
	struct sl_tasks *writer; /* NULL: nothing is written, a follower's */
	struct sl_store *writer_store;
	struct sl_task task;
	json_t *uses; /* the writer has them; NULL: none */
};

/** Have what was noted written, unless the writer still has what came before. */
void token_uses_write(struct token_uses *u);
/** At the end, when there is no writer any more: write the rest. */
void token_uses_end(struct token_uses *u);

#endif
