/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Records of decisions: one ring a data lcore, and one of the handshake lcore for sessions;
 * overwriting the oldest; the producer never waits.
 *
 * The producer (its lcore) writes a record into the next slot, word by word, between two stores of
 * the slot's sequence word. The consumer (the drain thread) copies a slot and takes it only if the
 * sequence did not change; a gap in the numbers is the exact count of lost records. Words are
 * stored with release and loaded with acquire (plain moves on x86): who has read a word of a newer
 * record also finds the newer sequence. A slot has two lines, far from each other: verdicts on IPv4
 * flows, which are most, touch the first one alone. Accounting, per lcore and type (sums of
 * `count`: packets for verdicts, else events):
 *
 *	seen = recorded + suppressed + not_selected
 *	recorded = taken by the consumer + overwritten + still in the ring
 *
 * The slots are the pool: there is no allocation that could fail.
 */
#ifndef SL_RECORD_H
#define SL_RECORD_H

#include <stdatomic.h>
#include <stddef.h>

#include "sl_base.h"

enum sl_rec_type {
	SL_REC_ALLOW,	   /* a flow begins: allowed by policy */
	SL_REC_WOULD_DENY, /* observe: forwarded, policy would deny; count packets */
	SL_REC_DENY,	   /* enforce: dropped; count packets */
	SL_REC_END,	   /* a flow ends: packets, bytes, duration, why */
	SL_REC_DECRYPT,	   /* tag wrong; no addresses */
	SL_REC_REPLAY,	   /* counter seen before; no addresses */
	SL_REC_STALE,	   /* a role served past its expiry decided */
	SL_REC_FLOW_FULL,  /* no room for a flow entry: judged packet by packet */
	/* of the handshake lcore; no addresses */
	SL_REC_SESSION_OPEN,
	SL_REC_SESSION_REKEY,
	SL_REC_SESSION_CLOSE, /* why, and how long it was open */
	SL_REC_TYPES
};

enum sl_rec_reason {
	SL_RR_RULE,
	SL_RR_ZONE_DEFAULT,
	SL_RR_NO_ROLE,
	SL_RR_MAP_ERROR,
	SL_RR_WITHDRAWN,
	SL_RR_FRAG_ORPHAN,
	SL_RR_LOG_LOST, /* allowed, but the target wants records and they are being lost */
	/* of ends */
	SL_RR_IDLE,
	SL_RR_CLOSED,  /* TCP FIN both ways, or RST */
	SL_RR_REVOKED, /* policy, role, rule or peer went */
	SL_RR_EVICTED, /* made room for another flow */
	SL_RR_PEER_GONE,
	SL_RR_SHUTDOWN,
	/* of ends of sessions alone */
	SL_RR_EXPIRED, /* no handshake for 180 s */
	SL_RR_KICKED,
	SL_RR_KEY_CHANGED, /* the interface's */
	SL_RR_MAX
};

enum sl_rec_flags {
	SL_RF_FROM_TUNNEL = 1, /* the initiator is the peer; of sessions: of the handshake */
	SL_RF_CACHED = 2,      /* verdict from the flow table */
	SL_RF_MULTI_ROLE = 4,
	SL_RF_STALE = 8,
	SL_RF_MIDSTREAM = 16, /* judged without having seen the begin */
	SL_RF_ENFORCED = 32,  /* the mode was enforce when it was written */
	SL_RF_ALLOW = 64,     /* what policy says (the shadow verdict) */
	SL_RF_NO_TARGET = 128,
};

/** 128 bytes. Addresses are inner ones, in the initiator's direction; IPv4 in the first 4 bytes. */
struct sl_rec {
	_Atomic uint64_t seq; /* 2 * number + 1 while being written, 2 * number + 2 when whole */
	uint64_t mono_ns;
	uint8_t src[16], dst[16];
	uint16_t sport, dport;
	uint16_t iface;
	uint8_t proto, version;
	uint8_t type, reason, flags, stage; /* enum sl_stats_stage */
	uint32_t peer_id;
	uint32_t generation; /* policy_view.set->generation, low half; 0: no policy */
	uint32_t rule;	     /* place in the set's rules, SL_POL_NONE */
	uint16_t role, target, zone;
	uint16_t pad;
	uint32_t count;	      /* packets (verdicts) or 1 */
	uint32_t duration_ms; /* END */
	uint32_t packets[2];  /* END: initiator's, responder's; saturating */
	uint64_t bytes[2];    /* SESSION_CLOSE: nanoseconds that it was open, 0 */
} SL_ALIGNED(SL_CACHE_LINE);
_Static_assert(sizeof(struct sl_rec) == 128, "two lines");

struct sl_rec_counts {
	_Atomic uint64_t seen[SL_REC_TYPES], recorded[SL_REC_TYPES]; /* w: producer */
	_Atomic uint64_t suppressed[SL_REC_TYPES];		     /* token bucket of the role */
	_Atomic uint64_t not_selected[SL_REC_TYPES]; /* logging off, rule without log, sample */
};

/** What the second line holds. */
struct sl_rec_more {
	uint8_t src[12], dst[12]; /* the rest of IPv6 addresses */
	uint32_t packets[2];
	uint64_t bytes[2];
};

#define SL_REC_WORDS 7
#define SL_REC_WORDS_MORE 6
_Static_assert(sizeof(struct sl_rec_more) == SL_REC_WORDS_MORE * 8, "by words");

/** A record as words: mono_ns; the first 4 bytes of both addresses; then as in struct sl_rec from
 * sport to duration_ms. `pad`, the upper 16 bits of word 5, is the ring's. */
struct sl_rec_line {
	_Atomic uint64_t seq; /* of first lines */
	_Atomic uint64_t word[SL_REC_WORDS];
} SL_ALIGNED(SL_CACHE_LINE);
_Static_assert(sizeof(struct sl_rec_line) == SL_CACHE_LINE, "one line");
_Static_assert(offsetof(struct sl_rec, sport) == 48 && offsetof(struct sl_rec, type) == 56 &&
		       offsetof(struct sl_rec, generation) == 64 &&
		       offsetof(struct sl_rec, role) == 72 && offsetof(struct sl_rec, pad) == 78 &&
		       offsetof(struct sl_rec, count) == 80 &&
		       offsetof(struct sl_rec, packets) == 88,
	       "words 2 to 6");

struct sl_rec_ring {
	uint32_t mask;
	uint32_t pad;
	_Atomic uint64_t head; /* w: producer; records written */
	struct sl_rec_counts counts;
	struct sl_rec stage; /* producer's own: what sl_rec_begin() lends */
	/* consumer */
	_Atomic uint64_t tail SL_ALIGNED(SL_CACHE_LINE); /* w: consumer; next number to take */
	_Atomic uint32_t turn;				 /* w: consumer; odd while it takes */
	_Atomic uint64_t taken[SL_REC_TYPES], overwritten[SL_REC_TYPES]; /* w: consumer */
	struct sl_rec_line line[] SL_ALIGNED(SL_CACHE_LINE); /* first lines, then second ones */
};

/** Bytes for a ring of so many slots (a power of two). */
size_t sl_rec_ring_size(unsigned slots);
/** Set up in zeroed, cache-aligned memory. */
void sl_rec_ring_init(struct sl_rec_ring *r, unsigned slots);

/** Producer: a record to fill (all zero but its sequence), then sl_rec_commit(). */
struct sl_rec *sl_rec_begin(struct sl_rec_ring *r);
/** Producer: the record is in the ring; its count is added to recorded[its type]. */
void sl_rec_commit(struct sl_rec_ring *r, struct sl_rec *s);
/** Producer: the same in one step, for a record that is at hand as words. @param more NULL: zeros
 */
void sl_rec_write(struct sl_rec_ring *r, const uint64_t word[SL_REC_WORDS],
		  const struct sl_rec_more *more);
/** Add to a counter that only the caller writes. */
static inline void
sl_rec_count(_Atomic uint64_t *p, uint64_t n)
{
	uint64_t was = atomic_load_explicit(p, memory_order_relaxed);

	atomic_store_explicit(p, was + n, memory_order_relaxed);
}

/** Producer: count without a record. */
static inline void
sl_rec_seen(struct sl_rec_ring *r, enum sl_rec_type t, uint64_t n)
{
	sl_rec_count(&r->counts.seen[t], n);
}

static inline void
sl_rec_suppressed(struct sl_rec_ring *r, enum sl_rec_type t, uint64_t n)
{
	sl_rec_count(&r->counts.suppressed[t], n);
}

static inline void
sl_rec_not_selected(struct sl_rec_ring *r, enum sl_rec_type t, uint64_t n)
{
	sl_rec_count(&r->counts.not_selected[t], n);
}

/**
 * Consumer: copy up to `max` records; record number n has seq = 2 n + 2. @return how many; *lost:
 * records skipped on the way, because they were overwritten
 */
unsigned sl_rec_take(struct sl_rec_ring *r, struct sl_rec *out, unsigned max, uint64_t *lost);
/**
 * Consumer, after it took everything: settle `overwritten` = recorded - taken, exact for the
 * records up to here. @return false, and nothing changed, when the producer went on meanwhile
 */
bool sl_rec_settle(struct sl_rec_ring *r);
/** How full, 0-1,000,000. Any thread. */
unsigned sl_rec_used_ppm(const struct sl_rec_ring *r);

/** Where the records are, in sums of `count`. */
struct sl_rec_look {
	uint64_t taken[SL_REC_TYPES], overwritten[SL_REC_TYPES];
	uint64_t in_ring[SL_REC_TYPES]; /* of the slots between the positions of both ends */
};
/**
 * Any thread but the producer's: what was taken and what waits. What is lost but not yet settled is
 * in neither. @return true: as of one moment; false: the consumer took all the time, so that some
 * may be in both
 */
bool sl_rec_look(const struct sl_rec_ring *r, struct sl_rec_look *out);

/** Producer: bring the slot of the n-th record from now on into the cache, 0 the next one. */
static inline void
sl_rec_expect(struct sl_rec_ring *r, unsigned n, bool more)
{
	uint64_t at = atomic_load_explicit(&r->head, memory_order_relaxed) + n;

	sl_prefetch(&r->line[at & r->mask]);
	if (more)
		sl_prefetch(&r->line[(at & r->mask) + r->mask + 1]);
}

/** Token buckets of roles on one lcore; its share of 1,000 events a second and role. */
#define SL_REC_BUCKETS 1024 /* dense roles; the last one serves those without a role */
struct sl_rec_buckets {
	uint32_t per_s;
	struct {
		uint32_t tick;
		uint32_t milli;
	} b[SL_REC_TYPES][SL_REC_BUCKETS];
};
/** All full. @param per_s events a second and the burst; at least 1 */
void sl_rec_buckets_init(struct sl_rec_buckets *b, unsigned per_s);
/** @param role dense role or SL_POL_NONE16; @param tick coarse (100 ms). @return may be recorded */
bool sl_rec_token(struct sl_rec_buckets *b, enum sl_rec_type t, unsigned role, uint32_t tick);

const char *sl_rec_type_text(unsigned type);
const char *sl_rec_reason_text(unsigned reason);

#endif
