/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * One small sound model in static arrays, filled anew by base_fill(), for tests that spoil it.
 */
#ifndef MODEL_BASE_H
#define MODEL_BASE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_policy.h"

#define NOW UINT64_C(1800000000000000000)
#define SECOND UINT64_C(1000000000)

static struct sl_policy base;
static struct sl_pol_zone zones[3];
static struct sl_pol_place nets[3][2];
static struct sl_pol_target targets[3];
static struct sl_pol_place addrs[3][2];
static struct sl_pol_role roles[3];
static struct sl_pol_member members[3][3];
static struct sl_pol_rule rules[8];
static struct sl_prefix src[8][2];
static struct sl_pol_to to[8][2];
static struct sl_pol_ports ports[8][2];
static struct sl_pol_test tests[1];
static char subject_roles[2][SL_POL_NAME];

static inline struct sl_prefix
prefix(const char *text)
{
	struct sl_prefix p = {0};

	assert_int_equal(sl_prefix_parse(text, &p), 0);
	return p;
}

static inline struct sl_pol_place
place(const char *text, const char *iface)
{
	struct sl_pol_place p = {.prefix = prefix(text)};

	snprintf(p.iface, sizeof(p.iface), "%s", iface);
	return p;
}

static inline void
base_rule(unsigned i, const char *role, uint32_t id, const char *target)
{
	struct sl_pol_rule *r = &rules[i];

	*r = (struct sl_pol_rule){.id = id, .proto = 6, .allow = true, .priority = SL_POL_PRIORITY};
	memset(to[i], 0, sizeof(to[i]));
	snprintf(r->role, sizeof(r->role), "%s", role);
	snprintf(to[i][0].target, sizeof(to[i][0].target), "%s", target);
	r->enabled = true;
	r->src = src[i];
	r->to = to[i];
	r->ports = ports[i];
	r->n_to = 1;
}

/** corp (engineer: 101 to db, 102 to db6) and dev (contractor: 101 to db, port 443). */
static inline void
base_fill(void)
{
	zones[0] = (struct sl_pol_zone){.id = 1, .name = "vpn", .nets = nets[0], .n_nets = 2};
	zones[1] = (struct sl_pol_zone){.id = 2, .name = "corp", .nets = nets[1], .n_nets = 1};
	nets[0][0] = place("10.7.0.0/16", "");
	nets[0][1] = place("fd00:7::/64", "");
	nets[1][0] = place("10.0.0.0/8", "");
	targets[0] = (struct sl_pol_target){.name = "db", .addrs = addrs[0], .n_addrs = 1};
	targets[1] = (struct sl_pol_target){.name = "db6", .addrs = addrs[1], .n_addrs = 1};
	addrs[0][0] = place("10.20.0.10/32", "");
	addrs[1][0] = place("fd00:20::10/128", "");
	roles[0] = (struct sl_pol_role){.name = "engineer", .members = members[0], .n_members = 2};
	roles[1] = (struct sl_pol_role){.name = "contractor", .members = members[1]};
	roles[1].n_members = 1;
	memset(members, 0, sizeof(members));
	snprintf(members[0][0].peer, SL_POL_NAME, "alice");
	members[0][1].place = place("10.7.1.0/24", "wg0");
	snprintf(members[1][0].peer, SL_POL_NAME, "bob");
	base_rule(0, "engineer", 101, "db");
	base_rule(1, "engineer", 102, "db6");
	base_rule(2, "contractor", 101, "db");
	ports[2][0] = (struct sl_pol_ports){443, 443};
	rules[2].n_ports = 1;
	memset(tests, 0, sizeof(tests));
	tests[0].roles = subject_roles;
	tests[0].n_roles = 1;
	tests[0].from.family = 0;
	snprintf(subject_roles[0], SL_POL_NAME, "engineer");
	snprintf(tests[0].to_target, SL_POL_NAME, "db");
	base = (struct sl_policy){.version = 1,
				  .zones = zones,
				  .n_zones = 2,
				  .targets = targets,
				  .n_targets = 2,
				  .roles = roles,
				  .n_roles = 2,
				  .rules = rules,
				  .n_rules = 3,
				  .tests = tests,
				  .n_tests = 1};
}

#endif
