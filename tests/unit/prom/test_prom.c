/* SPDX-License-Identifier: BSD-3-Clause */
/* Prometheus' text format, against the examples of its documentation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sl_prom.h"

static char *text;
static size_t len;

static FILE *
begin(void)
{
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	return f;
}

static void
is(FILE *f, const char *wanted)
{
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, wanted);
	free(text);
}

static void
test_samples(void **state)
{
	FILE *f = begin();

	sl_prom_head(f, "http_requests_total", "counter", "The total number of HTTP requests.");
	sl_prom_uint(f, "http_requests_total", 1027, "method", "post", "code", "200", NULL);
	sl_prom_uint(f, "http_requests_total", UINT64_MAX, "method", "post", NULL);
	sl_prom_real(f, "busy_ratio", 0.25, "lcore", "1", NULL);
	sl_prom_real(f, "skew_seconds", -1.5, NULL);
	sl_prom_single(f, "up", "gauge", "one", 1);
	is(f, "# HELP http_requests_total The total number of HTTP requests.\n"
	      "# TYPE http_requests_total counter\n"
	      "http_requests_total{method=\"post\",code=\"200\"} 1027\n"
	      "http_requests_total{method=\"post\"} 18446744073709551615\n"
	      "busy_ratio{lcore=\"1\"} 0.250000\n"
	      "skew_seconds -1.500000\n"
	      "# HELP up one\n# TYPE up gauge\nup 1\n");
}

/* "label_value can be any sequence of UTF-8 characters, but the backslash, double-quote and line
 * feed characters have to be escaped"; of a help only backslash and line feed. */
static void
test_escaping(void **state)
{
	FILE *f = begin();

	sl_prom_head(f, "m", "gauge", "C:\\DIR\nis \"here\"");
	sl_prom_uint(f, "m", 1, "path", "C:\\DIR\\FILE.TXT", "error", "Cannot find:\n\"FILE.TXT\"",
		     "name", "{zoë},=", "empty", "", NULL);
	is(f, "# HELP m C:\\\\DIR\\nis \"here\"\n# TYPE m gauge\n"
	      "m{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find:\\n\\\"FILE.TXT\\\"\","
	      "name=\"{zoë},=\",empty=\"\"} 1\n");
}

/** Buckets grow up to the count; a time of just a bound is within. */
static void
test_times(void **state)
{
	struct sl_prom_times t = {0};
	FILE *f = begin();

	sl_prom_time(&t, 0);
	sl_prom_time(&t, 5000000);
	sl_prom_time(&t, 5000001);
	sl_prom_time(&t, 6000000000);
	sl_prom_times(f, "x_seconds", &t, "sink", "a\"b");
	is(f, "x_seconds_bucket{le=\"0.001\",sink=\"a\\\"b\"} 1\n"
	      "x_seconds_bucket{le=\"0.005\",sink=\"a\\\"b\"} 2\n"
	      "x_seconds_bucket{le=\"0.02\",sink=\"a\\\"b\"} 3\n"
	      "x_seconds_bucket{le=\"0.05\",sink=\"a\\\"b\"} 3\n"
	      "x_seconds_bucket{le=\"0.2\",sink=\"a\\\"b\"} 3\n"
	      "x_seconds_bucket{le=\"0.5\",sink=\"a\\\"b\"} 3\n"
	      "x_seconds_bucket{le=\"1\",sink=\"a\\\"b\"} 3\n"
	      "x_seconds_bucket{le=\"5\",sink=\"a\\\"b\"} 3\n"
	      "x_seconds_bucket{le=\"+Inf\",sink=\"a\\\"b\"} 4\n"
	      "x_seconds_sum{sink=\"a\\\"b\"} 6.010000\n"
	      "x_seconds_count{sink=\"a\\\"b\"} 4\n");
	f = begin();
	sl_prom_times(f, "y", &t, NULL, NULL);
	fflush(f);
	assert_non_null(strstr(text, "y_bucket{le=\"+Inf\"} 4\ny_sum 6.010000\ny_count 4\n"));
	fclose(f);
	free(text);
	assert_true(sl_prom_commit[0] != '\0');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_escaping),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
