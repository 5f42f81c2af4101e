/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Replay window of 8,192 bits, 8,128 usable (WireGuard paper 5.4.6; RFC 6479: a ring of words, no
 * shifts).
 *
 * A zeroed window is ready for use. Not safe for concurrent use: its writer is the owner of the
 * keypair. Counters >= SL_WG_REJECT_AFTER_MESSAGES are never accepted.
 */
#ifndef SL_REPLAY_H
#define SL_REPLAY_H

#include "sl_base.h"

#define SL_REPLAY_BITS 8192
#define SL_REPLAY_WINDOW (SL_REPLAY_BITS - 64)

struct sl_replay {
	uint64_t next; /* greatest accepted counter + 1; 0 = nothing yet */
	uint64_t bitmap[SL_REPLAY_BITS / 64];
};

/** Cheap const check before the cipher. @return true if the counter could be accepted now. */
bool sl_replay_check(const struct sl_replay *r, uint64_t counter);
/** Check and mark, after the tag matched. @return true if the counter is new and inside the window.
 */
bool sl_replay_commit(struct sl_replay *r, uint64_t counter);

#endif
