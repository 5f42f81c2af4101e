/* SPDX-License-Identifier: BSD-3-Clause */
#include "rule_count.h"

#include <stdlib.h>

#include "gw_policy.h"

#define SLOTS 16384 /* a power of two, sparse */
#define NONE UINT16_MAX

_Static_assert(RULE_COUNT_MAX < SLOTS / 2, "sparse");

struct count {
	uint64_t role_name; /* its hash: names outlive ids, and policies go */
	uint32_t role_id, rule_id;
	uint64_t flows, packets;
};

struct rule_counts {
	struct sl_gw *gw;
	uint64_t generation;
	unsigned n, omitted;
	struct count *count;  /* [RULE_COUNT_MAX] by the order of the policy */
	struct count *former; /* [RULE_COUNT_MAX] of the policy before it, while it is taken over */
	uint16_t slot[SLOTS]; /* places in `count`, by ids */
	uint16_t by_name[SLOTS]; /* places in `former`, by name and id */
};

struct rule_counts *
rule_counts_new(struct sl_gw *gw)
{
	struct rule_counts *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->gw = gw;
	c->generation = UINT64_MAX;
	c->count = calloc(RULE_COUNT_MAX, sizeof(*c->count));
	c->former = calloc(RULE_COUNT_MAX, sizeof(*c->former));
	memset(c->slot, 0xff, sizeof(c->slot));
	if (c->count != NULL && c->former != NULL)
		return c;
	rule_counts_free(c);
	return NULL;
}

void
rule_counts_free(struct rule_counts *c)
{
	if (c == NULL)
		return;
	free(c->count);
	free(c->former);
	free(c);
}

/* --- tables ----------------------------------------------------------------------------------- */

static uint32_t
begin_of(uint64_t a, uint32_t b)
{
	uint64_t h = (a ^ (uint64_t)b << 32 ^ b) * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(h >> 40) % SLOTS;
}

/** Where these ids stand, or the free place for them. */
static uint16_t *
slot_of(struct rule_counts *c, uint32_t role_id, uint32_t rule_id)
{
	uint32_t at = begin_of(role_id, rule_id);

	for (; c->slot[at] != NONE; at = (at + 1) % SLOTS)
		if (c->count[c->slot[at]].role_id == role_id &&
		    c->count[c->slot[at]].rule_id == rule_id)
			break;
	return &c->slot[at];
}

static uint16_t *
former_of(struct rule_counts *c, uint64_t role_name, uint32_t rule_id)
{
	uint32_t at = begin_of(role_name, rule_id);

	for (; c->by_name[at] != NONE; at = (at + 1) % SLOTS)
		if (c->former[c->by_name[at]].role_name == role_name &&
		    c->former[c->by_name[at]].rule_id == rule_id)
			break;
	return &c->by_name[at];
}

/* --- another policy --------------------------------------------------------------------------- */

static void
put_away(struct rule_counts *c)
{
	struct count *t = c->former;

	c->former = c->count;
	c->count = t;
	memset(c->slot, 0xff, sizeof(c->slot));
	memset(c->by_name, 0xff, sizeof(c->by_name));
	for (unsigned i = 0; i < c->n; i++)
		*former_of(c, c->former[i].role_name, c->former[i].rule_id) = (uint16_t)i;
}

static void
take(struct rule_counts *c, const struct sl_policy *p)
{
	put_away(c);
	c->n = p != NULL ? SL_MIN(p->n_rules, (unsigned)RULE_COUNT_MAX) : 0;
	c->omitted = p != NULL ? p->n_rules - c->n : 0;
	for (unsigned i = 0; i < c->n; i++) {
		const struct sl_pol_rule *r = &p->rules[i];
		struct count *o = &c->count[i];
		uint16_t was;

		*o = (struct count){.role_name =
					    sl_siphash(c->gw->hash_key, r->role, strlen(r->role)),
				    .role_id = p->roles[r->role_at].id,
				    .rule_id = r->id};
		was = *former_of(c, o->role_name, o->rule_id);
		if (was != NONE) {
			o->flows = c->former[was].flows;
			o->packets = c->former[was].packets;
		}
		*slot_of(c, o->role_id, o->rule_id) = (uint16_t)i;
	}
}

void
rule_counts_sync(struct rule_counts *c)
{
	const struct gw_policy *p = c->gw->policy;
	uint64_t generation = p->doc != NULL ? p->tables->set->generation : 0;

	if (generation == c->generation)
		return;
	take(c, sl_gw_policy(c->gw));
	c->generation = generation;
}

/* --- counts ----------------------------------------------------------------------------------- */

void
rule_counts_add(struct rule_counts *c, uint32_t role_id, uint32_t rule_id, uint64_t flows,
		uint64_t packets)
{
	uint16_t at = rule_id != 0 ? *slot_of(c, role_id, rule_id) : NONE;

	if (at == NONE)
		return;
	c->count[at].flows += flows;
	c->count[at].packets += packets;
}

unsigned
rule_counts_n(const struct rule_counts *c, uint64_t *generation, unsigned *omitted)
{
	*generation = c->generation;
	*omitted = c->omitted;
	return c->n;
}

void
rule_counts_get(const struct rule_counts *c, unsigned i, uint64_t *flows, uint64_t *packets)
{
	*flows = c->count[i].flows;
	*packets = c->count[i].packets;
}
