/* SPDX-License-Identifier: BSD-3-Clause */
#include "resolve.h"

#include <event2/util.h>
#include <stdio.h>

static void
resolved(int result, struct evutil_addrinfo *list, void *arg)
{
	struct sl_resolve *r = arg;
	const struct evutil_addrinfo *a;

	r->busy = false;
	r->error = result;
	r->n = r->next = 0;
	for (a = result == 0 ? list : NULL; a != NULL && r->n < SL_RESOLVE_MAX; a = a->ai_next) {
		if (a->ai_addrlen > sizeof(r->addr[0]))
			continue;
		memcpy(&r->addr[r->n], a->ai_addr, a->ai_addrlen);
		r->len[r->n++] = (socklen_t)a->ai_addrlen;
	}
	if (list != NULL)
		evutil_freeaddrinfo(list);
}

int
sl_resolve_next(struct sl_resolve *r, unsigned *at)
{
	struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = r->type};
	char port[8];

	if (r->next < r->n) {
		*at = r->next++;
		return 1;
	}
	if (r->busy)
		return 0;
	if (r->error != 0) { /* of the request before: told once, then tried again */
		r->n = r->next = 0;
		r->error = -r->error;
		return -1;
	}
	r->n = r->next = 0;
	r->busy = true;
	snprintf(port, sizeof(port), "%u", r->port);
	evdns_getaddrinfo(r->dns, r->host, port, &hints, resolved, r);
	if (r->busy)
		return 0;
	return sl_resolve_next(r, at);
}

void
sl_resolve_done(struct sl_resolve *r)
{
	r->n = r->next = 0;
}

const char *
sl_resolve_error(const struct sl_resolve *r)
{
	return evutil_gai_strerror(r->error);
}
