/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The configuration protocol of userspace WireGuard implementations (wireguard.com/xplatform), as
 * the `wg` tool speaks it: a parser of requests and a writer of replies that know no socket.
 *
 * Used by the control lcore alone. A parser belongs to one connection and is fed what the
 * connection gives, in pieces of any size. A `set` is collected whole before its handler sees it,
 * so that it can be validated and applied as one transaction. The parser owns all that handlers
 * are given and wipes it when they return; the bytes fed to it are the caller's to wipe.
 */
#ifndef SL_UAPI_H
#define SL_UAPI_H

#include "sl_addr.h"
#include "sl_base.h"
#include "sl_secret.h"

#define SL_UAPI_LINE_MAX 255	       /* without the newline */
#define SL_UAPI_REQUEST_MAX (8u << 20) /* some 300,000 allowed IPs; default of sl_uapi_new() */

enum sl_uapi_op { SL_UAPI_GET, SL_UAPI_SET };

/** One `public_key` section. The same peer may have several in a request: apply them in order. */
struct sl_uapi_peer {
	struct sl_pubkey public_key;
	bool remove;
	bool update_only; /* only if the peer exists */
	bool replace_allowed_ips;
	bool has_preshared_key, has_endpoint, has_keepalive;
	uint16_t keepalive_s;		/* 0: off */
	struct sl_secret preshared_key; /* all zero: remove */
	struct sl_endpoint endpoint;
	/* Disjoint (of several lines for a prefix the last counts), without host bits */
	struct sl_prefix *allowed; /* to add, or with replace_allowed_ips to have */
	struct sl_prefix *removed; /* "-prefix": to take from this peer if it has them */
	unsigned n_allowed, n_removed;
};

/** A whole `set` request. */
struct sl_uapi_set {
	bool has_private_key, has_listen_port, has_fwmark;
	bool replace_peers; /* all peers that are not named here go, before the others are set */
	uint16_t listen_port;
	uint32_t fwmark;
	struct sl_secret private_key; /* all zero: remove */
	struct sl_uapi_peer *peers;
	unsigned n_peers;
};

/** What a parser calls. None of them may feed or free the parser. */
struct sl_uapi_handler {
	void (*get)(void *ctx);
	void (*set)(void *ctx, const struct sl_uapi_set *set);
	/**
	 * A request is refused; called when its end has come, so that the reply is not lost to a
	 * client that still writes.
	 * @param err  -EPROTO (a line without '=', or too long), -EINVAL (unknown key or operation,
	 * bad value), -EMSGSIZE (request too large: close the connection after the reply), -ENOMEM
	 * @param line number of the first wrong line, the operation being line 1
	 * @param why  static text
	 */
	void (*fail)(void *ctx, enum sl_uapi_op op, int err, unsigned line, const char *why);
	void *ctx;
};

struct sl_uapi;

/** @param max_request bytes of one request, 0: SL_UAPI_REQUEST_MAX. @return NULL without memory. */
struct sl_uapi *sl_uapi_new(const struct sl_uapi_handler *handler, size_t max_request);
/** Wipe and free, a half-read request included. NULL is allowed. */
void sl_uapi_free(struct sl_uapi *u);
/**
 * Take bytes of the connection; handlers are called for each request that they complete.
 * @return 0, or -EMSGSIZE once a request was too large: no more is read from this connection
 */
int sl_uapi_feed(struct sl_uapi *u, const void *data, size_t len);

/* --- replies --------------------------------------------------------------------------------- */

/** Where the writer puts its bytes; lines with keys are wiped behind it. */
struct sl_uapi_sink {
	void (*write)(void *ctx, const void *data, size_t len);
	void *ctx;
};

/** A peer as `get` shows it. */
struct sl_uapi_peer_info {
	struct sl_pubkey public_key;
	const struct sl_secret *preshared_key; /* NULL: none, written as zeros */
	const struct sl_endpoint *endpoint;    /* NULL: none known */
	uint64_t last_handshake_wall_ns;       /* 0: never */
	uint64_t rx_bytes, tx_bytes;
	uint16_t keepalive_s;
	const struct sl_prefix *allowed;
	unsigned n_allowed;
};

/** First part of a `get` reply. @param private_key NULL or all zero: not shown */
void sl_uapi_write_device(const struct sl_uapi_sink *sink, const struct sl_secret *private_key,
			  uint16_t listen_port, uint32_t fwmark);
/** Each peer of a `get` reply. */
void sl_uapi_write_peer(const struct sl_uapi_sink *sink, const struct sl_uapi_peer_info *p);
/**
 * End of every reply: the errno line and a blank line.
 * @param err 0 or negative errno. The `wg` tool wants it negative after `set`, positive after
 * `get`.
 */
void sl_uapi_write_end(const struct sl_uapi_sink *sink, enum sl_uapi_op op, int err);

#endif
