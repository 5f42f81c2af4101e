/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy without DPDK, in processor time: time to compile 320, 3,200 and 32,000 rules, nanoseconds
 * of the plain scan per role and of a whole reference verdict, and for 10,000 and 80,000 prefixes
 * the time to build who has which roles and to change one of them.
 *
 *	policy_bench
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sl_env.h"
#include "sl_polset.h"

#define RULES_PER_ROLE 32
#define FLOWS 4096
#define PASSES 8
#define CHANGES 2000
#define ROLES 100
#define WALL_NS (UINT64_C(1800000000) * SL_NS_PER_S)

static uint64_t seed = 1;

static uint64_t
next_random(void)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void *
room(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p == NULL)
		exit(1);
	return p;
}

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "policy_bench: %s failed\n", what);
	exit(1);
}

/* Of this thread alone: what else runs on the machine does not count. */
static uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * SL_NS_PER_S + (uint64_t)t.tv_nsec;
}

static double
us_since(uint64_t start)
{
	return (double)(cpu_ns() - start) / 1e3;
}

/* 10.A.B.0/24 and alike: what rules name and flows go to. */
static struct sl_prefix
random_net(void)
{
	static const uint8_t lens[] = {16, 24, 24, 24, 28, 32, 32, 32};
	uint64_t r = next_random();
	struct sl_prefix p = {.ip = {.family = 4, .b = {10, r & 63, r >> 8 & 255, r >> 16 & 255}},
			      .len = lens[r >> 32 & 7]};

	sl_prefix_mask(&p);
	return p;
}

/* One allow or deny to a net and a port range each, a quarter of them bidirectional. */
static void
model_make(struct sl_policy *m, unsigned n_rules)
{
	m->n_roles = (n_rules + RULES_PER_ROLE - 1) / RULES_PER_ROLE;
	m->roles = room(m->n_roles, sizeof(*m->roles));
	m->n_rules = n_rules;
	m->rules = room(n_rules, sizeof(*m->rules));
	for (unsigned i = 0; i < n_rules; i++) {
		struct sl_pol_rule *r = &m->rules[i];
		uint64_t x = next_random();

		*r = (struct sl_pol_rule){.id = i + 1,
					  .role_at = (unsigned)(x % m->n_roles),
					  .proto = x >> 32 & 1 ? 6 : 17,
					  .allow = x >> 33 & 3,
					  .priority = (uint8_t)(x >> 40),
					  .bidirectional = (x >> 36 & 3) == 0,
					  .enabled = true,
					  .n_to = 1,
					  .n_ports = 1};
		r->to = room(1, sizeof(*r->to));
		r->to[0].place.prefix = random_net();
		r->ports = room(1, sizeof(*r->ports));
		r->ports[0].lo = (uint16_t)(x >> 48 & 1023);
		r->ports[0].hi = (uint16_t)(r->ports[0].lo + 200);
	}
}

static void
model_free(struct sl_policy *m)
{
	for (unsigned i = 0; i < m->n_rules; i++) {
		free(m->rules[i].to);
		free(m->rules[i].ports);
	}
	free(m->rules);
	free(m->roles);
}

static uint16_t
no_iface(void *ctx, const char *name)
{
	return 0;
}

/** A flow with its addresses. */
struct flow {
	struct sl_polset_flow f;
	uint8_t src[4], dst[4];
};

static void
flows_make(struct flow *flow)
{
	for (unsigned i = 0; i < FLOWS; i++) {
		uint64_t x = next_random();
		struct sl_prefix to = random_net();

		flow[i] = (struct flow){.src = {10, 200, x & 255, x >> 8 & 255}};
		memcpy(flow[i].dst, to.ip.b, 4);
		flow[i].f = (struct sl_polset_flow){.version = 4,
						    .proto = x >> 32 & 1 ? 6 : 17,
						    .iface = 1,
						    .src = flow[i].src,
						    .dst = flow[i].dst,
						    .sport = (uint16_t)(x >> 48),
						    .dport = (uint16_t)(x >> 36 & 1023)};
	}
}

static double
scan_ns(const struct sl_polset *s, const struct flow *flow)
{
	double best = 1e9, us;
	uint32_t sink = 0;
	uint64_t start;

	for (unsigned pass = 0; pass < PASSES; pass++) {
		start = cpu_ns();
		for (unsigned i = 0; i < FLOWS; i++)
			sink += sl_polset_scan(s, SL_POL_GROUP(i * 7 % s->n_roles, 0), &flow[i].f);
		us = us_since(start);
		best = SL_MIN(best, us);
	}
	__asm__ volatile("" : : "r"(sink));
	return best * 1e3 / FLOWS;
}

/* A subject with three roles. */
static double
eval_ns(const struct sl_polset *s, const struct flow *flow)
{
	struct sl_class *c = room(1, sizeof(*c) + 3 * sizeof(c->role[0]));
	struct sl_polset_query q = {.src_class = c, .tick = 1};
	struct sl_polset_answer a;
	double best = 1e9, us;
	uint64_t start;
	unsigned allowed = 0;

	c->n = 3;
	for (unsigned i = 0; i < 3; i++)
		c->role[i].role = (uint16_t)(i * (s->n_roles - 1) / 2);
	for (unsigned pass = 0; pass < PASSES; pass++) {
		start = cpu_ns();
		for (unsigned i = 0; i < FLOWS; i++) {
			q.flow = flow[i].f;
			sl_polset_eval(s, &q, &a, NULL, 0, NULL);
			allowed += a.allow;
		}
		us = us_since(start);
		best = SL_MIN(best, us);
	}
	must(allowed > 0 && allowed < PASSES * FLOWS, "a mix of verdicts");
	free(c);
	return best * 1e3 / FLOWS;
}

static void
run_rules(unsigned n)
{
	struct sl_polset_env env = {.generation = 1,
				    .wall_ns = WALL_NS,
				    .wall_to_mono_ns = 0,
				    .iface_id = no_iface};
	struct flow *flow = room(FLOWS, sizeof(*flow));
	struct sl_polset *s = NULL;
	struct sl_policy m = {0};
	double best = 1e9, us;
	uint64_t start;

	model_make(&m, n);
	flows_make(flow);
	for (unsigned pass = 0; pass < PASSES; pass++) {
		sl_polset_free(s);
		start = cpu_ns();
		s = sl_polset_compile(&m, &env, NULL);
		us = us_since(start);
		best = SL_MIN(best, us);
		must(s != NULL, "compile");
	}
	printf("%8u %8u %10.2f %10.1f %10.1f\n", n, s->n_entries[0], best / 1e3, scan_ns(s, flow),
	       eval_ns(s, flow));
	sl_polset_free(s);
	model_free(&m);
	free(flow);
}

/* --- who -------------------------------------------------------------------------------------- */

/** One shape of membership: which interfaces, and how many distinct lists. */
struct who_shape {
	const char *name;
	unsigned ifaces; /* 0: "*" */
	bool expires;	 /* each prefix has an end of its own, so each is a class of its own */
	bool v6;
};

static struct sl_who_member
member_at(const struct who_shape *shape, unsigned i)
{
	struct sl_who_member m = {.role = {.role = (uint16_t)(i % ROLES)}};

	m.iface = (uint16_t)(shape->ifaces > 0 ? 1 + i % shape->ifaces : 0);
	m.role.expires_tick = shape->expires ? 1000 + i : 0;
	m.prefix.ip.family = shape->v6 ? 6 : 4;
	m.prefix.ip.b[0] = shape->v6 ? 0xfd : 10;
	sl_store_be32(m.prefix.ip.b + (shape->v6 ? 4 : 0), (shape->v6 ? 0 : 10u << 24) + i * 5);
	m.prefix.len = shape->v6 ? 64 : 32;
	return m;
}

static int
cmp_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
who_change(struct sl_who_builder *b, const struct who_shape *shape, unsigned n, double *us)
{
	struct sl_who_garbage *g;
	struct sl_who_member m;
	uint64_t start;
	bool ok;

	for (unsigned i = 0; i < CHANGES; i++) {
		m = member_at(shape, (unsigned)(next_random() % n));
		start = cpu_ns();
		if (i % 2 == 0) {
			ok = sl_who_del(b, &m) == 0;
		} else {
			m.role.role = ROLES;
			ok = sl_who_add(b, &m) == 0;
		}
		ok = sl_who_publish(b, i + 2, &g) != NULL && (ok || i % 2 == 0);
		us[i] = us_since(start);
		must(ok, "a change");
		sl_who_garbage_free(g);
	}
	qsort(us, CHANGES, sizeof(*us), cmp_double);
}

static void
run_who(const struct who_shape *shape, unsigned n)
{
	double build = 1e9, us, *change = room(CHANGES, sizeof(*change));
	struct sl_who_builder *b = NULL;
	const struct sl_identity *id = NULL;
	struct sl_who_garbage *g;
	struct sl_who_member m;
	unsigned classes;
	uint64_t start;

	for (unsigned pass = 0; pass < 3; pass++) {
		sl_who_free(b);
		start = cpu_ns();
		b = sl_who_new();
		must(b != NULL, "a builder");
		for (unsigned i = 0; i < n; i++) {
			m = member_at(shape, i);
			must(sl_who_add(b, &m) == 0, "a member");
		}
		id = sl_who_publish(b, 1, &g);
		us = us_since(start);
		build = SL_MIN(build, us);
		must(id != NULL, "a publication");
	}
	classes = id->n_classes;
	who_change(b, shape, n, change);
	printf("%-28s %8u %8u %10.2f %10.2f %10.2f %10.2f\n", shape->name, n, classes, build / 1e3,
	       change[CHANGES / 2], change[CHANGES * 99 / 100], change[CHANGES - 1]);
	sl_who_free(b);
	free(change);
}

int
main(void)
{
	static const struct who_shape shapes[] = {
		{"*", 0, false, false},
		{"one interface", 1, false, false},
		{"one interface, all expire", 1, true, false},
		{"16 interfaces", 16, false, false},
		{"one interface, IPv6 /64", 1, false, true},
	};

	printf("%8s %8s %10s %10s %10s\n", "rules", "entries", "compile ms", "scan ns",
	       "3 roles ns");
	run_rules(320);
	run_rules(3200);
	run_rules(32000);
	printf("\n%-28s %8s %8s %10s %10s %10s %10s\n", "who: prefixes of", "prefixes", "classes",
	       "build ms", "change us", "99 %", "worst");
	for (unsigned i = 0; i < SL_ARRAY_SIZE(shapes); i++) {
		run_who(&shapes[i], 10000);
		run_who(&shapes[i], 80000);
	}
	return 0;
}
