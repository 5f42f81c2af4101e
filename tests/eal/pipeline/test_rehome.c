/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A change of home from end to end: the handshake plane and two workers on one thread with a
 * virtual clock, and a client that speaks WireGuard by lib/noise. Packets carry a number: what
 * arrives must be all of them, once and, where the lcores take turns, in order, both ways. Where
 * they run in any order, a packet that goes round by the old home may be overtaken.
 */
#include "eal_main.h"
#include "gw_fixture.h"
#include "sl_cookie.h"
#include "sl_hs.h"

#define STEP_NS (10 * SL_NS_PER_MS)
#define SESSIONS 64
#define NUMBERS (1 << 18)
#define WALL_NS (UINT64_C(1700000000) * SL_NS_PER_S)

/** One inner flow. */
struct flow {
	uint32_t sent, got, next; /* packets; the number after the greatest that arrived */
	uint32_t late;		  /* came after a greater number */
	uint8_t seen[NUMBERS];
};

struct world {
	struct gw *g;
	struct sl_hs *hs;
	struct sl_mbox *cmd, *note;
	struct sl_hs_cmd *sent; /* the last command */
	struct sl_rng_seeded seed[5];
	struct sl_rng rng;
	uint32_t chance; /* of the order in which workers run */
	bool shuffle;
	uint64_t work_ns; /* what a packet takes at a worker, by its counters */

	/* the client */
	struct sl_noise_local local;
	struct sl_noise_peer noise;
	struct sl_cookie_maker maker;
	uint32_t index;
	struct gw_session s[SESSIONS];
	unsigned n_sessions, current; /* it seals with the newest one that was used towards it */
	unsigned queue;		      /* where its packets come in */
	struct flow up, down;	      /* client to server, server to client */
	unsigned moves;
	uint64_t moved_ns;
};

static uint64_t
wall(void *ctx)
{
	return WALL_NS + ((struct world *)ctx)->g->now_ns;
}

static void
arrived(struct flow *f, uint32_t number)
{
	assert_true(number < f->sent);
	assert_false(f->seen[number]);
	f->seen[number] = 1;
	f->got++;
	f->late += number < f->next;
	f->next = SL_MAX(f->next, number + 1);
}

/* --- the client -------------------------------------------------------------------------- */

static void
put(struct world *x, const void *msg, unsigned len)
{
	static struct gw_pkt p;

	gw_udp(&p, GW_CLIENT, GW_OUT4, GW_CLIENT_PORT, 51820, msg, len);
	gw_eth(&p, gw_mac[GW_OUTSIDE], 0);
	gw_in(x->g, GW_OUTSIDE, x->queue, &p);
}

static void
session_begin(struct world *x)
{
	struct gw_session *s = &x->s[x->n_sessions++];
	struct sl_noise_keys k;

	assert_true(x->n_sessions < SESSIONS);
	assert_int_equal(sl_noise_begin(&x->noise, &k), 0);
	memset(s, 0, sizeof(*s));
	s->index = k.remote_index;
	s->remote_index = k.local_index;
	memcpy(s->to_gw, k.send.b, 32);
	memcpy(s->from_gw, k.recv.b, 32);
}

static void
ephemeral(struct world *x, struct sl_secret *eph)
{
	sl_rng_fill(&x->rng, eph->b, sizeof(eph->b));
}

static void
initiate(struct world *x)
{
	struct sl_msg_initiation m;
	uint8_t ts[SL_TAI64N_LEN];
	struct sl_secret eph;

	ephemeral(x, &eph);
	sl_tai64n(ts, wall(x));
	assert_int_equal(sl_noise_create_initiation(&x->local, &x->noise, ++x->index, &eph, ts, &m),
			 0);
	sl_cookie_mac(&x->maker, &m, sizeof(m), x->g->now_ns);
	put(x, &m, sizeof(m));
}

static void
on_initiation(struct world *x, const struct sl_msg_initiation *m)
{
	struct sl_msg_response out;
	struct sl_noise_rx rx;
	struct sl_secret eph;

	assert_int_equal(sl_noise_consume_initiation(&x->local, m, &rx), 0);
	assert_int_equal(sl_noise_accept_initiation(&x->local, &x->noise, m, &rx), 0);
	ephemeral(x, &eph);
	assert_int_equal(sl_noise_create_response(&x->local, &x->noise, ++x->index, &eph, &out), 0);
	sl_cookie_mac(&x->maker, &out, sizeof(out), x->g->now_ns);
	session_begin(x);
	put(x, &out, sizeof(out));
}

/* A type 4 message: the session it came with is the one to use from now on. */
static void
on_data(struct world *x, const uint8_t *msg, unsigned len)
{
	static struct gw_pkt inner;
	uint64_t counter;
	unsigned i;

	for (i = x->n_sessions; i-- > 0;) {
		if (sl_load_le32(msg + 4) != x->s[i].remote_index)
			continue;
		assert_true(gw_open(&inner, &x->s[i], msg, len, &counter));
		x->current = SL_MAX(x->current, i);
		if (inner.len != 0)
			arrived(&x->down, sl_load_be32(inner.b + 28));
		return;
	}
	fail_msg("a message for no session");
}

static void
on_outside(struct world *x, const struct gw_pkt *p)
{
	static const struct gw_pkt empty = {.len = 0};
	const uint8_t *msg = p->b + 14 + 28;
	unsigned len = p->len - 14 - 28;
	struct gw_pkt out;

	switch (sl_load_le32(msg)) {
	case SL_WIRE_INITIATION:
		on_initiation(x, (const void *)msg);
		break;
	case SL_WIRE_RESPONSE:
		assert_int_equal(sl_noise_consume_response(&x->local, &x->noise, (const void *)msg),
				 0);
		session_begin(x);
		x->current = x->n_sessions - 1;
		gw_data(&out, &x->s[x->current], x->s[x->current].counter++, &empty);
		gw_in(x->g, GW_OUTSIDE, x->queue, &out);
		break;
	default:
		on_data(x, msg, len);
		break;
	}
}

/* --- the world --------------------------------------------------------------------------- */

static void
collect(struct world *x)
{
	static struct gw_pkt p;

	while (gw_out(x->g, GW_OUTSIDE, &p))
		on_outside(x, &p);
	while (gw_out(x->g, GW_INSIDE, &p))
		arrived(&x->up, sl_load_be32(p.b + 14 + 28));
}

static unsigned
home(const struct world *x)
{
	return atomic_load(&x->g->peer[1]->home);
}

/* The cycles that this machine took say nothing here. */
static unsigned
poll_worker(struct world *x, unsigned i)
{
	struct sl_worker *w = x->g->dp->worker[i];
	struct sl_stats_lcore_counts *c = &w->stats->lcore;
	uint64_t busy = c->busy_cycles;
	unsigned done = sl_worker_poll(w, x->g->now_ns);

	c->busy_cycles = busy + done * x->work_ns;
	c->total_cycles = x->g->now_ns;
	return done;
}

/* One lcore does a turn. @return things done */
static unsigned
turn(struct world *x, unsigned i)
{
	unsigned before = home(x), done;

	done = i == 2 ? sl_hs_poll(x->hs, x->g->now_ns) : poll_worker(x, i);
	if (home(x) != before) {
		x->moves++;
		x->moved_ns = x->g->now_ns;
	}
	collect(x);
	return done;
}

static void
settle(struct world *x)
{
	unsigned i, idle = 0;

	for (i = 0; idle < 30; i++) {
		assert_true(i < 10000);
		idle = turn(x, i % 3) == 0 ? idle + 1 : 0;
	}
}

static void
send_up(struct world *x, unsigned queue)
{
	static struct gw_pkt p, inner;
	struct gw_session *s = &x->s[x->current];
	uint8_t number[4];

	assert_true(x->up.sent < NUMBERS);
	sl_store_be32(number, x->up.sent++);
	gw_udp(&inner, GW_INNER4, GW_SERVER4, 5000, 6000, number, sizeof(number));
	gw_data(&p, s, s->counter++, &inner);
	gw_in(x->g, GW_OUTSIDE, queue, &p);
}

static void
send_down(struct world *x, unsigned queue)
{
	static struct gw_pkt p;
	uint8_t number[4];

	assert_true(x->down.sent < NUMBERS);
	sl_store_be32(number, x->down.sent++);
	gw_udp(&p, GW_SERVER4, GW_INNER4, 6000, 5000, number, sizeof(number));
	gw_eth(&p, gw_mac[GW_INSIDE], 0);
	gw_in(x->g, GW_INSIDE, queue, &p);
}

static unsigned
random_below(struct world *x, unsigned n)
{
	x->chance = x->chance * 1664525 + 1013904223;
	return (x->chance >> 16) % n;
}

/* Five packets each way and a few turns between them, so that they meet every state. Lcores that
 * run in any order are not waited for but once in a second. */
static void
step(struct world *x)
{
	unsigned k, n;

	x->g->now_ns += STEP_NS;
	for (k = 0; k < 5; k++) {
		send_up(x, x->queue);
		send_down(x, 1);
		for (n = x->shuffle ? random_below(x, 8) : 1; n > 0; n--)
			(void)turn(x, x->shuffle ? random_below(x, 3) : k % 3);
	}
	if (x->shuffle && x->g->now_ns % SL_NS_PER_S != 0)
		return;
	settle(x);
	assert_int_equal(x->up.got, x->up.sent);
	assert_int_equal(x->down.got, x->down.sent);
}

static void
run_for(struct world *x, uint64_t ns)
{
	uint64_t end = x->g->now_ns + ns;

	while (x->g->now_ns < end)
		step(x);
}

static uint64_t
steered(const struct world *x, unsigned worker)
{
	return x->g->dp->worker[worker]->stats->lcore.steered_packets;
}

/* --- begin and end ----------------------------------------------------------------------- */

static void
command(struct world *x, enum sl_hs_cmd_type type, const struct sl_secret *key)
{
	struct sl_hs_cmd *cmd = sl_hs_cmd_new(type);

	assert_non_null(cmd);
	cmd->iface_id = 1;
	cmd->listen_port = 51820;
	cmd->peer = x->g->peer[1];
	if (key != NULL) {
		cmd->fields = SL_HS_F_KEY;
		cmd->key = *key;
	}
	x->sent = cmd;
	assert_true(sl_mbox_put(x->cmd, &x->sent));
}

static void
hs_make(struct world *x)
{
	struct sl_hs_conf c = {.dp = x->g->dp,
			       .wall_ns = wall,
			       .wall_ctx = x,
			       .handshakes_per_s = 1000,
			       .allow_unlocked = true};
	struct sl_error e = {0};

	x->cmd = sl_mbox_new("cmd", 64, sizeof(struct sl_hs_cmd *));
	x->note = sl_mbox_new("note", 1024, sizeof(struct sl_hs_note));
	c.from_control = x->cmd;
	c.to_control = x->note;
	c.rng_index = sl_rng_seeded_init(&x->seed[0], 1, "index");
	c.rng_ephemeral = sl_rng_seeded_init(&x->seed[1], 1, "ephemeral");
	c.rng_cookie = sl_rng_seeded_init(&x->seed[2], 1, "cookie");
	c.rng_jitter = sl_rng_seeded_init(&x->seed[3], 1, "jitter");
	x->hs = sl_hs_new(&c, &e);
	assert_non_null(x->hs);
}

static int
setup(void **state)
{
	struct world *x = calloc(1, sizeof(*x));
	struct sl_noise_local gateway;
	struct sl_secret sk;

	assert_non_null(x);
	x->g = gw_new(&(struct gw_conf){.workers = 2});
	hs_make(x);
	x->rng = sl_rng_seeded_init(&x->seed[4], 1, "client");
	sl_rng_fill(&x->rng, sk.b, sizeof(sk.b));
	sl_noise_local_set(&x->local, &sk);
	x->g->peer[1]->key = x->local.pk;
	sl_rng_fill(&x->rng, sk.b, sizeof(sk.b));
	sl_noise_local_set(&gateway, &sk);
	sl_noise_peer_init(&x->noise, &gateway.pk, NULL);
	sl_cookie_maker_init(&x->maker, &gateway.pk);
	command(x, SL_HS_IFACE_SET, &sk);
	command(x, SL_HS_PEER_ADD, NULL);
	settle(x);
	initiate(x);
	settle(x);
	assert_int_equal(x->n_sessions, 1);
	assert_int_equal(home(x), 0);
	assert_non_null(atomic_load(&x->g->peer[1]->current));
	*state = x;
	return 0;
}

static int
setup_shuffled(void **state)
{
	(void)setup(state);
	((struct world *)*state)->shuffle = true;
	return 0;
}

/* 1,000 packets a second, both ways together, are 60 % of a worker. */
static int
setup_loaded(void **state)
{
	(void)setup(state);
	((struct world *)*state)->work_ns = 600000;
	return 0;
}

static int
teardown(void **state)
{
	struct world *x = *state;

	assert_int_equal(gw_all_drops(x->g), gw_drops(x->g, SL_DROP_LOCAL_CONSUMED));
	if (x->shuffle) {
		assert_true(x->up.late + x->down.late <= 32 * x->moves);
	} else {
		assert_int_equal(x->up.late, 0);
		assert_int_equal(x->down.late, 0);
	}
	sl_hs_free(x->hs);
	sl_mbox_free(x->cmd);
	sl_mbox_free(x->note);
	gw_free(x->g);
	free(x);
	return 0;
}

/* --- cases ------------------------------------------------------------------------------- */

/* All packets come in at the other worker: the home follows, then the keys. */
static void
test_follows(void **state)
{
	struct world *x = *state;
	struct sl_keypair *old = atomic_load(&x->g->peer[1]->current), *kp;
	uint64_t begin, n[2];

	assert_int_equal(old->owner, 0);
	run_for(x, SL_NS_PER_S); /* at home */
	assert_int_equal(x->moves, 0);
	x->queue = 1;
	begin = x->g->now_ns;
	run_for(x, 3 * SL_NS_PER_S);
	assert_int_equal(x->moves, 1);
	assert_int_equal(home(x), 1);
	assert_in_range(x->moved_ns - begin, SL_NS_PER_S / 2, 2200 * SL_NS_PER_MS);
	assert_ptr_equal(atomic_load(&x->g->peer[1]->current), old); /* 5 s between handshakes */
	run_for(x, 2 * SL_NS_PER_S);
	kp = atomic_load(&x->g->peer[1]->current);
	assert_ptr_not_equal(kp, old);
	assert_int_equal(kp->owner, 1);
	assert_int_equal(x->n_sessions, 2);
	assert_int_equal(x->current, 1);
	run_for(x, SL_NS_PER_S);
	n[0] = steered(x, 0);
	n[1] = steered(x, 1);
	run_for(x, 30 * SL_NS_PER_S);
	assert_int_equal(steered(x, 0), n[0]); /* nothing goes round any more */
	assert_int_equal(steered(x, 1), n[1]);
	assert_int_equal(x->moves, 1);
	assert_int_equal(x->n_sessions, 2);
	assert_int_equal(x->up.sent, 37 * 500);
}

/* The same with a peer that is all the work there is: it does not go to and fro for the load that
 * it brings, not with its next handshakes either. */
static void
test_heavy(void **state)
{
	struct world *x = *state;

	x->queue = 1;
	run_for(x, 10 * SL_NS_PER_S);
	assert_int_equal(home(x), 1);
	assert_int_equal(x->moves, 1);
	assert_in_range(x->g->dp->worker[1]->stats->busy_ppm, 500000, 700000);
	run_for(x, 250 * SL_NS_PER_S);
	assert_int_equal(x->moves, 1);
	assert_int_equal(x->n_sessions, 4); /* two rekeys */
}

/* Each packet at another queue: one home is as good as the other. */
static void
test_alternates(void **state)
{
	struct world *x = *state;
	unsigned i;

	for (i = 0; i < 3000; i++) {
		x->queue = i & 1;
		step(x);
	}
	assert_int_equal(x->moves, 0);
	assert_int_equal(x->n_sessions, 1);
}

/* Three seconds here, three seconds there are followed less and less. */
static void
test_to_and_fro(void **state)
{
	struct world *x = *state;
	unsigned i;

	for (i = 0; i < 30; i++) {
		x->queue = !x->queue;
		run_for(x, 3 * SL_NS_PER_S);
	}
	assert_in_range(x->moves, 1, 4);
	assert_in_range(x->n_sessions, 2, 5);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
#define SHUFFLED(t)                                                                                \
	{                                                                                          \
#t " shuffled", t, setup_shuffled, teardown, NULL                                  \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_follows),
		CASE(test_alternates),
		CASE(test_to_and_fro),
		cmocka_unit_test_setup_teardown(test_heavy, setup_loaded, teardown),
		SHUFFLED(test_follows),
		SHUFFLED(test_to_and_fro),
	};

	eal_start("test_pipeline_rehome");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
