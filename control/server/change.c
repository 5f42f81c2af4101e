/* SPDX-License-Identifier: BSD-3-Clause */
#include "change.h"

#include <stdio.h>

#include "history.h"
#include "kept.h"
#include "sl_trail.h"

#define MANY 5000 /* objects: their bodies are more than a row of the audit holds */

/* --- whom it concerns ------------------------------------------------------------------------- */

struct concerned {
	json_t *names; /* found so far */
	json_t *seen;  /* interfaces whose gateways are among them */
	enum sl_scope scope;
	char which[SL_OBJ_SCOPE]; /* interface or gateway */
};

static void
add_name(json_t *names, const char *id)
{
	json_t *v;
	size_t i;

	json_array_foreach (names, i, v) {
		if (strcmp(json_string_value(v), id) == 0)
			return;
	}
	json_array_append_new(names, json_string(id));
}

static bool
serves(const json_t *gateway, const char *iface)
{
	json_t *list = json_object_get(gateway, "interfaces"), *v;
	size_t i;

	json_array_foreach (list, i, v) {
		if (strcmp(json_string_value(v), iface) == 0)
			return true;
	}
	return false;
}

static bool
each_gateway(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct concerned *w = ctx;
	json_t *body = json_loadb(text, len, 0, NULL);

	if (!json_is_false(json_object_get(body, "enabled")) &&
	    (w->scope != SL_SCOPE_INTERFACE || strcmp(w->which, "*") == 0 ||
	     serves(body, w->which)))
		add_name(w->names, id);
	json_decref(body);
	return true;
}

/** Not looked for yet? */
static bool
is_new(struct concerned *w)
{
	const char *key = w->scope == SL_SCOPE_INTERFACE ? w->which : "*";

	if (json_object_get(w->seen, key) != NULL)
		return false;
	json_object_set_new(w->seen, key, json_true());
	return true;
}

static void
concern(struct sl_store_txn *t, struct concerned *w, const json_t *op)
{
	const char *kind = json_string_value(json_object_get(op, "kind"));
	const char *id = json_string_value(json_object_get(op, "id"));
	static const char *const sides[] = {"obj", "was"};
	enum sl_kind k;

	if (kind == NULL || id == NULL || sl_kind_parse(kind, &k) != 0)
		return;
	w->scope = sl_kind_scope(k);
	for (unsigned i = 0; i < 2; i++) {
		const json_t *body = json_object_get(op, sides[i]);

		if (!json_is_object(body) || w->scope == SL_SCOPE_STORES ||
		    sl_object_scope(k, id, body, w->which) != 0)
			continue;
		if (w->scope == SL_SCOPE_GATEWAY)
			add_name(w->names, w->which);
		else if (is_new(w))
			sl_store_txn_walk(t, SL_KIND_GATEWAY, "", each_gateway, w, NULL);
	}
}

static json_t *
gateways_of(struct sl_store_txn *t, const json_t *diff)
{
	struct concerned w = {.names = json_array(), .seen = json_object()};
	json_t *op;
	size_t i;

	json_array_foreach ((json_t *)diff, i, op) {
		concern(t, &w, op);
	}
	json_decref(w.seen);
	return w.names;
}

/* --- the transaction -------------------------------------------------------------------------- */

struct sl_store_txn *
change_begin(struct sl_call *c, struct sl_error *e)
{
	char cause[160];

	snprintf(cause, sizeof(cause), "%s%s%s", c->id, c->q[SL_Q_COMMENT] != NULL ? " " : "",
		 c->q[SL_Q_COMMENT] != NULL ? c->q[SL_Q_COMMENT] : "");
	return sl_store_begin(c->store, c->who.name, cause, e);
}

/** Of its own: the store's shares the bodies that are to be committed. Of many objects the audit
 * keeps the names alone: it has no use for the rest. */
static json_t *
plain_diff(const struct sl_call *c, struct sl_store_txn *t)
{
	json_t *shared, *diff;

	if (!sl_call_dry_run(c) && sl_store_changes(t) > MANY)
		return sl_store_diff_names(t);
	shared = sl_store_diff(t);
	diff = json_deep_copy(shared);

	json_decref(shared);
	sl_trail_clean(diff);
	return diff;
}

static int
dry_run(struct sl_call *c, struct sl_store_txn *t, json_t *diff, struct sl_error *e)
{
	json_t *gateways = gateways_of(t, diff);

	c->done = true;
	return sl_call_answer(c, 200,
			      json_pack("{s:b, s:O, s:o}", "dry_run", 1, "diff", diff, "gateways",
					gateways),
			      e);
}

/** @param last the request is done with it */
static int
end(struct sl_call *c, struct sl_store_txn *t, int rc, bool last, struct sl_error *e)
{
	json_t *diff;

	if (rc == 0 && sl_call_dry_run(c))
		rc = sl_store_try(t, e);
	diff = rc == 0 ? plain_diff(c, t) : NULL;
	if (rc == 0 && diff == NULL)
		rc = sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the change");
	if (rc == 0) {
		rc = sl_call_dry_run(c) ? dry_run(c, t, diff, e) : history_add(c, diff, e);
	}
	if (rc == 0 && last && !sl_call_dry_run(c))
		rc = kept_claim(c, e);
	json_decref(diff);
	if (rc != 0 || sl_call_dry_run(c)) {
		sl_store_abort(t);
		return rc;
	}
	rc = sl_store_commit(t, &c->seq, e);
	c->changed |= rc == 0;
	return rc;
}

int
change_end(struct sl_call *c, struct sl_store_txn *t, int rc, struct sl_error *e)
{
	return end(c, t, rc, true, e);
}

int
change_part(struct sl_call *c, struct sl_store_txn *t, int rc, struct sl_error *e)
{
	return end(c, t, rc, false, e);
}
