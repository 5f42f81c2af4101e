/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * JSON-RPC 2.0 dispatch over the generated schema: one registry of methods, one validator of
 * parameters, one shape of errors; knows no socket. Shared by the gateway, the control-plane server
 * and tests. One thread.
 */
#ifndef SL_RPC_H
#define SL_RPC_H

#include <jansson.h>

#include "sl_addr.h"
#include "sl_base.h"
#include "sl_error.h"
#include "sl_service.h"

struct sl_rpc;
struct sl_rpc_conn;
struct sl_schema;

/** Who calls, and through what: decides on `local_only` methods and needed roles. */
enum sl_rpc_via { SL_RPC_VIA_CONFIG, SL_RPC_VIA_CONSOLE, SL_RPC_VIA_UNIX, SL_RPC_VIA_TCP };

struct sl_rpc_ask;
struct sl_rate;

struct sl_rpc_caller {
	enum sl_rpc_via via;
	const char *principal;		/* for logs: "uid:0", "config", "console", "token:4f0c" */
	const struct sl_principal *who; /* NULL: not logged in, may call open methods alone */
	struct sl_rpc_conn *conn;	/* the connection it came by; NULL: in process */
	unsigned values_max;		/* JSON values in a line; 0: 8,192 */
	struct sl_rate *rate;		/* how often `principal` may call; NULL: as it likes */
	struct sl_rpc_ask *ask;		/* set by the dispatcher where an answer may come later */
};

/** States in which methods may be called. */
enum sl_rpc_state { SL_RPC_STARTUP = 1, SL_RPC_RUNNING = 2 };

/** @param schema what is served: &sl_gateway_schema, &sl_control_schema
 * @param user given to each handler. @return NULL without memory. */
struct sl_rpc *sl_rpc_new(const struct sl_schema *schema, void *user);
void sl_rpc_free(struct sl_rpc *rpc);
/** What sl_rpc_new() was given. */
void *sl_rpc_user(const struct sl_rpc *rpc);
/** A call of a method that changes something. */
struct sl_rpc_change {
	const char *method;
	char principal[SL_PRINCIPAL_NAME];
	struct sl_ip from; /* family 0: not by TCP */
	json_t *params;	   /* may be NULL */
	json_t *before;	   /* what the trail said before the call, or NULL */
};
/**
 * Who wants to know of such calls: of each that is allowed and whose parameters are sound, but for
 * those of a configuration file, which is a call itself.
 */
struct sl_rpc_trail {
	/** A new reference to what the call may change, or NULL. */
	json_t *(*before)(void *user, const char *method, const json_t *params);
	/** It is answered. @param rc 0, or a negative errno with `e` */
	void (*done)(void *user, const struct sl_rpc_change *c, int rc, const struct sl_error *e);
};
/** @param t outlives the dispatcher */
void sl_rpc_set_trail(struct sl_rpc *rpc, const struct sl_rpc_trail *t);
/** Call `fn` with the user for each call that is refused as local_only_setting, and for each that
 * would have changed something and is not for its caller's roles (forbidden). */
void sl_rpc_on_refusal(struct sl_rpc *rpc,
		       void (*fn)(void *user, const struct sl_rpc_caller *caller,
				  const char *method, const char *reason));
void sl_rpc_set_state(struct sl_rpc *rpc, enum sl_rpc_state state);

/**
 * Validate and carry out one call in process (config file, console). Every call, whatever it came
 * by, is allowed or refused here, by the roles that the schema names.
 * @param params object or NULL; borrowed
 * @param[out] result new reference on success
 * @return 0, or a negative errno with `e` filled: reason and path as a client would see them
 */
int sl_rpc_call(struct sl_rpc *rpc, const struct sl_rpc_caller *caller, const char *method,
		json_t *params, json_t **result, struct sl_error *e);

/* --- a helper ------------------------------------------------------------------------------------
 *
 * Lines and answers of many kilobytes are parsed and written beside the loop, where there is a
 * thread for it. */

struct sl_rpc_work {
	struct sl_rpc_work *next;	     /* the helper's */
	void (*run)(struct sl_rpc_work *w);  /* on the helper */
	void (*done)(struct sl_rpc_work *w); /* then, on the loop's thread; may free it */
};
/** Take work over: `done` is called from the loop, after the return. @return false: it is not taken
 */
typedef bool (*sl_rpc_give_fn)(void *ctx, struct sl_rpc_work *w);
/** @param give NULL: everything is done on the spot */
void sl_rpc_set_helper(struct sl_rpc *rpc, sl_rpc_give_fn give, void *ctx);
/** Give work to the helper. @return false: there is none, or it takes nothing */
bool sl_rpc_give(struct sl_rpc *rpc, struct sl_rpc_work *w);
/** Would it take more than half a millisecond to write this? */
bool sl_rpc_is_long(const json_t *v);

/* --- answers that come later --------------------------------------------------------------------
 *
 * A handler whose work takes long asks for sl_rpc_later(), starts the work and returns
 * SL_RPC_LATER; when it is done it calls sl_rpc_answer(), once. Where the caller waits for the
 * return (sl_rpc_call(), sl_rpc_line()) sl_rpc_later() is NULL, and the handler does the work.
 * Parameters stay valid until the answer; the caller and its name do not. */

#define SL_RPC_LATER 1
struct sl_rpc_later;
/** The right to answer the present call later. @return NULL: the caller waits (or no memory) */
struct sl_rpc_later *sl_rpc_later(const struct sl_rpc_caller *caller);
/**
 * Answer, whether the asker still listens or not. The sl_rpc may be gone meanwhile.
 * @param rc 0, or a negative errno with `e`; @param result reference is taken over, may be NULL
 */
void sl_rpc_answer(struct sl_rpc_later *l, int rc, json_t *result, const struct sl_error *e);
/** Does somebody still listen? If not, the work may be left; sl_rpc_answer() is due all the same.
 */
bool sl_rpc_wanted(const struct sl_rpc_later *l);

struct sl_rpc_line;
/** @param result a reference that is given away; NULL where rc is not 0, and `e` says why */
typedef void (*sl_rpc_call_done)(void *ctx, int rc, json_t *result, const struct sl_error *e);
/**
 * As sl_rpc_call(), for one who need not wait.
 * @param done called before the return, or later
 * @return NULL if `done` was called; else what sl_rpc_line_cancel() takes
 */
struct sl_rpc_line *sl_rpc_call_start(struct sl_rpc *rpc, const struct sl_rpc_caller *caller,
				      const char *method, json_t *params, sl_rpc_call_done done,
				      void *ctx);
/** @param answer malloc'ed, without newline, taken over; NULL when nothing is to be answered */
typedef void (*sl_rpc_line_done)(void *ctx, char *answer);
/**
 * As sl_rpc_line(), for one who need not wait: a batch is answered as a whole when its last answer
 * has come.
 * @param caller valid until then, or until the cancel
 * @param done called before the return, or later
 * @return NULL if `done` was called; else what sl_rpc_line_cancel() takes
 */
struct sl_rpc_line *sl_rpc_line_start(struct sl_rpc *rpc, const struct sl_rpc_caller *caller,
				      const char *line, size_t len, sl_rpc_line_done done,
				      void *ctx);
/** Nobody listens any more: `done` is not called. Changes that have begun go on; sl_rpc_wanted() is
 * false. */
void sl_rpc_line_cancel(struct sl_rpc_line *l);
/** Has nothing of it begun yet? */
bool sl_rpc_line_unread(const struct sl_rpc_line *l);

/**
 * Handle one line of JSON-RPC 2.0 (a request, a notification or a batch) and wait for the answer.
 * @return malloc'ed answer line without newline, or NULL when nothing is to be answered
 */
char *sl_rpc_line(struct sl_rpc *rpc, const struct sl_rpc_caller *caller, const char *line,
		  size_t len);

#endif
