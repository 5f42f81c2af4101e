/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Gateways that are being taken out, as setting `decommissions`: replicated, so that whoever
 * is promoted in the middle goes on with them. How far each of them is, the store tells. */
#ifndef SL_REST_LEAVING_MARK_H
#define SL_REST_LEAVING_MARK_H

#include "call.h"

/** The call's gateway leaves. @param rev of its record, which was shut. @return 0, or an error of
 * sl_store_put, -ENOMEM */
int leaving_mark(struct sl_call *c, struct sl_store_txn *t, uint64_t rev, struct sl_error *e);
/** It has left, or stays; also where it has no mark. @return 0, or an error of sl_store_put,
 * -ENOMEM */
int leaving_unmark(struct sl_store_txn *t, const char *gateway, struct sl_error *e);
/** Take over what another data store, which was the primary, had begun; drop marks of what is over
 * or of another request, with a line of the log. @return 0, -EIO store_io, or an error of
 * sl_store_put, -ENOMEM */
int leaving_adopt(struct sl_store *s, struct sl_error *e);

#endif
