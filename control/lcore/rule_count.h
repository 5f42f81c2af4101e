/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What each rule of the policy decided, from the flow aggregates: flows and packets by role and
 * rule. Another policy takes the place of the former one with the counts of the rules that stay,
 * by the name of their role. Control's thread.
 */
#ifndef SL_RULE_COUNT_H
#define SL_RULE_COUNT_H

#include "gw.h"

/** Rules that are counted: the first ones of the policy. */
#define RULE_COUNT_MAX 5000

struct rule_counts;

/** @return NULL without memory */
struct rule_counts *rule_counts_new(struct sl_gw *gw);
void rule_counts_free(struct rule_counts *c); /* NULL allowed */
/** Look whether there is another policy. Before rule_counts_add() and rule_counts_get(). */
void rule_counts_sync(struct rule_counts *c);
/** Ids as in the aggregates; those of no rule of the policy count nowhere. */
void rule_counts_add(struct rule_counts *c, uint32_t role_id, uint32_t rule_id, uint64_t flows,
		     uint64_t packets);
/** @return how many there are; *generation changes with the policy; *omitted: rules beyond */
unsigned rule_counts_n(const struct rule_counts *c, uint64_t *generation, unsigned *omitted);
/** @param i below rule_counts_n(), by the order of the policy */
void rule_counts_get(const struct rule_counts *c, unsigned i, uint64_t *flows, uint64_t *packets);

#endif
