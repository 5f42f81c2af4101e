/* SPDX-License-Identifier: BSD-3-Clause */
#include "lpm_node.h"

#define LANES 32

lpm_key
lpm_key_load(unsigned bits, const uint8_t *addr)
{
	if (bits == 32)
		return sl_load_be32(addr);
	return (lpm_key)sl_load_be64(addr) << 64 | sl_load_be64(addr + 8);
}

void
lpm_key_store(unsigned bits, lpm_key key, uint8_t *addr)
{
	if (bits == 32) {
		sl_store_be32(addr, (uint32_t)key);
		return;
	}
	sl_store_be64(addr, (uint64_t)(key >> 64));
	sl_store_be64(addr + 8, (uint64_t)key);
}

bool
lpm_place_of(unsigned bits, const uint8_t *addr, unsigned len, struct lpm_place *p)
{
	unsigned level, rel, path;

	if (len > bits)
		return false;
	p->key = len == 0 ? 0 : lpm_key_load(bits, addr) >> (bits - len) << (bits - len);
	level = (len + LPM_LEAD - 1) / LPM_STRIDE;
	rel = len + LPM_LEAD - level * LPM_STRIDE;
	p->shift = bits + LPM_LEAD - (level + 1) * LPM_STRIDE;
	path = (unsigned)(p->key >> p->shift) & 63;
	if (rel == LPM_STRIDE)
		p->slot = path;
	else
		p->slot = LPM_INNER + (1u << rel | path >> (LPM_STRIDE - rel));
	return true;
}

uint64_t
lpm_slot_cover(unsigned slot)
{
	unsigned rel, first, width;

	if (slot < LPM_INNER)
		return lpm_bit(slot);
	slot -= LPM_INNER;
	rel = 31 - (unsigned)__builtin_clz(slot);
	width = LPM_STRIDE - rel;
	first = (slot - (1u << rel)) << width;
	return (lpm_bit(1u << width) - 1) << first;
}

void
sl_lpm_init(struct sl_lpm *t, unsigned bits)
{
	*t = (struct sl_lpm){.bits = bits == 32 ? 32 : 128};
}

/* Bits of inner_bm whose prefixes contain path idx; the longest is the highest bit. */
static inline uint64_t
inner_cover(unsigned idx)
{
	uint64_t bits = 0;

	for (unsigned rel = 1; rel < LPM_STRIDE; rel++)
		bits |= lpm_bit(1u << rel | idx >> (LPM_STRIDE - rel));
	return bits;
}

static inline unsigned
longest_slot(const struct sl_lpm_node *n, unsigned idx)
{
	if (n->exact_bm >> idx & 1)
		return idx;
	return LPM_INNER + 63 - (unsigned)__builtin_clzll(n->inner_bm & inner_cover(idx));
}

uint32_t
sl_lpm_node_value(const struct sl_lpm_node *n, unsigned idx)
{
	if (n->block == NULL)
		return n->value;
	return lpm_values(n)[lpm_value_rank(n, longest_slot(n, idx))];
}

uint32_t
sl_lpm_get(const struct sl_lpm *t, const uint8_t *addr, unsigned len)
{
	const struct sl_lpm_node *n = t->root;
	struct lpm_place p;
	unsigned path;

	if (!lpm_place_of(t->bits, addr, len, &p))
		return SL_LPM_NONE;
	while (n != NULL && n->shift >= p.shift) {
		path = lpm_path(n, p.key);
		if (path > 63)
			break;
		if (n->shift == p.shift)
			return lpm_slot_used(n, p.slot) ? lpm_values(n)[lpm_value_rank(n, p.slot)]
							: SL_LPM_NONE;
		n = n->child_bm >> path & 1 ? sl_lpm_node_child(n, path) : NULL;
	}
	return SL_LPM_NONE;
}

/* Length of the prefix in a slot of a node. */
static unsigned
slot_len(unsigned bits, const struct sl_lpm_node *n, unsigned slot)
{
	unsigned rel = LPM_STRIDE;

	if (slot >= LPM_INNER)
		rel = 31 - (unsigned)__builtin_clz(slot - LPM_INNER);
	return bits - n->shift - LPM_STRIDE + rel;
}

uint32_t
sl_lpm_match(const struct sl_lpm *t, const uint8_t *addr, unsigned *len)
{
	const struct sl_lpm_node *n = t->root, *best = NULL;
	lpm_key key = lpm_key_load(t->bits, addr);
	unsigned path, best_path = 0;

	while (n != NULL) {
		path = lpm_path(n, key);
		if (path > 63)
			break;
		if (n->cover_bm >> path & 1) {
			best = n;
			best_path = path;
		}
		n = n->child_bm >> path & 1 ? sl_lpm_node_child(n, path) : NULL;
	}
	if (best == NULL)
		return SL_LPM_NONE;
	if (len != NULL)
		*len = slot_len(t->bits, best, longest_slot(best, best_path));
	return sl_lpm_node_value(best, best_path);
}

bool
sl_lpm_overlaps(const struct sl_lpm *t, const uint8_t *addr, unsigned len)
{
	const struct sl_lpm_node *n = t->root;
	struct lpm_place p;
	unsigned path;

	if (!lpm_place_of(t->bits, addr, len, &p))
		return false;
	while (n != NULL && n->shift > p.shift) {
		path = lpm_path(n, p.key);
		if (path > 63)
			return false;
		if (n->cover_bm >> path & 1)
			return true;
		n = n->child_bm >> path & 1 ? sl_lpm_node_child(n, path) : NULL;
	}
	if (n == NULL)
		return false;
	if (n->shift < p.shift) /* the whole node lies inside the prefix, or outside */
		return len == 0 || (lpm_node_key(n) ^ p.key) >> (t->bits - len) == 0;
	return lpm_path(n, p.key) <= 63 &&
	       ((n->cover_bm | n->child_bm) & lpm_slot_cover(p.slot)) != 0;
}

unsigned
sl_lpm_alike(const struct sl_lpm *t, const uint8_t *addr)
{
	const struct sl_lpm_node *n = t->root;
	lpm_key key = lpm_key_load(t->bits, addr), far;
	unsigned same = t->bits;

	while (n != NULL) {
		far = key ^ lpm_node_key(n);
		same = n->shift;
		if (far >> n->shift > 63) { /* so are all that leave the way at this bit */
			while (far >> same > 1)
				same++;
			break;
		}
		n = n->child_bm >> (unsigned)(far >> n->shift) & 1
			    ? sl_lpm_node_child(n, (unsigned)(far >> n->shift))
			    : NULL;
	}
	return same;
}

/* One walk of several lanes. A lane that ends leaves the list of active ones. */
struct lanes {
	const struct sl_lpm_node *node[LANES];
	const struct sl_lpm_node *best[LANES];
	uint64_t hi[LANES];
	uint64_t lo[LANES];
	uint8_t best_path[LANES];
	uint8_t active[LANES];
};

/* Before a lane's first match: a node that covers everything with no value at all. */
static const struct sl_lpm_node no_match = {.value = SL_LPM_NONE};

/* Take one step in each active lane, without a branch that depends on the data. */
static inline unsigned
lanes_step(struct lanes *l, unsigned n_active, bool wide)
{
	unsigned left = 0;

	for (unsigned i = 0; i < n_active; i++) {
		unsigned lane = l->active[i];
		const struct sl_lpm_node *n = l->node[lane];
		lpm_key far;
		uint64_t path, on, hit, down;

		if (wide) {
			far = (lpm_key)(l->hi[lane] ^ n->key_hi) << 64 | (l->lo[lane] ^ n->key_lo);
			far >>= n->shift;
			path = (uint64_t)far;
			on = far < 64;
		} else {
			path = (l->lo[lane] ^ n->key_lo) >> n->shift;
			on = path < 64;
		}
		path &= 63;
		hit = n->cover_bm >> path & on;
		down = n->child_bm >> path & on;
		l->best[lane] = hit ? n : l->best[lane];
		l->best_path[lane] = hit ? (uint8_t)path : l->best_path[lane];
		n = sl_lpm_node_child(n, (unsigned)path);
		__builtin_prefetch(n);
		l->node[lane] = n;
		l->active[left] = (uint8_t)lane;
		left += (unsigned)down;
	}
	return left;
}

static inline void
lookup_lanes(const struct sl_lpm *const t[], const uint8_t *const addr[], uint32_t out[],
	     unsigned n, bool wide)
{
	struct lanes l;
	unsigned n_active = 0;

	for (unsigned i = 0; i < n; i++) {
		l.node[i] = t[i]->root;
		l.best[i] = &no_match;
		l.best_path[i] = 0;
		l.hi[i] = wide ? sl_load_be64(addr[i]) : 0;
		l.lo[i] = wide ? sl_load_be64(addr[i] + 8) : sl_load_be32(addr[i]);
		l.active[n_active] = (uint8_t)i;
		n_active += t[i]->root != NULL;
	}
	while (n_active > 0)
		n_active = lanes_step(&l, n_active, wide);
	for (unsigned i = 0; i < n; i++)
		out[i] = sl_lpm_node_value(l.best[i], l.best_path[i]);
}

void
sl_lpm_lookup_burst(const struct sl_lpm *const t[], const uint8_t *const addr[], uint32_t out[],
		    unsigned n)
{
	unsigned some;

	for (unsigned i = 0; i < n; i += some) {
		some = SL_MIN(n - i, LANES);
		if (t[i]->bits == 32)
			lookup_lanes(t + i, addr + i, out + i, some, false);
		else
			lookup_lanes(t + i, addr + i, out + i, some, true);
	}
}

struct walk {
	sl_lpm_walk_cb cb;
	void *ctx;
	unsigned bits;
};

static int
visit(const struct walk *w, const struct sl_lpm_node *n, unsigned slot, unsigned idx)
{
	uint8_t addr[16] = {0};

	if (!lpm_slot_used(n, slot))
		return 0;
	lpm_key_store(w->bits, lpm_node_key(n) | (lpm_key)idx << n->shift, addr);
	return w->cb(w->ctx, addr, slot_len(w->bits, n, slot),
		     lpm_values(n)[lpm_value_rank(n, slot)]);
}

/* All that begins at path idx of a node: inner prefixes, the exact one, the child's. */
static int
walk_path(const struct walk *w, const struct sl_lpm_node *n, unsigned idx)
{
	int rc = 0;

	for (unsigned rel = 1; rel < LPM_STRIDE && rc == 0; rel++) {
		if ((idx & ((1u << (LPM_STRIDE - rel)) - 1)) == 0)
			rc = visit(w, n, LPM_INNER + (1u << rel | idx >> (LPM_STRIDE - rel)), idx);
	}
	return rc != 0 ? rc : visit(w, n, idx, idx);
}

int
sl_lpm_walk(const struct sl_lpm *t, sl_lpm_walk_cb cb, void *ctx)
{
	struct walk w = {.cb = cb, .ctx = ctx, .bits = t->bits};
	struct {
		const struct sl_lpm_node *n;
		unsigned idx;
	} stack[LPM_DEPTH_MAX];
	unsigned depth = 0;
	int rc;

	if (t->root == NULL)
		return 0;
	stack[depth].n = t->root;
	stack[depth++].idx = 0;
	while (depth > 0) {
		const struct sl_lpm_node *n = stack[depth - 1].n;
		unsigned idx = stack[depth - 1].idx++;

		if (idx > 63) {
			depth--;
			continue;
		}
		rc = walk_path(&w, n, idx);
		if (rc != 0)
			return rc;
		if (n->child_bm >> idx & 1) {
			stack[depth].n = sl_lpm_node_child(n, idx);
			stack[depth++].idx = 0;
		}
	}
	return 0;
}

static size_t
block_bytes(const struct sl_lpm_node *n)
{
	size_t sum;

	if (n->block == NULL)
		return 0;
	sum = lpm_block_trailer_at(lpm_n_children(n), lpm_n_values(n)) +
	      sizeof(struct sl_lpm_trailer);
	for (unsigned i = 0; i < lpm_n_children(n); i++)
		sum += block_bytes(&lpm_children(n)[i]);
	return sum;
}

size_t
sl_lpm_bytes(const struct sl_lpm *t)
{
	struct sl_lpm_node above = lpm_above_root(t);

	return block_bytes(&above);
}
