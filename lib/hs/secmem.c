/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>
#include <sys/mman.h>

#include "hs_priv.h"
#include "sl_log.h"

static int
refused(bool allow, struct sl_error *e)
{
	if (allow) {
		sl_log(SL_LOG_WARN, "hs", "keys of the handshake plane are not locked in memory");
		return 0;
	}
	sl_fail(e, -EPERM, "keys_unlocked", "", "memory for handshake keys cannot be locked");
	sl_hint(e, "raise the limit of locked memory (LimitMEMLOCK=infinity) or set "
		   "allow_unlocked_keys");
	return -EPERM;
}

/*
 * The whole region is reserved and locked at once, while the process still may: its pages are
 * locked when they are first touched, and count only then.
 */
int
hs_pool_init(struct hs_pool *pool, unsigned max, bool allow_unlocked, struct sl_error *e)
{
	size_t size = (size_t)max * sizeof(struct hs_peer);
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	memset(pool, 0, sizeof(*pool));
	if (base == MAP_FAILED)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no address space for %u peers", max);
	pool->base = base;
	pool->max = max;
	madvise(base, size, MADV_DONTDUMP);
	madvise(base, size, MADV_WIPEONFORK);
	pool->locked = mlock2(base, size, MLOCK_ONFAULT) == 0;
	return pool->locked ? 0 : refused(allow_unlocked, e);
}

void
hs_pool_fini(struct hs_pool *pool)
{
	if (pool->base == NULL)
		return;
	sl_wipe(pool->base, (size_t)pool->used * sizeof(struct hs_peer));
	munmap(pool->base, (size_t)pool->max * sizeof(struct hs_peer));
	pool->base = NULL;
}

struct hs_peer *
hs_pool_get(struct hs_pool *pool)
{
	struct hs_peer *hp = pool->free;

	if (hp != NULL) {
		pool->free = hp->queue_next;
		hp->queue_next = NULL;
		return hp;
	}
	return pool->used < pool->max ? &pool->base[pool->used++] : NULL;
}

void
hs_pool_put(struct hs_pool *pool, struct hs_peer *hp)
{
	sl_wipe(hp, sizeof(*hp));
	hp->queue_next = pool->free;
	pool->free = hp;
}

struct hs_ident *
hs_idents_new(bool allow_unlocked, struct sl_error *e)
{
	size_t size = SL_IFACE_MAX * sizeof(struct hs_ident);
	struct hs_ident *idents = sodium_malloc(size);

	if (idents == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for private keys");
		return NULL;
	}
	memset(idents, 0, size);
	/* libsodium locks, but says nothing when it could not. */
	if (mlock(idents, size) != 0 && refused(allow_unlocked, e) != 0) {
		sodium_free(idents);
		return NULL;
	}
	return idents;
}

void
hs_idents_free(struct hs_ident *idents)
{
	sodium_free(idents);
}
