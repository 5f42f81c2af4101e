/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * BLAKE2s, HMAC and KDF. Vectors: RFC 7693 (appendix B and the self test of appendix E), the
 * keyed vectors of the BLAKE2 authors, and values made with Python's hashlib and hmac.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../unhex.h"
#include "sl_crypto.h"

static int
setup(void **state)
{
	return sl_crypto_init();
}

/** n bytes start, start + step, ... */
static void
count_bytes(uint8_t *p, size_t n, unsigned step, unsigned start)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (uint8_t)(i * step + start);
}

static void
init_twice(void **state)
{
	assert_int_equal(sl_crypto_init(), 0);
	assert_int_equal(sl_crypto_init(), 0);
}

static void
blake2s_abc(void **state)
{
	uint8_t out[32];

	sl_blake2s(out, 32, "abc", 3, NULL, 0);
	assert_hex(out, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
}

/** The sequence of RFC 7693 appendix E. */
static void
rfc_sequence(uint8_t *out, size_t len, uint32_t seed)
{
	uint32_t t, a = 0xdead4bad * seed, b = 1;
	size_t i;

	for (i = 0; i < len; i++) {
		t = a + b;
		a = b;
		b = t;
		out[i] = (uint8_t)(t >> 24);
	}
}

static void
blake2s_self_test(void **state)
{
	static const size_t out_lens[] = {16, 20, 28, 32}, in_lens[] = {0, 3, 64, 65, 255, 1024};
	uint8_t all[4 * 6 * 2 * 32], in[1024], key[32], out[32];
	size_t i, k, n = 0;

	for (i = 0; i < 4; i++) {
		for (k = 0; k < 6; k++) {
			rfc_sequence(in, in_lens[k], (uint32_t)in_lens[k]);
			sl_blake2s(all + n, out_lens[i], in, in_lens[k], NULL, 0);
			n += out_lens[i];
			rfc_sequence(key, out_lens[i], (uint32_t)out_lens[i]);
			sl_blake2s(all + n, out_lens[i], in, in_lens[k], key, out_lens[i]);
			n += out_lens[i];
		}
	}
	sl_blake2s(out, 32, all, n, NULL, 0);
	assert_hex(out, "6a411f08ce25adcdfb02aba641451cec53c598b24f4fc787fbdc88797f4c1dfe");
}

static void
blake2s_keyed(void **state)
{
	static const struct {
		unsigned n;
		const char *hex;
	} kat[] = {
		{0, "48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49"},
		{1, "40d15fee7c328830166ac3f918650f807e7e01e177258cdc0a39b11f598066f1"},
		{63, "c65382513f07460da39833cb666c5ed82e61b9e998f4b0c4287cee56c3cc9bcd"},
		{64, "8975b0577fd35566d750b362b0897a26c399136df07bababbde6203ff2954ed4"},
		{65, "21fe0ceb0052be7fb0f004187cacd7de67fa6eb0938d927677f2398c132317a8"},
		{255, "3fb735061abc519dfe979e54c1ee5bfad0a9d858b3315bad34bde999efd724dd"},
	};
	uint8_t in[255], key[32], out[33], want[32];
	unsigned i;

	count_bytes(in, sizeof(in), 1, 0);
	count_bytes(key, sizeof(key), 1, 0);
	for (i = 0; i < SL_ARRAY_SIZE(kat); i++) {
		sl_blake2s(out, 32, in, kat[i].n, key, 32);
		unhex(kat[i].hex, want);
		assert_memory_equal(out, want, 32);
	}
	/* mac1: 16 bytes are another function, not a cut; and no byte behind them is written */
	out[16] = 0xa5;
	sl_blake2s(out, 16, in, 116, key, 32);
	assert_hex(out, "072e94ffbfc684bd8ab2a1b9dade2fd5");
	assert_int_equal(out[16], 0xa5);
	sl_blake2s(out, 32, in, 116, key, 32);
	assert_hex(out, "77ac012a3f754dcfeab5eb996be9cd2d1f96111b6e49f3994df181f28569d825");
}

static void
blake2s_concat(void **state)
{
	static const char id[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";
	static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
	uint8_t in[300], a[32], b[32];
	unsigned cut;

	count_bytes(in, sizeof(in), 11, 3);
	sl_blake2s(a, 32, in, sizeof(in), NULL, 0);
	for (cut = 0; cut <= sizeof(in); cut++) {
		sl_blake2s_2(b, in, cut, in + cut, sizeof(in) - cut);
		assert_memory_equal(a, b, 32);
	}
	/* the two fixed hashes with which every WireGuard handshake begins */
	sl_blake2s(a, 32, construction, sizeof(construction) - 1, NULL, 0);
	assert_hex(a, "60e26daef327efc02ec335e2a025d2d016eb4206f87277f52d38d1988b78cd36");
	sl_blake2s_2(a, a, 32, id, sizeof(id) - 1);
	assert_hex(a, "2211b361081ac566691243db458ad5322d9c6c662293e8b70ee19c65ba079ef3");
}

static void
hmac_vectors(void **state)
{
	static const struct {
		unsigned key_len, in_len;
		const char *hex;
	} vec[] = {
		{0, 0, "eaf4bb25938f4d20e72656bbbc7a9bf63c0c18537333c35bdb67db1402661acd"},
		{32, 0, "6742cb7da299ece6134643a2648547e903a0069f820ce3928bbdfe0f8fdd5eb3"},
		{32, 32, "a8cc5a34c9406822b942d4b756301f3bb213927e91a6a000db2f607e6ca984ea"},
		{20, 50, "27a8b3397601c8ecba8dd9b1c1eaa30e5867fd6df276d23c70023b7f72df3d2b"},
		{64, 65, "c471974251134d7dff9e137354b18bb34f87aa3bca681ca69326af79d3733edd"},
		{65, 152, "0def6312f573cca7acd46d6e0bf5735d56b91ddc26c48787f2dea812852faea9"},
		{131, 54, "7ee3e9bccf089913e2692092db8a2a20a1008d5064ffb114e314f526509b5853"},
		{64, 0, "05a93e4cf268d6bf4a771dc998f81a6fffad32cfc5808728b856308159c6a6af"},
	};
	uint8_t key[131], in[152], out[32], want[32];
	unsigned i;

	count_bytes(key, sizeof(key), 7, 1);
	count_bytes(in, sizeof(in), 3, 5);
	for (i = 0; i < SL_ARRAY_SIZE(vec); i++) {
		sl_hmac(out, key, vec[i].key_len, in, vec[i].in_len);
		unhex(vec[i].hex, want);
		assert_memory_equal(out, want, 32);
	}
}

static void
kdf_vectors(void **state)
{
	static const struct {
		unsigned in_len;
		const char *t[3];
	} vec[] = {
		{0,
		 {"a5d7282924f8d381f69a3aeaa5f598d90434f2475801abfc2b3b030b935a2350",
		  "791cd0044b20748daca7014aca5e60f37330b68d2f3d71ba1ac4284aaebab2c4",
		  "592cb547fdcf8354f0f314bdad147af6132487349b8f999a98fdcbf8c0c22c2a"}},
		{32,
		 {"dd74cbbdc01e0b363f94231b5cc344d92620b1f5b1accedff3a7ff2bf9f22388",
		  "e5dde3e8a2e51dbc3e7b49c20424d63d841ce43976cd1b88864830403e9d0605",
		  "ec72946ef5778371e221595dba5c37d2b86bcbfe509e25c5b8ef9f33dafff6d3"}},
		{100,
		 {"65c2a3e1af6df263fdb45db9403a0edb02091005e51fec2307bf63e8efb737c6",
		  "d907e7f36d16fbf99240dd632543e8e514c9d93596f551a1a4da1f1f29bf7aa9",
		  "03914ab1ca06b54fca0ac356d30c8b1be495db2b0b8f1286180961cd138cb679"}},
	};
	uint8_t key[32], in[100], t[3][32], want[3][32];
	unsigned i, k;

	count_bytes(in, sizeof(in), 3, 5);
	for (i = 0; i < SL_ARRAY_SIZE(vec); i++) {
		count_bytes(key, sizeof(key), 7, 1);
		for (k = 0; k < 3; k++)
			unhex(vec[i].t[k], want[k]);
		sl_kdf(key, in, vec[i].in_len, t[0], t[1], t[2]);
		assert_memory_equal(t, want, sizeof(t));
		memset(t, 0, sizeof(t));
		sl_kdf(key, in, vec[i].in_len, t[0], t[1], NULL);
		assert_memory_equal(t, want, 64);
		memset(t, 0, sizeof(t));
		sl_kdf(key, in, vec[i].in_len, t[0], NULL, NULL);
		assert_memory_equal(t, want, 32);
		sl_kdf(key, in, vec[i].in_len, t[0], NULL, t[2]);
		assert_memory_equal(t[2], want[2], 32);
		/* a chain: the first output replaces the key */
		sl_kdf(key, in, vec[i].in_len, key, t[1], t[2]);
		assert_memory_equal(key, want[0], 32);
		assert_memory_equal(t[1], want[1], 64);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_twice),	     cmocka_unit_test(blake2s_abc),
		cmocka_unit_test(blake2s_self_test), cmocka_unit_test(blake2s_keyed),
		cmocka_unit_test(blake2s_concat),    cmocka_unit_test(hmac_vectors),
		cmocka_unit_test(kdf_vectors),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
