/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Are records being lost? They are while a ring overwrites what was not taken, there is no memory
 * or room for a line, or every sink drops some of what it is given. Records that wait in the queue
 * of a sink are not lost. A datagram tells nobody whether it came: sinks of UDP do not count. What
 * was lost is forgotten when nothing has been lost for DRAIN_LOSS_HOLD_NS and, of sinks, one is up
 * again. A file is up again with the next line that it takes: the summary of what was dropped
 * (drain_take.c), which comes as long as anything is, is such a line where nobody sends.
 */
#include "drain_int.h"
#include "sl_log.h"

#define DRAIN_LOSS_HOLD_NS (5 * SL_NS_PER_S)

/** Lost before any sink got it. */
static bool
loses_lines(struct sl_drain *d, uint64_t now_ns)
{
	uint64_t all = d->ring_lost;

	pthread_mutex_lock(&d->lock);
	all += d->failed + d->events_lost;
	pthread_mutex_unlock(&d->lock);
	if (all != d->loss_known)
		d->loss_ns = now_ns;
	d->loss_known = all;
	return all > 0 && now_ns - d->loss_ns < DRAIN_LOSS_HOLD_NS;
}

static bool
is_failing(struct sl_sink *s, struct drain_sink_loss *l, uint64_t now_ns)
{
	struct sl_queue_counts c;
	uint64_t dropped = 0;
	bool up;

	sl_queue_counts(&s->q, &c);
	for (unsigned why = 0; why < SL_DROPPED_MAX; why++)
		dropped += c.dropped[why];
	pthread_mutex_lock(&s->q.lock);
	up = s->state == SL_SINK_UP || s->state == SL_SINK_IDLE;
	pthread_mutex_unlock(&s->q.lock);
	if (dropped != l->dropped) {
		l->dropped = dropped;
		l->at_ns = now_ns;
		l->failing = true;
	} else if (up && now_ns - l->at_ns >= DRAIN_LOSS_HOLD_NS) {
		l->failing = false;
	}
	return l->failing;
}

/** Does it notice what does not arrive? */
static bool
tells(const struct sl_sink *s)
{
	return s->conf.kind != SL_SINK_SYSLOG_UDP;
}

bool
sl_drain_keeps(const struct sl_drain *d)
{
	for (unsigned i = 0; i < d->n_sinks; i++)
		if (tells(d->sink[i]))
			return true;
	return d->conf.losing == NULL;
}

void
drain_loss_look(struct sl_drain *d, uint64_t now_ns)
{
	bool losing, was, all_fail = true;
	unsigned i;

	if (d->conf.losing == NULL)
		return;
	if (!sl_drain_keeps(d)) { /* as it was made: no news */
		atomic_store_explicit(d->conf.losing, true, memory_order_relaxed);
		return;
	}
	for (i = 0; i < d->n_sinks; i++)
		if (tells(d->sink[i]))
			all_fail &= is_failing(d->sink[i], &d->sink_loss[i], now_ns);
	losing = loses_lines(d, now_ns) || all_fail;
	was = atomic_exchange_explicit(d->conf.losing, losing, memory_order_relaxed);
	if (losing && !was)
		sl_log(SL_LOG_WARN, "audit",
		       "records are being lost: targets in log.required are denied where modes "
		       "enforce");
	else if (was && !losing)
		sl_log(SL_LOG_NOTICE, "audit", "records are kept again");
}
