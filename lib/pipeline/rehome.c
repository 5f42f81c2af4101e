/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a home asks hs for another one (D26).
 *
 * Way: more than half of a peer's packets of a second, and at least 64, came in at the same other
 * worker: the first one of the second, or the one that brought most in the second before. Packets
 * from the tunnel alone count, because their queue is that of the handshakes, by which hs chooses
 * as well. Those that an io lcore received count for no worker: it would hand them over to any
 * home. So do those that came in here and went to the owner of an older keypair first.
 *
 * Load: a worker that was busy for more than half of a second, and for more than 1.5 times the mean
 * of all, wants to get rid of its heaviest peer, but not of one that makes more than half of its
 * packets (its main peer): that one would only take the trouble to the next worker. The workers do
 * not measure at the same instant, so it must be so twice in a row. One peer in three seconds: the
 * effect of a move is seen before the next one.
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
	atomic_store_explicit(&p->wish, (uint8_t)wish, memory_order_relaxed);
	sl_worker_raise(w, p, SL_PEER_EV_REHOME); /* release: hs finds the wish */
}

/* --- way --------------------------------------------------------------------------------- */

static void
note_weight(struct sl_balance *b, uint32_t id, uint32_t packets)
{
	unsigned at = packets > b->top[0] ? 0 : 1;

	b->packets += packets;
	if (packets <= b->top[at])
		return;
	if (at == 0) {
		b->top[1] = b->top[0];
		b->top_id[1] = b->top_id[0];
	}
	b->top[at] = packets;
	b->top_id[at] = id;
}

/* @param packets of its last second */
static void
judge(struct sl_worker *w, struct sl_peer *p, uint32_t packets)
{
	note_weight(&w->balance, p->id, packets);
	if (packets < PACKETS_MIN || !sl_tick_reached(w->tick, p->rehome_tick))
		return;
	if (p->came.steered * UINT64_C(2) > packets)
		ask(w, p, p->came.from - 1U);
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
	c->from = c->votes != 0 ? c->voted : 0;
	c->votes = 0;
}

void
sl_rehome_steered(struct sl_worker *w, struct sl_peer *p, unsigned from)
{
	struct sl_peer_came *c = &p->came;
	uint8_t number = (uint8_t)(from + 1);

	if (from == w->id || from >= w->dp->n_workers)
		return;
	if (c->from == 0)
		c->from = number;
	c->steered += c->from == number;
	if (c->votes == 0)
		c->voted = number;
	if (c->voted != number)
		c->votes--;
	else if (c->votes < UINT16_MAX)
		c->votes++;
}

void
sl_rehome_leave(struct sl_worker *w, struct sl_peer *p)
{
	p->rehome_tick = w->tick + QUIET_TICKS;
	p->came = (struct sl_peer_came){.since_tick = w->tick - 2 * SECOND_TICKS};
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

/* @return true if the k-th heaviest peer was asked away */
static bool
ask_away(struct sl_worker *w, unsigned k)
{
	struct sl_balance *b = &w->balance;
	struct sl_peer *p = sl_peer_get(w->dp->peers, b->top_id[k]);

	if (b->top[k] < PACKETS_MIN || p == NULL || sl_peer_home(p) != w->id ||
	    !sl_tick_reached(w->tick, p->rehome_tick))
		return false;
	b->quiet_tick = w->tick + PAUSE_TICKS;
	ask(w, p, SL_PEER_WISH_AWAY);
	return true;
}

void
sl_rehome_balance(struct sl_worker *w)
{
	struct sl_balance *b = &w->balance;
	bool main_peer;

	if (w->tick - b->tick < SECOND_TICKS)
		return;
	b->tick = w->tick;
	publish_share(w);
	main_peer = b->top[0] > b->packets / 2;
	__atomic_store_n(&w->stats->main_peer, main_peer ? b->top_id[0] + 1 : 0, __ATOMIC_RELAXED);
	b->overloaded = is_overloaded(w) ? b->overloaded + 1 : 0;
	if (b->overloaded >= 2 && sl_tick_reached(w->tick, b->quiet_tick) &&
	    (main_peer || !ask_away(w, 0)))
		(void)ask_away(w, 1);
	b->packets = 0;
	b->top[0] = 0;
	b->top[1] = 0;
}
