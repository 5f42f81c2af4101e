/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Handshakes of a server's TLS that did not come to their end: before it nobody has a name, so that
 * no login is refused and no row of an audit tells. Here they are counted by why they failed, and
 * told in the log. The thread of the connections.
 */
#ifndef SL_TLS_FAILED_H
#define SL_TLS_FAILED_H

#include "sl_addr.h"
#include "sl_tls.h"

enum sl_tls_failure {
	SL_TLS_EXPIRED,	    /* the client's certificate has ended */
	SL_TLS_CERTIFICATE, /* it is not one of ours, or not a client's */
	SL_TLS_CLIENT,	    /* the client broke off: it does not believe our certificate */
	SL_TLS_PROTOCOL,    /* no TLS 1.3, another protocol: a scan, or another program */
	SL_TLS_SILENT,	    /* it went, or said nothing in time: a scan, or a health check */
	SL_TLS_FAILURES
};

/** What a metric calls it: "expired" ... */
const char *sl_tls_failure_name(enum sl_tls_failure f);

/** Of one server, zeroed at first. */
struct sl_tls_failures {
	uint64_t n[SL_TLS_FAILURES];
	uint64_t told_ns, untold;
};

/**
 * A connection ends before its handshake was done: count it. It is told once a second at most, with
 * how many were not; one that was silent is not told.
 * @param bev of sl_tls_accept(); @param topic of the log
 */
void sl_tls_failed(struct sl_tls_failures *f, struct bufferevent *bev, const struct sl_ip *from,
		   const char *topic);

#endif
