/* SPDX-License-Identifier: BSD-3-Clause */
/* The neighbour machine (lib/neigh) meets next hops, host routes and probes. */
#include <stdio.h>
#include <stdlib.h>

#include "gw.h"

#define EVENTS_MAX 256 /* of one worker in one turn */
#define TICK_NS (100 * SL_NS_PER_MS)
#define FRAME_MIN 60

static struct sl_prefix
host_of(const struct sl_ip *ip)
{
	struct sl_prefix p = {.ip = *ip, .len = (uint8_t)(sl_ip_bytes(ip) * 8)};

	return p;
}

/* --- probes --------------------------------------------------------------------------------------
 */

static unsigned
write_eth(uint8_t *p, const struct gw_att *a, const uint8_t dst[6], uint16_t type)
{
	unsigned n = SL_ETH_HDR;

	memcpy(p, dst, 6);
	memcpy(p + 6, a->a.mac, 6);
	if (a->a.vlan != 0) {
		sl_store_be16(p + 12, SL_ETHERTYPE_VLAN);
		sl_store_be16(p + 14, a->a.vlan);
		n += SL_VLAN_HDR;
	}
	sl_store_be16(p + n - 2, type);
	return n;
}

static unsigned
write_arp(uint8_t *p, const struct gw_att *a, const struct sl_neigh *n, bool unicast)
{
	static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, zero[6];
	const struct sl_prefix *own = gw_att_network(a, &n->ip);
	unsigned at = write_eth(p, a, unicast ? n->mac : everyone, SL_ETHERTYPE_ARP);

	sl_arp_write(p + at, false, a->a.mac, own != NULL ? own->ip.b : zero,
		     unicast ? n->mac : zero, n->ip.b);
	return at + SL_ARP_LEN;
}

/* Source of a solicitation: our address in that network, else the link-local one. */
static const uint8_t *
ns_source(const struct gw_att *a, const struct sl_ip *ip, uint8_t ll[16])
{
	const struct sl_prefix *own = gw_att_network(a, ip);

	if (own != NULL)
		return own->ip.b;
	sl_ip6_link_local(a->a.mac, ll);
	return ll;
}

static unsigned
write_ns(uint8_t *p, const struct gw_att *a, const struct sl_neigh *n, bool unicast)
{
	uint8_t group[16], mac[6], ll[16];
	unsigned at;

	sl_nd_solicited_node(n->ip.b, group, mac);
	at = write_eth(p, a, unicast ? n->mac : mac, SL_ETHERTYPE_IP6);
	return at + sl_nd_write(p + at, false, a->a.mac, ns_source(a, &n->ip, ll),
				unicast ? n->ip.b : NULL, n->ip.b, false);
}

static void
neigh_probe(void *ctx, const struct sl_neigh *n, bool unicast)
{
	struct sl_gw *gw = ctx;
	const struct gw_att *a = gw->att[n->att];
	struct rte_mbuf *m = rte_pktmbuf_alloc(gw->dp->pool);
	unsigned len;
	uint8_t *p;

	if (m == NULL)
		return; /* the next probe is a second away */
	p = rte_pktmbuf_mtod(m, uint8_t *);
	memset(p, 0, FRAME_MIN);
	len = n->ip.family == 4 ? write_arp(p, a, n, unicast) : write_ns(p, a, n, unicast);
	m->data_len = (uint16_t)SL_MAX(len, (unsigned)FRAME_MIN);
	m->pkt_len = m->data_len;
	memset(sl_meta(m), 0, sizeof(struct sl_meta));
	sl_meta(m)->next = SL_NEXT_L2;
	sl_meta(m)->port = a->a.port;
	sl_meta(m)->att = a->a.id;
	sl_meta(m)->flags = SL_PKT_LOCAL_ORIGIN;
	sl_meta(m)->peer_id = SL_PEER_ID_NONE;
	if (rte_ring_sp_enqueue(gw->dp->worker[0]->inject[1], m) != 0)
		rte_pktmbuf_free(m);
}

/* --- next hops
 * ------------------------------------------------------------------------------------ */

static enum sl_nh_state
nh_state(const struct sl_neigh *n)
{
	if (n->state == SL_NEIGH_INCOMPLETE)
		return SL_NH_INCOMPLETE;
	return n->state == SL_NEIGH_FAILED ? SL_NH_FAILED : SL_NH_USABLE;
}

static bool
nh_ensure(struct sl_gw *gw, struct sl_neigh *n)
{
	if (n->nh != 0)
		return true;
	if (gw->nh_reuse != 0) {
		n->nh = gw->nh_reuse;
		gw->nh_reuse = 0;
	} else {
		n->nh = sl_nh_alloc(gw->dp->nhs);
	}
	if (n->nh == 0) {
		sl_log(SL_LOG_WARN, "neighbour", "the table of next hops is full");
		return false;
	}
	atomic_store_explicit(&gw->dp->nhs->nh[n->nh].used_tick, 0, memory_order_relaxed);
	return true;
}

static void
neigh_changed(void *ctx, struct sl_neigh *n)
{
	struct sl_gw *gw = ctx;
	const struct gw_att *a = gw->att[n->att];
	struct sl_prefix host = host_of(&n->ip);

	if (!nh_ensure(gw, n))
		return;
	sl_nh_write(gw->dp->nhs, n->nh, SL_NH_HOST, nh_state(n), &a->a, &n->ip, n->mac);
	if (n->state == SL_NEIGH_INCOMPLETE || gw->nh_host[n->nh])
		return;
	gw->nh_host[n->nh] = 1;
	gw_route_refresh_att(gw, a, &host);
}

static void
neigh_removed(void *ctx, struct sl_neigh *n)
{
	struct sl_gw *gw = ctx;
	struct sl_prefix host = host_of(&n->ip);
	uint32_t nh = n->nh;

	if (nh == 0)
		return;
	if (gw->nh_host[nh]) {
		gw->nh_host[nh] = 0;
		gw_route_refresh_att(gw, gw->att[n->att], &host);
	}
	if (gw->nh_refs[nh] > 0)
		return; /* static routes keep it: neigh_renew() */
	gw->nh_next_retired[nh] = gw->nh_retired;
	gw->nh_retired = nh;
	gw->dirty = true;
}

static uint64_t
neigh_last_used(void *ctx, const struct sl_neigh *n)
{
	struct sl_gw *gw = ctx;
	uint32_t tick;

	if (n->nh == 0)
		return 0;
	tick = atomic_load_explicit(&gw->dp->nhs->nh[n->nh].used_tick, memory_order_relaxed);
	return tick == 0 ? 0 : (uint64_t)(tick - 1) * SL_TICK_NS;
}

int
gw_neigh_init(struct sl_gw *gw, struct sl_error *e)
{
	struct sl_neigh_ops ops = {.probe = neigh_probe,
				   .changed = neigh_changed,
				   .removed = neigh_removed,
				   .last_used_ns = neigh_last_used,
				   .ctx = gw};

	gw->neigh = sl_neigh_new(GW_NEIGH_MAX, &ops);
	return gw->neigh != NULL ? 0 : gw_no_memory(e);
}

/* --- for routes
 * ------------------------------------------------------------------------------------ */

uint32_t
gw_neigh_pin(struct sl_gw *gw, const struct gw_att *a, const struct sl_ip *ip)
{
	struct sl_neigh *n = sl_neigh_want(gw->neigh, a->a.id, ip, true, gw_mono_ns(gw));

	if (n == NULL || (n->nh == 0 && !nh_ensure(gw, n)))
		return 0;
	neigh_changed(gw, n);
	gw->nh_refs[n->nh]++;
	return n->nh;
}

void
gw_neigh_unpin(struct sl_gw *gw, const struct gw_att *a, const struct sl_ip *ip)
{
	struct sl_neigh *n = sl_neigh_find(gw->neigh, a->a.id, ip);

	if (n != NULL && n->nh != 0 && --gw->nh_refs[n->nh] == 0)
		n->pinned = false;
}

uint32_t
gw_neigh_host(struct sl_gw *gw, uint16_t att, const struct sl_ip *ip)
{
	const struct gw_att *a = gw->att[att];
	const struct sl_neigh *n = sl_neigh_find(gw->neigh, att, ip);
	unsigned i;

	if (n == NULL || n->nh == 0 || !gw->nh_host[n->nh])
		return 0;
	for (i = 0; i < a->n_conf; i++) {
		if (sl_prefix_contains(&a->a.addr[i], ip))
			return n->nh;
	}
	return 0;
}

struct each {
	uint16_t att;
	void (*fn)(void *ctx, const struct sl_prefix *p);
	void *ctx;
};

static void
each_cb(void *ctx, const struct sl_neigh *n)
{
	struct each *w = ctx;
	struct sl_prefix host = host_of(&n->ip);

	if (n->att == w->att)
		w->fn(w->ctx, &host);
}

void
gw_neigh_each(struct sl_gw *gw, uint16_t att, void (*fn)(void *ctx, const struct sl_prefix *p),
	      void *ctx)
{
	struct each w = {.att = att, .fn = fn, .ctx = ctx};

	sl_neigh_walk(gw->neigh, each_cb, &w);
}

/* --- what workers saw
 * ------------------------------------------------------------------------------ */

static bool
is_link_local(const struct sl_ip *ip)
{
	return ip->family == 6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

/* Only what lies in a connected network (or is pinned there) can be a neighbour. */
static bool
may_be_neighbour(struct sl_gw *gw, const struct gw_att *a, const struct sl_ip *ip)
{
	if (!gw_ip_unicast(ip) || gw_att_owns(a, ip))
		return false;
	return gw_att_network(a, ip) != NULL || is_link_local(ip) ||
	       sl_neigh_find(gw->neigh, a->a.id, ip) != NULL;
}

static void
take_event(struct sl_gw *gw, const struct sl_ctl_event *ev, uint64_t now_ns)
{
	const struct gw_att *a = ev->att < gw->n_atts ? gw->att[ev->att] : NULL;

	if (a == NULL || !may_be_neighbour(gw, a, &ev->ip))
		return;
	if (ev->type == SL_EV_NEIGH_SEEN)
		sl_neigh_seen(gw->neigh, ev->att, &ev->ip, ev->mac, ev->solicited, ev->override,
			      ev->request, now_ns);
	else if (ev->type == SL_EV_NEIGH_WANT)
		sl_neigh_want(gw->neigh, ev->att, &ev->ip, false, now_ns);
}

unsigned
gw_neigh_poll(struct sl_gw *gw)
{
	struct sl_ctl_event ev[16];
	uint64_t now_ns = gw_mono_ns(gw);
	unsigned w, i, n, done = 0, of_worker;

	for (w = 0; w < gw->dp->n_lcores; w++) {
		of_worker = 0;
		do {
			n = sl_mbox_get(gw->dp->worker[w]->to_ctl, ev, SL_ARRAY_SIZE(ev));
			for (i = 0; i < n; i++)
				take_event(gw, &ev[i], now_ns);
			of_worker += n;
		} while (n == SL_ARRAY_SIZE(ev) && of_worker < EVENTS_MAX);
		done += of_worker;
	}
	if (now_ns - gw->neigh_tick_ns >= TICK_NS) {
		gw->neigh_tick_ns = now_ns;
		sl_neigh_tick(gw->neigh, now_ns);
	}
	return done;
}

/* --- operator
 * ---------------------------------------------------------------------------------------- */

static int
neigh_args(struct sl_gw *gw, const char *port, uint16_t vlan, const struct sl_ip *ip,
	   struct gw_att **a, struct sl_error *e)
{
	int rc = gw_att_check(gw, port, vlan, "/port", e);

	if (rc != 0)
		return rc;
	*a = gw_att_find(gw, port, vlan);
	if (*a == NULL)
		return gw_vlan_unknown(port, vlan, e);
	return gw_ip_unicast(ip) && !gw_att_owns(*a, ip) ? 0 : gw_neigh_invalid(ip, e);
}

int
sl_gw_neigh_set(struct sl_gw *gw, const char *port, uint16_t vlan, const struct sl_ip *ip,
		const uint8_t mac[6], struct sl_error *e)
{
	struct gw_att *a;
	int rc = neigh_args(gw, port, vlan, ip, &a, e);

	rc = rc != 0 ? rc : gw_mac_check(mac, e);
	if (rc != 0)
		return rc;
	sl_gw_begin(gw);
	rc = sl_neigh_set_static(gw->neigh, a->a.id, ip, mac, gw_mono_ns(gw));
	if (rc == 0)
		neigh_changed(gw, sl_neigh_find(gw->neigh, a->a.id, ip));
	else
		sl_fail(e, rc, "limit_neighbours", "", "the limit of %u neighbours is reached",
			GW_NEIGH_MAX);
	sl_gw_commit(gw);
	return rc;
}

/* A neighbour that static routes use is resolved anew under the same next hop. */
static void
neigh_renew(struct sl_gw *gw, const struct gw_att *a, const struct sl_ip *ip, uint32_t nh)
{
	struct sl_neigh *n;

	gw->nh_reuse = nh;
	n = sl_neigh_want(gw->neigh, a->a.id, ip, true, gw_mono_ns(gw));
	if (n != NULL && nh_ensure(gw, n))
		neigh_changed(gw, n);
	gw->nh_reuse = 0;
}

int
sl_gw_neigh_del(struct sl_gw *gw, const char *port, uint16_t vlan, const struct sl_ip *ip,
		struct sl_error *e)
{
	char text[SL_IP_STR];
	struct sl_neigh *n;
	struct gw_att *a;
	uint32_t nh;
	int rc = neigh_args(gw, port, vlan, ip, &a, e);

	if (rc != 0)
		return rc;
	n = sl_neigh_find(gw->neigh, a->a.id, ip);
	if (n == NULL)
		return sl_fail(e, -ENOENT, "not_found", "/ip", "no neighbour %s on this port",
			       sl_ip_str(ip, text));
	nh = n->nh;
	sl_gw_begin(gw);
	rc = sl_neigh_del(gw->neigh, a->a.id, ip);
	if (nh != 0 && gw->nh_refs[nh] > 0)
		neigh_renew(gw, a, ip, nh);
	sl_gw_commit(gw);
	return rc;
}

struct walk {
	struct sl_gw *gw;
	void (*fn)(void *ctx, const struct sl_gw_neigh_info *n);
	void *ctx;
};

static void
walk_cb(void *ctx, const struct sl_neigh *n)
{
	struct walk *w = ctx;
	const struct gw_att *a = w->gw->att[n->att];
	struct sl_gw_neigh_info info = {.port = gw_att_port_name(w->gw, a),
					.vlan = a->a.vlan,
					.n = n};

	w->fn(w->ctx, &info);
}

void
sl_gw_neigh_walk(struct sl_gw *gw, void (*fn)(void *ctx, const struct sl_gw_neigh_info *n),
		 void *ctx)
{
	struct walk w = {.gw = gw, .fn = fn, .ctx = ctx};

	sl_neigh_walk(gw->neigh, walk_cb, &w);
}

void
gw_neigh_free(struct sl_gw *gw)
{
	sl_neigh_free(gw->neigh);
}
