/* SPDX-License-Identifier: BSD-3-Clause */
/* Points in time for rates. */
#include <stdlib.h>

#include "rpc_int.h"

#define SPAN_MIN_NS (SL_NS_PER_S / 2)

struct ctl_rates {
	uint64_t start_ns;
	struct ctl_point old, last, now;
};

int
ctl_rates_init(struct sl_ctl *ctl)
{
	struct ctl_rates *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->start_ns = ctl->mono_ns(ctl->clock_ctx);
	r->old.mono_ns = r->last.mono_ns = r->start_ns;
	free(ctl->rates);
	ctl->rates = r;
	return 0;
}

uint64_t
ctl_uptime_ns(struct sl_ctl *ctl)
{
	const struct ctl_rates *r = ctl->rates;

	return ctl->mono_ns(ctl->clock_ctx) - r->start_ns;
}

static void
count_port(void *ctx, const struct sl_gw_port_view *v)
{
	struct ctl_point *p = ctx;

	if (v->number < SL_PORT_MAX)
		sl_port_stats(v->port, &p->port[v->number]);
}

static void
count(struct sl_ctl *ctl, struct ctl_point *p)
{
	const struct sl_hs_stats *hs = ctl->hs ? sl_hs_stats(ctl->hs) : NULL;

	p->mono_ns = ctl->mono_ns(ctl->clock_ctx);
	for (unsigned i = 0; i < ctl->dp->n_lcores; i++) {
		sl_stats_read(ctl->dp->worker[i]->stats, &p->lcore[i]);
		p->lcore[i].time_ns = p->mono_ns;
	}
	for (unsigned i = 0; hs && i < SL_DROP_MAX; i++)
		p->hs_drops[i] = atomic_load_explicit(&hs->drops[i], memory_order_relaxed);
	if (hs) {
		p->hs_busy = atomic_load_explicit(&hs->busy_cycles, memory_order_relaxed);
		p->hs_total = atomic_load_explicit(&hs->total_cycles, memory_order_relaxed);
	}
	sl_gw_port_walk(ctl->gw, count_port, p);
}

int
ctl_rates(struct sl_ctl *ctl, struct ctl_span *out, struct sl_error *e)
{
	struct ctl_rates *r = ctl->rates;
	uint64_t ns;

	if (!r)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for statistics");
	count(ctl, &r->now);
	if (r->now.mono_ns - r->last.mono_ns >= SPAN_MIN_NS) {
		r->old = r->last;
		r->last = r->now;
	}
	ns = r->now.mono_ns - r->old.mono_ns;
	*out = (struct ctl_span){.before = &r->old,
				 .now = &r->now,
				 .seconds = (double)SL_MAX(ns, SL_NS_PER_MS) / 1e9};
	return 0;
}

void
ctl_point_sum(const struct sl_ctl *ctl, const struct ctl_point *p, struct sl_stats_snap *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < ctl->dp->n_lcores; i++)
		sl_stats_sum(out, &p->lcore[i]);
	for (unsigned i = 0; i < SL_DROP_MAX; i++)
		out->drops[i] += p->hs_drops[i];
	out->time_ns = p->mono_ns;
}

int64_t
ctl_rate(uint64_t before, uint64_t now, double seconds)
{
	return now > before ? (int64_t)((double)(now - before) / seconds + 0.5) : 0;
}
