/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Addresses of a receiver, one after the other; names are resolved on the drain's event
 * base without blocking it. */
#ifndef SL_DRAIN_RESOLVE_H
#define SL_DRAIN_RESOLVE_H

#include <event2/dns.h>
#include <sys/socket.h>

#include "sl_base.h"

#define SL_RESOLVE_MAX 8

struct sl_resolve {
	struct evdns_base *dns;
	const char *host; /* the owner's */
	uint16_t port;
	int type; /* SOCK_STREAM or SOCK_DGRAM */
	struct sockaddr_storage addr[SL_RESOLVE_MAX];
	socklen_t len[SL_RESOLVE_MAX];
	unsigned n, next;
	bool busy;
	int error; /* EVUTIL_EAI_ */
};

/**
 * The address to try next; after the last one the name is resolved anew. @return 1 with *at; 0: ask
 * again later; -1: it cannot be resolved now, see sl_resolve_error()
 */
int sl_resolve_next(struct sl_resolve *r, unsigned *at);
/** The last address was good: the next time the name is resolved anew. */
void sl_resolve_done(struct sl_resolve *r);
const char *sl_resolve_error(const struct sl_resolve *r);

#endif
