/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both implementations against libsodium's combined call, each length 0-2000, bursts of many
 * sizes, forgeries at every byte, and no write outside the text and the tag.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "sl_aead.h"

#define GUARD 64
#define MAX_LEN 2000
#define ROOM (MAX_LEN + SL_AEAD_TAG + 2 * GUARD)

struct key {
	uint8_t b[32 + SL_AEAD_KEY_PAD];
};

/** What RFC 8439 says, through the one-shot call. */
static void
oracle_seal(uint8_t *out, const uint8_t *in, size_t len, uint64_t counter, const uint8_t *key)
{
	uint8_t nonce[12] = {0};
	unsigned i;

	for (i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> 8 * i);
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, len, NULL, 0, NULL, nonce, key);
}

static struct sl_aead *
instance(enum sl_aead_impl impl)
{
	struct sl_aead *a = sl_aead_new(impl);

	assert_non_null(a);
	return a;
}

static void
all_lengths_of(enum sl_aead_impl impl)
{
	struct sl_aead *a = instance(impl);
	static uint8_t room[ROOM], before[ROOM], want[MAX_LEN + SL_AEAD_TAG];
	struct sl_aead_job j = {0};
	struct key k;
	uint32_t len;

	for (len = 0; len <= MAX_LEN; len++) {
		randombytes_buf(&k, sizeof(k));
		randombytes_buf(room, sizeof(room));
		randombytes_buf(&j.counter, sizeof(j.counter));
		memcpy(before, room, sizeof(room));
		j.key = k.b;
		j.data = room + GUARD;
		j.len = len;
		oracle_seal(want, room + GUARD, len, j.counter, k.b);
		sl_aead_seal(a, &j, 1);
		assert_memory_equal(room + GUARD, want, len + SL_AEAD_TAG);
		j.ok = false;
		sl_aead_open(a, &j, 1);
		assert_true(j.ok);
		assert_memory_equal(room + GUARD, before + GUARD, len);
		assert_memory_equal(room + GUARD + len, want + len, SL_AEAD_TAG);
		assert_memory_equal(room, before, GUARD);
		assert_memory_equal(room + GUARD + len + SL_AEAD_TAG,
				    before + GUARD + len + SL_AEAD_TAG,
				    sizeof(room) - GUARD - len - SL_AEAD_TAG);
	}
	sl_aead_free(a);
}

static void
forgeries_of(enum sl_aead_impl impl)
{
	static const uint32_t lens[] = {0, 1, 16, 63, 64, 65, 200, 1420};
	struct sl_aead *a = instance(impl);
	static uint8_t sealed[1500], text[1500];
	struct sl_aead_job j = {.data = text};
	uint8_t nonce_bit, *p;
	struct key k;
	unsigned i, n, step;

	for (i = 0; i < SL_ARRAY_SIZE(lens); i++) {
		randombytes_buf(&k, sizeof(k));
		randombytes_buf(text, lens[i]);
		j.key = k.b;
		j.len = lens[i];
		j.counter = i;
		sl_aead_seal(a, &j, 1);
		memcpy(sealed, text, sizeof(sealed));
		step = lens[i] > 200 ? 37 : 1;
		for (n = 0; n < (lens[i] + SL_AEAD_TAG) * 8; n += step) {
			memcpy(text, sealed, sizeof(sealed));
			p = text + n / 8;
			*p ^= (uint8_t)(1 << n % 8);
			j.ok = true;
			sl_aead_open(a, &j, 1);
			assert_false(j.ok);
		}
		for (nonce_bit = 0; nonce_bit < 64; nonce_bit++) {
			memcpy(text, sealed, sizeof(sealed));
			j.counter ^= UINT64_C(1) << nonce_bit;
			sl_aead_open(a, &j, 1);
			assert_false(j.ok);
			j.counter ^= UINT64_C(1) << nonce_bit;
		}
		memcpy(text, sealed, sizeof(sealed));
		sl_aead_open(a, &j, 1);
		assert_true(j.ok);
	}
	sl_aead_free(a);
}

static void
bursts_of(enum sl_aead_impl impl)
{
	enum { MAX = 100, SLOT = 2048 };
	static const unsigned sizes[] = {0, 1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 100};
	static uint8_t mem[MAX][SLOT], text[MAX][SLOT], want[MAX][SLOT];
	struct sl_aead *a = instance(impl);
	struct sl_aead_job jobs[MAX];
	struct key keys[MAX];
	unsigned s, i, n, at;

	for (s = 0; s < SL_ARRAY_SIZE(sizes); s++) {
		n = sizes[s];
		randombytes_buf(keys, sizeof(keys));
		randombytes_buf(mem, sizeof(mem));
		memcpy(text, mem, sizeof(mem));
		for (i = 0; i < n; i++) {
			at = i % 17; /* any alignment */
			jobs[i].key = keys[i % 7].b;
			jobs[i].counter = UINT64_C(0xfffffffffffffff0) + i;
			jobs[i].data = mem[i] + at;
			jobs[i].len = randombytes_uniform(SLOT - SL_AEAD_TAG - 17);
			oracle_seal(want[i], jobs[i].data, jobs[i].len, jobs[i].counter,
				    jobs[i].key);
		}
		sl_aead_seal(a, jobs, n);
		for (i = 0; i < n; i++)
			assert_memory_equal(jobs[i].data, want[i], jobs[i].len + SL_AEAD_TAG);
		for (i = 0; i < n; i += 3) /* every third is forged */
			jobs[i].data[jobs[i].len + i % SL_AEAD_TAG] ^= 0x40;
		sl_aead_open(a, jobs, n);
		for (i = 0; i < n; i++) {
			assert_int_equal(jobs[i].ok, i % 3 != 0);
			if (jobs[i].ok)
				assert_memory_equal(jobs[i].data, text[i] + i % 17, jobs[i].len);
		}
	}
	sl_aead_free(a);
}

static void
mb_all_lengths(void **state)
{
	all_lengths_of(SL_AEAD_IPSEC_MB);
}

static void
sodium_all_lengths(void **state)
{
	all_lengths_of(SL_AEAD_SODIUM);
}

static void
mb_forgeries(void **state)
{
	forgeries_of(SL_AEAD_IPSEC_MB);
}

static void
sodium_forgeries(void **state)
{
	forgeries_of(SL_AEAD_SODIUM);
}

static void
mb_bursts(void **state)
{
	bursts_of(SL_AEAD_IPSEC_MB);
}

static void
sodium_bursts(void **state)
{
	bursts_of(SL_AEAD_SODIUM);
}

static void
each_opens_the_other(void **state)
{
	struct sl_aead *a[2] = {instance(SL_AEAD_IPSEC_MB), instance(SL_AEAD_SODIUM)};
	uint8_t text[300], data[316];
	struct sl_aead_job j = {.data = data, .counter = 77};
	struct key k;
	unsigned i;

	randombytes_buf(&k, sizeof(k));
	randombytes_buf(text, sizeof(text));
	j.key = k.b;
	for (i = 0; i < 2; i++) {
		for (j.len = 0; j.len <= sizeof(text); j.len++) {
			memcpy(data, text, sizeof(text));
			sl_aead_seal(a[i], &j, 1);
			sl_aead_open(a[!i], &j, 1);
			assert_true(j.ok);
			assert_memory_equal(data, text, j.len);
		}
	}
	assert_int_equal(strncmp(sl_aead_name(a[0]), "ipsec-mb ", 9), 0);
	assert_int_equal(strncmp(sl_aead_name(a[1]), "libsodium ", 10), 0);
	sl_aead_free(a[0]);
	sl_aead_free(a[1]);
	sl_aead_free(NULL);
	assert_null(sl_aead_new((enum sl_aead_impl)99));
}

static int
setup(void **state)
{
	return sodium_init() < 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mb_all_lengths),
		cmocka_unit_test(mb_forgeries),
		cmocka_unit_test(mb_bursts),
		cmocka_unit_test(sodium_all_lengths),
		cmocka_unit_test(sodium_forgeries),
		cmocka_unit_test(sodium_bursts),
		cmocka_unit_test(each_opens_the_other),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
