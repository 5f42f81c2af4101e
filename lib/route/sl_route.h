/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Attachments (a port and VLAN with addresses) and next hops.
 *
 * A route table is an sl_lpm whose values are next-hop ids. Next hops live in one table; control is
 * their only writer (sl_latch.h: readers never wait), data lcores copy the L2 header at
 * transmission (D39).
 */
#ifndef SL_ROUTE_H
#define SL_ROUTE_H

#include <stdatomic.h>

#include "sl_addr.h"
#include "sl_base.h"
#include "sl_ip.h"
#include "sl_lpm.h"

#define SL_NH_MAX 65536
#define SL_NH_ID_NONE SL_LPM_NONE
#define SL_ATT_MAX 256
#define SL_ATT_ADDRS 16
#define SL_ATT_IFACES 64
#define SL_L2_MAX (SL_ETH_HDR + SL_VLAN_HDR)

/** A port and VLAN with the gateway's addresses there. Immutable part of a published root. */
struct sl_att {
	uint16_t id;
	uint16_t port; /* sl_port number */
	uint16_t vlan; /* 0 untagged */
	uint16_t mtu;  /* IP MTU */
	uint8_t mac[6];
	uint8_t n_addrs;
	uint8_t n_ifaces;
	struct sl_prefix
		addr[SL_ATT_ADDRS]; /* own addresses with the length of their connected network */
	uint16_t iface[SL_ATT_IFACES]; /* interfaces whose inside is attached here */
};

enum sl_nh_type {
	SL_NH_FREE,
	SL_NH_HOST,  /* one neighbour: L2 header below when state is usable */
	SL_NH_GLEAN, /* connected network: the neighbour is the destination itself; ask control */
	SL_NH_UNREACHABLE, /* answer with ICMP unreachable */
	SL_NH_BLACKHOLE,
};

enum sl_nh_state {
	SL_NH_INCOMPLETE, /* being resolved */
	SL_NH_USABLE,	  /* reachable, stale, delay or probe: send */
	SL_NH_FAILED,
};

/** What a data lcore copies. */
struct sl_nh_copy {
	uint8_t type, state;
	uint8_t l2_len; /* 14 or 18 */
	uint8_t pad;
	uint8_t l2[SL_L2_MAX]; /* destination MAC, source MAC, tag; the EtherType is filled at tx */
	uint16_t att, port, mtu;
} SL_ALIGNED(4);

/** One line each. w: control, but for used_tick (any data lcore, when the tick changes). */
struct sl_nh {
	_Atomic uint32_t seq;
	_Atomic uint32_t used_tick;
	struct sl_nh_copy v[2]; /* the latched value; read it with sl_nh_read() */
} SL_ALIGNED(SL_CACHE_LINE);
_Static_assert(sizeof(struct sl_nh) == SL_CACHE_LINE, "one line");

struct sl_nh_table {
	struct sl_nh nh[SL_NH_MAX]; /* id 0 is never used */
	/* control alone */
	struct sl_ip ip[SL_NH_MAX]; /* the neighbour's address, family 0 when there is none */
	uint64_t taken[SL_NH_MAX / 64];
	uint32_t last; /* allocated last: ids rest as long as possible */
};

/** Reserve the table (address space, touched as needed). @return NULL without memory. */
struct sl_nh_table *sl_nh_table_new(void);
void sl_nh_table_free(struct sl_nh_table *t);

/** Consistent copy of a next hop; type FREE for a bad id. Any lcore. */
void sl_nh_read(const struct sl_nh_table *t, uint32_t id, struct sl_nh_copy *out);
/** Changes with each write of a next hop (an id of the table): what was derived from it is void. */
static inline uint32_t
sl_nh_seq(const struct sl_nh_table *t, uint32_t id)
{
	return atomic_load_explicit(&t->nh[id].seq, memory_order_acquire);
}
/** Note that it was used (keeps the neighbour fresh); writes only when the tick changed. */
static inline void
sl_nh_touch(struct sl_nh_table *t, uint32_t id, uint32_t tick)
{
	_Atomic uint32_t *u = &t->nh[id].used_tick;

	if (atomic_load_explicit(u, memory_order_relaxed) != tick)
		atomic_store_explicit(u, tick, memory_order_relaxed);
}

/** Allocate an id (control). @return 0 when the table is full. */
uint32_t sl_nh_alloc(struct sl_nh_table *t);
/** Free an id that no table refers to, after a grace period (control). It then reads as FREE. */
void sl_nh_free(struct sl_nh_table *t, uint32_t id);
/**
 * Write a next hop (control). used_tick is kept.
 * @param att     where it is reached; NULL for UNREACHABLE and BLACKHOLE
 * @param ip      the neighbour; NULL when the next hop is no single one
 * @param dst_mac its MAC; NULL while unknown (all zero then)
 */
void sl_nh_write(struct sl_nh_table *t, uint32_t id, enum sl_nh_type type, enum sl_nh_state state,
		 const struct sl_att *att, const struct sl_ip *ip, const uint8_t dst_mac[6]);

#endif
