/* SPDX-License-Identifier: BSD-3-Clause */
/* Long lines are read, and long answers written, by a helper that the test plays; short ones on the
 * spot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_schema_gateway.h"

#define LONG 40000

static const struct sl_rpc_caller local = {SL_RPC_VIA_UNIX, "uid:0", &sl_service_local};

static struct sl_rpc *rpc;
static unsigned calls, answers, given;
static struct sl_rpc_work *work; /* that the helper has */
static bool busy;		 /* it takes none */
static bool much;		 /* is answered */
static char *text;		 /* the last answer */
static size_t got;		 /* bytes of the parameter */

static bool
give(void *ctx, struct sl_rpc_work *w)
{
	assert_ptr_equal(ctx, &work);
	if (busy)
		return false;
	assert_null(work);
	work = w;
	given++;
	return true;
}

/** The helper does its work, then it is the loop's turn. */
static void
help(void)
{
	struct sl_rpc_work *w = work;

	assert_non_null(w);
	work = NULL;
	w->run(w);
	w->done(w);
}

static int
load(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
     struct sl_error *e)
{
	const struct sl_rpc_policy_load *p = params;

	assert_ptr_equal(caller->who, local.who);
	calls++;
	got = p->text ? strlen(p->text) : 0;
	*result = json_object();
	for (unsigned i = 0; i < (much ? 3000 : 1); i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		json_object_set_new(*result, name, json_integer(i));
	}
	return 0;
}

static int
setup(void **state)
{
	rpc = sl_rpc_new(&sl_gateway_schema, NULL);
	sl_rpc_bind(rpc, "policy.load", load);
	sl_rpc_set_state(rpc, SL_RPC_RUNNING);
	sl_rpc_set_helper(rpc, give, &work);
	calls = answers = given = 0;
	busy = much = false;
	work = NULL;
	text = NULL;
	got = 0;
	return 0;
}

static int
teardown(void **state)
{
	assert_null(work);
	free(text);
	sl_rpc_free(rpc);
	return 0;
}

static void
answered(void *ctx, char *answer)
{
	answers++;
	free(text);
	text = answer;
}

/** A call with a text of n bytes. `after` stands behind the line's JSON. */
static struct sl_rpc_line *
start(size_t n, const char *after)
{
	char *doc = malloc(n + 1), *line = NULL;
	struct sl_rpc_line *l;

	memset(doc, 'x', n);
	doc[n] = 0;
	assert_true(asprintf(&line,
			     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"policy.load\",\"params\":"
			     "{\"text\":\"%s\"}}%s",
			     doc, after) > 0);
	l = sl_rpc_line_start(rpc, &local, line, strlen(line), answered, NULL);
	free(line); /* nobody needs it any more */
	free(doc);
	return l;
}

static void
short_ones_are_not_given(void **state)
{
	assert_null(start(100, ""));
	assert_int_equal(answers, 1);
	assert_int_equal(got, 100);
	assert_int_equal(given, 0);
}

static void
long_lines_are_read_beside(void **state)
{
	struct sl_rpc_line *l = start(LONG, "");

	assert_non_null(l);
	assert_true(sl_rpc_line_unread(l));
	assert_int_equal(calls, 0);
	help();
	assert_int_equal(calls, 1);
	assert_int_equal(got, LONG);
	assert_int_equal(answers, 1);
	assert_string_equal(text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"n0\":0}}");
	assert_int_equal(given, 1);
	/* what is wrong with it is found there */
	assert_non_null(start(LONG, "x"));
	help();
	assert_int_equal(calls, 1);
	assert_non_null(strstr(text, "not JSON, at byte 40"));
}

/* A line of too many values is taken apart by the helper too. */
static void
too_many_values(void **state)
{
	char *line = malloc(3 * 10000 + 3);
	size_t n = 0;

	line[n++] = '[';
	for (unsigned i = 0; i < 10000; i++)
		n += (size_t)sprintf(line + n, "[],");
	line[n - 1] = ']';
	busy = true;
	assert_null(sl_rpc_line_start(rpc, &local, line, n, answered, NULL));
	assert_non_null(strstr(text, "more than 8192 values"));
	free(line);
	assert_int_equal(given, 0);
}

static void
long_answers_are_written_beside(void **state)
{
	struct sl_rpc_line *l;

	much = true;
	l = start(10, "");
	assert_non_null(l);
	assert_int_equal(calls, 1);
	assert_false(sl_rpc_line_unread(l));
	assert_int_equal(answers, 0);
	help();
	assert_int_equal(answers, 1);
	assert_non_null(strstr(text, "\"n2999\":2999}}"));
	/* both */
	start(LONG, "");
	help();
	assert_int_equal(calls, 2);
	assert_int_equal(answers, 1);
	help();
	assert_int_equal(answers, 2);
	assert_int_equal(given, 3);
}

/* Without a helper, or with one that takes nothing, all is done on the spot. */
static void
nobody_helps(void **state)
{
	busy = much = true;
	assert_null(start(LONG, ""));
	assert_int_equal(answers, 1);
	sl_rpc_set_helper(rpc, NULL, NULL);
	assert_null(start(LONG, ""));
	assert_int_equal(answers, 2);
	/* who waits is not made to wait for a helper that he keeps from its turn */
	busy = false;
	sl_rpc_set_helper(rpc, give, &work);
	answered(NULL,
		 sl_rpc_line(rpc, &local,
			     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"policy.load\"}",
			     strlen("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"policy.load\"}")));
	assert_non_null(strstr(text, "\"n2999\":2999}}"));
	assert_int_equal(given, 0);
}

/* Who has gone before his line is read has asked for nothing. */
static void
who_goes(void **state)
{
	sl_rpc_line_cancel(start(LONG, ""));
	help();
	assert_int_equal(calls, 0);
	much = true;
	sl_rpc_line_cancel(start(10, ""));
	help();
	assert_int_equal(calls, 1);
	assert_int_equal(answers, 0);
	/* before it is written at all */
	sl_rpc_line_cancel(start(LONG, ""));
	help();
	assert_int_equal(calls, 1);
	assert_int_equal(answers, 0);
}

static struct sl_rpc_later *due;

static int
later(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
      struct sl_error *e)
{
	due = sl_rpc_later(caller);
	return due ? SL_RPC_LATER : -EBUSY;
}

static int call_rc;
static json_t *call_result;
static char call_reason[64];

static void
called(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	answers++;
	call_rc = rc;
	json_decref(call_result);
	call_result = result;
	snprintf(call_reason, sizeof(call_reason), "%s", rc ? e->reason : "");
}

static struct sl_rpc_line *
call(const char *method)
{
	return sl_rpc_call_start(rpc, &local, method, NULL, called, NULL);
}

/* In process: the result itself, now or later; nothing is written for it. */
static void
calls_in_process(void **state)
{
	struct sl_rpc_line *l;
	struct sl_error e;

	much = true;
	assert_null(call("policy.load"));
	assert_int_equal(call_rc, 0);
	assert_int_equal(json_object_size(call_result), 3000);
	assert_null(call("no.such"));
	assert_int_equal(call_rc, -ENOSYS);
	assert_null(call_result);
	assert_string_equal(call_reason, "method_unknown");
	sl_rpc_bind(rpc, "policy.clear", later);
	assert_non_null(call("policy.clear"));
	assert_int_equal(answers, 2);
	sl_rpc_answer(due, 0, json_pack("{s:i}", "version", 3), NULL);
	assert_int_equal(answers, 3);
	assert_int_equal(json_integer_value(json_object_get(call_result, "version")), 3);
	assert_non_null(call("policy.clear"));
	sl_fail(&e, -EPERM, "mode_enforced", "", "no");
	sl_rpc_answer(due, -EPERM, NULL, &e);
	assert_int_equal(call_rc, -EPERM);
	assert_string_equal(call_reason, "mode_enforced");
	l = call("policy.clear");
	assert_true(sl_rpc_wanted(due));
	sl_rpc_line_cancel(l);
	assert_false(sl_rpc_wanted(due));
	sl_rpc_answer(due, 0, NULL, NULL);
	assert_int_equal(answers, 4);
	assert_int_equal(given, 0);
	json_decref(call_result);
	call_result = NULL;
}

/* The dispatcher goes first: the lines end, and nothing is carried out. */
static void
the_end(void **state)
{
	start(LONG, "");
	sl_rpc_free(rpc);
	rpc = NULL;
	help();
	assert_int_equal(calls, 0);
	assert_int_equal(answers, 1);
	assert_null(text);
	setup(state);
	much = true;
	start(10, "");
	sl_rpc_free(rpc);
	rpc = NULL;
	help();
	assert_int_equal(answers, 1);
	assert_non_null(strstr(text, "\"n2999\":2999}}"));
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(short_ones_are_not_given),
		TEST(long_lines_are_read_beside),
		TEST(too_many_values),
		TEST(long_answers_are_written_beside),
		TEST(nobody_helps),
		TEST(who_goes),
		TEST(calls_in_process),
		TEST(the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
