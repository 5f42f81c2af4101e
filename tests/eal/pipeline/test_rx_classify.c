/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames: every way in which one does not belong here, and plaintext for peers. */
#include "eal_main.h"
#include "gw_fixture.h"

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static int
setup(void **state)
{
	*state = gw_new(&(struct gw_conf){0});
	return 0;
}

static int
teardown(void **state)
{
	gw_free(*state);
	return 0;
}

/* A datagram of the client to us on the outside port, without Ethernet. */
static void
datagram(struct gw_pkt *p, uint16_t dport)
{
	gw_udp(p, GW_CLIENT, GW_OUT4, GW_CLIENT_PORT, dport, "probe", 5);
}

static void
drop(void **state, struct gw_pkt *p, enum sl_drop reason)
{
	gw_expect_drop(*state, GW_OUTSIDE, p, reason);
}

static void
test_l2(void **state)
{
	struct gw_pkt p = {.len = 0};
	unsigned n;

	for (n = 1; n < 14; n++) {
		datagram(&p, 9);
		gw_eth(&p, gw_mac[0], 0);
		p.len = n;
		drop(state, &p, SL_DROP_L2_TRUNCATED);
	}
	for (n = 14; n < 18; n++) {
		datagram(&p, 9);
		gw_eth(&p, gw_mac[0], GW_VLAN);
		p.len = n;
		drop(state, &p, SL_DROP_L2_TRUNCATED);
	}
	datagram(&p, 9);
	gw_eth(&p, gw_mac[0], 0);
	p.b[12] = 0x88; /* LLDP */
	p.b[13] = 0xcc;
	drop(state, &p, SL_DROP_L2_ETHERTYPE);
	datagram(&p, 9);
	gw_eth(&p, gw_mac[0], GW_VLAN);
	p.b[12] = 0x88; /* 802.1ad */
	p.b[13] = 0xa8;
	drop(state, &p, SL_DROP_L2_ETHERTYPE);
	p.b[12] = 0x81;
	p.b[13] = 0x00;
	p.b[16] = 0x81; /* a tag in a tag */
	drop(state, &p, SL_DROP_L2_ETHERTYPE);
	datagram(&p, 9);
	gw_eth(&p, gw_mac[0], GW_VLAN + 1);
	drop(state, &p, SL_DROP_L2_VLAN);
}

/* The NIC took the outer tag off: the inner one must not choose the network (VLAN hopping). */
static void
test_tag_in_tag(void **state)
{
	struct gw *g = *state;
	struct rte_mbuf *m;
	struct gw_pkt p;

	gw_udp(&p, "203.0.113.9", "203.0.113.1", 1, 9, "x", 1);
	gw_eth(&p, gw_mac[0], GW_VLAN);
	m = gw_mbuf(g, &p);
	m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	m->vlan_tci = GW_VLAN + 1;
	gw_in_mbuf(g, GW_OUTSIDE, 0, m);
	gw_poll(g);
	assert_int_equal(gw_drops(g, SL_DROP_L2_ETHERTYPE), 1);
	assert_int_equal(gw_all_drops(g), 1);
}

static void
test_mac(void **state)
{
	const uint8_t other[6] = {2, 0, 0, 0, 0, 3}, mcast[6] = {1, 0, 0x5e, 0, 0, 1};
	const uint8_t mcast6[6] = {0x33, 0x33, 0, 0, 0, 1};
	struct gw_pkt p;

	datagram(&p, 9);
	gw_eth(&p, other, 0);
	drop(state, &p, SL_DROP_L2_NOT_MINE);
	datagram(&p, 51820);
	gw_eth(&p, broadcast, 0);
	drop(state, &p, SL_DROP_L2_NOT_MINE);
	datagram(&p, 9);
	gw_eth(&p, mcast, 0);
	drop(state, &p, SL_DROP_L2_NOT_MINE);
	gw_udp(&p, "fe80::1", "ff02::fb", 5353, 5353, "x", 1); /* mDNS */
	gw_eth(&p, mcast6, 0);
	drop(state, &p, SL_DROP_L2_NOT_MINE);
}

static void
test_ip_header(void **state)
{
	struct gw_pkt p;
	unsigned n;

	for (n = 0; n < 28 + 5; n++) { /* every cut inside the packet */
		datagram(&p, 9);
		gw_eth(&p, gw_mac[0], 0);
		p.len = 14 + n;
		drop(state, &p, SL_DROP_IP_TRUNCATED);
	}
	datagram(&p, 9);
	p.b[10] ^= 1;
	gw_eth(&p, gw_mac[0], 0);
	drop(state, &p, SL_DROP_IP_CHECKSUM);
	datagram(&p, 9);
	p.b[0] = 0x44;
	gw_fix4(&p);
	gw_eth(&p, gw_mac[0], 0);
	drop(state, &p, SL_DROP_IP_HEADER);
	datagram(&p, 9);
	gw_eth(&p, gw_mac[0], 0);
	p.b[12] = 0x86; /* IPv4 under the EtherType of IPv6 */
	p.b[13] = 0xdd;
	drop(state, &p, SL_DROP_IP_HEADER);
	gw_udp(&p, "::", GW_OUT6, 1, 51820, "x", 1);
	gw_eth(&p, gw_mac[0], 0);
	drop(state, &p, SL_DROP_IP_HEADER);
	gw_ip(&p, GW_CLIENT, GW_OUT4, 17, "abcdefg", 7);
	gw_eth(&p, gw_mac[0], 0);
	drop(state, &p, SL_DROP_L4_TRUNCATED);
	datagram(&p, 51820);
	p.b[25] = 14; /* UDP length beyond the packet */
	gw_eth(&p, gw_mac[0], 0);
	drop(state, &p, SL_DROP_L4_TRUNCATED);
}

static void
test_v6_ext(void **state)
{
	uint8_t ext[9 * 8] = {0};
	struct gw_pkt p;
	unsigned i;

	for (i = 0; i < 9; i++)
		ext[8 * i] = i == 8 ? 59 : 60;
	gw_ip(&p, GW_CLIENT6, GW_OUT6, 60, ext, sizeof(ext));
	gw_eth(&p, gw_mac[0], 0);
	drop(state, &p, SL_DROP_V6_EXT);
}

static void
test_own_address(void **state)
{
	struct gw_pkt p;

	datagram(&p, 9);
	gw_eth(&p, gw_mac[0], 0);
	drop(state, &p, SL_DROP_NO_LISTENER);
	datagram(&p, 51820); /* a health probe */
	gw_eth(&p, gw_mac[0], 0);
	drop(state, &p, SL_DROP_NOT_WIREGUARD);
	gw_ip(&p, GW_CLIENT, GW_OUT4, 47, "gre!", 4);
	gw_eth(&p, gw_mac[0], 0);
	drop(state, &p, SL_DROP_NO_LISTENER);
	/* the strong host model: an address of another attachment is not ours here */
	gw_udp(&p, GW_CLIENT, "203.0.113.1", 1, 51820, "probe", 5);
	gw_eth(&p, gw_mac[0], 0);
	drop(state, &p, SL_DROP_NOT_TUNNEL);
	gw_eth(&p, gw_mac[0], 0);
	gw_udp(&p, GW_CLIENT, "203.0.113.1", 1, 51820, "probe", 5);
	gw_eth(&p, gw_mac[0], GW_VLAN);
	drop(state, &p, SL_DROP_NOT_WIREGUARD);
}

static void
test_not_tunnel(void **state)
{
	struct gw_pkt p;

	datagram(&p, 9);
	p.b[19] = 77; /* 198.51.100.77 */
	gw_fix4(&p);
	gw_eth(&p, gw_mac[0], 0);
	drop(state, &p, SL_DROP_NOT_TUNNEL);
	/* for a peer, but on an attachment that is no inside */
	gw_udp(&p, GW_SERVER4, GW_INNER4, 1, 2, "x", 1);
	gw_eth(&p, gw_mac[0], 0);
	drop(state, &p, SL_DROP_NOT_TUNNEL);
	gw_udp(&p, GW_SERVER4, "8.8.8.8", 1, 2, "x", 1);
	gw_eth(&p, gw_mac[1], 0);
	gw_expect_drop(*state, GW_INSIDE, &p, SL_DROP_NOT_TUNNEL);
	gw_udp(&p, GW_SERVER6, "2001:db8:99::1", 1, 2, "x", 1);
	gw_eth(&p, gw_mac[1], 0);
	gw_expect_drop(*state, GW_INSIDE, &p, SL_DROP_NOT_TUNNEL);
}

/* A frame of the server towards an inner address. */
static void
from_server(struct gw_pkt *p, const char *dst)
{
	gw_udp(p, strchr(dst, ':') ? GW_SERVER6 : GW_SERVER4, dst, 6000, 5000, "reply", 5);
	gw_eth(p, gw_mac[1], 0);
}

static void
test_plaintext(void **state)
{
	static const char *const dst[] = {GW_INNER4, "10.8.50.77", GW_INNER6};
	struct gw *g = *state;
	struct gw_session s;
	struct gw_pkt p, out, inner;
	uint64_t counter;
	unsigned i;

	gw_session_current(g, 1, 1, &s);
	gw_endpoint(g, 1, GW_CLIENT, GW_CLIENT_PORT);
	for (i = 0; i < 3; i++) {
		from_server(&p, dst[i]);
		gw_pad(&p, 17); /* Ethernet padding goes */
		gw_in(g, GW_INSIDE, 0, &p);
		gw_poll(g);
		assert_true(gw_out(g, GW_OUTSIDE, &out));
		assert_true(gw_open(&inner, &s, out.b + 42, out.len - 42, &counter));
		assert_int_equal(counter, i);
		assert_int_equal(inner.b[0] >> 4, i == 2 ? 6 : 4);
	}
	assert_int_equal(gw_all_drops(g), 0);
}

/* The second interface of an attachment; the gateway's own addresses go before AllowedIPs. */
static void
test_plaintext_interfaces(void **state)
{
	struct gw *g = *state;
	struct gw_session s;
	struct gw_pkt p, out;

	from_server(&p, "10.9.0.2");
	gw_in(g, GW_INSIDE, 0, &p);
	gw_poll(g);
	assert_int_equal(gw_drops(g, SL_DROP_NO_ENDPOINT), 1); /* it found its peer */
	assert_true(gw_out(g, GW_INSIDE, &out));
	gw_session_current(g, 3, 1, &s);
	gw_endpoint(g, 3, GW_CLIENT, GW_CLIENT_PORT);
	gw_in(g, GW_INSIDE, 0, &p);
	gw_poll(g);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	g->iface[1].up = false; /* the first one is down: the second still gets its packets */
	gw_in(g, GW_INSIDE, 0, &p);
	gw_poll(g);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	from_server(&p, GW_INNER4);
	gw_expect_drop(g, GW_INSIDE, &p, SL_DROP_NOT_TUNNEL);
	g->iface[1].up = true;
	/* inside wg1's network, no peer: the sender hears of it */
	from_server(&p, "10.8.0.77");
	gw_in(g, GW_INSIDE, 0, &p);
	gw_poll(g);
	assert_int_equal(gw_drops(g, SL_DROP_NO_PEER), 1);
	while (gw_out(g, GW_INSIDE, &out))
		assert_int_equal(out.b[14 + 9], 1); /* ICMP */
}

static void
test_own_inner_before_allowed(void **state)
{
	struct gw *g = *state;
	const uint8_t net[4] = {10, 8, 0, 0};
	struct gw_pkt p, out;

	/* a peer with the whole network of the interface, the gateway's address in it */
	assert_int_equal(sl_lpm_set(&g->iface[1].peers4, &g->iface[1].peers4, net, 24, 2,
				    &g->garbage),
			 0);
	sl_lpm_seal(&g->garbage);
	gw_echo(&p, GW_SERVER4, "10.8.0.1", 56);
	gw_eth(&p, gw_mac[1], 0);
	gw_in(g, GW_INSIDE, 0, &p);
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
	assert_int_equal(out.b[14 + 20], 0); /* echo reply */
	assert_int_equal(gw_all_drops(g), 0);
}

/* A frame cut into buffers of `cut` bytes. */
static struct rte_mbuf *
chained(struct gw *g, const struct gw_pkt *p, unsigned cut)
{
	struct rte_mbuf *head = NULL, *m;
	struct gw_pkt part;
	unsigned at;

	for (at = 0; at < p->len; at += part.len) {
		part.len = SL_MIN(cut, p->len - at);
		memcpy(part.b, p->b + at, part.len);
		m = gw_mbuf(g, &part);
		if (head == NULL)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	return head;
}

static void
test_chained(void **state)
{
	struct gw *g = *state;
	struct gw_session s;
	struct gw_pkt p, inner, out;
	uint64_t counter = 0;
	unsigned cut;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 1000);
	for (cut = 1; cut < 1100; cut += cut < 80 ? 7 : 400) {
		gw_data(&p, &s, counter++, &inner);
		gw_in_mbuf(g, GW_OUTSIDE, 0, chained(g, &p, cut));
		gw_poll(g);
		assert_true(gw_out(g, GW_INSIDE, &out));
		assert_int_equal(out.len, 14 + inner.len);
	}
	gw_inner(&inner, 4000); /* larger than a buffer */
	gw_data(&p, &s, counter++, &inner);
	gw_in_mbuf(g, GW_OUTSIDE, 0, chained(g, &p, 1500));
	gw_poll(g);
	assert_int_equal(gw_drops(g, SL_DROP_CHAINED), 1);
	assert_int_equal(gw_all_drops(g), 1);
}

static void
test_vlan(void **state)
{
	struct gw *g = *state;
	struct gw_session s;
	struct gw_pkt p, inner, msg, out;
	struct rte_mbuf *m;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 100);
	gw_seal(&msg, &s, 0, &inner);
	gw_udp(&p, GW_CLIENT, "203.0.113.1", GW_CLIENT_PORT, 51820, msg.b, msg.len);
	gw_eth(&p, gw_mac[0], GW_VLAN);
	gw_in(g, GW_OUTSIDE, 0, &p);
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
	/* the NIC took the tag off */
	gw_seal(&msg, &s, 1, &inner);
	gw_udp(&p, GW_CLIENT, "203.0.113.1", GW_CLIENT_PORT, 51820, msg.b, msg.len);
	gw_eth(&p, gw_mac[0], 0);
	m = gw_mbuf(g, &p);
	m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	m->vlan_tci = 0x2000 | GW_VLAN; /* with a priority */
	gw_in_mbuf(g, GW_OUTSIDE, 0, m);
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
	/* a priority tag is no VLAN */
	gw_seal(&msg, &s, 2, &inner);
	gw_udp(&p, GW_CLIENT, GW_OUT4, GW_CLIENT_PORT, 51820, msg.b, msg.len);
	gw_eth(&p, gw_mac[0], 0x2000);
	gw_in(g, GW_OUTSIDE, 0, &p);
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
	assert_int_equal(gw_all_drops(g), 0);
}

static void
test_nic_checksum(void **state)
{
	struct gw *g = *state;
	struct gw_session s;
	struct gw_pkt p, inner, out;
	struct rte_mbuf *m;

	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 100);
	gw_data(&p, &s, 0, &inner);
	p.b[14 + 10] ^= 0x55;
	m = gw_mbuf(g, &p);
	m->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD; /* then nobody sums again */
	gw_in_mbuf(g, GW_OUTSIDE, 0, m);
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
	/* a wrong UDP checksum does not matter to type 4: the tag decides */
	gw_data(&p, &s, 1, &inner);
	p.b[14 + 26] ^= 0x55;
	gw_in(g, GW_OUTSIDE, 0, &p);
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
}

static void
test_jumbo(void **state)
{
	struct gw *g = gw_new(&(struct gw_conf){.data_room = 9900});
	struct gw_session s;
	struct gw_pkt p, inner, out;

	g->att[2].mtu = 9000;
	sl_nh_write(g->dp->nhs, 3, SL_NH_HOST, SL_NH_USABLE, &g->att[2],
		    &(struct sl_ip){.family = 4, .b = {10, 20, 0, 9}}, gw_neighbour_mac[GW_INSIDE]);
	gw_session_current(g, 1, 1, &s);
	gw_inner(&inner, 8800);
	gw_data(&p, &s, 0, &inner);
	gw_in(g, GW_OUTSIDE, 0, &p);
	gw_poll(g);
	assert_true(gw_out(g, GW_INSIDE, &out));
	assert_int_equal(out.len, 14 + inner.len);
	gw_free(g);
}

static void
test_counters(void **state)
{
	struct gw *g = *state;
	const struct sl_stats_lcore *st = g->dp->worker[0]->stats;
	const struct sl_stats_stage_counts *row = &st->stage[SL_STATS_RX_EARLY];
	struct gw_pkt p, q;

	datagram(&p, 51820);
	gw_eth(&p, gw_mac[0], 0);
	from_server(&q, "10.8.0.99");
	gw_in(g, GW_OUTSIDE, 0, &p);
	gw_in(g, GW_OUTSIDE, 0, &p);
	gw_in(g, GW_INSIDE, 0, &q);
	gw_poll(g);
	assert_int_equal(st->lcore.rx_packets, 3);
	assert_int_equal(st->lcore.rx_bytes, 2 * p.len + q.len);
	assert_int_equal(row->total, 3);
	assert_int_equal(row->dropped, 2);
	assert_int_equal(row->passed, 1);
	assert_int_equal(row->latency_count, 3);
	assert_int_equal(st->stage[SL_STATS_PRE_ENCRYPT].total, 1);
	assert_int_equal(st->stage[SL_STATS_PRE_ENCRYPT].dropped, 1);
	assert_int_equal(sl_hist_count(&st->latency), 3);
	assert_int_equal(st->lcore.busy_polls, 1);
	gw_later(g, SL_TICK_NS); /* idle polls are written once a tick */
	gw_later(g, SL_TICK_NS);
	assert_true(st->lcore.polls > st->lcore.busy_polls);
	assert_true(st->lcore.busy_cycles > 0 && st->lcore.total_cycles > 0);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_l2),
		CASE(test_tag_in_tag),
		CASE(test_mac),
		CASE(test_ip_header),
		CASE(test_v6_ext),
		CASE(test_own_address),
		CASE(test_not_tunnel),
		CASE(test_plaintext),
		CASE(test_plaintext_interfaces),
		CASE(test_own_inner_before_allowed),
		CASE(test_chained),
		CASE(test_vlan),
		CASE(test_nic_checksum),
		cmocka_unit_test(test_jumbo),
		CASE(test_counters),
	};

	eal_start("test_pipeline_rx_classify");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
