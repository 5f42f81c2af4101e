/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * mac1, mac2, cookie replies (paper sections 5.3 and 5.4.4, 5.4.7) and the rate limiter of
 * handshakes under load.
 *
 * Sans-IO, used by the hs lcore alone. Times are monotonic nanoseconds.
 */
#ifndef SL_COOKIE_H
#define SL_COOKIE_H

#include "sl_addr.h"
#include "sl_base.h"
#include "sl_env.h"
#include "sl_secret.h"
#include "sl_wire.h"

#define SL_COOKIE_LEN 16

/** Per interface: checks what others send to our public key. */
struct sl_cookie_checker {
	uint8_t mac1_key[32];	 /* HASH("mac1----" || our public key) */
	uint8_t cookie_key[32];	 /* HASH("cookie--" || our public key) */
	struct sl_secret secret; /* Rm, changes every 120 s */
	uint64_t secret_birth_ns;
	bool has_secret;
};

/** Per peer: authenticates what we send to its public key. */
struct sl_cookie_maker {
	uint8_t mac1_key[32];
	uint8_t cookie_key[32];
	uint8_t cookie[SL_COOKIE_LEN];
	uint64_t cookie_birth_ns;
	bool has_cookie;
	bool has_last_mac1;
	uint8_t last_mac1[16];
};

enum sl_cookie_verdict { SL_MAC_BAD, SL_MAC1_OK, SL_MAC2_OK };

void sl_cookie_checker_init(struct sl_cookie_checker *c, const struct sl_pubkey *ours);
void sl_cookie_maker_init(struct sl_cookie_maker *m, const struct sl_pubkey *remote);
void sl_cookie_checker_clear(struct sl_cookie_checker *c);
void sl_cookie_maker_clear(struct sl_cookie_maker *m);

/**
 * Check the last 32 bytes (mac1, mac2) of an initiation or response of `len` bytes.
 * @param src  outer source of the message, bound into the cookie (address and port)
 * @param rng  for a new secret when the present one is 120 s old
 * @return MAC_BAD, MAC1_OK (mac2 absent or wrong), MAC2_OK
 */
enum sl_cookie_verdict sl_cookie_check(struct sl_cookie_checker *c, const void *msg, size_t len,
				       const struct sl_endpoint *src, uint64_t now_ns,
				       const struct sl_rng *rng);
/**
 * Make a cookie reply to a message (of at least 32 bytes) whose mac1 was right. `sender` is the
 * index in that message.
 */
void sl_cookie_reply(struct sl_cookie_checker *c, const void *msg, size_t len, uint32_t sender,
		     const struct sl_endpoint *src, uint64_t now_ns, const struct sl_rng *rng,
		     struct sl_msg_cookie *out);

/** Fill mac1, and mac2 where a cookie younger than 120 - 5 s is known, of a message that we send.
 */
void sl_cookie_mac(struct sl_cookie_maker *m, void *msg, size_t len, uint64_t now_ns);
/**
 * Take a cookie reply that answers our last mac1; each message of ours takes one.
 * @return 0, -EBADMSG, -EINVAL (no message of ours is unanswered)
 */
int sl_cookie_consume(struct sl_cookie_maker *m, const struct sl_msg_cookie *reply,
		      uint64_t now_ns);

/* --- rate limiter: 20/s, burst 5 per IPv4 address or IPv6 /64 ------------------------------- */

struct sl_ratelimit;

/** @param max entries (65,536 in the gateway). @return NULL without memory. */
struct sl_ratelimit *sl_ratelimit_new(unsigned max, const uint8_t hash_key[16]);
void sl_ratelimit_free(struct sl_ratelimit *r);
/**
 * @return true if a message from this address may go on. Entries idle for > 1 s make room; a full
 * table refuses.
 */
bool sl_ratelimit_allow(struct sl_ratelimit *r, const struct sl_ip *src, uint64_t now_ns);
/** Drop entries idle for more than 1 s; at most `max_scan` looked at, the oldest first. */
void sl_ratelimit_collect(struct sl_ratelimit *r, uint64_t now_ns, unsigned max_scan);

#endif
