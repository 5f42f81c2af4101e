/* SPDX-License-Identifier: BSD-3-Clause */
/* A follower: rows of its source's log as they are, or all objects anew. Nothing is judged here but
 * where it fits: the primary has. */
#include <stdio.h>
#include <stdlib.h>

#include "store_int.h"

static int
need_follower(const struct store_state *st, struct sl_error *e)
{
	if (st->role == SL_STORE_FOLLOWER)
		return 0;
	return sl_fail(e, -EPERM, "not_a_follower", "",
		       "a primary's objects are changed by its own transactions alone");
}

static int
begin(struct sl_store *s, struct store_state *st, struct sl_error *e)
{
	int rc;

	if (s->txn != NULL || s->load != NULL)
		return sl_fail(e, -EBUSY, "store_busy", "", "a transaction of this handle is open");
	rc = store_do(s, ST_BEGIN, e);
	if (rc < 0)
		return rc;
	rc = store_state_get(s, st, e);
	if (rc == 0)
		rc = need_follower(st, e);
	if (rc < 0)
		store_do(s, ST_ROLLBACK, NULL);
	return rc;
}

/* --- one row ---------------------------------------------------------------------------------- */

static int
bad_row(struct sl_error *e, const char *what)
{
	return sl_fail(e, -EPROTO, "log_row_invalid", "", "a row of the source's log: %s", what);
}

static int
check_epoch(const struct store_state *st, const json_t *txn, struct sl_error *e)
{
	json_t *v = json_object_get(txn, "epoch");
	struct sl_epoch epoch;

	if (v == NULL)
		return 0;
	if (json_is_string(v) && strcmp(json_string_value(v), st->epoch.id) == 0)
		return 0;
	if (!json_is_string(v) && sl_epoch_parse(v, &epoch) == 0 &&
	    sl_epoch_same(&epoch, &st->epoch))
		return 0;
	return sl_fail(e, -EPROTO, "epoch_changed", "/epoch", "the source is in another epoch");
}

static int
check_place(const struct store_state *st, const json_t *txn, struct sl_error *e)
{
	json_int_t prev = json_integer_value(json_object_get(txn, "prev"));
	json_int_t seq = json_integer_value(json_object_get(txn, "seq"));

	if ((uint64_t)prev == st->head && seq > prev)
		return check_epoch(st, txn, e);
	return sl_fail(e, -EPROTO, "gap", "/prev",
		       "the row follows seq %" JSON_INTEGER_FORMAT ", we are at %" PRIu64, prev,
		       st->head);
}

/** Our chain and the source's must be one. After a snapshot that told none, the first is believed.
 */
static int
check_chain(struct store_state *st, const json_t *txn, const json_t *covered, struct sl_error *e)
{
	const char *its = json_string_value(json_object_get(txn, "chain"));

	if (its == NULL || strlen(its) >= sizeof(st->chain))
		return bad_row(e, "it has no chain");
	if (st->chain[0] == '\0' && st->head != 0) {
		snprintf(st->chain, sizeof(st->chain), "%s", its);
		return 0;
	}
	if (sl_chain_next(st->chain, covered) < 0)
		return store_no_memory(e);
	if (strcmp(st->chain, its) == 0)
		return 0;
	return sl_fail(e, -EINVAL, "diverged", "/chain", "the row does not continue what we have");
}

static int
kind_of(const json_t *op, enum sl_kind *k, struct sl_error *e)
{
	const char *name = json_string_value(json_object_get(op, "kind"));

	if (name != NULL && sl_kind_parse(name, k) == 0)
		return 0;
	sl_fail(e, -EPROTO, "kind_unknown", "", "the source holds objects of kind \"%.40s\"",
		name != NULL ? name : "");
	sl_hint(e, "bring this node to the version of its source");
	return -EPROTO;
}

static int
apply_put(struct sl_store *s, struct store_state *st, enum sl_kind k, const char *id, uint64_t rev,
	  const json_t *obj, struct sl_error *e)
{
	struct store_body is = {0};
	char *was = NULL;
	uint64_t was_rev;
	size_t len;
	int rc;

	if (!json_is_object(obj))
		return bad_row(e, "a put has no object");
	rc = store_object_get(s, k, id, &was_rev, &was, &len, e);
	if (rc == 0 || rc == -ENOENT)
		rc = store_body_make(obj, &is, e);
	if (rc == 0)
		rc = store_object_put(s, k, id, rev, &is, was, &st->sum, e);
	free(is.text);
	free(was);
	return rc;
}

static int
apply_del(struct sl_store *s, struct store_state *st, enum sl_kind k, const char *id,
	  struct sl_tombstone *tomb, struct sl_error *e)
{
	char *was = NULL;
	json_t *body;
	size_t len;
	int rc = store_object_get(s, k, id, &tomb->rev, &was, &len, e);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	body = json_loads(was, 0, NULL);
	rc = store_object_del(s, k, id, was, &st->sum, e);
	if (rc == 0 && store_tombstone_kind(k, body)) {
		tomb->kind = k;
		snprintf(tomb->id, sizeof(tomb->id), "%s", id);
		rc = store_tombstone_put(s, tomb, e);
	}
	json_decref(body);
	free(was);
	return rc;
}

/** A put in its own epoch clears a tombstone; what a revocation list says stays. */
static int
after_put(struct sl_store *s, enum sl_kind k, const char *id, uint64_t rev,
	  struct sl_tombstone *tomb, struct sl_error *e)
{
	if (k != SL_KIND_CRL)
		return store_tombstone_clear(s, k, id, e);
	tomb->kind = k;
	tomb->rev = rev;
	snprintf(tomb->id, sizeof(tomb->id), "%s", id);
	return store_tombstone_put(s, tomb, e);
}

static int
apply_op(struct sl_store *s, struct store_state *st, const json_t *op, uint64_t seq,
	 struct sl_error *e)
{
	const char *what = json_string_value(json_object_get(op, "op"));
	const char *id = json_string_value(json_object_get(op, "id"));
	uint64_t rev = (uint64_t)json_integer_value(json_object_get(op, "rev"));
	struct sl_tombstone tomb = {.epoch_number = st->epoch.number,
				    .seq = seq,
				    .wall_ns = store_now(s)};
	enum sl_kind k;
	int rc = kind_of(op, &k, e);

	if (rc < 0)
		return rc;
	if (what == NULL || id == NULL || strlen(id) >= SL_OBJ_ID)
		return bad_row(e, "an op is incomplete");
	if (strcmp(what, "del") == 0)
		return apply_del(s, st, k, id, &tomb, e);
	if (strcmp(what, "put") != 0)
		return bad_row(e, "an op is neither put nor del");
	rc = apply_put(s, st, k, id, rev, json_object_get(op, "obj"), e);
	return rc == 0 ? after_put(s, k, id, rev, &tomb, e) : rc;
}

static int
apply_row(struct sl_store *s, struct store_state *st, const json_t *txn, const json_t *covered,
	  struct sl_error *e)
{
	uint64_t seq = (uint64_t)json_integer_value(json_object_get(txn, "seq")), ts = 0;
	json_t *ops = json_object_get(txn, "ops"), *op;
	size_t i, len;
	char *text;
	int rc = json_is_array(ops) ? 0 : bad_row(e, "it has no ops");

	json_array_foreach (ops, i, op) {
		if (rc < 0)
			return rc;
		rc = apply_op(s, st, op, seq, e);
		if (rc < 0)
			sl_error_under(e, "/ops/%zu", i);
	}
	if (rc < 0)
		return rc;
	sl_time_parse(json_string_value(json_object_get(txn, "ts")) ?: "", &ts);
	st->head = seq;
	text = sl_canon(covered, &len);
	rc = text != NULL ? store_log_append(s, seq, ts, st->chain, text, len, e)
			  : store_no_memory(e);
	free(text);
	store_step(s, "log");
	return rc == 0 ? store_state_set(s, st, e) : rc;
}

int
sl_store_follow(struct sl_store *s, json_t *txn, struct sl_error *e)
{
	json_t *covered = store_log_covered(txn);
	struct store_state st;
	int rc = covered != NULL ? begin(s, &st, e) : store_no_memory(e);

	if (rc < 0) {
		json_decref(covered);
		return rc;
	}
	rc = check_place(&st, txn, e);
	if (rc == 0)
		rc = check_chain(&st, txn, covered, e);
	if (rc == 0)
		rc = apply_row(s, &st, txn, covered, e);
	if (rc == 0)
		rc = store_do(s, ST_COMMIT, e);
	if (rc < 0)
		store_do(s, ST_ROLLBACK, NULL);
	json_decref(covered);
	return rc;
}

/* --- a snapshot ------------------------------------------------------------------------------- */

struct store_load {
	struct store_state state;
	uint64_t count;
};

/** What was there and leaves a tombstone if the snapshot has it no more. */
static const char remember[] =
	"CREATE TEMP TABLE IF NOT EXISTS was (kind TEXT, id TEXT, rev INTEGER,"
	" PRIMARY KEY (kind, id)) WITHOUT ROWID;"
	"DELETE FROM temp.was;"
	"INSERT INTO temp.was SELECT kind, id, rev FROM object WHERE kind IN ('peer', 'role_map',"
	" 'token') OR (kind = 'rule' AND json_extract(body, '$.action') = 'allow');"
	"DELETE FROM object; DELETE FROM uniq; DELETE FROM ref; DELETE FROM net; DELETE FROM log;";

int
sl_store_load_begin(struct sl_store *s, const struct sl_epoch *epoch, uint64_t seq,
		    const char *chain, struct sl_error *e)
{
	struct store_load *l = calloc(1, sizeof(*l));
	int rc = l != NULL ? begin(s, &l->state, e) : store_no_memory(e);

	if (rc < 0) {
		free(l);
		return rc;
	}
	l->state.epoch = *epoch;
	l->state.head = l->state.base_seq = seq;
	snprintf(l->state.chain, sizeof(l->state.chain), "%s", chain != NULL ? chain : "");
	snprintf(l->state.base_chain, sizeof(l->state.base_chain), "%s", l->state.chain);
	l->state.sum = (struct sl_hash_sum){0};
	s->load = l;
	rc = store_exec(s->db, remember, e);
	if (rc < 0)
		sl_store_load_abort(s);
	return rc;
}

int
sl_store_load_part(struct sl_store *s, json_t *objects, struct sl_error *e)
{
	struct store_load *l = s->load;
	const char *id;
	enum sl_kind k;
	json_t *o;
	size_t i;
	int rc = l != NULL ? 0 : -EINVAL;

	json_array_foreach (objects, i, o) {
		id = json_string_value(json_object_get(o, "id"));
		rc = rc == 0 ? kind_of(o, &k, e) : rc;
		if (rc == 0 && (id == NULL || strlen(id) >= SL_OBJ_ID))
			rc = bad_row(e, "an object has no id");
		if (rc == 0)
			rc = apply_put(s, &l->state, k, id,
				       (uint64_t)json_integer_value(json_object_get(o, "rev")),
				       json_object_get(o, "obj"), e);
		if (rc < 0) {
			sl_error_under(e, "/objects/%zu", i);
			return rc;
		}
		l->count++;
	}
	return rc;
}

/** What the snapshot has not, was deleted; what it has newer than its tombstone, is alive. */
static int
settle_tombstones(struct sl_store *s, const struct store_state *st, struct sl_error *e)
{
	static const char bury[] =
		"INSERT OR REPLACE INTO tombstone (kind, id, rev, epoch, seq, wall_ns)"
		" SELECT kind, id, rev, ?1, ?2, ?3 FROM temp.was WHERE NOT EXISTS (SELECT 1 FROM "
		"object o WHERE o.kind = was.kind AND o.id = was.id)";
	static const char raise[] =
		"DELETE FROM tombstone WHERE kind <> 'crl' AND EXISTS (SELECT 1 FROM object o"
		" WHERE o.kind = tombstone.kind AND o.id = tombstone.id AND (o.rev > tombstone.rev"
		" OR tombstone.epoch = ?1))";
	const char *const sql[] = {bury, raise};
	sqlite3_stmt *q;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < SL_ARRAY_SIZE(sql); i++) {
		if (sqlite3_prepare_v2(s->db, sql[i], -1, &q, NULL) != SQLITE_OK)
			return store_sql_error(s->db, sqlite3_errcode(s->db), "snapshot", e);
		sqlite3_bind_int64(q, 1, (sqlite3_int64)st->epoch.number);
		if (i == 0) {
			sqlite3_bind_int64(q, 2, (sqlite3_int64)st->head);
			sqlite3_bind_int64(q, 3, (sqlite3_int64)store_now(s));
		}
		rc = store_run(s, q, e);
		sqlite3_finalize(q);
	}
	return rc;
}

int
sl_store_load_end(struct sl_store *s, uint64_t count, const struct sl_hash_sum *sum,
		  struct sl_error *e)
{
	struct store_load *l = s->load;
	int rc = 0;

	if (l == NULL)
		return -EINVAL;
	if (count != l->count || memcmp(sum, &l->state.sum, sizeof(*sum)) != 0)
		rc = sl_fail(e, -EBADMSG, "hash_mismatch", "",
			     "the snapshot is not what its source says: %" PRIu64
			     " objects of %" PRIu64,
			     l->count, count);
	if (rc == 0)
		rc = settle_tombstones(s, &l->state, e);
	if (rc == 0)
		rc = store_state_set(s, &l->state, e);
	store_step(s, "load");
	if (rc == 0)
		rc = store_do(s, ST_COMMIT, e);
	if (rc < 0) {
		sl_store_load_abort(s);
		return rc;
	}
	free(l);
	s->load = NULL;
	return 0;
}

void
sl_store_load_abort(struct sl_store *s)
{
	if (s->load == NULL)
		return;
	store_do(s, ST_ROLLBACK, NULL);
	free(s->load);
	s->load = NULL;
}
