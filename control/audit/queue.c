/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "sl_env.h"

struct sl_line *
sl_line_new(const char *text, size_t len, uint64_t seq, unsigned severity, const char *action)
{
	struct sl_line *l = malloc(sizeof(*l) + len + 1);
	size_t n = strnlen(action, SL_LINE_ACTION - 1);

	if (l == NULL)
		return NULL;
	atomic_init(&l->refs, 1);
	l->len = (uint32_t)len;
	l->seq = seq;
	l->severity = (uint8_t)severity;
	l->kind = SL_LINE_FLOW;
	memcpy(l->action, action, n);
	l->action[n] = '\0';
	memcpy(l->text, text, len);
	l->text[len] = '\0';
	return l;
}

struct sl_line *
sl_line_ref(struct sl_line *l)
{
	atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
	return l;
}

void
sl_line_unref(struct sl_line *l)
{
	if (l != NULL && atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) == 1)
		free(l);
}

const char *
sl_dropped_text(unsigned reason)
{
	static const char *const text[] = {"queue_full", "no_space", "write_error",
					   "too_long",	 "rejected", "shutdown"};

	_Static_assert(SL_ARRAY_SIZE(text) == SL_DROPPED_MAX, "one text each");
	return reason < SL_DROPPED_MAX ? text[reason] : "invalid";
}

int
sl_queue_init(struct sl_queue *q, unsigned max)
{
	uint32_t size = 1;
	pthread_condattr_t attr;

	memset(q, 0, sizeof(*q));
	while (size < max)
		size *= 2;
	q->slot = calloc(size, sizeof(struct sl_line *));
	if (q->slot == NULL)
		return -ENOMEM;
	q->mask = size - 1;
	q->max = max;
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->wake, &attr);
	pthread_condattr_destroy(&attr);
	return 0;
}

void
sl_queue_free(struct sl_queue *q)
{
	if (q->slot == NULL)
		return;
	for (; q->n > 0; q->n--)
		sl_line_unref(q->slot[q->head++ & q->mask]);
	pthread_cond_destroy(&q->wake);
	pthread_mutex_destroy(&q->lock);
	free(q->slot);
	q->slot = NULL;
}

void
sl_queue_put(struct sl_queue *q, struct sl_line *const *l, unsigned n, uint64_t now_ns)
{
	unsigned i, room;

	if (n == 0)
		return;
	pthread_mutex_lock(&q->lock);
	if (q->n == 0)
		q->since_ns = now_ns;
	room = q->max - q->n - q->held;
	q->c.drained += n;
	if (n > room)
		q->c.dropped[SL_DROPPED_QUEUE_FULL] += n - room;
	for (i = 0; i < SL_MIN(n, room); i++) {
		q->slot[(q->head + q->n++) & q->mask] = sl_line_ref(l[i]);
		q->bytes += l[i]->len;
	}
	pthread_cond_signal(&q->wake);
	pthread_mutex_unlock(&q->lock);
}

unsigned
sl_queue_take(struct sl_queue *q, struct sl_line **out, unsigned max, size_t bytes, uint64_t now_ns)
{
	unsigned k = 0;
	size_t sum = 0;

	pthread_mutex_lock(&q->lock);
	while (k < max && q->n > 0) {
		struct sl_line *l = q->slot[q->head & q->mask];

		sum += l->len;
		if (k > 0 && sum > bytes)
			break;
		out[k++] = l;
		q->head++;
		q->n--;
		q->bytes -= l->len;
	}
	if (q->held == 0)
		q->begun_ns = sl_clock_mono_ns();
	q->held += k;
	q->since_ns = now_ns;
	pthread_mutex_unlock(&q->lock);
	return k;
}

void
sl_queue_wait(struct sl_queue *q, unsigned ms)
{
	struct timespec ts;
	uint64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ns = (uint64_t)ts.tv_nsec + ms * SL_NS_PER_MS;
	ts.tv_sec += (time_t)(ns / SL_NS_PER_S);
	ts.tv_nsec = (long)(ns % SL_NS_PER_S);
	pthread_mutex_lock(&q->lock);
	if (q->n == 0 && !q->kicked)
		pthread_cond_timedwait(&q->wake, &q->lock, &ts);
	q->kicked = false;
	pthread_mutex_unlock(&q->lock);
}

void
sl_queue_kick(struct sl_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->kicked = true;
	pthread_cond_signal(&q->wake);
	pthread_mutex_unlock(&q->lock);
}

static void
settle(struct sl_queue *q, struct sl_line *const *l, unsigned n, uint64_t *count)
{
	unsigned i;

	pthread_mutex_lock(&q->lock);
	q->held -= n;
	*count += n;
	pthread_mutex_unlock(&q->lock);
	for (i = 0; i < n; i++)
		sl_line_unref(l[i]);
}

static void
note_push(struct sl_queue *q)
{
	uint64_t now = sl_clock_mono_ns();

	pthread_mutex_lock(&q->lock);
	sl_prom_time(&q->pushes, now - q->begun_ns);
	q->begun_ns = now;
	pthread_mutex_unlock(&q->lock);
}

void
sl_queue_ack(struct sl_queue *q, struct sl_line *const *l, unsigned n)
{
	if (n > 0)
		note_push(q);
	settle(q, l, n, &q->c.acked);
}

void
sl_queue_own(struct sl_queue *q, unsigned n)
{
	pthread_mutex_lock(&q->lock);
	q->c.drained += n;
	q->c.acked += n;
	pthread_mutex_unlock(&q->lock);
}

void
sl_queue_drop(struct sl_queue *q, struct sl_line *const *l, unsigned n, enum sl_dropped why)
{
	settle(q, l, n, &q->c.dropped[why]);
}

void
sl_queue_drop_waiting(struct sl_queue *q, enum sl_dropped why)
{
	pthread_mutex_lock(&q->lock);
	q->c.dropped[why] += q->n;
	for (; q->n > 0; q->n--)
		sl_line_unref(q->slot[q->head++ & q->mask]);
	q->bytes = 0;
	pthread_mutex_unlock(&q->lock);
}

unsigned
sl_queue_waiting(struct sl_queue *q, uint64_t *since_ns, size_t *bytes)
{
	unsigned n;

	pthread_mutex_lock(&q->lock);
	n = q->n;
	if (since_ns != NULL)
		*since_ns = q->since_ns;
	if (bytes != NULL)
		*bytes = q->bytes;
	pthread_mutex_unlock(&q->lock);
	return n;
}

void
sl_queue_counts(struct sl_queue *q, struct sl_queue_counts *out)
{
	pthread_mutex_lock(&q->lock);
	*out = q->c;
	out->queued = q->n + q->held;
	pthread_mutex_unlock(&q->lock);
}

void
sl_queue_pushes(struct sl_queue *q, struct sl_prom_times *out)
{
	pthread_mutex_lock(&q->lock);
	*out = q->pushes;
	pthread_mutex_unlock(&q->lock);
}
