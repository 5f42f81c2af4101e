/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Inside of the who builder: a chained hash table, and the interned classes with their places.
 */
#ifndef WHO_INT_H
#define WHO_INT_H

#include "sl_polset.h"

/** First member of what lies in a table. */
struct who_link {
	struct who_link *next;
	uint64_t hash;
};

struct who_hash {
	struct who_link **bucket;
	uint32_t n;
	uint32_t n_buckets; /* a power of two */
};

/** @return 0, -ENOMEM */
int who_hash_init(struct who_hash *h);
/** With all that is in it. */
void who_hash_free(struct who_hash *h);
/** Cannot fail: without memory the chains grow longer. */
void who_hash_add(struct who_hash *h, struct who_link *l);
void who_hash_del(struct who_hash *h, struct who_link *l);

static inline struct who_link *
who_hash_chain(const struct who_hash *h, uint64_t hash)
{
	return h->bucket[hash & (h->n_buckets - 1)];
}

static inline uint64_t
who_mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

/**
 * A class is referred to by the holders whose own list it is, and by the table entries that lead to
 * it. One that a version may hold stays interned until the next publication (it may come back with
 * its stamp), then it is garbage, and its place is used again only after that is freed.
 */
struct who_class {
	struct who_link link;
	struct who_class *next; /* of the idle or of a garbage list */
	uint64_t born;		/* publications before it was made */
	bool idle;		/* in the idle list */
	struct sl_class c;
};

struct who_classes {
	struct who_hash hash;
	/* By place; shared with the versions: a place changes only while none of them uses it. */
	const struct sl_class **array;
	const struct sl_class **published; /* array of the present version; NULL: none */
	uint32_t *free_place;		   /* stack of places below n_places */
	uint32_t n_free, n_places, room;
	struct who_class *idle; /* published, and without a reference when they came here */
	uint64_t publications;
};

/** @return 0, -ENOMEM */
int who_classes_init(struct who_classes *cs);
/** Frees also what is in use. */
void who_classes_free(struct who_classes *cs);

/** The class of a list (ascending by role), with one more reference. @return NULL without memory */
struct who_class *who_class_get(struct who_classes *cs, const struct sl_class_role *list,
				unsigned n);
static inline struct who_class *
who_class_hold(struct who_class *c)
{
	if (c != NULL)
		c->c.refs++;
	return c;
}
void who_class_put(struct who_classes *cs, struct who_class *c); /* NULL allowed */

static inline struct who_class *
who_class_at(const struct who_classes *cs, uint32_t at)
{
	return (struct who_class *)((uintptr_t)cs->array[at] - offsetof(struct who_class, c));
}

/** A publication: @return the list of classes that only older versions refer to */
struct who_class *who_classes_publish(struct who_classes *cs);
/** Free such a list. @param cs NULL: its owner is gone */
void who_classes_reclaim(struct who_classes *cs, struct who_class *list);

#endif
