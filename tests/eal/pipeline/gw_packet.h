/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Packets of the outside world for the pipeline tests, made and read without the code under test:
 * headers are written byte by byte, checksums summed here, transport messages sealed and opened by
 * libsodium.
 */
#ifndef GW_PACKET_H
#define GW_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_PKT_MAX 10240

struct gw_pkt {
	unsigned len;
	uint8_t b[GW_PKT_MAX];
};

/** Keys of one WireGuard session as the client sees it. */
struct gw_session {
	uint32_t index;	       /* the gateway's receiver index */
	uint32_t remote_index; /* the client's */
	uint8_t to_gw[32], from_gw[32];
	uint64_t counter; /* next to send */
};

/** RFC 1071 sum as it is stored. */
uint16_t gw_csum(const uint8_t *p, size_t n, uint32_t sum);

/** IPv4 or IPv6 (by the text of src) + UDP with correct checksums. */
void gw_udp(struct gw_pkt *p, const char *src, const char *dst, uint16_t sport, uint16_t dport,
	    const void *payload, unsigned n);
/** IP header with any protocol; IPv4 header checksum correct, nothing done to the payload. */
void gw_ip(struct gw_pkt *p, const char *src, const char *dst, uint8_t proto, const void *payload,
	   unsigned n);
/** Echo request with correct checksum. */
void gw_echo(struct gw_pkt *p, const char *src, const char *dst, unsigned n);
/** Recompute the IPv4 header checksum after an edit. */
void gw_fix4(struct gw_pkt *p);
/** Put an Ethernet header in front, with a tag when vlan is not 0; the EtherType is that of the IP
 * version, or ARP. */
void gw_eth(struct gw_pkt *p, const uint8_t dst[6], uint16_t vlan);
/** Cut n bytes off the front. */
void gw_pull(struct gw_pkt *p, unsigned n);
/** Append zeros. */
void gw_pad(struct gw_pkt *p, unsigned n);

/** Type 4 message: `inner` padded to 16, sealed under counter. */
void gw_seal(struct gw_pkt *out, const struct gw_session *s, uint64_t counter,
	     const struct gw_pkt *inner);
/**
 * Open a type 4 message of the gateway.
 * @return true if it is one for this session and its tag is right
 */
bool gw_open(struct gw_pkt *out, const struct gw_session *s, const uint8_t *msg, unsigned len,
	     uint64_t *counter);

#endif
