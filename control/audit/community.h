/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Community ID version 1 (github.com/corelight/community-id-spec): one text for both directions of
 * a flow, the same in other tools. SHA-1 is part of that format and secures nothing.
 */
#ifndef SL_DRAIN_COMMUNITY_H
#define SL_DRAIN_COMMUNITY_H

#include "sl_base.h"

#define SL_COMMUNITY_LEN 30 /* "1:" and 28 characters */

struct sl_community;
struct sl_community *sl_community_new(void); /* NULL without memory or SHA-1 */
void sl_community_free(struct sl_community *c);

/**
 * @param version 4 or 6; @param has_ports TCP, UDP, SCTP, and ICMP with type and counterpart as
 * ports; without, ports do not count
 * @param out SL_COMMUNITY_LEN characters, no zero. @return false if the hash fails
 */
bool sl_community_id(struct sl_community *c, uint16_t seed, unsigned version, uint8_t proto,
		     const uint8_t *src, const uint8_t *dst, bool has_ports, uint16_t sport,
		     uint16_t dport, char out[SL_COMMUNITY_LEN]);

#endif
