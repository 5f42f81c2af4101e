/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_tls_alarm.h"

#include <stdio.h>
#include <time.h>

#include "sl_log.h"

#define DAY_S 86400

const char *
sl_tls_alarm_text(int64_t until_s, int64_t now_s, char *buf, size_t room)
{
	int64_t left = until_s - now_s;
	time_t t = (time_t)until_s;
	char at[32];
	struct tm tm;

	strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	if (left <= 0)
		snprintf(buf, room, "has ended at %s", at);
	else if (left < 2 * DAY_S)
		snprintf(buf, room, "ends in %lld hours, at %s", (long long)(left / 3600), at);
	else
		snprintf(buf, room, "ends in %lld days, at %s", (long long)(left / DAY_S), at);
	return buf;
}

bool
sl_tls_alarm_look(struct sl_tls_alarm *a, int64_t until_s, const char *what, int64_t now_s)
{
	static const int64_t steps[] = {SL_TLS_ALARM_DAYS * DAY_S, 3 * DAY_S, DAY_S, 0};
	unsigned step = 0;
	char text[80];

	if (until_s != a->until_s) /* another certificate */
		*a = (struct sl_tls_alarm){.until_s = until_s};
	while (until_s != 0 && step < SL_ARRAY_SIZE(steps) && until_s - now_s <= steps[step])
		step++;
	if (step > a->told)
		sl_log(step > 2 ? SL_LOG_ERR : SL_LOG_WARN, "tls",
		       "certificate_expires: the certificate of %s %s: renew it (sluicectl ca "
		       "renew), "
		       "then SIGHUP",
		       what, sl_tls_alarm_text(until_s, now_s, text, sizeof(text)));
	a->told = step;
	return step > 0;
}
