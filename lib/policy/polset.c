/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "polset_int.h"
#include "sl_env.h"

#define ENTRIES_MAX (1u << 24)
#define ROLES_MAX (UINT16_MAX / 2)
#define PROTO_TCP 6
#define PROTO_UDP 17
/* Ticks compare modulo 2^32: what ends later than this is "never", until next_change_ns. */
#define TICKS_AHEAD_MAX (UINT64_C(1) << 30)

static const struct sl_pol_ports any_port = {0, UINT16_MAX};
static const struct sl_pol_place anywhere[2] = {{.prefix.ip.family = 4}, {.prefix.ip.family = 6}};

struct compile {
	const struct sl_policy *p;
	const struct sl_polset_env *env;
	struct sl_polset *s;
	uint64_t *order; /* of the rules that hold, see order_key() */
	uint32_t n_order;
	bool too_many; /* entries */
};

/** The lists whose combinations are a rule's entries. */
struct parts {
	const struct sl_prefix *src; /* NULL: any */
	unsigned n_src;
	const struct sl_pol_ports *ports;
	unsigned n_ports;
};

static bool
holds(const struct sl_pol_rule *r, uint64_t wall_ns)
{
	return r->enabled && r->not_before_ns <= wall_ns &&
	       (r->expires_ns == 0 || wall_ns < r->expires_ns);
}

static unsigned
family_of(const struct sl_prefix *p)
{
	return p->ip.family == 6;
}

static uint32_t
end_tick(const struct sl_polset_env *env, uint64_t wall_ns)
{
	if (wall_ns == 0 ||
	    (wall_ns > env->wall_ns && (wall_ns - env->wall_ns) / SL_TICK_NS > TICKS_AHEAD_MAX))
		return 0;
	return sl_tick_of(wall_ns > env->wall_to_mono_ns ? wall_ns - env->wall_to_mono_ns : 0);
}

/* By role, priority, deny first, place: the order of the entries of a group. */
static uint64_t
order_key(const struct sl_pol_rule *r, uint32_t at)
{
	return (uint64_t)r->role_at << 48 | (uint64_t)r->priority << 40 | (uint64_t)r->allow << 32 |
	       at;
}

static int
order_cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
note_end(struct sl_polset *s, uint32_t tick)
{
	if (tick != 0 && (s->first_end_tick == 0 || sl_tick_reached(s->first_end_tick, tick)))
		s->first_end_tick = tick;
}

static void
rules_fill(struct compile *c)
{
	uint64_t now = c->env->wall_ns;

	for (uint32_t i = 0; i < c->p->n_rules; i++) {
		const struct sl_pol_rule *r = &c->p->rules[i];

		c->s->rules[i] = (struct sl_polset_rule){
			.id = r->id,
			.role = (uint16_t)r->role_at,
			.role_id = c->p->roles[r->role_at].id,
			.priority = r->priority,
			.allow = r->allow,
			.log = r->log,
			.log_last = r->log > 0 ? (uint32_t)(UINT32_MAX / r->log) : 0,
			.bidirectional = r->bidirectional,
			.expires_tick = end_tick(c->env, r->expires_ns),
		};
		c->s->ends |= c->s->rules[i].expires_tick != 0;
		if (!holds(r, now))
			continue;
		c->order[c->n_order++] = order_key(r, i);
		if (r->allow)
			note_end(c->s, c->s->rules[i].expires_tick);
	}
	c->s->next_change_ns = sl_policy_next_change(c->p, now);
	qsort(c->order, c->n_order, sizeof(*c->order), order_cmp);
}

static struct parts
parts_of(const struct sl_pol_rule *r)
{
	struct parts x = {.src = r->n_src > 0 ? r->src : NULL,
			  .n_src = r->n_src,
			  .ports = r->ports,
			  .n_ports = r->n_ports};

	if (r->n_ports == 0 || (r->proto != PROTO_TCP && r->proto != PROTO_UDP)) {
		x.ports = &any_port;
		x.n_ports = 1;
	}
	return x;
}

static void
prefix_set(const struct sl_prefix *p, uint64_t *hi, uint64_t *lo, uint64_t *mask_hi,
	   uint64_t *mask_lo)
{
	unsigned len = p->len;

	if (p->ip.family == 4) {
		*mask_lo = len == 0 ? 0 : UINT32_MAX & (UINT64_MAX << (32 - len));
		*lo = sl_load_be32(p->ip.b) & *mask_lo;
		return;
	}
	*mask_hi = len == 0 ? 0 : len >= 64 ? UINT64_MAX : UINT64_MAX << (64 - len);
	*mask_lo = len <= 64 ? 0 : UINT64_MAX << (128 - len);
	*hi = sl_load_be64(p->ip.b) & *mask_hi;
	*lo = sl_load_be64(p->ip.b + 8) & *mask_lo;
}

static void
emit_one(struct compile *c, uint32_t at, bool mirrored, const struct sl_prefix *src,
	 const struct sl_prefix *dst, const struct sl_pol_ports *ports, uint16_t iface)
{
	const struct sl_pol_rule *r = &c->p->rules[at];
	const struct sl_prefix *from = mirrored ? dst : src, *to = mirrored ? src : dst;
	unsigned fam = family_of(dst);
	struct sl_polset_entry *e;

	if (c->s->entries[fam] == NULL) { /* the first pass counts */
		c->s->n_entries[fam]++;
		c->too_many |= c->s->n_entries[0] + c->s->n_entries[1] > ENTRIES_MAX;
		return;
	}
	c->s->vote[fam][c->s->n_entries[fam]] = SL_POL_VOTE(at, r->allow);
	e = &c->s->entries[fam][c->s->n_entries[fam]++];
	*e = (struct sl_polset_entry){
		.group = SL_POL_GROUP(r->role_at, mirrored),
		.src_len = from->len,
		.dst_len = to->len,
		.iface = iface,
		.proto = r->proto,
		.sport_hi = UINT16_MAX,
		.dport_hi = UINT16_MAX,
		.rule = at,
		.priority = r->priority,
		.allow = r->allow,
	};
	prefix_set(from, &e->src_hi, &e->src_lo, &e->src_mask_hi, &e->src_mask_lo);
	prefix_set(to, &e->dst_hi, &e->dst_lo, &e->dst_mask_hi, &e->dst_mask_lo);
	if (mirrored) {
		e->sport_lo = ports->lo;
		e->sport_hi = ports->hi;
	} else {
		e->dport_lo = ports->lo;
		e->dport_hi = ports->hi;
	}
}

/* Entries towards one place: prefixes of unlike families do not meet. */
static void
emit_place(struct compile *c, uint32_t at, bool mirrored, const struct parts *x,
	   const struct sl_pol_place *to)
{
	unsigned fam = family_of(&to->prefix);
	uint16_t iface = 0;

	if (to->iface[0] != 0) {
		iface = c->env->iface_id(c->env->ctx, to->iface);
		if (iface == 0)
			return;
	}
	for (unsigned i = 0; i < (x->src != NULL ? x->n_src : 1) && !c->too_many; i++) {
		const struct sl_prefix *src = x->src != NULL ? &x->src[i] : &anywhere[fam].prefix;

		if (family_of(src) != fam)
			continue;
		for (unsigned k = 0; k < x->n_ports && !c->too_many; k++)
			emit_one(c, at, mirrored, src, &to->prefix, &x->ports[k], iface);
	}
}

static void
emit_rule(struct compile *c, uint32_t at, bool mirrored)
{
	const struct sl_pol_rule *r = &c->p->rules[at];
	struct parts x = parts_of(r);
	bool any = false;

	for (unsigned i = 0; i < r->n_to; i++) {
		const struct sl_pol_to *to = &r->to[i];
		const struct sl_pol_target *t;

		if (to->any) {
			any = true;
		} else if (to->target[0] != 0) {
			t = &c->p->targets[to->target_at];
			for (unsigned k = 0; k < t->n_addrs; k++)
				emit_place(c, at, mirrored, &x, &t->addrs[k]);
		} else {
			emit_place(c, at, mirrored, &x, &to->place);
		}
	}
	for (unsigned fam = 0; any && fam < 2; fam++)
		emit_place(c, at, mirrored, &x, &anywhere[fam]);
}

static void
group_begin(struct compile *c, unsigned group)
{
	for (unsigned fam = 0; fam < 2; fam++)
		c->s->group_first[fam][group] = c->s->n_entries[fam];
}

/* Count the entries, or fill them where there is room. */
static void
emit_all(struct compile *c)
{
	uint32_t i = 0, first;

	c->s->n_entries[0] = c->s->n_entries[1] = 0;
	for (unsigned role = 0; role < c->s->n_roles; role++) {
		first = i;
		group_begin(c, SL_POL_GROUP(role, false));
		for (; i < c->n_order && c->order[i] >> 48 == role; i++)
			emit_rule(c, (uint32_t)c->order[i], false);
		group_begin(c, SL_POL_GROUP(role, true));
		for (i = first; i < c->n_order && c->order[i] >> 48 == role; i++) {
			if (c->p->rules[(uint32_t)c->order[i]].bidirectional)
				emit_rule(c, (uint32_t)c->order[i], true);
		}
	}
	group_begin(c, c->s->n_groups);
}

static int
entries_make(struct compile *c, struct sl_error *e)
{
	emit_all(c);
	if (c->too_many)
		return sl_fail(e, -E2BIG, "limit_entries", "/rules",
			       "the rules make more than %u combinations of source, destination "
			       "and port range",
			       ENTRIES_MAX);
	for (unsigned fam = 0; fam < 2; fam++) {
		c->s->entries[fam] = calloc(c->s->n_entries[fam] + 1, sizeof(*c->s->entries[fam]));
		c->s->vote[fam] = calloc(c->s->n_entries[fam] + 1, sizeof(*c->s->vote[fam]));
		if (c->s->entries[fam] == NULL || c->s->vote[fam] == NULL)
			return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the rules");
	}
	emit_all(c);
	return 0;
}

static void
names_fill(struct compile *c)
{
	struct sl_polset *s = c->s;

	for (unsigned i = 0; i < s->n_roles; i++) {
		s->roles[i].id = c->p->roles[i].id;
		memcpy(s->roles[i].name, c->p->roles[i].name, SL_POL_NAME);
	}
	for (unsigned i = 0; i < s->n_targets; i++) {
		memcpy(s->targets[i].name, c->p->targets[i].name, SL_POL_NAME);
		if (s->withdrawn != NULL)
			s->withdrawn[i] = c->p->targets[i].withdrawn;
	}
	for (unsigned i = 0; i < s->n_zones; i++) {
		s->zones[i].id = c->p->zones[i].id;
		s->zones[i].type = (uint8_t)c->p->zones[i].type;
		s->zones[i].allow = c->p->zones[i].allow;
		memcpy(s->zones[i].name, c->p->zones[i].name, SL_POL_NAME);
	}
}

static bool
any_withdrawn(const struct sl_policy *p)
{
	for (unsigned i = 0; i < p->n_targets; i++) {
		if (p->targets[i].withdrawn)
			return true;
	}
	return false;
}

static int
set_make(struct compile *c, struct sl_error *e)
{
	const struct sl_policy *p = c->p;
	struct sl_polset *s = c->s;

	if (p->n_roles > ROLES_MAX || p->n_targets >= SL_POL_NONE16 || p->n_zones >= SL_POL_NONE16)
		return sl_fail(e, -E2BIG, "limit_entries", "",
			       "at most %u roles, and %u targets and zones, can be told apart",
			       ROLES_MAX, SL_POL_NONE16 - 1);
	s->generation = c->env->generation;
	s->version = p->version;
	s->n_rules = p->n_rules;
	s->n_roles = (uint16_t)p->n_roles;
	s->n_targets = (uint16_t)p->n_targets;
	s->n_zones = (uint16_t)p->n_zones;
	s->n_groups = 2 * p->n_roles;
	s->rules = calloc(p->n_rules + 1, sizeof(*s->rules));
	s->roles = calloc(p->n_roles + 1, sizeof(*s->roles));
	s->targets = calloc(p->n_targets + 1, sizeof(*s->targets));
	s->zones = calloc(p->n_zones + 1, sizeof(*s->zones));
	if (any_withdrawn(p)) {
		s->withdrawn = calloc(p->n_targets, sizeof(*s->withdrawn));
		if (s->withdrawn == NULL)
			return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the policy");
	}
	s->group_first[0] = calloc(s->n_groups + 1, sizeof(uint32_t));
	s->group_first[1] = calloc(s->n_groups + 1, sizeof(uint32_t));
	c->order = calloc(p->n_rules + 1, sizeof(*c->order));
	if (s->rules == NULL || s->roles == NULL || s->targets == NULL || s->zones == NULL ||
	    s->group_first[0] == NULL || s->group_first[1] == NULL || c->order == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the policy");
	names_fill(c);
	rules_fill(c);
	return entries_make(c, e);
}

struct sl_polset *
sl_polset_compile(const struct sl_policy *p, const struct sl_polset_env *env, struct sl_error *e)
{
	struct compile c = {.p = p, .env = env, .s = calloc(1, sizeof(*c.s))};
	int rc;

	if (c.s == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the policy");
		return NULL;
	}
	rc = set_make(&c, e);
	if (rc == 0) {
		rc = polset_where_make(c.s, p, env);
		if (rc != 0)
			sl_fail(e, rc, "no_memory", "", "no memory for zones and targets");
	}
	free(c.order);
	if (rc == 0)
		return c.s;
	sl_polset_free(c.s);
	return NULL;
}

void
sl_polset_free(struct sl_polset *s)
{
	if (s == NULL)
		return;
	polset_where_free(s);
	for (unsigned fam = 0; fam < 2; fam++) {
		free(s->entries[fam]);
		free(s->vote[fam]);
		free(s->group_first[fam]);
	}
	free(s->rules);
	free(s->roles);
	free(s->targets);
	free(s->withdrawn);
	free(s->zones);
	free(s);
}
