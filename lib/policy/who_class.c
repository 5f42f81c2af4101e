/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "who_int.h"

#define BUCKETS_MIN 64
#define PLACES_MIN 64

int
who_hash_init(struct who_hash *h)
{
	h->n = 0;
	h->n_buckets = BUCKETS_MIN;
	h->bucket = calloc(h->n_buckets, sizeof(*h->bucket));
	return h->bucket != NULL ? 0 : -ENOMEM;
}

static void
link_in(struct who_hash *h, struct who_link *l)
{
	struct who_link **at = &h->bucket[l->hash & (h->n_buckets - 1)];

	l->next = *at;
	*at = l;
}

static void
hash_grow(struct who_hash *h)
{
	struct who_hash big = {.n = h->n, .n_buckets = 2 * h->n_buckets};
	struct who_link *l, *next;

	big.bucket = calloc(big.n_buckets, sizeof(*big.bucket));
	if (big.bucket == NULL)
		return;
	for (uint32_t i = 0; i < h->n_buckets; i++) {
		for (l = h->bucket[i]; l != NULL; l = next) {
			next = l->next;
			link_in(&big, l);
		}
	}
	free(h->bucket);
	*h = big;
}

void
who_hash_add(struct who_hash *h, struct who_link *l)
{
	if (h->n >= h->n_buckets && h->n_buckets < UINT32_MAX / 2)
		hash_grow(h);
	link_in(h, l);
	h->n++;
}

void
who_hash_del(struct who_hash *h, struct who_link *l)
{
	struct who_link **at = &h->bucket[l->hash & (h->n_buckets - 1)];

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	h->n--;
}

void
who_hash_free(struct who_hash *h)
{
	struct who_link *l, *next;

	for (uint32_t i = 0; h->bucket != NULL && i < h->n_buckets; i++) {
		for (l = h->bucket[i]; l != NULL; l = next) {
			next = l->next;
			free(l);
		}
	}
	free(h->bucket);
}

/* --- classes ---------------------------------------------------------------------------------- */

/* Unique in the process: the flows of a gateway outlive the builder of their classes. */
static uint32_t
next_stamp(void)
{
	static uint32_t last;
	uint32_t s;

	do {
		s = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
	} while (s == 0);
	return s;
}

int
who_classes_init(struct who_classes *cs)
{
	*cs = (struct who_classes){0};
	return who_hash_init(&cs->hash);
}

static void
array_drop(struct who_classes *cs)
{
	if (cs->array != cs->published)
		free(cs->array);
}

void
who_classes_free(struct who_classes *cs)
{
	who_hash_free(&cs->hash);
	array_drop(cs);
	free(cs->published);
	free(cs->free_place);
	*cs = (struct who_classes){0};
}

/* Older versions keep the array that they have. */
static int
places_grow(struct who_classes *cs)
{
	uint32_t room = cs->room > 0 ? 2 * cs->room : PLACES_MIN;
	const struct sl_class **array = calloc(room, sizeof(*array));
	uint32_t *free_place = calloc(room, sizeof(*free_place));

	if (array == NULL || free_place == NULL) {
		free(array);
		free(free_place);
		return -ENOMEM;
	}
	if (cs->n_places > 0) /* none of the places is free */
		memcpy(array, cs->array, cs->n_places * sizeof(*array));
	array_drop(cs);
	free(cs->free_place);
	cs->array = array;
	cs->free_place = free_place;
	cs->room = room;
	return 0;
}

static uint64_t
list_hash(const struct sl_class_role *list, unsigned n)
{
	uint64_t h = n;

	for (unsigned i = 0; i < n; i++)
		h = who_mix(h, sl_load_le64(&list[i]));
	return h;
}
_Static_assert(sizeof(struct sl_class_role) == 8, "a role of a class has no padding");

static struct who_class *
class_new(struct who_classes *cs, const struct sl_class_role *list, unsigned n, uint64_t hash)
{
	struct who_class *c;

	if (cs->n_free == 0 && cs->n_places == cs->room && places_grow(cs) != 0)
		return NULL;
	c = malloc(sizeof(*c) + n * sizeof(*list));
	if (c == NULL)
		return NULL;
	*c = (struct who_class){.link.hash = hash, .born = cs->publications};
	c->c.stamp = next_stamp();
	c->c.n = (uint16_t)n;
	memcpy(c->c.role, list, n * sizeof(*list));
	c->c.at = cs->n_free > 0 ? cs->free_place[--cs->n_free] : cs->n_places++;
	cs->array[c->c.at] = &c->c;
	who_hash_add(&cs->hash, &c->link);
	return c;
}

struct who_class *
who_class_get(struct who_classes *cs, const struct sl_class_role *list, unsigned n)
{
	uint64_t hash = list_hash(list, n);
	struct who_link *l = who_hash_chain(&cs->hash, hash);
	struct who_class *c;

	for (; l != NULL; l = l->next) {
		c = (struct who_class *)l;
		if (l->hash == hash && c->c.n == n &&
		    memcmp(c->c.role, list, n * sizeof(*list)) == 0)
			return who_class_hold(c);
	}
	return who_class_hold(class_new(cs, list, n, hash));
}

static void
class_free(struct who_classes *cs, struct who_class *c)
{
	if (cs != NULL) {
		cs->array[c->c.at] = NULL;
		cs->free_place[cs->n_free++] = c->c.at;
	}
	free(c);
}

void
who_class_put(struct who_classes *cs, struct who_class *c)
{
	if (c == NULL || --c->c.refs > 0)
		return;
	if (c->born == cs->publications) { /* no version has seen it */
		who_hash_del(&cs->hash, &c->link);
		class_free(cs, c);
	} else if (!c->idle) {
		c->idle = true;
		c->next = cs->idle;
		cs->idle = c;
	}
}

struct who_class *
who_classes_publish(struct who_classes *cs)
{
	struct who_class *c = cs->idle, *next, *gone = NULL;

	for (; c != NULL; c = next) {
		next = c->next;
		c->idle = false;
		if (c->c.refs > 0)
			continue; /* it has come back */
		who_hash_del(&cs->hash, &c->link);
		c->next = gone;
		gone = c;
	}
	cs->idle = NULL;
	cs->published = cs->array;
	cs->publications++;
	return gone;
}

void
who_classes_reclaim(struct who_classes *cs, struct who_class *list)
{
	struct who_class *next;

	for (; list != NULL; list = next) {
		next = list->next;
		class_free(cs, list);
	}
}
