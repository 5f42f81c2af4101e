/* SPDX-License-Identifier: BSD-3-Clause */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sluicectl.h"
#include "sl_json.h"

#define TIMEOUT_S 60
#define ANSWER_MAX (256UL * 1024 * 1024)

struct client {
	struct remote *remote; /* TLS; the rest is not used then */
	int fd;
	FILE *in;
	json_int_t id;
};

static int
unreachable(struct sl_error *e, const char *at, int err)
{
	sl_fail(e, -err, "unreachable", "", "no gateway answers at %.200s: %s", at, strerror(err));
	if (err == EACCES || err == EPERM)
		sl_hint(e, "run it as root, or as a member of the group in control.socket_group");
	else
		sl_hint(e, "is sluiced running? -s SOCKET, --instance NAME or SLUICE_SOCKET name "
			   "another one");
	return -err;
}

static int
dial_unix(const char *path, struct sl_error *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path))
		return unreachable(e, path, ENAMETOOLONG);
	strncpy(sa.sun_path, path, sizeof(sa.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		unreachable(e, path, errno);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static int
dial_tcp(const char *at, struct sl_error *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char host[256];
	const char *colon = strrchr(at, ':');
	int fd = -1, err = EINVAL;

	if (!colon || colon == at || !colon[1] || (size_t)(colon - at) >= sizeof(host)) {
		sl_fail(e, -EINVAL, "usage", "", "\"%.60s\" is not HOST:PORT", at);
		sl_hint(e, "--tcp 127.0.0.1:7480");
		return -1;
	}
	snprintf(host, sizeof(host), "%.*s", (int)(colon - at), at);
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		memmove(host, host + 1, strlen(host));
		host[strlen(host) - 1] = 0;
	}
	if (getaddrinfo(host, colon + 1, &hints, &list)) {
		unreachable(e, at, EHOSTUNREACH);
		return -1;
	}
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen)) {
			err = errno;
			close(fd);
			fd = -1;
		}
	}
	freeaddrinfo(list);
	if (fd < 0)
		unreachable(e, at, err);
	return fd;
}

struct client *
client_open(const char *socket, const char *tcp, const struct remote_conf *tls, int *status,
	    struct sl_error *e)
{
	struct timeval tv = {.tv_sec = TIMEOUT_S};
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	c->fd = -1;
	if (tls->at) {
		c->remote = remote_open(tls, status, e);
		if (c->remote)
			return c;
		client_close(c);
		return NULL;
	}
	c->fd = tcp ? dial_tcp(tcp, e) : dial_unix(socket, e);
	*status = strcmp(e->reason, "usage") == 0 ? EXIT_USAGE : EXIT_UNREACHABLE;
	if (c->fd >= 0) {
		setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
		c->in = fdopen(c->fd, "r");
	}
	if (c->in)
		return c;
	if (!e->err)
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	client_close(c);
	return NULL;
}

void
client_close(struct client *c)
{
	if (!c)
		return;
	remote_close(c->remote);
	if (c->in)
		fclose(c->in);
	else if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static int
send_line(struct client *c, const char *line, size_t n)
{
	while (n) {
		ssize_t r = send(c->fd, line, n, MSG_NOSIGNAL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		line += r;
		n -= (size_t)r;
	}
	return 0;
}

static int
exit_code_of(json_int_t code)
{
	switch (code) {
	case -32003:
		return EXIT_NOT_FOUND;
	case -32005:
		return EXIT_CONFLICT;
	default:
		return EXIT_FAILED;
	}
}

static int
judge(json_t *answer, json_t **result, struct sl_error *e)
{
	json_t *err = json_object_get(answer, "error"), *data = json_object_get(err, "data");

	*result = json_incref(json_object_get(answer, "result"));
	if (*result)
		return 0;
	if (!err) {
		sl_fail(e, -EPROTO, "protocol", "", "the answer is not JSON-RPC 2.0");
		sl_hint(e, "does something else listen there?");
		return EXIT_FAILED;
	}
	sl_fail(e, -EIO, sl_json_text(data, "reason"), sl_json_text(data, "path"), "%s",
		sl_json_text(err, "message"));
	if (sl_json_text(data, "hint")[0])
		sl_hint(e, "%s", sl_json_text(data, "hint"));
	e->retry_after_ms = (uint32_t)json_integer_value(json_object_get(data, "retry_after_ms"));
	return exit_code_of(json_integer_value(json_object_get(err, "code")));
}

int
client_call(struct client *c, const char *method, json_t *params, json_t **result,
	    struct sl_error *e)
{
	char *line, *answer = NULL;
	json_t *request, *in = NULL;
	size_t size = 0;
	ssize_t n;
	int rc;

	if (c->remote)
		return remote_call(c->remote, method, params, result, e);
	request = json_pack("{s:s, s:I, s:s, s:O}", "jsonrpc", "2.0", "id", ++c->id, "method",
			    method, "params", params);
	line = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	*result = NULL;
	if (!line) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return EXIT_FAILED;
	}
	rc = send_line(c, line, strlen(line));
	rc = rc ? rc : send_line(c, "\n", 1);
	free(line);
	n = rc ? -1 : getline(&answer, &size, c->in);
	if (n > 0 && (size_t)n < ANSWER_MAX)
		in = json_loadb(answer, (size_t)n, 0, NULL);
	free(answer);
	if (n <= 0) {
		sl_fail(e, -EPIPE, "unreachable", "", "the gateway closed the connection");
		sl_hint(e, "it serves at most 32 of them, and its log tells why");
		return EXIT_UNREACHABLE;
	}
	rc = judge(in, result, e);
	json_decref(in);
	return rc;
}
