/* SPDX-License-Identifier: BSD-3-Clause */
/* Under load: cookies both ways, rate limit, service of the lanes. */
#include "fixture.h"

#include "sl_crypto.h"

#define JUNK_EP "203.0.113.200:9"

/** A message with a right mac1 and nothing else right: what a stranger can make. */
static void
junk(struct fx *fx, struct far *from, unsigned worker, unsigned lane)
{
	struct sl_msg_initiation m;
	struct sl_cookie_maker maker;

	sl_rng_fill(&fx->far_rng, &m, sizeof(m));
	sl_store_le32(m.type, SL_WIRE_INITIATION);
	sl_cookie_maker_init(&maker, &fx->gw.pk);
	sl_cookie_mac(&maker, &m, sizeof(m), fx->now_ns);
	far_send(fx, from, worker, lane, &m, sizeof(m));
}

static void
drain(struct fx *fx, unsigned worker)
{
	struct rte_mbuf *m;

	while (rte_ring_sc_dequeue(fx->worker[worker]->inject[0], (void **)&m) == 0)
		rte_pktmbuf_free(m);
}

/** Bring the gateway under load with a backlog, and let it work that off. */
static void
overload(struct fx *fx)
{
	struct far stranger;
	unsigned i;

	far_init(fx, &stranger, 99, JUNK_EP);
	for (i = 0; i < 1000; i++)
		junk(fx, &stranger, 0, 2);
	fx_settle(fx);
	assert_true(fx_drops(fx, SL_DROP_HS_COOKIE_SENT) > 300);
	drain(fx, 0);
}

static bool
take_cookie(struct fx *fx, struct far *f, unsigned worker)
{
	struct fx_out out = fx_take(fx, worker);

	if (!out.any || out.len != SL_WIRE_COOKIE_LEN)
		return false;
	assert_int_equal(sl_load_le32(out.cookie.receiver), f->index);
	assert_true(sl_ip_equal(&out.outer.dst, &f->ep.ip));
	return sl_cookie_consume(&f->maker, &out.cookie, fx->now_ns) == 0;
}

static void
test_cookie_round_trip(void **state)
{
	struct fx *fx = fx_begin(1);
	uint64_t cookies;
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	overload(fx);
	far_initiate(fx, &f, 0);
	assert_true(take_cookie(fx, &f, 0)); /* no response: a cookie */
	fx_none(fx);
	assert_int_equal(far_state(&f), SL_HS_INIT);
	assert_int_equal(atomic_load(&sl_hs_stats(fx->hs)->cookies_tx),
			 fx_drops(fx, SL_DROP_HS_COOKIE_SENT));

	fx_advance(fx, 100 * MS);
	far_session(fx, &f, 0); /* with mac2, as lane b or c alike */
	/* the cookie is for that address */
	fx_advance(fx, 100 * MS);
	assert_int_equal(sl_endpoint_parse("198.51.100.7:4001", &f.ep), 0);
	cookies = fx_drops(fx, SL_DROP_HS_COOKIE_SENT);
	far_initiate(fx, &f, 0);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_COOKIE_SENT), cookies + 1);
	drain(fx, 0);
	/* a second of calm later nobody asks for it */
	fx_advance(fx, 1100 * MS);
	far_initiate(fx, &f, 0);
	assert_true(far_take_response(fx, &f, 0));
	fx_advance(fx, 2 * S);
	assert_in_range(atomic_load(&sl_hs_stats(fx->hs)->under_load), 1, 3);
	far_gone(fx, &f);
	fx_free(fx);
}

/** The oldest message waited for more than 50 ms: that is load too. */
static void
test_load_by_age(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_msg_initiation m;
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	far_initiation(fx, &f, &m);
	far_send(fx, &f, 0, 2, &m, sizeof(m));
	fx->now_ns += 49 * MS;
	fx_settle(fx);
	assert_true(far_take_response(fx, &f, 0));
	far_initiation(fx, &f, &m);
	far_send(fx, &f, 0, 2, &m, sizeof(m));
	fx->now_ns += 51 * MS;
	fx_settle(fx);
	assert_true(take_cookie(fx, &f, 0));
	far_gone(fx, &f);
	fx_free(fx);
}

/** With a cookie, 20 initiations a second and address, 5 at once. */
static void
test_rate_limit(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_msg_initiation m;
	struct far f[8];
	unsigned i, answered = 0;

	for (i = 0; i < 8; i++) {
		far_init(fx, &f[i], 10 + i, "198.51.100.7:4000");
		far_add(fx, &f[i], far_add_cmd(fx, &f[i], false, false));
	}
	overload(fx);
	for (i = 0; i < 8; i++) {
		far_initiate(fx, &f[i], 0);
		assert_true(take_cookie(fx, &f[i], 0));
	}
	for (i = 0; i < 8; i++) {
		far_initiation(fx, &f[i], &m);
		far_send(fx, &f[i], 0, 1, &m, sizeof(m));
		fx_settle(fx);
		answered += far_take_response(fx, &f[i], 0);
	}
	assert_int_equal(answered, 5);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_RATELIMIT), 3);
	fx_advance(fx, 50 * MS);
	far_initiate(fx, &f[7], 0);
	assert_true(far_take_response(fx, &f[7], 0));
	for (i = 0; i < 8; i++)
		far_gone(fx, &f[i]);
	fx_free(fx);
}

/** A flood of strangers in lane c delays neither a response nor an initiation with a cookie. */
static void
test_lanes(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_msg_response resp;
	struct sl_msg_initiation m;
	struct far a, b, stranger;
	struct fx_out out;
	unsigned i;

	far_init(fx, &a, 10, "198.51.100.7:4000");
	far_add(fx, &a, far_add_cmd(fx, &a, true, true));
	far_init(fx, &b, 11, "198.51.100.8:4000");
	far_add(fx, &b, far_add_cmd(fx, &b, false, false));
	far_init(fx, &stranger, 99, JUNK_EP);
	out = fx_take(fx, 0);
	assert_int_equal(far_answer(fx, &a, &out.init, &resp), 0);
	overload(fx);
	far_initiate(fx, &b, 0);
	assert_true(take_cookie(fx, &b, 0));

	for (i = 0; i < 1500; i++)
		junk(fx, &stranger, 0, 2);
	far_send(fx, &a, 0, 0, &resp, sizeof(resp));
	far_initiation(fx, &b, &m);
	far_send(fx, &b, 0, 1, &m, sizeof(m));
	fx_round(fx);
	fx_round(fx);
	far_check_keys(fx, &a);
	assert_int_equal(far_state(&a), SL_HS_ESTABLISHED);
	do { /* among cookies for the strangers */
		out = fx_take(fx, 0);
		assert_true(out.any);
	} while (out.len != SL_WIRE_RESPONSE_LEN);
	assert_int_equal(sl_noise_consume_response(&b.local, &b.noise, &out.resp), 0);
	assert_true(rte_ring_count(fx->worker[0]->hs_lane[2]) > 0); /* the flood still waits */
	fx_settle(fx);
	drain(fx, 0);
	far_gone(fx, &a);
	far_gone(fx, &b);
	fx_free(fx);
}

/** The far side is under load: its cookie goes into our next initiation, not before its time. */
static void
test_cookie_for_us(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_endpoint us = {.port = FX_PORT};
	struct sl_msg_cookie cookie, bad;
	struct sl_peer_path path;
	struct fx_out out;
	struct far f;
	unsigned from;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, true, true));
	out = fx_take(fx, 0);
	us.ip = out.outer.src;
	sl_cookie_reply(&f.checker, out.msg, out.len, sl_load_le32(out.init.sender), &us,
			fx->now_ns, &fx->far_rng, &cookie);
	bad = cookie;
	bad.enc_cookie[5] ^= 1;
	far_send(fx, &f, 0, 0, &bad, sizeof(bad));
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_INVALID), 1);
	bad = cookie;
	bad.receiver[1] ^= 1;
	far_send(fx, &f, 0, 0, &bad, sizeof(bad));
	fx_settle(fx);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_NO_STATE), 1);

	from = fx->n_log;
	assert_int_equal(sl_endpoint_parse("192.0.2.66:6", &f.ep), 0);
	far_send(fx, &f, 0, 0, &cookie, sizeof(cookie));
	fx_settle(fx);
	fx_none(fx);			   /* paper 6.6: it waits for the retransmission */
	assert_int_equal(fx->n_log, from); /* and never moves the endpoint */
	sl_peer_path_read(f.peer, &path);
	assert_int_equal(path.outer.dport, 4000);
	assert_int_equal(atomic_load(&sl_hs_stats(fx->hs)->cookies_rx), 3);

	fx_advance(fx, 5400 * MS);
	out = fx_take(fx, 0);
	assert_true(out.any);
	assert_int_equal(out.outer.dport, 4000);
	assert_int_equal(sl_cookie_check(&f.checker, out.msg, out.len, &us, fx->now_ns,
					 &fx->far_rng),
			 SL_MAC2_OK);
	/* a cookie lives for two minutes */
	fx_advance(fx, 200 * S);
	while (out.any)
		out = fx_take(fx, 0);
	fx_raise(fx, &f, SL_PEER_EV_WANT_HS, true);
	fx_settle(fx);
	out = fx_take(fx, 0);
	assert_true(sl_ct_is_zero(out.init.mac2, 16));
	far_gone(fx, &f);
	fx_free(fx);
}

/** The initiator is under load when it gets our response, and says so to our new keypair. */
static void
test_cookie_for_response(void **state)
{
	struct fx *fx = fx_begin(1);
	struct sl_endpoint us = {.port = FX_PORT};
	struct sl_msg_cookie cookie;
	struct fx_out out;
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, false, false));
	far_initiate(fx, &f, 0);
	out = fx_take(fx, 0);
	assert_int_equal(out.len, SL_WIRE_RESPONSE_LEN);
	us.ip = out.outer.src;
	sl_cookie_reply(&f.checker, out.msg, out.len, sl_load_le32(out.resp.sender), &us,
			fx->now_ns, &fx->far_rng, &cookie);
	far_send(fx, &f, 0, 0, &cookie, sizeof(cookie));
	fx_advance(fx, 5 * S);
	far_initiate(fx, &f, 0);
	out = fx_take(fx, 0);
	assert_int_equal(out.len, SL_WIRE_RESPONSE_LEN);
	assert_int_equal(sl_cookie_check(&f.checker, out.msg, out.len, &us, fx->now_ns,
					 &fx->far_rng),
			 SL_MAC2_OK);
	assert_int_equal(sl_noise_consume_response(&f.local, &f.noise, &out.resp), 0);
	far_gone(fx, &f);
	fx_free(fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cookie_round_trip),
		cmocka_unit_test(test_load_by_age),
		cmocka_unit_test(test_rate_limit),
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_cookie_for_us),
		cmocka_unit_test(test_cookie_for_response),
	};

	eal_start("test_hs_load");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
