/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What gateways tell the primary, beside their acknowledgements. It is written down by the
 * thread that changes the store, what came together in one transaction, and answered when it is
 * committed. */
#ifndef SL_CONTROL_UPSTREAM_H
#define SL_CONTROL_UPSTREAM_H

#include <jansson.h>

#include "collector.h"
#include "sl_rpc.h"
#include "sl_seal.h"
#include "sl_store.h"
#include "sl_tasks.h"

struct upstream;

/** @param writer and its handle of the store, borrowed; @param key of the audit. @return NULL with
 * an error */
struct upstream *upstream_new(struct sl_tasks *writer, struct sl_store *s,
			      const struct sl_seal_key *key, struct sl_error *e);
/** The writer has ended before: what waits is answered as lost. NULL allowed. */
void upstream_free(struct upstream *u);
/** What gateways told; any thread may ask it for their last state. */
struct sl_collector *upstream_collector(struct upstream *u);
/** Once a second: what follows from the time. */
void upstream_tick(struct upstream *u);
/**
 * gateway.register puts the gateway's public keys into its gateway_interfaces; the rest goes to the
 * collector. Each gateway has its rates, whoever brings its calls: what it tells is written down.
 * @return 0; SL_RPC_LATER; -EBUSY rate_limited with retry_after_ms
 */
int upstream_call(struct upstream *u, const struct sl_rpc_caller *caller, const char *method,
		  const char *node, json_t *params, struct sl_error *e);

#endif
