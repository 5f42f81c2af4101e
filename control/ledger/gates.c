/* SPDX-License-Identifier: BSD-3-Clause */
/* Gates: what must be seen before a step. */
#include <stdarg.h>
#include <stdio.h>

#include "sl_ledger.h"

#define PUSH_FRESH_S 120

struct gates {
	const struct sl_ledger_facts *f;
	struct sl_gate *out;
	unsigned n;
};

static void SL_PRINTF(4, 5) gate(struct gates *g, const char *name, bool ok, const char *fmt, ...)
{
	struct sl_gate *o = &g->out[g->n++];
	va_list ap;

	o->name = name;
	o->ok = ok;
	va_start(ap, fmt);
	vsnprintf(o->detail, sizeof(o->detail), fmt, ap);
	va_end(ap);
}

/** One gate for all gateways: the first that fails is named. */
static void
each(struct gates *g, const char *name, const char *what,
     bool (*holds)(const struct sl_ledger_gateway *gw))
{
	const struct sl_ledger_facts *f = g->f;

	for (unsigned i = 0; i < f->n_gateways; i++)
		if (!holds(&f->gateway[i])) {
			gate(g, name, false, "%s: not %s", f->gateway[i].name, what);
			return;
		}
	gate(g, name, f->n_gateways > 0, "%u gateways %s", f->n_gateways, what);
}

static bool
is_registered(const struct sl_ledger_gateway *gw)
{
	return gw->registered;
}

static bool
has_endpoint(const struct sl_ledger_gateway *gw)
{
	return gw->endpoint;
}

static bool
is_connected(const struct sl_ledger_gateway *gw)
{
	return gw->connected;
}

static bool
observes(const struct sl_ledger_gateway *gw)
{
	return gw->observe_all;
}

static bool
logs(const struct sl_ledger_gateway *gw)
{
	return gw->logging;
}

static bool
flows_in(const struct sl_ledger_gateway *gw)
{
	return gw->push_age_s >= 0 && gw->push_age_s <= PUSH_FRESH_S;
}

static bool
enforces(const struct sl_ledger_gateway *gw)
{
	return gw->target_enforced;
}

static void
base_gates(struct gates *g)
{
	each(g, "gateway_registered", "registered", is_registered);
	each(g, "gateway_endpoint", "with an endpoint that clients can dial", has_endpoint);
	each(g, "gateway_connected", "connected", is_connected);
}

static void
trend_gate(struct gates *g)
{
	char why[100];
	bool ok;

	if (!g->f->baseline || !g->f->now) {
		gate(g, "no_worse", false,
		     "no baseline: it is taken when the target enters observed");
		return;
	}
	ok = sl_trend_no_worse(g->f->baseline, g->f->now, why, sizeof(why));
	gate(g, "no_worse", ok, "losses and latency against the baseline: %s",
	     ok ? "no worse" : why);
}

static void
evidence_gates(struct gates *g)
{
	const struct sl_ledger_facts *f = g->f;

	gate(g, "flows_seen", f->flows > 0, "%llu flows in the window",
	     (unsigned long long)f->flows);
	gate(g, "would_deny_zero", f->would_deny == 0, "%llu flows would be denied",
	     (unsigned long long)f->would_deny);
	gate(g, "window_covered", f->covered_s >= f->window_s, "%lld of %lld s covered",
	     (long long)f->covered_s, (long long)f->window_s);
	gate(g, "nothing_lost", f->lost == 0, "%llu rows or flows are missing",
	     (unsigned long long)f->lost);
}

unsigned
sl_ledger_gates(enum sl_ledger_state to, const struct sl_ledger_facts *f,
		struct sl_gate out[SL_GATES_MAX])
{
	struct gates g = {.f = f, .out = out};

	switch (to) {
	case SL_LEDGER_PILOT:
		base_gates(&g);
		gate(&g, "target_in_policy", f->in_policy, "the policy document %s the target",
		     f->in_policy ? "names" : "does not name");
		gate(&g, "distributed", f->peers > 0, "%u peers get it", f->peers);
		break;
	case SL_LEDGER_OBSERVED:
		base_gates(&g);
		each(&g, "logging_on", "with logging on", logs);
		each(&g, "logs_flowing", "telling flows", flows_in);
		gate(&g, "flows_seen", f->flows > 0, "%llu flows in the window",
		     (unsigned long long)f->flows);
		break;
	case SL_LEDGER_ENFORCED:
		each(&g, "gateway_connected", "connected", is_connected);
		each(&g, "logs_flowing", "telling flows", flows_in);
		evidence_gates(&g);
		trend_gate(&g);
		break;
	case SL_LEDGER_DONE:
		each(&g, "gateway_connected", "connected", is_connected);
		each(&g, "enforced", "enforcing the target", enforces);
		trend_gate(&g);
		break;
	default:
		break;
	}
	return g.n;
}

unsigned
sl_ledger_phase_gates(unsigned phase, const struct sl_ledger_facts *f,
		      struct sl_gate out[SL_GATES_MAX])
{
	struct gates g = {.f = f, .out = out};

	if (phase == SL_PHASE_BASE) {
		base_gates(&g);
		each(&g, "observing", "in observe", observes);
		each(&g, "logging_on", "with logging on", logs);
		gate(&g, "not_distributed", f->distributed == 0,
		     "%u targets go through the tunnel already", f->distributed);
	} else if (phase == SL_PHASE_COMPLETE) {
		gate(&g, "major_named", f->major > 0, "%u major targets are named", f->major);
		gate(&g, "major_done", f->major_done == f->major, "%u of %u major targets are done",
		     f->major_done, f->major);
	}
	return g.n;
}

bool
sl_gates_ok(const struct sl_gate *g, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!g[i].ok)
			return false;
	return true;
}

json_t *
sl_gates_json(const struct sl_gate *g, unsigned n)
{
	json_t *out = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(out, json_pack("{s:s, s:b, s:s}", "gate", g[i].name, "ok",
						     g[i].ok, "detail", g[i].detail));
	return out;
}
