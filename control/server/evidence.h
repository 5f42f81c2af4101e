/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Flows that were seen on any gateway, judged anew: by the policy in force, by a candidate.
 */
#ifndef SL_EVIDENCE_SERVER_H
#define SL_EVIDENCE_SERVER_H

#include "reports.h"
#include "judge.h"

#define EVIDENCE_PREFIXES 256 /* of a target */

struct evidence_sum {
	uint64_t flows, denied; /* denied: by the policy in force; flows seen from their middle do
				   not count */
};

/** A target's name, or a prefix, as an array of text; nothing: an empty one. @return 0, -ENOENT */
int evidence_where(struct sl_store *s, const char *where, json_t **out, struct sl_error *e);
/** That array, parsed. @return how many */
unsigned evidence_prefixes(const json_t *list, struct sl_prefix out[EVIDENCE_PREFIXES]);

/** @param prefixes array of text: where the address that is not the peer's lies; empty: anywhere
 * @return 0 or a negative errno with `e` */
int evidence_count(struct sl_reports *r, const json_t *prefixes, int64_t since_s,
		   struct evidence_sum *out, struct sl_error *e);

struct evidence_question {
	const json_t *prefixes; /* as above */
	const char *peer;	/* NULL: all */
	int64_t since_s;
	unsigned rows_max;
};
/** {flows, denied, rows}: flows that the policy in force denies. New reference, NULL with `e`. */
json_t *evidence_denied(struct sl_reports *r, const struct evidence_question *q,
			struct sl_error *e);
/** {newly_denied: {flows, rows}, newly_allowed: {flows, rows}, unchanged} of a candidate. */
json_t *evidence_replay(struct sl_reports *r, const struct evidence_question *q,
			const char *candidate, size_t len, struct sl_error *e);
/** As sl_suggest_done(). */
json_t *evidence_suggest(struct sl_reports *r, const struct evidence_question *q,
			 uint64_t min_flows, struct sl_error *e);
/** By gateway, of all that are enabled; see sl_flows_gaps(). */
json_t *evidence_gaps(struct sl_reports *r, int64_t since_s, struct sl_error *e);

#endif
