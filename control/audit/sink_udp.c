/* SPDX-License-Identifier: BSD-3-Clause */
/* Syslog over UDP: one datagram a record (RFC 5426). What was sent counts as delivered: nobody
 * says. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "resolve.h"
#include "sl_env.h"
#include "syslog.h"

#define BATCH 64
#define GOOD 256
#define TURN_MAX 4096	   /* datagrams */
#define DATAGRAM_MAX 8192U /* what receivers commonly take; above 1,472 it travels in fragments */

struct udp {
	struct sl_sink s;
	struct sl_syslog syslog;
	struct sl_resolve resolve;
	int fd; /* -1: none */
	unsigned tries;
	unsigned good; /* datagrams since the last failure */
	uint64_t next_try_ns;
	struct sl_line *held[BATCH];
	unsigned n_held;
};

static struct udp *
of(struct sl_sink *s)
{
	return SL_CONTAINER_OF(s, struct udp, s);
}

static void
fail(struct udp *u, uint64_t now_ns, const char *why)
{
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
	u->good = 0;
	u->next_try_ns = now_ns + sl_sink_backoff_ns(u->tries++);
	sl_sink_set(&u->s, SL_SINK_DOWN, "%s", why);
}

static void
open_socket(struct udp *u, uint64_t now_ns)
{
	unsigned at;
	int rc;

	if (now_ns < u->next_try_ns)
		return;
	rc = sl_resolve_next(&u->resolve, &at);
	if (rc < 0)
		fail(u, now_ns, sl_resolve_error(&u->resolve));
	if (rc <= 0)
		return;
	u->fd = socket(u->resolve.addr[at].ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (u->fd < 0 ||
	    connect(u->fd, (struct sockaddr *)&u->resolve.addr[at], u->resolve.len[at]) != 0)
		fail(u, now_ns, strerror(errno));
}

/** @return datagrams sent, or a negative errno when not even the first could be */
static int
send_held(struct udp *u)
{
	static char header[BATCH][SL_SYSLOG_HEADER];
	struct iovec iov[BATCH][2];
	struct mmsghdr m[BATCH];
	unsigned i;
	int n;

	memset(m, 0, sizeof(m));
	for (i = 0; i < u->n_held; i++) {
		struct sl_line *l = u->held[i];

		iov[i][0] = (struct iovec){header[i], sl_syslog_header(&u->syslog, l, header[i])};
		iov[i][1] = (struct iovec){l->text, l->len - 1};
		m[i].msg_hdr.msg_iov = iov[i];
		m[i].msg_hdr.msg_iovlen = 2;
	}
	do
		n = sendmmsg(u->fd, m, u->n_held, 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void
settle_first(struct udp *u, unsigned n)
{
	u->n_held -= n;
	memmove(u->held, u->held + n, u->n_held * sizeof(u->held[0]));
}

/** Lines that no datagram can hold. */
static void
drop_long(struct udp *u)
{
	unsigned i, k = 0;

	for (i = 0; i < u->n_held; i++) {
		if (u->held[i]->len + SL_SYSLOG_HEADER <= DATAGRAM_MAX)
			u->held[k++] = u->held[i];
		else
			sl_queue_drop(&u->s.q, &u->held[i], 1, SL_DROPPED_TOO_LONG);
	}
	u->n_held = k;
}

/** @return false: the rest waits for the next turn */
static bool
send_some(struct udp *u, uint64_t now_ns)
{
	int n;

	if (u->n_held == 0) {
		u->n_held = sl_queue_take(&u->s.q, u->held, BATCH, SIZE_MAX, now_ns);
		if (u->n_held == 0)
			return false;
		drop_long(u);
		return true;
	}
	n = send_held(u);
	if (n > 0) {
		sl_queue_ack(&u->s.q, u->held, (unsigned)n);
		settle_first(u, (unsigned)n);
		sl_sink_set(&u->s, SL_SINK_UP, NULL);
		u->good += (unsigned)n;
		if (u->good > GOOD) /* one each time may go out before the refusal comes back */
			u->tries = 0;
		return true;
	}
	if (n == -EMSGSIZE) {
		sl_queue_drop(&u->s.q, u->held, 1, SL_DROPPED_TOO_LONG);
		settle_first(u, 1);
		return true;
	}
	if (n != -EAGAIN && n != -ENOBUFS)
		fail(u, now_ns, strerror(-n));
	return false;
}

static void
turn(struct sl_sink *s, uint64_t now_ns)
{
	struct udp *u = of(s);
	unsigned i;

	if (u->fd < 0 && (u->n_held > 0 || sl_queue_waiting(&s->q, NULL, NULL) > 0))
		open_socket(u, now_ns);
	for (i = 0; i < TURN_MAX / BATCH && u->fd >= 0 && send_some(u, now_ns); i++)
		;
}

static void
destroy(struct sl_sink *s)
{
	struct udp *u = of(s);

	sl_queue_drop(&s->q, u->held, u->n_held, SL_DROPPED_SHUTDOWN);
	if (u->fd >= 0)
		close(u->fd);
	sl_queue_free(&s->q);
	free(u);
}

static const struct sl_sink_ops ops = {.turn = turn, .free = destroy};

struct sl_sink *
sl_sink_udp_new(const struct sl_sink_env *env)
{
	struct udp *u = calloc(1, sizeof(*u));

	(void)env;
	if (u == NULL)
		return NULL;
	u->fd = -1;
	u->s.ops = &ops;
	return &u->s;
}

int
sl_sink_udp_open(struct sl_sink *s, struct sl_error *e)
{
	struct udp *u = of(s);

	return sl_syslog_open(&u->syslog, &u->resolve, s, "udp", SOCK_DGRAM, e);
}
