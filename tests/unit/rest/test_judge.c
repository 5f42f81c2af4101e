/* SPDX-License-Identifier: BSD-3-Clause */
/* A document that was judged once, judged again beside a changed store: what one says that is made
 * from its text is what the other says. */
#include "judge.h"
#include "store_test.h"

static const char doc[] = "{\"zones\": {\"in\": {\"id\": 1, \"type\": \"internal\", \"networks\": "
			  "[\"10.0.0.0/8\"]}},"
			  " \"targets\": {\"db\": {\"addresses\": [\"10.20.0.10/32\"]}}, "
			  "\"roles\": {\"eng\": {\"id\": 1}},"
			  " \"rules\": [{\"id\": 1, \"role\": \"eng\", \"to\": [\"db\"], "
			  "\"protocol\": \"tcp\", \"ports\": [5432], "
			  "\"action\": \"allow\"}],"
			  " \"tests\": [{\"name\": \"alice reaches db\", \"from\": {\"peer\": "
			  "\"alice\"}, \"to\": \"db\", "
			  "\"protocol\": \"tcp\", \"port\": 5432, \"expect\": \"allow\"}]}";

static struct judge *
judged(struct fixture *f)
{
	struct judge *j = judge_new(f->s, doc, strlen(doc), NOW, false, &f->e);

	if (j == NULL)
		fail_msg("%s at %s: %s", f->e.reason, f->e.path, f->e.message);
	return j;
}

/** Both ways. @param rc of the document's tests */
static void
expect(struct fixture *f, struct judge *j, struct sl_store *s, int rc)
{
	struct judge *fresh = judged(f);
	unsigned n_fresh = 0, n = 0;

	assert_int_equal(judge_test(fresh, &n_fresh, &f->e), rc);
	assert_int_equal(judge_anew(j, s, &f->e), 0);
	assert_int_equal(judge_test(j, &n, &f->e), rc);
	assert_int_equal(n, n_fresh);
	assert_int_equal(judge_policy(j)->n_zones, judge_policy(fresh)->n_zones);
	judge_free(fresh);
}

static void
test_anew(void **state)
{
	char peer[PEER_TEXT];
	struct sl_store *other;
	struct fixture f;
	struct judge *j;

	fixture_begin(&f, SL_STORE_PRIMARY);
	other = sl_store_open_again(f.s, SL_STORE_READ, &f.e);
	assert_non_null(other);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	put_one(&f, SL_KIND_ROLE, "eng", "{'id': 1}");
	put_one(&f, SL_KIND_TARGET, "db", "{'addresses': ['10.20.0.10/32']}");
	j = judged(&f);
	expect(&f, j, other, -EINVAL); /* there is no alice */
	put_one(&f, SL_KIND_PEER, "alice", peer_text(1, "'roles': ['eng']", peer));
	expect(&f, j, other, 0);
	/* an agent's network comes into a zone, and goes */
	put_one(&f, SL_KIND_GATEWAY, "gw", "{'interfaces': ['wg0']}");
	put_one(&f, SL_KIND_GATEWAY_INTERFACE, "gw:wg0",
		"{'gateway': 'gw', 'interface': 'wg0', 'index': 1, 'addresses': ['10.1.0.1/24']}");
	put_one(&f, SL_KIND_ALLOCATION, "gw:wg0:10.1.0.1", "{'peer': 'alice'}");
	expect(&f, j, other, 0);
	assert_int_equal(judge_policy(j)->n_zones, 2);
	expect(&f, j, other, 0);
	del_one(&f, SL_KIND_ALLOCATION, "gw:wg0:10.1.0.1");
	expect(&f, j, other, 0);
	assert_int_equal(judge_policy(j)->n_zones, 1);
	put_one(&f, SL_KIND_INTERFACE, "a0", "{}"); /* stands before wg0 */
	expect(&f, j, f.s, 0);
	put_one(&f, SL_KIND_PEER, "alice", peer_text(1, "", peer));
	expect(&f, j, other, -EINVAL);
	put_one(&f, SL_KIND_ROLE_MAP, "eng:peer:alice",
		"{'role': 'eng', 'member': 'peer:alice', 'interface': 'wg0', 'source': {'type': "
		"'dynamic', 'reason': 'x'}}");
	expect(&f, j, f.s, 0);
	/* tests look at rules whatever way packets go */
	put_one(&f, SL_KIND_MIGRATION, "target:db",
		"{'state': 'vpn', 'since': '2026-01-01T00:00:00Z'}");
	expect(&f, j, other, 0);
	judge_free(j);
	sl_store_close(other);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_anew)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
