/* SPDX-License-Identifier: BSD-3-Clause */
/* Aggregates beside a plain list; a full table counts what it could not take. */
#include "audit_test.h"

#define KEYS 100
#define ROWS 64 /* 48 of them are used */

struct model {
	struct sl_agg_row row[KEYS];
	bool begun[KEYS];
	unsigned used;
	uint64_t lost;
};

static struct sl_agg agg;
static struct model model[2]; /* of the tables */

static struct sl_agg_key
key_number(unsigned i)
{
	struct sl_agg_key k = {.src = {10, 0, 0, (uint8_t)(i / 4)},
			       .dport = i % 2 ? 443 : 22,
			       .proto = 6,
			       .version = i / 4 % 2 ? 6 : 4,
			       .flags = i % 4 < 2 ? SL_AGG_ALLOW : 0};

	if (k.version == 6)
		k.src[15] = k.dst[4] = (uint8_t)i;
	return k;
}

static void
add(unsigned i, unsigned flows, uint64_t packets, uint64_t bytes, uint64_t now)
{
	struct model *m = &model[atomic_load(&agg.active)];
	struct sl_agg_row *r = &m->row[i];
	struct sl_agg_key k = key_number(i);

	sl_agg_add(&agg, &k, i + (uint32_t)now, i * 2, (i + now) % 5, flows, packets, bytes, now);
	if (!m->begun[i] && m->used == ROWS * 3 / 4) {
		m->lost += flows;
		return;
	}
	if (flows != 0 || !m->begun[i]) { /* who begins says why */
		r->rule_id = i + (uint32_t)now;
		r->role_id = i * 2;
		r->why = (i + now) % 5;
	}
	if (!m->begun[i]) {
		m->used++;
		m->begun[i] = true;
		r->key = k;
		r->first_ns = now;
	}
	r->flows += flows;
	r->packets += packets;
	r->bytes += bytes;
	r->last_ns = now;
}

static void
compare(const struct sl_agg_table *t, struct model *m)
{
	for (unsigned i = 0; i < t->used; i++) {
		struct sl_agg_row row;
		unsigned k;

		sl_agg_row_get(t, i, &row);
		for (k = 0; k < KEYS; k++)
			if (m->begun[k] && memcmp(&m->row[k].key, &row.key, sizeof(row.key)) == 0)
				break;
		assert_true(k < KEYS);
		assert_memory_equal(&m->row[k], &row, sizeof(row));
		m->begun[k] = false; /* no row twice */
	}
	assert_int_equal(t->used, m->used);
	assert_int_equal(t->lost, m->lost);
	memset(m, 0, sizeof(*m));
}

static void
against_model(void **state)
{
	const uint64_t hash_key[2] = {3, 4};
	void *mem[2] = {lines(sl_agg_table_size(ROWS)), lines(sl_agg_table_size(ROWS))};
	uint64_t seed = 1, now = 0, full = 0, turns = 0;

	memset(model, 0, sizeof(model));
	sl_agg_init(&agg, mem[0], mem[1], ROWS, hash_key);
	for (unsigned i = 0; i < 300000; i++) {
		now += rnd(&seed, 3) + (rnd(&seed, 1000) == 0) * UINT64_C(5000000000);
		add(rnd(&seed, rnd(&seed, 2) ? 30 : KEYS), rnd(&seed, 2), rnd(&seed, 9),
		    rnd(&seed, 9000), now);
		if (rnd(&seed, 100) == 0)
			sl_agg_poll(&agg);
		if (rnd(&seed, 150) == 0) {
			struct sl_agg_table *t = sl_agg_resting(&agg);

			if (!t) {
				unsigned wish = atomic_load(&agg.wish);

				sl_agg_turn(&agg); /* nothing: it is not swapped yet */
				assert_int_equal(atomic_load(&agg.wish), wish);
				continue;
			}
			assert_ptr_equal(t, agg.table[1 - atomic_load(&agg.active)]);
			full += t->lost;
			compare(t, &model[1 - atomic_load(&agg.active)]);
			sl_agg_turn(&agg);
			turns++;
		}
	}
	assert_true(full > 100 && turns > 100);
	free(mem[0]);
	free(mem[1]);
}

/** Every field of the key makes another row. */
static void
whole_key(void **state)
{
	const uint64_t hash_key[2] = {3, 4};
	void *mem[2] = {lines(sl_agg_table_size(ROWS)), lines(sl_agg_table_size(ROWS))};

	sl_agg_init(&agg, mem[0], mem[1], ROWS, hash_key);
	for (unsigned i = 0; i < offsetof(struct sl_agg_key, pad); i++) {
		struct sl_agg_key k;

		memset(&k, 0, sizeof(k));
		((uint8_t *)&k)[i] = 1;
		sl_agg_add(&agg, &k, 1, 1, 0, 1, 1, 1, 1);
		sl_agg_add(&agg, &k, 1, 1, 0, 1, 1, 1, 1);
		assert_int_equal(agg.table[0]->used, i + 1);
	}
	assert_int_equal(agg.table[0]->lost, 0);
	free(mem[0]);
	free(mem[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_model),
		cmocka_unit_test(whole_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
