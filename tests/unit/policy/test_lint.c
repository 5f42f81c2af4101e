/* SPDX-License-Identifier: BSD-3-Clause */
/* Lints: each is told where it holds, and is silent where it does not. */
#include "model_base.h"

#include <time.h>

static char told[4096]; /* "code path\n" of each */
static unsigned n_told;

static void
note(void *ctx, const char *code, const char *path, const char *text)
{
	size_t n = strlen(told);

	assert_true(text[0] != '\0');
	n_told++;
	snprintf(told + n, sizeof(told) - n, "%s %s\n", code, path);
}

static void
lint(void)
{
	struct sl_error e = {0};

	if (sl_policy_check(&base, NULL, NOW, &e) < 0)
		fail_msg("%s %s: %s", e.reason, e.path, e.message);
	told[0] = '\0';
	n_told = 0;
	sl_policy_lint(&base, NOW, note, NULL);
}

static bool
tells(const char *line)
{
	lint();
	return strstr(told, line) != NULL;
}

static int
setup(void **state)
{
	base_fill();
	return 0;
}

static void
test_clean(void **state)
{
	lint();
	assert_string_equal(told, "");
	base = (struct sl_policy){0};
	lint();
	assert_string_equal(told, "");
}

static void
test_simple(void **state)
{
	zones[1].allow = true;
	assert_true(tells("zone_default_allow /zones/corp/default_policy\n"));
	rules[0].bidirectional = true;
	assert_true(tells("bidir_opens_peer /rules/0/bidirectional\n"));
	rules[0].allow = false;
	assert_false(tells("bidir_opens_peer"));
	rules[2].proto = 47;
	assert_true(tells("ports_ignored /rules/2/ports\n"));
	base_fill();
	snprintf(to[1][0].target, SL_POL_NAME, "db");
	assert_true(tells("target_unused /targets/db6\n"));
}

static void
test_roles(void **state)
{
	roles[1].n_members = 0;
	assert_true(tells("role_without_members /roles/contractor\n"));
	assert_false(tells("role_without_rules"));
	rules[2].enabled = false;
	assert_true(tells("role_without_rules /roles/contractor\n"));
	base_fill();
	members[1][0].expires_ns = NOW + 1;
	assert_false(tells("role_without_members"));
	sl_policy_lint(&base, NOW + 1, note, NULL);
	assert_non_null(strstr(told, "role_without_members /roles/contractor\n"));
}

static bool
is_bob(void *ctx, const struct sl_pol_member *m)
{
	++*(unsigned *)ctx;
	return strcmp(m->peer, "bob") == 0 && m->place.iface[0] == '\0';
}

static void
test_peers(void **state)
{
	unsigned asked = 0;

	lint();
	told[0] = '\0';
	sl_policy_lint_peers(&base, NOW, is_bob, &asked, note, NULL);
	assert_string_equal(told, "peer_unknown /roles/engineer/members/0\n");
	assert_int_equal(asked, 2); /* prefixes are none */
	snprintf(members[1][0].place.iface, SL_POL_IFACE, "wg0");
	members[0][0].expires_ns = NOW + 1;
	told[0] = '\0';
	sl_policy_lint_peers(&base, NOW + 1, is_bob, &asked, note, NULL);
	assert_string_equal(told, "peer_unknown /roles/contractor/members/0\n");
	assert_int_equal(asked, 3); /* nor is who has ended */
}

static void
test_any_any(void **state)
{
	to[0][0] = (struct sl_pol_to){.any = true};
	assert_true(tells("allow_any_any /rules/0\n"));
	rules[0].proto = SL_POL_PROTO_ANY;
	assert_true(tells("allow_any_any /rules/0\n"));
	rules[0].proto = 1; /* ping */
	assert_false(tells("allow_any_any"));
	rules[0].proto = 17;
	rules[0].n_ports = 1;
	ports[0][0] = (struct sl_pol_ports){53, 53};
	assert_false(tells("allow_any_any"));
	rules[0].n_ports = 0;
	rules[0].n_src = 1;
	src[0][0] = prefix("10.7.0.0/16");
	assert_false(tells("allow_any_any"));
	src[0][0] = prefix("0.0.0.0/0");
	assert_true(tells("allow_any_any /rules/0\n"));
	rules[0].allow = false;
	assert_false(tells("allow_any_any"));
}

/** Rules 3 (before) and 4 of one role; the second is spoilt in the one way that lets it speak. */
static void
pair(void)
{
	base_fill();
	base_rule(3, "contractor", 201, "db");
	base_rule(4, "contractor", 202, "db");
	rules[3].allow = false;
	rules[3].priority = 10;
	rules[2].priority = 5; /* port 443 alone, before both */
	base.n_rules = 5;
}

static void
test_shadow(void **state)
{
	pair();
	lint();
	assert_string_equal(told, "rule_shadowed /rules/4\n");
	pair();
	rules[4].priority = 9;
	lint(); /* now the other way round */
	assert_string_equal(told, "rule_shadowed /rules/3\n");
	rules[4].priority = 10; /* equal: DENY first */
	assert_true(tells("rule_shadowed /rules/4\n"));
	rules[3].allow = true; /* equal, equal: the order of the document */
	assert_true(tells("rule_shadowed /rules/4\n"));
	pair();
	rules[4].bidirectional = true; /* its mirror speaks */
	assert_false(tells("rule_shadowed"));
	rules[3].bidirectional = true;
	assert_true(tells("rule_shadowed /rules/4\n"));
	pair();
	rules[3].enabled = false;
	assert_false(tells("rule_shadowed"));
	pair();
	snprintf(rules[4].role, SL_POL_NAME, "engineer"); /* another role */
	to[0][0] = (struct sl_pol_to){.place = place("10.20.0.0/16", "wg0")};
	assert_false(tells("rule_shadowed"));
}

static void
test_shadow_addresses(void **state)
{
	pair();
	to[4][0] = (struct sl_pol_to){.place = place("10.20.0.10/32", "")};
	assert_true(tells("rule_shadowed /rules/4\n"));
	to[4][0].place = place("10.20.0.10/31", "");
	assert_false(tells("rule_shadowed"));
	to[3][0] = (struct sl_pol_to){.place = place("10.20.0.0/16", "wg0")};
	assert_false(tells("rule_shadowed")); /* in one interface alone */
	to[4][0].place = place("10.20.0.10/31", "wg0");
	assert_true(tells("rule_shadowed /rules/4\n"));
	to[4][0] = (struct sl_pol_to){.any = true};
	assert_false(tells("rule_shadowed"));
	to[3][0] = (struct sl_pol_to){.place = place("0.0.0.0/0", "")};
	assert_false(tells("rule_shadowed")); /* IPv6 is left */
	to[3][1] = (struct sl_pol_to){.place = place("::/0", "")};
	rules[3].n_to = 2;
	assert_true(tells("rule_shadowed /rules/4\n"));
	rules[4].n_src = 1;
	src[4][0] = prefix("10.7.0.0/24");
	assert_true(tells("rule_shadowed /rules/4\n"));
	rules[3].n_src = 1;
	src[3][0] = prefix("10.7.0.0/25");
	assert_false(tells("rule_shadowed"));
	src[3][0] = prefix("10.7.0.0/16");
	assert_true(tells("rule_shadowed /rules/4\n"));
	rules[4].n_src = 0; /* any source */
	assert_false(tells("rule_shadowed"));
}

static void
test_shadow_rest(void **state)
{
	pair();
	rules[4].proto = 17;
	assert_false(tells("rule_shadowed"));
	rules[3].proto = SL_POL_PROTO_ANY;
	assert_true(tells("rule_shadowed /rules/4\n"));
	pair();
	rules[3].n_ports = 1;
	ports[3][0] = (struct sl_pol_ports){100, 200};
	assert_false(tells("rule_shadowed"));
	rules[4].n_ports = 1;
	ports[4][0] = (struct sl_pol_ports){100, 201};
	assert_false(tells("rule_shadowed"));
	ports[4][0] = (struct sl_pol_ports){100, 200};
	assert_true(tells("rule_shadowed /rules/4\n"));
	pair();
	rules[3].not_before_ns = NOW + SECOND;
	assert_false(tells("rule_shadowed"));
	rules[4].not_before_ns = NOW + SECOND;
	assert_true(tells("rule_shadowed /rules/4\n"));
	rules[3].expires_ns = NOW + 3 * SECOND;
	assert_false(tells("rule_shadowed"));
	rules[4].expires_ns = NOW + 3 * SECOND;
	assert_true(tells("rule_shadowed /rules/4\n"));
}

/** 100 roles of 1,024 different rules: bounded, and says that it did not look at all. */
static void
test_bounded(void **state)
{
	struct sl_policy *p = sl_policy_new();
	struct sl_policy_limits l = {.rules_per_role = SL_POL_RULES_MAX};
	struct sl_error e;
	clock_t begin;

	p->n_roles = 100;
	p->roles = calloc(p->n_roles, sizeof(*p->roles));
	for (unsigned i = 0; i < p->n_roles; i++) {
		snprintf(p->roles[i].name, SL_POL_NAME, "role-%u", i);
		p->roles[i].n_members = 1;
		p->roles[i].members = calloc(1, sizeof(*p->roles[i].members));
		snprintf(p->roles[i].members[0].peer, SL_POL_NAME, "p");
	}
	p->n_rules = p->n_roles * SL_POL_RULES_MAX;
	p->rules = calloc(p->n_rules, sizeof(*p->rules));
	for (unsigned i = 0; i < p->n_rules; i++) {
		struct sl_pol_rule *r = &p->rules[i];

		*r = (struct sl_pol_rule){.id = i + 1, .enabled = true, .proto = 6, .n_to = 1};
		memcpy(r->role, p->roles[i % p->n_roles].name, SL_POL_NAME);
		r->to = calloc(1, sizeof(*r->to));
		r->to->place = place("10.0.0.0/32", "");
		sl_store_be32(r->to->place.prefix.ip.b, 0x0a000000 + i);
	}
	assert_int_equal(sl_policy_check(p, &l, NOW, &e), 0);
	told[0] = '\0';
	begin = clock();
	sl_policy_lint(p, NOW, note, NULL);
	assert_true(clock() - begin < 10 * CLOCKS_PER_SEC);
	assert_string_equal(told, "shadow_unchecked /rules\n");
	sl_policy_free(p);
}

int
main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test_setup(test_clean, setup),
		cmocka_unit_test_setup(test_simple, setup),
		cmocka_unit_test_setup(test_roles, setup),
		cmocka_unit_test_setup(test_peers, setup),
		cmocka_unit_test_setup(test_any_any, setup),
		cmocka_unit_test_setup(test_shadow, setup),
		cmocka_unit_test_setup(test_shadow_addresses, setup),
		cmocka_unit_test_setup(test_shadow_rest, setup),
		cmocka_unit_test_setup(test_bounded, setup),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}
