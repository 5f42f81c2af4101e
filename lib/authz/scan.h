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

struct sl_scan_group {
	uint32_t first;	 /* entry of the first lane */
	uint32_t block;	 /* its first block */
	uint32_t blocks; /* 0: the group is empty */
	bool large;	 /* not held: ask rte_acl */
};

/** Entries of one IP version. All zero: holds nothing. */
struct sl_scan {
	uint32_t n_groups;
	struct sl_scan_group *group;
	uint32_t *lanes; /* blocks, one after the other */
	size_t bytes;
};

/**
 * Take the groups of at most `max` entries. @return 0 or -ENOMEM
 */
int sl_scan_build(struct sl_scan *t, const struct sl_polset *s, unsigned v6, unsigned max);
void sl_scan_free(struct sl_scan *t);

/** First entry that matches the key's group, which is none of the large ones, or SL_POL_NONE. */
uint32_t sl_scan_v4(const struct sl_scan *t, const struct sl_scan_group *g,
		    const struct sl_acl_key *k);
uint32_t sl_scan_v6(const struct sl_scan *t, const struct sl_scan_group *g,
		    const struct sl_acl_key *k);

#endif
