/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The data store of the control plane: SQLite 3 in WAL mode. Objects, a log of transactions, what
 * is not in the log (sessions, usage, aggregates, audit), tombstones.
 *
 * Every change is one transaction: BEGIN IMMEDIATE, the checks inside it, the rows, one log row
 * with seq + 1, COMMIT. Several processes may open one store (the server and the command line); a
 * reader notices the changes of others by sl_store_head(). One thread a handle. Calls block for
 * disk.
 *
 * The state's name is (epoch, seq). Litestream may run beside: the store never truncates the WAL
 * behind its back and checkpoints passively.
 */
#ifndef SL_STORE_H
#define SL_STORE_H

#include "sl_object.h"

struct sl_policy;
struct sl_store;
struct sl_store_txn;

enum sl_store_mode { SL_STORE_READ, SL_STORE_WRITE };
/** One primary writes; a follower's objects come from its source alone. */
enum sl_store_role { SL_STORE_PRIMARY, SL_STORE_FOLLOWER };

/**
 * Make a new store with a new epoch (number 1).
 * @return 0; -EEXIST exists (hint: restore or remove), -EIO store_io, ...
 */
int sl_store_init(const char *path, enum sl_store_role role, struct sl_error *e);
/** @return NULL with store_missing (hint: sluice-control init), store_schema_newer (hint: the
 * version to run), store_corrupt, store_io. An older layout is migrated in one transaction; the
 * former file is kept beside it as PATH.schema-N. */
struct sl_store *sl_store_open(const char *path, enum sl_store_mode mode, struct sl_error *e);
/** Another handle of the same file, for another thread; its clock is that of `s`. */
struct sl_store *sl_store_open_again(const struct sl_store *s, enum sl_store_mode mode,
				     struct sl_error *e);
void sl_store_close(struct sl_store *s); /* NULL allowed */
/** How long this handle waits where another one, of this process or another, holds the write lock
 * (5,000 ms unless told): then it is -EBUSY store_busy. An event loop does not wait. */
void sl_store_set_patience(struct sl_store *s, unsigned ms);
/** Commits of this handle move nothing from the WAL to the file: sl_store_checkpoint() of another
 * one does, and else the WAL grows. */
void sl_store_leave_checkpoints(struct sl_store *s);
/** Move what is committed to the file, as far as nobody reads what it replaces. It writes and
 * syncs. */
void sl_store_checkpoint(struct sl_store *s);
enum sl_store_role sl_store_role(struct sl_store *s);
void sl_store_epoch(struct sl_store *s, struct sl_epoch *out);
/** Wall clock, injected by tests. */
void sl_store_set_clock(struct sl_store *s, uint64_t (*wall_ns)(void *ctx), void *ctx);
/** The pepper with which token secrets are hashed (a credential file, the same on every node).
 * sl_store_init() does not make it; see sl_token.h. */

/** The newest seq, also of other processes' commits. */
uint64_t sl_store_head(struct sl_store *s);
/** Chain of a log row; "" where it is compacted away. */
int sl_store_chain(struct sl_store *s, uint64_t seq, char out[SL_CHAIN_STR]);
/** Oldest seq in the log (head + 1: empty). */
uint64_t sl_store_oldest(struct sl_store *s);
/** Sum of the hashes of all objects. */
void sl_store_sum(struct sl_store *s, struct sl_hash_sum *out);

/* --- reading ---------------------------------------------------------------------------------- */

/** @param[out] body new reference. @return 0 or -ENOENT */
int sl_store_get(struct sl_store *s, enum sl_kind k, const char *id, uint64_t *rev, json_t **body);
/** Version of the policy document in force; 0: none. */
uint32_t sl_store_policy_version(struct sl_store *s);
/** Objects of a kind in the order of their ids, after `after` ("" = from the start); fn returns
 * false to stop. `text` is canonical JSON. */
typedef bool (*sl_store_row)(void *ctx, enum sl_kind k, const char *id, uint64_t rev,
			     const char *text, size_t len);
int sl_store_walk(struct sl_store *s, enum sl_kind k, const char *after, sl_store_row fn, void *ctx,
		  struct sl_error *e);
uint64_t sl_store_count(struct sl_store *s, enum sl_kind k);
/** Who holds a unique value: ("peer_key", "wg0/BASE64"), ("prefix", "wg0/10.7.0.2/32") ...
 * @return 0 with its id, -ENOENT */
int sl_store_unique(struct sl_store *s, const char *what, const char *value, char id[SL_OBJ_ID]);
/** The peer of an interface in whose addresses, at any gateway, this one lies; by the longest
 * prefix. @return 0 with its id, -ENOENT */
int sl_store_peer_at(struct sl_store *s, const char *iface, const struct sl_ip *ip,
		     char id[SL_OBJ_ID]);

/** All objects of one moment, in pieces, while others write: a read transaction of its own. */
struct sl_store_snap;
struct sl_store_snap *sl_store_snap_open(struct sl_store *s, struct sl_error *e);
void sl_store_snap_pos(const struct sl_store_snap *p, struct sl_epoch *epoch, uint64_t *seq,
		       char chain[SL_CHAIN_STR]);
/** Up to `max` rows more. @return rows given, 0 at the end, negative errno */
int sl_store_snap_next(struct sl_store_snap *p, unsigned max, sl_store_row fn, void *ctx);
void sl_store_snap_close(struct sl_store_snap *p);

/** A row of the log: {prev, seq, ts, actor, cause, policy_version, chain, ops: [{op, kind, id, rev,
 * obj, scope, was}]}. `scope` of an op names the interface or gateway of sl_object_scope(), of what
 * it deletes for a del; `was`: the scope before it, only where it changed. The chain covers the row
 * without `chain`; what a transport adds to these members is passed over. */
typedef bool (*sl_store_log_row)(void *ctx, uint64_t seq, json_t *txn);
int sl_store_log_read(struct sl_store *s, uint64_t from, sl_store_log_row fn, void *ctx,
		      struct sl_error *e);
/** The rows as they are stored: text without `chain`. @return 0, 1 stopped, or negative errno */
typedef bool (*sl_store_log_text)(void *ctx, uint64_t seq, const char *chain, const char *text,
				  size_t len);
int sl_store_log_walk(struct sl_store *s, uint64_t from, sl_store_log_text fn, void *ctx,
		      struct sl_error *e);

/* --- changing (primary) ----------------------------------------------------------------------- */

/** One at a time a handle.
 * @param actor "token:ab12…", "uid:0"; @param cause request id or command
 * @return NULL with readonly (a follower: `hint` names the primary), store_busy, store_io */
struct sl_store_txn *sl_store_begin(struct sl_store *s, const char *actor, const char *cause,
				    struct sl_error *e);
#define SL_REV_ANY UINT64_MAX /* whatever is there */
#define SL_REV_NONE 0	      /* must not be there */
/**
 * An operator puts what he wants to have: a peer, role mapping or rule of an epoch before gets a
 * revision of this one, also where it is put as it is. It came with a restore, and gateways that
 * saw it deleted block it until then.
 */
void sl_store_txn_confirms(struct sl_store_txn *t);
/**
 * Put whole, with all checks: the object's own (sl_object_check), references, unique values,
 * if_rev. Checks that look at several objects are made at commit, when all puts are there. A put
 * that changes nothing is none: the rev stays. A rev grows with each change of an object, also over
 * its deletion, and over a restore: it begins at sl_epoch_rev_base().
 * @return 0; -ENOENT not_found, -EEXIST exists, -ESTALE rev_mismatch, -EINVAL ... with the path
 */
int sl_store_put(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t if_rev,
		 json_t *body, struct sl_error *e);
/**
 * What cannot be without it goes too: a peer's role maps, allocations and tokens; a gateway's
 * gateway_interfaces, allocations, tokens and the peers' addresses at it. A token's end puts a crl
 * object.
 * @return 0; -ENOENT not_found, -ESTALE rev_mismatch, -EBUSY referenced (who refers is the path:
 * /with/KIND/ID)
 */
int sl_store_del(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t if_rev,
		 struct sl_error *e);
/**
 * What sl_store_del() would take with an object goes before it, so that much of it goes in several
 * transactions.
 * @param of of this kind alone; NULL: of any; @param max as many
 * @return how many: fewer than `max`, then nothing is left; negative errno as sl_store_del()
 */
int sl_store_del_dependents(struct sl_store_txn *t, enum sl_kind k, const char *id,
			    const enum sl_kind *of, unsigned max, struct sl_error *e);
/** As it stands inside the transaction. */
int sl_store_txn_get(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t *rev,
		     json_t **body);
int sl_store_txn_walk(struct sl_store_txn *t, enum sl_kind k, const char *after, sl_store_row fn,
		      void *ctx, struct sl_error *e);
/** A document as objects, each of them checked: what takes long, and needs no transaction. */
struct sl_store_split;
/** @return NULL with an error of the document */
struct sl_store_split *sl_store_split_new(struct sl_store *s, const json_t *doc,
					  struct sl_error *e);
void sl_store_split_free(struct sl_store_split *p); /* NULL allowed */
/** Replace the policy document as a whole: split, diffed against what is there; a name that others
 * refer to is not removed (-EBUSY referenced). A role for which it writes no id keeps the one that
 * it has or had; of those that went, the last 800 ids are given to no other role (setting
 * `former_roles`).
 * @param split of this document, made before, valid until the transaction ends; NULL, or another
 * document came since: it is made here
 * @return 0; version_mismatch, ... */
int sl_store_put_policy(struct sl_store_txn *t, json_t *doc, const struct sl_store_split *split,
			const char *text, uint64_t if_version, uint32_t *version,
			struct sl_error *e);
/**
 * A target's `withdrawn` says what its migration entry says: each put of either sees to that. This
 * does it for a store that was written before there was such a field; nothing to do, no row.
 */
int sl_store_mark_withdrawn(struct sl_store *s, struct sl_error *e);
/**
 * Networks of agents are a zone of their own beside those of the document (sl_policy_agents.h),
 * which each transaction keeps as agents, gateways and the document say. This does it for a store
 * that was written before there was such a zone; nothing to do, no row.
 * @return 0; -EINVAL zone_reserved: the document itself has one of that name
 */
int sl_store_place_agents(struct sl_store *s, struct sl_error *e);
/** Give the model of a document that zone, as it would have in force. @param p checked
 * @return 0; -EINVAL zone_reserved: it holds one of that name */
int sl_store_add_agents(struct sl_store *s, struct sl_policy *p, struct sl_error *e);
/** Pools and networks of agents against the zones of a document, as a commit looks at them.
 * @return 0; -EINVAL pool_in_internal_zone */
int sl_store_policy_fits(struct sl_store *s, const struct sl_policy *p, struct sl_error *e);
/** What the transaction would do: array of {op, kind, id, obj, was}. New reference. */
json_t *sl_store_diff(struct sl_store_txn *t);
/** The same without what the objects hold. */
json_t *sl_store_diff_names(struct sl_store_txn *t);
size_t sl_store_changes(const struct sl_store_txn *t);
/** The checks that a commit makes, now: what a dry run asks. @return 0 or what the commit would say
 */
int sl_store_try(struct sl_store_txn *t, struct sl_error *e);
/** Ends the transaction. @param[out] seq of the new log row; of the head if nothing changed.
 * On an error everything is as before. Reasons beside those of the document and the disk:
 * limit_prefixes (role maps), pool_in_internal_zone, prefix_overlap (of another interface). Puts
 * the zone of agents' networks where it changes */
int sl_store_commit(struct sl_store_txn *t, uint64_t *seq, struct sl_error *e);
void sl_store_abort(struct sl_store_txn *t); /* NULL allowed */

/* --- following -------------------------------------------------------------------------------- */

/** Apply one row of the source's log, its seq, epoch and chain as they are, in one transaction.
 * @return 0; -EPROTO prev is not our head; -EINVAL the chain does not fit; -EIO */
int sl_store_follow(struct sl_store *s, json_t *txn, struct sl_error *e);
/** Replace everything by a snapshot: begin, parts, end in one transaction; abort leaves what was.
 */
int sl_store_load_begin(struct sl_store *s, const struct sl_epoch *epoch, uint64_t seq,
			const char *chain, struct sl_error *e);
int sl_store_load_part(struct sl_store *s, json_t *objects, struct sl_error *e);
/** Checks count and sum before it commits. -EBADMSG hash_mismatch */
int sl_store_load_end(struct sl_store *s, uint64_t count, const struct sl_hash_sum *sum,
		      struct sl_error *e);
void sl_store_load_abort(struct sl_store *s);
/** Follower: the address of the primary, told in refusals; kept in the store. */
int sl_store_set_primary(struct sl_store *s, const char *url, struct sl_error *e);
const char *sl_store_primary(struct sl_store *s);

/* --- epochs, backup --------------------------------------------------------------------------- */

/** A new epoch: number + 1, parent = the present one at the head. */
int sl_store_new_epoch(struct sl_store *s, const char *why, struct sl_error *e);
/** A follower becomes the primary: role and new epoch in one transaction. */
int sl_store_promote(struct sl_store *s, struct sl_error *e);
/** SQLite online backup to a new file, 0600, while the store is in use. */
int sl_store_backup(const char *path, const char *to, struct sl_error *e);
struct sl_store_report {
	enum sl_store_role role;
	struct sl_epoch epoch;
	uint64_t objects, log_rows, oldest, head;
};
/** Is a store or a backup whole: integrity of the file, layout, chain of the log, sum of the
 * objects? @return 0; -EBADMSG store_corrupt with what is wrong, or as sl_store_open() */
int sl_store_verify(const char *path, struct sl_store_report *out, struct sl_error *e);
/** Verify a backup, put it at `path` (what was there: PATH.before-restore) and give it a new epoch
 * (a follower's keeps that of its source). Tombstones and ids of roles of what was there are kept.
 * The new number is above the backup's and that of what was there; where nothing can be read there,
 * above whatever it may have been: the seconds since 2024. The same where what was there never had
 * the backup's newest transaction; and as nobody knows then which tokens were revoked since, those
 * of agents and peers are revoked: their holders set keys. All others stay as the backup has them.
 * @param how NULL: as zeros. @return 0; -EBUSY store_in_use: a server runs; as sl_store_verify() */
struct sl_store_restore {
	bool keep_tokens; /* of agents and peers, whatever is known */
	/* out, of a primary's store */
	bool unknown;	  /* nobody knows what was deleted or revoked since the backup */
	unsigned revoked; /* so many tokens of agents and peers */
};
int sl_store_restore(const char *path, const char *from, struct sl_store_restore *how,
		     struct sl_error *e);
/** Drop log rows older than `age_s` beyond the newest `rows`, never above `keep_from` (running
 * snapshots). @return rows dropped or negative errno */
int64_t sl_store_compact(struct sl_store *s, uint64_t age_s, uint64_t rows, uint64_t keep_from,
			 struct sl_error *e);

/** Tombstones: what was deleted (peer, role map, allow rule, token) or revoked (crl), so that
 * nothing older brings it back. A later put in the same epoch clears that of a deletion. 120 days,
 * at most a million. */
struct sl_tombstone {
	enum sl_kind kind;
	char id[SL_OBJ_ID];
	uint64_t rev, epoch_number, seq, wall_ns;
};
int sl_store_tombstones(struct sl_store *s, bool (*fn)(void *ctx, const struct sl_tombstone *t),
			void *ctx, struct sl_error *e);

/**
 * Objects of today that were deleted in an earlier epoch, and are of no later revision: a restore
 * brought them back, and gateways that saw the deletion block them until they are put anew.
 * @param t rev: of the object, the rest of its tombstone
 * @return 0 or a negative errno with `e`
 */
int sl_store_blocked(struct sl_store *s, bool (*fn)(void *ctx, const struct sl_tombstone *t),
		     void *ctx, struct sl_error *e);

/** Was this certificate or token revoked, as far as is known here: by a crl object, or by the
 * tombstone of one that an older backup took away? What cannot be read is revoked.
 * @param id "cert:SERIAL" or "token:ID" */
bool sl_store_revoked(struct sl_store *s, const char *id);

/** The database handle, for tables that are not objects (control/server keeps sessions, usage,
 * aggregates, audit and idempotency keys there, each module its own tables by sl_store_table()). */
struct sqlite3;
struct sqlite3 *sl_store_db(struct sl_store *s);
/** Make sure that a module's own table is there (CREATE TABLE IF NOT EXISTS ...). */
int sl_store_table(struct sl_store *s, const char *sql, struct sl_error *e);

#endif
