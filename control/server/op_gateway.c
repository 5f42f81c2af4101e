/* SPDX-License-Identifier: BSD-3-Clause */
/* Gateways beyond their record: where they stand in the stream, taking one out. */
#include <limits.h>
#include <stdio.h>

#include "change.h"
#include "repl_view.h"

/* Objects of one transaction while a gateway is taken out: subscribers, and whoever else changes
 * something, have their turn between them. */
#define PART 128

int
sl_op_get_gateway_status(struct sl_call *c, struct sl_error *e)
{
	int rc = sl_call_own(c, SL_SR_GATEWAY, c->arg[0], e);

	if (rc == 0 && sl_store_get(c->store, SL_KIND_GATEWAY, c->arg[0], NULL, NULL) != 0)
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

/** What went away with the record, of all transactions so far: that is the answer. */
static void
count(struct sl_call *c, struct sl_store_txn *t)
{
	static const struct {
		const char *kind, *field;
	} counted[] = {{"token", "tokens"},
		       {"gateway_interface", "interfaces"},
		       {"allocation", "allocations"},
		       {"peer", "peers"}};
	json_t *diff = sl_store_diff(t), *op;
	size_t i;

	if (c->out == NULL)
		c->out = json_pack("{s:s, s:I}", "gateway", c->arg[0], "certificates",
				   (json_int_t)json_array_size(
					   json_object_get(c->body, "certificates")));
	for (unsigned k = 0; k < SL_ARRAY_SIZE(counted); k++) {
		json_int_t n = json_integer_value(json_object_get(c->out, counted[k].field));

		json_array_foreach (diff, i, op) {
			n += strcmp(json_string_value(json_object_get(op, "kind")),
				    counted[k].kind) == 0;
		}
		json_object_set_new(c->out, counted[k].field, json_integer(n));
	}
	json_decref(diff);
}

/** What lets it in, and leads others to it, goes at once; its record says that it is out. */
static int
shut_out(struct sl_call *c, struct sl_store_txn *t, struct sl_error *e)
{
	static const enum sl_kind kinds[] = {SL_KIND_TOKEN, SL_KIND_GATEWAY_INTERFACE};
	json_t *was = NULL, *body;
	uint64_t rev;
	int rc = 0;

	for (unsigned i = 0; rc >= 0 && i < SL_ARRAY_SIZE(kinds); i++)
		rc = sl_store_del_dependents(t, SL_KIND_GATEWAY, c->arg[0], &kinds[i], INT_MAX, e);
	if (rc >= 0)
		rc = revoke_certificates(c, t, e);
	if (rc < 0)
		return rc;
	if (sl_store_txn_get(t, SL_KIND_GATEWAY, c->arg[0], &rev, &was) != 0)
		return sl_call_not_found("gateway", c->arg[0], e);
	body = json_deep_copy(was);
	json_object_set_new(body, "enabled", json_false());
	rc = sl_store_put(t, SL_KIND_GATEWAY, c->arg[0], rev, body, e);
	json_decref(body);
	json_decref(was);
	return rc;
}

/** A part of it. @param[out] all that is the last one; a dry run is one transaction */
static int
take_out(struct sl_call *c, struct sl_store_txn *t, bool *all, struct sl_error *e)
{
	int n = 0, rc = 0;

	if (!sl_call_dry_run(c))
		n = sl_store_del_dependents(t, SL_KIND_GATEWAY, c->arg[0], NULL, PART, e);
	*all = n < PART;
	if (n < 0)
		return n;
	if (!*all)
		return c->part == 0 ? shut_out(c, t, e) : 0;
	if (c->part == 0)
		rc = revoke_certificates(c, t, e);
	if (rc == 0)
		rc = sl_store_del(t, SL_KIND_GATEWAY, c->arg[0], SL_REV_ANY, e);
	return rc == -ENOENT && c->part > 0 ? 0 : rc; /* somebody was quicker: it is gone */
}

int
sl_op_decommission_gateway(struct sl_call *c, struct sl_error *e)
{
	struct sl_store_txn *t = change_begin(c, e);
	bool all;
	int rc;

	if (t == NULL)
		return e->err;
	rc = take_out(c, t, &all, e);
	if (rc == 0 && !sl_call_dry_run(c))
		count(c, t);
	rc = all ? change_end(c, t, rc, e) : change_part(c, t, rc, e);
	if (rc != 0 || c->done)
		return rc;
	if (!all)
		return SL_CALL_AGAIN;
	json_object_set_new(c->out, "seq", json_integer((json_int_t)c->seq));
	c->status = 200;
	return 0;
}
