/* SPDX-License-Identifier: BSD-3-Clause */
/* Gateways beyond their record: where they stand in the stream, taking one out. */
#include <limits.h>
#include <stdio.h>

#include "change.h"
#include "leaving.h"
#include "leaving_mark.h"
#include "repl_view.h"

/* Objects of one transaction while a gateway is taken out: subscribers, and whoever else changes
 * something, have their turn between them. */
#define PART 128

static json_t *
status(const struct sl_call *c)
{
	json_t *o = repl_view_node(c->rest->c.publisher, c->arg[0]), *leaves;

	leaves = c->rest->writer != NULL ? leaving_show(c->store, c->arg[0]) : NULL;
	if (leaves != NULL)
		json_object_set_new(o, "decommission", leaves);
	return o;
}

int
sl_op_get_gateway_status(struct sl_call *c, struct sl_error *e)
{
	int rc = sl_call_own(c, SL_SR_GATEWAY, c->arg[0], e);

	if (rc == 0 && sl_store_get(c->store, SL_KIND_GATEWAY, c->arg[0], NULL, NULL) != 0)
		rc = sl_call_not_found("gateway", c->arg[0], e);
	return rc != 0 ? rc : sl_call_answer(c, 200, status(c), e);
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

static int
dry_run(struct sl_call *c, struct sl_store_txn *t, struct sl_error *e)
{
	int rc = revoke_certificates(c, t, e);

	if (rc == 0)
		rc = sl_store_del(t, SL_KIND_GATEWAY, c->arg[0], SL_REV_ANY, e);
	return change_end(c, t, rc, e);
}

/** Where it stands, as this transaction sees it. */
struct stand {
	struct leaving l;
	uint64_t rev; /* of the record */
	bool there;   /* the record is */
	bool begun;   /* and it was shut by a part before, this call's or another's */
};

static int
look(struct sl_call *c, struct sl_store_txn *t, struct stand *s, struct sl_error *e)
{
	int rc = leaving_get(c->store, c->arg[0], &s->l, e);

	s->rev = 0;
	s->there = sl_store_txn_get(t, SL_KIND_GATEWAY, c->arg[0], &s->rev, NULL) == 0;
	s->begun = rc == 0 && s->there && !s->l.done && s->l.rev == s->rev;
	return rc == -ENOENT ? 0 : rc;
}

/** A part of it. What is gone with it and those before is the answer. */
static int
take_part(struct sl_call *c, struct sl_store_txn *t, struct stand *s, bool *all, struct sl_error *e)
{
	int rc, n = sl_store_del_dependents(t, SL_KIND_GATEWAY, c->arg[0], NULL, PART, e);

	*all = n >= 0 && n < PART;
	rc = SL_MIN(n, 0);
	if (rc == 0 && !s->begun && !*all) {
		rc = shut_out(c, t, e);
		if (rc == 0)
			rc = sl_store_txn_get(t, SL_KIND_GATEWAY, c->arg[0], &s->rev, NULL);
		if (rc == 0)
			rc = leaving_begin(c, s->rev, e);
		if (rc == 0)
			rc = leaving_mark(c, t, s->rev, e);
	} else if (rc == 0 && c->part == 0) {
		rc = revoke_certificates(c, t, e);
	}
	if (rc == 0 && *all)
		rc = sl_store_del(t, SL_KIND_GATEWAY, c->arg[0], SL_REV_ANY, e);
	if (rc == 0 && *all && s->begun)
		rc = leaving_unmark(t, c->arg[0], e);
	if (rc != 0)
		return rc;
	c->on_rev = s->rev;
	json_decref(c->out);
	c->out = s->begun ? json_incref(s->l.gone) : NULL;
	count(c, t);
	if (*all)
		json_object_set_new(c->out, "seq",
				    json_integer((json_int_t)sl_store_head(c->store) + 1));
	return *all && !s->begun ? 0 : leaving_note(c, c->out, *all, e);
}

/** The record is not the one that was shut: what was begun with that one is over. */
static int
forget(struct sl_call *c, struct sl_store_txn *t, const struct stand *s, struct sl_error *e)
{
	json_decref(c->out);
	c->out = json_incref(s->l.gone);
	leaving_drop(c->store, c->arg[0]);
	return change_part(c, t, leaving_unmark(t, c->arg[0], e), e);
}

/** Between two parts somebody else took the rest, or the record is not the one that was shut. */
static int
was_ended(struct sl_call *c, struct sl_store_txn *t, const struct stand *s, struct sl_error *e)
{
	bool ours = s->l.gone != NULL && s->l.rev == c->on_rev;
	int rc = 0;

	c->status = 200;
	if (ours && !s->l.done)
		rc = forget(c, t, s, e);
	else
		sl_store_abort(t);
	if (rc != 0)
		return rc;
	if (ours && s->l.done) { /* another call like this one */
		json_decref(c->out);
		c->out = json_incref(s->l.gone);
		return 0;
	}
	if (!s->there) {
		json_object_set_new(c->out, "seq",
				    json_integer((json_int_t)sl_store_head(c->store)));
		return 0;
	}
	sl_fail(e, -EEXIST, "gateway_changed", "",
		"gateway \"%.63s\" was changed or made anew while it was taken out: what is left "
		"of "
		"it stays",
		c->arg[0]);
	sl_hint(e, "look at it, and decommission it again if it shall go");
	return -EEXIST;
}

int
sl_op_decommission_gateway(struct sl_call *c, struct sl_error *e)
{
	struct sl_store_txn *t = change_begin(c, e);
	struct stand s = {0};
	bool all = false;
	int rc;

	if (t == NULL)
		return e->err;
	if (sl_call_dry_run(c))
		return dry_run(c, t, e);
	rc = look(c, t, &s, e);
	if (rc == 0 && !s.there && c->part == 0)
		rc = sl_call_not_found("gateway", c->arg[0], e);
	if (rc == 0 && c->part > 0 && (!s.begun || s.rev != c->on_rev)) {
		rc = was_ended(c, t, &s, e);
		json_decref(s.l.gone);
		return rc;
	}
	if (rc == 0)
		rc = take_part(c, t, &s, &all, e);
	json_decref(s.l.gone);
	rc = all ? change_end(c, t, rc, e) : change_part(c, t, rc, e);
	if (rc != 0)
		return rc;
	c->status = 200;
	return all ? 0 : SL_CALL_AGAIN;
}
