/* SPDX-License-Identifier: BSD-3-Clause */
#include "tx_fixture.h"

#include <stdlib.h>

#include <sodium.h>

#include "pipeline_int.h"

static struct sl_lpm_garbage garbage;

struct sl_ip
fx_ip(const char *s)
{
	struct sl_ip ip;

	assert_int_equal(sl_ip_parse(s, &ip), 0);
	return ip;
}

static struct sl_prefix
prefix_of(const char *s)
{
	struct sl_prefix p;

	assert_int_equal(sl_prefix_parse(s, &p), 0);
	return p;
}

void
fx_lpm(struct sl_lpm *t, const char *prefix, uint32_t value)
{
	struct sl_prefix p = prefix_of(prefix);

	assert_int_equal(sl_lpm_set(t, t, p.ip.b, p.len, value, &garbage), 0);
}

void
fx_lpm_del(struct sl_lpm *t, const char *prefix)
{
	struct sl_prefix p = prefix_of(prefix);

	assert_int_equal(sl_lpm_del(t, t, p.ip.b, p.len, &garbage), 0);
}

/* --- the gateway ----------------------------------------------------------------------------- */

static struct sl_att *
att_new(struct fx *x, unsigned id, unsigned port, unsigned vlan, unsigned mtu, const char *mac,
	const char *a4, const char *a6)
{
	struct sl_att *a = calloc(1, sizeof(*a));

	a->id = (uint16_t)id;
	a->port = (uint16_t)port;
	a->vlan = (uint16_t)vlan;
	a->mtu = (uint16_t)mtu;
	memcpy(a->mac, mac, 6);
	a->addr[a->n_addrs++] = prefix_of(a4);
	a->addr[a->n_addrs++] = prefix_of(a6);
	return a;
}

static struct sl_iface_view *
iface_new(unsigned id, unsigned listen_port)
{
	struct sl_iface_view *f = calloc(1, sizeof(*f));

	f->id = (uint16_t)id;
	f->listen_port = (uint16_t)listen_port;
	f->mtu = 1420;
	f->inside_att = 1;
	f->up = true;
	f->isolation = true;
	f->mss_clamp = true;
	sl_lpm_init(&f->peers4, 32);
	sl_lpm_init(&f->peers6, 128);
	sl_lpm_init(&f->inside4, 32);
	sl_lpm_init(&f->inside6, 128);
	sl_lpm_init(&f->routes4, 32);
	sl_lpm_init(&f->routes6, 128);
	sl_lpm_init(&f->local4, 32);
	sl_lpm_init(&f->local6, 128);
	return f;
}

static void
iface_free(struct sl_iface_view *f)
{
	sl_lpm_free(&f->peers4);
	sl_lpm_free(&f->peers6);
	sl_lpm_free(&f->inside4);
	sl_lpm_free(&f->inside6);
	sl_lpm_free(&f->routes4);
	sl_lpm_free(&f->routes6);
	sl_lpm_free(&f->local4);
	sl_lpm_free(&f->local6);
	free(f);
}

static void
iface_addr(struct sl_iface_view *f, const char *prefix)
{
	struct sl_prefix p = prefix_of(prefix);
	struct sl_lpm *t = p.ip.family == 4 ? &f->local4 : &f->local6;

	f->addr[f->n_addrs] = p;
	assert_int_equal(sl_lpm_set(t, t, p.ip.b, p.ip.family == 4 ? 32 : 128, f->n_addrs,
				    &garbage),
			 0);
	f->n_addrs++;
}

static void
routes(struct sl_iface_view *f)
{
	fx_lpm(&f->routes4, "10.0.0.0/24", FX_NH_GLEAN);
	fx_lpm(&f->routes6, "fd00:a::/64", FX_NH_GLEAN);
	fx_lpm(&f->routes4, "10.0.0.10/32", FX_NH_SERVER);
	fx_lpm(&f->routes6, "fd00:a::10/128", FX_NH_SERVER);
	fx_lpm(&f->routes4, "10.9.0.0/16", FX_NH_SERVER);
	fx_lpm(&f->routes4, "10.66.0.0/16", FX_NH_UNREACH);
	fx_lpm(&f->routes4, "10.67.0.0/16", FX_NH_BLACKHOLE);
	fx_lpm(&f->routes4, "10.68.0.0/16", FX_NH_FAILED);
	fx_lpm(&f->routes4, "10.69.0.0/16", FX_NH_INCOMPLETE);
	fx_lpm(&f->routes4, "10.70.0.0/16", FX_NH_SMALL);
	fx_lpm(&f->routes6, "fd00:70::/32", FX_NH_SMALL);
}

static void
interfaces(struct fx *x)
{
	x->f1 = iface_new(1, 51820);
	iface_addr(x->f1, "10.7.0.1/24");
	iface_addr(x->f1, "fd00:7::1/64");
	fx_lpm(&x->f1->peers4, "10.7.0.2/32", 1);
	fx_lpm(&x->f1->peers6, "fd00:7::2/128", 1);
	fx_lpm(&x->f1->peers4, "10.7.0.3/32", 2);
	fx_lpm(&x->f1->peers6, "fd00:7::3/128", 2);
	fx_lpm(&x->f1->inside4, "10.0.0.0/16", 1);
	fx_lpm(&x->f1->inside6, "fd00:a::/48", 1);
	routes(x->f1);
	x->f2 = iface_new(2, 51821);
	iface_addr(x->f2, "10.8.0.1/24");
	fx_lpm(&x->f2->peers4, "10.8.0.2/32", 3);
	x->f2->inside_any = true;
	routes(x->f2);
}

static void
next_hops(struct fx *x)
{
	struct sl_nh_table *t = x->dp->nhs;
	struct sl_ip ip;
	unsigned i;

	for (i = 1; i <= FX_NH_RESOLVED; i++)
		assert_int_equal(sl_nh_alloc(t), i);
	ip = fx_ip("198.18.0.254");
	sl_nh_write(t, FX_NH_ROUTER, SL_NH_HOST, SL_NH_USABLE, x->wan, &ip,
		    (const uint8_t *)FX_MAC_ROUTER);
	sl_nh_write(t, FX_NH_WAN_GLEAN, SL_NH_GLEAN, SL_NH_USABLE, x->wan, NULL, NULL);
	ip = fx_ip("10.0.0.10");
	sl_nh_write(t, FX_NH_SERVER, SL_NH_HOST, SL_NH_USABLE, x->inside, &ip,
		    (const uint8_t *)FX_MAC_SERVER);
	sl_nh_write(t, FX_NH_GLEAN, SL_NH_GLEAN, SL_NH_USABLE, x->inside, NULL, NULL);
	sl_nh_write(t, FX_NH_UNREACH, SL_NH_UNREACHABLE, SL_NH_USABLE, NULL, NULL, NULL);
	sl_nh_write(t, FX_NH_BLACKHOLE, SL_NH_BLACKHOLE, SL_NH_USABLE, NULL, NULL, NULL);
	ip = fx_ip("10.0.0.68");
	sl_nh_write(t, FX_NH_FAILED, SL_NH_HOST, SL_NH_FAILED, x->inside, &ip, NULL);
	ip = fx_ip("10.0.0.69");
	sl_nh_write(t, FX_NH_INCOMPLETE, SL_NH_HOST, SL_NH_INCOMPLETE, x->inside, &ip, NULL);
	ip = fx_ip("10.0.0.70");
	sl_nh_write(t, FX_NH_SMALL, SL_NH_HOST, SL_NH_USABLE, x->small, &ip,
		    (const uint8_t *)FX_MAC_SERVER);
	ip = fx_ip("10.0.0.77");
	sl_nh_write(t, FX_NH_RESOLVED, SL_NH_HOST, SL_NH_USABLE, x->inside, &ip,
		    (const uint8_t *)FX_MAC_SERVER);
}

static void
root(struct fx *x)
{
	static const struct sl_iface_view *ifaces[3];
	static const struct sl_att *atts[3];
	static uint16_t by_port[65536];

	x->wan = att_new(x, 0, 0, 0, 1500, FX_MAC_WAN, "198.18.0.1/24", "2001:db8:f::1/64");
	x->inside = att_new(x, 1, 1, 7, 1500, FX_MAC_INSIDE, "10.0.0.1/24", "fd00:a::1/64");
	x->inside->iface[x->inside->n_ifaces++] = 1;
	x->inside->iface[x->inside->n_ifaces++] = 2;
	x->small = att_new(x, 2, 1, 8, 600, FX_MAC_INSIDE, "10.1.0.1/24", "fd00:b::1/64");
	interfaces(x);
	next_hops(x);
	x->root = calloc(1, sizeof(*x->root));
	x->root->generation = 1;
	sl_lpm_init(&x->root->underlay4, 32);
	sl_lpm_init(&x->root->underlay6, 128);
	sl_lpm_init(&x->root->authz.mode4, 32);
	sl_lpm_init(&x->root->authz.mode6, 128);
	fx_lpm(&x->root->underlay4, "0.0.0.0/0", FX_NH_ROUTER);
	fx_lpm(&x->root->underlay6, "::/0", FX_NH_ROUTER);
	fx_lpm(&x->root->underlay4, "198.18.0.0/24", FX_NH_WAN_GLEAN);
	fx_lpm(&x->root->underlay6, "2001:db8:f::/64", FX_NH_WAN_GLEAN);
	ifaces[1] = x->f1;
	ifaces[2] = x->f2;
	atts[0] = x->wan;
	atts[1] = x->inside;
	atts[2] = x->small;
	by_port[51820] = 1;
	by_port[51821] = 2;
	x->root->n_ifaces = 3;
	x->root->iface = ifaces;
	x->root->n_atts = 3;
	x->root->att = atts;
	x->root->iface_by_udp_port = by_port;
}

static void
peers(struct fx *x)
{
	struct sl_keypair *kp;
	unsigned i;

	for (i = 1; i <= 3; i++) {
		x->peer[i] = sl_peer_alloc(x->dp->n_workers);
		x->peer[i]->id = i;
		x->peer[i]->iface_id = i == 3 ? 2 : 1;
		x->peer[i]->enabled = 1;
		x->kp[i] = kp = aligned_alloc(SL_CACHE_LINE, sizeof(*kp));
		memset(kp, 0, sizeof(*kp));
		kp->peer = x->peer[i];
		kp->peer_id = i;
		kp->iface_id = x->peer[i]->iface_id;
		kp->local_index = 0x1000 + i;
		kp->remote_index = 0xa0b0c000 + i;
		kp->initiator = 1;
		kp->confirmed = 1;
		kp->birth_ns = FX_START_NS;
		kp->birth_tick = sl_tick_of(FX_START_NS);
		memset(kp->send_key, (int)(0x40 + i), sizeof(kp->send_key));
		x->peer[i]->current = kp;
		x->dp->peers->slot[i] = x->peer[i];
		fx_endpoint(x, i, "198.18.0.1", "203.0.113.9");
	}
}

void
fx_endpoint(struct fx *x, unsigned peer, const char *src, const char *dst)
{
	struct sl_peer_path path;

	memset(&path, 0, sizeof(path));
	if (src != NULL)
		path.outer.src = fx_ip(src);
	if (dst != NULL)
		path.outer.dst = fx_ip(dst);
	path.outer.sport = x->peer[peer]->iface_id == 2 ? 51821 : 51820;
	path.outer.dport = (uint16_t)(40000 + peer);
	sl_peer_path_write(x->peer[peer], &path);
}

void
fx_time(struct fx *x, uint64_t ns)
{
	unsigned i;

	for (i = 0; i < x->dp->n_lcores; i++) {
		x->dp->worker[i]->now_ns = ns;
		x->dp->worker[i]->tick = sl_tick_of(ns);
		x->dp->worker[i]->root = x->root;
	}
}

void
fx_publish(struct fx *x)
{
	x->root->generation++;
}

struct fx *
fx_new(unsigned workers)
{
	struct sl_dp_conf conf = {.name = "fx",
				  .n_workers = workers,
				  .aead = SL_AEAD_IPSEC_MB,
				  .pool_size = FX_POOL,
				  .flows_max = 4096,
				  .agg_rows = 1024};
	struct fx *x = calloc(1, sizeof(*x));
	struct sl_error e = {0};
	unsigned i;

	x->pool = conf.pool = sl_pkt_pool_new("fx_pool", FX_POOL, FX_ROOM, SOCKET_ID_ANY);
	assert_non_null(x->pool);
	x->dp = sl_dp_new(&conf, &e);
	if (x->dp == NULL)
		fail_msg("%s", e.message);
	x->w = x->dp->worker[0];
	root(x);
	x->dp->root = x->root;
	peers(x);
	x->port[0] = sl_mbox_ring_new("fx_p0", 1024, -1);
	x->port[1] = sl_mbox_ring_new("fx_p1", 1024, -1);
	for (i = 0; i < 2; i++) {
		x->w->tx[i].present = true;
		x->w->tx[i].via = x->port[i];
	}
	fx_time(x, FX_START_NS);
	return x;
}

void
fx_free(struct fx *x)
{
	unsigned i;

	fx_quiet(x);
	for (i = 0; i < 2; i++)
		rte_ring_free(x->port[i]);
	sl_dp_free(x->dp);
	for (i = 1; i <= 3; i++) {
		sl_peer_free(x->peer[i]);
		free(x->kp[i]);
	}
	assert_int_equal(rte_mempool_avail_count(x->pool), FX_POOL);
	rte_mempool_free(x->pool);
	sl_lpm_free(&x->root->underlay4);
	sl_lpm_free(&x->root->underlay6);
	sl_lpm_free(&x->root->authz.mode4);
	sl_lpm_free(&x->root->authz.mode6);
	iface_free(x->f1);
	iface_free(x->f2);
	sl_lpm_garbage_free(&garbage);
	free(x->wan);
	free(x->inside);
	free(x->small);
	free(x->root);
	free(x);
}

/* --- packets in ------------------------------------------------------------------------------ */

static unsigned
write_l4(uint8_t *p, const struct fx_spec *s, uint8_t proto, unsigned len)
{
	unsigned i, at = 0;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + 3);
	if (proto == SL_PROTO_UDP && s->frag_off == 0) {
		sl_store_be16(p, s->sport != 0 ? s->sport : 5000);
		sl_store_be16(p + 2, s->dport != 0 ? s->dport : 6000);
		sl_store_be16(p + 4, (uint16_t)len);
		at = 6;
	} else if (proto == SL_PROTO_TCP) {
		sl_store_be16(p, s->sport != 0 ? s->sport : 5000);
		sl_store_be16(p + 2, s->dport != 0 ? s->dport : 443);
		p[12] = s->mss != 0 ? 6 << 4 : 5 << 4;
		p[13] = s->tcp_flags;
		if (s->mss != 0) {
			p[20] = 2;
			p[21] = 4;
			sl_store_be16(p + 22, s->mss);
		}
		at = 16;
	} else if (proto == SL_PROTO_ICMP || proto == SL_PROTO_ICMP6) {
		p[0] = s->icmp_type;
		p[1] = 0;
		at = 2;
	}
	if (at != 0)
		memset(p + at, 0, 2);
	return at;
}

static void
store_l4_csum(uint8_t *ip, unsigned hdr, unsigned len, unsigned at, uint8_t proto)
{
	uint8_t pseudo[40];
	bool v4 = ip[0] >> 4 == 4;
	unsigned n = v4 ? 12 : 40;
	uint16_t c;

	memset(pseudo, 0, sizeof(pseudo));
	memcpy(pseudo, ip + (v4 ? 12 : 8), v4 ? 8 : 32);
	sl_store_be16(pseudo + n - (v4 ? 2 : 6), (uint16_t)len);
	pseudo[v4 ? 9 : 39] = proto;
	c = proto == SL_PROTO_ICMP ? fx_csum(ip + hdr, len, NULL, 0)
				   : fx_csum(pseudo, n, ip + hdr, len);
	sl_store_be16(ip + hdr + at, c);
}

static unsigned
write_packet(uint8_t *ip, const struct fx_spec *s)
{
	struct sl_ip src = fx_ip(s->src), dst = fx_ip(s->dst);
	uint8_t proto = s->proto != 0 ? s->proto : SL_PROTO_UDP;
	unsigned len = s->len != 0 ? s->len : 100, hdr, at;

	if (src.family == 4) {
		hdr = SL_IP4_HDR + s->options_len;
		memset(ip, 0, hdr);
		ip[0] = (uint8_t)(0x40 | hdr / 4);
		ip[1] = s->tos;
		sl_store_be16(ip + 2, (uint16_t)len);
		sl_store_be16(ip + 4, 0x1234);
		sl_store_be16(ip + 6, (uint16_t)((s->df ? 0x4000 : 0) | s->frag_off / 8 |
						 (s->frag_off != 0 ? 0x2000 : 0)));
		ip[8] = s->ttl != 0 ? s->ttl : 64;
		ip[9] = proto;
		memcpy(ip + 12, src.b, 4);
		memcpy(ip + 16, dst.b, 4);
		memcpy(ip + 20, s->options != NULL ? s->options : ip, s->options_len);
		sl_store_be16(ip + 10, fx_csum(ip, hdr, NULL, 0));
	} else {
		hdr = SL_IP6_HDR;
		memset(ip, 0, hdr);
		ip[0] = (uint8_t)(0x60 | s->tos >> 4);
		ip[1] = (uint8_t)(s->tos << 4);
		sl_store_be16(ip + 4, (uint16_t)(len - hdr));
		ip[6] = proto;
		ip[7] = s->ttl != 0 ? s->ttl : 64;
		memcpy(ip + 8, src.b, 16);
		memcpy(ip + 24, dst.b, 16);
	}
	at = write_l4(ip + hdr, s, proto, len - hdr);
	if (at != 0)
		store_l4_csum(ip, hdr, len - hdr, at, proto);
	return len;
}

static struct rte_mbuf *
packet(struct fx *x, const struct fx_spec *s, uint32_t peer)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(x->pool);
	struct sl_ip_info info;
	struct sl_meta *meta;
	unsigned len;

	if (m == NULL) {
		fail_msg("the pool is empty");
		return NULL;
	}
	meta = sl_meta(m);
	memset(meta, 0xee, sizeof(*meta)); /* no stage may rely on zeros */
	meta->flags = 0;
	len = write_packet(rte_pktmbuf_mtod(m, uint8_t *), s);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	assert_int_equal(sl_ip_parse_packet(rte_pktmbuf_mtod(m, uint8_t *), len, true, &info),
			 SL_DROP_NONE);
	sl_meta_from_ip(meta, &info);
	meta->iface_id = 1;
	meta->att = 1;
	meta->port = 1;
	meta->peer_id = peer;
	return m;
}

struct rte_mbuf *
fx_inside(struct fx *x, const struct fx_spec *s, uint32_t peer)
{
	return packet(x, s, peer);
}

struct rte_mbuf *
fx_tunnel(struct fx *x, const struct fx_spec *s, uint32_t peer)
{
	struct rte_mbuf *m = packet(x, s, peer);

	sl_meta(m)->flags |= SL_PKT_FROM_TUNNEL;
	sl_meta(m)->att = 0;
	sl_meta(m)->port = 0;
	return m;
}

void
fx_run(struct fx *x, enum sl_node node, struct rte_mbuf *m)
{
	sl_vec_add(&x->w->v[node], m);
	sl_worker_run(x->w);
}

/* --- frames out ------------------------------------------------------------------------------ */

struct rte_mbuf *
fx_frame(struct fx *x, unsigned port)
{
	void *m;

	return rte_ring_sc_dequeue(x->port[port], &m) == 0 ? m : NULL;
}

uint64_t
fx_drops(struct fx *x, enum sl_drop reason)
{
	uint64_t n;

	sl_stats_flush(x->w->stats, &x->w->delta);
	n = x->w->stats->drops[reason] - x->drops[reason];
	x->drops[reason] += n;
	return n;
}

void
fx_quiet(struct fx *x)
{
	unsigned i;

	assert_int_equal(rte_ring_count(x->port[0]), 0);
	assert_int_equal(rte_ring_count(x->port[1]), 0);
	for (i = 0; i < SL_DROP_MAX; i++)
		if (fx_drops(x, i) != 0)
			fail_msg("unexpected drop: %s", sl_drop_text(i));
}

const uint8_t *
fx_plain(struct rte_mbuf *m, struct sl_ip_info *info)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);

	assert_memory_equal(p, FX_MAC_SERVER, 6);
	assert_memory_equal(p + 6, FX_MAC_INSIDE, 6);
	assert_int_equal(sl_load_be16(p + 12), SL_ETHERTYPE_VLAN);
	assert_int_equal(m->data_len, m->pkt_len);
	p += SL_L2_MAX;
	assert_int_equal(sl_load_be16(p - 2), p[0] >> 4 == 4 ? SL_ETHERTYPE_IP4 : SL_ETHERTYPE_IP6);
	assert_int_equal(sl_ip_parse_packet(p, m->data_len - SL_L2_MAX, true, info), SL_DROP_NONE);
	assert_int_equal(info->total_len, m->data_len - SL_L2_MAX);
	if (info->version == 4)
		assert_true(fx_ip_csum_ok(p));
	return p;
}

static void
open_ip(const uint8_t *p, struct fx_sealed *out)
{
	out->version = p[0] >> 4;
	if (out->version == 4) {
		assert_int_equal(p[0], 0x45);
		assert_true(fx_ip_csum_ok(p));
		assert_int_equal(sl_load_be16(p + 4), 0);      /* id */
		assert_int_equal(sl_load_be16(p + 6), 0x4000); /* DF */
		assert_int_equal(p[8], 64);
		assert_int_equal(p[9], SL_PROTO_UDP);
		out->tos = p[1];
		out->ip_len = sl_load_be16(p + 2);
		out->src = sl_ip_v4(p + 12);
		out->dst = sl_ip_v4(p + 16);
	} else {
		assert_int_equal(out->version, 6);
		assert_int_equal(p[6], SL_PROTO_UDP);
		assert_int_equal(p[7], 64);
		out->tos = (uint8_t)(p[0] << 4 | p[1] >> 4);
		assert_int_equal(sl_load_be32(p) & 0xfffff, 0); /* flow label */
		out->ip_len = SL_IP6_HDR + sl_load_be16(p + 4);
		out->src = sl_ip_v6(p + 8);
		out->dst = sl_ip_v6(p + 24);
	}
}

void
fx_open(struct fx *x, struct rte_mbuf *m, unsigned peer, struct fx_sealed *out)
{
	const uint8_t *p, *udp, *wg;
	uint8_t nonce[12] = {0};
	unsigned long long len;
	unsigned cipher_len;

	assert_non_null(m);
	p = rte_pktmbuf_mtod(m, const uint8_t *);
	assert_memory_equal(p, FX_MAC_ROUTER, 6);
	assert_memory_equal(p + 6, FX_MAC_WAN, 6);
	p += SL_ETH_HDR;
	open_ip(p, out);
	assert_int_equal(sl_load_be16(p - 2),
			 out->version == 4 ? SL_ETHERTYPE_IP4 : SL_ETHERTYPE_IP6);
	assert_int_equal(out->ip_len, m->pkt_len - SL_ETH_HDR);
	assert_int_equal(m->pkt_len, m->data_len);
	udp = p + (out->version == 4 ? SL_IP4_HDR : SL_IP6_HDR);
	out->sport = sl_load_be16(udp);
	out->dport = sl_load_be16(udp + 2);
	out->udp_len = sl_load_be16(udp + 4);
	out->udp_csum = sl_load_be16(udp + 6);
	assert_int_equal(udp + out->udp_len - p, out->ip_len);
	if ((m->ol_flags & RTE_MBUF_F_TX_UDP_CKSUM) == 0 &&
	    (out->version == 6 || out->udp_csum != 0))
		assert_true(fx_l4_csum_ok(p, out->ip_len));
	wg = udp + SL_UDP_HDR;
	assert_int_equal(sl_load_le32(wg), 4);
	out->index = sl_load_le32(wg + 4);
	out->counter = sl_load_le64(wg + 8);
	memcpy(nonce + 4, wg + 8, 8);
	cipher_len = out->udp_len - SL_UDP_HDR - SL_WIRE_DATA_HDR;
	assert_int_equal(crypto_aead_chacha20poly1305_ietf_decrypt(out->plain, &len, NULL,
								   wg + SL_WIRE_DATA_HDR,
								   cipher_len, NULL, 0, nonce,
								   x->kp[peer]->send_key),
			 0);
	out->len = (unsigned)len;
	assert_int_equal(out->index, x->kp[peer]->remote_index);
	rte_pktmbuf_free(m);
}

/* --- oracles --------------------------------------------------------------------------------- */

uint16_t
fx_csum(const uint8_t *p, size_t n, const uint8_t *q, size_t k)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += (uint64_t)p[i] << (i % 2 != 0 ? 0 : 8);
	for (i = 0; i < k; i++)
		sum += (uint64_t)q[i] << (i % 2 != 0 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

bool
fx_ip_csum_ok(const uint8_t *ip)
{
	return fx_csum(ip, (ip[0] & 15) * 4U, NULL, 0) == 0;
}

bool
fx_l4_csum_ok(const uint8_t *ip, unsigned len)
{
	bool v4 = ip[0] >> 4 == 4;
	unsigned hdr = v4 ? (ip[0] & 15) * 4U : SL_IP6_HDR, n = v4 ? 12 : 40;
	uint8_t pseudo[40], proto = v4 ? ip[9] : ip[6];

	if (v4 && proto == SL_PROTO_ICMP)
		return fx_csum(ip + hdr, len - hdr, NULL, 0) == 0;
	memset(pseudo, 0, sizeof(pseudo));
	memcpy(pseudo, ip + (v4 ? 12 : 8), v4 ? 8 : 32);
	sl_store_be16(pseudo + n - (v4 ? 2 : 6), (uint16_t)(len - hdr));
	pseudo[v4 ? 9 : 39] = proto;
	return fx_csum(pseudo, n, ip + hdr, len - hdr) == 0;
}
