/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Random compiled policies made by hand (not by sl_polset_compile()), and packets that hit their
 * corners. Addresses and ports come from small alphabets, so that prefixes nest and ties happen.
 */
#ifndef SL_TEST_AUTHZ_FIXTURE_H
#define SL_TEST_AUTHZ_FIXTURE_H

#include "sl_judge.h"

struct fix_rng {
	uint64_t s;
};
uint64_t fix_random(struct fix_rng *r);
unsigned fix_below(struct fix_rng *r, unsigned n);

struct fix_shape {
	unsigned roles;
	unsigned entries; /* of a group and family: 0 to so many */
	unsigned zones, targets;
	unsigned withdrawn; /* the first so many targets */
};

/** Free with sl_polset_free(). Fails the test without memory. */
struct sl_polset *fix_set(struct fix_rng *r, const struct fix_shape *shape, uint64_t generation);

/** A flow with its addresses. */
struct fix_flow {
	struct sl_polset_flow f;
	uint8_t src[16], dst[16];
};

/** A flow in or at the edge of a random entry, or anywhere in the alphabets. */
void fix_flow(struct fix_rng *r, const struct sl_polset *s, unsigned v6, struct fix_flow *out);

/** A random prefix of the alphabets. */
void fix_prefix(struct fix_rng *r, unsigned v6, struct sl_prefix *p);

#endif
