/* SPDX-License-Identifier: BSD-3-Clause */
#include "problem.h"

#include <stdio.h>

static const struct {
	const char *reason;
	int status;
} by_reason[] = {
	{"uri_invalid", 400},	   {"uri_too_long", 414},
	{"request_invalid", 400},  {"json_invalid", 400},
	{"param_invalid", 400},	   {"param_unknown", 400},
	{"param_missing", 400},	   {"header_invalid", 400},
	{"length_required", 411},  {"head_too_large", 431},
	{"method_unknown", 501},   {"version_unknown", 505},
	{"host_unknown", 421},	   {"media_type", 415},
	{"method", 405},	   {"unauthenticated", 401},
	{"auth_invalid", 401},	   {"token_refused", 401},
	{"cert_refused", 401},	   {"login_delayed", 429},
	{"rate_limited", 429},	   {"forbidden", 403},
	{"readonly", 403},	   {"not_primary", 403},
	{"token_too_strong", 403}, {"precondition_required", 428},
	{"secret_field", 422},	   {"local_only_setting", 422},
	{"store_busy", 503},	   {"behind", 503},
	{"bodies_busy", 503},	   {"login_ended", 401},
	{"body_slow", 408},	   {"streams_busy", 429},
};

int
problem_status(int rc, const struct sl_error *e)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(by_reason); i++) {
		if (strcmp(e->reason, by_reason[i].reason) == 0)
			return by_reason[i].status;
	}
	switch (rc) {
	case -EINVAL:
	case -ERANGE:
	case -EPERM:
		return 422;
	case -EACCES:
		return 403;
	case -ENOENT: /* what the path names; what a body names and is not there is its fault */
		return e->path[0] == '\0' ? 404 : 422;
	case -EEXIST:
	case -EBUSY:
	case -ENOSPC:
		return 409;
	case -ESTALE:
		return 412;
	case -E2BIG:
	case -EFBIG:
		return 413;
	case -EAGAIN:
		return 429;
	default:
		return 500;
	}
}

const char *
problem_title(int status)
{
	static const struct {
		int status;
		const char *title;
	} titles[] = {
		{200, "OK"},
		{201, "Created"},
		{204, "No Content"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{411, "Length Required"},
		{412, "Precondition Failed"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{421, "Misdirected Request"},
		{422, "Unprocessable Content"},
		{428, "Precondition Required"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < SL_ARRAY_SIZE(titles); i++) {
		if (titles[i].status == status)
			return titles[i].title;
	}
	return "Error";
}

/** An inner failure says no more than its number: the log has the rest. */
static void
add_details(json_t *o, const struct sl_error *e)
{
	json_t *one = json_pack("{s:s}", "reason", e->reason);

	json_object_set_new(o, "detail", json_string(e->message));
	if (e->hint[0] != '\0') {
		json_object_set_new(o, "hint", json_string(e->hint));
		json_object_set_new(one, "hint", json_string(e->hint));
	}
	if (e->path[0] != '\0')
		json_object_set_new(one, "path", json_string(e->path));
	json_object_set_new(one, "message", json_string(e->message));
	json_object_set_new(o, "errors", json_pack("[o]", one));
}

json_t *
problem_json(int status, const struct sl_error *e, const char *instance, const char *request_id,
	     const char *primary)
{
	bool inner = status == 500;
	json_t *o = json_pack("{s:s+, s:s, s:i, s:s}", "type",
			      "urn:sluice:err:", inner ? "internal" : e->reason, "title",
			      problem_title(status), "status", status, "request_id", request_id);

	if (o == NULL)
		return NULL;
	if (instance != NULL)
		json_object_set_new(o, "instance", json_string(instance));
	if (inner)
		json_object_set_new(o, "detail",
				    json_string("an inner error; the log of the server has it "
						"under this request_id"));
	else
		add_details(o, e);
	if (primary != NULL && primary[0] != '\0')
		json_object_set_new(o, "primary", json_string(primary));
	return o;
}
