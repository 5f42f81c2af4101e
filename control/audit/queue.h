/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Records as text lines, and the bounded queue that each sink has of them.
 *
 * The drain puts, one consumer takes (a network sink on the drain's thread, a file sink on its
 * own). What was taken still counts as queued until it is acked or dropped, so that at any time
 *
 *	drained = acked + dropped (by reason) + queued
 *
 * holds exactly. A full queue drops what is new.
 */
#ifndef SL_DRAIN_QUEUE_H
#define SL_DRAIN_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>

#include "sl_base.h"
#include "sl_prom.h"

#define SL_LINE_ACTION 32

/** Admin records are chained where they are written to a file; a seal is made by the sink that does
 * so, and goes to those that are no files. */
enum sl_line_kind { SL_LINE_FLOW, SL_LINE_ADMIN, SL_LINE_SEAL };

/** One record as JSON with its newline; shared by all sinks and the recent ones. */
struct sl_line {
	_Atomic uint32_t refs;
	uint32_t len; /* with the newline */
	uint64_t seq;
	uint8_t severity; /* RFC 5424 */
	uint8_t kind;	  /* enum sl_line_kind; FLOW unless it is set */
	char action[SL_LINE_ACTION];
	char text[]; /* zero at its end */
};

/** @return a line of the text with one reference; NULL without memory */
struct sl_line *sl_line_new(const char *text, size_t len, uint64_t seq, unsigned severity,
			    const char *action);
struct sl_line *sl_line_ref(struct sl_line *l);
void sl_line_unref(struct sl_line *l);

enum sl_dropped {
	SL_DROPPED_QUEUE_FULL, /* the queue was full */
	SL_DROPPED_NO_SPACE,   /* disk, quota or file size limit, for the whole flush window */
	SL_DROPPED_WRITE,      /* another error of the file, for the whole flush window */
	SL_DROPPED_TOO_LONG,   /* longer than a datagram may be */
	SL_DROPPED_REJECTED,   /* the receiver does not want it */
	SL_DROPPED_SHUTDOWN,   /* left over at the end */
	SL_DROPPED_MAX
};
const char *sl_dropped_text(unsigned reason);

struct sl_queue_counts {
	uint64_t drained, acked, dropped[SL_DROPPED_MAX];
	uint64_t queued; /* waiting and taken */
};

struct sl_queue {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct sl_line **slot; /* [mask + 1] */
	uint32_t mask, max;
	uint32_t head, n; /* of those that wait */
	uint32_t held;	  /* taken, not yet settled */
	size_t bytes;	  /* of those that wait */
	bool kicked;
	uint64_t since_ns; /* since when the first one waits */
	uint64_t begun_ns; /* when what is held began to be delivered */
	struct sl_prom_times pushes;
	struct sl_queue_counts c;
};

/** @return 0 or -ENOMEM */
int sl_queue_init(struct sl_queue *q, unsigned max);
/** Lines that still wait are released uncounted. */
void sl_queue_free(struct sl_queue *q);
/** Drain: add n lines; the queue takes references of its own. */
void sl_queue_put(struct sl_queue *q, struct sl_line *const *l, unsigned n, uint64_t now_ns);
/** Consumer: move up to `max` lines of together at most `bytes` (but at least one) out of the
 * queue. @return how many */
unsigned sl_queue_take(struct sl_queue *q, struct sl_line **out, unsigned max, size_t bytes,
		       uint64_t now_ns);
/** Consumer with a thread of its own: wait until lines are there, sl_queue_kick() or so long. */
void sl_queue_wait(struct sl_queue *q, unsigned ms);
void sl_queue_kick(struct sl_queue *q);
/** Consumer: these were delivered; gives the references back. */
void sl_queue_ack(struct sl_queue *q, struct sl_line *const *l, unsigned n);
/** Consumer: n lines of its own making were delivered. */
void sl_queue_own(struct sl_queue *q, unsigned n);
/** Consumer: these are given up. */
void sl_queue_drop(struct sl_queue *q, struct sl_line *const *l, unsigned n, enum sl_dropped why);
/** Count everything that waits as dropped. */
void sl_queue_drop_waiting(struct sl_queue *q, enum sl_dropped why);
/** Lines that wait; *since_ns: since when the first of them; *bytes: of all. Both may be NULL. */
unsigned sl_queue_waiting(struct sl_queue *q, uint64_t *since_ns, size_t *bytes);
void sl_queue_counts(struct sl_queue *q, struct sl_queue_counts *out);
/** How long deliveries took: from the take, or the delivery before, to the ack. */
void sl_queue_pushes(struct sl_queue *q, struct sl_prom_times *out);

#endif
