/* SPDX-License-Identifier: BSD-3-Clause */
/* Ids of roles outlive their roles: over documents, at followers, over a restore. */
#include "store_test.h"

#define MANY (SL_POL_ROLES * SL_POL_GROW_MAX)

/** A document with these roles. */
static void
roles(struct fixture *f, json_t *names)
{
	json_t *doc = json_pack("{s:o}", "roles", names);
	struct sl_store_txn *t = begin(f);
	uint32_t version;

	assert_non_null(doc);
	if (sl_store_put_policy(t, doc, NULL, "{}", SL_REV_ANY, &version, &f->e) != 0)
		fail_msg("%s at %s: %s", f->e.reason, f->e.path, f->e.message);
	must_commit(f, t);
	json_decref(doc);
	must_verify(f);
}

static json_int_t
id_of(struct fixture *f, const char *name)
{
	json_t *body = NULL;
	json_int_t id;

	assert_int_equal(sl_store_get(f->s, SL_KIND_ROLE, name, NULL, &body), 0);
	id = json_integer_value(json_object_get(body, "id"));
	json_decref(body);
	return id;
}

static size_t
n_former(struct fixture *f)
{
	json_t *body = NULL;
	size_t n;

	(void)sl_store_get(f->s, SL_KIND_SETTING, "former_roles", NULL, &body);
	n = json_array_size(json_object_get(body, "value"));
	json_decref(body);
	return n;
}

static void
test_comes_back(void **state)
{
	struct fixture f;

	fixture_begin(&f, SL_STORE_PRIMARY);
	roles(&f, quoted("{'a': {}, 'b': {}}"));
	assert_int_equal(id_of(&f, "b"), 2);
	assert_int_equal(n_former(&f), 0);
	roles(&f, quoted("{'a': {}}"));
	assert_int_equal(n_former(&f), 1);
	roles(&f, quoted("{'a': {}, 'c': {}}"));
	assert_int_equal(id_of(&f, "c"), 3);
	roles(&f, quoted("{'b': {}, 'd': {}}"));
	assert_int_equal(id_of(&f, "b"), 2);
	assert_int_equal(id_of(&f, "d"), 4);
	assert_int_equal(n_former(&f), 2);
	roles(&f, quoted("{'b': {}, 'd': {}, 'c': {}, 'a': {}}"));
	assert_int_equal(id_of(&f, "a"), 1);
	assert_int_equal(id_of(&f, "c"), 3);
	assert_int_equal(n_former(&f), 0);
	fixture_end(&f);
}

/** What the document writes wins; who had it before is told apart by another id. */
static void
test_written(void **state)
{
	struct fixture f;

	fixture_begin(&f, SL_STORE_PRIMARY);
	roles(&f, quoted("{'a': {}, 'b': {}}"));
	roles(&f, quoted("{'a': {}}"));
	roles(&f, quoted("{'a': {}, 'x': {'id': 2}}"));
	assert_int_equal(n_former(&f), 0);
	roles(&f, quoted("{'a': {}, 'x': {}, 'b': {}}"));
	assert_int_equal(id_of(&f, "x"), 2);
	assert_int_equal(id_of(&f, "b"), 3);
	/* a role that is given another id: the one that it had is nobody's */
	roles(&f, quoted("{'a': {}, 'x': {}, 'b': {'id': 9}}"));
	roles(&f, quoted("{'a': {}, 'x': {}, 'b': {}, 'y': {}}"));
	assert_int_equal(id_of(&f, "b"), 9);
	assert_int_equal(id_of(&f, "y"), 4);
	roles(&f, quoted("{'a': {}}"));
	roles(&f, quoted("{'a': {}, 'b': {}, 'z': {}}"));
	assert_int_equal(id_of(&f, "b"), 9); /* the last one, not 3 */
	assert_int_equal(id_of(&f, "z"), 5);
	fixture_end(&f);
}

/** As many former ones as there may be in force: then the first that went gives its id. */
static void
test_bound(void **state)
{
	json_t *names = json_object();
	struct fixture f;
	char name[16];

	fixture_begin(&f, SL_STORE_PRIMARY);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "r%03u", i);
		json_object_set_new(names, name, json_object());
	}
	roles(&f, quoted("{'first': {}}"));
	roles(&f, names);
	assert_int_equal(id_of(&f, "r000"), 2);
	assert_int_equal(n_former(&f), 1);
	roles(&f, quoted("{'a': {}}"));
	assert_int_equal(id_of(&f, "a"), MANY + 2);
	assert_int_equal(n_former(&f), MANY);
	roles(&f, quoted("{'a': {}, 'b': {}, 'first': {}}"));
	assert_int_equal(id_of(&f, "b"), 1); /* of `first`, which nobody knows any more */
	assert_int_equal(id_of(&f, "first"), MANY + 3);
	roles(&f, quoted("{'a': {}, 'r000': {}, 'r799': {}}"));
	assert_int_equal(id_of(&f, "r000"), 2);
	assert_int_equal(id_of(&f, "r799"), MANY + 1);
	fixture_end(&f);
}

/** By rows or by a snapshot: a promoted follower knows them. */
static void
test_follower(void **state)
{
	struct fixture p, f, late;

	fixture_begin(&p, SL_STORE_PRIMARY);
	fixture_begin(&f, SL_STORE_FOLLOWER);
	fixture_begin(&late, SL_STORE_FOLLOWER);
	roles(&p, quoted("{'a': {}, 'b': {}}"));
	assert_int_equal(load(&p, &f, 0, 0), 0);
	roles(&p, quoted("{'a': {}}"));
	assert_int_equal(catch_up(&p, &f), 0);
	assert_int_equal(load(&p, &late, 0, 0), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct fixture *to = i == 0 ? &f : &late;

		assert_int_equal(sl_store_promote(to->s, &to->e), 0);
		roles(to, quoted("{'a': {}, 'c': {}}"));
		assert_int_equal(id_of(to, "c"), 3);
		roles(to, quoted("{'a': {}, 'b': {}}"));
		assert_int_equal(id_of(to, "b"), 2);
		fixture_end(to);
	}
	fixture_end(&p);
}

/** What was given since the backup is given to nobody else, as far as the store that is replaced
 * knows it. */
static void
test_restore(void **state)
{
	struct fixture f;
	char backup[120];

	fixture_begin(&f, SL_STORE_PRIMARY);
	snprintf(backup, sizeof(backup), "%s/backup.db", f.dir);
	roles(&f, quoted("{'a': {}, 'b': {}, 'gone': {}}"));
	roles(&f, quoted("{'a': {}, 'b': {}}"));
	assert_int_equal(sl_store_backup(f.path, backup, &f.e), 0);
	roles(&f, quoted("{'a': {}, 'c': {}}"));
	roles(&f, quoted("{'a': {}, 'd': {}}"));
	assert_int_equal(id_of(&f, "d"), 5);
	sl_store_close(f.s);
	assert_int_equal(sl_store_restore(f.path, backup, NULL, &f.e), 0);
	fixture_open(&f);
	must_verify(&f);
	assert_int_equal(id_of(&f, "b"), 2);
	roles(&f, quoted("{'a': {}, 'e': {}, 'c': {}, 'gone': {}}"));
	assert_int_equal(id_of(&f, "e"), 6);
	assert_int_equal(id_of(&f, "c"), 4);
	assert_int_equal(id_of(&f, "gone"), 3);
	/* the backup alone */
	sl_store_close(f.s);
	assert_int_equal(unlink(f.path), 0);
	assert_int_equal(sl_store_restore(f.path, backup, NULL, &f.e), 0);
	fixture_open(&f);
	roles(&f, quoted("{'a': {}, 'b': {}, 'e': {}}"));
	assert_int_equal(id_of(&f, "e"), 4);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_back), cmocka_unit_test(test_written),
		cmocka_unit_test(test_bound),	   cmocka_unit_test(test_follower),
		cmocka_unit_test(test_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
