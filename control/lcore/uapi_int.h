/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Inside of the UAPI server: listeners (uapi_server.c), connections (uapi_conn.c), the set request
 * (uapi_apply.c). One thread.
 */
#ifndef SL_UAPI_INT_H
#define SL_UAPI_INT_H

#include <sys/types.h>

#include "sl_log.h"
#include "sl_uapi.h"
#include "sl_uapi_server.h"

#define UAPI_CONNS_MAX 32
#define UAPI_IDLE_S 30

struct uapi_conn;

/** The socket of one interface. */
struct uapi_sock {
	struct sl_uapi_server *server;
	char iface[16];
	int fd; /* -1: could not be made yet */
	struct event *accept;
	dev_t dev; /* of the socket file, to remove no other */
	ino_t ino;
	uint64_t tried_ns;
};

struct sl_uapi_server {
	struct event_base *base;
	struct sl_gw *gw;
	uint64_t generation; /* of the gateway, as last followed */
	bool missing;	     /* some socket could not be made */
	struct uapi_sock *sock[SL_IFACE_MAX];
	struct uapi_conn *conns;
	unsigned n_conns;
};

/** Serve an accepted connection; takes the descriptor over in any case. */
void uapi_conn_new(struct sl_uapi_server *s, const char *iface, int fd);
/** Close the connections of an interface (NULL: all). */
void uapi_conns_close(struct sl_uapi_server *s, const char *iface);
/** Check and apply a request. @return 0 or a negative errno */
int uapi_apply(struct sl_gw *gw, const char *iface, const struct sl_uapi_set *set,
	       struct sl_error *e);

#endif
