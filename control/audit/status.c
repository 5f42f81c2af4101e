/* SPDX-License-Identifier: BSD-3-Clause */
/* What the drain tells of itself, and its last records. */
#include "drain_int.h"

static json_int_t
count(const _Atomic uint64_t *w)
{
	return (json_int_t)atomic_load_explicit(w, memory_order_relaxed);
}

/* What was taken and what waits is measured at the ring's own ends, before what was recorded is
 * read: so the sum is never above it, and equal when nothing moves. */
static json_t *
type_json(struct sl_rec_ring *r, const struct sl_rec_look *at, unsigned t)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "type", sl_rec_type_text(t),
			 "seen", count(&r->counts.seen[t]), "recorded",
			 count(&r->counts.recorded[t]), "suppressed",
			 count(&r->counts.suppressed[t]), "not_selected",
			 count(&r->counts.not_selected[t]), "taken", (json_int_t)at->taken[t],
			 "overwritten", (json_int_t)at->overwritten[t], "in_ring",
			 (json_int_t)at->in_ring[t]);
}

static json_t *
ring_json(struct sl_rec_ring *r, unsigned lcore, const char *role)
{
	json_t *types = json_array();
	struct sl_rec_look at;
	unsigned t;

	sl_rec_look(r, &at);
	for (t = 0; t < SL_REC_TYPES; t++)
		json_array_append_new(types, type_json(r, &at, t));
	return json_pack("{s:i, s:s, s:I, s:f, s:o}", "lcore", (int)lcore, "role", role, "slots",
			 (json_int_t)r->mask + 1, "used_pct",
			 (double)(sl_rec_used_ppm(r) / 1000) / 10, "types", types);
}

json_t *
sl_drain_status(struct sl_drain *d)
{
	json_t *rings = json_array(), *sinks = json_array(), *o;
	unsigned i;

	for (i = 0; i < d->conf.n_rings; i++)
		json_array_append_new(rings, ring_json(d->conf.ring[i], i,
						       d->conf.hs_ring && i == d->conf.n_rings - 1
							       ? "hs"
							       : "worker"));
	for (i = 0; i < d->n_sinks; i++)
		json_array_append_new(sinks, sl_sink_status(d->sink[i]));
	pthread_mutex_lock(&d->lock);
	o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "records", (json_int_t)d->records,
		      "events", (json_int_t)d->events, "own", (json_int_t)d->own, "pending",
		      (json_int_t)d->n_pending, "events_lost", (json_int_t)d->events_lost,
		      "unformatted", (json_int_t)d->failed, "lcores", rings, "sinks", sinks);
	pthread_mutex_unlock(&d->lock);
	if (o != NULL && d->env.seal_key != NULL)
		json_object_set_new(o, "seal_key", json_string(d->env.seal_key->text));
	return o;
}

const char *
sl_drain_drop_reason(unsigned i)
{
	return i < SL_DROPPED_MAX ? sl_dropped_text(i) : NULL;
}

const char *
sl_drain_pushes(struct sl_drain *d, unsigned sink, struct sl_prom_times *out)
{
	if (sink >= d->n_sinks)
		return NULL;
	sl_queue_pushes(&d->sink[sink]->q, out);
	return d->sink[sink]->conf.name;
}

json_t *
sl_drain_recent(struct sl_drain *d, unsigned limit, const char *action)
{
	static const size_t max = SL_DRAIN_RECENT;
	struct sl_line *l[SL_DRAIN_RECENT];
	unsigned n = 0, want = (unsigned)SL_MIN((size_t)limit, max);
	json_t *list = json_array();
	uint64_t at;

	pthread_mutex_lock(&d->lock);
	for (at = d->n_recent; at > 0 && d->n_recent - at < max && n < want; at--) {
		struct sl_line *x = d->recent[(at - 1) % SL_DRAIN_RECENT];

		if (action == NULL || strncmp(x->action, action, strlen(action)) == 0)
			l[n++] = sl_line_ref(x);
	}
	pthread_mutex_unlock(&d->lock);
	while (n-- > 0) {
		json_array_append_new(list, json_loadb(l[n]->text, l[n]->len, 0, NULL));
		sl_line_unref(l[n]);
	}
	return list;
}
