/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The admin API of sluice-control: REST over HTTPS, /api/v1, as openapi.json tells. Serves a store
 * on the caller's event loop; a follower answers questions and refuses changes. docs/rest.md is its
 * manual.
 */
#ifndef SL_REST_H
#define SL_REST_H

#include <event2/event.h>

#include "allow_cert.h"
#include "sl_publisher.h"
#include "sl_tls_failed.h"
#include "sl_store.h"
#include "sl_token.h"

struct sl_rest;
struct sl_collector;
struct sl_rpc_server;
struct sl_seal_key;
struct sl_tasks;
struct sl_turns;

struct sl_rest_conf {
	struct event_base *base;
	struct sl_store *store; /* of a follower: a handle on which no snapshot comes in */
	const struct sl_pepper *pepper;
	struct sl_publisher *publisher; /* NULL: no gateways (tests) */
	struct sl_tasks *writer;	/* the thread that changes the store; NULL: a follower */
	struct sl_store *writer_store;	/* its handle */
	const struct sl_seal_key *seal_key; /* of its audit, which is open; NULL: a follower */
	struct sl_collector *collector;	    /* what gateways report; NULL: a follower */
	struct sl_tls *tls;
	const struct sl_allow_cert *certs;
	struct sl_endpoint at;
	const char *name;		    /* of this server */
	const char *state_dir;		    /* backups go to DIR/backup */
	const char *public_url;		    /* its host is taken in Host; NULL: none */
	const struct sl_turns *turns;	    /* of the loop, for the metrics; NULL: not counted */
	const struct sl_rpc_server *stream; /* replication's, for the metrics; NULL: none */
	/** Follower: its subscription; `at` names the source. false: there is none. NULL: primary.
	 */
	bool (*source)(void *ctx, struct sl_sub_info *info, char at[160]);
	void *ctx;
};

/** Strings are copied; what it points to outlives it. @return NULL with an error: socket,
 * no_memory, store_io, internal */
struct sl_rest *sl_rest_new(const struct sl_rest_conf *c, struct sl_error *e);
/** The writer has ended before. Requests that still wait are dropped. NULL allowed. */
void sl_rest_free(struct sl_rest *r);
/** The port that it listens on (of port 0: the one that was given). */
uint16_t sl_rest_port(const struct sl_rest *r);

/** A login was refused by another door of this node. A row of the audit tells of it, after
 * a minute. @param from NULL: of a peer */
void sl_rest_login_failed(struct sl_rest *r, const struct sl_ip *from);

struct sl_rest_stats {
	uint64_t requests, refused_login, refused_role, refused_rate, problems;
	uint64_t tls_failed[SL_TLS_FAILURES]; /* before any request */
	unsigned connections;
};
void sl_rest_stats(const struct sl_rest *r, struct sl_rest_stats *out);

#endif
