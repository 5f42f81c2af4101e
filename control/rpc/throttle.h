/* SPDX-License-Identifier: BSD-3-Clause */
/** @file How long a source of refused logins has to wait. Of bounded size; time is passed in. */
#ifndef SL_RPC_THROTTLE_H
#define SL_RPC_THROTTLE_H

#include "sl_addr.h"

#define THROTTLE_SOURCES 512
#define THROTTLE_FREE 5 /* refusals that cost nothing */
#define THROTTLE_FORGET_NS (900ULL * 1000000000ULL)

struct throttle_source {
	struct sl_ip ip; /* IPv6: of a /64; family 0: free */
	unsigned refusals;
	uint64_t last_ns, until_ns;
};

struct throttle {
	struct throttle_source source[THROTTLE_SOURCES];
};

/** Who is one and the same: the address, of IPv6 its /64. */
struct sl_ip throttle_source_of(const struct sl_ip *ip);
/** @return milliseconds that `ip` has still to wait; 0: it may try */
uint32_t throttle_wait_ms(const struct throttle *t, const struct sl_ip *ip, uint64_t now_ns);
/** Its login was refused. The source that was quiet for the longest time is forgotten for it. */
void throttle_refused(struct throttle *t, const struct sl_ip *ip, uint64_t now_ns);

#endif
