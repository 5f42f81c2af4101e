/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_record.h"

#define TICKS_PER_S 10
#define MILLI 1000

void
sl_rec_buckets_init(struct sl_rec_buckets *b, unsigned per_s)
{
	b->per_s = SL_MIN(SL_MAX(per_s, 1u), UINT32_MAX / (2 * MILLI));
	for (unsigned t = 0; t < SL_REC_TYPES; t++)
		for (unsigned i = 0; i < SL_REC_BUCKETS; i++) {
			b->b[t][i].tick = 0;
			b->b[t][i].milli = b->per_s * MILLI;
		}
}

bool
sl_rec_token(struct sl_rec_buckets *b, enum sl_rec_type t, unsigned role, uint32_t tick)
{
	unsigned i = SL_MIN(role, SL_REC_BUCKETS - 1u);
	uint32_t passed = tick - b->b[t][i].tick, milli = b->b[t][i].milli;
	uint32_t full = b->per_s * MILLI;

	if (passed >= TICKS_PER_S)
		milli = full;
	else if (passed > 0)
		milli = SL_MIN(milli + passed * b->per_s * (MILLI / TICKS_PER_S), full);
	b->b[t][i].tick = tick;
	b->b[t][i].milli = milli < MILLI ? milli : milli - MILLI;
	return milli >= MILLI;
}
