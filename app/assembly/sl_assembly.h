/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Putting a gateway together from a configuration: EAL, memory, plan, ports, data plane, hs,
 * gateway model. Shared by sluiced (threads, real clock) and the lockstep driver (one thread,
 * virtual clock).
 *
 * Main thread only. Order: sl_assembly_eal(), sl_assembly_build(), then the calls of the
 * configuration, then sl_assembly_launch() (threads) or the caller polls sl_assembly_poll_all()
 * itself (lockstep).
 */
#ifndef SL_ASSEMBLY_H
#define SL_ASSEMBLY_H

#include "sl_config.h"
#include "sl_drain.h"
#include "sl_gw.h"
#include "sl_hs.h"
#include "sl_pipeline.h"
#include "sl_plan.h"
#include "sl_rcu.h"

#define SL_RCU_WORKER(i) (i)
#define SL_RCU_HS SL_WORKER_MAX
#define SL_RCU_THREADS (SL_WORKER_MAX + 1)

/** Where time and randomness come from. */
struct sl_assembly_env {
	bool lockstep;
	bool keep_records; /* the caller takes them out of the rings itself: no drain */
	uint64_t seed;	   /* lockstep: of all random streams */
	uint64_t (*mono_ns)(void *ctx); /* NULL: the host's clocks and generator */
	uint64_t (*wall_ns)(void *ctx);
	void *ctx;
};

/** When the program was configured: an earlier clock is wrong. */
extern const uint64_t sl_assembly_built_wall_ns;

struct sl_assembly {
	const struct sl_config *config;
	struct sl_assembly_env env;
	struct sl_rng_seeded streams[6];
	struct sl_plan_cpu cpu[SL_PLAN_CPUS_MAX]; /* those that the process may use */
	unsigned n_cpus;
	unsigned helper_cpu[SL_PLAN_CPUS_MAX], n_helper_cpus; /* where policies are compiled */
	struct sl_plan plan;
	struct sl_port port[SL_PORT_MAX];
	unsigned n_ports;
	struct rte_mempool *pool;
	unsigned pool_size;
	struct sl_rcu *rcu;
	struct sl_rcu_queue *reclaim; /* control's */
	struct sl_session_table *sessions;
	struct sl_dp *dp;
	struct sl_mbox *to_hs, *from_hs;
	struct sl_hs *hs;
	struct sl_gw *gw;
	struct sl_evidence *evidence; /* sl_evidence.h */
	struct sl_drain *drain;
	char boot_id[33]; /* random hex, new at each start; zeros in lockstep */
	bool hugepages;	  /* what EAL got */
	bool eal_up;
	bool launched;
	_Atomic bool stop; /* w: control */
};

/**
 * First plan (without ports) and rte_eal_init(). Chooses hugepages or no-huge memory with a clear
 * warning.
 * @param extra more EAL arguments (NULL-terminated), may be NULL
 */
int sl_assembly_eal(struct sl_assembly *a, const struct sl_config *c, const char *const *extra,
		    struct sl_error *e);
/** Everything up to the gateway model; ports are started, nothing polls yet. On error all is undone
 * by sl_assembly_free(). */
int sl_assembly_build(struct sl_assembly *a, struct sl_error *e);
/** Start hs and the data lcores on their EAL threads. */
int sl_assembly_launch(struct sl_assembly *a, struct sl_error *e);
/** Stop them and wait. */
void sl_assembly_stop(struct sl_assembly *a);
/** Close ports, free everything, wipe keys. EAL stays until the process ends. */
void sl_assembly_free(struct sl_assembly *a);
/** Lockstep: one turn of hs, all data lcores and the gateway model at the virtual time. @return
 * things done. */
unsigned sl_assembly_poll_all(struct sl_assembly *a);

/** EAL (eal.c): arguments and memory; used by sl_assembly_eal() and sluice-bench. */
struct sl_eal_wish {
	const char *prefix;
	const char *lcores; /* --lcores value */
	enum sl_config_hugepages hugepages;
	unsigned memory_mb;
	const char *const *pci; /* addresses to allow, NULL-terminated; empty: --no-pci */
	const char *const *extra;
};
int sl_eal_start(const struct sl_eal_wish *w, bool *got_hugepages, struct sl_error *e);

/** Time from the TSC, calibrated by EAL: monotonic ns on the scale of sl_clock_mono_ns(). */
uint64_t sl_tsc_ns(void);

/** Thread bodies (lcores.c). */
int sl_lcore_worker(void *assembly);
int sl_lcore_hs(void *assembly);

#endif
