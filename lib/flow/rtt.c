/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_rtt.h"

void
sl_rtt_add(struct sl_rtt *r, uint64_t generation, unsigned target, uint64_t us)
{
	_Atomic uint32_t *n;

	if (target >= SL_RTT_TARGETS)
		return;
	if (sl_unlikely(atomic_load_explicit(&r->generation, memory_order_relaxed) != generation)) {
		/* a reader in between finds a generation that nobody asks for */
		atomic_store_explicit(&r->generation, 0, memory_order_release);
		for (unsigned t = 0; t < SL_RTT_TARGETS; t++)
			for (unsigned b = 0; b < SL_RTT_BUCKETS; b++)
				atomic_store_explicit(&r->n[t][b], 0, memory_order_relaxed);
		atomic_store_explicit(&r->generation, generation, memory_order_release);
	}
	n = &r->n[target][sl_rtt_bucket(us)];
	atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

bool
sl_rtt_merge(uint64_t to[SL_RTT_BUCKETS], const struct sl_rtt *from, uint64_t generation,
	     unsigned target)
{
	if (target >= SL_RTT_TARGETS ||
	    atomic_load_explicit(&from->generation, memory_order_acquire) != generation)
		return false;
	for (unsigned b = 0; b < SL_RTT_BUCKETS; b++)
		to[b] += atomic_load_explicit(&from->n[target][b], memory_order_relaxed);
	return true;
}

uint64_t
sl_rtt_count(const uint64_t n[SL_RTT_BUCKETS])
{
	uint64_t sum = 0;

	for (unsigned b = 0; b < SL_RTT_BUCKETS; b++)
		sum += n[b];
	return sum;
}

uint64_t
sl_rtt_quantile(const uint64_t n[SL_RTT_BUCKETS], unsigned per_million)
{
	uint64_t count = sl_rtt_count(n), rank, seen = 0;
	unsigned b = 0;

	if (count == 0)
		return 0;
	rank = SL_MAX((count * SL_MIN(per_million, 1000000u) + 999999) / 1000000, (uint64_t)1);
	while (b < SL_RTT_BUCKETS - 1 && (seen += n[b]) < rank)
		b++;
	/* [2^o, 1.5 * 2^o) and [1.5 * 2^o, 2^(o+1)) */
	return b < 2 ? b : ((UINT64_C(1) << (b / 2)) * (b % 2 ? 7 : 5)) / 4;
}
