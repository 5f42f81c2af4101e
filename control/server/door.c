/* SPDX-License-Identifier: BSD-3-Clause */
#include "door.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "head.h"
#include "sl_env.h"

#define ANSWER_S 120	    /* from a request to the last byte of its answer */
#define BYTES_S (128 << 10) /* a body comes at least so fast, on the average ... */
#define GRACE_S 10	    /* ... after that; evhttp ends who is silent for 15 s without a word */
#define LOOK_S 4
#define LINGER_S 3
#define LOOK (SL_HEAD_MAX + 512)
#define HOLD (2 * LOOK) /* bytes that evhttp waits for until a head is whole */
#define BACKLOG 128
#define SPARE 32 /* connections that are there while others give way */

enum state {
	HEAD,	/* until a head is complete */
	BODY,	/* until the request is handed over */
	BUSY,	/* until its answer is written */
	FLOWS,	/* the same, of an answer that goes on; what comes is thrown away */
	ENDING, /* it was refused by its size; what comes is thrown away */
};

struct conn {
	struct door *d;
	struct bufferevent *bev;
	struct event *timer;
	enum state state;
	bool ready; /* the handshake is done */
	bool noted;
	size_t body; /* bytes of a large body, until its answer is written */
	size_t got;  /* of a body, until now; of what is thrown away */
	struct evbuffer
		*early;	   /* NULL: none; part of a head that came before the last answer left */
	uint64_t since_ns; /* when it began */
	char who[SL_PRINCIPAL_NAME];
	struct sl_ip from;
	TAILQ_ENTRY(conn) link; /* in the order of their last sign of life */
};

struct door {
	struct event_base *base;
	struct sl_tls *tls;
	struct door_ops ops;
	void *ctx;
	struct evhttp *http;
	struct evconnlistener *listener;
	unsigned n;
	TAILQ_HEAD(, conn) conns;
	struct sl_tls_failures failures;
};

/* --- connections ------------------------------------------------------------------------------ */

static int conn_index = -1; /* of what an SSL carries for us */

static struct conn *
conn_of(struct bufferevent *bev)
{
	SSL *ssl = bev != NULL ? bufferevent_openssl_get_ssl(bev) : NULL;

	return ssl != NULL ? SSL_get_ex_data(ssl, conn_index) : NULL;
}

/** The SSL ends with its bufferevent, and that with its connection. */
static void
conn_gone(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	struct conn *c = ptr;

	if (c == NULL)
		return;
	if (c->d != NULL) {
		TAILQ_REMOVE(&c->d->conns, c, link);
		c->d->n--;
		if (c->d->n < DOOR_CONNECTIONS)
			evconnlistener_enable(c->d->listener);
		event_free(c->timer);
		if (!c->ready)
			sl_tls_failed(&c->d->failures, c->bev, &c->from, "rest");
	}
	if (c->early != NULL)
		evbuffer_free(c->early);
	free(c);
}

/** evhttp notices the end of the socket and frees what is its. */
static void
conn_cut(struct conn *c)
{
	evutil_socket_t fd = bufferevent_getfd(c->bev);

	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
}

static void
conn_expect(struct conn *c, enum state state, unsigned seconds)
{
	struct timeval tv = {.tv_sec = seconds};

	c->state = state;
	event_add(c->timer, &tv);
	TAILQ_REMOVE(&c->d->conns, c, link);
	TAILQ_INSERT_TAIL(&c->d->conns, c, link);
}

static void
from_address(const struct sockaddr_storage *sa, struct sl_ip *out)
{
	const struct sockaddr_in6 *in6 = (const void *)sa;
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	*out = (struct sl_ip){0};
	if (sa->ss_family == AF_INET)
		*out = sl_ip_v4((const uint8_t *)&((const struct sockaddr_in *)sa)->sin_addr);
	else if (sa->ss_family == AF_INET6 && memcmp(&in6->sin6_addr, mapped, 12) == 0)
		*out = sl_ip_v4((const uint8_t *)&in6->sin6_addr + 12);
	else if (sa->ss_family == AF_INET6)
		*out = sl_ip_v6((const uint8_t *)&in6->sin6_addr);
}

static void
conn_from(const struct conn *c, struct sl_ip *out)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);

	getpeername(bufferevent_getfd(c->bev), (struct sockaddr *)&sa, &len);
	from_address(&sa, out);
}

/** From where: while the socket is there. */
static void
on_handshake(const SSL *ssl, int where, int ret)
{
	struct conn *c = SSL_get_ex_data(ssl, conn_index);

	if ((where & SSL_CB_HANDSHAKE_START) && !c->ready)
		conn_from(c, &c->from);
	if (where & SSL_CB_HANDSHAKE_DONE)
		c->ready = true;
}

/** How much body evhttp takes. It is the argument of its own callbacks. */
static void
conn_limit(struct conn *c, size_t bytes)
{
	bufferevent_data_cb rd, wr;
	bufferevent_event_cb ev;
	void *evcon = NULL;

	bufferevent_getcb(c->bev, &rd, &wr, &ev, &evcon);
	if (evcon != NULL)
		evhttp_connection_set_max_body_size(evcon, (ev_ssize_t)bytes);
	bufferevent_setwatermark(c->bev, EV_READ, 0, bytes + 2 * SL_HEAD_MAX);
}

/** Until a head is whole: nothing of it is for evhttp. */
static void
conn_hold(struct conn *c)
{
	bufferevent_setwatermark(c->bev, EV_READ, HOLD, DOOR_BODY_STRANGER + 2 * SL_HEAD_MAX);
}

/* --- what its head refuses ----------------------------------------------------------------- */

/** Ours instead of evhttp's: the request never gets to it. */
static void
throw_away(struct bufferevent *bev, void *evcon)
{
	struct evbuffer *in = bufferevent_get_input(bev);

	evbuffer_drain(in, evbuffer_get_length(in));
}

static void
end_writing(struct bufferevent *bev, void *evcon)
{
	if (evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		shutdown(bufferevent_getfd(bev), SHUT_WR);
}

/** Has as much of its body come as its time explains? */
static bool
keeps_up(const struct conn *c)
{
	uint64_t s = (sl_clock_mono_ns() - c->since_ns) / SL_NS_PER_S;

	return s <= GRACE_S || c->got >= (s - GRACE_S) * BYTES_S;
}

static size_t
body_of(const char *head, size_t len)
{
	char text[24];
	int n = sl_head_get(head, len, "Content-Length", text, sizeof(text));

	if (n == -E2BIG)
		return SIZE_MAX;
	return n > 0 ? (size_t)strtoull(text, NULL, 10) : 0;
}

/** Is there room for a body beside those of others? Then it is the connection's. */
static bool
take_room(struct conn *c, size_t body)
{
	size_t all = 0, own = 0;
	struct conn *o;

	c->body = 0;
	if (body <= DOOR_BODY_STRANGER)
		return true;
	TAILQ_FOREACH (o, &c->d->conns, link) {
		all += o->body;
		own += strcmp(o->who, c->who) == 0 ? o->body : 0;
	}
	if (body > DOOR_BODIES_EACH - SL_MIN(own, DOOR_BODIES_EACH) ||
	    body > DOOR_BODIES - SL_MIN(all, DOOR_BODIES))
		return false;
	c->body = body;
	return true;
}

/** Its end is noticed by evhttp, which frees what is its. */
static void
refuse(struct conn *c, const struct sl_error *why, size_t max)
{
	bufferevent_data_cb rd, wr;
	bufferevent_event_cb ev;
	void *evcon;

	c->body = 0;
	bufferevent_getcb(c->bev, &rd, &wr, &ev, &evcon);
	bufferevent_setcb(c->bev, throw_away, end_writing, ev, evcon);
	conn_expect(c, ENDING, LINGER_S);
	bufferevent_setwatermark(c->bev, EV_READ, 0, DOOR_BODY_STRANGER);
	c->d->ops.refused(c->d->ctx, why, max, bufferevent_get_output(c->bev));
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static void
conn_late(evutil_socket_t fd, short what, void *arg)
{
	struct timeval tv = {.tv_sec = LOOK_S};
	struct conn *c = arg;
	struct sl_error e = {0};

	if (c->state != BODY) {
		conn_cut(c);
	} else if (keeps_up(c)) {
		event_add(c->timer, &tv);
	} else {
		sl_fail(&e, -EAGAIN, "body_slow", "", "the body came too slowly: %zu bytes in %u s",
			c->got, (unsigned)((sl_clock_mono_ns() - c->since_ns) / SL_NS_PER_S));
		sl_hint(&e, "it must come at 128 KiB/s");
		refuse(c, &e, 0);
	}
}

/** Look at what came: once a head is complete, decide on its body. */
static void
conn_look(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t have = SL_MIN(evbuffer_get_length(in), (size_t)LOOK), len, max, body;
	const char *data = have > 0 ? (const char *)evbuffer_pullup(in, (ev_ssize_t)have) : NULL;
	struct sl_error e = {0};
	struct sl_ip from;
	int on = 1;

	len = data != NULL ? sl_head_len(data, have) : 0;
	if (data != NULL && memchr(data, '\n', have) != NULL &&
	    sl_head_check(data, len > 0 ? len : have, &e) != 0) {
		refuse(c, &e, 0);
		return;
	}
	if (have == LOOK && (len == 0 || len > SL_HEAD_MAX)) {
		sl_fail(&e, -E2BIG, "head_too_large", "", "the head may have %d bytes",
			SL_HEAD_MAX);
		refuse(c, &e, 0);
		return;
	}
	if (len == 0)
		return;
	setsockopt(bufferevent_getfd(c->bev), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	conn_from(c, &from);
	c->noted = false;
	c->who[0] = '\0';
	max = c->d->ops.admit(c->d->ctx, c->bev, data, len, &from, &c->noted, c->who);
	body = body_of(data, len);
	if (body > max) {
		sl_fail(&e, -EFBIG, "body_too_large", "", "the body may have %zu bytes", max);
		refuse(c, &e, max);
		return;
	}
	if (!take_room(c, body)) {
		sl_fail(&e, -EAGAIN, "bodies_busy", "",
			"other large bodies are on their way: again in a moment");
		refuse(c, &e, 0);
		return;
	}
	c->got = evbuffer_get_length(in) - len;
	c->since_ns = sl_clock_mono_ns();
	conn_limit(c, max);
	conn_expect(c, BODY, LOOK_S);
}

/** evhttp takes what has come when an answer has left, without waiting for the whole of a head:
 * keep a part of one from it, else the rest would be looked at as if it were the head. */
static void
keep_early(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t n = evbuffer_get_length(in);

	if (n == 0)
		return;
	if (c->early == NULL)
		c->early = evbuffer_new();
	if (c->early == NULL || evbuffer_remove_buffer(in, c->early, n) != (int)n)
		conn_cut(c);
}

/** While it is read its end is noticed. Who does not stop has nothing to say there. */
static void
throw_away_some(struct conn *c, struct evbuffer *buf)
{
	size_t n = evbuffer_get_length(buf);

	c->got += n;
	evbuffer_drain(buf, n);
	if (c->got > DOOR_BODY_STRANGER)
		conn_cut(c);
}

static void
input_grew(struct evbuffer *buf, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn *c = arg;

	if (c->state == BODY)
		c->got += info->n_added;
	else if (c->state == FLOWS && info->n_added > 0)
		throw_away_some(c, buf);
	else if (c->state != HEAD || info->n_added == 0)
		return;
	else if (c->early != NULL && evbuffer_get_length(c->early) > 0)
		evbuffer_prepend_buffer(buf, c->early); /* and comes here again */
	else
		conn_look(c);
}

static void
make_room(struct door *d)
{
	struct conn *c;

	TAILQ_FOREACH (c, &d->conns, link) {
		if (c->state == BUSY || c->state == FLOWS)
			continue;
		conn_cut(c);
		break;
	}
	if (d->n >= DOOR_CONNECTIONS)
		evconnlistener_disable(d->listener);
}

static bool
conn_new(struct door *d, struct bufferevent *bev)
{
	struct conn *c = calloc(1, sizeof(*c));
	SSL *ssl = bufferevent_openssl_get_ssl(bev);

	if (c == NULL)
		return false;
	*c = (struct conn){.d = d, .bev = bev, .timer = evtimer_new(d->base, conn_late, c)};
	if (c->timer == NULL ||
	    evbuffer_add_cb(bufferevent_get_input(bev), input_grew, c) == NULL ||
	    SSL_set_ex_data(ssl, conn_index, c) != 1) {
		if (c->timer != NULL)
			event_free(c->timer);
		free(c);
		return false;
	}
	SSL_set_info_callback(ssl, on_handshake);
	d->n++;
	TAILQ_INSERT_TAIL(&d->conns, c, link);
	/* beyond the limit, where the kernel had accepted more: it ends at once */
	conn_expect(c, HEAD, d->n <= DOOR_CONNECTIONS ? DOOR_TIMEOUT_S : 0);
	conn_hold(c);
	return true;
}

/** What evhttp speaks through. Where this is NULL it would take one without TLS, whose requests
 * on_request() refuses. */
static struct bufferevent *
make_bufferevent(struct event_base *base, void *arg)
{
	struct door *d = arg;
	struct bufferevent *bev;

	if (d->n >= DOOR_CONNECTIONS - SPARE)
		make_room(d);
	bev = sl_tls_accept(d->tls, base, -1);
	if (bev != NULL && !conn_new(d, bev)) {
		bufferevent_free(bev);
		bev = NULL;
	}
	return bev;
}

/* --- requests --------------------------------------------------------------------------------- */

static void
on_complete(struct evhttp_request *req, void *arg)
{
	struct conn *c = arg;

	c->body = 0;
	conn_limit(c, DOOR_BODY_STRANGER);
	conn_hold(c);
	conn_expect(c, HEAD, DOOR_TIMEOUT_S);
	conn_look(c); /* of the next one, that came early */
	if (c->state == HEAD)
		keep_early(c);
}

static void
on_request(struct evhttp_request *req, void *arg)
{
	struct door *d = arg;
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);
	struct bufferevent *bev = evcon != NULL ? evhttp_connection_get_bufferevent(evcon) : NULL;
	struct conn *c = conn_of(bev);
	struct sl_ip from;

	if (c == NULL) {
		evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
		evhttp_send_reply(req, 503, "Service Unavailable", NULL);
		return;
	}
	conn_from(c, &from);
	conn_expect(c, BUSY, ANSWER_S);
	evhttp_request_set_on_complete_cb(req, on_complete, c);
	d->ops.request(d->ctx, req, bev, &from, c->noted);
}

void
door_pause(struct bufferevent *bev)
{
	bufferevent_data_cb rd, wr;
	bufferevent_event_cb ev;
	void *evcon;

	bufferevent_getcb(bev, &rd, &wr, &ev, &evcon);
	bufferevent_setcb(bev, NULL, wr, ev, evcon); /* evhttp sets its own again */
	bufferevent_disable(bev, EV_READ);
}

void
door_expect_progress(struct bufferevent *bev, unsigned seconds)
{
	struct conn *c = conn_of(bev);

	if (c == NULL)
		return;
	if (c->state != FLOWS)
		c->got = 0;
	conn_expect(c, FLOWS, seconds);
}

void
door_cut(struct bufferevent *bev)
{
	struct conn *c = conn_of(bev);

	if (c != NULL)
		conn_cut(c);
}

/* --- the door --------------------------------------------------------------------------------- */

/** evhttp's own way is by getaddrinfo(), which knows no 127.0.0.1 on a host whose only addresses
 * are of IPv6. */
static int
bind_to(struct door *d, const struct sl_endpoint *at, struct sl_error *e)
{
	unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;
	struct sockaddr_storage sa;
	socklen_t len = sl_endpoint_sockaddr(at, &sa);
	char text[SL_ENDPOINT_STR];

	d->listener = evconnlistener_new_bind(d->base, NULL, NULL, flags, BACKLOG,
					      (struct sockaddr *)&sa, (int)len);
	if (d->listener == NULL) {
		sl_fail(e, errno != 0 ? -errno : -EINVAL, "socket", "--rest",
			"cannot listen on %s: %s", sl_endpoint_str(at, text), strerror(errno));
		sl_hint(e, "another address or port with --rest");
		return e->err;
	}
	if (evhttp_bind_listener(d->http, d->listener) != NULL)
		return 0;
	evconnlistener_free(d->listener);
	return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the HTTP server");
}

struct door *
door_new(struct event_base *base, struct sl_tls *tls, const struct sl_endpoint *at,
	 const struct door_ops *ops, void *ctx, struct sl_error *e)
{
	struct door *d = calloc(1, sizeof(*d));

	if (conn_index < 0)
		conn_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, conn_gone);
	if (d != NULL)
		d->http = evhttp_new(base);
	if (d == NULL || d->http == NULL || conn_index < 0) {
		free(d);
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the HTTP server");
		return NULL;
	}
	d->base = base;
	d->tls = tls;
	d->ops = *ops;
	d->ctx = ctx;
	TAILQ_INIT(&d->conns);
	evhttp_set_bevcb(d->http, make_bufferevent, d);
	evhttp_set_gencb(d->http, on_request, d);
	evhttp_set_max_headers_size(d->http, SL_HEAD_MAX);
	evhttp_set_max_body_size(d->http, DOOR_BODY_STRANGER);
	evhttp_set_timeout(d->http, DOOR_TIMEOUT_S);
	evhttp_set_allowed_methods(d->http, EVHTTP_REQ_GET | EVHTTP_REQ_PUT | EVHTTP_REQ_POST |
						    EVHTTP_REQ_PATCH | EVHTTP_REQ_DELETE);
	evhttp_set_default_content_type(d->http, NULL);
	if (bind_to(d, at, e) == 0)
		return d;
	door_free(d);
	return NULL;
}

void
door_free(struct door *d)
{
	struct conn *c;

	if (d == NULL)
		return;
	/* bufferevents end later, in the loop or with it: nothing of theirs leads here any more */
	while ((c = TAILQ_FIRST(&d->conns)) != NULL) {
		TAILQ_REMOVE(&d->conns, c, link);
		evbuffer_remove_cb(bufferevent_get_input(c->bev), input_grew, c);
		event_free(c->timer);
		c->d = NULL;
	}
	evhttp_free(d->http);
	free(d);
}

uint16_t
door_port(const struct door *d)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(evconnlistener_get_fd(d->listener), (struct sockaddr *)&sa, &len) != 0)
		return 0;
	return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
					      : ((struct sockaddr_in *)&sa)->sin_port);
}

unsigned
door_connections(const struct door *d)
{
	return d->n;
}

const struct sl_tls_failures *
door_failures(const struct door *d)
{
	return &d->failures;
}
