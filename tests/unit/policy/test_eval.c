/* SPDX-License-Identifier: BSD-3-Clause */
/* The verdict: by hand at the edges, and random policies and flows beside the naive oracle. */
#include "naive_policy.h"

#define RANDOM_POLICIES 400
#define RANDOM_FLOWS 1000

/** A model under test with one subject. */
struct rig {
	struct sl_policy m;
	struct sl_polset *s;
	struct tclass src, peer;
	struct tflow t;
	bool from_inside;
	uint32_t tick;
	struct sl_trace_role trace[8];
	unsigned n_trace;
};

static struct sl_polset_answer
ask(struct rig *r)
{
	struct sl_polset_answer a;
	struct sl_polset_query q = {.flow = r->t.f,
				    .from_inside = r->from_inside,
				    .src_class = r->src.c.n > 0 ? &r->src.c : NULL,
				    .peer_class = r->peer.c.n > 0 ? &r->peer.c : NULL,
				    .tick = r->tick};

	if (r->s == NULL)
		r->s = compile_at(&r->m, WALL_NS);
	q.flow.src = r->t.src.b;
	q.flow.dst = r->t.dst.b;
	sl_polset_eval(r->s, &q, &a, r->trace, SL_ARRAY_SIZE(r->trace), &r->n_trace);
	return a;
}

static void
rig_clear(struct rig *r)
{
	sl_polset_free(r->s);
	model_clear(&r->m);
	*r = (struct rig){0};
}

static void
expect_rule(struct rig *r, bool allow, unsigned rule)
{
	struct sl_polset_answer a = ask(r);

	assert_int_equal(a.why, SL_WHY_RULE);
	assert_int_equal(a.allow, allow);
	assert_int_equal(a.rule, rule);
	assert_int_equal(r->s->entries[r->t.f.version == 6][a.entry].rule, rule);
}

static void
expect_none(struct rig *r, bool allow, enum sl_why why)
{
	struct sl_polset_answer a = ask(r);

	assert_int_equal(a.why, why);
	assert_int_equal(a.allow, allow);
	assert_int_equal(a.rule, SL_POL_NONE);
	assert_int_equal(a.entry, SL_POL_NONE);
}

static void
test_votes(void **state)
{
	struct rig r = {0};

	ADD_ZONE(&r.m, "in", true, "10.0.0.0/8");
	add_role(&r.m, "a");
	add_role(&r.m, "b");
	add_rule(&r.m, "a", true, 6, "10.1.0.0/16");
	add_rule(&r.m, "b", false, 6, "10.1.1.0/24");
	add_rule(&r.m, "b", true, 6, "10.1.1.1/32")->priority = 1;
	add_rule(&r.m, "b", false, 6, "10.1.1.1/32")->priority = 2;
	class_add(&r.src, 0, 0);
	flow_set(&r.t, "10.9.0.1", "10.1.1.9", 6, 4000, 80);
	expect_rule(&r, true, 0);
	class_add(&r.src, 1, 0); /* deny of one role beats allow of another */
	expect_rule(&r, false, 1);
	flow_set(&r.t, "10.9.0.1", "10.1.1.1", 6, 4000, 80);
	expect_rule(&r, true, 0); /* b allows too, by its priority 1; a is noted first */
	flow_set(&r.t, "10.9.0.1", "10.2.1.1", 6, 4000, 80);
	expect_none(&r, true, SL_WHY_ZONE_DEFAULT);
	flow_set(&r.t, "10.9.0.1", "11.2.1.1", 6, 4000, 80);
	expect_none(&r, false, SL_WHY_ZONE_DEFAULT);
	r.src.c.n = 0; /* a zone that allows does nothing for one without a role */
	flow_set(&r.t, "10.9.0.1", "10.2.1.1", 6, 4000, 80);
	expect_none(&r, false, SL_WHY_NO_ROLE);
	class_add(&r.peer, 1, 0); /* the peer's roles count like those of the source */
	flow_set(&r.t, "10.9.0.1", "10.1.1.9", 6, 4000, 80);
	expect_rule(&r, false, 1);
	rig_clear(&r);
}

static void
test_tie(void **state)
{
	struct rig r = {0};

	add_role(&r.m, "a");
	add_rule(&r.m, "a", true, 6, "10.0.0.0/8")->priority = 0;
	add_rule(&r.m, "a", false, 6, "10.1.0.0/16")->priority = 0;
	add_rule(&r.m, "a", true, 6, "10.1.0.0/16")->priority = 255;
	class_add(&r.src, 0, 0);
	flow_set(&r.t, "10.9.0.1", "10.1.1.9", 6, 4000, 80);
	expect_rule(&r, false, 1);
	flow_set(&r.t, "10.9.0.1", "10.2.1.9", 6, 4000, 80);
	expect_rule(&r, true, 0);
	rig_clear(&r);
}

static void
test_ports(void **state)
{
	struct rig r = {0};
	struct sl_pol_rule *rule;

	add_role(&r.m, "a");
	rule = add_rule(&r.m, "a", true, 17, "*");
	rule_ports(rule, 53, 53);
	rule_ports(rule, 8000, 8010);
	rule = add_rule(&r.m, "a", true, 1, "*"); /* ports ignored */
	rule_ports(rule, 53, 53);
	class_add(&r.src, 0, 0);
	for (unsigned p = 0; p <= 65535; p = p == 8012 ? 65535 : p + 1) {
		flow_set(&r.t, "10.9.0.1", "10.1.1.9", 17, 53, (uint16_t)p);
		if (p == 53 || (p >= 8000 && p <= 8010))
			expect_rule(&r, true, 0);
		else
			expect_none(&r, false, SL_WHY_ZONE_DEFAULT);
	}
	flow_set(&r.t, "fd00::1", "fd00::2", 17, 1, 53);
	expect_rule(&r, true, 0);
	flow_set(&r.t, "10.9.0.1", "10.1.1.9", 6, 1, 53);
	expect_none(&r, false, SL_WHY_ZONE_DEFAULT);
	flow_set(&r.t, "10.9.0.1", "10.1.1.9", 1, 0, 0);
	expect_rule(&r, true, 1);
	flow_set(&r.t, "fd00::1", "fd00::2", 58, 0, 0); /* ICMP is not ICMPv6 */
	expect_none(&r, false, SL_WHY_ZONE_DEFAULT);
	rig_clear(&r);
}

static void
test_bidirectional(void **state)
{
	struct rig r = {0};
	struct sl_pol_rule *rule;

	ADD_ZONE(&r.m, "vpn", true, "10.7.0.0/16");
	add_role(&r.m, "a");
	rule = add_rule(&r.m, "a", true, 6, "10.20.0.0/16");
	rule->bidirectional = true;
	rule_ports(rule, 80, 80);
	add_rule(&r.m, "a", false, 17, "10.20.0.0/16");
	r.from_inside = true;
	class_add(&r.peer, 0, 0);
	flow_set(&r.t, "10.20.0.1", "10.7.0.1", 6, 80, 4000);
	expect_rule(&r, true, 0);
	flow_set(&r.t, "10.20.0.1", "10.7.0.1", 6, 81, 80); /* the port is on the other side */
	expect_none(&r, false, SL_WHY_NO_ROLE);
	flow_set(&r.t, "10.20.0.1", "10.7.0.1", 17, 80, 80); /* not bidirectional */
	expect_none(&r, false, SL_WHY_NO_ROLE);
	flow_set(&r.t, "10.7.0.1", "10.20.0.1", 6, 4000, 80); /* normal rules are not the peer's */
	expect_none(&r, false, SL_WHY_NO_ROLE);
	class_add(&r.src, 0, 0); /* but those of an inside source's own role */
	expect_rule(&r, true, 0);
	flow_set(&r.t, "10.20.0.1", "10.7.0.1", 6, 81, 80);
	expect_none(&r, true, SL_WHY_ZONE_DEFAULT);
	r.from_inside = false; /* mirrored rules do not count from the tunnel */
	r.src.c.n = 0;
	flow_set(&r.t, "10.20.0.1", "10.8.0.1", 6, 80, 4000);
	expect_none(&r, false, SL_WHY_ZONE_DEFAULT);
	rig_clear(&r);
}

static void
test_interfaces(void **state)
{
	struct rig r = {0};

	ADD_ZONE(&r.m, "z", false, "10.0.0.0/8");
	ADD_ZONE(&r.m, "z1", true, "10.0.0.0/16@wg1");
	ADD_TARGET(&r.m, "t", "10.0.0.1/32@wg1", "10.0.0.2/32");
	add_role(&r.m, "a");
	add_rule(&r.m, "a", true, 6, "t");
	class_add(&r.src, 0, 0);
	flow_set(&r.t, "10.9.0.1", "10.0.0.1", 6, 1, 2);
	expect_none(&r, false, SL_WHY_ZONE_DEFAULT);
	assert_int_equal(ask(&r).target, SL_POL_NONE16);
	assert_int_equal(ask(&r).zone, 0);
	r.t.f.iface = 2;
	expect_rule(&r, true, 0);
	assert_int_equal(ask(&r).target, 0);
	assert_int_equal(ask(&r).zone, 1);
	r.t.f.proto = 17;
	expect_none(&r, true, SL_WHY_ZONE_DEFAULT);
	flow_set(&r.t, "10.9.0.1", "10.0.0.2", 6, 1, 2);
	expect_rule(&r, true, 0);
	assert_int_equal(ask(&r).target, 0);
	rig_clear(&r);
}

static void
test_expired_roles(void **state)
{
	struct rig r = {0};

	add_role(&r.m, "a");
	add_role(&r.m, "b");
	add_rule(&r.m, "a", true, 6, "*");
	add_rule(&r.m, "b", false, 6, "*");
	class_add(&r.src, 0, 0);
	class_add(&r.src, 1, 500);
	flow_set(&r.t, "10.9.0.1", "10.0.0.1", 6, 1, 2);
	r.tick = 499;
	expect_rule(&r, false, 1);
	assert_int_equal(r.n_trace, 2);
	assert_false(r.trace[1].expired);
	r.tick = 500;
	expect_rule(&r, true, 0);
	assert_int_equal(r.n_trace, 2);
	assert_int_equal(r.trace[0].role, 0);
	assert_int_not_equal(r.trace[0].entry, SL_POL_NONE);
	assert_int_equal(r.trace[1].role, 1);
	assert_true(r.trace[1].expired);
	assert_int_equal(r.trace[1].entry, SL_POL_NONE);
	r.tick = 0; /* all count */
	expect_rule(&r, false, 1);
	r.src.room[1].expires_tick = 5; /* ticks wrap */
	r.tick = UINT32_MAX - 10;
	expect_rule(&r, false, 1);
	r.tick = 6;
	expect_rule(&r, true, 0);
	r.src.room[0].expires_tick = 6; /* all have ended: none is left */
	expect_none(&r, false, SL_WHY_NO_ROLE);
	rig_clear(&r);
}

/* A class that is newer than the policy: nothing that it says may be taken for a verdict. */
static void
test_unknown_role(void **state)
{
	struct rig r = {0};

	add_role(&r.m, "a");
	add_rule(&r.m, "a", true, 6, "*");
	class_add(&r.src, 0, 0);
	class_add(&r.src, 1, 9);
	flow_set(&r.t, "10.9.0.1", "10.0.0.1", 6, 1, 2);
	expect_none(&r, false, SL_WHY_MAP_ERROR);
	r.tick = 9;
	expect_rule(&r, true, 0);
	rig_clear(&r);
}

static void
test_trace_is_bounded(void **state)
{
	struct rig r = {0};
	struct sl_polset_query q;
	struct sl_polset_answer a;
	unsigned n = 99;

	add_role(&r.m, "a");
	for (unsigned i = 0; i < 9; i++)
		class_add(&r.peer, 0, 0);
	flow_set(&r.t, "10.9.0.1", "10.0.0.1", 6, 1, 2);
	ask(&r);
	assert_int_equal(r.n_trace, 8);
	q = (struct sl_polset_query){.flow = r.t.f, .peer_class = &r.peer.c};
	sl_polset_eval(r.s, &q, &a, NULL, 0, &n);
	assert_int_equal(n, 0);
	sl_polset_eval(r.s, &q, &a, r.trace, 1, NULL);
	assert_int_equal(a.why, SL_WHY_ZONE_DEFAULT);
	rig_clear(&r);
}

/* --- withdrawn targets ------------------------------------------------------------------------ */

static void
test_withdrawn(void **state)
{
	struct rig r = {0};

	ADD_ZONE(&r.m, "all", true, "0.0.0.0/0");
	ADD_TARGET(&r.m, "net", "10.20.0.0/16");
	ADD_TARGET(&r.m, "old", "10.20.0.10/32@wg0"); /* the address of one that is reached */
	ADD_TARGET(&r.m, "db", "10.20.0.10/32");
	ADD_TARGET(&r.m, "web", "10.20.0.20/32");
	for (unsigned i = 0; i < r.m.n_targets; i++)
		r.m.targets[i].withdrawn = i != 2;
	add_role(&r.m, "a");
	add_rule(&r.m, "a", true, SL_POL_PROTO_ANY, "*")->bidirectional = true;
	class_add(&r.peer, 0, 0);
	flow_set(&r.t, "10.7.0.2", "10.20.0.10", 6, 1000, 443);
	expect_rule(&r, true, 0);
	assert_int_equal(ask(&r).target, 2);
	flow_set(&r.t, "10.7.0.2", "10.20.0.20", 6, 1000, 443);
	expect_none(&r, false, SL_WHY_WITHDRAWN);
	assert_int_equal(ask(&r).target, 3);
	flow_set(&r.t, "10.7.0.2", "10.20.0.30", 6, 1000, 443); /* by the network around it */
	expect_none(&r, false, SL_WHY_WITHDRAWN);
	flow_set(&r.t, "10.20.0.30", "10.7.0.2", 6, 443, 1000); /* between peers: the receiver's */
	expect_rule(&r, true, 0);
	r.from_inside = true;
	expect_none(&r, false, SL_WHY_WITHDRAWN);
	assert_int_equal(ask(&r).target, 0);
	flow_set(&r.t, "10.20.0.10", "10.7.0.2", 6, 443, 1000);
	expect_rule(&r, true, 0);
	flow_set(&r.t, "10.30.0.1", "10.20.0.20", 6, 443, 1000); /* the tunnel's end is no target */
	expect_rule(&r, true, 0);
	r.from_inside = false;
	r.peer.c.n = 0; /* nor is it a matter of roles */
	flow_set(&r.t, "10.7.0.2", "10.20.0.20", 6, 1000, 443);
	expect_none(&r, false, SL_WHY_WITHDRAWN);
	rig_clear(&r);
}

/* --- random ----------------------------------------------------------------------------------- */

static uint64_t seed;

static unsigned
pick(unsigned n)
{
	return (unsigned)(next_random(&seed) % n);
}

static struct sl_pol_place
random_place(void)
{
	static const char *const names[] = {"", "", "", "wg0", "wg1", "eth0"};
	struct sl_pol_place p = {.prefix = random_prefix(&seed)};

	name_set(p.iface, sizeof(p.iface), names[pick(SL_ARRAY_SIZE(names))]);
	return p;
}

static void
random_rule(struct sl_policy *m)
{
	static const uint16_t protos[] = {6, 6, 17, 1, 58, 47, SL_POL_PROTO_ANY, SL_POL_PROTO_ANY};
	struct sl_pol_rule *r = add_rule(m, m->roles[pick(m->n_roles)].name, pick(2),
					 protos[pick(SL_ARRAY_SIZE(protos))], NULL);

	for (unsigned n = pick(3); n > 0; n--)
		*GROW(r->src, r->n_src) = random_prefix(&seed);
	for (unsigned n = 1 + pick(3); n > 0; n--) {
		unsigned kind = pick(4);

		if (kind == 0)
			rule_to(m, r, "*");
		else if (kind == 1 && m->n_targets > 0)
			rule_to(m, r, m->targets[pick(m->n_targets)].name);
		else
			GROW(r->to, r->n_to)->place = random_place();
	}
	for (unsigned n = r->proto == SL_POL_PROTO_ANY ? 0 : pick(3); n > 0; n--) {
		uint16_t lo = (uint16_t)pick(6);

		rule_ports(r, lo, (uint16_t)(lo + pick(3)));
	}
	r->priority = (uint8_t)(pick(3) * 127);
	r->bidirectional = pick(2);
	r->enabled = pick(8) != 0;
	if (pick(4) == 0)
		r->not_before_ns = WALL_NS - 1 + pick(3);
	if (pick(4) == 0)
		r->expires_ns = WALL_NS - 1 + pick(3);
}

static void
random_model(struct sl_policy *m)
{
	static const char *const none[] = {NULL};
	char name[16];

	for (unsigned n = pick(5), i = 0; i < n; i++) {
		add_zone(m, "z", pick(2), none);
		for (unsigned k = 1 + pick(3); k > 0; k--)
			*GROW(m->zones[i].nets, m->zones[i].n_nets) = random_place();
	}
	for (unsigned n = pick(5), i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "t%u", i);
		add_target(m, name, none);
		m->targets[i].withdrawn = pick(4) == 0;
		for (unsigned k = 1 + pick(3); k > 0; k--)
			*GROW(m->targets[i].addrs, m->targets[i].n_addrs) = random_place();
	}
	for (unsigned n = 1 + pick(5), i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		add_role(m, name);
	}
	for (unsigned n = pick(24); n > 0; n--)
		random_rule(m);
}

static void
random_class(const struct sl_policy *m, struct tclass *c, struct naive_roles *live)
{
	*c = (struct tclass){0};
	*live = (struct naive_roles){0};
	for (unsigned role = 0; role < m->n_roles; role++) {
		unsigned kind = pick(5);

		if (kind < 2)
			continue;
		class_add(c, (uint16_t)role, kind == 2 ? 999 + pick(3) : 0); /* now is 1000 */
		if (c->room[c->c.n - 1].expires_tick == 0 ||
		    c->room[c->c.n - 1].expires_tick > 1000)
			live->role[live->n++] = role;
	}
}

static void
random_flow(struct tflow *t, struct naive_flow *f)
{
	static const uint8_t protos[] = {6, 17, 1, 58, 47, 132};
	static const char *const ifaces[] = {"?", "wg0", "wg1", "wg2"}; /* by id */
	unsigned family = pick(3) == 0 ? 6 : 4;

	*t = (struct tflow){.src = random_ip(family, &seed), .dst = random_ip(family, &seed)};
	flow_fix(t);
	t->f.proto = protos[pick(SL_ARRAY_SIZE(protos))];
	t->f.iface = (uint16_t)(1 + pick(3));
	if (t->f.proto == 6 || t->f.proto == 17) {
		t->f.sport = (uint16_t)pick(8);
		t->f.dport = (uint16_t)pick(8);
	}
	*f = (struct naive_flow){.src = t->src,
				 .dst = t->dst,
				 .iface = ifaces[t->f.iface],
				 .proto = t->f.proto,
				 .sport = t->f.sport,
				 .dport = t->f.dport};
}

static int
at_or_none(uint32_t at, uint32_t none)
{
	return at == none ? -1 : (int)at;
}

static void
one_random_pair(const struct sl_policy *m, const struct sl_polset *s, unsigned count[5])
{
	struct naive_roles src_live, peer_live;
	struct sl_polset_answer got;
	struct naive_answer want;
	struct tclass src, peer;
	struct naive_flow f;
	struct tflow t;
	struct sl_polset_query q = {.src_class = &src.c, .peer_class = &peer.c, .tick = 1000};
	uint64_t at = seed;

	random_class(m, &src, &src_live);
	random_class(m, &peer, &peer_live);
	random_flow(&t, &f);
	q.flow = t.f;
	q.from_inside = pick(2);
	sl_polset_eval(s, &q, &got, NULL, 0, NULL);
	want = naive_eval(m, WALL_NS, &f, q.from_inside, &src_live, &peer_live);
	if (got.allow != want.allow || got.why != want.why ||
	    at_or_none(got.rule, SL_POL_NONE) != want.rule ||
	    at_or_none(got.zone, SL_POL_NONE16) != want.zone ||
	    at_or_none(got.target, SL_POL_NONE16) != want.target)
		fail_msg("at %llx: allow %d/%d why %u/%u rule %d/%d zone %d/%d target %d/%d",
			 (unsigned long long)at, got.allow, want.allow, got.why, want.why,
			 (int)got.rule, want.rule, got.zone, want.zone, got.target, want.target);
	count[got.why]++;
}

static void
test_random(void **state)
{
	const char *text = getenv("SL_SEED");
	unsigned count[5] = {0};

	seed = text != NULL ? strtoull(text, NULL, 0) : 3;
	print_message("SL_SEED=%llu\n", (unsigned long long)seed);
	for (unsigned i = 0; i < RANDOM_POLICIES; i++) {
		struct sl_policy m = {0};
		struct sl_polset *s;

		random_model(&m);
		s = compile_at(&m, WALL_NS);
		for (unsigned k = 0; k < RANDOM_FLOWS; k++)
			one_random_pair(&m, s, count);
		sl_polset_free(s);
		model_clear(&m);
	}
	print_message("%u by rule, %u by zone, %u without a role, %u withdrawn\n",
		      count[SL_WHY_RULE], count[SL_WHY_ZONE_DEFAULT], count[SL_WHY_NO_ROLE],
		      count[SL_WHY_WITHDRAWN]);
	for (unsigned why = 0; why < 5; why++) /* each way is trodden, but for broken tables */
		assert_true(why == SL_WHY_MAP_ERROR ||
			    count[why] > RANDOM_POLICIES * RANDOM_FLOWS / 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_votes),	     cmocka_unit_test(test_tie),
		cmocka_unit_test(test_ports),	     cmocka_unit_test(test_bidirectional),
		cmocka_unit_test(test_interfaces),   cmocka_unit_test(test_expired_roles),
		cmocka_unit_test(test_unknown_role), cmocka_unit_test(test_trace_is_bounded),
		cmocka_unit_test(test_withdrawn),    cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
