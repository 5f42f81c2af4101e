/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A gateway of which only the handshake plane is real: workers are played here in lockstep, the
 * clock is a number, and far sides are made of lib/noise and lib/cookie.
 */
#ifndef SL_TEST_HS_FIXTURE_H
#define SL_TEST_HS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "eal_main.h"
#include "sl_cookie.h"
#include "sl_hs.h"
#include "sl_noise.h"
#include "sl_peer.h"
#include "sl_rcu.h"

#define FX_LOG 4096
#define FX_PORT 51820
#define FX_IFACE 1
#define FX_RECS 64 /* places of the ring */
#define S SL_NS_PER_S
#define MS SL_NS_PER_MS

/** What a worker was told, in order. */
struct fx_msg {
	unsigned worker;
	uint64_t at_ns;
	struct sl_wk_msg msg;
};

struct fx_opts {
	unsigned workers;
	unsigned jitter_ms;
	unsigned handshakes_per_s;
};

struct fx {
	struct sl_hs *hs;
	struct sl_dp dp;
	struct sl_worker *worker[4];
	struct sl_mbox *cmd, *note;
	struct sl_rng_seeded rng[6];
	struct sl_rng far_rng;
	uint64_t now_ns, wall_ns;
	bool hold_acks;	 /* workers take messages but do not answer */
	bool hold_grace; /* workers report no quiescent state */
	struct fx_msg log[FX_LOG];
	unsigned n_log;
	struct sl_wk_ack held[64];
	unsigned n_held;
	struct sl_hs_note notes[256];
	unsigned n_notes;
	struct sl_root root;	  /* logging is on; else nothing of it is used */
	struct sl_noise_local gw; /* the gateway's identity on FX_IFACE */
};

/** A stock WireGuard peer with an address. */
struct far {
	struct sl_noise_local local;
	struct sl_noise_peer noise; /* of the gateway */
	struct sl_cookie_maker maker;
	struct sl_cookie_checker checker;
	struct sl_endpoint ep;
	struct sl_peer *peer; /* its object in the gateway */
	uint32_t index;	      /* of its last message */
	struct sl_noise_keys keys;
	uint64_t wall_ns; /* its clock */
};

/** A message that the gateway sent. */
struct fx_out {
	bool any;
	struct sl_outer outer;
	uint8_t tos;
	unsigned len;
	union {
		uint8_t msg[256];
		struct sl_msg_initiation init;
		struct sl_msg_response resp;
		struct sl_msg_cookie cookie;
	};
};

struct fx *fx_new(const struct fx_opts *o);
void fx_free(struct fx *fx);

/** One round: hs, then every worker. @return things done */
unsigned fx_round(struct fx *fx);
/** Rounds until nothing happens. */
void fx_settle(struct fx *fx);
/** Let time pass in the steps that hs asks for, settling at each. */
void fx_advance(struct fx *fx, uint64_t ns);

struct sl_hs_cmd *fx_cmd(struct fx *fx, enum sl_hs_cmd_type type);
void fx_send(struct fx *fx, struct sl_hs_cmd *cmd);
/** Give the interface a key (seed 0: none). */
void fx_iface(struct fx *fx, uint16_t id, uint64_t seed);

void far_init(struct fx *fx, struct far *f, uint64_t seed, const char *endpoint);
/** Make the peer object and tell hs. @param fields more fields that `cmd` has set */
void far_add(struct fx *fx, struct far *f, struct sl_hs_cmd *cmd);
/** An ADD command for it with its endpoint and an initiation at once. */
struct sl_hs_cmd *far_add_cmd(struct fx *fx, struct far *f, bool endpoint, bool initiate);
/** Remove and free the peer; takes what is needed of rounds. */
void far_gone(struct fx *fx, struct far *f);
void far_free(struct far *f);

/** Take the records of sessions that are there. @return how many, FX_RECS at most */
unsigned fx_recs(struct fx *fx, struct sl_rec *out);

/** Make an initiation with its macs. */
void far_initiation(struct fx *fx, struct far *f, struct sl_msg_initiation *m);
void far_send(struct fx *fx, struct far *f, unsigned worker, unsigned lane, const void *msg,
	      unsigned len);
/** Initiation through lane c of a worker, then settle. */
void far_initiate(struct fx *fx, struct far *f, unsigned worker);
/** Take the gateway's response from a worker's ring and derive the keys. @return success */
bool far_take_response(struct fx *fx, struct far *f, unsigned worker);
/** Answer the gateway's initiation; derive the keys. @return the error of lib/noise or 0 */
int far_answer(struct fx *fx, struct far *f, const struct sl_msg_initiation *init,
	       struct sl_msg_response *out);
/** The whole of a session that the far side starts, confirmed. */
void far_session(struct fx *fx, struct far *f, unsigned worker);
/** The whole of a session that the gateway starts: its initiation lies in the ring of `home`. */
void far_session_back(struct fx *fx, struct far *f, unsigned home);
/** The first data packet came: home makes the keypair current. */
void fx_confirm(struct fx *fx, struct far *f);

/** Next message in a worker's ring, checked for headers, checksums and TOS; any false: none. */
struct fx_out fx_take(struct fx *fx, unsigned worker);
void fx_none(struct fx *fx);
/** The gateway's keypair that the far side knows as its remote index. */
struct sl_keypair *far_kp(struct fx *fx, const struct far *f);
void far_check_keys(struct fx *fx, const struct far *f);

uint64_t fx_drops(const struct fx *fx, enum sl_drop why);
/** Times that a message type is in the log of a worker (-1: any) since `from`. */
unsigned fx_count(const struct fx *fx, int worker, enum sl_wk_type type, unsigned from);
const struct fx_msg *fx_last(const struct fx *fx, enum sl_wk_type type);
unsigned fx_notes(const struct fx *fx, enum sl_hs_note_type type);
struct sl_session_stats fx_slots(const struct fx *fx);
enum sl_hs_state far_state(const struct far *f);
/** An event of the home for hs, with its hint or not. */
void fx_raise(struct fx *fx, struct far *f, unsigned event, bool hint);
void fx_release_acks(struct fx *fx);

/** Common opening of a test: one worker unless told, interface 1 with a key. */
struct fx *fx_begin(unsigned workers);

#endif
