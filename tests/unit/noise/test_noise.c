/* SPDX-License-Identifier: BSD-3-Clause */
/* The WireGuard handshake: byte for byte against an independent transcript, then its rules. */
#include "pair.h"

static void
test_transcript(void **state)
{
	struct sl_noise_keys ki, kr;
	struct pair x;

	pair_init(&x, NULL, NULL);
	assert_memory_equal(x.li.pk.b, t_static_i_pub, 32);
	assert_memory_equal(x.lr.pk.b, t_static_r_pub, 32);
	assert_int_equal(initiate(&x), 0);
	assert_int_equal(x.pi.hs.state, SL_NOISE_SENT_INITIATION);
	assert_memory_equal(&x.m1, t_initiation, sizeof(x.m1));
	assert_int_equal(receive_initiation(&x, &x.m1), 0);
	assert_int_equal(x.pr.hs.state, SL_NOISE_CONSUMED_INITIATION);
	assert_memory_equal(x.pr.last_ts, t_timestamp, SL_TAI64N_LEN);
	assert_int_equal(respond(&x), 0);
	assert_memory_equal(&x.m2, t_response, sizeof(x.m2));
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), 0);

	assert_int_equal(sl_noise_begin(&x.pi, &ki), 0);
	assert_int_equal(sl_noise_begin(&x.pr, &kr), 0);
	assert_memory_equal(ki.send.b, t_key_i_to_r, 32);
	assert_memory_equal(ki.recv.b, t_key_r_to_i, 32);
	assert_memory_equal(kr.recv.b, t_key_i_to_r, 32);
	assert_memory_equal(kr.send.b, t_key_r_to_i, 32);
	assert_true(ki.initiator && !kr.initiator);
	assert_int_equal(ki.local_index, T_INDEX_I);
	assert_int_equal(ki.remote_index, T_INDEX_R);
	assert_int_equal(kr.local_index, T_INDEX_R);
	assert_int_equal(kr.remote_index, T_INDEX_I);
}

static void
test_transcript_without_psk(void **state)
{
	static const uint8_t none[32];
	struct sl_noise_keys k;
	struct pair x;

	pair_init(&x, none, none);
	sl_noise_peer_init(&x.pi, &x.lr.pk, NULL); /* NULL means the same as zero */
	assert_int_equal(initiate(&x), 0);
	assert_memory_equal(&x.m1, t_initiation, sizeof(x.m1));
	assert_int_equal(receive_initiation(&x, &x.m1), 0);
	assert_int_equal(respond(&x), 0);
	assert_memory_equal(&x.m2, t_nopsk_response, sizeof(x.m2));
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), 0);
	assert_int_equal(sl_noise_begin(&x.pi, &k), 0);
	assert_memory_equal(k.send.b, t_nopsk_key_i_to_r, 32);
	assert_memory_equal(k.recv.b, t_nopsk_key_r_to_i, 32);
}

/* Keys are given once, and nothing of the handshake stays. */
static void
test_begin_wipes(void **state)
{
	struct sl_noise_keys k;
	struct pair x;

	pair_init(&x, NULL, NULL);
	assert_int_equal(sl_noise_begin(&x.pi, &k), -EINVAL);
	assert_int_equal(initiate(&x), 0);
	assert_int_equal(sl_noise_begin(&x.pi, &k), -EINVAL);
	assert_int_equal(receive_initiation(&x, &x.m1), 0);
	assert_int_equal(sl_noise_begin(&x.pr, &k), -EINVAL);
	assert_int_equal(respond(&x), 0);
	assert_int_equal(sl_noise_begin(&x.pr, &k), 0);
	assert_true(sl_ct_is_zero(&x.pr.hs, sizeof(x.pr.hs)));
	assert_int_equal(sl_noise_begin(&x.pr, &k), -EINVAL);
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), 0);
	assert_true(sl_ct_is_zero(&x.pi.hs.eph_sk, sizeof(x.pi.hs.eph_sk)));
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), -EINVAL);
	assert_int_equal(sl_noise_begin(&x.pi, &k), 0);
	assert_true(sl_ct_is_zero(&x.pi.hs, sizeof(x.pi.hs)));
}

static void
test_timestamps_sent_only_grow(void **state)
{
	static const uint8_t nearly[SL_TAI64N_LEN] = {0x40, 0, 0,    0,	   0,	 0,
						      0,    9, 0x3b, 0x9a, 0xc9, 0xff};
	static const uint8_t carried[SL_TAI64N_LEN] = {0x40, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0};
	struct sl_secret e = secret_of(t_eph_i);
	uint8_t earlier[SL_TAI64N_LEN];
	struct pair x;
	unsigned i;

	pair_init(&x, NULL, NULL);
	memcpy(earlier, t_timestamp, sizeof(earlier));
	for (i = 0; i < 3; i++) {
		assert_int_equal(sl_noise_create_initiation(&x.li, &x.pi, i, &e, earlier, &x.m1),
				 0);
		assert_int_equal(receive_initiation(&x, &x.m1), 0);
		assert_memory_equal(x.pr.last_ts, x.pi.last_sent_ts, SL_TAI64N_LEN);
		earlier[7]--; /* the wall clock steps back */
	}
	assert_int_equal(sl_load_be32(x.pi.last_sent_ts + 8), sl_load_be32(t_timestamp + 8) + 2);

	pair_init(&x, NULL, NULL);
	memcpy(x.pi.last_sent_ts, nearly, sizeof(nearly));
	assert_int_equal(sl_noise_create_initiation(&x.li, &x.pi, 1, &e, nearly, &x.m1), 0);
	assert_memory_equal(x.pi.last_sent_ts, carried, sizeof(carried));
}

static void
test_timestamp_replay(void **state)
{
	struct sl_secret e = secret_of(t_eph_i);
	struct sl_noise_hs before;
	uint8_t ts[SL_TAI64N_LEN];
	struct pair x;

	pair_init(&x, NULL, NULL);
	assert_int_equal(initiate(&x), 0);
	assert_int_equal(receive_initiation(&x, &x.m1), 0);
	before = x.pr.hs;
	assert_int_equal(receive_initiation(&x, &x.m1), -EALREADY);
	memcpy(ts, t_timestamp, sizeof(ts));
	ts[7]--;
	memset(x.pi.last_sent_ts, 0, SL_TAI64N_LEN);
	assert_int_equal(sl_noise_create_initiation(&x.li, &x.pi, 7, &e, ts, &x.m1), 0);
	assert_int_equal(receive_initiation(&x, &x.m1), -EALREADY);
	assert_memory_equal(&before, &x.pr.hs, sizeof(before));
	assert_memory_equal(x.pr.last_ts, t_timestamp, SL_TAI64N_LEN);
	ts[7]++;
	ts[11]++;
	assert_int_equal(sl_noise_create_initiation(&x.li, &x.pi, 7, &e, ts, &x.m1), 0);
	assert_int_equal(receive_initiation(&x, &x.m1), 0);
	assert_int_equal(x.pr.hs.remote_index, 7);
}

/* Both sides initiate at once: an accepted initiation replaces our own. */
static void
test_crossing_initiations(void **state)
{
	struct sl_secret e = secret_of(t_eph_r);
	struct sl_msg_initiation m;
	struct sl_noise_rx rx;
	struct pair x;

	pair_init(&x, NULL, NULL);
	assert_int_equal(initiate(&x), 0);
	assert_int_equal(sl_noise_create_initiation(&x.lr, &x.pr, 99, &e, t_timestamp, &m), 0);
	assert_int_equal(receive_initiation(&x, &x.m1), 0);
	assert_int_equal(x.pr.hs.state, SL_NOISE_CONSUMED_INITIATION);
	assert_false(x.pr.hs.initiator);
	assert_true(sl_ct_is_zero(&x.pr.hs.eph_sk, 32));
	assert_int_equal(respond(&x), 0);
	assert_int_equal(sl_noise_consume_initiation(&x.li, &m, &rx), 0);
	assert_int_equal(rx.remote_index, 99);
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), 0);
}

static void
test_local_key(void **state)
{
	static const uint8_t zero[32];
	struct sl_secret k, e = secret_of(t_eph_i);
	struct sl_noise_local l = {0};
	struct sl_noise_rx rx;
	struct pair x;

	pair_init(&x, NULL, NULL);
	memset(k.b, 0xff, sizeof(k.b));
	sl_noise_local_set(&l, &k);
	assert_int_equal(l.sk.b[0], 0xf8);
	assert_int_equal(l.sk.b[31], 0x7f);
	k = secret_of(zero);
	sl_noise_local_set(&l, &k);
	assert_false(l.has_key);
	assert_true(sl_ct_is_zero(&l.sk, sizeof(l.sk)));
	assert_int_equal(initiate(&x), 0);
	assert_int_equal(sl_noise_consume_initiation(&l, &x.m1, &rx), -ENOKEY);
	assert_int_equal(sl_noise_create_initiation(&l, &x.pi, 1, &e, t_timestamp, &x.m1), -ENOKEY);
	sl_noise_local_set(&x.li, NULL);
	assert_true(sl_ct_is_zero(&x.li, sizeof(x.li)));
	assert_int_equal(initiate(&x), -ENOKEY);
}

static void
test_peer_clear(void **state)
{
	struct pair x;

	pair_init(&x, NULL, NULL);
	assert_int_equal(initiate(&x), 0);
	assert_true(x.pi.ss_ready);
	sl_noise_peer_rekey_local(&x.pi);
	assert_false(x.pi.ss_ready);
	assert_true(sl_ct_is_zero(&x.pi.ss, 32));
	assert_true(sl_ct_is_zero(&x.pi.hs, sizeof(x.pi.hs)));
	assert_memory_equal(x.pi.psk.b, t_psk, 32);
	assert_int_equal(initiate(&x), 0);
	sl_noise_peer_clear(&x.pi);
	assert_true(sl_ct_is_zero(&x.pi.psk, 32));
	assert_true(sl_ct_is_zero(&x.pi.ss, 32));
	assert_true(sl_ct_is_zero(&x.pi.hs, sizeof(x.pi.hs)));
}

static const struct CMUnitTest rule_tests[] = {
	cmocka_unit_test(test_transcript),	 cmocka_unit_test(test_transcript_without_psk),
	cmocka_unit_test(test_begin_wipes),	 cmocka_unit_test(test_timestamps_sent_only_grow),
	cmocka_unit_test(test_timestamp_replay), cmocka_unit_test(test_crossing_initiations),
	cmocka_unit_test(test_local_key),	 cmocka_unit_test(test_peer_clear),
};

int
main(void)
{
	if (sl_crypto_init())
		return 1;
	return _cmocka_run_group_tests("rules", rule_tests, SL_ARRAY_SIZE(rule_tests), NULL, NULL) +
	       _cmocka_run_group_tests("edges", edge_tests, n_edge_tests, NULL, NULL);
}
