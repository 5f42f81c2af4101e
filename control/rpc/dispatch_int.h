/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Inside the dispatcher: calls (rpc.c) and the lines that they stand in (rpc_line.c). */
#ifndef SL_RPC_DISPATCH_INT_H
#define SL_RPC_DISPATCH_INT_H

#include "sl_rpc.h"
#include "sl_schema.h"

#define RPC_CODE_PARSE (-32700)
#define RPC_CODE_REQUEST (-32600)
#define RPC_CODE_METHOD (-32601)
#define RPC_CODE_PARAMS (-32602)
#define RPC_CODE_INTERNAL (-32603)
#define RPC_CODE_UNAUTHENTICATED (-32001)
#define RPC_CODE_FORBIDDEN (-32002)
#define RPC_CODE_NOT_FOUND (-32003)
#define RPC_CODE_STATE (-32004)
#define RPC_CODE_CONFLICT (-32005)
#define RPC_CODE_LIMIT (-32006)
#define RPC_CODE_NOT_APPLIED (-32007)
#define RPC_CODE_BUSY (-32008)

struct binding {
	sl_rpc_handler fn;
	void *user;
	bool common; /* ours, until another takes its place */
};

struct sl_rpc {
	const struct sl_schema *schema;
	void *user;
	enum sl_rpc_state state;
	struct binding *bound; /* [schema->n] */
	void (*refused)(void *user, const struct sl_rpc_caller *caller, const char *method,
			const char *reason);
	const struct sl_rpc_trail *trail;
	sl_rpc_give_fn give; /* NULL: everything is done here and now */
	void *give_ctx;
	struct sl_rpc_line *lines;
};

/** A call that may be answered later. */
struct sl_rpc_ask {
	struct sl_rpc_line *line;
	size_t at;  /* place of the answer */
	json_t *id; /* NULL: a notification */
	struct sl_rpc_later *later;
	struct sl_rpc_change *change; /* until an answer that comes later takes it over */
};

struct sl_rpc_later {
	struct sl_rpc_ask *ask; /* while the handler runs */
	struct sl_rpc_line *line;
	size_t at;
	json_t *id;
	struct sl_rpc_change *change;
	/* the handler's parameters, and what they point to */
	json_t *params;
	void *decoded;
	struct sl_schema_arena *arena;
};

/* --- rpc.c --------------------------------------------------------------------------------------
 */

/** One request object. @return answer, or NULL for a notification or when it comes later */
json_t *rpc_request(struct sl_rpc *r, const struct sl_rpc_caller *caller, json_t *req,
		    struct sl_rpc_ask *ask);
/** What a finished call is answered; NULL for a notification. */
json_t *rpc_call_answer(json_t *id, int rc, json_t *result, const struct sl_error *e);
json_t *rpc_simple_error(json_t *id, int code, const char *reason, const char *text);

/* --- change.c -----------------------------------------------------------------------------------
 */

/** A call is about to be carried out. @return NULL: it leaves no trail (or no memory) */
struct sl_rpc_change *rpc_change_begin(const struct sl_rpc *r, const struct sl_schema_method *m,
				       const struct sl_rpc_caller *caller, json_t *params);
/** It is answered. @param r NULL: the dispatcher is gone; @param c freed; NULL allowed */
void rpc_change_end(const struct sl_rpc *r, struct sl_rpc_change *c, int rc,
		    const struct sl_error *e);

/* --- rpc_line.c ---------------------------------------------------------------------------------
 */

/** The dispatcher goes; its lines stay until they are answered. */
void rpc_lines_leave(struct sl_rpc *r);

#endif
