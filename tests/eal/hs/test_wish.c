/* SPDX-License-Identifier: BSD-3-Clause */
/* Two workers: a home asks for another one, and what hs does about it. */
#include "fixture.h"

static unsigned
home(const struct far *f)
{
	return atomic_load(&f->peer->home);
}

/** Cycles of the last second: worker 0 and 1 of 1,000 each. */
static void
load(struct fx *fx, unsigned busy0, unsigned busy1)
{
	fx_advance(fx, 1100 * MS);
	fx->worker[0]->stats->lcore.busy_cycles += busy0 * 1000;
	fx->worker[1]->stats->lcore.busy_cycles += busy1 * 1000;
	fx->worker[0]->stats->lcore.total_cycles += 1000000;
	fx->worker[1]->stats->lcore.total_cycles += 1000000;
	fx_advance(fx, 1100 * MS);
}

/** What the home does. @return true if hs moves the peer (and has done so) */
static bool
wish(struct fx *fx, struct far *f, unsigned worker)
{
	unsigned from = fx->n_log, before = home(f);

	atomic_store(&f->peer->wish, (uint8_t)worker);
	fx_raise(fx, f, SL_PEER_EV_REHOME, true);
	fx_settle(fx);
	assert_int_equal(atomic_load(&f->peer->events), 0);
	assert_int_equal(fx_count(fx, (int)before, SL_WK_REHOME_OUT, from), home(f) != before);
	return home(f) != before;
}

/** A peer at home at worker 0, with a session. */
static struct fx *
begin(struct far *f)
{
	struct fx *fx = fx_begin(2);

	far_init(fx, f, 10, "198.51.100.7:4000");
	far_add(fx, f, far_add_cmd(fx, f, false, false));
	far_session(fx, f, 0);
	assert_int_equal(home(f), 0);
	return fx;
}

static void
end(struct fx *fx, struct far *f)
{
	far_gone(fx, f);
	fx_free(fx);
}

/** The peer moves, then we renew the keys: the new index names the new home, the old one lives. */
static void
test_granted(void **state)
{
	struct far f;
	struct fx *fx = begin(&f);
	struct sl_keypair *old = far_kp(fx, &f);
	uint32_t old_index = f.keys.remote_index;
	unsigned from;

	fx_advance(fx, 30 * S);
	from = fx->n_log;
	fx->hold_acks = true;
	atomic_store(&f.peer->wish, 1);
	fx_raise(fx, &f, SL_PEER_EV_REHOME, true);
	fx_settle(fx);
	assert_int_equal(fx_count(fx, 0, SL_WK_REHOME_OUT, from), 1);
	assert_int_equal(fx_last(fx, SL_WK_REHOME_OUT)->msg.home, 1);
	fx_none(fx); /* nothing before the old home has let go */
	assert_int_equal(fx->n_log, from + 1);
	fx_release_acks(fx);
	fx_settle(fx);
	assert_int_equal(home(&f), 1);
	assert_ptr_equal(atomic_load(&f.peer->current), old);
	far_session_back(fx, &f, 1);
	assert_int_equal(far_kp(fx, &f)->owner, 1);
	assert_true(far_kp(fx, &f)->initiator);
	assert_int_equal(fx_count(fx, 1, SL_WK_INSTALL, from), 1);
	assert_ptr_equal(atomic_load(&f.peer->current), far_kp(fx, &f));
	assert_ptr_equal(sl_session_lookup(fx->dp.sessions, old_index), old);
	assert_int_equal(old->owner, 0);
	fx_advance(fx, 20 * S);
	assert_int_equal(fx_count(fx, -1, SL_WK_REHOME_OUT, from), 1);
	assert_int_equal(fx_count(fx, -1, SL_WK_RETIRE, from), 0);
	fx_none(fx);
	end(fx, &f);
}

/** A lost hint costs a second at most. */
static void
test_lost_hint(void **state)
{
	struct far f;
	struct fx *fx = begin(&f);

	fx_advance(fx, 10 * S);
	atomic_store(&f.peer->wish, 1);
	fx_raise(fx, &f, SL_PEER_EV_REHOME, false);
	fx_advance(fx, 1100 * MS);
	assert_int_equal(home(&f), 1);
	far_session_back(fx, &f, 1);
	end(fx, &f);
}

/** REKEY-TIMEOUT: the home moves at once, the handshake waits. */
static void
test_five_seconds(void **state)
{
	struct far f;
	struct fx *fx = begin(&f);

	fx_advance(fx, S);
	assert_true(wish(fx, &f, 1));
	fx_advance(fx, 3900 * MS);
	fx_none(fx);
	fx_advance(fx, 200 * MS);
	far_session_back(fx, &f, 1);
	assert_int_equal(far_kp(fx, &f)->owner, 1);
	end(fx, &f);
}

/** The far side's own handshake takes the place of ours. */
static void
test_far_is_faster(void **state)
{
	struct far f;
	struct fx *fx = begin(&f);

	fx_advance(fx, S);
	assert_true(wish(fx, &f, 1));
	fx_advance(fx, S);
	far_session(fx, &f, 1);
	assert_int_equal(far_kp(fx, &f)->owner, 1);
	fx_advance(fx, 20 * S);
	fx_none(fx);
	end(fx, &f);
}

/** 10 s between two changes, then 20 s where they go on, and 10 s again after a long peace. */
static void
test_pause(void **state)
{
	struct far f;
	struct fx *fx = begin(&f);

	fx_advance(fx, 10 * S);
	assert_true(wish(fx, &f, 1));
	far_session_back(fx, &f, 1);
	fx_advance(fx, 9900 * MS);
	assert_false(wish(fx, &f, 0));
	fx_advance(fx, 200 * MS);
	assert_true(wish(fx, &f, 0));
	far_session_back(fx, &f, 0);
	fx_advance(fx, 19900 * MS);
	assert_false(wish(fx, &f, 1));
	fx_advance(fx, 200 * MS);
	assert_true(wish(fx, &f, 1));
	far_session_back(fx, &f, 1);
	fx_advance(fx, 39900 * MS);
	assert_false(wish(fx, &f, 0));
	fx_advance(fx, 130 * S);
	far_session(fx, &f, 1);
	assert_true(wish(fx, &f, 0));
	fx_advance(fx, 5 * S);
	far_session_back(fx, &f, 0);
	fx_advance(fx, 5100 * MS);
	assert_true(wish(fx, &f, 1));
	far_session_back(fx, &f, 1);
	end(fx, &f);
}

/** D26: only a worker below 1.25 x mean takes one more. */
static void
test_refused(void **state)
{
	struct far f;
	struct fx *fx = begin(&f);

	load(fx, 400, 700); /* worker 1: 1.27 x mean */
	assert_false(wish(fx, &f, 1));
	fx_none(fx);
	load(fx, 400, 600); /* 1.2 x mean */
	assert_true(wish(fx, &f, 1));
	fx_advance(fx, S);
	far_session_back(fx, &f, 1);
	end(fx, &f);
}

/** A handshake under way has an index of the present home. */
static void
test_in_handshake(void **state)
{
	struct far f;
	struct fx *fx = begin(&f);

	fx_advance(fx, 120 * S);
	fx_raise(fx, &f, SL_PEER_EV_WANT_HS, true);
	fx_settle(fx);
	assert_false(wish(fx, &f, 1));
	far_session_back(fx, &f, 0);
	assert_int_equal(far_kp(fx, &f)->owner, 0);
	assert_true(wish(fx, &f, 1));
	fx_advance(fx, 5 * S);
	far_session_back(fx, &f, 1);
	end(fx, &f);
}

static void
test_not_usable(void **state)
{
	struct far f;
	struct fx *fx = begin(&f);

	fx_advance(fx, 10 * S);
	atomic_store(&f.peer->enabled, 0);
	assert_false(wish(fx, &f, 1));
	atomic_store(&f.peer->enabled, 1);
	assert_false(wish(fx, &f, 0)); /* where it is already */
	fx_none(fx);
	end(fx, &f);
}

/** Load: to the least loaded, and not back to where its packets come in. */
static void
test_away(void **state)
{
	struct far f;
	struct fx *fx = begin(&f);

	load(fx, 200, 900);
	assert_false(wish(fx, &f, SL_PEER_WISH_AWAY)); /* there it is worse */
	load(fx, 900, 200);
	assert_true(wish(fx, &f, SL_PEER_WISH_AWAY));
	fx_advance(fx, 2 * S);
	far_session_back(fx, &f, 1);
	fx_advance(fx, 15 * S);
	load(fx, 500, 500);
	assert_false(wish(fx, &f, 0));
	fx_advance(fx, 100 * S);
	far_initiate(fx, &f, 0);
	assert_int_equal(home(&f), 1);
	assert_true(far_take_response(fx, &f, 0));
	fx_confirm(fx, &f);
	assert_int_equal(far_kp(fx, &f)->owner, 1);
	fx_advance(fx, 70 * S);
	assert_true(wish(fx, &f, 0));
	far_session_back(fx, &f, 0);
	end(fx, &f);
}

/** A peer that is most of its home's work is not moved for its load, others are. */
static void
test_main_peer(void **state)
{
	struct far f;
	struct fx *fx = begin(&f);

	load(fx, 900, 200);
	fx->worker[0]->stats->main_peer = f.peer->id + 1;
	far_session(fx, &f, 0);
	assert_int_equal(home(&f), 0);
	fx->worker[0]->stats->main_peer = f.peer->id + 2;
	load(fx, 900, 200);
	far_session(fx, &f, 0);
	assert_int_equal(home(&f), 1);
	assert_int_equal(far_kp(fx, &f)->owner, 1);
	end(fx, &f);
}

/** Back at the owner of the keys in use: no new ones are needed. */
static void
test_back_home(void **state)
{
	struct far f;
	struct fx *fx = begin(&f);

	fx_advance(fx, 10 * S);
	assert_true(wish(fx, &f, 1));
	fx_advance(fx, 100 * S); /* the far side does not answer */
	assert_int_equal(fx_notes(fx, SL_NOTE_GAVE_UP), 1);
	while (fx_take(fx, 1).any)
		;
	assert_true(wish(fx, &f, 0));
	fx_advance(fx, 20 * S);
	fx_none(fx);
	assert_int_equal(far_kp(fx, &f)->owner, 0);
	end(fx, &f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_granted),	     cmocka_unit_test(test_lost_hint),
		cmocka_unit_test(test_five_seconds), cmocka_unit_test(test_far_is_faster),
		cmocka_unit_test(test_pause),	     cmocka_unit_test(test_refused),
		cmocka_unit_test(test_in_handshake), cmocka_unit_test(test_not_usable),
		cmocka_unit_test(test_away),	     cmocka_unit_test(test_main_peer),
		cmocka_unit_test(test_back_home),
	};

	eal_start("test_hs_wish");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
