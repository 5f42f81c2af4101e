/* SPDX-License-Identifier: BSD-3-Clause */
/* Assembly of the data plane: workers, the rings between them, and the mailboxes of hs and control.
 */
#include <errno.h>
#include <stdio.h>

#include <rte_cycles.h>
#include <rte_malloc.h>

#include "flow_int.h"
#include "sl_error.h"

/* Entries of the rings. A ring holds a few polls of a busy neighbour: what waits longer is better
 * dropped than delivered late. */
#define STEER_RING 1024
#define TX_RING 1024
#define INJECT_RING 512
#define FLOW_RING 512 /* buffers of entries, ten each */
#define LANE_RING 1024
#define MBOX_WORK 256
#define MBOX_ACK 1024
#define MBOX_TELL 256

enum { INJECT_HS, INJECT_CONTROL, INJECT_N };

static const char *const inject_name[INJECT_N] = {"ih", "ic"};

/* Names are INSTANCE-KIND-FROM-TO; an instance name is cut so that the rest always fits. */
static void
object_name(char out[28], const char *instance, const char *kind, unsigned a, unsigned b)
{
	snprintf(out, 28, "%.14s-%s-%u-%u", instance, kind, a & 0xff, b & 0xff);
}

static struct rte_ring *
ring_new(const struct sl_dp *dp, const char *kind, unsigned a, unsigned b, unsigned entries)
{
	char name[28];

	object_name(name, dp->name, kind, a, b);
	return sl_mbox_ring_new(name, entries, -1);
}

static struct sl_mbox *
mbox_new(const struct sl_dp *dp, const char *kind, unsigned a, unsigned entries, unsigned size)
{
	char name[28];

	object_name(name, dp->name, kind, a, 0);
	return sl_mbox_new(name, entries, size);
}

/* A ring whose two ends have stopped: what is inside goes back to its pool. */
static void
packet_ring_free(struct rte_ring *r)
{
	void *m;

	if (r == NULL)
		return;
	while (rte_ring_sc_dequeue(r, &m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(r);
}

static void
worker_free(struct sl_worker *w)
{
	unsigned i;

	if (w == NULL)
		return;
	sl_worker_purge(w);
	for (i = 0; i < SL_WORKER_MAX; i++) {
		packet_ring_free(w->steer_in[i]);
		packet_ring_free(w->flow_in[i]);
		packet_ring_free(w->tx_in[i]);
	}
	for (i = 0; i < INJECT_N; i++)
		packet_ring_free(w->inject[i]);
	for (i = 0; i < SL_HS_LANES; i++)
		packet_ring_free(w->hs_lane[i]);
	sl_mbox_free(w->from_hs);
	sl_mbox_free(w->to_hs);
	sl_mbox_free(w->to_ctl);
	sl_reass_free(w->reass);
	sl_aead_free(w->aead);
	rte_free(w->flows);
	rte_free(w->records);
	rte_free(w->buckets);
	if (w->agg != NULL)
		rte_free(w->agg->table[0]);
	rte_free(w->agg);
	rte_free(w->frags);
	rte_free(w->rtt);
	rte_free(w->view);
	rte_free(w->stats);
	rte_free(w);
}

static bool
worker_queues(struct sl_dp *dp, struct sl_worker *w)
{
	unsigned i;

	for (i = 0; i < INJECT_N; i++) {
		w->inject[i] = ring_new(dp, inject_name[i], w->id, 0, INJECT_RING);
		if (w->inject[i] == NULL)
			return false;
	}
	for (i = 0; i < SL_HS_LANES; i++) {
		w->hs_lane[i] = ring_new(dp, "hl", w->id, i, LANE_RING);
		if (w->hs_lane[i] == NULL)
			return false;
	}
	w->from_hs = mbox_new(dp, "mh", w->id, MBOX_WORK, sizeof(struct sl_wk_msg));
	w->to_hs = mbox_new(dp, "ma", w->id, MBOX_ACK, sizeof(struct sl_wk_ack));
	w->to_ctl = mbox_new(dp, "mc", w->id, MBOX_TELL, sizeof(struct sl_ctl_event));
	return w->from_hs != NULL && w->to_hs != NULL && w->to_ctl != NULL;
}

static void *
zeroed(size_t n)
{
	return rte_zmalloc(NULL, n, SL_CACHE_LINE);
}

static struct sl_rec_ring *
records_new(const struct sl_dp_conf *conf)
{
	unsigned slots = conf->record_slots != 0 ? conf->record_slots : SL_RECORDS_DEFAULT;
	struct sl_rec_ring *r = zeroed(sl_rec_ring_size(slots));

	if (r != NULL)
		sl_rec_ring_init(r, slots);
	return r;
}

static struct sl_rec_buckets *
buckets_new(const struct sl_dp_conf *conf, unsigned shares)
{
	unsigned per_s = conf->records_per_s != 0 ? conf->records_per_s : SL_RECORDS_PER_S;
	struct sl_rec_buckets *b = zeroed(sizeof(*b));

	if (b != NULL)
		sl_rec_buckets_init(b, SL_MAX(per_s / shares, 1U));
	return b;
}

static bool
worker_agg(struct sl_worker *w, const struct sl_dp_conf *conf)
{
	unsigned rows = conf->agg_rows != 0 ? conf->agg_rows : SL_AGG_ROWS_DEFAULT;
	size_t size = RTE_CACHE_LINE_ROUNDUP(sl_agg_table_size(rows));
	uint8_t *tables = zeroed(2 * size);

	w->agg = zeroed(sizeof(*w->agg));
	if (tables == NULL || w->agg == NULL) {
		rte_free(tables);
		return false;
	}
	sl_agg_init(w->agg, tables, tables + size, rows, conf->hash_key);
	return true;
}

/** What an owner needs to judge and to tell. */
static bool
worker_policy(struct sl_worker *w, const struct sl_dp_conf *conf)
{
	unsigned flows = conf->flows_max != 0 ? conf->flows_max : SL_FLOWS_DEFAULT;
	void *table = zeroed(sl_flow_table_size(flows));

	w->records = records_new(conf);
	w->buckets = buckets_new(conf, w->dp->n_workers);
	w->frags = sl_frag_table_new(conf->hash_key);
	w->rtt = zeroed(sizeof(*w->rtt));
	w->view = zeroed(sizeof(*w->view));
	if (table != NULL)
		w->flows = sl_flow_table_init(table, flows, conf->hash_key);
	if (w->flows == NULL || w->records == NULL || w->buckets == NULL || w->frags == NULL ||
	    w->rtt == NULL || w->view == NULL)
		return false;
	return worker_agg(w, conf);
}

static struct sl_worker *
worker_new(struct sl_dp *dp, const struct sl_dp_conf *conf, unsigned id)
{
	struct sl_worker *w = rte_zmalloc(NULL, sizeof(*w), SL_CACHE_LINE);

	if (w == NULL)
		return NULL;
	w->dp = dp;
	w->id = id;
	w->owner = id < dp->n_workers;
	w->pool = conf->pool;
	/* shares of one pool: all workers together must leave most of it to the ports */
	w->parked_max = SL_MAX(conf->pool_size / 8 / dp->n_workers, (unsigned)SL_PARK_MAX);
	w->stats = rte_zmalloc(NULL, sizeof(*w->stats), SL_CACHE_LINE);
	w->aead = sl_aead_new(conf->aead);
	w->reass = sl_reass_new(SL_MAX(conf->pool_size / 16 / dp->n_lcores, 64U));
	if (w->stats == NULL || w->aead == NULL || w->reass == NULL || !worker_queues(dp, w) ||
	    (w->owner && !worker_policy(w, conf))) {
		worker_free(w);
		return NULL;
	}
	return w;
}

/* One ring from every data lcore to every other owner; between owners one for flows, too. */
static bool
steer_rings(struct sl_dp *dp)
{
	unsigned from, to;

	for (from = 0; from < dp->n_lcores; from++) {
		for (to = 0; to < dp->n_workers; to++) {
			struct rte_ring *r;

			if (from == to)
				continue;
			r = ring_new(dp, "st", from, to, STEER_RING);
			if (r == NULL)
				return false;
			dp->worker[from]->steer_out[to] = r;
			dp->worker[to]->steer_in[from] = r;
			if (from >= dp->n_workers) /* has no flows */
				continue;
			r = ring_new(dp, "fl", from, to, FLOW_RING);
			if (r == NULL)
				return false;
			dp->worker[from]->flow_out[to] = r;
			dp->worker[to]->flow_in[from] = r;
		}
	}
	return true;
}

static int
conf_check(const struct sl_dp_conf *c, struct sl_error *e)
{
	if (c->n_workers == 0)
		return sl_fail(e, -EINVAL, "workers_invalid", "/workers",
			       "the data plane needs at least one worker");
	if (c->n_workers + c->n_io > SL_WORKER_MAX)
		return sl_fail(e, -EINVAL, "workers_invalid", "/workers",
			       "%u workers and %u io lcores are more than %u", c->n_workers,
			       c->n_io, SL_WORKER_MAX);
	return 0;
}

struct sl_dp *
sl_dp_new(const struct sl_dp_conf *conf, struct sl_error *e)
{
	struct sl_dp *dp;
	unsigned i;

	if (conf_check(conf, e) != 0)
		return NULL;
	dp = rte_zmalloc(NULL, sizeof(*dp), SL_CACHE_LINE);
	if (dp == NULL)
		goto fail;
	snprintf(dp->name, sizeof(dp->name), "%s", conf->name);
	dp->n_workers = conf->n_workers;
	dp->n_lcores = conf->n_workers + conf->n_io;
	dp->sessions = conf->sessions;
	dp->rcu = conf->rcu;
	dp->pool = conf->pool;
	dp->tsc_hz = rte_get_tsc_hz();
	dp->ns_per_cycle_q24 = (uint32_t)((SL_NS_PER_S << 24) / dp->tsc_hz);
	dp->peers = sl_peer_table_new();
	dp->nhs = sl_nh_table_new();
	dp->hs_records = records_new(conf);
	dp->hs_buckets = buckets_new(conf, 1);
	if (dp->peers == NULL || dp->nhs == NULL || dp->hs_records == NULL ||
	    dp->hs_buckets == NULL)
		goto fail;
	for (i = 0; i < dp->n_lcores; i++) {
		dp->worker[i] = worker_new(dp, conf, i);
		if (dp->worker[i] == NULL)
			goto fail;
	}
	if (!steer_rings(dp))
		goto fail;
	return dp;
fail:
	sl_fail(e, -ENOMEM, "no_memory", "",
		"no memory for the rings and tables of %u data lcores, or the cipher does not "
		"run on this CPU, or ring names are taken by another instance",
		conf->n_workers + conf->n_io);
	sl_hint(e, "give the gateway more memory or fewer lcores");
	sl_dp_free(dp);
	return NULL;
}

void
sl_dp_free(struct sl_dp *dp)
{
	unsigned i;

	if (dp == NULL)
		return;
	for (i = 0; i < dp->n_lcores; i++)
		worker_free(dp->worker[i]);
	sl_peer_table_free(dp->peers);
	sl_nh_table_free(dp->nhs);
	rte_free(dp->hs_records);
	rte_free(dp->hs_buckets);
	rte_free(dp);
}

int
sl_worker_add_rxq(struct sl_worker *w, const struct sl_rxq *q)
{
	if (w->n_rxq == SL_RXQ_MAX)
		return -ENOSPC;
	w->rxq[w->n_rxq++] = *q;
	return 0;
}

int
sl_worker_set_tx(struct sl_worker *w, unsigned port, uint16_t ethdev, uint16_t queue, int via,
		 bool csum_ip, bool csum_udp)
{
	struct sl_dp *dp = w->dp;
	struct sl_txport *t;

	if (port >= SL_PORT_MAX || via >= (int)dp->n_lcores || via == (int)w->id)
		return -EINVAL;
	t = &w->tx[port];
	t->via = NULL;
	if (via >= 0) {
		struct rte_ring **ring = &dp->worker[via]->tx_in[w->id];

		if (*ring == NULL)
			*ring = ring_new(dp, "tx", w->id, (unsigned)via, TX_RING);
		if (*ring == NULL)
			return -ENOMEM;
		t->via = *ring;
	}
	t->ethdev = ethdev;
	t->queue = queue;
	t->csum_ip = csum_ip;
	t->csum_udp = csum_udp;
	t->present = true;
	return 0;
}
