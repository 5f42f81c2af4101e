/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Logins that were refused, counted for an audit. Who has no login must not fill it: a few sources
 * alone are told apart (of IPv6 by their /64), the others are one, and after many records the next
 * ones take longer.
 */
#ifndef SL_RPC_REFUSED_H
#define SL_RPC_REFUSED_H

#include "sl_addr.h"

#define REFUSED_SOURCES 16

struct refused_source {
	char name[SL_IP_STR + 4]; /* "192.0.2.1", "2001:db8::/64", "-", "others" */
	uint64_t n;
};

struct refused {
	struct refused_source
		source[REFUSED_SOURCES + 1]; /* of a full table the last is all others */
	unsigned n;
};

/** One more. @param from NULL: its address is told nowhere */
void refused_count(struct refused *r, const struct sl_ip *from);
/** How long to collect before the next records. @param told how many sources the last ones told of
 */
unsigned refused_wait_s(unsigned told);

#endif
