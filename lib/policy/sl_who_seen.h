/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the identity said about one source: kept with its peer, so that the next flow of the same
 * source need not look it up. Holds no pointer, and speaks of one version of the identity alone.
 */
#ifndef SL_WHO_SEEN_H
#define SL_WHO_SEEN_H

#include "sl_base.h"

/** All zero: nothing. */
struct sl_who_seen {
	uint8_t src[16];     /* IPv4: the first 4 bytes */
	uint64_t generation; /* of the identity */
	uint32_t peer_id;
	uint32_t src_at, peer_at; /* places of their classes, SL_LPM_NONE */
	uint16_t iface;
	uint8_t version; /* 4 or 6; 0: nothing */
	uint8_t pad;
};
_Static_assert(sizeof(struct sl_who_seen) == 40, "beside other things in a line of its peer");

#endif
