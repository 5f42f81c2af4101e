/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The migration ledger: which way each target is reached, the old VPN or WireGuard, never both; how
 * far its move is; what must hold before the next step. Pure: facts are passed in, the caller keeps
 * the entries (objects migration/target:NAME and migration/deployment).
 *
 * A target goes vpn -> pilot (2) -> observed (3) -> enforced (4) -> done (5). Its path is WireGuard
 * from 2 on: then it stands in the AllowedIPs of the peers that it is distributed to. 4 is never
 * set: it is what gateways report, and it falls back to 3 by itself. Withdrawing sets vpn from
 * anywhere; the history stays.
 */
#ifndef SL_LEDGER_H
#define SL_LEDGER_H

#include <jansson.h>

#include "sl_error.h"
#include "sl_trend.h"

enum sl_ledger_state {
	SL_LEDGER_VPN = 0,
	SL_LEDGER_PILOT = 2,
	SL_LEDGER_OBSERVED = 3,
	SL_LEDGER_ENFORCED = 4,
	SL_LEDGER_DONE = 5
};
/** Of the deployment: 0 none, 1 base, 5 complete; 2 to 4 are what its targets are. */
enum { SL_PHASE_NONE = 0, SL_PHASE_BASE = 1, SL_PHASE_COMPLETE = 5 };

const char *sl_ledger_state_name(enum sl_ledger_state s); /* "vpn", "pilot", ... */
/** @return 0 or -EINVAL */
int sl_ledger_state_parse(const char *name, enum sl_ledger_state *out);
static inline bool
sl_ledger_is_wg(enum sl_ledger_state s)
{
	return s >= SL_LEDGER_PILOT;
}

/** What a gateway that serves the target reports. */
struct sl_ledger_gateway {
	const char *name;
	bool registered; /* its public key is known */
	bool endpoint;	 /* clients know where to dial */
	bool connected;	 /* it follows the log now */
	bool logging;
	bool mode_told;	      /* it has reported its modes; else the next two say nothing */
	bool observe_all;     /* its default mode is observe and no prefix enforces */
	bool target_enforced; /* every address of the target is judged in enforce, no panic switch
			       */
	int64_t push_age_s;   /* since its last flow aggregates; -1: never */
};

struct sl_ledger_facts {
	const struct sl_ledger_gateway *gateway;
	unsigned n_gateways;
	unsigned distributed;	     /* targets that go through the tunnel already */
	unsigned peers;		     /* that this target is distributed to */
	bool in_policy;		     /* the target exists in the policy document */
	uint64_t flows;		     /* of this target, seen in the window */
	uint64_t would_deny;	     /* of them, by the present policy */
	int64_t window_s, covered_s; /* asked for; the least that a gateway covers of it */
	uint64_t lost;		     /* rows and flows that are missing in the window */
	const struct sl_trend_mean *baseline, *now; /* NULL: none */
	unsigned major, major_done; /* targets that must move before the old VPN can go */
};

#define SL_GATES_MAX 12
struct sl_gate {
	const char *name; /* stable: gateway_registered, logs_flowing, would_deny_zero, ... */
	bool ok;
	char detail[160]; /* what was found */
};
/** What must hold before a target enters `to`; those of SL_LEDGER_ENFORCED say whether the switch
 * on the gateways is due. @return how many, 0: no such step */
unsigned sl_ledger_gates(enum sl_ledger_state to, const struct sl_ledger_facts *f,
			 struct sl_gate out[SL_GATES_MAX]);
/** The same for the deployment, phases 1 and 5. */
unsigned sl_ledger_phase_gates(unsigned phase, const struct sl_ledger_facts *f,
			       struct sl_gate out[SL_GATES_MAX]);
bool sl_gates_ok(const struct sl_gate *g, unsigned n);
json_t *sl_gates_json(const struct sl_gate *g, unsigned n);

/**
 * Move an entry.
 * @param entry the body of migration/target:NAME; changed: state, since, history (the newest 100)
 * @param force go although gates are closed; told in the history
 * @return 0; -EINVAL step_unknown (not the next one, or enforced, which is reported, not set);
 * -EBUSY gate_closed, the first closed one in words, nothing changed
 */
int sl_ledger_move(json_t *entry, enum sl_ledger_state to, const struct sl_ledger_facts *f,
		   bool force, const char *actor, const char *comment, const char *now_text,
		   struct sl_error *e);
/** 3 <-> 4 by what gateways report: forward if all of them enforce, back if one has said that it
 * does not. @return did it change? */
bool sl_ledger_derive(json_t *entry, const struct sl_ledger_facts *f, const char *now_text);
/** Back to the old VPN, from any state. */
int sl_ledger_withdraw(json_t *entry, const char *actor, const char *comment, const char *now_text);
enum sl_ledger_state sl_ledger_state(const json_t *entry);

#endif
