/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The data plane: one sl_worker per data lcore, polled in a loop; stages between vectors of
 * packets.
 *
 * A worker runs each burst to completion: every stage takes one input vector and appends to the
 * vectors of its named exits, which are the inputs of later stages (enum sl_node is in the order in
 * which they run). A drop is an exit with a reason. An io lcore is a worker that owns no peers:
 * what it receives is steered to the owners.
 *
 * All functions here run on the worker's own lcore unless said otherwise; no locks, no system
 * calls, no allocation but of mbufs.
 */
#ifndef SL_PIPELINE_H
#define SL_PIPELINE_H

#include <rte_ring.h>

#include "sl_aead.h"
#include "sl_agg.h"
#include "sl_env.h"
#include "sl_flow.h"
#include "sl_flow_view.h"
#include "sl_mbox.h"
#include "sl_msg.h"
#include "sl_pkt.h"
#include "sl_rcu.h"
#include "sl_record.h"
#include "sl_root.h"
#include "sl_rtt.h"
#include "sl_session.h"
#include "sl_stats.h"

#define SL_WORKER_MAX 32 /* data lcores (workers and io) */
#define SL_RXQ_MAX 32	 /* rx queues that one lcore polls */
#define SL_HS_LANES 3
#define SL_WK_MESSAGES 16 /* messages of hs that a poll takes */

/** Nodes of the graph in running order: the input vector of each stage. */
enum sl_node {
	SL_NODE_CLASSIFY, /* frames: L2, VLAN, IP; who is it for */
	SL_NODE_REASS,	  /* outer fragments for a listen port */
	SL_NODE_HS,	  /* WireGuard types 1-3: to hs through its lanes */
	SL_NODE_HOST,	/* ARP, ND, ICMP and others for the gateway's own addresses on an attachment
			 */
	SL_NODE_OPEN,	/* type 4 of keypairs owned here */
	SL_NODE_INNER,	/* decrypted: inner header, padding, source check, ECN */
	SL_NODE_INSIDE, /* plaintext from inside for a peer homed here */
	SL_NODE_AUTHZ,	/* who may reach what; both directions */
	SL_NODE_FORWARD, /* judged packet from a tunnel: isolation, route, TTL, MTU */
	SL_NODE_LOCAL,	 /* for an own inner address: echo */
	SL_NODE_ICMP,	 /* meta.drop says why an ICMP error is due; the packet itself then drops */
	SL_NODE_ROUTE,	 /* IP packet of the gateway itself for the inside of meta.iface_id */
	SL_NODE_ENCAP,	 /* judged plaintext for meta.peer_id: TTL, MSS, MTU, fragments; keypair or
			    park */
	SL_NODE_SEAL,	 /* nonces, padding, headers, AEAD, endpoint */
	SL_NODE_OUTER,	 /* outer IP packet: underlay route */
	SL_NODE_REWRITE, /* next hop known in meta.nh: L2 header, or wait for the neighbour */
	SL_NODE_TX,	 /* whole frames for meta.port */
	SL_NODE_STEER,	 /* to worker meta_steer (w->steer_to), meta.next says where it goes on */
	SL_NODE_DROP,	 /* counted and freed */
	SL_NODE_MAX
};

struct sl_dp;
struct sl_worker;

/** One transmit port of a worker: an own queue, or a ring to the lcore that has the queue. */
struct sl_txport {
	bool present;
	bool csum_ip, csum_udp; /* tx offloads that are on */
	uint16_t ethdev;
	uint16_t queue;
	uint16_t n;
	struct rte_ring
		*via; /* not NULL: no own queue; SPSC ring of frames (NEXT_L2) to its owner */
	struct rte_mbuf *buf[2 * SL_BURST];
};

struct sl_rxq {
	uint16_t port;	 /* sl_port number */
	uint16_t ethdev; /* DPDK port id */
	uint16_t queue;
};

/** What the next-hop wait list holds (packets whose neighbour is unresolved). */
#define SL_WAIT_MAX 64	 /* next hops waited for by one worker */
#define SL_WAIT_PKTS 8	 /* packets of one next hop */
#define SL_WAIT_SHARE 16 /* next hops waited for by packets of one sender */
struct sl_wait {
	uint32_t nh;	 /* SL_NH_ID_NONE: free entry */
	uint32_t sender; /* of its first packet: see wait.c */
	uint16_t att;
	uint16_t iface_id; /* for re-routing: 0 = underlay */
	uint32_t tick;	   /* when the first packet came */
	uint32_t told;	   /* when control was last asked to resolve `ip` */
	uint16_t n;
	bool glean; /* nh is a GLEAN: look `ip` up again when the root changes */
	struct sl_ip ip;
	struct rte_mbuf *m[SL_WAIT_PKTS];
};

/** Token bucket for what the gateway itself answers. Echo is answered to anybody, so it has buckets
 * of its own: a flood of it must not make the gateway silent to ARP, nor keep ICMP errors back. */
struct sl_bucket {
	uint64_t last_ns;
	uint64_t tokens_milli;
};

/** What a worker knows of its share of the work, second by second (rehome.c). */
struct sl_balance {
	uint32_t tick;			    /* of the last look */
	uint32_t quiet_tick;		    /* no peer is asked away before that */
	uint32_t overloaded;		    /* seconds in a row */
	uint32_t top_id[2];		    /* the two heaviest peers of this second ... */
	uint64_t top[2];		    /* ... and their packets */
	uint64_t packets;		    /* of all peers homed here */
	uint64_t busy_cycles, total_cycles; /* at the last look */
};

/** Where the sweep of the flow table is (flow_life.c). */
struct sl_flow_sweep {
	uint32_t at, pass, tick;
};

/**
 * Ways out of the tunnels that were found by the root of this generation (way.h), for the first
 * packets of flows. A place holds what it is about, then a next hop in 16 bits; 0: nothing.
 */
#define SL_WAYS 256
struct sl_ways {
	uint64_t generation;
	uint64_t net[SL_WAYS], host[SL_WAYS];
};

/** Cycles per stage, filled when w->prof is set (sluice-bench). */
struct sl_prof {
	uint64_t cycles[SL_NODE_MAX];
	uint64_t packets[SL_NODE_MAX];
	uint64_t rx_cycles;
};

struct sl_worker {
	/* read-only after start */
	struct sl_dp *dp;
	unsigned id; /* 0.. ; workers (owners) first, then io lcores */
	bool owner;  /* false: io lcore */
	unsigned n_rxq;
	struct sl_rxq rxq[SL_RXQ_MAX];
	struct rte_ring *steer_in[SL_WORKER_MAX];  /* from data lcore i, NULL for itself; mbufs with
						      meta.next */
	struct rte_ring *steer_out[SL_WORKER_MAX]; /* to worker i */
	struct rte_ring *flow_in[SL_WORKER_MAX];   /* owners: entries of peers that come from worker
						      i; mbufs, see flow_move.c */
	struct rte_ring *flow_out[SL_WORKER_MAX];  /* to worker i */
	struct rte_ring *inject[2]; /* 0: from hs, 1: from control; mbufs with meta.next */
	struct rte_ring *tx_in[SL_WORKER_MAX]; /* frames of lcores without an own tx queue */
	struct rte_ring *hs_lane[SL_HS_LANES]; /* to hs: a: 2 with a pending index, 3 with a pending
						  or live one, b: 1 with mac2, c: 1 */
	struct sl_mbox *from_hs;	       /* struct sl_wk_msg */
	struct sl_mbox *to_hs;		       /* struct sl_wk_ack */
	struct sl_mbox *to_ctl;		       /* struct sl_ctl_event */
	struct rte_mempool *pool;
	struct sl_aead *aead;
	struct sl_prof *prof;
	/* what policy needs; owners only. w: this lcore; of `records` and `agg` see their headers
	 */
	struct sl_flow_table *flows;
	struct sl_rec_ring *records;
	struct sl_rec_buckets *buckets;
	struct sl_agg *agg;
	void *frags;		   /* frag_verdict.c */
	struct sl_rtt *rtt;	   /* r: control */
	struct sl_flow_view *view; /* of `flows`, for control; NULL: no owner */

	/* of this poll */
	const struct sl_root *root;
	uint64_t now_ns;
	uint32_t tick;
	bool logging;  /* root->authz.logging */
	unsigned busy; /* packets and messages handled in this poll */

	/* mutable, this lcore only */
	struct sl_stats_lcore *stats; /* w: this lcore, read by control */
	struct sl_stats_delta delta;  /* counts since the last flush into stats */
	uint64_t poll_tsc;	      /* TSC at the begin of the last poll */
	uint64_t tell_lost;	      /* events for control that found its mailbox full */
	struct sl_wk_ack unsent[SL_WK_MESSAGES]; /* answers that did not fit: before new messages */
	unsigned n_unsent;
	uint32_t run_tick;	    /* tick of the last housekeeping */
	unsigned n_flush;	    /* peers confirmed in this run, see sl_home_confirm() */
	uint32_t flush[SL_VEC_MAX]; /* their ids: parked packets go out when the run is over */
	struct sl_bucket local_bucket;
	/* by port: echo of our addresses there; ARP and ND, answers and what control is told */
	struct sl_bucket echo_bucket[SL_PORT_MAX];
	struct sl_bucket neigh_bucket[SL_PORT_MAX];
	unsigned opens_by_ring; /* packets in v[SL_NODE_OPEN], the first ones, from steer rings */
	struct sl_balance balance;
	uint8_t steer_to[SL_VEC_MAX]; /* destination of each packet of v[SL_NODE_STEER] */
	struct sl_txport tx[SL_PORT_MAX];
	struct sl_wait wait[SL_WAIT_MAX];
	unsigned n_wait;
	uint64_t wait_root_generation;
	struct sl_peer *parking; /* ring of peers with parked packets, see park.c */
	unsigned n_parked;
	unsigned parked_max; /* of 1/8 of the mbufs, this worker's share */
	uint32_t sweep_tick;
	struct sl_flow_sweep sweep;
	struct sl_ways ways;
	void *reass;   /* stage_reass.c */
	void *scratch; /* sl_worker_scratch, private to the stages */
	struct sl_vec v[SL_NODE_MAX];
};

/** Shared by all data lcores of a gateway; made by sl_dp_new(), read-only but for the objects it
 * points to. */
struct sl_dp {
	char name[32];			      /* instance: prefix of ring names */
	unsigned n_workers;		      /* owners */
	unsigned n_lcores;		      /* owners and io */
	_Atomic(const struct sl_root *) root; /* w: control */
	struct sl_peer_table *peers;
	struct sl_session_table *sessions;
	struct sl_nh_table *nhs;
	struct sl_rcu *rcu;
	struct rte_mempool *pool;
	struct sl_worker *worker[SL_WORKER_MAX];
	struct sl_rec_ring *hs_records; /* sessions of peers; w: hs */
	struct sl_rec_buckets *hs_buckets;
	uint64_t tsc_hz;
	uint32_t ns_per_cycle_q24;   /* nanoseconds per TSC cycle, 8.24 fixed point */
	_Atomic bool losing_records; /* w: drain; see sl_authz_view.required4 */
};

/* --- assembly (control, before the lcores start) ----------------------------------------- */

struct sl_dp_conf {
	const char *name; /* prefix of ring and pool names: the instance */
	unsigned n_workers, n_io;
	struct rte_mempool *pool;
	struct sl_session_table *sessions;
	struct sl_rcu *rcu;
	enum sl_aead_impl aead;
	unsigned pool_size;
	/* of each worker; 0: the default */
	unsigned flows_max;	/* flows: 65,536 */
	unsigned record_slots;	/* records in the ring, a power of two: 2,048, which are 256 KiB; hs
				   has one, too */
	unsigned agg_rows;	/* rows of each of its two tables, a power of two: 16,384 */
	unsigned records_per_s; /* of a role, all workers together: 1,000 */
	uint64_t hash_key[2];	/* random: of the tables whose keys outsiders choose */
};

/** Make workers, rings and mailboxes (no ports yet). @return NULL with an error. */
struct sl_dp *sl_dp_new(const struct sl_dp_conf *conf, struct sl_error *e);
void sl_dp_free(struct sl_dp *dp);
/** Give a worker an rx queue to poll. @return 0 or -ENOSPC. */
int sl_worker_add_rxq(struct sl_worker *w, const struct sl_rxq *q);
/**
 * Tell a worker how to transmit on a port: own queue (via -1), or through data lcore `via` (its
 * tx_in ring), which has one. @return 0, -EINVAL (no such port or lcore), -ENOMEM
 */
int sl_worker_set_tx(struct sl_worker *w, unsigned port, uint16_t ethdev, uint16_t queue, int via,
		     bool csum_ip, bool csum_udp);

/* --- running ----------------------------------------------------------------------------- */

/**
 * One turn: messages, rx bursts, rings, timeouts; transmits what it made. The clock is the caller's
 * (TSC in the appliance, virtual in lockstep).
 * @return packets and messages handled; 0 = idle
 */
unsigned sl_worker_poll(struct sl_worker *w, uint64_t now_ns);
/** Run the graph over what stands in w->v[] until it is empty, then flush tx and counters. */
void sl_worker_run(struct sl_worker *w);

/* --- stages: each drains `in` (in->n = 0 at return)
 * ----------------------------------------------------------- */

void sl_stage_classify(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_reass(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_hs(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_host(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_open(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_inner(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_inside(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_authz(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_forward(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_local(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_icmp(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_route(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_encap(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_seal(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_outer(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_rewrite(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_tx(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_steer(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);
void sl_stage_drop(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[]);

/* --- shared by stages -------------------------------------------------------------------- */

/** Put a packet on the steer exit for worker `to`, to go on at `next`. */
static inline void
sl_vec_steer(struct sl_worker *w, struct sl_vec out[], struct rte_mbuf *m, unsigned to,
	     enum sl_next next)
{
	struct sl_vec *v = &out[SL_NODE_STEER];

	sl_meta(m)->next = (uint8_t)next;
	w->steer_to[v->n] = (uint8_t)to;
	sl_vec_add(v, m);
}

/** Take one token for a packet of our own making on the inside of a tunnel (1,000/s, burst 100). */
bool sl_worker_may_answer(struct sl_worker *w);
/** The same for echo of our addresses on a port: the Internet's part in it is its own. */
bool sl_worker_may_echo(struct sl_worker *w, unsigned port);
/** For ARP and ND on a port (4,000/s, burst 200). */
bool sl_worker_may_neigh(struct sl_worker *w, unsigned port);
/** Raise an event bit of a peer and hint hs when it was not set. Home only. */
void sl_worker_raise(struct sl_worker *w, struct sl_peer *p, unsigned event);
/** Tell control something (lossy). */
void sl_worker_tell(struct sl_worker *w, const struct sl_ctl_event *ev);

/** Send-side bookkeeping of home (park.c): keep a packet until the keypair comes; asks hs for a
 * handshake. */
void sl_park_add(struct sl_worker *w, struct sl_peer *p, struct rte_mbuf *m);
/** Move all parked packets of a peer to v[SL_NODE_ENCAP], at most a burst at a time, running the
 * graph. Between two runs of the graph. */
void sl_park_flush(struct sl_worker *w, struct sl_peer *p);
/** Drop all parked packets of a peer. */
void sl_park_drop(struct sl_worker *w, struct sl_peer *p, enum sl_drop reason);
/** Make another worker the home of a peer and hand it all that is parked; for 10 s the new home
 * asks for no other one. */
void sl_park_move(struct sl_worker *w, struct sl_peer *p, unsigned to);
/** Time out packets parked for more than 5 s. Once a tick. */
void sl_park_sweep(struct sl_worker *w);
/** Seal one keepalive for a peer (empty packet through SL_NODE_SEAL). */
void sl_seal_keepalive(struct sl_worker *w, struct sl_peer *p);
/** Neighbour wait list: retry what may go on now, time out after 3 s. Each poll while w->n_wait >
 * 0. */
void sl_wait_sweep(struct sl_worker *w);
/** Free everything that waits or is parked (shutdown). */
void sl_worker_purge(struct sl_worker *w);

/** Messages of hs (home.c). Between two runs of the graph. */
void sl_home_message(struct sl_worker *w, const struct sl_wk_msg *msg);
/**
 * First authenticated packet of an unconfirmed keypair: at the owner mark it confirmed; at the home
 * make it current (unless a newer one is), tell hs, and send what is parked when the run is over.
 */
void sl_home_confirm(struct sl_worker *w, struct sl_keypair *kp);

#endif
