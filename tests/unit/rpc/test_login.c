/* SPDX-License-Identifier: BSD-3-Clause */
/* Who gets in: tokens, certificates, strangers and their limits. */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn_int.h"
#include "link_fixture.h"

#define ACK call_of("repl.ack", "{\"seq\":1}")

static void
test_token(void **state)
{
	struct wire *w;

	lx_open(NULL, true, true);
	w = wire_open(lx.client);
	/* a stranger is told nothing, neither what there is nor what there is not */
	assert_string_equal(wire_reason(w, ACK), "unauthenticated");
	assert_non_null(strstr(w->seen, "-32001"));
	assert_string_equal(wire_reason(w, call_of("no.such", "{}")), "unauthenticated");
	assert_string_equal(wire_reason(w, call_of("rpc.ping", "{}")), "unauthenticated");
	assert_string_equal(wire_reason(w, call_of("auth.whoami", "{}")), "unauthenticated");
	assert_non_null(strstr(wire_ask(w, call_of("rpc.hello", "{}")), "\"server\":\"test\""));
	assert_int_equal(lx.acks, 0);
	assert_int_equal(lx_stats().strangers, 1);
	assert_non_null(strstr(wire_ask(w, login_of(LX_GATEWAY)),
			       "{\"principal\":\"token:gateway\",\"roles\":[\"gateway\"],"
			       "\"bound\":\"gw-1\"}"));
	assert_non_null(strstr(wire_ask(w, call_of("auth.whoami", "{}")), "\"bound\":\"gw-1\""));
	assert_string_equal(wire_reason(w, ACK), "");
	assert_int_equal(lx.acks, 1);
	assert_string_equal(lx.who, "token:gateway");
	assert_int_equal(lx_stats().strangers, 0);
	/* nobody becomes somebody else */
	assert_string_equal(wire_reason(w, login_of(LX_FOLLOWER)), "already_authenticated");
	assert_string_equal(wire_reason(w, call_of("no.such", "{}")), "method_unknown");
	wire_close(w);
	/* the log tells of it: no token, no line break of the client's */
	assert_non_null(strstr(lx.log, "audit: login of token:gateway from tls:127.0.0.1, test?1"));
	assert_null(strstr(lx.log, LX_GATEWAY));
	lx_close();
}

/* Who it is comes from the login alone; what a message says must agree. */
static void
test_identity_not_from_payload(void **state)
{
	struct wire *w;

	lx_open(NULL, true, true);
	w = wire_open(lx.client);
	wire_ask(w, login_of(LX_GATEWAY));
	assert_string_equal(
		wire_reason(w, call_of("repl.subscribe",
				       "{\"node\":\"gw-2\",\"scope\":\"gateway\",\"schema\":[1]}")),
		"forbidden");
	assert_string_equal(lx.bound, "gw-1");
	/* "params" may not bring a principal, nor may the request */
	assert_string_equal(wire_reason(w, call_of("repl.ack", "{\"seq\":1,\"principal\":\"x\"}")),
			    "param_unknown");
	assert_string_equal(wire_reason(w, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"repl.ack\","
					   "\"params\":{\"seq\":1},\"who\":\"f-1\"}\n"),
			    "invalid_request");
	assert_non_null(
		strstr(wire_ask(w,
				call_of("repl.subscribe",
					"{\"node\":\"gw-1\",\"scope\":\"gateway\",\"schema\":[1],"
					"\"epoch\":{\"number\":3,\"id\":\"ab\"}}")),
		       "\"epoch\":{\"number\":3,\"id\":\"ab\"}"));
	wire_close(w);
	lx_close();
}

static void
test_roles(void **state)
{
	struct wire *w;

	lx_open(NULL, true, true);
	w = wire_open(lx.client);
	wire_ask(w, login_of(LX_VIEWER));
	assert_string_equal(wire_reason(w, ACK), "forbidden");
	assert_non_null(strstr(w->seen, "-32002"));
	assert_string_equal(wire_reason(w, call_of("rpc.ping", "{}")), "");
	assert_non_null(strstr(lx.log, "audit: repl.ack by token:viewer refused: forbidden"));
	wire_close(w);
	/* login and more in one batch: the second call is the new principal's */
	w = wire_open(lx.client);
	wire_ask(
		w,
		"[{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"repl.ack\",\"params\":{\"seq\":1}},"
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"auth.login\",\"params\":{\"token\":"
		"\"" LX_FOLLOWER "\"}},"
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"repl.ack\",\"params\":{\"seq\":1}}]\n");
	assert_int_equal(lx.acks, 1);
	assert_string_equal(lx.bound, "f-1");
	wire_close(w);
	lx_close();
}

static void
issue(const char *name, const char *san, const char *cn)
{
	pki_issue(name, (struct pki_want){.cn = cn, .san = san, .eku = "clientAuth", .by = &lx.ca});
}

static void
test_certificate(void **state)
{
	struct sl_tls *tls;
	struct wire *w;

	lx_open(NULL, true, true);
	issue("gw-7", "URI:sluice://gateway/gw-7", "gw-7");
	tls = lx_client("gw-7");
	w = wire_open(tls);
	assert_string_equal(wire_reason(w, ACK), "");
	assert_string_equal(lx.who, "cert:gw-7");
	assert_string_equal(sl_rpc_conn_id(lx.conn)->name, "gw-7");
	assert_int_equal(sl_rpc_conn_from(lx.conn)->b[0], 127);
	assert_string_equal(wire_reason(w, login_of(LX_FOLLOWER)), "already_authenticated");
	wire_close(w);
	sl_tls_free(tls);
	/* valid, but nobody: a token may say who it is */
	issue("nobody", NULL, "nobody");
	tls = lx_client("nobody");
	w = wire_open(tls);
	assert_string_equal(wire_reason(w, ACK), "unauthenticated");
	assert_non_null(strstr(wire_ask(w, login_of(LX_GATEWAY)), "token:gateway"));
	wire_close(w);
	sl_tls_free(tls);
	/* revoked: not even that */
	issue("revoked", "URI:sluice://gateway/gw-7", "revoked");
	tls = lx_client("revoked");
	w = wire_open(tls);
	assert_string_equal(wire_reason(w, ""), "certificate_refused");
	assert_true(wire_ended(w));
	wire_close(w);
	sl_tls_free(tls);
	assert_int_equal(lx.acks, 1);
	lx_close();
}

/* The chain holds the attacker's own leaf and the victim's. */
static void
test_chain_of_two(void **state)
{
	struct sl_tls *tls;
	struct wire *w;

	lx_open(NULL, false, true);
	issue("victim", "URI:sluice://gateway/gw-7", "gw-7");
	pki_issue("attacker", (struct pki_want){.cn = "attacker",
						.san = "URI:sluice://gateway/gw-666",
						.eku = "clientAuth",
						.by = &lx.ca,
						.and_the_cert_of = "victim"});
	tls = lx_client("attacker");
	w = wire_open(tls);
	assert_string_equal(wire_reason(w, ACK), "");
	assert_string_equal(lx.bound, "gw-666");
	wire_close(w);
	sl_tls_free(tls);
	lx_close();
}

/* Certificates alone: without one there is nothing to wait for. */
static void
test_no_tokens_here(void **state)
{
	struct sl_tls *tls;
	struct wire *w;

	lx_open(NULL, false, true);
	w = wire_open(lx.client);
	assert_string_equal(wire_reason(w, ""), "unauthenticated");
	assert_true(wire_ended(w));
	wire_close(w);
	issue("nobody", NULL, "nobody");
	tls = lx_client("nobody");
	w = wire_open(tls);
	assert_string_equal(wire_reason(w, ""), "unauthenticated");
	assert_true(wire_ended(w));
	wire_close(w);
	sl_tls_free(tls);
	assert_int_equal(lx_stats().connections, 0);
	lx_close();
}

/* A line of n bytes that begins as a request does. */
static char *
long_line(const char *request, size_t n)
{
	size_t len = strlen(request) - 1;
	char *line = malloc(n + 2);

	memset(line, ' ', n);
	memcpy(line, request, SL_MIN(len, n));
	line[n] = '\n';
	line[n + 1] = 0;
	return line;
}

static void
test_lines(void **state)
{
	const struct sl_rpc_limits limits = {.line_max = 2 * 1024 * 1024, .values_max = 300};
	char *line, values[1600] = "{\"jsonrpc\":\"2.0\",\"method\":[";
	struct wire *w;

	lx_open(&limits, true, true);
	w = wire_open(lx.client);
	line = long_line(call_of("rpc.hello", "{}"), 8192);
	assert_string_equal(wire_reason(w, line), "");
	assert_int_not_equal(w->seen[0], 0);
	free(line);
	line = long_line(call_of("rpc.hello", "{}"), 8193);
	assert_string_equal(wire_reason(w, line), "line_too_long");
	assert_non_null(strstr(w->seen, "8 KiB before the login"));
	assert_true(wire_ended(w));
	wire_close(w);
	/* the same without its end */
	w = wire_open(lx.client);
	line[8193] = 0;
	assert_string_equal(wire_reason(w, line), "line_too_long");
	assert_true(wire_ended(w));
	wire_close(w);
	free(line);
	/* many values: a stranger may send 256 */
	for (unsigned i = 0; i < 280; i++)
		strcat(values, "1,");
	strcat(values, "1]}\n");
	w = wire_open(lx.client);
	assert_string_equal(wire_reason(w, values), "too_large");
	/* after the login the listener's limits hold */
	wire_ask(w, login_of(LX_GATEWAY));
	assert_string_equal(wire_reason(w, values), "invalid_request");
	line = long_line(ACK, 2 * 1024 * 1024);
	assert_string_equal(wire_reason(w, line), "");
	free(line);
	line = long_line(ACK, 2 * 1024 * 1024 + 1);
	assert_string_equal(wire_reason(w, line), "line_too_long");
	assert_non_null(strstr(w->seen, "2 MiB\""));
	assert_true(wire_ended(w));
	wire_close(w);
	free(line);
	assert_int_equal(lx.acks, 1);
	lx_close();
}

static void
test_foreign(void **state)
{
	static const char *const foreign[] = {"GET / HTTP/1.1\r\n", " {}\n", "\x16\x03\x01", "x"};
	struct wire *w;

	lx_open(NULL, true, true);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(foreign); i++) {
		w = wire_open(lx.client);
		assert_string_equal(wire_ask(w, foreign[i]), "");
		assert_true(wire_ended(w));
		wire_close(w);
	}
	/* in clear to where TLS is */
	lx.clear = lx.port;
	w = wire_open(NULL);
	wire_ask(w, call_of("rpc.hello", "{}"));
	assert_null(strstr(w->seen, "server"));
	assert_true(wire_ended(w));
	wire_close(w);
	assert_non_null(strstr(lx.log, "handshake with tls:127.0.0.1 failed: "));
	assert_int_equal(lx_stats().tls_failed[SL_TLS_PROTOCOL], 1);
	lx_close();
}

static void
test_per_source(void **state)
{
	struct wire *w[6];

	lx_open(NULL, true, true);
	for (unsigned i = 0; i < 5; i++)
		w[i] = wire_open(lx.client);
	assert_true(wire_ended(w[4]));
	for (unsigned i = 0; i < 4; i++)
		assert_int_not_equal(wire_ask(w[i], call_of("rpc.hello", "{}"))[0], 0);
	assert_int_equal(lx_stats().source_full, 1);
	/* who has logged in does not count any more */
	wire_ask(w[0], login_of(LX_GATEWAY));
	w[5] = wire_open(lx.client);
	assert_int_not_equal(wire_ask(w[5], call_of("rpc.hello", "{}"))[0], 0);
	for (unsigned i = 0; i < 6; i++)
		wire_close(w[i]);
	lx_close();
}

/* Strangers make room, the oldest first; who is logged in does not. */
static void
test_connections(void **state)
{
	const struct sl_rpc_limits limits = {.connections = 3, .per_source = 9};
	struct wire *w[6];

	lx_open(&limits, true, true);
	for (unsigned i = 0; i < 3; i++)
		w[i] = wire_open(lx.client);
	wire_ask(w[0], login_of(LX_GATEWAY));
	w[3] = wire_open(lx.client);
	assert_true(wire_ended(w[1]));
	assert_string_equal(wire_reason(w[0], ACK), "");
	wire_ask(w[2], login_of(LX_GATEWAY));
	wire_ask(w[3], login_of(LX_GATEWAY));
	assert_int_equal(lx.acks, 1);
	assert_int_equal(lx_stats().strangers, 0);
	w[4] = wire_open(lx.client);
	assert_true(wire_ended(w[4]));
	assert_int_equal(lx_stats().full, 2);
	assert_int_equal(lx_stats().connections, 3);
	for (unsigned i = 0; i < 4; i++)
		if (i != 1)
			assert_string_equal(wire_reason(w[i], ACK), "");
	/* one leaves, one may come */
	wire_close(w[0]);
	w[5] = wire_open(lx.client);
	assert_int_not_equal(wire_ask(w[5], login_of(LX_GATEWAY))[0], 0);
	for (unsigned i = 1; i < 6; i++)
		wire_close(w[i]);
	lx_close();
}

/* Neither the handshake nor the login may take long, whatever trickles in meanwhile. */
static void
test_login_is_due(void **state)
{
	const struct sl_rpc_limits limits = {.login_s = 2};
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	uint64_t start = sl_clock_mono_ns();
	struct wire *w, *logged_in;
	char byte = '{';
	int fd;

	lx_open(&limits, true, true);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	sa.sin_port = htons(lx.port);
	connect(fd, (struct sockaddr *)&sa, sizeof(sa));
	w = wire_open(lx.client);
	logged_in = wire_open(lx.client);
	wire_ask(logged_in, login_of(LX_GATEWAY));
	while (!w->ended && sl_clock_mono_ns() - start < 9 * SL_NS_PER_S) {
		bufferevent_write(w->bev, &byte, 1);
		lx_run(0.1);
	}
	assert_true(w->ended);
	assert_true(sl_clock_mono_ns() - start > 19 * SL_NS_PER_S / 10);
	assert_string_equal(wire_reason(w, ""), "login_timeout");
	lx_run(0.1);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	assert_int_equal(lx_stats().login_timeouts, 2);
	wire_close(w);
	assert_int_equal(lx_stats().connections, 1);
	assert_string_equal(wire_reason(logged_in, ACK), "");
	close(fd);
	wire_close(logged_in);
	lx_close();
}

static void
test_idle(void **state)
{
	const struct sl_rpc_limits limits = {.idle_s = 2};
	struct wire *w;

	lx_open(&limits, true, true);
	w = wire_open(lx.client);
	wire_ask(w, login_of(LX_GATEWAY));
	for (unsigned i = 0; i < 6; i++) {
		lx_run(0.5);
		assert_string_equal(wire_reason(w, call_of("rpc.ping", "{}")), "");
	}
	assert_false(w->ended);
	assert_true(lx_until(&w->ended, 6));
	wire_close(w);
	lx_close();
}

/* A login lasts as long as its token. */
static void
test_expiry(void **state)
{
	struct wire *w;

	lx_open(NULL, true, true);
	w = wire_open(lx.client);
	wire_ask(w, login_of(LX_BRIEF));
	assert_string_equal(wire_reason(w, ACK), "");
	assert_string_equal(wire_reason(w, ""), "login_expired");
	assert_true(wire_ended(w));
	assert_non_null(strstr(lx.log, "login of token:brief from tls:127.0.0.1 has expired"));
	wire_close(w);
	lx_close();
}

/* What is revoked ends, also what it has let in; the others notice nothing. */
static void
test_recheck(void **state)
{
	const struct sl_rpc_limits limits = {.per_source = 40};
	struct wire *w[20], *stranger;

	lx_open(&limits, true, true);
	for (unsigned i = 0; i < 20; i++) {
		w[i] = wire_open(lx.client);
		wire_ask(w[i], login_of(i % 2 ? LX_GATEWAY : LX_FOLLOWER));
	}
	stranger = wire_open(lx.client);
	sl_rpc_server_recheck(lx.server);
	lx_run(0.1);
	assert_int_equal(lx.asked, 20);
	lx.revoked = "token:gateway";
	sl_rpc_server_recheck(lx.server);
	lx_run(0.1);
	assert_int_equal(lx.asked, 40);
	for (unsigned i = 0; i < 20; i++)
		assert_string_equal(wire_reason(w[i], i % 2 ? "" : ACK), i % 2 ? "revoked" : "");
	assert_int_equal(lx.acks, 10);
	assert_non_null(strstr(wire_ask(stranger, call_of("rpc.hello", "{}")), "test"));
	assert_non_null(strstr(lx.log, "connection of token:gateway from tls:127.0.0.1 closed"));
	for (unsigned i = 0; i < 20; i++)
		wire_close(w[i]);
	wire_close(stranger);
	lx_close();
}

/** Ask until refused. @return how many were answered */
static unsigned
flood(struct wire *w, const char *call, unsigned most)
{
	for (unsigned i = 0; i < most; i++) {
		const char *answer = wire_ask(w, call);

		if (strstr(answer, "rate_limited") == NULL)
			continue;
		assert_non_null(strstr(answer, "\"code\":-32008"));
		assert_non_null(strstr(answer, "\"retry_after_ms\":"));
		return i;
	}
	return most;
}

/* A principal has one rate for all its connections; others, and acknowledgements, do not wait. */
static void
test_rate(void **state)
{
	const struct sl_rpc_limits limits = {.per_second = 4, .burst = 40};
	static const char batch[] = "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.ping\"},"
				    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"rpc.ping\"}]\n";
	char ping[120], unknown[120];
	struct wire *w, *second, *other;
	unsigned n;

	snprintf(ping, sizeof(ping), "%s", call_of("rpc.ping", "{}"));
	snprintf(unknown, sizeof(unknown), "%s", call_of("no.such", "{}"));
	lx_open(&limits, true, true);
	w = wire_open(lx.client);
	second = wire_open(lx.client);
	other = wire_open(lx.client);
	wire_ask(w, login_of(LX_GATEWAY));
	wire_ask(second, login_of(LX_GATEWAY));
	wire_ask(other, login_of(LX_FOLLOWER));
	n = flood(w, ping, 200);
	assert_in_range(n, 40, 80); /* at most 10 s */
	assert_string_equal(wire_reason(second, ping), "rate_limited");
	assert_string_equal(wire_reason(w, unknown), "rate_limited");
	assert_string_equal(wire_reason(other, ping), "");
	for (unsigned i = 0; i < 50; i++)
		assert_string_equal(wire_reason(w, ACK), "");
	lx_run(0.6); /* two more by now; each request of a batch counts */
	assert_null(strstr(wire_ask(w, batch), "rate_limited"));
	assert_non_null(strstr(wire_ask(w, batch), "rate_limited"));
	wire_close(second);
	second = wire_open(lx.client); /* a stranger: its address */
	assert_in_range(flood(second, unknown, 200), 30, 80);
	assert_string_equal(wire_reason(second, login_of(LX_GATEWAY)), "rate_limited");
	assert_string_equal(wire_reason(other, ping), "");
	wire_close(w);
	wire_close(second);
	wire_close(other);
	lx_close();
}

/** What the only source of refused logins has to wait. */
static struct throttle_source *
the_source(void)
{
	for (unsigned i = 1; i < THROTTLE_SOURCES; i++)
		assert_int_equal(lx.server->throttle.source[i].ip.family, 0);
	return &lx.server->throttle.source[0];
}

/* Five wrong tokens are free; then each costs time, also on other connections of the source. */
static void
test_guessing(void **state)
{
	struct throttle_source *s;
	struct wire *w[2];
	json_t *o, *data;
	json_int_t wait;

	lx_open(NULL, true, true);
	w[0] = wire_open(lx.client);
	w[1] = wire_open(lx.client);
	for (unsigned i = 0; i < 5; i++)
		assert_string_equal(wire_reason(w[i & 1], login_of("slt_wrong")),
				    "unauthenticated");
	assert_int_equal(lx_stats().logins_refused, 5);
	s = the_source();
	assert_int_equal(s->until_ns - s->last_ns, SL_NS_PER_S);
	s->until_ns += 100 * SL_NS_PER_S; /* however slow this machine is */
	/* not looked at: even a good one */
	assert_string_equal(wire_reason(w[0], login_of(LX_GATEWAY)), "login_delayed");
	assert_string_equal(wire_reason(w[1], login_of("slt_wrong")), "login_delayed");
	assert_non_null(strstr(w[1]->seen, "-32008"));
	o = json_loads(w[1]->seen, 0, NULL);
	data = json_object_get(json_object_get(o, "error"), "data");
	wait = json_integer_value(json_object_get(data, "retry_after_ms"));
	assert_true(wait > 90000 && wait <= 101000);
	json_decref(o);
	assert_int_equal(lx_stats().logins_delayed, 2);
	assert_int_equal(lx_stats().logins_refused, 5);
	s->until_ns = 0;
	assert_string_equal(wire_reason(w[0], login_of("slt_wrong")), "unauthenticated");
	assert_int_equal(s->until_ns - s->last_ns, 2 * SL_NS_PER_S);
	s->until_ns = 0;
	assert_string_equal(wire_reason(w[0], login_of(LX_GATEWAY)), "");
	assert_null(strstr(lx.log, "slt_"));
	wire_close(w[0]);
	wire_close(w[1]);
	lx_close();
}

static void
test_throttle(void **state)
{
	struct throttle *t = calloc(1, sizeof(*t));
	struct sl_ip a = {.family = 4, .b = {192, 0, 2, 1}}, b = {.family = 4, .b = {192, 0, 2, 2}};
	struct sl_ip v6 = {.family = 6, .b = {0x20, 1, 0xd, 0xb8, [15] = 1}}, other = v6;
	uint64_t now = SL_NS_PER_S;
	uint32_t want = 1;

	for (unsigned i = 0; i < 4; i++)
		throttle_refused(t, &a, now);
	assert_int_equal(throttle_wait_ms(t, &a, now), 0);
	for (unsigned i = 0; i < 12; i++) {
		throttle_refused(t, &a, now);
		assert_in_range(throttle_wait_ms(t, &a, now), want * 1000, want * 1000 + 1);
		assert_int_equal(throttle_wait_ms(t, &b, now), 0);
		now += want * SL_NS_PER_S;
		assert_int_equal(throttle_wait_ms(t, &a, now), 0);
		want = SL_MIN(want * 2, 256u);
	}
	/* forgotten after a quarter of an hour */
	now += THROTTLE_FORGET_NS;
	throttle_refused(t, &a, now);
	assert_int_equal(throttle_wait_ms(t, &a, now), 0);
	/* IPv6: a /64 is one source */
	for (unsigned i = 0; i < 5; i++) {
		other.b[15]++;
		throttle_refused(t, &other, now);
	}
	assert_true(throttle_wait_ms(t, &v6, now) > 0);
	other.b[7] = 1;
	assert_int_equal(throttle_wait_ms(t, &other, now), 0);
	/* a flood of sources takes no memory, and the newest are kept */
	for (uint32_t i = 0; i < 3 * THROTTLE_SOURCES; i++) {
		struct sl_ip ip = {.family = 4, .b = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};

		throttle_refused(t, &ip, ++now);
	}
	for (unsigned i = 0; i < 5; i++)
		throttle_refused(t, &a, ++now);
	assert_true(throttle_wait_ms(t, &a, now) > 0);
	free(t);
}

static size_t
held(void)
{
	size_t n = 0;

	for (struct sl_rpc_conn *c = lx.server->conns; c; c = c->next)
		n += evbuffer_get_length(bufferevent_get_input(c->bev)) + sl_rpc_conn_queued(c);
	return n;
}

/* A hundred strangers push lines without an end: the server holds a few KiB of each, and few of
 * them. */
static void
test_flood(void **state)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	static char chunk[65536];
	size_t most = 0, sent = 0;
	unsigned open = 100;
	int fd[100];

	lx_open(NULL, true, true);
	memset(chunk, '{', sizeof(chunk));
	sa.sin_port = htons(lx.clear);
	for (unsigned i = 0; i < 100; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		connect(fd[i], (struct sockaddr *)&sa, sizeof(sa));
		event_base_loop(lx.base, EVLOOP_NONBLOCK);
	}
	for (unsigned round = 0; round < 20000 && open; round++) {
		open = 0;
		for (unsigned i = 0; i < 100; i++) {
			ssize_t n =
				fd[i] < 0 ? -1 : send(fd[i], chunk, sizeof(chunk), MSG_NOSIGNAL);

			if (n < 0 && fd[i] >= 0 && errno != EAGAIN) {
				close(fd[i]);
				fd[i] = -1;
			}
			sent += n > 0 ? (size_t)n : 0;
			open += fd[i] >= 0;
		}
		event_base_loop(lx.base, EVLOOP_NONBLOCK);
		most = SL_MAX(most, held());
		assert_true(lx_stats().connections <= 4);
	}
	assert_int_equal(open, 0);
	assert_true(sent > sizeof(chunk));
	if (most > 4 * 48 * 1024)
		fail_msg("%zu bytes were held of %zu", most, sent);
	lx_close();
}

/* --- who keeps an audit is told --- */

static struct {
	unsigned in, refused;
	uint64_t n;
	char who[96], serial[64], source[64];
} told;

static void
on_in(void *ctx, struct sl_rpc_conn *c)
{
	const struct sl_tls_id *id = sl_rpc_conn_id(c);

	assert_ptr_equal(ctx, &told);
	told.in++;
	snprintf(told.who, sizeof(told.who), "%s", sl_rpc_conn_caller(c)->who->name);
	snprintf(told.serial, sizeof(told.serial), "%s", id ? id->serial : "");
	assert_int_equal(sl_rpc_conn_from(c)->b[0], 127);
}

static void
on_refused(void *ctx, const char *source, uint64_t n)
{
	assert_ptr_equal(ctx, &told);
	told.refused++;
	told.n = n;
	snprintf(told.source, sizeof(told.source), "%s", source);
}

/** Dial with a certificate that is refused. */
static void
dial_refused(const char *san)
{
	struct sl_tls *tls;
	struct wire *w;

	issue("revoked", san, "revoked");
	tls = lx_client("revoked");
	w = wire_open(tls);
	assert_string_equal(wire_reason(w, ""), "certificate_refused");
	wire_close(w);
	sl_tls_free(tls);
}

static void
test_told(void **state)
{
	const struct sl_rpc_logins to = {.in = on_in, .refused = on_refused, .ctx = &told};
	struct sl_tls *tls;
	struct wire *w;

	lx_open(NULL, true, true);
	memset(&told, 0, sizeof(told));
	assert_int_equal(sl_rpc_server_on_login(lx.server, &to), 0);
	sl_rpc_server_tell_refused(lx.server); /* none yet */
	w = wire_open(lx.client);
	for (unsigned i = 0; i < 3; i++)
		assert_string_equal(wire_reason(w, login_of("slt_wrong")), "unauthenticated");
	assert_int_equal(told.in + told.refused, 0);
	assert_string_equal(wire_reason(w, login_of(LX_GATEWAY)), "");
	assert_int_equal(told.in, 1);
	assert_string_equal(told.who, "token:gateway");
	assert_string_equal(told.serial, "");
	wire_close(w);
	issue("gw-7", "URI:sluice://gateway/gw-7", "gw-7");
	tls = lx_client("gw-7");
	w = wire_open(tls);
	assert_string_equal(wire_reason(w, ACK), "");
	assert_int_equal(told.in, 2);
	assert_string_equal(told.who, "cert:gw-7");
	assert_string_equal(told.serial, sl_rpc_conn_id(lx.conn)->serial);
	wire_close(w);
	sl_tls_free(tls);
	dial_refused("URI:sluice://gateway/gw-7");
	/* in a minute, as one */
	assert_int_equal(told.refused, 0);
	assert_true(event_pending(lx.server->logins.timer, EV_TIMEOUT, NULL));
	event_active(lx.server->logins.timer, EV_TIMEOUT, 0);
	lx_pump();
	assert_int_equal(told.refused, 1);
	assert_int_equal(told.n, 4);
	assert_string_equal(told.source, "127.0.0.1");
	assert_false(event_pending(lx.server->logins.timer, EV_TIMEOUT, NULL));
	/* where an agent is, is where a peer is */
	dial_refused("URI:sluice://agent/alice");
	sl_rpc_server_tell_refused(lx.server);
	assert_int_equal(told.refused, 2);
	assert_int_equal(told.n, 1);
	assert_string_equal(told.source, "-");
	sl_rpc_server_tell_refused(lx.server);
	assert_int_equal(told.refused, 2);
	assert_int_equal(lx_stats().logins_refused, 5);
	lx_close();
}

/* A flood of sources makes 17 records at a time, and fewer of those an hour than of a few. */
static void
test_refused_bounds(void **state)
{
	struct refused *r = calloc(1, sizeof(*r));
	struct sl_ip ip = {.family = 4, .b = {10}};
	uint64_t all = 0;

	for (unsigned i = 0; i < 100000; i++) {
		ip.b[1] = (uint8_t)(i >> 16);
		ip.b[2] = (uint8_t)(i >> 8);
		ip.b[3] = (uint8_t)i;
		refused_count(r, &ip);
	}
	assert_int_equal(r->n, REFUSED_SOURCES + 1);
	for (unsigned i = 0; i < r->n; i++)
		all += r->source[i].n;
	assert_int_equal(all, 100000);
	assert_string_equal(r->source[REFUSED_SOURCES].name, "others");
	assert_int_equal(refused_wait_s(0), 60);
	assert_int_equal(refused_wait_s(6), 60);
	assert_int_equal(refused_wait_s(r->n), 170);
	free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token),
		cmocka_unit_test(test_identity_not_from_payload),
		cmocka_unit_test(test_roles),
		cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_chain_of_two),
		cmocka_unit_test(test_no_tokens_here),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_per_source),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_login_is_due),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_guessing),
		cmocka_unit_test(test_throttle),
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_refused_bounds),
		cmocka_unit_test(test_recheck),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
