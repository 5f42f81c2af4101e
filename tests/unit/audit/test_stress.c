/* SPDX-License-Identifier: BSD-3-Clause */
/* A producer at full speed and a slow consumer; also built with ThreadSanitizer (-DSHORT). */
#include <pthread.h>
#include <sched.h>

#include "audit_test.h"

#ifdef SHORT
#define RECORDS 300000
#define FOLDS 300000
#else
#define RECORDS 3000000
#define FOLDS 3000000
#endif
#define KEYS 300
#define PAUSE 4096 /* the producer gives way now and then, so that both run even on one CPU */

static atomic_bool done;

static void *
produce(void *ring)
{
	struct sl_rec_ring *r = ring;

	for (uint64_t n = 0; n < RECORDS; n++) {
		struct sl_rec *s = sl_rec_begin(r);

		fill_record(s, n);
		sl_rec_commit(r, s);
		if (n % PAUSE == 0)
			sched_yield();
	}
	atomic_store(&done, true);
	return NULL;
}

/** Of the first n records, each type's were taken or overwritten. */
static bool
equations_hold(struct sl_rec_ring *r, uint64_t n)
{
	for (unsigned t = 0; t < SL_REC_TYPES; t++) {
		uint64_t of_type = n / SL_REC_TYPES + (n % SL_REC_TYPES > t), all;

		/* fill_record(): numbers t, t + 8, t + 16 ... count their remainders by 5 */
		all = of_type / 5 * 10;
		for (uint64_t i = 0; i < of_type % 5; i++)
			all += (t + i * SL_REC_TYPES) % 5;
		if (load(&r->taken[t]) + load(&r->overwritten[t]) != all)
			return false;
	}
	return true;
}

/** From beside: where records are adds up to no more than was recorded. */
static void *
look(void *ring)
{
	const struct sl_rec_ring *r = ring;
	struct sl_rec_look at;
	bool wrong = false;

	while (!atomic_load(&done)) {
		bool clear = sl_rec_look(r, &at);

		for (unsigned t = 0; clear && t < SL_REC_TYPES; t++)
			wrong |= at.taken[t] + at.overwritten[t] + at.in_ring[t] >
				 atomic_load(&r->counts.recorded[t]);
		sched_yield();
	}
	return wrong ? ring : NULL;
}

/** Numbers rise, each gap is what was told as lost, no record is a mixture of two. */
static void
run_ring(unsigned slots)
{
	struct sl_rec_ring *r = ring_new(slots);
	uint64_t next = 0, end = 0, lost, taken = 0, lost_all = 0, sum[SL_REC_TYPES] = {0};
	struct sl_rec out[7];
	pthread_t thread, beside;
	bool last, torn = false;
	void *wrong;

	atomic_store(&done, false);
	assert_int_equal(pthread_create(&thread, NULL, produce, r), 0);
	assert_int_equal(pthread_create(&beside, NULL, look, r), 0);
	do {
		unsigned n;

		last = atomic_load(&done);
		n = sl_rec_take(r, out, SL_ARRAY_SIZE(out), &lost);
		for (unsigned i = 0; i < n; i++) {
			torn |= !check_record(&out[i]) || number(&out[i]) < next;
			next = number(&out[i]) + 1;
			sum[out[i].type] += out[i].count;
		}
		/* between the last call's end and this one's: those taken and those lost */
		end += n + lost;
		torn |= next > end || r->tail != end;
		next = end;
		taken += n;
		lost_all += lost;
		if (sl_rec_settle(r)) /* in the middle of it: exact for the records so far */
			torn |= !equations_hold(r, end);
		if (n == 0)
			sched_yield();
		last = last && n == 0 && lost == 0;
	} while (!last);
	pthread_join(thread, NULL);
	pthread_join(beside, &wrong);
	assert_null(wrong);
	assert_false(torn);
	assert_int_equal(taken + lost_all, RECORDS);
	assert_true(lost_all > 1000);
	assert_true(taken > 10);
	assert_true(sl_rec_settle(r));
	assert_true(equations_hold(r, RECORDS));
	for (unsigned t = 0; t < SL_REC_TYPES; t++) {
		assert_int_equal(load(&r->taken[t]), sum[t]);
		assert_int_equal(load(&r->counts.recorded[t]), sum[t] + load(&r->overwritten[t]));
	}
	free(r);
}

static void
taken_records_are_whole(void **state)
{
	run_ring(16);
}

/** Every copy is in danger: the producer is never more than one record away from its slot. */
static void
one_slot(void **state)
{
	run_ring(1);
}

static void *
fold(void *agg)
{
	struct sl_agg *a = agg;
	uint64_t seed = 5;

	for (uint64_t n = 0; n < FOLDS; n++) {
		struct sl_agg_key k = {.peer_id = rnd(&seed, KEYS)};

		sl_agg_add(a, &k, k.peer_id + 1, 2, 3, n % 2, 1, n % 100, n);
		if (n % 64 == 0)
			sl_agg_poll(a);
		if (n % PAUSE == 0)
			sched_yield();
	}
	atomic_store(&done, true);
	return NULL;
}

/** What control reads from resting tables in the end is what the worker folded. */
static void
tables_swap(void **state)
{
	const uint64_t key[2] = {1, 2};
	void *mem[2] = {lines(sl_agg_table_size(256)), lines(sl_agg_table_size(256))};
	uint64_t flows = 0, packets = 0, bytes = 0, want_bytes = 0, lost = 0, turns = 0;
	bool wrong = false, last;
	struct sl_agg a;
	pthread_t thread;

	sl_agg_init(&a, mem[0], mem[1], 256, key);
	atomic_store(&done, false);
	assert_int_equal(pthread_create(&thread, NULL, fold, &a), 0);
	for (unsigned after = 0; after < 3;) {
		struct sl_agg_table *t;

		last = atomic_load(&done);
		if (last)
			sl_agg_poll(&a); /* the worker has ended: nobody else does it */
		t = sl_agg_resting(&a);
		if (!t) {
			sched_yield();
			continue;
		}
		for (unsigned i = 0; i < t->used; i++) {
			struct sl_agg_row r;

			sl_agg_row_get(t, i, &r);
			wrong |= r.rule_id != r.key.peer_id + 1 || r.first_ns > r.last_ns;
			flows += r.flows;
			packets += r.packets;
			bytes += r.bytes;
		}
		wrong |= t->used > t->max || (t->lost && t->used != t->max);
		lost += t->lost;
		turns++;
		sl_agg_turn(&a);
		after += last;
	}
	pthread_join(thread, NULL);
	assert_false(wrong);
	assert_true(turns > 10);
	for (uint64_t n = 0; n < FOLDS; n++)
		want_bytes += n % 100;
	assert_int_equal(flows + lost, FOLDS / 2);
	assert_true(packets <= FOLDS && bytes <= want_bytes);
	if (lost == 0)
		assert_true(packets + FOLDS / 10 > FOLDS);
	free(mem[0]);
	free(mem[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taken_records_are_whole),
		cmocka_unit_test(one_slot),
		cmocka_unit_test(tables_swap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
