/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "authz_fixture.h"

#define IFACES 3

uint64_t
fix_random(struct fix_rng *r)
{
	uint64_t z = r->s += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

unsigned
fix_below(struct fix_rng *r, unsigned n)
{
	return (unsigned)(fix_random(r) % n);
}

static void
address(struct fix_rng *r, unsigned v6, uint8_t *a)
{
	static const uint8_t octet[] = {0, 1, 2, 127, 128, 255};

	for (unsigned i = 0; i < (v6 ? 16 : 4); i++)
		a[i] = v6 && i > 1 && i < 14 ? 0 : octet[fix_below(r, SL_ARRAY_SIZE(octet))];
	a[0] = fix_below(r, 4) == 0 ? a[0] : 10;
}

void
fix_prefix(struct fix_rng *r, unsigned v6, struct sl_prefix *p)
{
	static const uint8_t v4_len[] = {0, 1, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32};
	static const uint8_t v6_len[] = {0,  1,	 15, 16, 17,  31,  32,	33,  63,
					 64, 65, 95, 96, 112, 113, 120, 127, 128};

	memset(p, 0, sizeof(*p));
	p->ip.family = v6 ? 6 : 4;
	address(r, v6, p->ip.b);
	p->len = v6 ? v6_len[fix_below(r, SL_ARRAY_SIZE(v6_len))]
		    : v4_len[fix_below(r, SL_ARRAY_SIZE(v4_len))];
	sl_prefix_mask(p);
}

static uint64_t
mask64(unsigned len)
{
	return len == 0 ? 0 : len >= 64 ? UINT64_MAX : UINT64_MAX << (64 - len);
}

/* net: high and low half, then the halves of the mask */
static void
halves(const struct sl_prefix *p, uint64_t *hi, uint64_t *lo, uint64_t *mask_hi, uint64_t *mask_lo)
{
	*hi = 0;
	*mask_hi = 0;
	if (p->ip.family == 4) {
		*lo = sl_load_be32(p->ip.b);
		*mask_lo = mask64(p->len) >> 32;
		return;
	}
	*hi = sl_load_be64(p->ip.b);
	*lo = sl_load_be64(p->ip.b + 8);
	*mask_hi = mask64(p->len);
	*mask_lo = p->len > 64 ? mask64(p->len - 64U) : 0;
}

static void
ports(struct fix_rng *r, uint16_t *lo, uint16_t *hi)
{
	static const uint16_t port[] = {0, 1, 80, 255, 256, 443, 8000, 8010, 32768, 65534, 65535};
	uint16_t a = port[fix_below(r, SL_ARRAY_SIZE(port))];
	uint16_t b = port[fix_below(r, SL_ARRAY_SIZE(port))];

	*lo = SL_MIN(a, b);
	*hi = SL_MAX(a, b);
	if (fix_below(r, 3) == 0) {
		*lo = 0;
		*hi = UINT16_MAX;
	} else if (fix_below(r, 3) == 0) {
		*hi = *lo;
	}
}

static void
random_entry(struct fix_rng *r, unsigned v6, unsigned group, struct sl_polset_entry *e)
{
	static const uint16_t proto[] = {6, 6, 17, 1, 58, 0, 255, SL_POL_PROTO_ANY};
	static const uint8_t priority[] = {0, 1, 127, 128, 128, 128, 255};
	struct sl_prefix p;

	memset(e, 0, sizeof(*e));
	fix_prefix(r, v6, &p);
	if (fix_below(r, 2) == 0) { /* a rule without src */
		p.len = 0;
		sl_prefix_mask(&p);
	}
	halves(&p, &e->src_hi, &e->src_lo, &e->src_mask_hi, &e->src_mask_lo);
	e->src_len = p.len;
	fix_prefix(r, v6, &p);
	halves(&p, &e->dst_hi, &e->dst_lo, &e->dst_mask_hi, &e->dst_mask_lo);
	e->dst_len = p.len;
	e->group = (uint16_t)group;
	e->iface = (uint16_t)(fix_below(r, 3) == 0 ? 1 + fix_below(r, IFACES) : 0);
	e->proto = proto[fix_below(r, SL_ARRAY_SIZE(proto))];
	e->sport_hi = e->dport_hi = UINT16_MAX;
	ports(r, group & 1 ? &e->sport_lo : &e->dport_lo, group & 1 ? &e->sport_hi : &e->dport_hi);
	e->priority = priority[fix_below(r, SL_ARRAY_SIZE(priority))];
	e->allow = fix_below(r, 2);
}

static int
by_rank(const void *x, const void *y)
{
	const struct sl_polset_entry *a = x, *b = y;

	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	if (a->allow != b->allow)
		return a->allow ? 1 : -1;
	return (a->src_lo > b->src_lo) - (a->src_lo < b->src_lo);
}

static void *
zeroed(size_t n, size_t size)
{
	void *p = calloc(n + 1, size);

	assert_non_null(p);
	return p;
}

static void
fill_family(struct fix_rng *r, const struct fix_shape *shape, struct sl_polset *s, unsigned v6)
{
	uint32_t n = 0, at = 0;

	s->entries[v6] = zeroed((size_t)s->n_groups * shape->entries, sizeof(*s->entries[v6]));
	s->vote[v6] = zeroed((size_t)s->n_groups * shape->entries, sizeof(*s->vote[v6]));
	s->group_first[v6] = zeroed(s->n_groups + 1, sizeof(*s->group_first[v6]));
	for (unsigned g = 0; g < s->n_groups; g++) {
		unsigned m = fix_below(r, 8) == 0 ? 0 : fix_below(r, shape->entries + 1);

		for (unsigned i = 0; i < m; i++)
			random_entry(r, v6, g, &s->entries[v6][n++]);
	}
	qsort(s->entries[v6], n, sizeof(*s->entries[v6]), by_rank);
	s->n_entries[v6] = n;
	for (unsigned g = 0; g <= s->n_groups; g++) {
		while (at < n && s->entries[v6][at].group < g)
			at++;
		s->group_first[v6][g] = at;
	}
}

/* One rule an entry. */
static void
fill_rules(struct fix_rng *r, struct sl_polset *s)
{
	s->n_rules = s->n_entries[0] + s->n_entries[1];
	s->rules = zeroed(s->n_rules, sizeof(*s->rules));
	for (uint32_t i = 0; i < s->n_rules; i++) {
		unsigned v6 = i >= s->n_entries[0];
		uint32_t at = v6 ? i - s->n_entries[0] : i;
		struct sl_polset_entry *e = &s->entries[v6][at];

		e->rule = i;
		s->vote[v6][at] = SL_POL_VOTE(i, e->allow);
		s->rules[i] = (struct sl_polset_rule){.id = i + 1,
						      .role = e->group >> 1,
						      .priority = e->priority,
						      .allow = e->allow,
						      .bidirectional = e->group & 1};
		if (fix_below(r, 4) == 0)
			s->rules[i].expires_tick = 1000 + fix_below(r, 1000);
		s->ends |= s->rules[i].expires_tick != 0;
		if (e->allow && s->rules[i].expires_tick != 0 &&
		    (s->first_end_tick == 0 || s->rules[i].expires_tick < s->first_end_tick))
			s->first_end_tick = s->rules[i].expires_tick;
	}
}

static void
fill_where(struct fix_rng *r, struct sl_lpm t[2], unsigned n)
{
	struct sl_lpm_garbage g = {0};

	for (unsigned v6 = 0; v6 < 2; v6++) {
		sl_lpm_init(&t[v6], v6 ? 128 : 32);
		for (unsigned i = 0; i < n; i++) {
			struct sl_prefix p;

			fix_prefix(r, v6, &p);
			assert_int_equal(sl_lpm_set(&t[v6], &t[v6], p.ip.b, p.len, i, &g), 0);
		}
	}
	sl_lpm_seal(&g);
	sl_lpm_garbage_free(&g);
}

struct sl_polset *
fix_set(struct fix_rng *r, const struct fix_shape *shape, uint64_t generation)
{
	struct sl_polset *s = zeroed(1, sizeof(*s));

	s->generation = generation;
	s->n_roles = (uint16_t)shape->roles;
	s->n_groups = 2 * shape->roles;
	s->n_zones = (uint16_t)shape->zones;
	s->n_targets = (uint16_t)shape->targets;
	s->zones = zeroed(shape->zones, sizeof(*s->zones));
	s->withdrawn = shape->withdrawn > 0 ? zeroed(shape->targets, 1) : NULL;
	for (unsigned i = 0; i < shape->withdrawn; i++)
		s->withdrawn[i] = 1;
	s->targets = zeroed(shape->targets, sizeof(*s->targets));
	s->roles = zeroed(shape->roles, sizeof(*s->roles));
	for (unsigned i = 0; i < shape->zones; i++)
		s->zones[i] = (struct sl_polset_zone){.id = i + 1, .allow = i & 1};
	fill_family(r, shape, s, 0);
	fill_family(r, shape, s, 1);
	fill_rules(r, s);
	fill_where(r, s->common.zone, shape->zones);
	fill_where(r, s->common.target, shape->targets);
	if (shape->zones > 1) { /* one interface sees zones of its own */
		s->n_where = 2;
		s->where = zeroed(2, sizeof(*s->where));
		s->where[1] = zeroed(1, sizeof(*s->where[1]));
		fill_where(r, s->where[1]->zone, shape->zones);
		fill_where(r, s->where[1]->target, shape->targets);
	}
	return s;
}

/* An address inside a prefix, often its first or last, sometimes just outside. */
static void
near(struct fix_rng *r, unsigned v6, const uint64_t net[4], uint8_t *to)
{
	unsigned __int128 mask = (unsigned __int128)net[2] << 64 | net[3];
	unsigned __int128 rnd = (unsigned __int128)fix_random(r) << 64 | fix_random(r);
	unsigned __int128 a = (unsigned __int128)net[0] << 64 | net[1];

	switch (fix_below(r, 8)) {
	case 0:
		a--;
		break;
	case 1:
		a = (a | ~mask) + 1;
		break;
	case 2:
	case 3:
		break;
	case 4:
	case 5:
		a |= ~mask;
		break;
	default:
		a |= rnd & ~mask;
	}
	sl_polset_address(to, v6, (uint64_t)(a >> 64), (uint64_t)a);
}

static uint16_t
near_port(struct fix_rng *r, uint16_t lo, uint16_t hi)
{
	switch (fix_below(r, 6)) {
	case 0:
		return (uint16_t)(lo - 1);
	case 1:
		return (uint16_t)(hi + 1);
	case 2:
		return lo;
	case 3:
		return hi;
	default:
		return (uint16_t)(lo + fix_below(r, hi - lo + 1U));
	}
}

static void
anywhere(struct fix_rng *r, unsigned v6, struct fix_flow *out)
{
	static const uint8_t proto[] = {6, 17, 1, 58, 47};

	address(r, v6, out->src);
	address(r, v6, out->dst);
	out->f.proto = proto[fix_below(r, SL_ARRAY_SIZE(proto))];
	out->f.sport = (uint16_t)fix_random(r);
	out->f.dport = (uint16_t)fix_random(r);
	out->f.iface = (uint16_t)(1 + fix_below(r, IFACES + 1));
}

void
fix_flow(struct fix_rng *r, const struct sl_polset *s, unsigned v6, struct fix_flow *out)
{
	const struct sl_polset_entry *e;

	memset(out, 0, sizeof(*out));
	out->f.version = v6 ? 6 : 4;
	out->f.src = out->src;
	out->f.dst = out->dst;
	anywhere(r, v6, out);
	if (s->n_entries[v6] == 0 || fix_below(r, 5) == 0)
		return;
	e = &s->entries[v6][fix_below(r, s->n_entries[v6])];
	near(r, v6, (uint64_t[4]){e->src_hi, e->src_lo, e->src_mask_hi, e->src_mask_lo}, out->src);
	near(r, v6, (uint64_t[4]){e->dst_hi, e->dst_lo, e->dst_mask_hi, e->dst_mask_lo}, out->dst);
	if (e->proto != SL_POL_PROTO_ANY && fix_below(r, 8) != 0)
		out->f.proto = (uint8_t)e->proto;
	if (e->iface != 0 && fix_below(r, 8) != 0)
		out->f.iface = e->iface;
	out->f.sport = near_port(r, e->sport_lo, e->sport_hi);
	out->f.dport = near_port(r, e->dport_lo, e->dport_hi);
}
