/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of kinds: names, examples, fields; what it says of documents is what their parser says.
 */
#include "model_test.h"

#include "model_int.h"
#include "sl_policy_doc.h"

static void
test_names(void **state)
{
	enum sl_kind k;

	for (unsigned i = 0; i < SL_KIND_N; i++) {
		assert_int_equal(sl_kind_parse(sl_kind_name(i), &k), 0);
		assert_int_equal(k, i);
	}
	assert_int_equal(sl_kind_parse("authz_mode", &k), -EINVAL);
	assert_int_equal(sl_kind_parse("logging_enabled", &k), -EINVAL);
	assert_int_equal(sl_kind_parse("", &k), -EINVAL);
	assert_string_equal(sl_kind_name(SL_KIND_N), "");
}

static void
test_properties(void **state)
{
	assert_true(sl_kind_is_strict(SL_KIND_RULE) && sl_kind_is_strict(SL_KIND_ROLE) &&
		    sl_kind_is_strict(SL_KIND_ROLE_MAP) && sl_kind_is_strict(SL_KIND_PEER));
	assert_false(sl_kind_is_strict(SL_KIND_INTERFACE) || sl_kind_is_strict(SL_KIND_ZONE));
	assert_true(sl_kind_is_policy(SL_KIND_ZONE) && sl_kind_is_policy(SL_KIND_RULE));
	assert_false(sl_kind_is_policy(SL_KIND_POLICY) || sl_kind_is_policy(SL_KIND_ROLE_MAP));
	for (unsigned k = SL_KIND_POLICY_TEXT; k < SL_KIND_N; k++)
		assert_int_equal(sl_kind_scope(k), SL_SCOPE_STORES);
	for (unsigned k = 0; k < SL_KIND_POLICY_TEXT; k++)
		assert_int_not_equal(sl_kind_scope(k), SL_SCOPE_STORES);
	assert_int_equal(sl_kind_scope(SL_KIND_N), SL_SCOPE_STORES);
}

static void
test_examples(void **state)
{
	char scope[SL_OBJ_SCOPE];
	struct sl_error e = {0};

	for (unsigned i = 0; i < SL_KIND_N; i++) {
		const struct model_kind *k = model_kind(i);
		json_t *body = json_of(k->example);

		if (sl_object_check(i, k->example_id, body, NULL, &e) < 0)
			fail_msg("%s: %s %s %s", k->name, e.reason, e.path, e.message);
		assert_int_equal(sl_object_scope(i, k->example_id, body, scope), 0);
		assert_int_equal(scope[0] != '\0',
				 k->scope == SL_SCOPE_INTERFACE || k->scope == SL_SCOPE_GATEWAY);
		json_decref(body);
	}
}

/** Each needed field, left out, is named. */
static void
test_required(void **state)
{
	for (unsigned i = 0; i < SL_KIND_N; i++) {
		const struct model_kind *k = model_kind(i);

		for (const struct model_field *f = k->fields; f->name != NULL; f++) {
			struct sl_error e = {0};
			char path[80];
			json_t *body;

			if (!f->required)
				continue;
			body = json_of(k->example);
			assert_int_equal(json_object_del(body, f->name), 0);
			assert_int_equal(sl_object_check(i, k->example_id, body, NULL, &e),
					 -EINVAL);
			snprintf(path, sizeof(path), "/%s", f->name);
			assert_string_equal(e.reason, "field_missing");
			assert_string_equal(e.path, path);
			json_decref(body);
		}
	}
}

/** No field takes a value of every type: null never, and none but any takes {"a": 1.5}. */
static void
test_types(void **state)
{
	for (unsigned i = 0; i < SL_KIND_N; i++) {
		const struct model_kind *k = model_kind(i);

		for (const struct model_field *f = k->fields; f->name != NULL; f++) {
			struct sl_error e = {0};
			json_t *body = json_of(k->example);

			json_object_set_new(body, f->name, json_of("{'a': 1.5}"));
			assert_int_equal(sl_object_check(i, k->example_id, body, NULL, &e),
					 -EINVAL);
			assert_true(strncmp(e.path + 1, f->name, strlen(f->name)) == 0);
			if (f->type != MODEL_FREE) {
				json_object_set_new(body, f->name, json_null());
				assert_int_equal(sl_object_check(i, k->example_id, body, NULL, &e),
						 -EINVAL);
			}
			json_decref(body);
		}
	}
}

/** The parser of documents names its fields in a hint. */
static void
test_policy_fields(void **state)
{
	static const struct {
		enum sl_kind k;
		const char *doc;
	} parts[] = {{SL_KIND_ZONE, "{\"zones\":{\"x\":{\"?\":1}}}"},
		     {SL_KIND_TARGET, "{\"targets\":{\"x\":{\"?\":1}}}"},
		     {SL_KIND_ROLE, "{\"roles\":{\"x\":{\"?\":1}}}"},
		     {SL_KIND_RULE, "{\"rules\":[{\"?\":1}]}"}};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(parts); i++) {
		const struct model_field *f = model_kind(parts[i].k)->fields;
		char known[200] = "known are ";
		struct sl_policy *p = NULL;
		struct sl_error e = {0};

		assert_int_equal(sl_policy_doc_parse(parts[i].doc, strlen(parts[i].doc), &p, &e),
				 -EINVAL);
		for (size_t n = strlen(known); f->name != NULL; f++)
			n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s",
					      f == model_kind(parts[i].k)->fields ? "" : ", ",
					      f->name);
		assert_string_equal(e.hint, known);
	}
}

static void
count_field(void *ctx, const char *name, const char *type, bool required)
{
	assert_true(name[0] != '\0' && type[0] != '\0');
	++*(unsigned *)ctx;
}

static void
test_fields(void **state)
{
	unsigned n = 0;

	sl_kind_fields(SL_KIND_PEER, count_field, &n);
	assert_int_equal(n, 15);
	sl_kind_fields(SL_KIND_N, count_field, &n);
	assert_int_equal(n, 15);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	 cmocka_unit_test(test_properties),
		cmocka_unit_test(test_examples), cmocka_unit_test(test_required),
		cmocka_unit_test(test_types),	 cmocka_unit_test(test_policy_fields),
		cmocka_unit_test(test_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
