/* SPDX-License-Identifier: BSD-3-Clause */
/* The policy document that is there: from its objects to a checked model. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_policy_doc.h"
#include "sl_policy_objects.h"
#include "store_int.h"

const enum sl_kind store_policy_kinds[STORE_POLICY_KINDS] = {SL_KIND_RULE, SL_KIND_ROLE,
							     SL_KIND_TARGET, SL_KIND_ZONE};

struct joining {
	struct sl_policy_join *j;
	size_t n;
	int rc;
};

static bool
join_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct joining *w = ctx;
	json_t *body = json_loadb(text, len, 0, NULL);

	w->rc = body != NULL ? sl_policy_join_add(w->j, k, id, body) : -EBADMSG;
	w->n++;
	json_decref(body);
	return w->rc == 0;
}

int
store_policy_parse(const json_t *doc, struct sl_policy **out, struct sl_error *e)
{
	char *text = json_dumps(doc, JSON_COMPACT);
	int rc;

	if (text == NULL)
		return store_no_memory(e);
	rc = sl_policy_doc_parse(text, strlen(text), out, e);
	free(text);
	return rc;
}

static int
join(struct sl_store *s, const enum sl_kind *kinds, unsigned n, struct joining *w,
     struct sl_error *e)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < n; i++)
		rc = sl_store_walk(s, kinds[i], "", join_row, w, e);
	if (rc == 0 && w->rc < 0)
		rc = sl_fail(e, w->rc, "store_corrupt", "", "a part of the policy cannot be read");
	return rc;
}

/** @param[out] out NULL: there is nothing of these kinds */
static int
model_of(struct sl_store *s, const enum sl_kind *kinds, unsigned n, struct sl_policy **out,
	 struct sl_error *e)
{
	struct joining w = {sl_policy_join_new(), 0, 0};
	json_t *doc = NULL;
	int rc = w.j != NULL ? join(s, kinds, n, &w, e) : store_no_memory(e);

	*out = NULL;
	if (rc == 0 && w.n > 0) {
		doc = sl_policy_join_done(w.j);
		rc = doc != NULL ? store_policy_parse(doc, out, e) : store_no_memory(e);
	}
	json_decref(doc);
	sl_policy_join_free(w.j);
	/* at its own time each rule was good: what has ended since is no fault */
	if (rc == 0 && *out != NULL)
		rc = sl_policy_check(*out, NULL, 0, e);
	if (rc < 0) {
		sl_policy_free(*out);
		*out = NULL;
	}
	return rc;
}

int
store_policy_model(struct sl_store *s, struct sl_policy **out, struct sl_error *e)
{
	return model_of(s, store_policy_kinds, STORE_POLICY_KINDS, out, e);
}

int
store_policy_zones(struct sl_store *s, struct sl_policy **out, struct sl_error *e)
{
	static const enum sl_kind kinds[] = {SL_KIND_POLICY, SL_KIND_ZONE};

	return model_of(s, kinds, SL_ARRAY_SIZE(kinds), out, e);
}

uint32_t
sl_store_policy_version(struct sl_store *s)
{
	json_t *body = NULL;
	uint32_t v = 0;

	if (sl_store_get(s, SL_KIND_POLICY, "policy", NULL, &body) == 0)
		v = (uint32_t)json_integer_value(json_object_get(body, "version"));
	json_decref(body);
	return v;
}

/* --- who names what --------------------------------------------------------------------------- */

struct search {
	enum sl_kind kind;
	const char *id;
	char *path; /* where it was found */
	char *by;   /* rule */
	bool found;
};

static int
note_ref(void *ctx, enum sl_kind to, const char *to_id, unsigned flags, const char *path)
{
	struct search *w = ctx;

	if (to != w->kind || strcmp(to_id, w->id) != 0)
		return 0;
	snprintf(w->path, STORE_REF_PATH, "%s", path);
	return 1;
}

static bool
search_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct search *w = ctx;
	struct store_index_ops ops = {.ref = note_ref, .ctx = w};
	json_t *body;

	/* few rules hold the name at all */
	if (memmem(text, len, w->id, strlen(w->id)) == NULL)
		return true;
	body = json_loadb(text, len, 0, NULL);
	w->found = store_index_walk(k, id, body, &ops) == 1;
	snprintf(w->by, SL_OBJ_ID, "%s", id);
	json_decref(body);
	return !w->found;
}

int
store_rule_referrer(struct sl_store *s, enum sl_kind k, const char *id, char by[SL_OBJ_ID],
		    char path[STORE_REF_PATH], struct sl_error *e)
{
	struct search w = {k, id, path, by, false};
	int rc = sl_store_walk(s, SL_KIND_RULE, "", search_row, &w, e);

	return rc < 0 ? rc : w.found;
}
