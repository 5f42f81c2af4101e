/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * WireGuard messages on the wire (paper section 5.4) and the constants of its section 6.1, TAI64N.
 *
 * Pure. All fields are little-endian byte arrays: the structs have alignment 1 and may lie
 * anywhere.
 */
#ifndef SL_WIRE_H
#define SL_WIRE_H

#include "sl_base.h"

enum sl_wire_type {
	SL_WIRE_INVALID = 0,
	SL_WIRE_INITIATION = 1,
	SL_WIRE_RESPONSE = 2,
	SL_WIRE_COOKIE = 3,
	SL_WIRE_DATA = 4,
};

#define SL_WIRE_INITIATION_LEN 148
#define SL_WIRE_RESPONSE_LEN 92
#define SL_WIRE_COOKIE_LEN 64
#define SL_WIRE_DATA_HDR 16
#define SL_WIRE_DATA_MIN 32 /* header and tag: a keepalive */
#define SL_WIRE_PAD 16
#define SL_TAI64N_LEN 12

#define SL_WG_REKEY_AFTER_MESSAGES (UINT64_C(1) << 60)
#define SL_WG_REJECT_AFTER_MESSAGES (UINT64_MAX - (UINT64_C(1) << 13)) /* 2^64 - 2^13 - 1 */
#define SL_WG_REKEY_AFTER_S 120
#define SL_WG_REJECT_AFTER_S 180
#define SL_WG_REKEY_ATTEMPT_S 90
#define SL_WG_REKEY_TIMEOUT_S 5
#define SL_WG_REKEY_JITTER_MS 333
#define SL_WG_KEEPALIVE_S 10
#define SL_WG_RECV_REKEY_S                                                                         \
	(SL_WG_REJECT_AFTER_S - SL_WG_KEEPALIVE_S - SL_WG_REKEY_TIMEOUT_S) /* 165 */
#define SL_WG_COOKIE_S 120
#define SL_WG_COOKIE_LATENCY_S 5
#define SL_WG_HANDSHAKE_TOS 0x88

struct sl_msg_initiation {
	uint8_t type[4];
	uint8_t sender[4];
	uint8_t ephemeral[32];
	uint8_t enc_static[48];
	uint8_t enc_timestamp[28];
	uint8_t mac1[16];
	uint8_t mac2[16];
};

struct sl_msg_response {
	uint8_t type[4];
	uint8_t sender[4];
	uint8_t receiver[4];
	uint8_t ephemeral[32];
	uint8_t enc_empty[16];
	uint8_t mac1[16];
	uint8_t mac2[16];
};

struct sl_msg_cookie {
	uint8_t type[4];
	uint8_t receiver[4];
	uint8_t nonce[24];
	uint8_t enc_cookie[32];
};

struct sl_msg_data {
	uint8_t type[4];
	uint8_t receiver[4];
	uint8_t counter[8];
};

_Static_assert(sizeof(struct sl_msg_initiation) == SL_WIRE_INITIATION_LEN, "148 bytes");
_Static_assert(sizeof(struct sl_msg_response) == SL_WIRE_RESPONSE_LEN, "92 bytes");
_Static_assert(sizeof(struct sl_msg_cookie) == SL_WIRE_COOKIE_LEN, "64 bytes");
_Static_assert(sizeof(struct sl_msg_data) == SL_WIRE_DATA_HDR, "16 bytes");

/**
 * Type of a UDP payload: 1-3 need the exact length, 4 at least 32 bytes; the three reserved bytes
 * are zero.
 * @param[out] bad_length set when the first word is a WireGuard type but the length is wrong; may
 * be NULL
 */
enum sl_wire_type sl_wire_classify(const void *payload, size_t len, bool *bad_length);

/** Plaintext length with padding to 16, never above the tunnel MTU (min(align16(len), mtu);
 * paper 5.4.6). */
static inline uint32_t
sl_wire_padded(uint32_t len, uint32_t mtu)
{
	uint32_t up = (len + SL_WIRE_PAD - 1) & ~(uint32_t)(SL_WIRE_PAD - 1);

	return up > mtu ? SL_MAX(len, mtu) : up;
}

/** TAI64N label (12 bytes, big-endian, 2^62 + 10 s offset) of a wall time in nanoseconds. */
void sl_tai64n(uint8_t out[SL_TAI64N_LEN], uint64_t wall_ns);
/** Back to wall nanoseconds (0 when before 1970, UINT64_MAX when too late for 64 bits). */
uint64_t sl_tai64n_wall_ns(const uint8_t ts[SL_TAI64N_LEN]);
/** memcmp order of two labels: < 0, 0, > 0. */
int sl_tai64n_cmp(const uint8_t a[SL_TAI64N_LEN], const uint8_t b[SL_TAI64N_LEN]);

#endif
