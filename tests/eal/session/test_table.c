/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "session_util.h"

#define NOW_NS (1000 * SL_NS_PER_S)

static struct sl_noise_keys
keys_of(uint8_t fill, bool initiator)
{
	struct sl_noise_keys k = {.remote_index = 0x01020304, .initiator = initiator};

	memset(k.send.b, fill, SL_KEY_LEN);
	memset(k.recv.b, fill + 1, SL_KEY_LEN);
	return k;
}

static void
life_of_a_keypair(void **state)
{
	struct sl_session_table *t = table_seeded(3, 64, false, 1);
	struct sl_noise_keys k = keys_of(0x40, false);
	struct sl_peer *peer = (struct sl_peer *)(uintptr_t)0x1000;
	struct sl_session_stats st;
	enum sl_slot_state s;
	struct sl_keypair *kp;
	uint32_t index;

	assert_int_equal(sl_session_reserve(t, 2, 77, &index), 0);
	assert_int_equal(sl_session_owner(t, index, &s), 2);
	assert_int_equal(s, SL_SLOT_HANDSHAKE);
	assert_int_equal(sl_index_decode(t, index).owner, 2);
	assert_int_equal(sl_session_peer(t, index), 77);
	assert_null(sl_session_lookup(t, index));

	kp = sl_session_publish(t, index, peer, 9, &k, NOW_NS);
	assert_non_null(kp);
	assert_ptr_equal(sl_session_lookup(t, index), kp);
	assert_int_equal(sl_session_owner(t, index, &s), 2);
	assert_int_equal(s, SL_SLOT_LIVE);
	assert_int_equal(sl_session_peer(t, index), 77);
	assert_ptr_equal(kp->peer, peer);
	assert_int_equal(kp->peer_id, 77);
	assert_int_equal(kp->iface_id, 9);
	assert_int_equal(kp->owner, 2);
	assert_int_equal(kp->local_index, index);
	assert_int_equal(kp->remote_index, 0x01020304);
	assert_int_equal(kp->birth_ns, NOW_NS);
	assert_int_equal(kp->birth_tick, sl_tick_of(NOW_NS));
	assert_false(kp->initiator);
	assert_false(kp->confirmed);
	assert_memory_equal(kp->send_key, k.send.b, SL_KEY_LEN);
	assert_memory_equal(kp->recv_key, k.recv.b, SL_KEY_LEN);
	assert_int_equal(kp->send_counter, 0);
	assert_int_equal(kp->replay->next, 0);
	assert_int_equal((uintptr_t)kp % SL_CACHE_LINE, 0);
	sl_session_stats(t, &st);
	assert_int_equal(st.live, 1);
	assert_int_equal(st.pending, 0);

	sl_session_unreserve(t, index); /* too late: does nothing */
	assert_ptr_equal(sl_session_lookup(t, index), kp);

	sl_session_unpublish(t, kp);
	assert_null(sl_session_lookup(t, index));
	assert_int_equal(sl_session_owner(t, index, &s), -1);
	assert_int_equal(s, SL_SLOT_RETIRED);
	assert_int_equal(sl_session_peer(t, index), SL_PEER_ID_NONE);
	assert_int_equal(kp->recv_key[0], 0x41); /* whoever still holds it can finish */
	sl_session_unpublish(t, kp);
	sl_session_stats(t, &st);
	assert_int_equal(st.live, 0);
	assert_int_equal(st.retired, 1);

	sl_session_release(t, kp);
	assert_int_equal(sl_session_owner(t, index, NULL), -1);
	sl_session_stats(t, &st);
	assert_int_equal(st.retired, 0);
	sl_session_free(t);
}

static void
initiator_is_confirmed_at_once(void **state)
{
	struct sl_session_table *t = table_seeded(1, 64, false, 1);
	struct sl_noise_keys k = keys_of(1, true);
	struct sl_keypair *kp;
	uint32_t index;

	assert_int_equal(sl_session_reserve(t, 0, 1, &index), 0);
	kp = sl_session_publish(t, index, NULL, 1, &k, NOW_NS);
	assert_true(kp->initiator);
	assert_true(kp->confirmed);
	sl_session_release(t, kp); /* without unpublish: does both */
	assert_null(sl_session_lookup(t, index));
	sl_session_free(t);
}

static void
only_a_reserved_index_is_published(void **state)
{
	struct sl_session_table *t = table_seeded(1, 64, false, 1);
	struct sl_noise_keys k = keys_of(1, true);
	uint32_t index;

	assert_null(sl_session_publish(t, 0, NULL, 1, &k, NOW_NS));
	assert_int_equal(sl_session_reserve(t, 0, 1, &index), 0);
	assert_non_null(sl_session_publish(t, index, NULL, 1, &k, NOW_NS));
	assert_null(sl_session_publish(t, index, NULL, 1, &k, NOW_NS));
	assert_int_equal(sl_session_reserve(t, 0, 1, &index), 0);
	sl_session_unreserve(t, index);
	assert_null(sl_session_publish(t, index, NULL, 1, &k, NOW_NS));
	sl_session_free(t);
}

static void
a_slot_is_never_the_same_index_twice_in_a_row(void **state)
{
	struct sl_session_table *t = table_seeded(1, 1, false, 1);
	uint32_t seen[33], other;

	for (unsigned i = 0; i < 33; i++) {
		assert_int_equal(sl_session_reserve(t, 0, i, &seen[i]), 0);
		assert_int_equal(sl_session_reserve(t, 0, i, &other), -ENOSPC);
		assert_int_equal(sl_session_peer(t, seen[i]), i);
		for (unsigned j = 0; j < i && i < 32; j++) {
			assert_int_not_equal(seen[i], seen[j]);
			assert_int_equal(sl_session_owner(t, seen[j], NULL), -1);
		}
		sl_session_unreserve(t, seen[i]);
		sl_session_unreserve(t, seen[i]); /* twice does no harm */
	}
	assert_int_equal(seen[32], seen[0]); /* five bits */
	sl_session_free(t);
}

static void
an_old_index_is_no_way_to_a_new_keypair(void **state)
{
	struct sl_session_table *t = table_seeded(1, 1, false, 1);
	struct sl_noise_keys k = keys_of(1, true);
	uint32_t a, b;

	assert_int_equal(sl_session_reserve(t, 0, 1, &a), 0);
	sl_session_unreserve(t, a);
	assert_int_equal(sl_session_reserve(t, 0, 2, &b), 0);
	sl_session_unreserve(t, a);
	assert_int_equal(sl_session_peer(t, b), 2);

	/* nor does it find what lives there now */
	assert_non_null(sl_session_publish(t, b, NULL, 1, &k, NOW_NS));
	assert_non_null(sl_session_lookup(t, b));
	assert_null(sl_session_lookup(t, a));
	assert_int_equal(sl_session_owner(t, a, NULL), -1);
	assert_int_equal(sl_session_peer(t, a), SL_PEER_ID_NONE);
	assert_null(sl_session_publish(t, a, NULL, 1, &k, NOW_NS));
	sl_session_free(t);
}

static void
slots_rest_as_long_as_possible(void **state)
{
	struct sl_session_table *t = table_seeded(1, 2000, false, 1);
	uint32_t index[2000], n, slot, first;

	/* the 1,024 slots that rest at least are all used before the first one comes back */
	for (n = 0; n < 1024; n++) {
		assert_int_equal(sl_session_reserve(t, 0, n, &index[n]), 0);
		slot = sl_index_decode(t, index[n]).slot;
		assert_int_equal(slot, n);
		sl_session_unreserve(t, index[n]);
	}
	for (n = 0; n < 1024; n++) {
		assert_int_equal(sl_session_reserve(t, 0, n, &first), 0);
		slot = sl_index_decode(t, first).slot;
		assert_int_equal(slot, n); /* oldest first */
		assert_int_equal(sl_index_decode(t, first).generation, 1);
		sl_session_unreserve(t, first);
	}
	/* resting is cut short before allocation fails */
	for (n = 0; n < 2000; n++)
		assert_int_equal(sl_session_reserve(t, 0, n, &index[n]), 0);
	assert_int_equal(sl_session_reserve(t, 0, 0, &first), -ENOSPC);
	sl_session_unreserve(t, index[1234]);
	assert_int_equal(sl_session_reserve(t, 0, 0, &first), 0);
	assert_int_equal(sl_index_decode(t, first).slot, sl_index_decode(t, index[1234]).slot);
	sl_session_free(t);
}

static void
owners_have_slots_of_their_own(void **state)
{
	struct sl_session_table *t = table_seeded(128, 2, false, 1);
	uint32_t a[128], b[128], c;

	for (unsigned o = 0; o < 128; o++) {
		assert_int_equal(sl_session_reserve(t, o, o, &a[o]), 0);
		assert_int_equal(sl_session_reserve(t, o, 1000 + o, &b[o]), 0);
		assert_int_equal(sl_session_reserve(t, o, o, &c), -ENOSPC);
	}
	for (unsigned o = 0; o < 128; o++) {
		assert_int_equal(sl_session_owner(t, a[o], NULL), o);
		assert_int_equal(sl_session_peer(t, b[o]), 1000 + o);
	}
	assert_int_equal(sl_session_reserve(t, 128, 0, &c), -EINVAL);
	sl_session_free(t);
}

static void
flat_indexes_do_not_depend_on_the_topology(void **state)
{
	struct sl_session_table *one = table_seeded(1, 16, true, 4);
	struct sl_session_table *four = table_seeded(4, 99, true, 4);
	uint32_t a, b;

	for (unsigned i = 0; i < 5000; i++) {
		assert_int_equal(sl_session_reserve(one, 0, i, &a), 0);
		assert_int_equal(sl_session_reserve(four, i % 4, i, &b), 0);
		assert_int_equal(a, b);
		assert_int_equal(sl_index_decode(four, b).owner, 0);
		assert_int_equal(sl_session_owner(four, b, NULL), i % 4);
		if (i % 3 != 0) {
			sl_session_unreserve(one, a);
			sl_session_unreserve(four, b);
		}
	}
	sl_session_free(one);
	sl_session_free(four);
}

static void
stray_indexes_find_nothing_and_touch_nothing(void **state)
{
	enum { N = 200000 };
	struct sl_session_table *t = table_seeded(128, 1U << SL_INDEX_SLOT_BITS, false, 4);
	struct rusage before, after;
	uint64_t rnd = 5;
	uint32_t index;
	unsigned hits = 0;

	assert_int_equal(sl_session_reserve(t, 5, 1, &index), 0);
	getrusage(RUSAGE_SELF, &before);
	for (unsigned i = 0; i < N; i++) {
		uint32_t x = (uint32_t)next_random(&rnd);

		hits += sl_session_lookup(t, x) != NULL;
		hits += x != index && sl_session_owner(t, x, NULL) >= 0;
		hits += x != index && sl_session_peer(t, x) != SL_PEER_ID_NONE;
	}
	getrusage(RUSAGE_SELF, &after);
	assert_int_equal(hits, 0);
	assert_true(after.ru_minflt - before.ru_minflt < 500);
	sl_session_free(t);
}

/* --- random operations against a naive model ------------------------------------------------ */

#define MODEL_MAX 300

struct model {
	struct {
		uint32_t index, peer;
		unsigned owner;
		enum sl_slot_state state;
		struct sl_keypair *kp;
		uint8_t fill;
	} e[MODEL_MAX];
	unsigned n;
};

static void
check_entry(struct sl_session_table *t, const struct model *m, unsigned i)
{
	uint32_t index = m->e[i].index;
	enum sl_slot_state s;
	int owner = sl_session_owner(t, index, &s);

	assert_int_equal(s, m->e[i].state);
	assert_int_equal(owner, s == SL_SLOT_RETIRED ? -1 : (int)m->e[i].owner);
	assert_ptr_equal(sl_session_lookup(t, index), s == SL_SLOT_LIVE ? m->e[i].kp : NULL);
	if (s != SL_SLOT_RETIRED)
		assert_int_equal(sl_session_peer(t, index), m->e[i].peer);
	if (s != SL_SLOT_HANDSHAKE) {
		uint8_t want[SL_KEY_LEN];

		memset(want, m->e[i].fill, sizeof(want));
		assert_memory_equal(m->e[i].kp->send_key, want, sizeof(want));
	}
}

static void
drop_entry(struct sl_session_table *t, struct model *m, unsigned i)
{
	uint32_t index = m->e[i].index;

	m->e[i] = m->e[--m->n];
	assert_int_equal(sl_session_owner(t, index, NULL), -1);
	assert_null(sl_session_lookup(t, index));
}

static void
step(struct sl_session_table *t, struct model *m, uint64_t r)
{
	unsigned i = m->n > 0 ? (unsigned)(r >> 20) % m->n : 0;
	struct sl_noise_keys k = keys_of((uint8_t)(r >> 50), r >> 49 & 1);

	if (m->n == 0 || (r % 4 < 2 && m->n < MODEL_MAX)) {
		m->e[m->n].owner = (unsigned)(r >> 8) % 3;
		m->e[m->n].peer = (uint32_t)(r >> 32);
		if (sl_session_reserve(t, m->e[m->n].owner, m->e[m->n].peer, &m->e[m->n].index) !=
		    0)
			return;
		for (unsigned j = 0; j < m->n; j++)
			assert_int_not_equal(m->e[j].index, m->e[m->n].index);
		m->e[m->n++].state = SL_SLOT_HANDSHAKE;
	} else if (m->e[i].state == SL_SLOT_HANDSHAKE && r % 4 == 3) {
		sl_session_unreserve(t, m->e[i].index);
		drop_entry(t, m, i);
	} else if (m->e[i].state == SL_SLOT_HANDSHAKE) {
		m->e[i].kp = sl_session_publish(t, m->e[i].index, NULL, 1, &k, NOW_NS);
		assert_non_null(m->e[i].kp);
		m->e[i].fill = k.send.b[0];
		m->e[i].state = SL_SLOT_LIVE;
	} else if (m->e[i].state == SL_SLOT_LIVE) {
		sl_session_unpublish(t, m->e[i].kp);
		m->e[i].state = SL_SLOT_RETIRED;
	} else {
		sl_session_release(t, m->e[i].kp);
		drop_entry(t, m, i);
	}
}

static void
random_operations_follow_the_model(void **state)
{
	struct sl_session_table *t = table_seeded(3, 60, false, 8);
	static struct model m;
	struct sl_session_stats st;
	unsigned by_state[4] = {0};
	uint64_t rnd = 42;

	for (unsigned n = 0; n < 30000; n++) {
		step(t, &m, next_random(&rnd));
		for (unsigned i = n % 16; i < m.n; i += 16)
			check_entry(t, &m, i);
	}
	for (unsigned i = 0; i < m.n; i++) {
		check_entry(t, &m, i);
		by_state[m.e[i].state]++;
	}
	sl_session_stats(t, &st);
	assert_int_equal(st.pending, by_state[SL_SLOT_HANDSHAKE]);
	assert_int_equal(st.live, by_state[SL_SLOT_LIVE]);
	assert_int_equal(st.retired, by_state[SL_SLOT_RETIRED]);
	assert_true(m.n > 30);
	sl_session_free(t);
}

/* --- a reader beside the writer ------------------------------------------------------------- */

struct race {
	struct sl_session_table *t;
	_Atomic uint32_t index;
	_Atomic uint64_t polls; /* of the reader: its quiescent points */
	_Atomic bool stop;
	_Atomic unsigned bad, found;
};

static void *
read_side(void *arg)
{
	struct race *x = arg;

	while (!atomic_load(&x->stop)) {
		uint32_t index = atomic_load(&x->index);
		struct sl_keypair *kp = sl_session_lookup(x->t, index);

		if (kp != NULL) {
			atomic_fetch_add(&x->found, 1);
			if (kp->local_index != index || kp->recv_key[0] != kp->recv_key[31] ||
			    kp->send_key[0] == 0 || kp->replay->next != 0)
				atomic_fetch_add(&x->bad, 1);
		}
		sl_session_owner(x->t, index, NULL);
		atomic_fetch_add(&x->polls, 1);
	}
	return NULL;
}

static void
a_reader_sees_whole_keypairs(void **state)
{
	struct race x = {.t = table_seeded(1, 8, false, 8)};
	pthread_t th;

	assert_int_equal(pthread_create(&th, NULL, read_side, &x), 0);
	for (unsigned i = 0; i < 3000; i++) {
		struct sl_noise_keys k = keys_of((uint8_t)(1 + i % 200), true);
		struct sl_keypair *kp;
		uint64_t polls;
		uint32_t index;

		assert_int_equal(sl_session_reserve(x.t, 0, i, &index), 0);
		atomic_store(&x.index, index);
		kp = sl_session_publish(x.t, index, NULL, 1, &k, NOW_NS);
		assert_non_null(kp);
		polls = atomic_load(&x.polls);
		while (atomic_load(&x.polls) < polls + 2)
			;
		sl_session_unpublish(x.t, kp);
		/* else the load below may overtake the store above */
		atomic_thread_fence(memory_order_seq_cst);
		polls = atomic_load(&x.polls);
		while (atomic_load(&x.polls) < polls + 2) /* a grace period */
			;
		sl_session_release(x.t, kp);
	}
	atomic_store(&x.stop, true);
	pthread_join(th, NULL);
	assert_int_equal(x.bad, 0);
	assert_true(x.found >= 3000);
	sl_session_free(x.t);
}

static void
bad_sizes_are_refused(void **state)
{
	static const struct sl_session_conf bad[] = {
		{.owners = 0, .slots_per_owner = 1},
		{.owners = SL_OWNER_MAX + 1, .slots_per_owner = 1},
		{.owners = 1, .slots_per_owner = 0},
		{.owners = 1, .slots_per_owner = (1U << SL_INDEX_SLOT_BITS) + 1},
	};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct sl_error e = {0};

		assert_null(sl_session_new(&bad[i], &e));
		assert_int_equal(e.err, -EINVAL);
		assert_string_equal(e.reason, "out_of_range");
	}
	sl_session_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life_of_a_keypair),
		cmocka_unit_test(initiator_is_confirmed_at_once),
		cmocka_unit_test(only_a_reserved_index_is_published),
		cmocka_unit_test(a_slot_is_never_the_same_index_twice_in_a_row),
		cmocka_unit_test(an_old_index_is_no_way_to_a_new_keypair),
		cmocka_unit_test(slots_rest_as_long_as_possible),
		cmocka_unit_test(owners_have_slots_of_their_own),
		cmocka_unit_test(flat_indexes_do_not_depend_on_the_topology),
		cmocka_unit_test(stray_indexes_find_nothing_and_touch_nothing),
		cmocka_unit_test(random_operations_follow_the_model),
		cmocka_unit_test(a_reader_sees_whole_keypairs),
		cmocka_unit_test(bad_sizes_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
