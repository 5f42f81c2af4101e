/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

static unsigned
max_len(const struct sl_ip *ip)
{
	return 8 * sl_ip_bytes(ip);
}

struct sl_ip
sl_ip_v4(const uint8_t b[4])
{
	struct sl_ip ip = {.family = 4};

	memcpy(ip.b, b, 4);
	return ip;
}

struct sl_ip
sl_ip_v6(const uint8_t b[16])
{
	struct sl_ip ip = {.family = 6};

	memcpy(ip.b, b, 16);
	return ip;
}

bool
sl_ip_equal(const struct sl_ip *a, const struct sl_ip *b)
{
	return a->family == b->family && memcmp(a->b, b->b, sl_ip_bytes(a)) == 0;
}

int
sl_ip_cmp(const struct sl_ip *a, const struct sl_ip *b)
{
	int c;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	c = memcmp(a->b, b->b, sl_ip_bytes(a));
	return (c > 0) - (c < 0);
}

/** @return true if the first n bits of two byte strings are equal. */
static bool
bits_equal(const uint8_t *a, const uint8_t *b, unsigned n)
{
	unsigned rest = n % 8;

	if (memcmp(a, b, n / 8) != 0)
		return false;
	return rest == 0 || ((a[n / 8] ^ b[n / 8]) >> (8 - rest)) == 0;
}

bool
sl_prefix_equal(const struct sl_prefix *a, const struct sl_prefix *b)
{
	return a->len == b->len && sl_ip_equal(&a->ip, &b->ip);
}

bool
sl_prefix_contains(const struct sl_prefix *p, const struct sl_ip *ip)
{
	if (p->ip.family != ip->family || sl_ip_bytes(ip) == 0)
		return false;
	return bits_equal(p->ip.b, ip->b, SL_MIN(p->len, max_len(ip)));
}

bool
sl_prefix_overlaps(const struct sl_prefix *a, const struct sl_prefix *b)
{
	return a->len <= b->len ? sl_prefix_contains(a, &b->ip) : sl_prefix_contains(b, &a->ip);
}

bool
sl_prefix_mask(struct sl_prefix *p)
{
	uint8_t set = 0;
	unsigned i, keep;

	for (i = 0; i < sl_ip_bytes(&p->ip); i++) {
		keep = p->len >= 8 * (i + 1) ? 8 : p->len > 8 * i ? p->len - 8 * i : 0;
		set |= p->ip.b[i] & (0xff >> keep);
		p->ip.b[i] &= (uint8_t) ~(0xff >> keep);
	}
	return set != 0;
}

/** Decimal digits without sign or leading zero, at most `max`. @return -1 if it is none. */
static int
parse_number(const char *s, unsigned max)
{
	unsigned v = 0;

	if (*s == '\0' || (s[0] == '0' && s[1] != '\0'))
		return -1;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9')
			return -1;
		v = v * 10 + (unsigned)(*s - '0');
		if (v > max)
			return -1;
	}
	return (int)v;
}

int
sl_ip_parse(const char *s, struct sl_ip *ip)
{
	uint8_t b[16];

	if (inet_pton(AF_INET, s, b) == 1) {
		*ip = sl_ip_v4(b);
		return 0;
	}
	if (inet_pton(AF_INET6, s, b) == 1) {
		*ip = sl_ip_v6(b);
		return 0;
	}
	return -EINVAL;
}

/** Parse the n characters at s as an address. */
static int
parse_ip_part(const char *s, size_t n, struct sl_ip *ip)
{
	char buf[SL_IP_STR];

	if (n >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, s, n);
	buf[n] = '\0';
	return sl_ip_parse(buf, ip);
}

int
sl_prefix_parse(const char *s, struct sl_prefix *p)
{
	const char *slash = strchr(s, '/');
	struct sl_ip ip;
	int len;

	if (parse_ip_part(s, slash == NULL ? strlen(s) : (size_t)(slash - s), &ip) < 0)
		return -EINVAL;
	len = slash == NULL ? (int)max_len(&ip) : parse_number(slash + 1, max_len(&ip));
	if (len < 0)
		return -EINVAL;
	p->ip = ip;
	p->len = (uint8_t)len;
	return 0;
}

int
sl_endpoint_parse(const char *s, struct sl_endpoint *e)
{
	const char *colon = strrchr(s, ':');
	struct sl_ip ip;
	uint8_t family = 4;
	size_t n;
	int port;

	if (colon == NULL)
		return -EINVAL;
	n = (size_t)(colon - s);
	if (s[0] == '[') {
		if (n < 2 || s[n - 1] != ']')
			return -EINVAL;
		s++;
		n -= 2;
		family = 6;
	}
	port = parse_number(colon + 1, 65535);
	if (port <= 0 || parse_ip_part(s, n, &ip) < 0 || ip.family != family)
		return -EINVAL;
	e->ip = ip;
	e->port = (uint16_t)port;
	return 0;
}

unsigned
sl_endpoint_sockaddr(const struct sl_endpoint *e, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *s6 = (void *)out;
	struct sockaddr_in *s4 = (void *)out;

	*out = (struct sockaddr_storage){0};
	if (e->ip.family == 4) {
		s4->sin_family = AF_INET;
		s4->sin_port = htons(e->port);
		memcpy(&s4->sin_addr, e->ip.b, 4);
		return sizeof(*s4);
	}
	s6->sin6_family = AF_INET6;
	s6->sin6_port = htons(e->port);
	memcpy(&s6->sin6_addr, e->ip.b, 16);
	return sizeof(*s6);
}

const char *
sl_ip_str(const struct sl_ip *ip, char buf[SL_IP_STR])
{
	if (sl_ip_bytes(ip) == 0)
		memcpy(buf, "none", 5);
	else
		inet_ntop(ip->family == 4 ? AF_INET : AF_INET6, ip->b, buf, SL_IP_STR);
	return buf;
}

const char *
sl_prefix_str(const struct sl_prefix *p, char buf[SL_PREFIX_STR])
{
	char ip[SL_IP_STR];

	snprintf(buf, SL_PREFIX_STR, "%s/%u", sl_ip_str(&p->ip, ip), p->len);
	return buf;
}

const char *
sl_endpoint_str(const struct sl_endpoint *e, char buf[SL_ENDPOINT_STR])
{
	char ip[SL_IP_STR];

	snprintf(buf, SL_ENDPOINT_STR, e->ip.family == 6 ? "[%s]:%u" : "%s:%u",
		 sl_ip_str(&e->ip, ip), e->port);
	return buf;
}
