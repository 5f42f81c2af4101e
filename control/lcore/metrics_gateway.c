/* SPDX-License-Identifier: BSD-3-Clause */
/* The program, ports, lcores, handshakes, packets: what stats.get, port.stats and sys.lcores tell.
 */
#include <rte_version.h>

#include "metrics_int.h"
#include "rpc_int.h"
#include "sl_prom.h"

static void
build(FILE *f, struct sl_ctl *ctl)
{
	sl_prom_head(f, "sluice_build_info", "gauge", "version of the program");
	sl_prom_uint(f, "sluice_build_info", 1, "program", "sluiced", "version", SL_VERSION,
		     "commit", sl_prom_commit, "dpdk", rte_version(), NULL);
	sl_prom_single(f, "sluice_uptime_seconds", "gauge", "since the start",
		       ctl_uptime_ns(ctl) / SL_NS_PER_S);
	if (ctl->turns == NULL)
		return;
	sl_prom_head(f, "sluice_loop_turn_seconds", "histogram",
		     "processor time of a turn of control's event loop");
	sl_prom_times(f, "sluice_loop_turn_seconds", &ctl->turns->times, NULL, NULL);
	sl_prom_head(f, "sluice_loop_turn_longest_seconds", "gauge", "the longest one so far");
	sl_prom_real(f, "sluice_loop_turn_longest_seconds", (double)ctl->turns->longest_ns / 1e9,
		     NULL);
}

/* --- ports ------------------------------------------------------------------------------------ */

struct port_family {
	FILE *f;
	const struct ctl_point *now;
	const char *name, *direction, *reason; /* direction NULL: no more labels */
	size_t at;			       /* in struct sl_port_stats */
};

static void
each_port(void *ctx, const struct sl_gw_port_view *v)
{
	const struct port_family *x = ctx;
	const char *s = (const char *)&x->now->port[v->number];
	uint64_t n;

	memcpy(&n, s + x->at, sizeof(n));
	if (x->direction == NULL)
		sl_prom_uint(x->f, x->name, n, "port", v->port->name, NULL);
	else
		sl_prom_uint(x->f, x->name, n, "port", v->port->name, "direction", x->direction,
			     "reason", x->reason, NULL);
}

#define AT(field) offsetof(struct sl_port_stats, field)

static void
ports(FILE *f, struct sl_ctl *ctl, const struct ctl_point *now)
{
	static const struct {
		const char *name, *help;
		size_t at;
	} traffic[] = {
		{"sluice_port_rx_packets_total", "packets received", AT(rx_packets)},
		{"sluice_port_rx_bytes_total", "bytes received", AT(rx_bytes)},
		{"sluice_port_tx_packets_total", "packets sent", AT(tx_packets)},
		{"sluice_port_tx_bytes_total", "bytes sent", AT(tx_bytes)},
	};
	static const char dropped[] = "sluice_port_dropped_packets_total";
	const struct port_family drops[] = {
		{f, now, dropped, "rx", "queue_full", AT(rx_missed)},
		{f, now, dropped, "rx", "error", AT(rx_errors)},
		{f, now, dropped, "rx", "no_buffer", AT(rx_nombuf)},
		{f, now, dropped, "tx", "error", AT(tx_errors)},
	};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(traffic); i++) {
		struct port_family x = {f, now, traffic[i].name, NULL, NULL, traffic[i].at};

		sl_prom_head(f, x.name, "counter", traffic[i].help);
		sl_gw_port_walk(ctl->gw, each_port, &x);
	}
	sl_prom_head(f, dropped, "counter", "packets that the port lost");
	for (unsigned i = 0; i < SL_ARRAY_SIZE(drops); i++)
		sl_gw_port_walk(ctl->gw, each_port, (void *)(uintptr_t)&drops[i]);
}

/* --- lcores ----------------------------------------------------------------------------------- */

static bool
cycles_of(const struct sl_ctl *ctl, const struct sl_plan_lcore *l, const struct ctl_point *p,
	  uint64_t *busy, uint64_t *total)
{
	unsigned n = l->index + (l->role == SL_PLAN_ROLE_IO ? ctl->plan->n_workers : 0);

	if (l->role == SL_PLAN_ROLE_HS) {
		*busy = p->hs_busy;
		*total = p->hs_total;
		return true;
	}
	if (l->role == SL_PLAN_ROLE_CONTROL || n >= ctl->dp->n_lcores)
		return false;
	*busy = p->lcore[n].lcore.busy_cycles;
	*total = p->lcore[n].lcore.total_cycles;
	return true;
}

static void
lcores(FILE *f, const struct sl_ctl *ctl, const struct ctl_span *span)
{
	static const char name[] = "sluice_lcore_busy_ratio";
	uint64_t busy[2], total[2];
	char number[12];

	sl_prom_head(f, name, "gauge", "time with work of the last half second or more");
	for (unsigned i = 0; ctl->plan != NULL && i < ctl->plan->n_lcores; i++) {
		const struct sl_plan_lcore *l = &ctl->plan->lcores[i];

		if (!cycles_of(ctl, l, span->before, &busy[0], &total[0]) ||
		    !cycles_of(ctl, l, span->now, &busy[1], &total[1]))
			continue;
		snprintf(number, sizeof(number), "%u", l->id);
		total[1] -= total[0];
		busy[1] = SL_MIN(busy[1] - busy[0], total[1]);
		sl_prom_real(f, name, total[1] > 0 ? (double)busy[1] / (double)total[1] : 0,
			     "lcore", number, "role", sl_plan_role_text(l->role), NULL);
	}
}

/* --- packets ---------------------------------------------------------------------------------- */

static void
drops(FILE *f, const struct sl_stats_snap *s)
{
	static const char name[] = "sluice_dropped_packets_total";

	sl_prom_head(f, name, "counter",
		     "packets that ended in the gateway, by reason; local_consumed is no loss");
	for (unsigned i = 1; i < SL_DROP_MAX; i++)
		sl_prom_uint(f, name, s->drops[i], "reason", sl_drop_text(i), NULL);
}

static void
stages(FILE *f, const struct sl_stats_snap *s)
{
	static const char opened[] = "sluice_wg_decrypt_packets_total";
	static const char sealed[] = "sluice_wg_encrypt_packets_total";
	static const char judged[] = "sluice_authz_judged_packets_total";
	uint64_t ok = 0, bad = 0;

	for (unsigned i = 0; i < SL_STATS_STAGES; i++) {
		ok += s->stage[i].decrypt_success;
		bad += s->stage[i].decrypt_failure;
	}
	sl_prom_head(f, opened, "counter", "data messages of peers that were opened");
	sl_prom_uint(f, opened, ok, "result", "ok", NULL);
	sl_prom_uint(f, opened, bad, "result", "auth_fail", NULL);
	sl_prom_head(f, sealed, "counter", "packets that were sealed for a peer");
	sl_prom_uint(f, sealed, s->stage[SL_STATS_PRE_ENCRYPT].passed, "result", "ok", NULL);
	sl_prom_head(f, judged, "counter",
		     "packets that policy judged: from the table of flows, or by its rules");
	for (unsigned i = 0; i < SL_STATS_STAGES; i++) {
		const char *stage = sl_stats_stage_text(i);

		sl_prom_uint(f, judged, s->stage[i].policy_hits, "stage", stage, "by", "flow",
			     NULL);
		sl_prom_uint(f, judged, s->stage[i].policy_misses, "stage", stage, "by", "rules",
			     NULL);
	}
}

#define HS(field) atomic_load_explicit(&hs->field, memory_order_relaxed)

static void
handshakes(FILE *f, const struct sl_hs_stats *hs)
{
	static const char name[] = "sluice_wg_handshakes_total";
	static const char sessions[] = "sluice_wg_sessions_total";
	const struct {
		const char *direction, *type;
		uint64_t n;
	} messages[] = {
		{"rx", "initiation", HS(initiations_rx)}, {"rx", "response", HS(responses_rx)},
		{"rx", "cookie", HS(cookies_rx)},	  {"tx", "initiation", HS(initiations_tx)},
		{"tx", "response", HS(responses_tx)},	  {"tx", "cookie", HS(cookies_tx)},
	};

	sl_prom_head(f, name, "counter",
		     "handshake messages; those that were refused are dropped packets, hs_*");
	for (unsigned i = 0; i < SL_ARRAY_SIZE(messages); i++)
		sl_prom_uint(f, name, messages[i].n, "direction", messages[i].direction, "type",
			     messages[i].type, NULL);
	sl_prom_head(f, sessions, "counter", "handshakes that ended with new keys");
	sl_prom_uint(f, sessions, HS(sessions_initiator), "role", "initiator", NULL);
	sl_prom_uint(f, sessions, HS(sessions_responder), "role", "responder", NULL);
	sl_prom_single(f, "sluice_wg_under_load_seconds_total", "counter",
		       "time in which handshakes needed cookies", HS(under_load));
}

int
metrics_gateway(FILE *f, struct sl_ctl *ctl)
{
	static struct sl_stats_snap sum; /* too large for the stack */
	struct sl_error e = {0};
	struct ctl_span span;
	int rc = ctl_rates(ctl, &span, &e);

	if (rc)
		return rc;
	ctl_point_sum(ctl, span.now, &sum);
	build(f, ctl);
	ports(f, ctl, span.now);
	lcores(f, ctl, &span);
	metrics_dataplane(f, ctl, span.now, &sum);
	drops(f, &sum);
	stages(f, &sum);
	if (ctl->hs != NULL)
		handshakes(f, sl_hs_stats(ctl->hs));
	return 0;
}
