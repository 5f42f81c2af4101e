/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The peers with most traffic of all that are shown: at most so many, in no order. */
#ifndef SL_METRICS_TOP_H
#define SL_METRICS_TOP_H

#include "sl_secret.h"

struct metrics_pick {
	uint64_t bytes;
	uint32_t iface; /* the caller's number of it */
	struct sl_pubkey key;
};

struct metrics_top {
	struct metrics_pick *v; /* a heap: the one with least traffic is the first */
	unsigned n, max;
};

/** @return 0 or -ENOMEM */
int metrics_top_init(struct metrics_top *t, unsigned max);
/** Take it, or leave it. Of equal ones the earlier stays. */
void metrics_top_offer(struct metrics_top *t, const struct metrics_pick *p);
void metrics_top_clear(struct metrics_top *t);

#endif
