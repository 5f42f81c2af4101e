/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What control sees of a worker's flow table: a window of rows that goes to and fro between the
 * two. Control says where to begin and whose flows it wants, and lends the window by a new number
 * in `asked`; the worker copies entries into it, SL_FLOW_VIEW_STEP places of the table in a poll,
 * and gives it back by the same number in `answered`. Each side touches the rest only while it has
 * the window. Nothing waits, nothing is allocated, and no pointer leaves the table.
 *
 * The worker gives it back when it is full, at the end of the table, and after SL_FLOW_VIEW_PLACES
 * places with few rows or none: so that control sees that the worker goes on.
 *
 * A pass asks from place 0 and then from `next` on until `end`. An entry keeps its place as long as
 * it lives, so a flow that lives during a whole pass is in it, once. One that goes to another
 * worker meanwhile may be missing or seen twice.
 *
 * Left out are entries that have timed out, and those that only let replies through at the
 * receiver's home of a flow between peers (SL_FLOW_QUIET): the sender's home has the flow.
 */
#ifndef SL_FLOW_VIEW_H
#define SL_FLOW_VIEW_H

#include <stdatomic.h>

#include "sl_flow.h"

#define SL_FLOW_VIEW_ROWS 256
#define SL_FLOW_VIEW_STEP 32
#define SL_FLOW_VIEW_PLACES 65536
#define SL_FLOW_ANY_PEER UINT32_MAX

/** Which flows. */
struct sl_flow_ask {
	uint32_t at;	  /* first place to look at */
	uint32_t peer_id; /* SL_FLOW_ANY_PEER: all */
	uint16_t iface;	  /* 0: all */
};

struct sl_flow_view {
	_Atomic uint32_t asked; /* w: control */
	struct sl_flow_ask ask; /* w: control */
	/* w: worker, all that follows */
	_Atomic uint32_t answered SL_ALIGNED(SL_CACHE_LINE);
	uint32_t serial;     /* that it works on */
	uint32_t next;	     /* place to look at next */
	uint32_t n;	     /* rows */
	bool end;	     /* there are no places from `next` on */
	uint32_t tick;	     /* when it gave the window back ... */
	uint64_t now_ns;     /* ... on its clock */
	uint32_t count, max; /* flows that the table has then, and may have */
	uint32_t at[SL_FLOW_VIEW_ROWS];
	struct sl_flow row[SL_FLOW_VIEW_ROWS];
} SL_ALIGNED(SL_CACHE_LINE);

/** Control: has it the window? The worker's fields may be read then. */
static inline bool
sl_flow_view_here(const struct sl_flow_view *v)
{
	return atomic_load_explicit(&v->answered, memory_order_acquire) ==
	       atomic_load_explicit(&v->asked, memory_order_relaxed);
}

/** Control: lend the window, which it has. */
static inline void
sl_flow_view_ask(struct sl_flow_view *v, const struct sl_flow_ask *ask)
{
	uint32_t serial = atomic_load_explicit(&v->asked, memory_order_relaxed) + 1;

	v->ask = *ask;
	atomic_store_explicit(&v->asked, serial, memory_order_release);
}

/** Worker, once a poll: has it the window? */
static inline bool
sl_flow_view_lent(const struct sl_flow_view *v)
{
	return atomic_load_explicit(&v->asked, memory_order_acquire) !=
	       atomic_load_explicit(&v->answered, memory_order_relaxed);
}

/** Worker, which has the window: look at the next places. */
void sl_flow_view_step(struct sl_flow_view *v, struct sl_flow_table *t, uint32_t tick,
		       uint64_t now_ns);

#endif
