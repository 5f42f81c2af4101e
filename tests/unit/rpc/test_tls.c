/* SPDX-License-Identifier: BSD-3-Clause */
/* TLS between two ends of a socket pair: who is believed, as whom, and who is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include "pki.h"
#include "sl_env.h"
#include "sl_log.h"
#include "sl_tls_failed.h"

static struct event_base *base;
static struct pki_ca ca, foreign;

/** What came of a handshake, as the server sees it. */
struct outcome {
	bool server_up, client_up, server_end, client_end;
	int peer; /* of sl_tls_peer() at the server */
	struct sl_tls_id id;
	bool agreed;
	char server_why[256], client_why[160];
	struct sl_tls_failures failed; /* of the server */
};

struct end {
	struct outcome *o;
	bool server;
};

static struct sl_ip here;
static char told[256];
static struct sl_tls_failures *shared; /* of several servers' ends; NULL: each has its own */

static void
listen_log(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	snprintf(told, sizeof(told), "%s", text);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct end *end = arg;
	struct outcome *o = end->o;

	if (what & BEV_EVENT_CONNECTED) {
		*(end->server ? &o->server_up : &o->client_up) = true;
		if (end->server)
			o->peer = sl_tls_peer(bev, &o->id);
		else
			o->agreed = sl_tls_agreed(bev);
		return;
	}
	*(end->server ? &o->server_end : &o->client_end) = true;
	told[0] = '\0';
	if (!end->server)
		sl_tls_why(bev, o->client_why, sizeof(o->client_why));
	else if (!o->server_up)
		sl_tls_failed(shared ? shared : &o->failed, bev, &here, "test");
	if (end->server)
		snprintf(o->server_why, sizeof(o->server_why), "%s", told);
}

/** It failed once, for this. */
static void
expect_failed(const struct outcome *o, enum sl_tls_failure how)
{
	for (unsigned i = 0; i < SL_TLS_FAILURES; i++)
		if (o->failed.n[i] != (i == how))
			fail_msg("%s is counted %u times, not %s: %s", sl_tls_failure_name(i),
				 (unsigned)o->failed.n[i], sl_tls_failure_name(how), o->server_why);
}

static struct outcome
shake(struct sl_tls *server, struct sl_tls *client, const char *host)
{
	struct outcome o = {.peer = 1};
	struct end ends[2] = {{&o, true}, {&o, false}};
	uint64_t stop = sl_clock_mono_ns() + 5 * SL_NS_PER_S;
	struct bufferevent *bev[2];
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	bev[0] = sl_tls_accept(server, base, sv[0]);
	bev[1] = sl_tls_connect(client, base, host);
	assert_non_null(bev[0]);
	assert_non_null(bev[1]);
	assert_int_equal(bufferevent_setfd(bev[1], sv[1]), 0);
	for (unsigned i = 0; i < 2; i++) {
		bufferevent_setcb(bev[i], NULL, NULL, on_event, &ends[i]);
		bufferevent_enable(bev[i], EV_READ | EV_WRITE);
	}
	while (!(o.server_up && o.client_up) && !o.server_end && sl_clock_mono_ns() < stop)
		event_base_loop(base, EVLOOP_ONCE);
	for (unsigned i = 0; i < 5; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	bufferevent_free(bev[0]);
	bufferevent_free(bev[1]);
	for (unsigned i = 0; i < 5; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	return o;
}

static struct sl_tls *
side(bool server, const char *name, const char *by, bool require, const char *alpn)
{
	struct sl_tls_conf c = {.cert_file = name ? pki_file(name, "crt") : NULL,
				.key_file = name ? pki_file(name, "key") : NULL,
				.ca_file = by ? pki_file(by, "crt") : NULL,
				.require_cert = require,
				.alpn = alpn};
	struct sl_error e = {0};
	struct sl_tls *t = server ? sl_tls_server_new(&c, &e) : sl_tls_client_new(&c, &e);

	if (!t)
		fail_msg("%s: %s %s", name ? name : "without a certificate", e.reason, e.message);
	return t;
}

/** A server that asks for certificates of `ca`, and a client with that certificate (NULL: none). */
static struct outcome
client_shakes(const char *cert, bool require)
{
	struct sl_tls *server = side(true, "server", "ca", require, NULL);
	struct sl_tls *client = side(false, cert, "ca", false, NULL);
	struct outcome o = shake(server, client, "localhost");

	sl_tls_free(server);
	sl_tls_free(client);
	return o;
}

static int
setup(void **state)
{
	pki_open();
	base = event_base_new();
	assert_int_equal(sl_ip_parse("192.0.2.7", &here), 0);
	sl_log_set_sink(listen_log, NULL);
	ca = pki_ca("ca");
	foreign = pki_ca("foreign");
	pki_issue("server", (struct pki_want){.cn = "server",
					      .san = "DNS:localhost,IP:127.0.0.1,DNS:*.example.org",
					      .eku = "serverAuth",
					      .by = &ca});
	pki_issue("alice", (struct pki_want){.cn = "alice",
					     .san = "URI:sluice://gateway/gw-tyo-1",
					     .eku = "clientAuth",
					     .by = &ca});
	return 0;
}

static int
teardown(void **state)
{
	event_base_free(base);
	pki_ca_free(&ca);
	pki_ca_free(&foreign);
	pki_close();
	return 0;
}

static void
test_identity(void **state)
{
	struct outcome o = client_shakes("alice", true);
	char text[65];

	assert_true(o.server_up && o.client_up && o.agreed);
	assert_int_equal(o.peer, 0);
	assert_string_equal(o.id.cn, "alice");
	assert_string_equal(o.id.kind, "gateway");
	assert_string_equal(o.id.name, "gw-tyo-1");
	assert_int_equal(strlen(o.id.fingerprint), 64);
	assert_int_equal(strspn(o.id.fingerprint, "0123456789abcdef"), 64);
	assert_true(o.id.serial[0] != 0);
	assert_true(o.id.not_after_s > (int64_t)(sl_clock_wall_ns() / SL_NS_PER_S) + 3500);
	assert_true(o.id.not_after_s < (int64_t)(sl_clock_wall_ns() / SL_NS_PER_S) + 3700);
	/* the same certificate, the same fingerprint; another one, another */
	snprintf(text, sizeof(text), "%s", o.id.fingerprint);
	assert_string_equal(client_shakes("alice", true).id.fingerprint, text);
}

static void
test_no_certificate(void **state)
{
	struct outcome o = client_shakes(NULL, false);

	assert_true(o.server_up);
	assert_int_equal(o.peer, -ENOENT);
	o = client_shakes(NULL, true);
	assert_false(o.server_up);
	assert_true(o.server_end);
	assert_int_equal(o.peer, 1);
}

/* Who is refused is refused whether a certificate is required or not. */
static void
test_refused(void **state)
{
	static const char *const bad[] = {"foreign-leaf", "own",	"expired", "early",
					  "server",	  "no-purpose", "mixed"};

	pki_issue("foreign-leaf",
		  (struct pki_want){.cn = "alice", .eku = "clientAuth", .by = &foreign});
	pki_issue("own", (struct pki_want){.cn = "alice", .eku = "clientAuth"});
	pki_issue("expired", (struct pki_want){.cn = "alice",
					       .eku = "clientAuth",
					       .by = &ca,
					       .from_s = -7200,
					       .to_s = -60});
	pki_issue("early", (struct pki_want){.cn = "alice",
					     .eku = "clientAuth",
					     .by = &ca,
					     .from_s = 60,
					     .to_s = 3600});
	pki_issue("no-purpose", (struct pki_want){.cn = "alice", .by = &ca});
	/* a leaf that the server does not trust, beside one that it would */
	pki_issue("mixed", (struct pki_want){.cn = "mallory",
					     .eku = "clientAuth",
					     .by = &foreign,
					     .and_the_cert_of = "alice"});
	for (unsigned i = 0; i < 2 * SL_ARRAY_SIZE(bad); i++) {
		struct outcome o = client_shakes(bad[i / 2], i & 1);

		if (o.server_up || !o.server_end || o.peer != 1)
			fail_msg("%s was accepted", bad[i / 2]);
		expect_failed(&o, strcmp(bad[i / 2], "expired") == 0 ? SL_TLS_EXPIRED
								     : SL_TLS_CERTIFICATE);
		assert_non_null(strstr(o.server_why, "handshake with tls:192.0.2.7 failed: "));
		assert_int_equal(strstr(o.server_why, " of name alice") != NULL,
				 o.failed.n[SL_TLS_EXPIRED] == 1);
	}
}

/* Which one has ended; of one that stands on a peer's machine the address is told nowhere. */
static void
test_expired(void **state)
{
	struct outcome o;

	pki_issue("ended", (struct pki_want){.san = "URI:sluice://gateway/gw-1",
					     .eku = "clientAuth",
					     .by = &ca,
					     .from_s = -7200,
					     .to_s = -60});
	o = client_shakes("ended", false);
	expect_failed(&o, SL_TLS_EXPIRED);
	assert_non_null(strstr(o.server_why, "192.0.2.7 failed: certificate has expired: cert:"));
	assert_non_null(strstr(o.server_why, " of gateway gw-1"));
	pki_issue("ended", (struct pki_want){.san = "URI:sluice://agent/laptop",
					     .eku = "clientAuth",
					     .by = &ca,
					     .from_s = -7200,
					     .to_s = -60});
	o = client_shakes("ended", false);
	assert_null(strstr(o.server_why, "192.0.2.7"));
	assert_non_null(strstr(o.server_why, " of agent laptop"));
	/* who signs for itself has no name here */
	pki_issue("ended", (struct pki_want){.san = "URI:sluice://agent/laptop",
					     .eku = "clientAuth",
					     .by = &foreign,
					     .from_s = -7200,
					     .to_s = -60});
	o = client_shakes("ended", false);
	expect_failed(&o, SL_TLS_CERTIFICATE);
	assert_non_null(strstr(o.server_why, "192.0.2.7"));
	assert_null(strstr(o.server_why, "laptop"));
}

/* One line a second tells of all of them. */
static void
test_told_once(void **state)
{
	struct sl_tls *server = side(true, "server", NULL, false, "sluice-repl/1");
	struct sl_tls *client = side(false, NULL, "ca", false, NULL);
	struct sl_tls_failures f = {.told_ns = sl_clock_mono_ns()};
	uint64_t begin = f.told_ns;
	struct outcome o;

	shared = &f;
	o = shake(server, client, "localhost");
	if (sl_clock_mono_ns() - begin < SL_NS_PER_S) {
		assert_string_equal(o.server_why, "");
		assert_int_equal(f.untold, 1);
	}
	f.told_ns = sl_clock_mono_ns() - 2 * SL_NS_PER_S;
	f.untold = 7;
	o = shake(server, client, "localhost");
	assert_non_null(strstr(o.server_why, " (7 more since the last one)"));
	assert_int_equal(f.untold, 0);
	assert_int_equal(f.n[SL_TLS_PROTOCOL], 2);
	shared = NULL;
	sl_tls_free(server);
	sl_tls_free(client);
}

/* Who goes before it said a word is counted, and not told. */
static void
test_silent(void **state)
{
	struct sl_tls *server = side(true, "server", NULL, false, NULL);
	struct outcome o = {0};
	struct end end = {&o, true};
	struct bufferevent *bev;
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	bev = sl_tls_accept(server, base, sv[0]);
	bufferevent_setcb(bev, NULL, NULL, on_event, &end);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	close(sv[1]);
	while (!o.server_end)
		event_base_loop(base, EVLOOP_ONCE);
	expect_failed(&o, SL_TLS_SILENT);
	assert_string_equal(o.server_why, "");
	bufferevent_free(bev);
	sl_tls_free(server);
}

/* A valid leaf and somebody else's valid leaf in one chain: it is who signed the handshake. */
static void
test_chain_of_two(void **state)
{
	struct outcome o;

	pki_issue("mallory", (struct pki_want){.cn = "mallory",
					       .san = "URI:sluice://agent/mallory",
					       .eku = "clientAuth",
					       .by = &ca,
					       .and_the_cert_of = "alice"});
	o = client_shakes("mallory", true);
	assert_int_equal(o.peer, 0);
	assert_string_equal(o.id.cn, "mallory");
	assert_string_equal(o.id.kind, "agent");
	assert_string_equal(o.id.name, "mallory");
}

static void
test_names(void **state)
{
	static const struct {
		const char *cn, *cn2, *san;
		int peer;
		const char *want_cn, *kind, *name;
	} t[] = {
		{"a", NULL, NULL, 0, "a", "", ""},
		{NULL, NULL, "URI:sluice://follower/f1", 0, "", "follower", "f1"},
		{"a", "b", NULL, 0, "", "", ""},
		{"gw\nx", NULL, NULL, 0, "", "", ""},
		{"g\xc3\xb6", NULL, NULL, 0, "", "", ""},
		{"a", NULL, "URI:https://gateway/x,DNS:gw-2", 0, "a", "", ""},
		{"a", NULL, "URI:sluice://gateway/x,URI:sluice://gateway/y", -EACCES, "", "", ""},
		{"a", NULL, "URI:sluice://gateway/x,URI:sluice://gateway/x", -EACCES, "", "", ""},
		{"a", NULL, "URI:sluice://gateway/", -EACCES, "", "", ""},
		{"a", NULL, "URI:sluice:///x", -EACCES, "", "", ""},
		{"a", NULL, "URI:sluice://gateway/X", -EACCES, "", "", ""},
		{"a", NULL, "URI:sluice://gateway/x/y", -EACCES, "", "", ""},
		{"a", NULL, "URI:sluice://gateway/-x", -EACCES, "", "", ""},
		{"a", NULL, "URI:sluice://gate way/x", -EACCES, "", "", ""},
		{"a", NULL, "URI:sluice://gateway", -EACCES, "", "", ""},
	};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(t); i++) {
		struct outcome o;

		pki_issue("named", (struct pki_want){.cn = t[i].cn,
						     .cn2 = t[i].cn2,
						     .san = t[i].san,
						     .eku = "clientAuth",
						     .by = &ca});
		o = client_shakes("named", true);
		if (o.peer != t[i].peer || strcmp(o.id.cn, t[i].want_cn) ||
		    strcmp(o.id.kind, t[i].kind) || strcmp(o.id.name, t[i].name))
			fail_msg("%u: %d cn \"%s\" %s/%s", i, o.peer, o.id.cn, o.id.kind,
				 o.id.name);
	}
}

/* The client's side: whom it dials is who must answer. */
static void
test_server_is_checked(void **state)
{
	static const struct {
		const char *server, *trust, *host;
		bool up;
	} t[] = {
		{"server", "ca", "localhost", true},
		{"server", "ca", "127.0.0.1", true},
		{"server", "ca", "a.example.org", true},
		{"server", "ca", "127.0.0.2", false},
		{"server", "ca", "server", false}, /* its CN is no name of a host */
		{"server", "ca", "a.b.example.org", false},
		{"server", "ca", "localhost.evil.org", false},
		{"server", "foreign", "localhost", false},
		{"late", "ca", "localhost", false},
		{"client-as-server", "ca", "localhost", false},
	};

	pki_issue("late", (struct pki_want){.san = "DNS:localhost",
					    .eku = "serverAuth",
					    .by = &ca,
					    .from_s = -7200,
					    .to_s = -60});
	pki_issue("client-as-server",
		  (struct pki_want){.san = "DNS:localhost", .eku = "clientAuth", .by = &ca});
	for (unsigned i = 0; i < SL_ARRAY_SIZE(t); i++) {
		struct sl_tls *server = side(true, t[i].server, NULL, false, NULL);
		struct sl_tls *client = side(false, NULL, t[i].trust, false, NULL);
		struct outcome o = shake(server, client, t[i].host);

		if (o.client_up != t[i].up || o.server_up != t[i].up)
			fail_msg("%u: client %d server %d: %s", i, o.client_up, o.server_up,
				 o.client_why);
		assert_true(t[i].up || o.client_why[0]);
		if (!t[i].up)
			expect_failed(&o, SL_TLS_CLIENT);
		/* a server that does not ask never has an identity */
		assert_int_equal(o.peer, t[i].up ? -ENOENT : 1);
		sl_tls_free(server);
		sl_tls_free(client);
	}
}

static void
test_alpn(void **state)
{
	static const struct {
		const char *server, *client;
		bool server_up, agreed;
	} t[] = {
		{NULL, NULL, true, true},
		{"sluice-repl/1", "sluice-repl/1", true, true},
		{"sluice-repl/1", "sluice-repl/2", false, false},
		{"sluice-repl/1", "sluice-repl", false, false},
		{"sluice-repl/1", NULL, false, false},
		{NULL, "sluice-repl/1", true,
		 false}, /* the client sees that it is another service */
	};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(t); i++) {
		struct sl_tls *server = side(true, "server", NULL, false, t[i].server);
		struct sl_tls *client = side(false, NULL, "ca", false, t[i].client);
		struct outcome o = shake(server, client, "localhost");

		if (o.server_up != t[i].server_up || o.agreed != t[i].agreed)
			fail_msg("%u: up %d agreed %d", i, o.server_up, o.agreed);
		sl_tls_free(server);
		sl_tls_free(client);
	}
}

/* No TLS 1.2, no tickets: nothing of a session is kept. */
static void
test_versions(void **state)
{
	struct sl_tls *server = side(true, "server", NULL, false, NULL);
	struct outcome o = {0};
	struct end end = {&o, true};
	SSL_CTX *old = SSL_CTX_new(TLS_client_method());
	struct bufferevent *bev;
	int sv[2];

	SSL_CTX_set_max_proto_version(old, TLS1_2_VERSION);
	for (unsigned round = 0; round < 2; round++) {
		SSL *ssl = SSL_new(old);
		int rc = -1;

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
		bev = sl_tls_accept(server, base, sv[0]);
		memset(&o, 0, sizeof(o));
		bufferevent_setcb(bev, NULL, NULL, on_event, &end);
		bufferevent_enable(bev, EV_READ | EV_WRITE);
		SSL_set_fd(ssl, sv[1]);
		for (unsigned i = 0; i < 100 && rc != 1 && !o.server_end; i++) {
			rc = SSL_connect(ssl);
			event_base_loop(base, EVLOOP_NONBLOCK);
		}
		assert_int_equal(rc == 1, round);
		if (round) {
			char buf[16];

			for (unsigned i = 0; i < 50; i++) {
				event_base_loop(base, EVLOOP_NONBLOCK);
				assert_true(SSL_read(ssl, buf, sizeof(buf)) <= 0);
			}
			assert_false(SSL_SESSION_is_resumable(SSL_get0_session(ssl)));
		}
		SSL_free(ssl);
		close(sv[1]);
		bufferevent_free(bev);
		SSL_CTX_set_max_proto_version(old, TLS1_3_VERSION);
	}
	SSL_CTX_free(old);
	sl_tls_free(server);
}

static void
refused_conf(struct sl_tls_conf c, bool server, const char *reason, const char *path)
{
	struct sl_error e = {0};
	struct sl_tls *t = server ? sl_tls_server_new(&c, &e) : sl_tls_client_new(&c, &e);

	assert_null(t);
	if (strcmp(e.reason, reason) || strcmp(e.path, path) || !e.message[0])
		fail_msg("wanted %s at %s, is %s at %s: %s", reason, path, e.reason, e.path,
			 e.message);
}

static void
test_bad_files(void **state)
{
	const char *crt = pki_file("server", "crt"), *key = pki_file("server", "key");
	FILE *f = fopen(pki_file("junk", "pem"), "w");

	fputs("-----BEGIN NONSENSE-----\n", f);
	fclose(f);
	chmod(pki_file("junk", "pem"), 0600);
	pki_issue("open", (struct pki_want){.cn = "open", .eku = "serverAuth", .by = &ca});
	chmod(pki_file("open", "key"), 0640);
	refused_conf((struct sl_tls_conf){0}, true, "cert_invalid", "/cert_file");
	refused_conf((struct sl_tls_conf){.cert_file = crt}, true, "key_invalid", "/key_file");
	refused_conf((struct sl_tls_conf){.key_file = key}, false, "cert_invalid", "/cert_file");
	refused_conf((struct sl_tls_conf){.cert_file = "/nowhere", .key_file = key}, true, "file",
		     "/cert_file");
	refused_conf((struct sl_tls_conf){.cert_file = crt, .key_file = "/nowhere"}, true, "file",
		     "/key_file");
	refused_conf((struct sl_tls_conf){.cert_file = pki_file("junk", "pem"), .key_file = key},
		     true, "cert_invalid", "/cert_file");
	refused_conf((struct sl_tls_conf){.cert_file = crt, .key_file = pki_file("junk", "pem")},
		     true, "key_invalid", "/key_file");
	refused_conf((struct sl_tls_conf){.cert_file = crt, .key_file = pki_file("alice", "key")},
		     true, "key_mismatch", "/key_file");
	refused_conf((struct sl_tls_conf){.cert_file = pki_file("open", "crt"),
					  .key_file = pki_file("open", "key")},
		     true, "key_mode", "/key_file");
	refused_conf((struct sl_tls_conf){.cert_file = crt,
					  .key_file = key,
					  .ca_file = pki_file("junk", "pem")},
		     true, "ca_invalid", "/ca_file");
	refused_conf((struct sl_tls_conf){.cert_file = crt, .key_file = key, .require_cert = true},
		     true, "ca_invalid", "/ca_file");
}

/* A renewed certificate is taken up; a broken one is not, and the old one serves on. */
static void
test_reload(void **state)
{
	struct sl_tls *server, *client = side(false, NULL, "ca", false, NULL);
	int64_t first, now = (int64_t)(sl_clock_wall_ns() / SL_NS_PER_S);
	struct sl_error e = {0};
	FILE *f;

	assert_int_equal(sl_tls_not_after(client), 0);
	pki_issue("r", (struct pki_want){.san = "DNS:localhost",
					 .eku = "serverAuth",
					 .by = &ca,
					 .to_s = 900});
	server = side(true, "r", NULL, false, NULL);
	first = sl_tls_not_after(server);
	assert_true(first >= now + 890 && first <= now + 910);
	pki_issue("r", (struct pki_want){.san = "DNS:localhost",
					 .eku = "serverAuth",
					 .by = &ca,
					 .to_s = 1800});
	assert_int_equal(sl_tls_reload(server, &e), 0);
	assert_true(sl_tls_not_after(server) >= first + 890);
	f = fopen(pki_file("r", "crt"), "w");
	fclose(f);
	assert_int_equal(sl_tls_reload(server, &e), -EINVAL);
	assert_string_equal(e.path, "/cert_file");
	assert_true(sl_tls_not_after(server) >= first + 890);
	assert_true(shake(server, client, "localhost").client_up);
	sl_tls_free(server);
	sl_tls_free(client);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_certificate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expired, setup, teardown),
		cmocka_unit_test_setup_teardown(test_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_chain_of_two, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_is_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alpn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
