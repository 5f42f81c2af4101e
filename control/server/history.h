/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Who changed what, from where: a row for each change that came by REST, written in the
 * transaction of the change, and one for each change that was refused to a role. */
#ifndef SL_REST_HISTORY_H
#define SL_REST_HISTORY_H

#include "call.h"

#define HISTORY_ROWS 1000000 /* newest that are kept */

int history_init(struct sl_store *s, struct sl_error *e);
/** @param diff as of sl_store_diff(); secrets of tokens are left out. @return 0, -EIO, -ENOMEM */
int history_add(struct sl_call *c, json_t *diff, struct sl_error *e);
void history_refused(struct sl_call *c);
/** What is answered and kept of a diff: no hashes of tokens, no whole policy texts. */
void history_clean(json_t *diff);
void history_prune(struct sl_store *s);

/** Rows after `after`. @param[out] next of the last row if there are more, else 0 */
int history_list(struct sl_store *s, uint64_t after, const char *actor, unsigned limit,
		 json_t **rows, uint64_t *next, struct sl_error *e);

#endif
