/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the stages of the pipeline share among themselves. Private to lib/pipeline.
 *
 * Conventions between stages:
 *
 *	frames		until CLASSIFY m->port holds the sl_port number; from then on meta.port does
 *	HOST		data at the Ethernet header; ARP and IP of the attachment meta.att
 *	REASS, HS	data at the outer IP header, meta.l4_off at the UDP header; HS: meta.nh is
 *			the lane, meta.counter the time of arrival
 *	OPEN		data at the WireGuard header, without bytes behind the tag; meta.index,
 *			counter, iface_id (of the listen port), outer_off, outer_tos
 *	INNER		data at the inner IP header with its padding; meta.peer_id, iface_id (of the
 *			keypair). meta.next == SL_NEXT_INNER: opened at another worker, the home
 *			still owes the bookkeeping of reception (sl_home_received())
 *	INSIDE		data at the IP header, padding trimmed, meta as sl_meta_from_ip();
 *			meta.iface_id; peer_id SL_PEER_ID_NONE: an own inner address or no peer
 *	AUTHZ		as INSIDE, or decrypted (SL_PKT_FROM_TUNNEL)
 *
 * Counting: w->delta, once per vector. rx_early in CLASSIFY alone; post_decrypt.total in OPEN and
 * .passed where FORWARD hands a packet on; pre_encrypt.total in INSIDE and .passed in SEAL; the
 *drop stage counts .dropped of the last two.
 */
#ifndef SL_PIPELINE_INT_H
#define SL_PIPELINE_INT_H

#include <rte_prefetch.h>

#include "sl_pipeline.h"

#define SL_PREFETCH_AHEAD                                                                          \
	4 /* packets; covers a DRAM miss at about 100 cycles a packet and stage                    \
	   */

/* --- stage_tx.c -------------------------------------------------------------------------- */

/** Send what stands in w->tx[].buf and in the rings of `via`; what does not fit goes to
 * v[SL_NODE_DROP]. */
void sl_tx_flush(struct sl_worker *w);

/* --- home.c ------------------------------------------------------------------------------ */

/** Authenticated packets of one keypair, consecutive in a burst. */
struct sl_rx_run {
	struct sl_peer *peer;
	struct sl_keypair *kp; /* NULL: retired meanwhile */
	uint32_t packets;
	uint64_t bytes;	      /* UDP payload, as WireGuard counts */
	bool data;	      /* one of them was no keepalive */
	const uint8_t *outer; /* its outer IP header */
	const uint8_t *udp;   /* its outer UDP header */
};

/** Home: counters, ticks for the timers, roaming, confirmation, rekey on receive. Once per run. */
void sl_home_received(struct sl_worker *w, const struct sl_rx_run *run);

/** @return true if all answers to hs are in its mailbox: only then may more messages be taken. */
bool sl_home_answered(struct sl_worker *w);

/* --- rehome.c ---------------------------------------------------------------------------- */

/**
 * Home: a peer has received something for the first time in this tick. When its second is over, ask
 * hs for another home if more than half of its packets came in at one other worker.
 * @param before its rx_packets without those of this run
 */
void sl_rehome_second(struct sl_worker *w, struct sl_peer *p, uint64_t before);
/** Home: an authenticated packet came in at data lcore `from`; after sl_rehome_second(). */
void sl_rehome_steered(struct sl_worker *w, struct sl_peer *p, unsigned from);
/** Old home, before it stores the new one. */
void sl_rehome_leave(struct sl_worker *w, struct sl_peer *p);
/** Once a tick: once a second publish the busy share, and if it is far above the others' ask hs to
 * take a peer away. */
void sl_rehome_balance(struct sl_worker *w);

/* --- classify_wg.c ----------------------------------------------------------------------- */

/**
 * A whole UDP datagram to an own outer address and a listen port, data at the outer IP header:
 * put it on the exit of its WireGuard message type.
 */
void sl_classify_wireguard(struct sl_worker *w, struct rte_mbuf *m, const struct sl_ip_info *info,
			   struct sl_vec out[]);

/* --- stage_reass.c ----------------------------------------------------------------------- */

/**
 * @param max fragments that may wait in it
 * @return the reassembly table of a worker, or NULL without memory
 */
void *sl_reass_new(unsigned max);
/** Frees what waits in it. NULL allowed. */
void sl_reass_free(void *reass);
/** Count and free the fragments that waited for more than 1 s. Once a tick. */
void sl_reass_sweep(struct sl_worker *w);

/* --- small helpers ----------------------------------------------------------------------- */

/** @return true if the peer may send and receive now (D31). */
static inline bool
sl_peer_is_up(const struct sl_worker *w, const struct sl_peer *p)
{
	uint32_t end = atomic_load_explicit(&p->expires_tick, memory_order_relaxed);

	if (!atomic_load_explicit(&p->enabled, memory_order_relaxed) ||
	    atomic_load_explicit(&p->gone, memory_order_relaxed))
		return false;
	return end == 0 || !sl_tick_reached(w->tick, end);
}

/** Age of a keypair; hs's clock may be a little ahead of this poll's: then 0. */
static inline uint64_t
sl_keypair_age_ns(const struct sl_worker *w, const struct sl_keypair *kp)
{
	int64_t age = (int64_t)(w->now_ns - kp->birth_ns);

	return age > 0 ? (uint64_t)age : 0;
}

static inline unsigned
sl_peer_home(const struct sl_peer *p)
{
	/* acquire: a new home finds the peer's words as the old one left them */
	return atomic_load_explicit(&p->home, memory_order_acquire);
}

/** Compare an address in a packet with a value of the same family. */
static inline bool
sl_addr_is(const struct sl_ip *a, uint8_t version, const uint8_t *b)
{
	if (a->family != version)
		return false;
	return version == 4 ? memcmp(a->b, b, 4) == 0 : memcmp(a->b, b, 16) == 0;
}

/** @return true if `addr` is one of the gateway's own addresses on an attachment. */
static inline bool
sl_att_owns(const struct sl_att *att, uint8_t version, const uint8_t *addr)
{
	unsigned i;

	for (i = 0; i < att->n_addrs; i++)
		if (sl_addr_is(&att->addr[i].ip, version, addr))
			return true;
	return false;
}

/** @return true if the source is ::, which nobody may forward (the parser lets it pass for ND). */
static inline bool
sl_ip_has_no_source(const struct sl_ip_info *info)
{
	return info->version == 6 && (sl_load_le64(info->src) | sl_load_le64(info->src + 8)) == 0;
}

static inline const struct sl_lpm *
sl_iface_peers(const struct sl_iface_view *f, uint8_t version)
{
	return version == 4 ? &f->peers4 : &f->peers6;
}

static inline const struct sl_lpm *
sl_iface_local(const struct sl_iface_view *f, uint8_t version)
{
	return version == 4 ? &f->local4 : &f->local6;
}

#define SL_IFACE_FEW 4 /* own addresses that are compared one by one: cheaper than the table */

/** @return true if `addr` is an own inner address of the interface. */
static inline bool
sl_iface_owns(const struct sl_iface_view *f, uint8_t version, const uint8_t *addr)
{
	unsigned i;

	if (sl_unlikely(f->n_addrs > SL_IFACE_FEW)) /* one of each family, mostly */
		return sl_lpm_lookup(sl_iface_local(f, version), addr) != SL_LPM_NONE;
	for (i = 0; i < f->n_addrs; i++)
		if (sl_addr_is(&f->addr[i].ip, version, addr))
			return true;
	return false;
}

/** Peer id of the AllowedIPs that contain `addr`, or SL_LPM_NONE (== SL_PEER_ID_NONE). */
static inline uint32_t
sl_iface_peer(const struct sl_iface_view *f, uint8_t version, const uint8_t *addr)
{
	return sl_lpm_lookup(sl_iface_peers(f, version), addr);
}
_Static_assert(SL_LPM_NONE == SL_PEER_ID_NONE, "a lookup result is a peer id");

/** Lane of a type 1-3 on its way to hs, carried in meta.nh: 0 a, 1 b, 2 c (D32). */
static inline unsigned
sl_meta_lane(const struct sl_meta *meta)
{
	return meta->nh;
}

#endif
