/* SPDX-License-Identifier: BSD-3-Clause */
/* Loads and stores, random streams, clocks, errors, log lines, drop texts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "sl_base.h"
#include "sl_drop.h"
#include "sl_env.h"
#include "sl_error.h"
#include "sl_log.h"

static void
loads(void **state)
{
	uint8_t b[9] = {0, 1, 2, 3, 4, 5, 6, 7, 8}, c[9];

	assert_int_equal(sl_load_be16(b + 1), 0x0102);
	assert_int_equal(sl_load_be32(b + 1), 0x01020304);
	assert_true(sl_load_be64(b + 1) == UINT64_C(0x0102030405060708));
	assert_int_equal(sl_load_le32(b + 1), 0x04030201);
	assert_true(sl_load_le64(b + 1) == UINT64_C(0x0807060504030201));
	memset(c, 0, sizeof(c));
	sl_store_be64(c + 1, UINT64_C(0x0102030405060708));
	assert_memory_equal(b, c, 9);
	sl_store_le64(c + 1, UINT64_C(0x0807060504030201));
	assert_memory_equal(b, c, 9);
	sl_store_be32(c + 1, 0x01020304);
	sl_store_le32(c + 5, 0x08070605);
	assert_memory_equal(b, c, 9);
	sl_store_be16(c + 1, 0x0102);
	assert_memory_equal(b, c, 9);
}

static void
seeded_stream(void **state)
{
	struct sl_rng_seeded a, b, c, d;
	struct sl_rng ra = sl_rng_seeded_init(&a, 1, "index"),
		      rb = sl_rng_seeded_init(&b, 1, "index");
	struct sl_rng rc = sl_rng_seeded_init(&c, 2, "index"),
		      rd = sl_rng_seeded_init(&d, 1, "jitter");
	uint8_t one[500], parts[500], other[500];
	size_t at, n;

	sl_rng_fill(&ra, one, sizeof(one));
	for (at = 0, n = 1; at < sizeof(parts); at += n, n = SL_MIN(n * 2 + 1, sizeof(parts) - at))
		sl_rng_fill(&rb, parts + at, n);
	assert_memory_equal(one, parts, sizeof(one));
	sl_rng_fill(&rc, other, sizeof(other));
	assert_memory_not_equal(one, other, 32);
	sl_rng_fill(&rd, other, sizeof(other));
	assert_memory_not_equal(one, other, 32);
	assert_memory_not_equal(one, one + 64, 64);
}

static void
system_random_and_clocks(void **state)
{
	struct sl_rng r = sl_rng_system();
	uint8_t a[32] = {0}, b[32] = {0};
	uint64_t t0 = sl_clock_mono_ns(), t1;

	sl_rng_fill(&r, a, sizeof(a));
	sl_rng_fill(&r, b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	t1 = sl_clock_mono_ns();
	assert_true(t1 >= t0 && t0 > 0);
	assert_true(sl_clock_wall_ns() > UINT64_C(1600000000) * SL_NS_PER_S);
	assert_int_equal(sl_tick_of(0), 1);
	assert_int_equal(sl_tick_of(SL_TICK_NS), 2);
	assert_int_equal(sl_tick_of(UINT64_C(0xffffffff) * SL_TICK_NS), 1);
}

static void
errors(void **state)
{
	struct sl_error e;
	int i;

	assert_int_equal(sl_fail(NULL, -EINVAL, "r", "/p", "m"), -EINVAL);
	sl_hint(NULL, "h");
	sl_error_under(NULL, "h");
	assert_int_equal(sl_fail(&e, -EINVAL, "key_invalid", "/key", "key %d is bad", 3), -EINVAL);
	assert_int_equal(e.err, -EINVAL);
	assert_string_equal(e.reason, "key_invalid");
	assert_string_equal(e.message, "key 3 is bad");
	assert_string_equal(e.hint, "");
	sl_hint(&e, "use %s", "wg genkey");
	assert_string_equal(e.hint, "use wg genkey");
	sl_error_under(&e, "/peers/%d", 7);
	assert_string_equal(e.path, "/peers/7/key");
	/* the old error as an argument of the new one */
	sl_fail(&e, -ENOENT, e.reason, e.path, "file: %s", e.message);
	assert_string_equal(e.path, "/peers/7/key");
	assert_string_equal(e.message, "file: key 3 is bad");
	for (i = 0; i < 100; i++)
		sl_error_under(&e, "/abcdefgh");
	assert_int_equal(strlen(e.path), sizeof(e.path) - 1);
	sl_error_under(&e, "%0500d", 1);
	assert_int_equal(strlen(e.path), sizeof(e.path) - 1);
	sl_fail(&e, -ENOENT, "x", NULL, "%0500d", 1);
	assert_string_equal(e.path, "");
	assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
}

static char last_line[2048];
static int lines;

static void
keep_line(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	assert_ptr_equal(ctx, &lines);
	snprintf(last_line, sizeof(last_line), "%d %s %s", (int)level, topic, text);
	lines++;
}

static void
log_lines(void **state)
{
	enum sl_log_level level;

	sl_log_set_sink(keep_line, &lines);
	sl_log_set_level(SL_LOG_INFO);
	assert_int_equal(sl_log_get_level(), SL_LOG_INFO);
	sl_log(SL_LOG_INFO, "peer", "added %s", "a\nsluiced: forged\x7f\t");
	assert_string_equal(last_line, "3 peer added a?sluiced: forged??");
	sl_log(SL_LOG_DEBUG, "peer", "not shown");
	assert_int_equal(lines, 1);
	sl_log(SL_LOG_ERR, "long", "%05000d", 1);
	assert_int_equal(lines, 2);
	sl_log_set_sink(NULL, NULL);
	sl_log(SL_LOG_ERR, "test", "%05000d", 1);
	assert_int_equal(lines, 2);
	assert_int_equal(sl_log_level_parse("debug", &level), 0);
	assert_int_equal(level, SL_LOG_DEBUG);
	assert_int_equal(sl_log_level_parse("err", &level), 0);
	assert_int_equal(level, SL_LOG_ERR);
	assert_int_equal(sl_log_level_parse("error", &level), -EINVAL);
	assert_int_equal(sl_log_level_parse("", &level), -EINVAL);
}

static void
drop_texts(void **state)
{
	unsigned i, k;
	const char *p;

	assert_string_equal(sl_drop_text(SL_DROP_NONE), "none");
	assert_string_equal(sl_drop_text(SL_DROP_SPOOFED_SOURCE), "spoofed_source");
	assert_string_equal(sl_drop_text(SL_DROP_MAX), "invalid");
	assert_string_equal(sl_drop_text(~0u), "invalid");
	assert_non_null(sl_drop_why(~0u));
	for (i = 0; i < SL_DROP_MAX; i++) {
		assert_true(strlen(sl_drop_why(i)) > 5);
		/* metric labels: snake case, and no name twice */
		for (p = sl_drop_text(i); *p != '\0'; p++)
			assert_true((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
				    *p == '_');
		for (k = 0; k < i; k++)
			assert_string_not_equal(sl_drop_text(i), sl_drop_text(k));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads),
		cmocka_unit_test(seeded_stream),
		cmocka_unit_test(system_random_and_clocks),
		cmocka_unit_test(errors),
		cmocka_unit_test(log_lines),
		cmocka_unit_test(drop_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
