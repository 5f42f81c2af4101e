/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker does for the peers it is home of: messages of hs, the words that hs's timers read,
 * confirmation, roaming. */
#include "flow_int.h"

#define ANSWERS_MILLI_PER_US 1	   /* 1,000 a second */
#define ANSWERS_BURST_MILLI 100000 /* 100 */
#define NEIGH_MILLI_PER_US 4	   /* 4,000 a second */
#define NEIGH_BURST_MILLI 200000   /* 200: fits the mailbox of control */

static bool
take_token(struct sl_bucket *b, uint64_t now_ns, unsigned milli_per_us, uint64_t burst_milli)
{
	uint64_t us = (now_ns - b->last_ns) / 1000;

	b->tokens_milli += us * milli_per_us;
	b->last_ns += us * 1000; /* the rest of a microsecond counts next time */
	if (b->tokens_milli > burst_milli)
		b->tokens_milli = burst_milli;
	if (b->tokens_milli < 1000)
		return false;
	b->tokens_milli -= 1000;
	return true;
}

bool
sl_worker_may_answer(struct sl_worker *w)
{
	return take_token(&w->local_bucket, w->now_ns, ANSWERS_MILLI_PER_US, ANSWERS_BURST_MILLI);
}

bool
sl_worker_may_echo(struct sl_worker *w, unsigned port)
{
	return take_token(&w->echo_bucket[port % SL_PORT_MAX], w->now_ns, ANSWERS_MILLI_PER_US,
			  ANSWERS_BURST_MILLI);
}

bool
sl_worker_may_neigh(struct sl_worker *w, unsigned port)
{
	return take_token(&w->neigh_bucket[port % SL_PORT_MAX], w->now_ns, NEIGH_MILLI_PER_US,
			  NEIGH_BURST_MILLI);
}

void
sl_worker_tell(struct sl_worker *w, const struct sl_ctl_event *ev)
{
	if (!sl_mbox_put(w->to_ctl, ev))
		w->tell_lost++;
}

void
sl_worker_raise(struct sl_worker *w, struct sl_peer *p, unsigned event)
{
	const struct sl_wk_ack hint = {.type = SL_ACK_HINT, .peer_id = p->id, .worker = w->id};

	if (atomic_load_explicit(&p->events, memory_order_relaxed) & event)
		return;
	atomic_fetch_or_explicit(&p->events, event, memory_order_release);
	/* A lost hint costs up to a second: hs sweeps the events of all peers. */
	(void)sl_mbox_put(w->to_hs, &hint);
}

/* Answers are never lost: while some wait, the worker takes no messages. */
static void
answer(struct sl_worker *w, enum sl_wk_ack_type type, const struct sl_wk_msg *msg)
{
	const struct sl_wk_ack ack = {.type = type,
				      .peer_id = msg->peer_id,
				      .index = msg->index,
				      .worker = w->id};

	if (w->n_unsent > 0 || !sl_mbox_put(w->to_hs, &ack))
		w->unsent[w->n_unsent++] = ack;
}

bool
sl_home_answered(struct sl_worker *w)
{
	unsigned sent = 0;

	while (sent < w->n_unsent && sl_mbox_put(w->to_hs, &w->unsent[sent]))
		sent++;
	w->n_unsent -= sent;
	memmove(w->unsent, w->unsent + sent, w->n_unsent * sizeof(w->unsent[0]));
	return w->n_unsent == 0;
}

/* --- confirmation ------------------------------------------------------------------------ */

/* Make a keypair the one to seal with, unless a newer one is. */
static bool
make_current(struct sl_peer *p, struct sl_keypair *kp)
{
	struct sl_keypair *old = atomic_load_explicit(&p->current, memory_order_relaxed);

	if (old == kp || (old != NULL && (int64_t)(kp->birth_ns - old->birth_ns) < 0))
		return false;
	atomic_store_explicit(&p->current, kp, memory_order_release);
	return true;
}

void
sl_home_confirm(struct sl_worker *w, struct sl_keypair *kp)
{
	struct sl_peer *p = kp->peer;

	if (kp->owner == w->id)
		atomic_store_explicit(&kp->confirmed, 1, memory_order_release);
	if (sl_peer_home(p) != w->id || !make_current(p, kp))
		return;
	sl_worker_raise(w, p, SL_PEER_EV_CONFIRMED);
	if (p->park_count > 0)
		w->flush[w->n_flush++] = p->id;
}

/* --- reception --------------------------------------------------------------------------- */

/* Outer headers as the peer's path would have them. */
static void
outer_of_packet(struct sl_outer *o, const uint8_t *ip, const uint8_t *udp)
{
	memset(o, 0, sizeof(*o));
	if (ip[0] >> 4 == 4) {
		o->src.family = o->dst.family = 4;
		memcpy(o->dst.b, ip + 12, 4);
		memcpy(o->src.b, ip + 16, 4);
	} else {
		o->src.family = o->dst.family = 6;
		memcpy(o->dst.b, ip + 8, 16);
		memcpy(o->src.b, ip + 24, 16);
	}
	o->dport = sl_load_be16(udp);
	o->sport = sl_load_be16(udp + 2);
}

/* Source and destination of the packet lie side by side in both headers: compare them in one go. */
static bool
outer_is(const struct sl_outer *o, const uint8_t *ip, const uint8_t *udp)
{
	if (o->dport != sl_load_be16(udp) || o->sport != sl_load_be16(udp + 2))
		return false;
	if (ip[0] >> 4 == 4)
		return o->dst.family == 4 && memcmp(o->dst.b, ip + 12, 4) == 0 &&
		       memcmp(o->src.b, ip + 16, 4) == 0;
	return o->dst.family == 6 && memcmp(o->dst.b, ip + 8, 16) == 0 &&
	       memcmp(o->src.b, ip + 24, 16) == 0;
}

/* An authenticated data packet moves the endpoint (paper section 6.5, roaming). */
static void
follow_endpoint(struct sl_peer *p, const uint8_t *ip, const uint8_t *udp)
{
	struct sl_peer_path path;

	if (sl_likely(outer_is(&p->path.outer, ip, udp))) /* peers move rarely */
		return;
	outer_of_packet(&path.outer, ip, udp);
	sl_peer_path_write(p, &path);
}

static void
add_counter(_Atomic uint64_t *c, uint64_t n)
{
	uint64_t v = atomic_load_explicit(c, memory_order_relaxed);

	atomic_store_explicit(c, v + n, memory_order_relaxed); /* one writer: no locked add */
}

static inline uint32_t
tick_get(_Atomic uint32_t *t)
{
	return atomic_load_explicit(t, memory_order_relaxed);
}

static inline void
tick_set(_Atomic uint32_t *t, uint32_t v)
{
	atomic_store_explicit(t, v, memory_order_relaxed);
}

/* What happens at most once per tick, so that it costs nothing per packet. */
static void
received_tick(struct sl_worker *w, const struct sl_rx_run *run)
{
	const uint64_t rekey_ns = SL_WG_RECV_REKEY_S * SL_NS_PER_S;

	uint64_t packets = atomic_load_explicit(&run->peer->rx_packets, memory_order_relaxed);

	tick_set(&run->peer->tick_any_rx, w->tick);
	sl_rehome_second(w, run->peer, packets - run->packets);
	/* the last chance before REJECT-AFTER-TIME (paper section 6.2) */
	if (run->kp != NULL && run->kp->initiator && sl_keypair_age_ns(w, run->kp) >= rekey_ns)
		sl_worker_raise(w, run->peer, SL_PEER_EV_WANT_HS);
}

/* Every word here is read by hs's timers: written only when it changes. */
static void
received_ticks(struct sl_worker *w, const struct sl_rx_run *run)
{
	struct sl_peer *p = run->peer;

	if (tick_get(&p->tick_any_rx) != w->tick)
		received_tick(w, run);
	if (tick_get(&p->unacked_tx) != 0)
		tick_set(&p->unacked_tx, 0);
	if (!run->data)
		return;
	if (tick_get(&p->tick_data_rx) != w->tick)
		tick_set(&p->tick_data_rx, w->tick);
	if (tick_get(&p->unanswered_rx) == 0) {
		tick_set(&p->unanswered_rx, w->tick);
		sl_worker_raise(w, p, SL_PEER_EV_TIMER);
	}
}

void
sl_home_received(struct sl_worker *w, const struct sl_rx_run *run)
{
	struct sl_peer *p = run->peer;

	add_counter(&p->rx_packets, run->packets);
	add_counter(&p->rx_bytes, run->bytes);
	received_ticks(w, run);
	follow_endpoint(p, run->outer, run->udp);
	/* at the owner `confirmed` is 0 before the first packet; at a new home that took over an
	 * older owner's keypair it may be 1 already while the keypair is not current */
	if (run->kp != NULL &&
	    sl_unlikely(atomic_load_explicit(&run->kp->confirmed, memory_order_relaxed) == 0 ||
			run->kp->owner != w->id))
		sl_home_confirm(w, run->kp);
}

/* --- messages of hs ---------------------------------------------------------------------- */

static void
on_install(struct sl_worker *w, struct sl_peer *p, uint32_t index)
{
	struct sl_keypair *kp = sl_session_lookup(w->dp->sessions, index);

	/* hs received a handshake message and, as responder, answers it */
	tick_set(&p->unacked_tx, 0);
	tick_set(&p->unanswered_rx, 0);
	if (kp == NULL || !kp->initiator || !make_current(p, kp))
		return;
	if (p->park_count > 0)
		sl_park_flush(w, p);
	else
		sl_seal_keepalive(w, p); /* confirms the session to the responder */
}

static void
forget_current(struct sl_peer *p, uint32_t index, bool any)
{
	struct sl_keypair *kp = atomic_load_explicit(&p->current, memory_order_relaxed);

	if (kp != NULL && (any || kp->local_index == index))
		atomic_store_explicit(&p->current, NULL, memory_order_release);
}

static void
on_path(struct sl_peer *p, const struct sl_wk_msg *msg)
{
	struct sl_peer_path path = {.outer = msg->outer};

	if (msg->outer.src.family == 0 && !msg->force_path)
		return;
	sl_peer_path_write(p, &path);
}

static void
on_gone(struct sl_worker *w, struct sl_peer *p)
{
	sl_park_drop(w, p, SL_DROP_PEER_DOWN);
	sl_flow_peer_gone(w, p);
	forget_current(p, 0, true);
}

static void
home_message(struct sl_worker *w, struct sl_peer *p, const struct sl_wk_msg *msg)
{
	switch (msg->type) {
	case SL_WK_INSTALL:
		on_install(w, p, msg->index);
		break;
	case SL_WK_RETIRE:
		forget_current(p, msg->index, false);
		break;
	case SL_WK_KEEPALIVE:
		sl_seal_keepalive(w, p);
		break;
	case SL_WK_PATH:
		on_path(p, msg);
		break;
	case SL_WK_DROP_PARKED:
		sl_park_drop(w, p, SL_DROP_PARK_TIMEOUT);
		break;
	case SL_WK_PEER_GONE:
		on_gone(w, p);
		break;
	case SL_WK_REHOME_OUT:
		if (w->v[SL_NODE_SEAL].n != 0) /* a keepalive: to be sealed while we are home */
			sl_worker_run(w);
		sl_park_move(w, p, msg->home);
		break;
	}
}

void
sl_home_message(struct sl_worker *w, const struct sl_wk_msg *msg)
{
	struct sl_peer *p = sl_peer_get(w->dp->peers, msg->peer_id);

	/* Only the home writes a peer's words; the owner of an older keypair has nothing to forget
	 * between two polls and just answers. */
	if (p != NULL && sl_peer_home(p) == w->id)
		home_message(w, p, msg);
	if (msg->type == SL_WK_RETIRE)
		answer(w, SL_ACK_RETIRED, msg);
	else if (msg->type == SL_WK_PEER_GONE)
		answer(w, SL_ACK_PEER_GONE, msg);
	else if (msg->type == SL_WK_REHOME_OUT)
		answer(w, SL_ACK_REHOMED, msg);
}
