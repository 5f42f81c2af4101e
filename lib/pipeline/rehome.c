/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a home asks hs for another one (D26).
 *
 * Way: more than half of a peer's packets of a second, and at least 64, came in at the same other
 * worker. Packets from the tunnel alone count, because their queue is that of the handshakes, by
 * which hs chooses as well. Those that an io lcore received count for no worker: it would hand them
 * over to any home. So do those that came in here and went to the owner of an older keypair first.
 *
 * Load: a worker that was busy for more than half of a second, and for more than 1.5 times the mean
 * of all, wants to get rid of the heaviest peer that makes at most half of its packets: a heavier
 * one would only take the trouble to the next worker. One peer in three seconds, so that the effect
 * of a move is seen before the next one.
 *
 * All of it happens once a tick or more seldom, but for the count of steered packets.
 */
#include "pipeline_int.h"

#define SECOND_TICKS (SL_NS_PER_S / SL_TICK_NS)
#define QUIET_TICKS (10 * SECOND_TICKS) /* of a peer that moved or asked */
#define PAUSE_TICKS (3 * SECOND_TICKS)	/* of a worker that asked because of its load */
#define PACKETS_MIN 64
#define BUSY_MIN_PPM 500000

static void
ask(struct sl_worker *w, struct sl_peer *p, unsigned wish)
{
	p->rehome_tick = w->tick + QUIET_TICKS;
	atomic_store_explicit(&p->came.wish, (uint8_t)wish, memory_order_relaxed);
	sl_worker_raise(w, p, SL_PEER_EV_REHOME); /* release: hs finds the wish */
}

/* --- way --------------------------------------------------------------------------------- */

/* @param packets of its last second */
static void
judge(struct sl_worker *w, struct sl_peer *p, uint32_t packets)
{
	struct sl_balance *b = &w->balance;

	b->packets += packets;
	if (packets < PACKETS_MIN || !sl_tick_reached(w->tick, p->rehome_tick))
		return;
	if (packets > b->heavy_packets && packets <= b->packets_last / 2) {
		b->heavy_packets = packets;
		b->heavy_id = p->id;
	}
	if (p->came.steered * UINT64_C(2) > packets)
		ask(w, p, p->came.from);
}

void
sl_rehome_second(struct sl_worker *w, struct sl_peer *p, uint64_t before)
{
	struct sl_peer_came *c = &p->came;
	uint32_t age = w->tick - c->since_tick;

	if (age < SECOND_TICKS)
		return;
	if (age < 2 * SECOND_TICKS) /* older counts say nothing of now */
		judge(w, p, (uint32_t)before - c->before);
	c->since_tick = w->tick;
	c->before = (uint32_t)before;
	c->steered = 0;
}

void
sl_rehome_steered(struct sl_worker *w, struct sl_peer *p, unsigned from)
{
	uint32_t all = (uint32_t)atomic_load_explicit(&p->rx_packets, memory_order_relaxed);
	struct sl_peer_came *c = &p->came;

	if (from == w->id || from >= w->dp->n_workers)
		return;
	if (from == c->from) {
		c->steered++;
	} else if (c->steered * UINT64_C(2) <= all - c->before) {
		c->from = (uint8_t)from;
		c->steered = 1;
	}
}

void
sl_rehome_leave(struct sl_worker *w, struct sl_peer *p)
{
	p->rehome_tick = w->tick + QUIET_TICKS;
	p->came.since_tick = w->tick - 2 * SECOND_TICKS; /* the new home counts from its first */
	p->came.steered = 0;
}

/* --- load -------------------------------------------------------------------------------- */

static uint32_t
busy_of(const struct sl_worker *w)
{
	return __atomic_load_n(&w->stats->busy_ppm, __ATOMIC_RELAXED);
}

static void
publish_share(struct sl_worker *w)
{
	const struct sl_stats_lcore_counts *now = &w->stats->lcore;
	struct sl_balance *b = &w->balance;
	uint64_t busy = now->busy_cycles - b->busy_cycles;
	uint64_t total = now->total_cycles - b->total_cycles;

	__atomic_store_n(&w->stats->busy_ppm,
			 total != 0 ? (uint32_t)(SL_MIN(busy, total) * 1000000 / total) : 0,
			 __ATOMIC_RELAXED);
	b->busy_cycles = now->busy_cycles;
	b->total_cycles = now->total_cycles;
}

static bool
is_overloaded(const struct sl_worker *w)
{
	uint64_t own = busy_of(w), sum = 0;
	unsigned i;

	if (!w->owner || own < BUSY_MIN_PPM)
		return false;
	for (i = 0; i < w->dp->n_workers; i++)
		sum += busy_of(w->dp->worker[i]);
	return own * 2 * w->dp->n_workers > sum * 3;
}

static void
ask_away(struct sl_worker *w)
{
	struct sl_balance *b = &w->balance;
	struct sl_peer *p = sl_peer_get(w->dp->peers, b->heavy_id);

	if (p == NULL || sl_peer_home(p) != w->id)
		return;
	b->quiet_tick = w->tick + PAUSE_TICKS;
	ask(w, p, SL_PEER_WISH_AWAY);
}

void
sl_rehome_balance(struct sl_worker *w)
{
	struct sl_balance *b = &w->balance;

	if (w->tick - b->tick < SECOND_TICKS)
		return;
	b->tick = w->tick;
	publish_share(w);
	if (b->heavy_packets != 0 && sl_tick_reached(w->tick, b->quiet_tick) && is_overloaded(w))
		ask_away(w);
	b->packets_last = b->packets;
	b->packets = 0;
	b->heavy_packets = 0;
}
