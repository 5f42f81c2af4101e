/* SPDX-License-Identifier: BSD-3-Clause */
#include "access.h"

#include <stdio.h>
#include <string.h>

#include "sl_env.h"
#include "sl_log.h"

int
access_token(void *ctx, const char *token, const struct sl_ip *from, struct sl_rpc_login *out)
{
	struct access *a = ctx;
	int rc = sl_token_check(a->store, a->pepper, token, from, sl_clock_wall_ns(), &out->who);

	if (rc == 0) /* "token:ID" */
		out->until_s = sl_token_until(a->store, strchr(out->who.name, ':') + 1);
	else if (a->refused != NULL)
		a->refused(a->ctx, sl_token_of_peer(a->store, a->pepper, token) ? NULL : from);
	return rc;
}

static int
look_up(const struct access *a, const struct sl_tls_id *id, struct sl_principal *who)
{
	char crl[SL_OBJ_ID];

	snprintf(crl, sizeof(crl), "cert:%s", id->serial);
	if (sl_store_revoked(a->store, crl))
		return -EACCES;
	if (sl_allow_cert_find(a->certs, id, who) != 0)
		return -ENOENT;
	if ((who->roles & SL_SR_BIT(SL_SR_GATEWAY)) == 0)
		return 0;
	return sl_store_get(a->store, SL_KIND_GATEWAY, who->bound, NULL, NULL) == 0 ? 0 : -ENOENT;
}

int
access_certificate(void *ctx, const struct sl_tls_id *id, const struct sl_ip *from,
		   struct sl_rpc_login *out)
{
	const struct access *a = ctx;
	int rc = look_up(a, id, &out->who);

	out->until_s = id->not_after_s;
	if (rc == -ENOENT && out->who.bound[0] != '\0')
		sl_log(SL_LOG_NOTICE, "audit", "certificate %s: there is no gateway \"%s\"",
		       id->serial, out->who.bound);
	if (rc == -EACCES && a->refused != NULL)
		a->refused(a->ctx, strcmp(id->kind, "agent") == 0 ? NULL : from);
	return rc;
}

/** A login of before: would it be taken today? */
bool
access_still(void *ctx, const struct sl_principal *who, const struct sl_tls_id *id,
	     const struct sl_ip *from)
{
	struct sl_principal now = {0};
	struct access *a = ctx;

	if (strncmp(who->name, "token:", strlen("token:")) == 0)
		return sl_token_still(a->store, who, from, sl_clock_wall_ns());
	return id != NULL && look_up(a, id, &now) == 0 && now.roles == who->roles &&
	       strcmp(now.bound, who->bound) == 0;
}
