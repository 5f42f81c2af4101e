/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers and events of peers. One wheel entry a peer; what a worker tells is a bit in the peer and
 * a hint, and since hints may be lost, a sweep finds every bit within a second (D29, D33).
 *
 * Rekeys: workers ask at 120 s, on sending. Where a jitter is configured, hs starts that much
 * earlier itself, so that sessions born together do not all rekey together: once for a session
 * that we initiated, if it carried data within the last 10 s.
 */
#include "hs_priv.h"

#define JITTERED_NS ((uint64_t)SL_WG_REKEY_AFTER_S * SL_NS_PER_S)

static void
read_ticks(const struct hs_peer *hp, struct sl_timer_ticks *k)
{
	struct sl_peer *p = hp->p;

	k->data_rx = atomic_load_explicit(&p->tick_data_rx, memory_order_relaxed);
	k->data_tx = atomic_load_explicit(&p->tick_data_tx, memory_order_relaxed);
	k->any_rx = atomic_load_explicit(&p->tick_any_rx, memory_order_relaxed);
	k->any_tx = atomic_load_explicit(&p->tick_any_tx, memory_order_relaxed);
	k->unanswered_rx = atomic_load_explicit(&p->unanswered_rx, memory_order_relaxed);
	k->unacked_tx = atomic_load_explicit(&p->unacked_tx, memory_order_relaxed);
	k->any_rx = SL_MAX(k->any_rx, hp->rx_tick);
	k->any_tx = SL_MAX(k->any_tx, hp->tx_tick);
}

void
hs_session_up(struct sl_hs *hs, struct hs_peer *hp, const struct sl_keypair *kp)
{
	uint64_t max_ns = hs->conf.rekey_jitter_max_ms * SL_NS_PER_MS;
	uint32_t r;

	sl_timers_on_session(&hp->timers, hs->now_ns);
	hs_initiation_unqueue(hs, hp);
	hp->initiate = false;
	hp->session_lost = false;
	hp->rekey_ns = 0;
	if (kp->initiator && max_ns != 0) {
		sl_rng_fill(&hs->conf.rng_jitter, &r, sizeof(r));
		hp->rekey_ns = kp->birth_ns + JITTERED_NS - ((max_ns >> 16) * r >> 16);
	}
	atomic_store_explicit(&hp->p->last_handshake_wall_ns, hs->conf.wall_ns(hs->conf.wall_ctx),
			      memory_order_relaxed);
	hs_count(&hp->p->handshakes, 1);
	hs_count(kp->initiator ? &hs->stats.sessions_initiator : &hs->stats.sessions_responder, 1);
	hs_record_up(hs, hp, kp->initiator);
	hs_note(hs, hp, SL_NOTE_SESSION, kp->initiator, kp->local_index);
	hs_peer_look(hs, hp);
}

static void
early_rekey(struct sl_hs *hs, struct hs_peer *hp, const struct sl_timer_ticks *k)
{
	if (hp->rekey_ns == 0 || hs->now_ns < hp->rekey_ns)
		return;
	hp->rekey_ns = 0;
	if (k->data_tx != 0 && hs->tick <= k->data_tx + SL_WG_KEEPALIVE_S * 10)
		sl_timers_want_handshake(&hp->timers, hs->now_ns);
}

static void
act(struct sl_hs *hs, struct hs_peer *hp, unsigned actions)
{
	if (actions & SL_TIMER_GIVE_UP) {
		hs_pending_drop(hs, hp);
		hs_initiation_unqueue(hs, hp);
		if (!hp->rehoming)
			hs_tell_home(hs, hp, SL_WK_DROP_PARKED, 0);
		hs_note(hs, hp, SL_NOTE_GAVE_UP, true, 0);
	}
	if (actions & SL_TIMER_ZERO_KEYS) {
		hs_keys_zero(hs, hp); /* an attempt in progress goes on with new ones */
		hs_note(hs, hp, SL_NOTE_ZEROED, false, 0);
	}
	if ((actions & SL_TIMER_KEEPALIVE) && !hp->rehoming)
		hs_tell_home(hs, hp, SL_WK_KEEPALIVE, 0);
	if (actions & SL_TIMER_INITIATE)
		hs_initiation_queue(hs, hp);
}

void
hs_peer_look(struct sl_hs *hs, struct hs_peer *hp)
{
	struct sl_timer_ticks k;
	uint64_t next, expiry;
	unsigned actions;

	if (hp->deleting)
		return;
	expiry = hs_kp_expire(hs, hp);
	read_ticks(hp, &k);
	early_rekey(hs, hp, &k);
	actions = sl_timers_run(&hp->timers, &k, hs->now_ns, &hs->conf.rng_jitter, &next);
	act(hs, hp, actions);
	next = SL_MIN(next, expiry);
	if (hp->rekey_ns != 0)
		next = SL_MIN(next, hp->rekey_ns);
	if (next == UINT64_MAX)
		sl_wheel_cancel(&hs->wheel, &hp->timer);
	else
		sl_wheel_arm(&hs->wheel, &hp->timer, next);
	hs_peer_view_update(hs, hp);
}

void
hs_peer_events(struct sl_hs *hs, struct hs_peer *hp)
{
	_Atomic uint32_t *word = &hp->p->events;
	uint32_t events;

	if (hp->deleting || hp->rehoming) /* a change of home ends with a look at the events */
		return;
	if (atomic_load_explicit(word, memory_order_relaxed) == 0)
		return;
	events = atomic_exchange_explicit(word, 0, memory_order_acq_rel);
	if (events & SL_PEER_EV_CONFIRMED)
		hs_kp_confirmed(hs, hp);
	if ((events & SL_PEER_EV_WANT_HS) && hs_peer_usable(hs, hp))
		sl_timers_want_handshake(&hp->timers, hs->now_ns);
	if (events & SL_PEER_EV_REHOME)
		hs_home_wish(hs, hp);
	hs_peer_look(hs, hp);
}

unsigned
hs_timers_run(struct sl_hs *hs)
{
	struct sl_wheel_node *n;
	unsigned done = 0;

	while (done < HS_TIMER_MAX && (n = sl_wheel_pop(&hs->wheel, hs->now_ns)) != NULL) {
		hs_peer_look(hs, SL_CONTAINER_OF(n, struct hs_peer, timer));
		done++;
	}
	return done;
}

static void
sweep_peer(struct sl_hs *hs, struct hs_peer *hp)
{
	hs_peer_events(hs, hp);
	hs_kp_resume(hs, hp);
	hs_peer_gone_send(hs, hp);
}

/** @return peers looked at: the sweep has more to do. */
unsigned
hs_sweep(struct sl_hs *hs)
{
	unsigned n = 0;

	if (!hs->sweeping) {
		if (hs->now_ns < hs->sweep_ns)
			return 0;
		hs->sweeping = true;
		hs->sweep_ns = hs->now_ns + HS_SWEEP_NS;
		hs->sweep_at = 0;
		hs_load_account(hs);
	}
	for (; n < HS_SWEEP_MAX && hs->sweep_at < hs->pool.used; n++, hs->sweep_at++)
		if (hs->pool.base[hs->sweep_at].p != NULL)
			sweep_peer(hs, &hs->pool.base[hs->sweep_at]);
	hs->sweeping = hs->sweep_at < hs->pool.used;
	return hs->sweeping ? n : 0;
}
