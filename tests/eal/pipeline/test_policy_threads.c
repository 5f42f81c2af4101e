/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flows under enforce with two workers in threads of their own, while their peer moves to and fro:
 * every packet passes, in both directions, and each flow is recorded once. Control looks at them
 * all the while: while no peer moves, each flow is in each pass once.
 *
 * Fit for the thread sanitizer (with RTE_USE_C11_MEM_MODEL): packets come and go by our own rings,
 * and the pool has a lock that the sanitizer can see.
 */
#include <pthread.h>
#include <rte_mbuf_pool_ops.h>
#include <sched.h>
#include <stdatomic.h>

#include "eal_main.h"
#include "gw_fixture.h"
#include "pol_fixture.h"

#include "flow_int.h"

#define DOC                                                                                        \
	"{'version': 1, 'zones': {}, 'targets': {}, 'roles': {'user': {'members': "                \
	"['peer:peer1']}}, 'rules': [{'id': 1, 'role': 'user', 'to': ['10.20.0.9/32'],"            \
	" 'protocol': 'udp', 'action': 'allow'}]}"
#define WORKERS 2
#define FLOWS 64
#define PACKETS 6000
#define IN_FLIGHT 64
#define MOVE_EVERY 50 /* packets ... */
#define STILL 2000    /* ... after this one */
#define PEER1 "10.8.0.2"

/* --- a pool with a lock ----------------------------------------------------------------------- */

struct stack {
	pthread_mutex_t lock;
	unsigned n;
	void *v[];
};

static int
stack_alloc(struct rte_mempool *mp)
{
	struct stack *s = calloc(1, sizeof(*s) + mp->size * sizeof(s->v[0]));

	if (s == NULL)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	mp->pool_data = s;
	return 0;
}

static void
stack_free(struct rte_mempool *mp)
{
	free(mp->pool_data);
}

static int
stack_put(struct rte_mempool *mp, void *const *obj, unsigned n)
{
	struct stack *s = mp->pool_data;

	pthread_mutex_lock(&s->lock);
	memcpy(s->v + s->n, obj, n * sizeof(*obj));
	s->n += n;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int
stack_get(struct rte_mempool *mp, void **obj, unsigned n)
{
	struct stack *s = mp->pool_data;
	int rc = -ENOBUFS;

	pthread_mutex_lock(&s->lock);
	if (s->n >= n) {
		s->n -= n;
		memcpy(obj, s->v + s->n, n * sizeof(*obj));
		rc = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static unsigned
stack_count(const struct rte_mempool *mp)
{
	return ((const struct stack *)mp->pool_data)->n;
}

static const struct rte_mempool_ops locked_stack = {
	.name = "locked_stack",
	.alloc = stack_alloc,
	.free = stack_free,
	.enqueue = stack_put,
	.dequeue = stack_get,
	.get_count = stack_count,
};
RTE_MEMPOOL_REGISTER_OPS(locked_stack);

/* --- traffic ---------------------------------------------------------------------------------- */

static struct gw *g;
static struct pol pol;
static struct gw_session s;
static struct rte_ring *out[WORKERS][2];
static unsigned sent, got, moves;

struct loop {
	unsigned id;
	atomic_bool *stop;
};

static void *
run(void *arg)
{
	struct loop *l = arg;

	while (!atomic_load(l->stop))
		if (sl_worker_poll(g->dp->worker[l->id], g->now_ns) == 0)
			sched_yield();
	return NULL;
}

static void
send_one(void)
{
	struct gw_pkt inner, frame;
	uint16_t port = (uint16_t)(1000 + sent % FLOWS);
	bool up = sent < FLOWS || sent / FLOWS % 2 == 0;
	struct rte_mbuf *m;

	if (up)
		gw_udp(&inner, PEER1, GW_SERVER4, port, 53, (const uint8_t *)"text", 4);
	else
		gw_udp(&inner, GW_SERVER4, PEER1, 53, port, (const uint8_t *)"text", 4);
	if (up)
		gw_data(&frame, &s, s.counter++, &inner);
	else
		gw_eth(&inner, gw_mac[GW_INSIDE], 0);
	m = gw_mbuf(g, up ? &frame : &inner);
	sl_meta(m)->next = SL_NEXT_CLASSIFY;
	sl_meta(m)->port = up ? GW_OUTSIDE : GW_INSIDE;
	assert_int_equal(rte_ring_sp_enqueue(g->dp->worker[sent * 7 % 3 % WORKERS]->inject[1], m),
			 0);
	sent++;
}

static void
collect(void)
{
	struct rte_mbuf *m;
	unsigned i, k;

	for (i = 0; i < WORKERS; i++)
		for (k = 0; k < 2; k++)
			while (rte_ring_sc_dequeue(out[i][k], (void **)&m) == 0) {
				rte_pktmbuf_free(m);
				got++;
			}
}

/** Ask the home to hand the peer over, and wait until it has. */
static void
move(void)
{
	unsigned home = sl_peer_home(g->peer[1]);
	struct sl_wk_msg msg = {.type = SL_WK_REHOME_OUT,
				.peer_id = 1,
				.home = (uint16_t)(1 - home)};
	struct sl_wk_ack ack[8];

	assert_true(sl_mbox_put(g->dp->worker[home]->from_hs, &msg));
	while (sl_peer_home(g->peer[1]) == home ||
	       sl_mbox_get(g->dp->worker[home]->to_hs, ack, 8) == 0)
		sched_yield();
	moves++;
}

static int
setup(void **state)
{
	unsigned i, k;

	assert_int_equal(rte_mbuf_set_platform_mempool_ops("locked_stack"), 0);
	g = gw_new(&(struct gw_conf){.workers = WORKERS});
	g->root.authz.deflt = SL_MODE_ENFORCE;
	g->root.authz.logging = true;
	gw_session_current(g, 1, 1, &s);
	gw_endpoint(g, 1, GW_CLIENT, GW_CLIENT_PORT);
	pol_init(&pol);
	pol_load(&pol, &g->root, DOC);
	gw_poll(g);
	for (i = 0; i < WORKERS; i++)
		for (k = 0; k < 2; k++) {
			char name[16];

			snprintf(name, sizeof(name), "out%u%u", i, k);
			out[i][k] = sl_mbox_ring_new(name, 1024, -1);
			assert_non_null(out[i][k]);
			g->dp->worker[i]->tx[k ? GW_OUTSIDE : GW_INSIDE].via = out[i][k];
		}
	return 0;
}

static int
teardown(void **state)
{
	unsigned i;

	for (i = 0; i < WORKERS; i++) {
		rte_ring_free(out[i][0]);
		rte_ring_free(out[i][1]);
	}
	gw_free(g);
	pol_free(&pol);
	return 0;
}

static uint64_t
seen(enum sl_rec_type t)
{
	return pol_seen(g->dp->worker[0], t) + pol_seen(g->dp->worker[1], t);
}

/* --- control looks ---------------------------------------------------------------------------- */

/** One pass over the tables as control makes it, a window at a time. */
struct pass {
	struct sl_flow_ask ask;
	unsigned worker, seen[FLOWS], passes;
	bool asked, settled; /* all flows have begun, and none has moved since the pass began */
};

static void
count_rows(struct pass *p, const struct sl_flow_view *v)
{
	unsigned i;

	for (i = 0; i < v->n; i++) {
		const struct sl_flow *f = &v->row[i];
		unsigned port = (f->flags & SL_FLOW_INIT_B) != 0 ? f->key.pb : f->key.pa;

		assert_true(f->used && f->key.proto == SL_PROTO_UDP && f->peer_id == 1);
		assert_true(port >= 1000 && port < 1000 + FLOWS);
		assert_true((f->flags & SL_FLOW_ALLOW) != 0 && f->packets[0] > 0);
		p->seen[port - 1000]++;
	}
}

static void
end_pass(struct pass *p)
{
	unsigned i, passes = p->passes;

	for (i = 0; i < FLOWS && p->settled; i++)
		assert_int_equal(p->seen[i], 1);
	passes += p->settled;
	*p = (struct pass){.ask = {.peer_id = SL_FLOW_ANY_PEER}, .passes = passes};
}

/** Go on as far as the workers have come. */
static void
look(struct pass *p, bool settled)
{
	struct sl_flow_view *v = g->dp->worker[p->worker]->view;

	if (!sl_flow_view_here(v))
		return;
	if (!p->asked) {
		p->settled = p->worker == 0 && p->ask.at == 0 ? settled : p->settled;
		sl_flow_view_ask(v, &p->ask);
		p->asked = true;
		return;
	}
	count_rows(p, v);
	p->asked = false;
	p->ask.at = v->end ? 0 : v->next;
	p->worker += v->end;
	if (p->worker == WORKERS)
		end_pass(p);
}

/* --- test ------------------------------------------------------------------------------------- */

static void
flows_move_between_threads(void **state)
{
	struct pass pass = {.ask = {.peer_id = SL_FLOW_ANY_PEER}};
	pthread_t thread[WORKERS];
	struct loop loop[WORKERS];
	atomic_bool stop = false;
	unsigned i, flows;

	for (i = 0; i < WORKERS; i++) {
		loop[i] = (struct loop){.id = i, .stop = &stop};
		assert_int_equal(pthread_create(&thread[i], NULL, run, &loop[i]), 0);
	}
	while (got < PACKETS) {
		while (sent < PACKETS && sent - got < IN_FLIGHT &&
		       (sent != FLOWS || got == FLOWS)) {
			send_one(); /* replies come when their flow has begun */
			if (sent > STILL && sent % MOVE_EVERY == 0) {
				pass.settled = false;
				move();
			}
		}
		collect();
		look(&pass, got >= FLOWS && sent <= STILL);
	}
	atomic_store(&stop, true);
	for (i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	assert_true(moves > 50);
	assert_true(pass.passes >= 1);
	assert_int_equal(gw_all_drops(g), 0);
	flows = sl_flow_count(g->dp->worker[0]->flows) + sl_flow_count(g->dp->worker[1]->flows);
	sl_flow_purge(g->dp->worker[0]);
	sl_flow_purge(g->dp->worker[1]);
	assert_true(flows <= FLOWS); /* the rest is on its way */
	assert_int_equal(seen(SL_REC_ALLOW), FLOWS);
	assert_int_equal(seen(SL_REC_END), FLOWS);
	pol_law(g->dp->worker[0]);
	pol_law(g->dp->worker[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(flows_move_between_threads, setup, teardown),
	};

	eal_start("test_policy_threads");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
