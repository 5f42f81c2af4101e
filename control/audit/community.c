/* SPDX-License-Identifier: BSD-3-Clause */
#include "community.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct sl_community {
	EVP_MD *sha1;
	EVP_MD_CTX *ctx;
};

struct sl_community *
sl_community_new(void)
{
	struct sl_community *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	c->ctx = EVP_MD_CTX_new();
	if (c->sha1 == NULL || c->ctx == NULL) {
		sl_community_free(c);
		return NULL;
	}
	return c;
}

void
sl_community_free(struct sl_community *c)
{
	if (c == NULL)
		return;
	EVP_MD_CTX_free(c->ctx);
	EVP_MD_free(c->sha1);
	free(c);
}

static void
base64(const uint8_t in[20], char out[28])
{
	static const char set[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t b[21] = {0};
	unsigned i;

	memcpy(b, in, 20);
	for (i = 0; i < 7; i++) {
		uint32_t v = (uint32_t)b[3 * i] << 16 | (uint32_t)b[3 * i + 1] << 8 | b[3 * i + 2];

		out[4 * i] = set[v >> 18];
		out[4 * i + 1] = set[v >> 12 & 63];
		out[4 * i + 2] = set[v >> 6 & 63];
		out[4 * i + 3] = set[v & 63];
	}
	out[27] = '=';
}

bool
sl_community_id(struct sl_community *c, uint16_t seed, unsigned version, uint8_t proto,
		const uint8_t *src, const uint8_t *dst, bool has_ports, uint16_t sport,
		uint16_t dport, char out[SL_COMMUNITY_LEN])
{
	unsigned n = version == 4 ? 4 : 16, at = 2;
	int cmp = memcmp(src, dst, n);
	bool swap = cmp > 0 || (cmp == 0 && has_ports && sport > dport);
	uint8_t buf[2 + 32 + 2 + 4], md[EVP_MAX_MD_SIZE];

	sl_store_be16(buf, seed);
	memcpy(buf + at, swap ? dst : src, n);
	memcpy(buf + at + n, swap ? src : dst, n);
	at += 2 * n;
	buf[at++] = proto;
	buf[at++] = 0;
	if (has_ports) {
		sl_store_be16(buf + at, swap ? dport : sport);
		sl_store_be16(buf + at + 2, swap ? sport : dport);
		at += 4;
	}
	if (EVP_DigestInit_ex2(c->ctx, c->sha1, NULL) != 1 ||
	    EVP_DigestUpdate(c->ctx, buf, at) != 1 || EVP_DigestFinal_ex(c->ctx, md, NULL) != 1)
		return false;
	memcpy(out, "1:", 2);
	base64(md, out + 2);
	return true;
}
