/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Small groups of entries side by side in vectors: eight entries a step. Beats rte_acl where a
 * group has few entries (tests/perf/acl_bench.c).
 *
 * Immutable once built; any lcore. Only on CPUs with AVX2.
 */
#ifndef SL_AUTHZ_SCAN_H
#define SL_AUTHZ_SCAN_H

#include "sl_acl.h"

#define SL_SCAN_LANES 8
#define SL_SCAN_MAX 64		      /* entries of a group: a bit each */
#define SL_SCAN_ROW 16		      /* entries whose destination ports stand together */
#define SL_SCAN_ROW_WORDS SL_SCAN_ROW /* 16-bit lowest ports, then how far the ranges go */

struct sl_scan_group {
	uint32_t first; /* its first entry */
	uint32_t at;	/* its place in lanes */
	uint16_t n;
	bool large; /* not held: ask rte_acl */
};

/** Entries of one IP version. All zero: holds nothing. */
struct sl_scan {
	uint32_t n_groups;
	struct sl_scan_group *group;
	uint32_t *lanes; /* the groups, one after the other */
	size_t bytes;
};

/**
 * Take the groups of at most `max` entries, which is at most SL_SCAN_MAX. @return 0 or -ENOMEM
 */
int sl_scan_build(struct sl_scan *t, const struct sl_polset *s, unsigned v6, unsigned max);
void sl_scan_free(struct sl_scan *t);

static inline unsigned
sl_scan_rows(uint32_t entries)
{
	return (entries + SL_SCAN_ROW - 1) / SL_SCAN_ROW;
}

/** Words of a block of lanes. @param words of an address */
static inline unsigned
sl_scan_block(unsigned words)
{
	return (2 + 4 * words + 2) * SL_SCAN_LANES;
}

/* Of groups that are not large, in three steps, so that those of many keys overlap. */

/** Bring into the cache what sl_scan_ports() reads. */
static inline void
sl_scan_prefetch(const struct sl_scan *t, unsigned group)
{
	const struct sl_scan_group *g = &t->group[group];

	for (unsigned i = 0; i < sl_scan_rows(g->n); i++)
		sl_prefetch(t->lanes + g->at + i * SL_SCAN_ROW_WORDS);
}

/** @return a bit for each entry whose destination ports fit */
uint64_t sl_scan_ports(const struct sl_scan *t, const struct sl_scan_group *g, uint16_t dport);

/** Bring into the cache what is read first of these entries. */
static inline void
sl_scan_fetch(const struct sl_scan *t, const struct sl_scan_group *g, uint64_t fit, unsigned v6)
{
	unsigned size = sl_scan_block(v6 ? 4 : 1), i = (unsigned)__builtin_ctzll(fit | 1ULL << 63);
	const uint32_t *b = t->lanes + g->at + sl_scan_rows(g->n) * SL_SCAN_ROW_WORDS;

	if (fit == 0)
		return;
	b += i / SL_SCAN_LANES * size;
	for (i = 0; i < size; i += SL_CACHE_LINE / sizeof(*b))
		sl_prefetch(b + i);
}

/** First of these entries that matches the key, or SL_POL_NONE. */
uint32_t sl_scan_v4(const struct sl_scan *t, const struct sl_scan_group *g,
		    const struct sl_acl_key *k, uint64_t fit);
uint32_t sl_scan_v6(const struct sl_scan *t, const struct sl_scan_group *g,
		    const struct sl_acl_key *k, uint64_t fit);

#endif
