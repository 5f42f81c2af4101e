/* SPDX-License-Identifier: BSD-3-Clause */
/* Marks of gateways that another primary was taking out: what is taken over, what goes on, what is
 * dropped. */
#include "store_test.h"

#include "call_int.h"
#include "leaving.h"
#include "leaving_mark.h"
#include "resume.h"

static struct fixture f;
static unsigned resumed;
static struct sl_call *last;

void __wrap_stage_resume(struct sl_call *c);

void
__wrap_stage_resume(struct sl_call *c)
{
	resumed++;
	last = c;
}

static int
set_up(void **state)
{
	fixture_begin(&f, SL_STORE_PRIMARY);
	assert_int_equal(leaving_init(f.s, &f.e), 0);
	resumed = 0;
	return 0;
}

static int
tear_down(void **state)
{
	fixture_end(&f);
	return 0;
}

static uint64_t
gateway(const char *name, const char *region)
{
	char text[80];
	uint64_t rev;

	snprintf(text, sizeof(text), "{'interfaces': [], 'region': '%s'}", region);
	put_one(&f, SL_KIND_GATEWAY, name, text);
	assert_int_equal(sl_store_get(f.s, SL_KIND_GATEWAY, name, &rev, NULL), 0);
	return rev;
}

static json_t *
mark(const char *name, uint64_t rev, const char *uri)
{
	return json_pack("{s:s, s:I, s:s, s:s, s:s, s:s}", "gateway", name, "rev", (json_int_t)rev,
			 "request", "r-1", "uri", uri, "body", "{}", "actor", "token:abc");
}

static void
mark_all(json_t *rows)
{
	json_t *body = json_pack("{s:o}", "value", rows);
	struct sl_store_txn *t = begin(&f);

	assert_int_equal(sl_store_put(t, SL_KIND_SETTING, "decommissions", SL_REV_ANY, body, &f.e),
			 0);
	must_commit(&f, t);
	json_decref(body);
}

/** Names of a list's gateways, with blanks between. */
static void
add_name(void *ctx, json_t *row)
{
	strncat(ctx, json_string_value(json_object_get(row, "gateway")), 20);
	strncat(ctx, " ", 2);
}

static void
expect_marks(const char *want)
{
	char got[200] = "";
	json_t *body = NULL, *row;
	size_t i;

	(void)sl_store_get(f.s, SL_KIND_SETTING, "decommissions", NULL, &body);
	json_array_foreach (json_object_get(body, "value"), i, row)
		add_name(got, row);
	assert_string_equal(got, want);
	assert_true(body == NULL || json_array_size(json_object_get(body, "value")) > 0);
	json_decref(body);
}

static void
expect_rows(const char *want)
{
	char got[200] = "";

	assert_int_equal(leaving_walk(f.s, add_name, got, &f.e), 0);
	assert_string_equal(got, want);
}

static void
test_adopt(void **state)
{
	uint64_t a = gateway("gw-a", "x"), b = gateway("gw-b", "x"), c, other;
	json_t *rows = json_array();

	assert_int_equal(leaving_adopt(f.s, &f.e), 0); /* there is none */
	c = gateway("gw-c", "x");
	other = gateway("gw-c", "y"); /* somebody changed it */
	assert_true(other > c);
	json_array_append_new(rows, mark("gw-a", a, "/api/v1/gateways/gw-a/decommission"));
	json_array_append_new(rows, mark("gw-c", c, "/api/v1/gateways/gw-c/decommission"));
	json_array_append_new(rows, mark("gone", 7, "/api/v1/gateways/gone/decommission"));
	json_array_append_new(rows, mark("gw-b", b, "/api/v1/gateways/gw-a/decommission"));
	mark_all(rows);
	assert_int_equal(leaving_adopt(f.s, &f.e), 0);
	expect_marks("gw-a ");
	expect_rows("gw-a ");
	/* again: what goes on keeps its mark */
	assert_int_equal(leaving_adopt(f.s, &f.e), 0);
	expect_marks("gw-a ");
	expect_rows("gw-a ");
	/* it came back, and another primary took that one out */
	a = gateway("gw-a", "z");
	rows = json_array();
	json_array_append_new(rows, mark("gw-a", a, "/api/v1/gateways/gw-a/decommission"));
	mark_all(rows);
	assert_int_equal(leaving_adopt(f.s, &f.e), 0);
	expect_marks("gw-a ");
	{
		struct leaving l;

		assert_int_equal(leaving_get(f.s, "gw-a", &l, &f.e), 0);
		assert_int_equal(l.rev, a);
		json_decref(l.gone);
	}
}

/** Requests that an admin may make, but that take no gateway out, and bytes that are none. */
static void
test_other_requests(void **state)
{
	static const char *const uris[] = {
		"/api/v1/tokens",
		"/api/v1/backup",
		"/api/v1/gateways/gw-b/decommission",
		"/api/v1/policy/rollback",
		"/gateways/gw-a/decommission",
		"/api/v1/gateways/gw-a",
		"",
		"/api/v1/gateways//decommission",
	};
	uint64_t rev = gateway("gw-a", "x");
	json_t *rows, *row;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(uris); i++) {
		rows = json_array();
		json_array_append_new(rows, mark("gw-a", rev, uris[i]));
		mark_all(rows);
		assert_int_equal(leaving_adopt(f.s, &f.e), 0);
		expect_marks("");
		expect_rows("");
	}
	/* a program of before took them over */
	for (unsigned i = 0; i < SL_ARRAY_SIZE(uris); i++) {
		struct sl_rest rest = {.c = {.store = f.s}, .writer = (struct sl_tasks *)&rest};

		TAILQ_INIT(&rest.waiting);
		row = mark("gw-a", rev, uris[i]);
		assert_int_equal(leaving_enter(f.s, row, &f.e), 0);
		json_decref(row);
		resume_now(&rest);
		assert_int_equal(resumed, 0);
		expect_rows("");
	}
}

static void
test_resume(void **state)
{
	struct sl_rest rest = {.c = {.store = f.s}, .writer = (struct sl_tasks *)&rest};
	json_t *row = mark("gw-a", gateway("gw-a", "x"), "/api/v1/gateways/gw-a/decommission");

	TAILQ_INIT(&rest.waiting);
	assert_int_equal(leaving_enter(f.s, row, &f.e), 0);
	resume_now(&rest);
	assert_int_equal(resumed, 1);
	assert_string_equal(last->arg[0], "gw-a");
	assert_string_equal(last->op->id, "decommissionGateway");
	assert_int_equal(last->part, 1);
	expect_rows("gw-a ");
	TAILQ_REMOVE(&rest.waiting, last, link);
	call_free(last);
	json_decref(row);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_adopt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_requests, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_resume, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
