/* SPDX-License-Identifier: BSD-3-Clause */
#include "syslog.h"

#include <stdio.h>
#include <unistd.h>

#include "format.h"

#define LOCAL0 16

static void
init(struct sl_syslog *s, const struct sl_sink *sink)
{
	const char *name = sink->env->observer;
	char host[256];
	size_t n = 0;

	/* PRINTUSASCII, at most 255 (section 6.2.4) */
	for (; name[n] != '\0' && n < sizeof(host) - 1; n++)
		host[n] = (char)(name[n] > ' ' && name[n] < 0x7f ? name[n] : '_');
	host[n] = '\0';
	s->facility = sink->conf.facility > 0 ? sink->conf.facility : LOCAL0;
	snprintf(s->origin, sizeof(s->origin), "%s sluice %d", n > 0 ? host : "-", (int)getpid());
}

int
sl_syslog_open(struct sl_syslog *s, struct sl_resolve *r, struct sl_sink *sink, const char *how,
	       int type, struct sl_error *e)
{
	const char *host = sink->conf.host;

	if (host == NULL || host[0] == '\0' || sink->conf.port == 0)
		return sl_fail(e, -EINVAL, "sink_invalid", "/host",
			       "a syslog sink needs host and port");
	snprintf(sink->target, sizeof(sink->target), "%s %s:%u", how, host, sink->conf.port);
	init(s, sink);
	*r = (struct sl_resolve){.dns = sink->env->dns,
				 .host = host,
				 .port = sink->conf.port,
				 .type = type};
	return 0;
}

size_t
sl_syslog_header(const struct sl_syslog *s, const struct sl_line *l, char buf[SL_SYSLOG_HEADER])
{
	/* <PRI>VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA (section 6) */
	int n = snprintf(buf, SL_SYSLOG_HEADER, "<%u>1 %.*s %s %.32s - ",
			 s->facility * 8 + l->severity, SL_FORMAT_STAMP,
			 l->text + SL_FORMAT_STAMP_AT, s->origin, l->action);

	return (size_t)n;
}
