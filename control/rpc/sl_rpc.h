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

#include "sl_base.h"
#include "sl_error.h"

struct sl_rpc;

/** Who calls, and through what: decides on `local_only` methods and needed roles. */
enum sl_rpc_via { SL_RPC_VIA_CONFIG, SL_RPC_VIA_CONSOLE, SL_RPC_VIA_UNIX, SL_RPC_VIA_TCP };

struct sl_rpc_caller {
	enum sl_rpc_via via;
	const char *principal; /* for logs: "uid:0", "config", "console", "tcp:127.0.0.1" */
};

/** States in which methods may be called. */
enum sl_rpc_state { SL_RPC_STARTUP = 1, SL_RPC_RUNNING = 2 };

/** @param user given to each handler. @return NULL without memory. */
struct sl_rpc *sl_rpc_new(void *user);
void sl_rpc_free(struct sl_rpc *rpc);
/** What sl_rpc_new() was given. */
void *sl_rpc_user(const struct sl_rpc *rpc);
void sl_rpc_set_state(struct sl_rpc *rpc, enum sl_rpc_state state);

/**
 * Validate and carry out one call in process (config file, console).
 * @param params object or NULL; borrowed
 * @param[out] result new reference on success
 * @return 0, or a negative errno with `e` filled: reason and path as a client would see them
 */
int sl_rpc_call(struct sl_rpc *rpc, const struct sl_rpc_caller *caller, const char *method,
		json_t *params, json_t **result, struct sl_error *e);

/**
 * Handle one line of JSON-RPC 2.0 (a request, a notification or a batch).
 * @return malloc'ed answer line without newline, or NULL when nothing is to be answered
 */
char *sl_rpc_line(struct sl_rpc *rpc, const struct sl_rpc_caller *caller, const char *line,
		  size_t len);

#endif
