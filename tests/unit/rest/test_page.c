/* SPDX-License-Identifier: BSD-3-Clause */
/* The OpenAPI page against the rest of the program: fields of objects, roles, bodies; and the check
 * of bodies by its schemas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "body_schema.h"
#include "sl_object.h"
#include "sl_rest_ops.h"
#include "sl_service.h"

static json_t *page;

static int
load(void **state)
{
	(void)state;
	page = json_loadb(sl_rest_page, sl_rest_page_len, 0, NULL);
	return page != NULL ? 0 : -1;
}

static int
unload(void **state)
{
	(void)state;
	json_decref(page);
	return 0;
}

static json_t *
schema(const char *name)
{
	return json_object_get(json_object_get(json_object_get(page, "components"), "schemas"),
			       name);
}

/* --- no drift --------------------------------------------------------------------------------- */

struct fields {
	const char *schema;
	json_t *properties, *required;
	size_t n;
};

static bool
is_required(const json_t *list, const char *name)
{
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)list, i, v) {
		if (strcmp(json_string_value(v), name) == 0)
			return true;
	}
	return false;
}

static void
each_field(void *ctx, const char *name, const char *type, bool required)
{
	struct fields *f = ctx;
	const json_t *p = json_object_get(f->properties, name);
	const char *has = json_string_value(json_object_get(p, "type"));

	if (p == NULL)
		fail_msg("%s has no field \"%s\"", f->schema, name);
	if (strcmp(type, "any") != 0 && (has == NULL || strcmp(has, type) != 0))
		fail_msg("%s/%s: type %s, not %s", f->schema, name, has ? has : "none", type);
	if (required != is_required(f->required, name))
		fail_msg("%s/%s: needed in one place, not in the other", f->schema, name);
	f->n++;
}

/** What the server works out is told, and taken back without a word: no object has it. */
static size_t
count_computed(json_t *properties)
{
	const char *name;
	size_t n = 0;
	json_t *p;

	json_object_foreach (properties, name, p)
		n += json_is_true(json_object_get(p, "readOnly"));
	return n;
}

static void
test_fields(void **state)
{
	static const struct {
		enum sl_kind kind;
		const char *schema;
	} of[] = {{SL_KIND_INTERFACE, "InterfaceBody"},
		  {SL_KIND_GATEWAY, "GatewayBody"},
		  {SL_KIND_PEER, "PeerBody"},
		  {SL_KIND_ROLE_MAP, "RoleMapBody"},
		  {SL_KIND_PROVIDER, "ProviderBody"},
		  {SL_KIND_POOL, "PoolBody"},
		  {SL_KIND_SETTING, "SettingBody"},
		  {SL_KIND_GATEWAY_INTERFACE, "GatewayInterfaceBody"}};

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(of); i++) {
		struct fields f = {.schema = of[i].schema};

		f.properties = json_object_get(schema(of[i].schema), "properties");
		f.required = json_object_get(schema(of[i].schema), "required");
		sl_kind_fields(of[i].kind, each_field, &f);
		if (f.n + count_computed(f.properties) != json_object_size(f.properties))
			fail_msg("%s has fields that no object has", of[i].schema);
	}
}

static void
test_operations(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sl_rest_n_ops; i++) {
		const struct sl_rest_op *op = &sl_rest_ops[i];
		uint16_t roles;
		bool open;

		assert_int_equal(sl_service_roles_parse(op->roles, &roles, &open), 0);
		if (open && sl_rest_op_changes(op))
			fail_msg("%s changes and is open", op->id);
		if (sl_rest_op_changes(op) &&
		    (roles & (SL_SR_BIT(SL_SR_AUDITOR) | SL_SR_BIT(SL_SR_VIEWER))))
			fail_msg("%s: who only looks may change", op->id);
		if (op->body != NULL && schema(op->body) == NULL)
			fail_msg("%s: no schema %s", op->id, op->body);
		for (unsigned j = 0; j < i; j++) {
			assert_string_not_equal(op->id, sl_rest_ops[j].id);
			if (op->method == sl_rest_ops[j].method)
				assert_string_not_equal(op->path, sl_rest_ops[j].path);
		}
	}
}

/* --- the check of bodies ---------------------------------------------------------------------- */

static void
test_bodies(void **state)
{
	static const struct {
		const char *schema, *body, *reason, *path; /* reason NULL: it fits */
	} t[] = {
		{"Enabled", "{\"enabled\": true}", NULL, NULL},
		{"Enabled", "{\"enabled\": 1}", "field_type", "/enabled"},
		{"Enabled", "{}", "field_missing", "/enabled"},
		{"Enabled", "[]", "field_type", ""},
		{"Enabled", "{\"enabled\": true, \"x\": 1}", "field_unknown", "/x"},
		{"PublicKey", "{\"public_key\": \"short\"}", "field_range", "/public_key"},
		{"TokenNew", "{\"roles\": [\"viewer\", \"root\"]}", "enum_invalid", "/roles/1"},
		{"TokenNew", "{\"roles\": []}", "field_range", "/roles"},
		{"TokenNew", "{\"roles\": [\"viewer\"], \"expires_in_s\": 59}", "field_range",
		 "/expires_in_s"},
		{"TokenNew", "{\"roles\": [\"viewer\"], \"expires_in_s\": 1.5}", "field_type",
		 "/expires_in_s"},
		{"InterfacePatch", "{\"mtu\": null}", NULL, NULL},
		{"InterfacePatch", "{\"mtu\": \"x\"}", "field_type", "/mtu"},
		{"PeerBody",
		 "{\"interface\": \"wg0\", \"public_key\": "
		 "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\", \"addresses\": {\"g\": [1]}}",
		 "field_type", "/addresses/g/0"},
		{"Simulate", "{\"subject\": {\"peer\": \"a\"}, \"dst\": \"1.1.1.1\"}", NULL, NULL},
		{"Simulate", "{\"subject\": {\"x\": \"a\"}, \"dst\": \"\"}", "field_unknown",
		 "/subject/x"},
		{"SettingBody", "{\"value\": [1, {\"a\": null}]}", NULL, NULL},
	};

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(t); i++) {
		json_t *v = json_loads(t[i].body, 0, NULL);
		struct sl_error e = {0};
		int rc = sl_body_check(page, t[i].schema, v, &e);

		json_decref(v);
		if (t[i].reason == NULL) {
			assert_int_equal(rc, 0);
			continue;
		}
		assert_int_equal(rc, -EINVAL);
		assert_string_equal(e.reason, t[i].reason);
		assert_string_equal(e.path, t[i].path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_operations),
		cmocka_unit_test(test_bodies),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
