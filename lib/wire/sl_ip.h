/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * IPv4, IPv6, UDP, TCP, ICMP, ARP and ND bytes: parse, check, edit, answer.
 *
 * Pure functions on contiguous bytes with an explicit length; nothing here trusts a byte of the
 * packet before it is checked. No DPDK types, so that everything can be fuzzed without EAL.
 */
#ifndef SL_IP_H
#define SL_IP_H

#include "sl_addr.h"
#include "sl_base.h"
#include "sl_drop.h"

#define SL_ETH_HDR 14
#define SL_VLAN_HDR 4
#define SL_IP4_HDR 20
#define SL_IP6_HDR 40
#define SL_UDP_HDR 8
#define SL_ETHERTYPE_IP4 0x0800
#define SL_ETHERTYPE_ARP 0x0806
#define SL_ETHERTYPE_VLAN 0x8100
#define SL_ETHERTYPE_QINQ 0x88a8
#define SL_ETHERTYPE_IP6 0x86dd
#define SL_PROTO_ICMP 1
#define SL_PROTO_TCP 6
#define SL_PROTO_UDP 17
#define SL_PROTO_ICMP6 58

/** What the data path needs to know of an IP packet; offsets are from the first byte of the IP
 * header. */
struct sl_ip_info {
	uint8_t version; /* 4 or 6 */
	uint8_t proto;	 /* upper protocol; IPv6: after the extension headers (D8), of a non-first
			  * fragment the next header that its fragment header names */
	uint8_t tos;	 /* TOS or traffic class byte */
	uint8_t ttl;	 /* TTL or hop limit */
	uint16_t l4_off; /* offset of the upper header */
	uint16_t total_len; /* whole packet as the header says; bytes behind it are padding */
	uint16_t frag_off;  /* in bytes; 0 for first or whole */
	bool more_frags;
	bool dont_frag; /* IPv4 DF; always true for IPv6 */
	uint32_t frag_id;
	const uint8_t *src; /* 4 or 16 bytes, in the packet */
	const uint8_t *dst;
	uint16_t sport; /* TCP/UDP ports in host order, 0 when not present (other protocol,
			   non-first fragment) */
	uint16_t dport;
};

static inline bool
sl_ip_is_frag(const struct sl_ip_info *i)
{
	return i->more_frags || i->frag_off != 0;
}

/**
 * Parse and validate an IPv4 or IPv6 packet.
 * @param check_csum verify the IPv4 header checksum (false where the NIC did)
 * @return SL_DROP_NONE, or SL_DROP_IP_TRUNCATED (shorter than the header says), _IP_HEADER
 * (version, IHL, total length < header; options cut or a source route; a fragment that ends beyond
 * 65,535; source multicast or broadcast, source or destination loopback or unspecified - except the
 * IPv6 source ::, which is left to the caller), _IP_CHECKSUM, _V6_EXT (D8; also a misplaced
 * hop-by-hop, a second fragment header, others behind that of a first fragment, segments left),
 * _L4_TRUNCATED (TCP/UDP/ICMP header cut in a whole packet or first fragment)
 */
enum sl_drop sl_ip_parse_packet(const uint8_t *p, size_t len, bool check_csum,
				struct sl_ip_info *out);

/**
 * Parse the packet that an ICMP error quotes, as far as it goes: version, proto, l4_off, src, dst
 * and the ports of TCP and UDP are filled; at least 8 bytes of the upper header are there. Lengths
 * and checksums of a quote say nothing and are not looked at.
 * @return false if it is cut before that, is a later fragment or no IP packet
 */
bool sl_ip_parse_quote(const uint8_t *p, size_t len, struct sl_ip_info *out);

/** RFC 1071 sum of bytes, folded, not inverted; `sum` is a previous result. */
uint32_t sl_csum_add(const void *p, size_t len, uint32_t sum);
/** Fold and invert; in network order, ready to be stored with memcpy. */
uint16_t sl_csum_finish(uint32_t sum);
/** Incremental update of a checksum field at `csum` when a 16-bit word at an even offset goes from
 * -> to (RFC 1624, eqn. 3); both as memcpy reads them from the packet. */
void sl_csum_replace16(uint8_t csum[2], uint16_t from_be, uint16_t to_be);
/**
 * Full UDP/TCP/ICMPv6 checksum with pseudo header (ICMP: without) over l4[0..l4_len), field taken
 * as zero at csum_off (even). Only version, proto, src and dst of `ip` are read.
 * @return in network order, ready to be stored with memcpy; for UDP never 0 but 0xffff
 */
uint16_t sl_l4_csum(const struct sl_ip_info *ip, const uint8_t *l4, size_t l4_len, size_t csum_off);
/** @return true if a whole (unfragmented) TCP/UDP/ICMP/ICMPv6 packet has a correct checksum
 * (UDP/IPv4 zero is correct). */
bool sl_l4_csum_ok(const uint8_t *pkt, const struct sl_ip_info *ip);

/** Decrement TTL/hop limit in place, IPv4 checksum incrementally. The caller has checked ttl > 1.
 */
void sl_ip_ttl_dec(uint8_t *pkt, uint8_t version);
/** Set the two ECN bits in place, IPv4 checksum incrementally. */
void sl_ip_set_ecn(uint8_t *pkt, uint8_t version, uint8_t ecn);
/** RFC 6040 encapsulation (normal mode): outer ECN bits of an inner TOS byte; DSCP 0. */
static inline uint8_t
sl_ecn_encap(uint8_t inner_tos)
{
	return inner_tos & 3;
}
/** RFC 6040 decapsulation. @return inner ECN bits to set (0-3), or -1 to drop (CE on Not-ECT). */
int sl_ecn_decap(uint8_t inner_tos, uint8_t outer_tos);

/** Lower the MSS option of a TCP SYN (whole packet) to `mss`, checksum incrementally. @return true
 * if changed. */
bool sl_tcp_mss_clamp(uint8_t *pkt, const struct sl_ip_info *ip, uint16_t mss);

/* --- outer headers ------------------------------------------------------------------------- */

/** Addresses of one outer UDP flow, as the gateway sends it. */
struct sl_outer {
	struct sl_ip src, dst;
	uint16_t sport, dport;
};

/** @return bytes of IP + UDP header: 28 or 48. */
static inline unsigned
sl_outer_len(uint8_t family)
{
	return family == 4 ? SL_IP4_HDR + SL_UDP_HDR : SL_IP6_HDR + SL_UDP_HDR;
}
/**
 * Write IP and UDP headers for `payload_len` bytes: TTL 64, IPv4 id 0 with DF set, header checksum
 * filled, UDP checksum 0 (IPv4) or left 0 for the caller to fill (IPv6).
 * @return bytes written
 */
unsigned sl_outer_write(uint8_t *p, const struct sl_outer *o, uint8_t tos, uint16_t payload_len);

/* --- ICMP ---------------------------------------------------------------------------------- */

enum sl_icmp_kind {
	SL_ICMP_TIME_EXCEEDED, /* v4 11/0, v6 3/0 */
	SL_ICMP_NET_UNREACH,   /* v4 3/0, v6 1/0 */
	SL_ICMP_HOST_UNREACH,  /* v4 3/1, v6 1/3 */
	SL_ICMP_PORT_UNREACH,  /* v4 3/3, v6 1/4 */
	SL_ICMP_ADMIN,	       /* v4 3/13, v6 1/1 */
	SL_ICMP_TOO_BIG,       /* v4 3/4 with MTU, v6 2/0 with MTU */
};

/** Largest IP packet that sl_icmp_error() makes: 576 (RFC 1812) or 1280 (RFC 4443). */
#define SL_ICMP_ERROR_MAX 1280

/**
 * Build the ICMP error that answers `orig`, as a whole IP packet (source `src`, destination =
 * source of orig). Follows RFC 1122 3.2.2 / RFC 4443 2.4(e): no error about an ICMP error, a
 * non-first fragment, a multicast or unspecified address.
 * @param out  at least SL_ICMP_ERROR_MAX bytes, not overlapping orig
 * @return bytes written, 0 if no error may be sent
 */
unsigned sl_icmp_error(uint8_t *out, const uint8_t *orig, const struct sl_ip_info *info,
		       enum sl_icmp_kind kind, uint16_t mtu, const struct sl_ip *src);
/**
 * Turn an ICMP or ICMPv6 echo request into its reply in place (addresses swapped, TTL 64,
 * checksums).
 * @return true if it was a whole, well-formed echo request with a correct checksum, from and to
 * unicast, without IPv6 extension headers; else nothing was changed
 */
bool sl_icmp_echo_reply(uint8_t *pkt, const struct sl_ip_info *info);

/* --- ARP and ND ---------------------------------------------------------------------------- */

#define SL_ARP_LEN 28
#define SL_NS_LEN (SL_IP6_HDR + 32) /* IPv6 + NS/NA + one link-layer option */

struct sl_neigh_msg {
	bool request;	     /* ARP request / NS */
	bool reply;	     /* ARP reply / NA */
	bool has_mac;	     /* sender MAC present (ND: option) */
	bool dad;	     /* NS from ::, or ARP probe from 0.0.0.0 */
	bool override;	     /* NA override flag; true for ARP replies */
	bool solicited;	     /* NA solicited flag; an ARP reply that is not gratuitous */
	struct sl_ip sender; /* protocol address of the sender (ND: NS source, NA target) */
	struct sl_ip target;
	uint8_t mac[6];
};

/** Parse ARP (RFC 826, Ethernet/IPv4) behind the Ethernet header. @return false if malformed. */
bool sl_arp_parse(const uint8_t *p, size_t len, struct sl_neigh_msg *out);
/** Parse an IPv6 packet that is NS or NA (RFC 4861 7.1: hop limit 255, code 0, checksum, option
 * lengths, rules for :: and multicast; no extension headers, RFC 6980). */
bool sl_nd_parse(const uint8_t *pkt, size_t len, const struct sl_ip_info *info,
		 struct sl_neigh_msg *out);
/** Write an ARP packet of 28 bytes; tmac NULL: zeros. */
void sl_arp_write(uint8_t *p, bool reply, const uint8_t smac[6], const uint8_t sip[4],
		  const uint8_t tmac[6], const uint8_t tip[4]);
/**
 * Write a whole IPv6 NS (to the solicited-node group of `target`, or unicast when `dst` is given)
 * or NA (to all nodes, or to `dst`; router and override set).
 * @return bytes written: SL_NS_LEN, 8 less from the source :: which must not give its MAC
 */
unsigned sl_nd_write(uint8_t *p, bool advert, const uint8_t mac[6], const uint8_t src[16],
		     const uint8_t *dst, const uint8_t target[16], bool solicited);
/** ff02::1:ffXX:XXXX of an address, and its 33:33:.. MAC. */
void sl_nd_solicited_node(const uint8_t ip[16], uint8_t group[16], uint8_t mac[6]);
/** EUI-64 link-local address of a MAC. */
void sl_ip6_link_local(const uint8_t mac[6], uint8_t out[16]);

#endif
