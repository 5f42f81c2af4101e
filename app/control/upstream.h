/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What gateways tell the primary, beside their acknowledgements. */
#ifndef SL_CONTROL_UPSTREAM_H
#define SL_CONTROL_UPSTREAM_H

#include <jansson.h>

#include "collector.h"
#include "sl_store.h"

struct upstream;

/** @return NULL without memory */
struct upstream *upstream_new(struct sl_store *s, struct sl_collector *collector);
void upstream_free(struct upstream *u); /* NULL allowed */
/**
 * gateway.register puts the gateway's public keys into its gateway_interfaces; the rest goes to the
 * collector. Each gateway has its rates, whoever brings its calls: what it tells is written down.
 * @return 0; -EBUSY rate_limited with retry_after_ms; what the call gives
 */
int upstream_call(struct upstream *u, const char *method, const char *node, json_t *params,
		  json_t **result, struct sl_error *e);

#endif
