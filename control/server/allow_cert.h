/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Which client certificates may call, and as what: "NAME=ROLE,ROLE;NAME=ROLE". NAME is the common
 * name of a person's certificate (of kind operator, or without one), or KIND/NAME of a URI
 * sluice://KIND/NAME. Shared by REST and replication.
 */
#ifndef SL_ALLOW_CERT_H
#define SL_ALLOW_CERT_H

#include "sl_error.h"
#include "sl_service.h"
#include "sl_tls.h"

struct sl_allow_cert;

/** @param text NULL or "": nobody but components by their URI. @return NULL with an error
 * (allow_cert_invalid, no_memory) */
struct sl_allow_cert *sl_allow_cert_new(const char *text, struct sl_error *e);
void sl_allow_cert_free(struct sl_allow_cert *a); /* NULL allowed */
/**
 * As whom is this certificate logged in? By the list; else a gateway, an agent or another control
 * server (a follower) by its URI alone: our own authority says what it is.
 * @param[out] out its name is cert:NAME of a person, cert:KIND/NAME of a component: a gateway may
 * have a person's name, and shares neither its records nor its idempotency keys nor its limits
 * @return 0, or -EACCES: its name is not in the list
 */
int sl_allow_cert_find(const struct sl_allow_cert *a, const struct sl_tls_id *id,
		       struct sl_principal *out);

#endif
