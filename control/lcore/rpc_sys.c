/* SPDX-License-Identifier: BSD-3-Clause */
/* rpc.*, sys.* */
#include <rte_mempool.h>
#include <rte_version.h>
#include <stdio.h>

#include "rpc_int.h"
#include "sl_cp.h"
#include "sl_gw_policy.h"
#include "sl_log.h"
#include "sl_metrics.h"
#include "sl_json.h"

int
sl_rpc_h_rpc_hello(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
		   struct sl_error *e)
{
	const struct sl_ctl *ctl = user;

	(void)caller;
	(void)p;
	(void)e;
	return ctl_answer(result,
			  json_pack("{s:s, s:s, s:s, s:s, s:s}", "server", "sluiced", "version",
				    SL_VERSION, "schema", sl_schema_gateway_version, "instance",
				    ctl->config ? ctl->config->instance : "default", "boot_id",
				    ctl->boot_id));
}

int
sl_rpc_h_rpc_methods(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
		     struct sl_error *e)
{
	json_t *list = json_array();

	(void)user;
	(void)caller;
	(void)p;
	(void)e;
	for (unsigned i = 0; i < sl_schema_gateway_n; i++) {
		const struct sl_schema_method *m = &sl_schema_gateway[i];
		json_t *params = json_array();

		for (unsigned j = 0; j < m->n_params; j++)
			json_array_append_new(params, json_string(m->params[j].name));
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b, s:o}", "name", m->name,
						      "summary", m->summary, "role", m->role,
						      "local_only", (int)m->local_only, "params",
						      params));
	}
	return ctl_answer(result, json_pack("{s:o}", "methods", list));
}

int
sl_rpc_h_sys_version(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
		     struct sl_error *e)
{
	const struct sl_ctl *ctl = user;
	const struct sl_aead *aead = ctl->dp->n_lcores ? ctl->dp->worker[0]->aead : NULL;

	(void)caller;
	(void)p;
	(void)e;
	return ctl_answer(result,
			  json_pack("{s:s, s:s, s:s}", "version", SL_VERSION, "dpdk", rte_version(),
				    "aead", aead ? sl_aead_name(aead) : "none"));
}

/* --- health --------------------------------------------------------------------------------- */

struct health {
	struct sl_ctl *ctl;
	json_t *problems;
};

static void
port_problems(void *ctx, const struct sl_gw_port_view *v)
{
	struct health *h = ctx;
	struct sl_port_link link;

	sl_port_link(v->port, &link);
	if (!link.up)
		sl_json_say(h->problems, "port %s has no link", v->port->name);
}

static void
iface_problems(void *ctx, const struct sl_gw_iface_info *i)
{
	struct health *h = ctx;

	if (!i->has_key)
		sl_json_say(h->problems, "interface %s has no private key: no peer can connect",
			    i->name);
	if (!i->inside_port)
		sl_json_say(h->problems, "interface %s has no inside: its peers reach no server",
			    i->name);
}

static void
memory_problems(const struct sl_ctl *ctl, json_t *problems)
{
	unsigned free = ctl->dp->pool ? rte_mempool_avail_count(ctl->dp->pool) : 0;
	struct sl_session_stats s;

	if (!ctl->hugepages)
		sl_json_say(problems, "no hugepages: slower, and keys are in normal locked pages");
	if (ctl->dp->pool && free < ctl->dp->pool->size / 10)
		sl_json_say(problems, "%u of %u packet buffers are free", free,
			    ctl->dp->pool->size);
	if (!ctl->dp->sessions)
		return;
	sl_session_stats(ctl->dp->sessions, &s);
	if (s.arena_locked_bytes < s.arena_bytes)
		sl_json_say(problems, "%llu bytes of the key arena are not locked in memory",
			    (unsigned long long)(s.arena_bytes - s.arena_locked_bytes));
}

static void
policy_problems(const struct sl_ctl *ctl, const struct sl_gw_mode *mode, json_t *problems)
{
	bool enforces = mode->deflt == SL_MODE_ENFORCE;
	struct sl_gw_policy_info i;

	sl_gw_policy_info(ctl->gw, &i);
	for (unsigned k = 0; k < mode->n_prefixes; k++)
		enforces |= mode->prefixes[k].mode == SL_MODE_ENFORCE;
	if (i.broken[0])
		sl_json_say(problems, "%s; load it again: sluicectl policy load FILE", i.broken);
	else if (!i.loaded && enforces)
		sl_json_say(problems, "no policy is loaded: everything that is enforced is denied");
	if (i.last_error[0])
		sl_json_say(problems, "the last policy was refused: %s", i.last_error);
	if (i.tests_failed[0])
		sl_json_say(problems, "not all tests of the policy hold: %s", i.tests_failed);
}

static void
clock_problems(const struct sl_ctl *ctl, json_t *problems)
{
	struct sl_error e = {0};

	if (sl_gw_clock_check(ctl->gw, "", &e) != 0)
		sl_json_say(problems, "%s; %s", e.message, e.hint);
}

static json_t *
problems(struct sl_ctl *ctl)
{
	struct health h = {.ctl = ctl, .problems = json_array()};
	struct sl_gw_mode mode;

	clock_problems(ctl, h.problems);
	memory_problems(ctl, h.problems);
	sl_gw_port_walk(ctl->gw, port_problems, &h);
	sl_gw_iface_walk(ctl->gw, iface_problems, &h);
	for (unsigned i = 0; ctl->plan && i < ctl->plan->n_warnings; i++)
		sl_json_say(h.problems, "%s", ctl->plan->warnings[i]);
	sl_gw_mode_get(ctl->gw, &mode);
	policy_problems(ctl, &mode, h.problems);
	ctl_mode_drift(ctl, h.problems);
	ctl_log_problems(ctl, h.problems);
	if (ctl->cp)
		sl_cp_problems(ctl->cp, h.problems);
	sl_remote_problems(ctl->remote, h.problems);
	sl_metrics_problems(ctl->metrics, h.problems);
	if (mode.panic)
		sl_json_say(h.problems, "the panic switch is on: everything is observed, nothing "
					"enforced");
	return h.problems;
}

int
sl_rpc_h_sys_health(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
		    struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	json_t *list = problems(ctl);

	(void)caller;
	(void)p;
	(void)e;
	return ctl_answer(result,
			  json_pack("{s:b, s:I, s:I, s:o}", "ok", json_array_size(list) == 0,
				    "uptime_s", (json_int_t)(ctl_uptime_ns(ctl) / SL_NS_PER_S),
				    "generation", (json_int_t)sl_gw_generation(ctl->gw), "problems",
				    list));
}

/* --- lcores --------------------------------------------------------------------------------- */

/** Cycles that found work of all cycles, in percent with one decimal. */
static double
busy_pct(uint64_t busy, uint64_t total)
{
	return total ? (double)(SL_MIN(busy, total) * 1000 / total) / 10 : 0;
}

static void
add_worker(json_t *o, const struct ctl_span *span, unsigned number)
{
	const struct sl_stats_lcore_counts *a = &span->before->lcore[number].lcore;
	const struct sl_stats_lcore_counts *b = &span->now->lcore[number].lcore;
	json_t *more = json_pack(
		"{s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "busy_pct",
		busy_pct(b->busy_cycles - a->busy_cycles, b->total_cycles - a->total_cycles),
		"rx_packets", (json_int_t)b->rx_packets, "tx_packets", (json_int_t)b->tx_packets,
		"rx_pps", (json_int_t)ctl_rate(a->rx_packets, b->rx_packets, span->seconds),
		"tx_pps", (json_int_t)ctl_rate(a->tx_packets, b->tx_packets, span->seconds),
		"steered_packets", (json_int_t)b->steered_packets, "polls", (json_int_t)b->polls,
		"flow_full", (json_int_t)b->flow_full, "flow_handover_lost",
		(json_int_t)b->flow_handover_lost);

	json_object_update(o, more);
	json_decref(more);
}

static json_t *
lcore_json(const struct sl_ctl *ctl, const struct sl_plan_lcore *l, const struct ctl_span *span)
{
	json_t *o = json_pack("{s:i, s:i, s:s, s:i}", "lcore", (int)l->id, "cpu", (int)l->cpu,
			      "role", sl_plan_role_text(l->role), "index", (int)l->index);
	unsigned number = l->index + (l->role == SL_PLAN_ROLE_IO ? ctl->plan->n_workers : 0);

	if (l->role == SL_PLAN_ROLE_HS)
		json_object_set_new(o, "busy_pct",
				    json_real(busy_pct(span->now->hs_busy - span->before->hs_busy,
						       span->now->hs_total -
							       span->before->hs_total)));
	else if (l->role != SL_PLAN_ROLE_CONTROL && number < ctl->dp->n_lcores)
		add_worker(o, span, number);
	return o;
}

int
sl_rpc_h_sys_lcores(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
		    struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	json_t *list = json_array();
	struct ctl_span span;
	int rc = ctl_rates(ctl, &span, e);

	(void)caller;
	(void)p;
	if (rc) {
		json_decref(list);
		return rc;
	}
	for (unsigned i = 0; ctl->plan && i < ctl->plan->n_lcores; i++)
		json_array_append_new(list, lcore_json(ctl, &ctl->plan->lcores[i], &span));
	return ctl_answer(result, json_pack("{s:o, s:s}", "lcores", list, "idle",
					    sl_plan_idle_text(ctl->plan ? ctl->plan->idle
									: SL_PLAN_IDLE_AUTO)));
}

int
sl_rpc_h_sys_mem(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
		 struct sl_error *e)
{
	const struct sl_ctl *ctl = user;
	struct rte_mempool *pool = ctl->dp->pool;
	struct sl_session_stats s = {0};

	(void)caller;
	(void)p;
	(void)e;
	if (ctl->dp->sessions)
		sl_session_stats(ctl->dp->sessions, &s);
	return ctl_answer(result,
			  json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "hugepages",
				    (int)ctl->hugepages, "mbufs_total",
				    (json_int_t)(pool ? pool->size : 0), "mbufs_in_use",
				    (json_int_t)(pool ? rte_mempool_in_use_count(pool) : 0),
				    "key_arena_bytes", (json_int_t)s.arena_bytes,
				    "key_arena_locked_bytes", (json_int_t)s.arena_locked_bytes,
				    "keypairs_live", (json_int_t)s.live, "keypairs_pending",
				    (json_int_t)s.pending, "keypairs_retired",
				    (json_int_t)s.retired));
}

int
sl_rpc_h_sys_log_level_set(void *user, const struct sl_rpc_caller *caller,
			   const struct sl_rpc_sys_log_level_set *p, json_t **result,
			   struct sl_error *e)
{
	static const char *const text[] = {"err", "warn", "notice", "info", "debug"};
	enum sl_log_level old = sl_log_get_level();

	(void)user;
	(void)caller;
	(void)e;
	sl_log_set_level((enum sl_log_level)p->level);
	return ctl_answer(result, json_pack("{s:s}", "previous", text[old]));
}

int
sl_rpc_h_sys_shutdown(void *user, const struct sl_rpc_caller *caller, const void *p,
		      json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;

	(void)p;
	(void)result;
	(void)e;
	sl_log(SL_LOG_NOTICE, "audit", "sys.shutdown by %s", caller->principal);
	if (ctl->quit)
		ctl->quit(ctl->quit_ctx);
	return 0;
}
