/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Tells, in time, that a certificate of ours ends: in the log 14, 3 and 1 days before, and at the
 * end; and to whoever asks. A renewed one (sl_tls_reload()) begins anew.
 */
#ifndef SL_TLS_ALARM_H
#define SL_TLS_ALARM_H

#include "sl_tls.h"

#define SL_TLS_ALARM_DAYS 14

/** Zeroed at the start. */
struct sl_tls_alarm {
	int64_t until_s; /* of the certificate that was looked at */
	unsigned told;	 /* steps that were logged */
};

/**
 * Look, now and then (each minute is enough).
 * @param until_s when it ends, wall seconds (sl_tls_not_after()); 0: there is none
 * @param what for the log: "control_plane.cert_file /etc/sluice/gw.pem"
 * @return true if less than SL_TLS_ALARM_DAYS are left, or it has ended
 */
bool sl_tls_alarm_look(struct sl_tls_alarm *a, int64_t until_s, const char *what, int64_t now_s);
/** "ends in 2 days, at 2026-11-20T09:00:00Z", "has ended at ...". */
const char *sl_tls_alarm_text(int64_t until_s, int64_t now_s, char *buf, size_t room);

#endif
