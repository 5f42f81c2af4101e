/* SPDX-License-Identifier: BSD-3-Clause */
#include "arena.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "sl_log.h"
#include "sl_secret.h"
#include "sl_session.h"

#define SLAB_BYTES (32U << 10)
#define CHUNK_HUGE_BYTES (2U << 20)
#define CHUNK_BYTES (256U << 10)
#define MAP_2MIB (MAP_HUGETLB | 21 << 26) /* MAP_HUGE_2MB of <linux/mman.h> */
#define ROUND_UP(n, to) (((n) + (to)-1) / (to) * (to))

/* whole lines: the windows of two workers never share one */
static const size_t object_bytes[SL_ARENA_KINDS] = {
	[SL_ARENA_KEYPAIR] = sizeof(struct sl_keypair),
	[SL_ARENA_WINDOW] = ROUND_UP(sizeof(struct sl_replay), SL_CACHE_LINE),
};
_Static_assert(sizeof(struct sl_keypair) % SL_CACHE_LINE == 0, "objects start on a line");

void
sl_arena_init(struct sl_arena *a, bool hugepages, bool allow_unlocked)
{
	memset(a, 0, sizeof(*a));
	a->hugepages = hugepages;
	a->allow_unlocked = allow_unlocked;
}

/** Keep a chunk out of dumps and out of children. @return 0 or -errno. */
static int
protect(void *p, size_t n)
{
	if (madvise(p, n, MADV_DONTDUMP) != 0)
		return -errno;
	/* hugetlb mappings cannot be wiped in the child; there the child does not get them at all
	 */
	if (madvise(p, n, MADV_WIPEONFORK) != 0 && madvise(p, n, MADV_DONTFORK) != 0)
		return -errno;
	return 0;
}

static void *
map_huge(struct sl_arena *a)
{
	void *p;

	if (!a->hugepages)
		return NULL;
	p = mmap(NULL, CHUNK_HUGE_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_2MIB, -1, 0);
	if (p != MAP_FAILED)
		return p;
	sl_log(SL_LOG_WARN, "session",
	       "no free 2 MiB hugepage for the key arena (%s): normal pages from here on",
	       strerror(errno));
	a->hugepages = false;
	return NULL;
}

/** Lock normal pages. @return 0, or -errno where the arena must not go on without. */
static int
lock_chunk(struct sl_arena *a, struct sl_arena_chunk *c, struct sl_error *e)
{
	int err;

	if (mlock(c->p, c->bytes) == 0) {
		atomic_fetch_add_explicit(&a->locked_bytes, c->bytes, memory_order_relaxed);
		return 0;
	}
	err = -errno;
	if (!a->allow_unlocked) {
		sl_fail(e, err, "key_memory_unlocked", NULL,
			"cannot lock the memory of the session keys: %s", strerror(-err));
		sl_hint(e, "raise the limit of locked memory (ulimit -l, LimitMEMLOCK=), provide "
			   "2 MiB hugepages, or set allow_unlocked_keys = true");
		return err;
	}
	if (!a->warned_lock)
		sl_log(SL_LOG_WARN, "session",
		       "session keys lie in memory that is not locked and may be swapped out: %s",
		       strerror(-err));
	a->warned_lock = true;
	return 0;
}

static int
map_chunk(struct sl_arena *a, struct sl_arena_chunk *c, struct sl_error *e)
{
	int err;

	c->bytes = CHUNK_HUGE_BYTES;
	c->p = map_huge(a);
	if (c->p != NULL) {
		atomic_fetch_add_explicit(&a->huge_bytes, c->bytes, memory_order_relaxed);
		atomic_fetch_add_explicit(&a->locked_bytes, c->bytes, memory_order_relaxed);
		return 0;
	}
	c->bytes = CHUNK_BYTES;
	c->p = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->p == MAP_FAILED)
		return sl_fail(e, -ENOMEM, "no_memory", NULL, "no memory for the session keys: %s",
			       strerror(errno));
	err = lock_chunk(a, c, e);
	if (err != 0)
		munmap(c->p, c->bytes);
	return err;
}

static int
room_for_chunk(struct sl_arena *a)
{
	unsigned cap = SL_MAX(16U, 2 * a->cap_chunks);
	void *p;

	if (a->n_chunks < a->cap_chunks)
		return 0;
	p = realloc(a->chunks, cap * sizeof(*a->chunks));
	if (p == NULL)
		return -ENOMEM;
	a->chunks = p;
	a->cap_chunks = cap;
	return 0;
}

static int
grow(struct sl_arena *a, struct sl_error *e)
{
	struct sl_arena_chunk c;
	int err;

	if (room_for_chunk(a) != 0)
		return sl_fail(e, -ENOMEM, "no_memory", NULL, "no memory for the session keys");
	err = map_chunk(a, &c, e);
	if (err != 0)
		return err;
	a->chunks[a->n_chunks++] = c;
	atomic_fetch_add_explicit(&a->bytes, c.bytes, memory_order_relaxed);
	err = protect(c.p, c.bytes);
	if (err != 0)
		return sl_fail(e, err, "key_memory_exposed", NULL,
			       "cannot keep the session keys out of core dumps and children: %s",
			       strerror(-err));
	a->slab = c.p;
	a->slab_end = c.p + c.bytes;
	return 0;
}

static int
add_slab(struct sl_arena *a, enum sl_arena_kind kind, struct sl_error *e)
{
	size_t n, size = object_bytes[kind];
	uint8_t *p;
	int err;

	if (a->slab == a->slab_end) {
		err = grow(a, e);
		if (err != 0)
			return err;
	}
	p = a->slab;
	a->slab += SLAB_BYTES;
	/* the lowest address comes out first */
	for (n = SLAB_BYTES / size; n > 0; n--) {
		struct sl_arena_free *f = (struct sl_arena_free *)(p + (n - 1) * size);

		f->next = a->free[kind];
		a->free[kind] = f;
	}
	return 0;
}

int
sl_arena_reserve(struct sl_arena *a, unsigned n, struct sl_error *e)
{
	unsigned kind, slabs, per_slab;
	int err;

	for (kind = 0; kind < SL_ARENA_KINDS; kind++) {
		per_slab = (unsigned)(SLAB_BYTES / object_bytes[kind]);
		for (slabs = ROUND_UP(n, per_slab) / per_slab; slabs > 0; slabs--) {
			err = add_slab(a, kind, e);
			if (err != 0)
				return err;
		}
	}
	return 0;
}

void *
sl_arena_get(struct sl_arena *a, enum sl_arena_kind kind)
{
	struct sl_error e = {0};
	struct sl_arena_free *f;

	if (a->free[kind] == NULL && add_slab(a, kind, &e) != 0) {
		sl_log(SL_LOG_ERR, "session", "%s", e.message);
		return NULL;
	}
	f = a->free[kind];
	a->free[kind] = f->next;
	f->next = NULL;
	return f;
}

void
sl_arena_put(struct sl_arena *a, enum sl_arena_kind kind, void *obj)
{
	struct sl_arena_free *f = obj;

	sl_wipe(obj, object_bytes[kind]);
	f->next = a->free[kind];
	a->free[kind] = f;
}

void
sl_arena_fini(struct sl_arena *a)
{
	unsigned i;

	for (i = 0; i < a->n_chunks; i++) {
		sl_wipe(a->chunks[i].p, a->chunks[i].bytes);
		munmap(a->chunks[i].p, a->chunks[i].bytes);
	}
	free(a->chunks);
	sl_arena_init(a, false, false);
}
