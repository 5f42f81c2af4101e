/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The timers of one peer (paper section 6) as a pure function of what the data path reported, and a
 * hierarchical timer wheel.
 *
 * Data lcores publish coarse ticks (100 ms, sl_tick_of()); hs keeps one wheel entry a peer,
 * re-reads the ticks when it expires and asks sl_timers_run() what is due and when to look again.
 * Times are monotonic ns.
 */
#ifndef SL_TIMERS_H
#define SL_TIMERS_H

#include "sl_base.h"
#include "sl_env.h"
#include "sl_wire.h"

/** What the home worker published about a peer (copied from relaxed atomics). 0 = never / none. */
struct sl_timer_ticks {
	uint32_t data_rx;	/* last authenticated data packet (not keepalive) */
	uint32_t data_tx;	/* last data packet sent */
	uint32_t any_rx;	/* last authenticated packet of any kind, handshakes included */
	uint32_t any_tx;	/* last authenticated packet sent of any kind */
	uint32_t unanswered_rx; /* first data packet received since we last sent anything */
	uint32_t unacked_tx;	/* first data packet sent since we last received anything */
};

/** hs's own state of one peer's timers. A zeroed struct is valid. */
struct sl_timers {
	uint16_t persistent_s;	   /* persistent keepalive interval, 0 = off */
	bool want_handshake;	   /* a handshake was asked for and none is in progress yet */
	bool in_handshake;	   /* we sent an initiation and wait */
	bool gave_up;		   /* 90 s passed: wait for new traffic */
	uint64_t attempt_start_ns; /* first initiation of this attempt */
	uint64_t initiation_ns;	   /* last initiation sent */
	uint64_t retransmit_ns;	   /* when to send the next one */
	uint64_t session_ns;	   /* newest session established (initiator: response; responder:
				      confirmed), 0 none */
	bool keys_live;		   /* any keypair or handshake material exists */
	uint64_t handshake_due_ns; /* earliest time a rekey may start, 0 none (rekey jitter) */
};

enum sl_timer_action {
	SL_TIMER_INITIATE = 1,	/* send an initiation (first or retransmission) */
	SL_TIMER_KEEPALIVE = 2, /* send an empty data packet (passive or persistent) */
	SL_TIMER_GIVE_UP = 4,	/* 90 s without answer: drop parked packets, forget the handshake */
	SL_TIMER_ZERO_KEYS = 8, /* 3 x 180 s without a new session: wipe all key material */
};

/**
 * What is due at `now_ns`, and when to look again. Rules: retransmit after 5 s + jitter (0-333 ms),
 * give up 90 s after the attempt's first initiation; passive keepalive 10 s after unanswered data;
 * new handshake 15 s + jitter after unacked data; persistent keepalive `persistent_s` after any
 * packet either way; zero keys 540 s after the last session. The caller performs the actions and
 * reports them with the sl_timers_on_*() functions.
 *
 * @param[out] next_ns absolute time of the next look, UINT64_MAX when nothing is pending
 * @return bits of enum sl_timer_action
 */
unsigned sl_timers_run(struct sl_timers *t, const struct sl_timer_ticks *k, uint64_t now_ns,
		       const struct sl_rng *jitter, uint64_t *next_ns);

/** The data path or an operator wants a handshake; ignored while one is in progress or within 5 s
 * of the last initiation. */
void sl_timers_want_handshake(struct sl_timers *t, uint64_t now_ns);
/** An initiation left: (re)arms the retransmission. */
void sl_timers_on_initiation_sent(struct sl_timers *t, uint64_t now_ns,
				  const struct sl_rng *jitter);
/** A session was established in either role: stops the attempt, restarts the zero-key clock. */
void sl_timers_on_session(struct sl_timers *t, uint64_t now_ns);
/** Keys were wiped. */
void sl_timers_on_zeroed(struct sl_timers *t);

/* --- hierarchical wheel: 1 ms granules, O(1) arm and cancel
 * ----------------------------------------- */

struct sl_wheel_node {
	struct sl_wheel_node *next, **pprev; /* pprev NULL: not armed */
	uint64_t when_ms;
};

#define SL_WHEEL_LEVELS 5
#define SL_WHEEL_SLOTS 64

struct sl_wheel {
	uint64_t now_ms;
	struct sl_wheel_node *slot[SL_WHEEL_LEVELS][SL_WHEEL_SLOTS];
	uint64_t occupied[SL_WHEEL_LEVELS];
};

void sl_wheel_init(struct sl_wheel *w, uint64_t now_ns);
/** (Re)arm; a time in the past fires at the next advance. Times beyond the range are clamped and
 * fire early. */
void sl_wheel_arm(struct sl_wheel *w, struct sl_wheel_node *n, uint64_t when_ns);
void sl_wheel_cancel(struct sl_wheel *w, struct sl_wheel_node *n);
/** Pop one node that is due at now_ns (disarmed), or NULL. Call until NULL. Order: by millisecond,
 * then FIFO-free. */
struct sl_wheel_node *sl_wheel_pop(struct sl_wheel *w, uint64_t now_ns);
/** Earliest time at which something may be due (a lower bound), UINT64_MAX when empty. */
uint64_t sl_wheel_next_ns(const struct sl_wheel *w);

#endif
