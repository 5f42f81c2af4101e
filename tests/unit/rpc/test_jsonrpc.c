/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines of JSON-RPC 2.0: the specification's cases, limits, identifiers, what errors carry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_schema_gateway.h"

static const struct sl_rpc_caller local = {SL_RPC_VIA_UNIX, "uid:0", &sl_service_local};
static const struct sl_rpc_caller far = {SL_RPC_VIA_TCP, "tcp:loopback", &sl_service_local};

static struct sl_rpc *rpc;
static unsigned calls;
static struct sl_error next_error;

static int
handler(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	struct sl_error *e)
{
	calls++;
	if (next_error.err) {
		*e = next_error;
		return e->err;
	}
	*result = json_pack("{s:i}", "n", 1);
	return 0;
}

static int
setup(void **state)
{
	rpc = sl_rpc_new(&sl_gateway_schema, NULL);
	for (unsigned i = 0; i < sl_schema_gateway_n; i++)
		sl_rpc_bind(rpc, sl_schema_gateway[i].name, handler);
	sl_rpc_set_state(rpc, SL_RPC_RUNNING);
	calls = 0;
	next_error.err = 0;
	return 0;
}

static int
teardown(void **state)
{
	sl_rpc_free(rpc);
	return 0;
}

static void
expect(const char *line, const char *want)
{
	char *got = sl_rpc_line(rpc, &local, line, strlen(line));

	if (!got != !want || (got && strcmp(got, want)))
		fail_msg("%s\n  gave   %s\n  wanted %s", line, got ? got : "(nothing)",
			 want ? want : "(nothing)");
	free(got);
}

/** Code and reason of the one error answer; `id` is its text. */
static void
expect_error(const char *line, int code, const char *reason, const char *id)
{
	char *got = sl_rpc_line(rpc, &local, line, strlen(line)), *got_id;
	json_t *o, *error;

	if (!got)
		fail_msg("%s: no answer", line);
	o = json_loads(got, 0, NULL);
	error = json_object_get(o, "error");
	got_id = json_dumps(json_object_get(o, "id"), JSON_ENCODE_ANY);
	if (!error || json_integer_value(json_object_get(error, "code")) != code ||
	    strcmp(json_string_value(json_object_get(json_object_get(error, "data"), "reason")),
		   reason) ||
	    !json_is_string(json_object_get(error, "message")) || strcmp(got_id, id) ||
	    json_object_get(o, "result") ||
	    strcmp(json_string_value(json_object_get(o, "jsonrpc")), "2.0"))
		fail_msg("%s\n  gave %s\n  wanted %d %s id %s", line, got, code, reason, id);
	free(got_id);
	json_decref(o);
	free(got);
}

#define OK(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"result\":{\"n\":1}}"
#define PING(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"rpc.ping\"}"
#define NOTE "{\"jsonrpc\":\"2.0\",\"method\":\"rpc.ping\"}"

static void
test_requests(void **state)
{
	expect(PING("1"), OK("1"));
	expect(PING("\"a\""), OK("\"a\""));
	expect(PING("null"), OK("null"));
	expect(PING("-9007199254740992"), OK("-9007199254740992"));
	expect("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.ping\",\"params\":{}}\r", OK("1"));
	expect("  " PING("1") "  ", OK("1"));
	assert_int_equal(calls, 6);
	/* a notification is carried out and never answered, whatever comes of it */
	expect(NOTE, NULL);
	assert_int_equal(calls, 7);
	expect("{\"jsonrpc\":\"2.0\",\"method\":\"no.such\"}", NULL);
	expect("{\"jsonrpc\":\"2.0\",\"method\":\"rpc.ping\",\"params\":{\"x\":1}}", NULL);
	expect("{\"jsonrpc\":\"2.0\",\"method\":\"rpc.ping\",\"params\":[1]}", NULL);
	assert_int_equal(calls, 7);
}

static void
test_errors(void **state)
{
	expect_error("{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", \"baz]",
		     -32700, "parse", "null");
	expect_error("", -32700, "parse", "null");
	expect_error("17", -32700, "parse", "null");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.ping\"} x", -32700, "parse",
		     "null");
	expect_error("{\"jsonrpc\":\"2.0\",\"method\":1,\"params\":\"bar\"}", -32600,
		     "invalid_request", "null");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"rpc.ping\",\"params\":\"bar\"}",
		     -32600, "invalid_request", "3");
	expect_error("{\"id\":3,\"method\":\"rpc.ping\"}", -32600, "invalid_request", "3");
	expect_error("{\"jsonrpc\":\"1.0\",\"id\":3,\"method\":\"rpc.ping\"}", -32600,
		     "invalid_request", "3");
	expect_error("{\"jsonrpc\":2.0,\"id\":3,\"method\":\"rpc.ping\"}", -32600,
		     "invalid_request", "3");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":3}", -32600, "invalid_request", "3");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"rpc.ping\",\"token\":\"x\"}",
		     -32600, "invalid_request", "3");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":[3],\"method\":\"rpc.ping\"}", -32600,
		     "invalid_request", "null");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"rpc.ping\"}", -32600,
		     "invalid_request", "null");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"no.such\"}", -32601,
		     "method_unknown", "1");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.ping\",\"params\":[]}", -32602,
		     "param_type", "1");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.ping\",\"params\":{\"x\":1}}",
		     -32602, "param_unknown", "1");
	assert_int_equal(calls, 0);
}

/* What other languages would read as another number, or as none, is no request. */
static void
test_numbers(void **state)
{
	static const char *const bad[] = {
		"9007199254740993",
		"-9007199254740993",
		"9223372036854775807",
		"18446744073709551616",
		"1e999",
		"NaN",
		"Infinity",
		"-Infinity",
		"01",
		"+1",
		".5",
	};
	char line[160];

	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		snprintf(line, sizeof(line),
			 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.ping\",\"params\":"
			 "{\"x\":[{\"y\":%s}]}}",
			 bad[i]);
		expect_error(line, -32700, "parse", "null");
		snprintf(line, sizeof(line),
			 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"rpc.ping\"}", bad[i]);
		expect_error(line, -32700, "parse", "null");
	}
	assert_int_equal(calls, 0);
}

/* A member that stands twice is a trick, not a request. */
static void
test_duplicates(void **state)
{
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"rpc.ping\"}", -32700,
		     "parse", "null");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"interface.get\","
		     "\"params\":{\"interface\":\"wg0\",\"interface\":\"wg1\"}}",
		     -32700, "parse", "null");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"interface.get\","
		     "\"params\":{\"interface\":\"wg\\u00000\"}}",
		     -32700, "parse", "null");
	expect_error("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"interface.get\","
		     "\"params\":{\"interface\":\"\xff\xfe\"}}",
		     -32700, "parse", "null");
	assert_int_equal(calls, 0);
}

static void
test_batches(void **state)
{
	char batch[32768] = "[";
	size_t n = 1;

	expect_error("[]", -32600, "invalid_request", "null");
	expect("[" PING("1") "," PING("2") "]", "[" OK("1") "," OK("2") "]");
	expect("[" NOTE "," PING("2") "]", "[" OK("2") "]");
	expect("[" NOTE "," NOTE "]", NULL);
	assert_int_equal(calls, 6);
	expect("[1]", "[{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":"
		      "\"a request is an object\",\"data\":{\"reason\":\"invalid_request\"}}}]");
	expect("[[" PING("1") "]]",
	       "[{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":"
	       "\"a request is an object\",\"data\":{\"reason\":\"invalid_request\"}}}]");
	for (unsigned i = 0; i < 257; i++)
		n += (size_t)snprintf(batch + n, sizeof(batch) - n, "%s" NOTE, i ? "," : "");
	snprintf(batch + n, sizeof(batch) - n, "]");
	calls = 0;
	expect_error(batch, -32600, "invalid_request", "null");
	assert_int_equal(calls, 0);
	/* 256 are a batch */
	batch[strlen(batch) - 1 - strlen("," NOTE)] = ']';
	batch[strlen(batch) - strlen("," NOTE)] = 0;
	expect(batch, NULL);
	assert_int_equal(calls, 256);
}

static void
test_id_length(void **state)
{
	char line[512], id[140];

	memset(id, 'x', sizeof(id));
	id[128] = 0;
	snprintf(line, sizeof(line), PING("\"%s\""), id);
	assert_non_null(strstr(line, "xxx"));
	free(sl_rpc_line(rpc, &local, line, strlen(line)));
	assert_int_equal(calls, 1);
	id[128] = 'x';
	id[129] = 0;
	snprintf(line, sizeof(line), PING("\"%s\""), id);
	expect_error(line, -32600, "invalid_request", "null");
	assert_int_equal(calls, 1);
}

/** A request with `depth` levels, itself included. */
static char *
nested(unsigned depth)
{
	char *line = NULL;
	size_t size;
	FILE *f = open_memstream(&line, &size);

	fputs("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.ping\",\"params\":{\"x\":", f);
	for (unsigned i = 2; i < depth; i++)
		fputc('[', f);
	for (unsigned i = 2; i < depth; i++)
		fputc(']', f);
	fputs("}}", f);
	fclose(f);
	return line;
}

static void
test_depth(void **state)
{
	char *line = nested(32);

	expect_error(line, -32602, "param_unknown", "1");
	free(line);
	line = nested(33);
	expect_error(line, -32600, "too_large", "null");
	free(line);
	line = nested(1000);
	expect_error(line, -32600, "too_large", "null");
	free(line);
	line = nested(100000);
	expect_error(line, -32700, "parse", "null");
	free(line);
}

static void
test_values(void **state)
{
	/* request, its 4 members and x are 6 values */
	for (unsigned n = 8192 - 6; n <= 8192 - 5; n++) {
		char *line = NULL;
		size_t size;
		FILE *f = open_memstream(&line, &size);

		fputs("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.ping\",\"params\":{\"x\":[",
		      f);
		for (unsigned i = 0; i < n; i++)
			fputs(i ? ",0" : "0", f);
		fputs("]}}", f);
		fclose(f);
		if (n == 8192 - 6)
			expect_error(line, -32602, "param_unknown", "1");
		else
			expect_error(line, -32600, "too_large", "null");
		free(line);
	}
}

static void
test_codes(void **state)
{
	static const struct {
		int err, code;
	} codes[] = {
		{-EINVAL, -32602}, {-EPERM, -32002},  {-ENOENT, -32003}, {-EEXIST, -32005},
		{-ENOSPC, -32006}, {-EIO, -32007},    {-EBUSY, -32008},	 {-ENOMEM, -32603},
		{-EACCES, -32602}, {-ENODEV, -32003},
	};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(codes); i++) {
		next_error = (struct sl_error){.err = codes[i].err,
					       .reason = "some_reason",
					       .path = "/a/0",
					       .message = "text",
					       .hint = "do this"};
		expect_error(PING("7"), codes[i].code, "some_reason", "7");
	}
	next_error.err = -EINVAL;
	expect(PING("7"),
	       "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32602,\"message\":\"text\","
	       "\"data\":{\"reason\":\"some_reason\",\"path\":\"/a/0\",\"hint\":\"do this\"}}}");
	/* text that is cut inside a character still gives an answer */
	snprintf(next_error.message, sizeof(next_error.message), "a\xc3");
	snprintf(next_error.path, sizeof(next_error.path), "/\xe2\x82");
	snprintf(next_error.hint, sizeof(next_error.hint), "\xff");
	expect(PING("7"),
	       "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32602,\"message\":\"a?\","
	       "\"data\":{\"reason\":\"some_reason\",\"path\":\"/??\",\"hint\":\"?\"}}}");
}

/* A name of many bytes a letter, cut where it fits, is still answered. */
static void
test_long_method(void **state)
{
	char line[400] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x";
	size_t n = strlen(line);

	for (unsigned i = 0; i < 80; i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "\xe2\x82\xac");
	snprintf(line + n, sizeof(line) - n, "\"}");
	expect_error(line, -32601, "method_unknown", "1");
}

static void
test_tcp(void **state)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"authz.mode.set\","
				   "\"params\":{\"default\":\"observe\"}}";
	char *got = sl_rpc_line(rpc, &far, line, strlen(line));

	assert_non_null(strstr(got, "-32002"));
	assert_non_null(strstr(got, "\"reason\":\"local_only_setting\""));
	assert_int_equal(calls, 0);
	free(got);
}

/* --- answers that come later -------------------------------------------------------------- */

static struct sl_rpc_later *owed[8];
static unsigned n_owed, n_done;
static char *answered;

static int
later(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
      struct sl_error *e)
{
	struct sl_rpc_later *l = sl_rpc_later(caller);

	if (!l)
		return handler(user, caller, params, result, e);
	owed[n_owed++] = l;
	return SL_RPC_LATER;
}

static void
line_done(void *ctx, char *answer)
{
	n_done++;
	answered = answer;
}

static int
setup_later(void **state)
{
	rpc = sl_rpc_new(&sl_gateway_schema, NULL);
	sl_rpc_bind(rpc, "rpc.ping", handler);
	sl_rpc_bind(rpc, "sys.version", later);
	sl_rpc_set_state(rpc, SL_RPC_RUNNING);
	n_owed = n_done = calls = 0;
	answered = NULL;
	return 0;
}

#define CALL(id, method) "{\"jsonrpc\":\"2.0\"," id "\"method\":\"" method "\"}"

static void
test_later(void **state)
{
	static const char line[] =
		"[" CALL("\"id\":1,", "sys.version") "," CALL("\"id\":2,", "rpc.ping") "," CALL(
			"", "sys.version") "," CALL("\"id\":3,", "sys.version") "]";
	struct sl_error e = {0};
	struct sl_rpc_line *l = sl_rpc_line_start(rpc, &local, line, strlen(line), line_done, NULL);

	assert_non_null(l);
	assert_int_equal(n_owed, 3);
	sl_fail(&e, -EINVAL, "why", "/a", "no");
	sl_rpc_answer(owed[2], e.err, NULL, &e);
	sl_rpc_answer(owed[1], 0, json_pack("{s:i}", "lost", 1), NULL);
	assert_int_equal(n_done, 0);
	sl_rpc_answer(owed[0], 0, json_pack("{s:i}", "n", 5), NULL);
	assert_int_equal(n_done, 1);
	assert_string_equal(
		answered,
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"n\":5}},"
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"n\":1}},"
		"{\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":-32602,\"message\":\"no\","
		"\"data\":{\"reason\":\"why\",\"path\":\"/a\"}}}]");
	free(answered);
}

/* Who waits for the return gets the answer at once; so does one whose work is done at once. */
static void
test_later_waiting(void **state)
{
	static const char line[] = CALL("\"id\":1,", "sys.version");

	expect(line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"n\":1}}");
	assert_int_equal(n_owed, 0);
	assert_null(sl_rpc_line_start(rpc, &local, CALL("\"id\":1,", "rpc.ping"),
				      strlen(CALL("\"id\":1,", "rpc.ping")), line_done, NULL));
	assert_int_equal(n_done, 1);
	free(answered);
}

static void
test_later_cancelled(void **state)
{
	static const char line[] = CALL("\"id\":1,", "sys.version");
	struct sl_rpc_line *l = sl_rpc_line_start(rpc, &local, line, strlen(line), line_done, NULL);

	sl_rpc_line_cancel(l);
	sl_rpc_answer(owed[0], 0, NULL, NULL);
	assert_int_equal(n_done, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_duplicates, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_id_length, setup, teardown),
		cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
		cmocka_unit_test_setup_teardown(test_values, setup, teardown),
		cmocka_unit_test_setup_teardown(test_codes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_method, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tcp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later, setup_later, teardown),
		cmocka_unit_test_setup_teardown(test_later_waiting, setup_later, teardown),
		cmocka_unit_test_setup_teardown(test_later_cancelled, setup_later, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
