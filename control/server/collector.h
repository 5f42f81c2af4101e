/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What gateways report, on the primary: sessions, usage, flow aggregates, how they fare, what modes
 * they are in; and the configurations that peers were given. In tables of the store beside its log;
 * a gateway's last state in memory, which any thread may ask for; all else is of the one thread
 * whose handle of the store it has.
 */
#ifndef SL_COLLECTOR_H
#define SL_COLLECTOR_H

#include "reports.h"

#define SL_SKEW_MS 60000 /* a gateway whose clock is further off raises an alarm */

struct sl_collector;

struct sl_seal_key;

/** @param key of the audit, borrowed. @return NULL with store_io or no_memory */
struct sl_collector *sl_collector_new(struct sl_store *s, const struct sl_seal_key *key,
				      struct sl_error *e);
void sl_collector_free(struct sl_collector *c); /* NULL allowed */
/** What is told between these two is written in one transaction. @return 0; -EBUSY store_busy,
 * -EIO: nothing of it is kept */
int sl_collector_begin(struct sl_collector *c, struct sl_error *e);
int sl_collector_commit(struct sl_collector *c, struct sl_error *e);
/** stats.report or log.push of `node`: all of it is taken, or nothing. @return 0 or a negative
 * errno with `e` */
int sl_collector_call(struct sl_collector *c, const char *method, const char *node, json_t *params,
		      json_t **result, struct sl_error *e);
/** Once a second: ends sessions, drops what is old, lets the ledger follow the gateways' modes. */
void sl_collector_tick(struct sl_collector *c, int64_t now_s);

/** The last report of a gateway. */
struct sl_gateway_state {
	json_t *state;	      /* of stats.report, NULL: never; the caller's copy */
	int64_t at_s, push_s; /* of the last report, of the last flow aggregates; 0 never */
	int64_t skew_ms;      /* its clock less ours */
};
/** From any thread. @return false: it has never told anything since we started */
bool sl_collector_gateway(struct sl_collector *c, const char *gateway,
			  struct sl_gateway_state *out);
/** How many objects it blocks, as its state says: those that came back after their deletion. */
json_int_t sl_blocked_count(const json_t *state);

/** A configuration was given out: `routes` is its AllowedIPs. */
int sl_collector_issued(struct sl_store *s, const char *peer, const json_t *routes,
			struct sl_error *e);
/** Peers whose last configuration still holds one of these prefixes (array of text). New array. */
json_t *sl_collector_issued_with(struct sl_store *s, const json_t *prefixes, struct sl_error *e);
int64_t sl_collector_now_s(void);

#endif
