/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "eal_main.h"
#include "sl_rcu.h"

static struct sl_rcu *rcu;
static struct sl_rcu_queue *queue;
static unsigned order[4096];
static unsigned n_order;

static int
setup(void **state)
{
	rcu = sl_rcu_new(8);
	queue = rcu != NULL ? sl_rcu_queue_new(rcu) : NULL;
	n_order = 0;
	return queue == NULL;
}

static int
teardown(void **state)
{
	sl_rcu_queue_free(queue);
	sl_rcu_free(rcu);
	return 0;
}

static void
note(void *ctx, void *obj)
{
	assert_ptr_equal(ctx, &n_order);
	order[n_order++] = (unsigned)(uintptr_t)obj;
}

static void
defer(unsigned what)
{
	assert_int_equal(sl_rcu_defer(queue, note, &n_order, (void *)(uintptr_t)what), 0);
}

static void
test_bounds(void **state)
{
	assert_null(sl_rcu_new(0));
	assert_int_equal(sl_rcu_register(rcu, 7), 0);
	assert_int_equal(sl_rcu_register(rcu, 8), -EINVAL);
	assert_int_equal(sl_rcu_unregister(rcu, 8), -EINVAL);
	assert_int_equal(sl_rcu_unregister(rcu, 7), 0);
	sl_rcu_free(NULL);
	sl_rcu_queue_free(NULL);
}

static void
test_nobody_reads(void **state)
{
	sl_rcu_register(rcu, 0);
	sl_rcu_register(rcu, 1);
	defer(1);
	defer(2);
	assert_int_equal(sl_rcu_pending(queue), 2);
	assert_int_equal(sl_rcu_poll(queue), 2);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 2);
	assert_int_equal(sl_rcu_poll(queue), 0);
}

static void
test_waits_for_all(void **state)
{
	sl_rcu_register(rcu, 0);
	sl_rcu_register(rcu, 3);
	sl_rcu_register(rcu, 5);
	sl_rcu_online(rcu, 0);
	sl_rcu_online(rcu, 3);
	defer(1);
	assert_int_equal(sl_rcu_poll(queue), 0);
	sl_rcu_quiescent(rcu, 0);
	assert_int_equal(sl_rcu_poll(queue), 0);
	defer(2); /* 0 has not been quiet since */
	sl_rcu_quiescent(rcu, 3);
	assert_int_equal(sl_rcu_poll(queue), 1);
	assert_int_equal(sl_rcu_pending(queue), 1);
	sl_rcu_offline(rcu, 0); /* asleep counts as quiet */
	assert_int_equal(sl_rcu_poll(queue), 1);
	assert_int_equal(order[1], 2);
	/* who comes online later does not hold up what was unpublished before */
	sl_rcu_quiescent(rcu, 3);
	defer(3);
	sl_rcu_online(rcu, 5);
	sl_rcu_quiescent(rcu, 3);
	assert_int_equal(sl_rcu_poll(queue), 1);
	sl_rcu_offline(rcu, 3);
	sl_rcu_offline(rcu, 5);
}

static void
test_many(void **state)
{
	sl_rcu_register(rcu, 0);
	sl_rcu_online(rcu, 0);
	for (unsigned round = 0; round < 3; round++) {
		n_order = 0;
		for (unsigned i = 0; i < 4096; i++)
			defer(i);
		assert_int_equal(sl_rcu_pending(queue), 4096);
		assert_int_equal(sl_rcu_poll(queue), 0);
		sl_rcu_quiescent(rcu, 0);
		assert_int_equal(sl_rcu_poll(queue), 4096);
		for (unsigned i = 0; i < 4096; i++)
			assert_int_equal(order[i], i);
	}
	sl_rcu_offline(rcu, 0);
}

static void
defer_again(void *ctx, void *obj)
{
	unsigned left = (unsigned)(uintptr_t)obj;

	n_order++;
	if (left > 0)
		assert_int_equal(sl_rcu_defer(queue, defer_again, NULL,
					      (void *)(uintptr_t)(left - 1)),
				 0);
}

static void
test_drain(void **state)
{
	sl_rcu_register(rcu, 2);
	sl_rcu_online(rcu, 2);
	assert_int_equal(sl_rcu_defer(queue, defer_again, NULL, (void *)5), 0);
	assert_int_equal(sl_rcu_drain(queue), -EBUSY);
	assert_int_equal(n_order, 0);
	sl_rcu_offline(rcu, 2);
	assert_int_equal(sl_rcu_drain(queue), 0);
	assert_int_equal(n_order, 6);
	assert_int_equal(sl_rcu_drain(queue), 0);
}

struct object {
	unsigned magic;
	struct sl_rcu_head rcu;
};

static void
free_object(void *ctx, void *obj)
{
	struct object *o = obj;

	assert_int_equal(o->magic, 42);
	free(o); /* the head goes with it */
	n_order++;
}

static void
test_head_inside(void **state)
{
	sl_rcu_register(rcu, 0);
	sl_rcu_online(rcu, 0);
	for (unsigned i = 0; i < 10; i++) {
		struct object *o = malloc(sizeof(*o));

		assert_non_null(o);
		o->magic = 42;
		sl_rcu_defer_head(queue, &o->rcu, free_object, NULL, o);
		defer(i);
	}
	assert_int_equal(sl_rcu_poll(queue), 0);
	sl_rcu_offline(rcu, 0);
	assert_int_equal(sl_rcu_poll(queue), 20);
	assert_int_equal(n_order, 20);
}

static void
test_two_queues(void **state)
{
	struct sl_rcu_queue *other = sl_rcu_queue_new(rcu);

	assert_non_null(other);
	sl_rcu_register(rcu, 0);
	sl_rcu_online(rcu, 0);
	defer(1);
	assert_int_equal(sl_rcu_defer(other, note, &n_order, (void *)2), 0);
	sl_rcu_quiescent(rcu, 0);
	assert_int_equal(sl_rcu_poll(other), 1);
	assert_int_equal(sl_rcu_pending(queue), 1);
	assert_int_equal(sl_rcu_poll(queue), 1);
	assert_int_equal(order[0], 2);
	sl_rcu_offline(rcu, 0);
	sl_rcu_queue_free(other);
}

/* Readers follow a pointer whose old targets are poisoned after the grace period. */
#define READERS 3
#define SWAPS 20000
#define ALIVE 0x600dbeef

static uint32_t *published;
static bool stop;
static unsigned long reads[READERS];

static void
poison(void *ctx, void *obj)
{
	__atomic_store_n((uint32_t *)obj, 0xdead, __ATOMIC_RELAXED);
	free(obj);
}

static void *
reader(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg;

	sl_rcu_online(rcu, id);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (unsigned i = 0; i < 10; i++) {
			uint32_t *p = __atomic_load_n(&published, __ATOMIC_ACQUIRE);

			if (__atomic_load_n(p, __ATOMIC_RELAXED) != ALIVE) {
				reads[id] = 0;
				sl_rcu_offline(rcu, id);
				return (void *)1;
			}
			reads[id]++;
		}
		sl_rcu_quiescent(rcu, id);
		if (reads[id] % 1000 == 0) {
			sl_rcu_offline(rcu, id);
			sched_yield();
			sl_rcu_online(rcu, id);
		}
	}
	sl_rcu_offline(rcu, id);
	return NULL;
}

static uint32_t *
alive_new(void)
{
	uint32_t *p = malloc(sizeof(*p));

	assert_non_null(p);
	*p = ALIVE;
	return p;
}

static void
test_threads(void **state)
{
	pthread_t t[READERS];
	uint32_t *old;
	void *rc;

	published = alive_new();
	for (unsigned i = 0; i < READERS; i++) {
		sl_rcu_register(rcu, i);
		assert_int_equal(pthread_create(&t[i], NULL, reader, (void *)(uintptr_t)i), 0);
	}
	for (unsigned i = 0; i < SWAPS; i++) {
		old = published;
		__atomic_store_n(&published, alive_new(), __ATOMIC_RELEASE);
		assert_int_equal(sl_rcu_defer(queue, poison, NULL, old), 0);
		sl_rcu_poll(queue);
		if (i % 64 == 0)
			sched_yield();
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < READERS; i++) {
		pthread_join(t[i], &rc);
		assert_null(rc);
	}
	assert_int_equal(sl_rcu_drain(queue), 0);
	free(published);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waits_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_head_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_queues, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	eal_start("test_rcu");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
