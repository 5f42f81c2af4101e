/* SPDX-License-Identifier: BSD-3-Clause */
/* Canonical JSON, hashes, sums and chains against the vectors of oracle.py; epochs. */
#include "model_test.h"

#include "vectors.h"

static json_t *
load(const char *text)
{
	json_error_t e;
	json_t *v = json_loads(text, 0, &e);

	if (v == NULL)
		fail_msg("%s: %s", text, e.text);
	return v;
}

static void
test_canon(void **state)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(object_vectors); i++) {
		json_t *v = load(object_vectors[i].given), *again;
		size_t len = 0;
		char *text = sl_canon(v, &len);

		assert_string_equal(text, object_vectors[i].canon);
		assert_int_equal(len, strlen(text));
		again = load(text);
		assert_true(json_equal(v, again));
		json_decref(v);
		json_decref(again);
		free(text);
	}
}

static void
test_canon_refuses(void **state)
{
	json_t *v = load("{\"a\": [1.0]}"), *deep = json_array();
	char *text;

	assert_null(sl_canon(v, NULL));
	assert_null(sl_canon(NULL, NULL));
	json_decref(v);
	for (unsigned i = 0; i < 63; i++)
		deep = json_pack("[o]", deep);
	text = sl_canon(deep, NULL);
	assert_int_equal(strlen(text), 128);
	free(text);
	deep = json_pack("[o]", deep);
	assert_null(sl_canon(deep, NULL));
	json_decref(deep);
}

static void
test_sum(void **state)
{
	struct sl_hash_sum sum = {0}, back, one;
	char text[SL_HASH_STR];
	uint8_t h[SL_HASH_LEN];
	enum sl_kind k;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(object_vectors); i++) {
		const char *canon = object_vectors[i].canon;

		assert_int_equal(sl_kind_parse(object_vectors[i].kind, &k), 0);
		sl_object_hash(k, object_vectors[i].id, canon, strlen(canon), h);
		one = (struct sl_hash_sum){0};
		sl_hash_add(&one, h);
		assert_string_equal(sl_hash_str(&one, text), object_vectors[i].hash);
		sl_hash_add(&sum, h);
		assert_string_equal(sl_hash_str(&sum, text), object_vectors[i].sum);
		assert_int_equal(sl_hash_parse(text, &back), 0);
		assert_true(sl_hash_equal(&back, &sum));
	}
	for (unsigned i = 0; i < SL_ARRAY_SIZE(object_vectors); i++) { /* in the same order */
		const char *canon = object_vectors[i].canon;

		sl_kind_parse(object_vectors[i].kind, &k);
		sl_object_hash(k, object_vectors[i].id, canon, strlen(canon), h);
		sl_hash_sub(&sum, h);
	}
	assert_true(sl_hash_equal(&sum, &(struct sl_hash_sum){0}));
}

/** What goes through all words. */
static void
test_carry(void **state)
{
	struct sl_hash_sum s = {0};
	uint8_t one[SL_HASH_LEN] = {1}, most[SL_HASH_LEN];

	memset(most, 0xff, sizeof(most));
	sl_hash_sub(&s, one);
	assert_memory_equal(s.w, most, sizeof(most));
	sl_hash_add(&s, one);
	assert_true(sl_hash_equal(&s, &(struct sl_hash_sum){0}));
	sl_hash_add(&s, most);
	sl_hash_add(&s, most);
	sl_hash_sub(&s, most);
	assert_memory_equal(s.w, most, sizeof(most));
}

static void
test_parse(void **state)
{
	static const char *const bad[] = {"",
					  "b2b:",
					  "b2b:00",
					  "x2b:00112233445566778899aabbccddeeff00112233445566778899"
					  "aabbccddeeff",
					  "b2b:00112233445566778899aabbccddeeff00112233445566778899"
					  "aabbccddeef",
					  "b2b:00112233445566778899aabbccddeeff00112233445566778899"
					  "aabbccddeeff0",
					  "b2b:00112233445566778899aabbccddeeff00112233445566778899"
					  "aabbccddeefg"};
	struct sl_hash_sum s;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		memset(&s, 1, sizeof(s));
		assert_int_equal(sl_hash_parse(bad[i], &s), -EINVAL);
		assert_true(sl_hash_equal(&s, &(struct sl_hash_sum){0}));
	}
}

static void
test_chain(void **state)
{
	char chain[SL_CHAIN_STR] = "", was[SL_CHAIN_STR];
	json_t *v;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(chain_vectors); i++) {
		v = load(chain_vectors[i].txn);
		assert_int_equal(sl_chain_next(chain, v), 0);
		assert_string_equal(chain, chain_vectors[i].chain);
		json_decref(v);
	}
	memcpy(was, chain, sizeof(was));
	v = load("{\"seq\": 1.5}");
	assert_int_equal(sl_chain_next(chain, v), -EINVAL);
	assert_string_equal(chain, was);
	json_decref(v);
	v = load("{\"seq\": 1, \"ops\": [1]}");
	memcpy(chain, "b2b:x", 6);
	assert_int_equal(sl_chain_next(chain, v), -EINVAL);
	json_decref(v);
}

/** Nothing that is chained can be changed unseen. */
static void
test_chain_covers(void **state)
{
	static const char *const heads[] = {"prev",  "seq",   "ts",
					    "actor", "cause", "policy_version"};
	static const char *const ops[] = {"op", "kind", "id", "rev", "obj"};
	const char *text = "{\"prev\": 1, \"seq\": 2, \"ts\": \"t\", \"actor\": \"a\", \"cause\": "
			   "\"c\", \"policy_version\": 3, \"ops\": [{\"op\": \"put\", \"kind\": "
			   "\"peer\", \"id\": \"x\", \"rev\": 4, \"obj\": {}}]}";
	char want[SL_CHAIN_STR] = "", got[SL_CHAIN_STR];
	json_t *v = load(text);

	assert_int_equal(sl_chain_next(want, v), 0);
	json_decref(v);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(heads) + SL_ARRAY_SIZE(ops); i++) {
		v = load(text);
		if (i < SL_ARRAY_SIZE(heads))
			json_object_set_new(v, heads[i], json_string("other"));
		else
			json_object_set_new(json_array_get(json_object_get(v, "ops"), 0),
					    ops[i - SL_ARRAY_SIZE(heads)], json_string("other"));
		got[0] = '\0';
		assert_int_equal(sl_chain_next(got, v), 0);
		assert_string_not_equal(got, want);
		json_decref(v);
	}
}

static void
test_epoch(void **state)
{
	struct sl_epoch e = {.number = 3,
			     .id = "00112233445566778899aabbccddeeff",
			     .parent_id = "ffeeddccbbaa99887766554433221100",
			     .parent_seq = 1842},
			got, before;
	static const char *const bad[] = {
		"{}",
		"[]",
		"{'number': 1}",
		"{'number': 0, 'id': '00112233445566778899aabbccddeeff'}",
		"{'number': -1, 'id': '00112233445566778899aabbccddeeff'}",
		"{'number': '1', 'id': '00112233445566778899aabbccddeeff'}",
		"{'number': 9007199254740992, 'id': '00112233445566778899aabbccddeeff'}",
		"{'number': 1, 'id': '00112233445566778899aabbccddeef'}",
		"{'number': 1, 'id': '00112233445566778899AABBCCDDEEFF'}",
		"{'number': 1, 'id': 7}",
		"{'number': 1, 'id': '00112233445566778899aabbccddeeff', 'parent_seq': -1}"};
	json_t *v = sl_epoch_json(&e);

	assert_int_equal(sl_epoch_parse(v, &got), 0);
	assert_int_equal(got.number, e.number);
	assert_string_equal(got.id, e.id);
	assert_string_equal(got.parent_id, e.parent_id);
	assert_int_equal(got.parent_seq, e.parent_seq);
	json_decref(v);
	memcpy(&before, &got, sizeof(got)); /* padding too */
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		v = json_of(bad[i]);
		assert_int_equal(sl_epoch_parse(v, &got), -EINVAL);
		assert_memory_equal(&got, &before, sizeof(got));
		json_decref(v);
	}
	assert_int_equal(sl_epoch_parse(NULL, &got), -EINVAL);
	v = json_of("{'number': 1, 'id': '00112233445566778899aabbccddeeff', 'parent_id': null}");
	assert_int_equal(sl_epoch_parse(v, &got), 0);
	assert_string_equal(got.parent_id, "");
	json_decref(v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_canon),	     cmocka_unit_test(test_canon_refuses),
		cmocka_unit_test(test_sum),	     cmocka_unit_test(test_carry),
		cmocka_unit_test(test_parse),	     cmocka_unit_test(test_chain),
		cmocka_unit_test(test_chain_covers), cmocka_unit_test(test_epoch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
