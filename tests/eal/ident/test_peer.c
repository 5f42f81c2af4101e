/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "sl_peer.h"

static void
table_is_empty_and_bounded(void **state)
{
	struct sl_peer_table *t = sl_peer_table_new();
	struct sl_peer *p = sl_peer_alloc(2);

	assert_non_null(t);
	assert_null(sl_peer_get(t, 0));
	assert_null(sl_peer_get(t, SL_PEER_MAX - 1));
	assert_null(sl_peer_get(t, SL_PEER_MAX));
	assert_null(sl_peer_get(t, SL_PEER_ID_NONE));
	atomic_store_explicit(&t->slot[SL_PEER_MAX - 1], p, memory_order_release);
	assert_ptr_equal(sl_peer_get(t, SL_PEER_MAX - 1), p);
	sl_peer_free(p);
	sl_peer_table_free(t);
}

static void
peer_is_zeroed_and_aligned(void **state)
{
	for (unsigned workers = 0; workers <= 128; workers += 32) {
		struct sl_peer *p = sl_peer_alloc(workers);
		uint64_t packets, bytes;

		assert_int_equal((uintptr_t)p % SL_CACHE_LINE, 0);
		assert_int_equal(p->n_tx, workers);
		assert_null(atomic_load(&p->current));
		assert_int_equal((uintptr_t)&p->tx[0] % SL_CACHE_LINE, 0);
		for (unsigned i = 0; i < workers; i++) {
			atomic_store(&p->tx[i].packets, i + 1);
			atomic_store(&p->tx[i].bytes, 100 * (i + 1));
		}
		sl_peer_tx_sum(p, &packets, &bytes);
		assert_int_equal(packets, workers * (workers + 1) / 2);
		assert_int_equal(bytes, 100 * (workers * (workers + 1) / 2));
		sl_peer_free(p);
	}
}

static void
path_comes_back_as_written(void **state)
{
	struct sl_peer *p = sl_peer_alloc(1);
	struct sl_peer_path path, back;

	sl_peer_path_read(p, &back);
	assert_int_equal(back.outer.dst.family, 0);
	for (unsigned i = 0; i < 5; i++) {
		memset(&path, 0, sizeof(path));
		path.outer.dst.family = i % 2 ? 4 : 6;
		memset(path.outer.dst.b, (int)i, 16);
		memset(path.outer.src.b, (int)(100 + i), 16);
		path.outer.sport = (uint16_t)(51820 + i);
		path.outer.dport = (uint16_t)(40000 + i);
		sl_peer_path_write(p, &path);
		sl_peer_path_read(p, &back);
		assert_memory_equal(&path, &back, sizeof(path));
		assert_memory_equal(&path, &p->path, sizeof(path));
	}
	sl_peer_free(p);
}

#define ROUNDS 200000

struct torn {
	struct sl_peer *p;
	_Atomic bool stop;
	_Atomic unsigned bad, reads;
};

/** Every byte of a version is the same: a mixed copy is seen. */
static void *
read_versions(void *arg)
{
	struct torn *x = arg;
	struct sl_peer_path c;
	const uint8_t *b = (const uint8_t *)&c;

	while (!atomic_load(&x->stop)) {
		sl_peer_path_read(x->p, &c);
		for (unsigned i = 1; i < sizeof(c); i++) {
			if (b[i] != b[0]) {
				atomic_fetch_add(&x->bad, 1);
				break;
			}
		}
		atomic_fetch_add(&x->reads, 1);
	}
	return NULL;
}

static void
path_copies_are_never_mixed(void **state)
{
	struct torn x = {.p = sl_peer_alloc(1)};
	struct sl_peer_path path;
	pthread_t th;

	assert_int_equal(pthread_create(&th, NULL, read_versions, &x), 0);
	while (atomic_load(&x.reads) == 0)
		;
	for (unsigned i = 0; i < ROUNDS; i++) {
		memset(&path, (int)(i & 0xff), sizeof(path));
		sl_peer_path_write(x.p, &path);
	}
	atomic_store(&x.stop, true);
	pthread_join(th, NULL);
	assert_int_equal(x.bad, 0);
	assert_true(x.reads > 100);
	sl_peer_free(x.p);
}

/** A writer that stops in the middle of a write, as a preempted one does, holds nobody up. */
static void
reader_passes_a_stopped_writer(void **state)
{
	struct sl_peer *p = sl_peer_alloc(1);
	struct sl_peer_path path, back;

	memset(&path, 7, sizeof(path));
	sl_peer_path_write(p, &path);
	atomic_fetch_add(&p->path_seq, 1);
	memset(&p->path, 9, sizeof(path) / 2);
	sl_peer_path_read(p, &back);
	assert_memory_equal(&path, &back, sizeof(path));
	sl_peer_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_empty_and_bounded),
		cmocka_unit_test(peer_is_zeroed_and_aligned),
		cmocka_unit_test(path_comes_back_as_written),
		cmocka_unit_test(path_copies_are_never_mixed),
		cmocka_unit_test(reader_passes_a_stopped_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
