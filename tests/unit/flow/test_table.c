/* SPDX-License-Identifier: BSD-3-Clause */
/* The table beside a naive model: random operations must have the same outcome in both. */
#include "flow_test.h"

#define KEYS 4000

static struct {
	struct sl_flow_table *t;
	struct {
		bool used, allow, answered;
		uint32_t last;
	} m[KEYS];
	unsigned count, max;
	unsigned ends[SL_RR_MAX];
	uint32_t tick;
	bool looked_at_all; /* a full table is small enough for every entry to be looked at */
} w;

static uint32_t
idle_of(unsigned i)
{
	return w.m[i].allow ? SL_FLOW_IDLE_UDP : SL_FLOW_IDLE_DENIED;
}

static bool
model_timed_out(unsigned i)
{
	return w.tick - w.m[i].last >= idle_of(i);
}

/** Who goes first when there is no room: denied ones, then allowed ones of an earlier tick that
 * were never answered. */
static unsigned
rank(unsigned i)
{
	if (!w.m[i].allow)
		return 2;
	return !w.m[i].answered && w.tick != w.m[i].last ? 1 : 0;
}

/** Number of key i is kept in the entry's rule. */
static void
ended(void *ctx, struct sl_flow *f, unsigned reason)
{
	unsigned i = f->rule;

	assert_ptr_equal(ctx, &w);
	assert_true(w.m[i].used);
	w.ends[reason]++;
	if (reason == SL_RR_EVICTED) {
		assert_int_not_equal(rank(i), 0);
		assert_false(model_timed_out(i));
		for (unsigned k = 0; w.looked_at_all && k < KEYS; k++)
			if (w.m[k].used) { /* nothing timed out, none that goes before it */
				assert_false(model_timed_out(k));
				assert_true(rank(k) < rank(i) ||
					    (rank(k) == rank(i) &&
					     w.tick - w.m[k].last <= w.tick - w.m[i].last));
			}
	} else {
		assert_int_equal(reason, SL_RR_IDLE);
		assert_true(model_timed_out(i));
	}
	w.m[i].used = false;
	w.count--;
}

static struct sl_flow *
find(unsigned i, struct sl_flow_key *k, uint32_t *hash)
{
	struct sl_flow *f;

	key_number(k, i, 17);
	*hash = sl_flow_hash(w.t, k);
	f = sl_flow_find(w.t, k, *hash);
	assert_int_equal(f != NULL, w.m[i].used);
	if (f) {
		assert_int_equal(f->rule, i);
		assert_int_equal(f->hash, *hash);
		assert_memory_equal(&f->key, k, sizeof(*k));
		assert_ptr_equal(sl_flow_get(w.t, sl_flow_at(w.t, f)), f);
	}
	return f;
}

static void
add(unsigned i, bool allow, bool answered)
{
	struct sl_flow_key k;
	uint32_t hash;
	struct sl_flow *f;

	if (find(i, &k, &hash))
		return;
	f = sl_flow_add(w.t, &k, hash, w.tick, ended, &w);
	if (!f) {
		assert_int_equal(w.count, w.max);
		for (unsigned n = 0; w.looked_at_all && n < KEYS; n++)
			assert_false(w.m[n].used && (rank(n) > 0 || model_timed_out(n)));
		return;
	}
	assert_int_equal(f->packets[0] + f->packets[1] + f->flags + f->start_ns + f->tcp, 0);
	f->rule = i;
	f->flags = allow ? SL_FLOW_ALLOW : 0;
	f->packets[0] = 1;
	f->packets[1] = answered;
	w.m[i].used = true;
	w.m[i].allow = allow;
	w.m[i].answered = answered;
	w.m[i].last = w.tick;
	w.count++;
}

static void
find_many(uint64_t *seed)
{
	struct sl_flow_key k[71] = {0};
	struct sl_flow *out[71];
	uint32_t hash[71] = {0};
	unsigned i[71], n = rnd(seed, 72);

	for (unsigned j = 0; j < n; j++) {
		i[j] = rnd(seed, KEYS);
		key_number(&k[j], i[j], 17);
		hash[j] = sl_flow_hash(w.t, &k[j]);
	}
	sl_flow_find_burst(w.t, k, hash, out, n);
	for (unsigned j = 0; j < n; j++) {
		assert_int_equal(out[j] != NULL, w.m[i[j]].used);
		assert_true(!out[j] || out[j]->rule == i[j]);
	}
}

static void
step(uint64_t *seed, unsigned allow_percent)
{
	unsigned i = rnd(seed, KEYS);
	struct sl_flow_key k;
	struct sl_flow *f;
	uint32_t hash;

	switch (rnd(seed, 10)) {
	case 0:
		f = find(i, &k, &hash);
		if (f) {
			sl_flow_del(w.t, f);
			w.m[i].used = false;
			w.count--;
		}
		break;
	case 1:
		f = find(i, &k, &hash);
		if (f)
			f->last_tick = w.m[i].last = w.tick;
		break;
	case 2:
		if (rnd(seed, 20) == 0)
			w.tick += rnd(seed, 40);
		break;
	case 3:
		sl_flow_sweep(w.t, w.tick, rnd(seed, 20), ended, &w);
		break;
	case 4:
		find_many(seed);
		break;
	default:
		add(i, rnd(seed, 100) < allow_percent, allow_percent == 100 || rnd(seed, 2));
	}
	assert_int_equal(sl_flow_count(w.t), w.count);
	assert_true(w.count != 0 || sl_flow_top(w.t) == 0);
}

static void
run(unsigned max, unsigned allow_percent, unsigned steps, uint32_t tick)
{
	uint64_t seed = max * 1000 + allow_percent;
	struct sl_flow_key k;
	uint32_t hash;

	memset(&w, 0, sizeof(w));
	w.max = max;
	w.t = table_new(max, seed);
	w.tick = tick;
	w.looked_at_all = max <= SL_FLOW_LOOK;
	assert_int_equal(sl_flow_max(w.t), max);
	for (unsigned i = 0; i < steps; i++)
		step(&seed, allow_percent);
	for (unsigned i = 0; i < KEYS; i++)
		find(i, &k, &hash);
	/* when all are idle, one round of the hand takes everything */
	w.tick += SL_FLOW_IDLE_UDP;
	sl_flow_sweep(w.t, w.tick, max, ended, &w);
	assert_int_equal(sl_flow_count(w.t), 0);
	assert_int_equal(w.count, 0);
	free(w.t);
}

static void
small_tables(void **state)
{
	unsigned evicted = 0;

	for (unsigned max = 1; max <= SL_FLOW_LOOK; max += 1 + max / 3) {
		run(max, 30, 20000, 5000);
		evicted += w.ends[SL_RR_EVICTED];
		run(max, 100, 20000, 5000);
		assert_int_equal(w.ends[SL_RR_EVICTED], 0);
	}
	assert_true(evicted > 300);
}

static void
large_tables(void **state)
{
	run(1000, 30, 200000, 5000);
	assert_true(w.ends[SL_RR_EVICTED] > 100);
	run(3000, 90, 200000, 5000);
	run(KEYS, 0, 100000, 5000);
	assert_int_equal(w.ends[SL_RR_EVICTED], 0);
}

/** Ticks of 100 ms wrap after 13 years. */
static void
tick_wraps(void **state)
{
	run(32, 60, 20000, UINT32_MAX - 300);
	assert_true(w.tick < 1u << 31 && w.ends[SL_RR_EVICTED] && w.ends[SL_RR_IDLE]);
	run(1000, 50, 100000, UINT32_MAX - 2000);
	assert_true(w.tick < 1u << 31 && w.ends[SL_RR_EVICTED] && w.ends[SL_RR_IDLE]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_tables),
		cmocka_unit_test(large_tables),
		cmocka_unit_test(tick_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
