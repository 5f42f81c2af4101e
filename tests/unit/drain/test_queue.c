/* SPDX-License-Identifier: BSD-3-Clause */
/* The queue of a sink against a plain list, and its law at each step. */
#include "drain_test.h"

#define MAX 37

static struct sl_line *
line(uint64_t seq)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "{\"n\":%llu}\n", (unsigned long long)seq);
	struct sl_line *l = sl_line_new(text, (size_t)n, seq, 6, "x");

	assert_non_null(l);
	return l;
}

struct model {
	uint64_t wait[MAX], held[MAX];
	unsigned n_wait, n_held;
	struct sl_line *line[MAX]; /* of held */
	uint64_t drained, acked, dropped[SL_DROPPED_MAX];
};

static void
check(struct sl_queue *q, const struct model *m)
{
	struct sl_queue_counts c;
	uint64_t dropped = 0;

	sl_queue_counts(q, &c);
	assert_int_equal(c.drained, m->drained);
	assert_int_equal(c.acked, m->acked);
	assert_int_equal(c.queued, m->n_wait + m->n_held);
	assert_int_equal(sl_queue_waiting(q, NULL, NULL), m->n_wait);
	for (unsigned i = 0; i < SL_DROPPED_MAX; i++) {
		assert_int_equal(c.dropped[i], m->dropped[i]);
		dropped += c.dropped[i];
	}
	assert_int_equal(c.drained, c.acked + dropped + c.queued);
}

static void
put(struct sl_queue *q, struct model *m, unsigned n, uint64_t *seq)
{
	struct sl_line *l[MAX];

	for (unsigned i = 0; i < n; i++) {
		l[i] = line(*seq);
		if (m->n_wait + m->n_held < MAX)
			m->wait[m->n_wait++] = *seq;
		else
			m->dropped[SL_DROPPED_QUEUE_FULL]++;
		m->drained++;
		++*seq;
	}
	sl_queue_put(q, l, n, *seq);
	for (unsigned i = 0; i < n; i++)
		sl_line_unref(l[i]);
}

static void
take(struct sl_queue *q, struct model *m, unsigned max, size_t bytes)
{
	unsigned n = sl_queue_take(q, m->line + m->n_held, max, bytes, 0);
	size_t sum = 0;

	assert_true(n <= max && n <= m->n_wait);
	assert_true(n > 0 || max == 0 || m->n_wait == 0);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(m->line[m->n_held]->seq, m->wait[i]);
		sum += m->line[m->n_held]->len;
		m->n_held++;
	}
	assert_true(n <= 1 || sum <= bytes);
	m->n_wait -= n;
	memmove(m->wait, m->wait + n, m->n_wait * sizeof(m->wait[0]));
}

static void
settle(struct sl_queue *q, struct model *m, unsigned n, unsigned why)
{
	if (why == SL_DROPPED_MAX) {
		sl_queue_ack(q, m->line, n);
		m->acked += n;
	} else {
		sl_queue_drop(q, m->line, n, why);
		m->dropped[why] += n;
	}
	m->n_held -= n;
	memmove(m->line, m->line + n, m->n_held * sizeof(m->line[0]));
}

static void
test_laws(void **state)
{
	static struct model m;
	struct sl_queue q;
	uint64_t seq = 0;

	assert_int_equal(sl_queue_init(&q, MAX), 0);
	srandom(7);
	for (unsigned step = 0; step < 200000; step++) {
		unsigned n = (unsigned)random() % 12;

		switch (random() % 4) {
		case 0:
			put(&q, &m, n, &seq);
			break;
		case 1:
			take(&q, &m, SL_MIN(n, MAX - m.n_held), (size_t)random() % 100);
			break;
		case 2:
			settle(&q, &m, SL_MIN(n, m.n_held), SL_DROPPED_MAX);
			break;
		default:
			if (random() % 8 == 0)
				settle(&q, &m, SL_MIN(n, m.n_held),
				       (unsigned)random() % SL_DROPPED_MAX);
			if (random() % 64 == 0) {
				sl_queue_drop_waiting(&q, SL_DROPPED_SHUTDOWN);
				m.dropped[SL_DROPPED_SHUTDOWN] += m.n_wait;
				m.n_wait = 0;
			}
		}
		check(&q, &m);
	}
	assert_true(m.dropped[SL_DROPPED_QUEUE_FULL] > 1000 && m.acked > 1000);
	settle(&q, &m, m.n_held, SL_DROPPED_MAX);
	sl_queue_free(&q);
}

static void
test_waiting(void **state)
{
	struct sl_line *l = line(1), *got[2];
	struct sl_queue q;
	uint64_t since, before;
	size_t bytes;

	assert_int_equal(sl_queue_init(&q, 4), 0);
	sl_queue_put(&q, &l, 1, 100);
	sl_queue_put(&q, &l, 1, 200);
	assert_int_equal(sl_queue_waiting(&q, &since, &bytes), 2);
	assert_int_equal(since, 100);
	assert_int_equal(bytes, 2 * l->len);
	assert_int_equal(sl_queue_take(&q, got, 1, 1, 300), 1); /* one always */
	sl_queue_waiting(&q, &since, &bytes);
	assert_int_equal(since, 300);
	assert_int_equal(bytes, l->len);
	sl_queue_ack(&q, got, 1);
	before = sl_clock_mono_ns();
	sl_queue_wait(&q, 10000); /* there is one */
	assert_int_equal(sl_queue_take(&q, got, 2, 1, 300), 1);
	sl_queue_ack(&q, got, 1);
	sl_queue_kick(&q);
	sl_queue_wait(&q, 10000); /* a kick is not forgotten */
	assert_true(sl_clock_mono_ns() - before < 5 * SL_NS_PER_S);
	sl_queue_wait(&q, 20);
	assert_true(sl_clock_mono_ns() - before >= 20 * SL_NS_PER_MS);
	sl_queue_free(&q);
	sl_line_unref(l);
}

/** From the take, or the delivery before; what is given up is none. */
static void
test_pushes(void **state)
{
	struct sl_line *l[] = {line(1), line(2), line(3)}, *got[3];
	struct sl_prom_times t;
	struct sl_queue q;

	assert_int_equal(sl_queue_init(&q, 4), 0);
	sl_queue_put(&q, l, 3, 0);
	assert_int_equal(sl_queue_take(&q, got, 3, 1000, 0), 3);
	usleep(30000);
	sl_queue_ack(&q, got, 0);
	sl_queue_ack(&q, got, 1);
	sl_queue_ack(&q, got + 1, 1);
	sl_queue_drop(&q, got + 2, 1, SL_DROPPED_REJECTED);
	sl_queue_pushes(&q, &t);
	assert_int_equal(t.all, 2);
	assert_true(t.sum_ns >= 30 * SL_NS_PER_MS && t.sum_ns < 30 * SL_NS_PER_S);
	assert_true(t.n[0] + t.n[1] + t.n[2] < 2); /* the first took longer than 20 ms */
	sl_queue_free(&q);
	for (unsigned i = 0; i < 3; i++)
		sl_line_unref(l[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_laws),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_pushes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
