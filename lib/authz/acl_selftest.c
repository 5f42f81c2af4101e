/* SPDX-License-Identifier: BSD-3-Clause */
#include "acl_int.h"

#define SAMPLE 512 /* entries looked at, spread over all */
#define CORNERS 12

/** One packet with its addresses. */
struct corner {
	struct sl_polset_flow f;
	uint8_t src[16], dst[16];
};

/* First or last address of a prefix, or the one before its first or behind its last. */
static void
end_of(uint8_t *to, unsigned v6, const uint64_t net[4], bool last, bool beyond)
{
	unsigned __int128 a = (unsigned __int128)net[0] << 64 | net[1];
	unsigned __int128 mask = (unsigned __int128)net[2] << 64 | net[3];

	if (!v6)
		mask |= ~(unsigned __int128)UINT32_MAX;
	if (last)
		a |= ~mask;
	if (beyond)
		a += last ? 1 : -1;
	sl_polset_address(to, v6, (uint64_t)(a >> 64), (uint64_t)a);
}

/*
 * Corner 0-3: the ends of both prefixes with the ends of both port ranges, all inside. The others
 * leave the entry in one field each.
 */
static void
corner_of(struct corner *c, const struct sl_polset_entry *e, unsigned v6, unsigned n)
{
	const uint64_t src[4] = {e->src_hi, e->src_lo, e->src_mask_hi, e->src_mask_lo};
	const uint64_t dst[4] = {e->dst_hi, e->dst_lo, e->dst_mask_hi, e->dst_mask_lo};
	bool s_last = n & 1, d_last = n >> 1 & 1;

	c->f.version = v6 ? 6 : 4;
	c->f.proto = e->proto == SL_POL_PROTO_ANY ? (uint8_t)(n * 23) : (uint8_t)e->proto;
	c->f.iface = e->iface;
	c->f.src = c->src;
	c->f.dst = c->dst;
	c->f.sport = s_last ? e->sport_hi : e->sport_lo;
	c->f.dport = d_last ? e->dport_hi : e->dport_lo;
	end_of(c->src, v6, src, s_last, n == 4 || n == 5);
	end_of(c->dst, v6, dst, d_last, n == 6 || n == 7);
	if (n == 8)
		c->f.sport = (uint16_t)(e->sport_lo - 1);
	if (n == 9)
		c->f.dport = (uint16_t)(e->dport_hi + 1);
	if (n == 10)
		c->f.proto++;
	if (n == 11)
		c->f.iface++;
}

int
sl_acl_selftest(const struct sl_acl *a, const struct sl_polset *s, unsigned v6, struct sl_error *e)
{
	uint32_t n = s->n_entries[v6], step = n / SAMPLE + 1, tries[CORNERS], got[CORNERS];
	struct corner c[CORNERS];
	struct sl_acl_key key[CORNERS];

	for (uint32_t at = 0; at < n; at += step) {
		const struct sl_polset_entry *en = &s->entries[v6][at];

		for (unsigned i = 0; i < CORNERS; i++) {
			corner_of(&c[i], en, v6, i);
			sl_acl_key(&key[i], en->group, &c[i].f);
		}
		sl_acl_classify_tries(a, v6 ? 6 : 4, key, tries, CORNERS);
		sl_acl_classify(a, v6 ? 6 : 4, key, got, CORNERS);
		for (unsigned i = 0; i < CORNERS; i++) {
			uint32_t want = sl_polset_scan(s, en->group, &c[i].f);

			if (tries[i] != want || got[i] != want)
				return sl_fail(
					e, -EIO, "acl_selftest", "",
					"IPv%u: rte_acl finds entry %u, the small group's scan %u, "
					"but %u is the first (corner %u of %u)",
					v6 ? 6 : 4, tries[i], got[i], want, i, at);
		}
	}
	return 0;
}
