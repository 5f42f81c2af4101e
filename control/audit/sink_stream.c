/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Syslog over TCP and TLS with octet counting (RFC 6587 3.4.1, RFC 5425). Syslog has no answers: a
 * record counts as delivered when the kernel (or TLS) took its last byte. After a broken connection
 * those that were not are sent again.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>

#include "resolve.h"
#include "sl_env.h"
#include "syslog.h"
#include "tls.h"

#define HELD 1024		/* lines that were given to the connection */
#define OUTPUT_MAX (256U << 10) /* bytes that may wait in it */
#define CONNECT_NS (10 * SL_NS_PER_S)
#define STALL_S 60 /* without a byte going out */

struct stream {
	struct sl_sink s;
	struct sl_syslog syslog;
	struct sl_resolve resolve;
	SSL_CTX *tls; /* NULL: TCP */
	struct bufferevent *bev;
	bool connected;
	unsigned tries;
	uint64_t next_try_ns, began_ns;
	struct sl_line *held[HELD];
	uint64_t end[HELD]; /* position behind its frame in what was given to the connection */
	unsigned n_held, n_sent;
	uint64_t given, gone; /* bytes: given to the connection, taken from it */
};

static struct stream *
of(struct sl_sink *s)
{
	return SL_CONTAINER_OF(s, struct stream, s);
}

static void
hang_up(struct stream *t, const char *why)
{
	uint64_t now = sl_clock_mono_ns();

	if (t->bev != NULL)
		bufferevent_free(t->bev);
	t->bev = NULL;
	t->connected = false;
	t->n_sent = 0;
	t->next_try_ns = now + sl_sink_backoff_ns(t->tries++);
	sl_sink_set(&t->s, SL_SINK_DOWN, "%s", why);
}

/** Bytes left the output buffer. */
static void
on_output(struct evbuffer *buf, const struct evbuffer_cb_info *info, void *arg)
{
	struct stream *t = arg;
	unsigned k = 0;

	(void)buf;
	t->gone += info->n_deleted;
	while (k < t->n_sent && t->end[k] <= t->gone)
		k++;
	if (k == 0)
		return;
	sl_queue_ack(&t->s.q, t->held, k);
	t->n_held -= k;
	t->n_sent -= k;
	memmove(t->held, t->held + k, t->n_held * sizeof(t->held[0]));
	memmove(t->end, t->end + k, t->n_sent * sizeof(t->end[0]));
	t->tries = 0;
}

/** Give more to the connection. */
static void
feed(struct stream *t, uint64_t now_ns)
{
	struct evbuffer *out = bufferevent_get_output(t->bev);
	char header[SL_SYSLOG_HEADER], count[16];
	int digits;
	size_t n;

	while (evbuffer_get_length(out) < OUTPUT_MAX) {
		struct sl_line *l;

		if (t->n_sent == t->n_held && t->n_held < HELD)
			t->n_held +=
				sl_queue_take(&t->s.q, t->held + t->n_held,
					      SL_MIN(HELD - t->n_held, 64U), OUTPUT_MAX, now_ns);
		if (t->n_sent == t->n_held)
			return;
		l = t->held[t->n_sent];
		n = sl_syslog_header(&t->syslog, l, header);
		digits = snprintf(count, sizeof(count), "%zu ", n + l->len - 1);
		t->given += (size_t)digits + n + l->len - 1;
		t->end[t->n_sent++] = t->given;
		evbuffer_add(out, count, (size_t)digits);
		evbuffer_add(out, header, n);
		evbuffer_add(out, l->text, l->len - 1);
	}
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);

	(void)arg;
	evbuffer_drain(in, evbuffer_get_length(in));
}

static void
on_write(struct bufferevent *bev, void *arg)
{
	struct stream *t = arg;

	(void)bev;
	if (t->connected)
		feed(t, sl_clock_mono_ns());
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct stream *t = arg;
	char why[160];

	if (what & BEV_EVENT_CONNECTED) {
		t->connected = true;
		sl_resolve_done(&t->resolve);
		sl_sink_set(&t->s, SL_SINK_UP, NULL);
		feed(t, sl_clock_mono_ns());
		return;
	}
	if (what & BEV_EVENT_TIMEOUT)
		snprintf(why, sizeof(why), "no byte was taken for %u s", STALL_S);
	else if ((what & BEV_EVENT_ERROR) && EVUTIL_SOCKET_ERROR() != 0 && t->tls == NULL)
		snprintf(why, sizeof(why), "%s",
			 evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
	else if (t->tls != NULL)
		sl_tls_error(bev, why, sizeof(why));
	else
		snprintf(why, sizeof(why), "connection closed");
	hang_up(t, why);
}

static void
dial(struct stream *t, uint64_t now_ns)
{
	struct timeval stall = {.tv_sec = STALL_S};
	unsigned at;
	int rc;

	if (now_ns < t->next_try_ns)
		return;
	rc = sl_resolve_next(&t->resolve, &at);
	if (rc < 0)
		hang_up(t, sl_resolve_error(&t->resolve));
	if (rc <= 0)
		return;
	t->bev = t->tls != NULL ? sl_tls_bufferevent(t->s.env->base, t->tls, t->s.conf.host)
				: bufferevent_socket_new(t->s.env->base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (t->bev == NULL) {
		hang_up(t, "no memory");
		return;
	}
	t->began_ns = now_ns;
	t->given = t->gone = 0;
	bufferevent_setcb(t->bev, on_read, on_write, on_event, t);
	bufferevent_set_timeouts(t->bev, NULL, &stall);
	evbuffer_add_cb(bufferevent_get_output(t->bev), on_output, t);
	bufferevent_enable(t->bev, EV_READ | EV_WRITE);
	sl_sink_set(&t->s, SL_SINK_CONNECTING, NULL);
	if (bufferevent_socket_connect(t->bev, (struct sockaddr *)&t->resolve.addr[at],
				       (int)t->resolve.len[at]) != 0 &&
	    t->bev != NULL)
		hang_up(t, strerror(errno));
}

static void
turn(struct sl_sink *s, uint64_t now_ns)
{
	struct stream *t = of(s);

	if (t->bev == NULL && (t->n_held > 0 || sl_queue_waiting(&s->q, NULL, NULL) > 0))
		dial(t, now_ns);
	else if (t->bev != NULL && !t->connected && now_ns - t->began_ns > CONNECT_NS)
		hang_up(t, "no connection within 10 s");
	else if (t->connected)
		feed(t, now_ns);
}

static void
destroy(struct sl_sink *s)
{
	struct stream *t = of(s);

	if (t->bev != NULL) {
		evbuffer_remove_cb(bufferevent_get_output(t->bev), on_output, t);
		bufferevent_free(t->bev);
	}
	sl_queue_drop(&s->q, t->held, t->n_held, SL_DROPPED_SHUTDOWN);
	sl_queue_free(&s->q);
	SSL_CTX_free(t->tls);
	free(t);
}

static const struct sl_sink_ops ops = {.turn = turn, .free = destroy};

struct sl_sink *
sl_sink_stream_new(const struct sl_sink_env *env)
{
	struct stream *t = calloc(1, sizeof(*t));

	(void)env;
	if (t == NULL)
		return NULL;
	t->s.ops = &ops;
	return &t->s;
}

int
sl_sink_stream_open(struct sl_sink *s, struct sl_error *e)
{
	struct stream *t = of(s);
	bool tls = s->conf.kind == SL_SINK_SYSLOG_TLS;
	int rc;

	rc = sl_syslog_open(&t->syslog, &t->resolve, s, tls ? "tls" : "tcp", SOCK_STREAM, e);
	if (rc != 0 || !tls)
		return rc;
	t->tls = sl_tls_new(&s->conf, e);
	return t->tls != NULL ? 0 : -EINVAL;
}
