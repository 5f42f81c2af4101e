/* SPDX-License-Identifier: BSD-3-Clause */
/* The metrics' listener: heads, a large text for many at once, connections that say nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metrics_http.h"
#include "metrics_top.h"
#include "next_random.h"

#define GET "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
#define LARGE (3 << 20)

static struct event_base *base;
static struct sl_scrape *s;
static struct sl_endpoint at;
static unsigned asked;
static struct evbuffer *ready; /* answered at once; NULL: the test answers */

static void
on_ask(void *ctx)
{
	asked++;
	if (ready != NULL)
		sl_scrape_answer(s, ready);
}

/** A free port of loopback, by the kernel's choice. */
static void
choose(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(sa);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	at = (struct sl_endpoint){.ip = sl_ip_v4((const uint8_t *)&sa.sin_addr),
				  .port = ntohs(sa.sin_port)};
	close(fd);
}

static int
begin(void **state)
{
	struct sl_error e = {0};

	asked = 0;
	choose();
	base = event_base_new();
	s = sl_scrape_new(base, &at, on_ask, NULL, &e);
	return s != NULL ? 0 : -1;
}

static int
end(void **state)
{
	sl_scrape_free(s);
	event_base_free(base);
	if (ready != NULL)
		evbuffer_free(ready);
	ready = NULL;
	return 0;
}

static int
dial(const char *text)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(at.port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memcpy(&sa.sin_addr, at.ip.b, 4);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void
turn(unsigned n)
{
	while (n-- > 0) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
}

/** All that comes until its end. */
static char *
all(int fd, size_t *len)
{
	char *out = malloc(LARGE + 4096);
	ssize_t n;

	*len = 0;
	for (unsigned i = 0; i < 5000; i++) {
		turn(1);
		while ((n = read(fd, out + *len, LARGE + 4095 - *len)) > 0)
			*len += (size_t)n;
		if (n == 0)
			break;
	}
	assert_int_equal(n, 0);
	out[*len] = '\0';
	close(fd);
	return out;
}

static void
answers(const char *request, const char *status, const char *more)
{
	size_t len;
	char *out = all(dial(request), &len);

	if (strncmp(out, status, strlen(status)) != 0 || strstr(out, more) == NULL)
		fail_msg("%s\n-- answered with --\n%s", request, out);
	free(out);
}

static void
test_heads(void **state)
{
	char large[2 * SL_SCRAPE_HEAD_MAX] = "GET /metrics HTTP/1.1\r\nX: ";

	ready = evbuffer_new();
	evbuffer_add_printf(ready, "up 1\n");
	answers(GET, "HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n");
	answers(GET, "HTTP/1.1 200 ", "\r\n\r\nup 1\n");
	answers(GET, "HTTP/1.1 200 ", "Content-Type: text/plain; version=0.0.4");
	answers("GET /metrics HTTP/1.0\n\n", "HTTP/1.1 200 ", "up 1");
	answers("GET /metrics?name[]=up HTTP/1.1\r\n\r\n", "HTTP/1.1 200 ", "up 1");
	assert_int_equal(asked, 5);
	answers("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", "Not Found\n");
	answers("GET /metrics/ HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", "");
	answers("GET /metric HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", "");
	answers("POST / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ", "");
	answers("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 405 ",
		"Allow: GET\r\n");
	answers("HEAD /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 ", "");
	answers("get /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "");
	answers("GET /metrics\r\n\r\n", "HTTP/1.1 400 ", "");
	answers("GET /metrics HTTP/2.0\r\n\r\n", "HTTP/1.1 400 ", "");
	answers("GET metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "");
	answers("GET  HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ", "");
	answers("\r\n\r\n", "HTTP/1.1 400 ", "");
	answers("\x16\x03\x01\x02\n\n", "HTTP/1.1 400 ", "");
	memset(large + strlen(large), 'x', sizeof(large) - strlen(large) - 1);
	answers(large, "HTTP/1.1 431 ", "");
	assert_int_equal(asked, 5);
}

static void
test_pieces(void **state)
{
	size_t len;
	char *out;
	int fd;

	ready = evbuffer_new();
	evbuffer_add_printf(ready, "up 1\n");
	fd = dial("G");
	for (const char *p = &GET[1]; *p != '\0'; p++) {
		turn(1);
		assert_int_equal(asked, 0);
		assert_int_equal(write(fd, p, 1), 1);
	}
	out = all(fd, &len);
	assert_int_equal(asked, 1);
	assert_non_null(strstr(out, "up 1"));
	free(out);
}

/** Who waits is answered, by the same text; an answer that cannot be made is told. */
static void
test_large_for_all(void **state)
{
	struct evbuffer *text = evbuffer_new();
	char *want = malloc(LARGE), *out;
	int fd[SL_SCRAPE_CONNS];
	size_t len;

	memset(want, 'x', LARGE);
	evbuffer_add(text, want, LARGE);
	for (unsigned i = 0; i < SL_SCRAPE_CONNS; i++)
		fd[i] = dial(GET);
	turn(20);
	assert_int_equal(asked, SL_SCRAPE_CONNS);
	sl_scrape_answer(s, text);
	evbuffer_free(text); /* what is on its way lives on */
	for (unsigned i = 0; i < SL_SCRAPE_CONNS; i++) {
		out = all(fd[i], &len);
		assert_true(len > LARGE);
		assert_memory_equal(out + len - LARGE, want, LARGE);
		free(out);
	}
	free(want);
	fd[0] = dial(GET);
	turn(20);
	sl_scrape_answer(s, NULL);
	out = all(fd[0], &len);
	assert_memory_equal(out, "HTTP/1.1 503 ", 13);
	free(out);
}

/** Connections that say nothing keep nobody out. */
static void
test_silent(void **state)
{
	int fd[2 * SL_SCRAPE_CONNS];
	char c;

	ready = evbuffer_new();
	evbuffer_add_printf(ready, "up 1\n");
	for (unsigned i = 0; i < 2 * SL_SCRAPE_CONNS; i++) {
		fd[i] = dial("GET");
		turn(2);
	}
	for (unsigned i = 0; i < SL_SCRAPE_CONNS; i++)
		assert_true(read(fd[i], &c, 1) == 0 || errno == ECONNRESET);
	answers(GET, "HTTP/1.1 200 ", "up 1");
	for (unsigned i = 0; i < 2 * SL_SCRAPE_CONNS; i++)
		close(fd[i]);
}

static void
test_taken(void **state)
{
	struct sl_error e = {0};

	assert_null(sl_scrape_new(base, &at, on_ask, NULL, &e));
	assert_string_equal(e.reason, "socket");
	assert_string_equal(e.path, "/metrics/listen");
	assert_non_null(strstr(e.message, "in use"));
	assert_non_null(strstr(e.hint, "metrics.listen"));
}

static int
by_bytes(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x < y) - (x > y);
}

/** Against a sort: the peers with most traffic, in whatever order they come. */
static void
test_top(void **state)
{
	uint64_t seed = 7, v[300], have[300];
	struct metrics_top t;

	for (unsigned max = 0; max <= 300; max += 30) {
		for (unsigned n = 0; n <= 300; n += 100) {
			assert_int_equal(metrics_top_init(&t, max), 0);
			for (unsigned i = 0; i < n; i++) {
				struct metrics_pick p = {.bytes = next_random(&seed) % 200,
							 .iface = i};

				v[i] = p.bytes;
				metrics_top_offer(&t, &p);
			}
			assert_int_equal(t.n, SL_MIN(n, max));
			for (unsigned i = 0; i < t.n; i++) {
				assert_int_equal(t.v[i].bytes, v[t.v[i].iface]);
				have[i] = t.v[i].bytes;
			}
			qsort(v, n, sizeof(v[0]), by_bytes);
			qsort(have, t.n, sizeof(have[0]), by_bytes);
			assert_memory_equal(have, v, t.n * sizeof(v[0]));
			metrics_top_clear(&t);
		}
	}
}

/** Nobody is pushed out by an equal one. */
static void
test_top_of_equals(void **state)
{
	struct metrics_top t;

	assert_int_equal(metrics_top_init(&t, 4), 0);
	for (unsigned i = 0; i < 9; i++)
		metrics_top_offer(&t, &(struct metrics_pick){.iface = i});
	for (unsigned i = 0; i < 4; i++)
		assert_true(t.v[i].iface < 4);
	metrics_top_clear(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_heads, begin, end),
		cmocka_unit_test_setup_teardown(test_pieces, begin, end),
		cmocka_unit_test_setup_teardown(test_large_for_all, begin, end),
		cmocka_unit_test_setup_teardown(test_silent, begin, end),
		cmocka_unit_test_setup_teardown(test_taken, begin, end),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_top_of_equals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
