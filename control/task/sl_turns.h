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
#include "sl_prom.h"

struct sl_turns {
	struct sl_prom_times times;
	uint64_t longest_ns;
};

/** As event_base_dispatch(), and counts. @return as that */
int sl_turns_dispatch(struct event_base *base, struct sl_turns *t);

#endif
