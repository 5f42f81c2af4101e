/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses of the server, one after the other. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "client_int.h"
#include "sl_rpc_server.h"

/** evdns calls back even after a request was cancelled: this outlives the client then. */
struct lookup {
	struct sl_rpc_client *client;
	struct evdns_getaddrinfo_request *request;
};

int
client_check(const struct sl_rpc_client_conf *conf, struct sl_error *e)
{
	struct sl_ip ip = {0};
	bool address = sl_ip_parse(conf->host, &ip) == 0;

	if (!conf->host[0] || conf->port == 0 || (!address && !conf->dns)) {
		sl_fail(e, -EINVAL, "address_invalid", "/host", "\"%.100s\" port %u is no address",
			conf->host, conf->port);
		return -EINVAL;
	}
	if (!conf->tls && !(address && sl_rpc_is_loopback(&ip))) {
		sl_fail(e, -EINVAL, "not_loopback", "/host",
			"%.100s is no loopback address, and the connection would be in clear",
			conf->host);
		sl_hint(e, "give it TLS");
		return -EINVAL;
	}
	return 0;
}

void
client_hang_up(struct sl_rpc_client *c)
{
	struct lookup *l = c->lookup;

	c->lookup = NULL;
	if (l) {
		l->client = NULL;
		evdns_getaddrinfo_cancel(l->request);
	}
	if (c->bev)
		bufferevent_free(c->bev);
	c->bev = NULL;
}

/** Dial the address that is on. */
static void
dial_address(struct sl_rpc_client *c)
{
	struct sockaddr_storage sa;
	socklen_t len = sl_endpoint_sockaddr(&c->address[c->at], &sa);

	c->bev = c->conf.tls
			 ? sl_tls_connect(c->conf.tls, c->conf.base, c->host)
			 : bufferevent_socket_new(c->conf.base, -1,
						  BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!c->bev) {
		client_fail(c, -ENOMEM, "no_memory", "no memory");
		return;
	}
	client_callbacks(c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(c->bev, (struct sockaddr *)&sa, (int)len))
		client_dial_failed(c);
}

/** Why the connection did not come about. */
static void
explain(struct sl_rpc_client *c)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int err = EVUTIL_SOCKET_ERROR(), fd = bufferevent_getfd(c->bev);
	char why[160];

	if (c->conf.tls && fd >= 0 && getpeername(fd, (struct sockaddr *)&sa, &len) == 0) {
		sl_tls_why(c->bev, why, sizeof(why));
		client_fail(c, -EACCES, "tls", why[0] ? why : "the handshake failed");
		return;
	}
	client_fail(c, -ECONNREFUSED, "unreachable", err ? strerror(err) : "no connection");
}

void
client_dial_failed(struct sl_rpc_client *c)
{
	if (c->at + 1 >= c->n_addresses) {
		explain(c);
		return;
	}
	c->at++;
	client_hang_up(c);
	event_active(c->kick, EV_TIMEOUT, 0);
}

static void
keep_addresses(struct sl_rpc_client *c, const struct evutil_addrinfo *list)
{
	for (; list && c->n_addresses < CLIENT_ADDRESSES; list = list->ai_next) {
		const struct sockaddr_in6 *s6 = (const void *)list->ai_addr;
		const struct sockaddr_in *s4 = (const void *)list->ai_addr;
		struct sl_endpoint *at = &c->address[c->n_addresses];

		at->port = c->conf.port;
		if (list->ai_family == AF_INET)
			at->ip = sl_ip_v4((const uint8_t *)&s4->sin_addr);
		else if (list->ai_family == AF_INET6)
			at->ip = sl_ip_v6((const uint8_t *)&s6->sin6_addr);
		c->n_addresses += list->ai_family == AF_INET || list->ai_family == AF_INET6;
	}
}

static void
on_resolved(int err, struct evutil_addrinfo *list, void *arg)
{
	struct lookup *l = arg;
	struct sl_rpc_client *c = l->client;

	if (c) {
		c->lookup = NULL;
		keep_addresses(c, list);
	}
	if (list)
		evutil_freeaddrinfo(list);
	free(l);
	if (c && c->n_addresses)
		event_active(c->kick, EV_TIMEOUT, 0);
	else if (c)
		client_fail(c, -EHOSTUNREACH, "unreachable", evutil_gai_strerror(err));
}

static void
resolve(struct sl_rpc_client *c)
{
	struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct evdns_getaddrinfo_request *request;
	struct lookup *l = calloc(1, sizeof(*l));

	if (!l) {
		client_fail(c, -ENOMEM, "no_memory", "no memory");
		return;
	}
	l->client = c;
	c->lookup = l;
	/* NULL: it has called back already, and `l` and perhaps `c` are gone */
	request = evdns_getaddrinfo(c->conf.dns, c->host, NULL, &hints, on_resolved, l);
	if (request)
		l->request = request;
}

void
client_dial(struct sl_rpc_client *c)
{
	struct sl_endpoint at = {.port = c->conf.port};

	if (c->n_addresses) {
		dial_address(c);
	} else if (sl_ip_parse(c->host, &at.ip) == 0) {
		c->address[0] = at;
		c->n_addresses = 1;
		dial_address(c);
	} else {
		resolve(c);
	}
}
