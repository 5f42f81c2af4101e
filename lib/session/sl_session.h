/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Keypairs (WireGuard transport sessions), the receiver index and the slot table that leads from
 * one to the other, and the locked key arena they live in.
 *
 * Writers: hs allocates, publishes, unpublishes and releases; the owner worker writes the confirmed
 * flag, the replay window and the receive side; the send counter is shared (relaxed fetch_add).
 * Readers on data lcores look a keypair up anew in each poll and never keep a pointer across polls
 * (D29).
 *
 * The receiver index is a keyed permutation of (owner 7 | slot 20 | generation 5), so that it shows
 * nothing to an outsider and leads to the owner with a shift (D30).
 */
#ifndef SL_SESSION_H
#define SL_SESSION_H

#include <stdatomic.h>

#include "sl_aead.h"
#include "sl_base.h"
#include "sl_env.h"
#include "sl_error.h"
#include "sl_noise.h"
#include "sl_replay.h"

#define SL_INDEX_OWNER_BITS 7
#define SL_INDEX_SLOT_BITS 20
#define SL_INDEX_GEN_BITS 5
#define SL_OWNER_MAX (1U << SL_INDEX_OWNER_BITS)
#define SL_PEER_ID_NONE UINT32_MAX

struct sl_peer;

/** One pair of transport keys. The first line is read-only after publish but for `confirmed`. */
struct sl_keypair {
	struct sl_peer *peer;	  /* w: hs, before publish */
	struct sl_replay *replay; /* object: w: owner */
	uint32_t local_index;	  /* ours, as on the wire (host order value of the LE field) */
	uint32_t remote_index;	  /* theirs */
	uint32_t peer_id;
	uint32_t birth_tick; /* sl_tick_of() at derivation */
	uint16_t iface_id;
	uint8_t owner; /* worker number */
	uint8_t initiator;
	_Atomic uint8_t confirmed; /* w: owner; initiator: set at install */
	uint8_t pad0[3];
	uint64_t birth_ns;
	/* keys: read-only; ipsec-mb may read 16 bytes past each */
	uint8_t recv_key[32] SL_ALIGNED(SL_CACHE_LINE);
	uint8_t send_key[32];
	uint8_t key_pad[SL_AEAD_KEY_PAD];
	/* several writers: nonces are taken with one relaxed fetch_add(n) per burst (D27) */
	_Atomic uint64_t send_counter SL_ALIGNED(SL_CACHE_LINE);
} SL_ALIGNED(SL_CACHE_LINE);

enum sl_slot_state {
	SL_SLOT_FREE,
	SL_SLOT_HANDSHAKE, /* index of a pending initiation of ours: types 2 and 3 are welcome */
	SL_SLOT_LIVE,	   /* kp is published: type 4 is welcome */
	SL_SLOT_RETIRED,   /* unpublished, waits for its grace period */
};

/** 16 bytes; w: hs. Readers load `kp` with acquire and compare kp->local_index with the packet's
 * index. */
struct sl_slot {
	_Atomic(struct sl_keypair *) kp;
	_Atomic uint32_t peer_id; /* while FREE: link of hs's queue */
	_Atomic uint8_t generation;
	_Atomic uint8_t state;
	_Atomic uint8_t owner;
	uint8_t pad;
};
_Static_assert(sizeof(struct sl_slot) == 16, "four slots a line");

struct sl_session_conf {
	unsigned owners;	  /* workers, 1..SL_OWNER_MAX */
	unsigned slots_per_owner; /* <= 2^20; memory is reserved, touched as needed */
	bool hugepages;		  /* try hugetlb pages for the key arena */
	bool allow_unlocked;	  /* go on (with a warning) where mlock is refused */
	unsigned keypairs;	  /* arena made (and locked) at once; more follows on demand */
	bool flat; /* lockstep: one index space of 2^20 slots for all owners, so that indexes do not
		      depend on the topology; slots_per_owner is not used */
	struct sl_rng rng; /* permutation key */
};

struct sl_session_table;

/**
 * Make the slot table and the first part of the key arena. Do it before privileges are dropped: the
 * limit of locked memory binds afterwards.
 * @return NULL with `e` filled: -EINVAL (number out of range), -ENOMEM, or the errno of mlock with
 * reason key_memory_unlocked
 */
struct sl_session_table *sl_session_new(const struct sl_session_conf *conf, struct sl_error *e);
/** Wipes every key. NULL is allowed. */
void sl_session_free(struct sl_session_table *t);

/** Take the permutation apart. Any lcore. */
struct sl_index {
	uint32_t owner, slot, generation;
};
struct sl_index sl_index_decode(const struct sl_session_table *t, uint32_t index);
uint32_t sl_index_encode(const struct sl_session_table *t, struct sl_index i);

/**
 * Owner worker of an index, or -1 when no live or pending slot has it. Any data lcore.
 * @param[out] state of the slot; FREE when the index is nobody's; may be NULL
 */
int sl_session_owner(const struct sl_session_table *t, uint32_t index, enum sl_slot_state *state);
/** Keypair of an index, or NULL. Valid until the caller's next quiescent report. Any data lcore. */
struct sl_keypair *sl_session_lookup(const struct sl_session_table *t, uint32_t index);
/**
 * The same in three steps, so that a burst can wait for all its cache misses at once: the slot that
 * an index leads to (NULL: it was never used), what it points to now, and whether that is the
 * keypair of the index.
 */
const struct sl_slot *sl_session_slot(const struct sl_session_table *t, uint32_t index);
static inline struct sl_keypair *
sl_slot_peek(const struct sl_slot *s)
{
	return s != NULL ? atomic_load_explicit(&s->kp, memory_order_acquire) : NULL;
}
static inline bool
sl_keypair_is(const struct sl_keypair *kp, uint32_t index)
{
	return kp != NULL && kp->local_index == index;
}
/** Peer id of a slot in state HANDSHAKE or LIVE, else SL_PEER_ID_NONE. hs. */
uint32_t sl_session_peer(const struct sl_session_table *t, uint32_t index);

/**
 * Reserve a slot (state HANDSHAKE) owned by `owner` for a peer. A slot given back rests until as
 * many others rest as are in use (at least 1,024), or until the table is full. hs only.
 * @return 0, -ENOSPC (every slot is in use) or -EINVAL (no such owner)
 */
int sl_session_reserve(struct sl_session_table *t, unsigned owner, uint32_t peer_id,
		       uint32_t *index);
/** Give an index back that never got a keypair (after a timeout or for a new one); any other index
 * is left alone. hs only. */
void sl_session_unreserve(struct sl_session_table *t, uint32_t index);
/**
 * Turn a reserved index into a live keypair with an empty replay window and publish it (release).
 * `confirmed` is set for the initiator. Copies the keys; the caller wipes `k`. hs only.
 * @return the keypair, or NULL when the arena cannot grow (the index is then free again) or the
 * index is not reserved
 */
struct sl_keypair *sl_session_publish(struct sl_session_table *t, uint32_t index,
				      struct sl_peer *peer, uint16_t iface_id,
				      const struct sl_noise_keys *k, uint64_t now_ns);
/** First half of the end: no lookup finds it any more. hs only. */
void sl_session_unpublish(struct sl_session_table *t, struct sl_keypair *kp);
/** Second half, after the owner answered and one grace period: wipe keys and window, free the slot.
 * hs only. */
void sl_session_release(struct sl_session_table *t, struct sl_keypair *kp);

struct sl_session_stats {
	uint64_t live, pending, retired; /* slots by state */
	uint64_t arena_bytes, arena_locked_bytes;
	bool hugepages; /* all of the arena is in hugetlb pages */
};
/** Any thread; each number is exact, taken one after the other. */
void sl_session_stats(const struct sl_session_table *t, struct sl_session_stats *out);

#endif
