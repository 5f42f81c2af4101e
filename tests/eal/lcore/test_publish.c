/* SPDX-License-Identifier: BSD-3-Clause */
/* What a change publishes and what it leaves alone; the life of peers and their ids; commands to
 * hs; many peers. */
#include <time.h>

#include "gw_fixture.h"

static struct fx fx;

static int
setup(void **state)
{
	fx_init(&fx);
	fx.conf.peers_max = 100000;
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

static uint32_t
owner(struct fx *f, const char *iface, const char *ip)
{
	const struct sl_iface_view *v = fx_view(f, iface);

	return fx_lookup(&v->peers4, &v->peers6, ip);
}

static uint32_t
id_of(struct fx *f, const char *iface, unsigned n)
{
	struct sl_pubkey key = fx_key(n);
	struct sl_gw_peer_info info;

	assert_int_equal(sl_gw_peer_info(f->gw, iface, &key, &info), 0);
	return info.id;
}

static void
test_view_says_what_was_set(void **state)
{
	struct fx *f = *state;
	struct sl_prefix own[] = {fx_prefix("10.1.0.1/24"), fx_prefix("fd01::1/64")};
	struct sl_prefix in = fx_prefix("10.20.0.0/16");
	struct sl_gw_iface_spec s = {.name = "wg0",
				     .fields = SL_IF_ADDRESSES | SL_IF_INSIDE | SL_IF_ISOLATION |
					       SL_IF_MTU | SL_IF_MSS_CLAMP | SL_IF_UDP_CSUM,
				     .addresses = own,
				     .n_addresses = 2,
				     .inside_port = "lan",
				     .inside_prefixes = &in,
				     .n_inside_prefixes = 1,
				     .mtu = 1400,
				     .udp_csum = SL_UDP_CSUM_FULL};
	const struct sl_iface_view *v = fx_view(f, "wg0");
	const struct sl_root *r;

	assert_true(v->isolation); /* defaults */
	assert_true(v->mss_clamp);
	assert_true(v->inside_any);
	assert_int_equal(v->mtu, 1420);
	assert_int_equal(sl_gw_iface_set(f->gw, &s, &f->e), 0);
	v = fx_view(f, "wg0");
	r = fx_root(f);
	assert_string_equal(v->name, "wg0");
	assert_true(v->up);
	assert_false(v->isolation);
	assert_false(v->mss_clamp);
	assert_false(v->inside_any);
	assert_int_equal(v->mtu, 1400);
	assert_int_equal(v->outer_udp_csum, SL_UDP_CSUM_FULL);
	assert_int_equal(v->n_addrs, 2);
	assert_int_equal(fx_lookup(&v->local4, &v->local6, "10.1.0.1"), 0);
	assert_int_equal(fx_lookup(&v->local4, &v->local6, "fd01::1"), 1);
	assert_int_equal(fx_lookup(&v->local4, &v->local6, "10.1.0.2"), SL_LPM_NONE);
	assert_int_equal(fx_lookup(&v->inside4, &v->inside6, "10.20.1.1"), 1);
	assert_int_equal(fx_lookup(&v->inside4, &v->inside6, "10.21.1.1"), SL_LPM_NONE);
	assert_int_equal(r->iface_by_udp_port[51820], v->id);
	assert_int_equal(r->iface_by_udp_port[51821], 0);
	/* the attachments: untagged first, and the interface on its inside */
	assert_true(r->port[1].present);
	assert_int_equal(r->port[1].n_att, 2);
	assert_int_equal(sl_root_att(r, r->port[1].att[0])->vlan, 0);
	assert_int_equal(sl_root_att(r, r->port[1].att[1])->vlan, 7);
	assert_int_equal(r->port[1].att[0], v->inside_att);
	assert_int_equal(sl_root_att(r, v->inside_att)->n_ifaces, 1);
	assert_int_equal(sl_root_att(r, v->inside_att)->iface[0], v->id);
	/* two addresses and the link-local one */
	assert_int_equal(sl_root_att(r, v->inside_att)->n_addrs, 3);
	assert_int_equal(sl_root_att(r, v->inside_att)->addr[2].ip.b[0], 0xfe);
	/* its inside goes */
	s.fields = SL_IF_INSIDE;
	s.inside_port = NULL;
	s.n_inside_prefixes = 0;
	assert_int_equal(sl_gw_iface_set(f->gw, &s, &f->e), 0);
	r = fx_root(f);
	assert_int_equal(fx_view(f, "wg0")->inside_att, SL_ATT_MAX);
	assert_false(fx_view(f, "wg0")->inside_any);
	assert_int_equal(sl_root_att(r, r->port[1].att[0])->n_ifaces, 0);
}

static void
test_only_what_changed(void **state)
{
	struct fx *f = *state;
	const struct sl_iface_view *one, *two;
	const struct sl_root *before, *after;
	uint64_t generation;

	fx_iface(f, "wg1", 51821);
	fx_peer(f, "wg0", 1, "10.7.0.1/32");
	fx_peer(f, "wg1", 2, "10.8.0.1/32");
	before = fx_root(f);
	one = fx_view(f, "wg0");
	two = fx_view(f, "wg1");
	generation = sl_gw_generation(f->gw);
	assert_int_equal(before->generation, generation);
	fx_peer(f, "wg1", 3, "10.8.0.2/32");
	after = fx_root(f);
	assert_ptr_not_equal(after, before);
	assert_int_equal(after->generation, generation + 1);
	assert_ptr_equal(fx_view(f, "wg0"), one);
	assert_ptr_not_equal(fx_view(f, "wg1"), two);
	assert_ptr_equal(after->iface_by_udp_port, before->iface_by_udp_port);
	assert_ptr_equal(after->att, before->att);
	/* a change that no worker can see publishes nothing */
	generation = sl_gw_generation(f->gw);
	fx_peer(f, "wg1", 3, "10.8.0.2/32");
	fx_peer(f, "wg1", 3, NULL);
	assert_int_equal(sl_gw_peer_set(f->gw,
					&(struct sl_gw_peer_spec){.iface = "wg1",
								  .public_key = fx_key(3),
								  .fields = SL_PF_KEEPALIVE,
								  .keepalive_s = 25},
					&f->e),
			 0);
	assert_int_equal(sl_gw_generation(f->gw), generation);
	fx_turn(f);
	assert_int_equal(fx_last(f, SL_HS_PEER_SET)->keepalive_s, 25);
	assert_int_equal(fx_last(f, SL_HS_PEER_SET)->fields, SL_HS_F_KEEPALIVE);
	assert_int_equal(fx_count(f, SL_HS_PEER_SET), 1);
}

static void
test_one_root_for_many(void **state)
{
	struct fx *f = *state;
	uint64_t generation = sl_gw_generation(f->gw);

	fx_turn(f);
	f->n_cmd = 0;
	sl_gw_begin(f->gw);
	fx_iface(f, "wg1", 51821);
	fx_peer(f, "wg1", 1, "10.8.0.1/32");
	sl_gw_begin(f->gw);
	fx_peer(f, "wg1", 2, "10.8.0.2/32");
	sl_gw_commit(f->gw);
	fx_turn(f);
	assert_int_equal(sl_gw_generation(f->gw), generation);
	assert_int_equal(f->n_cmd, 0);
	sl_gw_commit(f->gw);
	fx_turn(f);
	assert_int_equal(sl_gw_generation(f->gw), generation + 1);
	assert_int_equal(f->n_cmd, 3); /* in order */
	assert_int_equal(f->cmd[0].type, SL_HS_IFACE_SET);
	assert_int_equal(f->cmd[1].type, SL_HS_PEER_ADD);
	assert_int_equal(f->cmd[2].type, SL_HS_PEER_ADD);
	assert_int_equal(owner(f, "wg1", "10.8.0.2"), id_of(f, "wg1", 2));
}

static void
test_allowed_edits(void **state)
{
	struct fx *f = *state;
	struct sl_prefix a[] = {fx_prefix("10.7.1.0/24"), fx_prefix("10.7.2.0/24"),
				fx_prefix("fd07::/64"), fx_prefix("10.7.1.0/24")};
	struct sl_gw_peer_spec s = {.iface = "wg0",
				    .public_key = fx_key(1),
				    .fields = SL_PF_ALLOWED_IPS,
				    .allowed = a,
				    .n_allowed = 4};
	struct sl_gw_peer_info info;
	uint32_t one, two;

	assert_int_equal(sl_gw_peer_set(f->gw, &s, &f->e), 0);
	one = id_of(f, "wg0", 1);
	assert_int_equal(sl_gw_peer_info(f->gw, "wg0", &s.public_key, &info), 0);
	assert_int_equal(info.n_allowed, 3); /* the same prefix twice is one */
	fx_peer(f, "wg0", 2, "0.0.0.0/0");
	two = id_of(f, "wg0", 2);
	assert_int_equal(owner(f, "wg0", "10.7.1.9"), one);
	assert_int_equal(owner(f, "wg0", "10.7.3.9"), two);
	assert_int_equal(owner(f, "wg0", "fd07::9"), one);
	/* it moves, as in WireGuard: the former owner's list says so */
	s.public_key = fx_key(2);
	s.fields = SL_PF_ALLOWED_ADD;
	s.n_allowed = 1;
	assert_int_equal(sl_gw_peer_set(f->gw, &s, &f->e), 0);
	assert_int_equal(owner(f, "wg0", "10.7.1.9"), two);
	assert_int_equal(sl_gw_peer_info(f->gw, "wg0", &s.public_key, &info), 0);
	assert_int_equal(info.n_allowed, 2);
	s.public_key = fx_key(1);
	assert_int_equal(sl_gw_peer_info(f->gw, "wg0", &s.public_key, &info), 0);
	assert_int_equal(info.n_allowed, 2);
	/* taking away what a peer does not have is nothing */
	s.fields = SL_PF_ALLOWED_DEL;
	s.n_allowed = 2;
	assert_int_equal(sl_gw_peer_set(f->gw, &s, &f->e), 0);
	assert_int_equal(owner(f, "wg0", "10.7.1.9"), two);
	assert_int_equal(owner(f, "wg0", "10.7.2.9"), two); /* by 0.0.0.0/0 */
	assert_int_equal(owner(f, "wg0", "fd07::9"), one);
	/* a removed peer leaves none */
	assert_int_equal(sl_gw_peer_del(f->gw, "wg0", &s.public_key, &f->e), 0);
	assert_int_equal(owner(f, "wg0", "fd07::9"), SL_LPM_NONE);
}

/* Random edits against a plain list of (prefix, owner). */
static void
test_allowed_random(void **state)
{
	enum { PEERS = 20, PREFIXES = 40, ROUNDS = 3000 };
	struct fx *f = *state;
	struct sl_prefix all[PREFIXES], list[8];
	int own[PREFIXES];
	uint64_t seed = 7;
	unsigned i, k, n, p, r, what;

	for (i = 0; i < PREFIXES; i++) {
		all[i] = fx_prefix(i % 2 ? "fd00::/8" : "10.0.0.0/8");
		all[i].ip.b[1] = (uint8_t)(i * 16);
		all[i].len = (uint8_t)(12 + i % 5);
		sl_prefix_mask(&all[i]);
		all[i].ip.b[1] |= (uint8_t)(i / 2 * 16); /* all different, some nested */
		sl_prefix_mask(&all[i]);
		for (k = 0; k < i; k++) {
			if (sl_prefix_equal(&all[i], &all[k]))
				all[i].len += 3;
		}
		own[i] = -1;
	}
	for (p = 0; p < PEERS; p++)
		fx_peer(f, "wg0", p, NULL);
	for (r = 0; r < ROUNDS; r++) {
		struct sl_gw_peer_spec s = {.iface = "wg0", .allowed = list};

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		p = (seed >> 33) % PEERS;
		what = (seed >> 43) % 3;
		n = (seed >> 50) % 7;
		for (k = 0; what == 0 && k < PREFIXES; k++) {
			if (own[k] == (int)p)
				own[k] = -1;
		}
		for (i = 0; i < n; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			k = (seed >> 33) % PREFIXES;
			list[i] = all[k];
			if (what != 2)
				own[k] = (int)p;
			else if (own[k] == (int)p)
				own[k] = -1;
		}
		s.public_key = fx_key(p);
		s.n_allowed = n;
		s.fields = what == 0   ? SL_PF_ALLOWED_IPS
			   : what == 1 ? SL_PF_ALLOWED_ADD
				       : SL_PF_ALLOWED_DEL;
		assert_int_equal(sl_gw_peer_set(f->gw, &s, &f->e), 0);
		for (k = 0; r % 16 == 0 && k < PREFIXES; k++) {
			const struct sl_iface_view *v = fx_view(f, "wg0");
			uint32_t is = sl_lpm_get(all[k].ip.family == 4 ? &v->peers4 : &v->peers6,
						 all[k].ip.b, all[k].len);

			assert_int_equal(is, own[k] < 0 ? SL_LPM_NONE
							: id_of(f, "wg0", (unsigned)own[k]));
		}
		fx_turn(f);
	}
	for (p = 0; p < PEERS; p++) {
		struct sl_pubkey key = fx_key(p);
		struct sl_gw_peer_info info;

		assert_int_equal(sl_gw_peer_info(f->gw, "wg0", &key, &info), 0);
		for (i = 0; i < info.n_allowed; i++) {
			for (k = 0; !sl_prefix_equal(&all[k], &info.allowed[i]); k++)
				assert_true(k < PREFIXES);
			assert_int_equal(own[k], p);
			own[k] = -1;
		}
	}
	for (k = 0; k < PREFIXES; k++)
		assert_int_equal(own[k], -1);
}

static void
test_life_of_a_peer(void **state)
{
	struct fx *f = *state;
	struct sl_pubkey key = fx_key(1);
	struct sl_secret psk = fx_secret(77), out;
	struct sl_endpoint ep = {fx_ip("198.51.100.7"), 51000};
	struct sl_gw_peer_spec s = {.iface = "wg0",
				    .public_key = key,
				    .fields = SL_PF_PSK | SL_PF_ENDPOINT | SL_PF_ENABLED,
				    .psk = &psk,
				    .endpoint = ep};
	struct sl_gw_peer_info info;
	struct sl_peer *p;
	uint32_t id;
	unsigned i;

	/* a reader that holds a published pointer */
	assert_int_equal(sl_rcu_register(f->rcu, 0), 0);
	sl_rcu_online(f->rcu, 0);
	assert_int_equal(sl_gw_peer_set(f->gw, &s, &f->e), 0);
	fx_turn(f);
	p = fx_last(f, SL_HS_PEER_ADD)->peer;
	assert_int_equal(fx_last(f, SL_HS_PEER_ADD)->fields, SL_HS_F_PSK | SL_HS_F_ENDPOINT);
	assert_memory_equal(fx_last(f, SL_HS_PEER_ADD)->key.b, psk.b, 32);
	assert_int_equal(fx_last(f, SL_HS_PEER_ADD)->outer.dport, 51000);
	assert_int_equal(fx_last(f, SL_HS_PEER_ADD)->outer.dst.family, 4);
	assert_int_equal(fx_last(f, SL_HS_PEER_ADD)->initiate, 0);
	assert_int_equal(p->enabled, 0);
	assert_true(sl_gw_peer_psk(f->gw, "wg0", &key, &out));
	assert_memory_equal(out.b, psk.b, 32);
	assert_int_equal(sl_gw_peer_info(f->gw, "wg0", &key, &info), 0);
	assert_true(info.has_endpoint);
	assert_int_equal(info.endpoint.port, 51000);
	id = info.id;
	assert_ptr_equal(sl_peer_get(f->dp->peers, id), p);
	assert_int_equal(sl_gw_peer_kick(f->gw, "wg0", &key, &f->e), 0);

	f->hold_notes = true;
	assert_int_equal(sl_gw_peer_del(f->gw, "wg0", &key, &f->e), 0);
	assert_int_equal(p->gone, 1);
	fx_turn(f);
	assert_int_equal(fx_count(f, SL_HS_PEER_KICK), 1);
	assert_ptr_equal(fx_last(f, SL_HS_PEER_DEL)->peer, p);
	assert_ptr_equal(sl_peer_get(f->dp->peers, id), p); /* hs and its home may still look */
	/* the same key again is another peer with another id */
	s.fields = 0;
	assert_int_equal(sl_gw_peer_set(f->gw, &s, &f->e), 0);
	assert_int_not_equal(id_of(f, "wg0", 1), id);
	assert_false(sl_gw_peer_psk(f->gw, "wg0", &key, &out));
	/* hs has let go, but a reader has not: the id rests */
	fx_release(f);
	fx_turn(f);
	assert_null(sl_peer_get(f->dp->peers, id));
	fx_peer(f, "wg0", 2, NULL);
	assert_int_not_equal(id_of(f, "wg0", 2), id);
	sl_rcu_quiescent(f->rcu, 0);
	fx_turn(f);
	/* packets between workers may still name it: it is the first to be used again, after many
	 */
	key = fx_key(3);
	for (i = 1; i < 1024; i++) {
		fx_peer(f, "wg0", 3, NULL);
		assert_int_not_equal(id_of(f, "wg0", 3), id);
		fx_turn(f);
		assert_int_equal(sl_gw_peer_del(f->gw, "wg0", &key, &f->e), 0);
		fx_turn(f);
		sl_rcu_quiescent(f->rcu, 0);
		fx_turn(f);
	}
	fx_peer(f, "wg0", 3, NULL);
	assert_int_equal(id_of(f, "wg0", 3), id);
	sl_rcu_offline(f->rcu, 0);
	assert_int_equal(sl_rcu_unregister(f->rcu, 0), 0);
}

static void
test_life_of_an_interface(void **state)
{
	struct fx *f = *state;
	uint16_t id = fx_view(f, "wg0")->id, id1;
	struct sl_gw_iface_info info;
	struct sl_secret key;
	unsigned i;

	for (i = 0; i < 50; i++)
		fx_peer(f, "wg0", i, i == 3 ? "10.7.3.0/24" : NULL);
	assert_true(sl_gw_iface_private_key(f->gw, "wg0", &key));
	assert_memory_equal(key.b, fx_secret(9000 + 51820).b, 32);
	fx_turn(f);
	f->hold_notes = true;
	assert_int_equal(sl_gw_iface_del(f->gw, "wg0", &f->e), 0);
	fx_refused(f, sl_gw_iface_del(f->gw, "wg0", &f->e), -ENOENT, "not_found", "/name");
	fx_turn(f);
	assert_int_equal(fx_count(f, SL_HS_PEER_DEL), 50);
	assert_int_equal(f->cmd[f->n_cmd - 1].type, SL_HS_IFACE_DEL); /* behind its peers */
	assert_null(sl_root_iface(fx_root(f), id));
	assert_int_equal(fx_root(f)->iface_by_udp_port[51820], 0);
	/* port and name are free at once, the id is not */
	fx_iface(f, "wg0", 51820);
	assert_true(sl_gw_iface_find(f->gw, "wg0", &info));
	id1 = info.id;
	assert_int_not_equal(id1, id);
	assert_int_equal(info.n_peers, 0);
	fx_turn(f);
	fx_release(f);
	fx_turn(f);
	fx_iface(f, "wg1", 51821);
	assert_int_equal(fx_view(f, "wg1")->id, id);
}

static void
test_keys(void **state)
{
	struct fx *f = *state;
	struct sl_secret raw, out;
	struct sl_gw_iface_info info;
	struct sl_gw_iface_spec s = {.name = "wg0", .fields = SL_IF_KEY};
	struct sl_pubkey self;

	memset(raw.b, 0xff, 32);
	s.key_source = SL_KEY_UAPI;
	s.key = &raw;
	assert_int_equal(sl_gw_iface_set(f->gw, &s, &f->e), 0);
	fx_turn(f);
	assert_true(sl_gw_iface_private_key(f->gw, "wg0", &out));
	assert_int_equal(out.b[0], 0xf8); /* clamped */
	assert_int_equal(out.b[31], 0x7f);
	assert_memory_equal(fx_last(f, SL_HS_IFACE_SET)->key.b, out.b, 32);
	/* made here: given to hs, kept nowhere else */
	s.key_source = SL_KEY_MEMORY;
	assert_int_equal(sl_gw_iface_set(f->gw, &s, &f->e), 0);
	fx_turn(f);
	assert_false(sl_gw_iface_private_key(f->gw, "wg0", &out));
	assert_true(sl_gw_iface_find(f->gw, "wg0", &info));
	assert_true(info.has_key);
	sl_x25519_public(&self, &fx_last(f, SL_HS_IFACE_SET)->key);
	assert_memory_equal(info.public_key.b, self.b, 32);
	/* a key that makes a peer the interface itself removes that peer */
	fx_peer(f, "wg0", 4, "10.7.4.0/24");
	raw = fx_secret(4);
	s.key_source = SL_KEY_UAPI;
	assert_int_equal(sl_gw_iface_set(f->gw, &s, &f->e), 0);
	fx_turn(f);
	assert_int_equal(fx_count(f, SL_HS_PEER_DEL), 1);
	assert_int_equal(owner(f, "wg0", "10.7.4.1"), SL_LPM_NONE);
	/* and away with it */
	s.key_source = SL_KEY_NONE;
	assert_int_equal(sl_gw_iface_set(f->gw, &s, &f->e), 0);
	fx_turn(f);
	assert_true(fx_last(f, SL_HS_IFACE_SET)->fields & SL_HS_F_KEY);
	assert_true(sl_ct_is_zero(fx_last(f, SL_HS_IFACE_SET)->key.b, 32));
	assert_true(sl_gw_iface_find(f->gw, "wg0", &info));
	assert_false(info.has_key);
}

static void
test_expiry(void **state)
{
	struct fx *f = *state;
	struct sl_gw_peer_spec s = {.iface = "wg0",
				    .public_key = fx_key(1),
				    .fields = SL_PF_EXPIRES,
				    .expires_wall_ns = f->wall_ns + 100 * S};
	struct sl_peer *p;

	assert_int_equal(sl_gw_peer_set(f->gw, &s, &f->e), 0);
	p = sl_peer_get(f->dp->peers, id_of(f, "wg0", 1));
	assert_int_equal(p->expires_tick, sl_tick_of(f->now_ns + 100 * S));
	/* the wall clock steps by an hour: the deadline is in the past */
	f->wall_ns += 3600 * S;
	f->now_ns += 2 * S;
	f->wall_ns += 2 * S;
	fx_turn(f);
	assert_true(p->expires_tick <= sl_tick_of(f->now_ns));
	s.expires_wall_ns = 0;
	assert_int_equal(sl_gw_peer_set(f->gw, &s, &f->e), 0);
	assert_int_equal(p->expires_tick, 0);
}

static bool
count_peer(void *ctx, const struct sl_gw_peer_info *p)
{
	unsigned *n = ctx;

	return ++*n % 7 != 0;
}

static void
test_paging(void **state)
{
	struct fx *f = *state;
	unsigned i, n = 0, before;

	fx_iface(f, "wg1", 51821);
	for (i = 0; i < 20; i++)
		fx_peer(f, i % 2 ? "wg1" : "wg0", i, NULL);
	do {
		before = n;
		sl_gw_peer_walk(f->gw, NULL, n, count_peer, &n);
	} while (n != before);
	assert_int_equal(n, 20);
	n = 0;
	sl_gw_peer_walk(f->gw, "wg1", 5, count_peer, &n);
	assert_int_equal(n, 5);
	n = 0;
	sl_gw_peer_walk(f->gw, "nope", 0, count_peer, &n);
	assert_int_equal(n, 0);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
test_many_peers(void **state)
{
	enum { MANY = 100000, ONES = 200 };
	struct fx *f = *state;
	struct sl_prefix p = fx_prefix("10.0.0.0/32");
	struct sl_gw_peer_spec s = {.iface = "wg0",
				    .fields = SL_PF_ALLOWED_IPS,
				    .allowed = &p,
				    .n_allowed = 1};
	struct sl_gw_peer_info info;
	double t = seconds(), one;
	unsigned i;

	sl_gw_begin(f->gw);
	for (i = 0; i < MANY; i++) {
		memcpy(s.public_key.b, &(unsigned){i + 1}, sizeof(i));
		sl_store_be32(p.ip.b, 0x0a000000 + i);
		assert_int_equal(sl_gw_peer_set(f->gw, &s, &f->e), 0);
	}
	sl_gw_commit(f->gw);
	t = seconds() - t;
	fx_turn(f);
	assert_int_equal(f->n_cmd, MANY + 1);
	assert_int_equal(fx_view(f, "wg0")->peers4.count, MANY);

	one = seconds();
	for (i = 0; i < ONES; i++) {
		memcpy(s.public_key.b, &(unsigned){i * 400 + 1}, sizeof(i));
		sl_store_be32(p.ip.b, 0x0b000000 + i);
		assert_int_equal(sl_gw_peer_set(f->gw, &s, &f->e), 0);
		sl_gw_poll(f->gw);
	}
	one = (seconds() - one) / ONES;
	print_message("%u peers in %.2f s; one change among them %.3f ms\n", MANY, t, one * 1e3);
	assert_true(t < 10); /* wide: about 0.3 s on a quiet machine */
	assert_true(one < 0.01);
	assert_int_equal(sl_gw_peer_info(f->gw, "wg0", &s.public_key, &info), 0);
	fx_refused(f,
		   sl_gw_peer_set(f->gw,
				  &(struct sl_gw_peer_spec){.iface = "wg0",
							    .public_key = fx_key(1)},
				  &f->e),
		   -ENOSPC, "limit_peers", "");
	t = seconds();
	assert_int_equal(sl_gw_iface_del(f->gw, "wg0", &f->e), 0);
	fx_turn(f);
	print_message("all removed in %.2f s\n", seconds() - t);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_view_says_what_was_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_what_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_root_for_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_allowed_edits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_allowed_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_life_of_a_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_life_of_an_interface, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_paging, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_peers, setup, teardown),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
