/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The audit of sluice-control: who changed what, from where. A row for each change by REST or by
 * the command line, written in the change's own transaction, for each that gateways cause, and for
 * each that was refused to a role. Rows are a chain, and the node's key signs each of them as it is
 * written (sl_seal.h). It is the primary's: a follower takes no changes and has none.
 *
 * Before a row is written the newest one must be ours. If it is not, a row says so first: which
 * ones stood behind the last one of ours, and that nobody vouches for them. So whatever somebody
 * did to the table, the server goes on, and a verification tells.
 *
 * Whoever has a handle of the store may call; they write and sync.
 */
#ifndef SL_TRAIL_H
#define SL_TRAIL_H

#include "sl_seal.h"
#include "sl_store.h"

#define SL_TRAIL_ROWS 1000000 /* newest that are kept */

/** DIR/audit.key, to read. @return 0, -ENAMETOOLONG, or as sl_seal_key_read() */
int sl_trail_key(const char *state_dir, struct sl_seal_key *out, struct sl_error *e);
/** How the store came to be one that has an audit. */
enum sl_trail_since {
	SL_TRAIL_ITS_OWN,  /* it is the one that this node's key signed in before */
	SL_TRAIL_RESTORED, /* just put back: sl_trail_restored() */
	SL_TRAIL_PROMOTED, /* a follower's until now, which has no rows; the key may be older */
};
/** For who writes: the key, which is made where there is none, and sl_trail_open(). */
int sl_trail_begin(struct sl_store *s, const char *state_dir, enum sl_trail_since since,
		   struct sl_seal_key *out, struct sl_error *e);
/** Make what is not there: the table, and a chain, which begins behind the rows that have none.
 * @return 0 or as of the store */
int sl_trail_open(struct sl_store *s, const struct sl_seal_key *key, struct sl_error *e);

struct sl_trail_row {
	const char *actor, *source, *operation, *path, *request_id, *outcome;
	uint64_t seq;	/* 0: none */
	uint64_t count; /* how many of it the row stands for; 0: not told */
	json_t *diff;	/* borrowed; sl_trail_clean() may make it smaller */
};
/** Within a transaction of this handle. @return 0; -EIO store_io, -ENOMEM */
int sl_trail_add(struct sl_store *s, const struct sl_seal_key *key, const struct sl_trail_row *row,
		 struct sl_error *e);
/** In one of its own. */
int sl_trail_note(struct sl_store *s, const struct sl_seal_key *key, const struct sl_trail_row *row,
		  struct sl_error *e);
/** What a transaction that is about to be committed changes, if it does; seq and diff of `row` are
 * not looked at. */
int sl_trail_change(struct sl_store *s, const struct sl_seal_key *key, struct sl_store_txn *t,
		    const struct sl_trail_row *row, struct sl_error *e);
/** What is answered and kept of a diff: no hashes of tokens, no whole policy texts. */
void sl_trail_clean(json_t *diff);

/** After a restore, instead of sl_trail_open(): another chain goes on behind what the backup has.
 */
int sl_trail_restored(struct sl_store *s, const struct sl_seal_key *key, struct sl_error *e);
/** Remove rows before the newest `keep`, up to a seal, and say so in another one. A hundredth more
 * may stay for a while.
 * @return rows removed or negative errno */
int64_t sl_trail_prune(struct sl_store *s, const struct sl_seal_key *key, uint64_t keep,
		       struct sl_error *e);

/** Rows after `after`. @param[out] next of the last row if there are more, else 0 */
int sl_trail_list(struct sl_store *s, uint64_t after, const char *actor, unsigned limit,
		  json_t **rows, uint64_t *next, struct sl_error *e);
/** A row, by its number or by its time. */
struct sl_trail_place {
	bool is_time;
	uint64_t value; /* wall ns, or the number */
};
/** What is to be given out. */
struct sl_trail_range {
	int64_t next, last; /* numbers of the next row and of the last one */
	bool begun, end;
};
/**
 * From `since` on, or from the seal before it, for a chain is looked at from a seal on, up to
 * `until` (a time: before it), or up to the row that is the newest one now. Rows of a time are
 * found as they stand: where the clock was set back, some may be missed.
 * @param since, until NULL: all
 */
int sl_trail_range(struct sl_store *s, const struct sl_trail_place *since,
		   const struct sl_trail_place *until, struct sl_trail_range *out,
		   struct sl_error *e);
/** The next rows, each a line of JSON, until there are so many bytes; `r` goes on behind them.
 * @return 0; -ESTALE audit_pruned: what should come was removed meanwhile; -EIO, -ENOMEM */
int sl_trail_lines(struct sl_store *s, struct sl_trail_range *r, size_t bytes, char **text,
		   size_t *len, struct sl_error *e);
/** Where the chain stands. @return 0; -ENOENT there is none; -EIO */
int sl_trail_head(struct sl_store *s, struct sl_seal_chain *out, struct sl_error *e);
/** All rows, as sl_seal.h has it. @return 0; -EBADMSG with what does not fit; -EIO */
int sl_trail_verify(struct sl_store *s, struct sl_seal_check *v, struct sl_seal_report *out,
		    struct sl_error *e);

#endif
