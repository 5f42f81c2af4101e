/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Flows in the pipeline: what stage authz and its helpers share. Private to lib/pipeline.
 *
 * An entry of the flow table stands on up to two lists: of the peer that the judgement names (side
 * MAIN) and, between two peers, of the other one (side OTHER); on each only where this worker is
 * that peer's home. The lists lead to all entries that go with a peer when it moves or ends.
 *
 * A phase is a time in which an entry's packets are all forwarded or all dropped: its counters,
 * aggregate row and records are of one kind. A verdict of ALLOW is one phase; a verdict of DENY is
 * one phase as long as the mode does not change.
 */
#ifndef SL_FLOW_INT_H
#define SL_FLOW_INT_H

#include "send_int.h"

#define SL_FLOWS_DEFAULT 65536
#define SL_RECORDS_DEFAULT 2048
#define SL_AGG_ROWS_DEFAULT 16384
#define SL_RECORDS_PER_S 1000
#define SL_SECOND_TICKS (SL_NS_PER_S / SL_TICK_NS)

enum sl_flow_side { SL_FLOW_MAIN, SL_FLOW_OTHER };

/** What a packet is to policy. */
enum sl_authz_kind {
	SL_AUTHZ_FLOW,	 /* of the flow of its own tuple */
	SL_AUTHZ_ERROR,	 /* an ICMP error: key is the quoted packet's, `side` that packet's */
	SL_AUTHZ_QUIET,	 /* between peers, judged at the sender's home: makes way for replies */
	SL_AUTHZ_ORPHAN, /* a fragment without its first one */
	SL_AUTHZ_OWN,	 /* not judged here */
};

/** What a question to sl_judge() is about. */
enum sl_authz_about {
	SL_ABOUT_NEW,	/* a packet of no flow */
	SL_ABOUT_AGAIN, /* an entry whose verdict is of an older time: its initiator's tuple */
	SL_ABOUT_OTHER, /* enforced deny, the other side begins: the packet's own tuple */
};

/** What was done for a packet already. */
enum sl_authz_asked {
	SL_ASKED_COUNTED = 1, /* as hit or miss */
	SL_ASKED_OTHER = 2,   /* its own direction is denied as well */
};

#define SL_MODE_NO_PREFIX 2 /* bit beside enum sl_authz_mode: no mode prefix holds the target */
#define SL_AUTHZ_STEER UINT8_MAX /* in place of a drop reason: to the peer's home */
_Static_assert((unsigned)SL_DROP_MAX < SL_AUTHZ_STEER, "no reason has its number");

struct sl_question {
	uint8_t about;
	uint8_t first, last; /* its packets: a chain through `chain` */
	uint32_t agg_hash;   /* of NEW and OTHER: of the flow's aggregate; 0: not known */
	struct sl_flow *f;   /* of AGAIN and OTHER */
};

/** One burst on its way through authz. */
struct sl_authz {
	struct sl_worker *w;
	const struct sl_policy_view *v;
	uint32_t policy_gen, who_gen, way_gen;
	unsigned n;
	bool unlogged; /* records are not kept, and some targets want them */
	bool observe;  /* no packet can meet the mode enforce */
	bool moved;    /* entries came or went since the burst was looked up */
	bool imported; /* ... from another worker */
	struct rte_mbuf **m;
	uint8_t kind[SL_BURST];
	uint8_t side[SL_BURST];	 /* the source is side b of the key */
	uint8_t drop[SL_BURST];	 /* verdict: enum sl_drop, NONE to pass; or SL_AUTHZ_STEER */
	uint8_t asked[SL_BURST]; /* enum sl_authz_asked */
	uint8_t chain[SL_BURST];
	uint32_t mode[SL_BURST];
	uint32_t hash[SL_BURST];
	struct sl_flow *f[SL_BURST];
	struct sl_flow_key key[SL_BURST];
	unsigned n_q, n_on_entry;   /* questions; of them about an entry */
	uint32_t q_hash[SL_BURST];  /* of the first packet of each question */
	uint64_t q_seen[4];	    /* a bit for some of each hash: clear, then none has it */
	struct sl_question *q;	    /* of this round */
	struct sl_judge_flow *flow; /* of the questions */
	struct sl_authz_round {
		struct sl_question q[SL_BURST];
		struct sl_judge_flow flow[SL_BURST];
	} round[2]; /* while those of one are answered the next one's are asked */
};

/* --- stage_authz.c ----------------------------------------------------------------------- */

/** Count a packet on its entry, note what is to be noted, find its verdict by the mode. */
void sl_authz_settle(struct sl_authz *a, unsigned i, struct sl_flow *f);
/** The same of the first packet of a flow: its entry holds the time and the mode already. */
void sl_authz_settle_first(struct sl_authz *a, unsigned i, struct sl_flow *f);
/** A packet without an entry that policy allows, while records are not kept: denied where its
 * target wants them. */
void sl_authz_unlogged(struct sl_authz *a, unsigned i, const struct sl_flow *f, uint32_t mode);
/** Mode of a packet of this flow. */
uint32_t sl_authz_mode(const struct sl_authz *a, unsigned i, const struct sl_flow *f);
/** The drop reason of a verdict of DENY. @param why enum sl_why */
enum sl_drop sl_authz_reason(unsigned why);

/* --- flow_judge.c ------------------------------------------------------------------------ */

/** Settle a packet by its entry a->f[i], or put it to a question. */
void sl_authz_look(struct sl_authz *a, unsigned i);
/** Ask until no question is left. */
void sl_authz_answer(struct sl_authz *a);

/* --- icmp_flow.c, frag_verdict.c --------------------------------------------------------- */

/** Key of a packet that is no whole TCP, UDP or other packet: echo, ICMP errors, fragments. */
void sl_authz_special(struct sl_authz *a, unsigned i);
/** An ICMP error whose flow does not carry it is judged as a packet of its own. */
void sl_authz_plain(struct sl_authz *a, unsigned i);

/** A packet in pieces (RFC 791, RFC 8200 4.5). */
struct sl_frag_key {
	uint8_t src[16], dst[16];
	uint32_t id;
	uint16_t iface;
	uint8_t proto; /* IPv6: 0, as not all its fragments name the upper protocol */
	uint8_t version;
	uint8_t pad[8];
};

/** What is remembered of its first fragment. */
struct sl_frag {
	struct sl_frag_key key; /* version 0: free */
	struct sl_flow_key flow;
	uint32_t tick;
	uint8_t side;
};

#define SL_FRAG_PLACES 1024 /* packets in pieces at a time */

/** Memory of rte_malloc, or NULL. */
void *sl_frag_table_new(const uint64_t hash_key[2]);
/** Remember the flow of a first fragment. */
void sl_frag_put(struct sl_authz *a, unsigned i);
/** Key and side of a later fragment as of its first one. @return false: not seen within 30 s */
bool sl_frag_find(struct sl_authz *a, unsigned i);
/** The k-th, NULL: none. */
const struct sl_frag *sl_frag_get(const struct sl_worker *w, unsigned k);
/** Remember what another worker did. */
void sl_frag_take(struct sl_worker *w, const struct sl_frag *f);

/* --- flow_note.c: records and aggregates ------------------------------------------------- */

/** A flow is asked about: bring into the cache what leads to its row. @return f->agg_hash of the
 * entry that it may get */
uint32_t sl_note_expect(struct sl_worker *w, const struct sl_judge_flow *flow);
/** What sl_note_fold() will touch of a new flow. */
void sl_note_prefetch(struct sl_worker *w, struct sl_flow *f);
/** A flow begins, or a phase of it: its begin record, its row. After its first packet is counted.
 */
void sl_note_begin(struct sl_worker *w, struct sl_flow *f);
/** The mode of its packets is another one now. Before the packet is counted. */
void sl_note_turn(struct sl_worker *w, struct sl_flow *f, uint32_t mode);
/** Write what is held back of denied packets. */
void sl_note_denied(struct sl_worker *w, struct sl_flow *f);
/** Bring its row up to date. */
void sl_note_fold(struct sl_worker *w, struct sl_flow *f, unsigned flows);
/** The end of a phase: all that is held back, and the end record. @param reason enum sl_rec_reason
 */
void sl_note_end(struct sl_worker *w, struct sl_flow *f, unsigned reason);
/** A packet judged without an entry. */
void sl_note_single(struct sl_worker *w, const struct sl_flow *f);
/** A packet for itself. @param reason FRAG_ORPHAN, WITHDRAWN, LOG_LOST */
void sl_note_packet(struct sl_worker *w, struct rte_mbuf *m, uint32_t mode, unsigned reason);
/** A role served past its expiry took part in a verdict. */
void sl_note_stale(struct sl_worker *w, const struct sl_flow *f);
/** n packets of a peer that did not open (DECRYPT) or came twice (REPLAY). */
void sl_note_session(struct sl_worker *w, enum sl_rec_type t, const struct sl_peer *p, uint32_t n);

/* --- flow_life.c: lists, ends, sweep ----------------------------------------------------- */

/** Put an entry on the list of a peer at one end. */
void sl_flow_link(struct sl_worker *w, struct sl_flow *f, enum sl_flow_side side,
		  struct sl_peer *p);
void sl_flow_unlink(struct sl_worker *w, struct sl_flow *f, enum sl_flow_side side);
/** Put an entry on the lists of its peers that live here. @param here a peer that is
 * about to, or to go */
void sl_flow_link_peers(struct sl_worker *w, struct sl_flow *f, const struct sl_peer *here);
/** The peer at the other end of a flow between peers, or NULL. */
struct sl_peer *sl_flow_other_peer(struct sl_worker *w, const struct sl_flow *f);
/** End and free an entry. */
void sl_flow_end(struct sl_worker *w, struct sl_flow *f, unsigned reason);
/** The table frees this entry to make room. sl_flow_end_fn of the worker `ctx`. */
void sl_flow_evicted(void *ctx, struct sl_flow *f, unsigned reason);
/** The peer is going away: so do its flows. */
void sl_flow_peer_gone(struct sl_worker *w, struct sl_peer *p);
/** Start counting anew: another phase. */
void sl_flow_reset(const struct sl_worker *w, struct sl_flow *f);
/** @return what a note says of the mode of packets */
static inline uint8_t
sl_flow_note_mode(uint32_t mode)
{
	return (uint8_t)(((mode & 1) == 0 ? SL_FLOW_OBSERVED : 0) |
			 ((mode & SL_MODE_NO_PREFIX) != 0 ? SL_FLOW_NO_PREFIX : 0));
}

/** Once a tick: entries that came from other workers, a slice of the table, the aggregates. */
void sl_flow_tick(struct sl_worker *w);
/** All entries end (shutdown). */
void sl_flow_purge(struct sl_worker *w);

/* --- flow_move.c ------------------------------------------------------------------------- */

/** Old home, before it stores the new one: all entries of the peer go there by ring. */
void sl_flow_export(struct sl_worker *w, struct sl_peer *p, unsigned to);
/** New home: take what came. */
void sl_flow_import(struct sl_worker *w);

/* --- small helpers ----------------------------------------------------------------------- */

/** Another round begins, without questions yet. */
static inline void
sl_authz_no_questions(struct sl_authz *a)
{
	struct sl_authz_round *next = &a->round[a->q == a->round[0].q];

	a->q = next->q;
	a->flow = next->flow;
	a->n_q = 0;
	a->n_on_entry = 0;
	memset(a->q_seen, 0, sizeof(a->q_seen));
}

/** Mode of a flow's packets: where its target is withdrawn no mode lets them pass.
 * @param why enum sl_why of its verdict */
static inline uint32_t
sl_flow_mode(unsigned why, uint32_t mode)
{
	return why == SL_WHY_WITHDRAWN ? mode | SL_MODE_ENFORCE : mode;
}
_Static_assert(SL_MODE_ENFORCE == 1 && SL_MODE_OBSERVE == 0, "one bit");

/** Is the source of the initiator's packets side b? */
static inline bool
sl_flow_init_b(const struct sl_flow *f)
{
	return (f->flags & SL_FLOW_INIT_B) != 0;
}

static inline const uint8_t *
sl_flow_src(const struct sl_flow *f)
{
	return sl_flow_init_b(f) ? f->key.b : f->key.a;
}

static inline const uint8_t *
sl_flow_dst(const struct sl_flow *f)
{
	return sl_flow_init_b(f) ? f->key.a : f->key.b;
}

static inline bool
sl_proto_has_ports(uint8_t proto)
{
	return proto == SL_PROTO_TCP || proto == SL_PROTO_UDP;
}

/** Ports as rules and records see them: none but of TCP and UDP. */
static inline uint16_t
sl_flow_sport(const struct sl_flow *f)
{
	uint16_t port = sl_flow_init_b(f) ? f->key.pb : f->key.pa;

	return sl_proto_has_ports(f->key.proto) ? port : 0;
}

static inline uint16_t
sl_flow_dport(const struct sl_flow *f)
{
	uint16_t port = sl_flow_init_b(f) ? f->key.pa : f->key.pb;

	return sl_proto_has_ports(f->key.proto) ? port : 0;
}

/** A tunnel sends it, and a peer is to receive it, judged at the sender (steered by to_peer()). */
static inline bool
sl_meta_is_quiet(const struct sl_meta *meta)
{
	return meta->next == SL_NEXT_SEAL &&
	       (meta->flags & (SL_PKT_FROM_TUNNEL | SL_PKT_LOCAL_ORIGIN)) == SL_PKT_FROM_TUNNEL;
}

#endif
