/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_judge.h"

#include "acl_int.h"
#include "sl_env.h"
#include "sl_lookup.h"

#define BURST SL_LOOKUP_BURST /* flows worked on together */

/** What is known of a flow until its verdict. */
struct pending {
	const struct sl_class *src, *peer; /* NULL: none */
	struct sl_votes votes;
	uint16_t role_min, role_max; /* of the subject */
	bool torn;		     /* a table names what another does not hold */
	bool ended;		     /* an allow rule that votes has ended */
	bool withdrawn;
};

/** A role asked for the vote on a flow. */
struct ballot {
	const struct sl_class_role *role;
	uint8_t flow;
	bool mirrored;
};

/** Keys of one IP version, until they are enough for one classify. */
struct ballots {
	unsigned n;
	struct ballot of[SL_ACL_BURST];
	struct sl_acl_key key[SL_ACL_BURST];
};

struct burst {
	const struct sl_policy_view *v;
	const struct sl_judge_flow *flow;
	struct sl_judgement *out;
	uint32_t tick;
	bool ending; /* some allow rule in the tables has ended by now */
	struct pending p[BURST];
	struct ballots q[2]; /* IPv4, IPv6 */
};

static bool
reached(uint32_t tick, uint32_t end)
{
	return tick != 0 && end != 0 && sl_tick_reached(tick, end);
}

static void
deadline(struct sl_judgement *j, uint32_t end)
{
	if (end == 0)
		return;
	if (j->deadline_tick == 0 || (int32_t)(end - j->deadline_tick) < 0)
		j->deadline_tick = end;
}

/* The role belongs to the subject, or votes for it. */
static inline void
takes_part(struct burst *b, unsigned i, const struct sl_class_role *r)
{
	struct pending *p = &b->p[i];

	p->role_min = SL_MIN(p->role_min, r->role);
	p->role_max = SL_MAX(p->role_max, r->role);
	if (p->role_min != p->role_max)
		b->out[i].flags |= SL_JUDGE_MULTI_ROLE;
	if (r->stale)
		b->out[i].flags |= SL_JUDGE_STALE;
}

static void
count(struct burst *b, unsigned v6)
{
	const struct sl_polset *s = b->v->set;
	struct ballots *q = &b->q[v6];
	uint32_t found[SL_ACL_BURST];

	if (q->n == 0)
		return;
	sl_acl_classify(b->v->acl, v6 ? 6 : 4, q->key, found, q->n);
	for (unsigned k = 0; k < q->n; k++) {
		if (found[k] != SL_POL_NONE)
			sl_prefetch(&s->vote[v6][found[k]]);
	}
	for (unsigned k = 0; k < q->n; k++) {
		const struct ballot *c = &q->of[k];
		uint32_t vote, rule;

		if (found[k] == SL_POL_NONE)
			continue;
		vote = s->vote[v6][found[k]];
		rule = vote >> 1;
		if (sl_unlikely(b->ending) && (vote & 1) != 0 &&
		    reached(b->tick, s->rules[rule].expires_tick))
			b->p[c->flow].ended = true;
		sl_votes_add(&b->p[c->flow].votes, (vote & 1) != 0, rule);
		sl_prefetch(&s->rules[rule]);
		if (c->mirrored)
			takes_part(b, c->flow, c->role);
	}
	q->n = 0;
}

static inline void
ask(struct burst *b, unsigned i, const struct sl_class_role *r, bool mirrored)
{
	const struct sl_polset_flow *f = &b->flow[i].f;
	unsigned v6 = f->version == 6, group = SL_POL_GROUP(r->role, mirrored);
	const uint32_t *first = b->v->set->group_first[v6];
	struct ballots *q = &b->q[v6];

	if (first[group] == first[group + 1])
		return;
	q->of[q->n] = (struct ballot){.role = r, .flow = (uint8_t)i, .mirrored = mirrored};
	sl_acl_prefetch(b->v->acl, v6, group);
	sl_key_fill(&q->key[q->n], group, f);
	if (++q->n == SL_ACL_BURST)
		count(b, v6);
}

static inline void
ask_class(struct burst *b, unsigned i, const struct sl_class *c, bool mirrored)
{
	for (unsigned k = 0; c != NULL && k < c->n; k++) {
		const struct sl_class_role *r = &c->role[k];

		if (reached(b->tick, r->expires_tick))
			continue;
		if (r->role >= b->v->set->n_roles) {
			b->p[i].torn = true;
			continue;
		}
		deadline(&b->out[i], r->expires_tick);
		if (!mirrored) {
			b->p[i].votes.has_role = true;
			takes_part(b, i, r);
		}
		ask(b, i, r, mirrored);
	}
}

/* --- who and where: each table for all flows, so that the latencies of memory overlap ------- */

/** Of the same sender? */
static inline bool
same_who(const struct sl_judge_flow *x, const struct sl_judge_flow *y)
{
	if (x->f.version != y->f.version || x->f.iface != y->f.iface || x->peer_id != y->peer_id)
		return false;
	return x->f.version == 6 ? memcmp(x->f.src, y->f.src, 16) == 0
				 : memcmp(x->f.src, y->f.src, 4) == 0;
}

/** Is this the source that was looked up last? */
static inline bool
is_seen(const struct sl_identity *who, const struct sl_judge_flow *f)
{
	const struct sl_who_seen *s = f->seen;

	if (s == NULL || s->generation != who->generation || s->version != f->f.version ||
	    s->peer_id != f->peer_id || s->iface != f->f.iface)
		return false;
	return f->f.version == 6 ? memcmp(s->src, f->f.src, 16) == 0
				 : memcmp(s->src, f->f.src, 4) == 0;
}

static void
see(const struct sl_identity *who, const struct sl_judge_flow *f, uint32_t src_at, uint32_t peer_at)
{
	if (f->seen == NULL)
		return;
	*f->seen = (struct sl_who_seen){.generation = who->generation,
					.peer_id = f->peer_id,
					.src_at = src_at,
					.peer_at = peer_at,
					.iface = f->f.iface,
					.version = f->f.version};
	memcpy(f->seen->src, f->f.src, f->f.version == 6 ? 16 : 4);
}

/** @param asked bit i: flow i is to be looked up */
static void
look_up(struct burst *b, uint32_t asked, struct sl_lookup look[2])
{
	const struct sl_identity *who = b->v->who;
	bool by_peer = who->peers.root != NULL;
	uint8_t key[BURST][4];

	for (; asked != 0; asked &= asked - 1) {
		unsigned i = (unsigned)__builtin_ctz(asked);
		const struct sl_polset_flow *f = &b->flow[i].f;
		const struct sl_who *w = f->iface < who->n_ifaces ? &who->who[f->iface] : &who->any;

		sl_lookup_add(&look[0], &w->prefix[f->version == 6], f->version, f->src, i);
		if (!by_peer)
			continue;
		sl_store_be32(key[i], b->flow[i].peer_id);
		sl_lookup_add(&look[1], &who->peers, 4, key[i], i);
	}
	sl_lookup_run(&look[0]);
	sl_lookup_run(&look[1]);
}

/** @param asked bit i: classes of flow i are wanted */
static void
find_classes(struct burst *b, uint32_t asked, uint32_t src[], uint32_t peer[])
{
	const struct sl_identity *who = b->v->who;
	struct sl_lookup look[2];
	uint32_t left, unseen = 0;

	sl_lookup_begin(&look[0], src, BURST);
	sl_lookup_begin(&look[1], peer, BURST);
	for (left = asked; left != 0; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);
		const struct sl_judge_flow *f = &b->flow[i];

		if (!is_seen(who, f)) {
			unseen |= UINT32_C(1) << i;
			continue;
		}
		src[i] = f->seen->src_at;
		peer[i] = f->seen->peer_at;
	}
	if (unseen == 0)
		return;
	look_up(b, unseen, look);
	for (left = unseen; left != 0; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctz(left);

		see(who, &b->flow[i], src[i], peer[i]);
	}
}

static const struct sl_class *
class_at(const struct sl_identity *who, uint32_t at, bool *torn)
{
	const struct sl_class *c = at == SL_LPM_NONE ? NULL : sl_identity_class(who, at);

	*torn |= at != SL_LPM_NONE && c == NULL;
	sl_prefetch(c);
	return c;
}

static void
find_who(struct burst *b, unsigned n)
{
	const struct sl_identity *who = b->v->who;
	uint32_t src[BURST], peer[BURST], asked = 1;
	bool by_peer;

	if (who == NULL)
		return;
	by_peer = who->peers.root != NULL;
	for (unsigned i = 1; i < n; i++)
		asked |= (uint32_t)!same_who(&b->flow[i], &b->flow[i - 1]) << i;
	find_classes(b, asked, src, peer);
	for (unsigned i = 0; i < n; i++) {
		if (src[i] < who->n_classes)
			sl_prefetch(&who->classes[src[i]]);
		if (by_peer && peer[i] < who->n_classes)
			sl_prefetch(&who->classes[peer[i]]);
	}
	for (unsigned i = 0; i < n; i++) {
		struct pending *p = &b->p[i];

		if ((asked >> i & 1) == 0) {
			*p = b->p[i - 1];
			continue;
		}
		p->src = class_at(who, src[i], &p->torn);
		if (by_peer)
			p->peer = class_at(who, peer[i], &p->torn);
	}
}

static uint16_t
place(uint32_t at, unsigned n, bool *torn)
{
	if (at == SL_LPM_NONE)
		return SL_POL_NONE16;
	if (at >= n) {
		*torn = true;
		return SL_POL_NONE16;
	}
	return (uint16_t)at;
}

static void
find_where(struct burst *b, unsigned n)
{
	const struct sl_polset *s = b->v->set;
	uint32_t zone[BURST], target[BURST];
	struct sl_lookup look[2];

	if (s->n_zones == 0 && s->n_targets == 0)
		return;
	sl_lookup_begin(&look[0], zone, BURST);
	sl_lookup_begin(&look[1], target, BURST);
	for (unsigned i = 0; i < n; i++) {
		const struct sl_polset_flow *f = &b->flow[i].f;
		const struct sl_polset_where *w = sl_polset_where(s, f->iface);
		unsigned v6 = f->version == 6;

		sl_lookup_add(&look[0], &w->zone[v6], f->version, f->dst, i);
		sl_lookup_add(&look[1], &w->target[v6], f->version, f->dst, i);
	}
	sl_lookup_run(&look[0]);
	sl_lookup_run(&look[1]);
	for (unsigned i = 0; i < n; i++) {
		b->out[i].zone = place(zone[i], s->n_zones, &b->p[i].torn);
		b->out[i].target = place(target[i], s->n_targets, &b->p[i].torn);
	}
}

static void
find_withdrawn(struct burst *b, unsigned n)
{
	const struct sl_polset *s = b->v->set;

	for (unsigned i = 0; s->withdrawn != NULL && i < n; i++) {
		uint16_t at = sl_polset_withdrawn(s, &b->flow[i].f, b->flow[i].from_inside);

		b->p[i].withdrawn = at != SL_POL_NONE16;
		if (b->p[i].withdrawn)
			b->out[i].target = at;
	}
}

/* --- the verdict ------------------------------------------------------------------------- */

/* An allow rule that voted has ended since the tables were made. The next ones come within a
 * second; until then the few flows that it concerns are judged by plain scans that pass it over, so
 * that no access ends late. */
static void
decide_without_ended(const struct burst *b, unsigned i)
{
	const struct sl_polset_query q = {.flow = b->flow[i].f,
					  .from_inside = b->flow[i].from_inside,
					  .src_class = b->p[i].src,
					  .peer_class = b->p[i].peer,
					  .tick = b->tick};
	struct sl_judgement *j = &b->out[i];
	struct sl_polset_answer a;

	sl_polset_eval(b->v->set, &q, &a, NULL, 0, NULL);
	j->allow = a.allow;
	j->why = a.why;
	j->rule = a.rule;
	j->role = b->p[i].role_min;
}

static void
by_votes(struct burst *b, unsigned i)
{
	const struct sl_polset *s = b->v->set;
	const struct pending *p = &b->p[i];
	struct sl_judgement *j = &b->out[i];
	enum sl_why why;

	j->role = p->votes.has_role ? p->role_min : SL_POL_NONE16;
	j->allow = sl_votes_decide(&p->votes, j->zone != SL_POL_NONE16 && s->zones[j->zone].allow,
				   &why);
	j->why = (uint8_t)why;
	if (why == SL_WHY_RULE)
		j->rule = p->votes.any_deny ? p->votes.deny : p->votes.allow;
}

static void
decide(struct burst *b, unsigned i)
{
	const struct sl_polset *s = b->v->set;
	const struct pending *p = &b->p[i];
	struct sl_judgement *j = &b->out[i];

	if (p->withdrawn || p->torn) {
		j->role = p->votes.has_role ? p->role_min : SL_POL_NONE16;
		j->why = p->withdrawn ? SL_WHY_WITHDRAWN : SL_WHY_MAP_ERROR;
		return;
	}
	if (sl_unlikely(p->ended)) /* a second at most */
		decide_without_ended(b, i);
	else
		by_votes(b, i);
	if (j->why != SL_WHY_RULE)
		return;
	/* the rule itself is still on its way here: mostly it need not be looked at yet */
	j->role = p->role_min == p->role_max ? p->role_min : s->rules[j->rule].role;
	if (s->ends)
		deadline(j, s->rules[j->rule].expires_tick);
}

static void
judge_burst(struct burst *b, unsigned n)
{
	bool loaded = b->v->set != NULL && b->v->acl != NULL;

	b->ending = loaded && reached(b->tick, b->v->set->first_end_tick);
	b->q[0].n = 0;
	b->q[1].n = 0;
	for (unsigned i = 0; i < n; i++) {
		b->p[i] = (struct pending){.role_min = UINT16_MAX};
		b->out[i] = (struct sl_judgement){.why = SL_WHY_NO_ROLE,
						  .role = SL_POL_NONE16,
						  .zone = SL_POL_NONE16,
						  .target = SL_POL_NONE16,
						  .rule = SL_POL_NONE};
	}
	find_who(b, n);
	if (loaded) {
		find_where(b, n);
		find_withdrawn(b, n);
	}
	for (unsigned i = 0; i < n; i++) {
		b->out[i].src_stamp = b->p[i].src != NULL ? b->p[i].src->stamp : 0;
		b->out[i].peer_stamp = b->p[i].peer != NULL ? b->p[i].peer->stamp : 0;
	}
	if (!loaded)
		return;
	for (unsigned i = 0; i < n; i++) {
		ask_class(b, i, b->p[i].src, false);
		ask_class(b, i, b->p[i].peer, b->flow[i].from_inside);
	}
	count(b, 0);
	count(b, 1);
	for (unsigned i = 0; i < n; i++)
		decide(b, i);
}

void
sl_judge(const struct sl_policy_view *v, uint32_t tick, const struct sl_judge_flow flow[],
	 struct sl_judgement out[], unsigned n)
{
	struct burst b;

	b.v = v;
	b.tick = tick;
	for (unsigned at = 0; at < n; at += BURST) {
		b.flow = flow + at;
		b.out = out + at;
		judge_burst(&b, SL_MIN(n - at, BURST));
	}
}

static uint32_t
stamp_at(const struct sl_identity *who, uint32_t at)
{
	const struct sl_class *c = sl_identity_class(who, at);

	return c != NULL ? c->stamp : 0;
}

bool
sl_judge_same_who(const struct sl_policy_view *v, const struct sl_judge_flow *flow,
		  uint32_t src_stamp, uint32_t peer_stamp)
{
	const struct sl_identity *who = v->who;
	uint32_t src_at, peer_at;

	if (who == NULL)
		return src_stamp == 0 && peer_stamp == 0;
	if (is_seen(who, flow)) {
		src_at = flow->seen->src_at;
		peer_at = flow->seen->peer_at;
	} else {
		src_at = sl_identity_prefix_at(who, flow->f.iface, flow->f.version, flow->f.src);
		peer_at = sl_identity_peer_at(who, flow->peer_id);
		see(who, flow, src_at, peer_at);
	}
	return stamp_at(who, src_at) == src_stamp && stamp_at(who, peer_at) == peer_stamp;
}
