/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_stats.h"

#define SUB (1u << SL_HIST_SUB_BITS)

void
sl_hist_merge(struct sl_hist *to, const struct sl_hist *from)
{
	for (unsigned i = 0; i < SL_HIST_BUCKETS; i++)
		to->n[i] += from->n[i];
}

uint64_t
sl_hist_count(const struct sl_hist *h)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SL_HIST_BUCKETS; i++)
		sum += h->n[i];
	return sum;
}

uint64_t
sl_hist_below(const struct sl_hist *h, uint64_t bound)
{
	unsigned end = sl_hist_bucket(bound);
	uint64_t sum = 0;

	for (unsigned i = 0; i < end; i++)
		sum += h->n[i];
	return sum;
}

/* The middle of a bucket: at most half its width, 1/32 of its lower end, from all it holds. */
static uint64_t
bucket_middle(unsigned bucket)
{
	unsigned scale = bucket < 2 * SUB ? 0 : (bucket >> SL_HIST_SUB_BITS) - 1;
	uint64_t low = (uint64_t)(bucket - (scale << SL_HIST_SUB_BITS)) << scale;

	return low + ((UINT64_C(1) << scale) - 1) / 2;
}

uint64_t
sl_hist_quantile(const struct sl_hist *h, unsigned per_million)
{
	uint64_t count = sl_hist_count(h), rank, seen = 0;

	if (count == 0)
		return 0;
	rank = (uint64_t)(((unsigned __int128)count * SL_MIN(per_million, 1000000u) + 999999) /
			  1000000);
	rank = SL_MAX(rank, 1);
	for (unsigned i = 0; i < SL_HIST_BUCKETS; i++) {
		seen += h->n[i];
		if (seen >= rank)
			return bucket_middle(i);
	}
	return bucket_middle(SL_HIST_BUCKETS - 1);
}
