/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_tasks.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define NICE 5
#define A_TURN 16 /* tasks that the loop is told of at a time */

struct list {
	struct sl_task *first, **last;
};

struct sl_tasks {
	char name[16];
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t given;
	struct list todo, ran;
	bool ending;
	int fd; /* counts what ran */
	struct event *ev;
};

static void
list_add(struct list *l, struct sl_task *t)
{
	t->next = NULL;
	*l->last = t;
	l->last = &t->next;
}

/** @return NULL: it is empty */
static struct sl_task *
list_take(struct list *l)
{
	struct sl_task *t = l->first;

	if (t != NULL)
		l->first = t->next;
	if (l->first == NULL)
		l->last = &l->first;
	return t;
}

/* --- the thread ------------------------------------------------------------------------------- */

/** The next one. @return NULL: the thread ends */
static struct sl_task *
take(struct sl_tasks *w)
{
	struct sl_task *t;

	pthread_mutex_lock(&w->lock);
	while (w->todo.first == NULL && !w->ending)
		pthread_cond_wait(&w->given, &w->lock);
	t = w->ending ? NULL : list_take(&w->todo);
	pthread_mutex_unlock(&w->lock);
	return t;
}

static void *
body(void *arg)
{
	struct sl_tasks *w = arg;
	struct sl_task *t;

	pthread_setname_np(pthread_self(), w->name);
	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	while ((t = take(w)) != NULL) {
		t->run(t);
		pthread_mutex_lock(&w->lock);
		list_add(&w->ran, t);
		pthread_mutex_unlock(&w->lock);
		eventfd_write(w->fd, 1);
	}
	return NULL;
}

/* --- the loop --------------------------------------------------------------------------------- */

static struct sl_task *
take_ran(struct sl_tasks *w)
{
	struct sl_task *t;

	pthread_mutex_lock(&w->lock);
	t = list_take(&w->ran);
	pthread_mutex_unlock(&w->lock);
	return t;
}

static void
on_ran(evutil_socket_t fd, short what, void *arg)
{
	struct sl_tasks *w = arg;
	struct sl_task *t = NULL;
	eventfd_t n;

	eventfd_read(fd, &n);
	for (unsigned i = 0; i < A_TURN && (t = take_ran(w)) != NULL; i++)
		t->done(t);
	if (t != NULL) /* there may be more: others have their turn before */
		eventfd_write(fd, 1);
}

static int
start(struct sl_tasks *w)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&w->thread, NULL, body, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static void
release(struct sl_tasks *w)
{
	if (w->ev != NULL)
		event_free(w->ev);
	if (w->fd >= 0)
		close(w->fd);
	pthread_cond_destroy(&w->given);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

struct sl_tasks *
sl_tasks_new(struct event_base *base, const char *name, struct sl_error *e)
{
	struct sl_tasks *w = calloc(1, sizeof(*w));
	int rc = ENOMEM;

	if (w == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for a thread");
		return NULL;
	}
	snprintf(w->name, sizeof(w->name), "%s", name);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->given, NULL);
	w->todo.last = &w->todo.first;
	w->ran.last = &w->ran.first;
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->fd >= 0)
		w->ev = event_new(base, w->fd, EV_READ | EV_PERSIST, on_ran, w);
	if (w->ev != NULL && event_add(w->ev, NULL) == 0)
		rc = start(w);
	if (rc == 0)
		return w;
	sl_fail(e, -rc, "thread", "", "a thread does not start: %s", strerror(rc));
	release(w);
	return NULL;
}

void
sl_tasks_free(struct sl_tasks *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_signal(&w->given);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	release(w);
}

void
sl_tasks_give(struct sl_tasks *w, struct sl_task *t)
{
	pthread_mutex_lock(&w->lock);
	list_add(&w->todo, t);
	pthread_cond_signal(&w->given);
	pthread_mutex_unlock(&w->lock);
}
