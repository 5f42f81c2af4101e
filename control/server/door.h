/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The door of the REST API: evhttp over TLS with its limits. evhttp gets a head when it is whole
 * and well-formed, for its own pages of errors are HTML. Before a request is handed over there
 * hold: TLS 1.3, at most SL_HEAD_MAX bytes of head, at most as much body as `admit` allowed after
 * it saw the head, a head within 15 s and a body that keeps up with 128 KiB/s, at most 512
 * connections (when they are full, the one that is silent for the longest time gives way), at most
 * 256 MiB of bodies at a time, of one principal a quarter of that.
 */
#ifndef SL_REST_DOOR_H
#define SL_REST_DOOR_H

#include <event2/http.h>

#include "sl_addr.h"
#include "sl_error.h"
#include "sl_service.h"
#include "sl_tls_failed.h"

struct door;

#define DOOR_CONNECTIONS 512
#define DOOR_BODY_STRANGER 65536 /* bytes of a body before the login */
#define DOOR_TIMEOUT_S 15
#define DOOR_BODIES ((size_t)256 << 20)	   /* of all bodies larger than a stranger's, together */
#define DOOR_BODIES_EACH (DOOR_BODIES / 4) /* of one principal's */

struct door_ops {
	/** A head is there (from `from`): how much body may follow? @param[out] failed the login
	 * failed, and that was noted; @param[out] who has logged in, "" nobody */
	size_t (*admit)(void *ctx, struct bufferevent *bev, const char *head, size_t len,
			const struct sl_ip *from, bool *failed, char who[SL_PRINCIPAL_NAME]);
	/** The request is refused by its head, or while its body comes: write the whole answer. It
	 * is sent, and what comes is thrown away for a moment, so that the client gets to read it.
	 * @param max how much body it may have, where `why` is body_too_large */
	void (*refused)(void *ctx, const struct sl_error *why, size_t max, struct evbuffer *out);
	/** A whole request. @param noted a failed login of it was noted by `admit` */
	void (*request)(void *ctx, struct evhttp_request *req, struct bufferevent *bev,
			const struct sl_ip *from, bool noted);
};

/** @return NULL with an error: socket, no_memory */
struct door *door_new(struct event_base *base, struct sl_tls *tls, const struct sl_endpoint *at,
		      const struct door_ops *ops, void *ctx, struct sl_error *e);
void door_free(struct door *d); /* NULL allowed; closes all connections */
uint16_t door_port(const struct door *d);
unsigned door_connections(const struct door *d);
/** Connections that ended before their handshake was done. */
const struct sl_tls_failures *door_failures(const struct door *d);
/** The answer comes later: read nothing meanwhile (evhttp ends the process where a client sends
 * more while its request waits). */
void door_pause(struct bufferevent *bev);

/** Of an answer that goes on: another piece of it leaves within so many seconds, or it is cut. */
void door_expect_progress(struct bufferevent *bev, unsigned seconds);
/** End the connection. */
void door_cut(struct bufferevent *bev);

#endif
