/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Classification of new flows: time to compile a policy and to build its rte_acl contexts, memory,
 * and cycles per key of rte_acl, of the plain scan and of sl_acl_classify(), which check each
 * other's answers; cycles per flow of sl_judge() with one, three and seventeen roles.
 *
 *	acl_bench [EAL options] [-- ROLESxRULES...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>

#include "sl_judge.h"

#define KEYS 8192
#define BURST 32
#define PASSES 16
#define PREFIXES 10000

/** A policy, its tables and keys to ask. */
struct set {
	unsigned roles, rules;
	struct sl_policy *model;
	struct sl_polset *set;
	struct sl_acl *acl;
	double compile_ms, build_ms;
	uint8_t (*src)[16], (*dst)[16];
	struct sl_polset_flow *flow;
	unsigned *group;
	struct sl_acl_key *key;
	uint32_t *want;
};

static uint64_t seed = 1;

static uint64_t
next_random(void)
{
	uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static unsigned
below(unsigned n)
{
	return (unsigned)(next_random() % n);
}

static void *
zeroed(size_t n, size_t size)
{
	void *p = calloc(n + 1, size);

	if (p == NULL) {
		fprintf(stderr, "acl_bench: no memory\n");
		exit(1);
	}
	return p;
}

static double
ms_since(uint64_t t)
{
	return (double)(rte_rdtsc() - t) * 1e3 / (double)rte_get_tsc_hz();
}

/* Sources in 10.7.0.0/16 and fd00:7::/64, destinations in 10.0.0.0/8 and fd00::/16. */
static struct sl_prefix
random_prefix(bool v6, bool src, unsigned len)
{
	struct sl_prefix p = {.ip.family = v6 ? 6 : 4, .len = (uint8_t)len};
	uint8_t *b = p.ip.b;

	for (unsigned i = 0; i < (v6 ? 16 : 4); i++)
		b[i] = (uint8_t)next_random();
	b[0] = v6 ? 0xfd : 10;
	if (v6)
		b[1] = 0;
	if (src && v6)
		memcpy(b + 2, "\0\7\0\0\0", 6);
	else if (src)
		b[1] = 7;
	sl_prefix_mask(&p);
	return p;
}

static void
random_rule(struct sl_pol_rule *r, unsigned role, unsigned id)
{
	static const uint8_t v4_len[] = {16, 24, 24, 24, 28, 32, 32, 32};
	static const uint8_t v6_len[] = {48, 64, 64, 64, 112, 128, 128, 128};
	bool v6 = id % 3 == 2;
	unsigned kind = below(10);

	*r = (struct sl_pol_rule){.id = id, .allow = below(4) != 0, .enabled = true};
	snprintf(r->role, sizeof(r->role), "r%u", role);
	r->role_at = role;
	r->proto = kind < 7 ? 6 : kind < 9 ? 17 : SL_POL_PROTO_ANY;
	r->priority = (uint8_t)(below(2) ? SL_POL_PRIORITY : below(256));
	r->bidirectional = below(8) == 0;
	r->to = zeroed(1, sizeof(*r->to));
	r->n_to = 1;
	r->to->place.prefix = random_prefix(v6, false, v6 ? v6_len[below(8)] : v4_len[below(8)]);
	if (below(4) == 0) {
		r->src = zeroed(1, sizeof(*r->src));
		r->n_src = 1;
		*r->src = random_prefix(v6, true, v6 ? 120 : 24);
	}
	if (r->proto == SL_POL_PROTO_ANY || below(4) == 0)
		return;
	r->ports = zeroed(1, sizeof(*r->ports));
	r->n_ports = 1;
	r->ports->lo = (uint16_t)below(10000);
	r->ports->hi = (uint16_t)(r->ports->lo + (below(3) ? 0 : below(100)));
}

static void
make_model(struct set *s)
{
	struct sl_policy_limits limits = {.roles = s->roles, .rules_per_role = s->rules};
	struct sl_policy *p = sl_policy_new();
	struct sl_error e = {0};

	if (p == NULL)
		exit(1);
	p->roles = zeroed(s->roles, sizeof(*p->roles));
	p->n_roles = s->roles;
	p->rules = zeroed((size_t)s->roles * s->rules, sizeof(*p->rules));
	p->n_rules = s->roles * s->rules;
	for (unsigned i = 0; i < s->roles; i++) {
		snprintf(p->roles[i].name, sizeof(p->roles[i].name), "r%u", i);
		p->roles[i].id = i + 1;
		for (unsigned k = 0; k < s->rules; k++)
			random_rule(&p->rules[i * s->rules + k], i, k + 1);
	}
	if (sl_policy_check(p, &limits, 1, &e) != 0) {
		fprintf(stderr, "acl_bench: %s %s\n", e.path, e.message);
		exit(1);
	}
	s->model = p;
}

static uint16_t
iface_id(void *ctx, const char *name)
{
	return 1;
}

static void
make_tables(struct set *s)
{
	static uint64_t generation = 1;
	const struct sl_polset_env env = {.generation = generation++,
					  .wall_ns = 1,
					  .iface_id = iface_id};
	struct sl_error e = {0};
	uint64_t t = rte_rdtsc();

	s->set = sl_polset_compile(s->model, &env, &e);
	s->compile_ms = ms_since(t);
	t = rte_rdtsc();
	if (s->set != NULL)
		s->acl = sl_acl_build(s->set, "bench", &e);
	s->build_ms = ms_since(t);
	if (s->acl == NULL) {
		fprintf(stderr, "acl_bench: %s\n", e.message);
		exit(1);
	}
}

/* Four of five lie in an entry of their group, one goes where chance takes it. */
static void
random_key(struct set *s, bool v6, unsigned i, bool hits)
{
	const struct sl_polset_entry *e = &s->set->entries[v6][below(s->set->n_entries[v6])];
	struct sl_polset_flow *f = &s->flow[i];
	struct sl_prefix src = random_prefix(v6, true, v6 ? 128 : 32);
	struct sl_prefix dst = random_prefix(v6, false, v6 ? 128 : 32);

	*f = (struct sl_polset_flow){.version = v6 ? 6 : 4,
				     .proto = 6,
				     .iface = 1,
				     .src = s->src[i],
				     .dst = s->dst[i],
				     .sport = (uint16_t)(1024 + below(60000)),
				     .dport = (uint16_t)below(10000)};
	memcpy(s->src[i], src.ip.b, 16);
	memcpy(s->dst[i], dst.ip.b, 16);
	s->group[i] = e->group;
	if (hits && i % 5 != 0) {
		uint64_t r = next_random();

		if (e->proto != SL_POL_PROTO_ANY)
			f->proto = (uint8_t)e->proto;
		f->dport = e->dport_lo == 0 && e->dport_hi == UINT16_MAX ? f->dport : e->dport_lo;
		f->sport = e->sport_lo == 0 && e->sport_hi == UINT16_MAX ? f->sport : e->sport_lo;
		sl_polset_address(s->dst[i], v6, e->dst_hi | (r & ~e->dst_mask_hi),
				  e->dst_lo | (r & ~e->dst_mask_lo));
		if (e->src_len != 0)
			sl_polset_address(s->src[i], v6, e->src_hi | (r & ~e->src_mask_hi),
					  e->src_lo | (r & ~e->src_mask_lo));
	}
	sl_acl_key(&s->key[i], s->group[i], f);
	s->want[i] = sl_polset_scan(s->set, s->group[i], f);
}

/** Answer keys at..at+BURST-1. */
typedef void (*burst_fn)(const struct set *s, bool v6, unsigned at, uint32_t *out);

static void
by_tries(const struct set *s, bool v6, unsigned at, uint32_t *out)
{
	sl_acl_classify_tries(s->acl, v6 ? 6 : 4, &s->key[at], out, BURST);
}

static void
by_classify(const struct set *s, bool v6, unsigned at, uint32_t *out)
{
	sl_acl_classify(s->acl, v6 ? 6 : 4, &s->key[at], out, BURST);
}

static void
by_scan(const struct set *s, bool v6, unsigned at, uint32_t *out)
{
	for (unsigned i = 0; i < BURST; i++)
		out[i] = sl_polset_scan(s->set, s->group[at + i], &s->flow[at + i]);
}

/* The best pass: what others on the machine do is not meant. */
static double
measure(const struct set *s, bool v6, burst_fn fn)
{
	uint32_t out[BURST];
	double best = 1e30;

	for (unsigned p = 0; p < PASSES; p++) {
		uint64_t t = rte_rdtsc_precise();

		for (unsigned at = 0; at < KEYS; at += BURST)
			fn(s, v6, at, out);
		t = rte_rdtsc_precise() - t;
		best = SL_MIN(best, (double)t / KEYS);
	}
	return best;
}

static unsigned
wrong(const struct set *s, bool v6, burst_fn fn)
{
	uint32_t out[BURST];
	unsigned bad = 0;

	for (unsigned at = 0; at < KEYS; at += BURST) {
		fn(s, v6, at, out);
		for (unsigned i = 0; i < BURST; i++)
			bad += out[i] != s->want[at + i];
	}
	return bad;
}

static void
bench_keys(struct set *s, bool v6, bool hits)
{
	for (unsigned i = 0; i < KEYS; i++)
		random_key(s, v6, i, hits);
	printf("  %s %-9s %9u %9.1f %9.1f %9.1f %9u\n", v6 ? "IPv6" : "IPv4",
	       hits ? "80 % hit" : "none hits", s->set->n_entries[v6], measure(s, v6, by_tries),
	       measure(s, v6, by_scan), measure(s, v6, by_classify),
	       wrong(s, v6, by_tries) + wrong(s, v6, by_classify));
}

/* Peers 1..1000 of so many roles each; prefixes beside them, as a gateway has. */
static struct sl_who_builder *
make_who(const struct set *s, unsigned roles)
{
	struct sl_who_builder *b = sl_who_new();

	if (b == NULL || sl_who_ifaces(b, 2) != 0)
		exit(1);
	for (unsigned i = 0; i < PREFIXES; i++) {
		struct sl_who_member m = {.iface = 1, .role.role = (uint16_t)below(s->roles)};

		m.prefix = random_prefix(i % 3 == 2, true, i % 3 == 2 ? 128 : 32);
		if (sl_who_add(b, &m) != 0)
			exit(1);
	}
	for (unsigned i = 1; i <= 1000; i++) {
		struct sl_who_member m = {.is_peer = true, .peer_id = i};

		for (unsigned k = 0; k < roles; k++) {
			m.role.role = (uint16_t)below(s->roles);
			if (sl_who_add(b, &m) != 0)
				exit(1);
		}
	}
	return b;
}

static double
bench_judge(const struct set *s, bool v6, unsigned roles)
{
	struct sl_who_builder *b = make_who(s, roles);
	struct sl_who_garbage *old = NULL;
	struct sl_policy_view v = {.set = s->set, .acl = s->acl, .who = sl_who_publish(b, 1, &old)};
	struct sl_judge_flow *fl = zeroed(KEYS, sizeof(*fl));
	struct sl_judgement j[BURST];
	double best = 1e30;

	for (unsigned i = 0; i < KEYS; i++)
		fl[i] = (struct sl_judge_flow){.f = s->flow[i], .peer_id = 1 + below(1000)};
	for (unsigned p = 0; p < PASSES; p++) {
		uint64_t t = rte_rdtsc_precise();

		for (unsigned at = 0; at < KEYS; at += BURST)
			sl_judge(&v, 1, &fl[at], j, BURST);
		t = rte_rdtsc_precise() - t;
		best = SL_MIN(best, (double)t / KEYS);
	}
	free(fl);
	sl_who_garbage_free(old);
	sl_who_free(b);
	return best;
}

static void
run(unsigned roles, unsigned rules)
{
	struct set s = {.roles = roles, .rules = rules};

	s.src = zeroed(KEYS, sizeof(*s.src));
	s.dst = zeroed(KEYS, sizeof(*s.dst));
	s.flow = zeroed(KEYS, sizeof(*s.flow));
	s.group = zeroed(KEYS, sizeof(*s.group));
	s.key = zeroed(KEYS, sizeof(*s.key));
	s.want = zeroed(KEYS, sizeof(*s.want));
	make_model(&s);
	make_tables(&s);
	printf("%u roles x %u = %u rules: compile %.1f ms, build %.1f ms, %.2f MiB\n", roles, rules,
	       roles * rules, s.compile_ms, s.build_ms, (double)sl_acl_bytes(s.acl) / (1 << 20));
	printf("  %-14s %9s %9s %9s %9s %9s\n", "cycles per key", "entries", "rte_acl", "scan",
	       "classify", "wrong");
	for (unsigned v6 = 0; v6 < 2; v6++) {
		bench_keys(&s, v6, false);
		bench_keys(&s, v6, true);
		printf("  sl_judge, cycles per flow: 1 role %.0f, 3 roles %.0f, 17 roles %.0f\n",
		       bench_judge(&s, v6, 1), bench_judge(&s, v6, 3), bench_judge(&s, v6, 17));
	}
	sl_acl_free(s.acl);
	sl_polset_free(s.set);
	sl_policy_free(s.model);
	free(s.src);
	free(s.dst);
	free(s.flow);
	free(s.group);
	free(s.key);
	free(s.want);
}

int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);
	unsigned roles, rules;

	if (used < 0)
		return 1;
	for (int i = used + 1; i < argc; i++) {
		if (sscanf(argv[i], "%ux%u", &roles, &rules) == 2)
			run(roles, rules);
	}
	if (argc - used <= 1) {
		run(10, 32);
		run(100, 32);
		run(100, 320);
		run(800, 40);
	}
	return 0;
}
