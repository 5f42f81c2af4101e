/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * How gateways fare over time: packets, losses that policy has nothing to do with, latency inside
 * the gateway, handshake times of TCP to targets. From it come the baseline before a change and
 * what is compared with it. Tables of the data store; one thread; wall-clock seconds.
 */
#ifndef SL_TREND_H
#define SL_TREND_H

#include <jansson.h>
#include <sqlite3.h>

#include "sl_error.h"

#define SL_TREND_STEP_S 300

struct sl_trend;
struct sl_trend *sl_trend_new(sqlite3 *db, struct sl_error *e);
void sl_trend_free(struct sl_trend *t); /* NULL allowed */
/**
 * Take the `state` of a stats.report: packets and drops count from the boot on, the rest is of now.
 * What is missing or of another type is passed over.
 */
int sl_trend_report(struct sl_trend *t, const char *gateway, const char *boot, const json_t *state,
		    int64_t now_s, struct sl_error *e);

/** Means over a window; samples 0: nothing is known. */
struct sl_trend_mean {
	uint64_t samples, packets, drops;
	double drop_rate;     /* of packets */
	double p50, p95, p99; /* ns in the gateway */
	uint64_t rtt_samples;
	double rtt_p50, rtt_p95, rtt_p99; /* ms of a TCP handshake to the target */
};
/** @param gateway NULL: all together; @param target NULL: no handshake times */
int sl_trend_mean(struct sl_trend *t, const char *gateway, const char *target, int64_t from_s,
		  int64_t to_s, struct sl_trend_mean *out, struct sl_error *e);
json_t *sl_trend_json(const struct sl_trend_mean *m);
/** What sl_trend_json() wrote. -EINVAL */
int sl_trend_parse(const json_t *v, struct sl_trend_mean *out);
/** Is `now` no worse than `before`? Losses: at most half as much again and 0.01 % more; times: at
 * most half as much again and 20 us (1 ms to targets) more. `why` names the first that is.
 * Without samples on either side nothing is shown, and the answer is no. */
bool sl_trend_no_worse(const struct sl_trend_mean *before, const struct sl_trend_mean *now,
		       char *why, size_t room);
int64_t sl_trend_prune(struct sl_trend *t, int64_t before_s, struct sl_error *e);

#endif
