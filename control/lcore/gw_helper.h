/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * One helper thread for work that would hold up control's loop: nice, on CPUs of its own choice,
 * without signals. Tasks run one after the other in the order in which they were given.
 */
#ifndef SL_GW_HELPER_H
#define SL_GW_HELPER_H

#include <stdatomic.h>

#include "sl_base.h"
#include "sl_error.h"

/** Part of an object that is worked on; the giver lets go of the object until it is done. */
struct gw_task {
	struct gw_task *next;
	void (*run)(struct gw_task *t);
	bool detached;	   /* `run` frees the object */
	_Atomic bool done; /* w: helper */
};

struct gw_helper;

/** @param cpus NULL: those of the caller. @return NULL with an error: no_memory, thread */
struct gw_helper *gw_helper_new(const unsigned *cpus, unsigned n_cpus, struct sl_error *e);
/** Runs what was given, ends the thread. NULL allowed. */
void gw_helper_free(struct gw_helper *h);
/** @param h NULL: run it here and now */
void gw_helper_give(struct gw_helper *h, struct gw_task *t);
/** Wait for a task. */
void gw_helper_wait(struct gw_helper *h, struct gw_task *t);

static inline bool
gw_task_done(struct gw_task *t)
{
	return atomic_load_explicit(&t->done, memory_order_acquire);
}

#endif
