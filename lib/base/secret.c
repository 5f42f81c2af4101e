/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_secret.h"

#include <errno.h>

#include <sodium.h>

void
sl_wipe(void *p, size_t n)
{
	sodium_memzero(p, n);
}

void
sl_wipe_stack(size_t n)
{
	sodium_stackzero(n);
}

bool
sl_ct_equal(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}

bool
sl_ct_is_zero(const void *p, size_t n)
{
	return sodium_is_zero(p, n) == 1;
}

void
sl_key_to_base64(const uint8_t key[SL_KEY_LEN], char out[SL_KEY_B64_LEN + 1])
{
	sodium_bin2base64(out, SL_KEY_B64_LEN + 1, key, SL_KEY_LEN, sodium_base64_VARIANT_ORIGINAL);
}

/** @return true if no byte has its top bit set; libsodium 1.0.18 takes such bytes for base64. */
static bool
is_seven_bit(const char *text, size_t n)
{
	unsigned char all = 0;

	for (size_t i = 0; i < n; i++)
		all |= (unsigned char)text[i];
	return all < 0x80;
}

int
sl_key_from_base64(const char *text, uint8_t key[SL_KEY_LEN])
{
	size_t n = 0;

	if (strnlen(text, SL_KEY_B64_LEN + 1) == SL_KEY_B64_LEN &&
	    is_seven_bit(text, SL_KEY_B64_LEN) &&
	    sodium_base642bin(key, SL_KEY_LEN, text, SL_KEY_B64_LEN, NULL, &n, NULL,
			      sodium_base64_VARIANT_ORIGINAL) == 0 &&
	    n == SL_KEY_LEN)
		return 0;
	sl_wipe(key, SL_KEY_LEN);
	return -EINVAL;
}

void
sl_key_to_hex(const uint8_t key[SL_KEY_LEN], char out[SL_KEY_HEX_LEN + 1])
{
	sodium_bin2hex(out, SL_KEY_HEX_LEN + 1, key, SL_KEY_LEN);
}

int
sl_key_from_hex(const char *text, uint8_t key[SL_KEY_LEN])
{
	size_t n = 0;

	if (strnlen(text, SL_KEY_HEX_LEN + 1) == SL_KEY_HEX_LEN &&
	    sodium_hex2bin(key, SL_KEY_LEN, text, SL_KEY_HEX_LEN, NULL, &n, NULL) == 0 &&
	    n == SL_KEY_LEN)
		return 0;
	sl_wipe(key, SL_KEY_LEN);
	return -EINVAL;
}
