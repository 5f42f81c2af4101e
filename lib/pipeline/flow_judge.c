/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Verdicts of flows (D4): an entry found in the table answers for its packets as long as policy,
 * identity and deadline are those of its judgement; all else is asked in one call a burst.
 *
 *	NEW	a packet of no flow is judged in its own direction. TCP without a begin is then
 *		judged as if the other side had begun (midstream).
 *	AGAIN	an older entry is judged by its initiator's tuple, whoever sent the packet: ALLOW
 *		refreshes it, DENY ends it (revoked) and leaves a denied entry
 *	OTHER	under enforce a denied flow binds its initiator alone: the other side may begin
 */
#include "flow_int.h"

#define TCP_ACK 0x10
#define ROUNDS_MAX 8
#define CHECK_TICKS SL_FLOW_IDLE_CLOSED /* the shortest idle time */
_Static_assert(SL_FLOW_IDLE_CLOSED <= SL_FLOW_IDLE_DENIED, "none is shorter");

/* --- tuples ------------------------------------------------------------------------------ */

/** As rules see it, from the source on side b or a. The addresses stay where they are. */
static inline void
tuple(struct sl_judge_flow *out, const struct sl_flow_key *k, bool from_b, bool from_tunnel,
      uint32_t peer_id)
{
	bool ports = sl_proto_has_ports(k->proto);

	out->f.version = k->version;
	out->f.proto = k->proto;
	out->f.iface = k->iface;
	out->f.src = from_b ? k->b : k->a;
	out->f.dst = from_b ? k->a : k->b;
	out->f.sport = !ports ? 0 : from_b ? k->pb : k->pa;
	out->f.dport = !ports ? 0 : from_b ? k->pa : k->pb;
	out->from_inside = !from_tunnel;
	out->peer_id = peer_id;
	out->seen = NULL;
}

/** What its peer's last source was may be read and written where the peer lives. */
static inline void
lend_seen(const struct sl_worker *w, struct sl_judge_flow *out)
{
	struct sl_peer *p = sl_peer_get(w->dp->peers, out->peer_id);

	if (!out->from_inside && p != NULL && sl_peer_home(p) == w->id)
		out->seen = &p->seen;
}

static void
tuple_of_flow(const struct sl_authz *a, struct sl_judge_flow *out, const struct sl_flow *f)
{
	tuple(out, &f->key, sl_flow_init_b(f), (f->flags & SL_FLOW_FROM_TUNNEL) != 0, f->peer_id);
	lend_seen(a->w, out);
}

static uint32_t
peer_by_address(const struct sl_worker *w, uint16_t iface, uint8_t version, const uint8_t *addr)
{
	const struct sl_iface_view *f = sl_root_iface(w->root, iface);

	return f != NULL ? sl_iface_peer(f, version, addr) : SL_PEER_ID_NONE;
}

/** Of a packet in its own direction. */
static inline void
tuple_of_packet(const struct sl_authz *a, unsigned i, struct sl_judge_flow *out)
{
	const struct sl_meta *meta = sl_meta(a->m[i]);
	bool from_tunnel = (meta->flags & SL_PKT_FROM_TUNNEL) != 0;

	tuple(out, &a->key[i], a->side[i], from_tunnel, meta->peer_id);
	if (a->kind[i] == SL_AUTHZ_QUIET) /* meta names the receiver */
		out->peer_id = peer_by_address(a->w, out->f.iface, out->f.version, out->f.src);
	lend_seen(a->w, out);
}

/** The same packet as an answer to what the other side began. */
static void
tuple_mirrored(const struct sl_authz *a, unsigned i, struct sl_judge_flow *out)
{
	const struct sl_meta *meta = sl_meta(a->m[i]);
	const struct sl_flow_key *k = &a->key[i];
	uint32_t other;

	tuple(out, k, !a->side[i], true, meta->peer_id); /* from inside: the peer began */
	if ((meta->flags & SL_PKT_FROM_TUNNEL) == 0)
		return;
	other = peer_by_address(a->w, k->iface, k->version, out->f.src);
	if (other != SL_PEER_ID_NONE) /* between peers */
		out->peer_id = other;
	else
		out->from_inside = true;
}

static uint8_t
tcp_flags(const struct sl_authz *a, unsigned i)
{
	const struct sl_meta *meta = sl_meta(a->m[i]);
	const uint8_t *p = rte_pktmbuf_mtod(a->m[i], const uint8_t *);

	return p[meta->l4_off + SL_TCP_FLAGS_OFF];
}

/** @return true if the packet shows a TCP header */
static inline bool
is_tcp(const struct sl_authz *a, unsigned i)
{
	const struct sl_meta *meta = sl_meta(a->m[i]);

	return meta->proto == SL_PROTO_TCP && meta->frag_off == 0 && a->kind[i] != SL_AUTHZ_ERROR;
}

/** TCP that does not begin a connection: what has SYN without ACK may, whatever else it has. */
static bool
is_midstream(const struct sl_authz *a, unsigned i)
{
	return is_tcp(a, i) && (tcp_flags(a, i) & (SL_TCP_SYN | TCP_ACK)) != SL_TCP_SYN;
}

/* --- verdicts of entries ----------------------------------------------------------------- */

/** Is the verdict of now? A change of identities that are not the flow's is settled here. */
static bool
is_current(struct sl_authz *a, struct sl_flow *f)
{
	struct sl_judge_flow flow;

	if (sl_unlikely(f->policy_gen != a->policy_gen ||
			(f->deadline_tick != 0 && sl_tick_reached(a->w->tick, f->deadline_tick))))
		return false;
	if (sl_likely(f->who_gen == a->who_gen)) /* changes come in seconds, packets in us */
		return true;
	tuple_of_flow(a, &flow, f);
	if (!sl_judge_same_who(a->v, &flow, f->src_stamp, f->peer_stamp))
		return false;
	f->who_gen = a->who_gen;
	return true;
}

/** Of a rule that samples the hash decides, which nobody outside can choose: so a flow has all its
 * records or none, at whatever worker. */
static bool
is_selected(const struct sl_flow *f, const struct sl_polset_rule *rule)
{
	if (rule == NULL)
		return true;
	return rule->log != 0 && f->hash * UINT32_C(0x9e3779b1) <= rule->log_last;
}

/** What is recorded of a flow that goes on under another verdict of ALLOW: no end without its
 * begin, and nothing from when the rule says so. */
static bool
stays_selected(const struct sl_flow *f, const struct sl_polset_rule *rule)
{
	return (f->note & SL_FLOW_LOG) != 0 && (rule == NULL || rule->log != 0);
}

static const struct sl_polset_rule *
rule_of(const struct sl_authz *a, const struct sl_judgement *j)
{
	const struct sl_polset *s = a->v->set;

	return s != NULL && j->rule < s->n_rules ? &s->rules[j->rule] : NULL;
}

/** @param rule that decided, or NULL; @param flags, note what else they say */
static inline void
write_verdict(const struct sl_authz *a, struct sl_flow *f, const struct sl_judgement *j,
	      const struct sl_polset_rule *rule, unsigned flags, unsigned note)
{
	const struct sl_polset *s = a->v->set;

	f->flags = (uint8_t)(flags | (j->allow ? SL_FLOW_ALLOW : 0) |
			     ((j->flags & SL_JUDGE_MULTI_ROLE) != 0 ? SL_FLOW_MULTI_ROLE : 0) |
			     ((j->flags & SL_JUDGE_STALE) != 0 ? SL_FLOW_STALE : 0));
	f->note = note & 0x7f;
	f->why = j->why;
	f->policy_gen = a->policy_gen;
	f->who_gen = a->who_gen;
	f->deadline_tick = j->deadline_tick;
	f->rule = j->rule;
	f->role = j->role;
	f->zone = j->zone;
	f->target = j->target;
	f->src_stamp = j->src_stamp;
	f->peer_stamp = j->peer_stamp;
	f->rule_id = rule != NULL ? rule->id : 0;
	if (sl_likely(rule != NULL)) /* allowed by one */
		f->role_id = rule->role_id;
	else
		f->role_id = s != NULL && j->role < s->n_roles ? s->roles[j->role].id : 0;
}

/** Another verdict on an entry. */
static void
rewrite_verdict(const struct sl_authz *a, struct sl_flow *f, const struct sl_judgement *j)
{
	const struct sl_polset_rule *rule = rule_of(a, j);
	bool begun = (f->flags & SL_FLOW_ALLOW) != 0 && (f->flags & SL_FLOW_ALLOW_NOTED) != 0;
	bool log = begun ? stays_selected(f, rule) : is_selected(f, rule);
	unsigned changes = SL_FLOW_ALLOW | SL_FLOW_MULTI_ROLE | SL_FLOW_STALE;

	write_verdict(a, f, j, rule, f->flags & ~changes,
		      (f->note & ~(unsigned)SL_FLOW_LOG) | (log ? SL_FLOW_LOG : 0));
}

/** The first verdict on a flow of which only key, hash and last_tick are written.
 * @param k the key that the tuple's addresses stand in; @param flags what else they say */
static inline void
write_first(const struct sl_authz *a, struct sl_flow *f, const struct sl_judge_flow *flow,
	    const struct sl_judgement *j, const struct sl_flow_key *k, unsigned flags,
	    uint32_t mode)
{
	const struct sl_polset_rule *rule = rule_of(a, j);

	flags |= flow->f.src == k->b ? SL_FLOW_INIT_B : 0;
	flags |= flow->from_inside ? 0 : SL_FLOW_FROM_TUNNEL;
	f->peer_id = flow->peer_id;
	f->start_ns = a->w->now_ns;
	write_verdict(a, f, j, rule, flags,
		      sl_flow_note_mode(sl_flow_mode(j->why, mode)) |
			      (is_selected(f, rule) ? SL_FLOW_LOG : 0u));
}

/** A new verdict on an entry (D4). */
static void
judged_again(struct sl_authz *a, struct sl_flow *f, const struct sl_judgement *j)
{
	bool was = (f->flags & SL_FLOW_ALLOW) != 0;
	bool quiet = (f->flags & SL_FLOW_QUIET) != 0;

	if (was && !j->allow) {
		sl_note_end(a->w, f, SL_RR_REVOKED);
		sl_flow_reset(a->w, f);
	} else if (!was) {
		sl_note_denied(a->w, f); /* under the rule that denied them */
		sl_note_fold(a->w, f, 0);
		if (j->allow && !sl_flow_passes(f))
			sl_flow_reset(a->w, f);
		else if (j->allow)
			f->flags &= (uint8_t)~SL_FLOW_ALLOW_NOTED; /* it goes on, allowed */
	}
	f->last_tick = a->w->tick; /* a denied entry is idle sooner: not before this packet */
	rewrite_verdict(a, f, j);
	if (quiet)
		f->flags |= SL_FLOW_ALLOW_NOTED;
	else if ((f->flags & SL_FLOW_STALE) != 0)
		sl_note_stale(a->w, f);
}

/* --- questions --------------------------------------------------------------------------- */

/**
 * A question about this entry is open: its packets wait for the answer, in their order. None ends
 * the entry meanwhile, so that the answer cannot be taken for one about the flow that follows it.
 */
static bool
waits(struct sl_authz *a, unsigned i, const struct sl_flow *f)
{
	unsigned k;

	for (k = 0; k < a->n_q; k++) {
		if (f == NULL || a->q[k].f != f)
			continue;
		a->chain[i] = UINT8_MAX;
		a->chain[a->q[k].last] = (uint8_t)i;
		a->q[k].last = (uint8_t)i;
		return true;
	}
	return false;
}

static bool
is_same(const struct sl_authz *a, const struct sl_question *q, enum sl_authz_about about,
	unsigned i, const struct sl_flow *f)
{
	if (q->about != about || q->f != f)
		return false;
	return f != NULL || sl_flow_key_is(&a->key[q->first], &a->key[i]);
}

/** What the n-th new flow of a round will fill is on its way while policy is asked. */
static void
expect(struct sl_worker *w, unsigned n, uint8_t version)
{
	sl_flow_expect(w->flows, n);
	sl_agg_expect(w->agg, n);
	if (w->logging)
		sl_rec_expect(w->records, n, version != 4);
}

/** Hand a packet to the question that it shares, if there is one. */
static bool
joins(struct sl_authz *a, unsigned i, enum sl_authz_about about, const struct sl_flow *f)
{
	struct sl_question *q;
	unsigned k;

	for (k = 0; k < a->n_q; k++) {
		q = &a->q[k];
		if (a->q_hash[k] != a->hash[i] || !is_same(a, q, about, i, f))
			continue;
		a->chain[q->last] = (uint8_t)i;
		q->last = (uint8_t)i;
		return true;
	}
	return false;
}

static void
ask(struct sl_authz *a, unsigned i, enum sl_authz_about about, struct sl_flow *f)
{
	uint64_t *seen = &a->q_seen[a->hash[i] >> 6 & 3], bit = UINT64_C(1) << (a->hash[i] & 63);
	struct sl_question *q;

	a->chain[i] = UINT8_MAX;
	if (sl_unlikely((*seen & bit) != 0) && joins(a, i, about, f)) /* most flows differ */
		return;
	*seen |= bit;
	expect(a->w, a->n_q, a->key[i].version);
	a->q_hash[a->n_q] = a->hash[i];
	a->n_on_entry += f != NULL;
	q = &a->q[a->n_q];
	*q = (struct sl_question){.about = about, .first = (uint8_t)i, .last = (uint8_t)i, .f = f};
	if (about == SL_ABOUT_AGAIN) {
		tuple_of_flow(a, &a->flow[a->n_q], f);
	} else {
		tuple_of_packet(a, i, &a->flow[a->n_q]);
		q->agg_hash = sl_note_expect(a->w, &a->flow[a->n_q]);
	}
	a->n_q++;
}

/** Once a packet: was it judged from the table? */
static void
count_lookup(struct sl_authz *a, unsigned i, bool hit)
{
	bool from_tunnel = (sl_meta(a->m[i])->flags & SL_PKT_FROM_TUNNEL) != 0;
	struct sl_stats_stage_counts *row =
		&a->w->delta.stage[from_tunnel ? SL_STATS_POST_DECRYPT : SL_STATS_PRE_ENCRYPT];

	if ((a->asked[i] & SL_ASKED_COUNTED) != 0 || a->kind[i] == SL_AUTHZ_QUIET)
		return;
	a->asked[i] |= SL_ASKED_COUNTED;
	row->policy_hits += hit;
	row->policy_misses += !hit;
}

static inline void
find(struct sl_authz *a, unsigned i)
{
	a->f[i] = sl_flow_find(a->w->flows, &a->key[i], a->hash[i]);
}

/** A peer that moved here lately: its entries may still be on their way. */
static void
fetch_moved(struct sl_authz *a, unsigned i, struct sl_peer *p)
{
	if (sl_likely(!p->flows_came)) /* once a move */
		return;
	sl_flow_import(a->w);
	p->flows_came = 0;
	a->moved = true;
	a->imported = true;
	find(a, i);
}

/**
 * A packet without an entry: is it this worker's to judge? What comes from a tunnel is at its
 * peer's home (stages open and inner); what comes from inside may have met a move on its way.
 * @return false if it is done with
 */
static bool
may_ask(struct sl_authz *a, unsigned i)
{
	struct sl_worker *w = a->w;
	const struct sl_meta *meta = sl_meta(a->m[i]);
	struct sl_peer *p = sl_peer_get(w->dp->peers, meta->peer_id);
	bool quiet = a->kind[i] == SL_AUTHZ_QUIET;

	a->drop[i] = SL_DROP_NONE;
	rte_prefetch0(p != NULL ? &p->flow_head : NULL);
	if ((meta->flags & SL_PKT_FROM_TUNNEL) == 0 || quiet) {
		if (p == NULL || !sl_peer_is_up(w, p)) {
			if (!quiet) /* else stage encap says so */
				a->drop[i] = SL_DROP_PEER_DOWN;
			return false;
		}
		if (sl_peer_home(p) != w->id) {
			if (!quiet)
				a->drop[i] = SL_AUTHZ_STEER;
			return false;
		}
	}
	if (sl_likely(p != NULL && sl_peer_home(p) == w->id)) /* see above */
		fetch_moved(a, i, p);
	return true;
}

/** AllowedIPs move: is the tunnel's end of the flow still that of the peer it was judged for? */
static bool
is_peers(const struct sl_authz *a, const struct sl_flow *f)
{
	bool out = (f->flags & SL_FLOW_FROM_TUNNEL) != 0;

	return peer_by_address(a->w, f->key.iface, f->key.version,
			       out ? sl_flow_src(f) : sl_flow_dst(f)) == f->peer_id;
}

/** The first answer to the only SYN of a flow that began in a tunnel: how long the target took. */
static void
note_answer(const struct sl_authz *a, const struct sl_flow *f)
{
	const struct sl_polset *set = a->v->set;

	if ((f->flags & SL_FLOW_FROM_TUNNEL) == 0 || f->packets[0] != 1 || set == NULL ||
	    f->policy_gen != a->policy_gen || f->target == SL_POL_NONE16)
		return;
	sl_rtt_add(a->w->rtt, set->generation, f->target, (a->w->now_ns - f->start_ns) / 1000);
}

/** @return false: the packet begins another connection */
static bool
follow_tcp(const struct sl_authz *a, unsigned i, struct sl_flow *f)
{
	unsigned was = f->tcp & SL_FLOW_TCP_STATE;

	if (sl_flow_tcp(f, tcp_flags(a, i), (a->side[i] != 0) == sl_flow_init_b(f)))
		return false;
	if (sl_unlikely((f->tcp & SL_FLOW_TCP_STATE) != was) && was == SL_FLOW_TCP_NEW)
		note_answer(a, f);
	return true;
}

static struct sl_flow *
unless_ended(struct sl_authz *a, unsigned i, struct sl_flow *f)
{
	unsigned reason;

	if (sl_unlikely(!f->used)) /* for a packet before this one */
		return NULL;
	if (sl_unlikely(a->w->tick - f->last_tick >= CHECK_TICKS)) { /* a pause */
		reason = sl_flow_expired(f, a->w->tick);
		if (reason != 0) {
			sl_flow_end(a->w, f, reason);
			return NULL;
		}
	}
	/* between peers the other one is named as well */
	if (sl_unlikely(f->peer_id != sl_meta(a->m[i])->peer_id) && !is_peers(a, f)) {
		sl_flow_end(a->w, f, SL_RR_REVOKED);
		return NULL;
	}
	if (is_tcp(a, i) && !follow_tcp(a, i, f)) {
		sl_flow_end(a->w, f, SL_RR_CLOSED);
		return NULL;
	}
	return f;
}

/** The entry, unless it has ended. */
static inline struct sl_flow *
living(struct sl_authz *a, unsigned i)
{
	return a->f[i] != NULL ? unless_ended(a, i, a->f[i]) : NULL;
}

/** Has the flow sent a packet in the direction of the one that the error quotes? */
static bool
has_sent(const struct sl_authz *a, unsigned i, const struct sl_flow *f)
{
	return f != NULL && f->packets[(a->side[i] != 0) != sl_flow_init_b(f)] != 0;
}

/** Under enforce a denied flow binds its initiator alone. */
static inline bool
binds(const struct sl_authz *a, unsigned i, const struct sl_flow *f)
{
	return (f->flags & SL_FLOW_ALLOW) != 0 || (a->side[i] != 0) == sl_flow_init_b(f) ||
	       a->kind[i] != SL_AUTHZ_FLOW || (a->asked[i] & SL_ASKED_OTHER) != 0 ||
	       (sl_authz_mode(a, i, f) & 1) == SL_MODE_OBSERVE;
}

/** An ICMP error that goes with no flow, or with one that is denied. */
static void
as_packet(struct sl_authz *a, unsigned i)
{
	sl_authz_plain(a, i);
	find(a, i);
	sl_authz_look(a, i);
}

/**
 * Where a packet leaves the tunnel: as was found for its flow by this root, else stage forward
 * finds it and keeps it. It follows from the root, the interface and the destination alone, and in
 * each direction a flow has one destination; an ICMP error goes elsewhere than the flow that
 * carries it.
 */
static inline void
know_way(const struct sl_authz *a, unsigned i, const struct sl_flow *f)
{
	struct sl_meta *meta = sl_meta(a->m[i]);

	if ((meta->flags & SL_PKT_FROM_TUNNEL) == 0 || sl_unlikely(a->kind[i] != SL_AUTHZ_FLOW))
		return;
	if (sl_likely(f->way_gen == a->way_gen && /* roots change in seconds, packets come in us */
		      ((f->note & SL_FLOW_WAY_B) != 0) == (a->side[i] != 0)))
		meta->nh = f->nh;
	else
		meta->flow = sl_flow_at(a->w->flows, f) + 1;
}

void
sl_authz_look(struct sl_authz *a, unsigned i)
{
	bool error = a->kind[i] == SL_AUTHZ_ERROR;
	struct sl_flow *f;

	if (sl_unlikely(a->moved)) /* entries came or went since all were looked up */
		find(a, i);
	if (sl_unlikely(a->n_on_entry != 0) && waits(a, i, a->f[i])) /* a change */
		return;
	f = living(a, i);
	if (sl_unlikely(error && !has_sent(a, i, f))) {
		as_packet(a, i);
		return;
	}
	if (sl_unlikely(f == NULL)) { /* the first packet of a flow */
		a->f[i] = NULL;
		if (!may_ask(a, i))
			return;
		f = living(a, i); /* it may have come just now */
		if (f == NULL) {
			ask(a, i, SL_ABOUT_NEW, NULL);
			return;
		}
	}
	if (sl_unlikely(!is_current(a, f))) /* the first one after a change */
		ask(a, i, SL_ABOUT_AGAIN, f);
	else if (sl_unlikely(error && (f->flags & SL_FLOW_ALLOW) == 0 &&
			     (sl_authz_mode(a, i, f) & 1) == SL_MODE_ENFORCE))
		as_packet(a, i);
	else if (sl_unlikely(!binds(a, i, f)))
		ask(a, i, SL_ABOUT_OTHER, f);
	else {
		count_lookup(a, i, true);
		sl_authz_settle(a, i, f);
		know_way(a, i, f);
	}
}

/* --- answers ----------------------------------------------------------------------------- */

/** The questions of one round. */
struct round {
	unsigned n;
	uint32_t midstream; /* bit k: question k is about TCP that does not begin */
	uint32_t begin;	    /* its packets begin a flow, whose entry q[k].f is, NULL without room */
	struct sl_question *q;
	struct sl_judge_flow *flow;
	struct sl_judgement ans[SL_BURST];
};

/** Midstream TCP that its own direction does not allow: once more, mirrored. */
static void
ask_mirrored(struct sl_authz *a, struct round *r)
{
	struct sl_judge_flow flow[SL_BURST];
	struct sl_judgement ans[SL_BURST];
	unsigned k, i, n = 0;
	uint8_t of[SL_BURST];

	r->midstream = 0;
	for (k = 0; k < r->n; k++) {
		if (r->q[k].about == SL_ABOUT_AGAIN || !is_midstream(a, r->q[k].first))
			continue;
		r->midstream |= UINT32_C(1) << k;
		if (r->ans[k].allow || r->ans[k].why == SL_WHY_WITHDRAWN ||
		    r->q[k].about == SL_ABOUT_OTHER)
			continue;
		tuple_mirrored(a, r->q[k].first, &flow[n]);
		of[n++] = (uint8_t)k;
	}
	if (n == 0)
		return;
	sl_judge(a->v, a->w->tick, flow, ans, n);
	for (i = 0; i < n; i++) {
		if (!ans[i].allow)
			continue;
		r->ans[of[i]] = ans[i];
		r->flow[of[i]] = flow[i];
		r->q[of[i]].agg_hash = 0;
	}
}

/** Verdict on a packet for which the table has no room. @param k that the flow's addresses are in
 */
static void
without_entry(struct sl_authz *a, unsigned i, const struct sl_judge_flow *flow,
	      const struct sl_judgement *j, const struct sl_flow_key *k, uint8_t flags)
{
	struct sl_flow f = {.key = *k, .hash = a->hash[i], .last_tick = a->w->tick};
	unsigned dir;

	a->drop[i] = SL_DROP_NONE;
	if (a->kind[i] == SL_AUTHZ_QUIET)
		return;
	write_first(a, &f, flow, j, k, flags, a->mode[i]);
	dir = (a->side[i] != 0) != sl_flow_init_b(&f);
	f.packets[dir] = 1;
	f.bytes[dir] = sl_meta(a->m[i])->total_len;
	if (!sl_flow_passes(&f))
		a->drop[i] = (uint8_t)sl_authz_reason(f.why);
	sl_note_single(a->w, &f);
	if (sl_unlikely(a->unlogged))
		sl_authz_unlogged(a, i, &f, sl_flow_mode(f.why, a->mode[i]));
}

/** The last quarter of the table is not for a peer that holds more than a quarter already. */
static bool
has_its_share(const struct sl_worker *w, uint32_t peer_id)
{
	unsigned max = sl_flow_max(w->flows);
	const struct sl_peer *p;

	if (sl_likely(sl_flow_count(w->flows) < max - max / 4))
		return false;
	p = sl_peer_get(w->dp->peers, peer_id);
	return p != NULL && sl_peer_home(p) == w->id && p->n_flows > max / 4;
}

static struct sl_flow *
new_entry(struct sl_authz *a, unsigned i, const struct sl_judge_flow *flow,
	  const struct sl_judgement *j, uint8_t flags)
{
	struct sl_worker *w = a->w;
	struct sl_flow *f;

	/* denied entries make way for others, and take nothing from them */
	if (sl_unlikely(!j->allow))
		f = sl_flow_add_denied(w->flows, &a->key[i], a->hash[i], w->tick, sl_flow_evicted,
				       w);
	else if (sl_unlikely(has_its_share(w, flow->peer_id)))
		return NULL;
	else
		f = sl_flow_add(w->flows, &a->key[i], a->hash[i], w->tick, sl_flow_evicted, w);
	if (sl_unlikely(f == NULL)) /* the table is sized for its load */
		return NULL;
	write_first(a, f, flow, j, &a->key[i], flags, a->mode[i]);
	if ((flags & SL_FLOW_QUIET) != 0)
		f->flags |= SL_FLOW_ALLOW_NOTED;
	else if ((f->flags & SL_FLOW_STALE) != 0)
		sl_note_stale(w, f);
	sl_flow_link_peers(w, f, NULL);
	return f;
}

/** Without an entry, is the first packet's verdict this one's too? */
static bool
judged_like(const struct sl_authz *a, unsigned i, unsigned first)
{
	return a->side[i] == a->side[first] && a->kind[i] == a->kind[first] &&
	       is_midstream(a, i) == is_midstream(a, first);
}

/** A packet for which the first one's verdict does not hold, and no entry. */
static void
judge_alone(struct sl_authz *a, unsigned i)
{
	struct sl_judge_flow flow, mirrored;
	bool midstream = is_midstream(a, i);
	struct sl_judgement ans, other;

	tuple_of_packet(a, i, &flow);
	sl_judge(a->v, a->w->tick, &flow, &ans, 1);
	if (midstream && !ans.allow && ans.why != SL_WHY_WITHDRAWN) {
		tuple_mirrored(a, i, &mirrored);
		sl_judge(a->v, a->w->tick, &mirrored, &other, 1);
		if (other.allow) {
			ans = other;
			flow = mirrored;
		}
	}
	without_entry(a, i, &flow, &ans, &a->key[i], midstream ? SL_FLOW_MIDSTREAM : 0);
}

/** The last resort against going round: packets by the answer that they have. */
static void
begin_alone(struct sl_authz *a, struct round *r, unsigned k)
{
	unsigned i, first = r->q[k].first;
	struct sl_judge_flow flow;

	for (i = first; i != UINT8_MAX; i = a->chain[i]) {
		if (r->q[k].about != SL_ABOUT_AGAIN && !judged_like(a, i, first)) {
			judge_alone(a, i);
			continue;
		}
		tuple_of_packet(a, i, &flow);
		without_entry(a, i, &flow, &r->ans[k], &a->key[i], 0);
	}
}

/** Packets go on with what the table says now. */
static void
look_again(struct sl_authz *a, const struct sl_question *q, uint8_t asked)
{
	unsigned i, next;

	for (i = q->first; i != UINT8_MAX; i = next) {
		next = a->chain[i]; /* a new question chains anew */
		count_lookup(a, i, i != q->first);
		a->asked[i] |= asked;
		sl_authz_look(a, i);
	}
}

/** Is the entry of a question still that of its packets? Others may have taken its place. */
static bool
is_there(const struct sl_authz *a, const struct sl_question *q)
{
	return q->f->used && sl_flow_key_is(&q->f->key, &a->key[q->first]);
}

static uint8_t
flags_of_new(const struct sl_authz *a, const struct round *r, unsigned k)
{
	return (uint8_t)(((r->midstream >> k & 1) != 0 ? SL_FLOW_MIDSTREAM : 0) |
			 (a->kind[r->q[k].first] == SL_AUTHZ_QUIET ? SL_FLOW_QUIET : 0));
}

static bool
begins(const struct sl_authz *a, const struct round *r, unsigned k)
{
	const struct sl_question *q = &r->q[k];

	if (q->about == SL_ABOUT_OTHER)
		return is_there(a, q) && r->ans[k].allow;
	return q->about == SL_ABOUT_NEW &&
	       (sl_likely(!a->imported) || /* see fetch_moved() */
		sl_flow_find(a->w->flows, &a->key[q->first], a->hash[q->first]) == NULL);
}

/** All new entries of a round first: what is noted of them comes into the cache meanwhile. */
static void
make_entries(struct sl_authz *a, struct round *r)
{
	unsigned k, first;

	r->begin = 0;
	for (k = 0; k < r->n; k++) {
		first = r->q[k].first;
		if (!begins(a, r, k))
			continue;
		if (r->q[k].about == SL_ABOUT_OTHER)
			sl_flow_end(a->w, r->q[k].f, SL_RR_REVOKED);
		r->begin |= UINT32_C(1) << k;
		r->q[k].f = new_entry(a, first, &r->flow[k], &r->ans[k], flags_of_new(a, r, k));
		if (sl_unlikely(r->q[k].f == NULL)) /* see new_entry() */
			continue;
		r->q[k].f->agg_hash = r->q[k].agg_hash;
		sl_note_prefetch(a->w, r->q[k].f);
	}
}

/** Packets of a new flow; without room for it they are judged one by one. */
static void
begin(struct sl_authz *a, struct round *r, unsigned k)
{
	unsigned first = r->q[k].first, i, next;
	struct sl_flow *f = r->q[k].f;

	count_lookup(a, first, false);
	if (f != NULL) {
		if (is_tcp(a, first))
			(void)sl_flow_tcp(f, tcp_flags(a, first),
					  (a->side[first] != 0) == sl_flow_init_b(f));
		sl_authz_settle_first(a, first, f);
	}
	for (i = f != NULL ? a->chain[first] : first; i != UINT8_MAX; i = next) {
		next = a->chain[i]; /* a new question chains anew */
		if (f != NULL) {
			sl_authz_look(a, i);
			continue;
		}
		count_lookup(a, i, true);
		if (judged_like(a, i, first))
			without_entry(a, i, &r->flow[k], &r->ans[k], &a->key[first],
				      flags_of_new(a, r, k));
		else
			judge_alone(a, i);
	}
}

static void
answer(struct sl_authz *a, struct round *r, unsigned k)
{
	const struct sl_question *q = &r->q[k];
	bool made = (r->begin >> k & 1) != 0;

	if (sl_likely(made && (q->f == NULL || is_there(a, q)))) /* none pushed it out already */
		begin(a, r, k);
	else if (q->about == SL_ABOUT_AGAIN && is_there(a, q)) {
		judged_again(a, q->f, &r->ans[k]);
		look_again(a, q, 0);
	} else {
		look_again(a, q, q->about == SL_ABOUT_OTHER && !made ? SL_ASKED_OTHER : 0);
	}
}

/** New entries will stand before these on the lists of their peers. */
static void
fetch_heads(struct sl_authz *a)
{
	const struct sl_peer *p;
	unsigned k;

	for (k = 0; k < a->n_q; k++) {
		p = sl_peer_get(a->w->dp->peers, a->flow[k].peer_id);
		if (p != NULL && p->flow_head != 0)
			sl_prefetch(sl_flow_get(a->w->flows, (p->flow_head - 1) / 2)->prev);
	}
}

/* A packet asks for a new verdict of its entry, then perhaps for one of its own direction or, as
 * an ICMP error, as a packet; entries that went meanwhile may cost one round more. */
void
sl_authz_answer(struct sl_authz *a)
{
	unsigned k, rounds;
	struct round r;

	for (rounds = 0; a->n_q != 0; rounds++) {
		fetch_heads(a);
		r.n = a->n_q;
		r.q = a->q;
		r.flow = a->flow;
		sl_judge(a->v, a->w->tick, r.flow, r.ans, r.n);
		ask_mirrored(a, &r);
		sl_authz_no_questions(a);
		a->moved = true;
		if (sl_unlikely(rounds == ROUNDS_MAX)) { /* see above */
			for (k = 0; k < r.n; k++)
				begin_alone(a, &r, k);
			continue;
		}
		make_entries(a, &r);
		for (k = 0; k < r.n; k++)
			answer(a, &r, k);
	}
}
