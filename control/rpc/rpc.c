/* SPDX-License-Identifier: BSD-3-Clause */
/* The registry and the calls, in process and as lines of JSON-RPC 2.0. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_env.h"
#include "sl_log.h"
#include "sl_rate.h"
#include "sl_schema_common.h"

#define BATCH_MAX 256
#define VALUES_MAX 8192
#define DEPTH_MAX 32
#define ID_MAX 128
#define INTEGER_MAX (1LL << 53) /* beyond, other languages' numbers are not exact */

#define CODE_PARSE (-32700)
#define CODE_REQUEST (-32600)
#define CODE_METHOD (-32601)
#define CODE_PARAMS (-32602)
#define CODE_INTERNAL (-32603)
#define CODE_UNAUTHENTICATED (-32001)
#define CODE_FORBIDDEN (-32002)
#define CODE_NOT_FOUND (-32003)
#define CODE_STATE (-32004)
#define CODE_CONFLICT (-32005)
#define CODE_LIMIT (-32006)
#define CODE_NOT_APPLIED (-32007)
#define CODE_BUSY (-32008)

struct binding {
	sl_rpc_handler fn;
	void *user;
	bool common; /* ours, until another takes its place */
};

struct sl_rpc {
	const struct sl_schema *schema;
	void *user;
	enum sl_rpc_state state;
	struct binding *bound; /* [schema->n] */
	void (*refused)(void *user, const struct sl_rpc_caller *caller, const char *method);
};

/** A line whose answers are being collected. */
struct sl_rpc_line {
	sl_rpc_line_done done;
	void *ctx;
	json_t *answers; /* in the order of the requests; null: none */
	unsigned open;	 /* answers that will come later, and the reading of the line itself */
	bool batch, cancelled;
};

/** A call that may be answered later. */
struct sl_rpc_ask {
	struct sl_rpc_line *line;
	size_t at;  /* place of the answer */
	json_t *id; /* NULL: a notification */
	struct sl_rpc_later *later;
};

struct sl_rpc_later {
	struct sl_rpc_ask *ask; /* while the handler runs */
	struct sl_rpc_line *line;
	size_t at;
	json_t *id;
	/* the handler's parameters, and what they point to */
	json_t *params;
	void *decoded;
	struct sl_schema_arena *arena;
};

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
sl_rpc_on_refusal(struct sl_rpc *r,
		  void (*fn)(void *user, const struct sl_rpc_caller *caller, const char *method))
{
	r->refused = fn;
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
refuse_role(const struct sl_schema_method *m, const struct sl_rpc_caller *caller,
	    struct sl_error *e)
{
	if (m->open || sl_service_may(caller->who, m->roles))
		return 0;
	sl_log(SL_LOG_NOTICE, "audit", "%s by %s refused: forbidden", m->name, caller->principal);
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
		r->refused(r->user, caller, m->name);
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
	rc = refuse_role(m, caller, e);
	if (rc == 0 && !(m->states & r->state))
		return sl_fail(e, -EBUSY, "invalid_state", "",
			       "%s is not possible while the program starts", m->name);
	return rc;
}

int
sl_rpc_call(struct sl_rpc *r, const struct sl_rpc_caller *caller, const char *method,
	    json_t *params, json_t **result, struct sl_error *e)
{
	const struct sl_schema_method *m = sl_schema_find(r->schema->methods, r->schema->n, method);
	struct sl_schema_arena *arena = NULL;
	const struct binding *b;
	void *decoded = NULL;
	int rc;

	*result = NULL;
	memset(e, 0, sizeof(*e));
	rc = admit(r, caller, method, m, e);
	if (rc)
		return rc;
	b = &r->bound[m - r->schema->methods];
	decoded = calloc(1, m->params_size ? m->params_size : 1);
	if (!decoded)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	rc = sl_schema_decode(m, params, caller, decoded, &arena, e);
	if (rc)
		audit_refusal(r, m, caller, e);
	else
		rc = b->fn(b->user, caller, decoded, result, e);
	if (rc < 0 && !e->err)
		sl_fail(e, rc, "internal", "", "%s failed: %s", m->name, strerror(-rc));
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
		return CODE_METHOD;
	case EINVAL:
	case ERANGE:
	case ENETUNREACH:
	case E2BIG:
	case EACCES: /* a file that was named, not the caller */
		return CODE_PARAMS;
	case EPERM:
		return strcmp(e->reason, "unauthenticated") == 0 ? CODE_UNAUTHENTICATED
								 : CODE_FORBIDDEN;
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
		if (strcmp(e->reason, "invalid_state") == 0 ||
		    strcmp(e->reason, "managed_by_control") == 0 ||
		    strcmp(e->reason, "not_managed") == 0 ||
		    strcmp(e->reason, "already_authenticated") == 0)
			return CODE_STATE;
		return strcmp(e->reason, "would_deny") == 0 ||
				       strcmp(e->reason, "not_covered") == 0 ||
				       strcmp(e->reason, "confirm_pending") == 0
			       ? CODE_CONFLICT
			       : CODE_BUSY;
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
	if (e->retry_after_ms)
		json_object_set_new(data, "retry_after_ms", json_integer(e->retry_after_ms));
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

/** What a finished call is answered; NULL for a notification. */
static json_t *
call_answer(json_t *id, int rc, json_t *result, const struct sl_error *e)
{
	json_t *answer = NULL;

	if (id && rc)
		answer = error_answer(id, code_of(e), e);
	else if (id)
		answer = json_pack("{s:s, s:O, s:O}", "jsonrpc", "2.0", "id", id, "result", result);
	json_decref(result);
	return answer;
}

/** One request object. @return answer, or NULL for a notification or when it comes later. */
static json_t *
handle_request(struct sl_rpc *r, const struct sl_rpc_caller *caller, json_t *req,
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
	if (ask)
		ask->id = id;
	asking.ask = ask;
	rc = sl_rpc_call(r, &asking, json_string_value(method), params, &result, &e);
	return rc == SL_RPC_LATER ? NULL : call_answer(id, rc, result, &e);
}

/** What a line may hold beyond being JSON. */
struct limits {
	unsigned values_left;
	bool too_large, inexact;
};

static void
check_limits(json_t *v, unsigned depth, struct limits *l)
{
	const char *key;
	json_t *item;
	size_t i;

	if (depth > DEPTH_MAX || l->values_left == 0) {
		l->too_large = true;
		return;
	}
	l->values_left--;
	if (json_is_integer(v) &&
	    (json_integer_value(v) > INTEGER_MAX || json_integer_value(v) < -INTEGER_MAX))
		l->inexact = true;
	json_object_foreach (v, key, item) {
		if (l->too_large)
			return;
		check_limits(item, depth + 1, l);
	}
	json_array_foreach (v, i, item) {
		if (l->too_large)
			return;
		check_limits(item, depth + 1, l);
	}
}

/* --- lines ---------------------------------------------------------------------------------- */

struct sl_rpc_later *
sl_rpc_later(const struct sl_rpc_caller *caller)
{
	struct sl_rpc_ask *ask = caller->ask;
	struct sl_rpc_later *l = ask ? calloc(1, sizeof(*l)) : NULL;

	if (!l)
		return NULL;
	l->line = ask->line;
	l->id = json_incref(ask->id);
	l->at = ask->at;
	l->ask = ask;
	ask->later = l;
	ask->line->open++;
	return l;
}

/** The answers to a line as text; NULL when there is none. */
static char *
line_text(struct sl_rpc_line *l)
{
	json_t *all = json_array(), *item;
	char *text = NULL;
	size_t i;

	json_array_foreach (l->answers, i, item) {
		if (!json_is_null(item))
			json_array_append(all, item);
	}
	if (json_array_size(all) > 0)
		text = json_dumps(l->batch ? all : json_array_get(all, 0), JSON_COMPACT);
	json_decref(all);
	return text;
}

/** One answer less to wait for. @return true if it was the last */
static bool
line_closes(struct sl_rpc_line *l)
{
	if (--l->open > 0)
		return false;
	if (!l->cancelled)
		l->done(l->ctx, line_text(l));
	json_decref(l->answers);
	free(l);
	return true;
}

void
sl_rpc_answer(struct sl_rpc_later *l, int rc, json_t *result, const struct sl_error *e)
{
	json_t *answer;

	if (!rc && !result)
		result = json_object();
	answer = call_answer(l->id, rc, result, e);
	if (answer)
		json_array_set_new(l->line->answers, l->at, answer);
	line_closes(l->line);
	if (l->ask)
		l->ask->later = NULL; /* answered in the call */
	sl_schema_free(l->arena);
	free(l->decoded);
	json_decref(l->params);
	json_decref(l->id);
	free(l);
}

bool
sl_rpc_wanted(const struct sl_rpc_later *l)
{
	return !l->line->cancelled;
}

void
sl_rpc_line_cancel(struct sl_rpc_line *l)
{
	l->cancelled = true;
}

/** Carry a request out and keep its answer, or the place for it. */
static void
line_request(struct sl_rpc *r, const struct sl_rpc_caller *caller, struct sl_rpc_line *l,
	     json_t *req, bool wait)
{
	struct sl_rpc_ask ask = {.line = l, .at = json_array_size(l->answers)};
	json_t *answer;

	json_array_append_new(l->answers, json_null());
	answer = handle_request(r, caller, req, wait ? NULL : &ask);
	if (answer)
		json_array_set_new(l->answers, ask.at, answer);
}

static void
line_batch(struct sl_rpc *r, const struct sl_rpc_caller *caller, struct sl_rpc_line *l,
	   json_t *batch, bool wait)
{
	json_t *item;
	size_t i;

	if (json_array_size(batch) == 0 || json_array_size(batch) > BATCH_MAX) {
		json_array_append_new(l->answers,
				      simple_error(json_null(), CODE_REQUEST, "invalid_request",
						   "a batch has 1 to 256 requests"));
		return;
	}
	l->batch = true;
	json_array_foreach (batch, i, item)
		line_request(r, caller, l, item, wait);
}

static struct sl_rpc_line *
line_start(struct sl_rpc *r, const struct sl_rpc_caller *caller, const char *line, size_t len,
	   bool wait, sl_rpc_line_done done, void *ctx)
{
	struct sl_rpc_line *l = calloc(1, sizeof(*l));
	struct limits lim = {.values_left = caller->values_max ? caller->values_max : VALUES_MAX};
	char text[64];
	json_error_t je;
	json_t *in;

	if (!l) {
		done(ctx, NULL);
		return NULL;
	}
	*l = (struct sl_rpc_line){.done = done, .ctx = ctx, .answers = json_array(), .open = 1};
	in = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	check_limits(in, 1, &lim);
	if (!in) {
		/* jansson's text may quote the input, which may hold what must not be repeated */
		snprintf(text, sizeof(text), "not JSON, at byte %d", je.position);
		json_array_append_new(l->answers,
				      simple_error(json_null(), CODE_PARSE, "parse", text));
	} else if (lim.too_large) {
		snprintf(text, sizeof(text), "more than %u values or %u levels",
			 caller->values_max ? caller->values_max : VALUES_MAX, DEPTH_MAX);
		json_array_append_new(l->answers,
				      simple_error(json_null(), CODE_REQUEST, "too_large", text));
	} else if (lim.inexact) {
		json_array_append_new(l->answers, simple_error(json_null(), CODE_PARSE, "parse",
							       "an integer is beyond 2^53"));
	} else if (json_is_array(in)) {
		line_batch(r, caller, l, in, wait);
	} else {
		line_request(r, caller, l, in, wait);
	}
	json_decref(in);
	return line_closes(l) ? NULL : l;
}

struct sl_rpc_line *
sl_rpc_line_start(struct sl_rpc *r, const struct sl_rpc_caller *caller, const char *line,
		  size_t len, sl_rpc_line_done done, void *ctx)
{
	return line_start(r, caller, line, len, false, done, ctx);
}

static void
keep_answer(void *ctx, char *answer)
{
	*(char **)ctx = answer;
}

char *
sl_rpc_line(struct sl_rpc *r, const struct sl_rpc_caller *caller, const char *line, size_t len)
{
	char *answer = NULL;

	line_start(r, caller, line, len, true, keep_answer, &answer);
	return answer;
}
