/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes, next hops and neighbours: what stands in which table, what is sent as a probe, what a
 * worker's events bring about. The bytes of probes are checked by position, without lib/wire. */
#include "gw_fixture.h"

static struct fx fx;
static const uint8_t MAC[6] = {2, 0, 0, 0, 9, 9};

static int
setup(void **state)
{
	fx_init(&fx);
	fx_open(&fx);
	fx_ports(&fx);
	fx_iface(&fx, "wg0", 51820);
	*state = &fx;
	return 0;
}

static int
teardown(void **state)
{
	fx_fini(*state);
	return 0;
}

#define ROUTE(...) sl_gw_route_add(f->gw, &(struct sl_gw_route_spec){__VA_ARGS__}, &f->e)

static uint32_t
underlay(struct fx *f, const char *ip)
{
	return fx_lookup(&fx_root(f)->underlay4, &fx_root(f)->underlay6, ip);
}

static uint32_t
vrf(struct fx *f, const char *iface, const char *ip)
{
	const struct sl_iface_view *v = fx_view(f, iface);

	return fx_lookup(&v->routes4, &v->routes6, ip);
}

static struct sl_nh_copy
nh(struct fx *f, uint32_t id)
{
	struct sl_nh_copy c;

	sl_nh_read(f->dp->nhs, id, &c);
	return c;
}

static void
pass(struct fx *f, uint64_t ns)
{
	uint64_t end = f->now_ns + ns;

	while (f->now_ns < end) {
		f->now_ns += SL_TICK_NS;
		f->wall_ns += SL_TICK_NS;
		sl_gw_poll(f->gw);
	}
}

static void
seen(struct fx *f, const char *port, const char *ip, bool solicited)
{
	struct sl_ctl_event ev = {.type = SL_EV_NEIGH_SEEN,
				  .solicited = solicited,
				  .override = 1,
				  .ip = fx_ip(ip)};

	ev.request = !solicited;
	ev.att = fx_root(f)->port[strcmp(port, "lan") == 0].att[0];
	memcpy(ev.mac, MAC, 6);
	fx_event(f, 1, &ev);
	sl_gw_poll(f->gw);
}

static void
want(struct fx *f, const char *ip)
{
	struct sl_ctl_event ev = {.type = SL_EV_NEIGH_WANT, .ip = fx_ip(ip)};

	ev.att = fx_root(f)->port[1].att[0];
	fx_event(f, 2, &ev); /* an io lcore */
	sl_gw_poll(f->gw);
}

static void
test_connected(void **state)
{
	struct fx *f = *state;
	uint32_t wan = underlay(f, "192.0.2.77"), lan = underlay(f, "10.20.0.77");

	assert_int_equal(nh(f, wan).type, SL_NH_GLEAN);
	assert_int_equal(nh(f, wan).port, 0);
	assert_int_equal(nh(f, lan).type, SL_NH_GLEAN);
	assert_int_equal(nh(f, lan).port, 1);
	assert_int_equal(underlay(f, "2001:db8::77"), wan);
	assert_int_not_equal(underlay(f, "10.7.0.9"), lan); /* the VLAN */
	assert_int_equal(underlay(f, "10.9.0.1"), SL_LPM_NONE);
	assert_int_equal(underlay(f, "fe80::1"), SL_LPM_NONE);
	/* an interface has the networks of its inside alone */
	assert_int_equal(vrf(f, "wg0", "10.20.0.77"), lan);
	assert_int_equal(vrf(f, "wg0", "fd20::5"), lan);
	assert_int_equal(vrf(f, "wg0", "192.0.2.77"), SL_LPM_NONE);
	assert_int_equal(vrf(f, "wg0", "10.7.0.9"), SL_LPM_NONE);
}

static void
addresses(struct fx *f, const char *a, const char *b)
{
	struct sl_prefix p[2] = {fx_prefix(a), fx_prefix(b)};
	struct sl_gw_iface_spec s = {.name = "wg0",
				     .fields = SL_IF_ADDRESSES,
				     .addresses = p,
				     .n_addresses = 2};

	assert_int_equal(sl_gw_iface_set(f->gw, &s, &f->e), 0);
}

/* A tunnel's network is its own: what no peer has there must not leave in clear by another route.
 */
static void
test_own_network(void **state)
{
	struct fx *f = *state;
	struct sl_prefix net = fx_prefix("10.66.0.0/16");

	addresses(f, "10.66.0.1/16", "fd66::1/64");
	assert_int_equal(ROUTE(.prefix = fx_prefix("0.0.0.0/0"), .via = fx_ip("10.20.0.254"),
			       .iface = "wg0"),
			 0);
	assert_int_equal(nh(f, vrf(f, "wg0", "8.8.8.8")).type, SL_NH_HOST);
	assert_int_equal(nh(f, vrf(f, "wg0", "10.66.9.9")).type, SL_NH_UNREACHABLE);
	assert_int_equal(nh(f, vrf(f, "wg0", "fd66::9")).type, SL_NH_UNREACHABLE);
	assert_int_equal(underlay(f, "10.66.9.9"), SL_LPM_NONE);
	/* who says so wins */
	assert_int_equal(ROUTE(.prefix = fx_prefix("10.66.7.0/24"), .via = fx_ip("10.20.0.254"),
			       .iface = "wg0"),
			 0);
	assert_int_equal(nh(f, vrf(f, "wg0", "10.66.7.9")).type, SL_NH_HOST);
	assert_int_equal(ROUTE(.prefix = net, .via = fx_ip("10.20.0.254"), .iface = "wg0"), 0);
	assert_int_equal(nh(f, vrf(f, "wg0", "10.66.9.9")).type, SL_NH_HOST);
	assert_int_equal(sl_gw_route_del(f->gw, &net, "wg0", &f->e), 0);
	assert_int_equal(nh(f, vrf(f, "wg0", "10.66.9.9")).type, SL_NH_UNREACHABLE);
	/* other addresses, one of them in the network of the inside */
	addresses(f, "10.67.0.1/16", "10.20.0.200/24");
	assert_int_equal(nh(f, vrf(f, "wg0", "10.66.9.9")).type, SL_NH_HOST);
	assert_int_equal(nh(f, vrf(f, "wg0", "10.67.9.9")).type, SL_NH_UNREACHABLE);
	assert_int_equal(nh(f, vrf(f, "wg0", "10.20.0.9")).type, SL_NH_GLEAN);
	assert_int_equal(vrf(f, "wg0", "fd66::9"), SL_LPM_NONE);
}

static void
test_static(void **state)
{
	struct fx *f = *state;
	uint8_t frame[64];
	uint32_t hop;

	/* a default route of all leads out of the wan: not in the interface, whose inside is lan */
	assert_int_equal(ROUTE(.prefix = fx_prefix("0.0.0.0/0"), .via = fx_ip("192.0.2.254")), 0);
	hop = underlay(f, "8.8.8.8");
	assert_int_equal(nh(f, hop).type, SL_NH_HOST);
	assert_int_equal(nh(f, hop).state, SL_NH_INCOMPLETE);
	assert_int_equal(vrf(f, "wg0", "8.8.8.8"), SL_LPM_NONE);
	assert_int_equal(fx_frame(f, frame, sizeof(frame), NULL), 60); /* asked at once */
	/* its neighbour answers: the same next hop becomes usable */
	seen(f, "wan", "192.0.2.254", true);
	assert_int_equal(nh(f, hop).state, SL_NH_USABLE);
	assert_memory_equal(nh(f, hop).l2, MAC, 6);
	assert_memory_equal(nh(f, hop).l2 + 6, f->wan.mac, 6);
	assert_int_equal(nh(f, hop).l2_len, 14);
	assert_int_equal(underlay(f, "192.0.2.254"), hop); /* and a host route */
	/* one of the interface, of which the underlay knows nothing */
	assert_int_equal(ROUTE(.prefix = fx_prefix("10.30.0.0/16"), .via = fx_ip("10.20.0.254"),
			       .iface = "wg0"),
			 0);
	assert_int_equal(underlay(f, "10.30.1.1"), hop);
	assert_int_equal(nh(f, vrf(f, "wg0", "10.30.1.1")).port, 1);
	/* the interface's own route goes before that of all */
	assert_int_equal(ROUTE(.prefix = fx_prefix("10.31.0.0/16"), .blackhole = true), 0);
	assert_int_equal(nh(f, underlay(f, "10.31.0.1")).type, SL_NH_BLACKHOLE);
	assert_int_equal(nh(f, vrf(f, "wg0", "10.31.0.1")).type, SL_NH_BLACKHOLE);
	assert_int_equal(ROUTE(.prefix = fx_prefix("10.31.0.0/16"), .via = fx_ip("10.20.0.253"),
			       .iface = "wg0"),
			 0);
	assert_int_equal(nh(f, vrf(f, "wg0", "10.31.0.1")).type, SL_NH_HOST);
	assert_int_equal(sl_gw_route_del(f->gw, &(struct sl_prefix){fx_ip("10.31.0.0"), 16}, "wg0",
					 &f->e),
			 0);
	assert_int_equal(nh(f, vrf(f, "wg0", "10.31.0.1")).type, SL_NH_BLACKHOLE);
	/* adding again replaces */
	assert_int_equal(ROUTE(.prefix = fx_prefix("0.0.0.0/0"), .via = fx_ip("192.0.2.253")), 0);
	assert_int_not_equal(underlay(f, "8.8.8.8"), hop);
	assert_int_equal(sl_gw_route_del(f->gw, &(struct sl_prefix){fx_ip("0.0.0.0"), 0}, NULL,
					 &f->e),
			 0);
	assert_int_equal(underlay(f, "8.8.8.8"), SL_LPM_NONE);
}

static void
test_inside_moves(void **state)
{
	struct fx *f = *state;
	struct sl_gw_iface_spec s = {.name = "wg0",
				     .fields = SL_IF_INSIDE,
				     .inside_port = "lan",
				     .inside_vlan = 7};
	uint32_t hop;

	assert_int_equal(ROUTE(.prefix = fx_prefix("10.30.0.0/16"), .via = fx_ip("10.20.0.254"),
			       .iface = "wg0"),
			 0);
	want(f, "10.20.0.9");
	seen(f, "lan", "10.20.0.9", true);
	hop = vrf(f, "wg0", "10.20.0.9");
	assert_int_equal(nh(f, hop).type, SL_NH_HOST);
	assert_int_equal(sl_gw_iface_set(f->gw, &s, &f->e), 0);
	assert_int_equal(vrf(f, "wg0", "10.20.0.9"), SL_LPM_NONE);
	assert_int_equal(vrf(f, "wg0", "10.30.0.1"), SL_LPM_NONE);
	assert_int_equal(nh(f, vrf(f, "wg0", "10.7.0.9")).type, SL_NH_GLEAN);
	assert_int_equal(nh(f, vrf(f, "wg0", "10.7.0.9")).l2_len, 18);
	assert_int_equal(underlay(f, "10.20.0.9"), hop);
	s.inside_vlan = 0;
	assert_int_equal(sl_gw_iface_set(f->gw, &s, &f->e), 0);
	assert_int_equal(vrf(f, "wg0", "10.20.0.9"), hop); /* known neighbours come along */
	assert_int_not_equal(vrf(f, "wg0", "10.30.0.1"), SL_LPM_NONE);
	/* an interface that goes takes its routes with it */
	assert_int_equal(sl_gw_iface_del(f->gw, "wg0", &f->e), 0);
	fx_iface(f, "wg0", 51820);
	assert_int_equal(vrf(f, "wg0", "10.30.0.1"), SL_LPM_NONE);
	assert_int_equal(vrf(f, "wg0", "10.20.0.9"), hop);
}

static void
test_probe_bytes(void **state)
{
	static const uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,	0,  0, 0,
					0,    2,    8,	  6, /* Ethernet */
					0,    1,    8,	  0,	6,    4,    0,	1,  2, 0,
					0,    0,    0,	  2,	10,   20,   0,	1, /* who asks */
					0,    0,    0,	  0,	0,    0,    10, 20, 0, 9};
	static const uint8_t ns_mac[6] = {0x33, 0x33, 0xff, 0, 0, 9};
	struct fx *f = *state;
	struct sl_meta meta;
	uint8_t p[128];

	want(f, "10.20.0.9");
	assert_int_equal(fx_frame(f, p, sizeof(p), &meta), 60);
	assert_memory_equal(p, arp, sizeof(arp));
	assert_int_equal(meta.next, SL_NEXT_L2);
	assert_int_equal(meta.port, 1);
	/* IPv6: to the solicited-node group, hop limit 255, our address as source */
	want(f, "fd20::9");
	assert_int_equal(fx_frame(f, p, sizeof(p), &meta), 14 + 72);
	assert_memory_equal(p, ns_mac, 6);
	assert_int_equal(p[12] << 8 | p[13], 0x86dd);
	assert_int_equal(p[14 + 7], 255);
	assert_memory_equal(p + 14 + 8, fx_ip("fd20::1").b, 16);
	assert_memory_equal(p + 14 + 24, fx_ip("ff02::1:ff00:9").b, 16);
	assert_int_equal(p[14 + 40], 135);
	assert_memory_equal(p + 14 + 48, fx_ip("fd20::9").b, 16);
	/* on the VLAN the frame is tagged */
	assert_int_equal(ROUTE(.prefix = fx_prefix("10.99.0.0/16"), .via = fx_ip("10.7.0.9")), 0);
	assert_int_equal(fx_frame(f, p, sizeof(p), &meta), 60);
	assert_int_equal(p[12] << 8 | p[13], 0x8100);
	assert_int_equal(p[14] << 8 | p[15], 7);
	assert_int_equal(p[16] << 8 | p[17], 0x0806);
	assert_int_equal(fx_frame(f, p, sizeof(p), &meta), 0);
}

static void
test_glean_resolves(void **state)
{
	struct fx *f = *state;
	uint32_t glean = vrf(f, "wg0", "10.20.0.9"), hop;
	uint64_t generation = sl_gw_generation(f->gw);
	uint8_t p[64];

	want(f, "10.20.0.9");
	assert_int_equal(fx_frame(f, p, sizeof(p), NULL), 60);
	assert_int_equal(vrf(f, "wg0", "10.20.0.9"), glean);
	assert_int_equal(sl_gw_generation(f->gw), generation); /* nothing to publish yet */
	seen(f, "lan", "10.20.0.9", true);
	hop = vrf(f, "wg0", "10.20.0.9");
	assert_int_not_equal(hop, glean);
	assert_int_equal(nh(f, hop).state, SL_NH_USABLE);
	assert_int_equal(underlay(f, "10.20.0.9"), hop); /* every table with that network */
	assert_int_equal(vrf(f, "wg0", "10.20.0.10"), glean);
	/* unused: forgotten in the end, and the next hop freed after a grace period */
	pass(f, 700 * S);
	assert_int_equal(vrf(f, "wg0", "10.20.0.9"), glean);
	assert_int_equal(nh(f, hop).type, SL_NH_FREE);
}

static void
test_silence_fails(void **state)
{
	struct fx *f = *state;
	uint32_t glean = vrf(f, "wg0", "10.20.0.9"), hop;
	unsigned probes = 0;
	uint8_t p[64];

	want(f, "10.20.0.9");
	pass(f, 4 * S);
	while (fx_frame(f, p, sizeof(p), NULL) > 0)
		probes++;
	assert_int_equal(probes, 3);
	hop = vrf(f, "wg0", "10.20.0.9");
	assert_int_equal(nh(f, hop).state, SL_NH_FAILED); /* packets fail fast */
	pass(f, 30 * S);
	assert_int_equal(vrf(f, "wg0", "10.20.0.9"), glean);
}

static void
test_traffic_keeps_it(void **state)
{
	struct fx *f = *state;
	uint32_t hop;
	uint8_t p[64];
	unsigned i;

	want(f, "10.20.0.9");
	seen(f, "lan", "10.20.0.9", true);
	hop = vrf(f, "wg0", "10.20.0.9");
	while (fx_frame(f, p, sizeof(p), NULL) > 0)
		;
	for (i = 0; i < 100; i++) { /* stale after 30 s, then a unicast probe behind traffic */
		sl_nh_touch(f->dp->nhs, hop, sl_tick_of(f->now_ns));
		pass(f, S);
		if (fx_frame(f, p, sizeof(p), NULL) > 0) {
			assert_memory_equal(p, MAC, 6);
			seen(f, "lan", "10.20.0.9", true);
			break;
		}
	}
	assert_in_range(i, 30, 40);
	assert_int_equal(vrf(f, "wg0", "10.20.0.9"), hop);
}

static void
test_foreign_claims(void **state)
{
	struct fx *f = *state;
	uint32_t glean = vrf(f, "wg0", "10.20.0.9");

	seen(f, "lan", "10.20.0.9", true); /* an answer that nobody asked for */
	assert_int_equal(vrf(f, "wg0", "10.20.0.9"), glean);
	seen(f, "lan", "10.99.0.9", false); /* not in a connected network */
	assert_int_equal(vrf(f, "wg0", "10.99.0.9"), SL_LPM_NONE);
	seen(f, "lan", "10.20.0.1", false); /* our own address */
	assert_int_equal(vrf(f, "wg0", "10.20.0.1"), glean);
	want(f, "10.99.0.9");
	assert_int_equal(fx_frame(f, (uint8_t[64]){0}, 64, NULL), 0);
	seen(f, "lan", "10.20.0.9", false); /* a request to us teaches */
	assert_int_not_equal(vrf(f, "wg0", "10.20.0.9"), glean);
}

static void
count(void *ctx, const struct sl_gw_neigh_info *n)
{
	(*(unsigned *)ctx)++;
	assert_string_equal(n->port, "lan");
	assert_int_equal(n->n->state, SL_NEIGH_STATIC);
}

static void
test_operator(void **state)
{
	struct fx *f = *state;
	struct sl_ip ip = fx_ip("10.20.0.9");
	struct sl_prefix net = fx_prefix("10.30.0.0/16");
	uint32_t glean = vrf(f, "wg0", "10.20.0.9"), hop;
	unsigned n = 0;

	assert_int_equal(sl_gw_neigh_set(f->gw, "lan", 0, &ip, MAC, &f->e), 0);
	hop = vrf(f, "wg0", "10.20.0.9");
	assert_int_equal(nh(f, hop).state, SL_NH_USABLE);
	sl_gw_neigh_walk(f->gw, count, &n);
	assert_int_equal(n, 1);
	/* a route through it: removing the neighbour makes it resolve under the same next hop */
	assert_int_equal(ROUTE(.prefix = net, .via = ip, .iface = "wg0"), 0);
	assert_int_equal(vrf(f, "wg0", "10.30.0.1"), hop);
	assert_int_equal(sl_gw_neigh_del(f->gw, "lan", 0, &ip, &f->e), 0);
	assert_int_equal(vrf(f, "wg0", "10.30.0.1"), hop);
	assert_int_equal(nh(f, hop).state, SL_NH_INCOMPLETE);
	assert_int_equal(vrf(f, "wg0", "10.20.0.9"), glean);
	seen(f, "lan", "10.20.0.9", true);
	assert_int_equal(nh(f, hop).state, SL_NH_USABLE);
	assert_int_equal(vrf(f, "wg0", "10.20.0.9"), hop);
	/* pinned by the route: silence does not take it away */
	pass(f, 700 * S);
	assert_int_equal(vrf(f, "wg0", "10.30.0.1"), hop);
	assert_int_not_equal(nh(f, hop).type, SL_NH_FREE);
	assert_int_equal(sl_gw_route_del(f->gw, &net, "wg0", &f->e), 0);
	pass(f, 700 * S);
	assert_int_equal(vrf(f, "wg0", "10.20.0.9"), glean);
	assert_int_equal(nh(f, hop).type, SL_NH_FREE);
}

struct listing {
	unsigned connected, fixed;
};

static void
list(void *ctx, const struct sl_gw_route_info *r)
{
	struct listing *l = ctx;

	if (r->connected)
		l->connected++;
	else
		l->fixed++;
}

static void
test_listing(void **state)
{
	struct fx *f = *state;
	struct listing l = {0};

	assert_int_equal(ROUTE(.prefix = fx_prefix("10.31.0.0/16"), .blackhole = true), 0);
	sl_gw_route_walk(f->gw, list, &l);
	assert_int_equal(l.connected, 5);
	assert_int_equal(l.fixed, 1);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_connected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_network, setup, teardown),
		cmocka_unit_test_setup_teardown(test_static, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inside_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_probe_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_glean_resolves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_traffic_keeps_it, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_claims, setup, teardown),
		cmocka_unit_test_setup_teardown(test_operator, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listing, setup, teardown),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
