/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The publisher: serves the store's log to subscribers over the connections of an sl_rpc_server. It
 * keeps a replica of the objects in memory, from which scopes and sums are told; the log is what it
 * sends, so changes of other processes are published too. One thread, that of the event loop, and
 * one of its own for what takes long: large rows, loading.
 */
#ifndef SL_PUBLISHER_H
#define SL_PUBLISHER_H

#include "sl_repl.h"
#include "sl_rpc.h"
#include "sl_store.h"
#include "sl_tasks.h"

struct sl_publisher;

struct sl_publisher_conf {
	struct event_base *base;
	struct sl_store *store;
	unsigned heartbeat_s;		/* 0: 10 */
	size_t outbox_max;		/* live transactions that wait for a subscriber; 0: 8 MiB */
	unsigned snapshots_max;		/* at a time; 0: 8; others wait */
	unsigned snapshot_stall_s;	/* one of which nothing is taken ends; 0: 30 */
	struct sl_repl_schemas schemas; /* that are sent, the newest and the one before at most;
					   zero: those of this program */
	const char *url;		/* of our API, told while we are the primary; NULL: not */
	/** A primary's thread that changes the store, and its handle; NULL: a follower's */
	struct sl_tasks *writer;
	struct sl_store *writer_store;
	/** A subscriber ahead of us in our own epoch: a new epoch was made. */
	void (*rewound)(void *ctx, const char *node, uint64_t its_seq, uint64_t our_seq);
	/** Register, stats, log push, acks as they come in: `node` is who it is about
	 * (authenticated here or by a follower on the way). A handler answers as those of sl_rpc
	 * do, also later (SL_RPC_LATER). */
	int (*upstream)(void *ctx, const struct sl_rpc_caller *caller, const char *method,
			const char *node, json_t *params, json_t **result, struct sl_error *e);
	void *ctx;
};

/** Loads the replica. @return NULL with an error */
struct sl_publisher *sl_publisher_new(const struct sl_publisher_conf *c, struct sl_error *e);
/** After the writer has ended. */
void sl_publisher_free(struct sl_publisher *p);
/** Bind repl.*, gateway.register, stats.report and log.push of control.json. */
int sl_publisher_bind(struct sl_publisher *p, struct sl_rpc *rpc);
/** The store may have a new head (called after a commit; else within 200 ms by itself). */
void sl_publisher_kick(struct sl_publisher *p);
/** The store was replaced under us (follower: snapshot; primary: new epoch): load anew, beside what
 * is there, then send snapshots. Until then subscribers get heartbeats alone, new ones are sent
 * away.
 */
int sl_publisher_reload(struct sl_publisher *p, struct sl_error *e);

/** One subscriber, also those behind a follower (from what it relays), also those that left. */
struct sl_subscriber_info {
	const char *node, *via; /* via: the follower, "" direct */
	bool follower, connected;
	uint64_t acked_seq, serving_seq, sent_seq, head; /* head: of its scope */
	bool overlay;					 /* revocations beside a refused policy */
	char nack_code[40], nack_path[160], nack_message[320]; /* "" none */
	bool hash_ok;
	uint64_t connected_wall_ns, last_ack_wall_ns, snapshots, clock_skew_ms_abs;
	uint64_t snapshots_by[SL_SNAP_REASONS];
	size_t outbox;
	unsigned schema; /* of what it is sent; behind a data store: the newest of ours that it
			    reads; 0: not known */
};
void sl_publisher_walk(const struct sl_publisher *p,
		       bool (*fn)(void *ctx, const struct sl_subscriber_info *i), void *ctx);
/** Call `done` once every enabled gateway (or the named ones) has acked `seq`, or after
 * `timeout_ms` (then with those that have not: array of {gateway, acked, reason}). */
struct sl_publisher_wait;
struct sl_publisher_wait *sl_publisher_wait(struct sl_publisher *p, uint64_t seq,
					    const char *const *gateways, unsigned n_gateways,
					    unsigned timeout_ms,
					    void (*done)(void *ctx, bool all, json_t *missing),
					    void *ctx);
void sl_publisher_wait_cancel(struct sl_publisher_wait *w);
/** Oldest seq that a running snapshot still needs (UINT64_MAX: none). */
uint64_t sl_publisher_keep_from(const struct sl_publisher *p);
const struct sl_replica *sl_publisher_replica(const struct sl_publisher *p);

#endif
