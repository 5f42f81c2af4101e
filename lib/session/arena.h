/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Memory for transport keys and replay windows: locked, out of core dumps, not inherited by fork,
 * zero when it is not in use.
 *
 * The arena grows by chunks (a 2 MiB hugetlb page, or 256 KiB of locked normal pages) that are cut
 * into slabs of one kind of object. Objects go back wiped; chunks stay until the end. One writer
 * (hs); the byte counts may be read by anyone.
 */
#ifndef SL_SESSION_ARENA_H
#define SL_SESSION_ARENA_H

#include <stdatomic.h>

#include "sl_base.h"
#include "sl_error.h"

enum sl_arena_kind { SL_ARENA_KEYPAIR, SL_ARENA_WINDOW, SL_ARENA_KINDS };

struct sl_arena_free {
	struct sl_arena_free *next;
};

struct sl_arena_chunk {
	uint8_t *p;
	size_t bytes;
};

struct sl_arena {
	bool hugepages, allow_unlocked, warned_lock;
	struct sl_arena_free *free[SL_ARENA_KINDS];
	uint8_t *slab, *slab_end; /* what the newest chunk still has */
	struct sl_arena_chunk *chunks;
	unsigned n_chunks, cap_chunks;
	_Atomic uint64_t bytes, locked_bytes, huge_bytes;
};

void sl_arena_init(struct sl_arena *a, bool hugepages, bool allow_unlocked);
/** Make room for n more objects of each kind. @return 0 or negative errno with `e` filled. */
int sl_arena_reserve(struct sl_arena *a, unsigned n, struct sl_error *e);
/** @return a zeroed object that starts on a cache line, or NULL when the arena cannot grow. */
void *sl_arena_get(struct sl_arena *a, enum sl_arena_kind kind);
/** Wipe an object and keep it for the next one. */
void sl_arena_put(struct sl_arena *a, enum sl_arena_kind kind, void *obj);
/** Wipe everything and give it back. */
void sl_arena_fini(struct sl_arena *a);

#endif
