/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_cycles.h>
#include <stdlib.h>

#include "policy.h"
#include "sl_assembly.h"

#define AGG_ROWS 8192 /* of aggregates before they are collected */

/** One batch. */
struct timed {
	uint64_t cycles; /* with one reading of the clock a burst */
	float probes;	 /* their sum */
};

uint64_t
bench_clock_cost(void)
{
	static uint64_t cost;
	uint64_t t, d, least = UINT64_MAX;
	unsigned i;

	for (i = 0; i < 1000 && cost == 0; i++) {
		t = rte_rdtsc();
		d = rte_rdtsc() - t;
		least = SL_MIN(least, d);
	}
	if (cost == 0)
		cost = least;
	return cost;
}

/** A burst that began then is done. */
static void
add_burst(struct timed *t, uint64_t begin)
{
	t->cycles += rte_rdtsc() - begin;
	t->probes += bench_speed_probe();
}

static float
probe_of(const struct timed *t)
{
	float mean = t->probes / BENCH_PROBES;

	bench_speed_note(mean);
	return mean;
}

static const char *
path_text(enum bench_path p)
{
	return p == BENCH_RECEIVE ? "receive" : "send";
}

static int
fail(const struct bench_case *c, struct sl_error *e, const char *what)
{
	return sl_fail(e, -EIO, "bench_failed", "", "%s, %u bytes, %u peers: %s",
		       path_text(c->path), c->inner_bytes, c->world->n_peers, what);
}

/** Why packets did not come out, as far as counters tell. */
static int
lost(const struct bench_case *c, unsigned n, struct sl_error *e)
{
	const struct sl_stats_lcore *s = c->world->w->stats;
	char what[200];
	unsigned r, top = 0;

	for (r = 1; r < SL_DROP_MAX; r++)
		if (s->drops[r] > s->drops[top])
			top = r;
	snprintf(what, sizeof(what), "%u of %u packets came out; dropped most: %s", n, BENCH_BATCH,
		 s->drops[top] ? sl_drop_text(top) : "none");
	return fail(c, e, what);
}

static unsigned
collect(struct bench_case *c, enum bench_path path, struct rte_mbuf **m)
{
	struct bench_world *b = c->world;
	struct rte_ring *r = b->port[path == BENCH_RECEIVE ? 1 : 0].tx;

	return rte_ring_sc_dequeue_burst(r, (void **)m, BENCH_BATCH, NULL);
}

/** One batch through the worker; the frames wait in the tx ring. */
static struct timed
poll_batch(struct bench_case *c, enum bench_path path, struct bench_batch *batch)
{
	struct bench_world *b = c->world;
	struct rte_ring *r = b->port[path == BENCH_RECEIVE ? 0 : 1].rx;
	struct timed t = {.probes = bench_speed_probe()};
	uint64_t begin;
	unsigned i;

	rte_ring_sp_enqueue_bulk(r, (void **)batch->m, BENCH_BATCH, NULL);
	for (i = 0; i < BENCH_BURSTS; i++) {
		begin = rte_rdtsc();
		sl_worker_poll(b->w, sl_tsc_ns());
		add_burst(&t, begin);
	}
	return t;
}

/** Nobody else does: forget flows that no packet will come of. */
static void
tidy(struct bench_case *c)
{
	bench_world_tidy(c->world);
	if (c->mode == BENCH_POLICY_MISS)
		sl_worker_purge(c->world->w);
	if (c->world->w->agg->table[0]->used + c->world->w->agg->table[1]->used > AGG_ROWS) {
		sl_agg_turn(c->world->w->agg); /* as control does when it collects */
		sl_agg_poll(c->world->w->agg);
	}
}

static int
time_path(struct bench_case *c, struct bench_batch *batch, struct timed *t, struct sl_error *e)
{
	unsigned n;

	if (!bench_batch_make(c, batch))
		return fail(c, e, "no packet buffers left");
	*t = poll_batch(c, c->path, batch);
	n = collect(c, c->path, batch->m);
	rte_pktmbuf_free_bulk(batch->m, n);
	tidy(c);
	return n == BENCH_BATCH ? 0 : lost(c, n, e);
}

static int
time_cipher(struct bench_case *c, struct bench_batch *batch, struct timed *t, struct sl_error *e)
{
	struct sl_aead *a = c->world->aead;
	bool ok = true;
	uint64_t begin;
	unsigned i;

	if (!bench_batch_make(c, batch))
		return fail(c, e, "no packet buffers left");
	*t = (struct timed){.probes = bench_speed_probe()};
	for (i = 0; i < BENCH_BATCH; i += SL_BURST) {
		begin = rte_rdtsc();
		if (c->path == BENCH_RECEIVE)
			sl_aead_open(a, &batch->job[i], SL_BURST);
		else
			sl_aead_seal(a, &batch->job[i], SL_BURST);
		add_burst(t, begin);
	}
	for (i = 0; i < BENCH_BATCH && c->path == BENCH_RECEIVE; i++)
		ok &= batch->job[i].ok;
	rte_pktmbuf_free_bulk(batch->m, BENCH_BATCH);
	return ok ? 0 : fail(c, e, "the bare cipher does not open its own packets");
}

/** A packet of each known flow. */
static int
send_known(struct bench_case *c, struct sl_error *e)
{
	static struct bench_batch batch;
	unsigned first, n;

	for (first = 0; first < POLICY_FLOWS; first += BENCH_BATCH) {
		if (!bench_batch_begin(c, first, &batch))
			return fail(c, e, "no packet buffers left");
		poll_batch(c, BENCH_RECEIVE, &batch);
		n = collect(c, BENCH_RECEIVE, batch.m);
		rte_pktmbuf_free_bulk(batch.m, n);
		if (n != BENCH_BATCH)
			return lost(c, n, e);
	}
	return 0;
}

int
bench_case_prepare(struct bench_case *c, struct sl_error *e)
{
	int rc;

	bench_world_renew(c->world);
	sl_worker_purge(c->world->w);
	bench_policy_use(c->policy, c->world, c->mode, c->logging);
	if (c->mode != BENCH_POLICY_HIT)
		return 0;
	rc = send_known(c, e);
	return rc ? rc : send_known(c, e); /* the second one finds the next hop */
}

int
bench_case_check(struct bench_case *c, struct sl_error *e)
{
	static struct bench_batch batch;
	const char *wrong = NULL;
	unsigned i, n;

	if (!bench_batch_make(c, &batch))
		return fail(c, e, "no packet buffers left");
	poll_batch(c, c->path, &batch);
	n = collect(c, c->path, batch.m);
	for (i = 0; i < n && !wrong; i++)
		wrong = bench_frame_check(c, batch.m[i]);
	rte_pktmbuf_free_bulk(batch.m, n);
	tidy(c);
	if (n != BENCH_BATCH)
		return lost(c, n, e);
	return wrong ? fail(c, e, wrong) : 0;
}

static int
add_sample(struct bench_case *c, const struct timed *aead, const struct timed *path,
	   struct sl_error *e)
{
	float **column[4] = {&c->aead, &c->cycles, &c->ratio, &c->probe}, *p;
	const uint64_t clocks = BENCH_BURSTS * bench_clock_cost();
	unsigned i, cap = c->cap ? 2 * c->cap : 1024;

	for (i = 0; i < SL_ARRAY_SIZE(column) && c->n == c->cap; i++) {
		p = realloc(*column[i], cap * sizeof(*p));
		if (!p)
			return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for samples");
		*column[i] = p;
	}
	if (c->n == c->cap)
		c->cap = cap;
	c->aead[c->n] = (float)(aead->cycles - clocks) / BENCH_BATCH;
	c->cycles[c->n] = (float)(path->cycles - clocks) / BENCH_BATCH;
	c->ratio[c->n] = c->cycles[c->n] / c->aead[c->n];
	c->probe[c->n] = SL_MAX(probe_of(aead), probe_of(path));
	c->n++;
	return 0;
}

int
bench_case_run(struct bench_case *c, double seconds, struct sl_error *e)
{
	static struct bench_batch batch;
	uint64_t end = rte_rdtsc() + (uint64_t)(seconds * (double)rte_get_tsc_hz());
	struct timed aead, path;
	unsigned round = 0;
	int rc;

	do { /* in turns first and second, so that neither has the warmer cache always */
		rc = round % 2 ? time_cipher(c, &batch, &aead, e) : time_path(c, &batch, &path, e);
		if (rc == 0)
			rc = round % 2 ? time_path(c, &batch, &path, e)
				       : time_cipher(c, &batch, &aead, e);
		if (rc == 0 && round > 0) /* the first one warms up */
			rc = add_sample(c, &aead, &path, e);
		round++;
	} while (rc == 0 && (round < 3 || rte_rdtsc() < end));
	return rc;
}

unsigned
bench_case_full(const struct bench_case *c)
{
	unsigned i, n = 0;

	for (i = 0; i < c->n; i++)
		n += bench_speed_is_full(c->probe[i]);
	return n;
}

/** Cycles less the clock readings among them, as floats: a round is far below 2^24 a packet. */
static float
per_packet(uint64_t cycles, uint64_t clocks)
{
	clocks *= bench_clock_cost();
	return cycles > clocks ? (float)(cycles - clocks) / BENCH_BATCH : 0;
}

/** Of the two clock readings around each stage one counts in the stage, one in the rest. */
static void
add_profile(struct bench_case *c, const struct sl_prof *p, const struct timed *t)
{
	float *to = &c->profile[c->n_profile * BENCH_COLUMNS];
	uint64_t sum = p->rx_cycles, clocks = 2 * BENCH_BURSTS, n;
	unsigned i;

	if (c->n_profile == BENCH_PROFILES)
		return;
	for (i = 0; i < SL_NODE_MAX; i++) {
		n = p->packets[i] == 0 ? 0 : BENCH_BURSTS;
		if (i == SL_NODE_TX) /* the stage, and the flush at the end */
			n *= 2;
		to[i] = per_packet(p->cycles[i], n);
		sum += p->cycles[i];
		clocks += n;
		c->seen[i] |= p->packets[i] != 0;
	}
	to[BENCH_RX] = per_packet(p->rx_cycles, BENCH_BURSTS);
	to[BENCH_REST] = per_packet(t->cycles > sum ? t->cycles - sum : 0, clocks);
	c->profile_probe[c->n_profile++] = probe_of(t);
}

int
bench_case_profile(struct bench_case *c, double seconds, struct sl_error *e)
{
	static struct bench_batch batch;
	uint64_t end = rte_rdtsc() + (uint64_t)(seconds * (double)rte_get_tsc_hz());
	struct sl_prof prof;
	struct timed t;
	int rc;

	if (!c->profile) {
		c->profile = calloc(BENCH_PROFILES * BENCH_COLUMNS, sizeof(*c->profile));
		c->profile_probe = calloc(BENCH_PROFILES, sizeof(*c->profile_probe));
	}
	if (!c->profile || !c->profile_probe)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for samples");
	c->world->w->prof = &prof;
	do {
		memset(&prof, 0, sizeof(prof));
		rc = time_path(c, &batch, &t, e);
		if (rc == 0)
			add_profile(c, &prof, &t);
	} while (rc == 0 && rte_rdtsc() < end);
	c->world->w->prof = NULL;
	return rc;
}
