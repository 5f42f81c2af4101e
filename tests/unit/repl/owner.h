/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The owner of a replicated state, for tests: a gateway that keeps what it receives in a replica
 * and does nothing else with it. It checks what a subscriber may rely on: that each transaction
 * follows the last one, that a snapshot's count and sum are right.
 */
#ifndef SL_TEST_OWNER_H
#define SL_TEST_OWNER_H

#include "sl_repl.h"
#include "sl_replica.h"

struct owner {
	struct sl_sub *sub;		/* set by the test */
	struct sl_repl_schemas schemas; /* zero: those of this program */
	struct sl_replica *replica, *shadow;
	struct sl_position pos, shadow_pos;
	bool up;
	unsigned ups, downs;
	unsigned snapshots, parts, txns, aborts, heartbeats;
	unsigned wrong;	 /* what no source should send: a del of what is not there */
	unsigned broken; /* what no subscriber may hand on, whatever its source sends */
	uint64_t head;
	char reason[40]; /* of the last snapshot */
	char down_reason[40];
	bool any_epoch; /* somebody has confirmed */
	/* faults on demand */
	struct sl_error refuse_txn; /* err set: each txn is refused with it, and folded */
	bool false_sum;		    /* pos.sum is changed: as if a bit had flipped */
	bool defer;		    /* done later, by owner_go() */
	bool waiting;
	/* each new state; NULL: none */
	void (*state)(struct owner *o, const char *why);
	void *ctx;
};

extern const struct sl_sub_ops owner_ops;
void owner_init(struct owner *o);
void owner_free(struct owner *o);
/** What was deferred is done. */
void owner_go(struct owner *o);

#endif
