/* SPDX-License-Identifier: BSD-3-Clause */
#include "noise_core.h"

#include <errno.h>

static const char pattern[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";

static void
mix_hash(struct sl_noise_sym *s, const void *data, size_t len)
{
	sl_blake2s_2(s->h, s->h, sizeof(s->h), data, len);
}

/* In a PSK pattern the ephemeral goes into the hash and into the chaining key. */
static void
mix_ephemeral(struct sl_noise_sym *s, const struct sl_pubkey *eph)
{
	mix_hash(s, eph->b, sizeof(eph->b));
	sl_kdf(s->ck, eph->b, sizeof(eph->b), s->ck, NULL, NULL);
}

/* Mix a DH result into the chaining key; the message key goes to k unless NULL. */
static int
mix_dh(struct sl_noise_sym *s, const struct sl_secret *sk, const struct sl_pubkey *pk, uint8_t *k)
{
	uint8_t dh[32];

	if (sl_x25519(dh, sk, pk))
		return -EKEYREJECTED;
	sl_kdf(s->ck, dh, sizeof(dh), s->ck, k, NULL);
	sl_wipe(dh, sizeof(dh));
	return 0;
}

static void
mix_psk(struct sl_noise_sym *s, const struct sl_secret *psk, uint8_t k[32])
{
	uint8_t t[SL_HASH_LEN];

	sl_kdf(s->ck, psk->b, sizeof(psk->b), s->ck, t, k);
	mix_hash(s, t, sizeof(t));
	sl_wipe(t, sizeof(t));
}

/* Every key of this pattern seals one message only, so the nonce is always 0. */
static void
seal_and_hash(struct sl_noise_sym *s, const uint8_t k[32], const void *in, size_t len, uint8_t *out)
{
	sl_chapoly_seal(out, in, len, s->h, sizeof(s->h), 0, k);
	mix_hash(s, out, len + SL_TAG_LEN);
}

static int
open_and_hash(struct sl_noise_sym *s, const uint8_t k[32], const uint8_t *in, size_t len, void *out)
{
	if (len < SL_TAG_LEN || sl_chapoly_open(out, in, len, s->h, sizeof(s->h), 0, k))
		return -EBADMSG;
	mix_hash(s, in, len);
	return 0;
}

/* Take over the new state if all went well; wipe the scratch in either case. */
static int
finish(struct sl_noise_sym *s, struct sl_noise_sym *tmp, uint8_t k[32], int err)
{
	if (!err)
		*s = *tmp;
	sl_wipe(tmp, sizeof(*tmp));
	sl_wipe(k, 32);
	return err;
}

void
sl_noise_core_pair(struct sl_noise_pair *out, const struct sl_secret *random)
{
	out->sk = *random;
	sl_x25519_clamp(&out->sk);
	sl_x25519_public(&out->pk, &out->sk);
}

void
sl_noise_core_start(struct sl_noise_sym *s, const void *prologue, size_t prologue_len,
		    const struct sl_pubkey *responder)
{
	sl_blake2s(s->ck, sizeof(s->ck), pattern, sizeof(pattern) - 1, NULL, 0);
	memcpy(s->h, s->ck, sizeof(s->h));
	mix_hash(s, prologue, prologue_len);
	mix_hash(s, responder->b, sizeof(responder->b));
}

int
sl_noise_core_write1(struct sl_noise_sym *s, const struct sl_noise_pair *eph,
		     const struct sl_pubkey *initiator, const struct sl_pubkey *responder,
		     const uint8_t ss[32], const void *payload, size_t payload_len,
		     uint8_t *enc_static, uint8_t *enc_payload)
{
	struct sl_noise_sym t = *s;
	uint8_t k[32];
	int err;

	mix_ephemeral(&t, &eph->pk);
	err = mix_dh(&t, &eph->sk, responder, k);
	if (!err) {
		seal_and_hash(&t, k, initiator->b, sizeof(initiator->b), enc_static);
		sl_kdf(t.ck, ss, 32, t.ck, k, NULL);
		seal_and_hash(&t, k, payload, payload_len, enc_payload);
	}
	return finish(s, &t, k, err);
}

int
sl_noise_core_read1_static(struct sl_noise_sym *s, const struct sl_secret *responder_sk,
			   const struct sl_pubkey *eph, const uint8_t enc_static[48],
			   struct sl_pubkey *initiator)
{
	struct sl_noise_sym t = *s;
	uint8_t k[32];
	int err;

	mix_ephemeral(&t, eph);
	err = mix_dh(&t, responder_sk, eph, k);
	if (!err)
		err = open_and_hash(&t, k, enc_static, 48, initiator->b);
	return finish(s, &t, k, err);
}

int
sl_noise_core_read1_payload(struct sl_noise_sym *s, const uint8_t ss[32],
			    const uint8_t *enc_payload, size_t enc_len, void *payload)
{
	struct sl_noise_sym t = *s;
	uint8_t k[32];
	int err;

	sl_kdf(t.ck, ss, 32, t.ck, k, NULL);
	err = open_and_hash(&t, k, enc_payload, enc_len, payload);
	return finish(s, &t, k, err);
}

int
sl_noise_core_write2(struct sl_noise_sym *s, const struct sl_noise_pair *eph,
		     const struct sl_pubkey *initiator_eph, const struct sl_pubkey *initiator,
		     const struct sl_secret *psk, const void *payload, size_t payload_len,
		     uint8_t *enc_payload)
{
	struct sl_noise_sym t = *s;
	uint8_t k[32];
	int err;

	mix_ephemeral(&t, &eph->pk);
	err = mix_dh(&t, &eph->sk, initiator_eph, NULL);
	if (!err)
		err = mix_dh(&t, &eph->sk, initiator, NULL);
	if (!err) {
		mix_psk(&t, psk, k);
		seal_and_hash(&t, k, payload, payload_len, enc_payload);
	}
	return finish(s, &t, k, err);
}

int
sl_noise_core_read2(struct sl_noise_sym *s, const struct sl_secret *eph_sk,
		    const struct sl_secret *initiator_sk, const struct sl_pubkey *responder_eph,
		    const struct sl_secret *psk, const uint8_t *enc_payload, size_t enc_len,
		    void *payload)
{
	struct sl_noise_sym t = *s;
	uint8_t k[32];
	int err;

	mix_ephemeral(&t, responder_eph);
	err = mix_dh(&t, eph_sk, responder_eph, NULL);
	if (!err)
		err = mix_dh(&t, initiator_sk, responder_eph, NULL);
	if (!err) {
		mix_psk(&t, psk, k);
		err = open_and_hash(&t, k, enc_payload, enc_len, payload);
	}
	return finish(s, &t, k, err);
}

void
sl_noise_core_split(const struct sl_noise_sym *s, struct sl_secret *first, struct sl_secret *second)
{
	sl_kdf(s->ck, NULL, 0, first->b, second->b, NULL);
}
