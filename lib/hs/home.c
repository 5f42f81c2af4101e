/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which worker is the home of a peer (D26), and how the home changes: REHOME_OUT to the old home,
 * which makes the new one home, hands over what it holds and answers; meanwhile hs sends nothing
 * about the peer; then the next keypair is installed at the new home. Keypairs made before stay
 * with their owner.
 *
 * The home is chosen at each handshake, and when a worker asks for a change because of where a
 * peer's packets come in or because of its load. Such a change is followed by a handshake of ours,
 * 5 s after the last one at the earliest, so that there is an index of the new home. What keeps it
 * from going to and fro: 10 s between two such changes, doubled for each that follows soon after
 * another; a worker that a peer left because of load does not get it back within 180 s while there
 * is load; and the peer that is most of its home's work stays, for the next one would have it.
 */
#include "hs_priv.h"

#define BUSY_PPM 100000 /* below 10 % of a CPU on average, load says nothing */
#define HOMES_SLACK 8
#define SHUN_NS (SL_WG_REJECT_AFTER_S * SL_NS_PER_S)
#define SOON 4 /* a change within so many pauses after the last one doubles the pause */

/** @return mean of the workers' busy share. */
static uint32_t
mean_busy(const struct sl_hs *hs)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < hs->dp->n_workers; i++)
		sum += hs->busy_ppm[i];
	return (uint32_t)(sum / hs->dp->n_workers);
}

/** Relative load by time and by peers, the mean of each is 1,000. */
static uint64_t
score(const struct sl_hs *hs, unsigned worker, uint32_t mean)
{
	uint64_t homes = (uint64_t)hs->homes[worker] * 1000 * hs->dp->n_workers;
	uint64_t busy = mean >= BUSY_PPM ? (uint64_t)hs->busy_ppm[worker] * 1000 / mean : 0;

	return busy + homes / (hs->n_peers + 1);
}

static unsigned
least_loaded(const struct sl_hs *hs)
{
	uint32_t mean = mean_busy(hs);
	unsigned best = 0, i;

	for (i = 1; i < hs->dp->n_workers; i++)
		if (score(hs, i, mean) < score(hs, best, mean))
			best = i;
	return best;
}

/**
 * May the worker take one peer more? By busy cycles where there is load, else by peers.
 * @param percent of the mean
 */
static bool
acceptable(const struct sl_hs *hs, unsigned worker, unsigned percent)
{
	uint32_t mean = mean_busy(hs);

	if (mean >= BUSY_PPM)
		return (uint64_t)hs->busy_ppm[worker] * 100 < (uint64_t)mean * percent;
	return (uint64_t)hs->homes[worker] * 100 * hs->dp->n_workers <=
	       (uint64_t)hs->n_peers * percent + HOMES_SLACK * 100 * hs->dp->n_workers;
}

static bool
is_shunned(const struct sl_hs *hs, const struct hs_peer *hp, unsigned worker)
{
	return worker == hp->shunned && hs->now_ns < hp->shun_until_ns && mean_busy(hs) >= BUSY_PPM;
}

/** Is it most of the work of its home? */
static bool
is_main_peer(const struct sl_hs *hs, const struct hs_peer *hp)
{
	const struct sl_stats_lcore *s = hs->dp->worker[hp->home]->stats;

	return s != NULL && __atomic_load_n(&s->main_peer, __ATOMIC_RELAXED) == hp->id + 1;
}

/** Where a peer goes whose home has too much to do; back from there is barred for a while. */
static unsigned
choose_away(const struct sl_hs *hs, struct hs_peer *hp)
{
	unsigned to = least_loaded(hs);

	if (to == hp->home || !acceptable(hs, to, 125))
		return hp->home;
	hp->shunned = hp->home;
	hp->shun_until_ns = hs->now_ns + SHUN_NS;
	return to;
}

unsigned
hs_home_choose(const struct sl_hs *hs, struct hs_peer *hp, unsigned lane)
{
	if (hs->dp->n_workers == 1)
		return 0;
	if (lane < hs->dp->n_workers && lane != hp->home && !is_shunned(hs, hp, lane) &&
	    acceptable(hs, lane, 125))
		return lane;
	if (acceptable(hs, hp->home, 150) || is_main_peer(hs, hp))
		return hp->home;
	return choose_away(hs, hp);
}

/*
 * A new peer starts with the home that control wrote, and moves like any other: data lcores may
 * know it already and hold packets of it.
 */
void
hs_home_init(struct sl_hs *hs, struct hs_peer *hp)
{
	unsigned now = atomic_load(&hp->p->home);

	if (now >= hs->dp->n_workers) {
		now = least_loaded(hs);
		atomic_store(&hp->p->home, (uint16_t)now);
	}
	hp->home = (uint16_t)now;
	hs->homes[now]++;
}

void
hs_home_balance(struct sl_hs *hs, struct hs_peer *hp)
{
	unsigned best;

	hs->homes[hp->home]--;
	best = least_loaded(hs);
	hs->homes[hp->home]++;
	if (best != hp->home)
		hs_rehome_start(hs, hp, best);
}

void
hs_rehome_start(struct sl_hs *hs, struct hs_peer *hp, unsigned to)
{
	struct sl_wk_msg msg = {.type = SL_WK_REHOME_OUT, .peer_id = hp->id, .home = (uint16_t)to};

	hs_tell_worker(hs, hp->home, &msg);
	hs->homes[hp->home]--;
	hs->homes[to]++;
	hp->rehome_to = (uint16_t)to;
	hp->rehoming = true;
	hp->moved_ns = hs->now_ns;
}

/** The old home has let go and made the other one home; it could not if the table lacks the peer.
 */
void
hs_rehome_done(struct sl_hs *hs, struct hs_peer *hp)
{
	if (!hp->rehoming)
		return;
	hp->rehoming = false;
	hp->home = hp->rehome_to;
	atomic_store_explicit(&hp->p->home, hp->home, memory_order_release);
	hs_kp_resume(hs, hp);
	if (hp->deleting) {
		hs_peer_gone_send(hs, hp);
		return;
	}
	if (hp->path_unsent)
		hs_path_send(hs, hp);
	if (hp->answer) {
		if (hs->now_ns > hp->answer_ns + HS_STALE_NS) {
			hp->answer = false;
			sl_noise_hs_clear(&hp->noise.hs);
			hs_drop(hs, SL_DROP_HS_STALE);
		} else {
			hs_respond(hs, hp);
		}
	}
	if (hp->initiate) {
		hp->initiate = false;
		hs_initiation_queue(hs, hp);
	}
	hs_peer_events(hs, hp);
	hs_peer_look(hs, hp);
}

/* --- what workers wish for ---------------------------------------------------------------- */

/** May a wish be granted now? A handshake under way has an index of the present home. */
static bool
may_move(const struct sl_hs *hs, const struct hs_peer *hp)
{
	if (hp->rehoming || hp->pending || hp->answer || hp->timers.in_handshake)
		return false;
	if (hp->moved_ns != 0 && hs->now_ns < hp->moved_ns + SL_MAX(hp->move_pause_ns, HS_MOVE_NS))
		return false;
	return hs_peer_usable(hs, hp);
}

static void
lengthen_pause(const struct sl_hs *hs, struct hs_peer *hp)
{
	uint64_t pause = SL_MAX(hp->move_pause_ns, HS_MOVE_NS);

	if (hp->moved_ns != 0 && hs->now_ns < hp->moved_ns + SOON * pause)
		hp->move_pause_ns = SL_MIN(2 * pause, HS_MOVE_MAX_NS);
	else
		hp->move_pause_ns = 0;
}

/** A keypair of the new home, as soon as another handshake is allowed (paper section 6.1). */
static void
want_fresh_keys(struct hs_peer *hp, unsigned home)
{
	const struct hs_kp *current = hs_kp_of(hp, HS_KP_CURRENT);
	struct sl_timers *t = &hp->timers;
	uint64_t last = SL_MAX(t->initiation_ns, hp->initiation_rx_ns);

	if (current != NULL && current->kp->owner == home)
		return;
	t->want_handshake = true;
	t->gave_up = false;
	t->handshake_due_ns = last == 0 ? 0 : last + SL_WG_REKEY_TIMEOUT_S * SL_NS_PER_S;
}

void
hs_home_wish(struct sl_hs *hs, struct hs_peer *hp)
{
	unsigned wish = atomic_load_explicit(&hp->p->wish, memory_order_relaxed), to;

	if (!may_move(hs, hp))
		return; /* the home asks again while it has reason to */
	if (wish == SL_PEER_WISH_AWAY) {
		to = choose_away(hs, hp);
	} else {
		hp->lane = (uint16_t)wish;
		to = hs_home_choose(hs, hp, wish);
	}
	if (to == hp->home)
		return;
	lengthen_pause(hs, hp);
	hs_rehome_start(hs, hp, to);
	want_fresh_keys(hp, to);
}

/* --- load --------------------------------------------------------------------------------- */

void
hs_home_measure(struct sl_hs *hs)
{
	const struct sl_stats_lcore *s;
	uint64_t busy, total;
	unsigned i;

	if (hs->now_ns < hs->measured_ns + SL_NS_PER_S)
		return;
	hs->measured_ns = hs->now_ns;
	for (i = 0; i < hs->dp->n_workers; i++) {
		s = hs->dp->worker[i]->stats;
		if (s == NULL)
			continue;
		busy = __atomic_load_n(&s->lcore.busy_cycles, __ATOMIC_RELAXED);
		total = __atomic_load_n(&s->lcore.total_cycles, __ATOMIC_RELAXED);
		if (total > hs->total_seen[i])
			hs->busy_ppm[i] = (uint32_t)((busy - hs->busy_seen[i]) * 1000000 /
						     (total - hs->total_seen[i]));
		hs->busy_seen[i] = busy;
		hs->total_seen[i] = total;
	}
}
