/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Evidence: the flow aggregates of all data lcores, merged, bounded and kept for 30 days in the
 * state directory; the questions that engineers ask of them. Control's thread; files are written by
 * a helper thread.
 *
 * A row is one (hour, interface, peer, source, destination, protocol, service port, direction).
 * What is lost (a full table, an evicted row, time without a running gateway) is told with each
 * answer, never hidden.
 */
#ifndef SL_EVIDENCE_H
#define SL_EVIDENCE_H

#include "sl_agg.h"
#include "sl_gw_policy.h"

#define SL_EVIDENCE_ROWS 200000
#define SL_EVIDENCE_KEEP_S (30 * 86400)

struct sl_evidence;

struct sl_evidence_conf {
	struct sl_gw *gw;
	struct sl_agg *agg[SL_WORKER_MAX];
	unsigned n_agg;
	unsigned rows_max;	     /* 0: SL_EVIDENCE_ROWS */
	const char *state_dir;	     /* NULL: not kept */
	bool lockstep;		     /* no thread: files are written by sl_evidence_poll() itself */
	const unsigned *helper_cpus; /* where the thread may run; NULL: as its maker */
	unsigned n_helper_cpus;
};

/** Reads what a former run kept; a damaged file is put aside and told as a gap. */
struct sl_evidence *sl_evidence_new(const struct sl_evidence_conf *c, struct sl_error *e);
/** The data lcores have stopped, the gateway still lives: collects what is left and saves. NULL
 * allowed. */
void sl_evidence_free(struct sl_evidence *ev);
/** Collect from the lcores, make room, save when due. Call often. @return things done */
unsigned sl_evidence_poll(struct sl_evidence *ev);

/** How many rows are kept now. */
unsigned sl_evidence_rows(const struct sl_evidence *ev);

/**
 * What the rules of the policy in force decided since the start, by their order in it.
 * @param generation changes with the policy; @param omitted rules beyond the first 5,000
 * @return how many rules are counted
 */
unsigned sl_evidence_rules(struct sl_evidence *ev, uint64_t *generation, unsigned *omitted);
/** @param i below that number. A row of a flow counts for the rule that decided last. */
void sl_evidence_rule(const struct sl_evidence *ev, unsigned i, uint64_t *flows, uint64_t *packets);

struct sl_evidence_row {
	struct sl_agg_key key;
	char peer[64]; /* name at the time */
	uint64_t hour; /* wall seconds / 3600 */
	uint64_t flows, packets, bytes;
	uint64_t first_wall_ns, last_wall_ns;
	uint32_t rule_id, role_id;
	uint32_t why; /* enum sl_why; of a row that is shown as it is merged alone */
};
/** Show every row as it is merged, with what is new of it; NULL: none. @param r NULL: only
 * `lost_flows`, that no row holds */
void sl_evidence_tap(struct sl_evidence *ev,
		     void (*fn)(void *ctx, const struct sl_evidence_row *r, uint64_t lost_flows),
		     void *ctx);

/**
 * Forget everything, on the disk too; what is covered begins anew.
 * @param done called when that is on the disk (a failure to write is logged and tried again), from
 * sl_evidence_poll() or before the return; NULL: it is there when this returns
 * @return 0; -EBUSY evidence_busy, -ENOMEM no_memory: nothing was changed, `done` is not called
 */
int sl_evidence_clear(struct sl_evidence *ev, void (*done)(void *ctx), void *ctx,
		      struct sl_error *e);

struct sl_coverage {
	uint64_t window_s, covered_s; /* time within the window in which a gateway counted */
	uint64_t lost;		      /* flows within the window that no row holds */
	uint64_t newest_gap_wall_s;   /* end of the newest gap, 0: none */
};

/** Rows whose last packet is within the window, in order of the key. */
void sl_evidence_walk(struct sl_evidence *ev, uint64_t window_s,
		      bool (*fn)(void *ctx, const struct sl_evidence_row *r), void *ctx);
void sl_evidence_coverage(struct sl_evidence *ev, uint64_t window_s, struct sl_coverage *out);

/**
 * Is a set of addresses ready to be enforced? Rows to them are judged by the policy in force.
 * @param denied flows that it would deny; @return true if there are none, the window is covered and
 * nothing was lost
 */
bool sl_evidence_ready(struct sl_evidence *ev, const struct sl_prefix *to, unsigned n,
		       uint64_t window_s, uint64_t *denied, struct sl_coverage *cov);

#endif
