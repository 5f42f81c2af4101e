/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "plan_int.h"

static const char *const role_text[] = {"control", "hs", "io", "worker"};
static const char *const idle_text[] = {"auto", "spin", "pause", "sleep"};

const char *
sl_plan_role_text(enum sl_plan_role role)
{
	return (unsigned)role < SL_ARRAY_SIZE(role_text) ? role_text[role] : "invalid";
}

const char *
sl_plan_idle_text(enum sl_plan_idle idle)
{
	return (unsigned)idle < SL_ARRAY_SIZE(idle_text) ? idle_text[idle] : "invalid";
}

int
sl_plan_idle_parse(const char *s, enum sl_plan_idle *out)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(idle_text); i++) {
		if (strcmp(s, idle_text[i]) == 0) {
			*out = (enum sl_plan_idle)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Text that grows in a buffer and is counted beyond its end. */
struct out {
	char *buf;
	size_t size;
	size_t len;
};

static void SL_PRINTF(2, 3) put(struct out *o, const char *fmt, ...)
{
	size_t room = o->len < o->size ? o->size - o->len : 0;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(room > 0 ? o->buf + o->len : NULL, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		o->len += (size_t)n;
}

size_t
sl_plan_lcores_arg(const struct sl_plan *p, char *buf, size_t size)
{
	struct out o = {.buf = buf, .size = size};

	if (size > 0)
		buf[0] = '\0';
	for (unsigned i = 0; i < p->n_lcores; i++)
		put(&o, "%s%u@%u", i == 0 ? "" : ",", p->lcores[i].id, p->lcores[i].cpu);
	return o.len;
}

/* "rx 0,2 tx 1" or "tx via 3" */
static void
cell(const struct sl_plan_port *port, unsigned lcore, char *buf, size_t size)
{
	struct out o = {.buf = buf, .size = size};
	const struct sl_plan_tx *tx = &port->tx[lcore];
	unsigned n = 0;

	for (unsigned q = 0; q < port->n_rxq; q++) {
		if (port->rx_lcore[q] == lcore)
			put(&o, "%s%u", n++ == 0 ? "rx " : ",", q);
	}
	if (tx->own)
		put(&o, "%stx %u", n > 0 ? " " : "", tx->queue);
	else
		put(&o, "%stx via %u", n > 0 ? " " : "", tx->via);
}

static void
put_lcore(struct out *o, const struct sl_plan *p, const struct sl_plan_lcore *l)
{
	char text[32];

	snprintf(text, sizeof(text), l->role >= SL_PLAN_ROLE_IO ? "%s %u" : "%s",
		 sl_plan_role_text(l->role), l->index);
	put(o, "%5u  %4u  ", l->id, l->cpu);
	if (l->numa == SL_PLAN_NUMA_ANY)
		put(o, "%4s", "-");
	else
		put(o, "%4d", l->numa);
	put(o, "  %-10s", text);
	for (unsigned i = 0; i < p->n_ports; i++) {
		cell(&p->ports[i], l->id, text, sizeof(text));
		put(o, "  %-16s", text);
	}
	put(o, "\n");
}

size_t
sl_plan_print(const struct sl_plan *p, char *buf, size_t size)
{
	struct out o = {.buf = buf, .size = size};

	put(&o, "lcore   cpu  numa  role      ");
	for (unsigned i = 0; i < p->n_ports; i++)
		put(&o, "  %-16s", p->ports[i].name);
	put(&o, "\n");
	for (unsigned i = 0; i < p->n_lcores; i++)
		put_lcore(&o, p, &p->lcores[i]);
	for (unsigned i = 0; i < p->n_ports; i++)
		put(&o, "port %s: %u receive and %u transmit queues%s\n", p->ports[i].name,
		    p->ports[i].n_rxq, p->ports[i].n_txq, p->ports[i].steers ? ", steers" : "");
	put(&o, "idle policy: %s\n", sl_plan_idle_text(p->idle));
	for (unsigned i = 0; i < p->n_warnings; i++)
		put(&o, "warning: %s\n", p->warnings[i]);
	return o.len;
}
