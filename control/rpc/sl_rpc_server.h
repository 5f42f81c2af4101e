/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The sockets of JSON-RPC: newline-delimited, over unix (peer credentials) and loopback TCP, on the
 * libevent loop of control. Limits: first byte { or [, 1 MiB a line, depth 32, 8,192 values, 32
 * connections, 300 s idle. A client that does not read its answers is not read either; one that
 * closes its sending side still gets them. While an answer is still to come, no further line of
 * that connection is handled.
 */
#ifndef SL_RPC_SERVER_H
#define SL_RPC_SERVER_H

#include <event2/event.h>

#include "sl_addr.h"
#include "sl_error.h"
#include "sl_rpc.h"

struct sl_rpc_server;

/** The process ignores SIGPIPE from here on. @return NULL without memory. */
struct sl_rpc_server *sl_rpc_server_new(struct event_base *base, struct sl_rpc *rpc);
/** Closes connections and removes the unix socket. */
void sl_rpc_server_free(struct sl_rpc_server *s);
/** @param group NULL: root alone (0600), else 0660 root:group. A stale socket file is replaced; a
 * live one is an error. */
int sl_rpc_server_unix(struct sl_rpc_server *s, const char *path, const char *group,
		       struct sl_error *e);
bool sl_rpc_is_loopback(const struct sl_ip *ip);
/** Loopback addresses only. */
int sl_rpc_server_tcp(struct sl_rpc_server *s, const struct sl_endpoint *at, struct sl_error *e);

#endif
