/* SPDX-License-Identifier: BSD-3-Clause */
/** @file TLS towards receivers: at least 1.2, security level 2, the peer's certificate and name are
 * always verified. */
#ifndef SL_DRAIN_TLS_H
#define SL_DRAIN_TLS_H

#include <event2/bufferevent.h>
#include <openssl/ssl.h>

#include "sl_drain.h"

/** @return NULL with an error: sink_tls (path: which of the files) */
SSL_CTX *sl_tls_new(const struct sl_sink_conf *c, struct sl_error *e);
/** A bufferevent that is not connected yet. @return NULL without memory */
struct bufferevent *sl_tls_bufferevent(struct event_base *base, SSL_CTX *ctx, const char *host);
/** Why it failed, for people; from the error queue or the verification. */
void sl_tls_error(struct bufferevent *bev, char *buf, size_t size);

#endif
