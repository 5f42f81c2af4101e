/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Answers that are kept for Idempotency-Key: the same key with the same request gives the
 * same answer for 24 hours. */
#ifndef SL_REST_KEPT_H
#define SL_REST_KEPT_H

#include "call.h"

#define KEPT_S 86400
#define KEPT_KEY_MAX 128 /* characters of a key */

int kept_init(struct sl_store *s, struct sl_error *e);
/** Is there an answer? @param[out] hit it was put into the call
 * @return 0, -EINVAL idempotency_key_reused; -EEXIST shown_once (the answer held a
 * secret), done_before (the server ended before it was kept); -EIO store_io */
int kept_find(struct sl_call *c, bool *hit, struct sl_error *e);
/** In the transaction of the change: that this request was done, whatever becomes of its answer.
 * @return 0, -EIO store_io */
int kept_claim(struct sl_call *c, struct sl_error *e);
/** Has this request a key, and an answer to keep? */
bool kept_wanted(const struct sl_call *c);
/** Keep this answer, if so. */
void kept_store(struct sl_call *c);
/** Forget those that are older than 24 hours. */
void kept_prune(struct sl_store *s, uint64_t wall_ns);

#endif
