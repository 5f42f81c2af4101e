/* SPDX-License-Identifier: BSD-3-Clause */
/* Two workers: choice and change of the home. */
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

static void
test_spread(void **state)
{
	struct fx *fx = fx_begin(2);
	struct far f[40];
	unsigned i, n[2] = {0, 0};

	for (i = 0; i < 40; i++) {
		far_init(fx, &f[i], 10 + i, "198.51.100.7:4000");
		far_add(fx, &f[i], far_add_cmd(fx, &f[i], true, true));
		n[home(&f[i])]++;
	}
	assert_int_equal(n[0], 20);
	assert_int_equal(n[1], 20);
	fx_advance(fx, 100 * MS);
	assert_int_equal(rte_ring_count(fx->worker[0]->inject[0]), 20); /* each through its home */
	assert_int_equal(rte_ring_count(fx->worker[1]->inject[0]), 20);
	for (i = 0; i < 40; i++)
		far_gone(fx, &f[i]);
	fx_free(fx);
}

/** The initiation comes to the other worker: the home moves before the keypair is made. */
static void
test_move(void **state)
{
	struct fx *fx = fx_begin(2);
	struct sl_keypair *old;
	uint32_t old_index;
	unsigned from;
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	assert_int_equal(home(&f), 0);
	far_session(fx, &f, 0);
	assert_int_equal(fx_count(fx, -1, SL_WK_REHOME_OUT, 0), 0);
	old = far_kp(fx, &f);
	old_index = f.keys.remote_index;

	fx_advance(fx, 30 * S);
	from = fx->n_log;
	fx->hold_acks = true;
	far_initiate(fx, &f, 1);
	assert_int_equal(fx_count(fx, 0, SL_WK_REHOME_OUT, from), 1);
	assert_int_equal(fx_last(fx, SL_WK_REHOME_OUT)->msg.home, 1);
	assert_int_equal(fx->n_log, from + 1); /* frozen: nothing else */
	fx_none(fx);
	fx_advance(fx, 30 * MS);
	far_initiate(fx, &f, 1); /* a newer one meanwhile takes the place of the first */
	assert_int_equal(fx->n_log, from + 1);
	fx_release_acks(fx);
	fx_settle(fx);
	assert_int_equal(home(&f), 1);
	assert_true(far_take_response(fx, &f, 1));
	fx_none(fx);
	far_check_keys(fx, &f);
	assert_int_equal(far_kp(fx, &f)->owner, 1);
	assert_int_equal(fx_count(fx, 1, SL_WK_PATH, from), 1);
	assert_int_equal(fx_count(fx, 1, SL_WK_INSTALL, from), 1);
	assert_ptr_equal(sl_session_lookup(fx->dp.sessions, old_index), old);
	fx_confirm(fx, &f);

	/* the old keypair has two workers to let go of it: its owner and the home */
	from = fx->n_log;
	fx->hold_acks = true;
	fx_advance(fx, 150 * S);
	assert_null(sl_session_lookup(fx->dp.sessions, old_index));
	assert_int_equal(fx_count(fx, 0, SL_WK_RETIRE, from), 1);
	assert_int_equal(fx_count(fx, 1, SL_WK_RETIRE, from), 1);
	assert_int_equal(fx->n_held, 2);
	fx->n_held = 1;
	fx_release_acks(fx); /* one answer is not enough */
	fx_advance(fx, 2 * S);
	assert_int_equal(fx_slots(fx).retired, 1);
	fx->held[0] = fx->held[1];
	fx->n_held = 1;
	fx_release_acks(fx);
	fx_settle(fx);
	assert_int_equal(fx_slots(fx).retired, 0);
	far_gone(fx, &f);
	fx_free(fx);
}

/** A keypair that ends while the home changes is retired at both afterwards. */
static void
test_retire_while_moving(void **state)
{
	struct fx *fx = fx_begin(2);
	unsigned from;
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	far_session(fx, &f, 0);
	fx_advance(fx, 178 * S);
	from = fx->n_log;
	fx->hold_acks = true;
	far_initiate(fx, &f, 1);
	fx_advance(fx, 3 * S);
	assert_null(far_kp(fx, &f)); /* unpublished at 180 s all the same */
	assert_int_equal(fx_count(fx, -1, SL_WK_RETIRE, from), 0);
	fx_release_acks(fx);
	fx_settle(fx);
	assert_int_equal(fx_count(fx, 0, SL_WK_RETIRE, from), 1);
	assert_int_equal(fx_count(fx, 1, SL_WK_RETIRE, from), 1);
	assert_int_equal(fx_slots(fx).retired, 0);
	assert_true(far_take_response(fx, &f, 1));
	far_gone(fx, &f);
	fx_free(fx);
}

/** An answer that took longer than 5 s is for nobody any more. */
static void
test_stale_move(void **state)
{
	struct fx *fx = fx_begin(2);
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	fx->hold_acks = true;
	far_initiate(fx, &f, 1);
	fx_advance(fx, 6 * S);
	fx_release_acks(fx);
	fx_settle(fx);
	fx_none(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_STALE), 1);
	assert_int_equal(home(&f), 1);
	far_session(fx, &f, 1);
	far_gone(fx, &f);
	fx_free(fx);
}

static void
test_delete_while_moving(void **state)
{
	struct fx *fx = fx_begin(2);
	struct sl_hs_cmd *cmd;
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	far_session(fx, &f, 0);
	fx->hold_acks = true;
	fx_advance(fx, S);
	far_initiate(fx, &f, 1);
	cmd = fx_cmd(fx, SL_HS_PEER_DEL);
	cmd->peer = f.peer;
	fx_send(fx, cmd);
	fx_settle(fx);
	assert_int_equal(fx_count(fx, -1, SL_WK_PEER_GONE, 0), 0);
	assert_null(far_kp(fx, &f));
	fx_release_acks(fx);
	fx_settle(fx);
	assert_int_equal(fx_count(fx, 1, SL_WK_PEER_GONE, 0), 1);
	assert_int_equal(fx_notes(fx, SL_NOTE_PEER_DELETED), 1);
	assert_int_equal(fx_slots(fx).live + fx_slots(fx).retired + fx_slots(fx).pending, 0);
	fx_none(fx);
	atomic_store(&fx->dp.peers->slot[f.peer->id], NULL);
	far_free(&f);
	fx_free(fx);
}

/** D26: the lane's worker only below 1.25 x mean; a home above 1.5 x mean is left. */
static void
test_by_load(void **state)
{
	struct fx *fx = fx_begin(2);
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	far_session(fx, &f, 0);
	load(fx, 400, 700); /* worker 1: 1.27 x mean */
	far_initiate(fx, &f, 1);
	assert_int_equal(home(&f), 0);
	assert_true(far_take_response(fx, &f, 1)); /* answered through the worker that heard it */
	load(fx, 400, 600);			   /* 1.2 x mean */
	far_initiate(fx, &f, 1);
	assert_int_equal(home(&f), 1);
	assert_true(far_take_response(fx, &f, 1));
	load(fx, 200, 700); /* 1.55 x mean: away from there */
	far_initiate(fx, &f, 1);
	assert_int_equal(home(&f), 0);
	assert_true(far_take_response(fx, &f, 1));
	load(fx, 10, 60); /* nearly idle: load says nothing */
	far_initiate(fx, &f, 1);
	assert_int_equal(home(&f), 1);
	assert_true(far_take_response(fx, &f, 1));
	far_gone(fx, &f);
	fx_free(fx);
}

/** As initiator: the next handshake begins where the last response came in. */
static void
test_initiator_follows(void **state)
{
	struct fx *fx = fx_begin(2);
	struct sl_msg_response resp;
	struct fx_out out;
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, true, true));
	out = fx_take(fx, 0);
	assert_int_equal(far_answer(fx, &f, &out.init, &resp), 0);
	far_send(fx, &f, 1, 0, &resp, sizeof(resp));
	fx_settle(fx);
	assert_int_equal(far_kp(fx, &f)->owner, 0); /* the index is what it is */
	assert_int_equal(home(&f), 0);
	fx_advance(fx, 120 * S);
	fx->hold_acks = true;
	fx_raise(fx, &f, SL_PEER_EV_WANT_HS, true);
	fx_settle(fx);
	assert_int_equal(fx_count(fx, 0, SL_WK_REHOME_OUT, 0), 1);
	fx_none(fx);
	fx_release_acks(fx);
	fx_settle(fx);
	assert_int_equal(home(&f), 1);
	far_session_back(fx, &f, 1);
	assert_int_equal(far_kp(fx, &f)->owner, 1);
	assert_int_equal(fx_count(fx, -1, SL_WK_REHOME_OUT, 0), 1);
	far_gone(fx, &f);
	fx_free(fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_retire_while_moving),
		cmocka_unit_test(test_stale_move),
		cmocka_unit_test(test_delete_while_moving),
		cmocka_unit_test(test_by_load),
		cmocka_unit_test(test_initiator_follows),
	};

	eal_start("test_hs_rehome");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
