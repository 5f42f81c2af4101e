/* SPDX-License-Identifier: BSD-3-Clause */
/* The file: made, opened, foreign, broken, older, newer, backed up and brought back. */
#include "sl_log.h"
#include "store_test.h"

static struct sl_store *
reopen(struct fixture *f)
{
	sl_store_close(f->s);
	f->e = (struct sl_error){0};
	return f->s = sl_store_open(f->path, SL_STORE_WRITE, &f->e);
}

static void
test_open(void **state)
{
	struct fixture f;
	char other[128];
	struct stat st;

	fixture_begin(&f, SL_STORE_PRIMARY);
	assert_int_equal(stat(f.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	snprintf(other, sizeof(other), "%s-wal", f.path);
	assert_int_equal(stat(other, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	expect_fail(&f, sl_store_init(f.path, SL_STORE_PRIMARY, &f.e), -EEXIST, "exists");
	assert_non_null(strstr(f.e.hint, "restore"));
	snprintf(other, sizeof(other), "%s/none.db", f.dir);
	assert_null(sl_store_open(other, SL_STORE_WRITE, &f.e));
	assert_string_equal(f.e.reason, "store_missing");
	assert_int_equal(chmod(f.path, 0640), 0);
	assert_null(reopen(&f));
	assert_string_equal(f.e.reason, "file_mode");
	assert_int_equal(chmod(f.path, 0600), 0);
	snprintf(other, sizeof(other), "%s/link.db", f.dir);
	assert_int_equal(symlink(f.path, other), 0);
	assert_null(sl_store_open(other, SL_STORE_WRITE, &f.e));
	assert_string_equal(f.e.reason, "file_foreign");
	/* what a restore leaves that is cut short in its last step */
	snprintf(other, sizeof(other), "%s.before-restore", f.path);
	assert_int_equal(link(f.path, other), 0);
	f.s = sl_store_open(f.path, SL_STORE_WRITE, &f.e);
	assert_non_null(f.s);
	sl_store_close(f.s);
	/* a reader writes nothing */
	f.s = sl_store_open(f.path, SL_STORE_READ, &f.e);
	assert_non_null(f.s);
	assert_null(sl_store_begin(f.s, "uid:0", "x", &f.e));
	fixture_end(&f);
}

static void
test_foreign(void **state)
{
	struct fixture f;
	FILE *out;

	fixture_begin(&f, SL_STORE_PRIMARY);
	sh("sqlite3 %s 'PRAGMA application_id = 7' && true || false", f.path);
	assert_null(reopen(&f));
	assert_string_equal(f.e.reason, "store_foreign");
	out = fopen(f.path, "w");
	fputs("this is no database, but a text that is longer than a hundred bytes, which is what "
	      "the library wants to see of a header\n",
	      out);
	fclose(out);
	sh("rm -f %s-wal %s-shm", f.path);
	assert_null(reopen(&f));
	assert_string_equal(f.e.reason, "store_corrupt");
	assert_non_null(strstr(f.e.hint, "restore"));
	fixture_end(&f);
}

static void
test_newer(void **state)
{
	struct fixture f;

	fixture_begin(&f, SL_STORE_PRIMARY);
	sh("sqlite3 %s 'PRAGMA user_version = 99'", f.path);
	assert_null(reopen(&f));
	assert_string_equal(f.e.reason, "store_schema_newer");
	fixture_end(&f);
}

/** A later layout: the former file is kept, all of it or nothing is done. */
static void
test_migrate(void **state)
{
	static const struct store_step good[] = {{2, ""},
						 {3, "ALTER TABLE token_used ADD COLUMN note TEXT"},
						 {4, "CREATE TABLE more (a INTEGER)"}};
	static const struct store_step bad[] = {{2, ""},
						{3, "ALTER TABLE token_used ADD COLUMN note TEXT"},
						{4, "CREATE nonsense"}};
	struct fixture f;
	int version = 0;
	char copy[128];
	struct stat st;

	fixture_begin(&f, SL_STORE_PRIMARY);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	snprintf(copy, sizeof(copy), "%s.schema-2", f.path);
	assert_true(store_migrate(f.s->db, f.path, bad, 3, &f.e) < 0);
	assert_int_equal(store_schema_version(f.s->db, &version, &f.e), 0);
	assert_int_equal(version, 2);
	assert_int_equal(store_exec(f.s->db, "SELECT note FROM token_used", &f.e) == 0, 0);
	assert_int_equal(unlink(copy), 0);
	assert_int_equal(store_migrate(f.s->db, f.path, good, 3, &f.e), 0);
	assert_int_equal(store_schema_version(f.s->db, &version, &f.e), 0);
	assert_int_equal(version, 4);
	assert_int_equal(store_exec(f.s->db, "SELECT note FROM token_used", &f.e), 0);
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* the copy is a store of the layout before */
	sl_store_close(f.s);
	f.s = sl_store_open(copy, SL_STORE_READ, &f.e);
	assert_non_null(f.s);
	assert_int_equal(sl_store_get(f.s, SL_KIND_INTERFACE, "wg0", NULL, NULL), 0);
	fixture_end(&f);
}

static void
test_verify(void **state)
{
	static const char *const harm[] = {
		"UPDATE object SET body = '{\"mtu\":1401}' WHERE kind = 'interface'",
		"DELETE FROM object WHERE id = 'wg0'",
		"UPDATE log SET txn = replace(txn, 'test', 'tesT') WHERE seq = 2",
		"DELETE FROM log WHERE seq = 2",
		"DELETE FROM log WHERE seq = 3",
		"UPDATE state SET head = 4",
	};
	struct sl_store_report r;
	struct fixture f;
	char sql[256];

	fixture_begin(&f, SL_STORE_PRIMARY);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{'mtu': 1400}");
	put_one(&f, SL_KIND_INTERFACE, "wg1", "{}");
	put_one(&f, SL_KIND_INTERFACE, "wg2", "{}");
	assert_int_equal(sl_store_verify(f.path, &r, &f.e), 0);
	assert_int_equal(r.objects, 3);
	assert_int_equal(r.log_rows, 3);
	assert_int_equal(r.head, 3);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(harm); i++) {
		snprintf(sql, sizeof(sql), "BEGIN; %s", harm[i]);
		assert_int_equal(store_exec(f.s->db, "SAVEPOINT s", &f.e), 0);
		assert_int_equal(store_exec(f.s->db, harm[i], &f.e), 0);
		assert_int_equal(store_exec(f.s->db, "RELEASE s", &f.e), 0);
		expect_fail(&f, sl_store_verify(f.path, &r, &f.e), -EBADMSG, "store_corrupt");
		/* made anew for the next one */
		fixture_end(&f);
		fixture_begin(&f, SL_STORE_PRIMARY);
		put_one(&f, SL_KIND_INTERFACE, "wg0", "{'mtu': 1400}");
		put_one(&f, SL_KIND_INTERFACE, "wg1", "{}");
		put_one(&f, SL_KIND_INTERFACE, "wg2", "{}");
	}
	fixture_end(&f);
}

static bool
find_tomb(void *ctx, const struct sl_tombstone *t)
{
	struct sl_tombstone *want = ctx;

	if (t->kind != want->kind || strcmp(t->id, want->id) != 0)
		return true;
	*want = *t;
	return false;
}

static void
test_restore(void **state)
{
	struct sl_tombstone tomb = {.kind = SL_KIND_PEER, .id = "alice"};
	struct sl_epoch before, after;
	struct sl_store_report r;
	struct sl_store_txn *t;
	struct fixture f;
	char text[PEER_TEXT], backup[128], kept[128];
	uint64_t rev = 0, again = 0;
	struct stat st;

	fixture_begin(&f, SL_STORE_PRIMARY);
	snprintf(backup, sizeof(backup), "%s/backup.db", f.dir);
	snprintf(kept, sizeof(kept), "%s.before-restore", f.path);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	put_one(&f, SL_KIND_PEER, "alice", peer_text(1, "", text));
	assert_int_equal(sl_store_backup(f.path, backup, &f.e), 0);
	assert_int_equal(stat(backup, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	expect_fail(&f, sl_store_backup(f.path, backup, &f.e), -EEXIST, "file_exists");
	assert_int_equal(sl_store_verify(backup, &r, &f.e), 0);
	assert_int_equal(r.head, 2);
	/* what comes after it */
	put_one(&f, SL_KIND_PEER, "alice", peer_text(1, "'keepalive_s': 5", text));
	del_one(&f, SL_KIND_PEER, "alice");
	put_one(&f, SL_KIND_PEER, "bob", peer_text(2, "", text));
	assert_int_equal(sl_store_new_epoch(f.s, "test", &f.e), 0);
	sl_store_epoch(f.s, &before);
	assert_int_equal(before.number, 2);
	assert_int_equal(before.parent_seq, 5);
	/* not under the feet of who has it open */
	expect_fail(&f, sl_store_restore(f.path, backup, NULL, &f.e), -EBUSY, "store_in_use");
	sl_store_close(f.s);
	assert_int_equal(sl_store_restore(f.path, backup, NULL, &f.e), 0);
	fixture_open(&f);
	sl_store_epoch(f.s, &after);
	assert_int_equal(after.number, 3); /* above what ever was */
	assert_int_equal(after.parent_seq, 2);
	assert_string_not_equal(after.id, before.id);
	assert_int_equal(sl_store_head(f.s), 2);
	assert_int_equal(sl_store_get(f.s, SL_KIND_PEER, "alice", &rev, NULL), 0);
	assert_int_equal(sl_store_get(f.s, SL_KIND_PEER, "bob", NULL, NULL), -ENOENT);
	must_verify(&f);
	/* it is known that alice was deleted at a later rev; a new put goes beyond it */
	assert_int_equal(sl_store_tombstones(f.s, find_tomb, &tomb, &f.e), 0);
	assert_int_equal(tomb.rev, 2);
	assert_true(rev <= tomb.rev);
	put_one(&f, SL_KIND_PEER, "alice", peer_text(1, "", text)); /* as it is */
	sl_store_get(f.s, SL_KIND_PEER, "alice", &again, NULL);
	assert_int_equal(again, rev);
	t = begin(&f);
	sl_store_txn_confirms(t);
	must_put(&f, t, SL_KIND_PEER, "alice", peer_text(1, "", text));
	must_commit(&f, t);
	sl_store_get(f.s, SL_KIND_PEER, "alice", &rev, NULL);
	assert_true(rev > tomb.rev);
	t = begin(&f);
	sl_store_txn_confirms(t);
	must_put(&f, t, SL_KIND_PEER, "alice", peer_text(1, "", text)); /* once is enough */
	must_commit(&f, t);
	sl_store_get(f.s, SL_KIND_PEER, "alice", &again, NULL);
	assert_int_equal(again, rev);
	/* and what was there can be looked at */
	assert_int_equal(sl_store_verify(kept, &r, &f.e), 0);
	assert_int_equal(r.head, 5);
	fixture_end(&f);
}

static void
test_restore_refused(void **state)
{
	struct fixture f;
	char backup[128], text[128];

	fixture_begin(&f, SL_STORE_PRIMARY);
	snprintf(backup, sizeof(backup), "%s/backup.db", f.dir);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	assert_int_equal(sl_store_backup(f.path, backup, &f.e), 0);
	sl_store_close(f.s);
	snprintf(text, sizeof(text), "%s/none", f.dir);
	expect_fail(&f, sl_store_restore(f.path, text, NULL, &f.e), -ENOENT, "backup_missing");
	sh("sqlite3 %s \"UPDATE object SET body = '{}1'\"", backup);
	expect_fail(&f, sl_store_restore(f.path, backup, NULL, &f.e), -EBADMSG, "store_corrupt");
	sh("head -c 5000 /dev/urandom > %s", backup);
	f.e = (struct sl_error){0};
	assert_int_equal(sl_store_restore(f.path, backup, NULL, &f.e), -EBADMSG);
	assert_string_equal(f.e.reason, "store_corrupt");
	assert_non_null(strstr(f.e.hint, "name another file"));
	fixture_open(&f); /* all is as it was */
	must_verify(&f);
	assert_int_equal(sl_store_get(f.s, SL_KIND_INTERFACE, "wg0", NULL, NULL), 0);
	fixture_end(&f);
}

/** Revisions of a later epoch are above those of any before, and numbers that JSON carries. */
static void
test_rev_base(void **state)
{
	static const uint64_t numbers[] = {1,	     2,	       3,	 25459,
					   25460,    0x1fffff, 91652120, 91652121,
					   91652122, 91655999, 91656000, UINT64_C(7000000000)};
	uint64_t last = 0, base;

	assert_int_equal(sl_epoch_rev_base(1), 0);
	for (unsigned i = 1; i < SL_ARRAY_SIZE(numbers); i++) {
		base = sl_epoch_rev_base(numbers[i]);
		assert_true(numbers[i] == 91652120 || base >= last + (1U << 20));
		assert_true(base < UINT64_C(1) << 53);
		last = base;
	}
	/* the former way to take a number from the clock: hours */
	assert_true(sl_epoch_rev_base(91652120) > sl_epoch_rev_base(91652120 / 3600));
}

static void
test_epoch_later(void **state)
{
	struct sl_epoch a = {.number = 4, .id = "00112233445566778899aabbccddeeff"}, b = a;

	assert_false(sl_epoch_later(&a, &b));
	b.number = 5; /* an id belongs to one number */
	assert_false(sl_epoch_later(&a, &b));
	b.id[0] = '1';
	assert_true(sl_epoch_later(&a, &b));
	b.number = 4;
	assert_false(sl_epoch_later(&a, &b));
	b.number = 3;
	assert_false(sl_epoch_later(&a, &b));
}

/** A store that cannot be read any more is no reason not to restore. */
static void
test_restore_over_ruin(void **state)
{
	struct sl_epoch epoch;
	struct fixture f;
	char backup[128];
	uint64_t first;

	fixture_begin(&f, SL_STORE_PRIMARY);
	snprintf(backup, sizeof(backup), "%s/backup.db", f.dir);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	assert_int_equal(sl_store_backup(f.path, backup, &f.e), 0);
	sl_store_close(f.s);
	sh("head -c 9000 /dev/urandom > %s; head -c 900 /dev/urandom > %s-wal", f.path);
	assert_int_equal(sl_store_restore(f.path, backup, NULL, &f.e), 0);
	fixture_open(&f);
	must_verify(&f);
	assert_int_equal(sl_store_get(f.s, SL_KIND_INTERFACE, "wg0", NULL, NULL), 0);
	/* its epoch may have been any: the new one is above it */
	sl_store_epoch(f.s, &epoch);
	first = epoch.number;
	assert_true(first > 70000000 && first < 1U << 31);
	/* and where there is nothing at all: a second attempt is above the first */
	sl_store_close(f.s);
	sh("sleep 1.1; rm %s %s-wal %s-shm", f.path);
	assert_int_equal(sl_store_restore(f.path, backup, NULL, &f.e), 0);
	fixture_open(&f);
	sl_store_epoch(f.s, &epoch);
	assert_true(epoch.number > first && epoch.number < 1U << 31);
	fixture_end(&f);
}

/** A file that another tool copied, in WAL mode as the store is. */
static void
test_restore_wal_copy(void **state)
{
	struct fixture f;
	char copy[128], cmd[800];

	fixture_begin(&f, SL_STORE_PRIMARY);
	snprintf(copy, sizeof(copy), "%s/copy.db", f.dir);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	sl_store_close(f.s);
	snprintf(cmd, sizeof(cmd),
		 "sqlite3 %s 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null && cp "
		 "%s %s && sqlite3 %s 'PRAGMA journal_mode' | grep -q wal",
		 f.path, f.path, copy, copy);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(sl_store_restore(f.path, copy, NULL, &f.e), 0);
	fixture_open(&f);
	must_verify(&f);
	assert_int_equal(sl_store_get(f.s, SL_KIND_INTERFACE, "wg0", NULL, NULL), 0);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_newer),
		cmocka_unit_test(test_migrate),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_restore),
		cmocka_unit_test(test_rev_base),
		cmocka_unit_test(test_epoch_later),
		cmocka_unit_test(test_restore_refused),
		cmocka_unit_test(test_restore_over_ruin),
		cmocka_unit_test(test_restore_wal_copy),
	};

	sl_log_set_level(SL_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
