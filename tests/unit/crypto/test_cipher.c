/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AEADs and SipHash. Vectors: RFC 8439 appendix A.5 (its nonce begins with four zero bytes, as all
 * of WireGuard's do), draft-irtf-cfrg-xchacha-03 appendix A.3, SipHash paper appendix A.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../unhex.h"
#include "sl_crypto.h"

static int
setup(void **state)
{
	return sl_crypto_init();
}

#define A5_COUNTER UINT64_C(0x0807060504030201)

static const char a5_key[] = "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0";
static const char a5_ad[] = "f33388860000000000004e91";
static const char a5_text[] =
	"Internet-Drafts are draft documents valid for a maximum of six months and may be updated, "
	"replaced, or obsoleted by other documents at any time. It is inappropriate to use "
	"Internet-Drafts as reference material or to cite them other than as "
	"/\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
static const char a5_sealed[] =
	"64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18"
	"755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce"
	"98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e"
	"2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9"
	"9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04"
	"b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a10"
	"73a6727627097a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d"
	"6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38";

static void
rfc8439_a5(void **state)
{
	uint8_t key[32], ad[12], out[512], want[512], back[512];
	size_t n = unhex(a5_sealed, want);

	unhex(a5_key, key);
	unhex(a5_ad, ad);
	assert_int_equal(n, sizeof(a5_text) - 1 + SL_TAG_LEN);
	sl_chapoly_seal(out, a5_text, sizeof(a5_text) - 1, ad, sizeof(ad), A5_COUNTER, key);
	assert_memory_equal(out, want, n);
	assert_int_equal(sl_chapoly_open(back, out, n, ad, sizeof(ad), A5_COUNTER, key), 0);
	assert_memory_equal(back, a5_text, n - SL_TAG_LEN);
	/* in place, both ways */
	memcpy(out, a5_text, sizeof(a5_text) - 1);
	sl_chapoly_seal(out, out, sizeof(a5_text) - 1, ad, sizeof(ad), A5_COUNTER, key);
	assert_memory_equal(out, want, n);
	assert_int_equal(sl_chapoly_open(out, out, n, ad, sizeof(ad), A5_COUNTER, key), 0);
	assert_memory_equal(out, a5_text, n - SL_TAG_LEN);
}

static void
chapoly_rejects(void **state)
{
	uint8_t key[32], ad[12], in[512], out[512], untouched[512];
	size_t n = unhex(a5_sealed, in), i;

	unhex(a5_key, key);
	unhex(a5_ad, ad);
	memset(out, 0x5a, sizeof(out));
	memset(untouched, 0x5a, sizeof(untouched));
	for (i = 0; i < n * 8; i++) {
		in[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(sl_chapoly_open(out, in, n, ad, sizeof(ad), A5_COUNTER, key),
				 -EBADMSG);
		in[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < sizeof(ad); i++) {
		ad[i] ^= 1;
		assert_int_equal(sl_chapoly_open(out, in, n, ad, sizeof(ad), A5_COUNTER, key),
				 -EBADMSG);
		ad[i] ^= 1;
	}
	for (i = 0; i < 64; i++)
		assert_int_equal(sl_chapoly_open(out, in, n, ad, sizeof(ad),
						 A5_COUNTER ^ UINT64_C(1) << i, key),
				 -EBADMSG);
	for (i = 0; i < n; i++)
		assert_int_equal(sl_chapoly_open(out, in, i, ad, sizeof(ad), A5_COUNTER, key),
				 -EBADMSG);
	key[31] ^= 0x80;
	assert_int_equal(sl_chapoly_open(out, in, n, ad, sizeof(ad), A5_COUNTER, key), -EBADMSG);
	assert_memory_equal(out, untouched, sizeof(out));
}

static void
chapoly_empty(void **state)
{
	/* the encrypted nothing of a response: only a tag; made with Python's cryptography */
	uint8_t key[32], ad[32], out[SL_TAG_LEN], none[1] = {0x77};
	unsigned i;

	for (i = 0; i < 32; i++) {
		key[i] = (uint8_t)i;
		ad[i] = (uint8_t)(i + 100);
	}
	sl_chapoly_seal(out, NULL, 0, ad, sizeof(ad), 0, key);
	assert_hex(out, "1d65cbfbfa6c73b4e1e02b16983dbc59");
	assert_int_equal(sl_chapoly_open(none, out, sizeof(out), ad, sizeof(ad), 0, key), 0);
	assert_int_equal(none[0], 0x77);
	out[0] ^= 1;
	assert_int_equal(sl_chapoly_open(none, out, sizeof(out), ad, sizeof(ad), 0, key), -EBADMSG);
}

static const char xchacha_text[] =
	"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
	"future, sunscreen would be it.";
static const char xchacha_sealed[] =
	"bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b"
	"0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945"
	"b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f6"
	"15c68b13b52ec0875924c1c7987947deafd8780acf49";

static void
xchacha_draft(void **state)
{
	uint8_t key[32], nonce[24], ad[12], out[256], want[256], back[256], untouched[256];
	size_t n = unhex(xchacha_sealed, want), i;

	unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", key);
	unhex("404142434445464748494a4b4c4d4e4f5051525354555657", nonce);
	unhex("50515253c0c1c2c3c4c5c6c7", ad);
	assert_int_equal(n, sizeof(xchacha_text) - 1 + SL_TAG_LEN);
	sl_xchapoly_seal(out, xchacha_text, sizeof(xchacha_text) - 1, ad, sizeof(ad), nonce, key);
	assert_memory_equal(out, want, n);
	assert_int_equal(sl_xchapoly_open(back, out, n, ad, sizeof(ad), nonce, key), 0);
	assert_memory_equal(back, xchacha_text, n - SL_TAG_LEN);
	memset(back, 0x5a, sizeof(back));
	memset(untouched, 0x5a, sizeof(untouched));
	for (i = 0; i < n; i++) {
		out[i] ^= 0x10;
		assert_int_equal(sl_xchapoly_open(back, out, n, ad, sizeof(ad), nonce, key),
				 -EBADMSG);
		out[i] ^= 0x10;
		assert_int_equal(sl_xchapoly_open(back, out, i, ad, sizeof(ad), nonce, key),
				 -EBADMSG);
	}
	for (i = 0; i < sizeof(nonce); i++) {
		nonce[i] ^= 1;
		assert_int_equal(sl_xchapoly_open(back, out, n, ad, sizeof(ad), nonce, key),
				 -EBADMSG);
		nonce[i] ^= 1;
	}
	assert_int_equal(sl_xchapoly_open(back, out, n, NULL, 0, nonce, key), -EBADMSG);
	assert_memory_equal(back, untouched, sizeof(back));
}

static void
siphash(void **state)
{
	uint8_t key[16], in[15];
	unsigned i;

	for (i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	memcpy(in, key, sizeof(in));
	assert_true(sl_siphash(key, in, sizeof(in)) == UINT64_C(0xa129ca6149be45e5));
	assert_true(sl_siphash(key, in, 0) == UINT64_C(0x726fdb47dd0e0e31));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc8439_a5),	 cmocka_unit_test(chapoly_rejects),
		cmocka_unit_test(chapoly_empty), cmocka_unit_test(xchacha_draft),
		cmocka_unit_test(siphash),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
