/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading a request: all that must hold before its handler is asked. */
#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "body_schema.h"
#include "call_int.h"
#include "head.h"
#include "kept.h"
#include "sl_json.h"
#include "sl_rate.h"
#include "secret_field.h"

#define VALUES 65536	       /* of a body */
#define VALUES_LARGE (1 << 20) /* of one that may hold a policy */
#define LARGE_BODY (1 << 20)
#define BODY_UNIT (64 << 10) /* as much as this counts as one more request */

static const char *
header(const struct sl_call *c, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(c->req), name);
}

/* --- HTTP ------------------------------------------------------------------------------------- */

/** A header that decides something must not be there twice: who reads the first, who the last? */
static int
check_twice(const struct sl_call *c, struct sl_error *e)
{
	static const char *const once[] = {"Host",	    "Authorization",	 "Content-Length",
					   "Content-Type",  "Transfer-Encoding", "If-Match",
					   "If-None-Match", "Idempotency-Key",	 "Last-Event-ID"};
	struct evkeyval *kv;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(once); i++) {
		unsigned n = 0;

		TAILQ_FOREACH (kv, evhttp_request_get_input_headers(c->req), next) {
			n += strcasecmp(kv->key, once[i]) == 0;
		}
		if (n > 1)
			return sl_fail(e, -EINVAL, "header_invalid", once[i],
				       "this header may stand once");
	}
	return 0;
}

static bool
method_of(enum evhttp_cmd_type type, enum sl_rest_method *out)
{
	static const struct {
		enum evhttp_cmd_type type;
		enum sl_rest_method m;
	} known[] = {{EVHTTP_REQ_GET, SL_METHOD_GET},
		     {EVHTTP_REQ_PUT, SL_METHOD_PUT},
		     {EVHTTP_REQ_POST, SL_METHOD_POST},
		     {EVHTTP_REQ_PATCH, SL_METHOD_PATCH},
		     {EVHTTP_REQ_DELETE, SL_METHOD_DELETE}};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(known); i++) {
		if (known[i].type == type) {
			*out = known[i].m;
			return true;
		}
	}
	return false;
}

/** Addresses may be asked for by anybody; names only ours: a page of another site that lets its
 * name point here sends its own. */
static int
check_host(const struct sl_call *c, struct sl_error *e)
{
	const char *value = header(c, "Host");
	char host[256];
	struct sl_ip ip;

	if (value == NULL || sl_head_host(value, host, sizeof(host)) != 0)
		return sl_fail(e, -EINVAL, "header_invalid", "Host",
			       "the request has no usable Host header");
	if (sl_ip_parse(host, &ip) == 0 || strcmp(host, "localhost") == 0 ||
	    strcmp(host, c->rest->name) == 0 ||
	    (c->rest->host != NULL && strcmp(host, c->rest->host) == 0))
		return 0;
	sl_fail(e, -EINVAL, "host_unknown", "Host", "this server is not \"%.100s\"", host);
	sl_hint(e, "call it by address, or start it with --public-url https://%.100s", host);
	return -EINVAL;
}

/** evhttp reads no body of these methods: what follows would be taken for a request. */
static int
check_framing(const struct sl_call *c, enum sl_rest_method m, struct sl_error *e)
{
	const char *length = header(c, "Content-Length"), *coding = header(c, "Transfer-Encoding");

	if (length != NULL && coding != NULL)
		return sl_fail(e, -EINVAL, "request_invalid", "",
			       "Content-Length and Transfer-Encoding exclude each other");
	if (coding != NULL && strcasecmp(coding, "chunked") != 0)
		return sl_fail(e, -EINVAL, "request_invalid", "Transfer-Encoding",
			       "only chunked is known");
	if ((m == SL_METHOD_GET || m == SL_METHOD_DELETE) &&
	    (coding != NULL || (length != NULL && strcmp(length, "0") != 0)))
		return sl_fail(e, -EINVAL, "request_invalid", "", "this method takes no body");
	return 0;
}

/* --- the operation ---------------------------------------------------------------------------- */

static int
no_operation(struct sl_call *c, unsigned allowed, struct sl_error *e)
{
	static const char *const names[] = {"GET", "PUT", "POST", "PATCH", "DELETE"};

	if (allowed == 0)
		return sl_fail(e, -ENOENT, "not_found", "", "there is nothing at this path");
	c->location[0] = '\0'; /* becomes the header Allow */
	for (unsigned m = 0; m < SL_METHOD_N; m++) {
		size_t n = strlen(c->location);

		if (allowed & 1u << m)
			snprintf(c->location + n, sizeof(c->location) - n, "%s%s",
				 n > 0 ? ", " : "", names[m]);
	}
	return sl_fail(e, -EINVAL, "method", "", "this path knows %s", c->location);
}

static int
forbidden(struct sl_call *c, struct sl_error *e)
{
	c->rest->stats.refused_role++;
	c->refused = sl_rest_op_changes(c->op);
	sl_fail(e, -EACCES, "forbidden", "", "%s may not call %s", c->who.name, c->op->id);
	sl_hint(e, "it is for: %s", c->op->roles);
	return -EACCES;
}

static int
check_rate(struct sl_call *c, const char *who, struct sl_error *e)
{
	uint64_t wait_ns = sl_rate_take_ns(c->rest->rate, who, c->begun_ns);

	if (wait_ns == 0)
		return 0;
	c->rest->stats.refused_rate++;
	sl_fail(e, -EAGAIN, "rate_limited", "",
		"more than 50 requests a second, or bodies as large");
	e->retry_after_ms = (uint32_t)(wait_ns / 1000000);
	return -EAGAIN;
}

/** Who is it? Counted. */
static int
login(struct sl_call *c, struct bufferevent *bev, bool noted, struct sl_error *e)
{
	const char *authorization = header(c, "Authorization");
	int rc = sl_rest_login(c->rest, bev, authorization, &c->from, !noted, &c->who, e);
	enum rest_login_method m = REST_LOGIN_CERTIFICATE;

	if (authorization != NULL)
		m = REST_LOGIN_TOKEN;
	else if (rc != 0 && strcmp(e->reason, "unauthenticated") == 0)
		m = REST_LOGIN_NONE;
	c->rest->counts.logins[m][rc == 0	  ? REST_LOGIN_OK
				  : rc == -EAGAIN ? REST_LOGIN_DELAYED
						  : REST_LOGIN_REFUSED]++;
	return rc;
}

static int
find_and_admit(struct sl_call *c, struct bufferevent *bev, enum sl_rest_method m, bool noted,
	       struct sl_error *e)
{
	char from[SL_IP_STR];
	unsigned allowed, at;
	int rc;

	c->op = sl_rest_route(&c->target, m, c->arg, &allowed);
	at = c->op != NULL ? (unsigned)(c->op - sl_rest_ops) : 0;
	if (c->op != NULL && c->rest->open[at])
		return check_rate(c, sl_ip_str(&c->from, from), e);
	rc = login(c, bev, noted, e);
	if (rc != 0) {
		c->rest->stats.refused_login++;
		c->op = NULL;
		return rc;
	}
	rc = check_rate(c, c->who.name, e);
	if (rc != 0)
		return rc;
	if (c->op == NULL)
		return no_operation(c, allowed, e);
	return sl_service_may(&c->who, c->rest->roles[at]) ? 0 : forbidden(c, e);
}

/* --- parameters ------------------------------------------------------------------------------- */

static int
param_invalid(struct sl_error *e, const char *name, const char *why)
{
	char path[80];

	snprintf(path, sizeof(path), "?%.70s", name);
	return sl_fail(e, -EINVAL, "param_invalid", path, "%s", why);
}

static int
read_param(struct sl_call *c, const struct sl_rest_param *p, const char *v, struct sl_error *e)
{
	const char *name = sl_query_names[p->which];
	char *end;

	c->q[p->which] = v;
	if (p->type == SL_PARAM_STRING)
		return p->len_max == 0 || strlen(v) <= p->len_max
			       ? 0
			       : param_invalid(e, name, "the value is too long");
	if (p->type == SL_PARAM_BOOLEAN) {
		c->q_int[p->which] = strcmp(v, "true") == 0;
		return c->q_int[p->which] || strcmp(v, "false") == 0
			       ? 0
			       : param_invalid(e, name, "true or false");
	}
	errno = 0;
	c->q_int[p->which] = strtoll(v, &end, 10);
	if (v[0] < '0' || v[0] > '9' || *end != '\0' || errno != 0)
		return param_invalid(e, name, "a whole number");
	if (c->q_int[p->which] < p->min || c->q_int[p->which] > p->max)
		return param_invalid(e, name, "the number is out of its range");
	return 0;
}

static const struct sl_rest_param *
param_of(const struct sl_rest_op *op, const char *name)
{
	for (unsigned i = 0; i < op->n_params; i++) {
		if (strcmp(sl_query_names[op->params[i].which], name) == 0)
			return &op->params[i];
	}
	return NULL;
}

static bool
is_utf8(const char *s)
{
	json_t *v = json_string(s);

	json_decref(v);
	return v != NULL;
}

static int
read_params(struct sl_call *c, struct sl_error *e)
{
	int rc = 0;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(c->arg); i++) {
		if (c->arg[i] != NULL && !is_utf8(c->arg[i]))
			return sl_fail(e, -EINVAL, "uri_invalid", "", "the path is no UTF-8");
	}
	for (unsigned i = 0; i < c->target.n_query && rc == 0; i++) {
		const struct sl_target_pair *q = &c->target.query[i];
		const struct sl_rest_param *p = param_of(c->op, q->name);

		if (!is_utf8(q->name) || !is_utf8(q->value))
			return sl_fail(e, -EINVAL, "uri_invalid", "", "the query is no UTF-8");
		if (p == NULL)
			return sl_fail(e, -EINVAL, "param_unknown", "",
				       "%s knows no parameter \"%.60s\"", c->op->id, q->name);
		rc = read_param(c, p, q->value, e);
	}
	for (unsigned i = 0; i < c->op->n_params && rc == 0; i++) {
		const struct sl_rest_param *p = &c->op->params[i];

		if (p->required && c->q[p->which] == NULL)
			rc = sl_fail(e, -EINVAL, "param_missing", "",
				     "the parameter \"%s\" is needed", sl_query_names[p->which]);
	}
	return rc;
}

static int
read_conditions(struct sl_call *c, struct sl_error *e)
{
	const char *match = header(c, "If-Match"), *none = header(c, "If-None-Match");

	if (match != NULL && sl_head_etag(match, &c->if_rev, &c->if_any) != 0)
		return sl_fail(e, -EINVAL, "header_invalid", "If-Match",
			       "an ETag as it was given (\"12\"), or *");
	c->has_if_match = match != NULL;
	c->none_match = none != NULL && c->op->method == SL_METHOD_PUT;
	if (c->none_match && strcmp(none, "*") != 0)
		return sl_fail(e, -EINVAL, "header_invalid", "If-None-Match", "only * is known");
	if (c->op->method == SL_METHOD_POST && !c->op->reads)
		c->key = header(c, "Idempotency-Key");
	if (c->key != NULL && (c->key[0] == '\0' || strlen(c->key) > KEPT_KEY_MAX))
		return sl_fail(e, -EINVAL, "header_invalid", "Idempotency-Key",
			       "1 to %d characters", KEPT_KEY_MAX);
	if (!c->op->if_match || c->has_if_match || c->none_match)
		return 0;
	sl_fail(e, -EINVAL, "precondition_required", "If-Match",
		"a change of this must name the revision that it is made on");
	sl_hint(e, "GET it, and send its ETag as If-Match (or If-None-Match: * for a new one)");
	return -EINVAL;
}

/* --- the body --------------------------------------------------------------------------------- */

static int
check_type(const struct sl_call *c, struct sl_error *e)
{
	const char *type = header(c, "Content-Type");
	size_t n = type != NULL ? strcspn(type, "; ") : 0;

	if ((n == 16 && strncasecmp(type, "application/json", n) == 0) ||
	    (c->op->method == SL_METHOD_PATCH && n == 28 &&
	     strncasecmp(type, "application/merge-patch+json", n) == 0))
		return 0;
	sl_fail(e, -EINVAL, "media_type", "Content-Type", "a body is application/json");
	return -EINVAL;
}

static int
check_values(const struct sl_call *c, struct sl_error *e)
{
	size_t max = c->op->body_max > LARGE_BODY ? VALUES_LARGE : VALUES;

	if (sl_json_values_max(c->text, c->text_len) <= max)
		return 0;
	return sl_fail(e, -EFBIG, "json_too_large", "", "the body has more than %zu values", max);
}

static int
parse_body(struct sl_call *c, struct sl_error *e)
{
	json_error_t je;
	int rc = check_values(c, e);

	if (rc != 0)
		return rc;
	c->body = json_loadb(c->text, c->text_len, JSON_REJECT_DUPLICATES, &je);
	if (c->body == NULL) /* not its text: that is the client's */
		return sl_fail(e, -EINVAL, "json_invalid", "",
			       "the body is no JSON: line %d, column %d", je.line, je.column);
	rc = sl_secret_field_check(c->body, e);
	return rc == 0 ? sl_body_check(c->rest->page, c->op->body, c->body, e) : rc;
}

/** How much there is costs its sender, whatever becomes of it. */
static int
take_body(struct sl_call *c, struct sl_error *e)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(c->req);

	c->text_len = evbuffer_get_length(in);
	sl_rate_charge(c->rest->rate, c->who.name, (unsigned)(c->text_len / BODY_UNIT));
	if (c->op->body == NULL)
		return c->text_len == 0 ? 0
					: sl_fail(e, -EINVAL, "request_invalid", "",
						  "this operation takes no body");
	if (c->text_len == 0)
		return sl_fail(e, -EINVAL, "json_invalid", "", "a body is needed");
	return check_type(c, e);
}

/** The buffer is the call's: nothing is read from the connection meanwhile. */
int
request_body(struct sl_call *c, struct sl_error *e)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(c->req);
	int rc;

	if (c->op->body == NULL)
		return 0;
	c->text = (const char *)evbuffer_pullup(in, -1);
	if (c->text == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the body");
	rc = sl_secret_text_check(c->text, c->text_len, e);
	return rc == 0 && !c->op->body_text ? parse_body(c, e) : rc;
}

static int
check_readonly(const struct sl_call *c, struct sl_error *e)
{
	const char *primary = sl_store_primary(c->rest->c.store);

	if (!sl_rest_op_changes(c->op) || sl_store_role(c->rest->c.store) == SL_STORE_PRIMARY)
		return 0;
	sl_fail(e, -EROFS, "readonly", "", "this server follows another one: it takes no changes");
	if (primary != NULL && primary[0] != '\0')
		sl_hint(e, "the primary is at %.180s", primary);
	return -EROFS;
}

int
request_read(struct sl_call *c, struct bufferevent *bev, bool noted, struct sl_error *e)
{
	const char *uri = evhttp_request_get_uri(c->req);
	enum sl_rest_method m;
	int rc;

	c->uri = uri != NULL ? uri : "";
	if (uri == NULL || !method_of(evhttp_request_get_command(c->req), &m))
		return sl_fail(e, -EINVAL, "request_invalid", "", "no request that is known here");
	rc = check_twice(c, e);
	if (rc == 0)
		rc = check_host(c, e);
	if (rc == 0)
		rc = check_framing(c, m, e);
	if (rc == 0)
		rc = sl_target_parse(uri, &c->target, e);
	if (rc == 0)
		rc = find_and_admit(c, bev, m, noted, e);
	if (rc == 0)
		rc = check_readonly(c, e);
	if (rc == 0)
		rc = read_params(c, e);
	if (rc == 0)
		rc = take_body(c, e);
	if (rc == 0)
		rc = read_conditions(c, e);
	return rc;
}
