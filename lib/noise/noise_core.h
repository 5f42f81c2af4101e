/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The pattern Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s itself (Noise specification, revision 34,
 * sections 5 and 7.5), with prologue, payloads, preshared key and ephemerals as arguments.
 *
 * Internal to lib/noise. WireGuard (noise.c) is this with a fixed prologue, a TAI64N label as the
 * first payload and an empty second one. Every function changes the symmetric state only when it
 * succeeds, and wipes what it computed on the way.
 */
#ifndef SL_NOISE_CORE_H
#define SL_NOISE_CORE_H

#include "sl_crypto.h"
#include "sl_secret.h"

/** Chaining key and transcript hash. */
struct sl_noise_sym {
	uint8_t ck[SL_HASH_LEN], h[SL_HASH_LEN];
};

/** A key pair of 25519: the secret is clamped. */
struct sl_noise_pair {
	struct sl_secret sk;
	struct sl_pubkey pk;
};

/** Make a pair of a random secret (clamps it). */
void sl_noise_core_pair(struct sl_noise_pair *out, const struct sl_secret *random);

/** Start of both sides: name of the pattern, prologue, static key of the responder. */
void sl_noise_core_start(struct sl_noise_sym *s, const void *prologue, size_t prologue_len,
			 const struct sl_pubkey *responder);

/**
 * First message, "e, es, s, ss", as the initiator.
 * @param ss          DH of the two static keys
 * @param enc_static  48 bytes
 * @param enc_payload payload_len + 16 bytes
 * @return 0 or -EKEYREJECTED (a Diffie-Hellman result of zero)
 */
int sl_noise_core_write1(struct sl_noise_sym *s, const struct sl_noise_pair *eph,
			 const struct sl_pubkey *initiator, const struct sl_pubkey *responder,
			 const uint8_t ss[32], const void *payload, size_t payload_len,
			 uint8_t *enc_static, uint8_t *enc_payload);

/**
 * First message up to "s", as the responder: gives the initiator's static key.
 * @return 0, -EBADMSG, -EKEYREJECTED
 */
int sl_noise_core_read1_static(struct sl_noise_sym *s, const struct sl_secret *responder_sk,
			       const struct sl_pubkey *eph, const uint8_t enc_static[48],
			       struct sl_pubkey *initiator);

/**
 * First message from "ss" on, as the responder.
 * @param enc_len bytes of enc_payload, at least 16
 * @param payload enc_len - 16 bytes
 * @return 0 or -EBADMSG
 */
int sl_noise_core_read1_payload(struct sl_noise_sym *s, const uint8_t ss[32],
				const uint8_t *enc_payload, size_t enc_len, void *payload);

/**
 * Second message, "e, ee, se, psk", as the responder.
 * @return 0 or -EKEYREJECTED
 */
int sl_noise_core_write2(struct sl_noise_sym *s, const struct sl_noise_pair *eph,
			 const struct sl_pubkey *initiator_eph, const struct sl_pubkey *initiator,
			 const struct sl_secret *psk, const void *payload, size_t payload_len,
			 uint8_t *enc_payload);

/**
 * Second message as the initiator.
 * @return 0, -EBADMSG, -EKEYREJECTED
 */
int sl_noise_core_read2(struct sl_noise_sym *s, const struct sl_secret *eph_sk,
			const struct sl_secret *initiator_sk, const struct sl_pubkey *responder_eph,
			const struct sl_secret *psk, const uint8_t *enc_payload, size_t enc_len,
			void *payload);

/** Transport keys: `first` for initiator to responder, `second` for the other way. */
void sl_noise_core_split(const struct sl_noise_sym *s, struct sl_secret *first,
			 struct sl_secret *second);

#endif
