/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Neighbours: resolution, reachability and aging (RFC 826; RFC 4861 section 7.3) as a state machine
 * without network or clock. Control only (D39): it feeds observations and traffic marks in and
 * carries effects out.
 */
#ifndef SL_NEIGH_H
#define SL_NEIGH_H

#include "sl_addr.h"
#include "sl_base.h"

enum sl_neigh_state {
	SL_NEIGH_INCOMPLETE, /* 3 multicast probes, 1 s apart, then FAILED */
	SL_NEIGH_REACHABLE,  /* 30 s */
	SL_NEIGH_STALE,	 /* used without question; traffic starts DELAY; 10 min idle: forgotten */
	SL_NEIGH_DELAY,	 /* 5 s for a hint before probing */
	SL_NEIGH_PROBE,	 /* 3 unicast probes, 1 s apart, then INCOMPLETE (its MAC may be new) */
	SL_NEIGH_FAILED, /* held 20 s so that packets fail fast, with a probe every 2 s while they
			    come; then resolved anew if pinned or used meanwhile, else forgotten */
	SL_NEIGH_STATIC,
};

struct sl_neigh {
	uint16_t att;
	struct sl_ip ip;
	uint8_t mac[6]; /* zero until known */
	enum sl_neigh_state state;
	uint64_t since_ns;    /* when the state began */
	uint64_t deadline_ns; /* when it ends by itself */
	unsigned probes;
	uint32_t nh;	    /* next-hop id; the caller's */
	bool pinned;	    /* a route or a peer's path needs it: never forgotten; the caller may
			       clear it */
	uint64_t used_ns;   /* last traffic */
	uint64_t probed_ns; /* FAILED: last probe */
	uint64_t confirmed_ns;
	struct sl_neigh *chain;	      /* hash bucket */
	struct sl_neigh *prev, *next; /* all entries */
};

/** Effects, called from within the functions below; they may look at the table, not change it. */
struct sl_neigh_ops {
	/** Send ARP request / NS; `unicast` to n->mac. */
	void (*probe)(void *ctx, const struct sl_neigh *n, bool unicast);
	/** State or MAC changed, or the entry is new (n->nh is 0): write the next hop, publish a
	 * host route when new. */
	void (*changed)(void *ctx, struct sl_neigh *n);
	/** About to be freed: withdraw its host route and next hop. */
	void (*removed)(void *ctx, struct sl_neigh *n);
	/** Tick of the last packet to this next hop, as monotonic ns (0 never). May be NULL. */
	uint64_t (*last_used_ns)(void *ctx, const struct sl_neigh *n);
	void *ctx;
};

struct sl_neigh_table;

/**
 * @param max entries (4,096); the least recently used unpinned one makes room, an unresolved one
 * while more than half are unresolved (RFC 6583: a scan must not push out good neighbours)
 * @return NULL without memory
 */
struct sl_neigh_table *sl_neigh_new(unsigned max, const struct sl_neigh_ops *ops);
/** Frees all entries without effects. NULL is allowed. */
void sl_neigh_free(struct sl_neigh_table *t);

/**
 * A packet or route wants this neighbour: creates it INCOMPLETE and probes, wakes STALE, and
 * resolves a FAILED one anew that failed at least 1 s ago.
 * @param pin sets n->pinned; false leaves it as it is
 * @return NULL when full of pinned ones
 */
struct sl_neigh *sl_neigh_want(struct sl_neigh_table *t, uint16_t att, const struct sl_ip *ip,
			       bool pin, uint64_t now_ns);
/**
 * An ARP or ND message was seen. Unknown neighbours are learned only from `create` (a request to
 * us), which also takes over a new MAC as STALE (RFC 4861 7.2.3). Otherwise the rules of 7.2.5 for
 * advertisements: solicited confirms; a different MAC without override only makes it STALE. Static
 * entries and group MACs are left alone.
 */
void sl_neigh_seen(struct sl_neigh_table *t, uint16_t att, const struct sl_ip *ip,
		   const uint8_t mac[6], bool solicited, bool override, bool create,
		   uint64_t now_ns);
/** Static entry, also from a learned one. @return 0 or -ENOSPC. */
int sl_neigh_set_static(struct sl_neigh_table *t, uint16_t att, const struct sl_ip *ip,
			const uint8_t mac[6], uint64_t now_ns);
/** Forget it, static or pinned as it may be. @return 0 or -ENOENT. */
int sl_neigh_del(struct sl_neigh_table *t, uint16_t att, const struct sl_ip *ip);
struct sl_neigh *sl_neigh_find(struct sl_neigh_table *t, uint16_t att, const struct sl_ip *ip);
/** Timers; call at least every 100 ms. */
void sl_neigh_tick(struct sl_neigh_table *t, uint64_t now_ns);
/** Number of entries. */
unsigned sl_neigh_count(const struct sl_neigh_table *t);
void sl_neigh_walk(struct sl_neigh_table *t, void (*fn)(void *ctx, const struct sl_neigh *n),
		   void *ctx);
/** Lower-case word, "invalid" outside the range. */
const char *sl_neigh_state_text(enum sl_neigh_state s);

#endif
