/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The next hop that a flow keeps for its packets from the tunnel, and those that the first packets
 * of flows find by network or address: used as long as the root is the same (a table changed behind
 * its back shows that), and void with each new root. What is not of the root, the state of next hop
 * and port, holds at once.
 */
#include "tx_fixture.h"

#include "../../unit/next_random.h"
#include "way.h"

#define ROOTS 12
#define PACKETS 128 /* a root */

static const struct fx_spec out4 = {.src = "10.7.0.2", .dst = "10.9.1.1", .df = true};
static const struct fx_spec out6 = {.src = "fd00:7::2", .dst = "fd00:a::10"};

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

static void
send(struct fx *x, const struct fx_spec *s)
{
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, s, 1));
}

/** The packet left for the inside by a VLAN, to a MAC. */
static void
leaves(struct fx *x, const struct fx_spec *s, uint16_t vlan, const char *mac)
{
	struct rte_mbuf *m;
	const uint8_t *p;

	send(x, s);
	m = fx_frame(x, 1);
	assert_non_null(m);
	p = rte_pktmbuf_mtod(m, const uint8_t *);
	assert_memory_equal(p, mac, 6);
	assert_int_equal(sl_load_be16(p + 14), vlan);
	rte_pktmbuf_free(m);
	fx_quiet(x);
}

static void
dropped(struct fx *x, const struct fx_spec *s, enum sl_drop why)
{
	send(x, s);
	assert_int_equal(fx_drops(x, why), 1);
	fx_quiet(x);
}

/** The one flow of the table. */
static struct sl_flow *
flow(struct fx *x)
{
	assert_int_equal(sl_flow_count(x->w->flows), 1);
	return sl_flow_get(x->w->flows, 0);
}

/** Its first packet keeps nothing, its second one does. */
static void
known(struct fx *x, const struct fx_spec *s)
{
	leaves(x, s, 7, FX_MAC_SERVER);
	assert_int_equal(flow(x)->nh, 0);
	leaves(x, s, 7, FX_MAC_SERVER);
	assert_int_equal(flow(x)->nh, FX_NH_SERVER);
	assert_int_equal(flow(x)->way_gen, x->root->generation);
}

static void
a_changed_route(void **state)
{
	struct fx *x = *state;

	known(x, &out4);
	fx_lpm(&x->f1->routes4, "10.9.1.0/24", FX_NH_SMALL);
	leaves(x, &out4, 7, FX_MAC_SERVER);
	fx_publish(x);
	leaves(x, &out4, 8, FX_MAC_SERVER);
	assert_int_equal(flow(x)->nh, FX_NH_SMALL);
	fx_lpm(&x->f1->routes4, "10.9.1.0/24", FX_NH_BLACKHOLE);
	leaves(x, &out4, 8, FX_MAC_SERVER);
	fx_publish(x);
	dropped(x, &out4, SL_DROP_NO_ROUTE);
	dropped(x, &out4, SL_DROP_NO_ROUTE);
	fx_lpm_del(&x->f1->routes4, "10.9.1.0/24");
	fx_publish(x);
	leaves(x, &out4, 7, FX_MAC_SERVER);
}

static void
a_route_that_goes(void **state)
{
	struct fx *x = *state;
	struct fx_sealed s;

	known(x, &out6);
	fx_lpm_del(&x->f1->routes6, "fd00:a::10/128");
	fx_lpm_del(&x->f1->routes6, "fd00:a::/64");
	leaves(x, &out6, 7, FX_MAC_SERVER);
	fx_publish(x);
	send(x, &out6);
	assert_int_equal(fx_drops(x, SL_DROP_NO_ROUTE), 1);
	fx_open(x, fx_frame(x, 0), 1, &s); /* the sender is told */
	fx_quiet(x);
}

static void
a_destination_that_becomes_a_peers(void **state)
{
	struct fx *x = *state;
	struct fx_sealed s;

	known(x, &out4);
	fx_lpm(&x->f1->peers4, "10.9.1.1/32", 2);
	leaves(x, &out4, 7, FX_MAC_SERVER);
	fx_publish(x);
	dropped(x, &out4, SL_DROP_ISOLATION);
	x->f1->isolation = false;
	fx_publish(x);
	send(x, &out4);
	fx_open(x, fx_frame(x, 0), 2, &s);
	fx_quiet(x);
	x->f1->isolation = true;
	fx_lpm_del(&x->f1->peers4, "10.9.1.1/32");
	fx_lpm(&x->f2->peers4, "10.9.1.1/32", 3); /* of another network on the same inside */
	fx_publish(x);
	dropped(x, &out4, SL_DROP_ISOLATION);
}

static void
a_destination_that_becomes_our_own(void **state)
{
	struct fx *x = *state;

	known(x, &out4);
	x->inside->addr[x->inside->n_addrs++] = (struct sl_prefix){fx_ip("10.9.1.1"), 32};
	leaves(x, &out4, 7, FX_MAC_SERVER);
	fx_publish(x);
	send(x, &out4);
	assert_null(fx_frame(x, 1));
	assert_int_equal(fx_drops(x, SL_DROP_NO_LISTENER), 1);
	rte_pktmbuf_free(fx_frame(x, 0)); /* the sender is told */
}

static void
an_interface_that_goes_down(void **state)
{
	struct fx *x = *state;

	known(x, &out4);
	x->f1->up = false;
	dropped(x, &out4, SL_DROP_NO_ROUTE);
	fx_publish(x);
	dropped(x, &out4, SL_DROP_NO_ROUTE);
}

/** These are no part of a root. */
static void
a_next_hop_or_port_that_changes(void **state)
{
	struct fx *x = *state;
	struct sl_nh_table *t = x->dp->nhs;
	struct sl_ip ip = fx_ip("10.0.0.10");
	struct fx_spec big = out4;
	struct fx_sealed s;

	known(x, &out4);
	sl_nh_write(t, FX_NH_SERVER, SL_NH_HOST, SL_NH_USABLE, x->inside, &ip,
		    (const uint8_t *)FX_MAC_ROUTER);
	leaves(x, &out4, 7, FX_MAC_ROUTER);
	x->w->tx[1].present = false;
	dropped(x, &out4, SL_DROP_PORT_DOWN);
	x->w->tx[1].present = true;
	sl_nh_write(t, FX_NH_SERVER, SL_NH_HOST, SL_NH_USABLE, x->small, &ip,
		    (const uint8_t *)FX_MAC_ROUTER);
	leaves(x, &out4, 8, FX_MAC_ROUTER);
	big.len = 601;
	send(x, &big);
	assert_int_equal(fx_drops(x, SL_DROP_MTU), 1);
	fx_open(x, fx_frame(x, 0), 1, &s);
	sl_nh_write(t, FX_NH_SERVER, SL_NH_HOST, SL_NH_FAILED, x->inside, &ip, NULL);
	send(x, &out4);
	assert_int_equal(fx_drops(x, SL_DROP_NEIGH_FAILED), 1);
	fx_open(x, fx_frame(x, 0), 1, &s);
	sl_nh_write(t, FX_NH_SERVER, SL_NH_BLACKHOLE, SL_NH_USABLE, NULL, NULL, NULL);
	dropped(x, &out4, SL_DROP_NO_ROUTE);
	sl_nh_write(t, FX_NH_SERVER, SL_NH_HOST, SL_NH_INCOMPLETE, x->inside, &ip, NULL);
	send(x, &out4);
	assert_int_equal(x->w->n_wait, 1);
	fx_quiet(x);
}

static void
a_verdict_that_changes(void **state)
{
	struct fx *x = *state;

	known(x, &out4);
	x->root->authz.deflt = SL_MODE_ENFORCE;
	fx_publish(x);
	dropped(x, &out4, SL_DROP_NO_ROLE);
	x->root->authz.deflt = SL_MODE_OBSERVE;
	fx_publish(x);
	leaves(x, &out4, 7, FX_MAC_SERVER);
}

static void
ttl_is_still_looked_at(void **state)
{
	struct fx *x = *state;
	struct fx_spec last = out4;
	struct fx_sealed s;

	known(x, &out4);
	last.ttl = 1;
	send(x, &last);
	assert_int_equal(fx_drops(x, SL_DROP_TTL), 1);
	fx_open(x, fx_frame(x, 0), 1, &s);
	fx_quiet(x);
}

/** The next hop is of one direction: what would go back does not take it. */
static void
the_other_direction(void **state)
{
	struct fx *x = *state;
	struct fx_spec back = {.src = out4.dst, .dst = out4.src, .sport = 7, .dport = 9};
	struct fx_spec there = out4;

	there.sport = 9;
	there.dport = 7;
	known(x, &there);
	dropped(x, &back, SL_DROP_ISOLATION);
	dropped(x, &back, SL_DROP_ISOLATION);
	assert_int_equal(sl_flow_count(x->w->flows), 1);
	leaves(x, &there, 7, FX_MAC_SERVER);
}

/** Between authz and forward the place of a flow may have become another one's. */
static void
the_place_of_another_flow(void **state)
{
	static const struct fx_spec others[] = {
		{.src = "10.7.0.2", .dst = "10.9.1.2"},
		{.src = "10.7.0.3", .dst = "10.9.1.1"},
		{.src = "fd00:7::2", .dst = "fd00:a::10"},
	};
	struct fx *x = *state;
	struct rte_mbuf *m;
	unsigned i;

	leaves(x, &out4, 7, FX_MAC_SERVER);
	for (i = 0; i <= SL_ARRAY_SIZE(others); i++) {
		m = fx_tunnel(x, i < SL_ARRAY_SIZE(others) ? &others[i] : &out4, 1);
		sl_meta(m)->nh = 0; /* as stage authz does */
		sl_meta(m)->flow = 1;
		fx_run(x, SL_NODE_FORWARD, m);
		rte_pktmbuf_free(fx_frame(x, 1));
		assert_int_equal(flow(x)->nh, i < SL_ARRAY_SIZE(others) ? 0 : FX_NH_SERVER);
	}
}

static void
a_network_that_another_flow_went_to(void **state)
{
	static const struct fx_spec there = {.src = "10.7.0.2", .dst = "10.9.1.2", .df = true},
				    beside = {.src = "10.7.0.2", .dst = "10.9.2.1", .df = true};
	struct fx *x = *state;

	leaves(x, &out4, 7, FX_MAC_SERVER);
	fx_lpm(&x->f1->routes4, "10.9.0.0/16", FX_NH_SMALL);
	leaves(x, &there, 7, FX_MAC_SERVER);
	leaves(x, &beside, 8, FX_MAC_SERVER);
	fx_publish(x);
	leaves(x, &there, 8, FX_MAC_SERVER);
}

/** What became of the first packet of a flow: the VLAN by which it left, or why it did not. */
static unsigned
end_of_first(struct fx *x, uint32_t dst, unsigned serial)
{
	struct fx_spec s = {.src = "10.7.0.2", .sport = (uint16_t)(1024 + serial), .dport = 1};
	unsigned why, end = 0;
	char text[32];
	struct rte_mbuf *m;

	snprintf(text, sizeof(text), "10.9.%u.%u", dst >> 8 & 15, dst & 0xff);
	s.dst = text;
	send(x, &s);
	m = fx_frame(x, 1);
	if (m != NULL)
		end = sl_load_be16(rte_pktmbuf_mtod(m, const uint8_t *) + 14);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(fx_frame(x, 0)); /* its sender is told */
	for (why = 1; why < SL_DROP_MAX; why++)
		end += 1000 * why * (unsigned)fx_drops(x, why);
	fx_quiet(x);
	assert_int_not_equal(end, 0);
	return end;
}

static void
random_prefix(struct sl_lpm *t, uint64_t *seed, unsigned least, uint32_t value)
{
	unsigned r = (unsigned)(next_random(seed) >> 32), len = least + r % (33 - least);
	char text[32];

	snprintf(text, sizeof(text), "10.9.%u.%u/%u", r >> 8 & 15, r >> 16 & 0xff, len);
	fx_lpm(t, text, value);
}

static void
random_root(struct fx *x, uint64_t *seed)
{
	static const enum fx_nh to[] = {FX_NH_SERVER, FX_NH_SMALL, FX_NH_BLACKHOLE};
	uint8_t own[4] = {10, 9, next_random(seed) & 15, next_random(seed) & 0xe0};

	random_prefix(&x->f1->routes4, seed, 17, to[next_random(seed) % 3]);
	random_prefix(&x->f1->routes4, seed, 24, to[next_random(seed) % 3]);
	random_prefix(&x->f1->peers4, seed, 27, 2);
	random_prefix(&x->f2->peers4, seed, 27, 3);
	x->inside->addr[x->inside->n_addrs - 1] = (struct sl_prefix){sl_ip_v4(own), 32};
	fx_publish(x);
}

/** Is the way to an address known, and if so by its network or for it alone? */
static void
count_known(struct fx *x, const uint8_t *dst, unsigned n[2])
{
	uint64_t net;

	sl_ways_of_root(x->w);
	net = x->w->ways.net[sl_way_at(1, sl_load_be32(dst) >> SL_WAY_HOST_BITS)];
	if (sl_way_get(x->w, 4, 1, dst) != 0)
		n[(net & UINT16_MAX) == 0]++;
}

/** Routes, peers and own addresses that share networks: with what is known as without. */
static void
what_is_known_as_without_it(void **state)
{
	static const struct sl_ways none;
	uint64_t seed = 20;
	struct fx *x = *state;
	unsigned i, with, known[2] = {0};
	struct sl_ways ways;
	uint8_t dst[4];

	x->inside->n_addrs++;
	for (i = 0; i < ROOTS * PACKETS; i++) {
		if (i % PACKETS == 0)
			random_root(x, &seed);
		sl_store_be32(dst, UINT32_C(0x0a090000) | (next_random(&seed) >> 40 & 0xfe0));
		if (i % 4 == 0) /* an address of the gateway, or beside it */
			memcpy(dst, x->inside->addr[x->inside->n_addrs - 1].ip.b, 4);
		dst[3] ^= i % 8 == 0;
		count_known(x, dst, known);
		with = end_of_first(x, sl_load_be32(dst), 2 * i);
		ways = x->w->ways;
		x->w->ways = none;
		assert_int_equal(end_of_first(x, sl_load_be32(dst), 2 * i + 1), with);
		x->w->ways = ways;
	}
	assert_true(known[0] > 2 * ROOTS && known[1] > 2 * ROOTS);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(a_changed_route),
		T(a_route_that_goes),
		T(a_destination_that_becomes_a_peers),
		T(a_destination_that_becomes_our_own),
		T(an_interface_that_goes_down),
		T(a_next_hop_or_port_that_changes),
		T(a_verdict_that_changes),
		T(ttl_is_still_looked_at),
		T(the_other_direction),
		T(the_place_of_another_flow),
		T(a_network_that_another_flow_went_to),
		T(what_is_known_as_without_it),
	};

	eal_start("test_tx_way");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
