/* SPDX-License-Identifier: BSD-3-Clause */
/* Each timer rule of the paper by itself, at exact times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sl_timers.h"

#define S SL_NS_PER_S
#define T0 (5000 * S)
#define NONE 0u

static uint32_t jitter_word;
static uint64_t next;
static struct sl_timers t;
static struct sl_timer_ticks k;

static void
fill(void *ctx, void *out, size_t n)
{
	memcpy(out, &jitter_word, n);
}

static const struct sl_rng jitter = {.fill = fill};

static unsigned
run(uint64_t now)
{
	return sl_timers_run(&t, &k, now, &jitter, &next);
}

static int
fresh(void **state)
{
	memset(&t, 0, sizeof(t));
	memset(&k, 0, sizeof(k));
	jitter_word = 0;
	return 0;
}

/* Ticks of T0 end at T0 + 100 ms. */
#define TICK_END (T0 + S / 10)

static void
test_idle(void **state)
{
	assert_int_equal(run(T0), NONE);
	assert_true(next == UINT64_MAX);
}

static void
test_retransmit_and_give_up(void **state)
{
	uint64_t now = T0;
	unsigned sent = 0, act;

	jitter_word = UINT32_MAX; /* just below 333 ms */
	sl_timers_want_handshake(&t, T0);
	assert_int_equal(run(T0), SL_TIMER_INITIATE);
	assert_int_equal(next, T0 + S);
	assert_int_equal(run(T0 + S), SL_TIMER_INITIATE); /* asked for until it is reported */
	sl_timers_on_initiation_sent(&t, now, &jitter);
	while (!((act = run(next)) & SL_TIMER_GIVE_UP)) {
		if (act) {
			now = t.retransmit_ns;
			assert_in_range(now - t.initiation_ns, 5 * S + S / 3 - S / 100,
					5 * S + 333 * SL_NS_PER_MS);
			sl_timers_on_initiation_sent(&t, now, &jitter);
			sent++;
			assert_int_equal(run(now), NONE);
		}
	}
	assert_int_equal(act, SL_TIMER_GIVE_UP);
	assert_int_equal(sent, 16); /* 90 / 5.333 */
	assert_true(t.gave_up && !t.in_handshake && !t.want_handshake);
	assert_int_equal(run(T0 + 90 * S), NONE);
	assert_int_equal(next, T0 + 540 * S); /* what is left of the handshake is wiped */
	sl_timers_want_handshake(&t, T0 + 95 * S);
	assert_false(t.gave_up);
	assert_int_equal(run(T0 + 95 * S), SL_TIMER_INITIATE);
}

static void
test_give_up_exactly(void **state)
{
	sl_timers_on_initiation_sent(&t, T0, &jitter);
	t.retransmit_ns = T0 + 200 * S;
	assert_int_equal(run(T0 + 90 * S - 1), NONE);
	assert_int_equal(next, T0 + 90 * S);
	assert_int_equal(run(T0 + 90 * S), SL_TIMER_GIVE_UP);
	assert_int_equal(run(T0 + 90 * S), NONE);
}

/* Paper 6.4: traffic in the middle of an attempt gives it its 90 s anew, but no extra initiation.
 */
static void
test_traffic_prolongs_attempt(void **state)
{
	sl_timers_on_initiation_sent(&t, T0, &jitter);
	sl_timers_want_handshake(&t, T0 + 4 * S);
	assert_int_equal(run(T0 + 5 * S - 1), NONE);
	t.retransmit_ns = T0 + 200 * S;
	assert_int_equal(run(T0 + 94 * S - 1), NONE);
	assert_int_equal(run(T0 + 94 * S), SL_TIMER_GIVE_UP);
}

static void
test_want_soon_after_initiation(void **state)
{
	sl_timers_on_initiation_sent(&t, T0, &jitter);
	sl_timers_on_session(&t, T0 + S / 20);
	sl_timers_want_handshake(&t, T0 + 5 * S - 1);
	assert_int_equal(run(T0 + 5 * S), NONE);
	sl_timers_want_handshake(&t, T0 + 5 * S);
	assert_int_equal(run(T0 + 5 * S), SL_TIMER_INITIATE);
}

static void
test_held_rekey(void **state)
{
	sl_timers_on_session(&t, T0);
	t.handshake_due_ns = T0 + 115 * S;
	sl_timers_want_handshake(&t, T0 + 110 * S);
	assert_int_equal(run(T0 + 110 * S), NONE);
	assert_int_equal(next, T0 + 115 * S);
	assert_int_equal(run(next), SL_TIMER_INITIATE);
	sl_timers_on_initiation_sent(&t, next, &jitter);
	assert_int_equal(t.handshake_due_ns, 0);
}

static void
test_passive_keepalive(void **state)
{
	sl_timers_on_session(&t, T0);
	k.data_rx = k.any_rx = k.unanswered_rx = sl_tick_of(T0);
	assert_int_equal(run(T0), NONE);
	assert_int_equal(next, TICK_END + 10 * S);
	assert_int_equal(run(next - 1), NONE);
	assert_int_equal(run(next), SL_TIMER_KEEPALIVE);
	/* the home did not report it yet: not again at once, but once a second */
	assert_int_equal(run(TICK_END + 10 * S + S / 2), NONE);
	assert_int_equal(run(TICK_END + 11 * S), SL_TIMER_KEEPALIVE);
	k.any_tx = sl_tick_of(TICK_END + 11 * S);
	k.unanswered_rx = 0;
	assert_int_equal(run(TICK_END + 12 * S), NONE);
	assert_int_equal(next, T0 + 540 * S);
}

/* Something went out of hs since: the home's unanswered_rx is old news. */
static void
test_passive_answered_by_handshake(void **state)
{
	sl_timers_on_session(&t, T0);
	k.data_rx = k.any_rx = k.unanswered_rx = sl_tick_of(T0);
	sl_timers_on_initiation_sent(&t, T0 + 9 * S, &jitter);
	sl_timers_on_session(&t, T0 + 9 * S);
	assert_int_equal(run(T0 + 11 * S), NONE);
	k.unanswered_rx = sl_tick_of(T0 + 9 * S); /* same tick: maybe later than the initiation */
	assert_int_equal(run(T0 + 19 * S), NONE);
	assert_int_equal(run(T0 + 19 * S + S / 10), SL_TIMER_KEEPALIVE);
}

/* hs answered an initiation while unanswered_rx stood: data behind that is not forgotten, though
 * the home announces no edge for it. */
static void
test_passive_behind_response(void **state)
{
	uint64_t sent = T0 + 9 * S, data = T0 + 12 * S;

	sl_timers_on_session(&t, T0);
	k.data_rx = k.any_rx = k.unanswered_rx = sl_tick_of(T0);
	sl_timers_on_response_sent(&t, sent);
	sl_timers_on_session(&t, sent);
	k.any_tx = sl_tick_of(sent);
	assert_int_equal(run(T0 + 11 * S), NONE);
	assert_true(next <= T0 + 21 * S);
	k.data_rx = k.any_rx = sl_tick_of(data);
	assert_int_equal(run(next), SL_TIMER_KEEPALIVE);
	assert_true(next > sent + 10 * S && next <= data + 11 * S);
}

/* No session can carry the keepalive any more: a handshake, and only one attempt. */
static void
test_passive_without_session(void **state)
{
	sl_timers_on_session(&t, T0 - 175 * S);
	k.data_rx = k.any_rx = k.unanswered_rx = sl_tick_of(T0);
	assert_int_equal(run(TICK_END + 10 * S), SL_TIMER_INITIATE);
	sl_timers_on_initiation_sent(&t, TICK_END + 10 * S, &jitter);
	t.retransmit_ns = UINT64_MAX;
	assert_int_equal(run(TICK_END + 100 * S), SL_TIMER_GIVE_UP);
	assert_int_equal(run(TICK_END + 200 * S), NONE);
}

static void
test_new_handshake_after_unacked(void **state)
{
	uint64_t due;

	jitter_word = 1u << 31; /* 166.5 ms */
	due = TICK_END + 15 * S + 1665 * SL_NS_PER_MS / 10;
	sl_timers_on_session(&t, T0 - 1 * S);
	k.data_tx = k.any_tx = k.unacked_tx = sl_tick_of(T0);
	assert_int_equal(run(T0), NONE);
	assert_int_equal(next, due);
	jitter_word = 0; /* drawn once */
	k.data_tx = k.any_tx = sl_tick_of(T0 + 9 * S);
	assert_int_equal(run(T0 + 9 * S), NONE);
	assert_int_equal(next, due);
	assert_int_equal(run(due), SL_TIMER_INITIATE);
	/* nothing comes back: this data never asks again after the attempt */
	sl_timers_on_initiation_sent(&t, due, &jitter);
	t.retransmit_ns = UINT64_MAX;
	assert_int_equal(run(due + 90 * S), SL_TIMER_GIVE_UP);
	assert_int_equal(run(due + 91 * S), NONE);
	/* data sent after that does, and is found without an edge */
	assert_in_range(next, due + 91 * S, due + 91 * S + 15 * S);
	k.data_tx = k.any_tx = sl_tick_of(due + 92 * S);
	assert_int_equal(run(next), NONE);
	assert_in_range(next, due + 92 * S + 15 * S, due + 92 * S + 15 * S + S / 10);
	assert_int_equal(run(next), SL_TIMER_INITIATE);
}

static void
test_unacked_is_cleared_by_reception(void **state)
{
	sl_timers_on_session(&t, T0 - S);
	k.data_tx = k.any_tx = k.unacked_tx = sl_tick_of(T0);
	assert_int_equal(run(T0), NONE);
	k.unacked_tx = 0; /* a packet came */
	k.any_rx = sl_tick_of(T0 + 5 * S);
	assert_int_equal(run(T0 + 5 * S), NONE);
	k.data_tx = k.any_tx = k.unacked_tx = sl_tick_of(T0 + 5 * S); /* and new data went */
	assert_int_equal(run(T0 + 16 * S), NONE);
	assert_int_equal(next, T0 + 5 * S + S / 10 + 15 * S);
	assert_int_equal(run(next), SL_TIMER_INITIATE);
}

/* Answered within the tick that it was sent in, then new data: the 15 s start with that. */
static void
test_unacked_restarts(void **state)
{
	sl_timers_on_session(&t, T0 - S);
	k.data_tx = k.any_tx = k.unacked_tx = sl_tick_of(T0);
	assert_int_equal(run(T0), NONE);
	k.any_rx = sl_tick_of(T0);
	k.data_tx = k.any_tx = k.unacked_tx = sl_tick_of(T0 + 7 * S);
	assert_int_equal(run(T0 + 16 * S), NONE);
	assert_int_equal(next, T0 + 7 * S + S / 10 + 15 * S);
}

/* Only hs saw the reception: the home still shows the old unacked_tx, and sends more data. */
static void
test_unacked_superseded_by_session(void **state)
{
	sl_timers_on_session(&t, T0 - S);
	k.data_tx = k.any_tx = k.unacked_tx = sl_tick_of(T0);
	assert_int_equal(run(T0), NONE);
	sl_timers_on_session(&t, T0 + 8 * S);
	assert_int_equal(run(T0 + 8 * S), NONE);
	assert_int_equal(next, T0 + 23 * S); /* a look whether more was sent */
	k.data_tx = k.any_tx = sl_tick_of(T0 + 10 * S);
	assert_int_equal(run(next), NONE);
	assert_int_equal(next, T0 + 10 * S + S / 10 + 15 * S);
	assert_int_equal(run(next), SL_TIMER_INITIATE);
}

static void
test_persistent(void **state)
{
	t.persistent_s = 25;
	sl_timers_on_session(&t, T0);
	assert_int_equal(run(T0), NONE);
	assert_int_equal(next, T0 + 25 * S);
	k.any_rx = sl_tick_of(T0 + 3 * S); /* either direction, any kind */
	assert_int_equal(run(T0 + 3 * S), NONE);
	assert_int_equal(next, T0 + 28 * S + S / 10);
	k.any_tx = sl_tick_of(T0 + 4 * S);
	assert_int_equal(run(T0 + 29 * S), NONE);
	assert_int_equal(run(T0 + 29 * S + S / 10), SL_TIMER_KEEPALIVE);
	t.persistent_s = 0;
	assert_int_equal(run(T0 + 40 * S), NONE);
}

static void
test_persistent_without_session(void **state)
{
	t.persistent_s = 2;
	assert_int_equal(run(T0), SL_TIMER_INITIATE); /* never a packet: at once */
	sl_timers_on_initiation_sent(&t, T0, &jitter);
	assert_int_equal(run(T0 + 3 * S), NONE); /* the attempt goes its own pace */
	assert_int_equal(run(T0 + 5 * S), SL_TIMER_INITIATE);
	t.retransmit_ns = UINT64_MAX;
	assert_int_equal(run(T0 + 90 * S), SL_TIMER_GIVE_UP | SL_TIMER_INITIATE); /* and goes on */
	sl_timers_on_initiation_sent(&t, T0 + 90 * S, &jitter);
	assert_int_equal(t.attempt_start_ns, T0 + 90 * S);
	sl_timers_on_session(&t, T0 + 91 * S);
	assert_int_equal(run(T0 + 93 * S), SL_TIMER_KEEPALIVE);
	k.any_tx = sl_tick_of(T0 + 271 * S);
	assert_int_equal(run(T0 + 270 * S), NONE);
	assert_int_equal(run(T0 + 274 * S), SL_TIMER_INITIATE); /* 180 s old: no use any more */
}

static void
test_zero_keys(void **state)
{
	sl_timers_on_session(&t, T0);
	assert_int_equal(run(T0 + 540 * S - 1), NONE);
	assert_int_equal(run(T0 + 540 * S), SL_TIMER_ZERO_KEYS);
	assert_int_equal(run(T0 + 541 * S), SL_TIMER_ZERO_KEYS); /* until it is reported */
	sl_timers_on_zeroed(&t);
	assert_int_equal(run(T0 + 541 * S), NONE);
	assert_true(next == UINT64_MAX);
	/* the clock of new material starts anew */
	sl_timers_on_initiation_sent(&t, T0 + 600 * S, &jitter);
	assert_int_equal(run(T0 + 601 * S), NONE);
	sl_timers_on_response_sent(&t, T0 + 602 * S);
	sl_timers_on_session(&t, T0 + 603 * S);
	assert_int_equal(run(T0 + 604 * S), NONE);
	assert_int_equal(next, T0 + 1143 * S);
}

/* Keys of a handshake that the initiator never confirmed. */
static void
test_zero_unconfirmed_keys(void **state)
{
	sl_timers_on_response_sent(&t, T0);
	assert_int_equal(run(T0), NONE);
	assert_int_equal(next, T0 + 540 * S);
	assert_int_equal(run(next), SL_TIMER_ZERO_KEYS);
	fresh(NULL);
	t.keys_live = true; /* material of unknown age counts from the first look */
	assert_int_equal(run(T0), NONE);
	assert_int_equal(next, T0 + 540 * S);
}

int
main(void)
{
#define RULE(f) cmocka_unit_test_setup(f, fresh)
	const struct CMUnitTest tests[] = {
		RULE(test_idle),
		RULE(test_retransmit_and_give_up),
		RULE(test_give_up_exactly),
		RULE(test_traffic_prolongs_attempt),
		RULE(test_want_soon_after_initiation),
		RULE(test_held_rekey),
		RULE(test_passive_keepalive),
		RULE(test_passive_answered_by_handshake),
		RULE(test_passive_behind_response),
		RULE(test_passive_without_session),
		RULE(test_new_handshake_after_unacked),
		RULE(test_unacked_is_cleared_by_reception),
		RULE(test_unacked_restarts),
		RULE(test_unacked_superseded_by_session),
		RULE(test_persistent),
		RULE(test_persistent_without_session),
		RULE(test_zero_keys),
		RULE(test_zero_unconfirmed_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
