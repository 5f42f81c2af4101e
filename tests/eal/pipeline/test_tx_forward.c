/* SPDX-License-Identifier: BSD-3-Clause */
/* From inside and from a tunnel up to the exit: who may pass, where it goes, what the sender is
 * told. */
#include "tx_fixture.h"

#include "send_int.h"

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
drop_at(struct fx *x, enum sl_node node, struct rte_mbuf *m, enum sl_drop reason)
{
	fx_run(x, node, m);
	if (fx_drops(x, reason) != 1)
		fail_msg("not dropped as %s", sl_drop_text(reason));
	fx_quiet(x);
}

/** What RFC 792 and RFC 4443 ask of an error about `orig`. */
static void
check_error(const uint8_t *p, unsigned len, const uint8_t *orig, unsigned orig_len, uint8_t type,
	    uint8_t code, uint32_t word, const char *src)
{
	bool v4 = p[0] >> 4 == 4;
	unsigned hdr = v4 ? 20 : 40, quoted = len - hdr - 8;
	struct sl_ip want = fx_ip(src);

	assert_int_equal(orig[0] >> 4, p[0] >> 4);
	assert_int_equal(v4 ? p[9] : p[6], v4 ? 1 : 58);
	assert_int_equal(v4 ? p[8] : p[7], 64);
	assert_memory_equal(p + (v4 ? 12 : 8), want.b, v4 ? 4 : 16);
	assert_memory_equal(p + (v4 ? 16 : 24), orig + (v4 ? 12 : 8), v4 ? 4 : 16);
	assert_int_equal(p[hdr], type);
	assert_int_equal(p[hdr + 1], code);
	assert_int_equal(sl_load_be32(p + hdr + 4), word);
	assert_true(fx_l4_csum_ok(p, len));
	/* as much of the packet as fits: 576 or 1280 in all */
	assert_true(quoted == orig_len || len == (v4 ? 576 : 1280));
	assert_memory_equal(p + hdr + 8, orig, quoted);
}

struct error {
	uint8_t type, code;
	uint32_t word;
	const char *src;
};

/** Run it; the error goes to the inside. */
static void
error_to_inside(struct fx *x, enum sl_node node, struct rte_mbuf *m, enum sl_drop reason,
		const struct error *e)
{
	unsigned len = m->data_len;
	struct sl_ip_info info;
	uint8_t orig[9000];
	const uint8_t *p;

	memcpy(orig, rte_pktmbuf_mtod(m, uint8_t *), len);
	fx_run(x, node, m);
	assert_int_equal(fx_drops(x, reason), 1);
	m = fx_frame(x, 1);
	assert_non_null(m);
	p = fx_plain(m, &info);
	check_error(p, info.total_len, orig, len, e->type, e->code, e->word, e->src);
	rte_pktmbuf_free(m);
	fx_quiet(x);
}

/** Run it; the error goes back to the peer, sealed. */
static void
error_to_peer(struct fx *x, enum sl_node node, struct rte_mbuf *m, unsigned peer,
	      enum sl_drop reason, const struct error *e)
{
	unsigned len = m->data_len, err_len;
	struct fx_sealed s;
	uint8_t orig[9000];

	memcpy(orig, rte_pktmbuf_mtod(m, uint8_t *), len);
	fx_run(x, node, m);
	assert_int_equal(fx_drops(x, reason), 1);
	fx_open(x, fx_frame(x, 0), peer, &s);
	err_len =
		s.plain[0] >> 4 == 4 ? sl_load_be16(s.plain + 2) : 40u + sl_load_be16(s.plain + 4);
	check_error(s.plain, err_len, orig, len, e->type, e->code, e->word, e->src);
	fx_quiet(x);
}

static void
spoofed_sources(void **state)
{
	struct fx *x = *state;
	static const char *const sources[] = {
		"10.7.0.2",		/* AllowedIPs of this interface */
		"10.7.0.3", "10.8.0.2", /* of another one on the attachment */
		"10.7.0.1",		/* own inner address */
		"10.8.0.1",		/* of the other interface */
		"10.0.0.1",		/* own address on the attachment */
	};
	static const char *const sources6[] = {"fd00:7::2", "fd00:7::1", "fd00:a::1"};
	unsigned i;

	x->root->authz.panic_observe = true; /* in every mode */
	x->f1->inside_any = true;
	for (i = 0; i < SL_ARRAY_SIZE(sources); i++)
		drop_at(x, SL_NODE_INSIDE,
			fx_inside(x, &(struct fx_spec){.src = sources[i], .dst = "10.7.0.2"}, 1),
			SL_DROP_SPOOFED_SOURCE);
	for (i = 0; i < SL_ARRAY_SIZE(sources6); i++)
		drop_at(x, SL_NODE_INSIDE,
			fx_inside(x, &(struct fx_spec){.src = sources6[i], .dst = "fd00:7::2"}, 1),
			SL_DROP_SPOOFED_SOURCE);
	/* even to the gateway itself */
	drop_at(x, SL_NODE_INSIDE,
		fx_inside(x, &(struct fx_spec){.src = "10.7.0.2", .dst = "10.7.0.1"},
			  SL_PEER_ID_NONE),
		SL_DROP_SPOOFED_SOURCE);
}

static void
inside_prefixes(void **state)
{
	struct fx *x = *state;
	struct fx_sealed s;

	drop_at(x, SL_NODE_INSIDE,
		fx_inside(x, &(struct fx_spec){.src = "10.1.0.1", .dst = "10.7.0.2"}, 1),
		SL_DROP_NOT_INSIDE);
	drop_at(x, SL_NODE_INSIDE,
		fx_inside(x, &(struct fx_spec){.src = "fd00:b::1", .dst = "fd00:7::2"}, 1),
		SL_DROP_NOT_INSIDE);
	x->f1->inside_any = true;
	fx_run(x, SL_NODE_INSIDE,
	       fx_inside(x, &(struct fx_spec){.src = "10.1.0.1", .dst = "10.7.0.2"}, 1));
	fx_open(x, fx_frame(x, 0), 1, &s);
}

static void
inside_of_a_vanished_interface(void **state)
{
	struct fx *x = *state;

	x->f1->up = false;
	drop_at(x, SL_NODE_INSIDE,
		fx_inside(x, &(struct fx_spec){.src = "10.0.0.10", .dst = "10.7.0.2"}, 1),
		SL_DROP_NOT_TUNNEL);
	drop_at(x, SL_NODE_FORWARD,
		fx_tunnel(x, &(struct fx_spec){.src = "10.7.0.2", .dst = "10.0.0.10"}, 1),
		SL_DROP_NO_ROUTE);
}

static void
no_peer_is_told(void **state)
{
	struct fx *x = *state;

	error_to_inside(x, SL_NODE_INSIDE,
			fx_inside(x, &(struct fx_spec){.src = "10.0.0.10", .dst = "10.7.0.9"},
				  SL_PEER_ID_NONE),
			SL_DROP_NO_PEER, &(struct error){3, 1, 0, "10.0.0.1"});
	error_to_inside(
		x, SL_NODE_INSIDE,
		fx_inside(x,
			  &(struct fx_spec){.src = "fd00:a::10", .dst = "fd00:7::9", .len = 1400},
			  SL_PEER_ID_NONE),
		SL_DROP_NO_PEER, &(struct error){1, 3, 0, "fd00:a::1"});
	/* as link-layer broadcast: never answered (RFC 1122 3.2.2) */
	{
		struct rte_mbuf *m =
			fx_inside(x, &(struct fx_spec){.src = "10.0.0.10", .dst = "10.7.0.9"},
				  SL_PEER_ID_NONE);

		sl_meta(m)->flags |= SL_PKT_L2_MCAST;
		drop_at(x, SL_NODE_INSIDE, m, SL_DROP_NO_PEER);
	}
	/* an error about an error: never */
	drop_at(x, SL_NODE_INSIDE,
		fx_inside(x,
			  &(struct fx_spec){.src = "10.0.0.10",
					    .dst = "10.7.0.9",
					    .proto = SL_PROTO_ICMP,
					    .icmp_type = 3},
			  SL_PEER_ID_NONE),
		SL_DROP_NO_PEER);
}

static void
ttl_ends(void **state)
{
	struct fx *x = *state;
	struct fx_spec in4 = {.src = "10.0.0.10", .dst = "10.7.0.2", .ttl = 1, .len = 900};
	struct fx_spec in6 = {.src = "fd00:a::10", .dst = "fd00:7::2", .ttl = 1};
	struct fx_spec out4 = {.src = "10.7.0.2", .dst = "10.0.0.10", .ttl = 1, .len = 1000};
	struct fx_spec out6 = {.src = "fd00:7::2", .dst = "fd00:a::10", .ttl = 1, .len = 1400};

	error_to_inside(x, SL_NODE_INSIDE, fx_inside(x, &in4, 1), SL_DROP_TTL,
			&(struct error){11, 0, 0, "10.0.0.1"});
	error_to_inside(x, SL_NODE_INSIDE, fx_inside(x, &in6, 1), SL_DROP_TTL,
			&(struct error){3, 0, 0, "fd00:a::1"});
	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &out4, 1), 1, SL_DROP_TTL,
		      &(struct error){11, 0, 0, "10.7.0.1"});
	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &out6, 1), 1, SL_DROP_TTL,
		      &(struct error){3, 0, 0, "fd00:7::1"});
}

/** Many own addresses (one per agent's network): the error comes from the right one. */
static void
error_source_of_the_peers_network(void **state)
{
	struct fx *x = *state;
	struct fx_spec s = {.src = "10.5.3.100", .dst = "10.99.0.1"};

	sl_prefix_parse("10.5.2.1/24", &x->f1->addr[x->f1->n_addrs++]);
	sl_prefix_parse("10.5.3.1/24", &x->f1->addr[x->f1->n_addrs++]);
	fx_lpm(&x->f1->peers4, "10.5.3.0/24", 2);
	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, 2), 2, SL_DROP_NO_ROUTE,
		      &(struct error){3, 0, 0, "10.5.3.1"});
	/* no inner address of the family: one of the inside attachment */
	x->f1->n_addrs = 0;
	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, 2), 2, SL_DROP_NO_ROUTE,
		      &(struct error){3, 0, 0, "10.0.0.1"});
	/* none at all: no error */
	x->inside->n_addrs = 0;
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, 2), SL_DROP_NO_ROUTE);
}

static void
errors_are_limited(void **state)
{
	struct fx *x = *state;
	struct rte_mbuf *m;
	unsigned i, got = 0;

	for (i = 0; i < 300; i++)
		fx_run(x, SL_NODE_INSIDE,
		       fx_inside(x, &(struct fx_spec){.src = "10.0.0.10", .dst = "10.7.0.9"},
				 SL_PEER_ID_NONE));
	while ((m = fx_frame(x, 1)) != NULL) {
		got++;
		rte_pktmbuf_free(m);
	}
	assert_int_equal(got, 100);
	assert_int_equal(fx_drops(x, SL_DROP_NO_PEER), 300); /* all packets under their reason */
	assert_int_equal(fx_drops(x, SL_DROP_RATE_LOCAL), 200);
}

static void
modes(void **state)
{
	struct fx *x = *state;
	struct fx_spec in = {.src = "10.0.0.10", .dst = "10.7.0.2"};
	struct fx_spec out = {.src = "10.7.0.2", .dst = "10.0.0.10"};
	struct fx_spec out6 = {.src = "fd00:7::2", .dst = "fd00:a::10"};
	struct sl_authz_view *a = &x->root->authz;
	struct fx_sealed s;

	a->deflt = SL_MODE_ENFORCE;
	drop_at(x, SL_NODE_INSIDE, fx_inside(x, &in, 1), SL_DROP_NO_ROLE);
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &out, 1), SL_DROP_NO_ROLE);
	/* the address that is not the peer's decides; the longest prefix wins */
	fx_lpm(&a->mode4, "10.0.0.0/24", SL_MODE_OBSERVE);
	fx_lpm(&a->mode4, "10.7.0.0/16", SL_MODE_ENFORCE);
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &in, 1));
	fx_open(x, fx_frame(x, 0), 1, &s);
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &out, 1));
	rte_pktmbuf_free(fx_frame(x, 1));
	fx_lpm(&a->mode4, "10.0.0.10/32", SL_MODE_ENFORCE);
	drop_at(x, SL_NODE_INSIDE, fx_inside(x, &in, 1), SL_DROP_NO_ROLE);
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &out, 1), SL_DROP_NO_ROLE);
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &out6, 1), SL_DROP_NO_ROLE);
	fx_lpm(&a->mode6, "fd00:a::/64", SL_MODE_OBSERVE);
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &out6, 1));
	rte_pktmbuf_free(fx_frame(x, 1));
	a->deflt = SL_MODE_OBSERVE; /* a prefix still enforces */
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &out, 1), SL_DROP_NO_ROLE);
	a->panic_observe = true;
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &out, 1));
	rte_pktmbuf_free(fx_frame(x, 1));
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &in, 1));
	fx_open(x, fx_frame(x, 0), 1, &s);
	/* three flows, eleven packets */
	assert_int_equal(x->w->stats->stage[SL_STATS_PRE_ENCRYPT].policy_misses, 1);
	assert_int_equal(x->w->stats->stage[SL_STATS_PRE_ENCRYPT].policy_hits, 3);
	assert_int_equal(x->w->stats->stage[SL_STATS_POST_DECRYPT].policy_misses, 2);
	assert_int_equal(x->w->stats->stage[SL_STATS_POST_DECRYPT].policy_hits, 5);
}

static void
forwarded_to_inside(void **state)
{
	struct fx *x = *state;
	struct fx_spec s4 = {.src = "10.7.0.2", .dst = "10.9.1.1", .len = 1500};
	struct fx_spec s6 = {.src = "fd00:7::2", .dst = "fd00:a::10", .len = 1500};
	struct sl_ip_info info;
	struct rte_mbuf *m;
	const uint8_t *p;

	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &s4, 1));
	m = fx_frame(x, 1);
	p = fx_plain(m, &info);
	assert_int_equal(info.ttl, 63);
	assert_int_equal(info.total_len, 1500);
	assert_true(fx_l4_csum_ok(p, 1500));
	rte_pktmbuf_free(m);
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &s6, 1));
	m = fx_frame(x, 1);
	p = fx_plain(m, &info);
	assert_int_equal(info.ttl, 63);
	assert_true(fx_l4_csum_ok(p, 1500));
	rte_pktmbuf_free(m);
	assert_int_equal(x->w->stats->stage[SL_STATS_POST_DECRYPT].passed, 2);
}

static void
isolation(void **state)
{
	struct fx *x = *state;
	struct fx_spec s4 = {.src = "10.7.0.2", .dst = "10.7.0.3"};
	struct fx_spec s6 = {.src = "fd00:7::2", .dst = "fd00:7::3"};
	struct fx_spec other = {.src = "10.7.0.2", .dst = "10.8.0.2"};
	struct fx_sealed s;
	void *m = NULL;

	x->root->authz.panic_observe = true; /* in every mode */
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &s4, 1), SL_DROP_ISOLATION);
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &s6, 1), SL_DROP_ISOLATION);
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &other, 1), SL_DROP_ISOLATION);
	x->f1->isolation = false;
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &other, 1), SL_DROP_ISOLATION);
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &s4, 1));
	fx_open(x, fx_frame(x, 0), 2, &s);
	assert_int_equal(s.plain[8], 63); /* one hop, not two */
	assert_true(fx_ip_csum_ok(s.plain));
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &s6, 1));
	fx_open(x, fx_frame(x, 0), 2, &s);
	assert_int_equal(s.plain[7], 63);
	/* the other peer's home is elsewhere */
	x->peer[2]->home = 1;
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &s4, 1));
	assert_int_equal(rte_ring_sc_dequeue(x->dp->worker[1]->steer_in[0], &m), 0);
	assert_int_equal(sl_meta(m)->next, SL_NEXT_SEAL);
	assert_int_equal(sl_meta(m)->peer_id, 2);
	rte_pktmbuf_free(m);
}

/** Isolation off: what goes wrong at the receiver's side is told to the sender. */
static void
peer_to_peer_errors(void **state)
{
	struct fx *x = *state;
	struct fx_spec ttl = {.src = "10.7.0.2", .dst = "10.7.0.3", .ttl = 1};
	struct fx_spec big = {.src = "fd00:7::2", .dst = "fd00:7::3", .len = 1421};
	struct fx_sealed s;

	x->f1->isolation = false;
	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &ttl, 1), 1, SL_DROP_TTL,
		      &(struct error){11, 0, 0, "10.7.0.1"});
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &big, 1));
	assert_int_equal(fx_drops(x, SL_DROP_MTU), 1);
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(s.plain[40], 2);
	assert_int_equal(sl_load_be32(s.plain + 44), 1420);
	/* no endpoint at the receiver */
	x->peer[2]->current = NULL;
	fx_endpoint(x, 2, NULL, NULL);
	ttl.ttl = 64;
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &ttl, 1));
	assert_int_equal(fx_drops(x, SL_DROP_NO_ENDPOINT), 1);
	fx_open(x, fx_frame(x, 0), 1, &s);
	assert_int_equal(sl_load_be16(s.plain + 20), 0x0301);
	x->f1->isolation = true;
}

static void
routes_that_lead_nowhere(void **state)
{
	struct fx *x = *state;
	struct fx_spec s = {.src = "10.7.0.2", .dst = "10.99.0.1"};
	struct fx_spec s6 = {.src = "fd00:7::2", .dst = "fd00:99::1"};

	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, 1), 1, SL_DROP_NO_ROUTE,
		      &(struct error){3, 0, 0, "10.7.0.1"});
	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &s6, 1), 1, SL_DROP_NO_ROUTE,
		      &(struct error){1, 0, 0, "fd00:7::1"});
	s.dst = "10.66.0.1"; /* unreachable */
	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, 1), 1, SL_DROP_NO_ROUTE,
		      &(struct error){3, 0, 0, "10.7.0.1"});
	s.dst = "10.67.0.1"; /* blackhole: silent */
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, 1), SL_DROP_NO_ROUTE);
}

/** A default route does not carry groups, loopback or link-local destinations away. */
static void
destinations_that_stay(void **state)
{
	struct fx *x = *state;
	static const char *const dst[] = {"224.0.0.251", "239.1.1.1", "255.255.255.255",
					  "169.254.169.254"};
	static const char *const dst6[] = {"ff02::fb", "ff0e::1", "fe80::1"};
	struct sl_ip_info info;
	struct rte_mbuf *m;
	unsigned i;

	fx_lpm(&x->f1->routes4, "0.0.0.0/0", FX_NH_SERVER);
	fx_lpm(&x->f1->routes6, "::/0", FX_NH_SERVER);
	for (i = 0; i < SL_ARRAY_SIZE(dst); i++)
		drop_at(x, SL_NODE_AUTHZ,
			fx_tunnel(x, &(struct fx_spec){.src = "10.7.0.2", .dst = dst[i]}, 1),
			SL_DROP_NO_ROUTE);
	for (i = 0; i < SL_ARRAY_SIZE(dst6); i++)
		drop_at(x, SL_NODE_AUTHZ,
			fx_tunnel(x, &(struct fx_spec){.src = "fd00:7::2", .dst = dst6[i]}, 1),
			SL_DROP_NO_ROUTE);
	fx_run(x, SL_NODE_AUTHZ,
	       fx_tunnel(x, &(struct fx_spec){.src = "10.7.0.2", .dst = "223.255.255.1"}, 1));
	m = fx_frame(x, 1);
	fx_plain(m, &info);
	rte_pktmbuf_free(m);
}

static void
neighbour_that_failed(void **state)
{
	struct fx *x = *state;
	struct fx_spec s = {.src = "10.7.0.2", .dst = "10.68.0.1"};
	struct fx_sealed sealed;

	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, 1));
	assert_int_equal(fx_drops(x, SL_DROP_NEIGH_FAILED), 1);
	fx_open(x, fx_frame(x, 0), 1, &sealed);
	assert_int_equal(sl_load_be16(sealed.plain + 20), 0x0301);
	assert_int_equal(x->dp->nhs->nh[FX_NH_FAILED].used_tick, x->w->tick); /* wanted again */
	/* of its own packets the gateway tells nobody */
	sl_nh_write(x->dp->nhs, FX_NH_ROUTER, SL_NH_HOST, SL_NH_FAILED, x->wan, NULL, NULL);
	drop_at(x, SL_NODE_INSIDE,
		fx_inside(x, &(struct fx_spec){.src = "10.0.0.10", .dst = "10.7.0.2"}, 1),
		SL_DROP_NEIGH_FAILED);
}

static void
too_big(void **state)
{
	struct fx *x = *state;
	struct fx_spec to_small = {.src = "10.7.0.2", .dst = "10.70.0.1", .len = 601, .df = true};
	struct fx_spec to_small6 = {.src = "fd00:7::2", .dst = "fd00:70::1", .len = 601};
	struct fx_spec to_tunnel = {.src = "10.0.0.10", .dst = "10.7.0.2", .len = 1421, .df = true};
	struct fx_spec to_tunnel6 = {.src = "fd00:a::10", .dst = "fd00:7::2", .len = 1500};

	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &to_small, 1), 1, SL_DROP_MTU,
		      &(struct error){3, 4, 600, "10.7.0.1"});
	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &to_small6, 1), 1, SL_DROP_MTU,
		      &(struct error){2, 0, 600, "fd00:7::1"});
	error_to_inside(x, SL_NODE_INSIDE, fx_inside(x, &to_tunnel, 1), SL_DROP_MTU,
			&(struct error){3, 4, 1420, "10.0.0.1"});
	error_to_inside(x, SL_NODE_INSIDE, fx_inside(x, &to_tunnel6, 1), SL_DROP_MTU,
			&(struct error){2, 0, 1420, "fd00:a::1"});
	/* told at once, although there are no keys */
	x->peer[1]->current = NULL;
	error_to_inside(x, SL_NODE_INSIDE, fx_inside(x, &to_tunnel, 1), SL_DROP_MTU,
			&(struct error){3, 4, 1420, "10.0.0.1"});
	assert_int_equal(x->peer[1]->events & SL_PEER_EV_WANT_HS, 0);
	to_small.len = 600;
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &to_small, 1));
	rte_pktmbuf_free(fx_frame(x, 1));
}

static void
mss_towards_inside(void **state)
{
	struct fx *x = *state;
	struct fx_spec s = {.src = "10.7.0.2",
			    .dst = "10.0.0.10",
			    .proto = SL_PROTO_TCP,
			    .tcp_flags = 0x02,
			    .mss = 1460,
			    .len = 44};
	struct sl_ip_info info;
	struct rte_mbuf *m;
	const uint8_t *p;

	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, 1));
	m = fx_frame(x, 1);
	p = fx_plain(m, &info);
	assert_int_equal(sl_load_be16(p + 42), 1380);
	assert_true(fx_l4_csum_ok(p, 44));
	rte_pktmbuf_free(m);
	assert_int_equal(x->w->stats->lcore.mss_clamped, 1);
}

static void
echo(struct fx *x, const char *src, const char *dst, bool tunnel)
{
	bool v6 = strchr(src, ':') != NULL;
	struct fx_spec s = {.src = src,
			    .dst = dst,
			    .proto = v6 ? 58 : 1,
			    .icmp_type = v6 ? 128 : 8,
			    .ttl = 3,
			    .len = 84};
	struct sl_ip from = fx_ip(dst), to = fx_ip(src);
	unsigned hdr = v6 ? 40 : 20;
	struct fx_sealed sealed;
	struct sl_ip_info info;
	struct rte_mbuf *m;
	uint8_t p[2000];

	fx_run(x, tunnel ? SL_NODE_AUTHZ : SL_NODE_INSIDE,
	       tunnel ? fx_tunnel(x, &s, 1) : fx_inside(x, &s, SL_PEER_ID_NONE));
	if (tunnel) {
		fx_open(x, fx_frame(x, 0), 1, &sealed);
		memcpy(p, sealed.plain, 84);
	} else {
		m = fx_frame(x, 1);
		assert_non_null(m);
		memcpy(p, fx_plain(m, &info), 84);
		rte_pktmbuf_free(m);
	}
	assert_memory_equal(p + (v6 ? 8 : 12), from.b, v6 ? 16 : 4);
	assert_memory_equal(p + (v6 ? 24 : 16), to.b, v6 ? 16 : 4);
	assert_int_equal(p[hdr], v6 ? 129 : 0);
	assert_int_equal(v6 ? p[7] : p[8], 64);
	assert_true(fx_l4_csum_ok(p, 84));
	assert_true(v6 || fx_ip_csum_ok(p));
	fx_quiet(x);
}

static void
echo_of_own_addresses(void **state)
{
	struct fx *x = *state;

	echo(x, "10.7.0.2", "10.7.0.1", true);
	echo(x, "fd00:7::2", "fd00:7::1", true);
	echo(x, "10.7.0.2", "10.0.0.1", true); /* own address on the inside */
	echo(x, "fd00:7::2", "fd00:a::1", true);
	echo(x, "10.0.0.10", "10.7.0.1", false);
	echo(x, "fd00:a::10", "fd00:7::1", false);
}

static void
echo_that_is_not_answered(void **state)
{
	struct fx *x = *state;
	struct fx_spec s = {.src = "10.7.0.2", .dst = "10.7.0.1", .proto = 1, .icmp_type = 8};
	struct rte_mbuf *m = fx_tunnel(x, &s, 1);
	unsigned i;

	rte_pktmbuf_mtod(m, uint8_t *)[40] ^= 1;
	drop_at(x, SL_NODE_AUTHZ, m, SL_DROP_L4_CHECKSUM);
	s.frag_off = 0;
	m = fx_tunnel(x, &s, 1);
	sl_meta(m)->flags |= SL_PKT_FRAG | SL_PKT_MORE_FRAGS;
	drop_at(x, SL_NODE_AUTHZ, m, SL_DROP_NO_LISTENER);
	s.icmp_type = 0;
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, 1), SL_DROP_LOCAL_CONSUMED);
	s.icmp_type = 8;
	x->peer[1]->current = NULL; /* the answers are parked */
	for (i = 0; i < 200; i++)
		fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, 1));
	assert_int_equal(fx_drops(x, SL_DROP_RATE_LOCAL), 101); /* one token went for the bad sum */
	assert_int_equal(x->peer[1]->park_count, 99);
	sl_park_drop(x->w, x->peer[1], SL_DROP_PARK_TIMEOUT);
	assert_int_equal(fx_drops(x, SL_DROP_PARK_TIMEOUT), 99);
}

static void
nobody_listens(void **state)
{
	struct fx *x = *state;
	struct fx_spec s = {.src = "10.7.0.2", .dst = "10.7.0.1"};
	struct fx_spec in = {.src = "10.0.0.10", .dst = "10.7.0.1", .proto = SL_PROTO_TCP};
	struct fx_spec nested = {.src = "10.7.0.2", .dst = "10.7.0.1", .dport = 51821};
	struct fx_spec gre = {.src = "10.7.0.2", .dst = "10.7.0.1", .proto = 47};
	struct fx_spec s6 = {.src = "fd00:7::2", .dst = "fd00:7::1"};

	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, 1), 1, SL_DROP_NO_LISTENER,
		      &(struct error){3, 3, 0, "10.7.0.1"});
	s.dst = "10.0.0.1"; /* the error comes from the address that was asked */
	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, 1), 1, SL_DROP_NO_LISTENER,
		      &(struct error){3, 3, 0, "10.0.0.1"});
	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &s6, 1), 1, SL_DROP_NO_LISTENER,
		      &(struct error){1, 4, 0, "fd00:7::1"});
	error_to_inside(x, SL_NODE_INSIDE, fx_inside(x, &in, SL_PEER_ID_NONE), SL_DROP_NO_LISTENER,
			&(struct error){3, 3, 0, "10.7.0.1"});
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &nested, 1), SL_DROP_NESTED_TUNNEL);
	drop_at(x, SL_NODE_AUTHZ, fx_tunnel(x, &gre, 1), SL_DROP_NO_LISTENER);
}

/** One port and attachment for both sides. */
static void
one_armed(void **state)
{
	struct fx *x = *state;
	struct fx_spec out = {.src = "10.7.0.2", .dst = "203.0.113.50"};
	struct rte_mbuf *m;
	const uint8_t *p;

	x->f1->inside_att = 0;
	x->wan->iface[x->wan->n_ifaces++] = 1;
	fx_lpm(&x->f1->routes4, "0.0.0.0/0", FX_NH_ROUTER);
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &out, 1));
	m = fx_frame(x, 0);
	assert_non_null(m);
	p = rte_pktmbuf_mtod(m, const uint8_t *);
	assert_memory_equal(p, FX_MAC_ROUTER, 6);
	assert_int_equal(sl_load_be16(p + 12), SL_ETHERTYPE_IP4);
	assert_int_equal(p[14 + 8], 63);
	rte_pktmbuf_free(m);
	out.dst = "198.18.0.1"; /* own address there */
	error_to_peer(x, SL_NODE_AUTHZ, fx_tunnel(x, &out, 1), 1, SL_DROP_NO_LISTENER,
		      &(struct error){3, 3, 0, "198.18.0.1"});
}

static struct rte_mbuf *
outer_packet(struct fx *x, const char *src, const char *dst)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(x->pool);
	struct sl_outer o = {.sport = 51820, .dport = 40001};
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	unsigned hdr;

	o.dst = fx_ip(dst);
	o.src.family = o.dst.family;
	if (src != NULL)
		o.src = fx_ip(src);
	memset(sl_meta(m), 0xee, sizeof(struct sl_meta));
	hdr = sl_outer_write(p, &o, SL_WG_HANDSHAKE_TOS, 148);
	memset(p + hdr, 0x5a, 148);
	m->data_len = (uint16_t)(hdr + 148);
	m->pkt_len = m->data_len;
	return m;
}

static void
expect_outer(struct fx *x, const char *given, const char *dst, const char *src)
{
	struct sl_ip want = fx_ip(src);
	struct rte_mbuf *m;
	const uint8_t *p;
	bool v4;

	fx_run(x, SL_NODE_OUTER, outer_packet(x, given, dst));
	m = fx_frame(x, 0);
	assert_non_null(m);
	p = rte_pktmbuf_mtod(m, const uint8_t *) + SL_ETH_HDR;
	v4 = p[0] >> 4 == 4;
	assert_memory_equal(p + (v4 ? 12 : 8), want.b, v4 ? 4 : 16);
	if (v4)
		assert_true(fx_ip_csum_ok(p));
	else
		assert_int_not_equal(sl_load_be16(p + 46), 0);
	if (sl_load_be16(p + (v4 ? 26 : 46)) != 0)
		assert_true(fx_l4_csum_ok(p, m->pkt_len - SL_ETH_HDR));
	rte_pktmbuf_free(m);
	fx_quiet(x);
}

static void
outer_packets_get_a_source(void **state)
{
	struct fx *x = *state;
	struct rte_mbuf *m;

	expect_outer(x, NULL, "203.0.113.9", "198.18.0.1");
	expect_outer(x, "198.18.0.1", "203.0.113.9", "198.18.0.1");
	expect_outer(x, "198.18.0.77", "203.0.113.9", "198.18.0.1"); /* no longer ours */
	expect_outer(x, NULL, "2001:db8:99::5", "2001:db8:f::1");
	expect_outer(x, "2001:db8:f::1", "2001:db8:99::5", "2001:db8:f::1");
	/* the network of the destination decides between several */
	sl_prefix_parse("203.0.113.1/24", &x->wan->addr[x->wan->n_addrs++]);
	expect_outer(x, NULL, "203.0.113.9", "203.0.113.1");
	fx_lpm_del(&x->root->underlay4, "0.0.0.0/0");
	drop_at(x, SL_NODE_OUTER, outer_packet(x, NULL, "203.0.113.9"), SL_DROP_NO_ROUTE);
	x->wan->n_addrs = 1; /* no IPv6 address there */
	drop_at(x, SL_NODE_OUTER, outer_packet(x, NULL, "2001:db8:99::5"), SL_DROP_NO_ROUTE);
	m = outer_packet(x, NULL, "2001:db8:99::5");
	m->data_len = 47;
	m->pkt_len = 47;
	drop_at(x, SL_NODE_OUTER, m, SL_DROP_IP_HEADER);
}

static void
route_of_own_packets(void **state)
{
	struct fx *x = *state;
	struct fx_spec s = {.src = "10.0.0.1", .dst = "10.0.0.10"};
	struct sl_ip_info info;
	struct rte_mbuf *m;

	fx_run(x, SL_NODE_ROUTE, fx_inside(x, &s, SL_PEER_ID_NONE));
	m = fx_frame(x, 1);
	fx_plain(m, &info);
	assert_int_equal(info.ttl, 64);
	rte_pktmbuf_free(m);
	s.dst = "10.99.0.1";
	drop_at(x, SL_NODE_ROUTE, fx_inside(x, &s, SL_PEER_ID_NONE), SL_DROP_NO_ROUTE);
	m = fx_inside(x, &s, SL_PEER_ID_NONE);
	sl_meta(m)->iface_id = 77;
	drop_at(x, SL_NODE_ROUTE, m, SL_DROP_NO_ROUTE);
}

/** Bursts with everything mixed: each packet meets its own fate, none is lost. */
static void
mixed_burst(void **state)
{
	struct fx *x = *state;
	static const char *const dst[] = {"10.0.0.10", "10.7.0.3", "10.99.0.1", "10.67.1.1"};
	unsigned i, round, plain = 0, sealed = 0;
	struct rte_mbuf *m;
	struct fx_sealed s;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 90; i++) {
			struct fx_spec spec = {.src = "10.7.0.2", .dst = dst[i % 4]};
			struct fx_spec spec6 = {.src = "fd00:7::2", .dst = "fd00:a::10"};

			sl_vec_add(&x->w->v[SL_NODE_AUTHZ],
				   fx_tunnel(x, i % 5 == 0 ? &spec6 : &spec, 1));
		}
		sl_worker_run(x->w);
		fx_time(x, x->w->now_ns + SL_NS_PER_S);
	}
	while ((m = fx_frame(x, 1)) != NULL) {
		plain++;
		rte_pktmbuf_free(m);
	}
	while ((m = fx_frame(x, 0)) != NULL) {
		sealed++;
		fx_open(x, m, 1, &s);
	}
	assert_int_equal(plain, 3 * (18 + 18));
	assert_int_equal(fx_drops(x, SL_DROP_ISOLATION), 3 * 18);
	assert_int_equal(sealed, 3 * 18); /* errors: no route */
	assert_int_equal(fx_drops(x, SL_DROP_NO_ROUTE), 3 * (18 + 18));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(spoofed_sources),
		T(inside_prefixes),
		T(inside_of_a_vanished_interface),
		T(no_peer_is_told),
		T(ttl_ends),
		T(error_source_of_the_peers_network),
		T(errors_are_limited),
		T(modes),
		T(forwarded_to_inside),
		T(isolation),
		T(peer_to_peer_errors),
		T(routes_that_lead_nowhere),
		T(destinations_that_stay),
		T(neighbour_that_failed),
		T(too_big),
		T(mss_towards_inside),
		T(echo_of_own_addresses),
		T(echo_that_is_not_answered),
		T(nobody_listens),
		T(one_armed),
		T(outer_packets_get_a_source),
		T(route_of_own_packets),
		T(mixed_burst),
	};

	eal_start("test_tx_forward");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
