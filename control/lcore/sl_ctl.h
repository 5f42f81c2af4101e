/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the RPC handlers of the gateway work on, and the console. One thread: the control lcore.
 */
#ifndef SL_CTL_H
#define SL_CTL_H

#include <event2/event.h>

#include "sl_config.h"
#include "sl_drain.h"
#include "sl_evidence.h"
#include "sl_gw.h"
#include "sl_plan.h"
#include "sl_remote.h"
#include "sl_rpc.h"
#include "sl_turns.h"

struct sl_ctl {
	struct sl_gw *gw;
	struct sl_dp *dp;
	struct sl_hs *hs;
	const struct sl_plan *plan;
	const struct sl_config *config;
	struct sl_drain *drain; /* NULL: records go nowhere */
	uint64_t start_wall_ns;
	uint64_t (*mono_ns)(void *ctx);
	void *clock_ctx;
	bool hugepages;
	char boot_id[33];	 /* random hex, new at each start */
	void (*quit)(void *ctx); /* sys.shutdown and console `quit` */
	void *quit_ctx;
	void *rates; /* rpc_rates.c: earlier points in time; filled by sl_ctl_register() */
	struct sl_evidence *evidence; /* NULL: none is kept */
	void *questions;	      /* rpc_evidence.c: under way */
	void *flows;		      /* rpc_flow.c: questions under way */
	void *simulations;	      /* rpc_simulate.c: under way */
	void *lints;		      /* rpc_lint.c: kept for further pages */
	void *work;		      /* rpc_work.c: the thread beside the loop */
	void *uploads;		      /* rpc_policy.c: documents that come in parts */
	struct sl_cp *cp;	      /* NULL: no control plane */
	void *accepted;		      /* rpc_control.c: answers that wait for the disk */
	struct sl_remote *remote;     /* NULL: no remote control */
	struct sl_metrics *metrics;   /* NULL: nobody can scrape */
	const struct sl_turns *turns; /* of the loop; NULL: not counted */
	struct sl_rpc *rpc;	      /* filled by sl_ctl_register() */
};

/** Register every handler of the gateway's schema with `rpc` (whose user is the struct sl_ctl).
 * The clock runs from here. */
int sl_ctl_register(struct sl_rpc *rpc);
/** Logins at the server's listeners leave records: sl_rpc_server_tell_refused() before
 * sl_gw_stop().
 * @return 0 or -ENOMEM */
int sl_ctl_watch_logins(struct sl_ctl *ctl, struct sl_rpc_server *server);
/** What handlers do bit by bit, and the evidence. Call often. */
void sl_ctl_poll(struct sl_ctl *ctl);
/** Begin under the control plane of the configuration, if it names one. The interfaces are there.
 */
int sl_ctl_begin_control(struct sl_ctl *ctl, struct event_base *base, struct sl_error *e);
/** Before sl_gw_stop(): save what the next start wants to know. */
void sl_ctl_end_control(struct sl_ctl *ctl);
/** Free what handlers keep in ctl. */
void sl_ctl_clear(struct sl_ctl *ctl);

struct sl_console;
/**
 * testpmd-like console on a terminal or pipe; each command calls the RPC handlers and prints a
 * table.
 * @param on_quit called for `quit` and end of input
 */
struct sl_console *sl_console_new(struct event_base *base, struct sl_rpc *rpc, int in_fd,
				  int out_fd, void (*on_quit)(void *ctx), void *ctx,
				  struct sl_error *e);
void sl_console_free(struct sl_console *c);

#endif
