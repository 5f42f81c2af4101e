/* SPDX-License-Identifier: BSD-3-Clause */
/* From the rings to the sinks; what was lost on the way is a record too. */
#include "drain_int.h"

#define TURN_RECORDS 65536 /* of one ring in one turn: sockets want their turn as well */

/** A file has the seals that its own sink makes, and no others. */
static unsigned
for_sink(const struct sl_sink *s, struct sl_line *const *l, unsigned n, struct sl_line **out)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++)
		if (l[i]->kind != SL_LINE_SEAL || s->conf.kind != SL_SINK_FILE)
			out[k++] = l[i];
	return k;
}

void
drain_give(struct sl_drain *d, struct sl_line **l, unsigned n)
{
	uint64_t now = sl_clock_mono_ns();
	struct sl_line *old[DRAIN_BATCH], *some[DRAIN_BATCH];
	unsigned i;

	if (n == 0)
		return;
	pthread_mutex_lock(&d->lock);
	for (i = 0; i < n; i++) {
		struct sl_line **at = &d->recent[d->n_recent++ % SL_DRAIN_RECENT];

		old[i] = *at;
		*at = sl_line_ref(l[i]);
	}
	d->records += n;
	pthread_mutex_unlock(&d->lock);
	for (i = 0; i < d->n_sinks; i++)
		sl_queue_put(&d->sink[i]->q, some, for_sink(d->sink[i], l, n, some), now);
	for (i = 0; i < n; i++) {
		sl_line_unref(old[i]);
		sl_line_unref(l[i]);
	}
}

/** The drain on itself. Takes the reference of `fields`. */
static void
own_record(struct sl_drain *d, const char *action, json_t *fields)
{
	struct sl_format_event ev = {.action = action,
				     .outcome = "failure",
				     .dataset = "sluice.audit",
				     .kind = "metric",
				     .category = "process",
				     .type = "info",
				     .severity = SL_SEV_WARNING,
				     .fields = fields};
	uint64_t seq = atomic_fetch_add_explicit(&d->seq, 1, memory_order_relaxed);
	struct sl_line *l = sl_format_event(&d->fmt, &ev, drain_wall(d), seq);

	json_decref(fields);
	pthread_mutex_lock(&d->lock);
	d->own += l != NULL;
	d->failed += l == NULL;
	pthread_mutex_unlock(&d->lock);
	if (l != NULL)
		drain_give(d, &l, 1);
}

static void
lost_record(struct sl_drain *d, unsigned lcore, uint64_t lost)
{
	own_record(d, "audit-lost",
		   json_pack("{s:{s:s, s:i, s:I}}", "sluice", "event_type", "AuditLost", "lcore",
			     (int)lcore, "lost", (json_int_t)lost));
}

static void
give_records(struct sl_drain *d, const struct sl_rec *r, unsigned n)
{
	uint64_t mono = drain_mono(d), wall = drain_wall(d), seq;
	struct sl_line *l[DRAIN_BATCH];
	unsigned i, k = 0;

	seq = atomic_fetch_add_explicit(&d->seq, n, memory_order_relaxed);
	pthread_mutex_lock(&d->names_lock);
	for (i = 0; i < n; i++) {
		uint64_t age = mono > r[i].mono_ns ? mono - r[i].mono_ns : 0;

		l[k] = sl_format_record(&d->fmt, d->names, &r[i], wall > age ? wall - age : 0,
					seq + i);
		k += l[k] != NULL;
	}
	pthread_mutex_unlock(&d->names_lock);
	if (k < n) {
		pthread_mutex_lock(&d->lock);
		d->failed += n - k;
		pthread_mutex_unlock(&d->lock);
	}
	drain_give(d, l, k);
}

static unsigned
drain_ring(struct sl_drain *d, unsigned lcore)
{
	struct sl_rec_ring *ring = d->conf.ring[lcore];
	struct sl_rec r[DRAIN_BATCH];
	unsigned n, total = 0;
	uint64_t lost, all_lost = 0;

	do {
		lost = 0;
		n = sl_rec_take(ring, r, DRAIN_BATCH, &lost);
		all_lost += lost;
		if (n > 0)
			give_records(d, r, n);
		total += n;
	} while (n > 0 && total < TURN_RECORDS);
	d->ring_lost += all_lost;
	if (all_lost > 0)
		lost_record(d, lcore, all_lost);
	if (n == 0)
		sl_rec_settle(ring);
	return total;
}

unsigned
drain_rings(struct sl_drain *d)
{
	unsigned i, taken = 0;

	for (i = 0; i < d->conf.n_rings; i++)
		taken += drain_ring(d, i);
	return taken;
}

/* --- summary ---------------------------------------------------------------------------------- */

static json_int_t
since(uint64_t *told, uint64_t now)
{
	uint64_t d = now > *told ? now - *told : 0;

	*told = now;
	return (json_int_t)d;
}

static json_int_t
add_types(struct sl_drain *d, json_t *list)
{
	json_int_t all = 0;
	unsigned t, i;

	for (t = 0; t < SL_REC_TYPES; t++) {
		uint64_t suppressed = 0, lost = 0;
		json_int_t s, l;

		for (i = 0; i < d->conf.n_rings; i++) {
			struct sl_rec_ring *r = d->conf.ring[i];

			suppressed += atomic_load_explicit(&r->counts.suppressed[t],
							   memory_order_relaxed);
			lost += atomic_load_explicit(&r->overwritten[t], memory_order_relaxed);
		}
		s = since(&d->told_suppressed[t], suppressed);
		l = since(&d->told_lost[t], lost);
		if (s > 0 || l > 0)
			json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "type",
							      sl_rec_type_text(t), "suppressed", s,
							      "lost", l));
		all += s + l;
	}
	return all;
}

static json_int_t
add_sinks(struct sl_drain *d, json_t *list)
{
	json_int_t all = 0, n;
	unsigned i, why;

	for (i = 0; i < d->n_sinks; i++) {
		struct sl_queue_counts c;
		uint64_t dropped = 0;

		sl_queue_counts(&d->sink[i]->q, &c);
		for (why = 0; why < SL_DROPPED_MAX; why++)
			dropped += c.dropped[why];
		n = since(&d->told_dropped[i], dropped);
		if (n > 0)
			json_array_append_new(list, json_pack("{s:s, s:I}", "name",
							      d->sink[i]->conf.name, "dropped", n));
		all += n;
	}
	return all;
}

void
drain_summary(struct sl_drain *d, uint64_t now_ns)
{
	json_t *types = json_array(), *sinks = json_array();
	json_int_t all = add_types(d, types) + add_sinks(d, sinks), events, failed;
	json_int_t ms = (json_int_t)((now_ns - d->last_summary_ns) / SL_NS_PER_MS);

	d->last_summary_ns = now_ns;
	pthread_mutex_lock(&d->lock);
	events = since(&d->told_events_lost, d->events_lost);
	failed = since(&d->told_failed, d->failed);
	pthread_mutex_unlock(&d->lock);
	if (all + events + failed == 0) {
		json_decref(types);
		json_decref(sinks);
		return;
	}
	own_record(d, "audit-summary",
		   json_pack("{s:{s:s, s:I, s:o, s:o, s:I, s:I}}", "sluice", "event_type",
			     "AuditSummary", "interval_ms", ms, "types", types, "sinks", sinks,
			     "events_lost", events, "unformatted", failed));
}
