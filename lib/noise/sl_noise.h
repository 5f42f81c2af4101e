/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The Noise_IKpsk2 handshake of WireGuard (paper section 5.4) as a state machine that knows no
 * network, no clock and no random source: ephemerals, timestamps and indexes are arguments.
 *
 * Used by the hs lcore alone; nothing here is locked. mac1/mac2 are lib/cookie's: create functions
 * leave those fields zero, consume functions do not look at them.
 */
#ifndef SL_NOISE_H
#define SL_NOISE_H

#include "sl_base.h"
#include "sl_secret.h"
#include "sl_wire.h"

/** Identity of an interface. Lives in guarded memory of its owner; sl_noise_local_clear() wipes it.
 */
struct sl_noise_local {
	bool has_key;
	struct sl_secret sk; /* clamped */
	struct sl_pubkey pk;
};

enum sl_noise_state {
	SL_NOISE_ZERO,
	SL_NOISE_SENT_INITIATION,     /* initiator waits for the response */
	SL_NOISE_CONSUMED_INITIATION, /* responder, before its response */
	SL_NOISE_DONE,		      /* keys can be derived once with sl_noise_begin() */
};

/** One handshake in progress (chaining key, hash, ephemerals). */
struct sl_noise_hs {
	enum sl_noise_state state;
	bool initiator;
	uint32_t local_index, remote_index;
	struct sl_secret eph_sk;
	struct sl_pubkey remote_eph;
	uint8_t ck[32], h[32];
};

/** The remote side: static key, static-static secret (computed at first use), PSK, replay state. */
struct sl_noise_peer {
	struct sl_pubkey remote;
	struct sl_secret psk; /* all zero: none */
	struct sl_secret ss;  /* DH(static, static) */
	bool ss_ready;
	bool ss_bad;			     /* low-order public key: no handshake is possible */
	uint8_t last_ts[SL_TAI64N_LEN];	     /* greatest timestamp accepted */
	uint8_t last_sent_ts[SL_TAI64N_LEN]; /* greatest timestamp sent */
	struct sl_noise_hs hs;
};

/** Transport keys of a finished handshake. The caller wipes it. */
struct sl_noise_keys {
	struct sl_secret send, recv;
	uint32_t local_index, remote_index;
	bool initiator;
};

/** Set the private key (clamped) and derive the public one; NULL or all zero removes it. */
void sl_noise_local_set(struct sl_noise_local *l, const struct sl_secret *sk);
void sl_noise_local_clear(struct sl_noise_local *l);

void sl_noise_peer_init(struct sl_noise_peer *p, const struct sl_pubkey *remote,
			const struct sl_secret *psk);
/** Forget a handshake in progress and the cached static-static secret (the local key changed). */
void sl_noise_peer_rekey_local(struct sl_noise_peer *p);
void sl_noise_hs_clear(struct sl_noise_hs *hs);
/** Wipe everything secret of the peer, PSK included. */
void sl_noise_peer_clear(struct sl_noise_peer *p);

/**
 * Make an initiation. The timestamp used is max(`wall`, last sent + 1) (TAI64N, D33).
 * @param eph random 32 bytes (clamped inside; the caller wipes its copy)
 * @return 0, -ENOKEY (no local key), -EKEYREJECTED (low-order remote key)
 */
int sl_noise_create_initiation(const struct sl_noise_local *l, struct sl_noise_peer *p,
			       uint32_t local_index, const struct sl_secret *eph,
			       const uint8_t wall[SL_TAI64N_LEN], struct sl_msg_initiation *out);

/** Scratch between the two halves of consuming an initiation; wipe with sl_noise_rx_clear(). */
struct sl_noise_rx {
	struct sl_pubkey remote; /* decrypted static key: look the peer up by it */
	struct sl_pubkey remote_eph;
	uint8_t ck[32], h[32];
	uint32_t remote_index;
};
void sl_noise_rx_clear(struct sl_noise_rx *rx);

/** First half: decrypt the sender's static key. @return 0, -ENOKEY, -EBADMSG. */
int sl_noise_consume_initiation(const struct sl_noise_local *l, const struct sl_msg_initiation *m,
				struct sl_noise_rx *rx);
/**
 * Second half: authenticate the timestamp and replace the peer's handshake. `p->remote` must equal
 * rx->remote.
 * @return 0, -EBADMSG (not authentic), -EALREADY (timestamp not greater than the last),
 * -EKEYREJECTED
 */
int sl_noise_accept_initiation(const struct sl_noise_local *l, struct sl_noise_peer *p,
			       const struct sl_msg_initiation *m, const struct sl_noise_rx *rx);
/** Make the response of a consumed initiation; the state becomes DONE. @return 0, -EINVAL (wrong
 * state), -EKEYREJECTED. */
int sl_noise_create_response(const struct sl_noise_local *l, struct sl_noise_peer *p,
			     uint32_t local_index, const struct sl_secret *eph,
			     struct sl_msg_response *out);
/**
 * Consume the response to our initiation; the state becomes DONE. On any error the handshake is as
 * before.
 * @return 0, -EINVAL (no pending initiation or another index), -EBADMSG, -EKEYREJECTED
 */
int sl_noise_consume_response(const struct sl_noise_local *l, struct sl_noise_peer *p,
			      const struct sl_msg_response *m);
/** Derive the transport keys of a DONE handshake and clear it. @return 0 or -EINVAL. */
int sl_noise_begin(struct sl_noise_peer *p, struct sl_noise_keys *out);

#endif
