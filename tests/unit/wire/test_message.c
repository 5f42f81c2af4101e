/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../unhex.h"
#include "sl_wire.h"

/** Classify a copy of exactly len bytes, so that a sanitizer sees each byte too many. */
static enum sl_wire_type
classify(const uint8_t *p, size_t len, bool *bad)
{
	uint8_t *copy = malloc(len);
	enum sl_wire_type t;

	memcpy(copy, p, len);
	t = sl_wire_classify(copy, len, bad);
	assert_int_equal(t, sl_wire_classify(copy, len, NULL));
	free(copy);
	return t;
}

static void
every_length(void **state)
{
	uint8_t p[2000] = {0};
	unsigned type;
	size_t len;
	bool bad, good;

	for (type = 0; type < 256; type++) {
		p[0] = (uint8_t)type;
		for (len = 1; len < (type < 8 ? sizeof(p) : 200); len++) {
			good = (type == 1 && len == 148) || (type == 2 && len == 92) ||
			       (type == 3 && len == 64) || (type == 4 && len >= 32);
			assert_int_equal(classify(p, len, &bad), good ? type : 0);
			assert_int_equal(bad, len >= 4 && type >= 1 && type <= 4 && !good);
		}
	}
	assert_int_equal(sl_wire_classify(p, 0, &bad), SL_WIRE_INVALID);
	assert_false(bad);
}

static void
reserved_bytes(void **state)
{
	uint8_t p[148] = {0};
	unsigned type, bit;
	bool bad;

	for (type = 1; type <= 4; type++) {
		for (bit = 8; bit < 32; bit++) {
			memset(p, 0, sizeof(p));
			p[0] = (uint8_t)type;
			p[bit / 8] = (uint8_t)(1 << bit % 8);
			assert_int_equal(classify(p, 148, &bad), SL_WIRE_INVALID);
			assert_false(bad);
		}
	}
}

static void
padding(void **state)
{
	uint32_t len, mtu, up;

	assert_int_equal(sl_wire_padded(0, 1420), 0);
	assert_int_equal(sl_wire_padded(1, 1420), 16);
	assert_int_equal(sl_wire_padded(16, 1420), 16);
	assert_int_equal(sl_wire_padded(17, 1420), 32);
	/* a full packet is never padded beyond the MTU (1300 is not a multiple of 16) */
	assert_int_equal(sl_wire_padded(1299, 1300), 1300);
	assert_int_equal(sl_wire_padded(1300, 1300), 1300);
	assert_int_equal(sl_wire_padded(1301, 1300), 1301);
	for (mtu = 1280; mtu < 1300; mtu++) {
		for (len = 0; len <= mtu + 40; len++) {
			up = len % 16 == 0 ? len : len + 16 - len % 16;
			assert_int_equal(sl_wire_padded(len, mtu), up <= mtu   ? up
								   : len > mtu ? len
									       : mtu);
		}
	}
}

static void
tai64n(void **state)
{
	uint8_t a[12];

	/*
	 * Published labels: 400000002a2b2c2d is 1992-06-02 08:07:09 TAI (libtai), and qmail's log
	 * example
	 * @4000000037c219bf2ef02e94 has 787492500 ns. The fixed 10 s make them these UTC times:
	 * 08:06:59 (707472419) and 1999-08-24 04:04:05 (935467445).
	 */
	sl_tai64n(a, 0);
	assert_hex(a, "400000000000000a00000000");
	assert_true(sl_tai64n_wall_ns(a) == 0);
	sl_tai64n(a, UINT64_C(707472419) * 1000000000);
	assert_hex(a, "400000002a2b2c2d00000000");
	sl_tai64n(a, UINT64_C(935467445787492500));
	assert_hex(a, "4000000037c219bf2ef02e94");
	assert_true(sl_tai64n_wall_ns(a) == UINT64_C(935467445787492500));
	sl_tai64n(a, UINT64_MAX);
	assert_true(sl_tai64n_wall_ns(a) == UINT64_MAX);
	memset(a, 0, sizeof(a));
	assert_true(sl_tai64n_wall_ns(a) == 0);
	unhex("400000000000000900000000", a);
	assert_true(sl_tai64n_wall_ns(a) == 0);
	memset(a, 0xff, sizeof(a));
	assert_true(sl_tai64n_wall_ns(a) == UINT64_MAX);
}

static void
tai64n_order(void **state)
{
	uint8_t a[12], b[12];
	uint64_t x, y;
	unsigned i;

	srand(7);
	for (i = 0; i < 10000; i++) {
		x = (uint64_t)rand() << 32 | (unsigned)rand();
		y = i % 3 == 0 ? x : x + (uint64_t)rand() - RAND_MAX / 2;
		sl_tai64n(a, x);
		sl_tai64n(b, y);
		assert_true(sl_tai64n_wall_ns(a) == x);
		assert_int_equal(sl_tai64n_cmp(a, b) > 0, x > y);
		assert_int_equal(sl_tai64n_cmp(a, b) < 0, x < y);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length), cmocka_unit_test(reserved_bytes),
		cmocka_unit_test(padding),	cmocka_unit_test(tai64n),
		cmocka_unit_test(tai64n_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
