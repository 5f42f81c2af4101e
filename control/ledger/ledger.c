/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of an entry. */
#include "sl_ledger.h"

#include <stdio.h>

#define HISTORY_MAX 100

static const struct {
	enum sl_ledger_state state;
	const char *name;
} states[] = {{SL_LEDGER_VPN, "vpn"},
	      {SL_LEDGER_PILOT, "pilot"},
	      {SL_LEDGER_OBSERVED, "observed"},
	      {SL_LEDGER_ENFORCED, "enforced"},
	      {SL_LEDGER_DONE, "done"}};

const char *
sl_ledger_state_name(enum sl_ledger_state s)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(states); i++)
		if (states[i].state == s)
			return states[i].name;
	return "vpn";
}

int
sl_ledger_state_parse(const char *name, enum sl_ledger_state *out)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(states); i++)
		if (strcmp(states[i].name, name) == 0) {
			*out = states[i].state;
			return 0;
		}
	return -EINVAL;
}

enum sl_ledger_state
sl_ledger_state(const json_t *entry)
{
	const char *name = json_string_value(json_object_get(entry, "state"));
	enum sl_ledger_state s = SL_LEDGER_VPN;

	if (name)
		sl_ledger_state_parse(name, &s);
	return s;
}

static void
set_state(json_t *entry, enum sl_ledger_state to, const char *actor, const char *comment,
	  bool forced, const char *now_text)
{
	json_t *history = json_object_get(entry, "history");
	json_t *step = json_pack("{s:s, s:s, s:s, s:s}", "at", now_text, "from",
				 sl_ledger_state_name(sl_ledger_state(entry)), "to",
				 sl_ledger_state_name(to), "actor", actor);

	if (comment && comment[0])
		json_object_set_new(step, "comment", json_string(comment));
	if (forced)
		json_object_set_new(step, "forced", json_true());
	if (!json_is_array(history)) {
		history = json_array();
		json_object_set_new(entry, "history", history);
	}
	json_array_append_new(history, step);
	while (json_array_size(history) > HISTORY_MAX)
		json_array_remove(history, 0);
	json_object_set_new(entry, "state", json_string(sl_ledger_state_name(to)));
	json_object_set_new(entry, "since", json_string(now_text));
}

/** The step after a state that is set by hand; enforced is passed by the gateways. */
static bool
is_next(enum sl_ledger_state from, enum sl_ledger_state to)
{
	return (from == SL_LEDGER_VPN && to == SL_LEDGER_PILOT) ||
	       (from == SL_LEDGER_PILOT && to == SL_LEDGER_OBSERVED) ||
	       (from == SL_LEDGER_ENFORCED && to == SL_LEDGER_DONE);
}

static int
wrong_step(enum sl_ledger_state from, enum sl_ledger_state to, struct sl_error *e)
{
	sl_fail(e, -EINVAL, "step_unknown", "/to", "from %s no step leads to %s",
		sl_ledger_state_name(from), sl_ledger_state_name(to));
	if (to == SL_LEDGER_ENFORCED)
		sl_hint(e, "on each gateway: sluicectl mode enforce TARGET; the ledger follows");
	else if (to == SL_LEDGER_DONE)
		sl_hint(e, "first enforced, on every gateway");
	else if (to == SL_LEDGER_VPN)
		sl_hint(e, "withdraw it");
	else
		sl_hint(e, "vpn, pilot, observed, enforced (reported by gateways), done");
	return -EINVAL;
}

int
sl_ledger_move(json_t *entry, enum sl_ledger_state to, const struct sl_ledger_facts *f, bool force,
	       const char *actor, const char *comment, const char *now_text, struct sl_error *e)
{
	enum sl_ledger_state from = sl_ledger_state(entry);
	struct sl_gate gate[SL_GATES_MAX];
	unsigned n;

	if (!is_next(from, to))
		return wrong_step(from, to, e);
	n = sl_ledger_gates(to, f, gate);
	for (unsigned i = 0; i < n && !force; i++) {
		if (gate[i].ok)
			continue;
		sl_fail(e, -EBUSY, "gate_closed", "/to", "%s: %s", gate[i].name, gate[i].detail);
		sl_hint(e, "mend it, or force=true if you know better");
		return -EBUSY;
	}
	set_state(entry, to, actor, comment, force && !sl_gates_ok(gate, n), now_text);
	if (to == SL_LEDGER_OBSERVED && f->now)
		json_object_set_new(entry, "baseline", sl_trend_json(f->now));
	return 0;
}

static bool
all_enforce(const struct sl_ledger_facts *f)
{
	for (unsigned i = 0; i < f->n_gateways; i++)
		if (!f->gateway[i].target_enforced)
			return false;
	return f->n_gateways > 0;
}

/** Of whom nothing is known yet (after a restart of the server, a new gateway), nothing follows. */
static bool
one_observes(const struct sl_ledger_facts *f)
{
	for (unsigned i = 0; i < f->n_gateways; i++)
		if (f->gateway[i].mode_told && !f->gateway[i].target_enforced)
			return true;
	return false;
}

bool
sl_ledger_derive(json_t *entry, const struct sl_ledger_facts *f, const char *now_text)
{
	enum sl_ledger_state s = sl_ledger_state(entry);

	if (s == SL_LEDGER_OBSERVED && all_enforce(f))
		set_state(entry, SL_LEDGER_ENFORCED, "gateways", NULL, false, now_text);
	else if ((s == SL_LEDGER_ENFORCED || s == SL_LEDGER_DONE) && one_observes(f))
		set_state(entry, SL_LEDGER_OBSERVED, "gateways", NULL, false, now_text);
	else
		return false;
	return true;
}

int
sl_ledger_withdraw(json_t *entry, const char *actor, const char *comment, const char *now_text)
{
	if (sl_ledger_state(entry) == SL_LEDGER_VPN)
		return -EALREADY;
	set_state(entry, SL_LEDGER_VPN, actor, comment, false, now_text);
	json_object_del(entry, "baseline");
	return 0;
}
