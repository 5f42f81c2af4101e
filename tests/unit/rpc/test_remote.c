/* SPDX-License-Identifier: BSD-3-Clause */
/* The gateway's remote control: its file of tokens, and who is let in as what. */
#include <sys/stat.h>
#include <unistd.h>

#include "link_fixture.h"
#include "sl_remote.h"
#include "sl_remote_tokens.h"
#include "sl_schema_gateway.h"

static void
put(const char *text)
{
	FILE *f = fopen(pki_file("tokens", "txt"), "w");

	fputs(text, f);
	fclose(f);
	chmod(pki_file("tokens", "txt"), 0600);
}

static struct sl_error e;

static int
load(struct sl_remote_tokens **t)
{
	memset(&e, 0, sizeof(e));
	return sl_remote_tokens_load(pki_file("tokens", "txt"), t, &e);
}

static int
open_dir(void **state)
{
	pki_open();
	return 0;
}

static int
close_dir(void **state)
{
	pki_close();
	return 0;
}

static void
test_made(void **state)
{
	char text[3][SL_REMOTE_TOKEN_TEXT + 1], wrong[SL_REMOTE_TOKEN_TEXT + 2];
	static const enum sl_service_role role[] = {SL_SR_VIEWER, SL_SR_OPERATOR, SL_SR_ADMIN};
	const char *file = pki_file("tokens", "txt");
	struct sl_remote_tokens *t;
	struct sl_principal who;
	int64_t until;
	struct stat st;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(sl_remote_tokens_make(file, role[i], i ? 1000 * i : 0, text[i],
						       &e),
				 0);
		assert_int_equal(strlen(text[i]), 58);
	}
	assert_string_not_equal(text[0], text[1]);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(load(&t), 0);
	for (unsigned i = 0; i < 3; i++) {
		char name[20];

		snprintf(name, sizeof(name), "token:%.10s", text[i] + 4);
		assert_int_equal(sl_remote_tokens_check(t, text[i], 999, &who, &until), 0);
		assert_string_equal(who.name, name);
		assert_int_equal(who.roles, SL_SR_BIT(role[i]));
		assert_int_equal(until, 1000 * i);
		assert_string_equal(who.bound, "");
		assert_true(sl_remote_tokens_hold(t, &who, 999));
	}
	/* at its end; another role */
	assert_int_equal(sl_remote_tokens_check(t, text[1], 1000, &who, &until), -EACCES);
	assert_int_equal(sl_remote_tokens_check(t, text[2], 1000, &who, &until), 0);
	assert_false(sl_remote_tokens_hold(t, &who, 2000));
	who.roles = SL_SR_BIT(SL_SR_VIEWER);
	assert_false(sl_remote_tokens_hold(t, &who, 1000));
	/* each character counts, and the length */
	for (unsigned i = 0; i <= SL_REMOTE_TOKEN_TEXT; i++) {
		snprintf(wrong, sizeof(wrong), "%s", text[0]);
		wrong[i] = wrong[i] == 'a' || !wrong[i] ? 'b' : 'a';
		wrong[i == SL_REMOTE_TOKEN_TEXT ? i + 1 : SL_REMOTE_TOKEN_TEXT] = 0;
		assert_int_equal(sl_remote_tokens_check(t, wrong, 1, &who, &until), -EACCES);
		wrong[i] = 0;
		assert_int_equal(sl_remote_tokens_check(t, wrong, 1, &who, &until),
				 i == SL_REMOTE_TOKEN_TEXT ? 0 : -EACCES);
	}
	/* the secret of one with the id of another */
	memcpy(wrong, text[0], SL_REMOTE_TOKEN_TEXT + 1);
	memcpy(wrong + 4, text[1] + 4, 10);
	assert_int_equal(sl_remote_tokens_check(t, wrong, 1, &who, &until), -EACCES);
	assert_int_equal(sl_remote_tokens_check(NULL, text[0], 1, &who, &until), -EACCES);
	sl_remote_tokens_free(t);
}

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void
test_file(void **state)
{
	static const struct {
		const char *text, *reason, *says; /* NULL: good */
	} files[] = {
		{"", NULL, NULL},
		{"# nothing\n\n  \n", NULL, NULL},
		{"abcdefghi0 " HEX " viewer -   # my laptop\n", NULL, NULL},
		{"abcdefghi0\t" HEX "\tadmin\t2027-01-31T00:00:00Z", NULL, NULL},
		{"\nabcdefghi " HEX " viewer -\n", "tokens_invalid", ".txt:2: the id"},
		{"abcdefgh-0 " HEX " viewer -\n", "tokens_invalid", ".txt:1: the id"},
		{"abcdefghi0 " HEX "0 viewer -\n", "tokens_invalid", "the hash"},
		{"abcdefghi0 xx viewer -\n", "tokens_invalid", "the hash"},
		{"abcdefghi0 " HEX " gateway -\n", "tokens_invalid", "the role"},
		{"abcdefghi0 " HEX " viewer,admin -\n", "tokens_invalid", "the role"},
		{"abcdefghi0 " HEX " viewer\n", "tokens_invalid", "ID HASH ROLE END"},
		{"abcdefghi0 " HEX " viewer - x\n", "tokens_invalid", "more than"},
		{"abcdefghi0 " HEX " viewer 2027-01-31\n", "tokens_invalid", "the end"},
		{"abcdefghi0 " HEX " viewer 2027-02-31T00:00:00Z\n", "tokens_invalid", "the end"},
		{"abcdefghi0 " HEX " viewer 0\n", "tokens_invalid", "the end"},
		{"abcdefghi0 " HEX " viewer -\nabcdefghi0 " HEX " admin -\n", "tokens_invalid",
		 ".txt:2: this id is there twice"},
	};
	struct sl_remote_tokens *t;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(files); i++) {
		int rc;

		put(files[i].text);
		rc = load(&t);
		if ((rc == 0) == (files[i].reason != NULL))
			fail_msg("%u: %s", i, e.message);
		if (rc) {
			assert_string_equal(e.reason, files[i].reason);
			assert_string_equal(e.path, "/tokens_file");
			assert_non_null(strstr(e.message, files[i].says));
			assert_null(strstr(e.message, HEX));
		}
		sl_remote_tokens_free(t);
	}
	unlink(pki_file("tokens", "txt"));
	assert_int_equal(load(&t), -ENOENT);
	assert_non_null(strstr(e.hint, "sluicectl token new"));
}

static void
test_file_mode(void **state)
{
	char text[SL_REMOTE_TOKEN_TEXT + 1];
	const char *file = pki_file("tokens", "txt");
	struct sl_remote_tokens *t;
	struct stat st;

	put("");
	for (unsigned mode = 0640; mode; mode = mode == 0640 ? 0602 : mode == 0602 ? 0700 : 0) {
		chmod(file, mode);
		assert_int_equal(load(&t), -EINVAL);
		assert_string_equal(e.reason, "key_mode");
		assert_int_not_equal(e.hint[0], 0);
		/* nothing is put where others would read it */
		assert_int_equal(sl_remote_tokens_make(file, SL_SR_VIEWER, 0, text, &e), -EINVAL);
		assert_int_equal(stat(file, &st), 0);
		assert_int_equal(st.st_size, 0);
	}
	/* a last line without its end stays a line */
	put("# mine");
	assert_int_equal(sl_remote_tokens_make(file, SL_SR_VIEWER, 0, text, &e), 0);
	assert_int_equal(load(&t), 0);
	assert_int_equal(sl_remote_tokens_check(t, text, 1, &(struct sl_principal){0},
						&(int64_t){0}),
			 0);
	sl_remote_tokens_free(t);
	assert_int_equal(sl_remote_tokens_make(pki_dir, SL_SR_VIEWER, 0, text, &e), -EISDIR);
}

/* --- let in ----------------------------------------------------------------------------------- */

static struct sl_remote *remote;
static struct sl_rpc *gateway;
static struct sl_rpc_server *door;
static char token[SL_REMOTE_TOKEN_TEXT + 1];
static unsigned calls;

static int
handler(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
	struct sl_error *err)
{
	calls++;
	return 0;
}

static void
refused_local(void *user, const struct sl_rpc_caller *caller, const char *method,
	      const char *reason)
{
	snprintf(lx.who, sizeof(lx.who), "%s %s", method, caller->principal);
}

static char cn[] = "ops-laptop", uri[] = "sluice://operator/alice", uri2[] = "sluice://operator/al";
static struct sl_remote_allow allow[] = {{cn, NULL, SL_SR_VIEWER},
					 {NULL, uri, SL_SR_OPERATOR},
					 {NULL, uri2, SL_SR_ADMIN}};
static struct sl_remote_conf conf;

static void
remote_open_gateway(void)
{
	lx_open(NULL, true, true); /* for its CA, loop and clients */
	gateway = sl_rpc_new(&sl_gateway_schema, NULL);
	for (unsigned i = 0; i < sl_gateway_schema.n; i++)
		if (strncmp(sl_gateway_schema.methods[i].name, "auth.", 5) != 0)
			assert_int_equal(sl_rpc_bind(gateway, sl_gateway_schema.methods[i].name,
						     handler),
					 0);
	sl_rpc_set_state(gateway, SL_RPC_RUNNING);
	sl_rpc_on_refusal(gateway, refused_local);
	door = sl_rpc_server_new(lx.base, gateway);
	assert_int_equal(sl_remote_tokens_make(pki_file("tokens", "txt"), SL_SR_ADMIN, 0, token,
					       &e),
			 0);
	conf = (struct sl_remote_conf){.on = true,
				       .listen = {.ip = {.family = 4, .b = {127, 0, 0, 1}},
						  .port = lx_free_port()},
				       .cert_file = strdup(pki_file("server", "crt")),
				       .key_file = strdup(pki_file("server", "key")),
				       .ca_file = strdup(pki_file("ca", "crt")),
				       .tokens_file = strdup(pki_file("tokens", "txt")),
				       .allow = allow,
				       .n_allow = 3};
	remote = sl_remote_new(door, &conf, &e);
	if (!remote)
		fail_msg("%s at %s: %s", e.reason, e.path, e.message);
	lx.port = conf.listen.port;
}

static void
remote_close_gateway(void)
{
	sl_rpc_server_free(door);
	sl_rpc_free(gateway);
	sl_remote_free(remote);
	conf.allow = NULL;
	conf.n_allow = 0;
	sl_remote_conf_clear(&conf);
	lx_close();
}

static void
test_certificates(void **state)
{
	static const struct {
		const char *name, *san, *principal; /* NULL: refused */
		const char *roles;
	} t[] = {
		{"ops-laptop", NULL, "cert:ops-laptop", "[\"viewer\"]"},
		{"x", "URI:sluice://operator/alice", "cert:sluice://operator/alice",
		 "[\"operator\"]"},
		{"ops-laptop", "URI:sluice://operator/alice", NULL, "[\"operator\",\"viewer\"]"},
		{"ops-laptop2", NULL, NULL, NULL},
		{"sluice://operator/alice", NULL, NULL, NULL},
		{"x", "URI:sluice://gateway/alice", NULL, NULL},
		{"alice", "URI:https://operator/alice", NULL, NULL},
	};

	remote_open_gateway();
	for (unsigned i = 0; i < SL_ARRAY_SIZE(t); i++) {
		struct sl_tls *tls;
		struct wire *w;

		pki_issue("c", (struct pki_want){.cn = t[i].name,
						 .san = t[i].san,
						 .eku = "clientAuth",
						 .by = &lx.ca});
		tls = lx_client("c");
		w = wire_open(tls);
		wire_ask(w, call_of("auth.whoami", "{}"));
		if (t[i].roles && !strstr(w->seen, t[i].roles))
			fail_msg("%u: %s", i, w->seen);
		if (!t[i].roles && !strstr(w->seen, "\"unauthenticated\""))
			fail_msg("%u: %s", i, w->seen);
		assert_true(!t[i].principal || strstr(w->seen, t[i].principal));
		wire_close(w);
		sl_tls_free(tls);
	}
	remote_close_gateway();
}

/* An admin from afar is an admin, but not a local one. */
static void
test_local_only(void **state)
{
	struct wire *w;

	remote_open_gateway();
	w = wire_open(lx.client);
	wire_ask(w, login_of(token));
	calls = 0;
	assert_string_equal(wire_reason(w, call_of("authz.mode.set", "{\"default\":\"observe\"}")),
			    "local_only_setting");
	assert_non_null(strstr(lx.who, "authz.mode.set token:"));
	assert_string_equal(wire_reason(w, call_of("log.enabled.set", "{\"enabled\":false}")),
			    "local_only_setting");
	assert_string_equal(wire_reason(w, call_of("interface.set",
						   "{\"interface\":\"wg0\","
						   "\"private_key_file\":\"/etc/shadow\"}")),
			    "local_only_setting");
	assert_int_equal(calls, 0);
	assert_string_equal(wire_reason(w, call_of("sys.shutdown", "{}")), "");
	assert_int_equal(calls, 1);
	wire_close(w);
	assert_null(strstr(lx.log, token));
	assert_null(strstr(lx.log, token + 15));
	remote_close_gateway();
}

static void
test_reload(void **state)
{
	struct wire *w, *other;

	remote_open_gateway();
	w = wire_open(lx.client);
	wire_ask(w, login_of(token));
	/* a file that is wrong changes nothing */
	put("nonsense\n");
	sl_remote_reload(remote);
	assert_non_null(strstr(lx.log, "tokens stay as they are: "));
	assert_string_equal(wire_reason(w, call_of("rpc.ping", "{}")), "");
	other = wire_open(lx.client);
	assert_non_null(strstr(wire_ask(other, login_of(token)), "\"admin\""));
	/* a token that is gone takes its connections along */
	put("# none\n");
	sl_remote_reload(remote);
	assert_string_equal(wire_reason(w, ""), "revoked");
	assert_string_equal(wire_reason(other, ""), "revoked");
	wire_close(w);
	wire_close(other);
	w = wire_open(lx.client);
	assert_string_equal(wire_reason(w, login_of(token)), "unauthenticated");
	wire_close(w);
	/* a certificate that is wrong leaves the old one */
	put("");
	unlink(pki_file("server", "crt"));
	sl_remote_reload(remote);
	assert_non_null(strstr(lx.log, "certificates stay as they are: "));
	w = wire_open(lx.client);
	assert_true(w->up);
	wire_close(w);
	remote_close_gateway();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made, open_dir, close_dir),
		cmocka_unit_test_setup_teardown(test_file, open_dir, close_dir),
		cmocka_unit_test_setup_teardown(test_file_mode, open_dir, close_dir),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_local_only),
		cmocka_unit_test(test_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
