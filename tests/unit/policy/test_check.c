/* SPDX-License-Identifier: BSD-3-Clause */
/* Validation of a model: each case spoils one thing of a sound model and names reason and place. */
#include "model_base.h"

#include <time.h>

static struct sl_error err;

static int
check(const struct sl_policy_limits *l)
{
	memset(&err, 0, sizeof(err));
	return sl_policy_check(&base, l, NOW, &err);
}

static void
refused(const char *reason, const char *path)
{
	assert_true(check(NULL) < 0);
	assert_string_equal(err.reason, reason);
	assert_string_equal(err.path, path);
	assert_true(err.message[0] != '\0');
	base_fill();
}

static int
setup(void **state)
{
	base_fill();
	return 0;
}

static void
test_sound(void **state)
{
	assert_int_equal(check(NULL), 0);
	assert_int_equal(err.err, 0);
	assert_int_equal(rules[0].role_at, 0);
	assert_int_equal(rules[2].role_at, 1);
	assert_int_equal(to[1][0].target_at, 1);
	base = (struct sl_policy){0};
	assert_int_equal(check(NULL), 0);
}

static void
test_names(void **state)
{
	static const char *const bad[] = {"", "-a", ".a", "a b", "a/b", "a@b", "10.0.0.1", "\xc3"};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		snprintf(targets[0].name, SL_POL_NAME, "%s", bad[i]);
		assert_int_equal(check(NULL), -EINVAL);
		assert_string_equal(err.reason, "name_invalid");
	}
	base_fill();
	memset(roles[0].name, 'a', SL_POL_NAME); /* no end */
	assert_int_equal(check(NULL), -EINVAL);
	assert_string_equal(err.reason, "name_invalid");
	base_fill();
	snprintf(roles[1].name, SL_POL_NAME, "engineer");
	refused("name_invalid", "/roles/engineer");
	snprintf(zones[1].name, SL_POL_NAME, "vpn");
	refused("name_invalid", "/zones/vpn");
	snprintf(members[0][0].peer, SL_POL_NAME, "a\"b");
	refused("name_invalid", "/roles/engineer/members/0");
}

static void
test_zones(void **state)
{
	zones[1].id = 1;
	refused("zone_id_duplicate", "/zones/corp/id");
	nets[1][0] = place("10.7.0.0/16", "");
	refused("zone_overlap", "/zones/corp/networks/0");
	nets[0][1] = nets[0][0];
	refused("zone_overlap", "/zones/vpn/networks/1");
	nets[1][0] = place("10.7.0.0/16", "wg0"); /* another scope */
	assert_int_equal(check(NULL), 0);
	nets[0][0] = place("10.7.0.0/16", "wg0");
	refused("zone_overlap", "/zones/corp/networks/0");
	nets[1][0].prefix.len = 33;
	refused("prefix_invalid", "/zones/corp/networks/0");
	nets[0][1].prefix.len = 129;
	refused("prefix_invalid", "/zones/vpn/networks/1");
	nets[0][0].prefix.ip.family = 0;
	refused("prefix_invalid", "/zones/vpn/networks/0");
	snprintf(nets[0][0].iface, SL_POL_IFACE, "wg 0");
	refused("interface_invalid", "/zones/vpn/networks/0");
}

static void
test_host_bits(void **state)
{
	nets[1][0] = place("10.0.0.0/7", "");
	assert_int_equal(check(NULL), 0); /* 11.0.0.0 is not in it */
	nets[1][0] = place("10.1.0.0/8", "");
	assert_int_equal(check(NULL), -EINVAL);
	assert_string_equal(err.reason, "prefix_host_bits");
	assert_non_null(strstr(err.hint, "10.0.0.0/8"));
	assert_non_null(strstr(err.hint, "10.1.0.0/32"));
	base_fill();
	addrs[1][0] = place("fd00:20::10/64", "");
	refused("prefix_host_bits", "/targets/db6/addresses/0");
	members[0][1].place = place("10.7.1.1/24", "wg0");
	refused("prefix_host_bits", "/roles/engineer/members/1");
	rules[1].n_src = 1;
	src[1][0] = prefix("10.7.1.1/31");
	refused("prefix_host_bits", "/rules/1/src/0");
	to[2][0] = (struct sl_pol_to){.place = place("10.7.1.1/31", "")};
	refused("prefix_host_bits", "/rules/2/to/0");
}

static void
test_targets(void **state)
{
	targets[1].n_addrs = 0;
	refused("target_empty", "/targets/db6/addresses");
	addrs[0][0].prefix.len = 40;
	refused("prefix_invalid", "/targets/db/addresses/0");
}

static void
test_role_ids(void **state)
{
	roles[0].id = 1;
	assert_int_equal(check(NULL), 0);
	assert_int_equal(roles[1].id, 2);
	base_fill();
	roles[2] = (struct sl_pol_role){.name = "third", .id = 2};
	roles[1].id = 1;
	base.n_roles = 3;
	assert_int_equal(check(NULL), 0);
	assert_int_equal(roles[0].id, 3); /* the lowest that is free */
	base_fill();
	roles[0].id = roles[1].id = 7;
	refused("role_id_duplicate", "/roles/contractor/id");
	roles[0].id = (uint32_t)SL_POL_ID_MAX + 1;
	refused("role_id_invalid", "/roles/engineer/id");
	roles[0].id = SL_POL_ID_MAX;
	assert_int_equal(check(NULL), 0);
}

static int
keep(const struct sl_pol_role_id *known, unsigned n)
{
	err = (struct sl_error){0};
	return sl_policy_keep_role_ids(&base, known, n, &err);
}

/** Names keep their ids; a written one wins; a new name gets none that anybody had. */
static void
test_kept_role_ids(void **state)
{
	const struct sl_pol_role_id known[] = {{"engineer", 7}, {"gone", 1}, {"contractor", 2}};
	struct sl_pol_role_id *list;
	unsigned n;

	roles[2] = (struct sl_pol_role){.name = "new"};
	base.n_roles = 3;
	assert_int_equal(keep(known, 3), 0);
	assert_int_equal(roles[0].id, 7);
	assert_int_equal(roles[1].id, 2);
	assert_int_equal(roles[2].id, 3);
	assert_int_equal(check(NULL), 0);
	assert_int_equal(sl_policy_role_ids(&base, known, 3, 8, &list, &n), 0);
	assert_int_equal(n, 4);
	assert_string_equal(list[2].name, "new");
	assert_string_equal(list[3].name, "gone");
	assert_int_equal(list[3].id, 1);
	free(list);
	assert_int_equal(sl_policy_role_ids(&base, known, 3, 3, &list, &n), 0);
	assert_int_equal(n, 3);
	free(list);
	base_fill();
	roles[2] = (struct sl_pol_role){.name = "new", .id = 7};
	roles[1].id = 1;
	base.n_roles = 3;
	assert_int_equal(keep(known, 3), 0);
	assert_int_equal(roles[0].id, 3); /* moved */
	assert_int_equal(roles[1].id, 1);
	assert_int_equal(sl_policy_role_ids(&base, known, 3, 8, &list, &n), 0);
	assert_int_equal(n, 3); /* the id of "gone" is another's */
	free(list);
	base_fill();
	roles[1].id = SL_POL_ID_MAX;
	assert_int_equal(keep(NULL, 0), 0);
	assert_int_equal(roles[0].id, 1);
}

static void
test_members(void **state)
{
	roles[0].n_members = 3;
	members[0][2] = members[0][1];
	refused("member_duplicate", "/roles/engineer/members/2");
	roles[0].n_members = 3;
	members[0][2] = members[0][0];
	refused("member_duplicate", "/roles/engineer/members/2");
	roles[0].n_members = 3;
	members[0][2] = members[0][1];
	members[0][2].place.iface[0] = '\0'; /* another scope */
	assert_int_equal(check(NULL), 0);
	members[1][0] = members[0][1]; /* another role */
	assert_int_equal(check(NULL), 0);
	base_fill();
	members[0][1].expires_ns = NOW;
	refused("expired", "/roles/engineer/members/1/expires");
	members[0][1].expires_ns = NOW + 1;
	assert_int_equal(check(NULL), 0);
	members[0][1].expires_ns = 1;
	assert_int_equal(sl_policy_check(&base, NULL, 0, NULL), 0); /* at boot */
}

static void
test_rules(void **state)
{
	snprintf(rules[1].role, SL_POL_NAME, "nobody");
	refused("role_unknown", "/rules/1/role");
	snprintf(to[1][0].target, SL_POL_NAME, "nothing");
	refused("target_unknown", "/rules/1/to/0");
	rules[1].n_to = 0;
	refused("target_empty", "/rules/1/to");
	rules[1].id = 101;
	refused("rule_id_duplicate", "/rules/1/id");
	rules[1].id = 0;
	refused("rule_id_invalid", "/rules/1/id");
	rules[1].id = (uint32_t)SL_POL_ID_MAX + 1;
	refused("rule_id_invalid", "/rules/1/id");
	rules[1].proto = 257;
	refused("protocol_invalid", "/rules/1/protocol");
	rules[1].expires_ns = NOW;
	refused("expired", "/rules/1/expires");
	rules[1].expires_ns = rules[1].not_before_ns = NOW + SECOND;
	refused("time_range", "/rules/1/not_before");
	rules[1].not_before_ns = NOW - SECOND;
	rules[1].expires_ns = NOW + SECOND;
	assert_int_equal(check(NULL), 0);
}

static void
test_ports(void **state)
{
	ports[2][0] = (struct sl_pol_ports){444, 443};
	refused("ports_inverted", "/rules/2/ports/0");
	rules[2].n_ports = 2;
	ports[2][1] = (struct sl_pol_ports){9, 8};
	refused("ports_inverted", "/rules/2/ports/1");
	rules[2].proto = SL_POL_PROTO_ANY;
	refused("ports_need_tcp_or_udp", "/rules/2/ports");
	rules[2].proto = 47;
	assert_int_equal(check(NULL), 0); /* ignored: a lint */
}

static void
test_families(void **state)
{
	rules[0].n_src = 1;
	src[0][0] = prefix("fd00:7::/64");
	refused("family_mismatch", "/rules/0/src");
	rules[0].n_src = 2;
	src[0][0] = prefix("fd00:7::/64");
	src[0][1] = prefix("10.7.0.0/16");
	assert_int_equal(check(NULL), 0);
	base_fill();
	rules[0].proto = 58;
	refused("family_mismatch", "/rules/0/protocol");
	rules[1].proto = 1;
	refused("family_mismatch", "/rules/1/protocol");
	rules[0].proto = 1;
	rules[1].proto = 58;
	assert_int_equal(check(NULL), 0);
	to[0][0] = (struct sl_pol_to){.any = true};
	rules[0].proto = 58;
	assert_int_equal(check(NULL), 0);
}

static void
test_document_tests(void **state)
{
	snprintf(subject_roles[0], SL_POL_NAME, "nobody");
	refused("role_unknown", "/tests/0/from/roles/0");
	snprintf(tests[0].to_target, SL_POL_NAME, "nothing");
	refused("target_unknown", "/tests/0/to");
	snprintf(tests[0].rule_role, SL_POL_NAME, "nobody");
	refused("role_unknown", "/tests/0/rule");
	snprintf(tests[0].rule_role, SL_POL_NAME, "contractor");
	tests[0].rule_id = 102; /* that is engineer's */
	refused("rule_unknown", "/tests/0/rule");
	snprintf(tests[0].rule_role, SL_POL_NAME, "contractor");
	tests[0].rule_id = 101;
	assert_int_equal(check(NULL), 0);
}

static void
test_limits(void **state)
{
	struct sl_policy_limits l = {.prefixes = 1, .roles = 2, .rules_per_role = 2};
	struct sl_policy_use use;

	assert_int_equal(check(&l), 0);
	sl_policy_use(&base, &l, &use);
	assert_int_equal(use.prefixes, 1);
	assert_int_equal(use.prefixes_cap, 1);
	assert_int_equal(use.roles, 2);
	assert_int_equal(use.rules_max, 2);
	assert_int_equal(use.rules_cap, 2);
	sl_policy_use(&base, NULL, &use);
	assert_int_equal(use.prefixes_cap, 80000);
	assert_int_equal(use.roles_cap, 800);
	assert_int_equal(use.rules_cap, 32);
	l.rules_per_role = 1;
	assert_int_equal(check(&l), -ENOSPC);
	assert_string_equal(err.reason, "limit_rules");
	assert_string_equal(err.path, "/rules/1");
	l.roles = 1;
	assert_int_equal(check(&l), -ENOSPC);
	assert_string_equal(err.reason, "limit_roles");
	assert_string_equal(err.path, "/roles");
	members[1][0] = members[0][1];
	l.roles = 2;
	assert_int_equal(check(&l), -ENOSPC);
	assert_string_equal(err.reason, "limit_prefixes");
	assert_string_equal(err.path, "/roles/contractor/members/0");
}

static void
test_next_change(void **state)
{
	assert_int_equal(sl_policy_next_change(&base, NOW), 0);
	rules[0].not_before_ns = NOW + 3 * SECOND;
	rules[1].expires_ns = NOW + 2 * SECOND;
	rules[2].expires_ns = NOW;
	assert_int_equal(sl_policy_next_change(&base, NOW), NOW + 2 * SECOND);
	assert_int_equal(sl_policy_next_change(&base, NOW + 2 * SECOND), NOW + 3 * SECOND);
	assert_int_equal(sl_policy_next_change(&base, NOW - SECOND), NOW);
	rules[1].enabled = false;
	assert_int_equal(sl_policy_next_change(&base, NOW), NOW + 3 * SECOND);
}

/** 80,000 prefixes and 1,000 roles of 32 rules: seconds would show that something is quadratic. */
static struct sl_policy *
big(unsigned n_roles, unsigned per_role, unsigned n_members)
{
	struct sl_policy *p = sl_policy_new();

	p->n_roles = n_roles;
	p->n_rules = n_roles * per_role;
	p->roles = calloc(n_roles, sizeof(*p->roles));
	p->rules = calloc(p->n_rules, sizeof(*p->rules));
	for (unsigned i = 0; i < n_roles; i++)
		snprintf(p->roles[i].name, SL_POL_NAME, "role-%u", n_roles - i);
	p->roles[0].n_members = n_members;
	p->roles[0].members = calloc(n_members, sizeof(*p->roles[0].members));
	for (unsigned k = 0; k < n_members; k++) {
		p->roles[0].members[k].place.prefix = prefix("10.0.0.0/32");
		sl_store_be32(p->roles[0].members[k].place.prefix.ip.b, 0x0a000000 + k * 7);
	}
	for (unsigned i = 0; i < p->n_rules; i++) {
		struct sl_pol_rule *r = &p->rules[i];

		r->id = 1 + i;
		r->enabled = true;
		r->proto = SL_POL_PROTO_ANY;
		memcpy(r->role, p->roles[i % n_roles].name, SL_POL_NAME);
		r->to = calloc(1, sizeof(*r->to));
		r->n_to = 1;
		r->to[0].any = true;
	}
	return p;
}

static void
test_big(void **state)
{
	struct sl_policy_limits l = {.prefixes = 80000, .roles = 1000};
	struct sl_policy *p = big(1000, 32, 80000);
	clock_t begin = clock();

	assert_int_equal(sl_policy_check(p, &l, NOW, &err), 0);
	assert_true(clock() - begin < 5 * CLOCKS_PER_SEC);
	l.prefixes = 79999;
	assert_int_equal(sl_policy_check(p, &l, NOW, &err), -ENOSPC);
	assert_string_equal(err.path, "/roles/role-1000/members/79999");
	l.prefixes = 80000;
	p->roles[0].members[70000] = p->roles[0].members[3];
	p->roles[0].members[60000] = p->roles[0].members[4];
	assert_int_equal(sl_policy_check(p, &l, NOW, &err), -EEXIST);
	assert_string_equal(err.path, "/roles/role-1000/members/60000"); /* the first */
	sl_policy_free(p);
	p = big(1, 33, 1);
	assert_int_equal(sl_policy_check(p, NULL, NOW, &err), -ENOSPC);
	assert_string_equal(err.reason, "limit_rules");
	assert_string_equal(err.path, "/rules/32");
	sl_policy_free(p);
	p = big(801, 0, 1);
	assert_int_equal(sl_policy_check(p, NULL, NOW, &err), -ENOSPC);
	assert_string_equal(err.reason, "limit_roles");
	sl_policy_free(p);
	sl_policy_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test_setup(test_sound, setup),
		cmocka_unit_test_setup(test_names, setup),
		cmocka_unit_test_setup(test_zones, setup),
		cmocka_unit_test_setup(test_host_bits, setup),
		cmocka_unit_test_setup(test_targets, setup),
		cmocka_unit_test_setup(test_role_ids, setup),
		cmocka_unit_test_setup(test_kept_role_ids, setup),
		cmocka_unit_test_setup(test_members, setup),
		cmocka_unit_test_setup(test_rules, setup),
		cmocka_unit_test_setup(test_ports, setup),
		cmocka_unit_test_setup(test_families, setup),
		cmocka_unit_test_setup(test_document_tests, setup),
		cmocka_unit_test_setup(test_limits, setup),
		cmocka_unit_test_setup(test_next_change, setup),
		cmocka_unit_test_setup(test_big, setup),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}
