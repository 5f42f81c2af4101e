/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * IP addresses, prefixes and endpoints as values, and their text forms.
 *
 * Pure; bytes are in network order; ports are in host order.
 */
#ifndef SL_ADDR_H
#define SL_ADDR_H

#include "sl_base.h"

struct sockaddr_storage;

#define SL_IP_STR 46	   /* "ffff:...:255.255.255.255" and a zero */
#define SL_PREFIX_STR 50   /* address, '/', up to 128, zero */
#define SL_ENDPOINT_STR 56 /* "[v6]:65535" and a zero */

struct sl_ip {
	uint8_t family; /* 4, 6, or 0 for none */
	uint8_t pad[3];
	uint8_t b[16]; /* IPv4: the first four */
};

struct sl_prefix {
	struct sl_ip ip;
	uint8_t len; /* 0-32 or 0-128 */
};

struct sl_endpoint {
	struct sl_ip ip;
	uint16_t port;
};

/** @return number of address bytes: 4, 16 or 0. */
static inline unsigned
sl_ip_bytes(const struct sl_ip *ip)
{
	return ip->family == 4 ? 4 : ip->family == 6 ? 16 : 0;
}

struct sl_ip sl_ip_v4(const uint8_t b[4]);
struct sl_ip sl_ip_v6(const uint8_t b[16]);
bool sl_ip_equal(const struct sl_ip *a, const struct sl_ip *b);
/** -1, 0, 1: family first, then bytes. */
int sl_ip_cmp(const struct sl_ip *a, const struct sl_ip *b);
bool sl_prefix_equal(const struct sl_prefix *a, const struct sl_prefix *b);
bool sl_prefix_contains(const struct sl_prefix *p, const struct sl_ip *ip);
/** @return true if the two prefixes share an address. */
bool sl_prefix_overlaps(const struct sl_prefix *a, const struct sl_prefix *b);
/** Clear the host bits. @return true if any was set. */
bool sl_prefix_mask(struct sl_prefix *p);

/** @return 0 or -EINVAL. Dotted quad or RFC 4291 text; no zone id. */
int sl_ip_parse(const char *s, struct sl_ip *ip);
/** "addr/len"; a bare address means /32 or /128. Host bits stay. @return 0 or -EINVAL. */
int sl_prefix_parse(const char *s, struct sl_prefix *p);
/** "1.2.3.4:51820" or "[2001:db8::1]:51820"; port 1-65535. @return 0 or -EINVAL. */
int sl_endpoint_parse(const char *s, struct sl_endpoint *e);

/** As connect() and bind() take it. @return its length in bytes. */
unsigned sl_endpoint_sockaddr(const struct sl_endpoint *e, struct sockaddr_storage *out);

const char *sl_ip_str(const struct sl_ip *ip, char buf[SL_IP_STR]);
const char *sl_prefix_str(const struct sl_prefix *p, char buf[SL_PREFIX_STR]);
const char *sl_endpoint_str(const struct sl_endpoint *e, char buf[SL_ENDPOINT_STR]);

#endif
