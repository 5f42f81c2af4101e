/* SPDX-License-Identifier: BSD-3-Clause */
#include "polset_int.h"
#include "sl_env.h"

/** A flow with its addresses as the entries hold them. */
struct key {
	uint64_t src_hi, src_lo, dst_hi, dst_lo;
	const struct sl_polset_flow *f;
};

static struct key
key_of(const struct sl_polset_flow *f)
{
	struct key k = {.f = f};

	if (f->version == 6) {
		k.src_hi = sl_load_be64(f->src);
		k.src_lo = sl_load_be64(f->src + 8);
		k.dst_hi = sl_load_be64(f->dst);
		k.dst_lo = sl_load_be64(f->dst + 8);
	} else {
		k.src_lo = sl_load_be32(f->src);
		k.dst_lo = sl_load_be32(f->dst);
	}
	return k;
}

static bool
matches(const struct sl_polset_entry *e, const struct key *k)
{
	const struct sl_polset_flow *f = k->f;

	if (((k->dst_lo ^ e->dst_lo) & e->dst_mask_lo) != 0) /* the usual end */
		return false;
	if (((k->dst_hi ^ e->dst_hi) & e->dst_mask_hi) |
	    ((k->src_lo ^ e->src_lo) & e->src_mask_lo) | ((k->src_hi ^ e->src_hi) & e->src_mask_hi))
		return false;
	return (e->proto == f->proto || e->proto == SL_POL_PROTO_ANY) && f->dport >= e->dport_lo &&
	       f->dport <= e->dport_hi && f->sport >= e->sport_lo && f->sport <= e->sport_hi &&
	       (e->iface == 0 || e->iface == f->iface);
}

bool
sl_polset_match(const struct sl_polset_entry *e, const struct sl_polset_flow *f)
{
	struct key k = key_of(f);

	return matches(e, &k);
}

static bool
is_over(uint32_t tick, uint32_t end)
{
	return tick != 0 && end != 0 && sl_tick_reached(tick, end);
}

/** @param tick allow rules that have ended do not count, though they are still in the tables */
static uint32_t
scan_at(const struct sl_polset *s, unsigned group, const struct sl_polset_flow *f, uint32_t tick)
{
	unsigned fam = f->version == 6;
	struct key k = key_of(f);

	if (group >= s->n_groups)
		return SL_POL_NONE;
	for (uint32_t i = s->group_first[fam][group]; i < s->group_first[fam][group + 1]; i++) {
		const struct sl_polset_entry *e = &s->entries[fam][i];

		if (matches(e, &k) && !(e->allow && is_over(tick, s->rules[e->rule].expires_tick)))
			return i;
	}
	return SL_POL_NONE;
}

uint32_t
sl_polset_scan(const struct sl_polset *s, unsigned group, const struct sl_polset_flow *f)
{
	return scan_at(s, group, f, 0);
}

/* --- the verdict ------------------------------------------------------------------------------ */

struct eval {
	const struct sl_polset *s;
	const struct sl_polset_query *q;
	struct sl_votes votes;
	bool map_error; /* a role that this policy does not have */
	struct sl_trace_role *trace;
	unsigned max, n_trace;
};

static void
note(struct eval *v, uint16_t role, bool mirrored, bool expired, uint32_t entry)
{
	if (v->trace == NULL || v->n_trace >= v->max)
		return;
	v->trace[v->n_trace++] = (struct sl_trace_role){.role = role,
							.mirrored = mirrored,
							.expired = expired,
							.entry = entry};
}

static void
class_votes(struct eval *v, const struct sl_class *class, bool mirrored)
{
	const struct sl_polset_entry *entries = v->s->entries[v->q->flow.version == 6];
	uint32_t at;

	for (unsigned i = 0; class != NULL && i < class->n; i++) {
		const struct sl_class_role *r = &class->role[i];

		if (is_over(v->q->tick, r->expires_tick)) {
			note(v, r->role, mirrored, true, SL_POL_NONE);
			continue;
		}
		if (r->role >= v->s->n_roles) {
			v->map_error = true;
			continue;
		}
		at = scan_at(v->s, SL_POL_GROUP(r->role, mirrored), &v->q->flow, v->q->tick);
		note(v, r->role, mirrored, false, at);
		v->votes.has_role |= !mirrored;
		if (at != SL_POL_NONE)
			sl_votes_add(&v->votes, entries[at].allow, at);
	}
}

static uint16_t
where_of(const struct sl_lpm table[2], const struct sl_polset_flow *f)
{
	uint32_t at = sl_lpm_lookup(&table[f->version == 6], f->dst);

	return at == SL_LPM_NONE ? SL_POL_NONE16 : (uint16_t)at;
}

void
sl_polset_eval(const struct sl_polset *s, const struct sl_polset_query *q,
	       struct sl_polset_answer *out, struct sl_trace_role *trace, unsigned max,
	       unsigned *n_trace)
{
	const struct sl_polset_where *w = sl_polset_where(s, q->flow.iface);
	struct eval v = {.s = s, .q = q, .trace = trace, .max = max};
	uint16_t withdrawn =
		q->any_way ? SL_POL_NONE16 : sl_polset_withdrawn(s, &q->flow, q->from_inside);
	enum sl_why why;

	*out = (struct sl_polset_answer){.rule = SL_POL_NONE,
					 .entry = SL_POL_NONE,
					 .zone = where_of(w->zone, &q->flow),
					 .target = where_of(w->target, &q->flow)};
	class_votes(&v, q->src_class, false);
	class_votes(&v, q->peer_class, q->from_inside);
	out->allow = sl_votes_decide(&v.votes,
				     out->zone != SL_POL_NONE16 && s->zones[out->zone].allow, &why);
	if (v.map_error) {
		out->allow = false;
		why = SL_WHY_MAP_ERROR;
	}
	if (withdrawn != SL_POL_NONE16) {
		out->allow = false;
		out->target = withdrawn;
		why = SL_WHY_WITHDRAWN;
	}
	out->why = (uint8_t)why;
	if (why == SL_WHY_RULE) {
		out->entry = v.votes.any_deny ? v.votes.deny : v.votes.allow;
		out->rule = s->entries[q->flow.version == 6][out->entry].rule;
	}
	if (n_trace != NULL)
		*n_trace = v.n_trace;
}
