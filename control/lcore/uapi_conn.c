/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection reads into its own buffer and writes from its own, so that keys can be wiped behind
 * both. Requests are answered one after the other; a long `get` is produced in slices, each when
 * the one before has left. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uapi_int.h"

#define IN_SIZE 16384
#define SLICE 256 /* peers produced at once (D43) */

struct uapi_conn {
	struct sl_uapi_server *server;
	struct uapi_conn *next;
	char iface[16];
	int fd;
	struct event *rd, *wr;
	struct sl_uapi *parser;
	uint8_t in[IN_SIZE];
	size_t in_len;
	uint8_t *out;
	size_t out_len, out_cap, out_sent;
	bool getting; /* a `get` is under way, from peer number get_at on */
	bool closing; /* after what is in `out` */
	bool broken;  /* no memory for a reply */
	uint32_t get_at;
};

static void
conn_free(struct uapi_conn *c)
{
	struct uapi_conn **at = &c->server->conns;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->server->n_conns--;
	if (c->rd != NULL)
		event_free(c->rd);
	if (c->wr != NULL)
		event_free(c->wr);
	sl_uapi_free(c->parser);
	if (c->out != NULL)
		sl_wipe(c->out, c->out_cap);
	free(c->out);
	close(c->fd);
	sl_wipe(c->in, sizeof(c->in));
	free(c);
}

void
uapi_conns_close(struct sl_uapi_server *s, const char *iface)
{
	struct uapi_conn *c = s->conns, *next;

	for (; c != NULL; c = next) {
		next = c->next;
		if (iface == NULL || strcmp(c->iface, iface) == 0)
			conn_free(c);
	}
}

/* --- replies -------------------------------------------------------------------------------------
 */

/* As realloc(), but leaves no copy of a key behind. */
static bool
out_grow(struct uapi_conn *c, size_t need)
{
	size_t cap = c->out_cap != 0 ? c->out_cap : 4096;
	uint8_t *to;

	while (cap < need)
		cap *= 2;
	to = malloc(cap);
	if (to == NULL)
		return false;
	if (c->out != NULL) {
		memcpy(to, c->out, c->out_len);
		sl_wipe(c->out, c->out_cap);
		free(c->out);
	}
	c->out = to;
	c->out_cap = cap;
	return true;
}

static void
sink_write(void *ctx, const void *data, size_t len)
{
	struct uapi_conn *c = ctx;

	if (c->broken || (c->out_len + len > c->out_cap && !out_grow(c, c->out_len + len))) {
		c->broken = true;
		return;
	}
	memcpy(c->out + c->out_len, data, len);
	c->out_len += len;
}

static struct sl_uapi_sink
sink_of(struct uapi_conn *c)
{
	return (struct sl_uapi_sink){.write = sink_write, .ctx = c};
}

struct get_slice {
	struct uapi_conn *c;
	unsigned n;
};

static bool
get_peer(void *ctx, const struct sl_gw_peer_info *p)
{
	struct get_slice *g = ctx;
	struct sl_uapi_sink sink = sink_of(g->c);
	struct sl_secret psk;
	struct sl_uapi_peer_info info = {.public_key = p->public_key,
					 .endpoint = p->has_endpoint ? &p->endpoint : NULL,
					 .last_handshake_wall_ns = p->last_handshake_wall_ns,
					 .rx_bytes = p->rx_bytes,
					 .tx_bytes = p->tx_bytes,
					 .keepalive_s = p->keepalive_s,
					 .allowed = p->allowed,
					 .n_allowed = p->n_allowed};

	if (p->has_psk && sl_gw_peer_psk(g->c->server->gw, p->iface, &p->public_key, &psk))
		info.preshared_key = &psk;
	sl_uapi_write_peer(&sink, &info);
	sl_wipe(&psk, sizeof(psk));
	return ++g->n < SLICE;
}

static void
get_more(struct uapi_conn *c)
{
	struct get_slice g = {.c = c};
	struct sl_uapi_sink sink = sink_of(c);

	sl_gw_peer_walk(c->server->gw, c->iface, c->get_at, get_peer, &g);
	c->get_at += g.n;
	if (g.n == SLICE)
		return;
	c->getting = false;
	sl_uapi_write_end(&sink, SL_UAPI_GET, 0);
}

static void
on_get(void *ctx)
{
	struct uapi_conn *c = ctx;
	struct sl_uapi_sink sink = sink_of(c);
	struct sl_gw_iface_info info;
	struct sl_secret key;
	bool has_key;

	if (!sl_gw_iface_find(c->server->gw, c->iface, &info)) {
		sl_uapi_write_end(&sink, SL_UAPI_GET, -ENODEV);
		return;
	}
	has_key = sl_gw_iface_private_key(c->server->gw, c->iface, &key);
	sl_uapi_write_device(&sink, has_key ? &key : NULL, info.listen_port, info.fwmark);
	sl_wipe(&key, sizeof(key));
	c->getting = true;
	c->get_at = 0;
	get_more(c);
}

static void
on_set(void *ctx, const struct sl_uapi_set *set)
{
	struct uapi_conn *c = ctx;
	struct sl_uapi_sink sink = sink_of(c);
	struct sl_error e = {0};
	int rc = uapi_apply(c->server->gw, c->iface, set, &e);

	if (rc != 0)
		sl_log(SL_LOG_WARN, "uapi", "%s: refused: %s%s%s (%s)", c->iface, e.message,
		       e.hint[0] != '\0' ? "; " : "", e.hint, e.reason);
	sl_uapi_write_end(&sink, SL_UAPI_SET, rc);
}

static void
on_fail(void *ctx, enum sl_uapi_op op, int err, unsigned line, const char *why)
{
	struct uapi_conn *c = ctx;
	struct sl_uapi_sink sink = sink_of(c);

	sl_log(SL_LOG_WARN, "uapi", "%s: refused: line %u: %s", c->iface, line, why);
	sl_uapi_write_end(&sink, op, err);
	c->closing |= err == -EMSGSIZE;
}

/* --- moving bytes
 * --------------------------------------------------------------------------------- */

/* @return false when the connection is over */
static bool
flush(struct uapi_conn *c)
{
	ssize_t n;

	while (c->out_sent < c->out_len) {
		n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		c->out_sent += (size_t)n;
	}
	if (c->out_len > 0)
		sl_wipe(c->out, c->out_len);
	c->out_len = c->out_sent = 0;
	return true;
}

/* Feed one request at most: up to the blank line that ends it, if it is in the buffer. */
static void
feed_one(struct uapi_conn *c)
{
	uint8_t *end = memmem(c->in, c->in_len, "\n\n", 2);
	size_t n = c->in_len;

	if (end != NULL)
		n = (size_t)(end - c->in) + 2;
	else if (c->in[n - 1] == '\n')
		n--; /* perhaps half of a blank line */
	if (n > 0 && sl_uapi_feed(c->parser, c->in, n) != 0)
		c->closing = true;
	memmove(c->in, c->in + n, c->in_len - n);
	sl_wipe(c->in + c->in_len - n, n);
	c->in_len -= n;
}

static bool
can_feed(const struct uapi_conn *c)
{
	return c->in_len > 1 || (c->in_len == 1 && c->in[0] != '\n');
}

/* Work until something has to be waited for. @return false when the connection is over */
static bool
work(struct uapi_conn *c)
{
	for (;;) {
		if (!flush(c) || c->broken)
			return false;
		if (c->out_len > 0)
			return true;
		if (c->closing)
			return false;
		if (c->getting)
			get_more(c);
		else if (can_feed(c))
			feed_one(c);
		else
			return true;
	}
}

static void
wait_next(struct uapi_conn *c)
{
	const struct timeval idle = {.tv_sec = UAPI_IDLE_S};

	if (c->out_len > 0) {
		event_del(c->rd);
		event_add(c->wr, &idle);
	} else {
		event_add(c->rd, &idle);
	}
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct uapi_conn *c = arg;
	ssize_t n;

	if (what & EV_TIMEOUT) {
		conn_free(c);
		return;
	}
	if (what & EV_READ) {
		n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			conn_free(c);
			return;
		}
		c->in_len += (size_t)SL_MAX(n, 0);
	}
	if (work(c))
		wait_next(c);
	else
		conn_free(c);
}

void
uapi_conn_new(struct sl_uapi_server *s, const char *iface, int fd)
{
	struct sl_uapi_handler h = {.get = on_get, .set = on_set, .fail = on_fail};
	struct uapi_conn *c;

	c = s->n_conns < UAPI_CONNS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (c == NULL) {
		close(fd);
		return;
	}
	c->server = s;
	c->fd = fd;
	c->next = s->conns;
	s->conns = c;
	s->n_conns++;
	memcpy(c->iface, iface, sizeof(c->iface));
	h.ctx = c;
	c->parser = sl_uapi_new(&h, 0);
	c->rd = event_new(s->base, fd, EV_READ, on_event, c);
	c->wr = event_new(s->base, fd, EV_WRITE, on_event, c);
	if (c->parser == NULL || c->rd == NULL || c->wr == NULL)
		conn_free(c);
	else
		wait_next(c);
}
