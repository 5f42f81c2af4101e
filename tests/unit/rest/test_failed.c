/* SPDX-License-Identifier: BSD-3-Clause */
/* Refused logins as rows of the audit: a row for each of 16 sources, and one for all others. */
#include <sqlite3.h>

#include "store_test.h"

#include "failed.h"
#include "sl_rest_int.h"
#include "sl_trail.h"

static struct fixture f;
static struct sl_seal_key key;
static struct event_base *base;
static struct sl_rest rest;

static int
set_up(void **state)
{
	char path[120];

	fixture_begin(&f, SL_STORE_PRIMARY);
	snprintf(path, sizeof(path), "%s/audit.key", f.dir);
	assert_int_equal(sl_seal_key_load(path, UINT32_MAX, UINT32_MAX, &key, &f.e), 0);
	assert_int_equal(sl_trail_open(f.s, &key, &f.e), 0);
	base = event_base_new();
	rest = (struct sl_rest){.c = {.base = base, .seal_key = &key}, .writer_store = f.s};
	return 0;
}

static int
tear_down(void **state)
{
	event_base_free(base);
	fixture_end(&f);
	return 0;
}

static void
refuse(struct failed *to, const char *from, unsigned n)
{
	struct sl_ip ip;

	assert_int_equal(sl_ip_parse(from, &ip), 0);
	for (unsigned i = 0; i < n; i++)
		failed_login(to, &ip);
}

/** Rows of refused logins from a source, "%": of all. @param[out] count together */
static unsigned
rows(const char *source, unsigned *count)
{
	sqlite3_stmt *st;
	unsigned n;

	assert_int_equal(sqlite3_prepare_v2(sl_store_db(f.s),
					    "SELECT count(*), coalesce(sum(count), 0) FROM "
					    "rest_audit WHERE operation = 'login' AND outcome = "
					    "'refused' AND source LIKE ?1",
					    -1, &st, NULL),
			 SQLITE_OK);
	sqlite3_bind_text(st, 1, source, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (unsigned)sqlite3_column_int(st, 0);
	*count = (unsigned)sqlite3_column_int(st, 1);
	sqlite3_finalize(st);
	return n;
}

static void
expect(const char *source, unsigned want)
{
	unsigned count, n = rows(source, &count);

	if (n != (want > 0) || count != want)
		fail_msg("%s: %u in %u rows, not %u", source, count, n, want);
}

static void
test_sources(void **state)
{
	struct failed *to = failed_new(&rest, &f.e);
	char from[32];
	unsigned count;

	assert_non_null(to);
	refuse(to, "2001:db8::1", 2);
	refuse(to, "2001:db8::2:3", 1); /* of the same /64 */
	failed_login(to, NULL);
	for (unsigned i = 1; i <= 14; i++) {
		snprintf(from, sizeof(from), "192.0.2.%u", i);
		refuse(to, from, i);
	}
	/* the table is full: who is in it is counted further, whoever comes is another one */
	refuse(to, "198.51.100.1", 5);
	refuse(to, "192.0.2.3", 10);
	for (unsigned i = 2; i <= 200; i++) {
		snprintf(from, sizeof(from), "198.51.100.%u", i);
		refuse(to, from, 1);
	}
	refuse(to, "2001:db8::9", 4);
	failed_login(to, NULL);
	failed_free(to);
	assert_int_equal(rows("%", &count), 17);
	assert_int_equal(count, 3 + 4 + 2 + 14 * 15 / 2 + 10 + 5 + 199);
	expect("2001:db8::/64", 7);
	expect("-", 2);
	expect("192.0.2.1", 1);
	expect("192.0.2.3", 13);
	expect("192.0.2.14", 14);
	expect("others", 5 + 199);
	expect("198.51.100.%", 0);
}

/** As many as there are places: nobody is another one. */
static void
test_full(void **state)
{
	struct failed *to = failed_new(&rest, &f.e);
	unsigned count;
	char from[32];

	for (unsigned i = 1; i <= 16; i++) {
		snprintf(from, sizeof(from), "192.0.2.%u", i);
		refuse(to, from, 1);
	}
	failed_free(to);
	assert_int_equal(rows("%", &count), 16);
	assert_int_equal(count, 16);
	expect("others", 0);
	/* and nothing at all */
	failed_free(failed_new(&rest, &f.e));
	assert_int_equal(rows("%", &count), 16);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sources, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
