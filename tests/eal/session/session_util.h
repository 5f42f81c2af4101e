/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What the session tests share: a table with a seeded generator. */
#ifndef SESSION_UTIL_H
#define SESSION_UTIL_H

#include "sl_session.h"

static inline struct sl_session_table *
table_seeded(unsigned owners, unsigned slots, bool flat, uint64_t seed)
{
	struct sl_rng_seeded rng;
	struct sl_session_conf c = {
		.owners = owners,
		.slots_per_owner = slots,
		.allow_unlocked = true,
		.flat = flat,
		.rng = sl_rng_seeded_init(&rng, seed, "index"),
	};
	struct sl_error e = {0};
	struct sl_session_table *t = sl_session_new(&c, &e);

	if (t == NULL)
		fail_msg("%s", e.message);
	return t;
}

static inline uint64_t
next_random(uint64_t *s)
{
	/* Marsaglia's xorshift */
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

#endif
