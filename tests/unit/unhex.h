/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Test helper: bytes from a hex literal. Include after cmocka.h.
 */
#ifndef UNHEX_H
#define UNHEX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint8_t
unhex_digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/** Decode a whole hex literal. @return number of bytes */
static inline size_t
unhex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2, i;

	for (i = 0; i < n; i++)
		out[i] = (uint8_t)(unhex_digit(hex[2 * i]) << 4 | unhex_digit(hex[2 * i + 1]));
	return n;
}

#define assert_hex(bytes, hex)                                                                     \
	do {                                                                                       \
		uint8_t want_[sizeof(hex) / 2];                                                    \
		assert_memory_equal(bytes, want_, unhex(hex, want_));                              \
	} while (0)

#endif
