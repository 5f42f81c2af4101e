/* SPDX-License-Identifier: BSD-3-Clause */
/* Random changes and lookups against a plain list. */
#include "lpm_test.h"

#define CHANGES 6000
#define LOOKUPS_PER_CHANGE 20
#define BURST 50

/* Addresses that share beginnings with each other, so that prefixes nest. */
static void
random_addr(uint64_t *seed, const struct naive *l, unsigned bytes, uint8_t *addr)
{
	unsigned keep, bit;

	for (unsigned i = 0; i < bytes; i++)
		addr[i] = (uint8_t)next_random(seed);
	if (l->n == 0 || next_random(seed) % 4 == 0)
		return;
	/* begin as an entry does, flip a bit, go on at random or end as the entry does */
	keep = (unsigned)(next_random(seed) % (bytes * 8));
	bit = (unsigned)(next_random(seed) % l->n);
	for (unsigned i = 0; i < bytes * 8; i++) {
		if (i < keep || keep % 2 == 0) {
			addr[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
			addr[i / 8] |= l->e[bit].addr[i / 8] & (0x80 >> i % 8);
		}
	}
	addr[keep / 8] ^= (uint8_t)((next_random(seed) & 1) << (7 - keep % 8));
}

/* Both a longer and a shorter prefix of the list count. */
static bool
naive_overlaps(const struct naive *l, const uint8_t *addr, unsigned len)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (naive_covers(l->e[i].addr, addr, len < l->e[i].len ? len : l->e[i].len))
			return true;
	}
	return false;
}

/** Any address with the same beginning: the same answer. */
static void
check_alike(const struct sl_lpm *t, const struct naive *l, const uint8_t *addr, uint64_t *seed)
{
	unsigned alike = sl_lpm_alike(t, addr);
	const struct naive_entry *e = naive_lookup(l, addr);
	uint8_t other[16];

	assert_true(alike <= t->bits && (t->root != NULL || alike == t->bits));
	memcpy(other, addr, t->bits / 8);
	for (unsigned i = t->bits - alike; i < t->bits; i++)
		other[i / 8] ^= (uint8_t)((next_random(seed) & 1) << (7 - i % 8));
	assert_ptr_equal(naive_lookup(l, other), e);
}

static void
check_lookups(struct sl_lpm *t, const struct naive *l, uint64_t *seed)
{
	uint8_t addr[BURST][16];
	const uint8_t *where[BURST];
	const struct sl_lpm *tables[BURST];
	uint32_t out[BURST];
	const struct naive_entry *e;
	unsigned len;

	for (unsigned i = 0; i < LOOKUPS_PER_CHANGE; i++) {
		random_addr(seed, l, t->bits / 8, addr[i]);
		e = naive_lookup(l, addr[i]);
		assert_int_equal(sl_lpm_lookup(t, addr[i]), e != NULL ? e->value : SL_LPM_NONE);
		assert_int_equal(sl_lpm_match(t, addr[i], &len),
				 e != NULL ? e->value : SL_LPM_NONE);
		if (e != NULL)
			assert_int_equal(len, e->len);
		len = (unsigned)(next_random(seed) % (t->bits + 1));
		assert_int_equal(sl_lpm_overlaps(t, addr[i], len), naive_overlaps(l, addr[i], len));
		check_alike(t, l, addr[i], seed);
		where[i] = addr[i];
		tables[i] = t;
	}
	sl_lpm_lookup_burst(tables, where, out, LOOKUPS_PER_CHANGE);
	for (unsigned i = 0; i < LOOKUPS_PER_CHANGE; i++)
		assert_int_equal(out[i], sl_lpm_lookup(t, addr[i]));
}

struct order {
	const struct naive *l;
	unsigned n;
	unsigned bytes;
	uint8_t addr[16];
	unsigned len;
};

static int
check_entry(void *ctx, const uint8_t *addr, unsigned len, uint32_t value)
{
	struct order *o = ctx;
	const struct naive_entry *e = naive_find(o->l, addr, len);
	int cmp = memcmp(o->addr, addr, o->bytes);

	assert_non_null(e);
	assert_int_equal(e->value, value);
	assert_true(o->n == 0 || cmp < 0 || (cmp == 0 && o->len < len));
	for (unsigned i = len; i < o->bytes * 8; i++)
		assert_int_equal(addr[i / 8] & 0x80 >> i % 8, 0);
	memcpy(o->addr, addr, o->bytes);
	o->len = len;
	o->n++;
	return 0;
}

static void
check_all(const struct sl_lpm *t, const struct naive *l)
{
	struct order o = {.l = l, .bytes = t->bits / 8};

	assert_int_equal(t->count, l->n);
	assert_int_equal(sl_lpm_walk(t, check_entry, &o), 0);
	assert_int_equal(o.n, l->n);
	for (unsigned i = 0; i < l->n; i++)
		assert_int_equal(sl_lpm_get(t, l->e[i].addr, l->e[i].len), l->e[i].value);
}

/* Lengths: all of them, with more weight on short and on host prefixes. */
static unsigned
random_len(uint64_t *seed, unsigned bits)
{
	uint64_t r = next_random(seed);

	return r % 8 == 0 ? bits : (unsigned)((r >> 8) % (bits + 1));
}

/* share: of 8 changes, how many are deletions */
static void
changes(struct sl_lpm *t, struct naive *l, uint64_t *seed, unsigned n, unsigned share)
{
	struct sl_lpm_garbage g = {0};
	uint8_t addr[16] = {0};
	unsigned len;

	for (unsigned i = 0; i < n; i++) {
		random_addr(seed, l, t->bits / 8, addr);
		len = random_len(seed, t->bits);
		if (next_random(seed) % 8 < share) {
			if (l->n > 0 && next_random(seed) % 8 != 0) {
				unsigned k = (unsigned)(next_random(seed) % l->n);

				memcpy(addr, l->e[k].addr, sizeof(addr));
				len = l->e[k].len;
			}
			assert_int_equal(sl_lpm_del(t, t, addr, len, &g),
					 naive_del(l, addr, len) ? 0 : -ENOENT);
		} else {
			uint32_t value = (uint32_t)next_random(seed) & INT32_MAX;

			assert_int_equal(sl_lpm_set(t, t, addr, len, value, &g), 0);
			naive_set(l, addr, t->bits / 8, len, value);
		}
		if (next_random(seed) % 16 == 0) /* every draft is published some time */
			sl_lpm_garbage_free(&g);
		check_lookups(t, l, seed);
	}
	sl_lpm_garbage_free(&g);
	check_all(t, l);
}

static void
random_family(unsigned bits, uint64_t seed)
{
	struct sl_lpm t;
	struct naive l = {0};

	sl_lpm_init(&t, bits);
	changes(&t, &l, &seed, CHANGES / 3, 2);
	changes(&t, &l, &seed, CHANGES / 3, 4);
	changes(&t, &l, &seed, CHANGES / 3, 7);
	for (unsigned i = 0; l.n > 0; i++)
		changes(&t, &l, &seed, 100, 8);
	assert_null(t.root);
	assert_int_equal(t.count, 0);
	free(l.e);
}

static void
test_v4(void **state)
{
	random_family(32, 4);
}

static void
test_v6(void **state)
{
	random_family(128, 6);
}

/* Many prefixes, one owner replaced by another: 100,000 lookups in a large table. */
static void
test_large(void **state)
{
	struct tables t;
	struct naive l = {0};
	uint64_t seed = 11;
	uint8_t addr[16];

	tables_init(&t);
	for (unsigned i = 0; i < 400; i++) {
		uint64_t r = next_random(&seed);
		unsigned len = 1 + (unsigned)(r >> 32) % 32;

		memcpy(addr, &r, 4);
		for (unsigned j = 0; j < 100; j++) {
			uint64_t noise = next_random(&seed) & next_random(&seed);
			uint32_t value = (uint32_t)(next_random(&seed) % 2000);
			uint8_t other[4];

			memcpy(other, &noise, 4);
			for (unsigned k = 0; k < 4; k++)
				other[k] ^= addr[k];
			assert_int_equal(sl_lpm_set(&t.v4, &t.v4, other, len, value, &t.g), 0);
			if (j < 5) /* the list is slow: it learns a part, the rest goes again */
				naive_set(&l, other, 4, len, value);
			else if (naive_find(&l, other, len) == NULL)
				assert_int_equal(sl_lpm_del(&t.v4, &t.v4, other, len, &t.g), 0);
			else
				naive_set(&l, other, 4, len, value);
		}
	}
	check_all(&t.v4, &l);
	for (unsigned i = 0; i < 5000; i++)
		check_lookups(&t.v4, &l, &seed);
	free(l.e);
	tables_free(&t);
}

static void
test_burst_of_tables(void **state)
{
	struct tables a, b;
	const struct sl_lpm *t[BURST];
	const uint8_t *addr[BURST];
	uint32_t out[BURST];
	struct sl_lpm empty;
	uint8_t ip[4] = {10, 0, 0, 1};

	tables_init(&a);
	tables_init(&b);
	sl_lpm_init(&empty, 32);
	set_text(&a, "10.0.0.0/8", 1);
	set_text(&b, "10.0.0.1/32", 2);
	set_text(&b, "10.0.0.2/32", 3);
	for (unsigned n = 0; n <= BURST; n++) {
		for (unsigned i = 0; i < n; i++) {
			t[i] = i % 3 == 0 ? &a.v4 : i % 3 == 1 ? &b.v4 : &empty;
			addr[i] = ip;
			out[i] = 99;
		}
		sl_lpm_lookup_burst(t, addr, out, n);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(out[i], i % 3 == 0 ? 1 : i % 3 == 1 ? 2 : SL_LPM_NONE);
	}
	tables_free(&a);
	tables_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4),
		cmocka_unit_test(test_v6),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_burst_of_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
