/* SPDX-License-Identifier: BSD-3-Clause */
/* From a configuration to a gateway that is ready to poll. */
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_evidence.h"
#include "sl_assembly.h"
#include "sl_crypto.h"
#include "sl_log.h"
#include "sl_pkt.h"

#define MBUF_ROOM 2176 /* headroom 128 and a 2 KiB frame */
#define FLOWS_MB 20    /* flows, records and aggregates of a worker */
#define STREAMS SL_ARRAY_SIZE(((struct sl_assembly *)0)->streams)
#define HS_MBOX 8192
#define SLOTS_PER_OWNER (1U << 20)
#define KEYPAIRS_LOCKED 16384U /* 22 MiB */

/** The CPUs that the process may use. */
static unsigned
cpus_available(struct sl_plan_cpu *cpu, unsigned max)
{
	cpu_set_t set;
	unsigned n = 0;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set))
		CPU_SET(0, &set);
	for (unsigned i = 0; i < CPU_SETSIZE && n < max; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = (struct sl_plan_cpu){.id = i, .numa = SL_PLAN_NUMA_ANY};
	return n;
}

static int
make_plan(struct sl_assembly *a, const struct sl_plan_port_cap *ports, unsigned n_ports,
	  struct sl_error *e)
{
	const struct sl_config *c = a->config;
	struct sl_plan_input in = {
		.cpus = a->cpu,
		.n_cpus = a->n_cpus,
		.ports = ports,
		.n_ports = n_ports,
		.wish = {.workers = c->workers,
			 .io = c->io,
			 .idle = c->idle,
			 .cpus = c->cpus,
			 .n_cpus = c->n_cpus},
	};

	int rc;

	if (in.wish.n_cpus == 0)
		in.wish.cpus = NULL;
	if (n_ports) { /* the second plan keeps the lcores of the first */
		in.wish.workers = a->plan.n_workers;
		in.wish.io = a->plan.n_io;
	}
	rc = sl_plan_make(&in, &a->plan, e);
	if (rc != 0 && strncmp(e->path, "/lcores", 7) == 0) /* as the file calls it */
		memmove(e->path, "/system", 7);
	return rc;
}

/** Widest frame buffer that the ports need. af_packet wants room for a whole slot of its ring, of
 * which the frame is a part: slots come in steps of 2 KiB. */
static unsigned
mbuf_room(const struct sl_config *c)
{
	unsigned room = MBUF_ROOM;

	for (unsigned i = 0; i < c->n_ports; i++) {
		unsigned slot = (c->ports[i].port.mtu + SL_L2_MAX + 66 + 2047) & ~2047U;

		if (c->ports[i].port.mtu > 1900)
			room = SL_MAX(room, slot + SL_HEADROOM + SL_TAILROOM);
	}
	return room;
}

static unsigned
mbuf_count(const struct sl_assembly *a)
{
	unsigned lcores = a->plan.n_workers + a->plan.n_io;

	if (a->config->mbufs)
		return a->config->mbufs;
	return 16384 + 8192 * lcores;
}

static unsigned
memory_mb(const struct sl_assembly *a)
{
	uint64_t mbufs = (uint64_t)mbuf_count(a) * (mbuf_room(a->config) + 256);

	if (a->config->memory_mb)
		return a->config->memory_mb;
	return (unsigned)(mbufs >> 20) + 128 +
	       (FLOWS_MB + a->config->audit.ring_kib / 1024) * a->plan.n_workers;
}

int
sl_assembly_eal(struct sl_assembly *a, const struct sl_config *c, const char *const *extra,
		struct sl_error *e)
{
	char lcores[1024], prefix[64];
	const char *pci[SL_PORT_MAX + 1] = {NULL};
	struct sl_eal_wish w = {.prefix = prefix, .lcores = lcores, .pci = pci, .extra = extra};
	unsigned n_pci = 0;
	int rc;

	a->config = c;
	a->stop = false;
	rc = sl_crypto_init();
	if (rc)
		return sl_fail(e, rc, "crypto_failed", "", "libsodium does not start");
	/* now: EAL pins this thread to one CPU */
	a->n_cpus = cpus_available(a->cpu, SL_PLAN_CPUS_MAX);
	rc = make_plan(a, NULL, 0, e);
	if (rc)
		return rc;
	for (unsigned i = 0; i < c->n_ports && n_pci < SL_PORT_MAX; i++)
		if (strchr(c->ports[i].port.device, ':') && strchr(c->ports[i].port.device, '.') &&
		    strncmp(c->ports[i].port.device, "net_", 4) != 0)
			pci[n_pci++] = c->ports[i].port.device;
	sl_plan_lcores_arg(&a->plan, lcores, sizeof(lcores));
	snprintf(prefix, sizeof(prefix), "sluice-%s", c->instance);
	w.hugepages = c->hugepages;
	w.memory_mb = memory_mb(a);
	rc = sl_eal_start(&w, &a->hugepages, e);
	a->eal_up = rc == 0;
	return rc;
}

static void
streams_init(struct sl_assembly *a, struct sl_rng rng[STREAMS])
{
	static const char *const name[STREAMS] = {"index",  "ephemeral", "cookie",
						  "jitter", "key",	 "tables"};

	for (unsigned i = 0; i < STREAMS; i++)
		rng[i] = a->env.lockstep ? sl_rng_seeded_init(&a->streams[i], a->env.seed, name[i])
					 : sl_rng_system();
}

/** A port's configuration with the queues that the first plan can use. */
static struct sl_port_conf
wanted(const struct sl_assembly *a, const struct sl_port_conf *c)
{
	struct sl_port_conf conf = *c;

	if (conf.rxq == 0)
		conf.rxq = a->plan.n_io ? a->plan.n_io : a->plan.n_workers;
	if (conf.txq == 0)
		conf.txq = a->plan.n_io + a->plan.n_workers;
	return conf;
}

/** Attach the ports, plan again with what they can do, start them. */
static int
open_ports(struct sl_assembly *a, struct sl_error *e)
{
	const struct sl_config *c = a->config;
	struct sl_plan_port_cap cap[SL_PORT_MAX];
	struct sl_port_conf conf[SL_PORT_MAX];
	int rc;

	memset(cap, 0, sizeof(cap));
	for (unsigned i = 0; i < c->n_ports; i++) {
		conf[i] = wanted(a, &c->ports[i].port);
		rc = sl_port_attach(&conf[i], &a->port[i], e);
		if (rc) {
			sl_error_under(e, "%s:%u: /ports/%u", c->path, c->ports[i].line, i);
			return rc;
		}
		a->n_ports = i + 1;
		snprintf(cap[i].name, sizeof(cap[i].name), "%s", a->port[i].name);
		/* what was set up, not what the device could have */
		cap[i].max_rxq = a->port[i].rxq;
		cap[i].max_txq = a->port[i].txq;
		cap[i].rss_udp = a->port[i].rss_udp;
		cap[i].numa = a->port[i].socket;
	}
	rc = make_plan(a, cap, c->n_ports, e);
	if (rc)
		return rc;
	for (unsigned i = 0; i < c->n_ports; i++) {
		rc = sl_port_start(&conf[i], &a->port[i], a->pool, e);
		if (rc) {
			sl_error_under(e, "%s:%u: /ports/%u", c->path, c->ports[i].line, i);
			return rc;
		}
	}
	for (unsigned i = 0; i < a->plan.n_warnings; i++)
		sl_log(SL_LOG_WARN, "plan", "%s", a->plan.warnings[i]);
	return 0;
}

/** Number in sl_dp.worker[] of a data lcore: workers first, then io. */
static unsigned
worker_number(const struct sl_plan *p, unsigned lcore)
{
	const struct sl_plan_lcore *l = &p->lcores[lcore];

	return l->index + (l->role == SL_PLAN_ROLE_IO ? p->n_workers : 0);
}

/** Give queues to the lcores as the plan says. */
static int
wire_queues(struct sl_assembly *a, struct sl_error *e)
{
	for (unsigned i = 0; i < a->n_ports; i++) {
		const struct sl_plan_port *pp = &a->plan.ports[i];
		const struct sl_port *port = &a->port[i];

		/* a device may have more queues than there are lcores: each must be read */
		for (unsigned q = 0; q < port->rxq; q++) {
			unsigned lcore = pp->rx_lcore[q % pp->n_rxq];
			unsigned n = worker_number(&a->plan, lcore);
			struct sl_rxq rxq = {(uint16_t)i, port->ethdev, (uint16_t)q};

			if (sl_worker_add_rxq(a->dp->worker[n], &rxq))
				return sl_fail(e, -ENOSPC, "too_many_queues", "/ports",
					       "lcore %u cannot poll more than %u queues", lcore,
					       SL_RXQ_MAX);
		}
		for (unsigned l = 0; l < a->plan.n_lcores; l++) {
			const struct sl_plan_tx *t = &pp->tx[l];
			int via = -1;

			if (a->plan.lcores[l].role != SL_PLAN_ROLE_IO &&
			    a->plan.lcores[l].role != SL_PLAN_ROLE_WORKER)
				continue;
			if (!t->own)
				via = (int)worker_number(&a->plan, t->via);
			sl_worker_set_tx(a->dp->worker[worker_number(&a->plan, l)], i, port->ethdev,
					 t->queue, via, port->tx_csum_ip, port->tx_csum_udp);
		}
	}
	return 0;
}

static int
add_ports_to_gateway(struct sl_assembly *a, struct sl_error *e)
{
	for (unsigned i = 0; i < a->n_ports; i++) {
		const struct sl_config_port *cp = &a->config->ports[i];
		int rc = sl_gw_port_add(a->gw, i, &a->port[i], cp->addr, cp->n_addr, e);

		if (rc) {
			sl_error_under(e, "%s:%u: /ports/%u", a->config->path, cp->line, i);
			return rc;
		}
	}
	return 0;
}

/** After a change of user perhaps no more memory can be locked: then all of it is taken at once. */
static unsigned
keypairs_at_start(const struct sl_assembly *a)
{
	const struct sl_config *c = a->config;

	if (a->hugepages || !c->user || !c->user[0])
		return 0;
	return SL_MAX(KEYPAIRS_LOCKED, 4 * c->n_calls); /* one call a peer, four keypairs a peer */
}

static int
make_planes(struct sl_assembly *a, struct sl_rng rng[STREAMS], struct sl_error *e)
{
	const struct sl_config *c = a->config;
	struct sl_session_conf sc = {.owners = a->plan.n_workers,
				     .slots_per_owner = SLOTS_PER_OWNER,
				     .hugepages = a->hugepages,
				     .allow_unlocked = c->allow_unlocked_keys,
				     .keypairs = keypairs_at_start(a),
				     .flat = a->env.lockstep,
				     .rng = rng[0]};
	struct sl_dp_conf dc = {.name = c->instance,
				.n_workers = a->plan.n_workers,
				.n_io = a->plan.n_io,
				.pool = a->pool,
				.rcu = a->rcu,
				.aead = SL_AEAD_IPSEC_MB,
				.record_slots = c->audit.ring_kib * 1024 / sizeof(struct sl_rec),
				.pool_size = a->pool_size,
				.flows_max = c->policy_flows};
	struct sl_hs_conf hc = {.rng_index = rng[0],
				.rng_ephemeral = rng[1],
				.rng_cookie = rng[2],
				.rng_jitter = rng[3],
				.wall_ns = a->env.wall_ns,
				.wall_ctx = a->env.ctx,
				.rekey_jitter_max_ms = a->env.lockstep ? 0 : 10000,
				.handshakes_per_s = 1000,
				.allow_unlocked = c->allow_unlocked_keys};

	sl_rng_fill(&rng[5], dc.hash_key, sizeof(dc.hash_key));
	a->sessions = sl_session_new(&sc, e);
	if (!a->sessions)
		return e->err ? e->err : -ENOMEM;
	dc.sessions = a->sessions;
	a->dp = sl_dp_new(&dc, e);
	if (!a->dp)
		return e->err ? e->err : -ENOMEM;
	a->to_hs = sl_mbox_new("sl-to-hs", HS_MBOX, sizeof(struct sl_hs_cmd *));
	a->from_hs = sl_mbox_new("sl-from-hs", HS_MBOX, sizeof(struct sl_hs_note));
	if (!a->to_hs || !a->from_hs)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the mailboxes of hs");
	hc.dp = a->dp;
	hc.from_control = a->to_hs;
	hc.to_control = a->from_hs;
	a->hs = sl_hs_new(&hc, e);
	return a->hs ? 0 : e->err ? e->err : -ENOMEM;
}

static uint64_t
host_mono(void *ctx)
{
	(void)ctx;
	return sl_tsc_ns();
}

static uint64_t
host_wall(void *ctx)
{
	(void)ctx;
	return sl_clock_wall_ns();
}

static bool
is_data_cpu(const struct sl_assembly *a, unsigned cpu)
{
	for (unsigned i = 0; i < a->plan.n_lcores; i++) {
		const struct sl_plan_lcore *l = &a->plan.lcores[i];

		if (l->cpu == cpu && (l->role == SL_PLAN_ROLE_WORKER || l->role == SL_PLAN_ROLE_IO))
			return true;
	}
	return false;
}

/** The CPUs of the configuration, or of the process, on which no data lcore runs; else control's.
 */
static void
choose_helper_cpus(struct sl_assembly *a)
{
	const struct sl_config *c = a->config;
	unsigned n = c->n_cpus ? c->n_cpus : a->n_cpus;

	a->n_helper_cpus = 0;
	for (unsigned i = 0; i < n; i++) {
		unsigned cpu = c->n_cpus ? c->cpus[i] : a->cpu[i].id;

		if (!is_data_cpu(a, cpu))
			a->helper_cpu[a->n_helper_cpus++] = cpu;
	}
}

static int
make_gateway(struct sl_assembly *a, struct sl_rng rng, struct sl_error *e)
{
	struct sl_gw_conf gc = {.instance = a->config->instance,
				.dp = a->dp,
				.hs = a->hs,
				.to_hs = a->to_hs,
				.from_hs = a->from_hs,
				.reclaim = a->reclaim,
				.mono_ns = a->env.mono_ns,
				.wall_ns = a->env.wall_ns,
				.clock_ctx = a->env.ctx,
				.built_wall_ns = a->env.lockstep ? 0 : sl_assembly_built_wall_ns,
				.rng = rng,
				.state_dir = a->config->state_dir,
				.run_dir = a->config->run_dir,
				.lockstep = a->env.lockstep,
				.helper_cpus = a->helper_cpu,
				.policy_prefixes = a->config->policy_prefixes,
				.policy_rules = a->config->policy_rules,
				.allow_unlocked_keys = a->config->allow_unlocked_keys};

	choose_helper_cpus(a);
	gc.n_helper_cpus = a->n_helper_cpus;
	a->gw = sl_gw_new(&gc, e);
	return a->gw ? 0 : e->err ? e->err : -ENOMEM;
}

static void
make_boot_id(struct sl_assembly *a)
{
	struct sl_rng rng = sl_rng_system();
	uint8_t id[16] = {0};

	if (!a->env.lockstep)
		sl_rng_fill(&rng, id, sizeof(id));
	for (unsigned i = 0; i < sizeof(id); i++)
		snprintf(a->boot_id + 2 * i, 3, "%02x", id[i]);
}

static int
make_drain(struct sl_assembly *a, struct sl_error *e)
{
	const struct sl_config *c = a->config;
	struct sl_drain_conf dc = {.sinks = c->audit.sinks,
				   .n_sinks = c->audit.n_sinks,
				   .observer = c->instance,
				   .version = SL_VERSION,
				   .boot_id = a->boot_id,
				   .user = c->user,
				   .state_dir = a->env.lockstep ? NULL : c->state_dir,
				   .cpus = a->helper_cpu,
				   .n_cpus = a->n_helper_cpus,
				   .mono_ns = a->env.mono_ns,
				   .wall_ns = a->env.wall_ns,
				   .clock_ctx = a->env.ctx,
				   .losing = a->env.lockstep ? NULL : &a->dp->losing_records,
				   .lockstep = a->env.lockstep};

	if (a->env.keep_records)
		return 0;
	for (unsigned i = 0; i < a->plan.n_workers; i++) /* io lcores decide nothing */
		dc.ring[dc.n_rings++] = a->dp->worker[i]->records;
	dc.ring[dc.n_rings++] = a->dp->hs_records;
	dc.hs_ring = true;
	a->drain = sl_drain_new(&dc, e);
	if (!a->drain)
		return e->err ? e->err : -ENOMEM;
	sl_gw_set_drain(a->gw, a->drain);
	return 0;
}

static int
make_evidence(struct sl_assembly *a, struct sl_error *e)
{
	struct sl_evidence_conf c = {.gw = a->gw,
				     .state_dir = a->config->state_dir,
				     .lockstep = a->env.lockstep,
				     .helper_cpus = a->helper_cpu,
				     .n_helper_cpus = a->n_helper_cpus};

	for (unsigned i = 0; i < a->dp->n_lcores; i++)
		if (a->dp->worker[i]->agg)
			c.agg[c.n_agg++] = a->dp->worker[i]->agg;
	a->evidence = sl_evidence_new(&c, e);
	return a->evidence ? 0 : e->err ? e->err : -ENOMEM;
}

static int
register_readers(struct sl_assembly *a, struct sl_error *e)
{
	a->rcu = sl_rcu_new(SL_RCU_THREADS);
	if (a->rcu)
		a->reclaim = sl_rcu_queue_new(a->rcu);
	if (!a->reclaim)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for RCU");
	for (unsigned i = 0; i < a->plan.n_workers + a->plan.n_io; i++)
		sl_rcu_register(a->rcu, SL_RCU_WORKER(i));
	sl_rcu_register(a->rcu, SL_RCU_HS);
	return 0;
}

int
sl_assembly_build(struct sl_assembly *a, struct sl_error *e)
{
	struct sl_rng rng[STREAMS];
	int rc;

	if (!a->env.mono_ns) {
		a->env.mono_ns = host_mono;
		a->env.wall_ns = host_wall;
	}
	sl_tsc_ns(); /* calibrate before other threads run */
	streams_init(a, rng);
	make_boot_id(a);
	a->pool_size = mbuf_count(a);
	a->pool = sl_pkt_pool_new("sl-mbuf", a->pool_size, mbuf_room(a->config), SOCKET_ID_ANY);
	if (!a->pool) {
		sl_fail(e, -ENOMEM, "no_memory", "/system/memory_mb",
			"no memory for %u packet buffers: %s", a->pool_size,
			rte_strerror(rte_errno));
		sl_hint(e, "raise system.memory_mb or lower system.mbufs");
		return -ENOMEM;
	}
	rc = open_ports(a, e);
	if (rc == 0)
		rc = register_readers(a, e);
	if (rc == 0)
		rc = make_planes(a, rng, e);
	if (rc == 0)
		rc = wire_queues(a, e);
	if (rc == 0)
		rc = make_gateway(a, rng[4], e);
	if (rc == 0)
		rc = make_drain(a, e);
	if (rc == 0)
		rc = add_ports_to_gateway(a, e);
	if (rc == 0)
		rc = make_evidence(a, e);
	return rc;
}

int
sl_assembly_launch(struct sl_assembly *a, struct sl_error *e)
{
	a->launched = true;
	for (unsigned i = 0; i < a->plan.n_lcores; i++) {
		enum sl_plan_role role = a->plan.lcores[i].role;
		int rc = 0;

		if (role == SL_PLAN_ROLE_HS)
			rc = rte_eal_remote_launch(sl_lcore_hs, a, i);
		else if (role != SL_PLAN_ROLE_CONTROL)
			rc = rte_eal_remote_launch(sl_lcore_worker, a, i);
		if (rc)
			return sl_fail(e, rc, "launch_failed", "", "lcore %u does not start: %s", i,
				       rte_strerror(-rc));
	}
	return 0;
}

void
sl_assembly_stop(struct sl_assembly *a)
{
	if (!a->launched)
		return;
	atomic_store_explicit(&a->stop, true, memory_order_relaxed);
	rte_eal_mp_wait_lcore();
	a->launched = false;
}

void
sl_assembly_free(struct sl_assembly *a)
{
	sl_assembly_stop(a);
	for (unsigned i = 0; a->dp && i < a->dp->n_lcores; i++)
		sl_worker_purge(a->dp->worker[i]);
	if (a->hs)
		sl_hs_purge(a->hs);
	sl_evidence_free(a->evidence); /* with what the purge folded */
	a->evidence = NULL;
	if (a->gw)
		sl_gw_stop(a->gw);
	sl_drain_free(a->drain); /* the last records were of the purge */
	if (a->gw)
		sl_gw_set_drain(a->gw, NULL);
	a->drain = NULL;
	sl_hs_free(a->hs);
	sl_gw_free(a->gw); /* after hs, which still writes to peers */
	if (a->reclaim)
		sl_rcu_drain(a->reclaim);
	for (unsigned i = 0; i < a->n_ports; i++)
		sl_port_close(&a->port[i]);
	sl_dp_free(a->dp);
	sl_session_free(a->sessions);
	sl_mbox_free(a->to_hs);
	sl_mbox_free(a->from_hs);
	sl_rcu_queue_free(a->reclaim);
	sl_rcu_free(a->rcu);
	rte_mempool_free(a->pool);
	a->gw = NULL;
	a->hs = NULL;
	a->dp = NULL;
	a->n_ports = 0;
}

unsigned
sl_assembly_poll_all(struct sl_assembly *a)
{
	uint64_t now = a->env.mono_ns(a->env.ctx);
	unsigned done = sl_gw_poll(a->gw);

	done += sl_hs_poll(a->hs, now);
	for (unsigned i = 0; i < a->dp->n_lcores; i++) {
		done += sl_worker_poll(a->dp->worker[i], now);
		sl_rcu_quiescent(a->rcu, SL_RCU_WORKER(i));
	}
	sl_rcu_quiescent(a->rcu, SL_RCU_HS);
	done += sl_evidence_poll(a->evidence);
	return done + (a->drain ? sl_drain_poll(a->drain) : 0);
}
