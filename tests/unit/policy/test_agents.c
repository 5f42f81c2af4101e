/* SPDX-License-Identifier: BSD-3-Clause */
/* Networks of agents against zones, with what gateways look addresses up in as the judge. */
#include "policy_test.h"
#include "sl_policy_agents.h"

static uint32_t
looked_up(const struct sl_polset *s, uint16_t iface, const struct sl_ip *ip)
{
	return sl_lpm_lookup(&sl_polset_where(s, iface)->zone[ip->family == 6], ip->b);
}

static struct sl_pol_zone *
zone(struct sl_policy *m, const char *name, enum sl_pol_zone_type type)
{
	struct sl_pol_zone *z = &m->zones[m->n_zones - 1];

	assert_string_equal(z->name, name);
	z->type = type;
	return z;
}

/** 10.(0-3).(0-3).0 with a length of 8 to 26, of any interface or of wg0 or wg1. */
static struct sl_pol_place
random_place(uint64_t *r, unsigned least)
{
	static const char *const ifaces[] = {"", "wg0", "wg1"};
	uint64_t x = next_random(r);
	struct sl_pol_place p = {
		.prefix = {.ip = sl_ip_v4((const uint8_t[]){10, x & 3, x >> 2 & 3, x >> 4 & 0xc0}),
			   .len = (uint8_t)(least + (x >> 16) % (27 - least))}};

	sl_prefix_mask(&p.prefix);
	name_set(p.iface, sizeof(p.iface), ifaces[(x >> 32) % 3]);
	return p;
}

static bool
is_there(const struct sl_policy *m, const struct sl_pol_place *p)
{
	for (unsigned i = 0; i < m->n_zones; i++) {
		for (unsigned k = 0; k < m->zones[i].n_nets; k++) {
			const struct sl_pol_place *n = &m->zones[i].nets[k];

			if (sl_prefix_equal(&n->prefix, &p->prefix) &&
			    strcmp(n->iface, p->iface) == 0)
				return true;
		}
	}
	return false;
}

static void
random_zones(struct sl_policy *m, uint64_t *r)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	unsigned n = 1 + next_random(r) % 4;

	for (unsigned i = 0; i < n; i++) {
		unsigned nets = next_random(r) % 4;

		add_zone(m, names[i], next_random(r) % 2, (const char *const[]){NULL});
		zone(m, names[i], next_random(r) % 3);
		for (unsigned k = 0; k < nets; k++) {
			struct sl_pol_place p = random_place(r, 8);
			struct sl_pol_zone *z = &m->zones[i];

			if (!is_there(m, &p))
				*GROW(z->nets, z->n_nets) = p;
		}
	}
}

/** The last address of a prefix, by hand. */
static struct sl_ip
last_of(const struct sl_prefix *p)
{
	struct sl_ip ip = p->ip;

	for (unsigned bit = p->len; bit < 32; bit++)
		ip.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return ip;
}

/** What a gateway finds at the ends of each agent's network: a zone of type vpn, but where the
 * document names a smaller network there or this one itself. Internal zones: then it does not fit.
 */
static void
try_agents(struct sl_policy *m, const struct sl_pol_place *nets, unsigned n, unsigned *vpn,
	   unsigned *unfit)
{
	struct sl_polset *was = compile_at(m, WALL_NS), *is;
	unsigned n_zones = m->n_zones;
	struct sl_error e = {0};
	bool fits = sl_policy_agents_fit(m, nets, n, &e) == 0;

	assert_int_equal(sl_policy_add_agents(m, nets, n), 0);
	is = compile_at(m, WALL_NS);
	if (sl_policy_check(m, NULL, 0, &e) != 0)
		fail_msg("%s at %s", e.reason, e.path);
	for (unsigned i = 0; i < n; i++) {
		uint16_t iface = iface_id(NULL, nets[i].iface);
		struct sl_ip ends[2] = {nets[i].prefix.ip, last_of(&nets[i].prefix)};

		for (unsigned k = 0; k < 2; k++) {
			uint32_t before = looked_up(was, iface, &ends[k]);
			uint32_t at = looked_up(is, iface, &ends[k]);

			if (at != SL_LPM_NONE && m->zones[at].type == SL_ZONE_VPN) {
				(*vpn)++;
				/* never wider: what is new denies */
				assert_true(at == before || !m->zones[at].allow);
			} else { /* the document's own word */
				assert_int_equal(at, before);
				assert_true(at < n_zones);
				assert_true(m->zones[at].type == SL_ZONE_EXTERNAL || !fits);
				*unfit += !fits;
			}
		}
	}
	sl_polset_free(was);
	sl_polset_free(is);
}

static void
test_random(void **state)
{
	uint64_t r = 11;
	unsigned vpn = 0, unfit = 0;

	for (unsigned round = 0; round < 4000; round++) {
		struct sl_policy m = {0};
		struct sl_pol_place nets[4];
		unsigned n = next_random(&r) % 5;

		random_zones(&m, &r);
		for (unsigned i = 0; i < n; i++) {
			nets[i] = random_place(&r, 20);
			name_set(nets[i].iface, sizeof(nets[i].iface),
				 next_random(&r) % 2 ? "wg0" : "wg1");
			if (i > 0 && next_random(&r) % 4 == 0)
				nets[i] = nets[i - 1];
		}
		try_agents(&m, nets, n, &vpn, &unfit);
		model_clear(&m);
	}
	assert_true(vpn > 5000 && unfit > 100);
}

/** Which zone a whole prefix lies in is what a gateway finds for an address. */
static void
test_zone_of(void **state)
{
	static const char *const names[] = {"", "wg0", "wg1", "wg2"};
	uint64_t r = 12;

	for (unsigned round = 0; round < 2000; round++) {
		struct sl_policy m = {0};
		struct sl_polset *s;

		random_zones(&m, &r);
		s = compile_at(&m, WALL_NS);
		for (unsigned i = 0; i < 8; i++) {
			const char *iface = names[i % 4];
			struct sl_prefix x = random_place(&r, 26).prefix;
			const struct sl_pol_zone *z;
			uint32_t at;

			x.len = 32;
			x.ip.b[3] |= next_random(&r) & 63;
			z = sl_policy_zone_of(&m, iface, &x, NULL);
			at = looked_up(s, iface_id(NULL, iface), &x.ip);
			assert_int_equal(z != NULL ? (uint32_t)(z - m.zones) : SL_LPM_NONE, at);
		}
		sl_polset_free(s);
		model_clear(&m);
	}
}

static void
test_by_hand(void **state)
{
	const struct sl_pol_place nets[] = {place_of("10.2.0.0/24@wg0"),
					    place_of("10.1.0.0/24@wg0"),
					    place_of("10.2.0.0/24@wg0"),
					    place_of("10.9.0.0/24@wg0"),
					    place_of("10.8.0.0/24@wg0")};
	struct sl_policy m = {0};
	struct sl_pol_zone z;
	struct sl_error e;

	ADD_ZONE(&m, "in", true, "10.0.0.0/8");
	ADD_ZONE(&m, "vpn", false, "10.9.0.0/16");
	zone(&m, "vpn", SL_ZONE_VPN)->id = SL_POL_ID_MAX;
	ADD_ZONE(&m, "own", false, "10.8.0.0/24@wg0");
	zone(&m, "own", SL_ZONE_EXTERNAL);
	assert_int_equal(sl_policy_no_agent_zone(&m, &e), 0);
	assert_int_equal(sl_policy_agent_zone(&m, nets, 5, &z), 0);
	assert_int_equal(z.n_nets, 2);
	assert_true(sl_ip_equal(&z.nets[0].prefix.ip, &nets[1].prefix.ip));
	assert_true(sl_ip_equal(&z.nets[1].prefix.ip, &nets[0].prefix.ip));
	assert_int_equal(z.id, SL_POL_ID_MAX - 1);
	assert_true(z.type == SL_ZONE_VPN && !z.allow);
	free(z.nets);
	/* once: a model that has it keeps it, and it says nothing about itself */
	assert_int_equal(sl_policy_add_agents(&m, nets, 5), 0);
	assert_int_equal(sl_policy_add_agents(&m, nets, 1), 0);
	assert_int_equal(m.n_zones, 4);
	assert_int_equal(sl_policy_agent_zone(&m, nets, 5, &z), 0);
	assert_int_equal(z.n_nets, 2);
	assert_int_equal(z.id, SL_POL_ID_MAX - 1);
	free(z.nets);
	assert_int_equal(sl_policy_no_agent_zone(&m, &e), -EINVAL);
	assert_string_equal(e.reason, "zone_reserved");
	assert_string_equal(e.path, "/zones/agent-networks");
	model_clear(&m);
	/* nobody has one: no zone */
	assert_int_equal(sl_policy_add_agents(&m, NULL, 0), 0);
	assert_int_equal(m.n_zones, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_zone_of),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
