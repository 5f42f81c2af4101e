/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * How long servers take to answer: the time from a SYN that came out of a tunnel to its SYN-ACK, by
 * target of the policy, as a histogram of a worker. Two buckets an octave of microseconds. One
 * writer, the worker; control reads at any time and may see a sum that is a moment old.
 *
 * Targets are places in the compiled policy (struct sl_polset): a new policy begins anew. Those
 * beyond the first SL_RTT_TARGETS are not measured.
 */
#ifndef SL_RTT_H
#define SL_RTT_H

#include <stdatomic.h>

#include "sl_base.h"

#define SL_RTT_TARGETS 256
#define SL_RTT_BUCKETS 52 /* up to 2^26 us, 67 s */

struct sl_rtt {
	_Atomic uint64_t generation;			    /* w: worker */
	_Atomic uint32_t n[SL_RTT_TARGETS][SL_RTT_BUCKETS]; /* w: worker */
};

/** The half octave of a time. */
static inline unsigned
sl_rtt_bucket(uint64_t us)
{
	unsigned octave = us < 2 ? 0 : 63 - (unsigned)__builtin_clzll(us);
	unsigned b = 2 * octave + (octave > 0 && (us >> (octave - 1) & 1));

	return SL_MIN(b, (unsigned)SL_RTT_BUCKETS - 1);
}

/** Worker: an answer. @param generation of the policy that `target` is a place of */
void sl_rtt_add(struct sl_rtt *r, uint64_t generation, unsigned target, uint64_t us);
/** Add the counts of a target to `to`. @return false: of another policy, nothing was added */
bool sl_rtt_merge(uint64_t to[SL_RTT_BUCKETS], const struct sl_rtt *from, uint64_t generation,
		  unsigned target);
/** The middle of the bucket where the quantile lies, microseconds; 0: no counts. */
uint64_t sl_rtt_quantile(const uint64_t n[SL_RTT_BUCKETS], unsigned per_million);
uint64_t sl_rtt_count(const uint64_t n[SL_RTT_BUCKETS]);

#endif
