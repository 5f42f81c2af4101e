/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "gw.h"

int
gw_hash_init(struct gw_hash *h, unsigned size_hint)
{
	size_t size = 16;

	while (size < size_hint)
		size *= 2;
	h->bucket = calloc(size, sizeof(struct gw_link *));
	if (h->bucket == NULL)
		return -ENOMEM;
	h->mask = size - 1;
	return 0;
}

void
gw_hash_free(struct gw_hash *h)
{
	free(h->bucket);
	*h = (struct gw_hash){0};
}

void
gw_hash_add(struct gw_hash *h, struct gw_link *l, uint64_t hash)
{
	struct gw_link **at = &h->bucket[hash & h->mask];

	l->hash = hash;
	l->next = *at;
	*at = l;
}

void
gw_hash_del(struct gw_hash *h, struct gw_link *l)
{
	struct gw_link **at = &h->bucket[l->hash & h->mask];

	while (*at != NULL && *at != l)
		at = &(*at)->next;
	if (*at != NULL)
		*at = l->next;
	l->next = NULL;
}

static struct gw_link *
same_hash(struct gw_link *l, uint64_t hash)
{
	while (l != NULL && l->hash != hash)
		l = l->next;
	return l;
}

struct gw_link *
gw_hash_find(const struct gw_hash *h, uint64_t hash)
{
	return same_hash(h->bucket[hash & h->mask], hash);
}

struct gw_link *
gw_hash_next(const struct gw_link *l)
{
	return same_hash(l->next, l->hash);
}
