/* SPDX-License-Identifier: BSD-3-Clause */
/* The document in the store: split, diffed, refused as a whole; pools against zones; the number of
 * role maps. */
#include "sl_alloc.h"
#include "store_test.h"

static const char doc_1[] =
	"{'zones': {'in': {'id': 1, 'type': 'internal', 'networks': ['10.0.0.0/8']},"
	"           'vpn': {'id': 2, 'type': 'vpn', 'networks': ['10.1.0.0/16']}},"
	" 'targets': {'db': {'addresses': ['10.20.0.10/32']}, 'web': {'addresses': "
	"['10.20.1.0/24']}},"
	" 'roles': {'staff': {'members': ['peer:alice']}, 'guest': {}},"
	" 'rules': [{'id': 1, 'role': 'staff', 'to': ['db'], 'protocol': 'tcp', 'ports': [5432], "
	"'action': 'allow'},"
	"           {'id': 2, 'role': 'guest', 'to': ['web'], 'protocol': 'tcp', 'ports': [443], "
	"'action': 'allow'}]}";
/* guest, its rule and web are gone; a new role stands first; a rule is changed */
static const char doc_2[] =
	"{'zones': {'in': {'id': 1, 'type': 'internal', 'networks': ['10.0.0.0/8']},"
	"           'vpn': {'id': 2, 'type': 'vpn', 'networks': ['10.1.0.0/16']}},"
	" 'targets': {'db': {'addresses': ['10.20.0.10/32']}},"
	" 'roles': {'audit': {}, 'staff': {'members': ['peer:alice']}},"
	" 'rules': [{'id': 1, 'role': 'staff', 'to': ['db'], 'protocol': 'tcp', 'ports': [5433], "
	"'action': 'allow'}]}";

static int
put_doc(struct fixture *f, struct sl_store_txn *t, const char *text, uint64_t if_version,
	uint32_t *version)
{
	json_t *doc = quoted(text);
	int rc;

	f->e = (struct sl_error){0};
	rc = sl_store_put_policy(t, doc, NULL, text, if_version, version, &f->e);
	json_decref(doc);
	return rc;
}

static void
must_put_doc(struct fixture *f, const char *text, uint32_t want)
{
	struct sl_store_txn *t = begin(f);
	uint32_t version = 0;

	if (put_doc(f, t, text, SL_REV_ANY, &version) < 0)
		fail_msg("%s at %s: %s", f->e.reason, f->e.path, f->e.message);
	must_commit(f, t);
	assert_int_equal(version, want);
}

static json_int_t
role_id(struct fixture *f, const char *name)
{
	json_t *body = NULL;
	json_int_t id;

	assert_int_equal(sl_store_get(f->s, SL_KIND_ROLE, name, NULL, &body), 0);
	id = json_integer_value(json_object_get(body, "id"));
	json_decref(body);
	return id;
}

static bool
keep_ops(void *ctx, uint64_t seq, json_t *txn)
{
	*(json_t **)ctx = json_incref(json_object_get(txn, "ops"));
	assert_int_equal(json_integer_value(json_object_get(txn, "policy_version")), 2);
	return true;
}

static void
test_document(void **state)
{
	struct fixture f;
	json_int_t staff;
	json_t *ops = NULL, *body, *op;
	uint64_t rev;
	size_t i;
	char got[400] = "";

	fixture_begin(&f, SL_STORE_PRIMARY);
	must_put_doc(&f, doc_1, 1);
	assert_int_equal(sl_store_count(f.s, SL_KIND_ZONE), 2);
	assert_int_equal(sl_store_count(f.s, SL_KIND_TARGET), 2);
	assert_int_equal(sl_store_count(f.s, SL_KIND_RULE), 2);
	staff = role_id(&f, "staff");
	must_put_doc(&f, doc_2, 2);
	/* records hold the number: it stays */
	assert_int_equal(role_id(&f, "staff"), staff);
	assert_int_not_equal(role_id(&f, "audit"), staff);
	/* only what changed is in the log */
	assert_int_equal(sl_store_log_read(f.s, 2, keep_ops, &ops, &f.e), 0);
	json_array_foreach (ops, i, op) {
		strncat(got, json_string_value(json_object_get(op, "op")), 10);
		strncat(got, " ", 2);
		strncat(got, json_string_value(json_object_get(op, "id")), 20);
		strncat(got, ",", 2);
	}
	assert_string_equal(got, "del guest/2,put audit,put staff/1,put policy,del guest,del web,"
				 "put 2,put former_roles,");
	json_decref(ops);
	sl_store_get(f.s, SL_KIND_ZONE, "in", &rev, NULL);
	assert_int_equal(rev, 1);
	assert_int_equal(sl_store_get(f.s, SL_KIND_POLICY_TEXT, "1", NULL, &body), 0);
	assert_string_equal(json_string_value(json_object_get(body, "text")), doc_1);
	json_decref(body);
	must_verify(&f);
	fixture_end(&f);
}

static void
test_refused(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;
	uint32_t version;
	uint64_t seq;

	fixture_begin(&f, SL_STORE_PRIMARY);
	must_put_doc(&f, doc_1, 1);
	t = begin(&f);
	expect_fail(&f, put_doc(&f, t, doc_2, 7, &version), -ESTALE, "version_mismatch");
	expect_fail(&f,
		    put_doc(&f, t,
			    "{'roles': {'a': {}}, 'rules': [{'id': 1, 'role': 'b', 'to': ['*'], "
			    "'protocol': 'any', 'action': 'allow'}]}",
			    SL_REV_ANY, &version),
		    -ENOENT, "role_unknown");
	assert_string_equal(f.e.path, "/rules/0/role");
	expect_fail(&f, put_doc(&f, t, "{'zones': 7}", SL_REV_ANY, &version), -EINVAL,
		    "field_type");
	sl_store_abort(t);
	/* somebody has the role that the new document lacks */
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	put_one(&f, SL_KIND_ROLE_MAP, "guest:10.9.0.0/24@wg0",
		"{'role': 'guest', 'member': '10.9.0.0/24@wg0', 'interface': 'wg0', 'source': "
		"{'type': 'dynamic', 'reason': 'x'}}");
	t = begin(&f);
	expect_fail(&f, put_doc(&f, t, doc_2, SL_REV_ANY, &version), -EBUSY, "referenced");
	assert_string_equal(f.e.path, "/roles/guest/with/role_map/guest:10.9.0.0/24@wg0");
	sl_store_abort(t);
	/* the ledger holds a target */
	del_one(&f, SL_KIND_ROLE_MAP, "guest:10.9.0.0/24@wg0");
	put_one(&f, SL_KIND_MIGRATION, "target:web", "{'state': 'vpn'}");
	t = begin(&f);
	expect_fail(&f, put_doc(&f, t, doc_2, SL_REV_ANY, &version), -EBUSY, "referenced");
	assert_string_equal(f.e.path, "/targets/web/with/migration/target:web");
	sl_store_abort(t);
	/* one part alone: the whole is looked at */
	t = begin(&f);
	must_put(&f, t, SL_KIND_ROLE, "third", "{'id': 1}");
	expect_fail(&f, sl_store_commit(t, &seq, &f.e), -EEXIST, "role_id_duplicate");
	must_verify(&f);
	assert_int_equal(sl_store_get(f.s, SL_KIND_ROLE, "third", NULL, NULL), -ENOENT);
	fixture_end(&f);
}

static unsigned
rule_refs(struct fixture *f)
{
	sqlite3_stmt *st;
	unsigned n;

	assert_int_equal(sqlite3_prepare_v2(f->s->db,
					    "SELECT count(*) FROM ref WHERE kind = 'rule'", -1, &st,
					    NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (unsigned)sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return n;
}

/** What a rule names stays, whether the index says so, as in a store from before, or not. */
static void
test_named(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;

	fixture_begin(&f, SL_STORE_PRIMARY);
	must_put_doc(&f, doc_1, 1);
	t = begin(&f);
	expect_fail(&f, sl_store_del(t, SL_KIND_ROLE, "guest", SL_REV_ANY, &f.e), -EBUSY,
		    "referenced");
	assert_string_equal(f.e.path, "/with/rule/guest/2");
	assert_non_null(strstr(f.e.message, "at /role"));
	expect_fail(&f, sl_store_del(t, SL_KIND_TARGET, "db", SL_REV_ANY, &f.e), -EBUSY,
		    "referenced");
	assert_string_equal(f.e.path, "/with/rule/staff/1");
	assert_non_null(strstr(f.e.message, "at /to/0"));
	assert_int_equal(sl_store_del(t, SL_KIND_RULE, "guest/2", SL_REV_ANY, &f.e), 0);
	assert_int_equal(sl_store_del(t, SL_KIND_ROLE, "guest", SL_REV_ANY, &f.e), 0);
	assert_int_equal(sl_store_del(t, SL_KIND_TARGET, "web", SL_REV_ANY, &f.e), 0);
	must_commit(&f, t);
	must_verify(&f);
	must_put_doc(&f, doc_1, 2);
	assert_int_equal(rule_refs(&f), 0);
	assert_int_equal(sqlite3_exec(f.s->db,
				      "INSERT INTO ref VALUES "
				      "('role', 'guest', 'rule', 'guest/2', 3, '/role'), "
				      "('target', 'web', 'rule', 'guest/2', 3, '/to/0'), "
				      "('role', 'staff', 'rule', 'staff/1', 3, '/role')",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	must_put_doc(&f, doc_2, 3); /* guest and web go, staff/1 is another */
	assert_int_equal(rule_refs(&f), 0);
	must_verify(&f);
	fixture_end(&f);
}

static void
test_pools(void **state)
{
	static const char pool[] = "{'prefixes': ['%s'], 'prefix_len': 24}";
	struct fixture f;
	struct sl_store_txn *t;
	struct sl_prefix net;
	char text[200];
	uint64_t seq;
	bool vpn;

	fixture_begin(&f, SL_STORE_PRIMARY);
	must_put_doc(&f, doc_1, 1);
	/* an internal network that holds all of a pool is a wide one, this names part of it */
	snprintf(text, sizeof(text), pool, "10.2.0.0/16', '172.16.0.0/16");
	t = begin(&f);
	must_put(&f, t, SL_KIND_POOL, "sites", text);
	expect_fail(&f, sl_store_commit(t, &seq, &f.e), -EINVAL, "pool_in_internal_zone");
	assert_string_equal(f.e.path, "/pool/sites/prefixes/0");
	snprintf(text, sizeof(text), pool, "10.2.0.0/16");
	put_one(&f, SL_KIND_POOL, "sites", text);
	snprintf(text, sizeof(text), pool, "10.1.0.0/16"); /* a vpn network is there */
	put_one(&f, SL_KIND_POOL, "sites", text);
	snprintf(text, sizeof(text), pool, "172.16.0.0/16"); /* no zone at all */
	put_one(&f, SL_KIND_POOL, "more", text);
	/* a document that brings the conflict */
	t = begin(&f);
	{
		json_t *doc = quoted("{'zones': {'in': {'id': 1, 'type': 'internal', 'networks': "
				     "['172.16.5.0/24']}}}");
		uint32_t version;

		assert_int_equal(sl_store_put_policy(t, doc, NULL, "{}", SL_REV_ANY, &version,
						     &f.e),
				 0);
		json_decref(doc);
	}
	expect_fail(&f, sl_store_commit(t, &seq, &f.e), -EINVAL, "pool_in_internal_zone");
	assert_string_equal(f.e.path, "/pool/more/prefixes/0");
	/* clients' pool of a gateway, and the default pool of agents: 10.1.0.0/24 may be given */
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	put_one(&f, SL_KIND_GATEWAY, "gw1", "{'interfaces': ['wg0']}");
	t = begin(&f);
	must_put(&f, t, SL_KIND_GATEWAY_INTERFACE, "gw1:wg0",
		 "{'gateway': 'gw1', 'interface': 'wg0', 'client_pool': ['10.7.0.0/24']}");
	expect_fail(&f, sl_store_commit(t, &seq, &f.e), -EINVAL, "pool_in_internal_zone");
	assert_string_equal(f.e.path, "/gateway_interface/gw1:wg0/client_pool/0");
	t = begin(&f);
	assert_int_equal(sl_alloc_agent(t, "agents", "wg0", &net, &vpn, &f.e), 0);
	assert_true(vpn);
	must_put(&f, t, SL_KIND_PEER, "a",
		 "{'interface': 'wg0', 'public_key': "
		 "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQA=', "
		 "'allowed_ips': ['10.1.0.0/24']}");
	expect_fail(&f, sl_alloc_agent(t, "agents", "wg0", &net, &vpn, &f.e), -EINVAL,
		    "pool_in_internal_zone"); /* 10.2.0.0/24 */
	expect_fail(&f, sl_alloc_agent(t, "none", "wg0", &net, &vpn, &f.e), -EINVAL,
		    "pool_unknown");
	sl_store_abort(t);
	fixture_end(&f);
}

/** 80,000 prefixes with roles are what gateways take; one more is refused. All but the last ones
 * come straight into the table, for time's sake. */
static void
test_role_maps(void **state)
{
	static const char many[] =
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 79998) "
		"INSERT INTO object SELECT 'role_map', 'r:' || i || '@wg0', 1, '{}' FROM n";
	static const char map[] =
		"{'role': 'r', 'member': '%s', 'interface': 'wg0', 'source': {'type': 'dynamic', "
		"'reason': 'x'}}";
	struct fixture f;
	struct sl_store_txn *t;
	char text[256];
	uint64_t seq;

	fixture_begin(&f, SL_STORE_PRIMARY);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	must_put_doc(&f, "{'roles': {'r': {'members': ['10.255.0.0/24@wg0', 'peer:x']}}}", 1);
	assert_int_equal(store_exec(f.s->db, many, &f.e), 0);
	snprintf(text, sizeof(text), map, "10.0.0.1/32@wg0");
	put_one(&f, SL_KIND_ROLE_MAP, "r:10.0.0.1/32@wg0", text);
	/* peers do not count */
	put_one(&f, SL_KIND_PEER, "p", peer_text(1, "", (char[PEER_TEXT]){0}));
	snprintf(text, sizeof(text), map, "peer:p");
	put_one(&f, SL_KIND_ROLE_MAP, "r:peer:p", text);
	t = begin(&f);
	snprintf(text, sizeof(text), map, "10.0.0.2/32@wg0");
	must_put(&f, t, SL_KIND_ROLE_MAP, "r:10.0.0.2/32@wg0", text);
	expect_fail(&f, sl_store_commit(t, &seq, &f.e), -E2BIG, "limit_prefixes");
	fixture_end(&f);
}

/** A split that was made before another document came would give a role another number. */
static void
test_split(void **state)
{
	json_t *doc = quoted(doc_2);
	struct sl_store_split *split;
	struct sl_store_txn *t;
	struct fixture f;
	uint32_t version;
	json_int_t staff;

	fixture_begin(&f, SL_STORE_PRIMARY);
	split = sl_store_split_new(f.s, doc, &f.e);
	assert_non_null(split);
	must_put_doc(&f, doc_1, 1);
	staff = role_id(&f, "staff");
	for (unsigned made_anew = 0; made_anew < 2; made_anew++) {
		t = begin(&f);
		assert_int_equal(sl_store_put_policy(t, doc, split, "{}", SL_REV_ANY, &version,
						     &f.e),
				 0);
		assert_int_equal(version, 2);
		assert_int_equal(role_id(&f, "staff"), staff);
		sl_store_abort(t);
		sl_store_split_free(split);
		split = sl_store_split_new(f.s, doc, &f.e);
		assert_non_null(split);
	}
	sl_store_split_free(split);
	json_decref(doc);
	fixture_end(&f);
}

/** A written number wins over the one that another role had; a new role gets none that another had.
 */
static void
test_role_ids(void **state)
{
	struct fixture f;

	fixture_begin(&f, SL_STORE_PRIMARY);
	must_put_doc(&f, "{'roles': {'staff': {}, 'guest': {}}}", 1);
	assert_int_equal(role_id(&f, "staff"), 1);
	assert_int_equal(role_id(&f, "guest"), 2);
	must_put_doc(&f, "{'roles': {'audit': {}, 'guest': {}}}", 2);
	assert_int_equal(role_id(&f, "guest"), 2);
	assert_int_equal(role_id(&f, "audit"), 3);
	must_put_doc(&f, "{'roles': {'guest': {}, 'root': {'id': 2}, 'audit': {}}}", 3);
	assert_int_equal(role_id(&f, "root"), 2);
	assert_int_equal(role_id(&f, "audit"), 3);
	assert_int_equal(role_id(&f, "guest"), 4); /* 1 was staff's */
	must_verify(&f);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document),  cmocka_unit_test(test_split),
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_pools),
		cmocka_unit_test(test_role_maps), cmocka_unit_test(test_role_ids),
		cmocka_unit_test(test_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
