/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "plan_int.h"

#define HS_OWN_CPU_FROM 6 /* CPUs from which on hs has its own */

void
plan_warn(struct sl_plan *p, const char *fmt, ...)
{
	va_list ap;

	if (p->n_warnings == SL_PLAN_WARNINGS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(p->warnings[p->n_warnings++], sizeof(p->warnings[0]), fmt, ap);
	va_end(ap);
}

/* The CPUs that the plan may fill, in order; a CPU may stand here twice if the wish says so. */
struct places {
	const struct sl_plan_cpu *cpu[SL_PLAN_CPUS_MAX];
	unsigned n;
	unsigned n_distinct;
};

static bool
placed(const struct places *pl, unsigned id)
{
	for (unsigned i = 0; i < pl->n; i++) {
		if (pl->cpu[i]->id == id)
			return true;
	}
	return false;
}

static void
place(struct places *pl, const struct sl_plan_cpu *cpu)
{
	pl->n_distinct += !placed(pl, cpu->id);
	pl->cpu[pl->n++] = cpu;
}

static const struct sl_plan_cpu *
cpu_find(const struct sl_plan_input *in, unsigned id)
{
	for (unsigned i = 0; i < in->n_cpus; i++) {
		if (in->cpus[i].id == id)
			return &in->cpus[i];
	}
	return NULL;
}

/* The memory node of all ports, if they agree. */
static int
ports_numa(const struct sl_plan_input *in)
{
	int numa = SL_PLAN_NUMA_ANY;

	for (unsigned i = 0; i < in->n_ports; i++) {
		int of_port = in->ports[i].numa;

		if (of_port == SL_PLAN_NUMA_ANY || of_port == numa)
			continue;
		if (numa != SL_PLAN_NUMA_ANY)
			return SL_PLAN_NUMA_ANY;
		numa = of_port;
	}
	return numa;
}

static int
places_wished(const struct sl_plan_input *in, struct places *pl, struct sl_error *err)
{
	const struct sl_plan_cpu *cpu;
	char path[40];

	for (unsigned i = 0; i < in->wish.n_cpus; i++) {
		cpu = cpu_find(in, in->wish.cpus[i]);
		if (cpu == NULL) {
			snprintf(path, sizeof(path), "/lcores/cpus/%u", i);
			sl_fail(err, -EINVAL, "cpu_unknown", path,
				"CPU %u does not exist or may not be used by this process",
				in->wish.cpus[i]);
			sl_hint(err, "Name CPUs from the process's affinity (taskset -p shows it)");
			return -EINVAL;
		}
		place(pl, cpu);
	}
	return 0;
}

/* All CPUs: control's first, then those beside the ports, then the rest. */
static void
places_all(const struct sl_plan_input *in, struct places *pl)
{
	int numa = ports_numa(in);

	place(pl, &in->cpus[0]);
	for (unsigned i = 1; i < in->n_cpus; i++) {
		if (numa == SL_PLAN_NUMA_ANY || in->cpus[i].numa == numa)
			place(pl, &in->cpus[i]);
	}
	for (unsigned i = 1; i < in->n_cpus; i++) {
		if (!placed(pl, in->cpus[i].id))
			place(pl, &in->cpus[i]);
	}
}

static int
places_fill(const struct sl_plan_input *in, struct places *pl, struct sl_error *err)
{
	bool wished = in->wish.cpus != NULL && in->wish.n_cpus > 0;

	pl->n = 0;
	pl->n_distinct = 0;
	if (in->n_cpus == 0)
		return sl_fail(err, -EINVAL, "no_cpus", "/lcores", "no CPU to run on");
	if (in->n_cpus > SL_PLAN_CPUS_MAX || (wished && in->wish.n_cpus > SL_PLAN_CPUS_MAX))
		return sl_fail(err, -E2BIG, "cpus_too_many", "/lcores/cpus", "more than %u CPUs",
			       SL_PLAN_CPUS_MAX);
	if (wished)
		return places_wished(in, pl, err);
	places_all(in, pl);
	return 0;
}

/* A port with several receive queues whose RSS does not look at UDP ports. */
static bool
spreads_badly(const struct sl_plan_port_cap *port)
{
	return port->max_rxq > 1 && !port->rss_udp;
}

static bool
wants_io(const struct sl_plan_input *in)
{
	for (unsigned i = 0; i < in->n_ports; i++) {
		if (spreads_badly(&in->ports[i]))
			return true;
	}
	return false;
}

struct counts {
	unsigned io;
	unsigned workers;
	bool hs_own;
	unsigned first_data; /* place of the first io core or worker */
};

static int
fail_too_many(const struct counts *c, unsigned data, struct sl_error *err)
{
	bool io = c->workers <= data && c->io > 0;

	sl_fail(err, -EINVAL, io ? "io_too_many" : "workers_too_many",
		io ? "/lcores/io" : "/lcores/workers",
		"%u workers and %u io cores need %u CPUs beside control's, but there are %u",
		c->workers, c->io, c->workers + c->io, data);
	sl_hint(err, "Wish for at most %u together, or give the gateway more CPUs", data);
	return -EINVAL;
}

/* How many of each role; `data` is the number of places beside control's. */
static int
count_roles(const struct sl_plan_input *in, const struct places *pl, struct counts *c,
	    struct sl_error *err)
{
	const struct sl_plan_wish *w = &in->wish;
	unsigned data = pl->n > 1 ? pl->n - 1 : 1;
	unsigned for_io = w->workers != 0 ? w->workers : 2; /* one worker needs no io core */

	c->workers = w->workers != 0 ? w->workers : 1;
	c->io = w->io;
	if (w->io == SL_PLAN_AUTO) {
		c->io = for_io > 1 && for_io < data && wants_io(in);
		c->workers = c->io > 0 ? for_io : c->workers;
	}
	if (c->io > data || c->workers > data - c->io)
		return fail_too_many(c, data, err);
	c->hs_own = pl->n_distinct >= HS_OWN_CPU_FROM && c->workers + c->io < data;
	c->first_data = pl->n == 1 ? 0 : c->hs_own ? 2 : 1;
	if (w->workers == 0)
		c->workers = data - c->hs_own - c->io;
	return 0;
}

static int
check_limit(const struct sl_plan_input *in, struct counts *c, struct sl_plan *p,
	    struct sl_error *err)
{
	unsigned room = SL_PLAN_LCORES_MAX - 2;

	if (c->workers + c->io <= room)
		return 0;
	if (in->wish.workers != 0 || c->io >= room) {
		sl_fail(err, -E2BIG, "lcores_too_many", "/lcores",
			"%u workers and %u io cores are more than the %u that one gateway can have",
			c->workers, c->io, room);
		sl_hint(err, "Wish for at most %u together", room);
		return -E2BIG;
	}
	c->workers = room - c->io;
	plan_warn(p, "only %u of the CPUs are used: a gateway has at most %u lcores", c->workers,
		  SL_PLAN_LCORES_MAX);
	return 0;
}

static void
lcore_add(struct sl_plan *p, const struct sl_plan_cpu *cpu, enum sl_plan_role role, unsigned index)
{
	p->lcores[p->n_lcores] = (struct sl_plan_lcore){
		.id = p->n_lcores, .cpu = cpu->id, .numa = cpu->numa, .role = role, .index = index};
	p->n_lcores++;
}

static void
lcores_fill(const struct places *pl, const struct counts *c, struct sl_plan *p)
{
	unsigned at = c->first_data;

	lcore_add(p, pl->cpu[0], SL_PLAN_ROLE_CONTROL, 0);
	lcore_add(p, pl->cpu[c->hs_own ? 1 : 0], SL_PLAN_ROLE_HS, 0);
	p->first_io = p->n_lcores;
	p->n_io = c->io;
	for (unsigned i = 0; i < c->io; i++)
		lcore_add(p, pl->cpu[at++], SL_PLAN_ROLE_IO, i);
	p->first_worker = p->n_lcores;
	p->n_workers = c->workers;
	for (unsigned i = 0; i < c->workers; i++)
		lcore_add(p, pl->cpu[at++], SL_PLAN_ROLE_WORKER, i);
}

/* A data lcore whose CPU another lcore uses too, or NULL. */
static const struct sl_plan_lcore *
shared_data_lcore(const struct sl_plan *p)
{
	for (unsigned i = p->first_io; i < p->n_lcores; i++) {
		for (unsigned j = 0; j < p->n_lcores; j++) {
			if (i != j && p->lcores[i].cpu == p->lcores[j].cpu)
				return &p->lcores[i];
		}
	}
	return NULL;
}

static void
choose_idle(const struct sl_plan_input *in, const struct places *pl, struct sl_plan *p)
{
	const struct sl_plan_lcore *shared = shared_data_lcore(p);

	p->idle = in->wish.idle;
	if (p->idle == SL_PLAN_IDLE_AUTO)
		p->idle = shared != NULL || pl->n_distinct <= 2 ? SL_PLAN_IDLE_SLEEP
								: SL_PLAN_IDLE_PAUSE;
	if (shared == NULL)
		return;
	if (p->idle == SL_PLAN_IDLE_SLEEP)
		plan_warn(p, "CPU %u runs several lcores: fit for tests, not for load",
			  shared->cpu);
	else
		plan_warn(p,
			  "CPU %u runs several lcores and idle policy %s leaves it to one at a "
			  "time: use sleep",
			  shared->cpu, sl_plan_idle_text(p->idle));
}

int
sl_plan_make(const struct sl_plan_input *in, struct sl_plan *out, struct sl_error *err)
{
	struct places pl;
	struct counts c;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = places_fill(in, &pl, err);
	if (rc == 0)
		rc = count_roles(in, &pl, &c, err);
	if (rc == 0)
		rc = check_limit(in, &c, out, err);
	if (rc != 0)
		return rc;
	lcores_fill(&pl, &c, out);
	choose_idle(in, &pl, out);
	return plan_queues(in, out, err);
}
