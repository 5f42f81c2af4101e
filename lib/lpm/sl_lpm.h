/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Longest-prefix match over IPv4 or IPv6 as a persistent (copy-on-write) trie.
 *
 * A `struct sl_lpm` is a value: one immutable version of the table; all zero bytes after
 * sl_lpm_init() mean an empty one. Readers on any lcore look up in a version they hold, without
 * locks, for as long as its nodes live (one RCU read side). One writer per table derives the next
 * version with sl_lpm_set() and sl_lpm_del(), which copy the nodes on the path and share the rest.
 * Nodes that the new version no longer uses go to the writer's `struct sl_lpm_garbage`; they are
 * freed after every reader has left the old version.
 *
 * An edit session lasts from the first set or del through a garbage list until that list is
 * sealed, moved or freed. Nodes made in the session are private to the newest version (the draft)
 * and are reused or freed at once, so a thousand changes before one publication cost little. Hence:
 * inside a session only the newest draft and the version from which the session started are valid;
 * publish the draft only after sl_lpm_seal() or sl_lpm_garbage_move(). One list may serve the
 * drafts of several tables.
 *
 * Shape: a tree bitmap (Eatherton, Varghese, Dittia: "Tree bitmap: hardware/software IP lookups
 * with incremental updates", 2004) of stride 6 with compressed paths. A node is one cache line;
 * the children of a node and its values lie together in one block. The shape depends on the set
 * of prefixes alone, not on the order of changes.
 *
 * Addresses are 4 or 16 bytes in network order. No DPDK; memory comes from malloc().
 */
#ifndef SL_LPM_H
#define SL_LPM_H

#include "sl_base.h"

#define SL_LPM_NONE UINT32_MAX /* no prefix matches; never a stored value */

struct sl_lpm_node {
	uint64_t child_bm; /* which of the 64 next paths have a child node */
	uint64_t cover_bm; /* which of them match some prefix of this node */
	uint64_t key_hi;   /* the path to this node, zeros below it; IPv4 in key_lo alone */
	uint64_t key_lo;
	uint8_t *block;	   /* children, values, trailer; NULL: the one value is inline */
	uint64_t exact_bm; /* prefixes that end 6 bits below the node */
	uint64_t inner_bm; /* prefixes that end 1-5 bits below: bit (1 << n | path of n bits) */
	uint32_t value;	   /* the only value of a node without a block */
	uint8_t shift;	   /* position of the lowest of the node's 6 bits */
	uint8_t pad[3];
} SL_ALIGNED(SL_CACHE_LINE);
_Static_assert(sizeof(struct sl_lpm_node) == SL_CACHE_LINE, "a node is one cache line");

struct sl_lpm {
	const struct sl_lpm_node *root; /* NULL: empty */
	uint32_t count;			/* prefixes */
	uint8_t bits;			/* 32 or 128 */
};

struct sl_lpm_trailer;

/** Nodes that the newest version no longer uses, and the edit session. All zero: empty, closed. */
struct sl_lpm_garbage {
	struct sl_lpm_trailer *head;
	struct sl_lpm_trailer *tail;
	uint64_t session; /* 0: closed */
	uint32_t blocks;
};

/** Make an empty table. @param bits 32 or 128 */
void sl_lpm_init(struct sl_lpm *t, unsigned bits);

/**
 * Derive a version in which addr/len has `value`; an equal prefix is replaced, host bits are
 * ignored.
 * @param next may be `old` itself
 * @param value anything but SL_LPM_NONE
 * @return 0; -EINVAL (len too long or value SL_LPM_NONE); -ENOMEM: old and g are unchanged
 */
int sl_lpm_set(const struct sl_lpm *old, struct sl_lpm *next, const uint8_t *addr, unsigned len,
	       uint32_t value, struct sl_lpm_garbage *g);

/**
 * Derive a version without addr/len.
 * @return 0; -EINVAL; -ENOENT (next is then equal to old); -ENOMEM: old and g are unchanged
 */
int sl_lpm_del(const struct sl_lpm *old, struct sl_lpm *next, const uint8_t *addr, unsigned len,
	       struct sl_lpm_garbage *g);

/** Value of exactly addr/len, or SL_LPM_NONE. */
uint32_t sl_lpm_get(const struct sl_lpm *t, const uint8_t *addr, unsigned len);

/** As sl_lpm_lookup(), and tells the length of the prefix that matched. @param len may be NULL */
uint32_t sl_lpm_match(const struct sl_lpm *t, const uint8_t *addr, unsigned *len);

/** Does the table hold a prefix that contains addr/len or lies inside it? Host bits are ignored. */
bool sl_lpm_overlaps(const struct sl_lpm *t, const uint8_t *addr, unsigned len);

/** @return how many of its last bits do not matter: each address that has the others of this one
 * has the same answer. At most t->bits; more may not matter than it says */
unsigned sl_lpm_alike(const struct sl_lpm *t, const uint8_t *addr);

/**
 * Look up n addresses, each in its own table (all of the same width), several at a time so that
 * memory latencies overlap.
 * @param t table of each address; @param out value or SL_LPM_NONE of each
 */
void sl_lpm_lookup_burst(const struct sl_lpm *const t[], const uint8_t *const addr[],
			 uint32_t out[], unsigned n);

/** @return 0 to go on, anything else ends the walk. */
typedef int (*sl_lpm_walk_cb)(void *ctx, const uint8_t *addr, unsigned len, uint32_t value);

/**
 * Visit all prefixes in ascending order of address, shorter before longer.
 * @return 0, or what the callback returned
 */
int sl_lpm_walk(const struct sl_lpm *t, sl_lpm_walk_cb cb, void *ctx);

/** Bytes of memory that this version reaches, without the overhead of malloc(). */
size_t sl_lpm_bytes(const struct sl_lpm *t);

/** Free every node of a version and make it empty; no version that shares nodes may live on. */
void sl_lpm_free(struct sl_lpm *t);

/** End the session: the draft becomes immutable and may be published. The list is kept. */
void sl_lpm_seal(struct sl_lpm_garbage *g);

/**
 * Throw a draft away: free the nodes that this session made for it and make it equal to `base`.
 * After all drafts of the session are discarded, sl_lpm_garbage_forget() ends it.
 * @param base the version from which the session started
 */
void sl_lpm_discard(struct sl_lpm *draft, const struct sl_lpm *base, struct sl_lpm_garbage *g);

/** Empty the list without freeing (its nodes still belong to the base version); seals. */
void sl_lpm_garbage_forget(struct sl_lpm_garbage *g);

/** Append all of `from` to `to` and seal `from`. `to` may be a plain holder for deferred freeing.
 */
void sl_lpm_garbage_move(struct sl_lpm_garbage *to, struct sl_lpm_garbage *from);

/** Free the listed nodes; the caller has waited for the readers. Seals. */
void sl_lpm_garbage_free(struct sl_lpm_garbage *g);

/** Value of the longest prefix of this node that covers path `idx`; cover_bm has that bit. */
uint32_t sl_lpm_node_value(const struct sl_lpm_node *n, unsigned idx);

/** The child at path idx; meaningless without that bit in child_bm. */
static inline const struct sl_lpm_node *
sl_lpm_node_child(const struct sl_lpm_node *n, unsigned idx)
{
	uint64_t below = n->child_bm & ((UINT64_C(1) << idx) - 1);
	uintptr_t at = (unsigned)__builtin_popcountll(below) * sizeof(*n);

	return (const struct sl_lpm_node *)((uintptr_t)n->block + at);
}

static inline uint32_t
sl_lpm_lookup4(const struct sl_lpm *t, const uint8_t *addr)
{
	const struct sl_lpm_node *n = t->root, *best = NULL;
	uint64_t key = sl_load_be32(addr), path;
	unsigned best_idx = 0;

	while (n != NULL) {
		path = (key ^ n->key_lo) >> n->shift;
		if (path > 63)
			break;
		if (n->cover_bm >> path & 1) {
			best = n;
			best_idx = path;
		}
		if (!(n->child_bm >> path & 1))
			break;
		n = sl_lpm_node_child(n, path);
	}
	return best != NULL ? sl_lpm_node_value(best, best_idx) : SL_LPM_NONE;
}

static inline uint32_t
sl_lpm_lookup6(const struct sl_lpm *t, const uint8_t *addr)
{
	const struct sl_lpm_node *n = t->root, *best = NULL;
	uint64_t hi = sl_load_be64(addr), lo = sl_load_be64(addr + 8);
	unsigned __int128 path;
	unsigned idx, best_idx = 0;

	while (n != NULL) {
		path = (unsigned __int128)(hi ^ n->key_hi) << 64 | (lo ^ n->key_lo);
		path >>= n->shift;
		if (path > 63)
			break;
		idx = (unsigned)path;
		if (n->cover_bm >> idx & 1) {
			best = n;
			best_idx = idx;
		}
		if (!(n->child_bm >> idx & 1))
			break;
		n = sl_lpm_node_child(n, idx);
	}
	return best != NULL ? sl_lpm_node_value(best, best_idx) : SL_LPM_NONE;
}

/** Value of the longest prefix that contains the address, or SL_LPM_NONE. Any lcore. */
static inline uint32_t
sl_lpm_lookup(const struct sl_lpm *t, const uint8_t *addr)
{
	return t->bits == 32 ? sl_lpm_lookup4(t, addr) : sl_lpm_lookup6(t, addr);
}

#endif
