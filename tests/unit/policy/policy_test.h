/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Models built by hand from texts, cross references filled in, and flows as texts.
 */
#ifndef POLICY_TEST_H
#define POLICY_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../next_random.h"
#include "sl_env.h"
#include "sl_polset.h"

#define WALL_NS (UINT64_C(1800000000) * SL_NS_PER_S)
#define BOOT_NS (UINT64_C(1799990000) * SL_NS_PER_S) /* wall clock at monotonic 0 */

/** One more zeroed element at the end of an array. */
static inline void *
grow(void *array, unsigned *n, size_t size)
{
	uint8_t *a = realloc(array, (*n + 1) * size);

	assert_non_null(a);
	memset(a + *n * size, 0, size);
	++*n;
	return a;
}
#define GROW(array, n) ((array) = grow(array, &(n), sizeof(*(array))), &(array)[(n)-1])

static inline void
name_set(char *to, size_t size, const char *name)
{
	snprintf(to, size, "%s", name);
}

/** "PREFIX" or "PREFIX@INTERFACE" */
static inline struct sl_pol_place
place_of(const char *text)
{
	struct sl_pol_place p = {0};
	char copy[80];
	char *at;

	name_set(copy, sizeof(copy), text);
	at = strchr(copy, '@');
	if (at != NULL) {
		*at = 0;
		name_set(p.iface, sizeof(p.iface), at + 1);
	}
	assert_int_equal(sl_prefix_parse(copy, &p.prefix), 0);
	return p;
}

static inline void
add_zone(struct sl_policy *m, const char *name, bool allow, const char *const nets[])
{
	struct sl_pol_zone *z = GROW(m->zones, m->n_zones);

	z->id = m->n_zones * 10;
	name_set(z->name, sizeof(z->name), name);
	z->type = SL_ZONE_INTERNAL;
	z->allow = allow;
	for (; *nets != NULL; nets++) {
		struct sl_pol_place p = place_of(*nets);

		*GROW(z->nets, z->n_nets) = p;
	}
}
#define ADD_ZONE(m, name, allow, ...)                                                              \
	add_zone(m, name, allow, (const char *const[]){__VA_ARGS__, NULL})

static inline void
add_target(struct sl_policy *m, const char *name, const char *const addrs[])
{
	struct sl_pol_target *t = GROW(m->targets, m->n_targets);

	name_set(t->name, sizeof(t->name), name);
	for (; *addrs != NULL; addrs++) {
		struct sl_pol_place p = place_of(*addrs);

		*GROW(t->addrs, t->n_addrs) = p;
	}
}
#define ADD_TARGET(m, name, ...) add_target(m, name, (const char *const[]){__VA_ARGS__, NULL})

static inline uint16_t
add_role(struct sl_policy *m, const char *name)
{
	struct sl_pol_role *r = GROW(m->roles, m->n_roles);

	r->id = 100 + m->n_roles;
	name_set(r->name, sizeof(r->name), name);
	return (uint16_t)(m->n_roles - 1);
}

/** "*", a target's name, or a place. */
static inline void
rule_to(const struct sl_policy *m, struct sl_pol_rule *r, const char *text)
{
	struct sl_pol_to *to = GROW(r->to, r->n_to);

	if (strcmp(text, "*") == 0) {
		to->any = true;
		return;
	}
	for (unsigned i = 0; i < m->n_targets; i++) {
		if (strcmp(m->targets[i].name, text) == 0) {
			name_set(to->target, sizeof(to->target), text);
			to->target_at = i;
			return;
		}
	}
	to->place = place_of(text);
}

static inline void
rule_src(struct sl_pol_rule *r, const char *text)
{
	*GROW(r->src, r->n_src) = place_of(text).prefix;
}

static inline void
rule_ports(struct sl_pol_rule *r, uint16_t lo, uint16_t hi)
{
	*GROW(r->ports, r->n_ports) = (struct sl_pol_ports){lo, hi};
}

/** The role exists. @return the rule, until the next one is added */
static inline struct sl_pol_rule *
add_rule(struct sl_policy *m, const char *role, bool allow, uint16_t proto, const char *to)
{
	struct sl_pol_rule *r = GROW(m->rules, m->n_rules);

	r->id = 1000 + m->n_rules;
	name_set(r->role, sizeof(r->role), role);
	while (strcmp(m->roles[r->role_at].name, role) != 0) {
		r->role_at++;
		assert_true(r->role_at < m->n_roles);
	}
	r->proto = proto;
	r->allow = allow;
	r->priority = SL_POL_PRIORITY;
	r->enabled = true;
	if (to != NULL)
		rule_to(m, r, to);
	return r;
}

static inline void
model_clear(struct sl_policy *m)
{
	for (unsigned i = 0; i < m->n_zones; i++)
		free(m->zones[i].nets);
	for (unsigned i = 0; i < m->n_targets; i++)
		free(m->targets[i].addrs);
	for (unsigned i = 0; i < m->n_rules; i++) {
		free(m->rules[i].src);
		free(m->rules[i].to);
		free(m->rules[i].ports);
	}
	free(m->zones);
	free(m->targets);
	free(m->roles);
	free(m->rules);
	*m = (struct sl_policy){0};
}

/** wg0 is 1, wg1 is 2 and so on; other names are not here. */
static inline uint16_t
iface_id(void *ctx, const char *name)
{
	return name[0] == 'w' && name[1] == 'g' ? (uint16_t)(atoi(name + 2) + 1) : 0;
}

static inline struct sl_polset *
compile_at(const struct sl_policy *m, uint64_t wall_ns)
{
	struct sl_polset_env env = {.generation = 7,
				    .wall_ns = wall_ns,
				    .wall_to_mono_ns = BOOT_NS,
				    .iface_id = iface_id};
	struct sl_error e = {0};
	struct sl_polset *s = sl_polset_compile(m, &env, &e);

	if (s == NULL)
		fail_msg("%s: %s", e.reason, e.message);
	return s;
}

/** A flow with its addresses. */
struct tflow {
	struct sl_polset_flow f;
	struct sl_ip src, dst;
};

static inline void
flow_fix(struct tflow *t)
{
	t->f.version = t->src.family;
	t->f.src = t->src.b;
	t->f.dst = t->dst.b;
}

static inline void
flow_set(struct tflow *t, const char *src, const char *dst, uint8_t proto, uint16_t sport,
	 uint16_t dport)
{
	*t = (struct tflow){.f = {.proto = proto, .sport = sport, .dport = dport, .iface = 1}};
	assert_int_equal(sl_ip_parse(src, &t->src), 0);
	assert_int_equal(sl_ip_parse(dst, &t->dst), 0);
	flow_fix(t);
}

/** Few addresses, so that prefixes nest and flows hit. */
static inline struct sl_ip
random_ip(unsigned family, uint64_t *seed)
{
	struct sl_ip ip = {.family = (uint8_t)family};
	uint64_t r = next_random(seed);

	ip.b[0] = family == 4 ? 10 : 0xfd;
	if (family == 4) {
		ip.b[1] = (uint8_t)(r & 1);
		ip.b[3] = (uint8_t)(r >> 1 & 7);
	} else {
		ip.b[7] = (uint8_t)(r & 1);
		ip.b[8] = (uint8_t)((r >> 1 & 1) << 7);
		ip.b[15] = (uint8_t)(r >> 2 & 3);
	}
	return ip;
}

static inline struct sl_prefix
random_prefix(uint64_t *seed)
{
	static const uint8_t len4[] = {0, 8, 15, 16, 24, 29, 30, 31, 32};
	static const uint8_t len6[] = {0, 8, 63, 64, 65, 126, 127, 128};
	unsigned family = next_random(seed) % 3 == 0 ? 6 : 4;
	struct sl_prefix p = {.ip = random_ip(family, seed)};
	unsigned r = (unsigned)(next_random(seed) >> 32);

	p.len = family == 4 ? len4[r % SL_ARRAY_SIZE(len4)] : len6[r % SL_ARRAY_SIZE(len6)];
	sl_prefix_mask(&p);
	return p;
}

/** A class on the stack: up to 16 roles. */
struct tclass {
	struct sl_class c;
	struct sl_class_role room[16];
};

static inline void
class_add(struct tclass *t, uint16_t role, uint32_t expires_tick)
{
	unsigned n = t->c.n;

	assert_true(n < 16);
	while (n > 0 && t->room[n - 1].role > role) {
		t->room[n] = t->room[n - 1];
		n--;
	}
	t->room[n] = (struct sl_class_role){.role = role, .expires_tick = expires_tick};
	t->c.n++;
}

#endif
