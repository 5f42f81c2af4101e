/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Ways out of the tunnels that packets took lately, for the first packets of flows (later ones find
 * theirs in the flow): by /24 where all of it goes by one next hop, else by address. As with the
 * flows, what was found by one root is void with the next one. IPv4 alone. Private to lib/pipeline.
 */
#ifndef SL_WAY_H
#define SL_WAY_H

#include "flow_int.h"

#define SL_WAY_HOST_BITS 8 /* of a net */

_Static_assert(SL_IFACE_MAX <= 1 << 16, "what a place is about has 48 bits");
_Static_assert(SL_NH_MAX <= 1 << 16, "a next hop has 16");

static inline uint64_t
sl_way_about(uint16_t iface, uint32_t place)
{
	return (uint64_t)iface << 32 | place;
}

/** Neighbours in a network stand beside each other. */
static inline unsigned
sl_way_at(uint16_t iface, uint32_t place)
{
	return (place ^ place >> 8 ^ place >> 16 ^ iface) % SL_WAYS;
}

/** Before others are asked for: those of an older root are gone. */
static inline void
sl_ways_of_root(struct sl_worker *w)
{
	if (sl_likely(w->ways.generation == w->root->generation)) /* roots change in seconds */
		return;
	memset(&w->ways, 0, sizeof(w->ways));
	w->ways.generation = w->root->generation;
}

/** @return the next hop to an address from inside the tunnels of an interface; 0: not known */
static inline uint32_t
sl_way_get(const struct sl_worker *w, uint8_t version, uint16_t iface, const uint8_t *dst)
{
	uint32_t addr = sl_load_be32(dst), net = addr >> SL_WAY_HOST_BITS;
	uint64_t way = w->ways.net[sl_way_at(iface, net)];

	if (version != 4 || way >> 16 != sl_way_about(iface, net))
		return 0;
	if (sl_likely((way & UINT16_MAX) != 0)) /* most networks are behind one router */
		return way & UINT16_MAX;
	way = w->ways.host[sl_way_at(iface, addr)];
	return way >> 16 == sl_way_about(iface, addr) ? way & UINT16_MAX : 0;
}

/** The tables gave this next hop to a packet, which goes to none of the gateway's own addresses and
 * to no peer. @param att inside attachment of f, or NULL */
void sl_way_put(struct sl_worker *w, struct rte_mbuf *m, const struct sl_iface_view *f,
		const struct sl_att *att, uint32_t nh);

#endif
