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
 *
 * Flows are taken on control's thread in steps; the document is read before and written afterwards
 * on the helper.
 */
#ifndef SL_EVIDENCE_SUGGEST_H
#define SL_EVIDENCE_SUGGEST_H

#include "evidence_query.h"

struct ev_suggest_conf {
	struct sl_gw *gw;
	const struct sl_evidence *ev;
	const struct ev_scan *scan; /* done */
	const char *document;	    /* in force, as text without comments, NULL: none; copied */
	size_t document_len;
	uint64_t min_flows; /* fewer: left out as `few` */
	unsigned rules_cap; /* of a role */
};

struct ev_suggest;

/**
 * @param flows those of the scan, sorted, that the policy in force would deny; they stay until the
 * suggestions are freed
 * @return NULL: no_memory, thread
 */
struct ev_suggest *ev_suggest_new(const struct ev_suggest_conf *c, struct ev_flow *const *flows,
				  unsigned n, struct sl_error *e);
/** Before the gateway; NULL allowed. */
void ev_suggest_free(struct ev_suggest *u);
/** Go on, about `budget` flows. @return true when it is done or has failed */
bool ev_suggest_step(struct ev_suggest *u, unsigned budget);
/** Is the helper at work? Another step now does nothing. */
bool ev_suggest_waits(const struct ev_suggest *u);
/** Take steps until it is done. */
void ev_suggest_wait(struct ev_suggest *u);
/**
 * Once. @return {rules, tests, left_out, candidate} (see policy.suggest), NULL with an error:
 * no_memory, policy_busy (another policy came into force since the scan)
 */
json_t *ev_suggest_result(struct ev_suggest *u, struct sl_error *e);

#endif
