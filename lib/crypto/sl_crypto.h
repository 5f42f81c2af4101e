/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The primitives of the WireGuard handshake: BLAKE2s (RFC 7693, libb2), HMAC and HKDF over it
 * (paper section 5.4), X25519 (RFC 7748), ChaCha20-Poly1305 (RFC 8439) and XChaCha20-Poly1305
 * (libsodium). Pure functions; never called on a data lcore (transport packets use lib/aead).
 *
 * Intermediate states are wiped. sl_crypto_init() must have returned 0 first, once a process.
 */
#ifndef SL_CRYPTO_H
#define SL_CRYPTO_H

#include "sl_base.h"
#include "sl_secret.h"

#define SL_HASH_LEN 32
#define SL_TAG_LEN 16
#define SL_XNONCE_LEN 24

/** @return 0, or -ENOSYS if libsodium cannot start. Safe to call more than once. */
int sl_crypto_init(void);

/**
 * BLAKE2s of one message. mac1 and mac2 are this with out_len 16 and a key: a different function
 * from the first 16 bytes of a 32-byte digest.
 * @param out_len 1-32
 * @param key_len 0 (no key) to 32
 */
void sl_blake2s(void *out, size_t out_len, const void *in, size_t in_len, const void *key,
		size_t key_len);
/** BLAKE2s-256 of the concatenation a || b. */
void sl_blake2s_2(uint8_t out[SL_HASH_LEN], const void *a, size_t a_len, const void *b,
		  size_t b_len);
/** HMAC-BLAKE2s-256 (RFC 2104; not keyed BLAKE2s). */
void sl_hmac(uint8_t out[SL_HASH_LEN], const void *key, size_t key_len, const void *in,
	     size_t in_len);
/** KDF_n of the paper: t1..tn from key and input; t2, t3 may be NULL. */
void sl_kdf(const uint8_t key[SL_HASH_LEN], const void *in, size_t in_len, uint8_t t1[SL_HASH_LEN],
	    uint8_t t2[SL_HASH_LEN], uint8_t t3[SL_HASH_LEN]);

/** Clamp a scalar (RFC 7748 section 5). */
void sl_x25519_clamp(struct sl_secret *sk);
/** Public key of a private key. */
void sl_x25519_public(struct sl_pubkey *pk, const struct sl_secret *sk);
/** @return 0, or -EINVAL if the result is all zero (low-order point); out is then wiped. */
int sl_x25519(uint8_t out[32], const struct sl_secret *sk, const struct sl_pubkey *pk);

/** Seal: out holds len + 16 bytes; nonce = 32 zero bits || counter little-endian. In place allowed.
 */
void sl_chapoly_seal(uint8_t *out, const void *in, size_t len, const void *ad, size_t ad_len,
		     uint64_t counter, const uint8_t key[32]);
/** Open len bytes of ciphertext and tag (len >= 16). @return 0 or -EBADMSG; out untouched on error.
 */
int sl_chapoly_open(uint8_t *out, const void *in, size_t len, const void *ad, size_t ad_len,
		    uint64_t counter, const uint8_t key[32]);
void sl_xchapoly_seal(uint8_t *out, const void *in, size_t len, const void *ad, size_t ad_len,
		      const uint8_t nonce[SL_XNONCE_LEN], const uint8_t key[32]);
int sl_xchapoly_open(uint8_t *out, const void *in, size_t len, const void *ad, size_t ad_len,
		     const uint8_t nonce[SL_XNONCE_LEN], const uint8_t key[32]);

/** SipHash-2-4 of a short message, for keyed hash tables. */
uint64_t sl_siphash(const uint8_t key[16], const void *in, size_t len);

#endif
