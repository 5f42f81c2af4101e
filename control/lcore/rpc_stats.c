/* SPDX-License-Identifier: BSD-3-Clause */
/* stats.get, drops.get. */
#include "rpc_int.h"

static int64_t
whole(double v)
{
	return v > 0 ? (int64_t)(v + 0.5) : 0;
}

static double
us(uint64_t ns)
{
	return (double)ns / 1e3;
}

static json_t *
stages(const struct sl_stats_snap *s, const struct sl_stats_rates *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < SL_STATS_STAGES; i++) {
		const struct sl_stats_stage_counts *c = &s->stage[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
						"stage", sl_stats_stage_text(i), "total",
						(json_int_t)c->total, "passed",
						(json_int_t)c->passed, "dropped",
						(json_int_t)c->dropped, "policy_hits",
						(json_int_t)c->policy_hits, "policy_misses",
						(json_int_t)c->policy_misses, "decrypt_success",
						(json_int_t)c->decrypt_success, "decrypt_failure",
						(json_int_t)c->decrypt_failure, "pps",
						(json_int_t)whole(r->stage_pps[i])));
	}
	return list;
}

static json_t *
traffic(uint64_t packets, uint64_t bytes, double pps, double bps)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "packets", (json_int_t)packets, "bytes",
			 (json_int_t)bytes, "pps", (json_int_t)whole(pps), "bps",
			 (json_int_t)whole(bps));
}

#define HS(name) #name, (json_int_t)atomic_load_explicit(&hs->name, memory_order_relaxed)

static json_t *
handshakes(const struct sl_hs_stats *hs)
{
	static const struct sl_hs_stats none;

	if (!hs)
		hs = &none;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", HS(initiations_rx),
			 HS(responses_rx), HS(cookies_rx), HS(initiations_tx), HS(responses_tx),
			 HS(cookies_tx), HS(sessions_initiator), HS(sessions_responder),
			 "under_load_s",
			 (json_int_t)atomic_load_explicit(&hs->under_load, memory_order_relaxed));
}

/** Dropped packets, without those that ended as they should. */
static uint64_t
dropped(const struct sl_stats_snap *s)
{
	uint64_t n = 0;

	for (unsigned i = 1; i < SL_DROP_MAX; i++)
		if (i != SL_DROP_LOCAL_CONSUMED)
			n += s->drops[i];
	return n;
}

int
sl_rpc_h_stats_get(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
		   struct sl_error *e)
{
	static struct sl_stats_snap before, now; /* too large for the stack */
	struct sl_ctl *ctl = user;
	struct sl_stats_rates r;
	struct ctl_span span;
	int rc = ctl_rates(ctl, &span, e);

	(void)caller;
	(void)p;
	if (rc)
		return rc;
	ctl_point_sum(ctl, span.before, &before);
	ctl_point_sum(ctl, span.now, &now);
	sl_stats_rates(&before, &now, &r);
	return ctl_answer(
		result,
		json_pack("{s:I, s:o, s:{s:f, s:f, s:f, s:f}, s:o, s:o, s:{s:I, s:I}, s:o}",
			  "interval_ms", (json_int_t)(span.seconds * 1e3), "stages",
			  stages(&now, &r), "latency_us", "avg", us(r.latency.avg_ns), "p50",
			  us(r.latency.p50_ns), "p95", us(r.latency.p95_ns), "p99",
			  us(r.latency.p99_ns), "rx",
			  traffic(now.lcore.rx_packets, now.lcore.rx_bytes, r.rx_pps, r.rx_bps),
			  "tx",
			  traffic(now.lcore.tx_packets, now.lcore.tx_bytes, r.tx_pps, r.tx_bps),
			  "dropped", "packets", (json_int_t)dropped(&now), "pps",
			  (json_int_t)whole(r.drop_pps), "handshakes",
			  handshakes(ctl->hs ? sl_hs_stats(ctl->hs) : NULL)));
}

int
sl_rpc_h_drops_get(void *user, const struct sl_rpc_caller *caller, const struct sl_rpc_drops_get *p,
		   json_t **result, struct sl_error *e)
{
	static struct sl_stats_snap before, now;
	json_t *list = json_array();
	struct sl_ctl *ctl = user;
	struct ctl_span span;
	int rc = ctl_rates(ctl, &span, e);

	(void)caller;
	if (rc) {
		json_decref(list);
		return rc;
	}
	ctl_point_sum(ctl, span.before, &before);
	ctl_point_sum(ctl, span.now, &now);
	for (unsigned i = 1; i < SL_DROP_MAX; i++) {
		if (!now.drops[i] && !p->all)
			continue;
		json_array_append_new(list,
				      json_pack("{s:s, s:I, s:I, s:s}", "reason", sl_drop_text(i),
						"packets", (json_int_t)now.drops[i], "pps",
						(json_int_t)ctl_rate(before.drops[i], now.drops[i],
								     span.seconds),
						"why", sl_drop_why(i)));
	}
	return ctl_answer(result, json_pack("{s:o, s:I, s:I}", "drops", list, "total",
					    (json_int_t)dropped(&now), "interval_ms",
					    (json_int_t)(span.seconds * 1e3)));
}
