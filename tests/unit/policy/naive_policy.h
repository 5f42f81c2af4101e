/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The verdict read straight off a model, rule by rule and bit by bit: the oracle of the compiled
 * tables. Knows nothing of them.
 */
#ifndef NAIVE_POLICY_H
#define NAIVE_POLICY_H

#include "policy_test.h"

/** A flow of the oracle: addresses by value, the interface by name. */
struct naive_flow {
	struct sl_ip src, dst;
	const char *iface;
	unsigned proto, sport, dport;
};

struct naive_answer {
	bool allow;
	enum sl_why why;
	int rule, zone, target; /* -1: none */
};

static inline bool
naive_inside(const struct sl_ip *ip, const struct sl_prefix *p)
{
	if (ip->family != p->ip.family)
		return false;
	for (unsigned bit = 0; bit < p->len; bit++) {
		if ((ip->b[bit / 8] >> (7 - bit % 8) & 1) !=
		    (p->ip.b[bit / 8] >> (7 - bit % 8) & 1))
			return false;
	}
	return true;
}

static inline bool
naive_in_place(const struct sl_ip *ip, const char *iface, const struct sl_pol_place *p)
{
	return (p->iface[0] == 0 || strcmp(p->iface, iface) == 0) && naive_inside(ip, &p->prefix);
}

static inline bool
naive_to(const struct sl_policy *m, const struct sl_pol_to *to, const struct sl_ip *ip,
	 const char *iface)
{
	if (to->any)
		return true;
	if (to->target[0] == 0)
		return naive_in_place(ip, iface, &to->place);
	for (unsigned i = 0; i < m->n_targets; i++) {
		if (strcmp(m->targets[i].name, to->target) != 0)
			continue;
		for (unsigned k = 0; k < m->targets[i].n_addrs; k++) {
			if (naive_in_place(ip, iface, &m->targets[i].addrs[k]))
				return true;
		}
	}
	return false;
}

/** Does the rule match a flow from `from` to `to` with `port` on the side that the rule names? */
static inline bool
naive_match(const struct sl_policy *m, const struct sl_pol_rule *r, const struct naive_flow *f,
	    const struct sl_ip *from, const struct sl_ip *to, unsigned port)
{
	bool ok = r->n_src == 0;

	if (r->proto != SL_POL_PROTO_ANY && r->proto != f->proto)
		return false;
	for (unsigned i = 0; i < r->n_src; i++)
		ok |= naive_inside(from, &r->src[i]);
	if (!ok)
		return false;
	ok = r->n_ports == 0 || (f->proto != 6 && f->proto != 17);
	for (unsigned i = 0; i < r->n_ports; i++)
		ok |= r->ports[i].lo <= port && port <= r->ports[i].hi;
	if (!ok)
		return false;
	for (unsigned i = 0; i < r->n_to; i++) {
		if (naive_to(m, &r->to[i], to, f->iface))
			return true;
	}
	return false;
}

/** The rule that is the role's vote, -1: none. */
static inline int
naive_vote(const struct sl_policy *m, unsigned role, uint64_t now, bool mirrored,
	   const struct naive_flow *f)
{
	int best = -1;

	for (unsigned i = 0; i < m->n_rules; i++) {
		const struct sl_pol_rule *r = &m->rules[i], *b = &m->rules[best < 0 ? 0 : best];

		if (strcmp(r->role, m->roles[role].name) != 0 || !r->enabled ||
		    now < r->not_before_ns || (r->expires_ns != 0 && now >= r->expires_ns))
			continue;
		if (mirrored &&
		    !(r->bidirectional && naive_match(m, r, f, &f->dst, &f->src, f->sport)))
			continue;
		if (!mirrored && !naive_match(m, r, f, &f->src, &f->dst, f->dport))
			continue;
		if (best < 0 || r->priority < b->priority ||
		    (r->priority == b->priority && !r->allow && b->allow))
			best = (int)i;
	}
	return best;
}

/** Best place of a list that holds an address: longest, then its own interface. */
static inline int
naive_rank(const struct sl_pol_place *places, unsigned n, const struct naive_flow *f,
	   const struct sl_ip *ip)
{
	int rank = -1;

	for (unsigned i = 0; i < n; i++) {
		if (naive_in_place(ip, f->iface, &places[i]))
			rank = SL_MAX(rank, 2 * places[i].prefix.len + (places[i].iface[0] != 0));
	}
	return rank;
}

static inline int
naive_zone(const struct sl_policy *m, const struct naive_flow *f)
{
	int best = -1, best_rank = -1;

	for (unsigned i = 0; i < m->n_zones; i++) {
		int rank = naive_rank(m->zones[i].nets, m->zones[i].n_nets, f, &f->dst);

		if (rank > best_rank) {
			best_rank = rank;
			best = (int)i;
		}
	}
	return best;
}

/** Of as long ones, a target that is reached goes before one that is withdrawn. */
static inline int
naive_target(const struct sl_policy *m, const struct naive_flow *f, const struct sl_ip *ip)
{
	int best = -1, best_rank = -1;

	for (unsigned i = 0; i < m->n_targets; i++) {
		int rank = naive_rank(m->targets[i].addrs, m->targets[i].n_addrs, f, ip);

		if (rank >= 0) /* length, reached, own interface */
			rank = rank / 2 * 4 + !m->targets[i].withdrawn * 2 + rank % 2;

		if (rank > best_rank) {
			best_rank = rank;
			best = (int)i;
		}
	}
	return best;
}

/** A subject's roles that count now: lists of places in m->roles. */
struct naive_roles {
	unsigned role[16];
	unsigned n;
};

static inline struct naive_answer
naive_eval(const struct sl_policy *m, uint64_t now, const struct naive_flow *f, bool from_inside,
	   const struct naive_roles *src, const struct naive_roles *peer)
{
	struct naive_answer a = {.zone = naive_zone(m, f), .target = naive_target(m, f, &f->dst)};
	int there = naive_target(m, f, from_inside ? &f->src : &f->dst);
	int deny = -1, allow = -1;
	bool subject = src->n > 0 || (peer->n > 0 && !from_inside);

	for (unsigned i = 0; i < src->n + peer->n; i++) {
		bool is_peer = i >= src->n;
		unsigned role = is_peer ? peer->role[i - src->n] : src->role[i];
		int rule = naive_vote(m, role, now, is_peer && from_inside, f);

		if (rule < 0)
			continue;
		subject = true;
		if (m->rules[rule].allow && allow < 0)
			allow = rule;
		if (!m->rules[rule].allow && deny < 0)
			deny = rule;
	}
	a.rule = deny >= 0 ? deny : allow;
	if (!subject) {
		a.why = SL_WHY_NO_ROLE;
	} else if (a.rule >= 0) {
		a.why = SL_WHY_RULE;
		a.allow = deny < 0;
	} else {
		a.why = SL_WHY_ZONE_DEFAULT;
		a.allow = a.zone >= 0 && m->zones[a.zone].allow;
	}
	if (there >= 0 && m->targets[there].withdrawn)
		a = (struct naive_answer){.why = SL_WHY_WITHDRAWN,
					  .rule = -1,
					  .zone = a.zone,
					  .target = there};
	return a;
}

#endif
