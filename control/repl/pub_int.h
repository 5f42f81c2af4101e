/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Parts of the publisher: buckets, the feed, streams, the table of subscribers. */
#ifndef SL_PUB_INT_H
#define SL_PUB_INT_H

#include <event2/event.h>
#include <sys/queue.h>

#include "sl_env.h"
#include "sl_publisher.h"
#include "sl_replica.h"
#include "sl_rpc_server.h"
#include "sl_tasks.h"
#include "wire.h"

#define PUB_PART_BYTES ((size_t)60 * 1024)   /* of a snapshot, of a transaction */
#define PUB_ROW_BYTES ((size_t)64 * 1024)    /* a larger row is made ready on a thread */
#define PUB_SCOPE_BYTES ((size_t)512 * 1024) /* more comes as a snapshot where a scope changes */
#define PUB_LINE_ROOM ((size_t)4 * 1024)     /* beside them, in a line */
#define PUB_QUEUE_LOW ((size_t)256 * 1024)   /* what is pulled goes on below */
#define PUB_SLICE_NS (2 * SL_NS_PER_MS)	     /* of the loop, at a time */
#define PUB_POLL_MS 200			     /* commits of other processes */
#define PUB_ASKS_PER_S 2		     /* subscriptions of a node ... */
#define PUB_ASKS_BURST 60		     /* ... so many at once */
#define PUB_ASKS_NODES 4096
#define PUB_SNAPSHOT_COST 5    /* subscriptions that one with a snapshot counts as */
#define PUB_REWIND_S 60	       /* at most one new epoch in this time */
#define PUB_REWIND_NODE_S 3600 /* because of one and the same subscriber */
#define PUB_NODES_MAX 4096     /* rows of the table */
#define PUB_BUCKETS 128

/** Forms in which objects are sent: as they are stored, and as a gateway of the schema before reads
 * them. Data stores are sent the first, whatever they read. */
enum pub_view { PUB_STORED, PUB_OLDER, PUB_VIEWS };

/** Objects that go to the same gateways: those of one interface, those of one gateway, those of
 * all, those of the data stores. */
struct pub_bucket {
	struct pub_bucket *next;
	enum sl_scope scope;
	char name[SL_OBJ_SCOPE];
	struct sl_hash_sum sum[PUB_VIEWS];
	uint64_t count[PUB_VIEWS];
	uint64_t bytes;	     /* about what they take on the wire */
	uint64_t seq;	     /* last transaction that touched it, since the load */
	uint64_t record_seq; /* of a gateway: last change of its record, since the load */
};

/** What of the state goes to one subscriber. */
struct pub_scope {
	bool all;
	char node[SL_BOUND_NAME];
	struct pub_bucket **has;
	unsigned n;
};

/** An object as a view has it. */
struct pub_seen {
	bool there;
	bool own; /* its form is another than the stored one */
	const char *text;
	size_t len;
	char *made; /* `text` if it is its own */
	uint8_t hash[SL_HASH_LEN];
};

/** One op of the transaction that is fed, as text for those who have it in scope. */
struct pub_op {
	struct pub_bucket *from, *to;	    /* NULL: was, is not there */
	bool was[PUB_VIEWS], is[PUB_VIEWS]; /* there, in a view */
	char *put[PUB_VIEWS], *del;	    /* NULL: not made yet */
	enum sl_kind kind;
	const char *id; /* of the row's JSON, or of the replica */
	uint64_t rev;
};

enum pub_phase {
	PUB_WAIT,     /* for its turn to get a snapshot */
	PUB_SNAPSHOT, /* its parts are pulled */
	PUB_SCAN,     /* does the log say that its scope changed? */
	PUB_CATCH_UP, /* rows of the log are pulled */
	PUB_LIVE,
	PUB_DROPPED, /* the connection closes */
};

struct pub_row;
struct pub_load;
struct pub_prep;
struct pub_feed;

struct pub_stream {
	TAILQ_ENTRY(pub_stream) link;
	struct sl_publisher *p;
	struct sl_rpc_conn *conn;
	struct sl_rpc_watch watch;
	char name[16], node[SL_BOUND_NAME], principal[SL_PRINCIPAL_NAME];
	struct pub_scope scope;
	enum pub_view view;
	enum pub_phase phase;
	const char *reason;    /* of the snapshot */
	uint64_t sent_seq;     /* `prev` of what follows */
	uint64_t at, scan_at;  /* CATCH_UP, SCAN: looked at up to here */
	struct pub_past *past; /* the next row, where that is large */
	uint64_t turn;	       /* WAIT: who came first */
	bool beat_due;	       /* as soon as its queue is empty */
	/* the running snapshot */
	struct sl_store_snap *snap;
	struct sl_epoch snap_epoch;
	char snap_chain[SL_CHAIN_STR];
	struct sl_hash_sum snap_sum;
	uint64_t snap_seq, snap_count, snap_given, snap_moved_ns;
	unsigned snap_part, part_objects;
	struct wire_text part;
	/* the transaction that is fed: copies of pointers */
	char **ops;
	unsigned n_ops, cap_ops;
	bool has, had; /* what is in its scope: of the last op that was looked at */
	bool owed;     /* the transaction was not sent to it yet: the sums are later than it */
	struct pub_row *row;
};

/** A row of the table of subscribers: stays when they leave. */
struct pub_row {
	struct pub_row *next;
	char node[SL_BOUND_NAME], via[SL_BOUND_NAME];
	struct sl_subscriber_info i;
	struct pub_stream *stream; /* of one that is connected here */
	uint64_t heard_mono_ns;	   /* of one behind a follower */
	uint64_t rewind_mono_ns;   /* an epoch began because of it */
};

/** A new epoch, because of a subscriber that has what we lost. */
struct pub_rewind {
	struct sl_task task;
	struct sl_store *store; /* the writer's */
	char node[SL_BOUND_NAME];
	const char *reason; /* of the node's next snapshot; NULL: it has it, or there was none */
	uint64_t its_seq, our_seq;
	bool running; /* the writer has it, rc and e too: */
	int rc;
	struct sl_error e;
};

struct sl_publisher {
	struct sl_publisher_conf conf;
	struct sl_replica *replica;
	struct pub_bucket *buckets[PUB_BUCKETS];
	struct sl_epoch epoch;
	uint64_t seq, load_seq; /* the replica is at; was at when it was loaded */
	char chain[SL_CHAIN_STR];
	bool broken;		    /* the replica is not what the store says: load anew */
	struct sl_tasks *helper;    /* what would hold the loop */
	struct pub_load *loading;   /* another replica is on its way */
	struct pub_load *unloading; /* the former one is freed */
	bool load_again;	    /* the store was replaced again meanwhile */
	struct pub_prep *prep;	    /* the next row is made ready */
	struct pub_prep *freed;	    /* rows that the helper frees */
	struct pub_feed *feed;	    /* a row is fed and not sent to all yet */
	TAILQ_HEAD(, pub_stream) streams;
	TAILQ_HEAD(, pub_past) past; /* rows for those who were away, and what is freed of them */
	unsigned n_streams, n_snapshots;
	uint64_t next_name, next_turn, rewind_mono_ns;
	struct pub_rewind rewind;
	struct sl_rate *asks; /* how often a node subscribes */
	struct pub_row *rows;
	unsigned n_rows;
	struct sl_publisher_wait *waits;
	struct event *poll, *work, *beat;
};

#define PUB_EACH(s, p)                                                                             \
	for (struct pub_stream *s = TAILQ_FIRST(&(p)->streams); s; s = TAILQ_NEXT(s, link))

/* --- buckets and scopes (pub_scope.c) --------------------------------------------------------- */

/** Of an object of the replica; made if it is new. NULL: no memory */
struct pub_bucket *pub_bucket_of(struct sl_publisher *p, enum sl_kind k, const char *scope);
struct pub_bucket *pub_bucket(struct sl_publisher *p, enum sl_scope scope, const char *name);
void pub_buckets_free(struct sl_publisher *p);
/** @param older the object as the older view has it */
void pub_bucket_add(struct pub_bucket *b, const struct sl_replica_obj *o,
		    const struct pub_seen *older);
void pub_bucket_sub(struct pub_bucket *b, const struct sl_replica_obj *o,
		    const struct pub_seen *older);
/** Learn the scope of a node from its record in the replica: without one, or where it is not
 * enabled, the record alone. "*" is the interface of what no tunnel owns: in every scope.
 * @return 0, -ENOMEM; then it is as before */
int pub_scope_read(struct sl_publisher *p, struct pub_scope *s);
void pub_scope_free(struct pub_scope *s);
bool pub_scope_has(const struct pub_scope *s, const struct pub_bucket *b);
void pub_scope_sum(const struct sl_publisher *p, const struct pub_scope *s, enum pub_view view,
		   struct sl_hash_sum *sum, uint64_t *count);
/** Last transaction that touched a gateway's scope since the load, 0: none. */
uint64_t pub_scope_seq(struct sl_publisher *p, const char *gateway);

/* --- views (pub_view.c) ----------------------------------------------------------------------- */

struct pub_ask;
enum pub_view pub_view_of(const struct sl_publisher *p, const struct pub_ask *a);
/** How the older view has an object, by its body: text and hash only where they are its own.
 * @return 0, -ENOMEM; pub_seen_free() */
int pub_see_body(const struct sl_publisher *p, enum sl_kind k, const char *id, const json_t *body,
		 struct pub_seen *out);
/** The same by the stored text, which is the view's where it has no other. */
int pub_see_text(const struct sl_publisher *p, enum sl_kind k, const char *id, const char *text,
		 size_t len, struct pub_seen *out);
void pub_seen_free(struct pub_seen *s);
/* --- loading (pub_load.c) --------------------------------------------------------------------- */

/** Load the replica from the store, now. */
int pub_load_now(struct sl_publisher *p, struct sl_error *e);
/** Load it on the helper; until then the former one stays and nothing but heartbeats is sent. Then
 * all streams take a snapshot. */
int pub_load_begin(struct sl_publisher *p, struct sl_error *e);
void pub_load_free(struct pub_load *l); /* NULL allowed */
/** It is another state: streams take a snapshot of it. */
void pub_anew(struct sl_publisher *p, const struct sl_epoch *was);

/* --- rows made ready (pub_prep.c) ------------------------------------------------------------- */

/** An op of a row, with all that costs time done. */
struct pub_ready {
	enum sl_kind kind;
	bool put;
	const char *id; /* of the row's JSON */
	uint64_t rev;
	struct replica_obj *obj; /* NULL: a del, or entered */
	char *raw;		 /* as data stores get it; NULL: not made */
	char *text;		 /* a put as gateways get it; NULL: not made */
	struct pub_seen older;	 /* a put: how the older view has it */
};
struct pub_prep {
	struct sl_task task;
	struct pub_prep *next; /* of those that are freed */
	struct sl_publisher *p;
	const struct sl_replica *replica; /* for which it is made */
	uint64_t seq;
	char chain[SL_CHAIN_STR];
	char *row; /* as stored, with its length; NULL: not for the helper */
	size_t len;
	json_t *txn;
	struct pub_ready *ops;
	unsigned n;
	bool failed;
};
struct pub_prep *pub_prep_new(struct sl_publisher *p, uint64_t seq, const char *chain);
/** Parse a row and make its ops ready, with their texts or without; `failed` tells. */
void pub_prep_make(struct pub_prep *r, const char *text, size_t len, bool raw, bool texts);
/** The same on the helper, then `done` on the loop. @return 0, -ENOMEM */
int pub_prep_give(struct pub_prep *r, const char *text, size_t len,
		  void (*done)(struct sl_task *t));
/** What the helper made is freed there. NULL allowed. */
void pub_prep_free(struct pub_prep *r);
/** At the end, where there is no helper any more. */
void pub_prep_free_now(struct pub_prep *r);

/* --- rows of the past (pub_past.c) ------------------------------------------------------------ */

struct pub_past {
	struct sl_task task;
	TAILQ_ENTRY(pub_past) link;
	struct sl_publisher *p;
	struct pub_stream *s; /* NULL: it has gone, or has the row behind it */
	uint64_t seq;
	char chain[SL_CHAIN_STR];
	char *row; /* as stored, with its length */
	size_t len;
	enum pub_view view;
	bool all, scan; /* scan: it is looked at alone */
	bool ready, failed;
	json_t *txn;
	unsigned n;   /* its ops */
	char **made;  /* of each op, as the subscriber reads it; NULL: it was taken, or a del */
	unsigned i;   /* ops that the loop has looked at */
	char **texts; /* of those that it is sent */
	unsigned n_texts;
};
/** A put in the form of a view; what it may not have has left for it. NULL: no memory */
char *pub_past_put(const struct sl_publisher *p, enum pub_view view, enum sl_kind k, const char *id,
		   uint64_t rev, const json_t *body);
/** Make a row ready for a stream on the helper, then wake the pump. @return 0, -ENOMEM */
int pub_past_begin(struct pub_stream *s, uint64_t seq, const char *chain, const char *text,
		   size_t len);
/** The stream has no use for it any more: the helper frees it. */
void pub_past_drop(struct pub_stream *s);
/** At the end, where there is no helper any more. */
void pub_pasts_free(struct sl_publisher *p);

/* --- the feed (pub_feed.c) -------------------------------------------------------------------- */

/** Read the log on, up to `until` at most and for `budget_ns` (0: as long as it takes), and send
 * it. @return true if nothing more is to be done now: all is fed, or a thread is at work */
bool pub_feed(struct sl_publisher *p, uint64_t until, uint64_t budget_ns);
/** Forget the row that is not sent to all yet. */
void pub_feed_drop(struct sl_publisher *p);

/* --- text (pub_text.c) ------------------------------------------------------------------------ */

/** Lines of a transaction, without what is each subscriber's own. */
struct pub_lines {
	struct wire_text *v;
	unsigned n;
};
/** @param ops texts of ops; @return 0, -ENOMEM */
int pub_lines_make(struct pub_lines *l, const struct sl_publisher *p, json_t *txn, char *const *ops,
		   unsigned n_ops);
void pub_lines_free(struct pub_lines *l);
/** {op, kind, id, rev, obj}: malloc'ed, NULL without memory. @param text NULL: a del; `left`: it
 * left the scope and was not deleted */
char *pub_op_text(enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len,
		  bool left);

/* --- streams (pub_stream.c) ------------------------------------------------------------------- */

struct pub_stream *pub_stream_new(struct sl_publisher *p, const struct sl_rpc_caller *caller,
				  const char *node, bool all);
/** The connection goes on, its subscription ends. */
void pub_stream_free(struct pub_stream *s);
/** Close the connection; the stream is freed when it is gone. */
void pub_stream_drop(struct pub_stream *s, const char *reason, const char *message);
/** From the start, with a reason that stays valid. */
void pub_stream_snapshot(struct pub_stream *s, const char *reason);
/** From the log after `seq`. */
void pub_stream_resume(struct pub_stream *s, uint64_t seq);
/** Send what may be sent now. @return true if more is to be done at once */
bool pub_stream_pump(struct pub_stream *s, uint64_t end_ns);
void pub_stream_beat(struct pub_stream *s);

/** Send them; the stream stands at `seq` then. More than an outbox holds is sent as a snapshot. */
void pub_stream_txn(struct pub_stream *s, const struct pub_lines *l, uint64_t seq);
/** Send a line; the text is freed. */
void pub_stream_send(struct pub_stream *s, struct wire_text *t);

/* --- phases (pub_snapshot.c, pub_catch_up.c) -------------------------------------------------- */

/** Where it is its turn: open it. */
void pub_snapshot_begin(struct pub_stream *s);
void pub_snapshot_close(struct pub_stream *s);
bool pub_snapshot_pump(struct pub_stream *s, uint64_t end_ns);
bool pub_log_pump(struct pub_stream *s, uint64_t end_ns);

/* --- who subscribes (pub_table.c) ------------------------------------------------------------- */

/** @param via the follower that speaks for it, "" itself. NULL: no memory, table full */
struct pub_row *pub_row_get(struct sl_publisher *p, const char *node, const char *via);
/** Is the node connected to this server itself? */
bool pub_row_is_here(const struct sl_publisher *p, const char *node);
/** A new epoch: what was acked does not count. */
void pub_rows_forget(struct sl_publisher *p);
void pub_rows_free(struct sl_publisher *p);
/** Did a wait come true? */
void pub_waits_check(struct sl_publisher *p);
void pub_waits_free(struct sl_publisher *p);

/* --- calls (pub_decide.c, pub_calls.c)
 * ---------------------------------------------------------------------- */

/** What a subscriber asks for, and what it gets. */
struct pub_ask {
	bool has_epoch;
	uint64_t number;
	char id[33];
	uint64_t seq;
	const char *chain, *why; /* NULL: not told */
	bool want;		 /* a snapshot, whatever we have */
	const char *node;
	bool all;
	unsigned schema; /* of what it is sent */
};
enum pub_mode { PUB_RESUME, PUB_SNAP, PUB_BEHIND, PUB_REWOUND };
/** @param[out] reason of a snapshot; static text or `why` */
enum pub_mode pub_decide(struct sl_publisher *p, const struct pub_ask *a, const char **reason);

/* --- a subscriber ahead of us (pub_rewind.c) ---------------------------------------------------
 */

/** Have a new epoch begun, unless one is on its way, or began too short a time ago.
 * @return -EBUSY busy, rewind_limit */
int pub_rewind_begin(struct sl_publisher *p, const struct pub_ask *a, const char *reason,
		     struct sl_error *e);
/** Why a node gets a snapshot of a later epoch: the first one after an epoch that began because of
 * it has its own reason. */
const char *pub_rewind_reason(struct sl_publisher *p, const char *node, const char *reason);

/** Somebody has work: pump. */
void pub_wake(struct sl_publisher *p);
/** Look at the store: epoch, then rows. @param[out] all: nothing more is to be done now. @return 0
 * or negative errno: it cannot be read */
int pub_refresh(struct sl_publisher *p, uint64_t budget_ns, bool *all, struct sl_error *e);

#endif
