/* SPDX-License-Identifier: BSD-3-Clause */
#include "names.h"

#include <errno.h>
#include <stdlib.h>

struct sl_names *
sl_names_new(void)
{
	struct sl_names *n = calloc(1, sizeof(*n));

	if (n != NULL)
		n->gone_last = &n->gone_first;
	return n;
}

void
sl_names_free(struct sl_names *n)
{
	unsigned i, j;

	if (n == NULL)
		return;
	for (i = 0; i < n->n_policies; i++)
		sl_names_policy_free(n, n->policy[i]);
	for (i = 0; i < SL_ARRAY_SIZE(n->page); i++) {
		for (j = 0; n->page[i] != NULL && j < 1024; j++)
			free(n->page[i][j]);
		free(n->page[i]);
	}
	free(n);
}

/* --- policies --------------------------------------------------------------------------------- */

static uint64_t
hash_of(const struct sl_names_table *t)
{
	uint64_t h = t->bytes, w;

	for (size_t i = 0; i < t->bytes; i += sizeof(w)) { /* its memory ends with a whole word */
		memcpy(&w, t->data + i, sizeof(w));
		h = (h ^ w) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	return h;
}

static struct sl_names_table *
table_new(size_t n, size_t size)
{
	size_t bytes = n * size;
	struct sl_names_table *t = calloc(1, sizeof(*t) + bytes + sizeof(uint64_t));

	if (t != NULL)
		t->bytes = bytes;
	return t;
}

/** The one that is there already, or this one. @param t taken over */
static struct sl_names_table *
table_share(struct sl_names *n, struct sl_names_table *t)
{
	struct sl_names_table **at, *o;

	t->hash = hash_of(t);
	at = &n->bucket[t->hash % SL_NAMES_BUCKETS];
	for (o = *at; o != NULL; o = o->next) {
		if (o->hash != t->hash || o->bytes != t->bytes ||
		    memcmp(o->data, t->data, t->bytes) != 0)
			continue;
		free(t);
		o->uses++;
		return o;
	}
	t->uses = 1;
	t->next = *at;
	*at = t;
	n->bytes += sizeof(*t) + t->bytes;
	return t;
}

static void
table_leave(struct sl_names *n, struct sl_names_table *t)
{
	struct sl_names_table **at;

	if (t == NULL || --t->uses > 0)
		return;
	for (at = &n->bucket[t->hash % SL_NAMES_BUCKETS]; *at != t; at = &(*at)->next)
		;
	*at = t->next;
	n->bytes -= sizeof(*t) + t->bytes;
	free(t);
}

static struct sl_names_table *
table_of(const struct sl_polset *s, enum sl_names_kind k)
{
	const struct sl_polset_name *from = k == SL_NAMES_ROLES ? s->roles : s->targets;
	unsigned n = k == SL_NAMES_ROLES ? s->n_roles : s->n_targets;
	struct sl_names_table *t = table_new(n, sizeof(*from));

	if (t != NULL && n > 0)
		memcpy(t->data, from, t->bytes);
	return t;
}

static struct sl_names_table *
table_of_rules(const struct sl_polset *s)
{
	struct sl_names_table *t = table_new(s->n_rules, sizeof(struct sl_names_rule));
	struct sl_names_rule *r = t != NULL ? (void *)t->data : NULL;

	for (unsigned i = 0; t != NULL && i < s->n_rules; i++) {
		r[i].id = s->rules[i].id;
		r[i].role = s->rules[i].role;
		r[i].log = s->rules[i].log;
	}
	return t;
}

static struct sl_names_table *
table_of_zones(const struct sl_polset *s)
{
	struct sl_names_table *t = table_new(s->n_zones, sizeof(struct sl_names_zone));
	struct sl_names_zone *z = t != NULL ? (void *)t->data : NULL;

	for (unsigned i = 0; t != NULL && i < s->n_zones; i++) {
		z[i].type = s->zones[i].type;
		memcpy(z[i].name, s->zones[i].name, SL_POL_NAME);
	}
	return t;
}

struct sl_names_policy *
sl_names_policy_new(struct sl_names *n, const struct sl_polset *s)
{
	struct sl_names_policy *p = calloc(1, sizeof(*p));
	struct sl_names_table *t[SL_NAMES_TABLES] = {[SL_NAMES_RULES] = table_of_rules(s),
						     [SL_NAMES_ROLES] = table_of(s, SL_NAMES_ROLES),
						     [SL_NAMES_TARGETS] =
							     table_of(s, SL_NAMES_TARGETS),
						     [SL_NAMES_ZONES] = table_of_zones(s)};
	bool all = p != NULL;

	for (unsigned k = 0; k < SL_NAMES_TABLES; k++)
		all &= t[k] != NULL;
	for (unsigned k = 0; k < SL_NAMES_TABLES; k++) {
		if (all)
			p->table[k] = table_share(n, t[k]);
		else
			free(t[k]);
	}
	if (!all) {
		free(p);
		return NULL;
	}
	p->generation = s->generation;
	p->version = s->version;
	p->n_rules = s->n_rules;
	p->n_roles = s->n_roles;
	p->n_targets = s->n_targets;
	p->n_zones = s->n_zones;
	p->rules = (const void *)p->table[SL_NAMES_RULES]->data;
	p->roles = (const void *)p->table[SL_NAMES_ROLES]->data;
	p->targets = (const void *)p->table[SL_NAMES_TARGETS]->data;
	p->zones = (const void *)p->table[SL_NAMES_ZONES]->data;
	return p;
}

void
sl_names_policy_free(struct sl_names *n, struct sl_names_policy *p)
{
	if (p == NULL)
		return;
	for (unsigned k = 0; k < SL_NAMES_TABLES; k++)
		table_leave(n, p->table[k]);
	free(p);
}

void
sl_names_policy_add(struct sl_names *n, struct sl_names_policy *p)
{
	memmove(&n->policy[1], &n->policy[0], n->n_policies * sizeof(n->policy[0]));
	memmove(&n->generation[1], &n->generation[0], n->n_policies * sizeof(n->generation[0]));
	n->policy[0] = p;
	n->generation[0] = (uint32_t)p->generation;
	n->n_policies++;
}

struct sl_names_policy *
sl_names_policy_old(struct sl_names *n)
{
	bool large = n->bytes > SL_NAMES_BYTES && n->n_policies >= SL_NAMES_GENERATIONS_MIN;

	if (!large && n->n_policies < SL_NAMES_GENERATIONS)
		return NULL;
	return n->policy[--n->n_policies];
}

const struct sl_names_policy *
sl_names_policy_find(const struct sl_names *n, uint32_t generation)
{
	unsigned i;

	for (i = 0; i < n->n_policies; i++)
		if (n->generation[i] == generation)
			return n->policy[i];
	return NULL;
}

/* --- interfaces and peers --------------------------------------------------------------------- */

int
sl_names_iface_set(struct sl_names *n, uint16_t id, const char *name)
{
	size_t len = strlen(name);

	if (id >= SL_NAMES_IFACES || len >= SL_POL_IFACE)
		return -EINVAL;
	memcpy(n->iface[id], name, len + 1);
	return 0;
}

const char *
sl_names_iface(const struct sl_names *n, uint16_t id)
{
	return id < SL_NAMES_IFACES ? n->iface[id] : "";
}

static struct sl_names_peer **
place(const struct sl_names *n, uint32_t id)
{
	struct sl_names_peer **page = id < SL_NAMES_PEERS ? n->page[id / 1024] : NULL;

	return page != NULL ? &page[id % 1024] : NULL;
}

const struct sl_names_peer *
sl_names_peer(const struct sl_names *n, uint32_t id)
{
	struct sl_names_peer **p = place(n, id);

	return p != NULL ? *p : NULL;
}

static void
peer_gone(struct sl_names *n, struct sl_names_peer *p, uint64_t now_ns)
{
	if (p == NULL || p->gone)
		return;
	p->gone = true;
	p->gone_ns = now_ns;
	p->next_gone = NULL;
	*n->gone_last = p;
	n->gone_last = &p->next_gone;
}

/** An id in use again: off the list of those that go. */
static void
peer_back(struct sl_names *n, struct sl_names_peer *p)
{
	struct sl_names_peer **at;

	for (at = &n->gone_first; *at != p; at = &(*at)->next_gone)
		;
	*at = p->next_gone;
	if (n->gone_last == &p->next_gone)
		n->gone_last = at;
	p->gone = false;
}

int
sl_names_peer_set(struct sl_names *n, uint32_t id, uint16_t iface, const char *name,
		  const struct sl_pubkey *key, uint64_t now_ns)
{
	struct sl_names_peer **at, *p;
	size_t len;

	sl_names_tidy(n, now_ns);
	if (id >= SL_NAMES_PEERS)
		return -EINVAL;
	at = place(n, id);
	if (name == NULL) {
		peer_gone(n, at != NULL ? *at : NULL, now_ns);
		return 0;
	}
	if (at == NULL) {
		n->page[id / 1024] = calloc(1024, sizeof(struct sl_names_peer *));
		at = place(n, id);
	}
	if (at == NULL)
		return -ENOMEM;
	if (*at == NULL)
		*at = calloc(1, sizeof(**at));
	p = *at;
	if (p == NULL)
		return -ENOMEM;
	if (p->gone)
		peer_back(n, p);
	p->id = id;
	p->iface = iface;
	len = strnlen(name, sizeof(p->name) - 1);
	memcpy(p->name, name, len);
	p->name[len] = '\0';
	p->key[0] = '\0';
	if (key != NULL)
		sl_key_to_base64(key->b, p->key);
	return 0;
}

void
sl_names_tidy(struct sl_names *n, uint64_t now_ns)
{
	struct sl_names_peer *p;

	while ((p = n->gone_first) != NULL && now_ns >= p->gone_ns + SL_NAMES_KEPT_NS) {
		n->gone_first = p->next_gone;
		if (n->gone_first == NULL)
			n->gone_last = &n->gone_first;
		*place(n, p->id) = NULL;
		free(p);
	}
}
