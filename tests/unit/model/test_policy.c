/* SPDX-License-Identifier: BSD-3-Clause */
/* A document split into objects and joined again says the same, to its parser. */
#include "model_test.h"

#include "../next_random.h"
#include "sl_policy_doc.h"
#include "sl_policy_objects.h"

#define MAX 12

/* --- what the parser sees --------------------------------------------------------------------- */

static int
cmp_rule(const void *a, const void *b)
{
	const struct sl_pol_rule *x = a, *y = b;
	int d = strcmp(x->role, y->role);

	return d != 0 ? d : x->id < y->id ? -1 : x->id > y->id;
}

/** The model of a text, checked, as a document again: without tests, rules by role and id. */
static json_t *
seen(const char *text)
{
	struct sl_policy *p = NULL;
	struct sl_error e = {0};
	json_t *v;

	if (sl_policy_doc_parse(text, strlen(text), &p, &e) < 0 ||
	    sl_policy_check(p, NULL, 0, &e) < 0)
		fail_msg("%s %s %s in %s", e.reason, e.path, e.message, text);
	if (p->n_rules > 0)
		qsort(p->rules, p->n_rules, sizeof(*p->rules), cmp_rule);
	v = sl_policy_doc_emit(p);
	json_object_del(v, "tests");
	sl_policy_free(p);
	return v;
}

/** Join the objects in the order given. */
static char *
join(json_t *objects, const unsigned *order)
{
	struct sl_policy_join *j = sl_policy_join_new();
	enum sl_kind k;
	json_t *doc;
	char *text;

	for (size_t i = 0; i < json_array_size(objects); i++) {
		json_t *o = json_array_get(objects, order[i]);

		assert_int_equal(sl_kind_parse(json_string_value(json_object_get(o, "kind")), &k),
				 0);
		assert_int_equal(sl_policy_join_add(j, k,
						    json_string_value(json_object_get(o, "id")),
						    json_object_get(o, "obj")),
				 0);
	}
	doc = sl_policy_join_done(j);
	sl_policy_join_free(j);
	text = json_dumps(doc, 0);
	json_decref(doc);
	return text;
}

static void
check_objects(json_t *objects)
{
	struct sl_error e = {0};
	enum sl_kind k;
	json_t *o;
	size_t i;

	json_array_foreach (objects, i, o) {
		sl_kind_parse(json_string_value(json_object_get(o, "kind")), &k);
		if (sl_object_check(k, json_string_value(json_object_get(o, "id")),
				    json_object_get(o, "obj"), NULL, &e) < 0)
			fail_msg("%s %s %s", e.reason, e.path, e.message);
	}
}

/** @param doc with any version; joined it has version 77 */
static void
round_trip(json_t *doc, uint64_t *seed)
{
	unsigned order[4096] = {0};
	json_t *objects = NULL, *want, *got;
	struct sl_error e = {0};
	char *text, *first, *second;
	size_t n;

	assert_int_equal(sl_policy_split(doc, 77, &objects, &e), 0);
	check_objects(objects);
	n = json_array_size(objects);
	assert_true(n <= SL_ARRAY_SIZE(order));
	for (unsigned i = 0; i < n; i++)
		order[i] = i;
	first = join(objects, order);
	for (size_t i = n; i > 1; i--) {
		size_t k = next_random(seed) % i;
		unsigned x = order[i - 1];

		order[i - 1] = order[k];
		order[k] = x;
	}
	second = join(objects, order);
	assert_string_equal(first, second);

	text = json_dumps(doc, 0);
	want = seen(text);
	json_object_set_new(want, "version", json_integer(77));
	got = seen(first);
	if (!json_equal(want, got))
		fail_msg("%s\nbecomes\n%s", text, first);
	json_decref(want);
	json_decref(got);
	json_decref(objects);
	free(text);
	free(first);
	free(second);
}

/* --- documents -------------------------------------------------------------------------------- */

static json_t *
places(uint64_t *seed, unsigned net)
{
	json_t *a = json_array();

	for (unsigned i = 0, n = 1 + next_random(seed) % 3; i < n; i++)
		json_array_append_new(a, json_sprintf("10.%u.%u.0/24%s", net, i,
						      next_random(seed) % 4 ? "" : "@wg0"));
	return a;
}

static json_t *
members(uint64_t *seed, unsigned r)
{
	json_t *a = json_array();

	for (unsigned i = 0, n = next_random(seed) % 4; i < n; i++) {
		switch (next_random(seed) % 4) {
		case 0:
			json_array_append_new(a, json_sprintf("peer:p%u", i));
			break;
		case 1:
			json_array_append_new(a, json_sprintf("10.%u.%u.0/24@wg0", r, i));
			break;
		case 2:
			json_array_append_new(a, json_sprintf("10.%u.%u.0/24@*", r, i));
			break;
		default:
			json_array_append_new(a, json_pack("{s:s+, s:s, s:{s:s, s:s, s:s}}", "peer",
							   "q",
							   i == 0   ? "0"
							   : i == 1 ? "1"
								    : "2",
							   "expires", "2099-01-01T00:00:00.5Z",
							   "source", "type", "idp", "provider",
							   "corp", "user", "u"));
		}
	}
	return a;
}

/** Without an id now and then; not in the order of the names. */
static json_t *
role(uint64_t *seed, unsigned r)
{
	json_t *o = json_object();

	if (next_random(seed) % 2)
		json_object_set_new(o, "id", json_integer(2 * r + 1));
	if (next_random(seed) % 2)
		json_object_set_new(o, "members", members(seed, r));
	if (next_random(seed) % 3 == 0)
		json_object_set_new(o, "description", json_string("d\xc3\xa9"));
	if (next_random(seed) % 3 == 0)
		json_object_set_new(o, "on_idp_down", json_string("deny"));
	return o;
}

static json_t *
rule(uint64_t *seed, unsigned id, unsigned roles, unsigned targets)
{
	json_t *o = json_pack("{s:i, s:o, s:[], s:s, s:s}", "id", id, "role",
			      json_sprintf("r%u", (unsigned)(next_random(seed) % roles)), "to",
			      "protocol", next_random(seed) % 2 ? "tcp" : "udp", "action",
			      next_random(seed) % 2 ? "allow" : "deny");

	for (unsigned i = 0, n = 1 + next_random(seed) % 3; i < n; i++)
		json_array_append_new(json_object_get(o, "to"),
				      targets > 0 && next_random(seed) % 2
					      ? json_sprintf("t%u", (unsigned)(next_random(seed) %
									       targets))
					      : json_sprintf("10.99.%u.0/24", i));
	if (next_random(seed) % 2)
		json_object_set_new(o, "ports", json_pack("[i, s]", 443, "8000-8080"));
	if (next_random(seed) % 3 == 0)
		json_object_set_new(o, "priority", json_integer((int)(next_random(seed) % 256)));
	if (next_random(seed) % 4 == 0)
		json_object_set_new(o, "enabled", json_false());
	if (next_random(seed) % 4 == 0)
		json_object_set_new(o, "expires", json_string("2099-02-01"));
	return o;
}

static json_t *
random_doc(uint64_t *seed)
{
	json_t *zones = json_object(), *targets = json_object(), *roles = json_object();
	json_t *rules = json_array();
	unsigned n_targets = (unsigned)(next_random(seed) % MAX), at;
	unsigned n_roles = 1 + (unsigned)(next_random(seed) % MAX);
	char name[16];

	for (unsigned i = 0, n = (unsigned)(next_random(seed) % 4); i < n; i++) {
		snprintf(name, sizeof(name), "z%u", 9 - i);
		json_object_set_new(zones, name,
				    json_pack("{s:i, s:o}", "id", i + 1, "networks",
					      places(seed, i)));
	}
	for (unsigned i = 0; i < n_targets; i++) {
		snprintf(name, sizeof(name), "t%u", n_targets - 1 - i);
		json_object_set_new(targets, name,
				    json_pack("{s:o}", "addresses", places(seed, i)));
	}
	at = (unsigned)next_random(seed) % n_roles;
	for (unsigned i = 0; i < n_roles; i++) { /* each name once, from anywhere on */
		snprintf(name, sizeof(name), "r%u", (at + i) % n_roles);
		json_object_set_new(roles, name, role(seed, (at + i) % n_roles));
	}
	for (unsigned n = (unsigned)(next_random(seed) % 32); n > 0; n--)
		json_array_append_new(rules, rule(seed, n, n_roles, n_targets));
	return json_pack("{s:i, s:o, s:o, s:o, s:o}", "version", 5, "zones", zones, "targets",
			 targets, "roles", roles, "rules", rules);
}

static void
test_random(void **state)
{
	uint64_t seed = 4;

	for (unsigned i = 0; i < 2000; i++) {
		json_t *doc = random_doc(&seed);

		round_trip(doc, &seed);
		json_decref(doc);
	}
}

static void
test_example(void **state)
{
	static char text[1 << 20];
	FILE *f = fopen(EXAMPLE, "r");
	uint64_t seed = 1;
	struct sl_policy *p = NULL;
	struct sl_error e = {0};
	json_t *doc;
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	assert_int_equal(sl_policy_doc_parse(text, n, &p, &e), 0);
	doc = sl_policy_doc_emit(p);
	sl_policy_free(p);
	assert_true(json_array_size(json_object_get(doc, "tests")) > 0);
	assert_true(json_array_size(json_object_get(doc, "rules")) > 0);
	round_trip(doc, &seed);
	json_decref(doc);
}

static void
test_objects(void **state)
{
	json_t *doc =
		json_of("{'version': 1, 'zones': {'z': {'id': 4, 'networks': ['10.0.0.0/8']}}, "
			"'roles': {'b': {}, 'a': {'id': 1}}, 'rules': [{'id': 7, 'role': "
			"'b', 'to': ['*'], 'protocol': 'any', 'action': 'deny'}]}");
	json_t *want =
		json_of("[{'kind': 'policy', 'id': 'policy', 'obj': {'version': 9}},"
			"{'kind': 'zone', 'id': 'z', 'obj': {'id': 4, 'networks': ['10.0.0.0/8']}},"
			"{'kind': 'role', 'id': 'b', 'obj': {'id': 2}},"
			"{'kind': 'role', 'id': 'a', 'obj': {'id': 1}},"
			"{'kind': 'rule', 'id': 'b/7', 'obj': {'id': 7, 'role': 'b', 'to': ['*'], "
			"'protocol': 'any', 'action': 'deny'}}]");
	json_t *out = NULL, *before = json_deep_copy(doc);
	struct sl_error e = {0};

	assert_int_equal(sl_policy_split(doc, 9, &out, &e), 0);
	assert_true(json_equal(out, want));
	assert_true(json_equal(doc, before));
	json_decref(doc);
	json_decref(before);
	json_decref(want);
	json_decref(out);
}

/** Nothing at all is an empty document; other kinds do not matter; a later body replaces. */
static void
test_join(void **state)
{
	struct sl_policy_join *j = sl_policy_join_new();
	json_t *want = json_of("{'version': 0, 'zones': {}, 'targets': {}, 'roles': {}, 'rules': "
			       "[]}");
	json_t *a = json_of("{'id': 1}"), *b = json_of("{'id': 2}"), *got = sl_policy_join_done(j);

	assert_true(json_equal(got, want));
	json_decref(got);
	assert_int_equal(sl_policy_join_add(j, SL_KIND_PEER, "x", a), 0);
	got = sl_policy_join_done(j);
	assert_true(json_equal(got, want));
	json_decref(got);
	assert_int_equal(sl_policy_join_add(j, SL_KIND_ROLE, "r", a), 0);
	assert_int_equal(sl_policy_join_add(j, SL_KIND_ROLE, "r", b), 0);
	got = sl_policy_join_done(j);
	assert_true(json_equal(json_object_get(json_object_get(got, "roles"), "r"), b));
	json_decref(got);
	sl_policy_join_free(j);
	sl_policy_join_free(NULL);
	json_decref(want);
	json_decref(a);
	json_decref(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
