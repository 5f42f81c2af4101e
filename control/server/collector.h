/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What gateways report, on the primary: sessions, usage, flow aggregates, how they fare, what modes
 * they are in; and the configurations that peers were given. In tables of the store beside its log;
 * a gateway's last state in memory. One thread.
 */
#ifndef SL_COLLECTOR_H
#define SL_COLLECTOR_H

#include "sl_flows.h"
#include "sl_sessions.h"
#include "sl_store.h"
#include "sl_trend.h"

#define SL_SKEW_MS 60000 /* a gateway whose clock is further off raises an alarm */

struct sl_collector;

/** @return NULL with store_io or no_memory */
struct sl_collector *sl_collector_new(struct sl_store *s, struct sl_error *e);
void sl_collector_free(struct sl_collector *c); /* NULL allowed */
/** stats.report or log.push of `node`. @return 0 or a negative errno with `e` */
int sl_collector_call(struct sl_collector *c, const char *method, const char *node, json_t *params,
		      json_t **result, struct sl_error *e);
/** Once a second: ends sessions, drops what is old, lets the ledger follow the gateways' modes. */
void sl_collector_tick(struct sl_collector *c, int64_t now_s);

struct sl_sessions *sl_collector_sessions(struct sl_collector *c);
struct sl_flows *sl_collector_flows(struct sl_collector *c);
struct sl_trend *sl_collector_trend(struct sl_collector *c);

/** The last report of a gateway. */
struct sl_gateway_state {
	const json_t *state; /* of stats.report, NULL: never */
	const char *boot;
	int64_t at_s, push_s; /* of the last report, of the last flow aggregates; 0 never */
	int64_t skew_ms;      /* its clock less ours */
};
/** @return false: it has never told anything since we started */
bool sl_collector_gateway(const struct sl_collector *c, const char *gateway,
			  struct sl_gateway_state *out);

/** A configuration was given out: `routes` is its AllowedIPs. */
int sl_collector_issued(struct sl_store *s, const char *peer, const json_t *routes,
			struct sl_error *e);
/** Peers whose last configuration still holds one of these prefixes (array of text). New array. */
json_t *sl_collector_issued_with(struct sl_collector *c, const json_t *prefixes,
				 struct sl_error *e);
int64_t sl_collector_now_s(void);

/** An object for what is dear to count in the store; empty after each change of it. The
 * collector's. */
json_t *sl_collector_memo(struct sl_collector *c);

#endif
