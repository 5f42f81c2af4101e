/* SPDX-License-Identifier: BSD-3-Clause */
/** @file RFC 5424 headers: what stands before the JSON text of a record. */
#ifndef SL_DRAIN_SYSLOG_H
#define SL_DRAIN_SYSLOG_H

#include "sink.h"

#define SL_SYSLOG_HEADER 512

struct sl_syslog {
	unsigned facility;
	char origin[300]; /* "HOSTNAME APP-NAME PROCID" */
};

void sl_syslog_init(struct sl_syslog *s, const struct sl_sink *sink);
/** The header with the space before the message, which is the line without its newline. @return
 * its length */
size_t sl_syslog_header(const struct sl_syslog *s, const struct sl_line *l,
			char buf[SL_SYSLOG_HEADER]);

#endif
