/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * One request of the REST API, from its authentication to its answer, and what handlers need.
 *
 * A handler fills the answer and returns 0, or a negative errno with `e`, which becomes a problem
 * (RFC 9457). On the loop it may return SL_CALL_LATER and call sl_call_finish() once, later, or the
 * name of a thread, and is called again there, as its next part; on a thread it may return
 * SL_CALL_AGAIN, and is called again when others have had their turn. It works with `store` and
 * `reports` of the call, which are its thread's; publisher, door and statistics are the loop's
 * alone.
 */
#ifndef SL_REST_CALL_H
#define SL_REST_CALL_H

#include <event2/http.h>
#include <jansson.h>
#include <sys/queue.h>

#include "reports.h"
#include "sl_rest_int.h"
#include "sl_rest_ops.h"
#include "sl_service.h"
#include "sl_store.h"
#include "sl_tasks.h"
#include "target.h"

#define SL_CALL_LATER 1
#define SL_CALL_AGAIN 2
#define SL_CALL_HELPER 3
#define SL_CALL_WRITER 4
#define CALL_ID 17 /* 16 hex digits */

struct stream;

struct sl_call {
	struct sl_rest *rest;
	struct evhttp_request *req;  /* NULL: it came before the server was started anew */
	json_t *row;		     /* then what was noted of it, else NULL */
	const struct sl_rest_op *op; /* NULL: none was found */
	struct sl_store *store;	     /* of the thread that works on the call */
	struct sl_reports *reports;  /* the same; NULL on the loop, and on a follower */
	struct sl_principal who;     /* name "" before the login */
	struct sl_ip from;
	char id[CALL_ID]; /* of the request, in answers, logs and the audit */
	struct sl_target target;
	const char *arg[2];    /* of the path, in its order */
	const char *q[SL_Q_N]; /* of the query, NULL: absent */
	int64_t q_int[SL_Q_N]; /* integers, booleans */
	json_t *body;	       /* checked against its schema; NULL: none */
	const char *text;      /* the bytes of the body */
	size_t text_len;
	const char *uri; /* as it came */
	const char *key; /* Idempotency-Key of a change, NULL: none */
	bool has_if_match, if_any, none_match;
	uint64_t if_rev;
	uint64_t begun_ns;
	/* the answer */
	int status; /* 0: 200 */
	json_t *out;
	char *out_text; /* malloc'ed, instead of `out` */
	const char *out_type;
	const char *out_static; /* instead of both */
	size_t out_len;
	struct stream *stream; /* instead of all three */
	uint64_t etag;	       /* 0: none */
	uint64_t seq;	       /* of the change; 0: the store's head */
	char location[200];
	bool keep_secret; /* the answer is not kept for Idempotency-Key */
	bool done;	  /* this is a dry run, and it is answered */
	bool changed;	  /* there is something to publish */
	bool kept;	  /* the answer was kept, where it has to be */
	/* on its way (stage.c) */
	json_t *connected; /* what the loop knows of gateways, for a handler on a thread */
	bool body_read;
	bool refused;	     /* to the role: that is a row of the audit */
	bool begun;	     /* its handler has it, or had it */
	unsigned part;	     /* of a handler that asks to be called again: how often it was */
	uint64_t on_rev;     /* of such a handler: the revision that its first part made */
	struct sl_task task; /* what a thread does, and what it gave: */
	int rc;
	struct sl_error e;
	/* later */
	struct event *timer;
	unsigned tries;
	void *pending;			   /* the handler's */
	void (*cancel)(struct sl_call *c); /* the server ends: forget `pending` */
	struct sl_task *after;		   /* given to the helper when all is done; NULL: none */
	TAILQ_ENTRY(sl_call) link;
};

/** @param v reference is taken over (NULL: no memory) @return 0 or -ENOMEM */
int sl_call_answer(struct sl_call *c, int status, json_t *v, struct sl_error *e);
/** Answer a call that was left for later; frees it. */
void sl_call_finish(struct sl_call *c, int rc, const struct sl_error *e);

/** True if the caller has nothing but this role (of gateway, peer): it sees its own things alone.
 */
bool sl_call_is_scoped(const struct sl_call *c, enum sl_service_role r);
/** @return 0, -ENOENT not_found: a scoped caller asks for another's */
int sl_call_own(const struct sl_call *c, enum sl_service_role r, const char *name,
		struct sl_error *e);
/** Where the call came from, for logs and the audit; "-" for a peer's own: outer addresses of peers
 * are kept nowhere. */
const char *sl_call_from(const struct sl_call *c, char text[SL_IP_STR]);
/** What only a primary has, asked at a follower. @param what "what gateways report" */
int sl_call_not_primary(const struct sl_call *c, const char *what, struct sl_error *e);
int sl_call_not_found(const char *what, const char *name, struct sl_error *e);
bool sl_call_dry_run(const struct sl_call *c);
/** The revision that a change is made on: of If-Match, SL_REV_NONE with If-None-Match: *, else
 * SL_REV_ANY. */
uint64_t sl_call_if_rev(const struct sl_call *c);

#endif
