/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Mailboxes: fixed-size messages by value from one thread to one other, over a DPDK ring.
 *
 * One producer and one consumer, each always the same thread (or the same role after a hand-over
 * that synchronises). Neither side blocks, allocates nor makes a system call. A producer that must
 * not lose a message (hs, control) sends through its own `struct sl_mbox_retry`, which keeps what
 * does not fit, in order. Created and freed by control.
 */
#ifndef SL_MBOX_H
#define SL_MBOX_H

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "sl_base.h"

#define SL_MBOX_MSG_MAX 64

struct sl_mbox {
	struct rte_ring *ring;
	unsigned msg_size;
};

/**
 * @param name unique in the process, at most 28 characters
 * @param entries messages that fit, 1 to 2^20
 * @param msg_size bytes, a multiple of 4, at most SL_MBOX_MSG_MAX
 * @return NULL with errno EINVAL, EEXIST, ENAMETOOLONG or ENOMEM
 */
struct sl_mbox *sl_mbox_new(const char *name, unsigned entries, unsigned msg_size);

/** NULL allowed; messages inside are dropped. */
void sl_mbox_free(struct sl_mbox *m);

/** Producer: post one message. @return false if the mailbox is full */
static inline bool
sl_mbox_put(struct sl_mbox *m, const void *msg)
{
	/* The ring only reads it; its prototype lacks the const. */
	return rte_ring_sp_enqueue_elem(m->ring, (void *)(uintptr_t)msg, m->msg_size) == 0;
}

/** Consumer: take up to max messages into out[]. @return how many */
static inline unsigned
sl_mbox_get(struct sl_mbox *m, void *out, unsigned max)
{
	return rte_ring_sc_dequeue_burst_elem(m->ring, out, m->msg_size, max, NULL);
}

/** Either side: messages inside, exact for the caller's own end. */
static inline unsigned
sl_mbox_count(const struct sl_mbox *m)
{
	return rte_ring_count(m->ring);
}

/**
 * A ring of pointers (packet buffers) for one producer and one consumer; used with
 * rte_ring_sp_enqueue_burst() and rte_ring_sc_dequeue_burst(), freed with rte_ring_free().
 * @param entries pointers that fit, 1 to 2^20
 * @param socket memory node, or -1 for any
 * @return NULL with errno EINVAL, EEXIST, ENAMETOOLONG or ENOMEM
 */
struct rte_ring *sl_mbox_ring_new(const char *name, unsigned entries, int socket);

struct sl_mbox_retry_chunk;

/** The producer's waiting list of one mailbox; all zero: empty. */
struct sl_mbox_retry {
	struct sl_mbox_retry_chunk *head;
	struct sl_mbox_retry_chunk *tail;
	unsigned waiting;
	uint64_t delayed; /* messages that ever had to wait */
};

/**
 * Post a message behind all that wait; keep it if the mailbox is full.
 * @return 0; -ENOMEM: the message is neither sent nor kept
 */
int sl_mbox_send(struct sl_mbox *m, struct sl_mbox_retry *r, const void *msg);

/** Post what waits, as far as it fits. @return messages that still wait */
unsigned sl_mbox_retry_flush(struct sl_mbox *m, struct sl_mbox_retry *r);

/** Forget what waits. */
void sl_mbox_retry_free(struct sl_mbox_retry *r);

#endif
