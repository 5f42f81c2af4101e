/* SPDX-License-Identifier: BSD-3-Clause */
/* A transaction of the primary: begun, filled with puts and dels, committed as one row of the log.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "alloc_int.h"
#include "sl_policy_agents.h"
#include "store_int.h"

/* --- begin and end ---------------------------------------------------------------------------- */

static int
may_write(struct sl_store *s, const struct store_state *st, struct sl_error *e)
{
	if (st->role == SL_STORE_PRIMARY)
		return 0;
	sl_fail(e, -EROFS, "readonly", "",
		"this data store follows another one and takes no changes");
	sl_hint(e, "%s%s", st->primary[0] != '\0' ? "the primary: " : "ask the primary",
		st->primary);
	return -EROFS;
}

struct sl_store_txn *
sl_store_begin(struct sl_store *s, const char *actor, const char *cause, struct sl_error *e)
{
	struct sl_store_txn *t;
	int rc;

	if (s->txn != NULL || s->load != NULL) {
		sl_fail(e, -EBUSY, "store_busy", "", "a transaction of this handle is open");
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (t == NULL || (t->at = json_object()) == NULL) {
		free(t);
		store_no_memory(e);
		return NULL;
	}
	t->s = s;
	t->wall_ns = store_now(s);
	snprintf(t->actor, sizeof(t->actor), "%s", actor);
	snprintf(t->cause, sizeof(t->cause), "%s", cause);
	rc = store_do(s, ST_BEGIN, e);
	if (rc == 0) {
		s->txn = t;
		rc = store_state_get(s, &t->state, e);
		if (rc == 0)
			rc = may_write(s, &t->state, e);
		if (rc == 0) {
			store_step(s, "begin");
			return t;
		}
		sl_store_abort(t);
		return NULL;
	}
	json_decref(t->at);
	free(t);
	return NULL;
}

static void
drop_body(struct store_op *op)
{
	json_decref(op->body);
	free(op->text);
	op->body = NULL;
	op->text = NULL;
}

void
store_txn_free(struct sl_store_txn *t)
{
	for (size_t i = 0; i < t->n_ops; i++) {
		free(t->ops[i].id);
		free(t->ops[i].was);
		drop_body(&t->ops[i]);
	}
	free(t->ops);
	json_decref(t->at);
	sl_store_split_free(t->split);
	t->s->txn = NULL;
	free(t);
}

void
sl_store_abort(struct sl_store_txn *t)
{
	if (t == NULL)
		return;
	store_do(t->s, ST_ROLLBACK, NULL);
	store_txn_free(t);
}

/* --- what is changed -------------------------------------------------------------------------- */

static struct store_op *
find_op(struct sl_store_txn *t, enum sl_kind k, const char *id)
{
	char key[SL_OBJ_ID + 32];
	json_t *at;

	snprintf(key, sizeof(key), "%s/%s", sl_kind_name(k), id);
	at = json_object_get(t->at, key);
	return at != NULL ? &t->ops[json_integer_value(at)] : NULL;
}

/** @param was taken over */
static struct store_op *
add_op(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t was_rev, char *was)
{
	size_t cap = t->cap_ops > 0 ? 2 * t->cap_ops : 16;
	char key[SL_OBJ_ID + 32];
	struct store_op *ops;

	if (t->n_ops == t->cap_ops) {
		ops = realloc(t->ops, cap * sizeof(*ops));
		if (ops == NULL)
			return NULL;
		t->ops = ops;
		t->cap_ops = cap;
	}
	snprintf(key, sizeof(key), "%s/%s", sl_kind_name(k), id);
	if (json_object_set_new(t->at, key, json_integer((json_int_t)t->n_ops)) < 0)
		return NULL;
	t->ops[t->n_ops] = (struct store_op){
		.kind = k, .id = strdup(id), .was_rev = was_rev, .rev = was_rev, .was = was};
	return &t->ops[t->n_ops++];
}

bool
store_txn_may_have_died(struct sl_store_txn *t, enum sl_kind k)
{
	sqlite3_stmt *st = t->died[k].asked ? NULL : store_stmt(t->s, ST_TOMB_ANY);

	if (t->died[k].asked)
		return t->died[k].any;
	if (st == NULL)
		return true;
	store_bind_text(st, 1, sl_kind_name(k));
	t->died[k].any = sqlite3_step(st) != SQLITE_DONE;
	t->died[k].asked = true;
	sqlite3_reset(st);
	return t->died[k].any;
}

/** Grows over deletions and restores, so that an older copy never looks newer. */
static uint64_t
next_rev(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t was)
{
	uint64_t dead = store_txn_may_have_died(t, k) ? store_tombstone_rev(t->s, k, id) : 0;
	uint64_t least = sl_epoch_rev_base(t->state.epoch.number), rev = SL_MAX(was, dead);

	return SL_MAX(rev, least) + 1;
}

static int
broken(struct sl_store_txn *t, struct sl_error *e)
{
	return sl_fail(e, t->broken, "transaction_failed", "",
		       "a write of this transaction failed; it can only be undone");
}

static void
note_kind(struct sl_store_txn *t, enum sl_kind k, const char *id, bool put)
{
	bool apart = k == SL_KIND_SETTING && strcmp(id, "separate_interfaces") == 0;

	t->policy |= sl_kind_is_policy(k);
	t->maps |= put && k == SL_KIND_ROLE_MAP;
	t->pools |=
		k == SL_KIND_ZONE || (put && (k == SL_KIND_POOL || k == SL_KIND_GATEWAY_INTERFACE));
	t->zones |= put && k == SL_KIND_ZONE && strcmp(id, SL_POL_AGENT_ZONE) != 0;
	/* an agent comes and goes with addresses of gateways */
	t->agents |= sl_kind_is_policy(k) || k == SL_KIND_POLICY || k == SL_KIND_GATEWAY ||
		     k == SL_KIND_GATEWAY_INTERFACE || apart;
	t->places |= apart || (put && k == SL_KIND_ALLOCATION);
	t->nets |= put && (k == SL_KIND_PEER || k == SL_KIND_GATEWAY);
}

static int
check_rev(uint64_t if_rev, bool there, uint64_t rev, enum sl_kind k, const char *id,
	  struct sl_error *e)
{
	if (if_rev == SL_REV_ANY || (if_rev == SL_REV_NONE && !there) || (there && if_rev == rev))
		return 0;
	if (!there)
		return sl_fail(e, -ENOENT, "not_found", "", "there is no %s \"%.100s\"",
			       sl_kind_name(k), id);
	if (if_rev == SL_REV_NONE) {
		sl_fail(e, -EEXIST, "exists", "", "%s \"%.100s\" is there already", sl_kind_name(k),
			id);
		sl_hint(e, "change it, or choose another name");
		return -EEXIST;
	}
	sl_fail(e, -ESTALE, "rev_mismatch", "", "%s \"%.100s\" is at rev %" PRIu64 ", not %" PRIu64,
		sl_kind_name(k), id, rev, if_rev);
	sl_hint(e, "somebody changed it: read it again");
	return -ESTALE;
}

/* --- put -------------------------------------------------------------------------------------- */

/** Passed all checks: write. @param was taken over, as is the text of `is` */
static int
write_put(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t was_rev, char *was,
	  struct store_body *is, struct sl_error *e)
{
	struct store_op *op = find_op(t, k, id);
	bool again = op != NULL;
	int rc;

	if (!again)
		op = add_op(t, k, id, was_rev, was);
	if (op == NULL || op->id == NULL) {
		t->broken = store_no_memory(e);
		free(op == NULL ? was : NULL);
		return t->broken;
	}
	if (op->body == NULL)
		op->rev = next_rev(t, k, id, op->was_rev);
	rc = store_object_put(t->s, k, id, op->rev, is, was, &t->state.sum, e);
	if (again)
		free(was);
	if (rc < 0) {
		t->broken = rc;
		return rc;
	}
	drop_body(op);
	op->body =
		is->frozen ? json_incref((json_t *)(uintptr_t)is->body) : json_deep_copy(is->body);
	if (op->body == NULL)
		return t->broken = store_no_memory(e);
	op->text = is->text;
	op->len = is->len;
	is->text = NULL;
	note_kind(t, k, id, true);
	store_step(t->s, "put");
	return 0;
}

/** Who makes a peer wants it let in. One that is there may be ended at any time, and put as it is.
 */
static int
check_end(const struct sl_store_txn *t, const json_t *peer, struct sl_error *e)
{
	const char *at = json_string_value(json_object_get(peer, "expires_at"));
	char now[SL_TIME_STR];
	uint64_t ns;

	if (at == NULL || sl_time_parse(at, &ns) != 0 || ns > t->wall_ns)
		return 0;
	sl_fail(e, -EINVAL, "expires_past", "/expires_at",
		"\"%.40s\" is not in the future: here it is %s", at, sl_time_str(t->wall_ns, now));
	sl_hint(e, "choose a later time, or leave it out for a peer without an end");
	return -EINVAL;
}

/** What the object before this one allows. @param was NULL: there is none */
static int
check_was(struct sl_store_txn *t, enum sl_kind k, const char *id, const char *was,
	  const json_t *body, struct sl_error *e)
{
	if (k == SL_KIND_PEER && was == NULL)
		return check_end(t, body, e);
	if (k == SL_KIND_GATEWAY_INTERFACE && was != NULL)
		return alloc_check_change(t->s, id, was, body, e);
	return 0;
}

void
sl_store_txn_confirms(struct sl_store_txn *t)
{
	t->confirms = true;
}

/** Documents are put by transactions that confirm nothing: their rules stay as they are. */
bool
store_txn_confirms(const struct sl_store_txn *t, enum sl_kind k, uint64_t rev)
{
	return t->confirms && (k == SL_KIND_PEER || k == SL_KIND_ROLE_MAP || k == SL_KIND_RULE) &&
	       rev <= sl_epoch_rev_base(t->state.epoch.number);
}

static int
put(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t if_rev, json_t *body,
    struct sl_error *e)
{
	struct store_body is = {0};
	uint64_t rev = 0;
	char *was = NULL;
	size_t len = 0;
	int rc;

	rc = store_object_get(t->s, k, id, &rev, &was, &len, e);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	rc = check_rev(if_rev, rc == 0, rev, k, id, e);
	if (rc == 0)
		rc = store_body_make(body, &is, e);
	if (rc == 0 && (was == NULL || len != is.len || memcmp(was, is.text, len) != 0 ||
			store_txn_confirms(t, k, rev))) {
		rc = store_index_check(t->s, k, id, body, e);
		if (rc == 0)
			rc = check_was(t, k, id, was, body, e);
		if (rc == 0) {
			rc = write_put(t, k, id, rev, was, &is, e);
			was = NULL;
		}
	}
	free(was);
	free(is.text);
	return rc;
}

int
store_put_checked(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t if_rev,
		  json_t *body, struct sl_error *e)
{
	json_t *marked = NULL;
	int rc = 0;

	if (t->broken)
		return broken(t, e);
	if (k == SL_KIND_TARGET)
		rc = store_withdrawn_mark(t->s, id, body, &marked, e);
	if (rc == 0)
		rc = put(t, k, id, if_rev, marked != NULL ? marked : body, e);
	json_decref(marked);
	if (rc == 0 && k == SL_KIND_MIGRATION)
		rc = store_withdrawn_follow(t, id, e);
	return rc;
}

int
store_put_part(struct sl_store_txn *t, const struct store_part *p, uint64_t rev, char *was,
	       struct sl_error *e)
{
	struct store_body is = {p->body, strndup(p->text, p->len), p->len, p->hash, true};
	int rc = t->broken ? broken(t, e) : is.text == NULL ? store_no_memory(e) : 0;

	if (rc == 0)
		rc = write_put(t, p->kind, p->id, rev, was, &is, e);
	else
		free(was);
	free(is.text);
	return rc;
}

int
sl_store_put(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t if_rev, json_t *body,
	     struct sl_error *e)
{
	int rc = t->broken ? broken(t, e) : sl_object_check(k, id, body, NULL, e);

	return rc == 0 ? store_put_checked(t, k, id, if_rev, body, e) : rc;
}

/* --- del -------------------------------------------------------------------------------------- */

struct referrer {
	enum sl_kind kind;
	char id[SL_OBJ_ID];
};

/** The first one who refers so. @param of its kind, "" any. @return 1 found, 0 none, or negative
 * errno */
static int
find_referrer(struct sl_store_txn *t, enum sl_kind k, const char *id, unsigned flags,
	      const char *of, struct referrer *out, char path[STORE_REF_PATH], struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(t->s, ST_REF_TO);
	int rc;

	if (st == NULL)
		return store_run(t->s, st, e);
	store_bind_text(st, 1, sl_kind_name(k));
	store_bind_text(st, 2, id);
	sqlite3_bind_int(st, 3, (int)flags);
	store_bind_text(st, 4, of);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		store_column(st, 1, out->id, sizeof(out->id));
		store_column(st, 2, path, STORE_REF_PATH);
		rc = sl_kind_parse((const char *)sqlite3_column_text(st, 0), &out->kind) == 0
			     ? 1
			     : sl_fail(e, -EBADMSG, "store_corrupt", "", "a reference of no kind");
	} else {
		rc = rc == SQLITE_DONE ? 0 : store_sql_error(t->s->db, rc, "read", e);
	}
	sqlite3_reset(st);
	return rc;
}

/** @param rules may name it */
static int
check_free(struct sl_store_txn *t, enum sl_kind k, const char *id, bool rules, struct sl_error *e)
{
	struct referrer by;
	char path[STORE_REF_PATH], with[SL_OBJ_ID + 40];
	int rc = find_referrer(t, k, id, REF_RESTRICT, "", &by, path, e);

	if (rc == 0 && rules && (k == SL_KIND_ROLE || k == SL_KIND_TARGET)) {
		by.kind = SL_KIND_RULE;
		rc = store_rule_referrer(t->s, k, id, by.id, path, e);
	}
	if (rc <= 0)
		return rc;
	snprintf(with, sizeof(with), "/with/%s/%s", sl_kind_name(by.kind), by.id);
	sl_fail(e, -EBUSY, "referenced", with, "%s \"%.80s\" refers to it at %s",
		sl_kind_name(by.kind), by.id, path[0] != '\0' ? path : "its id");
	sl_hint(e, "change or delete that %s first", sl_kind_name(by.kind));
	return -EBUSY;
}

/** A gateway goes: a peer's addresses at it go too. */
static int
drop_addresses(struct sl_store_txn *t, const char *peer, const char *gateway, struct sl_error *e)
{
	json_t *body = NULL, *list;
	int rc = sl_store_get(t->s, SL_KIND_PEER, peer, NULL, &body);

	if (rc < 0)
		return sl_fail(e, rc, "store_corrupt", "", "peer \"%.100s\" cannot be read", peer);
	list = json_object_get(body, "addresses");
	json_object_del(list, gateway);
	if (json_object_size(list) == 0)
		json_object_del(body, "addresses");
	rc = sl_store_put(t, SL_KIND_PEER, peer, SL_REV_ANY, body, e);
	json_decref(body);
	return rc;
}

/** Who cannot be without it: up to `max` of them, of one kind ("": of any). @return how many, or
 * negative errno */
static int
cascade(struct sl_store_txn *t, enum sl_kind k, const char *id, const char *of, int max,
	struct sl_error *e)
{
	struct referrer by;
	char path[STORE_REF_PATH];
	int n = 0, rc = 1;

	for (; n < max; n++) {
		rc = find_referrer(t, k, id, REF_CASCADE | REF_ADDRESSES, of, &by, path, e);
		if (rc <= 0)
			break;
		if (by.kind == SL_KIND_PEER)
			rc = drop_addresses(t, by.id, id, e);
		else
			rc = sl_store_del(t, by.kind, by.id, SL_REV_ANY, e);
		if (rc < 0)
			break;
	}
	return rc < 0 ? rc : n;
}

int
sl_store_del_dependents(struct sl_store_txn *t, enum sl_kind k, const char *id,
			const enum sl_kind *of, unsigned max, struct sl_error *e)
{
	if (t->broken)
		return broken(t, e);
	return cascade(t, k, id, of != NULL ? sl_kind_name(*of) : "", (int)max, e);
}

/** Whoever still knows a deleted token is told that it has ended. */
static int
revoke(struct sl_store_txn *t, const char *id, const char *was, struct sl_error *e)
{
	json_t *body = json_loads(was, 0, NULL), *until = json_object_get(body, "expires_at"), *crl;
	char name[SL_OBJ_ID];
	int rc;

	crl = json_object();
	if (crl != NULL && until != NULL)
		json_object_set(crl, "until", until);
	snprintf(name, sizeof(name), "token:%.100s", id);
	rc = crl != NULL ? sl_store_put(t, SL_KIND_CRL, name, SL_REV_ANY, crl, e)
			 : store_no_memory(e);
	json_decref(crl);
	json_decref(body);
	return rc;
}

/** @param was taken over */
static int
write_del(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t rev, char *was,
	  struct sl_error *e)
{
	struct store_op *op = find_op(t, k, id);
	int rc = store_object_del(t->s, k, id, was, &t->state.sum, e);

	if (op == NULL)
		op = add_op(t, k, id, rev, was);
	else
		free(was);
	if (rc < 0 || op == NULL || op->id == NULL)
		return t->broken = rc < 0 ? rc : store_no_memory(e);
	drop_body(op);
	op->rev = op->was_rev;
	note_kind(t, k, id, false);
	store_step(t->s, "del");
	return 0;
}

int
store_del_rule(struct sl_store_txn *t, const char *id, uint64_t rev, char *was, struct sl_error *e)
{
	if (!t->broken)
		return write_del(t, SL_KIND_RULE, id, rev, was, e);
	free(was);
	return broken(t, e);
}

static int
del(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t if_rev, bool rules,
    struct sl_error *e)
{
	uint64_t rev = 0;
	char *was = NULL;
	size_t len;
	int rc;

	if (t->broken)
		return broken(t, e);
	rc = store_object_get(t->s, k, id, &rev, &was, &len, e);
	if (rc == -ENOENT)
		return sl_fail(e, -ENOENT, "not_found", "", "there is no %s \"%.100s\"",
			       sl_kind_name(k), id);
	if (rc < 0)
		return rc;
	rc = if_rev == SL_REV_NONE ? -EINVAL : check_rev(if_rev, true, rev, k, id, e);
	if (rc == 0)
		rc = check_free(t, k, id, rules, e);
	if (rc == 0 && k == SL_KIND_PEER)
		rc = alloc_leave(t, id, e);
	if (rc == 0)
		rc = SL_MIN(cascade(t, k, id, "", INT_MAX, e), 0);
	if (rc == 0 && k == SL_KIND_TOKEN)
		rc = revoke(t, id, was, e);
	if (rc < 0) {
		free(was);
		return rc;
	}
	rc = write_del(t, k, id, rev, was, e);
	return rc == 0 && k == SL_KIND_MIGRATION ? store_withdrawn_follow(t, id, e) : rc;
}

int
sl_store_del(struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t if_rev,
	     struct sl_error *e)
{
	return del(t, k, id, if_rev, true, e);
}

int
store_del_unnamed(struct sl_store_txn *t, enum sl_kind k, const char *id, struct sl_error *e)
{
	return del(t, k, id, SL_REV_ANY, false, e);
}
