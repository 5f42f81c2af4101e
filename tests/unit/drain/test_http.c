/* SPDX-License-Identifier: BSD-3-Clause */
/* HTTP bulk against a server of the test's own that behaves as it is told. */
#include "drain_test.h"
#include "sl_log.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <time.h>

static struct tdrain t;

enum manner {
	TAKE,
	NO_JSON,   /* 200 and no Elasticsearch */
	SOME_FAIL, /* of each ten: one rejected, one busy (once), one that exists */
	BUSY,	   /* 429 */
	BROKEN,	   /* 503 */
	REJECT,	   /* 400 */
	SMALL,	   /* 413 for more than 40,000 bytes */
	SILENT,	   /* closes without an answer, after taking it */
	CUT,	   /* once: every second one fails, and the answer leaves one out */
	CODE,	   /* server.code */
	ITEMS,	   /* 200, and server.code for each record */
};

static struct {
	pthread_t thread;
	_Atomic bool stop;
	_Atomic int manner, code;
	_Atomic unsigned requests, slow_ms, largest, strange;
	uint16_t port;
	struct evhttp *http;
	struct event_base *base;
	char auth[100];
	SSL_CTX *tls; /* not NULL: https */
	/* by number of the id */
	_Atomic unsigned seen[100000], taken;
} server;

static int
take(unsigned long seq)
{
	if (seq >= SL_ARRAY_SIZE(server.seen)) {
		server.strange++;
		return 400;
	}
	if (atomic_load(&server.manner) == SOME_FAIL) {
		unsigned before = server.seen[seq];

		if (seq % 10 == 3)
			return 400;
		if (seq % 10 == 5 && before < 1000) {
			server.seen[seq] = 1000; /* busy the first time */
			return 429;
		}
		if (seq % 10 == 7)
			return 409;
		server.seen[seq] = 0;
	}
	if (atomic_load(&server.manner) == CUT && seq % 2 == 1)
		return 503;
	if (atomic_load(&server.manner) == ITEMS)
		return server.code;
	if (server.seen[seq]++ > 0)
		return 409;
	server.taken++;
	return 201;
}

/** Two lines a record: action and document, which name the same event. */
static json_t *
take_body(struct evbuffer *in)
{
	json_t *items = json_array();
	char *action, *doc;

	while ((action = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF)) != NULL) {
		json_t *a = json_loads(action, 0, NULL), *d = NULL;
		const char *id = td_text(a, "create._id");

		doc = evbuffer_readln(in, NULL, EVBUFFER_EOL_LF);
		d = doc != NULL ? json_loads(doc, 0, NULL) : NULL;
		if (strcmp(td_text(a, "create._index"), "logs-sluice") != 0 ||
		    strcmp(td_text(d, "event.id"), id) != 0)
			server.strange++;
		json_array_append_new(items,
				      json_pack("{s:{s:i}}", "create", "status",
						take(strtoul(strrchr(id, '/') + 1, NULL, 10))));
		json_decref(a);
		json_decref(d);
		free(action);
		free(doc);
	}
	if (evbuffer_get_length(in) > 0)
		server.strange++;
	return items;
}

static void
answer(struct evhttp_request *req)
{
	struct evbuffer *out = evbuffer_new();
	json_t *items = take_body(evhttp_request_get_input_buffer(req)), *o, *x;
	bool errors = false;
	char *text;
	size_t i;

	json_array_foreach (items, i, x)
		errors |= json_integer_value(td_get(x, "create.status")) >= 300;
	if (atomic_load(&server.manner) == CUT) {
		json_array_remove(items, 0);
		atomic_store(&server.manner, TAKE);
	}
	o = json_pack("{s:i, s:b, s:o}", "took", 1, "errors", (int)errors, "items", items);
	text = json_dumps(o, 0);
	if (atomic_load(&server.manner) != NO_JSON)
		evbuffer_add_printf(out, "%s", text);
	evhttp_send_reply(req, 200, "OK", out);
	evbuffer_free(out);
	free(text);
	json_decref(o);
}

static void
on_request(struct evhttp_request *req, void *arg)
{
	size_t n = evbuffer_get_length(evhttp_request_get_input_buffer(req));
	struct evkeyvalq *h = evhttp_request_get_input_headers(req);
	const char *type = evhttp_find_header(h, "Content-Type");
	const char *auth = evhttp_find_header(h, "Authorization");
	struct timespec ts = {.tv_nsec = server.slow_ms * 1000000L};

	server.requests++;
	if (n > server.largest)
		server.largest = (unsigned)n;
	if (type == NULL || strcmp(type, "application/x-ndjson") != 0 ||
	    evhttp_request_get_command(req) != EVHTTP_REQ_POST ||
	    strcmp(evhttp_request_get_uri(req), "/_bulk?refresh=false") != 0)
		server.strange++;
	snprintf(server.auth, sizeof(server.auth), "%s", auth != NULL ? auth : "");
	nanosleep(&ts, NULL);
	switch (atomic_load(&server.manner)) {
	case BUSY:
		evhttp_send_error(req, 429, "Too Many Requests");
		break;
	case BROKEN:
		evhttp_send_error(req, 503, "Unavailable");
		break;
	case REJECT:
		evhttp_send_error(req, 400, "Bad Request");
		break;
	case CODE:
		evhttp_send_error(req, server.code, "No");
		break;
	case SILENT:
		json_decref(take_body(evhttp_request_get_input_buffer(req)));
		atomic_store(&server.manner, TAKE);
		evhttp_connection_free(evhttp_request_get_connection(req));
		break;
	case SMALL:
		if (n > 40000) {
			evhttp_send_error(req, 413, "Payload Too Large");
			break;
		}
		/* fallthrough */
	default:
		answer(req);
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	if (server.stop)
		event_base_loopbreak(server.base);
}

static void *
serve(void *arg)
{
	struct timeval tv = {.tv_usec = 5000};
	struct event *tick = event_new(server.base, -1, EV_PERSIST, on_tick, NULL);

	event_add(tick, &tv);
	event_base_dispatch(server.base);
	event_free(tick);
	evhttp_free(server.http);
	event_base_free(server.base);
	return NULL;
}

static struct bufferevent *
tls_bufferevent(struct event_base *base, void *arg)
{
	return bufferevent_openssl_socket_new(base, -1, SSL_new(arg), BUFFEREVENT_SSL_ACCEPTING,
					      BEV_OPT_CLOSE_ON_FREE);
}

static void
server_start(void)
{
	struct evhttp_bound_socket *s;
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);

	server.stop = false;
	server.base = event_base_new();
	server.http = evhttp_new(server.base);
	evhttp_set_max_body_size(server.http, 4 << 20);
	evhttp_set_gencb(server.http, on_request, NULL);
	if (server.tls != NULL)
		evhttp_set_bevcb(server.http, tls_bufferevent, server.tls);
	s = evhttp_bind_socket_with_handle(server.http, "127.0.0.1", server.port);
	assert_non_null(s);
	getsockname(evhttp_bound_socket_get_fd(s), (struct sockaddr *)&a, &n);
	server.port = ntohs(((struct sockaddr_in *)&a)->sin_port);
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void
server_stop(void)
{
	server.stop = true;
	pthread_join(server.thread, NULL);
}

static int
open_all(void **state)
{
	td_init(&t, 16384, false);
	memset(&server, 0, sizeof(server));
	server_start();
	return 0;
}

static int
close_all(void **state)
{
	td_fini(&t);
	if (!server.stop)
		server_stop();
	assert_int_equal(server.strange, 0);
	return 0;
}

static struct sl_sink_conf
http_conf(void)
{
	static char url[100];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/_bulk?refresh=false", server.port);
	return (struct sl_sink_conf){.kind = SL_SINK_HTTP,
				     .name = "h",
				     .url = url,
				     .index = "logs-sluice",
				     .flush_ms = 100};
}

static void
test_take(void **state)
{
	struct sl_sink_conf c = http_conf();
	char auth[100];

	snprintf(auth, sizeof(auth), "%s/auth", t.dir);
	td_write(auth, "ApiKey c2VjcmV0\n");
	c.auth_file = auth;
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 5000);
	td_wait(&t, "h", "acked", 5000);
	assert_int_equal(server.taken, 5000);
	assert_string_equal(server.auth, "ApiKey c2VjcmV0");
	assert_true(server.largest <= 1 << 20 && server.largest > 500000);
	assert_true(server.requests >= 5 && server.requests < 40);
	/* another value, after SIGHUP */
	td_write(auth, "Basic eA==");
	sl_drain_reopen(t.d);
	td_puts(&t, SL_REC_DENY, 10);
	td_wait(&t, "h", "acked", 5010);
	usleep(200000);
	td_puts(&t, SL_REC_DENY, 10);
	td_wait(&t, "h", "acked", 5020);
	assert_string_equal(server.auth, "Basic eA==");
	td_write(auth, "a\r\nX: y"); /* bad: the former one stays */
	sl_drain_reopen(t.d);
	usleep(200000);
	td_puts(&t, SL_REC_DENY, 10);
	td_wait(&t, "h", "acked", 5030);
	assert_string_equal(server.auth, "Basic eA==");
}

static void
test_not_elasticsearch(void **state)
{
	struct sl_sink_conf c = http_conf();

	server.manner = NO_JSON;
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 500);
	td_wait(&t, "h", "acked", 500);
}

static void
test_items(void **state)
{
	struct sl_sink_conf c = http_conf();

	server.manner = SOME_FAIL;
	c.flush_ms = 5000;
	c.flush_pct = 1;
	c.queue_max = 10000;
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 1000);
	td_wait(&t, "h", "acked", 900);
	td_wait(&t, "h", "queued", 0);
	assert_int_equal(td_dropped(&t, "h", "rejected"), 100);
	assert_int_equal(td_sink(&t, "h", "dropped"), 100);
}

/* An answer that does not fit its request settles nothing. */
static void
test_cut(void **state)
{
	struct sl_sink_conf c = http_conf();

	server.manner = CUT;
	c.flush_ms = 5000;
	c.flush_pct = 1;
	c.queue_max = 10000;
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 200);
	td_wait(&t, "h", "acked", 200);
	td_wait(&t, "h", "queued", 0);
	assert_int_equal(server.taken, 200);
	assert_int_equal(td_sink(&t, "h", "dropped"), 0);
}

/* Busy for longer than the flush window: what waits is kept and tried again, ever more seldom; of
 * what the queue has no room for it is told. Later all that was kept arrives. */
static void
busy(int manner, int code)
{
	struct sl_sink_conf c = http_conf();

	server.manner = manner;
	server.code = code;
	c.flush_ms = 50;
	c.queue_max = 100;
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 90);
	for (unsigned i = 0; i < 2000 && server.requests < 3; i++)
		usleep(5000);
	assert_in_range(server.requests, 3, 10);
	td_puts(&t, SL_REC_DENY, 50);
	td_wait(&t, "h", "drained", 140);
	assert_int_equal(td_sink(&t, "h", "queued"), 100);
	assert_int_equal(td_dropped(&t, "h", "queue_full"), 40);
	server.manner = TAKE;
	td_wait(&t, "h", "acked", 100);
	td_wait_state(&t, "h", "up");
	assert_int_equal(server.taken, 100);
	assert_int_equal(td_sink(&t, "h", "dropped"), 40);
}

static void
test_429(void **state)
{
	busy(BUSY, 0);
}

static void
test_503(void **state)
{
	busy(BROKEN, 0);
}

static void
test_items_503(void **state)
{
	busy(ITEMS, 503);
}

/* Busy for a moment: nothing is lost. */
static void
test_busy_short(void **state)
{
	struct sl_sink_conf c = http_conf();

	server.manner = BUSY;
	c.flush_ms = 8000;
	c.flush_pct = 1;
	c.queue_max = 1000;
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 100);
	td_wait_state(&t, "h", "down");
	server.manner = TAKE;
	td_wait(&t, "h", "acked", 100);
}

static void
test_reject(void **state)
{
	struct sl_sink_conf c = http_conf();

	server.manner = REJECT;
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 100);
	td_wait(&t, "h", "drained", 100);
	td_wait(&t, "h", "queued", 0);
	assert_int_equal(td_dropped(&t, "h", "rejected"), 100);
}

/** A receiver that does not let us in says nothing of the records: they wait, longer than the flush
 * window, and are all there when it does. */
static void
not_let_in(int manner, int code, const char *why)
{
	struct sl_sink_conf c = http_conf();
	char auth[100];
	json_t *status;

	snprintf(auth, sizeof(auth), "%s/auth", t.dir);
	td_write(auth, "ApiKey b2xk");
	c.auth_file = auth;
	server.code = code;
	server.manner = manner;
	server.requests = 0;
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 100);
	for (unsigned i = 0; i < 2000 && server.requests < 3; i++)
		usleep(5000);
	assert_true(server.requests >= 3);
	assert_int_equal(td_sink(&t, "h", "queued"), 100);
	assert_int_equal(td_sink(&t, "h", "dropped"), 0);
	status = sl_drain_status(t.d);
	if (strstr(td_text(json_array_get(td_get(status, "sinks"), 0), "last_error"), why) == NULL)
		fail_msg("%d: %s", code,
			 td_text(json_array_get(td_get(status, "sinks"), 0), "last_error"));
	json_decref(status);
	td_write(auth, "ApiKey bmV3");
	server.manner = TAKE;
	sl_drain_reopen(t.d);		/* at once, not after the back-off */
	td_wait(&t, "h", "acked", 100); /* perhaps by a try that was on its way before */
	td_puts(&t, SL_REC_DENY, 10);
	td_wait(&t, "h", "acked", 110);
	td_wait_state(&t, "h", "up");
	assert_string_equal(server.auth, "ApiKey bmV3");
	assert_int_equal(td_sink(&t, "h", "dropped"), 0);
}

static void
test_401(void **state)
{
	not_let_in(CODE, 401, "auth_file");
}

static void
test_404(void **state)
{
	not_let_in(CODE, 404, "url");
}

static void
test_302(void **state)
{
	not_let_in(CODE, 302, "url");
}

static void
test_items_403(void **state)
{
	not_let_in(ITEMS, 403, "auth_file");
}

static void
test_too_large(void **state)
{
	struct sl_sink_conf c = http_conf();

	server.manner = SMALL;
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 1000);
	td_wait(&t, "h", "acked", 1000);
	assert_int_equal(server.taken, 1000);
}

/* The answer is lost, the records are not: sent again they are there once. */
static void
test_answer_lost(void **state)
{
	struct sl_sink_conf c = http_conf();

	server.manner = SILENT;
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 300);
	td_wait(&t, "h", "acked", 300);
	assert_int_equal(server.taken, 300);
	assert_true(server.requests >= 2);
}

/* Down: the queue fills, then drops; up again: what is in the queue arrives. */
static void
test_down(void **state)
{
	struct sl_sink_conf c = http_conf();
	uint64_t dropped;

	server_stop();
	c.queue_max = 1000;
	td_start(&t, &c, 1);
	for (unsigned i = 0; i < 5; i++) {
		td_puts(&t, SL_REC_DENY, 500);
		td_wait(&t, "h", "drained", (i + 1) * 500);
	}
	td_wait_state(&t, "h", "down");
	dropped = td_dropped(&t, "h", "queue_full");
	assert_int_equal(dropped, 1500);
	assert_int_equal(td_sink(&t, "h", "queued"), 1000);
	server_start();
	td_wait(&t, "h", "acked", 1000);
	/* it goes away between two requests, and comes back */
	server_stop();
	td_puts(&t, SL_REC_DENY, 100);
	td_wait(&t, "h", "drained", 2600);
	usleep(300000);
	server_start();
	td_wait(&t, "h", "acked", 1100);
	assert_int_equal(server.taken, 1100);
}

/* A slow receiver holds back nothing but its own queue. */
static void
test_slow(void **state)
{
	char path[100];
	struct sl_sink_conf c[2] = {http_conf(), {.kind = SL_SINK_FILE, .name = "file"}};

	snprintf(path, sizeof(path), "%s/file", t.dir);
	c[1].path = path;
	c[0].queue_max = 3000;
	server.slow_ms = 300;
	td_start(&t, c, 2);
	for (unsigned i = 0; i < 20; i++) {
		td_puts(&t, SL_REC_DENY, 1000);
		td_wait(&t, "file", "acked", (i + 1) * 1000);
	}
	assert_true(td_dropped(&t, "h", "queue_full") > 1000);
	td_wait(&t, "h", "queued", 0);
	assert_int_equal(td_sink(&t, "h", "acked"), server.taken);
	assert_int_equal(td_lines(path), 20000);
}

static char cert[100], key[100];

/** From here on the server speaks TLS under these names. */
static struct sl_sink_conf
https_conf(const char *names)
{
	static char url[100];
	struct sl_sink_conf c = http_conf();

	server_stop();
	snprintf(cert, sizeof(cert), "%s/cert", t.dir);
	snprintf(key, sizeof(key), "%s/key", t.dir);
	td_make_cert(names, cert, key);
	server.tls = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate_file(server.tls, cert, SSL_FILETYPE_PEM), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey_file(server.tls, key, SSL_FILETYPE_PEM), 1);
	server_start();
	snprintf(url, sizeof(url), "https://127.0.0.1:%u/_bulk?refresh=false", server.port);
	c.url = url;
	c.ca_file = cert;
	return c;
}

static char told[1000];

static void
keep_told(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof(told) - n, "%s\n", text);
}

/* A token that others may read, from the disk or from the wire, is told. */
static void
test_exposed(void **state)
{
	struct sl_sink_conf c = http_conf();
	char auth[100];

	snprintf(auth, sizeof(auth), "%s/auth", t.dir);
	td_write(auth, "ApiKey c2VjcmV0");
	chmod(auth, 0600);
	c.auth_file = auth;
	told[0] = 0;
	sl_log_set_sink(keep_told, NULL);
	td_start(&t, &c, 1);
	assert_string_equal(told, "");
	sl_drain_free(t.d);
	chmod(auth, 0640);
	c.url = "http://192.0.2.1/_bulk";
	td_start(&t, &c, 1);
	sl_log_set_sink(NULL, NULL);
	assert_non_null(strstr(told, "chmod 600"));
	assert_non_null(strstr(told, "192.0.2.1 in clear"));
	assert_null(strstr(told, "c2VjcmV0"));
}

/* Over TLS, through a server that goes and comes back. */
static void
test_https(void **state)
{
	struct sl_sink_conf c = https_conf("IP:127.0.0.1");

	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 3000);
	td_wait(&t, "h", "acked", 3000);
	server_stop();
	td_puts(&t, SL_REC_DENY, 500);
	td_wait(&t, "h", "drained", 3500);
	td_wait_state(&t, "h", "down");
	server_start();
	td_wait(&t, "h", "acked", 3500);
	assert_int_equal(server.taken, 3500);
	server_stop();
	SSL_CTX_free(server.tls);
}

/* Another name in the certificate: no request, the records wait. */
static void
test_https_wrong_name(void **state)
{
	struct sl_sink_conf c = https_conf("IP:127.0.0.2");

	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 10);
	td_wait_state(&t, "h", "down");
	td_wait(&t, "h", "queued", 10);
	assert_int_equal(server.requests, 0);
	server_stop();
	SSL_CTX_free(server.tls);
}

/* At the end what is queued is sent at once. */
static void
test_end(void **state)
{
	struct sl_sink_conf c = http_conf();

	c.flush_ms = 60000;
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 700);
	sl_drain_free(t.d);
	t.d = NULL;
	assert_int_equal(server.taken, 700);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_take, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_not_elasticsearch, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_items, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_cut, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_429, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_503, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_items_503, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_busy_short, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_reject, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_401, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_404, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_302, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_items_403, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_too_large, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_answer_lost, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_down, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_slow, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_exposed, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_https, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_https_wrong_name, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_end, open_all, close_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
