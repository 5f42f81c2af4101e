/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include <rte_acl.h>

#include "authz_fixture.h"
#include "eal_main.h"

/* rte_acl's answers, bent by what a test asks for (linked with --wrap). */
static int build_rc;
static bool classify_lies;

int __real_rte_acl_build(struct rte_acl_ctx *ctx, const struct rte_acl_config *cfg);
int __wrap_rte_acl_build(struct rte_acl_ctx *ctx, const struct rte_acl_config *cfg);
int __real_rte_acl_classify(const struct rte_acl_ctx *ctx, const uint8_t **data, uint32_t *results,
			    uint32_t num, uint32_t categories);
int __wrap_rte_acl_classify(const struct rte_acl_ctx *ctx, const uint8_t **data, uint32_t *results,
			    uint32_t num, uint32_t categories);

int
__wrap_rte_acl_build(struct rte_acl_ctx *ctx, const struct rte_acl_config *cfg)
{
	return build_rc != 0 ? build_rc : __real_rte_acl_build(ctx, cfg);
}

int
__wrap_rte_acl_classify(const struct rte_acl_ctx *ctx, const uint8_t **data, uint32_t *results,
			uint32_t num, uint32_t categories)
{
	int rc = __real_rte_acl_classify(ctx, data, results, num, categories);

	for (uint32_t i = 0; classify_lies && i < num; i++)
		results[i] += results[i] > 1;
	return rc;
}

static uint64_t generation = 1;

/** Every flow against the groups from `first` on, as many as one call takes and more. */
static void
check_flow(const struct sl_polset *s, const struct sl_acl *a, const struct sl_polset_flow *f,
	   unsigned first, unsigned n)
{
	struct sl_acl_key key[SL_ACL_BURST];
	uint32_t got[SL_ACL_BURST], tries[SL_ACL_BURST];

	for (unsigned done = 0; done < n;) {
		unsigned m = SL_MIN(n - done, SL_ACL_BURST);

		for (unsigned i = 0; i < m; i++)
			sl_acl_key(&key[i], (first + done + i) % s->n_groups, f);
		sl_acl_classify(a, f->version, key, got, m);
		sl_acl_classify_tries(a, f->version, key, tries, m);
		for (unsigned i = 0; i < m; i++) {
			uint32_t want = sl_polset_scan(s, (first + done + i) % s->n_groups, f);

			assert_int_equal(got[i], want);
			assert_int_equal(tries[i], want);
		}
		done += m;
	}
}

static void
check_random(uint64_t seed, const struct fix_shape *shape, unsigned flows, unsigned groups)
{
	struct fix_rng r = {.s = seed};
	struct sl_error e = {0};
	struct sl_polset *s = fix_set(&r, shape, generation++);
	struct sl_acl *a = sl_acl_build(s, "t", &e);
	unsigned hits = 0;

	if (a == NULL)
		fail_msg("seed %llu: %s", (unsigned long long)seed, e.message);
	for (unsigned i = 0; i < flows; i++) {
		struct fix_flow f;
		unsigned first = fix_below(&r, s->n_groups);

		fix_flow(&r, s, i & 1, &f);
		check_flow(s, a, &f.f, first, groups);
		hits += sl_polset_scan(s, first, &f.f) != SL_POL_NONE;
	}
	if (shape->entries > 8)
		assert_true(hits > flows / 50);
	sl_acl_free(a);
	sl_polset_free(s);
}

static void
small_sets_answer_like_the_scan(void **state)
{
	for (uint64_t seed = 1; seed <= 150; seed++) {
		const struct fix_shape shape = {.roles = 1 + (unsigned)seed % 5,
						.entries = 1 + (unsigned)seed % 13};

		check_random(seed, &shape, 200, 7);
	}
}

static void
large_sets_answer_like_the_scan(void **state)
{
	check_random(1001, &(struct fix_shape){.roles = 2, .entries = 1024}, 2000, 4);
	check_random(1002, &(struct fix_shape){.roles = 10, .entries = 64}, 2000, 20);
	check_random(1003, &(struct fix_shape){.roles = 100, .entries = 12}, 1000, 10);
}

static void
many_roles_a_peer_answer_like_the_scan(void **state)
{
	check_random(2001, &(struct fix_shape){.roles = 17, .entries = 32}, 500, 34);
	check_random(2002, &(struct fix_shape){.roles = 100, .entries = 8}, 300, 200);
}

/* Same packets, same priority: the first entry wins, however many there are. */
static void
equal_priorities_take_the_first(void **state)
{
	struct fix_rng r = {.s = 5};
	const struct fix_shape shape = {.roles = 1, .entries = 200};
	struct sl_polset *s = fix_set(&r, &shape, generation++);
	struct sl_acl *a;
	struct fix_flow f;

	for (unsigned v6 = 0; v6 < 2; v6++) {
		for (uint32_t i = 0; i < s->n_entries[v6]; i++) {
			struct sl_polset_entry *en = &s->entries[v6][i];

			en->priority = 7;
			en->allow = true;
			if (i % 3 != 0)
				continue;
			en->src_len = 0;
			en->src_mask_hi = en->src_mask_lo = en->src_hi = en->src_lo = 0;
		}
	}
	a = sl_acl_build(s, "t", NULL);
	assert_non_null(a);
	for (unsigned i = 0; i < 5000; i++) {
		fix_flow(&r, s, i & 1, &f);
		check_flow(s, a, &f.f, 0, 2);
	}
	sl_acl_free(a);
	sl_polset_free(s);
}

static void
a_name_in_use_is_refused(void **state)
{
	struct fix_rng r = {.s = 3};
	const struct fix_shape shape = {.roles = 3, .entries = 9};
	struct sl_polset *s = fix_set(&r, &shape, generation++);
	struct sl_acl *a = sl_acl_build(s, "t", NULL), *b;
	struct sl_error e = {0};
	struct fix_flow f;

	assert_non_null(a);
	assert_null(sl_acl_build(s, "t", &e));
	assert_string_equal(e.reason, "acl_exists");
	for (unsigned i = 0; i < 200; i++) { /* the first is unharmed */
		fix_flow(&r, s, i & 1, &f);
		check_flow(s, a, &f.f, 0, 6);
	}
	b = sl_acl_build(s, "u", NULL);
	assert_non_null(b);
	sl_acl_free(a);
	a = sl_acl_build(s, "t", NULL);
	assert_non_null(a);
	sl_acl_free(a);
	sl_acl_free(b);
	assert_null(sl_acl_build(s, "a-prefix-of-more-than-32-bytes-is", &e));
	assert_string_equal(e.reason, "acl_build");
	assert_int_equal(e.err, -ENAMETOOLONG);
	sl_polset_free(s);
}

static void
empty(struct sl_polset *s, unsigned v6)
{
	s->n_entries[v6] = 0;
	memset(s->group_first[v6], 0, (s->n_groups + 1) * sizeof(uint32_t));
}

static void
an_empty_family_finds_nothing(void **state)
{
	const struct fix_shape shape = {.roles = 2, .entries = 6};
	struct fix_rng r = {.s = 4};

	for (unsigned which = 1; which <= 3; which++) { /* bit 0: IPv4 is empty, bit 1: IPv6 */
		struct sl_polset *s = fix_set(&r, &shape, generation++);
		struct sl_acl *a;
		struct fix_flow f;

		if (which & 1)
			empty(s, 0);
		if (which & 2)
			empty(s, 1);
		a = sl_acl_build(s, "t", NULL);
		assert_non_null(a);
		for (unsigned i = 0; i < 200; i++) {
			fix_flow(&r, s, i & 1, &f);
			check_flow(s, a, &f.f, 0, 4);
		}
		sl_acl_free(a);
		sl_polset_free(s);
	}
}

static void
a_failed_build_gives_no_object(void **state)
{
	struct fix_rng r = {.s = 6};
	struct sl_polset *s =
		fix_set(&r, &(struct fix_shape){.roles = 4, .entries = 20}, generation++);
	struct sl_error e = {0};
	struct sl_acl *a;

	build_rc = -ENOMEM;
	assert_null(sl_acl_build(s, "t", &e));
	build_rc = 0;
	assert_string_equal(e.reason, "acl_build");
	assert_int_equal(e.err, -ENOMEM);
	classify_lies = true;
	assert_null(sl_acl_build(s, "t", &e));
	classify_lies = false;
	assert_string_equal(e.reason, "acl_selftest");
	a = sl_acl_build(s, "t", &e); /* and nothing is left of the names */
	assert_non_null(a);
	assert_true(sl_acl_bytes(a) > 1000);
	sl_acl_free(a);
	sl_polset_free(s);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_sets_answer_like_the_scan),
		cmocka_unit_test(large_sets_answer_like_the_scan),
		cmocka_unit_test(many_roles_a_peer_answer_like_the_scan),
		cmocka_unit_test(equal_priorities_take_the_first),
		cmocka_unit_test(a_name_in_use_is_refused),
		cmocka_unit_test(an_empty_family_finds_nothing),
		cmocka_unit_test(a_failed_build_gives_no_object),
	};

	eal_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
