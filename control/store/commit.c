/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a transaction: its row of the log, its tombstones, where the store then stands. */
#include <stdio.h>
#include <stdlib.h>

#include "store_int.h"

#define MANY 1000 /* objects */

/** Was there anything to do? What came and went inside the transaction leaves no trace. */
bool
store_op_is_change(const struct store_op *op)
{
	return op->was != NULL || op->body != NULL;
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
		return store_txn_may_have_died(t, op->kind)
			       ? store_tombstone_clear(t->s, op->kind, op->id, e)
			       : 0;
	was = json_loads(op->was, 0, NULL);
	leaves = store_tombstone_kind(op->kind, was);
	json_decref(was);
	if (!leaves)
		return 0;
	snprintf(tomb.id, sizeof(tomb.id), "%s", op->id);
	return store_tombstone_put(t->s, &tomb, e);
}

/** The chain goes on over what it covers; the row says more. */
static int
append_row(struct sl_store_txn *t, struct sl_error *e)
{
	size_t covered_len = 0, len = 0;
	char *covered = store_row_text(t, false, &covered_len);
	char *text = covered != NULL ? store_row_text(t, true, &len) : NULL;
	int rc = text != NULL ? sl_chain_next_text(t->state.chain, covered, covered_len) : -ENOMEM;

	free(covered);
	if (rc == 0)
		rc = store_log_append(t->s, ++t->state.head, t->wall_ns, t->state.chain, text, len,
				      e);
	else
		rc = store_no_memory(e);
	free(text);
	return rc;
}

static int
write_row(struct sl_store_txn *t, struct sl_error *e)
{
	int rc = append_row(t, e);

	store_step(t->s, "log");
	for (size_t i = 0; rc == 0 && i < t->n_ops; i++)
		if (store_op_is_change(&t->ops[i]))
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
	int rc = sl_store_try(t, e);

	if (rc == 0 && t->policy)
		rc = store_note_role_ids(t, e);
	if (rc == 0 && sl_store_changes(t) > 0) {
		rc = write_row(t, e);
		if (rc == 0)
			rc = store_do(s, ST_COMMIT, e);
		store_step(s, "commit");
	} else if (rc == 0) {
		rc = store_do(s, ST_ROLLBACK, e);
	}
	if (rc == 0 && seq != NULL)
		*seq = t->state.head;
	if (rc < 0)
		store_do(s, ST_ROLLBACK, NULL);
	if (t->n_ops > MANY) /* what it filled is not needed for the next one */
		sqlite3_db_release_memory(s->db);
	store_txn_free(t);
	return rc;
}

size_t
sl_store_changes(const struct sl_store_txn *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_ops; i++)
		n += store_op_is_change(&t->ops[i]);
	return n;
}

static json_t *
diff(struct sl_store_txn *t, bool bodies)
{
	json_t *out = json_array(), *o;

	for (size_t i = 0; out != NULL && i < t->n_ops; i++) {
		const struct store_op *op = &t->ops[i];

		if (!store_op_is_change(op))
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
