/* SPDX-License-Identifier: BSD-3-Clause */
/* We as responder: the handshake, its confirmation, and everything that must not work. */
#include "fixture.h"

static void
handshake_over(const char *endpoint)
{
	struct fx *fx = fx_begin(1);
	struct sl_peer_path path;
	struct sl_hs_peer_view v;
	struct far f;

	far_init(fx, &f, 10, endpoint);
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	assert_int_equal(far_state(&f), SL_HS_INIT);
	fx_advance(fx, 3 * S);
	fx_none(fx);

	far_initiate(fx, &f, 0);
	assert_true(far_take_response(fx, &f, 0));
	far_check_keys(fx, &f);
	/* the home learned where the peer is, then the keypair; nothing is sealed with it yet */
	assert_int_equal(fx->n_log, 2);
	assert_int_equal(fx->log[0].msg.type, SL_WK_PATH);
	assert_int_equal(fx->log[1].msg.type, SL_WK_INSTALL);
	assert_int_equal(fx->log[1].msg.index, f.keys.remote_index);
	sl_peer_path_read(f.peer, &path);
	assert_true(sl_ip_equal(&path.outer.dst, &f.ep.ip));
	assert_int_equal(path.outer.dport, f.ep.port);
	assert_int_equal(path.outer.sport, FX_PORT);
	assert_int_equal(path.outer.src.family, f.ep.ip.family);
	assert_null(atomic_load(&f.peer->current));
	assert_int_equal(far_state(&f), SL_HS_IN_PROGRESS);
	assert_int_equal(atomic_load(&f.peer->handshakes), 0);

	fx_confirm(fx, &f);
	assert_int_equal(far_state(&f), SL_HS_ESTABLISHED);
	assert_int_equal(atomic_load(&f.peer->handshakes), 1);
	assert_int_equal(atomic_load(&f.peer->hs_rx_bytes), 148);
	assert_int_equal(atomic_load(&f.peer->hs_tx_bytes), 92);
	assert_int_equal(atomic_load(&f.peer->last_handshake_wall_ns), fx->wall_ns);
	assert_int_equal(fx_notes(fx, SL_NOTE_SESSION), 1);
	assert_int_equal(fx->notes[0].initiator, 0);
	sl_hs_peer_view(f.peer, &v);
	assert_int_equal(v.session_ns, fx->now_ns);
	assert_int_equal(sl_tai64n_cmp(v.last_ts, f.noise.last_sent_ts), 0);
	assert_false(v.has_psk);
	fx_none(fx);
	far_gone(fx, &f);
	assert_int_equal(fx_slots(fx).live + fx_slots(fx).pending + fx_slots(fx).retired, 0);
	fx_free(fx);
}

static void
test_handshake_ip4(void **state)
{
	handshake_over("198.51.100.7:4000");
}

static void
test_handshake_ip6(void **state)
{
	handshake_over("[2001:db8:5::7]:4000");
}

static void
test_lost_hint(void **state)
{
	struct fx *fx = fx_begin(1);
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	far_initiate(fx, &f, 0);
	assert_true(far_take_response(fx, &f, 0));
	atomic_store(&far_kp(fx, &f)->confirmed, 1);
	atomic_store(&f.peer->current, far_kp(fx, &f));
	fx_raise(fx, &f, SL_PEER_EV_CONFIRMED, false);
	fx_settle(fx);
	assert_int_equal(far_state(&f), SL_HS_IN_PROGRESS);
	fx_advance(fx, S + 10 * MS); /* found by the sweep */
	assert_int_equal(far_state(&f), SL_HS_ESTABLISHED);
	far_gone(fx, &f);
	fx_free(fx);
}

static void
test_psk(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_hs_cmd *cmd;
	struct sl_hs_peer_view v;
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	memset(f.noise.psk.b, 7, 32);
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	far_initiate(fx, &f, 0);
	assert_false(far_take_response(fx, &f, 0)); /* it has none */

	cmd = fx_cmd(fx, SL_HS_PEER_SET);
	cmd->peer = f.peer;
	cmd->fields = SL_HS_F_PSK;
	cmd->key = f.noise.psk;
	fx_send(fx, cmd);
	fx_advance(fx, S);
	sl_hs_peer_view(f.peer, &v);
	assert_true(v.has_psk);
	far_session(fx, &f, 0);
	far_gone(fx, &f);
	fx_free(fx);
}

/** Every byte that the sender wrote, changed, with macs that are right again. */
static void
test_bit_flips(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_msg_initiation m, bad;
	struct sl_cookie_maker maker;
	uint64_t sum;
	struct far f;
	unsigned i;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	far_initiation(fx, &f, &m);
	sl_cookie_maker_init(&maker, &fx->gw.pk);
	for (i = 0; i < 116; i++) {
		if (i >= 4 && i < 8)
			continue; /* the sender's index is not authenticated by itself */
		bad = m;
		((uint8_t *)&bad)[i] ^= 1U << i % 8;
		sl_cookie_mac(&maker, &bad, sizeof(bad), fx->now_ns);
		far_send(fx, &f, 0, 2, &bad, sizeof(bad));
		fx_advance(fx, 25 * MS);
		fx_none(fx);
	}
	sum = fx_drops(fx, SL_DROP_NOT_WIREGUARD) + fx_drops(fx, SL_DROP_WG_LENGTH);
	assert_int_equal(sum, 4);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_INVALID), 108);
	assert_int_equal(fx->n_log, 0);
	assert_int_equal(fx_slots(fx).live + fx_slots(fx).pending, 0);
	/* the real one still works: nothing of the peer had changed */
	far_send(fx, &f, 0, 2, &m, sizeof(m));
	fx_settle(fx);
	assert_true(far_take_response(fx, &f, 0));
	far_gone(fx, &f);
	fx_free(fx);
}

static void
test_mac1(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_msg_initiation m;
	struct far f;
	unsigned i;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	for (i = 0; i < 16; i++) {
		far_initiation(fx, &f, &m);
		m.mac1[i] ^= 0x80;
		far_send(fx, &f, 0, 2, &m, sizeof(m));
	}
	fx_settle(fx);
	fx_none(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_MAC1), 16);
	assert_int_equal(atomic_load(&sl_hs_stats(fx->hs)->initiations_rx), 16);
	far_gone(fx, &f);
	fx_free(fx);
}

static void
test_malformed(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_msg_initiation m;
	struct far f;
	unsigned len;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_initiation(fx, &f, &m);
	for (len = 0; len < sizeof(m); len++)
		far_send(fx, &f, 0, 2, &m, len);
	fx_settle(fx);
	fx_none(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_WG_LENGTH) + fx_drops(fx, SL_DROP_NOT_WIREGUARD),
			 sizeof(m));
	fx_free(fx);
}

static void
test_replay_and_flood(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_msg_initiation first, later;
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	far_initiation(fx, &f, &first);
	far_initiation(fx, &f, &later);
	far_send(fx, &f, 0, 2, &later, sizeof(later));
	fx_settle(fx);
	assert_true(far_take_response(fx, &f, 0));

	fx_advance(fx, 19 * MS);
	far_initiate(fx, &f, 0); /* new, but only 19 ms after the last */
	assert_int_equal(fx_drops(fx, SL_DROP_HS_FLOOD), 1);
	fx_none(fx);

	fx_advance(fx, S);
	far_send(fx, &f, 0, 2, &later, sizeof(later)); /* the same again */
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_REPLAY), 1);
	far_send(fx, &f, 0, 2, &first, sizeof(first)); /* an older one */
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_REPLAY), 2);
	fx_none(fx);

	far_initiate(fx, &f, 0);
	assert_true(far_take_response(fx, &f, 0));
	far_gone(fx, &f);
	fx_free(fx);
}

/** What was accepted before a restart is not accepted after it. */
static void
test_timestamp_restored(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_msg_initiation old;
	struct sl_hs_cmd *cmd;
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_initiation(fx, &f, &old);
	cmd = far_add_cmd(fx, &f, false, false);
	cmd->fields |= SL_HS_F_LAST_TS;
	memcpy(cmd->last_ts, f.noise.last_sent_ts, SL_TAI64N_LEN);
	far_add(fx, &f, cmd);
	far_send(fx, &f, 0, 2, &old, sizeof(old));
	fx_settle(fx);
	fx_none(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_REPLAY), 1);
	far_session(fx, &f, 0);
	far_gone(fx, &f);
	fx_free(fx);
}

static void
test_not_for_us(void **state)
{
	struct fx *fx = fx_begin(1);
	struct far f, stranger, other;
	struct sl_msg_initiation m;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	far_init(fx, &stranger, 11, "198.51.100.8:4000");
	far_initiate(fx, &stranger, 0);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_UNKNOWN_PEER), 1);

	/* the same key on another interface is another peer */
	fx_iface(fx, 2, 2);
	other = f;
	other.peer = sl_peer_alloc(1);
	other.peer->iface_id = 2;
	far_initiation(fx, &other, &m);
	far_send(fx, &other, 0, 2, &m, sizeof(m));
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_MAC1), 1); /* made for the key of interface 1 */
	other.peer->iface_id = 3;
	far_send(fx, &other, 0, 2, &m, sizeof(m));
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_NO_KEY), 1); /* no such interface */
	fx_iface(fx, 3, 0);
	far_send(fx, &other, 0, 2, &m, sizeof(m));
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_NO_KEY), 2); /* it has no key */
	sl_peer_free(other.peer);

	atomic_store(&f.peer->enabled, 0);
	far_initiate(fx, &f, 0);
	assert_int_equal(fx_drops(fx, SL_DROP_PEER_DOWN), 1);
	atomic_store(&f.peer->enabled, 1);
	atomic_store(&f.peer->expires_tick, sl_tick_of(fx->now_ns));
	far_initiate(fx, &f, 0);
	assert_int_equal(fx_drops(fx, SL_DROP_PEER_DOWN), 2);
	atomic_store(&f.peer->expires_tick, 0);

	far_initiation(fx, &f, &m);
	far_send(fx, &f, 0, 2, &m, sizeof(m));
	fx->now_ns += 5 * S + 1; /* hs did not run meanwhile */
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_STALE), 1);
	fx_none(fx);
	assert_int_equal(fx->n_log, 0);
	far_gone(fx, &f);
	fx_free(fx);
}

/** A peer with the gateway's own public key is left alone, until the gateway has another one. */
static void
test_own_key(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_hs_cmd *cmd;
	struct far f;

	far_init(fx, &f, 1, "198.51.100.7:4000"); /* the seed of interface 1 */
	far_add(fx, &f, far_add_cmd(fx, &f, true, true));
	cmd = fx_cmd(fx, SL_HS_PEER_INITIATE);
	cmd->peer = f.peer;
	fx_send(fx, cmd);
	fx_advance(fx, 20 * S);
	fx_none(fx);
	far_initiate(fx, &f, 0);
	assert_int_equal(fx_drops(fx, SL_DROP_PEER_DOWN), 1);
	fx_none(fx);

	fx_iface(fx, FX_IFACE, 5);
	sl_noise_peer_init(&f.noise, &fx->gw.pk, NULL);
	sl_cookie_maker_init(&f.maker, &fx->gw.pk);
	far_session(fx, &f, 0);
	far_gone(fx, &f);
	fx_free(fx);
}

/** A client that never gets our responses: one keypair waits, never more. */
static void
test_next_replaced(void **state)
{
	struct fx *fx = fx_begin(1);
	uint32_t seen[20];
	struct far f;
	unsigned i, j;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	far_session(fx, &f, 0);
	for (i = 0; i < 20; i++) {
		fx_advance(fx, 5 * S);
		far_initiate(fx, &f, 0);
		assert_true(far_take_response(fx, &f, 0));
		seen[i] = f.keys.remote_index;
		for (j = 0; j < i; j++)
			assert_int_not_equal(seen[i], seen[j]);
		assert_int_equal(fx_slots(fx).live, 2); /* current and next */
		assert_int_equal(fx_slots(fx).retired, 0);
	}
	/* the last one is confirmed: current moves to previous */
	fx_confirm(fx, &f);
	assert_int_equal(fx_slots(fx).live, 2);
	assert_int_equal(atomic_load(&f.peer->handshakes), 2);
	far_gone(fx, &f);
	fx_free(fx);
}

/** Without answers from the worker keypairs pile up to a bound, then initiations are refused. */
static void
test_stuck_worker(void **state)
{
	struct fx *fx = fx_begin(1);
	struct far f;
	unsigned i;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	fx->hold_acks = true;
	for (i = 0; i < 20; i++) {
		fx_advance(fx, 25 * MS);
		far_initiate(fx, &f, 0);
		while (far_take_response(fx, &f, 0))
			;
	}
	assert_in_range(fx_slots(fx).live + fx_slots(fx).retired, 2, 8);
	assert_true(fx_drops(fx, SL_DROP_HS_LIMIT) > 0);
	fx_release_acks(fx);
	fx_settle(fx);
	assert_int_equal(fx_slots(fx).retired, 0);
	fx_advance(fx, 25 * MS);
	far_session(fx, &f, 0);
	far_gone(fx, &f);
	fx_free(fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake_ip4),
		cmocka_unit_test(test_handshake_ip6),
		cmocka_unit_test(test_lost_hint),
		cmocka_unit_test(test_psk),
		cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_mac1),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_replay_and_flood),
		cmocka_unit_test(test_timestamp_restored),
		cmocka_unit_test(test_not_for_us),
		cmocka_unit_test(test_own_key),
		cmocka_unit_test(test_next_replaced),
		cmocka_unit_test(test_stuck_worker),
	};

	eal_start("test_hs_responder");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
