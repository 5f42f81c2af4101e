/* SPDX-License-Identifier: BSD-3-Clause */
/* What an attacker or a misconfigured peer may send: refused, and the state stays as it was. */
#include "pair.h"

/* Points of small order on Curve25519 and its twist, canonical and not. */
static const uint8_t low_order[][32] = {
	{0},
	{1},
	{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
	 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
	 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
	 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
	 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	{0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	{0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

/*
 * Every bit of an initiation: what Noise authenticates is refused without a trace. The sender index
 * and the two macs are covered by mac1, which is not this module's.
 */
static void
test_flip_initiation(void **state)
{
	struct sl_noise_peer before;
	struct pair x;
	unsigned bit;

	pair_init(&x, NULL, NULL);
	assert_int_equal(initiate(&x), 0);
	x.pr.ss_ready = sl_x25519(x.pr.ss.b, &x.lr.sk, &x.pr.remote) == 0;
	before = x.pr;
	for (bit = 0; bit < sizeof(x.m1) * 8; bit++) {
		unsigned at = bit / 8;
		struct sl_msg_initiation m = x.m1;
		int err;

		((uint8_t *)&m)[at] ^= (uint8_t)(1 << (bit % 8));
		if (at >= offsetof(struct sl_msg_initiation, ephemeral) && bit % 8 != at % 8)
			continue; /* one bit of each byte of the long fields */
		err = receive_initiation(&x, &m);
		if ((at >= 4 && at < 8) || at >= offsetof(struct sl_msg_initiation, mac1)) {
			assert_int_equal(err, 0);
			x.pr = before;
			continue;
		}
		assert_int_equal(err, -EBADMSG);
		assert_memory_equal(&before, &x.pr, sizeof(before));
	}
	assert_int_equal(receive_initiation(&x, &x.m1), 0);
}

static void
test_flip_response(void **state)
{
	struct sl_noise_peer before;
	struct pair x;
	unsigned bit;

	pair_init(&x, NULL, NULL);
	assert_int_equal(initiate(&x), 0);
	assert_int_equal(receive_initiation(&x, &x.m1), 0);
	assert_int_equal(respond(&x), 0);
	before = x.pi;
	for (bit = 0; bit < sizeof(x.m2) * 8; bit++) {
		unsigned at = bit / 8;
		struct sl_msg_response m = x.m2;
		int err;

		((uint8_t *)&m)[at] ^= (uint8_t)(1 << (bit % 8));
		err = sl_noise_consume_response(&x.li, &x.pi, &m);
		if ((at >= 4 && at < 8) || at >= offsetof(struct sl_msg_response, mac1)) {
			assert_int_equal(err, 0);
			x.pi = before;
			continue;
		}
		assert_int_equal(err, at >= 8 && at < 12 ? -EINVAL : -EBADMSG);
		assert_memory_equal(&before, &x.pi, sizeof(before));
	}
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), 0);
}

static void
test_wrong_psk(void **state)
{
	struct sl_noise_hs before;
	struct pair x;

	pair_init(&x, t_psk, t_eph_i);
	assert_int_equal(initiate(&x), 0);
	assert_int_equal(receive_initiation(&x, &x.m1), 0); /* the PSK comes in with message 2 */
	assert_int_equal(respond(&x), 0);
	before = x.pi.hs;
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), -EBADMSG);
	assert_memory_equal(&before, &x.pi.hs, sizeof(before));
	x.pi.psk = x.pr.psk;
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), 0);
}

static void
test_wrong_static(void **state)
{
	struct sl_secret k = secret_of(t_eph_r);
	struct sl_noise_local other = {0};
	struct sl_noise_peer before;
	struct sl_noise_rx rx;
	struct pair x;

	/* sent to another responder key */
	pair_init(&x, NULL, NULL);
	sl_noise_local_set(&other, &k);
	assert_int_equal(initiate(&x), 0);
	assert_int_equal(sl_noise_consume_initiation(&other, &x.m1, &rx), -EBADMSG);
	assert_true(sl_ct_is_zero(&rx, sizeof(rx)));
	/* for a peer of another name */
	assert_int_equal(sl_noise_consume_initiation(&x.lr, &x.m1, &rx), 0);
	before = x.pr;
	before.remote = other.pk;
	assert_int_equal(sl_noise_accept_initiation(&x.lr, &before, &x.m1, &rx), -EBADMSG);
	assert_int_equal(before.hs.state, SL_NOISE_ZERO);
	/* claims x.li's public key without its secret: static-static differs */
	x.li.sk = other.sk;
	sl_noise_peer_rekey_local(&x.pi);
	assert_int_equal(initiate(&x), 0);
	assert_int_equal(sl_noise_consume_initiation(&x.lr, &x.m1, &rx), 0);
	assert_memory_equal(rx.remote.b, t_static_i_pub, 32);
	assert_int_equal(sl_noise_accept_initiation(&x.lr, &x.pr, &x.m1, &rx), -EBADMSG);
	assert_int_equal(x.pr.hs.state, SL_NOISE_ZERO);
	assert_true(sl_ct_is_zero(x.pr.last_ts, SL_TAI64N_LEN));
}

/* A response of somebody who does not own the responder's static key. */
static void
test_response_of_impostor(void **state)
{
	struct sl_secret k = secret_of(t_eph_r), e = secret_of(t_static_r);
	struct sl_noise_hs stolen, before;
	struct pair x;

	pair_init(&x, NULL, NULL);
	assert_int_equal(initiate(&x), 0);
	assert_int_equal(receive_initiation(&x, &x.m1), 0);
	stolen = x.pr.hs;
	stolen.ck[0] ^= 1; /* all that an outsider lacks is the chaining key */
	x.pr.hs = stolen;
	assert_int_equal(sl_noise_create_response(&x.lr, &x.pr, 5, &e, &x.m2), 0);
	before = x.pi.hs;
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), -EBADMSG);
	/* our own key changed in between */
	x.pr.hs = stolen;
	x.pr.hs.ck[0] ^= 1;
	assert_int_equal(sl_noise_create_response(&x.lr, &x.pr, 5, &e, &x.m2), 0);
	sl_noise_local_set(&x.li, &k);
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), -EBADMSG);
	assert_memory_equal(&before, &x.pi.hs, sizeof(before));
}

static void
test_wrong_index_and_state(void **state)
{
	struct sl_noise_hs before;
	struct pair x;

	pair_init(&x, NULL, NULL);
	assert_int_equal(respond(&x), -EINVAL);
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), -EINVAL);
	assert_int_equal(initiate(&x), 0);
	before = x.pi.hs;
	assert_int_equal(receive_initiation(&x, &x.m1), 0);
	assert_int_equal(respond(&x), 0);
	assert_int_equal(respond(&x), -EINVAL); /* once only */
	sl_store_le32(x.m2.receiver, T_INDEX_I + 1);
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), -EINVAL);
	assert_memory_equal(&before, &x.pi.hs, sizeof(before));
	sl_store_le32(x.m2.receiver, T_INDEX_I);
	/* a response to a side that only received an initiation */
	x.pr.hs.state = SL_NOISE_CONSUMED_INITIATION;
	x.pr.hs.local_index = T_INDEX_I;
	assert_int_equal(sl_noise_consume_response(&x.lr, &x.pr, &x.m2), -EINVAL);
	assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), 0);
}

static void
test_low_order_static(void **state)
{
	unsigned i;

	for (i = 0; i < SL_ARRAY_SIZE(low_order); i++) {
		struct sl_pubkey bad;
		struct sl_noise_rx rx;
		struct pair x;

		pair_init(&x, NULL, NULL);
		memcpy(bad.b, low_order[i], 32);
		sl_noise_peer_init(&x.pi, &bad, NULL);
		assert_int_equal(initiate(&x), -EKEYREJECTED);
		assert_int_equal(initiate(&x), -EKEYREJECTED); /* and remembered */
		assert_true(x.pi.ss_bad);
		assert_int_equal(x.pi.hs.state, SL_NOISE_ZERO);
		assert_true(sl_ct_is_zero(x.pi.last_sent_ts, SL_TAI64N_LEN));
		/* the same key as the sender of an initiation */
		memset(&rx, 0, sizeof(rx));
		rx.remote = bad;
		sl_noise_peer_init(&x.pr, &bad, NULL);
		assert_int_equal(sl_noise_accept_initiation(&x.lr, &x.pr, &x.m1, &rx),
				 -EKEYREJECTED);
	}
}

static void
test_low_order_ephemeral(void **state)
{
	unsigned i;

	for (i = 0; i < SL_ARRAY_SIZE(low_order); i++) {
		struct sl_noise_hs before;
		struct sl_msg_initiation m;
		struct sl_noise_rx rx;
		struct pair x;

		pair_init(&x, NULL, NULL);
		assert_int_equal(initiate(&x), 0);
		m = x.m1;
		memcpy(m.ephemeral, low_order[i], 32);
		assert_int_equal(sl_noise_consume_initiation(&x.lr, &m, &rx), -EBADMSG);
		assert_int_equal(receive_initiation(&x, &x.m1), 0);
		before = x.pr.hs;
		memcpy(x.pr.hs.remote_eph.b, low_order[i], 32);
		assert_int_equal(respond(&x), -EKEYREJECTED);
		assert_int_equal(x.pr.hs.state, SL_NOISE_CONSUMED_INITIATION);
		x.pr.hs = before;
		assert_int_equal(respond(&x), 0);
		before = x.pi.hs;
		memcpy(x.m2.ephemeral, low_order[i], 32);
		assert_int_equal(sl_noise_consume_response(&x.li, &x.pi, &x.m2), -EKEYREJECTED);
		assert_memory_equal(&before, &x.pi.hs, sizeof(before));
	}
}

const struct CMUnitTest edge_tests[] = {
	cmocka_unit_test(test_flip_initiation),
	cmocka_unit_test(test_flip_response),
	cmocka_unit_test(test_wrong_psk),
	cmocka_unit_test(test_wrong_static),
	cmocka_unit_test(test_response_of_impostor),
	cmocka_unit_test(test_wrong_index_and_state),
	cmocka_unit_test(test_low_order_static),
	cmocka_unit_test(test_low_order_ephemeral),
};
const unsigned n_edge_tests = SL_ARRAY_SIZE(edge_tests);
