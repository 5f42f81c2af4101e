/* SPDX-License-Identifier: BSD-3-Clause */
/** @file RFC 5424 headers: what stands before the JSON text of a record. */
#ifndef SL_DRAIN_SYSLOG_H
#define SL_DRAIN_SYSLOG_H

#include "resolve.h"
#include "sink.h"

#define SL_SYSLOG_HEADER 512

struct sl_syslog {
	unsigned facility;
	char origin[300]; /* "HOSTNAME APP-NAME PROCID" */
};

/**
 * What every syslog sink begins with: where it goes, and what its headers say.
 * @param how word for the transport, before the address in the sink's status
 * @param type SOCK_STREAM or SOCK_DGRAM
 * @return 0, -EINVAL sink_invalid at /host
 */
int sl_syslog_open(struct sl_syslog *s, struct sl_resolve *r, struct sl_sink *sink, const char *how,
		   int type, struct sl_error *e);
/** The header with the space before the message, which is the line without its newline. @return
 * its length */
size_t sl_syslog_header(const struct sl_syslog *s, const struct sl_line *l,
			char buf[SL_SYSLOG_HEADER]);

#endif
