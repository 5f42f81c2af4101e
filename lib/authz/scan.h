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
#define SL_SCAN_MAX 64 /* entries of a group: a bit each */

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

/* Of groups that are not large, in three steps, so that those of many keys overlap. */

/** Bring into the cache what sl_scan_ports() reads. */
void sl_scan_prefetch(const struct sl_scan *t, unsigned group);
/** @return a bit for each entry whose destination ports fit */
uint64_t sl_scan_ports(const struct sl_scan *t, const struct sl_scan_group *g, uint16_t dport);
/** Bring into the cache what is read first of these entries. */
void sl_scan_fetch(const struct sl_scan *t, const struct sl_scan_group *g, uint64_t fit,
		   unsigned v6);
/** First of these entries that matches the key, or SL_POL_NONE. */
uint32_t sl_scan_v4(const struct sl_scan *t, const struct sl_scan_group *g,
		    const struct sl_acl_key *k, uint64_t fit);
uint32_t sl_scan_v6(const struct sl_scan *t, const struct sl_scan_group *g,
		    const struct sl_acl_key *k, uint64_t fit);

#endif
