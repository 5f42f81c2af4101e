/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Every reason for which a packet ends in the gateway: one list makes the enum, the text, the
 * counter, the metric label and the reference page (docs/drops.md).
 *
 * X(NAME, text, explanation): `text` is the stable name that operators see.
 */
#ifndef SL_DROP_H
#define SL_DROP_H

#include "sl_base.h"

/* clang-format off */
#define SL_DROP_LIST(X) \
	/* reception: frames and outer headers */ \
	X(NONE,			"none",			"not a drop") \
	X(L2_TRUNCATED,		"l2_truncated",		"the frame ends inside its Ethernet or VLAN header") \
	X(L2_ETHERTYPE,		"l2_ethertype",		"an EtherType that the gateway does not forward") \
	X(L2_VLAN,		"l2_vlan",		"a VLAN id that no port address or inside attachment names") \
	X(L2_NOT_MINE,		"l2_not_mine",		"a unicast frame for another MAC address, or multicast and broadcast that is not ARP or ND") \
	X(CHAINED,		"chained",		"a frame in several buffers that cannot be made linear") \
	X(IP_TRUNCATED,		"ip_truncated",		"the packet is shorter than its IP header says") \
	X(IP_HEADER,		"ip_header",		"wrong IP version, header length or options, a forbidden address, or an IPv4 source route") \
	X(IP_CHECKSUM,		"ip_checksum",		"wrong IPv4 header checksum") \
	X(V6_EXT,		"v6_ext",		"more than 8 IPv6 extension headers, a truncated or misplaced one, or source routing (segments left)") \
	X(L4_TRUNCATED,		"l4_truncated",		"the packet ends inside its UDP, TCP or ICMP header") \
	X(L4_CHECKSUM,		"l4_checksum",		"wrong UDP or ICMP checksum of a packet for the gateway itself") \
	X(NOT_TUNNEL,		"not_tunnel",		"neither from nor to a tunnel nor to the gateway itself") \
	X(NO_LISTENER,		"no_listener",		"UDP or TCP to a gateway address where nothing listens") \
	X(FRAG_OUTER,		"frag_outer",		"an outer fragment that could not be reassembled (table full, 1 s passed, overlap)") \
	/* WireGuard messages */ \
	X(NOT_WIREGUARD,	"not_wireguard",	"a datagram to a listen port that is no WireGuard message (health probes land here)") \
	X(WG_LENGTH,		"wg_length",		"a WireGuard message of a wrong length") \
	X(WG_INDEX,		"wg_index",		"no keypair has this receiver index") \
	X(WRONG_INTERFACE,	"wrong_interface",	"the keypair belongs to another interface than the datagram was sent to") \
	X(KEYPAIR_EXPIRED,	"keypair_expired",	"the keypair is older than 180 s or past its message limit") \
	X(REPLAY,		"replay",		"the counter was seen before or is older than the window") \
	X(AUTH_FAIL,		"auth_fail",		"the Poly1305 tag does not match") \
	X(PEER_DOWN,		"peer_down",		"the peer is disabled, expired or being removed") \
	X(HS_LANE_FULL,		"hs_lane_full",		"the handshake lane of this worker is full") \
	X(HS_MAC1,		"hs_mac1",		"handshake message with a wrong mac1") \
	X(HS_COOKIE_SENT,	"hs_cookie_sent",	"under load: answered with a cookie reply") \
	X(HS_RATELIMIT,		"hs_ratelimit",		"under load: more than 20 handshakes a second from one address") \
	X(HS_STALE,		"hs_stale",		"a handshake message waited longer than 5 s") \
	X(HS_UNKNOWN_PEER,	"hs_unknown_peer",	"initiation of a public key that is no peer of the interface") \
	X(HS_REPLAY,		"hs_replay",		"initiation with an old or repeated timestamp") \
	X(HS_FLOOD,		"hs_flood",		"more than 50 initiations a second of one peer") \
	X(HS_INVALID,		"hs_invalid",		"a handshake message that fails authentication") \
	X(HS_NO_STATE,		"hs_no_state",		"a response or cookie reply without a pending handshake") \
	X(HS_NO_KEY,		"hs_no_key",		"the interface has no private key") \
	X(HS_LIMIT,		"hs_limit",		"no free keypair slot, or handshake messages above the total limit") \
	/* inner packets */ \
	X(INNER_VERSION,	"inner_version",	"the decrypted packet is neither IPv4 nor IPv6") \
	X(INNER_LENGTH,		"inner_length",		"the decrypted packet is shorter than its IP header says") \
	X(INNER_HEADER,		"inner_header",		"the decrypted packet has an invalid IP header, or an IPv4 source route") \
	X(SPOOFED_SOURCE,	"spoofed_source",	"the inner source is not in the peer's AllowedIPs, or belongs to the gateway or to a tunnel but came in clear") \
	X(NESTED_TUNNEL,	"nested_tunnel",	"a tunnel inside the tunnel to the gateway's own listen port") \
	X(ECN_CE,		"ecn_ce",		"outer CE mark on an inner packet that is not ECN-capable (RFC 6040)") \
	X(FRAG_ORPHAN,		"frag_orphan",		"a non-first fragment whose first fragment was not seen") \
	X(FRAG_SHORT,		"frag_short",		"a first fragment with less than 20 bytes of transport header") \
	/* policy */ \
	X(NOT_INSIDE,		"not_inside",		"a packet in clear whose source is not in the interface's inside prefixes") \
	X(ISOLATION,		"isolation",		"tunnel to tunnel while isolation is on") \
	X(NO_PEER,		"no_peer",		"from inside to a tunnel address that no peer owns") \
	X(NO_ROLE,		"no_role",		"enforce: the source has no role (also: no policy is loaded)") \
	X(DENIED,		"denied",		"enforce: a rule or the zone default denies") \
	X(MAP_ERROR,		"map_error",		"enforce: the policy's tables do not hold what they refer to") \
	X(TARGET_WITHDRAWN,	"target_withdrawn",	"the target was withdrawn from the tunnel and is reached another way; a peer is told (ICMP administratively prohibited)") \
	X(LOG_LOST,		"log_lost",		"enforce: records are being lost and the target is in log.required") \
	/* forwarding */ \
	X(TTL,			"ttl",			"TTL or hop limit ended here; ICMP time exceeded was sent") \
	X(MTU,			"mtu",			"larger than the path and not to be fragmented; ICMP too big was sent") \
	X(NO_ROUTE,		"no_route",		"no route to the destination") \
	X(NEIGH_WAIT,		"neigh_wait",		"the next hop is unresolved and its waiting queue is full or timed out") \
	X(NEIGH_FAILED,		"neigh_failed",		"the next hop does not answer ARP or ND") \
	X(NO_ENDPOINT,		"no_endpoint",		"the peer has no known endpoint") \
	X(PARK_FULL,		"park_full",		"the oldest packet that waited for a handshake made room") \
	X(PARK_TIMEOUT,		"park_timeout",		"the handshake did not finish within 5 s") \
	X(HEADROOM,		"headroom",		"no room in the buffer for the outer headers") \
	X(NO_MBUF,		"no_mbuf",		"no free packet buffer") \
	X(STEER_FULL,		"steer_full",		"the ring to the owning worker is full") \
	X(TX_FULL,		"tx_full",		"the transmit queue of the port is full") \
	X(PORT_DOWN,		"port_down",		"the output port is gone or down") \
	X(RATE_LOCAL,		"rate_local",		"ARP, ND, echo or ICMP error above the rate limit") \
	X(LOCAL_CONSUMED,	"local_consumed",	"ARP, ND, ICMP or keepalive that ended here as it should (not a loss)")
/* clang-format on */

enum sl_drop {
#define X(name, text, why) SL_DROP_##name,
	SL_DROP_LIST(X)
#undef X
		SL_DROP_MAX
};

/** Stable text of a reason, "invalid" outside the range. */
const char *sl_drop_text(unsigned reason);
/** One-sentence explanation of a reason. */
const char *sl_drop_why(unsigned reason);

#endif
