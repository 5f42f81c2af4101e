/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiling: which entries a rule makes, their order, zones and targets, times, limits. */
#include "../alloc_limit.h"
#include "policy_test.h"

static const struct sl_polset_entry *
entry(const struct sl_polset *s, unsigned fam, unsigned group, unsigned i)
{
	uint32_t at = s->group_first[fam][group] + i;

	assert_true(at < s->group_first[fam][group + 1]);
	return &s->entries[fam][at];
}

static unsigned
group_size(const struct sl_polset *s, unsigned fam, unsigned group)
{
	return s->group_first[fam][group + 1] - s->group_first[fam][group];
}

static void
test_empty(void **state)
{
	struct sl_policy m = {.version = 3};
	struct sl_polset *s = compile_at(&m, WALL_NS);
	struct tflow t;

	assert_int_equal(s->generation, 7);
	assert_int_equal(s->version, 3);
	assert_int_equal(s->n_entries[0] + s->n_entries[1] + s->n_rules + s->n_groups, 0);
	assert_int_equal(s->next_change_ns, 0);
	flow_set(&t, "10.0.0.1", "10.0.0.2", 6, 1, 2);
	assert_int_equal(sl_polset_scan(s, 0, &t.f), SL_POL_NONE);
	sl_polset_free(s);
	sl_polset_free(NULL);
}

static void
test_order(void **state)
{
	struct sl_policy m = {0};
	static const unsigned want_b[] = {4, 2, 5, 1, 3}; /* priority 1; 128: deny, deny, allow */
	struct sl_polset *s;

	add_role(&m, "a");
	add_role(&m, "b");
	add_rule(&m, "a", true, 6, "10.0.0.0/8");
	add_rule(&m, "b", true, 6, "10.0.0.0/8");
	add_rule(&m, "b", false, 6, "10.0.0.0/8");
	add_rule(&m, "b", true, 6, "10.0.0.0/8");
	add_rule(&m, "b", true, 6, "10.0.0.0/8")->priority = 1;
	add_rule(&m, "b", false, 6, "10.0.0.0/8");
	add_rule(&m, "b", true, 6, "10.0.0.0/8")->enabled = false;
	s = compile_at(&m, WALL_NS);
	assert_int_equal(s->n_rules, 7);
	assert_int_equal(s->rules[6].id, 1007);
	assert_int_equal(s->n_entries[0], 6);
	assert_int_equal(s->n_entries[1], 0);
	assert_int_equal(group_size(s, 0, SL_POL_GROUP(0, false)), 1);
	assert_int_equal(group_size(s, 0, SL_POL_GROUP(1, false)), 5);
	assert_int_equal(group_size(s, 0, SL_POL_GROUP(1, true)), 0);
	for (unsigned i = 0; i < 5; i++) {
		const struct sl_polset_entry *e = entry(s, 0, SL_POL_GROUP(1, false), i);

		assert_int_equal(e->rule, want_b[i]);
		assert_int_equal(e->group, SL_POL_GROUP(1, false));
		assert_int_equal(e->allow, m.rules[want_b[i]].allow);
		assert_int_equal(e->priority, m.rules[want_b[i]].priority);
	}
	sl_polset_free(s);
	model_clear(&m);
}

/* Families meet only their own; an absent source is any of both; "*" is both. */
static void
test_families(void **state)
{
	struct sl_policy m = {0};
	struct sl_pol_rule *r;
	struct sl_polset *s;

	add_role(&m, "a");
	ADD_TARGET(&m, "both", "10.1.0.0/16", "fd00::/64", "10.2.0.0/16");
	r = add_rule(&m, "a", true, SL_POL_PROTO_ANY, "both");
	rule_src(r, "10.9.0.0/16");
	rule_src(r, "10.8.0.0/16");
	r = add_rule(&m, "a", true, SL_POL_PROTO_ANY, "*");
	r->priority = 200;
	rule_src(r, "fd01::/16");
	add_rule(&m, "a", true, SL_POL_PROTO_ANY, "*")->priority = 201;
	r = add_rule(&m, "a", true, SL_POL_PROTO_ANY, "fd00::/8");
	rule_src(r, "10.8.0.0/16");
	s = compile_at(&m, WALL_NS);
	assert_int_equal(s->n_entries[0], 4 + 1);
	assert_int_equal(s->n_entries[1], 1 + 1);
	assert_int_equal(entry(s, 1, 0, 0)->src_len, 16);
	assert_int_equal(entry(s, 1, 0, 0)->src_hi, UINT64_C(0xfd01) << 48);
	assert_int_equal(entry(s, 1, 0, 0)->src_mask_hi, UINT64_C(0xffff) << 48);
	assert_int_equal(entry(s, 1, 0, 1)->src_mask_hi, 0);
	assert_int_equal(entry(s, 0, 0, 0)->src_lo, 0x0a090000);
	assert_int_equal(entry(s, 0, 0, 0)->src_mask_lo, 0xffff0000);
	assert_int_equal(entry(s, 0, 0, 0)->dst_lo, 0x0a010000);
	assert_int_equal(entry(s, 0, 0, 4)->dst_mask_lo, 0);
	sl_polset_free(s);
	model_clear(&m);
}

static void
test_mirror(void **state)
{
	struct sl_policy m = {0};
	const struct sl_polset_entry *e;
	struct sl_pol_rule *r;
	struct sl_polset *s;

	add_role(&m, "a");
	r = add_rule(&m, "a", true, 6, "10.20.0.0/16@wg1");
	r->bidirectional = true;
	rule_src(r, "10.7.0.0/24");
	rule_ports(r, 80, 80);
	rule_ports(r, 8000, 8010);
	s = compile_at(&m, WALL_NS);
	assert_int_equal(s->n_entries[0], 4);
	e = entry(s, 0, SL_POL_GROUP(0, false), 1);
	assert_int_equal(e->dport_lo, 8000);
	assert_int_equal(e->dport_hi, 8010);
	assert_int_equal(e->sport_lo, 0);
	assert_int_equal(e->sport_hi, 65535);
	assert_int_equal(e->iface, 2);
	e = entry(s, 0, SL_POL_GROUP(0, true), 1);
	assert_int_equal(e->src_lo, 0x0a140000);
	assert_int_equal(e->src_len, 16);
	assert_int_equal(e->dst_lo, 0x0a070000);
	assert_int_equal(e->dst_len, 24);
	assert_int_equal(e->sport_lo, 8000);
	assert_int_equal(e->sport_hi, 8010);
	assert_int_equal(e->dport_lo, 0);
	assert_int_equal(e->dport_hi, 65535);
	assert_int_equal(e->iface, 2);
	sl_polset_free(s);
	model_clear(&m);
}

/* Ports of what is neither TCP nor UDP are ignored; an interface that is not here makes nothing. */
static void
test_left_out(void **state)
{
	struct sl_policy m = {0};
	struct sl_pol_rule *r;
	struct sl_polset *s;

	add_role(&m, "a");
	r = add_rule(&m, "a", true, 1, "10.0.0.0/8");
	rule_ports(r, 5, 6);
	rule_ports(r, 7, 8);
	add_rule(&m, "a", true, 6, "10.0.0.0/8@eth7");
	s = compile_at(&m, WALL_NS);
	assert_int_equal(s->n_entries[0], 1);
	assert_int_equal(entry(s, 0, 0, 0)->dport_lo, 0);
	assert_int_equal(entry(s, 0, 0, 0)->dport_hi, 65535);
	sl_polset_free(s);
	model_clear(&m);
}

static void
test_times(void **state)
{
	static const uint64_t s_ns = SL_NS_PER_S;
	struct {
		uint64_t now;
		unsigned entries;
		uint64_t next;
	} at[] = {
		{WALL_NS - 1, 1, WALL_NS},
		{WALL_NS, 2, WALL_NS + 5 * s_ns},
		{WALL_NS + 5 * s_ns - 1, 2, WALL_NS + 5 * s_ns},
		{WALL_NS + 5 * s_ns, 1, 0},
	};
	struct sl_policy m = {0};
	struct sl_pol_rule *r;
	struct sl_polset *s;

	add_role(&m, "a");
	add_rule(&m, "a", true, 6, "10.0.0.0/8");
	r = add_rule(&m, "a", true, 17, "10.0.0.0/8");
	r->not_before_ns = WALL_NS;
	r->expires_ns = WALL_NS + 5 * s_ns;
	r = add_rule(&m, "a", true, 17, "10.0.0.0/8"); /* off: its times change nothing */
	r->enabled = false;
	r->expires_ns = WALL_NS + s_ns;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(at); i++) {
		s = compile_at(&m, at[i].now);
		assert_int_equal(s->n_entries[0], at[i].entries);
		assert_true(s->next_change_ns == at[i].next);
		assert_int_equal(s->n_rules, 3);
		assert_int_equal(s->rules[0].expires_tick, 0);
		assert_int_equal(s->rules[1].expires_tick,
				 sl_tick_of(WALL_NS + 5 * s_ns - BOOT_NS));
		sl_polset_free(s);
	}
	/* so far away that the tick would have wrapped */
	m.rules[1].expires_ns = WALL_NS + UINT64_C(86400) * 365 * 8 * s_ns;
	s = compile_at(&m, WALL_NS);
	assert_int_equal(s->rules[1].expires_tick, 0);
	assert_true(s->next_change_ns == m.rules[1].expires_ns);
	sl_polset_free(s);
	m.rules[1].expires_ns = BOOT_NS - 1; /* before the machine came up */
	s = compile_at(&m, WALL_NS);
	assert_int_equal(s->rules[1].expires_tick, 1);
	assert_int_equal(s->n_entries[0], 1);
	sl_polset_free(s);
	model_clear(&m);
}

static uint32_t
look(const struct sl_lpm table[2], const char *text)
{
	struct sl_ip ip;

	assert_int_equal(sl_ip_parse(text, &ip), 0);
	return sl_lpm_lookup(&table[ip.family == 6], ip.b);
}

static void
test_where(void **state)
{
	const struct sl_polset_where *w;
	struct sl_policy m = {0};
	struct sl_polset *s;

	ADD_ZONE(&m, "out", false, "0.0.0.0/0", "::/0");
	ADD_ZONE(&m, "in", true, "10.0.0.0/8", "fd00::/8");
	ADD_ZONE(&m, "lab", true, "10.1.0.0/16@wg1", "10.0.0.0/8@wg1");
	ADD_ZONE(&m, "gone", true, "10.2.0.0/16@eth9");
	ADD_TARGET(&m, "db", "10.1.2.3/32", "fd00::1/128");
	ADD_TARGET(&m, "same", "10.1.2.3/32");
	ADD_TARGET(&m, "db-lab", "10.1.2.3/32@wg1");
	ADD_TARGET(&m, "far", "10.1.2.4/32@wg3");
	s = compile_at(&m, WALL_NS);
	assert_int_equal(s->n_where, 5);
	assert_int_equal(s->n_zones, 4);
	assert_string_equal(s->zones[2].name, "lab");
	assert_int_equal(s->zones[2].id, 30);
	assert_string_equal(s->targets[2].name, "db-lab");
	w = sl_polset_where(s, 1);
	assert_ptr_equal(w, &s->common);
	assert_ptr_equal(sl_polset_where(s, 0), &s->common);
	assert_ptr_equal(sl_polset_where(s, 77), &s->common);
	assert_int_equal(look(w->zone, "10.1.2.3"), 1);
	assert_int_equal(look(w->zone, "10.2.2.3"), 1);
	assert_int_equal(look(w->zone, "11.1.2.3"), 0);
	assert_int_equal(look(w->zone, "fd00::7"), 1);
	assert_int_equal(look(w->zone, "fe00::7"), 0);
	assert_int_equal(look(w->target, "10.1.2.3"), 0); /* the first of the two */
	assert_int_equal(look(w->target, "fd00::1"), 0);
	assert_int_equal(look(w->target, "10.1.2.4"), SL_LPM_NONE);
	w = sl_polset_where(s, 2);
	assert_int_equal(look(w->zone, "10.1.2.3"), 2);
	assert_int_equal(look(w->zone, "10.3.2.3"), 2); /* its own before the common one */
	assert_int_equal(look(w->zone, "11.3.2.3"), 0);
	assert_int_equal(look(w->target, "10.1.2.3"), 2);
	assert_int_equal(look(w->target, "fd00::1"), 0);
	w = sl_polset_where(s, 4);
	assert_int_equal(look(w->zone, "10.1.2.3"), 1);
	assert_int_equal(look(w->target, "10.1.2.3"), 0);
	assert_int_equal(look(w->target, "10.1.2.4"), 3);
	sl_polset_free(s);
	model_clear(&m);
}

static void
test_limit(void **state)
{
	struct sl_polset_env env = {.generation = 1, .wall_ns = WALL_NS, .iface_id = iface_id};
	struct sl_policy m = {0};
	struct sl_error e = {0};
	struct sl_pol_rule *r;
	struct sl_polset *s;

	add_role(&m, "a");
	r = add_rule(&m, "a", true, 6, NULL);
	for (unsigned i = 0; i < 256; i++) {
		rule_to(&m, r, "10.0.0.0/8");
		rule_src(r, "10.0.0.0/8");
	}
	for (unsigned i = 0; i < 257; i++)
		rule_ports(r, (uint16_t)i, (uint16_t)i);
	assert_null(sl_polset_compile(&m, &env, &e));
	assert_string_equal(e.reason, "limit_entries");
	assert_int_equal(e.err, -E2BIG);
	r->n_ports = 1;
	s = sl_polset_compile(&m, &env, &e);
	assert_non_null(s);
	assert_int_equal(s->n_entries[0], 65536);
	sl_polset_free(s);
	model_clear(&m);
}

static void
test_no_memory(void **state)
{
	struct sl_polset_env env = {.generation = 1, .wall_ns = WALL_NS, .iface_id = iface_id};
	struct sl_policy m = {0};
	struct sl_polset *s = NULL;
	struct sl_error e;
	int room = 0;

	ADD_ZONE(&m, "z", true, "10.0.0.0/8", "10.1.0.0/16@wg0", "fd00::/8@wg1");
	ADD_TARGET(&m, "t", "10.1.2.3/32", "10.1.2.0/24@wg0", "fd00::1/128");
	add_role(&m, "a");
	add_rule(&m, "a", true, 6, "t")->bidirectional = true;
	for (; s == NULL; room++) {
		e = (struct sl_error){0};
		allocations_left = room;
		s = sl_polset_compile(&m, &env, &e);
		allocations_left = -1;
		if (s == NULL) {
			assert_string_equal(e.reason, "no_memory");
			assert_int_equal(e.err, -ENOMEM);
		}
		assert_true(room < 100);
	}
	assert_true(room > 15);
	sl_polset_free(s);
	model_clear(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),	  cmocka_unit_test(test_order),
		cmocka_unit_test(test_families),  cmocka_unit_test(test_mirror),
		cmocka_unit_test(test_left_out),  cmocka_unit_test(test_times),
		cmocka_unit_test(test_where),	  cmocka_unit_test(test_limit),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
