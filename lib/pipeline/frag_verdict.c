/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Later fragments go with the flow of their first one (D8): a small table leads from the addresses
 * and the number of a fragmented packet to that flow's key. Its verdict is then asked as for any
 * packet, so a fragment never passes by a verdict that has been revoked.
 *
 * Sets of four; a new packet takes the place of the oldest one in its set. Where a peer moves, what
 * leads to its flows goes with them (flow_move.c).
 */
#include <rte_malloc.h>

#include "flow_int.h"
#include "sl_hash.h"

#define WAYS 4
#define SETS (SL_FRAG_PLACES / WAYS)
#define KEEP_TICKS (30 * SL_SECOND_TICKS)

_Static_assert(sizeof(struct sl_frag_key) == SL_HASH_WORDS * sizeof(uint64_t), "hashed whole");

struct frag_table {
	struct sl_hash_key hash;
	struct sl_frag frag[SETS][WAYS];
};

void *
sl_frag_table_new(const uint64_t hash_key[2])
{
	struct frag_table *t = rte_zmalloc(NULL, sizeof(*t), SL_CACHE_LINE);

	if (t != NULL)
		sl_hash_key_init(&t->hash, hash_key);
	return t;
}

static struct sl_frag *
set_of(const struct sl_worker *w, const struct sl_frag_key *k)
{
	struct frag_table *t = w->frags;

	return t->frag[sl_hash(&t->hash, k, SL_HASH_WORDS) % SETS];
}

static void
key_of(const struct sl_authz *a, unsigned i, struct sl_frag_key *k)
{
	const struct sl_meta *meta = sl_meta(a->m[i]);
	size_t n = meta->version == 4 ? 4 : 16;

	memset(k, 0, sizeof(*k));
	memcpy(k->src, sl_pkt_src(a->m[i]), n);
	memcpy(k->dst, sl_pkt_dst(a->m[i]), n);
	k->id = meta->frag_id;
	k->iface = meta->iface_id;
	k->proto = meta->version == 4 ? meta->proto : 0;
	k->version = meta->version;
}

/** Where it is, or what makes room for it. */
static struct sl_frag *
place_for(const struct sl_worker *w, const struct sl_frag_key *k)
{
	struct sl_frag *set = set_of(w, k), *to = set;
	unsigned n;

	for (n = 0; n < WAYS; n++) {
		if (memcmp(&set[n].key, k, sizeof(*k)) == 0)
			return &set[n];
		if (to->key.version != 0 &&
		    (set[n].key.version == 0 || (int32_t)(set[n].tick - to->tick) < 0))
			to = &set[n];
	}
	return to;
}

void
sl_frag_put(struct sl_authz *a, unsigned i)
{
	struct sl_frag f = {.flow = a->key[i], .tick = a->w->tick, .side = a->side[i]};

	key_of(a, i, &f.key);
	*place_for(a->w, &f.key) = f;
}

static const struct sl_frag *
find(const struct sl_authz *a, const struct sl_frag_key *k)
{
	const struct sl_frag *set = set_of(a->w, k);
	unsigned n;

	for (n = 0; n < WAYS; n++)
		if (memcmp(&set[n].key, k, sizeof(*k)) == 0)
			return a->w->tick - set[n].tick < KEEP_TICKS ? &set[n] : NULL;
	return NULL;
}

/** It may have come with a peer that moved here lately. The burst is not looked up yet. */
static const struct sl_frag *
find_moved(struct sl_authz *a, unsigned i, const struct sl_frag_key *k)
{
	struct sl_peer *p = sl_peer_get(a->w->dp->peers, sl_meta(a->m[i])->peer_id);

	if (p == NULL || sl_peer_home(p) != a->w->id || !p->flows_came)
		return NULL;
	sl_flow_import(a->w);
	p->flows_came = 0;
	return find(a, k);
}

bool
sl_frag_find(struct sl_authz *a, unsigned i)
{
	const struct sl_frag *f;
	struct sl_frag_key k;

	key_of(a, i, &k);
	f = find(a, &k);
	if (f == NULL)
		f = find_moved(a, i, &k);
	if (f == NULL)
		return false;
	a->key[i] = f->flow;
	a->side[i] = f->side;
	return true;
}

const struct sl_frag *
sl_frag_get(const struct sl_worker *w, unsigned k)
{
	const struct frag_table *t = w->frags;
	const struct sl_frag *f = &t->frag[k / WAYS][k % WAYS];

	return f->key.version != 0 && w->tick - f->tick < KEEP_TICKS ? f : NULL;
}

void
sl_frag_take(struct sl_worker *w, const struct sl_frag *f)
{
	struct sl_frag *to = place_for(w, &f->key);

	if (memcmp(&to->key, &f->key, sizeof(f->key)) != 0 || (int32_t)(f->tick - to->tick) > 0)
		*to = *f;
}
