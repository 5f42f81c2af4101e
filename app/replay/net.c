/* SPDX-License-Identifier: BSD-3-Clause */
/* The network around the gateway: hosts that answer ARP and ND at once, the peers' Internet. */
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>

#include "replay.h"

#define STEP_NS SL_TICK_NS
#define STEPS_FINE 100		   /* so long in single ticks, */
#define STEP_COARSE_NS SL_NS_PER_S /* then in seconds, */
#define STEPS_COARSE 1000	   /* then in minutes: nothing has a timer left but idle flows */
#define STEP_LONG_NS (60 * SL_NS_PER_S)
#define ROUNDS_MAX 1000
#define ND_FIRST 133 /* router solicitation */
#define ND_LAST 137  /* redirect */
#define ND_NS 135
#define MLD2_REPORT 143
#define ND_HOP_LIMIT 255

/** MAC of everybody on a port but the gateway. */
static const uint8_t far_mac[6] = {0x02, 0x73, 0x6c, 0x75, 0x63, 0x65};

struct setup {
	struct replay *r;
	struct sl_gw_port_view ports[SL_PORT_MAX];
	unsigned n_ports;
	int rc;
};

static void
add_port(void *ctx, const struct sl_gw_port_view *v)
{
	struct setup *s = ctx;

	s->ports[s->n_ports++] = *v;
}

static void
add_iface(void *ctx, const struct sl_gw_iface_info *i)
{
	struct setup *s = ctx;
	struct replay *r = s->r;
	struct replay_iface *grown = realloc(r->iface, (r->n_ifaces + 1) * sizeof(*grown)), *f;

	if (!grown) {
		s->rc = -ENOMEM;
		return;
	}
	r->iface = grown;
	f = &grown[r->n_ifaces++];
	*f = (struct replay_iface){.id = i->id,
				   .listen_port = i->listen_port,
				   .mtu = i->mtu,
				   .key = i->public_key,
				   .inside_vlan = i->inside_vlan};
	snprintf(f->name, sizeof(f->name), "%s", i->name);
	for (unsigned p = 0; i->inside_port && p < s->n_ports; p++)
		if (strcmp(s->ports[p].port->name, i->inside_port) == 0) {
			f->has_inside = true;
			f->inside_port = s->ports[p].number;
			f->inside_mtu = s->ports[p].port->mtu;
		}
}

static bool
is_inside(const struct replay *r, unsigned port, uint16_t vlan)
{
	for (unsigned i = 0; i < r->n_ifaces; i++)
		if (r->iface[i].has_inside && r->iface[i].inside_port == port &&
		    r->iface[i].inside_vlan == vlan)
			return true;
	return false;
}

static bool
is_own(const struct setup *s, const struct sl_ip *ip)
{
	for (unsigned p = 0; p < s->n_ports; p++)
		for (unsigned a = 0; a < s->ports[p].n_addr; a++)
			if (sl_ip_equal(&s->ports[p].addr[a].prefix.ip, ip))
				return true;
	return false;
}

/** A host in the connected network; in networks of one or two addresses one of nowhere. */
static struct sl_ip
far_host(const struct setup *s, const struct sl_prefix *own)
{
	unsigned last = own->ip.family == 4 ? 3 : 15;
	struct sl_prefix net = *own;

	if (own->len + 1 >= (own->ip.family == 4 ? 32 : 128)) {
		sl_ip_parse(own->ip.family == 4 ? "192.0.2.1" : "2001:db8::1", &net.ip);
		return net.ip;
	}
	sl_prefix_mask(&net);
	do
		net.ip.b[last]++;
	while (is_own(s, &net.ip));
	return net.ip;
}

/** The address that peers reach: rather not one where the inside is. */
static int
choose_outer(struct setup *s, struct sl_error *e)
{
	struct replay *r = s->r;

	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned p = 0; p < s->n_ports; p++)
			for (unsigned a = 0; a < s->ports[p].n_addr; a++) {
				const struct sl_gw_addr *addr = &s->ports[p].addr[a];

				if (pass == 0 && is_inside(r, s->ports[p].number, addr->vlan))
					continue;
				r->outer_port = s->ports[p].number;
				r->outer_vlan = addr->vlan;
				r->outer_ip = addr->prefix.ip;
				r->outer_far = far_host(s, &addr->prefix);
				return 0;
			}
	sl_fail(e, -EINVAL, "no_address", "/ports", "no port of the configuration has an address");
	sl_hint(e, "peers need one to reach the gateway: ports = ( { addresses = [ ... ]; } )");
	return -EINVAL;
}

int
replay_net_init(struct replay *r, struct sl_error *e)
{
	struct setup s = {.r = r};

	sl_gw_port_walk(r->l.a.gw, add_port, &s);
	sl_gw_iface_walk(r->l.a.gw, add_iface, &s);
	if (s.rc)
		return sl_fail(e, s.rc, "no_memory", "", "no memory for the interfaces");
	return choose_outer(&s, e);
}

/* --- towards the gateway --------------------------------------------------------------------- */

/** Ethernet header for the gateway's MAC. @return bytes */
static unsigned
l2_write(const struct replay *r, uint8_t *p, unsigned port, uint16_t vlan, uint16_t ethertype)
{
	unsigned n = 12;

	memcpy(p, r->l.a.port[port].mac, 6);
	memcpy(p + 6, far_mac, 6);
	if (vlan) {
		sl_store_be16(p + n, SL_ETHERTYPE_VLAN);
		sl_store_be16(p + n + 2, vlan);
		n += SL_VLAN_HDR;
	}
	sl_store_be16(p + n, ethertype);
	return n + 2;
}

static int
frame_in(struct replay *r, unsigned port, unsigned queue, const uint8_t *frame, unsigned len)
{
	return sl_lockstep_rx(&r->l, port, queue % r->l.n_queues, frame, len, UINT16_MAX);
}

int
replay_net_outer(struct replay *r, const struct replay_peer *p, const void *msg, uint32_t len)
{
	static uint8_t frame[SL_L2_MAX + SL_IP6_HDR + SL_UDP_HDR + REPLAY_PACKET_MAX];
	bool v4 = r->outer_ip.family == 4;
	unsigned l2 = l2_write(r, frame, r->outer_port, r->outer_vlan,
			       v4 ? SL_ETHERTYPE_IP4 : SL_ETHERTYPE_IP6);
	unsigned hdr = sl_outer_len(r->outer_ip.family);
	uint8_t *ip = frame + l2, *udp = ip + hdr - SL_UDP_HDR;

	if (l2 + hdr + len > sizeof(frame))
		return -EMSGSIZE;
	sl_outer_write(ip, &p->outer, 0, (uint16_t)len);
	memcpy(ip + hdr, msg, len);
	if (!v4) {
		struct sl_ip_info info = {.version = 6,
					  .proto = SL_PROTO_UDP,
					  .src = ip + 8,
					  .dst = ip + 24};
		uint16_t sum = sl_l4_csum(&info, udp, SL_UDP_HDR + len, 6);

		memcpy(udp + 6, &sum, sizeof(sum));
	}
	return frame_in(r, r->outer_port, p->outer.sport, frame, l2 + hdr + len);
}

/** What a NIC does: the same flow, the same queue. */
static unsigned
flow_queue(const struct sl_ip_info *ip)
{
	size_t n = ip->version == 4 ? 4 : 16;
	uint32_t h = (uint32_t)(ip->sport ^ ip->dport);

	for (size_t i = 0; i < n; i++)
		h = (h ^ ip->src[i] ^ (uint32_t)ip->dst[i]) * UINT32_C(16777619);
	return h >> 16;
}

int
replay_net_inside(struct replay *r, const struct replay_iface *f, const struct replay_packet *p)
{
	static uint8_t frame[SL_L2_MAX + REPLAY_PACKET_MAX];
	unsigned l2 = l2_write(r, frame, f->inside_port, f->inside_vlan,
			       p->ip.version == 4 ? SL_ETHERTYPE_IP4 : SL_ETHERTYPE_IP6);

	memcpy(frame + l2, p->data, p->len);
	return frame_in(r, f->inside_port, flow_queue(&p->ip), frame, l2 + p->len);
}

/* --- from the gateway ------------------------------------------------------------------------ */

struct sent {
	unsigned port;
	uint16_t vlan, ethertype;
	uint8_t *p; /* behind the Ethernet header */
	unsigned len;
};

/* Rings have a MAC of zeros, which lib/wire would not accept of a stranger: the two questions are
 * read here. */
static bool
answer_arp(struct replay *r, const struct sent *s)
{
	uint8_t frame[SL_L2_MAX + SL_ARP_LEN];
	unsigned l2 = l2_write(r, frame, s->port, s->vlan, SL_ETHERTYPE_ARP);
	static const uint8_t none[4];
	const uint8_t *asks = s->p + 14, *target = s->p + 24;

	if (s->len < SL_ARP_LEN || sl_load_be16(s->p + 6) != 1 || memcmp(asks, none, 4) == 0 ||
	    memcmp(asks, target, 4) == 0)
		return false;
	sl_arp_write(frame + l2, true, far_mac, target, s->p + 8, asks);
	return frame_in(r, s->port, 0, frame, l2 + SL_ARP_LEN) == 0;
}

/** @return true if it was one of the messages by which neighbours and groups are found */
static bool
answer_nd(struct replay *r, const struct sent *s, const struct sl_ip_info *ip, bool *answered)
{
	uint8_t frame[SL_L2_MAX + SL_NS_LEN];
	unsigned l2 = l2_write(r, frame, s->port, s->vlan, SL_ETHERTYPE_IP6), n;
	const uint8_t *icmp = s->p + ip->l4_off;
	static const uint8_t none[16];

	if (ip->proto != SL_PROTO_ICMP6 || ip->l4_off + 8U > s->len)
		return false;
	if (icmp[0] == MLD2_REPORT)
		return true;
	if (icmp[0] < ND_FIRST || icmp[0] > ND_LAST || ip->ttl != ND_HOP_LIMIT)
		return false;
	if (icmp[0] == ND_NS && ip->l4_off + 24U <= s->len && memcmp(ip->src, none, 16) != 0) {
		n = sl_nd_write(frame + l2, true, far_mac, icmp + 8, ip->src, icmp + 8, true);
		*answered = frame_in(r, s->port, 0, frame, l2 + n) == 0;
	}
	return true;
}

/** A datagram for one of the peers? */
static bool
to_peer(struct replay *r, const struct sent *s, const struct sl_ip_info *ip)
{
	uint8_t *msg = s->p + ip->l4_off + SL_UDP_HDR;
	struct replay_peer *p;
	uint32_t len;
	size_t n = r->outer_far.family == 4 ? 4 : 16;

	if (ip->proto != SL_PROTO_UDP || ip->version != r->outer_far.family ||
	    memcmp(ip->dst, r->outer_far.b, n) != 0 || memcmp(ip->src, r->outer_ip.b, n) != 0 ||
	    s->port != r->outer_port || ip->total_len < ip->l4_off + SL_UDP_HDR + 12)
		return false;
	len = ip->total_len - ip->l4_off - SL_UDP_HDR;
	p = replay_peer_at(r, sl_load_le32(msg + (msg[0] == SL_WIRE_RESPONSE ? 8 : 4)));
	if (p)
		replay_peer_receive(r, p, msg, len);
	return true;
}

static void
to_inside(struct replay *r, const struct sent *s, const struct sl_ip_info *ip)
{
	size_t n = ip->version == 4 ? 4 : 16;
	const struct replay_packet *now = r->now;

	if (!now || !is_inside(r, s->port, s->vlan))
		return;
	r->sent++;
	r->matched += now->ip.version == ip->version && memcmp(now->ip.src, ip->src, n) == 0 &&
		      memcmp(now->ip.dst, ip->dst, n) == 0;
	replay_report_out(r->report, now->ts_ns, s->p, ip->total_len);
}

/** @return true if something was handed in */
static bool
frame_out(struct replay *r, unsigned port, uint8_t *frame, unsigned len)
{
	struct sent s = {.port = port};
	unsigned hdr = SL_ETH_HDR;
	struct sl_ip_info ip;
	bool answered = false;

	if (len < SL_ETH_HDR + SL_VLAN_HDR)
		return false;
	s.ethertype = sl_load_be16(frame + 12);
	if (s.ethertype == SL_ETHERTYPE_VLAN) {
		s.vlan = sl_load_be16(frame + 14) & 0xfff;
		s.ethertype = sl_load_be16(frame + 16);
		hdr += SL_VLAN_HDR;
	}
	s.p = frame + hdr;
	s.len = len - hdr;
	if (s.ethertype == SL_ETHERTYPE_ARP)
		return answer_arp(r, &s);
	if (sl_ip_parse_packet(s.p, s.len, false, &ip) != SL_DROP_NONE)
		return false;
	if (answer_nd(r, &s, &ip, &answered))
		return answered;
	if (!to_peer(r, &s, &ip))
		to_inside(r, &s, &ip);
	return false;
}

void
replay_net_run(struct replay *r)
{
	static uint8_t frame[SL_L2_MAX + REPLAY_PACKET_MAX];
	bool more = true;

	for (unsigned i = 0; more && i < ROUNDS_MAX; i++) {
		unsigned port, queue, len;
		struct rte_mbuf *m;

		more = false;
		sl_lockstep_run(&r->l);
		while ((m = sl_lockstep_tx(&r->l, &port, &queue))) {
			len = rte_pktmbuf_pkt_len(m);
			if (len <= sizeof(frame)) {
				const void *p = rte_pktmbuf_read(m, 0, len, frame);

				if (p != frame)
					memcpy(frame, p, len);
				more |= frame_out(r, port, frame, len);
			}
			rte_pktmbuf_free(m);
		}
	}
}

void
replay_net_advance(struct replay *r, uint64_t to_ns)
{
	for (unsigned i = 0; r->l.now_ns < to_ns; i++) {
		uint64_t step = i < STEPS_FINE			? STEP_NS
				: i < STEPS_COARSE + STEPS_FINE ? STEP_COARSE_NS
								: STEP_LONG_NS;

		r->l.now_ns += SL_MIN(step, to_ns - r->l.now_ns);
		replay_net_run(r);
	}
}
