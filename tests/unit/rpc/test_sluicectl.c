/* SPDX-License-Identifier: BSD-3-Clause */
/* sluicectl itself, as people and scripts run it, against a server whose handlers are played. */
#include <event2/thread.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sl_log.h"
#include "sl_rpc_server.h"
#include "sl_schema_gateway.h"

static char dir[] = "/tmp/sl-ctl-XXXXXX", sock[64];
static char out[65536];
static char last[1024]; /* parameters of the last call */

static int
echo(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
     struct sl_error *e)
{
	return 0;
}

/** 25 peers in pages of at most 10. */
static int
peers(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
      struct sl_error *e)
{
	const struct sl_rpc_peer_list *p = params;
	json_int_t i = p->after, limit = p->has_limit ? p->limit : 10;
	json_t *list = json_array();
	char name[16];

	for (; i < 25 && i < p->after + limit; i++) {
		snprintf(name, sizeof(name), "peer%02d", (int)i);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:[s]}", "interface", "wg0",
						      "name", name, "state", "init", "allowed_ips",
						      "10.7.0.2/32"));
	}
	*result = json_pack("{s:o}", "peers", list);
	if (i < 25)
		json_object_set_new(*result, "next", json_integer(i));
	return 0;
}

static int
get(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
    struct sl_error *e)
{
	const struct sl_rpc_peer_get *p = params;

	sl_fail(e, -ENOENT, "not_found", "/peer", "no peer \"%s\" in %s", p->peer, p->interface);
	sl_hint(e, "look again");
	return -ENOENT;
}

static int
add(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
    struct sl_error *e)
{
	const struct sl_rpc_peer_add *p = params;

	snprintf(last, sizeof(last), "%s %u %s", p->interface, p->allowed_ips.n, p->name);
	if (strcmp(p->name, "twice") == 0)
		return sl_fail(e, -EEXIST, "exists", "/public_key", "it is there");
	*result = json_pack("{s:s}", "name", p->name);
	return 0;
}

static int
mode_set(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	 struct sl_error *e)
{
	const struct sl_rpc_authz_mode_set *p = params;

	snprintf(last, sizeof(last), "default=%d targets=%u force=%d confirm=%d mode=%d panic=%d",
		 p->has_default ? p->default_ : -1, p->targets.n, p->force,
		 (int)p->confirm_within_s, p->has_mode ? p->mode : -1,
		 p->has_panic ? p->panic : -1);
	return 0;
}

static int
mode_get(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	 struct sl_error *e)
{
	*result = json_pack("{s:s}", "default", "observe");
	return 0;
}

static char *sent; /* documents, whole again */
static size_t n_sent;
static unsigned n_parts;

static int
policy_load(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	    struct sl_error *e)
{
	const struct sl_rpc_policy_load *p = params;
	size_t n = strlen(p->text);

	if (!p->has_part || p->part == 0)
		n_sent = n_parts = 0;
	if (p->if_version == 77)
		return sl_fail(e, -EBUSY, "version_mismatch", "/if_version", "5 is in force");
	if (p->has_part && p->part != n_parts)
		return sl_fail(e, -EINVAL, "part_order", "/part", "wrong part");
	sent = realloc(sent, n_sent + n + 1);
	memcpy(sent + n_sent, p->text, n + 1);
	n_sent += n;
	n_parts++;
	snprintf(last, sizeof(last), "dry=%d if=%d upload=%s last=%d", p->dry_run,
		 (int)p->if_version, p->has_upload ? p->upload : "-", p->last);
	if (p->has_part && !p->last)
		*result = json_pack("{s:s, s:I}", "upload", "u1", "received", (json_int_t)n_sent);
	else
		*result = json_pack("{s:i, s:f, s:[]}", "version", 5, "compile_ms", 1.25, "lints");
	return 0;
}

static int
policy_show(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	    struct sl_error *e)
{
	const struct sl_rpc_policy_show *p = params;

	*result = p->after ? json_pack("{s:[s]}", "text", "second\n")
			   : json_pack("{s:[s], s:i}", "text", "first ", "next", 1);
	return 0;
}

static struct event_base *base;
static struct sl_rpc *rpc;

static void *
serve(void *arg)
{
	event_base_loop(base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

/** Run sluicectl with these words. @param stderr_to "&1": with what it says for people, too;
 * @return its exit status */
static int
run(const char *words, const char *stderr_to)
{
	char line[1024];
	FILE *p;
	int st;

	snprintf(line, sizeof(line), "%s %s 2>%s", SLUICECTL, words, stderr_to);
	p = popen(line, "r");
	assert_non_null(p);
	out[fread(out, 1, sizeof(out) - 1, p)] = 0;
	st = pclose(p);
	assert_true(WIFEXITED(st));
	return WEXITSTATUS(st);
}

static void
exits(const char *words, int code, const char *says)
{
	int rc = run(words, "&1");

	if (rc != code || !strstr(out, says))
		fail_msg("sluicectl %s: exit %d\n%swanted %d \"%s\"", words, rc, out, code, says);
}

/** With -j standard output holds one JSON value that tells why. @param path NULL: none */
static void
fails(const char *words, int code, const char *reason, const char *path, const char *hint)
{
	char line[256];
	const char *r = "", *p = "", *h = "", *message = "";
	json_t *o;
	int rc;

	snprintf(line, sizeof(line), "-j %s", words);
	rc = run(line, "/dev/null");
	o = json_loads(out, 0, NULL);
	if (!o || json_unpack(o, "{s:{s:s, s:s, s?s, s?s !} !}", "error", "reason", &r, "message",
			      &message, "path", &p, "hint", &h))
		fail_msg("sluicectl %s: %s", words, out);
	if (rc != code || strcmp(r, reason) != 0 || !message[0] ||
	    strcmp(p, path ? path : "") != 0 || !strstr(h, hint))
		fail_msg("sluicectl %s: exit %d\n%s", words, rc, out);
	json_decref(o);
}

static void
test_tables(void **state)
{
	unsigned lines = 0;

	exits("peers", 0, "interface  peer    ");
	for (const char *p = out; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	assert_int_equal(lines, 26); /* all pages under one title */
	assert_null(strstr(out, "last data"));
	exits("-w peers", 0, "  last data  ");
	exits("--wide -j peers limit=1", 0, "\"next\": 1");
	exits("--control https://h:1 -w peers", 2, "--wide is for the tables of a gateway");
	exits("peers limit=3", 0, "peer02");
	assert_null(strstr(out, "peer03"));
	exits("-j peer.list limit=1", 0, "\"next\": 1");
	exits("-j peers", 0, "peer24");
	assert_null(strstr(out, "next"));
	exits("rpc.ping", 0, "ok\n");
	exits("health", 0, "ok\n");
}

static void
test_codes(void **state)
{
	const char *reason = NULL;
	json_t *o;
	int ok = 1;

	exits("peer show wg0 zed", 5, "error: no peer \"zed\" in wg0 (not_found) at /peer\n");
	assert_non_null(strstr(out, "sluicectl: remedy: look again\n"));
	exits("-j peer show wg0 zed", 5, "\"reason\": \"not_found\"");
	fails("peer show wg0 zed", 5, "not_found", "/peer", "look again");
	fails("peer frob", 2, "command_unknown", NULL, "there are: peers, peer show");
	fails("-s /nonexistent/sock peers", 4, "unreachable", NULL, "is sluiced running?");
	fails("--control https://127.0.0.1:1 peers", 4, "unreachable", NULL, "is sluice-control");
	assert_int_equal(run("-j audit verify /nowhere", "/dev/null"), 2);
	o = json_loads(out, 0, NULL); /* an answer, which has the error in it */
	assert_int_equal(json_unpack(o, "{s:b, s:{s:s}}", "ok", &ok, "error", "reason", &reason),
			 0);
	assert_false(ok);
	json_decref(o);
	exits("peer add wg0 HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw= name=twice", 6,
	      "(exists)");
	exits("peer add wg0 short name=x", 1, "(key_invalid) at /public_key");
	exits("shutdown", 1, "(invalid_state)"); /* the gateway only starts here */
	exits("-s /nonexistent/sock peers", 4, "(unreachable)");
	exits("--instance no-such-instance-here peers", 4,
	      "/run/sluice/no-such-instance-here/mgmt.sock");
	exits("--tcp 127.0.0.1:1 peers", 4, "(unreachable)");
	exits("--instance ../x peers", 2, "instance");
	exits("--tls 127.0.0.1:1 peers", 4, "(unreachable)");
	exits("--tls nonsense peers", 2, "HOST:PORT");
	exits("--tls localhost:0 peers", 2, "HOST:PORT");
	exits("--tls a:1 --tcp b:2 peers", 2, "exclude each other");
	exits("--tls a:1 --socket /x peers", 2, "exclude each other");
	exits("--ca /x peers", 2, "belong to --tls");
	exits("--tls 127.0.0.1:1 --ca /nowhere peers", 2, "(file) at /ca_file");
	exits("--tls 127.0.0.1:1 --token-file /nowhere peers", 2, "(file)");
	exits("--tls 127.0.0.1:1 --token-file /etc/passwd peers", 2, "(key_mode)");
	exits("token", 2, "remedy: sluicectl token new FILE --role");
	exits("token new /nowhere/x", 2, "--role is missing");
	exits("token new --role viewer", 2, "one file");
	exits("token new /nowhere/x --role gateway", 2, "no such role");
	exits("token new /nowhere/x --role viewer --days x", 2, "--days");
	exits("token new /nowhere/x --role viewer", 1, "(file) at /tokens_file");
	exits("--tcp nonsense peers", 2, "HOST:PORT");
	exits("", 2, "Usage:");
	exits("--frob", 2, "Try: sluicectl --help");
	exits("frobnicate", 2, "(command_unknown)");
	exits("peer frob", 2, "(command_unknown)");
	exits("peer.get interface=wg0", 2, "needs peer=");
	exits("peer show wg0", 2, "needs peer=");
	exits("peer.get interface=wg0 peer=a colour=red", 2, "(param_unknown)");
	exits("drops all=perhaps", 2, "(param_type)");
	exits("ports stats a b", 2, "KEY=VALUE");
	exits("ports stats a b", 2, "remedy: sluicectl ports stats [PORT]");
	exits("mode enfrce db", 2, "no command or method \"mode enfrce\"");
	exits("audit export", 2, "that is asked of a control plane");
	exits("audit foo", 2, "there are: audit, audit recent");
	exits("policy load /dev/null", 2, "/dev/null is empty (file)");
	exits("policy load /dev/zero", 2, "/dev/zero is larger than 64 MiB (file)");
}

static void
test_verbs(void **state)
{
	exits("peer add wg0 HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw= "
	      "allowed-ips=10.7.0.3,10.7.0.4 name=bob",
	      0, "bob");
	assert_string_equal(last, "wg0 2 bob");
	exits("mode enforce", 0, "observe"); /* shows what holds then */
	assert_string_equal(last, "default=1 targets=0 force=0 confirm=0 mode=-1 panic=-1");
	exits("mode observe 10.0.0.0/8 fd00::/8", 0, "");
	assert_string_equal(last, "default=-1 targets=2 force=0 confirm=0 mode=0 panic=-1");
	exits("mode enforce db1 10.0.0.0/8 force=yes confirm-within=600", 0, "");
	assert_string_equal(last, "default=-1 targets=2 force=1 confirm=600 mode=1 panic=-1");
	exits("mode enforce force=yes", 0, "");
	assert_string_equal(last, "default=1 targets=0 force=1 confirm=0 mode=-1 panic=-1");
	exits("mode default 10.0.0.0/8", 0, "");
	assert_string_equal(last, "default=-1 targets=1 force=0 confirm=0 mode=2 panic=-1");
	exits("mode panic on", 0, "");
	assert_string_equal(last, "default=-1 targets=0 force=0 confirm=0 mode=-1 panic=1");
	exits("mode panic off", 0, "");
	assert_string_equal(last, "default=-1 targets=0 force=0 confirm=0 mode=-1 panic=0");
	exits("mode", 0, "default");
}

/* A document lies on the operator's machine; a long one goes in parts that cut no character. */
static void
test_policy(void **state)
{
	char file[80], words[200], *text;
	size_t n = 0, size = 900 * 1024;
	FILE *f;

	sl_rpc_set_state(rpc, SL_RPC_RUNNING);
	snprintf(file, sizeof(file), "%s/doc", dir);
	f = fopen(file, "w");
	fputs("{\"version\": 5}\n", f);
	fclose(f);
	snprintf(words, sizeof(words), "policy load %s --dry-run --if-version=4", file);
	exits(words, 0, "compile                         1.2 ms");
	assert_string_equal(sent, "{\"version\": 5}\n");
	assert_string_equal(last, "dry=1 if=4 upload=- last=0");
	snprintf(words, sizeof(words), "policy load %s if-version=77", file);
	fails(words, 6, "version_mismatch", "/if_version", "");
	snprintf(words, sizeof(words), "policy load - < %s", file);
	exits(words, 0, "no lints");
	assert_string_equal(sent, "{\"version\": 5}\n");
	text = malloc(size + 4);
	while (n < size) {
		memcpy(text + n, "a\xe2\x82\xac", 4);
		n += 4;
	}
	f = fopen(file, "w");
	fwrite(text, 1, n, f);
	fclose(f);
	snprintf(words, sizeof(words), "policy load %s", file);
	exits(words, 0, "version                         5");
	assert_int_equal(n_parts, 3);
	assert_string_equal(last, "dry=0 if=0 upload=u1 last=1");
	assert_int_equal(n_sent, n);
	assert_memory_equal(sent, text, n);
	f = fopen(file, "w");
	fputs("\xff", f);
	fclose(f);
	exits(words, 2, "(not_utf8)");
	unlink(file);
	exits(words, 2, "(file)");
	exits("policy load", 2, "needs a file");
	exits("policy show text", 0, "first second\n");
	free(text);
	free(sent);
}

static void
test_help(void **state)
{
	exits("help", 0, "peer add INTERFACE KEY");
	for (unsigned i = 0; i < sl_schema_gateway_n; i++)
		assert_non_null(strstr(out, sl_schema_gateway[i].name));
	exits("--help", 0, "Exit status");
	exits("--version", 0, "sluicectl " SL_VERSION);
	exits("help peer add", 0, "allowed_ips=list of prefix");
	exits("help interface.set", 0, "inside.vlan=number");
	exits("help frob", 2, "no command");
	for (unsigned i = 0; i < sl_schema_gateway_n; i++) {
		char words[80];

		snprintf(words, sizeof(words), "help %s", sl_schema_gateway[i].name);
		exits(words, 0, sl_schema_gateway[i].summary);
	}
}

/* What bash offers for a line that is typed so far. */
static void
completes(const char *line, const char *want)
{
	char script[2048];
	FILE *p;

	snprintf(script, sizeof(script),
		 "bash -c 'compopt() { :; }; source <(%s completion); COMP_LINE=\"sluicectl %s\"; "
		 "COMP_POINT=${#COMP_LINE}; _sluicectl; echo \" ${COMPREPLY[*]} \"' 2>&1",
		 SLUICECTL, line);
	p = popen(script, "r");
	assert_non_null(p);
	out[fread(out, 1, sizeof(out) - 1, p)] = 0;
	assert_int_equal(pclose(p), 0);
	if (!strstr(out, want))
		fail_msg("%s: %s, wanted %s", line, out, want);
}

static void
test_completion(void **state)
{
	completes("pe", " peers peer ");
	completes("-w pe", " peers peer ");
	completes("peer ", " show add set remove kick ");
	completes("mode ", " observe enforce default confirm panic ");
	completes("peer add wg0 KEY ena", " enabled=yes enabled=no ");
	completes("-s /x interface.set inside.", " inside.port= inside.vlan= inside.prefixes= ");
	completes("--tcp a:1 interface set wg0 outer_udp_checksum=z", " zero ");
	completes("audit ", " recent verify ");
	completes("audit verify --k", " --key --kept ");
	completes("to", " token ");
	completes("ca ", " init issue renew list ");
	completes("authz.mode.set p", " prefixes= panic=off panic=observe ");
	completes("would-deny win", " window_s= ");
	completes("--control https://h:1 gate", " gateways gateway ");
	completes("--control https://h:1 --ca f endpoint ", " show add set remove ");
	completes("--control https://h:1 peer add --", " --new-key --out --qr ");
	completes("--control https://h:1 import wg0.conf int", " interface= ");
	completes("--control https://h:1 -s /x mode o", " observe ");
	setenv("SLUICE_CONTROL", "https://h:1", 1);
	completes("decomm", " decommissionGateway ");
	completes("peer set alice ena", " enabled=yes enabled=no ");
	completes("--tls h:1 mode o", " observe ");
	unsetenv("SLUICE_CONTROL");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),	   cmocka_unit_test(test_codes),
		cmocka_unit_test(test_verbs),	   cmocka_unit_test(test_help),
		cmocka_unit_test(test_completion), cmocka_unit_test(test_policy),
	};
	struct sl_rpc_server *server;
	struct sl_error e = {0};
	pthread_t t;
	int rc;

	rpc = sl_rpc_new(&sl_gateway_schema, NULL);
	if (!mkdtemp(dir) || evthread_use_pthreads())
		return 1;
	snprintf(sock, sizeof(sock), "%s/sock", dir);
	setenv("SLUICE_SOCKET", sock, 1);
	base = event_base_new();
	server = sl_rpc_server_new(base, rpc);
	sl_rpc_bind(rpc, "peer.list", peers);
	sl_rpc_bind(rpc, "peer.get", get);
	sl_rpc_bind(rpc, "peer.add", add);
	sl_rpc_bind(rpc, "authz.mode.set", mode_set);
	sl_rpc_bind(rpc, "authz.mode.get", mode_get);
	sl_rpc_bind(rpc, "policy.load", policy_load);
	sl_rpc_bind(rpc, "policy.show", policy_show);
	sl_rpc_bind(rpc, "rpc.ping", echo);
	sl_rpc_bind(rpc, "sys.health", echo);
	sl_rpc_bind(rpc, "sys.shutdown", echo);
	sl_rpc_bind(rpc, "drops.get", echo);
	if (sl_rpc_server_unix(server, sock, NULL, &e) || pthread_create(&t, NULL, serve, NULL))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	event_base_loopbreak(base);
	pthread_join(t, NULL);
	sl_rpc_server_free(server);
	sl_rpc_free(rpc);
	event_base_free(base);
	rmdir(dir);
	return rc;
}
