/* SPDX-License-Identifier: BSD-3-Clause */
/* The registry and the calls, in process and as lines of JSON-RPC 2.0. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_log.h"
#include "sl_schema.h"

#define BATCH_MAX 256
#define VALUES_MAX 8192
#define DEPTH_MAX 32
#define ID_MAX 128

#define CODE_PARSE (-32700)
#define CODE_REQUEST (-32600)
#define CODE_METHOD (-32601)
#define CODE_PARAMS (-32602)
#define CODE_INTERNAL (-32603)
#define CODE_FORBIDDEN (-32002)
#define CODE_NOT_FOUND (-32003)
#define CODE_STATE (-32004)
#define CODE_CONFLICT (-32005)
#define CODE_LIMIT (-32006)
#define CODE_NOT_APPLIED (-32007)
#define CODE_BUSY (-32008)

struct sl_rpc {
	void *user;
	enum sl_rpc_state state;
	sl_rpc_handler *handler; /* [sl_schema_gateway_n] */
};

struct sl_rpc *
sl_rpc_new(void *user)
{
	struct sl_rpc *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->user = user;
	r->state = SL_RPC_STARTUP;
	r->handler = calloc(sl_schema_gateway_n, sizeof(r->handler[0]));
	if (!r->handler) {
		free(r);
		return NULL;
	}
	return r;
}

void
sl_rpc_free(struct sl_rpc *r)
{
	if (!r)
		return;
	free(r->handler);
	free(r);
}

void *
sl_rpc_user(const struct sl_rpc *r)
{
	return r->user;
}

void
sl_rpc_set_state(struct sl_rpc *r, enum sl_rpc_state state)
{
	r->state = state;
}

int
sl_rpc_bind(struct sl_rpc *r, const char *method, sl_rpc_handler fn)
{
	const struct sl_schema_method *m =
		sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, method);

	if (!m)
		return -ENOENT;
	if (r->handler[m - sl_schema_gateway])
		return -EEXIST;
	r->handler[m - sl_schema_gateway] = fn;
	return 0;
}

static int
refuse_local_only(const struct sl_schema_method *m, const struct sl_rpc_caller *caller,
		  struct sl_error *e)
{
	if (!m->local_only || caller->via != SL_RPC_VIA_TCP)
		return 0;
	return sl_fail(e, -EPERM, "local_only_setting", "",
		       "%s is accepted only from the unix socket, the console and the "
		       "configuration file",
		       m->name);
}

/** Attempts to change what is local from afar leave a trace (D6). */
static void
audit_refusal(const struct sl_schema_method *m, const struct sl_rpc_caller *caller,
	      const struct sl_error *e)
{
	if (strcmp(e->reason, "local_only_setting") == 0)
		sl_log(SL_LOG_NOTICE, "audit", "%s%s%s by %s refused: local_only_setting", m->name,
		       e->path[0] ? " " : "", e->path[0] ? e->path + 1 : "", caller->principal);
}

int
sl_rpc_call(struct sl_rpc *r, const struct sl_rpc_caller *caller, const char *method,
	    json_t *params, json_t **result, struct sl_error *e)
{
	const struct sl_schema_method *m =
		sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, method);
	struct sl_schema_arena *arena = NULL;
	void *decoded = NULL;
	int rc;

	*result = NULL;
	memset(e, 0, sizeof(*e));
	if (!m || !r->handler[m - sl_schema_gateway]) {
		sl_fail(e, -ENOSYS, "method_unknown", "", "no method \"%.60s\"", method);
		sl_hint(e, "rpc.methods lists them");
		return -ENOSYS;
	}
	if (!(m->states & r->state))
		return sl_fail(e, -EBUSY, "invalid_state", "",
			       "%s is not possible while the gateway starts", m->name);
	rc = refuse_local_only(m, caller, e);
	if (rc) {
		audit_refusal(m, caller, e);
		return rc;
	}
	decoded = calloc(1, m->params_size ? m->params_size : 1);
	if (!decoded)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	rc = sl_schema_decode(m, params, caller, decoded, &arena, e);
	if (rc)
		audit_refusal(m, caller, e);
	else
		rc = r->handler[m - sl_schema_gateway](r->user, caller, decoded, result, e);
	if (rc && !e->err)
		sl_fail(e, rc, "internal", "", "%s failed: %s", m->name, strerror(-rc));
	if (rc) {
		json_decref(*result);
		*result = NULL;
	} else if (!*result) {
		*result = json_object();
	}
	sl_schema_free(arena);
	free(decoded);
	return rc;
}

static int
code_of(const struct sl_error *e)
{
	switch (-e->err) {
	case ENOSYS:
		return CODE_METHOD;
	case EINVAL:
	case ERANGE:
	case ENETUNREACH:
	case E2BIG:
	case EACCES: /* a file that was named, not the caller */
		return CODE_PARAMS;
	case EPERM:
		return CODE_FORBIDDEN;
	case ENOENT:
	case ENODEV:
		return CODE_NOT_FOUND;
	case EEXIST:
	case EADDRINUSE:
		return CODE_CONFLICT;
	case ENOSPC:
	case ENOBUFS:
		return CODE_LIMIT;
	case EBUSY:
		return strcmp(e->reason, "invalid_state") == 0 ? CODE_STATE : CODE_BUSY;
	case EIO:
		return CODE_NOT_APPLIED;
	default:
		return CODE_INTERNAL;
	}
}

/** Text that may hold a cut or foreign byte sequence: what is no UTF-8 becomes '?'. */
static json_t *
json_text(const char *text)
{
	char clean[sizeof(((struct sl_error *)0)->message)];
	json_t *s = json_string(text);
	size_t n;

	if (s)
		return s;
	n = strnlen(text, sizeof(clean) - 1);
	for (size_t i = 0; i < n; i++)
		clean[i] = text[i] & 0x80 ? '?' : text[i];
	return json_stringn(clean, n);
}

static json_t *
error_answer(json_t *id, int code, const struct sl_error *e)
{
	json_t *data = json_pack("{s:s}", "reason", e->reason);

	if (e->path[0])
		json_object_set_new(data, "path", json_text(e->path));
	if (e->hint[0])
		json_object_set_new(data, "hint", json_text(e->hint));
	return json_pack("{s:s, s:O?, s:{s:i, s:o, s:o}}", "jsonrpc", "2.0", "id", id, "error",
			 "code", code, "message", json_text(e->message), "data", data);
}

static json_t *
simple_error(json_t *id, int code, const char *reason, const char *text)
{
	struct sl_error e = {0};

	sl_fail(&e, -EINVAL, reason, "", "%s", text);
	return error_answer(id, code, &e);
}

static bool
id_valid(const json_t *id)
{
	return json_is_integer(id) || json_is_null(id) ||
	       (json_is_string(id) && json_string_length(id) <= ID_MAX);
}

/** One request object. @return answer, or NULL for a notification. */
static json_t *
handle_request(struct sl_rpc *r, const struct sl_rpc_caller *caller, json_t *req)
{
	json_t *id = json_object_get(req, "id"), *params = json_object_get(req, "params");
	json_t *method = json_object_get(req, "method"), *result = NULL, *answer;
	json_t *version = json_object_get(req, "jsonrpc");
	struct sl_error e = {0};
	const char *key;
	json_t *item;

	if (!json_is_object(req))
		return simple_error(json_null(), CODE_REQUEST, "invalid_request",
				    "a request is an object");
	if (id && !id_valid(id))
		return simple_error(json_null(), CODE_REQUEST, "invalid_request",
				    "id must be an integer or a string of at most 128 characters");
	json_object_foreach (req, key, item) {
		if (strcmp(key, "jsonrpc") && strcmp(key, "id") && strcmp(key, "method") &&
		    strcmp(key, "params"))
			return simple_error(
				id, CODE_REQUEST, "invalid_request",
				"a request has the members jsonrpc, id, method and params only");
	}
	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0 ||
	    !json_is_string(method))
		return simple_error(id, CODE_REQUEST, "invalid_request",
				    "jsonrpc must be \"2.0\" and method a string");
	if (params && !json_is_object(params) && !json_is_array(params))
		return simple_error(id, CODE_REQUEST, "invalid_request",
				    "params must be an object");
	if (json_is_array(params))
		return id ? simple_error(id, CODE_PARAMS, "param_type",
					 "params must be an object; parameters have names here")
			  : NULL;
	if (sl_rpc_call(r, caller, json_string_value(method), params, &result, &e))
		return id ? error_answer(id, code_of(&e), &e) : NULL;
	answer = id ? json_pack("{s:s, s:O, s:O}", "jsonrpc", "2.0", "id", id, "result", result)
		    : NULL;
	json_decref(result);
	return answer;
}

/** Count values and depth. @return false above the limits. */
static bool
within_limits(json_t *v, unsigned depth, unsigned *values)
{
	const char *key;
	json_t *item;
	size_t i;

	if (depth > DEPTH_MAX || ++*values > VALUES_MAX)
		return false;
	json_object_foreach (v, key, item) {
		if (!within_limits(item, depth + 1, values))
			return false;
	}
	json_array_foreach (v, i, item) {
		if (!within_limits(item, depth + 1, values))
			return false;
	}
	return true;
}

static json_t *
handle_batch(struct sl_rpc *r, const struct sl_rpc_caller *caller, json_t *batch)
{
	json_t *answers = json_array(), *item;
	size_t i;

	if (json_array_size(batch) == 0 || json_array_size(batch) > BATCH_MAX) {
		json_decref(answers);
		return simple_error(json_null(), CODE_REQUEST, "invalid_request",
				    "a batch has 1 to 256 requests");
	}
	json_array_foreach (batch, i, item) {
		json_t *a = handle_request(r, caller, item);

		if (a)
			json_array_append_new(answers, a);
	}
	if (json_array_size(answers) == 0) {
		json_decref(answers);
		return NULL;
	}
	return answers;
}

char *
sl_rpc_line(struct sl_rpc *r, const struct sl_rpc_caller *caller, const char *line, size_t len)
{
	json_error_t je;
	json_t *in = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je), *out;
	unsigned values = 0;
	char text[JSON_ERROR_TEXT_LENGTH + 40], *dump;

	if (!in) {
		/* jansson's text may quote the input, which may hold what must not be repeated */
		snprintf(text, sizeof(text), "not JSON, at byte %d", je.position);
		out = simple_error(json_null(), CODE_PARSE, "parse", text);
	} else if (!within_limits(in, 1, &values)) {
		out = simple_error(json_null(), CODE_REQUEST, "too_large",
				   "more than 8,192 values or 32 levels");
	} else if (json_is_array(in)) {
		out = handle_batch(r, caller, in);
	} else {
		out = handle_request(r, caller, in);
	}
	json_decref(in);
	if (!out)
		return NULL;
	dump = json_dumps(out, JSON_COMPACT);
	json_decref(out);
	return dump;
}
