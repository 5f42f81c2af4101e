/* SPDX-License-Identifier: BSD-3-Clause */
#include "refused.h"

#include <stdio.h>
#include <string.h>

#include "sl_base.h"
#include "throttle.h"

#define WAIT_S 60U
#define RECORD_S 10U /* each record that was written lets the next ones wait for so long */

static struct refused_source *
place(struct refused *r, const char *name)
{
	struct refused_source *s;

	for (unsigned i = 0; i < r->n && i < REFUSED_SOURCES; i++)
		if (strcmp(r->source[i].name, name) == 0)
			return &r->source[i];
	if (r->n > REFUSED_SOURCES)
		return &r->source[REFUSED_SOURCES];
	s = &r->source[r->n++];
	s->n = 0;
	snprintf(s->name, sizeof(s->name), "%s", r->n > REFUSED_SOURCES ? "others" : name);
	return s;
}

void
refused_count(struct refused *r, const struct sl_ip *from)
{
	char name[SL_IP_STR + 4] = "-", text[SL_IP_STR];
	struct sl_ip ip;

	if (from != NULL) {
		ip = throttle_source_of(from);
		snprintf(name, sizeof(name), "%s%s", sl_ip_str(&ip, text),
			 ip.family == 6 ? "/64" : "");
	}
	place(r, name)->n++;
}

unsigned
refused_wait_s(unsigned told)
{
	return SL_MAX(WAIT_S, told * RECORD_S);
}
