/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Rules out of flows that were seen and would be denied for want of one. Never wider than what was
 * seen: exact addresses, protocol and port; lists are merged only where every combination was seen.
 * Pure: JSON in and out. (The gateway suggests from its own evidence; this is for all of them.)
 */
#ifndef SL_FLOW_SUGGEST_H
#define SL_FLOW_SUGGEST_H

#include <jansson.h>

#include "sl_addr.h"
#include "sl_error.h"

/** A flow that no rule decided. */
struct sl_suggest_flow {
	const char *role; /* one that the subject has; "": none */
	const char *peer, *interface;
	struct sl_ip src, dst;
	uint8_t proto;
	uint16_t port;
	bool from_inside;
	uint64_t flows;
};

struct sl_suggest;

/**
 * @param doc the policy document in force, NULL: none; borrowed, left as it is
 * @param rules_cap rules that a role may have
 * @return NULL without memory
 */
struct sl_suggest *sl_suggest_new(const json_t *doc, unsigned rules_cap, uint64_t min_flows);
void sl_suggest_free(struct sl_suggest *s); /* NULL allowed */
/** @return 0 or -ENOMEM */
int sl_suggest_add(struct sl_suggest *s, const struct sl_suggest_flow *f);
/** A flow that cannot be allowed by a new rule. */
int sl_suggest_leave(struct sl_suggest *s, const struct sl_suggest_flow *f, const char *reason);
/**
 * {rules: [{role, rule, flows}], tests, left_out: [{reason, flows, peer, src, dst, protocol,
 * port}], candidate}: the candidate is the document with the rules, the roles that they need and
 * the tests. Reasons: few, from_inside, zone_allows (a subject without a role would gain what a
 * zone allows by default), limit_rules, and what sl_suggest_leave() was told. NULL without memory.
 */
json_t *sl_suggest_done(struct sl_suggest *s);

#endif
