/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may reach what. Each packet belongs to a flow; a flow has a verdict (flow_judge.c), which
 * holds in both directions. The mode is local (D6), applied per packet and never kept: enforce
 * drops what the verdict denies, observe forwards it; flows, records and evidence are the same in
 * both.
 */
#include "flow_int.h"

static inline const struct sl_lpm *
mode_table(const struct sl_authz_view *a, uint8_t version)
{
	return version == 4 ? &a->mode4 : &a->mode6;
}

/** @return true if no packet of this root can meet the mode enforce. */
static inline bool
only_observe(const struct sl_authz_view *a)
{
	return a->panic_observe ||
	       (a->deflt == SL_MODE_OBSERVE && a->mode4.root == NULL && a->mode6.root == NULL);
}

/** The panic switch says nothing about targets. */
static inline uint32_t
mode_observe(const struct sl_authz_view *a)
{
	return a->panic_observe ? SL_MODE_OBSERVE : SL_MODE_OBSERVE | SL_MODE_NO_PREFIX;
}

static inline uint32_t
mode_found(const struct sl_authz_view *a, uint32_t found)
{
	return found == SL_LPM_NONE ? a->deflt | SL_MODE_NO_PREFIX : found;
}

/** Modes of a burst: of the longest mode prefix on the address that is not the peer's (D3). */
static void
find_modes(struct sl_authz *a)
{
	const struct sl_authz_view *view = &a->w->root->authz;
	struct sl_lookup look;
	uint8_t version;
	unsigned i;
	bool out;

	if (a->observe) {
		for (i = 0; i < a->n; i++)
			a->mode[i] = mode_observe(view);
		return;
	}
	sl_lookup_begin(&look, a->mode, a->n);
	for (i = 0; i < a->n; i++) {
		version = sl_meta(a->m[i])->version;
		out = (sl_meta(a->m[i])->flags & SL_PKT_FROM_TUNNEL) != 0;
		sl_lookup_add(&look, mode_table(view, version), version,
			      out ? sl_pkt_dst(a->m[i]) : sl_pkt_src(a->m[i]), i);
	}
	sl_lookup_run(&look);
	for (i = 0; i < a->n; i++)
		a->mode[i] = mode_found(view, a->mode[i]);
}

/* Between peers the target is the receiver of the flow; of its replies the sender (D3). An ICMP
 * error goes against the packet that it quotes. */
static inline bool
is_from_peer_target(const struct sl_authz *a, unsigned i, const struct sl_flow *f)
{
	bool reply = (a->side[i] != 0) != sl_flow_init_b(f);

	return sl_unlikely(!reply != (a->kind[i] != SL_AUTHZ_ERROR) && /* nearly all is isolated */
			   (sl_meta(a->m[i])->flags & SL_PKT_FROM_TUNNEL) != 0 &&
			   (f->flags & SL_FLOW_FROM_TUNNEL) != 0);
}

static uint32_t
mode_of_target(const struct sl_authz *a, unsigned i, const struct sl_flow *f)
{
	const struct sl_authz_view *view = &a->w->root->authz;
	const struct sl_meta *meta = sl_meta(a->m[i]);

	if (sl_likely(a->observe || !is_from_peer_target(a, i, f)))
		return a->mode[i];
	return mode_found(view,
			  sl_lpm_lookup(mode_table(view, meta->version), sl_pkt_src(a->m[i])));
}

uint32_t
sl_authz_mode(const struct sl_authz *a, unsigned i, const struct sl_flow *f)
{
	return sl_flow_mode(f->why, mode_of_target(a, i, f));
}

enum sl_drop
sl_authz_reason(unsigned why)
{
	switch (why) {
	case SL_WHY_NO_ROLE:
		return SL_DROP_NO_ROLE;
	case SL_WHY_MAP_ERROR:
		return SL_DROP_MAP_ERROR;
	case SL_WHY_WITHDRAWN:
		return SL_DROP_TARGET_WITHDRAWN;
	default:
		return SL_DROP_DENIED;
	}
}

/** Does its target want the records that are not kept now? */
static bool
is_required(const struct sl_authz *a, unsigned i, const struct sl_flow *f)
{
	const struct sl_authz_view *view = &a->w->root->authz;
	const struct sl_meta *meta = sl_meta(a->m[i]);
	bool out = (meta->flags & SL_PKT_FROM_TUNNEL) != 0 && !is_from_peer_target(a, i, f);

	return sl_lpm_lookup(meta->version == 4 ? &view->required4 : &view->required6,
			     out ? sl_pkt_dst(a->m[i]) : sl_pkt_src(a->m[i])) != SL_LPM_NONE;
}

/** A packet that policy allows, while records are not kept. @return whether it is to be noted */
static bool
is_lost(struct sl_authz *a, unsigned i, const struct sl_flow *f, uint32_t mode)
{
	if (a->drop[i] != SL_DROP_NONE || (f->flags & SL_FLOW_ALLOW) == 0 ||
	    a->kind[i] == SL_AUTHZ_QUIET || !is_required(a, i, f))
		return false;
	if ((mode & 1) == SL_MODE_ENFORCE)
		a->drop[i] = SL_DROP_LOG_LOST;
	return true;
}

void
sl_authz_unlogged(struct sl_authz *a, unsigned i, const struct sl_flow *f, uint32_t mode)
{
	if (is_lost(a, i, f, mode))
		sl_note_packet(a->w, a->m[i], mode, SL_RR_LOG_LOST);
}

/* --- verdicts ---------------------------------------------------------------------------- */

static inline bool
turns(const struct sl_flow *f, uint32_t mode)
{
	return ((f->note & SL_FLOW_OBSERVED) != 0) == ((mode & 1) == SL_MODE_ENFORCE);
}

static inline void
count(struct sl_authz *a, unsigned i, struct sl_flow *f, unsigned dir, uint32_t mode)
{
	if (sl_unlikely(turns(f, mode))) /* the mode changed, or the flow is new */
		sl_note_turn(a->w, f, mode);
	f->last_tick = a->w->tick;
	f->packets[dir]++;
	f->bytes[dir] += sl_meta(a->m[i])->total_len;
	if (sl_unlikely((f->flags & SL_FLOW_ALLOW_NOTED) == 0)) /* its first packet */
		sl_note_begin(a->w, f);
}

/* Held back until a second has passed since the last record of its flow. */
static void
hold_back(struct sl_authz *a, struct sl_flow *f)
{
	f->unnoted++;
	if (a->w->tick - f->noted_tick >= SL_SECOND_TICKS)
		sl_note_denied(a->w, f);
}

static void
denied(struct sl_authz *a, unsigned i, struct sl_flow *f, uint32_t mode)
{
	bool enforce = (mode & 1) == SL_MODE_ENFORCE;

	if (a->kind[i] == SL_AUTHZ_QUIET && enforce) /* its sender's home decides */
		return;
	if (enforce)
		a->drop[i] = (uint8_t)sl_authz_reason(f->why);
	else if ((f->flags & SL_FLOW_QUIET) != 0) /* noted at the initiator's home */
		return;
	hold_back(a, f);
}

static void
unlogged(struct sl_authz *a, unsigned i, struct sl_flow *f, uint32_t mode)
{
	if (sl_unlikely(turns(f, mode))) /* an ICMP error alone: it changes no mode */
		sl_authz_unlogged(a, i, f, mode);
	else if (is_lost(a, i, f, mode))
		hold_back(a, f);
}

void
sl_authz_settle(struct sl_authz *a, unsigned i, struct sl_flow *f)
{
	unsigned dir = (a->side[i] != 0) != sl_flow_init_b(f);
	uint32_t mode = sl_authz_mode(a, i, f);

	a->drop[i] = SL_DROP_NONE;
	if (sl_likely(a->kind[i] != SL_AUTHZ_ERROR)) /* an error is no packet of the flow */
		count(a, i, f, dir, mode);
	if (sl_unlikely((f->flags & SL_FLOW_ALLOW) == 0)) /* honest users know what they may */
		denied(a, i, f, mode);
	if (sl_unlikely(a->unlogged)) /* a sink or the drain is in trouble */
		unlogged(a, i, f, mode);
}

void
sl_authz_settle_first(struct sl_authz *a, unsigned i, struct sl_flow *f)
{
	bool reply = (a->side[i] != 0) != sl_flow_init_b(f); /* midstream */

	/* such a note: nothing is to be noted of it, or another packet was there before */
	if (sl_unlikely(reply || (f->flags & SL_FLOW_ALLOW_NOTED) != 0)) {
		sl_authz_settle(a, i, f);
		return;
	}
	a->drop[i] = SL_DROP_NONE;
	f->packets[0] = 1;
	f->bytes[0] = sl_meta(a->m[i])->total_len;
	sl_note_begin(a->w, f);
	if (sl_unlikely((f->flags & SL_FLOW_ALLOW) == 0)) /* as in sl_authz_settle() */
		denied(a, i, f, sl_flow_mode(f->why, a->mode[i]));
	if (sl_unlikely(a->unlogged))
		unlogged(a, i, f, sl_flow_mode(f->why, a->mode[i]));
}

/** From inside, and its peer has moved: there its first fragment may be known. */
static bool
has_moved(const struct sl_authz *a, unsigned i)
{
	const struct sl_meta *meta = sl_meta(a->m[i]);
	const struct sl_peer *p = sl_peer_get(a->w->dp->peers, meta->peer_id);

	return (meta->flags & SL_PKT_FROM_TUNNEL) == 0 && p != NULL && sl_peer_is_up(a->w, p) &&
	       sl_peer_home(p) != a->w->id;
}

static bool
is_withdrawn(const struct sl_authz *a, unsigned i)
{
	const struct sl_meta *meta = sl_meta(a->m[i]);
	const struct sl_polset_flow f = {.version = meta->version,
					 .iface = meta->iface_id,
					 .src = sl_pkt_src(a->m[i]),
					 .dst = sl_pkt_dst(a->m[i])};

	return a->v->set != NULL &&
	       sl_polset_withdrawn(a->v->set, &f, (meta->flags & SL_PKT_FROM_TUNNEL) == 0) !=
		       SL_POL_NONE16;
}

static void
orphan(struct sl_authz *a, unsigned i)
{
	bool enforce = (a->mode[i] & 1) == SL_MODE_ENFORCE;

	if (has_moved(a, i)) {
		a->drop[i] = SL_AUTHZ_STEER;
		return;
	}
	if (is_withdrawn(a, i)) {
		a->drop[i] = SL_DROP_TARGET_WITHDRAWN;
		sl_note_packet(a->w, a->m[i], a->mode[i] | SL_MODE_ENFORCE, SL_RR_WITHDRAWN);
		return;
	}
	a->drop[i] = enforce ? SL_DROP_FRAG_ORPHAN : SL_DROP_NONE;
	sl_note_packet(a->w, a->m[i], a->mode[i], SL_RR_FRAG_ORPHAN);
}

/* --- the burst --------------------------------------------------------------------------- */

static inline bool
is_special(const struct sl_meta *meta)
{
	return (meta->flags & (SL_PKT_LOCAL_ORIGIN | SL_PKT_FRAG)) != 0 ||
	       meta->proto == SL_PROTO_ICMP || meta->proto == SL_PROTO_ICMP6;
}

static void
find_keys(struct sl_authz *a)
{
	struct sl_meta *meta;
	unsigned i;

	for (i = 0; i < a->n; i++) {
		meta = sl_meta(a->m[i]);
		meta->nh = 0; /* see know_way() */
		meta->flow = 0;
		a->kind[i] = sl_meta_is_quiet(meta) ? SL_AUTHZ_QUIET : SL_AUTHZ_FLOW;
		a->asked[i] = 0;
		if (sl_unlikely(is_special(meta))) { /* few of the packets of a network */
			sl_authz_special(a, i);
			continue;
		}
		a->side[i] = sl_flow_key_make(&a->key[i], meta->version, meta->proto,
					      meta->iface_id, sl_pkt_src(a->m[i]),
					      sl_pkt_dst(a->m[i]), meta->sport, meta->dport);
	}
	for (i = 0; i < a->n; i++) {
		a->hash[i] = sl_flow_hash(a->w->flows, &a->key[i]);
		sl_flow_prefetch(a->w->flows, a->hash[i]);
	}
}

static void
judge_all(struct sl_authz *a)
{
	unsigned i;

	sl_authz_no_questions(a);
	a->moved = false;
	a->imported = false;
	for (i = 0; i < a->n; i++) {
		if (sl_likely(a->kind[i] < SL_AUTHZ_ORPHAN)) /* nearly all packets */
			sl_authz_look(a, i);
		else if (a->kind[i] == SL_AUTHZ_ORPHAN)
			orphan(a, i);
		else
			a->drop[i] = SL_DROP_NONE;
	}
	if (a->n_q != 0)
		sl_authz_answer(a);
}

/** Its home is another worker now; there it counts as one that came from inside. */
static void
steer(struct sl_authz *a, unsigned i, struct sl_vec out[])
{
	struct sl_peer *p = sl_peer_get(a->w->dp->peers, sl_meta(a->m[i])->peer_id);

	a->w->delta.stage[SL_STATS_PRE_ENCRYPT].total--;
	sl_vec_steer(a->w, out, a->m[i], sl_peer_home(p), SL_NEXT_INSIDE);
}

/** Where a packet that is not to pass goes on: a peer is told that its target is withdrawn. */
static struct sl_vec *
end_of(const struct sl_meta *meta, unsigned drop, struct sl_vec out[])
{
	bool told = drop == SL_DROP_TARGET_WITHDRAWN && (meta->flags & SL_PKT_FROM_TUNNEL) != 0;

	return &out[told ? SL_NODE_ICMP : SL_NODE_DROP];
}

static void
leave(struct sl_authz *a, struct sl_vec out[])
{
	const struct sl_meta *meta;
	unsigned i;

	for (i = 0; i < a->n; i++) {
		meta = sl_meta(a->m[i]);
		if (sl_unlikely(a->drop[i] == SL_AUTHZ_STEER)) /* only while a peer moves */
			steer(a, i, out);
		else if (sl_unlikely(a->drop[i] != SL_DROP_NONE)) /* see settle() */
			sl_vec_drop(end_of(meta, a->drop[i], out), a->m[i], a->drop[i]);
		else if ((meta->flags & SL_PKT_FROM_TUNNEL) != 0 && !sl_meta_is_quiet(meta))
			sl_vec_add(&out[SL_NODE_FORWARD], a->m[i]);
		else
			sl_vec_add(&out[SL_NODE_ENCAP], a->m[i]);
	}
}

/** Are records not kept, and does any target want them? */
static inline bool
is_unlogged(const struct sl_worker *w)
{
	const struct sl_authz_view *view = &w->root->authz;

	return sl_unlikely(view->required4.root != NULL || view->required6.root != NULL) &&
	       (!view->logging ||
		atomic_load_explicit(&w->dp->losing_records, memory_order_relaxed));
}

void
sl_stage_authz(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	const struct sl_policy_view *v = &w->root->authz.policy;
	struct sl_authz a;
	unsigned i;

	a.w = w;
	a.v = v;
	a.policy_gen = v->set != NULL ? (uint32_t)v->set->generation : 0;
	a.who_gen = v->who != NULL ? (uint32_t)v->who->generation : 0;
	a.way_gen = (uint32_t)w->root->generation;
	a.q = NULL; /* sl_authz_no_questions() */
	a.observe = only_observe(&w->root->authz);
	a.unlogged = is_unlogged(w);
	for (i = 0; i < in->n; i += a.n) {
		a.n = SL_MIN(in->n - i, (unsigned)SL_BURST);
		a.m = &in->m[i];
		find_keys(&a);
		find_modes(&a); /* the buckets of the keys come meanwhile */
		sl_flow_find_burst(w->flows, a.key, a.hash, a.f, a.n);
		judge_all(&a);
		leave(&a, out);
	}
	in->n = 0;
}
