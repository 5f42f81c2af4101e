/* SPDX-License-Identifier: BSD-3-Clause */
/* The replica against a plain array: contents, sum, walks during changes, differences. */
#include "model_test.h"

#include "../alloc_limit.h"
#include "../next_random.h"
#include "sl_replica.h"

#define IDS 300
#define KINDS 3

static const enum sl_kind kinds[KINDS] = {SL_KIND_PEER, SL_KIND_RULE, SL_KIND_INTERFACE};

struct naive {
	json_t *body[KINDS][IDS];
	uint64_t rev[KINDS][IDS];
};

static const char *
id_of(unsigned i)
{
	static char text[4][16];
	static unsigned n;

	snprintf(text[n % 4], sizeof(text[0]), "id-%u", i);
	return text[n++ % 4];
}

static json_t *
random_body(uint64_t *seed)
{
	return json_pack("{s:s, s:I, s:[s, b]}", "interface", next_random(seed) % 2 ? "wg0" : "wg1",
			 "n", (json_int_t)(next_random(seed) % 4), "x",
			 next_random(seed) % 2 ? "a" : "b", (int)(next_random(seed) % 2));
}

static void
change(struct sl_replica *r, struct naive *n, unsigned k, unsigned i, uint64_t *seed)
{
	if (next_random(seed) % 5 < 2) {
		assert_int_equal(sl_replica_del(r, kinds[k], id_of(i)),
				 n->body[k][i] != NULL ? 0 : -ENOENT);
		json_decref(n->body[k][i]);
		n->body[k][i] = NULL;
		return;
	}
	json_decref(n->body[k][i]);
	n->body[k][i] = random_body(seed);
	n->rev[k][i] = next_random(seed) % 1000;
	assert_int_equal(sl_replica_put(r, kinds[k], id_of(i), n->rev[k][i], n->body[k][i]), 0);
}

static void
forget(struct naive *n)
{
	for (unsigned k = 0; k < KINDS; k++) {
		for (unsigned i = 0; i < IDS; i++)
			json_decref(n->body[k][i]);
	}
}

static void
check_object(const struct sl_replica *r, const struct naive *n, unsigned k, unsigned i,
	     struct sl_hash_sum *sum)
{
	struct sl_replica_obj o;
	uint8_t h[SL_HASH_LEN];
	json_t *body;
	char *text;

	assert_int_equal(sl_replica_get(r, kinds[k], id_of(i), &o), n->body[k][i] != NULL);
	body = sl_replica_body(r, kinds[k], id_of(i));
	assert_true(n->body[k][i] != NULL ? json_equal(body, n->body[k][i]) : body == NULL);
	json_decref(body);
	if (n->body[k][i] == NULL)
		return;
	text = sl_canon(n->body[k][i], NULL);
	assert_string_equal(o.text, text);
	assert_int_equal(o.len, strlen(text));
	assert_string_equal(o.id, id_of(i));
	assert_int_equal(o.rev, n->rev[k][i]);
	assert_int_equal(o.kind, kinds[k]);
	sl_object_hash(kinds[k], id_of(i), text, strlen(text), h);
	assert_memory_equal(h, o.hash, sizeof(h));
	sl_hash_add(sum, h);
	assert_string_equal(o.scope, kinds[k] == SL_KIND_RULE ? ""
				     : kinds[k] == SL_KIND_INTERFACE
					     ? id_of(i)
					     : json_string_value(json_object_get(n->body[k][i],
										 "interface")));
	free(text);
}

static void
check_all(const struct sl_replica *r, const struct naive *n)
{
	struct sl_hash_sum want = {0}, got;
	size_t total = 0;

	for (unsigned k = 0; k < KINDS; k++) {
		size_t count = 0;

		for (unsigned i = 0; i < IDS; i++) {
			check_object(r, n, k, i, &want);
			count += n->body[k][i] != NULL;
		}
		assert_int_equal(sl_replica_count_kind(r, kinds[k]), count);
		total += count;
	}
	assert_int_equal(sl_replica_count(r), total);
	sl_replica_sum(r, &got);
	assert_true(sl_hash_equal(&want, &got));
}

static void
test_random(void **state)
{
	struct sl_replica *r = sl_replica_new();
	struct naive n = {0};
	uint64_t seed = 9;
	struct sl_hash_sum sum;

	for (unsigned round = 0; round < 60; round++) {
		unsigned ids = round % 3 == 0 ? 10 : IDS;

		for (unsigned i = 0; i < 400; i++)
			change(r, &n, next_random(&seed) % KINDS, next_random(&seed) % ids, &seed);
		check_all(r, &n);
	}
	for (unsigned k = 0; k < KINDS; k++) {
		for (unsigned i = 0; i < IDS; i++)
			sl_replica_del(r, kinds[k], id_of(i));
	}
	sl_replica_sum(r, &sum);
	assert_true(sl_hash_equal(&sum, &(struct sl_hash_sum){0}));
	assert_int_equal(sl_replica_count(r), 0);
	sl_replica_free(r);
	forget(&n);
}

/** During a walk, whatever stays is seen once; nothing is seen that never was there. */
static void
test_walk(void **state)
{
	uint64_t seed = 11;

	for (unsigned round = 0; round < 200; round++) {
		struct sl_replica *r = sl_replica_new();
		struct sl_replica_cursor c = {0};
		struct naive n = {0};
		unsigned seen[IDS] = {0}, i;
		bool gone[IDS] = {false};
		struct sl_replica_obj o;

		for (i = 0; i < 150; i++)
			change(r, &n, 0, next_random(&seed) % IDS, &seed);
		for (i = 0; i < IDS; i++)
			gone[i] = n.body[0][i] == NULL;
		while (sl_replica_next(r, SL_KIND_PEER, &c, &o)) {
			seen[atoi(o.id + 3)]++;
			for (unsigned k = next_random(&seed) % 3; k > 0; k--) {
				i = (unsigned)(next_random(&seed) % IDS);
				change(r, &n, 0, i, &seed);
				gone[i] |= n.body[0][i] == NULL;
			}
			if (c.at > 2000)
				break;
		}
		for (i = 0; i < IDS; i++) {
			if (!gone[i])
				assert_int_equal(seen[i], 1);
		}
		sl_replica_free(r);
		forget(&n);
	}
}

/* --- differences ------------------------------------------------------------------------------ */

struct apply {
	struct sl_replica *to;
	unsigned n, limit;
};

static void
on_change(void *ctx, const struct sl_replica_obj *was, const struct sl_replica_obj *is)
{
	struct apply *a = ctx;
	json_t *body;

	assert_true(++a->n <= a->limit);
	assert_true(was != NULL || is != NULL);
	if (is == NULL) {
		assert_int_equal(sl_replica_del(a->to, was->kind, was->id), 0);
		return;
	}
	assert_true(was == NULL ||
		    (was->kind == is->kind && strcmp(was->id, is->id) == 0 &&
		     (was->len != is->len || memcmp(was->text, is->text, is->len) != 0)));
	body = json_loadb(is->text, is->len, 0, NULL);
	assert_int_equal(sl_replica_put(a->to, is->kind, is->id, is->rev, body), 0);
	json_decref(body);
}

static void
test_diff(void **state)
{
	uint64_t seed = 5;

	for (unsigned round = 0; round < 60; round++) {
		struct sl_replica *from = sl_replica_new(), *to = sl_replica_new();
		struct apply a = {.to = sl_replica_new()};
		struct sl_replica_diff d = {0};
		struct naive n = {0}, m = {0};
		struct sl_hash_sum x, y;
		unsigned budget = 1 + round % 50, steps = 0;

		for (unsigned i = 0; i < 500; i++) {
			unsigned k = next_random(&seed) % KINDS;
			unsigned at = (unsigned)(next_random(&seed) % IDS);
			uint64_t same = seed;

			change(from, &n, k, at, &seed);
			seed = same;
			change(a.to, &m, k, at, &seed);
		}
		forget(&m);
		m = (struct naive){0};
		for (unsigned i = 0; i < 500; i++)
			change(to, &m, next_random(&seed) % KINDS,
			       (unsigned)(next_random(&seed) % IDS), &seed);
		do {
			a.n = 0;
			a.limit = budget;
			steps++;
		} while (!sl_replica_diff_step(&d, from, to, budget, on_change, &a));
		assert_true(steps >= (sl_replica_count(from) + sl_replica_count(to)) / budget);
		sl_replica_sum(a.to, &x);
		sl_replica_sum(to, &y);
		assert_true(sl_hash_equal(&x, &y));
		assert_int_equal(sl_replica_count(a.to), sl_replica_count(to));
		/* of equal ones there is nothing to say */
		d = (struct sl_replica_diff){0};
		a.limit = a.n = 0;
		assert_true(sl_replica_diff_step(&d, a.to, to, UINT32_MAX, on_change, &a));
		sl_replica_free(from);
		sl_replica_free(to);
		sl_replica_free(a.to);
		forget(&n);
		forget(&m);
	}
}

/* --- what is refused -------------------------------------------------------------------------- */

static void
test_refuse(void **state)
{
	struct sl_replica *r = sl_replica_new();
	json_t *fraction = json_of("{'interface': 'wg0', 'a': 0.5}"), *none = json_object();
	json_t *list = json_array();
	char longest[SL_OBJ_ID + 1];
	struct sl_replica_obj o;

	memset(longest, 'a', sizeof(longest) - 1);
	longest[SL_OBJ_ID] = '\0';
	assert_int_equal(sl_replica_put(r, SL_KIND_PEER, "a", 1, fraction), -EINVAL);
	assert_int_equal(sl_replica_put(r, SL_KIND_PEER, "a", 1, none), -EINVAL);
	assert_int_equal(sl_replica_put(r, SL_KIND_RULE, "", 1, none), -EINVAL);
	assert_int_equal(sl_replica_put(r, SL_KIND_RULE, "a", 1, list), -EINVAL);
	assert_int_equal(sl_replica_put(r, SL_KIND_RULE, longest, 1, none), -EINVAL);
	assert_int_equal(sl_replica_put(r, SL_KIND_N, "a", 1, none), -EINVAL);
	longest[SL_OBJ_ID - 1] = '\0';
	assert_int_equal(sl_replica_put(r, SL_KIND_RULE, longest, 1, none), 0);
	assert_true(sl_replica_get(r, SL_KIND_RULE, longest, &o));
	assert_int_equal(sl_replica_count(r), 1);
	assert_int_equal(sl_replica_del(r, SL_KIND_N, "a"), -ENOENT);
	assert_false(sl_replica_get(r, SL_KIND_N, "a", &o));
	assert_int_equal(sl_replica_count_kind(r, SL_KIND_N), 0);
	json_decref(fraction);
	json_decref(none);
	json_decref(list);
	sl_replica_free(r);
	sl_replica_free(NULL);
}

/** Whichever allocation fails, nothing has changed. */
static void
test_no_memory(void **state)
{
	struct sl_replica *r = sl_replica_new();
	struct sl_hash_sum was, is;
	uint64_t seed = 3;

	for (unsigned i = 0; i < 100; i++) {
		json_t *body = random_body(&seed);
		int rc = -ENOMEM;

		for (int n = 0; rc != 0; n++) {
			size_t count = sl_replica_count(r), bytes = sl_replica_bytes(r);

			sl_replica_sum(r, &was);
			allocations_left = n;
			rc = sl_replica_put(r, SL_KIND_PEER, id_of(i), 1, body);
			allocations_left = -1;
			sl_replica_sum(r, &is);
			assert_true(rc == 0 || rc == -ENOMEM || rc == -EINVAL);
			assert_true(n < 10);
			if (rc == 0)
				break;
			assert_true(sl_hash_equal(&was, &is));
			assert_int_equal(sl_replica_count(r), count);
			assert_true(sl_replica_bytes(r) >= bytes);
		}
		json_decref(body);
		assert_int_equal(sl_replica_count(r), i + 1);
	}
	allocations_left = 0;
	assert_null(sl_replica_new());
	allocations_left = -1;
	sl_replica_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),	  cmocka_unit_test(test_walk),
		cmocka_unit_test(test_diff),	  cmocka_unit_test(test_refuse),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
