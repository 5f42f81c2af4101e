/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_crypto.h"

#include <errno.h>

#include <sodium.h>

static void
make_nonce(uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES], uint64_t counter)
{
	memset(nonce, 0, 4);
	sl_store_le64(nonce + 4, counter);
}

void
sl_chapoly_seal(uint8_t *out, const void *in, size_t len, const void *ad, size_t ad_len,
		uint64_t counter, const uint8_t key[32])
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	make_nonce(nonce, counter);
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, len, ad, ad_len, NULL, nonce, key);
}

int
sl_chapoly_open(uint8_t *out, const void *in, size_t len, const void *ad, size_t ad_len,
		uint64_t counter, const uint8_t key[32])
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	make_nonce(nonce, counter);
	/* libsodium clears the output when the tag is wrong; without an output it only checks */
	if (crypto_aead_chacha20poly1305_ietf_decrypt(NULL, NULL, NULL, in, len, ad, ad_len, nonce,
						      key) != 0)
		return -EBADMSG;
	return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, ad, ad_len,
							 nonce, key) == 0
		       ? 0
		       : -EBADMSG;
}

void
sl_xchapoly_seal(uint8_t *out, const void *in, size_t len, const void *ad, size_t ad_len,
		 const uint8_t nonce[SL_XNONCE_LEN], const uint8_t key[32])
{
	crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, in, len, ad, ad_len, NULL, nonce,
						   key);
}

int
sl_xchapoly_open(uint8_t *out, const void *in, size_t len, const void *ad, size_t ad_len,
		 const uint8_t nonce[SL_XNONCE_LEN], const uint8_t key[32])
{
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(NULL, NULL, NULL, in, len, ad, ad_len, nonce,
						       key) != 0)
		return -EBADMSG;
	return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, ad, ad_len,
							  nonce, key) == 0
		       ? 0
		       : -EBADMSG;
}

uint64_t
sl_siphash(const uint8_t key[16], const void *in, size_t len)
{
	uint8_t out[crypto_shorthash_siphash24_BYTES];

	crypto_shorthash_siphash24(out, in, len, key);
	return sl_load_le64(out);
}
