/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Messages between lcores. Every mailbox is SPSC (lib/mbox); a message never holds a pointer to a
 *keypair.
 *
 *	control -> hs		struct sl_hs_cmd   (objects by pointer; never lost: retry list)
 *	hs -> control		struct sl_hs_note
 *	hs -> worker		struct sl_wk_msg   (never lost: retry list at hs)
 *	worker -> hs		struct sl_wk_ack   (answers and hints; a worker takes a message only
 *if its answer fits) worker -> control	struct sl_ctl_event (lossy, counted)
 */
#ifndef SL_MSG_H
#define SL_MSG_H

#include "sl_addr.h"
#include "sl_base.h"
#include "sl_ip.h"
#include "sl_secret.h"
#include "sl_wire.h"

struct sl_peer;

enum sl_wk_type {
	SL_WK_INSTALL,	 /* to the home: index is live and an authenticated handshake message came
			    (unacked_tx = 0); initiator: make it current and send what is parked
			    (or a keepalive) */
	SL_WK_RETIRE,	 /* forget the keypair of index (the home: current too); answer RETIRED. It
			    is unpublished already. Goes to its owner and, where another worker is
			    home now, to the home as well: both answer */
	SL_WK_KEEPALIVE, /* seal one empty packet for the peer */
	SL_WK_PATH,	 /* endpoint set by an operator, or learned from a handshake message */
	SL_WK_DROP_PARKED, /* the handshake was given up */
	SL_WK_PEER_GONE,   /* let go of the peer: parked packets, current; answer PEER_GONE */
	SL_WK_REHOME_OUT,  /* stop being home: store `home` in the peer and hand parked packets to
			      that worker by ring; answer REHOMED. Until then hs sends nothing
			      about the peer */
};

struct sl_wk_msg {
	uint32_t type;
	uint32_t peer_id;
	uint32_t index;
	uint16_t home;	    /* REHOME_OUT: the new home */
	uint8_t force_path; /* PATH: set even if our own address is unknown (src.family 0) */
	uint8_t pad;
	struct sl_outer outer; /* PATH */
};
_Static_assert(sizeof(struct sl_wk_msg) <= 64, "one line");

enum sl_wk_ack_type { SL_ACK_HINT, SL_ACK_RETIRED, SL_ACK_PEER_GONE, SL_ACK_REHOMED };

struct sl_wk_ack {
	uint32_t type;
	uint32_t peer_id;
	uint32_t index;
	uint32_t worker;
};

enum sl_hs_cmd_type {
	SL_HS_IFACE_SET, /* new interface, or its key or port changed */
	SL_HS_IFACE_DEL,
	SL_HS_PEER_ADD, /* peer object is filled and in the table; hs chooses the home and publishes
			   its state */
	SL_HS_PEER_SET, /* PSK, endpoint, keepalive or enabled changed */
	SL_HS_PEER_DEL, /* answer PEER_DELETED when hs and the home have let go */
	SL_HS_PEER_KICK,     /* wipe the session; a new handshake is needed */
	SL_HS_PEER_INITIATE, /* start a handshake now */
};

/** Which fields of a command are to be applied. */
enum sl_hs_fields {
	SL_HS_F_KEY = 1,
	SL_HS_F_PSK = 2,
	SL_HS_F_ENDPOINT = 4,
	SL_HS_F_KEEPALIVE = 8,
	SL_HS_F_LAST_TS = 16
};

/** Heap object of its sender (secret parts in it: hs wipes and frees it with sl_hs_cmd_free()). */
struct sl_hs_cmd {
	uint32_t type;
	uint32_t fields; /* enum sl_hs_fields */
	uint16_t iface_id;
	uint16_t listen_port;
	uint16_t keepalive_s;
	uint16_t initiate;		/* PEER_ADD: start a handshake at once (gateway restart) */
	struct sl_peer *peer;		/* PEER_* */
	struct sl_secret key;		/* IFACE_SET: private key (all zero: none); PEER_*: PSK */
	struct sl_outer outer;		/* PEER_*: dst = endpoint; src.family 0: chosen by route */
	uint8_t last_ts[SL_TAI64N_LEN]; /* PEER_ADD: greatest timestamp seen before a restart */
};

enum sl_hs_note_type {
	SL_NOTE_PEER_DELETED, /* peer may be freed after a grace period */
	SL_NOTE_IFACE_DELETED,
	SL_NOTE_SESSION, /* a session was established (event for logs and statistics) */
	SL_NOTE_GAVE_UP, /* 90 s without an answer */
	SL_NOTE_ZEROED,	 /* 540 s: keys wiped */
};

struct sl_hs_note {
	uint32_t type;
	uint32_t peer_id;
	uint16_t iface_id;
	uint16_t initiator;
	uint32_t index;
	struct sl_peer *peer;
};

enum sl_ctl_event_type {
	SL_EV_NEIGH_SEEN, /* ip is at mac on att; solicited: answers a probe */
	SL_EV_NEIGH_WANT, /* a packet needs ip on att resolved (glean or incomplete next hop) */
};

struct sl_ctl_event {
	uint8_t type;
	uint8_t solicited;
	uint8_t override;
	uint8_t request; /* seen in a request (learn only if known or for us) */
	uint16_t att;
	uint8_t mac[6];
	struct sl_ip ip;
};
_Static_assert(sizeof(struct sl_ctl_event) <= 64, "one line");

#endif
