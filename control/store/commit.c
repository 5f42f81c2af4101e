/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a transaction: its row of the log, its tombstones, where the store then stands. */
#include <stdio.h>
#include <stdlib.h>

#include "store_int.h"

/** Was there anything to do? What came and went inside the transaction leaves no trace. */
static bool
is_change(const struct store_op *op)
{
	return op->was != NULL || op->body != NULL;
}

static void
was_scope(const struct store_op *op, char out[SL_OBJ_SCOPE])
{
	json_t *body = json_loads(op->was, 0, NULL);

	if (body == NULL || sl_object_scope(op->kind, op->id, body, out) < 0)
		out[0] = '\0';
	json_decref(body);
}

static json_t *
op_json(const struct store_op *op)
{
	char is[SL_OBJ_SCOPE] = "", was[SL_OBJ_SCOPE] = "";
	json_t *o;

	if (op->was != NULL)
		was_scope(op, was);
	if (op->body != NULL)
		sl_object_scope(op->kind, op->id, op->body, is);
	o = json_pack("{s:s, s:s, s:s, s:I, s:s}", "op", op->body != NULL ? "put" : "del", "kind",
		      sl_kind_name(op->kind), "id", op->id, "rev", (json_int_t)op->rev, "scope",
		      op->body != NULL ? is : was);
	if (o != NULL && op->body != NULL)
		json_object_set(o, "obj", op->body);
	if (o != NULL && op->body != NULL && op->was != NULL && strcmp(is, was) != 0)
		json_object_set_new(o, "was", json_string(was));
	return o;
}

static json_t *
all_ops(const struct sl_store_txn *t)
{
	json_t *ops = json_array();

	for (size_t i = 0; ops != NULL && i < t->n_ops; i++) {
		if (!is_change(&t->ops[i]))
			continue;
		if (json_array_append_new(ops, op_json(&t->ops[i])) < 0) {
			json_decref(ops);
			return NULL;
		}
	}
	return ops;
}

static json_t *
make_row(const struct sl_store_txn *t, json_t *ops)
{
	char ts[SL_TIME_STR];
	json_t *row =
		json_pack("{s:I, s:I, s:s, s:s, s:s, s:O}", "prev", (json_int_t)t->state.head,
			  "seq", (json_int_t)t->state.head + 1, "ts", sl_time_str(t->wall_ns, ts),
			  "actor", t->actor, "cause", t->cause, "ops", ops);
	json_t *policy = NULL;

	if (row == NULL || !t->policy)
		return row;
	sl_store_get(t->s, SL_KIND_POLICY, "policy", NULL, &policy);
	if (policy != NULL)
		json_object_set(row, "policy_version", json_object_get(policy, "version"));
	json_decref(policy);
	return row;
}

static int
bury(struct sl_store_txn *t, const struct store_op *op, struct sl_error *e)
{
	struct sl_tombstone tomb = {op->kind,	   "",	      op->was_rev, t->state.epoch.number,
				    t->state.head, t->wall_ns};
	json_t *was;
	bool leaves;

	if (op->body != NULL && op->kind == SL_KIND_CRL) { /* what it revokes stays revoked */
		tomb.rev = op->rev;
		snprintf(tomb.id, sizeof(tomb.id), "%s", op->id);
		return store_tombstone_put(t->s, &tomb, e);
	}
	if (op->body != NULL)
		return store_tombstone_clear(t->s, op->kind, op->id, e);
	was = json_loads(op->was, 0, NULL);
	leaves = store_tombstone_kind(op->kind, was);
	json_decref(was);
	if (!leaves)
		return 0;
	snprintf(tomb.id, sizeof(tomb.id), "%s", op->id);
	return store_tombstone_put(t->s, &tomb, e);
}

static int
write_row(struct sl_store_txn *t, json_t *ops, struct sl_error *e)
{
	json_t *row = make_row(t, ops);
	int rc = row != NULL ? sl_chain_next(t->state.chain, row) : -ENOMEM;

	if (rc < 0) {
		json_decref(row);
		return store_no_memory(e);
	}
	t->state.head++;
	rc = store_log_append(t->s, t->state.head, t->wall_ns, t->state.chain, row, e);
	json_decref(row);
	store_step(t->s, "log");
	for (size_t i = 0; rc == 0 && i < t->n_ops; i++)
		if (is_change(&t->ops[i]))
			rc = bury(t, &t->ops[i], e);
	if (rc == 0)
		rc = store_state_set(t->s, &t->state, e);
	store_step(t->s, "state");
	return rc;
}

int
sl_store_try(struct sl_store_txn *t, struct sl_error *e)
{
	if (t->broken < 0)
		return sl_fail(e, t->broken, "transaction_failed", "",
			       "a write of this transaction failed");
	return store_check(t, e);
}

int
sl_store_commit(struct sl_store_txn *t, uint64_t *seq, struct sl_error *e)
{
	struct sl_store *s = t->s;
	json_t *ops = NULL;
	int rc = sl_store_try(t, e);

	if (rc == 0) {
		ops = all_ops(t);
		rc = ops != NULL ? 0 : store_no_memory(e);
	}
	if (rc == 0 && json_array_size(ops) > 0) {
		rc = write_row(t, ops, e);
		if (rc == 0)
			rc = store_do(s, ST_COMMIT, e);
		store_step(s, "commit");
	} else if (rc == 0) {
		rc = store_do(s, ST_ROLLBACK, e);
	}
	json_decref(ops);
	if (rc == 0 && seq != NULL)
		*seq = t->state.head;
	if (rc < 0)
		store_do(s, ST_ROLLBACK, NULL);
	store_txn_free(t);
	return rc;
}

size_t
sl_store_changes(const struct sl_store_txn *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_ops; i++)
		n += is_change(&t->ops[i]);
	return n;
}

static json_t *
diff(struct sl_store_txn *t, bool bodies)
{
	json_t *out = json_array(), *o;

	for (size_t i = 0; out != NULL && i < t->n_ops; i++) {
		const struct store_op *op = &t->ops[i];

		if (!is_change(op))
			continue;
		o = json_pack("{s:s, s:s, s:s}", "op", op->body != NULL ? "put" : "del", "kind",
			      sl_kind_name(op->kind), "id", op->id);
		if (o != NULL && bodies && op->body != NULL)
			json_object_set(o, "obj", op->body);
		if (o != NULL && bodies && op->was != NULL)
			json_object_set_new(o, "was", json_loads(op->was, 0, NULL));
		json_array_append_new(out, o);
	}
	return out;
}

json_t *
sl_store_diff(struct sl_store_txn *t)
{
	return diff(t, true);
}

json_t *
sl_store_diff_names(struct sl_store_txn *t)
{
	return diff(t, false);
}
