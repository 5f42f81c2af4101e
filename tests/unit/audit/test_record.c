/* SPDX-License-Identifier: BSD-3-Clause */
/* The laws of the ring with one thread, and the names. */
#include "audit_test.h"

static void
put(struct sl_rec_ring *r, uint64_t n)
{
	struct sl_rec *s = sl_rec_begin(r);

	fill_record(s, n);
	sl_rec_seen(r, s->type, s->count);
	sl_rec_commit(r, s);
}

/** Both equations of each type, with what the ring still holds. */
static void
check_equations(struct sl_rec_ring *r, const uint64_t held[SL_REC_TYPES])
{
	for (unsigned t = 0; t < SL_REC_TYPES; t++) {
		assert_int_equal(load(&r->counts.seen[t]),
				 load(&r->counts.recorded[t]) + load(&r->counts.suppressed[t]) +
					 load(&r->counts.not_selected[t]));
		assert_int_equal(load(&r->counts.recorded[t]),
				 load(&r->taken[t]) + load(&r->overwritten[t]) + held[t]);
	}
}

static void
in_order(void **state)
{
	const uint64_t none[SL_REC_TYPES] = {0};
	struct sl_rec_ring *r = ring_new(16);
	struct sl_rec out[16];
	uint64_t lost = 9;

	assert_int_equal(sl_rec_take(r, out, 16, &lost), 0);
	assert_int_equal(lost, 0);
	assert_true(sl_rec_settle(r));
	assert_int_equal(sl_rec_used_ppm(r), 0);
	for (uint64_t n = 0; n < 12; n++)
		put(r, n);
	assert_int_equal(sl_rec_used_ppm(r), 750000);
	assert_false(sl_rec_settle(r)); /* not everything is taken */
	assert_int_equal(sl_rec_take(r, out, 5, &lost), 5);
	assert_int_equal(sl_rec_take(r, out + 5, 11, &lost), 7);
	assert_int_equal(lost, 0);
	for (uint64_t n = 0; n < 12; n++) {
		assert_int_equal(number(&out[n]), n);
		assert_true(check_record(&out[n]));
	}
	assert_true(sl_rec_settle(r));
	check_equations(r, none);
	free(r);
}

static void
begin_is_zero(void **state)
{
	struct sl_rec_ring *r = ring_new(16);
	struct sl_rec *s, zero;

	memset(&zero, 0, sizeof(zero));
	put(r, 3);
	s = sl_rec_begin(r);
	assert_memory_equal((char *)s + 8, (char *)&zero + 8, sizeof(zero) - 8);
	free(r);
}

/** 100 records in a ring of 16: the last 16 are there, 84 are lost, whatever was taken before. */
static void
overwrites_oldest(void **state)
{
	const uint64_t none[SL_REC_TYPES] = {0};
	struct sl_rec_ring *r = ring_new(16);
	struct sl_rec out[64];
	uint64_t lost;

	for (uint64_t n = 0; n < 10; n++)
		put(r, n);
	assert_int_equal(sl_rec_take(r, out, 4, &lost), 4);
	for (uint64_t n = 10; n < 104; n++)
		put(r, n);
	assert_int_equal(sl_rec_used_ppm(r), 1000000);
	assert_int_equal(sl_rec_take(r, out, 64, &lost), 16);
	assert_int_equal(lost, 84);
	for (unsigned i = 0; i < 16; i++) {
		assert_int_equal(number(&out[i]), 88 + i);
		assert_true(check_record(&out[i]));
	}
	assert_true(sl_rec_settle(r));
	check_equations(r, none);
	free(r);
}

/** What the positions of both ends say, by type. */
static void
look_agrees(struct sl_rec_ring *r, const uint64_t head, uint64_t tail)
{
	uint64_t held[SL_REC_TYPES] = {0};
	struct sl_rec_look at;
	struct sl_rec s;

	for (tail = SL_MAX(tail, head > r->mask ? head - r->mask - 1 : 0); tail < head; tail++) {
		fill_record(&s, tail);
		held[s.type] += s.count;
	}
	assert_true(sl_rec_look(r, &at));
	for (unsigned t = 0; t < SL_REC_TYPES; t++) {
		assert_int_equal(at.in_ring[t], held[t]);
		assert_int_equal(at.taken[t], load(&r->taken[t]));
		assert_int_equal(at.overwritten[t], load(&r->overwritten[t]));
	}
}

/** A model of any order of calls. */
static void
random_orders(void **state)
{
	uint64_t seed = 11, none[SL_REC_TYPES] = {0};

	for (unsigned slots = 1; slots <= 64; slots *= 2) {
		struct sl_rec_ring *r = ring_new(slots);
		uint64_t head = 0, tail = 0, lost_all = 0, lost, over = 0;
		struct sl_rec out[70];

		for (unsigned i = 0; i < 20000; i++) {
			unsigned n = rnd(&seed, 70), max = rnd(&seed, 70), want, got;
			enum sl_rec_type t = rnd(&seed, SL_REC_TYPES);

			if (rnd(&seed, 3) == 0)
				n = rnd(&seed, 4);
			while (n--)
				put(r, head++);
			sl_rec_seen(r, t, 6);
			sl_rec_suppressed(r, t, 2);
			sl_rec_not_selected(r, t, 4);
			look_agrees(r, head, tail);
			lost = head - tail > slots ? head - tail - slots : 0;
			lost_all += lost;
			tail += lost;
			want = (unsigned)SL_MIN(head - tail, (uint64_t)max);
			got = sl_rec_take(r, out, max, &over);
			assert_int_equal(got, want);
			assert_int_equal(over, lost);
			for (unsigned k = 0; k < got; k++, tail++) {
				assert_int_equal(number(&out[k]), tail);
				assert_true(check_record(&out[k]));
			}
			assert_int_equal(sl_rec_settle(r), head == tail);
			if (head == tail)
				check_equations(r, none);
		}
		assert_true(lost_all > 1000);
		free(r);
	}
}

static void
names(void **state)
{
	for (unsigned i = 0; i < SL_REC_TYPES; i++)
		for (unsigned k = 0; k <= i; k++)
			assert_int_equal(strcmp(sl_rec_type_text(i), sl_rec_type_text(k)) == 0,
					 i == k);
	for (unsigned i = 0; i < SL_RR_MAX; i++)
		for (unsigned k = 0; k <= i; k++)
			assert_int_equal(strcmp(sl_rec_reason_text(i), sl_rec_reason_text(k)) == 0,
					 i == k);
	assert_string_equal(sl_rec_type_text(SL_REC_WOULD_DENY), "would_deny");
	assert_string_equal(sl_rec_reason_text(SL_RR_SHUTDOWN), "shutdown");
	assert_string_equal(sl_rec_type_text(SL_REC_TYPES), "unknown");
	assert_string_equal(sl_rec_reason_text(SL_RR_MAX), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(begin_is_zero),
		cmocka_unit_test(overwrites_oldest),
		cmocka_unit_test(random_orders),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
