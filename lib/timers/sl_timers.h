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

/**
 * What the home worker published about a peer (copied from relaxed atomics). 0 = never / none. What
 * only hs sent or received is known from sl_timers_on_*() and may be missing here.
 */
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
	bool keys_live;		   /* any keypair or handshake material exists */
	uint64_t attempt_start_ns; /* first initiation of this attempt, or newer traffic */
	uint64_t initiation_ns;	   /* last initiation sent */
	uint64_t retransmit_ns;	   /* when to send the next one */
	uint64_t session_ns;	   /* newest session established (initiator: response; responder:
				      confirmed), 0 none */
	uint64_t handshake_due_ns; /* hold a wanted handshake until then (rekey jitter), 0 none */
	/* kept by sl_timers_run() and sl_timers_on_*() alone */
	uint64_t keys_ns;	 /* newest key material, confirmed or not */
	uint64_t keepalive_ns;	 /* last time a keepalive was asked for */
	uint64_t unacked_due_ns; /* end of the 15 s + jitter, 0 not running */
	uint32_t unacked_tick;	 /* tick of the data that started them */
	uint32_t unacked_done;	 /* tick at which they ended: later data starts them again */
};

enum sl_timer_action {
	SL_TIMER_INITIATE = 1,	/* send an initiation (first or retransmission) */
	SL_TIMER_KEEPALIVE = 2, /* send an empty data packet (passive or persistent) */
	SL_TIMER_GIVE_UP = 4,	/* 90 s without answer: drop parked packets, forget the handshake */
	SL_TIMER_ZERO_KEYS = 8, /* 3 x 180 s without a new session: wipe all key material */
};

/**
 * What is due at `now_ns`, and when to look again. Rules (paper section 6):
 * - retransmit 5 s + jitter (0-333 ms) after the last initiation; give up 90 s after the first one
 *   of the attempt, or after the newest traffic that wanted it (6.4);
 * - keepalive 10 s after unanswered data (6.5);
 * - new handshake 15 s + jitter after unacked data, once for that data (6.5);
 * - persistent keepalive `persistent_s` after any authenticated packet either way, at once when
 *   there never was one;
 * - a keepalive that no session can carry (none, or 180 s old) is a handshake instead;
 * - zero keys 540 s after the newest session or unconfirmed key material (6.3).
 *
 * A tick counts as its end, so what ticks start is never early and at most 100 ms late.
 *
 * The caller performs the actions, the highest bit first, and reports them with the
 * sl_timers_on_*() functions (a keepalive by the ticks). What it does not report is asked for again
 * a second later; giving up needs no report.
 *
 * @param[out] next_ns absolute time of the next look, UINT64_MAX when nothing is pending; at most
 * 1 s away when there are actions
 * @return bits of enum sl_timer_action
 */
unsigned sl_timers_run(struct sl_timers *t, const struct sl_timer_ticks *k, uint64_t now_ns,
		       const struct sl_rng *jitter, uint64_t *next_ns);

/**
 * Traffic or an operator wants a handshake: the next sl_timers_run() asks for an initiation, not
 * before handshake_due_ns. Ignored within 5 s of the last initiation; one in progress only gets its
 * 90 s anew.
 */
void sl_timers_want_handshake(struct sl_timers *t, uint64_t now_ns);
/** An initiation left: (re)arms the retransmission. */
void sl_timers_on_initiation_sent(struct sl_timers *t, uint64_t now_ns,
				  const struct sl_rng *jitter);
/** We answered an initiation: unconfirmed keys exist. Restarts the zero-key clock, nothing else. */
void sl_timers_on_response_sent(struct sl_timers *t, uint64_t now_ns);
/** A session was established in either role: stops the attempt, restarts the zero-key clock. */
void sl_timers_on_session(struct sl_timers *t, uint64_t now_ns);
/** Keys were wiped: there is no session. */
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
