/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Replication: whoever holds a log serves it (publisher), whoever wants it dials (subscriber): a
 * gateway its scope, a data store everything, so that trees grow. Methods and notifications are
 * those of control/rpc/schema/control.json; docs/replication.md tells the protocol.
 *
 * A state's name is (epoch, seq). A transaction is applied iff its epoch is ours and its `prev` is
 * where we stand; else we subscribe again, and the source sends what is missing or a snapshot.
 * Equal states have equal sums of hashes; each heartbeat carries it.
 */
#ifndef SL_REPL_H
#define SL_REPL_H

#include <event2/event.h>

#include "sl_rpc_client.h"
#include "sl_object.h"

#define SL_REPL_ALPN "sluice-repl/1"
#define SL_REPL_HEARTBEAT_S 10
/* What a gateway has at most, in objects and in the lines that bring them ... */
#define SL_REPL_GATEWAY_OBJECTS 2000000
#define SL_REPL_GATEWAY_BYTES (UINT64_C(512) << 20)
/* ... and when it looks again at a source that sends more. */
#define SL_REPL_TOO_LARGE_MS 60000

/** Versions of objects, both ends included. */
struct sl_repl_schemas {
	unsigned oldest, newest;
};
/** {0, 0} stands for those of this program, SL_MODEL_SCHEMA_OLDEST to SL_MODEL_SCHEMA. */
struct sl_repl_schemas sl_repl_schemas_or_ours(struct sl_repl_schemas s);
/** [oldest ... newest], what a subscriber says that it reads; new reference. */
json_t *sl_repl_schema_list(struct sl_repl_schemas s);
/** The highest that both know. @return 0: none, schema_unsupported, which says whom to update */
unsigned sl_repl_schema_pick(const char *node, const int64_t *theirs, unsigned n,
			     struct sl_repl_schemas ours, struct sl_error *e);

/** Why a snapshot is sent; on the wire as text. */
enum sl_snap_reason {
	SL_SNAP_NEW,
	SL_SNAP_COMPACTED,
	SL_SNAP_EPOCH_CHANGED,
	SL_SNAP_SEQ_AHEAD,
	SL_SNAP_DIVERGED,
	SL_SNAP_SCOPE_CHANGED,
	SL_SNAP_HASH_MISMATCH,
	SL_SNAP_SCHEMA,
	SL_SNAP_RESYNC,
	SL_SNAP_OTHER, /* what a newer source says */
	SL_SNAP_REASONS
};
const char *sl_snap_reason_name(enum sl_snap_reason r);
enum sl_snap_reason sl_snap_reason_of(const char *text);

/* --- subscriber --------------------------------------------------------------------------------
 */

struct sl_sub;

struct sl_sub_source {
	char host[128];
	uint16_t port;
};

/** Where we stand. Zero epoch number: nowhere. */
struct sl_position {
	struct sl_epoch epoch;
	uint64_t seq;		  /* of the last transaction or snapshot received */
	char chain[SL_CHAIN_STR]; /* told by it */
	struct sl_hash_sum sum;
	unsigned schema; /* that it was received in; 0: the first. Not asked of a data store */
};

/**
 * What the subscriber asks of the state's owner. snapshot_begin, snapshot_part, snapshot_end and
 * txn may take their time: they return 0 and call sl_sub_done(), later or from within; the next one
 * comes only then. A negative errno, at once or by sl_sub_done(), is told to the source as a NACK
 * where `e` says what is wrong. After it the position decides: at the seq of what was refused (it
 * was received and folded in) the stream goes on, else, and always for -EPROTO and -EBADMSG, the
 * connection is made anew. The other ops answer at once; none may free the subscriber.
 */
struct sl_sub_ops {
	void (*position)(void *ctx, struct sl_position *out);
	/** May we take this epoch? -EPERM: lower, or only one of number and id is ours, and nobody
	 * confirmed it: the subscriber tries the next source. */
	int (*epoch)(void *ctx, const struct sl_epoch *epoch, struct sl_error *e);
	int (*snapshot_begin)(void *ctx, const struct sl_epoch *epoch, uint64_t seq,
			      const char *reason, struct sl_error *e);
	int (*snapshot_part)(void *ctx, json_t *objects, struct sl_error *e);
	/** Count and sum are what the source claims. */
	int (*snapshot_end)(void *ctx, uint64_t count, const struct sl_hash_sum *sum,
			    const char *chain, struct sl_error *e);
	/** Also after snapshot_end has failed. */
	void (*snapshot_abort)(void *ctx);
	/** A whole transaction (its parts put together). */
	int (*txn)(void *ctx, json_t *txn, struct sl_error *e);
	/** Alive at wall time `now_ns` of the source; `head` is its newest seq. Return false where
	 * our sum differs from `sum` at equal seq: a snapshot is asked for, at most one in 10
	 * minutes. */
	bool (*heartbeat)(void *ctx, uint64_t head, uint64_t scope_seq,
			  const struct sl_hash_sum *sum, uint64_t now_ns);
	/** What a snapshot brought is of this schema; NULL: nobody keeps it. */
	void (*schema)(void *ctx, unsigned schema);
	/** Connected and subscribed (`source` counts from 0), or not any more (e says why). */
	void (*state)(void *ctx, bool up, unsigned source, const struct sl_error *e);
};

struct sl_sub_conf {
	struct event_base *base;
	struct evdns_base *dns;
	const struct sl_sub_source *sources; /* in order of preference; copied */
	unsigned n_sources;
	struct sl_tls *tls;		/* NULL: in clear on loopback (tests) */
	const char *token;		/* NULL: the certificate is the login */
	const char *node;		/* our name */
	bool follower;			/* scope "all" */
	const char *program;		/* "sluiced/0.1.0" */
	struct sl_repl_schemas schemas; /* that the owner reads; zero: those of this program */
	const struct sl_sub_ops *ops;
	void *ctx;
};

/** Dials at once; after a failure the next source, the first again after all; between rounds it
 * waits 0.2 s doubling to 10 s, with jitter. The process ignores SIGPIPE from here on. NULL without
 * memory. */
struct sl_sub *sl_sub_new(const struct sl_sub_conf *c, struct sl_error *e);
void sl_sub_free(struct sl_sub *s); /* NULL allowed */
/** The token of connections to come; what is open stays. NULL: the certificate is the login.
 * @return 0 or -ENOMEM */
int sl_sub_set_token(struct sl_sub *s, const char *token);
/** What was begun by the last op is done. @param ack merged into repl.ack or repl.nack (generation,
 * serving_seq, overlay, ignored ...); taken over, may be NULL. `e` as of sl_sub_ops */
void sl_sub_done(struct sl_sub *s, int rc, json_t *ack, const struct sl_error *e);
/** Ask for a snapshot, or dial anew at once. */
void sl_sub_resync(struct sl_sub *s, const char *reason);
/** Call a method of the source: gateway.register, stats.report, log.push. As sl_rpc_client_call();
 * -ENOTCONN while there is none. */
int sl_sub_call(struct sl_sub *s, const char *method, json_t *params, sl_rpc_answered done,
		void *ctx);
struct sl_sub_info {
	bool up;	 /* subscribed */
	unsigned source; /* index of the one in use or tried last */
	uint64_t snapshots, txns, connects, heartbeats;
	uint64_t snapshots_by[SL_SNAP_REASONS];
	uint64_t head;
	uint64_t last_heartbeat_mono_ns; /* 0 never */
	char last_error[160];
	char primary[200];	 /* address of the primary's API as the source told it, "" not */
	struct sl_epoch refused; /* of a source, not taken since we were up; number 0: none */
};
void sl_sub_info(const struct sl_sub *s, struct sl_sub_info *out);

#endif
