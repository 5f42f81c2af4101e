/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A client of JSON-RPC on the event loop: dials (each address of a name in turn), logs in, calls,
 * takes notifications. Where nothing else goes over the connection it sends rpc.ping. It does not
 * dial again by itself. One thread; no function blocks (names are resolved by evdns).
 */
#ifndef SL_RPC_CLIENT_H
#define SL_RPC_CLIENT_H

#include <event2/event.h>
#include <jansson.h>

#include "sl_error.h"
#include "sl_tls.h"

struct sl_rpc_client;

/** What a line takes: its length, and as many JSON values at most; a line that may have more than
 * 1,048,576 ends the connection (protocol) before memory is taken for them. */
struct sl_rpc_line_size {
	size_t bytes, values;
};

struct sl_rpc_client_conf {
	struct event_base *base;
	struct evdns_base *dns; /* NULL: addresses only */
	const char *host;	/* name or address */
	uint16_t port;
	struct sl_tls *tls; /* NULL: in clear, loopback only */
	const char *token;  /* for auth.login; NULL: the certificate is the login. Not kept. */
	const char *name;   /* what auth.login calls us, "sluiced/0.1.0" */
	unsigned connect_s; /* until the login has succeeded; 0: 5 */
	unsigned idle_s;    /* nothing came for so long: down; 0: 35 */
	size_t line_max;    /* bytes; 0: 1 MiB */
	size_t queue_max;   /* bytes that wait to be sent; 0: 8 MiB */
	/** Connected and logged in. */
	void (*up)(void *ctx);
	/** A notification; `params` is borrowed (may be NULL). */
	void (*notify)(void *ctx, const char *method, json_t *params);
	/** The end, once: unreachable, tls, timeout, closed, idle, protocol, or the server's reason
	 * (unauthenticated, ...). Only sl_rpc_client_free() is left. Calls that still wait have
	 * been told before (-EPIPE). */
	void (*down)(void *ctx, const struct sl_error *e);
	void *ctx;
};

/** Strings are copied. @return NULL with an error (not_loopback, address_invalid, no_memory); what
 * fails later comes through `down`, never from within this call. */
struct sl_rpc_client *sl_rpc_client_new(const struct sl_rpc_client_conf *c, struct sl_error *e);
/** Also from within its callbacks. Waiting calls are forgotten without a word. */
void sl_rpc_client_free(struct sl_rpc_client *c);
/** @param rc 0 with `result` (borrowed), else negative errno with `e` as the server told it:
 * reason, path, message, hint */
typedef void (*sl_rpc_answered)(void *ctx, int rc, json_t *result, const struct sl_error *e);
/**
 * @param params taken over, may be NULL
 * @param done NULL: a notification, nothing is answered
 * @return 0, -ENOTCONN (not up), -ENOBUFS (more than `queue_max` bytes wait), -ENOMEM; then `done`
 * is not called
 */
int sl_rpc_client_call(struct sl_rpc_client *c, const char *method, json_t *params,
		       sl_rpc_answered done, void *ctx);
/** Bytes that wait to be sent. */
size_t sl_rpc_client_queued(const struct sl_rpc_client *c);
/** The line that is handled: within `notify`, that of the notification. */
struct sl_rpc_line_size sl_rpc_client_line(const struct sl_rpc_client *c);
/** Stop or go on reading (back-pressure). */
void sl_rpc_client_pause(struct sl_rpc_client *c, bool pause);

#endif
