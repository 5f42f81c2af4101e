/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Which rules of the policy in force decided none of the flows that are kept: neither when these
 * were seen, nor would they now. Control's thread; the work is cut into steps.
 */
#ifndef SL_EVIDENCE_UNMATCHED_H
#define SL_EVIDENCE_UNMATCHED_H

#include "sl_evidence.h"

struct ev_unmatched;

/** @param window_s how far to look back. @return NULL without memory */
struct ev_unmatched *ev_unmatched_new(struct sl_evidence *ev, uint64_t window_s);
void ev_unmatched_free(struct ev_unmatched *u); /* NULL allowed */
/** Go on, about as much as `budget` judgements; from the begin if another policy comes into force.
 * @return true when it is done (or memory ran out: ev_unmatched_failed()) */
bool ev_unmatched_step(struct ev_unmatched *u, unsigned budget);
bool ev_unmatched_failed(const struct ev_unmatched *u);
/** Of the policy that was asked about, 0: none. */
uint64_t ev_unmatched_generation(const struct ev_unmatched *u);
/** Once it is done. @param rule place in that policy's rules */
bool ev_unmatched_is(const struct ev_unmatched *u, unsigned rule);

/**
 * Does the evidence tell about a whole window? Gaps of a restart are borne, up to a hundredth of
 * it; a lost flow is not, for any rule may have decided it.
 */
bool ev_unmatched_covers(const struct sl_coverage *c);

#endif
