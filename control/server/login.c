/* SPDX-License-Identifier: BSD-3-Clause */
/* Who calls. */
#include <stdio.h>

#include "failed.h"
#include "head.h"
#include "sl_log.h"
#include "sl_rest_int.h"
#include "sl_secret.h"

static int
by_certificate(struct sl_rest *r, struct bufferevent *bev, struct sl_principal *out,
	       struct sl_error *e)
{
	struct sl_tls_id id;
	int rc = sl_tls_peer(bev, &id);
	char crl[64];

	if (rc == -ENOENT) {
		sl_fail(e, -EACCES, "unauthenticated", "", "this needs a login");
		sl_hint(e, "Authorization: Bearer TOKEN, HTTP Basic with the token's id and "
			   "secret, or a client certificate");
		return -EACCES;
	}
	if (rc == 0) {
		snprintf(crl, sizeof(crl), "cert:%s", id.serial);
		if (sl_store_revoked(r->c.store, crl))
			rc = -EACCES;
	}
	if (rc == 0)
		rc = sl_allow_cert_find(r->c.certs, &id, out);
	if (rc == 0)
		return 0;
	sl_fail(e, -EACCES, "cert_refused", "", "this client certificate may not call");
	sl_hint(e, "its name must be in --allow-cert, and it must not be revoked");
	return -EACCES;
}

uint32_t
sl_rest_login_wait_ms(const struct sl_rest *r, const struct sl_ip *from)
{
	return throttle_wait_ms(&r->throttle, from, sl_rest_mono_ns());
}

/** A refused one is told, as often as the source may try; where peers call from is not. */
static void
tell_refused(struct sl_rest *r, const char *token, const struct sl_ip *from, const char *why)
{
	bool peer = sl_token_of_peer(r->c.store, r->c.pepper, token);
	char text[SL_IP_STR];

	sl_log(SL_LOG_WARN, "audit", "login from %s refused: %s",
	       peer ? "a peer" : sl_ip_str(from, text), why);
	throttle_refused(&r->throttle, from, sl_rest_mono_ns());
	failed_login(r->failed, peer ? NULL : from);
}

static int
by_token(struct sl_rest *r, const char *authorization, const struct sl_ip *from, bool count,
	 struct sl_principal *out, struct sl_error *e)
{
	char token[SL_CREDENTIAL_MAX] = "";
	int rc = sl_head_credential(authorization, token, e);

	if (rc == 0 &&
	    sl_token_check(r->c.store, r->c.pepper, token, from, sl_rest_wall_ns(), out) != 0)
		rc = sl_fail(e, -EACCES, "token_refused", "",
			     "the token is unknown, revoked, expired or not for this source");
	if (rc != 0 && count)
		tell_refused(r, token, from, e->message);
	sl_wipe(token, sizeof(token));
	return rc;
}

/** A certificate of an agent is on the machine of a peer. */
static int
by_certificate_counted(struct sl_rest *r, struct bufferevent *bev, const struct sl_ip *from,
		       bool count, struct sl_principal *out, struct sl_error *e)
{
	int rc = by_certificate(r, bev, out, e);
	struct sl_tls_id id;
	bool agent;

	if (rc == 0 || !count || strcmp(e->reason, "cert_refused") != 0)
		return rc;
	agent = sl_tls_peer(bev, &id) == 0 && strcmp(id.kind, "agent") == 0;
	failed_login(r->failed, agent ? NULL : from);
	return rc;
}

int
sl_rest_login(struct sl_rest *r, struct bufferevent *bev, const char *authorization,
	      const struct sl_ip *from, bool count, struct sl_principal *out, struct sl_error *e)
{
	if (authorization == NULL)
		return by_certificate_counted(r, bev, from, count, out, e);
	if (sl_rest_login_wait_ms(r, from) > 0)
		return sl_fail(e, -EAGAIN, "login_delayed", "",
			       "too many failed logins from this address");
	return by_token(r, authorization, from, count, out, e);
}

bool
sl_rest_login_still(struct sl_rest *r, struct bufferevent *bev, const struct sl_principal *who,
		    const struct sl_ip *from)
{
	struct sl_principal now = {0};
	struct sl_error e;

	if (strncmp(who->name, "token:", strlen("token:")) == 0)
		return sl_token_still(r->c.store, who, from, sl_rest_wall_ns());
	return bev != NULL && by_certificate(r, bev, &now, &e) == 0 && now.roles == who->roles &&
	       strcmp(now.name, who->name) == 0;
}
