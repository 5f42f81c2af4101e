/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The verdict on new flows: who (role classes), where (zone and target), the votes of the
 * classified rules. The data path, explain and replay call this one function on the published
 * tables.
 *
 * Stateless but for `seen`; any lcore that holds a version (one RCU read side).
 */
#ifndef SL_JUDGE_H
#define SL_JUDGE_H

#include "sl_acl.h"
#include "sl_who_seen.h"

/** What a root holds of policy. All NULL: no policy is loaded, nobody has a role. */
struct sl_policy_view {
	const struct sl_polset *set;
	const struct sl_acl *acl;
	const struct sl_identity *who;
};

/** A flow in the direction of its initiator. */
struct sl_judge_flow {
	struct sl_polset_flow f;  /* ports 0 unless TCP or UDP */
	bool from_inside;	  /* the initiator is inside, the responder a tunnel peer */
	uint32_t peer_id;	  /* the tunnel peer at the other end, or that initiates */
	struct sl_who_seen *seen; /* the caller's, read and written; NULL: look all up */
};

enum sl_judge_flags {
	SL_JUDGE_MULTI_ROLE = 1, /* more than one role of the subject */
	SL_JUDGE_STALE = 2,	 /* a role served past its expiry took part */
};

struct sl_judgement {
	bool allow;
	uint8_t why;   /* enum sl_why */
	uint8_t flags; /* enum sl_judge_flags */
	uint16_t role; /* of the deciding rule; no rule: the lowest role of the subject; else
			  SL_POL_NONE16 */
	uint16_t zone, target;	/* of the destination, SL_POL_NONE16: none; why is WITHDRAWN: the
				   target that is */
	uint32_t rule;		/* place in set->rules, SL_POL_NONE */
	uint32_t deadline_tick; /* earliest end of a role or of the deciding rule; 0: none */
	uint32_t src_stamp, peer_stamp; /* of the classes; 0: none */
};

/** @param tick of now; @param n any number, worked on in bursts */
void sl_judge(const struct sl_policy_view *v, uint32_t tick, const struct sl_judge_flow flow[],
	      struct sl_judgement out[], unsigned n);

/**
 * Would sl_judge() find the same classes as it did for this flow? The cheap half of a re-judgement
 * when only the identity has changed.
 */
bool sl_judge_same_who(const struct sl_policy_view *v, const struct sl_judge_flow *flow,
		       uint32_t src_stamp, uint32_t peer_stamp);

#endif
