/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Inside of the drain: its state and what its files offer each other. */
#ifndef SL_DRAIN_INT_H
#define SL_DRAIN_INT_H

#include "format.h"
#include "names.h"
#include "sink.h"
#include "sl_drain.h"
#include "sl_env.h"

#define DRAIN_SINKS 16
#define DRAIN_BATCH 64
#define DRAIN_PENDING 4096 /* events of control between two turns */
#define DRAIN_TURN_MS 10
#define DRAIN_POLL_NS (100 * SL_NS_PER_MS)
#define DRAIN_QUARTER 250000 /* ppm */
#define DRAIN_SUMMARY_NS (10 * SL_NS_PER_S)
#define DRAIN_END_NS SL_NS_PER_S

/** Of a sink, to tell whether it loses what it is given. */
struct drain_sink_loss {
	uint64_t dropped, at_ns; /* when that grew */
	bool failing;
};

struct sl_drain {
	struct sl_drain_conf conf; /* strings are copies */
	struct sl_sink_env env;
	struct sl_seal_key seal_key;
	struct sl_sink *sink[DRAIN_SINKS];
	unsigned n_sinks;
	unsigned *cpus;
	struct event *timer;
	pthread_t thread;
	bool running;
	_Atomic bool stop, reopen; /* w: control; reopen is cleared by the drain */
	_Atomic uint64_t seq;	   /* of the next line */

	pthread_mutex_t names_lock;
	struct sl_names *names;

	struct sl_format fmt; /* drain's thread */
	uint64_t last_poll_ns, last_summary_ns, end_ns;
	uint64_t ring_lost; /* records overwritten before they were taken */
	uint64_t loss_known, loss_ns;
	struct drain_sink_loss sink_loss[DRAIN_SINKS];
	uint64_t told_suppressed[SL_REC_TYPES], told_lost[SL_REC_TYPES];
	uint64_t told_dropped[DRAIN_SINKS], told_events_lost, told_failed;

	pthread_mutex_t lock; /* of all that follows */
	struct sl_format event_fmt;
	struct sl_line *pending[DRAIN_PENDING];
	unsigned n_pending;
	struct sl_line *recent[SL_DRAIN_RECENT];
	uint64_t n_recent;		       /* ever; the place of the next one */
	uint64_t records, events, events_lost; /* lines given to sinks; of control */
	uint64_t own;			       /* of the drain itself: lost, summary */
	uint64_t failed;		       /* records for which there was no memory */
};

/** Give lines to the recent ones and every sink; takes the references. Drain's thread. */
void drain_give(struct sl_drain *d, struct sl_line **l, unsigned n);
/** Take what is in the rings. @return records taken */
unsigned drain_rings(struct sl_drain *d);
/** What was lost and suppressed since the last time, as a record of its own. */
void drain_summary(struct sl_drain *d, uint64_t now_ns);
/** Publish whether records are being lost now. */
void drain_loss_look(struct sl_drain *d, uint64_t now_ns);
/** A seal's record, not sealed yet; any thread. @return NULL without memory */
struct sl_line *drain_seal_line(struct sl_drain *d);
/** A seal for sinks that are no files; takes the reference. Any thread. */
void drain_offer(struct sl_drain *d, struct sl_line *l);
uint64_t drain_mono(const struct sl_drain *d);
uint64_t drain_wall(const struct sl_drain *d);

#endif
