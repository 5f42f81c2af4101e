/* SPDX-License-Identifier: BSD-3-Clause */
/* Syslog over UDP, TCP and TLS against receivers of the test's own: framing, reconnection, slow and
 * dead receivers, certificates. */
#include "drain_test.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

static struct tdrain t;

static int
open_all(void **state)
{
	td_init(&t, 16384, false);
	return 0;
}

static int
close_all(void **state)
{
	td_fini(&t);
	return 0;
}

/** A bound socket on loopback; *port 0: any, and the one it got. */
static int
bound(int type, uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(*port)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*port = ntohs(a.sin_port);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/** Within 10 s. */
static int
accepted(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, 10000), 1);
	return accept(fd, NULL, NULL);
}

/** An RFC 5424 message of a record. @return its sequence */
static json_int_t
check_message(const char *m, size_t n, const char *head)
{
	const char *json = memchr(m, '{', n);
	json_int_t seq;
	json_t *o;

	if (strncmp(m, head, strlen(head)) != 0)
		fail_msg("%.80s does not begin with %s", m, head);
	assert_non_null(json);
	assert_memory_equal(json - 3, " - ", 3); /* no structured data */
	o = json_loadb(json, n - (size_t)(json - m), 0, NULL);
	if (o == NULL)
		fail_msg("not JSON: %.*s", (int)n, m);
	/* the time of the header is the record's */
	assert_memory_equal(strchr(m, ' ') + 1, td_text(o, "@timestamp"), SL_FORMAT_STAMP);
	seq = json_integer_value(td_get(o, "event.sequence"));
	json_decref(o);
	return seq;
}

/* --- UDP -------------------------------------------------------------------------------------- */

static json_int_t
datagram(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char buf[65536];
	ssize_t n;

	assert_int_equal(poll(&p, 1, 10000), 1);
	n = recv(fd, buf, sizeof(buf) - 1, 0);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_null(strchr(buf, '\n'));
	assert_non_null(strstr(buf, " gw-tyo-1 sluice "));
	assert_non_null(strstr(buf, " policy-deny - {"));
	return check_message(buf, (size_t)n, "<132>1 ");
}

static void
test_udp(void **state)
{
	struct sl_sink_conf c = {.kind = SL_SINK_SYSLOG_UDP, .name = "u", .host = "127.0.0.1"};
	int fd = bound(SOCK_DGRAM, &c.port);
	json_int_t last = -1, seq;
	json_t *big;

	td_start(&t, &c, 1);
	for (unsigned i = 0; i < 1000; i++) {
		if (i % 50 == 0) /* what a socket's usual buffer holds */
			td_puts(&t, SL_REC_DENY, 50);
		seq = datagram(fd);
		assert_true(seq > last);
		last = seq;
	}
	td_wait(&t, "u", "acked", 1000);
	big = json_pack("{s:{s:o}}", "sluice", "list", json_array());
	for (unsigned i = 0; i < 2000; i++)
		json_array_append_new(td_get(big, "sluice.list") != NULL
					      ? json_object_get(json_object_get(big, "sluice"),
								"list")
					      : NULL,
				      json_string("long"));
	sl_drain_event(t.d, "policy-load", "success", big);
	td_wait(&t, "u", "drained", 1001);
	td_wait(&t, "u", "queued", 0);
	assert_int_equal(td_dropped(&t, "u", "too_long"), 1);
	close(fd);
}

/* Nobody listens: the queue fills, then drops; later it goes on. */
static void
test_udp_down(void **state)
{
	struct sl_sink_conf c = {.kind = SL_SINK_SYSLOG_UDP,
				 .name = "u",
				 .host = "127.0.0.1",
				 .queue_max = 100};
	int fd = bound(SOCK_DGRAM, &c.port);

	close(fd);
	td_start(&t, &c, 1);
	for (unsigned i = 0; i < 10; i++) {
		td_puts(&t, SL_REC_DENY, 100);
		td_wait(&t, "u", "drained", (i + 1) * 100);
	}
	td_wait_state(&t, "u", "down");
	td_equation(&t);
	assert_true(td_dropped(&t, "u", "queue_full") > 0);
	fd = bound(SOCK_DGRAM, &c.port);
	td_wait(&t, "u", "queued", 0);
	td_wait_state(&t, "u", "up");
	assert_true(datagram(fd) >= 0);
	close(fd);
}

/* A name, and one that nobody knows. */
static void
test_names(void **state)
{
	struct sl_sink_conf c[2] = {{.kind = SL_SINK_SYSLOG_UDP, .name = "u", .host = "localhost"},
				    {.kind = SL_SINK_SYSLOG_TCP,
				     .name = "x",
				     .host = "no-such-name.invalid",
				     .port = 514}};
	int fd = bound(SOCK_DGRAM, &c[0].port);

	td_start(&t, c, 2);
	td_puts(&t, SL_REC_DENY, 1);
	assert_true(datagram(fd) >= 0);
	td_wait(&t, "x", "queued", 1);
	close(fd);
}

/* --- TCP and TLS ------------------------------------------------------------------------------ */

struct reader {
	int fd;
	SSL *ssl;
	char buf[1 << 20];
	size_t n;
};

static bool
fill(struct reader *r)
{
	ssize_t k;

	if (r->ssl != NULL) {
		k = SSL_read(r->ssl, r->buf + r->n, (int)(sizeof(r->buf) - r->n));
	} else {
		struct pollfd p = {.fd = r->fd, .events = POLLIN};

		assert_int_equal(poll(&p, 1, 10000), 1);
		k = read(r->fd, r->buf + r->n, sizeof(r->buf) - r->n);
	}
	if (k <= 0)
		return false;
	r->n += (size_t)k;
	return true;
}

/** The next octet-counted frame. @return its sequence */
static json_int_t
frame(struct reader *r, const char *head)
{
	json_int_t seq;
	char *end;
	size_t len, at;

	while (memchr(r->buf, ' ', r->n) == NULL)
		assert_true(fill(r));
	assert_true(r->buf[0] >= '1' && r->buf[0] <= '9');
	len = strtoul(r->buf, &end, 10);
	assert_int_equal(*end, ' ');
	at = (size_t)(end + 1 - r->buf);
	while (r->n < at + len)
		assert_true(fill(r));
	seq = check_message(r->buf + at, len, head);
	r->n -= at + len;
	memmove(r->buf, r->buf + at + len, r->n);
	return seq;
}

static struct reader rd;

static void
test_tcp(void **state)
{
	struct sl_sink_conf c = {.kind = SL_SINK_SYSLOG_TCP,
				 .name = "t",
				 .host = "127.0.0.1",
				 .facility = 23};
	int fd = bound(SOCK_STREAM, &c.port);

	rd = (struct reader){.fd = -1};
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_ALLOW, 5000);
	rd.fd = accepted(fd);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(frame(&rd, "<190>1 "), i);
	td_wait(&t, "t", "acked", 5000);
	/* it goes away, what comes meanwhile waits, and comes with the next connection */
	close(rd.fd);
	td_wait_state(&t, "t", "down");
	td_puts(&t, SL_REC_ALLOW, 10);
	rd = (struct reader){.fd = accepted(fd)};
	for (unsigned i = 5000; i < 5010; i++)
		assert_int_equal(frame(&rd, "<190>1 "), i);
	td_wait(&t, "t", "acked", 5010);
	close(rd.fd);
	close(fd);
}

/* A receiver that does not read: its queue fills and drops; nothing else waits. */
static void
test_tcp_stalled(void **state)
{
	char path[100];
	struct sl_sink_conf c[2] = {
		{.kind = SL_SINK_SYSLOG_TCP, .name = "t", .host = "127.0.0.1", .queue_max = 2000},
		{.kind = SL_SINK_FILE, .name = "file", .path = path}};
	int fd = bound(SOCK_STREAM, &c[0].port), size = 4096;
	json_int_t last = -1, seq;
	uint64_t acked;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	snprintf(path, sizeof(path), "%s/file", t.dir);
	td_start(&t, c, 2);
	for (unsigned i = 0; i < 20; i++) {
		td_puts(&t, SL_REC_DENY, 2000);
		td_wait(&t, "file", "acked", (i + 1) * 2000);
	}
	assert_true(td_dropped(&t, "t", "queue_full") > 5000);
	assert_int_equal(td_sink(&t, "t", "queued"), 2000);
	acked = 40000 - td_dropped(&t, "t", "queue_full");
	/* it reads on: all that is not dropped comes, each once, in order */
	rd = (struct reader){.fd = accepted(fd)};
	for (uint64_t i = 0; i < acked; i++) {
		seq = frame(&rd, "<132>1 ");
		assert_true(seq > last);
		last = seq;
	}
	td_wait(&t, "t", "acked", acked);
	assert_int_equal(td_lines(path), 40000);
	close(rd.fd);
	close(fd);
}

static void
test_tcp_refused(void **state)
{
	struct sl_sink_conf c = {.kind = SL_SINK_SYSLOG_TCP, .name = "t", .host = "127.0.0.1"};
	int fd = bound(SOCK_STREAM, &c.port);

	close(fd);
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 10);
	td_wait_state(&t, "t", "down");
	td_wait(&t, "t", "queued", 10);
	fd = bound(SOCK_STREAM, &c.port);
	rd = (struct reader){.fd = accepted(fd)};
	for (unsigned i = 0; i < 10; i++)
		frame(&rd, "<132>1 ");
	td_wait(&t, "t", "acked", 10);
	close(rd.fd);
	close(fd);
}

static char cert[100], key[100];

static SSL_CTX *
server_ctx(const char *names)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	snprintf(cert, sizeof(cert), "%s/cert", t.dir);
	snprintf(key, sizeof(key), "%s/key", t.dir);
	td_make_cert(names, cert, key);
	assert_int_equal(SSL_CTX_use_certificate_file(ctx, cert, SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM), 1);
	return ctx;
}

static void
test_tls(void **state)
{
	struct sl_sink_conf c = {.kind = SL_SINK_SYSLOG_TLS, .name = "s", .host = "127.0.0.1"};
	int fd = bound(SOCK_STREAM, &c.port);
	SSL_CTX *ctx = server_ctx("IP:127.0.0.1");

	c.ca_file = cert;
	/* our own certificate is asked for and shown */
	c.cert_file = cert;
	c.key_file = key;
	SSL_CTX_load_verify_file(ctx, cert);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	td_start(&t, &c, 1);
	for (unsigned round = 0; round < 2; round++) {
		td_puts(&t, SL_REC_DENY, 3000);
		rd = (struct reader){.fd = accepted(fd), .ssl = SSL_new(ctx)};
		SSL_set_fd(rd.ssl, rd.fd);
		assert_int_equal(SSL_accept(rd.ssl), 1);
		assert_true(SSL_version(rd.ssl) >= TLS1_2_VERSION);
		for (unsigned i = 0; i < 3000; i++)
			assert_int_equal(frame(&rd, "<132>1 "), round * 3000 + i);
		td_wait(&t, "s", "acked", (round + 1) * 3000);
		SSL_shutdown(rd.ssl);
		SSL_free(rd.ssl);
		close(rd.fd);
		td_wait_state(&t, "s", "down");
	}
	SSL_CTX_free(ctx);
	close(fd);
}

/** The handshake must not succeed, and no record may be sent. */
static void
no_tls(struct sl_sink_conf *c, int fd, SSL_CTX *ctx, const char *why)
{
	json_t *status;
	const json_t *sink;

	td_start(&t, c, 1);
	td_puts(&t, SL_REC_DENY, 5);
	rd = (struct reader){.fd = accepted(fd), .ssl = SSL_new(ctx)};
	SSL_set_fd(rd.ssl, rd.fd);
	if (SSL_accept(rd.ssl) == 1)
		assert_false(fill(&rd));
	td_wait_state(&t, "s", "down");
	td_wait(&t, "s", "queued", 5);
	status = sl_drain_status(t.d);
	sink = json_array_get(json_object_get(status, "sinks"), 0);
	if (strstr(td_text(sink, "last_error"), why) == NULL)
		fail_msg("%s, not %s", td_text(sink, "last_error"), why);
	json_decref(status);
	SSL_free(rd.ssl);
	close(rd.fd);
	SSL_CTX_free(ctx);
	close(fd);
}

static void
test_tls_wrong_name(void **state)
{
	struct sl_sink_conf c = {.kind = SL_SINK_SYSLOG_TLS,
				 .name = "s",
				 .host = "127.0.0.1",
				 .ca_file = cert};
	int fd = bound(SOCK_STREAM, &c.port);

	no_tls(&c, fd, server_ctx("IP:127.0.0.2,DNS:localhost"), "IP address mismatch");
}

static void
test_tls_wrong_dns(void **state)
{
	struct sl_sink_conf c = {.kind = SL_SINK_SYSLOG_TLS,
				 .name = "s",
				 .host = "localhost",
				 .ca_file = cert};
	int fd = bound(SOCK_STREAM, &c.port);

	no_tls(&c, fd, server_ctx("DNS:example.net"), "ostname mismatch");
}

static void
test_tls_unknown(void **state)
{
	struct sl_sink_conf c = {.kind = SL_SINK_SYSLOG_TLS, .name = "s", .host = "127.0.0.1"};
	int fd = bound(SOCK_STREAM, &c.port);
	char other[100], other_key[100];

	snprintf(other, sizeof(other), "%s/other", t.dir);
	snprintf(other_key, sizeof(other_key), "%s/other_key", t.dir);
	td_make_cert("IP:127.0.0.1", other, other_key);
	c.ca_file = other;
	no_tls(&c, fd, server_ctx("IP:127.0.0.1"), "self-signed certificate");
}

static void
test_tls_old(void **state)
{
	struct sl_sink_conf c = {.kind = SL_SINK_SYSLOG_TLS,
				 .name = "s",
				 .host = "127.0.0.1",
				 .ca_file = cert};
	int fd = bound(SOCK_STREAM, &c.port);
	SSL_CTX *ctx = server_ctx("IP:127.0.0.1");

	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
	no_tls(&c, fd, ctx, "TLS");
}

/* What a stalled receiver still has to get is given up at the end, within a second or so. */
static void
test_end(void **state)
{
	struct sl_sink_conf c = {.kind = SL_SINK_SYSLOG_TCP, .name = "t", .host = "127.0.0.1"};
	int fd = bound(SOCK_STREAM, &c.port);
	uint64_t before;

	td_start(&t, &c, 1);
	for (unsigned i = 0; i < 10; i++) {
		td_puts(&t, SL_REC_DENY, 5000);
		td_wait(&t, "t", "drained", (i + 1) * 5000);
	}
	before = sl_clock_mono_ns();
	sl_drain_free(t.d);
	t.d = NULL;
	assert_true(sl_clock_mono_ns() - before < 3 * SL_NS_PER_S);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_udp, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_udp_down, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_names, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_tcp, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_tcp_stalled, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_tcp_refused, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_tls, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_tls_wrong_name, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_tls_wrong_dns, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_tls_unknown, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_tls_old, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_end, open_all, close_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
