/* SPDX-License-Identifier: BSD-3-Clause */
/* When the end of a certificate is told, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sl_log.h"
#include "sl_tls_alarm.h"

#define DAY INT64_C(86400)
#define NOW INT64_C(1800000000)

static unsigned lines, errors;
static char last[256];

static void
sink(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	lines++;
	errors += level == SL_LOG_ERR;
	snprintf(last, sizeof(last), "%s", text);
}

static int
setup(void **state)
{
	sl_log_set_sink(sink, NULL);
	lines = errors = 0;
	last[0] = '\0';
	return 0;
}

/** A minute at a time, from 20 days before the end to a day after it. */
static void
test_steps(void **state)
{
	struct sl_tls_alarm a = {0};
	unsigned at[4] = {0}, n = 0;

	for (int64_t t = NOW; t < NOW + 21 * DAY; t += 60) {
		bool soon = sl_tls_alarm_look(&a, NOW + 20 * DAY, "x.pem", t);

		assert_int_equal(soon, t >= NOW + 6 * DAY);
		if (lines > n) {
			assert_true(n < 4);
			at[n++] = (unsigned)((t - NOW) / DAY);
		}
		assert_int_equal(lines, n);
	}
	assert_int_equal(n, 4);
	assert_int_equal(at[0], 6);
	assert_int_equal(at[1], 17);
	assert_int_equal(at[2], 19);
	assert_int_equal(at[3], 20);
	assert_int_equal(errors, 2);
	assert_non_null(strstr(last, "x.pem has ended at "));
}

/** One that was found late is told once; a renewed one is quiet, and told again in its time. */
static void
test_renewed(void **state)
{
	struct sl_tls_alarm a = {0};

	assert_true(sl_tls_alarm_look(&a, NOW + 2 * DAY, "x.pem", NOW));
	assert_int_equal(lines, 1);
	assert_non_null(strstr(last,
			       "certificate_expires: the certificate of x.pem ends in 2 days, "
			       "at 2027-01-17T08:00:00Z"));
	assert_true(sl_tls_alarm_look(&a, NOW + 2 * DAY, "x.pem", NOW + 60));
	assert_int_equal(lines, 1);
	assert_false(sl_tls_alarm_look(&a, NOW + 365 * DAY, "x.pem", NOW + 120));
	assert_int_equal(lines, 1);
	assert_true(sl_tls_alarm_look(&a, NOW + 365 * DAY, "x.pem", NOW + 360 * DAY));
	assert_int_equal(lines, 2);
}

static void
test_none(void **state)
{
	struct sl_tls_alarm a = {0};

	assert_false(sl_tls_alarm_look(&a, 0, "none", NOW));
	assert_int_equal(lines, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_steps, setup),
		cmocka_unit_test_setup(test_renewed, setup),
		cmocka_unit_test_setup(test_none, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
