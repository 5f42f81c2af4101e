/* SPDX-License-Identifier: BSD-3-Clause */
#include "gw_helper.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define NICE 10

struct gw_helper {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t given, finished;
	struct gw_task *first, **last;
	bool ending;
	cpu_set_t cpus;
	bool has_cpus;
};

static void
run_task(struct gw_helper *h, struct gw_task *t)
{
	bool detached = t->detached;

	t->run(t);
	if (detached)
		return;
	pthread_mutex_lock(&h->lock);
	atomic_store_explicit(&t->done, true, memory_order_release);
	pthread_cond_broadcast(&h->finished);
	pthread_mutex_unlock(&h->lock);
}

static void *
body(void *arg)
{
	struct gw_helper *h = arg;
	struct gw_task *t;

	pthread_setname_np(pthread_self(), "sl-helper");
	if (h->has_cpus)
		pthread_setaffinity_np(pthread_self(), sizeof(h->cpus), &h->cpus);
	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	pthread_mutex_lock(&h->lock);
	while (h->first != NULL || !h->ending) {
		t = h->first;
		if (t == NULL) {
			pthread_cond_wait(&h->given, &h->lock);
			continue;
		}
		h->first = t->next;
		if (h->first == NULL)
			h->last = &h->first;
		pthread_mutex_unlock(&h->lock);
		run_task(h, t);
		pthread_mutex_lock(&h->lock);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

struct gw_helper *
gw_helper_new(const unsigned *cpus, unsigned n_cpus, struct sl_error *e)
{
	struct gw_helper *h = calloc(1, sizeof(*h));
	sigset_t all, old;
	int rc;

	if (h == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "out of memory");
		return NULL;
	}
	/* What the helper frees in many small pieces is put together at once, by the helper. In
	 * glibc's fast bins it would wait for the next large free, which is the loop's: 39 ms after
	 * a suggestion of 130,000 flows. */
	mallopt(M_MXFAST, 0);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->given, NULL);
	pthread_cond_init(&h->finished, NULL);
	h->last = &h->first;
	CPU_ZERO(&h->cpus);
	for (unsigned i = 0; i < n_cpus; i++)
		CPU_SET(cpus[i], &h->cpus);
	h->has_cpus = n_cpus > 0;
	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&h->thread, NULL, body, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		return h;
	sl_fail(e, -rc, "thread", "", "the helper thread does not start: %s", strerror(rc));
	free(h);
	return NULL;
}

void
gw_helper_free(struct gw_helper *h)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->lock);
	h->ending = true;
	pthread_cond_signal(&h->given);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	pthread_cond_destroy(&h->given);
	pthread_cond_destroy(&h->finished);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void
gw_helper_give(struct gw_helper *h, struct gw_task *t)
{
	bool detached = t->detached;

	t->next = NULL;
	atomic_store_explicit(&t->done, false, memory_order_relaxed);
	if (h == NULL) {
		t->run(t);
		if (!detached)
			atomic_store_explicit(&t->done, true, memory_order_relaxed);
		return;
	}
	pthread_mutex_lock(&h->lock);
	*h->last = t;
	h->last = &t->next;
	pthread_cond_signal(&h->given);
	pthread_mutex_unlock(&h->lock);
}

void
gw_helper_wait(struct gw_helper *h, struct gw_task *t)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->lock);
	while (!gw_task_done(t))
		pthread_cond_wait(&h->finished, &h->lock);
	pthread_mutex_unlock(&h->lock);
}
