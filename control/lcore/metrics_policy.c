/* SPDX-License-Identifier: BSD-3-Clause */
/* Decisions, modes, the policy, records, evidence, the control plane. */
#include "metrics_int.h"
#include "rpc_int.h"
#include "sl_cp.h"
#include "sl_gw_policy.h"
#include "sl_prom.h"

/* --- records and what they tell of decisions ----------------------------------------------------
 */

static uint64_t
number(const json_t *o, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(o, name));
}

static const char *
text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "";
}

/** A counter of one type of records over all data lcores. */
static uint64_t
records(const json_t *status, unsigned type, const char *counter)
{
	const json_t *ring;
	uint64_t n = 0;
	size_t i;

	json_array_foreach (json_object_get(status, "lcores"), i, ring)
		n += number(json_array_get(json_object_get(ring, "types"), type), counter);
	return n;
}

static void
decisions(FILE *f, struct sl_ctl *ctl, const json_t *status)
{
	static const enum sl_drop reasons[] = {SL_DROP_NO_ROLE, SL_DROP_DENIED, SL_DROP_MAP_ERROR,
					       SL_DROP_TARGET_WITHDRAWN, SL_DROP_LOG_LOST};
	static const char name[] = "sluice_authz_denied_packets_total";

	sl_prom_head(f, name, "counter",
		     "packets that policy denies: dropped, or forwarded where it is only observed");
	for (unsigned i = 0; i < SL_ARRAY_SIZE(reasons); i++) {
		uint64_t n = 0;

		for (unsigned k = 0; k < ctl->dp->n_lcores; k++)
			n += __atomic_load_n(&ctl->dp->worker[k]->stats->drops[reasons[i]],
					     __ATOMIC_RELAXED);
		sl_prom_uint(f, name, n, "mode", "enforce", "verdict", "deny", "reason",
			     sl_drop_text(reasons[i]), NULL);
	}
	if (status == NULL)
		return;
	sl_prom_uint(f, name, records(status, SL_REC_WOULD_DENY, "seen"), "mode", "observe",
		     "verdict", "allow", "reason", "any", NULL);
	sl_prom_single(f, "sluice_authz_allowed_flows_total", "counter",
		       "flows that policy allowed as they began",
		       records(status, SL_REC_ALLOW, "seen"));
}

static void
rings(FILE *f, const json_t *status)
{
	static const char *const fates[] = {"recorded", "suppressed", "not_selected",
					    "overwritten"};
	const json_t *ring;
	char lcore[24];
	size_t i;

	sl_prom_head(f, "sluice_log_records_total", "counter",
		     "records of decisions: written to a ring; held back by a limit; not wanted; "
		     "overwritten before they were taken");
	for (unsigned t = 0; t < SL_REC_TYPES; t++)
		for (unsigned k = 0; k < SL_ARRAY_SIZE(fates); k++)
			sl_prom_uint(f, "sluice_log_records_total", records(status, t, fates[k]),
				     "type", sl_rec_type_text(t), "fate", fates[k], NULL);
	sl_prom_head(f, "sluice_log_ring_used_ratio", "gauge", "how full the ring of an lcore is");
	json_array_foreach (json_object_get(status, "lcores"), i, ring) {
		snprintf(lcore, sizeof(lcore), "%llu", (unsigned long long)number(ring, "lcore"));
		if (strcmp(text(ring, "role"), "hs") == 0)
			snprintf(lcore, sizeof(lcore), "hs");
		sl_prom_real(f, "sluice_log_ring_used_ratio",
			     json_real_value(json_object_get(ring, "used_pct")) / 100, "worker",
			     lcore, NULL);
	}
}

/** Of all reasons, those of which there was none too. */
static void
sink_drops(FILE *f, const json_t *sink)
{
	const json_t *drops = json_object_get(sink, "drops"), *d;
	const char *reason;
	size_t k;

	for (unsigned i = 0; (reason = sl_drain_drop_reason(i)) != NULL; i++) {
		uint64_t n = 0;

		json_array_foreach (drops, k, d)
			n += strcmp(text(d, "reason"), reason) == 0 ? number(d, "records") : 0;
		sl_prom_uint(f, "sluice_log_dropped_events_total", n, "sink", text(sink, "name"),
			     "reason", reason, NULL);
	}
}

static void
pushes(FILE *f, struct sl_drain *d)
{
	struct sl_prom_times t;
	const char *name;

	sl_prom_head(f, "sluice_log_push_seconds", "histogram",
		     "time of a delivery to the sink, with what was tried again");
	for (unsigned i = 0; (name = sl_drain_pushes(d, i, &t)) != NULL; i++)
		sl_prom_times(f, "sluice_log_push_seconds", &t, "sink", name);
}

static void
sinks(FILE *f, struct sl_drain *drain, const json_t *status)
{
	static const struct {
		const char *name, *help, *of;
	} counters[] = {
		{"sluice_log_events_total", "events for the sink", "drained"},
		{"sluice_log_acked_events_total", "events that the sink has taken", "acked"},
		{"sluice_log_errors_total", "errors of the sink", "errors"},
	};
	const json_t *list = json_object_get(status, "sinks"), *s;
	size_t k;

	if (json_array_size(list) == 0)
		return;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(counters); i++) {
		sl_prom_head(f, counters[i].name, "counter", counters[i].help);
		json_array_foreach (list, k, s)
			sl_prom_uint(f, counters[i].name, number(s, counters[i].of), "sink",
				     text(s, "name"), NULL);
	}
	sl_prom_head(f, "sluice_log_dropped_events_total", "counter", "events that the sink lost");
	json_array_foreach (list, k, s)
		sink_drops(f, s);
	pushes(f, drain);
	sl_prom_head(f, "sluice_log_queue_used_ratio", "gauge",
		     "how full the queue of the sink is");
	json_array_foreach (list, k, s)
		sl_prom_real(f, "sluice_log_queue_used_ratio",
			     (double)number(s, "queued") /
				     (double)SL_MAX(number(s, "queue_max"), 1U),
			     "sink", text(s, "name"), NULL);
}

/* --- modes and policy ---------------------------------------------------------------------------
 */

static void
modes(FILE *f, struct sl_ctl *ctl)
{
	struct sl_gw_mode m;
	uint64_t n[2] = {0};

	sl_gw_mode_get(ctl->gw, &m);
	for (unsigned i = 0; i < m.n_prefixes; i++)
		n[m.prefixes[i].mode == SL_MODE_ENFORCE]++;
	sl_prom_head(f, "sluice_authz_mode", "gauge", "1: the mode of what has none of its own");
	sl_prom_uint(f, "sluice_authz_mode", m.deflt == SL_MODE_OBSERVE, "target", "default",
		     "mode", "observe", NULL);
	sl_prom_uint(f, "sluice_authz_mode", m.deflt == SL_MODE_ENFORCE, "target", "default",
		     "mode", "enforce", NULL);
	sl_prom_head(f, "sluice_authz_mode_prefixes", "gauge", "prefixes that have their own mode");
	sl_prom_uint(f, "sluice_authz_mode_prefixes", n[0], "mode", "observe", NULL);
	sl_prom_uint(f, "sluice_authz_mode_prefixes", n[1], "mode", "enforce", NULL);
	sl_prom_single(f, "sluice_authz_panic", "gauge",
		       "1: the panic switch is on, nothing is enforced", m.panic);
}

static void
required(FILE *f, struct sl_ctl *ctl)
{
	unsigned n;

	sl_gw_log_required(ctl->gw, &n);
	sl_prom_single(f, "sluice_log_required_prefixes", "gauge",
		       "prefixes that are denied while records are not kept", n);
	sl_prom_single(f, "sluice_log_losing", "gauge",
		       "1: records are being lost, or none are kept at all",
		       ctl_log_unkept(ctl) != NULL);
}

static void
refusals(FILE *f, const struct sl_ctl *ctl)
{
	static const char name[] = "sluice_policy_rejected_total";
	const struct sl_gw_refusals *r;

	sl_prom_head(f, name, "counter", "policies that were refused, by the reason of the error");
	for (unsigned i = 0; (r = sl_gw_policy_refusals(ctl->gw, i)) != NULL; i++)
		sl_prom_uint(f, name, r->n, "code", r->reason, NULL);
}

static void
policy(FILE *f, struct sl_ctl *ctl)
{
	struct sl_gw_policy_info i;

	sl_gw_policy_info(ctl->gw, &i);
	sl_prom_single(f, "sluice_policy_loaded", "gauge", "1: a policy is in force", i.loaded);
	sl_prom_single(f, "sluice_policy_version", "gauge", "version that its document names",
		       i.version);
	sl_prom_single(f, "sluice_policy_generation", "gauge", "grows with every policy in force",
		       i.generation);
	sl_prom_head(f, "sluice_policy_apply_seconds", "gauge",
		     "from the order of the policy in force to its service");
	sl_prom_real(f, "sluice_policy_apply_seconds", (double)i.publish_ns / 1e9, NULL);
	sl_prom_single(f, "sluice_policy_refused", "gauge", "1: the last one was refused",
		       i.last_error[0] != '\0');
	refusals(f, ctl);
	sl_prom_single(f, "sluice_policy_tests_failed", "gauge",
		       "1: when its tests were last run, not all held", i.tests_failed[0] != '\0');
	sl_prom_single(f, "sluice_generation", "gauge", "grows with every change of the gateway",
		       sl_gw_generation(ctl->gw));
}

/* --- the control plane --------------------------------------------------------------------------
 */

static void
replication(FILE *f, const struct sl_cp *cp)
{
	struct sl_cp_progress p;

	sl_cp_progress(cp, &p);
	sl_prom_single(f, "sluice_repl_connected", "gauge", "1: it follows a control plane now",
		       p.connected);
	sl_prom_single(f, "sluice_repl_seq", "gauge", "newest transaction that was received",
		       p.seq);
	sl_prom_single(f, "sluice_repl_serving_seq", "gauge", "newest transaction that is served",
		       p.serving_seq);
	sl_prom_single(f, "sluice_repl_head_seq", "gauge", "newest transaction of its scope there",
		       p.head);
	sl_prom_single(f, "sluice_repl_hash_ok", "gauge",
		       "1: its state equals the source's by hash", p.hash_ok);
	sl_prom_single(f, "sluice_repl_last_heartbeat_timestamp_seconds", "gauge",
		       "when a control plane was heard last; before that: the start",
		       p.heard_wall_s);
	sl_prom_single(f, "sluice_repl_blocked_objects", "gauge",
		       "objects that came back after their deletion, and are blocked", p.blocked);
	sl_prom_head(f, "sluice_repl_snapshots_total", "counter",
		     "snapshots that it took, by why they were sent");
	for (unsigned r = 0; r < SL_SNAP_REASONS; r++)
		sl_prom_uint(f, "sluice_repl_snapshots_total", p.snapshots[r], "reason",
			     sl_snap_reason_name(r), NULL);
}

static void
certificate(FILE *f, const char *use, int64_t until_s)
{
	if (until_s > 0)
		sl_prom_uint(f, "sluice_certificate_expiry_timestamp_seconds", (uint64_t)until_s,
			     "use", use, NULL);
}

static void
certificates(FILE *f, const struct sl_ctl *ctl)
{
	int64_t above = ctl->cp != NULL ? sl_cp_certificate_until(ctl->cp) : 0;
	int64_t remote = ctl->remote != NULL ? sl_remote_certificate_until(ctl->remote) : 0;

	if (above == 0 && remote == 0)
		return;
	sl_prom_head(f, "sluice_certificate_expiry_timestamp_seconds", "gauge",
		     "when a certificate of the gateway ends");
	certificate(f, "control_plane", above);
	certificate(f, "remote", remote);
}

/** Who was not even asked for a login. */
static void
handshakes(FILE *f, const struct sl_remote *r)
{
	uint64_t n[SL_TLS_FAILURES];

	sl_remote_tls_failed(r, n);
	sl_prom_head(f, "sluice_remote_tls_failed_total", "counter",
		     "connections to control.tls that ended before their TLS handshake was done");
	for (unsigned i = 0; i < SL_TLS_FAILURES; i++)
		sl_prom_uint(f, "sluice_remote_tls_failed_total", n[i], "reason",
			     sl_tls_failure_name(i), NULL);
}

void
metrics_policy(FILE *f, struct sl_ctl *ctl)
{
	json_t *status = ctl->drain != NULL ? sl_drain_status(ctl->drain) : NULL;

	decisions(f, ctl, status);
	modes(f, ctl);
	required(f, ctl);
	policy(f, ctl);
	if (status != NULL) {
		rings(f, status);
		sinks(f, ctl->drain, status);
	}
	if (ctl->evidence != NULL)
		sl_prom_single(f, "sluice_evidence_rows", "gauge", "flow aggregates that are kept",
			       sl_evidence_rows(ctl->evidence));
	if (ctl->cp != NULL)
		replication(f, ctl->cp);
	certificates(f, ctl);
	if (ctl->remote != NULL)
		handshakes(f, ctl->remote);
	json_decref(status);
}
