/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Logins that were refused, for the audit: one row for a source and a minute, with a count
 * (refused.h). Event loop.
 */
#ifndef SL_FAILED_H
#define SL_FAILED_H

#include "sl_addr.h"
#include "sl_error.h"

struct sl_rest;
struct failed;

/** @param r a primary's, with its writer. @return NULL with no_memory */
struct failed *failed_new(struct sl_rest *r, struct sl_error *e);
/** The writer has ended before; what was not told is written now. NULL allowed. */
void failed_free(struct failed *f);
/** One more. @param f NULL: a follower's, which has no audit; @param from NULL: of a peer, whose
 * address is told nowhere */
void failed_login(struct failed *f, const struct sl_ip *from);

#endif
