/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys, their spread over the buckets, and what happens when buckets are full. */
#include "flow_test.h"

static void
keys_are_symmetrical(void **state)
{
	struct sl_flow_table *t = table_new(16, 1);
	uint64_t seed = 3;

	for (unsigned n = 0; n < 100000; n++) {
		uint8_t version = n % 2 ? 4 : 6, src[16], dst[16];
		uint16_t sp = (uint16_t)rnd(&seed, 3), dp = (uint16_t)rnd(&seed, 3);
		struct sl_flow_key k1, k2;
		bool b1, b2;

		/* few values, so that all orders and equalities occur, the differing byte anywhere
		 */
		memset(src, 0, sizeof(src));
		memset(dst, 0, sizeof(dst));
		src[rnd(&seed, version == 4 ? 4 : 16)] = (uint8_t)rnd(&seed, 256);
		dst[rnd(&seed, version == 4 ? 4 : 16)] = (uint8_t)rnd(&seed, 256);
		b1 = sl_flow_key_make(&k1, version, 6, 9, src, dst, sp, dp);
		b2 = sl_flow_key_make(&k2, version, 6, 9, dst, src, dp, sp);
		assert_memory_equal(&k1, &k2, sizeof(k1));
		assert_int_equal(sl_flow_hash(t, &k1), sl_flow_hash(t, &k2));
		if (memcmp(src, dst, 16) == 0 && sp == dp)
			assert_true(!b1 && !b2);
		else
			assert_true(b1 != b2);
		/* what stands in a and b is the packet */
		assert_memory_equal(b1 ? k1.b : k1.a, src, 16);
		assert_memory_equal(b1 ? k1.a : k1.b, dst, 16);
		assert_int_equal(b1 ? k1.pb : k1.pa, sp);
		assert_int_equal(b1 ? k1.pa : k1.pb, dp);
	}
	free(t);
}

/** Bytes behind an IPv4 address are not read and not part of the key. */
static void
ipv4_is_four_bytes(void **state)
{
	uint8_t *src = malloc(4), *dst = malloc(4);
	const uint8_t zero[12] = {0};
	struct sl_flow_key k;

	memcpy(src, (uint8_t[]){10, 0, 0, 2}, 4);
	memcpy(dst, (uint8_t[]){10, 0, 0, 1}, 4);
	assert_true(sl_flow_key_make(&k, 4, 17, 1, src, dst, 1, 2));
	assert_memory_equal(k.a + 4, zero, 12);
	assert_memory_equal(k.b + 4, zero, 12);
	free(src);
	free(dst);
}

/** Each field makes another flow. */
static void
every_field_counts(void **state)
{
	const uint8_t a[16] = {1}, b[16] = {2}, c[16] = {3};
	struct sl_flow_key k[8];
	struct sl_flow_table *t = table_new(16, 5);

	sl_flow_key_make(&k[0], 4, 6, 1, a, b, 10, 20);
	sl_flow_key_make(&k[1], 6, 6, 1, a, b, 10, 20);
	sl_flow_key_make(&k[2], 4, 17, 1, a, b, 10, 20);
	sl_flow_key_make(&k[3], 4, 6, 2, a, b, 10, 20);
	sl_flow_key_make(&k[4], 4, 6, 1, c, b, 10, 20);
	sl_flow_key_make(&k[5], 4, 6, 1, a, c, 10, 20);
	sl_flow_key_make(&k[6], 4, 6, 1, a, b, 11, 20);
	sl_flow_key_make(&k[7], 4, 6, 1, a, b, 20, 10);
	for (unsigned i = 0; i < 8; i++) {
		const uint32_t same_hash = 7;

		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(sl_flow_hash(t, &k[i]), sl_flow_hash(t, &k[j]));
		assert_null(sl_flow_find(t, &k[i], same_hash));
		assert_non_null(sl_flow_add(t, &k[i], same_hash, 1, NULL, NULL));
		assert_non_null(sl_flow_find(t, &k[i], same_hash));
	}
	assert_int_equal(sl_flow_count(t), 8);
	free(t);
}

/** Similar keys fill a table to its last place: allowed flows never fail for want of a bucket. */
static void
fills_to_the_last(void **state)
{
	const unsigned max = 20000;

	for (uint64_t seed = 0; seed < 12; seed++) {
		struct sl_flow_table *t = table_new(max, seed);
		struct sl_flow_key k;
		struct sl_flow *f;

		for (unsigned i = 0; i < max; i++) {
			key_number(&k, i, 6);
			f = sl_flow_add(t, &k, sl_flow_hash(t, &k), 1, NULL, NULL);
			assert_non_null(f);
			f->flags = SL_FLOW_ALLOW;
		}
		key_number(&k, max, 6);
		assert_null(sl_flow_add(t, &k, sl_flow_hash(t, &k), 1, NULL, NULL));
		free(t);
	}
}

static void
note_end(void *ctx, struct sl_flow *f, unsigned reason)
{
	uint32_t *last = ctx;

	last[0] = f->rule;
	last[1] = reason;
	last[2]++;
}

/** One hash for all: both buckets are full after sixteen, in a table with room for more. */
static void
full_buckets(void **state)
{
	const uint32_t hash = 0x12345678;
	struct sl_flow_table *t = table_new(1000, 1);
	struct sl_flow_key k;
	struct sl_flow *f;
	uint32_t last[3] = {0};

	for (unsigned i = 0; i < 16; i++) {
		key_number(&k, i, 17);
		f = sl_flow_add(t, &k, hash, 1000 + i, note_end, last);
		assert_non_null(f);
		f->rule = i;
		f->flags = SL_FLOW_ALLOW;
		f->packets[0] = f->packets[1] = 1;
	}
	key_number(&k, 16, 17);
	assert_null(sl_flow_add(t, &k, hash, 1020, note_end, last));
	assert_int_equal(last[2], 0);

	/* the oldest of those denied goes, not the oldest */
	for (unsigned i = 0; i < 16; i++) {
		key_number(&k, i, 17);
		f = sl_flow_find(t, &k, hash);
		assert_non_null(f);
		if (i == 9 || i == 7 || i == 12)
			f->flags = 0;
	}
	key_number(&k, 16, 17);
	f = sl_flow_add(t, &k, hash, 1020, note_end, last);
	assert_non_null(f);
	f->rule = 16;
	f->flags = SL_FLOW_ALLOW;
	assert_true(last[0] == 7 && last[1] == SL_RR_EVICTED && last[2] == 1);

	/* what has timed out goes first, and it is no eviction */
	key_number(&k, 17, 17);
	f = sl_flow_add(t, &k, hash, 1000 + SL_FLOW_IDLE_UDP, note_end, last);
	assert_non_null(f);
	assert_int_equal(last[1], SL_RR_IDLE);
	assert_int_equal(last[2], 2);
	assert_int_equal(sl_flow_count(t), 16);

	/* a place given back is found again */
	sl_flow_del(t, f);
	assert_null(sl_flow_find(t, &k, hash));
	assert_non_null(sl_flow_add(t, &k, hash, 2000, note_end, last));
	assert_int_equal(last[2], 2);
	free(t);
}

/** Of allowed flows those without an answer go, the oldest first; none that began in this tick. */
static void
unanswered_makes_room(void **state)
{
	const uint32_t hash = 0x12345678;
	struct sl_flow_table *t = table_new(1000, 1);
	struct sl_flow_key k;
	struct sl_flow *f;
	uint32_t last[3] = {0};

	for (unsigned i = 0; i < 16; i++) {
		key_number(&k, i, 17);
		f = sl_flow_add(t, &k, hash, 1000 + i, note_end, last);
		assert_non_null(f);
		f->rule = i;
		f->flags = SL_FLOW_ALLOW;
		f->packets[0] = i != 6;
		f->packets[1] = i != 3 && i != 15;
	}
	for (unsigned i = 0; i < 2; i++) { /* 3 has only sent, 6 was only sent to */
		key_number(&k, 16 + i, 17);
		f = sl_flow_add(t, &k, hash, 1015, note_end, last);
		assert_non_null(f);
		f->flags = SL_FLOW_ALLOW;
		f->packets[0] = 1;
		assert_int_equal(last[0], i ? 6 : 3);
		assert_int_equal(last[1], SL_RR_EVICTED);
	}
	key_number(&k, 18, 17);
	assert_null(sl_flow_add(t, &k, hash, 1015, note_end, last));
	key_number(&k, 9, 17); /* denied goes before */
	f = sl_flow_find(t, &k, hash);
	assert_non_null(f);
	f->flags = 0;
	key_number(&k, 18, 17);
	assert_non_null(sl_flow_add(t, &k, hash, 1016, note_end, last));
	assert_int_equal(last[0], 9);
	assert_int_equal(last[2], 3);
	free(t);
}

/** What is denied takes no place of what is allowed, in full buckets and in a full table. */
static void
denied_takes_nothing(void **state)
{
	struct sl_flow_table *t = table_new(1000, 1);
	uint32_t last[3] = {0};
	struct sl_flow_key k;
	struct sl_flow *f;
	unsigned n = 0;

	for (unsigned i = 0; i < 1000; i++) {
		key_number(&k, i, 17);
		f = sl_flow_add(t, &k, sl_flow_hash(t, &k), 1000, note_end, last);
		assert_non_null(f);
		f->rule = i;
		f->flags = i % 50 ? SL_FLOW_ALLOW : 0;
		f->packets[0] = 1; /* never answered */
	}
	for (unsigned i = 0; i < 5000; i++) {
		key_number(&k, 1000 + i, 17);
		f = sl_flow_add_denied(t, &k, sl_flow_hash(t, &k), 1010, note_end, last);
		n += f != NULL;
		if (f)
			f->rule = 50;
	}
	assert_int_equal(last[2], n);
	assert_true(n > 1000); /* mostly there is a denied one within reach */
	for (unsigned i = 0; i < 1000; i++) {
		key_number(&k, i, 17);
		if (i % 50)
			assert_non_null(sl_flow_find(t, &k, sl_flow_hash(t, &k)));
	}
	key_number(&k, 9999, 17);
	f = sl_flow_add_denied(t, &k, sl_flow_hash(t, &k), 1000 + SL_FLOW_IDLE_UDP, note_end, last);
	assert_non_null(f); /* in the place of one that is idle */
	assert_int_equal(last[1], SL_RR_IDLE);
	free(t);
}

/** A full table of allowed flows gives room as soon as one is idle, found by the hand in a few
 * adds.
 */
static void
hand_finds_idle(void **state)
{
	const unsigned max = 10 * SL_FLOW_LOOK;
	struct sl_flow_table *t = table_new(max, 2);
	struct sl_flow *f = NULL;
	struct sl_flow_key k;
	uint32_t last[3] = {0};

	for (unsigned i = 0; i < max; i++) {
		key_number(&k, i, 17);
		f = sl_flow_add(t, &k, sl_flow_hash(t, &k), i == 200 ? 1 : 500, NULL, NULL);
		assert_non_null(f);
		f->flags = SL_FLOW_ALLOW;
		f->rule = i;
		f->packets[0] = f->packets[1] = 1;
	}
	key_number(&k, max, 17);
	for (unsigned tries = 0; tries < 10; tries++) {
		f = sl_flow_add(t, &k, sl_flow_hash(t, &k), 601, note_end, last);
		if (f)
			break;
	}
	assert_non_null(f);
	assert_true(last[0] == 200 && last[1] == SL_RR_IDLE && last[2] == 1);
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_symmetrical),	 cmocka_unit_test(ipv4_is_four_bytes),
		cmocka_unit_test(every_field_counts),	 cmocka_unit_test(fills_to_the_last),
		cmocka_unit_test(full_buckets),		 cmocka_unit_test(hand_finds_idle),
		cmocka_unit_test(unanswered_makes_room), cmocka_unit_test(denied_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
