/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Metrics of the gateway for a Prometheus server: the answer is made from counters that control
 * has, in slices of a millisecond on its loop, and kept for a second. Whoever reaches the listener
 * may read it: it holds no secret and no outer address, names of peers and their public keys only
 * where the configuration says so.
 */
#ifndef SL_METRICS_H
#define SL_METRICS_H

#include "sl_ctl.h"

struct sl_metrics;

/**
 * Listen where ctl->config says. An address that cannot be had does not end the gateway: it is
 * logged once, told by sl_metrics_problems(), and tried again after 1, 2, 4 ... 60 s. One that is
 * not of loopback is warned of.
 * @return NULL: no memory, or the configuration has no `metrics`
 */
struct sl_metrics *sl_metrics_new(struct sl_ctl *ctl, struct event_base *base);
/** A sentence where nobody can scrape, for sys.health. NULL allowed. */
void sl_metrics_problems(const struct sl_metrics *m, json_t *problems);
/** NULL allowed. */
void sl_metrics_free(struct sl_metrics *m);

#endif
