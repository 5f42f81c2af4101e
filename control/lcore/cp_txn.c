/* SPDX-License-Identifier: BSD-3-Clause */
/* A transaction is folded into the replica: all of it, or nothing where one operation cannot be
 * read. */
#include <stdio.h>
#include <stdlib.h>

#include "cp.h"
#include "sl_text.h"

/* In memory, where something is beside each object. */
#define BYTES_MAX ((size_t)(2 * SL_REPL_GATEWAY_BYTES))

/** An operation that has been read. */
struct fold {
	const json_t *op;
	const char *kind_name, *id;
	enum sl_kind kind;
	bool known, put; /* known: the kind */
	struct replica_obj *made;
};

/** @return 0; -EBADMSG, -ENOMEM. Nothing but `f` has changed */
static int
read_op(const struct sl_cp *cp, const json_t *op, struct fold *f, struct sl_error *e)
{
	const char *what = json_string_value(json_object_get(op, "op"));
	uint64_t rev = (uint64_t)json_integer_value(json_object_get(op, "rev"));
	const json_t *body = json_object_get(op, "obj");
	int rc;

	f->op = op;
	f->kind_name = json_string_value(json_object_get(op, "kind"));
	f->id = json_string_value(json_object_get(op, "id"));
	f->put = what != NULL && strcmp(what, "put") == 0;
	if (f->kind_name == NULL || !cp_is_id(f->id) ||
	    (!f->put && (what == NULL || strcmp(what, "del") != 0)) ||
	    (f->put && !json_is_object(body)))
		return sl_fail(e, -EBADMSG, "op_invalid", "/ops",
			       "an operation is a put or a del with kind and id");
	f->known = sl_kind_parse(f->kind_name, &f->kind) == 0;
	if (!f->known || !f->put)
		return 0;
	rc = sl_replica_make(cp->r, f->kind, f->id, rev, body, &f->made);
	return rc == 0	       ? 0
	       : rc == -ENOMEM ? gw_no_memory(e)
			       : sl_fail(e, -EBADMSG, "object_invalid", "/ops", "%s/%.100s",
					 f->kind_name, f->id);
}

static int
fold_put(struct sl_cp *cp, struct fold *f, uint64_t seq, struct sl_error *e)
{
	uint64_t rev = (uint64_t)json_integer_value(json_object_get(f->op, "rev"));

	if (sl_replica_enter(cp->r, f->kind, f->made) != 0)
		return gw_no_memory(e);
	f->made = NULL;
	cp_tomb_clear(cp, f->kind, f->id, rev, seq);
	return 0;
}

static void
fold_del(struct sl_cp *cp, const struct fold *f, uint64_t seq)
{
	uint64_t rev = (uint64_t)json_integer_value(json_object_get(f->op, "rev"));
	struct sl_replica_obj was;

	if (!sl_replica_get(cp->r, f->kind, f->id, &was))
		return;
	if (!json_is_true(json_object_get(f->op, "left"))) /* it exists, elsewhere */
		cp_tomb_add(cp, &was, rev, seq);
	sl_replica_del(cp->r, f->kind, f->id);
}

/* One that nobody here knows by name, as `authz_mode`: it is not for a control plane to set. */
static void
foreign(struct sl_cp *cp, const char *kind, const char *id)
{
	if (cp->ignored == NULL)
		cp->ignored = json_array();
	if (json_array_size(cp->ignored) < CP_IGNORED_MAX)
		json_array_append_new(cp->ignored, json_sprintf("%.40s/%.150s", kind, id));
	cp_forbidden(cp, kind, id, NULL);
}

static int
fold_op(struct sl_cp *cp, struct fold *f, uint64_t seq, struct sl_error *e)
{
	int rc = 0;

	if (!f->known) {
		foreign(cp, f->kind_name, f->id);
		return 0;
	}
	if (f->put)
		rc = fold_put(cp, f, seq, e);
	else
		fold_del(cp, f, seq);
	if (rc == 0 && cp_work_add(cp, f->kind, f->id) != 0)
		rc = gw_no_memory(e);
	return rc;
}

/** Transactions do not make more of it than a snapshot may have; a snapshot is asked for, which
 * tells what the source has by now. */
static int
check_room(struct sl_cp *cp, const struct fold *v, size_t n, struct sl_error *e)
{
	size_t puts = 0;

	for (size_t i = 0; i < n; i++)
		puts += v[i].made != NULL;
	if (puts == 0 || (sl_replica_count(cp->r) + puts <= cp->objects_max &&
			  sl_replica_bytes(cp->r) <= BYTES_MAX))
		return 0;
	sl_cp_resync(cp);
	sl_fail(e, -EBADMSG, "too_large", "/ops",
		"a transaction makes more than %zu objects or %zu MiB: what is there serves on",
		cp->objects_max, BYTES_MAX >> 20);
	sl_hint(e, "see what the source has in it");
	e->retry_after_ms = SL_REPL_TOO_LARGE_MS;
	return -EBADMSG;
}

/** @return 0; -EBADMSG: nothing has changed; -ENOMEM: some is folded in, and the whole comes again
 * when the source is dialled again, for the seq has not changed */
static int
fold(struct sl_cp *cp, const json_t *ops, uint64_t seq, struct sl_error *e)
{
	size_t n = json_array_size(ops);
	struct fold *v = calloc(n + 1, sizeof(*v));
	int rc = v != NULL ? 0 : gw_no_memory(e);

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = read_op(cp, json_array_get(ops, i), &v[i], e);
	if (rc == 0)
		rc = check_room(cp, v, n, e);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = fold_op(cp, &v[i], seq, e);
	for (size_t i = 0; v != NULL && i < n; i++)
		free(v[i].made);
	free(v);
	return rc;
}

int
cp_txn_take(struct sl_cp *cp, const json_t *txn, struct sl_error *e)
{
	const json_t *ops = json_object_get(txn, "ops"), *seq = json_object_get(txn, "seq");
	const char *chain = json_string_value(json_object_get(txn, "chain"));
	uint64_t n = (uint64_t)json_integer_value(seq), from = cp->seq;
	int rc;

	if (!json_is_array(ops) || !json_is_integer(seq) || n <= cp->seq ||
	    (chain != NULL && !sl_text_is_plain(chain)))
		return sl_fail(e, -EBADMSG, "txn_invalid", "", "no transaction that follows ours");
	rc = fold(cp, ops, n, e);
	if (rc != 0)
		return rc;
	cp->seq = n;
	snprintf(cp->chain, sizeof(cp->chain), "%s", chain != NULL ? chain : "");
	cp_journal_add(cp, from, ops);
	cp->in_op = true;
	cp_link_fresh(cp);
	cp_serve(cp);
	cp_cache_touch(cp);
	return 0;
}
