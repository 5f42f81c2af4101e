/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies as a reader of an earlier schema is sent them: by a table made for it, and what must hold
 * of the real ones. */
#include "model_test.h"

#include "model_int.h"

static const struct model_field inner[] = {
	{"a", MODEL_INT, .max = 9},
	{"b", MODEL_INT, .max = 9, .since = 2},
	{"only", MODEL_INT, .max = 9, .since = 3, .restricts = true},
	{NULL},
};
static const struct model_field fields[] = {
	{"name", MODEL_TEXT, .max = 9},
	{"more", MODEL_TEXT, .max = 9, .since = 2},
	{"in", MODEL_OBJECT, .fields = inner},
	{"limit", MODEL_INT, .max = 9, .since = 2, .restricts = true},
	{"how", MODEL_FREE, .text_since = 2},
	{NULL},
};
static const struct model_kind kind = {.name = "k", .fields = fields};

/** @param want NULL: the same; "": withheld */
static void
expect(const struct model_kind *k, const char *body, unsigned schema, const char *want)
{
	json_t *v = json_of(body), *was = json_deep_copy(v), *out = NULL, *x;
	enum sl_older how = model_older(k, v, schema, &out);

	assert_true(json_equal(v, was));
	if (want == NULL || want[0] == '\0') {
		assert_int_equal(how, want == NULL ? SL_OLDER_SAME : SL_OLDER_WITHHELD);
		assert_null(out);
	} else {
		x = json_of(want);
		assert_int_equal(how, SL_OLDER_CHANGED);
		assert_true(json_equal(out, x));
		json_decref(x);
	}
	json_decref(out);
	json_decref(was);
	json_decref(v);
}

static void
test_table(void **state)
{
	static const struct model_kind late = {.name = "l", .since = 2, .fields = fields};

	expect(&kind, "{'name':'x'}", 1, NULL);
	expect(&kind, "{'name':'x','more':'y'}", 1, "{'name':'x'}");
	expect(&kind, "{'name':'x','more':'y'}", 2, NULL);
	expect(&kind, "{'name':'x','limit':1}", 1, "");
	expect(&kind, "{'name':'x','limit':1}", 2, NULL);
	expect(&kind, "{'in':{'a':1,'b':2},'more':'y'}", 1, "{'in':{'a':1}}");
	expect(&kind, "{'in':{'a':1,'b':2}}", 2, NULL);
	expect(&kind, "{'in':{'a':1,'only':2}}", 2, ""); /* restricts, further down */
	expect(&kind, "{'in':{'a':1,'only':2}}", 3, NULL);
	expect(&kind, "{'how':true}", 1, NULL);
	expect(&kind, "{'name':'x','how':'so'}", 1, "{'name':'x'}");
	expect(&kind, "{'name':'x','how':'so'}", 2, NULL);
	expect(&kind, "{'unknown':1}", 1, NULL); /* is nobody's */
	expect(&late, "{'name':'x'}", 1, "");
	expect(&late, "{'name':'x'}", 2, NULL);
}

static void
test_target(void **state)
{
	json_t *v = json_of("{'addresses':['10.0.0.1'],'withdrawn':true}"), *out = NULL;

	assert_int_equal(sl_object_older(SL_KIND_TARGET, v, 1, &out), SL_OLDER_CHANGED);
	assert_int_equal(json_object_size(out), 1);
	json_decref(out);
	assert_int_equal(sl_object_older(SL_KIND_TARGET, v, 2, &out), SL_OLDER_SAME);
	json_object_set_new(v, "colour", json_string("red"));
	sl_object_drop_unknown(SL_KIND_TARGET, v);
	assert_int_equal(json_object_size(v), 2);
	json_decref(v);
	for (int k = 0; k < SL_KIND_N; k++) {
		assert_int_equal(sl_kind_is_newer((enum sl_kind)k, 1),
				 k == SL_KIND_TARGET || k == SL_KIND_RULE);
		assert_false(sl_kind_is_newer((enum sl_kind)k, SL_MODEL_SCHEMA));
	}
}

/** A rule that samples records all where samples are not known; one that records none stays so. */
static void
test_rule(void **state)
{
	json_t *v = json_of("{'id':1,'role':'r','to':['*'],'protocol':'any','action':'allow',"
			    "'log':'sample:1/10'}");
	json_t *out = NULL;

	assert_int_equal(sl_object_older(SL_KIND_RULE, v, 1, &out), SL_OLDER_CHANGED);
	assert_null(json_object_get(out, "log"));
	assert_int_equal(json_object_size(out), json_object_size(v) - 1);
	json_decref(out);
	assert_int_equal(sl_object_older(SL_KIND_RULE, v, 2, &out), SL_OLDER_SAME);
	json_object_set_new(v, "log", json_false());
	assert_int_equal(sl_object_older(SL_KIND_RULE, v, 1, &out), SL_OLDER_SAME);
	json_decref(v);
}

/** What is withheld must not be missed by others, and must give nobody anything by its absence. */
static void
check_fields(enum sl_kind k, const struct model_field *f)
{
	for (; f->name != NULL; f++) {
		assert_true(f->since <= SL_MODEL_SCHEMA);
		if (f->restricts)
			assert_true(f->since > 1 && (k == SL_KIND_PEER || k == SL_KIND_ROLE_MAP));
		if (f->since > 1)
			assert_false(f->required); /* objects of before have none */
		if (f->type == MODEL_OBJECT)
			check_fields(k, f->fields);
	}
}

static void
test_real_tables(void **state)
{
	const struct model_kind *k;

	assert_true(SL_MODEL_SCHEMA - SL_MODEL_SCHEMA_OLDEST == 1); /* n - 1, and no more */
	for (int i = 0; (k = model_kind((enum sl_kind)i)) != NULL; i++) {
		assert_true(k->since <= SL_MODEL_SCHEMA);
		check_fields((enum sl_kind)i, k->fields);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_rule),
		cmocka_unit_test(test_real_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
