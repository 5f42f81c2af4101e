/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A data store that follows another: what comes from its source is written as it is, a transaction
 * and its place in one commit, and published to its own subscribers at once. What they say goes
 * towards the primary, with the name that was authenticated here. One thread; writing waits for
 * the disk.
 */
#ifndef SL_FOLLOWER_H
#define SL_FOLLOWER_H

#include "sl_publisher.h"

struct sl_follower;

struct sl_follower_conf {
	struct event_base *base;
	struct evdns_base *dns;
	struct sl_store *store; /* of role follower; from here on it is used by a thread alone */
	struct sl_publisher
		*publisher; /* with another handle of that store; outlives the follower */
	const struct sl_sub_source *sources; /* in order of preference; copied */
	unsigned n_sources;
	struct sl_tls *tls;
	const char *token; /* NULL: the certificate is the login */
	const char *node, *program;
	struct sl_repl_schemas schemas; /* that it reads; zero: those of this program */
	/** May an epoch be taken that is lower than ours, or of the same number and another id?
	 * NULL: never. Somebody has to confirm that here. Asked more than once for each. */
	bool (*confirmed)(void *ctx, const struct sl_epoch *epoch);
	void (*state)(void *ctx, bool up, unsigned source, const struct sl_error *e); /* or NULL */
	void *ctx;
};

/** Dials at once. @return NULL with an error */
struct sl_follower *sl_follower_new(const struct sl_follower_conf *c, struct sl_error *e);
/** Calls of subscribers that wait are answered (primary_unreachable). NULL allowed. */
void sl_follower_free(struct sl_follower *f);
/**
 * What sl_publisher_conf.upstream asks for: hand a call on to the source. Where there is none:
 * statistics, acks and nacks are dropped (these are told again later), log.push is answered busy,
 * gateway.register primary_unreachable.
 */
int sl_follower_upstream(struct sl_follower *f, const struct sl_rpc_caller *caller,
			 const char *method, const char *node, json_t *params, json_t **result,
			 struct sl_error *e);
void sl_follower_info(const struct sl_follower *f, struct sl_sub_info *out);
/** As sl_sub_set_token(). */
int sl_follower_set_token(struct sl_follower *f, const char *token);
/** Ask the source for a snapshot. */
void sl_follower_resync(struct sl_follower *f);

#endif
