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

#include "sl_env.h"
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
	snprintf(file, sizeof(file), "%s/audit.key", dir);
	assert_int_equal(sl_seal_key_load(file, UINT32_MAX, UINT32_MAX, &key, &e), 0);
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
		assert_int_equal(sl_trail_note(s, &key, &row, &e), 0);
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
fails(const char *why)
{
	struct sl_seal_report r;

	assert_int_equal(verify(&r), -EBADMSG);
	if (strstr(e.message, why) == NULL)
		fail_msg("wanted %s, got: %s", why, e.message);
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
	whole(4, 6, 3, 3);
	loose(2); /* it was started again; or somebody took chains away: this one goes on, and tells
		   */
	fails("row 7: record 7 has no chain");
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	note(1);
	fails("row 7: records 7 to 8 have no chain, though there was one");
	verify(&r);
	assert_int_equal(r.last, 10);
	sql("DELETE FROM rest_audit WHERE n = 2");
	fails("row 3: records 2 to 2 are missing");
}

static void
test_prune(void **state)
{
	struct sl_seal_chain at;

	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	assert_int_equal(sl_trail_prune(s, &key, 5, &e), 0);
	note(20);
	whole(1, 21, 21, 0);
	assert_int_equal(sl_trail_prune(s, &key, 20, &e), 0);
	assert_int_equal(sl_trail_prune(s, &key, 7, &e), 13);
	whole(14, 22, 9, 0);
	assert_int_equal(sl_trail_prune(s, &key, 7, &e), 0); /* not for its own row */
	note(3);
	assert_int_equal(sl_trail_prune(s, &key, 7, &e), 4);
	whole(18, 26, 9, 0);
	sql("DELETE FROM rest_audit WHERE n < 21");
	fails("no seal says that they were removed");
	assert_int_equal(sl_trail_head(s, &at, &e), 0);
	assert_int_equal(at.n, 26);
}

/* --- without the key -------------------------------------------------------------------------- */

/** Rows that fit the chain, as anybody can make them. @param say NULL: of no seal */
static void
append(unsigned n, const struct sl_seal_say *say)
{
	char *text, *seal, hash[SL_SEAL_HASH_STR], time[SL_TIME_STR];
	struct sl_seal_chain at;
	struct sl_seal_view w;

	for (unsigned i = 0; i < n; i++) {
		json_t *row =
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:[]}", "at",
				  sl_time_str(0, time), "actor", "a", "source", "b", "operation",
				  "c", "path", "d", "request_id", "e", "outcome", "done", "diff");

		if (sl_trail_head(s, &at, &e) != 0)
			sl_seal_chain_name(&at);
		assert_int_equal(sl_seal_add(&at, row, say, &key), 0);
		sl_seal_hash_text(at.hash, hash);
		sl_seal_view(row, &w);
		seal = w.seal != NULL ? json_dumps(w.seal, JSON_COMPACT) : NULL;
		text = sqlite3_mprintf("INSERT INTO rest_audit(n, at, actor, source, operation, "
				       "path, request_id, outcome, diff, chain, seal, signature) "
				       "VALUES(%d, 0, 'a', 'b', 'c', 'd', 'e', 'done', '[]', %Q, "
				       "%Q, %Q)",
				       (int)at.n, hash, seal, w.signature);
		sql(text);
		sqlite3_free(text);
		free(seal);
		json_decref(row);
	}
}

/** While it is down, and while it runs: what is written next tells of them, and signs them never
 * as if they were its own. */
static void
test_appended(void **state)
{
	struct sl_seal_report r;

	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	append(1, NULL);
	fails("row 2: record 2 is not signed");
	sql("DELETE FROM rest_audit WHERE n = 2");
	note(2);
	append(2, NULL);
	fails("row 4: record 4 is not signed");
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	fails("row 4: record 4 is not signed");
	verify(&r);
	assert_int_equal(r.unsealed, 2);
	append(1, NULL);
	note(2);
	verify(&r);
	assert_int_equal(r.unsealed, 3);
	assert_int_equal(r.last, 10);
	assert_int_equal(r.unsigned_n, 0);
}

/** What a program that signs once a minute left behind its last seal, when it was killed. */
static void
test_unsealed(void **state)
{
	struct sl_seal_report r;

	static const struct sl_seal_say start = {.why = "start"};

	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	sql("DELETE FROM rest_audit");
	append(1, &start);
	append(3, NULL);
	whole(1, 4, 1, 0);
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	note(1);
	whole(1, 6, 3, 0);
	verify(&r);
	assert_int_equal(r.unsealed, 3);
	assert_true(sl_seal_doubt(&r));
}

/** The server starts, and changes are written; that something is wrong is told for good. */
static void
test_unreadable(void **state)
{
	static const char *const spoil[] = {
		"UPDATE rest_audit SET chain = 'x' WHERE n = 3",
		"UPDATE rest_audit SET seal = 'x', diff = 'x' WHERE n = 3",
		"UPDATE rest_audit SET signature = 'AAAA' WHERE n = 3",
		"UPDATE rest_audit SET chain = NULL, seal = NULL, signature = NULL WHERE n = 3",
		("INSERT INTO rest_audit SELECT 40, at, actor, source, operation, path, "
		 "request_id, "
		 "outcome, seq, diff, chain, seal, signature, count FROM rest_audit WHERE n = 3"),
	};
	struct sl_seal_report r;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(spoil); i++) {
		assert_int_equal(sl_trail_open(s, &key, &e), 0);
		note(2);
		sql(spoil[i]);
		assert_int_equal(sl_trail_open(s, &key, &e), 0);
		note(1);
		assert_int_equal(verify(&r), -EBADMSG);
		sql("DROP TABLE rest_audit");
		key.made = true;
	}
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	sql("UPDATE rest_audit SET seal = NULL, n = 9223372036854775807");
	assert_int_equal(sl_trail_open(s, &key, &e), -EBADMSG);
	assert_non_null(strstr(e.hint, "DELETE FROM rest_audit WHERE n = 9223372036854775807"));
}

/** Of all rows, or all rows themselves: it is no new node. */
static void
test_stripped(void **state)
{
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	note(3);
	assert_int_equal(sl_trail_key(dir, &key, &e), 0); /* the next start */
	sql("UPDATE rest_audit SET chain = NULL, seal = NULL, signature = NULL WHERE n > 2");
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	fails("row 3: records 3 to 4 have no chain, though there was one");
	sql("UPDATE rest_audit SET chain = NULL, seal = NULL, signature = NULL");
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	fails("row 1: records 1 to 5 have no chain, though there was one");
	sql("DELETE FROM rest_audit");
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	fails("this node had signed before");
}

/** Who lost the key goes on with another one: who verifies names both. */
static void
test_other_key(void **state)
{
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	note(2);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(sl_trail_key(dir, &key, &e), -ENOENT);
	assert_int_equal(sl_trail_begin(s, dir, SL_TRAIL_ITS_OWN, &key, &e), 0);
	note(1);
	fails("row 1: the seal is of a foreign key");
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

/** A former primary that was made a follower, and is promoted again, has its key and no rows. */
static void
test_promoted(void **state)
{
	assert_int_equal(sl_trail_open(s, &key, &e), 0);
	note(2);
	sql("DROP TABLE rest_audit");
	assert_int_equal(sl_trail_begin(s, dir, SL_TRAIL_PROMOTED, &key, &e), 0);
	note(1);
	whole(1, 2, 2, 0);
	assert_int_equal(sl_trail_begin(s, dir, SL_TRAIL_ITS_OWN, &key, &e), 0); /* and on */
	note(1);
	whole(1, 3, 3, 0);
}

/** A start that did not come to sign anything leaves no key: the next one would miss a chain. */
static void
test_busy(void **state)
{
	sqlite3 *other;

	assert_int_equal(unlink(file), 0);
	sl_store_set_patience(s, 1);
	snprintf(file, sizeof(file), "%s/store.db", dir);
	assert_int_equal(sqlite3_open(file, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_not_equal(sl_trail_begin(s, dir, SL_TRAIL_ITS_OWN, &key, &e), 0);
	sqlite3_close(other);
	assert_int_equal(sl_trail_key(dir, &key, &e), -ENOENT);
	assert_int_equal(sl_trail_begin(s, dir, SL_TRAIL_ITS_OWN, &key, &e), 0);
	whole(1, 1, 1, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_older, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_prune, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_restored, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_appended, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_unsealed, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_unreadable, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_stripped, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_other_key, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_promoted, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_busy, open_store, close_store),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
