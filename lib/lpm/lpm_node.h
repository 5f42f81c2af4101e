/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Inside of the trie, shared by its reading and its writing half.
 *
 * Levels are 6 bits deep and placed so that the last one ends at the last bit of an address; the
 * first one therefore has 4 imaginary zero bits before the address. A prefix of length n ends
 * n + 4 bits down, in a slot of the one node whose 6 bits hold that end: slots 0-63 are the exact
 * ones, slot 64 + i stands for bit i of inner_bm.
 *
 * A block holds the children in order of their path, the values in order of their slot, padding
 * to 8 bytes, and the trailer. A table's root lies in a block with one child and no value.
 */
#ifndef SL_LPM_NODE_H
#define SL_LPM_NODE_H

#include "sl_lpm.h"

#define LPM_STRIDE 6
#define LPM_LEAD 4 /* imaginary bits before an address */
#define LPM_INNER 64
#define LPM_DEPTH_MAX ((128 + LPM_LEAD) / LPM_STRIDE)

typedef unsigned __int128 lpm_key;

struct sl_lpm_trailer {
	uint64_t session; /* that made the block */
	struct sl_lpm_trailer *next;
	void *base; /* what malloc() gave */
};

/** Where a prefix lives. */
struct lpm_place {
	lpm_key key;	/* host bits zero */
	unsigned shift; /* of the node */
	unsigned slot;
};

static inline uint64_t
lpm_bit(unsigned i)
{
	return UINT64_C(1) << i;
}

static inline lpm_key
lpm_node_key(const struct sl_lpm_node *n)
{
	return (lpm_key)n->key_hi << 64 | n->key_lo;
}

/** Path of a key below the node, or more than 63 if the key does not pass through it. */
static inline unsigned
lpm_path(const struct sl_lpm_node *n, lpm_key key)
{
	lpm_key path = (key ^ lpm_node_key(n)) >> n->shift;

	return path > 63 ? 64 : (unsigned)path;
}

static inline unsigned
lpm_n_children(const struct sl_lpm_node *n)
{
	return (unsigned)__builtin_popcountll(n->child_bm);
}

static inline unsigned
lpm_n_values(const struct sl_lpm_node *n)
{
	return (unsigned)__builtin_popcountll(n->exact_bm) +
	       (unsigned)__builtin_popcountll(n->inner_bm);
}

static inline struct sl_lpm_node *
lpm_children(const struct sl_lpm_node *n)
{
	return (struct sl_lpm_node *)(void *)n->block;
}

/** The values of a node with a block, or its inline one. */
static inline uint32_t *
lpm_values(const struct sl_lpm_node *n)
{
	if (n->block == NULL)
		return (uint32_t *)(uintptr_t)&n->value;
	return (uint32_t *)(void *)(n->block + lpm_n_children(n) * sizeof(*n));
}

static inline size_t
lpm_block_trailer_at(unsigned n_children, unsigned n_values)
{
	return n_children * sizeof(struct sl_lpm_node) + (n_values * sizeof(uint32_t) + 7) / 8 * 8;
}

/** Trailer of a node's block; the node has one. */
static inline struct sl_lpm_trailer *
lpm_trailer(const struct sl_lpm_node *n)
{
	size_t at = lpm_block_trailer_at(lpm_n_children(n), lpm_n_values(n));

	return (struct sl_lpm_trailer *)(void *)(n->block + at);
}

static inline bool
lpm_slot_used(const struct sl_lpm_node *n, unsigned slot)
{
	return (slot < LPM_INNER ? n->exact_bm >> slot : n->inner_bm >> (slot - LPM_INNER)) & 1;
}

/** Place of a slot's value among the values, whether it is there or not. */
static inline unsigned
lpm_value_rank(const struct sl_lpm_node *n, unsigned slot)
{
	if (slot < LPM_INNER)
		return (unsigned)__builtin_popcountll(n->exact_bm & (lpm_bit(slot) - 1));
	return (unsigned)__builtin_popcountll(n->exact_bm) +
	       (unsigned)__builtin_popcountll(n->inner_bm & (lpm_bit(slot - LPM_INNER) - 1));
}

/** Place of a path's child among the children, whether it is there or not. */
static inline unsigned
lpm_child_rank(const struct sl_lpm_node *n, unsigned idx)
{
	return (unsigned)__builtin_popcountll(n->child_bm & (lpm_bit(idx) - 1));
}

/** A node above the root, so that the root is a child like any other. */
static inline struct sl_lpm_node
lpm_above_root(const struct sl_lpm *t)
{
	struct sl_lpm_node n = {.child_bm = t->root != NULL,
				.block = (uint8_t *)(uintptr_t)t->root};

	return n;
}

lpm_key lpm_key_load(unsigned bits, const uint8_t *addr);
void lpm_key_store(unsigned bits, lpm_key key, uint8_t *addr);

/** @return false if len is too long */
bool lpm_place_of(unsigned bits, const uint8_t *addr, unsigned len, struct lpm_place *p);

/** The paths that a slot's prefix covers. */
uint64_t lpm_slot_cover(unsigned slot);

#endif
