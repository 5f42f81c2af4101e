/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_turns.h"

#include <time.h>

static uint64_t
worked_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
count(struct sl_turns *t, uint64_t ns)
{
	sl_prom_time(&t->times, ns);
	t->longest_ns = SL_MAX(t->longest_ns, ns);
}

int
sl_turns_dispatch(struct event_base *base, struct sl_turns *t)
{
	uint64_t was = worked_ns(), now;
	int rc;

	do {
		rc = event_base_loop(base, EVLOOP_ONCE);
		now = worked_ns();
		count(t, now - was);
		was = now;
	} while (rc == 0 && !event_base_got_break(base) && !event_base_got_exit(base));
	return rc;
}
