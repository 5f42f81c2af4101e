/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTP bulk (Elasticsearch _bulk, NDJSON): one request in flight, of at most 1 MiB. Each record is
 * created under its event.id, so that one that is sent again after a lost answer is there once:
 * "409 exists" is as good as "created".
 *
 * A record that is refused (400) is dropped. What is no fault of the records makes them wait, with
 * growing delay, as if the receiver could not be reached: it is busy (408, 429, 5xx), or does not
 * let us in (401, 403, 404, a redirect).
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "out.h"
#include "resolve.h"
#include "sink.h"
#include "sl_env.h"
#include "sl_log.h"
#include "tls.h"

#define HELD 2048
#define BODY_MAX (1U << 20)
#define BODY_MIN (16U << 10) /* after answers 413 */
#define ANSWER_MAX (8 << 20)
#define TIMEOUT_S 10
#define AUTH_MAX 8192

struct http {
	struct sl_sink s;
	struct sl_resolve resolve;
	SSL_CTX *tls; /* NULL: http */
	char host[256], host_header[272], path[512];
	char head[512]; /* of an action line, up to the number in the id */
	size_t head_len;
	char *auth; /* AUTH_MAX + 1 bytes, NULL: none */
	struct evhttp_connection *conn;
	bool broken; /* conn is to be made anew */
	bool busy;   /* a request is in flight */
	unsigned tries;
	uint64_t next_try_ns;
	size_t limit; /* bytes of a body */
	struct sl_line *held[HELD];
	unsigned n_held, n_sent;	      /* n_sent: in the request */
	struct sl_line *ok[HELD], *bad[HELD]; /* of an answer */
};

static struct http *
of(struct sl_sink *s)
{
	return SL_CONTAINER_OF(s, struct http, s);
}

/* --- answers ---------------------------------------------------------------------------------- */

/** The first n of those held are settled. */
static void
forget_first(struct http *h, unsigned n)
{
	h->n_held -= n;
	memmove(h->held, h->held + n, h->n_held * sizeof(h->held[0]));
	h->tries = 0;
}

static void
settle_all(struct http *h, bool ok, enum sl_dropped why)
{
	if (ok)
		sl_queue_ack(&h->s.q, h->held, h->n_sent);
	else
		sl_queue_drop(&h->s.q, h->held, h->n_sent, why);
	forget_first(h, h->n_sent);
}

/** The records wait. */
static void
try_later(struct http *h, const char *why)
{
	h->next_try_ns = sl_clock_mono_ns() + sl_sink_backoff_ns(h->tries++);
	sl_sink_set(&h->s, SL_SINK_DOWN, "%s", why);
}

/** What is to be mended here or there where an answer is no fault of the records. @return NULL: it
 * may be one */
static const char *
not_let_in(int code)
{
	if (code >= 300 && code < 400)
		return "it redirects: give the last address as url";
	switch (code) {
	case 401:
	case 403:
		return "it does not accept what is in auth_file, or that may not write to the "
		       "index";
	case 407:
		return "a proxy wants a login: name the receiver itself as url";
	case 404:
	case 405:
		return "there is no such path or index: see url and index";
	default:
		return NULL;
	}
}

static void
wait_outside(struct http *h, int code)
{
	char why[160];

	snprintf(why, sizeof(why), "the receiver answers %d: %s", code, not_let_in(code));
	try_later(h, why);
}

static int
item_status(const json_t *item)
{
	const json_t *v = json_object_iter_value(json_object_iter((json_t *)(uintptr_t)item));

	return (int)json_integer_value(json_object_get(v, "status"));
}

/** Some items failed: each has its own status. Those to be tried again stay, in order. */
static void
settle_items(struct http *h, const json_t *items)
{
	struct sl_line **ok = h->ok, **bad = h->bad;
	unsigned n_ok = 0, n_bad = 0, again = 0, i;
	int outside = 0;

	for (i = 0; i < h->n_sent; i++) {
		int st = item_status(json_array_get(items, i));

		if (not_let_in(st) != NULL)
			outside = st;
		if ((st >= 200 && st < 300) || st == 409)
			ok[n_ok++] = h->held[i];
		else if (st == 429 || st >= 500 || not_let_in(st) != NULL)
			h->held[again++] = h->held[i];
		else
			bad[n_bad++] = h->held[i];
	}
	memmove(h->held + again, h->held + h->n_sent, (h->n_held - h->n_sent) * sizeof(h->held[0]));
	h->n_held -= n_ok + n_bad;
	h->n_sent = again;
	sl_queue_ack(&h->s.q, ok, n_ok);
	sl_queue_drop(&h->s.q, bad, n_bad, SL_DROPPED_REJECTED);
	if (outside != 0) {
		wait_outside(h, outside);
	} else if (again > 0) {
		if (n_ok + n_bad > 0)
			h->tries = 0; /* it takes some each time */
		try_later(h, "the receiver is busy (some records)");
	} else {
		h->tries = 0;
		if (n_bad > 0)
			sl_sink_set(&h->s, SL_SINK_DOWN, "the receiver rejects records");
		sl_sink_set(&h->s, SL_SINK_UP, NULL);
	}
}

static void
accepted(struct http *h, struct evbuffer *body)
{
	size_t n = evbuffer_get_length(body);
	json_t *o = json_loadb((const char *)evbuffer_pullup(body, -1), n, 0, NULL);
	const json_t *items = json_object_get(o, "items");

	/* a receiver that is no Elasticsearch says less, and 2xx is enough */
	if (json_is_true(json_object_get(o, "errors"))) {
		if (json_array_size(items) == h->n_sent)
			settle_items(h, items);
		else /* all once more: what is there already is told as such */
			try_later(h, "the answer does not say which records failed");
	} else {
		settle_all(h, true, 0);
		sl_sink_set(&h->s, SL_SINK_UP, NULL);
	}
	json_decref(o);
}

static void
too_large(struct http *h)
{
	if (h->n_sent > 1 && h->limit > BODY_MIN) {
		h->limit /= 2;
		return;
	}
	sl_sink_set(&h->s, SL_SINK_DOWN, "413: the receiver wants smaller requests");
	settle_all(h, false, SL_DROPPED_REJECTED);
}

static void
unreachable(struct http *h, const char *why)
{
	h->broken = true;
	try_later(h, why);
}

static void
on_answer(struct evhttp_request *req, void *arg)
{
	struct http *h = arg;
	int code = req != NULL ? evhttp_request_get_response_code(req) : 0;
	char why[80];

	h->busy = false;
	if (code == 0) {
		struct bufferevent *bev = evhttp_connection_get_bufferevent(h->conn);
		char tls[160] = "no answer";

		if (h->tls != NULL)
			sl_tls_error(bev, tls, sizeof(tls));
		unreachable(h, tls);
		return;
	}
	sl_resolve_done(&h->resolve);
	snprintf(why, sizeof(why), "the receiver answers %d", code);
	if (code >= 200 && code < 300) {
		accepted(h, evhttp_request_get_input_buffer(req));
	} else if (code == 413) {
		too_large(h);
	} else if (code == 408 || code == 429 || code >= 500) {
		try_later(h, why);
	} else if (not_let_in(code) != NULL) {
		wait_outside(h, code);
	} else {
		sl_sink_set(&h->s, SL_SINK_DOWN, "%s", why);
		settle_all(h, false, SL_DROPPED_REJECTED);
	}
}

/* --- requests --------------------------------------------------------------------------------- */

static void
on_close(struct evhttp_connection *conn, void *arg)
{
	(void)conn;
	((struct http *)arg)->broken = true;
}

static void
close_conn(struct http *h)
{
	struct evhttp_connection *c = h->conn;

	h->conn = NULL;
	if (c != NULL) {
		evhttp_connection_set_closecb(c, NULL, NULL);
		evhttp_connection_free(c);
	}
	h->broken = false;
}

/** @return false: not now */
static bool
open_conn(struct http *h)
{
	char address[NI_MAXHOST];
	struct bufferevent *bev;
	unsigned at;
	int rc = sl_resolve_next(&h->resolve, &at);

	if (rc < 0)
		unreachable(h, sl_resolve_error(&h->resolve));
	if (rc <= 0)
		return false;
	if (getnameinfo((struct sockaddr *)&h->resolve.addr[at], h->resolve.len[at], address,
			sizeof(address), NULL, 0, NI_NUMERICHOST) != 0)
		return false;
	bev = h->tls != NULL ? sl_tls_bufferevent(h->s.env->base, h->tls, h->host)
			     : bufferevent_socket_new(h->s.env->base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL)
		return false;
	h->conn = evhttp_connection_base_bufferevent_new(h->s.env->base, NULL, bev, address,
							 h->resolve.port);
	if (h->conn == NULL) {
		bufferevent_free(bev);
		return false;
	}
	evhttp_connection_set_timeout(h->conn, TIMEOUT_S);
	evhttp_connection_set_retries(h->conn, 0);
	evhttp_connection_set_max_body_size(h->conn, ANSWER_MAX);
	evhttp_connection_set_closecb(h->conn, on_close, h);
	return true;
}

/** Lines with their actions up to the limit. */
static void
fill_body(struct http *h, struct evbuffer *body)
{
	char tail[32];
	size_t n;

	h->n_sent = 0;
	while (h->n_sent < h->n_held) {
		struct sl_line *l = h->held[h->n_sent];

		n = (size_t)snprintf(tail, sizeof(tail), "%llu\"}}\n", (unsigned long long)l->seq);
		if (h->n_sent > 0 &&
		    evbuffer_get_length(body) + h->head_len + n + l->len > h->limit)
			return;
		evbuffer_add(body, h->head, h->head_len);
		evbuffer_add(body, tail, n);
		evbuffer_add(body, l->text, l->len);
		h->n_sent++;
	}
}

static void
post(struct http *h)
{
	struct evhttp_request *req;
	struct evkeyvalq *headers;

	if (h->conn == NULL && !open_conn(h))
		return;
	req = evhttp_request_new(on_answer, h);
	if (req == NULL)
		return;
	headers = evhttp_request_get_output_headers(req);
	evhttp_add_header(headers, "Host", h->host_header);
	evhttp_add_header(headers, "Content-Type", "application/x-ndjson");
	if (h->auth != NULL)
		evhttp_add_header(headers, "Authorization", h->auth);
	fill_body(h, evhttp_request_get_output_buffer(req));
	h->busy = true;
	if (evhttp_make_request(h->conn, req, EVHTTP_REQ_POST, h->path) != 0) {
		h->busy = false;
		unreachable(h, "no connection");
	}
}

static bool
is_due(struct http *h, uint64_t now_ns)
{
	uint64_t since;
	size_t bytes;
	unsigned n = sl_queue_waiting(&h->s.q, &since, &bytes);

	return n > 0 && (h->s.stopping || now_ns - since >= h->s.flush_ns || bytes >= h->limit ||
			 (uint64_t)n * 100 >= (uint64_t)h->s.conf.queue_max * h->s.conf.flush_pct);
}

static void
turn(struct sl_sink *s, uint64_t now_ns)
{
	struct http *h = of(s);

	if (h->busy)
		return;
	if (h->broken)
		close_conn(h);
	if (now_ns < h->next_try_ns)
		return;
	if (h->n_held == 0 && is_due(h, now_ns))
		h->n_held = sl_queue_take(&s->q, h->held, HELD, h->limit, now_ns);
	if (h->n_held > 0)
		post(h);
}

/* --- life ------------------------------------------------------------------------------------- */

/** One line of printable characters: what stands behind "Authorization: ". */
static int
read_auth(struct http *h, struct sl_error *e)
{
	const char *path = h->s.conf.auth_file;
	char buf[AUTH_MAX + 1];
	ssize_t n = -1;
	int fd, err;

	if (path == NULL)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, buf, AUTH_MAX);
	err = errno;
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return sl_fail(e, -err, "sink_auth", "/auth_file", "%s: %s", path, strerror(err));
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r' || buf[n - 1] == ' '))
		n--;
	for (ssize_t i = 0; i < n; i++)
		if (buf[i] < ' ' || buf[i] > '~')
			n = 0;
	if (n > 0 && h->auth == NULL)
		h->auth = calloc(1, AUTH_MAX + 1);
	if (n > 0 && h->auth != NULL) {
		sl_wipe(h->auth, AUTH_MAX);
		memcpy(h->auth, buf, (size_t)n);
	}
	sl_wipe(buf, sizeof(buf));
	if (n > 0)
		return 0;
	sl_fail(e, -EINVAL, "sink_auth", "/auth_file", "%s is no line of printable characters",
		path);
	sl_hint(e, "it holds what stands behind \"Authorization:\", as \"ApiKey ...\"");
	return -EINVAL;
}

/** What whoever listens or looks may take: told, for it may be meant so in a lab. */
static void
tell_exposed(const struct http *h)
{
	const char *path = h->s.conf.auth_file;
	struct stat st;

	if (path == NULL)
		return;
	if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		sl_log(SL_LOG_WARN, "audit",
		       "sink %s: others may read %s (mode %03o); chmod 600 %s", h->s.conf.name,
		       path, (unsigned)st.st_mode & 0777, path);
	if (h->tls == NULL && strncmp(h->host, "127.", 4) != 0 && strcmp(h->host, "::1") != 0 &&
	    strcmp(h->host, "localhost") != 0)
		sl_log(SL_LOG_WARN, "audit",
		       "sink %s: what is in auth_file goes to %s in clear; use https",
		       h->s.conf.name, h->host);
}

static void
reopen(struct sl_sink *s)
{
	struct http *h = of(s);
	struct sl_error e;

	if (read_auth(h, &e) != 0)
		sl_log(SL_LOG_WARN, "audit", "sink %s: %s; the former one stays", s->conf.name,
		       e.message);
	h->next_try_ns = 0; /* it may be welcome now */
	h->tries = 0;
}

static void
destroy(struct sl_sink *s)
{
	struct http *h = of(s);

	close_conn(h);
	sl_queue_drop(&s->q, h->held, h->n_held, SL_DROPPED_SHUTDOWN);
	sl_queue_free(&s->q);
	SSL_CTX_free(h->tls);
	if (h->auth != NULL)
		sl_wipe(h->auth, AUTH_MAX);
	free(h->auth);
	free(h);
}

static const struct sl_sink_ops ops = {.turn = turn, .reopen = reopen, .free = destroy};

struct sl_sink *
sl_sink_http_new(const struct sl_sink_env *env)
{
	struct http *h = calloc(1, sizeof(*h));

	(void)env;
	if (h == NULL)
		return NULL;
	h->limit = BODY_MAX;
	h->s.ops = &ops;
	return &h->s;
}

/** The parts of the URL. @return 0 or -EINVAL */
static int
take_url(struct http *h, const struct evhttp_uri *u, bool *tls)
{
	const char *scheme = evhttp_uri_get_scheme(u), *host = evhttp_uri_get_host(u);
	const char *path = evhttp_uri_get_path(u), *query = evhttp_uri_get_query(u);
	int port = evhttp_uri_get_port(u);
	size_t n = host != NULL ? strlen(host) : 0;

	if (scheme == NULL || n == 0 || n >= sizeof(h->host) || evhttp_uri_get_userinfo(u) != NULL)
		return -EINVAL;
	*tls = strcmp(scheme, "https") == 0;
	if (!*tls && strcmp(scheme, "http") != 0)
		return -EINVAL;
	if (host[0] == '[' && host[n - 1] == ']') /* IPv6 */
		snprintf(h->host, sizeof(h->host), "%.*s", (int)n - 2, host + 1);
	else
		snprintf(h->host, sizeof(h->host), "%s", host);
	h->resolve.port = (uint16_t)(port > 0 ? port : *tls ? 443 : 80);
	if (port > 0)
		snprintf(h->host_header, sizeof(h->host_header), "%s:%d", host, port);
	else
		snprintf(h->host_header, sizeof(h->host_header), "%s", host);
	if (path == NULL || path[0] == '\0' || strcmp(path, "/") == 0)
		path = "/_bulk";
	n = (size_t)snprintf(h->path, sizeof(h->path), "%s%s%s", path, query != NULL ? "?" : "",
			     query != NULL ? query : "");
	return port <= UINT16_MAX && n < sizeof(h->path) ? 0 : -EINVAL;
}

static int
make_head(struct http *h, struct sl_error *e)
{
	struct sl_out o = {h->head, h->head + sizeof(h->head), false};
	const char *index = h->s.conf.index;

	if (index == NULL || index[0] == '\0')
		return sl_fail(e, -EINVAL, "sink_invalid", "/index",
			       "an http sink needs the name of an index or data stream");
	OUT(&o, "{\"create\":{\"_index\":");
	out_strz(&o, index);
	OUT(&o, ",\"_id\":");
	out_strz(&o, h->s.env->id_prefix);
	if (o.full)
		return sl_fail(e, -EINVAL, "sink_invalid", "/index", "the index name is too long");
	h->head_len = (size_t)(o.p - h->head) - 1; /* the number and the quote follow */
	return 0;
}

int
sl_sink_http_open(struct sl_sink *s, struct sl_error *e)
{
	struct http *h = of(s);
	struct evhttp_uri *u = s->conf.url != NULL ? evhttp_uri_parse(s->conf.url) : NULL;
	bool tls = false;
	int rc = u != NULL ? take_url(h, u, &tls) : -EINVAL;

	if (u != NULL)
		evhttp_uri_free(u);
	if (rc != 0) {
		sl_fail(e, -EINVAL, "sink_invalid", "/url",
			"an http sink needs a URL as https://host:9200/_bulk");
		sl_hint(e, "http or https, no user and password (use auth_file)");
		return -EINVAL;
	}
	snprintf(s->target, sizeof(s->target), "%.300s", s->conf.url);
	h->resolve.dns = s->env->dns;
	h->resolve.host = h->host;
	h->resolve.type = SOCK_STREAM;
	rc = make_head(h, e);
	if (rc == 0)
		rc = read_auth(h, e);
	if (rc == 0 && tls) {
		h->tls = sl_tls_new(&s->conf, e);
		rc = h->tls != NULL ? 0 : -EINVAL;
	}
	if (rc == 0)
		tell_exposed(h);
	return rc;
}
