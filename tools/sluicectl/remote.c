/* SPDX-License-Identifier: BSD-3-Clause */
/* A gateway's remote control: JSON-RPC over TLS, one call at a time. */
#include <event2/dns.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "sl_rpc_client.h"
#include "sl_secret.h"
#include "sluicectl.h"

#define TIMEOUT_S 60
#define CONNECT_S 10
#define ANSWER_MAX (256UL * 1024 * 1024)
#define TOKEN_MAX 200

struct remote {
	struct event_base *base;
	struct evdns_base *dns;
	struct sl_tls *tls;
	struct sl_rpc_client *client;
	bool up, down, answered;
	int rc;
	json_t *result;
	struct sl_error e; /* of the answer, or why it is down */
};

static void
on_up(void *ctx)
{
	struct remote *r = ctx;

	r->up = true;
	event_base_loopbreak(r->base);
}

static void
on_down(void *ctx, const struct sl_error *e)
{
	struct remote *r = ctx;

	r->down = true;
	if (!r->answered)
		r->e = *e;
	event_base_loopbreak(r->base);
}

static void
on_answer(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	struct remote *r = ctx;

	if (rc == -EPIPE) /* on_down tells why */
		return;
	r->answered = true;
	r->rc = rc;
	r->result = json_incref(result);
	if (rc)
		r->e = *e;
	event_base_loopbreak(r->base);
}

/** The first line of a file that others may not read. */
static int
read_token(const char *file, char token[TOKEN_MAX + 2], struct sl_error *e)
{
	FILE *f = fopen(file, "re");
	struct stat st;
	int rc = 0;

	token[0] = 0;
	if (!f || fstat(fileno(f), &st)) {
		rc = sl_fail(e, -errno, "file", "", "%s: %s", file, strerror(errno));
	} else if (st.st_mode & 077) {
		rc = sl_fail(e, -EINVAL, "key_mode", "", "%s can be read by others", file);
		sl_hint(e, "chmod 0600 %s", file);
	} else {
		setvbuf(f, NULL, _IONBF, 0); /* no copy in a buffer */
		if (!fgets(token, TOKEN_MAX + 2, f))
			token[0] = 0;
		token[strcspn(token, "\r\n")] = 0;
		if (!token[0])
			rc = sl_fail(e, -EINVAL, "usage", "", "%s holds no token", file);
	}
	if (f)
		fclose(f);
	return rc;
}

/** "HOST:PORT", "[ADDRESS]:PORT" */
static int
split(const char *at, char host[256], uint16_t *port, struct sl_error *e)
{
	const char *colon = strrchr(at, ':');
	size_t n = colon ? (size_t)(colon - at) : 0;
	char *end = NULL;
	long number = colon ? strtol(colon + 1, &end, 10) : 0;

	if (n == 0 || n >= 256 || number < 1 || number > 65535 || *end) {
		sl_fail(e, -EINVAL, "usage", "", "\"%.60s\" is not HOST:PORT", at);
		sl_hint(e, "--tls gw.example.net:7480");
		return -EINVAL;
	}
	if (at[0] == '[' && at[n - 1] == ']')
		snprintf(host, 256, "%.*s", (int)n - 2, at + 1);
	else
		snprintf(host, 256, "%.*s", (int)n, at);
	*port = (uint16_t)number;
	return 0;
}

static int
set_up(struct remote *r, const struct remote_conf *conf, const char *token, struct sl_error *e)
{
	const struct sl_tls_conf tls = {.cert_file = conf->cert_file,
					.key_file = conf->key_file,
					.ca_file = conf->ca_file};
	struct sl_rpc_client_conf c = {.token = token[0] ? token : NULL,
				       .name = "sluicectl/" SL_VERSION,
				       .connect_s = CONNECT_S,
				       .idle_s = TIMEOUT_S,
				       .line_max = ANSWER_MAX,
				       .up = on_up,
				       .down = on_down,
				       .ctx = r};
	char host[256];
	int rc = split(conf->at, host, &c.port, e);

	if (rc)
		return rc;
	r->base = event_base_new();
	r->dns = r->base ? evdns_base_new(r->base, EVDNS_BASE_INITIALIZE_NAMESERVERS) : NULL;
	if (!r->base)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	r->tls = sl_tls_client_new(&tls, e);
	if (!r->tls)
		return e->err;
	c.base = r->base;
	c.dns = r->dns;
	c.host = host;
	c.tls = r->tls;
	r->client = sl_rpc_client_new(&c, e);
	return r->client ? 0 : e->err;
}

struct remote *
remote_open(const struct remote_conf *conf, int *status, struct sl_error *e)
{
	struct remote *r = calloc(1, sizeof(*r));
	char token[TOKEN_MAX + 2] = "";
	int rc = r ? 0 : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");

	if (rc == 0 && conf->token_file)
		rc = read_token(conf->token_file, token, e);
	rc = rc ? rc : set_up(r, conf, token, e);
	sl_wipe(token, sizeof(token));
	*status = rc == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
	while (rc == 0 && !r->up && !r->down)
		event_base_dispatch(r->base);
	if (rc == 0 && r->up)
		return r;
	if (rc == 0) {
		*e = r->e;
		*status = (e->err == -EACCES || e->err == -EPERM) && strcmp(e->reason, "tls") != 0
				  ? EXIT_FAILED /* it answered: no */
				  : EXIT_UNREACHABLE;
		if (strcmp(e->reason, "unauthenticated") == 0 && !e->hint[0])
			sl_hint(e, "--token-file F, or --cert F --key F that is allowed there");
	}
	remote_close(r);
	return NULL;
}

void
remote_close(struct remote *r)
{
	if (!r)
		return;
	sl_rpc_client_free(r->client);
	sl_tls_free(r->tls);
	if (r->dns)
		evdns_base_free(r->dns, 1);
	if (r->base) {
		event_base_loop(r->base, EVLOOP_NONBLOCK);
		event_base_free(r->base);
	}
	free(r);
}

int
remote_call(struct remote *r, const char *method, json_t *params, json_t **result,
	    struct sl_error *e)
{
	int rc = -EPIPE;

	*result = NULL;
	r->answered = false;
	r->result = NULL;
	if (!r->down)
		rc = sl_rpc_client_call(r->client, method, json_incref(params), on_answer, r);
	while (rc == 0 && !r->answered && !r->down)
		event_base_dispatch(r->base);
	if (!r->answered) {
		*e = r->e;
		if (!e->err)
			sl_fail(e, -EPIPE, "unreachable", "", "the gateway closed the connection");
		return EXIT_UNREACHABLE;
	}
	*result = r->result;
	if (r->rc == 0)
		return 0;
	*e = r->e;
	return r->rc == -ENOENT ? EXIT_NOT_FOUND : r->rc == -EEXIST ? EXIT_CONFLICT : EXIT_FAILED;
}
