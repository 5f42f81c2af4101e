/* SPDX-License-Identifier: BSD-3-Clause */
/* The gateway as a host on its attachments: ARP, ND, echo; what control hears; the rate limit. */
#include "eal_main.h"
#include "gw_fixture.h"

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t asker[6] = {2, 0xcc, 0, 0, 0, 5};

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

static void
arp(struct gw_pkt *p, unsigned op, const char *sender, const char *target, const uint8_t *dst,
    uint16_t vlan)
{
	struct sl_ip s, t;

	sl_ip_parse(sender, &s);
	sl_ip_parse(target, &t);
	memcpy(p->b, "\0\1\x08\0\6\4\0", 7);
	p->b[7] = (uint8_t)op;
	memcpy(p->b + 8, asker, 6);
	memcpy(p->b + 14, s.b, 4);
	memset(p->b + 18, 0, 6);
	memcpy(p->b + 24, t.b, 4);
	p->len = 28;
	gw_eth(p, dst, vlan);
	memcpy(p->b + 6, asker, 6);
	gw_pad(p, 18);
}

static bool
heard(struct gw *g, struct sl_ctl_event *ev)
{
	return sl_mbox_get(g->dp->worker[0]->to_ctl, ev, 1) == 1;
}

static void
send(struct gw *g, unsigned port, const struct gw_pkt *p)
{
	gw_in(g, port, 0, p);
	gw_poll(g);
}

static void
test_arp_request(void **state)
{
	struct gw *g = *state;
	const uint8_t sip[4] = {198, 51, 100, 1}, tip[4] = {198, 51, 100, 40};
	struct sl_ctl_event ev;
	struct gw_pkt p, out;

	arp(&p, 1, "198.51.100.40", GW_OUT4, broadcast, 0);
	send(g, GW_OUTSIDE, &p);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	assert_int_equal(out.len, 14 + 28);
	assert_memory_equal(out.b, asker, 6);
	assert_memory_equal(out.b + 6, gw_mac[0], 6);
	assert_memory_equal(out.b + 12, "\x08\x06\0\1\x08\0\6\4\0\2", 10);
	assert_memory_equal(out.b + 14 + 8, gw_mac[0], 6);
	assert_memory_equal(out.b + 14 + 14, sip, 4);
	assert_memory_equal(out.b + 14 + 18, asker, 6);
	assert_memory_equal(out.b + 14 + 24, tip, 4);
	assert_true(heard(g, &ev));
	assert_int_equal(ev.type, SL_EV_NEIGH_SEEN);
	assert_int_equal(ev.request, 1);
	assert_int_equal(ev.solicited, 0);
	assert_int_equal(ev.att, 1);
	assert_memory_equal(ev.mac, asker, 6);
	assert_memory_equal(ev.ip.b, tip, 4);
	assert_int_equal(gw_all_drops(g), 0);
}

static void
test_arp_vlan(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p, out;
	struct rte_mbuf *m;

	arp(&p, 1, "203.0.113.9", "203.0.113.1", broadcast, GW_VLAN);
	send(g, GW_OUTSIDE, &p);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	assert_int_equal(out.len, 18 + 28);
	assert_memory_equal(out.b + 12, "\x81\0\0\x64\x08\x06", 6);
	/* without the tag that the NIC took off, the answer has it again */
	arp(&p, 1, "203.0.113.9", "203.0.113.1", broadcast, 0);
	m = gw_mbuf(g, &p);
	m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
	m->vlan_tci = GW_VLAN;
	gw_in_mbuf(g, GW_OUTSIDE, 0, m);
	gw_poll(g);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	assert_int_equal(out.len, 18 + 28);
	assert_memory_equal(out.b, asker, 6);
	assert_memory_equal(out.b + 12, "\x81\0\0\x64\x08\x06", 6);
	assert_memory_equal(out.b + 18 + 8, gw_mac[0], 6);
}

static void
test_arp_other(void **state)
{
	struct gw *g = *state;
	struct sl_ctl_event ev;
	struct gw_pkt p, out;

	/* for another host: not answered, not learned */
	arp(&p, 1, "198.51.100.40", "198.51.100.41", broadcast, 0);
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_L2_NOT_MINE);
	assert_false(heard(g, &ev));
	/* an announcement renews, but teaches nothing new */
	arp(&p, 1, "198.51.100.40", "198.51.100.40", broadcast, 0);
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_L2_NOT_MINE);
	assert_true(heard(g, &ev));
	assert_int_equal(ev.request, 0);
	/* a probe (no sender) is answered and not learned */
	arp(&p, 1, "0.0.0.0", GW_OUT4, broadcast, 0);
	send(g, GW_OUTSIDE, &p);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	assert_false(heard(g, &ev));
	/* a sender from nowhere is answered and not learned */
	arp(&p, 1, "10.1.1.1", GW_OUT4, broadcast, 0);
	send(g, GW_OUTSIDE, &p);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	assert_false(heard(g, &ev));
	/* nobody takes our address */
	arp(&p, 2, GW_OUT4, GW_OUT4, broadcast, 0);
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_LOCAL_CONSUMED);
	assert_false(heard(g, &ev));
}

static void
test_arp_reply(void **state)
{
	struct gw *g = *state;
	struct sl_ctl_event ev;
	struct gw_pkt p;
	unsigned n;

	arp(&p, 2, "198.51.100.9", GW_OUT4, gw_mac[0], 0);
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_LOCAL_CONSUMED);
	assert_true(heard(g, &ev));
	assert_int_equal(ev.solicited, 1);
	assert_int_equal(ev.override, 1);
	assert_int_equal(ev.request, 0);
	for (n = 0; n < 28; n++) {
		arp(&p, 2, "198.51.100.9", GW_OUT4, gw_mac[0], 0);
		p.len = 14 + n;
		gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_IP_HEADER);
	}
	assert_false(heard(g, &ev));
}

/* NS or NA as the outside makes them. */
static void
nd(struct gw_pkt *p, unsigned type, const char *src, const char *dst, const char *target,
   bool option)
{
	uint8_t b[32] = {(uint8_t)type}, ip[40];
	struct sl_ip t;
	uint16_t c;
	unsigned n = option ? 32 : 24;

	sl_ip_parse(target, &t);
	if (type == 136)
		b[4] = 0x60;
	memcpy(b + 8, t.b, 16);
	b[24] = type == 135 ? 1 : 2;
	b[25] = 1;
	memcpy(b + 26, asker, 6);
	gw_ip(p, src, dst, 58, b, n);
	p->b[7] = 255;
	memcpy(ip, p->b, 40);
	c = gw_csum(p->b + 8, 32 + n, 58 + n);
	p->b[42] = (uint8_t)(c >> 8);
	p->b[43] = (uint8_t)c;
}

static void
nd_frame(struct gw_pkt *p, unsigned type, const char *src, const char *dst, const char *target,
	 bool option)
{
	const uint8_t group[6] = {0x33, 0x33, 0xff, 0, 0, 1};

	nd(p, type, src, dst, target, option);
	gw_eth(p, dst[0] == 'f' && dst[1] == 'f' ? group : gw_mac[0], 0);
	memcpy(p->b + 6, asker, 6);
}

#define SOLICITED "ff02::1:ff00:1"

static void
expect_advert(struct gw *g, const uint8_t *mac, const char *dst, const char *target, uint8_t flags)
{
	struct sl_ip d, t;
	struct gw_pkt out;

	sl_ip_parse(dst, &d);
	sl_ip_parse(target, &t);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	assert_int_equal(out.len, 14 + 40 + 32);
	assert_memory_equal(out.b, mac, 6);
	assert_memory_equal(out.b + 6, gw_mac[0], 6);
	gw_pull(&out, 14);
	assert_int_equal(out.b[7], 255);
	assert_memory_equal(out.b + 8, t.b, 16);
	assert_memory_equal(out.b + 24, d.b, 16);
	assert_int_equal(out.b[40], 136);
	assert_int_equal(out.b[44] & 0x60, flags);
	assert_memory_equal(out.b + 48, t.b, 16);
	assert_memory_equal(out.b + 66, gw_mac[0], 6);
	assert_int_equal(gw_csum(out.b + 8, out.len - 8, 58 + 32), 0);
}

static void
test_nd_solicit(void **state)
{
	struct gw *g = *state;
	const uint8_t all[6] = {0x33, 0x33, 0, 0, 0, 1};
	struct sl_ctl_event ev;
	struct gw_pkt p;

	nd_frame(&p, 135, "2001:db8:51::40", SOLICITED, GW_OUT6, true);
	send(g, GW_OUTSIDE, &p);
	expect_advert(g, asker, "2001:db8:51::40", GW_OUT6, 0x60);
	assert_true(heard(g, &ev));
	assert_int_equal(ev.request, 1);
	/* unicast, from a link-local address, without the option */
	nd_frame(&p, 135, "fe80::40", GW_OUT6, GW_OUT6, false);
	send(g, GW_OUTSIDE, &p);
	expect_advert(g, asker, "fe80::40", GW_OUT6, 0x60);
	assert_true(heard(g, &ev));
	assert_memory_equal(ev.mac, asker, 6);
	/* duplicate address detection: all nodes hear that it is taken */
	nd_frame(&p, 135, "::", SOLICITED, GW_OUT6, false);
	send(g, GW_OUTSIDE, &p);
	expect_advert(g, all, "ff02::1", GW_OUT6, 0x20);
	assert_false(heard(g, &ev));
	/* our link-local address */
	nd_frame(&p, 135, "fe80::40", SOLICITED, "fe80::ff:fe00:1", true);
	send(g, GW_OUTSIDE, &p);
	expect_advert(g, asker, "fe80::40", "fe80::ff:fe00:1", 0x60);
	assert_int_equal(gw_all_drops(g), 0);
}

static void
test_nd_other(void **state)
{
	struct gw *g = *state;
	struct sl_ctl_event ev;
	struct gw_pkt p;

	nd_frame(&p, 135, "fe80::40", SOLICITED, "2001:db8:51::99", true);
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_L2_NOT_MINE);
	nd_frame(&p, 136, "2001:db8:51::9", GW_OUT6, "2001:db8:51::9", true);
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_LOCAL_CONSUMED);
	assert_true(heard(g, &ev));
	assert_int_equal(ev.solicited, 1);
	assert_int_equal(ev.override, 1);
	assert_int_equal(ev.request, 0);
	nd_frame(&p, 136, "fe80::9", "fe80::ff:fe00:1", "2001:db8:51::9", true);
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_LOCAL_CONSUMED);
	assert_true(heard(g, &ev));
	nd_frame(&p, 136, "2001:db8:51::9", GW_OUT6, "2001:db8:51::9", true);
	p.b[14 + 42] ^= 1;
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_IP_HEADER);
	nd(&p, 135, "2001:db8:51::9", GW_OUT6, GW_OUT6, true);
	p.b[7] = 254; /* came over a router */
	gw_eth(&p, gw_mac[0], 0);
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_IP_HEADER);
	nd_frame(&p, 134, "fe80::1", "ff02::1", "::", true); /* router advertisement */
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_LOCAL_CONSUMED);
	assert_false(heard(g, &ev));
}

static void
expect_echo(struct gw *g, unsigned port, const struct gw_pkt *p)
{
	const bool v6 = p->b[14] >> 4 == 6;
	const unsigned src = v6 ? 22 : 26, n = v6 ? 16 : 4, icmp = v6 ? 54 : 34;
	struct gw_pkt out;

	assert_true(gw_out(g, port, &out));
	assert_int_equal(out.len, p->len);
	assert_memory_equal(out.b, p->b + 6, 6);
	assert_memory_equal(out.b + 6, p->b, 6);
	assert_memory_equal(out.b + src, p->b + src + n, n);
	assert_memory_equal(out.b + src + n, p->b + src, n);
	assert_int_equal(out.b[icmp], v6 ? 129 : 0);
	assert_memory_equal(out.b + icmp + 4, p->b + icmp + 4, p->len - icmp - 4);
	if (v6)
		assert_int_equal(gw_csum(out.b + 22, out.len - 22, 58 + out.len - 54), 0);
	else
		assert_int_equal(gw_csum(out.b + 34, out.len - 34, 0), 0);
}

static void
test_echo(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p;
	unsigned n;

	for (n = 0; n < 1400; n += 99) {
		gw_echo(&p, GW_CLIENT, GW_OUT4, n);
		gw_eth(&p, gw_mac[0], 0);
		send(g, GW_OUTSIDE, &p);
		expect_echo(g, GW_OUTSIDE, &p);
		gw_echo(&p, GW_SERVER6, "fd00:20::1", n);
		gw_eth(&p, gw_mac[1], 0);
		send(g, GW_INSIDE, &p);
		expect_echo(g, GW_INSIDE, &p);
	}
	assert_int_equal(gw_all_drops(g), 0);
	gw_echo(&p, GW_CLIENT, GW_OUT4, 50);
	p.b[60] ^= 1;
	gw_eth(&p, gw_mac[0], 0);
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_L4_CHECKSUM);
	gw_echo(&p, GW_CLIENT, GW_OUT4, 50);
	p.b[6] = 0x20; /* a fragment */
	gw_fix4(&p);
	gw_eth(&p, gw_mac[0], 0);
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_FRAG_OUTER);
	gw_echo(&p, GW_CLIENT, GW_OUT4, 50);
	p.b[20] = 3; /* an ICMP error about us */
	gw_eth(&p, gw_mac[0], 0);
	gw_expect_drop(g, GW_OUTSIDE, &p, SL_DROP_LOCAL_CONSUMED);
}

/* Echo: 100 at once, then 1,000 a second. */
static void
test_rate(void **state)
{
	struct gw *g = *state;
	unsigned n, answered = 0;
	struct gw_pkt p, out;

	gw_echo(&p, GW_CLIENT, GW_OUT4, 50);
	gw_eth(&p, gw_mac[0], 0);
	for (n = 0; n < 150; n++)
		gw_in(g, GW_OUTSIDE, 0, &p);
	gw_poll(g);
	while (gw_out(g, GW_OUTSIDE, &out))
		answered++;
	assert_int_equal(answered, 100);
	assert_int_equal(gw_drops(g, SL_DROP_RATE_LOCAL), 50);
	for (n = 0; n < 64; n++) { /* in odd steps, nothing is lost to rounding */
		g->now_ns += 999999 + n % 3;
		send(g, GW_OUTSIDE, &p);
	}
	for (answered = 0; gw_out(g, GW_OUTSIDE, &out); answered++)
		;
	assert_true(answered >= 63);
}

/* Whoever can ping us must not be able to make us silent to our neighbours, nor on other ports. */
static void
test_rates_apart(void **state)
{
	const uint8_t lan[6] = {2, 0xbb, 0, 0, 0, 9};
	struct gw *g = *state;
	struct gw_pkt p, out;
	unsigned n;

	gw_echo(&p, GW_CLIENT, GW_OUT4, 50);
	gw_eth(&p, gw_mac[0], 0);
	for (n = 0; n < 300; n++)
		send(g, GW_OUTSIDE, &p);
	while (gw_out(g, GW_OUTSIDE, &out))
		;
	assert_int_equal(gw_drops(g, SL_DROP_RATE_LOCAL), 200);
	arp(&p, 1, "198.51.100.40", GW_OUT4, broadcast, 0);
	send(g, GW_OUTSIDE, &p);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	nd_frame(&p, 135, "2001:db8:51::40", SOLICITED, GW_OUT6, true);
	send(g, GW_OUTSIDE, &p);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
	gw_echo(&p, GW_SERVER4, "10.20.0.1", 50);
	gw_eth(&p, gw_mac[1], 0);
	memcpy(p.b + 6, lan, 6);
	send(g, GW_INSIDE, &p);
	assert_true(gw_out(g, GW_INSIDE, &out));
	assert_true(sl_worker_may_answer(g->dp->worker[0])); /* ICMP errors for tunnels */
	/* neighbours of one port do not silence us on another */
	arp(&p, 2, "10.20.0.9", "10.20.0.1", gw_mac[1], 0);
	for (n = 0; n < 300; n++)
		send(g, GW_INSIDE, &p);
	assert_int_equal(gw_drops(g, SL_DROP_RATE_LOCAL), 200 + 100);
	assert_int_equal(g->dp->worker[0]->tell_lost, 0);
	arp(&p, 1, "198.51.100.40", GW_OUT4, broadcast, 0);
	send(g, GW_OUTSIDE, &p);
	assert_true(gw_out(g, GW_OUTSIDE, &out));
}

static void
test_deaf_control(void **state)
{
	struct gw *g = *state;
	struct gw_pkt p;
	unsigned n;

	arp(&p, 2, "198.51.100.9", GW_OUT4, gw_mac[0], 0);
	for (n = 0; n < 300; n++) {
		gw_in(g, GW_OUTSIDE, 0, &p);
		gw_later(g, SL_NS_PER_MS);
	}
	assert_int_equal(g->dp->worker[0]->tell_lost, 300 - 256);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_arp_request),	 CASE(test_arp_vlan),	CASE(test_arp_other),
		CASE(test_arp_reply),	 CASE(test_nd_solicit), CASE(test_nd_other),
		CASE(test_echo),	 CASE(test_rate),	CASE(test_rates_apart),
		CASE(test_deaf_control),
	};

	eal_start("test_pipeline_rx_host");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
