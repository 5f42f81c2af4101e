/* SPDX-License-Identifier: BSD-3-Clause */
/* The objects of one kind: slots for walks, a hash table for finding. */
#ifndef SL_REPLICA_INT_H
#define SL_REPLICA_INT_H

#include "sl_replica.h"

/** An object in one allocation: behind it its text, id and scope, each with a zero. */
struct replica_obj {
	uint64_t rev;
	uint8_t hash[SL_HASH_LEN];
	uint32_t key; /* hash of the id, for the table */
	uint32_t len; /* of the text */
	uint8_t id_len;
	char text[];
};

static inline const char *
replica_id(const struct replica_obj *o)
{
	return o->text + o->len + 1;
}

static inline const char *
replica_scope(const struct replica_obj *o)
{
	return replica_id(o) + o->id_len + 1;
}

/** An entry of the table; slot NONE: empty. */
struct replica_entry {
	uint32_t key, slot;
};

#define REPLICA_NONE UINT32_MAX

/**
 * A slot holds an object or, with its lowest bit set, the next free slot. Objects keep their slot
 * until they are deleted, so a walk by slots sees each that stays exactly once.
 */
struct replica_set {
	uintptr_t *slot;
	uint32_t n_slots, cap, free, count;
	struct replica_entry *table; /* open addressing, a power of two, at most 3/4 full */
	uint32_t mask;
};

void replica_set_init(struct replica_set *s);
/** Frees its objects too. */
void replica_set_free(struct replica_set *s);
/** Make room for one more. @return 0 or -ENOMEM */
int replica_set_reserve(struct replica_set *s);
/** @return slot or REPLICA_NONE */
uint32_t replica_set_find(const struct replica_set *s, uint32_t key, const char *id);
/** Into a slot found, or with REPLICA_NONE a new one, for which there is room. @return the object
 * that was there */
struct replica_obj *replica_set_put(struct replica_set *s, uint32_t slot, struct replica_obj *o);
struct replica_obj *replica_set_take(struct replica_set *s, uint32_t slot);
/** The object of a slot, NULL: free. */
struct replica_obj *replica_set_at(const struct replica_set *s, uint32_t slot);
size_t replica_set_bytes(const struct replica_set *s);

#endif
