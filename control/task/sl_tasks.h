/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A thread for work that would hold up an event loop: what waits for a disk or another process,
 * what counts for long. Tasks run one after the other in the order in which they were given; the
 * loop is told of each when it has run. The thread has no signals and gives way to the loop (nice).
 */
#ifndef SL_TASKS_H
#define SL_TASKS_H

#include <event2/event.h>

#include "sl_base.h"
#include "sl_error.h"

/** Part of an object. From the gift until `done` the object is the thread's alone. */
struct sl_task {
	struct sl_task *next;
	void (*run)(struct sl_task *t);	 /* on the thread */
	void (*done)(struct sl_task *t); /* on the loop, afterwards; may free the object */
};

struct sl_tasks;

/** @param name of the thread, at most 15 bytes. @return NULL with an error: no_memory, thread */
struct sl_tasks *sl_tasks_new(struct event_base *base, const char *name, struct sl_error *e);
/** Ends when the running task does; what else was given is forgotten: it neither runs nor is told.
 * NULL allowed. */
void sl_tasks_free(struct sl_tasks *w);
/** From the loop. */
void sl_tasks_give(struct sl_tasks *w, struct sl_task *t);

#endif
