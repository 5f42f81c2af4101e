/* SPDX-License-Identifier: BSD-3-Clause */
/* The registry and the calls, in process and as requests of JSON-RPC 2.0. */
#include "dispatch_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "sl_env.h"
#include "sl_json.h"
#include "sl_log.h"
#include "sl_rate.h"
#include "sl_schema_common.h"

#define ID_MAX 128

struct sl_rpc *
sl_rpc_new(const struct sl_schema *schema, void *user)
{
	struct sl_rpc *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->schema = schema;
	r->user = user;
	r->state = SL_RPC_STARTUP;
	r->bound = calloc(schema->n, sizeof(r->bound[0]));
	if (!r->bound) {
		free(r);
		return NULL;
	}
	sl_rpc_bind_common(r);
	for (unsigned i = 0; i < schema->n; i++)
		r->bound[i].common = r->bound[i].fn != NULL;
	return r;
}

void
sl_rpc_free(struct sl_rpc *r)
{
	if (!r)
		return;
	rpc_lines_leave(r);
	free(r->bound);
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

void
sl_rpc_on_refusal(struct sl_rpc *r, void (*fn)(void *user, const struct sl_rpc_caller *caller,
					       const char *method, const char *reason))
{
	r->refused = fn;
}

void
sl_rpc_set_helper(struct sl_rpc *r, sl_rpc_give_fn give, void *ctx)
{
	r->give = give;
	r->give_ctx = ctx;
}

int
sl_rpc_bind_to(struct sl_rpc *r, const char *method, sl_rpc_handler fn, void *user)
{
	const struct sl_schema_method *m = sl_schema_find(r->schema->methods, r->schema->n, method);
	struct binding *b;

	if (!m)
		return -ENOENT;
	b = &r->bound[m - r->schema->methods];
	if (b->fn && !b->common)
		return -EEXIST;
	*b = (struct binding){.fn = fn, .user = user};
	return 0;
}

int
sl_rpc_bind(struct sl_rpc *r, const char *method, sl_rpc_handler fn)
{
	return sl_rpc_bind_to(r, method, fn, r->user);
}

/** Who is not logged in learns nothing beyond the open methods, not even which others there are. */
static int
refuse_stranger(const struct sl_schema_method *m, const struct sl_rpc_caller *caller,
		struct sl_error *e)
{
	if (caller->who || (m && m->open))
		return 0;
	sl_fail(e, -EPERM, "unauthenticated", "", "this connection is not logged in");
	sl_hint(e, "auth.login with a token, or a client certificate that is known here");
	return -EPERM;
}

static int
refuse_role(const struct sl_rpc *r, const struct sl_schema_method *m,
	    const struct sl_rpc_caller *caller, struct sl_error *e)
{
	if (m->open || sl_service_may(caller->who, m->roles))
		return 0;
	sl_log(SL_LOG_NOTICE, "audit", "%s by %s refused: forbidden", m->name, caller->principal);
	if (r->refused && (m->record || m->local_only))
		r->refused(r->user, caller, m->name, "forbidden");
	sl_fail(e, -EPERM, "forbidden", "", "%s is not for the roles of %s", m->name,
		caller->principal);
	sl_hint(e, "it needs one of: %s", m->role);
	return -EPERM;
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

/** A caller that asks too often waits, whatever it asks. */
static int
refuse_rate(const struct sl_schema_method *m, const struct sl_rpc_caller *caller,
	    struct sl_error *e)
{
	uint64_t wait_ns;

	if (!caller->rate || (m && m->unrated))
		return 0;
	wait_ns = sl_rate_take_ns(caller->rate, caller->principal, sl_clock_mono_ns());
	if (wait_ns == 0)
		return 0;
	sl_fail(e, -EBUSY, "rate_limited", "", "%s asks too often", caller->principal);
	e->retry_after_ms = (uint32_t)(wait_ns / SL_NS_PER_MS) + 1;
	sl_hint(e, "try again in %u ms", e->retry_after_ms);
	return -EBUSY;
}

/** Attempts to change what is local from afar leave a trace. */
static void
audit_refusal(const struct sl_rpc *r, const struct sl_schema_method *m,
	      const struct sl_rpc_caller *caller, const struct sl_error *e)
{
	if (strcmp(e->reason, "local_only_setting") != 0)
		return;
	sl_log(SL_LOG_NOTICE, "audit", "%s%s%s by %s refused: local_only_setting", m->name,
	       e->path[0] ? " " : "", e->path[0] ? e->path + 1 : "", caller->principal);
	if (r->refused)
		r->refused(r->user, caller, m->name, e->reason);
}

/** The answer is still due: the parameters stay for whoever gives it. */
static bool
later_keeps(const struct sl_rpc_caller *caller, json_t *params, void *decoded,
	    struct sl_schema_arena *arena)
{
	struct sl_rpc_later *l = caller->ask ? caller->ask->later : NULL;

	if (!l)
		return false;
	l->ask->later = NULL;
	l->ask = NULL;
	l->params = json_incref(params);
	l->decoded = decoded;
	l->arena = arena;
	return true;
}

/** May this call be made here, now, by this caller? */
static int
admit(const struct sl_rpc *r, const struct sl_rpc_caller *caller, const char *method,
      const struct sl_schema_method *m, struct sl_error *e)
{
	int rc = refuse_rate(m, caller, e);

	if (rc == 0)
		rc = refuse_stranger(m, caller, e);
	if (rc)
		return rc;
	if (!m || !r->bound[m - r->schema->methods].fn) {
		sl_fail(e, -ENOSYS, "method_unknown", "", "no method \"%.60s\"", method);
		sl_hint(e, "rpc.methods lists them");
		return -ENOSYS;
	}
	rc = refuse_local_only(m, caller, e);
	if (rc) {
		audit_refusal(r, m, caller, e);
		return rc;
	}
	rc = refuse_role(r, m, caller, e);
	if (rc == 0 && !(m->states & r->state))
		return sl_fail(e, -EBUSY, "invalid_state", "",
			       "%s is not possible while the program starts", m->name);
	return rc;
}

/** @param[out] change what is to be told of it, unless it is answered later */
static int
carry_out(const struct sl_rpc *r, const struct sl_rpc_caller *caller,
	  const struct sl_schema_method *m, json_t *params, const void *decoded, json_t **result,
	  struct sl_rpc_change **change, struct sl_error *e)
{
	const struct binding *b = &r->bound[m - r->schema->methods];
	struct sl_rpc_ask *ask = caller->ask;
	int rc;

	*change = rpc_change_begin(r, m, caller, params);
	if (!ask)
		return b->fn(b->user, caller, decoded, result, e);
	ask->change = *change;
	rc = b->fn(b->user, caller, decoded, result, e);
	*change = ask->change;
	ask->change = NULL;
	return rc;
}

int
sl_rpc_call(struct sl_rpc *r, const struct sl_rpc_caller *caller, const char *method,
	    json_t *params, json_t **result, struct sl_error *e)
{
	const struct sl_schema_method *m = sl_schema_find(r->schema->methods, r->schema->n, method);
	struct sl_schema_arena *arena = NULL;
	struct sl_rpc_change *change = NULL;
	void *decoded = NULL;
	int rc;

	*result = NULL;
	memset(e, 0, sizeof(*e));
	rc = admit(r, caller, method, m, e);
	if (rc)
		return rc;
	decoded = calloc(1, m->params_size ? m->params_size : 1);
	if (!decoded)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	rc = sl_schema_decode(m, params, caller, decoded, &arena, e);
	if (rc)
		audit_refusal(r, m, caller, e);
	else
		rc = carry_out(r, caller, m, params, decoded, result, &change, e);
	if (rc < 0 && !e->err)
		sl_fail(e, rc, "internal", "", "%s failed: %s", m->name, strerror(-rc));
	rpc_change_end(r, change, rc, e);
	if (rc) {
		json_decref(*result);
		*result = NULL;
	} else if (!*result) {
		*result = json_object();
	}
	if (later_keeps(caller, params, decoded, arena))
		return rc;
	sl_schema_free(arena);
	free(decoded);
	return rc;
}

static int
code_of(const struct sl_error *e)
{
	switch (-e->err) {
	case ENOSYS:
		return RPC_CODE_METHOD;
	case EINVAL:
	case ERANGE:
	case ENETUNREACH:
	case E2BIG:
	case EACCES: /* a file that was named, not the caller */
		return RPC_CODE_PARAMS;
	case EPERM:
		return strcmp(e->reason, "unauthenticated") == 0 ? RPC_CODE_UNAUTHENTICATED
								 : RPC_CODE_FORBIDDEN;
	case ENOENT:
	case ENODEV:
		return RPC_CODE_NOT_FOUND;
	case EEXIST:
	case EADDRINUSE:
		return RPC_CODE_CONFLICT;
	case ENOSPC:
	case ENOBUFS:
		return RPC_CODE_LIMIT;
	case EBUSY:
		if (strcmp(e->reason, "invalid_state") == 0 ||
		    strcmp(e->reason, "managed_by_control") == 0 ||
		    strcmp(e->reason, "not_managed") == 0 ||
		    strcmp(e->reason, "already_authenticated") == 0)
			return RPC_CODE_STATE;
		return strcmp(e->reason, "would_deny") == 0 ||
				       strcmp(e->reason, "not_covered") == 0 ||
				       strcmp(e->reason, "confirm_pending") == 0 ||
				       strcmp(e->reason, "version_mismatch") == 0
			       ? RPC_CODE_CONFLICT
			       : RPC_CODE_BUSY;
	case EIO:
		return RPC_CODE_NOT_APPLIED;
	default:
		return RPC_CODE_INTERNAL;
	}
}

static json_t *
error_answer(json_t *id, int code, const struct sl_error *e)
{
	json_t *data = json_pack("{s:s}", "reason", e->reason);

	if (e->path[0])
		json_object_set_new(data, "path", sl_json_clean(e->path));
	if (e->hint[0])
		json_object_set_new(data, "hint", sl_json_clean(e->hint));
	if (e->retry_after_ms)
		json_object_set_new(data, "retry_after_ms", json_integer(e->retry_after_ms));
	return json_pack("{s:s, s:O?, s:{s:i, s:o, s:o}}", "jsonrpc", "2.0", "id", id, "error",
			 "code", code, "message", sl_json_clean(e->message), "data", data);
}

json_t *
rpc_simple_error(json_t *id, int code, const char *reason, const char *text)
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

json_t *
rpc_call_answer(json_t *id, int rc, json_t *result, const struct sl_error *e)
{
	json_t *answer = NULL;

	if (id && rc)
		answer = error_answer(id, code_of(e), e);
	else if (id)
		answer = json_pack("{s:s, s:O, s:O}", "jsonrpc", "2.0", "id", id, "result", result);
	json_decref(result);
	return answer;
}

json_t *
rpc_request(struct sl_rpc *r, const struct sl_rpc_caller *caller, json_t *req,
	    struct sl_rpc_ask *ask)
{
	json_t *id = json_object_get(req, "id"), *params = json_object_get(req, "params");
	json_t *method = json_object_get(req, "method"), *result = NULL;
	json_t *version = json_object_get(req, "jsonrpc");
	struct sl_rpc_caller asking = *caller;
	struct sl_error e = {0};
	const char *key;
	json_t *item;
	int rc;

	if (!json_is_object(req))
		return rpc_simple_error(json_null(), RPC_CODE_REQUEST, "invalid_request",
					"a request is an object");
	if (id && !id_valid(id))
		return rpc_simple_error(
			json_null(), RPC_CODE_REQUEST, "invalid_request",
			"id must be an integer or a string of at most 128 characters");
	json_object_foreach (req, key, item) {
		if (strcmp(key, "jsonrpc") && strcmp(key, "id") && strcmp(key, "method") &&
		    strcmp(key, "params"))
			return rpc_simple_error(
				id, RPC_CODE_REQUEST, "invalid_request",
				"a request has the members jsonrpc, id, method and params only");
	}
	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0") != 0 ||
	    !json_is_string(method))
		return rpc_simple_error(id, RPC_CODE_REQUEST, "invalid_request",
					"jsonrpc must be \"2.0\" and method a string");
	if (params && !json_is_object(params) && !json_is_array(params))
		return rpc_simple_error(id, RPC_CODE_REQUEST, "invalid_request",
					"params must be an object");
	if (json_is_array(params))
		return id ? rpc_simple_error(id, RPC_CODE_PARAMS, "param_type",
					     "params must be an object; parameters have names here")
			  : NULL;
	if (ask)
		ask->id = id;
	asking.ask = ask;
	rc = sl_rpc_call(r, &asking, json_string_value(method), params, &result, &e);
	return rc == SL_RPC_LATER ? NULL : rpc_call_answer(id, rc, result, &e);
}
