/* SPDX-License-Identifier: BSD-3-Clause */
/* We as initiator: first handshake, retransmission, rekeys, keepalives, pace. */
#include "fixture.h"

static struct fx *
begin(struct far *f, bool initiate)
{
	struct fx *fx = fx_begin(1);

	far_init(fx, f, 10, "198.51.100.7:4000");
	far_add(fx, f, far_add_cmd(fx, f, true, initiate));
	return fx;
}

static void
end(struct fx *fx, struct far *f)
{
	far_gone(fx, f);
	fx_free(fx);
}

static void
want(struct fx *fx, struct far *f)
{
	fx_raise(fx, f, SL_PEER_EV_WANT_HS, true);
	fx_settle(fx);
}

/** Let time pass until a message lies in the ring. @return how long it took */
static uint64_t
wait_out(struct fx *fx, struct fx_out *out, uint64_t max_ns)
{
	uint64_t begin_ns = fx->now_ns;

	*out = fx_take(fx, 0);
	while (!out->any && fx->now_ns < begin_ns + max_ns) {
		fx_advance(fx, MS);
		*out = fx_take(fx, 0);
	}
	return fx->now_ns - begin_ns;
}

static void
test_handshake(void **state)
{
	struct sl_msg_response resp;
	struct sl_keypair *kp;
	struct fx_out out;
	struct far f;
	struct fx *fx = begin(&f, true);
	unsigned from;

	out = fx_take(fx, 0);
	assert_true(out.any);
	assert_int_equal(out.len, SL_WIRE_INITIATION_LEN);
	assert_true(sl_ip_equal(&out.outer.dst, &f.ep.ip));
	assert_int_equal(out.outer.dport, 4000);
	assert_int_equal(out.outer.sport, FX_PORT);
	assert_true(sl_ct_is_zero(out.outer.src.b, 16)); /* chosen by route */
	assert_int_equal(far_state(&f), SL_HS_IN_PROGRESS);
	assert_int_equal(fx_slots(fx).pending, 1);
	assert_int_equal(sl_cookie_check(&f.checker, out.msg, out.len, &f.ep, fx->now_ns,
					 &fx->far_rng),
			 SL_MAC1_OK);

	fx_advance(fx, 40 * MS);
	assert_int_equal(far_answer(fx, &f, &out.init, &resp), 0);
	from = fx->n_log;
	far_send(fx, &f, 0, 0, &resp, sizeof(resp));
	fx_settle(fx);
	far_check_keys(fx, &f);
	kp = far_kp(fx, &f);
	assert_ptr_equal(atomic_load(&f.peer->current), kp);
	assert_int_equal(atomic_load(&kp->confirmed), 1);
	assert_int_equal(fx->n_log, from + 2);
	assert_int_equal(fx->log[from].msg.type, SL_WK_PATH); /* before what is parked goes out */
	assert_int_equal(fx->log[from + 1].msg.type, SL_WK_INSTALL);
	assert_int_equal(far_state(&f), SL_HS_ESTABLISHED);
	assert_int_equal(fx_notes(fx, SL_NOTE_SESSION), 1);
	assert_int_equal(fx->notes[0].initiator, 1);
	assert_int_equal(atomic_load(&f.peer->handshakes), 1);
	assert_int_equal(atomic_load(&f.peer->hs_tx_bytes), 148);
	assert_int_equal(atomic_load(&f.peer->hs_rx_bytes), 92);
	assert_int_equal(fx_slots(fx).pending, 0);
	fx_advance(fx, 60 * S); /* nothing more to say */
	fx_none(fx);
	end(fx, &f);
}

static void
test_no_endpoint(void **state)
{
	struct fx *fx = fx_begin(1);
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, true));
	want(fx, &f);
	fx_advance(fx, 30 * S);
	fx_none(fx);
	assert_int_equal(fx_slots(fx).pending, 0);
	assert_int_not_equal(far_state(&f), SL_HS_IN_PROGRESS);
	end(fx, &f);
}

/** Paper 6.4: every 5 s + 0..333 ms, a new message each time, for 90 s. */
static void
test_retransmission(void **state)
{
	uint8_t ts[SL_TAI64N_LEN], last_ts[SL_TAI64N_LEN] = {0};
	struct sl_msg_response resp;
	uint64_t gap, total = 0, spread_min = UINT64_MAX, spread_max = 0;
	uint32_t index[32];
	struct fx_out out, first;
	unsigned n = 1, i;
	struct far f;
	struct fx *fx = begin(&f, true);

	first = fx_take(fx, 0);
	assert_true(first.any);
	index[0] = sl_load_le32(first.init.sender);
	for (;;) {
		gap = wait_out(fx, &out, 7 * S);
		if (!out.any)
			break;
		total += gap;
		assert_in_range(gap, 5 * S, 5 * S + 335 * MS);
		spread_min = SL_MIN(spread_min, gap);
		spread_max = SL_MAX(spread_max, gap);
		index[n] = sl_load_le32(out.init.sender);
		for (i = 0; i < n; i++)
			assert_int_not_equal(index[i], index[n]);
		n++;
		assert_int_equal(far_answer(fx, &f, &out.init, &resp), 0);
		memcpy(ts, f.noise.last_ts, sizeof(ts));
		assert_true(sl_tai64n_cmp(ts, last_ts) > 0);
		memcpy(last_ts, ts, sizeof(ts));
		assert_int_equal(fx_slots(fx).pending, 1); /* one slot, whatever the generation */
	}
	assert_in_range(n, 17, 18);
	assert_in_range(total, 80 * S, 90 * S);
	assert_true(spread_max > spread_min + 50 * MS); /* there is jitter */
	assert_int_equal(fx_notes(fx, SL_NOTE_GAVE_UP), 1);
	assert_int_equal(fx_count(fx, 0, SL_WK_DROP_PARKED, 0), 1);
	assert_int_equal(fx_slots(fx).pending, 0);
	assert_int_equal(far_state(&f), SL_HS_ERROR);
	/* the answer to what was given up is no good any more */
	far_send(fx, &f, 0, 0, &resp, sizeof(resp));
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_NO_STATE), 1);
	/* new traffic starts anew */
	want(fx, &f);
	far_session_back(fx, &f, 0);
	end(fx, &f);
}

/** Traffic in the middle of an attempt gives it its 90 s anew (6.4), but no second initiation. */
static void
test_traffic_prolongs(void **state)
{
	struct fx_out out;
	struct far f;
	struct fx *fx = begin(&f, true);
	unsigned n;

	fx_take(fx, 0);
	for (n = 0; n < 40; n++) {
		want(fx, &f);
		want(fx, &f);
		assert_in_range(wait_out(fx, &out, 7 * S), 5 * S, 5 * S + 335 * MS);
		assert_true(out.any);
		assert_false(fx_take(fx, 0).any);
	}
	assert_int_equal(fx_notes(fx, SL_NOTE_GAVE_UP), 0);
	end(fx, &f);
}

static void
test_bad_responses(void **state)
{
	struct sl_msg_response resp, bad;
	struct sl_cookie_maker maker;
	struct fx_out old, out;
	struct far f;
	struct fx *fx = begin(&f, true);
	unsigned i;

	old = fx_take(fx, 0);
	wait_out(fx, &out, 6 * S);
	assert_true(out.any);
	/* to the first initiation, whose index is gone */
	assert_int_equal(far_answer(fx, &f, &old.init, &resp), 0);
	far_send(fx, &f, 0, 0, &resp, sizeof(resp));
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_NO_STATE), 1);

	assert_int_equal(far_answer(fx, &f, &out.init, &resp), 0);
	sl_cookie_maker_init(&maker, &fx->gw.pk);
	for (i = 12; i < 60; i++) { /* ephemeral and tag */
		bad = resp;
		((uint8_t *)&bad)[i] ^= 1U << i % 8;
		sl_cookie_mac(&maker, &bad, sizeof(bad), fx->now_ns);
		far_send(fx, &f, 0, 0, &bad, sizeof(bad));
		fx_settle(fx);
	}
	assert_int_equal(fx_drops(fx, SL_DROP_HS_INVALID), 48);
	bad = resp;
	bad.mac1[3] ^= 1;
	far_send(fx, &f, 0, 0, &bad, sizeof(bad));
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_MAC1), 1);
	assert_int_equal(fx_slots(fx).live, 0);
	/* the right one still works, once */
	far_send(fx, &f, 0, 0, &resp, sizeof(resp));
	fx_settle(fx);
	far_check_keys(fx, &f);
	far_send(fx, &f, 0, 0, &resp, sizeof(resp));
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_NO_STATE), 2);
	assert_int_equal(fx_slots(fx).live, 1);
	end(fx, &f);
}

/** A response on another interface's port is not taken. */
static void
test_wrong_interface(void **state)
{
	struct sl_msg_response resp;
	struct sl_cookie_maker maker;
	struct sl_noise_local other;
	struct fx_out out;
	struct far f;
	struct fx *fx = begin(&f, true);

	other = fx->gw; /* interface 2 with the same key, so that mac1 is right */
	fx_iface(fx, 2, 1);
	out = fx_take(fx, 0);
	assert_int_equal(far_answer(fx, &f, &out.init, &resp), 0);
	sl_cookie_maker_init(&maker, &other.pk);
	f.peer->iface_id = 2;
	far_send(fx, &f, 0, 0, &resp, sizeof(resp));
	f.peer->iface_id = FX_IFACE;
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_WRONG_INTERFACE), 1);
	assert_int_equal(fx_slots(fx).live, 0);
	end(fx, &f);
}

/** Rekey: the old keypair receives until the next rekey or 180 s. */
static void
test_rekey(void **state)
{
	uint32_t index[4];
	struct far f;
	struct fx *fx = begin(&f, true);
	unsigned i;

	far_session_back(fx, &f, 0);
	index[0] = f.keys.remote_index;
	for (i = 1; i < 4; i++) {
		fx_advance(fx, 120 * S);
		want(fx, &f);
		far_session_back(fx, &f, 0);
		index[i] = f.keys.remote_index;
		assert_non_null(sl_session_lookup(fx->dp.sessions, index[i - 1]));
		if (i > 1)
			assert_null(sl_session_lookup(fx->dp.sessions, index[i - 2]));
		assert_int_equal(fx_slots(fx).live, 2);
		assert_int_equal(fx_slots(fx).retired, 0);
	}
	fx_advance(fx, 60 * S + MS);
	assert_null(sl_session_lookup(fx->dp.sessions, index[2])); /* 180 s */
	assert_non_null(sl_session_lookup(fx->dp.sessions, index[3]));
	fx_advance(fx, 120 * S + MS);
	assert_null(sl_session_lookup(fx->dp.sessions, index[3]));
	assert_null(atomic_load(&f.peer->current));
	assert_int_equal(far_state(&f), SL_HS_EXPIRED);
	assert_int_equal(atomic_load(&f.peer->handshakes), 4);
	end(fx, &f);
}

/** Rekeys in quick succession: previous is replaced before its time. */
static void
test_previous_replaced(void **state)
{
	uint32_t index[8];
	struct far f;
	struct fx *fx = begin(&f, true);
	unsigned i;

	far_session_back(fx, &f, 0);
	index[0] = f.keys.remote_index;
	for (i = 1; i < 8; i++) {
		fx_advance(fx, 6 * S);
		want(fx, &f);
		far_session_back(fx, &f, 0);
		index[i] = f.keys.remote_index;
		assert_non_null(sl_session_lookup(fx->dp.sessions, index[i - 1]));
		if (i > 1)
			assert_null(sl_session_lookup(fx->dp.sessions, index[i - 2]));
		assert_int_equal(fx_slots(fx).live, 2);
		assert_int_equal(fx_slots(fx).retired, 0);
	}
	end(fx, &f);
}

/** The peer rekeys in the role of initiator while our keypair is current. */
static void
test_roles_alternate(void **state)
{
	struct far f;
	struct fx *fx = begin(&f, true);
	uint32_t old;

	far_session_back(fx, &f, 0);
	old = f.keys.remote_index;
	fx_advance(fx, 100 * S);
	far_initiate(fx, &f, 0);
	assert_true(far_take_response(fx, &f, 0));
	/* until it is confirmed we send with the old one */
	assert_int_equal(atomic_load(&f.peer->current)->local_index, old);
	fx_confirm(fx, &f);
	assert_non_null(sl_session_lookup(fx->dp.sessions, old));
	assert_int_equal(fx_slots(fx).live, 2);
	fx_advance(fx, 80 * S + MS);
	assert_null(sl_session_lookup(fx->dp.sessions, old));
	end(fx, &f);
}

/** Both sides initiate at once: whoever comes first as responder drops its own. */
static void
test_crossing(void **state)
{
	struct sl_msg_initiation theirs;
	struct sl_msg_response resp;
	struct fx_out out;
	struct far f;
	struct fx *fx = begin(&f, true);

	out = fx_take(fx, 0);
	far_initiation(fx, &f, &theirs);
	far_send(fx, &f, 0, 2, &theirs, sizeof(theirs));
	fx_settle(fx);
	assert_true(far_take_response(fx, &f, 0));
	assert_int_equal(fx_slots(fx).pending, 0);
	fx_confirm(fx, &f);
	far_check_keys(fx, &f);
	assert_int_equal(far_answer(fx, &f, &out.init, &resp), 0);
	far_send(fx, &f, 0, 0, &resp, sizeof(resp));
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_NO_STATE), 1);
	fx_advance(fx, 20 * S); /* the session ended our attempt */
	fx_none(fx);
	end(fx, &f);
}

/** With a jitter, a session in use is rekeyed 0 to 10 s early, an idle one not at all. */
static void
test_rekey_jitter(void **state)
{
	struct fx_opts o = {.workers = 1, .jitter_ms = 10000};
	struct fx *fx = fx_new(&o);
	uint64_t min = UINT64_MAX, max = 0, t;
	struct fx_out out;
	struct far f;
	unsigned i;

	fx_iface(fx, FX_IFACE, 1);
	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, true, true));
	far_session_back(fx, &f, 0);
	for (i = 0; i < 12; i++) {
		fx_advance(fx, 105 * S);
		atomic_store(&f.peer->tick_data_tx, sl_tick_of(fx->now_ns));
		t = 0;
		do {
			fx_advance(fx, 100 * MS);
			atomic_store(&f.peer->tick_data_tx, sl_tick_of(fx->now_ns));
			t += 100 * MS;
		} while (rte_ring_count(fx->worker[0]->inject[0]) == 0 && t < 20 * S);
		assert_in_range(t, 5 * S, 15 * S + 100 * MS);
		min = SL_MIN(min, t);
		max = SL_MAX(max, t);
		far_session_back(fx, &f, 0);
	}
	assert_true(max > min + 2 * S);
	fx_advance(fx, 150 * S); /* idle for all of it */
	out = fx_take(fx, 0);
	assert_false(out.any);
	end(fx, &f);
}

static void
test_keepalives(void **state)
{
	struct sl_hs_cmd *cmd;
	struct far f;
	struct fx *fx = begin(&f, true);
	uint64_t at;
	unsigned from;

	far_session_back(fx, &f, 0);
	fx_advance(fx, 20 * S);
	assert_int_equal(fx_count(fx, 0, SL_WK_KEEPALIVE, 0), 0);
	/* passive: 10 s after data that nothing answered */
	at = fx->now_ns;
	atomic_store(&f.peer->tick_data_rx, sl_tick_of(at));
	atomic_store(&f.peer->tick_any_rx, sl_tick_of(at));
	atomic_store(&f.peer->unanswered_rx, sl_tick_of(at));
	fx_raise(fx, &f, SL_PEER_EV_TIMER, true);
	fx_advance(fx, 9900 * MS);
	assert_int_equal(fx_count(fx, 0, SL_WK_KEEPALIVE, 0), 0);
	fx_advance(fx, 300 * MS);
	assert_int_equal(fx_count(fx, 0, SL_WK_KEEPALIVE, 0), 1);
	fx_advance(fx, 30 * S);
	assert_int_equal(fx_count(fx, 0, SL_WK_KEEPALIVE, 0), 1);
	/* persistent */
	from = fx->n_log;
	cmd = fx_cmd(fx, SL_HS_PEER_SET);
	cmd->peer = f.peer;
	cmd->fields = SL_HS_F_KEEPALIVE;
	cmd->keepalive_s = 5;
	fx_send(fx, cmd);
	fx_advance(fx, 26 * S);
	assert_in_range(fx_count(fx, 0, SL_WK_KEEPALIVE, from), 5, 6);
	fx_none(fx);
	end(fx, &f);
}

/** A persistent keepalive without a session starts one, and again when the session is too old. */
static void
test_persistent_starts(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_hs_cmd *cmd;
	struct fx_out out;
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	cmd = far_add_cmd(fx, &f, true, false);
	cmd->fields |= SL_HS_F_KEEPALIVE;
	cmd->keepalive_s = 25;
	far_add(fx, &f, cmd);
	far_session_back(fx, &f, 0);
	wait_out(fx, &out, 210 * S); /* nobody answers: the keypair ends at 180 s */
	assert_true(out.any);
	assert_int_equal(out.len, SL_WIRE_INITIATION_LEN);
	assert_true(fx_count(fx, 0, SL_WK_KEEPALIVE, 0) >= 6);
	end(fx, &f);
}

/** Data that brings nothing back for 15 s starts a handshake (6.5). */
static void
test_unanswered_data(void **state)
{
	struct fx_out out;
	struct far f;
	struct fx *fx = begin(&f, true);

	far_session_back(fx, &f, 0);
	fx_advance(fx, 20 * S);
	atomic_store(&f.peer->tick_data_tx, sl_tick_of(fx->now_ns));
	atomic_store(&f.peer->tick_any_tx, sl_tick_of(fx->now_ns));
	atomic_store(&f.peer->unacked_tx, sl_tick_of(fx->now_ns));
	fx_raise(fx, &f, SL_PEER_EV_TIMER, true);
	assert_in_range(wait_out(fx, &out, 20 * S), 15 * S, 15 * S + 450 * MS);
	assert_true(out.any);
	end(fx, &f);
}

static void
test_roaming(void **state)
{
	struct sl_msg_response resp;
	struct sl_peer_path path;
	struct sl_hs_cmd *cmd;
	struct fx_out out;
	struct far f;
	struct fx *fx = begin(&f, true);

	out = fx_take(fx, 0);
	assert_int_equal(far_answer(fx, &f, &out.init, &resp), 0);
	assert_int_equal(sl_endpoint_parse("192.0.2.99:777", &f.ep), 0);
	far_send(fx, &f, 0, 0, &resp, sizeof(resp));
	fx_settle(fx);
	sl_peer_path_read(f.peer, &path);
	assert_true(sl_ip_equal(&path.outer.dst, &f.ep.ip));
	assert_int_equal(path.outer.dport, 777);
	/* the home followed a data packet: our next message goes there */
	assert_int_equal(sl_endpoint_parse("192.0.2.100:778", &f.ep), 0);
	path.outer.dst = f.ep.ip;
	path.outer.dport = 778;
	sl_peer_path_write(f.peer, &path);
	fx_advance(fx, 120 * S);
	want(fx, &f);
	out = fx_take(fx, 0);
	assert_true(sl_ip_equal(&out.outer.dst, &f.ep.ip));
	assert_int_equal(out.outer.dport, 778);
	assert_true(sl_ip_equal(&out.outer.src, &path.outer.src)); /* from where it reached us */
	/* the operator moves it by hand */
	cmd = fx_cmd(fx, SL_HS_PEER_SET);
	cmd->peer = f.peer;
	cmd->fields = SL_HS_F_ENDPOINT;
	assert_int_equal(sl_ip_parse("2001:db8:9::1", &cmd->outer.dst), 0);
	cmd->outer.dport = 779;
	fx_send(fx, cmd);
	wait_out(fx, &out, 6 * S);
	assert_int_equal(out.outer.dst.family, 6);
	assert_int_equal(out.outer.dport, 779);
	end(fx, &f);
}

/** Low-order public keys: no packet, ever. */
static void
test_low_order(void **state)
{
	static const uint8_t low[4][32] = {
		{0},
		{1},
		{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
		 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
		 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
		{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	};
	struct fx *fx = fx_begin(1);
	struct sl_hs_cmd *cmd;
	struct far f[4];
	unsigned i;

	for (i = 0; i < 4; i++) {
		far_init(fx, &f[i], 10 + i, "198.51.100.7:4000");
		memcpy(f[i].local.pk.b, low[i], 32);
		cmd = far_add_cmd(fx, &f[i], true, true);
		cmd->fields |= SL_HS_F_KEEPALIVE;
		cmd->keepalive_s = 1;
		far_add(fx, &f[i], cmd);
		want(fx, &f[i]);
	}
	fx_advance(fx, 30 * S);
	fx_none(fx);
	for (i = 0; i < 4; i++) {
		assert_int_equal(far_state(&f[i]), SL_HS_ERROR);
		far_gone(fx, &f[i]);
	}
	assert_int_equal(fx_slots(fx).pending, 0);
	fx_free(fx);
}

static void
test_kick_and_initiate(void **state)
{
	struct sl_hs_cmd *cmd;
	struct far f, g;
	struct fx *fx = begin(&f, true);

	far_init(fx, &g, 11, "198.51.100.8:4000");
	far_add(fx, &g, far_add_cmd(fx, &g, true, false));
	far_session_back(fx, &f, 0);
	far_session(fx, &g, 0);
	cmd = fx_cmd(fx, SL_HS_PEER_KICK);
	cmd->peer = f.peer;
	fx_send(fx, cmd);
	fx_settle(fx);
	assert_null(far_kp(fx, &f));
	assert_null(atomic_load(&f.peer->current));
	assert_int_equal(far_state(&f), SL_HS_EXPIRED);
	assert_int_equal(far_state(&g), SL_HS_ESTABLISHED); /* nobody else is disturbed */
	far_check_keys(fx, &g);
	fx_none(fx);
	want(fx, &f); /* at once, though the last initiation was a moment ago */
	far_session_back(fx, &f, 0);
	cmd = fx_cmd(fx, SL_HS_PEER_INITIATE);
	cmd->peer = f.peer;
	fx_send(fx, cmd);
	fx_settle(fx);
	fx_none(fx); /* 5 s between two initiations */
	fx_advance(fx, 5 * S + 2 * MS);
	far_session_back(fx, &f, 0);
	assert_int_equal(fx_slots(fx).live, 3);
	far_gone(fx, &g);
	end(fx, &f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handshake),
		cmocka_unit_test(test_no_endpoint),
		cmocka_unit_test(test_retransmission),
		cmocka_unit_test(test_traffic_prolongs),
		cmocka_unit_test(test_bad_responses),
		cmocka_unit_test(test_wrong_interface),
		cmocka_unit_test(test_rekey),
		cmocka_unit_test(test_previous_replaced),
		cmocka_unit_test(test_roles_alternate),
		cmocka_unit_test(test_crossing),
		cmocka_unit_test(test_rekey_jitter),
		cmocka_unit_test(test_keepalives),
		cmocka_unit_test(test_persistent_starts),
		cmocka_unit_test(test_unanswered_data),
		cmocka_unit_test(test_roaming),
		cmocka_unit_test(test_low_order),
		cmocka_unit_test(test_kick_and_initiate),
	};

	eal_start("test_hs_initiator");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
