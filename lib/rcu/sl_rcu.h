/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Grace periods (quiescent-state based RCU) and deferred reclaim that never blocks.
 *
 * Every thread that reads published pointers registers once under a small id of its own, goes
 * online, and reports a quiescent state once per poll, when it holds no published pointer. Before
 * it sleeps or blocks it goes offline; after it is online again it loads all pointers anew.
 *
 * A thread that unpublishes objects owns a `struct sl_rcu_queue` and hands the old object to
 * sl_rcu_defer(); a later sl_rcu_poll() of the same thread runs the functions whose grace period
 * has passed. Any number of queues can share one `struct sl_rcu` (control and hs have one each).
 * A queue is not shared between threads. The queues must be freed before the sl_rcu.
 */
#ifndef SL_RCU_H
#define SL_RCU_H

#include <rte_rcu_qsbr.h>

#include "sl_base.h"

struct sl_rcu {
	struct rte_rcu_qsbr *qsbr;
	unsigned max_threads;
};

typedef void (*sl_rcu_fn)(void *ctx, void *obj);

/** Room for one deferral inside an object, for sl_rcu_defer_head(). */
struct sl_rcu_head {
	struct sl_rcu_head *next;
	sl_rcu_fn fn;
	void *ctx;
	void *obj;
	uint64_t token;
	bool own; /* allocated by the queue */
};

struct sl_rcu_queue;

/**
 * @param max_threads thread ids are 0 .. max_threads - 1
 * @return NULL without memory or with max_threads 0. Needs EAL.
 */
struct sl_rcu *sl_rcu_new(unsigned max_threads);

/** NULL allowed. All queues are freed and all threads unregistered. */
void sl_rcu_free(struct sl_rcu *r);

/**
 * Register a reader, offline at first. Any thread may call, for itself or for a thread that it
 * will start. @return 0, -EINVAL (id too large)
 */
int sl_rcu_register(struct sl_rcu *r, unsigned id);

/** Take a reader out; it is offline. @return 0, -EINVAL */
int sl_rcu_unregister(struct sl_rcu *r, unsigned id);

/** Before the first read, and after sleep; then load all published pointers. */
static inline void
sl_rcu_online(struct sl_rcu *r, unsigned id)
{
	rte_rcu_qsbr_thread_online(r->qsbr, id);
}

/** Holding no published pointer from here on. */
static inline void
sl_rcu_offline(struct sl_rcu *r, unsigned id)
{
	rte_rcu_qsbr_thread_offline(r->qsbr, id);
}

/** Once per poll of an online reader: every pointer loaded before is forgotten. */
static inline void
sl_rcu_quiescent(struct sl_rcu *r, unsigned id)
{
	rte_rcu_qsbr_quiescent(r->qsbr, id);
}

/** @return NULL without memory. */
struct sl_rcu_queue *sl_rcu_queue_new(struct sl_rcu *r);

/** NULL allowed. The queue is empty (see sl_rcu_drain()); entries left are not run. */
void sl_rcu_queue_free(struct sl_rcu_queue *q);

/**
 * Call fn(ctx, obj) after all threads that may still see `obj` have passed a quiescent state. The
 * caller has unpublished `obj` already. Entries run in the order of their deferral.
 * @return 0; -ENOMEM: nothing is queued
 */
int sl_rcu_defer(struct sl_rcu_queue *q, sl_rcu_fn fn, void *ctx, void *obj);

/** As sl_rcu_defer(), in memory of the caller: cannot fail. fn may free the head. */
void sl_rcu_defer_head(struct sl_rcu_queue *q, struct sl_rcu_head *head, sl_rcu_fn fn, void *ctx,
		       void *obj);

/** Run what has passed its grace period; never waits. fn may defer again. @return entries run */
unsigned sl_rcu_poll(struct sl_rcu_queue *q);

/** Entries that wait. */
unsigned sl_rcu_pending(const struct sl_rcu_queue *q);

/**
 * Run everything at shutdown, when all readers are offline or unregistered; also what fn defers.
 * @return 0; -EBUSY: a reader is still online, what waits for it stays queued
 */
int sl_rcu_drain(struct sl_rcu_queue *q);

#endif
