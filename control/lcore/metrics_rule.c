/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rules decided, a slice of them a step. Another policy begins the text anew: a series
 * must not be there twice. */
#include "metrics_int.h"
#include "sl_prom.h"

#define STEP 128
#define ANEW_MAX 3

enum { MATCHES, PACKETS };

static const struct {
	const char *name, *help;
} families[] = {
	[MATCHES] = {"sluice_rule_matches_total", "flows that the rule decided as they began"},
	[PACKETS] = {"sluice_rule_packets_total",
		     "packets of flows that the rule decided, up to a minute late"},
};
_Static_assert(SL_ARRAY_SIZE(families) == METRICS_RULE_FAMILIES, "a text each");

static int
open_texts(struct metrics_rules *r)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(families); i++) {
		metrics_text_clear(&r->family[i]);
		if (metrics_text_open(&r->family[i]) != 0)
			return -ENOMEM;
		sl_prom_head(r->family[i].f, families[i].name, "counter", families[i].help);
	}
	r->at = 0;
	return 0;
}

int
metrics_rules_begin(struct metrics_rules *r, struct sl_ctl *ctl)
{
	*r = (struct metrics_rules){.ctl = ctl};
	if (ctl->evidence == NULL)
		return 0;
	sl_evidence_rules(ctl->evidence, &r->generation, &r->omitted);
	return open_texts(r);
}

static void
tell(struct metrics_rules *r, const struct sl_policy *p, unsigned i)
{
	const struct sl_pol_rule *rule = &p->rules[i];
	uint64_t v[METRICS_RULE_FAMILIES];
	char id[12];

	sl_evidence_rule(r->ctl->evidence, i, &v[MATCHES], &v[PACKETS]);
	snprintf(id, sizeof(id), "%u", rule->id);
	for (unsigned k = 0; k < METRICS_RULE_FAMILIES; k++)
		sl_prom_uint(r->family[k].f, families[k].name, v[k], "role", rule->role, "rule", id,
			     NULL);
}

/** @return false: it changes too often, or there is no memory */
static bool
begin_anew(struct metrics_rules *r, uint64_t generation)
{
	r->generation = generation;
	r->failed = open_texts(r) != 0;
	return !r->failed && ++r->anew <= ANEW_MAX;
}

bool
metrics_rules_step(struct metrics_rules *r)
{
	const struct sl_policy *p = sl_gw_policy(r->ctl->gw);
	uint64_t generation;
	unsigned n, end;

	if (r->ctl->evidence == NULL || r->failed || r->done)
		return true;
	n = sl_evidence_rules(r->ctl->evidence, &generation, &r->omitted);
	if (generation != r->generation && !begin_anew(r, generation)) {
		r->omitted += n;
		r->done = true;
		return true;
	}
	end = SL_MIN(n, r->at + STEP);
	for (; r->at < end; r->at++)
		tell(r, p, r->at);
	for (unsigned k = 0; k < METRICS_RULE_FAMILIES; k++)
		r->failed |= metrics_text_cut(&r->family[k]) != 0;
	r->done = r->at == n;
	return r->failed || r->done;
}

int
metrics_rules_move(struct metrics_rules *r, struct evbuffer *to)
{
	FILE *last = r->family[PACKETS].f;
	int rc = 0;

	if (r->failed)
		return -ENOMEM;
	if (last != NULL)
		sl_prom_single(last, "sluice_metrics_rules_omitted", "gauge",
			       "rules without series of their own", r->omitted);
	for (unsigned i = 0; rc == 0 && i < SL_ARRAY_SIZE(r->family); i++)
		if (r->family[i].f != NULL)
			rc = metrics_text_move(&r->family[i], to);
	return rc;
}

void
metrics_rules_clear(struct metrics_rules *r)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(r->family); i++)
		metrics_text_clear(&r->family[i]);
	*r = (struct metrics_rules){0};
}
