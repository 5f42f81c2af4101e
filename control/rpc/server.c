/* SPDX-License-Identifier: BSD-3-Clause */
/* The server and its listeners: who may connect, and how many at once. */
#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conn_int.h"
#include "sl_env.h"
#include "sl_log.h"

#define BACKLOG 32
#define RATE_PLACES 1024 /* principals whose rate is remembered */
#define RECHECK_AT_ONCE 8
#define RECHECK_REST_US 2000

static const struct sl_rpc_limits defaults = {
	.line_max = 1024 * 1024,
	.line_max_stranger = 8 * 1024,
	.values_max = 8192,
	.connections = 32,
	.per_source = 4,
	.login_s = 5,
	.per_second = 200,
	.burst = 400,
	.idle_s = 300,
	.pause = 1024 * 1024,
	.queue_max = 16 * 1024 * 1024,
};

static struct sl_rpc_limits
limits_of(const struct sl_rpc_limits *l)
{
	struct sl_rpc_limits out = l ? *l : defaults;

#define DEFAULT(f) (out.f = out.f ? out.f : defaults.f)
	DEFAULT(line_max);
	DEFAULT(line_max_stranger);
	DEFAULT(values_max);
	DEFAULT(connections);
	DEFAULT(per_source);
	DEFAULT(login_s);
	DEFAULT(per_second);
	DEFAULT(burst);
	DEFAULT(idle_s);
	DEFAULT(pause);
	DEFAULT(queue_max);
#undef DEFAULT
	return out;
}

bool
rpc_may_tell(struct sl_rpc_server *s)
{
	uint64_t now = sl_clock_mono_ns();

	if (s->told_ns && now - s->told_ns < SL_NS_PER_S)
		return false;
	s->told_ns = now;
	return true;
}

static unsigned
strangers_from(const struct sl_rpc_server *s, const struct rpc_listener *l, const struct sl_ip *ip)
{
	struct sl_ip source = throttle_source_of(ip);
	unsigned n = 0;

	for (const struct sl_rpc_conn *c = s->conns; c; c = c->next) {
		struct sl_ip other = throttle_source_of(&c->ip);

		n += c->from == l && !c->caller.who && sl_ip_equal(&other, &source);
	}
	return n;
}

/** All places are taken: the stranger that has waited for the longest time goes, so that many who
 * never log in do not shut out who does. @return false: there is none */
static bool
make_room(struct rpc_listener *l)
{
	struct sl_rpc_conn *oldest = NULL;

	for (struct sl_rpc_conn *c = l->server->conns; c; c = c->next)
		oldest = c->from == l && !c->caller.who ? c : oldest; /* the newest is first */
	if (oldest)
		rpc_conn_free(oldest);
	return oldest != NULL;
}

/** Room for one more? */
static bool
admit(struct rpc_listener *l, const struct sl_ip *ip, const char *label)
{
	struct sl_rpc_server *s = l->server;
	const char *why = NULL;

	if (l->login && strangers_from(s, l, ip) >= l->limits.per_source) {
		s->stats.source_full++;
		why = "too many of this address are not logged in";
	} else if (l->n_conns >= l->limits.connections) {
		s->stats.full++;
		why = make_room(l) ? NULL : "too many are open";
	}
	if (why && rpc_may_tell(s))
		sl_log(SL_LOG_WARN, "rpc", "connection of %s refused: %s", label, why);
	return !why;
}

static void
accept_unix(struct evconnlistener *ev, evutil_socket_t fd, struct sockaddr *sa, int salen,
	    void *arg)
{
	struct sl_principal who = {.roles = SL_SR_BIT(SL_SR_ADMIN)};
	struct ucred cred = {.uid = (uid_t)-1};
	socklen_t len = sizeof(cred);
	struct rpc_listener *l = arg;
	struct sl_ip none = {0};

	(void)ev;
	(void)sa;
	(void)salen;
	l->server->stats.accepted++;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len)) {
		close(fd);
		return;
	}
	snprintf(who.name, sizeof(who.name), "uid:%u", (unsigned)cred.uid);
	if (admit(l, &none, who.name))
		rpc_conn_new(l, fd, &none, &who);
	else
		close(fd);
}

static struct sl_ip
ip_of(const struct sockaddr *sa)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const struct sockaddr_in6 *s6 = (const void *)sa;
	const struct sockaddr_in *s4 = (const void *)sa;

	if (sa->sa_family == AF_INET)
		return sl_ip_v4((const uint8_t *)&s4->sin_addr);
	if (memcmp(&s6->sin6_addr, mapped, sizeof(mapped)) == 0)
		return sl_ip_v4((const uint8_t *)&s6->sin6_addr + 12);
	return sl_ip_v6((const uint8_t *)&s6->sin6_addr);
}

static void
accept_ip(struct evconnlistener *ev, evutil_socket_t fd, struct sockaddr *sa, int salen, void *arg)
{
	static const struct sl_principal local = {.name = "tcp:loopback",
						  .roles = SL_SR_BIT(SL_SR_ADMIN)};
	struct rpc_listener *l = arg;
	struct sl_ip ip = ip_of(sa);
	char text[SL_IP_STR];

	(void)ev;
	(void)salen;
	l->server->stats.accepted++;
	if (admit(l, &ip, sl_ip_str(&ip, text)))
		rpc_conn_new(l, fd, &ip, l->login ? NULL : &local);
	else
		close(fd);
}

static void
accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct sl_rpc_server *s = arg;

	(void)fd;
	(void)what;
	for (struct rpc_listener *l = s->listeners; l; l = l->next)
		evconnlistener_enable(l->ev);
}

/** No descriptor is free: the waiting connection would wake us for ever. Rest a second. */
static void
on_accept_error(struct evconnlistener *ev, void *arg)
{
	struct timeval rest = {.tv_sec = 1};
	struct rpc_listener *l = arg;

	sl_log(SL_LOG_WARN, "rpc", "accept: %s", strerror(errno));
	evconnlistener_disable(ev);
	event_add(l->server->rest, &rest);
}

static void
check_again(struct sl_rpc_conn *c)
{
	const struct sl_rpc_auth *auth = &c->from->auth;
	struct sl_error e;

	if (auth->still(auth->ctx, &c->who, sl_rpc_conn_id(c), &c->ip))
		return;
	sl_log(SL_LOG_NOTICE, "audit", "connection of %s from %s closed: revoked", c->who.name,
	       c->label);
	sl_fail(&e, -EPERM, "revoked", "", "the login of this connection holds no more");
	sl_rpc_conn_close(c, &e);
}

static void
on_recheck(evutil_socket_t fd, short what, void *arg)
{
	struct timeval rest = {.tv_usec = RECHECK_REST_US};
	struct sl_rpc_server *s = arg;
	unsigned n = 0;

	(void)fd;
	(void)what;
	for (struct sl_rpc_conn *c = s->conns; c; c = c->next) {
		if (c->checked == s->rechecks || !c->caller.who || !c->from->auth.still)
			continue;
		if (n++ == RECHECK_AT_ONCE) {
			event_add(s->recheck, &rest);
			return;
		}
		c->checked = s->rechecks;
		check_again(c);
	}
}

void
sl_rpc_server_recheck(struct sl_rpc_server *s)
{
	s->rechecks++;
	event_active(s->recheck, EV_TIMEOUT, 0);
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
	s->recheck = evtimer_new(base, on_recheck, s);
	if (s->rest && s->recheck)
		return s;
	if (s->rest)
		event_free(s->rest);
	if (s->recheck)
		event_free(s->recheck);
	free(s);
	return NULL;
}

static void
listener_free(struct rpc_listener *l)
{
	sl_rate_free(l->rate);
	free(l);
}

void
sl_rpc_server_free(struct sl_rpc_server *s)
{
	if (!s)
		return;
	while (s->conns) {
		rpc_conn_last_answer(s->conns);
		rpc_conn_free(s->conns);
	}
	event_free(s->rest);
	event_free(s->recheck);
	if (s->logins.timer)
		event_free(s->logins.timer);
	while (s->listeners) {
		struct rpc_listener *l = s->listeners;

		s->listeners = l->next;
		evconnlistener_free(l->ev);
		if (l->unix_path)
			unlink(l->unix_path);
		free(l->unix_path);
		listener_free(l);
	}
	free(s);
}

void
sl_rpc_server_stats(const struct sl_rpc_server *s, struct sl_rpc_server_stats *out)
{
	*out = s->stats;
	memcpy(out->tls_failed, s->tls_failures.n, sizeof(out->tls_failed));
	for (const struct sl_rpc_conn *c = s->conns; c; c = c->next) {
		out->connections++;
		out->strangers += !c->caller.who;
	}
}

void
sl_rpc_server_each(struct sl_rpc_server *s, void (*fn)(void *ctx, struct sl_rpc_conn *c), void *ctx)
{
	for (struct sl_rpc_conn *c = s->conns, *next; c; c = next) {
		next = c->next;
		fn(ctx, c);
	}
}

/* --- listeners ------------------------------------------------------------------------------ */

static struct rpc_listener *
listener_new(struct sl_rpc_server *s, enum sl_rpc_via via, const struct sl_rpc_limits *limits,
	     struct sl_error *e)
{
	struct rpc_listener *l = calloc(1, sizeof(*l));

	if (!l) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	l->server = s;
	l->via = via;
	l->limits = limits_of(limits);
	return l;
}

/** @return 0 or -errno; `l` is the server's or freed */
static int
listener_bind(struct rpc_listener *l, evconnlistener_cb on_accept, const struct sockaddr *sa,
	      socklen_t len)
{
	unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC;
	int rc;

	if (sa->sa_family != AF_UNIX)
		flags |= LEV_OPT_REUSEABLE;
	l->ev = evconnlistener_new_bind(l->server->base, on_accept, l, flags, BACKLOG, sa,
					(int)len);
	if (!l->ev) {
		rc = errno ? -errno : -EINVAL;
		listener_free(l);
		return rc;
	}
	evconnlistener_set_error_cb(l->ev, on_accept_error);
	l->next = l->server->listeners;
	l->server->listeners = l;
	return 0;
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
	struct rpc_listener *l;
	mode_t old;
	int rc;

	if (strlen(path) >= sizeof(sa.sun_path))
		return sl_fail(e, -ENAMETOOLONG, "socket", "/control/socket",
			       "%s is longer than 107 characters", path);
	strncpy(sa.sun_path, path, sizeof(sa.sun_path) - 1);
	rc = clear_stale(&sa, e);
	if (rc)
		return rc;
	l = listener_new(s, SL_RPC_VIA_UNIX, NULL, e);
	if (!l)
		return -ENOMEM;
	old = umask(0177);
	rc = listener_bind(l, accept_unix, (struct sockaddr *)&sa, sizeof(sa));
	umask(old);
	if (rc) {
		sl_fail(e, rc, "socket", "/control/socket", "%s: %s", path, strerror(-rc));
		sl_hint(e, "is its directory there? See control.socket and system.run_dir");
		return rc;
	}
	l->unix_path = strdup(path);
	return set_owner(path, group, e);
}

bool
sl_rpc_is_loopback(const struct sl_ip *ip)
{
	static const uint8_t v6[16] = {[15] = 1};

	return ip->family == 4 ? ip->b[0] == 127 : memcmp(ip->b, v6, 16) == 0;
}

static int
bind_ip(struct rpc_listener *l, const struct sl_endpoint *at, const char *path, struct sl_error *e)
{
	struct sockaddr_storage sa;
	socklen_t len = sl_endpoint_sockaddr(at, &sa);
	char text[SL_ENDPOINT_STR];
	int rc;

	sl_endpoint_str(at, text);
	if (!l->tls && !sl_rpc_is_loopback(&at->ip)) {
		listener_free(l);
		sl_fail(e, -EINVAL, "not_loopback", path, "%s is not a loopback address", text);
		sl_hint(e, "127.0.0.1:7480; without encryption nothing else is served");
		return -EINVAL;
	}
	rc = listener_bind(l, accept_ip, (struct sockaddr *)&sa, len);
	if (rc) {
		sl_fail(e, rc, "socket", path, "%s: %s", text, strerror(-rc));
		sl_hint(e, "is the address one of this host, and the port free?");
	}
	return rc;
}

int
sl_rpc_server_tcp(struct sl_rpc_server *s, const struct sl_endpoint *at, struct sl_error *e)
{
	struct rpc_listener *l = listener_new(s, SL_RPC_VIA_TCP, NULL, e);

	return l ? bind_ip(l, at, "/control/tcp", e) : -ENOMEM;
}

int
sl_rpc_server_tls(struct sl_rpc_server *s, const struct sl_endpoint *at, struct sl_tls *tls,
		  const struct sl_rpc_auth *auth, const struct sl_rpc_limits *limits,
		  struct sl_error *e)
{
	struct rpc_listener *l = listener_new(s, SL_RPC_VIA_TCP, limits, e);

	if (!l)
		return -ENOMEM;
	l->rate = sl_rate_new(l->limits.per_second, l->limits.burst, RATE_PLACES);
	if (!l->rate) {
		listener_free(l);
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	}
	l->tls = tls;
	l->auth = *auth;
	l->login = true;
	return bind_ip(l, at, "/listen", e);
}
