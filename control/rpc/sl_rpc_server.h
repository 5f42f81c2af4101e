/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The sockets of JSON-RPC: newline-delimited, over unix (peer credentials), loopback TCP and TLS
 * (certificate or token), on the libevent loop of control. First byte { or [, depth 32, and the
 * limits of the listener. A client that does not read its answers is not read either; one that
 * closes its sending side still gets them. While an answer is still to come, no further line of
 * that connection is handled.
 */
#ifndef SL_RPC_SERVER_H
#define SL_RPC_SERVER_H

#include <event2/event.h>

#include "sl_addr.h"
#include "sl_error.h"
#include "sl_rpc.h"
#include "sl_tls_failed.h"

struct sl_rpc_server;

/** Of a listener with a login; 0 takes the default. */
struct sl_rpc_limits {
	size_t line_max;	  /* bytes of a line; 1 MiB */
	size_t line_max_stranger; /* before the login; 8 KiB */
	unsigned values_max;	  /* JSON values of a line; 8,192; strangers: 256 */
	unsigned connections;	  /* 32; the oldest stranger makes room for a new one */
	unsigned per_source;	  /* strangers of one address, of IPv6 of a /64; 4 */
	unsigned login_s;	  /* from the accept to the login; 5 */
	unsigned per_second;	  /* requests of a principal, on all its connections; 200 */
	unsigned burst;		  /* of them at once; 400 */
	unsigned idle_s;	  /* nothing came, or nothing was taken; 300 */
	size_t pause;		  /* bytes that wait: requests are not read meanwhile; 1 MiB */
	size_t queue_max;	  /* bytes that wait: notifications are refused; 16 MiB */
};

/** The process ignores SIGPIPE from here on. @return NULL without memory. */
struct sl_rpc_server *sl_rpc_server_new(struct event_base *base, struct sl_rpc *rpc);
/** Closes connections and removes the unix socket. */
void sl_rpc_server_free(struct sl_rpc_server *s);
/** Who may connect is admin. @param group NULL: root alone (0600), else 0660 root:group. A stale
 * socket file is replaced; a live one is an error. */
int sl_rpc_server_unix(struct sl_rpc_server *s, const char *path, const char *group,
		       struct sl_error *e);
bool sl_rpc_is_loopback(const struct sl_ip *ip);
/** In clear and without login, whoever connects is admin: loopback addresses only. */
int sl_rpc_server_tcp(struct sl_rpc_server *s, const struct sl_endpoint *at, struct sl_error *e);

/** What a login gives. */
struct sl_rpc_login {
	struct sl_principal who;
	int64_t until_s; /* wall clock: the connection ends then; 0: never */
};

/** Who are they? Asked on the event loop; must not block. */
struct sl_rpc_auth {
	/** @param from address of the caller; @return 0, or -EACCES: a token of nobody. NULL: no
	 * tokens here. */
	int (*token)(void *ctx, const char *token, const struct sl_ip *from,
		     struct sl_rpc_login *out);
	/** @param id of a certificate that was verified; @return 0; -ENOENT: not known, a token may
	 * follow; -EACCES: refused (revoked). NULL: certificates are no login. */
	int (*certificate)(void *ctx, const struct sl_tls_id *id, const struct sl_ip *from,
			   struct sl_rpc_login *out);
	/** Would it be let in today as the same? Asked by sl_rpc_server_recheck(). NULL: always.
	 * @param id NULL: it has no certificate */
	bool (*still)(void *ctx, const struct sl_principal *who, const struct sl_tls_id *id,
		      const struct sl_ip *from);
	void *ctx;
};

/**
 * Who connects is a stranger until a certificate or auth.login tells who it is. After 5 refused
 * tokens of a source (IPv6: of a /64) it waits 1, 2, 4 ... 256 s before the next is looked at.
 * @param tls outlives the server; NULL: in clear, loopback only
 * @param auth copied; @param limits NULL: defaults
 * @return 0, or -EINVAL not_loopback, -errno socket
 */
int sl_rpc_server_tls(struct sl_rpc_server *s, const struct sl_endpoint *at, struct sl_tls *tls,
		      const struct sl_rpc_auth *auth, const struct sl_rpc_limits *limits,
		      struct sl_error *e);

/** Tokens or certificates may have been revoked: ask for every connection anew, a few at a time
 * from the loop; who may not any more is closed with the reason "revoked". */
void sl_rpc_server_recheck(struct sl_rpc_server *s);

/** Whom logins of the server's listeners are told to, for an audit. */
struct sl_rpc_logins {
	/** It is somebody now: sl_rpc_conn_caller(), sl_rpc_conn_from(), sl_rpc_conn_id(). */
	void (*in)(void *ctx, struct sl_rpc_conn *c);
	/** Refused ones, collected for a minute, after many sources longer. @param source address,
	 * of IPv6 a /64; "others" than the first 16; "-": of an agent, whose address is told
	 * nowhere
	 */
	void (*refused)(void *ctx, const char *source, uint64_t n);
	void *ctx;
};
/** @param to copied; once, before the first listener. @return 0 or -ENOMEM */
int sl_rpc_server_on_login(struct sl_rpc_server *s, const struct sl_rpc_logins *to);
/** Tell at once of the refused ones that are not told: before whom they are told to ends. */
void sl_rpc_server_tell_refused(struct sl_rpc_server *s);

struct sl_rpc_server_stats {
	uint64_t accepted, logins, logins_refused, logins_delayed; /* delayed: not looked at */
	uint64_t full, source_full, login_timeouts;		   /* why connections were closed */
	uint64_t tls_failed[SL_TLS_FAILURES];			   /* before any login */
	unsigned connections, strangers;			   /* now */
};
void sl_rpc_server_stats(const struct sl_rpc_server *s, struct sl_rpc_server_stats *out);

/* --- one connection -----------------------------------------------------------------------------
 *
 * caller->conn of a call that came by a socket. It lives until its watches have been told `closed`;
 * none of these functions frees it at once. */

/** A notification. @param params taken over, may be NULL
 * @return 0; -ENOBUFS: too much waits, nothing was added; -EPIPE: it is closing; -ENOMEM */
int sl_rpc_conn_notify(struct sl_rpc_conn *c, const char *method, json_t *params);
/** The same, as a line without its newline: for one text that goes to many. */
int sl_rpc_conn_send(struct sl_rpc_conn *c, const char *line, size_t len);
/** Bytes that wait to be taken by the other side. */
size_t sl_rpc_conn_queued(const struct sl_rpc_conn *c);
/** Tell why as a last line (NULL: without a word), then close. */
void sl_rpc_conn_close(struct sl_rpc_conn *c, const struct sl_error *why);
/** Where it comes from; family 0: the unix socket. */
const struct sl_ip *sl_rpc_conn_from(const struct sl_rpc_conn *c);
/** The caller that its calls have; `who` is NULL for a stranger. */
const struct sl_rpc_caller *sl_rpc_conn_caller(const struct sl_rpc_conn *c);
/** Its verified certificate. NULL: none. */
const struct sl_tls_id *sl_rpc_conn_id(const struct sl_rpc_conn *c);

/** Memory of the watcher, zeroed but for the callbacks. */
struct sl_rpc_watch {
	void (*drained)(struct sl_rpc_watch *w, struct sl_rpc_conn *c); /* again <= low; or NULL */
	/** It is gone after the return; the watch is off already. */
	void (*closed)(struct sl_rpc_watch *w, struct sl_rpc_conn *c);
	size_t low; /* bytes */
	/* the server's: */
	struct sl_rpc_watch *next;
	bool above;
};
void sl_rpc_conn_watch(struct sl_rpc_conn *c, struct sl_rpc_watch *w);
void sl_rpc_conn_unwatch(struct sl_rpc_conn *c, struct sl_rpc_watch *w);

/** Every connection; `fn` may close it. */
void sl_rpc_server_each(struct sl_rpc_server *s, void (*fn)(void *ctx, struct sl_rpc_conn *c),
			void *ctx);

#endif
