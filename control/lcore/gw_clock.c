/* SPDX-License-Identifier: BSD-3-Clause */
/* A clock that is earlier than the program itself is wrong, and by it rules and members that ended
 * would still hold. So nothing begins to enforce by such a clock: neither a start, which ends with
 * the error instead of observing, nor a change of the mode. What enforces already goes on. */
#include <time.h>

#include "gw.h"

/* A clock that was set by local time is up to 14 h behind. */
#define SLACK_NS (86400 * SL_NS_PER_S)

static const char *
text_of(uint64_t wall_ns, char out[32])
{
	time_t s = (time_t)(wall_ns / SL_NS_PER_S);
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return out;
}

int
sl_gw_clock_check(struct sl_gw *gw, const char *path, struct sl_error *e)
{
	uint64_t now = gw_wall_ns(gw), built = gw->conf.built_wall_ns;
	char a[32], b[32];

	if (now + SLACK_NS >= built)
		return 0;
	sl_fail(e, -EAGAIN, "clock_before_build", path,
		"the clock says %s, but this program was built at %s: nothing begins to enforce by "
		"a clock that is wrong",
		text_of(now, a), text_of(built, b));
	sl_hint(e, "set the clock (see that NTP runs: timedatectl), then try again");
	return -EAGAIN;
}
