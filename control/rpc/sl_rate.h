/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * How often a principal may ask: a token bucket each. Fixed memory: of a full neighbourhood, which
 * nobody outside can tell, the place of whoever has taken the least is given away. Time is passed
 * in. One thread.
 */
#ifndef SL_RATE_H
#define SL_RATE_H

#include "sl_base.h"

struct sl_rate;

/** @param places how many are remembered (at least 8). @return NULL without memory */
struct sl_rate *sl_rate_new(unsigned per_second, unsigned burst, unsigned places);
void sl_rate_free(struct sl_rate *r); /* NULL allowed */
/** Take one request of `who`. @return 0, or how long to wait for the next one */
uint64_t sl_rate_take_ns(struct sl_rate *r, const char *who, uint64_t now_ns);
/** What was taken costs as much as `n` more, even beyond what there is. */
void sl_rate_charge(struct sl_rate *r, const char *who, unsigned n);

#endif
