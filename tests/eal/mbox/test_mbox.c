/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "eal_main.h"
#include "sl_mbox.h"

struct msg {
	uint32_t n;
	uint32_t check[6];
};

static struct msg
msg_of(uint32_t n)
{
	struct msg m = {.n = n};

	for (unsigned i = 0; i < 6; i++)
		m.check[i] = n * 2654435761u + i;
	return m;
}

static void
assert_msg(const struct msg *m, uint32_t n)
{
	struct msg want = msg_of(n);

	assert_memory_equal(m, &want, sizeof(want));
}

static void
assert_refused(const char *name, unsigned entries, unsigned size, int want)
{
	errno = 0;
	assert_null(sl_mbox_new(name, entries, size));
	assert_int_equal(errno, want);
}

static void
test_bounds(void **state)
{
	struct sl_mbox *m = sl_mbox_new("one", 1, 4);
	struct rte_ring *r;

	assert_non_null(m);
	assert_refused("one", 1, 4, EEXIST);
	assert_refused("two", 0, 4, EINVAL);
	assert_refused("two", (1u << 20) + 1, 4, EINVAL);
	assert_refused("two", 1, 0, EINVAL);
	assert_refused("two", 1, 6, EINVAL);
	assert_refused("two", 1, 68, EINVAL);
	assert_refused("a name that is much too long for a ring", 1, 4, ENAMETOOLONG);
	sl_mbox_free(m);
	m = sl_mbox_new("one", 1, 4); /* the name is free again */
	assert_non_null(m);
	sl_mbox_free(m);
	sl_mbox_free(NULL);
	assert_null(sl_mbox_ring_new("r", 0, -1));
	r = sl_mbox_ring_new("r", 100, -1);
	assert_non_null(r);
	assert_int_equal(rte_ring_get_capacity(r), 100);
	assert_int_equal(rte_ring_is_prod_single(r), 1);
	assert_int_equal(rte_ring_is_cons_single(r), 1);
	rte_ring_free(r);
}

/* Every size up to the limit arrives whole, around the end of the ring too. */
static void
test_sizes(void **state)
{
	uint8_t in[SL_MBOX_MSG_MAX], out[4 * SL_MBOX_MSG_MAX + 8];
	struct sl_mbox *m;

	for (unsigned size = 4; size <= SL_MBOX_MSG_MAX; size += 4) {
		m = sl_mbox_new("sizes", 5, size);
		assert_non_null(m);
		for (unsigned round = 0; round < 20; round++) {
			for (unsigned k = 0; k < 3; k++) {
				memset(in, (int)(round * 3 + k + 1), size);
				assert_true(sl_mbox_put(m, in));
			}
			assert_int_equal(sl_mbox_count(m), 3);
			memset(out, 0xee, sizeof(out));
			assert_int_equal(sl_mbox_get(m, out, 4), 3);
			for (unsigned i = 0; i < 3 * size; i++)
				assert_int_equal(out[i], round * 3 + i / size + 1);
			assert_int_equal(out[3 * size], 0xee);
		}
		assert_int_equal(sl_mbox_get(m, out, 4), 0);
		sl_mbox_free(m);
	}
}

static void
test_full(void **state)
{
	struct sl_mbox *m = sl_mbox_new("full", 10, sizeof(struct msg));
	struct msg in, out[16];

	assert_non_null(m);
	for (uint32_t i = 0; i < 10; i++) {
		in = msg_of(i);
		assert_true(sl_mbox_put(m, &in));
	}
	in = msg_of(99);
	assert_false(sl_mbox_put(m, &in));
	assert_int_equal(sl_mbox_get(m, out, 4), 4);
	assert_true(sl_mbox_put(m, &in));
	assert_int_equal(sl_mbox_get(m, &out[4], 12), 7);
	for (uint32_t i = 0; i < 11; i++)
		assert_msg(&out[i], i < 10 ? i : 99);
	sl_mbox_free(m);
}

static void
test_retry_keeps_order(void **state)
{
	struct sl_mbox *m = sl_mbox_new("retry", 7, sizeof(struct msg));
	struct sl_mbox_retry r = {0};
	struct msg in, out[16];
	uint32_t sent = 0, got = 0;

	assert_non_null(m);
	for (unsigned round = 0; round < 1000; round++) {
		for (unsigned k = 0; k < (round < 500 ? 9 : 1); k++) {
			in = msg_of(sent++);
			assert_int_equal(sl_mbox_send(m, &r, &in), 0);
		}
		for (unsigned n = sl_mbox_get(m, out, 5), i = 0; i < n; i++)
			assert_msg(&out[i], got++);
		assert_int_equal(sent, got + sl_mbox_count(m) + r.waiting);
	}
	assert_true(r.delayed > 1000 && r.delayed < sent);
	while (got < sent) {
		sl_mbox_retry_flush(m, &r);
		for (unsigned n = sl_mbox_get(m, out, 16), i = 0; i < n; i++)
			assert_msg(&out[i], got++);
	}
	assert_int_equal(sl_mbox_retry_flush(m, &r), 0);
	assert_null(r.head);
	assert_null(r.tail);
	sl_mbox_retry_free(&r);
	sl_mbox_free(m);
}

static void
test_retry_free(void **state)
{
	struct sl_mbox *m = sl_mbox_new("rfree", 1, sizeof(struct msg));
	struct sl_mbox_retry r = {0};
	struct msg in = msg_of(1);

	assert_non_null(m);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(sl_mbox_send(m, &r, &in), 0);
	assert_int_equal(r.waiting, 299);
	sl_mbox_retry_free(&r);
	assert_int_equal(r.waiting, 0);
	assert_null(r.head);
	sl_mbox_free(m);
}

#define MESSAGES 300000

static void *
consume(void *arg)
{
	struct sl_mbox *m = arg;
	struct msg out[8];
	uint32_t got = 0;

	while (got < MESSAGES) {
		unsigned n = sl_mbox_get(m, out, 8);

		for (unsigned i = 0; i < n; i++, got++) {
			struct msg want = msg_of(got);

			if (memcmp(&out[i], &want, sizeof(want)) != 0)
				return (void *)1;
		}
		if (n == 0)
			sched_yield();
	}
	return NULL;
}

static void
test_threads(void **state)
{
	struct sl_mbox *m = sl_mbox_new("threads", 64, sizeof(struct msg));
	struct sl_mbox_retry r = {0};
	struct msg in;
	pthread_t t;
	void *rc;

	assert_non_null(m);
	assert_int_equal(pthread_create(&t, NULL, consume, m), 0);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		in = msg_of(i);
		assert_int_equal(sl_mbox_send(m, &r, &in), 0);
		if (r.waiting > 1000)
			sched_yield();
	}
	while (sl_mbox_retry_flush(m, &r) > 0)
		sched_yield();
	pthread_join(t, &rc);
	assert_null(rc);
	sl_mbox_retry_free(&r);
	sl_mbox_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),	   cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_full),	   cmocka_unit_test(test_retry_keeps_order),
		cmocka_unit_test(test_retry_free), cmocka_unit_test(test_threads),
	};

	eal_start("test_mbox");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
