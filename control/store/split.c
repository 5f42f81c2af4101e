/* SPDX-License-Identifier: BSD-3-Clause */
/* A policy document as objects, each checked, written and hashed: what takes long, and needs no
 * transaction. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_policy_agents.h"
#include "sl_policy_doc.h"
#include "sl_policy_objects.h"
#include "store_int.h"

/* --- the document ----------------------------------------------------------------------------- */

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
	rc = store_policy_parse(copy, &out->model, e);
	if (rc == 0)
		rc = sl_policy_no_agent_zone(out->model, e);
	if (rc == 0)
		rc = store_keep_role_ids(s, out->model, e);
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

/* --- its parts -------------------------------------------------------------------------------- */

struct naming {
	const struct sl_store_split *split;
	struct sl_error *e;
};

/** It names what the same document has. */
static int
check_ref(void *ctx, enum sl_kind to, const char *to_id, unsigned flags, const char *path)
{
	struct naming *w = ctx;

	if ((flags & REF_MUST_EXIST) == 0 || store_split_part(w->split, to, to_id) != NULL)
		return 0;
	return store_no_such(to, to_id, path, w->e);
}

static int
make_part(struct sl_store_split *s, json_t *o, struct store_part *p, struct sl_error *e)
{
	struct naming naming = {s, e};
	struct store_index_ops ops = {.ref = check_ref, .ctx = &naming};
	struct store_body is = {0};
	int rc = sl_kind_parse(json_string_value(json_object_get(o, "kind")), &p->kind);

	p->id = json_string_value(json_object_get(o, "id"));
	p->body = json_object_get(o, "obj");
	if (rc == 0)
		rc = sl_object_check(p->kind, p->id, p->body, NULL, e);
	if (rc == 0)
		rc = store_index_walk(p->kind, p->id, p->body, &ops);
	if (rc == 0)
		rc = store_body_make(p->body, &is, e);
	if (rc < 0) {
		sl_error_under(e, "/%ss/%s", json_string_value(json_object_get(o, "kind")), p->id);
		return rc;
	}
	p->text = is.text;
	p->len = is.len;
	sl_object_hash(p->kind, p->id, p->text, p->len, p->hash);
	return 0;
}

/** Places in the list by "KIND/ID". */
static int
name_all(struct sl_store_split *s)
{
	char key[SL_OBJ_ID + 32];
	json_t *o;
	size_t i;

	s->at = json_object();
	json_array_foreach (s->objects, i, o) {
		snprintf(key, sizeof(key), "%s/%s", json_string_value(json_object_get(o, "kind")),
			 json_string_value(json_object_get(o, "id")));
		if (json_object_set_new(s->at, key, json_integer((json_int_t)i)) < 0)
			return -ENOMEM;
	}
	return s->at != NULL ? 0 : -ENOMEM;
}

static int
make_parts(struct sl_store_split *s, struct sl_error *e)
{
	size_t n = json_array_size(s->objects);
	int rc = name_all(s);

	s->parts = calloc(n + 1, sizeof(*s->parts));
	if (rc < 0 || s->parts == NULL)
		return store_no_memory(e);
	for (; rc == 0 && s->n < n; s->n++)
		rc = make_part(s, json_array_get(s->objects, s->n), &s->parts[s->n], e);
	return rc;
}

const struct store_part *
store_split_part(const struct sl_store_split *s, enum sl_kind k, const char *id)
{
	char key[SL_OBJ_ID + 32];
	json_t *at;

	snprintf(key, sizeof(key), "%s/%s", sl_kind_name(k), id);
	at = json_object_get(s->at, key);
	return at != NULL ? &s->parts[json_integer_value(at)] : NULL;
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
	p->was = sl_store_policy_version(s);
	if (rc == 0)
		rc = split(s, doc, p->was + 1, p, e);
	if (rc == 0)
		rc = make_parts(p, e);
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
	for (size_t i = 0; i < p->n; i++)
		free(p->parts[i].text);
	free(p->parts);
	sl_policy_free(p->model);
	json_decref(p->at);
	json_decref(p->objects);
	free(p);
}
