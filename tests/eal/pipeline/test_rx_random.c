/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of all kinds at random, right, almost right and wrong, on both ports of gateways of one to
 * four data lcores. Whatever comes in, what leaves must be well-formed; a plain frame has the
 * source of a peer or of the gateway, and what is sealed for a peer is for its AllowedIPs. Every
 * buffer comes back. With the address sanitizer, bytes behind a frame must not be touched.
 *
 * SL_RANDOM_SECONDS and SL_RANDOM_SEED make other runs of it.
 */
#include <stdlib.h>
#include <time.h>

#include "eal_main.h"
#include "gw_fixture.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define POLLS 300
#define FRAME_MAX 2000
#define TIGHT 1023

struct world {
	struct gw *g;
	struct gw_session s[GW_PEERS + 1];
	struct sl_att small; /* the inside with another MTU */
	uint32_t nh;	     /* default route of the interfaces */
	unsigned long in, out;
};

static uint64_t seed = 1;
static struct rte_mempool *tight; /* buffers whose bytes behind the frame are poisoned */

static const char *const peer4[] = {NULL, "10.8.0.2", "10.8.0.3", "10.9.0.2"};
static const char *const peer6[] = {NULL, "fd00:8::2", "fd00:8::3", "fd00:8::3"};
static const char *const any4[] = {GW_CLIENT,	GW_OUT4,       "203.0.113.1",	 "10.20.0.1",
				   GW_SERVER4,	"10.20.0.77",  "10.8.0.1",	 "10.8.0.2",
				   "10.8.0.3",	"10.8.50.7",   "10.8.0.99",	 "10.9.0.2",
				   "10.9.0.1",	"8.8.8.8",     "224.0.0.1",	 "0.0.0.0",
				   "127.0.0.1", "10.20.0.255", "255.255.255.255"};
static const char *const any6[] = {GW_CLIENT6,	"fd00:20::1",  GW_OUT6,	  GW_SERVER6,
				   "fd00:8::1", "fd00:8::2",   "fe80::1", "ff02::1:ff00:1",
				   "fd00:8::3", "fd00:8::99",  "ff02::1", "2001:db8:51::9",
				   "::",	"fd00:20::77", "::1"};

/** xorshift64; n 0: 0. */
static unsigned
rnd(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return n != 0 ? (unsigned)(seed >> 11) % n : 0;
}

#define PICK(list) ((list)[rnd(SL_ARRAY_SIZE(list))])

/* --- making ------------------------------------------------------------------------------ */

static void
mutate(struct gw_pkt *p)
{
	unsigned k;

	for (k = rnd(4); k > 0 && p->len > 0; k--) {
		switch (rnd(4)) {
		case 0:
			p->b[rnd(SL_MIN(p->len, 60U))] = (uint8_t)rnd(256);
			break;
		case 1:
			p->b[rnd(p->len)] ^= (uint8_t)(1 << rnd(8));
			break;
		case 2:
			p->len = rnd(p->len + 1);
			break;
		default:
			gw_pad(p, p->len < FRAME_MAX - 100 ? rnd(40) : 0);
		}
	}
}

static void
icmp6_csum(struct gw_pkt *p)
{
	uint16_t c;

	p->b[42] = p->b[43] = 0;
	c = gw_csum(p->b + 8, p->len - 8, 58 + p->len - 40);
	p->b[42] = (uint8_t)(c >> 8);
	p->b[43] = (uint8_t)c;
}

/** An IP packet between two addresses of one version, often not between these. */
static void
make_ip(struct gw_pkt *p, bool v6, const char *src, const char *dst)
{
	static const uint8_t proto[] = {0, 1, 6, 17, 43, 44, 47, 50, 51, 58, 59, 60};
	uint8_t b[1600];
	unsigned i, n = rnd(8) != 0 ? rnd(200) : rnd(1500);

	for (i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)rnd(256);
	if (src == NULL || rnd(8) == 0)
		src = v6 ? PICK(any6) : PICK(any4);
	if (dst == NULL || rnd(4) == 0)
		dst = v6 ? PICK(any6) : PICK(any4);
	switch (rnd(6)) {
	case 0:
		gw_echo(p, src, dst, n);
		break;
	case 1: /* TCP, perhaps a SYN with an MSS */
		b[12] = (uint8_t)((4 + rnd(12)) << 4);
		memcpy(b + 20, "\2\4\xff\xff", 4);
		gw_ip(p, src, dst, 6, b, n + 20);
		break;
	case 2:
		gw_ip(p, src, dst, PICK(proto), b, n);
		break;
	case 3: /* ND or anything else of ICMPv6 */
		b[0] = (uint8_t)(128 + rnd(10));
		b[1] = 0;
		gw_ip(p, v6 ? src : GW_CLIENT6, v6 ? dst : GW_OUT6, 58, b, SL_MAX(n, 32U));
		p->b[7] = 255;
		icmp6_csum(p);
		break;
	default:
		gw_udp(p, src, dst, (uint16_t)rnd(65536),
		       (uint16_t)(rnd(2) != 0 ? 51820 + rnd(2) : rnd(65536)), b, n);
	}
	if (p->b[0] >> 4 == 4) {
		if (rnd(3) == 0)
			p->b[6] = (uint8_t)rnd(128);
		if (rnd(4) == 0)
			p->b[8] = (uint8_t)rnd(3);
		gw_fix4(p);
	}
}

static void
make_frame(struct world *w, struct gw_pkt *p, unsigned *port)
{
	const unsigned peer = 1 + rnd(GW_PEERS), to = 1 + rnd(GW_PEERS);
	const bool v6 = rnd(2) != 0, inner = rnd(2) != 0;
	const char *server = v6 ? GW_SERVER6 : GW_SERVER4;
	struct gw_session *s = &w->s[peer];
	static struct gw_pkt ip;

	*port = inner ? GW_OUTSIDE : rnd(GW_PORTS);
	if (inner)
		make_ip(&ip, v6, v6 ? peer6[peer] : peer4[peer],
			rnd(4) != 0 ? server
			: v6	    ? peer6[to]
				    : peer4[to]);
	else
		make_ip(&ip, v6, *port == GW_INSIDE ? server : NULL,
			*port == GW_INSIDE ? (v6 ? peer6[to] : peer4[to]) : NULL);
	if (rnd(3) == 0)
		mutate(&ip);
	ip.len = SL_MIN(ip.len, 1500U);
	if (inner) {
		gw_data(p, s, rnd(20) != 0 ? s->counter++ : rnd(9000), &ip);
	} else {
		*p = ip;
		gw_eth(p, rnd(8) != 0 ? gw_mac[*port] : (const uint8_t *)"\x33\x33\0\0\0\1",
		       rnd(5) != 0 ? 0 : GW_VLAN);
		if (rnd(10) == 0)
			memcpy(p->b + 12, "\x08\x06\0\1\x08\0\6\4\0\1", 10);
	}
	if (rnd(8) == 0)
		mutate(p);
}

/** In one buffer with nothing allowed behind it. */
static struct rte_mbuf *
in_tight_buffer(const struct gw_pkt *p)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(tight);
	uint8_t *end;

	if (m == NULL)
		return NULL;
	ASAN_UNPOISON_MEMORY_REGION(m->buf_addr, m->buf_len);
	memcpy(rte_pktmbuf_append(m, (uint16_t)p->len), p->b, p->len);
	end = rte_pktmbuf_mtod_offset(m, uint8_t *, p->len);
	ASAN_POISON_MEMORY_REGION(end, (size_t)((uint8_t *)m->buf_addr + m->buf_len - end));
	return m;
}

/** In a chain of pieces. */
static struct rte_mbuf *
in_chain(struct gw *g, const struct gw_pkt *p)
{
	unsigned at = 0, n;
	struct rte_mbuf *m, *head = NULL;

	for (; at < p->len; at += n) {
		n = SL_MIN(p->len - at, 1 + rnd(800));
		m = rte_pktmbuf_alloc(g->pool);
		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), p->b + at, n);
		if (head == NULL)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	return head;
}

/** What is sealed again or answered with a longer packet needs the room behind it. */
static bool
may_grow(const struct world *w, const struct gw_pkt *p, unsigned port)
{
	return port != GW_OUTSIDE || !w->g->iface[1].isolation || p->b[20] == 58 || p->b[24] == 58;
}

static void
send_one(struct world *w)
{
	static struct gw_pkt p;
	struct rte_mbuf *m = NULL;
	unsigned port;

	make_frame(w, &p, &port);
	if (p.len == 0 || p.len > FRAME_MAX || rte_mempool_avail_count(w->g->pool) < 300)
		return;
	if (!may_grow(w, &p, port) && rnd(4) != 0)
		m = in_tight_buffer(&p);
	if (m == NULL)
		m = rnd(4) != 0 ? gw_mbuf(w->g, &p) : in_chain(w->g, &p);
	memset(sl_meta(m), (int)rnd(256), sizeof(struct sl_meta));
	if (rnd(10) == 0) {
		m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		m->vlan_tci = rnd(2) != 0 ? GW_VLAN : 0;
	}
	if (rnd(10) == 0)
		m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	gw_in_mbuf(w->g, port, rnd(w->g->lcores), m);
	w->in++;
}

/* --- what left --------------------------------------------------------------------------- */

static bool
in_prefix(const uint8_t *ip, bool v6, const char *text)
{
	struct sl_ip a = v6 ? sl_ip_v6(ip) : sl_ip_v4(ip);
	struct sl_prefix p;

	assert_int_equal(sl_prefix_parse(text, &p), 0);
	return sl_prefix_contains(&p, &a);
}

static bool
is_of_peer(const uint8_t *ip, bool v6, unsigned peer)
{
	if (peer == 1 && !v6 && in_prefix(ip, v6, "10.8.50.0/24"))
		return true;
	if (v6 && peer == 3)
		return false;
	return in_prefix(ip, v6, v6 ? peer6[peer] : peer4[peer]);
}

static bool
is_of_gateway(const uint8_t *ip, bool v6)
{
	static const char *const own4[] = {"10.20.0.1", "10.8.0.1",    "10.9.0.1",
					   GW_OUT4,	"203.0.113.1", "0.0.0.0"};
	static const char *const own6[] = {"fd00:20::1", "fd00:8::1", GW_OUT6, "fe80::/10"};
	unsigned i;

	for (i = 0; !v6 && i < SL_ARRAY_SIZE(own4); i++)
		if (in_prefix(ip, false, own4[i]))
			return true;
	for (i = 0; v6 && i < SL_ARRAY_SIZE(own6); i++)
		if (in_prefix(ip, true, own6[i]))
			return true;
	return false;
}

static unsigned
ip_length(const struct gw_pkt *p)
{
	return p->b[0] >> 4 == 4 ? (unsigned)p->b[2] << 8 | p->b[3]
				 : 40 + ((unsigned)p->b[4] << 8 | p->b[5]);
}

/** Sealed for a peer: so it is for its AllowedIPs, and from no tunnel if there is isolation. */
static void
check_sealed(struct world *w, const struct gw_pkt *ip, unsigned udp)
{
	const uint8_t *msg = ip->b + udp + 8;
	static struct gw_pkt text;
	uint64_t counter;
	unsigned peer;
	bool v6;

	for (peer = 1; peer <= GW_PEERS; peer++)
		if (gw_open(&text, &w->s[peer], msg, ip->len - udp - 8, &counter))
			break;
	assert_in_range(peer, 1, GW_PEERS);
	if (text.len == 0)
		return;
	v6 = text.b[0] >> 4 == 6;
	assert_true(is_of_peer(text.b + (v6 ? 24 : 16), v6, peer));
	assert_true(ip_length(&text) <= text.len);
	if (!v6)
		assert_int_equal(gw_csum(text.b, (text.b[0] & 15) * 4U, 0), 0);
	if (w->g->iface[1].isolation && !is_of_gateway(text.b + (v6 ? 8 : 12), v6))
		for (peer = 1; peer <= GW_PEERS; peer++)
			assert_false(is_of_peer(text.b + (v6 ? 8 : 12), v6, peer));
}

static void
check_ip(struct world *w, struct gw_pkt *p, unsigned port)
{
	const bool v6 = p->b[0] >> 4 == 6;
	const uint8_t *src = p->b + (v6 ? 8 : 12);
	const unsigned l4 = v6 ? 40 : (p->b[0] & 15) * 4U;
	unsigned peer;

	assert_true(v6 || p->b[0] >> 4 == 4);
	assert_int_equal(ip_length(p), p->len);
	if (!v6)
		assert_int_equal(gw_csum(p->b, l4, 0), 0);
	if (is_of_gateway(src, v6)) {
		if (port == GW_OUTSIDE && p->b[v6 ? 6 : 9] == 17)
			check_sealed(w, p, l4);
		return;
	}
	assert_int_equal(port, GW_INSIDE);
	for (peer = 1; peer <= GW_PEERS && !is_of_peer(src, v6, peer); peer++)
		;
	assert_in_range(peer, 1, GW_PEERS);
}

static void
check_frame(struct world *w, struct gw_pkt *p, unsigned port)
{
	unsigned l2 = p->b[12] == 0x81 && p->b[13] == 0 ? 18 : 14;

	w->out++;
	assert_true(p->len > l2);
	assert_memory_equal(p->b + 6, gw_mac[port], 6);
	if (p->b[l2 - 2] == 8 && p->b[l2 - 1] == 6)
		return;
	gw_pull(p, l2);
	check_ip(w, p, port);
}

static void
collect(struct world *w)
{
	static struct gw_pkt p;
	struct sl_ctl_event ev;
	struct sl_wk_ack ack;
	struct rte_mbuf *m;
	unsigned i, k;

	for (i = 0; i < GW_PORTS; i++)
		while (gw_out(w->g, i, &p))
			check_frame(w, &p, i);
	for (i = 0; i < w->g->lcores; i++) {
		for (k = 0; k < SL_HS_LANES; k++)
			while ((m = gw_lane(w->g, i, k)) != NULL)
				rte_pktmbuf_free(m);
		while (sl_mbox_get(w->g->dp->worker[i]->to_hs, &ack, 1) != 0)
			;
		while (sl_mbox_get(w->g->dp->worker[i]->to_ctl, &ev, 1) != 0)
			;
	}
	for (i = 1; i <= GW_PEERS; i++)
		atomic_store(&w->g->peer[i]->events, 0);
}

/* --- what changes meanwhile -------------------------------------------------------------- */

static void
set_hop(struct world *w)
{
	w->small = w->g->att[2];
	w->small.mtu = (uint16_t)(rnd(2) != 0 ? 68 + rnd(600) : 1500);
	sl_nh_write(w->g->dp->nhs, w->nh, rnd(2) != 0 ? SL_NH_GLEAN : SL_NH_HOST,
		    (enum sl_nh_state)rnd(3), &w->small, NULL, gw_neighbour_mac[1]);
	w->g->root.generation++;
}

static void
tell_home(struct world *w)
{
	static const uint8_t type[] = {SL_WK_INSTALL, SL_WK_KEEPALIVE, SL_WK_DROP_PARKED,
				       SL_WK_REHOME_OUT};
	struct sl_wk_msg msg = {.type = PICK(type), .peer_id = 1 + rnd(GW_PEERS)};
	unsigned home = atomic_load(&w->g->peer[msg.peer_id]->home);

	msg.index = w->s[msg.peer_id].index;
	msg.home = (uint16_t)rnd(w->g->dp->n_workers);
	if (msg.type != SL_WK_REHOME_OUT || msg.home != home)
		sl_mbox_put(w->g->dp->worker[home]->from_hs, &msg);
}

static void
change(struct world *w)
{
	const unsigned peer = 1 + rnd(GW_PEERS);

	if (rnd(20) == 0)
		atomic_store(&w->g->peer[peer]->current,
			     rnd(2) != 0 ? NULL : gw_keypair(w->g, &w->s[peer]));
	if (rnd(10) == 0)
		tell_home(w);
	if (rnd(20) == 0)
		set_hop(w);
}

static void
world_open(struct world *w)
{
	const uint8_t any[16] = {0};
	struct sl_iface_view *f;
	struct gw_conf c = {.workers = 1 + rnd(3), .io = rnd(2)};
	struct gw *g = w->g = gw_new(&c);
	unsigned i;

	for (i = 1; i <= GW_PEERS; i++) {
		atomic_store(&g->peer[i]->home, (uint16_t)rnd(c.workers));
		gw_session_current(g, i, (uint8_t)i, &w->s[i]);
		if (rnd(4) != 0)
			gw_endpoint(g, i, rnd(2) != 0 ? GW_CLIENT : GW_CLIENT6, 999);
	}
	w->nh = sl_nh_alloc(g->dp->nhs);
	for (i = 1; i <= 2; i++) {
		f = &g->iface[i];
		f->isolation = g->iface[1].isolation = rnd(2) != 0;
		f->mss_clamp = rnd(2) != 0;
		f->mtu = (uint16_t)(1280 + rnd(200));
		f->outer_udp_csum = (uint8_t)rnd(3);
		sl_lpm_set(&f->routes4, &f->routes4, any, 0, w->nh, &g->garbage);
		sl_lpm_set(&f->routes6, &f->routes6, any, 0, w->nh, &g->garbage);
	}
	g->iface[1].isolation = g->iface[2].isolation;
	sl_lpm_seal(&g->garbage);
	g->root.authz.deflt = rnd(4) != 0 ? SL_MODE_OBSERVE : SL_MODE_ENFORCE;
	set_hop(w);
}

static void
test_random(void **state)
{
	const char *seconds = getenv("SL_RANDOM_SECONDS"), *start = getenv("SL_RANDOM_SEED");
	const time_t end = time(NULL) + (seconds != NULL ? atoi(seconds) : 2);
	struct world w = {.in = 0};
	unsigned poll, i, n;

	if (start != NULL)
		seed = strtoull(start, NULL, 0) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	do {
		world_open(&w);
		for (poll = 0; poll < POLLS; poll++) {
			for (i = 0, n = 1 + rnd(40); i < n; i++)
				send_one(&w);
			change(&w);
			gw_later(w.g, rnd(3) != 0 ? SL_NS_PER_MS : 150 * SL_NS_PER_MS);
			collect(&w);
		}
		gw_later(w.g, 4 * SL_NS_PER_S);
		collect(&w);
		gw_free(w.g);
	} while (time(NULL) < end);
	assert_true(w.out * 50 > w.in);
	print_message("%lu frames in, %lu out\n", w.in, w.out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};

	eal_start("test_pipeline_rx_random");
	tight = sl_pkt_pool_new("tight", TIGHT, 2176, SOCKET_ID_ANY);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
