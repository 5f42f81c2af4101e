/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Lookups of a burst: IPv4 and IPv6 apart, so that each kind overlaps its memory latencies.
 */
#ifndef SL_LOOKUP_H
#define SL_LOOKUP_H

#include "sl_lpm.h"

#define SL_LOOKUP_BURST 32

struct sl_lookup {
	uint32_t *result; /* SL_LPM_NONE where nothing was asked */
	unsigned n[2];
	uint8_t at[2][SL_LOOKUP_BURST];
	const struct sl_lpm *table[2][SL_LOOKUP_BURST];
	const uint8_t *addr[2][SL_LOOKUP_BURST];
};

static inline void
sl_lookup_begin(struct sl_lookup *k, uint32_t result[], unsigned n)
{
	k->result = result;
	k->n[0] = 0;
	k->n[1] = 0;
	memset(result, 0xff, n * sizeof(result[0]));
}

/** Ask for `addr`; the answer comes to result[i]. */
static inline void
sl_lookup_add(struct sl_lookup *k, const struct sl_lpm *table, uint8_t version, const uint8_t *addr,
	      unsigned i)
{
	unsigned f = version == 6, n = k->n[f];

	if (table->root == NULL)
		return;
	k->at[f][n] = (uint8_t)i;
	k->table[f][n] = table;
	k->addr[f][n] = addr;
	k->n[f] = n + 1;
}

static inline void
sl_lookup_run(struct sl_lookup *k)
{
	uint32_t found[SL_LOOKUP_BURST];
	unsigned f, i;

	for (f = 0; f < 2; f++) {
		if (k->n[f] == 0)
			continue;
		sl_lpm_lookup_burst(k->table[f], k->addr[f], found, k->n[f]);
		for (i = 0; i < k->n[f]; i++)
			k->result[k->at[f][i]] = found[i];
	}
}
_Static_assert(SL_LPM_NONE == UINT32_MAX, "memset with 0xff says: not found");

#endif
