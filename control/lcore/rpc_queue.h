/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Questions that are answered later, one after the other. Thread of control. */
#ifndef SL_RPC_QUEUE_H
#define SL_RPC_QUEUE_H

#include "sl_rpc.h"

/** The first member of a question. */
struct ctl_asked {
	struct ctl_asked *next;
	struct sl_rpc_later *later;
};

struct ctl_queue {
	struct ctl_asked *first;
	unsigned n;
};

/** Free a question that has been taken off; whose asker is told why it comes to nothing. */
typedef void (*ctl_cancel_fn)(struct ctl_asked *q, const struct sl_error *e);

/** Behind the others. */
void ctl_queue_add(struct ctl_queue *all, struct ctl_asked *q);
/** Before the others. */
void ctl_queue_push(struct ctl_queue *all, struct ctl_asked *q);
/** Take the first one off, which there is. */
struct ctl_asked *ctl_queue_take(struct ctl_queue *all);
/** Those whose askers have gone make room. */
void ctl_queue_drop_unwanted(struct ctl_queue *all, ctl_cancel_fn cancel);
/** All of them: the gateway ends. */
void ctl_queue_end(struct ctl_queue *all, ctl_cancel_fn cancel);

#endif
