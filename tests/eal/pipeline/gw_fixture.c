/* SPDX-License-Identifier: BSD-3-Clause */
#include "gw_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#define RING_SIZE 1024

const uint8_t gw_mac[GW_PORTS][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
const uint8_t gw_neighbour_mac[GW_PORTS][6] = {{2, 0xaa, 0, 0, 0, 9}, {2, 0xbb, 0, 0, 0, 9}};

static unsigned serial; /* names of one process */

static struct sl_ip
ip_of(const char *text)
{
	struct sl_ip ip;

	assert_int_equal(sl_ip_parse(text, &ip), 0);
	return ip;
}

static struct sl_prefix
prefix_of(const char *text)
{
	struct sl_prefix p;

	assert_int_equal(sl_prefix_parse(text, &p), 0);
	return p;
}

/* --- root -------------------------------------------------------------------------------- */

static void
lpm_add(struct gw *g, struct sl_lpm *v4, struct sl_lpm *v6, const char *text, uint32_t value)
{
	struct sl_prefix p = prefix_of(text);
	struct sl_lpm *t = p.ip.family == 4 ? v4 : v6;

	assert_int_equal(sl_lpm_set(t, t, p.ip.b, p.len, value, &g->garbage), 0);
}

static uint32_t
next_hop(struct gw *g, unsigned att, const char *ip)
{
	const struct sl_att *a = &g->att[att];
	struct sl_ip addr = ip_of(ip);
	uint32_t id = sl_nh_alloc(g->dp->nhs);

	sl_nh_write(g->dp->nhs, id, SL_NH_HOST, SL_NH_USABLE, a, &addr, gw_neighbour_mac[a->port]);
	return id;
}

static void
att_make(struct gw *g, unsigned id, unsigned port, uint16_t vlan, const char *a, const char *b)
{
	struct sl_att *att = &g->att[id];

	att->id = (uint16_t)id;
	att->port = (uint16_t)port;
	att->vlan = vlan;
	att->mtu = 1500;
	memcpy(att->mac, gw_mac[port], 6);
	att->addr[att->n_addrs++] = prefix_of(a);
	if (b != NULL)
		att->addr[att->n_addrs++] = prefix_of(b);
	g->atts[id] = att;
	g->root.port[port].present = true;
	memcpy(g->root.port[port].mac, gw_mac[port], 6);
	g->root.port[port].att[g->root.port[port].n_att++] = (uint16_t)id;
}

static void
iface_make(struct gw *g, unsigned id, uint16_t port, const char *a, const char *b)
{
	struct sl_iface_view *f = &g->iface[id];
	const char *const text[2] = {a, b};
	unsigned i;

	f->id = (uint16_t)id;
	f->listen_port = port;
	f->mtu = 1420;
	f->inside_att = 2;
	f->up = true;
	f->isolation = true;
	f->inside_any = true;
	snprintf(f->name, sizeof(f->name), "wg%u", id);
	sl_lpm_init(&f->peers4, 32);
	sl_lpm_init(&f->peers6, 128);
	sl_lpm_init(&f->inside4, 32);
	sl_lpm_init(&f->inside6, 128);
	sl_lpm_init(&f->routes4, 32);
	sl_lpm_init(&f->routes6, 128);
	sl_lpm_init(&f->local4, 32);
	sl_lpm_init(&f->local6, 128);
	for (i = 0; i < 2 && text[i] != NULL; i++) {
		struct sl_prefix p = prefix_of(text[i]);
		struct sl_lpm *t = p.ip.family == 4 ? &f->local4 : &f->local6;

		assert_int_equal(sl_lpm_set(t, t, p.ip.b, sl_ip_bytes(&p.ip) * 8, i, &g->garbage),
				 0);
		f->addr[f->n_addrs++] = p;
	}
	g->ifaces[id] = f;
	g->udp_port[port] = (uint16_t)id;
	g->att[2].iface[g->att[2].n_ifaces++] = (uint16_t)id;
}

static void
root_make(struct gw *g)
{
	struct sl_root *r = &g->root;
	uint32_t out4, out6, in4, in6;
	unsigned i;

	att_make(g, 1, GW_OUTSIDE, 0, GW_OUT4 "/24", GW_OUT6 "/64");
	att_make(g, 2, GW_INSIDE, 0, "10.20.0.1/24", "fd00:20::1/64");
	att_make(g, 3, GW_OUTSIDE, GW_VLAN, "203.0.113.1/24", NULL);
	g->udp_port = calloc(65536, sizeof(*g->udp_port));
	iface_make(g, 1, 51820, "10.8.0.1/24", "fd00:8::1/64");
	iface_make(g, 2, 51821, "10.9.0.1/24", NULL);
	out4 = next_hop(g, 1, "198.51.100.9");
	out6 = next_hop(g, 1, "2001:db8:51::9");
	in4 = next_hop(g, 2, GW_SERVER4);
	in6 = next_hop(g, 2, GW_SERVER6);
	sl_lpm_init(&r->underlay4, 32);
	sl_lpm_init(&r->underlay6, 128);
	sl_lpm_init(&r->authz.mode4, 32);
	sl_lpm_init(&r->authz.mode6, 128);
	lpm_add(g, &r->underlay4, &r->underlay6, "0.0.0.0/0", out4);
	lpm_add(g, &r->underlay4, &r->underlay6, "::/0", out6);
	for (i = 1; i <= 2; i++) {
		lpm_add(g, &g->iface[i].routes4, &g->iface[i].routes6, GW_SERVER4 "/32", in4);
		lpm_add(g, &g->iface[i].routes4, &g->iface[i].routes6, GW_SERVER6 "/128", in6);
	}
	lpm_add(g, &g->iface[1].peers4, &g->iface[1].peers6, "10.8.0.2/32", 1);
	lpm_add(g, &g->iface[1].peers4, &g->iface[1].peers6, "10.8.50.0/24", 1);
	lpm_add(g, &g->iface[1].peers4, &g->iface[1].peers6, "fd00:8::2/128", 1);
	lpm_add(g, &g->iface[1].peers4, &g->iface[1].peers6, "10.8.0.3/32", 2);
	lpm_add(g, &g->iface[1].peers4, &g->iface[1].peers6, "fd00:8::3/128", 2);
	lpm_add(g, &g->iface[2].peers4, &g->iface[2].peers6, "10.9.0.2/32", 3);
	sl_lpm_seal(&g->garbage);
	r->generation = 1;
	r->authz.deflt = SL_MODE_OBSERVE;
	r->n_ifaces = 3;
	r->iface = g->ifaces;
	r->iface_by_udp_port = g->udp_port;
	r->n_atts = 4;
	r->att = g->atts;
	atomic_store(&g->dp->root, r);
}

static void
root_free(struct gw *g)
{
	unsigned i;

	sl_lpm_garbage_free(&g->garbage);
	for (i = 1; i < 3; i++) {
		struct sl_iface_view *f = &g->iface[i];

		sl_lpm_free(&f->peers4);
		sl_lpm_free(&f->peers6);
		sl_lpm_free(&f->inside4);
		sl_lpm_free(&f->inside6);
		sl_lpm_free(&f->routes4);
		sl_lpm_free(&f->routes6);
		sl_lpm_free(&f->local4);
		sl_lpm_free(&f->local6);
	}
	sl_lpm_free(&g->root.underlay4);
	sl_lpm_free(&g->root.underlay6);
	free(g->udp_port);
}

/* --- ports ------------------------------------------------------------------------------- */

static struct rte_ring *
ring_make(const char *kind, unsigned port, unsigned queue)
{
	char name[32];
	struct rte_ring *r;

	snprintf(name, sizeof(name), "t%u-%s-%u-%u", serial, kind, port, queue);
	r = rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	assert_non_null(r);
	return r;
}

static void
port_make(struct gw *g, unsigned port)
{
	const struct rte_eth_conf conf = {0};
	const uint16_t n = (uint16_t)g->lcores;
	char name[32];
	uint16_t q;
	int id;

	for (q = 0; q < n; q++) {
		g->rx[port][q] = ring_make("prx", port, q);
		g->tx[port][q] = ring_make("ptx", port, q);
	}
	snprintf(name, sizeof(name), "t%u-%u", serial, port);
	id = rte_eth_from_rings(name, g->rx[port], n, g->tx[port], n, SOCKET_ID_ANY);
	assert_true(id >= 0);
	g->ethdev[port] = (uint16_t)id;
	assert_int_equal(rte_eth_dev_configure(g->ethdev[port], n, n, &conf), 0);
	for (q = 0; q < n; q++) {
		assert_int_equal(rte_eth_rx_queue_setup(g->ethdev[port], q, RING_SIZE, 0, NULL,
							g->pool),
				 0);
		assert_int_equal(rte_eth_tx_queue_setup(g->ethdev[port], q, RING_SIZE, 0, NULL), 0);
	}
	assert_int_equal(rte_eth_dev_start(g->ethdev[port]), 0);
	for (q = 0; q < n; q++) {
		struct sl_rxq rxq = {.port = (uint16_t)port, .ethdev = g->ethdev[port], .queue = q};
		struct sl_worker *w = g->dp->worker[q];

		assert_int_equal(sl_worker_add_rxq(w, &rxq), 0);
		assert_int_equal(sl_worker_set_tx(w, port, g->ethdev[port], q, -1, false, false),
				 0);
	}
}

static void
ring_drain(struct rte_ring *r)
{
	void *m;

	while (rte_ring_sc_dequeue(r, &m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(r);
}

static void
port_free(struct gw *g, unsigned port)
{
	unsigned q;

	rte_eth_dev_stop(g->ethdev[port]);
	rte_eth_dev_close(g->ethdev[port]);
	for (q = 0; q < g->lcores; q++) {
		ring_drain(g->rx[port][q]);
		ring_drain(g->tx[port][q]);
	}
}

/* --- gateway ----------------------------------------------------------------------------- */

static void
peer_make(struct gw *g, unsigned id, uint16_t iface)
{
	struct sl_peer *p = sl_peer_alloc(g->dp->n_workers);

	assert_non_null(p);
	p->id = id;
	p->iface_id = iface;
	atomic_store(&p->enabled, 1);
	snprintf(p->name, sizeof(p->name), "peer%u", id);
	g->peer[id] = p;
	atomic_store(&g->dp->peers->slot[id], p);
}

struct gw *
gw_new(const struct gw_conf *c)
{
	struct gw *g = calloc(1, sizeof(*g));
	struct sl_rng_seeded rng;
	struct sl_error e = {0};
	struct sl_session_conf sc = {.slots_per_owner = 64, .allow_unlocked = true};
	struct sl_dp_conf dc = {0};
	char name[32];
	unsigned i;

	serial++;
	snprintf(name, sizeof(name), "t%u", serial);
	dc.n_workers = c->workers != 0 ? c->workers : 1;
	dc.n_io = c->io;
	g->lcores = dc.n_workers + dc.n_io;
	g->rcu = sl_rcu_new(g->lcores + 2);
	assert_non_null(g->rcu);
	g->pool = sl_pkt_pool_new(name, GW_POOL, c->data_room != 0 ? c->data_room : 2176,
				  SOCKET_ID_ANY);
	assert_non_null(g->pool);
	sc.owners = dc.n_workers;
	sc.rng = sl_rng_seeded_init(&rng, serial, "index");
	g->sessions = sl_session_new(&sc, &e);
	assert_non_null(g->sessions);
	dc.name = name;
	dc.pool = g->pool;
	dc.sessions = g->sessions;
	dc.rcu = g->rcu;
	dc.aead = SL_AEAD_IPSEC_MB;
	dc.pool_size = GW_POOL;
	dc.flows_max = c->flows != 0 ? c->flows : 4096;
	dc.agg_rows = 4096;
	dc.hash_key[0] = serial;
	g->dp = sl_dp_new(&dc, &e);
	if (g->dp == NULL)
		fail_msg("%s", e.message);
	for (i = 0; i < GW_PORTS; i++)
		port_make(g, i);
	root_make(g);
	peer_make(g, 1, 1);
	peer_make(g, 2, 1);
	peer_make(g, 3, 2);
	g->now_ns = 1000 * SL_NS_PER_S;
	return g;
}

void
gw_free(struct gw *g)
{
	unsigned i;

	for (i = 0; i < GW_PORTS; i++)
		port_free(g, i);
	sl_dp_free(g->dp);
	for (i = 1; i <= GW_PEERS; i++)
		sl_peer_free(g->peer[i]);
	sl_session_free(g->sessions);
	sl_rcu_free(g->rcu);
	root_free(g);
	assert_int_equal(rte_mempool_avail_count(g->pool), GW_POOL);
	rte_mempool_free(g->pool);
	free(g);
}

/* --- sessions ---------------------------------------------------------------------------- */

void
gw_session(struct gw *g, unsigned peer, bool initiator, uint8_t seed, struct gw_session *s)
{
	struct sl_peer *p = g->peer[peer];
	struct sl_noise_keys k;

	memset(&k, 0, sizeof(k));
	memset(s, 0, sizeof(*s));
	assert_int_equal(sl_session_reserve(g->sessions, p->home, peer, &s->index), 0);
	s->remote_index = 0x10000u + seed;
	memset(s->to_gw, seed, 32);
	memset(s->from_gw, seed + 100, 32);
	memcpy(&k.recv, s->to_gw, 32);
	memcpy(&k.send, s->from_gw, 32);
	k.local_index = s->index;
	k.remote_index = s->remote_index;
	k.initiator = initiator;
	assert_non_null(sl_session_publish(g->sessions, s->index, p, p->iface_id, &k, g->now_ns));
}

struct sl_keypair *
gw_keypair(struct gw *g, const struct gw_session *s)
{
	return sl_session_lookup(g->sessions, s->index);
}

void
gw_session_current(struct gw *g, unsigned peer, uint8_t seed, struct gw_session *s)
{
	struct sl_keypair *kp;

	gw_session(g, peer, false, seed, s);
	kp = gw_keypair(g, s);
	atomic_store(&kp->confirmed, 1);
	atomic_store(&g->peer[peer]->current, kp);
}

void
gw_endpoint(struct gw *g, unsigned peer, const char *ip, uint16_t port)
{
	struct sl_peer_path path = {0};

	path.outer.dst = ip_of(ip);
	path.outer.dport = port;
	path.outer.src = ip_of(path.outer.dst.family == 4 ? GW_OUT4 : GW_OUT6);
	path.outer.sport = g->iface[g->peer[peer]->iface_id].listen_port;
	sl_peer_path_write(g->peer[peer], &path);
}

/* --- traffic ----------------------------------------------------------------------------- */

struct rte_mbuf *
gw_mbuf(struct gw *g, const struct gw_pkt *p)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(g->pool);
	uint8_t *data;

	assert_non_null(m);
	memset(sl_meta(m), 0xa5, sizeof(struct sl_meta)); /* what its last user left */
	data = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)p->len);
	assert_non_null(data);
	memcpy(data, p->b, p->len);
	return m;
}

void
gw_in_mbuf(struct gw *g, unsigned port, unsigned queue, struct rte_mbuf *m)
{
	assert_int_equal(rte_ring_sp_enqueue(g->rx[port][queue], m), 0);
}

void
gw_in(struct gw *g, unsigned port, unsigned queue, const struct gw_pkt *p)
{
	gw_in_mbuf(g, port, queue, gw_mbuf(g, p));
}

void
gw_poll(struct gw *g)
{
	unsigned round, i;

	for (round = 0; round < 6; round++)
		for (i = 0; i < g->lcores; i++)
			sl_worker_poll(g->dp->worker[i], g->now_ns);
}

void
gw_later(struct gw *g, uint64_t ns)
{
	g->now_ns += ns;
	gw_poll(g);
}

bool
gw_out(struct gw *g, unsigned port, struct gw_pkt *p)
{
	struct rte_mbuf *m;
	unsigned q;

	for (q = 0; q < g->lcores; q++) {
		if (rte_ring_sc_dequeue(g->tx[port][q], (void **)&m) != 0)
			continue;
		assert_int_equal(m->nb_segs, 1);
		assert_int_equal(m->data_len, m->pkt_len);
		p->len = m->data_len;
		memcpy(p->b, rte_pktmbuf_mtod(m, void *), p->len);
		rte_pktmbuf_free(m);
		return true;
	}
	return false;
}

struct rte_mbuf *
gw_lane(struct gw *g, unsigned worker, unsigned lane)
{
	void *m;

	return rte_ring_sc_dequeue(g->dp->worker[worker]->hs_lane[lane], &m) == 0 ? m : NULL;
}

uint64_t
gw_drops(const struct gw *g, enum sl_drop reason)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < g->lcores; i++)
		n += g->dp->worker[i]->stats->drops[reason];
	return n;
}

uint64_t
gw_all_drops(const struct gw *g)
{
	uint64_t n = 0;
	unsigned r;

	for (r = 0; r < SL_DROP_MAX; r++)
		n += gw_drops(g, r);
	return n;
}

static void
expect_silence(struct gw *g, enum sl_drop reason)
{
	struct gw_pkt out;
	unsigned port, i, lane;

	for (port = 0; port < GW_PORTS; port++)
		if (gw_out(g, port, &out))
			fail_msg("%s: a frame left port %u", sl_drop_text(reason), port);
	for (i = 0; i < g->lcores; i++)
		for (lane = 0; lane < SL_HS_LANES; lane++)
			if (gw_lane(g, i, lane) != NULL)
				fail_msg("%s: a message for hs", sl_drop_text(reason));
}

void
gw_expect_drop(struct gw *g, unsigned port, const struct gw_pkt *frame, enum sl_drop reason)
{
	uint64_t one = gw_drops(g, reason), all = gw_all_drops(g);
	unsigned r;

	gw_in(g, port, 0, frame);
	gw_poll(g);
	if (gw_drops(g, reason) != one + 1) {
		for (r = 0; r < SL_DROP_MAX; r++)
			if (gw_drops(g, r) != 0)
				print_message("%s %lu\n", sl_drop_text(r),
					      (unsigned long)gw_drops(g, r));
		fail_msg("not dropped as %s", sl_drop_text(reason));
	}
	assert_int_equal(gw_all_drops(g), all + 1);
	expect_silence(g, reason);
}

void
gw_data(struct gw_pkt *frame, const struct gw_session *s, uint64_t counter,
	const struct gw_pkt *inner)
{
	static struct gw_pkt msg;

	gw_seal(&msg, s, counter, inner);
	gw_udp(frame, GW_CLIENT, GW_OUT4, GW_CLIENT_PORT, 51820, msg.b, msg.len);
	gw_eth(frame, gw_mac[GW_OUTSIDE], 0);
}

void
gw_inner(struct gw_pkt *p, unsigned n)
{
	static uint8_t payload[GW_PKT_MAX];
	unsigned i;

	for (i = 0; i < n; i++)
		payload[i] = (uint8_t)(i * 7);
	gw_udp(p, GW_INNER4, GW_SERVER4, 5000, 6000, payload, n);
}
