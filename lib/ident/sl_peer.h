/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A peer as the data plane sees it, and the table that leads from a peer id to it.
 *
 * Made and freed by control; every word has one writer, written beside it. A peer stays in memory
 * until one grace period after it left the tables and its home has let go of it (message
 * PEER_GONE).
 */
#ifndef SL_PEER_H
#define SL_PEER_H

#include <stdatomic.h>

#include "sl_addr.h"
#include "sl_base.h"
#include "sl_ip.h"
#include "sl_secret.h"
#include "sl_session.h"
#include "sl_who_seen.h"

struct rte_mbuf;

#define SL_PEER_MAX (1U << 20)
#define SL_PARK_MAX 128 /* packets a peer that wait for a handshake (D34) */

/** Events that the home raises for hs: level-triggered bits, plus a hint by ring that may be lost.
 */
enum sl_peer_event {
	SL_PEER_EV_WANT_HS = 1,	  /* no usable keypair, or it is old: a handshake please */
	SL_PEER_EV_CONFIRMED = 2, /* the unconfirmed keypair got its first packet, is current now */
	SL_PEER_EV_TIMER = 4,	  /* unanswered_rx or unacked_tx went from 0 to a tick */
	SL_PEER_EV_REHOME = 8,	  /* another worker would be the better home: see `wish` */
};

#define SL_PEER_WISH_AWAY 0xff /* any worker that has less to do */

/** Where the packets of a peer came in, of the current second (D26); w: home. Lcores by number + 1,
 * 0 is none. */
struct sl_peer_came {
	uint32_t since_tick; /* begin of the second */
	uint32_t before;     /* rx_packets then */
	uint32_t steered;    /* packets since that came in at the lcore `from` */
	uint8_t from;
	uint8_t voted; /* majority vote (Boyer, Moore) of what other lcores brought: next `from` */
	uint16_t votes;
};

/** Where and how the outer packets of a peer go. Written by the home alone. */
struct sl_peer_path {
	struct sl_outer
		outer; /* our address and port, the peer's endpoint; dst.family 0: unknown */
};
_Static_assert(sizeof(struct sl_peer_path) % 4 == 0, "latched by words");

/** The inner source of a peer that was found to be its own the last time, by the AllowedIPs of one
 * root: its next packet most likely has the same. All zero: none, as nobody sends from 0.0.0.0. */
struct sl_peer_source {
	uint64_t root_generation;
	uint8_t v4[4];
	uint8_t pad[4];
};

/** The way of a peer's outer packets as it follows from path, root and next hop: made and kept by
 * the home (pipeline, stage seal), void when one of them has changed. */
struct sl_peer_way {
	uint64_t root_generation; /* 0: none */
	uint32_t nh, nh_seq;
	uint32_t sum;	/* IPv4: of the header without length, TOS and checksum */
	uint16_t limit; /* bytes of plaintext, padding included */
	uint8_t version;
	uint8_t udp_csum;
	uint8_t hdr[48]; /* outer IP and UDP headers, but lengths and TOS */
};

struct sl_peer_tx {
	_Atomic uint64_t packets, bytes; /* w: worker i */
	uint8_t pad[SL_CACHE_LINE - 16];
};

struct sl_peer {
	/* line 0: what each packet reads */
	_Atomic(struct sl_keypair *) current; /* w: home */
	uint32_t id;
	uint16_t iface_id;
	_Atomic uint16_t home;	 /* w: the home itself, to hand over when hs says so */
	_Atomic uint8_t enabled; /* w: control */
	_Atomic uint8_t gone;	 /* w: control: being removed */
	_Atomic uint8_t wish;	 /* w: home, with event REHOME: the better home, or WISH_AWAY */
	uint8_t pad0;
	_Atomic uint32_t expires_tick; /* w: control; 0 = never */
	_Atomic uint32_t events;       /* home sets bits, hs takes them (exchange): only on edges */
	uint32_t rehome_tick;	       /* w: home: it asks for no other home before that */
	_Atomic uint64_t rx_packets, rx_bytes; /* w: home; type 4 messages, keepalives too */
	struct sl_peer_came came;

	/* line 1: w: home; coarse ticks for hs's timers, written only when they change */
	_Atomic uint32_t tick_data_rx SL_ALIGNED(SL_CACHE_LINE);
	_Atomic uint32_t tick_data_tx;
	_Atomic uint32_t tick_any_rx;
	_Atomic uint32_t tick_any_tx;
	_Atomic uint32_t unanswered_rx;
	_Atomic uint32_t unacked_tx;
	/* parked packets, oldest first (chained by a private field); w: home */
	struct rte_mbuf *park_head, *park_tail;
	uint32_t ask_tick; /* when the home last asked hs for a handshake */
	uint16_t park_count;
	uint8_t in_park_list; /* w: home: already on the worker's list of parking peers */
	uint8_t flows_came;   /* w: the old home while it hands over, then the new one: entries of
				 flows wait in its rings */
	struct sl_peer *park_next, *park_prev; /* the worker's ring of parking peers */

	/* lines 2-3: the path, latched (sl_latch.h); w: home, which alone may read `path` itself */
	_Atomic uint32_t path_seq SL_ALIGNED(SL_CACHE_LINE);
	struct sl_peer_path path;
	struct sl_peer_source source; /* w: home */
	struct sl_peer_path path_odd SL_ALIGNED(SL_CACHE_LINE);
	uint8_t source6[16]; /* w: home; as source.v4, of the same root */

	/* lines 4-5: w: home; an IPv4 endpoint needs the first one alone */
	struct sl_peer_way way SL_ALIGNED(SL_CACHE_LINE);
	uint32_t flow_head;	 /* w: home; list of its flows (pipeline/flow_life.c), 0: none */
	uint32_t n_flows;	 /* w: home; of the list, those that are judged in its name */
	struct sl_who_seen seen; /* w: home; of the last address that it began a flow from */

	/* cold: w: control, read by anyone after publish */
	struct sl_pubkey key SL_ALIGNED(SL_CACHE_LINE);
	char name[64];
	void *hs_priv;				 /* w: hs */
	void *ctl_priv;				 /* w: control */
	_Atomic uint64_t auth_failures, replays; /* w: home */
	/* w: hs; bytes of accepted and of sent handshake messages, which wg counts as traffic */
	_Atomic uint64_t hs_rx_bytes, hs_tx_bytes;
	/* counters that control and UAPI show; w: hs */
	_Atomic uint64_t last_handshake_wall_ns;
	_Atomic uint64_t handshakes; /* completed */
	unsigned n_tx;
	struct sl_peer_tx tx[] SL_ALIGNED(SL_CACHE_LINE); /* one per worker */
} SL_ALIGNED(SL_CACHE_LINE);

/** id -> peer; slots are written by control with release. */
struct sl_peer_table {
	_Atomic(struct sl_peer *) slot[SL_PEER_MAX];
};

/** Reserve the table (8 MiB of address space, touched as needed). @return NULL without memory. */
struct sl_peer_table *sl_peer_table_new(void);
void sl_peer_table_free(struct sl_peer_table *t);

static inline struct sl_peer *
sl_peer_get(struct sl_peer_table *t, uint32_t id)
{
	return id < SL_PEER_MAX ? atomic_load_explicit(&t->slot[id], memory_order_acquire) : NULL;
}

/** @param workers number of tx counter lines. @return zeroed, cache-aligned, or NULL. */
struct sl_peer *sl_peer_alloc(unsigned workers);
void sl_peer_free(struct sl_peer *p);

/** Publish a new path (home worker only). */
void sl_peer_path_write(struct sl_peer *p, const struct sl_peer_path *path);
/** Consistent copy of the path; never waits for a preempted writer. Any lcore. */
void sl_peer_path_read(const struct sl_peer *p, struct sl_peer_path *out);
/** Sum of the per-worker tx counters. */
void sl_peer_tx_sum(const struct sl_peer *p, uint64_t *packets, uint64_t *bytes);

#endif
