/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is written of flows: records (one ring a worker, D11) and aggregates (the evidence, D10).
 *
 * Records: a flow that policy allows has one at its begin; one that it denies has one at once and
 * then one a second, with the packets of that second (so has one whose target wants records that
 * are being lost); each phase whose packets were forwarded has one at its end. A rule without
 * `log`, or logging switched off, selects none of them; one that samples selects flows, each with
 * all its records (flow_judge.c). What is seen is counted when it is written, so that the law of
 * sl_record.h holds at any time; what is held back is written within three seconds (sweep), or with
 * the end of the flow.
 *
 * Aggregates know nothing of all that.
 */
#include "flow_int.h"

static inline uint8_t
flags_of(const struct sl_flow *f)
{
	uint8_t flags = 0;

	flags |= (f->flags & SL_FLOW_FROM_TUNNEL) != 0 ? SL_RF_FROM_TUNNEL : 0;
	flags |= (f->flags & SL_FLOW_MULTI_ROLE) != 0 ? SL_RF_MULTI_ROLE : 0;
	flags |= (f->flags & SL_FLOW_STALE) != 0 ? SL_RF_STALE : 0;
	flags |= (f->flags & SL_FLOW_MIDSTREAM) != 0 ? SL_RF_MIDSTREAM : 0;
	flags |= (f->flags & SL_FLOW_ALLOW) != 0 ? SL_RF_ALLOW : 0;
	flags |= (f->note & SL_FLOW_OBSERVED) == 0 ? SL_RF_ENFORCED : 0;
	flags |= (f->note & SL_FLOW_NO_PREFIX) != 0 ? SL_RF_NO_TARGET : 0;
	return flags;
}

static inline unsigned
reason_of(const struct sl_flow *f)
{
	switch (f->why) {
	case SL_WHY_RULE:
		return SL_RR_RULE;
	case SL_WHY_ZONE_DEFAULT:
		return SL_RR_ZONE_DEFAULT;
	case SL_WHY_NO_ROLE:
		return SL_RR_NO_ROLE;
	case SL_WHY_WITHDRAWN:
		return SL_RR_WITHDRAWN;
	default:
		return SL_RR_MAP_ERROR;
	}
}

/** Count n of a type. @return true if a record is to be written */
static inline bool
select_record(struct sl_worker *w, enum sl_rec_type t, bool wanted, unsigned role, uint64_t n)
{
	sl_rec_seen(w->records, t, n);
	if (!wanted || !w->logging)
		sl_rec_not_selected(w->records, t, n);
	else if (sl_rec_token(w->buckets, t, role, w->tick))
		return true;
	else
		sl_rec_suppressed(w->records, t, n);
	return false;
}

static struct sl_rec *
begin_record(struct sl_worker *w, enum sl_rec_type t, uint32_t count)
{
	struct sl_rec *r = sl_rec_begin(w->records);

	r->mono_ns = w->now_ns;
	r->type = (uint8_t)t;
	r->count = count;
	r->rule = SL_POL_NONE;
	r->role = SL_POL_NONE16;
	r->target = SL_POL_NONE16;
	r->zone = SL_POL_NONE16;
	return r;
}

_Static_assert(offsetof(struct sl_rec, dport) == 50 && offsetof(struct sl_rec, iface) == 52 &&
		       offsetof(struct sl_rec, proto) == 54 &&
		       offsetof(struct sl_rec, version) == 55 &&
		       offsetof(struct sl_rec, reason) == 57 &&
		       offsetof(struct sl_rec, flags) == 58 &&
		       offsetof(struct sl_rec, stage) == 59 &&
		       offsetof(struct sl_rec, peer_id) == 60 &&
		       offsetof(struct sl_rec, rule) == 68 &&
		       offsetof(struct sl_rec, target) == 74 && offsetof(struct sl_rec, zone) == 76,
	       "written as words");

/** A record of a flow, for sl_rec_write(). */
struct flow_record {
	uint64_t word[SL_REC_WORDS];
	struct sl_rec_more more;
};

static inline void
fill_record(struct flow_record *r, const struct sl_worker *w, enum sl_rec_type t,
	    const struct sl_flow *f, uint32_t count, unsigned reason, unsigned flags)
{
	const uint8_t *src = sl_flow_src(f), *dst = sl_flow_dst(f);
	bool from_tunnel = (f->flags & SL_FLOW_FROM_TUNNEL) != 0;
	unsigned stage = from_tunnel ? SL_STATS_POST_DECRYPT : SL_STATS_PRE_ENCRYPT;

	r->word[0] = w->now_ns;
	r->word[1] = sl_load_le32(src) | (uint64_t)sl_load_le32(dst) << 32;
	r->word[2] = sl_flow_sport(f) | (uint64_t)sl_flow_dport(f) << 16 |
		     (uint64_t)f->key.iface << 32 | (uint64_t)f->key.proto << 48 |
		     (uint64_t)f->key.version << 56;
	r->word[3] = (uint64_t)t | (uint64_t)reason << 8 | (uint64_t)(flags_of(f) | flags) << 16 |
		     (uint64_t)stage << 24 | (uint64_t)f->peer_id << 32;
	r->word[4] = f->policy_gen | (uint64_t)f->rule << 32;
	r->word[5] = f->role | (uint64_t)f->target << 16 | (uint64_t)f->zone << 32;
	r->word[6] = count;
}

static void
fill_more(struct flow_record *r, const struct sl_flow *f)
{
	memcpy(r->more.src, sl_flow_src(f) + 4, sizeof(r->more.src));
	memcpy(r->more.dst, sl_flow_dst(f) + 4, sizeof(r->more.dst));
	memset(r->more.packets, 0, sizeof(r->more.packets));
	memset(r->more.bytes, 0, sizeof(r->more.bytes));
}

static inline void
write_flow(struct sl_worker *w, enum sl_rec_type t, const struct sl_flow *f, uint32_t count,
	   unsigned reason, unsigned flags)
{
	struct flow_record r;

	fill_record(&r, w, t, f, count, reason, flags);
	if (f->key.version != 4)
		fill_more(&r, f);
	sl_rec_write(w->records, r.word, f->key.version != 4 ? &r.more : NULL);
}

static inline void
note_flow(struct sl_worker *w, enum sl_rec_type t, const struct sl_flow *f, uint32_t count,
	  unsigned flags)
{
	if (select_record(w, t, (f->note & SL_FLOW_LOG) != 0, f->role, count))
		write_flow(w, t, f, count, reason_of(f), flags);
}

static enum sl_rec_type
deny_type(const struct sl_flow *f)
{
	return (f->note & SL_FLOW_OBSERVED) != 0 ? SL_REC_WOULD_DENY : SL_REC_DENY;
}

/* Policy allows it: no rule decided, nor a role. */
static void
note_lost(struct sl_worker *w, const struct sl_flow *f, uint32_t count)
{
	bool from_tunnel = (f->flags & SL_FLOW_FROM_TUNNEL) != 0;
	size_t n = f->key.version == 4 ? 4 : 16;
	struct sl_rec *r;

	if (!select_record(w, deny_type(f), true, SL_POL_NONE16, count))
		return;
	r = begin_record(w, deny_type(f), count);
	memcpy(r->src, sl_flow_src(f), n);
	memcpy(r->dst, sl_flow_dst(f), n);
	r->sport = sl_flow_sport(f);
	r->dport = sl_flow_dport(f);
	r->iface = f->key.iface;
	r->proto = f->key.proto;
	r->version = f->key.version;
	r->reason = SL_RR_LOG_LOST;
	r->flags = flags_of(f) & (SL_RF_FROM_TUNNEL | SL_RF_ENFORCED | SL_RF_NO_TARGET);
	r->stage = from_tunnel ? SL_STATS_POST_DECRYPT : SL_STATS_PRE_ENCRYPT;
	r->peer_id = f->peer_id;
	sl_rec_commit(w->records, r);
}

void
sl_note_denied(struct sl_worker *w, struct sl_flow *f)
{
	uint32_t n = f->unnoted;

	f->noted_tick = w->tick;
	if (n == 0)
		return;
	f->unnoted = 0;
	if ((f->flags & SL_FLOW_ALLOW) != 0)
		note_lost(w, f, n);
	else
		note_flow(w, deny_type(f), f, n,
			  f->packets[0] + f->packets[1] > 1 ? SL_RF_CACHED : 0);
}

/* --- aggregates -------------------------------------------------------------------------- */

static inline uint64_t
agg_flags(const struct sl_flow *f)
{
	uint64_t flags = 0;

	flags |= (f->flags & SL_FLOW_FROM_TUNNEL) != 0 ? SL_AGG_FROM_TUNNEL : 0;
	flags |= (f->flags & SL_FLOW_ALLOW) != 0 ? SL_AGG_ALLOW : 0;
	flags |= (f->note & SL_FLOW_OBSERVED) == 0 ? SL_AGG_ENFORCED : 0;
	flags |= (f->flags & SL_FLOW_MIDSTREAM) != 0 ? SL_AGG_MIDSTREAM : 0;
	return flags;
}

_Static_assert(offsetof(struct sl_agg_key, peer_id) == 32 &&
		       offsetof(struct sl_agg_key, sport) == 36 &&
		       offsetof(struct sl_agg_key, dport) == 38 &&
		       offsetof(struct sl_agg_key, iface) == 40 &&
		       offsetof(struct sl_agg_key, proto) == 42 &&
		       offsetof(struct sl_agg_key, version) == 43 &&
		       offsetof(struct sl_agg_key, flags) == 44,
	       "written as two words");

/* By words: it is hashed by words at once, and a load of what was stored in pieces waits. */
static inline void
agg_key(struct sl_agg_key *k, const struct sl_polset_flow *f, uint32_t peer_id, bool from_tunnel,
	uint64_t flags)
{
	uint64_t sport = from_tunnel || f->sport >= SL_AGG_EPHEMERAL ? 0 : f->sport, tail[2];

	memcpy(k->src, f->src, sizeof(k->src));
	memcpy(k->dst, f->dst, sizeof(k->dst));
	tail[0] = peer_id | sport << 32 | (uint64_t)f->dport << 48;
	tail[1] = f->iface | (uint64_t)f->proto << 16 | (uint64_t)f->version << 24 | flags << 32;
	memcpy((uint8_t *)k + offsetof(struct sl_agg_key, peer_id), tail, sizeof(tail));
}

static inline void
agg_key_of(struct sl_agg_key *k, const struct sl_flow *f)
{
	const struct sl_polset_flow tuple = {.version = f->key.version,
					     .proto = f->key.proto,
					     .iface = f->key.iface,
					     .src = sl_flow_src(f),
					     .dst = sl_flow_dst(f),
					     .sport = sl_flow_sport(f),
					     .dport = sl_flow_dport(f)};

	agg_key(k, &tuple, f->peer_id, (f->flags & SL_FLOW_FROM_TUNNEL) != 0, agg_flags(f));
}

uint32_t
sl_note_expect(struct sl_worker *w, const struct sl_judge_flow *flow)
{
	struct sl_agg_key k;
	uint32_t hash;

	agg_key(&k, &flow->f, flow->peer_id, !flow->from_inside, 0);
	hash = sl_agg_hash(w->agg, &k);
	sl_agg_prefetch(w->agg, hash);
	return hash;
}

/** It came from another worker, or has no entry, or its tuple is another one than expected. */
static void
know_hash(struct sl_worker *w, struct sl_flow *f)
{
	struct sl_agg_key k;

	agg_key_of(&k, f);
	f->agg_hash = sl_agg_hash(w->agg, &k);
}

void
sl_note_prefetch(struct sl_worker *w, struct sl_flow *f)
{
	if ((f->flags & SL_FLOW_QUIET) != 0)
		return;
	if (sl_unlikely(f->agg_hash == 0)) /* see know_hash() */
		know_hash(w, f);
	sl_agg_prefetch_row(w->agg, f->agg_hash, (uint8_t)agg_flags(f));
}

void
sl_note_fold(struct sl_worker *w, struct sl_flow *f, unsigned flows)
{
	uint64_t packets = f->packets[0] + f->packets[1], bytes = f->bytes[0] + f->bytes[1];
	struct sl_agg_key k;

	if ((f->flags & SL_FLOW_QUIET) != 0 || (packets == f->folded_packets && flows == 0))
		return;
	agg_key_of(&k, f);
	if (sl_unlikely(f->agg_hash == 0)) /* see know_hash() */
		f->agg_hash = sl_agg_hash(w->agg, &k);
	sl_agg_add_hashed(w->agg, &k, f->agg_hash, f->rule_id, f->role_id, f->why, flows,
			  packets - f->folded_packets, bytes - f->folded_bytes, w->now_ns);
	f->folded_packets = packets;
	f->folded_bytes = bytes;
}

/* --- begin, change, end ------------------------------------------------------------------ */

void
sl_note_begin(struct sl_worker *w, struct sl_flow *f)
{
	f->flags |= SL_FLOW_ALLOW_NOTED;
	f->noted_tick = w->tick - SL_SECOND_TICKS; /* the first denied packet is written at once */
	if ((f->flags & SL_FLOW_ALLOW) != 0)
		note_flow(w, SL_REC_ALLOW, f, 1, 0);
	sl_note_fold(w, f, 1);
}

static uint32_t
saturate(uint64_t v)
{
	return (uint32_t)SL_MIN(v, (uint64_t)UINT32_MAX);
}

void
sl_note_end(struct sl_worker *w, struct sl_flow *f, unsigned reason)
{
	struct flow_record r;
	unsigned i;

	if (f->unnoted != 0)
		sl_note_denied(w, f);
	sl_note_fold(w, f, 0);
	if (!sl_flow_passes(f) || (f->flags & SL_FLOW_QUIET) != 0 ||
	    (f->flags & SL_FLOW_ALLOW_NOTED) == 0 ||
	    !select_record(w, SL_REC_END, (f->note & SL_FLOW_LOG) != 0, f->role, 1))
		return;
	fill_record(&r, w, SL_REC_END, f, 1, reason, 0);
	fill_more(&r, f);
	r.word[6] |= (uint64_t)saturate((w->now_ns - f->start_ns) / SL_NS_PER_MS) << 32;
	for (i = 0; i < 2; i++) {
		r.more.packets[i] = saturate(f->packets[i]);
		r.more.bytes[i] = f->bytes[i];
	}
	sl_rec_write(w->records, r.word, &r.more);
}

/* Of a flow that policy denies the mode decides whether it is one: under enforce it is cut, under
 * observe it begins. */
void
sl_note_turn(struct sl_worker *w, struct sl_flow *f, uint32_t mode)
{
	bool begun = (f->flags & (SL_FLOW_ALLOW_NOTED | SL_FLOW_QUIET)) == SL_FLOW_ALLOW_NOTED;

	if (f->unnoted != 0) /* under the mode that they met */
		sl_note_denied(w, f);
	if (begun && (f->flags & SL_FLOW_ALLOW) != 0) {
		sl_note_fold(w, f, 0);
	} else if (begun) {
		sl_note_end(w, f, SL_RR_REVOKED);
		sl_flow_reset(w, f);
	}
	f->note &= (uint8_t) ~(SL_FLOW_OBSERVED | SL_FLOW_NO_PREFIX);
	f->note |= sl_flow_note_mode(mode);
}

/* --- packets without a flow -------------------------------------------------------------- */

void
sl_note_single(struct sl_worker *w, const struct sl_flow *f)
{
	struct sl_flow copy = *f;

	w->delta.lcore.flow_full++;
	note_flow(w, SL_REC_FLOW_FULL, f, 1, 0);
	if ((f->flags & SL_FLOW_ALLOW) == 0)
		note_flow(w, deny_type(f), f, 1, 0);
	sl_note_fold(w, &copy, 1);
}

void
sl_note_stale(struct sl_worker *w, const struct sl_flow *f)
{
	if (select_record(w, SL_REC_STALE, true, f->role, 1))
		write_flow(w, SL_REC_STALE, f, 1, reason_of(f), 0);
}

void
sl_note_packet(struct sl_worker *w, struct rte_mbuf *m, uint32_t mode, unsigned reason)
{
	const struct sl_meta *meta = sl_meta(m);
	bool enforce = (mode & 1) == SL_MODE_ENFORCE;
	bool from_tunnel = (meta->flags & SL_PKT_FROM_TUNNEL) != 0;
	enum sl_rec_type t = enforce ? SL_REC_DENY : SL_REC_WOULD_DENY;
	size_t n = meta->version == 4 ? 4 : 16;
	struct sl_rec *r;

	if (!select_record(w, t, true, SL_POL_NONE16, 1))
		return;
	r = begin_record(w, t, 1);
	memcpy(r->src, sl_pkt_src(m), n);
	memcpy(r->dst, sl_pkt_dst(m), n);
	r->iface = meta->iface_id;
	r->proto = meta->proto;
	r->version = meta->version;
	r->reason = (uint8_t)reason;
	r->flags =
		(uint8_t)((from_tunnel ? SL_RF_FROM_TUNNEL : 0) | (enforce ? SL_RF_ENFORCED : 0) |
			  ((mode & SL_MODE_NO_PREFIX) != 0 ? SL_RF_NO_TARGET : 0));
	r->stage = from_tunnel ? SL_STATS_POST_DECRYPT : SL_STATS_PRE_ENCRYPT;
	r->peer_id = meta->peer_id;
	sl_rec_commit(w->records, r);
}

void
sl_note_session(struct sl_worker *w, enum sl_rec_type t, const struct sl_peer *p, uint32_t n)
{
	struct sl_rec *r;

	if (!select_record(w, t, true, SL_POL_NONE16, n))
		return;
	r = begin_record(w, t, n);
	r->iface = p->iface_id;
	r->stage = SL_STATS_POST_DECRYPT;
	r->peer_id = p->id;
	sl_rec_commit(w->records, r);
}
