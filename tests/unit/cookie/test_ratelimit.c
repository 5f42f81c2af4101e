/* SPDX-License-Identifier: BSD-3-Clause */
/* The rate limiter: written cases, then random addresses against one bucket an address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sl_cookie.h"
#include "sl_crypto.h"

#define S SL_NS_PER_S
#define MS SL_NS_PER_MS
#define MAX 65536

static const uint8_t hash_key[16] = {7, 7, 7};
static struct sl_ratelimit *limit;
static uint64_t now;

static int
fresh(void **state)
{
	now = 1000 * S;
	limit = sl_ratelimit_new(MAX, hash_key);
	return limit ? 0 : -1;
}

static int
done(void **state)
{
	sl_ratelimit_free(limit);
	return 0;
}

static struct sl_ip
v4(uint32_t n)
{
	struct sl_ip ip = {.family = 4};

	sl_store_be32(ip.b, n);
	return ip;
}

static struct sl_ip
v6(uint64_t net, uint64_t host)
{
	struct sl_ip ip = {.family = 6};

	sl_store_be64(ip.b, net);
	sl_store_be64(ip.b + 8, host);
	return ip;
}

static bool
allow(struct sl_ip ip)
{
	return sl_ratelimit_allow(limit, &ip, now);
}

static void
passes(struct sl_ip ip, unsigned n)
{
	while (n-- > 0)
		assert_true(allow(ip));
	assert_false(allow(ip));
}

/* 5 pass, the 6th not; 50 ms: one; 100 ms: two; another address never notices. */
static void
bucket(struct sl_ip ip, struct sl_ip other)
{
	passes(ip, 5);
	assert_true(allow(other));
	now += 50 * MS;
	passes(ip, 1);
	assert_true(allow(other));
	now += 100 * MS;
	passes(ip, 2);
	assert_true(allow(other));
	now += 50 * MS - 1;
	assert_false(allow(ip));
	now += 1;
	passes(ip, 1);
	now += 3600 * S; /* never more than the burst */
	passes(ip, 5);
}

static void
test_bucket(void **state)
{
	bucket(v4(0x0a000001), v4(0x0a000002));
	bucket(v6(0x20010db800000001, 5), v6(0x20010db800000002, 5));
}

static void
test_v6_counts_by_64(void **state)
{
	for (unsigned i = 0; i < 5; i++)
		assert_true(allow(v6(0x20010db800000001, i)));
	assert_false(allow(v6(0x20010db800000001, 99)));
	assert_true(allow(v6(0x20010db800000000, 99)));
	/* an IPv4 address and a /64 with the same first bytes are different */
	passes(v4(0x20010db8), 5);
	assert_true(allow(v6(0x20010db800000000, 99)));
	assert_false(allow((struct sl_ip){.family = 0}));
}

static void
test_full_table(void **state)
{
	for (uint32_t i = 0; i < MAX; i++)
		assert_true(allow(v4(i)));
	assert_false(allow(v4(MAX)));
	assert_false(allow(v6(1, 1)));
	assert_true(allow(v4(5))); /* known addresses still count their tokens */
	now += S;
	assert_false(allow(v4(MAX))); /* idle for 1 s is not yet more than 1 s */
	assert_true(allow(v4(5)));
	now += 1;
	assert_true(allow(v4(MAX))); /* one of the idle ones made room */
	assert_true(allow(v4(MAX + 1)));
	assert_true(allow(v4(5)));
}

static void
test_collect(void **state)
{
	for (uint32_t i = 0; i < MAX; i++)
		assert_true(allow(v4(i)));
	now += S;
	sl_ratelimit_collect(limit, now, MAX);
	assert_false(allow(v4(MAX)));
	now += 1;
	assert_true(allow(v4(0)));
	sl_ratelimit_collect(limit, now, 1000);
	/* go back in time, where nothing is idle: exactly 1,000 are free */
	now -= S;
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(allow(v4(MAX + i)));
	assert_false(allow(v4(MAX + 1000)));
	sl_ratelimit_collect(limit, now + 10 * S, 2 * MAX);
	for (uint32_t i = 0; i < MAX; i++)
		assert_true(allow(v4(0x40000000 + i)));
	assert_false(allow(v4(0x50000000)));
}

static void
test_new(void **state)
{
	struct sl_ratelimit *one = sl_ratelimit_new(1, hash_key);
	struct sl_ip a = v4(1), b = v4(2);

	assert_null(sl_ratelimit_new(0, hash_key));
	assert_null(sl_ratelimit_new(UINT32_MAX, hash_key));
	assert_non_null(one);
	assert_true(sl_ratelimit_allow(one, &a, now));
	assert_false(sl_ratelimit_allow(one, &b, now));
	sl_ratelimit_free(one);
	sl_ratelimit_free(NULL);
}

/* Random addresses and pauses; the oracle keeps a fractional token count for each address. */
static void
test_random(void **state)
{
	enum { ADDRESSES = 64 };
	struct {
		double tokens, last;
		bool known;
	} o[ADDRESSES] = {0};
	uint64_t seed = 12345;
	unsigned passed = 0, refused = 0;

	for (unsigned i = 0; i < 200000; i++) {
		unsigned a;
		double t, have;
		bool want;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		a = (unsigned)(seed >> 40) % ADDRESSES;
		now += (seed >> 50) % 4 * MS / 4;
		if ((seed >> 33) % 5000 == 0)
			now += 3 * S;
		if ((seed >> 33) % 7 == 0)
			sl_ratelimit_collect(limit, now, 3);
		t = (double)(now - 1000 * S) / 1e9;
		have = o[a].known ? o[a].tokens + (t - o[a].last) * 20 : 5;
		have = have > 5 ? 5 : have;
		want = have >= 1 - 1e-6;
		assert_int_equal(allow(a % 2 ? v4(a) : v6(a, seed)), want);
		o[a].tokens = want ? have - 1 : have;
		o[a].last = t;
		o[a].known = true;
		*(want ? &passed : &refused) += 1;
	}
	assert_true(passed > 10000 && refused > 10000);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, fresh, done)
	const struct CMUnitTest tests[] = {
		CASE(test_bucket),     CASE(test_v6_counts_by_64),
		CASE(test_full_table), CASE(test_collect),
		CASE(test_new),	       CASE(test_random),
	};

	if (sl_crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
