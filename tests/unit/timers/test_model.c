/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random traffic for hours of fake time, in steps of 10 ms: sl_timers_run() against a model that
 * keeps one deadline per timer, started and stopped by the packets themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sl_timers.h"

#define S SL_NS_PER_S
#define STEP (10 * SL_NS_PER_MS)
#define TRIALS 150
#define STEPS 150000 /* 25 minutes */

static uint64_t seed = 0x9e3779b97f4a7c15u;

static uint32_t
rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % below;
}

/* --- the model ------------------------------------------------------------------------------ */

struct model {
	uint64_t persist_s, jitter;
	uint64_t new_handshake, passive, persistent, retransmit, give_up, zero, hold;
	uint64_t session, last_initiation, last_keepalive;
	uint64_t blocked_until; /* data sent before does not start new_handshake */
	bool want, trying, live;
};

static uint64_t
round_up(uint64_t now)
{
	return (now / (S / 10) + 1) * (S / 10);
}

static void
m_traversal(struct model *m, uint64_t at)
{
	m->persistent = SL_MAX(m->persistent, at + m->persist_s * S);
}

static void
m_data_sent(struct model *m, uint64_t now)
{
	m->passive = 0;
	m_traversal(m, round_up(now));
	if (!m->new_handshake && now >= m->blocked_until)
		m->new_handshake = round_up(now) + 15 * S + m->jitter;
}

static void
m_keepalive_sent(struct model *m, uint64_t now)
{
	m->passive = 0;
	m_traversal(m, round_up(now));
}

static void
m_received(struct model *m, uint64_t now, bool data)
{
	m->new_handshake = 0;
	m_traversal(m, round_up(now));
	if (data && !m->passive)
		m->passive = round_up(now) + 10 * S;
}

static void
m_initiation_sent(struct model *m, uint64_t now)
{
	if (!m->trying)
		m->give_up = now + 90 * S;
	if (!m->live)
		m->zero = now + 540 * S;
	m->trying = m->live = true;
	m->want = false;
	m->passive = m->hold = 0;
	m->retransmit = now + 5 * S + m->jitter;
	m->last_initiation = now;
	m_traversal(m, now);
}

static void
m_session(struct model *m, uint64_t now)
{
	m->want = m->trying = false;
	m->live = true;
	m->hold = m->new_handshake = 0;
	m->session = now;
	m->zero = now + 540 * S;
	m_traversal(m, now);
}

static void
m_traffic_wants(struct model *m, uint64_t now)
{
	if (m->trying)
		m->give_up = now + 90 * S;
	else if (!m->last_initiation || now >= m->last_initiation + 5 * S)
		m->want = true;
}

static void
m_timer_wants(struct model *m)
{
	if (m->want || m->trying)
		return;
	m->want = true;
	m->hold = m->last_initiation ? m->last_initiation + 5 * S : 0;
}

static unsigned
m_step(struct model *m, uint64_t now)
{
	bool keepalive =
		(m->passive && now >= m->passive) || (m->persist_s && now >= m->persistent);
	unsigned act = 0;

	if (m->new_handshake && now >= m->new_handshake) {
		m->new_handshake = 0;
		m->blocked_until = round_up(now);
		m_timer_wants(m);
	}
	if (m->trying && now >= m->give_up) {
		m->trying = m->want = false;
		act |= SL_TIMER_GIVE_UP;
	}
	if (m->trying && now >= m->retransmit)
		act |= SL_TIMER_INITIATE;
	if (keepalive && !(m->session && now < m->session + 180 * S)) {
		m_timer_wants(m);
	} else if (keepalive && (!m->last_keepalive || now >= m->last_keepalive + S)) {
		m->last_keepalive = now;
		act |= SL_TIMER_KEEPALIVE;
	}
	if (m->want && !m->trying && now >= m->hold)
		act |= SL_TIMER_INITIATE;
	if (m->live && now >= m->zero)
		act |= SL_TIMER_ZERO_KEYS;
	return act;
}

/* --- the world: both, and the worker's ticks -------------------------------------------------- */

struct world {
	struct sl_timers t;
	struct sl_timer_ticks k;
	struct model m;
	struct sl_rng jitter;
	uint32_t jitter_word;
	uint64_t now, next, answer_at, confirm_at;
	bool lazy; /* look only when told to, or when something happened */
	bool event;
	unsigned seen[4];
	/* of the present phase, per 100,000 steps */
	uint32_t tx, rx, rx_keepalive, responder, answers;
};

static void
fixed_fill(void *ctx, void *out, size_t n)
{
	struct world *w = ctx;

	memcpy(out, &w->jitter_word, SL_MIN(n, sizeof(w->jitter_word)));
}

static bool
usable(const struct world *w)
{
	return w->m.session && w->now < w->m.session + 180 * S;
}

static void
worker_sends(struct world *w, bool data)
{
	uint32_t tick = sl_tick_of(w->now);

	w->event = true;
	w->k.any_tx = tick;
	w->k.unanswered_rx = 0;
	if (!data) {
		m_keepalive_sent(&w->m, w->now);
		return;
	}
	w->k.data_tx = tick;
	if (!w->k.unacked_tx)
		w->k.unacked_tx = tick;
	m_data_sent(&w->m, w->now);
}

static void
worker_receives(struct world *w, bool data)
{
	uint32_t tick = sl_tick_of(w->now);

	w->event = true;
	w->k.any_rx = tick;
	w->k.unacked_tx = 0;
	if (data) {
		w->k.data_rx = tick;
		if (!w->k.unanswered_rx)
			w->k.unanswered_rx = tick;
	}
	m_received(&w->m, w->now, data);
}

static void
established(struct world *w)
{
	w->event = true;
	w->answer_at = w->confirm_at = 0;
	w->k.unacked_tx = 0;
	sl_timers_on_session(&w->t, w->now);
	m_session(&w->m, w->now);
}

static void
new_phase(struct world *w)
{
	static const uint32_t rate[] = {0, 0, 20, 300, 5000};

	w->tx = rate[rnd(5)];
	w->rx = rate[rnd(5)];
	w->rx_keepalive = rate[rnd(4)];
	w->responder = rnd(4) ? 0 : 20;
	w->answers = rnd(3) * 50;
	if (rnd(3) == 0) /* silence, long enough for what comes last */
		w->tx = w->rx = w->rx_keepalive = w->responder = 0;
}

static void
events(struct world *w)
{
	if (rnd(15000) == 0)
		new_phase(w);
	if (w->answer_at && w->now >= w->answer_at && w->m.trying)
		established(w);
	if (w->confirm_at && w->now >= w->confirm_at)
		established(w);
	if (rnd(100000) < w->responder) {
		w->event = true;
		w->confirm_at = rnd(2) ? w->now + rnd(200) * STEP : 0;
		sl_timers_on_response_sent(&w->t, w->now);
		w->m.live = true;
		w->m.zero = w->now + 540 * S;
	}
	if (rnd(100000) < w->tx && usable(w)) {
		worker_sends(w, true);
	} else if (rnd(100000) < w->tx) {
		w->event = true;
		sl_timers_want_handshake(&w->t, w->now);
		m_traffic_wants(&w->m, w->now);
	}
	if (rnd(100000) < w->rx && usable(w))
		worker_receives(w, true);
	if (rnd(100000) < w->rx_keepalive && usable(w))
		worker_receives(w, false);
}

static void
perform(struct world *w, unsigned act)
{
	if (act & SL_TIMER_ZERO_KEYS) {
		sl_timers_on_zeroed(&w->t);
		w->m.live = false;
		w->m.session = 0;
	}
	if (act & SL_TIMER_GIVE_UP)
		w->answer_at = 0;
	if (act & SL_TIMER_KEEPALIVE)
		worker_sends(w, false);
	if (act & SL_TIMER_INITIATE) {
		w->event = true;
		w->k.unanswered_rx = 0;
		sl_timers_on_initiation_sent(&w->t, w->now, &w->jitter);
		m_initiation_sent(&w->m, w->now);
		if (!w->answer_at && rnd(100) < w->answers)
			w->answer_at = w->now + (1 + rnd(30)) * STEP;
	}
	for (unsigned i = 0; i < 4; i++)
		w->seen[i] += act >> i & 1;
}

static void
step(struct world *w, unsigned trial)
{
	unsigned want, got = 0;

	events(w);
	want = m_step(&w->m, w->now);
	if (!w->lazy || w->event || w->now >= w->next) {
		got = sl_timers_run(&w->t, &w->k, w->now, &w->jitter, &w->next);
		assert_true(w->next > w->now);
		if (got)
			assert_true(w->next <= w->now + S);
	}
	if (got != want)
		print_error("trial %u, %.2f s: got %x, want %x\n", trial, (double)w->now / 1e9, got,
			    want);
	assert_int_equal(got, want);
	assert_int_equal(w->t.in_handshake, w->m.trying);
	w->event = false;
	perform(w, got);
}

static void
test_model(void **state)
{
	static const uint16_t persistent[] = {0, 0, 0, 1, 25, 300};
	unsigned seen[4] = {0};

	for (unsigned trial = 0; trial < TRIALS; trial++) {
		struct world w = {.lazy = trial % 2, .now = 1000 * S + rnd(1000) * STEP};

		w.jitter = (struct sl_rng){.fill = fixed_fill, .ctx = &w};
		w.jitter_word = rnd(UINT32_MAX);
		w.t.persistent_s = persistent[rnd(6)];
		w.m.persist_s = w.t.persistent_s;
		w.m.jitter = (w.jitter_word * UINT64_C(333000000)) >> 32;
		w.event = true;
		new_phase(&w);
		for (unsigned i = 0; i < STEPS; i++, w.now += STEP)
			step(&w, trial);
		for (unsigned i = 0; i < 4; i++)
			seen[i] += w.seen[i];
	}
	print_message("initiations %u, keepalives %u, given up %u, zeroed %u\n", seen[0], seen[1],
		      seen[2], seen[3]);
	for (unsigned i = 0; i < 4; i++) /* the traffic reached every action */
		assert_true(seen[i] > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
