/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_wire.h"

/** Exact length of each message type; of data the least. */
static const uint16_t type_len[] = {
	[SL_WIRE_INITIATION] = SL_WIRE_INITIATION_LEN,
	[SL_WIRE_RESPONSE] = SL_WIRE_RESPONSE_LEN,
	[SL_WIRE_COOKIE] = SL_WIRE_COOKIE_LEN,
	[SL_WIRE_DATA] = SL_WIRE_DATA_MIN,
};

enum sl_wire_type
sl_wire_classify(const void *payload, size_t len, bool *bad_length)
{
	uint32_t type;
	bool good;

	if (bad_length != NULL)
		*bad_length = false;
	if (len < 4)
		return SL_WIRE_INVALID;
	type = sl_load_le32(payload); /* one type byte and three that are zero */
	if (type < SL_WIRE_INITIATION || type > SL_WIRE_DATA)
		return SL_WIRE_INVALID;
	good = type == SL_WIRE_DATA ? len >= SL_WIRE_DATA_MIN : len == type_len[type];
	if (!good && bad_length != NULL)
		*bad_length = true;
	return good ? (enum sl_wire_type)type : SL_WIRE_INVALID;
}
