/* SPDX-License-Identifier: BSD-3-Clause */
/* Real sockets, unix and loopback TCP; client and server share the thread, so nothing is left to
 * chance. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "sl_env.h"
#include "sl_log.h"
#include "sl_rpc_server.h"
#include "sl_schema_gateway.h"

#define MIB (1024 * 1024)
#define PING "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.ping\"}\n"
#define PONG "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"

static struct event_base *base;
static struct sl_rpc *rpc;
static struct sl_rpc_server *server;
static char dir[64], path[80], seen[65536];
static uint16_t port;
static char who[64];
static unsigned calls;

static int
ping(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
     struct sl_error *e)
{
	calls++;
	snprintf(who, sizeof(who), "%s", caller->principal);
	return 0;
}

/** 200 KiB of answer. */
static int
much(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
     struct sl_error *e)
{
	static char text[200 * 1024];

	memset(text, 'x', sizeof(text) - 1);
	calls++;
	*result = json_pack("{s:s}", "text", text);
	return 0;
}

static struct sl_rpc_later *owed;

/** Answered when the test says so. */
static int
later(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
      struct sl_error *e)
{
	calls++;
	owed = sl_rpc_later(caller);
	return owed ? SL_RPC_LATER : -EBUSY;
}

static void
quiet(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
}

/** A port that is free now. */
static uint16_t
free_port(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

static int
setup(void **state)
{
	struct sl_endpoint at = {.ip = {.family = 4, .b = {127, 0, 0, 1}}};
	struct sl_error e = {0};

	snprintf(dir, sizeof(dir), "/tmp/sl-rpc-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/mgmt.sock", dir);
	sl_log_set_sink(quiet, NULL);
	calls = 0;
	who[0] = 0;
	base = event_base_new();
	rpc = sl_rpc_new(&sl_gateway_schema, NULL);
	sl_rpc_bind(rpc, "rpc.ping", ping);
	sl_rpc_bind(rpc, "drops.get", much);
	sl_rpc_bind(rpc, "authz.mode.set", ping);
	sl_rpc_bind(rpc, "sys.version", later);
	server = sl_rpc_server_new(base, rpc);
	port = at.port = free_port();
	if (sl_rpc_server_unix(server, path, NULL, &e) || sl_rpc_server_tcp(server, &at, &e))
		fail_msg("%s", e.message);
	return 0;
}

static int
teardown(void **state)
{
	struct stat st;

	sl_rpc_server_free(server);
	sl_rpc_free(rpc);
	event_base_free(base);
	assert_int_not_equal(lstat(path, &st), 0);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void
pump(void)
{
	for (unsigned i = 0; i < 20; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static int
dial_unix(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strncpy(sa.sun_path, path, sizeof(sa.sun_path) - 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	pump();
	return fd;
}

static int
dial_tcp(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	pump();
	return fd;
}

/** Send all of it while the server runs. @return false if the server closed first */
static bool
give(int fd, const char *data, size_t n)
{
	uint64_t end = sl_clock_mono_ns() + 10 * SL_NS_PER_S;

	while (n) {
		ssize_t r = send(fd, data, n, MSG_NOSIGNAL);

		if (r < 0 && errno != EAGAIN)
			return false;
		data += r > 0 ? r : 0;
		n -= r > 0 ? (size_t)r : 0;
		pump();
		assert_true(sl_clock_mono_ns() < end);
	}
	return true;
}

/** Read until `want` bytes came, the end, or nothing more comes. @return bytes; -1: closed */
static ssize_t
take(int fd, size_t want)
{
	uint64_t end = sl_clock_mono_ns() + SL_NS_PER_S / 2;
	size_t n = 0;

	while (n < want && n < sizeof(seen) - 1 && sl_clock_mono_ns() < end) {
		ssize_t r = recv(fd, seen + n, SL_MIN(want - n, sizeof(seen) - 1 - n), 0);

		if (r == 0 || (r < 0 && errno != EAGAIN)) {
			seen[n] = 0;
			return n ? (ssize_t)n : -1;
		}
		if (r > 0) {
			n += (size_t)r;
			end = sl_clock_mono_ns() + SL_NS_PER_S / 2;
		}
		pump();
	}
	seen[n] = 0;
	return (ssize_t)n;
}

static void
expect(int fd, const char *line, const char *want)
{
	assert_true(give(fd, line, strlen(line)));
	take(fd, strlen(want));
	assert_string_equal(seen, want);
}

static bool
closed(int fd)
{
	return take(fd, 1) == -1;
}

static void
test_unix(void **state)
{
	char uid[32];
	struct stat st;
	int fd = dial_unix();

	expect(fd, PING, PONG);
	expect(fd, "\n\r\n" PING PING, PONG PONG);
	snprintf(uid, sizeof(uid), "uid:%u", (unsigned)getuid());
	assert_string_equal(who, uid);
	/* a line in pieces */
	for (size_t i = 0; i < strlen(PING) - 1; i++) {
		assert_true(give(fd, &PING[i], 1));
		assert_int_equal(recv(fd, seen, 1, 0), -1);
	}
	expect(fd, "\n", PONG);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	close(fd);
}

static void
test_tcp(void **state)
{
	int fd = dial_tcp();

	expect(fd, PING, PONG);
	assert_string_equal(who, "tcp:loopback");
	calls = 0;
	assert_true(give(fd,
			 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"authz.mode.set\","
			 "\"params\":{\"default\":\"observe\"}}\n",
			 83));
	take(fd, 1000);
	assert_non_null(strstr(seen, "\"reason\":\"local_only_setting\""));
	assert_int_equal(calls, 0);
	close(fd);
	/* the same over the unix socket is taken */
	fd = dial_unix();
	assert_true(give(fd,
			 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"authz.mode.set\","
			 "\"params\":{\"default\":\"observe\"}}\n",
			 83));
	take(fd, strlen(PONG));
	assert_string_equal(seen, PONG);
	assert_int_equal(calls, 1);
	close(fd);
}

/* Browsers and others are let go without a word at their first byte. */
static void
test_first_byte(void **state)
{
	static const char *const foreign[] = {"G",  "POST / HTTP/1.1\r\n", " {",
					      "\"", "\x16\x03\x01",	   "x\n"};
	int fd;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(foreign); i++) {
		fd = i & 1 ? dial_tcp() : dial_unix();
		give(fd, foreign[i], strlen(foreign[i]));
		assert_true(closed(fd));
		close(fd);
	}
	fd = dial_unix();
	give(fd, "\0", 1);
	assert_true(closed(fd));
	close(fd);
	/* also at a later line */
	fd = dial_unix();
	expect(fd, PING, PONG);
	give(fd, "quit\n", 5);
	assert_true(closed(fd));
	close(fd);
	assert_int_equal(calls, 1);
}

/** A ping whose line has exactly n bytes, newline not counted. */
static char *
long_ping(size_t n)
{
	char *line = malloc(n + 2);

	memset(line, ' ', n);
	memcpy(line, PING, strlen(PING) - 1);
	line[n] = '\n';
	line[n + 1] = 0;
	return line;
}

static void
test_long_lines(void **state)
{
	int (*const dial[])(void) = {dial_unix, dial_tcp};

	for (unsigned i = 0; i < 2; i++) {
		char *line = long_ping(MIB);
		int fd = dial[i]();

		expect(fd, line, PONG);
		free(line);
		expect(fd, PING, PONG);
		/* one byte too many, complete or not */
		line = long_ping(MIB + 1);
		give(fd, line, MIB + 2);
		assert_true(take(fd, 4096) > 0);
		assert_non_null(strstr(seen, "\"reason\":\"line_too_long\""));
		assert_true(closed(fd));
		close(fd);
		fd = dial[i]();
		give(fd, line, MIB + 1);
		assert_true(take(fd, 4096) > 0);
		assert_non_null(strstr(seen, "\"reason\":\"line_too_long\""));
		free(line);
		/* what still comes is thrown away, not kept */
		line = long_ping(2 * MIB);
		give(fd, line, 2 * MIB);
		assert_true(closed(fd));
		free(line);
		close(fd);
	}
	assert_int_equal(calls, 4);
}

/* Each listener has its own room: who fills one does not shut the other. */
static void
test_connections(void **state)
{
	int (*const dial[])(void) = {dial_unix, dial_tcp};
	int fd[2][33];

	for (unsigned k = 0; k < 2; k++) {
		for (unsigned i = 0; i < 32; i++) {
			fd[k][i] = dial[k]();
			expect(fd[k][i], PING, PONG);
		}
		fd[k][32] = dial[k]();
		assert_true(closed(fd[k][32]));
		expect(fd[k][0], PING, PONG);
		expect(fd[k][31], PING, PONG);
		/* one leaves, one may come */
		close(fd[k][5]);
		pump();
		fd[k][5] = dial[k]();
		expect(fd[k][5], PING, PONG);
	}
	for (unsigned i = 0; i < 66; i++)
		close(fd[i / 33][i % 33]);
}

/* Who asks and does not read is not served further, and the others do not notice. */
static void
test_slow_reader(void **state)
{
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"drops.get\"}\n";
	int slow = dial_unix(), other = dial_unix();
	unsigned sent = 0, served;
	size_t total = 0;
	ssize_t r;

	for (unsigned i = 0; i < 200; i++) {
		if (send(slow, ask, sizeof(ask) - 1, MSG_NOSIGNAL) != sizeof(ask) - 1)
			break;
		sent++;
		pump();
	}
	assert_int_equal(sent, 200);
	served = calls;
	assert_true(served > 4 && served < 20); /* 1 MiB, and what the socket holds */
	expect(other, PING, PONG);
	pump();
	assert_int_equal(calls, served + 1);
	/* it reads at last: everything comes */
	for (unsigned idle = 0; idle < 1000;) {
		r = recv(slow, seen, sizeof(seen), 0);
		pump();
		idle = r > 0 ? 0 : idle + 1;
		total += r > 0 ? (size_t)r : 0;
		if (total >= 200UL * 200 * 1024)
			break;
	}
	assert_int_equal(calls, 201);
	assert_true(total >= 200UL * 200 * 1024);
	expect(other, PING, PONG);
	close(slow);
	close(other);
}

/* A client that has said all it wants still gets its answers. */
static void
test_half_close(void **state)
{
	int (*const dial[])(void) = {dial_unix, dial_tcp};

	for (unsigned i = 0; i < 2; i++) {
		char text[60 * sizeof(PING)] = "";
		unsigned lines = 0;
		int fd = dial[i]();

		for (unsigned k = 0; k < 50; k++)
			strncat(text, PING, sizeof(text) - strlen(text) - 1);
		assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
		shutdown(fd, SHUT_WR);
		pump();
		take(fd, 50 * strlen(PONG));
		for (const char *p = seen; (p = strstr(p, PONG)) != NULL; p++)
			lines++;
		assert_int_equal(lines, 50);
		assert_true(closed(fd));
		close(fd);
	}
}

static void
test_gone(void **state)
{
	static const char ask[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"drops.get\"}\n";
	int fd = dial_unix();

	give(fd, ask, sizeof(ask) - 1);
	give(fd, ask, sizeof(ask) - 1);
	close(fd);
	pump();
	fd = dial_unix();
	expect(fd, PING, PONG);
	close(fd);
}

/* The call that ends the loop is answered too. */
static void
test_last_answer(void **state)
{
	int fd = dial_unix();

	assert_int_equal(send(fd, PING, strlen(PING), 0), (ssize_t)strlen(PING));
	while (!calls)
		event_base_loop(base, EVLOOP_ONCE);
	sl_rpc_server_free(server);
	server = sl_rpc_server_new(base, rpc);
	take(fd, strlen(PONG));
	assert_string_equal(seen, PONG);
	assert_true(closed(fd));
	close(fd);
}

static void
test_socket_file(void **state)
{
	struct sl_rpc_server *other = sl_rpc_server_new(base, rpc);
	struct sl_error e = {0};
	char stale[96], text[200];
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct stat st;
	int fd;

	/* served by another */
	assert_int_equal(sl_rpc_server_unix(other, path, NULL, &e), -EADDRINUSE);
	assert_string_equal(e.reason, "socket_in_use");
	assert_int_not_equal(e.hint[0], 0);
	/* left behind */
	snprintf(stale, sizeof(stale), "%s/stale.sock", dir);
	strncpy(sa.sun_path, stale, sizeof(sa.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(sl_rpc_server_unix(other, stale, NULL, &e), 0);
	sl_rpc_server_free(other);
	assert_int_not_equal(stat(stale, &st), 0);
	/* a file that is no socket stays */
	fd = open(stale, O_CREAT | O_WRONLY, 0600);
	close(fd);
	other = sl_rpc_server_new(base, rpc);
	assert_int_equal(sl_rpc_server_unix(other, stale, NULL, &e), -EEXIST);
	assert_string_equal(e.reason, "socket_path");
	assert_int_equal(stat(stale, &st), 0);
	unlink(stale);
	/* no directory, unknown group, too long */
	snprintf(text, sizeof(text), "%s/none/x.sock", dir);
	assert_int_equal(sl_rpc_server_unix(other, text, NULL, &e), -ENOENT);
	assert_int_equal(sl_rpc_server_unix(other, stale, "no-such-group", &e), -ENOENT);
	assert_string_equal(e.reason, "group_unknown");
	memset(text, 'a', 150);
	text[150] = 0;
	assert_int_equal(sl_rpc_server_unix(other, text, NULL, &e), -ENAMETOOLONG);
	sl_rpc_server_free(other);
}

static void
test_group(void **state)
{
	struct sl_rpc_server *other = sl_rpc_server_new(base, rpc);
	struct sl_error e = {0};
	char at[96];
	struct stat st;

	if (getuid() != 0)
		skip();
	snprintf(at, sizeof(at), "%s/group.sock", dir);
	assert_int_equal(sl_rpc_server_unix(other, at, "daemon", &e), 0);
	assert_int_equal(stat(at, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, getgrnam("daemon")->gr_gid);
	sl_rpc_server_free(other);
}

#define LATER "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"sys.version\"}\n"
#define LATE "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n"

static void
ask_later(int fd, const char *line)
{
	assert_true(give(fd, line, strlen(line)));
	pump();
	assert_non_null(owed);
}

/* What a client asked before goes first; other clients are served meanwhile. */
static void
test_later(void **state)
{
	int fd = dial_unix(), other = dial_tcp();

	ask_later(fd, LATER PING);
	assert_int_equal(calls, 1);
	expect(other, PING, PONG);
	assert_int_equal(take(fd, 1), 0);
	sl_rpc_answer(owed, 0, NULL, NULL);
	expect(fd, "", LATE PONG);
	close(fd);
	close(other);
	pump();
}

static void
test_later_half_close(void **state)
{
	struct sl_error e = {0};
	int fd = dial_unix();

	ask_later(fd, LATER);
	shutdown(fd, SHUT_WR);
	pump();
	sl_fail(&e, -EBUSY, "policy_busy", "", "no");
	sl_rpc_answer(owed, e.err, NULL, &e);
	assert_true(take(fd, 1000) > 0);
	assert_non_null(strstr(seen, "policy_busy"));
	assert_true(closed(fd));
	close(fd);
}

/* The asker is gone, or the whole server is. */
static void
test_later_gone(void **state)
{
	struct linger hard = {1, 0};
	struct sl_rpc_later *first;
	int fd = dial_tcp(), other = dial_unix();

	ask_later(fd, LATER);
	first = owed;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
	pump();
	sl_rpc_answer(first, 0, json_object(), NULL);
	ask_later(other, LATER);
	sl_rpc_server_free(server);
	server = NULL;
	sl_rpc_answer(owed, 0, NULL, NULL);
	close(other);
}

static void
test_loopback_alone(void **state)
{
	struct sl_endpoint at = {.ip = {.family = 4}, .port = 1};
	struct sl_error e = {0};

	assert_int_equal(sl_rpc_server_tcp(server, &at, &e), -EINVAL);
	assert_string_equal(e.reason, "not_loopback");
	at.ip = (struct sl_ip){.family = 4, .b = {192, 0, 2, 1}};
	assert_int_equal(sl_rpc_server_tcp(server, &at, &e), -EINVAL);
	at.ip = (struct sl_ip){.family = 6};
	assert_int_equal(sl_rpc_server_tcp(server, &at, &e), -EINVAL);
	at.ip = (struct sl_ip){.family = 6, .b = {[10] = 0xff, 0xff, 192, 0, 2, 1}};
	assert_int_equal(sl_rpc_server_tcp(server, &at, &e), -EINVAL);
}

static struct sl_rpc_work *work; /* that a helper has */

static bool
hold_work(void *ctx, struct sl_rpc_work *w)
{
	work = w;
	return true;
}

static void
help(void)
{
	struct sl_rpc_work *w = work;

	assert_non_null(w);
	work = NULL;
	w->run(w);
	w->done(w);
	pump();
}

/* A long line is read beside the loop: one that follows waits for it, and who has gone meanwhile
 * has asked for nothing. */
static void
test_read_beside(void **state)
{
	static char line[70000];
	struct linger reset = {.l_onoff = 1};
	int fd = dial_unix();
	size_t n;

	sl_rpc_set_helper(rpc, hold_work, NULL);
	n = (size_t)snprintf(line, sizeof(line), "%-60000s%s", "{\"jsonrpc\":\"2.0\",\"id\":1,",
			     "\"method\":\"rpc.ping\"}\n");
	assert_true(give(fd, line, n));
	assert_true(give(fd, line, n));
	pump();
	assert_int_equal(calls, 0);
	help();
	assert_int_equal(calls, 1);
	assert_true(take(fd, 36) > 0);
	help();
	assert_int_equal(calls, 2);
	close(fd);
	pump();
	fd = dial_tcp();
	assert_true(give(fd, line, n));
	pump();
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	pump();
	help();
	assert_int_equal(calls, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read_beside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tcp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_connections, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_group, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later_half_close, setup, teardown),
		cmocka_unit_test_setup_teardown(test_later_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loopback_alone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
