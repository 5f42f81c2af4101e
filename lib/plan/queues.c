/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include "plan_int.h"

/* Receive queues that each lcore polls so far, over all ports. */
struct load {
	unsigned n[SL_PLAN_LCORES_MAX];
};

static bool
numa_differs(int a, int b)
{
	return a != SL_PLAN_NUMA_ANY && b != SL_PLAN_NUMA_ANY && a != b;
}

static bool
polls_port(const struct sl_plan_port *port, unsigned n_rxq, unsigned lcore)
{
	for (unsigned q = 0; q < n_rxq; q++) {
		if (port->rx_lcore[q] == lcore)
			return true;
	}
	return false;
}

/* The poller with the fewest queues that has none of this port; the port's memory node wins ties.
 */
static unsigned
least_loaded(const struct sl_plan *p, const struct load *load, const struct sl_plan_port *port,
	     unsigned n_rxq, int numa)
{
	unsigned first = p->n_io > 0 ? p->first_io : p->first_worker;
	unsigned end = first + (p->n_io > 0 ? p->n_io : p->n_workers);
	unsigned best = first, best_cost = UINT32_MAX, cost;

	for (unsigned i = first; i < end; i++) {
		if (polls_port(port, n_rxq, i))
			continue;
		cost = 2 * load->n[i] + numa_differs(p->lcores[i].numa, numa);
		if (cost < best_cost) {
			best = i;
			best_cost = cost;
		}
	}
	return best;
}

static void
rx_assign(const struct sl_plan_port_cap *cap, struct sl_plan *p, struct sl_plan_port *port,
	  struct load *load)
{
	unsigned first = p->n_io > 0 ? p->first_io : p->first_worker;
	unsigned n_pollers = p->n_io > 0 ? p->n_io : p->n_workers;
	unsigned n = SL_MIN(cap->max_rxq, SL_MIN(n_pollers, SL_PLAN_QUEUES_MAX));
	unsigned lcore;

	if (cap->paired)
		n = SL_MIN(n, cap->max_txq);
	for (unsigned q = 0; q < n; q++) {
		lcore = n == n_pollers ? first + q : least_loaded(p, load, port, q, cap->numa);
		port->rx_lcore[q] = (uint8_t)lcore;
		load->n[lcore]++;
	}
	port->n_rxq = (uint16_t)n;
	port->steers = p->n_workers > 1 && (p->n_io > 0 || n < p->n_workers);
}

/* The lcores in the order in which they get a transmit queue of a port. */
struct claims {
	uint8_t lcore[SL_PLAN_LCORES_MAX];
	unsigned n;
};

static void
claim(struct claims *c, unsigned lcore)
{
	for (unsigned i = 0; i < c->n; i++) {
		if (c->lcore[i] == lcore)
			return;
	}
	c->lcore[c->n++] = (uint8_t)lcore;
}

static void
claim_range(struct claims *c, unsigned first, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		claim(c, first + i);
}

static void
claims_fill(const struct sl_plan *p, const struct sl_plan_port *port, unsigned room,
	    struct claims *c)
{
	c->n = 0;
	if (room < p->n_workers) {
		/* Few queues: first to those that touch the port anyway. */
		claim_range(c, p->first_io, p->n_io);
		for (unsigned q = 0; q < port->n_rxq; q++)
			claim(c, port->rx_lcore[q]);
	}
	claim_range(c, p->first_worker, p->n_workers);
	claim(c, SL_PLAN_HS);
	claim(c, SL_PLAN_CONTROL);
	claim_range(c, p->first_io, p->n_io);
}

static bool
is_data(const struct sl_plan *p, unsigned lcore)
{
	return lcore >= p->first_io;
}

static void
tx_assign(const struct sl_plan_port_cap *cap, struct sl_plan *p, struct sl_plan_port *port)
{
	unsigned room = SL_MIN(cap->max_txq, SL_PLAN_QUEUES_MAX), n_data = 0, turn = 0;
	struct claims c;

	if (cap->paired)
		room = port->n_rxq;
	claims_fill(p, port, room, &c);
	port->n_txq = (uint16_t)SL_MIN(room, c.n);
	for (unsigned q = 0; q < port->n_txq; q++) {
		port->tx_lcore[q] = c.lcore[q];
		port->tx[c.lcore[q]] =
			(struct sl_plan_tx){.own = true, .queue = (uint16_t)q, .via = c.lcore[q]};
		/* Data lcores come first among the owners, so these are queues 0 .. n_data - 1. */
		n_data += is_data(p, c.lcore[q]) && n_data == q;
	}
	for (unsigned i = port->n_txq; i < c.n; i++, turn++) {
		unsigned q = turn % n_data;

		port->tx[c.lcore[i]] =
			(struct sl_plan_tx){.queue = (uint16_t)q, .via = port->tx_lcore[q]};
	}
}

static void
port_warn(const struct sl_plan_port_cap *cap, struct sl_plan *p, const struct sl_plan_port *port)
{
	bool near = false;

	if (port->n_rxq > 1 && !cap->rss_udp)
		plan_warn(p,
			  "port %s: RSS does not cover UDP ports, so tunnels between the same two "
			  "addresses share one receive queue",
			  cap->name);
	if (p->n_io == 0 && port->steers)
		plan_warn(p,
			  "port %s: %u receive queue%s for %u workers, packets change the core by "
			  "ring",
			  cap->name, port->n_rxq, port->n_rxq == 1 ? "" : "s", p->n_workers);
	for (unsigned q = 0; q < port->n_rxq; q++)
		near |= !numa_differs(p->lcores[port->rx_lcore[q]].numa, cap->numa);
	if (!near)
		plan_warn(p, "port %s is on memory node %d, none of its lcores is", cap->name,
			  cap->numa);
}

static int
port_check(const struct sl_plan_input *in, unsigned i, struct sl_error *err)
{
	const struct sl_plan_port_cap *cap = &in->ports[i];
	char path[40];

	snprintf(path, sizeof(path), "/ports/%u", i);
	if (cap->max_rxq == 0 || cap->max_txq == 0) {
		sl_fail(err, -EINVAL, "port_queues", path, "port %s has no %s queue", cap->name,
			cap->max_rxq == 0 ? "receive" : "transmit");
		sl_hint(err, "Give its device at least one queue of each kind");
		return -EINVAL;
	}
	for (unsigned j = 0; j < i; j++) {
		if (strcmp(in->ports[j].name, cap->name) != 0)
			continue;
		sl_fail(err, -EINVAL, "port_duplicate", path, "port %s is there twice", cap->name);
		sl_hint(err, "Name every port once");
		return -EINVAL;
	}
	return 0;
}

static int
check_io_busy(const struct sl_plan *p, const struct load *load, struct sl_error *err)
{
	unsigned busy = 0;

	for (unsigned i = 0; i < p->n_io; i++)
		busy += load->n[p->first_io + i] > 0;
	if (busy == p->n_io || p->n_ports == 0)
		return 0;
	sl_fail(err, -EINVAL, "io_too_many", "/lcores/io",
		"%u io cores, but the receive queues of all ports keep only %u busy", p->n_io,
		busy);
	sl_hint(err, "Wish for at most %u, or give the ports more queues", busy);
	return -EINVAL;
}

int
plan_queues(const struct sl_plan_input *in, struct sl_plan *p, struct sl_error *err)
{
	struct load load = {0};
	int rc;

	if (in->n_ports > SL_PLAN_PORTS_MAX)
		return sl_fail(err, -E2BIG, "ports_too_many", "/ports", "%u ports, at most %u",
			       in->n_ports, SL_PLAN_PORTS_MAX);
	for (unsigned i = 0; i < in->n_ports; i++) {
		struct sl_plan_port *port = &p->ports[i];

		rc = port_check(in, i, err);
		if (rc != 0)
			return rc;
		snprintf(port->name, sizeof(port->name), "%s", in->ports[i].name);
		rx_assign(&in->ports[i], p, port, &load);
		tx_assign(&in->ports[i], p, port);
		port_warn(&in->ports[i], p, port);
		p->n_ports++;
	}
	return check_io_busy(p, &load, err);
}
