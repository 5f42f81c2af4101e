/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The gateway under a control plane: receives what concerns it, makes the gateway equal to it,
 * reports what it sees. Control's thread; no call takes longer than a few milliseconds.
 *
 * What is received stands in a replica (the state's hash is its). Each change puts the object on a
 * list of work; a round takes the list: check, revoke, policy with role mappings, grant. While
 * anything is refused only revocations of what comes later are carried out. docs/control-plane.md
 * tells what an operator sees of it.
 */
#ifndef SL_CP_H
#define SL_CP_H

#include <event2/event.h>

#include "sl_config.h"
#include "sl_evidence.h"
#include "sl_gw.h"
#include "sl_repl.h"

struct sl_cp;

struct sl_cp_conf {
	struct sl_gw *gw;
	struct event_base *base;
	const struct sl_config_cp *config; /* borrowed */
	const char *state_dir;		   /* NULL: nothing is kept (tests) */
	const char *boot_id;
	struct sl_evidence *evidence; /* NULL: no aggregates are sent */
	/** More of stats.report's state: modes, drops, latency, records; NULL: nothing. */
	json_t *(*state)(void *ctx);
	void *state_ctx;
};

/**
 * Begin: reads tombstones and boot cache on the helper, dials the sources. The gateway's interfaces
 * must be there, its policy empty. @return NULL with an error of TLS, token or key files
 */
struct sl_cp *sl_cp_new(const struct sl_cp_conf *c, struct sl_error *e);
/** Before sl_gw_stop(); saves the boot cache. NULL allowed. */
void sl_cp_free(struct sl_cp *cp);
/** Go on, at most 2 ms. Call often. @return true if something was done */
bool sl_cp_poll(struct sl_cp *cp);

/** Read certificate, authorities and token anew (SIGHUP): what is open stays, the next connection
 * uses them. What is wrong is logged, and the former stays. */
void sl_cp_reload(struct sl_cp *cp);

/** How far it is. */
struct sl_cp_progress {
	bool connected, hash_ok;
	uint64_t seq, serving_seq, head;
	uint64_t heard_wall_s; /* when a control plane was heard last; before that: the start */
	uint64_t snapshots[SL_SNAP_REASONS];
	unsigned blocked; /* objects that came back after their deletion, when last reported */
};
void sl_cp_progress(const struct sl_cp *cp, struct sl_cp_progress *out);
/** When its certificate ends, wall seconds; 0: it has none. */
int64_t sl_cp_certificate_until(const struct sl_cp *cp);
/** What control.status tells. */
json_t *sl_cp_status(struct sl_cp *cp);
/** Sentences about what is wrong, for sys.health. */
void sl_cp_problems(struct sl_cp *cp, json_t *problems);
/** Ask for a snapshot, and look at files (preshared keys) anew. */
void sl_cp_resync(struct sl_cp *cp);
/** Take the epoch that was refused, or one to come with this id. -ENOENT epoch_unknown */
int sl_cp_epoch_accept(struct sl_cp *cp, const char *id, struct sl_error *e);
/** Is what sl_cp_epoch_accept() was told on disk, with all that came with it? Starts the writing.
 * @return 1: it is on its way; 0: it is; negative errno with `e`: the disk does not take it. It
 * counts all the same, until the process ends, and is tried again */
int sl_cp_saved(struct sl_cp *cp, struct sl_error *e);
/** Visit what was deleted: {kind, id, epoch, seq, rev, time, blocks}; from the `after`-th on.
 * @return how many there are */
unsigned sl_cp_tombstones(struct sl_cp *cp, unsigned after, unsigned limit, json_t *list);
/** Let a blocked object come back. -ENOENT tombstone_unknown, -EINVAL kind_unknown */
int sl_cp_tombstone_confirm(struct sl_cp *cp, const char *kind, const char *id, struct sl_error *e);

#endif
