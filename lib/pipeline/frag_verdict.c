/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Later fragments go with the flow of their first one (D8): a small table leads from the addresses
 * and the number of a fragmented packet to that flow's key. Its verdict is then asked as for any
 * packet, so a fragment never passes by a verdict that has been revoked.
 *
 * Sets of four; a new packet takes the place of the oldest one in its set.
 */
#include <rte_malloc.h>

#include "flow_int.h"
#include "sl_hash.h"

#define WAYS 4
#define SETS 256 /* 1,024 packets in pieces at a time */
#define KEEP_TICKS (30 * SL_SECOND_TICKS)

/** A packet in pieces (RFC 791, RFC 8200 4.5). */
struct frag_key {
	uint8_t src[16], dst[16];
	uint32_t id;
	uint16_t iface;
	uint8_t proto; /* IPv6: 0, as not all its fragments name the upper protocol */
	uint8_t version;
	uint8_t pad[8];
};
_Static_assert(sizeof(struct frag_key) == SL_HASH_WORDS * sizeof(uint64_t), "hashed whole");

struct frag {
	struct frag_key key; /* version 0: free */
	struct sl_flow_key flow;
	uint32_t tick;
	uint8_t side;
};

struct frag_table {
	struct sl_hash_key hash;
	struct frag frag[SETS][WAYS];
};

void *
sl_frag_table_new(const uint64_t hash_key[2])
{
	struct frag_table *t = rte_zmalloc(NULL, sizeof(*t), SL_CACHE_LINE);

	if (t != NULL)
		sl_hash_key_init(&t->hash, hash_key);
	return t;
}

static struct frag *
set_of(struct sl_authz *a, unsigned i, struct frag_key *k)
{
	const struct sl_meta *meta = sl_meta(a->m[i]);
	struct frag_table *t = a->w->frags;
	size_t n = meta->version == 4 ? 4 : 16;

	memset(k, 0, sizeof(*k));
	memcpy(k->src, sl_pkt_src(a->m[i]), n);
	memcpy(k->dst, sl_pkt_dst(a->m[i]), n);
	k->id = meta->frag_id;
	k->iface = meta->iface_id;
	k->proto = meta->version == 4 ? meta->proto : 0;
	k->version = meta->version;
	return t->frag[sl_hash(&t->hash, k, SL_HASH_WORDS) % SETS];
}

void
sl_frag_put(struct sl_authz *a, unsigned i)
{
	struct frag *set, *to;
	struct frag_key k;
	unsigned n;

	set = to = set_of(a, i, &k);
	for (n = 0; n < WAYS; n++) {
		if (memcmp(&set[n].key, &k, sizeof(k)) == 0) {
			to = &set[n];
			break;
		}
		if (to->key.version != 0 &&
		    (set[n].key.version == 0 || (int32_t)(set[n].tick - to->tick) < 0))
			to = &set[n];
	}
	*to = (struct frag){.key = k, .flow = a->key[i], .tick = a->w->tick, .side = a->side[i]};
}

bool
sl_frag_find(struct sl_authz *a, unsigned i)
{
	struct frag_key k;
	struct frag *set = set_of(a, i, &k);
	unsigned n;

	for (n = 0; n < WAYS; n++) {
		if (memcmp(&set[n].key, &k, sizeof(k)) != 0)
			continue;
		if (a->w->tick - set[n].tick >= KEEP_TICKS)
			return false;
		a->key[i] = set[n].flow;
		a->side[i] = set[n].side;
		return true;
	}
	return false;
}
