/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Parts of the subscriber: dialling, the stream. */
#ifndef SL_SUB_INT_H
#define SL_SUB_INT_H

#include "sl_env.h"
#include "sl_repl.h"
#include "wire.h"

#define SUB_WAIT_MIN_MS 200
#define SUB_WAIT_MAX_MS 10000
#define SUB_TOLD_MAX_MS 60000 /* no source makes us wait longer */
#define SUB_ENDING_MS 100
#define SUB_MISMATCH_S 600 /* at most one snapshot for a wrong sum in this time */
#define SUB_LINE_MAX ((size_t)64 * 1024 * 1024)

enum sub_phase {
	SUB_IDLE,     /* waits for the next dial */
	SUB_ENDING,   /* the last word is on its way to the source */
	SUB_DIAL,     /* until the login */
	SUB_ASK,      /* subscribe is on its way */
	SUB_SNAPSHOT, /* its first part must come */
	SUB_PARTS,    /* its parts come */
	SUB_LIVE,
};

/** What comes in parts is no larger, in the lines that bring it. */
struct sub_bounds {
	const char *what, *items_are; /* for people */
	uint64_t bytes, items;
};

/** What has come of it. */
struct sub_came {
	uint64_t bytes, items;
};

/** What the owner has been asked and has not answered. */
enum sub_op { SUB_OP_NONE, SUB_OP_BEGIN, SUB_OP_PART, SUB_OP_END, SUB_OP_TXN };

struct sub_note {
	struct sub_note *next;
	char method[24];
	json_t *params;
	struct sl_rpc_line_size size; /* of its line */
};

struct sl_sub {
	struct sl_sub_conf conf;
	struct sl_sub_source *sources;
	char *token, *node, *program;
	struct sl_rpc_client *client;
	struct event *timer, *step;
	enum sub_phase phase;
	unsigned source, wait_ms;
	unsigned told_ms; /* the longest pause that a source has asked for in this round */
	bool up;
	uint64_t told; /* sources whose failure was told since we were up: a bit each */
	struct sl_error ending;
	struct sl_sub_info info;

	/* the stream */
	char sub[24];
	struct sl_epoch epoch;
	uint64_t seq; /* last transaction or snapshot */
	char chain[SL_CHAIN_STR];
	bool known;	 /* the three name what the owner has */
	unsigned held;	 /* schema in which the owner has received it */
	unsigned schema; /* of this subscription */
	uint64_t prev;	 /* of the transaction that comes next */
	/* a later seq at which we are equal, from a heartbeat; 0: none */
	uint64_t head;
	char head_chain[SL_CHAIN_STR];
	uint64_t acked;
	bool nacked;   /* the last transaction or snapshot is not what serves */
	bool ask_due;  /* subscribe when the owner is done */
	bool anew;     /* ... as one who has nothing: the source is in an epoch before ours, and
			  the owner takes it */
	char want[40]; /* why the next subscription asks for a snapshot; "" it does not */
	uint64_t mismatch_mono_ns;
	bool mismatch_told;

	struct sub_note *first, **last; /* notifications that wait */
	bool running;			/* in the loop over them */
	enum sub_op op;
	json_t *msg; /* what the owner works on */
	/* a snapshot or a transaction in parts */
	unsigned part;
	struct sub_came came;
	uint64_t msg_seq;
	struct sl_epoch msg_epoch;
	bool snap_open; /* begun at the owner */
	enum sl_snap_reason snap_reason;
	json_t *gather; /* a transaction whose parts come */
};

/* --- dialling (sub.c) ------------------------------------------------------------------------- */

/** The connection ends here; another is made. */
void sub_fail(struct sl_sub *s, const struct sl_error *e);
/** The same when what was told last has had the time to leave. */
void sub_fail_soon(struct sl_sub *s, const struct sl_error *e);
/** What sl_sub_info() tells. */
void sub_note_error(struct sl_sub *s, const struct sl_error *e);
/** Subscribed: failures count from the start again. */
void sub_up(struct sl_sub *s);

/* --- the stream (sub_stream.c; bounds: sub_bounds.c) ------------------------------------------ */

void sub_ask(struct sl_sub *s);
void sub_notify(struct sl_sub *s, const char *method, json_t *params, struct sl_rpc_line_size size);
/** The bounds of a snapshot and of a transaction; a data store has more than a gateway. */
const struct sub_bounds *sub_snapshot_bounds(bool follower);
const struct sub_bounds *sub_txn_bounds(void);
/** A part has come. @return 0; -EBADMSG: it is too large with it, and `e` says so */
int sub_came_add(struct sub_came *c, const struct sub_bounds *b, size_t bytes, size_t items,
		 struct sl_error *e);
/** Handle what waits, one after another. */
void sub_run(struct sl_sub *s);
/** What the snapshot that comes in claims as its chain. */
const char *sub_snapshot_chain(const struct sl_sub *s);
/** Forget a connection's stream; what the owner has begun is aborted. */
void sub_reset(struct sl_sub *s);

#endif
