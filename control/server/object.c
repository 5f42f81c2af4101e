/* SPDX-License-Identifier: BSD-3-Clause */
#include "object.h"

#include <stdio.h>
#include <stdlib.h>

#include "change.h"
#include "page.h"
#include "sl_json.h"

void
object_location(struct sl_call *c, const struct object_kind *k, const char *id)
{
	char *text = evhttp_uriencode(id, -1, 0);

	if (text != NULL)
		snprintf(c->location, sizeof(c->location), "/api/v1/%s/%s", k->collection, text);
	free(text);
}

/** @return 0, -EINVAL name_invalid */
static int
name_of(const json_t *body, enum sl_kind k, char id[SL_OBJ_ID], struct sl_error *e)
{
	const char *name = json_string_value(json_object_get(body, "name"));
	int n;

	if (name != NULL)
		n = snprintf(id, SL_OBJ_ID, "%s", name);
	else if (k == SL_KIND_GATEWAY_INTERFACE)
		n = snprintf(id, SL_OBJ_ID, "%s:%s", sl_json_text(body, "gateway"),
			     sl_json_text(body, "interface"));
	else
		n = snprintf(id, SL_OBJ_ID, "%s:%s", sl_json_text(body, "role"),
			     sl_json_text(body, "member"));
	return n < SL_OBJ_ID ? 0
			     : sl_fail(e, -EINVAL, "name_invalid", "/name", "the name is too long");
}

json_t *
object_body(const struct sl_call *c, const struct object_kind *k)
{
	json_t *copy = json_deep_copy(c->body);

	json_object_del(copy, "name");
	if (k->computed != NULL)
		json_object_del(copy, k->computed);
	return copy;
}

int
object_store(struct sl_store_txn *t, const struct object_kind *k, const char *id, uint64_t if_rev,
	     json_t *body, struct sl_error *e)
{
	int rc = sl_store_put(t, k->kind, id, if_rev, body, e);

	return rc == 0 && k->after != NULL ? k->after(t, id, e) : rc;
}

static int
answer_changed(struct sl_call *c, const struct object_kind *k, const char *id, bool made,
	       struct sl_error *e)
{
	if (made)
		object_location(c, k, id);
	return page_one(c, made ? 201 : 200, k->kind, id, k->what, k->show, e);
}

int
object_create(struct sl_call *c, const struct object_kind *k, struct sl_error *e)
{
	struct sl_store_txn *t;
	char id[SL_OBJ_ID];
	json_t *body;
	int rc = name_of(c->body, k->kind, id, e);

	if (rc != 0)
		return rc;
	t = change_begin(c, e);
	if (t == NULL)
		return e->err;
	body = object_body(c, k);
	rc = object_store(t, k, id, SL_REV_NONE, body, e);
	json_decref(body);
	rc = change_end(c, t, rc, e);
	return rc != 0 || c->done ? rc : answer_changed(c, k, id, true, e);
}

int
object_get(struct sl_call *c, const struct object_kind *k, struct sl_error *e)
{
	return page_one(c, 200, k->kind, c->arg[0], k->what, k->show, e);
}

/** "If-Match: *" and a PATCH want that it is there. */
static int
must_exist(struct sl_call *c, struct sl_store_txn *t, const struct object_kind *k, const char *id,
	   json_t **body, uint64_t *rev, struct sl_error *e)
{
	if (sl_store_txn_get(t, k->kind, id, rev, body) == 0)
		return 0;
	return sl_call_not_found(k->what, id, e);
}

int
object_put(struct sl_call *c, const struct object_kind *k, struct sl_error *e)
{
	struct sl_store_txn *t = change_begin(c, e);
	json_t *was = NULL, *body;
	uint64_t rev;
	bool made;
	int rc = 0;

	if (t == NULL)
		return e->err;
	sl_store_txn_confirms(t);
	made = sl_store_txn_get(t, k->kind, c->arg[0], &rev, &was) != 0;
	json_decref(was);
	body = object_body(c, k);
	if (made && c->has_if_match)
		rc = sl_call_not_found(k->what, c->arg[0], e);
	if (rc == 0)
		rc = object_store(t, k, c->arg[0], sl_call_if_rev(c), body, e);
	json_decref(body);
	rc = change_end(c, t, rc, e);
	return rc != 0 || c->done ? rc : answer_changed(c, k, c->arg[0], made, e);
}

/** RFC 7396. */
static int
merge(json_t *to, const json_t *patch)
{
	const char *name;
	json_t *v, *at;
	int rc = 0;

	json_object_foreach ((json_t *)patch, name, v) {
		at = json_object_get(to, name);
		if (json_is_null(v)) {
			json_object_del(to, name);
		} else if (json_is_object(v)) {
			if (!json_is_object(at)) {
				at = json_object();
				rc |= json_object_set_new(to, name, at);
			}
			rc |= merge(at, v);
		} else {
			rc |= json_object_set(to, name, v);
		}
	}
	return rc;
}

int
object_edit(struct sl_call *c, struct sl_store_txn *t, const struct object_kind *k, const char *id,
	    int (*fn)(struct sl_call *c, json_t *body, struct sl_error *e), struct sl_error *e)
{
	uint64_t rev, want = sl_call_if_rev(c);
	json_t *body = NULL, *copy;
	int rc = must_exist(c, t, k, id, &body, &rev, e);

	if (rc != 0)
		return rc;
	copy = json_deep_copy(body);
	json_decref(body);
	rc = fn(c, copy, e);
	if (rc == 0)
		rc = object_store(t, k, id, want != SL_REV_ANY ? want : rev, copy, e);
	json_decref(copy);
	return rc;
}

static int
apply_patch(struct sl_call *c, json_t *body, struct sl_error *e)
{
	return merge(body, c->body) == 0
		       ? 0
		       : sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the change");
}

int
object_patch(struct sl_call *c, const struct object_kind *k, struct sl_error *e)
{
	struct sl_store_txn *t = change_begin(c, e);
	int rc;

	if (t == NULL)
		return e->err;
	rc = object_edit(c, t, k, c->arg[0], apply_patch, e);
	rc = change_end(c, t, rc, e);
	return rc != 0 || c->done ? rc : answer_changed(c, k, c->arg[0], false, e);
}

int
object_delete(struct sl_call *c, const struct object_kind *k, struct sl_error *e)
{
	struct sl_store_txn *t = change_begin(c, e);
	int rc;

	if (t == NULL)
		return e->err;
	rc = sl_store_del(t, k->kind, c->arg[0], sl_call_if_rev(c), e);
	rc = change_end(c, t, rc, e);
	if (rc == 0 && !c->done)
		c->status = 204;
	return rc;
}
