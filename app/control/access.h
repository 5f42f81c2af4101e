/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Who may speak on the replication stream, when they come and as long as they stay. */
#ifndef SL_CONTROL_ACCESS_H
#define SL_CONTROL_ACCESS_H

#include "allow_cert.h"
#include "sl_rpc_server.h"
#include "sl_token.h"

struct access {
	struct sl_store *store; /* what is committed */
	const struct sl_pepper *pepper;
	const struct sl_allow_cert *certs;
	/** Somebody was not let in. @param from NULL: a peer, whose address is told nowhere. NULL:
	 * nobody wants to know. */
	void (*refused)(void *ctx, const struct sl_ip *from);
	void *ctx;
};

/** For sl_rpc_auth; `ctx` is a struct access. A certificate of a gateway that has no record (it was
 * taken out, or not put in yet) is not known. */
int access_token(void *ctx, const char *token, const struct sl_ip *from, struct sl_rpc_login *out);
int access_certificate(void *ctx, const struct sl_tls_id *id, const struct sl_ip *from,
		       struct sl_rpc_login *out);
bool access_still(void *ctx, const struct sl_principal *who, const struct sl_tls_id *id,
		  const struct sl_ip *from);

#endif
