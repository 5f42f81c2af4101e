/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Lines in a buffer that grows: no byte is looked at twice. */
#ifndef SL_RPC_LINE_H
#define SL_RPC_LINE_H

#include <event2/buffer.h>

#include "sl_base.h"

/** Length of the first line, without its end. @param scanned kept by the caller, 0 at first and
 * after each line that was taken out; @return -1: there is no whole line */
ssize_t rpc_line_length(struct evbuffer *in, size_t *scanned);
/** Take that line out. @param wipe it may hold a secret; @return malloc'ed with a zero after it;
 * NULL: none, or no memory */
char *rpc_line_take(struct evbuffer *in, size_t *scanned, bool wipe, size_t *len);

#endif
