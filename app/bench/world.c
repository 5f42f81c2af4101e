/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A gateway in miniature: what control and hs would publish, made by hand.
 *
 *	port 0, outside   198.51.100.1/24, 2001:db8:51::1/64; default route to .9 and ::9
 *	port 1, inside    10.20.0.1/24; the server 10.20.0.9, other networks behind it
 *	wg0, port 51820   100.64.0.1/32; peer n has the n-th address after it
 */
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy.h"
#include "peers.h"
#include "sl_rcu.h"

#define RING_SIZE 1024
#define PORT_MTU 1500

static const uint8_t own_mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
static const uint8_t next_mac[2][6] = {{2, 0xaa, 0, 0, 0, 9}, {2, 0xbb, 0, 0, 0, 9}};

/* --- root ------------------------------------------------------------------------------------- */

static int
add_prefix(struct bench_world *b, struct sl_lpm *t, const char *text, uint32_t value)
{
	struct sl_prefix p;
	int rc = sl_prefix_parse(text, &p);

	return rc ? rc : sl_lpm_set(t, t, p.ip.b, p.len, value, &b->garbage);
}

static uint32_t
next_hop(struct bench_world *b, unsigned att, enum sl_nh_type type, const char *text)
{
	uint32_t id = sl_nh_alloc(b->dp->nhs);
	const struct sl_att *a = &b->att[att];
	struct sl_ip ip;
	bool host = type == SL_NH_HOST && sl_ip_parse(text, &ip) == 0;

	sl_nh_write(b->dp->nhs, id, type, host ? SL_NH_USABLE : SL_NH_INCOMPLETE, a,
		    host ? &ip : NULL, host ? next_mac[a->port] : NULL);
	return id;
}

static void
make_att(struct bench_world *b, uint16_t id, uint16_t port, const char *a, const char *a6)
{
	struct sl_att *att = &b->att[id];
	struct sl_port_view *v = &b->root.port[port];

	att->id = id;
	att->port = port;
	att->mtu = PORT_MTU;
	memcpy(att->mac, own_mac[port], 6);
	sl_prefix_parse(a, &att->addr[att->n_addrs++]);
	if (a6)
		sl_prefix_parse(a6, &att->addr[att->n_addrs++]);
	b->atts[id] = att;
	v->present = true;
	memcpy(v->mac, own_mac[port], 6);
	v->att[v->n_att++] = id;
}

static int
make_iface(struct bench_world *b)
{
	struct sl_iface_view *f = &b->iface;

	f->id = 1;
	f->listen_port = PEERS_LISTEN_PORT;
	f->mtu = BENCH_MTU;
	f->inside_att = 2;
	f->up = true;
	f->isolation = true;
	f->mss_clamp = true;
	f->inside_any = true;
	snprintf(f->name, sizeof(f->name), "wg0");
	sl_lpm_init(&f->peers4, 32);
	sl_lpm_init(&f->peers6, 128);
	sl_lpm_init(&f->inside4, 32);
	sl_lpm_init(&f->inside6, 128);
	sl_lpm_init(&f->routes4, 32);
	sl_lpm_init(&f->routes6, 128);
	sl_lpm_init(&f->local4, 32);
	sl_lpm_init(&f->local6, 128);
	sl_prefix_parse("100.64.0.1/32", &f->addr[f->n_addrs++]);
	b->ifaces[1] = f;
	b->att[2].iface[b->att[2].n_ifaces++] = 1;
	b->udp_port = calloc(65536, sizeof(*b->udp_port));
	if (!b->udp_port)
		return -ENOMEM;
	b->udp_port[f->listen_port] = 1;
	return add_prefix(b, &f->local4, "100.64.0.1/32", 0);
}

static int
make_routes(struct bench_world *b)
{
	uint32_t out4 = next_hop(b, 1, SL_NH_HOST, "198.51.100.9");
	uint32_t out6 = next_hop(b, 1, SL_NH_HOST, "2001:db8:51::9");
	uint32_t server = next_hop(b, 2, SL_NH_HOST, "10.20.0.9");
	uint32_t link4 = next_hop(b, 1, SL_NH_GLEAN, NULL);
	uint32_t inside = next_hop(b, 2, SL_NH_GLEAN, NULL);
	struct sl_lpm *in = &b->iface.routes4;
	int rc;

	rc = add_prefix(b, &b->root.underlay4, "0.0.0.0/0", out4);
	rc = rc ? rc : add_prefix(b, &b->root.underlay4, "198.51.100.0/24", link4);
	rc = rc ? rc : add_prefix(b, &b->root.underlay4, "198.51.100.9/32", out4);
	rc = rc ? rc : add_prefix(b, &b->root.underlay6, "::/0", out6);
	rc = rc ? rc : add_prefix(b, in, "10.20.0.0/24", inside);
	rc = rc ? rc : add_prefix(b, in, "10.20.0.9/32", server);
	rc = rc ? rc : add_prefix(b, in, "10.30.0.0/16", server);
	rc = rc ? rc : add_prefix(b, in, "192.168.0.0/16", server);
	return rc;
}

static int
make_root(struct bench_world *b)
{
	struct sl_root *r = &b->root;
	int rc;

	sl_lpm_init(&r->underlay4, 32);
	sl_lpm_init(&r->underlay6, 128);
	sl_lpm_init(&r->authz.mode4, 32);
	sl_lpm_init(&r->authz.mode6, 128);
	make_att(b, 1, 0, "198.51.100.1/24", "2001:db8:51::1/64");
	make_att(b, 2, 1, "10.20.0.1/24", NULL);
	rc = make_iface(b);
	rc = rc ? rc : make_routes(b);
	rc = rc ? rc : bench_peers_make(b);
	if (rc)
		return rc;
	sl_lpm_seal(&b->garbage);
	r->generation = 1;
	r->authz.deflt = SL_MODE_OBSERVE;
	r->n_ifaces = 2;
	r->iface = b->ifaces;
	r->iface_by_udp_port = b->udp_port;
	r->n_atts = 3;
	r->att = b->atts;
	atomic_store(&b->dp->root, r);
	return 0;
}

static void
free_root(struct bench_world *b)
{
	struct sl_iface_view *f = &b->iface;
	struct sl_lpm *const all[] = {&f->peers4, &f->local4, &f->routes4, &b->root.underlay4,
				      &b->root.underlay6};
	unsigned i;

	sl_lpm_garbage_free(&b->garbage);
	for (i = 0; i < SL_ARRAY_SIZE(all); i++)
		sl_lpm_free(all[i]);
	free(b->udp_port);
}

/* --- ports ------------------------------------------------------------------------------------ */

static struct rte_ring *
make_ring(const char *instance, const char *kind, unsigned port)
{
	char name[32];

	snprintf(name, sizeof(name), "%s-%s%u", instance, kind, port);
	return rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static int
make_port(struct bench_world *b, const char *instance, uint16_t port)
{
	const struct rte_eth_conf conf = {0};
	struct sl_rxq rxq = {.port = port};
	struct bench_port *p = &b->port[port];
	char name[32];
	int id;

	p->rx = make_ring(instance, "rx", port);
	p->tx = make_ring(instance, "tx", port);
	if (!p->rx || !p->tx)
		return -ENOMEM;
	snprintf(name, sizeof(name), "%s-%u", instance, port);
	id = rte_eth_from_rings(name, &p->rx, 1, &p->tx, 1, SOCKET_ID_ANY);
	if (id < 0)
		return -rte_errno;
	p->ethdev = rxq.ethdev = (uint16_t)id;
	if (rte_eth_dev_configure(p->ethdev, 1, 1, &conf) ||
	    rte_eth_rx_queue_setup(p->ethdev, 0, RING_SIZE, 0, NULL, b->pool) ||
	    rte_eth_tx_queue_setup(p->ethdev, 0, RING_SIZE, 0, NULL) ||
	    rte_eth_dev_start(p->ethdev))
		return -EIO;
	sl_worker_add_rxq(b->w, &rxq);
	return sl_worker_set_tx(b->w, port, p->ethdev, 0, -1, false,
				b->outer == BENCH_OUTER6_OFFLOAD);
}

static void
free_ring(struct rte_ring *r)
{
	void *m;

	while (r && rte_ring_sc_dequeue(r, &m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(r);
}

static void
free_port(struct bench_port *p)
{
	if (p->rx && p->tx) {
		rte_eth_dev_stop(p->ethdev);
		rte_eth_dev_close(p->ethdev);
	}
	free_ring(p->rx);
	free_ring(p->tx);
}

/* --- gateway ---------------------------------------------------------------------------------- */

static int
make_planes(struct bench_world *b, const char *instance, bool hugepages, struct sl_error *e)
{
	const struct sl_rng rng = sl_rng_system();
	struct sl_session_conf sc = {.owners = 1,
				     .slots_per_owner = 1U << 16,
				     .hugepages = hugepages,
				     .allow_unlocked = true,
				     .keypairs = b->n_peers,
				     .rng = rng};
	struct sl_dp_conf dc = {.name = instance,
				.n_workers = 1,
				.pool = b->pool,
				.aead = SL_AEAD_IPSEC_MB,
				.pool_size = rte_mempool_avail_count(b->pool)};

	sl_rng_fill(&rng, dc.hash_key, sizeof(dc.hash_key));
	b->rcu = sl_rcu_new(1);
	b->aead = sl_aead_new(SL_AEAD_IPSEC_MB);
	b->sessions = sl_session_new(&sc, e);
	if (!b->sessions)
		return e->err;
	if (!b->rcu || !b->aead)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory, or no cipher for this CPU");
	dc.sessions = b->sessions;
	dc.rcu = b->rcu;
	b->dp = sl_dp_new(&dc, e);
	if (!b->dp)
		return e->err;
	b->w = b->dp->worker[0];
	return 0;
}

struct bench_world *
bench_world_new(unsigned n_peers, enum bench_outer outer, bool hugepages, struct rte_mempool *pool,
		struct sl_error *e)
{
	struct bench_world *b = calloc(1, sizeof(*b));
	static unsigned serial; /* names of rings and ports */
	char instance[32];
	int rc;

	if (!b) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	b->n_peers = n_peers;
	b->outer = outer;
	b->pool = pool;
	snprintf(instance, sizeof(instance), "bench%u", ++serial);
	rc = make_planes(b, instance, hugepages, e);
	if (rc)
		goto fail;
	b->flow = calloc(POLICY_FLOWS, sizeof(*b->flow));
	for (unsigned i = 0; b->flow && i < POLICY_FLOWS; i++)
		bench_flow_any(b, &b->flow[i]);
	rc = b->flow ? make_port(b, instance, 0) : -ENOMEM;
	rc = rc ? rc : make_port(b, instance, 1);
	rc = rc ? rc : make_root(b);
	if (rc == 0)
		return b;
	sl_fail(e, rc, "world_failed", "", "no gateway with %u peers: %s", n_peers, strerror(-rc));
fail:
	bench_world_free(b);
	return NULL;
}

void
bench_world_free(struct bench_world *b)
{
	if (!b)
		return;
	free_port(&b->port[0]);
	free_port(&b->port[1]);
	sl_dp_free(b->dp);
	bench_peers_free(b);
	sl_session_free(b->sessions);
	sl_rcu_free(b->rcu);
	if (b->aead)
		sl_aead_free(b->aead);
	free_root(b);
	free(b->flow);
	free(b);
}
