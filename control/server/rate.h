/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * How often a principal may ask: a token bucket each. Fixed memory: of a full neighbourhood the
 * place that was used longest ago is taken. Time is passed in. One thread.
 */
#ifndef SL_REST_RATE_H
#define SL_REST_RATE_H

#include "sl_base.h"

struct rate;

/** @param places how many are remembered (at least 8). @return NULL without memory */
struct rate *rate_new(unsigned per_second, unsigned burst, unsigned places);
void rate_free(struct rate *r); /* NULL allowed */
/** Take one request of `who`. @return 0, or how long to wait for the next one */
uint64_t rate_take_ns(struct rate *r, const char *who, uint64_t now_ns);
/** What was taken costs as much as `n` more, even beyond what there is. */
void rate_charge(struct rate *r, const char *who, unsigned n);

#endif
