/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Token buckets in a chained hash table over fixed arrays. All entries hang on one list in the
 * order of their last use, so the oldest, the only one worth looking at when room is needed, is
 * always at hand.
 */
#include "sl_cookie.h"

#include <stdlib.h>

#include "sl_crypto.h"

#define PER_SECOND 20
#define BURST 5
#define COST_NS (SL_NS_PER_S / PER_SECOND)
#define FULL_NS (COST_NS * BURST)
#define IDLE_NS SL_NS_PER_S
#define NIL UINT32_MAX
#define KEY_LEN 9 /* family, then 4 bytes (and 4 zero) or the first 8 */

struct entry {
	uint8_t key[KEY_LEN];
	uint32_t chain;	       /* next of the bucket, or of the free list */
	uint32_t older, newer; /* list by last use */
	uint64_t tokens_ns;
	uint64_t last_ns;
};

struct sl_ratelimit {
	uint8_t hash_key[16];
	uint32_t mask; /* number of buckets - 1 */
	uint32_t free, oldest, newest;
	uint32_t *bucket;
	struct entry *entry;
};

struct sl_ratelimit *
sl_ratelimit_new(unsigned max, const uint8_t hash_key[16])
{
	struct sl_ratelimit *r;
	uint32_t buckets = 1;

	if (max == 0 || max > 1u << 28)
		return NULL;
	while (buckets < max)
		buckets <<= 1;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->bucket = malloc(buckets * sizeof(*r->bucket));
	r->entry = calloc(max, sizeof(*r->entry));
	if (!r->bucket || !r->entry) {
		sl_ratelimit_free(r);
		return NULL;
	}
	memcpy(r->hash_key, hash_key, sizeof(r->hash_key));
	memset(r->bucket, 0xff, buckets * sizeof(*r->bucket));
	r->mask = buckets - 1;
	r->oldest = NIL;
	r->newest = NIL;
	for (unsigned i = 0; i < max; i++)
		r->entry[i].chain = i + 1 < max ? i + 1 : NIL;
	return r;
}

void
sl_ratelimit_free(struct sl_ratelimit *r)
{
	if (!r)
		return;
	free(r->bucket);
	free(r->entry);
	sl_wipe(r, sizeof(*r));
	free(r);
}

static uint32_t *
bucket_of(struct sl_ratelimit *r, const uint8_t key[KEY_LEN])
{
	return &r->bucket[sl_siphash(r->hash_key, key, KEY_LEN) & r->mask];
}

static void
unlink_use(struct sl_ratelimit *r, struct entry *e)
{
	*(e->older == NIL ? &r->oldest : &r->entry[e->older].newer) = e->newer;
	*(e->newer == NIL ? &r->newest : &r->entry[e->newer].older) = e->older;
}

static void
link_newest(struct sl_ratelimit *r, uint32_t i)
{
	struct entry *e = &r->entry[i];

	e->older = r->newest;
	e->newer = NIL;
	*(e->older == NIL ? &r->oldest : &r->entry[e->older].newer) = i;
	r->newest = i;
}

/* Forget the oldest entry if it was idle for more than a second. */
static bool
drop_oldest(struct sl_ratelimit *r, uint64_t now_ns)
{
	uint32_t i = r->oldest, *at;
	struct entry *e;

	if (i == NIL)
		return false;
	e = &r->entry[i];
	if (now_ns < e->last_ns || now_ns - e->last_ns <= IDLE_NS)
		return false;
	for (at = bucket_of(r, e->key); *at != i; at = &r->entry[*at].chain)
		;
	*at = e->chain;
	unlink_use(r, e);
	e->chain = r->free;
	r->free = i;
	return true;
}

static bool
add(struct sl_ratelimit *r, const uint8_t key[KEY_LEN], uint64_t now_ns)
{
	uint32_t i, *head = bucket_of(r, key);
	struct entry *e;

	if (r->free == NIL && !drop_oldest(r, now_ns))
		return false;
	i = r->free;
	e = &r->entry[i];
	r->free = e->chain;
	memcpy(e->key, key, KEY_LEN);
	e->chain = *head;
	*head = i;
	e->tokens_ns = FULL_NS - COST_NS;
	e->last_ns = now_ns;
	link_newest(r, i);
	return true;
}

static bool
take(struct sl_ratelimit *r, uint32_t i, uint64_t now_ns)
{
	struct entry *e = &r->entry[i];
	uint64_t earned = now_ns > e->last_ns ? now_ns - e->last_ns : 0;

	e->tokens_ns = SL_MIN(FULL_NS, e->tokens_ns + SL_MIN(earned, FULL_NS));
	e->last_ns = SL_MAX(e->last_ns, now_ns);
	unlink_use(r, e);
	link_newest(r, i);
	if (e->tokens_ns < COST_NS)
		return false;
	e->tokens_ns -= COST_NS;
	return true;
}

bool
sl_ratelimit_allow(struct sl_ratelimit *r, const struct sl_ip *src, uint64_t now_ns)
{
	uint8_t key[KEY_LEN] = {src->family};
	uint32_t i;

	if (src->family == 4)
		memcpy(key + 1, src->b, 4);
	else if (src->family == 6)
		memcpy(key + 1, src->b, 8);
	else
		return false;
	for (i = *bucket_of(r, key); i != NIL; i = r->entry[i].chain) {
		if (memcmp(r->entry[i].key, key, KEY_LEN) == 0)
			return take(r, i, now_ns);
	}
	return add(r, key, now_ns);
}

void
sl_ratelimit_collect(struct sl_ratelimit *r, uint64_t now_ns, unsigned max_scan)
{
	while (max_scan-- > 0 && drop_oldest(r, now_ns))
		;
}
