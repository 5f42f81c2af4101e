/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Transport AEAD of WireGuard in bursts: ChaCha20-Poly1305 (RFC 8439) without associated data,
 * nonce = 32 zero bits || counter little-endian (paper section 5.4.6), in place.
 *
 * One `struct sl_aead` an lcore: an instance is not shared between threads. Two implementations
 * give the same bytes: intel-ipsec-mb (default) and libsodium (fallback and oracle).
 * The key of a job must be followed by at least 16 readable bytes (ipsec-mb's AVX2 code reads past
 * it).
 */
#ifndef SL_AEAD_H
#define SL_AEAD_H

#include "sl_base.h"

#define SL_AEAD_TAG 16
#define SL_AEAD_KEY_PAD 16

enum sl_aead_impl { SL_AEAD_IPSEC_MB, SL_AEAD_SODIUM };

struct sl_aead;

struct sl_aead_job {
	const uint8_t *key; /* 32 bytes + SL_AEAD_KEY_PAD readable */
	uint64_t counter;
	uint8_t *data; /* text in place; the 16-byte tag is at data + len */
	uint32_t len;  /* bytes of plaintext = bytes of ciphertext without tag; 0 = keepalive */
	bool ok;       /* out, open only: the tag matched */
};

/** @return an instance, or NULL (no memory, or ipsec-mb refuses this CPU). */
struct sl_aead *sl_aead_new(enum sl_aead_impl impl);
void sl_aead_free(struct sl_aead *a);
/** "ipsec-mb 1.3.0 avx512" or "libsodium 1.0.18". */
const char *sl_aead_name(const struct sl_aead *a);

/** Encrypt n jobs; writes len bytes and 16 bytes of tag each. Prefetches payloads ahead. */
void sl_aead_seal(struct sl_aead *a, struct sl_aead_job *jobs, unsigned n);
/**
 * Decrypt n jobs and compare the tags in constant time. Where `ok` is false the text has been
 * overwritten with garbage and must be discarded.
 */
void sl_aead_open(struct sl_aead *a, struct sl_aead_job *jobs, unsigned n);

#endif
