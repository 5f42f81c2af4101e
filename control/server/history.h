/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Rows of the audit that requests leave: for each change, in its transaction, and for each
 * that was refused to a role. */
#ifndef SL_REST_HISTORY_H
#define SL_REST_HISTORY_H

#include "call.h"

/** @param diff as of sl_store_diff(), clean. @return 0, -EIO, -ENOMEM */
int history_add(struct sl_call *c, json_t *diff, struct sl_error *e);
void history_refused(struct sl_call *c);

#endif
