/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The gateway's remote control: its JSON-RPC over TLS, for whom the configuration allows by
 * certificate and for the holders of tokens of a local file. What is local only stays so. Control
 * lcore only.
 */
#ifndef SL_REMOTE_H
#define SL_REMOTE_H

#include "sl_remote_conf.h"
#include "sl_rpc_server.h"

/** Roles that a gateway knows: viewer, auditor, approver, operator, admin. @return 0 or -EINVAL */
int sl_remote_role_parse(const char *name, enum sl_service_role *out);

struct sl_remote;
/**
 * Read certificates and tokens and open the listener.
 * @param conf outlives it
 * @return NULL with an error as of sl_tls_server_new(), sl_remote_tokens_load() and
 * sl_rpc_server_tls(); paths begin with /control/tls
 */
struct sl_remote *sl_remote_new(struct sl_rpc_server *server, const struct sl_remote_conf *conf,
				struct sl_error *e);
/** Read certificates and tokens anew; what is wrong is logged, and the old ones stay. Connections
 * of tokens that are gone are closed. */
void sl_remote_reload(struct sl_remote *r);
/** Now and then: does our certificate end? It is logged in time. NULL allowed. */
void sl_remote_poll(struct sl_remote *r);
/** When our certificate ends, wall seconds. */
int64_t sl_remote_certificate_until(const struct sl_remote *r);
/** Connections that ended before their handshake was done, by why. */
void sl_remote_tls_failed(const struct sl_remote *r, uint64_t out[SL_TLS_FAILURES]);
/** A sentence where it ends soon, for sys.health. NULL allowed. */
void sl_remote_problems(const struct sl_remote *r, json_t *problems);
/** After the server was freed; NULL allowed. */
void sl_remote_free(struct sl_remote *r);

#endif
