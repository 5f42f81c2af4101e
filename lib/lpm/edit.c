/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "lpm_node.h"

/* A block per level, the new root's block, and at most two for the change itself. */
#define STEPS_MAX (LPM_DEPTH_MAX + 3)

/* One change, prepared aside and carried out only when nothing can fail any more. */
struct change {
	uint64_t session;
	struct sl_lpm_trailer *made[STEPS_MAX];
	struct sl_lpm_trailer *dead[STEPS_MAX];
	unsigned n_made;
	unsigned n_dead;
	struct {
		const struct sl_lpm_node *node;
		unsigned idx; /* the path taken below it */
	} way[LPM_DEPTH_MAX + 1];
	unsigned n_way;
	struct sl_lpm_node *write_to; /* an entry of a block of this session, or NULL */
	const struct sl_lpm_node *root;
};

static uint64_t last_session;

static int
block_new(struct change *c, struct sl_lpm_node *n)
{
	unsigned n_children = lpm_n_children(n), n_values = lpm_n_values(n);
	size_t at = lpm_block_trailer_at(n_children, n_values);
	size_t size = at + sizeof(struct sl_lpm_trailer);
	struct sl_lpm_trailer *t;
	void *base;

	n->block = NULL;
	if (n_children == 0 && n_values <= 1)
		return 0;
	if (n_children == 0)
		base = malloc(size);
	else if (posix_memalign(&base, SL_CACHE_LINE, size) != 0)
		base = NULL;
	if (base == NULL)
		return -ENOMEM;
	n->block = base;
	t = (struct sl_lpm_trailer *)(void *)(n->block + at);
	*t = (struct sl_lpm_trailer){.session = c->session, .base = base};
	c->made[c->n_made++] = t;
	return 0;
}

static void
block_retire(struct change *c, const struct sl_lpm_node *n)
{
	if (n->block != NULL)
		c->dead[c->n_dead++] = lpm_trailer(n);
}

static bool
block_is_ours(const struct change *c, const struct sl_lpm_node *n)
{
	return n->block != NULL && lpm_trailer(n)->session == c->session;
}

static void
undo(struct change *c)
{
	while (c->n_made > 0)
		free(c->made[--c->n_made]->base);
}

static void
garbage_add(struct sl_lpm_garbage *g, struct sl_lpm_trailer *t)
{
	t->next = NULL;
	if (g->tail != NULL)
		g->tail->next = t;
	else
		g->head = t;
	g->tail = t;
	g->blocks++;
}

static void
carry_out(struct change *c, const struct sl_lpm_node *top, struct sl_lpm_garbage *g)
{
	g->session = c->session;
	if (c->write_to != NULL)
		*c->write_to = *top;
	for (unsigned i = 0; i < c->n_dead; i++) {
		if (c->dead[i]->session == c->session)
			free(c->dead[i]->base);
		else
			garbage_add(g, c->dead[i]);
	}
}

/* Copy an array whose element `at` is added, removed or (equal counts) about to be replaced. */
static void
copy_around(void *dst, unsigned n_dst, const void *src, unsigned n_src, unsigned at, size_t size)
{
	const uint8_t *from = src;
	uint8_t *to = dst;
	size_t skip_dst = n_dst > n_src ? size : 0;
	size_t skip_src = n_dst < n_src ? size : 0;

	if (n_dst == 0 || n_src == 0)
		return;
	memcpy(to, from, at * size);
	memcpy(to + at * size + skip_dst, from + at * size + skip_src,
	       SL_MIN(n_dst, n_src) * size - at * size);
}

/*
 * Give `to`, a copy of `from` with at most one bit of its maps changed, a block of its own.
 * child_at and value_at are the places of the changed elements, 0 where nothing changes.
 */
static int
relayout(struct change *c, const struct sl_lpm_node *from, struct sl_lpm_node *to,
	 unsigned child_at, unsigned value_at)
{
	int rc = block_new(c, to);

	if (rc != 0)
		return rc;
	if (lpm_n_children(to) > 0)
		copy_around(lpm_children(to), lpm_n_children(to), lpm_children(from),
			    lpm_n_children(from), child_at, sizeof(*to));
	copy_around(lpm_values(to), lpm_n_values(to), lpm_values(from), lpm_n_values(from),
		    value_at, sizeof(uint32_t));
	block_retire(c, from);
	return 0;
}

static int
with_child(struct change *c, const struct sl_lpm_node *from, struct sl_lpm_node *to, unsigned idx,
	   const struct sl_lpm_node *child)
{
	unsigned at = lpm_child_rank(from, idx);
	int rc;

	*to = *from;
	to->child_bm |= lpm_bit(idx);
	rc = relayout(c, from, to, at, 0);
	if (rc == 0)
		lpm_children(to)[at] = *child;
	return rc;
}

static void
slot_set(struct sl_lpm_node *n, unsigned slot)
{
	if (slot < LPM_INNER)
		n->exact_bm |= lpm_bit(slot);
	else
		n->inner_bm |= lpm_bit(slot - LPM_INNER);
	n->cover_bm |= lpm_slot_cover(slot);
}

static void
slot_clear(struct sl_lpm_node *n, unsigned slot)
{
	uint64_t left;

	if (slot < LPM_INNER)
		n->exact_bm &= ~lpm_bit(slot);
	else
		n->inner_bm &= ~lpm_bit(slot - LPM_INNER);
	n->cover_bm = n->exact_bm;
	for (left = n->inner_bm; left != 0; left &= left - 1)
		n->cover_bm |= lpm_slot_cover(LPM_INNER + (unsigned)__builtin_ctzll(left));
}

static int
with_value(struct change *c, const struct sl_lpm_node *from, struct sl_lpm_node *to, unsigned slot,
	   uint32_t value)
{
	unsigned at = lpm_value_rank(from, slot);
	int rc;

	*to = *from;
	slot_set(to, slot);
	rc = relayout(c, from, to, 0, at);
	if (rc == 0)
		lpm_values(to)[at] = value;
	return rc;
}

static struct sl_lpm_node
node_at(lpm_key key, unsigned shift)
{
	unsigned below = shift + LPM_STRIDE;
	lpm_key path = below < 128 ? key >> below << below : 0;
	struct sl_lpm_node n = {.key_hi = (uint64_t)(path >> 64), .key_lo = (uint64_t)path};

	n.shift = (uint8_t)shift;
	return n;
}

static struct sl_lpm_node
leaf_of(const struct lpm_place *p, uint32_t value)
{
	struct sl_lpm_node n = node_at(p->key, p->shift);

	slot_set(&n, p->slot);
	n.value = value;
	return n;
}

/* A node above `below`, where the way to the new prefix leaves it. */
static int
fork_above(struct change *c, const struct sl_lpm_node *below, const struct lpm_place *p,
	   uint32_t value, struct sl_lpm_node *to)
{
	lpm_key diff = p->key ^ lpm_node_key(below);
	unsigned shift = p->shift, old_idx, new_idx;
	struct sl_lpm_node leaf;
	int rc;

	while (diff >> shift > 63)
		shift += LPM_STRIDE;
	*to = node_at(p->key, shift);
	old_idx = (unsigned)(lpm_node_key(below) >> shift) & 63;
	new_idx = (unsigned)(p->key >> shift) & 63;
	to->child_bm = lpm_bit(old_idx);
	if (shift == p->shift)
		slot_set(to, p->slot);
	else
		to->child_bm |= lpm_bit(new_idx);
	rc = block_new(c, to);
	if (rc != 0)
		return rc;
	lpm_children(to)[lpm_child_rank(to, old_idx)] = *below;
	if (shift == p->shift) {
		*lpm_values(to) = value;
	} else {
		leaf = leaf_of(p, value);
		lpm_children(to)[lpm_child_rank(to, new_idx)] = leaf;
	}
	return 0;
}

static void
change_begin(struct change *c, const struct sl_lpm *old, const struct sl_lpm_garbage *g)
{
	c->session = g->session;
	if (c->session == 0)
		c->session = __atomic_add_fetch(&last_session, 1, __ATOMIC_RELAXED);
	c->n_made = 0;
	c->n_dead = 0;
	c->n_way = 0;
	c->write_to = NULL;
	c->root = old->root;
}

static const struct sl_lpm_node *
way_down(struct change *c, const struct sl_lpm_node *n, unsigned idx)
{
	c->way[c->n_way].node = n;
	c->way[c->n_way++].idx = idx;
	return sl_lpm_node_child(n, idx);
}

/* Follow the way to a place; the last node on it has the place's level, or is past or beside it. */
static const struct sl_lpm_node *
way_to(struct change *c, const struct sl_lpm_node *above, const struct lpm_place *p)
{
	const struct sl_lpm_node *n = way_down(c, above, 0);
	unsigned path;

	while (n->shift > p->shift) {
		path = lpm_path(n, p->key);
		if (path > 63 || !(n->child_bm >> path & 1))
			break;
		n = way_down(c, n, path);
	}
	return n;
}

/* Put *top in place of the last child on the way, copying upwards as far as blocks are shared. */
static int
replace_upwards(struct change *c, struct sl_lpm_node *top)
{
	struct sl_lpm_node copy;
	int rc;

	while (c->n_way > 0) {
		const struct sl_lpm_node *n = c->way[--c->n_way].node;
		unsigned idx = c->way[c->n_way].idx;

		if (block_is_ours(c, n)) {
			c->write_to = &lpm_children(n)[lpm_child_rank(n, idx)];
			return 0;
		}
		rc = with_child(c, n, &copy, idx, top);
		if (rc != 0)
			return rc;
		*top = copy;
	}
	c->root = lpm_children(top); /* top is a copy of the node above the root */
	return 0;
}

static int
set_at(struct change *c, const struct sl_lpm_node *n, const struct lpm_place *p, uint32_t value,
       struct sl_lpm_node *top)
{
	unsigned path = lpm_path(n, p->key);
	struct sl_lpm_node leaf;

	if (path > 63 || n->shift < p->shift)
		return fork_above(c, n, p, value, top);
	if (n->shift == p->shift)
		return with_value(c, n, top, p->slot, value);
	leaf = leaf_of(p, value);
	return with_child(c, n, top, path, &leaf);
}

int
sl_lpm_set(const struct sl_lpm *old, struct sl_lpm *next, const uint8_t *addr, unsigned len,
	   uint32_t value, struct sl_lpm_garbage *g)
{
	struct sl_lpm_node above = lpm_above_root(old), top;
	const struct sl_lpm_node *n;
	struct lpm_place p;
	struct change c;
	bool is_new = true;
	int rc;

	if (value == SL_LPM_NONE || !lpm_place_of(old->bits, addr, len, &p))
		return -EINVAL;
	change_begin(&c, old, g);
	if (old->root == NULL) {
		struct sl_lpm_node leaf = leaf_of(&p, value);

		rc = with_child(&c, &above, &top, 0, &leaf);
		c.root = lpm_children(&top);
	} else {
		n = way_to(&c, &above, &p);
		is_new =
			n->shift != p.shift || lpm_path(n, p.key) > 63 || !lpm_slot_used(n, p.slot);
		rc = set_at(&c, n, &p, value, &top);
		if (rc == 0)
			rc = replace_upwards(&c, &top);
	}
	if (rc != 0) {
		undo(&c);
		return rc;
	}
	carry_out(&c, &top, g);
	*next = (struct sl_lpm){.root = c.root, .count = old->count + is_new, .bits = old->bits};
	return 0;
}

/* Take the last node on the way out of its parent, which may leave a single child behind. */
static int
without_child(struct change *c, struct sl_lpm_node *top)
{
	const struct sl_lpm_node *parent = c->way[--c->n_way].node;
	unsigned idx = c->way[c->n_way].idx;
	unsigned at = lpm_child_rank(parent, idx);

	*top = *parent;
	top->child_bm &= ~lpm_bit(idx);
	if (c->n_way == 0) { /* the parent is the one above the root: the table is empty */
		block_retire(c, parent);
		top->block = NULL;
		return 0;
	}
	if (lpm_n_children(top) == 1 && lpm_n_values(top) == 0) {
		block_retire(c, parent);
		*top = lpm_children(parent)[1 - at];
		return 0;
	}
	return relayout(c, parent, top, at, 0);
}

static int
del_at(struct change *c, const struct sl_lpm_node *n, unsigned slot, struct sl_lpm_node *top)
{
	unsigned n_values = lpm_n_values(n), n_children = lpm_n_children(n);

	if (n_values == 1 && n_children == 0)
		return without_child(c, top);
	if (n_values == 1 && n_children == 1) {
		block_retire(c, n);
		*top = *lpm_children(n);
		return 0;
	}
	*top = *n;
	slot_clear(top, slot);
	return relayout(c, n, top, 0, lpm_value_rank(n, slot));
}

int
sl_lpm_del(const struct sl_lpm *old, struct sl_lpm *next, const uint8_t *addr, unsigned len,
	   struct sl_lpm_garbage *g)
{
	struct sl_lpm_node above = lpm_above_root(old), top;
	const struct sl_lpm_node *n;
	struct lpm_place p;
	struct change c;
	int rc;

	if (!lpm_place_of(old->bits, addr, len, &p))
		return -EINVAL;
	if (sl_lpm_get(old, addr, len) == SL_LPM_NONE) {
		*next = *old;
		return -ENOENT;
	}
	change_begin(&c, old, g);
	n = way_to(&c, &above, &p);
	rc = del_at(&c, n, p.slot, &top);
	if (rc == 0)
		rc = replace_upwards(&c, &top);
	if (rc != 0) {
		undo(&c);
		return rc;
	}
	carry_out(&c, &top, g);
	*next = (struct sl_lpm){.root = c.root, .count = old->count - 1, .bits = old->bits};
	return 0;
}

/* Free the blocks below a node: all of them, or (session not 0) those of one session. */
static void
free_below(const struct sl_lpm_node *n, uint64_t session)
{
	if (n->block == NULL || (session != 0 && lpm_trailer(n)->session != session))
		return;
	for (unsigned i = 0; i < lpm_n_children(n); i++)
		free_below(&lpm_children(n)[i], session);
	free(n->block);
}

void
sl_lpm_free(struct sl_lpm *t)
{
	struct sl_lpm_node above = lpm_above_root(t);

	free_below(&above, 0);
	t->root = NULL;
	t->count = 0;
}

void
sl_lpm_discard(struct sl_lpm *draft, const struct sl_lpm *base, struct sl_lpm_garbage *g)
{
	struct sl_lpm_node above = lpm_above_root(draft);

	if (g->session != 0)
		free_below(&above, g->session);
	*draft = *base;
}

void
sl_lpm_seal(struct sl_lpm_garbage *g)
{
	g->session = 0;
}

void
sl_lpm_garbage_forget(struct sl_lpm_garbage *g)
{
	*g = (struct sl_lpm_garbage){0};
}

void
sl_lpm_garbage_move(struct sl_lpm_garbage *to, struct sl_lpm_garbage *from)
{
	if (from->head != NULL) {
		if (to->tail != NULL)
			to->tail->next = from->head;
		else
			to->head = from->head;
		to->tail = from->tail;
		to->blocks += from->blocks;
	}
	sl_lpm_garbage_forget(from);
}

void
sl_lpm_garbage_free(struct sl_lpm_garbage *g)
{
	struct sl_lpm_trailer *t = g->head, *next;

	for (; t != NULL; t = next) {
		next = t->next;
		free(t->base);
	}
	sl_lpm_garbage_forget(g);
}
