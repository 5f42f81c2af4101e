/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls that look at much leave the loop free: with 200,000 rows of evidence and 3,200 rules each
 * is answered after many turns, and in each turn somebody else is answered as well. The clock of
 * the slices is a count, so that the number of turns does not depend on the machine; the processor
 * time of the longest turn is printed, and may not be many times what is meant (5 ms).
 */
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "evidence_int.h"
#include "rpc_fixture.h"

#define ROWS 200000
#define ROLES 100
#define RULES 32
#define TURNS_MAX 2000000
#define TURN_CPU_NS 25000000 /* five times what is meant, for machines that are busy */
#define LOOK_NS 2000000	     /* the count goes on at each look: a turn takes one step */

static struct rx r;
static char *document, *answer;
static char last_answer[4096]; /* its begin */
static bool quiet;	       /* prints nothing */
static unsigned pings;

static uint64_t
count(void *ctx)
{
	static uint64_t now;

	now += LOOK_NS;
	return now;
}

static uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * S + (uint64_t)t.tv_nsec;
}

static char *
make_document(void)
{
	json_t *roles = json_object(), *rules = json_array(), *doc;
	char name[16], to[32], *text;

	for (int i = 0; i < ROLES; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		json_object_set_new(roles, name,
				    json_pack("{s:[s]}", "members",
					      i == 0 ? "peer:alice@wg0" : "10.99.0.0/24@wg0"));
		for (int k = 1; k <= RULES; k++) {
			snprintf(to, sizeof(to), "10.20.%d.%d", i, k);
			json_array_append_new(rules,
					      json_pack("{s:i, s:s, s:[s], s:s, s:[i], s:s}", "id",
							k, "role", name, "to", to, "protocol",
							"tcp", "ports", 443, "action", "allow"));
		}
	}
	doc = json_pack("{s:i, s:{s:{s:i, s:s, s:[s]}}, s:o, s:o}", "version", 1, "zones", "in",
			"id", 1, "type", "internal", "networks", "10.20.0.0/16", "roles", roles,
			"rules", rules);
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	return text;
}

/* Flows of alice to many services, most of which nothing allows. */
static void
fill(void)
{
	struct ev_row row = {.proto = 6,
			     .version = 4,
			     .flags = SL_AGG_FROM_TUNNEL,
			     .flows = 1,
			     .packets = 2,
			     .bytes = 200,
			     .src = {10, 7, 0, 2}};

	row.who = ev_who_get(r.evidence, "wg0", "alice");
	row.first_ns = row.last_ns = r.fx.wall_ns;
	row.hour = (uint32_t)(row.last_ns / EV_HOUR_NS);
	for (uint32_t i = 0; i < ROWS; i++) {
		uint32_t k = i * 2654435761U; /* in no order */

		sl_store_be32(row.dst, 0x0a140000 | (k >> 16 & 0xffff));
		row.dport = (uint16_t)(1 + (k & 3));
		row.sport = (uint16_t)(i >> 16);
		assert_int_equal(ev_row_add(r.evidence, &row), 0);
	}
}

static int
setup(void **state)
{
	json_t *p, *o;

	fx_init(&r.fx);
	r.fx.conf.lockstep = false;
	r.fx.conf.policy_rules = RULES;
	rx_open(&r);
	rx_do(&r, "interface.set",
	      "{\"interface\":\"wg0\",\"listen_port\":51820,\"key_store\":\"memory\","
	      "\"inside\":{\"port\":\"lan\",\"prefixes\":[\"10.20.0.0/16\"]}}");
	rx_do(&r, "peer.set",
	      "{\"interface\":\"wg0\",\"public_key\":\"" ALICE "\",\"name\":\"alice\","
	      "\"allowed_ips\":[\"10.7.0.2/32\"]}");
	document = make_document();
	p = json_pack("{s:s}", "text", document);
	if (sl_rpc_call(r.rpc, &rx_unix, "policy.load", p, &o, &r.e) != 0)
		fail_msg("%s at %s", r.e.message, r.e.path);
	json_decref(o);
	json_decref(p);
	fx_turn(&r.fx);
	fill();
	r.ctl.mono_ns = count;
	return 0;
}

static int
teardown(void **state)
{
	rx_fini(&r);
	free(document);
	return 0;
}

static void
answered(void *ctx, char *text)
{
	answer = text;
}

static void
ponged(void *ctx, char *text)
{
	pings += text != NULL && strstr(text, "result") != NULL;
	free(text);
}

/* Ask, and turn until it is answered. @return turns */
static unsigned
ask(const char *method, json_t *params)
{
	static const char ping[] = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"rpc.ping\"}";
	json_t *call = json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", 1, "method",
				 method, "params", params);
	char *line = json_dumps(call, JSON_COMPACT);
	struct timespec rest = {.tv_nsec = 100000};
	uint64_t longest = 0, last = 0, begin, first;
	unsigned turns = 0;

	json_decref(call);
	answer = NULL;
	pings = 0;
	begin = cpu_ns();
	sl_rpc_line_start(r.rpc, &rx_unix, line, strlen(line), answered, NULL);
	first = cpu_ns() - begin;
	free(line);
	for (; answer == NULL && turns < TURNS_MAX; turns++) {
		assert_null(sl_rpc_line_start(r.rpc, &rx_unix, ping, strlen(ping), ponged, NULL));
		begin = cpu_ns();
		sl_ctl_poll(&r.ctl);
		sl_gw_poll(r.fx.gw);
		last = cpu_ns() - begin;
		longest = SL_MAX(longest, answer == NULL ? last : 0);
		if (turns % 64 == 0)
			nanosleep(&rest, NULL); /* the helper works */
	}
	assert_non_null(answer);
	if (strstr(answer, "\"error\"") != NULL)
		fail_msg("%s: %.200s", method, answer);
	assert_int_equal(pings, turns);
	snprintf(last_answer, sizeof(last_answer), "%s", answer);
	if (!quiet)
		print_message("%s: %u turns, an answer of %zu bytes; processor time of the call "
			      "%.1f ms, of the "
			      "longest turn %.1f ms, of the last %.1f ms\n",
			      method, turns, strlen(answer), (double)first / 1e6,
			      (double)longest / 1e6, (double)last / 1e6);
	assert_true(first < TURN_CPU_NS && longest < TURN_CPU_NS && last < TURN_CPU_NS);
	free(answer);
	return turns;
}

/* A step judges 256 rows at most; sorting makes 12 passes over them, 256 a step. */
#define JUDGED (ROWS / 256)
#define SORTED (JUDGED + 12 * ROWS / 256)

static void
test_questions(void **state)
{
	assert_true(ask("policy.would_deny", json_pack("{s:i}", "window_s", 3600)) > SORTED);
	assert_true(ask("evidence.list", json_pack("{s:i}", "window_s", 3600)) > SORTED);
}

static void
test_replay(void **state)
{
	assert_true(ask("policy.replay",
			json_pack("{s:s, s:i}", "text", document, "window_s", 3600)) > JUDGED);
}

/* A mode that is raised waits for the evidence; others can be set meanwhile. */
static void
test_mode(void **state)
{
	json_t *o;

	assert_true(ask("authz.mode.set", json_pack("{s:s, s:b, s:i}", "default", "enforce",
						    "force", 1, "window_s", 3600)) > JUDGED);
	o = rx_call(&r, "authz.mode.get", NULL);
	assert_string_equal(json_string_value(json_object_get(o, "default")), "enforce");
	json_decref(o);
	assert_non_null(strstr(r.log, "default: observe -> enforce, forced: "));
	rx_do(&r, "authz.mode.set", "{\"default\":\"observe\"}");
}

/* What the evidence was asked about is not what it would be now. */
static void
test_mode_moved(void **state)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"authz.mode.set\","
				   "\"params\":{\"default\":\"enforce\",\"force\":true}}";

	answer = NULL;
	assert_non_null(sl_rpc_line_start(r.rpc, &rx_unix, line, strlen(line), answered, NULL));
	sl_ctl_poll(&r.ctl);
	rx_do(&r, "authz.mode.set", "{\"prefixes\":[\"10.20.0.9/32\"],\"mode\":\"observe\"}");
	for (unsigned i = 0; answer == NULL && i < TURNS_MAX; i++)
		sl_ctl_poll(&r.ctl);
	assert_non_null(strstr(answer, "mode_busy"));
	free(answer);
	rx_do(&r, "authz.mode.set", "{\"prefixes\":[\"10.20.0.9/32\"],\"mode\":\"default\"}");
}

/* Who asked has gone: nothing is changed. */
static void
test_mode_gone(void **state)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"authz.mode.set\","
				   "\"params\":{\"default\":\"enforce\",\"force\":true}}";
	struct sl_rpc_line *l;
	json_t *o;

	l = sl_rpc_line_start(r.rpc, &rx_unix, line, strlen(line), answered, NULL);
	sl_ctl_poll(&r.ctl);
	sl_rpc_line_cancel(l);
	sl_ctl_poll(&r.ctl);
	sl_ctl_poll(&r.ctl);
	o = rx_call(&r, "authz.mode.get", NULL);
	assert_string_equal(json_string_value(json_object_get(o, "default")), "observe");
	json_decref(o);
}

/* Even that a document is broken is found on the helper. */
static void
test_broken(void **state)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"policy.replay\","
				   "\"params\":{\"text\":\"{}x\"}}";
	struct timespec rest = {.tv_nsec = 100000};

	answer = NULL;
	assert_non_null(sl_rpc_line_start(r.rpc, &rx_unix, line, strlen(line), answered, NULL));
	assert_null(answer);
	for (unsigned i = 0; answer == NULL && i < TURNS_MAX; i++) {
		sl_ctl_poll(&r.ctl);
		nanosleep(&rest, NULL);
	}
	assert_non_null(strstr(answer, "json_syntax"));
	free(answer);
}

static void
test_suggest(void **state)
{
	assert_true(ask("policy.suggest", json_pack("{s:i}", "window_s", 3600)) > SORTED);
}

/* Rules that decided nothing, once the evidence covers a month. */
static void
test_unmatched(void **state)
{
	r.evidence->span[0].begin_ns -= SL_EVIDENCE_KEEP_S * (uint64_t)SL_NS_PER_S;
	assert_true(ask("policy.lint", json_pack("{s:b, s:i}", "unmatched", 1, "limit", 1000)) >
		    JUDGED);
	assert_non_null(strstr(last_answer, "\"rule_never_matched\""));
	r.evidence->span[0].begin_ns += SL_EVIDENCE_KEEP_S * (uint64_t)SL_NS_PER_S;
}

/* --- a document in parts ------------------------------------------------------------------------
 */

#define PART 1000000
#define PARTS 24

/** The document with blanks behind it, in parts; `more` goes with each. @return the answer */
static void
in_parts(const char *method, const char *more)
{
	char *text = malloc((size_t)PARTS * PART + 1);
	char upload[40] = "";

	memset(text, ' ', (size_t)PARTS * PART);
	memcpy(text, document, strlen(document));
	for (int i = 0; i < PARTS; i++) {
		json_t *p = json_loads(more, 0, NULL), *o;

		json_object_set_new(p, "text", json_stringn(text + (size_t)i * PART, PART));
		json_object_set_new(p, "part", json_integer(i));
		json_object_set_new(p, "last", json_boolean(i == PARTS - 1));
		if (i > 0)
			json_object_set_new(p, "upload", json_string(upload));
		quiet = i > 0 && i < PARTS - 1;
		ask(method, p);
		if (i == 0) {
			o = json_loads(last_answer, 0, NULL);
			snprintf(upload, sizeof(upload), "%s",
				 json_string_value(
					 json_object_get(json_object_get(o, "result"), "upload")));
			json_decref(o);
		}
	}
	quiet = false;
	free(text);
}

static void
test_parts(void **state)
{
	in_parts("policy.validate", "{}");
	in_parts("policy.replay", "{\"window_s\":3600,\"limit\":10}");
	assert_non_null(strstr(last_answer, "newly_denied"));
	in_parts("policy.load", "{}");
	ask("policy.test", json_object());
	assert_non_null(strstr(last_answer, "\"tests\""));
}

/* --- the console ------------------------------------------------------------------------------ */

static void
no_quit(void *ctx)
{
}

/** Type a command, and turn until `end` is shown. */
static void
type(const char *line, const char *end)
{
	struct event_base *base = event_base_new();
	struct timespec rest = {.tv_nsec = 100000};
	uint64_t longest = 0, begin;
	static char out[1 << 16];
	struct sl_console *c;
	int in[2], o[2];
	unsigned turns;
	bool found = false;
	ssize_t n;

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(o), 0);
	fcntl(o[0], F_SETFL, O_NONBLOCK);
	c = sl_console_new(base, r.rpc, in[0], o[1], no_quit, NULL, &r.e);
	assert_non_null(c);
	assert_int_equal(write(in[1], line, strlen(line)), (ssize_t)strlen(line));
	for (turns = 0; !found && turns < TURNS_MAX; turns++) {
		begin = cpu_ns();
		event_base_loop(base, EVLOOP_NONBLOCK);
		sl_ctl_poll(&r.ctl);
		sl_gw_poll(r.fx.gw);
		longest = SL_MAX(longest, cpu_ns() - begin);
		while ((n = read(o[0], out, sizeof(out) - 1)) > 0) {
			out[n] = 0;
			found |= strstr(out, end) != NULL;
		}
		if (turns % 64 == 0)
			nanosleep(&rest, NULL);
	}
	if (!found)
		fail_msg("%s gave: %s", line, out);
	print_message("console, %.40s: %u turns, processor time of the longest %.1f ms\n", line,
		      turns, (double)longest / 1e6);
	assert_true(longest < TURN_CPU_NS);
	sl_console_free(c);
	event_base_free(base);
	close(in[1]);
	close(in[0]);
	close(o[0]);
	close(o[1]);
}

static void
test_console(void **state)
{
	char file[] = "/tmp/sl-turns-XXXXXX", line[80];
	int fd = mkstemp(file);

	assert_int_equal(write(fd, document, strlen(document)), (ssize_t)strlen(document));
	close(fd);
	type("mode force\n", "enforce");
	type("mode observe\n", "observe");
	type("call policy.would_deny window_s=3600\n", "coverage lost");
	type("call policy.suggest window_s=3600\n", "coverage lost");
	snprintf(line, sizeof(line), "policy validate %s\n", file);
	type(line, "lints total");
	snprintf(line, sizeof(line), "call policy.replay window_s=3600 file=%s\n", file);
	type(line, "newly denied");
	type("call evidence.list window_s=3600\n", "sluicectl shows them all");
	unlink(file);
}

/* Rows go with their arrays. */
static void
test_clear(void **state)
{
	assert_true(r.evidence->used > ROWS / 2);
	ask("evidence.clear", json_object());
	assert_int_equal(r.evidence->used, 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_questions), cmocka_unit_test(test_replay),
		cmocka_unit_test(test_parts),	  cmocka_unit_test(test_broken),
		cmocka_unit_test(test_mode),	  cmocka_unit_test(test_mode_moved),
		cmocka_unit_test(test_mode_gone), cmocka_unit_test(test_suggest),
		cmocka_unit_test(test_unmatched), cmocka_unit_test(test_console),
		cmocka_unit_test(test_clear),
	};

	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, setup, teardown);
}
