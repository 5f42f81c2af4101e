/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_timers.h"

#define SECONDS(n) ((n)*SL_NS_PER_S)
#define UNACKED_NS SECONDS(SL_WG_KEEPALIVE_S + SL_WG_REKEY_TIMEOUT_S)
#define ZERO_NS SECONDS(3 * SL_WG_REJECT_AFTER_S)
#define ASK_AGAIN_NS SL_NS_PER_S

/* One call of sl_timers_run(). */
struct look {
	uint64_t now, next;
	unsigned actions;
};

static void
look_at(struct look *l, uint64_t when)
{
	if (when < l->next)
		l->next = when;
}

static bool
due(struct look *l, uint64_t when)
{
	if (when <= l->now)
		return true;
	look_at(l, when);
	return false;
}

/* End of a coarse tick: no event of that tick was later. 0 stays 0. */
static uint64_t
tick_end(uint32_t tick)
{
	return tick * SL_TICK_NS;
}

static uint64_t
jitter_ns(const struct sl_rng *rng)
{
	uint32_t r;

	sl_rng_fill(rng, &r, sizeof(r));
	return (r * (SL_WG_REKEY_JITTER_MS * SL_NS_PER_MS)) >> 32;
}

static bool
usable(const struct sl_timers *t, uint64_t now)
{
	return t->keys_live && t->session_ns && now < t->session_ns + SECONDS(SL_WG_REJECT_AFTER_S);
}

/* A handshake that timers want: like traffic, but put off to the 5 s instead of ignored. */
static void
want(struct sl_timers *t)
{
	if (t->want_handshake || t->in_handshake)
		return;
	t->want_handshake = true;
	t->gave_up = false;
	t->handshake_due_ns =
		t->initiation_ns ? t->initiation_ns + SECONDS(SL_WG_REKEY_TIMEOUT_S) : 0;
}

static void
keepalive(struct sl_timers *t, struct look *l)
{
	if (!usable(t, l->now)) {
		want(t);
		return;
	}
	if (t->keepalive_ns && !due(l, t->keepalive_ns + ASK_AGAIN_NS))
		return;
	t->keepalive_ns = l->now;
	l->actions |= SL_TIMER_KEEPALIVE;
}

/* Was anything received after this tick, by the data path or by hs? */
static bool
received_after(const struct sl_timers *t, const struct sl_timer_ticks *k, uint32_t tick)
{
	return k->any_rx > tick || t->session_ns >= tick_end(tick);
}

/*
 * Tick of the data from which the 15 s run, 0 none. unacked_tx is that, unless hs received
 * something since (the data path need not know) or its 15 s are over: then the next data counts.
 */
static uint32_t
unacked_start(const struct sl_timers *t, const struct sl_timer_ticks *k)
{
	uint32_t session = t->session_ns ? sl_tick_of(t->session_ns) : 0;

	if (k->unacked_tx > t->unacked_done && !received_after(t, k, k->unacked_tx))
		return k->unacked_tx;
	if (k->data_tx > t->unacked_done && k->data_tx > k->any_rx && k->data_tx > session)
		return k->data_tx;
	return 0;
}

static void
run_unacked(struct sl_timers *t, const struct sl_timer_ticks *k, struct look *l,
	    const struct sl_rng *jitter)
{
	if (!k->unacked_tx || k->unacked_tx > t->unacked_tick ||
	    received_after(t, k, t->unacked_tick))
		t->unacked_due_ns = 0;
	if (!k->unacked_tx)
		return;
	if (!t->unacked_due_ns) {
		uint32_t start = unacked_start(t, k);

		t->unacked_tick = start;
		if (start)
			t->unacked_due_ns = tick_end(start) + UNACKED_NS + jitter_ns(jitter);
	}
	if (t->unacked_due_ns && due(l, t->unacked_due_ns)) {
		t->unacked_due_ns = 0;
		t->unacked_done = sl_tick_of(l->now);
		want(t);
	}
	/* no edge announces further data now: look whether there was some */
	if (!t->unacked_due_ns && usable(t, l->now))
		look_at(l, l->now + UNACKED_NS);
}

static void
run_attempt(struct sl_timers *t, struct look *l)
{
	if (!t->in_handshake)
		return;
	if (due(l, t->attempt_start_ns + SECONDS(SL_WG_REKEY_ATTEMPT_S))) {
		t->in_handshake = false;
		t->want_handshake = false;
		t->gave_up = true;
		l->actions |= SL_TIMER_GIVE_UP;
	} else if (due(l, t->retransmit_ns)) {
		l->actions |= SL_TIMER_INITIATE;
	}
}

/*
 * 10 s after unanswered data. Where hs sent something later than unanswered_rx, which the home need
 * not know, data behind that counts: no edge announces it, and its first packet is not known, so
 * the 10 s run from what hs sent.
 */
static void
run_passive(struct sl_timers *t, const struct sl_timer_ticks *k, struct look *l)
{
	uint64_t start = tick_end(k->unanswered_rx);
	uint64_t sent = SL_MAX(tick_end(k->any_tx), t->initiation_ns);

	if (!start)
		return;
	if (k->any_tx > k->unanswered_rx || t->initiation_ns >= start) {
		if (tick_end(k->data_rx) <= sent) {
			if (usable(t, l->now))
				look_at(l, l->now + SECONDS(SL_WG_KEEPALIVE_S));
			return;
		}
		start = sent;
	}
	if (due(l, start + SECONDS(SL_WG_KEEPALIVE_S)))
		keepalive(t, l);
}

static void
run_keepalives(struct sl_timers *t, const struct sl_timer_ticks *k, struct look *l)
{
	uint64_t last;

	run_passive(t, k, l);
	if (!t->persistent_s)
		return;
	last = SL_MAX(tick_end(k->any_rx), tick_end(k->any_tx));
	last = SL_MAX(last, t->initiation_ns);
	last = SL_MAX(last, t->session_ns);
	if (last == 0 || due(l, last + SECONDS(t->persistent_s)))
		keepalive(t, l);
}

static void
run_zero(struct sl_timers *t, struct look *l)
{
	if (!t->keys_live)
		return;
	if (!t->session_ns && !t->keys_ns)
		t->keys_ns = l->now;
	if (due(l, SL_MAX(t->session_ns, t->keys_ns) + ZERO_NS))
		l->actions |= SL_TIMER_ZERO_KEYS;
}

unsigned
sl_timers_run(struct sl_timers *t, const struct sl_timer_ticks *k, uint64_t now_ns,
	      const struct sl_rng *jitter, uint64_t *next_ns)
{
	struct look l = {.now = now_ns, .next = UINT64_MAX};

	run_unacked(t, k, &l, jitter); /* before an attempt ends: it was part of the attempt */
	run_attempt(t, &l);
	run_keepalives(t, k, &l);
	if (t->want_handshake && !t->in_handshake && due(&l, t->handshake_due_ns))
		l.actions |= SL_TIMER_INITIATE;
	run_zero(t, &l);
	if (l.actions)
		look_at(&l, now_ns + ASK_AGAIN_NS);
	*next_ns = l.next;
	return l.actions;
}

void
sl_timers_want_handshake(struct sl_timers *t, uint64_t now_ns)
{
	if (t->in_handshake) {
		t->attempt_start_ns = now_ns;
		return;
	}
	if (t->initiation_ns && now_ns < t->initiation_ns + SECONDS(SL_WG_REKEY_TIMEOUT_S))
		return;
	t->want_handshake = true;
	t->gave_up = false;
}

void
sl_timers_on_initiation_sent(struct sl_timers *t, uint64_t now_ns, const struct sl_rng *jitter)
{
	if (!t->in_handshake)
		t->attempt_start_ns = now_ns;
	t->in_handshake = true;
	t->want_handshake = false;
	t->gave_up = false;
	t->handshake_due_ns = 0;
	t->initiation_ns = now_ns;
	t->retransmit_ns = now_ns + SECONDS(SL_WG_REKEY_TIMEOUT_S) + jitter_ns(jitter);
	if (!t->keys_live)
		t->keys_ns = now_ns;
	t->keys_live = true;
}

void
sl_timers_on_response_sent(struct sl_timers *t, uint64_t now_ns)
{
	t->keys_live = true;
	t->keys_ns = now_ns;
}

void
sl_timers_on_session(struct sl_timers *t, uint64_t now_ns)
{
	t->want_handshake = false;
	t->in_handshake = false;
	t->gave_up = false;
	t->handshake_due_ns = 0;
	t->session_ns = now_ns;
	sl_timers_on_response_sent(t, now_ns);
}

void
sl_timers_on_zeroed(struct sl_timers *t)
{
	t->keys_live = false;
	t->keys_ns = 0;
	t->session_ns = 0;
}
