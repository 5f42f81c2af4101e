/* SPDX-License-Identifier: BSD-3-Clause */
/* 10,000 peers: pace of our initiations at a start, memory, turns that stay short. */
#include "fixture.h"

#include <time.h>

#define PEERS 10000

static struct far far[PEERS];
static uint8_t times[PEERS]; /* initiations seen, by peer */

/** Public keys without a private one: nobody answers. */
static void
add_all(struct fx *fx, uint32_t first_id)
{
	struct sl_hs_cmd *cmd;
	struct far *f;
	unsigned i;

	for (i = 0; i < PEERS; i++) {
		f = &far[i];
		memset(f, 0, sizeof(*f));
		sl_rng_fill(&fx->far_rng, f->local.pk.b, 32);
		f->ep.ip.family = 4;
		f->ep.ip.b[0] = 10;
		f->ep.ip.b[2] = (uint8_t)(i >> 8);
		f->ep.ip.b[3] = (uint8_t)i;
		f->ep.port = 1000;
		f->peer = sl_peer_alloc(fx->dp.n_workers);
		assert_non_null(f->peer);
		f->peer->id = first_id + i;
		f->peer->iface_id = FX_IFACE;
		f->peer->key = f->local.pk;
		atomic_store(&f->peer->enabled, 1);
		atomic_store(&fx->dp.peers->slot[f->peer->id], f->peer);
		cmd = far_add_cmd(fx, f, true, true);
		cmd->peer = f->peer;
		fx_send(fx, cmd);
	}
}

static unsigned
drain(struct fx *fx)
{
	struct fx_out out;
	unsigned n = 0, i;

	for (;;) {
		out = fx_take(fx, 0);
		if (!out.any)
			return n;
		n++;
		i = (unsigned)out.outer.dst.b[2] << 8 | out.outer.dst.b[3];
		assert_true(i < PEERS);
		times[i]++;
	}
}

/** One worker whose mailbox is small: one round a millisecond, as a busy machine would. */
static unsigned
run_ms(struct fx *fx, unsigned ms)
{
	unsigned n = 0, i;

	while (ms-- > 0) {
		fx->now_ns += MS;
		fx->wall_ns += MS;
		for (i = 0; i < 4; i++) {
			fx_round(fx);
			fx->n_log = 0;
		}
		n += drain(fx);
	}
	return n;
}

static void
test_start_of_10000(void **state)
{
	struct fx *fx = fx_begin(1);
	unsigned i, n, second, total = 0, most = 0;
	struct sl_hs_cmd *cmd;

	memset(times, 0, sizeof(times));
	add_all(fx, 0);
	for (second = 0; second < 25; second++) {
		n = run_ms(fx, 1000);
		assert_in_range(n, 0, 1020); /* 1,000 a second and the first burst */
		total += n;
	}
	assert_true(total >= 24000); /* and no slower: all want one every 5 s */
	for (i = 0; i < PEERS; i++) {
		assert_true(times[i] >= 1); /* nobody starves */
		most = SL_MAX(most, times[i]);
	}
	assert_true(most <= 4); /* nobody is queued twice */
	assert_int_equal(fx_slots(fx).pending, PEERS);
	for (i = 0; i < PEERS; i++) {
		cmd = fx_cmd(fx, SL_HS_PEER_DEL);
		cmd->peer = far[i].peer;
		fx_send(fx, cmd);
	}
	run_ms(fx, 500);
	assert_int_equal(fx_slots(fx).pending, 0);
	for (i = 0; i < PEERS; i++) {
		atomic_store(&fx->dp.peers->slot[i], NULL);
		sl_peer_free(far[i].peer);
	}
	fx_free(fx);
}

/** Every peer's session ends at once when the key changes; the mailbox to the worker holds 64. */
static void
test_key_change_of_many(void **state)
{
	struct fx_opts o = {.workers = 1, .handshakes_per_s = 1000};
	struct fx *fx = fx_new(&o);
	static struct far f[300];
	unsigned i;

	fx_iface(fx, FX_IFACE, 1);
	for (i = 0; i < 300; i++) {
		far_init(fx, &f[i], 10 + i, "198.51.100.7:4000");
		far_add(fx, &f[i], far_add_cmd(fx, &f[i], false, false));
		far_session(fx, &f[i], 0);
		fx->n_log = 0;
		fx->n_notes = 0;
	}
	assert_int_equal(fx_slots(fx).live, 300);
	fx_iface(fx, FX_IFACE, 2);
	assert_int_equal(fx_slots(fx).live + fx_slots(fx).retired, 0);
	assert_int_equal(fx_count(fx, 0, SL_WK_RETIRE, 0), 300);
	for (i = 0; i < 300; i++) {
		fx->n_log = 0;
		fx->n_notes = 0;
		far_gone(fx, &f[i]);
	}
	fx_free(fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_of_10000),
		cmocka_unit_test(test_key_change_of_many),
	};

	eal_start("test_hs_scale");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
