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

/** Bring into the cache what is read first of a group that is not large. */
static inline void
sl_scan_prefetch(const struct sl_scan *t, unsigned group)
{
	const struct sl_scan_group *g = &t->group[group];

	for (unsigned i = 0; i < sl_scan_rows(g->n); i++)
		sl_prefetch(t->lanes + g->at + i * SL_SCAN_ROW_WORDS);
}

/**
 * Answer what the small groups can: first matching entry of each key, or SL_POL_NONE.
 * @param n at most SL_ACL_BURST; @param left places of the other keys, whose out[] stays as it was
 * @return how many these are
 */
unsigned sl_scan_classify_v4(const struct sl_scan *t, const struct sl_acl_key key[], uint32_t out[],
			     unsigned n, uint8_t left[]);
unsigned sl_scan_classify_v6(const struct sl_scan *t, const struct sl_acl_key key[], uint32_t out[],
			     unsigned n, uint8_t left[]);

#endif
