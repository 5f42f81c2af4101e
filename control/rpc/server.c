/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets of JSON-RPC on the control loop. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sl_log.h"
#include "sl_rpc_server.h"

#define LINE_MAX_BYTES (1024 * 1024)
#define OUT_MAX_BYTES (32 * 1024 * 1024)
#define CONNECTIONS_MAX 32
#define IDLE_S 300
#define LINES_PER_TURN 16

struct conn {
	struct sl_rpc_server *server;
	struct conn *next, **pprev;
	struct bufferevent *bev;
	struct sl_rpc_caller caller;
	char principal[64];
	bool closing; /* answer, then close */
};

struct sl_rpc_server {
	struct event_base *base;
	struct sl_rpc *rpc;
	struct evconnlistener *unix_listener, *tcp_listener;
	char *unix_path;
	struct conn *conns;
	unsigned n_conns;
};

static void
conn_free(struct conn *c)
{
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
	c->server->n_conns--;
	bufferevent_free(c->bev);
	free(c);
}

static void
answer_and_close(struct conn *c, const char *line)
{
	bufferevent_write(c->bev, line, strlen(line));
	c->closing = true;
	bufferevent_disable(c->bev, EV_READ);
}

/** Handle one whole line. @return false when the connection was freed or is closing. */
static bool
handle_line(struct conn *c, char *line, size_t len)
{
	char *out;

	if (len == 0 || (len == 1 && line[0] == '\r'))
		return true;
	if (line[0] != '{' && line[0] != '[') {
		conn_free(c); /* another protocol: not a word */
		return false;
	}
	out = sl_rpc_line(c->server->rpc, &c->caller, line, len);
	if (!out)
		return true;
	bufferevent_write(c->bev, out, strlen(out));
	bufferevent_write(c->bev, "\n", 1);
	free(out);
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) > OUT_MAX_BYTES) {
		conn_free(c); /* does not read its answers */
		return false;
	}
	return true;
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct conn *c = arg;
	unsigned char first;
	size_t len;
	char *line;

	if (evbuffer_copyout(in, &first, 1) == 1 && first != '{' && first != '[' && first != '\n' &&
	    first != '\r') {
		conn_free(c);
		return;
	}
	for (unsigned i = 0; i < LINES_PER_TURN; i++) {
		bool alive;

		line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
		if (!line)
			break;
		alive = len <= LINE_MAX_BYTES && handle_line(c, line, len);
		if (len > LINE_MAX_BYTES)
			conn_free(c);
		free(line);
		if (!alive)
			return;
	}
	if (evbuffer_get_length(in) > LINE_MAX_BYTES)
		answer_and_close(
			c,
			"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":"
			"\"a line is longer than 1 "
			"MiB\",\"data\":{\"reason\":\"line_too_long\"}}}\n");
	else if (evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_LF).pos >= 0)
		bufferevent_trigger(bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

static void
on_write(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	(void)bev;
	if (c->closing)
		conn_free(c);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what; /* end of file, error or idle for too long: all end the connection */
	conn_free(arg);
}

static void
on_accept(struct sl_rpc_server *s, evutil_socket_t fd, enum sl_rpc_via via, const char *principal)
{
	struct timeval idle = {.tv_sec = IDLE_S};
	struct conn *c;

	if (s->n_conns >= CONNECTIONS_MAX) {
		sl_log(SL_LOG_WARN, "rpc", "connection of %s refused: %u are open", principal,
		       s->n_conns);
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c)
		c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c || !c->bev) {
		free(c);
		close(fd);
		return;
	}
	c->server = s;
	snprintf(c->principal, sizeof(c->principal), "%s", principal);
	c->caller = (struct sl_rpc_caller){.via = via, .principal = c->principal};
	c->next = s->conns;
	c->pprev = &s->conns;
	if (c->next)
		c->next->pprev = &c->next;
	s->conns = c;
	s->n_conns++;
	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, LINE_MAX_BYTES + 4096);
	bufferevent_set_timeouts(c->bev, &idle, &idle);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static void
accept_unix(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int salen, void *arg)
{
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);
	char who[32];

	(void)l;
	(void)sa;
	(void)salen;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len)) {
		close(fd);
		return;
	}
	snprintf(who, sizeof(who), "uid:%u", (unsigned)cred.uid);
	on_accept(arg, fd, SL_RPC_VIA_UNIX, who);
}

static void
accept_tcp(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int salen, void *arg)
{
	(void)l;
	(void)sa;
	(void)salen;
	on_accept(arg, fd, SL_RPC_VIA_TCP, "tcp:loopback");
}

struct sl_rpc_server *
sl_rpc_server_new(struct event_base *base, struct sl_rpc *rpc)
{
	struct sl_rpc_server *s = calloc(1, sizeof(*s));

	if (s) {
		s->base = base;
		s->rpc = rpc;
	}
	return s;
}

void
sl_rpc_server_free(struct sl_rpc_server *s)
{
	if (!s)
		return;
	while (s->conns)
		conn_free(s->conns);
	if (s->unix_listener)
		evconnlistener_free(s->unix_listener);
	if (s->tcp_listener)
		evconnlistener_free(s->tcp_listener);
	if (s->unix_path)
		unlink(s->unix_path);
	free(s->unix_path);
	free(s);
}

/** Does somebody listen there? A file that nobody serves is removed. */
static int
clear_stale(const struct sockaddr_un *sa, struct sl_error *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return sl_fail(e, -errno, "socket", "", "socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa));
	close(fd);
	if (rc == 0) {
		sl_fail(e, -EADDRINUSE, "socket_in_use", "/control/socket",
			"%s is served by another process", sa->sun_path);
		sl_hint(e, "stop it, or set control.socket to another path");
		return -EADDRINUSE;
	}
	if (errno == ECONNREFUSED)
		unlink(sa->sun_path);
	return 0;
}

static int
set_owner(const char *path, const char *group, struct sl_error *e)
{
	const struct group *gr = group && group[0] ? getgrnam(group) : NULL;

	if (group && group[0] && !gr) {
		sl_fail(e, -ENOENT, "group_unknown", "/control/socket_group",
			"no group \"%s\" on this host", group);
		sl_hint(e, "groupadd --system %s", group);
		return -ENOENT;
	}
	if (chmod(path, gr ? 0660 : 0600) || (gr && chown(path, 0, gr->gr_gid)))
		return sl_fail(e, -errno, "socket", "/control/socket", "%s: %s", path,
			       strerror(errno));
	return 0;
}

int
sl_rpc_server_unix(struct sl_rpc_server *s, const char *path, const char *group, struct sl_error *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	mode_t old;
	int rc;

	if (strlen(path) >= sizeof(sa.sun_path))
		return sl_fail(e, -ENAMETOOLONG, "socket", "/control/socket",
			       "%s is longer than 107 characters", path);
	strncpy(sa.sun_path, path, sizeof(sa.sun_path) - 1);
	rc = clear_stale(&sa, e);
	if (rc)
		return rc;
	old = umask(0177);
	s->unix_listener = evconnlistener_new_bind(s->base, accept_unix, s,
						   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
						   32, (struct sockaddr *)&sa, sizeof(sa));
	rc = errno;
	umask(old);
	if (!s->unix_listener)
		return sl_fail(e, -rc, "socket", "/control/socket", "%s: %s", path, strerror(rc));
	s->unix_path = strdup(path);
	return set_owner(path, group, e);
}

static bool
is_loopback(const struct sl_ip *ip)
{
	static const uint8_t v6[16] = {[15] = 1};

	return ip->family == 4 ? ip->b[0] == 127 : memcmp(ip->b, v6, 16) == 0;
}

int
sl_rpc_server_tcp(struct sl_rpc_server *s, const struct sl_endpoint *at, struct sl_error *e)
{
	struct sockaddr_in s4 = {.sin_family = AF_INET, .sin_port = htons(at->port)};
	struct sockaddr_in6 s6 = {.sin6_family = AF_INET6, .sin6_port = htons(at->port)};
	char text[SL_ENDPOINT_STR];

	sl_endpoint_str(at, text);
	if (!is_loopback(&at->ip)) {
		sl_fail(e, -EINVAL, "not_loopback", "/control/tcp", "%s is not a loopback address",
			text);
		sl_hint(e, "127.0.0.1:7480; without encryption nothing else is served");
		return -EINVAL;
	}
	memcpy(&s4.sin_addr, at->ip.b, 4);
	memcpy(&s6.sin6_addr, at->ip.b, 16);
	s->tcp_listener = evconnlistener_new_bind(
		s->base, accept_tcp, s,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 32,
		at->ip.family == 4 ? (struct sockaddr *)&s4 : (struct sockaddr *)&s6,
		at->ip.family == 4 ? sizeof(s4) : sizeof(s6));
	if (!s->tcp_listener)
		return sl_fail(e, -errno, "socket", "/control/tcp", "%s: %s", text,
			       strerror(errno));
	return 0;
}
