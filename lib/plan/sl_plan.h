/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Which logical core does what: a pure function of the machine, the ports and the wishes.
 *
 * Called by control before EAL starts (with what the configuration says of the ports) and again
 * when the ports are known. Allocates nothing and keeps nothing.
 *
 * Rules. Logical core 0 is control, 1 is hs (the handshake plane, a thread of its own), then the
 * io cores, then the workers. Control stays on the first CPU. hs shares it where there are fewer
 * than 6 CPUs or where the wishes need all the others; otherwise hs has a CPU of its own. io cores
 * and workers have one CPU each; on a single CPU all share it.
 *
 * Without io cores every worker polls one receive queue of each port that has enough of them (run
 * to completion); a port with fewer is polled by some of the workers, which steer by ring to the
 * owner. With io cores these poll all receive queues and steer. io cores come only when wished, or
 * (wish SL_PLAN_AUTO) one of them where a port with several queues cannot spread UDP flows and
 * there are CPUs for it and for two workers. A core without a transmit queue on a port hands its
 * packets by ring to the io core or worker that has one.
 */
#ifndef SL_PLAN_H
#define SL_PLAN_H

#include "sl_base.h"
#include "sl_error.h"

#define SL_PLAN_CPUS_MAX 1024
#define SL_PLAN_LCORES_MAX 128
#define SL_PLAN_PORTS_MAX 32
#define SL_PLAN_QUEUES_MAX 128
#define SL_PLAN_WARNINGS_MAX 16
#define SL_PLAN_AUTO UINT32_MAX
#define SL_PLAN_NUMA_ANY (-1)
#define SL_PLAN_CONTROL 0 /* lcore id */
#define SL_PLAN_HS 1	  /* lcore id */

enum sl_plan_role { SL_PLAN_ROLE_CONTROL, SL_PLAN_ROLE_HS, SL_PLAN_ROLE_IO, SL_PLAN_ROLE_WORKER };

/** What an idle data lcore does: poll on; poll with pauses; also short sleeps, RCU offline. */
enum sl_plan_idle { SL_PLAN_IDLE_AUTO, SL_PLAN_IDLE_SPIN, SL_PLAN_IDLE_PAUSE, SL_PLAN_IDLE_SLEEP };

struct sl_plan_cpu {
	unsigned id;
	int numa; /* or SL_PLAN_NUMA_ANY */
};

struct sl_plan_port_cap {
	char name[64];
	uint16_t max_rxq;
	uint16_t max_txq;
	bool rss_udp; /* RSS covers the UDP ports */
	bool paired;  /* the driver wants as many transmit as receive queues */
	int numa;     /* or SL_PLAN_NUMA_ANY */
};

struct sl_plan_wish {
	unsigned workers; /* 0: as many as fit */
	unsigned io;	  /* a number, 0 for none, SL_PLAN_AUTO */
	enum sl_plan_idle idle;
	/* The CPUs to use in order: control's, hs's if it has its own, io, workers. NULL: all. A
	 * CPU named more than once runs several lcores (for tests; they then sleep when idle). */
	const unsigned *cpus;
	unsigned n_cpus;
};

struct sl_plan_input {
	const struct sl_plan_cpu *cpus;
	unsigned n_cpus;
	const struct sl_plan_port_cap *ports;
	unsigned n_ports;
	struct sl_plan_wish wish;
};

struct sl_plan_lcore {
	unsigned id; /* EAL lcore id, equal to the place in sl_plan.lcores[] */
	unsigned cpu;
	int numa;
	enum sl_plan_role role;
	unsigned index; /* counts within the role, from 0 */
};

/** How an lcore transmits on a port. */
struct sl_plan_tx {
	bool own;	/* it has queue `queue`; otherwise it hands over to lcore `via` */
	uint16_t queue; /* own: its queue; otherwise the queue of `via` */
	uint8_t via;	/* own: itself */
};

struct sl_plan_port {
	char name[64];
	uint16_t n_rxq;
	uint16_t n_txq;
	bool steers; /* packets may reach another core than their owner and change by ring */
	uint8_t rx_lcore[SL_PLAN_QUEUES_MAX];	  /* by receive queue: the lcore that polls it */
	uint8_t tx_lcore[SL_PLAN_QUEUES_MAX];	  /* by transmit queue: the lcore that owns it */
	struct sl_plan_tx tx[SL_PLAN_LCORES_MAX]; /* by lcore */
};

struct sl_plan {
	struct sl_plan_lcore lcores[SL_PLAN_LCORES_MAX];
	unsigned n_lcores;
	unsigned n_io;
	unsigned n_workers;
	unsigned first_io;	/* lcore id; lcores of a role are consecutive */
	unsigned first_worker;	/* lcore id */
	enum sl_plan_idle idle; /* never AUTO */
	struct sl_plan_port ports[SL_PLAN_PORTS_MAX];
	unsigned n_ports;
	char warnings[SL_PLAN_WARNINGS_MAX][200];
	unsigned n_warnings;
};

/**
 * Make the plan.
 * @param err filled on failure (reason, path into the configuration, message, hint); may be NULL
 * @return 0; -EINVAL (a wish or a port cannot be met); -E2BIG (too many CPUs, ports or lcores)
 */
int sl_plan_make(const struct sl_plan_input *in, struct sl_plan *out, struct sl_error *err);

/** Lcore id of worker `index`. */
static inline unsigned
sl_plan_worker(const struct sl_plan *p, unsigned index)
{
	return p->first_worker + index;
}

/** "control", "hs", "io" or "worker". */
const char *sl_plan_role_text(enum sl_plan_role role);

/** "auto", "spin", "pause" or "sleep". */
const char *sl_plan_idle_text(enum sl_plan_idle idle);

/** @return 0 or -EINVAL. */
int sl_plan_idle_parse(const char *s, enum sl_plan_idle *out);

/**
 * Text for EAL's --lcores, e.g. "0@0,1@0,2@1".
 * @return length without the zero, as snprintf() counts it: size or more means cut
 */
size_t sl_plan_lcores_arg(const struct sl_plan *p, char *buf, size_t size);

/**
 * A table for people: lcores, the queues of each port, warnings.
 * @return length without the zero, as snprintf() counts it: size or more means cut
 */
size_t sl_plan_print(const struct sl_plan *p, char *buf, size_t size);

#endif
