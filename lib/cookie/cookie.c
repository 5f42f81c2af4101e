/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_cookie.h"

#include <errno.h>

#include "sl_crypto.h"

#define MACS_LEN 32 /* mac1 and mac2 end every handshake message */
#define MAC_LEN 16
#define LABEL_LEN 8
#define SECRET_NS (SL_WG_COOKIE_S * SL_NS_PER_S)
#define COOKIE_NS ((SL_WG_COOKIE_S - SL_WG_COOKIE_LATENCY_S) * SL_NS_PER_S)

_Static_assert(SL_COOKIE_LEN == MAC_LEN, "a cookie is the output of MAC()");

static void
label_keys(uint8_t mac1_key[32], uint8_t cookie_key[32], const struct sl_pubkey *pk)
{
	sl_blake2s_2(mac1_key, "mac1----", LABEL_LEN, pk->b, sizeof(pk->b));
	sl_blake2s_2(cookie_key, "cookie--", LABEL_LEN, pk->b, sizeof(pk->b));
}

/* Cookie of an outer source: MAC(Rm, address bytes || port). */
static void
cookie_of(uint8_t out[SL_COOKIE_LEN], const struct sl_cookie_checker *c,
	  const struct sl_endpoint *src)
{
	uint8_t in[16 + 2];
	unsigned n = sl_ip_bytes(&src->ip);

	memcpy(in, src->ip.b, n);
	sl_store_be16(in + n, src->port);
	sl_blake2s(out, SL_COOKIE_LEN, in, n + 2, c->secret.b, sizeof(c->secret.b));
}

/* Make sure that the secret is younger than two minutes. */
static void
refresh_secret(struct sl_cookie_checker *c, uint64_t now_ns, const struct sl_rng *rng)
{
	if (c->has_secret && now_ns - c->secret_birth_ns < SECRET_NS)
		return;
	sl_rng_fill(rng, c->secret.b, sizeof(c->secret.b));
	c->secret_birth_ns = now_ns;
	c->has_secret = true;
}

void
sl_cookie_checker_init(struct sl_cookie_checker *c, const struct sl_pubkey *ours)
{
	memset(c, 0, sizeof(*c));
	label_keys(c->mac1_key, c->cookie_key, ours);
}

void
sl_cookie_maker_init(struct sl_cookie_maker *m, const struct sl_pubkey *remote)
{
	memset(m, 0, sizeof(*m));
	label_keys(m->mac1_key, m->cookie_key, remote);
}

void
sl_cookie_checker_clear(struct sl_cookie_checker *c)
{
	sl_wipe(c, sizeof(*c));
}

void
sl_cookie_maker_clear(struct sl_cookie_maker *m)
{
	sl_wipe(m, sizeof(*m));
}

enum sl_cookie_verdict
sl_cookie_check(struct sl_cookie_checker *c, const void *msg, size_t len,
		const struct sl_endpoint *src, uint64_t now_ns, const struct sl_rng *rng)
{
	const uint8_t *macs;
	uint8_t mac[MAC_LEN], cookie[SL_COOKIE_LEN];
	bool ok;

	if (len < MACS_LEN)
		return SL_MAC_BAD;
	macs = (const uint8_t *)msg + len - MACS_LEN;
	sl_blake2s(mac, sizeof(mac), msg, len - MACS_LEN, c->mac1_key, sizeof(c->mac1_key));
	if (!sl_ct_equal(mac, macs, sizeof(mac)))
		return SL_MAC_BAD;
	if (!c->has_secret || sl_ct_is_zero(macs + MAC_LEN, MAC_LEN))
		return SL_MAC1_OK; /* no cookie was ever given, or none is shown */
	refresh_secret(c, now_ns, rng);
	cookie_of(cookie, c, src);
	sl_blake2s(mac, sizeof(mac), msg, len - MAC_LEN, cookie, sizeof(cookie));
	ok = sl_ct_equal(mac, macs + MAC_LEN, sizeof(mac));
	sl_wipe(cookie, sizeof(cookie));
	sl_wipe(mac, sizeof(mac));
	return ok ? SL_MAC2_OK : SL_MAC1_OK;
}

void
sl_cookie_reply(struct sl_cookie_checker *c, const void *msg, size_t len, uint32_t sender,
		const struct sl_endpoint *src, uint64_t now_ns, const struct sl_rng *rng,
		struct sl_msg_cookie *out)
{
	const uint8_t *mac1 = (const uint8_t *)msg + len - MACS_LEN;
	uint8_t cookie[SL_COOKIE_LEN];

	refresh_secret(c, now_ns, rng);
	cookie_of(cookie, c, src);
	sl_store_le32(out->type, SL_WIRE_COOKIE);
	sl_store_le32(out->receiver, sender);
	sl_rng_fill(rng, out->nonce, sizeof(out->nonce));
	sl_xchapoly_seal(out->enc_cookie, cookie, sizeof(cookie), mac1, MAC_LEN, out->nonce,
			 c->cookie_key);
	sl_wipe(cookie, sizeof(cookie));
}

void
sl_cookie_mac(struct sl_cookie_maker *m, void *msg, size_t len, uint64_t now_ns)
{
	uint8_t *macs = (uint8_t *)msg + len - MACS_LEN;

	sl_blake2s(macs, MAC_LEN, msg, len - MACS_LEN, m->mac1_key, sizeof(m->mac1_key));
	memcpy(m->last_mac1, macs, MAC_LEN);
	m->has_last_mac1 = true;
	if (m->has_cookie && now_ns - m->cookie_birth_ns >= COOKIE_NS) {
		sl_wipe(m->cookie, sizeof(m->cookie));
		m->has_cookie = false;
	}
	if (m->has_cookie)
		sl_blake2s(macs + MAC_LEN, MAC_LEN, msg, len - MAC_LEN, m->cookie,
			   sizeof(m->cookie));
	else
		memset(macs + MAC_LEN, 0, MAC_LEN);
}

int
sl_cookie_consume(struct sl_cookie_maker *m, const struct sl_msg_cookie *reply, uint64_t now_ns)
{
	uint8_t cookie[SL_COOKIE_LEN];

	if (!m->has_last_mac1)
		return -EINVAL;
	if (sl_load_le32(reply->type) != SL_WIRE_COOKIE ||
	    sl_xchapoly_open(cookie, reply->enc_cookie, sizeof(reply->enc_cookie), m->last_mac1,
			     MAC_LEN, reply->nonce, m->cookie_key))
		return -EBADMSG;
	memcpy(m->cookie, cookie, sizeof(cookie));
	m->cookie_birth_ns = now_ns;
	m->has_cookie = true;
	m->has_last_mac1 = false; /* one reply a message */
	sl_wipe(cookie, sizeof(cookie));
	return 0;
}
