/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the numbers of a record are called: rules, roles, targets and zones by policy generation,
 * peers and interfaces by id. Control writes, the drain reads, both under the lock of the caller.
 */
#ifndef SL_DRAIN_NAMES_H
#define SL_DRAIN_NAMES_H

#include "sl_polset.h"
#include "sl_secret.h"

/* A record may come after many more policies. Tables that are equal, of whichever generations, are
 * there once, and of those of 8 MiB at least 16 generations. */
#define SL_NAMES_GENERATIONS 1024
#define SL_NAMES_GENERATIONS_MIN 16
#define SL_NAMES_BYTES ((size_t)8 << 20)
#define SL_NAMES_BUCKETS 256
#define SL_NAMES_IFACES 4096
#define SL_NAMES_PEERS (1U << 20)
#define SL_NAMES_PEER_NAME 64
#define SL_NAMES_KEPT_NS (60 * UINT64_C(1000000000)) /* a peer's name after the peer */

struct sl_names_rule {
	uint32_t id;
	uint16_t role;
	uint32_t log; /* as in the model */
};

struct sl_names_zone {
	uint8_t type; /* enum sl_pol_zone_type */
	char name[SL_POL_NAME];
};

/** A table of one or more generations; control's alone but for what it holds. */
struct sl_names_table {
	struct sl_names_table *next; /* of its bucket */
	uint64_t hash;
	size_t bytes; /* of data */
	unsigned uses;
	_Alignas(8) unsigned char data[];
};

enum sl_names_kind {
	SL_NAMES_RULES,
	SL_NAMES_ROLES,
	SL_NAMES_TARGETS,
	SL_NAMES_ZONES,
	SL_NAMES_TABLES,
};

struct sl_names_policy {
	uint64_t generation;
	uint32_t version;
	uint32_t n_rules;
	uint16_t n_roles, n_targets, n_zones;
	struct sl_names_table *table[SL_NAMES_TABLES];
	const struct sl_names_rule *rules; /* in table[] */
	const struct sl_polset_name *roles, *targets;
	const struct sl_names_zone *zones;
};

struct sl_names_peer {
	uint32_t id;
	uint16_t iface;
	bool gone;
	uint64_t gone_ns;
	struct sl_names_peer *next_gone;
	char name[SL_NAMES_PEER_NAME];
	char key[SL_KEY_B64_LEN + 1];
};

struct sl_names {
	struct sl_names_policy *policy[SL_NAMES_GENERATIONS]; /* newest first */
	uint32_t generation[SL_NAMES_GENERATIONS];	      /* low halves */
	unsigned n_policies;
	struct sl_names_table *bucket[SL_NAMES_BUCKETS]; /* control's, as `bytes` */
	size_t bytes;
	char iface[SL_NAMES_IFACES][SL_POL_IFACE];
	struct sl_names_peer **page[SL_NAMES_PEERS / 1024];
	struct sl_names_peer *gone_first, **gone_last; /* in order of their time */
};

struct sl_names *sl_names_new(void);
void sl_names_free(struct sl_names *n);

/** A copy of a set's names, as far as no other generation has them. Control's thread; no lock is
 * needed. @return NULL without memory */
struct sl_names_policy *sl_names_policy_new(struct sl_names *n, const struct sl_polset *s);
/** Enter it: sl_names_policy_old() has made room. */
void sl_names_policy_add(struct sl_names *n, struct sl_names_policy *p);
/** Where one too many is there for another one to be entered: take the oldest off. @return it, for
 * sl_names_policy_free(), then ask again; NULL: there is room */
struct sl_names_policy *sl_names_policy_old(struct sl_names *n);
/** Control's thread; no lock is needed. NULL allowed. */
void sl_names_policy_free(struct sl_names *n, struct sl_names_policy *p);
/** @param generation low half, as records have it. @return NULL: not known */
const struct sl_names_policy *sl_names_policy_find(const struct sl_names *n, uint32_t generation);

/** @return 0, -EINVAL (id or name too large) */
int sl_names_iface_set(struct sl_names *n, uint16_t id, const char *name);
/** @return "" if not known */
const char *sl_names_iface(const struct sl_names *n, uint16_t id);

/** @param name NULL: the peer is gone. @return 0, -ENOMEM, -EINVAL */
int sl_names_peer_set(struct sl_names *n, uint32_t id, uint16_t iface, const char *name,
		      const struct sl_pubkey *key, uint64_t now_ns);
const struct sl_names_peer *sl_names_peer(const struct sl_names *n, uint32_t id);
/** Forget peers that are gone for longer than SL_NAMES_KEPT_NS. */
void sl_names_tidy(struct sl_names *n, uint64_t now_ns);

#endif
