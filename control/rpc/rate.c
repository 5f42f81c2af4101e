/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_rate.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND 1000000000ULL
#define NEIGHBOURS 8 /* places in which a key may lie */
#define KEY 96

struct bucket {
	char key[KEY]; /* "" free */
	uint64_t used_ns;
	uint64_t level_ns; /* time for which requests have been taken */
};

struct sl_rate {
	uint64_t cost_ns, room_ns;
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
	return r;
}

void
sl_rate_free(struct sl_rate *r)
{
	free(r);
}

static struct bucket *
bucket_of(struct sl_rate *r, const char *key)
{
	struct bucket *oldest = NULL;
	uint64_t h = 1469598103934665603ULL; /* FNV-1a */

	for (const char *s = key; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 1099511628211ULL;
	for (unsigned i = 0; i < NEIGHBOURS; i++) {
		struct bucket *b = &r->b[(h + i) % r->n];

		if (strncmp(b->key, key, KEY - 1) == 0)
			return b;
		if (oldest == NULL || b->used_ns < oldest->used_ns)
			oldest = b;
	}
	*oldest = (struct bucket){0};
	snprintf(oldest->key, sizeof(oldest->key), "%s", key);
	return oldest;
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
	struct bucket *b = bucket_of(r, who);

	b->used_ns = now_ns;
	if (b->level_ns < now_ns)
		b->level_ns = now_ns;
	if (b->level_ns + r->cost_ns > now_ns + r->room_ns)
		return b->level_ns + r->cost_ns - now_ns - r->room_ns;
	b->level_ns += r->cost_ns;
	return 0;
}
