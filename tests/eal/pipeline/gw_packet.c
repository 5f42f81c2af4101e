/* SPDX-License-Identifier: BSD-3-Clause */
#include "gw_packet.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <string.h>

static const uint8_t stranger_mac[6] = {0x02, 0xaa, 0, 0, 0, 9};

static void
put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t
sum(const uint8_t *p, size_t n, uint32_t s)
{
	size_t i;

	for (i = 0; i + 1 < n; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	if (n & 1)
		s += (uint32_t)p[n - 1] << 8;
	return s;
}

uint16_t
gw_csum(const uint8_t *p, size_t n, uint32_t s)
{
	s = sum(p, n, s);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

void
gw_fix4(struct gw_pkt *p)
{
	put16(p->b + 10, 0);
	put16(p->b + 10, gw_csum(p->b, (p->b[0] & 15) * 4u, 0));
}

void
gw_ip(struct gw_pkt *p, const char *src, const char *dst, uint8_t proto, const void *payload,
      unsigned n)
{
	if (strchr(src, ':') == NULL) {
		memset(p->b, 0, 20);
		p->b[0] = 0x45;
		put16(p->b + 2, 20 + n);
		p->b[8] = 64;
		p->b[9] = proto;
		inet_pton(AF_INET, src, p->b + 12);
		inet_pton(AF_INET, dst, p->b + 16);
		gw_fix4(p);
		p->len = 20;
	} else {
		memset(p->b, 0, 40);
		p->b[0] = 0x60;
		put16(p->b + 4, n);
		p->b[6] = proto;
		p->b[7] = 64;
		inet_pton(AF_INET6, src, p->b + 8);
		inet_pton(AF_INET6, dst, p->b + 24);
		p->len = 40;
	}
	memmove(p->b + p->len, payload, n);
	p->len += n;
}

/* Checksum of the upper header at `at` with the pseudo header of the packet. */
static void
fix_l4(struct gw_pkt *p, unsigned at, unsigned field, uint8_t proto, bool pseudo)
{
	unsigned n = p->len - at;
	uint32_t s = 0;
	uint16_t c;

	put16(p->b + at + field, 0);
	if (pseudo) {
		s = proto + n;
		s = p->b[0] >> 4 == 4 ? sum(p->b + 12, 8, s) : sum(p->b + 8, 32, s);
	}
	c = gw_csum(p->b + at, n, s);
	put16(p->b + at + field, c == 0 && proto == 17 ? 0xffff : c);
}

void
gw_udp(struct gw_pkt *p, const char *src, const char *dst, uint16_t sport, uint16_t dport,
       const void *payload, unsigned n)
{
	static uint8_t udp[GW_PKT_MAX];

	put16(udp, sport);
	put16(udp + 2, dport);
	put16(udp + 4, 8 + n);
	put16(udp + 6, 0);
	memcpy(udp + 8, payload, n);
	gw_ip(p, src, dst, 17, udp, 8 + n);
	fix_l4(p, p->len - 8 - n, 6, 17, true);
}

void
gw_echo(struct gw_pkt *p, const char *src, const char *dst, unsigned n)
{
	const bool v6 = strchr(src, ':') != NULL;
	static uint8_t icmp[GW_PKT_MAX];
	unsigned i;

	memset(icmp, 0, 8);
	icmp[0] = v6 ? 128 : 8;
	put16(icmp + 4, 0x1234);
	put16(icmp + 6, 1);
	for (i = 0; i < n; i++)
		icmp[8 + i] = (uint8_t)i;
	gw_ip(p, src, dst, v6 ? 58 : 1, icmp, 8 + n);
	fix_l4(p, p->len - 8 - n, 2, 58, v6);
}

void
gw_eth(struct gw_pkt *p, const uint8_t dst[6], uint16_t vlan)
{
	const unsigned l2 = vlan != 0 ? 18 : 14;
	const unsigned type = p->b[0] >> 4 == 4 ? 0x0800 : p->b[0] >> 4 == 6 ? 0x86dd : 0x0806;

	memmove(p->b + l2, p->b, p->len);
	memcpy(p->b, dst, 6);
	memcpy(p->b + 6, stranger_mac, 6);
	if (vlan != 0) {
		put16(p->b + 12, 0x8100);
		put16(p->b + 14, vlan);
	}
	put16(p->b + l2 - 2, type);
	p->len += l2;
}

void
gw_pull(struct gw_pkt *p, unsigned n)
{
	p->len -= n;
	memmove(p->b, p->b + n, p->len);
}

void
gw_pad(struct gw_pkt *p, unsigned n)
{
	memset(p->b + p->len, 0, n);
	p->len += n;
}

static void
nonce_of(uint8_t nonce[12], uint64_t counter)
{
	unsigned i;

	memset(nonce, 0, 4);
	for (i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

void
gw_seal(struct gw_pkt *out, const struct gw_session *s, uint64_t counter,
	const struct gw_pkt *inner)
{
	static uint8_t text[GW_PKT_MAX];
	unsigned n = (inner->len + 15) & ~15u;
	unsigned long long sealed;
	uint8_t nonce[12];

	memset(text, 0, n);
	memcpy(text, inner->b, inner->len);
	nonce_of(nonce, counter);
	memset(out->b, 0, 4);
	out->b[0] = 4;
	memcpy(out->b + 4, &s->index, 4);
	memcpy(out->b + 8, &counter, 8);
	crypto_aead_chacha20poly1305_ietf_encrypt(out->b + 16, &sealed, text, n, NULL, 0, NULL,
						  nonce, s->to_gw);
	out->len = 16 + (unsigned)sealed;
}

bool
gw_open(struct gw_pkt *out, const struct gw_session *s, const uint8_t *msg, unsigned len,
	uint64_t *counter)
{
	unsigned long long n;
	uint8_t nonce[12];

	if (len < 32 || memcmp(msg, "\4\0\0\0", 4) != 0 ||
	    memcmp(msg + 4, &s->remote_index, 4) != 0)
		return false;
	memcpy(counter, msg + 8, 8);
	nonce_of(nonce, *counter);
	if (crypto_aead_chacha20poly1305_ietf_decrypt(out->b, &n, NULL, msg + 16, len - 16, NULL, 0,
						      nonce, s->from_gw) != 0)
		return false;
	out->len = (unsigned)n;
	return true;
}
