/* SPDX-License-Identifier: BSD-3-Clause */
/* From rows and flows to the rules that decided none of them. A rule that decided a row counts even
 * if another would decide it now: roles of a peer come and go, and a peer may be gone. */
#include "evidence_unmatched.h"

#include <stdlib.h>

#include "evidence_int.h"
#include "evidence_query.h"

#define MARK_SHARE 16 /* marks that cost as much as a judgement */
#define GAPS_SHARE 100

enum phase { BEGIN, TABLE, ROWS, JUDGE, FLOWS, DONE };

struct ev_unmatched {
	struct sl_evidence *ev;
	uint64_t window_s, from_ns;
	enum phase phase;
	bool failed;
	uint32_t at;
	uint64_t generation; /* of the rules in the table */
	uint32_t n_rules, mask;
	uint32_t *slot; /* by ids: place of a rule + 1, 0: free */
	bool *decided;	/* [n_rules] */
	struct ev_scan *scan;
};

struct ev_unmatched *
ev_unmatched_new(struct sl_evidence *ev, uint64_t window_s)
{
	struct ev_unmatched *u = calloc(1, sizeof(*u));
	uint64_t now = ev_now(ev), window = window_s * SL_NS_PER_S;

	if (u == NULL)
		return NULL;
	u->ev = ev;
	u->window_s = window_s;
	u->from_ns = now > window ? now - window : 0;
	return u;
}

static void
reset(struct ev_unmatched *u)
{
	free(u->slot);
	free(u->decided);
	ev_scan_free(u->scan);
	u->slot = NULL;
	u->decided = NULL;
	u->scan = NULL;
}

void
ev_unmatched_free(struct ev_unmatched *u)
{
	if (u == NULL)
		return;
	reset(u);
	free(u);
}

/* --- the rules in force ----------------------------------------------------------------------- */

static const struct sl_polset *
set_of(const struct ev_unmatched *u)
{
	return sl_gw_policy_view(u->ev->gw)->set;
}

static void
begin(struct ev_unmatched *u)
{
	const struct ev_filter f = {.window_s = u->window_s};
	const struct sl_polset *set = set_of(u);
	uint32_t slots = 16;

	reset(u);
	u->generation = set != NULL ? set->generation : 0;
	u->n_rules = set != NULL ? set->n_rules : 0;
	while (slots < 2 * u->n_rules)
		slots *= 2;
	u->mask = slots - 1;
	u->slot = calloc(slots, sizeof(*u->slot));
	u->decided = calloc(u->n_rules + 1, sizeof(*u->decided));
	u->scan = ev_scan_new(u->ev, &f, NULL);
	u->failed = u->slot == NULL || u->decided == NULL || u->scan == NULL;
	u->phase = u->failed ? DONE : TABLE;
	u->at = 0;
}

/** Where these ids stand, or the free place for them. */
static uint32_t *
slot_of(struct ev_unmatched *u, uint32_t role_id, uint32_t rule_id)
{
	const struct sl_polset_rule *rules = set_of(u)->rules;
	uint32_t id[2] = {role_id, rule_id}, at, k;

	at = (uint32_t)sl_siphash(u->ev->gw->hash_key, id, sizeof(id)) & u->mask;
	for (; (k = u->slot[at]) != 0; at = (at + 1) & u->mask)
		if (rules[k - 1].role_id == role_id && rules[k - 1].id == rule_id)
			break;
	return &u->slot[at];
}

static void
mark(struct ev_unmatched *u, uint32_t role_id, uint32_t rule_id)
{
	uint32_t k = rule_id != 0 && u->n_rules > 0 ? *slot_of(u, role_id, rule_id) : 0;

	if (k != 0)
		u->decided[k - 1] = true;
}

/* --- steps ------------------------------------------------------------------------------------ */

static uint32_t
end_of(const struct ev_unmatched *u, unsigned budget, uint32_t n)
{
	return (uint32_t)SL_MIN((uint64_t)u->at + (uint64_t)budget * MARK_SHARE, n);
}

static void
next(struct ev_unmatched *u, enum phase phase)
{
	u->phase = phase;
	u->at = 0;
}

static void
fill_table(struct ev_unmatched *u, unsigned budget)
{
	const struct sl_polset *set = set_of(u);
	uint32_t end = end_of(u, budget, u->n_rules);

	for (; u->at < end; u->at++)
		*slot_of(u, set->rules[u->at].role_id, set->rules[u->at].id) = u->at + 1;
	if (u->at >= u->n_rules)
		next(u, ROWS);
}

/** What decided when it was seen. */
static void
mark_rows(struct ev_unmatched *u, unsigned budget)
{
	uint32_t end = end_of(u, budget, u->ev->n_slots);

	for (; u->at < end; u->at++) {
		const struct ev_row *r = &u->ev->row[u->at];

		if (r->version != 0 && r->last_ns >= u->from_ns)
			mark(u, r->role_id, r->rule_id);
	}
	if (u->at >= u->ev->n_slots)
		next(u, JUDGE);
}

static void
judge(struct ev_unmatched *u, unsigned budget)
{
	if (!ev_scan_step(u->scan, budget))
		return;
	u->failed = ev_scan_failed(u->scan);
	if (!u->failed && ev_scan_generation(u->scan) != u->generation)
		next(u, BEGIN);
	else
		next(u, u->failed ? DONE : FLOWS);
}

/** What decides now. */
static void
mark_flows(struct ev_unmatched *u, unsigned budget)
{
	const struct sl_polset *set = set_of(u);
	unsigned n;
	const struct ev_flow *f = ev_scan_flows(u->scan, &n);
	uint32_t end = end_of(u, budget, n);

	for (; u->at < end; u->at++)
		if (f[u->at].here && f[u->at].why == SL_WHY_RULE)
			mark(u, set->roles[f[u->at].role].id, f[u->at].rule);
	if (u->at >= n)
		next(u, DONE);
}

bool
ev_unmatched_step(struct ev_unmatched *u, unsigned budget)
{
	const struct sl_polset *set = set_of(u);

	if (u->phase != DONE && u->generation != (set != NULL ? set->generation : 0))
		u->phase = BEGIN;
	switch (u->phase) {
	case BEGIN:
		begin(u);
		break;
	case TABLE:
		fill_table(u, budget);
		break;
	case ROWS:
		mark_rows(u, budget);
		break;
	case JUDGE:
		judge(u, budget);
		break;
	case FLOWS:
		mark_flows(u, budget);
		break;
	case DONE:
		break;
	}
	return u->phase == DONE;
}

/* --- answers ---------------------------------------------------------------------------------- */

bool
ev_unmatched_failed(const struct ev_unmatched *u)
{
	return u->failed;
}

uint64_t
ev_unmatched_generation(const struct ev_unmatched *u)
{
	return u->generation;
}

bool
ev_unmatched_is(const struct ev_unmatched *u, unsigned rule)
{
	return rule < u->n_rules && !u->decided[rule];
}

bool
ev_unmatched_covers(const struct sl_coverage *c)
{
	return c->covered_s + c->window_s / GAPS_SHARE >= c->window_s && c->lost == 0;
}
