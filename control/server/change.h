/* SPDX-License-Identifier: BSD-3-Clause */
/** @file A change by REST: one transaction with its row of the audit, or a dry run of it. */
#ifndef SL_REST_CHANGE_H
#define SL_REST_CHANGE_H

#include "call.h"

/** As sl_store_begin(), in the caller's name. */
struct sl_store_txn *change_begin(struct sl_call *c, struct sl_error *e);
/**
 * End it: with rc < 0 nothing was changed; of a dry run the answer is what would change and to
 * which gateways that would go (then c->done); else it is committed and its seq stands in the call.
 * @param rc what the work in the transaction gave
 * @return 0 or a negative errno with `e`
 */
int change_end(struct sl_call *c, struct sl_store_txn *t, int rc, struct sl_error *e);
/** The same of one of several transactions that a request needs, not the last: where the server
 * ends after it, the same request, with the same Idempotency-Key too, goes on. */
int change_part(struct sl_call *c, struct sl_store_txn *t, int rc, struct sl_error *e);

#endif
