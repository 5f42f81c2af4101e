/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Secrets and keys: wiping, constant-time comparison, key types, key text.
 *
 * A `struct sl_secret` never appears in a log, JSON or a dump; its owner calls sl_wipe() on it when
 * it ends. A `struct sl_pubkey` is public and may be printed.
 */
#ifndef SL_SECRET_H
#define SL_SECRET_H

#include "sl_base.h"

#define SL_KEY_LEN 32
#define SL_KEY_B64_LEN 44 /* characters, without the terminating zero */
#define SL_KEY_HEX_LEN 64

struct sl_pubkey {
	uint8_t b[SL_KEY_LEN];
};

/** A private key, a preshared key or a chaining secret. */
struct sl_secret {
	uint8_t b[SL_KEY_LEN];
};

/** Overwrite n bytes with zeros in a way that the compiler keeps. */
void sl_wipe(void *p, size_t n);

/** Overwrite the n bytes of stack below the caller: what functions that it called left behind.
 * Those of libraries do not wipe all their locals. */
void sl_wipe_stack(size_t n);

/** @return true if the n bytes are equal; time depends on n alone. */
bool sl_ct_equal(const void *a, const void *b, size_t n);

/** @return true if the n bytes are all zero; time depends on n alone. */
bool sl_ct_is_zero(const void *p, size_t n);

/** Write 44 characters and a zero of base64 (RFC 4648 section 4, padded) of a 32-byte key. Constant
 * time. */
void sl_key_to_base64(const uint8_t key[SL_KEY_LEN], char out[SL_KEY_B64_LEN + 1]);

/**
 * Read a key of exactly 44 characters of base64. Constant time in the characters.
 * @return 0, or -EINVAL (wrong length, alphabet, padding or trailing bits); key is then all zero.
 */
int sl_key_from_base64(const char *text, uint8_t key[SL_KEY_LEN]);

/** Write 64 lower-case hex characters and a zero. */
void sl_key_to_hex(const uint8_t key[SL_KEY_LEN], char out[SL_KEY_HEX_LEN + 1]);

/** Read exactly 64 hex characters. @return 0 or -EINVAL; key is then all zero. */
int sl_key_from_hex(const char *text, uint8_t key[SL_KEY_LEN]);

#endif
