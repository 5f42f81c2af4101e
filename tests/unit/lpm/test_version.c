/* SPDX-License-Identifier: BSD-3-Clause */
/* Versions: old ones stay as they were, drafts can be dropped, failed allocations change nothing.
 */
#include "../alloc_limit.h"
#include "lpm_test.h"

#define VERSIONS 40
#define PER_VERSION 50

static int
hash_entry(void *ctx, const uint8_t *addr, unsigned len, uint32_t value)
{
	uint64_t *h = ctx;

	for (unsigned i = 0; i < (len + 7) / 8; i++)
		*h = (*h ^ addr[i]) * UINT64_C(0x100000001b3);
	*h = (*h ^ len) * UINT64_C(0x100000001b3);
	*h = (*h ^ value) * UINT64_C(0x100000001b3);
	return 0;
}

static uint64_t
hash_of(const struct sl_lpm *t)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ t->count;

	sl_lpm_walk(t, hash_entry, &h);
	return h;
}

static void
change(const struct sl_lpm *old, struct sl_lpm *next, uint64_t *seed, struct sl_lpm_garbage *g)
{
	uint64_t r[2] = {next_random(seed) & 0xffff0000ff0f00ff, next_random(seed)};
	unsigned len = (unsigned)(next_random(seed) % (old->bits + 1));

	if (next_random(seed) % 3 == 0)
		sl_lpm_del(old, next, (uint8_t *)r, len, g);
	else
		assert_int_equal(sl_lpm_set(old, next, (uint8_t *)r, len,
					    (uint32_t)next_random(seed) >> 1, g),
				 0);
}

static void
old_versions(unsigned bits)
{
	struct sl_lpm v[VERSIONS];
	struct sl_lpm_garbage g[VERSIONS] = {0};
	uint64_t hash[VERSIONS], seed = bits;

	sl_lpm_init(&v[0], bits);
	hash[0] = hash_of(&v[0]);
	for (unsigned i = 1; i < VERSIONS; i++) {
		v[i] = v[i - 1];
		for (unsigned j = 0; j < PER_VERSION; j++)
			change(&v[i], &v[i], &seed, &g[i]);
		sl_lpm_seal(&g[i]);
		hash[i] = hash_of(&v[i]);
		for (unsigned k = 0; k <= i; k++)
			assert_true(hash_of(&v[k]) == hash[k]);
	}
	/* the oldest die first; what they alone used goes with their successor's list */
	for (unsigned i = 1; i < VERSIONS; i++) {
		sl_lpm_garbage_free(&g[i]);
		for (unsigned k = i; k < VERSIONS; k++)
			assert_true(hash_of(&v[k]) == hash[k]);
	}
	sl_lpm_free(&v[VERSIONS - 1]);
}

static void
test_old_versions(void **state)
{
	old_versions(32);
	old_versions(128);
}

/* The same set of prefixes has the same shape whatever happened before. */
static void
test_shape(void **state)
{
	struct tables a, b;
	static const char *const keep[] = {"10.0.0.0/8", "10.1.0.0/16",	  "10.1.2.0/24",
					   "0.0.0.0/0",	 "172.16.0.1/32", "172.16.0.2/32"};
	static const char *const gone[] = {"10.1.2.3/32", "172.16.0.0/12", "192.168.0.0/16",
					   "172.16.64.1/32", "128.0.0.0/1"};

	tables_init(&a);
	tables_init(&b);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(keep); i++)
		set_text(&a, keep[i], i);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(gone); i++)
		set_text(&b, gone[i], 100 + i);
	for (unsigned i = SL_ARRAY_SIZE(keep); i-- > 0;)
		set_text(&b, keep[i], i);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(gone); i++)
		assert_int_equal(del_text(&b, gone[i]), 0);
	assert_true(hash_of(&a.v4) == hash_of(&b.v4));
	assert_int_equal(sl_lpm_bytes(&a.v4), sl_lpm_bytes(&b.v4));
	tables_free(&a);
	tables_free(&b);
}

static void
test_discard(void **state)
{
	struct sl_lpm base[2], draft[2];
	struct sl_lpm_garbage g = {0};
	uint64_t hash[2], seed = 3;

	for (unsigned i = 0; i < 2; i++) {
		sl_lpm_init(&base[i], i == 0 ? 32 : 128);
		for (unsigned j = 0; j < 500; j++)
			change(&base[i], &base[i], &seed, &g);
		sl_lpm_garbage_free(&g);
		hash[i] = hash_of(&base[i]);
		draft[i] = base[i];
	}
	for (unsigned j = 0; j < 500; j++) {
		change(&draft[0], &draft[0], &seed, &g);
		change(&draft[1], &draft[1], &seed, &g);
	}
	assert_true(hash_of(&draft[0]) != hash[0]);
	sl_lpm_discard(&draft[0], &base[0], &g);
	sl_lpm_discard(&draft[1], &base[1], &g);
	sl_lpm_garbage_forget(&g);
	for (unsigned i = 0; i < 2; i++) {
		assert_ptr_equal(draft[i].root, base[i].root);
		assert_true(hash_of(&base[i]) == hash[i]);
		sl_lpm_free(&base[i]);
	}
}

static void
test_garbage_move(void **state)
{
	struct sl_lpm t;
	struct sl_lpm_garbage g = {0}, later = {0};
	uint64_t seed = 5;
	unsigned blocks = 0;

	sl_lpm_init(&t, 128);
	for (unsigned i = 0; i < 300; i++) {
		change(&t, &t, &seed, &g);
		blocks += g.blocks;
		sl_lpm_garbage_move(&later, &g);
		assert_int_equal(g.blocks, 0);
		assert_int_equal(g.session, 0);
	}
	assert_int_equal(later.blocks, blocks);
	assert_true(blocks > 300);
	sl_lpm_garbage_free(&later);
	sl_lpm_free(&t);
}

/* A session keeps its own nodes to itself: no list grows by changing the same thing again. */
static void
test_session_reuses(void **state)
{
	struct sl_lpm t;
	struct sl_lpm_garbage g = {0};
	uint64_t seed = 8;
	unsigned once;

	sl_lpm_init(&t, 32);
	for (unsigned i = 0; i < 1000; i++)
		change(&t, &t, &seed, &g);
	assert_int_equal(g.blocks, 0); /* it began with nothing to share */
	sl_lpm_seal(&g);
	assert_int_equal(sl_lpm_set(&t, &t, (const uint8_t *)"\x0a\0\0\1", 32, 1, &g), 0);
	once = g.blocks;
	assert_true(once > 0 && once <= 7);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(sl_lpm_set(&t, &t, (const uint8_t *)"\x0a\0\0\1", 32, i, &g), 0);
	assert_int_equal(g.blocks, once);
	sl_lpm_garbage_free(&g);
	sl_lpm_free(&t);
}

/* Fail the n-th allocation of a change, for every n, until it goes through. */
static void
one_change_without_memory(struct sl_lpm *t, const uint8_t *addr, unsigned len, bool del,
			  struct sl_lpm_garbage *g)
{
	struct sl_lpm next;
	struct sl_lpm_garbage before = *g;
	uint64_t hash = hash_of(t);
	int rc = -ENOMEM;

	for (int room = 0; rc == -ENOMEM; room++) {
		allocations_left = room;
		rc = del ? sl_lpm_del(t, &next, addr, len, g)
			 : sl_lpm_set(t, &next, addr, len, 77, g);
		allocations_left = -1;
		if (rc == -ENOMEM) {
			assert_true(hash_of(t) == hash);
			assert_memory_equal(g, &before, sizeof(before));
		}
		assert_true(room < 40);
	}
	*t = next;
}

static void
test_no_memory(void **state)
{
	struct sl_lpm_garbage g = {0};
	uint64_t seed = 21;
	struct sl_lpm t;

	for (unsigned bits = 32; bits <= 128; bits += 96) {
		sl_lpm_init(&t, bits);
		for (unsigned i = 0; i < 600; i++) {
			uint64_t r[2] = {next_random(&seed) & 0xff0000ff0f, next_random(&seed)};
			unsigned len = (unsigned)(next_random(&seed) % (bits + 1));

			one_change_without_memory(&t, (uint8_t *)r, len, false, &g);
			if (i % 2 == 0)
				sl_lpm_garbage_free(&g);
			if (i % 3 == 0)
				one_change_without_memory(&t, (uint8_t *)r, len, true, &g);
		}
		sl_lpm_garbage_free(&g);
		sl_lpm_free(&t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_old_versions),   cmocka_unit_test(test_shape),
		cmocka_unit_test(test_discard),	       cmocka_unit_test(test_garbage_move),
		cmocka_unit_test(test_session_reuses), cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
