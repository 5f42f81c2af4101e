/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What gateways tell the primary, beside their acknowledgements. */
#ifndef SL_CONTROL_UPSTREAM_H
#define SL_CONTROL_UPSTREAM_H

#include <jansson.h>

#include "collector.h"
#include "sl_store.h"

/** gateway.register puts the gateway's public keys into its gateway_interfaces; the rest goes to
 * the collector. */
int upstream_call(struct sl_store *s, struct sl_collector *collector, const char *method,
		  const char *node, json_t *params, json_t **result, struct sl_error *e);

#endif
