/* SPDX-License-Identifier: BSD-3-Clause */
/* Encapsulation and sealing, opened by libsodium. */
#include "tx_fixture.h"

#include <sodium.h>

#include "send_int.h"

static const struct fx_spec to_peer1 = {.src = "10.0.0.10", .dst = "10.7.0.2"};
static const struct fx_spec to_peer1_v6 = {.src = "fd00:a::10", .dst = "fd00:7::2"};

static int
setup(void **state)
{
	*state = fx_new(2);
	return 0;
}

static int
teardown(void **state)
{
	fx_free(*state);
	return 0;
}

/** What the peer must see: the packet with one hop less. */
static void
expect_inner(const struct fx_sealed *s, const uint8_t *sent, unsigned len)
{
	uint8_t want[10000];
	unsigned i;

	memcpy(want, sent, len);
	if (want[0] >> 4 == 4) {
		want[8]--;
		memset(want + 10, 0, 2);
		sl_store_be16(want + 10, fx_csum(want, (want[0] & 15) * 4U, NULL, 0));
	} else {
		want[7]--;
	}
	assert_memory_equal(s->plain, want, len);
	for (i = len; i < s->len; i++)
		assert_int_equal(s->plain[i], 0);
}

static void
send_and_open(struct fx *x, const struct fx_spec *spec, unsigned peer, struct fx_sealed *out)
{
	struct rte_mbuf *m = fx_inside(x, spec, peer);
	unsigned len = m->data_len;
	uint8_t sent[10000];

	memcpy(sent, rte_pktmbuf_mtod(m, uint8_t *), len);
	fx_run(x, SL_NODE_INSIDE, m);
	fx_open(x, fx_frame(x, 0), peer, out);
	expect_inner(out, sent, len);
}

static void
all_four_combinations(void **state)
{
	struct fx *x = *state;
	struct fx_sealed s;

	send_and_open(x, &to_peer1, 1, &s);
	assert_int_equal(s.version, 4);
	assert_int_equal(s.counter, 0);
	assert_int_equal(s.sport, 51820);
	assert_int_equal(s.dport, 40001);
	assert_int_equal(s.udp_csum, 0); /* IPv4: off by default */
	assert_true(sl_ip_equal(&s.src, &(struct sl_ip){4, {0}, {198, 18, 0, 1}}));
	assert_true(sl_ip_equal(&s.dst, &(struct sl_ip){4, {0}, {203, 0, 113, 9}}));
	send_and_open(x, &to_peer1_v6, 1, &s);
	assert_int_equal(s.version, 4);
	assert_int_equal(s.counter, 1);
	fx_endpoint(x, 1, "2001:db8:f::1", "2001:db8:99::5");
	send_and_open(x, &to_peer1, 1, &s);
	assert_int_equal(s.version, 6);
	assert_int_not_equal(s.udp_csum, 0);
	send_and_open(x, &to_peer1_v6, 1, &s);
	assert_int_equal(s.version, 6);
	assert_int_equal(s.counter, 3);
}

static void
padding_never_exceeds_the_mtu(void **state)
{
	struct fx *x = *state;
	struct fx_spec spec = to_peer1;
	static const uint16_t mtus[] = {1420, 1300, 1299, 1287, 1281};
	struct fx_sealed s;
	unsigned i, len, up;

	for (i = 0; i < SL_ARRAY_SIZE(mtus); i++) {
		x->f1->mtu = mtus[i];
		fx_publish(x);
		for (len = mtus[i] - 20u; len <= mtus[i]; len++) {
			spec.len = (uint16_t)len;
			send_and_open(x, &spec, 1, &s);
			up = (len + 15) / 16 * 16;
			assert_int_equal(s.len, up > mtus[i] ? mtus[i] : up);
			assert_int_equal(s.ip_len, s.len + 60);
		}
	}
	for (len = 28; len < 80; len++) {
		spec.len = (uint16_t)len;
		send_and_open(x, &spec, 1, &s);
		assert_int_equal(s.len, (len + 15) / 16 * 16);
	}
}

static void
ecn_goes_out_and_dscp_stays(void **state)
{
	struct fx *x = *state;
	struct fx_spec s4 = to_peer1, s6 = to_peer1_v6;
	struct fx_sealed s;
	unsigned tos, outer;

	for (outer = 0; outer < 2; outer++) {
		if (outer != 0)
			fx_endpoint(x, 1, "2001:db8:f::1", "2001:db8:99::5");
		for (tos = 0; tos < 256; tos += 37) {
			s4.tos = s6.tos = (uint8_t)tos;
			send_and_open(x, &s4, 1, &s);
			assert_int_equal(s.tos, tos & 3);
			send_and_open(x, &s6, 1, &s);
			assert_int_equal(s.tos, tos & 3);
		}
	}
}

static void
burst_of_several_peers(void **state)
{
	struct fx *x = *state;
	struct fx_spec spec[2] = {to_peer1, to_peer1};
	uint64_t next[3] = {0}, packets, bytes;
	struct fx_sealed s;
	struct rte_mbuf *m;
	unsigned i, peer;

	spec[1].dst = "10.7.0.3";
	for (i = 0; i < 100; i++) {
		spec[i % 3 == 0].len = (uint16_t)(60 + i);
		peer = i % 3 == 0 ? 2 : 1;
		sl_vec_add(&x->w->v[SL_NODE_INSIDE], fx_inside(x, &spec[i % 3 == 0], peer));
	}
	sl_worker_run(x->w);
	for (i = 0; i < 100; i++) {
		m = fx_frame(x, 0);
		assert_non_null(m);
		peer = sl_load_be16(rte_pktmbuf_mtod(m, uint8_t *) + 36) == 40001 ? 1 : 2;
		fx_open(x, m, peer, &s);
		/* in order within a peer: counters and sizes both grow */
		assert_int_equal(s.counter, next[peer]);
		assert_int_equal(sl_load_be16(s.plain + 2),
				 60 + (peer == 2 ? 3 * next[2] : next[1] + next[1] / 2 + 1));
		next[peer]++;
	}
	assert_int_equal(next[1], 66);
	assert_int_equal(next[2], 34);
	assert_int_equal(x->kp[1]->send_counter, 66);
	sl_peer_tx_sum(x->peer[1], &packets, &bytes);
	assert_int_equal(packets, 66);
	sl_peer_tx_sum(x->peer[2], &packets, &bytes);
	assert_int_equal(packets, 34);
}

/* wg counts the UDP payload: an IPv4 ping of 84 bytes is 96 padded and 128 on the wire. */
static void
counters_as_wg_shows_them(void **state)
{
	struct fx *x = *state;
	struct fx_spec spec = to_peer1;
	uint64_t packets, bytes;
	struct fx_sealed s;

	spec.len = 84;
	send_and_open(x, &spec, 1, &s);
	sl_peer_tx_sum(x->peer[1], &packets, &bytes);
	assert_int_equal(packets, 1);
	assert_int_equal(bytes, 128);
	sl_seal_keepalive(x->w, x->peer[1]);
	sl_worker_run(x->w);
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(s.len, 0);
	assert_int_equal(s.tos, 0);
	assert_int_equal(s.counter, 1);
	sl_peer_tx_sum(x->peer[1], &packets, &bytes);
	assert_int_equal(packets, 2);
	assert_int_equal(bytes, 160);
}

static void
ticks_for_the_timers(void **state)
{
	struct fx *x = *state;
	struct sl_peer *p = x->peer[1];
	struct fx_sealed s;
	uint32_t t0 = x->w->tick;

	p->unanswered_rx = t0;
	sl_seal_keepalive(x->w, p);
	sl_worker_run(x->w);
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(p->tick_any_tx, t0);
	assert_int_equal(p->tick_data_tx, 0);
	assert_int_equal(p->unacked_tx, 0);
	assert_int_equal(p->unanswered_rx, 0);
	assert_int_equal(p->events, 0);
	fx_time(x, FX_START_NS + SL_NS_PER_S);
	send_and_open(x, &to_peer1, 1, &s);
	assert_int_equal(p->tick_any_tx, t0 + 10);
	assert_int_equal(p->tick_data_tx, t0 + 10);
	assert_int_equal(p->unacked_tx, t0 + 10);
	assert_int_equal(p->events, SL_PEER_EV_TIMER);
	fx_time(x, FX_START_NS + 2 * SL_NS_PER_S);
	p->events = 0;
	send_and_open(x, &to_peer1, 1, &s);
	assert_int_equal(p->unacked_tx, t0 + 10); /* since the first unanswered one */
	assert_int_equal(p->events, 0);
}

static void
old_keys_ask_and_end(void **state)
{
	struct fx *x = *state;
	struct fx_sealed s;

	fx_time(x, FX_START_NS + 119900 * SL_NS_PER_MS);
	send_and_open(x, &to_peer1, 1, &s);
	assert_int_equal(x->peer[1]->events & SL_PEER_EV_WANT_HS, 0);
	fx_time(x, FX_START_NS + 120 * SL_NS_PER_S);
	send_and_open(x, &to_peer1, 1, &s);
	assert_int_equal(x->peer[1]->events & SL_PEER_EV_WANT_HS, SL_PEER_EV_WANT_HS);
	/* the responder waits for the initiator */
	x->peer[1]->events = 0;
	x->kp[1]->initiator = 0;
	fx_time(x, FX_START_NS + 179999 * SL_NS_PER_MS);
	send_and_open(x, &to_peer1, 1, &s);
	assert_int_equal(x->peer[1]->events & SL_PEER_EV_WANT_HS, 0);
	fx_time(x, FX_START_NS + 180 * SL_NS_PER_S);
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &to_peer1, 1));
	assert_int_equal(x->peer[1]->events & SL_PEER_EV_WANT_HS, SL_PEER_EV_WANT_HS);
	assert_int_equal(x->peer[1]->park_count, 1);
	sl_seal_keepalive(x->w, x->peer[1]);
	sl_worker_run(x->w);
	assert_int_equal(fx_drops(x, SL_DROP_LOCAL_CONSUMED), 1);
	sl_park_drop(x->w, x->peer[1], SL_DROP_PARK_TIMEOUT);
	assert_int_equal(fx_drops(x, SL_DROP_PARK_TIMEOUT), 1);
}

/** hs may be a little ahead of the worker's clock. */
static void
keys_from_the_near_future_are_young(void **state)
{
	struct fx *x = *state;
	struct fx_sealed s;

	x->kp[1]->birth_ns = FX_START_NS + 3 * SL_NS_PER_MS;
	send_and_open(x, &to_peer1, 1, &s);
	assert_int_equal(x->peer[1]->events & SL_PEER_EV_WANT_HS, 0);
}

static void
unconfirmed_responder_waits(void **state)
{
	struct fx *x = *state;
	struct fx_sealed s;

	x->kp[1]->initiator = 0;
	x->kp[1]->confirmed = 0;
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &to_peer1, 1));
	assert_int_equal(x->peer[1]->park_count, 1);
	fx_quiet(x);
	x->kp[1]->confirmed = 1;
	sl_park_flush(x->w, x->peer[1]);
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(s.plain[8], 63); /* one hop, although it passed the stage twice */
}

static void
message_limits(void **state)
{
	struct fx *x = *state;
	struct fx_sealed s;
	unsigned i;

	x->kp[1]->send_counter = SL_WG_REKEY_AFTER_MESSAGES - 1;
	x->kp[1]->initiator = 0;
	send_and_open(x, &to_peer1, 1, &s);
	assert_int_equal(x->peer[1]->events & SL_PEER_EV_WANT_HS, 0);
	send_and_open(x, &to_peer1, 1, &s);
	assert_int_equal(x->peer[1]->events & SL_PEER_EV_WANT_HS, SL_PEER_EV_WANT_HS);
	/* the last nonces: 2^64 - 2^13 - 2 is sealed, the next is not */
	x->kp[1]->send_counter = SL_WG_REJECT_AFTER_MESSAGES - 5;
	for (i = 0; i < 20; i++)
		sl_vec_add(&x->w->v[SL_NODE_INSIDE], fx_inside(x, &to_peer1, 1));
	sl_worker_run(x->w);
	for (i = 0; i < 5; i++) {
		fx_open(x, fx_frame(x, 0), 1, &s);
		assert_true(s.counter == SL_WG_REJECT_AFTER_MESSAGES - 5 + i);
	}
	assert_int_equal(x->peer[1]->park_count, 15);
	for (i = 0; i < 10; i++) { /* and the counter does not run on */
		fx_run(x, SL_NODE_INSIDE, fx_inside(x, &to_peer1, 1));
		assert_true(x->kp[1]->send_counter < SL_WG_REJECT_AFTER_MESSAGES + SL_BURST);
	}
	sl_park_drop(x->w, x->peer[1], SL_DROP_PARK_TIMEOUT);
	assert_int_equal(fx_drops(x, SL_DROP_PARK_TIMEOUT), 25);
}

static void
peers_that_may_not(void **state)
{
	struct fx *x = *state;
	struct fx_sealed s;

	x->peer[1]->enabled = 0;
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &to_peer1, 1));
	x->peer[1]->enabled = 1;
	x->peer[1]->gone = 1;
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &to_peer1, 1));
	x->peer[1]->gone = 0;
	x->peer[1]->expires_tick = x->w->tick;
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &to_peer1, 1));
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &to_peer1, 99)); /* no such peer */
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &to_peer1, 3));	/* of another interface */
	sl_seal_keepalive(x->w, x->peer[1]);
	sl_worker_run(x->w);
	assert_int_equal(fx_drops(x, SL_DROP_PEER_DOWN), 6);
	x->peer[1]->expires_tick = x->w->tick + 1;
	send_and_open(x, &to_peer1, 1, &s);
}

static void
source_address_follows_the_peer(void **state)
{
	struct fx *x = *state;
	struct sl_ip first = fx_ip("198.18.0.1"), second = fx_ip("198.18.0.2");
	struct fx_sealed s;

	sl_prefix_parse("198.18.0.2/24", &x->wan->addr[x->wan->n_addrs++]);
	fx_endpoint(x, 1, "198.18.0.2", "203.0.113.9");
	send_and_open(x, &to_peer1, 1, &s);
	assert_true(sl_ip_equal(&s.src, &second)); /* the one that the peer speaks to */
	fx_endpoint(x, 1, "10.0.0.1", "203.0.113.9");
	send_and_open(x, &to_peer1, 1, &s); /* ours too, on another attachment */
	assert_true(sl_ip_equal(&s.src, &x->inside->addr[0].ip));
	fx_endpoint(x, 1, "198.18.0.2", "203.0.113.9");
	send_and_open(x, &to_peer1, 1, &s);
	x->wan->n_addrs--; /* it goes away */
	fx_publish(x);
	send_and_open(x, &to_peer1, 1, &s);
	assert_true(sl_ip_equal(&s.src, &first));
	fx_endpoint(x, 1, NULL, "203.0.113.9"); /* an operator's endpoint */
	send_and_open(x, &to_peer1, 1, &s);
	assert_true(sl_ip_equal(&s.src, &first));
	fx_endpoint(x, 1, NULL, "2001:db8:99::5");
	send_and_open(x, &to_peer1, 1, &s);
	assert_true(sl_ip_equal(&s.src, &x->wan->addr[1].ip));
}

/** What is kept of a peer's way ends with the root, the next hop or the path that it came from. */
static void
way_is_void_after_a_change(void **state)
{
	struct sl_ip other = fx_ip("203.0.113.77");
	struct fx *x = *state;
	struct fx_spec spec = to_peer1;
	struct fx_sealed s;

	spec.len = 1418;
	send_and_open(x, &spec, 1, &s);
	assert_int_equal(s.ip_len, 1420 + 60);
	x->wan->mtu = 1479; /* the next hop says it, in the same root */
	sl_nh_write(x->dp->nhs, FX_NH_ROUTER, SL_NH_HOST, SL_NH_USABLE, x->wan, NULL,
		    (const uint8_t *)FX_MAC_ROUTER);
	send_and_open(x, &spec, 1, &s);
	assert_int_equal(s.ip_len, 1419 + 60);
	x->f1->mtu = 1418; /* a new root says it */
	fx_publish(x);
	send_and_open(x, &spec, 1, &s);
	assert_int_equal(s.ip_len, 1418 + 60);
	fx_endpoint(x, 1, NULL, "203.0.113.77");
	send_and_open(x, &spec, 1, &s);
	assert_true(sl_ip_equal(&s.dst, &other));
	fx_endpoint(x, 1, NULL, "2001:db8:99::5");
	spec.len = 100;
	send_and_open(x, &spec, 1, &s);
	assert_int_equal(s.version, 6);
	fx_lpm_del(&x->root->underlay6, "::/0");
	fx_publish(x);
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &spec, 1));
	assert_int_equal(fx_drops(x, SL_DROP_NO_ROUTE), 1);
	fx_lpm(&x->root->underlay6, "::/0", FX_NH_ROUTER);
	fx_publish(x);
	send_and_open(x, &spec, 1, &s);
}

static void
no_way_out(void **state)
{
	struct fx *x = *state;

	fx_lpm_del(&x->root->underlay4, "0.0.0.0/0");
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &to_peer1, 1));
	assert_int_equal(fx_drops(x, SL_DROP_NO_ROUTE), 1);
	fx_lpm(&x->root->underlay4, "0.0.0.0/0", FX_NH_BLACKHOLE);
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &to_peer1, 1));
	assert_int_equal(fx_drops(x, SL_DROP_NO_ROUTE), 1);
	assert_int_equal(x->kp[1]->send_counter, 0); /* no nonce is spent on it */
}

static void
udp_checksums(void **state)
{
	struct fx *x = *state;
	struct rte_mbuf *m;
	struct fx_sealed s;

	x->f1->outer_udp_csum = SL_UDP_CSUM_FULL;
	send_and_open(x, &to_peer1, 1, &s); /* fx_open() checks it */
	assert_int_not_equal(s.udp_csum, 0);
	x->f1->outer_udp_csum = SL_UDP_CSUM_AUTO;
	fx_publish(x);
	send_and_open(x, &to_peer1, 1, &s);
	assert_int_equal(s.udp_csum, 0);
	x->w->tx[0].csum_udp = true; /* known before start, really */
	fx_publish(x);
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &to_peer1, 1));
	m = fx_frame(x, 0);
	assert_true((m->ol_flags & RTE_MBUF_F_TX_UDP_CKSUM) == RTE_MBUF_F_TX_UDP_CKSUM);
	assert_true((m->ol_flags & RTE_MBUF_F_TX_IPV4) != 0);
	assert_int_equal(m->l2_len, 14);
	assert_int_equal(m->l3_len, 20);
	fx_open(x, m, 1, &s);
	/* the field holds the sum of the pseudo header, not inverted */
	assert_int_equal(s.udp_csum,
			 (uint16_t)~fx_csum((const uint8_t[]){198, 18, 0, 1, 203, 0, 113, 9, 0, 17,
							      (uint8_t)(s.udp_len >> 8),
							      (uint8_t)s.udp_len},
					    12, NULL, 0));
	fx_endpoint(x, 1, NULL, "2001:db8:99::5");
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &to_peer1, 1));
	m = fx_frame(x, 0);
	assert_true((m->ol_flags & RTE_MBUF_F_TX_IPV6) != 0);
	assert_int_equal(m->l3_len, 40);
	fx_open(x, m, 1, &s);
	x->f1->outer_udp_csum = SL_UDP_CSUM_ZERO;
	x->w->tx[0].csum_udp = false;
	fx_publish(x);
	send_and_open(x, &to_peer1, 1, &s); /* IPv6 never goes without */
	assert_int_not_equal(s.udp_csum, 0);
}

/** The packet lies at the very start or end of its buffer. */
static void
buffers_without_room(void **state)
{
	struct fx *x = *state;
	struct fx_spec spec = to_peer1;
	struct rte_mbuf *m;
	struct fx_sealed s;
	uint8_t copy[100];

	m = fx_inside(x, &spec, 1);
	memcpy(copy, rte_pktmbuf_mtod(m, uint8_t *), 100);
	memmove(m->buf_addr, rte_pktmbuf_mtod(m, uint8_t *), 100);
	m->data_off = 0;
	fx_run(x, SL_NODE_ENCAP, m);
	fx_open(x, fx_frame(x, 0), 1, &s);
	expect_inner(&s, copy, 100);
	m = fx_inside(x, &spec, 1);
	memmove((uint8_t *)m->buf_addr + m->buf_len - 100, rte_pktmbuf_mtod(m, uint8_t *), 100);
	m->data_off = (uint16_t)(m->buf_len - 100);
	fx_run(x, SL_NODE_ENCAP, m);
	fx_open(x, fx_frame(x, 0), 1, &s);
	expect_inner(&s, copy, 100);
}

static void
jumbo_without_room(void **state)
{
	struct fx *x = *state;
	struct fx_spec spec = to_peer1;
	struct rte_mbuf *m;
	struct fx_sealed s;

	x->f1->mtu = 9216;
	x->wan->mtu = 9500;
	sl_nh_write(x->dp->nhs, FX_NH_ROUTER, SL_NH_HOST, SL_NH_USABLE, x->wan, NULL,
		    (const uint8_t *)FX_MAC_ROUTER);
	spec.len = 9216; /* fits exactly */
	send_and_open(x, &spec, 1, &s);
	x->f1->mtu = 9250;
	fx_publish(x);
	spec.len = 9240;
	m = fx_inside(x, &spec, 1);
	memmove(m->buf_addr, rte_pktmbuf_mtod(m, uint8_t *), 9240);
	m->data_off = 0;
	fx_run(x, SL_NODE_ENCAP, m);
	assert_int_equal(fx_drops(x, SL_DROP_HEADROOM), 1);
}

/** The way to the endpoint takes less than the interface's MTU. */
static void
small_underlay(void **state)
{
	struct fx *x = *state;
	struct fx_spec spec = to_peer1;
	struct sl_ip_info info;
	struct rte_mbuf *m;
	const uint8_t *p;
	struct fx_sealed s;
	unsigned got = 0;

	x->wan->mtu = 1400;
	sl_nh_write(x->dp->nhs, FX_NH_ROUTER, SL_NH_HOST, SL_NH_USABLE, x->wan, NULL,
		    (const uint8_t *)FX_MAC_ROUTER);
	spec.len = 1339; /* 1340 is the most: the padding is one byte */
	send_and_open(x, &spec, 1, &s);
	assert_int_equal(s.ip_len, 1400);
	spec.len = 1341;
	spec.df = true;
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &spec, 1));
	assert_int_equal(fx_drops(x, SL_DROP_MTU), 1);
	m = fx_frame(x, 1);
	assert_non_null(m);
	p = fx_plain(m, &info);
	assert_int_equal(sl_load_be16(p + 20), 0x0304);
	assert_int_equal(sl_load_be16(p + 26), 1340);
	rte_pktmbuf_free(m);
	spec.df = false;
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &spec, 1));
	while ((m = fx_frame(x, 0)) != NULL) {
		fx_open(x, m, 1, &s);
		got += sl_load_be16(s.plain + 2) - 20u;
	}
	assert_int_equal(got, 1321);
}

static void
home_elsewhere(void **state)
{
	struct fx *x = *state;
	void *m = NULL;

	x->peer[1]->home = 1;
	fx_run(x, SL_NODE_ENCAP, fx_inside(x, &to_peer1, 1));
	assert_int_equal(rte_ring_sc_dequeue(x->dp->worker[1]->steer_in[0], &m), 0);
	assert_int_equal(sl_meta(m)->next, SL_NEXT_SEAL);
	assert_int_equal(rte_pktmbuf_mtod((struct rte_mbuf *)m, uint8_t *)[8], 64);
	rte_pktmbuf_free(m);
	x->peer[1]->home = UINT16_MAX; /* hs has not chosen one yet */
	fx_run(x, SL_NODE_ENCAP, fx_inside(x, &to_peer1, 1));
	assert_int_equal(fx_drops(x, SL_DROP_PEER_DOWN), 1);
}

static void
mss_is_clamped(void **state)
{
	struct fx *x = *state;
	struct fx_spec spec = {.src = "10.0.0.10",
			       .dst = "10.7.0.2",
			       .proto = SL_PROTO_TCP,
			       .tcp_flags = 0x02,
			       .mss = 1460,
			       .len = 44};
	struct fx_sealed s;

	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &spec, 1));
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(sl_load_be16(s.plain + 42), 1380);
	assert_true(fx_l4_csum_ok(s.plain, 44));
	spec.tcp_flags = 0x12; /* SYN, ACK */
	spec.mss = 1381;
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &spec, 1));
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(sl_load_be16(s.plain + 42), 1380);
	spec.mss = 536;
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &spec, 1));
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(sl_load_be16(s.plain + 42), 536);
	spec.mss = 1460;
	spec.tcp_flags = 0x10; /* not a SYN: untouched */
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &spec, 1));
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(sl_load_be16(s.plain + 42), 1460);
	x->f1->mss_clamp = false;
	spec.tcp_flags = 0x02;
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &spec, 1));
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(sl_load_be16(s.plain + 42), 1460);
	x->f1->mss_clamp = true;
	spec.src = "fd00:a::10";
	spec.dst = "fd00:7::2";
	spec.len = 64;
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &spec, 1));
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(sl_load_be16(s.plain + 62), 1360);
	assert_true(fx_l4_csum_ok(s.plain, 64));
	assert_int_equal(x->w->stats->lcore.mss_clamped, 3);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(all_four_combinations),
		T(padding_never_exceeds_the_mtu),
		T(ecn_goes_out_and_dscp_stays),
		T(burst_of_several_peers),
		T(counters_as_wg_shows_them),
		T(ticks_for_the_timers),
		T(old_keys_ask_and_end),
		T(keys_from_the_near_future_are_young),
		T(unconfirmed_responder_waits),
		T(message_limits),
		T(peers_that_may_not),
		T(source_address_follows_the_peer),
		T(way_is_void_after_a_change),
		T(no_way_out),
		T(udp_checksums),
		T(buffers_without_room),
		T(jumbo_without_room),
		T(small_underlay),
		T(home_elsewhere),
		T(mss_is_clamped),
	};

	eal_start("test_tx_seal");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
