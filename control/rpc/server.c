/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets of JSON-RPC on the control loop. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "sl_log.h"
#include "sl_rpc_server.h"

#define LINE_MAX_BYTES (1024 * 1024)
#define OUT_PAUSE_BYTES (1024 * 1024) /* answers that wait: requests are not read meanwhile */
#define CONNECTIONS_MAX 32
#define IDLE_S 300
#define LINES_PER_TURN 16
#define DRAIN_MAX_BYTES (16 * 1024 * 1024)
#define LINGER_S 2 /* for a client to read why it is being closed */

struct conn {
	struct sl_rpc_server *server;
	struct conn *next, **pprev;
	struct bufferevent *bev;
	struct sl_rpc_caller caller;
	char principal[64];
	struct sl_rpc_line *line; /* its answer comes later: nothing is handled meanwhile */
	bool answering;		  /* in the call that reads lines */
	bool paused;		  /* its answers wait: nothing is read */
	bool ended;		  /* it has sent everything: answer what is there, then close */
	bool closing;		  /* one last answer; what still comes is thrown away */
	size_t drained;
};

struct sl_rpc_server {
	struct event_base *base;
	struct sl_rpc *rpc;
	struct evconnlistener *unix_listener, *tcp_listener;
	struct event *rest; /* accept again */
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
	if (c->line)
		sl_rpc_line_cancel(c->line);
	bufferevent_free(c->bev);
	free(c);
}

static void
answer_and_close(struct conn *c, const char *line)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct timeval linger = {.tv_sec = LINGER_S};

	bufferevent_write(c->bev, line, strlen(line));
	c->closing = true;
	evbuffer_drain(in, evbuffer_get_length(in));
	bufferevent_set_timeouts(c->bev, &linger, &linger);
}

static void
line_too_long(struct conn *c)
{
	answer_and_close(c, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,"
			    "\"message\":\"a line is longer than 1 MiB\","
			    "\"data\":{\"reason\":\"line_too_long\"}}}\n");
}

/** An answer, at once or later. */
static void
on_answer(void *ctx, char *answer)
{
	struct conn *c = ctx;

	c->line = NULL;
	if (answer) {
		bufferevent_write(c->bev, answer, strlen(answer));
		bufferevent_write(c->bev, "\n", 1);
		free(answer);
	}
	if (!c->answering) /* go on with what has come meanwhile */
		bufferevent_trigger(c->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

/** Handle one whole line. @return false when the connection was freed or is closing. */
static bool
handle_line(struct conn *c, const char *line, size_t len)
{
	if (len == 0 || (len == 1 && line[0] == '\r'))
		return true;
	if (line[0] != '{' && line[0] != '[') {
		conn_free(c); /* another protocol: not a word */
		return false;
	}
	if (len > LINE_MAX_BYTES) {
		line_too_long(c);
		return false;
	}
	c->answering = true;
	c->line = sl_rpc_line_start(c->server->rpc, &c->caller, line, len, on_answer, c);
	c->answering = false;
	return true;
}

static bool
has_line(struct evbuffer *in)
{
	return evbuffer_search_eol(in, NULL, NULL, EVBUFFER_EOL_LF).pos >= 0;
}

/** Does a connection speak another protocol? Known from its first byte. */
static bool
is_foreign(struct evbuffer *in)
{
	unsigned char first;

	return evbuffer_copyout(in, &first, 1) == 1 && !memchr("{[\n\r", first, 4);
}

/** Go on with what has arrived. */
static void
on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev), *out = bufferevent_get_output(bev);
	struct conn *c = arg;
	size_t len;

	if (c->closing) {
		c->drained += evbuffer_get_length(in);
		evbuffer_drain(in, evbuffer_get_length(in));
		if (c->drained > DRAIN_MAX_BYTES)
			conn_free(c);
		return;
	}
	if (c->line) /* the answer to an earlier line goes first */
		return;
	if (is_foreign(in)) {
		conn_free(c);
		return;
	}
	for (unsigned i = 0; i < LINES_PER_TURN && !c->paused && !c->line; i++) {
		char *line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
		bool alive;

		if (!line)
			break;
		alive = handle_line(c, line, len);
		free(line);
		if (!alive)
			return;
		c->paused = evbuffer_get_length(out) > OUT_PAUSE_BYTES;
	}
	if (c->paused)
		bufferevent_disable(bev, EV_READ);
	else if (c->line)
		return;
	else if (has_line(in))
		bufferevent_trigger(bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
	else if (evbuffer_get_length(in) > LINE_MAX_BYTES)
		line_too_long(c);
	else if (c->ended && evbuffer_get_length(out) == 0)
		conn_free(c);
}

/** All answers are written. */
static void
on_write(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	if (c->closing) {
		shutdown(bufferevent_getfd(bev), SHUT_WR);
		return;
	}
	if (c->paused) {
		c->paused = false;
		if (!c->ended)
			bufferevent_enable(bev, EV_READ);
	}
	if (has_line(bufferevent_get_input(bev)))
		bufferevent_trigger(bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
	else if (c->ended && !c->line)
		conn_free(c);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct conn *c = arg;
	bool more = c->line || has_line(bufferevent_get_input(bev)) ||
		    evbuffer_get_length(bufferevent_get_output(bev)) > 0;

	if (!(what & BEV_EVENT_EOF) || c->closing || !more) {
		conn_free(c); /* an error, idle for too long, or nothing left to answer */
		return;
	}
	c->ended = true;
	bufferevent_trigger(bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
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

static void
accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct sl_rpc_server *s = arg;

	(void)fd;
	(void)what;
	if (s->unix_listener)
		evconnlistener_enable(s->unix_listener);
	if (s->tcp_listener)
		evconnlistener_enable(s->tcp_listener);
}

/** No descriptor is free: the waiting connection would wake us for ever. Rest a second. */
static void
on_accept_error(struct evconnlistener *l, void *arg)
{
	struct timeval rest = {.tv_sec = 1};
	struct sl_rpc_server *s = arg;

	sl_log(SL_LOG_WARN, "rpc", "accept: %s", strerror(errno));
	evconnlistener_disable(l);
	event_add(s->rest, &rest);
}

struct sl_rpc_server *
sl_rpc_server_new(struct event_base *base, struct sl_rpc *rpc)
{
	struct sl_rpc_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	signal(SIGPIPE, SIG_IGN); /* a client that goes away is an error of write() */
	s->base = base;
	s->rpc = rpc;
	s->rest = evtimer_new(base, accept_again, s);
	if (!s->rest) {
		free(s);
		return NULL;
	}
	return s;
}

/** The loop has ended, perhaps by a call whose answer still waits here: send what goes. */
static void
last_answer(struct conn *c)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	/* a bufferevent keeps the front of its output to itself while the loop runs */
	evbuffer_unfreeze(out, 1);
	if (evbuffer_get_length(out) && evbuffer_write(out, bufferevent_getfd(c->bev)) < 0)
		sl_log(SL_LOG_DEBUG, "rpc", "a last answer was not taken");
}

void
sl_rpc_server_free(struct sl_rpc_server *s)
{
	if (!s)
		return;
	while (s->conns) {
		last_answer(s->conns);
		conn_free(s->conns);
	}
	event_free(s->rest);
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
	struct stat st;
	int fd, rc, err;

	if (lstat(sa->sun_path, &st))
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		sl_fail(e, -EEXIST, "socket_path", "/control/socket", "%s is there and no socket",
			sa->sun_path);
		sl_hint(e, "set control.socket to another path");
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return sl_fail(e, -errno, "socket", "", "socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa));
	err = errno;
	close(fd);
	if (rc == 0) {
		sl_fail(e, -EADDRINUSE, "socket_in_use", "/control/socket",
			"%s is served by another process", sa->sun_path);
		sl_hint(e, "stop it, or set control.socket to another path");
		return -EADDRINUSE;
	}
	if (err == ECONNREFUSED)
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
	if (!s->unix_listener) {
		sl_fail(e, -rc, "socket", "/control/socket", "%s: %s", path, strerror(rc));
		sl_hint(e, "is its directory there? See control.socket and system.run_dir");
		return -rc;
	}
	evconnlistener_set_error_cb(s->unix_listener, on_accept_error);
	s->unix_path = strdup(path);
	return set_owner(path, group, e);
}

bool
sl_rpc_is_loopback(const struct sl_ip *ip)
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
	if (!sl_rpc_is_loopback(&at->ip)) {
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
	evconnlistener_set_error_cb(s->tcp_listener, on_accept_error);
	return 0;
}
