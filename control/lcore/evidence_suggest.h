/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Suggestions: rules that allow exactly what was seen and would be denied for want of a rule.
 *
 * Exactly: source addresses, destination addresses, protocol and port as observed; lists are merged
 * only where every combination was seen. A rule goes to a role that the subject has. One without
 * any role gets a role of its own ("observed-PEER"); where a zone allows by default, which a
 * subject without a role does not enjoy, that role is bound to the observed sources and denies the
 * rest of the zone. What a rule denies on purpose is never suggested.
 */
#ifndef SL_EVIDENCE_SUGGEST_H
#define SL_EVIDENCE_SUGGEST_H

#include "evidence_query.h"

struct ev_suggest_conf {
	struct sl_gw *gw;
	const struct sl_evidence *ev;
	const struct ev_scan *scan;	/* done */
	const struct sl_policy *policy; /* in force, NULL: none */
	const char *document;		/* the same as text without comments, NULL: none */
	size_t document_len;
	uint64_t min_flows; /* fewer: left out as `few` */
	unsigned rules_cap; /* of a role */
};

/**
 * @param flows those of the scan, sorted, that the policy in force would deny
 * @return {rules, tests, left_out, candidate} (see policy.suggest), NULL without memory
 */
json_t *ev_suggest(const struct ev_suggest_conf *c, struct ev_flow *const *flows, unsigned n);

#endif
