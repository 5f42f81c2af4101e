/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A store in a directory of its own, published over loopback; owners that subscribe to it. All in
 * one event loop. A token is "ROLE:NODE", so that a test says who somebody is.
 */
#ifndef SL_REPL_FIXTURE_H
#define SL_REPL_FIXTURE_H

#include "owner.h"
#include "sl_follower.h"
#include "sl_publisher.h"
#include "sl_rpc_server.h"

struct node {
	struct event_base *base;
	char dir[64], path[96];
	struct sl_store *store;	 /* the publisher's */
	struct sl_store *writer; /* a follower's, or another process */
	struct sl_tasks *tasks;	 /* begins epochs */
	struct sl_store *tasks_store;
	struct sl_rpc *rpc;
	struct sl_rpc_server *server;
	struct sl_publisher *pub;
	struct sl_publisher_conf conf; /* as it was published */
	struct sl_follower *follower;
	const char *confirmed; /* epoch that it may take */
	uint16_t port;
	unsigned rewinds;
	/* what came upstream */
	unsigned calls;
	char method[24], about[64];
	json_t *params;
};

struct event_base *loop_new(void);
void loop_free(struct event_base *base);
/** Turn the loop until it is true, 5 s at most. @return is it? */
bool until(struct event_base *base, bool (*is)(void *ctx), void *ctx);
void turn(struct event_base *base, unsigned ms);
#define UNTIL(n, cond)                                                                             \
	do {                                                                                       \
		for (unsigned i_ = 0; i_ < 5000 && !(cond); i_++)                                  \
			turn((n)->base, 1);                                                        \
		assert_true(cond);                                                                 \
	} while (0)

/** Make a store and publish it. */
void node_new(struct node *n, struct event_base *base, enum sl_store_role role);
/** The server's process ends and starts again; the store stays. */
void node_stop(struct node *n);
void node_start(struct node *n);
void node_free(struct node *n);
/** What a node tells of a subscriber. */
struct find {
	const char *node;
	struct sl_subscriber_info i;
	char via[64];
	bool found;
};

struct find row_of(const struct node *n, const char *name);
/** Follow a node that listens at `port`. */
void node_follow(struct node *n, const char *name, uint16_t port);

/** Subscribe to a node as a gateway (or a data store). */
void owner_dial(struct owner *o, struct event_base *base, const char *name, bool follower,
		const uint16_t *ports, unsigned n_ports);
/** The connection goes; what was received stays. */
void owner_hang_up(struct owner *o);
/** Does it hold what this scope of the publisher's replica holds? Told from the objects, not from
 * the publisher's own sums. */
bool owner_equals(const struct owner *o, const struct node *n, const char *gateway);

/** One transaction of one change. @return its seq */
uint64_t put(struct node *n, enum sl_kind k, const char *id, json_t *body);
uint64_t del(struct node *n, enum sl_kind k, const char *id);
uint64_t put_peer(struct node *n, unsigned i, const char *iface);
json_t *peer_body(unsigned i, const char *iface);
uint64_t put_gateway(struct node *n, const char *name, const char *const *ifaces, bool enabled);
/** Interfaces wg0 and wg1, gateways gw-a (wg0), gw-b (wg0, wg1), a few peers and roles. */
void fill(struct node *n);

#endif
