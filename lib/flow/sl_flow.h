/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The flow table of one worker: bounded, keyed hash, entries of both directions in one. Pure: no
 * DPDK, no clock; memory is the caller's. One lcore.
 *
 * A key is canonical: the smaller (address, port) stands first, so both directions of a flow give
 * the same key. ICMP echo uses its identifier as the port of the side that asks, so that the other
 * side's own requests are another flow; other ICMP and protocols without ports use 0.
 *
 * Room: where a bucket or the table is full, first what has timed out goes, then the oldest entry
 * whose verdict is DENY, then the oldest allowed one with packets in one direction alone: it was
 * never answered, and its next packet is judged as its first one was; a flow that is denied takes
 * the place of none that is allowed. Allowed flows that were answered stay until they are idle.
 * Where nothing may go, the new flow gets no entry and the caller is told. A key has two buckets,
 * half of all places are empty when the table is full, and the hash is keyed: what is full is the
 * table. The second bucket is used, and read, only where the first one was nearly full.
 */
#ifndef SL_FLOW_H
#define SL_FLOW_H

#include "sl_base.h"
#include "sl_hash.h"

#define SL_FLOW_NONE UINT32_MAX
#define SL_FLOW_BUCKET 8
#define SL_FLOW_LOOK 32 /* entries that an add may look at in a full table */

/* Idle timeouts in ticks of 100 ms */
#define SL_FLOW_IDLE_UDP 600	   /* 60 s */
#define SL_FLOW_IDLE_TCP 3000	   /* 300 s, not (yet) established */
#define SL_FLOW_IDLE_TCP_EST 74400 /* 7,440 s: RFC 5382 REQ-5 */
#define SL_FLOW_IDLE_CLOSED 100	   /* 10 s after FIN both ways or RST */
#define SL_FLOW_IDLE_ICMP 300	   /* 30 s */
#define SL_FLOW_IDLE_OTHER 600
#define SL_FLOW_IDLE_DENIED 100 /* 10 s */

struct sl_flow_key {
	uint8_t a[16], b[16]; /* IPv4: first 4 bytes, rest 0 */
	uint16_t pa, pb;
	uint16_t iface;
	uint8_t proto, version;
};
_Static_assert(sizeof(struct sl_flow_key) == 40, "hashed as five words");

enum sl_flow_flags {
	SL_FLOW_INIT_B = 1,	 /* the initiator is side b */
	SL_FLOW_ALLOW = 2,	 /* shadow verdict */
	SL_FLOW_FROM_TUNNEL = 4, /* the initiator is a tunnel peer */
	SL_FLOW_MIDSTREAM = 8,
	SL_FLOW_ALLOW_NOTED = 16, /* its begin was recorded (or not selected) */
	SL_FLOW_MULTI_ROLE = 32,
	SL_FLOW_STALE = 64,
	SL_FLOW_QUIET =
		128, /* peer to peer at the receiver's home: judged at the sender, no records */
};

/** Beside the flags; what concerns records, and the next hop. */
enum sl_flow_note {
	SL_FLOW_LOG = 1,       /* the deciding rule wants records of it */
	SL_FLOW_OBSERVED = 2,  /* the mode of its last packets was observe */
	SL_FLOW_NO_PREFIX = 4, /* ... and no mode prefix held its target */
	SL_FLOW_WAY_B = 8,     /* `nh` is of packets whose source is side b */
};

enum sl_flow_tcp {
	SL_FLOW_TCP_NEW,
	SL_FLOW_TCP_REPLIED,
	SL_FLOW_TCP_EST,
	SL_FLOW_TCP_STATE = 3, /* mask of the above */
	SL_FLOW_TCP_FIN_I = 4, /* bits: FIN of the initiator, of the responder */
	SL_FLOW_TCP_FIN_R = 8,
	SL_FLOW_TCP_RST = 16,
};

struct sl_flow {
	/* line 0: what each packet reads */
	struct sl_flow_key key;
	uint32_t last_tick;
	uint32_t deadline_tick;	      /* earliest expiry that the verdict hangs on; 0: none */
	uint32_t policy_gen, who_gen; /* low halves */
	uint8_t flags;		      /* enum sl_flow_flags */
	uint8_t tcp;		      /* enum sl_flow_tcp */
	uint8_t why;		      /* enum sl_why */
	uint8_t note : 7;	      /* enum sl_flow_note */
	uint8_t used : 1;
	uint32_t hash;
	/* line 1: what each packet counts, and where it leaves */
	uint64_t packets[2], bytes[2]; /* initiator's, responder's */
	uint32_t noted_tick;	       /* of the last deny or would-deny record */
	uint32_t unnoted;	       /* packets denied since then, for whatever reason */
	uint32_t way_gen; /* the user's, of `nh`: low half of the root's by which it was found */
	uint32_t peer_id;
	uint32_t src_stamp, peer_stamp;
	uint16_t role, zone, target;
	uint16_t nh; /* the user's, next hop of what leaves the tunnel; 0: not known */
	/* line 2 */
	uint64_t start_ns;
	uint64_t folded_packets, folded_bytes; /* what the aggregate has already */
	uint32_t rule_id, role_id;	       /* of the document; 0: none */
	uint32_t listed[2], next[2], prev[2];  /* lists of the peers at its ends: the user's */
	uint32_t agg_hash;		       /* the user's, of its aggregate; 0: not yet known */
	uint32_t rule;			       /* in the tables of policy_gen */
} SL_ALIGNED(SL_CACHE_LINE);
_Static_assert(sizeof(struct sl_flow) == 3 * SL_CACHE_LINE, "three lines");

static inline bool
sl_flow_key_is(const struct sl_flow_key *x, const struct sl_flow_key *y)
{
	uint64_t a[5], b[5];

	memcpy(a, x, sizeof(a));
	memcpy(b, y, sizeof(b));
	return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4])) == 0;
}

/** Are the packets forwarded, as far as policy goes? Allowed, or only observed. */
static inline bool
sl_flow_passes(const struct sl_flow *f)
{
	return (f->flags & SL_FLOW_ALLOW) != 0 || (f->note & SL_FLOW_OBSERVED) != 0;
}

/** One block: this, buckets, entries, numbers of free ones. Written by sl_flow_add() and the like
 * alone. */
struct sl_flow_table {
	struct sl_flow_bucket *bucket;
	struct sl_flow *entry;
	uint32_t mask; /* of buckets */
	uint32_t max, count;
	uint32_t fresh;	 /* entries from here on are free */
	uint32_t hand;	 /* of the sweep */
	uint32_t *freed; /* entries below `fresh` that are free: the last one is used first */
	uint32_t n_freed;
	struct sl_hash_key key;
} SL_ALIGNED(SL_CACHE_LINE);

/** Bytes for at most `max` flows. */
size_t sl_flow_table_size(unsigned max);
/** In zeroed, cache-aligned memory of that size. */
struct sl_flow_table *sl_flow_table_init(void *mem, unsigned max, const uint64_t hash_key[2]);

/**
 * Fill a canonical key. @return true if the packet's source is side b
 */
bool sl_flow_key_make(struct sl_flow_key *k, uint8_t version, uint8_t proto, uint16_t iface,
		      const uint8_t *src, const uint8_t *dst, uint16_t sport, uint16_t dport);
uint32_t sl_flow_hash(const struct sl_flow_table *t, const struct sl_flow_key *k);
/** Bring the bucket of a hash into the cache, the first of its two. */
void sl_flow_prefetch(const struct sl_flow_table *t, uint32_t hash);
/** @return the entry or NULL */
struct sl_flow *sl_flow_find(struct sl_flow_table *t, const struct sl_flow_key *k, uint32_t hash);
/** n at once, latencies overlapped; best a little after sl_flow_prefetch() of each. */
void sl_flow_find_burst(struct sl_flow_table *t, const struct sl_flow_key k[],
			const uint32_t hash[], struct sl_flow *out[], unsigned n);

/** Ticks after which an entry is idle, by protocol, TCP state and verdict. Ticks may wrap. */
uint32_t sl_flow_idle(const struct sl_flow *f);
/** Is it idle? @return SL_RR_IDLE or SL_RR_CLOSED, 0: no */
unsigned sl_flow_expired(const struct sl_flow *f, uint32_t tick);

/**
 * An entry is about to be freed; may be NULL where nobody wants to know. Takes the entry off its
 * peer's list and does not touch the table. @param reason enum sl_rec_reason: IDLE, CLOSED, EVICTED
 */
typedef void (*sl_flow_end_fn)(void *ctx, struct sl_flow *f, unsigned reason);

/**
 * A new entry: key, hash, last_tick and used are filled, the rest is zero. The caller has looked
 * the key up. When every entry is in use, those of the key's two buckets and the next SL_FLOW_LOOK
 * at the sweep's hand are looked at. @return NULL when there is no room
 */
struct sl_flow *sl_flow_add(struct sl_flow_table *t, const struct sl_flow_key *k, uint32_t hash,
			    uint32_t tick, sl_flow_end_fn end, void *ctx);
/** The same for a flow that is denied: none that is allowed makes room for it, so that nobody can
 * push out others' flows by what he may not do. */
struct sl_flow *sl_flow_add_denied(struct sl_flow_table *t, const struct sl_flow_key *k,
				   uint32_t hash, uint32_t tick, sl_flow_end_fn end, void *ctx);
/** Bring the entry into the cache that the n-th add from now on will fill, 0 for the next one. */
static inline void
sl_flow_expect(const struct sl_flow_table *t, unsigned n)
{
	uint32_t at = n < t->n_freed ? t->freed[t->n_freed - 1 - n] : t->fresh + n - t->n_freed;
	const struct sl_flow *f = &t->entry[at];

	if (sl_unlikely(at >= t->max))
		return;
	sl_prefetch(f);
	sl_prefetch(f->packets);
	sl_prefetch(&f->folded_packets);
}

/** Free an entry; the caller has taken it off its peer's list. */
void sl_flow_del(struct sl_flow_table *t, struct sl_flow *f);

/** Place of an entry, for links; and back. */
static inline uint32_t
sl_flow_at(const struct sl_flow_table *t, const struct sl_flow *f)
{
	return (uint32_t)(f - t->entry);
}

static inline struct sl_flow *
sl_flow_get(const struct sl_flow_table *t, uint32_t at)
{
	return &t->entry[at];
}

/** Look at the next `budget` entries; end those that are idle. `end` must not free. */
void sl_flow_sweep(struct sl_flow_table *t, uint32_t tick, unsigned budget, sl_flow_end_fn end,
		   void *ctx);
/** Entries from this place on are free. */
uint32_t sl_flow_top(const struct sl_flow_table *t);
/** Any thread. */
unsigned sl_flow_count(const struct sl_flow_table *t);
unsigned sl_flow_max(const struct sl_flow_table *t);

/**
 * Follow a TCP header's flags. A SYN from either side on a closed entry begins anew, and so does
 * one from the responder of a midstream flow: that flow was allowed as the answer to something. The
 * state is NEW then, and the caller judges it like a new flow, whose initiator is the sender of
 * this SYN.
 * @return true then
 */
bool sl_flow_tcp(struct sl_flow *f, uint8_t tcp_flags, bool from_initiator);

#endif
