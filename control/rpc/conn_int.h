/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The server's inner parts: listeners, connections, the login. */
#ifndef SL_RPC_CONN_INT_H
#define SL_RPC_CONN_INT_H

#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "refused.h"
#include "sl_rate.h"
#include "sl_rpc_server.h"
#include "throttle.h"

struct rpc_listener {
	struct sl_rpc_server *server;
	struct rpc_listener *next;
	struct evconnlistener *ev;
	enum sl_rpc_via via;
	struct sl_tls *tls; /* NULL: in clear */
	struct sl_rpc_auth auth;
	bool login;		     /* who connects is a stranger */
	struct sl_rpc_limits limits; /* defaults filled in */
	struct sl_rate *rate;	     /* of its callers; NULL: none */
	char *unix_path;
	unsigned n_conns;
};

struct sl_rpc_conn {
	struct rpc_listener *from;
	struct sl_rpc_conn *next, **pprev;
	struct bufferevent *bev;
	struct event *timer; /* the login is due; it ends; closing has lasted long enough */
	struct sl_rpc_caller caller;
	struct sl_principal who;
	struct sl_ip ip;
	struct sl_tls_id id;
	bool has_id;
	uint64_t checked;	       /* the recheck that it has passed */
	char label[SL_PRINCIPAL_NAME]; /* before the login */
	struct sl_rpc_watch *watches;
	struct sl_rpc_line *line; /* its answer comes later: nothing is handled meanwhile */
	bool ready;		  /* of TLS: the handshake is done */
	bool answering;		  /* in the call that reads lines */
	bool paused;		  /* its answers wait: nothing is handled */
	bool deaf;		  /* nothing is read */
	bool ended;		  /* it has sent everything: answer what is there, then close */
	bool closing;		  /* one last line; what still comes is thrown away */
	size_t scanned;		  /* bytes of the input that hold no line end */
	size_t drained;
};

/** Logins for an audit. */
struct login_trail {
	struct sl_rpc_logins to;
	struct event *timer; /* NULL: nobody wants to know */
	struct refused refused;
	unsigned told; /* sources, the last time */
};

struct sl_rpc_server {
	struct event_base *base;
	struct sl_rpc *rpc;
	struct rpc_listener *listeners;
	struct event *rest;    /* accept again */
	struct event *recheck; /* go on with it */
	uint64_t rechecks;
	struct sl_rpc_conn *conns;
	struct throttle throttle;
	struct sl_rpc_server_stats stats;
	struct sl_tls_failures tls_failures;
	struct login_trail logins;
	uint64_t told_ns; /* when strangers last made us write a log line */
};

/** Take an accepted socket over. @param who NULL: a stranger */
void rpc_conn_new(struct rpc_listener *l, evutil_socket_t fd, const struct sl_ip *ip,
		  const struct sl_principal *who);
void rpc_conn_free(struct sl_rpc_conn *c);
/** Free at the end of the loop: an answer that waits is sent as far as it goes. */
void rpc_conn_last_answer(struct sl_rpc_conn *c);
/** It is somebody now. */
void rpc_conn_login(struct sl_rpc_conn *c, const struct sl_rpc_login *login);
/** For the audit, if there is one. */
void rpc_tell_login(struct sl_rpc_conn *c);
/** Count it, and tell of it in a while. */
void rpc_login_refused(struct sl_rpc_conn *c);
/** What strangers make us log: at most once a second. */
bool rpc_may_tell(struct sl_rpc_server *s);
/** The handshake is done: who does the certificate say it is? */
void rpc_login_certificate(struct sl_rpc_conn *c);

#endif
