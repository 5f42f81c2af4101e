/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A gateway for the pipeline tests: data plane, one root, ring ports, peers with known keys; no hs,
 * no control, a virtual clock. One thread polls all workers in lockstep.
 *
 *	port 0, outside   198.51.100.1/24, 2001:db8:51::1/64; VLAN 100: 203.0.113.1/24
 *	                  neighbour 198.51.100.9 (default route), 2001:db8:51::9
 *	port 1, inside    10.20.0.1/24, fd00:20::1/64; neighbour 10.20.0.9, fd00:20::9
 *	wg1, port 51820   10.8.0.1/24, fd00:8::1/64, inside on port 1
 *	  peer 1          10.8.0.2/32, fd00:8::2/128, 10.8.50.0/24
 *	  peer 2          10.8.0.3/32, fd00:8::3/128
 *	wg2, port 51821   10.9.0.1/24, inside on port 1
 *	  peer 3          10.9.0.2/32
 */
#ifndef GW_FIXTURE_H
#define GW_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gw_packet.h"
#include "sl_pipeline.h"

#define GW_PORTS 2
#define GW_PEERS 3
#define GW_OUTSIDE 0
#define GW_INSIDE 1
#define GW_POOL 2047
#define GW_VLAN 100
#define GW_CLIENT "192.0.2.7"
#define GW_CLIENT_PORT 40000
#define GW_OUT4 "198.51.100.1"
#define GW_OUT6 "2001:db8:51::1"
#define GW_CLIENT6 "2001:db8:7::7"
#define GW_INNER4 "10.8.0.2"
#define GW_INNER6 "fd00:8::2"
#define GW_SERVER4 "10.20.0.9"
#define GW_SERVER6 "fd00:20::9"

extern const uint8_t gw_mac[GW_PORTS][6];	    /* ours */
extern const uint8_t gw_neighbour_mac[GW_PORTS][6]; /* next hops */

struct gw_conf {
	unsigned workers; /* 0: 1 */
	unsigned io;
	unsigned flows;	    /* 0: 4,096 */
	unsigned data_room; /* 0: 2,176 bytes with headroom */
};

struct gw {
	struct sl_dp *dp;
	struct sl_session_table *sessions;
	struct sl_rcu *rcu;
	struct rte_mempool *pool;
	unsigned lcores;
	uint16_t ethdev[GW_PORTS];
	struct rte_ring *rx[GW_PORTS][SL_WORKER_MAX], *tx[GW_PORTS][SL_WORKER_MAX];
	uint64_t now_ns;
	struct sl_peer *peer[GW_PEERS + 1]; /* by id, from 1 */
	/* what root points to: tests may change it between two polls */
	struct sl_root root;
	struct sl_att att[4]; /* by id, from 1 */
	struct sl_iface_view iface[3];
	const struct sl_att *atts[4];
	const struct sl_iface_view *ifaces[3];
	uint16_t *udp_port;
	struct sl_lpm_garbage garbage;
};

struct gw *gw_new(const struct gw_conf *c);
/** Checks that every packet buffer came back. */
void gw_free(struct gw *g);

/** Give a peer a session with keys of `seed`, owned by its home; not confirmed, not current. */
void gw_session(struct gw *g, unsigned peer, bool initiator, uint8_t seed, struct gw_session *s);
/** The same, confirmed and current: ready to seal. */
void gw_session_current(struct gw *g, unsigned peer, uint8_t seed, struct gw_session *s);
struct sl_keypair *gw_keypair(struct gw *g, const struct gw_session *s);
/** Set a peer's endpoint, from our outside address. */
void gw_endpoint(struct gw *g, unsigned peer, const char *ip, uint16_t port);

/** Let a frame arrive. */
void gw_in(struct gw *g, unsigned port, unsigned queue, const struct gw_pkt *p);
struct rte_mbuf *gw_mbuf(struct gw *g, const struct gw_pkt *p);
void gw_in_mbuf(struct gw *g, unsigned port, unsigned queue, struct rte_mbuf *m);
/** Poll all workers a few rounds. */
void gw_poll(struct gw *g);
/** Go on in time, then poll. */
void gw_later(struct gw *g, uint64_t ns);
/** Take the next frame that left a port. @return false if there is none */
bool gw_out(struct gw *g, unsigned port, struct gw_pkt *p);
/** Take the next message from a lane to hs. @return NULL if there is none */
struct rte_mbuf *gw_lane(struct gw *g, unsigned worker, unsigned lane);

/** Packets that ended under a reason, on all workers. */
uint64_t gw_drops(const struct gw *g, enum sl_drop reason);
/** All packets that ended, under any reason. */
uint64_t gw_all_drops(const struct gw *g);
/** Let a frame arrive, poll, and require that it ended under this reason and nothing left. */
void gw_expect_drop(struct gw *g, unsigned port, const struct gw_pkt *frame, enum sl_drop reason);

/** A frame on the outside port: `inner` of the client in a session, from its usual address. */
void gw_data(struct gw_pkt *frame, const struct gw_session *s, uint64_t counter,
	     const struct gw_pkt *inner);
/** The usual inner packet: UDP of the client to the server with n bytes. */
void gw_inner(struct gw_pkt *p, unsigned n);

#endif
