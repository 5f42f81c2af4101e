/* SPDX-License-Identifier: BSD-3-Clause */
/* Gateways beyond their record: where they stand in the stream, taking one out. */
#include <stdio.h>

#include "change.h"
#include "repl_view.h"

int
sl_op_get_gateway_status(struct sl_call *c, struct sl_error *e)
{
	int rc = sl_call_own(c, SL_SR_GATEWAY, c->arg[0], e);

	if (rc == 0 && sl_store_get(c->rest->c.store, SL_KIND_GATEWAY, c->arg[0], NULL, NULL) != 0)
		rc = sl_call_not_found("gateway", c->arg[0], e);
	return rc != 0 ? rc
		       : sl_call_answer(c, 200, repl_view_node(c->rest->c.publisher, c->arg[0]), e);
}

/* --- taking one out --------------------------------------------------------------------------- */

static int
revoke_certificates(struct sl_call *c, struct sl_store_txn *t, struct sl_error *e)
{
	const json_t *list = json_object_get(c->body, "certificates");
	const json_t *reason = json_object_get(c->body, "reason");
	char id[SL_OBJ_ID];
	json_t *v, *crl;
	size_t i;
	int rc;

	json_array_foreach ((json_t *)list, i, v) {
		snprintf(id, sizeof(id), "cert:%s", json_string_value(v));
		crl = json_pack("{s:O*}", "reason", reason);
		rc = sl_store_put(t, SL_KIND_CRL, id, SL_REV_ANY, crl, e);
		json_decref(crl);
		if (rc != 0) {
			sl_error_under(e, "/certificates/%zu", i);
			return rc;
		}
	}
	return 0;
}

/** What the store took away with the record. */
static json_t *
counts(struct sl_call *c, json_t *diff)
{
	static const struct {
		const char *kind, *field;
	} counted[] = {{"token", "tokens"},
		       {"gateway_interface", "interfaces"},
		       {"allocation", "allocations"},
		       {"peer", "peers"}};
	json_t *o =
		json_pack("{s:s, s:I}", "gateway", c->arg[0], "certificates",
			  (json_int_t)json_array_size(json_object_get(c->body, "certificates")));
	json_t *op;
	size_t i;

	for (unsigned k = 0; k < SL_ARRAY_SIZE(counted); k++) {
		json_int_t n = 0;

		json_array_foreach (diff, i, op) {
			n += strcmp(json_string_value(json_object_get(op, "kind")),
				    counted[k].kind) == 0;
		}
		json_object_set_new(o, counted[k].field, json_integer(n));
	}
	return o;
}

int
sl_op_decommission_gateway(struct sl_call *c, struct sl_error *e)
{
	struct sl_store_txn *t = change_begin(c, e);
	json_t *diff = NULL, *o = NULL;
	int rc;

	if (t == NULL)
		return e->err;
	rc = sl_store_del(t, SL_KIND_GATEWAY, c->arg[0], SL_REV_ANY, e);
	if (rc == 0)
		rc = revoke_certificates(c, t, e);
	if (rc == 0) {
		diff = sl_store_diff(t);
		o = counts(c, diff);
		json_decref(diff);
	}
	rc = change_end(c, t, rc, e);
	if (rc != 0 || c->done) {
		json_decref(o);
		return rc;
	}
	json_object_set_new(o, "seq", json_integer((json_int_t)c->seq));
	return sl_call_answer(c, 200, o, e);
}
