/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_wire.h"

#define NS_PER_S UINT64_C(1000000000)
/* TAI64 second 2^62 is the beginning of 1970 TAI, which was 10 s ahead of UTC (cr.yp.to/libtai) */
#define TAI64_EPOCH ((UINT64_C(1) << 62) + 10)

void
sl_tai64n(uint8_t out[SL_TAI64N_LEN], uint64_t wall_ns)
{
	sl_store_be64(out, TAI64_EPOCH + wall_ns / NS_PER_S);
	sl_store_be32(out + 8, (uint32_t)(wall_ns % NS_PER_S));
}

uint64_t
sl_tai64n_wall_ns(const uint8_t ts[SL_TAI64N_LEN])
{
	uint64_t s = sl_load_be64(ts);
	uint32_t ns = sl_load_be32(ts + 8);
	uint64_t wall;

	if (s < TAI64_EPOCH)
		return 0;
	if (__builtin_mul_overflow(s - TAI64_EPOCH, NS_PER_S, &wall) ||
	    __builtin_add_overflow(wall, ns, &wall))
		return UINT64_MAX;
	return wall;
}

int
sl_tai64n_cmp(const uint8_t a[SL_TAI64N_LEN], const uint8_t b[SL_TAI64N_LEN])
{
	return memcmp(a, b, SL_TAI64N_LEN);
}
