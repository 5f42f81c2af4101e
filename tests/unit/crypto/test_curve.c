/* SPDX-License-Identifier: BSD-3-Clause */
/* X25519 against RFC 7748 sections 5.2 and 6.1, and the points of low order. */
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

static void
one(const char *scalar, const char *u, const char *want)
{
	uint8_t out[32], expect[32];
	struct sl_secret sk;
	struct sl_pubkey pk;

	unhex(scalar, sk.b);
	unhex(u, pk.b);
	unhex(want, expect);
	assert_int_equal(sl_x25519(out, &sk, &pk), 0);
	assert_memory_equal(out, expect, 32);
}

static void
rfc_vectors(void **state)
{
	one("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
	    "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
	    "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
	/* the top bit of u is set here and must be ignored */
	one("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
	    "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
	    "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
}

static void
diffie_hellman(void **state)
{
	static const char shared[] =
		"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
	struct sl_secret a, b;
	struct sl_pubkey pa, pb;
	uint8_t s[32];

	unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", a.b);
	unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", b.b);
	sl_x25519_public(&pa, &a);
	assert_hex(pa.b, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	sl_x25519_public(&pb, &b);
	assert_hex(pb.b, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	assert_int_equal(sl_x25519(s, &a, &pb), 0);
	assert_hex(s, shared);
	assert_int_equal(sl_x25519(s, &b, &pa), 0);
	assert_hex(s, shared);
	/* a clamped key has the same public key; the result may replace an input */
	sl_x25519_clamp(&b);
	assert_int_equal(b.b[0] & 7, 0);
	assert_int_equal(b.b[31] & 0xc0, 0x40);
	assert_int_equal(sl_x25519(b.b, &b, &pa), 0);
	assert_hex(b.b, shared);
}

static void
iterated(void **state)
{
	struct sl_secret k = {.b = {9}};
	struct sl_pubkey u = {.b = {9}};
	uint8_t r[32];
	unsigned i;

	for (i = 1; i <= 1000; i++) {
		assert_int_equal(sl_x25519(r, &k, &u), 0);
		memcpy(u.b, k.b, 32);
		memcpy(k.b, r, 32);
		if (i == 1)
			assert_hex(k.b,
				   "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311a"
				   "e3079");
	}
	assert_hex(k.b, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

static void
low_order(void **state)
{
	/* every 32-byte string of a point whose order divides 8, curve and twist */
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct sl_secret sk;
	struct sl_pubkey pk;
	uint8_t out[32];
	unsigned i, top;

	unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", sk.b);
	for (i = 0; i < SL_ARRAY_SIZE(points); i++) {
		for (top = 0; top < 2; top++) {
			unhex(points[i], pk.b);
			pk.b[31] |= (uint8_t)(top << 7);
			memset(out, 0xff, sizeof(out));
			assert_int_equal(sl_x25519(out, &sk, &pk), -EINVAL);
			assert_true(sl_ct_is_zero(out, sizeof(out)));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_vectors),
		cmocka_unit_test(diffie_hellman),
		cmocka_unit_test(iterated),
		cmocka_unit_test(low_order),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
