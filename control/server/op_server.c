/* SPDX-License-Identifier: BSD-3-Clause */
/* About the server itself: alive, ready, versions, who am I, its audit. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "call.h"
#include "sl_trail.h"
#include "sl_repl.h"

int
sl_op_get_health(struct sl_call *c, struct sl_error *e)
{
	return sl_call_answer(c, 200, json_pack("{s:s}", "status", "ok"), e);
}

int
sl_op_get_ready(struct sl_call *c, struct sl_error *e)
{
	json_t *why = json_array();
	struct sl_epoch epoch;
	bool ready;

	sl_store_epoch(c->store, &epoch);
	if (epoch.number == 0) {
		json_array_append_new(why, json_string("no state was received yet"));
	} else if (c->rest->c.source != NULL) {
		struct sl_sub_info info = {0};
		char at[160];

		if (!c->rest->c.source(c->rest->c.ctx, &info, at) || !info.up)
			json_array_append_new(why, json_string("not connected to the source: what "
							       "is served may be old"));
		if (info.refused.number != 0)
			json_array_append_new(why,
					      json_sprintf("a source has epoch %" PRIu64
							   ", which is not taken; if it is right: "
							   "sluice-control epoch accept %s",
							   info.refused.number, info.refused.id));
	}
	ready = json_array_size(why) == 0;
	return sl_call_answer(c, ready ? 200 : 503,
			      json_pack("{s:s, s:o}", "status", ready ? "ready" : "not_ready",
					"reasons", why),
			      e);
}

int
sl_op_get_openapi(struct sl_call *c, struct sl_error *e)
{
	c->status = 200;
	c->out_static = sl_rest_page;
	c->out_len = sl_rest_page_len;
	return 0;
}

int
sl_op_get_version(struct sl_call *c, struct sl_error *e)
{
	const char *api = json_string_value(
		json_object_get(json_object_get(c->rest->page, "info"), "version"));

	return sl_call_answer(c, 200,
			      json_pack("{s:s, s:s, s:s, s:i}", "server", "sluice-control",
					"version", SL_VERSION, "api", api, "schema",
					SL_MODEL_SCHEMA),
			      e);
}

int
sl_op_get_me(struct sl_call *c, struct sl_error *e)
{
	json_t *roles = json_array(), *o;

	for (unsigned r = 0; r < SL_SR_N; r++) {
		if (c->who.roles & SL_SR_BIT(r))
			json_array_append_new(roles, json_string(sl_service_role_name(
							     (enum sl_service_role)r)));
	}
	o = json_pack("{s:s, s:o}", "principal", c->who.name, "roles", roles);
	if (o != NULL && c->who.bound[0] != '\0')
		json_object_set_new(o, "bound", json_string(c->who.bound));
	return sl_call_answer(c, 200, o, e);
}

int
sl_op_list_audit(struct sl_call *c, struct sl_error *e)
{
	const char *after = c->q[SL_Q_AFTER] != NULL ? c->q[SL_Q_AFTER] : "0";
	unsigned limit = c->q[SL_Q_LIMIT] != NULL ? (unsigned)c->q_int[SL_Q_LIMIT] : 100;
	json_t *rows = NULL, *o;
	uint64_t next = 0;
	char text[24], *end;
	int rc;

	next = strtoull(after, &end, 10);
	if (*end != '\0' || after[0] < '0' || after[0] > '9')
		return sl_fail(e, -EINVAL, "param_invalid", "?after", "a number of the audit");
	rc = sl_trail_list(c->store, next, c->q[SL_Q_ACTOR], limit, &rows, &next, e);
	if (rc != 0)
		return rc;
	o = json_pack("{s:o}", "items", rows);
	if (o != NULL && next > 0) {
		snprintf(text, sizeof(text), "%" PRIu64, next);
		json_object_set_new(o, "next", json_string(text));
	}
	return sl_call_answer(c, 200, o, e);
}

int
sl_op_get_audit_key(struct sl_call *c, struct sl_error *e)
{
	struct sl_seal_chain at;
	int rc;
	json_t *o;

	if (c->rest->writer == NULL) {
		sl_call_not_primary(c, "an audit", e);
		return e->err;
	}
	rc = sl_trail_head(c->store, &at, e);
	if (rc != 0)
		return rc;
	o = sl_seal_place_json(&at);
	if (o != NULL)
		json_object_set_new(o, "key", json_string(c->rest->c.seal_key->text));
	return sl_call_answer(c, 200, o, e);
}
