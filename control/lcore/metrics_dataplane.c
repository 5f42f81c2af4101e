/* SPDX-License-Identifier: BSD-3-Clause */
/* How long packets stay, how full what they go through is, and the tables of flows. */
#include <rte_mempool.h>

#include "metrics_int.h"
#include "rpc_int.h"
#include "sl_prom.h"

/* --- time in the gateway ---------------------------------------------------------------------- */

/* Two bounds a power of two, from 1 us to 17 ms: below lies nothing, above nothing that is well. A
 * value of just a bound, to the nanosecond, counts above it. */
#define FIRST_NS 1024
#define OCTAVES 14

static void
latency_of(FILE *f, const char *worker, const struct sl_stats_snap *s)
{
	static const char bucket[] = "sluice_forward_latency_seconds_bucket";
	uint64_t all = sl_hist_count(&s->latency);
	char le[24];

	for (unsigned i = 0; i <= 2 * OCTAVES; i++) {
		uint64_t ns = (uint64_t)FIRST_NS << i / 2;

		ns += i % 2 ? ns / 2 : 0;
		snprintf(le, sizeof(le), "%.9g", (double)ns / 1e9);
		sl_prom_uint(f, bucket, sl_hist_below(&s->latency, ns), "worker", worker, "le", le,
			     NULL);
	}
	sl_prom_uint(f, bucket, all, "worker", worker, "le", "+Inf", NULL);
	sl_prom_real(f, "sluice_forward_latency_seconds_sum", (double)s->lcore.latency_sum_ns / 1e9,
		     "worker", worker, NULL);
	sl_prom_uint(f, "sluice_forward_latency_seconds_count", all, "worker", worker, NULL);
}

static void
latency(FILE *f, const struct sl_ctl *ctl, const struct ctl_point *now)
{
	char worker[12];

	sl_prom_head(f, "sluice_forward_latency_seconds", "histogram",
		     "time of packets in a data lcore, from the take of their burst to its end");
	for (unsigned i = 0; i < ctl->dp->n_lcores; i++) {
		snprintf(worker, sizeof(worker), "%u", i);
		latency_of(f, worker, &now->lcore[i]);
	}
}

static void
stage_latency(FILE *f, const struct sl_stats_snap *sum)
{
	static const char name[] = "sluice_stage_latency_seconds";

	sl_prom_head(
		f, name, "summary",
		"the same of the packets that went through a stage; a packet may count in two");
	for (unsigned i = 0; i < SL_STATS_STAGES; i++) {
		const struct sl_stats_stage_counts *c = &sum->stage[i];
		const char *stage = sl_stats_stage_text(i);

		sl_prom_real(f, "sluice_stage_latency_seconds_sum", (double)c->latency_sum_ns / 1e9,
			     "stage", stage, NULL);
		sl_prom_uint(f, "sluice_stage_latency_seconds_count", c->latency_count, "stage",
			     stage, NULL);
	}
}

/* --- flows ------------------------------------------------------------------------------------ */

static void
flow_family(FILE *f, const struct sl_ctl *ctl, const struct ctl_point *now, unsigned which)
{
	static const struct {
		const char *name, *type, *help;
	} family[] = {
		{"sluice_flow_table_in_use", "gauge", "flows that a worker knows"},
		{"sluice_flow_table_size", "gauge", "flows that it has room for"},
		{"sluice_flow_table_full_packets_total", "counter",
		 "packets judged one by one, for the table had no room for their flow"},
	};
	char worker[12];

	sl_prom_head(f, family[which].name, family[which].type, family[which].help);
	for (unsigned i = 0; i < ctl->dp->n_workers; i++) {
		const struct sl_flow_table *t = ctl->dp->worker[i]->flows;
		const uint64_t v[] = {sl_flow_count(t), sl_flow_max(t),
				      now->lcore[i].lcore.flow_full};

		snprintf(worker, sizeof(worker), "%u", i);
		sl_prom_uint(f, family[which].name, v[which], "worker", worker, NULL);
	}
}

static void
flows(FILE *f, const struct sl_ctl *ctl, const struct ctl_point *now)
{
	for (unsigned i = 0; i < 3; i++)
		flow_family(f, ctl, now, i);
}

/* --- rings and pools -------------------------------------------------------------------------- */

static double
used(const struct rte_ring *r)
{
	return r != NULL ? (double)rte_ring_count(r) / (double)rte_ring_get_capacity(r) : 0;
}

/** The fullest of some. */
static double
fullest(struct rte_ring *const r[], unsigned n)
{
	double most = 0;

	for (unsigned i = 0; i < n; i++)
		most = SL_MAX(most, used(r[i]));
	return most;
}

static void
rings(FILE *f, const struct sl_ctl *ctl)
{
	static const char name[] = "sluice_ring_used_ratio";
	char worker[12];

	sl_prom_head(f, name, "gauge",
		     "how full a ring of a data lcore is; the fullest where it has several");
	for (unsigned i = 0; i < ctl->dp->n_lcores; i++) {
		const struct sl_worker *w = ctl->dp->worker[i];
		const struct {
			const char *ring;
			double v;
		} all[] = {
			{"steer", fullest(w->steer_in, ctl->dp->n_lcores)},
			{"flows", fullest(w->flow_in, ctl->dp->n_lcores)},
			{"transmit", fullest(w->tx_in, ctl->dp->n_lcores)},
			{"inject", fullest(w->inject, SL_ARRAY_SIZE(w->inject))},
			{"handshake", fullest(w->hs_lane, SL_ARRAY_SIZE(w->hs_lane))},
			{"from_hs", used(w->from_hs != NULL ? w->from_hs->ring : NULL)},
			{"to_hs", used(w->to_hs != NULL ? w->to_hs->ring : NULL)},
			{"to_control", used(w->to_ctl != NULL ? w->to_ctl->ring : NULL)},
		};

		snprintf(worker, sizeof(worker), "%u", i);
		for (unsigned k = 0; k < SL_ARRAY_SIZE(all); k++)
			sl_prom_real(f, name, all[k].v, "worker", worker, "ring", all[k].ring,
				     NULL);
	}
}

static void
pools(FILE *f, const struct rte_mempool *packets)
{
	unsigned idle = rte_mempool_avail_count(packets);

	sl_prom_head(f, "sluice_mempool_in_use", "gauge",
		     "buffers that are out, those that wait in receive queues too");
	sl_prom_uint(f, "sluice_mempool_in_use", packets->size - SL_MIN(idle, packets->size),
		     "pool", "packets", NULL);
	sl_prom_head(f, "sluice_mempool_size", "gauge", "buffers of the pool");
	sl_prom_uint(f, "sluice_mempool_size", packets->size, "pool", "packets", NULL);
}

void
metrics_dataplane(FILE *f, const struct sl_ctl *ctl, const struct ctl_point *now,
		  const struct sl_stats_snap *sum)
{
	latency(f, ctl, now);
	stage_latency(f, sum);
	flows(f, ctl, now);
	sl_prom_single(f, "sluice_mss_clamped_total", "counter",
		       "TCP SYNs whose MSS was lowered to what fits the tunnel",
		       sum->lcore.mss_clamped);
	rings(f, ctl);
	pools(f, ctl->dp->pool);
}
