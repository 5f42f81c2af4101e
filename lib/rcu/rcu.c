/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <rte_malloc.h>

#include "sl_rcu.h"

#define CACHE_MAX 256 /* entries kept for the next deferrals */

struct sl_rcu_queue {
	struct sl_rcu *rcu;
	struct sl_rcu_head *first;
	struct sl_rcu_head *last;
	struct sl_rcu_head *cache;
	unsigned n_pending;
	unsigned n_cached;
};

struct sl_rcu *
sl_rcu_new(unsigned max_threads)
{
	struct sl_rcu *r;
	size_t size;

	if (max_threads == 0)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	size = rte_rcu_qsbr_get_memsize(max_threads);
	r->qsbr = rte_zmalloc("sl_rcu", size, SL_CACHE_LINE);
	if (r->qsbr == NULL || rte_rcu_qsbr_init(r->qsbr, max_threads) != 0) {
		sl_rcu_free(r);
		return NULL;
	}
	r->max_threads = max_threads;
	return r;
}

void
sl_rcu_free(struct sl_rcu *r)
{
	if (r == NULL)
		return;
	rte_free(r->qsbr);
	free(r);
}

int
sl_rcu_register(struct sl_rcu *r, unsigned id)
{
	if (id >= r->max_threads)
		return -EINVAL;
	return rte_rcu_qsbr_thread_register(r->qsbr, id) == 0 ? 0 : -EINVAL;
}

int
sl_rcu_unregister(struct sl_rcu *r, unsigned id)
{
	if (id >= r->max_threads)
		return -EINVAL;
	return rte_rcu_qsbr_thread_unregister(r->qsbr, id) == 0 ? 0 : -EINVAL;
}

struct sl_rcu_queue *
sl_rcu_queue_new(struct sl_rcu *r)
{
	struct sl_rcu_queue *q = calloc(1, sizeof(*q));

	if (q != NULL)
		q->rcu = r;
	return q;
}

static void
free_entries(struct sl_rcu_head *h)
{
	struct sl_rcu_head *next;

	for (; h != NULL; h = next) {
		next = h->next;
		if (h->own)
			free(h);
	}
}

void
sl_rcu_queue_free(struct sl_rcu_queue *q)
{
	if (q == NULL)
		return;
	free_entries(q->first);
	free_entries(q->cache);
	free(q);
}

static struct sl_rcu_head *
entry_get(struct sl_rcu_queue *q)
{
	struct sl_rcu_head *h = q->cache;

	if (h == NULL)
		return malloc(sizeof(*h));
	q->cache = h->next;
	q->n_cached--;
	return h;
}

static void
entry_put(struct sl_rcu_queue *q, struct sl_rcu_head *h)
{
	if (q->n_cached >= CACHE_MAX) {
		free(h);
		return;
	}
	h->next = q->cache;
	q->cache = h;
	q->n_cached++;
}

static void
append(struct sl_rcu_queue *q, struct sl_rcu_head *h)
{
	h->next = NULL;
	/* A new token every time: the grace period of this entry begins here. */
	h->token = rte_rcu_qsbr_start(q->rcu->qsbr);
	if (q->last != NULL)
		q->last->next = h;
	else
		q->first = h;
	q->last = h;
	q->n_pending++;
}

int
sl_rcu_defer(struct sl_rcu_queue *q, sl_rcu_fn fn, void *ctx, void *obj)
{
	struct sl_rcu_head *h = entry_get(q);

	if (h == NULL)
		return -ENOMEM;
	*h = (struct sl_rcu_head){.fn = fn, .ctx = ctx, .obj = obj, .own = true};
	append(q, h);
	return 0;
}

void
sl_rcu_defer_head(struct sl_rcu_queue *q, struct sl_rcu_head *head, sl_rcu_fn fn, void *ctx,
		  void *obj)
{
	*head = (struct sl_rcu_head){.fn = fn, .ctx = ctx, .obj = obj};
	append(q, head);
}

static void
run_first(struct sl_rcu_queue *q)
{
	struct sl_rcu_head *h = q->first, run = *h;

	q->first = h->next;
	if (q->first == NULL)
		q->last = NULL;
	q->n_pending--;
	if (h->own)
		entry_put(q, h);
	run.fn(run.ctx, run.obj);
}

unsigned
sl_rcu_poll(struct sl_rcu_queue *q)
{
	unsigned n = 0;

	while (q->first != NULL && rte_rcu_qsbr_check(q->rcu->qsbr, q->first->token, false) == 1) {
		run_first(q);
		n++;
	}
	return n;
}

unsigned
sl_rcu_pending(const struct sl_rcu_queue *q)
{
	return q->n_pending;
}

int
sl_rcu_drain(struct sl_rcu_queue *q)
{
	while (sl_rcu_poll(q) > 0)
		;
	return q->n_pending == 0 ? 0 : -EBUSY;
}
