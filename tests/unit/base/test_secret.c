/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sl_secret.h"

/* Key and public key of RFC 7748 section 6.1; the base64 forms were made with Python's base64. */
static const uint8_t alice[32] = {
	0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1,
	0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0,
	0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a,
};
static const char alice_b64[] = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
static const char alice_hex[] = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";

static void
key_text(void **state)
{
	char b64[SL_KEY_B64_LEN + 1], hex[SL_KEY_HEX_LEN + 1];
	uint8_t key[32];

	sl_key_to_base64(alice, b64);
	assert_string_equal(b64, alice_b64);
	sl_key_to_hex(alice, hex);
	assert_string_equal(hex, alice_hex);
	memset(key, 1, sizeof(key));
	assert_int_equal(sl_key_from_base64(alice_b64, key), 0);
	assert_memory_equal(key, alice, 32);
	memset(key, 1, sizeof(key));
	assert_int_equal(sl_key_from_hex(alice_hex, key), 0);
	assert_memory_equal(key, alice, 32);
	assert_int_equal(
		sl_key_from_hex("77076D0A7318A57D3C16C17251B26645DF4C2F87EBC0992AB177FBA51DB92C2A",
				key),
		0);
	assert_memory_equal(key, alice, 32);
}

static void
base64_rejects(void **state)
{
	static const char *const bad[] = {
		"",
		"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo",	 /* no padding */
		"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo==", /* too much of it */
		"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCoA",	 /* 33 bytes */
		"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC==",	 /* 31 bytes */
		"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCp=",	 /* trailing bits set */
		"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC-=",	 /* URL alphabet */
		" wdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=",
		"dwdtCnMYpX08FsFyUbJmRd9=L4frwJkqsXf7pR25LCo=",
		"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n",
		"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25L\x80o=",
	};
	uint8_t key[32];
	unsigned i;

	for (i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		memset(key, 0xff, sizeof(key));
		assert_int_equal(sl_key_from_base64(bad[i], key), -EINVAL);
		assert_true(sl_ct_is_zero(key, sizeof(key)));
	}
}

static void
base64_every_last_character(void **state)
{
	/* of the 64 possible last characters only the 16 with two zero bits are canonical */
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[SL_KEY_B64_LEN + 1];
	uint8_t key[32];
	unsigned i;

	for (i = 0; i < 64; i++) {
		memcpy(text, alice_b64, sizeof(text));
		text[42] = alphabet[i];
		assert_int_equal(sl_key_from_base64(text, key), i % 4 == 0 ? 0 : -EINVAL);
	}
}

static void
base64_every_byte(void **state)
{
	char text[SL_KEY_B64_LEN + 1];
	uint8_t key[32];
	unsigned i, c;

	for (i = 0; i < 42; i++) {
		memcpy(text, alice_b64, sizeof(text));
		for (c = 1; c < 256; c++) {
			bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
				  (c >= 'A' && c <= 'Z') || c == '+' || c == '/';

			text[i] = (char)c;
			assert_int_equal(sl_key_from_base64(text, key), ok ? 0 : -EINVAL);
		}
	}
}

static void
hex_rejects(void **state)
{
	char text[SL_KEY_HEX_LEN + 3];
	uint8_t key[32];
	unsigned i, c;

	memcpy(text, alice_hex, sizeof(alice_hex));
	text[63] = 0;
	assert_int_equal(sl_key_from_hex(text, key), -EINVAL);
	assert_true(sl_ct_is_zero(key, sizeof(key)));
	memcpy(text, alice_hex, 64);
	memcpy(text + 64, "0", 2);
	assert_int_equal(sl_key_from_hex(text, key), -EINVAL);
	memcpy(text + 64, "00", 3);
	assert_int_equal(sl_key_from_hex(text, key), -EINVAL);
	assert_int_equal(sl_key_from_hex("", key), -EINVAL);
	memcpy(text, alice_hex, sizeof(alice_hex));
	for (i = 0; i < 64; i += 13) {
		char keep = text[i];

		for (c = 1; c < 256; c++) {
			bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
				  (c >= 'A' && c <= 'F');

			text[i] = (char)c;
			assert_int_equal(sl_key_from_hex(text, key), ok ? 0 : -EINVAL);
		}
		text[i] = keep;
	}
}

static void
compare_and_wipe(void **state)
{
	uint8_t a[40], b[40];
	unsigned i;

	memset(a, 7, sizeof(a));
	memcpy(b, a, sizeof(a));
	assert_true(sl_ct_equal(a, b, 40));
	assert_true(sl_ct_equal(a, b, 0));
	for (i = 0; i < 40; i++) {
		b[i] ^= 0x80;
		assert_false(sl_ct_equal(a, b, 40));
		b[i] ^= 0x80;
	}
	sl_wipe(a, 39);
	assert_true(sl_ct_is_zero(a, 39));
	assert_false(sl_ct_is_zero(a, 40));
	assert_int_equal(a[39], 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_text),
		cmocka_unit_test(base64_rejects),
		cmocka_unit_test(base64_every_last_character),
		cmocka_unit_test(base64_every_byte),
		cmocka_unit_test(hex_rejects),
		cmocka_unit_test(compare_and_wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
