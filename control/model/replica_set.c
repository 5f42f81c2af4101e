/* SPDX-License-Identifier: BSD-3-Clause */
/* The objects of one kind. */
#include <stdlib.h>

#include "replica_int.h"

#define CAP_MIN 16

void
replica_set_init(struct replica_set *s)
{
	*s = (struct replica_set){.free = REPLICA_NONE};
}

void
replica_set_free(struct replica_set *s)
{
	for (uint32_t i = 0; i < s->n_slots; i++)
		free(replica_set_at(s, i));
	free(s->slot);
	free(s->table);
	replica_set_init(s);
}

struct replica_obj *
replica_set_at(const struct replica_set *s, uint32_t slot)
{
	return s->slot[slot] & 1 ? NULL : (struct replica_obj *)s->slot[slot];
}

size_t
replica_set_bytes(const struct replica_set *s)
{
	return s->cap * sizeof(*s->slot) +
	       (s->table != NULL ? ((size_t)s->mask + 1) * sizeof(*s->table) : 0);
}

/* --- the table -------------------------------------------------------------------------------- */

static void
enter(struct replica_entry *table, uint32_t mask, struct replica_entry e)
{
	uint32_t at = e.key & mask;

	while (table[at].slot != REPLICA_NONE)
		at = (at + 1) & mask;
	table[at] = e;
}

static int
grow_table(struct replica_set *s)
{
	uint32_t size = s->table != NULL ? (s->mask + 1) * 2 : CAP_MIN;
	struct replica_entry *t = malloc(size * sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	memset(t, 0xff, size * sizeof(*t)); /* REPLICA_NONE */
	for (uint32_t i = 0; s->table != NULL && i <= s->mask; i++) {
		if (s->table[i].slot != REPLICA_NONE)
			enter(t, size - 1, s->table[i]);
	}
	free(s->table);
	s->table = t;
	s->mask = size - 1;
	return 0;
}

static int
grow_slots(struct replica_set *s)
{
	uint32_t cap = s->cap < CAP_MIN ? CAP_MIN : s->cap + s->cap / 2;
	uintptr_t *slot = realloc(s->slot, cap * sizeof(*slot));

	if (slot == NULL)
		return -ENOMEM;
	s->slot = slot;
	s->cap = cap;
	return 0;
}

int
replica_set_reserve(struct replica_set *s)
{
	int rc = 0;

	if (s->free == REPLICA_NONE && s->n_slots == s->cap)
		rc = grow_slots(s);
	if (rc == 0 && (s->table == NULL || s->count + 1 > (s->mask + 1) / 4 * 3))
		rc = grow_table(s);
	return rc;
}

/** Place in the table, or that of the empty entry where the search ends. */
static uint32_t
look(const struct replica_set *s, uint32_t key, const char *id)
{
	uint32_t at = key & s->mask;

	for (; s->table[at].slot != REPLICA_NONE; at = (at + 1) & s->mask) {
		if (s->table[at].key == key &&
		    strcmp(replica_id(replica_set_at(s, s->table[at].slot)), id) == 0)
			break;
	}
	return at;
}

uint32_t
replica_set_find(const struct replica_set *s, uint32_t key, const char *id)
{
	return s->table != NULL ? s->table[look(s, key, id)].slot : REPLICA_NONE;
}

/** Empty an entry and move up what was pushed behind it (Knuth 6.4, algorithm R). */
static void
leave(struct replica_set *s, uint32_t hole)
{
	uint32_t at = hole;

	for (;;) {
		at = (at + 1) & s->mask;
		if (s->table[at].slot == REPLICA_NONE)
			break;
		/* stays if its own place lies behind the hole */
		if (((at - s->table[at].key) & s->mask) < ((at - hole) & s->mask))
			continue;
		s->table[hole] = s->table[at];
		hole = at;
	}
	s->table[hole].slot = REPLICA_NONE;
}

/* --- slots ------------------------------------------------------------------------------------ */

static uint32_t
take_free(struct replica_set *s)
{
	uint32_t slot = s->free;

	if (slot == REPLICA_NONE)
		return s->n_slots++;
	s->free = (uint32_t)(s->slot[slot] >> 1);
	return slot;
}

struct replica_obj *
replica_set_put(struct replica_set *s, uint32_t slot, struct replica_obj *o)
{
	struct replica_obj *was = NULL;

	if (slot != REPLICA_NONE) {
		was = replica_set_at(s, slot);
	} else {
		slot = take_free(s);
		enter(s->table, s->mask, (struct replica_entry){o->key, slot});
		s->count++;
	}
	s->slot[slot] = (uintptr_t)o;
	return was;
}

struct replica_obj *
replica_set_take(struct replica_set *s, uint32_t slot)
{
	struct replica_obj *o = replica_set_at(s, slot);

	leave(s, look(s, o->key, replica_id(o)));
	s->slot[slot] = (uintptr_t)s->free << 1 | 1;
	s->free = slot;
	s->count--;
	return o;
}
