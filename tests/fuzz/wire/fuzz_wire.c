/* SPDX-License-Identifier: BSD-3-Clause */
/* Any datagram to a listen port: its type, and the timestamp that an initiation could carry. */
#include "../require.h"
#include "sl_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_type(const uint8_t *data, size_t size)
{
	static const size_t len[] = {0, SL_WIRE_INITIATION_LEN, SL_WIRE_RESPONSE_LEN,
				     SL_WIRE_COOKIE_LEN};
	bool bad;
	enum sl_wire_type t = sl_wire_classify(data, size, &bad);

	require(t == sl_wire_classify(data, size, NULL));
	require(t == SL_WIRE_INVALID || !bad);
	if (t != SL_WIRE_INVALID)
		require(data[0] == t && data[1] == 0 && data[2] == 0 && data[3] == 0);
	if (t == SL_WIRE_DATA)
		require(size >= SL_WIRE_DATA_MIN);
	else if (t != SL_WIRE_INVALID)
		require(size == len[t]);
}

static void
check_timestamp(const uint8_t *ts)
{
	uint8_t back[SL_TAI64N_LEN];
	uint64_t ns = sl_tai64n_wall_ns(ts);

	sl_tai64n(back, ns);
	require(sl_tai64n_wall_ns(back) == ns);
	require(sl_tai64n_cmp(ts, ts) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_type(data, size);
	if (size >= SL_TAI64N_LEN)
		check_timestamp(data + size - SL_TAI64N_LEN);
	return 0;
}
