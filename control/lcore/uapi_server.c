/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "uapi_int.h"

#define BACKLOG 16
#define RETRY_NS (5 * SL_NS_PER_S)

static void
sock_path(const char *iface, struct sockaddr_un *sa)
{
	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(sa->sun_path, sizeof(sa->sun_path), "%s/%.15s.sock", SL_UAPI_DIR, iface);
}

/* A socket file of a dead process refuses connections. @return -EADDRINUSE if somebody listens */
static int
remove_stale(const struct sockaddr_un *sa)
{
	int fd, rc, err;

	if (access(sa->sun_path, F_OK) != 0)
		return 0;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	rc = connect(fd, (const struct sockaddr *)sa, sizeof(*sa));
	err = errno;
	close(fd);
	if (rc != 0 && err == ECONNREFUSED)
		return unlink(sa->sun_path) == 0 ? 0 : -errno;
	return rc != 0 && err == ENOENT ? 0 : -EADDRINUSE;
}

static int
listen_at(const struct sockaddr_un *sa, int *out)
{
	int fd, rc = remove_stale(sa);
	mode_t mask;

	if (rc != 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	mask = umask(0177);
	rc = bind(fd, (const struct sockaddr *)sa, sizeof(*sa));
	umask(mask);
	if (rc == 0)
		rc = listen(fd, BACKLOG);
	if (rc != 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct uapi_sock *k = arg;
	int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (c >= 0)
		uapi_conn_new(k->server, k->iface, c);
}

static void
sock_open(struct uapi_sock *k)
{
	struct sockaddr_un sa;
	struct stat st;
	bool first = k->tried_ns == 0;
	int rc;

	k->tried_ns = sl_clock_mono_ns();
	sock_path(k->iface, &sa);
	rc = listen_at(&sa, &k->fd);
	if (rc != 0) {
		k->server->missing = true;
		if (first)
			sl_log(SL_LOG_WARN, "uapi", "%s: %s; `wg` cannot see %s", sa.sun_path,
			       rc == -EADDRINUSE ? "another program serves it" : strerror(-rc),
			       k->iface);
		return;
	}
	if (stat(sa.sun_path, &st) == 0) {
		k->dev = st.st_dev;
		k->ino = st.st_ino;
	}
	k->accept = event_new(k->server->base, k->fd, EV_READ | EV_PERSIST, on_accept, k);
	if (k->accept != NULL)
		event_add(k->accept, NULL);
}

static void
sock_close(struct uapi_sock *k)
{
	struct sockaddr_un sa;
	struct stat st;

	uapi_conns_close(k->server, k->iface);
	if (k->accept != NULL)
		event_free(k->accept);
	if (k->fd >= 0) {
		sock_path(k->iface, &sa);
		if (stat(sa.sun_path, &st) == 0 && st.st_dev == k->dev && st.st_ino == k->ino)
			unlink(sa.sun_path);
		close(k->fd);
	}
	free(k);
}

static struct uapi_sock *
sock_new(struct sl_uapi_server *s, const char *iface)
{
	struct uapi_sock *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->server = s;
	k->fd = -1;
	snprintf(k->iface, sizeof(k->iface), "%s", iface);
	sock_open(k);
	return k;
}

struct names {
	const char *name[SL_IFACE_MAX];
};

static void
note_iface(void *ctx, const struct sl_gw_iface_info *i)
{
	struct names *n = ctx;

	n->name[i->id] = i->name;
}

static void
follow(struct sl_uapi_server *s)
{
	struct names n = {0};
	unsigned i;

	sl_gw_iface_walk(s->gw, note_iface, &n);
	for (i = 0; i < SL_IFACE_MAX; i++) {
		struct uapi_sock *k = s->sock[i];

		if (k != NULL && (n.name[i] == NULL || strcmp(k->iface, n.name[i]) != 0)) {
			sock_close(k);
			s->sock[i] = k = NULL;
		}
		if (k == NULL && n.name[i] != NULL)
			s->sock[i] = sock_new(s, n.name[i]);
	}
}

static void
retry_missing(struct sl_uapi_server *s)
{
	uint64_t now_ns = sl_clock_mono_ns();
	unsigned i;

	s->missing = false;
	for (i = 0; i < SL_IFACE_MAX; i++) {
		struct uapi_sock *k = s->sock[i];

		if (k == NULL || k->fd >= 0)
			continue;
		s->missing = true;
		if (now_ns - k->tried_ns >= RETRY_NS)
			sock_open(k);
	}
}

void
sl_uapi_server_sync(struct sl_uapi_server *s)
{
	if (s == NULL)
		return;
	if (s->generation != sl_gw_generation(s->gw)) {
		s->generation = sl_gw_generation(s->gw);
		follow(s);
	}
	if (s->missing)
		retry_missing(s);
}

struct sl_uapi_server *
sl_uapi_server_new(struct event_base *base, struct sl_gw *gw, struct sl_error *e)
{
	struct sl_uapi_server *s;

	if (mkdir(SL_UAPI_DIR, 0755) != 0 && errno != EEXIST) {
		int err = errno;

		sl_fail(e, -err, "uapi_dir", "", "cannot make %s: %s", SL_UAPI_DIR, strerror(err));
		sl_hint(e, "start as root, or turn the UAPI off");
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "out of memory");
		return NULL;
	}
	s->base = base;
	s->gw = gw;
	sl_uapi_server_sync(s);
	return s;
}

void
sl_uapi_server_free(struct sl_uapi_server *s)
{
	unsigned i;

	if (s == NULL)
		return;
	uapi_conns_close(s, NULL);
	for (i = 0; i < SL_IFACE_MAX; i++) {
		if (s->sock[i] != NULL)
			sock_close(s->sock[i]);
	}
	free(s);
}
