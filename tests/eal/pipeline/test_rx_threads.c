/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two workers and an io lcore in threads of their own: every packet arrives on any of them, and
 * each peer's packets end once and in order.
 *
 * Fit for the thread sanitizer (with RTE_USE_C11_MEM_MODEL): packets come and go by our own rings,
 * and their buffers belong to this thread from first to last, because it cannot see into the
 * libraries of the ring port and the pool.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "eal_main.h"
#include "gw_fixture.h"

#define LCORES 3
#define PACKETS 1536
#define IN_FLIGHT 128

struct loop {
	struct gw *g;
	unsigned id;
	atomic_bool *stop;
};

struct traffic {
	struct gw *g;
	struct gw_session s[2];
	struct rte_mbuf *m[PACKETS];
	struct rte_ring *out[LCORES];
	uint32_t next[2]; /* sequence number that each peer's flow must show */
	unsigned sent, got;
};

static void *
run(void *arg)
{
	struct loop *l = arg;

	while (!atomic_load(l->stop))
		if (sl_worker_poll(l->g->dp->worker[l->id], l->g->now_ns) == 0)
			sched_yield();
	return NULL;
}

static void
make_packets(struct traffic *t)
{
	struct gw_pkt inner, p;
	unsigned i, k;
	uint32_t seq;

	for (i = 0; i < PACKETS; i++) {
		k = i & 1;
		seq = (uint32_t)t->s[k].counter;
		gw_udp(&inner, k ? "10.8.0.3" : "10.8.0.2", GW_SERVER4, 1, 2, &seq, 4);
		gw_data(&p, &t->s[k], t->s[k].counter++, &inner);
		t->m[i] = gw_mbuf(t->g, &p);
		sl_meta(t->m[i])->next = SL_NEXT_CLASSIFY;
		sl_meta(t->m[i])->port = GW_OUTSIDE;
	}
}

/* A peer's packets change lcores only when none is under way, else they may pass each other. */
static void
send_some(struct traffic *t)
{
	while (t->sent < PACKETS && t->sent - t->got < IN_FLIGHT &&
	       (t->sent % IN_FLIGHT != 0 || t->sent == t->got)) {
		unsigned to = (t->sent / IN_FLIGHT + (t->sent & 1)) % LCORES;
		struct sl_worker *w = t->g->dp->worker[to];

		assert_int_equal(rte_ring_sp_enqueue(w->inject[1], t->m[t->sent]), 0);
		t->sent++;
	}
}

static void
collect(struct traffic *t)
{
	struct rte_mbuf *m;
	unsigned i, k;
	uint32_t seq;

	for (i = 0; i < LCORES; i++) {
		while (rte_ring_sc_dequeue(t->out[i], (void **)&m) == 0) {
			const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);

			k = p[14 + 15] - 2; /* 10.8.0.2 and .3 */
			memcpy(&seq, p + 14 + 28, 4);
			assert_int_equal(seq, t->next[k]);
			t->next[k]++;
			t->got++;
		}
	}
}

static void
open_gate(struct traffic *t)
{
	unsigned i;

	t->g = gw_new(&(struct gw_conf){.workers = 2, .io = 1});
	t->g->peer[2]->home = 1;
	gw_session_current(t->g, 1, 1, &t->s[0]);
	gw_session_current(t->g, 2, 2, &t->s[1]);
	for (i = 0; i < LCORES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "out%u", i);
		t->out[i] = sl_mbox_ring_new(name, 1024, -1);
		assert_non_null(t->out[i]);
		t->g->dp->worker[i]->tx[GW_INSIDE].via = t->out[i];
	}
	make_packets(t);
}

static void
test_threads(void **state)
{
	static struct traffic t;
	struct loop loop[LCORES];
	pthread_t thread[LCORES];
	atomic_bool stop = false;
	unsigned i;

	open_gate(&t);
	for (i = 0; i < LCORES; i++) {
		loop[i] = (struct loop){.g = t.g, .id = i, .stop = &stop};
		assert_int_equal(pthread_create(&thread[i], NULL, run, &loop[i]), 0);
	}
	while (t.got < PACKETS) {
		send_some(&t);
		collect(&t);
	}
	atomic_store(&stop, true);
	for (i = 0; i < LCORES; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(gw_all_drops(t.g), 0);
	assert_int_equal(t.g->peer[1]->rx_packets, PACKETS / 2);
	assert_int_equal(t.g->peer[2]->rx_packets, PACKETS / 2);
	assert_true(t.g->dp->worker[2]->stats->lcore.steered_packets > 0);
	rte_pktmbuf_free_bulk(t.m, PACKETS);
	for (i = 0; i < LCORES; i++)
		rte_ring_free(t.out[i]);
	gw_free(t.g);
}

/* --- lanes ------------------------------------------------------------------------------- */

#define ROUNDS 1000

struct taker {
	struct sl_worker *w;
	atomic_bool stop;
	atomic_uint got;
};

/* hs as far as lanes go: it takes messages and notes in them from which worker they came. */
static void *
take(void *arg)
{
	struct taker *t = arg;
	struct rte_mbuf *m;
	unsigned lane;
	cpu_set_t any;

	CPU_ZERO(&any); /* EAL pinned who made us to one */
	for (lane = 0; lane < CPU_SETSIZE; lane++)
		CPU_SET(lane, &any);
	pthread_setaffinity_np(pthread_self(), sizeof(any), &any);

	while (!atomic_load(&t->stop)) {
		for (lane = 0; lane < SL_HS_LANES; lane++) {
			while (rte_ring_sc_dequeue(t->w->hs_lane[lane], (void **)&m) == 0) {
				sl_meta(m)->nh = 2;
				atomic_fetch_add(&t->got, 1);
			}
		}
	}
	return NULL;
}

/*
 * A message is given away once, whatever hs writes into it while the others are being given away:
 * the first one goes to the first lane, many more to the last.
 */
static void
test_lanes(void **state)
{
	static struct taker t;
	struct gw *g = gw_new(&(struct gw_conf){0});
	struct rte_mbuf *m[SL_VEC_MAX];
	struct sl_vec in;
	pthread_t thread;
	unsigned round, i;

	t.w = g->dp->worker[0];
	assert_int_equal(rte_pktmbuf_alloc_bulk(g->pool, m, SL_VEC_MAX), 0);
	for (i = 0; i < SL_VEC_MAX; i++)
		sl_meta(m[i])->nh = 2;
	assert_int_equal(pthread_create(&thread, NULL, take, &t), 0);
	for (round = 1; round <= ROUNDS; round++) {
		sl_meta(m[0])->nh = 0;
		memcpy(in.m, m, sizeof(m));
		in.n = SL_VEC_MAX;
		sl_stage_hs(t.w, &in, t.w->v);
		while (atomic_load(&t.got) < round * SL_VEC_MAX)
			sched_yield();
		if (atomic_load(&t.got) != round * SL_VEC_MAX)
			break;
	}
	atomic_store(&t.stop, true);
	pthread_join(thread, NULL);
	for (i = 0; i < SL_HS_LANES; i++)
		assert_int_equal(rte_ring_count(t.w->hs_lane[i]), 0);
	assert_int_equal(atomic_load(&t.got), ROUNDS * SL_VEC_MAX);
	rte_pktmbuf_free_bulk(m, SL_VEC_MAX);
	gw_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads),
					   cmocka_unit_test(test_lanes)};

	eal_start("test_pipeline_rx_threads");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
