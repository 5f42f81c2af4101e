/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Inside of the handshake plane: what its files share. Everything here belongs to the hs thread.
 *
 * A peer's keys, its handshake and its cookie lie in `struct hs_peer`, taken from a pool of locked
 * pages that no core dump holds; private keys of interfaces lie in `struct hs_ident`, one guarded
 * region. hs is the allocator of keypairs and so may keep pointers to them.
 */
#ifndef SL_HS_PRIV_H
#define SL_HS_PRIV_H

#include <rte_mbuf.h>

#include "sl_cookie.h"
#include "sl_hs.h"
#include "sl_noise.h"
#include "sl_peer.h"
#include "sl_rcu.h"
#include "sl_timers.h"

#define HS_CLASSES SL_HS_LANES
#define HS_QUEUE_MAX 1024	/* messages of a class that passed mac1 and wait */
#define HS_INTAKE_MAX 1024U	/* taken from all lanes in a turn: mac1 of all costs 0.5 ms */
#define HS_INTAKE_LANE 256U	/* of them from one lane */
#define HS_SERVE_MAX 14		/* messages worked on in a turn: at most 2 ms */
#define HS_CMD_MAX 64		/* commands of control in a turn */
#define HS_ACK_MAX 64		/* answers of one worker in a turn */
#define HS_TIMER_MAX 256	/* timers fired in a turn */
#define HS_SWEEP_MAX 256	/* peers looked at in a turn of the sweep */
#define HS_SWEEP_NS SL_NS_PER_S /* every peer once */
#define HS_LOAD_BACKLOG 512	/* under load: so many wait ... */
#define HS_LOAD_AGE_NS (50 * SL_NS_PER_MS)     /* ... or the oldest waits for so long */
#define HS_LOAD_HOLD_NS SL_NS_PER_S	       /* and for so long after */
#define HS_STALE_NS (5 * SL_NS_PER_S)	       /* nobody waits for the answer any more */
#define HS_FLOOD_NS (20 * SL_NS_PER_MS)	       /* 50 initiations a second and peer */
#define HS_PACE_BURST_NS (10 * SL_NS_PER_MS)   /* initiations of so much time may go at once */
#define HS_TAI64N_GRAIN_NS (UINT64_C(1) << 24) /* 16.8 ms: timestamps do not show our clock */
#define HS_MOVE_NS (10 * SL_NS_PER_S)	       /* between changes of home that workers wish for */
#define HS_MOVE_MAX_NS (64 * HS_MOVE_NS)       /* the same, when they go on and on */
#define HS_KP_MAX 6			       /* next, current, previous and what is retiring */
#define HS_BUCKETS (1U << 17)

enum hs_kp_role {
	HS_KP_NONE,
	HS_KP_NEXT,	/* answered an initiation, not confirmed yet */
	HS_KP_CURRENT,	/* what the home sends with */
	HS_KP_PREVIOUS, /* still receives */
	HS_KP_RETIRING, /* unpublished; waits for the workers' answers */
	HS_KP_GRACE,	/* answered; waits for a grace period */
};

struct hs_kp {
	struct sl_keypair *kp;
	uint8_t role;
	uint8_t answers; /* RETIRED messages still to come */
	uint8_t unsent;	 /* RETIRE waits for the end of a change of home */
	uint8_t pad[5];
};

/** Handshake side of one peer. */
struct hs_peer {
	/* what control reads, latched */
	_Atomic uint32_t view_seq;
	struct sl_hs_peer_view view, view_odd;

	struct sl_peer *p; /* NULL: free object of the pool */
	struct hs_peer *hash_next;
	struct hs_peer *queue_next, **queue_pprev; /* initiations to be sent (pprev NULL: not in
						      the queue); pool: next free */
	uint64_t hash;
	uint32_t id;
	uint16_t iface_id;
	uint16_t home;
	uint16_t rehome_to;
	uint16_t lane; /* worker that brought the last handshake message, or lately most packets;
			  SL_WORKER_MAX none */
	uint32_t key_epoch;
	uint32_t pending_index; /* of our initiation, when `pending` */
	bool pending;
	bool rehoming;	   /* REHOME_OUT is under way: nothing is sent to the home */
	bool initiate;	   /* when the change of home is done */
	bool answer;	   /* the same: answer the initiation that was accepted */
	bool self;	   /* it has our own public key: left alone */
	bool deleting;	   /* PEER_DEL came */
	bool gone_sent;	   /* PEER_GONE went to the home */
	bool gone;	   /* ... and was answered */
	bool path_own;	   /* `outer` is newer than the peer's path while path_seq is path_seq0 */
	bool path_unsent;  /* PATH waits for the end of a change of home */
	bool path_force;   /* of that message */
	bool bad_key;	   /* low-order public key */
	bool session_lost; /* there was one, and it was wiped or ran out */
	unsigned answer_worker;
	uint64_t answer_ns;	   /* arrival of the initiation to be answered */
	struct sl_outer answer_to; /* addresses of that answer */
	struct sl_outer outer;
	uint32_t path_seq0;
	uint32_t rx_tick, tx_tick; /* last handshake message, authenticated or sent */
	uint64_t initiation_rx_ns; /* last one accepted */
	uint64_t opened_ns;	   /* since when records know a session, 0 none */
	uint64_t rekey_ns;	   /* early rekey of an initiator (jitter), 0 none */
	uint64_t moved_ns;	   /* last change of home, 0 none */
	uint64_t move_pause_ns; /* after it no worker's wish is granted for so long, 0 HS_MOVE_NS */
	uint64_t shun_until_ns; /* `shunned` does not become home again until then */
	uint16_t shunned;
	struct sl_wheel_node timer;
	struct sl_timers timers;
	struct hs_kp kp[HS_KP_MAX];
	struct sl_cookie_maker maker;
	struct sl_noise_peer noise;
} SL_ALIGNED(SL_CACHE_LINE);

/** Secrets of one interface; entry of a guarded array, by interface id. */
struct hs_ident {
	struct sl_noise_local local;
	struct sl_cookie_checker checker;
};

struct hs_iface {
	bool present;
	bool leaving; /* IFACE_DEL came, peers are still there */
	uint16_t listen_port;
	uint32_t key_epoch; /* peers with another one still have sessions of the old key */
	unsigned n_peers;
};

/** Locked memory for peers: one reserved region, pages touched as needed. */
struct hs_pool {
	struct hs_peer *base;
	unsigned max, used; /* objects ever taken */
	struct hs_peer *free;
	bool locked;
};

/** Messages that passed mac1, by time of arrival. */
struct hs_queue {
	unsigned head, n;
	struct rte_mbuf *m[HS_QUEUE_MAX];
};

/** A message taken apart; points into its mbuf. */
struct hs_rx {
	const uint8_t *msg;
	unsigned len;
	enum sl_wire_type type;
	enum sl_cookie_verdict mac;
	unsigned worker; /* whose lane it came from */
	uint16_t iface_id;
	uint64_t arrival_ns;
	struct sl_outer reply; /* addresses of an answer */
	struct sl_endpoint from;
};

struct sl_hs {
	struct sl_hs_conf conf;
	struct sl_dp *dp;
	uint64_t now_ns;
	uint32_t tick;

	struct hs_pool pool;
	struct hs_ident *ident; /* [SL_IFACE_MAX] guarded */
	struct hs_iface iface[SL_IFACE_MAX];
	struct hs_peer **by_id;	 /* [SL_PEER_MAX] */
	struct hs_peer **bucket; /* [HS_BUCKETS] of (interface, public key) */
	uint8_t hash_key[16];

	struct hs_queue queue[HS_CLASSES];
	unsigned intake_first; /* worker whose lanes came first in the last turn */
	struct sl_ratelimit *ratelimit;
	uint64_t load_until_ns, load_seen_ns, load_ns; /* held until; accounted up to; sum */

	struct sl_wheel wheel;
	struct hs_peer *init_head, **init_tail; /* initiations to be sent, paced */
	uint64_t pace_ns;			/* when the next one may leave */
	uint64_t initiation_cycles;		/* measured, smoothed */

	struct sl_rcu_queue *rcu;
	struct sl_mbox_retry to_worker[SL_WORKER_MAX];
	struct sl_mbox_retry to_control;

	uint64_t busy_seen[SL_WORKER_MAX], total_seen[SL_WORKER_MAX];
	uint32_t busy_ppm[SL_WORKER_MAX]; /* share of the last second */
	unsigned homes[SL_WORKER_MAX];	  /* peers by home */
	unsigned n_peers;
	uint64_t measured_ns;

	unsigned sweep_at, key_walk; /* next object of the pool to be looked at */
	bool sweeping, key_walking;
	uint64_t sweep_ns; /* when the next sweep starts */
	uint64_t poll_tsc;

	struct sl_hs_stats stats;
};

static inline void
hs_count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/** A handshake message left: counted for the gateway and, in bytes, for its peer. */
static inline void
hs_count_tx(struct hs_peer *hp, _Atomic uint64_t *c, unsigned bytes)
{
	hs_count(c, 1);
	hs_count(&hp->p->hs_tx_bytes, bytes);
}

static inline void
hs_drop(struct sl_hs *hs, enum sl_drop reason)
{
	hs_count(&hs->stats.drops[reason], 1);
}

static inline struct hs_peer *
hs_peer_of(const struct sl_hs *hs, uint32_t id)
{
	return id < SL_PEER_MAX ? hs->by_id[id] : NULL;
}

/** The interface of a peer or message, or NULL. */
static inline struct hs_iface *
hs_iface_of(struct sl_hs *hs, unsigned id)
{
	return id < SL_IFACE_MAX && hs->iface[id].present ? &hs->iface[id] : NULL;
}

/* --- secmem.c --- */
int hs_pool_init(struct hs_pool *pool, unsigned max, bool allow_unlocked, struct sl_error *e);
void hs_pool_fini(struct hs_pool *pool);
/** @return a zeroed object, or NULL when the pool is full. */
struct hs_peer *hs_pool_get(struct hs_pool *pool);
/** Wipes it. */
void hs_pool_put(struct hs_pool *pool, struct hs_peer *hp);
struct hs_ident *hs_idents_new(bool allow_unlocked, struct sl_error *e);
void hs_idents_free(struct hs_ident *idents);

/* --- hs.c --- */
/** Never loses; kept where the mailbox is full. */
void hs_tell_worker(struct sl_hs *hs, unsigned worker, const struct sl_wk_msg *msg);
/** A message without more than peer and index, to the home of the peer. */
void hs_tell_home(struct sl_hs *hs, struct hs_peer *hp, enum sl_wk_type type, uint32_t index);
void hs_note(struct sl_hs *hs, struct hs_peer *hp, enum sl_hs_note_type type, bool initiator,
	     uint32_t index);
void hs_note_send(struct sl_hs *hs, const struct sl_hs_note *note);

/* --- record.c --- */
/** A keypair is current now. */
void hs_record_up(struct sl_hs *hs, struct hs_peer *hp, bool initiator);
/** No keypair is any more; once for each session. */
void hs_record_down(struct sl_hs *hs, struct hs_peer *hp, enum sl_rec_reason why);

/* --- load.c --- */
/** Lanes -> mac1 -> queues. @return messages taken. */
unsigned hs_intake(struct sl_hs *hs);
/** Work on what waits, 4:2:1. @return messages worked on. */
unsigned hs_serve(struct sl_hs *hs);
bool hs_under_load(const struct sl_hs *hs);
/** Seconds under load, table of the rate limiter. */
void hs_load_account(struct sl_hs *hs);
void hs_queues_free(struct sl_hs *hs);

/* --- rx_initiation.c, rx_response.c --- */
void hs_rx_initiation(struct sl_hs *hs, const struct hs_rx *rx);
/** Answer the accepted initiation that hp->answer holds. */
void hs_respond(struct sl_hs *hs, struct hs_peer *hp);
void hs_rx_response(struct sl_hs *hs, const struct hs_rx *rx);
void hs_rx_cookie(struct sl_hs *hs, const struct hs_rx *rx);

/* --- tx.c --- */
/** Send a handshake message through a worker. @return false if it was lost. */
bool hs_tx(struct sl_hs *hs, unsigned worker, const struct sl_outer *outer, uint16_t iface_id,
	   uint32_t peer_id, const void *msg, unsigned len);
void hs_tx_cookie_reply(struct sl_hs *hs, const struct hs_rx *rx);
/** Put a peer on the queue of initiations, once; calls the attempt off where none is possible. */
void hs_initiation_queue(struct sl_hs *hs, struct hs_peer *hp);
void hs_initiation_unqueue(struct sl_hs *hs, struct hs_peer *hp);
/** Send what the pace allows. @return initiations sent. */
unsigned hs_initiations_run(struct sl_hs *hs);
/** Where our own messages to a peer go. @return false: no endpoint is known. */
bool hs_path_get(const struct hs_peer *hp, struct sl_outer *out);
/** Give the home a new path (later, while the home changes). */
void hs_path_set(struct sl_hs *hs, struct hs_peer *hp, const struct sl_outer *outer, bool force);
void hs_path_send(struct sl_hs *hs, struct hs_peer *hp);

/* --- keypairs.c --- */
struct hs_kp *hs_kp_of(struct hs_peer *hp, enum hs_kp_role role);
/** @return true if a keypair more can be held. */
bool hs_kp_room(const struct hs_peer *hp);
/** A published keypair takes its role; what it replaces is retired. The home is told. */
void hs_kp_install(struct sl_hs *hs, struct hs_peer *hp, struct sl_keypair *kp);
/** The home confirmed `next`. @return true if so and it is current now. */
bool hs_kp_confirmed(struct sl_hs *hs, struct hs_peer *hp);
void hs_kp_retire(struct sl_hs *hs, struct hs_peer *hp, struct hs_kp *r);
/** Retire those of 180 s. @return when the next one is, UINT64_MAX without any. */
uint64_t hs_kp_expire(struct sl_hs *hs, struct hs_peer *hp);
/** Send RETIRE messages and start grace periods that had to wait. */
void hs_kp_resume(struct sl_hs *hs, struct hs_peer *hp);
void hs_kp_on_retired(struct sl_hs *hs, struct hs_peer *hp, uint32_t index);
/** Give the index of our pending initiation back and forget that handshake. */
void hs_pending_drop(struct sl_hs *hs, struct hs_peer *hp);
/** Wipe sessions and handshake. */
void hs_keys_zero(struct sl_hs *hs, struct hs_peer *hp);
/** The same, and end an attempt in progress; a new one may start at once. */
void hs_sessions_wipe(struct sl_hs *hs, struct hs_peer *hp, enum sl_rec_reason why);

/* --- peers.c --- */
unsigned hs_commands_run(struct sl_hs *hs);
struct hs_peer *hs_peer_by_key(struct sl_hs *hs, uint16_t iface_id, const struct sl_pubkey *key);
/** False: disabled, expired, being removed, or the gateway itself. */
bool hs_peer_usable(const struct sl_hs *hs, const struct hs_peer *hp);
/** If the interface's key changed since: wipe what came from the old one. */
void hs_peer_sync_key(struct sl_hs *hs, struct hs_peer *hp);
unsigned hs_key_walk(struct sl_hs *hs);
/** Finish a deletion when nothing refers to the peer any more. hp may be gone after it. */
void hs_peer_delete_try(struct sl_hs *hs, struct hs_peer *hp);
/** Tell the home to let go of a peer that is being deleted, unless told or not possible now. */
void hs_peer_gone_send(struct sl_hs *hs, struct hs_peer *hp);

/* --- view.c --- */
void hs_peer_view_update(struct sl_hs *hs, struct hs_peer *hp);

/* --- timer.c --- */
unsigned hs_timers_run(struct sl_hs *hs);
unsigned hs_sweep(struct sl_hs *hs);
/** Take the peer's events and act on them. */
void hs_peer_events(struct sl_hs *hs, struct hs_peer *hp);
/** Ask the timers what is due, do it, arm the wheel. */
void hs_peer_look(struct sl_hs *hs, struct hs_peer *hp);
/** Book-keeping of a session that is up in either role. */
void hs_session_up(struct sl_hs *hs, struct hs_peer *hp, const struct sl_keypair *kp);

/* --- home.c --- */
/** Take and count the home of a new peer. */
void hs_home_init(struct sl_hs *hs, struct hs_peer *hp);
/** Begin to move a new peer to the best home; what its first home is to know was sent before. */
void hs_home_balance(struct sl_hs *hs, struct hs_peer *hp);
/** Best home after a handshake message came through a lane; no handshake of ours is under way. */
unsigned hs_home_choose(const struct sl_hs *hs, struct hs_peer *hp, unsigned lane);
void hs_rehome_start(struct sl_hs *hs, struct hs_peer *hp, unsigned to);
void hs_rehome_done(struct sl_hs *hs, struct hs_peer *hp);
/** The home asked for another one (event REHOME): move the peer and renew its keys, or leave it. */
void hs_home_wish(struct sl_hs *hs, struct hs_peer *hp);
void hs_home_measure(struct sl_hs *hs);

#endif
