/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "sl_env.h"
#include "who_int.h"

/** Who has roles: a prefix (interface 0: "*") or a peer (family 0, its id as a prefix of 32). */
struct key {
	uint8_t b[16];
	uint16_t iface;
	uint8_t family, len;
	uint32_t zero;
};

struct holder {
	struct who_link link;
	struct key key;
	struct who_class *own; /* the roles given to it; NULL: none */
	struct holder *next_dirty;
	bool dirty; /* the tables may not say what the holders say: see change() */
};

/** Tables of an interface; one that is not its own is that of all interfaces. */
struct iface {
	struct sl_lpm prefix[2];
	bool own[2];
};

struct version {
	struct sl_identity id;
	struct sl_who who[];
};

struct sl_who_garbage {
	struct sl_who_builder *b;
	struct sl_lpm_garbage nodes;
	struct who_class *classes;
	struct version *version;
	const struct sl_class **array; /* NULL: still in use */
};

struct sl_who_builder {
	struct who_classes classes;
	struct who_hash holders;
	struct sl_lpm any[2]; /* prefixes of "*" */
	struct sl_lpm peers;
	struct iface *iface; /* [n_ifaces]; 0 has nothing of its own */
	unsigned n_ifaces;
	struct sl_lpm_garbage nodes; /* of the published version, no longer in the tables */
	struct holder *dirty;
	struct version *version; /* the present one */
	unsigned n_garbage;	 /* not yet freed */
	bool closed;		 /* sl_who_free() waits for the garbage */
	struct sl_class_role list[2 * SL_CLASS_ROLES_MAX];
};

struct sl_who_builder *
sl_who_new(void)
{
	struct sl_who_builder *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	sl_lpm_init(&b->any[0], 32);
	sl_lpm_init(&b->any[1], 128);
	sl_lpm_init(&b->peers, 32);
	if (who_hash_init(&b->holders) != 0 || who_classes_init(&b->classes) != 0) {
		sl_who_free(b);
		return NULL;
	}
	return b;
}

void
sl_who_free(struct sl_who_builder *b)
{
	if (b == NULL)
		return;
	who_hash_free(&b->holders);
	sl_lpm_garbage_free(&b->nodes);
	sl_lpm_free(&b->peers);
	for (unsigned fam = 0; fam < 2; fam++) {
		sl_lpm_free(&b->any[fam]);
		for (unsigned i = 0; i < b->n_ifaces; i++)
			sl_lpm_free(&b->iface[i].prefix[fam]);
	}
	free(b->iface);
	free(b->version);
	who_classes_free(&b->classes);
	b->closed = true;
	if (b->n_garbage == 0)
		free(b);
}

int
sl_who_ifaces(struct sl_who_builder *b, unsigned n)
{
	struct iface *grown;

	if (n <= b->n_ifaces)
		return 0;
	if (n > UINT16_MAX)
		return -EINVAL;
	grown = realloc(b->iface, n * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	b->iface = grown;
	for (; b->n_ifaces < n; b->n_ifaces++) {
		grown[b->n_ifaces] = (struct iface){0};
		sl_lpm_init(&grown[b->n_ifaces].prefix[0], 32);
		sl_lpm_init(&grown[b->n_ifaces].prefix[1], 128);
	}
	return 0;
}

/* --- holders ---------------------------------------------------------------------------------- */

/* @return false: neither a peer nor a prefix */
static bool
key_of(const struct sl_who_member *m, struct key *k)
{
	struct sl_prefix p = m->prefix;
	unsigned bytes = sl_ip_bytes(&p.ip);

	*k = (struct key){0};
	if (m->is_peer) {
		sl_store_be32(k->b, m->peer_id);
		k->len = 32;
		return true;
	}
	if (bytes == 0 || p.len > 8 * bytes || m->iface == UINT16_MAX)
		return false;
	sl_prefix_mask(&p);
	memcpy(k->b, p.ip.b, bytes);
	k->family = p.ip.family;
	k->len = p.len;
	k->iface = m->iface;
	return true;
}

static uint64_t
key_hash(const struct key *k)
{
	const uint8_t *p = (const uint8_t *)k;
	uint64_t h = 0;

	for (size_t i = 0; i < sizeof(*k); i += 8)
		h = who_mix(h, sl_load_le64(p + i));
	return h;
}
_Static_assert(sizeof(struct key) == 24, "a key has no padding");

static struct holder *
holder_find(const struct sl_who_builder *b, const struct key *k)
{
	uint64_t hash = key_hash(k);
	struct who_link *l = who_hash_chain(&b->holders, hash);

	for (; l != NULL; l = l->next) {
		struct holder *h = (struct holder *)l;

		if (l->hash == hash && memcmp(&h->key, k, sizeof(*k)) == 0)
			return h;
	}
	return NULL;
}

static struct holder *
holder_new(struct sl_who_builder *b, const struct key *k)
{
	struct holder *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->key = *k;
	h->link.hash = key_hash(k);
	who_hash_add(&b->holders, &h->link);
	return h;
}

static void
holder_drop_empty(struct sl_who_builder *b, struct holder *h)
{
	if (h->own != NULL || h->dirty)
		return;
	who_hash_del(&b->holders, &h->link);
	free(h);
}

/* --- tables ----------------------------------------------------------------------------------- */

/* Let a prefix lead to a class (NULL: to none). The table keeps a reference of its own. */
static int
table_put(struct sl_who_builder *b, struct sl_lpm *t, const struct key *k, struct who_class *c)
{
	uint32_t old = sl_lpm_get(t, k->b, k->len);
	int rc;

	if (old == (c != NULL ? c->c.at : SL_LPM_NONE))
		return 0;
	rc = c != NULL ? sl_lpm_set(t, t, k->b, k->len, c->c.at, &b->nodes)
		       : sl_lpm_del(t, t, k->b, k->len, &b->nodes);
	if (rc != 0)
		return rc;
	who_class_hold(c);
	if (old != SL_LPM_NONE)
		who_class_put(&b->classes, who_class_at(&b->classes, old));
	return 0;
}

struct copy {
	struct sl_who_builder *b;
	struct sl_lpm t;
};

static int
copy_entry(void *ctx, const uint8_t *addr, unsigned len, uint32_t value)
{
	struct copy *c = ctx;
	int rc = sl_lpm_set(&c->t, &c->t, addr, len, value, &c->b->nodes);

	if (rc == 0)
		who_class_hold(who_class_at(&c->b->classes, value));
	return rc;
}

static int
uncopy_entry(void *ctx, const uint8_t *addr, unsigned len, uint32_t value)
{
	struct copy *c = ctx;

	who_class_put(&c->b->classes, who_class_at(&c->b->classes, value));
	return 0;
}

/* Give an interface a table of its own, equal to that of "*" at first. */
static int
table_own(struct sl_who_builder *b, unsigned iface, unsigned fam)
{
	struct copy c = {.b = b};
	int rc;

	if (b->iface[iface].own[fam])
		return 0;
	sl_lpm_init(&c.t, fam ? 128 : 32);
	rc = sl_lpm_walk(&b->any[fam], copy_entry, &c);
	if (rc != 0) {
		sl_lpm_walk(&c.t, uncopy_entry, &c);
		sl_lpm_free(&c.t);
		return rc;
	}
	b->iface[iface].prefix[fam] = c.t;
	b->iface[iface].own[fam] = true;
	return 0;
}

/* Of two mappings of one role the one that lasts longer counts. */
static const struct sl_class_role *
longer(const struct sl_class_role *x, const struct sl_class_role *y)
{
	if (x->expires_tick == 0 || y->expires_tick == 0)
		return x->expires_tick == 0 ? x : y;
	return sl_tick_reached(x->expires_tick, y->expires_tick) ? x : y;
}

/* The class of both lists together, with a reference in *out. */
static int
class_union(struct sl_who_builder *b, struct who_class *x, struct who_class *y,
	    struct who_class **out)
{
	unsigned i = 0, k = 0, n = 0;

	if (x == NULL || y == NULL || x == y) {
		*out = who_class_hold(x != NULL ? x : y);
		return 0;
	}
	while (i < x->c.n || k < y->c.n) {
		const struct sl_class_role *rx = &x->c.role[i], *ry = &y->c.role[k];

		if (k == y->c.n || (i < x->c.n && rx->role < ry->role)) {
			b->list[n++] = *rx;
			i++;
		} else if (i == x->c.n || ry->role < rx->role) {
			b->list[n++] = *ry;
			k++;
		} else {
			b->list[n++] = *longer(rx, ry);
			i++;
			k++;
		}
	}
	if (n > SL_CLASS_ROLES_MAX)
		return -ENOSPC;
	*out = who_class_get(&b->classes, b->list, n);
	return *out != NULL ? 0 : -ENOMEM;
}

static struct who_class *
own_class(const struct sl_who_builder *b, const struct key *k, uint16_t iface)
{
	struct key of_iface = *k;
	struct holder *h;

	of_iface.iface = iface;
	h = holder_find(b, &of_iface);
	return h != NULL ? h->own : NULL;
}

/* Bring the table of an interface up to what the holders of a prefix say. */
static int
apply_iface(struct sl_who_builder *b, uint16_t iface, const struct key *k)
{
	unsigned fam = k->family == 6;
	struct who_class *c;
	int rc = table_own(b, iface, fam);

	if (rc == 0)
		rc = class_union(b, own_class(b, k, iface), own_class(b, k, 0), &c);
	if (rc != 0)
		return rc;
	rc = table_put(b, &b->iface[iface].prefix[fam], k, c);
	who_class_put(&b->classes, c);
	return rc;
}

/* Bring all tables up to what a holder says. May be repeated. */
static int
apply(struct sl_who_builder *b, const struct holder *h)
{
	unsigned fam = h->key.family == 6;
	int rc;

	if (h->key.family == 0)
		return table_put(b, &b->peers, &h->key, h->own);
	if (h->key.iface != 0)
		return apply_iface(b, h->key.iface, &h->key);
	rc = table_put(b, &b->any[fam], &h->key, h->own);
	for (unsigned i = 1; rc == 0 && i < b->n_ifaces; i++) {
		if (b->iface[i].own[fam])
			rc = apply_iface(b, (uint16_t)i, &h->key);
	}
	return rc;
}

/*
 * Give a holder another list (its reference comes along). If that fails half way and cannot be
 * undone for want of memory, the holder is dirty: its old list counts, and the next publication
 * repairs the tables first.
 */
static int
change(struct sl_who_builder *b, struct holder *h, struct who_class *c)
{
	struct who_class *old = h->own;
	int rc;

	h->own = c;
	rc = apply(b, h);
	if (rc == 0) {
		who_class_put(&b->classes, old);
		return 0;
	}
	h->own = old;
	if (apply(b, h) != 0 && !h->dirty) {
		h->dirty = true;
		h->next_dirty = b->dirty;
		b->dirty = h;
	}
	who_class_put(&b->classes, c);
	return rc;
}

static int
repair(struct sl_who_builder *b)
{
	struct holder *h;
	int rc;

	while ((h = b->dirty) != NULL) {
		rc = apply(b, h);
		if (rc != 0)
			return rc;
		b->dirty = h->next_dirty;
		h->dirty = false;
		holder_drop_empty(b, h);
	}
	return 0;
}

/* --- changes ---------------------------------------------------------------------------------- */

/* Copy a holder's list to b->list without `role`. @return its length; *at: where the role belongs
 */
static unsigned
list_without(struct sl_who_builder *b, const struct holder *h, uint16_t role, unsigned *at)
{
	unsigned n = 0;

	*at = 0;
	for (unsigned i = 0; h->own != NULL && i < h->own->c.n; i++) {
		const struct sl_class_role *r = &h->own->c.role[i];

		if (r->role < role)
			*at = n + 1;
		if (r->role != role)
			b->list[n++] = *r;
	}
	return n;
}

int
sl_who_add(struct sl_who_builder *b, const struct sl_who_member *m)
{
	struct who_class *c;
	struct holder *h;
	unsigned n, at;
	struct key k;
	int rc;

	if (!key_of(m, &k))
		return -EINVAL;
	rc = sl_who_ifaces(b, k.iface + 1u);
	if (rc != 0)
		return rc;
	h = holder_find(b, &k);
	if (h == NULL)
		h = holder_new(b, &k);
	if (h == NULL)
		return -ENOMEM;
	n = list_without(b, h, m->role.role, &at);
	if (n == SL_CLASS_ROLES_MAX)
		return -ENOSPC;
	memmove(&b->list[at + 1], &b->list[at], (n - at) * sizeof(b->list[0]));
	b->list[at] = m->role;
	c = who_class_get(&b->classes, b->list, n + 1);
	rc = c != NULL ? change(b, h, c) : -ENOMEM;
	holder_drop_empty(b, h);
	return rc;
}

int
sl_who_del(struct sl_who_builder *b, const struct sl_who_member *m)
{
	struct who_class *c = NULL;
	struct holder *h;
	unsigned n, at;
	struct key k;
	int rc;

	h = key_of(m, &k) ? holder_find(b, &k) : NULL;
	if (h == NULL || h->own == NULL)
		return -ENOENT;
	n = list_without(b, h, m->role.role, &at);
	if (n == h->own->c.n)
		return -ENOENT;
	if (n > 0) {
		c = who_class_get(&b->classes, b->list, n);
		if (c == NULL)
			return -ENOMEM;
	}
	rc = change(b, h, c);
	holder_drop_empty(b, h);
	return rc;
}

/* --- versions --------------------------------------------------------------------------------- */

static struct version *
version_new(const struct sl_who_builder *b, uint64_t generation)
{
	struct version *v = calloc(1, sizeof(*v) + b->n_ifaces * sizeof(v->who[0]));

	if (v == NULL)
		return NULL;
	for (unsigned fam = 0; fam < 2; fam++) {
		v->id.any.prefix[fam] = b->any[fam];
		for (unsigned i = 0; i < b->n_ifaces; i++)
			v->who[i].prefix[fam] =
				b->iface[i].own[fam] ? b->iface[i].prefix[fam] : b->any[fam];
	}
	v->id.generation = generation;
	v->id.n_classes = b->classes.n_places;
	v->id.classes = b->classes.array;
	v->id.n_ifaces = (uint16_t)b->n_ifaces;
	v->id.who = v->who;
	v->id.peers = b->peers;
	return v;
}

const struct sl_identity *
sl_who_publish(struct sl_who_builder *b, uint64_t generation, struct sl_who_garbage **old)
{
	struct sl_who_garbage *g = NULL;
	struct version *v;

	*old = NULL;
	if (repair(b) != 0)
		return NULL;
	v = version_new(b, generation);
	if (b->version != NULL)
		g = calloc(1, sizeof(*g));
	if (v == NULL || (b->version != NULL && g == NULL)) {
		free(v);
		free(g);
		return NULL;
	}
	if (g != NULL) {
		g->b = b;
		g->version = b->version;
		g->array = b->classes.array != b->classes.published ? b->classes.published : NULL;
		g->classes = who_classes_publish(&b->classes);
		sl_lpm_garbage_move(&g->nodes, &b->nodes);
		b->n_garbage++;
	} else {
		who_classes_publish(&b->classes); /* nothing was published that could be idle */
		sl_lpm_garbage_free(&b->nodes);
	}
	b->version = v;
	*old = g;
	return &v->id;
}

bool
sl_who_any_overlaps(const struct sl_who_builder *b, const struct sl_prefix *p)
{
	return sl_lpm_overlaps(&b->any[p->ip.family == 6], p->ip.b, p->len);
}

void
sl_who_garbage_free(struct sl_who_garbage *g)
{
	struct sl_who_builder *b;

	if (g == NULL)
		return;
	b = g->b;
	who_classes_reclaim(b->closed ? NULL : &b->classes, g->classes);
	sl_lpm_garbage_free(&g->nodes);
	free(g->array);
	free(g->version);
	free(g);
	b->n_garbage--;
	if (b->closed && b->n_garbage == 0)
		free(b);
}
