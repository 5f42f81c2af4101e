/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A gateway of one or two workers without ports for tests of the send half: packets are put on a
 * node, frames are taken from rings in place of ports. Oracles (checksums, opening) are naive code
 * and libsodium.
 *
 *	port 0, attachment 0	wan: 198.18.0.1/24, 2001:db8:f::1/64, untagged, MTU 1500
 *	port 1, attachment 1	inside: 10.0.0.1/24, fd00:a::1/64, VLAN 7, MTU 1500
 *	interface 1		51820, MTU 1420, 10.7.0.1/24, fd00:7::1/64; peers 1 (.2), 2 (.3)
 *	interface 2		51821, same inside, 10.8.0.1/24; peer 3 (10.8.0.2)
 */
#ifndef SL_TEST_TX_FIXTURE_H
#define SL_TEST_TX_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eal_main.h"
#include "sl_pipeline.h"

#define FX_START_NS (1000 * SL_NS_PER_S)
#define FX_MAC_WAN "\x02\x00\x00\x00\x00\x01"
#define FX_MAC_INSIDE "\x02\x00\x00\x00\x00\x02"
#define FX_MAC_ROUTER "\x02\xaa\x00\x00\x00\x01"
#define FX_MAC_SERVER "\x02\xaa\x00\x00\x00\x02"
#define FX_POOL 2047
#define FX_ROOM (SL_HEADROOM + 9216 + SL_TAILROOM)

enum fx_nh {
	FX_NH_ROUTER = 1, /* wan, usable: 0.0.0.0/0 and ::/0 of the underlay */
	FX_NH_WAN_GLEAN,  /* 198.18.0.0/24, 2001:db8:f::/64 */
	FX_NH_SERVER,	  /* inside, usable: 10.0.0.10, fd00:a::10, 10.9.0.0/16 */
	FX_NH_GLEAN,	  /* inside: 10.0.0.0/24, fd00:a::/64 */
	FX_NH_UNREACH,	  /* 10.66.0.0/16 */
	FX_NH_BLACKHOLE,  /* 10.67.0.0/16 */
	FX_NH_FAILED,	  /* 10.68.0.0/16 */
	FX_NH_INCOMPLETE, /* 10.69.0.0/16 */
	FX_NH_SMALL,	  /* 10.70.0.0/16, fd00:70::/32: attachment 2 (port 1, MTU 600) */
	FX_NH_RESOLVED,	  /* not in a table at first */
};

struct fx {
	struct sl_dp *dp;
	struct sl_worker *w;
	struct rte_mempool *pool;
	struct sl_root *root;
	struct sl_iface_view *f1, *f2;
	struct sl_att *wan, *inside, *small;
	struct sl_peer *peer[4];
	struct sl_keypair *kp[4];
	struct rte_ring *port[2];
	uint64_t drops[SL_DROP_MAX]; /* seen before */
};

/** What an inner packet is to look like; zero fields have defaults. */
struct fx_spec {
	const char *src, *dst;
	uint8_t proto; /* UDP */
	uint8_t ttl;   /* 64 */
	uint8_t tos;
	uint8_t tcp_flags;
	uint8_t icmp_type;
	bool df;
	uint16_t len;	   /* whole packet: 100 */
	uint16_t mss;	   /* TCP: with an MSS option */
	uint16_t frag_off; /* IPv4: as a fragment with more to come */
	uint16_t sport, dport;
	const uint8_t *options; /* IPv4 */
	uint8_t options_len;
};

/** A sealed frame taken apart. */
struct fx_sealed {
	uint8_t version, tos;
	struct sl_ip src, dst;
	uint16_t sport, dport, udp_len, udp_csum;
	unsigned ip_len;
	uint32_t index;
	uint64_t counter;
	unsigned len; /* of plain, with its padding */
	uint8_t plain[10000];
};

struct fx *fx_new(unsigned workers);
/** Stops the gateway; every mbuf must be back. */
void fx_free(struct fx *x);
void fx_time(struct fx *x, uint64_t ns);
/** A new version of the root after it was edited. */
void fx_publish(struct fx *x);
void fx_lpm(struct sl_lpm *t, const char *prefix, uint32_t value);
void fx_lpm_del(struct sl_lpm *t, const char *prefix);
struct sl_ip fx_ip(const char *s);
void fx_endpoint(struct fx *x, unsigned peer, const char *src, const char *dst);

/** A packet as stage inside gets it (interface 1, attachment 1). */
struct rte_mbuf *fx_inside(struct fx *x, const struct fx_spec *s, uint32_t peer);
/** A packet as stage authz gets it from a tunnel of interface 1. */
struct rte_mbuf *fx_tunnel(struct fx *x, const struct fx_spec *s, uint32_t peer);
void fx_run(struct fx *x, enum sl_node node, struct rte_mbuf *m);
/** Next frame of a port, or NULL. */
struct rte_mbuf *fx_frame(struct fx *x, unsigned port);
/** Drops of a reason since the last question about it. */
uint64_t fx_drops(struct fx *x, enum sl_drop reason);
/** Nothing was sent and nothing (more) was dropped. */
void fx_quiet(struct fx *x);

/** Check L2 and outer headers, open with libsodium; frees the frame. */
void fx_open(struct fx *x, struct rte_mbuf *m, unsigned peer, struct fx_sealed *out);
/** Check the L2 header of a frame to the inside; @return its IP packet. */
const uint8_t *fx_plain(struct rte_mbuf *m, struct sl_ip_info *info);

/** RFC 1071 as written there, and whole-packet checks with it. */
uint16_t fx_csum(const uint8_t *p, size_t n, const uint8_t *q, size_t k);
bool fx_ip_csum_ok(const uint8_t *ip);
bool fx_l4_csum_ok(const uint8_t *ip, unsigned len);

#endif
