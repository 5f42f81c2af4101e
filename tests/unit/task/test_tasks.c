/* SPDX-License-Identifier: BSD-3-Clause */
/* Tasks run on another thread in their order, and the loop is told of each; what was not begun when
 * they end is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include "sl_tasks.h"

#define MANY 100

struct job {
	struct sl_task task;
	struct event_base *base;
	struct sl_tasks *again; /* to be given once more */
	pthread_t ran_on, told_on;
	unsigned at, told_at;
	_Atomic bool *gate; /* waits for it */
};

static _Atomic unsigned ran;
static unsigned told, told_until;

static void
run(struct sl_task *t)
{
	struct job *j = SL_CONTAINER_OF(t, struct job, task);

	while (j->gate != NULL && !atomic_load(j->gate))
		usleep(1000);
	j->ran_on = pthread_self();
	j->at = atomic_fetch_add(&ran, 1);
}

static void
done(struct sl_task *t)
{
	struct job *j = SL_CONTAINER_OF(t, struct job, task);

	j->told_on = pthread_self();
	j->told_at = told++;
	if (j->again != NULL) {
		sl_tasks_give(j->again, t);
		j->again = NULL;
	}
	if (told == told_until)
		event_base_loopbreak(j->base);
}

static struct sl_tasks *
begin(struct event_base **base)
{
	struct sl_error e;
	struct sl_tasks *w;

	atomic_store(&ran, 0);
	told = told_until = 0;
	*base = event_base_new();
	w = sl_tasks_new(*base, "test", &e);
	assert_non_null(w);
	return w;
}

static void
test_order(void **state)
{
	struct event_base *base;
	struct sl_tasks *w = begin(&base);
	struct job j[MANY] = {0};

	told_until = MANY + 1;
	for (unsigned i = 0; i < MANY; i++) {
		j[i] = (struct job){.task = {.run = run, .done = done}, .base = base};
		j[i].again = i == 0 ? w : NULL;
		sl_tasks_give(w, &j[i].task);
	}
	event_base_dispatch(base);
	assert_int_equal(told, MANY + 1);
	for (unsigned i = 1; i < MANY; i++) {
		assert_int_equal(j[i].told_at, i);
		assert_true(pthread_equal(j[i].told_on, pthread_self()));
		assert_false(pthread_equal(j[i].ran_on, pthread_self()));
	}
	assert_true(j[0].at > 0); /* its second time */
	sl_tasks_free(w);
	event_base_free(base);
}

static void *
open_late(void *gate)
{
	usleep(50000);
	atomic_store((_Atomic bool *)gate, true);
	return NULL;
}

/** The running one ends, the next is never begun; nobody is told of either. */
static void
test_end(void **state)
{
	_Atomic bool gate = false;
	struct event_base *base;
	struct sl_tasks *w = begin(&base);
	struct job first = {.task = {.run = run, .done = done}, .base = base, .gate = &gate};
	struct job second = {.task = {.run = run, .done = done}, .base = base};
	pthread_t opener;

	sl_tasks_give(w, &first.task);
	sl_tasks_give(w, &second.task);
	usleep(20000); /* it has been taken */
	assert_int_equal(pthread_create(&opener, NULL, open_late, &gate), 0);
	sl_tasks_free(w);
	pthread_join(opener, NULL);
	assert_int_equal(atomic_load(&ran), 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(told, 0);
	event_base_free(base);
	sl_tasks_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
