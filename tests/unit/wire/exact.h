/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Test helpers: packets in buffers of exactly their size, so that a sanitizer sees every byte read
 * or written beyond; the naive checksum. Include after cmocka.h.
 */
#ifndef EXACT_H
#define EXACT_H

#include <stdlib.h>

#include "../unhex.h"
#include "packets.h"
#include "sl_ip.h"

struct exact {
	uint8_t *p;
	size_t len;
};

static inline struct exact
exact_copy(const uint8_t *p, size_t len)
{
	struct exact e = {.p = malloc(len), .len = len};

	memcpy(e.p, p, len);
	return e;
}

static inline struct exact
exact_hex(const char *hex)
{
	struct exact e = {.p = malloc(strlen(hex) / 2)};

	e.len = unhex(hex, e.p);
	return e;
}

static inline enum sl_drop
exact_parse(const struct exact *e, struct sl_ip_info *info)
{
	return sl_ip_parse_packet(e->p, e->len, true, info);
}

/** Parse a packet that must be good. */
static inline struct exact
exact_good(const char *hex, struct sl_ip_info *info)
{
	struct exact e = exact_hex(hex);

	assert_int_equal(exact_parse(&e, info), SL_DROP_NONE);
	return e;
}

/** RFC 1071 as written there: big-endian words, one at a time. @return inverted, host order */
static inline uint16_t
naive_csum(const uint8_t *p, size_t len, uint32_t start)
{
	uint32_t sum = start;
	size_t i;

	for (i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

/** Big-endian sum of the pseudo header, for naive_csum(). */
static inline uint32_t
naive_pseudo(const struct sl_ip_info *ip, size_t l4_len)
{
	unsigned n = ip->version == 4 ? 4 : 16;

	if (ip->version == 4 && ip->proto == 1)
		return 0;
	return (uint16_t)~naive_csum(ip->src, n, 0) + (uint16_t)~naive_csum(ip->dst, n, 0) +
	       ip->proto + (uint32_t)l4_len;
}

/** Write the IPv4 header checksum anew. */
static inline void
fix_ip4(uint8_t *p)
{
	uint16_t c;

	p[10] = p[11] = 0;
	c = naive_csum(p, (p[0] & 15) * 4u, 0);
	p[10] = (uint8_t)(c >> 8);
	p[11] = (uint8_t)c;
}

/** Write the checksum at csum_off of the upper header anew. */
static inline void
fix_l4(uint8_t *p, const struct sl_ip_info *ip, unsigned csum_off)
{
	size_t n = (size_t)ip->total_len - ip->l4_off;
	uint8_t *l4 = p + ip->l4_off;
	uint16_t c;

	l4[csum_off] = l4[csum_off + 1] = 0;
	c = naive_csum(l4, n, naive_pseudo(ip, n));
	l4[csum_off] = (uint8_t)(c >> 8);
	l4[csum_off + 1] = (uint8_t)c;
}

#endif
