/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_rate.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND 1000000000ULL
#define NEIGHBOURS 8 /* places in which a key may lie */
#define KEY 96

struct bucket {
	char key[KEY];	   /* "" free */
	uint64_t level_ns; /* time for which requests have been taken */
};

struct sl_rate {
	uint64_t cost_ns, room_ns;
	uint64_t now_ns; /* of the last request */
	uint8_t seed[crypto_shorthash_KEYBYTES];
	unsigned n;
	struct bucket b[];
};

struct sl_rate *
sl_rate_new(unsigned per_second, unsigned burst, unsigned places)
{
	unsigned n = SL_MAX(places, NEIGHBOURS);
	struct sl_rate *r = calloc(1, sizeof(*r) + n * sizeof(r->b[0]));

	if (r == NULL)
		return NULL;
	r->n = n;
	r->cost_ns = SECOND / per_second;
	r->room_ns = r->cost_ns * burst;
	crypto_shorthash_keygen(r->seed);
	return r;
}

void
sl_rate_free(struct sl_rate *r)
{
	free(r);
}

/** Outsiders may choose keys: the hash is keyed. */
static uint64_t
place_of(const struct sl_rate *r, const char *key)
{
	uint8_t h[crypto_shorthash_BYTES];

	crypto_shorthash(h, (const uint8_t *)key, strlen(key), r->seed);
	return sl_load_le64(h) % r->n;
}

/** Who has room for a whole burst is forgotten first, and loses nothing by it; then who has taken
 * the least: a flood of others does not make anybody's used-up bucket a fresh one. */
static struct bucket *
bucket_of(struct sl_rate *r, const char *key)
{
	uint64_t at = place_of(r, key);
	struct bucket *least = NULL;

	for (unsigned i = 0; i < NEIGHBOURS; i++) {
		struct bucket *b = &r->b[(at + i) % r->n];

		if (strncmp(b->key, key, KEY - 1) == 0)
			return b;
		if (least == NULL || b->level_ns < least->level_ns)
			least = b;
	}
	*least = (struct bucket){.level_ns = r->now_ns};
	snprintf(least->key, sizeof(least->key), "%s", key);
	return least;
}

void
sl_rate_charge(struct sl_rate *r, const char *who, unsigned n)
{
	if (n > 0)
		bucket_of(r, who)->level_ns += n * r->cost_ns;
}

uint64_t
sl_rate_take_ns(struct sl_rate *r, const char *who, uint64_t now_ns)
{
	struct bucket *b;

	r->now_ns = now_ns;
	b = bucket_of(r, who);
	if (b->level_ns < now_ns)
		b->level_ns = now_ns;
	if (b->level_ns + r->cost_ns > now_ns + r->room_ns)
		return b->level_ns + r->cost_ns - now_ns - r->room_ns;
	b->level_ns += r->cost_ns;
	return 0;
}
