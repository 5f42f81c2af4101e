/* SPDX-License-Identifier: BSD-3-Clause */
/* The policy document as a whole: from objects to a checked model, from a document to objects. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_policy_agents.h"
#include "sl_policy_doc.h"
#include "sl_policy_objects.h"
#include "store_int.h"

#define TEXTS_KEPT 50

static const enum sl_kind parts[] = {SL_KIND_RULE, SL_KIND_ROLE, SL_KIND_TARGET, SL_KIND_ZONE};

/* --- model of what is there ------------------------------------------------------------------- */

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

static int
parse(const json_t *doc, struct sl_policy **out, struct sl_error *e)
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
join(struct sl_store *s, struct joining *w, struct sl_error *e)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < SL_ARRAY_SIZE(parts); i++)
		rc = sl_store_walk(s, parts[i], "", join_row, w, e);
	if (rc == 0 && w->rc < 0)
		rc = sl_fail(e, w->rc, "store_corrupt", "", "a part of the policy cannot be read");
	return rc;
}

int
store_policy_model(struct sl_store *s, struct sl_policy **out, struct sl_error *e)
{
	struct joining w = {sl_policy_join_new(), 0, 0};
	json_t *doc = NULL;
	int rc = w.j != NULL ? join(s, &w, e) : store_no_memory(e);

	*out = NULL;
	if (rc == 0 && w.n > 0) {
		doc = sl_policy_join_done(w.j);
		rc = doc != NULL ? parse(doc, out, e) : store_no_memory(e);
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

struct sl_store_split {
	uint32_t was;		 /* the version that it was made for */
	struct sl_policy *model; /* with each number chosen */
	json_t *objects;
};

/* --- from a document -------------------------------------------------------------------------- */

struct known_roles {
	struct sl_pol_role_id *v;
	unsigned n;
};

static bool
known_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct known_roles *w = ctx;
	json_t *body = json_loadb(text, len, 0, NULL);

	snprintf(w->v[w->n].name, sizeof(w->v->name), "%s", id);
	w->v[w->n].id = (uint32_t)json_integer_value(json_object_get(body, "id"));
	w->n += w->v[w->n].id != 0;
	json_decref(body);
	return true;
}

/** Roles that are known keep their number where the document names none, and no new one gets that
 * of a role which goes: records hold it. */
static int
keep_role_ids(struct sl_store *s, struct sl_policy *p, struct sl_error *e)
{
	struct known_roles w = {calloc(sl_store_count(s, SL_KIND_ROLE) + 1, sizeof(*w.v)), 0};
	int rc = w.v != NULL ? sl_store_walk(s, SL_KIND_ROLE, "", known_row, &w, e)
			     : store_no_memory(e);

	rc = rc == 0 ? sl_policy_keep_role_ids(p, w.v, w.n, e) : rc;
	free(w.v);
	return rc;
}

/** Parsed, checked, with every number chosen, and split. */
static int
split(struct sl_store *s, const json_t *doc, uint32_t version, struct sl_store_split *out,
      struct sl_error *e)
{
	json_t *copy = json_deep_copy(doc), *whole = NULL;
	int rc;

	if (copy == NULL)
		return store_no_memory(e);
	json_object_set_new(copy, "version", json_integer(version));
	rc = parse(copy, &out->model, e);
	if (rc == 0)
		rc = sl_policy_no_agent_zone(out->model, e);
	if (rc == 0)
		rc = keep_role_ids(s, out->model, e);
	if (rc == 0)
		rc = sl_policy_check(out->model, NULL, store_now(s), e);
	if (rc == 0) {
		whole = sl_policy_doc_emit(out->model);
		rc = whole != NULL ? sl_policy_split(whole, version, &out->objects, e)
				   : store_no_memory(e);
	}
	json_decref(whole);
	json_decref(copy);
	return rc;
}

static int
check_objects(json_t *objects, struct sl_error *e)
{
	enum sl_kind k;
	json_t *o;
	size_t i;
	int rc = 0;

	json_array_foreach (objects, i, o) {
		const char *kind = json_string_value(json_object_get(o, "kind"));
		const char *id = json_string_value(json_object_get(o, "id"));

		rc = sl_kind_parse(kind, &k);
		if (rc == 0)
			rc = sl_object_check(k, id, json_object_get(o, "obj"), NULL, e);
		if (rc != 0) {
			sl_error_under(e, "/%ss/%s", kind, id);
			return rc;
		}
	}
	return 0;
}

/** Objects of the document by "KIND/ID". */
static json_t *
by_name(const json_t *objects)
{
	json_t *out = json_object(), *o;
	char key[SL_OBJ_ID + 32];
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)objects, i, o) {
		snprintf(key, sizeof(key), "%s/%s", json_string_value(json_object_get(o, "kind")),
			 json_string_value(json_object_get(o, "id")));
		if (json_object_set(out, key, o) < 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

struct gone {
	const json_t *is;
	json_t *ids; /* array */
};

static bool
gone_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct gone *g = ctx;
	char key[SL_OBJ_ID + 32];

	if (k == SL_KIND_ZONE && strcmp(id, SL_POL_AGENT_ZONE) == 0) /* beside the document's own */
		return true;
	snprintf(key, sizeof(key), "%s/%s", sl_kind_name(k), id);
	if (json_object_get(g->is, key) == NULL)
		json_array_append_new(g->ids, json_string(id));
	return true;
}

/** What the document has no more. */
static int
drop_gone(struct sl_store_txn *t, const json_t *is, enum sl_kind k, struct sl_error *e)
{
	struct gone g = {is, json_array()};
	json_t *v;
	size_t i;
	int rc = sl_store_walk(t->s, k, "", gone_row, &g, e);

	json_array_foreach (g.ids, i, v) {
		if (rc < 0)
			break;
		rc = sl_store_del(t, k, json_string_value(v), SL_REV_ANY, e);
		if (rc == -EBUSY)
			sl_error_under(e, "/%ss/%s", sl_kind_name(k), json_string_value(v));
	}
	json_decref(g.ids);
	return rc;
}

static int
put_part(struct sl_store_txn *t, json_t *objects, enum sl_kind k, struct sl_error *e)
{
	json_t *o;
	size_t i;
	int rc;

	json_array_foreach (objects, i, o) {
		if (strcmp(json_string_value(json_object_get(o, "kind")), sl_kind_name(k)) != 0)
			continue;
		rc = store_put_checked(t, k, json_string_value(json_object_get(o, "id")),
				       SL_REV_ANY, json_object_get(o, "obj"), e);
		if (rc < 0) {
			sl_error_under(e, "/%ss/%s", sl_kind_name(k),
				       json_string_value(json_object_get(o, "id")));
			return rc;
		}
	}
	return 0;
}

/** Rules that are no more go first, for they refer to others; then what others refer to comes,
 * then rules, then goes what nobody may refer to any more. */
static int
apply(struct sl_store_txn *t, json_t *objects, struct sl_error *e)
{
	static const enum sl_kind come[] = {SL_KIND_ZONE, SL_KIND_TARGET, SL_KIND_ROLE,
					    SL_KIND_RULE, SL_KIND_POLICY};
	json_t *is = by_name(objects);
	int rc = is != NULL ? drop_gone(t, is, SL_KIND_RULE, e) : store_no_memory(e);

	for (unsigned i = 0; rc == 0 && i < SL_ARRAY_SIZE(come); i++)
		rc = put_part(t, objects, come[i], e);
	for (unsigned i = 1; rc == 0 && i < SL_ARRAY_SIZE(parts); i++)
		rc = drop_gone(t, is, parts[i], e);
	json_decref(is);
	return rc;
}

static int
put_text(struct sl_store_txn *t, uint32_t version, const char *text, struct sl_error *e)
{
	char id[16], at[SL_TIME_STR];
	json_t *body;
	int rc;

	if (version > TEXTS_KEPT) {
		snprintf(id, sizeof(id), "%u", version - TEXTS_KEPT);
		rc = sl_store_del(t, SL_KIND_POLICY_TEXT, id, SL_REV_ANY, e);
		if (rc < 0 && rc != -ENOENT)
			return rc;
	}
	snprintf(id, sizeof(id), "%u", version);
	body = json_pack("{s:s, s:s, s:s, s:s}", "text", text, "actor", t->actor, "comment",
			 t->cause, "at", sl_time_str(t->wall_ns, at));
	if (body == NULL)
		return sl_fail(e, -EINVAL, "json_syntax", "", "the document is no UTF-8");
	rc = sl_store_put(t, SL_KIND_POLICY_TEXT, id, SL_REV_ANY, body, e);
	json_decref(body);
	return rc;
}

static uint32_t
version_now(struct sl_store *s)
{
	json_t *body = NULL;
	uint32_t v = 0;

	if (sl_store_get(s, SL_KIND_POLICY, "policy", NULL, &body) == 0)
		v = (uint32_t)json_integer_value(json_object_get(body, "version"));
	json_decref(body);
	return v;
}

struct sl_store_split *
sl_store_split_new(struct sl_store *s, const json_t *doc, struct sl_error *e)
{
	struct sl_store_split *p = calloc(1, sizeof(*p));
	int rc = 0;

	if (p == NULL) {
		store_no_memory(e);
		return NULL;
	}
	if (!json_is_object(doc))
		rc = sl_fail(e, -EINVAL, "field_type", "", "a document is an object");
	p->was = version_now(s);
	if (rc == 0)
		rc = split(s, doc, p->was + 1, p, e);
	if (rc == 0)
		rc = check_objects(p->objects, e);
	if (rc == 0)
		return p;
	sl_store_split_free(p);
	return NULL;
}

void
sl_store_split_free(struct sl_store_split *p)
{
	if (p == NULL)
		return;
	sl_policy_free(p->model);
	json_decref(p->objects);
	free(p);
}

int
sl_store_put_policy(struct sl_store_txn *t, json_t *doc, const struct sl_store_split *split,
		    const char *text, uint64_t if_version, uint32_t *version, struct sl_error *e)
{
	uint32_t was = version_now(t->s);
	int rc;

	if (if_version != SL_REV_ANY && if_version != was) {
		sl_fail(e, -ESTALE, "version_mismatch", "/version",
			"the document in force is version %u, not %" PRIu64, was, if_version);
		sl_hint(e, "somebody changed it: read it again");
		return -ESTALE;
	}
	if (split == NULL || split->was != was) {
		sl_store_split_free(t->split);
		split = t->split = sl_store_split_new(t->s, doc, e);
	}
	rc = split != NULL ? apply(t, split->objects, e) : e->err;
	if (rc == 0)
		rc = put_text(t, was + 1, text, e);
	if (rc < 0)
		return rc;
	t->policy_checked = true;
	t->model = split->model;
	*version = was + 1;
	return 0;
}
