/* SPDX-License-Identifier: BSD-3-Clause */
/* The mark that the ledger gives a target: set and taken away with the entry, never by a document;
 * and a store from before there was one. */
#include "store_test.h"

static bool
is_marked(struct fixture *f, const char *target)
{
	json_t *body = NULL, *v;
	bool marked;

	assert_int_equal(sl_store_get(f->s, SL_KIND_TARGET, target, NULL, &body), 0);
	v = json_object_get(body, "withdrawn");
	assert_true(v == NULL || json_is_true(v)); /* or it is left out */
	marked = v != NULL;
	json_decref(body);
	return marked;
}

static uint64_t
rev_of(struct fixture *f, const char *target)
{
	uint64_t rev = 0;

	assert_int_equal(sl_store_get(f->s, SL_KIND_TARGET, target, &rev, NULL), 0);
	return rev;
}

static uint32_t
put_policy(struct fixture *f, const char *text)
{
	struct sl_store_txn *t = begin(f);
	json_t *doc = quoted(text);
	uint32_t version = 0;
	int rc = sl_store_put_policy(t, doc, NULL, text, SL_REV_ANY, &version, &f->e);

	json_decref(doc);
	if (rc < 0)
		fail_msg("%s %s", f->e.reason, f->e.message);
	assert_int_equal(sl_store_commit(t, NULL, &f->e), 0);
	return version;
}

#define DOC(db, more)                                                                              \
	"{'targets':{'db':{'addresses':['" db "']},'web':{'addresses':['10.20.0.20']}" more "}}"
#define VPN "{'state':'vpn','since':'2026-11-20T09:00:00Z'}"
#define PILOT "{'state':'pilot','since':'2026-11-20T09:00:00Z'}"

static void
test_follows(void **state)
{
	struct sl_store_txn *t;
	struct fixture f;
	uint64_t rev;

	fixture_begin(&f, SL_STORE_PRIMARY);
	put_policy(&f, DOC("10.20.0.10", ""));
	assert_false(is_marked(&f, "db"));
	/* who is to get it, and no step */
	put_one(&f, SL_KIND_MIGRATION, "target:db", "{'state':'vpn','distribute':['*']}");
	assert_false(is_marked(&f, "db"));
	put_one(&f, SL_KIND_MIGRATION, "target:db", PILOT);
	assert_int_equal(rev_of(&f, "db"), 1);
	put_one(&f, SL_KIND_MIGRATION, "target:db", VPN);
	assert_true(is_marked(&f, "db"));
	assert_false(is_marked(&f, "web"));
	/* another address, the same document, a document that says so itself: the ledger's word */
	rev = rev_of(&f, "db");
	put_policy(&f, DOC("10.20.0.10", ""));
	assert_int_equal(rev_of(&f, "db"), rev);
	put_policy(&f, DOC("10.20.0.11", ""));
	assert_true(is_marked(&f, "db"));
	put_policy(&f, DOC("10.20.0.11", ",'x':{'addresses':['10.1.1.1'],'withdrawn':true}"));
	assert_false(is_marked(&f, "x"));
	/* the entry and the mark come together or not at all */
	t = begin(&f);
	assert_int_equal(put(&f, t, SL_KIND_MIGRATION, "target:db", PILOT), 0);
	sl_store_abort(t);
	assert_true(is_marked(&f, "db"));
	put_one(&f, SL_KIND_MIGRATION, "target:db", PILOT);
	assert_false(is_marked(&f, "db"));
	put_one(&f, SL_KIND_MIGRATION, "target:db", VPN);
	del_one(&f, SL_KIND_MIGRATION, "target:db");
	assert_false(is_marked(&f, "db"));
	put_one(&f, SL_KIND_MIGRATION, "deployment", "{'phase':1}");
	must_verify(&f);
	fixture_end(&f);
}

/** A store that a program of layout 1 wrote: the layout is raised, a copy kept, the ledger's word
 * put on the targets by a transaction as any other, once. */
static void
test_layout_1(void **state)
{
	struct sl_store_report r;
	char copy[128];
	struct fixture f;
	struct stat st;
	int version = 0;

	fixture_begin(&f, SL_STORE_PRIMARY);
	sl_store_close(f.s);
	sh("rm -f %s*; umask 077; sqlite3 %s < " LAYOUT_1, f.path);
	assert_int_equal(sl_store_verify(f.path, &r, &f.e), 0); /* a backup may be looked at */
	assert_int_equal(r.head, 10);
	fixture_open(&f);
	assert_int_equal(store_schema_version(f.s->db, &version, &f.e), 0);
	assert_int_equal(version, 2);
	snprintf(copy, sizeof(copy), "%s.schema-1", f.path);
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(sl_store_head(f.s), 10);
	must_verify(&f);
	assert_false(is_marked(&f, "db"));
	assert_int_equal(sl_store_mark_withdrawn(f.s, &f.e), 0);
	assert_int_equal(sl_store_head(f.s), 11);
	assert_true(is_marked(&f, "db"));
	assert_false(is_marked(&f, "web"));
	assert_false(is_marked(&f, "old"));
	assert_int_equal(sl_store_mark_withdrawn(f.s, &f.e), 0);
	assert_int_equal(sl_store_head(f.s), 11);
	must_verify(&f);
	fixture_end(&f);
}

/** Backups of layout 1 can be restored, twice too, and nothing is left lying about. */
static void
test_restore_layout_1(void **state)
{
	char backup[128], left[128];
	struct fixture f;
	int version = 0;

	fixture_begin(&f, SL_STORE_PRIMARY);
	snprintf(backup, sizeof(backup), "%s/backup.db", f.dir);
	snprintf(left, sizeof(left), "%s.restore.schema-1", f.path);
	sh("umask 077; sqlite3 %s < " LAYOUT_1, backup);
	for (unsigned i = 0; i < 2; i++) {
		sl_store_close(f.s);
		if (sl_store_restore(f.path, backup, NULL, &f.e) < 0)
			fail_msg("%s %s", f.e.reason, f.e.message);
		assert_int_equal(access(left, F_OK), -1);
		fixture_open(&f);
		assert_int_equal(store_schema_version(f.s->db, &version, &f.e), 0);
		assert_int_equal(version, 2);
		assert_int_equal(sl_store_mark_withdrawn(f.s, &f.e), 0);
		assert_true(is_marked(&f, "db"));
	}
	must_verify(&f);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_follows),
		cmocka_unit_test(test_layout_1),
		cmocka_unit_test(test_restore_layout_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
