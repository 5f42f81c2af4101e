/* SPDX-License-Identifier: BSD-3-Clause */
/* The client against the server, over TLS: coming up, calls, notifications, every way down. */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link_fixture.h"

struct peer {
	struct sl_rpc_client *c;
	bool up, down, answered;
	unsigned downs, notes, pushes;
	struct sl_error why, error;
	int rc;
	json_t *result;
	char last[80];
	bool free_in_up, free_in_notify, free_in_down, free_in_answer;
};

static void
let_go(struct peer *p)
{
	sl_rpc_client_free(p->c);
	p->c = NULL;
}

static void
on_up(void *ctx)
{
	struct peer *p = ctx;

	assert_false(p->up);
	p->up = true;
	if (p->free_in_up)
		let_go(p);
}

static void
on_notify(void *ctx, const char *method, json_t *params)
{
	struct peer *p = ctx;
	json_int_t n = json_integer_value(json_object_get(params, "n"));

	snprintf(p->last, sizeof(p->last), "%s", method);
	if (params)
		assert_int_equal(n, p->notes); /* none is lost, and they come in order */
	p->notes++;
	if (p->free_in_notify)
		let_go(p);
}

static void
on_down(void *ctx, const struct sl_error *e)
{
	struct peer *p = ctx;

	p->down = true;
	p->downs++;
	p->why = *e;
	if (p->free_in_down)
		let_go(p);
}

static void
on_answer(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	struct peer *p = ctx;

	assert_false(p->answered);
	p->answered = true;
	p->rc = rc;
	p->error = *e;
	json_decref(p->result);
	p->result = json_incref(result);
	if (p->free_in_answer)
		let_go(p);
}

static struct sl_rpc_client_conf
conf_of(struct peer *p)
{
	return (struct sl_rpc_client_conf){.base = lx.base,
					   .host = "127.0.0.1",
					   .port = lx.port,
					   .tls = lx.client,
					   .token = LX_GATEWAY,
					   .name = "test/1",
					   .up = on_up,
					   .notify = on_notify,
					   .down = on_down,
					   .ctx = p};
}

static void
dial(struct peer *p, struct sl_rpc_client_conf c)
{
	struct sl_error e = {0};

	p->c = sl_rpc_client_new(&c, &e);
	if (!p->c)
		fail_msg("%s: %s", e.reason, e.message);
	assert_false(p->up || p->down);
}

/** Dial and see it fail. */
static void
fails(struct sl_rpc_client_conf c, const char *reason)
{
	struct peer p = {0};

	c.ctx = &p;
	dial(&p, c);
	assert_int_equal(sl_rpc_client_call(p.c, "rpc.ping", NULL, on_answer, &p), -ENOTCONN);
	assert_true(lx_until(&p.down, 6));
	if (strcmp(p.why.reason, reason) != 0)
		fail_msg("wanted %s, is %s: %s", reason, p.why.reason, p.why.message);
	assert_int_not_equal(p.why.err, 0);
	assert_false(p.up);
	assert_int_equal(sl_rpc_client_call(p.c, "rpc.ping", NULL, on_answer, &p), -ENOTCONN);
	let_go(&p);
	lx_pump();
	assert_int_equal(p.downs, 1);
}

static void
test_up_and_calls(void **state)
{
	struct peer p = {0};

	lx_open(NULL, true, true);
	dial(&p, conf_of(&p));
	assert_int_equal(sl_rpc_client_call(p.c, "rpc.ping", NULL, NULL, NULL), -ENOTCONN);
	assert_true(lx_until(&p.up, 5));
	assert_int_equal(sl_rpc_client_call(p.c, "auth.whoami", NULL, on_answer, &p), 0);
	assert_true(lx_until(&p.answered, 5));
	assert_int_equal(p.rc, 0);
	assert_string_equal(json_string_value(json_object_get(p.result, "bound")), "gw-1");
	/* an error with all that belongs to it */
	p.answered = false;
	sl_rpc_client_call(p.c, "repl.ack", json_pack("{s:i}", "seq", -1), on_answer, &p);
	assert_true(lx_until(&p.answered, 5));
	assert_int_equal(p.rc, -EINVAL);
	assert_string_equal(p.error.reason, "param_range");
	assert_string_equal(p.error.path, "/seq");
	assert_null(p.result);
	p.answered = false;
	sl_rpc_client_call(p.c, "no.such", NULL, on_answer, &p);
	assert_true(lx_until(&p.answered, 5));
	assert_int_equal(p.rc, -ENOSYS);
	assert_int_not_equal(p.error.hint[0], 0);
	/* a notification of ours is not answered, but carried out */
	assert_int_equal(sl_rpc_client_call(p.c, "repl.ack", json_pack("{s:i}", "seq", 1), NULL,
					    NULL),
			 0);
	lx_run(0.1);
	assert_int_equal(lx.acks, 1);
	json_decref(p.result);
	let_go(&p);
	lx_run(0.1);
	assert_int_equal(p.downs, 0);
	assert_int_equal(lx_stats().connections, 0);
	lx_close();
}

static void
count_answer(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	unsigned **n = ctx;

	assert_int_equal(rc, 0);
	++**n;
}

/* Many calls under way: each answer finds its question. */
static void
test_many_calls(void **state)
{
	struct peer p = {0};
	unsigned n = 0, *at = &n;

	lx_open(NULL, true, true);
	dial(&p, conf_of(&p));
	assert_true(lx_until(&p.up, 5));
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(sl_rpc_client_call(p.c, "repl.ack", json_pack("{s:i}", "seq", 1),
						    count_answer, &at),
				 0);
	for (unsigned i = 0; i < 5000 && n < 500; i++)
		lx_run(0.001);
	assert_int_equal(n, 500);
	assert_int_equal(lx.acks, 500);
	let_go(&p);
	lx_close();
}

static void
test_certificate_login(void **state)
{
	struct sl_rpc_client_conf c;
	struct peer p = {0};
	struct sl_tls *tls;

	lx_open(NULL, true, true);
	pki_issue("gw-7", (struct pki_want){.san = "URI:sluice://gateway/gw-7",
					    .eku = "clientAuth",
					    .by = &lx.ca});
	tls = lx_client("gw-7");
	c = conf_of(&p);
	c.tls = tls;
	c.token = NULL;
	dial(&p, c);
	assert_true(lx_until(&p.up, 5));
	sl_rpc_client_call(p.c, "repl.ack", json_pack("{s:i}", "seq", 1), on_answer, &p);
	assert_true(lx_until(&p.answered, 5));
	assert_string_equal(lx.who, "cert:gw-7");
	let_go(&p);
	json_decref(p.result);
	/* no login at all */
	c = conf_of(&p);
	c.token = NULL;
	fails(c, "unauthenticated");
	sl_tls_free(tls);
	lx_close();
}

static void
test_refused(void **state)
{
	struct sl_rpc_client_conf c;
	struct sl_tls_conf conf = {0};
	struct sl_error e = {0};
	struct sl_tls *tls;
	struct pki_ca foreign;

	lx_open(NULL, true, true);
	c = conf_of(NULL);
	c.token = "slt_wrong";
	fails(c, "unauthenticated");
	/* a server that is not whom we dialled, or signed by nobody we know */
	c = conf_of(NULL);
	c.host = "127.0.0.2";
	fails(c, "unreachable");
	foreign = pki_ca("foreign");
	conf.ca_file = pki_file("foreign", "crt");
	tls = sl_tls_client_new(&conf, &e);
	c = conf_of(NULL);
	c.tls = tls;
	fails(c, "tls");
	sl_tls_free(tls);
	pki_ca_free(&foreign);
	c = conf_of(NULL);
	c.port = 1;
	fails(c, "unreachable");
	/* TLS to where there is none */
	c = conf_of(NULL);
	c.port = lx.clear;
	fails(c, "tls");
	assert_int_equal(lx_stats().logins, 0);
	lx_close();
}

static void
refused_conf(struct sl_rpc_client_conf c, const char *reason)
{
	struct sl_error e = {0};

	assert_null(sl_rpc_client_new(&c, &e));
	assert_string_equal(e.reason, reason);
}

static void
test_conf(void **state)
{
	struct sl_rpc_client_conf c;
	struct peer p = {0};

	lx_open(NULL, true, true);
	c = conf_of(NULL);
	c.tls = NULL;
	c.host = "192.0.2.1";
	refused_conf(c, "not_loopback");
	c.host = "localhost";
	refused_conf(c, "address_invalid");
	c = conf_of(NULL);
	c.port = 0;
	refused_conf(c, "address_invalid");
	c.host = "";
	refused_conf(c, "address_invalid");
	/* in clear on loopback, for tests: the token says who it is */
	c = conf_of(&p);
	c.tls = NULL;
	c.port = lx.clear;
	dial(&p, c);
	assert_true(lx_until(&p.up, 5));
	let_go(&p);
	/* freed before it has done anything */
	dial(&p, (p.up = false, conf_of(&p)));
	let_go(&p);
	lx_pump();
	assert_int_equal(p.downs, 0);
	lx_close();
}

/** A listener that says one thing, or nothing. */
struct mute {
	int fd, conn;
	uint16_t port;
};

static struct mute
mute_open(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct mute m = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .conn = -1};
	socklen_t len = sizeof(sa);

	assert_int_equal(bind(m.fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(m.fd, 4), 0);
	assert_int_equal(getsockname(m.fd, (struct sockaddr *)&sa, &len), 0);
	m.port = ntohs(sa.sin_port);
	return m;
}

static void
mute_says(struct mute *m, const char *text)
{
	for (unsigned i = 0; i < 1000 && m->conn < 0; i++) {
		lx_run(0.001);
		m->conn = accept(m->fd, NULL, NULL);
	}
	assert_true(m->conn >= 0);
	for (size_t left = strlen(text); left > 0;) {
		ssize_t n = send(m->conn, text, left, MSG_NOSIGNAL | MSG_DONTWAIT);

		assert_true(n > 0 || errno == EAGAIN);
		text += SL_MAX(n, 0);
		left -= (size_t)SL_MAX(n, 0);
		if (n <= 0)
			lx_run(0.001);
	}
}

static void
mute_close(struct mute *m)
{
	close(m->fd);
	if (m->conn >= 0)
		close(m->conn);
}

#define IN "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"

/* A server that does not keep to the protocol, or does not answer. */
static void
test_bad_server(void **state)
{
	static const char *const bad[] = {
		"HTTP/1.1 200 OK\r\n",
		IN "[]\n",
		IN "17\n",
		IN "{\"jsonrpc\":\"2.0\",\"id\":77,\"result\":{}}\n",
		IN "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"rpc.ping\"}\n",
		IN "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"result\":{}}\n",
		IN IN,
		"{\"jsonrpc\":\"2.0\",\"id\":1}\n",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{}}\n",
	};
	struct sl_rpc_client_conf c;

	lx_open(NULL, true, true);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct mute m = mute_open();
		struct peer p = {0};

		c = conf_of(&p);
		c.tls = NULL;
		c.port = m.port;
		dial(&p, c);
		mute_says(&m, bad[i]);
		assert_true(lx_until(&p.down, 5));
		if (strcmp(p.why.reason, "protocol") != 0)
			fail_msg("%s: %s", bad[i], p.why.reason);
		let_go(&p);
		mute_close(&m);
	}
	lx_close();
}

/* So many values in few bytes are not read: in memory they would be a hundred times as large. */
static void
test_too_many_values(void **state)
{
	const size_t n = 1200000;
	char *line = malloc(3 * n + 1);

	assert_non_null(line);
	lx_open(NULL, true, true);
	for (unsigned many = 0; many < 2; many++) {
		struct mute m = mute_open();
		struct peer p = {0};
		struct sl_rpc_client_conf c = conf_of(&p);

		c.tls = NULL;
		c.port = m.port;
		c.line_max = 64 << 20;
		for (size_t i = 0; i < n; i++)
			memcpy(line + 3 * i, i == 0 ? "[0," : many ? "{}," : "123", 3);
		memcpy(line + 3 * n - 3, "1]\n", 4);
		dial(&p, c);
		mute_says(&m, line);
		assert_true(lx_until(&p.down, 20));
		assert_string_equal(p.why.reason, "protocol");
		assert_non_null(strstr(p.why.message, many ? "a line has too many values"
							   : "a line that is no JSON-RPC 2.0"));
		let_go(&p);
		mute_close(&m);
	}
	free(line);
	lx_close();
}

/* An answer in which there is none: whoever asked hears of the end all the same. */
static void
test_empty_answer(void **state)
{
	struct sl_rpc_client_conf c;
	struct mute m = mute_open();
	struct peer p = {0};

	lx_open(NULL, true, true);
	c = conf_of(&p);
	c.tls = NULL;
	c.port = m.port;
	dial(&p, c);
	mute_says(&m, IN);
	assert_true(lx_until(&p.up, 5));
	assert_int_equal(sl_rpc_client_call(p.c, "rpc.hello", NULL, on_answer, &p), 0);
	mute_says(&m, "{\"jsonrpc\":\"2.0\",\"id\":2}\n");
	assert_true(lx_until(&p.down, 5));
	assert_string_equal(p.why.reason, "protocol");
	assert_true(p.answered);
	assert_int_equal(p.rc, -EPIPE);
	let_go(&p);
	mute_close(&m);
	lx_close();
}

static void
test_silence(void **state)
{
	struct mute m[3];
	struct peer p[3] = {0};
	char *line = malloc(5001);

	lx_open(NULL, true, true);
	memset(line, '{', 5000);
	line[5000] = 0;
	for (unsigned i = 0; i < 3; i++) {
		struct sl_rpc_client_conf c = conf_of(&p[i]);

		m[i] = mute_open();
		c.tls = i == 0 ? lx.client : NULL;
		c.port = m[i].port;
		c.connect_s = 3;
		c.idle_s = 3;
		c.line_max = 4096;
		dial(&p[i], c);
	}
	/* no handshake; in, then nothing; in, then a line without an end */
	mute_says(&m[1], IN);
	mute_says(&m[2], IN);
	assert_true(lx_until(&p[2].up, 3));
	mute_says(&m[2], line);
	assert_true(lx_until(&p[2].down, 3));
	assert_string_equal(p[2].why.reason, "protocol");
	assert_true(lx_until(&p[0].down, 6));
	assert_string_equal(p[0].why.reason, "timeout");
	assert_true(p[1].up);
	sl_rpc_client_call(p[1].c, "rpc.hello", NULL, on_answer, &p[1]);
	assert_true(lx_until(&p[1].down, 8));
	assert_string_equal(p[1].why.reason, "idle");
	/* who still waited was told, before */
	assert_true(p[1].answered);
	assert_int_equal(p[1].rc, -EPIPE);
	assert_string_equal(p[1].error.reason, "idle");
	for (unsigned i = 0; i < 3; i++) {
		let_go(&p[i]);
		mute_close(&m[i]);
	}
	free(line);
	lx_close();
}

/* rpc.ping keeps it alive on both sides. */
static void
test_keeps_alive(void **state)
{
	const struct sl_rpc_limits limits = {.idle_s = 3};
	struct sl_rpc_client_conf c;
	struct peer p = {0};

	lx_open(&limits, true, true);
	c = conf_of(&p);
	c.idle_s = 3;
	dial(&p, c);
	assert_true(lx_until(&p.up, 5));
	lx_run(6.5);
	assert_false(p.down);
	let_go(&p);
	lx_close();
}

static struct sl_rpc_conn *
connected(struct peer *p)
{
	p->answered = false;
	sl_rpc_client_call(p->c, "repl.ack", json_pack("{s:i}", "seq", 1), on_answer, p);
	assert_true(lx_until(&p->answered, 5));
	json_decref(p->result);
	p->result = NULL;
	return lx.conn;
}

struct watch {
	struct sl_rpc_watch w;
	unsigned drained, closed;
};

static void
on_drained(struct sl_rpc_watch *w, struct sl_rpc_conn *c)
{
	assert_true(sl_rpc_conn_queued(c) <= w->low);
	((struct watch *)w)->drained++;
}

static void
on_closed(struct sl_rpc_watch *w, struct sl_rpc_conn *c)
{
	assert_int_equal(sl_rpc_conn_send(c, "{}", 2), -EPIPE);
	((struct watch *)w)->closed++;
}

/* A subscriber that does not read: the queue has an end, and its owner learns when it is short. */
static void
test_back_pressure(void **state)
{
	const struct sl_rpc_limits limits = {.queue_max = 4 * 1024 * 1024};
	struct watch watch = {.w = {on_drained, on_closed, 256 * 1024}};
	char *fill = malloc(10001);
	struct sl_rpc_conn *conn;
	struct peer p = {0};
	unsigned sent = 0, before;
	size_t was;
	int rc;

	memset(fill, 'x', 10000);
	fill[10000] = 0;
	lx_open(&limits, true, true);
	dial(&p, conf_of(&p));
	assert_true(lx_until(&p.up, 5));
	conn = connected(&p);
	sl_rpc_conn_watch(conn, &watch.w);
	sl_rpc_client_pause(p.c, true);
	do {
		rc = sl_rpc_conn_notify(conn, "repl.txn",
					json_pack("{s:i, s:s}", "n", (int)sent, "x", fill));
		sent += rc == 0;
		if (sent % 16 == 0)
			event_base_loop(lx.base, EVLOOP_NONBLOCK);
	} while (rc == 0 && sent < 100000);
	assert_int_equal(rc, -ENOBUFS);
	lx_run(0.2);
	was = p.notes;
	lx_run(0.2);
	assert_int_equal(p.notes, was); /* nothing moves */
	assert_true(sl_rpc_conn_queued(conn) > 2 * 1024 * 1024);
	assert_true(sl_rpc_conn_queued(conn) <= 4 * 1024 * 1024);
	before = watch.drained; /* the kernel took some at first */
	sl_rpc_client_pause(p.c, false);
	for (unsigned i = 0; i < 5000 && p.notes < sent; i++)
		lx_run(0.001);
	assert_int_equal(p.notes, sent);
	assert_int_equal(watch.drained, before + 1);
	assert_int_equal(sl_rpc_conn_queued(conn), 0);
	/* and calls go on, on both ways */
	assert_ptr_equal(connected(&p), conn);
	assert_int_equal(watch.closed, 0);
	let_go(&p);
	lx_run(0.1);
	assert_int_equal(watch.closed, 1);
	free(fill);
	lx_close();
}

/* Paused in the midst of lines that have come already: they wait. */
static void
test_pause(void **state)
{
	struct sl_rpc_conn *conn;
	struct peer p = {0};

	lx_open(NULL, true, true);
	dial(&p, conf_of(&p));
	assert_true(lx_until(&p.up, 5));
	conn = connected(&p);
	for (unsigned round = 0; round < 20; round++) {
		sl_rpc_client_pause(p.c, true);
		for (unsigned i = 0; i < 40; i++)
			assert_int_equal(sl_rpc_conn_notify(conn, "repl.txn",
							    json_pack("{s:i}", "n",
								      (int)(round * 40 + i))),
					 0);
		lx_run(0.01);
		assert_int_equal(p.notes, round * 40);
		sl_rpc_client_pause(p.c, false);
		lx_run(0.03);
		assert_int_equal(p.notes, (round + 1) * 40);
	}
	let_go(&p);
	lx_close();
}

static void
close_it(void *ctx, struct sl_rpc_conn *c)
{
	const struct sl_error *e = ctx;

	if (sl_rpc_conn_caller(c)->who)
		sl_rpc_conn_close(c, e);
}

/* The server ends it, with a reason or without. */
static void
test_closed_by_server(void **state)
{
	struct watch watch = {.w = {NULL, on_closed, 0}}, off = watch;
	struct sl_rpc_conn *conn;
	struct peer p = {0};
	struct sl_error e;

	lx_open(NULL, true, true);
	sl_fail(&e, -EPERM, "revoked", "", "the token was revoked");
	dial(&p, conf_of(&p));
	assert_true(lx_until(&p.up, 5));
	conn = connected(&p);
	sl_rpc_conn_watch(conn, &off.w);
	sl_rpc_conn_watch(conn, &watch.w);
	sl_rpc_conn_unwatch(conn, &off.w);
	sl_rpc_server_each(lx.server, close_it, &e);
	assert_true(lx_until(&p.down, 5));
	assert_string_equal(p.why.reason, "revoked");
	assert_string_equal(p.why.message, "the token was revoked");
	let_go(&p);
	lx_run(0.1);
	assert_int_equal(watch.closed, 1);
	assert_int_equal(off.closed, 0);
	memset(&p, 0, sizeof(p));
	dial(&p, conf_of(&p));
	assert_true(lx_until(&p.up, 5));
	connected(&p);
	sl_rpc_server_each(lx.server, close_it, NULL);
	assert_true(lx_until(&p.down, 5));
	assert_string_equal(p.why.reason, "closed");
	let_go(&p);
	lx_close();
}

/* Each callback may free the client. */
static void
test_free_within(void **state)
{
	lx_open(NULL, true, true);
	for (unsigned i = 0; i < 5; i++) {
		struct peer p = {.free_in_up = i == 0,
				 .free_in_notify = i == 1,
				 .free_in_down = i == 2,
				 .free_in_answer = i >= 3};

		dial(&p, conf_of(&p));
		assert_true(lx_until(&p.up, 5));
		if (i == 1) {
			p.free_in_notify = false;
			connected(&p);
			p.free_in_notify = true;
			sl_rpc_conn_notify(lx.conn, "repl.txn", json_pack("{s:i}", "n", 0));
			sl_rpc_conn_notify(lx.conn, "repl.txn", json_pack("{s:i}", "n", 1));
		} else if (i == 2) {
			connected(&p);
			sl_rpc_conn_close(lx.conn, NULL);
		} else if (i == 3) {
			sl_rpc_client_call(p.c, "rpc.ping", NULL, on_answer, &p);
			sl_rpc_client_call(p.c, "rpc.ping", NULL, on_answer, &p);
		} else if (i == 4) { /* while it goes down */
			p.free_in_answer = false;
			connected(&p);
			p.free_in_answer = true;
			p.answered = false;
			sl_rpc_client_call(p.c, "log.push",
					   json_pack("{s:s, s:i, s:[]}", "boot", "b", "first", 0,
						     "rows"),
					   on_answer, &p);
			lx_run(0.05);
			sl_rpc_conn_close(lx.conn, NULL);
		}
		lx_run(0.3);
		assert_null(p.c);
		assert_int_equal(p.downs, i == 2);
		assert_true(p.notes <= 1);
		json_decref(p.result);
		if (lx.owed)
			sl_rpc_answer(lx.owed, 0, NULL, NULL);
		lx.owed = NULL;
	}
	lx_close();
}

/* Names: of several addresses the next is dialled when one does not answer. */
static void
test_names(void **state)
{
	struct sl_rpc_client_conf c;
	struct evdns_base *dns;
	struct peer p = {0};
	FILE *f;

	lx_open(NULL, true, true);
	f = fopen(pki_file("hosts", "txt"), "w");
	fputs("127.0.0.1 gw.test other.test\n127.0.0.3 two.test\n127.0.0.1 two.test\n", f);
	fclose(f);
	dns = evdns_base_new(lx.base, 0);
	assert_int_equal(evdns_base_load_hosts(dns, pki_file("hosts", "txt")), 0);
	c = conf_of(&p);
	c.dns = dns;
	for (unsigned i = 0; i < 2; i++) {
		c.host = i ? "two.test" : "gw.test";
		p.up = false;
		dial(&p, c);
		assert_true(lx_until(&p.up, 5));
		let_go(&p);
	}
	/* the certificate is not for this name */
	c.host = "other.test";
	fails(c, "tls");
	/* no name server answers: it can be freed meanwhile, and it comes to an end */
	evdns_base_nameserver_ip_add(dns, "127.0.0.9:9");
	c.host = "nowhere.test";
	c.connect_s = 1;
	p.up = false;
	c.ctx = &p;
	dial(&p, c);
	lx_run(0.05);
	let_go(&p);
	fails(c, "timeout");
	evdns_base_free(dns, 1);
	lx_pump();
	lx_close();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_up_and_calls),
		cmocka_unit_test(test_many_calls),
		cmocka_unit_test(test_certificate_login),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_conf),
		cmocka_unit_test(test_bad_server),
		cmocka_unit_test(test_too_many_values),
		cmocka_unit_test(test_empty_answer),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_keeps_alive),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_closed_by_server),
		cmocka_unit_test(test_free_within),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
