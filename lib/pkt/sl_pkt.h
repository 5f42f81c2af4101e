/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Packets in the gateway: per-packet metadata in the mbuf's private area, vectors of packets,
 * pools.
 *
 * An mbuf belongs to one lcore at a time; it changes hands only through an SPSC ring.
 */
#ifndef SL_PKT_H
#define SL_PKT_H

#include <rte_mbuf.h>

#include "sl_base.h"
#include "sl_drop.h"
#include "sl_ip.h"

#define SL_BURST 32	/* packets of one rx burst */
#define SL_VEC_MAX 320	/* a burst whose packets all make 8 fragments, and room for ICMP */
#define SL_HEADROOM 128 /* RTE_PKTMBUF_HEADROOM: L2 18 + IPv6 40 + UDP 8 + WireGuard 16 = 82 */
#define SL_TAILROOM 32	/* padding up to 15 and the tag */

/** Where a packet goes on after it crossed a ring (meta.next), or which stage it waits for. */
enum sl_next {
	SL_NEXT_CLASSIFY, /* a received frame, data at Ethernet */
	SL_NEXT_OPEN,	  /* type 4, classified, data at the WireGuard header */
	SL_NEXT_INNER,	  /* decrypted at another worker, data at the inner IP header, peer set */
	SL_NEXT_SEAL,	  /* plaintext for meta.peer_id, judged, data at the inner IP header: to the
			     home */
	SL_NEXT_INSIDE,	  /* plaintext for meta.peer_id, not yet judged: to the home */
	SL_NEXT_OUTER,	  /* an outer IP packet of the gateway itself (handshake, ICMP), data at IP:
			     route it. A source of all zeros means: choose one by route, write it and
			     update the IPv4 header and UDP checksums, which are right for zeros */
	SL_NEXT_ROUTE, /* an inner IP packet of the gateway for the inside of meta.iface_id, data at
			  IP */
	SL_NEXT_L2,    /* a whole frame for port meta.port (ARP, ND of control) */
};

enum sl_pkt_flags {
	SL_PKT_IP_CSUM_OK = 1, /* the NIC verified the IPv4 header */
	SL_PKT_L4_CSUM_OK = 2, /* the NIC verified UDP/TCP */
	SL_PKT_FRAG = 4,       /* part of a fragmented packet */
	SL_PKT_DF = 8,
	SL_PKT_LOCAL_ORIGIN = 16, /* made by the gateway: not judged, TTL not decremented */
	SL_PKT_L2_MCAST = 32,	  /* received as broadcast or multicast */
	SL_PKT_FROM_TUNNEL = 64,  /* was decrypted here */
	SL_PKT_MORE_FRAGS = 128,  /* a fragment, but not the last one */
};

/** 64 bytes in the private area of each mbuf; valid from rx to tx. Offsets count from
 * rte_pktmbuf_mtod(). */
struct sl_meta {
	uint8_t next;	   /* enum sl_next */
	uint8_t drop;	   /* enum sl_drop, when it goes to the drop exit */
	uint8_t flags;	   /* enum sl_pkt_flags */
	uint8_t version;   /* of the IP packet at data: 4 or 6 */
	uint16_t port;	   /* rx port; for NEXT_L2 the tx port */
	uint16_t att;	   /* rx attachment */
	uint16_t iface_id; /* 0 none */
	uint8_t proto, ttl, tos;
	uint8_t outer_tos;
	uint16_t l4_off;
	uint16_t total_len;
	uint16_t sport, dport;
	uint16_t outer_off; /* offset of the outer IP header from the start of the buffer (buf_addr)
			     */
	uint16_t frag_off;
	uint8_t from; /* NEXT_OPEN, NEXT_INNER: data lcore at whose rx queue it came in */
	uint8_t pad;
	uint32_t peer_id; /* SL_PEER_ID_NONE */
	union {
		uint32_t index;	   /* receiver index of a type 4 */
		uint32_t icmp_mtu; /* drop MTU: what the ICMP error is to announce */
		uint32_t flow;	   /* AUTHZ to FORWARD: place of the flow that is to keep the next
				      hop, and one; 0: none */
	};
	uint32_t nh; /* next hop chosen; at FORWARD 0: not yet */
	uint32_t frag_id;
	union {
		uint64_t counter; /* of a type 4; types 1-3 in a lane to hs: arrival (the worker's
				     now_ns) */
		uint32_t since_tick; /* parked: since when */
	};
	struct rte_mbuf *chain; /* link in a park or wait list */
};
_Static_assert(sizeof(struct sl_meta) == SL_CACHE_LINE, "one line");

static inline struct sl_meta *
sl_meta(struct rte_mbuf *m)
{
	return rte_mbuf_to_priv(m);
}

/** Packets of one burst between two stages. */
struct sl_vec {
	unsigned n;
	struct rte_mbuf *m[SL_VEC_MAX];
};

/** Append. The stages' burst sizes keep n below SL_VEC_MAX (see docs/packet-walk.md). */
static inline void
sl_vec_add(struct sl_vec *v, struct rte_mbuf *m)
{
	v->m[v->n++] = m;
}

/** Put a packet on the drop exit with its reason. */
static inline void
sl_vec_drop(struct sl_vec *v, struct rte_mbuf *m, enum sl_drop reason)
{
	sl_meta(m)->drop = (uint8_t)reason;
	sl_vec_add(v, m);
}

/** Fill the meta fields that describe the IP packet at data from a parse result; of the flags only
 * FRAG, MORE_FRAGS and DF change. */
void sl_meta_from_ip(struct sl_meta *meta, const struct sl_ip_info *info);
/** Rebuild a parse result (src, dst into the packet) from the meta fields; no validation. */
void sl_meta_to_ip(struct rte_mbuf *m, struct sl_ip_info *info);

/**
 * A pool of n mbufs with our metadata and `data_room` bytes (headroom included); ops ring_mt_rts so
 * that a preempted lcore never makes another spin (D43).
 * @param name unique in the process
 * @return NULL with rte_errno set (no memory, name in use, data_room out of range)
 */
struct rte_mempool *sl_pkt_pool_new(const char *name, unsigned n, unsigned data_room, int socket);

#endif
