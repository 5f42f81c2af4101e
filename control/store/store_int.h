/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What the files of the store share. */
#ifndef SL_STORE_INT_H
#define SL_STORE_INT_H

#include <inttypes.h>
#include <sqlite3.h>

#include "sl_policy.h"
#include "sl_store.h"

#define STORE_APPLICATION 0x534c4353 /* "SLCS": whose file it is */
#define STORE_PATH 1024
#define STORE_BUSY_MS 5000 /* unless sl_store_set_patience() */

/** Statements that are prepared once a handle. */
enum stmt {
	ST_BEGIN,
	ST_COMMIT,
	ST_ROLLBACK,
	ST_STATE_GET,
	ST_STATE_SET,
	ST_GET,
	ST_PUT,
	ST_DEL,
	ST_COUNT,
	ST_UNIQUE_GET,
	ST_UNIQUE_PUT,
	ST_UNIQUE_DEL,
	ST_REF_PUT,
	ST_REF_DEL,
	ST_REF_TO,
	ST_NET_PUT,
	ST_NET_DEL,
	ST_NET_SAME,
	ST_NET_AT,
	ST_NET_INSIDE,
	ST_NET_PEER_INSIDE,
	ST_NET_PEER_AT,
	ST_NET_PEER_IN,
	ST_NET_PEERS,
	ST_NET_LAST,
	ST_NET_RANGE,
	ST_NET_AT_GATEWAY,
	ST_REF_OF_KIND,
	ST_LOG_PUT,
	ST_LOG_CHAIN,
	ST_TOMB_PUT,
	ST_TOMB_DEL,
	ST_TOMB_GET,
	ST_TOMB_ANY,
	ST_TOMB_TRIM_AGE,
	ST_TOMB_TRIM_COUNT,
	ST_MAPS,
	ST_TOKEN_USED,
	ST_TOKEN_LAST,
	ST_N
};

/** The one row of the table `state`. */
struct store_state {
	enum sl_store_role role;
	struct sl_epoch epoch;
	uint64_t base_seq; /* the row before the oldest one in the log */
	char base_chain[SL_CHAIN_STR];
	uint64_t head;
	char chain[SL_CHAIN_STR];
	struct sl_hash_sum sum; /* of all objects */
	char primary[256];	/* of a follower */
};

struct sl_store {
	sqlite3 *db;
	char path[STORE_PATH];
	enum sl_store_mode mode;
	unsigned busy_ms;
	sqlite3_stmt *st[ST_N];
	uint64_t (*wall_ns)(void *ctx);
	void *wall_ctx;
	struct sl_store_txn *txn; /* open */
	struct store_load *load;  /* a snapshot that comes in */
	json_t *uses;		  /* of tokens, not written yet: {ID: wall seconds}; NULL: none */
	char primary[256];	  /* as sl_store_primary() told it last */
	void (*step)(void *ctx, const char *at); /* tests: between the steps of a transaction */
	void *step_ctx;
};

/* --- SQLite (sql.c) --------------------------------------------------------------------------- */

/** Fill `e` from the connection's last error. @return negative errno: -EBUSY store_busy, -ENOSPC
 * store_full, -EBADMSG store_corrupt, -EROFS store_readonly, -ENOMEM no_memory, -EIO store_io */
int store_sql_error(sqlite3 *db, int rc, const char *what, struct sl_error *e);
/** Reset, with nothing bound. NULL if it cannot be prepared (the error is the connection's). */
sqlite3_stmt *store_stmt(struct sl_store *s, enum stmt id);
void store_stmts_free(struct sl_store *s);
/** Step a statement that gives no row. @return 0 or negative errno with `e` */
int store_run(struct sl_store *s, sqlite3_stmt *st, struct sl_error *e);
/** Run one of the cached statements without parameters. */
int store_do(struct sl_store *s, enum stmt id, struct sl_error *e);
/** Run SQL text. */
int store_exec(sqlite3 *db, const char *sql, struct sl_error *e);
static inline int
store_bind_text(sqlite3_stmt *st, int at, const char *text)
{
	return sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}
/** Text of a column into a buffer; cut if longer. */
void store_column(sqlite3_stmt *st, int at, char *out, size_t room);

/* --- files (file.c) --------------------------------------------------------------------------- */

/** A plain file of ours that nobody else may read or write. @return 0; -ENOENT (no error told),
 * -EPERM file_foreign, file_mode; -EIO */
int store_file_check(const char *path, struct sl_error *e);
/** The same; -ENOENT is store_missing. */
int store_file_check_there(const char *path, struct sl_error *e);
/** Make an empty file, 0600. -EEXIST */
int store_file_make(const char *path, struct sl_error *e);
/** Flush a file and the directory it stands in. */
int store_file_sync(const char *path, struct sl_error *e);
/** Copy a database, WAL and all, to a new file (0600) in steps, while others use it. */
int store_copy(sqlite3 *from, const char *to, struct sl_error *e);
/** Open a connection with the house's settings. */
int store_connect(const char *path, int flags, sqlite3 **out, struct sl_error *e);

/* --- layout (schema.c) ------------------------------------------------------------------------ */

/** SQL that leads to layout `to` from the one before. */
struct store_step {
	int to;
	const char *sql;
};
extern const struct store_step store_steps[];
extern const unsigned store_n_steps;
/** @return -EPROTO store_foreign */
int store_schema_version(sqlite3 *db, int *out, struct sl_error *e);
/** For who only reads: today's layout, or an older one with the same tables. */
int store_schema_read(sqlite3 *db, int newest, struct sl_error *e);
/**
 * Bring the layout up to date: a copy is kept as PATH.schema-N, then one transaction.
 * @return 0; -EPROTO store_schema_newer, store_foreign
 */
int store_migrate(sqlite3 *db, const char *path, const struct store_step *steps, unsigned n,
		  struct sl_error *e);

/* --- state and log ---------------------------------------------------------------------------- */

int store_state_get(struct sl_store *s, struct store_state *out, struct sl_error *e);
int store_state_set(struct sl_store *s, const struct store_state *st, struct sl_error *e);
void store_epoch_id(char out[33]);
/** The next epoch, after this one and after number `at_least`. */
void store_epoch_next(struct sl_epoch *e, uint64_t at_least, uint64_t head);
int store_verify(struct sl_store *s, struct sl_store_report *out, struct sl_error *e);
uint64_t store_now(const struct sl_store *s);
void store_step(struct sl_store *s, const char *at);
/** The row without `chain` and without what a transport adds: what the chain covers. */
json_t *store_log_covered(const json_t *txn);
/** @param text canonical, of what store_log_covered() leaves */
int store_log_append(struct sl_store *s, uint64_t seq, uint64_t wall_ns, const char *chain,
		     const char *text, size_t len, struct sl_error *e);

/* --- objects and their indexes ---------------------------------------------------------------- */

/** What an object says about others. */
enum store_ref_flags {
	REF_MUST_EXIST = 1, /* checked at put */
	REF_RESTRICT = 2,   /* what is referred to cannot be deleted */
	REF_CASCADE = 4,    /* who refers goes too */
	REF_ADDRESSES = 8,  /* a peer's addresses at a gateway that goes */
};

struct store_index_ops {
	int (*ref)(void *ctx, enum sl_kind to, const char *to_id, unsigned flags, const char *path);
	int (*unique)(void *ctx, const char *what, const char *value, const char *path);
	/** @param gateway "": at every gateway of the interface */
	int (*net)(void *ctx, const char *iface, const char *gateway, const struct sl_prefix *p,
		   const char *path);
	void *ctx;
};
/** Tell what an object that passed sl_object_check() says. @return 0 or what an op gave */
int store_index_walk(enum sl_kind k, const char *id, const json_t *body,
		     const struct store_index_ops *ops);

/** Check uniqueness and references of an object that is about to be put. */
int store_index_check(struct sl_store *s, enum sl_kind k, const char *id, const json_t *body,
		      struct sl_error *e);
/** Write the index rows of an object (checked, or a source's that is believed). */
int store_index_put(struct sl_store *s, enum sl_kind k, const char *id, const json_t *body,
		    struct sl_error *e);
int store_index_del(struct sl_store *s, enum sl_kind k, const char *id, struct sl_error *e);

/** A row as it is: text is malloc'ed. @return 0, -ENOENT, or negative errno with `e` */
int store_object_get(struct sl_store *s, enum sl_kind k, const char *id, uint64_t *rev, char **text,
		     size_t *len, struct sl_error *e);
/** A body and its canonical text (malloc'ed). */
struct store_body {
	const json_t *body;
	char *text;
	size_t len;
	const uint8_t *hash; /* NULL: not made yet */
	bool frozen;	     /* nobody changes the body: a reference is enough */
};
int store_body_make(const json_t *body, struct store_body *out, struct sl_error *e);
/** Write row and indexes; `sum` follows. @param was canonical text before, NULL: new */
int store_object_put(struct sl_store *s, enum sl_kind k, const char *id, uint64_t rev,
		     const struct store_body *is, const char *was, struct sl_hash_sum *sum,
		     struct sl_error *e);
int store_object_del(struct sl_store *s, enum sl_kind k, const char *id, const char *was,
		     struct sl_hash_sum *sum, struct sl_error *e);

/** 17 bytes that sort as addresses do: family, 16 bytes. */
void store_net_key(const struct sl_ip *ip, uint8_t key[17]);
/** The last address of a prefix. */
struct sl_ip store_net_last(const struct sl_prefix *p);

/* --- tombstones (tombstone.c) ----------------------------------------------------------------- */

/** Does deleting it leave one? */
bool store_tombstone_kind(enum sl_kind k, const json_t *body);
int store_tombstone_put(struct sl_store *s, const struct sl_tombstone *t, struct sl_error *e);
int store_tombstone_clear(struct sl_store *s, enum sl_kind k, const char *id, struct sl_error *e);
/** @return the deleted object's rev, 0: there is none */
uint64_t store_tombstone_rev(struct sl_store *s, enum sl_kind k, const char *id);
/** Drop those older than 120 days and beyond a million. */
int store_tombstone_trim(struct sl_store *s, struct sl_error *e);

/* --- marks of the ledger (withdrawn.c) -------------------------------------------------------- */

/** A target's body with the mark that the ledger gives it, whatever the body says. New reference.
 */
int store_withdrawn_mark(struct sl_store *s, const char *target, const json_t *body, json_t **out,
			 struct sl_error *e);
/** An entry of the ledger was put or deleted: its target follows. */
int store_withdrawn_follow(struct sl_store_txn *t, const char *entry, struct sl_error *e);

/* --- the zone of agents' networks (agent_zone.c) ---------------------------------------------- */

/** Put or delete it, as networks of agents and the document's own zones say. @param p model of the
 * document, NULL: there is none. @return 0; pool_in_internal_zone, where its zones were put or a
 * network comes to lie anew */
int store_agent_zone(struct sl_store_txn *t, const struct sl_policy *p, struct sl_error *e);
/** @return 0; pool_in_internal_zone: some of an agent's network would be internal */
int store_agents_fit(struct sl_store *s, const struct sl_policy *p, struct sl_error *e);

/* --- ids of roles (role_ids.c) ---------------------------------------------------------------- */

/** Roles that are known keep their id where the document names none, those that come back get
 * theirs again, and no new one gets that of a role which went: records hold it. */
int store_keep_role_ids(struct sl_store *s, struct sl_policy *p, struct sl_error *e);
/** At a commit that changed roles: the ids that went with it are former ones. */
int store_note_role_ids(struct sl_store_txn *t, struct sl_error *e);
/** Former ids and those in force of an attached database, oldest first: array of {name, id}. Empty
 * where they cannot be read; NULL: no memory. */
json_t *store_role_ids_of(struct sl_store *s, const char *schema);
/** Those of the store that was replaced are former ones here, but for what roles have now. */
int store_inherit_role_ids(struct sl_store *s, const json_t *rows, struct sl_error *e);

/* --- the policy (policy.c, split.c, policy_put.c) ----------------------------------------------
 */

/** Kinds of which a document consists, those that refer to others first. */
#define STORE_POLICY_KINDS 4
extern const enum sl_kind store_policy_kinds[STORE_POLICY_KINDS];

/** An object of a document. */
struct store_part {
	enum sl_kind kind;
	const char *id;
	json_t *body;
	char *text; /* canonical */
	size_t len;
	uint8_t hash[SL_HASH_LEN];
};

struct sl_store_split {
	uint32_t was;		 /* the version that it was made for */
	struct sl_policy *model; /* with each number chosen */
	json_t *objects;	 /* in the order of `parts`, which point into them */
	json_t *at;		 /* "KIND/ID" -> place in both */
	struct store_part *parts;
	size_t n;
};
/** @return NULL: the document has none */
const struct store_part *store_split_part(const struct sl_store_split *s, enum sl_kind k,
					  const char *id);
int store_policy_parse(const json_t *doc, struct sl_policy **out, struct sl_error *e);
/** As the document says, from its objects inside the transaction: parsed and checked.
 * @return 0 with a model to free, NULL where there is none */
int store_policy_model(struct sl_store *s, struct sl_policy **out, struct sl_error *e);
/** The same of a document's zones alone, for who asks where addresses lie: they are few, and its
 * rules are many. */
int store_policy_zones(struct sl_store *s, struct sl_policy **out, struct sl_error *e);
#define STORE_REF_PATH 80
/** The first rule that names a role or target. Rules stand in no index: they are many, they come
 * and go as documents, and these name nothing that they have not.
 * @param[out] by its id; @param[out] path where in it. @return 1 found, 0 none, or negative errno
 */
int store_rule_referrer(struct sl_store *s, enum sl_kind k, const char *id, char by[SL_OBJ_ID],
			char path[STORE_REF_PATH], struct sl_error *e);

/* --- transactions (txn.c) --------------------------------------------------------------------- */

struct store_op {
	enum sl_kind kind;
	char *id;
	uint64_t was_rev, rev;
	char *was;    /* canonical text before the transaction, NULL: it was not there */
	json_t *body; /* NULL: deleted; else with its canonical text: */
	char *text;
	size_t len;
};
bool store_op_is_change(const struct store_op *op);

struct sl_store_txn {
	struct sl_store *s;
	char actor[96], cause[160];
	struct store_state state;
	uint64_t wall_ns;
	struct store_op *ops;
	size_t n_ops, cap_ops;
	json_t *at;		       /* "KIND/ID" -> place in ops */
	int broken;		       /* a write failed half way: only an abort is left */
	bool policy;		       /* a part of the document changed ... */
	bool policy_checked;	       /* ... and was checked as a whole: */
	const struct sl_policy *model; /* so it is, of the split that it was put from */
	struct sl_store_split *split;  /* one that was made in the transaction */
	bool maps;		       /* a role map was put */
	bool pools;		       /* a zone, pool or gateway_interface was put */
	bool zones;		       /* a zone of the document was put */
	bool agents;		       /* what says where agents' networks lie may have changed */
	bool places;		       /* so that such networks may lie where none did */
	bool nets;		       /* a peer or gateway was put */
	bool confirms;		       /* a put of what is there is one */
	struct {
		bool asked, any;
	} died[SL_KIND_N]; /* tombstones of a kind */
};

/** The row that its commit adds to the log (row.c). @param scopes whom each op concerns: not
 * covered by the chain. @return malloc'ed; NULL: no memory, or an actor or cause that is no text */
char *store_row_text(const struct sl_store_txn *t, bool scopes, size_t *len);
/** Are there tombstones of a kind? Not those that this commit makes. */
bool store_txn_may_have_died(struct sl_store_txn *t, enum sl_kind k);

/** As sl_store_put() of an object that was checked by itself. */
int store_put_checked(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t if_rev,
		      json_t *body, struct sl_error *e);
/** Is a put of an object as it is one, for it confirms what an epoch before left? */
bool store_txn_confirms(const struct sl_store_txn *t, enum sl_kind k, uint64_t rev);
struct store_part;
/** Put a part of a document, all of which was checked. @param rev of what is there, of which `was`
 * is the text (taken over); 0 and NULL: nothing */
int store_put_part(struct sl_store_txn *t, const struct store_part *p, uint64_t rev, char *was,
		   struct sl_error *e);
/** Delete a rule that is there, of which `was` is the text (taken over). */
int store_del_rule(struct sl_store_txn *t, const char *id, uint64_t rev, char *was,
		   struct sl_error *e);
/** As sl_store_del() of something that no rule names. */
int store_del_unnamed(struct sl_store_txn *t, enum sl_kind k, const char *id, struct sl_error *e);
/**
 * Addresses of x must not be taken for internal ones.
 * @param from what networks of agents are given from, `n_from` (0: x is given otherwise); they are
 * put into a zone of their own, so a network that holds all of it is no obstacle
 * @return 0 or -EINVAL pool_in_internal_zone
 */
int store_check_zone(const struct sl_policy *p, const char *iface, const struct sl_prefix *x,
		     const struct sl_prefix *from, unsigned n_from, const char *path,
		     struct sl_error *e);
/** Interfaces that share a gateway, unless they are separate networks: {INTERFACE: {INTERFACE}}. */
int store_neighbours(struct sl_store *s, json_t **out, struct sl_error *e);
/** Checks that look at several objects. */
int store_check(struct sl_store_txn *t, struct sl_error *e);
void store_txn_free(struct sl_store_txn *t);
int store_no_memory(struct sl_error *e);
/** What an object refers to is not there. @return -EINVAL reference_unknown */
int store_no_such(enum sl_kind k, const char *id, const char *path, struct sl_error *e);

#endif
