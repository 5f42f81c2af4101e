/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The handshake plane: Noise handshakes, cookies, rate limits, peer timers, life of keypairs (D29,
 * D31-D33).
 *
 * One thread (an EAL lcore that never touches data packets), polled like a worker. It alone writes
 * the session table, peers' homes and handshake state. It hears from data lcores through three
 * lanes each (mbufs of types 1-3, data at the outer IP header, meta.att, meta.iface_id and
 * meta.l4_off set), through hints, and from control by commands; it speaks through mailboxes and
 * inject rings. Clock and randomness are the caller's.
 *
 * Control puts a peer into the peer table before PEER_ADD, and takes it out, or uses its id again,
 * only after SL_NOTE_PEER_DELETED. An IFACE_DEL is answered once the last peer of the interface is
 * gone; its key and sessions are wiped at once.
 *
 * Rekeys as initiator start when a worker asks for one (on sending, at 120 s). With
 * rekey_jitter_max_ms > 0 hs starts earlier by a random part of it, once a session, if the session
 * carried data in the last 10 s.
 */
#ifndef SL_HS_H
#define SL_HS_H

#include "sl_env.h"
#include "sl_mbox.h"
#include "sl_msg.h"
#include "sl_pipeline.h"

struct sl_hs;

struct sl_hs_conf {
	struct sl_dp *dp;
	struct sl_mbox *from_control; /* struct sl_hs_cmd * (pointers) */
	struct sl_mbox *to_control;   /* struct sl_hs_note */
	struct sl_rng rng_index, rng_ephemeral, rng_cookie,
		rng_jitter;		/* one stream per purpose (D44) */
	uint64_t (*wall_ns)(void *ctx); /* wall clock for TAI64N */
	void *wall_ctx;
	unsigned rekey_jitter_max_ms; /* rekey starts at 120 s minus 0..this (10,000 by default; 0
					 in tests) */
	unsigned handshakes_per_s;    /* limit of handshakes started by traffic (1,000) */
	bool allow_unlocked;	      /* go on (with a warning) where mlock is refused */
};

/** Sockets of counters, w: hs, relaxed reads by control. */
struct sl_hs_stats {
	_Atomic uint64_t initiations_rx, responses_rx, cookies_rx;
	_Atomic uint64_t initiations_tx, responses_tx, cookies_tx;
	_Atomic uint64_t sessions_initiator, sessions_responder;
	_Atomic uint64_t under_load; /* seconds spent under load */
	_Atomic uint64_t drops[SL_DROP_MAX];
	_Atomic uint64_t busy_cycles, total_cycles;
};

/** @return NULL with an error (memory). */
struct sl_hs *sl_hs_new(const struct sl_hs_conf *conf, struct sl_error *e);
/** Wipes every secret. All lcores have stopped; the session table is freed after this. */
void sl_hs_free(struct sl_hs *hs);

/** The end: sessions that are open are closed in the records. All lcores have stopped; before
 * sl_hs_free(). */
void sl_hs_purge(struct sl_hs *hs);

/** One turn. @return things done (0 = idle). Reports quiescence itself only through its caller. */
unsigned sl_hs_poll(struct sl_hs *hs, uint64_t now_ns);
/** When the next timer is due (lower bound, ns), UINT64_MAX when nothing is pending. */
uint64_t sl_hs_next_ns(const struct sl_hs *hs);
const struct sl_hs_stats *sl_hs_stats(const struct sl_hs *hs);

/** A command for hs: zeroed, secrets guarded by wiping. Control allocates, hs frees with
 * sl_hs_cmd_free(). */
struct sl_hs_cmd *sl_hs_cmd_new(enum sl_hs_cmd_type type);
void sl_hs_cmd_free(struct sl_hs_cmd *cmd);

/** Handshake state of a peer for `session list` (S4-25). Safe from control: relaxed copies. */
enum sl_hs_state { SL_HS_INIT, SL_HS_IN_PROGRESS, SL_HS_ESTABLISHED, SL_HS_EXPIRED, SL_HS_ERROR };
struct sl_hs_peer_view {
	enum sl_hs_state state;
	uint64_t since_ns;		/* monotonic, of the last change */
	uint64_t session_ns;		/* newest session, 0 none */
	uint8_t last_ts[SL_TAI64N_LEN]; /* greatest timestamp accepted (persisted in /run, D33) */
	uint16_t keepalive_s;
	bool has_psk;
};
void sl_hs_peer_view(const struct sl_peer *p, struct sl_hs_peer_view *out);

#endif
