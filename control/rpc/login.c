/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is it? The methods that both programs share, and the login by token or certificate. An
 * identity comes from here alone, never from what a message says. */
#include <stdio.h>

#include "conn_int.h"
#include "sl_env.h"
#include "sl_log.h"
#include "sl_schema_common.h"
#include "sl_secret.h"

/** Text from outside, fit for a line of the log. */
static void
printable(char *out, size_t room, const char *text)
{
	size_t n = 0;

	for (; *text && n + 1 < room; text++)
		out[n++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
	out[n] = 0;
}

static int
identity(const struct sl_principal *who, json_t **result)
{
	json_t *roles = json_array();

	for (unsigned r = 0; r < SL_SR_N; r++) {
		if (who->roles & SL_SR_BIT(r))
			json_array_append_new(roles, json_string(sl_service_role_name(r)));
	}
	*result = json_pack("{s:s, s:o, s:s}", "principal", who->name, "roles", roles, "bound",
			    who->bound);
	return *result ? 0 : -ENOMEM;
}

static int
wait_first(struct sl_rpc_conn *c, uint32_t wait_ms, struct sl_error *e)
{
	c->from->server->stats.logins_delayed++;
	sl_fail(e, -EBUSY, "login_delayed", "", "too many logins were refused");
	sl_hint(e, "try again in %u s", wait_ms / 1000 + 1);
	e->retry_after_ms = wait_ms;
	return -EBUSY;
}

static int
refused(struct sl_rpc_conn *c, uint64_t now, struct sl_error *e)
{
	struct sl_rpc_server *s = c->from->server;

	rpc_login_refused(c);
	throttle_refused(&s->throttle, &c->ip, now);
	if (rpc_may_tell(s))
		sl_log(SL_LOG_WARN, "audit", "login of %s refused: the token is not valid",
		       c->label);
	sl_fail(e, -EPERM, "unauthenticated", "/token", "the token is not valid");
	sl_hint(e, "it may be revoked, expired, or bound to other addresses");
	return -EPERM;
}

int
sl_rpc_h_auth_login(void *user, const struct sl_rpc_caller *caller,
		    const struct sl_rpc_auth_login *p, json_t **result, struct sl_error *e)
{
	uint64_t now = sl_clock_mono_ns();
	struct sl_rpc_conn *c = caller->conn;
	struct sl_rpc_login login = {0};
	char client[104];
	uint32_t wait_ms;
	bool ok;

	(void)user;
	if (caller->who || !c) {
		sl_fail(e, -EBUSY, "already_authenticated", "", "this connection is %s already",
			caller->principal);
		sl_hint(e, "open another connection to be somebody else");
		return -EBUSY;
	}
	wait_ms = throttle_wait_ms(&c->from->server->throttle, &c->ip, now);
	if (wait_ms)
		return wait_first(c, wait_ms, e);
	ok = c->from->auth.token &&
	     c->from->auth.token(c->from->auth.ctx, p->token, &c->ip, &login) == 0;
	/* it is the parameters' copy, which nobody reads any more */
	sl_wipe((char *)(uintptr_t)p->token, strlen(p->token));
	if (!ok)
		return refused(c, now, e);
	printable(client, sizeof(client), p->has_client ? p->client : "");
	sl_log(SL_LOG_NOTICE, "audit", "login of %s from %s%s%s", login.who.name, c->label,
	       client[0] ? ", " : "", client);
	rpc_conn_login(c, &login);
	return identity(&c->who, result);
}

int
sl_rpc_h_auth_whoami(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
		     struct sl_error *e)
{
	(void)user;
	(void)p;
	(void)e;
	return identity(caller->who, result);
}

int
sl_rpc_h_rpc_ping(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
		  struct sl_error *e)
{
	(void)user;
	(void)caller;
	(void)p;
	(void)result;
	(void)e;
	return 0;
}

static void
turn_away(struct sl_rpc_conn *c, const char *reason, const char *what)
{
	struct sl_error e = {0};

	rpc_login_refused(c);
	if (rpc_may_tell(c->from->server))
		sl_log(SL_LOG_WARN, "audit", "login of %s refused: %s%s%s", c->label, what,
		       c->has_id ? ", certificate " : "", c->has_id ? c->id.cn : "");
	sl_fail(&e, -EPERM, reason, "", "%s", what);
	sl_rpc_conn_close(c, &e);
}

void
rpc_login_certificate(struct sl_rpc_conn *c)
{
	const struct sl_rpc_auth *auth = &c->from->auth;
	struct sl_rpc_login login = {0};
	int rc = sl_tls_peer(c->bev, &c->id);

	c->has_id = rc == 0;
	if (rc == 0 && auth->certificate)
		rc = auth->certificate(auth->ctx, &c->id, &c->ip, &login);
	else if (rc == 0)
		rc = -ENOENT;
	if (rc == 0) {
		sl_log(SL_LOG_NOTICE, "audit", "login of %s from %s, certificate %s",
		       login.who.name, c->label, c->id.serial);
		rpc_conn_login(c, &login);
	} else if (rc != -ENOENT) {
		turn_away(c, "certificate_refused", "the certificate is not accepted here");
	} else if (!auth->token) {
		turn_away(c, "unauthenticated", "no certificate that is known here");
	}
}
