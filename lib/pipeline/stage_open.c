/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decryption of type 4 by the owner of the keypair (paper section 5.4.6). What is the same for all
 * packets of a keypair is done once per run of consecutive packets: age, peer, home, ticks,
 * counters, endpoint.
 */
#include "flow_int.h"

/* One burst on its way through the cipher. */
struct open {
	struct sl_worker *w;
	struct sl_vec *out;
	unsigned n;
	unsigned n_ring; /* the first of them, which came by steer rings */
	struct rte_mbuf *m[SL_BURST];
	struct sl_keypair *kp[SL_BURST];
	struct sl_aead_job job[SL_BURST];
};

/* A run while its packets are being finished. */
struct run {
	struct sl_rx_run rx;
	unsigned home;
	unsigned first; /* its first packet in the burst */
	struct rte_mbuf *last;
	uint32_t auth_failures, replays;
};

/* --- before the cipher ------------------------------------------------------------------- */

/* All lines that the burst will want of a keypair and its peer. */
static void
prefetch_keypair(const struct sl_keypair *kp, uint64_t counter)
{
	const struct sl_replay *r = kp->replay;

	rte_prefetch0(kp->recv_key);
	rte_prefetch0(r);
	rte_prefetch0(&r->bitmap[counter / 64 % SL_ARRAY_SIZE(r->bitmap)]);
	rte_prefetch0(kp->peer);
	rte_prefetch0(&kp->peer->tick_data_rx);
	rte_prefetch0(&kp->peer->path);
}

/* Index -> slot -> keypair -> its lines: each step for the whole burst before the next, so that the
 * misses of different keypairs overlap. Packets of one keypair mostly follow each other. */
static void
find_keypairs(struct open *o, struct rte_mbuf *const m[], unsigned n)
{
	const struct sl_session_table *t = o->w->dp->sessions;
	const struct sl_slot *slot[SL_BURST];
	unsigned i;

	for (i = 0; i < n; i++) {
		uint32_t index = sl_meta(m[i])->index;

		if (i > 0 && index == sl_meta(m[i - 1])->index) {
			slot[i] = slot[i - 1];
			continue;
		}
		slot[i] = sl_session_slot(t, index);
		rte_prefetch0(slot[i]);
	}
	for (i = 0; i < n; i++) {
		o->kp[i] = sl_slot_peek(slot[i]);
		rte_prefetch0(o->kp[i]);
	}
	for (i = 0; i < n; i++) {
		const struct sl_meta *meta = sl_meta(m[i]);

		if (i > 0 && o->kp[i] == o->kp[i - 1] && meta->index == sl_meta(m[i - 1])->index)
			continue;
		if (sl_likely(sl_keypair_is(o->kp[i], meta->index))) /* peers know their indexes */
			prefetch_keypair(o->kp[i], meta->counter);
		else
			o->kp[i] = NULL;
	}
}

/* D31: a stalled hs never makes an old key usable. */
static enum sl_drop
keypair_state(const struct sl_worker *w, const struct sl_keypair *kp)
{
	if (kp == NULL)
		return SL_DROP_WG_INDEX;
	if (sl_keypair_age_ns(w, kp) >= SL_WG_REJECT_AFTER_S * SL_NS_PER_S)
		return SL_DROP_KEYPAIR_EXPIRED;
	return sl_peer_is_up(w, kp->peer) ? SL_DROP_NONE : SL_DROP_PEER_DOWN;
}

static enum sl_drop
packet_state(const struct sl_keypair *kp, const struct sl_meta *meta)
{
	if (sl_unlikely(kp->iface_id != meta->iface_id)) /* only forged datagrams */
		return SL_DROP_WRONG_INTERFACE;
	if (sl_likely(sl_replay_check(kp->replay, meta->counter))) /* duplicates are rare */
		return SL_DROP_NONE;
	return meta->counter >= SL_WG_REJECT_AFTER_MESSAGES ? SL_DROP_KEYPAIR_EXPIRED
							    : SL_DROP_REPLAY;
}

static void
count_replay(struct sl_worker *w, struct sl_keypair *kp, enum sl_drop why)
{
	if (why != SL_DROP_REPLAY)
		return;
	atomic_fetch_add_explicit(&kp->peer->replays, 1, memory_order_relaxed);
	sl_note_session(w, SL_REC_REPLAY, kp->peer, 1);
}

/* Make a job of each of m[begin..end) that may go to the cipher. */
static void
admit(struct open *o, struct rte_mbuf *const m[], unsigned begin, unsigned end)
{
	const struct sl_keypair *last = NULL;
	enum sl_drop state = SL_DROP_WG_INDEX, why;
	unsigned i;

	for (i = begin; i < end; i++) {
		struct sl_meta *meta = sl_meta(m[i]);
		struct sl_keypair *kp = o->kp[i];
		struct sl_aead_job *job = &o->job[o->n];

		meta->flags |= SL_PKT_FROM_TUNNEL;
		if (kp != last || i == begin) {
			last = kp;
			state = keypair_state(o->w, kp);
		}
		why = state;
		if (sl_likely(why == SL_DROP_NONE)) /* keys are replaced before they expire */
			why = packet_state(kp, meta);
		if (sl_unlikely(why != SL_DROP_NONE)) { /* as above */
			if (kp != NULL)
				count_replay(o->w, kp, why);
			sl_vec_drop(&o->out[SL_NODE_DROP], m[i], why);
			continue;
		}
		job->key = kp->recv_key;
		job->counter = meta->counter;
		job->data = rte_pktmbuf_mtod_offset(m[i], uint8_t *, SL_WIRE_DATA_HDR);
		job->len = m[i]->data_len - SL_WIRE_DATA_MIN;
		o->m[o->n] = m[i];
		o->kp[o->n] = kp; /* o->n <= i: behind the reader */
		o->n++;
	}
}

/* --- after the cipher -------------------------------------------------------------------- */

static void
run_begin(struct run *r, struct sl_keypair *kp, unsigned first)
{
	memset(r, 0, sizeof(*r));
	r->first = first;
	r->rx.kp = kp;
	r->rx.peer = kp->peer;
	r->home = sl_peer_home(kp->peer);
}

/* Where those came in that another lcore handed over. */
static void
count_steered(const struct open *o, const struct run *r, unsigned end)
{
	unsigned i;

	for (i = r->first; i < SL_MIN(end, o->n_ring); i++)
		if (o->job[i].ok)
			sl_rehome_steered(o->w, r->rx.peer, sl_meta(o->m[i])->from);
}

/* @param end its last packet in the burst and one */
static void
run_end(struct open *o, struct run *r, unsigned end)
{
	struct sl_peer *p = r->rx.peer;
	const uint8_t *data;

	if (sl_unlikely(r->auth_failures + r->replays > 0)) { /* attacks */
		atomic_fetch_add_explicit(&p->auth_failures, r->auth_failures,
					  memory_order_relaxed);
		atomic_fetch_add_explicit(&p->replays, r->replays, memory_order_relaxed);
		if (r->auth_failures > 0)
			sl_note_session(o->w, SL_REC_DECRYPT, p, r->auth_failures);
		if (r->replays > 0)
			sl_note_session(o->w, SL_REC_REPLAY, p, r->replays);
	}
	if (r->rx.packets == 0)
		return;
	if (sl_unlikely(r->home != o->w->id)) { /* the peer moved: its home does the rest */
		if (!atomic_load_explicit(&r->rx.kp->confirmed, memory_order_relaxed))
			sl_home_confirm(o->w, r->rx.kp);
		return;
	}
	data = rte_pktmbuf_mtod(r->last, const uint8_t *);
	r->rx.outer = (const uint8_t *)r->last->buf_addr + sl_meta(r->last)->outer_off;
	r->rx.udp = data - SL_WIRE_DATA_HDR - SL_UDP_HDR;
	sl_home_received(o->w, &r->rx);
	if (r->first < o->n_ring)
		count_steered(o, r, end);
}

/* An authenticated, fresh packet: strip header and tag. */
static void
accept(struct open *o, struct run *r, unsigned i)
{
	struct rte_mbuf *m = o->m[i];
	struct sl_meta *meta = sl_meta(m);

	r->rx.packets++;
	r->rx.bytes += m->data_len;
	r->last = m;
	m->data_off += SL_WIRE_DATA_HDR;
	m->data_len -= SL_WIRE_DATA_MIN;
	m->pkt_len = m->data_len;
	meta->peer_id = r->rx.kp->peer_id;
	meta->next = SL_NEXT_OPEN;		/* done here: INNER owes nothing */
	if (sl_unlikely(r->home != o->w->id)) { /* see run_end() */
		if (i >= o->n_ring)
			meta->from = (uint8_t)o->w->id;
		sl_vec_steer(o->w, o->out, m, r->home, SL_NEXT_INNER);
	} else if (sl_unlikely(m->data_len == 0)) { /* keepalives: one in ten seconds */
		sl_vec_drop(&o->out[SL_NODE_DROP], m, SL_DROP_LOCAL_CONSUMED);
	} else {
		r->rx.data = true;
		sl_vec_add(&o->out[SL_NODE_INNER], m);
	}
}

static void
finish(struct open *o)
{
	struct sl_stats_stage_counts *row = &o->w->delta.stage[SL_STATS_POST_DECRYPT];
	struct sl_vec *drop = &o->out[SL_NODE_DROP];
	uint32_t failures = 0;
	struct run r;
	unsigned i;

	for (i = 0; i < o->n; i++) {
		if (i == 0 || o->kp[i] != r.rx.kp) {
			if (i != 0)
				run_end(o, &r, i);
			run_begin(&r, o->kp[i], i);
		}
		if (sl_unlikely(!o->job[i].ok)) { /* forged or broken on the way */
			sl_vec_drop(drop, o->m[i], SL_DROP_AUTH_FAIL);
			r.auth_failures++;
			failures++;
		} else if (sl_unlikely(!sl_replay_commit(o->kp[i]->replay, o->job[i].counter))) {
			sl_vec_drop(drop, o->m[i], SL_DROP_REPLAY); /* twice in this burst */
			o->job[i].ok = false;
			r.replays++;
		} else {
			accept(o, &r, i);
		}
	}
	if (i != 0)
		run_end(o, &r, i);
	row->decrypt_success += o->n - failures;
	row->decrypt_failure += failures;
}

void
sl_stage_open(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	struct open o;
	unsigned done, n, ring;

	w->delta.stage[SL_STATS_POST_DECRYPT].total += in->n;
	o.w = w;
	o.out = out;
	for (done = 0; done < in->n; done += n) {
		n = SL_MIN(in->n - done, (unsigned)SL_BURST);
		o.n = 0;
		find_keypairs(&o, &in->m[done], n);
		ring = w->opens_by_ring > done ? SL_MIN(w->opens_by_ring - done, n) : 0;
		admit(&o, &in->m[done], 0, ring);
		o.n_ring = o.n;
		admit(&o, &in->m[done], ring, n);
		sl_aead_open(w->aead, o.job, o.n);
		finish(&o);
	}
	w->opens_by_ring = 0;
	in->n = 0;
}
