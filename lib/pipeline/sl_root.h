/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The root: everything that control publishes to the data lcores, as one immutable version.
 *
 * Control builds a new root, stores the pointer with release and frees the old one after a grace
 * period. A data lcore loads it once a poll, so that a burst sees one version.
 */
#ifndef SL_ROOT_H
#define SL_ROOT_H

#include "sl_judge.h"
#include "sl_lpm.h"
#include "sl_peer.h"
#include "sl_route.h"

#define SL_IFACE_MAX 4096
#define SL_IFACE_ADDRS 300 /* 254 agents' gateway addresses and more */
#define SL_PORT_MAX 32

enum sl_authz_mode { SL_MODE_OBSERVE, SL_MODE_ENFORCE };

/** One interface (a VPN network of its own, D36), immutable. Ids start at 1. */
struct sl_iface_view {
	uint16_t id;
	uint16_t listen_port;
	uint16_t mtu;
	uint16_t inside_att; /* attachment of its inside; SL_ATT_MAX when none */
	bool up;
	bool isolation;
	bool mss_clamp;
	bool inside_any; /* no inside prefixes configured: any source on the inside attachment */
	uint8_t outer_udp_csum; /* enum sl_udp_csum */
	char name[16];
	struct sl_lpm peers4, peers6;	/* AllowedIPs -> peer id */
	struct sl_lpm inside4, inside6; /* inside prefixes -> 1 */
	struct sl_lpm routes4, routes6; /* VRF: destinations on the inside -> next-hop id */
	struct sl_lpm local4, local6;	/* own inner addresses, /32 and /128 -> index into addr */
	unsigned n_addrs;
	struct sl_prefix addr[SL_IFACE_ADDRS]; /* own inner addresses with their network */
};

enum sl_udp_csum { SL_UDP_CSUM_ZERO, SL_UDP_CSUM_AUTO, SL_UDP_CSUM_FULL };

struct sl_authz_view {
	enum sl_authz_mode deflt;
	bool panic_observe;		    /* overrides all (D6) */
	struct sl_lpm mode4, mode6;	    /* mode prefixes -> enum sl_authz_mode */
	struct sl_lpm required4, required6; /* prefixes that want their records kept */
	bool logging; /* allows and the rules' records are written (local, as modes) */
	struct sl_policy_view policy;
};

/** Attachments of one port, for classification. */
struct sl_port_view {
	bool present;
	uint8_t mac[6];
	uint16_t n_att;
	uint16_t att[SL_ATT_IFACES]; /* ids; att 0 of the list is the untagged one when there is one
				      */
};

struct sl_root {
	uint64_t generation;
	struct sl_lpm underlay4, underlay6; /* outer destinations -> next-hop id */
	struct sl_authz_view authz;
	unsigned n_ifaces;			  /* highest id + 1 */
	const struct sl_iface_view *const *iface; /* [n_ifaces], NULL holes */
	const uint16_t *iface_by_udp_port;	  /* [65536] -> interface id or 0 */
	unsigned n_atts;
	const struct sl_att *const *att; /* [n_atts], NULL holes */
	struct sl_port_view port[SL_PORT_MAX];
};

static inline const struct sl_iface_view *
sl_root_iface(const struct sl_root *r, unsigned id)
{
	return id < r->n_ifaces ? r->iface[id] : NULL;
}

static inline const struct sl_att *
sl_root_att(const struct sl_root *r, unsigned id)
{
	return id < r->n_atts ? r->att[id] : NULL;
}

#endif
