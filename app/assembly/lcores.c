/* SPDX-License-Identifier: BSD-3-Clause */
/* The loops of the data lcores and of hs: poll, report quiescence, idle politely (D43). */
#include <rte_cycles.h>
#include <rte_lcore.h>
#include <rte_pause.h>
#include <sys/prctl.h>
#include <time.h>

#include "sl_assembly.h"

#define IDLE_SPINS 1000
#define IDLE_PAUSE_NS (100 * 1000)
#define IDLE_SLEEP_MIN_NS (50 * 1000)
#define IDLE_SLEEP_MAX_NS (500 * 1000)
#define HS_SLEEP_MAX_NS (1000 * 1000)

struct idle {
	unsigned empty;	   /* polls without work */
	uint64_t since_ns; /* of the first of them */
	uint64_t sleep_ns;
};

static void
sleep_ns(uint64_t ns)
{
	struct timespec ts = {.tv_nsec = (long)ns};

	nanosleep(&ts, NULL);
}

static bool
stopping(const struct sl_assembly *a)
{
	return atomic_load_explicit(&a->stop, memory_order_relaxed);
}

/** Spin, then pause, then sleep with RCU offline; the next poll loads all pointers anew. */
static void
idle_step(struct idle *i, const struct sl_assembly *a, unsigned rcu_id, uint64_t now_ns)
{
	if (i->empty++ == 0)
		i->since_ns = now_ns;
	if (i->empty < IDLE_SPINS || a->plan.idle == SL_PLAN_IDLE_SPIN)
		return;
	if (now_ns - i->since_ns < IDLE_PAUSE_NS || a->plan.idle == SL_PLAN_IDLE_PAUSE) {
		rte_pause();
		return;
	}
	i->sleep_ns = i->sleep_ns ? SL_MIN(i->sleep_ns * 2, (uint64_t)IDLE_SLEEP_MAX_NS)
				  : IDLE_SLEEP_MIN_NS;
	sl_rcu_offline(a->rcu, rcu_id);
	sleep_ns(i->sleep_ns);
	sl_rcu_online(a->rcu, rcu_id);
}

int
sl_lcore_worker(void *assembly)
{
	struct sl_assembly *a = assembly;
	unsigned lcore = rte_lcore_id();
	const struct sl_plan_lcore *pl = &a->plan.lcores[lcore];
	unsigned id = pl->index + (pl->role == SL_PLAN_ROLE_IO ? a->plan.n_workers : 0);
	struct sl_worker *w = a->dp->worker[id];
	struct idle idle = {0};

	prctl(PR_SET_TIMERSLACK, 1UL);
	sl_rcu_online(a->rcu, SL_RCU_WORKER(id));
	while (!stopping(a)) {
		uint64_t now = sl_tsc_ns();

		if (sl_worker_poll(w, now))
			idle = (struct idle){0};
		else
			idle_step(&idle, a, SL_RCU_WORKER(id), now);
		sl_rcu_quiescent(a->rcu, SL_RCU_WORKER(id));
	}
	sl_rcu_offline(a->rcu, SL_RCU_WORKER(id));
	return 0;
}

int
sl_lcore_hs(void *assembly)
{
	struct sl_assembly *a = assembly;
	unsigned empty = 0;

	prctl(PR_SET_TIMERSLACK, 1UL);
	sl_rcu_online(a->rcu, SL_RCU_HS);
	while (!stopping(a)) {
		uint64_t now = sl_tsc_ns();

		if (sl_hs_poll(a->hs, now)) {
			empty = 0;
			sl_rcu_quiescent(a->rcu, SL_RCU_HS);
			continue;
		}
		sl_rcu_offline(a->rcu, SL_RCU_HS);
		if (++empty > 2)
			sleep_ns(SL_MIN((uint64_t)empty * 100 * 1000, (uint64_t)HS_SLEEP_MAX_NS));
		sl_rcu_online(a->rcu, SL_RCU_HS);
	}
	sl_rcu_offline(a->rcu, SL_RCU_HS);
	return 0;
}
