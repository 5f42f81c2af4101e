/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * TLS of sluiced and sluice-control: 1.3 only, both sides over libevent's bufferevents. The library
 * verifies the chain; an identity is read from the leaf alone, and only after the verification
 * held. No session tickets. One thread.
 */
#ifndef SL_TLS_H
#define SL_TLS_H

#include <event2/bufferevent.h>

#include "sl_error.h"

struct sl_tls;

struct sl_tls_conf {
	const char *cert_file, *key_file; /* PEM; a client may have none. The key: 0600 or 0400 */
	const char *ca_file; /* PEM: whom to believe. Server: NULL asks for no client certificate;
				client: NULL takes the system's */
	bool require_cert;   /* server: no certificate, no connection */
	const char *alpn;    /* "sluice-repl/1"; NULL: none */
};

/** @return NULL with an error at /cert_file, /key_file or /ca_file: file, cert_invalid,
 * key_invalid, key_mismatch, key_mode, ca_invalid, no_memory. Strings are copied. */
struct sl_tls *sl_tls_server_new(const struct sl_tls_conf *c, struct sl_error *e);
struct sl_tls *sl_tls_client_new(const struct sl_tls_conf *c, struct sl_error *e);
/** Connections that are open keep what they have. NULL allowed. */
void sl_tls_free(struct sl_tls *t);
/** Read the files anew (a renewed certificate); on an error the old ones stay. */
int sl_tls_reload(struct sl_tls *t, struct sl_error *e);
/** When our own certificate ends, wall seconds; 0: none. */
int64_t sl_tls_not_after(const struct sl_tls *t);

/** Take an accepted socket over. @return NULL: no memory, the socket is closed */
struct bufferevent *sl_tls_accept(struct sl_tls *t, struct event_base *base, int fd);
/** A bufferevent to connect with; the server's certificate must be valid for `host` (name or
 * address). @return NULL without memory */
struct bufferevent *sl_tls_connect(struct sl_tls *t, struct event_base *base, const char *host);

/** The handshake is done, and it agreed on the protocol of `alpn`, if any was asked for. A server
 * refuses clients that do not offer it; a client asks here. */
bool sl_tls_agreed(struct bufferevent *bev);
/** Send what waits as far as it goes without waiting, and that this was all (close_notify). */
void sl_tls_bye(struct bufferevent *bev);

/** Of a verified leaf certificate. */
struct sl_tls_id {
	char cn[65];		 /* of the subject; "": none, several, or no printable ASCII */
	char kind[16], name[64]; /* of a SAN URI sluice://KIND/NAME, "" none */
	char serial[48];	 /* hex */
	char fingerprint[65];	 /* SHA-256 of the certificate, hex */
	int64_t not_after_s;	 /* wall clock */
};
/** @return 0; -ENOENT: the other side gave no certificate; -EACCES: it is not valid, or it says
 * sluice://... twice or in another form */
int sl_tls_peer(struct bufferevent *bev, struct sl_tls_id *out);
/** Why a handshake failed, in words; "" unknown. */
const char *sl_tls_why(struct bufferevent *bev, char *buf, size_t room);

#endif
