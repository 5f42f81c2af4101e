/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "authz_fixture.h"
#include "eal_main.h"

#define FLOWS 100
#define NOW 1500 /* some ends lie before, some behind it */

/** All tables, and who writes them. */
struct world {
	struct fix_rng r;
	struct sl_polset *set;
	struct sl_acl *acl;
	struct sl_who_builder *who;
	struct sl_policy_view v;
	unsigned peers;
};

static uint64_t generation = 1;

static void
world_make(struct world *w, uint64_t seed, const struct fix_shape *shape)
{
	struct sl_error e = {0};

	memset(w, 0, sizeof(*w));
	w->r.s = seed;
	w->set = fix_set(&w->r, shape, generation++);
	w->acl = sl_acl_build(w->set, "judge", &e);
	if (w->acl == NULL)
		fail_msg("%s", e.message);
	w->who = sl_who_new();
	assert_non_null(w->who);
	assert_int_equal(sl_who_ifaces(w->who, 4), 0);
	w->v.set = w->set;
	w->v.acl = w->acl;
}

static void
world_publish(struct world *w)
{
	struct sl_who_garbage *old = NULL;

	w->v.who = sl_who_publish(w->who, generation++, &old);
	assert_non_null(w->v.who);
	sl_who_garbage_free(old);
}

static void
world_free(struct world *w)
{
	sl_acl_free(w->acl);
	sl_polset_free(w->set);
	sl_who_free(w->who);
}

static uint32_t
random_end(struct world *w)
{
	return fix_below(&w->r, 3) == 0 ? 1000 + fix_below(&w->r, 1000) : 0;
}

static void
give(struct world *w, struct sl_who_member *m, unsigned role, uint32_t end, bool stale)
{
	m->role =
		(struct sl_class_role){.role = (uint16_t)role, .stale = stale, .expires_tick = end};
	assert_int_equal(sl_who_add(w->who, m), 0);
}

static void
give_peer(struct world *w, uint32_t peer_id, unsigned role, uint32_t end, bool stale)
{
	struct sl_who_member m = {.is_peer = true, .peer_id = peer_id};

	give(w, &m, role, end, stale);
}

/* Nested prefixes of every interface and of "*", and peers 1..n, each with 0-4 roles. */
static void
world_people(struct world *w, unsigned prefixes, unsigned peers)
{
	for (unsigned i = 0; i < prefixes; i++) {
		struct sl_who_member m = {.iface = (uint16_t)fix_below(&w->r, 4)};

		fix_prefix(&w->r, i & 1, &m.prefix);
		for (unsigned k = 1 + fix_below(&w->r, 3); k > 0; k--)
			give(w, &m, fix_below(&w->r, w->set->n_roles), random_end(w),
			     fix_below(&w->r, 8) == 0);
	}
	for (unsigned i = 1; i <= peers; i++) {
		for (unsigned k = fix_below(&w->r, 5); k > 0; k--)
			give_peer(w, i, fix_below(&w->r, w->set->n_roles), random_end(w),
				  fix_below(&w->r, 8) == 0);
	}
	w->peers = peers;
	world_publish(w);
}

/** What the header says of a judgement beyond sl_polset_eval(), role by role. */
struct subject {
	unsigned lowest, distinct;
	bool stale;
	uint32_t end;
	bool seen[2 * SL_CLASS_ROLES_MAX];
};

static void
subject_add(struct subject *u, const struct sl_polset *s, const struct sl_judge_flow *fl,
	    const struct sl_class *c, bool mirrored, uint32_t tick)
{
	for (unsigned i = 0; c != NULL && i < c->n; i++) {
		const struct sl_class_role *r = &c->role[i];

		if (tick != 0 && r->expires_tick != 0 && tick >= r->expires_tick)
			continue;
		if (r->expires_tick != 0 && (u->end == 0 || r->expires_tick < u->end))
			u->end = r->expires_tick;
		if (mirrored &&
		    sl_polset_scan(s, SL_POL_GROUP(r->role, true), &fl->f) == SL_POL_NONE)
			continue;
		u->stale |= r->stale;
		u->distinct += !u->seen[r->role];
		u->seen[r->role] = true;
		u->lowest = SL_MIN(u->lowest, r->role);
	}
}

static void
check_one(const struct world *w, const struct sl_judge_flow *fl, const struct sl_judgement *j,
	  uint32_t tick)
{
	const struct sl_polset *s = w->set;
	struct sl_polset_query q = {.flow = fl->f, .from_inside = fl->from_inside, .tick = tick};
	struct subject u = {.lowest = SL_POL_NONE16};
	struct sl_polset_answer want;

	q.src_class = sl_identity_prefix(w->v.who, fl->f.iface, fl->f.version, fl->f.src);
	q.peer_class = sl_identity_peer(w->v.who, fl->peer_id);
	sl_polset_eval(s, &q, &want, NULL, 0, NULL);
	subject_add(&u, s, fl, q.src_class, false, tick);
	subject_add(&u, s, fl, q.peer_class, fl->from_inside, tick);
	if (want.rule != SL_POL_NONE) {
		u.lowest = s->rules[want.rule].role;
		if (s->rules[want.rule].expires_tick != 0 &&
		    (u.end == 0 || s->rules[want.rule].expires_tick < u.end))
			u.end = s->rules[want.rule].expires_tick;
	}
	if (tick != 0 && j->allow && j->rule != SL_POL_NONE && s->rules[j->rule].expires_tick != 0)
		assert_true(s->rules[j->rule].expires_tick > tick); /* no access ends late */
	assert_int_equal(j->why, want.why);
	assert_int_equal(j->allow, want.allow);
	assert_int_equal(j->rule, want.rule);
	assert_int_equal(j->zone, want.zone);
	assert_int_equal(j->target, want.target);
	assert_int_equal(j->role, u.lowest);
	assert_int_equal(j->deadline_tick, u.end);
	assert_int_equal(!!(j->flags & SL_JUDGE_MULTI_ROLE), u.distinct > 1);
	assert_int_equal(!!(j->flags & SL_JUDGE_STALE), u.stale);
	assert_int_equal(j->src_stamp, q.src_class != NULL ? q.src_class->stamp : 0);
	assert_int_equal(j->peer_stamp, q.peer_class != NULL ? q.peer_class->stamp : 0);
	assert_true(sl_judge_same_who(&w->v, fl, j->src_stamp, j->peer_stamp));
	assert_false(sl_judge_same_who(&w->v, fl, j->src_stamp + 1, j->peer_stamp));
	assert_false(sl_judge_same_who(&w->v, fl, j->src_stamp, j->peer_stamp + 1));
}

/** How often each reason came up. */
static unsigned whys[5], allowed;

/** What was seen of earlier sources, in this world and in those before it, by some of the flows. */
static struct sl_who_seen seen[8];

static void
check_flows(struct world *w, uint32_t tick)
{
	struct fix_flow f[FLOWS];
	struct sl_judge_flow fl[FLOWS];
	struct sl_judgement j[FLOWS];
	unsigned n = 1 + fix_below(&w->r, FLOWS);

	memset(j, 0xa5, sizeof(j));
	for (unsigned i = 0; i < n; i++) {
		fix_flow(&w->r, w->set, fix_below(&w->r, 2), &f[i]);
		fl[i] = (struct sl_judge_flow){.f = f[i].f,
					       .from_inside = fix_below(&w->r, 2),
					       .peer_id = fix_below(&w->r, w->peers + 2)};
		if (i % 3 != 0)
			fl[i].seen = &seen[fl[i].peer_id % SL_ARRAY_SIZE(seen)];
		if (i > 0 && fl[i].f.version == fl[i - 1].f.version && fix_below(&w->r, 2))
			fl[i].f.src = fl[i - 1].f.src;
	}
	sl_judge(&w->v, tick, fl, j, n);
	if (fix_below(&w->r, 2)) /* now the last source of each place is known */
		sl_judge(&w->v, tick, fl, j, n);
	for (unsigned i = 0; i < n; i++) {
		check_one(w, &fl[i], &j[i], tick);
		whys[j[i].why]++;
		allowed += j[i].allow;
	}
}

static void
judges_like_the_reference(void **state)
{
	struct world w;

	memset(whys, 0, sizeof(whys));
	allowed = 0;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		const struct fix_shape shape = {.roles = 2 + (unsigned)seed % 9,
						.entries = (unsigned)seed % 12,
						.zones = (unsigned)seed % 7,
						.targets = 9,
						.withdrawn = (unsigned)seed % 3};

		world_make(&w, seed, &shape);
		world_people(&w, 60, 20);
		for (unsigned i = 0; i < 30; i++)
			check_flows(&w, i % 3 == 0 ? 0 : NOW);
		world_free(&w);
	}
	print_message("%u by a rule, %u by the zone, %u without a role, %u withdrawn, %u allowed\n",
		      whys[SL_WHY_RULE], whys[SL_WHY_ZONE_DEFAULT], whys[SL_WHY_NO_ROLE],
		      whys[SL_WHY_WITHDRAWN], allowed);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(whys); i++)
		assert_int_equal(whys[i] > 1000, i != SL_WHY_MAP_ERROR);
	assert_int_equal(whys[SL_WHY_MAP_ERROR], 0);
	assert_true(allowed > 1000);
}

static void
check_roles_a_peer(unsigned roles, unsigned entries)
{
	const struct fix_shape shape = {.roles = roles,
					.entries = entries,
					.zones = 4,
					.targets = 4};
	struct world w;

	world_make(&w, roles, &shape);
	for (unsigned i = 0; i < roles; i++) {
		give_peer(&w, 1, i, random_end(&w), false);
		if (i % 3 == 0)
			give_peer(&w, 2, i, 0, i == 0);
	}
	world_people(&w, 40, 3);
	assert_int_equal(sl_identity_peer(w.v.who, 1)->n, roles);
	for (unsigned i = 0; i < 10; i++)
		check_flows(&w, NOW);
	world_free(&w);
}

static void
a_peer_may_have_many_roles(void **state)
{
	check_roles_a_peer(17, 6);
	check_roles_a_peer(100, 4);
	check_roles_a_peer(SL_CLASS_ROLES_MAX, 2);
}

static void
a_thousand_role_sets(void **state)
{
	const struct fix_shape shape = {.roles = 12, .entries = 10, .zones = 3, .targets = 3};
	struct world w;

	world_make(&w, 77, &shape);
	for (unsigned peer = 1; peer <= 1000; peer++) {
		for (unsigned role = 0; role < 10; role++) {
			if (peer >> role & 1)
				give_peer(&w, peer, role, 0, false);
		}
	}
	world_publish(&w);
	w.peers = 1000;
	for (unsigned a = 2; a <= 1000; a++)
		assert_ptr_not_equal(sl_identity_peer(w.v.who, a),
				     sl_identity_peer(w.v.who, a - 1));
	assert_true(w.v.who->n_classes >= 1000);
	for (unsigned i = 0; i < 60; i++)
		check_flows(&w, 0);
	world_free(&w);
}

static struct sl_judgement
judge(const struct sl_policy_view *v, const struct sl_judge_flow *fl, uint32_t tick)
{
	struct sl_judgement j;

	memset(&j, 0xa5, sizeof(j));
	sl_judge(v, tick, fl, &j, 1);
	return j;
}

static void
without_tables_nobody_has_a_role(void **state)
{
	const struct fix_shape shape = {.roles = 3, .entries = 9, .zones = 5, .targets = 5};
	struct sl_judgement j;
	struct fix_flow f;
	struct sl_judge_flow fl;
	struct sl_policy_view v;
	struct world w;

	world_make(&w, 9, &shape);
	for (unsigned role = 0; role < 3; role++)
		give_peer(&w, 1, role, 0, false);
	world_publish(&w);
	for (unsigned i = 0; i < 200; i++) {
		fix_flow(&w.r, w.set, i & 1, &f);
		fl = (struct sl_judge_flow){.f = f.f, .peer_id = 1, .from_inside = i >> 1 & 1};
		v = (struct sl_policy_view){0};
		j = judge(&v, &fl, NOW);
		assert_false(j.allow);
		assert_int_equal(j.why, SL_WHY_NO_ROLE);
		assert_int_equal(j.role, SL_POL_NONE16);
		assert_int_equal(j.zone, SL_POL_NONE16);
		assert_int_equal(j.target, SL_POL_NONE16);
		assert_int_equal(j.rule, SL_POL_NONE);
		assert_int_equal(j.src_stamp | j.peer_stamp | j.deadline_tick | j.flags, 0);
		assert_true(sl_judge_same_who(&v, &fl, 0, 0));
		v.who = w.v.who;
		j = judge(&v, &fl, NOW);
		assert_false(j.allow);
		assert_int_equal(j.why, SL_WHY_NO_ROLE);
		v = w.v;
		v.who = NULL;
		j = judge(&v, &fl, NOW);
		assert_false(j.allow);
		assert_int_equal(j.why, SL_WHY_NO_ROLE);
		assert_int_equal(j.zone, judge(&w.v, &fl, NOW).zone);
	}
	world_free(&w);
}

/* A role ends: it counts until its tick and not from it on, and the deadline says so. */
static void
a_role_counts_until_its_end(void **state)
{
	const struct fix_shape shape = {.roles = 1, .entries = 0, .zones = 2};
	struct sl_judgement j;
	struct fix_flow f;
	struct sl_judge_flow fl;
	struct world w;

	world_make(&w, 12, &shape);
	give_peer(&w, 1, 0, NOW, false);
	world_publish(&w);
	fix_flow(&w.r, w.set, 0, &f);
	fl = (struct sl_judge_flow){.f = f.f, .peer_id = 1};
	j = judge(&w.v, &fl, NOW - 1);
	assert_int_equal(j.why, SL_WHY_ZONE_DEFAULT);
	assert_int_equal(j.role, 0);
	assert_int_equal(j.deadline_tick, NOW);
	j = judge(&w.v, &fl, NOW);
	assert_int_equal(j.why, SL_WHY_NO_ROLE);
	assert_false(j.allow);
	assert_int_equal(j.role, SL_POL_NONE16);
	assert_int_equal(j.deadline_tick, 0);
	j = judge(&w.v, &fl, 0); /* 0: all count */
	assert_int_equal(j.why, SL_WHY_ZONE_DEFAULT);
	world_free(&w);
}

/* Tables that do not fit together deny, under a name of their own. */
static void
torn_tables_deny(void **state)
{
	const struct fix_shape shape = {.roles = 2, .entries = 8, .zones = 3, .targets = 3};
	struct sl_lpm_garbage g = {0};
	struct sl_identity holes;
	struct sl_judgement j;
	struct fix_flow f;
	struct sl_judge_flow fl;
	struct world w;
	uint8_t any[16] = {0};

	world_make(&w, 21, &shape);
	give_peer(&w, 1, 0, 0, false);
	give_peer(&w, 1, 2, 0, false); /* the set has roles 0 and 1 */
	give_peer(&w, 2, 0, 0, false);
	world_publish(&w);
	fix_flow(&w.r, w.set, 0, &f);
	fl = (struct sl_judge_flow){.f = f.f, .peer_id = 1};
	j = judge(&w.v, &fl, NOW);
	assert_false(j.allow);
	assert_int_equal(j.why, SL_WHY_MAP_ERROR);
	assert_int_equal(j.rule, SL_POL_NONE);
	fl.peer_id = 2;
	assert_int_not_equal(judge(&w.v, &fl, NOW).why, SL_WHY_MAP_ERROR);

	holes = *w.v.who; /* peers lead to classes that are not there */
	holes.n_classes = 0;
	j = judge(&(struct sl_policy_view){w.set, w.acl, &holes}, &fl, NOW);
	assert_false(j.allow);
	assert_int_equal(j.why, SL_WHY_MAP_ERROR);
	assert_int_equal(j.peer_stamp, 0);

	for (unsigned v6 = 0; v6 < 2; v6++)
		sl_lpm_free(&w.set->common.zone[v6]);
	sl_lpm_init(&w.set->common.zone[0], 32);
	sl_lpm_init(&w.set->common.zone[1], 128);
	assert_int_equal(sl_lpm_set(&w.set->common.zone[0], &w.set->common.zone[0], any, 0, 3, &g),
			 0);
	sl_lpm_garbage_free(&g);
	fl.f.iface = 3; /* sees the common zones; 3 is none of 0, 1, 2 */
	j = judge(&w.v, &fl, NOW);
	assert_false(j.allow);
	assert_int_equal(j.why, SL_WHY_MAP_ERROR);
	assert_int_equal(j.zone, SL_POL_NONE16);
	world_free(&w);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges_like_the_reference),
		cmocka_unit_test(a_peer_may_have_many_roles),
		cmocka_unit_test(a_thousand_role_sets),
		cmocka_unit_test(without_tables_nobody_has_a_role),
		cmocka_unit_test(a_role_counts_until_its_end),
		cmocka_unit_test(torn_tables_deny),
	};

	eal_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
