/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_remote.h"

#include <stdio.h>
#include <stdlib.h>

#include "sl_env.h"
#include "sl_log.h"
#include "sl_remote_tokens.h"
#include "sl_tls_alarm.h"

#define AT "/control/tls"
#define ALARM_S 60 /* between looks at the certificate */

struct sl_remote {
	const struct sl_remote_conf *conf;
	struct sl_rpc_server *server;
	struct sl_tls *tls;
	struct sl_remote_tokens *tokens;
	struct sl_tls_alarm alarm;
	int64_t looked_s;
	bool soon; /* it ends soon, or has */
};

void
sl_remote_conf_clear(struct sl_remote_conf *c)
{
	for (unsigned i = 0; i < c->n_allow; i++) {
		free(c->allow[i].cn);
		free(c->allow[i].uri);
	}
	free(c->allow);
	free(c->cert_file);
	free(c->key_file);
	free(c->ca_file);
	free(c->tokens_file);
	memset(c, 0, sizeof(*c));
}

int
sl_remote_role_parse(const char *name, enum sl_service_role *out)
{
	return sl_service_role_parse(name, out) == 0 && *out <= SL_SR_VIEWER ? 0 : -EINVAL;
}

static int64_t
now_s(void)
{
	return (int64_t)(sl_clock_wall_ns() / SL_NS_PER_S);
}

static int
on_token(void *ctx, const char *token, const struct sl_ip *from, struct sl_rpc_login *out)
{
	const struct sl_remote *r = ctx;

	(void)from;
	return sl_remote_tokens_check(r->tokens, token, now_s(), &out->who, &out->until_s);
}

static bool
is_allowed(const struct sl_remote_allow *a, const struct sl_tls_id *id)
{
	char uri[96];

	if (a->cn)
		return id->cn[0] && strcmp(a->cn, id->cn) == 0;
	snprintf(uri, sizeof(uri), "sluice://%s/%s", id->kind, id->name);
	return id->kind[0] && strcmp(a->uri, uri) == 0;
}

static int
on_certificate(void *ctx, const struct sl_tls_id *id, const struct sl_ip *from,
	       struct sl_rpc_login *out)
{
	const struct sl_remote *r = ctx;

	(void)from;
	for (unsigned i = 0; i < r->conf->n_allow; i++) {
		const struct sl_remote_allow *a = &r->conf->allow[i];

		if (!is_allowed(a, id))
			continue;
		snprintf(out->who.name, sizeof(out->who.name), "cert:%s", a->cn ? id->cn : a->uri);
		out->who.roles |= SL_SR_BIT(a->role);
		out->until_s = id->not_after_s;
	}
	return out->who.roles ? 0 : -ENOENT;
}

static void
look(struct sl_remote *r)
{
	r->looked_s = now_s();
	r->soon = sl_tls_alarm_look(&r->alarm, sl_tls_not_after(r->tls), r->conf->cert_file,
				    r->looked_s);
}

void
sl_remote_poll(struct sl_remote *r)
{
	int64_t now = r != NULL ? now_s() : 0;

	if (r != NULL && (now - r->looked_s >= ALARM_S || now < r->looked_s))
		look(r);
}

int64_t
sl_remote_certificate_until(const struct sl_remote *r)
{
	return sl_tls_not_after(r->tls);
}

void
sl_remote_tls_failed(const struct sl_remote *r, uint64_t out[SL_TLS_FAILURES])
{
	struct sl_rpc_server_stats st;

	sl_rpc_server_stats(r->server, &st);
	memcpy(out, st.tls_failed, sizeof(st.tls_failed));
}

void
sl_remote_problems(const struct sl_remote *r, json_t *problems)
{
	char text[80];

	if (r == NULL || !r->soon)
		return;
	json_array_append_new(
		problems,
		json_sprintf("certificate_expires: %s for remote control %s: renew it, then SIGHUP",
			     r->conf->cert_file,
			     sl_tls_alarm_text(r->alarm.until_s, now_s(), text, sizeof(text))));
}

struct sl_remote *
sl_remote_new(struct sl_rpc_server *server, const struct sl_remote_conf *conf, struct sl_error *e)
{
	const struct sl_tls_conf tls = {.cert_file = conf->cert_file,
					.key_file = conf->key_file,
					.ca_file = conf->ca_file,
					.require_cert = conf->require_cert};
	struct sl_remote *r = calloc(1, sizeof(*r));
	struct sl_rpc_auth auth = {.ctx = r};
	int rc = 0;

	if (!r) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the remote control");
		return NULL;
	}
	r->conf = conf;
	r->server = server;
	auth.token = conf->tokens_file ? on_token : NULL;
	auth.certificate = conf->n_allow ? on_certificate : NULL;
	r->tls = sl_tls_server_new(&tls, e);
	if (!r->tls)
		rc = e->err;
	if (rc == 0 && conf->tokens_file)
		rc = sl_remote_tokens_load(conf->tokens_file, &r->tokens, e);
	if (rc == 0)
		rc = sl_rpc_server_tls(server, &conf->listen, r->tls, &auth, NULL, e);
	if (rc == 0) {
		look(r);
		return r;
	}
	sl_error_under(e, AT);
	sl_remote_free(r);
	return NULL;
}

/** A connection of a token that is not in the file any more, or has another role there. */
static void
close_revoked(void *ctx, struct sl_rpc_conn *c)
{
	const struct sl_principal *who = sl_rpc_conn_caller(c)->who;
	const struct sl_remote *r = ctx;
	struct sl_error e;

	if (!who || strncmp(who->name, "token:", 6) != 0 ||
	    sl_remote_tokens_hold(r->tokens, who, now_s()))
		return;
	sl_log(SL_LOG_NOTICE, "audit", "connection of %s closed: the token is gone", who->name);
	sl_fail(&e, -EPERM, "revoked", "", "the token of this connection is gone");
	sl_rpc_conn_close(c, &e);
}

void
sl_remote_reload(struct sl_remote *r)
{
	struct sl_remote_tokens *tokens = NULL;
	struct sl_error e = {0};

	if (sl_tls_reload(r->tls, &e))
		sl_log(SL_LOG_ERR, "remote", "certificates stay as they are: %s", e.message);
	else
		look(r);
	if (!r->conf->tokens_file)
		return;
	if (sl_remote_tokens_load(r->conf->tokens_file, &tokens, &e)) {
		sl_log(SL_LOG_ERR, "remote", "tokens stay as they are: %s", e.message);
		return;
	}
	sl_remote_tokens_free(r->tokens);
	r->tokens = tokens;
	sl_rpc_server_each(r->server, close_revoked, r);
}

void
sl_remote_free(struct sl_remote *r)
{
	if (!r)
		return;
	sl_tls_free(r->tls);
	sl_remote_tokens_free(r->tokens);
	free(r);
}
