/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * How long an event loop is at work at a stretch: the processor time of each of its turns, counted
 * in classes. What a turn waits for is not in it.
 */
#ifndef SL_TURNS_H
#define SL_TURNS_H

#include <event2/event.h>

#include "sl_base.h"

#define SL_TURN_CLASSES 6

/** Bounds of the classes but the last, in microseconds. */
extern const unsigned sl_turn_us[SL_TURN_CLASSES];

struct sl_turns {
	uint64_t n[SL_TURN_CLASSES + 1]; /* turns of at most so long; the last: longer */
	uint64_t all, sum_ns, longest_ns;
};

/** As event_base_dispatch(), and counts. @return as that */
int sl_turns_dispatch(struct event_base *base, struct sl_turns *t);

#endif
