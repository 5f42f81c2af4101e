/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Inside of the gateway under a control plane (sl_cp.h). Control's thread owns everything but a
 * task while the helper has it.
 */
#ifndef SL_CP_INT_H
#define SL_CP_INT_H

#include <sys/queue.h>

#include "gw_policy.h"
#include "sl_cp.h"
#include "sl_object.h"
#include "sl_policy_objects.h"
#include "sl_repl.h"
#include "sl_replica.h"

#define CP_SLICE_NS (2 * SL_NS_PER_MS)
#define CP_SILENT_NS (60 * SL_NS_PER_S) /* then nothing is known of identity providers */
#define CP_IGNORED_MAX 64		/* told in one acknowledgement */
#define CP_FORBIDDEN_MAX 16		/* recorded each for itself, of one change */
#define CP_PSK_MISSING_MAX 256		/* likewise */

/* --- work --------------------------------------------------------------------------------------
 */

/** An object that the gateway may not be equal to. */
struct cp_item {
	struct gw_link link;
	TAILQ_ENTRY(cp_item) at;
	enum sl_kind kind;
	bool checked, passed; /* passed: nothing is left for it in this phase */
	struct sl_error *bad; /* why it cannot be applied; NULL: it can */
	char id[];
};
TAILQ_HEAD(cp_items, cp_item);

/** A peer as it is served. */
struct cp_peer {
	struct gw_link link; /* by name */
	TAILQ_ENTRY(cp_peer) at;
	TAILQ_ENTRY(cp_peer) in_overlap;
	char name[GW_PEER_NAME_MAX + 1], iface[SL_POL_IFACE];
	struct sl_pubkey key;
	struct sl_pubkey next; /* a new key that waits for its first handshake */
	bool has_next, psk_missing, shut /* for want of a control plane */;
	uint64_t old_until_ns; /* wall clock */
	char *roles;	       /* each with its zero, then an empty one; NULL: none */
	uint64_t rx, tx;       /* told last */
};
TAILQ_HEAD(cp_peers, cp_peer);

enum cp_phase {
	CP_IDLE,
	CP_DIFF,    /* what was received is compared with what was there */
	CP_CHECK,   /* items: does this version understand them? */
	CP_REVOKE,  /* items: what must not wait for the policy */
	CP_STAGE,   /* items: role mappings that come with the policy */
	CP_COLLECT, /* the objects of the policy */
	CP_JOIN,    /* helper: one document of them */
	CP_LOAD,    /* the gateway loads it */
	CP_DENY,    /* items: the revocations among them */
	CP_GRANT,   /* items: all of it */
	CP_END,
};

/* --- the document (cp_policy.c) ----------------------------------------------------------------
 */

struct cp_text {
	enum sl_kind kind;
	char *id, *text;
	size_t len;
};

/** The helper makes a document of objects, or what is left of the one in force without what they
 * revoke. */
struct cp_join {
	struct gw_task task;
	struct cp_text *v;
	unsigned n, cap;
	unsigned at; /* COLLECT: kind */
	struct sl_replica_cursor cursor;
	char *serving; /* overlay: the document in force; else NULL */
	char *out;     /* NULL: nothing is to be loaded */
	size_t out_len;
	int rc;
	struct sl_error e;
};

/** A load that the gateway answers, perhaps when we are gone. */
struct cp_load {
	struct sl_cp *cp;
};

/* --- tombstones (cp_tomb.c) --------------------------------------------------------------------
 */

struct cp_tomb {
	struct gw_link link;
	TAILQ_ENTRY(cp_tomb) at; /* oldest first */
	enum sl_kind kind;
	uint64_t epoch, seq, rev, wall_s;
	char id[];
};
TAILQ_HEAD(cp_tombs, cp_tomb);

struct cp_write {
	struct gw_task task;
	char *dir, *text;
	size_t len;
	bool whole; /* replace the file */
	int rc;
	struct sl_error e;
};

/* --- the boot cache (cp_cache.c) ----------------------------------------------------------------
 */

/** A replica as it is written and read; the helper's while it works. */
struct cp_cache {
	struct gw_task task;
	char *dir, *key_file, *gateway;
	char *text; /* plain, lines */
	size_t len, room;
	enum sl_kind kind; /* copying: where it is */
	struct sl_replica_cursor cursor;
	bool awaited; /* an acknowledgement waits for it */
	/* read */
	bool hole; /* in the journal: what was acknowledged is not all there */
	struct sl_replica *r;
	struct sl_position at;
	uint64_t alive_wall_ns; /* when a control plane was heard last */
	uint64_t wall_ns;	/* when it was written */
	int rc;
	struct sl_error e;
};

/* --- evidence on its way (cp_log.c) -------------------------------------------------------------
 */

struct cp_log;
struct cp_report;
struct cp_geo;
struct source;

/* --- the whole ----------------------------------------------------------------------------------
 */

struct sl_cp {
	struct sl_gw *gw;
	struct event_base *base;
	const struct sl_config_cp *config;
	char *state_dir;
	char boot_id[33];
	struct source *link; /* cp_source.c; NULL: tests play it */
	void (*dial)(struct sl_cp *cp);
	void (*resync)(struct sl_cp *cp);
	void (*poll_link)(struct sl_cp *cp);
	unsigned (*place_of)(const struct sl_cp *cp, unsigned source); /* in the configuration */
	void (*hang_up)(struct sl_cp *cp);
	/** Who waits for the end of an op: sl_sub_done(), or a test. */
	void (*done)(struct sl_cp *cp, int rc, json_t *ack, const struct sl_error *e);
	void *done_ctx;
	/** How calls go up: sl_sub_call(), or a test. */
	int (*call)(struct sl_cp *cp, const char *method, json_t *params, sl_rpc_answered done);
	json_t *(*state)(void *ctx); /* more for stats.report; NULL: nothing */
	void *state_ctx;

	/* received */
	struct sl_replica *r;
	struct sl_epoch epoch;
	uint64_t seq;
	char chain[SL_CHAIN_STR];
	unsigned schema;	   /* in which it was received */
	size_t objects_max;	   /* that transactions may make of it */
	struct sl_replica *shadow; /* a snapshot on its way */
	struct sl_epoch shadow_epoch;
	uint64_t shadow_seq;
	char shadow_chain[SL_CHAIN_STR];
	bool shadow_resumes; /* same epoch: what it lacks was deleted */
	json_t *part;
	size_t part_at;
	struct sl_replica *diff_from; /* what was received before; NULL: nothing */
	struct sl_replica *diff_old;  /* for a second pass: all there is */
	struct sl_replica_diff diff;
	bool unserved;		  /* the replica came from the boot cache and serves nobody yet */
	struct sl_epoch refused;  /* number 0: none */
	struct sl_epoch accepted; /* by an operator; number 0: none */

	/* work */
	enum cp_phase phase;
	bool round_due, in_op;
	struct cp_items items, kept; /* kept: looked at in this phase */
	struct gw_hash items_by_id;
	unsigned n_items, n_bad;
	bool policy_due;	 /* objects of the policy changed */
	bool policy_loaded;	 /* from here */
	struct sl_error refusal; /* of the policy, err 0: none */
	struct cp_join *join;
	struct cp_load *load;		     /* at the gateway */
	bool overlay_load;		     /* the load under way is one */
	bool overlay;			     /* revocations beside what serves */
	uint64_t until_ns;		     /* real time: the end of this turn */
	uint64_t serving_epoch, serving_seq; /* 0: nothing serves */
	uint64_t begin_ns, busy_ns, busy_max_ns;
	json_t *ignored;
	unsigned n_forbidden; /* since the last round: what is local alone, and came all the same */
	bool telling;	      /* once a change: what is ignored */
	char last_nack[40];

	/* served */
	struct gw_hash peers_by_name;
	struct cp_peers peers, overlaps;
	unsigned n_peers, n_psk_missing;
	unsigned n_psk_lost; /* since the last round: peers whose key is missing from now on */
	uint64_t psk_look_ns;

	/* revoked */
	struct gw_hash tombs_by_id;
	struct cp_tombs tombs;
	unsigned n_tombs, n_blocked; /* blocked: when it was reported last */
	struct cp_tomb *look;	     /* where a list of them is */
	uint64_t tombs_dropped;
	uint64_t source_wall_ns; /* its clock at the last heartbeat */
	struct sl_epoch seen;	 /* the highest of all runs: number and id */
	char *lines;		 /* to be added to the file */
	size_t lines_len, lines_room;
	struct cp_write *tomb_write; /* on its way */
	bool tombs_fail;
	uint64_t tomb_retry_ns;

	/* time */
	uint64_t heard_ns; /* mono: a source was heard last; 0 never */
	uint64_t head;
	bool up, hash_ok, registered;
	int64_t skew_ms; /* of the source's clock */
	unsigned source;
	bool silent; /* longer than CP_SILENT_NS */
	bool stale;  /* longer than control_stale_after */
	bool providers_due;
	uint64_t shut_look_ns;
	struct cp_peer *shut_next;
	json_t *held; /* a transaction, or true: a snapshot's end, behind a copy of the replica */
	struct sl_error last_error;

	/* boot */
	bool began;
	bool cache_read;   /* or there was none */
	bool cache_barred; /* it does not serve: of the wrong time, or with a hole */
	bool cache_hole;   /* then not before a source has sent all of it */
	bool booting;	   /* neither a source nor the cache serves yet */
	bool stale_config; /* the cache serves */
	uint64_t boot_until_ns, confirm_ns;
	struct cp_cache *reading, *writing;
	struct cp_cache *journal; /* a transaction on its way to the disk */
	bool journal_given;	  /* not before the deletions in it are on the disk */
	bool cache_now;		  /* a snapshot is acknowledged when it is in the cache */
	bool copying;		  /* `writing` is being filled: the replica must not change */
	bool cache_due;
	uint64_t due_ns, cached_ns; /* mono */
	uint64_t cache_wall_ns;	    /* of the file */
	char cache_error[200];

	struct sl_evidence *evidence;
	struct cp_report *report;
	struct cp_log *log;
	struct cp_geo *geo;
};

/* --- cp_work.c: the list, and a round ----------------------------------------------------------
 */

/** An object changed. @return 0 or -ENOMEM */
int cp_work_add(struct sl_cp *cp, enum sl_kind k, const char *id);
void cp_work_clear(struct sl_cp *cp);
/** Begin a round with what waits, unless one is under way: then after it. */
void cp_round(struct sl_cp *cp);
/** One step of what is under way. @return false: nothing is */
bool cp_step(struct sl_cp *cp);
bool cp_refuses(const struct sl_cp *cp);
/** What serves, as a seq of the present epoch; 0: what serves is of a former one, or nothing. */
uint64_t cp_serving_seq(const struct sl_cp *cp);
/** Note KIND/ID/FIELD, for the acknowledgement. */
void cp_ignore(struct sl_cp *cp, enum sl_kind k, const char *id, const char *field);

/* --- cp_object.c: what counts of an object ------------------------------------------------------
 */

/** The body to be applied, without what is ignored: new reference. NULL: there is none, or a
 * tombstone blocks it, or (err set) this version cannot read it. */
json_t *cp_object(struct sl_cp *cp, enum sl_kind k, const char *id, struct sl_error *e);
/** Is there an object that counts, whether or not it can be read? */
bool cp_object_there(struct sl_cp *cp, enum sl_kind k, const char *id);
bool cp_manages(const struct sl_cp *cp, const char *iface);
/** Record that it came, though it is local alone. @param path NULL: all of the object */
void cp_forbidden(struct sl_cp *cp, const char *kind, const char *id, const char *path);
/** The round ends: record how many have no record of their own. */
void cp_forbidden_end(struct sl_cp *cp);

/* --- cp_peer.c ----------------------------------------------------------------------------------
 */

enum cp_how {
	CP_ONLY_CUT,  /* who may not connect any more */
	CP_ONLY_LESS, /* all that takes something away */
	CP_WHOLE,
};
/** Make a peer as the replica has it, or a part of that. */
int cp_peer_apply(struct sl_cp *cp, const char *id, enum cp_how how, struct sl_error *e);
/** New keys that shook hands, preshared keys that came. @return true if something was done */
bool cp_peer_poll(struct sl_cp *cp);
/** The round ends: record how many that miss their preshared key have no record of their own. */
void cp_psk_missing_end(struct sl_cp *cp);
void cp_peer_clear(struct sl_cp *cp);
struct cp_peer *cp_peer_find(const struct sl_cp *cp, const char *name);

/* --- cp_iface.c, cp_member.c --------------------------------------------------------------------
 */

int cp_iface_apply(struct sl_cp *cp, enum sl_kind k, const char *id, struct sl_error *e);
/** "peer:NAME", "peer:NAME@INTERFACE", "PREFIX@INTERFACE", "PREFIX@*". 0 or -EINVAL */
int cp_member_parse(const char *text, struct sl_pol_member *out);
/** A role mapping; staged: with the next policy. */
int cp_member_apply(struct sl_cp *cp, const char *id, bool staged, enum cp_how how,
		    struct sl_error *e);

/* --- cp_policy.c --------------------------------------------------------------------------------
 */

/** @return false without memory */
bool cp_policy_begin(struct sl_cp *cp, bool overlay);
/** @return true when all are collected; then the helper has the task */
bool cp_policy_collect(struct sl_cp *cp, unsigned budget);
void cp_policy_free(struct sl_cp *cp);
/** Any thread: what is left of `serving` without what `objects` revoke; NULL: all of it, or no
 * memory (rc). For tests too. */
json_t *cp_policy_reduce(json_t *serving, const struct cp_text *v, unsigned n);

/* --- cp_tomb.c ----------------------------------------------------------------------------------
 */

void cp_tomb_load(struct sl_cp *cp);
/** An object was deleted in the present epoch. */
void cp_tomb_add(struct sl_cp *cp, const struct sl_replica_obj *was, uint64_t rev, uint64_t seq);
/** It is there at this seq: put anew if that is in the epoch of its deletion and behind it, or of a
 * higher revision. Else it is the one that was deleted, which an older backup has, or a source that
 * goes on from before the deletion. */
void cp_tomb_clear(struct sl_cp *cp, enum sl_kind k, const char *id, uint64_t rev, uint64_t seq);
/** Does one block this object? Never a rule that denies, whatever its id stood for before. */
bool cp_tomb_blocks(const struct sl_cp *cp, const struct sl_replica_obj *o);
/** Begin a list of what is blocked: where it goes on moves with what is dropped meanwhile. */
void cp_tomb_look(struct sl_cp *cp);
/** Look at some more. @param[in,out] n how many there are, `names` "KIND/ID" of the first ones
 * @return false: at the end */
bool cp_tomb_look_on(struct sl_cp *cp, unsigned *n, json_t *names);
/** The source told its time: where ours is the same, what is too old is forgotten. */
void cp_tomb_age(struct sl_cp *cp, uint64_t source_wall_ns);
/** The highest epoch is known to the next run. */
void cp_tomb_epoch(struct sl_cp *cp);
/** So is the one that an operator has accepted, until another one is entered. */
void cp_tomb_accepted(struct sl_cp *cp);
/** Write what waits. @return true when all is on the disk, or cannot be brought there now */
bool cp_tomb_poll(struct sl_cp *cp);
/** Write now, and wait (exit). */
void cp_tomb_save(struct sl_cp *cp);
void cp_tomb_free(struct sl_cp *cp);

/* --- cp_cache.c ---------------------------------------------------------------------------------
 */

void cp_cache_read(struct sl_cp *cp);
/** Take what was read into the replica, unserved. @return true when that is over, one way or the
 * other */
bool cp_cache_ready(struct sl_cp *cp);
/** Copy and write when it is due. @return true if something was done */
bool cp_cache_poll(struct sl_cp *cp);
/** The replica changed. */
void cp_cache_touch(struct sl_cp *cp);
/** Write now, and wait (exit). */
void cp_cache_save(struct sl_cp *cp);
void cp_cache_free(struct sl_cp *cp);
bool cp_cache_is_on(const struct sl_cp *cp);
/* for cp_journal.c: */
struct cp_cache *cp_cache_new(struct sl_cp *cp);
void cp_cache_drop(struct cp_cache *c);
/** The gateway's own key, made where there is none. @return 0, -ENOENT, -EACCES cache_key */
int cp_cache_key(struct cp_cache *c, bool make, uint8_t key[32]);
/** @return 0 or -ENOMEM */
int cp_cache_append(struct cp_cache *c, const char *fmt, ...) SL_PRINTF(2, 3);
/** Read c->text, as it was before it was sealed. @return 0; -EBADMSG cache_broken, -ENOMEM */
int cp_cache_parse(struct cp_cache *c);
/** Put the object of a line, KIND ID REV TEXT with tabs between. @return 0, -EBADMSG, -ENOMEM */
int cp_cache_object(struct cp_cache *c, char *line);

/* --- cp_journal.c -------------------------------------------------------------------------------
 */

/** A transaction was taken: what it made of its objects goes to the disk. */
void cp_journal_add(struct sl_cp *cp, uint64_t from, const json_t *ops);
/** @return true when it is there, or cannot be brought there */
bool cp_journal_done(struct sl_cp *cp);
/** One record as it was before it was sealed; c->hole: it is taken, but does not follow. @return 0:
 * taken, or older than what the cache has; -EBADMSG, -ENOMEM */
int cp_journal_take(struct cp_cache *c, char *text);
/** Helper: the cache has it all. */
void cp_journal_empty(const char *dir);
/** Helper: go on from what the cache has; c->hole: not all of it. @return 0, -EBADMSG, -ENOMEM,
 * those of gw_file_read() */
int cp_journal_read(struct cp_cache *c, const uint8_t key[32]);

/* --- cp_stale.c ---------------------------------------------------------------------------------
 */

void cp_stale_poll(struct sl_cp *cp);
/** A source spoke. */
void cp_stale_heard(struct sl_cp *cp);
/** When that was; 0: never. */
uint64_t cp_heard_wall_ns(const struct sl_cp *cp);
/** May this peer connect, as far as the control plane's silence goes? */
bool cp_stale_allows(const struct sl_cp *cp, const char *iface, const struct sl_pubkey *key);

/* --- cp_link.c: what the subscriber asks --------------------------------------------------------
 */

extern const struct sl_sub_ops cp_sub_ops;
/** cp_source.c, now and then: does our certificate end? */
void cp_source_poll(struct sl_cp *cp);
void cp_source_problems(const struct sl_cp *cp, json_t *problems);
#define CP_ERROR 256
/** Snapshots that were taken, by why they were sent. */
void cp_source_snapshots(const struct sl_cp *cp, uint64_t out[SL_SNAP_REASONS]);
/** "reason: message" of what failed last, an attempt to connect too. @return buf, NULL: nothing */
const char *cp_source_error(const struct sl_cp *cp, char buf[CP_ERROR]);
/** Some more objects of a part of a snapshot. @return false: none waits */
bool cp_part_step(struct sl_cp *cp);
/** What waited for a copy or a round is taken now. */
bool cp_held_poll(struct sl_cp *cp);
/** It may stand in a line of a file. */
bool cp_is_id(const char *id);
/** A source spoke, and what it says is the newest: nothing of the boot cache is any more. */
void cp_link_fresh(struct sl_cp *cp);
/** cp_txn.c: fold in a transaction and serve it. @return 0; -EBADMSG: nothing has changed; -ENOMEM
 */
int cp_txn_take(struct sl_cp *cp, const json_t *txn, struct sl_error *e);
/** All that was received is to be served. */
void cp_serve(struct sl_cp *cp);
/** Without sources and files: for tests. */
struct sl_cp *cp_new_bare(const struct sl_cp_conf *c, struct sl_error *e);

/* --- cp_report.c, cp_log.c, cp_geo.c: what goes up -----------------------------------------------
 */

/** Register once a connection, statistics every few seconds. @return true if something was done */
bool cp_report_poll(struct sl_cp *cp);
/** A peer goes: it may be where a report stands. */
void cp_report_forget(struct sl_cp *cp, const struct cp_peer *p);
void cp_report_free(struct sl_cp *cp);

/* --- cp_rtt.c --------------------------------------------------------------------------------- */

struct cp_rtt;
struct cp_rtt *cp_rtt_new(void);
void cp_rtt_free(struct cp_rtt *r); /* NULL allowed */
/** {TARGET: {p50, p95, p99, n}} in ms, of handshakes since the last call. New reference. */
json_t *cp_rtt_json(struct cp_rtt *r, const struct sl_dp *dp, const struct sl_policy_view *v);

/** Listen to the evidence. @return 0 or -ENOMEM */
int cp_log_init(struct sl_cp *cp, struct sl_evidence *ev);
bool cp_log_poll(struct sl_cp *cp);
void cp_log_free(struct sl_cp *cp);
/** Rows that were not sent, and those that were dropped. */
void cp_log_info(const struct sl_cp *cp, unsigned *waiting, uint64_t *lost);

/** Open the databases of the configuration; a broken one is told and not used. */
int cp_geo_init(struct sl_cp *cp, struct sl_error *e);
/** Add country and asn of an outer address. The address itself goes nowhere. */
void cp_geo_add(const struct sl_cp *cp, const struct sl_ip *ip, json_t *o);
void cp_geo_free(struct sl_cp *cp);

/* --- helpers ------------------------------------------------------------------------------------
 */

/** Give a task to the gateway's helper; without one it runs here and now. */
void cp_give(struct sl_cp *cp, struct gw_task *t, void (*run)(struct gw_task *t));
uint64_t cp_key(const struct sl_cp *cp, enum sl_kind k, const char *id);
void cp_event(struct sl_cp *cp, const char *action, const char *outcome, json_t *fields);

#endif
