/* SPDX-License-Identifier: BSD-3-Clause */
/* The audit's table: one of a program that knew no chain, rows that such a program writes between,
 * old rows that are removed. What a verifier says after each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>
#include <sqlite3.h>

#include "sl_trail.h"

static char dir[64], file[100];
static struct sl_store *s;
static struct sl_seal_key key;
static struct sl_error e;

static void
sql(const char *text)
{
	char *why = NULL;

	if (sqlite3_exec(sl_store_db(s), text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
}

static int
open_store(void **state)
{
	e = (struct sl_error){0};
	snprintf(dir, sizeof(dir), "/tmp/sl-trail-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/store.db", dir);
	assert_int_equal(sl_store_init(file, SL_STORE_PRIMARY, &e), 0);
	s = sl_store_open(file, SL_STORE_WRITE, &e);
	assert_non_null(s);
	assert_int_equal(sl_trail_key(dir, &key, &e), 0);
	return 0;
}

static int
close_store(void **state)
{
	char command[100];

	sl_store_close(s);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void
note(unsigned n)
{
	json_t *none = json_array();
	struct sl_trail_row row = {.actor = "uid:0",
				   .source = "local",
				   .operation = "test",
				   .path = "-",
				   .request_id = "-",
				   .outcome = "done",
				   .diff = none};

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(sl_trail_note(s, &row, &e), 0);
	json_decref(none);
}

/** As a program of before does. */
static void
loose(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sql("INSERT INTO rest_audit(at, actor, source, operation, path, request_id, "
		    "outcome, "
		    "seq, diff) VALUES(1, 'a', 'b', 'c', 'd', 'e', 'done', 7, '[]')");
}

static int
verify(struct sl_seal_report *r)
{
	struct sl_seal_check_conf c = {.keys = &key.public, .n_keys = 1, .numbered = true};
	struct sl_seal_check *v = sl_seal_check_new(&c);
	int rc = sl_trail_verify(s, v, r, &e);

	sl_seal_check_free(v);
	return rc;
}

static void
whole(uint64_t first, uint64_t last, uint64_t seals, uint64_t of_before)
{
	struct sl_seal_report r;

	if (verify(&r) != 0)
		fail_msg("%s", e.message);
	assert_int_equal(r.first, first);
	assert_int_equal(r.last, last);
	assert_int_equal(r.seals, seals);
	assert_int_equal(r.loose, of_before);
}

static void
test_older(void **state)
{
	struct sl_seal_report r;

	/* the table as it was */
	sql("CREATE TABLE rest_audit(n INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, "
	    "actor "
	    "TEXT NOT NULL, source TEXT NOT NULL, operation TEXT NOT NULL, path TEXT NOT NULL, "
	    "request_id TEXT NOT NULL, outcome TEXT NOT NULL, seq INTEGER, diff TEXT NOT NULL)");
	loose(3);
	assert_int_equal(verify(&r), -EBADMSG);
	assert_string_equal(e.reason, "audit_no_chain");
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	note(2);
	whole(4, 6, 1, 3);
	loose(2); /* it was started again, and then this one */
	assert_int_equal(verify(&r), -EBADMSG);
	assert_non_null(strstr(e.message, "row 7: record 7 has no chain"));
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	note(1);
	whole(4, 10, 2, 5);
	sql("DELETE FROM rest_audit WHERE n = 2");
	assert_int_equal(verify(&r), -EBADMSG);
}

static void
test_prune(void **state)
{
	struct sl_seal_report r;
	struct sl_seal_chain at;

	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	assert_int_equal(sl_trail_prune(s, &key, 5, &e), 0);
	for (unsigned i = 0; i < 4; i++) {
		note(4);
		assert_int_equal(sl_trail_seal(s, &key, "checkpoint", &e), 1);
		assert_int_equal(sl_trail_seal(s, &key, "checkpoint", &e), 0);
	}
	whole(1, 21, 5, 0); /* seals are 1, 6, 11, 16, 21 */
	assert_int_equal(sl_trail_prune(s, &key, 21, &e), 0);
	assert_int_equal(sl_trail_prune(s, &key, 7, &e), 10);
	whole(11, 22, 4, 0);
	assert_int_equal(sl_trail_prune(s, &key, 7, &e), 0);
	note(3);
	assert_int_equal(sl_trail_prune(s, &key, 7, &e), 5);
	whole(16, 26, 4, 0);
	sql("DELETE FROM rest_audit WHERE n < 21");
	assert_int_equal(verify(&r), -EBADMSG);
	assert_non_null(strstr(e.message, "no seal says that they were removed"));
	assert_int_equal(sl_trail_head(s, &at, &e), 0);
	assert_int_equal(at.n, 26);
}

static void
test_restored(void **state)
{
	struct sl_seal_chain was, is;
	struct sl_seal_report r;

	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	note(2);
	assert_int_equal(sl_trail_head(s, &was, &e), 0);
	assert_int_equal(sl_trail_restored(s, &key, &e), 0);
	note(1);
	assert_int_equal(sl_trail_head(s, &is, &e), 0);
	assert_string_not_equal(was.id, is.id);
	assert_int_equal(verify(&r), 0);
	assert_int_equal(r.chains, 2);
	assert_int_equal(r.last, 5);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_older, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_prune, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_restored, open_store, close_store),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
